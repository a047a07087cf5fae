//! What is computed.

use clap::ValueEnum;
use clap::builder::PossibleValue;

/// An operation with a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA, PKCS#1 v1.5 of a SHA-256 digest, 2,048 bits.
    Rsa2048Sign,
    /// The same with 3,072 bits.
    Rsa3072Sign,
    /// The same with 4,096 bits.
    Rsa4096Sign,
    /// ECDSA of a SHA-256 digest.
    EcdsaP256Sign,
    /// ECDSA of a SHA-384 digest.
    EcdsaP384Sign,
    /// Ed25519 of a message of 130 octets, as TLS 1.3 signs.
    Ed25519Sign,
    /// X25519: a secret's public value.
    X25519Public,
    /// X25519: the secret shared with a peer.
    X25519Shared,
}

impl Algorithm {
    /// In the order of a report.
    pub const ALL: [Self; 8] = [
        Self::Rsa2048Sign,
        Self::Rsa3072Sign,
        Self::Rsa4096Sign,
        Self::EcdsaP256Sign,
        Self::EcdsaP384Sign,
        Self::Ed25519Sign,
        Self::X25519Public,
        Self::X25519Shared,
    ];

    /// As the command line and reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048Sign => "rsa-2048-sign",
            Self::Rsa3072Sign => "rsa-3072-sign",
            Self::Rsa4096Sign => "rsa-4096-sign",
            Self::EcdsaP256Sign => "ecdsa-p256-sign",
            Self::EcdsaP384Sign => "ecdsa-p384-sign",
            Self::Ed25519Sign => "ed25519-sign",
            Self::X25519Public => "x25519-public",
            Self::X25519Shared => "x25519-shared",
        }
    }
}

impl ValueEnum for Algorithm {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}
