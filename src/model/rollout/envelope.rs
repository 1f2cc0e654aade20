//! From the bytes of a line to a [`Record`], and what to do with bytes that are no record.
//!
//! A line is validated as JSON once; after that only the members that are needed are looked at, so a line of
//! megabytes costs one pass. Damage never stops anything: it is a typed [`BadLine`] or a flag on the record.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{dialect, names, scan};
use super::{fact::Fact, scan::Json};
use crate::base::Timestamp;

/// Longest type name or id that is kept, in characters.
pub(super) const WORD_CHARS: usize = 128;
/// How many later beginnings of a torn line are tried.
const TORN_TRIES: usize = 64;

/// One line of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The line's number in the thread, in the dialects that count.
    pub ordinal: Option<u64>,
    /// When it was written, as it says; none in the flat dialect.
    pub timestamp: Option<Timestamp>,
    /// Line type: `event_msg`, `response_item`, `session_meta`, ...; in the flat dialect the item's own type,
    /// `header` for the first line and `record` for bookkeeping.
    pub kind: Cow<'static, str>,
    /// `payload.type`.
    pub subtype: Option<Cow<'static, str>>,
    /// `item.type` of an `item_completed`.
    pub item: Option<Cow<'static, str>>,
    /// The turn it belongs to, when it says so.
    pub turn_id: Option<String>,
    /// What it says.
    pub fact: Fact,
    /// What a list shows: one line, at most 200 characters.
    pub brief: String,
    /// What the ledger keeps: a compact JSON object with sorted keys, at most a few KB.
    pub payload: String,
    /// Something of the line could not be given as it stands (invalid UTF-8, a control byte, half a surrogate).
    pub lossy: bool,
    /// Only the beginning of the line was looked at.
    pub huge: bool,
}

impl Record {
    /// The type as one word: `event_msg:item_completed/AgentMessage`, `session_meta`.
    #[must_use]
    pub fn label(&self) -> String {
        let mut label = self.kind.to_string();
        if let Some(subtype) = &self.subtype {
            label.push(':');
            label.push_str(subtype);
        }
        if let Some(item) = &self.item {
            label.push('/');
            label.push_str(item);
        }
        label
    }

    /// The most telling part of the type: `AgentMessage`, `task_complete`, `session_meta`.
    #[must_use]
    pub fn short_label(&self) -> &str {
        self.item.as_deref().or(self.subtype.as_deref()).unwrap_or(&self.kind)
    }
}

/// Why a line is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// Nothing but white space.
    #[error("empty line")]
    Empty,
    /// Not JSON.
    #[error("not JSON: {0}")]
    Syntax(String),
    /// JSON, but not an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// An object that says no type in any dialect.
    #[error("a JSON object without a type")]
    Untyped,
}

/// Reads one line (without its line feed).
///
/// Invalid UTF-8 and raw control bytes are replaced and flagged as `lossy`; a byte order mark and a final CR
/// are ignored; types nobody knows are [`Fact::Other`].
///
/// # Errors
/// When the line is empty, no JSON, no object, or an object of no known dialect.
pub fn parse(line: &[u8]) -> Result<Record, BadLine> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let (text, mut lossy) = match std::str::from_utf8(line) {
        Ok(text) => (Cow::Borrowed(text), false),
        Err(_) => (String::from_utf8_lossy(line), true),
    };
    if text.trim_ascii().is_empty() {
        return Err(BadLine::Empty);
    }
    let repaired;
    let json = match serde_json::from_str::<&RawValue>(&text) {
        Ok(raw) => raw.get(),
        Err(error) => {
            repaired = without_controls(text).ok_or_else(|| syntax(&error))?;
            lossy = true;
            serde_json::from_str::<&RawValue>(&repaired).map_err(|error| syntax(&error))?.get()
        }
    };
    let mut record = record(Json::new(json))?;
    record.lossy = lossy || scan::has_lone_surrogate(json);
    Ok(record)
}

