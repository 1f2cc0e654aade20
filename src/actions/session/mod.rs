//! `register-worker`, `register-manager`: which Codex sessions are supervised; `deregister` and `sessions` beside them.

mod deregister;
mod list;

use std::{fmt, path::PathBuf};

use serde::Serialize;
use serde_json::json;

pub use deregister::Deregister;
pub use list::Sessions;
pub(super) use list::{CommunicationView, SessionView};

use super::{
    Action, Argv, Context, Format, Outcome,
    discover::{
        self,
        running::{self, PaneSeen, Running},
    },
    fail,
    supervise::gate,
};
use crate::{
    base::{Error, Name, Result, Timestamp, text},
    model::{
        rollout::Head,
        session::{Registration, Role, Session},
    },
    ports::{
        self,
        process::{Liveness, ProcessError, ProcessId},
        tmux::PaneId,
    },
    store::{self, Read, Write, audit},
};

/// What both `register-*` commands take.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct RegisterArgs {
    /// Name under which the session is known from now on
    #[arg(long, value_name = "NAME")]
    pub name: Name,
    /// The session's rollout file
    #[arg(long, value_name = "FILE")]
    pub codex_session: Option<PathBuf>,
    /// Process id of the Codex process, or of one above it; the session is found by itself
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i64).range(1..))]
    pub pid: Option<i64>,
    /// Working directory; without it the one the rollout names
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Name of the tmux session it runs in
    #[arg(long, value_name = "NAME")]
    pub tmux_session: Option<String>,
    /// Id of the tmux pane it runs in (`%7`); the session in it is found by itself
    #[arg(long, value_name = "PANE", value_parser = pane_id)]
    pub tmux_pane: Option<String>,
    /// Socket of the tmux server, when it is not the default one
    #[arg(long, value_name = "FILE")]
    pub tmux_socket: Option<PathBuf>,
    /// Thread id of a Codex app session
    #[arg(long, value_name = "ID")]
    pub codex_app_thread_id: Option<String>,
    /// Thread title of a Codex app session
    #[arg(long, value_name = "TEXT")]
    pub codex_app_thread_title: Option<String>,
}

/// A pane is known by its id; what else would find one in tmux can mean another one tomorrow.
fn pane_id(text: &str) -> Result<String, String> {
    let parsed = text.parse::<PaneId>();
    parsed.map(|pane| pane.to_string()).map_err(|_| "a pane id is `%` and a number".to_owned())
}

impl RegisterArgs {
    fn argv(&self, name: &str) -> Argv {
        let Self {
            name: session,
            codex_session,
            pid,
            cwd,
            tmux_session,
            tmux_pane,
            tmux_socket,
            codex_app_thread_id,
            codex_app_thread_title,
        } = self;
        Argv::new(name)
            .option("--name", Some(session))
            .option("--codex-session", codex_session.as_ref().map(|path| path.display()))
            .option("--pid", *pid)
            .option("--cwd", cwd.as_ref().map(|path| path.display()))
            .option("--tmux-session", tmux_session.as_ref())
            .option("--tmux-pane", tmux_pane.as_ref())
            .option("--tmux-socket", tmux_socket.as_ref().map(|path| path.display()))
            .option("--codex-app-thread-id", codex_app_thread_id.as_ref())
            .option("--codex-app-thread-title", codex_app_thread_title.as_ref())
    }
}

/// Register a running Codex session as a worker
///
/// Which session is meant is told by its pane, its process or its rollout; one of them is enough, and `discover` lists
/// what runs. Registering a known name again updates its record; values that are not given stay.
///
/// Example: `conveyor register-worker --name w1 --tmux-pane %7`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct RegisterWorker {
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub args: RegisterArgs,
}

/// Register a running Codex session as a manager
///
/// Which session is meant is told by its pane, its process or its rollout; one of them is enough, and `discover` lists
/// what runs. Registering a known name again updates its record; values that are not given stay.
///
/// Example: `conveyor register-manager --name m1 --tmux-pane %7`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct RegisterManager {
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub args: RegisterArgs,
}

