//! `start-worker`, `create`, `start-test`, `start`, `resume`.

use std::{fmt, path::PathBuf, time::Duration};

use serde::Serialize;
use serde_json::json;

use super::spawn::{self, DeadPane, Plan, Prepared, ServerUse, Spawned, Trust};
use crate::{
    actions::{
        Action, Argv, Context, Format, Outcome, TextArg,
        discover::running::PaneSeen,
        ingest, lookup,
        session::{Known, ThreadNews, check_thread_free, known_session, record},
    },
    base::{Error, Name, Result, text},
    model::{
        pane::PaneState,
        session::{Registration, Role, Session},
    },
    ports::codex_server::{ApprovalPolicy, Sandbox},
    store::{self, audit},
};

/// The longest first message, in bytes.
const MAX_PROMPT: usize = 1 << 20;

/// What every start takes.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
pub struct LaunchArgs {
    /// Working directory; without it the present one, and for `resume` the session's own
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// What its commands may touch: read-only, workspace-write or danger-full-access [default: workspace-write; for
    /// `resume` what it had]
    #[arg(long, value_name = "MODE")]
    pub sandbox: Option<Sandbox>,
    /// When it asks: untrusted, on-request or never [default: on-request; for `resume` as before]
    #[arg(long, value_name = "POLICY")]
    pub ask_for_approval: Option<ApprovalPolicy>,
    /// `yolo`: full access, never ask; says on the command line what it is
    #[arg(long, value_name = "PROFILE", value_parser = ["yolo"], conflicts_with_all = ["sandbox", "ask_for_approval"])]
    pub codex_profile: Option<String>,
    /// The model; without it the configured one
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Trust this folder: answer Codex's question on its screen, or let its server trust it
    #[arg(long)]
    pub accept_trust: bool,
    /// Do not use Codex's background server, also when this version has one
    #[arg(long)]
    pub no_server: bool,
    /// How long to wait until the session is ready
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout_seconds: u64,
    /// The codex program, instead of the one on PATH
    #[arg(long, value_name = "FILE")]
    pub codex: Option<PathBuf>,
}

impl LaunchArgs {
    fn argv(&self, argv: Argv) -> Argv {
        let Self {
            cwd,
            sandbox,
            ask_for_approval,
            codex_profile,
            model,
            accept_trust,
            no_server,
            timeout_seconds,
            codex,
        } = self;
        argv.option("--cwd", cwd.as_ref().map(|path| path.display()))
            .option("--sandbox", *sandbox)
            .option("--ask-for-approval", *ask_for_approval)
            .option("--codex-profile", codex_profile.as_ref())
            .option("--model", model.as_ref())
            .switch("--accept-trust", *accept_trust)
            .switch("--no-server", *no_server)
            .option("--timeout-seconds", Some(timeout_seconds))
            .option("--codex", codex.as_ref().map(|path| path.display()))
    }

    /// The rights that were asked for; nothing is assumed.
    fn given_rights(&self) -> (Option<Sandbox>, Option<ApprovalPolicy>) {
        if self.codex_profile.is_some() {
            (Some(Sandbox::DangerFullAccess), Some(ApprovalPolicy::Never))
        } else {
            (self.sandbox, self.ask_for_approval)
        }
    }

    /// The plan for a session of this name, without a prompt.
    fn plan(&self, cx: &Context, name: &str) -> Plan {
        let (sandbox, approval) = self.given_rights();
        Plan {
            name: name.to_owned(),
            tmux_name: format!("codex-{name}"),
            cwd: self.cwd.as_ref().map_or_else(|| cx.env().cwd.clone(), |path| cx.env().absolute(path)),
            prompt: None,
            sandbox: Some(sandbox.unwrap_or(Sandbox::WorkspaceWrite)),
            approval: Some(approval.unwrap_or(ApprovalPolicy::OnRequest)),
            model: self.model.clone(),
            extra: Vec::new(),
            server: if self.no_server { ServerUse::Off } else { ServerUse::Preferred },
            resume: None,
            loaded: false,
            trust: if self.accept_trust { Trust::Accept } else { Trust::Ask },
            patience: Duration::from_secs(self.timeout_seconds),
            program: self.codex.as_ref().map(|path| cx.env().absolute(path)),
        }
    }
}

