//! SHA-512 (FIPS 180-4) of eight messages at once.
//!
//! A message is a concatenation of short pieces, so that nobody has to copy secrets together. Messages of one call may
//! have different lengths: a lane whose message has ended keeps its state while the others go on. Lengths are public.

mod compress;
mod constants;
mod feed;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::lanes::{Block, Lanes, Mask};
use feed::Feed;

/// Words of a digest, and of a message block.
pub(crate) const DIGEST_WORDS: usize = 8;
const BLOCK_WORDS: usize = 16;
/// Octets of a message block.
const BLOCK_LEN: usize = 8 * BLOCK_WORDS;

/// Where the blocks of eight messages are put together. It holds secrets until erased.
#[derive(Clone, Debug)]
pub(crate) struct Scratch([Block; BLOCK_WORDS]);

impl Default for Scratch {
    fn default() -> Self {
        Self([Block::default(); BLOCK_WORDS])
    }
}

impl Zeroize for Scratch {
    fn zeroize(&mut self) {
        crate::lanes::erase(&mut self.0);
    }
}

impl ZeroizeOnDrop for Scratch {}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.zeroize();
    }
}

/// Digests of eight messages, each the concatenation of its pieces: word `w` of message `i` is `digests[w].0[i]`, read
/// big-endian as the standard does.
///
/// Lanes that are not needed may have no pieces at all. `scratch` is not erased: do it after the last call.
pub(crate) fn digest<L: Lanes, const PIECES: usize>(
    messages: &[[&[u8]; PIECES]; 8],
    scratch: &mut Scratch,
    digests: &mut [Block; DIGEST_WORDS],
) {
    let mut feeds = messages.each_ref().map(|pieces| Feed::new(pieces));
    let blocks = feeds.each_ref().map(Feed::blocks);
    let most = blocks.iter().copied().max().unwrap_or_default();
    *digests = constants::START.map(|word| Block([word; 8]));
    for number in 0..most {
        let mut live: Mask = 0;
        for (lane, feed) in feeds.iter_mut().enumerate() {
            if number < blocks[lane] {
                live |= 1 << lane;
                feed.next_block(&mut scratch.0, lane);
            }
        }
        compress::compress::<L>(&scratch.0, live, digests);
    }
}

/// The octets of one lane's digest.
pub(crate) fn octets(digests: &[Block; DIGEST_WORDS], lane: usize) -> [u8; 64] {
    let mut octets = [0; 64];
    for (to, word) in octets.chunks_exact_mut(8).zip(digests) {
        to.copy_from_slice(&word.0[lane].to_be_bytes());
    }
    octets
}

struct KnownAnswer;

impl crate::tier::Kernel for KnownAnswer {
    type Output = bool;

    fn run<L: Lanes>(self) -> bool {
        // FIPS 180-4, example "abc".
        const ABC: [u64; 8] = [
            0xddaf_35a1_9361_7aba,
            0xcc41_7349_ae20_4131,
            0x12e6_fa4e_89a9_7ea2,
            0x0a9e_eee6_4b55_d39a,
            0x2192_992a_274f_c1a8,
            0x36ba_3c23_a3fe_ebbd,
            0x454d_4423_643c_e80e,
            0x2a9a_c94f_a54c_a49f,
        ];
        let mut digests = [Block::default(); DIGEST_WORDS];
        digest::<L, 2>(&[[b"a", b"bc"]; 8], &mut Scratch::default(), &mut digests);
        digests == ABC.map(|word| Block([word; 8]))
    }
}

/// A known answer.
pub(crate) fn proves(kernels: crate::Kernels) -> bool {
    kernels.dispatch(KnownAnswer)
}

#[cfg(test)]
mod tests;
