//! X25519: both steps of a key exchange.

use aws_lc_rs::agreement::{PrivateKey, PublicKey, UnparsedPublicKey, X25519, agree};
use keylane_kernels::Kernels;
use keylane_kernels::x25519::{Job, Workspace, public, shared};

use super::pool;
use super::seed;
use super::work::{Kept, Work, one_by_one};
use crate::failure::Failure;

/// A secret, a public value or a shared secret.
type Octets = [u8; 32];

/// Which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// From a secret to its public value.
    Public,
    /// From a secret and a peer's public value to what both share.
    Shared,
}

/// One secret and one peer per job.
pub struct Pool {
    step: Step,
    secrets: Vec<Octets>,
    pairs: Vec<PrivateKey>,
    peers: Vec<PublicKey>,
    peer_octets: Vec<Octets>,
    references: Vec<Option<Octets>>,
}

impl Pool {
    /// For up to `jobs` jobs.
    pub fn new(step: Step, jobs: usize) -> Result<Self, Failure> {
        let secrets: Vec<Octets> = (0..jobs).map(|job| seed::octets("X25519 secret", job)).collect();
        let pairs = secrets.iter().map(private_key).collect::<Result<_, _>>()?;
        let theirs = (0..jobs).map(|job| private_key(&seed::octets("X25519 peer", job)));
        let peers =
            theirs.map(|theirs| theirs?.compute_public_key().map_err(Failure::crypto("an X25519 key")));
        let peers: Vec<_> = peers.collect::<Result<_, _>>()?;
        let peer_octets = peers.iter().filter_map(octets).collect();
        let mut pool = Self { step, secrets, pairs, peers, peer_octets, references: Vec::new() };
        pool.references = (0..jobs).map(|job| pool.by_aws_lc_rs(job)).collect();
        Ok(pool)
    }

    fn by_aws_lc_rs(&self, job: usize) -> Option<Octets> {
        match self.step {
            // With the key made anew: aws-lc computes the public value then, and later only copies it.
            Step::Public => octets(
                &PrivateKey::from_private_key(&X25519, &self.secrets[job]).ok()?.compute_public_key().ok()?,
            ),
            Step::Shared => {
                let peer = UnparsedPublicKey::new(&X25519, &self.peers[job]);
                agree(&self.pairs[job], peer, (), |shared| shared.try_into().map_err(|_| ())).ok()
            }
        }
    }

    fn judge(&self) -> impl FnMut(usize, &[u8]) -> bool + '_ {
        |job, octets| self.references[job].is_some_and(|reference| reference == octets)
    }
}

fn private_key(secret: &Octets) -> Result<PrivateKey, Failure> {
    PrivateKey::from_private_key(&X25519, secret).map_err(Failure::crypto("an X25519 key"))
}

fn octets(key: &PublicKey) -> Option<Octets> {
    key.as_ref().try_into().ok()
}

impl pool::Pool for Pool {
    fn aws_lc_rs(&self, fill: usize) -> Box<dyn Work + '_> {
        one_by_one(fill, |job| self.by_aws_lc_rs(job), self.judge())
    }

    fn bare(&self, kernels: Kernels, fill: usize) -> Box<dyn Work + '_> {
        let mut work = Box::new(Workspace::default());
        match self.step {
            Step::Public => {
                let secrets: Vec<_> = self.secrets.iter().take(fill).collect();
                let batch = move |out: &mut [_]| public(kernels, &secrets, &mut work, out);
                Box::new(Kept::batch(fill, batch, self.judge()))
            }
            Step::Shared => {
                let pairs = self.secrets.iter().zip(&self.peer_octets).take(fill);
                let jobs: Vec<_> = pairs.map(|(secret, peer)| Job { secret, peer }).collect();
                let batch = move |out: &mut [_]| shared(kernels, &jobs, &mut work, out);
                Box::new(Kept::batch(fill, batch, self.judge()))
            }
        }
    }

    /// There is no check of a key exchange: a wrong one fails at both ends.
    fn checked(&self, _: Kernels, _: usize) -> Option<Box<dyn Work + '_>> {
        None
    }
}
