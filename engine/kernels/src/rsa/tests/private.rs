use super::super::{KeyError, Workspace, rsa3072, sign_unblinded};
use super::*;
use crate::Fault;

fn change(place: usize, change: impl FnOnce(&mut Vec<u8>)) -> Result<(), KeyError> {
    let numbers = &KEYS_2048[0];
    let mut integers = numbers.integers.clone();
    change(&mut integers[place]);
    let [modulus, public_exponent, _, p, q, dp, dq, q_inverse] = &integers[..] else { panic!("eight") };
    let parts = PrivateParts { modulus, public_exponent, p, q, dp, dq, q_inverse };
    rsa2048::PrivateKey::new(best(), &parts).map(drop)
}

#[test]
fn numbers_that_do_not_belong_together_are_no_key() {
    assert_eq!(change(0, |_| ()), Ok(()));
    // n, e, p, q, dp, dq, qInv; d is not needed.
    for place in [0, 1, 3, 4, 5, 6, 7] {
        let error = change(place, |octets| *octets.last_mut().unwrap() ^= 2).unwrap_err();
        assert_eq!(error, KeyError::Inconsistent, "number {place}");
    }
    for place in [0, 1, 3, 4] {
        assert_eq!(change(place, |octets| *octets.last_mut().unwrap() ^= 1), Err(KeyError::Inconsistent));
    }
    assert_eq!(change(1, |octets| *octets = vec![1]), Err(KeyError::Inconsistent));
    for place in [5, 6, 7] {
        assert_eq!(change(place, |octets| octets.insert(0, 1)), Err(KeyError::Inconsistent));
        assert_eq!(change(place, Vec::clear), Err(KeyError::Inconsistent));
    }
    assert_eq!(change(0, |octets| octets.insert(0, 0)), Ok(()));
}

#[test]
fn another_shape_belongs_elsewhere() {
    for place in [0, 3, 4] {
        assert_eq!(change(place, |octets| octets.truncate(100)), Err(KeyError::Unsupported));
        assert_eq!(change(place, Vec::clear), Err(KeyError::Unsupported));
        assert_eq!(change(place, |octets| octets.insert(0, 1)), Err(KeyError::Unsupported));
    }
    assert_eq!(change(1, |octets| *octets = vec![4, 0, 0, 0, 1]), Err(KeyError::Unsupported));
    assert_eq!(change(1, |octets| *octets = vec![1, 0, 0, 0, 0, 1]), Err(KeyError::Unsupported));
    assert!(rsa3072::PrivateKey::new(best(), &KEYS_2048[0].parts()).is_err());
}

/// RFC 8017 does not say which prime is the larger one.
#[test]
fn primes_in_either_order() {
    for kernels in tiers() {
        let numbers = &KEYS_2048[0];
        let message = message::<256>(4);
        let expected = numbers.raised(&message);
        let (p, q) = (numbers.number(3), numbers.number(4));
        let p_inverse = p.modpow(&(&q - 2u8), &q).to_bytes_be();
        let there = numbers.parts();
        let swapped = PrivateParts {
            p: there.q,
            q: there.p,
            dp: there.dq,
            dq: there.dp,
            q_inverse: &p_inverse,
            ..there
        };
        for parts in [there, swapped] {
            let key = rsa2048::PrivateKey::new(kernels, &parts).unwrap();
            let jobs = [rsa2048::Job { key: &key, message: &message, blinding: 0 }; 2];
            let mut results = [const { Err(Fault::Wrong) }; 2];
            sign_unblinded(kernels, &jobs, &mut Box::new(Workspace::ZERO), &mut results).unwrap();
            for result in results {
                assert_eq!(result.unwrap().expose(), &expected);
            }
        }
    }
}
