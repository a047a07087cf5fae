//! Full secret memory is an answer, and aws-lc survives it.

use super::*;
use crate::os::own_process;
use crate::os::secret::{self, SecretBytes, SecretMemoryError};

/// Takes all secret memory, down to the last block.
fn take_everything() -> Vec<SecretBytes> {
    let mut taken = Vec::new();
    for bytes in [1 << 20, 1 << 16].into_iter().chain((0..=1 << 14).rev().step_by(16)) {
        while let Ok(block) = SecretBytes::zeroed(bytes) {
            taken.push(block);
        }
    }
    taken
}

#[test]
fn a_full_arena_is_typed_everywhere_and_passes() {
    own_process::run("crypto::tests::exhaustion::a_full_arena_is_typed_everywhere_and_passes", || {
        secret::init(secret::SecretOptions::default()).unwrap();
        for algorithm in Algorithm::ALL {
            let material = &keys(algorithm)[0];
            let scheme = algorithm.schemes()[0];
            let input = Input::Message(b"message");
            let context = KeyContext::prepare(material, None).unwrap();
            let mut room = [0; 512];
            let mut taken = take_everything();
            assert!(matches!(SecretBytes::zeroed(1), Err(SecretMemoryError::Exhausted { .. })));
            assert!(KeyContext::prepare(material, None).unwrap_err().is_out_of_memory(), "{algorithm:?}");
            assert_eq!(context.sign(scheme, input, &mut room).unwrap_err(), ExecuteError::OutOfMemory);
            // One block after the other comes back: every single allocation on the way fails once.
            loop {
                match context.sign(scheme, input, &mut room) {
                    Ok(unchecked) => match context.check(scheme, input, &room, unchecked) {
                        Ok(_) => break,
                        Err(error) => assert_eq!(error, CheckFailed::OutOfMemory, "{algorithm:?}"),
                    },
                    Err(error) => assert_eq!(error, ExecuteError::OutOfMemory, "{algorithm:?}"),
                }
                taken.pop().expect("signing needs less than everything");
            }
            drop(taken);
            assert!(is_valid(material, scheme, b"message", &signed(&context, scheme, input)));
            KeyContext::prepare(material, None).unwrap();
        }
    });
}
