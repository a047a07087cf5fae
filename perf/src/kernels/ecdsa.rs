//! ECDSA, the same for both curves.
//!
//! A kernel's nonces come from the seed, so that its signatures are the same in every batch: each is verified by aws-lc-rs
//! when it is first seen, and compared with itself from then on. With nonces of its own, a kernel draws from the generator
//! as ever; only then are its octets exchanged for seeded ones.

use aws_lc_rs::agreement::{self, PrivateKey};
use aws_lc_rs::digest::{self, Digest, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm,
    KeyPair, ParsedPublicKey,
};
use keylane_kernels::{Kernels, RandomFailed, Unchecked};

use super::pool::random;
use super::seed;
use super::work::{Kept, Work, blanks, one_by_one};
use crate::failure::Failure;

/// What aws-lc-rs calls a curve.
struct Curve {
    name: &'static str,
    agreement: &'static agreement::Algorithm,
    hash: &'static digest::Algorithm,
    signing: &'static EcdsaSigningAlgorithm,
    verification: &'static EcdsaVerificationAlgorithm,
}

const P256: Curve = Curve {
    name: "P-256",
    agreement: &agreement::ECDH_P256,
    hash: &digest::SHA256,
    signing: &ECDSA_P256_SHA256_FIXED_SIGNING,
    verification: &ECDSA_P256_SHA256_FIXED,
};
const P384: Curve = Curve {
    name: "P-384",
    agreement: &agreement::ECDH_P384,
    hash: &digest::SHA384,
    signing: &ECDSA_P384_SHA384_FIXED_SIGNING,
    verification: &ECDSA_P384_SHA384_FIXED,
};

/// One key and one digest per job.
struct Scalar {
    pairs: Vec<EcdsaKeyPair>,
    verifiers: Vec<ParsedPublicKey>,
    digests: Vec<Digest>,
}

impl Scalar {
    fn new(curve: &Curve, privates: &[impl AsRef<[u8]>]) -> Result<Self, Failure> {
        let pairs: Vec<_> =
            privates.iter().map(|private| pair(curve, private.as_ref())).collect::<Result<_, _>>()?;
        let verifiers = pairs.iter().map(|pair| ParsedPublicKey::new(curve.verification, pair.public_key()));
        let verifiers = verifiers.collect::<Result<_, _>>().map_err(Failure::crypto("an ECDSA key"))?;
        let message = |job| seed::octets::<64>("message", job);
        let digests = (0..privates.len()).map(|job| digest(curve.hash, &message(job))).collect();
        Ok(Self { pairs, verifiers, digests })
    }

    fn aws_lc_rs(&self, fill: usize) -> Box<dyn Work + '_> {
        one_by_one(fill, |job| self.pairs[job].sign_digest(&self.digests[job]).ok(), self.judge())
    }

    /// Verifies what it has not seen before.
    fn judge(&self) -> impl FnMut(usize, &[u8]) -> bool + '_ {
        let mut seen = vec![Vec::new(); self.verifiers.len()];
        move |job, signature| {
            let is_right = seen[job] == signature
                || self.verifiers[job].verify_digest_sig(&self.digests[job], signature).is_ok();
            if is_right && seen[job] != signature {
                signature.clone_into(&mut seen[job]);
            }
            is_right
        }
    }
}

/// aws-lc-rs takes a private number only beside its public key.
fn pair(curve: &Curve, private: &[u8]) -> Result<EcdsaKeyPair, Failure> {
    let key = PrivateKey::from_private_key(curve.agreement, private);
    let public = key.map_err(Failure::crypto("an ECDSA key"))?.compute_public_key();
    let public = public.map_err(Failure::crypto("an ECDSA key"))?;
    EcdsaKeyPair::from_private_key_and_public_key(curve.signing, private, public.as_ref())
        .map_err(Failure::crypto("an ECDSA key"))
}

/// A number below the order of either curve: both orders begin with ones only.
fn private<const LEN: usize>(curve: &Curve, job: usize) -> [u8; LEN] {
    let mut private = seed::octets(&format!("{} key", curve.name), job);
    private[0] &= 0x7f;
    private
}

/// Draws as always, and gives the seeded octets.
fn drawn_and_replaced(seeded: Vec<u8>) -> impl FnMut(&mut [u8]) -> Result<(), RandomFailed> {
    move |octets: &mut [u8]| {
        random(octets)?;
        octets.copy_from_slice(seeded.get(..octets.len()).ok_or(RandomFailed)?);
        Ok(())
    }
}

/// The kernels of a curve are functions of a module of its own.
macro_rules! pool {
    ($curve:ident, $module:ident) => {
        /// The pool of this curve.
        pub mod $module {
            use keylane_kernels::ecdsa::WIDE_NONCE_LEN;
            use keylane_kernels::$module::{
                Job, SCALAR_LEN, SigningKey, Workspace, check, sign, sign_with_nonces,
            };

            use super::*;

            const CURVE: Curve = super::$curve;

            /// One key and one digest per job.
            pub struct Pool {
                scalar: Scalar,
                keys: Vec<SigningKey>,
                digests: Vec<[u8; SCALAR_LEN]>,
            }

            impl Pool {
                /// For up to `jobs` jobs.
                pub fn new(jobs: usize) -> Result<Self, Failure> {
                    let privates: Vec<[u8; SCALAR_LEN]> = (0..jobs).map(|job| private(&CURVE, job)).collect();
                    let scalar = Scalar::new(&CURVE, &privates)?;
                    let keys = privates.iter().map(SigningKey::new);
                    let keys = keys.collect::<Result<_, _>>().map_err(Failure::crypto("an ECDSA key"))?;
                    let digests = scalar.digests.iter().filter_map(|digest| digest.as_ref().try_into().ok());
                    Ok(Self { digests: digests.collect(), keys, scalar })
                }

                fn jobs(&self, fill: usize) -> Vec<Job<'_>> {
                    let pairs = self.keys.iter().zip(&self.digests).take(fill);
                    pairs.map(|(key, digest)| Job { key, digest }).collect()
                }
            }

            impl crate::kernels::pool::Pool for Pool {
                fn aws_lc_rs(&self, fill: usize) -> Box<dyn Work + '_> {
                    self.scalar.aws_lc_rs(fill)
                }

                fn bare(&self, kernels: Kernels, fill: usize) -> Box<dyn Work + '_> {
                    let (jobs, mut work) = (self.jobs(fill), Box::new(Workspace::new()));
                    let nonces: Vec<[u8; WIDE_NONCE_LEN]> =
                        (0..fill).map(|job| seed::octets("nonce", job)).collect();
                    let batch =
                        move |out: &mut [_]| sign_with_nonces(kernels, &jobs, &nonces, &mut work, out);
                    Box::new(Kept::batch(fill, batch, self.scalar.judge()))
                }

                fn checked(&self, kernels: Kernels, fill: usize) -> Option<Box<dyn Work + '_>> {
                    let (jobs, mut work) = (self.jobs(fill), Box::new(Workspace::new()));
                    let mut seeded = vec![0; 64 * fill];
                    seed::fill("randomness of nonces", 0, &mut seeded);
                    let mut random = drawn_and_replaced(seeded);
                    let mut results = blanks::<Result<Unchecked<_>, _>>(fill);
                    let batch = move |out: &mut [_]| {
                        sign(kernels, &jobs, &mut random, &mut work, &mut results);
                        check(kernels, &jobs, &mut work, &mut results, out);
                    };
                    Some(Box::new(Kept::batch(fill, batch, self.scalar.judge())))
                }
            }
        }
    };
}

pool!(P256, p256);
pool!(P384, p384);
