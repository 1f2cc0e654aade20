//! One command at a time: accepted, delivered, refused, taken back, given up, tried again.

use std::time::Duration;

use serde_json::json;

use super::Pair;
use crate::support::TestEnv;

#[test]
fn a_queued_message_is_delivered_into_the_inbox_and_every_step_is_on_record() {
    let pair = Pair::new();
    let queued = pair.env.run(["enqueue-nudge-worker", "parser", "--message", "run the tests\n", "--json"]).ok().json();
    assert_eq!(
        (&queued["command_type"], &queued["state"], &queued["phase"], &queued["target_session"]),
        (&"nudge_worker".into(), &"pending".into(), &"queued".into(), &"w1".into())
    );
    assert!(queued["warning"].as_str().unwrap().starts_with("no dispatcher runs; 1 command waits"), "{queued}");
    let id = queued["command_id"].as_str().unwrap();

    let pass = pair.env.sh("dispatch --once --json").ok().json();
    assert_eq!(pass["processed_count"], 1);
    let item = &pass["processed"][0];
    assert_eq!(
        (&item["kind"], &item["command_id"], &item["state"], &item["phase"], &item["lane"]),
        (&"command".into(), &id.into(), &"pull_required".into(), &"delivered".into(), &"inbox".into())
    );
    assert_eq!((&item["side_effect_started"], &item["side_effect_completed"]), (&false.into(), &false.into()));
    let inbox = pair.inbox();
    assert_eq!(inbox.len(), 1);
    assert_eq!(inbox[0].1["message"], "run the tests\n", "as it was sent, to the byte");
    assert_eq!(
        (&inbox[0].1["source_session"], &inbox[0].1["target_session"]),
        (&serde_json::Value::Null, &"w1".into())
    );

    let commands = pair.env.sh("commands --attempts --json").ok().json();
    let command = &commands[0];
    assert_eq!((&command["state"], &command["attempts"]), (&"succeeded".into(), &1.into()));
    assert_eq!(command["claimed_by"], json!(null), "nothing looks like a claim in force");
    let tried = &command["attempt_history"][0];
    assert_eq!((&tried["state"], &tried["dispatcher_id"]), (&"succeeded".into(), &pass["dispatcher_id"]));
    assert_eq!(tried["result"], *item, "what was printed is what is on record");
    assert_eq!(command["result"], *item);
    let again = pair.env.sh("dispatch --json").ok().json();
    assert_eq!((&again["processed_count"], pair.inbox().len()), (&0.into(), 1), "nothing is delivered twice");
}

#[test]
fn a_key_that_comes_again_is_answered_and_never_delivered_twice() {
    let pair = Pair::new();
    let send = |text: &str, key: &str| {
        pair.env.run(["enqueue-notify-manager", "parser", "--json", "--message", text, "--idempotency-key", key])
    };
    let first = send("blocked", "k1").ok().json();
    let again = send("blocked", "k1").ok().json();
    assert_eq!((&again["command_id"], &again["repeated"]), (&first["command_id"], &true.into()));
    pair.env.sh("dispatch").ok();
    let later = send("blocked", "k1").ok().json();
    assert_eq!((&later["command_id"], &later["phase"]), (&first["command_id"], &"delivered".into()));
    let other = send("something else", "k1");
    assert_eq!((other.code, other.error()["kind"].as_str()), (1, Some("conflict")), "{other}");
    assert!(other.out.is_empty() && other.err.contains(first["command_id"].as_str().unwrap()), "{other}");
    assert_eq!(pair.inbox().len(), 1);
    // Whoever missed the answer asks again, also when nothing could be sent any more.
    pair.env.sh("unbind --task parser").ok();
    let late = send("blocked", "k1").ok().json();
    assert_eq!((&late["command_id"], &late["repeated"]), (&first["command_id"], &true.into()));
    for (text, key) in [("something else", "k1"), ("blocked", "k2")] {
        let run = send(text, key);
        assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("refused")), "{run}");
    }
    // Keys of one task are no concern of another's.
    let second = Pair::of("lexer", "w2", "m2", pair.env);
    let elsewhere = ["enqueue-notify-manager", "lexer", "--json", "--message", "x", "--idempotency-key", "k1"];
    assert_eq!(second.env.run(elsewhere).ok().json()["repeated"], false);
}

