//! Permissions hold: what a session does to another one is checked by where it comes from, in the action and again in
//! Dispatch.

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{count, hidden, in_session, refusal, trail};
use crate::support::TestEnv;

fn newest_command(env: &TestEnv) -> Value {
    let commands = env.sh("commands --json").ok().json();
    commands.as_array().unwrap().last().unwrap().clone()
}

/// Weakness 68 of the predecessor: interrupting, stopping and answering asked for no permission.
#[test]
fn a_manager_needs_a_permission_for_what_changes_the_course_of_its_worker() {
    let env = TestEnv::pair();
    let lines = [
        ("session-interrupt w1", "interrupt", "worker_session.interrupt"),
        ("stop w1", "stop", "worker_session.stop"),
        ("session-answer w1 --decision decline --question q-0000000000000000", "decline", "worker_session.interrupt"),
    ];
    for (line, action, permission) in lines {
        let (code, told) = refusal(&in_session(&env, "m1", &format!("{line} --json")));
        assert_eq!(code, 3, "{line}: {told}");
        assert!(told.starts_with(&format!("manager m1 may not {action} w1: missing_manager_config; ")), "{told}");
        assert!(told.contains(&format!("conveyor manager-config parser --permit {permission}")), "{told}");
    }
    env.sh("manager-config parser --permit repo.open_pr").ok();
    for (line, action, _) in lines {
        let (code, told) = refusal(&in_session(&env, "m1", &format!("{line} --json")));
        assert_eq!(code, 3, "{line}: {told}");
        assert!(told.contains(&format!("may not {action} w1: permission_not_enabled")), "{told}");
    }
    let checks = trail(&env, "manager_permission_checked");
    assert_eq!(checks.len(), 6);
    for check in &checks {
        assert_eq!((&check["actor"], &check["payload"]["allowed"]), (&"manager".into(), &false.into()));
        assert!(check["payload"].get("config").is_none(), "the config is not stored with each check");
    }
    env.sh("manager-config parser --permit worker_session.interrupt --permit worker_session.stop").ok();
    for (line, action, _) in lines {
        let run = in_session(&env, "m1", &format!("{line} --json"));
        assert_ne!(run.code, 3, "{line}: {run}");
        let last = trail(&env, "manager_permission_checked").pop().unwrap();
        assert_eq!((&last["payload"]["action"], &last["payload"]["allowed"]), (&action.into(), &true.into()));
    }
}

#[test]
fn an_approval_is_for_a_person_whatever_the_terms_say() {
    let env = TestEnv::pair();
    env.sh("manager-config parser --permit worker_session.interrupt --permit worker_session.stop").ok();
    let line = "session-answer w1 --decision approve --question q-0000000000000000";
    let (code, told) = refusal(&in_session(&env, "m1", &format!("{line} --json")));
    assert_eq!(code, 3, "{told}");
    assert!(told.starts_with("manager m1 may not approve w1: only_an_operator"), "{told}");
    assert_ne!(env.sh(line).code, 3, "an operator is not gated");
}

#[test]
fn a_worker_changes_nobodys_course_and_an_operator_is_not_gated() {
    let env = TestEnv::pair();
    env.sh("manager-config parser --permit worker_session.interrupt --permit worker_session.stop").ok();
    for line in ["session-interrupt m1", "stop m1", "stop w1", "session-interrupt w1"] {
        let (code, told) = refusal(&in_session(&env, "w1", &format!("{line} --json")));
        assert_eq!(code, 3, "{line}: {told}");
        assert!(told.contains("workers_may_not"), "{line}: {told}");
    }
    let before = count(&env, "events");
    assert_ne!(env.sh("session-interrupt w1").code, 3);
    assert_eq!(trail(&env, "manager_permission_checked").len(), 4, "no check is made of a person");
    assert!(count(&env, "events") >= before);
}

#[test]
fn a_manager_speaks_with_its_own_worker_and_with_nobody_elses() {
    let env = TestEnv::pair();
    env.sh("register-worker --name w2 --codex-app-thread-id thread-2").ok();
    let own = in_session(&env, "m1", "enqueue-nudge-worker parser --message hello --json").ok().json();
    assert_eq!((&own["phase"], &own["required_permission"]), (&"queued".into(), &Value::Null));
    let direct = in_session(&env, "m1", "session-nudge w1 hello --no-wait --json").ok().json();
    assert_ne!(direct["phase"], "blocked");
    let command = newest_command(&env);
    assert_eq!((&command["created_by"], &command["source_session"]), (&"manager".into(), &"m1".into()));
    let told = in_session(&env, "w1", "enqueue-notify-manager parser --message done --json").ok().json();
    assert_eq!(told["phase"], "queued");
    let other = in_session(&env, "m1", "session-nudge w2 hello --no-wait --json");
    assert_eq!(other.code, 3, "{other}");
    assert_eq!(other.json()["phase"], "blocked");
    let command = newest_command(&env);
    assert_eq!(
        (&command["phase"], &command["reason"]),
        (&"blocked".into(), &"manager m1 may not nudge w2: not_its_worker".into())
    );
    let dispatched = env.sh("dispatch --json").ok().json();
    let ids: Vec<_> = dispatched["processed"].as_array().unwrap().iter().map(|one| &one["command_id"]).collect();
    assert!(!ids.contains(&&command["id"]), "it goes nowhere: {dispatched:#}");
    // Whoever may not send it may not send it again.
    let id = command["id"].as_str().unwrap();
    let (code, told) = refusal(&in_session(&env, "m1", &format!("dispatch retry {id} --json")));
    assert_eq!((code, told.starts_with("an operator decides about")), (3, true), "{told}");
    let by_nobody = env.sh("session-nudge w2 hello --no-wait --json").ok().json();
    assert_ne!(by_nobody["phase"], "blocked");
}

