//! `continuation-reviewer`: a program that somebody else wrote compares two proposals, where it can touch nothing.

mod asked;
mod due;
mod judge;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::asked::Asked;
pub(in crate::actions) use self::{due::begin_due, judge::judge};
use super::{
    PolicyReviewer,
    continuation::{Reviewed, open_task},
    texts,
};
use crate::{
    actions::{
        Action, Argv, Context, Format, Outcome,
        caller::{self, Origin},
    },
    base::{Error, Kind, Result, text},
    model::task::Task,
    ports::{
        confine::{self, Relay},
        env::{find_program, is_executable},
    },
    store::{self, Read, Store, audit},
};

/// Seconds that a reviewer gets, unless it is said otherwise.
const TIMEOUT: u64 = 300;
/// The most that it may print, in bytes.
const OUTPUT: usize = 256 << 10;
/// The most of a patch that it is shown, in bytes.
const PATCH: usize = 256 << 10;

/// Let a program judge two proposals, or set which one does for a task
///
/// The program gets one JSON object on standard input (the task, both proposals, the criteria, the terms, what the
/// worker's working tree holds beyond its last commit) and prints one: agreement (match, compatible, divergent), verdict
/// (proceed, amend, stop), rationale, perhaps addendum. It runs confined: it sees the system's programs and a scratch
/// folder, no network, no process, no file of yours; `--read`, `--relay` and `--env` give it more. A probe tries that
/// first, and when anything is not as it should be the program is not begun. That, a time-out, too much output or no valid
/// JSON make the verdict `stop`, and ask the operator. What it prints is stored and shown, and is never an instruction.
///
/// An operator sets the program (`--set`); a manager whose terms allow `context.spawn_reviewer` can only have it run, once
/// for a round, and not after the operator has answered.
///
/// Example: `conveyor continuation-reviewer parser --set --reviewer-command "python3 /opt/review.py" --read /opt/review.py`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct ContinuationReviewer {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// The round; the newest one in which both proposals are in otherwise
    #[arg(long, value_name = "ID")]
    pub correlation_id: Option<String>,
    /// Keep the program and what it may have for this task, and run nothing
    #[arg(long, conflicts_with_all = ["unset", "correlation_id"], requires = "reviewer_command")]
    pub set: bool,
    /// Forget the program that is set
    #[arg(long, conflicts_with_all = ["correlation_id", "reviewer_command"])]
    pub unset: bool,
    /// The program and its arguments in one word, quoted as in a shell; no shell runs it. Without it the one that is set
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    pub reviewer_command: Option<String>,
    /// A file or folder that it may read; may be given several times
    #[arg(long, value_name = "PATH", requires = "reviewer_command")]
    pub read: Vec<PathBuf>,
    /// A server that it may reach, as HOST:PORT; nothing else of the network is there. May be given several times
    #[arg(long, value_name = "HOST:PORT", requires = "reviewer_command")]
    pub relay: Vec<String>,
    /// A variable of this environment that it gets; may be given several times
    #[arg(long, value_name = "NAME", requires = "reviewer_command")]
    pub env: Vec<String>,
    /// Seconds until it is killed
    #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
}

/// The program that reviews for a task, and what it may have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The program and its arguments.
    command: Vec<String>,
    /// Names of variables.
    env: Vec<String>,
    /// Files and folders.
    read: Vec<PathBuf>,
    /// Servers.
    relays: Vec<Relay>,
    /// Seconds.
    timeout: u64,
}

impl Settings {
    /// What of what it is given it cannot read, where it runs as another user: what is named first.
    fn closed(&self) -> Vec<confine::Closed> {
        let program = self.command.first().map(Path::new).unwrap_or(Path::new(""));
        confine::closed(program, &self.read)
    }

    /// Whether this is its program, or a path that was given for it.
    fn names(&self, path: &Path) -> bool {
        self.command.first().is_some_and(|program| Path::new(program) == path)
            || self.read.iter().any(|one| one == path)
    }
}

/// What reviewers of open tasks cannot read of what they are given: the task's name, and what is closed first.
///
/// # Errors
/// When the ledger cannot be read.
pub(in crate::actions) fn closed_to_reviewers(store: &Store) -> Result<Vec<(String, confine::Closed)>> {
    let set = store.read(|r| {
        let tasks = store::tasks::list(r)?.into_iter().filter(|task| task.state.is_open());
        let of = |task: Task| Ok(store::continuations::reviewer(r, &task.id)?.map(|known| (task.name, known)));
        tasks.filter_map(|task| of(task).transpose()).collect::<std::result::Result<Vec<_>, store::Error>>()
    })?;
    // One that cannot be read is told where it is used.
    let settings =
        set.into_iter().filter_map(|(task, known)| Some((task, serde_json::from_str::<Settings>(&known).ok()?)));
    Ok(settings.filter_map(|(task, set)| Some((task, set.closed().into_iter().next()?))).collect())
}

