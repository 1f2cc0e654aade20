//! The small JSON object that the ledger keeps of a line.
//!
//! Keys are written in their sorted order, strings come in cleaned and bounded, so the text equals what
//! [`crate::base::json::compact`] would give. The line itself stays in the rollout and is read on demand.

use crate::base::text;

/// Longest text of one field, in characters.
pub(super) const FIELD_CHARS: usize = 1_000;
/// Longest brief, in characters.
pub(super) const BRIEF_CHARS: usize = 200;
/// Longest list of one field.
pub(super) const LIST_ITEMS: usize = 16;

/// A compact JSON object in the making.
pub(super) struct Summary {
    out: Vec<u8>,
    last: &'static str,
}

impl Summary {
    pub(super) fn new() -> Self {
        Self { out: vec![b'{'], last: "" }
    }

    /// A text of at most [`FIELD_CHARS`] characters; nothing when there is none.
    pub(super) fn text(self, key: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) if value.len() > FIELD_CHARS => self.json(key, &text::bounded(value, FIELD_CHARS)),
            Some(value) => self.json(key, value),
            None => self,
        }
    }

    pub(super) fn unsigned(self, key: &'static str, value: Option<u64>) -> Self {
        match value {
            Some(value) => self.json(key, &value),
            None => self,
        }
    }

    pub(super) fn signed(self, key: &'static str, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.json(key, &value),
            None => self,
        }
    }

    pub(super) fn float(self, key: &'static str, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.json(key, &value),
            None => self,
        }
    }

    pub(super) fn size(self, key: &'static str, value: usize) -> Self {
        self.json(key, &value)
    }

    pub(super) fn list(self, key: &'static str, values: &[String]) -> Self {
        if values.is_empty() { self } else { self.json(key, &values[..values.len().min(LIST_ITEMS)]) }
    }

    /// The object's text.
    pub(super) fn finish(mut self) -> String {
        self.out.push(b'}');
        String::from_utf8(self.out).expect("serde_json writes UTF-8")
    }

    fn json<T: serde::Serialize + ?Sized>(mut self, key: &'static str, value: &T) -> Self {
        debug_assert!(self.last < key, "`{key}` comes after `{}` but sorts before it", self.last);
        if !self.last.is_empty() {
            self.out.push(b',');
        }
        self.last = key;
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        serde_json::to_writer(&mut self.out, value).expect("strings and numbers are valid JSON, and a Vec takes them");
        self
    }
}

/// `text` as a list shows it: one line of at most [`BRIEF_CHARS`] characters.
pub(super) fn brief(text: &str) -> String {
    let text = text.trim_start();
    // A line is short; there is no need to walk through a whole message for it.
    let mut end = text.len().min(BRIEF_CHARS * 8);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text::bounded(&text::one_line(&text[..end]), BRIEF_CHARS)
}
