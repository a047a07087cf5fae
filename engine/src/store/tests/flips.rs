//! Damage: single bits of the database file flip while no engine runs.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::{fmt, fs};

use super::{Place, RowId, Store, answers, in_full};

/// What redb counts space in.
const PAGE: usize = 4096;

fn everything(store: &Store) -> impl PartialEq + use<> {
    (store.uuid(), store.epoch(), store.commitment(), answers(store).unwrap())
}

#[test]
fn no_flipped_bit_changes_an_answer_unnoticed() {
    let place = Place::furnished();
    let (epoch, expected, rows) = {
        let store = place.open();
        let rows: Vec<RowId> = store.contents.row_ids().collect();
        (store.epoch(), everything(&store), rows)
    };
    let rows: Vec<Vec<u8>> = rows.into_iter().map(|row| place.read(row)).collect();
    let pristine = fs::read(place.file()).unwrap();
    let targets = Targets::of(&pristine, &rows);
    println!("{} octets: {targets:?}", pristine.len());

    let mut outcomes = BTreeMap::new();
    for (number, at) in targets.chosen().enumerate() {
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
    println!("flips: {outcomes:#?}");
    assert!(outcomes.keys().any(|outcome| outcome.contains("Row")), "no flip hit a row");
}

/// The variant of an error.
fn kind(cause: &super::StoreError) -> String {
    let text = format!("{cause:?}");
    text.split(|char: char| !char.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// Octets of a file by what is there.
struct Targets {
    /// The header, and pages with a current row.
    live: Vec<usize>,
    /// What else is not zero: older pages, redb's book-keeping.
    stale: Vec<usize>,
    /// One octet of each page that is zero.
    free: Vec<usize>,
}

impl Targets {
    fn of(file: &[u8], rows: &[Vec<u8>]) -> Self {
        let mut targets = Self { live: Vec::new(), stale: Vec::new(), free: Vec::new() };
        for (number, page) in file.chunks(PAGE).enumerate() {
            let holds = |row: &Vec<u8>| page.windows(row.len()).any(|window| window == row);
            let octets = (number * PAGE..).zip(page).filter(|(_, octet)| **octet != 0).map(|(at, _)| at);
            match () {
                () if number == 0 || rows.iter().any(holds) => targets.live.extend(octets),
                () if page.iter().any(|&octet| octet != 0) => targets.stale.extend(octets),
                () => targets.free.push(number * PAGE),
            }
        }
        targets
    }

    /// Those that are flipped in this run.
    fn chosen(&self) -> impl Iterator<Item = usize> {
        let [live, stale, free] = if in_full() { [usize::MAX; 3] } else { [800, 200, 50] };
        sample(&self.live, live).chain(sample(&self.stale, stale)).chain(sample(&self.free, free))
    }
}

impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} live, {} stale, {} free pages", self.live.len(), self.stale.len(), self.free.len())
    }
}

/// About `count` of `all`, evenly spread, from a random first.
fn sample(all: &[usize], count: usize) -> impl Iterator<Item = usize> {
    let step = (all.len() / count).max(1);
    let mut random = [0; 2];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    all.iter().copied().skip(usize::from(u16::from_be_bytes(random)) % step).step_by(step)
}
