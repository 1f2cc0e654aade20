//! `session-nudge` to sessions that fetch their messages: accepted, put into the inbox, and never called received.

use super::Pair;

#[test]
fn a_message_to_a_session_that_polls_lies_in_its_inbox_and_is_not_called_received() {
    let pair = Pair::new();
    let run = pair.env.run(["session-nudge", "w1", "run the tests again", "--wait", "1"]);
    let nudged = run.json();
    assert_eq!(run.code, 4, "accepted, and not confirmed: {run}");
    assert_eq!(
        (&nudged["phase"], &nudged["lane"], &nudged["receipt"], &nudged["side_effect_started"]),
        (&"delivered".into(), &"inbox".into(), &serde_json::Value::Null, &false.into())
    );
    assert_eq!((&nudged["session"], &nudged["text"]), (&"w1".into(), &"run the tests again".into()));
    let inbox = pair.inbox();
    assert_eq!((inbox.len(), inbox[0].0.as_str()), (1, "session_nudge"));
    assert_eq!(inbox[0].1["message"], "run the tests again");
    let prose = pair.env.run(["nudge", "w1", "once more", "--text", "--no-wait"]).ok();
    assert!(prose.out.starts_with("it lies in the inbox of w1"), "{prose}");
    // The session's end of a binding is no concern of a message that goes to the session.
    pair.env.sh("unbind --task parser").ok();
    assert_eq!(pair.env.run(["session-nudge", "w1", "still there?", "--no-wait"]).ok().json()["phase"], "delivered");
}

#[test]
fn what_cannot_be_sent_to_a_session_is_refused_and_leaves_nothing() {
    let pair = Pair::new();
    pair.env.sh("register-worker --name w9 --codex-app-thread-id x").ok();
    pair.env.sh("deregister w9").ok();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["nobody", "x"], 1, "not_found"),
        (&["w9", "x"], 1, "refused"),
        (&["w1", ""], 2, "usage"),
        (&["w1", " \n"], 2, "usage"),
        (&["w1"], 2, "usage"),
        (&["w1", "x", "--wait", "-1"], 2, "usage"),
        (&["w1", "x", "--wait", "1", "--no-wait"], 2, "usage"),
        (&["w1", "x", "--idempotency-key", " "], 2, "usage"),
    ];
    for (arguments, code, kind) in cases {
        let run = pair.env.run(["session-nudge", "--json"].iter().chain(*arguments));
        assert_eq!((run.code, run.error()["kind"].as_str()), (*code, Some(*kind)), "{arguments:?}: {run}");
        assert!(run.out.is_empty(), "{arguments:?}: {run}");
    }
    let planned = pair.env.run(["session-nudge", "w1", "x", "--dry-run"]).ok().json();
    assert_eq!((&planned["dry_run"], &planned["lane"]), (&true.into(), &"inbox".into()));
    assert_eq!(pair.sql().query_row("select count(*) from commands", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    assert!(pair.inbox().is_empty());
}

/// An error after it was accepted would have somebody send it once more.
#[test]
fn a_message_that_was_accepted_is_never_told_as_failed() {
    let pair = Pair::new();
    let sql = pair.sql();
    sql.execute_batch("create trigger full before insert on dispatchers begin select raise(abort, 'no room'); end")
        .unwrap();
    let run = pair.env.run(["session-nudge", "w1", "run the tests again", "--wait", "1"]);
    let nudged = run.json();
    assert_eq!((run.code, &nudged["phase"]), (4, &"queued".into()), "{run}");
    assert!(nudged["warning"].as_str().unwrap().contains("no room"), "{run}");
    let now = pair.env.run(["session-nudge", "w1", "and this", "--no-wait"]);
    assert_eq!((now.code, &now.json()["phase"]), (0, &"queued".into()), "{now}");
    sql.execute_batch("drop trigger full").unwrap();
    pair.env.sh("dispatch --once").ok();
    let arrived: Vec<_> = pair.inbox().into_iter().map(|(_, payload)| payload["message"].clone()).collect();
    assert_eq!(arrived, ["run the tests again", "and this"]);
}

#[test]
fn texts_that_look_like_flags_or_commands_arrive_as_they_are() {
    let pair = Pair::new();
    for text in ["-x", "--json", "!ls", "/quit", "-"] {
        let run = pair.env.run_with_input(["session-nudge", "w1", "--no-wait", "--", text], b"from the input");
        assert_eq!(run.code, 0, "{text}: {run}");
    }
    let arrived: Vec<_> = pair.inbox().into_iter().map(|(_, payload)| payload["message"].clone()).collect();
    assert_eq!(arrived, ["-x", "--json", "!ls", "/quit", "from the input"]);
}

#[test]
fn it_delivers_what_waits_in_front_of_it_and_nothing_of_others() {
    let first = Pair::new();
    let pair = Pair::of("lexer", "w2", "m2", first.env);
    let before = pair.nudge("first in line for w1");
    let other = pair.env.run(["enqueue-nudge-worker", "lexer", "--message", "for w2", "--json"]).ok().json();
    pair.env.run(["session-nudge", "w1", "second in line", "--no-wait"]).ok();
    assert_eq!(pair.stands(&before).0, "delivered");
    assert_eq!(pair.stands(other["command_id"].as_str().unwrap()).0, "queued");
    let messages: Vec<_> = pair.inbox().into_iter().map(|(_, payload)| payload["message"].clone()).collect();
    assert_eq!(messages, ["first in line for w1", "second in line"]);
    let again = |text| pair.env.run(["session-nudge", "w1", text, "--no-wait", "--idempotency-key", "k", "--json"]);
    let sent = again("keyed").ok().json();
    assert_eq!(again("keyed").ok().json()["command_id"], sent["command_id"]);
    assert_eq!(again("another").code, 1);
    pair.env.sh("dispatch pause").ok();
    let held = pair.env.run(["session-nudge", "w1", "held", "--wait", "1", "--json"]);
    assert_eq!((held.code, &held.json()["phase"]), (4, &"queued".into()), "{held}");
    assert!(held.json()["warning"].as_str().unwrap().starts_with("dispatch is paused"), "{held}");
}
