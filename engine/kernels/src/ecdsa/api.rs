//! The interface of a curve, the same for both.

use core::marker::PhantomData;

use crate::ecdsa::check::Check;
use crate::ecdsa::curve::Curve;
use crate::ecdsa::sign::{Sign, WIDE_NONCE_LEN};
use crate::ecdsa::work::{BATCH_MAX, Operation, Scratch};
use crate::{Checked, Fault, Kernels, Random, Unchecked};

/// Signs; without `nonces` it draws what hedges them.
///
/// # Panics
///
/// If there are no operations or more than [`BATCH_MAX`], or not as many places for results.
pub(crate) fn sign<C: Curve<N>, O: Operation<N>, const N: usize, const LEN: usize>(
    kernels: Kernels,
    operations: &[O],
    nonces: Option<&[[u8; WIDE_NONCE_LEN]]>,
    random: &mut dyn Random,
    work: &mut Scratch<N>,
    out: &mut [Result<Unchecked<[u8; LEN]>, Fault>],
) {
    assert!((1..=BATCH_MAX).contains(&operations.len()), "a batch has 1 to 128 operations");
    assert_eq!(operations.len(), out.len(), "a place for every result");
    work.signed = operations.len();
    if nonces.is_none() && random.fill(work.fresh[..operations.len()].as_flattened_mut()).is_err() {
        out.fill_with(|| Err(Fault::Random));
        return;
    }
    kernels.dispatch(Sign::<C, O, N, LEN> { operations, nonces, work, out, curve: PhantomData });
}

/// Checks what [`sign`] has just left in `work` and `results`.
///
/// # Panics
///
/// If the numbers of operations and results differ.
pub(crate) fn check<C: Curve<N>, O: Operation<N>, const N: usize, const LEN: usize>(
    kernels: Kernels,
    operations: &[O],
    work: &mut Scratch<N>,
    results: &mut [Result<Unchecked<[u8; LEN]>, Fault>],
    out: &mut [Result<Checked<[u8; LEN]>, Fault>],
) {
    assert!((1..=BATCH_MAX).contains(&operations.len()), "a batch has 1 to 128 operations");
    assert!(operations.len() == results.len() && results.len() == out.len(), "a place for every result");
    kernels.dispatch(Check::<C, O, N, LEN> { operations, work, results, out, curve: PhantomData });
}

