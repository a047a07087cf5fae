//! Seals a row: its secret part is encrypted, its public part authenticated, both bound to the row's place.
//!
//! A random salt gives each seal a key of its own: HKDF(key-encryption key, salt, purpose) is an AES-256-GCM key, used
//! once with nonce 0, and a commitment. AES-GCM alone lets one ciphertext open under two keys; comparing the commitment
//! first rules that out, and tells a wrong key from a damaged row.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::error::StoreError;
use super::row::{self, ROW_ID_BYTES, RowId, SCHEMA};
use crate::os::bignum::NoRoom;
use crate::os::kdf::hkdf_sha256;
use crate::os::secret::SecretBytes;

/// Octets of every key-encryption key.
pub(super) const KEK_BYTES: usize = 32;
const SALT_BYTES: usize = 32;
const COMMITMENT_BYTES: usize = 32;
/// Starts both what derives keys and what is authenticated.
const LABEL: &[u8; 12] = b"keylane row\0";

/// A row as the database holds it.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    salt: [u8; SALT_BYTES],
    commitment: [u8; COMMITMENT_BYTES],
    /// Public part, as it is.
    body: &'a [u8],
    /// Secret part, encrypted, and the tag over all.
    secret: &'a [u8],
}

/// A row that authenticated.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    pub body: &'a [u8],
    pub secret: SecretBytes,
}

/// Why a row does not open.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// Not the key that sealed it.
    #[error("sealed with another key")]
    WrongKey,
    /// Not what was sealed.
    #[error("damaged")]
    Damaged,
    /// It could not be tried.
    #[error(transparent)]
    Failed(#[from] StoreError),
}

impl OpenError {
    /// As the store's error: what cannot be opened is `damaged`.
    pub(super) fn or(self, damaged: impl FnOnce() -> StoreError) -> StoreError {
        match self {
            Self::WrongKey | Self::Damaged => damaged(),
            Self::Failed(cause) => cause,
        }
    }
}

/// Octets from aws-lc's random source.
pub(super) fn random(octets: usize) -> Result<SecretBytes, StoreError> {
    let mut secret = SecretBytes::zeroed(octets)?;
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| NoRoom)?;
    Ok(secret)
}

/// Seals `secret` and `body` as the row `id` of the store `uuid`.
pub(super) fn seal(
    kek: &[u8],
    uuid: Uuid,
    id: RowId,
    body: &[u8],
    secret: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let mut salt = [0; SALT_BYTES];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| NoRoom)?;
    let (key, commitment) = derive(kek, &salt)?;
    let mut scratch = SecretBytes::zeroed(secret.len() + MAX_TAG_LEN)?;
    let (text, place) = scratch.split_at_mut(secret.len());
    text.copy_from_slice(secret);
    let tag = key.seal_in_place_separate_tag(nonce(), aad(uuid, id, body), text).map_err(|_| NoRoom)?;
    place.copy_from_slice(tag.as_ref());
    let sealed = Sealed { salt, commitment, body, secret: &scratch };
    Ok(row::encode(&sealed))
}

/// Opens what [`seal`] made, if it is unchanged and in its place.
pub(super) fn open<'a>(kek: &[u8], uuid: Uuid, id: RowId, stored: &'a [u8]) -> Result<Opened<'a>, OpenError> {
    let sealed = parse(stored).ok_or(OpenError::Damaged)?;
    let (key, commitment) = derive(kek, &sealed.salt)?;
    if !bool::from(commitment.ct_eq(&sealed.commitment)) {
        return Err(OpenError::WrongKey);
    }
    let mut secret = SecretBytes::copy_from(sealed.secret).map_err(StoreError::from)?;
    let opened = key.open_in_place(nonce(), aad(uuid, id, sealed.body), &mut secret);
    let octets = opened.map_err(|_| OpenError::Damaged)?.len();
    secret.truncate(octets);
    Ok(Opened { body: sealed.body, secret })
}

