//! The check of a batch, from the public inputs, the second copy of the key, and what signing left: k, the point R and the
//! sum of the tags. A signature leaves only if all of this holds:
//!
//! 1. the tags of the comb's entries sum up to the fingerprint of k: the right entries were added, with the right signs;
//! 2. R is on the curve: no addition went wrong, or it would have left the curve (formulas do not use b), nor an inversion;
//! 3. r is x(R) modulo the order;
//! 4. s is below the order and s·k + r·(n − d) = z modulo it.
//!
//! `docs/adr` says why not by recomputing with random multiples.

use core::marker::PhantomData;

use crate::ecdsa::convert::{self, Words, to_digits};
use crate::ecdsa::curve::Curve;
use crate::ecdsa::field::{
    Digits, Element, canonical, carry, digits, equal, load, multiply, multiply_add, splat, square, zero,
};
use crate::ecdsa::sign::{put_scalar, to_scalar, touch};
use crate::ecdsa::tag;
use crate::ecdsa::work::{Operation, Scratch, Vector};
use crate::lanes::{Block, Lanes, Mask};
use crate::tier::Kernel;
use crate::{Checked, Fault, Unchecked};

/// A signed batch to check.
pub(crate) struct Check<'a, C, O, const N: usize, const LEN: usize> {
    pub(crate) operations: &'a [O],
    pub(crate) work: &'a mut Scratch<N>,
    pub(crate) results: &'a mut [Result<Unchecked<[u8; LEN]>, Fault>],
    pub(crate) out: &'a mut [Result<Checked<[u8; LEN]>, Fault>],
    pub(crate) curve: PhantomData<C>,
}

impl<C: Curve<N>, O: Operation<N>, const N: usize, const LEN: usize> Kernel for Check<'_, C, O, N, LEN> {
    type Output = ();

    fn run<L: Lanes>(self) {
        let was_signed = self.work.signed == self.operations.len();
        for (number, operations) in self.operations.chunks(8).enumerate() {
            touch(self.work, number, "check");
            let range = 8 * number..8 * number + operations.len();
            let (results, out) = (&mut self.results[range.clone()], &mut self.out[range]);
            let holds = holds::<L, C, O, N, LEN>(operations, &self.work.vectors[number], results);
            for (lane, (result, out)) in results.iter_mut().zip(out).enumerate() {
                let holds = was_signed && holds >> lane & 1 == 1;
                *out = match core::mem::replace(result, Err(Fault::Wrong)) {
                    Ok(unchecked) if holds => Ok(unchecked.into_checked()),
                    Ok(_) => Err(Fault::Wrong),
                    Err(fault) => Err(fault),
                };
            }
        }
        self.work.erase_all(self.operations.len().div_ceil(8));
    }
}

/// The lanes whose signature passes.
fn holds<L: Lanes, C: Curve<N>, O: Operation<N>, const N: usize, const LEN: usize>(
    operations: &[O],
    vector: &Vector<N>,
    results: &[Result<Unchecked<[u8; LEN]>, Fault>],
) -> Mask {
    let mut opposites = [Block::default(); N];
    let (mut r, mut s, mut z): (Words, Words, Words) = Default::default();
    for (lane, (operation, result)) in operations.iter().zip(results).enumerate() {
        let signature = result.as_ref().map_or([0; LEN], |unchecked| *unchecked.expose());
        let (r_octets, s_octets) = signature.split_at(LEN / 2);
        convert::put(r_octets, &mut r, lane);
        convert::put(s_octets, &mut s, lane);
        convert::put(operation.digest(), &mut z, lane);
        put_scalar(&operation.key().opposite, &mut opposites, lane);
    }
    let holds = L::run(
        #[inline(always)]
        || {
            let k = load::<L, N>(&vector.k);
            let [r, s, z] = [to_digits(&r, 0), to_digits(&s, 0), to_digits(&z, 0)];
            let x = load(&vector.sum.x);
            tag::agrees(L::load(&vector.sum.tag), &k)
                & is_on_curve::<L, C, N>(&x, &load(&vector.sum.y))
                & equal(&to_scalar::<L, C, N>(&x), &r)
                & is_signature::<L, C, N>(&k, &r, &s, &z, &opposites)
        },
    );
    crate::lanes::erase(&mut opposites);
    holds
}

/// y² + 3x = x³ + b, of clean coordinates below 1.2 p.
#[inline(always)]
fn is_on_curve<L: Lanes, C: Curve<N>, const N: usize>(x: &Digits<L, N>, y: &Digits<L, N>) -> Mask {
    let nothing = [[L::splat(0); N]];
    let mut left =
        multiply_add::<L, C::Field, N, 1, 2>([(&[*y], &[*y]), (&[*x], &[splat(&C::THREE)])], nothing);
    carry(&mut left);
    let xx = square::<L, C::Field, N, 1>(&[*x]);
    let mut right = multiply_add::<L, C::Field, N, 1, 1>([(&xx, &[*x])], [splat(&C::B)]);
    carry(&mut right);
    let ([mut left], [mut right]) = (left, right);
    canonical::<L, C::Field, N>(&mut left, 1);
    canonical::<L, C::Field, N>(&mut right, 2);
    equal(&left, &right)
}

/// s·k + r·(n − d) = z, and 0 < r, 0 < s < n.
#[inline(always)]
fn is_signature<L: Lanes, C: Curve<N>, const N: usize>(
    k: &Digits<L, N>,
    r: &Digits<L, N>,
    s: &Digits<L, N>,
    z: &Digits<L, N>,
    opposite: &Element<N>,
) -> Mask {
    let nothing = [[L::splat(0); N]];
    let products = [(&[*s], &[*k]), (&[*r], &[load(opposite)])];
    let mut left = multiply_add::<L, C::Order, N, 1, 2>(products, nothing);
    carry(&mut left);
    let one = digits!(j => L::splat(u64::from(j == 0)));
    let [mut right] = multiply::<L, C::Order, N, 1>(&[*z], &[one]);
    let [mut left] = left;
    canonical::<L, C::Order, N>(&mut left, 1);
    canonical::<L, C::Order, N>(&mut right, 1);
    let mut reduced = *s;
    canonical::<L, C::Order, N>(&mut reduced, 1);
    equal(&left, &right) & equal(&reduced, s) & !zero(r) & !zero(s)
}
