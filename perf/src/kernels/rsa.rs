//! RSA, PKCS#1 v1.5 of SHA-256 digests.
//!
//! Its keys are the only ones that do not come from the seed: aws-lc generates them before the measurement.

use std::time::Duration;

use aws_lc_rs::digest::{Digest, SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use keylane_kernels::rsa::{Blinding, Job, PrivateKey, PrivateParts, Workspace, check, sign, sign_unblinded};
use keylane_kernels::{Checked, Fault, Kernels, Unchecked};
use pkcs1::RsaPrivateKeyRef;
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::Decode;

use super::pool::{self, random};
use super::seed;
use super::work::{Batch, Kept, Work, blanks, one_by_one};
use crate::failure::Failure;
use crate::processor_time;

/// Keys of each size: as many as work at once, since a batch is done in groups of eight.
pub const KEYS: usize = 8;
/// Keys of each size when nothing is measured: making one of 4,096 bits takes a second.
pub const KEYS_QUICK: usize = 2;
/// Operations between two draws of a key's blinding.
const USES_PER_DRAW: f64 = 256.0;

/// A few keys, of which job after job takes the next, and a digest per job. Signatures are deterministic, so those of
/// aws-lc-rs are references bit for bit.
pub struct Pool<const HALF: usize, const FULL: usize, const OCTETS: usize> {
    pairs: Vec<KeyPair>,
    keys: Vec<PrivateKey<HALF, FULL, OCTETS>>,
    digests: Vec<Digest>,
    /// What a kernel takes: padding is the caller's.
    encoded: Vec<[u8; OCTETS]>,
    references: Vec<Option<Vec<u8>>>,
}

impl<const HALF: usize, const FULL: usize, const OCTETS: usize> Pool<HALF, FULL, OCTETS> {
    /// For up to `jobs` jobs, with `keys` keys.
    pub fn new(kernels: Kernels, keys: usize, jobs: usize) -> Result<Self, Failure> {
        let pairs: Vec<_> = (0..keys.min(jobs)).map(|_| generate(OCTETS)).collect::<Result<_, _>>()?;
        let keys = pairs.iter().map(|pair| prepare(kernels, pair)).collect::<Result<_, _>>()?;
        let digests: Vec<_> =
            (0..jobs).map(|job| digest(&SHA256, &seed::octets::<64>("message", job))).collect();
        let encoded = digests.iter().map(encode).collect();
        let mut pool = Self { pairs, keys, digests, encoded, references: Vec::new() };
        pool.references = (0..jobs).map(|job| pool.by_aws_lc_rs(job)).collect();
        Ok(pool)
    }

    fn by_aws_lc_rs(&self, job: usize) -> Option<Vec<u8>> {
        let mut signature = vec![0; OCTETS];
        let pair = &self.pairs[job % self.pairs.len()];
        pair.sign_digest(&RSA_PKCS1_SHA256, &self.digests[job], &mut signature).ok()?;
        Some(signature)
    }

    fn jobs(&self, fill: usize) -> Vec<Job<'_, HALF, FULL, OCTETS>> {
        let keys = self.keys.iter().enumerate().cycle();
        let jobs = keys.zip(&self.encoded).take(fill);
        jobs.map(|((blinding, key), message)| Job { key, message, blinding }).collect()
    }

    fn judge(&self) -> impl FnMut(usize, &[u8]) -> bool + '_ {
        |job, octets| self.references[job].as_deref() == Some(octets)
    }
}

impl<const HALF: usize, const FULL: usize, const OCTETS: usize> pool::Pool for Pool<HALF, FULL, OCTETS> {
    fn aws_lc_rs(&self, fill: usize) -> Box<dyn Work + '_> {
        one_by_one(fill, |job| self.by_aws_lc_rs(job), self.judge())
    }

    fn bare(&self, kernels: Kernels, fill: usize) -> Box<dyn Work + '_> {
        let (jobs, mut work) = (self.jobs(fill), Box::new(Workspace::ZERO));
        let batch = move |out: &mut [_]| {
            // A batch that is refused leaves its outputs blank, and blank is wrong.
            let _refused = sign_unblinded(kernels, &jobs, &mut work, out);
        };
        Box::new(Kept::batch(fill, batch, self.judge()))
    }

    fn checked(&self, kernels: Kernels, fill: usize) -> Option<Box<dyn Work + '_>> {
        let batch = BlindedAndChecked {
            kernels,
            jobs: self.jobs(fill),
            blindings: vec![Blinding::EMPTY; self.keys.len().min(fill)],
            work: Box::new(Workspace::ZERO),
            results: blanks(fill),
            next: 0,
        };
        Some(Box::new(Kept::batch(fill, batch, self.judge())))
    }
}