/// Start a Codex worker in tmux and register it
///
/// The worker asks before it leaves its sandbox (on-request, workspace-write), unless told otherwise. When the
/// installed Codex keeps a background server, the session is created there first, so that its id and rollout are
/// known at once. A start that fails closes what it opened.
///
/// Example: `conveyor start-worker --name w1 --cwd . --task "Make the parser accept every recorded file"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct StartWorker {
    /// Name of the worker
    #[arg(long, value_name = "NAME")]
    pub name: Name,
    /// The first message; `-` reads standard input
    #[arg(long, value_name = "TEXT")]
    pub task: Option<TextArg>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub launch: LaunchArgs,
}

/// A started session.
#[derive(Debug, Serialize)]
pub struct Started {
    /// Null when the thread keeps its own setting.
    approval: Option<ApprovalPolicy>,
    attach_command: Option<String>,
    awaiting_first_prompt: bool,
    codex_session_id: Option<String>,
    codex_session_path: Option<String>,
    codex_version: String,
    cwd: String,
    dry_run: bool,
    name: String,
    pid: Option<i64>,
    role: Role,
    /// Null when the thread keeps its own setting.
    sandbox: Option<Sandbox>,
    session_id: Option<String>,
    /// What the screen showed last: idle, busy, waiting, unknown.
    startup: Option<PaneState>,
    startup_reason: Option<String>,
    tmux_pane_id: Option<String>,
    tmux_session: String,
    trust_accepted: bool,
    /// Why Codex's background server does not hold the session; null when it does.
    without_server: Option<String>,
}

impl Action for StartWorker {
    const NAME: &'static str = "start-worker";
    const FORMAT: Format = Format::Json;
    type Output = Started;

    fn run(self, cx: &Context) -> Result<Started> {
        let mut plan = self.launch.plan(cx, self.name.as_str());
        plan.prompt = self.task.as_ref().map(prompt).transpose()?;
        start(cx, plan, Role::Worker, self.name.as_str(), "start-worker")
    }

    fn argv(&self) -> Argv {
        let Self { name, task, launch } = self;
        launch.argv(Argv::new(Self::NAME).option("--name", Some(name)).text("--task", task.as_ref()))
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.task.iter_mut().collect()
    }
}

/// A first message that can be sent: cleaned, not empty, bounded.
fn prompt(text: &TextArg) -> Result<String> {
    let prompt = text::clean(text.get()?.trim());
    if prompt.is_empty() {
        return Err(Error::usage("the first message must not be empty"));
    }
    if prompt.len() > MAX_PROMPT {
        return Err(Error::usage(format!("the first message is longer than {MAX_PROMPT} bytes")));
    }
    Ok(prompt)
}

/// Starts and registers a session of either role with a first message.
///
/// # Errors
/// As `start-worker`.
pub fn launch_session(cx: &Context, launch: &LaunchArgs, role: Role, name: &str, message: &str) -> Result<Started> {
    let mut plan = launch.plan(cx, name);
    plan.prompt = Some(message.to_owned());
    start(cx, plan, role, name, "start")
}

/// Starts and registers a session.
fn start(cx: &Context, plan: Plan, role: Role, name: &str, via: &str) -> Result<Started> {
    let known = known_session(cx, name)?;
    if let Some(known) = &known {
        check_free(known, role)?;
    }
    let prepared = spawn::prepare(cx, plan)?;
    spawn::check_name_free(cx, &prepared)?;
    if cx.dry_run() {
        return Ok(Started::planned(&prepared, role));
    }
    let mut spawned = spawn::spawn(cx, &prepared)?;
    match register(cx, &prepared, &spawned, role, via, None) {
        Ok(session) => {
            spawned.keep_prompt()?;
            // A first look; whatever it cannot see yet, the next one will.
            let store = cx.ledger_to_change()?;
            let _ = ingest::ingest_while(cx, &store, &session, &|| true);
            Ok(Started::of(&prepared, &spawned, session))
        }
        Err(error) => Err(spawn::undo(cx, &prepared, &spawned, error)),
    }
}

