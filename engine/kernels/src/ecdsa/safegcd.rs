//! One inversion modulo a prime, in constant time: D. J. Bernstein, B.-Y. Yang, *Fast constant-time gcd computation and
//! modular inversion*, CHES 2019, with the half-delta steps and the limbs of P. Wuille's `modinv64` (libsecp256k1,
//! `doc/safegcd_implementation.md`).
//!
//! Numbers are N signed limbs of 62 bits. A batch needs one of these for each prime, whatever its size.

use crate::ecdsa::modulus::{Modulus, inverse};
use crate::lanes::DIGIT_BITS;

const LIMB_BITS: u32 = 62;
const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;
/// Division steps between two updates of the whole numbers.
const STEPS: u32 = 59;

/// Signed limbs, the lowest first; all but the top one are in 0..2^62.
type Signed<const N: usize> = [i64; N];

/// What [`STEPS`] division steps do to (f, g), times 2^62.
struct Transition {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// Updates enough for a prime of that many digits: (45907 · bits + 26313) / 19929 steps (safegcd-bounds by P. Wuille), 590
/// for 256 bits and 885 for 384.
const fn rounds(digits: usize) -> u32 {
    let bits: u32 = if digits == 5 { 256 } else { 384 };
    ((45907 * bits + 26313) / 19929).div_ceil(STEPS)
}

/// The inverse of a number below the prime, both as 52-bit digits; zero for zero.
pub(crate) fn invert<M: Modulus<N>, const N: usize>(number: &[u64; N]) -> [u64; N] {
    let prime = to_limbs(&M::PRIME);
    let (mut f, mut g) = (prime, to_limbs(number));
    let (mut d, mut e) = ([0; N], [0; N]);
    e[0] = 1;
    let mut zeta = -1;
    for _ in 0..rounds(N) {
        let transition = steps(&mut zeta, f[0].cast_unsigned(), g[0].cast_unsigned());
        transition.update_cofactors::<M, N>(&mut d, &mut e, &prime);
        transition.update(&mut f, &mut g);
    }
    to_digits(&normalise(d, sign_mask(&f), &prime))
}

/// Division steps on the lowest bits. Every one does the same, whatever the bits.
#[inline(always)]
fn steps(zeta: &mut i64, mut f: u64, mut g: u64) -> Transition {
    // Three of the 62 doublings are done already.
    let (mut u, mut v, mut q, mut r) = (8u64, 0u64, 0u64, 8u64);
    for _ in 0..STEPS {
        let mut swap = (*zeta >> 63).cast_unsigned();
        let odd = (g & 1).wrapping_neg();
        g = g.wrapping_add((f ^ swap).wrapping_sub(swap) & odd);
        q = q.wrapping_add((u ^ swap).wrapping_sub(swap) & odd);
        r = r.wrapping_add((v ^ swap).wrapping_sub(swap) & odd);
        swap &= odd;
        *zeta = (*zeta ^ swap.cast_signed()).wrapping_sub(1);
        f = f.wrapping_add(g & swap);
        u = u.wrapping_add(q & swap) << 1;
        v = v.wrapping_add(r & swap) << 1;
        g >>= 1;
    }
    Transition { u: u.cast_signed(), v: v.cast_signed(), q: q.cast_signed(), r: r.cast_signed() }
}

#[inline(always)]
fn product(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
}

/// The lowest limb, as itself.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "62 bits are kept")]
fn low(sum: i128) -> i64 {
    (sum.cast_unsigned() as u64 & LIMB_MASK).cast_signed()
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the top limb has room")]
fn top(sum: i128) -> i64 {
    sum as i64
}

impl Transition {
    /// (f, g) := (u·f + v·g, q·f + r·g) / 2^62, exactly.
    #[inline(always)]
    fn update<const N: usize>(&self, f: &mut Signed<N>, g: &mut Signed<N>) {
        let mut sum_f = (product(self.u, f[0]) + product(self.v, g[0])) >> LIMB_BITS;
        let mut sum_g = (product(self.q, f[0]) + product(self.r, g[0])) >> LIMB_BITS;
        for i in 1..N {
            let (old_f, old_g) = (f[i], g[i]);
            sum_f += product(self.u, old_f) + product(self.v, old_g);
            sum_g += product(self.q, old_f) + product(self.r, old_g);
            f[i - 1] = low(sum_f);
            g[i - 1] = low(sum_g);
            sum_f >>= LIMB_BITS;
            sum_g >>= LIMB_BITS;
        }
        f[N - 1] = top(sum_f);
        g[N - 1] = top(sum_g);
    }

    /// The same to (d, e) modulo the prime: multiples of it make the sums divisible, and keep both in (−2 · prime, prime).
    #[inline(always)]
    fn update_cofactors<M: Modulus<N>, const N: usize>(
        &self,
        d: &mut Signed<N>,
        e: &mut Signed<N>,
        prime: &Signed<N>,
    ) {
        let inverse = const { inverse(M::PRIME[0] | M::PRIME[1] << DIGIT_BITS) & LIMB_MASK };
        let (sign_d, sign_e) = (d[N - 1] >> 63, e[N - 1] >> 63);
        let mut times_d = (self.u & sign_d) + (self.v & sign_e);
        let mut times_e = (self.q & sign_d) + (self.r & sign_e);
        let mut sum_d = product(self.u, d[0]) + product(self.v, e[0]);
        let mut sum_e = product(self.q, d[0]) + product(self.r, e[0]);
        let missing = |sum: i128, times: i64| {
            let low = inverse.wrapping_mul(low(sum).cast_unsigned()).wrapping_add(times.cast_unsigned());
            (low & LIMB_MASK).cast_signed()
        };
        times_d -= missing(sum_d, times_d);
        times_e -= missing(sum_e, times_e);
        sum_d = (sum_d + product(prime[0], times_d)) >> LIMB_BITS;
        sum_e = (sum_e + product(prime[0], times_e)) >> LIMB_BITS;
        for i in 1..N {
            let (old_d, old_e) = (d[i], e[i]);
            sum_d += product(self.u, old_d) + product(self.v, old_e) + product(prime[i], times_d);
            sum_e += product(self.q, old_d) + product(self.r, old_e) + product(prime[i], times_e);
            d[i - 1] = low(sum_d);
            e[i - 1] = low(sum_e);
            sum_d >>= LIMB_BITS;
            sum_e >>= LIMB_BITS;
        }
        d[N - 1] = top(sum_d);
        e[N - 1] = top(sum_e);
    }
}

/// All ones for a negative number. Hidden from LLVM, which makes a branch of what is masked with it.
#[inline(always)]
fn sign_mask<const N: usize>(number: &Signed<N>) -> i64 {
    core::hint::black_box(number[N - 1] >> 63)
}

/// ± `number`, which is in (−2 · prime, prime), brought into 0..prime.
fn normalise<const N: usize>(mut number: Signed<N>, negate: i64, prime: &Signed<N>) -> Signed<N> {
    let mask = sign_mask(&number);
    for (limb, prime) in number.iter_mut().zip(prime) {
        *limb = ((*limb + (prime & mask)) ^ negate) - negate;
    }
    carry(&mut number);
    let mask = sign_mask(&number);
    for (limb, prime) in number.iter_mut().zip(prime) {
        *limb += prime & mask;
    }
    carry(&mut number);
    number
}

fn carry<const N: usize>(number: &mut Signed<N>) {
    for i in 0..N - 1 {
        number[i + 1] += number[i] >> LIMB_BITS;
        number[i] = (number[i].cast_unsigned() & LIMB_MASK).cast_signed();
    }
}

fn to_limbs<const N: usize>(digits: &[u64; N]) -> Signed<N> {
    regroup(digits, DIGIT_BITS, LIMB_BITS).map(u64::cast_signed)
}

fn to_digits<const N: usize>(limbs: &Signed<N>) -> [u64; N] {
    regroup(&limbs.map(i64::cast_unsigned), LIMB_BITS, DIGIT_BITS)
}

/// The same number in groups of another size.
#[expect(clippy::cast_possible_truncation, reason = "the mask is meant")]
fn regroup<const N: usize>(groups: &[u64; N], from: u32, to: u32) -> [u64; N] {
    let mut out = [0; N];
    let (mut held, mut bits, mut next) = (0u128, 0, 0);
    for group in &mut out {
        while bits < to && next < N {
            held |= u128::from(groups[next]) << bits;
            bits += from;
            next += 1;
        }
        *group = held as u64 & ((1 << to) - 1);
        held >>= to;
        bits = bits.saturating_sub(to);
    }
    out
}
