//! The constants and the comb table of edwards25519 (RFC 8032 §5.1, RFC 7748 §4.1), as Rust source.
//! `src/edwards25519/tables_tests.rs` verifies them against the group law.

use std::fmt::Write;

use num_bigint::BigUint;

/// Bits of a comb window: `src/edwards25519/comb.rs` has the cost of the others.
const WINDOW_BITS: usize = 7;
/// A scalar below twice the group's order, without its lowest bit, has 253 bits.
const WINDOWS: usize = 253usize.div_ceil(WINDOW_BITS);
/// The odd multiples 1, 3, … of a window.
const ENTRIES: usize = 1 << (WINDOW_BITS - 1);

/// Bits and count of a field element's digits, and of a scalar's.
const FIELD: (usize, usize) = (51, 5);
const SCALAR: (usize, usize) = (52, 5);

/// A point (X : Y : Z), T = XY/Z.
#[derive(Clone)]
struct Point {
    x: BigUint,
    y: BigUint,
    z: BigUint,
    t: BigUint,
}

struct Curve {
    p: BigUint,
    order: BigUint,
    d: BigUint,
    base: Point,
}

fn power_of_two(bits: usize) -> BigUint {
    BigUint::from(1u32) << bits
}

impl Curve {
    fn new() -> Self {
        let p = power_of_two(255) - 19u32;
        let invert = |number: u32| BigUint::from(number).modpow(&(&p - 2u32), &p);
        let d = (&p - 121_665u32) * invert(121_666) % &p;
        let y = invert(5) * 4u32 % &p;
        let x = Self::even_x(&y, &d, &p);
        let t = &x * &y % &p;
        let base = Point { x, y, z: BigUint::from(1u32), t };
        // 2^252 + a number that the RFC gives in decimal.
        let tail = BigUint::parse_bytes(b"27742317777372353535851937790883648493", 10).unwrap_or_default();
        let order = power_of_two(252) + tail;
        Self { p, order, d, base }
    }

    /// The even x on the curve: RFC 8032 §5.1.3.
    fn even_x(y: &BigUint, d: &BigUint, p: &BigUint) -> BigUint {
        let yy = y * y % p;
        let u = &yy + p - 1u32;
        let v = (d * yy + 1u32) % p;
        let square = u * v.modpow(&(p - 2u32), p) % p;
        let mut x = square.modpow(&((p + 3u32) >> 3), p);
        if &x * &x % p != square {
            x = x * BigUint::from(2u32).modpow(&((p - 1u32) >> 2), p) % p;
        }
        if x.bit(0) { p - x } else { x }
    }

    /// The sum of any two points: H. Hisil et al., "Twisted Edwards curves revisited", §3.1, for a = −1.
    fn add(&self, a: &Point, b: &Point) -> Point {
        let p = &self.p;
        let from_minus = (&a.y + p - &a.x) * (&b.y + p - &b.x) % p;
        let from_plus = (&a.y + &a.x) * (&b.y + &b.x) % p;
        let c = &a.t * 2u32 * &self.d * &b.t % p;
        let d = &a.z * 2u32 * &b.z % p;
        let (e, f) = (&from_plus + p - &from_minus, &d + p - &c);
        let (g, h) = (d + c, from_plus + from_minus);
        Point { x: &e * &f % p, y: &g * &h % p, z: f * g % p, t: e * h % p }
    }

    /// For each window the points (2j + 1) · 2^(bits · window) · B.
    fn comb(&self) -> Vec<Point> {
        let mut points = Vec::new();
        let mut unit = self.base.clone();
        for _ in 0..WINDOWS {
            let twice = self.add(&unit, &unit);
            let mut multiple = unit.clone();
            for _ in 0..ENTRIES {
                points.push(multiple.clone());
                multiple = self.add(&multiple, &twice);
            }
            for _ in 0..WINDOW_BITS {
                unit = self.add(&unit, &unit);
            }
        }
        points
    }

    /// 1/Z of all points, by one inversion.
    fn inverses(&self, points: &[Point]) -> Vec<BigUint> {
        let mut products = vec![BigUint::from(1u32)];
        for point in points {
            products.push(&products[products.len() - 1] * &point.z % &self.p);
        }
        let mut inverse = products[points.len()].modpow(&(&self.p - 2u32), &self.p);
        let mut inverses = Vec::new();
        for (point, before) in points.iter().zip(&products).rev() {
            inverses.push(&inverse * before % &self.p);
            inverse = inverse * &point.z % &self.p;
        }
        inverses.reverse();
        inverses
    }

    /// y − x, y + x and 2·d·x·y of each point.
    fn entries(&self) -> Vec<[BigUint; 3]> {
        let (points, p) = (self.comb(), &self.p);
        let entry = |(point, inverse): (&Point, &BigUint)| {
            let (x, y) = (&point.x * inverse % p, &point.y * inverse % p);
            [(&y + p - &x) % p, (&y + &x) % p, &self.d * 2u32 * x * y % p]
        };
        points.iter().zip(&self.inverses(&points)).map(entry).collect()
    }
}

fn digits(number: &BigUint, (bits, count): (usize, usize)) -> Vec<u64> {
    let mask = power_of_two(bits) - 1u32;
    (0..count).map(|i| u64::try_from(number >> (i * bits) & &mask).unwrap_or_default()).collect()
}

fn constant(text: &mut String, name: &str, what: &str, number: &BigUint, radix: (usize, usize)) {
    let _ = writeln!(text, "/// {what}.\npub(crate) const {name}: [u64; 5] = {:#x?};", digits(number, radix));
}

fn comb(text: &mut String, curve: &Curve) {
    let _ = writeln!(text, "/// The comb.\npub(crate) static COMB: [super::comb::Window; {WINDOWS}] = [");
    for window in curve.entries().chunks(ENTRIES) {
        text.push_str("super::comb::Window([");
        for coordinate in 0..3 {
            let numbers: Vec<_> = window.iter().map(|entry| digits(&entry[coordinate], FIELD)).collect();
            text.push('[');
            for digit in 0..FIELD.1 {
                text.push('[');
                for block in numbers.chunks(8) {
                    let words: Vec<_> = block.iter().map(|number| number[digit]).collect();
                    let _ = write!(text, "crate::Block({words:?}),");
                }
                text.push_str("],");
            }
            text.push_str("],");
        }
        text.push_str("]),\n");
    }
    text.push_str("];\n");
}

/// The source of `src/edwards25519/tables.rs`' content.
pub fn module() -> String {
    let curve = Curve::new();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "/// Bits of a window.\npub(crate) const WINDOW_BITS: usize = {WINDOW_BITS};\n\
         /// Windows of a scalar.\npub(crate) const WINDOWS: usize = {WINDOWS};\n\
         /// Multiples in a window, eight to a block.\npub(crate) const ENTRY_BLOCKS: usize = {};",
        ENTRIES / 8
    );
    constant(&mut text, "D", "The curve's d", &curve.d, FIELD);
    constant(&mut text, "TWICE_D", "2·d", &(&curve.d * 2u32 % &curve.p), FIELD);
    let order = &curve.order;
    constant(&mut text, "ORDER", "The prime order of the group", order, SCALAR);
    constant(&mut text, "ORDER_R", "2^260 modulo the order", &(power_of_two(260) % order), SCALAR);
    constant(&mut text, "ORDER_R2", "2^520 modulo the order", &(power_of_two(520) % order), SCALAR);
    comb(&mut text, &curve);
    text
}
