//! RSA and ECDSA keys that parse and are not sound, each made here from public numbers and refused by its name.

use der::Encode;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef, UintRef};
use keylane_api::Algorithm;
use num_bigint::BigUint;
use pkcs1::{RsaPrivateKey, RsaPublicKey};
use pkcs8::PrivateKeyInfoRef;
use spki::AlgorithmIdentifierRef;

use super::super::material::{EC, P256, RSA};
use super::super::{KeyRefusal, Part, generate};
use super::{import_octets, refused};
use crate::os::bignum::BigNum;

/// n, e, d, p, q, dp, dq, qinv of a test key, which has nothing to hide.
type Numbers = [BigUint; 8];

const N: usize = 0;
const E: usize = 1;
const D: usize = 2;
const P: usize = 3;
const Q: usize = 4;
const DP: usize = 5;
const DQ: usize = 6;
const QINV: usize = 7;

pub(super) fn pkcs1(numbers: &[Vec<u8>; 8]) -> Vec<u8> {
    let [modulus, public_exponent, private_exponent, prime1, prime2, exponent1, exponent2, coefficient] =
        std::array::from_fn(|index| UintRef::new(&numbers[index]).unwrap());
    let other_prime_infos = None;
    let key = RsaPrivateKey {
        modulus,
        public_exponent,
        private_exponent,
        prime1,
        prime2,
        exponent1,
        exponent2,
        coefficient,
        other_prime_infos,
    };
    key.to_der().unwrap()
}

fn file(numbers: &Numbers) -> Vec<u8> {
    pkcs1(&numbers.each_ref().map(BigUint::to_bytes_be))
}

fn pkcs8(algorithm: AlgorithmIdentifierRef<'_>, key: &[u8], public: Option<&[u8]>) -> Vec<u8> {
    let private_key = OctetStringRef::new(key).unwrap();
    let public_key = public.map(|public| BitStringRef::from_bytes(public).unwrap());
    PrivateKeyInfoRef { algorithm, private_key, public_key }.to_der().unwrap()
}

fn one() -> BigUint {
    BigUint::from(1u8)
}

/// The key of two primes and a public exponent.
fn key_of(p: &BigUint, q: &BigUint, e: &BigUint) -> Numbers {
    let (p_less_one, q_less_one) = (p - one(), q - one());
    let d = e.modinv(&(&p_less_one * &q_less_one)).unwrap();
    let qinv = q.modinv(p).unwrap_or_default();
    [p * q, e.clone(), d.clone(), p.clone(), q.clone(), &d % p_less_one, &d % q_less_one, qinv]
}

fn good() -> Numbers {
    let made = generate(Algorithm::Rsa2048).unwrap();
    Part::RSA.map(|part| BigUint::from_bytes_be(made.part(part)))
}

fn is_prime(candidate: &BigUint) -> bool {
    // Most candidates are no primes, and most of those show it at once.
    let obvious = (3u32..1000).step_by(2).any(|small| candidate % small == BigUint::ZERO);
    !obvious && BigNum::from_be(&candidate.to_bytes_be()).unwrap().is_prime().unwrap()
}

/// The first prime in the sequence start, start + step, ... for which e = 65537 works.
fn prime_from(start: BigUint, step: &BigUint) -> BigUint {
    let mut candidate = start;
    while !is_prime(&candidate) || (&candidate - one()) % 65_537u32 == BigUint::ZERO {
        candidate += step;
    }
    candidate
}

fn random(bits: usize) -> BigUint {
    let mut octets = vec![0; bits / 8];
    aws_lc_rs::rand::fill(&mut octets).unwrap();
    octets[0] |= 0xc0;
    BigUint::from_bytes_be(&octets)
}

#[test]
fn the_control_is_taken() {
    let numbers = good();
    let taken = import_octets(&file(&numbers)).unwrap();
    assert_eq!(Part::RSA.map(|part| BigUint::from_bytes_be(taken.part(part))), numbers);
    let [n, e, _, p, q, ..] = &numbers;
    assert!(import_octets(&file(&key_of(p, q, e))).is_ok(), "d modulo (p-1)(q-1) is as good");
    assert!(import_octets(&file(&key_of(q, p, e))).is_ok(), "the smaller prime may come first");
    assert_eq!(n.bits(), 2048);
}

