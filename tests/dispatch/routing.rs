//! What workers' turns came to reaches their managers: once, within the binding, and never as a flood.

use conveyor::base::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::Pair;

fn dispatch(pair: &Pair) -> Vec<Value> {
    let pass = pair.env.sh("dispatch --json").ok().json();
    pass["processed"].as_array().unwrap().clone()
}

#[test]
fn a_worker_that_finishes_tells_its_manager_with_its_last_words() {
    let pair = Pair::new();
    let words = format!("All tests pass. {}", "x".repeat(2_000));
    pair.answer("turn-1", &words);
    let routed = dispatch(&pair);
    assert_eq!(
        (&routed[0]["kind"], &routed[0]["signal_type"], &routed[0]["state"], &routed[0]["target_session"]),
        (&"completion".into(), &"worker_task_complete".into(), &"pull_required".into(), &"m1".into())
    );
    let inbox = pair.inbox();
    let (signal, message) = &inbox[0];
    assert_eq!(signal, "worker_task_complete");
    let receipt = &message["worker_receipt"];
    assert_eq!((&receipt["last_agent_message"], &receipt["turn_id"]), (&words.into(), &"turn-1".into()));
    let bytes = std::fs::read(&pair.rollout).unwrap();
    let line = &bytes[usize::try_from(receipt["byte_offset"].as_u64().unwrap()).unwrap()..];
    assert!(String::from_utf8_lossy(line).contains("task_complete"), "the receipt names the very line");
    assert!(dispatch(&pair).is_empty(), "once");
}

#[test]
fn how_a_turn_ended_is_told_as_it_was() {
    let cases = [
        (json!({"type": "turn_aborted", "turn_id": "t", "reason": "interrupted"}), "worker_turn_aborted"),
        (json!({"type": "task_complete", "turn_id": "t", "last_agent_message": null}), "worker_turn_failed"),
        (json!({"type": "task_complete", "turn_id": "t", "last_agent_message": "yes"}), "worker_task_complete"),
    ];
    for (end, signal) in cases {
        let pair = Pair::new();
        pair.turn("t", &end);
        dispatch(&pair);
        assert_eq!(pair.inbox()[0].0, signal, "{end}");
    }
}

