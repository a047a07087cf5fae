//! The generated tables, against the group law, and what the tags rest on.

use num_bigint::BigUint;

use super::oracle::Oracle;
use crate::ecdsa::comb::Window;
use crate::ecdsa::curve::{Curve, P256, P384};
use crate::ecdsa::tag;
use crate::lanes::Block;

fn number(digits: impl DoubleEndedIterator<Item = u64>) -> BigUint {
    digits.rev().fold(BigUint::ZERO, |sum, digit| {
        assert!(digit < 1 << 52);
        (sum << 52u32) + digit
    })
}

/// Entry `entry` of a column of blocks.
fn word(column: &[Block; 8], entry: usize) -> u64 {
    column[entry / 8].0[entry % 8]
}

fn entries_are_the_odd_multiples<C: Curve<N>, const N: usize>(oracle: &Oracle) {
    let montgomery = BigUint::from(1u32) << (52 * N);
    let mut base = oracle.base.clone();
    let mut weight = BigUint::from(1u32);
    for Window { x, y, tag } in C::comb() {
        let twice = oracle.add(Some(&base), Some(&base)).unwrap();
        let mut point = base.clone();
        for entry in 0..64 {
            let [found_x, found_y] =
                [x, y].map(|columns| number(columns.iter().map(|column| word(column, entry))));
            assert_eq!(found_x, &point.0 * &montgomery % &oracle.p);
            assert_eq!(found_y, &point.1 * &montgomery % &oracle.p);
            let multiple = &weight * BigUint::from(2 * entry + 1);
            assert_eq!(BigUint::from(word(tag, entry)), multiple % tag::MODULUS);
            point = oracle.add(Some(&point), Some(&twice)).unwrap();
        }
        for _ in 0..7 {
            base = oracle.add(Some(&base), Some(&base)).unwrap();
        }
        weight <<= 7u32;
    }
    let bits = oracle.n.bits();
    assert!(7 * C::comb().len() as u64 > bits, "the windows reach above every scalar");
}

#[test]
fn entries_of_p256() {
    entries_are_the_odd_multiples::<P256, 5>(&Oracle::p256());
}

#[test]
fn entries_of_p384() {
    entries_are_the_odd_multiples::<P384, 8>(&Oracle::p384());
}

#[test]
fn tags_are_counted_modulo_a_prime() {
    // Trial division: 2^26 candidates would do, odd ones only.
    assert!((3..1u64 << 26).step_by(2).all(|divisor| !tag::MODULUS.is_multiple_of(divisor)));
    assert_eq!((1u64 << 52) - tag::MODULUS, 47);
}
