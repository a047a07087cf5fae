//! Arithmetic modulo each of the four primes, against big integers.

use core::marker::PhantomData;

use num_bigint::BigUint;
use proptest::prelude::*;

use crate::ecdsa::field::{Element, borrow, canonical, load, multiply, multiply_add, square, store};
use crate::ecdsa::inverse::invert_all;
use crate::ecdsa::modulus::{Modulus, P256Field, P256Order, P384Field, P384Order};
use crate::ecdsa::safegcd;
use crate::lanes::{Block, DIGIT_MASK, Lanes};
use crate::tier::Kernel;

fn number(digits: &[u64]) -> BigUint {
    digits.iter().rev().fold(BigUint::ZERO, |sum, digit| (sum << 52u32) + *digit)
}

fn lane<const N: usize>(element: &Element<N>, lane: usize) -> [u64; N] {
    element.each_ref().map(|block| block.0[lane])
}

/// A product, a square, a sum of products and a canonical product.
struct Arithmetic<M, const N: usize>([Element<N>; 2], PhantomData<M>);

impl<M: Modulus<N>, const N: usize> Kernel for Arithmetic<M, N> {
    type Output = [Element<N>; 4];

    fn run<L: Lanes>(self) -> Self::Output {
        let mut out = [[Block::default(); N]; 4];
        L::run(
            #[inline(always)]
            || {
                let [a, b] = [load::<L, N>(&self.0[0]), load(&self.0[1])];
                let [mut product] = multiply::<L, M, N, 1>(&[a], &[b]);
                store(product, &mut out[0]);
                store(square::<L, M, N, 1>(&[a])[0], &mut out[1]);
                let mut sum = multiply_add::<L, M, N, 1, 2>([(&[a], &[b]), (&[a], &[a])], [b]);
                // The sum may be too large to be clean; its top digit then keeps the rest.
                let [sum] = &mut sum;
                borrow(sum);
                store(*sum, &mut out[2]);
                canonical::<L, M, N>(&mut product, 17);
                store(product, &mut out[3]);
            },
        );
        out
    }
}

/// Digits that carry, of a number below four times a power of two near the prime, so that no result is too large.
fn element<const N: usize>() -> impl Strategy<Value = Element<N>> {
    let digit = prop_oneof![Just(0), Just(1), Just(DIGIT_MASK), Just(DIGIT_MASK - 1), 0..=DIGIT_MASK];
    let block = proptest::array::uniform8(digit).prop_map(Block);
    proptest::collection::vec(block, N).prop_map(|mut blocks| {
        blocks[N - 1].0.iter_mut().for_each(|digit| *digit >>= if N == 5 { 2 } else { 30 });
        core::array::from_fn(|j| blocks[j])
    })
}