/// The public part of a row that was not authenticated. To be believed only if the row then opens.
pub(super) fn claimed_body(stored: &[u8]) -> Option<&[u8]> {
    parse(stored).map(|sealed| sealed.body)
}

fn parse(stored: &[u8]) -> Option<Sealed<'_>> {
    match postcard::take_from_bytes(stored) {
        Ok((sealed, [])) => Some(sealed),
        _ => None,
    }
}

fn derive(kek: &[u8], salt: &[u8; SALT_BYTES]) -> Result<(LessSafeKey, [u8; COMMITMENT_BYTES]), StoreError> {
    let mut derived = SecretBytes::zeroed(KEK_BYTES + COMMITMENT_BYTES)?;
    hkdf_sha256(kek, salt, LABEL, &mut derived)?;
    let (key, rest) = derived.split_at(KEK_BYTES);
    let mut commitment = [0; COMMITMENT_BYTES];
    commitment.copy_from_slice(rest);
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| NoRoom)?;
    Ok((LessSafeKey::new(key), commitment))
}

/// Each key encrypts once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// What the tag covers besides the secret: schema, store, place, and the public part.
fn aad(uuid: Uuid, id: RowId, body: &[u8]) -> Aad<Vec<u8>> {
    let mut aad = Vec::with_capacity(LABEL.len() + 4 + 16 + ROW_ID_BYTES + body.len());
    aad.extend_from_slice(LABEL);
    aad.extend_from_slice(&SCHEMA.to_be_bytes());
    aad.extend_from_slice(uuid.as_bytes());
    aad.extend_from_slice(&id.to_bytes());
    aad.extend_from_slice(body);
    Aad::from(aad)
}

#[cfg(test)]
mod tests {
    use keylane_api::control::{KeyId, SlotId};
    use uuid::Uuid;

    use super::{OpenError, open, seal};
    use crate::store::row::RowId;

    const KEK: [u8; 32] = [7; 32];
    const UUID: Uuid = Uuid::from_bytes([9; 16]);

    fn id(slot: u32, key: u64) -> RowId {
        RowId::key(SlotId(slot), KeyId(key))
    }

    #[test]
    fn a_row_opens_in_its_place_only() {
        let sealed = seal(&KEK, UUID, id(1, 2), b"public", b"secret").unwrap();
        let opened = open(&KEK, UUID, id(1, 2), &sealed).unwrap();
        assert_eq!((opened.body, &*opened.secret), (&b"public"[..], &b"secret"[..]));
        assert!(sealed.windows(6).any(|window| window == b"public"));
        assert!(!sealed.windows(6).any(|window| window == b"secret"));

        for other in [id(1, 3), id(2, 2), id(1, 2).tombstone()] {
            assert!(matches!(open(&KEK, UUID, other, &sealed), Err(OpenError::Damaged)));
        }
        assert!(matches!(open(&KEK, Uuid::nil(), id(1, 2), &sealed), Err(OpenError::Damaged)));
        assert!(matches!(open(&[8; 32], UUID, id(1, 2), &sealed), Err(OpenError::WrongKey)));
    }

    #[test]
    fn no_changed_bit_opens() {
        let sealed = seal(&KEK, UUID, id(1, 2), b"public", b"secret").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&KEK, UUID, id(1, 2), &changed).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(&KEK, UUID, id(1, 2), &sealed[..length]).is_err(), "{length} octets");
        }
        assert!(open(&KEK, UUID, id(1, 2), &[&sealed[..], &[0]].concat()).is_err(), "one more");
    }

    #[test]
    fn two_seals_of_the_same_share_nothing() {
        let [a, b] = [(); 2].map(|()| seal(&KEK, UUID, id(1, 2), b"", &[0; 64]).unwrap());
        let same = a.iter().zip(&b).filter(|(a, b)| a == b).count();
        assert!(same < a.len() / 8, "{same} of {}", a.len());
    }
}
