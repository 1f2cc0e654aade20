//! Walks over JSON text without building a tree.
//!
//! Rollout lines are large and little of them is needed, and a release of Codex may change the type of any
//! field. So a line is validated once by `serde_json` and then only looked into: a member of an unexpected type
//! is simply not there, the first of two equal keys counts, and nothing recurses. Text that was cut off (the
//! head of a huge line) gives what is whole and the beginning of the string it was cut in.

use std::{borrow::Cow, sync::LazyLock};

use memchr::memmem;

use crate::base::text;

/// How far the end of a string is looked for byte by byte.
const SHORT_STRING: usize = 24;

static UNICODE_ESCAPE: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\\u"));

/// One JSON value: the text from its first byte on. Where it ends is only looked for when it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// The value at the beginning of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Self(text.trim_start_matches([' ', '\t', '\r', '\n']))
    }

    /// Length of the value's text, in bytes.
    pub(super) fn len(self) -> usize {
        value_end(self.0.as_bytes(), 0)
    }

    /// The value as it stands in the text.
    pub(super) fn source(self) -> &'a str {
        self.0.get(..self.len()).unwrap_or(self.0)
    }

    pub(super) fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    pub(super) fn is_null(self) -> bool {
        self.0.starts_with('n')
    }

    /// The members of an object, in order; none when this is something else.
    pub(super) fn members(self) -> Members<'a> {
        Members(Values { text: self.0, at: if self.is_object() { 1 } else { self.0.len() }, is_inside: false })
    }

    /// The elements of an array, in order; none when this is something else.
    pub(super) fn elements(self) -> Elements<'a> {
        let at = if self.0.starts_with('[') { 1 } else { self.0.len() };
        Elements(Values { text: self.0, at, is_inside: false })
    }

    /// The values of `keys`, in one pass that ends when all are found. `null` counts as absent.
    pub(super) fn pick<const N: usize>(self, keys: [&str; N]) -> [Option<Json<'a>>; N] {
        let mut found: [Option<Json<'a>>; N] = [None; N];
        let mut missing = N;
        for (key, value) in self.members() {
            let Some(place) = keys.iter().position(|wanted| *wanted == key) else { continue };
            if found[place].is_none() {
                found[place] = Some(value);
                missing -= 1;
                if missing == 0 {
                    break;
                }
            }
        }
        found.map(|value| value.filter(|value| !value.is_null()))
    }

    /// The value of one member.
    pub(super) fn get(self, key: &str) -> Option<Json<'a>> {
        let [value] = self.pick([key]);
        value
    }

    /// The string as it stands between its quotes, still with escapes.
    fn raw_string(self) -> Option<&'a str> {
        let inner = self.0.strip_prefix('"')?;
        Some(&inner[..string_end(inner.as_bytes(), 0).0])
    }

    /// A short string (an id, a name): escapes undone, cleaned, one line, at most `max` characters.
    pub(super) fn word(self, max: usize) -> Option<String> {
        let raw = self.raw_string()?;
        // Ids and names are plain; they need no second look.
        if raw.len() <= max && raw.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'\\') {
            return Some(raw.to_owned());
        }
        Some(text::one_line(&self.excerpt(max)?))
    }

    /// The string with escapes undone and cleaned, at most `max` characters; a cut is shown by `…`.
    pub(super) fn excerpt(self, max: usize) -> Option<String> {
        let raw = self.raw_string()?;
        let (plain, cut) = unescape(raw, max);
        let mut clean = text::clean(&plain);
        if cut {
            while clean.chars().count() >= max {
                clean.pop();
            }
            clean.push('…');
        }
        Some(clean)
    }

    /// The plain string, when it holds no escape.
    pub(super) fn plain(self) -> Option<&'a str> {
        self.raw_string().filter(|raw| !raw.contains('\\'))
    }

    /// A whole number that is not negative.
    pub(super) fn unsigned(self) -> Option<u64> {
        self.scalar().parse().ok()
    }

    /// A whole number.
    pub(super) fn signed(self) -> Option<i64> {
        self.scalar().parse().ok()
    }

    /// A finite number.
    pub(super) fn float(self) -> Option<f64> {
        let text = self.scalar();
        let number: f64 = text.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then(|| text.parse().ok())??;
        number.is_finite().then_some(number)
    }

    fn scalar(self) -> &'a str {
        &self.0[..self.len()]
    }
}

/// Steps from value to value inside an object or array. A value is only passed over when the next one is wanted.
struct Values<'a> {
    text: &'a str,
    at: usize,
    /// `at` is the first byte of the value that was given last.
    is_inside: bool,
}

impl<'a> Values<'a> {
    /// Goes behind the value that was given last.
    fn leave(&mut self) {
        if self.is_inside {
            self.at = value_end(self.text.as_bytes(), self.at);
            self.is_inside = false;
        }
        self.at = skip_gap(self.text.as_bytes(), self.at);
    }

    /// The value at `at`; none at the end.
    fn enter(&mut self) -> Option<Json<'a>> {
        if matches!(self.text.as_bytes().get(self.at), None | Some(b'}' | b']')) {
            self.at = self.text.len();
            return None;
        }
        self.is_inside = true;
        Some(Json(&self.text[self.at..]))
    }
}

