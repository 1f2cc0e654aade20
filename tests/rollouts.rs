//! Real recordings of every Codex version, read line by line: the facts of their index come out of the fold.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use conveyor::{
    model::{
        progress::{EndKind, Position, Progress},
        rollout::{self, Record},
        state::CoarseState,
    },
    ports::rollout::{Body, Limits, RolloutFile, Stop},
};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rollouts")
}

fn index() -> BTreeMap<String, Value> {
    let text = fs::read_to_string(fixtures().join("index.json")).expect("the index can be read");
    serde_json::from_str(&text).expect("the index is JSON")
}

/// A recording, as the reader, the parser and the fold see it.
struct Reading {
    records: Vec<(Record, Position)>,
    counts: BTreeMap<String, u64>,
    progress: Progress,
    pending: u64,
    consumed: u64,
}

fn read(name: &str) -> Reading {
    let file = RolloutFile::open(&fixtures().join(format!("{name}.jsonl"))).expect("a fixture opens");
    let mut lines = file.lines(0, Limits::default()).expect("a fixture can be read");
    let mut reading = Reading {
        records: Vec::new(),
        counts: BTreeMap::new(),
        progress: Progress::default(),
        pending: 0,
        consumed: 0,
    };
    while let Some(line) = lines.next_line().expect("a fixture can be read") {
        let at = Position { byte_offset: line.offset, byte_length: line.len };
        let Body::Whole(bytes) = line.body else { panic!("{name} has no huge line") };
        let record = rollout::parse(bytes).unwrap_or_else(|error| panic!("{name} at {}: {error}", line.offset));
        *reading.counts.entry(record.label()).or_default() += 1;
        reading.progress.apply(&record, at);
        reading.records.push((record, at));
    }
    assert_eq!(lines.stop(), Some(Stop::EndOfFile));
    reading.pending = lines.pending_bytes();
    reading.consumed = lines.offset();
    reading
}

#[test]
fn every_recording_folds_to_the_facts_of_its_index() {
    // Codex 0.25 leaves no trace of an interrupt: the file is the same as while it works.
    let untold = ["v0.25.0_interrupted"];
    let index = index();
    assert!(index.len() >= 60, "the index has {} recordings", index.len());
    for (name, facts) in &index {
        let Reading { counts, progress, pending, consumed, records } = read(name);
        let text = |key: &str| facts[key].as_str();
        let number = |key: &str| facts[key].as_u64().unwrap_or_else(|| panic!("{name}: no {key}"));

        // An unfinished last line is pending for the reader; the index counts it as a bad one.
        let unfinished = u64::from(pending > 0);
        assert_eq!(progress.counts.lines + unfinished, number("lines"), "{name}: lines");
        assert_eq!(progress.counts.bad + unfinished, number("bad_lines"), "{name}: bad lines");
        assert_eq!(consumed + pending, number("bytes"), "{name}: bytes");
        let expected: BTreeMap<String, u64> =
            serde_json::from_value(facts["counts"].clone()).expect("counts are numbers");
        assert_eq!(counts, expected, "{name}: counts by type");

        let head = progress.head.as_ref().unwrap_or_else(|| panic!("{name}: no head"));
        assert_eq!(Some(head.thread_id.as_str()), text("thread_id"), "{name}: thread id");
        match &head.version {
            Some(version) => assert_eq!(Some(version.as_str()), text("cli_version"), "{name}: version"),
            None => assert_eq!(text("cli_version"), Some("0.25.0"), "{name}: only 0.25 says no version"),
        }
        assert_eq!(progress.counts.user_messages, number("user_messages"), "{name}: user messages");
        assert_eq!(progress.counts.turns_started, number("turns_started"), "{name}: turns started");
        assert_eq!(progress.counts.inherited, 0, "{name}: nothing is copied from another thread");
        assert_eq!(progress.counts.unknown, 0, "{name}: every type is known");
        let open = progress.open_turn.as_ref().and_then(|turn| turn.turn_id.as_deref());
        assert_eq!(open, text("computed_open_turn"), "{name}: open turn");

        let end = progress.last_end.as_ref();
        let last_event = end.map(|end| match end.kind {
            EndKind::Aborted => "turn_aborted",
            EndKind::Answered
            | EndKind::Planned
            | EndKind::Compacted
            | EndKind::UserShell
            | EndKind::Failed
            | EndKind::NoAnswer => "task_complete",
        });
        assert_eq!(last_event, text("last_turn_event"), "{name}: last turn event");
        let last_message = end.and_then(|end| end.last_message.as_deref());
        assert_eq!(last_message, text("last_agent_message"), "{name}: last agent message");
        let error = end.and_then(|end| end.error.as_ref()).and_then(|error| error.kind.as_deref());
        let expected = match &facts["last_error"] {
            Value::Object(error) => error.keys().next().map(String::as_str),
            other => other.as_str(),
        };
        assert_eq!(error, expected, "{name}: last error");

        let reading = progress.reading();
        let expected = match text("state") {
            Some("idle") if untold.contains(&name.as_str()) => CoarseState::Busy,
            Some("idle") => CoarseState::Idle,
            // That the process died does not stand in the file.
            Some("busy" | "dead") => CoarseState::Busy,
            other => panic!("{name}: state {other:?}"),
        };
        assert_eq!(reading.condition.coarse(), expected, "{name}: {reading:?}");
        assert!(records.iter().any(|(_, at)| Some(at.byte_offset) == reading.byte_offset), "{name}: {reading:?}");
    }
}
