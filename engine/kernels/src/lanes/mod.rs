//! Eight lanes of 64 bits, and what a vector instruction does to all of them at once.
//!
//! A kernel is a function over `L: Lanes`, written once. Everything it calls per digit is `#[inline(always)]`; a part that
//! shall be a function of its own in the machine code is a closure given to [`Lanes::run`], which is where the
//! instructions of the tier are switched on. Code outside of `run` must not touch a vector: it would be compiled without
//! the instructions, slowly.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use portable::Portable;

use zeroize::Zeroize;

/// One vector in memory: lane `i` of a digit is word `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Zeroize)]
#[repr(C, align(64))]
pub struct Block(pub [u64; 8]);

/// One bit per lane, lane 0 the lowest.
pub(crate) type Mask = u8;

/// Bits of a digit.
pub(crate) const DIGIT_BITS: u32 = 52;
/// The digit of ones.
pub(crate) const DIGIT_MASK: u64 = (1 << DIGIT_BITS) - 1;

/// A vector of eight lanes.
pub(crate) trait Lanes: Copy + 'static {
    /// Calls `f` with the instructions of this tier, as a function that is not inlined into its caller.
    fn run<R>(f: impl FnOnce() -> R) -> R;

    /// The same word in every lane.
    fn splat(word: u64) -> Self;
    /// Lane `i` is word `i`.
    fn load(from: &Block) -> Self;
    /// Word `i` is lane `i`.
    fn store(self, to: &mut Block);

    /// Sum modulo 2^64.
    fn add(self, other: Self) -> Self;
    /// Difference modulo 2^64.
    fn sub(self, other: Self) -> Self;
    /// Bitwise and.
    fn and(self, other: Self) -> Self;
    /// Bitwise or.
    fn or(self, other: Self) -> Self;
    /// Bitwise exclusive or.
    fn xor(self, other: Self) -> Self;
    /// Shifted left by a constant below 64.
    fn shl<const N: u32>(self) -> Self;
    /// Shifted right by a constant below 64, zeros from above.
    fn shr<const N: u32>(self) -> Self;
    /// Shifted right by a constant below 64, the sign from above.
    fn sar<const N: u32>(self) -> Self;

    /// Shifted left by a public number of bits, the same for all lanes; from 64 on nothing is left.
    fn shl_by(self, count: u32) -> Self;
    /// Shifted right likewise, zeros from above.
    fn shr_by(self, count: u32) -> Self;
    /// Rotated right by a constant below 64.
    fn ror<const N: u32>(self) -> Self;
    /// The octets of each lane in the opposite order.
    fn swap_octets(self) -> Self;
    /// Bitwise exclusive or of three.
    fn xor3(self, b: Self, c: Self) -> Self;
    /// Bitwise: `on` where `self` is one, `off` where it is zero.
    fn choose(self, on: Self, off: Self) -> Self;
    /// Bitwise: what at least two of three are.
    fn majority(self, b: Self, c: Self) -> Self;

    /// Lane `i` is lane `i ^ DISTANCE`, for 1, 2 or 4.
    fn swap<const DISTANCE: usize>(self) -> Self;

    /// `self` + bits 0..52 of `a`·`b`, where only bits 0..52 of `a` and `b` count.
    fn madd_lo(self, a: Self, b: Self) -> Self;
    /// `self` + bits 52..104 of `a`·`b`, where only bits 0..52 of `a` and `b` count.
    fn madd_hi(self, a: Self, b: Self) -> Self;

    /// `on` in the lanes of `mask`, `off` in the others.
    fn select(mask: Mask, on: Self, off: Self) -> Self;
    /// The lanes that are zero.
    fn is_zero(self) -> Mask;
    /// The lanes that equal those of `other`.
    fn equals(self, other: Self) -> Mask;
    /// Lane `i` is word `index[i]` of the table of eight times `N` words, `N` a power of two; higher bits of the index do
    /// not count. Every word is read, in the same order, whatever the index.
    fn lookup<const N: usize>(table: &[Block; N], index: Self) -> Self;
}

/// Whether [`Avx512`] may run here.
pub(crate) fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    return avx512::is_available();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// `f(0)`, `f(1)`, … in this order, for arrays of vectors: `core::array::from_fn` and `map` are not always inlined, and then
/// pass vectors through memory, compiled without the tier's instructions.
#[inline(always)]
pub(crate) fn array<T: Copy, const N: usize>(f: impl Fn(usize) -> T) -> [T; N] {
    let mut made = [f(0); N];
    for (i, to) in made.iter_mut().enumerate().skip(1) {
        *to = f(i);
    }
    made
}

/// The vectors of these blocks.
#[inline(always)]
pub(crate) fn load_all<L: Lanes, const N: usize>(blocks: &[Block; N]) -> [L; N] {
    array(
        #[inline(always)]
        |i| L::load(&blocks[i]),
    )
}

/// Zeros, a vector at a time: `zeroize` would write word by word.
pub(crate) fn erase(blocks: &mut [Block]) {
    blocks.fill(Block::default());
    zeroize::optimization_barrier(blocks);
}

struct KnownAnswers;

impl crate::tier::Kernel for KnownAnswers {
    type Output = bool;

    fn run<L: Lanes>(self) -> bool {
        L::run(|| {
            let (a, b) = (L::splat(u64::MAX), L::splat(DIGIT_MASK - 2));
            let product = u128::from(DIGIT_MASK) * u128::from(DIGIT_MASK - 2);
            #[expect(clippy::cast_possible_truncation, reason = "the low digit is meant")]
            let low = product as u64 & DIGIT_MASK;
            #[expect(clippy::cast_possible_truncation, reason = "104 bits shifted by 52")]
            let high = (product >> DIGIT_BITS) as u64;
            let seven = L::splat(7);
            seven.madd_lo(a, b).equals(L::splat(low + 7)) == 0xff
                && seven.madd_hi(a, b).equals(L::splat(high + 7)) == 0xff
        })
    }
}

/// Known answers of the two multiplications, which everything stands on.
pub(crate) fn proves(kernels: crate::Kernels) -> bool {
    kernels.dispatch(KnownAnswers)
}

#[cfg(test)]
mod tests;
