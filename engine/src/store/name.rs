//! Names of slots and labels of keys.

use crate::limits::NAME_BYTES_MAX;

/// Why something is no name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or too long.
    #[error("a name has 1 to {NAME_BYTES_MAX} octets, not {0}")]
    Length(usize),
    /// Invisible characters let two names look the same.
    #[error("a name has printable characters only, not U+{0:04X}")]
    Unprintable(u32),
}

/// The name, if it is one: 1 to 64 octets of printable UTF-8.
pub(super) fn check(name: &str) -> Result<String, NameError> {
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) {
        return Err(NameError::Length(name.len()));
    }
    match name.chars().find(|&char| is_invisible(char)) {
        Some(char) => Err(NameError::Unprintable(char.into())),
        None => Ok(name.to_owned()),
    }
}

/// Control characters, blanks other than the space, and what only directs how others are shown.
fn is_invisible(char: char) -> bool {
    char.is_control()
        || (char.is_whitespace() && char != ' ')
        || matches!(char, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(char, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::{NameError, check};

    #[test]
    fn printable_names_of_up_to_64_octets_pass() {
        for name in ["a", "web server 1", "schlüssel", "鍵", &"x".repeat(64)] {
            assert_eq!(check(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn others_do_not() {
        assert_eq!(check(""), Err(NameError::Length(0)));
        assert_eq!(check(&"x".repeat(65)), Err(NameError::Length(65)));
        assert_eq!(check(&"ü".repeat(33)), Err(NameError::Length(66)), "octets count, not characters");
        for char in ['\0', '\n', '\u{7f}', '\u{a0}', '\u{202e}', '\u{200b}', '\u{2066}', '\u{feff}'] {
            assert_eq!(check(&format!("a{char}b")), Err(NameError::Unprintable(char.into())));
        }
    }
}
