//! The headless face: command lines that mean the same, printed forms, hostile input, streams.

mod argv;
mod documents;
mod forms;
mod names;
mod streams;

use std::process::Stdio;

use crate::support::{Finished, TestEnv};

/// The flags and positional arguments of a command that are its own, not the program's; those that are only refused
/// are none.
fn own_arguments(command: &clap::Command) -> Vec<&clap::Arg> {
    let global: Vec<String> = conveyor::app::definition()
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .map(|arg| arg.get_id().to_string())
        .collect();
    command
        .get_arguments()
        .filter(|arg| !global.contains(&arg.get_id().to_string()) && arg.get_id() != "help" && !arg.is_hide_set())
        .collect()
}

/// Runs a command line where neither tmux nor Codex is installed.
fn offline<S: AsRef<std::ffi::OsStr>>(env: &TestEnv, words: impl IntoIterator<Item = S>) -> Finished {
    let output = env.command().env("PATH", "/nonexistent").args(words).stdin(Stdio::null()).output().unwrap();
    let private = env.cwd().parent().unwrap().display().to_string();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&private, "$TEST");
    Finished { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}
