//! The names of this program's functions, from its own symbol table (ELF-64, little-endian).

use std::collections::BTreeMap;

/// Where a function begins: its end and its name.
pub struct Symbols(BTreeMap<u64, (u64, String)>);

fn number(octets: &[u8], at: u64, len: usize) -> u64 {
    let at = usize::try_from(at).unwrap();
    octets[at..at + len].iter().rev().fold(0, |number, octet| number << 8 | u64::from(*octet))
}

fn text(octets: &[u8], at: u64) -> String {
    let rest = &octets[usize::try_from(at).unwrap()..];
    let end = rest.iter().position(|octet| *octet == 0).unwrap();
    String::from_utf8_lossy(&rest[..end]).into_owned()
}

/// Where this program has been loaded.
fn base(path: &str) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with(path)).unwrap();
    u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap()
}

impl Symbols {
    pub fn of_this_program() -> Self {
        const SYMBOLS: u64 = 2;
        const FUNCTION: u64 = 2;
        let path = std::env::current_exe().unwrap();
        let octets = std::fs::read(&path).unwrap();
        let base = base(path.to_str().unwrap());
        let (sections, size) = (number(&octets, 0x28, 8), number(&octets, 0x3a, 2));
        let section = |index: u64| sections + index * size;
        let mut symbols = BTreeMap::new();
        for table in
            (0..number(&octets, 0x3c, 2)).map(section).filter(|at| number(&octets, at + 4, 4) == SYMBOLS)
        {
            let names = number(&octets, section(number(&octets, table + 0x28, 4)) + 0x18, 8);
            let (start, len) = (number(&octets, table + 0x18, 8), number(&octets, table + 0x20, 8));
            for symbol in (start..start + len).step_by(24) {
                if number(&octets, symbol + 4, 1) & 15 == FUNCTION {
                    let (at, len) = (base + number(&octets, symbol + 8, 8), number(&octets, symbol + 16, 8));
                    symbols.insert(at, (at + len, text(&octets, names + number(&octets, symbol, 4))));
                }
            }
        }
        Self(symbols)
    }

    /// The function that has this address.
    pub fn name(&self, address: u64) -> String {
        match self.0.range(..=address).next_back() {
            Some((_, (end, name))) if address < *end => name.clone(),
            _ => "outside of this program".into(),
        }
    }
}
