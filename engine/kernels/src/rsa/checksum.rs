//! A sum over a key's words that finds a damaged one before it is used.

/// Odd, and dense in ones and zeros (the golden ratio's fraction).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The sum of the words, each times an odd number that depends on its place: since an odd number has an inverse modulo
/// 2^64, a change of one word always changes the sum; a change of several escapes with probability 2^-63 at most for
/// changes that do not know of it. Constant time.
pub(super) fn checksum<'a>(parts: impl Iterator<Item = &'a [u64]>) -> u64 {
    let mut factor = STEP;
    parts.flatten().fold(STEP, |sum, &word| {
        factor = factor.wrapping_add(STEP << 1);
        sum.wrapping_add(word.wrapping_mul(factor))
    })
}