/// The registered session.
#[derive(Debug, Serialize)]
pub struct Registered {
    awaiting_first_prompt: bool,
    codex_app_thread_id: Option<String>,
    codex_app_thread_title: Option<String>,
    codex_session_id: Option<String>,
    codex_session_path: Option<String>,
    communication: CommunicationView,
    cwd: String,
    dry_run: bool,
    name: String,
    pid: Option<i64>,
    role: Role,
    session_id: String,
    tmux_pane_id: Option<String>,
    tmux_session: Option<String>,
}

impl Action for RegisterWorker {
    const NAME: &'static str = "register-worker";
    const FORMAT: Format = Format::Json;
    type Output = Registered;

    fn run(self, cx: &Context) -> Result<Registered> {
        register(cx, self.args, Role::Worker)
    }

    fn argv(&self) -> Argv {
        self.args.argv(Self::NAME)
    }
}

impl Action for RegisterManager {
    const NAME: &'static str = "register-manager";
    const FORMAT: Format = Format::Json;
    type Output = Registered;

    fn run(self, cx: &Context) -> Result<Registered> {
        register(cx, self.args, Role::Manager)
    }

    fn argv(&self) -> Argv {
        self.args.argv(Self::NAME)
    }
}

fn register(cx: &Context, args: RegisterArgs, role: Role) -> Result<Registered> {
    if args.codex_session.is_none()
        && let Some(running) = running(cx, &args)?
    {
        check_meant(cx, args.name.as_str(), None, running.thread_id.is_some() || running.pane.is_some())?;
        let store = cx.ledger_or_create()?;
        check_anew(cx, &store, args.name.as_str())?;
        let session = discover::register(cx, &store, &running, role, args.name.as_str())?;
        return Ok(Registered::of(session, cx.dry_run()));
    }
    let known = Known {
        name: args.name.to_string(),
        role,
        thread: ThreadNews::Same,
        rollout: match &args.codex_session {
            Some(path) => Some(read_rollout(cx, path)?),
            None => None,
        },
        process: process(cx, &args)?,
        pane: pane(cx, &args)?,
        cwd: args.cwd.map(|path| cx.env().absolute(&path).display().to_string()),
        tmux_session: args.tmux_session.map(|name| text::clean(&name)),
        codex_app_thread_id: args.codex_app_thread_id.map(|id| text::clean(&id)),
        codex_app_thread_title: args.codex_app_thread_title.map(|title| text::clean(&title)),
    };
    check_meant(
        cx,
        &known.name,
        known.tmux_session.as_deref(),
        known.rollout.is_some() || known.codex_app_thread_id.is_some() || known.pane.is_some(),
    )?;
    let now = cx.now();
    let fresh = (cx.fresh_id("session"), cx.fresh_id("session-token"));
    let store = cx.ledger_or_create()?;
    check_anew(cx, &store, &known.name)?;
    let session = store.write(|w| record(cx, w, known, fresh, now))?;
    Ok(Registered::of(session, cx.dry_run()))
}

/// Refuses a session to say anew who a registered session is.
fn check_anew(cx: &Context, store: &store::Store, name: &str) -> Result<()> {
    let is_known = store.read(|r| store::sessions::find(r, name))?;
    if is_known.is_some_and(|session| session.state == Registration::Active) {
        gate::no_session(cx, store, "register anew what is registered")?;
    }
    Ok(())
}

/// Refuses a new name that leads to no Codex session; asked before a ledger is made for it. Records are never
/// removed, so a name that is known stays so.
fn check_meant(cx: &Context, name: &str, tmux_session: Option<&str>, points_somewhere: bool) -> Result<()> {
    if points_somewhere || known_session(cx, name)?.is_some() {
        return Ok(());
    }
    if let Some(tmux_session) = tmux_session {
        return Err(Error::usage(format!("the name of the tmux session \"{tmux_session}\" alone leads to no pane"))
            .hint("give the pane with --tmux-pane; `tmux list-panes -a` lists the panes of each session"));
    }
    Err(Error::usage("nothing says which Codex session is meant").hint(
        "give its rollout with --codex-session, its pane with --tmux-pane, or its app thread with \
         --codex-app-thread-id",
    ))
}

/// The sessions on record; no ledger is made to find out.
pub(super) fn known_sessions(cx: &Context) -> Result<Vec<Session>> {
    if !cx.env().ledger.exists() {
        return Ok(Vec::new());
    }
    // Whoever asks is about to add one, so a ledger that another process is just making will do.
    Ok(cx.ledger_or_create()?.read(store::sessions::list)?)
}