#[test]
fn a_roca_modulus_is_recognised() {
    // Primes of the form k·M + (65537^a mod M), as CVE-2017-15361 made them, with M the first 126 primes' product.
    let primes = (2u32..).filter(|&number| (2..number).all(|divisor| number % divisor != 0)).take(126);
    let primorial: BigUint = primes.product();
    let residue = |exponent: u32| BigUint::from(65_537u32).modpow(&exponent.into(), &primorial);
    let prime = |exponent| {
        let multiple = random(1024) / &primorial;
        prime_from(multiple * &primorial + residue(exponent), &primorial)
    };
    let numbers = key_of(&prime(12_345), &prime(67_890), &65_537u32.into());
    refused(&file(&numbers), &KeyRefusal::Roca);
}

#[test]
fn wrong_sizes_and_parities_are_named() {
    let change = |index: usize, change: &dyn Fn(&mut BigUint)| {
        let mut numbers = good();
        change(&mut numbers[index]);
        file(&numbers)
    };
    refused(&change(N, &|n| *n += one()), &KeyRefusal::EvenModulus);
    refused(&change(N, &|n| *n >>= 1), &KeyRefusal::Short(2047));
    refused(&change(N, &|n| *n <<= 1), &KeyRefusal::Size(2049));
    refused(&change(E, &|e| *e += one()), &KeyRefusal::EvenExponent);
    refused(&change(E, &|e| *e = BigUint::ZERO), &KeyRefusal::EvenExponent);
    refused(&change(E, &|e| *e = one()), &KeyRefusal::SmallExponent(1));
    refused(&change(E, &|e| *e -= 2u8), &KeyRefusal::SmallExponent(65_535));
    refused(&change(E, &|e| *e = (one() << 33) + one()), &KeyRefusal::LargeExponent);
    refused(&change(P, &|p| *p >>= 1), &KeyRefusal::UnbalancedPrimes);
    refused(&change(Q, &|q| *q <<= 8), &KeyRefusal::UnbalancedPrimes);
}

#[test]
fn unbalanced_but_genuine_primes_are_refused() {
    let step = BigUint::from(2u8);
    let [p, q] = [1024 + 64, 1024 - 64].map(|bits| prime_from(random(bits) | one(), &step));
    let numbers = key_of(&p, &q, &65_537u32.into());
    if numbers[N].bits() == 2048 {
        refused(&file(&numbers), &KeyRefusal::UnbalancedPrimes);
    }
}

#[test]
fn numbers_that_do_not_belong_together_are_named() {
    let numbers = good();
    for (index, expected) in [
        (N, KeyRefusal::ModulusMismatch),
        (P, KeyRefusal::ModulusMismatch),
        (Q, KeyRefusal::ModulusMismatch),
        (D, KeyRefusal::ExponentMismatch),
        (E, KeyRefusal::ExponentMismatch),
        (DP, KeyRefusal::Crt("d mod (p-1)")),
        (DQ, KeyRefusal::Crt("d mod (q-1)")),
        (QINV, KeyRefusal::Crt("1/q mod p")),
    ] {
        let mut changed = numbers.clone();
        changed[index] += 2u8;
        refused(&file(&changed), &expected);
    }
    let mut unreduced = numbers.clone();
    unreduced[QINV] += &numbers[P];
    refused(&file(&unreduced), &KeyRefusal::Crt("1/q mod p"));
    let mut unreduced = numbers.clone();
    unreduced[D] += (&numbers[P] - one()) * (&numbers[Q] - one());
    refused(&file(&unreduced), &KeyRefusal::PrivateExponent);
}

#[test]
fn equal_and_close_primes_are_refused() {
    let step = BigUint::from(2u8);
    let e = BigUint::from(65_537u32);
    let p = prime_from(random(1024) | one(), &step);
    let mut square = key_of(&p, &p, &e);
    square[QINV] = one();
    refused(&file(&square), &KeyRefusal::EqualPrimes);
    let neighbour = prime_from(&p + 2u8, &step);
    refused(&file(&key_of(&p, &neighbour, &e)), &KeyRefusal::ClosePrimes);
    // Just within and just outside of the distance that FIPS 186-5 asks for, 2^(1024-100).
    let near = prime_from(&p - (one() << 923usize), &step);
    refused(&file(&key_of(&p, &near, &e)), &KeyRefusal::ClosePrimes);
    let far = prime_from(&p - (one() << 925usize), &step);
    import_octets(&file(&key_of(&p, &far, &e))).unwrap();
}