/// A name can be used when nobody has it, or its session is gone.
fn check_free(known: &Session, role: Role) -> Result<()> {
    if known.role != role {
        return Err(Error::conflict(format!(
            "session name \"{}\" already exists with role \"{}\"",
            known.name, known.role
        )));
    }
    if known.state == Registration::Active {
        return Err(Error::conflict(format!(
            "a session named \"{}\" is already registered; choose a different name",
            known.name
        ))
        .hint(format!(
            "`conveyor resume {0}` brings a dead one back, `conveyor stop {0}` ends a live one",
            known.name
        )));
    }
    Ok(())
}

/// Refuses a session that somebody else has brought back, moved or replaced since `seen`.
fn check_unchanged(now: Option<&Session>, seen: &Session) -> Result<()> {
    let place = |s: &Session| (s.id.clone(), s.tmux_pane_id.clone(), s.pane_pid, s.codex_session_id.clone());
    if now.is_some_and(|now| place(now) == place(seen)) {
        return Ok(());
    }
    Err(Error::conflict(format!("session \"{}\" was changed by somebody else meanwhile", seen.name)))
}

/// Writes the session down. Starting took a while, so whether the name is free, or the session to resume still as it
/// was `seen`, is asked once more.
fn register(
    cx: &Context,
    prepared: &Prepared,
    spawned: &Spawned,
    role: Role,
    via: &str,
    seen: Option<&Session>,
) -> Result<Session> {
    let now = cx.now();
    let fresh = (cx.fresh_id("session"), cx.fresh_id("session-token"));
    let plan = &prepared.plan;
    cx.ledger_or_create()?.write(|w| {
        let found = store::sessions::find(w.read(), &plan.name)?;
        match (seen, &found) {
            (Some(seen), now) => check_unchanged(now.as_ref(), seen)?,
            (None, Some(known)) => check_free(known, role)?,
            (None, None) => {}
        }
        let known = Known {
            name: plan.name.clone(),
            role,
            thread: ThreadNews::Shows(spawned.thread_id.clone()),
            rollout: None,
            process: Some(spawned.process),
            pane: Some(PaneSeen {
                socket: spawned.pane.socket.clone(),
                session_name: spawned.pane.session_name.clone(),
                id: spawned.pane.pane,
                process: spawned.process,
            }),
            cwd: Some(plan.cwd.display().to_string()),
            tmux_session: None,
            codex_app_thread_id: None,
            codex_app_thread_title: None,
        };
        let mut session = record(cx, w, known, fresh, now)?;
        session.tmux_owned = true;
        let rights =
            (plan.sandbox.map(|it| it.to_string()), plan.approval.map(|it| it.to_string()), plan.model.clone());
        if plan.resume.is_some() {
            // What is not set anew stays as the thread has it.
            session.sandbox = rights.0.or(session.sandbox);
            session.approval = rights.1.or(session.approval);
            session.model = rights.2.or(session.model);
        } else {
            (session.sandbox, session.approval, session.model) = rights;
        }
        session.codex_version = Some(spawned.codex_version.to_string());
        session.codex_home = spawned.codex_home.as_ref().map(|home| home.display().to_string());
        session.codex_session_path = None;
        session.last_ingest_offset = None;
        session.resumed_at = plan.resume.is_some().then_some(now);
        store::sessions::save(w, &session)?;
        store::sensors::forget(w, &session.id)?;
        match (&spawned.thread_id, &spawned.rollout) {
            (Some(thread), Some(rollout)) => {
                session.codex_session_path = Some(rollout.display().to_string());
                store::sessions::save(w, &session)?;
                store::rollouts::adopt(w, &session.id, thread, &rollout.display().to_string(), now)?;
            }
            _ => store::rollouts::leave(w, &session.id, now)?,
        }
        let about = audit::About { task_id: None, session_id: Some(&session.id) };
        let payload = json!({
            "approval": plan.approval,
            "cwd": session.cwd,
            "name": session.name,
            "sandbox": plan.sandbox,
            "tmux_pane_id": session.tmux_pane_id,
            "tmux_session": session.tmux_session,
            "trust_accepted": spawned.trust_accepted,
            "via": via,
            "without_server": spawned.without_server,
        });
        audit::append(w, now, cx.actor(), "session_started", about, &payload)?;
        Ok(session)
    })
}