#[test]
fn what_cannot_be_sent_is_refused_and_leaves_nothing() {
    let pair = Pair::new();
    let env = &pair.env;
    env.sh("tasks --create unbound --goal g").ok();
    let cases: &[(&[&str], i32, &str, &str)] = &[
        (&["parser", "--message", ""], 2, "usage", "must be non-empty"),
        (&["parser", "--message", " \n\t"], 2, "usage", "must be non-empty"),
        (&["nowhere", "--message", "x"], 1, "not_found", "unknown task"),
        (&["unbound", "--message", "x"], 1, "refused", "no active session-based binding"),
        (&["parser", "--message", "x", "--expires", "0"], 2, "usage", "--expires"),
        (&["parser", "--message", "x", "--idempotency-key", ""], 2, "usage", "--idempotency-key takes"),
        (&["parser", "--message", "x", "--correlation-id", "a\u{1b}[2J"], 2, "usage", "--correlation-id takes"),
        (&["--filter", "state:nonsense", "--message", "x"], 2, "usage", "nonsense"),
        (&["--filter", "state:queued", "--message", "x"], 2, "usage", "a session is needs-you"),
        (&["--filter", "colour:foo", "--message", "x"], 2, "usage", "the keys are state:, task:"),
        (&["--filter", "role:manager", "--message", "x"], 1, "refused", "no bound worker matches"),
        (&["parser", "--filter", "x", "--message", "x"], 2, "usage", "cannot be used with"),
        (&["--message", "x"], 2, "usage", "TASK"),
    ];
    for (arguments, code, kind, text) in cases {
        let words = ["enqueue-nudge-worker", "--json"].iter().chain(*arguments);
        let run = env.run(words);
        assert_eq!((run.code, run.error()["kind"].as_str()), (*code, Some(*kind)), "{arguments:?}: {run}");
        assert!(run.err.contains(text) && run.out.is_empty(), "{arguments:?}: {run}");
    }
    for (input, text) in [(vec![b'x'; (1 << 20) + 1], "more than 1048576"), (vec![0xff, 0xfe], "not UTF-8")] {
        let run = env.run_with_input(["enqueue-nudge-worker", "parser", "--message", "-"], &input);
        assert!(run.code == 2 && run.err.contains(text), "{run}");
    }
    assert_eq!(pair.sql().query_row("select count(*) from commands", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn hostile_messages_arrive_as_they_were_sent() {
    let pair = Pair::new();
    let messages =
        ["-", "--json", "!touch x", "/quit", "a\u{1b}[201~b\u{7}", "\u{202e}abc", "nul \u{0} inside", "é漢🙂"];
    for message in messages {
        let run = pair.env.run_with_input(["enqueue-nudge-worker", "parser", "--message", "-"], message.as_bytes());
        assert_eq!(run.code, 0, "{message:?}: {run}");
    }
    pair.env.sh("dispatch --limit 100").ok();
    let arrived: Vec<_> = pair.inbox().into_iter().map(|(_, payload)| payload["message"].clone()).collect();
    assert_eq!(arrived, messages);
}

#[test]
fn a_message_to_a_filter_goes_to_every_bound_worker_that_matches() {
    let first = Pair::new();
    let second = Pair::of("lexer", "w2", "m2", first.env);
    let nudged = second.env.sh("enqueue-nudge-worker --filter role:worker --message hello --json").ok().json();
    let targets: Vec<_> =
        nudged["commands"].as_array().unwrap().iter().map(|command| command["target_session"].clone()).collect();
    assert_eq!(targets.len(), 2, "{nudged}");
    second.env.sh("dispatch").ok();
    assert_eq!(second.inbox().len(), 2);
}

#[test]
fn what_was_true_at_the_sending_is_looked_at_again_before_the_delivery() {
    let pair = Pair::new();
    let id = pair.nudge("through the first binding");
    let ended = pair.env.sh("unbind --task parser --json").ok().json();
    assert_eq!(ended["given_up_commands"][0], id.as_str(), "{ended}");
    // What an earlier version has left in line.
    let left = "update commands set phase = 'queued', state = 'pending' where id = ?1";
    assert_eq!(pair.sql().execute(left, [&id]).unwrap(), 1);
    let pass = pair.env.sh("dispatch --json").ok().json();
    assert_eq!(pass["processed"][0]["error"], "the binding it was sent through has ended");
    assert_eq!(pair.stands(&id).0, "failed");
    // Another binding of the same two is another binding.
    pair.env.sh("bind --task parser --worker w1 --manager m1").ok();
    let retried = pair.env.run(["dispatch", "retry", &id, "--json"]);
    assert_eq!((retried.code, retried.error()["kind"].as_str()), (1, Some("refused")), "{retried}");
    assert!(pair.inbox().is_empty());
}

#[test]
fn a_message_expires_unread_and_can_be_queued_again() {
    let pair = Pair::new();
    let queued =
        pair.env.run(["enqueue-nudge-worker", "parser", "--message", "now or never", "--expires", "1", "--json"]).ok();
    let id = queued.json()["command_id"].as_str().unwrap().to_owned();
    std::thread::sleep(Duration::from_millis(1_100));
    let pass = pair.env.sh("dispatch --json").ok().json();
    assert_eq!(pass["processed"][0]["phase"], "expired", "{pass}");
    assert_eq!(pair.stands(&id), ("expired".to_owned(), Some("its time ran out".to_owned())));
    assert!(pair.inbox().is_empty());
    assert_eq!(pair.env.sh("dispatch status --json").ok().json()["dead_letters"], 1);
    pair.env.run(["dispatch", "retry", &id]).ok();
    pair.env.sh("dispatch").ok();
    assert_eq!((pair.stands(&id).0.as_str(), pair.inbox().len()), ("delivered", 1));
}

#[test]
fn only_what_nobody_has_begun_can_be_taken_back() {
    let pair = Pair::new();
    let (kept, dropped) = (pair.nudge("kept"), pair.nudge("dropped"));
    pair.env.run(["dispatch", "cancel", &dropped, "--reason", "not any more"]).ok();
    pair.env.sh("dispatch").ok();
    assert_eq!(pair.stands(&dropped), ("cancelled".to_owned(), Some("not any more".to_owned())));
    assert_eq!(pair.inbox().len(), 1);
    for (verb, id) in [("cancel", &kept), ("retry", &kept), ("cancel", &dropped), ("retry", &dropped)] {
        let run = pair.env.run(["dispatch", verb, id, "--json"]);
        assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("refused")), "{verb}: {run}");
    }
    let unknown = pair.env.sh("dispatch cancel command-nope --json");
    assert_eq!((unknown.code, unknown.error()["kind"].as_str()), (1, Some("not_found")), "{unknown}");
}

#[test]
fn a_pause_holds_everything_or_one_task_and_says_so_everywhere() {
    let first = Pair::new();
    let pair = Pair::of("lexer", "w2", "m2", first.env);
    let parser = pair.nudge("for the parser");
    let lexer = pair.env.run(["enqueue-nudge-worker", "lexer", "--message", "for the lexer", "--json"]).ok().json();
    let lexer = lexer["command_id"].as_str().unwrap().to_owned();
    pair.answer("turn-1", "done");
    assert_eq!(pair.env.sh("dispatch pause --all --reason fire --json").ok().json()["changed"], true);
    assert_eq!(pair.env.sh("dispatch pause --json").ok().json()["changed"], false, "it is paused already");
    let pass = pair.env.sh("dispatch --json").ok().json();
    assert_eq!(pass["processed_count"], 0);
    assert!(pass["warning"].as_str().unwrap().starts_with("dispatch is paused; 2 commands wait"), "{pass}");
    let queued = pair.env.sh("enqueue-nudge-worker parser --message more --json").ok().json();
    assert!(queued["warning"].as_str().unwrap().starts_with("dispatch is paused"), "{queued}");

    pair.env.sh("dispatch pause --task parser").ok();
    pair.env.sh("dispatch resume").ok();
    pair.env.sh("dispatch").ok();
    assert_eq!((pair.stands(&parser).0.as_str(), pair.stands(&lexer).0.as_str()), ("queued", "delivered"));
    assert!(
        pair.inbox().iter().any(|(signal, _)| signal == "worker_task_complete"),
        "the other task's worker is heard"
    );
    let status = pair.env.sh("dispatch status").ok();
    assert!(status.out.contains("waiting 2") && status.out.contains("paused parser since"), "{status}");
    pair.env.sh("dispatch resume --task parser").ok();
    pair.env.sh("dispatch").ok();
    assert_eq!(pair.stands(&parser).0, "delivered");
}

#[test]
fn a_rehearsal_tells_what_would_happen_and_changes_nothing() {
    let pair = Pair::new();
    let id = pair.nudge("x");
    pair.answer("turn-1", "done");
    pair.env.sh("ingest w1").ok();
    let planned = pair.env.sh("dispatch --dry-run --json").ok().json();
    assert_eq!((&planned["dry_run"], &planned["processed"][0]["state"]), (&true.into(), &"planned".into()));
    let rehearsed = json!([true, true]);
    let items = planned["processed"].as_array().unwrap();
    assert_eq!(json!(items.iter().map(|item| &item["dry_run"]).collect::<Vec<_>>()), rehearsed, "{planned}");
    assert_eq!((pair.stands(&id).0.as_str(), pair.inbox().len()), ("queued", 0));
    let dispatchers = "select count(*) from dispatchers";
    assert_eq!(pair.sql().query_row(dispatchers, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    let sent = pair.env.sh("enqueue-nudge-worker parser --message y --dry-run --json").ok().json();
    assert_eq!(sent["dry_run"], true);
    assert_eq!(pair.sql().query_row("select count(*) from commands", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn commands_are_paged_filtered_and_redacted() {
    let pair = Pair::new();
    let ids: Vec<_> = (0..5).map(|number| pair.nudge(&format!("secret number {number}"))).collect();
    pair.env.sh("dispatch --limit 2").ok();
    let listed = |arguments: &str| -> Vec<String> {
        let commands = pair.env.sh(&format!("commands --json {arguments}")).ok().json();
        commands.as_array().unwrap().iter().map(|command| command["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(""), ids, "the oldest first");
    assert_eq!(listed("--limit 2"), ids[3..], "the newest two");
    assert_eq!(listed(&format!("--limit 2 --before {}", ids[3])), ids[1..3], "the page before");
    assert_eq!(listed("--phase queued"), ids[2..]);
    assert_eq!(listed("--state succeeded"), ids[..2]);
    assert_eq!(listed("--type notify_manager"), Vec::<String>::new());
    assert_eq!(listed("--session w1 --task parser"), ids);
    let redacted = pair.env.sh("commands --redact --json").ok();
    assert!(!redacted.out.contains("secret number") && redacted.out.contains("sha256"), "{redacted}");
    let prose = pair.env.sh("commands --limit 1").ok();
    assert!(prose.out.contains("pending\tnudge_worker\tparser\tw1\tqueued"), "{prose}");
    for wrong in ["commands --task nowhere", "commands --session nobody", "commands --before nothing"] {
        assert_eq!(pair.env.sh(wrong).code, 1, "{wrong}");
    }
}

#[test]
fn dispatch_needs_a_ledger_and_makes_none() {
    let env = TestEnv::new();
    for line in ["dispatch", "dispatch --watch --watch-iterations 1", "dispatch status", "commands", "dispatch pause"] {
        let run = env.sh(&format!("{line} --json"));
        assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("not_found")), "{line}: {run}");
    }
    assert_eq!(std::fs::read_dir(env.cwd()).unwrap().count(), 0);
}

#[test]
fn no_sender_s_key_is_one_of_our_own() {
    let pair = Pair::new();
    let run = pair.env.sh("enqueue-notify-manager parser --message x --idempotency-key conveyor:wake:1 --json");
    assert_eq!((run.code, run.error()["kind"].as_str()), (2, Some("usage")), "{run}");
    // A key of the same words as our own used to be: it takes nothing from the word to the manager.
    pair.env.sh("enqueue-notify-manager parser --message x --idempotency-key wake:1").ok();
    pair.env.sh("enqueue-notify-manager parser --message x --idempotency-key wake:2").ok();
    pair.answer("turn-1", "done");
    pair.env.sh("dispatch").ok();
    let words = "select count(*) from commands where type = 'worker_task_complete'";
    assert_eq!(pair.sql().query_row(words, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn a_reason_is_bounded_and_cleaned_before_it_is_recorded() {
    let pair = Pair::new();
    let id = pair.nudge("x");
    let long = "a".repeat(1_001);
    for words in [vec!["dispatch", "pause"], vec!["dispatch", "cancel", &id], vec!["dispatch", "retry", &id]] {
        let run = pair.env.run(words.iter().copied().chain(["--reason", &long]));
        assert_eq!(run.code, 2, "{words:?}: {run}");
    }
    assert_eq!(pair.env.sh("dispatch status --json").ok().json()["pauses"], serde_json::json!([]));
    pair.env.run(["dispatch", "pause", "--reason", " red \u{1b}[31mflag\u{202e} "]).ok();
    let reason = pair.env.sh("dispatch status --json").ok().json()["pauses"][0]["reason"].clone();
    let reason = reason.as_str().unwrap();
    assert!(reason.starts_with("red") && reason.contains("flag"), "{reason:?}");
    assert!(!reason.contains(['\u{1b}', '\u{202e}']), "{reason:?}");
    pair.env.run(["dispatch", "cancel", &id, "--reason", " "]).ok();
    assert_eq!(pair.stands(&id), ("cancelled".to_owned(), Some("taken back".to_owned())));
}