/// What `continuation-reviewer` prints.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum ReviewerOutcome {
    /// A judgement.
    Reviewed(Box<Reviewed>),
    /// What would be run (`--dry-run`).
    Rehearsed {
        /// What the program would be told.
        context: Box<Value>,
        /// It would be stored.
        dry_run: bool,
        /// The program.
        reviewer_command: Vec<String>,
    },
    /// What is set.
    Set {
        /// Nothing was stored.
        dry_run: bool,
        /// The program; none when it was forgotten.
        reviewer: Option<Settings>,
        /// The task.
        task: String,
        /// What it cannot read of what it is given.
        #[serde(skip_serializing_if = "Option::is_none")]
        warning: Option<String>,
    },
}

impl Action for ContinuationReviewer {
    const NAME: &'static str = "continuation-reviewer";
    const FORMAT: Format = Format::Json;
    type Output = ReviewerOutcome;

    fn run(self, cx: &Context) -> Result<ReviewerOutcome> {
        let correlation_id = texts::correlation(self.correlation_id.as_deref())?;
        let given = self.given(cx)?;
        let store = cx.ledger_to_change()?;
        let origin = caller::origin(cx, &store)?;
        if origin != Origin::Operator && (given.is_some() || self.unset) {
            let words = format!("{} may not choose its reviewer", origin.words());
            return Err(
                Error::new(Kind::Blocked, words).hint("an operator sets it, in a shell outside of every session")
            );
        }
        if self.set || self.unset {
            return set(cx, &store, &origin, &self.task, given);
        }
        let task = store.read(|r| open_task(r, &self.task))?;
        if cx.dry_run() {
            let asked = Asked::of(cx, &store, &origin, &task, correlation_id.as_deref(), given)?;
            return Ok(ReviewerOutcome::Rehearsed {
                context: Box::new(asked.context),
                dry_run: true,
                reviewer_command: asked.settings.command,
            });
        }
        let review = judge(cx, &store, &origin, &task, correlation_id.as_deref(), given)?;
        Ok(ReviewerOutcome::Reviewed(Box::new(Reviewed::new(cx, review, &task))))
    }

    fn argv(&self) -> Argv {
        let Self { task, correlation_id, set, unset, reviewer_command, read, relay, env, timeout } = self;
        let mut argv = Argv::new(Self::NAME)
            .option("--correlation-id", correlation_id.as_ref())
            .switch("--set", *set)
            .switch("--unset", *unset)
            .option("--reviewer-command", reviewer_command.as_ref());
        for path in read {
            argv = argv.option("--read", Some(path.display()));
        }
        for relay in relay {
            argv = argv.option("--relay", Some(relay));
        }
        for name in env {
            argv = argv.option("--env", Some(name));
        }
        argv.option("--timeout", (*timeout != TIMEOUT).then_some(timeout)).end_of_options().word(task)
    }
}

impl ContinuationReviewer {
    /// The review of this round by the program that is set.
    #[must_use]
    pub fn of(task: String, correlation_id: String) -> Self {
        Self {
            task,
            correlation_id: Some(correlation_id),
            set: false,
            unset: false,
            reviewer_command: None,
            read: Vec::new(),
            relay: Vec::new(),
            env: Vec::new(),
            timeout: TIMEOUT,
        }
    }

    /// The program as the command line names it.
    fn given(&self, cx: &Context) -> Result<Option<Settings>> {
        let Some(line) = &self.reviewer_command else { return Ok(None) };
        let wrong = |what: String| Error::usage(format!("--reviewer-command {what}"));
        let mut command = shell_words::split(line).map_err(|_| wrong("has an open quote".to_owned()))?;
        let Some(name) = command.first_mut() else { return Err(wrong("must not be empty".to_owned())) };
        let program = if name.contains('/') {
            let path = cx.env().absolute(name.as_ref());
            path.canonicalize().ok().filter(|path| is_executable(path))
        } else {
            find_program(cx.env().path.as_deref(), name)
        };
        let program = program.ok_or_else(|| {
            Error::not_found(format!("there is no program {}", text::visible_line(name)))
                .hint("name it by its path, or install it")
        })?;
        *name = program.to_str().ok_or_else(|| wrong("names a path that is not UTF-8".to_owned()))?.to_owned();
        let hidden = hidden(cx);
        let mut read = Vec::new();
        for path in &self.read {
            let real =
                cx.env().absolute(path).canonicalize().map_err(|error| {
                    Error::not_found(format!("cannot use --read {}", path.display())).caused_by(error)
                })?;
            if confine::uncovers(&real, &hidden) {
                return Err(Error::refused(format!("{} holds what a reviewer must not see", real.display()))
                    .hint("give it a folder of its own"));
            }
            if let Some(root) = withheld(cx, &real) {
                return Err(Error::refused(format!(
                    "{} lies in {}, and a reviewer sees nothing of it",
                    real.display(),
                    root.display()
                ))
                .hint("give it a copy in a folder of its own"));
            }
            read.push(real);
        }
        let relays = self.relay.iter().map(|one| relay(one)).collect::<Result<Vec<_>>>()?;
        for name in &self.env {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(plain) || name.starts_with("LD_") {
                return Err(Error::usage(format!(
                    "--env {} is no name of a variable that can be given",
                    text::visible_line(name)
                )));
            }
        }
        Ok(Some(Settings { command, env: self.env.clone(), read, relays, timeout: self.timeout }))
    }
}

