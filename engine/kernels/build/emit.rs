//! Numbers as Rust source, in Montgomery form where the kernels want it.

use std::fmt::Write;

use num_bigint::BigUint;

use crate::curve::{Curve, Point};

const DIGIT_BITS: usize = 52;

/// The modulus of the fingerprint that the table entries carry; `src/ecdsa/tag.rs` has the same.
const TAG_MODULUS: u64 = (1 << DIGIT_BITS) - 47;

fn power_of_two(bits: usize) -> BigUint {
    BigUint::from(1u32) << bits
}

fn digits(number: &BigUint, count: usize) -> Vec<u64> {
    let mask = power_of_two(DIGIT_BITS) - 1u32;
    (0..count).map(|i| u64::try_from(number >> (i * DIGIT_BITS) & &mask).unwrap_or_default()).collect()
}

struct Module<'a> {
    curve: &'a Curve,
    text: String,
}

/// The source of a curve's module.
pub fn module(curve: &Curve) -> String {
    let mut module = Module { curve, text: String::new() };
    module.field("P", &curve.p);
    module.field("ORDER", &curve.n);
    let montgomery = power_of_two(DIGIT_BITS * curve.digits);
    module.constant("B", "b, in Montgomery form", &(&curve.b * &montgomery % &curve.p));
    module.constant("THREE", "3, in Montgomery form", &(&montgomery * 3u32 % &curve.p));
    module.exceptions();
    module.sizes();
    module.comb(&montgomery);
    module.text
}

impl Module<'_> {
    fn constant(&mut self, name: &str, what: &str, number: &BigUint) {
        let count = self.curve.digits;
        let digits = digits(number, count);
        let _ = writeln!(self.text, "/// {what}.\npub(crate) const {name}: [u64; {count}] = {digits:#x?};");
    }

    fn field(&mut self, name: &str, modulus: &BigUint) {
        let bits = DIGIT_BITS * self.curve.digits;
        let power = |times: usize| power_of_two(bits * times) % modulus;
        self.constant(name, "A prime", modulus);
        self.constant(&format!("{name}_R"), "2^(52 · digits) modulo this prime", &power(1));
        self.constant(&format!("{name}_R2"), "The square of it", &power(2));
        self.constant(&format!("{name}_R3"), "The cube of it", &power(3));
    }

    /// The two odd scalars for which the last addition of a comb would be a doubling. In order: the last addend is
    /// T = d · 2^(bits below the top window), and the sum so far S = k − T equals T modulo n, which integers of their
    /// sizes allow only for S = T − n, so k = 2T − n; only the largest odd d leaves S short enough. By halves: the low
    /// half is L, |L| < 2^h, the high half H = k − L is a multiple of 2^h; L = H modulo n only for H = n + L, so
    /// L = −(n mod 2^h) and k = n − 2 (n mod 2^h).
    fn exceptions(&mut self) {
        let Curve { n, window_bits, windows, half, digits, .. } = self.curve;
        let below = window_bits * (windows - 1);
        let mut top = n >> below;
        if !top.bit(0) {
            top -= 1u32;
        }
        self.constant(
            "EXCEPTION_IN_ORDER",
            "The last addition of the whole comb would double",
            &((top << (below + 1)) - n),
        );
        let low = n % power_of_two(window_bits * half);
        self.constant(
            "EXCEPTION_BY_HALVES",
            "The addition of the two halves would double",
            &(n - low * 2u32),
        );
        let _ = writeln!(self.text, "pub(crate) const DIGITS: usize = {digits};");
    }

    fn sizes(&mut self) {
        let Curve { windows, half, window_bits, .. } = self.curve;
        let _ = writeln!(
            self.text,
            "pub(crate) const WINDOWS: usize = {windows};\npub(crate) const HALF: usize = {half};\n\
             pub(crate) const WINDOW_BITS: usize = {window_bits};"
        );
    }

    fn comb(&mut self, montgomery: &BigUint) {
        let digits = self.curve.digits;
        let comb = self.curve.comb();
        let _ = writeln!(
            self.text,
            "/// The comb.\npub(crate) static COMB: [crate::ecdsa::comb::Window<{digits}>; WINDOWS] = ["
        );
        for (number, points) in comb.iter().enumerate() {
            self.window(number, points, montgomery);
        }
        self.text.push_str("];\n");
    }

    fn window(&mut self, number: usize, points: &[Point], montgomery: &BigUint) {
        self.text.push_str("crate::ecdsa::comb::Window { x: [");
        let of = |coordinate: fn(&Point) -> &BigUint| -> Vec<Vec<u64>> {
            let converted = points.iter().map(|point| coordinate(point) * montgomery % &self.curve.p);
            converted.map(|number| digits(&number, self.curve.digits)).collect()
        };
        let (x, y) = (of(|point| &point.x), of(|point| &point.y));
        self.columns(&x);
        self.text.push_str("], y: [");
        self.columns(&y);
        let tags: Vec<_> = (0..points.len()).map(|entry| self.tag(number, entry)).collect();
        self.text.push_str("], tag: ");
        self.blocks(&tags);
        self.text.push_str("},\n");
    }

    /// The multiple of G that an entry is, modulo the tag's modulus.
    fn tag(&self, window: usize, entry: usize) -> u64 {
        let multiple = BigUint::from(2 * entry + 1) << (window * self.curve.window_bits);
        u64::try_from(multiple % TAG_MODULUS).unwrap_or_default()
    }

    fn columns(&mut self, entries: &[Vec<u64>]) {
        for digit in 0..self.curve.digits {
            let words: Vec<_> = entries.iter().map(|entry| entry[digit]).collect();
            self.blocks(&words);
            self.text.push(',');
        }
    }

    fn blocks(&mut self, words: &[u64]) {
        self.text.push('[');
        for block in words.chunks(8) {
            let _ = write!(self.text, "crate::lanes::Block({block:?}),");
        }
        self.text.push(']');
    }
}
