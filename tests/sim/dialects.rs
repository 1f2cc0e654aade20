//! The rollouts of the simulator have the lines of the recorded ones: same kinds, same order, same keys.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use conveyor::{
    base::{clock::SystemClock, text::one_line},
    sim::{Decision, Dialect, Ending, Faults, Identity, Script, Session, Setup, play},
};
use serde_json::Value;

pub(super) fn setup(dialect: Dialect, home: &Path, speed: f64) -> Setup {
    Setup {
        dialect,
        identity: Identity {
            codex_home: home.to_owned(),
            cwd: "/home/user/project".into(),
            model: dialect.model().to_owned(),
            source: if dialect.has_server() { "vscode" } else { "cli" },
            approval: "on-request".to_owned(),
            thread: None,
        },
        speed,
        shell_canary: None,
        faults: Faults::default(),
        keep_history: false,
    }
}

pub(super) fn session(dialect: &str, home: &Path, script: &str) -> Session {
    let dialect = dialect.parse().expect("a known version");
    let script = Script::parse(script).expect("a sound script");
    Session::start(setup(dialect, home, 500.0), script, Arc::new(SystemClock)).expect("a writable home")
}

/// Plays the turns of a script and returns the lines of the rollout.
fn played(dialect: &str, autostart: &str) -> Vec<Value> {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut session = session(dialect, home.path(), &format!(r#"{{"autostart":{autostart}}}"#));
    assert_eq!(play(&mut session, false).expect("a written rollout"), Ending::Played);
    lines(&fs::read_to_string(session.rollout()).expect("a rollout"))
}

pub(super) fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn recorded(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rollouts").join(format!("{name}.jsonl"));
    lines(&fs::read_to_string(path).expect("a recording"))
}

/// Kind of a line: its type, the payload's, the item's or role.
fn kind(line: &Value) -> String {
    let part = |pointer: &str| line.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
    let first = if line.get("type").is_some() { part("/type") } else { part("/record_type") };
    let role = if part("/payload/role") == "-" { part("/role") } else { part("/payload/role") };
    format!("{first} {} {} {role}", part("/payload/type"), part("/payload/item/type"))
}

/// Every key of a line with its path. Keys that depend on data, or are shortened on purpose, are left out.
fn keys(value: &Value, at: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let path = format!("{at}.{key}");
                // Plan mode raises the effort; the simulator has no modes.
                if key == "effort" || key == "reasoning_effort" {
                    continue;
                }
                let data = [
                    "state",
                    "changes",
                    "tools",
                    "primary",
                    "secondary",
                    "replacement_history",
                    "parsed_cmd",
                    "content_item_metadata",
                ];
                if !data.contains(&key.as_str()) {
                    keys(inner, &path, into);
                }
                into.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, &format!("{at}[]"), into)),
        _ => {}
    }
}

fn compare(dialect: &str, autostart: &str, recording: &str) {
    let (ours, theirs) = (played(dialect, autostart), recorded(recording));
    let kinds = |lines: &[Value]| lines.iter().map(kind).collect::<Vec<_>>();
    assert_eq!(kinds(&ours), kinds(&theirs), "{dialect} against {recording}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let (mut a, mut b) = (BTreeSet::new(), BTreeSet::new());
        keys(ours, "", &mut a);
        keys(theirs, "", &mut b);
        assert_eq!(a, b, "{dialect} against {recording}\n{}", one_line(&ours.to_string()));
    }
}

const LISTING: &str = r#"[{"message":"Say hello and list the files","steps":[
    {"think":"Listing the files"}, {"run":{"command":"ls"}}, {"say":"Hello, there is one file."}]}]"#;

#[test]
fn one_turn_in_every_recorded_dialect() {
    for (dialect, recording) in [
        ("v0.25", "v0.25.0_one_turn"),
        ("v0.47", "v0.47.0_one_turn"),
        ("v0.98", "v0.98.0_one_turn"),
        ("v0.125", "v0.125.0_one_turn"),
        ("v0.150", "v0.150.1_one_turn"),
    ] {
        compare(dialect, LISTING, recording);
    }
}

