//! Keys and messages that are the same in every run, so that every run can be repeated.

use aws_lc_rs::digest::{SHA512, SHA512_OUTPUT_LEN, digest};

/// Octets that look random: a hash of what they are for, which one, and where in it. Never for keys that matter.
pub fn fill(purpose: &str, number: usize, to: &mut [u8]) {
    for (part, chunk) in to.chunks_mut(SHA512_OUTPUT_LEN).enumerate() {
        let hash = digest(&SHA512, format!("keylane-perf kernels: {purpose} {number}/{part}").as_bytes());
        chunk.copy_from_slice(&hash.as_ref()[..chunk.len()]);
    }
}

/// [`fill`] of an array.
pub fn octets<const LEN: usize>(purpose: &str, number: usize) -> [u8; LEN] {
    let mut octets = [0; LEN];
    fill(purpose, number, &mut octets);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_the_same_again_and_different_elsewhere() {
        let octets: [u8; 130] = octets("test", 7);
        assert_eq!(octets, super::octets("test", 7));
        assert_ne!(octets, super::octets("test", 8));
        assert_ne!(octets, super::octets("other", 7));
        assert_ne!(octets[..64], octets[64..128]);
    }
}
