//! `request-worker-compact` and `compact-worker`: have a worker's Codex compact its context, with the record of it, or
//! begin an empty one.
//!
//! A request is a command like any other: it waits in the worker's line and for the end of its turn, because Codex
//! would cut a turn off for it. The proof is the compaction that the worker's rollout records after the call; ingest
//! ends the command in the transaction that stores the line. What is different with `--clear` is in `clear`.

use std::{fmt, time::Duration};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    around::Around,
    clear, dispatch_health,
    enqueue::{Request, TIME_TO_LIVE},
    nudge,
    pass::{Handled, Orders},
    push::{self, Fate},
    servers::{How, Next, Servers, Way},
    ways,
};
use crate::{
    actions::{
        Action, Argv, Context, Format, Outcome, TextArg, caller, ingest, lookup,
        supervise::{
            decisions::{self, DecisionCheck},
            gate::{self, Check},
        },
    },
    base::{Error, Kind, Result, Timestamp, json as text_json},
    model::{
        delivery::{Command, CommandKind, CommandState, Lane, Phase},
        progress::EndKind,
        session::Session,
        supervision::Deciding,
        task::Task,
        typing::ControlCommand,
    },
    store::{self, Store, audit},
};

/// What is said instead with `--prompt-only`.
const PROMPT: &str = "Your context is getting full. Finish the step that you are at, then end your turn with a handoff: \
    what is done and how it was checked, what is open, what comes next, and what must not be forgotten. Your context \
    may be compacted after that.";

/// Have a task's worker compact its context, and wait for the record of it
///
/// Asked again while one is on its way, the answer is that one. Exit code 0 means that the worker's own rollout records
/// a compaction; 4 that it waits, for the end of a turn for example, and a dispatcher goes on. A command that runs in a
/// session needs the permission worker_session.compact and a handoff that still holds; else the request is `blocked`,
/// and the exit code is 3.
///
/// With `--clear` the context is not summarised but left: Codex begins an empty thread in the same pane, and exit code
/// 0 means that the pane shows it. The permission is worker_session.clear then.
///
/// Example: `conveyor request-worker-compact parser`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct RequestWorkerCompact {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// The decision that carries it, a nudge that is not older than 15 minutes; see `record-decision`
    #[arg(long, value_name = "DECISION")]
    pub decision_id: Option<i64>,
    /// Refuse without such a decision
    #[arg(long)]
    pub strict_decisions: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub what: Asking,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub wait: Waiting,
}

/// Have a task's worker compact its context, with the reason for it on record
///
/// As `request-worker-compact`, exit codes included. The decision behind it is recorded with the request; nothing is
/// when the request is refused or blocked.
///
/// Example: `conveyor compact-worker parser --reason "its context is nearly full"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct CompactWorker {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// Why; it stands in the audit trail
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// The cycle in which it was decided
    #[arg(long, value_name = "CYCLE")]
    pub cycle_id: Option<i64>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub what: Asking,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub wait: Waiting,
}

/// What the worker gets.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
pub struct Asking {
    /// Begin an empty thread in the worker's pane instead: nothing of the context is kept
    #[arg(long)]
    pub clear: bool,
    /// Compact nothing: send a message that asks the worker for a handoff; also with `--clear`
    #[arg(long)]
    pub prompt_only: bool,
    /// With `--prompt-only` this message instead; else it is only recorded. `-` reads standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub message: Option<TextArg>,
}

/// How long the record is waited for.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Waiting {
    /// Wait so many seconds for the record
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub wait: u64,
    /// Do not wait: the request is accepted, and one try is made
    #[arg(long, conflicts_with = "wait")]
    pub no_wait: bool,
    /// Give up when it did not come to it within so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = TIME_TO_LIVE, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub expires: u64,
}

