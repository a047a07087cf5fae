//! The field of 2^255 − 19 in radix 2^51: five digits, eight elements at once.
//!
//! # Bounds
//!
//! They live in the types. IFMA multiplies the low 52 bits of what it is given and splits the product at bit 52, so
//! only digits below 2^52 may enter it:
//!
//! | type | digits | from | to |
//! |---|---|---|---|
//! | [`Fe`] | < 2^51 + 2^18 | [`Sum::carry`], [`Product::carry`], memory | the only operand of a multiplication |
//! | [`Product`] | < 2^59 − 2^14 | a multiplication | is added or carried |
//! | [`Sum`] | < 2^64 | additions, subtractions of the two above | is carried |
//!
//! Additions thus cost no carries of their own: a carry follows each product or sum of products once, before it is
//! multiplied again. `carry` takes any 64-bit digits: what leaves a digit is below 2^13, and 19 times that below 2^18.

mod convert;
mod invert;
mod multiply;

use crate::lanes::{Block, Lanes, Mask, array, load_all};

pub(crate) use convert::Words;

/// Digits of an element.
pub(crate) const DIGITS: usize = 5;
/// Bits of a digit.
pub(crate) const RADIX_BITS: u32 = 51;
/// The digit of ones.
pub(crate) const RADIX_MASK: u64 = (1 << RADIX_BITS) - 1;

/// Elements in memory, digit-major.
pub(crate) type FeBlocks = [Block; DIGITS];

/// An element that may be multiplied.
#[derive(Clone, Copy)]
pub(crate) struct Fe<L>([L; DIGITS]);

/// A product, not carried.
#[derive(Clone, Copy)]
pub(crate) struct Product<L>([L; DIGITS]);

/// A sum or difference, not carried.
#[derive(Clone, Copy)]
pub(crate) struct Sum<L>([L; DIGITS]);

/// 2^8 · p, digit by digit: at least any digit of a [`Product`] or [`Fe`], so that a difference stays positive.
const BIAS: [u64; DIGITS] =
    [(RADIX_MASK - 18) << 8, RADIX_MASK << 8, RADIX_MASK << 8, RADIX_MASK << 8, RADIX_MASK << 8];

/// Digits of a [`Product`] stay below this.
const PRODUCT_BOUND: u64 = BIAS[0];

#[inline(always)]
fn zip<L: Lanes>(a: [L; DIGITS], b: [L; DIGITS], f: impl Fn(L, L) -> L) -> [L; DIGITS] {
    array(
        #[inline(always)]
        |i| f(a[i], b[i]),
    )
}

/// a + 2^8·p − b.
#[inline(always)]
fn difference<L: Lanes>(a: [L; DIGITS], b: [L; DIGITS]) -> Sum<L> {
    Sum(array(
        #[inline(always)]
        |i| a[i].add(L::splat(BIAS[i])).sub(b[i]),
    ))
}

/// One carry out of every digit at once.
#[inline(always)]
fn carry<L: Lanes>(digits: [L; DIGITS]) -> Fe<L> {
    let mask = L::splat(RADIX_MASK);
    let out: [L; DIGITS] = array(
        #[inline(always)]
        |i| digits[i].shr::<RADIX_BITS>(),
    );
    let rest: [L; DIGITS] = array(
        #[inline(always)]
        |i| digits[i].and(mask),
    );
    Fe::new([
        rest[0].madd_lo(out[4], L::splat(19)),
        rest[1].add(out[0]),
        rest[2].add(out[1]),
        rest[3].add(out[2]),
        rest[4].add(out[3]),
    ])
}

impl<L: Lanes> Fe<L> {
    #[inline(always)]
    fn new(digits: [L; DIGITS]) -> Self {
        debug_assert!(digits.iter().all(|digit| digit.shr::<52>().is_zero() == Mask::MAX));
        Self(digits)
    }

    /// The same small number in every lane.
    #[inline(always)]
    pub(crate) fn small(number: u32) -> Self {
        let zero = L::splat(0);
        Self([L::splat(u64::from(number)), zero, zero, zero, zero])
    }

