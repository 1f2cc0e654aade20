//! `dispatch --watch`: it delivers as things happen, survives what is in its way, and ends when it is asked to.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Pair;
use crate::support::{PATIENCE, wait_for};

/// A running `dispatch --watch`; killed when dropped.
struct Watch {
    child: Child,
    lines: Receiver<Value>,
}

impl Watch {
    fn start(pair: &Pair, arguments: &[&str]) -> Self {
        let mut command: Command = pair.env.command();
        command.args(["dispatch", "--watch", "--json"]).args(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (send, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if send.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        let watch = Self { child, lines };
        wait_for(
            "the dispatcher on record",
            || pair.env.sh("dispatch status --json").json()["running"].as_bool().filter(|running| *running),
            String::new,
        );
        watch
    }

    fn next(&self) -> Value {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; exit code and last line.
    fn end(mut self) -> (Option<i32>, Value) {
        let code = self.child.wait().unwrap().code();
        let mut last = Value::Null;
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => last = line,
                Err(RecvTimeoutError::Disconnected) => return (code, last),
                Err(RecvTimeoutError::Timeout) => panic!("its output stays open"),
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_item_is_a_line_as_it_happens_and_a_signal_ends_it_cleanly() {
    let pair = Pair::new();
    let watch = Watch::start(&pair, &[]);
    let sent = Instant::now();
    let queued = pair.env.sh("enqueue-nudge-worker parser --message x --json").ok().json();
    assert_eq!(queued["warning"], Value::Null, "somebody delivers");
    let item = watch.next();
    assert_eq!((&item["command_id"], &item["phase"]), (&queued["command_id"], &"delivered".into()));
    assert!(sent.elapsed() < Duration::from_secs(2), "{:?}", sent.elapsed());
    pair.answer("turn-1", "done");
    assert_eq!(watch.next()["signal_type"], "worker_task_complete");
    watch.signal(Signal::TERM);
    let (code, last) = watch.end();
    assert_eq!((code, &last["kind"], &last["processed_count"]), (Some(0), &"summary".into(), &2.into()));
    let status = pair.env.sh("dispatch status --json").ok().json();
    assert_eq!((&status["running"], &status["dispatchers"][0]["state"]), (&false.into(), &"stopped".into()));
}

#[test]
fn it_ends_when_it_is_asked_to_and_after_its_passes() {
    let pair = Pair::new();
    let watch = Watch::start(&pair, &["--dispatcher-id", "night", "--interval", "0.1"]);
    let stopped = pair.env.sh("dispatch stop night --json").ok().json();
    assert_eq!(stopped["stopping"], serde_json::json!(["night"]));
    assert_eq!(watch.end().0, Some(0));
    assert_eq!(pair.env.sh("dispatch stop nobody --json").code, 1);
    let bounded = pair.env.sh("dispatch --watch --watch-iterations 2 --interval 0.05").ok();
    assert!(bounded.out.contains("dispatch processed 0 items"), "{bounded}");
}

#[test]
fn a_killed_dispatcher_is_not_taken_for_a_living_one() {
    let pair = Pair::new();
    let watch = Watch::start(&pair, &[]);
    watch.signal(Signal::KILL);
    drop(watch);
    let status = pair.env.sh("dispatch status --json").ok().json();
    assert_eq!(
        (&status["running"], &status["dispatchers"][0]["state"]),
        (&false.into(), &"vanished".into()),
        "{status}"
    );
    assert!(pair.env.sh("enqueue-nudge-worker parser --message x").ok().out.contains("! no dispatcher runs"));
}

#[test]
fn it_does_not_outlive_its_ledger() {
    let pair = Pair::new();
    let mut watch = Watch::start(&pair, &["--interval", "0.1"]);
    let removed = Instant::now();
    std::fs::remove_dir_all(pair.env.ledger().parent().unwrap()).unwrap();
    while watch.child.try_wait().unwrap().is_none() {
        assert!(removed.elapsed() < Duration::from_secs(60), "it goes on for nobody");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(removed.elapsed() >= Duration::from_secs(9), "somebody may just be putting another one there");
    assert_eq!(watch.end().0, Some(1), "there is no ledger");
}

#[test]
fn a_busy_ledger_holds_it_up_and_does_not_end_it() {
    let pair = Pair::new();
    let mut watch = Watch::start(&pair, &["--interval", "0.2"]);
    let sql = pair.sql();
    pair.nudge("waits for the lock");
    watch.next();
    sql.execute_batch("begin exclusive").unwrap();
    pair.answer("turn-1", "written while the ledger is held");
    thread::sleep(Duration::from_secs(12));
    assert!(watch.child.try_wait().unwrap().is_none(), "it rides it out");
    sql.execute_batch("rollback").unwrap();
    assert_eq!(watch.next()["signal_type"], "worker_task_complete");
    watch.signal(Signal::INT);
    assert_eq!(watch.end().0, Some(0));
    assert_eq!(pair.inbox().len(), 2);
}

#[test]
fn a_completion_reaches_the_inbox_at_once() {
    let pair = Pair::new();
    let watch = Watch::start(&pair, &[]);
    let sql = pair.sql();
    let mut taken = Vec::new();
    for turn in 0..40 {
        let at = Instant::now();
        pair.answer(&format!("turn-{turn}"), "done");
        let known = i64::from(turn) + 1;
        wait_for(
            "the signal",
            || {
                let routed = "select count(*) from session_signals where disposition is not null";
                let count: i64 = sql.query_row(routed, [], |row| row.get(0)).unwrap();
                (count == known).then_some(())
            },
            String::new,
        );
        taken.push(at.elapsed());
    }
    taken.sort();
    crate::support::say(&format!("completion to inbox: median {:?}, slowest {:?}", taken[20], taken[39]));
    assert!(taken[37] < Duration::from_millis(450), "{taken:?}");
    drop(watch);
}
