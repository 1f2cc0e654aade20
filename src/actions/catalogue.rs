//! The only list of verbs. The clap subcommands, the dispatch, the names and what the cockpit may submit all come
//! from it.

use std::fmt;

use serde_json::Value;

use super::{Action, Argv, Context, Format, Outcome, TextArg};
use crate::{
    base::{Error, Kind, Result, json},
    text_enum,
};

text_enum! {
    /// The headings of the command list.
    pub enum Group {
        /// Tasks, sessions, bindings.
        Registry => "Tasks and sessions",
        /// Start, open, stop.
        Lifecycle => "Start and stop",
        /// Messages and their delivery.
        Deliver => "Messages",
        /// What sessions are doing.
        Observe => "Watch",
        /// The terms of managers.
        Supervise => "Supervision",
        /// Health of the installation.
        Health => "Health",
    }
}

mod sealed {
    pub trait Sealed {}
}

/// An action of the catalogue. The cockpit submits nothing else, and nothing else can implement it.
pub trait Listed: Action + sealed::Sealed {
    /// The action as a parsed command.
    fn into_command(self) -> Command;
}

/// The result of any action, with its type forgotten: what a face needs to print it.
pub struct Report {
    /// The JSON form, keys sorted.
    pub json: Value,
    /// The prose form.
    pub prose: String,
    /// The exit code of a result that is itself a refusal.
    pub exit_code: u8,
    /// A program that is to take over the terminal.
    pub handover: Option<Vec<String>>,
}

/// Forgets the type of a result.
///
/// # Errors
/// A fault of ours: the result cannot be written.
pub fn report(outcome: &impl Outcome) -> Result<Report> {
    let bug = |what: &str| Error::new(Kind::Bug, format!("the result cannot be {what}"));
    let mut prose = String::new();
    outcome.human(&mut prose).map_err(|_: fmt::Error| bug("written as text"))?;
    let json = json::value(outcome).map_err(|error| bug("written as JSON").caused_by(error))?;
    let handover = outcome.handover().map(<[String]>::to_vec);
    Ok(Report { json, prose, exit_code: outcome.exit_code(), handover })
}

/// One line of the catalogue, for help and documentation.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The command word.
    pub name: &'static str,
    /// The heading it stands under.
    pub group: Group,
}

macro_rules! catalogue {
    ($($group:ident { $($(#[$meta:meta])* $action:ident,)+ })+) => {
        /// A parsed command line.
        #[derive(Debug, Clone, PartialEq, clap::Subcommand)]
        pub enum Command {
            $($(
                $(#[$meta])*
                #[command(name = super::$action::NAME)]

                $action(super::$action),
            )+)+
        }

        /// Every command, in the order of the help.
        pub const COMMANDS: &[Entry] = &[
            $($(Entry { name: super::$action::NAME, group: Group::$group },)+)+
        ];

        impl Command {
            /// Runs it and forgets the result's type.
            ///
            /// # Errors
            /// What the action returns.
            pub fn run(self, cx: &Context) -> Result<Report> {
                match self {
                    $($(Self::$action(action) => report(&action.run(cx)?),)+)+
                }
            }

            /// The clap definition of the command of this name, without its aliases.
            #[must_use]
            pub fn definition(name: &str) -> Option<clap::Command> {
                $($(
                    if name == super::$action::NAME {
                        let empty = clap::Command::new(super::$action::NAME);
                        return Some(<super::$action as clap::Args>::augment_args(empty));
                    }
                )+)+
                None
            }

            /// How the result is printed unless the caller says otherwise.
            #[must_use]
            pub fn format(&self) -> Format {
                match self {
                    $($(Self::$action(_) => super::$action::FORMAT,)+)+
                }
            }

            /// The command line that means the same.
            #[must_use]
            pub fn argv(&self) -> Argv {
                match self {
                    $($(Self::$action(action) => action.argv(),)+)+
                }
            }

            /// Whether it opens sessions, and takes them back when it is told to end half-way.
            #[must_use]
            pub fn opens_sessions(&self) -> bool {
                match self {
                    $($(Self::$action(_) => super::$action::OPENS_SESSIONS,)+)+
                }
            }

            /// The arguments that may come from standard input.
            pub fn texts(&mut self) -> Vec<&mut TextArg> {
                match self {
                    $($(Self::$action(action) => action.texts(),)+)+
                }
            }
        }

        $($(
            impl sealed::Sealed for super::$action {}

            impl Listed for super::$action {
                fn into_command(self) -> Command {
                    Command::$action(self)
                }
            }
        )+)+
    };
}

impl Command {
    /// The command that these words mean, the command word first and no global flag among them: what a form has put
    /// together is judged by the rules of the command line.
    ///
    /// # Errors
    /// A usage error that says what is wrong, in the words of the command line.
    pub fn parse(words: &[String]) -> Result<Self> {
        let name = words.first().map_or("", String::as_str);
        let definition = Self::definition(name).ok_or_else(|| Error::usage(format!("`{name}` is no command")))?;
        let root = clap::Command::new("conveyor").disable_help_subcommand(true).subcommand(definition);
        let arguments = std::iter::once("conveyor").chain(words.iter().map(String::as_str));
        let parsed = root
            .try_get_matches_from(arguments)
            .and_then(|matches| <Self as clap::FromArgMatches>::from_arg_matches(&matches));
        parsed.map_err(|error| {
            let rendered = super::plain_usage(&error.render().to_string());
            let message = rendered.split("\n\n").next().unwrap_or_default().trim().trim_start_matches("error: ");
            Error::usage(crate::base::text::one_line(message))
        })
    }
}

catalogue! {
    Registry {
        Tasks,
        Sessions,
        RegisterWorker,
        RegisterManager,
        Deregister,
        Bind,
        Unbind,
        CreateDisposableBinding,
        #[command(visible_alias = "search")]
        Discover,
    }
    Lifecycle {
        StartWorker,
        StartManager,
        Pair,
        Create,
        StartTest,
        Start,
        Resume,
        Open,
        OpenWorker,
        OpenManager,
        Stop,
    }
    Deliver {
        #[command(visible_alias = "nudge")]
        SessionNudge,
        #[command(visible_alias = "interrupt")]
        SessionInterrupt,
        SessionAnswer,
        EnqueueNudgeWorker,
        EnqueueNotifyManager,
        RequestWorkerCompact,
        CompactWorker,
        Dispatch,
        Commands,
        Chain,
        ManagerInbox,
        WorkerInbox,
        SessionInbox,
        Receive,
        Ack,
        InboxAck,
    }
    Supervise {
        ManagerConfig,
        ManagerRecipes,
        ManagerPermission,
        Criteria,
        CriteriaPlan,
        WorkerAck,
        ManagerAck,
        RecordDecision,
        Handoff,
        Epilogue,
        FinishTask,
        StopTask,
        Continuation,
        ContinuationReviewer,
        OperatorInbox,
    }
    Observe {
        List,
        StatusLine,
        Mark,
        Status,
        Explain,
        Cycle,
        Divergences,
        IdleCheck,
        UpdateStatus,
        Capture,
        Diff,
        Classify,
        Ingest,
        Tail,
        Events,
    }
    Health {
        Doctor,
        DoctorSelf,
        DbDoctor,
    }
}
