//! One message, padded (FIPS 180-4 §5.1.2), block by block into its lane.

use super::{BLOCK_LEN, BLOCK_WORDS};
use crate::lanes::Block;

/// Octets on their way into words.
#[derive(Clone, Copy)]
struct Partial {
    /// The octets so far, from the top; zeros below.
    word: u64,
    /// How many: 0..8.
    count: usize,
}

/// What is left of a message.
pub(super) struct Feed<'a> {
    pieces: core::slice::Iter<'a, &'a [u8]>,
    piece: &'a [u8],
    partial: Partial,
    len: usize,
    /// Whether the padding bit is in.
    ended: bool,
    blocks_left: usize,
}

/// Eight octets, big-endian; fewer count from the top.
fn word(octets: &[u8]) -> u64 {
    octets.first_chunk().map_or_else(
        || octets.iter().fold(0, |word, &octet| word << 8 | u64::from(octet)) << (64 - 8 * octets.len()),
        |whole| u64::from_be_bytes(*whole),
    )
}

impl<'a> Feed<'a> {
    pub(super) fn new(pieces: &'a [&'a [u8]]) -> Self {
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        Self {
            pieces: pieces.iter(),
            piece: &[],
            partial: Partial { word: 0, count: 0 },
            len,
            ended: false,
            blocks_left: (len + 17).div_ceil(BLOCK_LEN),
        }
    }

    /// How many blocks are left.
    pub(super) fn blocks(&self) -> usize {
        self.blocks_left
    }

    /// Writes the next block into `lane`.
    pub(super) fn next_block(&mut self, block: &mut [Block; BLOCK_WORDS], lane: usize) {
        self.blocks_left -= 1;
        let mut at = 0;
        while at < BLOCK_WORDS && !self.ended {
            at = self.take(block, lane, at);
        }
        for word in &mut block[at..] {
            word.0[lane] = 0;
        }
        if self.blocks_left == 0 {
            block[BLOCK_WORDS - 1].0[lane] = 8 * self.len as u64;
        }
    }

    /// Takes what fits of the current piece, or goes to the next one, or ends. Gives the next free word.
    fn take(&mut self, block: &mut [Block; BLOCK_WORDS], lane: usize, mut at: usize) -> usize {
        let Partial { word: mut held, count } = self.partial;
        let (whole, rest) = self.piece.as_chunks::<8>();
        if whole.is_empty() && rest.is_empty() {
            return match self.pieces.next() {
                Some(piece) => {
                    self.piece = piece;
                    at
                }
                None => self.end(block, lane, at),
            };
        }
        let fits = whole.len().min(BLOCK_WORDS - at);
        for (octets, to) in whole[..fits].iter().zip(&mut block[at..]) {
            let next = u64::from_be_bytes(*octets);
            to.0[lane] = held | next >> (8 * count);
            // Two shifts, since nothing is held where the count is 0.
            held = next << 1 << (63 - 8 * count);
        }
        at += fits;
        self.piece = &self.piece[8 * fits..];
        self.partial.word = held;
        if fits == whole.len() && at < BLOCK_WORDS {
            at = self.take_rest(rest, block, lane, at);
        }
        at
    }

    /// Takes the last 1 to 7 octets of a piece, if there are any.
    fn take_rest(&mut self, rest: &[u8], block: &mut [Block; BLOCK_WORDS], lane: usize, at: usize) -> usize {
        let Partial { word: held, count } = self.partial;
        self.piece = &[];
        if rest.is_empty() {
            return at;
        }
        let next = word(rest);
        let sum = held | next >> (8 * count);
        let total = count + rest.len();
        if total < 8 {
            self.partial = Partial { word: sum, count: total };
            return at;
        }
        block[at].0[lane] = sum;
        self.partial = Partial { word: next << 1 << (63 - 8 * count), count: total - 8 };
        at + 1
    }

    /// The padding bit.
    fn end(&mut self, block: &mut [Block; BLOCK_WORDS], lane: usize, at: usize) -> usize {
        self.ended = true;
        block[at].0[lane] = self.partial.word | 0x80 << (56 - 8 * self.partial.count);
        at + 1
    }
}
