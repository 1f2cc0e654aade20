//! Opens a pane with Codex in it and finds out which session runs there.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempPath;

use super::{stop, trust};
use crate::{
    actions::{Context, fail},
    base::{Error, Kind, Result, text},
    model::{
        pane::{self, PaneReading, PaneState, Prompt},
        session::Session,
        state::Source,
    },
    ports::{
        codex_cli::{CodexCli, CodexVersion, find_codex},
        codex_server::{ApprovalPolicy, CodexServer, NewThread, Sandbox, ServerError, ThreadStatus, Timeouts},
        process::{LockState, ProcessId},
        tmux::{
            CaptureOptions, Guard, Key, KeyOutcome, KillOutcome, NewSession, PaneId, PaneInfo, PaneRef, Program,
            ScreenText, Size, Support, Tmux, TmuxError, TmuxName,
        },
    },
};

/// Size of a pane as long as nobody attaches.
const SIZE: Size = Size { width: 160, height: 50 };
/// A prompt above this many bytes goes through a file: command lines are visible to everybody and limited.
const ARGV_PROMPT: usize = 1_000;
/// How long the thread's id may take to appear on a screen that is ready.
const ID_PATIENCE: Duration = Duration::from_secs(4);
const LOOK_EVERY: Duration = Duration::from_millis(150);
const SERVER_START: Duration = Duration::from_secs(60);
/// How long a turn that is to be taken back gets to end.
const UNDO_PATIENCE: Duration = Duration::from_secs(5);
/// Why a start goes without the server in a folder about which nobody has been asked.
const ASKS_FOR_TRUST: &str = "nothing says whether this folder is trusted: Codex asks in its terminal";
/// The status line that makes a pane show its own thread id, from Codex 0.107 on.
const STATUS_LINE: &str = r#"tui.status_line=["run-state","session-id"]"#;
const STATUS_LINE_SINCE: CodexVersion = CodexVersion { major: 0, minor: 107, patch: 0 };

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
    /// Codex's server holds the resumed thread, so the terminal has to go through it and can set nothing.
    pub loaded: bool,
    /// Whether the trust prompt may be answered.
    pub trust: Trust,
    /// How long to wait for the session to be ready or known.
    pub patience: Duration,
    /// The codex program; none takes the one on `PATH`.
    pub program: Option<PathBuf>,
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
    open(cx, prepared, by_server).map_err(|error| match made {
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

/// Takes back a thread that a failed start has made. The terminal is closed already, but Codex's server goes on
/// with the turn that the first message has begun.
fn taken_back(error: Error, prepared: &Prepared, thread: &str) -> Error {
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

fn open(cx: &Context, prepared: &Prepared, by_server: ByServer) -> Result<Spawned> {
    let ByServer { thread, without: without_server, trust_accepted: trusted_by_server } = by_server;
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
    let waited = wait(&*tmux, plan, &pane, process, shows_id);
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

/// What Codex's server has done for a start.
#[derive(Debug, Default)]
struct ByServer {
    /// The thread it has made, with its rollout.
    thread: Option<(String, Option<PathBuf>)>,
    /// Why it has made none; none also when it holds the thread that is resumed.
    without: Option<String>,
    /// Whether it has written down that the folder is trusted.
    trust_accepted: bool,
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
fn thread_by_server(plan: &Plan, cli: &CodexCli) -> ByServer {
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
        return ByServer::without(error);
    }
    let create = || {
        let mut server = CodexServer::connect(home, Timeouts::default())?;
        let decided = trust_is_decided(&mut server, plan)?;
        // With a sandbox that may write, making a thread trusts the folder, and nobody is asked.
        if !decided && plan.trust == Trust::Ask {
            return Ok(ByServer::without(ASKS_FOR_TRUST));
        }
        let new = NewThread { cwd: &plan.cwd, sandbox, approval, model: plan.model.as_deref() };
        let made = server.start_thread(&new).and_then(|thread| {
            // Naming it writes the rollout, without which no terminal can show the thread.
            server.name_thread(&thread.id, &plan.name)?;
            Ok((thread.id, thread.rollout))
        });
        let (thread, without) = match made {
            Ok(thread) => (Some(thread), None),
            Err(error) => (None, Some(error.to_string())),
        };
        // Whatever came of the thread, the folder may be trusted now.
        let trusted = |levels| trust::level(&levels, &plan.cwd) == Some("trusted");
        let trust_accepted = !decided && server.trust_levels().is_ok_and(trusted);
        Ok(ByServer { thread, without, trust_accepted })
    };
    create().unwrap_or_else(|error: ServerError| ByServer::without(error))
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
        // The thread has its settings already. A `-c` would make Codex run this terminal without its server, which
        // then shows the thread as locked by another program.
        Some(thread) => argv.extend(["resume".to_owned(), thread.to_owned()]),
        None => {
            if let Some(thread) = &plan.resume {
                argv.extend(["resume".to_owned(), thread.clone()]);
            }
            if let Some(sandbox) = plan.sandbox {
                argv.extend(["--sandbox".to_owned(), sandbox.to_string()]);
            }
            if let Some(approval) = plan.approval {
                argv.extend(["--ask-for-approval".to_owned(), approval.to_string()]);
            }
            if let Some(model) = &plan.model {
                argv.extend(["--model".to_owned(), model.clone()]);
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

/// An empty composer counts as ready when it has stood this long.
const SETTLED: Duration = Duration::from_millis(1_200);
/// How long the title of a terminal that was asked for nothing may spin before that is taken for a turn.
const SPIN_OF_A_START: Duration = Duration::from_secs(5);

/// How long what the screen shows has to stand before it is believed.
fn settles_after(plan: &Plan, reading: &PaneReading) -> Duration {
    match reading.state {
        // A terminal that starts spins as well. Behind it may be a turn that goes on in Codex's server.
        PaneState::Busy if reading.source == Source::Title && plan.prompt.is_none() => SPIN_OF_A_START,
        PaneState::Busy => Duration::ZERO,
        // Codex draws its composer before it knows that nobody is signed in, or that the thread is locked.
        PaneState::Idle | PaneState::Waiting | PaneState::Exited | PaneState::Unknown => SETTLED,
    }
}

/// Waits until the screen shows a composer, a running turn or a dialog, and for a moment more until it shows the
/// thread's id; answers the trust prompt if it may.
fn wait(
    tmux: &dyn Tmux,
    plan: &Plan,
    pane: &PaneRef,
    process: ProcessId,
    shows_id: bool,
) -> Result<(PaneReading, bool)> {
    let mut stands: Option<(PaneState, Instant)> = None;
    let deadline = Instant::now() + plan.patience;
    let mut trust_accepted = false;
    loop {
        let Some((info, screen)) = look(tmux, pane)? else {
            return Err(Error::refused(format!("codex ended while it started; its pane is gone (`{}`)", plan.name))
                .hint("run the same command by hand in this folder to see why"));
        };
        if info.dead {
            return Err(Error::refused(format!("codex ended while it started: {}", last_words(&screen))));
        }
        let reading = pane::read_pane(&screen, Some(&info.title));
        match (reading.state, reading.prompt) {
            (state @ (PaneState::Idle | PaneState::Busy), _) => {
                let now = Instant::now();
                let since = stands.filter(|(before, _)| *before == state).map_or(now, |(_, since)| since);
                stands = Some((state, since));
                let stood = now - since;
                // What came in time gets the time to settle.
                let settled = stood >= settles_after(plan, &reading) || now >= deadline + SETTLED;
                let id_is_late = stood >= ID_PATIENCE || now >= deadline;
                if settled && (!shows_id || reading.thread_id.is_some() || id_is_late) {
                    return Ok((reading, trust_accepted));
                }
            }
            (PaneState::Waiting, Some(Prompt::Trust)) if plan.trust == Trust::Accept => {
                if !trust_accepted {
                    trust_accepted = accept_trust(tmux, pane, process, &reading)?;
                }
            }
            (PaneState::Waiting, Some(Prompt::Locked)) => {
                return Err(Error::conflict("another program has this Codex thread open")
                    .hint("end it there first; the pane that was started has been closed again"));
            }
            (PaneState::Waiting, _) => return Ok((reading, trust_accepted)),
            (PaneState::Exited, _) => {
                return Err(Error::refused(format!("codex ended while it started: {}", last_words(&screen))));
            }
            (PaneState::Unknown, _) => stands = None,
        }
        if Instant::now() >= deadline && !matches!(reading.state, PaneState::Idle | PaneState::Busy) {
            return Err(Error::new(
                Kind::Unconfirmed,
                format!("codex showed no composer within {} s: {}", plan.patience.as_secs(), last_words(&screen)),
            )
            .hint("give it more time with --timeout-seconds; what was started has been closed again"));
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// The pane and its screen; none when it is gone, and its server perhaps with it.
fn look(tmux: &dyn Tmux, pane: &PaneRef) -> Result<Option<(PaneInfo, String)>> {
    let seen = tmux.pane(pane.pane).and_then(|info| match info {
        Some(info) => Ok(Some((info, tmux.capture(pane.pane, CaptureOptions::default())?))),
        None => Ok(None),
    });
    match seen {
        Err(TmuxError::NoServer(_) | TmuxError::NotFound(_)) => Ok(None),
        other => other.map_err(fail::tmux),
    }
}

/// The wordings of the trust prompt, each with the option that says yes and is selected from the start.
const TRUST_WORDS: &[(&str, &str)] = &[
    ("Trust this folder", "1. Trust and continue"),
    ("Do you trust the contents of this directory", "1. Yes"),
    ("You are running Codex in", "1. Yes"),
];

/// What approvals say, in every version known. No key is pressed while one of these is on the screen.
const APPROVAL_WORDS: &[&str] =
    &["Would you like to run", "Would you like to make", "Would you like to grant", "Allow command", "Apply changes"];

/// Presses Enter on a recognised trust prompt whose yes is selected; the server checks both texts once more.
fn accept_trust(tmux: &dyn Tmux, pane: &PaneRef, process: ProcessId, reading: &PaneReading) -> Result<bool> {
    let yes_selected = reading.options.iter().any(|option| {
        option.selected && (option.label.starts_with("Trust and continue") || option.label.starts_with("Yes"))
    });
    if !yes_selected {
        return Ok(false);
    }
    for (question, yes) in TRUST_WORDS {
        let text = |text: &str| ScreenText::new(text).map_err(fail::tmux);
        let forbidden = APPROVAL_WORDS.iter().map(|words| text(words)).collect::<Result<_>>()?;
        let guard = Guard { pane: pane.pane, process, required: vec![text(question)?, text(yes)?], forbidden };
        if tmux.guarded_key(&guard, Key::Enter).map_err(fail::tmux)? == KeyOutcome::Sent {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The end of a screen in one line, for an error.
fn last_words(screen: &str) -> String {
    let cleaned = text::clean(screen);
    let lines: Vec<&str> = cleaned.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(4)..].join(" / ");
    if tail.is_empty() { "the screen is empty".to_owned() } else { text::bounded(&tail, 300) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::tmux::ScriptedTmux;

    const PROCESS: ProcessId = ProcessId { pid: 7, start_ticks: 1 };

    #[test]
    fn trust_is_given_only_while_no_approval_is_on_the_screen() {
        let process = PROCESS;
        let trust = "Trust this folder?\n\n› 1. Trust and continue\n  2. Quit\n\n  Press enter to continue\n";
        for approval in APPROVAL_WORDS {
            let tmux = ScriptedTmux::default();
            let pane = tmux.add_session("codex-w1", process);
            let reading = pane::read_pane(trust, None);
            tmux.set_screen(pane.pane, &format!("{trust}\n{approval} the following?\n"));
            assert!(!accept_trust(&tmux, &pane, process, &reading).unwrap(), "{approval}");
            tmux.set_screen(pane.pane, trust);
            assert!(accept_trust(&tmux, &pane, process, &reading).unwrap(), "{:?}", tmux.calls());
        }
    }

    /// A terminal that has just been opened without a message, and what its screen shows.
    fn opened(seconds: u64, title: &str) -> (ScriptedTmux, PaneRef, Plan) {
        let tmux = ScriptedTmux::default();
        let pane = tmux.add_session("codex-w1", PROCESS);
        tmux.set_screen(pane.pane, "› Ask Codex to do anything\n\n  gpt-5.5 · ~/project\n");
        tmux.change(pane.pane, |pane| title.clone_into(&mut pane.info.title));
        let plan = Plan {
            name: "w1".to_owned(),
            tmux_name: "codex-w1".to_owned(),
            cwd: PathBuf::from("/"),
            prompt: None,
            sandbox: None,
            approval: None,
            model: None,
            extra: Vec::new(),
            server: ServerUse::Off,
            resume: Some("t".to_owned()),
            loaded: true,
            trust: Trust::Ask,
            patience: Duration::from_secs(seconds),
            program: None,
        };
        (tmux, pane, plan)
    }

    #[test]
    fn the_spinner_of_a_start_is_waited_out() {
        let (tmux, pane, plan) = opened(30, "⠋ w1 | project");
        let reading = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(600));
                tmux.change(pane.pane, |pane| "w1 | project".clone_into(&mut pane.info.title));
            });
            wait(&tmux, &plan, &pane, PROCESS, /*shows_id*/ false).unwrap().0
        });
        assert_eq!((reading.state, reading.rule), (PaneState::Idle, "composer_empty"));
        // A turn that goes on in the server shows the same for as long as it runs.
        let (tmux, pane, plan) = opened(1, "⠋ w1 | project");
        let reading = wait(&tmux, &plan, &pane, PROCESS, /*shows_id*/ false).unwrap().0;
        assert_eq!((reading.state, reading.rule), (PaneState::Busy, "title_spinner"));
    }

    #[test]
    fn a_composer_that_stands_at_the_end_of_the_patience_is_one() {
        let (tmux, pane, plan) = opened(1, "vm");
        let reading = wait(&tmux, &plan, &pane, PROCESS, /*shows_id*/ false).unwrap().0;
        assert_eq!(reading.rule, "composer_empty");
    }
}
