//! What the inbox commands print.

use std::fmt;

use serde::Serialize;

use super::{super::Outcome, ItemView};
use crate::{
    model::{session::Role, task::BindingState},
    store::inbox::Counts,
};

/// What an inbox holds, and what was taken from it.
#[derive(Debug, Serialize)]
pub struct InboxReport {
    /// Taken for good.
    pub(super) consumed: Option<ItemView>,
    pub(super) counts: Counts,
    pub(super) dead_letters: Vec<ItemView>,
    pub(super) dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) history: Option<Vec<ItemView>>,
    /// Why the worker's rollout could not be read before.
    pub(super) ingest_error: Option<String>,
    /// What waits besides.
    pub(super) items: Vec<ItemView>,
    /// Handed out, to be confirmed.
    pub(super) received: Option<ItemView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) revived: Vec<i64>,
    pub(super) session: SessionBrief,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) task: Option<TaskBrief>,
    pub(super) wait: WaitBrief,
}

#[derive(Debug, Serialize)]
pub(super) struct SessionBrief {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) role: Role,
}

#[derive(Debug, Serialize)]
pub(super) struct TaskBrief {
    pub(super) binding_id: String,
    pub(super) binding_state: BindingState,
    pub(super) id: String,
    pub(super) name: String,
}

#[derive(Debug, Serialize)]
pub(super) struct WaitBrief {
    pub(super) elapsed_seconds: f64,
    pub(super) enabled: bool,
    pub(super) interval_seconds: f64,
    /// How often the inbox was looked at.
    pub(super) poll_count: u64,
    pub(super) timed_out: bool,
    pub(super) timeout_seconds: f64,
}

impl Outcome for InboxReport {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "inbox of {}", self.session.name)?;
        match &self.task {
            Some(task) if task.binding_state == BindingState::Active => writeln!(out, " on {}", task.name)?,
            Some(task) => writeln!(out, " on {} (the binding is over; only what belongs to the task)", task.name)?,
            None => writeln!(out)?,
        }
        if let Some(error) = &self.ingest_error {
            writeln!(out, "the worker's rollout could not be read: {error}")?;
        }
        if !self.revived.is_empty() {
            let all: Vec<String> = self.revived.iter().map(|id| format!("#{id}")).collect();
            writeln!(out, "{}put back: {}", self.would(), all.join(" "))?;
        }
        if let Some(item) = &self.consumed {
            writeln!(out, "{}consumed:", self.would())?;
            item.human(out)?;
        }
        if let Some(item) = &self.received {
            match item.held_until() {
                Some(until) => writeln!(out, "{}received, yours until {until}:", self.would())?,
                None => writeln!(out, "{}received:", self.would())?,
            }
            item.human(out)?;
            writeln!(out, "confirm it: conveyor ack {}", item.token().unwrap_or_default())?;
        }
        let Some(history) = &self.history else { return self.human_waiting(out) };
        writeln!(out, "consumed: {}", none_or(history.len() as u64))?;
        history.iter().try_for_each(|item| item.human(out))?;
        self.human_dead(out)
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.counts.dead_letters > 0 && self.consumed.is_none() && self.received.is_none())
    }
}

impl InboxReport {
    fn would(&self) -> &'static str {
        if self.dry_run { "would be " } else { "" }
    }

    fn human_waiting(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "pending: {}", none_or(self.counts.waiting))?;
        self.items.iter().try_for_each(|item| item.human(out))?;
        self.human_dead(out)
    }

    fn human_dead(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        if self.counts.dead_letters > 0 {
            writeln!(out, "dead letters: {} (--revive puts them back)", self.counts.dead_letters)?;
            self.dead_letters.iter().try_for_each(|item| item.human(out))?;
        }
        Ok(())
    }
}

fn none_or(number: u64) -> String {
    if number == 0 { "none".to_owned() } else { number.to_string() }
}
