//! The weaknesses of the predecessor in its evidence, its supervision and its gates, each by its number in the contract:
//! first the way around, which fails, then what is meant.

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{
    count, hidden, in_session, refusal, trail,
    world::{World, gate, open_gates},
};
use crate::support::TestEnv;

fn status(env: &TestEnv, id: i64) -> Value {
    let list = env.sh("criteria parser --list --json").ok().json();
    list["criteria"].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap()["status"].clone()
}

#[test]
fn weakness_45_evidence_is_not_forged_by_adding_it_satisfied_nor_by_satisfying_what_was_rejected() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    let forged = "--add --criterion x --source manager_inferred --status satisfied --evidence-json '{\"evidence_type\": \
                  \"ci_green\", \"status\": \"failed\"}'";
    let (code, told) = refusal(&world.manager(forged));
    assert_eq!((code, told.starts_with("a criterion is not satisfied from its beginning")), (1, true), "{told}");
    let id = world.satisfied("it parses");
    world.manager(&format!("--accept {id} --rationale 'it does not'")).ok();
    // What showed it before shows nothing now: it was taken up again because it was not so.
    let (code, told) = refusal(&world.manager(&format!("--satisfy {id}")));
    assert_eq!((code, told.contains("has no evidence")), (3, true), "{told}");
    world.manager(&format!("--reject {id} --rationale r")).ok();
    let (code, _) = refusal(&world.manager(&format!("--satisfy {id}")));
    assert_eq!((code, status(&env, id)), (1, json!("rejected")));
    let history = env.sh("criteria parser --list --history --json").ok().json()["criteria"][0]["history"].clone();
    assert_eq!(history[1]["evidence"]["links"].as_array().unwrap().len(), 1, "it is not forgotten either");
}

#[test]
fn weakness_46_a_file_is_looked_at_hashed_and_looked_at_again() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    let id = world.accepted("it looks like the reference");
    for missing in ["nothing.png", "../nothing.png"] {
        assert_ne!(world.manager(&format!("--satisfy {id} --artifact {missing}")).code, 0);
    }
    let begun = world.begun(id);
    let at = (begun[14..16].parse().unwrap(), begun[17..19].parse().unwrap());
    world.file("diff.png", "same", at.0, at.1);
    let details = "'{\"evidence_type\": \"visual_diff_report\", \"manager_verified\": true, \"links\": []}'";
    assert_eq!(world.manager(&format!("--satisfy {id} --evidence-json {details}")).code, 2, "nobody says so itself");
    world.manager(&format!("--satisfy {id} --artifact diff.png")).ok();
    std::fs::remove_file(world.folder.join("diff.png")).unwrap();
    let told = env.sh("finish-task parser --json");
    assert_eq!((told.code, open_gates(&told.json())), (3, vec!["criteria".to_owned()]));
}

#[test]
fn weakness_47_a_run_that_failed_or_was_left_shows_nothing() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    env.sh("manager-config parser --epilogue run-tools --tool 'git no-such-verb'").ok();
    let id = world.accepted("x");
    assert_eq!(env.sh("epilogue parser --step run-tools").code, 1);
    let event = trail(&env, "epilogue_step_finished")[0]["id"].clone();
    let (code, told) = refusal(&world.manager(&format!("--satisfy {id} --event {event}")));
    assert_eq!((code, told.contains("a step that failed")), (1, true), "{told}");
    // One whose program vanished is not done either.
    let sql = Connection::open(env.ledger()).unwrap();
    sql.execute("update epilogue_runs set state = 'running', finished_at = null", []).unwrap();
    let reasons = gate(&env.sh("finish-task parser --json").json(), "epilogue")["reasons"].clone();
    assert_eq!(reasons, json!(["run-tools: it runs still, or what ran it has vanished"]));
}

