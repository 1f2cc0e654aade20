//! The process table: who is alive, who is whose child, which Codex session a process holds.
//!
//! A process is known by its pid *and* start time, so that a reused pid is never mistaken for the one that was
//! recorded, and never signalled. What the system does not let us read is an error or `Unknown`, never "no".

mod codex;
mod kernel_locks;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
mod scripted;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::machine;
use crate::base::Timestamp;

pub use codex::{CodexProcess, CodexProcessKind, CodexScope};
pub use scripted::{ScriptedProcess, ScriptedProcesses};

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;

/// The most processes that [`Processes::tree`] returns.
pub const MAX_TREE: usize = 1024;

/// A process that cannot be confused with a later one of the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    /// The process id.
    pub pid: u32,
    /// Start time: clock ticks since boot on Linux, microseconds since 1970 on macOS. Only compared for equality.
    pub start_ticks: u64,
}

impl ProcessId {
    /// The process of two stored numbers; none when either cannot be one.
    #[must_use]
    pub fn from_stored(pid: i64, start_ticks: i64) -> Option<Self> {
        let pid = u32::try_from(pid).ok().filter(|pid| *pid > 0)?;
        Some(Self { pid, start_ticks: u64::try_from(start_ticks).ok()? })
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)
    }
}

/// What is known about a recorded process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Alive,
    /// It is gone, or a zombie.
    Dead,
    /// Its pid belongs to a later process now; the recorded one is gone.
    Reused,
    /// The system did not say.
    Unknown,
}

/// Why the process table gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No such process, or a zombie.
    #[error("process {0} is gone")]
    Gone(u32),
    /// The system hides it from this user.
    #[error("no permission to look into process {0}")]
    Denied(u32),
    /// This operating system offers no way that we use.
    #[error("{0} cannot be read on this system")]
    Unsupported(&'static str),
    /// The process table itself could not be read.
    #[error("cannot read {what}")]
    Io {
        /// The file or call.
        what: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// One process of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Pid and start time.
    pub id: ProcessId,
    /// Pid of the parent; 0 when it has none.
    pub parent: u32,
    /// The command line in words; the bare program name when the words are hidden or empty.
    pub argv: Vec<String>,
}

impl ProcessInfo {
    /// What it does for Codex; none when it is not Codex.
    #[must_use]
    pub fn codex_kind(&self) -> Option<CodexProcessKind> {
        codex::kind_of(&self.argv)
    }
}

/// A rollout that a process holds open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRollout {
    /// Absolute path.
    pub path: PathBuf,
    /// Open for writing: the process records into it; otherwise it only reads.
    pub writable: bool,
}

/// The files of Codex sessions that a process holds open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFiles {
    /// `rollout-*.jsonl`, each path once.
    pub rollouts: Vec<OpenRollout>,
    /// `thread-writer-locks/<thread id>.lock`, each path once. Open is not locked: see [`Processes::lock_state`].
    pub writer_locks: Vec<PathBuf>,
}

/// Whether somebody holds the flock of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// There is no such file.
    Missing,
    /// Nobody holds it: a left-over of a crash.
    Free,
    /// It is held; the pid when the kernel names it.
    Held(Option<u32>),
}

/// A writer lock of Codex: which process owns which thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterLock {
    /// Codex's thread id, from the file name.
    pub thread_id: String,
    /// The lock file.
    pub path: PathBuf,
    /// Held or left over.
    pub state: LockState,
}

/// What can be sent to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessSignal {
    /// SIGINT.
    Interrupt,
    /// SIGHUP.
    Hangup,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

impl ProcessSignal {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    const fn number(self) -> rustix::process::Signal {
        use rustix::process::Signal;
        match self {
            Self::Interrupt => Signal::INT,
            Self::Hangup => Signal::HUP,
            Self::Terminate => Signal::TERM,
            Self::Kill => Signal::KILL,
        }
    }
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalOutcome {
    /// It was sent to exactly the recorded process.
    Sent,
    /// The recorded process is gone; nothing was sent.
    AlreadyGone,
    /// The pid belongs to a later process; nothing was sent.
    Reused,
}

/// The process table of a machine, real or scripted.
pub trait Processes: Send + Sync {
    /// Pid of this program.
    fn own_pid(&self) -> u32 {
        machine::own_pid()
    }

    /// Which boot of the machine this is.
    fn boot_id(&self) -> String {
        machine::boot_id()
    }

    /// Whether this runs in a sandbox of Codex's that shows no process from outside.
    fn in_sandbox(&self) -> bool {
        false
    }

    /// Pid and start time of a running process.
    ///
    /// # Errors
    /// [`ProcessError::Gone`] when it does not run.
    fn identify(&self, pid: u32) -> Result<ProcessId, ProcessError>;