#[test]
fn turns_of_the_newest_dialect() {
    for (steps, recording) in [
        (r#"[{"think":"Looking at the readme"},{"say":"It is a small demo project."}]"#, "simple_turn"),
        (r#"[{"approve":{"command":"touch x","answer_after_ms":500}},{"say":"Installed."}]"#, "approval_accepted"),
        (
            r#"[{"note":"I will create it."},{"patch":{"path":"hello.sh"}},{"run":{"command":"sh hello.sh"}},
                {"run":{"command":"sh hello.sh --nope","exit":2}},{"think":"Expected"},{"say":"It works."}]"#,
            "tool_calls",
        ),
        (
            r##"[{"ask":{"question":"Which folder first?","answer_after_ms":500}},{"plan":"# Cleanup\n- remove"}]"##,
            "plan_proposed",
        ),
    ] {
        compare("v0.169", &format!(r#"[{{"message":"Do it","steps":{steps}}}]"#), recording);
    }
}

#[test]
fn a_script_that_answers_by_itself_says_so_and_only_then() {
    let step = r#"{"approve":{"command":"touch x","answer_after_ms":500,"answer_note":"The script said yes."}}"#;
    let text = |lines: &[Value]| lines.iter().map(ToString::to_string).collect::<String>();
    let alone = played("v0.169", &format!(r#"[{{"message":"Do it","steps":[{step},{{"say":"Done."}}]}}]"#));
    assert!(text(&alone).contains("The script said yes."), "{}", text(&alone));

    let slow = step.replace("500", "50000000");
    let home = tempfile::tempdir().expect("a temporary directory");
    let script = format!(r#"{{"autostart":[{{"message":"Do it","steps":[{slow},{{"say":"Done."}}]}}]}}"#);
    let mut session = session("v0.169", home.path(), &script);
    while session.asking().is_none() {
        session.advance().expect("a written rollout");
    }
    session.decide(Decision::Yes).expect("a written rollout");
    assert_eq!(play(&mut session, false).expect("a written rollout"), Ending::Played);
    let answered = lines(&fs::read_to_string(session.rollout()).expect("a rollout"));
    assert!(text(&answered).contains("Done.") && !text(&answered).contains("The script said"), "{}", text(&answered));
}

#[test]
fn further_turns_of_the_newest_dialect() {
    compare(
        "v0.169",
        r#"[{"message":"Install","steps":[{"approve":{"command":"touch x","answer_after_ms":500}},{"say":"Installed."}]},
            {"message":"Remove","steps":[{"approve":{"command":"rm x","answer_after_ms":500,"answer":false}}]}]"#,
        "approval_denied",
    );
    compare(
        "v0.169",
        r#"[{"message":"First","steps":[{"say":"Sure."}]},
            {"message":"Now fail","steps":[{"error":{"kind":"usage_limit_exceeded"}}]}]"#,
        "error_usage_limit",
    );
    compare(
        "v0.169",
        r#"[{"message":"Read","steps":[{"run":{"command":"cat README.md"}},{"say":"It only has a title."}]},
            {"message":"More?","steps":[{"say":"Not really."},"compact"]}]"#,
        "compacted_manually",
    );
}

/// Plays until a turn runs and nothing more is due, then interrupts it.
fn interrupted(dialect: &str, autostart: &str, pause_ms: u64) -> Vec<Value> {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut session = session(dialect, home.path(), &format!(r#"{{"autostart":{autostart}}}"#));
    let deadline = std::time::Instant::now() + std::time::Duration::from_millis(pause_ms);
    while std::time::Instant::now() < deadline {
        session.advance().expect("a written rollout");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(session.busy_since().is_some());
    session.interrupt().expect("a written rollout");
    assert!(session.busy_since().is_none());
    lines(&fs::read_to_string(session.rollout()).expect("a rollout"))
}

#[test]
fn interrupted_turns_end_as_recorded() {
    let cases = [
        ("v0.169", r#"[{"message":"Think","steps":[{"hold":"/nonexistent/gate"}]}]"#, "interrupted"),
        (
            "v0.169",
            r#"[{"message":"Run","steps":[{"run":{"command":"make","ms":3600000}}]}]"#,
            "interrupted_during_tool",
        ),
        (
            "v0.144",
            r#"[{"message":"Quick","steps":[{"say":"Checked."}]},{"message":"Consider","steps":[{"hold":"/nonexistent/gate"}]}]"#,
            "v0.144.6_interrupted_rolled_back",
        ),
    ];
    for (dialect, autostart, recording) in cases {
        let kinds = |lines: &[Value]| lines.iter().map(kind).collect::<Vec<_>>();
        assert_eq!(kinds(&interrupted(dialect, autostart, 300)), kinds(&recorded(recording)), "{recording}");
    }
    for (dialect, recording) in [
        ("v0.47", "v0.47.0_interrupted"),
        ("v0.98", "v0.98.0_interrupted"),
        ("v0.125", "v0.125.0_interrupted"),
        ("v0.150", "v0.150.1_interrupted"),
    ] {
        let ours = interrupted(dialect, r#"[{"message":"Think","steps":[{"hold":"/nonexistent/gate"}]}]"#, 100);
        let theirs = recorded(recording);
        let tail = |lines: &[Value]| lines.iter().rev().take(2).map(kind).collect::<Vec<_>>();
        assert_eq!(tail(&ours)[0], tail(&theirs)[0], "{recording}");
    }
}

#[test]
fn a_steered_message_is_written_when_the_tool_has_ended_and_a_user_shell_command_is_never_run() {
    let home = tempfile::tempdir().unwrap();
    let mut session = session("v0.169", home.path(), "{}");
    session.submit("work {{shell sleep 60; echo job finished}} {{say Never said}}").unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while session.running_command().is_none() && std::time::Instant::now() < deadline {
        session.advance().unwrap();
    }
    session.submit("Also check the logs {{say Both are checked.}}").unwrap();
    assert_eq!(session.pending_steers().len(), 1);
    play(&mut session, false).unwrap();
    session.user_shell("touch canary").unwrap();
    assert!(!Path::new("canary").exists());

    let kinds: Vec<String> = lines(&fs::read_to_string(session.rollout()).unwrap()).iter().skip(11).map(kind).collect();
    let expected = [
        "response_item message - user",
        "event_msg item_completed UserMessage -",
        "response_item custom_tool_call - -",
        "token_usage_record - - -",
        "event_msg item_completed CommandExecution -",
        "response_item custom_tool_call_output - -",
        "event_msg token_count - -",
        "response_item message - user",
        "event_msg item_completed UserMessage -",
        "event_msg item_completed AgentMessage -",
        "response_item message - assistant",
        "token_usage_record - - -",
        "event_msg token_count - -",
        "event_msg task_complete - -",
        "event_msg task_started - -",
        "event_msg item_completed CommandExecution -",
        "response_item message - user",
        "event_msg task_complete - -",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn ordinals_count_and_time_never_goes_back() {
    let lines = played("v0.169", LISTING);
    let ordinals: Vec<u64> = lines.iter().map(|line| line["ordinal"].as_u64().unwrap()).collect();
    assert_eq!(ordinals, (0..lines.len() as u64).collect::<Vec<_>>());
    assert!(lines.windows(2).all(|pair| pair[0]["timestamp"].as_str() <= pair[1]["timestamp"].as_str()));
    assert_eq!(lines[0]["payload"]["id"], lines[0]["payload"]["session_id"]);
}

#[test]
fn the_file_appears_when_the_real_one_does() {
    let home = tempfile::tempdir().unwrap();
    for (dialect, at_start) in [("v0.25", true), ("v0.98", true), ("v0.107", false), ("v0.169", false)] {
        let session = session(dialect, home.path(), "{}");
        assert_eq!(session.rollout().exists(), at_start, "{dialect}");
        assert!(session.rollout().to_string_lossy().ends_with(&format!("-{}.jsonl", session.thread())));
    }
}