/// The one of this name among [`known_sessions`].
pub(super) fn known_session(cx: &Context, name: &str) -> Result<Option<Session>> {
    Ok(known_sessions(cx)?.into_iter().find(|session| session.name == name))
}

/// The process that `--pid` names, with its start time; it has to run.
fn process(cx: &Context, args: &RegisterArgs) -> Result<Option<ProcessId>> {
    let pid = args.pid.and_then(|pid| u32::try_from(pid).ok());
    pid.map(|pid| cx.processes().identify(pid).map_err(|error| ended(cx, args, error))).transpose()
}

/// No such process: a session that is known can be brought back all the same.
fn ended(cx: &Context, args: &RegisterArgs, error: ProcessError) -> Error {
    let is_gone = matches!(error, ProcessError::Gone(_));
    let error = fail::process(error);
    let known = known_session(cx, args.name.as_str()).ok().flatten();
    match known.filter(|known| is_gone && known.codex_session_id.is_some()) {
        Some(known) => error.hint(format!("`conveyor resume {}` opens its Codex session in a new pane", known.name)),
        None => error,
    }
}

/// The pane that `--tmux-pane` names, with its process; it has to be there.
fn pane(cx: &Context, args: &RegisterArgs) -> Result<Option<PaneSeen>> {
    let Some(pane) = &args.tmux_pane else { return Ok(None) };
    let (socket, pane) = wanted_pane(cx, args, pane)?;
    running::pane(cx, socket.as_deref(), pane).map(Some).ok_or_else(|| no_such_pane(cx, socket.as_deref(), pane))
}

fn wanted_pane(cx: &Context, args: &RegisterArgs, pane: &str) -> Result<(Option<String>, PaneId)> {
    let pane = pane.parse().map_err(|_| Error::usage(format!("`{pane}` is no tmux pane id; they look like %7")))?;
    let socket = args.tmux_socket.as_ref().map(|path| cx.env().absolute(path).display().to_string());
    cx.tmux(socket.as_deref()).version().map_err(fail::tmux)?;
    Ok((socket, pane))
}

fn no_such_pane(cx: &Context, socket: Option<&str>, pane: PaneId) -> Error {
    if let Some(socket) = socket
        && let Err(error) = cx.tmux(Some(socket)).panes()
    {
        return Error::not_found(format!("no tmux server answers at {socket}"))
            .hint("check --tmux-socket; `tmux display -p '#{socket_path}'` inside tmux prints the right one")
            .caused_by(error);
    }
    Error::not_found(format!("there is no tmux pane {pane}"))
        .hint("`tmux list-panes -a` lists them; name another server with --tmux-socket")
}

/// The running session that `--pid` or `--tmux-pane` points at.
fn running(cx: &Context, args: &RegisterArgs) -> Result<Option<Running>> {
    if let Some(pane) = &args.tmux_pane {
        let (socket, pane) = wanted_pane(cx, args, pane)?;
        let found = running::of_pane(cx, socket.as_deref(), pane)?;
        return found.map(Some).ok_or_else(|| no_such_pane(cx, socket.as_deref(), pane));
    }
    let Some(process) = process(cx, args)? else { return Ok(None) };
    if args.codex_app_thread_id.is_some() {
        return Ok(None);
    }
    check_not_reused(cx, args, process)?;
    let pid = process.pid;
    running::of_pid(cx, pid)?.map(Some).ok_or_else(|| {
        Error::not_found(format!("no Codex session can be told from process {pid} or the processes below it"))
            .hint("`conveyor discover` lists the running sessions; or give the rollout with --codex-session")
    })
}

/// Refuses the pid of a session that is gone when another process has it now: that one's thread is not meant.
fn check_not_reused(cx: &Context, args: &RegisterArgs, process: ProcessId) -> Result<()> {
    let Some(known) = known_session(cx, args.name.as_str())? else { return Ok(()) };
    let before = known.pid.zip(known.pid_start).and_then(|(pid, start)| ProcessId::from_stored(pid, start));
    let is_reused = before.is_some_and(|before| before.pid == process.pid && before != process);
    if known.state != Registration::Gone || !is_reused {
        return Ok(());
    }
    let (name, pid) = (&known.name, process.pid);
    let error =
        Error::refused(format!("the process {pid} of session \"{name}\" has ended; another one has its pid now"));
    Err(match &known.codex_session_id {
        Some(_) => error.hint(format!("`conveyor resume {name}` opens its Codex session in a new pane")),
        None => error.hint("register what runs there under a name of its own"),
    })
}

