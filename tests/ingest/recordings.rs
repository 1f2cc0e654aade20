//! Every recorded rollout, through the program's own ingest: what the ledger holds afterwards are the facts of the
//! recordings' index.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use super::{EventRow, World, assert_places, oracle};
use crate::support::fixture_path;

fn label(event: &EventRow) -> String {
    let part =
        |sign: char, text: &Option<String>| text.as_ref().map(|text| format!("{sign}{text}")).unwrap_or_default();
    format!("{}{}{}", event.kind, part(':', &event.subtype), part('/', &event.item))
}

#[test]
fn every_recording_ingests_to_the_facts_of_its_index() {
    // Codex 0.25 leaves no trace of an interrupt: the file is the same as while it works.
    let untold = ["v0.25.0_interrupted"];
    let index: BTreeMap<String, Value> =
        serde_json::from_slice(&fs::read(fixture_path("rollouts/index.json")).unwrap()).unwrap();
    assert!(index.len() >= 60, "the index has {} recordings", index.len());
    for (name, facts) in &index {
        let world = World::new();
        let bytes = fs::read(fixture_path(&format!("rollouts/{name}.jsonl"))).unwrap();
        world.worker("w", &bytes);
        let number = |key: &str| facts[key].as_u64().unwrap();
        let taken = world.ingest("w");
        let events = world.events("w");
        let unfinished = u64::from(oracle::complete(&bytes) < bytes.len());

        let lines: u64 = events.iter().map(|event| event.seen).sum();
        assert_eq!(lines + unfinished, number("lines"), "{name}: lines");
        assert_eq!(taken["new_events"], events.len(), "{name}: new events");
        assert_eq!(taken["new_offset"], oracle::complete(&bytes), "{name}: offset");
        assert_eq!(taken["pending_bytes"], bytes.len() - oracle::complete(&bytes), "{name}: pending");
        assert_eq!(number("bad_lines") - unfinished, taken["skipped_lines"], "{name}: bad lines");
        assert_places(&bytes, &events);
        assert_eq!(oracle::stored(&events), oracle_rows(&bytes), "{name}: rows");

        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for event in events.iter().filter(|event| event.kind != "bad_line") {
            *counts.entry(label(event)).or_default() += event.seen;
        }
        let expected: BTreeMap<String, u64> = serde_json::from_value(facts["counts"].clone()).unwrap();
        assert_eq!(counts, expected, "{name}: counts by type");

        let progress: String = world
            .sql()
            .query_row("select progress_json from rollout_files where current = 1", [], |row| row.get(0))
            .unwrap();
        let progress: Value = serde_json::from_str(&progress).unwrap();
        let counted = &progress["counts"];
        assert_eq!(counted["user_messages"], number("user_messages"), "{name}: user messages");
        assert_eq!(counted["turns_started"], number("turns_started"), "{name}: turns started");
        let told = |what: &str| expected.get(what).copied().unwrap_or(0);
        assert_eq!(counted["turns_completed"], told("event_msg:task_complete"), "{name}: turns completed");
        assert_eq!(counted["turns_aborted"], told("event_msg:turn_aborted"), "{name}: turns aborted");

        let board = world.run(&["list"]);
        let judged = board["sessions"][0]["judgement"]["state"].as_str().unwrap();
        let expected = match facts["state"].as_str().unwrap() {
            // Whether the writer of an old open turn still lives does not stand in the file.
            "idle" if untold.contains(&name.as_str()) => "unknown",
            "idle" => "idle",
            "busy" | "dead" => "unknown",
            other => panic!("{name}: state {other}"),
        };
        assert_eq!(judged, expected, "{name}: {}", board["sessions"][0]["judgement"]);
        assert_eq!(world.ingest("w")["new_events"], 0, "{name}: nothing is taken twice");
    }
}

/// The oracle knows no types, so it takes the flat dialects' header for a bad line.
fn oracle_rows(bytes: &[u8]) -> Vec<oracle::Expected> {
    let mut rows = oracle::rows(bytes);
    for row in &mut rows {
        let line = &bytes[row.offset as usize..(row.offset + row.length) as usize];
        let is_flat = |key: &str| serde_json::from_slice::<Value>(line).is_ok_and(|value| value.get(key).is_some());
        if is_flat("record_type") || is_flat("instructions") {
            row.flags &= !oracle::BAD;
        }
    }
    rows
}

#[test]
fn a_recording_written_bit_by_bit_comes_to_the_same() {
    for name in ["tool_calls", "killed_then_resumed", "v0.25.0_series", "legacy_session_continued"] {
        let bytes = fs::read(fixture_path(&format!("rollouts/{name}.jsonl"))).unwrap();
        let (at_once, by_and_by) = (World::new(), World::new());
        at_once.worker("w", &bytes);
        at_once.ingest("w");
        let first = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let path = by_and_by.worker("w", &bytes[..first]);
        for end in (first..bytes.len()).step_by(bytes.len() / 40 + 1).chain([bytes.len()]) {
            fs::write(&path, &bytes[..end]).unwrap();
            let taken = by_and_by.ingest("w");
            assert_eq!(taken["pending_bytes"], end - oracle::complete(&bytes[..end]), "{name} at {end}");
        }
        assert_eq!(at_once.events("w"), by_and_by.events("w"), "{name}");
        let progress = |world: &World| -> String {
            world.sql().query_row("select progress_json from rollout_files", [], |row| row.get(0)).unwrap()
        };
        assert_eq!(progress(&at_once), progress(&by_and_by), "{name}");
    }
}
