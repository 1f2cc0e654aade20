//! Breaks text into screen rows by width.

use crate::base::text;

/// True when `text` needs at most `width` columns.
fn fits(text: &str, width: usize) -> bool {
    text::fit(text, width) == text
}

/// `text` in rows of at most `width` columns, broken at spaces where possible; rows after the first begin with
/// `indent`. Never empty.
pub(super) fn wrap(text: &str, width: usize, indent: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for line in text.split('\n') {
        let mut row = if rows.is_empty() { String::new() } else { indent.to_owned() };
        let mut blank = true;
        for word in line.split_inclusive(' ') {
            if !blank && !fits(&format!("{row}{}", word.trim_end()), width) {
                rows.push(std::mem::replace(&mut row, indent.to_owned()).trim_end().to_owned());
                blank = true;
            }
            for c in word.chars() {
                if !blank && !fits(&format!("{row}{c}"), width) && c != ' ' {
                    rows.push(std::mem::replace(&mut row, indent.to_owned()));
                }
                row.push(c);
                blank = false;
            }
        }
        rows.push(row.trim_end().to_owned());
    }
    rows
}

/// `left`, and `right` at the right end of the row with a margin of two columns.
pub(super) fn padded(left: &str, right: &str, columns: usize) -> String {
    let gap = columns.saturating_sub(2 + left.chars().count() + right.chars().count());
    if right.is_empty() { left.to_owned() } else { format!("{left}{}{right}", " ".repeat(gap)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_and_wide_characters_break_within_the_width() {
        assert_eq!(wrap("one two three", 8, "  "), ["one two", "  three"]);
        assert_eq!(wrap("abcdefghij", 4, " "), ["abcd", " efg", " hij"]);
        assert_eq!(wrap("漢字漢字", 4, ""), ["漢字", "漢字"]);
        assert_eq!(wrap("make it wrap around", 11, ""), ["make it", "wrap around"]);
        assert_eq!(wrap("a\n\nb", 4, ""), ["a", "", "b"]);
    }
}
