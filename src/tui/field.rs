//! A text that is edited: cursor, words, lines, pastes. It knows nothing of keys, and where its lines break on the
//! screen is decided when it is drawn.

use unicode_width::UnicodeWidthChar;

/// The text and where the cursor stands in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    text: String,
    /// A byte position, always where a visible character begins or at the end.
    cursor: usize,
}

impl Field {
    /// This text, with the cursor at its end.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self { text: text.to_owned(), cursor: text.len() }
    }

    /// What was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text before the cursor.
    #[must_use]
    pub fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Puts text where the cursor stands; false, and nothing is changed, when it would be longer than `most` bytes.
    pub fn insert(&mut self, text: &str, most: usize) -> bool {
        if self.text.len() + text.len() > most {
            return false;
        }
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
        true
    }

    /// Deletes the character before the cursor.
    pub fn erase(&mut self) {
        let from = self.previous();
        self.cut(from, self.cursor);
    }

    /// Deletes the character under the cursor.
    pub fn erase_next(&mut self) {
        let to = self.next();
        self.cut(self.cursor, to);
    }

    /// Deletes back to the beginning of a word.
    pub fn erase_word(&mut self) {
        let from = self.word_before();
        self.cut(from, self.cursor);
    }

    /// Deletes everything.
    pub fn clear(&mut self) {
        self.text.clear();
        self.cursor = 0;
    }

    /// One character back.
    pub fn left(&mut self) {
        self.cursor = self.previous();
    }

    /// One character on.
    pub fn right(&mut self) {
        self.cursor = self.next();
    }

    /// To the beginning of this word, or of the one before.
    pub fn word_left(&mut self) {
        self.cursor = self.word_before();
    }

    /// Behind the end of this word, or of the next.
    pub fn word_right(&mut self) {
        let rest = &self.text[self.cursor..];
        let word = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
        let length = rest[word..].find(char::is_whitespace).unwrap_or(rest.len() - word);
        self.cursor += word + length;
    }

    /// To the beginning of the line.
    pub fn line_start(&mut self) {
        self.cursor = self.start_of_line();
    }

    /// To the end of the line.
    pub fn line_end(&mut self) {
        self.cursor = self.end_of_line();
    }

    /// To the same column of the line above; in the first line to its beginning.
    pub fn up(&mut self) {
        let start = self.start_of_line();
        let column = self.text[start..self.cursor].chars().count();
        self.cursor = start;
        if start > 0 {
            self.cursor = start - 1;
            self.cursor = self.start_of_line();
            self.seek_column(column);
        }
    }

    /// To the same column of the line below; in the last line to its end.
    pub fn down(&mut self) {
        let column = self.text[self.start_of_line()..self.cursor].chars().count();
        self.cursor = self.end_of_line();
        if self.cursor < self.text.len() {
            self.cursor += 1;
            self.seek_column(column);
        }
    }

    fn seek_column(&mut self, column: usize) {
        let line = &self.text[self.cursor..self.end_of_line()];
        let at = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
        self.cursor += at;
        // Not into the middle of a composed character; one that composes nothing begins its line.
        let is_inside = |field: &Self| {
            field.text[field.cursor..].chars().next().is_some_and(joins)
                && field.before().chars().next_back().is_some_and(|c| c != '\n')
        };
        while is_inside(self) {
            self.cursor = self.previous();
        }
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }

    fn start_of_line(&self) -> usize {
        self.before().rfind('\n').map_or(0, |at| at + 1)
    }

    fn end_of_line(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    /// What is composed of several characters is one step.
    fn previous(&self) -> usize {
        let mut at = self.cursor;
        for (index, c) in self.before().char_indices().rev() {
            at = index;
            if !joins(c) {
                break;
            }
        }
        at
    }

    fn next(&self) -> usize {
        let mut rest = self.text[self.cursor..].char_indices();
        rest.next();
        rest.find(|(_, c)| !joins(*c)).map_or(self.text.len(), |(at, _)| self.cursor + at)
    }

    fn word_before(&self) -> usize {
        let before = self.before().trim_end();
        before.char_indices().rev().find(|(_, c)| c.is_whitespace()).map_or(0, |(at, c)| at + c.len_utf8())
    }
}

/// A character that is part of the one before it.
fn joins(c: char) -> bool {
    c != '\n' && c.width() == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1_000;

    fn with(text: &str) -> Field {
        let mut field = Field::default();
        assert!(field.insert(text, MOST));
        field
    }

    /// The text with `|` where the cursor stands.
    fn shown(field: &Field) -> String {
        let (before, after) = field.text().split_at(field.before().len());
        format!("{before}|{after}")
    }

    #[test]
    fn words_are_steps_of_their_own() {
        let mut field = with("run the  tests");
        field.word_left();
        assert_eq!(shown(&field), "run the  |tests");
        field.word_left();
        field.word_left();
        field.word_left();
        assert_eq!(shown(&field), "|run the  tests");
        field.word_right();
        field.word_right();
        assert_eq!(shown(&field), "run the|  tests");
        field.erase_word();
        assert_eq!(shown(&field), "run |  tests");
        field.word_right();
        field.word_right();
        assert_eq!(shown(&field), "run   tests|");
    }

    #[test]
    fn lines_keep_the_column_where_they_are_long_enough() {
        let mut field = with("first\nx\nthird");
        field.left();
        field.up();
        assert_eq!(shown(&field), "first\nx|\nthird");
        field.up();
        assert_eq!(shown(&field), "f|irst\nx\nthird");
        field.up();
        assert_eq!(shown(&field), "|first\nx\nthird");
        field.line_end();
        field.down();
        field.down();
        assert_eq!(shown(&field), "first\nx\nt|hird");
        field.down();
        assert_eq!(shown(&field), "first\nx\nthird|");
        field.line_start();
        field.erase();
        assert_eq!(shown(&field), "first\nx|third");
    }

    #[test]
    fn a_composed_character_is_one() {
        let mut field = with("ae\u{301}漢");
        field.left();
        field.left();
        assert_eq!(shown(&field), "a|e\u{301}漢");
        field.erase_next();
        assert_eq!(shown(&field), "a|漢");
        field.right();
        field.erase();
        field.erase();
        field.erase();
        assert_eq!(shown(&field), "|");
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let mut field = with("abc");
        assert!(!field.insert("defg", 6));
        assert_eq!(shown(&field), "abc|");
        assert!(field.insert("def", 6));
    }

    /// No order of edits leaves the cursor where the text cannot be cut.
    #[test]
    fn the_cursor_always_stands_between_characters() {
        let edits: [fn(&mut Field); 12] = [
            Field::erase,
            Field::erase_next,
            Field::erase_word,
            Field::left,
            Field::right,
            Field::word_left,
            Field::word_right,
            Field::line_start,
            Field::line_end,
            Field::up,
            Field::down,
            |field| {
                field.insert("é\u{300} 漢\n", MOST);
            },
        ];
        proptest::proptest!(|(text in "[a é\u{301}漢\n]{0,20}", steps in proptest::collection::vec(0usize..12, 0..60))| {
            let mut field = with(&text);
            for step in steps {
                edits[step](&mut field);
                proptest::prop_assert!(field.text().is_char_boundary(field.cursor), "{field:?}");
            }
        });
    }
}
