//! Opens a pane with Codex in it and finds out which session runs there.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempPath;

use super::{
    by_server::{ByServer, taken_back, thread_by_server},
    ready, stop,
};
use crate::{
    actions::{Context, fail},
    base::{Error, Kind, Result},
    model::{pane::PaneReading, session::Session},
    ports::{
        codex_cli::{CodexCli, CodexVersion, find_codex},
        codex_server::{ApprovalPolicy, CodexServer, Sandbox, ThreadStatus, Timeouts},
        process::{LockState, ProcessId},
        tmux::{KillOutcome, NewSession, PaneId, PaneInfo, PaneRef, Program, Size, Support, Tmux, TmuxError, TmuxName},
    },
};

/// Size of a pane as long as nobody attaches.
const SIZE: Size = Size { width: 160, height: 50 };
/// A prompt above this many bytes goes through a file: command lines are visible to everybody and limited.
const ARGV_PROMPT: usize = 1_000;
/// The status line that makes a pane show its own thread id, from Codex 0.107 on.
const STATUS_LINE: &str = r#"tui.status_line=["run-state","session-id"]"#;
const STATUS_LINE_SINCE: CodexVersion = CodexVersion { major: 0, minor: 107, patch: 0 };
/// Since when `--add-dir` adds to the folders that the configuration names; before, they can only be replaced.
const ADD_DIR_SINCE: CodexVersion = CodexVersion { major: 0, minor: 98, patch: 0 };

/// How a session is to be started.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Name of the session, and of its tmux session behind `codex-`.
    pub name: String,
    /// Name of the tmux session.
    pub tmux_name: String,
    /// Working directory.
    pub cwd: PathBuf,
    /// The first message.
    pub prompt: Option<String>,
    /// What commands may touch; none leaves a resumed thread its own setting.
    pub sandbox: Option<Sandbox>,
    /// When it asks; none leaves a resumed thread its own setting.
    pub approval: Option<ApprovalPolicy>,
    /// The model; none takes the configured one, or that of a resumed thread.
    pub model: Option<String>,
    /// Further words for Codex.
    pub extra: Vec<String>,
    /// Whether Codex's background server may hold the session.
    pub server: ServerUse,
    /// The thread to go on with, instead of a new one.
    pub resume: Option<String>,
    /// Codex's server holds the resumed thread, so the terminal has to go through it and takes no `-c`.
    pub loaded: bool,
    /// Whether the trust prompt may be answered.
    pub trust: Trust,
    /// How long to wait for the session to be ready or known.
    pub patience: Duration,
    /// The codex program; none takes the one on `PATH`.
    pub program: Option<PathBuf>,
    /// Folders that its commands may write to besides the working directory.
    pub writable: Vec<PathBuf>,
    /// Why its commands cannot write the ledger although they should; none when they can, or need not.
    pub ledger_unwritable: Option<String>,
}

/// Whether Codex's background server may hold the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerUse {
    /// When the version has one.
    Preferred,
    /// Never.
    Off,
}

/// Whether the trust prompt may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Yes, when it is recognised on screen.
    Accept,
    /// No; the session waits for a person.
    Ask,
}

/// A started session.
#[derive(Debug)]
pub(super) struct Spawned {
    pub pane: PaneRef,
    pub process: ProcessId,
    pub thread_id: Option<String>,
    pub rollout: Option<PathBuf>,
    pub codex_version: CodexVersion,
    pub codex_home: Option<PathBuf>,
    /// Why Codex's server does not hold the session; none when it does.
    pub without_server: Option<String>,
    /// Whether Codex's server could be started, or why not; none when that was not tried.
    pub server_start: Option<std::result::Result<(), String>>,
    /// The thread that this start has made in Codex's server.
    made_thread: Option<String>,
    /// The file of the first message; removed with this value unless [`Spawned::keep_prompt`] was called.
    prompt_file: Option<TempPath>,
    pub trust_accepted: bool,
    /// What the screen showed last.
    pub screen: PaneReading,
}

impl Spawned {
    /// Leaves the file of the first message to the session that reads it.
    pub(super) fn keep_prompt(&mut self) -> Result<()> {
        let Some(file) = self.prompt_file.take() else { return Ok(()) };
        file.keep().map(drop).map_err(|error| Error::io("cannot keep the file of the prompt").caused_by(error.error))
    }
}