#[test]
fn weakness_48_evidence_that_is_replaced_stays_in_the_history() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    let id = world.satisfied_with("x", &json!({"note": "first"}));
    world.manager(&format!("--accept {id} --rationale again")).ok();
    let byte = world.ran(&world.begun(id), "cargo test", 0);
    // The clock has gone on: a receipt from before it was taken up again is too old.
    let (code, told) = refusal(&world.manager(&format!("--satisfy {id} --byte {byte}")));
    assert_eq!((code, told.contains("is older than the criterion")), (3, true), "{told}");
    let sql = Connection::open(env.ledger()).unwrap();
    let again: String = sql
        .query_row("select max(at) from acceptance_criteria_history where criterion_id = ?1", [id], |row| row.get(0))
        .unwrap();
    let byte = world.ran(&again, "cargo test --all", 0);
    world.manager(&format!("--satisfy {id} --byte {byte} --evidence-json '{{\"note\": \"second\"}}'")).ok();
    let history = env.sh("criteria parser --list --history --json").ok().json()["criteria"][0]["history"].clone();
    let notes: Vec<_> = history.as_array().unwrap().iter().map(|one| one["evidence"]["note"].clone()).collect();
    assert_eq!(notes, [Value::Null, json!("first"), Value::Null, json!("second")]);
}

#[test]
fn weakness_62_a_closing_step_that_did_nothing_is_not_done() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    let steps = ["run-tools", "draft-pr", "subagent-review", "record-handoff"];
    let flags: String = steps.iter().map(|step| format!(" --epilogue {step}")).collect();
    env.sh(&format!("manager-config parser --tool verification.run_tests{flags}")).ok();
    for step in steps {
        let run = env.sh(&format!("epilogue parser --step {step} --json"));
        assert_eq!((run.code, &run.json()["ran"]["state"]), (1, &json!("failed")), "{step}: {run}");
    }
    let told = env.sh("finish-task parser --json");
    assert_eq!(gate(&told.json(), "epilogue")["reasons"].as_array().unwrap().len(), 4, "{told}");
    // It runs the tool itself, where the work is.
    std::fs::write(world.folder.join("only-here"), "x").unwrap();
    env.sh("manager-config parser --tool 'cat only-here'").ok();
    let run = env.sh("epilogue parser --step run-tools --json").ok().json();
    assert_eq!(run["ran"]["result"]["tools"][0]["stdout"]["tail"], "x");
}

#[test]
fn weakness_63_a_compaction_that_is_refused_leaves_no_decision() {
    let env = TestEnv::pair();
    env.sh("manager-config parser --permit worker_session.clear").ok();
    let run = in_session(&env, "m1", "compact-worker parser --reason full --no-wait --json");
    assert_eq!((run.code, count(&env, "manager_decisions")), (3, 0), "{run}");
    // Nor does one of its own making carry the end of a task.
    env.sh("manager-config parser --mode strict").ok();
    in_session(&env, "m1", "record-decision parser nudge --reason r").ok();
    let run = in_session(&env, "m1", "finish-task parser --decision-id 1 --json");
    assert_eq!(gate(&run.json(), "decision")["reasons"], json!(["decision_mismatch"]));
}

#[test]
fn weakness_64_a_criterion_has_moves_an_actor_and_a_version() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    let id = world.accepted("x");
    for flags in ["--satisfy 1", "--satisfy 1 --proof done", "--satisfy 1 --evidence-json '{\"status\": \"pass\"}'"] {
        assert_eq!(world.manager(flags).code, 3, "{flags}");
    }
    assert_eq!(world.manager(&format!("--defer {id} --expect-version 9")).code, 1);
    world.manager(&format!("--reject {id} --rationale r --expect-version 1")).ok();
    assert_ne!(world.manager(&format!("--defer {id}")).code, 0, "from rejected nothing is deferred");
    let history = env.sh("criteria parser --list --history --json").ok().json()["criteria"][0]["history"].clone();
    assert_eq!((&history[1]["actor"], &history[1]["origin"]), (&json!("manager"), &json!("manager m1")));
}