impl Started {
    fn planned(prepared: &Prepared, role: Role) -> Self {
        let plan = &prepared.plan;
        Self {
            approval: plan.approval,
            attach_command: None,
            awaiting_first_prompt: plan.prompt.is_none(),
            codex_session_id: plan.resume.clone(),
            codex_session_path: None,
            codex_version: prepared.version.to_string(),
            cwd: plan.cwd.display().to_string(),
            dry_run: true,
            name: plan.name.clone(),
            pid: None,
            role,
            sandbox: plan.sandbox,
            session_id: None,
            startup: None,
            startup_reason: None,
            tmux_pane_id: None,
            tmux_session: prepared.tmux_name.to_string(),
            trust_accepted: false,
            without_server: spawn::foreseen_without_server(prepared),
        }
    }

    fn of(prepared: &Prepared, spawned: &Spawned, session: Session) -> Self {
        let plan = &prepared.plan;
        Self {
            approval: plan.approval,
            attach_command: Some(attach_line(&spawned.pane.socket, spawned.pane.pane.to_string().as_str())),
            awaiting_first_prompt: session.codex_session_path.is_none() && plan.prompt.is_none(),
            codex_session_id: session.codex_session_id,
            codex_session_path: session.codex_session_path,
            codex_version: spawned.codex_version.to_string(),
            cwd: session.cwd,
            dry_run: false,
            name: session.name,
            pid: session.pid,
            role: session.role,
            sandbox: plan.sandbox,
            session_id: Some(session.id),
            startup: Some(spawned.screen.state),
            startup_reason: Some(spawned.screen.reason.clone()),
            tmux_pane_id: session.tmux_pane_id,
            tmux_session: spawned.pane.session_name.clone(),
            trust_accepted: spawned.trust_accepted,
            without_server: spawned.without_server.clone(),
        }
    }
}

/// The command that shows a pane in this terminal.
pub(super) fn attach_line(socket: &str, pane: &str) -> String {
    shell_words::join(["tmux", "-S", socket, "attach-session", "-t", pane])
}

impl Outcome for Started {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verb = if self.dry_run { "would start" } else { "started" };
        writeln!(out, "{verb} {} {} in tmux session {}", self.role, self.name, self.tmux_session)?;
        writeln!(out, "  {} in {}", self.codex_version, self.cwd)?;
        let own = |text: Option<String>| text.unwrap_or_else(|| "as the thread has it".to_owned());
        let (sandbox, approval) = (self.sandbox.map(|it| it.to_string()), self.approval.map(|it| it.to_string()));
        writeln!(out, "  sandbox {}, asks {}", own(sandbox), own(approval))?;
        if let (Some(state), Some(reason)) = (self.startup, &self.startup_reason) {
            writeln!(out, "  {state}: {reason}")?;
        }
        if let Some(reason) = &self.without_server {
            writeln!(out, "  without Codex's server: {reason}")?;
        }
        if self.trust_accepted {
            writeln!(out, "  the folder is trusted now")?;
        }
        if let Some(id) = &self.codex_session_id {
            writeln!(out, "  Codex session {id}")?;
        }
        if let Some(attach) = &self.attach_command {
            writeln!(out, "attach: {attach}")?;
        }
        Ok(())
    }
}

/// Start a worker whose first message says how to work under supervision
///
/// As `start-worker`; the message tells it to report through `update-status`.
///
/// Example: `conveyor create w1 --task "Make the parser accept every recorded file"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Create {
    /// Name of the worker
    #[arg(value_name = "NAME")]
    pub name: Name,
    /// What is to be done; `-` reads standard input
    #[arg(long, value_name = "TEXT")]
    pub task: Option<TextArg>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub launch: LaunchArgs,
}

impl Action for Create {
    const NAME: &'static str = "create";
    type Output = Started;

