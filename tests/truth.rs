//! What is said must be known: dead writers, broken looks, rehearsals, and text that nobody asked to see.

use std::fs::{self, File};

use crate::support::TestEnv;

const THREAD: &str = "01a1fbea-9028-71c0-836c-639bcc9377d4";

/// A world with a session, registered by its rollout alone, whose turn is open for minutes.
fn killed() -> TestEnv {
    let env = TestEnv::new();
    let name = format!("rollout-2026-11-21T02-23-35-{THREAD}.jsonl");
    let rollout = env.place_rollout("rollouts/killed_mid_turn.jsonl", &name);
    env.run(["register-worker", "--name", "w1", "--codex-session", rollout.to_str().unwrap()]).ok();
    env
}

#[test]
fn an_old_open_turn_is_busy_only_while_somebody_holds_its_writer_lock() {
    let env = killed();
    let status = || env.sh("status w1").ok().json();
    let unseen = status();
    assert_eq!((&unseen["condition"], &unseen["running"]), (&"unknown".into(), &serde_json::Value::Null));
    assert_eq!(
        (&unseen["judgement"]["rule"], &unseen["judgement"]["agreement"]),
        (&"writer_unseen".into(), &"single".into())
    );

    let locks = env.codex_home().join("thread-writer-locks");
    fs::create_dir_all(&locks).unwrap();
    let lock = File::create(locks.join(format!("{THREAD}.lock"))).unwrap();
    lock.lock().unwrap();
    let held = status();
    assert_eq!((&held["condition"], &held["running"]), (&"busy".into(), &true.into()), "{held}");
    lock.unlock().unwrap();
    let left = status();
    assert_eq!((&left["condition"], &left["running"]), (&"aborted".into(), &false.into()), "{left}");
    assert_eq!(left["judgement"]["reason"], "nobody holds its writer lock, in the middle of a turn");

    fs::remove_file(locks.join(format!("{THREAD}.lock"))).unwrap();
    let missing = status();
    assert_eq!(missing["judgement"]["rule"], "writer_unseen", "a sensor that fell silent is not believed: {missing}");
}

#[test]
fn a_rehearsal_never_sets_up_or_creates_a_ledger() {
    let env = TestEnv::new();
    fs::create_dir_all(env.ledger().parent().unwrap()).unwrap();
    fs::write(env.ledger(), b"").unwrap();
    for line in ["ingest x --dry-run", "ingest x", "tasks --close x --dry-run"] {
        let run = env.sh(&format!("{line} --json"));
        assert_ne!(run.code, 0, "{line}: {run}");
        assert_eq!(fs::metadata(env.ledger()).unwrap().len(), 0, "{line}: {run}");
    }
    env.sh("tasks --create t1 --goal g --dry-run").ok();
    let files = fs::read_dir(env.ledger().parent().unwrap()).unwrap().count();
    assert_eq!((fs::metadata(env.ledger()).unwrap().len(), files), (0, 1));
    env.sh("tasks --create t1 --goal g").ok();
}
