//! Arithmetic modulo a prime, several streams of eight lanes at once.
//!
//! An element is N digits of 52 bits per lane, in Montgomery form with R = 2^(52 · N). A function takes `S` streams: the
//! multiplications of one stream wait for each other, those of two streams do not, and two fill the processor.
//!
//! Two forms: **clean**, every digit below 2^52, which multiplication wants; and **raw**, digits of up to 63 bits, which
//! additions leave. [`carry`] leads from one to the other. Values are not reduced: comments bound them in multiples of the
//! prime.

use crate::ecdsa::modulus::Modulus;
use crate::lanes::{Block, DIGIT_BITS, DIGIT_MASK, Lanes, Mask};

/// One expression for every digit, or with `streams` for every stream. `core::array::from_fn` would do, but LLVM does not
/// always inline it, and then its body lacks the instructions of the tier.
macro_rules! digits {
    ($index:ident => $value:expr) => {{
        let mut all = [L::splat(0); N];
        for $index in 0..N {
            all[$index] = $value;
        }
        all
    }};
}
macro_rules! streams {
    ($index:ident => $value:expr) => {{
        let mut all = [[L::splat(0); N]; S];
        for $index in 0..S {
            all[$index] = $value;
        }
        all
    }};
}
pub(crate) use {digits, streams};

/// N digits in registers.
pub(crate) type Digits<L, const N: usize> = [L; N];
/// The same in memory.
pub(crate) type Element<const N: usize> = [Block; N];

/// From memory.
#[inline(always)]
pub(crate) fn load<L: Lanes, const N: usize>(from: &Element<N>) -> Digits<L, N> {
    digits!(j => L::load(&from[j]))
}

/// To memory.
#[inline(always)]
pub(crate) fn store<L: Lanes, const N: usize>(value: Digits<L, N>, to: &mut Element<N>) {
    for (digit, block) in value.into_iter().zip(to) {
        digit.store(block);
    }
}

/// The same number in every lane.
#[inline(always)]
pub(crate) fn splat<L: Lanes, const N: usize>(number: &[u64; N]) -> Digits<L, N> {
    digits!(j => L::splat(number[j]))
}

/// A multiple of the prime, so spread that a raw or clean value can be taken from it digit by digit: every digit below
/// the top one is at least 2^`bits` − 2^(`bits` − 52), and the top one is that of the multiple less 2^(`bits` − 52).
pub(crate) const fn spread<M: Modulus<N>, const N: usize>(times: u64, bits: u32) -> [u64; N] {
    let mut digits = [0; N];
    let mut carry = 0;
    let mut j = 0;
    while j < N {
        let digit = M::PRIME[j] * times + carry;
        digits[j] = if j + 1 < N { digit & DIGIT_MASK } else { digit };
        carry = digit >> DIGIT_BITS;
        j += 1;
    }
    let borrowed = 1 << (bits - DIGIT_BITS);
    j = 0;
    while j + 1 < N {
        digits[j] += if j == 0 { 1 << bits } else { (1 << bits) - borrowed };
        j += 1;
    }
    digits[N - 1] -= borrowed;
    digits
}

/// a − b, digit by digit.
#[inline(always)]
pub(crate) fn subtract<L: Lanes, const N: usize>(a: Digits<L, N>, b: &Digits<L, N>) -> Digits<L, N> {
    digits!(j => a[j].sub(b[j]))
}

/// Bounds are not kept where a test spoils values.
#[inline(always)]
fn is_spoilt() -> bool {
    #[cfg(any(test, feature = "faults"))]
    return crate::ecdsa::faults::SPOILS.get();
    #[cfg(not(any(test, feature = "faults")))]
    false
}

/// Whether a raw value is one: digits of up to 63 bits.
#[inline(always)]
fn is_raw<L: Lanes, const N: usize>(value: &Digits<L, N>) -> bool {
    value.iter().all(|digit| digit.shr::<63>().is_zero() == Mask::MAX)
}

/// Raw to clean. The top digit keeps what the others carry into it; the value must be below 2^(52 · N).
#[inline(always)]
pub(crate) fn carry<L: Lanes, const N: usize, const S: usize>(raw: &mut [Digits<L, N>; S]) {
    debug_assert!(is_spoilt() || raw.iter().all(is_raw), "a digit is negative or too large");
    for j in 0..N - 1 {
        for value in raw.iter_mut() {
            let up = value[j].shr::<DIGIT_BITS>();
            value[j] = value[j].and(L::splat(DIGIT_MASK));
            value[j + 1] = value[j + 1].add(up);
        }
    }
    debug_assert!(
        is_spoilt() || raw.iter().all(|value| value[N - 1].shr::<DIGIT_BITS>().is_zero() == Mask::MAX),
        "the value is too large"
    );
}

/// Raw sum of products divided by R, plus `sum`: (Σ aₖ·bₖ + q·prime) / R + sum, a and b clean.
///
/// Below (Σ aₖ·bₖ) / R + prime + sum. Raw digits stay below those of `sum` + (2K + 2) · N · 2^52 < 2^59.
#[inline(always)]
pub(crate) fn multiply_add<L: Lanes, M: Modulus<N>, const N: usize, const S: usize, const K: usize>(
    products: [(&[Digits<L, N>; S], &[Digits<L, N>; S]); K],
    sum: [Digits<L, N>; S],
) -> [Digits<L, N>; S] {
    let mut raw = [[L::splat(0); N]; S];
    for i in 0..N {
        for j in 0..N {
            for (a, b) in products {
                for s in 0..S {
                    raw[s][j] = raw[s][j].madd_lo(a[s][i], b[s][j]);
                }
            }
        }
        for s in 0..S {
            M::reduce(&mut raw[s], sum[s][i]);
        }
        for j in 0..N {
            for (a, b) in products {
                for s in 0..S {
                    raw[s][j] = raw[s][j].madd_hi(a[s][i], b[s][j]);
                }
            }
        }
    }
    raw
}

