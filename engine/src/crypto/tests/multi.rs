//! Batches on the kernels, through everything that lies around them.

use keylane_kernels::{Fault, Kernels};

use super::*;
use crate::limits::{BATCH_MAX, RSA_SLICE_MAX};

fn contexts(algorithm: Algorithm, kernels: Kernels) -> Vec<KeyContext> {
    keys(algorithm).iter().map(|material| KeyContext::prepare(material, Some(kernels)).unwrap()).collect()
}

/// The signatures that pass the check; `None` where one does not.
fn run(multi: &mut MultiBuffer, algorithm: Algorithm, operations: &[Operation<'_>]) -> Vec<Option<Vec<u8>>> {
    assert!(multi.sign(algorithm, operations), "{algorithm:?}");
    let mut signed = vec![None; operations.len()];
    multi.check(algorithm, operations, |number, outcome| {
        signed[number] = outcome.ok().map(|(checked, signature)| {
            assert_eq!(checked.length(), signature.len());
            signature.to_vec()
        });
    });
    signed
}

#[test]
fn batches_of_mixed_keys_verify_in_every_scheme_at_every_fill() {
    let kernels = Kernels::select().unwrap();
    let mut multi = MultiBuffer::new(Some(kernels));
    for algorithm in Algorithm::ALL {
        let contexts = contexts(algorithm, kernels);
        let schemes = algorithm.schemes();
        let most = if algorithm.is_rsa() { RSA_SLICE_MAX } else { BATCH_MAX };
        for fill in (1..=17).chain([31, 64, 127, 128]).filter(|&fill| fill <= most) {
            let messages: Vec<Vec<u8>> = (0..fill).map(|number| vec![0x5a; 130 + number]).collect();
            let key = |number: usize| number.count_ones() as usize % 2;
            let operations: Vec<_> = messages
                .iter()
                .enumerate()
                .map(|(number, message)| Operation {
                    context: &contexts[key(number)],
                    scheme: schemes[number % schemes.len()],
                    input: Input::Message(message),
                })
                .collect();
            let signed = run(&mut multi, algorithm, &operations);
            for (number, signature) in signed.iter().enumerate() {
                // One in some thousand million nonces is not used.
                let signature = signature.as_ref().expect("a signature");
                let (material, scheme) = (&keys(algorithm)[key(number)], operations[number].scheme);
                assert!(
                    is_valid(material, scheme, &messages[number], signature),
                    "{scheme:?} {number}/{fill}"
                );
            }
        }
    }
}

#[test]
fn digests_are_signed_as_messages_are() {
    let kernels = Kernels::select().unwrap();
    let mut multi = MultiBuffer::new(Some(kernels));
    for (algorithm, scheme) in every_scheme() {
        let Some(digest) = digest_of(scheme, b"message") else { continue };
        let context = &contexts(algorithm, kernels)[0];
        let operation = Operation { context, scheme, input: Input::Digest(&digest) };
        let signed = run(&mut multi, algorithm, &[operation; 3]);
        for signature in signed {
            assert!(is_valid(&keys(algorithm)[0], scheme, b"message", &signature.unwrap()), "{scheme:?}");
        }
    }
}

#[test]
fn what_is_not_for_the_kernels_is_left_to_the_scalar_path() {
    let kernels = Kernels::select().unwrap();
    let message = Input::Message(b"message");
    for (algorithm, scheme) in every_scheme() {
        let prepared = &contexts(algorithm, kernels)[0];
        let unprepared = &KeyContext::prepare(&keys(algorithm)[0], None).unwrap();
        let operation = |context| Operation { context, scheme, input: message };
        let mut multi = MultiBuffer::new(Some(kernels));
        assert!(!multi.sign(algorithm, &[operation(prepared), operation(unprepared)]));
        assert!(multi.sign(algorithm, &[operation(prepared); 2]));
        assert!(!MultiBuffer::new(None).takes(algorithm, RSA_SLICE_MAX));
        assert!(!MultiBuffer::new(None).sign(algorithm, &[operation(prepared)]));
        let unfit = Operation { input: Input::Digest(&[0; 20]), ..operation(prepared) };
        assert!(!multi.sign(algorithm, &[operation(prepared), unfit]), "{scheme:?}");
    }
}

/// What is checked is what was asked for: other operations than those that were signed do not pass.
#[test]
fn results_of_other_operations_do_not_pass() {
    let kernels = Kernels::select().unwrap();
    let mut multi = MultiBuffer::new(Some(kernels));
    for (algorithm, scheme) in every_scheme() {
        let contexts = contexts(algorithm, kernels);
        let asked = |key: usize, message| Operation {
            context: &contexts[key],
            scheme,
            input: Input::Message(message),
        };
        let signed = [asked(0, b"a"), asked(0, b"b"), asked(1, b"c"), asked(1, b"d")];
        let checked = [asked(0, b"a"), asked(0, b"x"), asked(0, b"c"), asked(1, b"d")];
        assert!(multi.sign(algorithm, &signed));
        let mut outcomes = [None; 4];
        multi.check(algorithm, &checked, |number, outcome| {
            outcomes[number] = Some(outcome.map(|_| ()).map_err(drop));
        });
        assert_eq!(outcomes, [Some(Ok(())), Some(Err(())), Some(Err(())), Some(Ok(()))], "{scheme:?}");
    }
}

/// A result is given once, and what was never signed is not given at all.
#[test]
fn a_check_without_a_batch_gives_nothing() {
    let kernels = Kernels::select().unwrap();
    for (algorithm, scheme) in every_scheme() {
        let context = &contexts(algorithm, kernels)[0];
        let operation = Operation { context, scheme, input: Input::Message(b"message") };
        let mut multi = MultiBuffer::new(Some(kernels));
        multi.check(algorithm, &[operation; 2], |_, outcome| {
            assert!(matches!(outcome, Err(Fault::Wrong)), "{scheme:?}");
        });
    }
}
