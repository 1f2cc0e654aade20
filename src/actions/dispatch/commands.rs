//! `commands`: what was queued, and how far each has come.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    actions::{Action, Argv, Context, Outcome, lookup},
    base::{Error, Result, Timestamp, text},
    model::{
        delivery::{Attempt, Command, CommandKind, CommandState, Lane, Phase},
        filter::{CommandFacts, Filter as Wanted},
    },
    store::{self, Read, commands::Filter},
};

/// The longest piece of a message in the prose form, in characters.
const SHOWN_MESSAGE: usize = 80;

/// List commands, the newest last
///
/// `state` is the coarse word, `phase` says exactly how far a command has come.
///
/// Example: `conveyor commands --task parser --attempts --json`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Commands {
    /// Only of this task, by name or id
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// Only to or from this session
    #[arg(long, value_name = "SESSION")]
    pub session: Option<String>,
    /// Only of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<CommandKind>,
    /// Only in this state: pending, attempted, succeeded, failed, blocked
    #[arg(long, value_name = "STATE")]
    pub state: Option<CommandState>,
    /// Only in this phase; may be given several times
    #[arg(long, value_name = "PHASE")]
    pub phase: Vec<Phase>,
    /// Add every try
    #[arg(long)]
    pub attempts: bool,
    /// Show length and SHA-256 of messages instead of the messages
    #[arg(long)]
    pub redact: bool,
    /// At most so many, the newest; 0 is all
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    pub limit: u32,
    /// Only those before this command, to page back
    #[arg(long, value_name = "COMMAND")]
    pub before: Option<String>,
    /// Only what matches, in the filter language: "state:queued age>10m session:w1"
    #[arg(long, value_name = "FILTER", value_parser = Wanted::of_messages)]
    pub filter: Option<Wanted>,
}

/// The commands.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct CommandList(Vec<CommandView>);

/// A command as printed.
#[derive(Debug, Serialize)]
pub struct CommandView {
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_history: Option<Vec<Attempt>>,
    attempts: i64,
    available_at: Option<Timestamp>,
    /// The task's budget has paid for it.
    budget_spent: bool,
    claim_expires_at: Option<Timestamp>,
    claimed_at: Option<Timestamp>,
    claimed_by: Option<String>,
    correlation_id: String,
    created_at: Timestamp,
    created_by: String,
    error: Option<String>,
    expires_at: Option<Timestamp>,
    id: String,
    idempotency_key: String,
    lane: Option<Lane>,
    lane_reason: Option<String>,
    manager_id: Option<()>,
    max_attempts: i64,
    payload: Value,
    phase: Phase,
    reason: Option<String>,
    required_permission: Option<String>,
    result: Option<Value>,
    source_session: Option<String>,
    state: CommandState,
    target_session: Option<String>,
    task_id: Option<String>,
    task_name: Option<String>,
    #[serde(rename = "type")]
    kind: CommandKind,
    updated_at: Timestamp,
    worker_id: Option<()>,
}

impl Action for Commands {
    const NAME: &'static str = "commands";
    type Output = CommandList;

    fn run(self, cx: &Context) -> Result<CommandList> {
        cx.ledger()?.read(|r| {
            let task_id = self.task.as_deref().map(|task| lookup::task(r, task)).transpose()?.map(|task| task.id);
            let session_id =
                self.session.as_deref().map(|name| lookup::session(r, name)).transpose()?.map(|session| session.id);
            let before = match &self.before {
                None => None,
                Some(id) => Some(
                    store::commands::by_id(r, id)?
                        .ok_or_else(|| Error::not_found(format!("unknown command: {id}")))?
                        .seq,
                ),
            };
            let filter = Filter {
                task_id: task_id.as_deref(),
                session_id: session_id.as_deref(),
                kind: self.kind,
                state: self.state,
                phases: &self.phase,
                before,
            };
            let names: HashMap<String, String> =
                store::sessions::list(r)?.into_iter().map(|session| (session.id, session.name)).collect();
            let tasks: HashMap<String, String> =
                store::tasks::list(r)?.into_iter().map(|task| (task.id, task.name)).collect();
            let commands = match &self.filter {
                None => store::commands::list(r, &filter, self.limit)?,
                Some(wanted) => {
                    let passes = |command: &Command| wanted.matches_command(&facts(command, &names, &tasks), cx.now());
                    passing(r, filter, self.limit, &passes)?
                }
            };
            let mut attempts = if self.attempts {
                store::attempts::of(r, &commands.iter().map(|command| &*command.id).collect::<BTreeSet<_>>())?
            } else {
                Default::default()
            };
            Ok(CommandList(
                commands
                    .into_iter()
                    .map(|command| {
                        let history = self.attempts.then(|| attempts.remove(&command.id).unwrap_or_default());
                        view(command, history, &names, &tasks, self.redact)
                    })
                    .collect(),
            ))
        })
    }

