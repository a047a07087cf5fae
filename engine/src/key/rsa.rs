//! Examines RSA keys: the size is supported, the exponents are sound, the numbers belong together, and the modulus is
//! of no kind that is known to be weak.
//!
//! aws-lc decides, in constant time, whether the numbers are consistent; only a key that it refuses is examined for
//! the reason, in variable time.

use der::Decode;
use keylane_api::Algorithm;
use pkcs1::RsaPublicKeyRef;

use super::curve::right_align;
use super::der::RsaNumbers;
use super::material::{Material, Part};
use super::refusal::KeyRefusal;
use super::weak::has_roca_fingerprint;
use crate::os::bignum::BigNum;
use crate::os::keypair::Rsa;

/// FIPS 186-5 §A.1.1: 2^16 < e. CA/Browser Baseline Requirements §6.1.6 say SHOULD, and allow 3 and more; but what
/// forgeries of PKCS#1 v1.5 signatures needed was a verifier's mistake and e = 3, and no certificate authority of
/// today issues for it. e = 65537 itself is the common value.
const EXPONENT_MIN: u64 = (1 << 16) + 1;
/// What aws-lc, and with it most clients, computes with.
const EXPONENT_BITS_MAX: u32 = 33;
/// FIPS 186-5 §A.1.3 (5.4): |p − q| > 2^(nlen/2 − 100), against Fermat's factorisation.
const PRIME_DISTANCE_MARGIN: u32 = 100;

/// Takes a key if nothing is wrong with it.
pub(super) fn import(numbers: &RsaNumbers<'_>) -> Result<Material, KeyRefusal> {
    let [n, e, _, p, q, ..] = numbers.private;
    let algorithm = examine_public(n, e)?;
    if numbers.public.is_some_and(|public| !is_public_half(public, n, e)) {
        return Err(KeyRefusal::PublicMismatch);
    }
    if [p, q].iter().any(|prime| prime.len() * 2 != n.len() || prime[0] < 0x80) {
        return Err(KeyRefusal::UnbalancedPrimes);
    }
    let consistent = Rsa::from_numbers(numbers.private)?.is_some();
    if !consistent {
        return Err(diagnose(numbers.private)?);
    }
    examine_private(numbers.private)?;
    place(algorithm, numbers.private)
}

/// What everybody can know: size, exponent, looks of the modulus.
fn examine_public(n: &[u8], e: &[u8]) -> Result<Algorithm, KeyRefusal> {
    let modulus = BigNum::from_be(n)?;
    let algorithm = match modulus.bits() {
        2048 => Algorithm::Rsa2048,
        3072 => Algorithm::Rsa3072,
        4096 => Algorithm::Rsa4096,
        bits if bits < 2048 => return Err(KeyRefusal::Short(bits)),
        bits => return Err(KeyRefusal::Size(bits)),
    };
    if is_even(n) {
        return Err(KeyRefusal::EvenModulus);
    }
    if is_even(e) {
        return Err(KeyRefusal::EvenExponent);
    }
    let exponent = BigNum::from_be(e)?;
    if exponent.bits() > EXPONENT_BITS_MAX {
        return Err(KeyRefusal::LargeExponent);
    }
    let exponent = e.iter().fold(0, |value, &octet| value << 8 | u64::from(octet));
    if exponent < EXPONENT_MIN {
        return Err(KeyRefusal::SmallExponent(exponent));
    }
    if has_roca_fingerprint(&modulus) { Err(KeyRefusal::Roca) } else { Ok(algorithm) }
}

/// What a consistent key can still suffer from.
fn examine_private([n, _, d, p, q, ..]: [&[u8]; 8]) -> Result<(), KeyRefusal> {
    let [modulus, d, p, q] =
        [BigNum::from_be(n)?, BigNum::from_be(d)?, BigNum::from_be(p)?, BigNum::from_be(q)?];
    let half = modulus.bits() / 2;
    if p.distance(&q)?.bits() <= half - PRIME_DISTANCE_MARGIN {
        return Err(KeyRefusal::ClosePrimes);
    }
    // FIPS 186-5 §A.1.1 (3.a), against the attacks of Wiener and of Boneh and Durfee.
    if d.bits() <= half || d >= modulus {
        return Err(KeyRefusal::PrivateExponent);
    }
    if p.is_prime()? && q.is_prime()? { Ok(()) } else { Err(KeyRefusal::CompositePrime) }
}

/// Finds out why aws-lc refused a key.
fn diagnose(numbers: [&[u8]; 8]) -> Result<KeyRefusal, KeyRefusal> {
    let mut parsed = Vec::with_capacity(numbers.len());
    for number in numbers {
        parsed.push(BigNum::from_be(number)?);
    }
    let [n, e, d, p, q, dp, dq, qinv] = std::array::from_fn(|index| &parsed[index]);
    if p == q {
        return Ok(KeyRefusal::EqualPrimes);
    }
    if p.times(q)? != *n {
        return Ok(KeyRefusal::ModulusMismatch);
    }
    let (p_less_one, q_less_one) = (p.predecessor()?, q.predecessor()?);
    let product = e.times(d)?;
    if d >= n {
        return Ok(KeyRefusal::PrivateExponent);
    }
    if !product.modulo(&p_less_one)?.is_one() || !product.modulo(&q_less_one)?.is_one() {
        return Ok(KeyRefusal::ExponentMismatch);
    }
    if d.modulo(&p_less_one)? != *dp {
        return Ok(KeyRefusal::Crt("d mod (p-1)"));
    }
    if d.modulo(&q_less_one)? != *dq {
        return Ok(KeyRefusal::Crt("d mod (q-1)"));
    }
    if qinv >= p || !q.times(qinv)?.modulo(p)?.is_one() {
        return Ok(KeyRefusal::Crt("1/q mod p"));
    }
    Ok(KeyRefusal::Inconsistent)
}

fn place(algorithm: Algorithm, numbers: [&[u8]; 8]) -> Result<Material, KeyRefusal> {
    let mut material = Material::zeroed(algorithm)?;
    for (part, number) in Part::RSA.into_iter().zip(numbers) {
        right_align(number, material.part_mut(part)).ok_or(KeyRefusal::Inconsistent)?;
    }
    Ok(material)
}

fn is_public_half(public: &[u8], n: &[u8], e: &[u8]) -> bool {
    RsaPublicKeyRef::from_der(public)
        .is_ok_and(|key| key.modulus.as_bytes() == n && key.public_exponent.as_bytes() == e)
}

fn is_even(number: &[u8]) -> bool {
    number.last().is_none_or(|octet| octet & 1 == 0)
}
