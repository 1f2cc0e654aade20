//! `finish-task` and `stop-task`: gates that come from the terms, all told at once, and what becomes of what is left.

use std::{fs, os::unix::fs::PermissionsExt as _, thread};

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{
    count, hidden, in_session, refusal, trail,
    world::{World, gate, open_gates},
};
use crate::support::TestEnv;

fn finish(env: &TestEnv, flags: &str) -> crate::support::Finished {
    env.sh(&format!("finish-task parser --json {flags}"))
}

#[test]
fn a_task_that_is_finished_says_when_who_and_why_and_leaves_nothing_behind() {
    let env = TestEnv::pair();
    env.sh("enqueue-nudge-worker parser --message later").ok();
    env.sh("enqueue-notify-manager parser --message unseen").ok();
    env.sh("dispatch").ok();
    env.sh("dispatch pause --task parser").ok();
    let queued = env.sh("enqueue-nudge-worker parser --message never --json").ok().json()["command_id"].clone();
    let done = finish(&env, "--reason 'every file parses'").ok().json();
    assert_eq!((&done["state"], &done["ok"], &done["finish"]), (&json!("done"), &json!(true), &json!(true)));
    assert_eq!((&done["end"]["by"], &done["end"]["reason"]), (&json!("the operator"), &json!("every file parses")));
    assert!(done["cancelled_commands"].as_array().unwrap().contains(&queued), "{done:#}");
    let tasks = env.sh("tasks --json").ok().json();
    assert_eq!((&tasks[0]["state"], &tasks[0]["end"]), (&json!("done"), &done["end"]));
    let sql = Connection::open(env.ledger()).unwrap();
    let one = |query: &str| -> i64 { sql.query_row(query, [], |row| row.get(0)).unwrap() };
    assert_eq!(one("select count(*) from bindings where state in ('active', 'ending')"), 0);
    assert_eq!(one("select count(*) from commands where phase in ('queued', 'claimed', 'delivered')"), 0);
    assert_eq!(one("select count(*) from routed_notifications where state = 'delivered'"), 0);
    assert_eq!(one("select count(*) from dispatch_pauses"), 0);
    assert_eq!(one("select count(*) from sessions where state = 'active'"), 2, "sessions go on");
    assert_eq!(trail(&env, "finish_task_succeeded").len(), 1);
    let decision = trail(&env, "manager_decision_recorded").pop().unwrap();
    assert_eq!(decision["payload"]["decision_id"], done["final_decision_id"]);
    // Nothing goes to a task that has ended, and its name is free again.
    assert_ne!(env.sh("enqueue-nudge-worker parser --message x").code, 0);
    assert_eq!(env.sh("dispatch --json").ok().json()["processed"], json!([]));
    assert_ne!(env.sh(&format!("dispatch retry {}", queued.as_str().unwrap())).code, 0);
    env.sh("tasks --create parser --goal again").ok();
}

#[test]
fn all_that_is_in_the_way_is_told_at_once_and_is_on_record() {
    let env = TestEnv::pair();
    env.sh("manager-config parser --mode strict --require-acks --epilogue record-handoff --acceptance 'it parses'")
        .ok();
    let before = env.sh("tasks --json").ok().json();
    let run = finish(&env, "--require-adversarial-proof --strict-decisions");
    assert_eq!(run.code, 3, "{run}");
    let told = run.json();
    assert_eq!(open_gates(&told), ["decision", "criteria", "adversarial_proof", "acknowledgements", "epilogue"]);
    assert_eq!(
        gate(&told, "criteria")["reasons"],
        json!(["#1 is open: it parses", "no criterion is satisfied: nothing says that anything was delivered"])
    );
    assert_eq!(gate(&told, "acknowledgements")["reasons"], json!(["worker: missing", "manager: missing"]));
    assert_eq!(gate(&told, "decision")["wanted_by"], "flag");
    let refused = trail(&env, "finish_task_refused");
    assert_eq!((refused.len(), &refused[0]["payload"]["gates"]), (1, &told["gates"]));
    assert_eq!(env.sh("tasks --json").ok().json(), before);
    assert_eq!(count(&env, "manager_decisions"), 0);
}

