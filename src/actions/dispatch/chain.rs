//! `chain`: everything that belongs to one exchange, in the order in which it happened.
//!
//! A correlation id ties together a worker's turn that ended, the message to its manager, the manager's answer and
//! every try at delivering it. Each step says where it stands on record; nothing is concluded that is not written.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;
use serde_json::Value;

use crate::{
    actions::{Action, Argv, Context, Outcome, supervise::blind},
    base::{Error, Moment, Result, Timestamp, text},
    model::delivery::{Attempt, AttemptState, Command, Phase},
    store::{self, Read, inbox::Item, signals::Signal},
    text_enum,
};

/// Commands and messages shown of one exchange.
const MOST: u32 = 50;

/// Characters shown of a message.
const PREVIEW: usize = 400;

text_enum! {
    /// What a step of an exchange is.
    pub enum StepKind {
        /// A worker's turn ended; the rollout says so.
        WorkerReceipt => "worker_receipt",
        /// A command was accepted.
        Command => "command",
        /// A dispatcher tried to deliver it.
        DispatchAttempt => "dispatch_attempt",
        /// A message was laid into an inbox.
        RoutedNotification => "routed_notification",
        /// Its text was shown or handed out.
        Read => "read",
        /// Its reader confirmed it.
        Consumed => "consumed",
        /// Its session said what it makes of it.
        Acknowledged => "acknowledged",
        /// What proves that the message arrived.
        Proof => "proof",
        /// Where a command stands that is not delivered.
        Stands => "stands",
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// When; none when that is not on record.
    pub at: Option<Timestamp>,
    /// What was said, or why.
    pub detail: Option<String>,
    /// What it is.
    pub kind: StepKind,
    /// The step in a few words.
    pub label: String,
}

/// A lease that a dispatcher holds on a command.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lease {
    /// Who holds it.
    pub by: String,
    /// Until when, unless renewed.
    pub expires_at: Option<Timestamp>,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// A command of an exchange, with its tries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    /// Every try, the oldest first.
    pub attempts: Vec<Attempt>,
    /// The command.
    pub command_id: String,
    /// Who holds it now; none when nobody does.
    pub lease: Option<Lease>,
    /// How far it has come.
    pub phase: Phase,
    /// What proves where it stands: a byte of the rollout, a confirmation of the inbox, an operator's word.
    pub receipt: Option<Value>,
    /// A try began outside the ledger, and it is not known how it ended.
    pub side_effect_risk: bool,
}

/// An exchange.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exchange {
    /// Its commands, in line order.
    pub commands: Vec<Link>,
    /// What happened, the oldest first.
    pub conversation: Vec<Step>,
    /// What ties it together.
    pub correlation_id: String,
}

/// Show one exchange from end to end: turn, message, tries, proof, confirmation
///
/// Everything under one correlation id, in the order in which it happened, with the byte of the rollout that proves an
/// arrival. Take the id of a command (`conveyor commands`), the number of a message in an inbox, or the correlation id
/// itself.
///
/// Example: `conveyor chain command-4f0c9d3e-0f7e-4b0e-9f57-2f1d4b6f6b3a`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Chain {
    /// A command, the number of a message, or a correlation id
    #[arg(value_name = "ID")]
    pub id: String,
}

impl Action for Chain {
    const NAME: &'static str = "chain";
    type Output = Exchange;

    fn run(self, cx: &Context) -> Result<Exchange> {
        let mut exchange = exchange(cx, &self.id)?;
        if let Some(round) = blind::of_any(cx, &*cx.ledger()?)? {
            let said = exchange.conversation.iter_mut().filter(|step| step.kind == StepKind::WorkerReceipt);
            said.filter_map(|step| step.detail.as_mut()).for_each(|detail| *detail = round.words());
        }
        Ok(exchange)
    }

    fn argv(&self) -> Argv {
        let Self { id } = self;
        Argv::new(Self::NAME).end_of_options().word(id)
    }
}

