use super::super::carry;
use super::super::modulus::Prepared;
use super::super::montgomery::{self, Modulus, Scratch};
use super::super::number::{Digits, Number};
use super::*;
use crate::lanes::Lanes;
use crate::tier::Kernel;

fn value<const LIMBS: usize>(digits: &Digits<LIMBS>) -> BigUint {
    digits.0.as_flattened().iter().rev().fold(BigUint::ZERO, |value, &digit| (value << 52) + digit)
}

fn digits<const LIMBS: usize>(value: &BigUint) -> Digits<LIMBS> {
    Digits::from_octets(&value.to_bytes_be())
}

/// Eight odd numbers of 512 bits per ten digits, the smallest and the largest among them.
fn moduli<const LIMBS: usize>() -> [BigUint; 8] {
    let top = BigUint::from(1u8) << (512 * LIMBS - 1);
    core::array::from_fn(|lane| match lane {
        0 => &top + 1u8,
        1 => &top + (&top - 1u8),
        2 => &top + ((BigUint::from(1u8) << 52) - 1u8),
        _ => {
            let mut octets = vec![0; 64 * LIMBS];
            seeded(lane as u64)(&mut octets).unwrap();
            (BigUint::from_bytes_be(&octets) | &top) | BigUint::from(1u8)
        }
    })
}

/// Multiplies, squares and adds some numbers below 2n, and says what is wrong.
struct Arithmetic<const LIMBS: usize, const TWICE: usize> {
    moduli: [BigUint; 8],
    a: [BigUint; 8],
    b: [BigUint; 8],
}

impl<const LIMBS: usize, const TWICE: usize> Kernel for Arithmetic<LIMBS, TWICE> {
    type Output = ();

    fn run<L: Lanes>(self) {
        let Self { moduli, a, b } = self;
        let n: [Digits<LIMBS>; 8] = moduli.each_ref().map(digits);
        let prepared = Prepared::new::<L, 8>(n.each_ref());
        let mut modulus = Modulus::ZERO;
        let mut scratch = Scratch::ZERO;
        let (mut x, mut y) = (Number::ZERO, Number::ZERO);
        for lane in 0..8 {
            modulus.set_lane(lane, &prepared[lane]);
            x.set_lane(lane, &digits(&a[lane]));
            y.set_lane(lane, &digits(&b[lane]));
        }
        let r = BigUint::from(1u8) << (520 * LIMBS);
        let (mut multiplied, mut squared, mut added, mut subtracted, mut doubled) = (x, x, x, x, x);
        let mut product = Number::<TWICE>::ZERO;
        montgomery::multiply::<L, LIMBS>(&mut multiplied, &y, &modulus, &mut scratch);
        montgomery::square::<L, LIMBS>(&mut squared, &modulus, &mut scratch);
        montgomery::product::<L, LIMBS, TWICE>(&mut product, &x, &y, &x);
        carry::add::<L, LIMBS>(&mut added, &y);
        carry::subtract::<L, LIMBS>(&mut subtracted, &y, &modulus.n);
        carry::canonical::<L, LIMBS>(&mut doubled, &modulus.n);
        let least = doubled;
        carry::double::<L, LIMBS>(&mut doubled, &modulus.n);
        let is_less = carry::less::<L, LIMBS>(&x, &y);
        let is_equal = carry::equal::<L, LIMBS>(&x, &y);
        for lane in 0..8 {
            let (n, a, b) = (&moduli[lane], &a[lane], &b[lane]);
            assert_eq!(value(&prepared[lane].r2), &r * &r % n);
            for (got, expected) in [(&multiplied, a * b), (&squared, a * a)] {
                let got = value(&got.lane(lane));
                assert!(got < n * 2u8);
                assert_eq!(got * &r % n, expected % n, "lane {lane} of {LIMBS}: {a:x} {b:x} {n:x}");
            }
            assert_eq!(value(&product.lane(lane)), a * b + a);
            assert_eq!(value(&added.lane(lane)), a + b);
            assert_eq!(value(&subtracted.lane(lane)), a + n * 2u8 - b);
            assert_eq!(value(&least.lane(lane)), a % n);
            assert_eq!(value(&doubled.lane(lane)), a * 2u8 % n);
            assert_eq!(is_less >> lane & 1 == 1, a < b);
            assert_eq!(is_equal >> lane & 1 == 1, a == b);
        }
    }
}

fn arithmetic<const LIMBS: usize, const TWICE: usize>() {
    let moduli = moduli::<LIMBS>();
    let edges = |n: &BigUint, which: usize, seed: u64| match which {
        0 => BigUint::ZERO,
        1 => BigUint::from(1u8),
        2 => n - 1u8,
        3 => n.clone(),
        4 => n * 2u8 - 1u8,
        5 => (BigUint::from(1u8) << (512 * LIMBS)) - 1u8,
        _ => {
            let mut octets = vec![0; 64 * LIMBS];
            seeded(seed)(&mut octets).unwrap();
            BigUint::from_bytes_be(&octets) % n
        }
    };
    for kernels in tiers() {
        for first in 0..7 {
            for second in 0..7 {
                let seed = 8 * first + 100 * second;
                let a = core::array::from_fn(|lane| edges(&moduli[lane], first, (seed + lane) as u64));
                let b = core::array::from_fn(|lane| edges(&moduli[lane], second, (seed + lane + 50) as u64));
                kernels.dispatch(Arithmetic::<LIMBS, TWICE> { moduli: moduli.clone(), a, b });
            }
        }
    }
}

#[test]
fn twenty_digits() {
    arithmetic::<2, 4>();
}

#[test]
fn thirty_digits() {
    arithmetic::<3, 6>();
}

#[test]
fn forty_digits() {
    arithmetic::<4, 8>();
}

#[test]
fn sixty_digits() {
    arithmetic::<6, 12>();
}

#[test]
fn eighty_digits() {
    arithmetic::<8, 16>();
}

#[test]
fn octets_come_back() {
    for length in [0, 1, 6, 7, 8, 13, 64, 127, 128] {
        let mut octets = vec![0; length];
        seeded(length as u64)(&mut octets).unwrap();
        let digits = Digits::<2>::from_octets(&octets);
        assert_eq!(value(&digits), BigUint::from_bytes_be(&octets));
        let mut back = vec![0; length];
        digits.write_octets(&mut back);
        assert_eq!(back, octets);
    }
}
