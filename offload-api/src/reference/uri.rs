//! The `pkcs11:` URI (RFC 7512) of a reference: of all the attributes there are, those that find a Keylane key.

use std::fmt;

use crate::control::KeyId;

const SCHEME: &str = "pkcs11:";

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Uri {
    pub token: String,
    pub object: String,
    pub id: KeyId,
}

impl Uri {
    pub fn new(token: &str, object: &str, id: KeyId) -> Result<Self, UriError> {
        let named = |name, value: &str| {
            if value.is_empty() { Err(UriError::Missing(name)) } else { Ok(value.to_owned()) }
        };
        Ok(Self { token: named("token", token)?, object: named("object", object)?, id })
    }

    /// Reads the URI. The order of attributes does not matter; an unknown one is refused, as RFC 7512 §2.3 asks, and
    /// so is a query: a reference carries no PIN.
    pub fn parse(uri: &[u8]) -> Result<Self, UriError> {
        let path =
            str::from_utf8(uri).ok().and_then(|uri| uri.strip_prefix(SCHEME)).ok_or(UriError::Scheme)?;
        let mut found = Attributes::default();
        for attribute in path.split(';') {
            let (name, value) = attribute.split_once('=').ok_or(UriError::Unknown)?;
            found.put(name, percent_decode(value)?)?;
        }
        Self::new(
            &text("token", found.token)?,
            &text("object", found.object)?,
            KeyId(u64::from_be_bytes(
                found.id.ok_or(UriError::Missing("id"))?.try_into().map_err(|_| UriError::Id)?,
            )),
        )
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}token=")?;
        percent_encode(f, self.token.as_bytes())?;
        f.write_str(";object=")?;
        percent_encode(f, self.object.as_bytes())?;
        f.write_str(";id=")?;
        // RFC 7512 §2.3: the whole value of `id` should be percent-encoded.
        self.id.0.to_be_bytes().iter().try_for_each(|octet| write!(f, "%{octet:02X}"))?;
        f.write_str(";type=private")
    }
}

/// Attributes as found, each at most once.
#[derive(Default)]
struct Attributes {
    token: Option<Vec<u8>>,
    object: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
    kind: Option<Vec<u8>>,
}

impl Attributes {
    fn put(&mut self, name: &str, value: Vec<u8>) -> Result<(), UriError> {
        let place = match name {
            "token" => &mut self.token,
            "object" => &mut self.object,
            "id" => &mut self.id,
            "type" if value == b"private" => &mut self.kind,
            _ => return Err(UriError::Unknown),
        };
        if place.replace(value).is_some() { Err(UriError::Repeated) } else { Ok(()) }
    }
}

fn text(name: &'static str, value: Option<Vec<u8>>) -> Result<String, UriError> {
    String::from_utf8(value.ok_or(UriError::Missing(name))?).map_err(|_| UriError::Encoding)
}

/// Leaves RFC 3986's unreserved characters and encodes all else: more than needed, and never too little.
fn percent_encode(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    octets.iter().try_for_each(|&octet| match octet {
        b'-' | b'.' | b'_' | b'~' => write!(f, "{}", char::from(octet)),
        _ if octet.is_ascii_alphanumeric() => write!(f, "{}", char::from(octet)),
        _ => write!(f, "%{octet:02X}"),
    })
}

fn percent_decode(value: &str) -> Result<Vec<u8>, UriError> {
    let mut octets = value.bytes();
    let mut decoded = Vec::with_capacity(value.len());
    while let Some(octet) = octets.next() {
        decoded.push(match octet {
            b'%' => hex_digit(octets.next())? << 4 | hex_digit(octets.next())?,
            _ if is_literal(octet) => octet,
            _ => return Err(UriError::Encoding),
        });
    }
    Ok(decoded)
}

/// RFC 7512 §2.3 `pk11-pchar`, percent encoding aside.
fn is_literal(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~:[]@!$'()*+,=&".contains(&octet)
}

fn hex_digit(octet: Option<u8>) -> Result<u8, UriError> {
    match octet {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(UriError::Encoding),
    }
}

/// A URI that names no Keylane key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Not UTF-8 that begins with `pkcs11:`.
    #[error("it does not begin with `{SCHEME}`")]
    Scheme,
    /// An attribute is not there or empty.
    #[error("attribute `{0}` is missing or empty")]
    Missing(&'static str),
    /// An attribute, an object type or a query that a reference does not have.
    #[error("it has more than the attributes token, object, id and type=private")]
    Unknown,
    /// An attribute occurs twice.
    #[error("an attribute occurs twice")]
    Repeated,
    /// `id` is not eight octets.
    #[error("attribute `id` is not eight octets")]
    Id,
    /// Percent encoding is broken, or a name is not UTF-8.
    #[error("an attribute is wrongly encoded")]
    Encoding,
}
