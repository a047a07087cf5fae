//! X25519 (RFC 7748) for up to 128 secrets at once: public values and shared secrets.
//!
//! These are low-level entry points. A public value is a multiple of a fixed point, by the comb of `edwards25519`; a shared
//! secret is Montgomery's ladder. There is no check beside them: a wrong public value or shared secret lets a handshake
//! fail at both ends, and tells nothing when the secret is used once. Do not use them with long-lived secrets.

mod ladder;

use crate::edwards25519::comb::{self, Comb};
use crate::edwards25519::scalar::Scalar;
use crate::field25519::{Fe, FeBlocks, Words};
use crate::lanes::{Block, Lanes, Mask, erase, load_all};
use crate::tier::Kernel;
use crate::{Fault, Kernels, Unchecked};
use ladder::Ladder;

/// The most jobs of a batch.
pub const LANES_MAX: usize = 128;
const VECTORS_MAX: usize = LANES_MAX / 8;

/// One shared secret to make.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// One's own secret: any 32 octets; which bits count is the standard's affair.
    pub secret: &'a [u8; 32],
    /// The peer's public value.
    pub peer: &'a [u8; 32],
}

/// Memory for a batch, about 70 KiB: what held a secret is erased at the end of each call.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    ladders: [Ladder; VECTORS_MAX],
    combs: [Comb; VECTORS_MAX],
    fractions: [Fraction; VECTORS_MAX],
}

/// Numerators and denominators on the way to their quotients.
#[derive(Clone, Debug, Default)]
struct Fraction {
    above: FeBlocks,
    below: FeBlocks,
    /// Of the denominators up to this one, zeros left out.
    product: FeBlocks,
    quotient: Words,
}

impl Fraction {
    fn erase(&mut self) {
        for blocks in [&mut self.above, &mut self.below, &mut self.product] {
            erase(blocks);
        }
        erase(&mut self.quotient);
    }
}

/// The secrets of eight lanes as words, with the bits set that RFC 7748 §5 wants so. Lanes beyond the last repeat it.
fn load_secrets<'a>(secret: impl Fn(usize) -> &'a [u8; 32], words: &mut Words) {
    for lane in 0..8 {
        for (block, octets) in words.iter_mut().zip(secret(lane).as_chunks().0) {
            block.0[lane] = u64::from_le_bytes(*octets);
        }
        words[0].0[lane] &= !7;
        words[3].0[lane] = words[3].0[lane] & (u64::MAX >> 1) | 1 << 62;
    }
}

fn octets(words: &Words, lane: usize) -> [u8; 32] {
    let mut octets = [0; 32];
    for (to, word) in octets.as_chunks_mut().0.iter_mut().zip(words) {
        *to = word.0[lane].to_le_bytes();
    }
    octets
}

/// All quotients by one inversion, n/0 being 0 (RFC 7748 §5: "x_2 * (z_2^(p - 2))").
fn divide<L: Lanes>(fractions: &mut [Fraction]) {
    /// 1 in place of 0.
    #[inline(always)]
    fn factor<L: Lanes>(below: Fe<L>) -> (Mask, Fe<L>) {
        let is_zero = below.equals(Fe::small(0));
        (is_zero, Fe::select(is_zero, Fe::small(1), below))
    }
    L::run(
        #[inline(always)]
        || {
            let mut product = Fe::<L>::small(1);
            for fraction in &mut *fractions {
                product = product.mul(factor(Fe::load(&fraction.below)).1).carry();
                product.store(&mut fraction.product);
            }
            let mut inverse = product.invert();
            for number in (0..fractions.len()).rev() {
                let before = match number {
                    0 => Fe::small(1),
                    _ => Fe::load(&fractions[number - 1].product),
                };
                let fraction = &mut fractions[number];
                let (is_zero, below) = factor::<L>(Fe::load(&fraction.below));
                let quotient = Fe::load(&fraction.above).mul(inverse.mul(before).carry()).carry();
                inverse = inverse.mul(below).carry();
                let words = Fe::select(is_zero, Fe::small(0), quotient).to_words();
                for (word, to) in words.into_iter().zip(&mut fraction.quotient) {
                    word.store(to);
                }
            }
        },
    );
}

struct Public<'a> {
    secrets: &'a [&'a [u8; 32]],
    work: &'a mut Workspace,
    out: &'a mut [Result<Unchecked<[u8; 32]>, Fault>],
}

impl Kernel for Public<'_> {
    type Output = ();

    fn run<L: Lanes>(self) {
        let vectors = self.secrets.len().div_ceil(8);
        let (combs, fractions) = (&mut self.work.combs[..vectors], &mut self.work.fractions[..vectors]);
        let mut words = Words::default();
        for (number, comb) in combs.iter_mut().enumerate() {
            let last = self.secrets.len() - 1;
            load_secrets(|lane| self.secrets[(8 * number + lane).min(last)], &mut words);
            L::run(
                #[inline(always)]
                || {
                    let secret = Scalar::<L>::from_words(load_all(&words));
                    // Modulo the base point's order, by way of Montgomery's form.
                    comb.start(secret.times_r().over_r().canonical());
                },
            );
        }
        comb::multiply_base::<L>(combs);
        for (comb, fraction) in combs.iter_mut().zip(&mut *fractions) {
            L::run(
                #[inline(always)]
                || {
                    // u = (1 + y)/(1 − y), RFC 7748 §4.1.
                    let [_, y, z] = comb.coordinates::<L>();
                    z.add(y).carry().store(&mut fraction.above);
                    z.sub(y).carry().store(&mut fraction.below);
                },
            );
            comb.erase();
        }
        divide::<L>(fractions);
        for (i, out) in self.out.iter_mut().enumerate() {
            *out = Ok(Unchecked::new(octets(&fractions[i / 8].quotient, i % 8)));
        }
        erase(&mut words);
        fractions.iter_mut().for_each(Fraction::erase);
    }
}

