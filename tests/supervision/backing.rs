//! Who or what stands behind a proof, what a refused end leads to, and what `criteria` says when a flag is missing.

use conveyor::app;
use serde_json::{Value, json};

use super::{
    hidden, in_session, refusal, trail,
    world::{World, gate},
};
use crate::support::TestEnv;

fn criterion(env: &TestEnv, id: i64) -> Value {
    let list = env.sh("criteria parser --list --json").ok().json();
    list["criteria"].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap().clone()
}

#[test]
fn what_an_operator_names_is_their_word_wherever_it_is_told() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    let id = world.accepted("every file parses");
    world.file("anything.txt", "no proof at all", 30, 40);
    let done = env.sh(&format!("criteria parser --json --satisfy {id} --artifact anything.txt")).ok().json();
    let one = &done["affected_criterion"];
    assert_eq!((&one["status"], &one["backed_by"]), (&json!("satisfied"), &json!("operator")), "{one:#}");
    let link = &one["evidence"]["links"][0];
    assert_eq!((&link["grade"], &link["backed_by"]), (&json!("verified"), &json!("operator")), "{link:#}");
    let told = env.sh("criteria parser --list --text").ok().out;
    assert!(told.contains("satisfied on the operator's word"), "{told}");
    let told = env.sh("finish-task parser --dry-run --json").ok().json();
    let note = json!([format!("#{id} rests on the operator's word alone: every file parses")]);
    assert_eq!(gate(&told, "criteria")["notes"], note);
    assert_eq!(told["final_audit"]["on_operators_word"], json!([{"criterion": "every file parses", "id": id}]));
    assert!(env.sh("finish-task parser --dry-run --text").ok().out.contains("rests on the operator's word alone"));
    let cycle = env.sh("cycle parser --json").ok().json();
    let satisfied = &cycle["manager_context"]["acceptance_criteria"]["satisfied"][0];
    assert_eq!(satisfied["backed_by"], "operator", "{satisfied:#}");
    env.sh("finish-task parser --json").ok();
    let end = env.sh("tasks --json").ok().json()[0]["end"]["reason"].clone();
    assert_eq!(end, "its gates are met, on the operator's word");
}

#[test]
fn what_the_program_has_seen_is_told_apart_from_a_word() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    // A command that ended well before it was asked for shows nothing by itself; one since does, whoever names it.
    let before = world.ran("2026-11-21T02:29:00.000Z", "cargo test", 0);
    let id = world.accepted("every file parses");
    let said = world.line(&world.begun(id), &json!({"type": "agent_message", "message": "all tests pass"}));
    let backed_by = |flags: &str| {
        let done = env.sh(&format!("criteria parser --json --satisfy {id} {flags}")).ok().json();
        let backed_by = done["affected_criterion"]["backed_by"].clone();
        env.sh(&format!("criteria parser --json --accept {id} --rationale again")).ok();
        assert_eq!(criterion(&env, id)["backed_by"], Value::Null, "nothing is shown any more");
        backed_by
    };
    assert_eq!(backed_by(&format!("--byte {before}")), "operator");
    assert_eq!(backed_by(&format!("--byte {said}")), "operator");
    let again = world.ran("2026-11-21T02:31:00.000Z", "cargo test --all", 0);
    assert_eq!(backed_by(&format!("--byte {again}")), "program");
    assert_eq!(backed_by(&format!("--byte {before} --byte {again}")), "program");
    // What a manager shows by the rules for sessions.
    let done = world.manager(&format!("--satisfy {id} --byte {again}")).ok().json();
    assert_eq!(done["affected_criterion"]["backed_by"], "program");
    assert_eq!(gate(&env.sh("finish-task parser --dry-run --json").ok().json(), "criteria")["notes"], json!([]));
    assert!(!env.sh("criteria parser --list --text").ok().out.contains("word"));
}

/// The operator names a file when it is asked for; the manager says that this does.
#[test]
fn a_session_settles_nothing_with_what_an_operator_has_named() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    world.file("anything.txt", "no proof at all", 30, 40);
    env.sh("criteria parser --add --criterion x --status accepted --artifact anything.txt").ok();
    let run = world.manager("--satisfy 1");
    let (code, told) = refusal(&run);
    assert_eq!((code, told.contains("what somebody says, and no receipt")), (3, true), "{told}");
    assert_eq!(criterion(&env, 1)["status"], "accepted");
    // Named by the manager, under its rules, the same file is one link.
    world.manager("--satisfy 1 --artifact anything.txt").ok();
    let one = criterion(&env, 1);
    assert_eq!(
        (&one["backed_by"], one["evidence"]["links"].as_array().unwrap().len()),
        (&json!("program"), 1),
        "{one:#}"
    );
}

