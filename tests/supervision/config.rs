//! `manager-config` and `manager-recipes`: what is set and unset, what is refused, and that a look writes nothing.

use serde_json::{Value, json};

use super::{count, in_session, refusal, trail};
use crate::support::TestEnv;

fn settings(env: &TestEnv, flags: &str) -> Value {
    env.sh(&format!("manager-config parser {flags} --json")).ok().json()
}

/// Weakness 66 of the predecessor: any look at a config that was not there wrote one.
#[test]
fn a_look_at_a_config_writes_no_row_and_no_event() {
    let env = TestEnv::pair();
    let before = (count(&env, "events"), count(&env, "manager_configs"));
    let shown = settings(&env, "");
    assert_eq!((&shown["configured"], &shown["revision"]), (&json!(false), &json!(0)));
    assert_eq!(shown["permissions"]["worker_session"], json!([]));
    env.sh("manager-config parser --questions").ok();
    env.sh("manager-config parser --recipe ship-it-loop --json");
    env.sh("manager-config parser --mode strict --dry-run").ok();
    assert_eq!((count(&env, "events"), count(&env, "manager_configs")), before);
}

#[test]
fn everything_that_can_be_set_is_stored_and_can_be_unset() {
    let env = TestEnv::pair();
    let set = settings(
        &env,
        "--mode strict --objective 'ship it' --guideline a --guideline ' b ' --guideline a --acceptance c --reference d \
         --permit repo.monitor_ci --allow-pr --allow-worker-compact-clear --permissions-json '{\"create_pr\": false}' \
         --tool t --epilogue record-handoff --epilogue draft-pr --nudge-on-completion off --require-acks --max-nudges 4",
    );
    assert_eq!(
        (&set["revision"], &set["changed"], &set["supervision_mode"]),
        (&1.into(), &true.into(), &"strict".into())
    );
    assert_eq!(set["guidelines"], json!(["a", "b"]));
    assert_eq!((&set["acceptance_criteria"], &set["reference_paths"]), (&json!(["c"]), &json!(["d"])));
    assert_eq!(set["permissions"]["repo"], json!(["monitor_ci"]), "the object comes after the flags");
    assert_eq!(set["permissions"]["worker_session"], json!(["clear", "compact"]));
    assert_eq!((&set["tools"], &set["epilogues"]), (&json!(["t"]), &json!(["record-handoff", "draft-pr"])));
    assert_eq!((&set["nudge_on_completion"], &set["require_acks"]), (&json!("off"), &json!(true)));
    assert_eq!((&set["objective"], &set["budget"]["max_nudges"]), (&json!("ship it"), &json!(4)));
    let again = settings(&env, "");
    for (field, value) in set.as_object().unwrap() {
        if !matches!(field.as_str(), "changed" | "changes") {
            assert_eq!(&again[field], value, "{field}");
        }
    }
    let flags = [
        "mode",
        "objective",
        "guideline",
        "acceptance",
        "reference",
        "permit",
        "tool",
        "epilogue",
        "nudge-on-completion",
        "require-acks",
        "max-nudges",
        "recipe",
    ];
    let unset = settings(&env, &flags.map(|flag| format!("--unset {flag}")).join(" "));
    assert_eq!((&unset["revision"], &unset["budget"]), (&2.into(), &Value::Null));
    let plain = TestEnv::pair();
    let plain = settings(&plain, "");
    for field in ["supervision_mode", "objective", "guidelines", "permissions", "epilogues", "require_acks", "tools"] {
        assert_eq!(unset[field], plain[field], "{field}");
    }
    // Unset comes first: together with a flag it replaces.
    settings(&env, "--permit repo.open_pr");
    let replaced = settings(&env, "--unset permit --permit context.fetch_prs");
    assert_eq!(
        (&replaced["permissions"]["repo"], &replaced["permissions"]["context"]),
        (&json!([]), &json!(["fetch_prs"]))
    );
}

#[test]
fn the_revision_grows_with_changes_only_and_each_change_is_on_record() {
    let env = TestEnv::pair();
    assert_eq!(settings(&env, "--mode strict")["revision"], 1);
    let again = settings(&env, "--mode strict");
    assert_eq!((&again["revision"], &again["changed"]), (&1.into(), &false.into()));
    assert_eq!(again["updated_at"], again["created_at"]);
    let nudges = settings(&env, "--max-nudges 3");
    assert_eq!((&nudges["revision"], &nudges["changed"]), (&1.into(), &true.into()), "the budget is no term");
    assert_eq!(settings(&env, "--permit worker_session.stop")["revision"], 2);
    let events = trail(&env, "manager_config_recorded");
    let told: Vec<_> = events.iter().map(|event| (&event["actor"], &event["payload"]["changes"])).collect();
    let who = json!("operator");
    assert_eq!(told, [(&who, &json!(["supervision_mode"])), (&who, &json!([])), (&who, &json!(["permissions"]))]);
    assert_eq!(events[2]["payload"]["granted"], json!(["worker_session.stop"]));
}

