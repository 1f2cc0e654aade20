//! Text that came from somewhere else: cleaned once, cut to a bound, never trusted.
//!
//! Workers, rollouts and panes can hold escape sequences and invisible characters. They are removed when the
//! text enters the ledger, so that screens, logs and plain output need no filter of their own.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

/// True for characters that never reach a screen: C0 (but line feed and tab), DEL, C1, bidi controls, invisible
/// and tag characters, separators that break lines.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character of `text` is [unsafe](is_unsafe).
#[must_use]
pub fn has_unsafe(text: &str) -> bool {
    !is_plain(text) && text.contains(is_unsafe)
}

/// Whether there are only printable ASCII characters, line feeds and tabs: true for most texts, and quickly told.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte) || matches!(byte, b'\n' | b'\t'))
}

/// `text` without escape sequences and unsafe characters. CR and CRLF become line feeds.
#[must_use]
pub fn clean(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            c if is_unsafe(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Skips what follows ESC: a CSI, a string sequence (OSC, DCS, SOS, PM, APC) up to its end, or one character.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_csi(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            // An unterminated string must not swallow the rest of a message: it ends at a line feed.
            while let Some(&c) = chars.peek() {
                if c == '\n' {
                    return;
                }
                chars.next();
                if c == '\u{7}' || c == '\u{9c}' {
                    return;
                }
                if c == '\u{1b}' {
                    if chars.peek() == Some(&'\\') {
                        chars.next();
                    }
                    return;
                }
            }
        }
        Some(c) if !c.is_control() => {
            // Intermediate bytes (charset selection and the like) precede the final one.
            while chars.peek().is_some_and(|c| ('\u{20}'..='\u{2f}').contains(c)) {
                chars.next();
            }
            chars.next_if(|c| !c.is_control());
        }
        _ => {}
    }
}

fn skip_csi(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(&c) = chars.peek() {
        match c {
            '\u{20}'..='\u{3f}' => {
                chars.next();
            }
            '\u{40}'..='\u{7e}' => {
                chars.next();
                return;
            }
            _ => return,
        }
    }
}

/// A text that can be typed into a terminal, with what had to be left out for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typable {
    /// The text: line feeds, and characters that show.
    pub text: String,
    /// What it lacks.
    pub left_out: LeftOut,
}

/// How many characters [`typable`] left out, by their kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Bytes that are no UTF-8.
    pub undecodable: usize,
    /// C0 but line ends and tabs, DEL and C1. The rest of an escape sequence goes with its first character.
    pub controls: usize,
    /// Characters that turn the writing direction.
    pub bidi: usize,
    /// Characters that do not show, tags included.
    pub invisible: usize,
}

impl LeftOut {
    /// True when nothing was left out.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds = [
            (self.undecodable, "undecodable byte"),
            (self.controls, "control character"),
            (self.bidi, "direction character"),
            (self.invisible, "invisible character"),
        ];
        let mut said = kinds.into_iter().filter(|(count, _)| *count > 0);
        let mut write = |(count, kind): (usize, &str), comma: &str| write!(f, "{comma}{}", counted(count, kind));
        match said.next() {
            None => return f.write_str("nothing"),
            Some(first) => write(first, "")?,
        }
        said.try_for_each(|next| write(next, ", "))
    }
}

/// Columns of a tab in typed text: a composer would take a tab for a key.
const TAB: &str = "    ";

/// True for characters that may be shown but never typed: they would hide something in a message.
///
/// Zero width joiners and the two selectors that emoji need are no such characters.
fn hides(c: char) -> bool {
    let nonchar = u32::from(c) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c);
    nonchar
        || matches!(c,
            '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0d}' | '\u{ffa0}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
}

/// `bytes` as text that can be typed into a terminal: valid UTF-8 without escape sequences, control, direction and
/// invisible characters. Line ends become line feeds and tabs become spaces, which does not count as left out.
///
/// Typing the result again changes nothing and leaves nothing out.
#[must_use]
pub fn typable(bytes: &[u8]) -> Typable {
    let mut decoded = String::with_capacity(bytes.len());
    let mut left_out = LeftOut::default();
    for chunk in bytes.utf8_chunks() {
        decoded.push_str(chunk.valid());
        left_out.undecodable += chunk.invalid().len();
    }
    for c in decoded.chars() {
        match c {
            '\n' | '\r' | '\t' => {}
            c if c.is_control() => left_out.controls += 1,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                left_out.bidi += 1;
            }
            c if is_unsafe(c) || hides(c) => left_out.invisible += 1,
            _ => {}
        }
    }
    let text = clean(&decoded).replace('\t', TAB);
    Typable { text: if text.contains(hides) { text.replace(hides, "") } else { text }, left_out }
}