#[test]
fn a_rehearsal_shows_every_gate_and_writes_nothing() {
    let env = TestEnv::pair();
    env.sh("manager-config parser --require-acks").ok();
    let before = count(&env, "events");
    let run = finish(&env, "--dry-run");
    assert_eq!((run.code, open_gates(&run.json())), (3, vec!["acknowledgements".to_owned()]), "{run}");
    env.sh("manager-config parser --unset require-acks").ok();
    let run = finish(&env, "--dry-run").ok().json();
    assert_eq!((&run["ok"], &run["dry_run"]), (&json!(true), &json!(true)));
    assert_eq!(env.sh("tasks --json").ok().json()[0]["state"], "managed");
    assert_eq!(count(&env, "events"), before + 1, "only the change of the terms");
}

#[test]
fn who_does_not_supervise_a_task_does_not_end_it() {
    let env = TestEnv::pair();
    env.sh("manager-config parser --permit worker_session.stop").ok();
    env.sh("register-manager --name m2 --codex-app-thread-id x").ok();
    for verb in ["finish-task", "stop-task"] {
        for name in ["w1", "m2"] {
            let run = in_session(&env, name, &format!("{verb} parser --json"));
            assert_eq!((run.code, open_gates(&run.json())), (3, vec!["permission".to_owned()]), "{run}");
        }
        let run = hidden(&env, &format!("{verb} parser --json"));
        assert_eq!((run.code, open_gates(&run.json())), (3, vec!["permission".to_owned()]), "{run}");
    }
    let run = in_session(&env, "m1", "finish-task parser --stop-manager --json");
    assert_eq!(gate(&run.json(), "permission")["reasons"], json!(["to stop the manager: only_an_operator"]));
    assert_eq!(env.sh("tasks --json").ok().json()[0]["state"], "managed");
    assert_eq!(trail(&env, "finish_task_refused").len(), 4);
    in_session(&env, "m1", "finish-task parser --json").ok();
}

#[test]
fn a_manager_ends_no_task_without_terms_and_stops_only_with_the_permission() {
    let env = TestEnv::pair();
    let run = in_session(&env, "m1", "finish-task parser --json");
    assert_eq!((run.code, &gate(&run.json(), "permission")["reasons"]), (3, &json!(["missing_manager_config"])));
    env.sh("manager-config parser --mode light").ok();
    for line in ["finish-task parser --stop-worker --json", "stop-task parser --json"] {
        let run = in_session(&env, "m1", line);
        let reasons = json!(["worker_session.stop: permission_not_enabled"]);
        assert_eq!((run.code, &gate(&run.json(), "permission")["reasons"]), (3, &reasons), "{line}");
    }
    env.sh("manager-config parser --permit worker_session.stop").ok();
    let done = in_session(&env, "m1", "stop-task parser --reason 'no use' --stop-worker --json").ok().json();
    assert_eq!((&done["state"], &done["end"]["by"]), (&json!("failed"), &json!("manager m1")));
    assert_eq!((&done["sessions"][0]["ok"], &done["sessions"][0]["name"]), (&json!(true), &json!("w1")));
}

#[test]
fn under_strict_terms_a_manager_decides_first_and_the_decision_is_fresh() {
    let env = TestEnv::pair();
    env.sh("manager-config parser --mode strict").ok();
    let world = World::of(&env);
    world.satisfied("it parses");
    let line = "finish-task parser --json";
    assert_eq!(open_gates(&in_session(&env, "m1", line).json()), ["decision"]);
    let nudge = in_session(&env, "m1", "record-decision parser nudge --reason r --json").ok().json()["id"].clone();
    let run = in_session(&env, "m1", &format!("{line} --decision-id {nudge}"));
    assert_eq!(gate(&run.json(), "decision")["reasons"], json!(["decision_mismatch"]));
    let stop = in_session(&env, "m1", "record-decision parser stop --reason r --json").ok().json()["id"].clone();
    let sql = Connection::open(env.ledger()).unwrap();
    sql.execute("update manager_decisions set created_at = '2026-11-21T01:00:00.000Z' where decision = 'stop'", [])
        .unwrap();
    let run = in_session(&env, "m1", &format!("{line} --decision-id {stop}"));
    assert_eq!(gate(&run.json(), "decision")["reasons"], json!(["decision_stale"]));
    let stop = in_session(&env, "m1", "record-decision parser stop --reason r --json").ok().json()["id"].clone();
    in_session(&env, "m1", &format!("{line} --decision-id {stop}")).ok();
}

