//! What a rollout's bytes must come to, worked out with `serde_json` values instead of the program's parser.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const BAD: i64 = 8;
pub const TORN: i64 = 4;
pub const CONFLICT: i64 = 32;
/// The flags this file has an opinion about.
pub const JUDGED: i64 = BAD | TORN | CONFLICT;

/// The first eight bytes of the SHA-256, big-endian.
pub fn hash(line: &[u8]) -> i64 {
    i64::from_be_bytes(Sha256::digest(line)[..8].try_into().unwrap())
}

/// One expected row: what the file's lines with this ordinal and hash come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub ordinal: u64,
    pub hash: i64,
    pub offset: u64,
    pub length: u64,
    pub seen: u64,
    pub flags: i64,
}

/// The complete lines of `bytes`: where each begins, and its bytes without the line feed.
pub fn lines(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(length) = bytes[from..].iter().position(|byte| *byte == b'\n') {
        found.push((from, &bytes[from..from + length]));
        from += length + 1;
    }
    found
}

/// Length of the complete lines of `bytes`.
pub fn complete(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1)
}

/// A record; raw control bytes, such as the NULs that a crashed machine leaves behind a last line, count as spaces.
fn record(line: &[u8]) -> Option<Value> {
    let spaced: Vec<u8> = line.iter().map(|byte| if *byte < b' ' { b' ' } else { *byte }).collect();
    let value: Value = serde_json::from_slice(&spaced).ok()?;
    value.get("type").is_some_and(Value::is_string).then_some(value)
}

fn torn(line: &[u8]) -> Option<Value> {
    let needle = b"{\"timestamp\"";
    (1..line.len()).filter(|at| line[*at..].starts_with(needle)).find_map(|at| record(&line[at..]))
}

/// The rows that `bytes` must come to, by their place in the file.
pub fn rows(bytes: &[u8]) -> Vec<Expected> {
    let mut rows: BTreeMap<(u64, i64), Expected> = BTreeMap::new();
    let mut natives: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for (number, (offset, line)) in lines(bytes).into_iter().enumerate() {
        let (value, flags) = match (record(line), torn(line)) {
            (Some(value), _) => (Some(value), 0),
            (None, Some(value)) => (Some(value), TORN),
            (None, None) => (None, BAD),
        };
        let native = value.as_ref().and_then(|value| value.get("ordinal")?.as_u64());
        let ordinal = native.unwrap_or(number as u64);
        let hash = hash(line);
        if native.is_some() {
            let hashes = natives.entry(ordinal).or_default();
            if !hashes.contains(&hash) {
                hashes.push(hash);
            }
        }
        let (offset, length) = (offset as u64, line.len() as u64);
        let row = rows.entry((ordinal, hash)).or_insert(Expected { ordinal, hash, offset, length, seen: 0, flags });
        row.seen += 1;
    }
    for (ordinal, hashes) in natives.into_iter().filter(|(_, hashes)| hashes.len() > 1) {
        for hash in hashes {
            if let Some(row) = rows.get_mut(&(ordinal, hash)) {
                row.flags |= CONFLICT;
            }
        }
    }
    let mut rows: Vec<Expected> = rows.into_values().collect();
    rows.sort_by_key(|row| row.offset);
    rows
}

/// The stored rows in the same form.
pub fn stored(events: &[super::EventRow]) -> Vec<Expected> {
    events
        .iter()
        .map(|event| Expected {
            ordinal: event.ordinal,
            hash: event.hash,
            offset: event.offset,
            length: event.length,
            seen: event.seen,
            flags: event.flags & JUDGED,
        })
        .collect()
}

/// The first line of a rollout of `thread`.
pub fn head(thread: &str) -> String {
    json!({
        "timestamp": "2026-11-21T02:00:00.000Z",
        "type": "session_meta",
        "payload": {
            "id": thread, "timestamp": "2026-11-21T02:00:00.000Z", "cwd": "/home/user/project",
            "originator": "codex-tui", "cli_version": "0.169.0", "source": "cli",
        },
    })
    .to_string()
}

/// A line that says something; `text` stands at its end.
pub fn said(ordinal: Option<u64>, text: &str) -> String {
    let ordinal = ordinal.map(|ordinal| format!(r#""ordinal":{ordinal},"#)).unwrap_or_default();
    let text = Value::from(text);
    format!(
        r#"{{"timestamp":"2026-11-21T02:00:01.000Z",{ordinal}"type":"event_msg","payload":{{"type":"agent_message","message":{text}}}}}"#
    )
}

/// A thread id made of a number.
pub fn thread(number: u64) -> String {
    format!("01a1fbe2-0000-7000-8000-{number:012x}")
}

/// Lines with their line feeds.
pub fn file<S: AsRef<str>>(lines: &[S]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_ref().as_bytes(), b"\n"].concat()).collect()
}