/// What a registration is made from; absent values keep what the ledger has.
pub(super) struct Known {
    pub name: String,
    pub role: Role,
    pub thread: ThreadNews,
    pub rollout: Option<(PathBuf, Head)>,
    pub process: Option<ProcessId>,
    pub pane: Option<PaneSeen>,
    pub cwd: Option<String>,
    pub tmux_session: Option<String>,
    pub codex_app_thread_id: Option<String>,
    pub codex_app_thread_title: Option<String>,
}

/// What a registration says about the thread, unless a rollout says it better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ThreadNews {
    /// Nothing: it is the one on record.
    Same,
    /// The session shows this one; none when nothing tells which.
    Shows(Option<String>),
}

/// The rollout's absolute path and head.
fn read_rollout(cx: &Context, path: &std::path::Path) -> Result<(PathBuf, Head)> {
    let path = cx.env().absolute(path);
    if path.to_str().is_none() {
        return Err(Error::usage(format!("the path of the rollout is no UTF-8: {}", path.display()))
            .hint("the ledger stores paths as text; rename the folder or the file"));
    }
    let head = ports::rollout::read_head(&path).map_err(|error| fail::head(&path, error))?;
    Ok((path, head))
}

/// Stores a registration: a new session, or news about the one of that name.
pub(super) fn record(
    cx: &Context,
    w: &Write<'_>,
    known: Known,
    (fresh_id, fresh_token): (String, String),
    now: Timestamp,
) -> Result<Session> {
    let found = store::sessions::find(w.read(), &known.name)?;
    if let Some(found) = &found
        && found.role != known.role
    {
        return Err(Error::conflict(format!(
            "session name \"{}\" already exists with role \"{}\"; refusing to re-register as \"{}\"",
            known.name, found.role, known.role
        ))
        .hint(format!(
            "choose another name for the {}; `conveyor sessions --state all` lists those taken",
            known.role
        )));
    }
    let mut session = found.unwrap_or_else(|| Session::new(fresh_id, known.name, known.role, fresh_token, now));
    if session.state == Registration::Gone {
        forget_the_dead(cx, &mut session);
    }
    let mut left = false;
    if let ThreadNews::Shows(thread) = known.thread
        && thread != session.codex_session_id
    {
        // What was known of the old thread would be told of the new one.
        left = true;
        session.codex_session_id = thread;
        (session.codex_session_path, session.last_ingest_offset) = (None, None);
        (session.codex_app_thread_id, session.codex_app_thread_title) = (None, None);
    }
    let replace = |field: &mut Option<String>, value: Option<String>| {
        if value.is_some() {
            *field = value;
        }
    };
    replace(&mut session.tmux_session, known.tmux_session);
    replace(&mut session.codex_app_thread_id, known.codex_app_thread_id);
    replace(&mut session.codex_app_thread_title, known.codex_app_thread_title);
    // A process and a pane are recorded whole: a pid with the start time of another process is worse than none.
    let ticks = |process: ProcessId| i64::try_from(process.start_ticks).ok();
    if let Some(process) = known.process {
        (session.pid, session.pid_start) = (Some(i64::from(process.pid)), ticks(process));
    }
    if let Some(pane) = known.pane {
        session.tmux_session = Some(pane.session_name);
        session.tmux_pane_id = Some(pane.id.to_string());
        session.tmux_socket = Some(pane.socket);
        session.tmux_owned = false;
        session.pane_pid = Some(i64::from(pane.process.pid));
        session.pane_pid_start = ticks(pane.process);
    }
    session.state = Registration::Active;
    session.last_heartbeat_at = Some(now);
    let head_cwd = known.rollout.as_ref().and_then(|(_, head)| head.cwd.clone());
    if let Some(cwd) = known.cwd.or(head_cwd) {
        session.cwd = cwd;
    }
    let rollout = known.rollout.map(|(path, head)| {
        session.codex_session_path = Some(path.display().to_string());
        session.codex_session_id = Some(head.thread_id.clone());
        session.codex_version = head.version;
        (path.display().to_string(), head.thread_id)
    });
    check_thread_free(w.read(), &session)?;
    check_pane_free(w, &session)?;
    store::sessions::save(w, &session)?;
    if let Some((path, thread)) = rollout {
        let cursor = store::rollouts::adopt(w, &session.id, &thread, &path, now)?;
        session.last_ingest_offset = i64::try_from(cursor.next_offset).ok();
        store::sessions::save(w, &session)?;
    } else if left {
        store::rollouts::leave(w, &session.id, now)?;
    }
    store::sensors::forget(w, &session.id)?;
    let about = audit::About { task_id: None, session_id: Some(&session.id) };
    let payload = json!({
        "codex_session_id": session.codex_session_id,
        "name": session.name,
        "pid": session.pid,
        "role": session.role,
        "session_id": session.id,
    });
    audit::append(w, now, cx.actor(), "session_registered", about, &payload)?;
    Ok(session)
}

