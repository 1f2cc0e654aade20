//! The headless face: command lines that mean the same, printed forms, hostile input, streams.

mod argv;
mod documents;
mod forms;
mod names;
mod streams;

use std::process::Stdio;

use crate::support::{Finished, TestEnv};

const WORKER: &str = "rollout-2026-11-21T02-14-36-01a1fbe2-536f-7ac3-bfaa-af9af8b87c1e.jsonl";
const MANAGER: &str = "rollout-2026-11-21T02-14-16-01a1fbe2-04f0-7bb3-be68-85579e70f876.jsonl";

/// A world with a bound pair, `w1` and `m1` on the task `parser`, on recorded rollouts.
fn pair() -> TestEnv {
    let env = TestEnv::new();
    let worker = env.place_rollout("rollouts/tool_calls.jsonl", WORKER);
    let manager = env.place_rollout("rollouts/simple_turn.jsonl", MANAGER);
    env.run(["register-worker", "--name", "w1", "--codex-session", worker.to_str().unwrap()]).ok();
    env.run(["register-manager", "--name", "m1", "--codex-session", manager.to_str().unwrap()]).ok();
    env.sh("tasks --create parser --goal 'the parser accepts every recorded file'").ok();
    env.sh("bind --task parser --worker w1 --manager m1").ok();
    env
}

/// The flags and positional arguments of a command that are its own, not the program's.
fn own_arguments(command: &clap::Command) -> Vec<&clap::Arg> {
    let global: Vec<String> = conveyor::app::definition()
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .map(|arg| arg.get_id().to_string())
        .collect();
    command
        .get_arguments()
        .filter(|arg| !global.contains(&arg.get_id().to_string()) && arg.get_id() != "help")
        .collect()
}

/// Runs a command line where neither tmux nor Codex is installed.
fn offline<S: AsRef<std::ffi::OsStr>>(env: &TestEnv, words: impl IntoIterator<Item = S>) -> Finished {
    let output = env.command().env("PATH", "/nonexistent").args(words).stdin(Stdio::null()).output().unwrap();
    let private = env.cwd().parent().unwrap().display().to_string();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&private, "$TEST");
    Finished { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}
