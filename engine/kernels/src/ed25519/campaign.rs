//! The fault campaign: whatever is spoilt on the way, no wrong signature passes.

use super::tests::{pair, random, signed, tiers};
use super::*;
use crate::Tier;
use crate::edwards25519::faults::{Plan, Site, plan};
use crate::edwards25519::tables;

/// Two vectors, the second partly filled.
const FILL: usize = 11;

struct Campaign {
    kernels: Kernels,
    keys: Vec<Key>,
    right: Vec<[u8; 64]>,
    message: [u8; 130],
    work: Box<Workspace>,
}

impl Campaign {
    /// On the fastest tier: it is the same source.
    fn new() -> Self {
        let kernels = tiers().last().unwrap();
        let message = [0x42; 130];
        let pairs: Vec<_> = (0..FILL).map(|number| pair(kernels, number)).collect();
        let right =
            pairs.iter().map(|(_, oracle)| oracle.sign(&message).as_ref().try_into().unwrap()).collect();
        let keys = pairs.into_iter().map(|(key, _)| key).collect();
        Self { kernels, keys, right, message, work: Box::default() }
    }

    fn jobs<'a>(keys: &'a [Key], message: &'a [u8]) -> Vec<Job<'a>> {
        keys.iter().map(|key| Job { key, message }).collect()
    }

    /// Signs and checks; gives how many signatures were refused, and none that passed is wrong.
    fn refused(&mut self, keys: &[Key], what: &dyn core::fmt::Debug) -> usize {
        let results = signed(self.kernels, &Self::jobs(keys, &self.message), &mut self.work);
        let mut refused = 0;
        for (i, (result, right)) in results.into_iter().zip(&self.right).enumerate() {
            match result {
                Ok(signature) => assert_eq!(signature.get(), right, "{what:?}: signature {i} passed"),
                Err(fault) => {
                    assert_eq!(fault, Fault::Wrong);
                    refused += 1;
                }
            }
        }
        refused
    }

    fn strike(&mut self, fault: Plan) -> usize {
        plan(Some(fault));
        let refused = self.refused(&self.keys.clone(), &fault);
        let left = plan(None);
        assert!(left.is_none() || fault.site == Site::Table, "{fault:?} did not happen");
        refused
    }

    /// Every word of a site, at one visit, with a few flips: each is found, unless it is a lane without a job.
    fn strike_words(&mut self, site: Site, visit: usize, words: impl Iterator<Item = usize>, bits: &[u32]) {
        for word in words {
            for bit in bits {
                let fault = Plan { site, visit, word, flip: 1 << bit };
                let refused = self.strike(fault);
                assert!(refused > 0 || !Self::hits_a_job(site, visit, word), "{fault:?} was not found");
            }
        }
    }

    /// The second vector's lanes from 3 on repeat the last job, which nobody reads.
    fn hits_a_job(site: Site, visit: usize, word: usize) -> bool {
        let vector = match site {
            // T after the last window is not used.
            Site::CombPoint if visit / 8 + 1 == tables::WINDOWS && visit % 4 == 2 => return false,
            Site::CombPoint => visit / 4 % 2,
            // The first product gives the second vector's inverse; the last one all.
            Site::Product => 1 - visit % 2,
            _ => visit % 2,
        };
        vector == 0 || word % 8 < FILL - 8
    }
}

#[test]
fn nothing_happens_without_a_fault() {
    let mut campaign = Campaign::new();
    assert_eq!(campaign.refused(&campaign.keys.clone(), &"no fault"), 0);
}

#[test]
fn wrong_numbers_of_one_lane_are_found() {
    let mut campaign = Campaign::new();
    for visit in 0..2 {
        campaign.strike_words(Site::NonceDigest, visit, 0..64, &[0, 40]);
        campaign.strike_words(Site::Nonce, visit, 0..40, &[0, 1, 43]);
        campaign.strike_words(Site::Encoded, visit, 0..32, &[0, 63]);
        campaign.strike_words(Site::Coordinates, visit, 0..40, &[0, 50]);
        campaign.strike_words(Site::HashDigest, visit, 0..64, &[0, 63]);
        campaign.strike_words(Site::Hash, visit, 0..40, &[0, 43]);
        campaign.strike_words(Site::Secret, visit, 0..40, &[0, 43]);
        campaign.strike_words(Site::Answer, visit, 0..32, &[0, 58, 63]);
        campaign.strike_words(Site::Product, visit, 0..40, &[0, 49]);
    }
}