#[test]
fn a_small_private_exponent_is_refused() {
    // Wiener: choose d small, compute e from it. Such an e is as large as n, which is refused already; what is left to
    // check is that a short d never passes.
    let [_, _, _, p, q, ..] = good();
    let d = BigUint::from(65_537u32);
    let mut numbers = key_of(&p, &q, &d);
    numbers.swap(E, D);
    refused(&file(&numbers), &KeyRefusal::LargeExponent);
}

/// A consistent key over a composite "prime": every equation modulo p−1 and q−1 holds.
#[test]
fn a_composite_factor_is_refused() {
    let step = BigUint::from(2u8);
    let e = BigUint::from(65_537u32);
    let [a, b] = [(); 2].map(|()| prime_from(random(512) | one(), &step));
    let composite = a * b;
    assert!((&composite - one()) % 65_537u32 != BigUint::ZERO);
    let q = prime_from(random(1024) | one(), &step);
    refused(&file(&key_of(&composite, &q, &e)), &KeyRefusal::CompositePrime);
    refused(&file(&key_of(&q, &composite, &e)), &KeyRefusal::CompositePrime);
}

#[test]
fn a_foreign_public_half_is_refused() {
    let numbers = good();
    let algorithm = AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) };
    let public = |numbers: &Numbers| {
        let [n, e] = [N, E].map(|index| numbers[index].to_bytes_be());
        let key =
            RsaPublicKey { modulus: UintRef::new(&n).unwrap(), public_exponent: UintRef::new(&e).unwrap() };
        key.to_der().unwrap()
    };
    import_octets(&pkcs8(algorithm, &file(&numbers), Some(&public(&numbers)))).unwrap();
    let foreign = pkcs8(algorithm, &file(&numbers), Some(&public(&good())));
    refused(&foreign, &KeyRefusal::PublicMismatch);
}

/// SEC 1 without parameters, in PKCS#8.
fn p256(scalar: &[u8], public: Option<&[u8]>) -> Vec<u8> {
    let scalar = OctetStringRef::new(scalar).unwrap();
    let mut key = vec![0x02, 0x01, 0x01];
    key.extend(scalar.to_der().unwrap());
    if let Some(public) = public {
        let bits = BitStringRef::from_bytes(public).unwrap().to_der().unwrap();
        key.extend([0xa1, u8::try_from(bits.len()).unwrap()]);
        key.extend(bits);
    }
    let mut sequence = vec![0x30, u8::try_from(key.len()).unwrap()];
    sequence.extend(key);
    let curve: &ObjectIdentifier = &P256;
    pkcs8(AlgorithmIdentifierRef { oid: EC, parameters: Some(curve.into()) }, &sequence, None)
}

#[test]
fn a_scalar_out_of_range_is_refused() {
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order = base16ct::lower::decode_vec(order).unwrap();
    let mut last = order.clone();
    *last.last_mut().unwrap() -= 1;
    refused(&p256(&[0; 32], None), &KeyRefusal::ScalarRange);
    refused(&p256(&order, None), &KeyRefusal::ScalarRange);
    refused(&p256(&[0xff; 32], None), &KeyRefusal::ScalarRange);
    refused(&p256(&[1; 33], None), &KeyRefusal::ScalarRange);
    import_octets(&p256(&last, None)).unwrap();
    let short = import_octets(&p256(&[1], None)).unwrap();
    assert_eq!(short.part(Part::Scalar)[..31], [0; 31], "leading zeros may be missing");
    let long = import_octets(&p256(&[&[0], &last[..]].concat(), None)).unwrap();
    assert_eq!(long.part(Part::Scalar), last, "or one too many");
}

#[test]
fn a_public_point_is_compared_compressed_or_not() {
    let made = generate(Algorithm::P256).unwrap();
    let (scalar, point) = (made.part(Part::Scalar), made.part(Part::Point));
    let compressed = |parity: u8| [&[2 + parity], &point[1..33]].concat();
    let parity = point[64] & 1;
    for public in [point.to_vec(), compressed(parity)] {
        assert_eq!(import_octets(&p256(scalar, Some(&public))).unwrap().numbers(), made.numbers());
    }
    let foreign = generate(Algorithm::P256).unwrap();
    for public in [compressed(1 - parity), foreign.part(Part::Point).to_vec(), vec![0], point[..64].to_vec()]
    {
        refused(&p256(scalar, Some(&public)), &KeyRefusal::PublicMismatch);
    }
}
