//! The lanes in plain Rust.

use super::{Block, DIGIT_BITS, DIGIT_MASK, Lanes, Mask};

/// Eight words.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Portable([u64; 8]);

#[inline(always)]
fn each(f: impl FnMut(usize) -> u64) -> Portable {
    Portable(core::array::from_fn(f))
}

/// Ones where bit `lane` of the mask is set, hidden from an optimiser that would branch on it.
#[inline(always)]
fn spread(mask: Mask, lane: usize) -> u64 {
    core::hint::black_box(u64::from(mask >> lane & 1)).wrapping_neg()
}

/// One if the word is zero, without a branch.
#[inline(always)]
fn zero_bit(word: u64) -> u8 {
    let any = (word | word.wrapping_neg()) >> 63;
    #[expect(clippy::cast_possible_truncation, reason = "a single bit")]
    let any = core::hint::black_box(any) as u8;
    any ^ 1
}

#[inline(always)]
fn product(a: u64, b: u64) -> u128 {
    u128::from(a & DIGIT_MASK) * u128::from(b & DIGIT_MASK)
}

impl Lanes for Portable {
    #[inline(never)]
    fn run<R>(f: impl FnOnce() -> R) -> R {
        f()
    }

    #[inline(always)]
    fn splat(word: u64) -> Self {
        Self([word; 8])
    }

    #[inline(always)]
    fn load(from: &Block) -> Self {
        Self(from.0)
    }

    #[inline(always)]
    fn store(self, to: &mut Block) {
        to.0 = self.0;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        each(|i| self.0[i].wrapping_add(other.0[i]))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        each(|i| self.0[i].wrapping_sub(other.0[i]))
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        each(|i| self.0[i] & other.0[i])
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        each(|i| self.0[i] | other.0[i])
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        each(|i| self.0[i] ^ other.0[i])
    }

    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        each(|i| self.0[i] << N)
    }

    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        each(|i| self.0[i] >> N)
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "the sign is meant")]
    fn sar<const N: u32>(self) -> Self {
        each(|i| (self.0[i] as i64 >> N) as u64)
    }

    #[inline(always)]
    fn shl_by(self, count: u32) -> Self {
        each(|i| self.0[i].checked_shl(count).unwrap_or(0))
    }

    #[inline(always)]
    fn shr_by(self, count: u32) -> Self {
        each(|i| self.0[i].checked_shr(count).unwrap_or(0))
    }

    #[inline(always)]
    fn ror<const N: u32>(self) -> Self {
        each(|i| self.0[i].rotate_right(N))
    }

    #[inline(always)]
    fn swap_octets(self) -> Self {
        each(|i| self.0[i].swap_bytes())
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        each(|i| self.0[i] ^ b.0[i] ^ c.0[i])
    }

    #[inline(always)]
    fn choose(self, on: Self, off: Self) -> Self {
        each(|i| off.0[i] ^ (self.0[i] & (on.0[i] ^ off.0[i])))
    }

    #[inline(always)]
    fn majority(self, b: Self, c: Self) -> Self {
        each(|i| (self.0[i] & b.0[i]) | (c.0[i] & (self.0[i] | b.0[i])))
    }

    #[inline(always)]
    fn swap<const DISTANCE: usize>(self) -> Self {
        each(|i| self.0[i ^ DISTANCE])
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the low digit is meant")]
    fn madd_lo(self, a: Self, b: Self) -> Self {
        each(|i| self.0[i].wrapping_add(product(a.0[i], b.0[i]) as u64 & DIGIT_MASK))
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "104 bits shifted by 52")]
    fn madd_hi(self, a: Self, b: Self) -> Self {
        each(|i| self.0[i].wrapping_add((product(a.0[i], b.0[i]) >> DIGIT_BITS) as u64))
    }

    #[inline(always)]
    fn select(mask: Mask, on: Self, off: Self) -> Self {
        each(|i| off.0[i] ^ (spread(mask, i) & (on.0[i] ^ off.0[i])))
    }

    #[inline(always)]
    fn is_zero(self) -> Mask {
        (0..8).fold(0, |mask, i| mask | zero_bit(self.0[i]) << i)
    }

    #[inline(always)]
    fn equals(self, other: Self) -> Mask {
        self.xor(other).is_zero()
    }

    #[inline(always)]
    fn lookup<const N: usize>(table: &[Block; N], index: Self) -> Self {
        const { assert!(N.is_power_of_two(), "the index is cut to a power of two") };
        let mut found = Self::splat(0);
        let wanted = index.and(Self::splat(8 * N as u64 - 1));
        for (number, word) in table.iter().flat_map(|block| block.0).enumerate() {
            let here = wanted.equals(Self::splat(number as u64));
            found = Self::select(here, Self::splat(word), found);
        }
        found
    }
}
