//! A menu of numbered options at the bottom of the screen, with the key hint below it.
//!
//! Finds and parses it by shape alone; what the menu is about is decided elsewhere.

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::{
    screen::{Screen, indent},
    wording,
};

/// One option of an open menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MenuOption {
    /// Its number on the screen, which is also its key; none in 0.25, which numbers nothing.
    pub number: Option<u8>,
    /// Its text on one line, without the description beside it and the key behind it.
    pub label: String,
    /// The key shown behind it (`y`, `esc`).
    pub key: Option<String>,
    /// True for the option that Enter would take.
    pub selected: bool,
}

/// A menu that stands at the very bottom of the screen.
#[derive(Debug)]
pub(super) struct Menu {
    /// The row of the first visible option.
    pub(super) row: usize,
    pub(super) options: Vec<MenuOption>,
    /// The key hint below the options, in lower case and on one line.
    pub(super) hint: String,
}

/// The most rows a wrapped key hint takes.
const MAX_HINT_ROWS: usize = 3;
/// The most blank rows and scroll marks between options and hint.
const MAX_GAP: usize = 3;
/// Wrapped labels and descriptions are indented at least this far, options never.
const CONTINUATION: usize = 5;

/// One row such as `› 1. Yes, proceed (y)`.
struct OptionRow<'a> {
    pad: usize,
    number: u8,
    selected: bool,
    /// The column where the label begins, which wrapped labels keep.
    column: usize,
    text: &'a str,
}

/// The lowest block of rows that could be a key hint, in lower case, with its first row.
pub(super) fn hint_at_bottom(screen: &Screen<'_>) -> Option<(usize, String)> {
    let last = screen.last()?;
    let rows = screen.rows();
    let mut top = None;
    for row in (last.saturating_sub(MAX_HINT_ROWS - 1)..=last).rev() {
        let text = rows[row];
        let above_the_hint = text.starts_with('─') || is_scroll_mark(text) || option_row(text).is_some();
        if text.is_empty() || indent(text) >= CONTINUATION || above_the_hint {
            break;
        }
        top = Some(row);
    }
    let top = top?;
    let words: Vec<&str> = rows[top..=last].iter().flat_map(|row| row.split_whitespace()).collect();
    Some((top, words.join(" ").to_lowercase()))
}

/// True for a key hint of a dialog rather than of the composer.
pub(super) fn is_dialog_hint(hint: &str) -> bool {
    let starts = |words: &[&str]| words.iter().any(|word| hint.starts_with(word));
    starts(wording::DIALOG_HINTS) && !starts(wording::COMPOSER_HINTS)
}

/// The menu at the bottom of the screen: options of which exactly one is selected, above a dialog's key hint.
///
/// The hint is what tells it from a list that a person has typed into the composer.
pub(super) fn at_bottom(screen: &Screen<'_>) -> Option<Menu> {
    let (hint_row, hint) = hint_at_bottom(screen)?;
    if !is_dialog_hint(&hint) {
        return None;
    }
    let mut row = hint_row.checked_sub(1)?;
    let mut gap = 0;
    while screen.row(row).is_empty() || is_scroll_mark(screen.row(row)) {
        gap += 1;
        if gap > MAX_GAP {
            return None;
        }
        row = row.checked_sub(1)?;
    }
    let (first, options) = options_up_from(screen, row);
    let one_selected = options.iter().filter(|option| option.selected).count() == 1;
    (options.len() >= 2 && one_selected).then_some(Menu { row: first, options, hint })
}

/// Reads options upward from `row` until number 1 or something else; returns the topmost row and the options.
fn options_up_from(screen: &Screen<'_>, row: usize) -> (usize, Vec<MenuOption>) {
    let width = screen.width();
    let mut options: Vec<MenuOption> = Vec::new();
    let mut continuation: Vec<&str> = Vec::new();
    let mut expected: Option<(usize, u8)> = None;
    let mut first = row;
    let mut blank = false;
    for index in (0..=row).rev() {
        let text = screen.row(index);
        if let Some(option) = option_row(text) {
            if expected.is_some_and(|expected| expected != (option.pad, option.number)) {
                break;
            }
            continuation.reverse();
            options.push(menu_option(&option, text, &continuation, width));
            continuation.clear();
            first = index;
            blank = false;
            if option.number <= 1 {
                break;
            }
            expected = Some((option.pad, option.number - 1));
        } else if text.is_empty() {
            if blank {
                break;
            }
            blank = true;
        } else if indent(text) >= CONTINUATION {
            continuation.push(text);
            blank = false;
        } else {
            break;
        }
    }
    options.reverse();
    (first, options)
}

/// The arrow at the margin of a list that is longer than its window.
fn is_scroll_mark(row: &str) -> bool {
    matches!(row, "↑" | "↓")
}

fn option_row(row: &str) -> Option<OptionRow<'_>> {
    let spaces = indent(row);
    let rest = &row[spaces..];
    let (pad, selected, rest) = match rest.strip_prefix("› ").or_else(|| rest.strip_prefix("> ")) {
        Some(rest) => (spaces, true, rest),
        None => (spaces.checked_sub(2)?, false, rest),
    };
    let (digits, text) = rest.split_once(". ")?;
    if pad > 2 || digits.is_empty() || digits.len() > 2 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let text = text.trim_start();
    if text.is_empty() {
        return None;
    }
    Some(OptionRow { pad, number: digits.parse().ok()?, selected, column: pad + 2 + digits.len() + 2, text })
}

fn menu_option(option: &OptionRow<'_>, row: &str, continuation: &[&str], width: usize) -> MenuOption {
    // Two spaces part the label from its description.
    let (label, described) = match option.text.split_once("  ") {
        Some((label, _)) => (label, true),
        None => (option.text, false),
    };
    let mut label = label.to_owned();
    let mut above = row.width();
    for row in continuation {
        // A word that would have fitted on the row above begins a description, not the rest of a label.
        let word = row.split_whitespace().next().map_or(0, UnicodeWidthStr::width);
        if described || indent(row) != option.column || above + 1 + word + 2 <= width {
            break;
        }
        label.push(' ');
        label.push_str(row.trim());
        above = row.width();
    }
    let (label, key) = without_key(&label);
    MenuOption { number: Some(option.number), label, key, selected: option.selected }
}

/// Parts `Yes, proceed (y)`, or `No esc` as 0.47 wrote it, into label and key.
fn without_key(label: &str) -> (String, Option<String>) {
    let is_key =
        |word: &str| word.chars().count() == 1 || matches!(word, "esc" | "enter" | "tab") || word.contains("ctrl");
    let in_brackets = label.strip_suffix(')').and_then(|rest| rest.rsplit_once(" ("));
    match in_brackets {
        Some((text, key)) if is_key(key) => (text.trim_end().to_owned(), Some(key.to_owned())),
        _ => match label.strip_suffix(" esc") {
            Some(text) => (text.trim_end().to_owned(), Some("esc".to_owned())),
            None => (label.to_owned(), None),
        },
    }
}
