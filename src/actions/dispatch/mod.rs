//! `dispatch`: deliver what is queued, route what workers' turns came to, and control who does so.

mod after_resume;
mod around;
mod chain;
mod clear;
mod codex_queue;
mod commands;
mod compact;
mod control;
mod deliveries;
mod detach;
mod ending;
mod enqueue;
mod handover;
mod health;
mod in_queue;
mod into_inbox;
mod nudge;
mod panes;
mod pass;
mod push;
mod resolve;
mod servers;
#[cfg(test)]
mod simulated;
mod typed;
mod typed_after;
mod ways;

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::{Action, Argv, Context, Outcome, blocked, sense::Observer};
use crate::{
    base::{Error, Name, Result},
    model::delivery::CommandKind,
    store::{
        self, Store,
        dispatchers::{Done, Host, Scope},
    },
    text_enum,
};

pub(super) use after_resume::{queue_again, would_queue_again};
pub use chain::{Chain, Exchange, Lease, Link, Step, StepKind, exchange};
pub use commands::Commands;
pub use compact::{CompactWorker, RequestWorkerCompact};
pub use control::{Controlled, DispatchVerb};
pub use deliveries::{Deliveries, Delivering, deliveries};
pub use detach::Detached;
pub(super) use detach::detach;
pub(in crate::actions) use ending::{
    BEGUN, LeftBehind, WAITING, Words, close_waiting, give_up_for, give_up_of_binding,
};
pub use enqueue::{EnqueueNotifyManager, EnqueueNudgeWorker, MessageArgs, TIME_TO_LIVE};
pub(in crate::actions) use enqueue::{tell_manager, tell_worker};
pub(super) use health::of as health_of;
pub use health::{DispatchHealth, DispatcherView, PauseView, dispatch_health};
pub use nudge::SessionNudge;
pub use pass::{Item, Orders};
pub use resolve::Decision;
use servers::Servers;
pub use typed::not_typed_because;

/// Records of dispatchers that were last heard of longer ago than this are forgotten.
const REMEMBERED_MILLIS: i64 = 7 * 24 * 3_600_000;
/// The same of those that were to make one pass, and died in it.
const ONCE_REMEMBERED_MILLIS: i64 = 10 * 60_000;

text_enum! {
    /// What `dispatch --type` asks for.
    pub enum Wanted {
        /// Commands of this type.
        NotifyManager => "notify_manager",
        /// Commands of this type.
        NudgeWorker => "nudge_worker",
        /// What workers' turns came to, and the words that tell managers of it.
        WorkerTaskComplete => "worker_task_complete",
    }
}

/// Deliver queued commands and tell managers what their workers' turns came to
///
/// One pass, unless `--watch` keeps it going until a signal or `conveyor dispatch stop`. The cockpit dispatches as
/// well; any number of dispatchers may run on one ledger. With `--watch` each item is one line, as it happens.
///
/// Example: `conveyor dispatch --watch --json`
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Dispatch {
    /// What to do instead of delivering
    #[command(subcommand)]
    pub verb: Option<DispatchVerb>,
    /// One pass; the same as giving neither
    #[arg(long, conflicts_with = "watch")]
    pub once: bool,
    /// Go on until a signal, or a request to stop
    #[arg(long)]
    pub watch: bool,
    /// With --watch: go on in the background, without this terminal, until `dispatch stop`
    ///
    /// One for each task and type; asked for again, the one that runs is the answer. It writes a line of JSON for each
    /// item into a log in the state root, which `dispatch status` names.
    // clap forgets about what is required when that is in conflict with what was given.
    #[arg(long, requires = "watch", conflicts_with = "once")]
    pub detach: bool,
    /// What a background dispatcher is started with
    #[arg(long, value_name = "FILE", requires = "watch", conflicts_with_all = ["detach", "once"], hide = true)]
    pub background_log: Option<PathBuf>,
    /// With --watch: stop after so many passes
    #[arg(long, value_name = "COUNT", requires = "watch", conflicts_with = "once", value_parser = clap::value_parser!(u64).range(1..))]
    pub watch_iterations: Option<u64>,
    /// With --watch: seconds between passes when nothing else wakes it
    #[arg(long, value_name = "SECONDS", default_value_t = PASS_SECONDS, value_parser = seconds)]
    pub interval: f64,
    /// At most so many commands and signals in a pass
    #[arg(long, value_name = "COUNT", default_value_t = PASS_LIMIT, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// A name for this dispatcher; a fresh one otherwise
    #[arg(long, value_name = "ID")]
    pub dispatcher_id: Option<Name>,
    /// Only this type
    #[arg(long = "type", value_name = "TYPE")]
    pub wanted: Option<Wanted>,
    /// Only this task, by name or id
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
}

