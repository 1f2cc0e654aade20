//! `enqueue-notify-manager` and `enqueue-nudge-worker`: accept a message for a task's other end.

use std::fmt;

use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::health;
use crate::{
    actions::{
        Action, Argv, Context, Format, Outcome, TextArg,
        caller::{self, Origin},
        list, lookup,
        supervise::gate,
    },
    base::{Error, Kind, Moment, Result, text},
    model::{
        delivery::{Command, CommandKind, CommandState, Phase},
        filter::Filter,
        session::{Role, Session},
        task::Task,
    },
    store::{
        self, Read, Store, Write, audit,
        budgets::Budget,
        commands::{Enqueued, NewCommand, OWN_KEYS, Step},
        continuations::Question,
    },
};

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 1 << 20;
/// The longest key, in characters.
const MAX_KEY: usize = 200;
/// How long a message may wait for its delivery, in seconds, unless the sender says otherwise.
pub const TIME_TO_LIVE: u64 = 30 * 60;
/// Messages that may wait for one session.
const MOST_WAITING: u64 = 10_000;
/// Tries allowed.
const MAX_ATTEMPTS: i64 = 5;
/// Who made a command that some Codex gave, when nothing tells which session of its.
pub(super) const SOME_SESSION: &str = "session";

/// What both commands take beside their task.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct MessageArgs {
    /// The message; `-` reads standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub message: TextArg,
    /// Ties this message to others; a fresh id otherwise
    #[arg(long, value_name = "ID")]
    pub correlation_id: Option<String>,
    /// The same key with the same message is accepted once, however often it is sent
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Give up when it was not delivered within so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = TIME_TO_LIVE, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub expires: u64,
}

/// Queue a message of a task's worker to its manager
///
/// Nothing is delivered here: a dispatcher does that (`conveyor dispatch`, or the cockpit).
///
/// Example: `conveyor enqueue-notify-manager parser --message "blocked: no access to the fixture"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct EnqueueNotifyManager {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub message: MessageArgs,
}

/// Queue a message of a task's manager to its worker, or to several workers
///
/// Nothing is delivered here: a dispatcher does that (`conveyor dispatch`, or the cockpit).
///
/// Example: `conveyor enqueue-nudge-worker parser --message "run the tests again"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct EnqueueNudgeWorker {
    /// Task name or id
    #[arg(value_name = "TASK", required_unless_present = "filter", conflicts_with = "filter")]
    pub task: Option<String>,
    /// Instead of a task: every bound worker that matches, in the cockpit's filter language
    #[arg(long, value_name = "EXPRESSION")]
    pub filter: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub message: MessageArgs,
}

/// An accepted command.
#[derive(Debug, Clone, Serialize)]
pub struct Queued {
    /// The command.
    command_id: String,
    /// What it is for.
    command_type: CommandKind,
    /// Ties together what belongs to it.
    correlation_id: String,
    /// Nothing was stored.
    dry_run: bool,
    /// How far it has come; `blocked` when whoever sends it may not.
    phase: Phase,
    /// Why it stands there.
    reason: Option<String>,
    /// The key had been accepted before with the same message: this is that command.
    repeated: bool,
    /// What the terms have to allow when it is delivered; none for what a person sends.
    required_permission: Option<String>,
    /// The contract's word for the phase.
    state: CommandState,
    /// Name of the session it is for.
    target_session: String,
    /// The task, as it was named.
    task: String,
    /// What an operator should know about delivery.
    warning: Option<String>,
}

/// What was accepted for several workers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Nudges {
    /// For the worker of one task.
    One(Box<Queued>),
    /// For those that match a filter.
    Many {
        /// Each.
        commands: Vec<Queued>,
        /// Nothing was stored.
        dry_run: bool,
        /// The filter.
        filter: String,
        /// What an operator should know about delivery.
        warning: Option<String>,
    },
}

impl Action for EnqueueNotifyManager {
    const NAME: &'static str = "enqueue-notify-manager";
    const FORMAT: Format = Format::Prose;
    type Output = Queued;

    fn run(self, cx: &Context) -> Result<Queued> {
        let request = Request::new(CommandKind::NotifyManager, &self.message)?;
        let store = cx.ledger_to_change()?;
        let origin = caller::origin(cx, &store)?;
        let queued = store.write_durably(|w| request.for_task(cx, w, &origin, &self.task))?;
        warned(cx, &store, queued)
    }

