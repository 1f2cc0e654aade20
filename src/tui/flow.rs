//! Styled text in columns: pieces of several styles, broken into lines at spaces.

use ratatui::{
    style::Style,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthChar as _;

/// Text of one style.
pub type Piece = (Style, String);

/// What stands before the lines of a block: before the first, and before those that follow.
#[derive(Debug, Clone, Default)]
pub struct Lead {
    /// Before the first line.
    pub first: Vec<Piece>,
    /// Before the others.
    pub rest: Vec<Piece>,
}

/// How lines are broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// At spaces, where there are any.
    Words,
    /// At the last column: every blank stays.
    Columns,
}

/// `pieces` in lines of at most `width` columns, the lead included. Line feeds stay, tabs become spaces.
#[must_use]
pub fn flow(pieces: &[Piece], width: usize, lead: &Lead, how: Break) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if width == 0 {
        return lines;
    }
    let mut paragraph: Vec<(char, Style)> = Vec::new();
    for (style, text) in pieces {
        for c in text.chars() {
            match c {
                '\n' => {
                    set(&paragraph, width, lead, how, &mut lines);
                    paragraph.clear();
                }
                '\t' => paragraph.extend([(' ', *style); 4]),
                c => paragraph.push((c, *style)),
            }
        }
    }
    set(&paragraph, width, lead, how, &mut lines);
    lines
}

fn set(paragraph: &[(char, Style)], width: usize, lead: &Lead, how: Break, lines: &mut Vec<Line<'static>>) {
    let mut at = 0;
    loop {
        let lead = if lines.is_empty() { &lead.first } else { &lead.rest };
        let used: usize = lead.iter().map(|(_, text)| columns_of(text)).sum();
        // A lead that leaves no room is given up.
        let (lead, room) = if used < width { (lead.as_slice(), width - used) } else { (&[][..], width) };
        let (end, next) = line_end(paragraph, at, room, how);
        lines.push(line(lead, &paragraph[at..end]));
        at = next;
        if at >= paragraph.len() {
            return;
        }
    }
}

/// Where the line that begins at `at` ends, and where the next one begins.
fn line_end(paragraph: &[(char, Style)], at: usize, room: usize, how: Break) -> (usize, usize) {
    let mut used = 0;
    let mut space = None;
    let mut index = at;
    while index < paragraph.len() {
        let c = paragraph[index].0;
        let columns = c.width().unwrap_or(0);
        if used + columns > room {
            let broken = match (how, space) {
                (Break::Words, _) if c == ' ' => index,
                (Break::Words, Some(space)) => space,
                // A character wider than the line is passed over: it would never find its place.
                _ if index == at => return (at, at + 1),
                _ => return (index, index),
            };
            let next = paragraph[broken..].iter().position(|(c, _)| *c != ' ').map_or(paragraph.len(), |n| broken + n);
            return (broken, next);
        }
        if c == ' ' && index > at && paragraph[index - 1].0 != ' ' {
            space = Some(index);
        }
        used += columns;
        index += 1;
    }
    (paragraph.len(), paragraph.len())
}

fn line(lead: &[Piece], text: &[(char, Style)]) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = lead.iter().map(|(style, text)| Span::styled(text.clone(), *style)).collect();
    let mut run = String::new();
    let mut style = None;
    for (c, of) in text {
        if style.is_some_and(|style| style != *of) {
            spans.push(Span::styled(std::mem::take(&mut run), style.unwrap_or_default()));
        }
        style = Some(*of);
        run.push(*c);
    }
    if !run.is_empty() {
        spans.push(Span::styled(run, style.unwrap_or_default()));
    }
    Line::from(spans)
}

fn columns_of(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use ratatui::style::Modifier;

    use super::*;

    fn told(lines: &[Line<'_>]) -> Vec<String> {
        lines.iter().map(|line| line.spans.iter().map(|span| span.content.as_ref()).collect()).collect()
    }

    fn plain(text: &str, width: usize, how: Break) -> Vec<String> {
        told(&flow(&[(Style::new(), text.to_owned())], width, &Lead::default(), how))
    }

    #[test]
    fn lines_break_at_spaces_and_code_at_columns() {
        assert_eq!(plain("the quick brown fox", 9, Break::Words), ["the quick", "brown fox"]);
        assert_eq!(plain("abcdefgh ij", 3, Break::Words), ["abc", "def", "gh", "ij"]);
        assert_eq!(plain("a\n\n\tb", 10, Break::Words), ["a", "", "    b"]);
        assert_eq!(plain("  if a  {", 4, Break::Columns), ["  if", " a  ", "{"]);
        assert_eq!(plain("漢字漢字", 5, Break::Words), ["漢字", "漢字"]);
        assert_eq!(plain("漢x", 1, Break::Words), ["", "x"]);
        assert!(plain("text", 0, Break::Words).is_empty());
    }

    #[test]
    fn a_word_of_two_styles_is_one_word() {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let pieces = [(Style::new(), "see ".to_owned()), (bold, "bo".to_owned()), (Style::new(), "ld, ok".to_owned())];
        let lines = flow(&pieces, 7, &Lead::default(), Break::Words);
        assert_eq!(told(&lines), ["see", "bold,", "ok"]);
        assert_eq!(lines[1].spans[0], Span::styled("bo", bold));
    }

    #[test]
    fn leads_hang() {
        let lead = Lead { first: vec![(Style::new(), "- ".into())], rest: vec![(Style::new(), "  ".into())] };
        let lines = flow(&[(Style::new(), "one two three".into())], 8, &lead, Break::Words);
        assert_eq!(told(&lines), ["- one", "  two", "  three"]);
        assert_eq!(told(&flow(&[(Style::new(), "one".into())], 2, &lead, Break::Words)), ["on", "e"]);
    }

    #[test]
    fn no_line_is_too_wide_and_no_letter_is_lost() {
        proptest::proptest!(|(text in "[a-z漢 \n]{0,80}", width in 2usize..12)| {
            for how in [Break::Words, Break::Columns] {
                let lines = plain(&text, width, how);
                for line in &lines {
                    proptest::prop_assert!(columns_of(line) <= width);
                }
                let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
                proptest::prop_assert_eq!(letters(&lines.concat()), letters(&text));
            }
        });
    }
}