/// Seconds between passes unless told otherwise.
const PASS_SECONDS: f64 = 2.0;
/// Commands and signals of a pass unless told otherwise.
const PASS_LIMIT: u32 = 10;

impl Dispatch {
    /// One of its verbs.
    #[must_use]
    pub fn of(verb: DispatchVerb) -> Self {
        Self {
            verb: Some(verb),
            once: false,
            watch: false,
            detach: false,
            background_log: None,
            watch_iterations: None,
            interval: PASS_SECONDS,
            limit: PASS_LIMIT,
            dispatcher_id: None,
            wanted: None,
            task: None,
        }
    }

    /// One in the background, for everything.
    pub(in crate::actions) fn in_background(dispatcher_id: Option<Name>) -> Self {
        Self {
            verb: None,
            once: false,
            watch: true,
            detach: true,
            background_log: None,
            watch_iterations: None,
            interval: PASS_SECONDS,
            limit: PASS_LIMIT,
            dispatcher_id,
            wanted: None,
            task: None,
        }
    }
}

/// A number of seconds that a pass may wait.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.05..=3_600.0).contains(&seconds) => Ok(seconds),
        _ => Err("between 0.05 and 3600 seconds".to_owned()),
    }
}

/// What `dispatch` did.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Dispatched {
    /// One pass.
    Pass(Summary),
    /// A dispatcher in the background.
    Detached(Detached),
    /// What one of its verbs did.
    Control(Box<Controlled>),
}

/// What passes moved.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Who dispatched.
    pub dispatcher_id: String,
    /// Nothing was changed.
    pub dry_run: bool,
    /// Passes.
    pub iterations: u64,
    /// `summary`.
    pub kind: &'static str,
    /// What was moved; with `--watch` each was told as it happened instead.
    pub processed: Vec<Item>,
    /// How many that were.
    pub processed_count: u64,
    /// What an operator should know.
    pub warning: Option<String>,
    /// It was a watch.
    pub watch: bool,
}

impl Action for Dispatch {
    const NAME: &'static str = "dispatch";
    type Output = Dispatched;

    fn run(self, cx: &Context) -> Result<Dispatched> {
        if let Some(verb) = self.verb {
            return Ok(Dispatched::Control(Box::new(verb.run(cx)?)));
        }
        if self.detach {
            return Ok(Dispatched::Detached(detach::detach(cx, &self)?));
        }
        let mut dispatcher = Dispatcher::begin(cx, &self, Host::Once)?;
        pass::take_rollouts(cx, &*cx.ledger_to_change()?)?;
        let mut processed = Vec::new();
        let passed = dispatcher.pass(&mut |item| processed.push(item), &|| true);
        dispatcher.end()?;
        passed?;
        let health = dispatch_health(cx)?;
        Ok(Dispatched::Pass(Summary {
            dispatcher_id: dispatcher.orders.dispatcher_id,
            dry_run: cx.dry_run(),
            iterations: 1,
            kind: "summary",
            processed_count: processed.len() as u64,
            processed,
            // That nobody goes on after one pass is what was asked for.
            warning: health.warning.filter(|_| health.paused || health.waiting > 0),
            watch: false,
        }))
    }

    fn argv(&self) -> Argv {
        let Self {
            verb,
            once,
            watch,
            detach,
            background_log,
            watch_iterations,
            interval,
            limit,
            dispatcher_id,
            wanted,
            task,
        } = self;
        let argv = Argv::new(Self::NAME);
        match verb {
            Some(verb) => verb.words(argv),
            None => argv
                .switch("--once", *once)
                .switch("--watch", *watch)
                .switch("--detach", *detach)
                .option("--background-log", background_log.as_ref().map(|path| path.display()).as_ref())
                .option("--watch-iterations", *watch_iterations)
                .option("--interval", Some(interval))
                .option("--limit", Some(limit))
                .option("--dispatcher-id", dispatcher_id.as_ref())
                .option("--type", *wanted)
                .option("--task", task.as_ref()),
        }
    }
}

impl Outcome for Dispatched {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Control(done) => done.human(out),
            Self::Detached(detached) => detached.human(out),
            Self::Pass(summary) => summary.human(out),
        }
    }
}

impl Outcome for Summary {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        for item in &self.processed {
            writeln!(out, "{}", item.line())?;
        }
        let (moved, count) = (if self.dry_run { "would process" } else { "processed" }, self.processed_count);
        writeln!(out, "dispatch {moved} {count} item{}", if count == 1 { "" } else { "s" })?;
        self.warning.iter().try_for_each(|warning| writeln!(out, "! {warning}"))
    }
}

