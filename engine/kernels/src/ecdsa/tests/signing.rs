//! Signatures of both curves and tiers.

use num_bigint::{BigInt, BigUint};

use super::oracle::{Oracle, octets};
use super::{tiers, wide};
use crate::ecdsa::KeyError;
use crate::ecdsa::curve::{Curve, P256, P384};
use crate::{Fault, Kernels, Tier};

const FILLS: [usize; 21] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 31, 64, 127, 128];

macro_rules! tests {
    ($curve:ident, $type:ident, $digits:literal, $octets:literal) => {
        mod $curve {
            use super::*;
            use crate::$curve::{Job, SigningKey, Workspace, check, sign, sign_with_nonces};

            /// A few keys, their numbers, public keys, and digests with their messages.
            struct Material {
                oracle: Oracle,
                numbers: Vec<BigUint>,
                keys: Vec<SigningKey>,
                publics: Vec<Vec<u8>>,
                messages: Vec<Vec<u8>>,
                digests: Vec<[u8; $octets]>,
            }

            impl Material {
                fn new(keys: usize) -> Self {
                    let oracle = Oracle::$curve();
                    let numbers: Vec<_> = (0..keys)
                        .map(|i| BigUint::from_bytes_be(&octets("key", i, $octets)) % &oracle.n)
                        .collect();
                    Self::of(oracle, numbers)
                }

                fn of(oracle: Oracle, numbers: Vec<BigUint>) -> Self {
                    let messages: Vec<_> = (0..128).map(|i| octets("message", i, 40)).collect();
                    Self {
                        keys: numbers
                            .iter()
                            .map(|d| SigningKey::new(&oracle.encode(d).try_into().unwrap()).unwrap())
                            .collect(),
                        publics: numbers.iter().map(|d| oracle.public(d)).collect(),
                        digests: messages.iter().map(|m| oracle.digest(m).try_into().unwrap()).collect(),
                        messages,
                        numbers,
                        oracle,
                    }
                }

                fn jobs(&self, count: usize) -> Vec<Job<'_>> {
                    let keys = self.keys.iter().cycle();
                    keys.zip(&self.digests).take(count).map(|(key, digest)| Job { key, digest }).collect()
                }
            }

            /// What leaves, and what aws-lc would say about it.
            fn outcomes(
                kernels: Kernels,
                jobs: &[Job<'_>],
                nonces: Option<&[[u8; 64]]>,
                seed: usize,
            ) -> Vec<Result<[u8; 2 * $octets], Fault>> {
                let mut work = Box::new(Workspace::new());
                let mut results: Vec<_> = (0..jobs.len()).map(|_| Err(Fault::Wrong)).collect();
                let mut random = |to: &mut [u8]| {
                    to.copy_from_slice(&octets("random", seed, to.len()));
                    Ok(())
                };
                match nonces {
                    Some(nonces) => sign_with_nonces(kernels, jobs, nonces, &mut work, &mut results),
                    None => sign(kernels, jobs, &mut random, &mut work, &mut results),
                }
                let mut out: Vec<_> = (0..jobs.len()).map(|_| Err(Fault::Random)).collect();
                check(kernels, jobs, &mut work, &mut results, &mut out);
                assert!(results.iter().all(Result::is_err), "nothing unchecked is left");
                out.into_iter().map(|result| result.map(crate::Checked::into_inner)).collect()
            }

            #[test]
            fn known_nonces_give_known_signatures() {
                let material = Material::new(3);
                let jobs = material.jobs(128);
                let nonces: Vec<[u8; 64]> =
                    (0..128).map(|i| octets("nonce", i, 64).try_into().unwrap()).collect();
                let expected: Vec<_> = (0..11)
                    .map(|i| {
                        let nonce = BigUint::from_bytes_be(&nonces[i]);
                        material.oracle.sign(&material.numbers[i % 3], &material.digests[i], &nonce)
                    })
                    .collect();
                for kernels in tiers() {
                    for fill in [11, 128] {
                        let got = outcomes(kernels, &jobs[..fill], Some(&nonces[..fill]), 0);
                        for (i, expected) in expected.iter().enumerate() {
                            assert_eq!(
                                got[i].unwrap().to_vec(),
                                *expected,
                                "{:?} {fill} {i}",
                                kernels.tier()
                            );
                        }
                    }
                }
            }

            #[test]
            fn public_keys_are_verified() {
                let material = Material::new(6);
                for kernels in tiers() {
                    for (key, public) in material.keys.iter().zip(&material.publics) {
                        let mut public = public.clone().try_into().unwrap();
                        assert_eq!(key.verify_public(kernels, &public), Ok(()));
                        for octet in [0, 1, $octets, $octets + 1, 2 * $octets] {
                            public[octet] ^= 1;
                            assert_eq!(key.verify_public(kernels, &public), Err(KeyError::Mismatch));
                            public[octet] ^= 1;
                        }
                    }
                }
            }

            #[test]
            fn private_keys_out_of_range_are_refused() {
                let oracle = Oracle::$curve();
                let ones = (BigUint::from(1u32) << (8 * $octets)) - 1u32;
                for bad in [BigUint::ZERO, oracle.n.clone(), &oracle.n + 1u32, ones] {
                    let refused = SigningKey::new(&oracle.encode(&bad).try_into().unwrap());
                    assert_eq!(refused.map(|_| ()), Err(KeyError::Range), "{bad}");
                }
            }

            #[test]
            fn edges_of_keys_digests_and_nonces() {
                let oracle = Oracle::$curve();
                let (one, n) = (BigUint::from(1u32), oracle.n.clone());
                let material = Material::of(oracle, vec![one.clone(), &n - 1u32, &one + 1u32, &n >> 1]);
                let ones = BigUint::from_bytes_be(&[0xff; $octets]);
                let digests: Vec<[u8; $octets]> =
                    [BigUint::ZERO, one.clone(), &n - 1u32, n.clone(), &n + 1u32, ones]
                        .iter()
                        .map(|digest| material.oracle.encode(digest).try_into().unwrap())
                        .collect();
                let widest = (BigUint::from(1u32) << 512) - 1u32;
                let nonces: Vec<BigUint> = (0..130u32)
                    .map(|i| (&one << (3 * i)) + i)
                    .chain([
                        &n - 1u32,
                        &n - 2u32,
                        &n + 1u32,
                        &n * 5u32 + 3u32,
                        widest,
                        &n >> 1,
                        (&n >> 1) + 1u32,
                    ])
                    .filter(|nonce| nonce % &n != BigUint::ZERO)
                    .collect();
                let cases: Vec<_> =
                    nonces.iter().enumerate().map(|(i, nonce)| (i % 4, &digests[i % 6], nonce)).collect();
                for cases in cases.chunks(128) {
                    let jobs: Vec<_> = cases
                        .iter()
                        .map(|(key, digest, _)| Job { key: &material.keys[*key], digest })
                        .collect();
                    let wides: Vec<[u8; 64]> = cases.iter().map(|(.., nonce)| wide(nonce)).collect();
                    let expected: Vec<_> = cases
                        .iter()
                        .map(|(key, digest, nonce)| {
                            material.oracle.sign(&material.numbers[*key], *digest, nonce)
                        })
                        .collect();
                    for kernels in tiers() {
                        let got = outcomes(kernels, &jobs, Some(&wides), 0);
                        for (i, expected) in expected.iter().enumerate() {
                            assert_eq!(got[i].unwrap().to_vec(), *expected, "{:?} {i}", kernels.tier());
                        }
                    }
                }
            }

            /// The odd digits of an odd scalar times their weights, by the definition of the comb.
            fn addends(k: &BigUint) -> Vec<BigInt> {
                let windows = <$type as Curve<$digits>>::comb().len();
                let recoded = (k >> 1u32) + (BigUint::from(1u32) << (7 * windows - 1));
                (0..windows)
                    .map(|j| {
                        let digit = BigInt::from(&recoded >> (7 * j) & BigUint::from(127u32)) * 2 - 127;
                        digit << (7 * j)
                    })
                    .collect()
            }

            #[test]
            fn nonces_that_the_comb_cannot_do_are_rejected() {
                let material = Material::new(1);
                let n = &material.oracle.n;
                let [in_order, by_halves] = <$type as Curve<$digits>>::EXCEPTIONS
                    .map(|k| k.iter().rev().fold(BigUint::ZERO, |k, digit| (k << 52u32) + *digit));
                let modulus = BigInt::from(n.clone());
                let (last, half) = (addends(&in_order).len() - 1, <$type as Curve<$digits>>::HALF);
                // Each is what its name says: the last two addends are equal modulo the order.
                for (k, split) in [(&in_order, last), (&by_halves, half)] {
                    let addends = addends(k);
                    let (low, high): (BigInt, BigInt) =
                        (addends[..split].iter().sum(), addends[split..].iter().sum());
                    assert_eq!(&low + &high, BigInt::from(k.clone()));
                    assert_eq!((high - low) % &modulus, BigInt::ZERO, "{split}");
                    assert!(k.bit(0) && k < n);
                }
                let bad = [
                    in_order.clone(),
                    n - &in_order,
                    by_halves.clone(),
                    n - &by_halves,
                    BigUint::ZERO,
                    n.clone(),
                ];
                let good = bad[..4].iter().flat_map(|k| [k + 1u32, k + 2u32, k - 1u32, k - 2u32]);
                let cases: Vec<_> =
                    bad.iter().cloned().map(|k| (k, true)).chain(good.map(|k| (k, false))).collect();
                for (nonce, is_bad) in cases {
                    for fill in [8, 16] {
                        let mut nonces: Vec<_> =
                            (0..fill).map(|i| BigUint::from_bytes_be(&octets("nonce", i, 64))).collect();
                        nonces[3] = nonce.clone();
                        let wide: Vec<_> = nonces.iter().map(wide).collect();
                        for kernels in tiers() {
                            let got = outcomes(kernels, &material.jobs(fill), Some(&wide), 0);
                            for (i, got) in got.iter().enumerate() {
                                assert_eq!(
                                    got.err(),
                                    (i == 3 && is_bad).then_some(Fault::Nonce),
                                    "{fill} {i}"
                                );
                            }
                        }
                    }
                }
            }

            /// r of a batch of these jobs, when the source of randomness always gives the same.
            fn frozen(kernels: Kernels, jobs: &[Job<'_>]) -> Vec<Vec<u8>> {
                let signatures = outcomes(kernels, jobs, None, 0);
                signatures.into_iter().map(|signature| signature.unwrap()[..$octets].to_vec()).collect()
            }

            #[test]
            fn frozen_randomness_gives_no_nonce_twice() {
                let material = Material::new(2);
                for kernels in tiers() {
                    // Different digests at the same place of a batch, with the same 32 octets; and keys.
                    let first = |key: usize, digest: usize| {
                        frozen(
                            kernels,
                            &[Job { key: &material.keys[key], digest: &material.digests[digest] }],
                        )
                    };
                    let mut all: Vec<_> = (0..20).map(|digest| first(0, digest)).collect();
                    all.extend((0..20).map(|digest| first(1, digest)));
                    assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 40);
                    assert_eq!(first(0, 0), all[0], "and nothing else goes in");
                    // Another place has other octets.
                    let same = [Job { key: &material.keys[0], digest: &material.digests[0] }; 16];
                    assert_eq!(
                        frozen(kernels, &same).into_iter().collect::<std::collections::HashSet<_>>().len(),
                        16
                    );
                }
            }

            #[test]
            fn without_randomness_nothing_is_signed() {
                let material = Material::new(1);
                let jobs = material.jobs(9);
                let mut work = Box::new(Workspace::new());
                let mut results: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
                let mut out: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
                let mut broken = |_: &mut [u8]| Err(crate::RandomFailed);
                for kernels in tiers() {
                    sign(kernels, &jobs, &mut broken, &mut work, &mut results);
                    check(kernels, &jobs, &mut work, &mut results, &mut out);
                    assert!(out.iter().all(|out| *out == Err(Fault::Random)));
                }
            }

            #[test]
            fn what_is_secret_is_erased() {
                let material = Material::new(1);
                let jobs = material.jobs(20);
                for kernels in tiers() {
                    let mut work = Box::new(Workspace::new());
                    let mut results: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
                    let mut out: Vec<_> = jobs.iter().map(|_| Err(Fault::Wrong)).collect();
                    let mut random = |to: &mut [u8]| {
                        to.fill(7);
                        Ok(())
                    };
                    sign(kernels, &jobs, &mut random, &mut work, &mut results);
                    assert!(work.0.vectors[2].k[0].0[0] != 0, "the check needs it");
                    assert!(!work.0.is_erased());
                    check(kernels, &jobs, &mut work, &mut results, &mut out);
                    assert!(work.0.is_erased());
                    check(kernels, &jobs, &mut work, &mut results, &mut out);
                    assert!(
                        out.iter().all(|out| *out == Err(Fault::Wrong)),
                        "a second check stands on nothing"
                    );
                }
            }

            #[test]
            fn every_fill_verifies_and_tiers_agree() {
                let material = Material::new(5);
                for fill in FILLS {
                    let jobs = material.jobs(fill);
                    let mut before = None;
                    for kernels in tiers().collect::<Vec<_>>().into_iter().rev() {
                        if kernels.tier() == Tier::Portable && fill > 17 && fill != 128 {
                            continue;
                        }
                        let got = outcomes(kernels, &jobs, None, fill);
                        assert!(before.is_none_or(|before| before == got), "tiers disagree at {fill}");
                        before = Some(got);
                    }
                    for (i, signature) in before.unwrap().into_iter().enumerate() {
                        let public = &material.publics[i % 5];
                        let signature = signature.unwrap();
                        assert!(
                            material.oracle.verifies(public, &material.messages[i], &signature),
                            "{fill} {i}"
                        );
                    }
                }
            }
        }
    };
}

tests!(p256, P256, 5, 32);
tests!(p384, P384, 8, 48);
