//! Delivered, read, consumed, acknowledged; tokens; dead letters; who may read; what is refused.

use std::{thread, time::Duration};

use conveyor::model::delivery::Phase;
use serde_json::{Value, json};

use super::{Post, end, message, pair, start};
use crate::support::{Finished, TestEnv};

/// Which facts hold: read, consumed, acknowledged as. Delivered always does.
fn facts(env: &TestEnv, id: i64) -> (bool, bool, Value) {
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    let (delivered, read, consumed): (bool, bool, bool) = sql
        .query_row(
            "select delivered_at is not null, read_at is not null, consumed_at is not null
             from routed_notifications where id = ?1",
            [id],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert!(delivered);
    let said = env.sh(&format!("inbox-ack parser --notification-id {id}")).ok().json();
    (read, consumed, said["latest"]["status"].clone())
}

#[test]
fn each_fact_comes_by_its_own_step() {
    let env = pair();
    let post = Post::open(&env);
    let id = post.command("command-1", "look at it");
    assert_eq!(facts(&env, id), (false, false, Value::Null));

    let listed = env.run_below_codex(&["manager-inbox", "parser", "--json"], None).ok().json();
    assert_eq!((message(&listed["items"][0]), &listed["items"][0]["leased"]), ("look at it", &json!(false)));
    assert_eq!(facts(&env, id), (true, false, Value::Null), "shown is read, and no more");

    let said = env.sh(&format!("inbox-ack parser --notification-id {id} --role manager --status received")).ok();
    assert_eq!(said.json()["receipt"]["event_type"], "dispatch_inbox_ack_recorded", "{said}");
    assert_eq!(facts(&env, id), (true, false, json!("received")), "said is not confirmed");
    let early = env.sh(&format!("inbox-ack parser --notification-id {id} --role manager --status accepted --json"));
    assert_eq!((early.code, early.error()["kind"].as_str()), (1, Some("refused")), "{early}");

    let received = env.sh("receive m1 --json").ok().json();
    let item = &received["received"];
    assert_eq!((item["leased"].clone(), item["delivery_count"].clone()), (json!(true), json!(1)));
    for key in ["claimed_by", "claimed_at", "claim_expires_at", "lease_token"] {
        assert!(item[key].is_string(), "{key} in {item:#}");
    }
    let listed = env.sh("manager-inbox parser --json").ok().json();
    assert_eq!((&listed["items"][0]["leased"], &listed["items"][0]["lease_token"]), (&json!(true), &Value::Null));
    assert!(!facts(&env, id).1, "handed out is not consumed");
    assert_eq!(post.state_of("command-1").0, Phase::Delivered);

    let token = item["lease_token"].as_str().unwrap();
    let acked = env.sh(&format!("ack {token} --json")).ok().json();
    assert_eq!((&acked["already"], &acked["late"]), (&json!(false), &json!(false)));
    assert_eq!(facts(&env, id), (true, true, json!("received")));
    let (phase, result) = post.state_of("command-1");
    assert_eq!(
        (phase, &result["receipt"]["kind"], &result["state"]),
        (Phase::Done, &json!("inbox_ack"), &json!("pull_required"))
    );

    let line = format!("inbox-ack parser --notification-id {id} --role manager --status accepted --from-stdin");
    let run = env.run_with_input(shell_words::split(&line).unwrap(), br#"{"note": "done"}"#).ok();
    assert_eq!(run.json()["acknowledgement"]["payload"], json!({"note": "done"}));
    let back = env.sh(&format!("inbox-ack parser --notification-id {id} --role manager --status received --json"));
    assert_eq!(back.code, 1, "after an answer it is not merely received: {back}");
    let all = env.sh(&format!("inbox-ack parser --notification-id {id}")).ok().json();
    assert_eq!(all["acknowledgements"].as_array().unwrap().len(), 2);

    let again = env.sh(&format!("ack {token} --json")).ok().json();
    assert_eq!(again["already"], true, "the answer to a confirmation may get lost");
    let history = env.sh("manager-inbox parser --consumed --json").ok().json();
    assert_eq!((message(&history["history"][0]), &history["items"]), ("look at it", &json!([])));
    assert_eq!(env.sh("receive m1 --json").ok().json()["received"], Value::Null);
}

#[test]
fn what_is_taken_for_good_is_printed_and_ends_its_command() {
    let env = pair();
    let post = Post::open(&env);
    post.command("command-1", "first \u{1b}[31mred\u{1b}[0m\npending: none\n\u{202e}tail");
    post.command("command-2", "second");
    let run = env.sh("manager-inbox parser --consume-next --text").ok();
    for line in ["  | first red", "  | pending: none", "  | tail", "pending: 1", "  | second"] {
        assert!(run.out.lines().any(|shown| shown == line), "{line:?} in {run}");
    }
    assert!(run.out.lines().all(|line| line != "pending: none"), "a message speaks for us: {run}");
    assert!(!run.out.contains('\u{1b}') && !run.out.contains("u{1b}"), "{run}");
    let (phase, result) = post.state_of("command-1");
    assert_eq!((phase, &result["receipt"]["kind"]), (Phase::Done, &json!("inbox_consumed")));
    assert_eq!(post.state_of("command-2").0, Phase::Delivered);
    let trail = env.sh("events parser --type dispatch_inbox_consumed").ok().json();
    assert_eq!(trail[0]["payload"]["correlation_id"], "dispatch-c", "{trail:#}");

    let rehearsed = env.sh("manager-inbox parser --consume-next --dry-run --json").ok().json();
    assert_eq!((message(&rehearsed["consumed"]), &rehearsed["dry_run"]), ("second", &json!(true)));
    assert_eq!(post.state_of("command-2").0, Phase::Delivered);
}

#[test]
fn a_reader_that_dies_with_a_message_loses_nothing() {
    let env = pair();
    Post::open(&env).command("command-1", "do not lose me");
    let first = env.sh("receive m1 --visibility 1 --json").ok().json();
    assert_eq!(first["received"]["delivery_count"], 1);
    assert_eq!(env.sh("receive m1 --json").ok().json()["received"], Value::Null, "somebody holds it");
    // Nobody commits anything when a hand-out runs out.
    let second = env.sh("receive m1 --wait --timeout 10 --json").ok().json();
    assert_eq!((message(&second["received"]), &second["received"]["delivery_count"]), ("do not lose me", &json!(2)));
    assert!(second["wait"]["elapsed_seconds"].as_f64().unwrap() < 3.0, "{:#}", second["wait"]);

    let void = env.sh(&format!("ack {} --json", first["received"]["lease_token"].as_str().unwrap()));
    assert_eq!((void.code, void.error()["kind"].as_str()), (1, Some("refused")), "{void}");
    assert!(void.error()["message"].as_str().unwrap().contains("was handed out again"), "{void}");
    env.sh(&format!("ack {}", second["received"]["lease_token"].as_str().unwrap())).ok();
}

#[test]
fn a_late_confirmation_counts_while_nobody_else_has_the_message() {
    let env = pair();
    let post = Post::open(&env);
    post.command("command-1", "slow");
    let token = env.sh("receive m1 --visibility 1 --json").ok().json()["received"]["lease_token"].clone();
    thread::sleep(Duration::from_millis(1_100));
    let late = env.sh(&format!("ack {} --json", token.as_str().unwrap())).ok().json();
    assert_eq!((&late["late"], post.state_of("command-1").0), (&json!(true), Phase::Done));
}

#[test]
fn ten_hand_outs_make_a_dead_letter_that_can_be_put_back() {
    let env = pair();
    let post = Post::open(&env);
    post.command("command-1", "poison");
    post.command("command-2", "fine");
    for round in 1..=10 {
        let received = env.sh("receive m1 --json").ok().json();
        assert_eq!(
            (message(&received["received"]), &received["received"]["delivery_count"]),
            ("poison", &json!(round))
        );
        let token = received["received"]["lease_token"].as_str().unwrap().to_owned();
        let released = env.sh(&format!("ack {token} --release --json")).ok().json();
        assert_eq!(released["released"], true);
        assert_eq!(env.sh(&format!("ack {token}")).code, 1, "what was given back is not ours any more");
    }
    let taken = env.sh("receive m1 --json").ok().json();
    assert_eq!(message(&taken["received"]), "fine", "one letter does not hold up the others");
    assert_eq!(post.state_of("command-1").0, Phase::Dead);
    let shown = env.sh("manager-inbox parser --json");
    assert_eq!((shown.code, &shown.json()["counts"]["dead_letters"]), (1, &json!(1)), "{shown}");
    assert_eq!(message(&shown.json()["dead_letters"][0]), "poison");
    let shown = env.sh("manager-inbox parser --text");
    assert!(shown.code == 1 && shown.out.contains("dead letters: 1") && shown.out.contains("  | poison"), "{shown}");
    assert_eq!(env.sh("status m1 --no-refresh").ok().json()["inbox"]["dead_letters"], 1);

    let revived = env.sh("session-inbox m1 --revive --consume-next --json").ok().json();
    assert_eq!((message(&revived["consumed"]), &revived["revived"]), ("poison", &json!([1])));
    assert_eq!(post.state_of("command-1").0, Phase::Done);
    assert_eq!(env.sh("manager-inbox parser --json").code, 0);
}

#[test]
fn a_dead_letter_whose_command_is_queued_again_comes_once() {
    let env = pair();
    let post = Post::open(&env);
    let id = post.command("command-1", "poison");
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    sql.execute("update routed_notifications set delivery_count = 10 where id = ?1", [id]).unwrap();
    assert_eq!(env.sh("manager-inbox parser --json").code, 1);
    assert_eq!(post.state_of("command-1").0, Phase::Dead);
    env.sh("dispatch retry command-1").ok();
    assert_eq!(env.sh("session-inbox m1 --revive --json").ok().json()["counts"]["waiting"], 0, "it is on its way");
    env.sh("dispatch --once").ok();
    let taken = env.sh("session-inbox m1 --consume-next --json").ok().json();
    assert_eq!((message(&taken["consumed"]), &taken["counts"]["waiting"]), ("poison", &json!(0)));
    assert_eq!(post.state_of("command-1").0, Phase::Done);
}

#[test]
fn the_task_forms_go_on_after_the_binding_and_keep_to_the_task() {
    let env = pair();
    let post = Post::open(&env);
    let id = post.command("command-1", "old task");
    env.sh("unbind --task parser").ok();
    env.sh("tasks --create other --goal g").ok();
    env.sh("register-worker --name w2 --codex-app-thread-id w2").ok();
    env.sh("bind --task other --worker w2 --manager m1").ok();
    let other = Post { task_id: env.sh("tasks --json").ok().json()[1]["id"].as_str().unwrap().to_owned(), ..post };
    other.put(&other.session_id("m1"), "new task");

    let old = env.sh("manager-inbox parser --consume-next --json").ok().json();
    assert_eq!((message(&old["consumed"]), &old["task"]["binding_state"]), ("old task", &json!("ended")));
    assert_eq!(env.sh("manager-inbox parser --receive --json").ok().json()["received"], Value::Null);
    let line = format!("inbox-ack parser --notification-id {id} --role manager --status accepted");
    env.sh(&line).ok();
    let new = env.sh("manager-inbox other --json").ok().json();
    assert_eq!(message(&new["items"][0]), "message new task");
}

#[test]
fn a_session_reads_no_other_sessions_messages() {
    let env = pair();
    let post = Post::open(&env);
    let id = post.command("command-1", "for the manager");
    let token = env.sh("receive m1 --visibility 1 --json").ok().json()["received"]["lease_token"].clone();
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    sql.execute("update routed_notifications set read_at = null", []).unwrap();
    // From here on every command of this test runs in the session `w1`.
    let pid = std::process::id();
    env.sh(&format!("register-worker --name w1 --codex-app-thread-id w1 --pid {pid}")).ok();
    let lines = [
        "receive m1".to_owned(),
        "manager-inbox parser --consume-next".to_owned(),
        "session-inbox m1 --revive".to_owned(),
        format!("ack {}", token.as_str().unwrap()),
        format!("inbox-ack parser --notification-id {id} --role manager --status received"),
    ];
    for line in lines {
        let run = env.sh(&format!("{line} --json"));
        assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("refused")), "{line}: {run}");
        assert!(run.error()["message"].as_str().unwrap().contains("runs in the session w1"), "{run}");
    }
    let looked = env.sh("manager-inbox parser --json").ok().json();
    assert_eq!((message(&looked["items"][0]), &looked["items"][0]["read_at"]), ("for the manager", &Value::Null));
    assert_eq!(facts(&env, id), (false, false, Value::Null));
    env.sh("worker-inbox parser --receive").ok();
}