/// How far a request has come.
#[derive(Debug, Serialize)]
pub struct Compaction {
    /// The command.
    command_id: String,
    /// Ties together what belongs to it.
    correlation_id: String,
    /// Nothing was stored or sent.
    dry_run: bool,
    /// Whether a decision carries it.
    manager_decision: DecisionCheck,
    /// What was said about it.
    message: Option<String>,
    /// Whether whoever asks may.
    permission_check: Check,
    /// How far it has come.
    phase: Phase,
    /// Why it stands there.
    reason: Option<String>,
    /// Where the worker's rollout records the compaction, or which thread it left for which.
    receipt: Option<Value>,
    /// One was on its way already: this is that one.
    repeated: bool,
    /// How it was handed over, or would be.
    send_result: SendResult,
    /// What was asked of Codex.
    send_text: String,
    /// The same, as a command of Codex.
    slash_command: Option<&'static str>,
    /// The contract's word for the phase.
    state: CommandState,
    /// The task, by its name.
    task: String,
    /// When it was accepted.
    time: Timestamp,
    /// What an operator should know about delivery; none when it is done.
    warning: Option<String>,
    /// Name of the worker.
    worker_session: String,
    #[serde(skip)]
    waited: bool,
}

/// The way of a request.
#[derive(Debug, Serialize)]
struct SendResult {
    /// Nothing was sent.
    dry_run: bool,
    /// The way.
    lane: Option<Lane>,
    /// Why that way, or what is waited for.
    lane_reason: Option<String>,
    /// Codex was told.
    sent: bool,
}

impl Action for RequestWorkerCompact {
    const NAME: &'static str = "request-worker-compact";
    const FORMAT: Format = Format::Json;
    type Output = Compaction;

    fn run(self, cx: &Context) -> Result<Compaction> {
        let behind = Behind::Given { decision_id: self.decision_id, strict: self.strict_decisions };
        request(cx, &self.task, &self.wait, &self.what, &behind)
    }

    fn argv(&self) -> Argv {
        let Self { task, decision_id, strict_decisions, what, wait } = self;
        let argv = Argv::new(Self::NAME)
            .option("--decision-id", decision_id.as_ref())
            .switch("--strict-decisions", *strict_decisions);
        wait.words(what.words(argv)).end_of_options().word(task)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.what.message.iter_mut().collect()
    }
}

impl Action for CompactWorker {
    const NAME: &'static str = "compact-worker";
    const FORMAT: Format = Format::Json;
    type Output = Compaction;

    fn run(self, cx: &Context) -> Result<Compaction> {
        if self.reason.trim().is_empty() {
            return Err(Error::usage("--reason must be non-empty"));
        }
        let behind = Behind::Made { reason: &self.reason, cycle_id: self.cycle_id };
        request(cx, &self.task, &self.wait, &self.what, &behind)
    }

    fn argv(&self) -> Argv {
        let Self { task, reason, cycle_id, what, wait } = self;
        let argv = Argv::new(Self::NAME).option("--reason", Some(reason)).option("--cycle-id", cycle_id.as_ref());
        wait.words(what.words(argv)).end_of_options().word(task)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.what.message.iter_mut().collect()
    }
}

impl Asking {
    fn words(&self, argv: Argv) -> Argv {
        let Self { clear, prompt_only, message } = self;
        argv.switch("--clear", *clear).switch("--prompt-only", *prompt_only).text("--message", message.as_ref())
    }

    fn kind(&self) -> CommandKind {
        match self {
            Self { prompt_only: true, .. } => CommandKind::NudgeWorker,
            Self { clear: true, .. } => CommandKind::RequestWorkerClear,
            Self { .. } => CommandKind::RequestWorkerCompact,
        }
    }
}

/// The decision behind a request.
enum Behind<'a> {
    /// One that is on record, or none.
    Given { decision_id: Option<i64>, strict: bool },
    /// One that is recorded with the request.
    Made { reason: &'a str, cycle_id: Option<i64> },
}

/// What a request came to in the ledger.
enum Accepted {
    Yes(Box<(Task, Session, Command, bool, DecisionCheck, Check)>),
    /// The decision that it needs does not carry it; on record.
    NoDecision(Box<DecisionCheck>),
}

impl Waiting {
    fn words(&self, argv: Argv) -> Argv {
        let Self { wait, no_wait, expires } = self;
        argv.option("--wait", (!no_wait).then_some(wait))
            .switch("--no-wait", *no_wait)
            .option("--expires", Some(expires))
    }
}

