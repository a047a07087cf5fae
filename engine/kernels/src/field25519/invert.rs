//! Inversion, by Fermat: z^(p − 2), with 254 squarings and 11 multiplications.

use super::Fe;
use crate::lanes::Lanes;

#[inline(always)]
fn square_times<L: Lanes>(mut element: Fe<L>, count: usize) -> Fe<L> {
    for _ in 0..count {
        element = element.square().carry();
    }
    element
}

impl<L: Lanes> Fe<L> {
    /// 1/self, and 0 for 0.
    ///
    /// The addition chain is that of D. J. Bernstein, "Curve25519: new Diffie–Hellman speed records", 2006.
    #[inline(always)]
    pub(crate) fn invert(self) -> Self {
        // zN_M: self^(2^N − 2^M).
        let z2 = self.square().carry();
        let z9 = square_times(z2, 2).mul(self).carry();
        let z11 = z9.mul(z2).carry();
        let z5_0 = z11.square().carry().mul(z9).carry();
        let z10_0 = square_times(z5_0, 5).mul(z5_0).carry();
        let z20_0 = square_times(z10_0, 10).mul(z10_0).carry();
        let z40_0 = square_times(z20_0, 20).mul(z20_0).carry();
        let z50_0 = square_times(z40_0, 10).mul(z10_0).carry();
        let z100_0 = square_times(z50_0, 50).mul(z50_0).carry();
        let z200_0 = square_times(z100_0, 100).mul(z100_0).carry();
        let z250_0 = square_times(z200_0, 50).mul(z50_0).carry();
        square_times(z250_0, 5).mul(z11).carry()
    }
}
