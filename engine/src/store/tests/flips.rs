//! Damage: bits of the database file flip, and pages get lost, while no engine runs.

use std::collections::BTreeMap;
use std::{fmt, fs};

use uuid::Uuid;

use super::{Answers, Place, RowId, Store, StoreError, answers, in_full};

/// What redb counts space in.
const PAGE: usize = 4096;

type Everything = (Uuid, u64, [u8; 32], Answers);

fn everything(store: &Store) -> Result<Everything, StoreError> {
    Ok((store.uuid(), store.epoch(), store.commitment(), answers(store)?))
}

#[test]
fn no_flipped_bit_changes_an_answer_unnoticed() {
    let place = Place::furnished();
    let (epoch, expected, rows) = {
        let store = place.open();
        let rows: Vec<RowId> = store.contents.row_ids().collect();
        (store.epoch(), everything(&store).unwrap(), rows)
    };
    let rows: Vec<Vec<u8>> = rows.into_iter().map(|row| place.read(row)).collect();
    let pristine = fs::read(place.file()).unwrap();
    let targets = Targets::of(&pristine, &rows);
    println!("{} octets: {targets:?}", pristine.len());

    let mut outcomes = BTreeMap::new();
    for (number, at) in targets.chosen().enumerate() {
        let mut damaged = pristine.clone();
        damaged[at] ^= 1 << (number % 8);
        let outcome = outcome_of(&place, &damaged, epoch, &expected).unwrap_or_else(|| {
            panic!("bit {} of octet {at} flipped, and nobody noticed", number % 8);
        });
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    println!("flips: {outcomes:#?}");
    assert!(outcomes.keys().any(|outcome| outcome.contains("Row")), "no flip hit a row");
}

/// Pages that were never written, written twice, or to the wrong place; and a file that ends too early.
#[test]
fn no_lost_or_misplaced_page_changes_an_answer_unnoticed() {
    let place = Place::furnished();
    let (epoch, expected) = {
        let store = place.open();
        (store.epoch(), everything(&store).unwrap())
    };
    let pristine = fs::read(place.file()).unwrap();
    let used: Vec<usize> = (0..pristine.len() / PAGE)
        .filter(|page| pristine[page * PAGE..(page + 1) * PAGE].iter().any(|&octet| octet != 0))
        .collect();
    let mut outcomes = BTreeMap::new();
    let mut note = |what: &str, damaged: &[u8]| {
        let outcome = outcome_of(&place, damaged, epoch, &expected);
        *outcomes.entry(outcome.unwrap_or_else(|| panic!("{what}, and nobody noticed"))).or_insert(0) += 1;
    };
    for &page in &used {
        let start = page * PAGE;
        let mut zeroed = pristine.clone();
        zeroed[start..start + PAGE].fill(0);
        note(&format!("page {page} is zero"), &zeroed);
        for other in used.iter().filter(|other| **other != page) {
            let mut misplaced = pristine.clone();
            misplaced.copy_within(other * PAGE..(other + 1) * PAGE, start);
            note(&format!("page {other} stands at {page}"), &misplaced);
        }
        note(&format!("the file ends before page {page}"), &pristine[..start]);
    }
    println!("{} pages: {outcomes:#?}", used.len());
    assert!(outcomes.keys().any(|outcome| outcome != NO_EFFECT), "no page mattered");
}

const NO_EFFECT: &str = "no effect";

/// What the engine makes of a damaged file; `None` when it answers something else than `expected`.
fn outcome_of(place: &Place, file: &[u8], seen: u64, expected: &Everything) -> Option<String> {
    fs::write(place.file(), file).unwrap();
    let store = match place.try_open(Some(seen)) {
        Ok(store) => store,
        Err(cause) => return Some(format!("found at open: {}", kind(&cause))),
    };
    match everything(&store) {
        Ok(answers) => (*expected == answers).then(|| NO_EFFECT.to_owned()),
        Err(cause) => Some(format!("found when read: {}", kind(&cause))),
    }
}

/// The variant of an error.
fn kind(cause: &StoreError) -> String {
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