/// Reads what the first bytes of a line that is too long to hold tell; the line is not checked to be JSON.
///
/// Members behind the cut are missing. The types stand in front in every dialect.
///
/// # Errors
/// As [`parse`].
pub fn parse_huge(head: &[u8]) -> Result<Record, BadLine> {
    let (text, lossy) = match std::str::from_utf8(head) {
        Ok(text) => (Cow::Borrowed(text), false),
        // A character cut in two is no damage.
        Err(error) if error.error_len().is_none() => (String::from_utf8_lossy(&head[..error.valid_up_to()]), false),
        Err(_) => (String::from_utf8_lossy(head), true),
    };
    let mut record = record(Json::new(&text))?;
    record.huge = true;
    record.lossy = lossy;
    Ok(record)
}

/// Finds a whole record behind the torn beginning of another one on the same line, which is what Codex leaves
/// when a write fails half-way and is repeated. Gives the offset of the record within the line.
#[must_use]
pub fn recover_torn(line: &[u8]) -> Option<(usize, Record)> {
    memchr::memmem::find_iter(line, b"{\"timestamp\"")
        .filter(|offset| *offset > 0)
        .take(TORN_TRIES)
        .find_map(|offset| parse(&line[offset..]).ok().map(|record| (offset, record)))
}

fn syntax(error: &serde_json::Error) -> BadLine {
    BadLine::Syntax(crate::base::text::bounded(&error.to_string(), WORD_CHARS))
}

/// The text with raw control bytes as spaces; none when it has none. A text that is owned is not copied: with the
/// longest lines the copies are what memory is needed for.
fn without_controls(text: Cow<'_, str>) -> Option<String> {
    let is_raw_control = |byte: u8| byte < b' ' && !matches!(byte, b'\r' | b'\n');
    if !text.bytes().any(is_raw_control) {
        return None;
    }
    let mut bytes = text.into_owned().into_bytes();
    bytes.iter_mut().filter(|byte| is_raw_control(**byte)).for_each(|byte| *byte = b' ');
    String::from_utf8(bytes).ok()
}

fn record(json: Json<'_>) -> Result<Record, BadLine> {
    if !json.is_object() {
        return Err(BadLine::NotAnObject);
    }
    let [timestamp, ordinal, kind, payload] = json.pick(["timestamp", "ordinal", "type", "payload"]);
    let word = |value: Option<Json<'_>>| value.and_then(|value| value.word(WORD_CHARS)).filter(|word| !word.is_empty());
    let (kind, subtype, body, is_flat) = match (word(kind), payload) {
        (Some(kind), Some(payload)) => {
            let kind = names::kind(kind);
            let subtype = word(payload.get("type")).map(|text| names::subtype(&kind.text, text));
            (kind, subtype, payload, false)
        }
        (Some(kind), None) => (names::flat_kind(kind), None, json, true),
        (None, _) => {
            let [record_type, id] = json.pick(["record_type", "id"]);
            if let Some(record_type) = word(record_type) {
                (names::kind("record".to_owned()), Some(names::subtype("record", record_type)), json, true)
            } else if word(id).is_some() && timestamp.is_some() {
                (names::kind("header".to_owned()), None, json, true)
            } else {
                return Err(BadLine::Untyped);
            }
        }
    };
    let known = kind.known && subtype.as_ref().is_none_or(|name| name.known);
    let meaning = dialect::read(&kind.text, subtype.as_ref().map(|name| &*name.text), body, is_flat, known);
    Ok(Record {
        // The ledger's numbers end at 2^63; a line that counts beyond is one that does not count.
        ordinal: ordinal.and_then(Json::unsigned).filter(|number| i64::try_from(*number).is_ok()),
        timestamp: timestamp.and_then(Json::plain).and_then(|text| text.parse().ok()),
        kind: kind.text,
        subtype: subtype.map(|name| name.text),
        item: meaning.item,
        turn_id: meaning.turn_id,
        fact: meaning.fact,
        brief: meaning.brief,
        payload: meaning.summary.finish(),
        lossy: false,
        huge: false,
    })
}