/// Weakness 66 of the predecessor: a misspelled permission vanished.
#[test]
fn what_is_wrong_is_refused_before_anything_is_written() {
    let env = TestEnv::pair();
    let before = count(&env, "events");
    for (flags, words) in [
        ("--mode strict --permit repo.open_prs", "unknown permission \"repo.open_prs\"; did you mean repo.open_pr?"),
        (
            "--mode strict --permit everything",
            "unknown permission \"everything\"; there are: communication.comment_on_pr,",
        ),
        ("--permissions-json '{\"repo\": [\"open\"]}'", "unknown permission \"repo.open\"; did you mean repo.open_pr?"),
        ("--permissions-json '{\"repo\": true}'", "permission category \"repo\" must be a list"),
        ("--permissions-json '[]'", "--permissions-json must be a JSON object"),
        ("--permissions-json '{'", "--permissions-json must be a JSON object: "),
        ("--objective ' '", "--objective must not be empty; `--unset objective` puts it back"),
        ("--guideline ok --guideline ''", "--guideline must not be empty"),
        (
            "--recipe nothing --confirm",
            "unknown manager recipe: nothing; expected one of: campaign-duplicate-guard-dogfood",
        ),
        ("--questions --mode strict", "--questions changes nothing"),
        ("--mode loose", "invalid value 'loose'"),
        ("--epilogue tests", "invalid value 'tests'"),
        ("--unset everything", "invalid value 'everything'"),
    ] {
        let (code, told) = refusal(&env.sh(&format!("manager-config parser --json {flags}")));
        assert_eq!(code, 2, "{flags}: {told}");
        assert!(told.contains(words), "{flags}: {told}");
    }
    assert_eq!((count(&env, "events"), count(&env, "manager_configs")), (before, 0));
}

/// Weakness 66 of the predecessor: a recipe was a name and nothing more.
#[test]
fn a_recipe_sets_the_terms_once_it_is_confirmed() {
    let env = TestEnv::pair();
    let run = env.sh("manager-config parser --recipe 'Ship It' --mode guided --json");
    assert_eq!(run.code, 3, "{run}");
    let shown = run.json();
    let proposed = &shown["confirmation"];
    assert_eq!((&shown["revision"], &shown["recipe_name"]), (&0.into(), &Value::Null), "nothing is stored");
    let summary = proposed["locked_summary"].as_str().unwrap();
    assert!(summary.contains("Mode: guided\n") && summary.ends_with("User confirmed: no"), "{summary}");
    assert_eq!((count(&env, "manager_configs"), trail(&env, "manager_config_recorded").len()), (0, 0));
    // The command that it names stores just that.
    let words: Vec<&str> = proposed["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    env.run(&words[1..]).ok();
    let stored = settings(&env, "");
    for field in
        ["epilogues", "evidence_gates", "permissions", "tools", "guidelines", "recipe_name", "supervision_mode"]
    {
        assert_eq!(stored[field], proposed["terms"][field], "{field}");
    }
    assert_eq!((&stored["revision"], &stored["supervision_mode"]), (&1.into(), &"guided".into()), "a flag wins");
    assert_eq!((&stored["recipe_name"], &stored["budget"]["max_nudges"]), (&"ship-it-loop".into(), &80.into()));
    assert_eq!(stored["permissions"]["worker_session"], json!(["clear", "compact"]));
    assert_eq!(stored["evidence_gates"].as_array().unwrap().len(), 9);
    // What is so already needs no word, and `custom` takes the recipe and its gates away.
    settings(&env, "--recipe ship-it-loop --mode guided");
    let custom = settings(&env, "--recipe custom");
    assert_eq!((&custom["recipe_name"], &custom["evidence_gates"]), (&Value::Null, &json!([])));
    let bounded = settings(&env, "--recipe ux-polish-loop --confirm --max-nudges 2");
    assert_eq!(bounded["budget"]["max_nudges"], 2);
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let env = TestEnv::pair();
    // `setsid` leaves the terminal of whoever runs the tests.
    let mut command = std::process::Command::new("setsid");
    command.arg(env!("CARGO_BIN_EXE_conveyor")).args(["manager-config", "parser", "--interactive", "--json"]);
    let output = command.arg("--path").arg(env.ledger()).current_dir(env.cwd()).output().unwrap();
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((output.status.code(), &error["error"]["message"]), (Some(2), &json!("--interactive needs a terminal")));
    assert_eq!(count(&env, "manager_configs"), 0);
}

#[test]
fn a_session_tightens_its_terms_and_does_not_loosen_them() {
    let env = TestEnv::pair();
    settings(&env, "--permit worker_session.compact --require-acks --max-nudges 5 --epilogue record-handoff");
    let before = settings(&env, "");
    for flags in [
        "--permit worker_session.stop",
        "--recipe ship-it-loop --confirm",
        "--unset require-acks",
        "--unset epilogue",
        "--mode light",
        "--nudge-on-completion auto-proceed",
        "--max-nudges 6",
        "--max-nudges none",
    ] {
        let (code, told) = refusal(&in_session(&env, "m1", &format!("manager-config parser --json {flags}")));
        assert_eq!(code, 3, "{flags}: {told}");
        assert!(told.contains("a session does not loosen its terms"), "{flags}: {told}");
    }
    let (code, told) = refusal(&in_session(&env, "w1", "manager-config parser --objective mine --json"));
    assert_eq!((code, told.as_str()), (3, "worker w1 is a worker, and changes no terms"));
    assert_eq!(settings(&env, ""), before);
    let tight = in_session(&env, "m1", "manager-config parser --mode strict --unset permit --max-nudges 4 --json").ok();
    assert_eq!((&tight.json()["revision"], &tight.json()["budget"]["max_nudges"]), (&2.into(), &4.into()));
    let events = trail(&env, "manager_config_recorded");
    assert_eq!((&events[1]["actor"], &events[1]["payload"]["origin"]), (&"manager".into(), &"manager m1".into()));
}

#[test]
fn a_task_that_has_ended_keeps_its_terms() {
    let env = TestEnv::pair();
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    sql.execute("update tasks set state = 'done'", []).unwrap();
    let (code, told) = refusal(&env.sh("manager-config parser --mode strict --json"));
    assert_eq!((code, told.as_str()), (1, "task \"parser\" is already done"));
    settings(&env, "");
}
