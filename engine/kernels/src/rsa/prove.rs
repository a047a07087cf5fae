//! Known answers of the multiplications that every exponentiation is made of.

use super::modulus::Prepared;
use super::montgomery::{self, Scratch};
use super::number::{Digits, Number};
use crate::Kernels;
use crate::lanes::{DIGIT_BITS, DIGIT_MASK, Lanes};
use crate::tier::Kernel;

struct KnownAnswers;

impl Kernel for KnownAnswers {
    type Output = bool;

    fn run<L: Lanes>(self) -> bool {
        holds::<L, 2>() && holds::<L, 3>() && holds::<L, 4>()
    }
}

/// Whether this tier multiplies as arithmetic does.
pub(crate) fn proves(kernels: Kernels) -> bool {
    kernels.dispatch(KnownAnswers)
}

/// Multiplies and squares in eight lanes and compares with digits multiplied one by one.
fn holds<L: Lanes, const LIMBS: usize>() -> bool {
    let mut state = 0x1234_5678_9abc_def1;
    let numbers: [[Digits<LIMBS>; 2]; 8] =
        core::array::from_fn(|_| core::array::from_fn(|_| some_number(&mut state)));
    let moduli: [_; 8] = core::array::from_fn(|_| {
        let mut n = some_number(&mut state);
        n.0[0][0] |= 1;
        n
    });
    let prepared = Prepared::new::<L, 8>(moduli.each_ref());
    let mut modulus = montgomery::Modulus::ZERO;
    let (mut x, mut y, mut scratch) = (Number::ZERO, Number::ZERO, Scratch::ZERO);
    for (lane, ([a, b], prepared)) in numbers.iter().zip(&prepared).enumerate() {
        modulus.set_lane(lane, prepared);
        x.set_lane(lane, a);
        y.set_lane(lane, b);
    }
    montgomery::multiply::<L, LIMBS>(&mut x, &y, &modulus, &mut scratch);
    montgomery::square::<L, LIMBS>(&mut x, &modulus, &mut scratch);
    numbers.iter().zip(&prepared).enumerate().all(|(lane, ([a, b], prepared))| {
        let product = slow(a, b, prepared);
        x.lane(lane) == slow(&product, &product, prepared)
    })
}

/// Exactly 512 bits per ten digits, so that it may be a modulus.
fn some_number<const LIMBS: usize>(state: &mut u64) -> Digits<LIMBS> {
    let mut octets = [[0; 64]; LIMBS];
    for octet in octets.as_flattened_mut() {
        // xorshift64 (G. Marsaglia, 2003).
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *octet = state.to_le_bytes()[7];
    }
    octets[0][0] |= 0x80;
    Digits::from_octets(octets.as_flattened())
}

/// `(a·b + q·n)/R`, the same number as the vectors give, digit by digit.
#[expect(clippy::cast_possible_truncation, reason = "the low digit is meant")]
fn slow<const LIMBS: usize>(a: &Digits<LIMBS>, b: &Digits<LIMBS>, n: &Prepared<LIMBS>) -> Digits<LIMBS> {
    let mut sum = Digits::<LIMBS>::ZERO;
    for &digit in a.0.as_flattened() {
        let lowest = u128::from(digit) * u128::from(b.0[0][0]) + u128::from(sum.0[0][0]);
        let q = (lowest as u64 & DIGIT_MASK).wrapping_mul(n.inverse[0]) & DIGIT_MASK;
        let mut carry = (lowest + u128::from(q) * u128::from(n.n.0[0][0])) >> DIGIT_BITS;
        let (b, n) = (b.0.as_flattened(), n.n.0.as_flattened());
        let sum = sum.0.as_flattened_mut();
        for place in 1..sum.len() {
            carry += u128::from(digit) * u128::from(b[place]) + u128::from(q) * u128::from(n[place]);
            carry += u128::from(sum[place]);
            sum[place - 1] = carry as u64 & DIGIT_MASK;
            carry >>= DIGIT_BITS;
        }
        sum[10 * LIMBS - 1] = carry as u64;
    }
    sum
}
