//! Numbers that a check relies on, with a checksum that is compared at each use.

use aws_lc_rs::digest::{SHA256, digest};

use crate::os::secret::{SecretBytes, SecretMemoryError};

/// Octets of the checksum, SHA-256: a CRC would be no faster with SHA instructions, and says nothing about its input.
const CHECKSUM_BYTES: usize = 32;

/// Two numbers of a key and their checksum, in secret memory.
#[derive(Debug)]
pub struct Numbers {
    /// Private number ‖ public number ‖ checksum.
    octets: SecretBytes,
    private: usize,
}

impl Numbers {
    pub fn new(private: &[u8], public: &[u8]) -> Result<Self, SecretMemoryError> {
        let end = private.len() + public.len();
        let mut octets = SecretBytes::zeroed(end + CHECKSUM_BYTES)?;
        octets[..private.len()].copy_from_slice(private);
        octets[private.len()..end].copy_from_slice(public);
        let checksum = digest(&SHA256, &octets[..end]);
        octets[end..].copy_from_slice(checksum.as_ref());
        Ok(Self { octets, private: private.len() })
    }

    /// The private and the public number; `None` when they are no longer what they were.
    pub fn get(&self) -> Option<(&[u8], &[u8])> {
        let (numbers, checksum) = self.octets.split_at(self.octets.len() - CHECKSUM_BYTES);
        (digest(&SHA256, numbers).as_ref() == checksum).then(|| numbers.split_at(self.private))
    }
}
