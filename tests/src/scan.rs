//! Searching memory and files for pieces of secrets.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::run;

/// Octets of a piece: as many consecutive ones of a secret are a find.
pub const PIECE: usize = 16;
/// Bits of the filter that most places of memory do not pass.
const FILTER_BITS: usize = 1 << 20;

/// Pieces of secrets, in every form in which they are searched for.
pub struct Pieces {
    names: HashMap<[u8; PIECE], String>,
    filter: Vec<u64>,
}

impl Pieces {
    /// The pieces of these named big-endian numbers or strings: in both byte orders, and in limbs of 52 bits.
    pub fn of(secrets: &[(String, Vec<u8>)]) -> Self {
        let mut pieces = Self { names: HashMap::new(), filter: vec![0; FILTER_BITS / 64] };
        for (name, secret) in secrets {
            let reversed: Vec<u8> = secret.iter().rev().copied().collect();
            pieces.add(name, secret);
            pieces.add(&format!("{name}, little-endian"), &reversed);
            for pair in limbs52(&reversed).windows(2) {
                let words: Vec<u8> = pair.iter().flat_map(|limb| limb.to_le_bytes()).collect();
                pieces.add(&format!("{name}, 52-bit limbs"), &words);
            }
        }
        assert!(!pieces.names.is_empty(), "nothing to search for");
        pieces
    }

    fn add(&mut self, name: &str, octets: &[u8]) {
        for window in octets.windows(PIECE) {
            let mut distinct = window.to_vec();
            distinct.sort_unstable();
            distinct.dedup();
            // A piece like a run of zeros is found everywhere and says nothing.
            if distinct.len() < PIECE / 2 {
                continue;
            }
            let piece: [u8; PIECE] = window.try_into().expect("a window of that size");
            let bit = filter_bit(window);
            self.filter[bit / 64] |= 1 << (bit % 64);
            self.names.entry(piece).or_insert_with(|| name.to_owned());
        }
    }

    /// What of the secrets stands in `octets`, and where.
    pub fn find(&self, octets: &[u8]) -> Vec<(usize, &str)> {
        let mut found = Vec::new();
        for (offset, window) in octets.windows(PIECE).enumerate() {
            let bit = filter_bit(window);
            if self.filter[bit / 64] >> (bit % 64) & 1 == 1
                && let Some(name) = self.names.get(window)
            {
                found.push((offset, name.as_str()));
            }
        }
        found
    }

    /// Requires that no file below `directory` holds a piece.
    pub fn absent_below(&self, directory: &Path) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.absent_below(&path);
            } else if path.is_file() {
                let found = self.find(&fs::read(&path).expect("a readable file"));
                assert!(found.is_empty(), "{}: {:?}", path.display(), &found[..found.len().min(8)]);
            }
        }
    }
}

fn filter_bit(window: &[u8]) -> usize {
    let word = u64::from_le_bytes(window[..8].try_into().expect("eight octets"));
    usize::try_from(word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44).expect("20 bits")
}

/// The limbs of a little-endian number, least significant first.
fn limbs52(number: &[u8]) -> Vec<u64> {
    let bit = |index: usize| u64::from(number.get(index / 8).copied().unwrap_or(0) >> (index % 8) & 1);
    let limb = |first: usize| (0..52).fold(0, |limb, index| limb | bit(first + index) << index);
    (0..(number.len() * 8).div_ceil(52)).map(|index| limb(52 * index)).collect()
}

/// A core dump of a running process, registers and excluded mappings included, forced by a debugger.
pub fn core_of(pid: i32, directory: &Path) -> PathBuf {
    let core = directory.join(format!("core.{pid}"));
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-p", &pid.to_string(), "-ex", "set use-coredump-filter off"]);
    gdb.args(["-ex", "set dump-excluded-mappings on", "-ex"]);
    gdb.arg(format!("generate-core-file {}", core.display()));
    run(&mut gdb);
    assert!(core.exists(), "gdb made no core dump; may this user trace processes?");
    core
}

#[cfg(test)]
mod tests {
    use super::{Pieces, limbs52};

    #[test]
    fn every_form_is_found_and_noise_is_not() {
        let secret: Vec<u8> = (1..=64u8).map(|octet| octet.wrapping_mul(89)).collect();
        let reversed: Vec<u8> = secret.iter().rev().copied().collect();
        let limbs: Vec<u8> = limbs52(&reversed).iter().flat_map(|limb| limb.to_le_bytes()).collect();
        let pieces = Pieces::of(&[("secret".to_owned(), secret.clone())]);
        for form in [&secret, &reversed, &limbs] {
            let mut memory = vec![0xa5; 1000];
            memory.extend_from_slice(&form[8..24]);
            memory.extend_from_slice(&[0; 100]);
            assert!(!pieces.find(&memory).is_empty());
            memory[1004] ^= 1;
            assert!(pieces.find(&memory).is_empty());
        }
    }
}