/// The public types and functions of a curve.
macro_rules! interface {
    ($curve:ident, $digits:literal, $octets:literal) => {
        use $crate::ecdsa::curve::$curve;
        use $crate::ecdsa::key::Key;
        use $crate::ecdsa::work::{Operation, Scratch};
        use $crate::ecdsa::{KeyError, WIDE_NONCE_LEN, answers, api, public};
        use $crate::{Checked, Fault, Kernels, Random, Unchecked};

        /// Octets of a scalar, a coordinate and a digest.
        pub const SCALAR_LEN: usize = $octets;
        /// Octets of a signature: r ‖ s, each big-endian and of fixed length.
        pub const SIGNATURE_LEN: usize = 2 * SCALAR_LEN;
        /// Octets of a public key: 04 ‖ x ‖ y.
        pub const PUBLIC_LEN: usize = 1 + 2 * SCALAR_LEN;

        /// A signature.
        pub type Signature = [u8; SIGNATURE_LEN];

        /// A prepared private key, in plain arrays: it can be moved into memory of the caller's choice, and erases itself.
        #[derive(Clone)]
        pub struct SigningKey(Key<$digits>);

        impl SigningKey {
            /// Prepares a private key. Whether a public key belongs to it, [`SigningKey::verify_public`] says.
            pub fn new(private: &[u8; SCALAR_LEN]) -> Result<Self, KeyError> {
                Key::new::<$curve>(private).map(Self)
            }

            /// Compares this public key (04 ‖ x ‖ y) with that of the private key.
            pub fn verify_public(&self, kernels: Kernels, public: &[u8; PUBLIC_LEN]) -> Result<(), KeyError> {
                public::verify::<$curve, $digits>(kernels, &self.0, public)
            }
        }

        impl zeroize::Zeroize for SigningKey {
            fn zeroize(&mut self) {
                self.0.zeroize();
            }
        }

        impl zeroize::ZeroizeOnDrop for SigningKey {}

        impl core::fmt::Debug for SigningKey {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($curve), " SigningKey(…)"))
            }
        }

        /// One signature to make.
        #[derive(Clone, Copy, Debug)]
        pub struct Job<'a> {
            /// With which key.
            pub key: &'a SigningKey,
            /// Of which digest.
            pub digest: &'a [u8; SCALAR_LEN],
        }

        impl Operation<$digits> for Job<'_> {
            fn key(&self) -> &Key<$digits> {
                &self.key.0
            }

            fn digest(&self) -> &[u8] {
                self.digest
            }
        }

        /// Scratch memory of a batch; its size is that of the type. Between [`sign`] and [`check`] it holds nonces; both erase
        /// what is not needed any more, and dropping it erases everything.
        #[derive(Clone)]
        pub struct Workspace(pub(crate) Scratch<$digits>);

        impl Workspace {
            /// Empty.
            pub fn new() -> Self {
                Self(Scratch::new())
            }
        }

        impl Default for Workspace {
            fn default() -> Self {
                Self::new()
            }
        }

        impl core::fmt::Debug for Workspace {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("Workspace(…)")
            }
        }

        /// Signs 1 to 128 digests with any keys. Fresh randomness is drawn once, 32 octets for each.
        ///
        /// # Panics
        ///
        /// If there are no jobs, more than 128, or not as many places in `out`.
        pub fn sign(
            kernels: Kernels,
            jobs: &[Job<'_>],
            random: &mut dyn Random,
            work: &mut Workspace,
            out: &mut [Result<Unchecked<Signature>, Fault>],
        ) {
            api::sign::<$curve, _, $digits, SIGNATURE_LEN>(kernels, jobs, None, random, &mut work.0, out);
        }

        /// Signs with nonces of 512 bits, big-endian, each taken modulo the order. For known answers and to measure the bare
        /// kernel: a nonce that is used twice, or known, gives the key away.
        ///
        /// # Panics
        ///
        /// As [`sign`], and if there are fewer nonces than jobs.
        #[doc(hidden)]
        pub fn sign_with_nonces(
            kernels: Kernels,
            jobs: &[Job<'_>],
            nonces: &[[u8; WIDE_NONCE_LEN]],
            work: &mut Workspace,
            out: &mut [Result<Unchecked<Signature>, Fault>],
        ) {
            assert!(jobs.len() <= nonces.len(), "a nonce for every job");
            let mut none = |_: &mut [u8]| Err($crate::RandomFailed);
            api::sign::<$curve, _, $digits, SIGNATURE_LEN>(
                kernels,
                jobs,
                Some(nonces),
                &mut none,
                &mut work.0,
                out,
            );
        }

        /// Checks every signature of the batch that [`sign`] has just left in `work` and `results`, with the same jobs. A wrong
        /// one becomes [`Fault::Wrong`]; `results` is left without any.
        ///
        /// # Panics
        ///
        /// If there are not as many jobs as results and places in `out`.
        pub fn check(
            kernels: Kernels,
            jobs: &[Job<'_>],
            work: &mut Workspace,
            results: &mut [Result<Unchecked<Signature>, Fault>],
            out: &mut [Result<Checked<Signature>, Fault>],
        ) {
            api::check::<$curve, _, $digits, SIGNATURE_LEN>(kernels, jobs, &mut work.0, results, out);
        }

        /// A known answer, in batches of one vector and of three: the comb by halves, in order, and both.
        pub(crate) fn proves(kernels: Kernels) -> bool {
            let answer = answers::$curve;
            let Ok(key) = SigningKey::new(&answers::octets(answer.private)) else { return false };
            let digest = answers::octets(answer.digest);
            let jobs = [Job { key: &key, digest: &digest }; 17];
            let nonces = [answers::octets(answer.nonce); 17];
            let mut expected = [0; SIGNATURE_LEN];
            expected[..SCALAR_LEN].copy_from_slice(&answers::octets::<SCALAR_LEN>(answer.r));
            expected[SCALAR_LEN..].copy_from_slice(&answers::octets::<SCALAR_LEN>(answer.s));
            let mut work = Box::new(Workspace::new());
            [1, 17].into_iter().all(|fill| {
                let mut results = [const { Err(Fault::Wrong) }; 17];
                let mut out = [const { Err(Fault::Wrong) }; 17];
                sign_with_nonces(kernels, &jobs[..fill], &nonces, &mut work, &mut results[..fill]);
                check(kernels, &jobs[..fill], &mut work, &mut results[..fill], &mut out[..fill]);
                out[..fill]
                    .iter()
                    .all(|signature| signature.as_ref().is_ok_and(|signature| *signature.get() == expected))
            })
        }
    };
}
pub(crate) use interface;