    /// Parent and command line of a running process.
    ///
    /// # Errors
    /// As [`Self::identify`].
    fn info(&self, pid: u32) -> Result<ProcessInfo, ProcessError>;

    /// `(pid, parent)` of every process.
    ///
    /// # Errors
    /// When the process table cannot be listed.
    fn parents(&self) -> Result<Vec<(u32, u32)>, ProcessError>;

    /// `root` and its descendants, breadth first, at most [`MAX_TREE`].
    ///
    /// # Errors
    /// [`ProcessError::Gone`] when `root` does not run.
    fn tree(&self, root: u32) -> Result<Vec<ProcessInfo>, ProcessError> {
        self.identify(root)?;
        Ok(self.tree_among(root, &self.parents()?))
    }

    /// The same out of a listing that is at hand: making one costs milliseconds.
    fn tree_among(&self, root: u32, parents: &[(u32, u32)]) -> Vec<ProcessInfo> {
        // A process may end between the listing and the look at it.
        breadth_first(root, parents).into_iter().filter_map(|pid| self.info(pid).ok()).collect()
    }

    /// The working directory.
    ///
    /// # Errors
    /// [`ProcessError::Denied`] when it is hidden, which hardened programs arrange even for their own user.
    fn cwd(&self, pid: u32) -> Result<PathBuf, ProcessError>;

    /// A variable of the environment the process was started with.
    ///
    /// # Errors
    /// As [`Self::cwd`].
    fn environment(&self, pid: u32, name: &str) -> Result<Option<OsString>, ProcessError>;

    /// Rollouts and writer locks that the process holds open.
    ///
    /// # Errors
    /// As [`Self::cwd`].
    fn session_files(&self, pid: u32) -> Result<SessionFiles, ProcessError>;

    /// Whether somebody holds the flock of `path`. Takes no lock itself, so it never stands in Codex's way.
    ///
    /// # Errors
    /// When the file or the kernel's lock table cannot be read.
    fn lock_state(&self, path: &Path) -> Result<LockState, ProcessError>;

    /// Every writer lock below `codex_home`, sorted by thread id; empty when there is no such folder.
    ///
    /// # Errors
    /// As [`Self::lock_state`].
    fn writer_locks(&self, codex_home: &Path) -> Result<Vec<WriterLock>, ProcessError>;

    /// The Codex processes of this user, by pid.
    ///
    /// # Errors
    /// When the process table cannot be listed.
    fn codex_processes(&self, scope: CodexScope) -> Result<Vec<CodexProcess>, ProcessError>;

    /// Whether one of these processes is Codex, run by this user.
    ///
    /// # Errors
    /// When the process table cannot be read.
    fn any_codex(&self, pids: &[u32]) -> Result<bool, ProcessError> {
        let all = self.codex_processes(CodexScope::All)?;
        Ok(all.iter().any(|process| pids.contains(&process.id.pid)))
    }

    /// Sends a signal to exactly this process, or to none.
    ///
    /// # Errors
    /// [`ProcessError::Denied`] when it belongs to somebody else.
    fn signal(&self, id: ProcessId, signal: ProcessSignal) -> Result<SignalOutcome, ProcessError>;

    /// Waits until the process is gone; false when it still runs (or cannot be seen) after `limit`.
    fn wait_gone(&self, id: ProcessId, limit: Duration) -> bool;

    /// The wall-clock time of a process's start, a second more or less; none when the system does not tell.
    fn started_at(&self, id: ProcessId) -> Option<Timestamp>;

    /// Whether what is typed into its terminal goes to this process; none when it has no terminal, or the system does not
    /// tell.
    fn is_in_foreground(&self, _id: ProcessId) -> Option<bool> {
        None
    }

    /// What is known about a recorded process now.
    fn liveness(&self, id: ProcessId) -> Liveness {
        told(self.identify(id.pid), id)
    }

    /// `CODEX_HOME` of a process; none when it uses the default.
    ///
    /// # Errors
    /// As [`Self::environment`].
    fn codex_home(&self, pid: u32) -> Result<Option<PathBuf>, ProcessError> {
        Ok(self.environment(pid, "CODEX_HOME")?.filter(|value| !value.is_empty()).map(PathBuf::from))
    }
}

/// What an identification says about a recorded process.
fn told(found: Result<ProcessId, ProcessError>, id: ProcessId) -> Liveness {
    match found {
        Ok(now) if now == id => Liveness::Alive,
        Ok(_) => Liveness::Reused,
        Err(ProcessError::Gone(_)) => Liveness::Dead,
        Err(ProcessError::Denied(_) | ProcessError::Unsupported(_) | ProcessError::Io { .. }) => Liveness::Unknown,
    }
}

/// The process table of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemProcesses;

impl Processes for SystemProcesses {
    fn in_sandbox(&self) -> bool {
        system::sandbox().is_some()
    }

