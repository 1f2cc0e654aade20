//! `session-inbox`, `manager-inbox`, `worker-inbox`, `receive`: list, wait for, or take what lies in an inbox.

use super::{
    super::{Action, Argv, Context, Format, lookup},
    reader::{Asked, Place, Reader, Take},
    report::InboxReport,
};
use crate::{base::Result, model::session::Role};

/// The longest hand-out, in seconds.
const MAX_VISIBILITY: i64 = 12 * 60 * 60;
/// The longest wait, in seconds.
const MAX_WAIT: f64 = 7.0 * 24.0 * 60.0 * 60.0;

/// How long is waited, and how often is looked.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct WaitArgs {
    /// Wait until there is a message
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = timeout)]
    pub timeout: f64,
    /// How often to ask whether the ledger has changed
    #[arg(long, value_name = "SECONDS", default_value_t = 0.1, value_parser = interval)]
    pub interval: f64,
}

impl WaitArgs {
    fn argv(&self, argv: Argv) -> Argv {
        let Self { wait, timeout, interval } = self;
        argv.switch("--wait", *wait).option("--timeout", Some(timeout)).option("--interval", Some(interval))
    }
}

fn timeout(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a non-negative number".to_owned())?;
    match seconds {
        seconds if !seconds.is_finite() || seconds < 0.0 => Err("it must be a non-negative number".to_owned()),
        seconds if seconds > MAX_WAIT => Err("it must not be more than a week".to_owned()),
        seconds => Ok(seconds),
    }
}

fn interval(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a number above zero".to_owned())?;
    match seconds {
        seconds if !seconds.is_finite() || seconds <= 0.0 => Err("it must be above zero".to_owned()),
        seconds if seconds > MAX_WAIT => Err("it must not be more than a week".to_owned()),
        seconds => Ok(seconds),
    }
}

/// What the inbox commands take beside the name.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct InboxArgs {
    /// Take the oldest message for good; a reader that dies before it has read the answer loses it
    #[arg(long, conflicts_with_all = ["receive", "consumed"])]
    pub consume_next: bool,
    /// Be handed the oldest message with a token, to be confirmed with `ack`; it comes again otherwise
    #[arg(long, conflicts_with = "consumed")]
    pub receive: bool,
    /// With --receive: how long nobody else gets it
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "receive",
        value_parser = clap::value_parser!(i64).range(1..=MAX_VISIBILITY))]
    pub visibility: i64,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub wait: WaitArgs,
    /// How many messages to list at most
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: u32,
    /// List the messages that were confirmed, the last ones
    #[arg(long, conflicts_with = "wait")]
    pub consumed: bool,
    /// First put back what was given up, as if it had never been handed out
    #[arg(long)]
    pub revive: bool,
}

impl InboxArgs {
    fn argv(&self, name: &str, place: &str) -> Argv {
        let Self { consume_next, receive, visibility, wait, limit, consumed, revive } = self;
        wait.argv(Argv::new(name).switch("--consume-next", *consume_next).switch("--receive", *receive))
            .option("--visibility", receive.then_some(visibility))
            .option("--limit", Some(limit))
            .switch("--consumed", *consumed)
            .switch("--revive", *revive)
            .end_of_options()
            .word(place)
    }

    fn asked(self) -> Asked {
        let take = match (self.consume_next, self.receive) {
            (true, _) => Take::Consume,
            (false, true) => Take::Lease { millis: self.visibility.saturating_mul(1_000) },
            (false, false) => Take::Nothing,
        };
        // Nothing at all cannot be asked for: the answer would say nothing.
        Asked { take, wait: self.wait, limit: self.limit.max(1), history: self.consumed, revive: self.revive }
    }
}