#[test]
fn wrong_steps_of_the_comb_are_found() {
    let mut campaign = Campaign::new();
    let windows = tables::WINDOWS;
    for window in 0..windows {
        // Four parts of two vectors pass after each window.
        for part in 0..8 {
            let word = (window * 8 + part * 3) % 40;
            campaign.strike_words(Site::CombPoint, 8 * window + part, [word].into_iter(), &[0, 24, 49]);
        }
        if window + 1 < windows {
            // The lowest bit of the next window.
            let bit = (window + 1) * tables::WINDOW_BITS;
            let (word, shift) = (bit / 52 * 8 + window % 8, (bit % 52) as u32);
            campaign.strike_words(Site::CombBits, 2 * window, [word].into_iter(), &[shift]);
        }
    }
}

#[test]
fn wrong_table_entries_are_found_if_anybody_uses_them() {
    let mut campaign = Campaign::new();
    let mut found = 0;
    let words = 3 * 5 * 8 * tables::ENTRY_BLOCKS;
    for window in 0..tables::WINDOWS {
        for word in (window % 7..words).step_by(37) {
            found +=
                usize::from(campaign.strike(Plan { site: Site::Table, visit: window, word, flip: 1 }) > 0);
        }
    }
    // Eleven signatures use about a sixth of the entries.
    assert!(found > 37, "{found}");
}

/// Each word of a key, seen as memory.
fn spoil(key: &mut Key, word: usize) -> bool {
    let octets = |octets: &mut [u8; 32], at: usize| octets[at] ^= 0x10;
    match word {
        0..5 => key.scalar[word] ^= 4,
        5..10 => key.copies.scalar[word - 5] ^= 4,
        10..42 => octets(&mut key.prefix, word - 10),
        42..74 => octets(&mut key.public, word - 42),
        74..106 => octets(&mut key.copies.prefix, word - 74),
        106..138 => octets(&mut key.copies.public, word - 106),
        138 => key.checksum ^= 1,
        _ => return false,
    }
    true
}

#[test]
fn wrong_words_of_a_key_are_found() {
    let mut campaign = Campaign::new();
    let mut word = 0;
    let mut keys = campaign.keys.clone();
    while spoil(&mut keys[word % FILL], word) {
        assert_eq!(campaign.refused(&keys, &("key word", word)), 1, "key word {word}");
        keys.clone_from(&campaign.keys);
        word += 1;
    }
    assert_eq!(word, 139);
}

/// As if a key had been read wrong once: the check sees it whole.
#[test]
fn wrong_words_of_a_key_are_found_after_they_heal() {
    let mut campaign = Campaign::new();
    let mut keys = campaign.keys.clone();
    for word in (0..5).chain(10..74) {
        spoil(&mut keys[word % FILL], word);
        let mut results: Vec<_> = (0..FILL).map(|_| Err(Fault::Nonce)).collect();
        let mut out: Vec<_> = (0..FILL).map(|_| Err(Fault::Nonce)).collect();
        sign(campaign.kernels, &Campaign::jobs(&keys, &campaign.message), &mut campaign.work, &mut results);
        keys.clone_from(&campaign.keys);
        let jobs = Campaign::jobs(&keys, &campaign.message);
        check(campaign.kernels, &jobs, &mut random, &mut campaign.work, &results, &mut out);
        for (i, result) in out.into_iter().enumerate() {
            assert_eq!(result.is_ok(), i != word % FILL, "key word {word}, signature {i}");
        }
    }
}

#[test]
fn tier_of_the_campaign_is_the_fastest() {
    let best = Tier::ALL.into_iter().rfind(|tier| tier.is_available());
    assert_eq!(Some(Campaign::new().kernels.tier()), best);
}
