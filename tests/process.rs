//! The process port against real processes.
#![cfg(target_os = "linux")]

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use conveyor::ports::process::{
    CodexProcessKind, CodexScope, Liveness, LockState, OpenRollout, ProcessError, ProcessId, ProcessSignal, Processes,
    SignalOutcome, SystemProcesses,
};
use rustix::fs::{FlockOperation, flock};

use crate::support::{PATIENCE, wait_for};

/// A child that ends with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts"))
    }

    fn id(&self) -> ProcessId {
        SystemProcesses.identify(self.0.id()).expect("it runs")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn sleeper() -> Running {
    Running::start(Command::new("sleep").arg("1000"))
}

#[test]
fn a_process_is_signalled_only_with_its_own_start_time() {
    let mut child = sleeper();
    let id = child.id();
    let earlier = ProcessId { start_ticks: id.start_ticks - 1, ..id };
    assert_eq!(SystemProcesses.liveness(id), Liveness::Alive);
    assert_eq!(SystemProcesses.liveness(earlier), Liveness::Reused);

    let outcome = SystemProcesses.signal(earlier, ProcessSignal::Kill).unwrap();
    assert_eq!(outcome, SignalOutcome::Reused);
    assert!(SystemProcesses.wait_gone(earlier, Duration::ZERO));
    assert!(!SystemProcesses.wait_gone(id, Duration::from_millis(50)));
    assert!(child.0.try_wait().unwrap().is_none(), "the impostor's signal must not arrive");

    assert_eq!(SystemProcesses.signal(id, ProcessSignal::Terminate).unwrap(), SignalOutcome::Sent);
    assert!(SystemProcesses.wait_gone(id, PATIENCE));
    // Not waited for yet, so a zombie: dead all the same.
    assert_eq!(SystemProcesses.liveness(id), Liveness::Dead);
    assert_eq!(SystemProcesses.signal(id, ProcessSignal::Kill).unwrap(), SignalOutcome::AlreadyGone);
    assert!(!child.0.wait().unwrap().success());
    assert!(matches!(SystemProcesses.info(id.pid), Err(ProcessError::Gone(_))));
}

#[test]
fn a_tree_lists_parents_before_children() {
    let shell = Running::start(Command::new("sh").args(["-c", "sh -c 'sleep 1000 & wait' & wait"]));
    let tree = wait_for(
        "three processes",
        || SystemProcesses.tree(shell.0.id()).ok().filter(|tree| tree.len() == 3 && tree[2].argv[0] == "sleep"),
        String::new,
    );
    assert_eq!(tree[0].id, shell.id());
    assert_eq!([tree[1].parent, tree[2].parent], [tree[0].id.pid, tree[1].id.pid]);
    for process in tree.iter().rev() {
        SystemProcesses.signal(process.id, ProcessSignal::Kill).unwrap();
    }
}

#[test]
fn open_rollouts_and_locks_are_found_in_folders_with_blanks() {
    let folder = tempfile::Builder::new().prefix("a b's ").tempdir().unwrap();
    let home = folder.path().join("codex home (deleted)");
    let locks = home.join("thread-writer-locks");
    fs::create_dir_all(&locks).unwrap();
    let rollout = home.join("rollout-2026-11-21T01-02-03-0a b.jsonl");
    let lock = locks.join("01a1fc1f-e19b.lock");
    let stale = locks.join("01a1fc1f-0000.lock");
    for path in [&rollout, &lock, &stale, &home.join("history.jsonl")] {
        fs::write(path, "").unwrap();
    }
    let script = r#"exec 7>>"$1" 8<"$1" 9>>"$2" 6>>"$3"; exec sleep 1000"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(&rollout).arg(&lock).arg(home.join("history.jsonl"));
    let child = Running::start(command.env("CODEX_HOME", &home).current_dir(&home));

    let files = wait_for(
        "the files",
        || SystemProcesses.session_files(child.0.id()).ok().filter(|files| !files.writer_locks.is_empty()),
        String::new,
    );
    assert_eq!(files.rollouts, [OpenRollout { path: rollout.clone(), writable: true }]);
    assert_eq!(files.writer_locks, std::slice::from_ref(&lock));
    let pid = child.0.id();
    // While the shell makes way for `sleep`, the process has no environment for a moment.
    let named = wait_for("its environment", || SystemProcesses.codex_home(pid).ok().flatten(), String::new);
    assert_eq!(named, home);
    assert_eq!(SystemProcesses.environment(pid, "CONVEYOR_NO_SUCH_VARIABLE").unwrap(), None);
    assert_eq!(SystemProcesses.cwd(pid).unwrap(), home);

    // Open is not locked.
    assert_eq!(SystemProcesses.lock_state(&lock).unwrap(), LockState::Free);
    let held = File::open(&lock).unwrap();
    flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
    let own = Some(std::process::id());
    assert_eq!(SystemProcesses.lock_state(&lock).unwrap(), LockState::Held(own));
    let states: Vec<_> = SystemProcesses.writer_locks(&home).unwrap();
    let states: Vec<_> = states.iter().map(|lock| (lock.thread_id.as_str(), lock.state)).collect();
    assert_eq!(states, [("01a1fc1f-0000", LockState::Free), ("01a1fc1f-e19b", LockState::Held(own))]);
    // Unlocked, not only closed: a process that another test is just starting still has a copy of every open file.
    flock(&held, FlockOperation::Unlock).unwrap();
    assert_eq!(SystemProcesses.lock_state(&lock).unwrap(), LockState::Free);
    assert_eq!(SystemProcesses.lock_state(&home.join("none.lock")).unwrap(), LockState::Missing);
    assert_eq!(SystemProcesses.writer_locks(Path::new("/no/such/home")).unwrap(), []);
}

#[test]
fn codex_processes_of_this_user_are_listed_by_kind() {
    let pretend = |argv0: &str, args: &[&str]| {
        // The words behind `sh -c` only stand in the command line.
        let mut command = Command::new("sh");
        command.arg0(argv0).args(["-c", "exec 3<&0; while :; do sleep 1000; done"]).args(args);
        Running::start(command.process_group(0))
    };
    // `-c <script>` reads like one of Codex's own options with its value.
    let session = pretend("/opt/x y/codex", &["resume", "01a1"]);
    let server = pretend("codex", &["app-server", "--listen", "unix://"]);
    let find = |scope| -> Vec<(u32, CodexProcessKind)> {
        let all = SystemProcesses.codex_processes(scope).unwrap();
        let ours = all.iter().filter(|process| process.parent == std::process::id());
        ours.map(|process| (process.id.pid, process.kind)).collect()
    };
    let (session_pid, server_pid) = (session.0.id(), server.0.id());
    wait_for("both", || (find(CodexScope::All).len() == 2).then_some(()), String::new);
    assert_eq!(find(CodexScope::Sessions), [(session_pid, CodexProcessKind::Terminal)]);
    let mut all = find(CodexScope::All);
    all.sort_unstable();
    let mut expected = [(session_pid, CodexProcessKind::Terminal), (server_pid, CodexProcessKind::Server)];
    expected.sort_unstable();
    assert_eq!(all, expected);
    let own = std::process::id();
    let any = |pids: &[u32]| SystemProcesses.any_codex(pids).unwrap();
    assert_eq!(
        [any(&[own, session_pid]), any(&[server_pid]), any(&[own, u32::MAX]), any(&[])],
        [true, true, false, false]
    );
    for child in [&session, &server] {
        for process in SystemProcesses.tree(child.0.id()).unwrap() {
            SystemProcesses.signal(process.id, ProcessSignal::Kill).unwrap();
        }
    }
}

#[test]
fn nobody_is_never_alive() {
    let nobody = ProcessId { pid: u32::MAX, start_ticks: 1 };
    assert_eq!(SystemProcesses.liveness(nobody), Liveness::Dead);
    assert_eq!(SystemProcesses.signal(nobody, ProcessSignal::Kill).unwrap(), SignalOutcome::AlreadyGone);
    let zero = ProcessId { pid: 0, start_ticks: 0 };
    assert_eq!(SystemProcesses.signal(zero, ProcessSignal::Kill).unwrap(), SignalOutcome::AlreadyGone);
}

#[test]
fn a_process_of_somebody_else_is_alive_not_gone() {
    let first = SystemProcesses.identify(1).unwrap();
    assert_eq!(SystemProcesses.liveness(first), Liveness::Alive);
    assert!(matches!(SystemProcesses.cwd(1), Ok(_) | Err(ProcessError::Denied(1))));
    if !rustix::process::geteuid().is_root() {
        assert!(matches!(SystemProcesses.session_files(1), Err(ProcessError::Denied(1))));
        assert!(matches!(SystemProcesses.signal(first, ProcessSignal::Hangup), Err(ProcessError::Denied(1))));
    }
}
