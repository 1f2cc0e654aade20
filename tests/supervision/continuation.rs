//! `continuation`: the worker first, its manager blind, and each mode of the terms different.

use std::{collections::BTreeSet, thread};

use conveyor::{
    actions::{self, TalkQuery},
    app,
    base::Kind,
    cli::Global,
};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{below_codex, count, hidden, in_session, in_session_with, refusal, trail, world::World};
use crate::support::TestEnv;

/// What no manager may see before it has proposed itself.
const SECRET: &str = "rewrite-the-lexer-4711";

fn worker_proposes(env: &TestEnv, round: &str) -> Value {
    let line = format!(
        "continuation parser --submit worker --correlation-id {round} --from-stdin='{{\"{SECRET}\": \"{SECRET}\"}}' --json"
    );
    in_session(env, "w1", &line).ok().json()
}

fn manager_proposes(env: &TestEnv, round: &str) -> Value {
    let line =
        format!("continuation parser --submit manager --correlation-id {round} --from-stdin='{{\"own\": 1}}' --json");
    in_session(env, "m1", &line).ok().json()
}

/// Weakness 59 of the predecessor: a manager saw what its worker proposed by saying that it was somebody else.
#[test]
fn weakness_59_no_command_shows_a_manager_its_workers_proposal_before_its_own_is_in() {
    let env = TestEnv::pair();
    let manager = {
        let all = env.sh("sessions --json").ok().json();
        let m1 = all.as_array().unwrap().iter().find(|one| one["name"] == "m1").unwrap().clone();
        m1["codex_session_id"].as_str().unwrap().to_owned()
    };
    let round = worker_proposes(&env, "r1");
    assert_eq!((&round["next"], &round["revision"]), (&json!("manager"), &json!(1)));
    let list = "continuation parser --list --include-payload";
    let lines = [
        list.to_owned(),
        format!("{list} --as-role all"),
        format!("{list} --as-role worker"),
        format!("{list} --as-role manager"),
        format!("{list} --as-role reviewer"),
        format!("{list} --correlation-id r1"),
        format!("{list} --correlation-id r1 --as-role worker"),
        format!("{list} --correlation-id r1 --as-role reviewer"),
        "continuation parser --submit worker --correlation-id r1 --from-stdin={}".to_owned(),
        "continuation parser --submit manager --correlation-id r1 --from-stdin={} --dry-run".to_owned(),
        "continuation parser --review --correlation-id r1 --from-stdin={}".to_owned(),
        "continuation-reviewer parser --dry-run --correlation-id r1".to_owned(),
        "continuation-reviewer parser --dry-run --correlation-id r1 --reviewer-command true".to_owned(),
        "operator-inbox --all".to_owned(),
        "events parser".to_owned(),
        "events w1".to_owned(),
        "events parser --type task_continuation_recorded".to_owned(),
        "commands".to_owned(),
        "commands --task parser".to_owned(),
        "commands --session w1".to_owned(),
        "chain r1".to_owned(),
        "cycle parser".to_owned(),
        "divergences parser".to_owned(),
        "manager-inbox parser --history".to_owned(),
        "manager-inbox parser".to_owned(),
        "worker-inbox parser".to_owned(),
        "session-inbox m1".to_owned(),
        "tail w1 --include-content".to_owned(),
        "tail w1".to_owned(),
        "capture w1 --include-content".to_owned(),
        "explain w1".to_owned(),
        "status w1".to_owned(),
        "criteria parser".to_owned(),
        "criteria-plan parser --from-text x".to_owned(),
        "manager-config parser".to_owned(),
        "worker-ack parser".to_owned(),
        "list".to_owned(),
        "tasks".to_owned(),
        "sessions".to_owned(),
        "diff w1".to_owned(),
        "dispatch --dry-run".to_owned(),
        "db-doctor".to_owned(),
    ];
    // The operator sees it: so the search below can find something.
    assert!(env.sh(&lines[0]).ok().out.contains(SECRET));
    assert!(in_session(&env, "w1", &lines[0]).ok().out.contains(SECRET), "its own");
    for line in &lines {
        for form in ["", " --json", " --text"] {
            let line = format!("{line}{form}");
            for run in [in_session(&env, "m1", &line), hidden(&env, &line), below_codex(&env, Some(&manager), &line)] {
                assert!(!run.out.contains(SECRET) && !run.err.contains(SECRET), "{line}: {run}");
            }
        }
    }
    assert_eq!(count(&env, "task_continuations"), 1, "nothing of that has proposed anything");
    let (code, told) = refusal(&in_session(&env, "m1", &format!("{list} --correlation-id r1 --json")));
    assert_eq!(code, 3, "{told}");
    assert!(told.starts_with("manager cannot read worker continuation payload before submitting"), "{told}");
    // Its own is in, and it sees both.
    manager_proposes(&env, "r1");
    assert!(in_session(&env, "m1", &lines[0]).ok().out.contains(SECRET));
}