/// A dispatcher at work: it is on record, and every pass is a sign of life.
pub struct Dispatcher {
    cx: Context,
    orders: Orders,
    servers: Servers,
    record: Record,
    /// Looks at workers, where nobody else in this process does.
    sight: Option<Sight>,
}

/// The looks of a dispatcher at the workers it serves.
#[derive(Default)]
pub(super) struct Sight {
    observer: Observer,
    looked_at: Option<i64>,
}

/// Between two looks at the workers, in milliseconds.
const LOOK_MILLIS: i64 = 1_000;

impl Sight {
    pub(super) fn look(&mut self, cx: &Context, store: &Store, go_on: &dyn Fn() -> bool) -> Result<()> {
        let now = cx.moment().uptime;
        if self.looked_at.is_some_and(|at| now - at < LOOK_MILLIS) {
            return Ok(());
        }
        self.looked_at = Some(now);
        blocked::look(cx, store, &mut self.observer, go_on)
    }
}

/// Between signs of life, in milliseconds, when nothing was moved.
const BEAT_MILLIS: i64 = 2_000;

/// A dispatcher's own row in the ledger.
struct Record {
    dispatcher_id: String,
    host: Host,
    scope: Scope,
    log_path: Option<String>,
    unwritten: Done,
    beaten_at: i64,
}

impl Record {
    fn begin(cx: &Context, dispatcher_id: &str, host: Host, scope: Scope, log_path: Option<String>) -> Result<Self> {
        let dispatcher_id = dispatcher_id.to_owned();
        let beaten_at = cx.moment().uptime;
        let record = Self { dispatcher_id, host, scope, log_path, unwritten: Done::default(), beaten_at };
        record.write(cx)?;
        Ok(record)
    }

    fn write(&self, cx: &Context) -> Result<()> {
        let pid = cx.processes().own_pid();
        let pid_start = cx.processes().identify(pid).ok().and_then(|process| i64::try_from(process.start_ticks).ok());
        let now = cx.moment();
        let id = &self.dispatcher_id;
        cx.ledger_to_change()?.write(|w| {
            for (host, age) in [
                (Host::Once, ONCE_REMEMBERED_MILLIS),
                (Host::Watch, REMEMBERED_MILLIS),
                (Host::Cockpit, REMEMBERED_MILLIS),
            ] {
                store::dispatchers::forget(w, host, age, &now)?;
            }
            let other = store::dispatchers::list(w.read())?.into_iter().find(|one| one.id == *id);
            if let Some(other) = other.filter(|one| one.pid != i64::from(pid) && health::may_act(cx, one, &now)) {
                return Err(Error::conflict(format!("dispatcher \"{id}\" runs already, as process {}", other.pid))
                    .hint("use another --dispatcher-id, or none"));
            }
            if self.log_path.is_some()
                && let Some(other) = detach::running(cx, w.read(), &self.scope)?
                && other.pid != i64::from(pid)
            {
                return Err(Error::conflict(format!(
                    "a background dispatcher for the same runs already: {}, process {}",
                    other.id, other.pid
                )));
            }
            let new = store::dispatchers::New {
                id,
                host: self.host,
                pid: i64::from(pid),
                pid_start,
                scope: &self.scope,
                log_path: self.log_path.as_deref(),
            };
            Ok(store::dispatchers::begin(w, &new, &now)?)
        })
    }

    /// A sign of life, and what was done since the last one; true when the dispatcher was asked to end.
    fn beat(&mut self, cx: &Context, error: Option<&str>) -> Result<bool> {
        let now = cx.moment();
        let done = self.unwritten;
        let store = cx.ledger_to_change()?;
        let mut asked = store.write(|w| store::dispatchers::beat(w, &self.dispatcher_id, done, error, &now))?;
        if asked.is_none() {
            // Another ledger lies in the old one's place.
            self.write(cx)?;
            asked = store.write(|w| store::dispatchers::beat(w, &self.dispatcher_id, done, error, &now))?;
        }
        (self.unwritten, self.beaten_at) = (Done::default(), now.uptime);
        Ok(asked.unwrap_or(false))
    }

    fn is_due(&self, cx: &Context) -> bool {
        cx.moment().uptime - self.beaten_at >= BEAT_MILLIS
    }
}

