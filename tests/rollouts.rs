//! Real recordings of every Codex version, read line by line: the facts of their index come out of the fold.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use conveyor::{
    base::json,
    model::{
        conversation::{Entry, Outcome, Said, joined},
        progress::{EndKind, Progress},
        rollout::{self, Fact, Record, SessionSource},
        state::{CoarseState, Condition},
    },
    ports::rollout::{Body, Limits, RolloutFile, Stop, read_head},
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
    /// Each with the first byte of its line.
    records: Vec<(Record, u64)>,
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
        let at = line.offset;
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
        assert!(records.iter().any(|(_, at)| Some(*at) == reading.byte_offset), "{name}: {reading:?}");
    }
}

#[test]
fn conditions_and_rules_of_telling_recordings() {
    let cases = [
        ("simple_turn", Condition::Done, "turn_complete"),
        ("busy_model_streaming", Condition::Busy, "turn_open"),
        ("killed_mid_turn", Condition::Busy, "turn_open"),
        ("killed_then_resumed", Condition::Done, "turn_complete"),
        ("waiting_for_answer", Condition::Blocked, "question_open"),
        // An open approval leaves no trace in the file.
        ("waiting_for_approval", Condition::Busy, "turn_open"),
        ("approval_denied", Condition::Aborted, "turn_aborted"),
        ("interrupted", Condition::Aborted, "turn_aborted"),
        ("goal_paused", Condition::Aborted, "turn_aborted"),
        ("error_usage_limit", Condition::Aborted, "turn_failed"),
        ("error_stream_dropped", Condition::Aborted, "turn_failed"),
        ("error_recovered", Condition::Done, "turn_complete"),
        ("compacted_manually", Condition::Idle, "compacted"),
        ("compacted_automatically", Condition::Done, "turn_complete"),
        ("plan_proposed", Condition::Done, "plan_proposed"),
        ("user_shell_command", Condition::Idle, "user_shell_command"),
        ("event_after_turn_end", Condition::Done, "turn_complete"),
        ("subagent_parent_idle_child_busy", Condition::Done, "turn_complete"),
        ("subagent_child_busy", Condition::Busy, "turn_open"),
        ("half_written_last_line", Condition::Busy, "turn_open"),
        ("v0.25.0_busy_command", Condition::Busy, "guessed_busy"),
        ("v0.25.0_one_turn", Condition::Done, "guessed_done"),
        ("v0.47.0_busy_command", Condition::Busy, "guessed_busy"),
        ("v0.47.0_interrupted", Condition::Aborted, "turn_aborted"),
        ("v0.47.0_series", Condition::Done, "guessed_done"),
        ("v0.98.0_busy_command", Condition::Busy, "guessed_busy"),
        ("v0.98.0_interrupted", Condition::Aborted, "turn_aborted"),
        ("v0.144.6_interrupted_rolled_back", Condition::Aborted, "turn_aborted"),
    ];
    for (name, condition, rule) in cases {
        let reading = read(name).progress.reading();
        assert_eq!((reading.condition, reading.rule.as_str()), (condition, rule), "{name}: {reading:?}");
    }
    let reading = read("error_usage_limit").progress.reading();
    assert!(reading.reason.contains("usage_limit_exceeded"), "{reading:?}");
}

#[test]
fn heads_tell_forks_sub_agents_and_old_versions() {
    let head = |name: &str| read_head(&fixtures().join(format!("{name}.jsonl"))).expect("a head");
    let base = head("fork_base");
    let fork = head("fork_child");
    assert_eq!(fork.forked_from, Some(base.thread_id));
    let parent = head("subagent_parent");
    let child = head("subagent_child");
    let SessionSource::SubAgent { parent: Some(spawner), path: Some(path) } = child.source else { panic!("{child:?}") };
    assert_eq!((spawner, path.as_str()), (parent.thread_id.clone(), "/root/counter"));
    assert_eq!(child.session_id, Some(parent.thread_id));
    assert_eq!(head("exec_session").source, SessionSource::Exec);
    assert_eq!((head("v0.25.0_one_turn").version, head("v0.25.0_one_turn").cwd), (None, None));
    let agents = |name: &str| -> Vec<(String, Option<String>, bool)> {
        let agents = read(name).progress.agents.into_iter();
        agents.map(|agent| (agent.thread_id.clone(), agent.path.clone(), agent.is_running())).collect()
    };
    let counter = || Some("/root/counter".to_owned());
    assert_eq!(agents("subagent_parent_idle_child_busy"), [(child.thread_id, counter(), true)]);
    let ended = agents("subagent_parent");
    assert_eq!((ended.len(), &ended[0].1, ended[0].2), (1, &counter(), false));
}

