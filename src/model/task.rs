//! Tasks and the bindings that tie a worker and a manager session to them.

use serde::Serialize;

use crate::base::Timestamp;
use crate::text_enum;

text_enum! {
    /// Where a task stands.
    pub enum TaskState {
        /// Recorded, nobody works on it yet.
        Candidate => "candidate",
        /// Bound: a worker works, a manager supervises.
        Managed => "managed",
        /// Put aside.
        Paused => "paused",
        /// Finished: its gates were met.
        Done => "done",
        /// Stopped without that.
        Failed => "failed",
    }
}

impl TaskState {
    /// What it means, for a reader.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Candidate => "recorded; no worker and manager are bound to it yet",
            Self::Managed => "a worker and a manager are bound to it",
            Self::Paused => "put aside",
            Self::Done => "finished; its gates were met",
            Self::Failed => "stopped without being done",
        }
    }

    /// True until the task has ended.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Candidate | Self::Managed | Self::Paused)
    }
}

/// A unit of supervised work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Task {
    /// `task-<uuid>`.
    pub id: String,
    /// Unique among open tasks; the newest wins when a closed one has the same name.
    pub name: String,
    /// What is to be achieved.
    pub goal: String,
    /// A longer description.
    pub summary: Option<String>,
    /// Where it stands.
    pub state: TaskState,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When anything of it changed last.
    pub updated_at: Timestamp,
    /// How it ended; none while it is open.
    pub end: Option<TaskEnd>,
}

impl Task {
    /// Where it stands, in a word for people. Whoever ends a task that is not done stops it on purpose; only an older
    /// program has recorded failures without saying who ended it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (self.state, &self.end) {
            (TaskState::Failed, Some(_)) => STOPPED,
            (state, _) => state.as_str(),
        }
    }
}

/// The word for a task that was ended on purpose and is not done; on record it is `failed`.
pub const STOPPED: &str = "stopped";

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskEnd {
    /// When.
    pub at: Timestamp,
    /// Who ended it, in words.
    pub by: String,
    /// Why.
    pub reason: String,
}

text_enum! {
    /// Where a binding stands.
    pub enum BindingState {
        /// In force.
        Active => "active",
        /// Being ended.
        Ending => "ending",
        /// Over.
        Ended => "ended",
        /// Found broken: one of its sessions is gone.
        Invalid => "invalid",
    }
}

/// A task's worker and manager session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Binding {
    /// `binding-<uuid>`.
    pub id: String,
    /// The task.
    pub task_id: String,
    /// Where it stands.
    pub state: BindingState,
    /// The session that does the work.
    pub worker_session_id: String,
    /// The session that supervises.
    pub manager_session_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Binding {
    /// True while it ties its sessions to the task.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        matches!(self.state, BindingState::Active | BindingState::Ending)
    }

    /// Whether what happened at `at` belongs to this binding. What has no time may be older than it, and is no proof
    /// of work.
    #[must_use]
    pub fn covers(&self, at: Option<Timestamp>) -> bool {
        at.is_some_and(|at| at >= self.created_at)
    }

    /// The session at the other end, seen from `session_id`.
    #[must_use]
    pub fn other_end(&self, session_id: &str) -> &str {
        if self.worker_session_id == session_id { &self.manager_session_id } else { &self.worker_session_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_counts_only_when_it_is_known_to_lie_within_the_binding() {
        let at = Timestamp::from_millis;
        let binding = Binding {
            id: String::new(),
            task_id: String::new(),
            state: BindingState::Active,
            worker_session_id: String::new(),
            manager_session_id: String::new(),
            created_at: at(5),
            ended_at: None,
        };
        assert!(binding.covers(Some(at(5))));
        assert!(!binding.covers(Some(at(4))));
        assert!(!binding.covers(None), "an end without a time may be older than the binding");
    }
}
