//! PEM armour (RFC 7468): finds the one private key of a file and decodes it inside secret memory.

use pem_rfc7468::Decoder;

use super::refusal::KeyRefusal;
use crate::os::secret::SecretBytes;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// First header of the encrypted form that OpenSSL wrote before PKCS#8 (RFC 1421 §4.6.1.1).
const ENCRYPTED_HEADER: &[u8] = b"Proc-Type: 4,ENCRYPTED";

/// The DER of the private key in a PEM file; `None` when the file is not PEM.
pub(super) fn private_key(file: &[u8]) -> Result<Option<SecretBytes>, KeyRefusal> {
    let Some(first) = find(file, BEGIN) else { return Ok(None) };
    let mut rest = &file[first..];
    let (mut key, mut other) = (None, None);
    while let Some(block) = Block::next(&mut rest)? {
        if !block.label.ends_with(b"PRIVATE KEY") {
            other = other.or(Some(block.label));
        } else if key.replace(block).is_some() {
            return Err(KeyRefusal::SeveralKeys);
        }
    }
    match key {
        Some(block) => block.decode().map(Some),
        None => Err(instead(other.unwrap_or_default())),
    }
}

/// What a file without a private key is.
fn instead(label: &[u8]) -> KeyRefusal {
    match label {
        b"CERTIFICATE" | b"X509 CERTIFICATE" | b"TRUSTED CERTIFICATE" => {
            KeyRefusal::NotPrivate("a certificate")
        }
        b"CERTIFICATE REQUEST" | b"NEW CERTIFICATE REQUEST" => {
            KeyRefusal::NotPrivate("a certificate request")
        }
        b"PUBLIC KEY" | b"RSA PUBLIC KEY" => KeyRefusal::NotPrivate("a public key"),
        _ => KeyRefusal::NotAKey,
    }
}

/// One armoured structure.
struct Block<'a> {
    label: &'a [u8],
    /// From BEGIN to the end of the END line.
    text: &'a [u8],
}

impl<'a> Block<'a> {
    /// Takes the next block off `rest`.
    fn next(rest: &mut &'a [u8]) -> Result<Option<Self>, KeyRefusal> {
        let Some(start) = find(rest, BEGIN) else { return Ok(None) };
        let text = &rest[start..];
        let label = &text[BEGIN.len()..];
        let label = &label[..find(label, DASHES).ok_or(KeyRefusal::DamagedPem)?];
        let end = find(text, END).ok_or(KeyRefusal::DamagedPem)?;
        let dashes = find(&text[end + END.len()..], DASHES).ok_or(KeyRefusal::DamagedPem)?;
        let (text, behind) = text.split_at(end + END.len() + dashes + DASHES.len());
        *rest = behind;
        Ok(Some(Self { label, text }))
    }

    fn decode(&self) -> Result<SecretBytes, KeyRefusal> {
        if self.label == b"OPENSSH PRIVATE KEY" {
            return Err(KeyRefusal::OpenSsh);
        }
        if find(self.text, ENCRYPTED_HEADER).is_some() {
            return Err(KeyRefusal::Encrypted);
        }
        let mut decoder = Decoder::new_detect_wrap(self.text).map_err(|_| KeyRefusal::DamagedPem)?;
        let mut decoded = SecretBytes::zeroed(decoder.remaining_len())?;
        decoder.decode(&mut decoded).map_err(|_| KeyRefusal::DamagedPem)?;
        Ok(decoded)
    }
}

fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    text.windows(pattern.len()).position(|window| window == pattern)
}
