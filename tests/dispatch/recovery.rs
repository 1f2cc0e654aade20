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
    fn left_by(&self, owner: &str, state: &str, thread: Option<&str>) -> String {
        let id = self.nudge("left");
        self.env.sh("dispatch --dry-run").ok();
        self.env.sh("dispatch pause").ok();
        self.env.sh("dispatch --dispatcher-id model").ok();
        self.env.sh("dispatch resume").ok();
        let (pid, start) = own_process();
        let sql = self.sql();
        let insert = "insert into dispatchers (id, host, pid, pid_start, boot_id, started_at, heartbeat_at,
                heartbeat_uptime, state)
             select ?1, 'watch', ?2, ?3, boot_id, started_at, heartbeat_at, heartbeat_uptime, ?4
             from dispatchers where id = 'model'";
        assert_eq!(sql.execute(insert, (owner, pid, start, state)).unwrap(), 1);
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
    assert_eq!((pair.inbox().len(), wakes()), (1, 0), "no server, no word");
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
