//! Ed25519 signatures (RFC 8032 §5.1, pure) of up to 128 jobs at once, of any keys and messages.
//!
//! ```
//! use keylane_kernels::{Fault, Kernels, RandomFailed, Unchecked, ed25519};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut random = |octets: &mut [u8]| aws_lc_rs::rand::fill(octets).map_err(|_| RandomFailed);
//! let kernels = Kernels::select()?;
//! let key = ed25519::Key::new(kernels, &[7; 32], &mut random)?;
//! let jobs = [ed25519::Job { key: &key, message: b"to be signed" }];
//! let mut work = Box::new(ed25519::Workspace::default());
//! let mut results = [const { Err(Fault::Wrong) }];
//! ed25519::sign(kernels, &jobs, &mut work, &mut results);
//! let mut signatures = [const { Err(Fault::Wrong) }];
//! ed25519::check(kernels, &jobs, &mut random, &mut work, &results, &mut signatures);
//! assert!(signatures[0].is_ok());
//! # Ok(())
//! # }
//! ```

mod check;
mod key;
mod sign;

use crate::edwards25519::comb::Comb;
use crate::lanes::{Block, erase};
use crate::sha512::{DIGEST_WORDS, Scratch};
use crate::{Checked, Fault, Kernels, Random, Unchecked};
use zeroize::Zeroize;

pub use key::{Key, KeyError};

/// The most jobs of a batch.
pub const LANES_MAX: usize = 128;
const VECTORS_MAX: usize = LANES_MAX / 8;

/// One signature to make.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Whose.
    pub key: &'a Key,
    /// Of what.
    pub message: &'a [u8],
}

/// Memory for a batch, about 150 KiB: what held a secret is erased at the end of each call.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    vectors: [sign::Vector; VECTORS_MAX],
    combs: [Comb; VECTORS_MAX],
    shares: [check::Share; VECTORS_MAX],
    scratch: Scratch,
    digests: [Block; DIGEST_WORDS],
}

impl Workspace {
    fn erase_shared(&mut self) {
        self.scratch.zeroize();
        erase(&mut self.digests);
    }
}

/// Signs every job: `out[i]` becomes the signature of `jobs[i]`. The kernel itself finds no faults.
///
/// # Panics
///
/// Unless there are 1 to [`LANES_MAX`] jobs and as many results.
pub fn sign(
    kernels: Kernels,
    jobs: &[Job<'_>],
    work: &mut Workspace,
    out: &mut [Result<Unchecked<[u8; 64]>, Fault>],
) {
    assert!((1..=LANES_MAX).contains(&jobs.len()) && out.len() == jobs.len(), "1 to 128 jobs and results");
    kernels.dispatch(sign::Sign { jobs, work, out });
}

/// Checks what [`sign()`] has made of the same jobs, with the workspace as it left it: `out[i]` becomes `results[i]` if that
/// is right.
///
/// Draws 4 octets per job, rounded up to 8 jobs, in one call.
///
/// # Panics
///
/// Unless there are 1 to [`LANES_MAX`] jobs and as many results.
pub fn check(
    kernels: Kernels,
    jobs: &[Job<'_>],
    random: &mut dyn Random,
    work: &mut Workspace,
    results: &[Result<Unchecked<[u8; 64]>, Fault>],
    out: &mut [Result<Checked<[u8; 64]>, Fault>],
) {
    assert!((1..=LANES_MAX).contains(&jobs.len()), "1 to 128 jobs");
    assert!(results.len() == jobs.len() && out.len() == jobs.len(), "as many results as jobs");
    let mut weights = [Block::default(); VECTORS_MAX];
    let weights = &mut weights[..jobs.len().div_ceil(8)];
    if check::draw(weights, random).is_err() {
        out.fill_with(|| Err(Fault::Random));
        return;
    }
    for (share, weight) in work.shares.iter_mut().zip(weights) {
        share.weight = *weight;
    }
    kernels.dispatch(check::Check { jobs, work, results, out });
}

struct KnownAnswers;

impl crate::tier::Kernel for KnownAnswers {
    type Output = bool;

    fn run<L: crate::lanes::Lanes>(self) -> bool {
        /// RFC 8032 §7.1, test 2.
        const SEED: [u8; 32] = [
            0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f,
            0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb,
        ];
        const SIGNATURE: [u8; 64] = [
            0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f, 0x64, 0x25, 0x40,
            0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76, 0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda,
            0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99, 0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c,
            0x38, 0x7b, 0x2e, 0xae, 0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00,
        ];
        let Some(key) = key::prepare::<L>(&SEED) else { return false };
        let jobs = [Job { key: &key, message: &[0x72] }; 9];
        let mut work = Box::new(Workspace::default());
        let mut results = jobs.map(|_| Err(Fault::Wrong));
        sign::Sign { jobs: &jobs, work: &mut work, out: &mut results }.run::<L>();
        let mut checked = jobs.map(|_| Err(Fault::Wrong));
        check::Check { jobs: &jobs, work: &mut work, results: &results, out: &mut checked }.run::<L>();
        checked.iter().all(|result| result.as_ref().is_ok_and(|result| *result.get() == SIGNATURE))
    }
}

/// A known answer of signing and its check, with weights of 1.
pub(crate) fn proves(kernels: Kernels) -> bool {
    kernels.dispatch(KnownAnswers)
}

#[cfg(test)]
mod campaign;
#[cfg(test)]
mod tests;
