//! Waiting: woken by others' commits, by the clock, by the worker's rollout; patient with a ledger that is held.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use conveyor::base::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{Post, end, message, pair, start, until_it_looks};

fn millis(item: &Value, field: &str) -> i64 {
    item[field].as_str().unwrap().parse::<Timestamp>().unwrap().as_millis()
}

#[test]
fn a_reader_is_woken_by_what_another_process_puts_there() {
    let env = pair();
    let post = Post::open(&env);
    let manager = post.session_id("m1");
    let mut latencies = Vec::new();
    for round in 0..5 {
        let reader = start(&env, "session-inbox m1 --consume-next --wait --timeout 20 --json");
        until_it_looks(&env, &reader);
        thread::sleep(Duration::from_millis(250));
        post.put(&manager, &round.to_string());
        let told = end(reader).ok().json();
        assert_eq!(message(&told["consumed"]), format!("message {round}"));
        assert_eq!((&told["wait"]["timed_out"], &told["wait"]["enabled"]), (&json!(false), &json!(true)));
        // It had looked in vain before; by how long depends on how busy the machine is.
        assert!(told["wait"]["poll_count"].as_u64().unwrap() >= 2, "{told:#}");
        latencies.push(millis(&told["consumed"], "consumed_at") - millis(&told["consumed"], "delivered_at"));
    }
    latencies.sort_unstable();
    crate::support::say(&format!("inbox: woken after {latencies:?} ms"));
    assert!(latencies[2] <= 200, "half of the time at most 200 ms, the machine may be busy: {latencies:?}");
}

#[test]
fn waiting_ends_by_the_clock_and_a_list_waits_too() {
    let env = pair();
    let begun = Instant::now();
    let told = env.sh("receive m1 --wait --timeout 0.7 --interval 0.3 --json").ok().json();
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(700), "{waited:?}");
    let wait = &told["wait"];
    assert_eq!((&wait["timed_out"], &wait["poll_count"]), (&json!(true), &json!(2)), "nothing was committed: {wait:#}");
    let elapsed = wait["elapsed_seconds"].as_f64().unwrap();
    assert!((0.7..waited.as_secs_f64()).contains(&elapsed), "{elapsed} of {waited:?}");
    let at_once = env.sh("manager-inbox parser --wait --timeout 0 --json").ok().json();
    assert_eq!((&at_once["wait"]["timed_out"], &at_once["wait"]["poll_count"]), (&json!(true), &json!(1)));

    let post = Post::open(&env);
    let list = start(&env, "manager-inbox parser --wait --timeout 20 --json");
    until_it_looks(&env, &list);
    post.put(&post.session_id("m1"), "a");
    let told = end(list).ok().json();
    assert_eq!((message(&told["items"][0]), &told["consumed"]), ("message a", &Value::Null));
}

#[test]
fn a_reader_that_waits_holds_no_snapshot() {
    let env = pair();
    let reader = start(&env, "receive m1 --wait --timeout 3 --json");
    until_it_looks(&env, &reader);
    thread::sleep(Duration::from_millis(300));
    let sql = Connection::open(env.ledger()).unwrap();
    let (mut busy, mut moved) = (1, 0);
    let deadline = Instant::now() + Duration::from_secs(2);
    while (busy, moved) != (0, 0) && Instant::now() < deadline {
        // A reader with an open snapshot would keep the log from being emptied.
        (busy, moved) =
            sql.query_row("pragma wal_checkpoint(truncate)", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    }
    assert_eq!((busy, moved), (0, 0), "the log was emptied while somebody waited");
    end(reader).ok();
}

#[test]
fn a_ledger_that_is_held_is_ridden_out_or_called_busy() {
    let env = pair();
    let post = Post::open(&env);
    let manager = post.session_id("m1");
    post.put(&manager, "a");
    let holder = Connection::open(env.ledger()).unwrap();
    holder.execute_batch("begin exclusive").unwrap();
    let reader = start(&env, "receive m1 --wait --timeout 30 --json");
    thread::sleep(Duration::from_secs(2));
    holder.execute_batch("commit").unwrap();
    assert_eq!(message(&end(reader).ok().json()["received"]), "message a");

    holder.execute_batch("begin exclusive").unwrap();
    // Somebody holds the only message, so there is nothing to write and nothing to wait for.
    let begun = Instant::now();
    let nothing = env.sh("session-inbox m1 --consume-next --wait --timeout 1 --json");
    assert_eq!((nothing.code, &nothing.json()["wait"]["timed_out"]), (0, &json!(true)), "{nothing}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    holder.execute_batch("commit").unwrap();

    post.put(&manager, "b");
    holder.execute_batch("begin exclusive").unwrap();
    let busy = env.sh("session-inbox m1 --consume-next --json");
    holder.execute_batch("commit").unwrap();
    assert_eq!((busy.code, busy.error()["kind"].as_str()), (75, Some("busy")), "{busy}");
    assert!(busy.out.is_empty(), "{busy}");
    let again = env.sh("session-inbox m1 --consume-next --json").ok().json();
    assert_eq!(message(&again["consumed"]), "message b", "what was not answered was not taken");
}

#[test]
fn a_worker_whose_rollout_is_gone_keeps_nobody_from_the_inbox() {
    let env = pair();
    let rollout = env.place_rollout(
        "rollouts/tool_calls.jsonl",
        "rollout-2026-11-21T02-14-36-01a1fbe2-536f-7ac3-bfaa-af9af8b87c1e.jsonl",
    );
    env.sh(&format!("register-worker --name w1 --codex-session {}", rollout.display())).ok();
    fs::remove_file(&rollout).unwrap();
    let post = Post::open(&env);
    post.put(&post.session_id("m1"), "a");
    let told = env.sh("manager-inbox parser --json").ok().json();
    assert_eq!(message(&told["items"][0]), "message a");
    assert!(told["ingest_error"].as_str().unwrap().contains("rollout"), "{told:#}");
    let begun = Instant::now();
    env.sh("manager-inbox parser --consume-next").ok();
    let waited = env.sh("manager-inbox parser --wait --timeout 1 --json").ok().json();
    assert!(waited["wait"]["poll_count"].as_u64().unwrap() <= 3, "it is tried once, not again and again: {waited:#}");
    assert!(begun.elapsed() >= Duration::from_secs(1));
}