fn request(cx: &Context, reference: &str, wait: &Waiting, what: &Asking, behind: &Behind<'_>) -> Result<Compaction> {
    let store = cx.ledger_to_change()?;
    let origin = caller::origin(cx, &store)?;
    let kind = what.kind();
    let given = what.message.as_ref().map(TextArg::get).transpose()?;
    let text = match kind.control() {
        Some(control) => control.as_str(),
        None => given.unwrap_or(PROMPT),
    };
    let asked = Request { kind, message: text, correlation_id: None, idempotency_key: None, expires: wait.expires };
    asked.check()?;
    let (_, worker) = store.read(|r| worker_of(r, reference))?;
    // The ways are looked at outside the transaction.
    let way = ways::choose(cx, &mut Servers::default(), &worker, kind);
    let untold = match &way {
        Way::Typed(_) if kind == CommandKind::RequestWorkerClear => clear::untold(cx, &worker),
        _ => None,
    };
    let next = untold.map_or_else(|| way.next(kind), Next::Never);
    let accepted = store.write_durably(|w| {
        let (task, worker) = worker_of(w.read(), reference)?;
        let check = gate::check(w.read(), &origin, gate::deed_of(kind), &worker)?;
        let carried = |id| decisions::check(w.read(), &task, id, &[Deciding::Nudge], cx.now());
        let mut decision = match behind {
            Behind::Given { decision_id, .. } => carried(*decision_id)?,
            Behind::Made { .. } => carried(None)?,
        };
        if let Behind::Given { strict: true, .. } = behind
            && !decision.ok
        {
            let about = audit::About { task_id: Some(&task.id), session_id: Some(&worker.id) };
            let payload = json!({"manager_decision": decision, "origin": origin.words(), "permission_check": check});
            audit::append(w, cx.now(), origin.actor(cx), "worker_compact_request_refused", about, &payload)?;
            return Ok(Accepted::NoDecision(Box::new(decision)));
        }
        if let Behind::Made { cycle_id: Some(cycle), .. } = behind
            && store::cycles::task_of(w.read(), *cycle)?.is_none_or(|id| id != task.id)
        {
            return Err(Error::not_found(format!("task \"{}\" has no cycle {cycle}", task.name)));
        }
        if kind.control().is_some()
            && let Some(known) = store::commands::on_its_way(w.read(), &worker.id, kind)?
        {
            return Ok(Accepted::Yes(Box::new((task, worker, known, true, decision, check))));
        }
        // Who may not learns that first.
        if check.allowed
            && let Next::Never(why) = next
        {
            let done = if kind == CommandKind::RequestWorkerClear { "cleared" } else { "compacted" };
            let refused = format!("the context of \"{}\" cannot be {done} from here: {why}", worker.name);
            return Err(Error::refused(refused)
                .hint(format!("attach to it with `conveyor open {}` and type {text}", worker.name)));
        }
        let (command, _) = asked.for_worker(cx, w, &origin, &task, &worker)?;
        if command.phase == Phase::Blocked {
            return Ok(Accepted::Yes(Box::new((task, worker, command, false, decision, check))));
        }
        if let Behind::Made { reason, cycle_id } = behind {
            let payload = json!({"command_id": command.id, "source": CompactWorker::NAME});
            let made = decisions::record(cx, w, &origin, &task, Deciding::Nudge, reason, *cycle_id, &payload)?;
            decision = carried(Some(made.id))?;
        }
        let about = audit::About { task_id: Some(&task.id), session_id: Some(&worker.id) };
        let payload = json!({
            "command_id": command.id,
            "decision_id": decision.decision_id,
            "message": given,
            "origin": origin.words(),
            "permission_check": check,
            "prompt_only": what.prompt_only,
            "slash_command": kind.control(),
        });
        audit::append(w, cx.now(), origin.actor(cx), "worker_compact_requested", about, &payload)?;
        Ok::<_, Error>(Accepted::Yes(Box::new((task, worker, command, false, decision, check))))
    })?;
    let (task, worker, command, repeated, decision, check) = match accepted {
        Accepted::Yes(accepted) => *accepted,
        Accepted::NoDecision(check) => {
            let why = text_json::compact(&check).unwrap_or_default();
            return Err(Error::new(Kind::Blocked, format!("strict manager decision validation failed: {why}"))
                .hint(format!("record one with `conveyor record-decision {reference} nudge --reason TEXT`")));
        }
    };
    let told = |command: &Command| {
        let mut told = Compaction::of(command, &task, &worker, repeated, !wait.no_wait, &decision, &check);
        told.message = given.map(str::to_owned);
        told
    };
    if command.phase == Phase::Blocked {
        return Ok(told(&command));
    }
    if cx.dry_run() {
        let mut planned = told(&command);
        planned.dry_run = true;
        planned.send_result.dry_run = true;
        (planned.send_result.lane, planned.send_result.lane_reason) = match next {
            Next::Push(How::Types) if kind == CommandKind::RequestWorkerClear => {
                (Some(Lane::Tmux), Some(clear::TYPED.to_owned()))
            }
            Next::Push(how) => (Some(how.lane()), Some(how.why().to_owned())),
            Next::Later(why) => (None, Some(format!("it would wait: {why}"))),
            Next::Inbox(why) | Next::Never(why) => (None, Some(why.to_owned())),
        };
        return Ok(planned);
    }
    let patience = Duration::from_secs(if wait.no_wait { 0 } else { wait.wait });
    let (now, trouble) = nudge::hand_over(cx, &store, &worker.id, command, patience);
    let mut told = told(&now);
    if now.phase != Phase::Done {
        told.warning = trouble.or_else(|| dispatch_health(cx).ok().and_then(|health| health.warning));
    }
    Ok(told)
}

