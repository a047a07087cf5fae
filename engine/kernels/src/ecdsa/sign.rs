//! Signing a batch: nonces, the comb, two shared inversions, and s = k⁻¹(z + r·d).

use crate::ecdsa::comb::{self, Step};
use crate::ecdsa::convert::{self, Words, to_digits, to_words};
use crate::ecdsa::curve::Curve;
use crate::ecdsa::field::{
    Digits, Element, canonical, carry, digits, load, multiply, multiply_add, square, store, zero,
};
use crate::ecdsa::inverse::invert_all;
use crate::ecdsa::nonce;
use crate::ecdsa::work::{Operation, Scratch, Vector};
use crate::lanes::{Block, Lanes};
use crate::tier::Kernel;
use crate::{Fault, Unchecked};

/// Octets of a wide nonce.
pub const WIDE_NONCE_LEN: usize = 64;

/// A batch to sign. Without `nonces` they are derived, and `work.fresh` has been filled.
pub(crate) struct Sign<'a, C, O, const N: usize, const LEN: usize> {
    pub(crate) operations: &'a [O],
    pub(crate) nonces: Option<&'a [[u8; WIDE_NONCE_LEN]]>,
    pub(crate) work: &'a mut Scratch<N>,
    pub(crate) out: &'a mut [Result<Unchecked<[u8; LEN]>, Fault>],
    pub(crate) curve: core::marker::PhantomData<C>,
}

impl<C: Curve<N>, O: Operation<N>, const N: usize, const LEN: usize> Kernel for Sign<'_, C, O, N, LEN> {
    type Output = ();

    fn run<L: Lanes>(self) {
        let count = self.operations.len().div_ceil(8);
        let work = self.work;
        draw::<L, C, O, N>(self.operations, self.nonces, work);
        multiply_base::<L, C, N>(work, count);
        for (vector, to) in work.vectors[..count].iter().zip(&mut work.inverses[0]) {
            *to = vector.sum.zzz;
        }
        let [points, nonces] = &mut work.inverses;
        invert_all::<L, C::Field, N>(&mut points[..count], &mut work.products[..count]);
        invert_all::<L, C::Order, N>(&mut nonces[..count], &mut work.products[..count]);
        for (number, operations) in self.operations.chunks(8).enumerate() {
            touch(work, number, "inverse");
            let out = &mut self.out[8 * number..][..operations.len()];
            let inverses = [&work.inverses[0][number], &work.inverses[1][number]];
            finish::<L, C, O, N, LEN>(operations, &mut work.vectors[number], inverses, out);
            touch(work, number, "affine");
        }
        work.erase_signing(count);
    }
}

/// Nonces of every vector.
fn draw<L: Lanes, C: Curve<N>, O: Operation<N>, const N: usize>(
    operations: &[O],
    nonces: Option<&[[u8; WIDE_NONCE_LEN]]>,
    work: &mut Scratch<N>,
) {
    for (number, operations) in operations.chunks(8).enumerate() {
        let vector = &mut work.vectors[number];
        if let Some(nonces) = nonces {
            for lane in 0..operations.len() {
                convert::put(&nonces[8 * number + lane], &mut vector.words, lane);
            }
        } else {
            nonce::derive::<L, O, N>(
                operations,
                &work.fresh[8 * number..],
                &mut work.hash,
                &mut vector.words,
            );
        }
        let montgomery = &mut work.inverses[1][number];
        L::run(
            #[inline(always)]
            || nonce::reduce::<L, C, N>(vector, montgomery),
        );
        touch(work, number, "nonce");
    }
}

/// k·G of every vector, two vectors at a time; an odd one out in two halves, so that nothing waits for itself.
fn multiply_base<L: Lanes, C: Curve<N>, const N: usize>(work: &mut Scratch<N>, count: usize) {
    let pairs = count / 2;
    for window in 0..C::comb().len() {
        for pair in 0..pairs {
            let [first, second, ..] = &mut work.vectors[2 * pair..] else { unreachable!() };
            let steps =
                [first, second].map(|vector| Step { recoded: &vector.recoded, window, sum: &mut vector.sum });
            if window == 0 {
                for step in steps {
                    comb::begin::<L, C, N>(step);
                }
            } else {
                comb::add::<L, C, N, 2>(steps);
            }
            touch(work, 2 * pair, "sum");
            touch(work, 2 * pair + 1, "sum");
        }
    }
    if count % 2 == 1 {
        multiply_base_by_halves::<L, C, N>(work, count - 1);
    }
}

/// k·G of one vector. The lower half of the comb may have one window more than the upper.
fn multiply_base_by_halves<L: Lanes, C: Curve<N>, const N: usize>(work: &mut Scratch<N>, number: usize) {
    let windows = C::comb().len();
    for window in 0..C::HALF {
        let vector = &mut work.vectors[number];
        let recoded = &vector.recoded;
        let lower = Step { recoded, window, sum: &mut vector.sum };
        let upper = Step { recoded, window: C::HALF + window, sum: &mut vector.upper };
        if window == 0 {
            comb::begin::<L, C, N>(lower);
            comb::begin::<L, C, N>(upper);
        } else if C::HALF + window < windows {
            comb::add::<L, C, N, 2>([lower, upper]);
        } else {
            comb::add::<L, C, N, 1>([lower]);
        }
        touch(work, number, "sum");
    }
    let Vector { sum, upper, .. } = &mut work.vectors[number];
    L::run(
        #[inline(always)]
        || sum.join::<L, C>(upper),
    );
    touch(work, number, "sum");
}

