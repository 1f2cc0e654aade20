//! `inbox-ack`: what a session says about a message that it got.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    super::{Action, Argv, Context, Format, Outcome, TextArg, caller, lookup},
    check_caller,
    settle::By,
};
use crate::{
    base::{Error, Result, Timestamp, text},
    model::{
        delivery::{AckStatus, ItemState},
        session::Role,
        task::{Binding, Task},
    },
    store::{
        Read, audit,
        inbox::{self, Acknowledgement, Item},
    },
};

/// The longest correlation id, in characters.
const MAX_CORRELATION: usize = 200;

/// What is written to the audit trail.
const EVENT: &str = "dispatch_inbox_ack_recorded";

/// Say what a session makes of a message, or show what it said
///
/// `received` says that it has it, and comes before the others; `accepted` that it will act on it, `blocked` that it
/// cannot. The last two need a message that was confirmed (`ack`, or `--consume-next`). Nothing is handed out again
/// because of it. Without `--status` what was said is shown, the oldest first.
///
/// Example: `conveyor inbox-ack parser --notification-id 7 --role manager --status received`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct InboxAck {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// Number of the message
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub notification_id: i64,
    /// Whose word it is: manager or worker, the one the message was for
    #[arg(long, value_name = "ROLE", requires = "status")]
    pub role: Option<Role>,
    /// received, accepted or blocked
    #[arg(long, value_name = "STATUS", requires = "role")]
    pub status: Option<AckStatus>,
    /// Ties together what belongs to it
    #[arg(long, value_name = "ID", requires = "status")]
    pub correlation_id: Option<String>,
    /// Details as a JSON object, from standard input; `--from-stdin={...}` takes them from the command line
    #[arg(long, value_name = "JSON", requires = "status", num_args = 0..=1, require_equals = true,
        default_missing_value = "-")]
    pub from_stdin: Option<TextArg>,
}

/// What was said.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum InboxAcks {
    /// Something was said now.
    Written(Written),
    /// What was said before.
    Read(Said),
}

/// An acknowledgement that was written.
#[derive(Debug, Serialize)]
pub struct Written {
    acknowledgement: Acknowledgement,
    dry_run: bool,
    notification: Notification,
    receipt: Receipt,
    task: TaskBrief,
}

/// The acknowledgements of a message.
#[derive(Debug, Serialize)]
pub struct Said {
    acknowledgements: Vec<Acknowledgement>,
    latest: Option<Acknowledgement>,
    notification: Notification,
    task: TaskBrief,
}

#[derive(Debug, Serialize)]
struct Receipt {
    event_id: i64,
    event_type: &'static str,
    recorded_at: Timestamp,
}

#[derive(Debug, Serialize)]
struct TaskBrief {
    id: String,
    name: String,
}

#[derive(Debug, Serialize)]
struct Notification {
    binding_id: Option<String>,
    consumed_at: Option<Timestamp>,
    delivered_at: Option<Timestamp>,
    delivery_mode: &'static str,
    id: i64,
    signal_type: String,
    state: ItemState,
    target_session_id: String,
    target_session_name: String,
    target_session_role: Role,
    task_id: Option<String>,
}

impl From<Item> for Notification {
    fn from(item: Item) -> Self {
        Self {
            binding_id: item.binding_id,
            consumed_at: item.consumed_at,
            delivered_at: item.delivered_at,
            delivery_mode: "pull_required",
            id: item.id,
            signal_type: item.signal_type,
            state: item.state,
            target_session_id: item.target_session_id,
            target_session_name: item.target_session_name,
            target_session_role: item.target_session_role,
            task_id: item.task_id,
        }
    }
}

impl Action for InboxAck {
    const NAME: &'static str = "inbox-ack";
    const FORMAT: Format = Format::Json;
    type Output = InboxAcks;

    fn run(self, cx: &Context) -> Result<InboxAcks> {
        let (Some(role), Some(status)) = (self.role, self.status) else { return self.show(cx) };
        let payload = self.from_stdin.as_ref().map_or_else(|| Ok(json!({})), details)?;
        let correlation_id = self.correlation_id.as_deref().map(correlation_id).transpose()?;
        let store = cx.ledger_to_change()?;
        let caller = caller::origin(cx, &store)?;
        store.write_durably(|w| {
            let (task, item) = self.message(w.read(), cx)?;
            let owner = lookup::bound_session(w.read(), &item.target_session_id)?;
            check_caller(&caller, &owner)?;
            check(w.read(), &item, role, status)?;
            let now = cx.now();
            let said = inbox::acknowledge(w, &item, status, &payload, correlation_id.as_deref(), now)?;
            let event_id = record(w, &task, &item, &said, &By::of(cx, &caller), now)?;
            Ok(InboxAcks::Written(Written {
                acknowledgement: said,
                dry_run: cx.dry_run(),
                notification: item.into(),
                receipt: Receipt { event_id, event_type: EVENT, recorded_at: now },
                task: TaskBrief { id: task.id, name: task.name },
            }))
        })
    }

    fn argv(&self) -> Argv {
        let Self { task, notification_id, role, status, correlation_id, from_stdin } = self;
        Argv::new(Self::NAME)
            .option("--notification-id", Some(notification_id))
            .option("--role", *role)
            .option("--status", *status)
            .option("--correlation-id", correlation_id.as_ref())
            .text("--from-stdin", from_stdin.as_ref())
            .end_of_options()
            .word(task)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.from_stdin.iter_mut().collect()
    }
}