#[test]
fn a_task_that_is_done_can_still_be_cleaned_up_and_what_is_gone_is_stopped() {
    let env = TestEnv::pair();
    finish(&env, "--reason first").ok();
    let again = finish(&env, "--reason second").ok().json();
    assert_eq!(
        (&again["already_done_followup"], &again["end"]["reason"]),
        (&json!(true), &json!("first")),
        "how it ended stays as it was"
    );
    let (code, told) = refusal(&in_session(&env, "m1", "finish-task parser --stop-worker --json"));
    assert_eq!((code, told.contains("stops no session of it")), (3, true), "{told}");
    let (code, told) = refusal(&env.sh("stop-task parser --json"));
    assert_eq!((code, told.starts_with("task \"parser\" is already done")), (1, true), "{told}");
    // The manager works on something else by now: it is not stopped.
    env.sh("tasks --create next --goal g").ok();
    env.sh("register-worker --name w2 --codex-app-thread-id x").ok();
    env.sh("bind --task next --worker w2 --manager m1").ok();
    let run = finish(&env, "--stop-worker --stop-manager");
    assert_eq!(run.code, 1, "{run}");
    let sessions = run.json()["sessions"].clone();
    assert_eq!((&sessions[0]["name"], &sessions[0]["ok"]), (&json!("w1"), &json!(true)));
    assert_eq!((&sessions[1]["name"], &sessions[1]["error"]), (&json!("m1"), &json!("it works on another task now")));
    let again = finish(&env, "--stop-worker").ok().json();
    assert_eq!((&again["sessions"][0]["ok"], &again["sessions"][0]["stop"]), (&json!(true), &Value::Null));
    let states = env.sh("sessions --state all --json").ok().json();
    let state =
        |name: &str| states.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()["state"].clone();
    assert_eq!((state("w1"), state("m1")), (json!("gone"), json!("active")));
}

#[test]
fn a_task_that_was_stopped_is_told_as_stopped_and_its_name_is_not_taken_silently() {
    let env = TestEnv::pair();
    assert_eq!(env.sh("tasks --create next --goal g --json").ok().json()["earlier"], Value::Null);
    env.sh("stop-task parser --reason 'no use'").ok();
    let tasks = env.sh("tasks").ok().out;
    assert!(tasks.contains("parser\tstopped\t") && !tasks.contains("failed"), "{tasks}");
    // Scripts read what is on record.
    let listed = env.sh("tasks --filter state:stopped --json").ok().json();
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["state"]), (Some(1), &json!("failed")), "{listed:#}");
    let told = refusal(&env.sh("finish-task parser --json")).1;
    assert!(told.starts_with("task \"parser\" is already stopped"), "{told}");
    let said = env.sh("tasks --create parser --goal again").ok().out;
    let id = listed[0]["id"].as_str().unwrap();
    assert!(said.contains("an earlier task of this name is stopped") && said.contains(id), "{said}");
    // From here on an open task has the name.
    let told = refusal(&env.sh("tasks --create parser --goal again --json")).1;
    assert!(told.contains("an open task is already named"), "{told}");
}

#[test]
fn of_many_that_finish_a_task_at_the_same_time_one_does() {
    let env = TestEnv::live();
    env.sh("tasks --create parser --goal g").ok();
    let done: Vec<Value> = thread::scope(|scope| {
        let runs: Vec<_> = (0..6)
            .map(|_| {
                let mut command = env.command();
                scope.spawn(move || command.args(["finish-task", "parser", "--json"]).output().unwrap().stdout)
            })
            .collect();
        runs.into_iter().map(|run| serde_json::from_slice(&run.join().unwrap()).unwrap()).collect()
    });
    assert_eq!(done.iter().filter(|one| one["already_done_followup"] == false).count(), 1, "{done:#?}");
    assert_eq!(trail(&env, "finish_task_succeeded").len(), 1);
}

#[test]
fn what_is_captured_before_a_session_is_stopped_is_kept_by_its_hash_and_a_missing_one_is_a_gate() {
    let env = TestEnv::pair();
    let flags = "--stop-worker --capture-transcript-before-stop --require-transcript-segment";
    let run = finish(&env, flags);
    assert_eq!((run.code, open_gates(&run.json())), (3, vec!["transcript".to_owned()]), "{run}");
    let (code, _) = refusal(&finish(&env, "--require-transcript-segment"));
    assert_eq!(code, 2, "it goes with a capture");
}

