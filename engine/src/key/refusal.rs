//! Why a key is not taken, and what its owner can do about it.

use crate::os::bignum::NoRoom;
use crate::os::secret::SecretMemoryError;

/// Why a key file was refused. Every text names the remedy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRefusal {
    /// Neither PEM nor DER of any private key.
    #[error(
        "not a private key in PEM or DER (PKCS#8, PKCS#1 or SEC 1); `openssl pkey -in FILE -out KEY.pem` converts what \
         OpenSSL can read"
    )]
    NotAKey,
    /// PEM armour that does not decode.
    #[error(
        "damaged PEM: the lines between BEGIN and END do not decode; copy the file again from its source"
    )]
    DamagedPem,
    /// A structure that is cut off or wrong inside.
    #[error(
        "damaged {0}; copy the file again from its source, or convert it with `openssl pkey -in FILE -out KEY.pem`"
    )]
    Damaged(&'static str),
    /// More than one private key.
    #[error("the file holds more than one private key; put each into a file of its own")]
    SeveralKeys,
    /// A passphrase would be needed.
    #[error(
        "the key is encrypted; decrypt it with `openssl pkey -in FILE -out PLAIN.pem`, import that and delete it with \
         `shred -u PLAIN.pem`"
    )]
    Encrypted,
    /// A certificate, request or public key.
    #[error(
        "the file holds {0} and no private key; give the file that `ssl_certificate_key` or its like names"
    )]
    NotPrivate(&'static str),
    /// A PKCS#12 container.
    #[error(
        "the file is PKCS#12; extract the key with `openssl pkcs12 -in FILE -nocerts -nodes -out KEY.pem`"
    )]
    Pkcs12,
    /// OpenSSH's own format.
    #[error("the file is in OpenSSH's format; convert a copy with `ssh-keygen -p -N '' -m PKCS8 -f COPY`")]
    OpenSsh,
    /// One of our own references.
    #[error(
        "the file is a Keylane key reference: its key is in an engine already; import the original key file"
    )]
    Reference,

    /// Not RSA, ECDSA or Ed25519.
    #[error("keys of algorithm {0} are not supported; use RSA 2048/3072/4096, P-256, P-384 or Ed25519")]
    Algorithm(String),
    /// Not one of the named curves.
    #[error("curve {0} is not supported; use P-256 or P-384")]
    Curve(String),
    /// A curve written out instead of named. Hostile parameters are an attack (CVE-2020-0601).
    #[error(
        "the curve is given by explicit parameters; name it with `openssl ec -in FILE -param_enc named_curve -out KEY.pem`"
    )]
    ExplicitCurve,
    /// RSA with more than two primes.
    #[error("RSA with more than two primes is not supported; generate a new key")]
    MultiPrime,

    /// Below the least size that is safe.
    #[error("RSA of {0} bits can be factored, or will be; generate a new key of 2048 bits or more")]
    Short(u32),
    /// A size for which there is no kernel.
    #[error("RSA of {0} bits is not supported; generate a new key of 2048, 3072 or 4096 bits")]
    Size(u32),
    /// n is even.
    #[error("the RSA modulus is even, so the key is damaged; restore it from a backup")]
    EvenModulus,
    /// e is even.
    #[error(
        "the RSA public exponent is even, so nothing it signs can be verified; restore the key from a backup"
    )]
    EvenExponent,
    /// e ≤ 2^16.
    #[error(
        "the RSA public exponent {0} is not above 2^16 as FIPS 186-5 demands: small ones have let signatures be forged; \
         generate a new key with exponent 65537"
    )]
    SmallExponent(u64),
    /// e ≥ 2^33.
    #[error(
        "the RSA public exponent has more than 33 bits, which most clients refuse; generate a new key with exponent 65537"
    )]
    LargeExponent,
    /// Made by a broken smart-card library.
    #[error(
        "the RSA modulus has the ROCA fingerprint (CVE-2017-15361): a faulty chip made it, and it can be factored; \
         generate a new key elsewhere, revoke certificates of this one"
    )]
    Roca,
    /// p and q of different sizes.
    #[error("the RSA primes are not of half the modulus' size each; generate a new key")]
    UnbalancedPrimes,
    /// p = q.
    #[error("the RSA primes are equal, so the modulus is a square and easily factored; generate a new key")]
    EqualPrimes,
    /// p ≈ q.
    #[error("the RSA primes are so close that Fermat's method factors the modulus; generate a new key")]
    ClosePrimes,
    /// p or q is composite.
    #[error("an RSA factor is not a prime; generate a new key")]
    CompositePrime,
    /// n ≠ pq.
    #[error("the RSA modulus is not the product of its primes; restore the key from a backup")]
    ModulusMismatch,
    /// d too small or not below n.
    #[error(
        "the RSA private exponent is out of range (small ones can be computed from the public key); generate a new key"
    )]
    PrivateExponent,
    /// e·d ≢ 1.
    #[error("the RSA exponents do not belong together; restore the key from a backup")]
    ExponentMismatch,
    /// dp, dq or qinv is wrong.
    #[error(
        "the RSA CRT value {0} is wrong, and one signature made with it gives the key away; restore the key from a backup"
    )]
    Crt(&'static str),
    /// aws-lc refuses what our checks let pass.
    #[error("the RSA numbers are inconsistent; restore the key from a backup")]
    Inconsistent,

    /// d outside [1, n−1].
    #[error("the private scalar is not between 1 and the order of the curve; restore the key from a backup")]
    ScalarRange,
    /// The public half in the file belongs to another key.
    #[error("the public key in the file does not belong to the private key; restore the key from a backup")]
    PublicMismatch,

    /// No secret memory left.
    #[error(transparent)]
    Memory(#[from] SecretMemoryError),
    /// No secret memory left for aws-lc.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl KeyRefusal {
    /// Whether the key may be fine, but memory is short.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Memory(_) | Self::NoRoom(_))
    }
}
