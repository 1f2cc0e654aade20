//! Which characters of a captured screen are dim: Codex shows a placeholder dim and typed text not.

/// Whether the characters of row `row` from column `from` on (both counted in characters from 0, escape sequences not
/// counted) are dim, as far as they are no blanks. False when there are none.
///
/// `raw` is a capture with escape sequences; attributes go on from row to row.
pub(super) fn is_dim(raw: &str, row: usize, from: usize) -> bool {
    let mut dim = false;
    let mut seen = false;
    for (index, line) in raw.split('\n').enumerate().take(row + 1) {
        let mut column = 0;
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            if let Some((parameters, after)) = select_graphic_rendition(rest) {
                dim = dim_after(parameters, dim);
                rest = after;
                continue;
            }
            if c == '\u{1b}' {
                rest = other_escape(rest);
                continue;
            }
            rest = &rest[c.len_utf8()..];
            if index == row && column >= from && c != ' ' {
                if !dim {
                    return false;
                }
                seen = true;
            }
            column += 1;
        }
    }
    seen
}

/// The parameters of `ESC [ … m` at the beginning of `text`, and what follows.
fn select_graphic_rendition(text: &str) -> Option<(&str, &str)> {
    let body = text.strip_prefix("\u{1b}[")?;
    let end = body.find(|c: char| !c.is_ascii_digit() && !matches!(c, ';' | ':'))?;
    body[end..].strip_prefix('m').map(|after| (&body[..end], after))
}

/// What follows another escape sequence: a string up to its end (links), else one character.
fn other_escape(text: &str) -> &str {
    let body = &text[1..];
    if body.starts_with(']') {
        let bell = body.find('\u{7}').map(|at| at + 1);
        let st = body.find("\u{1b}\\").map(|at| at + 2);
        return match (bell, st) {
            (Some(one), Some(other)) => &body[one.min(other)..],
            (Some(end), None) | (None, Some(end)) => &body[end..],
            (None, None) => "",
        };
    }
    let mut chars = body.chars();
    chars.next();
    chars.as_str()
}

fn dim_after(parameters: &str, mut dim: bool) -> bool {
    let mut words = parameters.split(';');
    while let Some(word) = words.next() {
        match word {
            "" | "0" | "22" => dim = false,
            "2" => dim = true,
            // A colour takes further words, which may be a 2 as well: `38;5;N` or `38;2;R;G;B`.
            "38" | "48" | "58" => match words.next() {
                Some("5") => drop(words.next()),
                Some("2") => drop(words.by_ref().take(3).count()),
                Some(_) | None => {}
            },
            _ => {}
        }
    }
    dim
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dim_is_told_from_plain_whatever_stands_around_it() {
        let cases = [
            ("› \u{1b}[2mAsk Codex\u{1b}[0m", true),
            ("› \u{1b}[2mAsk\u{1b}[0m \u{1b}[2mCodex\u{1b}[22m", true),
            ("\u{1b}[1m›\u{1b}[0m\u{1b}[2m Ask Codex", true),
            ("› Ask Codex", false),
            ("› \u{1b}[2mAsk\u{1b}[0m Codex", false),
            ("› \u{1b}[38;5;2mAsk Codex", false),
            ("› \u{1b}[38;2;2;2;2mAsk Codex", false),
            ("› \u{1b}[38:2:2:2:2mAsk Codex", false),
            ("› \u{1b}[2;38;5;7mAsk Codex", true),
            ("› \u{1b}[2;1;0mAsk Codex", false),
            ("› \u{1b}[2m\u{1b}[mAsk Codex", false),
            ("› \u{1b}]8;;x\u{1b}\\\u{1b}[2mAsk\u{1b}]8;;\u{7} Codex", true),
            ("› \u{1b}[2m", false),
            ("", false),
        ];
        for (row, expected) in cases {
            assert_eq!(is_dim(&format!("above\n{row}\nbelow"), 1, 2), expected, "{row:?}");
        }
        assert!(is_dim("\u{1b}[2mabove\n› Ask", 1, 2), "attributes go on in the next row");
        assert!(!is_dim("x", 7, 2));
    }

    #[test]
    fn no_text_breaks_it() {
        proptest::proptest!(|(text in ".{0,60}", row in 0..3_usize, from in 0..5_usize)| {
            is_dim(&text, row, from);
            is_dim(&format!("\u{1b}{text}\u{1b}[{text}\n\u{1b}]{text}"), row, from);
        });
    }
}
