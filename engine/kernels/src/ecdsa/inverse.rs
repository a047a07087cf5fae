//! Inverses of a whole batch for the price of one and three multiplications each (P. L. Montgomery's trick, over the
//! vectors of the batch and then over the lanes of the last product).

use crate::ecdsa::field::{Digits, Element, canonical, digits, load, multiply, splat, store};
use crate::ecdsa::modulus::Modulus;
use crate::ecdsa::safegcd;
use crate::lanes::{Block, Lanes};

/// Replaces every value by its inverse, all in Montgomery form, clean, below 1.5 times the prime before and after. One zero
/// makes all of them zero.
///
/// `before` has as many elements as `values`; it is left with secrets.
pub(crate) fn invert_all<L: Lanes, M: Modulus<N>, const N: usize>(
    values: &mut [Element<N>],
    before: &mut [Element<N>],
) {
    let count = values.len();
    before[0] = values[0];
    for i in 1..count {
        let (known, next) = before.split_at_mut(i);
        times::<L, M, N>(&known[i - 1], &values[i], &mut next[0]);
    }
    let mut inverse = invert_lanes::<L, M, N>(&before[count - 1]);
    for i in (1..count).rev() {
        let value = values[i];
        times::<L, M, N>(&inverse, &before[i - 1], &mut values[i]);
        let rest = inverse;
        times::<L, M, N>(&rest, &value, &mut inverse);
    }
    values[0] = inverse;
    zeroize::Zeroize::zeroize(&mut inverse);
}

/// One product.
fn times<L: Lanes, M: Modulus<N>, const N: usize>(a: &Element<N>, b: &Element<N>, to: &mut Element<N>) {
    L::run(
        #[inline(always)]
        || {
            let [product] = multiply::<L, M, N, 1>(&[load(a)], &[load(b)]);
            store(product, to);
        },
    );
}

#[inline(always)]
fn swap<L: Lanes, const N: usize, const DISTANCE: usize>(value: &Digits<L, N>) -> Digits<L, N> {
    digits!(j => value[j].swap::<DISTANCE>())
}

/// The inverses of eight lanes: pairs, fours and all eight are multiplied, and the inverse of the product is taken apart.
fn invert_lanes<L: Lanes, M: Modulus<N>, const N: usize>(value: &Element<N>) -> Element<N> {
    let mut others = [Block::default(); N];
    let mut words = [Block::default(); N];
    L::run(
        #[inline(always)]
        || {
            let one = load::<L, N>(value);
            let [two] = multiply::<L, M, N, 1>(&[one], &[swap::<L, N, 1>(&one)]);
            let [four] = multiply::<L, M, N, 1>(&[two], &[swap::<L, N, 2>(&two)]);
            let [mut eight] = multiply::<L, M, N, 1>(&[four], &[swap::<L, N, 4>(&four)]);
            canonical::<L, M, N>(&mut eight, 1);
            let [apart] = multiply::<L, M, N, 1>(&[swap::<L, N, 1>(&one)], &[swap::<L, N, 2>(&two)]);
            let [apart] = multiply::<L, M, N, 1>(&[apart], &[swap::<L, N, 4>(&four)]);
            store(apart, &mut others);
            store(eight, &mut words);
        },
    );
    let mut inverse = safegcd::invert::<M, N>(&words.map(|block| block.0[0]));
    L::run(
        #[inline(always)]
        || {
            // The inverse of xR is x⁻¹R⁻¹; times R³ gives x⁻¹R.
            let [all] = multiply::<L, M, N, 1>(&[splat(&inverse)], &[splat(&M::R3)]);
            let [value] = multiply::<L, M, N, 1>(&[all], &[load(&others)]);
            store(value, &mut words);
        },
    );
    let found = words;
    crate::lanes::erase(&mut others);
    crate::lanes::erase(&mut words);
    zeroize::Zeroize::zeroize(&mut inverse);
    found
}
