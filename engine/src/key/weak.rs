//! RSA moduli that are known to be factorable from their looks.

use crate::os::bignum::BigNum;

/// Small primes modulo which 65537 does not generate every residue.
const PRIMES: [u64; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/// Whether a modulus looks like one of the library with CVE-2017-15361: its primes are k·M + (65537^a mod M) for a
/// primorial M, so the modulus is a power of 65537 modulo every small prime (Nemec et al., "The Return of
/// Coppersmith's Attack", CCS 2017, §4). One random modulus in 2^27 looks the same.
pub(super) fn has_roca_fingerprint(modulus: &BigNum) -> bool {
    PRIMES.iter().all(|&prime| is_power_of_65537(modulus.rem_word(prime), prime))
}

fn is_power_of_65537(residue: u64, prime: u64) -> bool {
    let powers = std::iter::successors(Some(1), |power| Some(power * 65_537 % prime));
    powers.take(usize::try_from(prime).unwrap_or_default()).any(|power| power == residue)
}

#[cfg(test)]
mod tests {
    use super::{PRIMES, is_power_of_65537};

    /// The share of residues that pass is the false-positive rate that the paper gives.
    #[test]
    fn one_random_modulus_in_2_to_the_27_passes() {
        let passing =
            |prime| (1..prime).filter(|&residue| is_power_of_65537(residue, prime)).map(|_| 1.0).sum::<f64>();
        let all = |prime| (1..prime).map(|_| 1.0).sum::<f64>();
        let bits = PRIMES.iter().map(|&prime| (all(prime) / passing(prime)).log2()).sum::<f64>();
        assert!((27.0..29.0).contains(&bits), "2^-{bits}");
    }
}
