//! Key pairs that aws-lc makes and examines, moved as raw big-endian numbers between it and secret memory.

use std::ptr::{self, NonNull};

use aws_lc_sys as sys;

use super::bignum::{BigNum, NoRoom};
use super::secret::{SecretBytes, SecretMemoryError};

/// `e` of every generated RSA key.
const PUBLIC_EXPONENT: [u8; 3] = [1, 0, 1];

/// An RSA private key inside aws-lc.
pub struct Rsa(NonNull<sys::RSA>);

impl Rsa {
    /// Generates a key with a modulus of `bits` and e = 65537 (FIPS 186-5 §A.1.3).
    pub fn generate(bits: u32) -> Result<Self, NoRoom> {
        // SAFETY: allocates; no precondition.
        let key = NonNull::new(unsafe { sys::RSA_new() }).map(Self).ok_or(NoRoom)?;
        let exponent = BigNum::from_be(&PUBLIC_EXPONENT)?;
        let bits = i32::try_from(bits).map_err(|_| NoRoom)?;
        // SAFETY: a new RSA object and a valid exponent; no callback.
        let made =
            unsafe { sys::RSA_generate_key_ex(key.0.as_ptr(), bits, exponent.as_ptr(), ptr::null_mut()) };
        if made == 1 { Ok(key) } else { Err(NoRoom) }
    }

    /// The key of n, e, d, p, q, dp, dq, qinv, if aws-lc finds them consistent: n = pq, e·d ≡ 1 modulo p−1 and q−1,
    /// dp, dq and qinv as they must be. It compares in constant time and does not test whether p and q are prime.
    pub fn from_numbers(numbers: [&[u8]; 8]) -> Result<Option<Self>, NoRoom> {
        let mut parts = Vec::with_capacity(numbers.len());
        for number in numbers {
            parts.push(BigNum::from_be(number)?);
        }
        let [n, e, d, p, q, dp, dq, qinv] = std::array::from_fn(|index| parts[index].as_ptr().cast_const());
        // SAFETY: valid numbers, which aws-lc copies.
        let key = unsafe { sys::RSA_new_private_key(n, e, d, p, q, dp, dq, qinv) };
        match NonNull::new(key) {
            Some(key) => Ok(Some(Self(key))),
            None if ran_out_of_memory() => Err(NoRoom),
            None => Ok(None),
        }
    }

    /// Writes n, e, d, p, q, dp, dq, qinv, each filled up with zeros in front; `false` when one does not fit.
    pub fn export(&self, out: [&mut [u8]; 8]) -> bool {
        let key = self.0.as_ptr();
        let getters = [
            sys::RSA_get0_n,
            sys::RSA_get0_e,
            sys::RSA_get0_d,
            sys::RSA_get0_p,
            sys::RSA_get0_q,
            sys::RSA_get0_dmp1,
            sys::RSA_get0_dmq1,
            sys::RSA_get0_iqmp,
        ];
        getters.into_iter().zip(out).all(|(get, out)| {
            // SAFETY: a valid key.
            let number = unsafe { get(key) };
            // SAFETY: the number belongs to the key, which lives.
            !number.is_null() && unsafe { BigNum::export(number, out) }
        })
    }
}

impl Drop for Rsa {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { sys::RSA_free(self.0.as_ptr()) }
    }
}

/// Empties the thread's error queue and says whether an allocation was among the causes.
fn ran_out_of_memory() -> bool {
    let mut out_of_memory = false;
    loop {
        // SAFETY: reads the queue of this thread.
        let error = unsafe { sys::ERR_get_error() };
        if error == 0 {
            return out_of_memory;
        }
        // The reason is the low 12 bits (ERR_GET_REASON).
        out_of_memory |= i32::try_from(error & 0xfff) == Ok(sys::ERR_R_MALLOC_FAILURE);
    }
}

/// A curve on which aws-lc computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
}

impl Curve {
    fn group(self) -> *const sys::EC_GROUP {
        match self {
            // SAFETY: a constant of the library.
            Self::P256 => unsafe { sys::EC_group_p256() },
            // SAFETY: a constant of the library.
            Self::P384 => unsafe { sys::EC_group_p384() },
        }
    }