/// `text` with unsafe characters written out (`\u{1b}`), for output that must show what was given.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if has_unsafe(text) { Cow::Owned(written_out(text, is_unsafe)) } else { Cow::Borrowed(text) }
}

/// As [`visible`], on one line: line feeds and tabs are written out too (`\n`).
#[must_use]
pub fn visible_line(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| is_unsafe(c) || matches!(c, '\n' | '\t');
    if text.contains(hidden) { Cow::Owned(written_out(text, hidden)) } else { Cow::Borrowed(text) }
}

fn written_out(text: &str, hidden: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' | '\t' if hidden(c) => out.extend(c.escape_default()),
            c if hidden(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// At most `max` characters of `text`; a cut is shown by `…`, which counts.
#[must_use]
pub fn bounded(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut indices = text.char_indices();
    match indices.nth(max) {
        None => text.to_owned(),
        Some(_) => {
            let mut out: String = text.chars().take(max.saturating_sub(1)).collect();
            out.push('…');
            out
        }
    }
}

/// `text` on one line: white space runs become one space.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `text` cut to `width` terminal columns; a cut is shown by `…`, which counts.
#[must_use]
pub fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut used, mut before, mut end) = (0, 0, 0);
    for (at, c) in text.char_indices() {
        let after = at + c.len_utf8();
        // A variation selector widens the character in front of it, so both are measured together.
        used += text[before..after].width().saturating_sub(text[before..at].width());
        if used + 1 > width {
            break;
        }
        (before, end) = (at, after);
    }
    let mut out = text[..end].to_owned();
    if width > 0 {
        out.push('…');
    }
    out
}

/// So many things of a kind: `1 message`, `2 messages`.
#[must_use]
pub fn counted(count: usize, kind: &str) -> String {
    format!("{count} {kind}{}", if count == 1 { "" } else { "s" })
}