impl Dispatcher {
    /// Puts a dispatcher on record.
    ///
    /// # Errors
    /// When the task is unknown, the id is not a name, or the ledger cannot be written.
    fn begin(cx: &Context, args: &Dispatch, host: Host) -> Result<Self> {
        let scope = detach::scope(cx, args)?;
        let dispatcher_id = match &args.dispatcher_id {
            Some(id) => id.to_string(),
            None => cx.fresh_id("dispatcher"),
        };
        let orders = Orders {
            dispatcher_id,
            task_id: scope.task_id.clone(),
            target_session_id: None,
            kind: match args.wanted {
                Some(Wanted::NotifyManager) => Some(CommandKind::NotifyManager),
                Some(Wanted::NudgeWorker) => Some(CommandKind::NudgeWorker),
                Some(Wanted::WorkerTaskComplete) => Some(CommandKind::WorkerTaskComplete),
                None => None,
            },
            commands: true,
            signals: args.wanted.is_none_or(|wanted| wanted == Wanted::WorkerTaskComplete),
            limit: usize::try_from(args.limit).unwrap_or(usize::MAX),
        };
        let log_path = args.background_log.as_ref().map(|path| path.display().to_string());
        Self::with(cx, orders, host, scope, log_path)
    }

    fn with(cx: &Context, orders: Orders, host: Host, scope: Scope, log_path: Option<String>) -> Result<Self> {
        let record = Record::begin(cx, &orders.dispatcher_id, host, scope, log_path)?;
        // The cockpit looks at everything anyway.
        let sight = (host != Host::Cockpit && orders.signals).then(Sight::default);
        Ok(Self { cx: cx.clone(), orders, servers: Servers::default(), record, sight })
    }

    /// Puts the dispatcher of `dispatch --watch` on record.
    ///
    /// # Errors
    /// When the task is unknown or the ledger cannot be written.
    pub fn watching(cx: &Context, args: &Dispatch) -> Result<Self> {
        Self::begin(cx, args, Host::Watch)
    }

    /// A dispatcher for everything, as the cockpit hosts it.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn hosted(cx: &Context) -> Result<Self> {
        Self::hosted_as(cx, None)
    }

    /// The same under an id of its own, when there is one.
    ///
    /// # Errors
    /// When another process dispatches under this id, or the ledger cannot be written.
    pub fn hosted_as(cx: &Context, id: Option<&str>) -> Result<Self> {
        Self::of(cx, id, None, Host::Cockpit)
    }

    /// A dispatcher for the line of one session, for a command that waits for its own delivery.
    pub(super) fn for_session(cx: &Context, session_id: &str) -> Result<Self> {
        Self::of(cx, None, Some(session_id.to_owned()), Host::Once)
    }

    fn of(cx: &Context, id: Option<&str>, target_session_id: Option<String>, host: Host) -> Result<Self> {
        let orders = Orders {
            dispatcher_id: id.map_or_else(|| cx.fresh_id("dispatcher"), str::to_owned),
            task_id: None,
            signals: target_session_id.is_none(),
            target_session_id,
            kind: None,
            commands: true,
            limit: usize::MAX,
        };
        Self::with(cx, orders, host, Scope::default(), None)
    }

    /// Who this is.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.orders.dispatcher_id
    }

    /// One pass, which begins nothing new once `go_on` says no; true when this dispatcher was asked to end.
    ///
    /// # Errors
    /// When the ledger fails. The next pass goes on where this one was.
    pub fn pass(&mut self, tell: &mut dyn FnMut(Item), go_on: &dyn Fn() -> bool) -> Result<bool> {
        let Self { cx, orders, servers, record, sight } = self;
        let store = cx.ledger_to_change()?;
        record.unwritten.passes += 1;
        let mut tell_and_live = |item| {
            record.unwritten.moved += 1;
            tell(item);
            if record.is_due(cx) {
                // A pass can be long. What cannot be written now is written at its end.
                let _ = record.beat(cx, None);
            }
        };
        let passed = pass::run(cx, &store, servers, sight.as_mut(), orders, &mut tell_and_live, go_on);
        let error = passed.as_ref().err().map(ToString::to_string);
        let mut asked = false;
        if record.unwritten.moved > 0 || error.is_some() || record.is_due(cx) {
            asked = record.beat(cx, error.as_deref())?;
        }
        passed.map(|()| asked)
    }

    /// Takes it off duty.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn end(&self) -> Result<()> {
        if self.record.host == Host::Once {
            // Its pass is over, and what it left is looked after by whoever comes next.
            return Ok(self.cx.ledger_to_change()?.write(|w| store::dispatchers::remove(w, self.id()))?);
        }
        Self::take_off(&self.cx, self.id(), self.record.unwritten)
    }

    /// Takes a dispatcher off duty that a fault has ended in this process: it makes no call any more, and what it left
    /// is looked after by others.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn bury(cx: &Context, id: &str) -> Result<()> {
        Self::take_off(cx, id, Done::default())
    }

    fn take_off(cx: &Context, id: &str, done: Done) -> Result<()> {
        Ok(cx.ledger_to_change()?.write(|w| store::dispatchers::end(w, id, done, cx.now()))?)
    }
}
