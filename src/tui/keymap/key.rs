//! A key, as the terminal reports it and as people write it.

use std::str::FromStr;

use crossterm::event::{
    KeyCode::{self, Backspace, Delete, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right, Tab, Up},
    KeyEvent, KeyModifiers,
};

/// A key with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    code: KeyCode,
    control: bool,
}

impl Key {
    /// What was pressed. Shift is part of a character already, and no other modifier is used.
    #[must_use]
    pub fn pressed(event: KeyEvent) -> Option<Self> {
        if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
            return None;
        }
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let code = match event.code {
            KeyCode::Char(c) if control => KeyCode::Char(c.to_ascii_lowercase()),
            code => code,
        };
        Some(Self { code, control })
    }

    /// The character it types, if it types one.
    #[must_use]
    pub fn character(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if !self.control => Some(c),
            _ => None,
        }
    }

    /// The key as people write it: `j`, `PgDn`, `Ctrl-L`.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) if self.control => c.to_ascii_uppercase().to_string(),
            KeyCode::Char(c) => c.to_string(),
            // The library's names differ from system to system.
            KeyCode::Enter => "Enter".to_owned(),
            KeyCode::Backspace => "Backspace".to_owned(),
            KeyCode::Delete => "Del".to_owned(),
            KeyCode::Insert => "Ins".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::BackTab => "Shift-Tab".to_owned(),
            code => code.to_string(),
        };
        if self.control { format!("Ctrl-{name}") } else { name }
    }
}

/// A text that names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no key; keys are a character, Ctrl- and a letter, F1 to F12, or Enter, Tab, Esc, Space, PgDn, PgUp, \
         Home, End, Up, Down, Left, Right, Ins, Del, Backspace"
)]
pub struct UnknownKey(String);

impl FromStr for Key {
    type Err = UnknownKey;

    /// Reads what [`Key::name`] writes.
    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        let unknown = || UnknownKey(crate::base::text::bounded(&crate::base::text::clean(text), 40));
        let (rest, control) = match text.strip_prefix("Ctrl-") {
            Some(rest) if !rest.is_empty() => (rest, true),
            _ => (text, false),
        };
        let mut characters = rest.chars();
        let code = match (characters.next(), characters.next()) {
            (Some(c), None) if control => KeyCode::Char(c.to_ascii_lowercase()),
            (Some(c), None) if !c.is_control() && c != ' ' => KeyCode::Char(c),
            _ => match rest {
                "Enter" => Enter,
                "Tab" => Tab,
                "Shift-Tab" => KeyCode::BackTab,
                "Esc" => Esc,
                "Space" => KeyCode::Char(' '),
                "PgDn" => PageDown,
                "PgUp" => PageUp,
                "Home" => Home,
                "End" => End,
                "Up" => Up,
                "Down" => Down,
                "Left" => Left,
                "Right" => Right,
                "Del" => Delete,
                "Ins" => KeyCode::Insert,
                "Backspace" => Backspace,
                _ => {
                    let number = rest.strip_prefix('F').and_then(|number| number.parse::<u8>().ok());
                    KeyCode::F(number.filter(|number| (1..=12).contains(number)).ok_or_else(unknown)?)
                }
            },
        };
        Ok(Self { code, control })
    }
}

pub(super) const fn c(letter: char) -> Key {
    Key { code: KeyCode::Char(letter), control: false }
}

pub(super) const fn ctrl(letter: char) -> Key {
    Key { code: KeyCode::Char(letter), control: true }
}

pub(super) const fn ctrl_k(code: KeyCode) -> Key {
    Key { code, control: true }
}

pub(super) const fn k(code: KeyCode) -> Key {
    Key { code, control: false }
}
