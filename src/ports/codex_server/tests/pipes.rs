//! A server of our own behind pipes, played by small shell scripts: its lines, its end, and ours.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, test_kill_process};

use super::fake::QUICK;
use crate::ports::{
    codex_cli::CodexCli,
    codex_server::{CodexServer, Delivery, Outcome, Refusal, ServerError, Timeouts},
};

const MESSAGE: Delivery<'static> = Delivery { thread: "t", text: "go", client_id: "m-1" };

/// Reads the greeting and answers it, as Codex does.
const GREETING: &str =
    r#"read hello; echo '{"id":1,"result":{"userAgent":"conveyor/0.169.0 (Debian)"}}'; read initialized"#;

/// Time enough for a shell to start on a busy machine.
const PATIENT: Timeouts = Timeouts { connect: Duration::from_secs(20), call: Duration::from_millis(300) };

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// A server that greets and goes on with `script`.
fn greeting(script: &str) -> CodexServer {
    CodexServer::start_with(shell(&format!("{GREETING}; {script}")), PATIENT, 64 * 1024).unwrap()
}

fn ends_within(pid: i32, limit: Duration) -> bool {
    let started = Instant::now();
    let pid = Pid::from_raw(pid).unwrap();
    while test_kill_process(pid).is_ok() {
        if started.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

fn number_in(file: &Path) -> i32 {
    let started = Instant::now();
    loop {
        match fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()) {
            Some(number) => return number,
            None if started.elapsed() > Duration::from_secs(20) => panic!("nothing in {}", file.display()),
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[test]
fn the_program_is_run_with_its_home_and_speaks_json_lines() {
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let program = folder.path().join("codex");
    let script = format!(
        r#"#!/bin/sh
echo "$* $CODEX_HOME" >'{said}'
{GREETING}
read call; echo "$call" >>'{said}'
echo; echo '  '
printf '{{"id":2,"result":{{"queuedSub'; sleep 0.1
echo 'mission":{{"id":"e","clientUserMessageId":"m-1","input":[]}}}}}}'
cat >/dev/null"#,
        said = said.display()
    );
    fs::write(folder.path().join("text"), script).unwrap();
    // By another process: open for writing here, the program could not be run while another test starts a child.
    let made = Command::new("install").args(["-m", "755", "text", "codex"]).current_dir(folder.path()).status();
    assert!(made.unwrap().success());
    let codex = CodexCli { program, codex_home: Some(folder.path().join("home")) };
    let mut server = CodexServer::start_own(&codex, Timeouts { call: Duration::from_secs(20), ..PATIENT }).unwrap();
    assert_eq!(server.version(), "0.169.0".parse().ok());
    let Outcome::Accepted(entry) = server.queue_add(&MESSAGE) else { panic!("not accepted") };
    assert_eq!((entry.entry_id.as_str(), entry.client_id.as_str()), ("e", "m-1"));
    drop(server);
    let said = fs::read_to_string(said).unwrap();
    let home = folder.path().join("home");
    assert_eq!(said.lines().next(), Some(format!("app-server {}", home.display()).as_str()));
    let call: serde_json::Value = serde_json::from_str(said.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&call["method"], &call["params"]["clientUserMessageId"]), (&"thread/queue/add".into(), &"m-1".into()));
}

#[test]
fn a_program_that_cannot_run_or_ends_at_once_says_why() {
    let missing = CodexCli { program: "/nowhere/codex".into(), codex_home: None };
    assert!(matches!(CodexServer::start_own(&missing, QUICK), Err(ServerError::Io { .. })));
    let error =
        CodexServer::start_with(shell("read hello; echo 'bad\nconfig' >&2; exit 3"), PATIENT, 1024).unwrap_err();
    assert_eq!(error.to_string(), "codex server: unexpected reply to its start: it ended: bad config");
    let started = Instant::now();
    let error = CodexServer::start_with(shell("cat >/dev/null"), QUICK, 1024).unwrap_err();
    assert!(matches!(error, ServerError::Timeout { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn each_end_of_a_call_says_what_is_known_of_its_effect() {
    let unknown = [
        ("read call", "gone"),
        ("exec cat >/dev/null", "hung"),
        ("read call; echo hello; cat >/dev/null", "garbage"),
        (r"read call; printf '\377\n'; cat >/dev/null", "no text"),
        (r#"read call; printf '{"id":2,'"#, "half an answer"),
        ("read call; while :; do echo; done", "line ends without end"),
        ("read call; tr '\\0' x </dev/zero", "a line without end"),
        (r#"read call; echo '{"id":2,"error":{"code":-32603,"message":"x"}}'; cat >/dev/null"#, "an internal error"),
    ];
    for (script, name) in unknown {
        let outcome = greeting(script).queue_add(&MESSAGE);
        assert!(matches!(outcome, Outcome::Unknown(_)), "{name}: {outcome:?}");
    }

    let no = r#"read call; echo '{"id":2,"error":{"code":-32600,"message":"thread not found: t"}}'; cat >/dev/null"#;
    assert!(matches!(greeting(no).queue_add(&MESSAGE), Outcome::Refused(Refusal::NoThread)));

    let mut gone = greeting("exit");
    assert!(matches!(gone.poll_notifications(Duration::from_secs(20)), Err(ServerError::Closed)));
    let outcome = gone.queue_add(&MESSAGE);
    assert!(matches!(outcome, Outcome::Refused(Refusal::NotSent(ServerError::Closed))), "{outcome:?}");

    // It has closed its input only: the pipe says so before a byte has left.
    let mut deaf = greeting("exec <&-; echo '{\"method\":\"deaf\"}'; sleep 20");
    deaf.poll_notifications(Duration::from_secs(20)).unwrap();
    let outcome = deaf.queue_add(&MESSAGE);
    assert!(matches!(outcome, Outcome::Refused(Refusal::NotSent(ServerError::Closed))), "{outcome:?}");

    // It does not read, and a pipe holds only so much.
    let text = "x".repeat(1024 * 1024);
    let mut full = greeting("sleep 20");
    let outcome = full.queue_add(&Delivery { text: &text, ..MESSAGE });
    assert!(matches!(outcome, Outcome::Refused(Refusal::NotSent(ServerError::Timeout { .. }))), "{outcome:?}");
    assert!(matches!(full.queue_add(&MESSAGE), Outcome::Refused(Refusal::NotSent(ServerError::Closed))));
}

#[test]
fn the_child_and_its_children_end_with_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let [child, grandchild] = ["child", "grandchild"].map(|name| folder.path().join(name));
    let note = format!("echo $$ >'{}'; ", child.display());
    let also = format!("sleep 60 & echo $! >'{}'; ", grandchild.display());
    let gone = |limit| {
        let pids = [number_in(&child), number_in(&grandchild)];
        assert!(pids.iter().all(|pid| ends_within(*pid, limit)), "{pids:?}");
        fs::remove_file(&child).unwrap();
        fs::remove_file(&grandchild).unwrap();
    };

    // One that leaves when its input ends, and one that does not.
    for stay in ["cat >/dev/null", "trap '' TERM HUP INT; while :; do sleep 1; done"] {
        let server = greeting(&format!("{note}{also}{stay}"));
        number_in(&grandchild);
        let started = Instant::now();
        drop(server);
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        gone(Duration::from_secs(5));
    }
    // One that never greets, and one that greets wrongly.
    for start in ["sleep 60", "read hello; echo nonsense; sleep 60"] {
        let limits = Timeouts { connect: Duration::from_millis(500), ..QUICK };
        CodexServer::start_with(shell(&format!("{note}{also}{start}")), limits, 1024).unwrap_err();
        gone(Duration::from_secs(5));
    }
}
