//! The written contract of a manager: terms, permissions, and that they hold.

mod backing;
mod config;
mod continuation;
mod criteria;
mod ends;
mod epilogue;
mod evidence;
mod finish;
mod gate;
mod inject;
mod live_reviewer;
mod origin;
mod programs;
mod reviewer;
mod reviewing;
mod said;
mod weaknesses;
mod world;

use std::process::Command;

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

/// Runs a line below a process that looks like Codex's server, which hides which session it is.
fn hidden(env: &TestEnv, line: &str) -> Finished {
    below_codex(env, None, line)
}

/// The same, where Codex names this thread.
fn below_codex(env: &TestEnv, thread: Option<&str>, line: &str) -> Finished {
    let script = "exec -a codex-app-server bash -c '\"$0\" \"$@\"; exit $?' \"$0\" \"$@\"";
    let conveyor = env.command();
    let mut bash = Command::new("bash");
    bash.args(["-c", script, env!("CARGO_BIN_EXE_conveyor")]).args(shell_words::split(line).unwrap());
    bash.env_clear().current_dir(env.cwd());
    bash.envs(conveyor.get_envs().filter_map(|(name, value)| Some((name, value?))));
    bash.envs(thread.map(|thread| ("CODEX_THREAD_ID", thread)));
    let output = bash.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
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