#[test]
fn receipts_and_triggers_are_found() {
    let queued = read("queued_from_outside");
    let ids: Vec<&str> = queued
        .records
        .iter()
        .filter_map(|(record, _)| match &record.fact {
            Fact::UserMessage { client_id: Some(id), .. } => Some(id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 2, "each message carries the id it was sent with");
    let trigger = queued.records.iter().rev().find_map(|(record, _)| match &record.fact {
        Fact::TurnStarted { trigger, .. } => trigger.clone(),
        _ => None,
    });
    assert_eq!(trigger.as_deref(), Some("queue"));
    let limits = read("rate_limits_reported").progress.limits.expect("limits");
    let used = |window: Option<rollout::LimitWindow>| window.map(|window| (window.used_percent, window.window_minutes));
    assert_eq!(used(limits.primary), Some((92.0, Some(300))));
    assert_eq!(used(limits.secondary), Some((41.0, Some(10_080))));
}

#[test]
fn stored_payloads_are_small_sorted_and_clean() {
    for name in index().keys() {
        let Reading { records, consumed, .. } = read(name);
        let mut stored = 0;
        for (record, at) in &records {
            let value: Value = serde_json::from_str(&record.payload).expect("the payload is JSON");
            assert_eq!(json::compact(&value).expect("it prints"), record.payload, "{name} at {}", at);
            assert!(record.payload.len() <= 2_048, "{name} at {}: {}", at, record.payload);
            assert!(record.brief.chars().count() <= 200 && !record.brief.contains('\n'), "{name}: {}", record.brief);
            assert!(!record.lossy && !record.huge, "{name} at {}", at);
            stored += record.payload.len() as u64;
        }
        assert!(stored * 2 < consumed, "{name}: {stored} of {consumed} bytes stored");
    }
}

/// The conversation of a recording, as a screen puts it together.
fn conversation(name: &str) -> Vec<Arc<Entry>> {
    let text = fs::read(fixtures().join(format!("{name}.jsonl"))).expect("a fixture can be read");
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let entries = lines.zip(0..).filter_map(|(line, id)| {
        let record = rollout::parse(line).ok()?;
        let said = rollout::said(&record, line)?;
        assert!(rollout::is_spoken(&record), "{name}: what is not marked would never be loaded");
        Some(Arc::new(Entry { id, last_id: id, at: record.timestamp, byte_offset: 0, said }))
    });
    joined(&entries.collect::<Vec<_>>())
}

#[test]
fn a_conversation_reads_like_one_in_every_dialect() {
    for name in ["v0.25.0_one_turn", "v0.47.0_one_turn", "v0.98.0_one_turn", "v0.125.0_one_turn", "v0.150.1_one_turn"] {
        let entries = conversation(name);
        let texts: Vec<String> = entries
            .iter()
            .filter_map(|entry| match &entry.said {
                Said::User { text, .. } => Some(format!("user: {text}")),
                Said::Agent(text) => Some(format!("agent: {text}")),
                Said::Thought(text) => Some(format!("thought: {text}")),
                Said::Command(run) => {
                    let Outcome { ended, exit_code, output, .. } = &run.outcome;
                    Some(format!("command: {} {ended} {exit_code:?} {output:?}", run.command))
                }
                Said::TurnStarted { .. } | Said::TurnEnded { .. } => None,
                other => Some(format!("{other:?}")),
            })
            .collect();
        let wanted = [
            "user: Say hello and list the files",
            "thought: Listing the files",
            "command: ls true Some(0) \"README.md\\n\"",
            "agent: Hello, there is one file.",
        ];
        assert_eq!(texts, wanted, "{name}");
    }
}

#[test]
fn every_recording_is_told_without_doubles_and_without_gaps() {
    let mut told = String::new();
    for name in index().keys() {
        let entries = conversation(name);
        for entry in &entries {
            assert!(!matches!(entry.said, Said::Unknown { .. }), "{name}: {entry:?}");
            assert!(!matches!(entry.said, Said::Output { .. }), "{name}: an output without its call: {entry:?}");
        }
        let commands = entries.iter().filter(|entry| matches!(entry.said, Said::Command(_))).count();
        let ran = read(name).records.iter().filter(|(record, _)| matches!(record.fact, Fact::Command { .. })).count();
        assert!(commands >= ran, "{name}: {commands} of {ran} commands");
        let _ = writeln!(told, "{name}");
        for entry in entries {
            let said = format!("{:?}", entry.said);
            let _ = writeln!(told, "  {}", conveyor::base::text::bounded(&said, 160));
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_fold_can_be_put_aside_after_any_line() {
    for name in index().keys() {
        let Reading { records, progress: whole, .. } = read(name);
        let mut progress = Progress::default();
        for (record, at) in &records {
            progress.apply(record, *at);
            let stored = json::compact(&progress).expect("a fold can be stored");
            assert!(stored.len() < 8 * 1024, "{name}: {} bytes", stored.len());
            let loaded: Progress = serde_json::from_str(&stored).expect("a fold can be loaded");
            assert_eq!(loaded, progress, "{name} at {}", at);
            progress = loaded;
        }
        assert_eq!(progress, whole, "{name}");
    }
}
