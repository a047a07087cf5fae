//! The two languages of what a TLS server signs.
//!
//! A word of the first has 130 or 146 octets; one of the second has 68 and a point: 100, 124, 133, 165 or 201. No
//! octet string is in both.

use keylane_api::Scheme;

/// What precedes the transcript hash in TLS 1.3 (RFC 8446 §4.4.3): 64 spaces, the context string, a zero octet.
const TLS13_PREFIX: [u8; 98] = tls13_prefix();
const TLS13_CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify";

const fn tls13_prefix() -> [u8; 98] {
    let mut prefix = [0x20; 98];
    let mut index = 0;
    while index < TLS13_CONTEXT.len() {
        prefix[64 + index] = TLS13_CONTEXT[index];
        index += 1;
    }
    prefix[97] = 0;
    prefix
}

/// client_random ‖ server_random.
const RANDOMS_BYTES: usize = 64;
/// `ECCurveType.named_curve` (RFC 8422 §5.4).
const NAMED_CURVE: u8 = 3;

/// Whether `message` is what a TLS 1.3 server signs: the prefix, and a transcript hash of SHA-256 or SHA-384. That hash
/// is the cipher suite's, not the signature scheme's.
pub fn is_tls13_server(message: &[u8]) -> bool {
    message.strip_prefix(&TLS13_PREFIX).is_some_and(|hash| matches!(hash.len(), 32 | 48))
}

/// Whether TLS 1.3 knows the scheme for handshakes: RSA is RSASSA-PSS only (RFC 8446 §4.2.3).
pub fn tls13_has(scheme: Scheme) -> bool {
    !matches!(scheme, Scheme::RsaPkcs1Sha256 | Scheme::RsaPkcs1Sha384 | Scheme::RsaPkcs1Sha512)
}

/// Whether `message` is what a TLS 1.2 server signs in an ECDHE key exchange (RFC 8422 §5.4): both randoms and the
/// parameters of a named curve with one public point, and nothing after it.
pub fn is_tls12_server(message: &[u8]) -> bool {
    let Some((_randoms, parameters)) = message.split_at_checked(RANDOMS_BYTES) else { return false };
    let &[NAMED_CURVE, high, low, length, ref point @ ..] = parameters else { return false };
    let Some(curve) = Curve::named(u16::from_be_bytes([high, low])) else { return false };
    usize::from(length) == curve.point_bytes && point.len() == curve.point_bytes && curve.may_start(point[0])
}

/// A curve of TLS 1.2's key exchange.
struct Curve {
    point_bytes: usize,
    /// NIST's curves send uncompressed points, which begin with 4; the others send bare coordinates.
    is_nist: bool,
}

impl Curve {
    /// The curve with this code of IANA's "TLS Supported Groups".
    const fn named(code: u16) -> Option<Self> {
        let (point_bytes, is_nist) = match code {
            0x0017 => (65, true),
            0x0018 => (97, true),
            0x0019 => (133, true),
            0x001d => (32, false),
            0x001e => (56, false),
            _ => return None,
        };
        Some(Self { point_bytes, is_nist })
    }

    const fn may_start(&self, octet: u8) -> bool {
        !self.is_nist || octet == 4
    }
}