    fn argv(&self) -> Argv {
        let Self { task, message } = self;
        message.words(Argv::new(Self::NAME)).end_of_options().word(task)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        vec![&mut self.message.message]
    }
}

impl Action for EnqueueNudgeWorker {
    const NAME: &'static str = "enqueue-nudge-worker";
    const FORMAT: Format = Format::Prose;
    type Output = Nudges;

    fn run(self, cx: &Context) -> Result<Nudges> {
        let request = Request::new(CommandKind::NudgeWorker, &self.message)?;
        let store = cx.ledger_to_change()?;
        let origin = caller::origin(cx, &store)?;
        let Some(filter) = self.filter else {
            let task = self.task.ok_or_else(|| Error::usage("enqueue-nudge-worker requires a task"))?;
            let queued = store.write_durably(|w| request.for_task(cx, w, &origin, &task))?;
            return Ok(Nudges::One(Box::new(warned(cx, &store, queued)?)));
        };
        let tasks = bound_workers(cx, &filter)?;
        if tasks.is_empty() {
            return Err(Error::refused(format!("no bound worker matches \"{filter}\""))
                .hint("`conveyor list` shows the sessions; a nudge goes to workers that are bound to a task"));
        }
        // All of them or none.
        let commands = store.write_durably(|w| {
            let queued = tasks.iter().map(|task| request.for_task(cx, w, &origin, task));
            queued.collect::<Result<Vec<_>>>()
        })?;
        let warning = store.read(|r| health::of(cx, r))?.warning;
        Ok(Nudges::Many { commands, dry_run: cx.dry_run(), filter, warning })
    }

    fn argv(&self) -> Argv {
        let Self { task, filter, message } = self;
        let argv = message.words(Argv::new(Self::NAME).option("--filter", filter.as_ref()));
        match task {
            Some(task) => argv.end_of_options().word(task),
            None => argv,
        }
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        vec![&mut self.message.message]
    }
}

impl MessageArgs {
    fn words(&self, argv: Argv) -> Argv {
        let Self { message, correlation_id, idempotency_key, expires } = self;
        argv.text("--message", Some(message))
            .option("--correlation-id", correlation_id.as_ref())
            .option("--idempotency-key", idempotency_key.as_ref())
            .option("--expires", Some(expires))
    }
}

/// Ids of the tasks whose bound workers match.
fn bound_workers(cx: &Context, filter: &str) -> Result<Vec<String>> {
    let parsed = Filter::of_sessions(filter).map_err(|error| Error::usage(error.to_string()))?;
    let board = list::board(cx)?;
    let now = cx.now();
    let matching: Vec<_> = board
        .sessions
        .iter()
        .filter(|row| row.role == Role::Worker && parsed.matches_session(row, now))
        .map(|row| row.id.clone())
        .collect();
    let store = cx.ledger_to_change()?;
    store.read(|r| {
        let bindings = matching.iter().map(|id| store::bindings::active_of_session(r, id));
        Ok(bindings.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().map(|binding| binding.task_id).collect())
    })
}

fn warned(cx: &Context, store: &Store, queued: Queued) -> Result<Queued> {
    // What was accepted is accepted, also when the look at the dispatchers fails.
    let warning = store.read(|r| health::of(cx, r)).ok().and_then(|health| health.warning);
    Ok(Queued { warning, ..queued })
}

/// Queues a word of this program's own to the worker of a task, once for each review.
pub(in crate::actions) fn tell_worker(
    cx: &Context,
    w: &Write<'_>,
    task: &Task,
    words: &str,
    correlation_id: &str,
    review_id: i64,
) -> Result<()> {
    let binding = lookup::active_binding(w.read(), task)?;
    let worker = lookup::bound_session(w.read(), &binding.worker_session_id)?;
    let key = format!("{OWN_KEYS}review:{review_id}");
    let request = Request {
        kind: CommandKind::NudgeWorker,
        message: words,
        correlation_id: Some(correlation_id),
        idempotency_key: Some(&key),
        expires: TIME_TO_LIVE,
    };
    let sender = Sender { session_id: None, created_by: audit::Actor::Conveyor.as_str() };
    let ends = Ends { task_id: Some(&task.id), binding_id: Some(&binding.id), sender, target: &worker };
    // The terms that an operator has set say so.
    request.accept(cx, w, &Origin::Operator, &ends).map(drop)
}