    /// The same element in every lane, from digits below 2^51.
    #[inline(always)]
    pub(crate) fn constant(digits: [u64; DIGITS]) -> Self {
        Self::new(array(
            #[inline(always)]
            |i| L::splat(digits[i]),
        ))
    }

    /// From digits that are known to be those of an element: table entries, and what [`store`](Self::store) wrote.
    #[inline(always)]
    pub(crate) fn from_digits(digits: [L; DIGITS]) -> Self {
        Self::new(digits)
    }

    #[inline(always)]
    pub(crate) fn load(from: &FeBlocks) -> Self {
        Self::new(load_all(from))
    }

    #[inline(always)]
    pub(crate) fn store(self, to: &mut FeBlocks) {
        for (digit, block) in self.0.into_iter().zip(to) {
            digit.store(block);
        }
    }

    #[inline(always)]
    pub(crate) fn add(self, other: Self) -> Sum<L> {
        Sum(zip(self.0, other.0, L::add))
    }

    #[inline(always)]
    pub(crate) fn sub(self, other: Self) -> Sum<L> {
        difference(self.0, other.0)
    }

    /// `on` in the lanes of `mask`, `off` in the others.
    #[inline(always)]
    pub(crate) fn select(mask: Mask, on: Self, off: Self) -> Self {
        Self(zip(
            on.0,
            off.0,
            #[inline(always)]
            |on, off| L::select(mask, on, off),
        ))
    }
}

impl<L: Lanes> Product<L> {
    #[inline(always)]
    fn new(digits: [L; DIGITS]) -> Self {
        debug_assert!(
            digits.iter().all(|&digit| L::splat(PRODUCT_BOUND).sub(digit).shr::<63>().is_zero() == Mask::MAX)
        );
        Self(digits)
    }

    #[inline(always)]
    pub(crate) fn carry(self) -> Fe<L> {
        carry(self.0)
    }

    #[inline(always)]
    pub(crate) fn add(self, other: Self) -> Sum<L> {
        Sum(zip(self.0, other.0, L::add))
    }

    #[inline(always)]
    pub(crate) fn sub(self, other: Self) -> Sum<L> {
        difference(self.0, other.0)
    }

    /// An element is smaller than a product.
    #[inline(always)]
    pub(crate) fn from_fe(element: Fe<L>) -> Self {
        Self(element.0)
    }

    /// What [`store`](Self::store) wrote.
    #[inline(always)]
    pub(crate) fn load(from: &FeBlocks) -> Self {
        Self::new(load_all(from))
    }

    #[inline(always)]
    pub(crate) fn store(self, to: &mut FeBlocks) {
        for (digit, block) in self.0.into_iter().zip(to) {
            digit.store(block);
        }
    }

    /// self + b − c, below 3·2^59.
    #[inline(always)]
    pub(crate) fn plus_minus(self, b: Self, c: Self) -> Sum<L> {
        difference(zip(self.0, b.0, L::add), c.0)
    }

    /// 2·self + other, for a sum of two products or their difference: below 2^61.
    #[inline(always)]
    pub(crate) fn twice_plus(self, other: Sum<L>) -> Sum<L> {
        Sum(zip(zip(self.0, self.0, L::add), other.0, L::add))
    }

    /// 2·self + other and 2·self − other: below 3·2^59 and 2^60 + 2^59.
    #[inline(always)]
    pub(crate) fn twice_plus_minus(self, other: Self) -> (Sum<L>, Sum<L>) {
        let twice = zip(self.0, self.0, L::add);
        (Sum(zip(twice, other.0, L::add)), difference(twice, other.0))
    }
}

impl<L: Lanes> Sum<L> {
    #[inline(always)]
    pub(crate) fn carry(self) -> Fe<L> {
        carry(self.0)
    }

    /// `on` in the lanes of `mask`, `off` in the others.
    #[inline(always)]
    pub(crate) fn select(mask: Mask, on: Self, off: Self) -> Self {
        Self(zip(
            on.0,
            off.0,
            #[inline(always)]
            |on, off| L::select(mask, on, off),
        ))
    }
}

#[cfg(test)]
mod tests;