/// A duration in seconds as people say it: `42s`, `7m`, `3h05`, `2d`.
#[must_use]
pub fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m", s / 60),
        s @ 3600..86400 => format!("{}h{:02}", s / 3600, s % 3600 / 60),
        s => format!("{}d", s / 86400),
    }
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy as _;

    use super::*;

    #[test]
    fn escape_sequences_leave_nothing_behind() {
        let cases = [
            ("plain", "plain"),
            ("a\u{1b}[31mred\u{1b}[0m", "ared"),
            ("t\u{1b}]0;title\u{7}x", "tx"),
            ("t\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "tlink"),
            ("c\u{9b}2Jx", "cx"),
            ("open\u{1b}]52;c;evil\nnext", "open\nnext"),
            ("cs\u{1b}(Bx", "csx"),
            ("a\r\nb\rc", "a\nb\nc"),
            ("bidi\u{202e}x\u{2066}y", "bidixy"),
            ("tag\u{e0041}z\u{200b}", "tagz"),
            ("end\u{1b}", "end"),
            ("é漢🙂\tü", "é漢🙂\tü"),
        ];
        for (dirty, expected) in cases {
            assert_eq!(clean(dirty), expected, "{dirty:?}");
        }
    }

    #[test]
    fn cleaning_twice_changes_nothing() {
        proptest::proptest!(|(text in ".*")| {
            let once = clean(&text);
            proptest::prop_assert_eq!(&clean(&once), &once);
            proptest::prop_assert!(!once.chars().any(is_unsafe));
            proptest::prop_assert_eq!(has_unsafe(&text), text.chars().any(is_unsafe));
        });
    }

    #[test]
    fn what_is_typed_shows_and_the_rest_is_counted() {
        let kinds = |undecodable, controls, bidi, invisible| LeftOut { undecodable, controls, bidi, invisible };
        let cases: [(&[u8], &str, LeftOut); 12] = [
            (b"plain\ttext\r\nand\rmore\n", "plain    text\nand\nmore\n", LeftOut::default()),
            ("é漢👩\u{200d}💻❤\u{fe0f} \"q\" 'x'".as_bytes(), "é漢👩\u{200d}💻❤\u{fe0f} \"q\" 'x'", LeftOut::default()),
            (b"a\x1b[201~b", "ab", kinds(0, 1, 0, 0)),
            ("a\u{9b}201~b".as_bytes(), "ab", kinds(0, 1, 0, 0)),
            (b"a\x9b201~b", "a201~b", kinds(1, 0, 0, 0)),
            (b"a\x1b\x1b[20\x1b[201~1~b", "a1~b", kinds(0, 3, 0, 0)),
            (b"\x00a\x03b\x08c\x7f", "abc", kinds(0, 4, 0, 0)),
            ("a\u{85}\u{2028}b".as_bytes(), "ab", kinds(0, 1, 0, 1)),
            ("a\u{202e}b\u{2066}c".as_bytes(), "abc", kinds(0, 0, 2, 0)),
            ("a\u{e0041}\u{200b}\u{feff}\u{3164}\u{fe00}\u{ffff}".as_bytes(), "a", kinds(0, 0, 0, 6)),
            (b"a\xffb\xc3", "ab", kinds(2, 0, 0, 0)),
            (b"", "", LeftOut::default()),
        ];
        for (bytes, text, left_out) in cases {
            assert_eq!(typable(bytes), Typable { text: text.into(), left_out }, "{bytes:?}");
        }
        assert_eq!(kinds(1, 2, 0, 1).to_string(), "1 undecodable byte, 2 control characters, 1 invisible character");
        assert_eq!(LeftOut::default().to_string(), "nothing");
    }

    #[test]
    fn typing_twice_changes_nothing_and_lets_nothing_through() {
        let piece = proptest::prop_oneof![
            proptest::collection::vec(proptest::num::u8::ANY, 0..8),
            proptest::sample::select(vec![
                "\u{1b}[201~",
                "\u{9b}",
                "\u{1b}]0;",
                "\u{7}",
                "\t",
                "\r\n",
                "\u{e0061}",
                "x y"
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            ".{0,6}".prop_map(String::into_bytes),
        ];
        proptest::proptest!(proptest::test_runner::Config::with_cases(2_000), |(
            pieces in proptest::collection::vec(piece, 0..8)
        )| {
            let once = typable(&pieces.concat());
            let again = typable(once.text.as_bytes());
            proptest::prop_assert!(again.left_out.is_nothing(), "{:?}", again);
            proptest::prop_assert_eq!(&again.text, &once.text);
            proptest::prop_assert!(!once.text.chars().any(|c| (c != '\n' && c.is_control()) || is_unsafe(c) || hides(c)));
            proptest::prop_assert_eq!(&clean(&once.text), &once.text, "what the ledger keeps is what was typed");
        });
    }

    #[test]
    fn what_must_be_seen_is_written_out() {
        assert_eq!(visible("a\u{1b}[31m\u{9b}\u{202e}\nb\tü"), "a\\u{1b}[31m\\u{9b}\\u{202e}\nb\tü");
        assert_eq!(visible_line("a\nb\tc\rd"), "a\\nb\\tc\\u{d}d");
        assert!(matches!(visible("plain ü\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn cuts_count_characters_and_columns() {
        assert_eq!(bounded("äöüß", 4), "äöüß");
        assert_eq!(bounded("äöüßx", 4), "äöü…");
        assert_eq!(fit("漢字漢字", 5), "漢字…");
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abcd", 3), "ab…");
        // The selector makes the sun two columns wide.
        assert_eq!(fit("☀\u{fe0f}☀\u{fe0f}☀\u{fe0f}", 3), "☀\u{fe0f}…");
    }

    #[test]
    fn what_was_fitted_fits() {
        proptest::proptest!(|(text in "([a漢☀👩\u{301}\u{200d}\u{fe0f}\t]|.){0,20}", width in 0usize..12)| {
            let fitted = fit(&text, width);
            proptest::prop_assert!(fitted.width() <= width, "{fitted:?}");
        });
    }

    #[test]
    fn ages_are_short() {
        assert_eq!([age(0), age(61), age(3900), age(200_000)], ["0s", "1m", "1h05", "2d"]);
    }
}