    fn run(self, cx: &Context) -> Result<Started> {
        let task = match &self.task {
            Some(text) => prompt(text)?,
            None => "Wait for instructions.".to_owned(),
        };
        let mut plan = self.launch.plan(cx, self.name.as_str());
        plan.prompt = Some(contract(cx, self.name.as_str(), &task));
        start(cx, plan, Role::Worker, self.name.as_str(), Self::NAME)
    }

    fn argv(&self) -> Argv {
        let Self { name, task, launch } = self;
        launch.argv(Argv::new(Self::NAME).text("--task", task.as_ref())).end_of_options().word(name)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.task.iter_mut().collect()
    }
}

/// The first message of a supervised worker.
fn contract(cx: &Context, name: &str, task: &str) -> String {
    let ledger = shell_words::quote(&cx.env().ledger.display().to_string()).into_owned();
    include_str!("../../../assets/worker-contract.md")
        .replace("{{name}}", name)
        .replace("{{ledger}}", &ledger)
        .replace("{{task}}", task)
}

/// Start a worker that only proves that everything works
///
/// It reads the README, reports one status and changes nothing.
///
/// Example: `conveyor start-test --accept-trust`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct StartTest {
    /// Name of the worker
    #[arg(value_name = "NAME", default_value = "live-test")]
    pub name: Name,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub launch: LaunchArgs,
}

impl Action for StartTest {
    const NAME: &'static str = "start-test";
    type Output = Started;

    fn run(self, cx: &Context) -> Result<Started> {
        let mut plan = self.launch.plan(cx, self.name.as_str());
        plan.prompt = Some(contract(cx, self.name.as_str(), include_str!("../../../assets/start-test.md").trim()));
        start(cx, plan, Role::Worker, self.name.as_str(), Self::NAME)
    }

    fn argv(&self) -> Argv {
        let Self { name, launch } = self;
        launch.argv(Argv::new(Self::NAME)).end_of_options().word(name)
    }
}

/// Start plain Codex in tmux, without registering it
///
/// Words behind `--` go to Codex.
///
/// Example: `conveyor start scratch --cwd . -- --model gpt-5.5`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Start {
    /// Name of the tmux session
    #[arg(value_name = "TMUX_SESSION")]
    pub session: Name,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub launch: LaunchArgs,
    /// Words for Codex
    #[arg(last = true, value_name = "WORDS")]
    pub words: Vec<String>,
}

/// A started, unregistered session.
#[derive(Debug, Serialize)]
pub struct PlainStarted {
    attach_command: Option<String>,
    cwd: String,
    dry_run: bool,
    register_worker_command_template: String,
    session: String,
    startup: Option<PaneState>,
    tmux_pane_id: Option<String>,
}

impl Action for Start {
    const NAME: &'static str = "start";
    const FORMAT: Format = Format::Json;
    type Output = PlainStarted;

    fn run(self, cx: &Context) -> Result<PlainStarted> {
        let mut plan = self.launch.plan(cx, self.session.as_str());
        plan.tmux_name = self.session.to_string();
        plan.server = ServerUse::Off;
        plan.extra = self.words;
        let prepared = spawn::prepare(cx, plan)?;
        spawn::check_name_free(cx, &prepared)?;
        let mut started = PlainStarted {
            attach_command: None,
            cwd: prepared.plan.cwd.display().to_string(),
            dry_run: cx.dry_run(),
            register_worker_command_template: "conveyor register-worker --name <name> --tmux-pane <pane>".to_owned(),
            session: prepared.tmux_name.to_string(),
            startup: None,
            tmux_pane_id: None,
        };
        if !cx.dry_run() {
            let spawned = spawn::spawn(cx, &prepared)?;
            let pane = spawned.pane.pane.to_string();
            started.attach_command = Some(attach_line(&spawned.pane.socket, &pane));
            started.startup = Some(spawned.screen.state);
            started.register_worker_command_template =
                format!("conveyor register-worker --name <name> --tmux-pane {pane}");
            started.tmux_pane_id = Some(pane);
        }
        Ok(started)
    }

    fn argv(&self) -> Argv {
        let Self { session, launch, words } = self;
        let argv = launch.argv(Argv::new(Self::NAME)).word(session);
        if words.is_empty() { argv } else { words.iter().fold(argv.end_of_options(), Argv::word) }
    }
}