/// The exchange that a command belongs to, or of this correlation id.
///
/// # Errors
/// When there is none, or the ledger cannot be read.
pub fn exchange(cx: &Context, id: &str) -> Result<Exchange> {
    let now = cx.moment();
    cx.ledger()?.read(|r| {
        let number = id.parse::<i64>().ok();
        let correlation_id = match store::commands::by_id(r, id)? {
            Some(command) => command.correlation_id,
            None => match number.map(|number| store::inbox::by_id(r, number, &now)).transpose()?.flatten() {
                Some(item) => item.correlation_id,
                None => id.to_owned(),
            },
        };
        let commands = store::commands::of_correlation(r, &correlation_id, MOST)?;
        let items = store::inbox::of_correlation(r, &correlation_id, MOST, &now)?;
        if commands.is_empty() && items.is_empty() {
            let id = text::bounded(id, 80);
            return Err(Error::not_found(format!("nothing is on record under \"{id}\""))
                .hint("`conveyor commands` lists commands with their correlation ids"));
        }
        let mut conversation = Vec::new();
        for item in &items {
            of_item(r, item, &mut conversation)?;
        }
        let ids: BTreeSet<&str> = commands.iter().map(|command| command.id.as_str()).collect();
        let mut attempts = store::attempts::of(r, &ids)?;
        let mut links = Vec::with_capacity(commands.len());
        for command in &commands {
            let attempts = attempts.remove(&command.id).unwrap_or_default();
            of_command(r, command, &attempts, &now, &mut conversation)?;
            links.push(link(command, attempts));
        }
        // What is without a time stays where it was put.
        conversation.sort_by_key(|step| step.at);
        Ok(Exchange { commands: links, conversation, correlation_id })
    })
}

fn link(command: &Command, attempts: Vec<Attempt>) -> Link {
    let held = matches!(command.phase, Phase::Claimed | Phase::Started | Phase::Staged | Phase::Submitted);
    Link {
        side_effect_risk: attempts.iter().any(is_open_ended),
        attempts,
        command_id: command.id.clone(),
        lease: command.claimed_by.as_ref().filter(|_| held).map(|by| Lease {
            by: by.clone(),
            expires_at: command.claim_expires_at,
            since: command.claimed_at,
        }),
        phase: command.phase,
        receipt: receipt(command).cloned(),
    }
}

/// Something may have happened outside the ledger, and nobody has written how it ended.
fn is_open_ended(attempt: &Attempt) -> bool {
    attempt.side_effect_started && !attempt.side_effect_completed && attempt.state == AttemptState::Running
}

/// What the command's result holds as proof.
fn receipt(command: &Command) -> Option<&Value> {
    let result = command.result.as_ref()?;
    ["receipt", "altered", "pointer"].iter().find_map(|key| result.get(*key).filter(|value| value.is_object()))
}

fn of_command(r: Read<'_>, command: &Command, attempts: &[Attempt], now: &Moment, steps: &mut Vec<Step>) -> Result<()> {
    let target = session_name(r, &command.target_session_id)?;
    let from = match &command.source_session_id {
        Some(id) => session_name(r, id)?,
        None => command.created_by.clone(),
    };
    steps.push(Step {
        at: Some(command.created_at),
        detail: command.message().map(preview),
        kind: StepKind::Command,
        label: format!("{} from {from} to {target}", command.kind),
    });
    for (number, attempt) in (1..).zip(attempts) {
        let way = attempt.lane.map_or_else(String::new, |lane| format!(" by {lane}"));
        let open = if is_open_ended(attempt) { ", how it ended is not known yet" } else { "" };
        steps.push(Step {
            at: Some(attempt.started_at),
            detail: attempt.error.as_deref().map(preview),
            kind: StepKind::DispatchAttempt,
            label: format!("try {number}{way}: {}{open}, dispatcher {}", attempt.state, attempt.dispatcher_id),
        });
    }
    if let Some(receipt) = receipt(command) {
        steps.push(Step {
            at: receipt["at"].as_str().and_then(|at| at.parse().ok()).or(Some(command.updated_at)),
            detail: receipt["path"].as_str().map(str::to_owned),
            kind: StepKind::Proof,
            label: format!("{}: {}", command.phase, proof(receipt)),
        });
    } else if !matches!(command.phase, Phase::Delivered | Phase::Done) {
        let wait = command.expires_at.filter(|_| command.phase == Phase::Queued).map_or_else(String::new, |at| {
            format!(", given up in {}", text::age((at.as_millis() - now.wall.as_millis()).max(0) / 1000))
        });
        steps.push(Step {
            at: Some(command.updated_at),
            detail: command.reason.as_deref().or(command.error.as_deref()).map(preview),
            kind: StepKind::Stands,
            label: format!("{}{wait}", command.phase),
        });
    }
    Ok(())
}