/// A process or pane that has ended since the session was given up says nothing about whoever takes its name up again.
fn forget_the_dead(cx: &Context, session: &mut Session) {
    let is_dead = |pid: Option<i64>, start: Option<i64>| {
        let process = pid.zip(start).and_then(|(pid, start)| ProcessId::from_stored(pid, start));
        process.is_some_and(|process| matches!(cx.processes().liveness(process), Liveness::Dead | Liveness::Reused))
    };
    if is_dead(session.pid, session.pid_start) {
        (session.pid, session.pid_start) = (None, None);
    }
    if is_dead(session.pane_pid, session.pane_pid_start) {
        (session.tmux_session, session.tmux_pane_id, session.tmux_socket) = (None, None, None);
        (session.pane_pid, session.pane_pid_start, session.tmux_owned) = (None, None, false);
    }
}

/// One thread belongs to one session.
pub(super) fn check_thread_free(r: Read<'_>, session: &Session) -> Result<()> {
    let Some(thread) = &session.codex_session_id else { return Ok(()) };
    match store::sessions::by_thread(r, thread)? {
        Some(other) if other.id != session.id => {
            Err(Error::conflict(format!("Codex session {thread} is already registered as \"{}\"", other.name))
                .hint(format!("use that name, or `conveyor deregister {}` first", other.name)))
        }
        _ => Ok(()),
    }
}

/// One pane shows one session.
fn check_pane_free(w: &Write<'_>, session: &Session) -> Result<()> {
    if session.tmux_pane_id.is_none() {
        return Ok(());
    }
    let same_pane = |other: &Session| {
        other.id != session.id
            && other.state == Registration::Active
            && other.tmux_pane_id == session.tmux_pane_id
            && other.tmux_socket == session.tmux_socket
    };
    let Some(other) = store::sessions::list(w.read())?.into_iter().find(same_pane) else { return Ok(()) };
    if other.pane_pid != session.pane_pid {
        // The pane of a server that is gone: its number means another pane now.
        return store::sessions::leave_pane(w, &other.id).map_err(Into::into);
    }
    Err(Error::conflict(format!(
        "the pane {} is already registered as \"{}\"",
        session.tmux_pane_id.as_deref().unwrap_or_default(),
        other.name
    ))
    .hint(format!("use that name, or `conveyor deregister {}` first", other.name)))
}

impl Registered {
    fn of(session: Session, dry_run: bool) -> Self {
        let communication = CommunicationView::of(&session);
        Self {
            awaiting_first_prompt: session.codex_session_path.is_none() && session.codex_app_thread_id.is_none(),
            codex_app_thread_id: session.codex_app_thread_id,
            codex_app_thread_title: session.codex_app_thread_title,
            codex_session_id: session.codex_session_id,
            codex_session_path: session.codex_session_path,
            communication,
            cwd: session.cwd,
            dry_run,
            name: session.name,
            pid: session.pid,
            role: session.role,
            session_id: session.id,
            tmux_pane_id: session.tmux_pane_id,
            tmux_session: session.tmux_session,
        }
    }
}

impl Outcome for Registered {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verb = if self.dry_run { "would register" } else { "registered" };
        writeln!(out, "{verb} {} {} ({})", self.role, self.name, self.session_id)?;
        match &self.codex_session_path {
            Some(path) => writeln!(out, "rollout: {path}"),
            None => writeln!(out, "rollout: none yet; Codex writes it with the first prompt"),
        }
    }
}