/// The thread of a session, which Codex names in the environment of its commands.
fn give_thread(env: &TestEnv, name: &str) -> String {
    let thread = format!("01a1fbe2-0000-7000-8000-0000000000{name}");
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    let changed = sql.execute("update sessions set codex_session_id = ?1 where name = ?2", [&thread, name]).unwrap();
    assert_eq!(changed, 1);
    thread
}

#[test]
fn an_operators_look_reads_nothing_for_the_session() {
    let env = pair();
    let id = Post::open(&env).command("command-1", "for the manager");
    for line in ["session-inbox m1", "manager-inbox parser", "manager-inbox parser --wait --timeout 0"] {
        let shown = env.sh(&format!("{line} --json")).ok().json();
        assert_eq!(
            (message(&shown["items"][0]), &shown["items"][0]["read_at"]),
            ("for the manager", &Value::Null),
            "{line}"
        );
    }
    assert_eq!(facts(&env, id), (false, false, Value::Null));
    // On behalf of a session that cannot do it itself.
    let taken = env.sh("session-inbox m1 --consume-next --json").ok().json();
    assert_eq!(message(&taken["consumed"]), "for the manager");
    let trail = env.sh("events parser --type dispatch_inbox_consumed").ok().json();
    let by = (&trail[0]["actor"], &trail[0]["payload"]["origin"]);
    assert_eq!(by, (&json!("operator"), &json!("the operator")), "{trail:#}");
}

