//! The line book of a dialect: which lines Codex writes when something happens, as text with gaps.
//!
//! A book is a text file: `= name` begins a section, every further line is one rollout line in the key order of the
//! real recordings (`serde_json` sorts keys, so the lines cannot be built from values). Gaps are `"@name"` for a
//! whole JSON value and `@{name}` inside a string. A line may begin with a condition, `?name `. This file reads
//! books and fills gaps; it writes nothing.

use std::collections::BTreeMap;

use serde_json::Value;

/// When a line of a section is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Always,
    /// No tokens were used yet.
    None,
    /// Tokens were used.
    Some,
    /// The reply under way was not counted yet.
    New,
    /// The turn had an answer.
    Reply,
    /// The turn had no answer.
    Silent,
    /// A usage limit was the cause.
    Limit,
}

impl Condition {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::None,
            "some" => Self::Some,
            "new" => Self::New,
            "reply" => Self::Reply,
            "silent" => Self::Silent,
            "limit" => Self::Limit,
            _ => return None,
        })
    }
}

/// The lines of one dialect, by section.
#[derive(Debug)]
pub(super) struct LineBook(BTreeMap<&'static str, Vec<(Condition, &'static str)>>);

impl LineBook {
    /// Reads the text of a book. Our own files are all there is to read; a test holds them to the syntax.
    pub(super) fn parse(text: &'static str) -> Self {
        let mut book: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        let mut section = "";
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix("= ") {
                section = name;
                continue;
            }
            let parsed = line
                .strip_prefix('?')
                .and_then(|rest| rest.split_once(' '))
                .and_then(|(word, json)| Condition::parse(word).map(|condition| (condition, json)));
            book.entry(section).or_default().push(parsed.unwrap_or((Condition::Always, line)));
        }
        Self(book)
    }

    /// The lines of a section; none when this dialect writes nothing for it.
    pub(super) fn section(&self, name: &str) -> Vec<(Condition, &'static str)> {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// Whether this dialect writes anything for `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// What fills the gaps of a line.
pub(super) type Gaps = BTreeMap<&'static str, Value>;

/// A line whose gap has no value: a fault in a book or in the writer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no value for `{gap}` in a rollout line")]
pub(super) struct MissingGap {
    gap: String,
}

/// `template` with its gaps filled; values are never searched for gaps.
pub(super) fn fill(template: &str, value_of: &dyn Fn(&str) -> Option<Value>) -> Result<String, MissingGap> {
    let get = |gap: &str| value_of(gap).ok_or_else(|| MissingGap { gap: gap.to_owned() });
    let mut out = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some(at) = rest.find('@') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let name_len = |text: &str| text.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(text.len());
        if let Some(inner) = after.strip_prefix('{') {
            let name = &inner[..name_len(inner)];
            if inner[name.len()..].starts_with('}') {
                out.push_str(before);
                match get(name)? {
                    Value::String(text) => out.push_str(quoted(&text).trim_matches_once()),
                    other => out.push_str(&other.to_string()),
                }
                rest = &inner[name.len() + 1..];
                continue;
            }
        } else if let Some(unquoted) = before.strip_suffix('"') {
            let name = &after[..name_len(after)];
            if !name.is_empty() && after[name.len()..].starts_with('"') {
                out.push_str(unquoted);
                out.push_str(&get(name)?.to_string());
                rest = &after[name.len() + 1..];
                continue;
            }
        }
        out.push_str(&rest[..=at]);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// `text` as a JSON string with its quotes.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

trait TrimOnce {
    fn trim_matches_once(&self) -> &str;
}

impl TrimOnce for String {
    /// The inside of a quoted JSON string.
    fn trim_matches_once(&self) -> &str {
        &self[1..self.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Dialect;

    #[test]
    fn gaps_are_filled_and_values_are_left_alone() {
        let gaps = |name: &str| match name {
            "text" => Some(Value::from("say \"@{text}\"\n")),
            "n" => Some(Value::from(3)),
            _ => None,
        };
        assert_eq!(
            fill(r#"{"a":"@text","b":"x @{text} @{n}","c":"@n","d":"a@b","e":"@"}"#, &gaps).unwrap(),
            r#"{"a":"say \"@{text}\"\n","b":"x say \"@{text}\"\n 3","c":3,"d":"a@b","e":"@"}"#
        );
        assert_eq!(fill(r#""@other""#, &gaps), Err(MissingGap { gap: "other".into() }));
    }

    #[test]
    fn every_book_is_made_of_json_lines() {
        for version in ["0.25", "0.47", "0.98", "0.107", "0.125", "0.144", "0.150", "0.169"] {
            let book = LineBook::parse(version.parse::<Dialect>().unwrap().line_book());
            assert!(["open", "user_message", "message", "command_finished"].iter().all(|name| book.has(name)));
            for (_, line) in book.0.values().flatten() {
                serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{version}: {error}: {line}"));
            }
        }
    }
}