/// A receipt in words.
fn proof(receipt: &Value) -> String {
    match (receipt["kind"].as_str(), receipt["byte_offset"].as_u64()) {
        (Some("rollout"), Some(offset)) => format!("its rollout shows it at byte {offset}"),
        (Some("inbox_ack"), _) => "its reader confirmed it".to_owned(),
        (Some("operator"), _) => "an operator says so".to_owned(),
        (Some(kind), _) => format!("proven by {kind}"),
        (None, _) => "proven".to_owned(),
    }
}

fn of_item(r: Read<'_>, item: &Item, steps: &mut Vec<Step>) -> Result<()> {
    let told = store::signals::told(r, item.id, MOST)?;
    for signal in &told {
        steps.push(turn(r, signal)?);
    }
    let message = item.payload.get("message").and_then(Value::as_str).map(preview);
    let target = &item.target_session_name;
    let mut laid = |at, signal: &str, how: &str, detail| {
        let kind = StepKind::RoutedNotification;
        let label = format!("{signal}{how} the inbox of {target}: {} (message {})", item.state, item.id);
        steps.push(Step { at: Some(at), detail, kind, label });
    };
    let delivered_at = item.delivered_at.unwrap_or(item.created_at);
    match item.renewed_at {
        None => laid(delivered_at, &item.signal_type, " into", message),
        // What it said first is gone; what it says now was not there before.
        Some(renewed_at) => {
            let is_whole = told.len() < MOST as usize;
            let first = told.first().filter(|_| is_whole).map_or("a message", |signal| signal.kind.as_str());
            let since = Some(format!("its words were renewed at {renewed_at}, before {target} had read them"));
            laid(delivered_at, first, " into", since);
            laid(renewed_at, &item.signal_type, " added to what lies in", message);
        }
    }
    let mut fact = |at: Option<Timestamp>, kind, label: String| {
        steps.extend(at.map(|at| Step { at: Some(at), detail: None, kind, label }));
    };
    fact(item.read_at, StepKind::Read, format!("{target} was shown it"));
    fact(item.consumed_at, StepKind::Consumed, format!("{target} confirmed it"));
    for said in store::inbox::acknowledgements(r, item.id)? {
        let summary = said.payload.get("summary").and_then(Value::as_str);
        steps.push(Step {
            at: Some(said.created_at),
            detail: summary.map(preview),
            kind: StepKind::Acknowledged,
            label: format!("{target} says: {}", said.status),
        });
    }
    Ok(())
}

fn turn(r: Read<'_>, signal: &Signal) -> Result<Step> {
    let name = session_name(r, &signal.session_id)?;
    Ok(Step {
        at: signal.at,
        detail: match store::signals::on_purpose(r, signal)? {
            Some(known) => Some(known.words()),
            None => signal.last_message.as_deref().or(signal.detail.as_deref()).map(preview),
        },
        kind: StepKind::WorkerReceipt,
        label: format!("{} of {name}, its rollout shows it at byte {}", signal.kind, signal.byte_offset),
    })
}

fn session_name(r: Read<'_>, id: &str) -> Result<String> {
    Ok(store::sessions::by_id(r, id)?.map_or_else(|| id.to_owned(), |session| session.name))
}

fn preview(message: &str) -> String {
    text::bounded(&text::clean(message), PREVIEW)
}

impl Outcome for Exchange {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "{}", self.correlation_id)?;
        for step in &self.conversation {
            let at = step.at.map_or_else(|| "?".to_owned(), |at| at.to_string());
            writeln!(out, "{at}  {:19}  {}", step.kind, step.label)?;
            for line in step.detail.iter().flat_map(|detail| detail.lines()) {
                writeln!(out, "    {line}")?;
            }
        }
        Ok(())
    }
}