fn relay(word: &str) -> Result<Relay> {
    let wrong = || Error::usage(format!("--relay {} is not HOST:PORT", text::visible_line(word)));
    let (host, port) = word.rsplit_once(':').ok_or_else(wrong)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
        return Err(wrong());
    }
    Ok(Relay { host: host.to_owned(), port })
}

fn set(cx: &Context, store: &Store, origin: &Origin, task: &str, given: Option<Settings>) -> Result<ReviewerOutcome> {
    let stored = given.as_ref().map(serde_json::to_value).transpose();
    let stored = stored.map_err(|error| Error::new(Kind::Bug, "the reviewer cannot be written").caused_by(error))?;
    let warning = given.as_ref().and_then(|settings| Some(settings.closed().first()?.to_string()));
    let (reviewer, task) = store.write_durably(|w| {
        let task = open_task(w.read(), task)?;
        let now = cx.now();
        store::continuations::set_reviewer(w, &task.id, stored.as_ref(), now)?;
        let about = audit::About { task_id: Some(&task.id), session_id: None };
        // What stands among its words may be for nobody else.
        let told = given.as_ref().map(|settings| {
            json!({
                "env": settings.env,
                "read": settings.read,
                "relays": settings.relays,
                "runner": settings.command.first(),
                "runner_arg_count": settings.command.len().saturating_sub(1),
                "timeout": settings.timeout,
            })
        });
        audit::append(w, now, origin.actor(cx), "continuation_reviewer_set", about, &json!({ "reviewer": told }))?;
        Ok::<_, Error>((given, task.name))
    })?;
    Ok(ReviewerOutcome::Set { dry_run: cx.dry_run(), reviewer, task, warning })
}

/// What is set, as it is shown; or why it cannot be read.
pub(super) fn told(stored: &str) -> std::result::Result<PolicyReviewer, String> {
    let settings: Settings = serde_json::from_str(stored).map_err(|error| error.to_string())?;
    Ok(PolicyReviewer {
        command: shell_words::join(&settings.command),
        reads: settings.read.iter().map(|path| path.display().to_string()).collect(),
        reaches: settings.relays.iter().map(|relay| format!("{}:{}", relay.host, relay.port)).collect(),
        variables: settings.env,
        seconds: settings.timeout,
    })
}

/// What a reviewer must see nothing of.
fn hidden(cx: &Context) -> Vec<PathBuf> {
    let env = cx.env();
    let mut hidden: Vec<PathBuf> = env.home.iter().cloned().collect();
    hidden.extend(env.codex_home.iter().cloned());
    hidden.push(env.state_root.clone());
    hidden.push(env.ledger.clone());
    hidden.retain(|path| path.exists());
    hidden
}

/// The folder of rollouts, credentials or the ledger that holds `path`; a reviewer is given nothing out of it.
fn withheld(cx: &Context, path: &Path) -> Option<PathBuf> {
    let env = cx.env();
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let path = whole(path);
    let own_home = env.home.as_ref().map(|home| home.join(".codex"));
    let ledger = env.ledger.parent().map(Path::to_owned);
    let homes = env.codex_home.iter().cloned().chain(own_home);
    let is_ledger = ledger.filter(|_| path == whole(&env.ledger));
    homes.chain([env.state_root.clone()]).find(|root| path.starts_with(whole(root))).or(is_ledger)
}

fn settings(r: Read<'_>, task_id: &str) -> Result<Option<Settings>> {
    let known = store::continuations::reviewer(r, task_id)?.map(|known| serde_json::from_str(&known)).transpose();
    known.map_err(|error| Error::new(Kind::Ledger, "the reviewer of the task cannot be read").caused_by(error))
}

impl Outcome for ReviewerOutcome {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Reviewed(reviewed) => reviewed.lines(out),
            Self::Rehearsed { context, reviewer_command, .. } => {
                writeln!(out, "would run {}, confined, with", shell_words::join(reviewer_command))?;
                writeln!(out, "{context}")
            }
            Self::Set { dry_run, reviewer, task, warning } => {
                let would = if *dry_run { "would be " } else { "" };
                match reviewer {
                    Some(reviewer) => {
                        writeln!(out, "{task}: {would}reviewed by {}", shell_words::join(&reviewer.command))
                    }
                    None => writeln!(out, "{task}: {would}reviewed by nobody"),
                }?;
                warning.iter().try_for_each(|warning| writeln!(out, "! {warning}"))
            }
        }
    }
}
