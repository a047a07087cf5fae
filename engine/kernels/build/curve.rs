//! The curves in affine coordinates over big integers: slow and plain.

use num_bigint::BigUint;

/// y² = x³ − 3x + b over the integers modulo `p`, with a base point of prime order `n`.
pub struct Curve {
    pub name: &'static str,
    pub p: BigUint,
    pub n: BigUint,
    pub b: BigUint,
    pub base: Point,
    /// Digits of 52 bits that hold a coordinate.
    pub digits: usize,
    /// Bits of a comb window.
    pub window_bits: usize,
    /// Windows of the comb: at least one bit more than `n` has.
    pub windows: usize,
    /// Where a short batch splits the comb into two halves.
    pub half: usize,
}

/// Never the point at infinity: no entry of a comb is.
#[derive(Clone)]
pub struct Point {
    pub x: BigUint,
    pub y: BigUint,
}

fn number(hex: &str) -> BigUint {
    BigUint::parse_bytes(hex.as_bytes(), 16).unwrap_or_default()
}

impl Curve {
    pub fn p256() -> Self {
        Self {
            name: "p256",
            p: number("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
            n: number("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
            b: number("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"),
            base: Point {
                x: number("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
                y: number("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
            },
            digits: 5,
            window_bits: 7,
            windows: 37,
            half: 19,
        }
    }

    pub fn p384() -> Self {
        Self {
            name: "p384",
            p: number(
                "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe\
                 ffffffff0000000000000000ffffffff",
            ),
            n: number(
                "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
                 581a0db248b0a77aecec196accc52973",
            ),
            b: number(
                "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875a\
                 c656398d8a2ed19d2a85c8edd3ec2aef",
            ),
            base: Point {
                x: number(
                    "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a38\
                     5502f25dbf55296c3a545e3872760ab7",
                ),
                y: number(
                    "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c0\
                     0a60b1ce1d7e819d7a431d7c90ea0e5f",
                ),
            },
            digits: 8,
            window_bits: 7,
            windows: 55,
            half: 28,
        }
    }

    fn difference(&self, a: &BigUint, b: &BigUint) -> BigUint {
        (a + &self.p - b) % &self.p
    }

    /// The point whose line through `a` has this slope (numerator and inverted denominator).
    fn along(&self, a: &Point, other_x: &BigUint, over: &BigUint, under: &BigUint) -> Point {
        let slope = over * under % &self.p;
        let x = self.difference(&(&slope * &slope % &self.p), &((&a.x + other_x) % &self.p));
        let y = self.difference(&(&slope * self.difference(&a.x, &x) % &self.p), &a.y);
        Point { x, y }
    }

    fn double(&self, a: &Point) -> Point {
        let over = self.difference(&(&a.x * &a.x * 3u32 % &self.p), &BigUint::from(3u32));
        let under = (&a.y * 2u32).modinv(&self.p).unwrap_or_default();
        self.along(a, &a.x, &over, &under)
    }

    /// Sums of pairs of different points, with one inversion for all (P. L. Montgomery, *Speeding the Pollard and
    /// elliptic curve methods of factorization*, 1987, §10.3.1).
    fn add_all(&self, a: &[Point], b: &[Point]) -> Vec<Point> {
        let gaps: Vec<_> = a.iter().zip(b).map(|(a, b)| self.difference(&b.x, &a.x)).collect();
        let mut products = vec![BigUint::from(1u32)];
        for gap in &gaps {
            products.push(&products[products.len() - 1] * gap % &self.p);
        }
        let mut inverse = products[gaps.len()].modinv(&self.p).unwrap_or_default();
        let mut sums = Vec::new();
        for i in (0..gaps.len()).rev() {
            let under = &inverse * &products[i] % &self.p;
            inverse = inverse * &gaps[i] % &self.p;
            sums.push(self.along(&a[i], &b[i].x, &self.difference(&b[i].y, &a[i].y), &under));
        }
        sums.reverse();
        sums
    }

    /// For every window `j` the odd multiples 1, 3, 5, … of 2^(j · window bits) · G.
    pub fn comb(&self) -> Vec<Vec<Point>> {
        let mut base = self.base.clone();
        let (mut current, mut steps) = (Vec::new(), Vec::new());
        for _ in 0..self.windows {
            current.push(base.clone());
            steps.push(self.double(&base));
            for _ in 0..self.window_bits {
                base = self.double(&base);
            }
        }
        let mut comb = vec![Vec::new(); self.windows];
        for _ in 0..1usize << (self.window_bits - 1) {
            for (window, point) in comb.iter_mut().zip(&current) {
                window.push(point.clone());
            }
            current = self.add_all(&current, &steps);
        }
        comb
    }
}
