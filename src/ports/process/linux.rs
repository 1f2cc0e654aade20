//! The process table on Linux: `/proc`, and pidfds for signals.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use procfs::{
    FromRead, ProcError,
    process::{FDPermissions, FDTarget, Process, Stat},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal},
};

use crate::base::Timestamp;

use super::{
    OpenRollout, ProcessError, ProcessId, ProcessInfo, ProcessSignal, SessionFiles, SignalOutcome, is_rollout,
    is_writer_lock,
};

fn open(pid: u32) -> Result<Process, ProcessError> {
    let number = i32::try_from(pid).map_err(|_| ProcessError::Gone(pid))?;
    Process::new(number).map_err(|error| read_error(pid, error))
}

fn read_error(pid: u32, error: ProcError) -> ProcessError {
    match error {
        ProcError::NotFound(_) => ProcessError::Gone(pid),
        ProcError::PermissionDenied(_) => ProcessError::Denied(pid),
        // A process that ends while it is read answers ESRCH.
        ProcError::Io(source, _) if source.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {
            ProcessError::Gone(pid)
        }
        other => ProcessError::Io { what: format!("/proc/{pid}"), source: io::Error::other(other.to_string()) },
    }
}

pub(super) fn identify(pid: u32) -> Result<ProcessId, ProcessError> {
    // The one file that is needed: a look at fifty sessions reads as many in every second.
    let stat = Stat::from_file(format!("/proc/{pid}/stat")).map_err(|error| read_error(pid, error))?;
    // A zombie has a row but runs nothing any more.
    if matches!(stat.state, 'Z' | 'X' | 'x') {
        return Err(ProcessError::Gone(pid));
    }
    Ok(ProcessId { pid, start_ticks: stat.starttime })
}

/// When the Codex sandbox began that this runs in, in clock ticks since boot; none outside of one. Its first process is
/// the sandbox's own, and nothing from outside is shown below `/proc`.
pub(super) fn sandbox() -> Option<u64> {
    let first = open(1).ok()?;
    is_sandbox(&first.cmdline().ok()?).then(|| first.stat().ok().map(|stat| stat.starttime))?
}

fn is_sandbox(argv: &[String]) -> bool {
    argv.first().is_some_and(|program| Path::new(program).ends_with("codex-linux-sandbox"))
}

/// The wall-clock time of a start, as exact as the kernel's own idea of when it booted: a second.
pub(super) fn started_at(id: ProcessId) -> Option<Timestamp> {
    let boot = i64::try_from(procfs::boot_time_secs().ok()?).ok()?;
    let since_boot = id.start_ticks.checked_mul(1_000)? / procfs::ticks_per_second();
    Some(Timestamp::from_millis(boot * 1_000 + i64::try_from(since_boot).ok()?))
}

/// Whether its process group has the terminal; none without a terminal.
pub(super) fn is_in_foreground(id: ProcessId) -> Option<bool> {
    let stat = Stat::from_file(format!("/proc/{}/stat", id.pid)).ok()?;
    (stat.starttime == id.start_ticks && stat.tty_nr != 0 && stat.tpgid > 0).then_some(stat.pgrp == stat.tpgid)
}

pub(super) fn info(pid: u32) -> Result<ProcessInfo, ProcessError> {
    let process = open(pid)?;
    let stat = process.stat().map_err(|error| read_error(pid, error))?;
    let argv = process.cmdline().ok().filter(|words| !words.is_empty()).unwrap_or_else(|| vec![stat.comm.clone()]);
    Ok(ProcessInfo {
        id: ProcessId { pid, start_ticks: stat.starttime },
        parent: u32::try_from(stat.ppid).unwrap_or(0),
        argv,
    })
}

pub(super) fn argv(pid: u32) -> Result<Vec<String>, ProcessError> {
    open(pid)?.cmdline().map_err(|error| read_error(pid, error))
}

/// True when the process runs under our own user. The owner of `/proc/<pid>` would not do: it is root for
/// processes that forbid dumps, as Codex's release builds do.
pub(super) fn is_own(pid: u32) -> bool {
    let Ok(status) = open(pid).and_then(|process| process.status().map_err(|error| read_error(pid, error))) else {
        return false;
    };
    status.euid == rustix::process::geteuid().as_raw()
}

/// `(pid, parent)` of every process.
pub(super) fn parents() -> Result<Vec<(u32, u32)>, ProcessError> {
    let all = procfs::process::all_processes()
        .map_err(|error| ProcessError::Io { what: "/proc".to_owned(), source: io::Error::other(error.to_string()) })?;
    let pairs = all.filter_map(|process| {
        let stat = process.ok()?.stat().ok()?;
        Some((u32::try_from(stat.pid).ok()?, u32::try_from(stat.ppid).unwrap_or(0)))
    });
    Ok(pairs.collect())
}

