//! A captured screen as a terminal would show it: cells with text, colours and attributes.
//!
//! The text comes from a pane and is hostile. It is run through a terminal emulator of exactly the pane's size, and
//! only what stands in its cells comes out: printable characters and a style each, never an escape sequence.

use std::num::NonZeroU16;

use vt100::Parser;

use crate::base::text;

/// The most rows and columns that are looked at; no terminal that a person sits before is larger.
const MAX_SIDE: u16 = 1_000;

/// A colour, as the program chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// The terminal's own.
    #[default]
    Default,
    /// One of the palette of 256.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

/// How a cell looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Colour of the text.
    pub foreground: Colour,
    /// Colour behind it.
    pub background: Colour,
    /// Bold.
    pub bold: bool,
    /// Dim.
    pub dim: bool,
    /// Italic.
    pub italic: bool,
    /// Underlined, in whatever way.
    pub underlined: bool,
    /// Both colours are exchanged.
    pub reversed: bool,
}

/// One place of the screen, one or two columns wide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// A character with what is combined with it; empty for a blank.
    pub text: String,
    /// Columns: 1 or 2.
    pub width: u8,
    /// How it looks.
    pub look: Look,
}

/// Where the cursor stands, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Column.
    pub column: u16,
    /// Row.
    pub row: u16,
}

/// A screen at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: u16,
    /// Rows from the top; plain blanks at their end are left out.
    pub rows: Vec<Vec<Cell>>,
    /// The cursor; none when the program hides it.
    pub cursor: Option<Cursor>,
}

impl Picture {
    /// The screen of `width` columns and `height` rows that `captured` describes: lines with the sequences for colours
    /// and attributes, as `tmux capture-pane -e` prints them.
    #[must_use]
    pub fn of(captured: &str, width: u16, height: u16, cursor: Option<Cursor>) -> Self {
        let width = width.clamp(1, MAX_SIDE);
        let lines = captured.strip_suffix('\n').unwrap_or(captured).split('\n');
        // Every line has its row, so that nothing is ever scrolled away.
        let count = u16::try_from(lines.clone().count()).unwrap_or(MAX_SIDE);
        let height = height.max(count).clamp(1, MAX_SIDE);
        // A character of two columns needs them, also in a pane that has only one.
        let side = |side: u16| NonZeroU16::new(side.max(2)).unwrap_or(NonZeroU16::MIN);
        let mut parser = Parser::new(side(height), side(width), 0);
        for (index, line) in lines.take(usize::from(height)).enumerate() {
            // Each line is put into its own row: what a hostile one leaves undone moves no other.
            parser.process(format!("\u{1b}[?6l\u{1b}[{};1H", index + 1).as_bytes());
            parser.process(line.trim_end_matches('\r').as_bytes());
        }
        let screen = parser.screen();
        let mut rows: Vec<Vec<Cell>> = (0..height).map(|row| cells(screen, row, width)).collect();
        while rows.len() > 1 && rows.last().is_some_and(Vec::is_empty) {
            rows.pop();
        }
        let cursor = cursor.filter(|cursor| cursor.column < width && cursor.row < height);
        Self { width, rows, cursor }
    }

    /// The text of a row.
    #[must_use]
    pub fn text(&self, row: usize) -> String {
        let cells = self.rows.get(row).map_or(&[][..], Vec::as_slice);
        cells.iter().map(|cell| if cell.text.is_empty() { " " } else { cell.text.as_str() }).collect()
    }
}

fn cells(screen: &vt100::Screen, row: u16, width: u16) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut column = 0;
    while column < width {
        let Some(cell) = screen.cell(row, column) else { break };
        let wide = cell.is_wide() && column + 1 < width;
        let shown = text::clean(cell.contents()).replace(['\n', '\t'], "");
        // Half of a wide character says nothing.
        let halved = cell.is_wide() != wide || cell.is_wide_continuation();
        let text = if halved || shown == " " { String::new() } else { shown };
        cells.push(Cell { text, width: if wide { 2 } else { 1 }, look: look(cell) });
        column += if wide { 2 } else { 1 };
    }
    while cells.last().is_some_and(|cell| cell.text.is_empty() && cell.look == Look::default()) {
        cells.pop();
    }
    cells
}

fn look(cell: &vt100::Cell) -> Look {
    Look {
        foreground: colour(cell.fgcolor()),
        background: colour(cell.bgcolor()),
        bold: cell.bold(),
        dim: cell.dim(),
        italic: cell.italic(),
        underlined: cell.underline(),
        reversed: cell.inverse(),
    }
}