/// Queues an operator's answer to the manager of a task.
pub(in crate::actions) fn tell_manager(cx: &Context, w: &Write<'_>, answered: &Question, words: &str) -> Result<()> {
    let task = lookup::task(w.read(), &answered.task_id)?;
    let request = Request {
        kind: CommandKind::NotifyManager,
        message: words,
        correlation_id: Some(&answered.correlation_id),
        idempotency_key: None,
        expires: TIME_TO_LIVE,
    };
    request.for_task(cx, w, &Origin::Operator, &task.id).map(drop)
}

/// A message to be accepted.
pub(super) struct Request<'a> {
    pub kind: CommandKind,
    pub message: &'a str,
    pub correlation_id: Option<&'a str>,
    pub idempotency_key: Option<&'a str>,
    /// Seconds.
    pub expires: u64,
}

/// Where a message goes, and on whose behalf.
struct Ends<'a> {
    task_id: Option<&'a str>,
    binding_id: Option<&'a str>,
    sender: Sender<'a>,
    target: &'a Session,
}

/// Who a message is from, as the ledger keeps it and as its reader is told.
#[derive(Clone, Copy)]
struct Sender<'a> {
    session_id: Option<&'a str>,
    created_by: &'a str,
}

impl<'a> Sender<'a> {
    /// Who really gave the command. A Codex that cannot be told apart speaks for the end of the binding that `presumed`
    /// names, because such messages are that end's; without one it is some session, and never a person.
    fn of(cx: &Context, origin: &'a Origin, presumed: Option<(Role, &'a str)>) -> Self {
        match (origin, presumed) {
            (Origin::Session(session), _) => Self { session_id: Some(&session.id), created_by: session.role.as_str() },
            (Origin::Hidden, Some((role, id))) => Self { session_id: Some(id), created_by: role.as_str() },
            (Origin::Hidden, None) => Self { session_id: None, created_by: SOME_SESSION },
            (Origin::Operator, _) => Self { session_id: None, created_by: cx.actor().as_str() },
        }
    }
}

impl<'a> Request<'a> {
    fn new(kind: CommandKind, args: &'a MessageArgs) -> Result<Self> {
        let request = Self {
            kind,
            message: args.message.get()?,
            correlation_id: args.correlation_id.as_deref(),
            idempotency_key: args.idempotency_key.as_deref(),
            expires: args.expires,
        };
        request.check()?;
        Ok(request)
    }

    /// Refuses what cannot be sent.
    ///
    /// # Errors
    /// A usage error that says what is wrong.
    pub(super) fn check(&self) -> Result<()> {
        if self.message.trim().is_empty() {
            return Err(Error::usage(format!("{} message must be non-empty", self.kind)));
        }
        if self.message.len() > MAX_MESSAGE {
            return Err(Error::usage(format!("the message has {} bytes, more than {MAX_MESSAGE}", self.message.len()))
                .hint("put the long part into a file and name its path"));
        }
        for (name, value) in [("--correlation-id", self.correlation_id), ("--idempotency-key", self.idempotency_key)] {
            if let Some(value) = value
                && (value.trim().is_empty() || value.chars().count() > MAX_KEY || text::visible_line(value) != value)
            {
                return Err(Error::usage(format!("{name} takes 1 to {MAX_KEY} visible characters")));
            }
        }
        if self.idempotency_key.is_some_and(|key| key.starts_with(OWN_KEYS)) {
            return Err(Error::usage(format!("keys that begin with `{OWN_KEYS}` are conveyor's own"))
                .hint("begin the --idempotency-key with another word"));
        }
        Ok(())
    }

    /// Accepts it for the other end of a task.
    fn for_task(&self, cx: &Context, w: &Write<'_>, origin: &Origin, reference: &str) -> Result<Queued> {
        let task = lookup::task(w.read(), reference)?;
        let refusal = match self.accept_now(cx, w, origin, &task, reference) {
            Err(error) if matches!(error.kind(), Kind::Refused | Kind::Blocked) => error,
            accepted => return accepted,
        };
        // It may have been accepted while it could be, and the answer was lost.
        self.accepted_before(w.read(), &task, reference, cx.dry_run())?.ok_or(refusal)
    }