impl InboxAck {
    fn show(&self, cx: &Context) -> Result<InboxAcks> {
        cx.ledger()?.read(|r| {
            let (task, item) = self.message(r, cx)?;
            let acknowledgements = inbox::acknowledgements(r, item.id)?;
            Ok(InboxAcks::Read(Said {
                latest: acknowledgements.last().cloned(),
                acknowledgements,
                notification: item.into(),
                task: TaskBrief { id: task.id, name: task.name },
            }))
        })
    }

    /// The task and the message, which must have come through its binding.
    fn message(&self, r: Read<'_>, cx: &Context) -> Result<(Task, Item)> {
        let task = lookup::task(r, &self.task)?;
        let binding = lookup::newest_binding(r, &task)?;
        let item = inbox::by_id(r, self.notification_id, &cx.moment())?;
        let item = item.ok_or_else(|| unknown(&task, self.notification_id))?;
        if item.binding_id.as_deref() != Some(&*binding.id) {
            return Err(foreign(&task, &binding, &item));
        }
        Ok((task, item))
    }
}

fn unknown(task: &Task, id: i64) -> Error {
    Error::not_found(format!("unknown routed notification for task {}: {id}", task.name)).hint(format!(
        "`conveyor manager-inbox {0}` and `conveyor worker-inbox {0}` list the numbers, `--consumed` the old ones",
        task.name
    ))
}

fn foreign(task: &Task, binding: &Binding, item: &Item) -> Error {
    let error = Error::refused(format!(
        "notification {} does not belong to the {} binding for task {}",
        item.id, binding.state, task.name
    ));
    match &item.task_name {
        Some(other) if *other != task.name => error.hint(format!("it belongs to the task {other}")),
        _ => error.hint("only what came through the task's last binding can be acknowledged"),
    }
}

/// Whether this may be said about the message now.
fn check(r: Read<'_>, item: &Item, role: Role, status: AckStatus) -> Result<()> {
    let id = item.id;
    if role != item.target_session_role {
        return Err(Error::refused(format!(
            "notification {id} is for {}; the target role is {}",
            item.target_session_name, item.target_session_role
        ))
        .hint(format!("--role {}", item.target_session_role)));
    }
    if item.state != ItemState::Delivered || item.delivered_at.is_none() {
        return Err(Error::refused(format!("notification {id} is {}, not delivered", item.state))
            .hint("what was given up is put back with --revive of the inbox commands"));
    }
    if status != AckStatus::Received && item.consumed_at.is_none() {
        return Err(Error::refused(format!("notification {id} must be consumed before it can be {status}"))
            .hint("confirm it with `conveyor ack TOKEN`, or take it with --consume-next"));
    }
    let more_was_said = inbox::acknowledgements(r, id)?.into_iter().any(|said| said.status != AckStatus::Received);
    if status == AckStatus::Received && more_was_said {
        return Err(Error::refused(format!("notification {id} was answered already; it cannot become received again"))
            .hint(format!("`conveyor inbox-ack TASK --notification-id {id}` shows what was said")));
    }
    Ok(())
}

fn details(text: &TextArg) -> Result<Value> {
    let wanted = |cause: Option<serde_json::Error>| {
        let error = Error::usage("--from-stdin requires a JSON object").hint("for instance {\"note\": \"I am on it\"}");
        match cause {
            Some(cause) => error.caused_by(cause),
            None => error,
        }
    };
    match serde_json::from_str::<Value>(text.get()?) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err(wanted(None)),
        Err(error) => Err(wanted(Some(error))),
    }
}

fn correlation_id(given: &str) -> Result<String> {
    let id = text::clean(given.trim());
    if id.is_empty() || id.contains(char::is_whitespace) || id.chars().count() > MAX_CORRELATION {
        return Err(Error::usage(format!("--correlation-id must be one word of at most {MAX_CORRELATION} characters")));
    }
    Ok(id)
}

fn record(
    w: &crate::store::Write<'_>,
    task: &Task,
    item: &Item,
    said: &Acknowledgement,
    by: &By,
    now: Timestamp,
) -> Result<i64> {
    let keys: Vec<&String> = said.payload.as_object().into_iter().flat_map(|object| object.keys()).collect();
    let details = json!({
        "binding_id": item.binding_id,
        "correlation_id": said.correlation_id.as_ref().unwrap_or(&item.correlation_id),
        "notification_id": item.id,
        "origin": by.origin,
        "payload_keys": keys,
        "role": said.role,
        "signal_type": item.signal_type,
        "status": said.status,
    });
    let about = audit::About { task_id: Some(&task.id), session_id: Some(&item.target_session_id) };
    Ok(audit::append(w, now, by.actor, EVENT, about, &details)?)
}

impl Outcome for InboxAcks {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Written(written) => {
                let verb = if written.dry_run { "would record" } else { "recorded" };
                let said = &written.acknowledgement;
                writeln!(out, "{verb}: {} says {} to #{}", said.role, said.status, said.notification_id)
            }
            Self::Read(said) if said.acknowledgements.is_empty() => {
                writeln!(out, "#{}: nothing was said yet", said.notification.id)
            }
            Self::Read(said) => said.acknowledgements.iter().try_for_each(|ack| {
                writeln!(out, "#{} {} {} {}", ack.notification_id, ack.created_at, ack.role, ack.status)
            }),
        }
    }
}
