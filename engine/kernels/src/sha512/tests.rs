use aws_lc_rs::digest as oracle;

use super::*;
use crate::tier::Kernel;
use crate::{Kernels, Tier};

struct Digests<'a, const PIECES: usize> {
    messages: [[&'a [u8]; PIECES]; 8],
}

impl<const PIECES: usize> Kernel for Digests<'_, PIECES> {
    type Output = [[u8; 64]; 8];

    fn run<L: Lanes>(self) -> Self::Output {
        let mut digests = [Block::default(); DIGEST_WORDS];
        // Words of another message must not shine through.
        let mut scratch = Scratch([Block([u64::MAX; 8]); BLOCK_WORDS]);
        digest::<L, PIECES>(&self.messages, &mut scratch, &mut digests);
        core::array::from_fn(|lane| octets(&digests, lane))
    }
}

fn tiers() -> impl Iterator<Item = Kernels> {
    Tier::ALL.into_iter().filter(|tier| tier.is_available()).map(|tier| Kernels::with_tier(tier).unwrap())
}

fn expected(pieces: &[&[u8]]) -> Vec<u8> {
    oracle::digest(&oracle::SHA512, &pieces.concat()).as_ref().to_vec()
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 151 + i / 7 + 3) as u8).collect()
}

#[test]
fn every_length_around_block_borders() {
    let text = text(520);
    for kernels in tiers() {
        for first in (0..=512).step_by(8) {
            let messages = core::array::from_fn(|lane| [&text[..first + lane]]);
            let got = kernels.dispatch(Digests { messages });
            for (lane, pieces) in messages.iter().enumerate() {
                assert_eq!(got[lane].to_vec(), expected(pieces), "{kernels:?}: {} octets", first + lane);
            }
        }
    }
}

#[test]
fn lanes_of_unequal_lengths_do_not_disturb_each_other() {
    let text = text(2000);
    let lens = [0, 111, 112, 1999, 127, 128, 240, 1];
    for kernels in tiers() {
        for turn in 0..8 {
            let messages = core::array::from_fn(|lane| [&text[..lens[(lane + turn) % 8]]]);
            let got = kernels.dispatch(Digests { messages });
            for (lane, pieces) in messages.iter().enumerate() {
                assert_eq!(got[lane].to_vec(), expected(pieces), "{kernels:?}: turn {turn}, lane {lane}");
            }
        }
    }
}

#[test]
fn pieces_are_concatenated_wherever_they_are_cut() {
    let text = text(300);
    for kernels in tiers() {
        for cut in 0..=150 {
            let messages = core::array::from_fn(|lane| {
                let second = (cut + lane * 23).min(300);
                [&text[..cut], &text[cut..cut], &text[cut..second], &text[second..]]
            });
            let got = kernels.dispatch(Digests { messages });
            assert!(got.iter().all(|got| got.to_vec() == expected(&[&text])), "{kernels:?}: cut at {cut}");
        }
    }
}

/// The longest message of one block: the rest is the padding bit's octet and the length.
const ONE_BLOCK_LEN: usize = BLOCK_LEN - 17;

#[test]
fn pieces_of_one_block_are_put_together() {
    let text = text(ONE_BLOCK_LEN);
    for kernels in tiers() {
        for cut in [0, 32, 64] {
            let messages =
                core::array::from_fn(|lane| [&text[..cut], &text[cut..ONE_BLOCK_LEN - (lane * 9).min(47)]]);
            let got = kernels.dispatch(Digests { messages });
            for (lane, pieces) in messages.iter().enumerate() {
                assert_eq!(got[lane].to_vec(), expected(pieces), "{kernels:?}: lane {lane}");
            }
        }
    }
}

#[test]
fn scratch_is_erased() {
    let mut scratch = Scratch([Block([u64::MAX; 8]); BLOCK_WORDS]);
    scratch.zeroize();
    assert_eq!(scratch.0, [Block::default(); BLOCK_WORDS]);
}