/// What a start needs before anything is opened.
pub(super) struct Prepared {
    pub plan: Plan,
    pub cli: CodexCli,
    pub version: CodexVersion,
    pub tmux_name: TmuxName,
}

/// Checks everything that can be checked without opening anything.
pub(super) fn prepare(cx: &Context, plan: Plan) -> Result<Prepared> {
    if !plan.cwd.is_dir() {
        let what = if plan.cwd.exists() { "is no folder" } else { "does not exist" };
        return Err(Error::refused(format!("the working directory {what}: {}", plan.cwd.display()))
            .hint("give the folder in which Codex is to work with --cwd"));
    }
    let program = find_codex(cx.env().path.as_deref(), plan.program.as_deref().or(cx.env().codex.as_deref()))
        .map_err(fail::codex)?;
    let cli = CodexCli { program, codex_home: codex_home(cx) };
    let version = cli.version().map_err(fail::codex)?;
    if plan.approval == Some(ApprovalPolicy::Untrusted) && !version.takes_untrusted() {
        return Err(Error::refused(format!("Codex {version} knows no approval policy \"untrusted\""))
            .hint("give --ask-for-approval on-request, or never"));
    }
    let tmux = cx.tmux(tmux_socket(cx).as_deref());
    let installed = tmux.version().map_err(fail::tmux)?;
    if installed.support() == Support::TooOld {
        return Err(
            Error::new(Kind::MissingTool, format!("tmux {installed} is too old")).hint("tmux 3.2 or newer is needed")
        );
    }
    // tmux takes no dot in a name; `a.b` and `a_b` are two sessions.
    let tmux_name: TmuxName = plan.tmux_name.replace('.', "-dot-").parse().map_err(fail::tmux)?;
    Ok(Prepared { plan, cli, version, tmux_name })
}

/// Refuses a start whose tmux session exists already, before anything is made that would have to be taken back.
pub(super) fn check_name_free(cx: &Context, prepared: &Prepared) -> Result<()> {
    let name = &prepared.tmux_name;
    match cx.tmux(tmux_socket(cx).as_deref()).session_named(name).map_err(fail::tmux)? {
        Some(_) => Err(fail::tmux(TmuxError::Exists(name.to_string()))),
        None => Ok(()),
    }
}

/// Whether Codex's server holds the thread of `session`, so that it can be resumed there.
///
/// # Errors
/// When another process has it open: two writers would spoil its rollout.
pub(super) fn held_by_server(cx: &Context, prepared: &Prepared, session: &Session, thread: &str) -> Result<bool> {
    let home = prepared.cli.codex_home.as_deref();
    if prepared.plan.server == ServerUse::Preferred
        && let Some(home) = home
        && let Ok(mut server) = CodexServer::connect(home, Timeouts::default())
        && server.read_thread(thread).is_ok_and(|info| info.status != ThreadStatus::NotLoaded)
    {
        return Ok(true);
    }
    let of_rollout = session.codex_session_path.as_deref().and_then(|path| home_of(Path::new(path)));
    let homes = [home, session.codex_home.as_deref().map(Path::new), of_rollout];
    for home in homes.into_iter().flatten() {
        let lock = home.join("thread-writer-locks").join(format!("{thread}.lock"));
        // Where the system does not tell, Codex itself shows the thread as locked, which ends the start as well.
        if let Ok(LockState::Held(pid)) = cx.processes().lock_state(&lock) {
            let holder = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            return Err(Error::refused(format!("{holder} has the Codex thread {thread} open"))
                .hint(format!("end it there first, or `conveyor open {}` if it is in a pane", session.name)));
        }
    }
    Ok(false)
}

/// The `CODEX_HOME` that a rollout lies in.
fn home_of(rollout: &Path) -> Option<&Path> {
    rollout.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "sessions"))?.parent()
}

/// A pane of ours that tmux keeps although its program has ended.
pub(super) struct DeadPane {
    tmux: std::sync::Arc<dyn Tmux>,
    info: PaneInfo,
    process: ProcessId,
}

impl DeadPane {
    /// The dead pane of a session, if its tmux session was made for it alone.
    pub(super) fn of(cx: &Context, session: &Session) -> Option<Self> {
        let pane = session.tmux_pane_id.as_deref().filter(|_| session.tmux_owned)?.parse::<PaneId>().ok()?;
        let process = ProcessId::from_stored(session.pane_pid?, session.pane_pid_start?)?;
        let tmux = cx.tmux(session.tmux_socket.as_deref());
        // Whatever tmux cannot say now, the start will meet and report.
        let info = tmux.pane(pane).ok().flatten().filter(|info| info.dead && info.pid == process.pid)?;
        Some(Self { tmux, info, process })
    }

