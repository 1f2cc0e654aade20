//! `worker-ack`, `manager-ack`, `handoff`, `record-decision`, `manager-permission`: what is said, and whether it holds.

use std::thread;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{count, in_session, in_session_with, refusal, trail};
use crate::support::{Finished, TestEnv};

fn say(env: &TestEnv, role: &str, what: &str) -> Finished {
    let session = if role == "worker" { "w1" } else { "m1" };
    let words = [&format!("{role}-ack"), "parser", "--from-stdin", "--json"];
    in_session_with(env, session, || env.run_with_input(words, what.as_bytes()))
}

#[test]
fn cycle_waits_until_both_sides_have_acknowledged_what_is_in_force() {
    let env = TestEnv::pair();
    env.sh("cycle parser").ok();
    env.sh("manager-config parser --require-acks").ok();
    let missing = |words: &str| {
        let (code, told) = refusal(&env.sh("cycle parser --json"));
        assert_eq!(code, 3, "{told}");
        let wanted = format!("cycle requires current acknowledgement(s) before first observation: {words}; ");
        assert!(told.starts_with(&wanted), "{told}");
    };
    missing("worker, manager");
    let ack = say(&env, "worker", r#"{"ready_to_start": true}"#).ok().json();
    assert_eq!(
        (&ack["revision"], &ack["manager_config_revision"], &ack["fresh"]),
        (&1.into(), &1.into(), &true.into())
    );
    missing("manager");
    say(&env, "manager", r#"{"task": "parser"}"#).ok();
    let context = env.sh("cycle parser").ok().json()["manager_context"].clone();
    assert_eq!(
        (&context["worker_ack"]["fresh"], &context["manager_config"]["require_acks"]),
        (&json!(true), &json!(true))
    );
    // Other terms, other acknowledgements.
    env.sh("manager-config parser --objective more").ok();
    missing("worker, manager");
    let shown = env.sh("worker-ack parser").ok().json();
    assert_eq!((&shown["fresh"], &shown["stale_reasons"]), (&false.into(), &json!(["other_config_revision"])));
    say(&env, "worker", "{}").ok();
    say(&env, "manager", "{}").ok();
    env.sh("cycle parser").ok();
    // And another binding.
    env.sh("unbind --task parser").ok();
    env.sh("bind --task parser --worker w1 --manager m1").ok();
    missing("worker, manager");
    let failed = trail(&env, "cycle_failed");
    assert_eq!(failed.len(), 4, "each refusal is on record");
}

#[test]
fn terms_that_nobody_has_seen_are_not_acknowledged() {
    let env = TestEnv::pair();
    env.sh("manager-ack parser --expect-version 0 --from-stdin={}").ok();
    env.sh("manager-config parser --require-acks").ok();
    let (code, told) = refusal(&env.sh("manager-ack parser --expect-version 0 --from-stdin={} --json"));
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("were changed meanwhile: they are of revision 1"), "{told}");
    assert_eq!(env.sh("manager-ack parser").ok().json()["revision"], 1, "nothing was said");
    let ack = env.sh("manager-ack parser --expect-version 1 --from-stdin={}").ok().json();
    assert_eq!((&ack["manager_config_revision"], &ack["fresh"]), (&1.into(), &true.into()));
}

/// Weakness 69 of the predecessor: revisions were counted in one statement and written in another.
#[test]
fn acknowledgements_at_the_same_time_get_revisions_of_their_own() {
    let env = TestEnv::live();
    env.sh("tasks --create parser --goal g").ok();
    thread::scope(|scope| {
        for _ in 0..8 {
            let mut command = env.command();
            scope.spawn(move || {
                let output = command.args(["worker-ack", "parser", "--from-stdin={}"]).output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            });
        }
    });
    let sql = Connection::open(env.ledger()).unwrap();
    let revisions: Vec<i64> = sql
        .prepare("select revision from task_acknowledgements order by revision")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(revisions, (1..=8).collect::<Vec<i64>>());
    let twice = sql.execute(
        "insert into task_acknowledgements select 99, task_id, binding_id, role, payload_json, revision, \
        manager_config_revision, created_at, correlation_id from task_acknowledgements where revision = 1",
        [],
    );
    assert!(twice.is_err(), "the index keeps them apart");
}

#[test]
fn each_side_speaks_for_itself() {
    let env = TestEnv::pair();
    for (session, line) in [
        ("m1", "worker-ack parser --from-stdin={}"),
        ("w1", "manager-ack parser --from-stdin={}"),
        ("w1", "record-decision parser wait --reason r"),
    ] {
        let (code, told) = refusal(&in_session(&env, session, &format!("{line} --json")));
        assert_eq!(code, 3, "{line}: {told}");
    }
    env.sh("register-manager --name m2 --codex-app-thread-id x").ok();
    for line in ["handoff parser --summary s", "record-decision parser wait --reason r"] {
        let (code, told) = refusal(&in_session(&env, "m2", &format!("{line} --json")));
        assert_eq!(code, 3, "{line}: {told}");
    }
    assert_eq!(
        count(&env, "task_acknowledgements") + count(&env, "worker_handoffs") + count(&env, "manager_decisions"),
        0
    );
    for (line, words) in [
        ("worker-ack parser --from-stdin=[]", "--from-stdin must be a JSON object"),
        ("worker-ack parser --from-stdin={", "--from-stdin must be a JSON object: "),
        ("worker-ack parser --from-stdin={} --correlation-id ' '", "--correlation-id takes 1 to 200"),
        ("handoff parser --summary ' '", "--summary must not be empty"),
        ("handoff parser --summary s --payload-json 1", "--payload-json must be a JSON object"),
        ("record-decision parser maybe --reason r", "invalid value 'maybe'"),
        ("record-decision parser wait --reason ''", "--reason must not be empty"),
    ] {
        let (code, told) = refusal(&env.sh(&format!("{line} --json")));
        assert_eq!((code, told.contains(words)), (2, true), "{line}: {told}");
    }
    let (code, told) = refusal(&env.sh("record-decision parser wait --reason r --cycle-id 9 --json"));
    assert_eq!((code, told.as_str()), (1, "task \"parser\" has no cycle 9"));
    assert_eq!(env.sh("worker-ack parser --json").ok().json(), Value::Null);
    let decided = in_session(&env, "m1", "record-decision parser wait --reason 'it works' --json").ok().json();
    let session = Connection::open(env.ledger()).unwrap();
    let id: String = session.query_row("select id from sessions where name = 'm1'", [], |row| row.get(0)).unwrap();
    assert_eq!((&decided["actor"], &decided["manager_session_id"]), (&"manager".into(), &id.into()));
}

/// Weaknesses 66 and 70 of the predecessor: each look at a permission wrote, the whole config included.
#[test]
fn a_look_at_a_permission_writes_nothing() {
    let env = TestEnv::pair();
    let before = count(&env, "events");
    let ask = |line: &str| env.sh(&format!("manager-permission parser {line} --json"));
    let none = ask("repo.open_pr").ok().json();
    assert_eq!(
        (&none["allowed"], &none["reasons"], &none["config"]),
        (&false.into(), &json!(["missing_manager_config"]), &Value::Null)
    );
    assert_eq!(ask("repo.open_pr --require").code, 1);
    assert_eq!((count(&env, "events"), count(&env, "manager_configs")), (before, 0));
    env.sh("manager-config parser --permit repo.open_pr --permit worker_session.clear").ok();
    let before = count(&env, "events");
    assert_eq!(ask("create_pr --require").ok().json()["permissions"], json!(["repo.open_pr"]));
    let both = ask("worker_compact_clear").ok().json();
    assert_eq!(
        (&both["allowed"], &both["reasons"]),
        (&false.into(), &json!(["permission_not_enabled"])),
        "both are needed"
    );
    assert_eq!(ask("worker_session --list").ok().json()["listed_permissions"], json!(["clear"]));
    let handoff = ask("repo.open_pr --require-handoff --require");
    assert_eq!((handoff.code, &handoff.json()["reasons"]), (1, &json!(["missing_worker_handoff"])));
    for (line, words) in [
        ("repo.opn_pr", "unknown permission \"repo.opn_pr\"; did you mean repo.open_pr?"),
        ("repo", "\"repo\" is a category of permissions; add --list"),
        ("repo.open_pr --list", "--list expects a permission category, got: repo.open_pr"),
    ] {
        let (code, told) = refusal(&ask(line));
        assert_eq!((code, told.starts_with(words)), (2, true), "{line}: {told}");
    }
    assert_eq!(count(&env, "events"), before);
}

#[test]
fn what_the_operator_says_for_a_side_is_told_as_the_operators() {
    let env = TestEnv::pair();
    let of = |line: &str| env.sh(line).ok().json()["origin"].clone();
    assert_eq!(of("worker-ack parser --from-stdin={} --json"), "the operator");
    assert_eq!(of("worker-ack parser --json"), "the operator", "and so it stays on record");
    let said = env.sh("worker-ack parser --text").ok().out;
    assert!(said.contains("acknowledgement 1 of the worker, said by the operator for it; it holds"), "{said}");
    assert_eq!(say(&env, "worker", "{}").ok().json()["origin"], "worker w1");
    assert_eq!(of("worker-ack parser --json"), "worker w1");
    let said = env.sh("worker-ack parser --text").ok().out;
    assert!(!said.contains("operator"), "{said}");
    assert_eq!(of("handoff parser --summary done --json"), "the operator");
    env.sh("continuation parser --submit worker --from-stdin='{\"next\": \"more\"}'").ok();
    let listed = env.sh("continuation parser --list --json").ok().json();
    assert_eq!(listed["continuations"][0]["origin"], "the operator", "{listed}");
    let said = env.sh("continuation parser --list --text").ok().out;
    assert!(said.contains("of the worker in") && said.contains(", made by the operator for it"), "{said}");
}
