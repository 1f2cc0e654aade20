//! What a session may want to do to another one, and why it may not.

use super::Permission;
use crate::text_enum;

text_enum! {
    /// What is done to a session.
    pub enum Deed {
        /// Tell it something.
        Nudge => "nudge",
        /// End its turn.
        Interrupt => "interrupt",
        /// Compact its context.
        Compact => "compact",
        /// Begin an empty context.
        Clear => "clear",
        /// End it.
        Stop => "stop",
        /// Let it do what it asks for.
        Approve => "approve",
        /// Tell it that it may not.
        Decline => "decline",
    }
}

text_enum! {
    /// Why something is not allowed.
    pub enum GateReason {
        /// The task has no terms, which allows nothing.
        MissingManagerConfig => "missing_manager_config",
        /// The terms do not give it.
        PermissionNotEnabled => "permission_not_enabled",
        /// No handoff of the worker is on record.
        MissingWorkerHandoff => "missing_worker_handoff",
        /// The handoff is of another binding, or the context was compacted since.
        StaleWorkerHandoff => "stale_worker_handoff",
        /// The session that asks does not supervise the other one.
        NotItsWorker => "not_its_worker",
        /// The session that asks is a worker.
        WorkersMayNot => "workers_may_not",
        /// No permission covers it.
        OnlyAnOperator => "only_an_operator",
    }
}

impl GateReason {
    /// The same for a reader.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::MissingManagerConfig => "the task has no terms, which allows its manager nothing",
            Self::PermissionNotEnabled => "the terms do not allow it",
            Self::MissingWorkerHandoff => "the worker has handed nothing over",
            Self::StaleWorkerHandoff => {
                "the handoff is from another binding, or from before the worker's context was compacted or cleared"
            }
            Self::NotItsWorker => "it does not supervise that session",
            Self::WorkersMayNot => "a worker may not",
            Self::OnlyAnOperator => "only an operator may",
        }
    }
}

impl Deed {
    /// The permission that a manager needs for it.
    #[must_use]
    pub fn needs(self) -> Option<Permission> {
        match self {
            Self::Interrupt | Self::Decline => Some(Permission::Interrupt),
            Self::Compact => Some(Permission::Compact),
            Self::Clear => Some(Permission::Clear),
            Self::Stop => Some(Permission::Stop),
            // A manager speaks with its worker; approvals are for a person.
            Self::Nudge | Self::Approve => None,
        }
    }

    /// Whether the worker has to have left a handoff first.
    #[must_use]
    pub fn needs_handoff(self) -> bool {
        matches!(self, Self::Compact | Self::Clear)
    }
}