    /// The command that was accepted under the same key with the same message.
    fn accepted_before(&self, r: Read<'_>, task: &Task, reference: &str, dry_run: bool) -> Result<Option<Queued>> {
        let Some(key) = self.idempotency_key else { return Ok(None) };
        let Some(known) = store::commands::by_key(r, &task.id, key)? else { return Ok(None) };
        if known.request_sha256 != self.digest(&known.target_session_id) {
            return Ok(None);
        }
        let target = store::sessions::by_id(r, &known.target_session_id)?.map(|target| target.name);
        Ok(Some(Queued::new(&known, true, target.unwrap_or_default(), reference, dry_run)))
    }

    fn accept_now(&self, cx: &Context, w: &Write<'_>, origin: &Origin, task: &Task, reference: &str) -> Result<Queued> {
        lookup::check_open(task)?;
        let binding = lookup::active_binding(w.read(), task)?;
        let (presumed, target) = match self.kind {
            CommandKind::NotifyManager => {
                ((Role::Worker, binding.worker_session_id.as_str()), &binding.manager_session_id)
            }
            CommandKind::NudgeWorker
            | CommandKind::SessionNudge
            | CommandKind::WorkerTaskComplete
            | CommandKind::RequestWorkerCompact
            | CommandKind::RequestWorkerClear => {
                ((Role::Manager, binding.manager_session_id.as_str()), &binding.worker_session_id)
            }
        };
        let target = store::sessions::by_id(w.read(), target)?
            .ok_or_else(|| Error::refused("the session it is for is not registered"))?;
        let sender = Sender::of(cx, origin, Some(presumed));
        let ends = Ends { task_id: Some(&task.id), binding_id: Some(&binding.id), sender, target: &target };
        let (command, repeated) = self.accept(cx, w, origin, &ends)?;
        Ok(Queued::new(&command, repeated, target.name, reference, cx.dry_run()))
    }

    /// Accepts it for one session. It belongs to the task that the session is bound to, if any, but not to the
    /// binding: it goes to the session whoever supervises it.
    pub(super) fn for_session(
        &self,
        cx: &Context,
        w: &Write<'_>,
        origin: &Origin,
        session: &Session,
    ) -> Result<(Command, bool)> {
        let task_id = store::bindings::active_of_session(w.read(), &session.id)?.map(|binding| binding.task_id);
        let sender = Sender::of(cx, origin, None);
        self.accept(cx, w, origin, &Ends { task_id: task_id.as_deref(), binding_id: None, sender, target: session })
    }

    /// Accepts it for the worker of a task, through the binding in force.
    pub(super) fn for_worker(
        &self,
        cx: &Context,
        w: &Write<'_>,
        origin: &Origin,
        task: &Task,
        worker: &Session,
    ) -> Result<(Command, bool)> {
        let binding = lookup::active_binding(w.read(), task)?;
        let sender = Sender::of(cx, origin, Some((Role::Manager, &binding.manager_session_id)));
        let ends = Ends { task_id: Some(&task.id), binding_id: Some(&binding.id), sender, target: worker };
        self.accept(cx, w, origin, &ends)
    }

