//! What a manager decides about its worker.

use crate::text_enum;

text_enum! {
    /// A decision.
    pub enum Deciding {
        /// Let it work.
        Wait => "wait",
        /// Tell it something.
        Nudge => "nudge",
        /// End its turn.
        Interrupt => "interrupt",
        /// Ask the operator.
        Escalate => "escalate",
        /// End the work.
        Stop => "stop",
        /// Look closer.
        Inspect => "inspect",
    }
}

text_enum! {
    /// Why a decision does not carry what is to be done.
    pub enum DecisionFault {
        /// No number was given.
        Missing => "missing_decision_id",
        /// Nothing has this number.
        NotFound => "decision_not_found",
        /// It is about another task.
        OtherTask => "decision_task_mismatch",
        /// It decides something else.
        Mismatch => "decision_mismatch",
        /// It is too old, or from a time that is still to come.
        Stale => "decision_stale",
    }
}

impl DecisionFault {
    /// The same for a reader.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Missing => "no decision is named",
            Self::NotFound => "there is no decision of this number",
            Self::OtherTask => "the decision is about another task",
            Self::Mismatch => "the decision is not to stop",
            Self::Stale => "the decision is more than 15 minutes old",
        }
    }
}

/// How old a decision may be that something is done because of, in seconds.
pub const MAX_DECISION_AGE: i64 = 900;