/// Raw square divided by R, plus `sum`. Bounds as for [`multiply_add`].
///
/// Products of different digits are gathered apart and count twice when their column is reduced.
#[inline(always)]
pub(crate) fn square_add<L: Lanes, M: Modulus<N>, const N: usize, const S: usize>(
    a: &[Digits<L, N>; S],
    sum: [Digits<L, N>; S],
) -> [Digits<L, N>; S] {
    const { assert!(N <= 8, "a row for every digit") };
    let mut square = Square { raw: [[L::splat(0); N]; S], mixed: [[L::splat(0); N]; S] };
    square.row::<M, 0>(a, &sum);
    square.row::<M, 1>(a, &sum);
    square.row::<M, 2>(a, &sum);
    square.row::<M, 3>(a, &sum);
    square.row::<M, 4>(a, &sum);
    square.row::<M, 5>(a, &sum);
    square.row::<M, 6>(a, &sum);
    square.row::<M, 7>(a, &sum);
    for s in 0..S {
        for j in 0..N {
            square.raw[s][j] = square.raw[s][j].add(square.mixed[s][j].add(square.mixed[s][j]));
        }
    }
    square.raw
}

/// A square on its way.
struct Square<L, const N: usize, const S: usize> {
    raw: [Digits<L, N>; S],
    mixed: [Digits<L, N>; S],
}

impl<L: Lanes, const N: usize, const S: usize> Square<L, N, S> {
    /// One digit of `a` times itself and those above it. Its number is a constant, because LLVM leaves a loop whose inner
    /// bounds depend on it rolled, and then everything is in memory.
    #[inline(always)]
    fn row<M: Modulus<N>, const I: usize>(&mut self, a: &[Digits<L, N>; S], sum: &[Digits<L, N>; S]) {
        if I >= N {
            return;
        }
        for s in 0..S {
            let (raw, mixed) = (&mut self.raw[s], &mut self.mixed[s]);
            raw[I] = raw[I].madd_lo(a[s][I], a[s][I]);
            for j in I + 1..N {
                mixed[j] = mixed[j].madd_lo(a[s][I], a[s][j]);
            }
            raw[0] = raw[0].add(mixed[0].add(mixed[0]));
        }
        for s in 0..S {
            let (raw, mixed) = (&mut self.raw[s], &mut self.mixed[s]);
            M::reduce(raw, sum[s][I]);
            for j in 0..N {
                mixed[j] = if j + 1 < N { mixed[j + 1] } else { L::splat(0) };
            }
            raw[I] = raw[I].madd_hi(a[s][I], a[s][I]);
            for j in I + 1..N {
                mixed[j] = mixed[j].madd_hi(a[s][I], a[s][j]);
            }
        }
    }
}

/// a·b / R, clean, below a·b / R + prime.
#[inline(always)]
pub(crate) fn multiply<L: Lanes, M: Modulus<N>, const N: usize, const S: usize>(
    a: &[Digits<L, N>; S],
    b: &[Digits<L, N>; S],
) -> [Digits<L, N>; S] {
    let mut product = multiply_add::<L, M, N, S, 1>([(a, b)], [[L::splat(0); N]; S]);
    carry(&mut product);
    product
}

/// a² / R, clean, below a² / R + prime.
#[inline(always)]
pub(crate) fn square<L: Lanes, M: Modulus<N>, const N: usize, const S: usize>(
    a: &[Digits<L, N>; S],
) -> [Digits<L, N>; S] {
    let mut product = square_add::<L, M, N, S>(a, [[L::splat(0); N]; S]);
    carry(&mut product);
    product
}

/// Subtracts the prime where the value is not below it, `times` times: brings a clean value below (`times` + 1) primes into
/// 0..prime.
#[inline(always)]
pub(crate) fn canonical<L: Lanes, M: Modulus<N>, const N: usize>(value: &mut Digits<L, N>, times: u32) {
    let prime = splat(&M::PRIME);
    for _ in 0..times {
        let mut less = subtract(*value, &prime);
        borrow(&mut less);
        let fits = less[N - 1].sar::<63>().is_zero();
        *value = digits!(j => L::select(fits, less[j], value[j]));
    }
    #[cfg(debug_assertions)]
    {
        let mut less = subtract(*value, &prime);
        borrow(&mut less);
        debug_assert!(is_spoilt() || less[N - 1].sar::<63>().is_zero() == 0, "more than the bound says");
    }
}

/// Carries of signed digits; the top digit keeps the sign of the number.
#[inline(always)]
pub(crate) fn borrow<L: Lanes, const N: usize>(value: &mut Digits<L, N>) {
    for j in 0..N - 1 {
        let up = value[j].sar::<DIGIT_BITS>();
        value[j] = value[j].and(L::splat(DIGIT_MASK));
        value[j + 1] = value[j + 1].add(up);
    }
}

/// The lanes where clean values are equal digit by digit.
#[inline(always)]
pub(crate) fn equal<L: Lanes, const N: usize>(a: &Digits<L, N>, b: &Digits<L, N>) -> Mask {
    let mut differences = L::splat(0);
    for j in 0..N {
        differences = differences.or(a[j].xor(b[j]));
    }
    differences.is_zero()
}

/// The lanes where a clean value is zero.
#[inline(always)]
pub(crate) fn zero<L: Lanes, const N: usize>(value: &Digits<L, N>) -> Mask {
    equal(value, &[L::splat(0); N])
}
