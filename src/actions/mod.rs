//! Every verb of the program, once: the argument struct is the command line, the output is the JSON.
//!
//! `cli` parses into the same structs that `tui` fills from its dialogs; both get the same typed result. What an
//! action may touch is its [`Context`]; nothing here prints or draws.

mod agents;
mod answer;
mod argv;
mod binding;
mod blocked;
mod caller;
mod capture;
mod catalogue;
mod context;
mod conversation;
mod cycle;
mod diff;
mod discover;
mod dispatch;
mod disposable;
mod doctor;
mod echo;
mod event_log;
mod expected;
mod explain;
mod fail;
mod follow;
mod inbox;
mod ingest;
mod interrupt;
mod launch;
mod list;
pub mod live;
mod lookup;
mod mark;
mod questions;
mod routing;
mod screens;
mod sense;
mod session;
mod status;
mod status_line;
mod supervise;
mod tail;
mod task;
mod usage;

use std::fmt;

use serde::Serialize;

pub use crate::ports::background::{BoundedLog, leave_terminal};
pub use crate::ports::git::FileStatus;
pub use crate::store::dispatchers::Host as DispatcherHost;
pub use agents::sub_agents;
pub use answer::{AnswerOutcome, Answers, SessionAnswer};
pub use argv::{Argv, TextArg};
pub use binding::{Bind, Unbind};
pub use capture::{Capture, Classify, PaneText, pane_text};
pub use catalogue::{COMMANDS, Command, Entry, Group, Listed, Report, report};
pub use context::{Actor, Context, InstalledTmux, Parts, TmuxServers};
pub use conversation::{TalkQuery, conversation};
pub use cycle::{Cycle, Divergences};
pub use diff::{Diff, Differing, FileView, tree_diff};
pub use discover::{Discover, Found, KnownBy, Place as UnknownPlace, Unregistered, unregistered};
pub use dispatch::{
    Chain, Commands, CompactWorker, Decision, Deliveries, Delivering, Dispatch, DispatchHealth, DispatchVerb,
    Dispatched, Dispatcher, DispatcherView, EnqueueNotifyManager, EnqueueNudgeWorker, Exchange, Item as DispatchItem,
    Lease, Link, MessageArgs, PauseView, RequestWorkerCompact, SessionNudge, Step as ChainStep, StepKind,
    Summary as DispatchSummary, TIME_TO_LIVE, deliveries, dispatch_health, exchange, not_typed_because,
};
pub use disposable::{AppThreads, CreateDisposableBinding};
pub use doctor::{Adoptable, Area, Checkup, DbDoctor, Doctor, DoctorSelf, Finding, Verdict, checkup};
pub use event_log::Events;
pub use explain::{Explain, Explanation, explanation};
pub use inbox::{Ack, InboxAck, InboxArgs, ManagerInbox, Receive, SessionInbox, WaitArgs, WorkerInbox};
pub use ingest::Ingest;
pub use interrupt::{Interrupted, SessionInterrupt};
pub use launch::{
    Create, Ending, LaunchArgs, ManagerTermArgs, Open, OpenManager, OpenWorker, Pair, Resume, Start, StartManager,
    StartTest, StartWorker, Stop, Visit, Way, beside, launch_session, visit,
};
pub use list::{List, board};
pub use mark::Mark;
pub use questions::{QuestionView, open_questions};
pub use session::{Deregister, RegisterArgs, RegisterManager, RegisterWorker, Sessions};
pub use status::{Health, IdleCheck, Status, UpdateStatus};
pub use status_line::StatusLine;
pub use supervise::{
    AckWords, Continuation, ContinuationReviewer, Criteria, CriteriaPlan, EndArgs, Epilogue, FinishTask, Handoff,
    Judged, Limit, ManagerAck, ManagerConfig, ManagerPermission, ManagerRecipes, OperatorInbox, PolicyAck,
    PolicyReviewer, PutToOperator, RecordDecision, RecordedAck, RecordedDecision, RecordedHandoff, RecordedRound, Seen,
    Setting, ShownCriterion, StopTask, TaskPolicy, TaskRecord, TaskReview, TermArgs, WorkerAck, object_fault,
    task_criteria, task_policy, task_record, task_review,
};
pub use tail::{EventQuery, Tail, event_page};
pub use task::Tasks;
pub use usage::plain as plain_usage;

use crate::base::Result;

/// One verb: clap arguments, a typed output, one `run`.
pub trait Action: clap::Args + Clone + PartialEq + fmt::Debug + Send + 'static {
    /// The command word.
    const NAME: &'static str;
    /// How the output is printed when neither `--json` nor `--text` is given.
    const FORMAT: Format = Format::Prose;
    /// Whether it opens sessions, and takes them back when [`Context::interrupted`] says so half-way.
    const OPENS_SESSIONS: bool = false;
    /// What it returns.
    type Output: Outcome + Send + 'static;

    /// Does it.
    ///
    /// # Errors
    /// As each action documents; the error is ready to be shown.
    fn run(self, cx: &Context) -> Result<Self::Output>;

    /// The command line that means the same, without the program name and global flags.
    fn argv(&self) -> Argv;

    /// The arguments whose value may come from standard input (`-`).
    fn texts(&mut self) -> Vec<&mut TextArg> {
        Vec::new()
    }
}

/// The default form of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Prose,
    /// One JSON document.
    Json,
}

/// What an action returns: JSON by its `Serialize`, prose by [`Outcome::human`].
pub trait Outcome: Serialize {
    /// Writes the prose form.
    ///
    /// # Errors
    /// When the writer fails.
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result;

    /// A program that is to take over this terminal, when there is one.
    fn handover(&self) -> Option<&[String]> {
        None
    }

    /// The exit code; not 0 when the answer is a refusal that is itself the result (a failed check).
    fn exit_code(&self) -> u8 {
        0
    }
}