fn colour(colour: vt100::Color) -> Colour {
    match colour {
        vt100::Color::Default => Colour::Default,
        vt100::Color::Idx(index) => Colour::Indexed(index),
        vt100::Color::Rgb(red, green, blue) => Colour::Rgb(red, green, blue),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(captured: &str) -> Picture {
        Picture::of(captured, 20, 4, None)
    }

    fn cell(captured: &str) -> Cell {
        picture(captured).rows[0][0].clone()
    }

    #[test]
    fn colours_and_attributes_are_those_of_the_program() {
        let red = cell("\u{1b}[31mred\u{1b}[0m");
        assert_eq!((red.text.as_str(), red.look.foreground), ("r", Colour::Indexed(1)));
        assert_eq!(cell("\u{1b}[38;5;208mx").look.foreground, Colour::Indexed(208));
        assert_eq!(cell("\u{1b}[48;2;1;2;3mx").look.background, Colour::Rgb(1, 2, 3));
        let all = cell("\u{1b}[2;3;4;7mx").look;
        assert_eq!((all.dim, all.italic, all.underlined, all.reversed, all.bold), (true, true, true, true, false));
        assert!(cell("\u{1b}[1mx").look.bold);
        let curly = cell("\u{1b}[4:3mx");
        assert_eq!(curly.text, "x");
        // tmux does not repeat on the next line what still holds.
        let two = picture("\u{1b}[32mone\ntwo\u{1b}[39m");
        assert_eq!(two.rows[1][0].look.foreground, Colour::Indexed(2));
    }

    #[test]
    fn wide_and_combined_characters_take_their_columns() {
        let wide = picture("漢字x\ne\u{301}y");
        assert_eq!(wide.rows[0].iter().map(|cell| cell.width).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(wide.text(0), "漢字x");
        assert_eq!(wide.rows[1][0].text, "e\u{301}");
        let full = Picture::of("abcde漢\nnext", 7, 2, None);
        assert_eq!((full.text(0), full.text(1)), ("abcde漢".to_owned(), "next".to_owned()));
    }

    #[test]
    fn a_full_line_moves_no_other() {
        let full = Picture::of("1234567890\nabc", 10, 2, None);
        assert_eq!((full.text(0), full.text(1)), ("1234567890".to_owned(), "abc".to_owned()));
        let longer = Picture::of("12345678901234\nabc", 10, 2, None);
        assert_eq!(longer.text(1), "abc4".to_owned(), "tmux never gives such a line; the next one still has its row");
    }

    #[test]
    fn links_and_other_sequences_leave_nothing_behind() {
        let link = picture("\u{1b}]8;;https://example.org\u{1b}\\text\u{1b}]8;;\u{1b}\\ end");
        assert_eq!(link.text(0), "text end");
        for hostile in ["\u{1b}]0;title\u{7}x", "\u{1b}P1;2q\u{1b}\\x", "\u{1b}[?1049hx", "\u{9b}31mx", "\u{202e}x"] {
            let picture = picture(hostile);
            assert!(picture.text(0).ends_with('x'), "{hostile:?}: {:?}", picture.text(0));
            assert!(!text::has_unsafe(&picture.text(0)), "{hostile:?}: {:?}", picture.text(0));
        }
        let moved = picture("a\u{1b}[3;3Hb\nc");
        assert_eq!(moved.text(1), "c", "a jump does not move the next line");
    }

    #[test]
    fn the_cursor_and_coloured_blanks_stay() {
        let cursor = Cursor { column: 3, row: 1 };
        assert_eq!(Picture::of("a", 20, 4, Some(cursor)).cursor, Some(cursor));
        assert_eq!(Picture::of("a", 20, 4, Some(Cursor { column: 20, row: 1 })).cursor, None);
        let bar = picture("\u{1b}[48;5;236m   \u{1b}[0m   ");
        assert_eq!(bar.rows[0].len(), 3);
        assert_eq!(picture("x\n\n\n").rows.len(), 1);
    }

    #[test]
    fn nothing_that_a_pane_prints_comes_through() {
        let pieces = proptest::prop_oneof![
            "\\PC{0,6}",
            proptest::strategy::Just("\u{1b}[".to_owned()),
            proptest::strategy::Just("\u{1b}]8;;".to_owned()),
            proptest::strategy::Just("\u{1b}c".to_owned()),
            proptest::strategy::Just("漢\u{fe0f}".to_owned()),
            "[0-9;:?]{0,8}[A-Za-z@`]",
            ".{0,4}",
        ];
        let text = proptest::collection::vec(pieces, 0..30);
        proptest::proptest!(|(text in text, width in 0u16..30, height in 0u16..9)| {
            let picture = Picture::of(&text.concat(), width, height, None);
            for (index, row) in picture.rows.iter().enumerate() {
                proptest::prop_assert!(row.iter().map(|cell| u16::from(cell.width)).sum::<u16>() <= picture.width);
                proptest::prop_assert!(!text::has_unsafe(&picture.text(index)));
                proptest::prop_assert!(!picture.text(index).contains('\n'));
            }
        });
    }
}