    /// Closes it, and the tmux session with it.
    pub(super) fn close(self) -> Result<()> {
        self.tmux.kill_session(self.info.session, self.info.id, self.process).map(drop).map_err(fail::tmux)
    }
}

/// `CODEX_HOME` for what we run. Codex makes the default one itself, but refuses it when it is named and missing.
fn codex_home(cx: &Context) -> Option<PathBuf> {
    let env = cx.env();
    let default = env.home.as_ref().map(|home| home.join(".codex"));
    env.codex_home.clone().filter(|home| Some(home) != default.as_ref() || home.is_dir())
}

/// The tmux server that new sessions are started in.
pub(super) fn tmux_socket(cx: &Context) -> Option<String> {
    cx.env().tmux_socket.as_ref().map(|path| path.display().to_string())
}

/// Opens the pane and waits until the session is ready, blocked or known; on failure nothing stays, or the error
/// says what does.
pub(super) fn spawn(cx: &Context, prepared: &Prepared) -> Result<Spawned> {
    let by_server = thread_by_server(&prepared.plan, &prepared.cli);
    let made = by_server.thread.as_ref().map(|(id, _)| id.clone());
    let opened = if cx.interrupted() { Err(super::interrupted()) } else { open(cx, prepared, by_server) };
    opened.map_err(|error| match made {
        Some(thread) => taken_back(error, prepared, &thread),
        None => error,
    })
}

/// Takes back a start whose session could not be registered; `error` says why, and what could not be undone.
pub(super) fn undo(cx: &Context, prepared: &Prepared, spawned: &Spawned, error: Error) -> Error {
    close(cx, &*cx.tmux(Some(&spawned.pane.socket)), &spawned.pane, spawned.process);
    match &spawned.made_thread {
        Some(thread) => taken_back(error, prepared, thread),
        None => error,
    }
}

fn open(cx: &Context, prepared: &Prepared, by_server: ByServer) -> Result<Spawned> {
    let ByServer { thread, without: without_server, trust_accepted: trusted_by_server, start: server_start } =
        by_server;
    let Prepared { plan, cli, version, tmux_name } = prepared;
    let (argv, prompt_file) = argv(cx, plan, cli, *version, thread.as_ref().map(|(id, _)| id.as_str()))?;
    let tmux = cx.tmux(tmux_socket(cx).as_deref());
    let pane = tmux
        .new_session(&NewSession {
            name: tmux_name.clone(),
            window_name: None,
            size: SIZE,
            program: Program { cwd: plan.cwd.clone(), env: environment(cx), argv },
        })
        .map_err(fail::tmux)?;
    let Some(process) = pane.process else {
        // A configuration may keep the pane of a program that has ended.
        close(cx, &*tmux, &pane, ProcessId { pid: pane.pid, start_ticks: 0 });
        return Err(Error::refused(format!("codex ended at once in tmux session {tmux_name}"))
            .hint(format!("run `{}` by hand to see why", cli.program.display())));
    };
    // A new session outside the server is asked to show its id, which an older Codex cannot.
    let shows_id = thread.is_none() && plan.resume.is_none() && *version >= STATUS_LINE_SINCE;
    let waited = ready::wait(&*tmux, plan, &pane, process, shows_id, &|| cx.interrupted());
    match waited {
        Ok((screen, trust_accepted)) => {
            let made_thread = thread.as_ref().map(|(id, _)| id.clone());
            let (thread_id, rollout) = match thread {
                Some((id, rollout)) => (Some(id), rollout.filter(|path| path.exists())),
                None => (plan.resume.clone().or_else(|| screen.thread_id.clone()), None),
            };
            Ok(Spawned {
                pane,
                process,
                thread_id,
                rollout,
                codex_version: *version,
                codex_home: cli.codex_home.clone(),
                without_server,
                server_start,
                made_thread,
                prompt_file,
                trust_accepted: trust_accepted || trusted_by_server,
                screen,
            })
        }
        Err(error) => {
            close(cx, &*tmux, &pane, process);
            Err(error)
        }
    }
}

