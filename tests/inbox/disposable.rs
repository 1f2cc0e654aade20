//! `create-disposable-binding`: all or nothing, no process, and commands that exist.

use std::{fs, os::unix::fs::PermissionsExt as _};

use conveyor::app;
use serde_json::{Value, json};

use super::{Post, message};
use crate::support::TestEnv;

/// Everything in the answer that is a command line.
fn command_lines(made: &Value) -> Vec<String> {
    let heartbeat = &made["heartbeat_recommendations"];
    let mut lines: Vec<&Value> = made["replay_commands"].as_array().unwrap().iter().collect();
    lines.extend([&heartbeat["status_command"], &heartbeat["teardown_policy"]["terminal_closeout_command"]]);
    for role in ["worker", "manager"] {
        let communication = &made[role]["communication"];
        lines.extend([
            &communication["poll_command"],
            &communication["poll_command_template"],
            &communication["receive_command"],
            &communication["receive_command_template"],
            &communication["ack_command_template"],
            &heartbeat[role]["poll_command"],
            &heartbeat[role]["direct_inbox_command"],
        ]);
    }
    let mut lines: Vec<String> = lines.iter().map(|line| line.as_str().unwrap().to_owned()).collect();
    // The commands in the texts for the sessions.
    let texts = [&made["worker_handoff"], &heartbeat["worker"]["prompt"], &heartbeat["manager"]["prompt"]];
    for text in texts {
        let quoted = text.as_str().unwrap().split('`').filter(|part| part.starts_with("conveyor "));
        lines.extend(quoted.map(|line| line.replace(" ID ", " 7 ").replace("STATUS", "received")));
    }
    lines
}

#[test]
fn every_command_that_it_names_exists() {
    let env = TestEnv::live();
    let made = env.sh("create-disposable-binding parser --goal g --json").ok().json();
    let lines = command_lines(&made);
    assert!(lines.len() >= 28, "{lines:#?}");
    for line in &lines {
        let words = shell_words::split(line).unwrap();
        assert!(app::parse(words).is_ok(), "{line}: {:?}", app::parse(shell_words::split(line).unwrap()).err());
    }
    let sessions = env.sh("sessions --json").ok().json();
    for session in sessions.as_array().unwrap() {
        let line = session["communication"]["poll_command_template"].as_str().unwrap();
        assert!(app::parse(shell_words::split(line).unwrap()).is_ok(), "{line}");
    }
}