#[test]
fn weakness_65_follow_ups_are_deferred_and_prose_is_no_heading() {
    let env = TestEnv::pair();
    let answer = "Must-haves:\n- parse `a`\n\nWe accepted the deferred plan in the end, as you know, and went on.\n\n\
                  Follow-ups:\n- [ ] speed\n";
    let planned = env.run(["criteria-plan", "parser", "--from-text", answer, "--json"]).ok().json();
    let told: Vec<_> = planned["suggestions"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
    assert_eq!(told, [json!("accepted"), json!("deferred")]);
    assert_eq!(planned["suggestions"][0]["criterion"], "parse `a`");
}

#[test]
fn weakness_66_terms_are_set_unset_and_never_written_by_a_look() {
    let env = TestEnv::pair();
    env.sh("manager-config parser").ok();
    assert_eq!(count(&env, "manager_configs"), 0);
    assert_eq!(refusal(&env.sh("manager-config parser --permit repo.open_prs --json")).0, 2);
    env.sh("manager-config parser --require-acks --objective o").ok();
    env.sh("manager-config parser --unset require-acks --unset objective").ok();
    let before = count(&env, "events");
    env.sh("manager-config parser --mode guided").ok();
    assert_eq!(count(&env, "events"), before, "nothing changed, nothing is written");
    env.sh("manager-config parser --recipe ship-it-loop --confirm").ok();
    let gates = env.sh("finish-task parser --dry-run --json").json();
    assert!(open_gates(&gates).contains(&"evidence".to_owned()), "a recipe binds: {gates:#}");
}

#[test]
fn weakness_67_what_the_terms_ask_for_is_asked_for_when_the_task_ends() {
    let env = TestEnv::pair();
    env.sh("manager-config parser --acceptance 'every file parses'").ok();
    let run = in_session(&env, "m1", "finish-task parser --json");
    assert_eq!((run.code, &gate(&run.json(), "criteria")["reasons"]), (3, &json!(["#1 is open: every file parses"])));
    // And its manager does not put it out of the way.
    for step in ["--defer 1", "--reject 1 --rationale r"] {
        assert_eq!(in_session(&env, "m1", &format!("criteria parser --json {step}")).code, 3, "{step}");
    }
}

#[test]
fn weakness_68_what_changes_a_session_or_a_repository_needs_its_permission() {
    let env = TestEnv::pair();
    World::of(&env);
    env.sh("manager-config parser --epilogue draft-pr --epilogue run-tools --tool 'pytest -q'").ok();
    for line in [
        "session-interrupt w1",
        "stop w1",
        "finish-task parser --stop-worker",
        "stop-task parser",
        "epilogue parser --step draft-pr --open",
        "epilogue parser --step run-tools",
        "epilogue parser --step subagent-review",
    ] {
        let run = in_session(&env, "m1", &format!("{line} --json"));
        let is_configured = !line.contains("subagent");
        assert_eq!(run.code, if is_configured { 3 } else { 1 }, "{line}: {run}");
        assert_ne!(hidden(&env, &format!("{line} --json")).code, 0, "{line}");
        assert_ne!(in_session(&env, "w1", &format!("{line} --json")).code, 0, "{line}");
    }
    assert_eq!(env.sh("tasks --json").ok().json()[0]["state"], "managed");
}

#[test]
fn weakness_69_revisions_are_the_ledgers_own_and_unique() {
    let env = TestEnv::pair();
    let say = || in_session(&env, "w1", "worker-ack parser --from-stdin='{}' --json").ok().json()["revision"].clone();
    assert_eq!((say(), say()), (json!(1), json!(2)));
    let sql = Connection::open(env.ledger()).unwrap();
    let again = sql.execute(
        "insert into task_acknowledgements (task_id, role, payload_json, revision, created_at)
         select task_id, role, payload_json, revision, created_at from task_acknowledgements where revision = 2",
        [],
    );
    assert!(again.is_err());
}

#[test]
fn weakness_70_a_look_at_a_permission_stores_nothing() {
    let env = TestEnv::pair();
    env.sh("manager-config parser --permit repo.open_pr").ok();
    let before = count(&env, "events");
    in_session(&env, "m1", "manager-permission parser repo.open_pr --json").ok();
    assert_eq!(count(&env, "events"), before);
}

#[test]
fn weakness_71_the_party_that_is_gated_does_not_choose_the_gates() {
    let env = TestEnv::pair();
    env.sh("manager-config parser --require-acks --epilogue record-handoff").ok();
    let run = in_session(&env, "m1", "finish-task parser --json");
    assert_eq!((run.code, open_gates(&run.json())), (3, vec!["acknowledgements".to_owned(), "epilogue".to_owned()]));
    for loosened in ["--unset require-acks", "--unset epilogue", "--epilogue draft-pr", "--mode light"] {
        let (code, told) = refusal(&in_session(&env, "m1", &format!("manager-config parser {loosened} --json")));
        assert_eq!((code, told.contains("does not loosen its terms")), (3, true), "{loosened}: {told}");
    }
    // There is no flag that takes one away.
    let help = env.sh("finish-task --help").ok().out;
    assert!(!help.contains("--no-") && !help.contains("--skip") && !help.contains("--force"), "{help}");
    let flags =
        "--require-criteria-audit --require-acks --require-epilogue --require-adversarial-proof --strict-decisions";
    let with = in_session(&env, "m1", &format!("finish-task parser --json {flags}")).json();
    let without = in_session(&env, "m1", "finish-task parser --json").json();
    let names =
        |told: &Value| told["gates"].as_array().unwrap().iter().map(|one| one["gate"].clone()).collect::<Vec<_>>();
    assert!(names(&without).iter().all(|gate| names(&with).contains(gate)));
}

#[test]
fn weakness_72_old_acknowledgements_old_proofs_and_no_criteria_at_all_do_not_do() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    env.sh("manager-config parser --require-acks").ok();
    in_session(&env, "w1", "worker-ack parser --from-stdin='{}'").ok();
    in_session(&env, "m1", "manager-ack parser --from-stdin='{}'").ok();
    env.sh("manager-config parser --objective other").ok();
    let told = env.sh("finish-task parser --require-criteria-audit --require-adversarial-proof --json").json();
    assert_eq!(
        gate(&told, "acknowledgements")["reasons"],
        json!(["worker: other_config_revision", "manager: other_config_revision"])
    );
    assert_eq!(gate(&told, "criteria")["ok"], false, "there are none");
    assert_eq!(gate(&told, "adversarial_proof")["ok"], false);
    let proposed = "criteria parser --add --source worker_proposed --criterion p";
    in_session(&env, "w1", proposed).ok();
    let told = env.sh("finish-task parser --json").json();
    assert_eq!(gate(&told, "criteria")["reasons"], json!(["#1 is only proposed: p"]));
    // A check that was settled before it was taken up again is none.
    let adversarial = json!({"evidence_type": "adversarial_check", "failure_mode": "f", "check": "c", "result": "r"});
    let id = world.satisfied_with("x", &adversarial);
    let is_met = || {
        let told = env.sh("finish-task parser --require-adversarial-proof --json").json();
        gate(&told, "adversarial_proof")["ok"].clone()
    };
    assert_eq!(is_met(), json!(true));
    world.manager(&format!("--accept {id} --rationale again")).ok();
    assert_eq!(is_met(), json!(false));
}

