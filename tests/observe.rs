//! Observing a recorded session through the program: register, ingest, cycle, explain, and what goes wrong.

use std::fs;

use crate::support::{Finished, TestEnv, WORKER};

fn kind(run: &Finished) -> String {
    run.error()["kind"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_cycle_tells_what_the_rollout_says_and_consumes_nothing() {
    let env = TestEnv::pair();
    let cycle = env.sh("cycle parser").ok().json();
    assert_eq!(cycle["kind"], "session_cycle");
    assert_eq!(cycle["ingest"]["new_events"], 37);
    assert_eq!(
        (&cycle["condition"], &cycle["state"], &cycle["task_completed"]),
        (&"done".into(), &"idle".into(), &true.into())
    );
    assert_eq!(cycle["judgement"]["rule"], "turn_complete");
    assert_eq!(cycle["judgement"]["source"], "rollout");
    assert_eq!(cycle["consumed_dispatch_notifications"], 0);
    let again = env.sh("cycle parser").ok().json();
    assert_eq!(again["ingest"]["new_events"], 0, "nothing is taken twice");
    assert_eq!(again["cycle_id"], 2);
}

#[test]
fn a_cycle_whose_rollout_is_gone_is_degraded_not_failed() {
    let env = TestEnv::pair();
    env.sh("cycle parser").ok();
    fs::remove_file(env.codex_home().join("sessions/2026/11/21").join(WORKER)).unwrap();
    let cycle = env.sh("cycle parser").ok().json();
    assert_eq!(cycle["degraded"], serde_json::json!(["ingest_rollout"]));
    assert!(cycle["ingest"]["error"].as_str().unwrap().starts_with("rollout file does not exist"), "{cycle}");
    assert_eq!(cycle["condition"], "done", "what is known stays known");
    let listed = env.sh("list").ok();
    assert!(listed.out.contains("! rollout file does not exist"), "the board says so: {listed}");
}

#[test]
fn explain_shows_the_line_behind_the_state() {
    let env = TestEnv::pair();
    let told = env.sh("explain w1").ok();
    assert!(told.out.contains("w1 is done: the last turn ended with an answer"), "{told}");
    assert!(told.out.contains("rule turn_complete from rollout"), "{told}");
    assert!(told.out.contains(r#""type":"task_complete""#), "the very bytes: {told}");
}

#[test]
fn what_was_said_is_left_out_of_tail_unless_asked_for() {
    let env = TestEnv::pair();
    env.sh("ingest w1").ok();
    let said = "The script works and prints a greeting.";
    let redacted = env.sh("tail w1").ok();
    assert!(!redacted.out.contains(said), "{redacted}");
    assert_eq!(redacted.json()[0]["payload"]["last_agent_message_redacted"], true);
    let whole = env.sh("tail w1 --subtype task_complete --include-content").ok().json();
    assert_eq!(whole[0]["payload"]["last_agent_message"], said);
    assert_eq!(whole[0]["payload_source"], "rollout");
}

#[test]
fn a_session_without_a_rollout_awaits_its_first_prompt() {
    let env = TestEnv::new();
    env.sh("register-worker --name w1 --codex-app-thread-id thread-1 --codex-app-thread-title 'A title'").ok();
    assert_eq!(env.sh("ingest w1").ok().json()["awaiting_first_prompt"], true);
    let status = env.sh("status w1").ok().json();
    assert_eq!((&status["condition"], &status["awaiting_first_prompt"]), (&"unknown".into(), &true.into()));
}

#[test]
fn registering_again_keeps_what_is_not_given() {
    let env = TestEnv::pair();
    env.sh("ingest w1").ok();
    env.sh("register-worker --name w1 --codex-app-thread-id t1 --tmux-session codex-w1").ok();
    let again = env.sh("register-worker --name w1 --codex-app-thread-title x").ok();
    let record = env.sh("sessions --name w1").ok().json();
    assert_eq!(record[0]["codex_app_thread_id"], "t1", "{again}");
    assert_eq!(record[0]["tmux_session"], "codex-w1");
    assert_eq!(record[0]["last_ingest_offset"], 29_959, "the offset is not reset");
    assert_eq!(env.sh("ingest w1").ok().json()["new_events"], 0);
}

#[test]
fn bad_input_gives_a_clear_error_and_changes_nothing() {
    let env = TestEnv::pair();
    let cwd = env.cwd();
    fs::write(cwd.join("junk.jsonl"), [0_u8, 159, 146, 150, 10]).unwrap();
    fs::write(cwd.join("empty.jsonl"), "").unwrap();
    fs::write(cwd.join("other.jsonl"), "{\"type\":\"turn_context\",\"payload\":{}}\n").unwrap();
    fs::create_dir(cwd.join("folder")).unwrap();
    std::os::unix::fs::symlink(cwd.join("junk.jsonl"), cwd.join("link.jsonl")).unwrap();
    let before = env.sh("sessions --state all").ok().out;
    let cases = [
        ("ingest nobody", 1, "not_found"),
        ("tail nobody", 1, "not_found"),
        ("cycle nothing", 1, "not_found"),
        ("status nobody", 1, "not_found"),
        ("explain nobody", 1, "not_found"),
        ("sessions --name nobody", 1, "not_found"),
        ("unbind --task nothing", 1, "not_found"),
        ("bind --task parser --worker m1 --manager w1", 1, "refused"),
        ("bind --task parser --worker w1 --manager m1", 1, "conflict"),
        ("deregister w1", 1, "refused"),
        ("register-manager --name w1 --codex-app-thread-id x", 1, "conflict"),
        ("register-worker --name w9", 2, "usage"),
        ("register-worker --name 'a b' --pid 1", 2, "usage"),
        ("register-worker --name w9 --codex-session missing.jsonl", 1, "not_found"),
        ("register-worker --name w9 --codex-session junk.jsonl", 1, "refused"),
        ("register-worker --name w9 --codex-session empty.jsonl", 1, "refused"),
        ("register-worker --name w9 --codex-session other.jsonl", 1, "refused"),
        ("register-worker --name w9 --codex-session folder", 1, "refused"),
        ("register-worker --name w9 --codex-session link.jsonl", 1, "refused"),
        ("register-worker --name w9 --codex-session /dev/null", 1, "refused"),
        ("sessions --role boss", 2, "usage"),
        ("sessions --state lost", 2, "usage"),
        ("tail w1 --limit -1", 2, "usage"),
        ("update-status w1 --state lost --current-task x --next-action y", 2, "usage"),
        ("update-status w1 --state done --current-task '' --next-action y", 2, "usage"),
        ("tasks --create parser --goal again", 1, "conflict"),
        ("tasks --create p2", 2, "usage"),
        ("nonsense", 2, "usage"),
    ];
    for (line, code, expected) in cases {
        let run = env.sh(&format!("{line} --json"));
        assert_eq!((run.code, kind(&run).as_str()), (code, expected), "{line}: {run}");
        assert!(run.out.is_empty(), "{line}: stdout stays empty: {run}");
    }
    let after = env.sh("sessions --state all").ok().out;
    assert_eq!(before, after);
}
