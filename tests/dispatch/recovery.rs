//! What holds a line up: dispatchers that ended or never come back, words that wait, targets that take nothing.

use std::{
    fs,
    os::unix::net::UnixListener,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use super::Pair;
use crate::support::wait_for;

/// This process, as the ledger names processes.
fn own_process() -> (i64, i64) {
    let pid = std::process::id();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap();
    (i64::from(pid), start.parse().unwrap())
}

impl Pair {
    /// A command that `owner`, a dispatcher in this living process, left at `started`.
    pub(super) fn left_by(&self, owner: &str, state: &str, thread: Option<&str>) -> String {
        let id = self.nudge("left");
        let (pid, start) = own_process();
        let sql = self.sql();
        let insert = "insert into dispatchers (id, host, pid, pid_start, boot_id, started_at, heartbeat_at,
                heartbeat_uptime, state)
             select ?1, 'watch', ?2, ?3, boot_id, created_at, created_at, 0, ?4 from commands where id = ?5";
        assert_eq!(sql.execute(insert, (owner, pid, start, state, &id)).unwrap(), 1);
        let left = "update commands set phase = 'started', state = 'attempted', claimed_by = ?1, fence = 1,
                attempts = 1, available_uptime = 0, lane = 'server', result_json = ?3 where id = ?2";
        let result = thread.map(|thread| serde_json::json!({ "thread_id": thread }).to_string());
        assert_eq!(sql.execute(left, (owner, &id, result)).unwrap(), 1);
        id
    }
}

#[test]
fn only_a_dispatcher_that_may_still_make_its_call_is_waited_for() {
    let pair = Pair::new();
    let id = pair.left_by("at-work", "running", None);
    pair.env.sh("dispatch").ok();
    assert_eq!(pair.stands(&id), ("started".to_owned(), None), "it may be about to make its call");
    pair.sql().execute("update dispatchers set state = 'stopped' where id = 'at-work'", []).unwrap();
    pair.env.sh("dispatch").ok();
    let reason = pair.stands(&id).1.expect("it is looked after");
    assert!(reason.starts_with("the session does not have it"), "{reason}");
}

/// The process of every dispatcher on record is gone: another has its pid.
fn all_vanish(pair: &Pair) {
    pair.sql().execute("update dispatchers set pid_start = pid_start - 1", []).unwrap();
}

#[test]
fn nobody_waits_for_the_lease_of_a_dispatcher_that_is_gone() {
    let pair = Pair::new();
    let id = pair.left_by("gone", "running", None);
    pair.sql().execute("update commands set available_uptime = 1 << 60", []).unwrap();
    pair.env.sh("dispatch").ok();
    assert_eq!(pair.stands(&id), ("started".to_owned(), None), "it lives");
    all_vanish(&pair);
    pair.env.sh("dispatch").ok();
    let looked = |id: &str| -> (Option<String>, i64, i64) {
        let sql = "select reason, fence, crash_count from commands where id = ?1";
        pair.sql().query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
    };
    let first = looked(&id);
    assert!(first.0.as_deref().is_some_and(|why| why.starts_with("the session does not have it")), "{first:?}");
    assert_eq!((first.1, first.2), (2, 1), "under a new fence, and it is counted that somebody vanished");
    pair.env.sh("dispatch").ok();
    assert_eq!(looked(&id), first, "the second look waits its five seconds");
    pair.sql().execute("update commands set available_uptime = 0", []).unwrap();
    pair.env.sh("dispatch").ok();
    assert_eq!(pair.stands(&id).0, "delivered", "proven not to have it, it goes another way");
}

#[test]
fn what_several_dispatchers_have_vanished_with_waits_for_its_lease() {
    let pair = Pair::new();
    let id = pair.left_by("gone", "running", None);
    all_vanish(&pair);
    pair.sql().execute("update commands set available_uptime = 1 << 60, crash_count = 5", []).unwrap();
    pair.env.sh("dispatch").ok();
    assert_eq!(pair.stands(&id), ("started".to_owned(), None));
    pair.sql().execute("update commands set available_uptime = 0", []).unwrap();
    pair.env.sh("dispatch").ok();
    assert!(pair.stands(&id).1.is_some_and(|why| why.starts_with("the session does not have it")));
}

