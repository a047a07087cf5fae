//! Damage: single bits of the database file flip while no engine runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;

use super::{Place, Store, answers, in_full};

/// Flips in pages that were never used.
const FLIPS_FREE: usize = 100;
/// What redb counts space in.
const PAGE: usize = 4096;

fn everything(store: &Store) -> impl PartialEq + use<> {
    (store.uuid(), store.epoch(), store.commitment(), answers(store).unwrap())
}

#[test]
fn no_flipped_bit_changes_an_answer_unnoticed() {
    let place = Place::furnished();
    let (epoch, expected) = {
        let store = place.open();
        (store.epoch(), everything(&store))
    };
    let pristine = fs::read(place.file()).unwrap();
    let (used, free): (Vec<usize>, Vec<usize>) = (0..pristine.len() / PAGE)
        .partition(|page| pristine[page * PAGE..(page + 1) * PAGE].iter().any(|&octet| octet != 0));
    let used: Vec<usize> =
        used.iter().flat_map(|page| page * PAGE..(page + 1) * PAGE).filter(|&at| pristine[at] != 0).collect();
    let targets = sample(&used, flips_used()).chain(sample(&free, FLIPS_FREE).map(|page| page * PAGE));

    let mut outcomes = BTreeMap::new();
    for (number, at) in targets.enumerate() {
        fs::write(place.file(), &pristine).unwrap();
        let file = fs::File::options().write(true).open(place.file()).unwrap();
        let flipped = pristine[at] ^ (1 << (number % 8));
        file.write_at(&[flipped], at as u64).unwrap();
        let outcome = match place.try_open(Some(epoch)) {
            Ok(store) => match answers(&store) {
                Ok(_) => {
                    assert!(
                        everything(&store) == expected,
                        "octet {at} became {flipped:#x}, and nobody noticed"
                    );
                    "no effect".to_owned()
                }
                Err(cause) => format!("found when read: {}", kind(&cause)),
            },
            Err(cause) => format!("found at open: {}", kind(&cause)),
        };
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    println!("{} octets, {} not zero; flips: {outcomes:#?}", pristine.len(), used.len());
    assert!(outcomes.keys().any(|outcome| outcome.contains("Row")), "no flip hit a row");
}

/// The variant of an error.
fn kind(cause: &super::StoreError) -> String {
    let text = format!("{cause:?}");
    text.split(|char: char| !char.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// Flips in octets that hold something.
fn flips_used() -> usize {
    if in_full() { usize::MAX } else { 1_000 }
}

/// About `count` of `all`, evenly spread, from a random first.
fn sample(all: &[usize], count: usize) -> impl Iterator<Item = usize> {
    let step = (all.len() / count).max(1);
    let mut random = [0; 2];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    all.iter().copied().skip(usize::from(u16::from_be_bytes(random)) % step).step_by(step)
}