#[test]
fn a_session_in_its_sandbox_has_its_own_messages_and_no_others() {
    let env = pair();
    let post = Post::open(&env);
    let id = post.command("command-1", "for the manager");
    let (worker, manager) = (give_thread(&env, "w1"), give_thread(&env, "m1"));
    for words in
        [&["receive", "m1"][..], &["manager-inbox", "parser", "--consume-next"], &["session-inbox", "m1", "--revive"]]
    {
        let run = env.run_below_codex(&[words, &["--json"]].concat(), Some(&worker));
        assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("refused")), "{words:?}: {run}");
        assert!(run.error()["message"].as_str().unwrap().contains("runs in the session w1"), "{run}");
    }
    env.run_below_codex(&["manager-inbox", "parser", "--json"], Some(&worker)).ok();
    assert_eq!(facts(&env, id), (false, false, Value::Null), "another session's look");

    env.run_below_codex(&["manager-inbox", "parser", "--json"], Some(&manager)).ok();
    assert_eq!(facts(&env, id), (true, false, Value::Null));
    let received = env.run_below_codex(&["receive", "m1", "--json"], Some(&manager)).ok().json();
    let token = received["received"]["lease_token"].as_str().unwrap().to_owned();
    let number = id.to_string();
    let said =
        ["inbox-ack", "parser", "--notification-id", &number, "--role", "manager", "--status", "received", "--json"];
    for words in [&["ack", &token, "--json"][..], &said] {
        let run = env.run_below_codex(words, Some(&worker));
        assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("refused")), "{words:?}: {run}");
        env.run_below_codex(words, Some(&manager)).ok();
    }
    for kind in ["dispatch_inbox_consumed", "dispatch_inbox_ack_recorded"] {
        let trail = env.sh(&format!("events parser --type {kind}")).ok().json();
        let by = (&trail[0]["actor"], &trail[0]["payload"]["origin"]);
        assert_eq!(by, (&json!("manager"), &json!("manager m1")), "{trail:#}");
    }
}

