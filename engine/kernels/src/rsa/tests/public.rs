use super::super::{PublicJob, PublicKey, PublicWorkspace, public};
use super::*;
use crate::Fault;

/// Moduli need not be of known primes: anything odd will do.
fn raises<const FULL: usize, const OCTETS: usize>(fill: usize) {
    let exponents = [3u64, 5, 17, 257, 65_537, 0x8000_000f, (1 << 33) - 1];
    for kernels in tiers() {
        let moduli: Vec<BigUint> = (0..fill)
            .map(|place| {
                let mut octets = [0; OCTETS];
                seeded(place as u64)(&mut octets).unwrap();
                octets[0] |= 0x80;
                octets[OCTETS - 1] |= 1;
                BigUint::from_bytes_be(&octets)
            })
            .collect();
        let keys: Vec<PublicKey<FULL, OCTETS>> = (0..fill)
            .map(|place| {
                let exponent = exponents[place % 7].to_be_bytes();
                PublicKey::new(kernels, &moduli[place].to_bytes_be(), &exponent).unwrap()
            })
            .collect();
        let inputs: Vec<[u8; OCTETS]> = (0..fill)
            .map(|place| match place {
                0 => octets(&(&moduli[0] - 1u8)),
                1 => [0; OCTETS],
                2 => octets(&BigUint::from(1u8)),
                _ => message(place as u64),
            })
            .collect();
        let jobs: Vec<_> = keys.iter().zip(&inputs).map(|(key, input)| PublicJob { key, input }).collect();
        let mut out = vec![Err(Fault::Wrong); fill];
        public(kernels, &jobs, &mut Box::new(PublicWorkspace::ZERO), &mut out).unwrap();
        for (place, result) in out.into_iter().enumerate() {
            let input = BigUint::from_bytes_be(&inputs[place]);
            let expected = input.modpow(&BigUint::from(exponents[place % 7]), &moduli[place]);
            assert_eq!(result, Ok(octets(&expected)), "job {place}");
        }
    }
}

#[test]
fn raises_with_2048_bits() {
    raises::<4, 256>(19);
}

#[test]
fn raises_with_3072_bits() {
    raises::<6, 384>(9);
}

#[test]
fn raises_with_4096_bits() {
    raises::<8, 512>(9);
}

#[test]
fn an_input_that_is_too_large_or_a_damaged_key_is_a_fault() {
    let kernels = best();
    let parts = KEYS_2048[0].parts();
    let key: PublicKey<4, 256> = PublicKey::new(kernels, parts.modulus, parts.public_exponent).unwrap();
    let mut damaged = key.clone();
    damaged.parts_mut()[2][7] ^= 1;
    let inputs = [octets(&KEYS_2048[0].n()), [0xff; 256], message(3), message(3)];
    let keys = [&key, &key, &damaged, &key];
    let jobs: [_; 4] = core::array::from_fn(|place| PublicJob { key: keys[place], input: &inputs[place] });
    let mut out = [Ok([0; 256]); 4];
    public(kernels, &jobs, &mut Box::new(PublicWorkspace::ZERO), &mut out).unwrap();
    let verdicts = out.map(|result| result.map(drop));
    assert_eq!(verdicts, [Err(Fault::Range), Err(Fault::Range), Err(Fault::Wrong), Ok(())]);
}