/// From k·G and the inverses to signatures.
fn finish<L: Lanes, C: Curve<N>, O: Operation<N>, const N: usize, const LEN: usize>(
    operations: &[O],
    vector: &mut Vector<N>,
    inverses: [&Element<N>; 2],
    out: &mut [Result<Unchecked<[u8; LEN]>, Fault>],
) {
    let mut scalars = [Block::default(); N];
    let (mut r, mut s): (Words, Words) = (Words::default(), Words::default());
    for (lane, operation) in operations.iter().enumerate() {
        convert::put(operation.digest(), &mut vector.words, lane);
        put_scalar(&operation.key().scalar, &mut scalars, lane);
    }
    let unusable = L::run(
        #[inline(always)]
        || {
            let x = to_affine::<L, C, N>(vector, inverses[0]);
            let r_digits = to_scalar::<L, C, N>(&x);
            let s_digits = s_of::<L, C, N>(&vector.words, &r_digits, &scalars, inverses[1]);
            to_words(&r_digits, &mut r);
            to_words(&s_digits, &mut s);
            zero(&r_digits) | zero(&s_digits)
        },
    );
    crate::lanes::erase(&mut scalars);
    for (lane, out) in out.iter_mut().enumerate() {
        let mut signature = [0; LEN];
        let (r_octets, s_octets) = signature.split_at_mut(LEN / 2);
        convert::get(&r, lane, r_octets);
        convert::get(&s, lane, s_octets);
        let is_unusable = (unusable | vector.unusable) >> lane & 1 == 1;
        *out = if is_unusable { Err(Fault::Nonce) } else { Ok(Unchecked::new(signature)) };
    }
}

/// A key's number into a lane.
pub(crate) fn put_scalar<const N: usize>(scalar: &[u64; N], to: &mut Element<N>, lane: usize) {
    for (block, digit) in to.iter_mut().zip(scalar) {
        block.0[lane] = *digit;
    }
}

/// x = X·(ZZ / ZZZ)² and y = Y / ZZZ in place, clean; returns x. Not on the curve, ever, unless ZZ³ = ZZZ².
#[inline(always)]
fn to_affine<L: Lanes, C: Curve<N>, const N: usize>(
    vector: &mut Vector<N>,
    inverse: &Element<N>,
) -> Digits<L, N> {
    let sum = &mut vector.sum;
    let inverse = load(inverse);
    let [z, y] = multiply::<L, C::Field, N, 2>(&[load(&sum.zz), load(&sum.y)], &[inverse, inverse]);
    let z = square::<L, C::Field, N, 1>(&[z]);
    let [x] = multiply::<L, C::Field, N, 1>(&[load(&sum.x)], &z);
    store(x, &mut sum.x);
    store(y, &mut sum.y);
    x
}

/// A coordinate out of Montgomery form, as an integer, modulo the order.
#[inline(always)]
pub(crate) fn to_scalar<L: Lanes, C: Curve<N>, const N: usize>(x: &Digits<L, N>) -> Digits<L, N> {
    let one = digits!(j => L::splat(u64::from(j == 0)));
    let [mut x] = multiply::<L, C::Field, N, 1>(&[*x], &[one]);
    canonical::<L, C::Field, N>(&mut x, 1);
    canonical::<L, C::Order, N>(&mut x, 1);
    x
}

/// s = k⁻¹(z + r·d).
#[inline(always)]
fn s_of<L: Lanes, C: Curve<N>, const N: usize>(
    digest: &Words,
    r: &Digits<L, N>,
    d: &Element<N>,
    inverse: &Element<N>,
) -> Digits<L, N> {
    // Below 2.2 n: z < 2^(8 · octets) < 1.1 n, r·d < 1.1 n.
    let mut sum = multiply_add::<L, C::Order, N, 1, 1>([(&[*r], &[load(d)])], [to_digits(digest, 0)]);
    carry(&mut sum);
    let [mut s] = multiply::<L, C::Order, N, 1>(&sum, &[load(inverse)]);
    canonical::<L, C::Order, N>(&mut s, 1);
    s
}

/// Lets a test spoil what it wants.
#[cfg(any(test, feature = "faults"))]
pub(crate) fn touch<const N: usize>(work: &mut Scratch<N>, number: usize, name: &'static str) {
    let Scratch { vectors, inverses, faults, .. } = work;
    let vector = &mut vectors[number];
    for memory in [
        &mut vector.k,
        &mut vector.recoded,
        &mut vector.sum.x,
        &mut vector.sum.y,
        &mut vector.sum.zz,
        &mut vector.sum.zzz,
    ] {
        faults.touch(name, number, memory);
    }
    faults.touch(name, number, core::slice::from_mut(&mut vector.sum.tag));
    for memory in [&mut vector.upper.x, &mut vector.upper.y, &mut vector.upper.zz, &mut vector.upper.zzz] {
        faults.touch(name, number, memory);
    }
    faults.touch(name, number, core::slice::from_mut(&mut vector.upper.tag));
    faults.touch(name, number, &mut inverses[0][number]);
    faults.touch(name, number, &mut inverses[1][number]);
}

#[cfg(not(any(test, feature = "faults")))]
#[inline(always)]
pub(crate) fn touch<const N: usize>(_work: &mut Scratch<N>, _number: usize, _name: &'static str) {}
