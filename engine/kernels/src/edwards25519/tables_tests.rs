//! The generated numbers against their definitions, computed another way than the generator does.

use num_bigint::BigUint;

use super::tables::{COMB, D, ORDER, ORDER_R, ORDER_R2, TWICE_D, WINDOW_BITS, WINDOWS};

fn p() -> BigUint {
    (BigUint::from(1u8) << 255) - 19u8
}

fn number(digits: impl DoubleEndedIterator<Item = u64>, bits: u32) -> BigUint {
    digits.rev().fold(BigUint::ZERO, |sum, digit| (sum << bits) + digit)
}

fn field(digits: [u64; 5]) -> BigUint {
    number(digits.into_iter(), 51)
}

#[test]
fn constants_are_those_of_the_curve() {
    let p = p();
    assert_eq!(field(D) * 121_666u32 % &p, &p - 121_665u32);
    assert_eq!(field(TWICE_D), field(D) * 2u8 % &p);
    let order = number(ORDER.into_iter(), 52);
    assert_eq!(
        order.to_string(),
        "7237005577332262213973186563042994240857116359379907606001950938285454250989"
    );
    assert_eq!(number(ORDER_R.into_iter(), 52), (BigUint::from(1u8) << 260) % &order);
    assert_eq!(number(ORDER_R2.into_iter(), 52), (BigUint::from(1u8) << 520) % &order);
}

/// (x, y) of an entry, which must lie on the curve.
fn entry(window: usize, number_in_window: usize) -> (BigUint, BigUint) {
    let p = p();
    let [minus, plus, xyd] = COMB[window].0.each_ref().map(|digits| {
        let digits = digits.each_ref().map(|blocks| blocks[number_in_window / 8].0[number_in_window % 8]);
        assert!(digits.iter().all(|digit| *digit < 1 << 51));
        field(digits)
    });
    let half = (&p + 1u8) >> 1;
    let (x, y) = ((&plus + &p - &minus) * &half % &p, (&plus + &minus) * half % &p);
    assert_eq!(xyd, field(TWICE_D) * &x * &y % &p);
    let (xx, yy) = (&x * &x % &p, &y * &y % &p);
    assert_eq!((&yy + &p - &xx) % &p, (field(D) * xx * yy + 1u8) % &p);
    (x, y)
}

/// The affine law (RFC 8032 §5.1.4 before it is made projective), with divisions.
fn add(a: &(BigUint, BigUint), b: &(BigUint, BigUint)) -> (BigUint, BigUint) {
    let p = p();
    let product = field(D) * &a.0 * &b.0 % &p * &a.1 * &b.1 % &p;
    let invert = |number: BigUint| number.modpow(&(&p - 2u8), &p);
    let x = (&a.0 * &b.1 + &b.0 * &a.1) * invert(1u8 + &product);
    let y = (&a.1 * &b.1 + &a.0 * &b.0) * invert(&p + 1u8 - &product);
    (x % &p, y % p)
}

#[test]
fn entries_are_the_odd_multiples() {
    // RFC 7748 §4.1 gives the base point in decimal.
    let base = [
        "15112221349535400772501151409588531511454012693041857206046113283949847762202",
        "46316835694926478169428394003475163141307993866256225615783033603165251855960",
    ];
    let [x, y] = base.map(|decimal| decimal.parse::<BigUint>().unwrap());
    let mut unit = (x, y);
    for window in 0..WINDOWS {
        let twice = add(&unit, &unit);
        assert_eq!(entry(window, 0), unit, "window {window}");
        let entries = 1 << (WINDOW_BITS - 1);
        // All of some windows; the last, which stands on all others, of each.
        if window % 12 == 0 {
            for number in 1..entries {
                assert_eq!(
                    entry(window, number),
                    add(&entry(window, number - 1), &twice),
                    "{window}: {number}"
                );
            }
        }
        let double = |point: (BigUint, BigUint)| add(&point, &point);
        let next = (0..WINDOW_BITS).fold(unit.clone(), |point, _| double(point));
        // (2^7 − 1)·P + P = 2^7·P.
        assert_eq!(add(&entry(window, entries - 1), &unit), next, "window {window}");
        for number in 0..entries {
            entry(window, number);
        }
        unit = next;
    }
}
