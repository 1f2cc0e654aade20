//! `tail`: the newest stored lines of a session's rollout.

use std::{fmt, path::Path};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Action, Argv, Context, Format, Outcome, lookup, supervise::blind};
use crate::{
    base::{Result, text},
    model::board::EventRow,
    ports::rollout::{RolloutFile, record_hash},
    store::{
        self,
        events::{Filter, StoredEvent},
    },
};

/// The longest line that is fetched from a rollout to be shown whole, in bytes.
pub(super) const WHOLE_LINE: u64 = 1 << 20;

/// How much is fetched from a rollout for one answer, in bytes.
const WHOLE_ANSWER: u64 = 64 << 20;

/// Keys whose text belongs to the format: it names kinds, states and things, and nobody said it. Keys that end in
/// `_id` or `_at` are such, too.
const STRUCTURAL_KEYS: &[&str] = &[
    "approval_policy",
    "cli_version",
    "effort",
    "history_mode",
    "id",
    "kind",
    "mode",
    "model",
    "model_provider",
    "multi_agent_version",
    "name",
    "originator",
    "phase",
    "plan_type",
    "reasoning_effort",
    "role",
    "status",
    "subtype",
    "thread_source",
    "timestamp",
    "type",
];

/// The longest text that can be a word of the format, in bytes; ids and versions are shorter.
const STRUCTURAL_BYTES: usize = 80;

/// Show the newest rollout events of a session
///
/// Newest first, from the ledger; run `ingest` before it for what was written since. What was said is left out
/// unless asked for.
///
/// Example: `conveyor tail w1 --limit 5 --include-content`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Tail {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// Only the newest N; 0 means all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
    /// Only events of this type (`task_complete`, `item_completed`, `message`, ...)
    #[arg(long, value_name = "TYPE")]
    pub subtype: Option<String>,
    /// Show whole lines, read again from the rollout; what goes beyond 64 MiB together is shown as the ledger has it
    #[arg(long)]
    pub include_content: bool,
}

/// One event as printed.
#[derive(Debug, Serialize)]
pub struct TailEvent {
    byte_length: u64,
    byte_offset: u64,
    flags: Vec<&'static str>,
    id: i64,
    item: Option<String>,
    payload: Value,
    /// `rollout` when the payload was read again from the file, `ledger` when it is the bounded copy.
    payload_source: &'static str,
    seen_count: i64,
    subtype: Option<String>,
    timestamp: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip)]
    brief: String,
}

/// The events, newest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct TailEvents(Vec<TailEvent>);

impl Action for Tail {
    const NAME: &'static str = "tail";
    const FORMAT: Format = Format::Json;
    type Output = TailEvents;

    fn run(self, cx: &Context) -> Result<TailEvents> {
        let filter = Filter { subtype: self.subtype.as_deref(), ..Filter::default() };
        let limit = if self.limit == 0 { u32::MAX } else { self.limit };
        let store = cx.ledger()?;
        let session = store.read(|r| lookup::session(r, &self.session))?;
        if self.include_content {
            blind::check(cx, &store, &session.id)?;
        }
        let events = store.read(|r| store::events::newest(r, &session.id, filter, limit))?;
        let mut room = WHOLE_ANSWER;
        Ok(TailEvents(events.into_iter().map(|event| TailEvent::of(event, self.include_content, &mut room)).collect()))
    }

    fn argv(&self) -> Argv {
        let Self { session, limit, subtype, include_content } = self;
        Argv::new(Self::NAME)
            .option("--limit", Some(limit))
            .option("--subtype", subtype.as_ref())
            .switch("--include-content", *include_content)
            .end_of_options()
            .word(session)
    }
}

impl TailEvent {
    fn of(event: StoredEvent, include_content: bool, room: &mut u64) -> Self {
        let fits = include_content && event.byte_length <= *room;
        let whole = if fits { whole_payload(&event) } else { None };
        if whole.is_some() {
            *room -= event.byte_length;
        }
        let payload_source = if whole.is_some() { "rollout" } else { "ledger" };
        let mut payload = whole.unwrap_or_else(|| serde_json::from_str(&event.payload_json).unwrap_or(Value::Null));
        if !include_content {
            redact(&mut payload);
        }
        Self {
            byte_length: event.byte_length,
            byte_offset: event.byte_offset,
            flags: event.flags.names(),
            id: event.id,
            item: event.item,
            payload,
            payload_source,
            seen_count: event.seen_count,
            subtype: event.subtype,
            timestamp: event.timestamp,
            kind: event.kind,
            brief: if include_content { event.brief } else { String::new() },
        }
    }
}

/// The line's payload as it stands in the rollout, if the line is still there unchanged.
fn whole_payload(event: &StoredEvent) -> Option<Value> {
    if event.byte_length > WHOLE_LINE {
        return None;
    }
    let line = line_of(event)?;
    let mut value: Value = serde_json::from_slice(&line).ok()?;
    clean(&mut value);
    match value.get_mut("payload") {
        Some(payload) => Some(payload.take()),
        None => Some(value),
    }
}

