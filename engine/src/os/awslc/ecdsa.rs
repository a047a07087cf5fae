//! Recomputing the nonce of an ECDSA signature from its outputs.

use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use aws_lc_sys as sys;

/// A curve, and arithmetic modulo the order n of its base point G.
#[derive(Debug)]
pub struct Curve {
    group: *const sys::EC_GROUP,
    order: *const sys::BIGNUM,
    /// n − 2: s^(n−2) is the inverse of s, since n is prime.
    inverting: NonNull<sys::BIGNUM>,
    montgomery: NonNull<sys::BN_MONT_CTX>,
    /// Octets of a scalar, and of a coordinate.
    octets: usize,
}

// SAFETY: group and order are constants of the library; the others are never written after they were made.
unsafe impl Send for Curve {}
// SAFETY: as above.
unsafe impl Sync for Curve {}

impl Curve {
    /// NIST P-256; `None` when secret memory has no room for its constants.
    pub fn p256() -> Option<&'static Self> {
        static P256: OnceLock<Curve> = OnceLock::new();
        // SAFETY: a constant of the library.
        Self::once(&P256, unsafe { sys::EC_group_p256() }, 32)
    }

    /// NIST P-384; `None` when secret memory has no room for its constants.
    pub fn p384() -> Option<&'static Self> {
        static P384: OnceLock<Curve> = OnceLock::new();
        // SAFETY: a constant of the library.
        Self::once(&P384, unsafe { sys::EC_group_p384() }, 48)
    }

    fn once(
        cell: &'static OnceLock<Self>,
        group: *const sys::EC_GROUP,
        octets: usize,
    ) -> Option<&'static Self> {
        if let Some(curve) = cell.get() {
            return Some(curve);
        }
        // SAFETY: the order belongs to the group, a constant.
        let order = unsafe { sys::EC_GROUP_get0_order(group) };
        let scratch = Scratch::new()?;
        // SAFETY: a valid odd modulus and scratch.
        let montgomery =
            NonNull::new(unsafe { sys::BN_MONT_CTX_new_for_modulus(order, scratch.0.as_ptr()) })?;
        // SAFETY: a valid number.
        let inverting = NonNull::new(unsafe { sys::BN_dup(order) })?;
        // SAFETY: a valid number greater than 2.
        done(unsafe { sys::BN_sub_word(inverting.as_ptr(), 2) })?;
        // A thread that comes second leaves its constants unused: some hundred octets, once.
        Some(cell.get_or_init(|| Self { group, order, inverting, montgomery, octets }))
    }

    /// Whether x(w·G) = r modulo n, where w = s⁻¹(z + r·d): the nonce that these outputs imply is the one whose point
    /// they show. For Q = d·G this is what verification with Q says (FIPS 186-5 §6.4.2), since
    /// w·G = s⁻¹z·G + s⁻¹r·Q, at less than half the price: G has a table, Q has none.
    ///
    /// `d` and `digest` have the octets of a scalar, `signature` is r ‖ s. What depends on d or w takes constant time:
    /// Montgomery products of full width, and the multiplication of the base point. False also when secret memory has
    /// no room ([`ran_out`](super::ran_out)).
    pub fn nonce_matches(&self, d: &[u8], digest: &[u8], signature: &[u8]) -> bool {
        let fits =
            d.len() == self.octets && digest.len() == self.octets && signature.len() == 2 * self.octets;
        fits && self.try_nonce_matches(d, digest, signature) == Some(true)
    }

    fn try_nonce_matches(&self, d: &[u8], digest: &[u8], signature: &[u8]) -> Option<bool> {
        let scratch = Scratch::new()?;
        let (r, s) = signature.split_at(self.octets);
        let (r, s) = (scratch.number(r)?, scratch.number(s)?);
        if !self.is_scalar(r) || !self.is_scalar(s) {
            return Some(false);
        }
        let nonce = self.nonce(&scratch, scratch.number(d)?, scratch.number(digest)?, r, s)?;
        let x = self.base_multiple(&scratch, nonce)?;
        // SAFETY: valid numbers; x < p < 2n.
        let reduced = unsafe { sys::BN_nnmod(x, x, self.order, scratch.0.as_ptr()) };
        // SAFETY: valid numbers.
        Some(reduced == 1 && unsafe { sys::BN_cmp(x, r) } == 0)
    }

    /// s⁻¹(z + r·d) modulo n.
    fn nonce(&self, scratch: &Scratch, d: Number, digest: Number, r: Number, s: Number) -> Option<Number> {
        let context = scratch.0.as_ptr();
        let (product, sum) = (scratch.empty()?, scratch.empty()?);
        let (inverse, nonce) = (scratch.empty()?, scratch.empty()?);
        let (exponent, montgomery) = (self.inverting.as_ptr(), self.montgomery.as_ptr());
        // Constant time is not needed for s, but this is aws-lc's fastest inversion too.
        // SAFETY: valid numbers below n, and its context.
        done(unsafe {
            sys::BN_mod_exp_mont_consttime(inverse, s, exponent, self.order, context, montgomery)
        })?;
        // A digest may exceed n. It is public.
        // SAFETY: valid numbers.
        done(unsafe { sys::BN_nnmod(digest, digest, self.order, context) })?;
        self.multiply(scratch, product, d, r)?;
        // SAFETY: valid numbers below n.
        done(unsafe { sys::BN_mod_add_quick(sum, product, digest, self.order) })?;
        self.multiply(scratch, nonce, sum, inverse)?;
        Some(nonce)
    }

    /// `result` = `secret` · `public` modulo n.
    fn multiply(&self, scratch: &Scratch, result: Number, secret: Number, public: Number) -> Option<()> {
        let (montgomery, context) = (self.montgomery.as_ptr(), scratch.0.as_ptr());
        let lifted = scratch.empty()?;
        // SAFETY: valid numbers below n, and its context.
        done(unsafe { sys::BN_to_montgomery(lifted, public, montgomery, context) })?;
        // SAFETY: as above. One factor carries R, which the product divides out.
        done(unsafe { sys::BN_mod_mul_montgomery(result, secret, lifted, montgomery, context) })
    }

    /// The affine x of w·G, which the point at infinity has not.
    fn base_multiple(&self, scratch: &Scratch, w: Number) -> Option<Number> {
        let (context, x) = (scratch.0.as_ptr(), scratch.empty()?);
        let point = Point::new(self.group)?;
        // SAFETY: valid objects of one group; w < n, so that it is multiplied in constant time; no second product.
        done(unsafe {
            sys::EC_POINT_mul(self.group, point.0.as_ptr(), w, ptr::null(), ptr::null(), context)
        })?;
        let (point, none) = (point.0.as_ptr(), ptr::null_mut());
        // SAFETY: valid objects of one group; y is not asked for.
        done(unsafe { sys::EC_POINT_get_affine_coordinates(self.group, point, x, none, context) })?;
        Some(x)
    }

    /// Whether `number` is in [1, n−1].
    fn is_scalar(&self, number: Number) -> bool {
        // SAFETY: a valid number.
        let is_zero = unsafe { sys::BN_is_zero(number) } == 1;
        // SAFETY: valid numbers.
        !is_zero && unsafe { sys::BN_cmp(number, self.order) } < 0
    }
}

