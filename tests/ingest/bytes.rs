//! Hostile bytes: what no program should write is stored with a mark, at its exact place, and stops nothing.

use serde_json::Value;

use super::{EventRow, World, assert_places, oracle};

const LOSSY: i64 = 2;

struct Case {
    name: &'static str,
    line: Vec<u8>,
    kind: &'static str,
    lossy: bool,
}

fn case(name: &'static str, line: impl Into<Vec<u8>>, kind: &'static str) -> Case {
    Case { name, line: line.into(), kind, lossy: false }
}

fn lossy(name: &'static str, line: impl Into<Vec<u8>>, kind: &'static str) -> Case {
    Case { lossy: true, ..case(name, line, kind) }
}

/// An event whose message is exactly these bytes.
fn message(bytes: &[u8]) -> Vec<u8> {
    let before =
        br#"{"timestamp":"2026-11-21T02:00:01.000Z","type":"event_msg","payload":{"type":"agent_message","message":""#;
    [&before[..], bytes, br#""}}"#].concat()
}

fn nested(open: &str, close: &str, depth: usize) -> Vec<u8> {
    format!(r#"{{"type":"event_msg","payload":{{"type":"x","v":{}{}}}}}"#, open.repeat(depth), close.repeat(depth))
        .into_bytes()
}

fn cases() -> Vec<Case> {
    let plain = message(b"plain");
    let ordinal = |number: &str| format!(r#"{{"ordinal":{number},"type":"event_msg","payload":{{"type":"x"}}}}"#);
    vec![
        lossy("invalid UTF-8 in a text", message(b"a\xff\xfe\x80b"), "event_msg"),
        lossy("half a character", message(b"\xe6\xbc"), "event_msg"),
        lossy("an encoded surrogate", message(b"\xed\xa0\x80"), "event_msg"),
        lossy("an overlong slash", message(b"\xc0\xaf"), "event_msg"),
        lossy("a lone surrogate escape", message(br"\ud83d x"), "event_msg"),
        lossy("NUL in a text", message(b"a\0b"), "event_msg"),
        lossy("raw control bytes", message(b"a\x01\x1b[31m\x7fb"), "event_msg"),
        case("a surrogate pair", message(br"\ud83d\ude00"), "event_msg"),
        case("escaped control characters", message(br"\u0000\u001b[2J\u202e"), "event_msg"),
        case("CRLF", [&plain[..], b"\r"].concat(), "event_msg"),
        case("a byte order mark", [b"\xef\xbb\xbf", &plain[..]].concat(), "event_msg"),
        case("CR inside", message(b"plain").into_iter().chain(*b"\r").collect::<Vec<_>>(), "event_msg"),
        case("white space around", [b" \t", &plain[..], b"  "].concat(), "event_msg"),
        case("nesting to 100", nested("[", "]", 100), "event_msg"),
        case("nesting to 10,000", nested("[", "]", 10_000), "event_msg"),
        case("objects to 10,000", nested(r#"{"a":["#, "]}", 10_000), "event_msg"),
        case("nesting without an end", "[".repeat(100_000), "bad_line"),
        case("equal keys", r#"{"type":"event_msg","type":"other","payload":{"type":"x"},"payload":1}"#, "event_msg"),
        case("1e999", r#"{"type":"event_msg","payload":{"type":"x","n":1e999}}"#, "event_msg"),
        case("the largest ordinal that fits", ordinal("9223372036854775807"), "event_msg"),
        case("an ordinal of 2^63", ordinal("9223372036854775808"), "event_msg"),
        case("an ordinal of 2^64-1", ordinal("18446744073709551615"), "event_msg"),
        case("an ordinal of 2^64", ordinal("18446744073709551616"), "event_msg"),
        case("a negative ordinal", ordinal("-1"), "event_msg"),
        case("an ordinal with a fraction", ordinal("1.5"), "event_msg"),
        case("an ordinal that is text", ordinal(r#""7""#), "event_msg"),
        case(
            "a time that is none",
            r#"{"timestamp":"yesterday","type":"event_msg","payload":{"type":"x"}}"#,
            "event_msg",
        ),
        case(
            "a time beyond all",
            r#"{"timestamp":"+999999-01-01T00:00:00Z","type":"event_msg","payload":{}}"#,
            "event_msg",
        ),
        case("a type that is a number", r#"{"type":7,"payload":{}}"#, "bad_line"),
        case("an empty type", r#"{"type":"","payload":{}}"#, "bad_line"),
        case("an empty line", "", "bad_line"),
        case("white space only", " \t ", "bad_line"),
        case("no JSON", "hello", "bad_line"),
        case("half an object", r#"{"type":"event_msg","#, "bad_line"),
        case("an array", "[1,2]", "bad_line"),
        case("two objects", r#"{"type":"event_msg","payload":{}}{"type":"event_msg","payload":{}}"#, "bad_line"),
        case("only NULs", vec![0; 4_096], "bad_line"),
        case("random bytes", (0..=255u8).filter(|byte| *byte != b'\n').collect::<Vec<_>>(), "bad_line"),
        case("UTF-16", "{\"type\"".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(), "bad_line"),
        case("a type with escapes in it", br#"{"type":"\u001b[31mred\u202e","payload":{}}"#.to_vec(), "red"),
    ]
}

fn file(cases: &[Case]) -> Vec<u8> {
    let mut bytes = oracle::file(&[oracle::head(&oracle::thread(1))]);
    for case in cases {
        bytes.extend_from_slice(&case.line);
        bytes.push(b'\n');
    }
    bytes.extend(oracle::file(&[oracle::said(Some(1_000), "the end")]));
    bytes
}

#[test]
fn hostile_lines_are_marked_and_placed_exactly() {
    let cases = cases();
    let bytes = file(&cases);
    let world = World::new();
    world.worker("w", &bytes);
    let taken = world.ingest("w");
    let events = world.events("w");
    assert_eq!(events.len(), cases.len() + 2, "each line is there, and the ones behind it");
    assert_places(&bytes, &events);
    assert_eq!(taken["new_offset"], bytes.len());
    for (case, event) in cases.iter().zip(&events[1..]) {
        assert_eq!(event.kind, case.kind, "{}", case.name);
        assert_eq!(event.length, case.line.len() as u64, "{}", case.name);
        assert_eq!(event.flags & LOSSY != 0, case.lossy, "{}: lossy", case.name);
        assert_eq!(event.flags & oracle::BAD != 0, case.kind == "bad_line", "{}: bad", case.name);
    }
    let bad = cases.iter().filter(|case| case.kind == "bad_line").count();
    assert_eq!(taken["skipped_lines"], bad);
    assert_clean(&events);
    // What is shown of such lines is as clean as what is stored.
    for words in [&["tail", "w", "--limit", "100"][..], &["tail", "w", "--limit", "100", "--include-content"]] {
        let shown = world.run(words);
        assert_eq!(shown.as_array().unwrap().len(), events.len());
        assert_no_unsafe(&shown);
    }
    let before = world.events("w");
    assert_eq!(world.ingest("w")["new_events"], 0);
    assert_eq!(world.events("w"), before);
}

/// Stored payloads are JSON without characters that a screen must not get.
fn assert_clean(events: &[EventRow]) {
    for event in events {
        let payload: Value = serde_json::from_str(&event.payload).unwrap();
        assert_no_unsafe(&payload);
        assert!(!event.kind.contains(conveyor::base::text::is_unsafe), "{event:?}");
    }
}

fn assert_no_unsafe(value: &Value) {
    match value {
        Value::String(text) => assert!(!text.contains(conveyor::base::text::is_unsafe), "{text:?}"),
        Value::Array(items) => items.iter().for_each(assert_no_unsafe),
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            assert!(!key.contains(conveyor::base::text::is_unsafe), "{key:?}");
            assert_no_unsafe(value);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn every_cut_of_a_hostile_file_is_taken_without_a_fault() {
    let bytes = file(&cases().into_iter().filter(|case| case.line.len() < 2_000).collect::<Vec<_>>());
    let first = oracle::lines(&bytes)[1].0;
    let world = World::new();
    let path = world.worker("w", &bytes[..first]);
    for end in (first..bytes.len()).step_by(7) {
        std::fs::write(&path, &bytes[..end]).unwrap();
        let taken = world.ingest("w");
        assert_eq!(taken["new_offset"], oracle::complete(&bytes[..end]), "cut at {end}");
    }
    assert_eq!(world.file("w").generation, 1);
    assert_places(&bytes, &world.events("w"));
}