#[test]
fn what_the_worker_says_is_withheld_as_long_as_its_manager_is_blind() {
    let env = TestEnv::pair();
    env.sh("ingest w1").ok();
    env.sh("dispatch").ok();
    env.sh("cycle parser").ok();
    let sql = Connection::open(env.ledger()).unwrap();
    sql.execute(
        "insert into routed_notifications (task_id, binding_id, source_session_id, target_session_id, correlation_id,
            signal_type, dedupe_key, created_at, delivered_at, delivery_mode, state, payload_json)
         select task_id, id, worker_session_id, manager_session_id, 'c', 'worker_task_complete', 'k', created_at,
            created_at, 'pull_required', 'delivered', json_object('last_agent_message', ?1, 'earlier_receipts',
            json_array(json_object('last_agent_message', ?1)))
         from bindings",
        [SECRET],
    )
    .unwrap();
    sql.execute_batch("update manager_cycles set status_json = json_set(status_json, '$.manager_context.worker_receipt', json_object('last_agent_message', 'rewrite-the-lexer-4711'), '$.notable_pane_pattern', 'x')").unwrap();
    let lines =
        ["manager-inbox parser --json", "session-inbox m1 --json", "divergences parser --json", "receive m1 --json"];
    for line in lines {
        assert!(
            in_session(&env, "m1", &line.replace("receive m1", "session-inbox m1")).ok().out.contains(SECRET),
            "{line}: it can be seen before"
        );
    }
    worker_proposes(&env, "r1");
    for line in lines {
        let run = in_session(&env, "m1", line);
        assert!(!run.out.contains(SECRET), "{line}: {run}");
        assert!(
            line.starts_with("divergences") || run.out.contains("withheld until the manager's own proposal is in"),
            "{line}: {run}"
        );
        assert!(!hidden(&env, line).out.contains(SECRET), "{line}");
    }
    assert!(env.sh("manager-inbox parser --json").ok().out.contains(SECRET), "an operator sees it");
    for line in ["tail w1 --include-content --json", "capture w1 --include-content --json"] {
        for run in [in_session(&env, "m1", line), hidden(&env, line)] {
            let (code, told) = refusal(&run);
            assert_eq!(code, 3, "{line}: {told}");
            assert!(told.contains("--submit manager --correlation-id r1"), "it says what to do: {told}");
        }
    }
    in_session(&env, "m1", "tail w1 --json").ok();
    // Leaving the binding does not end it.
    env.sh("unbind --task parser").ok();
    assert_eq!(in_session(&env, "m1", "tail w1 --include-content --json").code, 3);
    env.sh("bind --task parser --worker w1 --manager m1").ok();
    manager_proposes(&env, "r1");
    in_session(&env, "m1", "tail w1 --include-content --json").ok();
    assert!(in_session(&env, "m1", "manager-inbox parser --json").ok().out.contains(SECRET));
}