#[test]
fn what_an_operator_has_seen_no_session_of_codex_says() {
    let env = pair();
    for flag in ["--seen", "--unread"] {
        let run = env.run_below_codex(&["mark", "w1", flag, "--json"], None);
        assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("refused")), "{run}");
        env.sh(&format!("mark w1 {flag}")).ok();
    }
    env.run_below_codex(&["mark", "w1", "--pin"], None).ok();
}

#[test]
fn a_cycle_shows_the_managers_messages_and_takes_none() {
    let env = pair();
    let post = Post::open(&env);
    let id = post.command("command-1", "I am stuck");
    env.sh("cycle parser").ok();
    assert_eq!(facts(&env, id), (false, false, Value::Null), "an operator's look is not the manager's");
    let cycle = env.run_below_codex(&["cycle", "parser"], None).ok().json();
    assert_eq!(
        (message(&cycle["manager_inbox"]["items"][0]), &cycle["consumed_dispatch_notifications"]),
        ("I am stuck", &json!(0))
    );
    assert_eq!(facts(&env, id), (true, false, Value::Null));
    let told = env.sh("cycle parser --text").ok();
    assert!(told.out.contains("  | I am stuck"), "{told}");
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    let stored: String =
        sql.query_row("select status_json from manager_cycles order by id desc limit 1", [], |row| row.get(0)).unwrap();
    let stored: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(stored["manager_inbox"]["items"], json!([id]), "the text is not kept twice");
    let status = env.sh("status m1 --no-refresh --text").ok();
    assert!(status.out.contains("messages: 1 wait, 0 unread"), "{status}");
}

