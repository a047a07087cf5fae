//! The lanes as one AVX-512 register.

#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m512i, _mm_cvtsi64_si128, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epi64_mask,
    _mm512_load_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_blend_epi64,
    _mm512_or_si512, _mm512_permutex_epi64, _mm512_permutex2var_epi64, _mm512_permutexvar_epi64,
    _mm512_rorv_epi64, _mm512_set1_epi64, _mm512_set4_epi32, _mm512_shuffle_epi8, _mm512_shuffle_i64x2,
    _mm512_sll_epi64, _mm512_slli_epi64, _mm512_srai_epi64, _mm512_srl_epi64, _mm512_srli_epi64,
    _mm512_store_si512, _mm512_sub_epi64, _mm512_ternarylogic_epi64, _mm512_testn_epi64_mask,
    _mm512_xor_si512,
};

use super::{Block, Lanes, Mask};

/// A register of eight lanes.
///
/// Invariant: this type is named only where [`is_available`] has said yes ([`Kernels::dispatch`](crate::Kernels) and
/// tests that ask first). Every `unsafe` block of this file stands on it.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512i);

/// Whether the processor has what this file uses, and Linux saves the registers.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("adx")
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2,adx")]
#[inline(never)]
fn with_instructions<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Wraps an instruction. Inlined into a caller of [`with_instructions`], where the instruction is one.
macro_rules! instruction {
    ($call:expr) => {
        // SAFETY: the processor has the instruction (invariant of `Avx512`).
        Self(unsafe { $call })
    };
}

impl Lanes for Avx512 {
    #[inline(always)]
    fn run<R>(f: impl FnOnce() -> R) -> R {
        // SAFETY: the processor has the instructions (invariant of `Avx512`).
        unsafe { with_instructions(f) }
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_wrap, reason = "the intrinsic wants a signed word")]
    fn splat(word: u64) -> Self {
        instruction!(_mm512_set1_epi64(word as i64))
    }

    #[inline(always)]
    fn load(from: &Block) -> Self {
        // SAFETY: 64 octets, aligned to 64; the processor has the instruction.
        Self(unsafe { _mm512_load_si512(core::ptr::from_ref(from).cast()) })
    }

    #[inline(always)]
    fn store(self, to: &mut Block) {
        // SAFETY: 64 octets, aligned to 64; the processor has the instruction.
        unsafe { _mm512_store_si512(core::ptr::from_mut(to).cast(), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        instruction!(_mm512_add_epi64(self.0, other.0))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        instruction!(_mm512_sub_epi64(self.0, other.0))
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        instruction!(_mm512_and_si512(self.0, other.0))
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        instruction!(_mm512_or_si512(self.0, other.0))
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        instruction!(_mm512_xor_si512(self.0, other.0))
    }

    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        instruction!(_mm512_slli_epi64::<N>(self.0))
    }

    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        instruction!(_mm512_srli_epi64::<N>(self.0))
    }

    #[inline(always)]
    fn sar<const N: u32>(self) -> Self {
        instruction!(_mm512_srai_epi64::<N>(self.0))
    }

    #[inline(always)]
    fn shl_by(self, count: u32) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        let count = unsafe { _mm_cvtsi64_si128(i64::from(count)) };
        instruction!(_mm512_sll_epi64(self.0, count))
    }

    #[inline(always)]
    fn shr_by(self, count: u32) -> Self {
        // SAFETY: SSE2 is part of x86-64.
        let count = unsafe { _mm_cvtsi64_si128(i64::from(count)) };
        instruction!(_mm512_srl_epi64(self.0, count))
    }

    #[inline(always)]
    fn ror<const N: u32>(self) -> Self {
        // The intrinsic counts in a signed constant, which the trait does not.
        instruction!(_mm512_rorv_epi64(self.0, _mm512_set1_epi64(i64::from(N))))
    }

    #[inline(always)]
    fn swap_octets(self) -> Self {
        instruction!(_mm512_shuffle_epi8(
            self.0,
            _mm512_set4_epi32(0x0809_0a0b, 0x0c0d_0e0f, 0x0001_0203, 0x0405_0607)
        ))
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        instruction!(_mm512_ternarylogic_epi64::<0x96>(self.0, b.0, c.0))
    }

    #[inline(always)]
    fn choose(self, on: Self, off: Self) -> Self {
        instruction!(_mm512_ternarylogic_epi64::<0xca>(self.0, on.0, off.0))
    }

    #[inline(always)]
    fn majority(self, b: Self, c: Self) -> Self {
        instruction!(_mm512_ternarylogic_epi64::<0xe8>(self.0, b.0, c.0))
    }

    #[inline(always)]
    fn swap<const DISTANCE: usize>(self) -> Self {
        const { assert!(DISTANCE == 1 || DISTANCE == 2 || DISTANCE == 4, "one bit of a lane's number") };
        match DISTANCE {
            1 => instruction!(_mm512_permutex_epi64::<0b10_11_00_01>(self.0)),
            2 => instruction!(_mm512_permutex_epi64::<0b01_00_11_10>(self.0)),
            _ => instruction!(_mm512_shuffle_i64x2::<0b01_00_11_10>(self.0, self.0)),
        }
    }

    #[inline(always)]
    fn madd_lo(self, a: Self, b: Self) -> Self {
        instruction!(_mm512_madd52lo_epu64(self.0, a.0, b.0))
    }

    #[inline(always)]
    fn madd_hi(self, a: Self, b: Self) -> Self {
        instruction!(_mm512_madd52hi_epu64(self.0, a.0, b.0))
    }

    #[inline(always)]
    fn select(mask: Mask, on: Self, off: Self) -> Self {
        instruction!(_mm512_mask_blend_epi64(mask, off.0, on.0))
    }

    #[inline(always)]
    fn is_zero(self) -> Mask {
        // SAFETY: the processor has the instruction (invariant of `Avx512`).
        unsafe { _mm512_testn_epi64_mask(self.0, self.0) }
    }

    #[inline(always)]
    fn equals(self, other: Self) -> Mask {
        // SAFETY: the processor has the instruction (invariant of `Avx512`).
        unsafe { _mm512_cmpeq_epi64_mask(self.0, other.0) }
    }

    #[inline(always)]
    fn lookup<const N: usize>(table: &[Block; N], index: Self) -> Self {
        const { assert!(N.is_power_of_two(), "the index is cut to a power of two") };
        let mut found = [Self::splat(0); N];
        for (to, from) in found.iter_mut().zip(table) {
            *to = Self::load(from);
        }
        if N == 1 {
            return instruction!(_mm512_permutexvar_epi64(index.0, found[0].0));
        }
        // A tree: the four lowest bits of the index choose in pairs of registers, each further bit between two of them.
        for pair in 0..N / 2 {
            let (low, high) = (found[2 * pair], found[2 * pair + 1]);
            found[pair] = instruction!(_mm512_permutex2var_epi64(low.0, index.0, high.0));
        }
        let mut count = N / 2;
        let mut bit = 16;
        while count > 1 {
            let is_even = index.and(Self::splat(bit)).is_zero();
            for pair in 0..count / 2 {
                found[pair] = Self::select(is_even, found[2 * pair], found[2 * pair + 1]);
            }
            count /= 2;
            bit *= 2;
        }
        found[0]
    }
}