/// `explain` prints the line of the rollout behind a state, and that line holds the worker's last message.
#[test]
fn the_line_behind_a_state_is_withheld_from_a_blind_manager() {
    let env = TestEnv::pair();
    let payload = json!({"type": "task_complete", "turn_id": "t", "last_agent_message": SECRET});
    World::of(&env).line("2026-11-21T02:59:00.000Z", &payload);
    let lines = ["explain w1", "explain w1 --json", "explain w1 --no-refresh", "explain w1 --no-refresh --json"];
    for line in lines {
        assert!(in_session(&env, "m1", line).ok().out.contains(SECRET), "{line}: it can be seen before");
    }
    worker_proposes(&env, "r1");
    for line in lines {
        for run in [in_session(&env, "m1", line), hidden(&env, line)] {
            assert!(!run.out.contains(SECRET), "{line}: {run}");
            assert!(run.out.contains("withheld until the manager's own proposal is in"), "{line}: {run}");
        }
        assert!(env.sh(line).ok().out.contains(SECRET), "{line}: an operator sees it");
        assert!(in_session(&env, "w1", line).ok().out.contains(SECRET), "{line}: its own");
    }
    manager_proposes(&env, "r1");
    assert!(in_session(&env, "m1", lines[0]).ok().out.contains(SECRET));
}

/// A screen that a session runs shows it no more than a command does.
#[test]
fn the_conversation_is_withheld_from_a_blind_manager() {
    let env = TestEnv::pair();
    World::of(&env).line("2026-11-21T02:59:00.000Z", &json!({"type": "agent_message", "message": SECRET}));
    let sql = Connection::open(env.ledger()).unwrap();
    let id: String = sql.query_row("select id from sessions where name = 'w1'", [], |row| row.get(0)).unwrap();
    let global = Global { path: Some(env.ledger()), ..Global::default() };
    let shown = || {
        let cx = app::context(&global).unwrap();
        let page = actions::conversation(&cx, &id, TalkQuery { before: None, limit: 9 });
        page.map(|entries| format!("{entries:?}").contains(SECRET)).map_err(|error| error.kind())
    };
    assert_eq!(in_session_with(&env, "m1", shown), Ok(true), "it can be seen before");
    worker_proposes(&env, "r1");
    assert_eq!(in_session_with(&env, "m1", shown), Err(Kind::Blocked));
    assert_eq!((shown(), in_session_with(&env, "w1", shown)), (Ok(true), Ok(true)));
    manager_proposes(&env, "r1");
    assert_eq!(in_session_with(&env, "m1", shown), Ok(true));
}

#[test]
fn only_who_has_to_propose_is_blind_and_another_task_is_no_way_round() {
    let env = TestEnv::pair();
    worker_proposes(&env, "r1");
    let look = "tail w1 --include-content --json";
    env.sh("unbind --task parser").ok();
    env.sh("tasks --create other --goal g").ok();
    env.sh("register-manager --name m2 --codex-app-thread-id thread-2").ok();
    assert_eq!(in_session(&env, "m2", look).code, 3, "it has nothing to do with the worker");
    env.sh("bind --task other --worker w1 --manager m2").ok();
    in_session(&env, "m2", look).ok();
    env.sh("unbind --task other").ok();
    in_session(&env, "m1", "bind --task other --worker w1 --manager m1 --json").ok();
    assert_eq!(in_session(&env, "m1", look).code, 3, "it still has to propose");
}

#[test]
fn each_side_proposes_for_itself_in_order_and_once_both_are_in_for_good() {
    let env = TestEnv::pair();
    let submit = |role: &str, round: &str| {
        format!("continuation parser --submit {role} --correlation-id {round} --from-stdin={{}} --json")
    };
    let (code, told) = refusal(&in_session(&env, "m1", &submit("manager", "r1")));
    assert_eq!(
        (code, told.starts_with("manager continuation requires an existing worker continuation")),
        (1, true),
        "{told}"
    );
    for (run, who) in [
        (in_session(&env, "m1", &submit("worker", "r1")), "manager m1 is not the worker"),
        (in_session(&env, "w1", &submit("manager", "r1")), "worker w1 is not the manager"),
        (hidden(&env, &submit("worker", "r1")), "a session of Codex's that cannot be told from here is not the worker"),
    ] {
        let (code, told) = refusal(&run);
        assert_eq!((code, told.starts_with(who)), (3, true), "{told}");
    }
    assert_eq!(count(&env, "task_continuations"), 0);
    in_session(&env, "w1", &submit("worker", "r1")).ok();
    let again = in_session(&env, "w1", &submit("worker", "r1")).ok().json();
    assert_eq!(again["revision"], 2, "it may think again");
    in_session(&env, "m1", &submit("manager", "r1")).ok();
    for (session, role) in [("w1", "worker"), ("m1", "manager")] {
        let (code, told) = refusal(&in_session(&env, session, &submit(role, "r1")));
        assert_eq!((code, told.contains("are in, and final")), (1, true), "{told}");
    }
    let fresh = in_session(&env, "w1", "continuation parser --submit worker --from-stdin={} --json").ok().json();
    assert!(fresh["correlation_id"].as_str().unwrap().starts_with("continuation-"), "{fresh}");
    assert_eq!(refusal(&in_session(&env, "m1", "continuation parser --submit manager --from-stdin={} --json")).0, 2);
    let recorded = trail(&env, "task_continuation_recorded");
    assert_eq!(recorded.len(), 4);
    assert!(recorded.iter().all(|one| one["payload"].get("payload_keys").is_none()), "keys can say everything");
}

