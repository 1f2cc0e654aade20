//! `dispatch status|pause|resume|stop|cancel|retry|resolve`: look at the queue and its dispatchers, and steer them.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::{
    DispatchHealth, dispatch_health, health, in_queue, into_inbox,
    resolve::{self, Decision, MAX_REASON, Resolved},
};
use crate::{
    actions::{
        Argv, Context,
        caller::{self, Origin},
        lookup,
        supervise::gate,
    },
    base::{Error, Kind, Result, Timestamp, text},
    model::delivery::{Command, Phase},
    store::{self, Read, Write, audit, commands::Step, dispatchers::EVERYTHING},
};

/// Retried commands may wait so long again, in milliseconds.
pub(super) const RETRY_TIME_TO_LIVE: i64 = 30 * 60_000;

/// What to do instead of delivering.
#[derive(Debug, Clone, PartialEq, clap::Subcommand)]
pub enum DispatchVerb {
    /// Show who dispatches, what waits, what was given up
    Status,
    /// Deliver nothing until `dispatch resume`: everywhere, or for one task
    ///
    /// Example: `conveyor dispatch pause --task parser --reason "its worker is being looked into"`
    Pause {
        /// Only this task
        #[arg(long, value_name = "TASK", conflicts_with = "all")]
        task: Option<String>,
        /// Everything; the same as naming no task
        #[arg(long)]
        all: bool,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// End a pause
    Resume {
        /// Only this task's
        #[arg(long, value_name = "TASK", conflicts_with = "all")]
        task: Option<String>,
        /// The pause of everything; the same as naming no task
        #[arg(long)]
        all: bool,
    },
    /// Ask dispatchers to end after their pass
    Stop {
        /// The dispatcher; `dispatch status` lists them
        #[arg(value_name = "DISPATCHER", required_unless_present = "all", conflicts_with = "all")]
        dispatcher: Option<String>,
        /// All of them
        #[arg(long)]
        all: bool,
    },
    /// Take a command back that nobody has begun to deliver, or that lies in Codex's queue
    Cancel {
        /// The command
        #[arg(value_name = "COMMAND")]
        command: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Queue a command again that was given up
    Retry {
        /// The command
        #[arg(value_name = "COMMAND")]
        command: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Decide about a command that may have been delivered
    ///
    /// Nothing ambiguous is sent again unless somebody says so here. What you say is recorded as your word, never as
    /// the session's.
    ///
    /// Example: `conveyor dispatch resolve COMMAND --as not-delivered --reason "it is not in its pane"`
    Resolve {
        /// The command
        #[arg(value_name = "COMMAND")]
        command: String,
        /// delivered: it arrived; not-delivered: it did not, and is given up; rearm: send it again, it may arrive twice
        #[arg(long = "as", value_name = "DECISION")]
        decision: Decision,
        /// What you saw
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// What a verb did.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Controlled {
    /// How dispatch stands.
    Status {
        /// It.
        #[serde(flatten)]
        health: DispatchHealth,
        /// The moment it was looked at; for prose.
        #[serde(skip)]
        now: Timestamp,
    },
    /// A pause began or ended.
    Pause {
        /// False when it was so already.
        changed: bool,
        /// Nothing was changed.
        dry_run: bool,
        /// It is paused now.
        paused: bool,
        /// `all`, or the name of a task.
        scope: String,
    },
    /// Dispatchers were asked to end.
    Stop {
        /// Nothing was changed.
        dry_run: bool,
        /// Which.
        stopping: Vec<String>,
    },
    /// A command was taken back or queued again.
    Moved {
        /// The command.
        command_id: String,
        /// Nothing was changed.
        dry_run: bool,
        /// How far it had come.
        from: Phase,
        /// Where it stands now.
        phase: Phase,
    },
    /// An operator decided about a command.
    Resolved(Resolved),
}

impl DispatchVerb {
    pub(super) fn run(self, cx: &Context) -> Result<Controlled> {
        match self {
            Self::Status => Ok(Controlled::Status { health: dispatch_health(cx)?, now: cx.now() }),
            Self::Pause { task, reason, .. } => set_pause(cx, task.as_deref(), true, presentable(reason)?.as_deref()),
            Self::Resume { task, .. } => set_pause(cx, task.as_deref(), false, None),
            Self::Stop { dispatcher, .. } => stop(cx, dispatcher.as_deref()),
            Self::Cancel { command, reason } => step(cx, &command, Phase::Cancelled, presentable(reason)?.as_deref()),
            Self::Retry { command, reason } => step(cx, &command, Phase::Queued, presentable(reason)?.as_deref()),
            Self::Resolve { command, decision, reason } => {
                Ok(Controlled::Resolved(resolve::resolve(cx, &command, decision, &reason)?))
            }
        }
    }

    pub(super) fn words(&self, argv: Argv) -> Argv {
        match self {
            Self::Status => argv.word("status"),
            Self::Pause { task, all, reason } => argv
                .word("pause")
                .option("--task", task.as_ref())
                .switch("--all", *all)
                .option("--reason", reason.as_ref()),
            Self::Resume { task, all } => argv.word("resume").option("--task", task.as_ref()).switch("--all", *all),
            Self::Stop { dispatcher, all } => {
                let argv = argv.word("stop").switch("--all", *all);
                match dispatcher {
                    Some(id) => argv.end_of_options().word(id),
                    None => argv,
                }
            }
            Self::Cancel { command, reason } => {
                argv.word("cancel").option("--reason", reason.as_ref()).end_of_options().word(command)
            }
            Self::Retry { command, reason } => {
                argv.word("retry").option("--reason", reason.as_ref()).end_of_options().word(command)
            }
            Self::Resolve { command, decision, reason } => argv
                .word("resolve")
                .option("--as", Some(decision))
                .option("--reason", Some(reason))
                .end_of_options()
                .word(command),
        }
    }
}

/// A reason as it is recorded: of bounded length, without control characters. An empty one is none.
fn presentable(reason: Option<String>) -> Result<Option<String>> {
    let Some(reason) = reason.map(|reason| text::clean(reason.trim())) else { return Ok(None) };
    if reason.chars().count() > MAX_REASON {
        return Err(Error::usage(format!("--reason takes at most {MAX_REASON} characters"))
            .hint("say it shortly here, and keep the rest where it can be read"));
    }
    Ok(Some(reason).filter(|reason| !reason.is_empty()))
}

fn set_pause(cx: &Context, task: Option<&str>, pause: bool, reason: Option<&str>) -> Result<Controlled> {
    let now = cx.now();
    let ledger = cx.ledger_to_change()?;
    let origin = caller::origin(cx, &ledger)?;
    if !pause && origin != Origin::Operator {
        return Err(Error::new(Kind::Blocked, "an operator ends a pause, and this command runs in a session")
            .hint("tell the operator that the work waits"));
    }
    let (scope, changed) = ledger.write_durably(|w| {
        let task = task.map(|task| lookup::task(w.read(), task)).transpose()?;
        let scope = task.as_ref().map_or(EVERYTHING, |task| &task.id);
        let changed = if pause {
            store::dispatchers::pause(w, scope, origin.actor(cx), reason, now)?
        } else {
            store::dispatchers::resume(w, scope)?
        };
        if changed {
            let about = audit::About { task_id: task.as_ref().map(|task| &*task.id), session_id: None };
            let kind = if pause { "dispatch_paused" } else { "dispatch_resumed" };
            audit::append(w, now, origin.actor(cx), kind, about, &json!({"reason": reason, "scope": scope}))?;
        }
        Ok::<_, Error>((task.map_or_else(|| EVERYTHING.to_owned(), |task| task.name), changed))
    })?;
    Ok(Controlled::Pause { changed, dry_run: cx.dry_run(), paused: pause, scope })
}

fn stop(cx: &Context, id: Option<&str>) -> Result<Controlled> {
    let now = cx.moment();
    let ledger = cx.ledger_to_change()?;
    gate::no_session(cx, &ledger, "stop dispatchers: others wait for what they deliver")?;
    let stopping = ledger.write(|w| {
        let mut known = store::dispatchers::list(w.read())?;
        known.retain(|one| id.is_none_or(|id| one.id == id));
        if let Some(id) = id
            && known.is_empty()
        {
            return Err(
                Error::not_found(format!("unknown dispatcher: {id}")).hint("`conveyor dispatch status` lists them")
            );
        }
        // Nobody is left in a process that is gone who could be asked.
        known.retain(|one| health::state_of(cx, one, &now) == "running");
        if let Some(id) = id
            && known.is_empty()
        {
            return Err(Error::refused(format!("dispatcher \"{id}\" does not run any more")));
        }
        let mut stopping = Vec::new();
        for dispatcher in &known {
            if store::dispatchers::request_stop(w, &dispatcher.id, now.wall)? {
                stopping.push(dispatcher.id.clone());
            }
        }
        let payload = json!({"dispatchers": stopping});
        audit::append(w, now.wall, cx.actor(), "dispatch_stop_requested", audit::About::default(), &payload)?;
        Ok(stopping)
    })?;
    Ok(Controlled::Stop { dry_run: cx.dry_run(), stopping })
}

/// Moves one command by hand: an operator's, or that of the session that sent it.
fn step(cx: &Context, id: &str, to: Phase, reason: Option<&str>) -> Result<Controlled> {
    let ledger = cx.ledger_to_change()?;
    let origin = caller::origin(cx, &ledger)?;
    let known = ledger.read(|r| store::commands::by_id(r, id))?;
    if to == Phase::Cancelled
        && let Some(command) = &known
    {
        check_sender(&origin, command)?;
    }
    // What lies in Codex's queue is taken back there first; only then can it be said to be.
    let lying = known.filter(|command| to == Phase::Cancelled && in_queue::lies_in_queue(command));
    if let Some(command) = &lying
        && !cx.dry_run()
    {
        in_queue::recall(cx, &ledger, command)?;
    }
    let now = cx.moment();
    let from = ledger.write_durably(|w| {
        let command = command(w, id)?;
        if origin != Origin::Operator && command.phase == Phase::Blocked {
            return Err(Error::new(Kind::Blocked, format!("an operator decides about {id}, which is blocked"))
                .hint("tell the operator what is wanted, and why"));
        }
        let was_taken_back = lying.is_some() && in_queue::lies_in_queue(&command);
        if !was_taken_back {
            check(w, &command, to)?;
        }
        if to == Phase::Queued {
            store::commands::requeue(w, &command, Some(RETRY_TIME_TO_LIVE), reason.unwrap_or("queued again"), &now)?;
            store::inbox::withdraw(w, &command.id)?;
        } else if was_taken_back {
            let step = Step { reason: Some(reason.unwrap_or("taken back from Codex's queue")), ..Step::default() };
            in_queue::cancelled(w, &command, step, now.wall)?;
        } else if !into_inbox::take_from_inbox(w, &command, "its command was taken back")? {
            return Err(Error::refused(format!("the message of command {id} was taken from the inbox already"))
                .hint("its reader confirms it; `conveyor session-inbox` shows it"));
        } else {
            let step = Step { reason: Some(reason.unwrap_or("taken back")), ..Step::default() };
            store::commands::advance(w, &command, to, step, now.wall)?;
        }
        let about = audit::About { task_id: command.task_id.as_deref(), session_id: Some(&command.target_session_id) };
        let kind = if to == Phase::Queued { "command_retried" } else { "command_cancelled" };
        let payload = json!({"command_id": command.id, "from": command.phase, "reason": reason});
        audit::append(w, now.wall, origin.actor(cx), kind, about, &payload)?;
        Ok::<_, Error>(command.phase)
    })?;
    Ok(Controlled::Moved { command_id: id.to_owned(), dry_run: cx.dry_run(), from, phase: to })
}

/// Refuses a session to take back what it did not send.
fn check_sender(origin: &Origin, command: &Command) -> Result<()> {
    let is_own = match origin {
        Origin::Operator => true,
        Origin::Session(session) => command.source_session_id.as_ref() == Some(&session.id),
        Origin::Hidden => false,
    };
    if is_own {
        return Ok(());
    }
    let who = origin.words();
    Err(Error::new(Kind::Blocked, format!("{who} did not send {}, and does not take it back", command.id))
        .hint("tell the operator why it should not go"))
}

/// The command with this id.
pub(super) fn command(w: &Write<'_>, id: &str) -> Result<Command> {
    store::commands::by_id(w.read(), id)?
        .ok_or_else(|| Error::not_found(format!("unknown command: {id}")).hint("`conveyor commands` lists them"))
}

/// Refuses to queue again what could not be delivered any more.
pub(super) fn check_target(w: &Write<'_>, command: &Command) -> Result<()> {
    let target = store::sessions::by_id(w.read(), &command.target_session_id)?;
    let is_gone = target.as_ref().is_none_or(|target| target.state == crate::model::session::Registration::Gone);
    if is_gone {
        let way_back = target.map(|target| store::audit::way_back(w.read(), &target)).transpose()?.flatten();
        return Err(Error::refused("its target is gone").hint(match way_back {
            Some(command) => format!("`{command}` brings it back; then retry"),
            None => "register the session again, then retry".to_owned(),
        }));
    }
    if has_lost_binding(w.read(), command)? {
        return Err(Error::refused("the binding it was sent through has ended")
            .hint("send the message anew, through the binding that is in force now"));
    }
    Ok(())
}

/// Whether the binding that a command was sent through has ended.
pub(super) fn has_lost_binding(r: Read<'_>, command: &Command) -> Result<bool> {
    let (Some(task_id), Some(binding_id)) = (&command.task_id, &command.binding_id) else { return Ok(false) };
    let in_force = store::bindings::active_of_task(r, task_id)?;
    Ok(in_force.is_none_or(|binding| binding.id != *binding_id))
}

fn check(w: &Write<'_>, command: &Command, to: Phase) -> Result<()> {
    let tells = format!("`conveyor chain {}` tells how it stands", command.id);
    let refused = |message: String| Err(Error::refused(message).hint(tells));
    match (to, command.phase) {
        (Phase::Queued, phase) if phase.is_dead_letter() => check_target(w, command),
        (Phase::Queued, Phase::Ambiguous) => {
            Err(Error::refused(format!("command {} is ambiguous: it may have arrived", command.id))
                .hint("look into its session, then decide with `conveyor dispatch resolve`"))
        }
        (Phase::Queued, phase) => {
            refused(format!("command {} is {phase}; only what was given up can be queued again", command.id))
        }
        (_, Phase::Queued) => Ok(()),
        (_, phase) => refused(format!(
            "command {} is {phase} already; only what is queued, here or in Codex's queue, can be taken back",
            command.id
        )),
    }
}

impl Controlled {
    pub(super) fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Status { health, now } => health.human(out, *now),
            Self::Pause { changed, dry_run, paused, scope } => {
                let what = match (paused, changed, dry_run) {
                    (true, true, false) => "paused",
                    (true, true, true) => "would pause",
                    (true, false, _) => "was paused already:",
                    (false, true, false) => "goes on:",
                    (false, true, true) => "would go on:",
                    (false, false, _) => "was not paused:",
                };
                writeln!(out, "dispatch {what} {scope}")
            }
            Self::Stop { stopping, .. } if stopping.is_empty() => writeln!(out, "no dispatcher runs"),
            Self::Stop { dry_run, stopping } => {
                let asked = if *dry_run { "would ask" } else { "asked" };
                stopping.iter().try_for_each(|id| writeln!(out, "{asked} {id} to end"))
            }
            Self::Moved { command_id, dry_run, from, phase } => {
                let is = if *dry_run { "would be" } else { "is" };
                writeln!(out, "{command_id} was {from}, {is} {phase}")
            }
            Self::Resolved(resolved) => resolved.human(out),
        }
    }
}