/// A number of a [`Scratch`], which outlives it.
type Number = *mut sys::BIGNUM;

/// Numbers of one computation; erased together.
struct Scratch(NonNull<sys::BN_CTX>);

impl Scratch {
    fn new() -> Option<Self> {
        // SAFETY: no precondition.
        let context = NonNull::new(unsafe { sys::BN_CTX_new() })?;
        // SAFETY: a fresh context.
        unsafe { sys::BN_CTX_start(context.as_ptr()) };
        Some(Self(context))
    }

    fn empty(&self) -> Option<Number> {
        // SAFETY: a started context.
        let number = unsafe { sys::BN_CTX_get(self.0.as_ptr()) };
        (!number.is_null()).then_some(number)
    }

    fn number(&self, octets: &[u8]) -> Option<Number> {
        let number = self.empty()?;
        // SAFETY: readable octets and a valid number.
        let read = unsafe { sys::BN_bin2bn(octets.as_ptr(), octets.len(), number) };
        (!read.is_null()).then_some(number)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: a started context.
        unsafe { sys::BN_CTX_end(self.0.as_ptr()) };
        // SAFETY: ours, and not used again; freed memory is erased.
        unsafe { sys::BN_CTX_free(self.0.as_ptr()) };
    }
}

struct Point(NonNull<sys::EC_POINT>);

impl Point {
    fn new(group: *const sys::EC_GROUP) -> Option<Self> {
        // SAFETY: a constant group.
        NonNull::new(unsafe { sys::EC_POINT_new(group) }).map(Self)
    }
}

impl Drop for Point {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { sys::EC_POINT_free(self.0.as_ptr()) };
    }
}

fn done(result: i32) -> Option<()> {
    (result == 1).then_some(())
}

#[cfg(test)]
mod tests;