#[test]
fn its_sessions_have_no_process_and_get_their_messages() {
    let env = TestEnv::live();
    let made = env
        .sh("create-disposable-binding parser --goal 'accept all' --worker-codex-app-thread-id t1 \
             --worker-codex-app-thread-title 'A worker' --json")
        .ok()
        .json();
    assert_eq!(
        (&made["run"], &made["task"]["created"], &made["task"]["state"]),
        (&Value::Null, &json!(true), &json!("managed"))
    );
    let worker = &made["worker"];
    assert_eq!(
        (&worker["name"], &worker["codex_app_thread_id"], &worker["tmux_session"]),
        (&json!("parser-worker"), &json!("t1"), &Value::Null)
    );
    let communication = &worker["communication"];
    for (key, value) in [
        ("session_kind", json!("codex_app")),
        ("delivery_mode", json!("pull_required")),
        ("requires_polling", json!(true)),
        ("can_receive_push", json!(false)),
        ("detection_source", json!("codex_session_without_tmux")),
    ] {
        assert_eq!(communication[key], value, "{key}");
    }
    let applies = json!({"can_receive_push": false, "delivery_mode": "pull_required", "receive_style": "pull", "session_kind": "codex_app"});
    assert_eq!(made["heartbeat_recommendations"]["applies_when"], applies);
    for session in env.sh("sessions --json").ok().json().as_array().unwrap() {
        assert_eq!((&session["pid"], &session["tmux_pane_id"]), (&Value::Null, &Value::Null), "{session:#}");
    }
    let rollout = env.cwd().join(".codex-workers/disposable-sessions/rollout-parser-worker.jsonl");
    assert_eq!(fs::metadata(&rollout).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(rollout.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(env.sh("ingest parser-worker").ok().json()["new_events"], 1);

    let post = Post::open(&env);
    post.put(&post.session_id("parser-worker"), "do it");
    let line = communication["receive_command"]
        .as_str()
        .unwrap()
        .replace("$TEST", &env.cwd().parent().unwrap().display().to_string());
    let got = env.sh(line.strip_prefix("conveyor ").unwrap()).ok().json();
    assert_eq!(message(&got["received"]), "message do it");
    assert_eq!(env.sh("cycle parser").ok().json()["kind"], "session_cycle");
    let trail = env.sh("events parser").ok().json();
    let kinds: Vec<&str> = trail.as_array().unwrap().iter().filter_map(|event| event["type"].as_str()).collect();
    assert!(kinds.contains(&"disposable_binding_created") && kinds.contains(&"binding_created"), "{kinds:?}");
}

/// What is recorded and what lies in the folder of rollouts.
fn world(env: &TestEnv) -> (Vec<i64>, usize) {
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    let rows = ["tasks", "sessions", "bindings", "events", "rollout_files"]
        .iter()
        .map(|table| sql.query_row(&format!("select count(*) from {table}"), [], |row| row.get(0)).unwrap())
        .collect();
    let folder = env.cwd().join(".codex-workers/disposable-sessions");
    (rows, fs::read_dir(folder).map_or(0, |entries| entries.count()))
}

#[test]
fn it_is_done_whole_or_not_at_all() {
    let env = TestEnv::live();
    assert_eq!(env.sh("create-disposable-binding parser --dry-run --json").ok().json()["dry_run"], true);
    assert!(!env.ledger().exists(), "a rehearsal makes nothing");
    env.sh("tasks --create other --goal g").ok();
    for (role, name) in [("worker", "w1"), ("manager", "m1")] {
        env.sh(&format!("register-{role} --name {name} --codex-app-thread-id {name}")).ok();
    }
    env.sh("bind --task other --worker w1 --manager m1").ok();
    let before = world(&env);
    fs::write(env.cwd().join("file"), "").unwrap();
    let folder = env.cwd().join("taken");
    fs::create_dir(&folder).unwrap();
    let head = r#"{"timestamp":"2026-11-21T02:00:00Z","type":"session_meta","payload":{"id":"somebody-else"}}"#;
    fs::write(folder.join("rollout-parser-manager.jsonl"), format!("{head}\n")).unwrap();
    for (line, kind) in [
        ("other", "conflict"),
        ("parser --worker w1", "conflict"),
        ("parser --manager m1", "conflict"),
        ("parser --worker m1", "refused"),
        ("parser --session-dir file", "io"),
        ("parser --session-dir taken", "conflict"),
        ("parser --goal ' '", "usage"),
        ("parser --worker x --manager x", "usage"),
    ] {
        let run = env.sh(&format!("create-disposable-binding {line} --json"));
        assert_eq!(run.error()["kind"], kind, "{line}: {run}");
        assert_eq!(world(&env), before, "{line} has left something");
    }
    assert!(!folder.join("rollout-parser-worker.jsonl").exists(), "what was written before the failure is gone");
    env.sh("create-disposable-binding parser").ok();
    assert_eq!(env.sh("create-disposable-binding parser --json").error()["kind"], "conflict");
    env.sh("unbind --task parser").ok();
    env.sh("create-disposable-binding parser").ok();
}

#[test]
fn a_running_session_is_not_turned_into_a_disposable_one() {
    let env = TestEnv::live();
    let pid = std::process::id();
    env.sh(&format!("register-worker --name parser-worker --codex-app-thread-id x --pid {pid}")).ok();
    let run = env.sh("create-disposable-binding parser --json");
    assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("conflict")), "{run}");
    assert_eq!(env.sh("sessions --json").ok().json()[0]["pid"], pid);
}