#[test]
fn what_was_allowed_when_it_was_sent_is_checked_again_when_it_goes() {
    let env = TestEnv::pair();
    env.sh("enqueue-nudge-worker parser --message x --idempotency-key k1").ok();
    // As a session's request with a permission is stored.
    let sql = Connection::open(env.ledger()).unwrap();
    sql.execute("update commands set required_permission = 'worker_session.compact'", []).unwrap();
    let item = env.sh("dispatch --json").ok().json()["processed"][0].clone();
    let check = json!({"allowed": false, "configured": false, "required_permission": "worker_session.compact"});
    assert_eq!((&item["state"], &item["permission_check"]), (&"blocked".into(), &check), "{item:#}");
    let command = newest_command(&env);
    assert_eq!(command["phase"], "blocked");
    assert!(command["reason"].as_str().unwrap().contains("terms do not allow"), "{command:#}");
    env.sh("manager-config parser --permit worker_session.compact").ok();
    env.sh(&format!("dispatch retry {}", command["id"].as_str().unwrap())).ok();
    let item = env.sh("dispatch --json").ok().json()["processed"][0].clone();
    assert_eq!((&item["permission_check"]["allowed"], &item["phase"]), (&true.into(), &"delivered".into()), "{item:#}");
}

#[test]
fn a_session_that_hides_is_held_by_the_terms_of_the_task_that_it_reaches_into() {
    let env = TestEnv::pair();
    let line = "session-interrupt w1 --json";
    let (code, told) = refusal(&hidden(&env, line));
    assert_eq!(code, 3, "{told}");
    assert!(told.starts_with("a session of Codex's that cannot be told from here may not interrupt w1: "), "{told}");
    let (code, told) = refusal(&hidden(&env, "manager-config parser --permit worker_session.interrupt --json"));
    assert_eq!(code, 3, "{told}");
    let (code, told) = refusal(&hidden(&env, "stop m1 --json"));
    assert_eq!((code, told.contains("not_its_worker")), (3, true), "{told}");
    env.sh("manager-config parser --permit worker_session.interrupt").ok();
    assert_ne!(hidden(&env, line).code, 3, "the terms allow it now");
    let nudge = hidden(&env, "enqueue-nudge-worker parser --message hello --json").ok().json();
    assert_eq!(nudge["phase"], "queued", "speaking needs no permission");
    env.sh("dispatch pause").ok();
    let (code, told) = refusal(&hidden(&env, "dispatch resume --json"));
    assert_eq!((code, told.starts_with("an operator ends a pause")), (3, true), "{told}");
    env.sh("dispatch resume").ok();
}

#[test]
fn a_session_does_not_leave_its_terms_by_becoming_somebody_else() {
    let env = TestEnv::pair();
    env.sh("tasks --create wide --goal g").ok();
    env.sh("manager-config wide --permit worker_session.stop").ok();
    in_session(&env, "m1", "unbind --task parser --json").ok();
    for (line, words) in [
        ("deregister m1", "may not deregister a session"),
        ("register-manager --name m1 --codex-app-thread-id other", "may not register anew what is registered"),
        (
            "bind --task wide --worker w1 --manager m1",
            "may not bind sessions to \"wide\", whose terms give permissions",
        ),
    ] {
        let (code, told) = refusal(&in_session(&env, "m1", &format!("{line} --json")));
        assert_eq!((code, told.contains(words)), (3, true), "{line}: {told}");
    }
    in_session(&env, "m1", "bind --task parser --worker w1 --manager m1 --json").ok();
    env.sh("unbind --task parser").ok();
    env.sh("bind --task wide --worker w1 --manager m1").ok();
    env.sh("register-manager --name m1 --codex-app-thread-id other").ok();
}

#[test]
fn a_message_of_a_session_that_hides_is_not_said_to_be_the_operators() {
    let env = TestEnv::pair();
    hidden(&env, "session-nudge w1 hello --no-wait --json");
    let command = newest_command(&env);
    assert_eq!((&command["created_by"], &command["source_session"]), (&"session".into(), &Value::Null));
    env.sh("session-nudge w1 hello --no-wait").ok();
    assert_eq!(newest_command(&env)["created_by"], "operator");
}

