//! The two curves, as types.

use crate::ecdsa::comb::Window;
use crate::ecdsa::constants::{p256, p384};
use crate::ecdsa::modulus::{Modulus, P256Field, P256Order, P384Field, P384Order};

/// y² = x³ − 3x + b, of prime order, with its comb.
pub(crate) trait Curve<const N: usize>: 'static {
    /// The field of coordinates.
    type Field: Modulus<N>;
    /// The field of scalars.
    type Order: Modulus<N>;
    /// b, in Montgomery form.
    const B: [u64; N];
    /// 3, in Montgomery form.
    const THREE: [u64; N];
    /// Octets of a coordinate, of a scalar and of a digest.
    const OCTETS: usize;
    /// The first window of the upper half.
    const HALF: usize;
    /// The odd scalars for which an addition of the comb would be a doubling; `build/emit.rs` derives them.
    const EXCEPTIONS: [[u64; N]; 2];
    /// Window `j` has the odd multiples of 2^(7j) · G.
    fn comb() -> &'static [Window<N>];
}

macro_rules! curve {
    ($name:ident, $module:ident, $field:ident, $order:ident, $octets:literal) => {
        #[doc = concat!("NIST ", stringify!($name), ".")]
        pub(crate) struct $name;

        impl Curve<{ $module::DIGITS }> for $name {
            type Field = $field;
            type Order = $order;
            const B: [u64; $module::DIGITS] = $module::B;
            const THREE: [u64; $module::DIGITS] = $module::THREE;
            const OCTETS: usize = $octets;
            const HALF: usize = $module::HALF;
            const EXCEPTIONS: [[u64; $module::DIGITS]; 2] =
                [$module::EXCEPTION_IN_ORDER, $module::EXCEPTION_BY_HALVES];

            fn comb() -> &'static [Window<{ $module::DIGITS }>] {
                const { assert!($module::WINDOW_BITS == crate::ecdsa::comb::WINDOW_BITS) };
                &$module::COMB
            }
        }
    };
}

curve!(P256, p256, P256Field, P256Order, 32);
curve!(P384, p384, P384Field, P384Order, 48);