struct BlindedAndChecked<'a, const HALF: usize, const FULL: usize, const OCTETS: usize> {
    kernels: Kernels,
    jobs: Vec<Job<'a, HALF, FULL, OCTETS>>,
    blindings: Vec<Blinding<FULL>>,
    work: Box<Workspace<HALF, FULL>>,
    results: Vec<Result<Unchecked<[u8; OCTETS]>, Fault>>,
    /// Whose blinding is drawn next.
    next: usize,
}

impl<const HALF: usize, const FULL: usize, const OCTETS: usize> Batch<Result<Checked<[u8; OCTETS]>, Fault>>
    for BlindedAndChecked<'_, HALF, FULL, OCTETS>
{
    fn call(&mut self, out: &mut [Result<Checked<[u8; OCTETS]>, Fault>]) {
        let Self { kernels, jobs, blindings, work, results, .. } = self;
        // A batch that is refused leaves its outputs blank, and blank is wrong.
        let _refused = sign(*kernels, jobs, blindings, &mut random, work, results)
            .and_then(|()| check(*kernels, jobs, blindings, work, results, out));
    }

    /// Draws one key's blinding, long before it is used up, so that no slice has to: drawing costs as much as eight
    /// operations, and a median would not notice what is in few slices.
    fn upkeep(&mut self) -> f64 {
        let Self { kernels, jobs, blindings, work, next, .. } = self;
        let start = processor_time::of_this_thread();
        // If it fails, so does the next use.
        let _failed = blindings[*next].renew(*kernels, jobs[*next].key, &mut random, work);
        let elapsed: Duration = processor_time::of_this_thread().saturating_sub(start);
        *next = (*next + 1) % blindings.len();
        elapsed.as_secs_f64() * 1e6 / USES_PER_DRAW
    }
}

fn generate(octets: usize) -> Result<KeyPair, Failure> {
    let size = match octets {
        256 => KeySize::Rsa2048,
        384 => KeySize::Rsa3072,
        _ => KeySize::Rsa4096,
    };
    KeyPair::generate(size).map_err(Failure::crypto("an RSA key"))
}

fn prepare<const HALF: usize, const FULL: usize, const OCTETS: usize>(
    kernels: Kernels,
    pair: &KeyPair,
) -> Result<PrivateKey<HALF, FULL, OCTETS>, Failure> {
    let document: Pkcs8V1Der<'_> = pair.as_der().map_err(Failure::crypto("an RSA key"))?;
    let info = PrivateKeyInfoRef::from_der(document.as_ref()).map_err(Failure::crypto("an RSA key"))?;
    let key = RsaPrivateKeyRef::from_der(info.private_key.as_bytes());
    let key = key.map_err(Failure::crypto("an RSA key"))?;
    let parts = PrivateParts {
        modulus: key.modulus.as_bytes(),
        public_exponent: key.public_exponent.as_bytes(),
        p: key.prime1.as_bytes(),
        q: key.prime2.as_bytes(),
        dp: key.exponent1.as_bytes(),
        dq: key.exponent2.as_bytes(),
        q_inverse: key.coefficient.as_bytes(),
    };
    PrivateKey::new(kernels, &parts).map_err(Failure::crypto("an RSA key"))
}

/// EMSA-PKCS1-v1_5 of a SHA-256 digest (RFC 8017 §9.2).
fn encode<const OCTETS: usize>(digest: &Digest) -> [u8; OCTETS] {
    const DIGEST_INFO: [u8; 19] =
        [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let tail = [&[0][..], &DIGEST_INFO, digest.as_ref()].concat();
    let mut block = [0xff; OCTETS];
    block[..2].copy_from_slice(&[0, 1]);
    block[OCTETS - tail.len()..].copy_from_slice(&tail);
    block
}