struct Shared<'a, 'b> {
    jobs: &'a [Job<'b>],
    work: &'a mut Workspace,
    out: &'a mut [Result<Unchecked<[u8; 32]>, Fault>],
}

impl Kernel for Shared<'_, '_> {
    type Output = ();

    fn run<L: Lanes>(self) {
        let vectors = self.jobs.len().div_ceil(8);
        let (ladders, fractions) = (&mut self.work.ladders[..vectors], &mut self.work.fractions[..vectors]);
        for (number, ladder) in ladders.iter_mut().enumerate() {
            let job = |lane: usize| &self.jobs[(8 * number + lane).min(self.jobs.len() - 1)];
            load_secrets(|lane| job(lane).secret, ladder.secrets());
            let mut peers = [Block::default(); 4];
            for lane in 0..8 {
                for (block, octets) in peers.iter_mut().zip(job(lane).peer.as_chunks().0) {
                    block.0[lane] = u64::from_le_bytes(*octets);
                }
            }
            ladder.start::<L>(&peers);
        }
        ladder::climb::<L>(ladders);
        for (ladder, fraction) in ladders.iter_mut().zip(&mut *fractions) {
            ladder.finish::<L>(&mut fraction.above, &mut fraction.below);
            ladder.erase();
        }
        divide::<L>(fractions);
        for (i, out) in self.out.iter_mut().enumerate() {
            let secret = octets(&fractions[i / 8].quotient, i % 8);
            // RFC 7748 §6.1: the octets are added up without a branch before it is told whether all are zero.
            let is_zero = secret.iter().fold(0, |sum, octet| sum | octet) == 0;
            *out = if is_zero { Err(Fault::SmallOrder) } else { Ok(Unchecked::new(secret)) };
        }
        fractions.iter_mut().for_each(Fraction::erase);
    }
}

/// The public value of every secret: `out[i]` becomes X25519(`secrets[i]`, 9).
///
/// # Panics
///
/// Unless there are 1 to [`LANES_MAX`] secrets and as many results.
pub fn public(
    kernels: Kernels,
    secrets: &[&[u8; 32]],
    work: &mut Workspace,
    out: &mut [Result<Unchecked<[u8; 32]>, Fault>],
) {
    assert!(
        (1..=LANES_MAX).contains(&secrets.len()) && out.len() == secrets.len(),
        "1 to 128 secrets, results"
    );
    kernels.dispatch(Public { secrets, work, out });
}

/// The shared secret of every job: `out[i]` becomes X25519(`jobs[i].secret`, `jobs[i].peer`), or
/// [`Fault::SmallOrder`] where that is zero.
///
/// # Panics
///
/// Unless there are 1 to [`LANES_MAX`] jobs and as many results.
pub fn shared(
    kernels: Kernels,
    jobs: &[Job<'_>],
    work: &mut Workspace,
    out: &mut [Result<Unchecked<[u8; 32]>, Fault>],
) {
    assert!((1..=LANES_MAX).contains(&jobs.len()) && out.len() == jobs.len(), "1 to 128 jobs and results");
    kernels.dispatch(Shared { jobs, work, out });
}

struct KnownAnswers;

impl Kernel for KnownAnswers {
    type Output = bool;

    fn run<L: Lanes>(self) -> bool {
        /// RFC 7748 §5.2, the first iteration: X25519(9, 9), which both ways must give.
        const NINE: [u8; 32] = {
            let mut nine = [0; 32];
            nine[0] = 9;
            nine
        };
        const ONCE: [u8; 32] = [
            0x42, 0x2c, 0x8e, 0x7a, 0x62, 0x27, 0xd7, 0xbc, 0xa1, 0x35, 0x0b, 0x3e, 0x2b, 0xb7, 0x27, 0x9f,
            0x78, 0x97, 0xb8, 0x7b, 0xb6, 0x85, 0x4b, 0x78, 0x3c, 0x60, 0xe8, 0x03, 0x11, 0xae, 0x30, 0x79,
        ];
        let mut work = Box::new(Workspace::default());
        let mut results = [const { Err(Fault::Wrong) }; 18];
        let (shared, public) = results.split_at_mut(9);
        Shared { jobs: &[Job { secret: &NINE, peer: &NINE }; 9], work: &mut work, out: shared }.run::<L>();
        Public { secrets: &[&NINE; 9], work: &mut work, out: public }.run::<L>();
        results.iter().all(|result| result.as_ref().is_ok_and(|result| *result.expose() == ONCE))
    }
}

/// A known answer of both.
pub(crate) fn proves(kernels: Kernels) -> bool {
    kernels.dispatch(KnownAnswers)
}

#[cfg(test)]
mod tests;