    fn argv(&self) -> Argv {
        let Self { task, session, kind, state, phase, attempts, redact, limit, before, filter } = self;
        let argv = Argv::new(Self::NAME)
            .option("--task", task.as_ref())
            .option("--session", session.as_ref())
            .option("--type", *kind)
            .option("--state", *state);
        phase
            .iter()
            .fold(argv, |argv, phase| argv.option("--phase", Some(phase)))
            .switch("--attempts", *attempts)
            .switch("--redact", *redact)
            .option("--limit", Some(limit))
            .option("--before", before.as_ref())
            .option("--filter", filter.as_ref())
    }
}

/// How many commands are read at once while a filter looks through them.
const PAGE: u32 = 500;

/// The newest `limit` commands that pass, the newest last; 0 is all.
fn passing(r: Read<'_>, mut filter: Filter<'_>, limit: u32, passes: &dyn Fn(&Command) -> bool) -> Result<Vec<Command>> {
    let wanted = if limit == 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) };
    let mut found: Vec<Command> = Vec::new();
    loop {
        let page = store::commands::list(r, &filter, PAGE)?;
        let Some(first) = page.first() else { break };
        filter.before = Some(first.seq);
        found.extend(page.into_iter().rev().filter(passes));
        if found.len() >= wanted {
            found.truncate(wanted);
            break;
        }
    }
    found.reverse();
    Ok(found)
}

/// What a filter asks about a command.
fn facts<'c>(
    command: &'c Command,
    sessions: &'c HashMap<String, String>,
    tasks: &'c HashMap<String, String>,
) -> CommandFacts<'c> {
    let name = |id: &str| sessions.get(id).map(String::as_str);
    CommandFacts {
        phase: command.phase,
        task: command.task_id.as_deref().and_then(|id| tasks.get(id).map(String::as_str)),
        sessions: [command.source_session_id.as_deref().and_then(name), name(&command.target_session_id)],
        updated_at: command.updated_at,
        texts: [Some(command.id.as_str()), Some(command.kind.as_str()), command.reason.as_deref(), command.message()],
    }
}

fn view(
    command: Command,
    attempt_history: Option<Vec<Attempt>>,
    sessions: &HashMap<String, String>,
    tasks: &HashMap<String, String>,
    redact: bool,
) -> CommandView {
    let name = |id: &Option<String>| id.as_ref().and_then(|id| sessions.get(id).cloned());
    CommandView {
        attempt_history,
        attempts: command.attempts,
        available_at: command.available_at,
        budget_spent: command.budget_spent,
        claim_expires_at: command.claim_expires_at,
        claimed_at: command.claimed_at,
        claimed_by: command.claimed_by,
        correlation_id: command.correlation_id,
        created_at: command.created_at,
        created_by: command.created_by,
        error: command.error,
        expires_at: command.expires_at,
        idempotency_key: command.idempotency_key,
        lane: command.lane,
        lane_reason: command.lane_reason,
        manager_id: None,
        max_attempts: command.max_attempts,
        payload: if redact { redacted(command.payload) } else { command.payload },
        phase: command.phase,
        reason: command.reason,
        required_permission: command.required_permission,
        result: command.result,
        source_session: name(&command.source_session_id),
        state: command.phase.state(),
        target_session: sessions.get(&command.target_session_id).cloned(),
        task_name: command.task_id.as_ref().and_then(|id| tasks.get(id).cloned()),
        task_id: command.task_id,
        kind: command.kind,
        updated_at: command.updated_at,
        worker_id: None,
        id: command.id,
    }
}

/// The payload with its message told only by length and hash.
fn redacted(mut payload: Value) -> Value {
    if let Some(message) = payload.get("message").and_then(Value::as_str) {
        let sha256: String = Sha256::digest(message).iter().map(|byte| format!("{byte:02x}")).collect();
        payload["message"] = json!({"chars": message.chars().count(), "redacted": true, "sha256": sha256});
    }
    payload
}

impl CommandView {
    /// How its message begins: the first line that says something.
    fn begins(&self) -> String {
        let message = &self.payload["message"];
        match message.as_str() {
            Some(message) => {
                let message = text::clean(message);
                let first = message.lines().map(text::one_line).find(|line| !line.is_empty()).unwrap_or_default();
                text::bounded(&first, SHOWN_MESSAGE)
            }
            None => message["chars"].as_u64().map_or_else(|| "-".to_owned(), |chars| format!("({chars} characters)")),
        }
    }
}

impl Outcome for CommandList {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        for view in &self.0 {
            let task = view.task_name.as_deref().or(view.task_id.as_deref()).unwrap_or("-");
            let target = view.target_session.as_deref().unwrap_or("-");
            write!(out, "{}\t{}\t{}\t{task}\t{target}\t{}", view.id, view.state, view.kind, view.phase)?;
            if let Some(reason) = &view.reason {
                write!(out, " ({})", text::one_line(reason))?;
            }
            if let Some(history) = &view.attempt_history {
                let word = if history.len() == 1 { "try" } else { "tries" };
                write!(out, "\t{} {word}", history.len())?;
            }
            writeln!(out, "\t{}", view.begins())?;
        }
        Ok(())
    }
}
