//! The written contract of a manager: terms, permissions, and that they hold.

mod config;
mod criteria;
mod gate;
mod said;

use conveyor::ports::process::{Processes as _, SystemProcesses};
use rusqlite::{Connection, named_params};
use serde_json::Value;

use crate::support::{Finished, TestEnv};

/// Runs a line as if the session `name` ran it: below its process, which is the test's own.
fn in_session(env: &TestEnv, name: &str, line: &str) -> Finished {
    in_session_with(env, name, || env.sh(line))
}

fn in_session_with<T>(env: &TestEnv, name: &str, work: impl FnOnce() -> T) -> T {
    let own = SystemProcesses.identify(std::process::id()).unwrap();
    let sql = Connection::open(env.ledger()).unwrap();
    let set = |pid: Option<u32>| {
        sql.execute(
            "update sessions set pid = :pid, pid_start = :start where name = :name",
            named_params! {
                ":pid": pid,
                ":start": pid.map(|_| i64::try_from(own.start_ticks).unwrap()),
                ":name": name,
            },
        )
        .unwrap()
    };
    assert_eq!(set(Some(own.pid)), 1, "{name} is registered");
    let done = work();
    set(None);
    done
}

/// Rows of a table.
fn count(env: &TestEnv, table: &str) -> i64 {
    let sql = Connection::open(env.ledger()).unwrap();
    sql.query_row(&format!("select count(*) from {table}"), [], |row| row.get(0)).unwrap()
}

/// The audit trail of the task, of one kind.
fn trail(env: &TestEnv, kind: &str) -> Vec<Value> {
    let events = env.sh(&format!("events parser --type {kind} --json")).ok().json();
    events.as_array().unwrap().clone()
}

/// What a refusal says.
fn refusal(run: &Finished) -> (i32, String) {
    let error = run.error();
    let hint = error["hint"].as_str().map(|hint| format!("; {hint}")).unwrap_or_default();
    (run.code, format!("{}{hint}", error["message"].as_str().unwrap()))
}
