use num_bigint::BigUint;
use proptest::prelude::*;

use super::*;
use crate::tier::Kernel;
use crate::{Kernels, Tier};

/// Every operation on the same two vectors of elements.
struct Everything(FeBlocks, FeBlocks);

type Words = [Block; 4];

fn words<L: Lanes>(element: Fe<L>) -> Words {
    let mut words = [Block::default(); 4];
    for (word, to) in element.to_words().into_iter().zip(&mut words) {
        word.store(to);
    }
    words
}

impl Kernel for Everything {
    type Output = (Vec<Words>, Mask);

    fn run<L: Lanes>(self) -> Self::Output {
        L::run(|| {
            let (a, b) = (Fe::<L>::load(&self.0), Fe::<L>::load(&self.1));
            let (plus, minus) = a.mul(b).twice_plus_minus(b.square());
            let results = [
                a.mul(b).carry(),
                a.square().carry(),
                a.add(b).carry(),
                a.sub(b).carry(),
                a.mul(a).add(b.mul(b)).carry(),
                a.mul(a).sub(b.mul(b)).carry(),
                plus.carry(),
                minus.carry(),
                a.add_times_small(121_665, b).carry(),
                a.invert(),
                Fe::select(0b0110_1001, a, b),
                Fe::from_words(&words(a)),
            ];
            (results.map(words).to_vec(), a.equals(b))
        })
    }
}

fn p() -> BigUint {
    (BigUint::from(1u8) << 255) - 19u8
}

fn number(blocks: &[Block], lane: usize, bits: u32) -> BigUint {
    blocks.iter().rev().fold(BigUint::ZERO, |sum, block| (sum << bits) + block.0[lane])
}

/// What [`Everything`] gives, by `num-bigint`, reduced to the least number.
fn expected(a: &BigUint, b: &BigUint, lane: usize) -> Vec<BigUint> {
    let p = &p();
    let (a, b) = (&(a % p), &(b % p));
    let results = [
        a * b,
        a * a,
        a + b,
        a + p - b,
        a * a + b * b,
        a * a + p * p - b * b,
        2u8 * a * b + b * b,
        2u8 * a * b + p * p - b * b,
        a + 121_665u32 * b,
        a.modpow(&(p - 2u8), p),
        if 0b0110_1001 >> lane & 1 == 1 { a.clone() } else { b.clone() },
        a.clone(),
    ];
    results.map(|result| result % p).to_vec()
}

/// Digits at the edges of what a type allows.
fn elements() -> impl Strategy<Value = FeBlocks> {
    let digit = prop_oneof![
        Just(0),
        Just(1),
        Just(18),
        Just(19),
        Just(RADIX_MASK - 19),
        Just(RADIX_MASK - 18),
        Just(RADIX_MASK - 17),
        Just(RADIX_MASK),
        Just(RADIX_MASK),
        Just(RADIX_MASK + 1),
        Just((1 << 51) + (1 << 18) - 1),
        Just((1 << 51) + (1 << 18) - 1),
        0..=RADIX_MASK,
    ];
    proptest::array::uniform5(proptest::array::uniform8(digit).prop_map(Block))
}

proptest! {
    #[test]
    fn arithmetic_is_that_of_the_field(a in elements(), b in elements(), same in any::<u8>()) {
        let mut b = b;
        for lane in (0..8).filter(|lane| same >> lane & 1 == 1) {
            (0..DIGITS).for_each(|digit| b[digit].0[lane] = a[digit].0[lane]);
        }
        for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
            let (got, equal) = Kernels::with_tier(tier).unwrap().dispatch(Everything(a, b));
            for lane in 0..8 {
                let (a, b) = (number(&a, lane, 51), number(&b, lane, 51));
                let got: Vec<_> = got.iter().map(|words| number(words, lane, 64)).collect();
                prop_assert_eq!(got, expected(&a, &b, lane), "{:?}, lane {}", tier, lane);
                prop_assert_eq!(equal >> lane & 1 == 1, a % p() == b % p());
            }
        }
    }
}