/// Weakness 63 of the predecessor: a compaction satisfied its gate by writing the decision itself, and left it behind
/// when it was refused.
#[test]
fn a_refused_compaction_leaves_no_decision_and_stands_among_the_commands() {
    let env = TestEnv::pair();
    let steps = [
        ("", json!(["missing_manager_config", "missing_worker_handoff"])),
        (
            "manager-config parser --permit worker_session.clear",
            json!(["permission_not_enabled", "missing_worker_handoff"]),
        ),
        ("manager-config parser --permit worker_session.compact", json!(["missing_worker_handoff"])),
    ];
    for (before, reasons) in steps {
        if !before.is_empty() {
            env.sh(before).ok();
        }
        let run = in_session(&env, "m1", "compact-worker parser --reason full --no-wait --json");
        assert_eq!(run.code, 3, "{run}");
        assert_eq!(run.json()["permission_check"]["reasons"], reasons, "{run}");
        assert_eq!(count(&env, "manager_decisions"), 0);
        let command = newest_command(&env);
        assert_eq!((&command["type"], &command["phase"]), (&"request_worker_compact".into(), &"blocked".into()));
        assert_eq!(command["required_permission"], "worker_session.compact");
    }
    // To clear is another permission than to compact.
    env.sh("manager-config parser --unset permit --permit worker_session.compact").ok();
    let run = in_session(&env, "m1", "compact-worker parser --clear --reason full --no-wait --json");
    let (reasons, command) = (run.json()["permission_check"]["reasons"].clone(), newest_command(&env));
    assert_eq!((run.code, reasons), (3, json!(["permission_not_enabled", "missing_worker_handoff"])), "{run}");
    assert_eq!(
        (&command["type"], &command["required_permission"]),
        (&"request_worker_clear".into(), &"worker_session.clear".into())
    );
    // With a handoff the gate is passed; that nothing reaches the worker here is another matter.
    let handoff = in_session(&env, "w1", "handoff parser --summary done --next-step more --json").ok().json();
    let (code, told) = refusal(&in_session(&env, "m1", "compact-worker parser --reason full --no-wait --json"));
    assert_eq!((code, told.starts_with("the context of \"w1\" cannot be compacted from here")), (1, true), "{told}");
    assert_eq!((count(&env, "manager_decisions"), handoff["id"].as_i64()), (0, Some(1)));
    // A handoff from before the binding does not hold.
    env.sh("unbind --task parser").ok();
    env.sh("bind --task parser --worker w1 --manager m1").ok();
    let run = in_session(&env, "m1", "request-worker-compact parser --no-wait --json");
    assert_eq!((run.code, &run.json()["permission_check"]["reasons"]), (3, &json!(["stale_worker_handoff"])), "{run}");
}

#[test]
fn a_strict_request_needs_a_fresh_decision_of_its_task_to_nudge() {
    let env = TestEnv::pair();
    env.sh("tasks --create other --goal g").ok();
    let decide = |line: &str| env.sh(&format!("record-decision {line} --reason why --json")).ok().json()["id"].clone();
    let (old, wait, other) = (decide("parser nudge"), decide("parser wait"), decide("other nudge"));
    let sql = Connection::open(env.ledger()).unwrap();
    sql.execute("update manager_decisions set created_at = '2026-11-21T02:00:00.000Z' where id = 1", []).unwrap();
    for (flags, warning) in [
        (String::new(), "missing_decision_id"),
        ("--decision-id 99".to_owned(), "decision_not_found"),
        (format!("--decision-id {old}"), "decision_stale"),
        (format!("--decision-id {wait}"), "decision_mismatch"),
        (format!("--decision-id {other}"), "decision_task_mismatch"),
    ] {
        let run = env.sh(&format!("request-worker-compact parser --strict-decisions {flags} --no-wait --json"));
        let (code, told) = refusal(&run);
        assert_eq!(code, 3, "{flags}: {told}");
        assert!(told.contains(&format!("\"warnings\":[\"{warning}\"]")), "{flags}: {told}");
    }
    assert_eq!((count(&env, "commands"), trail(&env, "worker_compact_request_refused").len()), (0, 5));
    let good = decide("parser nudge");
    let run =
        env.sh(&format!("request-worker-compact parser --strict-decisions --decision-id {good} --no-wait --json"));
    let (code, told) = refusal(&run);
    assert_eq!((code, told.starts_with("the context of \"w1\" cannot be compacted")), (1, true), "{told}");
}

#[test]
fn a_request_for_a_handoff_is_a_message_and_compacts_nothing() {
    let env = TestEnv::pair();
    let asked = in_session(&env, "m1", "request-worker-compact parser --prompt-only --no-wait --json").ok().json();
    assert_eq!((&asked["slash_command"], &asked["permission_check"]["action"]), (&Value::Null, &"nudge".into()));
    assert!(asked["send_text"].as_str().unwrap().contains("handoff"), "{asked:#}");
    assert_eq!(newest_command(&env)["type"], "nudge_worker");
    let own = "compact-worker parser --reason r --prompt-only --message 'write a handoff' --no-wait --json";
    let own = in_session(&env, "m1", own).ok().json();
    assert_eq!((&own["send_text"], &own["manager_decision"]["ok"]), (&"write a handoff".into(), &true.into()));
    assert_eq!(count(&env, "manager_decisions"), 1);
}