/// Closes what a failed start has opened.
fn close(cx: &Context, tmux: &dyn Tmux, pane: &PaneRef, process: ProcessId) {
    let programs = stop::programs_of(cx.processes(), process);
    // It may be gone already, which is just as well.
    if tmux.kill_session(pane.session, pane.pane, process) == Ok(KillOutcome::Killed) {
        stop::make_sure(cx.processes(), &programs);
    }
}

/// What the session may do, and the model, as options of Codex.
fn rights(plan: &Plan) -> Vec<String> {
    let sandbox = plan.sandbox.map(|sandbox| ("--sandbox", sandbox.to_string()));
    let approval = plan.approval.map(|approval| ("--ask-for-approval", approval.to_string()));
    let model = plan.model.clone().map(|model| ("--model", model));
    [sandbox, approval, model].into_iter().flatten().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

/// The words that start Codex.
fn argv(
    cx: &Context,
    plan: &Plan,
    cli: &CodexCli,
    version: CodexVersion,
    thread: Option<&str>,
) -> Result<(Vec<String>, Option<TempPath>)> {
    let mut argv = vec![cli.program.display().to_string()];
    match thread.or_else(|| plan.resume.as_deref().filter(|_| plan.loaded)) {
        // The terminal gives the thread the rights of its own command line, and the configured ones when that names
        // none. A `-c` would make Codex run it without its server, which then shows the thread as locked by another
        // program.
        Some(thread) => {
            argv.extend(["resume".to_owned(), thread.to_owned()]);
            argv.extend(rights(plan));
        }
        None => {
            if let Some(thread) = &plan.resume {
                argv.extend(["resume".to_owned(), thread.clone()]);
            }
            argv.extend(rights(plan));
            if plan.sandbox.is_none_or(|sandbox| sandbox == Sandbox::WorkspaceWrite) {
                argv.extend(writable(plan, version));
            }
            if version >= STATUS_LINE_SINCE {
                argv.extend(["-c".to_owned(), STATUS_LINE.to_owned()]);
            }
        }
    }
    argv.extend(plan.extra.iter().cloned());
    let mut file = None;
    if let Some(prompt) = &plan.prompt {
        let (words, written) = inline_prompt(cx, plan, prompt)?;
        // Behind `--` nothing is an option, whatever it begins with.
        argv.extend(["--".to_owned(), words]);
        file = written;
    }
    Ok((argv, file))
}

/// The words that let commands write to further folders.
fn writable(plan: &Plan, version: CodexVersion) -> Vec<String> {
    if version >= ADD_DIR_SINCE {
        return plan
            .writable
            .iter()
            .flat_map(|folder| ["--add-dir".to_owned(), folder.display().to_string()])
            .collect();
    }
    if plan.writable.is_empty() {
        return Vec::new();
    }
    // A JSON text is a TOML text as well.
    let folders =
        serde_json::json!(plan.writable.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>());
    vec!["-c".to_owned(), format!("sandbox_workspace_write.writable_roots={folders}")]
}

/// The prompt itself, or a pointer to the file that holds it.
fn inline_prompt(cx: &Context, plan: &Plan, prompt: &str) -> Result<(String, Option<TempPath>)> {
    if prompt.len() <= ARGV_PROMPT {
        return Ok((prompt.to_owned(), None));
    }
    let folder = cx.env().state_root.join("artifacts/start-prompts");
    let file = write_private(&folder, &plan.name, prompt)
        .map_err(|error| Error::io(format!("cannot write the prompt below {}", folder.display())).caused_by(error))?;
    Ok((format!("Read the file {} completely and do what it says.", file.display()), Some(file)))
}

/// A private file of this start alone: two starts of one name must not share, or remove, each other's.
fn write_private(folder: &Path, name: &str, content: &str) -> std::io::Result<TempPath> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = tempfile::Builder::new().prefix(&format!("{name}-")).suffix(".md").tempfile_in(folder)?;
    file.write_all(content.as_bytes())?;
    Ok(file.into_temp_path())
}

/// What the tmux server may not have: it keeps the environment it was started with.
fn environment(cx: &Context) -> Vec<(String, String)> {
    let env = cx.env();
    let path = env.path.as_ref().and_then(|path| path.to_str()).map(|path| ("PATH".to_owned(), path.to_owned()));
    let home = codex_home(cx).map(|home| ("CODEX_HOME".to_owned(), home.display().to_string()));
    path.into_iter().chain(home).collect()
}
