//! The rows of a captured screen, cleaned, and the few questions the classifier asks about their shape.
//!
//! Knows nothing of Codex: indentation, blocks, gaps and wrapped text only.

use std::borrow::Cow;

use crate::base::text;

/// No terminal is higher; of longer text only the end is looked at, so that a log given by mistake costs nothing.
const MAX_ROWS: usize = 1000;

/// The rows of one capture without trailing white space, ending with the last row that is not blank.
#[derive(Debug)]
pub(super) struct Screen<'a> {
    rows: Vec<&'a str>,
    /// Rows above that are not looked at.
    left_out: usize,
}

/// `raw` without escape sequences and unsafe characters, borrowed when there are none.
pub(super) fn cleaned(raw: &str) -> Cow<'_, str> {
    if raw.chars().any(text::is_unsafe) { Cow::Owned(text::clean(raw)) } else { Cow::Borrowed(raw) }
}

impl<'a> Screen<'a> {
    /// Splits text that [`cleaned`] has made safe.
    pub(super) fn new(clean: &'a str) -> Self {
        let clean = clean.trim_end();
        let mut rows: Vec<&str> = clean.rsplit('\n').take(MAX_ROWS).map(str::trim_end).collect();
        rows.reverse();
        if clean.is_empty() {
            rows.clear();
        }
        let left_out = clean.split('\n').count().saturating_sub(MAX_ROWS);
        Self { rows, left_out }
    }

    /// The index of a row in the whole text.
    pub(super) fn index_in_text(&self, row: usize) -> usize {
        self.left_out + row
    }

    /// All rows, top to bottom.
    pub(super) fn rows(&self) -> &[&'a str] {
        &self.rows
    }

    /// The row at `index`, empty beyond the end.
    pub(super) fn row(&self, index: usize) -> &'a str {
        self.rows.get(index).copied().unwrap_or_default()
    }

    /// The lowest row that is not blank; none on an empty screen.
    pub(super) fn last(&self) -> Option<usize> {
        self.rows.len().checked_sub(1)
    }

    /// The widest row in columns, which is at most the width of the pane.
    pub(super) fn width(&self) -> usize {
        self.rows.iter().map(|row| unicode_width::UnicodeWidthStr::width(*row)).max().unwrap_or(0)
    }

    /// True when the text that starts at row `index` (as `first`, without decoration) begins with `needle`, even if
    /// a narrow pane has wrapped it onto the next two rows.
    pub(super) fn starts_with_wrapped(&self, index: usize, first: &str, needle: &str) -> bool {
        if first.starts_with(needle) {
            return true;
        }
        // The whole row must be the beginning of the wording; else a wrapped paragraph would match by its middle.
        if first.is_empty() || !needle.starts_with(first) {
            return false;
        }
        let joined = format!("{first} {} {}", self.row(index + 1).trim(), self.row(index + 2).trim());
        joined.starts_with(needle)
    }

    /// The text of up to three rows from `index`, wrapped lines joined by one space.
    pub(super) fn joined(&self, index: usize) -> String {
        let rows = [index, index + 1, index + 2].map(|row| self.row(row).trim());
        rows.join(" ")
    }
}

/// Columns of white space in front of the row.
pub(super) fn indent(row: &str) -> usize {
    row.chars().take_while(|c| *c == ' ').count()
}

/// True for a row that starts in the first column.
pub(super) fn at_margin(row: &str) -> bool {
    !row.is_empty() && !row.starts_with([' ', '\t'])
}
