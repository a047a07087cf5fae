//! Non-negative integers of aws-lc: they live in secret memory and are erased when dropped.
//!
//! The operations take time that depends on the numbers. They serve to examine a key once, when an administrator
//! brings it; never in an operation that a client can trigger.

use std::cmp::Ordering;
use std::ptr::{self, NonNull};

use aws_lc_sys as sys;

/// aws-lc found no room in secret memory, or an operand has no result (a modulus of zero).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "secret memory has no room for a computation of aws-lc; raise secret_memory_mib, and with it LimitMEMLOCK="
)]
pub struct NoRoom;

/// Rounds of the Miller-Rabin test (FIPS 186-5 §B.3, error below 2^-128 for a number chosen by an adversary).
const PRIMALITY_ROUNDS: i32 = 64;

/// A non-negative integer.
pub struct BigNum(NonNull<sys::BIGNUM>);

// SAFETY: a BIGNUM has no ties to the thread that made it, and nobody else holds the pointer.
unsafe impl Send for BigNum {}

impl BigNum {
    fn new() -> Result<Self, NoRoom> {
        // SAFETY: allocates; no precondition.
        NonNull::new(unsafe { sys::BN_new() }).map(Self).ok_or(NoRoom)
    }

    /// From big-endian octets.
    pub fn from_be(octets: &[u8]) -> Result<Self, NoRoom> {
        let number = Self::new()?;
        // SAFETY: `octets` is readable, `number` is ours.
        let filled = unsafe { sys::BN_bin2bn(octets.as_ptr(), octets.len(), number.as_ptr()) };
        if filled.is_null() { Err(NoRoom) } else { Ok(number) }
    }

    /// A copy of a number that aws-lc owns, as big-endian octets filled up with zeros; `false` when it does not fit.
    ///
    /// # Safety
    /// `number` is a valid BIGNUM.
    pub(super) unsafe fn export(number: *const sys::BIGNUM, out: &mut [u8]) -> bool {
        // SAFETY: the caller vouches for `number`; `out` is writable.
        unsafe { sys::BN_bn2bin_padded(out.as_mut_ptr(), out.len(), number) == 1 }
    }

    pub(super) fn as_ptr(&self) -> *mut sys::BIGNUM {
        self.0.as_ptr()
    }

    /// Length in bits, without leading zeros.
    pub fn bits(&self) -> u32 {
        // SAFETY: a valid BIGNUM.
        unsafe { sys::BN_num_bits(self.as_ptr()) }
    }

    /// Whether this is 1.
    pub fn is_one(&self) -> bool {
        // SAFETY: a valid BIGNUM.
        unsafe { sys::BN_is_one(self.as_ptr()) == 1 }
    }

    /// The remainder of a division by `divisor`, which is not zero.
    pub fn rem_word(&self, divisor: u64) -> u64 {
        // SAFETY: a valid BIGNUM. A divisor of zero is answered with all ones.
        unsafe { sys::BN_mod_word(self.as_ptr(), divisor) }
    }

    /// How far this is from `other`.
    pub fn distance(&self, other: &Self) -> Result<Self, NoRoom> {
        let (more, less) = if *self < *other { (other, self) } else { (self, other) };
        // SAFETY: valid BIGNUMs; the result is a new one.
        compute(|result| unsafe { sys::BN_sub(result, more.as_ptr(), less.as_ptr()) })
    }

    /// The number before this one, which is not zero.
    pub fn predecessor(&self) -> Result<Self, NoRoom> {
        self.distance(&Self::from_be(&[1])?)
    }

    /// `self · other`.
    pub fn times(&self, other: &Self) -> Result<Self, NoRoom> {
        let context = Context::new()?;
        // SAFETY: valid BIGNUMs and context; the result is a new one.
        compute(|result| unsafe { sys::BN_mul(result, self.as_ptr(), other.as_ptr(), context.0.as_ptr()) })
    }

    /// `self mod modulus`.
    pub fn modulo(&self, modulus: &Self) -> Result<Self, NoRoom> {
        let context = Context::new()?;
        // SAFETY: valid BIGNUMs and context; the result is a new one.
        compute(|result| unsafe {
            sys::BN_nnmod(result, self.as_ptr(), modulus.as_ptr(), context.0.as_ptr())
        })
    }

    /// Whether this is a prime, by Miller-Rabin. Takes the time of an RSA signature for each of 64 rounds.
    pub fn is_prime(&self) -> Result<bool, NoRoom> {
        let context = Context::new()?;
        let mut prime = 0;
        // SAFETY: a valid BIGNUM and context, a writable result; no callback.
        let done = unsafe {
            let candidate = self.as_ptr();
            sys::BN_primality_test(
                &raw mut prime,
                candidate,
                PRIMALITY_ROUNDS,
                context.0.as_ptr(),
                1,
                ptr::null_mut(),
            )
        };
        if done == 1 { Ok(prime == 1) } else { Err(NoRoom) }
    }
}

impl PartialEq for BigNum {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for BigNum {}

impl PartialOrd for BigNum {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for BigNum {
    fn cmp(&self, other: &Self) -> Ordering {
        // SAFETY: valid BIGNUMs.
        unsafe { sys::BN_ucmp(self.as_ptr(), other.as_ptr()) }.cmp(&0)
    }
}

impl Drop for BigNum {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again. The memory is erased.
        unsafe { sys::BN_clear_free(self.as_ptr()) }
    }
}

/// A new number, filled by `operation`, which answers 1 for success.
fn compute(operation: impl FnOnce(*mut sys::BIGNUM) -> i32) -> Result<BigNum, NoRoom> {
    let result = BigNum::new()?;
    if operation(result.as_ptr()) == 1 { Ok(result) } else { Err(NoRoom) }
}

/// Scratch of a computation.
struct Context(NonNull<sys::BN_CTX>);

impl Context {
    fn new() -> Result<Self, NoRoom> {
        // SAFETY: allocates; no precondition.
        NonNull::new(unsafe { sys::BN_CTX_new() }).map(Self).ok_or(NoRoom)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { sys::BN_CTX_free(self.0.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::BigNum;

    fn number(value: u64) -> BigNum {
        BigNum::from_be(&value.to_be_bytes()).unwrap()
    }

    #[test]
    fn arithmetic_is_that_of_integers() {
        let (a, b) = (number(0xffff_ffff_ffff_fff1), number(0x1_0000_000f));
        assert!(a > b && a == a.distance(&number(0)).unwrap());
        assert_eq!(a.bits(), 64);
        assert!(a.distance(&b).unwrap() == b.distance(&a).unwrap());
        assert!(number(2).predecessor().unwrap().is_one());
        assert!(a.times(&b).unwrap().modulo(&a.predecessor().unwrap()).unwrap() == b);
        assert_eq!(a.rem_word(97), 0xffff_ffff_ffff_fff1 % 97);
        assert!(a.modulo(&number(0)).is_err(), "nothing divides by zero");
    }

    #[test]
    fn primes_are_told_from_products() {
        // The largest prime below 2^64, and a Carmichael number.
        assert!(number(18_446_744_073_709_551_557).is_prime().unwrap());
        assert!(!number(561).is_prime().unwrap());
    }

    #[test]
    fn export_pads_and_refuses_what_does_not_fit() {
        let mut out = [0xffu8; 4];
        // SAFETY: a valid number.
        assert!(unsafe { BigNum::export(number(0x0102).as_ptr(), &mut out) });
        assert_eq!(out, [0, 0, 1, 2]);
        // SAFETY: a valid number.
        assert!(!unsafe { BigNum::export(number(0x0001_0203_0405).as_ptr(), &mut out) });
    }
}