/// Weakness 59, too: a manager wrote its own verdict.
#[test]
fn weakness_59_a_verdict_is_a_persons_or_the_held_programs() {
    let env = TestEnv::pair();
    env.sh("manager-config parser --permit context.spawn_reviewer").ok();
    worker_proposes(&env, "r1");
    let verdict = r#"{"agreement": "match", "verdict": "proceed", "rationale": "r", "subagent_run": {"reviewer_session_id": "x", "manager_session_id": "y", "manager_rollout_access": false}}"#;
    let line = format!("continuation parser --review --correlation-id r1 --from-stdin='{verdict}' --json");
    let (code, told) = refusal(&env.sh(&line));
    assert_eq!((code, told.contains("requires manager proposal(s) for correlation_id r1")), (1, true), "{told}");
    manager_proposes(&env, "r1");
    for run in [in_session(&env, "m1", &line), in_session(&env, "w1", &line), hidden(&env, &line)] {
        let (code, told) = refusal(&run);
        assert_eq!((code, told.contains("may not judge proposals")), (3, true), "{told}");
    }
    assert_eq!(count(&env, "continuation_reviews"), 0);
    let review = env.sh(&line).ok().json();
    assert_eq!(
        (&review["source"], &review["subagent_run"]["status"]),
        (&json!("operator"), &json!("operator")),
        "{review:#}"
    );
    assert!(review["subagent_run"].get("reviewer_session_id").is_none(), "what was said of it is not kept");
}

/// Weakness 61 of the predecessor: nothing was routed to anyone, and three modes were the same.
#[test]
fn weakness_61_the_modes_differ_and_a_divergence_reaches_the_operator() {
    if !super::reviewer::has_python() {
        return;
    }
    let mut seen = BTreeSet::new();
    for mode in ["off", "ask-operator", "auto-review", "auto-proceed"] {
        let env = super::reviewer::ready();
        let sql = Connection::open(env.ledger()).unwrap();
        sql.execute("delete from operator_questions", []).unwrap();
        env.sh(&format!("manager-config parser --permit context.spawn_reviewer --nudge-on-completion {mode}")).ok();
        let none = if mode.starts_with("auto") { "operator" } else { "as before" };
        worker_proposes(&env, "r2");
        let next = manager_proposes(&env, "r2")["next"].as_str().unwrap().to_owned();
        assert!(none != "operator" || next == "operator", "without a reviewer the operator is asked");
        let flags = super::reviewer::reviewer(
            &env,
            "d",
            &super::reviewer::says(&super::reviewer::judgement("divergent", "proceed")),
        );
        env.sh(&format!("continuation-reviewer parser --set {flags}")).ok();
        worker_proposes(&env, "r3");
        let next = manager_proposes(&env, "r3")["next"].as_str().unwrap().to_owned();
        env.sh("continuation-reviewer parser --correlation-id r3").ok();
        let asked = env.sh("operator-inbox --json").ok().json();
        let kinds: Vec<String> = asked["questions"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["correlation_id"] == "r3")
            .map(|one| one["kind"].as_str().unwrap().to_owned())
            .collect();
        let told = count(&env, "commands");
        seen.insert((mode, next, kinds, told));
    }
    let owned = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>();
    let wanted = BTreeSet::from([
        ("off", "nothing".to_owned(), owned(&["continuation_divergent"]), 0),
        ("ask-operator", "operator".to_owned(), owned(&["continuation_ready", "continuation_divergent"]), 0),
        ("auto-review", "review".to_owned(), owned(&["continuation_divergent"]), 0),
        ("auto-proceed", "review".to_owned(), owned(&[]), 1),
    ]);
    assert_eq!(seen, wanted);
}