#[test]
fn an_operator_asks_for_it_themselves_and_a_session_says_whose_wish_it_is() {
    let env = TestEnv::pair();
    let add = "criteria parser --json --add";
    let done = env.sh(&format!("{add} --criterion x")).ok().json();
    assert_eq!(done["affected_criterion"]["source"], "user_requested");
    for run in [
        in_session(&env, "m1", &format!("{add} --criterion y")),
        in_session(&env, "w1", &format!("{add} --criterion y")),
        hidden(&env, &format!("{add} --criterion y")),
    ] {
        let (code, told) = refusal(&run);
        assert_eq!(code, 2, "{told}");
        assert!(told.contains("--source") && told.contains("worker_proposed"), "{told}");
    }
    assert_eq!(trail(&env, "acceptance_criterion_added").len(), 1, "nothing else was added");
    in_session(&env, "m1", &format!("{add} --criterion y --source manager_inferred")).ok();
    let (code, told) = refusal(&env.sh("criteria parser --json --add 'every file parses'"));
    assert_eq!((code, told.contains("goes with --criterion")), (2, true), "{told}");
    for flags in ["", " --source user_requested"] {
        let (code, told) = refusal(&env.sh(&format!("{add}{flags}")));
        assert_eq!(code, 2, "{told}");
        assert!(told.contains("needs --criterion") && told.contains("--add --criterion \"every"), "{told}");
    }
}

/// The command lines in what a report leads to, with something in the place of each word that is to be filled in.
fn commands(told: &Value) -> Vec<String> {
    let gates = told["gates"].as_array().unwrap().iter().flat_map(|gate| gate["next"].as_array().unwrap().clone());
    let words = gates.chain([told["instead"].clone()]).map(|step| step.as_str().unwrap().to_owned());
    words.flat_map(|step| step.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn each_gate_that_is_not_met_names_a_command_that_can_be_run() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    env.sh(
        "manager-config parser --mode strict --require-acks --epilogue record-handoff --epilogue run-tools --tool true \
         --acceptance 'it parses' --acceptance 'it is fast'",
    )
    .ok();
    in_session(&env, "m1", "criteria parser --json --add --criterion more --source manager_inferred").ok();
    let flags = "--require-adversarial-proof --strict-decisions --json";
    let run = env.sh(&format!("finish-task parser {flags}"));
    assert_eq!(run.code, 3, "{run}");
    let told = run.json();
    for gate in told["gates"].as_array().unwrap() {
        let is_empty = gate["next"].as_array().unwrap().is_empty();
        assert_eq!(is_empty, gate["ok"] == true, "{gate:#}");
    }
    let lines = commands(&told);
    for wanted in [
        "criteria parser --satisfy ID",
        "criteria parser --reject ID",
        "criteria parser --accept 3",
        "epilogue parser",
        "worker-ack parser",
        "manager-ack parser",
        "record-decision parser stop",
        "handoff parser",
        "stop-task parser",
    ] {
        assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted}: {lines:#?}");
    }
    for line in &lines {
        let filled = line.replace("ID", "1").replace("{...}", "{}");
        let words = shell_words::split(&filled).unwrap();
        assert!(app::parse(words.clone()).is_ok(), "{line}: {}", app::parse(words).unwrap_err());
    }
    let prose = env.sh(&format!("finish-task parser {}", flags.replace("--json", "--text"))).out;
    assert!(prose.contains("next: ") && prose.contains("`conveyor stop-task parser --reason TEXT`"), "{prose}");

    // A session is not told to drop what the operator asked for, and one that may not end it is told who may.
    let of_manager = in_session(&env, "m1", &format!("finish-task parser {flags}")).json();
    let next = gate(&of_manager, "criteria")["next"].to_string();
    assert!(next.contains("only the operator defers or rejects") && !next.contains("--defer"), "{next}");
    let of_worker = in_session(&env, "w1", "finish-task parser --json").json();
    assert!(gate(&of_worker, "permission")["next"].to_string().contains("an operator ends it"), "{of_worker:#}");

    // What was done is not told to be done again; the file that showed it has changed since.
    env.sh("manager-config parser --mode light --unset require-acks --unset epilogue --unset tool --unset acceptance")
        .ok();
    for id in [2, 3] {
        env.sh(&format!("criteria parser --reject {id}")).ok();
    }
    world.file("report.txt", "a", 59, 0);
    env.sh("criteria parser --satisfy 1 --artifact report.txt").ok();
    let open = env.sh("finish-task parser --dry-run --json").ok().json();
    assert_eq!((&gate(&open, "criteria")["next"], &open["instead"]), (&json!([]), &Value::Null), "{open:#}");
    world.file("report.txt", "b", 59, 1);
    let broken = env.sh("finish-task parser --dry-run --json").json();
    let next = gate(&broken, "criteria")["next"].to_string();
    assert!(next.contains("criteria parser --accept 1 --rationale TEXT"), "{next}");
}