pub(super) fn cwd(pid: u32) -> Result<PathBuf, ProcessError> {
    open(pid)?.cwd().map_err(|error| read_error(pid, error))
}

pub(super) fn environment(pid: u32, name: &str) -> Result<Option<OsString>, ProcessError> {
    let mut variables = open(pid)?.environ().map_err(|error| read_error(pid, error))?;
    Ok(variables.remove(&OsString::from(name)))
}

pub(super) fn session_files(pid: u32) -> Result<SessionFiles, ProcessError> {
    let mut rollouts: BTreeMap<PathBuf, bool> = BTreeMap::new();
    let mut writer_locks = Vec::new();
    for fd in open(pid)?.fd().map_err(|error| read_error(pid, error))? {
        // A descriptor may be closed between the listing and the look at it.
        let Ok(fd) = fd else { continue };
        let FDTarget::Path(path) = &fd.target else { continue };
        if is_rollout(path) {
            let writable = fd.mode().contains(FDPermissions::WRITE);
            *rollouts.entry(path.clone()).or_default() |= writable;
        } else if is_writer_lock(path) && !writer_locks.contains(path) {
            writer_locks.push(path.clone());
        }
    }
    writer_locks.sort();
    let rollouts = rollouts.into_iter().map(|(path, writable)| OpenRollout { path, writable }).collect();
    Ok(SessionFiles { rollouts, writer_locks })
}

/// A handle on whoever has this pid now; it stays on that process even when the pid is reused.
fn handle(pid: u32) -> Result<OwnedFd, ProcessError> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(ProcessError::Gone(pid))?;
    pidfd_open(number, PidfdFlags::empty()).map_err(|error| signal_error(pid, error))
}

fn signal_error(pid: u32, error: Errno) -> ProcessError {
    match error {
        Errno::SRCH => ProcessError::Gone(pid),
        Errno::PERM | Errno::ACCESS => ProcessError::Denied(pid),
        other => ProcessError::Io { what: format!("process {pid}"), source: other.into() },
    }
}

pub(super) fn signal(id: ProcessId, signal: ProcessSignal) -> Result<SignalOutcome, ProcessError> {
    let sent = handle(id.pid).and_then(|handle| {
        // The start time is read after the handle was taken: when it matches, the handle cannot be on a later
        // process, and whatever happens to the pid from here on, the signal goes to the handle.
        if identify(id.pid)? != id {
            return Ok(SignalOutcome::Reused);
        }
        pidfd_send_signal(&handle, signal.number()).map_err(|error| signal_error(id.pid, error))?;
        Ok(SignalOutcome::Sent)
    });
    match sent {
        Err(ProcessError::Gone(_)) => Ok(SignalOutcome::AlreadyGone),
        other => other,
    }
}

pub(super) fn wait_gone(id: ProcessId, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let handle = match handle(id.pid) {
        Ok(handle) => handle,
        Err(error) => return matches!(error, ProcessError::Gone(_)),
    };
    match identify(id.pid) {
        Ok(now) if now == id => {}
        Ok(_) | Err(ProcessError::Gone(_)) => return true,
        Err(_) => return false,
    }
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(&handle, PollFlags::IN)], timeout.as_ref()) {
            Ok(ready) => return ready > 0,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_hidden_process_is_denied_not_gone() {
        let denied = read_error(7, ProcError::PermissionDenied(None));
        assert!(matches!(denied, ProcessError::Denied(7)));
        let gone = read_error(7, ProcError::NotFound(None));
        assert!(matches!(gone, ProcessError::Gone(7)));
        let ended = read_error(7, ProcError::Io(io::Error::from_raw_os_error(3), None));
        assert!(matches!(ended, ProcessError::Gone(7)));
    }

    #[test]
    fn a_sandbox_is_known_by_its_first_process() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(is_sandbox(&words("codex-linux-sandbox --sandbox-policy-cwd /p")));
        assert!(is_sandbox(&words("/opt/codex/codex-linux-sandbox --x")));
        for other in ["/sbin/init splash", "bash -c codex-linux-sandbox", "my-codex-linux-sandbox"] {
            assert!(!is_sandbox(&words(other)), "{other}");
        }
    }

    #[test]
    fn the_kernel_lists_ourselves() {
        let own = std::process::id();
        let (pid, parent) = parents().unwrap().into_iter().find(|(pid, _)| *pid == own).unwrap();
        assert_eq!(parent, info(pid).unwrap().parent);
        assert!(is_own(own));
        assert!(fs::metadata(cwd(own).unwrap()).unwrap().is_dir());
    }
}
