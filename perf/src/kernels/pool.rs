//! The keys, messages and references of an algorithm, and who works with them.

use keylane_kernels::{Kernels, RandomFailed, Tier};

use super::algorithm::Algorithm;
use super::work::Work;
use super::{ecdsa, ed25519, rsa, x25519};
use crate::failure::Failure;

/// The most operations of a batch.
pub const JOBS_MAX: usize = 128;

/// What all implementations of an algorithm work with.
pub trait Pool {
    /// aws-lc-rs, one operation at a time.
    fn aws_lc_rs(&self, fill: usize) -> Box<dyn Work + '_>;

    /// The kernel alone.
    fn bare(&self, kernels: Kernels, fill: usize) -> Box<dyn Work + '_>;

    /// The kernel with nonces, blinding and check; none where there is no check.
    fn checked(&self, kernels: Kernels, fill: usize) -> Option<Box<dyn Work + '_>>;
}

/// Makes keys and references for up to `jobs` operations at once, of which RSA shares `rsa_keys` keys.
pub fn make(
    algorithm: Algorithm,
    kernels: Kernels,
    jobs: usize,
    rsa_keys: usize,
) -> Result<Box<dyn Pool>, Failure> {
    Ok(match algorithm {
        Algorithm::Rsa2048Sign => Box::new(rsa::Pool::<2, 4, 256>::new(kernels, rsa_keys, jobs)?),
        Algorithm::Rsa3072Sign => Box::new(rsa::Pool::<3, 6, 384>::new(kernels, rsa_keys, jobs)?),
        Algorithm::Rsa4096Sign => Box::new(rsa::Pool::<4, 8, 512>::new(kernels, rsa_keys, jobs)?),
        Algorithm::EcdsaP256Sign => Box::new(ecdsa::p256::Pool::new(jobs)?),
        Algorithm::EcdsaP384Sign => Box::new(ecdsa::p384::Pool::new(jobs)?),
        Algorithm::Ed25519Sign => Box::new(ed25519::Pool::new(kernels, jobs)?),
        Algorithm::X25519Public => Box::new(x25519::Pool::new(x25519::Step::Public, jobs)?),
        Algorithm::X25519Shared => Box::new(x25519::Pool::new(x25519::Step::Shared, jobs)?),
    })
}

/// Who takes turns.
pub struct Contestant<'a> {
    /// Its name in reports.
    pub implementation: &'static str,
    /// Whether it is a kernel with nonces, blinding and check.
    pub checked: bool,
    /// What it does.
    pub work: Box<dyn Work + 'a>,
}

/// All at this fill, aws-lc-rs first.
pub fn contestants<'a>(pool: &'a dyn Pool, tiers: &[Kernels], fill: usize) -> Vec<Contestant<'a>> {
    let scalar = Contestant { implementation: "aws-lc-rs", checked: false, work: pool.aws_lc_rs(fill) };
    let mut all = vec![scalar];
    for &kernels in tiers {
        let implementation = kernels.tier().name();
        all.push(Contestant { implementation, checked: false, work: pool.bare(kernels, fill) });
        let checked = (kernels.tier() != Tier::Portable).then(|| pool.checked(kernels, fill)).flatten();
        all.extend(checked.map(|work| Contestant { implementation, checked: true, work }));
    }
    all
}

/// Where kernels take their randomness from.
pub fn random(octets: &mut [u8]) -> Result<(), RandomFailed> {
    aws_lc_rs::rand::fill(octets).map_err(|_| RandomFailed)
}