    /// Draws a private scalar in [1, n−1] into `scalar` and writes its public point, uncompressed.
    pub fn generate(self, scalar: &mut [u8], point: &mut [u8]) -> Result<(), NoRoom> {
        let key = EcKey::new(self)?;
        // SAFETY: a valid key with a group.
        if unsafe { sys::EC_KEY_generate_key(key.0.as_ptr()) } != 1 {
            return Err(NoRoom);
        }
        // SAFETY: a valid key, which now has both halves.
        let private = unsafe { sys::EC_KEY_get0_private_key(key.0.as_ptr()) };
        // SAFETY: as above.
        let public = unsafe { sys::EC_KEY_get0_public_key(key.0.as_ptr()) };
        // SAFETY: the number belongs to the key, which lives.
        let exported = unsafe { BigNum::export(private, scalar) };
        // SAFETY: the point belongs to the key, which lives.
        if exported && unsafe { self.encode(public, point) } { Ok(()) } else { Err(NoRoom) }
    }

    /// Writes the public point of `scalar`, uncompressed; `false` when the scalar is outside [1, n−1].
    pub fn public(self, scalar: &[u8], point: &mut [u8]) -> Result<bool, NoRoom> {
        let scalar = BigNum::from_be(scalar)?;
        if scalar.bits() == 0 || !self.is_below_order(&scalar) {
            return Ok(false);
        }
        let product = EcPoint::new(self)?;
        // SAFETY: valid objects of the same group; no second product, scratch of its own. Constant time.
        let multiplied = unsafe {
            let group = self.group();
            let (result, scalar) = (product.0.as_ptr(), scalar.as_ptr());
            sys::EC_POINT_mul(group, result, scalar, ptr::null(), ptr::null(), ptr::null_mut())
        };
        // SAFETY: a valid point of this group.
        let encoded = multiplied == 1 && unsafe { self.encode(product.0.as_ptr(), point) };
        if encoded { Ok(true) } else { Err(NoRoom) }
    }

    fn is_below_order(self, scalar: &BigNum) -> bool {
        // SAFETY: the order belongs to the group, a constant.
        let order = unsafe { sys::EC_GROUP_get0_order(self.group()) };
        // SAFETY: valid numbers.
        unsafe { sys::BN_ucmp(scalar.as_ptr(), order) < 0 }
    }

    /// # Safety
    /// `point` is a valid point of this group.
    unsafe fn encode(self, point: *const sys::EC_POINT, out: &mut [u8]) -> bool {
        let form = sys::point_conversion_form_t::POINT_CONVERSION_UNCOMPRESSED;
        // SAFETY: the caller vouches for `point`; `out` is writable; scratch of its own.
        let written = unsafe {
            let group = self.group();
            sys::EC_POINT_point2oct(group, point, form, out.as_mut_ptr(), out.len(), ptr::null_mut())
        };
        written == out.len()
    }
}

struct EcKey(NonNull<sys::EC_KEY>);

impl EcKey {
    fn new(curve: Curve) -> Result<Self, NoRoom> {
        // SAFETY: allocates; no precondition.
        let key = NonNull::new(unsafe { sys::EC_KEY_new() }).map(Self).ok_or(NoRoom)?;
        // SAFETY: a new key and a constant group.
        let set = unsafe { sys::EC_KEY_set_group(key.0.as_ptr(), curve.group()) };
        if set == 1 { Ok(key) } else { Err(NoRoom) }
    }
}

impl Drop for EcKey {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { sys::EC_KEY_free(self.0.as_ptr()) }
    }
}

struct EcPoint(NonNull<sys::EC_POINT>);

impl EcPoint {
    fn new(curve: Curve) -> Result<Self, NoRoom> {
        // SAFETY: allocates; a constant group.
        NonNull::new(unsafe { sys::EC_POINT_new(curve.group()) }).map(Self).ok_or(NoRoom)
    }
}

impl Drop for EcPoint {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { sys::EC_POINT_clear_free(self.0.as_ptr()) }
    }
}

/// The public half of an Ed25519 seed (RFC 8032 §5.1.5).
pub fn ed25519_public(seed: &[u8; 32]) -> Result<[u8; 32], SecretMemoryError> {
    let mut public = [0; 32];
    // aws-lc's private key is the seed followed by the public key.
    let mut private = SecretBytes::zeroed(64)?;
    // SAFETY: 32 and 64 writable octets, 32 readable ones.
    unsafe { sys::ED25519_keypair_from_seed(public.as_mut_ptr(), private.as_mut_ptr(), seed.as_ptr()) };
    Ok(public)
}