/// Show or take the messages that wait for a session
///
/// Lists them, the oldest first. `--receive` hands the oldest one out with a token and keeps it from others for
/// `--visibility` seconds; `ack` confirms it, and without that it comes again. After ten hand-outs it is given up: a
/// dead letter, listed until `--revive`, and an exit code of 1 whenever no message was taken. `--consume-next` takes
/// and confirms in one step: at most once.
///
/// Before a manager's inbox is looked at, what its worker has done since is taken from the rollout.
///
/// Example: `conveyor session-inbox m1 --receive --wait --timeout 60`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct SessionInbox {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub args: InboxArgs,
}

/// Show or take the messages that wait for a task's manager
///
/// As `session-inbox`, for the manager of the task's binding. When the binding has ended, what is left of the task's
/// own messages can still be read.
///
/// Example: `conveyor manager-inbox parser --receive --wait --timeout 60`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct ManagerInbox {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub args: InboxArgs,
}

/// Show or take the messages that wait for a task's worker
///
/// As `session-inbox`, for the worker of the task's binding. When the binding has ended, what is left of the task's
/// own messages can still be read.
///
/// Example: `conveyor worker-inbox parser --receive --wait --timeout 60`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct WorkerInbox {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub args: InboxArgs,
}

/// Take the next message for a session, to be confirmed with `ack`
///
/// The short form of `session-inbox --receive`, without the list of what else waits. The token proves that you hold
/// the message: `conveyor ack TOKEN` confirms it, `conveyor ack TOKEN --release` gives it back. Without either it is
/// handed out again after `--visibility` seconds.
///
/// Example: `conveyor receive m1 --wait --timeout 60 --json`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Receive {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// How long nobody else gets it
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(i64).range(1..=MAX_VISIBILITY))]
    pub visibility: i64,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub wait: WaitArgs,
}

impl Action for SessionInbox {
    const NAME: &'static str = "session-inbox";
    const FORMAT: Format = Format::Prose;
    type Output = InboxReport;

    fn run(self, cx: &Context) -> Result<InboxReport> {
        let store = cx.ledger_to_change()?;
        let session = store.read(|r| lookup::session(r, &self.session))?;
        Reader::new(cx, &store, Place { session, task: None }, self.args.asked())?.read()
    }

    fn argv(&self) -> Argv {
        let Self { session, args } = self;
        args.argv(Self::NAME, session)
    }
}

impl Action for ManagerInbox {
    const NAME: &'static str = "manager-inbox";
    type Output = InboxReport;

    fn run(self, cx: &Context) -> Result<InboxReport> {
        let store = cx.ledger_to_change()?;
        let place = store.read(|r| Place::of_task(r, &self.task, Role::Manager))?;
        Reader::new(cx, &store, place, self.args.asked())?.read()
    }

    fn argv(&self) -> Argv {
        let Self { task, args } = self;
        args.argv(Self::NAME, task)
    }
}

impl Action for WorkerInbox {
    const NAME: &'static str = "worker-inbox";
    type Output = InboxReport;

    fn run(self, cx: &Context) -> Result<InboxReport> {
        let store = cx.ledger_to_change()?;
        let place = store.read(|r| Place::of_task(r, &self.task, Role::Worker))?;
        Reader::new(cx, &store, place, self.args.asked())?.read()
    }

    fn argv(&self) -> Argv {
        let Self { task, args } = self;
        args.argv(Self::NAME, task)
    }
}

impl Action for Receive {
    const NAME: &'static str = "receive";
    type Output = InboxReport;

    fn run(self, cx: &Context) -> Result<InboxReport> {
        let store = cx.ledger_to_change()?;
        let session = store.read(|r| lookup::session(r, &self.session))?;
        let take = Take::Lease { millis: self.visibility.saturating_mul(1_000) };
        let asked = Asked { take, wait: self.wait, limit: 0, history: false, revive: false };
        Reader::new(cx, &store, Place { session, task: None }, asked)?.read()
    }

    fn argv(&self) -> Argv {
        let Self { session, visibility, wait } = self;
        wait.argv(Argv::new(Self::NAME).option("--visibility", Some(visibility))).end_of_options().word(session)
    }
}