    fn accept(&self, cx: &Context, w: &Write<'_>, origin: &Origin, ends: &Ends<'_>) -> Result<(Command, bool)> {
        let now: Moment = cx.moment();
        let target = ends.target;
        lookup::check_active(w.read(), target)?;
        let check = gate::check(w.read(), origin, gate::deed_of(self.kind), target)?;
        let id = cx.fresh_id("command");
        let mut payload = json!({"message": self.message});
        if self.kind == CommandKind::RequestWorkerClear {
            // What another thread holds nobody has asked to forget.
            payload["thread_id"] = json!(target.codex_session_id);
        }
        let correlation_id = self.correlation_id.map_or_else(|| cx.fresh_id("dispatch"), str::to_owned);
        let new = NewCommand {
            id: &id,
            idempotency_key: self.idempotency_key.unwrap_or(&id),
            request_sha256: &self.digest(&target.id),
            created_by: ends.sender.created_by,
            task_id: ends.task_id,
            binding_id: ends.binding_id,
            source_session_id: ends.sender.session_id,
            target_session_id: &target.id,
            correlation_id: &correlation_id,
            kind: self.kind,
            required_permission: check.to_be_checked_again(),
            time_to_live: Some(i64::try_from(self.expires.saturating_mul(1_000)).unwrap_or(i64::MAX)),
            max_attempts: MAX_ATTEMPTS,
            payload: &payload,
        };
        match store::commands::enqueue(w, &new, MOST_WAITING, &now)? {
            Enqueued::Accepted(command) => {
                if let Some(budget) = store::budgets::exhausted(w.read(), &command)? {
                    return Err(over_budget(&budget));
                }
                let about = audit::About { task_id: ends.task_id, session_id: Some(&target.id) };
                let payload = json!({
                    "command_id": command.id,
                    "correlation_id": command.correlation_id,
                    "created_by": command.created_by,
                    "idempotency_key": command.idempotency_key,
                    "type": command.kind,
                });
                let actor = command.created_by.parse::<audit::Actor>().unwrap_or_else(|_| origin.actor(cx));
                audit::append(w, now.wall, actor, "command_created", about, &payload)?;
                if check.needs_record() {
                    check.record(cx, w, origin, target, ends.task_id)?;
                }
                if check.allowed {
                    return Ok((*command, false));
                }
                // It stays on record, where `commands` shows why it went nowhere.
                let why = check.refusal(target);
                let step = Step { reason: Some(&why), error: Some(&why), ..Step::default() };
                store::commands::advance(w, &command, Phase::Blocked, step, now.wall)?;
                Ok((store::commands::by_id(w.read(), &command.id)?.unwrap_or(*command), false))
            }
            Enqueued::Repeated(command) => Ok((*command, true)),
            Enqueued::KeyTaken(command) => Err(Error::conflict(format!(
                "the key \"{}\" belongs to another message, command {}",
                command.idempotency_key, command.id
            ))
            .hint("use a new --idempotency-key for a new message")),
            Enqueued::Full(waiting) => {
                Err(Error::new(Kind::Refused, format!("{waiting} messages wait for \"{}\" already", target.name))
                    .hint("see why with `conveyor dispatch status`, or cancel some with `conveyor dispatch cancel`"))
            }
        }
    }

    /// What has to be the same when a key comes again.
    fn digest(&self, target: &str) -> String {
        let mut hash = Sha256::new();
        for part in [self.kind.as_str(), target, self.message] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn over_budget(budget: &Budget) -> Error {
    let Budget { max_nudges, nudges_used } = budget;
    Error::new(Kind::Blocked, format!("the task's budget is spent: {nudges_used} of {max_nudges} nudges"))
        .hint("raise it with `conveyor manager-config TASK --max-nudges COUNT`, or lift it with `none`")
}

impl Queued {
    fn new(command: &Command, repeated: bool, target_session: String, task: &str, dry_run: bool) -> Self {
        Self {
            command_id: command.id.clone(),
            command_type: command.kind,
            correlation_id: command.correlation_id.clone(),
            dry_run,
            phase: command.phase,
            reason: command.reason.clone(),
            repeated,
            required_permission: command.required_permission.clone(),
            state: command.phase.state(),
            target_session,
            task: task.to_owned(),
            warning: None,
        }
    }

    fn line(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let (kind, id) = (self.command_type, &self.command_id);
        if self.phase == Phase::Blocked && !self.repeated {
            writeln!(out, "{kind} command {id} is blocked: {}", self.reason.as_deref().unwrap_or_default())
        } else if self.repeated {
            writeln!(out, "{kind} command {id} was accepted before; it is {}", self.phase)
        } else {
            let queued = if self.dry_run { "would queue" } else { "queued" };
            writeln!(out, "{queued} {kind} command {id}")
        }
    }
}

impl Queued {
    fn code(&self) -> u8 {
        if self.phase == Phase::Blocked && !self.repeated { Kind::Blocked.exit_code() } else { 0 }
    }
}

impl Outcome for Queued {
    fn exit_code(&self) -> u8 {
        self.code()
    }

    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.line(out)?;
        self.warning.iter().try_for_each(|warning| writeln!(out, "! {warning}"))
    }
}

impl Outcome for Nudges {
    fn exit_code(&self) -> u8 {
        match self {
            Self::One(queued) => queued.code(),
            Self::Many { commands, .. } => commands.iter().map(Queued::code).max().unwrap_or_default(),
        }
    }

    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::One(queued) => queued.human(out),
            Self::Many { commands, warning, .. } => {
                commands.iter().try_for_each(|queued| queued.line(out))?;
                warning.iter().try_for_each(|warning| writeln!(out, "! {warning}"))
            }
        }
    }
}
