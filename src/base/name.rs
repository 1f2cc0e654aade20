//! Names that people give to tasks and sessions.
//!
//! A name ends up in tmux session names, command lines and file names, so its alphabet is small. Free text
//! (goals, titles, messages) is never a name.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// The longest name, in characters.
pub const MAX_NAME: usize = 64;

/// A task or session name: a letter, digit or `_`, then letters, digits, `_`, `-` and `.`, at most 64.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a name must not be empty")]
    Empty,
    /// More than [`MAX_NAME`] characters.
    #[error("a name has at most {MAX_NAME} characters")]
    TooLong,
    /// A character outside the alphabet.
    #[error("a name starts with a letter, digit or `_` and holds only letters, digits, `_`, `-` and `.` (ASCII)")]
    Alphabet,
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let first = text.chars().next().ok_or(NameError::Empty)?;
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !(first.is_ascii_alphanumeric() || first == '_') || !text.chars().all(inner) {
            return Err(NameError::Alphabet);
        }
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass() {
        for name in ["w1", "W", "_x", "task-1-worker", "v1.2", "0"] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        let long = "a".repeat(MAX_NAME + 1);
        for name in [
            "",
            "-x",
            ".",
            "..",
            "../x",
            "/etc",
            "a b",
            "a;b",
            "$(id)",
            "`id`",
            "a\nb",
            "=x",
            "%1",
            "@1",
            "#{x}",
            "ä",
            "a\u{202e}",
            "a\0",
            long.as_str(),
        ] {
            assert!(name.parse::<Name>().is_err(), "{name:?}");
        }
    }
}
