//! The public key of a private one, to compare.

use core::marker::PhantomData;

use crate::Kernels;
use crate::ecdsa::comb::{self, Step, recode};
use crate::ecdsa::convert::{self, Words, to_words};
use crate::ecdsa::curve::Curve;
use crate::ecdsa::field::{
    Digits, Element, borrow, canonical, digits, load, multiply, splat, square, store, subtract,
};
use crate::ecdsa::inverse::invert_all;
use crate::ecdsa::key::{Key, KeyError};
use crate::ecdsa::modulus::Modulus;
use crate::ecdsa::point::Sum;
use crate::lanes::{Block, Lanes};
use crate::tier::Kernel;

/// Whether 04 ‖ x ‖ y is d·G. For the two d that the comb cannot do it says no.
pub(crate) fn verify<C: Curve<N>, const N: usize>(
    kernels: Kernels,
    key: &Key<N>,
    public: &[u8],
) -> Result<(), KeyError> {
    let point = kernels.dispatch(Multiply::<C, N>(key, PhantomData));
    let (mut x, mut y) = ([0; 64], [0; 64]);
    convert::get(&point[0], 0, &mut x[64 - C::OCTETS..]);
    convert::get(&point[1], 0, &mut y[64 - C::OCTETS..]);
    let is_same = public.first() == Some(&4)
        && public[1..=C::OCTETS] == x[64 - C::OCTETS..]
        && public[1 + C::OCTETS..] == y[64 - C::OCTETS..];
    if is_same { Ok(()) } else { Err(KeyError::Mismatch) }
}

/// d·G, in every lane.
struct Multiply<'a, C, const N: usize>(&'a Key<N>, PhantomData<C>);

impl<C: Curve<N>, const N: usize> Kernel for Multiply<'_, C, N> {
    type Output = [Words; 2];

    fn run<L: Lanes>(self) -> [Words; 2] {
        let (mut recoded, mut sum) = ([Block::default(); N], Sum::EMPTY);
        let opposite = self.0.opposite;
        L::run(
            #[inline(always)]
            || store(recode_odd::<L, C, N>(&opposite), &mut recoded),
        );
        comb::begin::<L, C, N>(Step { recoded: &recoded, window: 0, sum: &mut sum });
        for window in 1..C::comb().len() {
            comb::add::<L, C, N, 1>([Step { recoded: &recoded, window, sum: &mut sum }]);
        }
        crate::lanes::erase(&mut recoded);
        let mut inverse = [sum.zzz];
        invert_all::<L, C::Field, N>(&mut inverse, &mut [[Block::default(); N]]);
        let mut words = [Words::default(); 2];
        // Whether the odd scalar was n − d itself; its parity is not worth hiding here, but costs nothing to hide.
        let negate = L::run(
            #[inline(always)]
            || L::splat(opposite[0] & 1).is_zero() ^ 0xff,
        );
        L::run(
            #[inline(always)]
            || affine::<L, C, N>(&sum, &inverse[0], negate, &mut words),
        );
        sum.erase();
        words
    }
}

/// The odd one of d and n − d.
#[inline(always)]
fn recode_odd<L: Lanes, C: Curve<N>, const N: usize>(opposite: &[u64; N]) -> Digits<L, N> {
    let opposite: Digits<L, N> = splat(opposite);
    let mut scalar = subtract(splat(&C::Order::PRIME), &opposite);
    borrow(&mut scalar);
    let even = opposite[0].and(L::splat(1)).is_zero();
    recode::<L, C, N>(&digits!(j => L::select(even, scalar[j], opposite[j])))
}

/// x and ± y as integers.
#[inline(always)]
fn affine<L: Lanes, C: Curve<N>, const N: usize>(
    sum: &Sum<N>,
    inverse: &Element<N>,
    negate: crate::lanes::Mask,
    words: &mut [Words; 2],
) {
    let inverse = load(inverse);
    let one = digits!(j => L::splat(u64::from(j == 0)));
    let [z, y] = multiply::<L, C::Field, N, 2>(&[load(&sum.zz), load(&sum.y)], &[inverse, inverse]);
    let z = square::<L, C::Field, N, 1>(&[z]);
    let [x] = multiply::<L, C::Field, N, 1>(&[load(&sum.x)], &z);
    let [mut x, mut y] = multiply::<L, C::Field, N, 2>(&[x, y], &[one, one]);
    canonical::<L, C::Field, N>(&mut x, 1);
    canonical::<L, C::Field, N>(&mut y, 1);
    let mut opposite = subtract(splat(&C::Field::PRIME), &y);
    borrow(&mut opposite);
    to_words(&x, &mut words[0]);
    to_words(&digits!(j => L::select(negate, opposite[j], y[j])), &mut words[1]);
}