#[test]
fn an_answer_of_the_operator_settles_the_round_and_goes_to_the_manager() {
    let env = TestEnv::pair();
    worker_proposes(&env, "r1");
    manager_proposes(&env, "r1");
    let id = env.sh("operator-inbox --json").ok().json()["questions"][0]["id"].clone();
    // Whoever counts what needs the operator counts it.
    let counts = || {
        let (line, list) = (env.sh("status-line --json").ok().json(), env.sh("list --json").ok().json());
        (line["needs_you"].clone(), line["operator_questions"].clone(), list["operator_questions"].clone())
    };
    assert_eq!(counts(), (json!(1), json!(1), json!(1)));
    assert!(env.sh("status-line").ok().out.starts_with("!1"), "{}", env.sh("status-line").ok().out);
    let listed = env.sh("list --text").ok().out;
    assert!(listed.starts_with("! 1 question to you: `conveyor operator-inbox` shows it\n"), "{listed}");
    let line = format!("operator-inbox --settle {id} --answer amend --note 'keep the old reader' --json");
    for run in [in_session(&env, "m1", &line), in_session(&env, "w1", &line), hidden(&env, &line)] {
        let (code, told) = refusal(&run);
        assert_eq!((code, told.contains("may not answer for the operator")), (3, true), "{told}");
    }
    let answered = env.sh(&line).ok().json();
    assert_eq!((&answered["answer"], &answered["told_manager"]), (&json!("amend"), &json!(true)), "{answered:#}");
    assert_eq!(refusal(&env.sh(&line)).0, 1, "once");
    assert_eq!(env.sh("operator-inbox --json").ok().json()["questions"], json!([]));
    assert_eq!(counts(), (json!(0), json!(0), json!(0)), "an answered one needs nobody");
    env.sh("dispatch").ok();
    let mail = in_session(&env, "m1", "manager-inbox parser --json").ok().out;
    assert!(mail.contains("The operator's answer about continuation r1: amend. keep the old reader"), "{mail}");
    let standing = env.sh("continuation parser --list --json").ok().json()["standing"].clone();
    assert_eq!(standing["ok"], false, "{standing}");
}