/// The line as it stands in the rollout now; none when it is gone or another one.
fn line_of(event: &StoredEvent) -> Option<Vec<u8>> {
    let file = RolloutFile::open(Path::new(&event.path)).ok()?;
    let line = file.read_line_at(event.byte_offset, event.byte_length).ok()?;
    (record_hash(&line) == event.record_hash).then_some(line)
}

fn clean(value: &mut Value) {
    match value {
        Value::String(said) => *said = text::clean(said),
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(members) => members.values_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Replaces every text by its size, except words of the format.
fn redact(value: &mut Value) {
    match value {
        Value::String(said) => {
            let mut size = Map::new();
            mark_redacted(&mut size, "", said);
            *value = Value::Object(size);
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(members) => {
            let said: Vec<String> = members
                .iter()
                .filter(|(key, value)| value.as_str().is_some_and(|text| !is_structural(key, text)))
                .map(|(key, _)| key.clone())
                .collect();
            for key in said {
                let Some(Value::String(text)) = members.remove(&key) else { continue };
                mark_redacted(members, &format!("{key}_"), &text);
            }
            // What is a text still is a word of the format.
            members.values_mut().filter(|value| !value.is_string()).for_each(redact);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a text is a word of the format. Prose under such a key is not.
fn is_structural(key: &str, text: &str) -> bool {
    let named = STRUCTURAL_KEYS.contains(&key) || key.ends_with("_id") || key.ends_with("_at");
    named && text.len() <= STRUCTURAL_BYTES && !text.contains(char::is_whitespace)
}

fn mark_redacted(members: &mut Map<String, Value>, prefix: &str, text: &str) {
    members.insert(format!("{prefix}redacted"), true.into());
    members.insert(format!("{prefix}byte_count"), text.len().into());
    members.insert(format!("{prefix}line_count"), text.lines().count().into());
}

impl Outcome for TailEvents {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        for event in &self.0 {
            let label = event.item.as_deref().or(event.subtype.as_deref()).unwrap_or(&event.kind);
            writeln!(out, "{}  {:>10}  {label}  {}", event.timestamp, event.byte_offset, event.brief)?;
        }
        Ok(())
    }
}

/// Which events a screen wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventQuery {
    /// Only events older than this one.
    pub before: Option<i64>,
    /// Only events whose short text or type contains this.
    pub text: Option<String>,
    /// Only events whose line type, payload type or item type is one of these; empty means all.
    pub kinds: Vec<String>,
    /// At most so many, the newest ones.
    pub limit: usize,
}

/// A page of a session's stored events, oldest first, for screens.
///
/// # Errors
/// When the ledger cannot be read.
pub fn event_page(cx: &Context, session_id: &str, query: &EventQuery) -> Result<Vec<EventRow>> {
    let filter = Filter { before: query.before, text: query.text.as_deref(), kinds: &query.kinds, ..Filter::default() };
    let limit = u32::try_from(query.limit).unwrap_or(u32::MAX);
    let mut events = cx.ledger()?.read(|r| store::events::newest(r, session_id, filter, limit))?;
    events.reverse();
    Ok(events
        .into_iter()
        .map(|event| EventRow {
            id: event.id,
            byte_offset: event.byte_offset,
            byte_length: event.byte_length,
            timestamp: event.timestamp.parse().ok(),
            kind: event.kind,
            subtype: event.subtype,
            item: event.item,
            text: event.brief,
            flags: event.flags.names().into_iter().map(str::to_owned).collect(),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_text_is_left_out_but_the_words_of_the_format() {
        let mut payload = json!({
            "type": "function_call", "call_id": "call_1", "name": "shell", "role": "not a role, but prose",
            "arguments": "{\"cmd\":\"cat secret\"}", "command": ["cat", "secret"], "exit_code": 3, "ok": true,
            "action": {"kind": "exec", "env": {"TOKEN": "secret"}},
            "content": [{"type": "input_text", "text": "secret\nsecret"}, "secret", ["secret"]],
        });
        redact(&mut payload);
        assert!(!payload.to_string().contains("secret"), "{payload}");
        assert!(!payload.to_string().contains("prose"), "{payload}");
        for (key, kept) in [("type", "function_call"), ("call_id", "call_1"), ("name", "shell")] {
            assert_eq!(payload[key], kept);
        }
        assert_eq!((&payload["exit_code"], &payload["ok"]), (&3.into(), &true.into()));
        assert_eq!(payload["action"]["kind"], "exec");
        assert_eq!((&payload["arguments_redacted"], &payload["arguments_byte_count"]), (&true.into(), &20.into()));
        assert_eq!(payload["command"][1], json!({"redacted": true, "byte_count": 6, "line_count": 1}));
        assert_eq!(payload["content"][0]["text_line_count"], 2);
        assert_eq!(payload["content"][0]["type"], "input_text");
    }

    #[test]
    fn a_payload_that_is_a_bare_text_is_left_out() {
        let mut payload = json!("secret");
        redact(&mut payload);
        assert_eq!(payload, json!({"redacted": true, "byte_count": 6, "line_count": 1}));
    }
}
