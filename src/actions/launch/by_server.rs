//! Makes the thread of a new session in Codex's background server, and takes it back when the start fails.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    spawn::{Plan, Prepared, ServerUse, Trust},
    trust,
};
use crate::{
    base::Error,
    ports::{
        codex_cli::CodexCli,
        codex_server::{CodexServer, NewThread, ServerError, ThreadInfo, Timeouts},
    },
};

const SERVER_START: Duration = Duration::from_secs(60);
/// How long a turn that is to be taken back gets to end.
const UNDO_PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// Why a start goes without the server in a folder about which nobody has been asked.
const ASKS_FOR_TRUST: &str = "nothing says whether this folder is trusted: Codex asks in its terminal";

/// What Codex's server has done for a start.
#[derive(Debug, Default)]
pub(super) struct ByServer {
    /// The thread it has made, with its rollout.
    pub(super) thread: Option<(String, Option<PathBuf>)>,
    /// Why it has made none; none also when it holds the thread that is resumed.
    pub(super) without: Option<String>,
    /// Whether it could be started, or why not; none when that was not tried.
    pub(super) start: Option<Result<(), String>>,
    /// Whether it has written down that the folder is trusted.
    pub(super) trust_accepted: bool,
}

impl ByServer {
    fn without(reason: impl ToString) -> Self {
        Self { without: Some(reason.to_string()), ..Self::default() }
    }
}

/// Why Codex's server is not even asked to hold the session; none when it is.
fn without_server(plan: &Plan, cli: &CodexCli) -> Option<String> {
    if plan.server == ServerUse::Off {
        return Some("switched off".to_owned());
    }
    if plan.resume.is_some() {
        return (!plan.loaded).then(|| "an existing thread is resumed".to_owned());
    }
    if cli.codex_home.is_none() {
        return Some("there is no CODEX_HOME".to_owned());
    }
    match cli.has_server() {
        Ok(true) => None,
        Ok(false) => Some("this version of codex keeps no background server".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Whether the configuration says anything about the trust in the folder.
fn trust_is_decided(server: &mut CodexServer, plan: &Plan) -> Result<bool, ServerError> {
    Ok(trust::level(&server.trust_levels()?, &plan.cwd).is_some())
}

/// As far as it can be told without starting anything, why Codex's server will not hold the session.
pub(super) fn foreseen_without_server(prepared: &Prepared) -> Option<String> {
    let Prepared { plan, cli, .. } = prepared;
    without_server(plan, cli).or_else(|| {
        let home = cli.codex_home.as_deref().filter(|_| plan.resume.is_none() && plan.trust == Trust::Ask)?;
        let mut server = CodexServer::connect(home, Timeouts::default()).ok()?;
        (!trust_is_decided(&mut server, plan).ok()?).then(|| ASKS_FOR_TRUST.to_owned())
    })
}

/// Creates the thread in Codex's server, so that its id and rollout are known before a terminal shows it.
pub(super) fn thread_by_server(plan: &Plan, cli: &CodexCli) -> ByServer {
    if let Some(reason) = without_server(plan, cli) {
        return ByServer::without(reason);
    }
    if plan.resume.is_some() {
        return ByServer::default();
    }
    let (Some(home), Some(sandbox), Some(approval)) = (&cli.codex_home, plan.sandbox, plan.approval) else {
        return ByServer::without("nothing says what it may do");
    };
    if let Err(error) = cli.ensure_server(SERVER_START) {
        let start = Some(Err(error.to_string()));
        return ByServer { start, ..ByServer::without(format!("it could not be started: {error}")) };
    }
    let create = || {
        let mut server = CodexServer::connect(home, Timeouts::default())?;
        let decided = trust_is_decided(&mut server, plan)?;
        // With a sandbox that may write, making a thread trusts the folder, and nobody is asked.
        if !decided && plan.trust == Trust::Ask {
            return Ok(ByServer::without(ASKS_FOR_TRUST));
        }
        let writable = writable_roots(&mut server, plan);
        let new = NewThread { cwd: &plan.cwd, sandbox, approval, model: plan.model.as_deref(), writable: &writable };
        let (thread, without) = match server.start_thread(&new) {
            Ok(thread) => match server.name_thread(&thread.id, &plan.name) {
                // Naming it writes the rollout, without which no terminal can show the thread.
                Ok(()) => (Some((thread.id, thread.rollout)), None),
                Err(error) => (None, Some(unnamed(home, &thread, &error))),
            },
            Err(error) => (None, Some(error.to_string())),
        };
        // Whatever came of the thread, the folder may be trusted now.
        let trusted = |levels| trust::level(&levels, &plan.cwd) == Some("trusted");
        let trust_accepted = !decided && server.trust_levels().is_ok_and(trusted);
        Ok(ByServer { thread, without, trust_accepted, start: None })
    };
    let made = create().unwrap_or_else(|error: ServerError| ByServer::without(error));
    ByServer { start: Some(Ok(())), ..made }
}

/// The folders that commands of the new thread may write to besides its own, and those that the configuration names:
/// setting some replaces them. None when there is nothing to add.
fn writable_roots(server: &mut CodexServer, plan: &Plan) -> Vec<PathBuf> {
    if plan.writable.is_empty() {
        return Vec::new();
    }
    // What the configuration does not tell, it does not have.
    let mut roots = server.writable_roots().unwrap_or_default();
    roots.extend(plan.writable.iter().filter(|root| !roots.contains(root)).cloned().collect::<Vec<_>>());
    roots
}

/// Puts a thread away that could not be named, for no terminal can show it; why there is none.
fn unnamed(home: &Path, thread: &ThreadInfo, error: &ServerError) -> String {
    match withdraw(home, &thread.id) {
        // The server has nothing of it to put away, and forgets a thread without a rollout by itself.
        Ok(()) | Err(ServerError::Rpc { .. }) => format!("the new thread could not be named: {error}"),
        Err(left) => {
            format!(
                "the new thread {} could not be named: {error}; Codex's server may still hold it: {left}",
                thread.id
            )
        }
    }
}

/// Takes back a thread that a failed start has made. The terminal is closed already, but Codex's server goes on
/// with the turn that the first message has begun.
pub(super) fn taken_back(error: Error, prepared: &Prepared, thread: &str) -> Error {
    let Some(home) = &prepared.cli.codex_home else { return error };
    match withdraw(home, thread) {
        Ok(()) => error,
        Err(left) => Error::new(
            error.kind(),
            format!("{}; Codex's server may still run the thread {thread} of this start: {left}", error.message()),
        )
        .hint(format!("its pane has been closed; `codex resume {thread}` shows it, `codex archive {thread}` ends it"))
        .caused_by(error),
    }
}

/// Interrupts the thread's turn, if one is open, and archives it.
fn withdraw(home: &Path, thread: &str) -> Result<(), ServerError> {
    let mut server = CodexServer::connect(home, Timeouts::default())?;
    let deadline = Instant::now() + UNDO_PATIENCE;
    while server.interrupt_turn(thread)? && Instant::now() < deadline {
        thread::sleep(LOOK_EVERY);
    }
    server.archive_thread(thread)
}