#[test]
fn proposals_at_the_same_time_get_revisions_of_their_own() {
    let env = TestEnv::live();
    env.sh("tasks --create parser --goal g").ok();
    for (role, name) in [("worker", "w1"), ("manager", "m1")] {
        env.sh(&format!("register-{role} --name {name} --codex-app-thread-id thread-{name}")).ok();
    }
    env.sh("bind --task parser --worker w1 --manager m1").ok();
    thread::scope(|scope| {
        for _ in 0..6 {
            let mut command = env.command();
            scope.spawn(move || {
                let output =
                    command.args(["continuation", "parser", "--submit", "worker", "--from-stdin={}"]).output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            });
        }
    });
    let sql = Connection::open(env.ledger()).unwrap();
    let (rows, most): (i64, i64) = sql
        .query_row("select count(distinct revision), max(revision) from task_continuations", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!((rows, most), (6, 6));
}

/// The rounds that the operator is asked about, and about what.
fn asked(env: &TestEnv) -> Vec<(String, String)> {
    let asked = env.sh("operator-inbox --json").ok().json();
    let word = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let questions = asked["questions"].as_array().unwrap().clone();
    questions.iter().map(|one| (word(one, "correlation_id"), word(one, "kind"))).collect()
}

#[test]
fn a_round_that_nobody_will_judge_any_more_is_put_to_the_operator_at_once() {
    let ready = |round: &str| vec![(round.to_owned(), "continuation_ready".to_owned())];
    let waiting = || {
        let env = TestEnv::pair();
        env.sh("manager-config parser --permit context.spawn_reviewer --nudge-on-completion auto-review").ok();
        env.sh("continuation-reviewer parser --set --reviewer-command /bin/true").ok();
        worker_proposes(&env, "r1");
        assert_eq!(manager_proposes(&env, "r1")["next"], "review");
        assert_eq!(asked(&env), []);
        env
    };
    // The terms ask the operator now, whoever has changed them.
    for session in [None, Some("m1")] {
        let env = waiting();
        let line = "manager-config parser --nudge-on-completion ask-operator";
        match session {
            Some(session) => in_session(&env, session, line).ok(),
            None => env.sh(line).ok(),
        };
        assert_eq!(asked(&env), ready("r1"));
        env.sh("manager-config parser --nudge-on-completion ask-operator --mode strict").ok();
        assert_eq!(count(&env, "operator_questions"), 1, "once");
    }
    // The terms allow no review any more.
    let env = waiting();
    env.sh("manager-config parser --permissions-json '{\"context.spawn_reviewer\": false}'").ok();
    assert_eq!(asked(&env), ready("r1"));
    // Nothing follows any more, and then the operator is asked about the newest round, which alone is still of use.
    let env = waiting();
    env.sh("manager-config parser --nudge-on-completion off").ok();
    worker_proposes(&env, "r2");
    manager_proposes(&env, "r2");
    assert_eq!(asked(&env), []);
    env.sh("manager-config parser --nudge-on-completion ask-operator --dry-run").ok();
    assert_eq!(asked(&env), [], "a rehearsal asks nobody");
    env.sh("manager-config parser --nudge-on-completion ask-operator").ok();
    assert_eq!(asked(&env), ready("r2"));
    // What a person has judged is asked about no more.
    let env = waiting();
    let own = r#"{"agreement": "match", "verdict": "proceed", "rationale": "r"}"#;
    env.sh(&format!("continuation parser --review --correlation-id r1 --from-stdin='{own}'")).ok();
    env.sh("manager-config parser --nudge-on-completion ask-operator").ok();
    assert_eq!(asked(&env), []);
}

#[test]
fn a_judgement_of_the_operators_answers_what_they_were_asked_about_the_round() {
    let env = TestEnv::pair();
    for round in ["r1", "r2"] {
        worker_proposes(&env, round);
        manager_proposes(&env, round);
    }
    let id = |index: usize| env.sh("operator-inbox --all --json").ok().json()["questions"][index]["id"].clone();
    let own = r#"{"agreement": "divergent", "verdict": "amend", "rationale": "keep the old reader", "addendum": "and say so"}"#;
    let line = format!("continuation parser --review --correlation-id r1 --from-stdin='{own}' --json");
    let rehearsed = env.sh(&format!("{line} --dry-run")).ok().json();
    assert_eq!((&rehearsed["answered_questions"], asked(&env).len()), (&json!([id(0)]), 2), "{rehearsed:#}");
    let done = env.sh(&line).ok().json();
    assert_eq!((&done["answered_questions"], &done["warning"]), (&json!([id(0)]), &Value::Null), "{done:#}");
    assert_eq!(asked(&env), [("r2".to_owned(), "continuation_ready".to_owned())], "the other round stays open");
    let all = env.sh("operator-inbox --all --json").ok().json()["questions"].clone();
    assert_eq!(
        (&all[0]["answer"], &all[0]["note"]),
        (&json!("amend"), &json!("keep the old reader and say so")),
        "{all:#}"
    );
    assert_eq!(trail(&env, "operator_answered").len(), 1);
    env.sh("dispatch").ok();
    let mail = in_session(&env, "m1", "manager-inbox parser --json").ok().out;
    assert!(
        mail.contains("The operator's answer about continuation r1: amend. keep the old reader and say so"),
        "{mail}"
    );
    // A second judgement of the same round has nothing left to answer, and tells nobody again.
    let again = env.sh(&line).ok().json();
    assert_eq!((&again["answered_questions"], trail(&env, "operator_answered").len()), (&json!([]), 1), "{again:#}");
    let text = env.sh(&line.replace("r1", "r2").replace(" --json", " --text")).ok().out;
    assert!(text.contains(&format!("question {} to the operator answered with it: amend", id(1))), "{text}");
    let standing = env.sh("continuation parser --list --json").ok().json()["standing"].clone();
    assert_eq!(standing["reason"], "the verdict on r2 is not to proceed", "{standing}");
}