/// See [`Json::members`].
pub(super) struct Members<'a>(Values<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let values = &mut self.0;
        values.leave();
        let bytes = values.text.as_bytes();
        if bytes.get(values.at) != Some(&b'"') {
            values.at = bytes.len();
            return None;
        }
        let key_start = values.at + 1;
        let (key_end, after_key) = string_end(bytes, key_start);
        let raw_key = &values.text[key_start..key_end];
        values.at = skip_gap(bytes, after_key);
        let value = values.enter()?;
        let key = if raw_key.contains('\\') {
            Cow::Owned(unescape(raw_key, raw_key.len()).0)
        } else {
            Cow::Borrowed(raw_key)
        };
        Some((key, value))
    }
}

/// See [`Json::elements`].
pub(super) struct Elements<'a>(Values<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.leave();
        self.0.enter()
    }
}

/// The first byte at or after `at` that is neither white space nor a separator.
fn skip_gap(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b',' | b':')) {
        at += 1;
    }
    at
}

/// Where the string that begins at `at` (behind its quote) ends, and where what follows it begins.
fn string_end(bytes: &[u8], mut at: usize) -> (usize, usize) {
    // Most strings are keys and ids, for which starting a vector search costs more than it saves.
    let near = bytes.len().min(at + SHORT_STRING);
    while at < near && bytes[at] != b'\\' {
        if bytes[at] == b'"' {
            return (at, at + 1);
        }
        at += 1;
    }
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        if bytes[at + found] == b'"' {
            return (at + found, at + found + 1);
        }
        at += found + 2;
    }
    (bytes.len(), bytes.len())
}

/// Where the value that begins at `at` ends.
fn value_end(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => string_end(bytes, at + 1).1,
        Some(b'{' | b'[') => nested_end(bytes, at),
        Some(_) => {
            let rest = &bytes[at..];
            let length = rest.iter().position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'));
            // A stray separator must not hold the walk up.
            at + length.unwrap_or(rest.len()).max(1)
        }
        None => bytes.len(),
    }
}

fn nested_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = string_end(bytes, at).1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    bytes.len()
}

/// At most `max` characters of a string with its escapes undone, and whether more would follow. A lone
/// surrogate becomes U+FFFD.
fn unescape(raw: &str, max: usize) -> (String, bool) {
    let mut out = String::with_capacity(raw.len().min(max.saturating_mul(4)));
    let mut room = max;
    let mut rest = raw;
    while !rest.is_empty() {
        if room == 0 {
            return (out, true);
        }
        let plain_end = memchr::memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
        let plain = &rest[..plain_end];
        if plain.len() <= room {
            room -= plain.len().min(plain.chars().count());
            out.push_str(plain);
        } else {
            let cut = plain.char_indices().nth(room).map_or(plain.len(), |(index, _)| index);
            out.push_str(&plain[..cut]);
            if cut < plain.len() {
                return (out, true);
            }
            room -= plain.chars().count();
        }
        rest = &rest[plain_end..];
        if rest.is_empty() {
            break;
        }
        if room == 0 {
            return (out, true);
        }
        let (c, length) = escape(rest);
        out.push(c);
        room -= 1;
        rest = rest.get(length..).unwrap_or("");
    }
    (out, false)
}

/// The character that the escape at the beginning of `text` stands for, and the length of the escape.
fn escape(text: &str) -> (char, usize) {
    let plain = match text.as_bytes().get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'u') => return unicode_escape(text),
        _ => return (char::REPLACEMENT_CHARACTER, text.len()),
    };
    (plain, 2)
}

fn unicode_escape(text: &str) -> (char, usize) {
    let Some(first) = code_unit(text) else { return (char::REPLACEMENT_CHARACTER, text.len()) };
    if !(0xd800..0xe000).contains(&first) {
        return (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6);
    }
    let pair = (first < 0xdc00)
        .then(|| code_unit(&text[6..]))
        .flatten()
        .filter(|second| (0xdc00..0xe000).contains(second))
        .and_then(|second| char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
    pair.map_or((char::REPLACEMENT_CHARACTER, 6), |c| (c, 12))
}

/// The code unit of a `\uXXXX` at the beginning of `text`.
fn code_unit(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// True when the line holds a surrogate escape without its other half, so that its text cannot be given as is.
pub(super) fn has_lone_surrogate(line: &str) -> bool {
    if !UNICODE_ESCAPE.find_iter(line.as_bytes()).any(|at| matches!(line.as_bytes().get(at + 2), Some(b'd' | b'D'))) {
        return false;
    }
    let mut rest = line;
    while let Some(found) = memchr::memchr(b'\\', rest.as_bytes()) {
        rest = &rest[found..];
        let (c, length) = escape(rest);
        let written = rest.get(2..6).is_some_and(|hex| hex.eq_ignore_ascii_case("fffd"));
        if c == char::REPLACEMENT_CHARACTER && !written {
            return true;
        }
        rest = rest.get(length..).unwrap_or("");
    }
    false
}
