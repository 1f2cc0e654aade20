//! The process table on macOS, as far as libproc shows it without unsafe code.
//!
//! Working directories, environments and paths of open files are not shown; callers are told so. Signals check
//! the start time just before they are sent, since there is no handle that outlives a pid.

use std::{
    ffi::OsString,
    path::PathBuf,
    time::{Duration, Instant},
};

use libproc::{
    bsd_info::BSDInfo,
    proc_pid::{pidinfo, pidpath},
    processes::{ProcFilter, pids_by_type},
};
use rustix::{
    io::Errno,
    process::{Pid, kill_process},
};

use crate::base::Timestamp;

use super::{ProcessError, ProcessId, ProcessInfo, ProcessSignal, SessionFiles, SignalOutcome};

/// State of a process that has ended but was not waited for.
const ZOMBIE: u32 = 5;

/// How often [`wait_gone`] looks.
const POLL: Duration = Duration::from_millis(20);

fn raw(pid: u32) -> Result<i32, ProcessError> {
    i32::try_from(pid).map_err(|_| ProcessError::Gone(pid))
}

fn bsd_info(pid: u32) -> Result<BSDInfo, ProcessError> {
    let number = raw(pid)?;
    pidinfo::<BSDInfo>(number, 0).map_err(|_| {
        // libproc gives its reason as text; asking for a signal of none tells "gone" from "hidden".
        match Pid::from_raw(number).map(rustix::process::test_kill_process) {
            Some(Ok(()) | Err(Errno::PERM)) => ProcessError::Denied(pid),
            Some(Err(_)) | None => ProcessError::Gone(pid),
        }
    })
}

fn id_of(info: &BSDInfo) -> ProcessId {
    ProcessId { pid: info.pbi_pid, start_ticks: info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec }
}

/// A sandbox hides no process on this system.
pub(super) fn sandbox() -> Option<u64> {
    None
}

/// The wall-clock time of a start.
pub(super) fn started_at(id: ProcessId) -> Option<Timestamp> {
    i64::try_from(id.start_ticks / 1_000).ok().map(Timestamp::from_millis)
}

/// Whether its process group has the terminal; none without a terminal.
pub(super) fn is_in_foreground(id: ProcessId) -> Option<bool> {
    let info = bsd_info(id.pid).ok()?;
    (id_of(&info) == id && info.e_tpgid != 0 && info.e_tpgid != u32::MAX).then_some(info.pbi_pgid == info.e_tpgid)
}

pub(super) fn identify(pid: u32) -> Result<ProcessId, ProcessError> {
    let info = bsd_info(pid)?;
    if info.pbi_status == ZOMBIE {
        return Err(ProcessError::Gone(pid));
    }
    Ok(id_of(&info))
}

pub(super) fn info(pid: u32) -> Result<ProcessInfo, ProcessError> {
    let info = bsd_info(pid)?;
    Ok(ProcessInfo { id: id_of(&info), parent: info.pbi_ppid, argv: argv(pid)? })
}

/// The program only: libproc does not show the words behind it.
pub(super) fn argv(pid: u32) -> Result<Vec<String>, ProcessError> {
    pidpath(raw(pid)?).map(|path| vec![path]).map_err(|_| ProcessError::Denied(pid))
}

pub(super) fn is_own(pid: u32) -> bool {
    bsd_info(pid).is_ok_and(|info| info.pbi_uid == rustix::process::geteuid().as_raw())
}

pub(super) fn parents() -> Result<Vec<(u32, u32)>, ProcessError> {
    let pids = pids_by_type(ProcFilter::All)
        .map_err(|source| ProcessError::Io { what: "the process list".to_owned(), source })?;
    Ok(pids.into_iter().filter_map(|pid| Some((pid, bsd_info(pid).ok()?.pbi_ppid))).collect())
}

pub(super) fn cwd(_pid: u32) -> Result<PathBuf, ProcessError> {
    Err(ProcessError::Unsupported("the working directory of a process"))
}

pub(super) fn environment(_pid: u32, _name: &str) -> Result<Option<OsString>, ProcessError> {
    Err(ProcessError::Unsupported("the environment of a process"))
}

pub(super) fn session_files(_pid: u32) -> Result<SessionFiles, ProcessError> {
    Err(ProcessError::Unsupported("the list of open files"))
}

pub(super) fn signal(id: ProcessId, signal: ProcessSignal) -> Result<SignalOutcome, ProcessError> {
    match identify(id.pid) {
        Ok(now) if now == id => {}
        Ok(_) => return Ok(SignalOutcome::Reused),
        Err(ProcessError::Gone(_)) => return Ok(SignalOutcome::AlreadyGone),
        Err(error) => return Err(error),
    }
    let Some(pid) = Pid::from_raw(raw(id.pid)?) else { return Ok(SignalOutcome::AlreadyGone) };
    match kill_process(pid, signal.number()) {
        Ok(()) => Ok(SignalOutcome::Sent),
        Err(Errno::SRCH) => Ok(SignalOutcome::AlreadyGone),
        Err(Errno::PERM) => Err(ProcessError::Denied(id.pid)),
        Err(other) => Err(ProcessError::Io { what: id.to_string(), source: other.into() }),
    }
}

pub(super) fn wait_gone(id: ProcessId, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        match identify(id.pid) {
            Ok(now) if now == id => {}
            Ok(_) | Err(ProcessError::Gone(_)) => return true,
            Err(_) => return false,
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(POLL.min(deadline.saturating_duration_since(Instant::now())));
    }
}
