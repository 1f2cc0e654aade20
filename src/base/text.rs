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

/// `text` without escape sequences and unsafe characters. CR and CRLF become line feeds.
#[must_use]
pub fn clean(text: &str) -> String {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b) || b == b'\n' || b == b'\t') {
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

/// `text` with unsafe characters written out (`\u{1b}`), for output that must show what was given.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.contains(is_unsafe) { Cow::Owned(written_out(text, is_unsafe)) } else { Cow::Borrowed(text) }
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
