//! Copied history: what a fork or a resume brings along is stored and marked, and proves nothing about the thread.

use serde_json::{Value, json};

use super::{World, oracle};

const INHERITED: i64 = 1;

/// A turn id (UUID version 7) made at this moment.
fn turn_id(at: &str) -> String {
    let millis = at.parse::<conveyor::base::Timestamp>().unwrap().as_millis();
    format!("{:08x}-{:04x}-7000-8000-000000000001", millis >> 16, millis & 0xffff)
}

/// The lines of one finished turn, stamped with `at`, of a turn that began at `begun`.
fn turn(at: &str, begun: &str, said: &str) -> Vec<String> {
    let id = turn_id(begun);
    let event = |payload: Value| json!({"timestamp": at, "type": "event_msg", "payload": payload}).to_string();
    vec![
        event(json!({"type": "task_started", "turn_id": id})),
        event(json!({"type": "user_message", "message": format!("please {said}")})),
        event(json!({"type": "agent_message", "message": said})),
        event(json!({"type": "task_complete", "turn_id": id, "last_agent_message": said})),
    ]
}

fn counts(world: &World) -> Value {
    let text: String = world.sql().query_row("select progress_json from rollout_files", [], |row| row.get(0)).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["counts"].clone()
}

fn condition(world: &World) -> String {
    world.run(&["list"])["sessions"][0]["judgement"]["condition"].as_str().unwrap().to_owned()
}

#[test]
fn copied_history_never_ends_a_turn_and_is_no_message() {
    // The head of this thread is of 02:00:00; what was copied happened at 01:00, stamped then or with the copying.
    for stamped in ["2026-11-21T01:00:00.000Z", "2026-11-21T02:00:00.001Z"] {
        let world = World::new();
        let mut lines = vec![oracle::head(&oracle::thread(1)), oracle::head(&oracle::thread(2))];
        lines.extend(turn(stamped, "2026-11-21T01:00:00.000Z", "copied"));
        world.worker("w", &oracle::file(&lines));
        world.ingest("w");
        let events = world.events("w");
        let marked: Vec<bool> = events.iter().map(|event| event.flags & INHERITED != 0).collect();
        assert_eq!(marked, [false, true, true, true, true, true], "stamped {stamped}");
        let counts = counts(&world);
        for what in ["turns_started", "turns_completed", "user_messages"] {
            assert_eq!(counts[what], 0, "stamped {stamped}: {what}");
        }
        assert_ne!(condition(&world), "done", "stamped {stamped}: a copied end ends nothing");
        assert_eq!(world.run(&["tail", "w", "--limit", "1"])[0]["flags"], json!(["inherited"]));
        // Its own turn counts, also when it is taken with the next ingest.
        lines.extend(turn("2026-11-21T02:05:00.000Z", "2026-11-21T02:05:00.000Z", "own"));
        std::fs::write(world.path("w.jsonl"), oracle::file(&lines)).unwrap();
        world.ingest("w");
        assert_eq!(condition(&world), "done", "stamped {stamped}");
        assert_eq!(world.events("w").iter().filter(|event| event.flags & INHERITED != 0).count(), 5);
    }
}

#[test]
fn a_foreign_head_later_in_the_file_does_not_change_whose_it_is() {
    let world = World::new();
    let mut lines = vec![oracle::head(&oracle::thread(1))];
    lines.extend(turn("2026-11-21T02:05:00.000Z", "2026-11-21T02:05:00.000Z", "own"));
    lines.push(oracle::head(&oracle::thread(2)));
    world.worker("w", &oracle::file(&lines));
    world.ingest("w");
    assert_eq!(world.run(&["sessions"])[0]["codex_session_id"], oracle::thread(1));
    assert_eq!(condition(&world), "done");
    // Cut and grown again, the file is still this thread's.
    lines.truncate(4);
    lines.push(oracle::said(None, "something else"));
    std::fs::write(world.path("w.jsonl"), oracle::file(&lines)).unwrap();
    assert_eq!(world.ingest("w")["file_replaced"], true);
}