#[test]
fn what_every_dispatcher_dies_of_is_given_up_with_a_reason() {
    // In flight nobody can tell whether it arrived; in the queue it did not.
    for (phase, ends) in [("started", "ambiguous"), ("submitted", "ambiguous"), ("queued", "dead")] {
        let pair = Pair::new();
        let id = pair.left_by("gone", "running", None);
        all_vanish(&pair);
        let count = if phase == "started" { 19 } else { 20 };
        let left = "update commands set crash_count = ?1, phase = ?2,
            claimed_by = case when ?2 = 'queued' then null else claimed_by end";
        pair.sql().execute(left, (count, phase)).unwrap();
        let other = pair.nudge("not held up");
        pair.env.sh("dispatch --limit 100").ok();
        let (stands, reason) = pair.stands(&id);
        assert_eq!(stands, ends, "{phase}: {reason:?}");
        assert!(reason.is_some_and(|why| why.contains("twenty dispatchers vanished")), "{phase}");
        pair.env.sh("dispatch --limit 100").ok();
        assert_eq!(pair.stands(&other).0, "delivered", "{phase}");
        if ends == "dead" {
            pair.env.run(["dispatch", "retry", &id]).ok();
            pair.env.sh("dispatch").ok();
            assert_eq!(pair.stands(&id).0, "delivered", "the operator lets it begin anew");
        }
    }
}

#[test]
fn a_message_to_a_thread_that_its_session_has_left_is_not_given_to_the_next_one() {
    let pair = Pair::new();
    let id = pair.left_by("ended", "stopped", Some("01a1fbe2-0000-7000-8000-000000000000"));
    let pass = pair.env.sh("dispatch --json").ok().json();
    assert_eq!(pass["processed"][0]["phase"], "ambiguous", "{pass}");
    assert_eq!(pair.stands(&id).0, "ambiguous");
}

#[test]
fn a_word_that_something_waits_holds_no_message_up() {
    let pair = Pair::new();
    let send = |text: &str| {
        let run = pair.env.run(["enqueue-notify-manager", "parser", "--json", "--message", text]).ok().json();
        run["command_id"].as_str().unwrap().to_owned()
    };
    let wake = send("stands for a word to a busy manager");
    let put_off = "update commands set type = 'worker_task_complete', available_uptime = 1 << 60 where id = ?1";
    assert_eq!(pair.sql().execute(put_off, [&wake]).unwrap(), 1);
    let message = send("blocked");
    pair.env.sh("dispatch --type notify_manager").ok();
    assert_eq!((pair.stands(&message).0.as_str(), pair.stands(&wake).0.as_str()), ("delivered", "queued"));
}

#[test]
fn a_message_expires_also_behind_one_that_waits() {
    let pair = Pair::new();
    let first = pair.nudge("waits");
    pair.sql().execute("update commands set available_uptime = 1 << 60", []).unwrap();
    let queued = ["enqueue-nudge-worker", "parser", "--message", "now or never", "--expires", "1", "--json"];
    let second = pair.env.run(queued).ok().json()["command_id"].as_str().unwrap().to_owned();
    thread::sleep(Duration::from_millis(1_100));
    pair.env.sh("dispatch").ok();
    assert_eq!((pair.stands(&first).0.as_str(), pair.stands(&second).0.as_str()), ("queued", "expired"));
}