#[test]
fn weakness_73_and_74_every_refusal_is_on_record_whole_and_ends_with_exit_code_3() {
    let env = TestEnv::pair();
    env.sh("manager-config parser --acceptance a").ok();
    let flags = [
        "--require-adversarial-proof",
        "--strict-decisions",
        "--require-criteria-audit",
        "--require-acks",
        "--require-epilogue",
    ];
    for (at, flag) in flags.into_iter().enumerate() {
        let run = env.sh(&format!("finish-task parser --json {flag}"));
        assert_eq!(run.code, 3, "{flag}: {run}");
        assert_eq!(trail(&env, "finish_task_refused").len(), at + 1, "{flag}");
    }
    let run = env.sh(&format!("finish-task parser --json {}", flags.join(" ")));
    assert_eq!((run.code, open_gates(&run.json()).len()), (3, 5), "{run}");
}

#[test]
fn weakness_75_a_criterion_that_is_accepted_meanwhile_keeps_the_task_open() {
    // Gates and end are one transaction: whoever adds a criterion is before it, and the task stays open, or after it, and
    // is told that the task has ended.
    for _ in 0..crate::support::rounds(6, 60) {
        let env = TestEnv::live();
        env.sh("tasks --create parser --goal g").ok();
        let add = "criteria parser --add --criterion x --source user_requested --status accepted --json";
        let (added, finished) = std::thread::scope(|scope| {
            let start = |line: &str| {
                let mut command = env.command();
                command.args(shell_words::split(line).unwrap());
                scope.spawn(move || command.output().unwrap().status.code().unwrap())
            };
            let (one, other) = (start(add), start("finish-task parser --json"));
            (one.join().unwrap(), other.join().unwrap())
        });
        assert!(matches!((added, finished), (0, 3) | (1, 0)), "added {added}, finished {finished}");
    }
}