#[test]
fn news_before_the_manager_has_looked_is_added_to_the_same_message() {
    let pair = Pair::new();
    for turn in 1..=30 {
        pair.answer(&format!("turn-{turn}"), &format!("answer {turn}"));
        if turn % 7 == 0 {
            dispatch(&pair);
        }
    }
    let routed = pair.env.sh("dispatch --json --limit 100").ok().json();
    assert_eq!(routed["processed"][1]["disposition"], "merged", "{routed}");
    let inbox = pair.inbox();
    assert_eq!(inbox.len(), 1, "one message waits, however many turns there were");
    let message = &inbox[0].1;
    assert_eq!(
        (&message["turns"], &message["worker_receipt"]["last_agent_message"]),
        (&30.into(), &"answer 30".into())
    );
    let earlier = message["earlier_receipts"].as_array().unwrap();
    assert_eq!((earlier.len(), &earlier[19]["last_agent_message"]), (20, &"answer 29".into()));
    // Once it was seen, what is new is a message of its own.
    pair.sql().execute("update routed_notifications set read_at = delivered_at", []).unwrap();
    pair.answer("turn-31", "answer 31");
    dispatch(&pair);
    assert_eq!(pair.inbox().len(), 2);
    let signals: (i64, i64) = pair
        .sql()
        .query_row("select count(*), count(notification_id) from session_signals", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(signals, (31, 31), "every end of a turn is on record with the message that tells it");
}

/// A manager that was woken and has not looked is woken again when its worker has news, and not while a word to it is
/// on its way.
#[test]
fn a_manager_that_did_not_look_is_woken_by_the_next_end_of_a_turn() {
    let pair = Pair::new();
    let words = || -> Vec<(String, String)> {
        let sql = pair.sql();
        let mut statement = sql
            .prepare("select phase, correlation_id from commands where type = 'worker_task_complete' order by seq")
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let phases = || words().into_iter().map(|(phase, _)| phase).collect::<Vec<_>>();
    pair.sql().execute("update sessions set codex_session_id = 'thread-m' where name = 'm1'", []).unwrap();
    pair.answer("turn-1", "one");
    dispatch(&pair);
    pair.answer("turn-2", "two");
    dispatch(&pair);
    assert_eq!(phases(), ["queued"], "it tells of both");
    for (number, end) in ["done", "cancelled", "delivered", "ambiguous"].into_iter().enumerate() {
        let ended = "update commands set phase = ?1, state = 'succeeded' where phase = 'queued'";
        pair.sql().execute(ended, [end]).unwrap();
        dispatch(&pair);
        assert_eq!(words().len(), number + 1, "nothing is new");
        pair.answer(&format!("turn-{}", number + 3), "more");
        dispatch(&pair);
        pair.answer(&format!("turn-{}a", number + 3), "and more");
        dispatch(&pair);
        assert_eq!((words().len(), phases().pop().unwrap()), (number + 2, "queued".to_owned()), "{:?}", words());
    }
    // One that was given up begins anew, and with what is new.
    pair.sql().execute("update commands set phase = 'dead', state = 'failed' where phase = 'queued'", []).unwrap();
    pair.turn("turn-9", &json!({"type": "turn_aborted", "turn_id": "turn-9", "reason": "interrupted"}));
    dispatch(&pair);
    let said = || -> String {
        let newest = "select payload_json ->> '$.message' from commands where phase = 'queued'";
        pair.sql().query_row(newest, [], |row| row.get(0)).unwrap()
    };
    assert!(said().contains("was interrupted on task") && words().len() == 5, "{} {:?}", said(), words());
    pair.answer("turn-10", "all is well");
    dispatch(&pair);
    assert!(said().contains("has answered on task") && words().len() == 5, "{} {:?}", said(), words());
    // Somebody else's command under the same id is none of it.
    let chain = words()[0].1.clone();
    pair.env.sh(&format!("enqueue-nudge-worker parser --message other --correlation-id {chain}")).ok();
    pair.sql().execute("update commands set phase = 'expired', state = 'failed' where phase = 'queued'", []).unwrap();
    pair.answer("turn-11", "more");
    dispatch(&pair);
    let other = "select phase from commands where type = 'nudge_worker'";
    assert_eq!(pair.sql().query_row(other, [], |row| row.get::<_, String>(0)).unwrap(), "expired");
    assert_eq!(phases().pop().unwrap(), "queued");
    assert_eq!(pair.inbox().len(), 1, "one message waits");
    assert!(words().windows(2).all(|pair| pair[0].1 == pair[1].1), "one chain: {:?}", words());
}

/// The end of a turn can be read before the answer by which it ended has been written down: it waits for that, and for
/// nobody who never says it.
#[test]
fn the_end_of_a_turn_waits_for_an_answer_that_is_being_given() {
    let pair = Pair::new();
    let note = |kind: &str, answer: &Value| {
        pair.sql()
            .execute(
                "insert into events (created_at, actor, session_id, type, payload_json)
                 select ?1, 'operator', id, ?2, ?3 from sessions where name = 'w1'",
                [&super::now(), kind, &answer.to_string()],
            )
            .unwrap();
    };
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let begun = |seconds: i64| {
        let uptime = SystemClock.uptime_millis() - seconds * 1_000;
        json!({
            "boot_id": boot.trim(), "uptime": uptime, "decision": "decline", "lane": "screen", "outcome": null,
            "question": {"id": "q-1"},
        })
    };
    let end = |turn: &str| pair.turn(turn, &json!({"type": "turn_aborted", "turn_id": turn, "reason": "interrupted"}));
    note("session_answer_begun", &begun(0));
    end("t1");
    assert!(dispatch(&pair).is_empty(), "nobody can tell yet why it ended");
    let mut answered = begun(0);
    // Another one is answered meanwhile.
    answered["question"]["id"] = "q-2".into();
    note("session_answered", &answered);
    assert!(dispatch(&pair).is_empty(), "nobody can tell yet why it ended");
    answered["question"]["id"] = "q-1".into();
    answered["outcome"] = "answered".into();
    answered["proof"] = json!({"turn_aborted": {"turn_id": "t1", "byte_offset": 1, "path": "/r"}});
    note("session_answered", &answered);
    for _ in 0..40 {
        let mut approved = begun(0);
        approved["decision"] = "approve".into();
        note("session_answer_begun", &approved);
    }
    assert_eq!(dispatch(&pair).len(), 1);
    let message = pair.inbox()[0].1.clone();
    assert!(message["message"].as_str().unwrap().contains(": the operator declined what it asked."), "{message}");

    // Whoever began to answer and was killed is not waited for; and what was not seen is not claimed.
    pair.sql().execute("update routed_notifications set read_at = delivered_at", []).unwrap();
    note("session_answer_begun", &begun(16));
    end("t2");
    let routed = dispatch(&pair);
    assert!(routed.iter().any(|one| one["signal_type"] == "worker_turn_aborted"), "{routed:?}");
    let message = pair.inbox()[1].1.clone();
    assert_eq!(message["worker_receipt"]["ended_on_purpose"], Value::Null, "{message}");
}

/// New words under an old time would tell of a turn before it was.
#[test]
fn a_message_that_was_added_to_says_when_it_came_and_when_it_was_renewed() {
    let pair = Pair::new();
    pair.turn("t1", &json!({"type": "turn_aborted", "turn_id": "t1", "reason": "interrupted"}));
    dispatch(&pair);
    let item = || pair.env.sh("manager-inbox parser --json").ok().json()["items"][0].clone();
    let first = item();
    assert_eq!(first["renewed_at"], Value::Null, "{first:#}");
    std::thread::sleep(std::time::Duration::from_millis(20));
    pair.answer("t2", "All is well.");
    dispatch(&pair);
    let second = item();
    let (delivered, renewed) = (second["delivered_at"].as_str().unwrap(), second["renewed_at"].as_str().unwrap());
    assert_eq!(delivered, first["delivered_at"].as_str().unwrap(), "since then something lies there");
    assert!(renewed > delivered, "{second:#}");

    let chain = pair.env.sh("chain 1 --json").ok().json();
    let steps: Vec<(&str, &str, &str)> = chain["conversation"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["kind"] != "stands")
        .map(|step| {
            let word = |key: &str| step[key].as_str().unwrap_or_default();
            (word("kind"), word("at"), word("label"))
        })
        .collect();
    let of = |wanted: &str| -> Vec<(&str, &str)> {
        steps.iter().filter(|(kind, ..)| *kind == wanted).map(|(_, at, label)| (*at, *label)).collect()
    };
    assert_eq!(
        of("routed_notification"),
        [
            (delivered, "worker_turn_aborted into the inbox of m1: delivered (message 1)"),
            (renewed, "worker_task_complete added to what lies in the inbox of m1: delivered (message 1)"),
        ]
    );
    let turns = of("worker_receipt");
    assert_eq!(turns.len(), 2, "each turn at its own time: {chain:#}");
    assert!(turns[0].1.starts_with("worker_turn_aborted of w1") && turns[0].0 <= delivered, "{turns:?}");
    assert!(turns[1].1.starts_with("worker_task_complete of w1") && turns[1].0 > delivered, "{turns:?}");
}

#[test]
fn what_happened_before_the_binding_is_nobody_s_news() {
    let pair = Pair::new();
    pair.env.sh("unbind --task parser").ok();
    pair.answer("before", "an old answer");
    std::thread::sleep(std::time::Duration::from_millis(20));
    pair.env.sh("bind --task parser --worker w1 --manager m1").ok();
    pair.answer("after", "a new answer");
    let routed = dispatch(&pair);
    let dispositions: Vec<_> = routed.iter().map(|one| one["disposition"].as_str().unwrap()).collect();
    assert_eq!(dispositions, ["outside_binding", "routed"]);
    assert_eq!(pair.inbox().len(), 1);
    assert_eq!(pair.inbox()[0].1["worker_receipt"]["last_agent_message"], "a new answer");
}

#[test]
fn a_rollout_that_is_read_again_tells_nothing_twice() {
    let pair = Pair::new();
    pair.answer("turn-1", "once");
    dispatch(&pair);
    pair.sql().execute("update routed_notifications set read_at = delivered_at", []).unwrap();
    // Another inode with another beginning: the file is read again from its start.
    let text = std::fs::read_to_string(&pair.rollout).unwrap().replace("codex-tui", "codex_cli");
    std::fs::remove_file(&pair.rollout).unwrap();
    std::fs::write(&pair.rollout, text).unwrap();
    let again = pair.env.sh("ingest w1 --json").ok().json();
    assert_eq!((&again["file_replaced"], &again["new_events"]), (&true.into(), &1.into()), "the head alone is new");
    // The word to the manager, which waited for a way, is dropped: it has looked.
    let told: Vec<_> = dispatch(&pair).iter().map(|item| item["state"].clone()).collect();
    assert!(told.iter().all(|state| state == "suppressed"), "{told:?}");
    assert_eq!(pair.inbox().len(), 1);
}

#[test]
fn one_task_s_trouble_does_not_keep_another_s_news_back() {
    let first = Pair::new();
    first.answer("turn-1", "from the first");
    let (env, rollout) = (first.env, first.rollout);
    std::fs::remove_file(rollout).unwrap();
    let second = Pair::of("lexer", "w2", "m2", env);
    second.answer("turn-1", "from the second");
    dispatch(&second);
    let inbox = second.inbox();
    assert_eq!(inbox.len(), 1);
    assert_eq!(inbox[0].1["worker_receipt"]["last_agent_message"], "from the second");
}

#[test]
fn a_cycle_shows_and_a_dispatcher_of_commands_leaves_signals_alone() {
    let pair = Pair::new();
    pair.answer("turn-1", "yes");
    let pass = pair.env.sh("dispatch --type nudge_worker --json").ok().json();
    assert_eq!((&pass["processed_count"], pair.inbox().len()), (&0.into(), 0));
    pair.nudge("x");
    let pass = pair.env.sh("dispatch --type worker_task_complete --json").ok().json();
    assert_eq!(pass["processed"][0]["kind"], "completion", "{pass}");
    assert_eq!(pass["processed_count"], 1);
}

#[test]
fn a_manager_elsewhere_is_told_where_the_ledger_lies() {
    let pair = Pair::new();
    pair.answer("turn-1", "one");
    pair.env.sh("dispatch").ok();
    let said = |place: usize| pair.inbox()[place].1["message"].as_str().unwrap().to_owned();
    let path = format!("`conveyor cycle parser --json --path {}`", pair.env.ledger().display());
    assert!(said(0).contains(&path), "{}", said(0));
    // Where the ledger is found without it, nothing is said.
    pair.env.sh("manager-inbox parser --consume-next").ok();
    let here = pair.env.cwd().display().to_string();
    pair.sql().execute("update sessions set cwd = ?1", [&here]).unwrap();
    pair.answer("turn-2", "two");
    pair.env.sh("dispatch").ok();
    assert!(said(1).contains("`conveyor cycle parser --json`"), "{}", said(1));
}