/// What an operator writes into the terms binds, whatever somebody has done with the same words before.
#[test]
fn what_the_terms_ask_for_is_delivered_or_settled_by_the_operator() {
    let env = TestEnv::pair();
    let add = |text: &str, then: &str| {
        let add = "criteria parser --json --add --source manager_inferred --status proposed --criterion";
        let line = format!("{add} '{text}'");
        let id = in_session(&env, "m1", &line).ok().json()["affected_criterion"]["id"].as_i64().unwrap();
        if !then.is_empty() {
            in_session(&env, "m1", &format!("criteria parser --json --{then} {id} --rationale 'not now'")).ok();
        }
        id
    };
    let status = |id: i64| {
        let all = env.sh("criteria parser --list --json").ok().json();
        let one = all["criteria"].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap().clone();
        one["status"].as_str().unwrap().to_owned()
    };
    let (a, b, c) = (add("a", ""), add("b", "defer"), add("c", "reject"));
    // The manager's own terms do not change what was decided, and do not hide it either.
    env.sh("manager-config parser --mode light").ok();
    in_session(&env, "m1", "manager-config parser --acceptance c --json").ok();
    assert_eq!(status(c), "rejected");
    let reasons = || gate(&finish(&env, "--dry-run").json(), "criteria")["reasons"].clone();
    assert_eq!(reasons(), json!(["the terms ask for it, and it is not satisfied: c"]));
    env.sh("manager-config parser --acceptance a --acceptance b --acceptance c").ok();
    assert_eq!([status(a), status(b), status(c)], ["accepted", "accepted", "accepted"]);
    assert_eq!(reasons(), json!(["#1 is open: a", "#2 is open: b", "#3 is open: c"]));
    let history = env.sh("criteria parser --list --history --json").ok().json();
    let rejected =
        history["criteria"].as_array().unwrap().iter().find(|one| one["id"] == c).unwrap()["history"].clone();
    let newest = rejected.as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&newest["from"], &newest["to"], &newest["actor"]),
        (&json!("rejected"), &json!("accepted"), &json!("operator"))
    );
    // What the operator settles stays settled when other terms change.
    for id in [a, b, c] {
        env.sh(&format!("criteria parser --reject {id} --rationale 'no use'")).ok();
    }
    env.sh("manager-config parser --objective other").ok();
    assert_eq!([status(a), status(b), status(c)], ["rejected", "rejected", "rejected"]);
    finish(&env, "").ok();
}

/// While `git` looks at the folder, the operator gives the task to another worker.
#[test]
fn a_task_that_is_bound_anew_while_it_is_looked_at_stops_nobody() {
    let env = TestEnv::pair();
    World::of(&env);
    env.sh("register-worker --name w2 --codex-app-thread-id x").ok();
    let tools = env.cwd().join("tools");
    fs::create_dir_all(&tools).unwrap();
    let path = std::env::var("PATH").unwrap();
    let conveyor =
        format!("CONVEYOR_TEST_IDS=900000 '{}' --path '{}'", env!("CARGO_BIN_EXE_conveyor"), env.ledger().display());
    let script = format!(
        "#!/bin/sh\nif mkdir '{}/once' 2>/dev/null; then {conveyor} unbind --task parser && {conveyor} bind --task parser \
         --worker w2 --manager m1; fi >'{0}/log' 2>&1\nPATH='{path}' exec git \"$@\"\n",
        tools.display()
    );
    fs::write(tools.join("git"), script).unwrap();
    fs::set_permissions(tools.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let run = env
        .command()
        .env("PATH", format!("{}:{path}", tools.display()))
        .args(["finish-task", "parser", "--stop-worker", "--json"])
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&run.stdout).unwrap();
    let reason = "the binding was changed while it was looked at: run it again";
    assert_eq!((run.status.code(), &gate(&told, "permission")["reasons"]), (Some(3), &json!([reason])), "{told:#}");
    let sessions = env.sh("sessions --state all --json").ok().json();
    assert!(sessions.as_array().unwrap().iter().all(|one| one["state"] == "active"), "{sessions:#}");
    assert!(trail(&env, "finish_task_succeeded").is_empty());
}