#[track_caller]
fn assert_refused(run: &Finished, code: i32, kind: &str) {
    assert_eq!((run.code, run.error()["kind"].as_str()), (code, Some(kind)), "{run}");
    assert!(run.out.is_empty(), "{run}");
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let env = pair();
    let post = Post::open(&env);
    let id = post.command("command-1", "m");
    let cases = [
        ("session-inbox nobody", 1, "not_found"),
        ("manager-inbox nothing", 1, "not_found"),
        ("receive nobody", 1, "not_found"),
        ("ack receipt-1", 1, "not_found"),
        ("ack receipt-x-1", 1, "not_found"),
        ("ack ''", 1, "not_found"),
        ("receive m1 --wait --timeout=-1", 2, "usage"),
        ("receive m1 --wait --timeout nan", 2, "usage"),
        ("receive m1 --wait --timeout 1e300", 2, "usage"),
        ("receive m1 --interval 0", 2, "usage"),
        ("receive m1 --interval=-0.1", 2, "usage"),
        ("receive m1 --visibility 0", 2, "usage"),
        ("session-inbox m1 --visibility 5", 2, "usage"),
        ("session-inbox m1 --consumed --receive", 2, "usage"),
        ("inbox-ack parser --notification-id 99", 1, "not_found"),
        ("inbox-ack parser --notification-id x", 2, "usage"),
        ("inbox-ack parser --notification-id 1 --role boss --status received", 2, "usage"),
        ("inbox-ack parser --notification-id 1 --role worker --status received", 1, "refused"),
        ("inbox-ack parser --notification-id 1 --role manager --status seen", 2, "usage"),
        ("inbox-ack parser --notification-id 1 --role manager --status received --correlation-id 'a b'", 2, "usage"),
    ];
    assert_eq!(id, 1);
    for (line, code, kind) in cases {
        assert_refused(&env.sh(&format!("{line} --json")), code, kind);
    }
    let line = "inbox-ack parser --notification-id 1 --role manager --status received --from-stdin --json";
    for input in [&b"[1]"[..], b"", b"{", b"\xff{}", b"7"] {
        assert_refused(&env.run_with_input(shell_words::split(line).unwrap(), input), 2, "usage");
    }
    env.sh("tasks --create free --goal g").ok();
    assert_refused(&env.sh("worker-inbox free --json"), 1, "refused");
    assert_refused(&env.sh("inbox-ack free --notification-id 1 --json"), 1, "refused");
    env.sh("register-manager --name m2 --codex-app-thread-id m2").ok();
    env.sh("register-worker --name w2 --codex-app-thread-id w2").ok();
    env.sh("bind --task free --worker w2 --manager m2").ok();
    let foreign = env.sh("inbox-ack free --notification-id 1 --json");
    assert_refused(&foreign, 1, "refused");
    assert_eq!(foreign.error()["hint"], "it belongs to the task parser");
    let untouched = end(start(&env, "session-inbox m1 --json")).ok().json();
    assert_eq!((&untouched["counts"]["waiting"], &untouched["items"][0]["acknowledgement"]), (&json!(1), &Value::Null));
}
