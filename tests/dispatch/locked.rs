//! A ledger that somebody else holds, and clocks that jump.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::Pair;

#[test]
fn who_looks_gives_up_after_a_second_and_who_changes_after_ten() {
    let pair = Pair::new();
    let id = pair.nudge("before");
    let sql = pair.sql();
    // In WAL mode a look needs no writer's leave; this lock keeps everybody out.
    sql.execute_batch("pragma locking_mode = exclusive; begin exclusive; insert into dispatch_pauses values ('x', 'x', 'operator', null)")
        .unwrap();
    let looks = ["commands", "dispatch status", "status w1 --no-refresh", "tasks", "manager-config parser"];
    let changes = [
        "enqueue-nudge-worker parser --message x --idempotency-key k",
        "dispatch",
        "dispatch pause",
        "dispatch cancel command-x",
        "dispatch resolve command-x --as rearm --reason r",
        "manager-config parser --max-nudges 1",
        "session-nudge w1 x --no-wait",
        // What was shown counts as read.
        "session-inbox w1",
    ];
    let all = looks.iter().map(|line| (*line, false)).chain(changes.iter().map(|line| (*line, true)));
    let runs: Vec<_> = all
        .map(|(line, changes)| {
            let mut command = pair.env.command();
            command.args(shell_words::split(line).unwrap()).arg("--json").stdin(std::process::Stdio::null());
            let run = thread::spawn(move || {
                let begun = Instant::now();
                (command.output().unwrap(), begun.elapsed())
            });
            (line, changes, run)
        })
        .collect();
    let mut slowest = [Duration::ZERO; 2];
    for (line, changes, run) in runs {
        let (output, took) = run.join().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(75), "{line} after {took:?}: {err}");
        let error: serde_json::Value = serde_json::from_str(&err).unwrap();
        assert_eq!(error["error"]["kind"], "busy", "{line}: {err}");
        assert!(error["error"]["hint"].is_string(), "{line}: {err}");
        let (least, most) = if changes { (9.0, 14.0) } else { (0.9, 5.0) };
        assert!((least..most).contains(&took.as_secs_f64()), "{line} took {took:?}");
        slowest[usize::from(changes)] = slowest[usize::from(changes)].max(took);
    }
    crate::support::say(&format!(
        "a foreign lock: looks give up after {:?}, changes after {:?}",
        slowest[0], slowest[1]
    ));
    sql.execute_batch("rollback").unwrap();
    drop(sql);
    // The same again with the same key, and nothing was lost or done twice.
    let again = pair.env.sh("enqueue-nudge-worker parser --message x --idempotency-key k --json").ok().json();
    assert_eq!(again["repeated"], false);
    pair.env.sh("dispatch").ok();
    assert_eq!((pair.stands(&id).0.as_str(), pair.inbox().len()), ("delivered", 2));
}

#[test]
fn clocks_that_jump_and_another_boot_change_neither_order_nor_deadlines() {
    // The wall clock of every run stands elsewhere: an hour back, an hour on, 1970, 2038.
    let pair = Pair::new();
    let walls = ["2026-11-21T01:30:00Z", "2026-11-21T03:30:00Z", "1970-01-01T00:00:00Z", "2038-01-19T03:14:08Z"];
    let at = |wall: &str, line: &str| {
        let mut command = pair.env.command();
        // Fresh ids: the fixed clock alone is set.
        command.env("CONVEYOR_TEST_CLOCK", wall).args(shell_words::split(line).unwrap());
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{line} at {wall}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let ids: Vec<String> = walls
        .iter()
        .enumerate()
        .map(|(number, wall)| {
            let line = format!("enqueue-nudge-worker parser --message 'number {number}' --expires 60 --json");
            let queued: serde_json::Value = serde_json::from_str(&at(wall, &line)).unwrap();
            queued["command_id"].as_str().unwrap().to_owned()
        })
        .collect();
    // Far beyond every expiry by the wall, within it by the clock since boot: nothing has expired.
    let pass = at("2099-01-01T00:00:00Z", "dispatch --json --limit 2");
    assert!(!pass.contains("expired"), "{pass}");
    assert_eq!(ids[..2].iter().map(|id| pair.stands(id).0).collect::<Vec<_>>(), ["delivered", "delivered"]);
    // The machine is booted anew: what is left of the time is taken from the wall clock.
    pair.sql().execute("update commands set boot_id = 'another' where phase = 'queued'", []).unwrap();
    at("2038-01-19T03:14:10Z", "dispatch --json");
    let stand: Vec<_> = ids.iter().map(|id| pair.stands(id).0).collect();
    assert_eq!(stand[..2], ["delivered", "delivered"]);
    assert_eq!(stand[3], "delivered", "58 of its 60 seconds were left");
    let arrived: Vec<_> = pair.inbox().into_iter().map(|(_, payload)| payload["message"].clone()).collect();
    let in_order: Vec<_> = arrived.iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    assert!(in_order.is_sorted() && in_order.len() >= 3, "{in_order:?}");
}