#[test]
fn a_flood_for_a_session_that_takes_nothing_starves_nobody() {
    let first = Pair::new();
    let pair = Pair::of("lexer", "w2", "m2", first.env);
    let flood = "with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 10000)
        insert into commands (id, idempotency_key, request_sha256, created_at, updated_at, created_by, task_id,
            binding_id, source_session_id, target_session_id, seq, correlation_id, type, state, phase, boot_id,
            max_attempts, payload_json)
        select 'command-' || n, 'command-' || n, '', '2026-11-21T02:00:00.000Z', '2026-11-21T02:00:00.000Z',
            'operator', b.task_id, b.id, b.manager_session_id, b.worker_session_id, n, 'c', 'nudge_worker', 'pending',
            'queued', 'another boot', 5, json_object('message', 'number ' || n)
        from numbers, (select b.* from bindings as b join tasks as t on t.id = b.task_id and t.name = 'parser') as b";
    assert_eq!(pair.sql().execute(flood, []).unwrap(), 10_000);
    pair.env.sh("dispatch pause --task parser").ok();
    let run = pair.env.run(["enqueue-nudge-worker", "lexer", "--json", "--message", "x"]).ok().json();
    pair.env.sh("dispatch").ok();
    assert_eq!(pair.stands(run["command_id"].as_str().unwrap()).0, "delivered");
}

