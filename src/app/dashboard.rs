//! `dashboard`: the predecessor's word for the cockpit, with its flags.

use std::{fmt, io, io::IsTerminal as _};

use serde::Serialize;

use super::cockpit::{self, CockpitArgs, Showing};
use crate::{
    actions::{self, Context, Format, Outcome},
    base::{Error, Name, Result},
    cli::{Global, Printer},
};

/// The id of a dispatcher that is made sure of, unless another one is named.
const DISPATCHER: &str = "dispatch-dashboard";

/// Open the cockpit, on a task if one is named
///
/// The same as `conveyor` alone. With `--ensure-dispatch` it delivers under a known id, and leaves that to whoever
/// delivers under this id already; what it began ends with it. With `--dry-run`, or with `--json`, it says what it
/// would do.
///
/// Example: `conveyor dashboard --task parser`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct DashboardArgs {
    /// The task to begin with, by name or id
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// Make sure that a dispatcher of a known id runs
    #[arg(long, conflicts_with = "no_dispatch")]
    pub ensure_dispatch: bool,
    /// Its id
    #[arg(long, value_name = "ID", default_value = DISPATCHER, requires = "ensure_dispatch")]
    pub dispatcher_id: Name,
    /// What is meant by `--task`
    #[arg(value_name = "TASK", hide = true)]
    pub unnamed: Vec<String>,
    /// Of the web server that there is no more
    #[arg(long, value_name = "ADDRESS", hide = true)]
    pub host: Option<String>,
    /// Of the web server that there is no more
    #[arg(long, value_name = "NUMBER", hide = true)]
    pub port: Option<String>,
    #[command(flatten)]
    pub cockpit: CockpitArgs,
}

/// What would be opened.
#[derive(Debug, Serialize)]
struct Plan {
    /// Somebody else delivers under the id already.
    dispatch_reused: bool,
    dispatcher_id: Option<String>,
    dry_run: bool,
    ensure_dispatch: bool,
    ledger: String,
    task: Option<String>,
}

/// Opens it; the exit code.
pub(super) fn run(args: &DashboardArgs, global: &Global, printer: &mut Printer<'_>) -> Result<u8> {
    for (flag, given) in [("--host", &args.host), ("--port", &args.port)] {
        if given.is_some() {
            return Err(Error::usage(format!("{flag} means nothing here: there is no web server"))
                .hint("the dashboard is the cockpit in this terminal; over a network, open it through ssh or tmux"));
        }
    }
    if let Some(word) = args.unnamed.first() {
        return Err(Error::usage(format!("the task is named by a flag: `--task {word}`"))
            .hint(format!("`conveyor dashboard --task {}`", shell_words::quote(word))));
    }
    let cx = super::context(global)?;
    let plan = plan(&cx, args)?;
    if global.json || cx.dry_run() {
        printer.outcome(&plan, global.style(Format::Prose))?;
        return Ok(0);
    }
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(Error::refused("the cockpit needs a terminal")
            .hint("`conveyor list --json` and `conveyor dispatch status --json` tell the same without one"));
    }
    let mut words = vec!["dashboard".to_owned()];
    words.extend(args.task.iter().map(|task| format!("--task={task}")));
    if args.ensure_dispatch {
        words.extend(["--ensure-dispatch".to_owned(), format!("--dispatcher-id={}", args.dispatcher_id)]);
    }
    let show =
        Showing { task: plan.task, dispatcher_id: plan.dispatcher_id, is_delivered: plan.dispatch_reused, words };
    cockpit::open(&cx, &args.cockpit, global, show)
}

fn plan(cx: &Context, args: &DashboardArgs) -> Result<Plan> {
    let id = args.ensure_dispatch.then(|| args.dispatcher_id.to_string());
    // Asked for nothing of the ledger, it opens without one as well.
    let task = match &args.task {
        None => None,
        Some(reference) => Some(task(cx, reference)?),
    };
    let is_alive = |id: &String| match actions::dispatch_health(cx) {
        Ok(health) => Ok(health.dispatchers.iter().any(|one| one.id == *id && one.alive)),
        Err(error) if error.kind() == crate::base::Kind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    Ok(Plan {
        dispatch_reused: id.as_ref().map(is_alive).transpose()?.unwrap_or(false),
        dispatcher_id: id,
        dry_run: cx.dry_run(),
        ensure_dispatch: args.ensure_dispatch,
        ledger: cx.env().ledger.display().to_string(),
        task,
    })
}

/// The id of the task with this name or id, the open one before any other.
fn task(cx: &Context, reference: &str) -> Result<String> {
    let board = actions::board(cx)?;
    let found = board.tasks.iter().find(|row| row.task.id == reference || row.task.name == reference);
    found
        .map(|row| row.task.id.clone())
        .ok_or_else(|| Error::not_found(format!("unknown task: {reference}")).hint("`conveyor tasks` lists them"))
}

impl Outcome for Plan {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "would open the cockpit on {}", self.ledger)?;
        if let Some(task) = &self.task {
            writeln!(out, "on the task {task}")?;
        }
        match (&self.dispatcher_id, self.dispatch_reused) {
            (Some(id), true) => writeln!(out, "dispatcher {id} runs already, and is left alone"),
            (Some(id), false) => writeln!(out, "and deliver in it as {id}"),
            (None, _) => Ok(()),
        }
    }
}
