//! A message as it is printed, in both forms.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::{
    base::{Timestamp, json, text},
    model::{delivery::ItemState, session::Role},
    store::inbox::{Acknowledgement, Item},
};

/// What stands before every line of a message, so that no line of it can pass for one of ours.
const QUOTED: &str = "  | ";

/// A message in an inbox: the contract's columns, and what is ours.
#[derive(Debug, Serialize)]
pub struct ItemView {
    acknowledgement: Option<Acknowledgement>,
    binding_id: Option<String>,
    claim_expires_at: Option<Timestamp>,
    claimed_at: Option<Timestamp>,
    claimed_by: Option<String>,
    command_id: Option<String>,
    consumed_at: Option<Timestamp>,
    consumed_by_session_id: Option<String>,
    /// Cycles consume nothing.
    consumed_manager_cycle_id: Option<i64>,
    correlation_id: String,
    created_at: Timestamp,
    dedupe_key: String,
    delivered_at: Option<Timestamp>,
    delivery_count: i64,
    delivery_mode: &'static str,
    error: Option<String>,
    id: i64,
    lease_token: Option<String>,
    leased: bool,
    payload: Value,
    read_at: Option<Timestamp>,
    /// When its words were renewed last, before anybody had read it; what it said first came at `delivered_at`.
    renewed_at: Option<Timestamp>,
    side_effect_completed: bool,
    side_effect_started: bool,
    signal_type: String,
    source_event_id: Option<i64>,
    source_event_timestamp: Option<Timestamp>,
    source_session_id: Option<String>,
    source_session_name: Option<String>,
    source_session_role: Option<Role>,
    state: ItemState,
    target_session_id: String,
    target_session_name: String,
    target_session_role: Role,
    task_id: Option<String>,
    task_name: Option<String>,
}

impl ItemView {
    /// The message as anybody may see it: without the token of its holder.
    pub fn of(item: Item) -> Self {
        let held = item.is_leased;
        Self {
            acknowledgement: item.acknowledgement,
            binding_id: item.binding_id,
            claim_expires_at: item.lease_expires_at.filter(|_| held),
            claimed_at: item.leased_at.filter(|_| held),
            claimed_by: held.then(|| item.target_session_id.clone()),
            command_id: item.command_id,
            consumed_at: item.consumed_at,
            consumed_by_session_id: item.consumed_by_session_id,
            consumed_manager_cycle_id: None,
            correlation_id: item.correlation_id,
            created_at: item.created_at,
            dedupe_key: item.dedupe_key,
            delivered_at: item.delivered_at,
            delivery_count: item.delivery_count,
            delivery_mode: "pull_required",
            error: item.error,
            id: item.id,
            lease_token: None,
            leased: held,
            payload: item.payload,
            read_at: item.read_at,
            renewed_at: item.renewed_at,
            side_effect_completed: false,
            side_effect_started: false,
            signal_type: item.signal_type,
            source_event_id: item.source_event_id,
            source_event_timestamp: item.source_event_timestamp,
            source_session_id: item.source_session_id,
            source_session_name: item.source_session_name,
            source_session_role: item.source_session_role,
            state: item.state,
            target_session_id: item.target_session_id,
            target_session_name: item.target_session_name,
            target_session_role: item.target_session_role,
            task_id: item.task_id,
            task_name: item.task_name,
        }
    }

    /// The message as its holder sees it.
    pub fn held(mut item: Item) -> Self {
        let token = item.lease_token.take();
        Self { lease_token: token, ..Self::of(item) }
    }

    /// Its number.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// What proves who holds it.
    pub fn token(&self) -> Option<&str> {
        self.lease_token.as_deref()
    }

    /// Until when it is held.
    pub fn held_until(&self) -> Option<Timestamp> {
        self.claim_expires_at
    }

    /// The head line and the message, quoted.
    pub fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let from = match &self.source_session_name {
            Some(name) => name,
            None if self.payload["created_by"] == "session" => "some Codex session",
            None => "the operator",
        };
        let at = self.delivered_at.unwrap_or(self.created_at);
        write!(out, "#{} {} from {from} to {}, {at}", self.id, self.signal_type, self.target_session_name)?;
        if let Some(at) = self.renewed_at {
            write!(out, ", renewed {at}")?;
        }
        if let Some(task) = &self.task_name {
            write!(out, ", task {task}")?;
        }
        match (self.consumed_at, self.leased, self.delivery_count) {
            (Some(at), ..) => write!(out, ", consumed {at}")?,
            (None, true, count) => write!(out, ", handed out ({count})")?,
            (None, false, 0) => {}
            (None, false, count) => write!(out, ", handed out before ({count})")?,
        }
        if let Some(said) = &self.acknowledgement {
            write!(out, ", {}", said.status)?;
        }
        writeln!(out, " ({})", self.correlation_id)?;
        if let Some(error) = &self.error {
            writeln!(out, "given up: {}", text::one_line(error))?;
        }
        self.body(out)
    }

    /// What it says: the message, and of a worker's turn the worker's own last words and why it failed.
    fn body(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let message = self.payload.get("message").and_then(Value::as_str);
        match message {
            Some(message) => quote(out, message)?,
            None => quote(out, &json::pretty(&self.payload).unwrap_or_default())?,
        }
        let receipt = &self.payload["worker_receipt"];
        // Codex says no more than that a turn was interrupted; who did it is on record here.
        let why = if receipt["ended_on_purpose"].is_string() { "ended_on_purpose" } else { "detail" };
        for (field, title) in [(why, "why"), ("last_agent_message", "the worker's last message")] {
            if let Some(words) = receipt[field].as_str() {
                writeln!(out, "{QUOTED}{title}:")?;
                quote(out, words)?;
            }
        }
        Ok(())
    }
}

/// Writes a foreign text, cleaned, each line behind [`QUOTED`].
fn quote(out: &mut dyn fmt::Write, words: &str) -> fmt::Result {
    let cleaned = text::clean(words);
    cleaned.trim_end().lines().try_for_each(|line| writeln!(out, "{}", format!("{QUOTED}{line}").trim_end()))
}
