//! Standard streams and the cost of a start: pipes that close, input that is too much, and what a small command
//! leaves alone.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Stdio};

use crate::support::TestEnv;

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let env = TestEnv::pair();
    env.sh("ingest w1").ok();
    for line in [&["sessions"][..], &["tail", "w1", "--limit", "1000"], &["--help"], &["list"]] {
        let mut child = env
            .command()
            .args(line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Nobody reads: closed before the program can have written.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{line:?}");
        assert!(output.stderr.is_empty(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_text_may_come_from_standard_input_but_only_one() {
    let env = TestEnv::new();
    let goal = "a goal of\ntwo lines, -with- \"quotes\"";
    env.run_with_input(["tasks", "--create", "t1", "--goal", "-"], goal.as_bytes()).ok();
    assert_eq!(env.sh("tasks --json").json()[0]["goal"], goal);
    for line in [
        "tasks --create t2 --goal - --summary - --json",
        "update-status w1 --state editing --current-task - --next-action - --json",
    ] {
        let run = env.run_with_input(shell_words::split(line).unwrap(), b"text");
        assert_eq!((run.code, run.error()["kind"].as_str()), (2, Some("usage")), "{run}");
        assert!(run.err.contains("one argument only"), "{run}");
    }
    assert_eq!(env.sh("tasks --json").json().as_array().unwrap().len(), 1);
}

#[test]
fn input_that_is_too_much_or_no_text_is_refused() {
    let env = TestEnv::new();
    env.sh("tasks --create t1 --goal g").ok();
    let cases: &[(&str, Vec<u8>)] = &[
        ("larger than 8 MiB", vec![b'x'; 9 << 20]),
        ("not UTF-8", b"a\xff".to_vec()),
        ("must not be empty", b" \n".to_vec()),
        ("must not be empty", b"\x1b[31m\x1b[0m".to_vec()),
        ("more than 20000 characters", vec![b'x'; 20_001]),
    ];
    for (message, input) in cases {
        let run = env.run_with_input(["tasks", "--create", "t2", "--goal", "-", "--json"], input);
        assert_eq!((run.code, run.error()["kind"].as_str()), (2, Some("usage")), "{message}: {run}");
        assert!(run.err.contains(message), "{message}: {run}");
    }
    assert_eq!(env.sh("tasks --json").json().as_array().unwrap().len(), 1, "nothing was written");
}

#[test]
fn a_small_command_runs_no_other_program() {
    let env = TestEnv::pair();
    env.sh("ingest w1").ok();
    let traps = env.cwd().join("traps");
    let marker = env.cwd().join("sprung");
    fs::create_dir(&traps).unwrap();
    for tool in ["tmux", "codex", "ps", "lsof", "git", "sh"] {
        let trap = traps.join(tool);
        fs::write(&trap, format!("#!/bin/sh\necho {tool} >> '{}'\nexit 1\n", marker.display())).unwrap();
        fs::set_permissions(&trap, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // A tmux server that would notice a visit.
    let socket = env.cwd().join("socket");
    let server = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    server.set_nonblocking(true).unwrap();
    let quiet: &[&[&str]] = &[
        &["tasks"],
        &["sessions"],
        &["list"],
        &["tail", "w1"],
        &["ingest", "w1"],
        &["divergences", "parser"],
        &["status", "w1", "--no-refresh"],
        &["explain", "w1", "--no-refresh"],
        &["--help"],
    ];
    for line in quiet {
        let mut command = env.command();
        command.env("PATH", &traps).env("TMUX", format!("{},1,0", socket.display())).env("TMUX_PANE", "%0");
        let output = command.args(*line).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!marker.exists(), "{line:?} ran {:?}", fs::read_to_string(&marker));
        assert!(server.accept().is_err(), "{line:?} talked to tmux");
    }
}
