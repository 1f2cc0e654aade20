//! Many dispatchers at once, killed at any moment: every command is delivered exactly once, in its order.

use std::{
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::Pair;
use crate::support::rounds;

/// Queues `count` commands by the ledger itself, spread over the given targets, as `enqueue-nudge-worker` would.
fn queue(sql: &Connection, count: i64) {
    sql.execute_batch(&format!(
        "with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < {count})
         insert into commands (id, idempotency_key, request_sha256, created_at, updated_at, created_by, task_id,
            binding_id, source_session_id, target_session_id, seq, correlation_id, type, state, phase, boot_id,
            max_attempts, payload_json)
         select 'command-' || n, 'command-' || n, '', '2026-11-21T02:00:00.000Z', '2026-11-21T02:00:00.000Z',
            'operator', b.task_id, b.id, b.manager_session_id, b.worker_session_id, n, 'c', 'nudge_worker', 'pending',
            'queued', 'another boot', 5, json_object('message', 'number ' || n)
         from numbers join (select *, row_number() over (order by id) - 1 as place from bindings) as b
            on b.place = n % (select count(*) from bindings);"
    ))
    .unwrap();
}

fn check(sql: &Connection, count: i64) {
    let number = |query: &str| sql.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(sql.query_row("pragma integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
    assert_eq!(number("select count(*) from pragma_foreign_key_check"), 0);
    assert_eq!(number("select count(*) from commands where phase = 'delivered'"), count);
    assert_eq!(number("select count(*) from routed_notifications"), count, "one message for each");
    assert_eq!(number("select count(distinct command_id) from routed_notifications"), count);
    assert_eq!(number("select count(*) from command_attempts"), count, "one try for each");
    assert_eq!(number("select count(*) from commands where attempts <> 1"), 0);
    let disorder = "select count(*) from routed_notifications as a
        join routed_notifications as b on a.target_session_id = b.target_session_id and a.id < b.id
        join commands as ca on ca.id = a.command_id join commands as cb on cb.id = b.command_id
        where ca.seq > cb.seq";
    assert_eq!(number(disorder), 0, "each target got its own in order");
}

#[test]
fn eight_dispatchers_deliver_each_of_many_commands_once() {
    let count = rounds(400, 2_000);
    let pair = Pair::of("lexer", "w2", "m2", Pair::new().env);
    let sql = pair.sql();
    queue(&sql, count);
    let children: Vec<_> = (0..8)
        .map(|_| {
            let mut command = pair.env.command();
            command.args(["dispatch", "--limit", &count.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    check(&sql, count);
}

#[test]
fn killed_dispatchers_lose_nothing_and_double_nothing() {
    let commands: i64 = rounds(3_000, 12_000);
    let least: u64 = rounds(500, 10_000);
    let pair = Pair::of("lexer", "w2", "m2", Pair::new().env);
    let sql = pair.sql();
    queue(&sql, commands);
    let (over, kills) = (AtomicBool::new(false), AtomicU64::new(0));
    let workers: Vec<_> = (0..3).map(|_| pair.env.command()).collect();
    let deadline = Instant::now() + Duration::from_secs(rounds(120, 1_500));
    // How long a pass takes here and now: kills come at any moment of one, and some come too late.
    let started = Instant::now();
    pair.env.sh("dispatch --limit 3").ok();
    let window = (u64::try_from(started.elapsed().as_micros()).unwrap() * 3 / 2).min(2_000_000);
    let delivered = || -> i64 {
        sql.query_row("select count(*) from commands where phase = 'delivered'", [], |row| row.get(0)).unwrap()
    };
    thread::scope(|scope| {
        for (number, mut command) in workers.into_iter().enumerate() {
            let (over, kills) = (&over, &kills);
            scope.spawn(move || {
                command.args(["dispatch", "--limit", "2"]);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                let mut dice = 77 + number as u64 * 7_919;
                while !over.load(Ordering::SeqCst) {
                    let mut child = command.spawn().unwrap();
                    dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    thread::sleep(Duration::from_micros((dice >> 33) % window));
                    // Its own process, by its handle; one that has ended is not harmed.
                    child.kill().unwrap();
                    if child.wait().unwrap().code().is_none() {
                        kills.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        while (kills.load(Ordering::SeqCst) < least || delivered() < 30) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        over.store(true, Ordering::SeqCst);
    });
    let delivered = delivered();
    crate::support::say(&format!(
        "{} kills, {delivered} of {commands} delivered by then",
        kills.load(Ordering::SeqCst)
    ));
    assert!(kills.load(Ordering::SeqCst) >= least, "the test proves nothing");
    assert!(delivered >= 30, "hardly anything was delivered among the kills: the test proves nothing");
    pair.env.run(["dispatch", "--limit", "1000000"]).ok();
    check(&sql, commands);
}
