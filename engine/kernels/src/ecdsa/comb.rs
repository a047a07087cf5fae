//! Multiples of the base point, by a comb without doublings.
//!
//! An odd scalar below 2^(7·windows − 1) is Σ dⱼ · 2^(7j) with odd digits −127 ≤ dⱼ ≤ 127: with (k − 1)/2 + 2^(7·windows − 1) =
//! Σ bⱼ · 2^(7j), 0 ≤ bⱼ < 128, the digit is dⱼ = 2bⱼ − 127. No digit is zero, so every window is one addition, and the
//! sum of any run of windows is shorter than the next digit: no two addends are equal or opposite, but for the scalars that
//! [`Curve::EXCEPTIONS`] lists.

use crate::ecdsa::curve::Curve;
use crate::ecdsa::field::{Digits, Element, digits};
use crate::ecdsa::point::{Entries, Sum};
use crate::lanes::{Block, DIGIT_BITS, Lanes};

/// Bits of a window.
pub(crate) const WINDOW_BITS: usize = 7;
/// Blocks of a column of 64 words.
const COLUMN: usize = 8;

/// The multiples 1, 3, …, 127 of one point: entry `e` is word `e` of every column.
pub(crate) struct Window<const N: usize> {
    /// x, below p, in Montgomery form.
    pub(crate) x: [[Block; COLUMN]; N],
    /// y, likewise.
    pub(crate) y: [[Block; COLUMN]; N],
    /// Which multiple of G it is, modulo [`tag::MODULUS`](crate::ecdsa::tag).
    pub(crate) tag: [Block; COLUMN],
}

/// An odd scalar k as (k − 1)/2 + 2^(7·windows − 1).
pub(crate) type Recoded<const N: usize> = Element<N>;

/// What one stream does in one step.
pub(crate) struct Step<'a, const N: usize> {
    pub(crate) recoded: &'a Recoded<N>,
    pub(crate) window: usize,
    pub(crate) sum: &'a mut Sum<N>,
}

/// bⱼ.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "below 64")]
fn digit<L: Lanes, const N: usize>(recoded: &Recoded<N>, window: usize) -> L {
    let bit = window * WINDOW_BITS;
    let (at, shift) = (bit / DIGIT_BITS as usize, (bit % DIGIT_BITS as usize) as u32);
    // Above the top digit there is nothing; then this shift leaves nothing of the same digit.
    let above = L::load(&recoded[(at + 1).min(N - 1)]).shl_by(DIGIT_BITS - shift);
    L::load(&recoded[at]).shr_by(shift).or(above).and(L::splat(127))
}

/// The entry of |dⱼ| for each stream, and the lanes where dⱼ is negative.
#[inline(always)]
fn select<L: Lanes, C: Curve<N>, const N: usize, const S: usize>(
    steps: &[Step<'_, N>; S],
) -> Entries<L, N, S> {
    let mut entries = Entries {
        x: [[L::splat(0); N]; S],
        y: [[L::splat(0); N]; S],
        tag: [L::splat(0); S],
        negative: [0; S],
    };
    for s in 0..S {
        let digit: L = digit(steps[s].recoded, steps[s].window);
        let negative = digit.and(L::splat(64)).is_zero();
        let entry = L::select(negative, digit.xor(L::splat(63)), digit);
        let window = &C::comb()[steps[s].window];
        entries.x[s] = digits!(j => L::lookup(&window.x[j], entry));
        entries.y[s] = digits!(j => L::lookup(&window.y[j], entry));
        entries.tag[s] = L::lookup(&window.tag, entry);
        entries.negative[s] = negative;
    }
    entries
}

/// The first addend of a sum.
pub(crate) fn begin<L: Lanes, C: Curve<N>, const N: usize>(step: Step<'_, N>) {
    L::run(
        #[inline(always)]
        || {
            let steps = [step];
            let entries = select::<L, C, N, 1>(&steps);
            let [step] = steps;
            step.sum.begin::<L, C>(&entries);
        },
    );
}

/// One more addend for each stream.
pub(crate) fn add<L: Lanes, C: Curve<N>, const N: usize, const S: usize>(steps: [Step<'_, N>; S]) {
    L::run(
        #[inline(always)]
        || {
            let entries = select::<L, C, N, S>(&steps);
            Sum::add::<L, C, S>(steps.map(|step| step.sum), &entries);
        },
    );
}

/// (k − 1)/2 + 2^(7·windows − 1) of clean digits.
#[inline(always)]
pub(crate) fn recode<L: Lanes, C: Curve<N>, const N: usize>(k: &Digits<L, N>) -> Digits<L, N> {
    let mut recoded = digits!(j => {
        let above =
            if j + 1 < N { k[j + 1].and(L::splat(1)).shl::<{ DIGIT_BITS - 1 }>() } else { L::splat(0) };
        k[j].shr::<1>().or(above)
    });
    let bit = C::comb().len() * WINDOW_BITS - 1 - (N - 1) * DIGIT_BITS as usize;
    recoded[N - 1] = recoded[N - 1].or(L::splat(1 << bit));
    recoded
}