/// A task that is open, and the worker that is bound to it.
fn worker_of(r: store::Read<'_>, reference: &str) -> Result<(Task, Session)> {
    let task = lookup::task(r, reference)?;
    lookup::check_open(&task)?;
    let binding = lookup::active_binding(r, &task)?;
    let worker = store::sessions::by_id(r, &binding.worker_session_id)?
        .ok_or_else(|| Error::refused("the session it is for is not registered"))?;
    Ok((task, worker))
}

/// Why a request whose turn it is does not begin.
pub(super) enum NotYet {
    /// It waits.
    Waits,
    /// It has ended.
    Ended(Box<Handled>),
}

/// Takes what the worker's rollout holds before a request for a compaction begins: what was compacted until now proves
/// nothing about it. None when it may begin.
pub(super) fn not_yet(cx: &Context, store: &Store, orders: &Orders, command: &Command) -> Result<Option<NotYet>> {
    let Some(session) = store.read(|r| store::sessions::by_id(r, &command.target_session_id))? else {
        return Ok(Some(NotYet::Waits));
    };
    match ingest::ingest_while(cx, store, &session, &|| true) {
        // What waits for its first prompt has nothing to compact, and that prompt may wait behind this request.
        Ok(taken) if taken.awaiting_first_prompt => {
            push::give_up(
                store,
                command,
                "its Codex has written no rollout yet: there is nothing to compact",
                &cx.moment(),
            )?;
            let around = store.read(|r| Around::of(r, command))?;
            Ok(Some(NotYet::Ended(Box::new(push::told(store, orders, &around, command)?))))
        }
        Ok(_) => Ok(None),
        Err(error) => {
            let why = format!("its rollout cannot be read: {error}");
            let wait = push::delay(command.defer_count);
            store.write(|w| store::commands::put_off(w, command, wait, &why, &cx.moment()))?;
            Ok(Some(NotYet::Waits))
        }
    }
}

/// Notes where the session's rollout ends before the call or the key: only a compaction behind that counts, and only a
/// turn behind that can have begun with a message from the queue. False when there is no rollout.
pub(super) fn note_end(r: store::Read<'_>, worker: &Session, result: &mut Value) -> Result<bool, store::Error> {
    let Some(cursor) = store::rollouts::current(r, &worker.id)? else { return Ok(false) };
    result["from_offset"] = json!(cursor.next_offset);
    result["inherited_lines"] = json!(cursor.progress.counts.inherited);
    result["rollout"] = json!({"generation": cursor.generation, "path": cursor.path});
    Ok(true)
}

