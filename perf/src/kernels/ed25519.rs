//! Ed25519.

use aws_lc_rs::signature::Ed25519KeyPair;
use keylane_kernels::ed25519::{Job, Key, Workspace, check, sign};
use keylane_kernels::{Kernels, Unchecked};

use super::pool::{self, random};
use super::seed;
use super::work::{Kept, Work, blanks, one_by_one};
use crate::failure::Failure;

/// As long as what TLS 1.3 signs (RFC 8446 §4.4.3, with SHA-256).
const MESSAGE_LEN: usize = 130;

/// One key per job. Signatures are deterministic, so those of aws-lc-rs are references bit for bit.
pub struct Pool {
    pairs: Vec<Ed25519KeyPair>,
    keys: Vec<Key>,
    messages: Vec<[u8; MESSAGE_LEN]>,
    references: Vec<Vec<u8>>,
}

impl Pool {
    /// For up to `jobs` jobs.
    pub fn new(kernels: Kernels, jobs: usize) -> Result<Self, Failure> {
        let seeds: Vec<[u8; 32]> = (0..jobs).map(|job| seed::octets("Ed25519 key", job)).collect();
        let pairs = seeds.iter().map(|seed| Ed25519KeyPair::from_seed_unchecked(seed));
        let pairs: Vec<_> = pairs.collect::<Result<_, _>>().map_err(Failure::crypto("an Ed25519 key"))?;
        let keys = seeds.iter().map(|seed| Key::new(kernels, seed, &mut random));
        let keys = keys.collect::<Result<_, _>>().map_err(Failure::crypto("an Ed25519 key"))?;
        let messages: Vec<_> = (0..jobs).map(|job| seed::octets("message", job)).collect();
        let references =
            pairs.iter().zip(&messages).map(|(pair, message)| pair.sign(message).as_ref().to_vec());
        let references = references.collect();
        Ok(Self { pairs, keys, messages, references })
    }

    fn jobs(&self, fill: usize) -> Vec<Job<'_>> {
        self.keys.iter().zip(&self.messages).take(fill).map(|(key, message)| Job { key, message }).collect()
    }

    fn judge(&self) -> impl FnMut(usize, &[u8]) -> bool + '_ {
        |job, octets| self.references[job] == octets
    }
}

impl pool::Pool for Pool {
    fn aws_lc_rs(&self, fill: usize) -> Box<dyn Work + '_> {
        one_by_one(fill, |job| Some(self.pairs[job].sign(&self.messages[job])), self.judge())
    }

    fn bare(&self, kernels: Kernels, fill: usize) -> Box<dyn Work + '_> {
        let (jobs, mut work) = (self.jobs(fill), Box::new(Workspace::default()));
        let batch = move |out: &mut [_]| sign(kernels, &jobs, &mut work, out);
        Box::new(Kept::batch(fill, batch, self.judge()))
    }

    fn checked(&self, kernels: Kernels, fill: usize) -> Option<Box<dyn Work + '_>> {
        let (jobs, mut work) = (self.jobs(fill), Box::new(Workspace::default()));
        let mut results = blanks::<Result<Unchecked<_>, _>>(fill);
        let batch = move |out: &mut [_]| {
            sign(kernels, &jobs, &mut work, &mut results);
            check(kernels, &jobs, &mut random, &mut work, &results, out);
        };
        Some(Box::new(Kept::batch(fill, batch, self.judge())))
    }
}