#[test]
fn a_manager_that_can_be_reached_only_later_is_told_of_what_waits() {
    let pair = Pair::new();
    let wakes = || -> i64 {
        let count = "select count(*) from commands where type = 'worker_task_complete'";
        pair.sql().query_row(count, [], |row| row.get(0)).unwrap()
    };
    pair.answer("turn-1", "one");
    pair.env.sh("dispatch").ok();
    pair.env.sh("dispatch").ok();
    assert_eq!((pair.inbox().len(), wakes()), (1, 1), "there is no way yet, and the word waits");
    // An operator's look is not the manager's: the word is not taken for said.
    let shown = pair.env.sh("session-inbox m1 --json").ok().json();
    assert_eq!(shown["items"].as_array().map(Vec::len), Some(1), "{shown}");
    let (phase, reason): (String, Option<String>) =
        pair.sql().query_row("select phase, reason from commands", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(phase, "queued");
    assert!(reason.unwrap().starts_with("no Codex server holds its thread"));
    let status = pair.env.sh("dispatch status --json").ok().json();
    assert_eq!(status["waiting"], 0, "what it tells of was delivered: {status}");
    // A server that hangs: there is a way, but not now.
    let folder = pair.env.codex_home().join("app-server-control");
    fs::create_dir_all(&folder).unwrap();
    let _server = UnixListener::bind(folder.join("app-server-control.sock")).unwrap();
    for turn in 2..4 {
        pair.answer(&format!("turn-{turn}"), "more");
        pair.env.sh("dispatch").ok();
        assert_eq!((pair.inbox().len(), wakes()), (1, 1), "added to the message that is not read yet, one word");
    }
    // The word was given up; what comes next is worth another.
    pair.sql().execute("update commands set phase = 'failed', state = 'failed'", []).unwrap();
    pair.answer("turn-4", "still more");
    pair.env.sh("dispatch").ok();
    let live = "select count(*) from commands where phase = 'queued'";
    assert_eq!(pair.sql().query_row(live, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn a_word_that_waits_for_a_way_is_dropped_when_its_reader_has_looked() {
    let pair = Pair::new();
    pair.answer("turn-1", "one");
    pair.env.sh("dispatch").ok();
    pair.env.sh("dispatch").ok();
    pair.env.sh("manager-inbox parser --consume-next").ok();
    pair.sql().execute("update commands set available_uptime = 0", []).unwrap();
    let pass = pair.env.sh("dispatch --json").ok().json();
    let item = &pass["processed"][0];
    assert_eq!((&item["phase"], &item["state"]), (&"cancelled".into(), &"suppressed".into()), "{pass}");
    assert_eq!(pass["processed_count"], 1);
}

#[test]
fn after_a_boot_nothing_that_was_in_flight_is_sent_again() {
    for (phase, boot) in [("started", "another"), ("submitted", "another"), ("staged", "another")] {
        let pair = Pair::new();
        let id = pair.left_by("gone", "running", None);
        let moved = "update commands set phase = ?2, boot_id = ?3 where id = ?1";
        assert_eq!(pair.sql().execute(moved, (&id, phase, boot)).unwrap(), 1);
        // A dispatcher of another session's line must not make it look as if it were of this boot.
        pair.env.sh("session-nudge m1 hello --no-wait").ok();
        let pass = pair.env.sh("dispatch --json").ok().json();
        assert_eq!(pass["processed"][0]["phase"], "ambiguous", "{phase}: {pass}");
        let (stands, reason) = pair.stands(&id);
        assert_eq!(stands, "ambiguous");
        assert!(reason.unwrap().starts_with("the machine was booted anew"), "{phase}");
        pair.env.sh("dispatch").ok();
        let workers = "select count(*) from routed_notifications where signal_type = 'nudge_worker'";
        assert_eq!(pair.sql().query_row(workers, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "{phase}");
    }
}

#[test]
fn after_a_boot_the_rollout_still_ends_what_it_shows() {
    let pair = Pair::new();
    let id = pair.left_by("gone", "running", None);
    pair.sql().execute("update commands set phase = 'submitted', boot_id = 'another'", []).unwrap();
    let item = serde_json::json!({"type": "UserMessage", "id": "i", "client_id": id, "content": []});
    pair.event(&serde_json::json!({"type": "item_completed", "turn_id": "t", "item": item}));
    pair.env.sh("dispatch").ok();
    assert_eq!(pair.stands(&id).0, "done");
}

#[test]
fn one_pass_leaves_no_record_of_itself_and_only_who_runs_is_asked_to_end() {
    let pair = Pair::new();
    pair.left_by("vanished", "running", None);
    let sql = pair.sql();
    sql.execute("update commands set phase = 'cancelled', state = 'failed', claimed_by = null", []).unwrap();
    // A process of this pid began at another time.
    sql.execute("update dispatchers set pid_start = pid_start - 1", []).unwrap();
    pair.env.sh("dispatch --once").ok();
    pair.env.sh("session-nudge m1 x --no-wait").ok();
    let status = pair.env.sh("dispatch status --json").ok().json();
    let known: Vec<_> = status["dispatchers"].as_array().unwrap().iter().map(|one| one["state"].clone()).collect();
    assert_eq!(known, ["vanished"], "{status}");
    let stopped = pair.env.sh("dispatch stop --all --json").ok().json();
    assert_eq!(stopped["stopping"], serde_json::json!([]), "nobody is left who could be asked");
    let one = pair.env.sh("dispatch stop vanished --json");
    assert_eq!((one.code, one.error()["kind"].as_str()), (1, Some("refused")), "{one}");
}

#[test]
fn one_id_is_one_dispatcher_that_stays_on_record_and_counts_its_passes() {
    let pair = Pair::new();
    let mut watch = pair.env.command();
    watch.args(["dispatch", "--watch", "--dispatcher-id", "night", "--interval", "0.1"]);
    let mut watch = watch.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let runs = || pair.env.sh("dispatch status --json").json()["running"].as_bool().filter(|running| *running);
    wait_for("the dispatcher on record", runs, String::new);
    let second = pair.env.sh("dispatch --dispatcher-id night --json");
    let long_ago = "update dispatchers set heartbeat_at = '2020-01-01T00:00:00.000Z' where id = 'night'";
    pair.sql().execute(long_ago, []).unwrap();
    pair.env.sh("dispatch").ok();
    let after_the_clock_was_set = runs();
    pair.sql().execute("delete from dispatchers where id = 'night'", []).unwrap();
    let gone = Instant::now();
    while runs().is_none() && gone.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(50));
    }
    let on_record_again = runs();
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert_eq!((second.code, second.error()["kind"].as_str()), (1, Some("conflict")), "{second}");
    assert_eq!((after_the_clock_was_set, on_record_again), (Some(true), Some(true)));
    pair.env.sh("dispatch --dispatcher-id night").ok();
    let bounded = pair.env.sh("dispatch --watch --watch-iterations 3 --interval 0.05 --json").ok();
    let last: serde_json::Value = serde_json::from_str(bounded.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["iterations"], 3, "{bounded}");
}