    fn identify(&self, pid: u32) -> Result<ProcessId, ProcessError> {
        system::identify(pid)
    }

    fn info(&self, pid: u32) -> Result<ProcessInfo, ProcessError> {
        system::info(pid)
    }

    fn parents(&self) -> Result<Vec<(u32, u32)>, ProcessError> {
        system::parents()
    }

    fn cwd(&self, pid: u32) -> Result<PathBuf, ProcessError> {
        system::cwd(pid)
    }

    fn environment(&self, pid: u32, name: &str) -> Result<Option<OsString>, ProcessError> {
        system::environment(pid, name)
    }

    fn session_files(&self, pid: u32) -> Result<SessionFiles, ProcessError> {
        system::session_files(pid)
    }

    fn lock_state(&self, path: &Path) -> Result<LockState, ProcessError> {
        match kernel_locks::state_of(path)? {
            // The kernel lists no holder that cannot be seen from here.
            LockState::Free if system::sandbox().is_some() => Err(ProcessError::Unsupported("locks of a sandbox")),
            state => Ok(state),
        }
    }

    fn liveness(&self, id: ProcessId) -> Liveness {
        match told(self.identify(id.pid), id) {
            // It began before the sandbox that this runs in, which shows nothing from outside.
            Liveness::Dead | Liveness::Reused if system::sandbox().is_some_and(|began| id.start_ticks <= began) => {
                Liveness::Unknown
            }
            liveness => liveness,
        }
    }

    fn writer_locks(&self, codex_home: &Path) -> Result<Vec<WriterLock>, ProcessError> {
        kernel_locks::writer_locks(codex_home)
    }

    fn codex_processes(&self, scope: CodexScope) -> Result<Vec<CodexProcess>, ProcessError> {
        let mut found = Vec::new();
        for (pid, _) in system::parents()? {
            let Some(kind) = codex_kind(pid).filter(|kind| scope.includes(*kind)) else { continue };
            if let Ok(info) = system::info(pid) {
                found.push(CodexProcess { id: info.id, parent: info.parent, kind, argv: info.argv });
            }
        }
        found.sort_by_key(|process| process.id);
        Ok(found)
    }

    /// The whole table costs a millisecond or more, and most commands ask only about the few processes above them.
    fn any_codex(&self, pids: &[u32]) -> Result<bool, ProcessError> {
        // Where not even this program is shown, none of the others is told to be no Codex.
        system::identify(machine::own_pid())?;
        Ok(pids.iter().any(|pid| codex_kind(*pid).is_some()))
    }

    fn signal(&self, id: ProcessId, signal: ProcessSignal) -> Result<SignalOutcome, ProcessError> {
        system::signal(id, signal)
    }

    fn wait_gone(&self, id: ProcessId, limit: Duration) -> bool {
        system::wait_gone(id, limit)
    }

    fn started_at(&self, id: ProcessId) -> Option<Timestamp> {
        system::started_at(id)
    }

    fn is_in_foreground(&self, id: ProcessId) -> Option<bool> {
        system::is_in_foreground(id)
    }
}

/// What this process does for Codex; none when it is not Codex, not this user's, or gone.
fn codex_kind(pid: u32) -> Option<CodexProcessKind> {
    let kind = codex::kind_of(&system::argv(pid).ok()?)?;
    system::is_own(pid).then_some(kind)
}

/// `root` and its descendants among `(pid, parent)` pairs.
fn breadth_first(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for &(pid, parent) in parents {
        if pid != parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut members = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting = VecDeque::from([root]);
    while let Some(pid) = waiting.pop_front() {
        if members.len() == MAX_TREE {
            break;
        }
        // A listing is no snapshot: it can show a circle when pids are reused while it is read.
        if !seen.insert(pid) {
            continue;
        }
        members.push(pid);
        let mut next = children.remove(&pid).unwrap_or_default();
        next.sort_unstable();
        waiting.extend(next);
    }
    members
}

/// True for the file name of a rollout.
fn is_rollout(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with("rollout-") && name.ends_with(".jsonl"))
}

/// True for a lock file in Codex's folder of writer locks.
fn is_writer_lock(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "lock")
        && path.parent().and_then(Path::file_name).is_some_and(|folder| folder == WRITER_LOCKS)
}

/// Codex's folder of writer locks, below `CODEX_HOME`.
const WRITER_LOCKS: &str = "thread-writer-locks";