fn arithmetic_agrees<M: Modulus<N>, const N: usize>(a: Element<N>, b: Element<N>) {
    let prime = number(&M::PRIME);
    let montgomery = BigUint::from(1u32) << (52 * N);
    let inverse = (&montgomery % &prime).modinv(&prime).unwrap();
    for kernels in super::tiers() {
        let [product, square, sum, reduced] = kernels.dispatch(Arithmetic::<M, N>([a, b], PhantomData));
        for i in 0..8 {
            let [a, b] = [number(&lane(&a, i)), number(&lane(&b, i))];
            let expected = &a * &b * &inverse % &prime;
            assert_eq!(number(&lane(&reduced, i)), expected);
            for (got, wide, plus) in [
                (product, &a * &b, BigUint::ZERO),
                (square, &a * &a, BigUint::ZERO),
                (sum, &a * &b + &a * &a, b.clone()),
            ] {
                let got = number(&lane(&got, i));
                assert_eq!(&got % &prime, (&wide * &inverse + &plus) % &prime);
                assert!(got <= &wide / &montgomery + &prime + plus, "the bound of the documentation");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn five_digits(a in element::<5>(), b in element::<5>()) {
        arithmetic_agrees::<P256Field, 5>(a, b);
        arithmetic_agrees::<P256Order, 5>(a, b);
    }

    #[test]
    fn eight_digits(a in element::<8>(), b in element::<8>()) {
        arithmetic_agrees::<P384Field, 8>(a, b);
        arithmetic_agrees::<P384Order, 8>(a, b);
    }
}

fn inverses_agree<M: Modulus<N>, const N: usize>() {
    let prime = number(&M::PRIME);
    let digits = |number: &BigUint| -> [u64; N] {
        core::array::from_fn(|j| u64::try_from(number >> (52 * j) & BigUint::from(DIGIT_MASK)).unwrap())
    };
    assert_eq!(safegcd::invert::<M, N>(&[0; N]), [0; N]);
    let edges = [
        BigUint::from(1u32),
        BigUint::from(2u32),
        &prime - 1u32,
        &prime - 2u32,
        &prime >> 1,
        (&prime >> 1) + 1u32,
    ];
    let random = (0..200).map(|i| BigUint::from_bytes_be(&super::oracle::octets("inverse", i, 64)) % &prime);
    let powers = (0..prime.bits() - 1).map(|bit| BigUint::from(1u32) << bit);
    for value in edges.into_iter().chain(random).chain(powers) {
        let inverse = number(&safegcd::invert::<M, N>(&digits(&value)));
        assert_eq!(inverse, value.modinv(&prime).unwrap());
    }
}

#[test]
fn single_inverses() {
    inverses_agree::<P256Field, 5>();
    inverses_agree::<P256Order, 5>();
    inverses_agree::<P384Field, 8>();
    inverses_agree::<P384Order, 8>();
}

/// Inverses of a batch.
struct Inverses<M, const N: usize>(Vec<Element<N>>, PhantomData<M>);

impl<M: Modulus<N>, const N: usize> Kernel for Inverses<M, N> {
    type Output = Vec<Element<N>>;

    fn run<L: Lanes>(mut self) -> Self::Output {
        let mut before = self.0.clone();
        invert_all::<L, M, N>(&mut self.0, &mut before);
        self.0
    }
}

fn shared_inverses_agree<M: Modulus<N>, const N: usize>() {
    let prime = number(&M::PRIME);
    let square = number(&M::R2);
    for count in [1, 2, 3, 16] {
        let values: Vec<Element<N>> = (0..count)
            .map(|vector| {
                core::array::from_fn(|digit| {
                    // The top digit is kept small, so that values are below the prime.
                    let shift = if digit + 1 == N { 13 + (52 * N as u64 - prime.bits()) } else { 12 };
                    Block(core::array::from_fn(|i| {
                        let octets = super::oracle::octets("batch", 100 * vector + 8 * digit + i, 8);
                        u64::from_be_bytes(octets.try_into().unwrap()) >> shift
                    }))
                })
            })
            .collect();
        for kernels in super::tiers() {
            let inverses = kernels.dispatch(Inverses::<M, N>(values.clone(), PhantomData));
            for (value, inverse) in values.iter().zip(&inverses) {
                for i in 0..8 {
                    let product = number(&lane(value, i)) * number(&lane(inverse, i));
                    assert_eq!(product % &prime, square, "{:?} {count}", kernels.tier());
                }
            }
            let mut with_zero = values.clone();
            with_zero[0].iter_mut().for_each(|block| block.0[5] = 0);
            let inverses = kernels.dispatch(Inverses::<M, N>(with_zero, PhantomData));
            assert!(
                inverses
                    .iter()
                    .all(|inverse| (0..8).all(|i| number(&lane(inverse, i)) % &prime == BigUint::ZERO))
            );
        }
    }
}

#[test]
fn shared_inverses() {
    shared_inverses_agree::<P256Field, 5>();
    shared_inverses_agree::<P256Order, 5>();
    shared_inverses_agree::<P384Field, 8>();
    shared_inverses_agree::<P384Order, 8>();
}
