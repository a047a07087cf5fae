//! Known answers, for the self-test: the examples with "sample" of RFC 6979, appendices A.2.5 (SHA-256) and A.2.6 (SHA-384).
//! Where its nonce is even, the kernel takes the opposite one, and s is n − s.

/// A signature, in hexadecimal.
pub(crate) struct Answer {
    pub(crate) private: &'static str,
    pub(crate) digest: &'static str,
    pub(crate) nonce: &'static str,
    pub(crate) r: &'static str,
    pub(crate) s: &'static str,
}

/// P-256.
pub(crate) const P256: Answer = Answer {
    private: "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
    digest: "af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf",
    nonce: "a6e3c57dd01abe90086538398355dd4c3b17aa873382b0f24d6129493d8aad60",
    r: "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
    s: "0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9",
};

/// P-384.
pub(crate) const P384: Answer = Answer {
    private: "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
    digest: "9a9083505bc92276aec4be312696ef7bf3bf603f4bbd381196a029f340585312313bca4a9b5b890efee42c77b1ee25fe",
    nonce: "94ed910d1a099dad3254e9242ae85abde4ba15168eaf0ca87a555fd56d10fbca2907e3e83ba95368623b8c4686915cf9",
    r: "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
    s: "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
};

/// Octets of a hexadecimal number, with zeros before it.
pub(crate) fn octets<const LEN: usize>(number: &str) -> [u8; LEN] {
    let mut octets = [0; LEN];
    let digits =
        number.bytes().rev().map(|digit| if digit > b'9' { digit - b'a' + 10 } else { digit - b'0' });
    for (place, digit) in digits.enumerate() {
        octets[LEN - 1 - place / 2] |= digit << (4 * (place % 2));
    }
    octets
}
