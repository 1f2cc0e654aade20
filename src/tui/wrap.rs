//! Text in columns: wrapping, cutting, padding. Works on display width, never on bytes.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::tui::theme::Glyphs;

/// `text` in lines of at most `width` columns, broken at spaces where there are any. Line feeds stay, tabs become
/// spaces. At most `limit` lines; the rest is not looked at.
#[must_use]
pub fn wrap(text: &str, width: usize, limit: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if width == 0 {
        return lines;
    }
    for paragraph in text.lines() {
        let paragraph = paragraph.replace('\t', "    ");
        let mut line = String::new();
        let mut used = 0;
        for word in paragraph.split_inclusive(' ') {
            let bare = word.trim_end_matches(' ').width();
            if used > 0 && used + bare > width {
                lines.push(line.trim_end().to_owned());
                line.clear();
                used = 0;
            }
            for c in word.chars() {
                let columns = c.width().unwrap_or(0);
                if used + columns > width {
                    if c == ' ' {
                        continue;
                    }
                    if used > 0 {
                        lines.push(std::mem::take(&mut line));
                    }
                    used = 0;
                }
                // A character wider than the whole line would never find its place.
                if columns <= width {
                    line.push(c);
                    used += columns;
                }
            }
            if lines.len() >= limit {
                lines.truncate(limit);
                return lines;
            }
        }
        lines.push(line.trim_end().to_owned());
        if lines.len() >= limit {
            lines.truncate(limit);
            return lines;
        }
    }
    lines
}

/// `text` cut to `width` columns, with the sign of the glyph set where something is missing.
#[must_use]
pub fn cut(text: &str, width: usize, glyphs: Glyphs) -> String {
    let fitted = crate::base::text::fit(text, width);
    if glyphs.is_ascii() && fitted.ends_with('…') && fitted != text {
        let mut fitted = fitted;
        fitted.pop();
        return fitted + glyphs.cut();
    }
    fitted
}

/// `text` in exactly `width` columns.
#[must_use]
pub fn pad(text: &str, width: usize, glyphs: Glyphs) -> String {
    let mut text = cut(text, width, glyphs);
    let missing = width.saturating_sub(text.width());
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

/// Columns of the word with which a line of facts begins, and of the spaces behind it.
const LABEL: usize = 11;

/// The same for a line that stands in: what goes on below stands as far in as its beginning. Behind a word that names
/// the fact it stands below the fact.
#[must_use]
pub fn indented(text: &str, width: usize, most: usize) -> Vec<String> {
    if let Some((label, fact)) = labelled(text).filter(|_| width > 3 * LABEL) {
        let lines = wrap(fact, width - LABEL, most);
        let mut label = label.to_owned();
        let before = |line: String| std::mem::replace(&mut label, " ".repeat(LABEL)) + &line;
        return lines.into_iter().map(before).collect();
    }
    let inner = text.trim_start_matches(' ');
    let indent = (text.len() - inner.len()).min(width / 3);
    let lines = wrap(inner, width - indent, most);
    lines.into_iter().map(|line| " ".repeat(indent) + &line).collect()
}

/// A line of facts in its word and the fact: at least two spaces stand between them, and the fact in its column.
fn labelled(text: &str) -> Option<(&str, &str)> {
    let (label, fact) = text.split_at_checked(LABEL)?;
    let is_label = !label.starts_with(' ') && label.ends_with("  ") && !fact.is_empty() && !fact.starts_with(' ');
    is_label.then_some((label, fact))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_keep_line_feeds() {
        assert_eq!(wrap("the quick brown fox", 9, 9), ["the quick", "brown fox"]);
        assert_eq!(wrap("a\n\n\tb", 10, 9), ["a", "", "    b"]);
        assert_eq!(wrap("abcdefgh ij", 3, 9), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("漢字漢字", 5, 9), ["漢字", "漢字"]);
        assert_eq!(wrap("a b c d", 1, 2), ["a", "b"]);
        assert_eq!(wrap("漢", 1, 9), [""]);
        assert!(wrap("text", 0, 9).is_empty());
    }

    #[test]
    fn no_line_is_too_wide() {
        proptest::proptest!(|(text in ".{0,80}", width in 1usize..12)| {
            for line in wrap(&text, width, 100) {
                proptest::prop_assert!(line.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>() <= width);
            }
        });
    }

    #[test]
    fn padding_is_exact() {
        let glyphs = Glyphs::new(false);
        assert_eq!(pad("漢字", 3, glyphs), "漢…");
        assert_eq!(pad("ab", 4, glyphs), "ab  ");
        assert_eq!(cut("abcdef", 4, Glyphs::new(true)), "abc~");
    }

    #[test]
    fn a_fact_goes_on_below_itself() {
        let lines = indented("waits      its queue is out of reach for now", 40, 9);
        assert_eq!(lines, ["waits      its queue is out of reach for", "           now"]);
        assert_eq!(indented("X takes it back", 12, 9), ["X takes it", "back"]);
        assert_eq!(indented("waits      for its turn", 20, 9), ["waits      for its", "turn"], "too narrow for it");
        assert_eq!(indented("    said in full", 12, 9), ["    said in", "    full"]);
    }
}
