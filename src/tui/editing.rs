//! What the keys of a text do to it, the same wherever one types.

use super::{
    field::Field,
    keymap::{Intent, Key},
};
use crate::base::text::is_unsafe;

/// Whether a text has one line or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// One.
    One,
    /// Several.
    Several,
}

/// Carries out a key in a text of at most `most` bytes; false when what was typed does not fit.
pub fn edit(field: &mut Field, lines: Lines, key: Key, intent: Option<Intent>, most: usize) -> bool {
    match intent {
        Some(Intent::LineBreak) if lines == Lines::Several => return field.insert("\n", most),
        Some(Intent::Erase) => field.erase(),
        Some(Intent::EraseNext) => field.erase_next(),
        Some(Intent::EraseWord) => field.erase_word(),
        Some(Intent::EraseAll) => field.clear(),
        Some(Intent::Left) => field.left(),
        Some(Intent::Right) => field.right(),
        Some(Intent::WordLeft) => field.word_left(),
        Some(Intent::WordRight) => field.word_right(),
        Some(Intent::LineStart) => field.line_start(),
        Some(Intent::LineEnd) => field.line_end(),
        Some(Intent::Up) => field.up(),
        Some(Intent::Down) => field.down(),
        _ => {
            if let Some(c) = key.character().filter(|c| !is_unsafe(*c)) {
                return field.insert(c.encode_utf8(&mut [0; 4]), most);
            }
        }
    }
    true
}

/// Pastes into a text of at most `most` bytes; false, and nothing is changed, when it does not fit.
pub fn paste(field: &mut Field, lines: Lines, text: &str, most: usize) -> bool {
    // Tabs have no width of their own in a field.
    let text = match lines {
        Lines::One => crate::base::text::one_line(text),
        Lines::Several => text.replace('\t', "    "),
    };
    field.insert(&text, most)
}