/// What can be told of a compaction that no rollout shows, of a session that is idle.
pub(super) fn fate(store: &Store, target: &Session, command: &Command, unread: Option<&Error>) -> Result<Fate> {
    if let Some(error) = unread {
        return Ok(Fate::Unproven(format!("its rollout cannot be read: {error}")));
    }
    let from = command.result.as_ref().and_then(|result| result["from_offset"].as_u64()).unwrap_or_default();
    let cursor = store.read(|r| store::rollouts::current(r, &target.id))?;
    let end = cursor.and_then(|cursor| cursor.progress.last_end).filter(|end| end.byte_offset >= from);
    Ok(match end {
        Some(end) if matches!(end.kind, EndKind::Failed | EndKind::Aborted) => {
            let why = end.error.map(|error| error.message).or(end.reason).unwrap_or_else(|| end.kind.to_string());
            Fate::Failed(format!("nothing was compacted; the turn after the request ended with: {why}"))
        }
        Some(_) | None => Fate::Absent,
    })
}

impl Compaction {
    fn of(
        command: &Command,
        task: &Task,
        worker: &Session,
        repeated: bool,
        waited: bool,
        decision: &DecisionCheck,
        check: &Check,
    ) -> Self {
        let text = command.message().unwrap_or_default();
        Self {
            command_id: command.id.clone(),
            correlation_id: command.correlation_id.clone(),
            dry_run: false,
            manager_decision: decision.clone(),
            message: None,
            permission_check: check.clone(),
            phase: command.phase,
            reason: command.error.clone().or_else(|| command.reason.clone()),
            receipt: command.result.as_ref().and_then(|result| result.get("receipt")).cloned(),
            repeated,
            send_result: SendResult {
                dry_run: false,
                lane: command.lane,
                lane_reason: command.lane_reason.clone(),
                sent: matches!(command.phase, Phase::Submitted | Phase::Done),
            },
            send_text: text.to_owned(),
            slash_command: command.kind.control().map(ControlCommand::as_str),
            state: command.phase.state(),
            task: task.name.clone(),
            time: command.created_at,
            warning: None,
            worker_session: worker.name.clone(),
            waited,
        }
    }
}

impl Compaction {
    fn is_clear(&self) -> bool {
        self.slash_command == Some(ControlCommand::Clear.as_str())
    }
}

impl Outcome for Compaction {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let Self { worker_session, command_id, phase, .. } = self;
        match (&self.receipt, phase) {
            _ if self.slash_command.is_none() => {
                let would = if self.dry_run { "would be " } else { "is " };
                writeln!(out, "the request for a handoff to {worker_session} {would}{phase}")?;
            }
            _ if self.dry_run => {
                let way = self.send_result.lane_reason.as_deref().unwrap_or("no way yet");
                let what = if self.is_clear() { "begin an empty thread" } else { "compact its context" };
                writeln!(out, "would have {worker_session} {what}: {way}")?;
            }
            (Some(receipt), Phase::Done) if receipt["thread_id"].is_string() => {
                let thread = receipt["thread_id"].as_str().unwrap_or_default();
                writeln!(out, "{worker_session} has an empty context: its pane shows the thread {thread}")?;
            }
            (Some(receipt), Phase::Done) if receipt["byte_offset"].is_u64() => {
                let byte = &receipt["byte_offset"];
                writeln!(out, "{worker_session} has compacted its context: its rollout records it at byte {byte}")?;
            }
            (_, phase) => {
                let why = self.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
                writeln!(out, "{command_id} to {worker_session} is {phase}{why}")?;
            }
        }
        self.warning.iter().try_for_each(|warning| writeln!(out, "! {warning}"))
    }

    fn exit_code(&self) -> u8 {
        if self.dry_run { 0 } else { nudge::exit_code(self.phase, self.waited) }
    }
}