impl Outcome for PlainStarted {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verb = if self.dry_run { "would start" } else { "started" };
        writeln!(out, "{verb} codex in tmux session {}; it is not registered", self.session)?;
        if let Some(attach) = &self.attach_command {
            writeln!(out, "attach: {attach}")?;
        }
        writeln!(out, "register: {}", self.register_worker_command_template)
    }
}

/// Bring back a session whose process or pane has died
///
/// Opens its Codex thread in a new pane and keeps its name, task and history.
///
/// Example: `conveyor resume w1`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Resume {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub launch: LaunchArgs,
}

impl Action for Resume {
    const NAME: &'static str = "resume";
    const FORMAT: Format = Format::Json;
    type Output = Started;

    fn run(self, cx: &Context) -> Result<Started> {
        let (session, judgement) = cx.ledger_to_change()?.read(|r| {
            let session = lookup::session(r, &self.session)?;
            check_thread_free(r, &session)?;
            let judgement = store::board::judgement(r, &session, cx.now())?;
            Ok::<_, Error>((session, judgement))
        })?;
        let Some(thread) = session.codex_session_id.clone() else {
            return Err(Error::refused(format!("session \"{}\" has no Codex thread to resume", session.name))
                .hint("it never got a first message; start it anew"));
        };
        if session.state == Registration::Active && still_there(cx, &session) {
            return Err(Error::refused(format!("session \"{}\" is still there: {}", session.name, judgement.reason))
                .hint(format!("`conveyor open {}` shows it", session.name)));
        }
        let mut plan = self.launch.plan(cx, &session.name);
        if self.launch.cwd.is_none() && !session.cwd.is_empty() {
            plan.cwd = PathBuf::from(&session.cwd);
        }
        let (sandbox, approval) = self.launch.given_rights();
        // Never wider than it was: what is not asked for is as it was started, or as the thread itself has it.
        plan.sandbox = sandbox.or_else(|| session.sandbox.as_deref()?.parse().ok());
        plan.approval = approval.or_else(|| session.approval.as_deref()?.parse().ok());
        plan.model = plan.model.or_else(|| session.model.clone());
        plan.resume = Some(thread.clone());
        let mut prepared = spawn::prepare(cx, plan)?;
        if spawn::held_by_server(cx, &prepared, &session, &thread)? {
            if sandbox.is_some() || approval.is_some() || self.launch.model.is_some() {
                return Err(Error::refused(format!(
                    "Codex's server holds the thread {thread} with its own sandbox, approvals and model"
                ))
                .hint("leave these options out, or wait until the server has let go of the thread"));
            }
            (prepared.plan.loaded, prepared.plan.sandbox, prepared.plan.approval) = (true, None, None);
            prepared.plan.model = None;
        }
        let dead = DeadPane::of(cx, &session);
        if cx.dry_run() {
            if dead.is_none() {
                spawn::check_name_free(cx, &prepared)?;
            }
            return Ok(Started::planned(&prepared, session.role));
        }
        if let Some(dead) = dead {
            dead.close()?;
        }
        spawn::check_name_free(cx, &prepared)?;
        let mut spawned = spawn::spawn(cx, &prepared)?;
        spawned.rollout = session.codex_session_path.as_ref().map(PathBuf::from).filter(|path| path.exists());
        match register(cx, &prepared, &spawned, session.role, Self::NAME, Some(&session)) {
            Ok(session) => Ok(Started::of(&prepared, &spawned, session)),
            Err(error) => Err(spawn::undo(cx, &prepared, &spawned, error)),
        }
    }

    fn argv(&self) -> Argv {
        let Self { session, launch } = self;
        launch.argv(Argv::new(Self::NAME)).end_of_options().word(session)
    }
}

/// Whether the session's pane still holds its process, as a fresh look tells.
fn still_there(cx: &Context, session: &Session) -> bool {
    let look = crate::actions::sense::Observer::default().look(cx, session);
    !look.rows.is_empty()
        && !look.rows.iter().filter_map(|row| row.reading.as_ref()).any(crate::model::state::Reading::says_gone)
}
