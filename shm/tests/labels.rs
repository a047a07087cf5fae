//! `docs/MEMORY_ORDERING.md` and the code name the same orderings.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

fn labels_in(text: &str, before: &str) -> Vec<String> {
    let label = |rest: &str| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
    text.split(before).skip(1).map(label).collect()
}

#[test]
fn every_ordering_has_two_ends_and_a_line_in_the_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut ends = BTreeMap::<String, usize>::new();
    for file in fs::read_dir(root.join("src")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for label in labels_in(&text, "// SYNC: ") {
            *ends.entry(label).or_default() += 1;
        }
    }
    assert!(ends.values().all(|ends| *ends >= 2), "{ends:?}");
    let document = fs::read_to_string(root.join("../docs/MEMORY_ORDERING.md")).unwrap();
    let listed: BTreeSet<_> = labels_in(&document, "\n| `").into_iter().collect();
    assert_eq!(listed, ends.into_keys().collect());
}
