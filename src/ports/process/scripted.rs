//! A process table that says what a test told it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::base::Timestamp;

use super::{
    CodexProcess, CodexScope, LockState, ProcessError, ProcessId, ProcessInfo, ProcessSignal, Processes, SessionFiles,
    SignalOutcome, WriterLock, codex,
};

/// A process of a [`ScriptedProcesses`] table.
#[derive(Debug, Clone)]
pub struct ScriptedProcess {
    /// Pid and start time.
    pub id: ProcessId,
    /// Pid of the parent.
    pub parent: u32,
    /// Command line.
    pub argv: Vec<String>,
    /// Working directory; none means that it is hidden.
    pub cwd: Option<PathBuf>,
    /// Environment; none means that it is hidden.
    pub environment: Option<BTreeMap<String, OsString>>,
    /// Open files; none means that they are hidden.
    pub files: Option<SessionFiles>,
}

impl ScriptedProcess {
    /// A process whose directory, environment and files are hidden.
    #[must_use]
    pub fn new(pid: u32, start_ticks: u64, argv: &[&str]) -> Self {
        Self {
            id: ProcessId { pid, start_ticks },
            parent: 1,
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            cwd: None,
            environment: None,
            files: None,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    processes: BTreeMap<u32, ScriptedProcess>,
    locks: BTreeMap<PathBuf, LockState>,
    signals: Vec<(ProcessId, ProcessSignal)>,
}

/// A process table in memory. Terminate and kill end a process at once; interrupt and hang-up are only recorded.
#[derive(Debug, Default)]
pub struct ScriptedProcesses(Mutex<State>);

impl ScriptedProcesses {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a process, or replaces the one with the same pid.
    pub fn put(&self, process: ScriptedProcess) {
        self.state().processes.insert(process.id.pid, process);
    }

    /// Ends a process.
    pub fn end(&self, pid: u32) {
        self.state().processes.remove(&pid);
    }

    /// Sets the state of a lock file; files never set are missing.
    pub fn set_lock(&self, path: impl Into<PathBuf>, lock: LockState) {
        self.state().locks.insert(path.into(), lock);
    }

    /// Every signal that reached a process, in order.
    #[must_use]
    pub fn signals(&self) -> Vec<(ProcessId, ProcessSignal)> {
        self.state().signals.clone()
    }

    fn process(&self, pid: u32) -> Result<ScriptedProcess, ProcessError> {
        self.state().processes.get(&pid).cloned().ok_or(ProcessError::Gone(pid))
    }
}

fn shown(process: ScriptedProcess) -> ProcessInfo {
    ProcessInfo { id: process.id, parent: process.parent, argv: process.argv }
}

impl Processes for ScriptedProcesses {
    fn identify(&self, pid: u32) -> Result<ProcessId, ProcessError> {
        Ok(self.process(pid)?.id)
    }

    fn info(&self, pid: u32) -> Result<ProcessInfo, ProcessError> {
        Ok(shown(self.process(pid)?))
    }

    fn parents(&self) -> Result<Vec<(u32, u32)>, ProcessError> {
        Ok(self.state().processes.values().map(|process| (process.id.pid, process.parent)).collect())
    }

    fn cwd(&self, pid: u32) -> Result<PathBuf, ProcessError> {
        self.process(pid)?.cwd.ok_or(ProcessError::Denied(pid))
    }

    fn environment(&self, pid: u32, name: &str) -> Result<Option<OsString>, ProcessError> {
        Ok(self.process(pid)?.environment.ok_or(ProcessError::Denied(pid))?.remove(name))
    }

    fn session_files(&self, pid: u32) -> Result<SessionFiles, ProcessError> {
        self.process(pid)?.files.ok_or(ProcessError::Denied(pid))
    }

    fn lock_state(&self, path: &Path) -> Result<LockState, ProcessError> {
        Ok(self.state().locks.get(path).copied().unwrap_or(LockState::Missing))
    }

    fn writer_locks(&self, codex_home: &Path) -> Result<Vec<WriterLock>, ProcessError> {
        let folder = codex_home.join(super::WRITER_LOCKS);
        let state = self.state();
        let inside = state.locks.iter().filter(|(path, _)| path.parent() == Some(&folder));
        Ok(inside
            .filter_map(|(path, state)| {
                let thread_id = path.file_stem()?.to_str()?.to_owned();
                Some(WriterLock { thread_id, path: path.clone(), state: *state })
            })
            .collect())
    }

    fn codex_processes(&self, scope: CodexScope) -> Result<Vec<CodexProcess>, ProcessError> {
        let state = self.state();
        let found = state.processes.values().filter_map(|process| {
            let kind = codex::kind_of(&process.argv).filter(|kind| scope.includes(*kind))?;
            Some(CodexProcess { id: process.id, parent: process.parent, kind, argv: process.argv.clone() })
        });
        Ok(found.collect())
    }

    fn signal(&self, id: ProcessId, signal: ProcessSignal) -> Result<SignalOutcome, ProcessError> {
        let mut state = self.state();
        match state.processes.get(&id.pid) {
            None => Ok(SignalOutcome::AlreadyGone),
            Some(process) if process.id != id => Ok(SignalOutcome::Reused),
            Some(_) => {
                state.signals.push((id, signal));
                match signal {
                    ProcessSignal::Terminate | ProcessSignal::Kill => {
                        state.processes.remove(&id.pid);
                    }
                    ProcessSignal::Interrupt | ProcessSignal::Hangup => {}
                }
                Ok(SignalOutcome::Sent)
            }
        }
    }

    /// Ticks are milliseconds since 1970 here.
    fn started_at(&self, id: ProcessId) -> Option<Timestamp> {
        i64::try_from(id.start_ticks).ok().map(Timestamp::from_millis)
    }

    fn wait_gone(&self, id: ProcessId, _limit: Duration) -> bool {
        !self.identify(id.pid).is_ok_and(|now| now == id)
    }
}
