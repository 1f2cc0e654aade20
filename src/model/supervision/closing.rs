//! What has to be so before a task may be finished.

use serde::Serialize;

use crate::text_enum;

text_enum! {
    /// A gate.
    pub enum Gate {
        /// The task is open.
        OpenTask => "open_task",
        /// Whoever ends it may do so.
        Permission => "permission",
        /// Somebody has decided that it ends.
        Decision => "decision",
        /// What was to be delivered is settled.
        Criteria => "criteria",
        /// The evidence that the terms name is there.
        Evidence => "evidence",
        /// Somebody tried to break the work.
        AdversarialProof => "adversarial_proof",
        /// Both sides know the terms that are in force.
        Acknowledgements => "acknowledgements",
        /// The closing steps were done, on the work as it is now.
        Epilogue => "epilogue",
        /// What the sessions that are stopped show could be captured.
        Transcript => "transcript",
    }
}

text_enum! {
    /// Who wants a gate.
    pub enum Wants {
        /// It holds for every task.
        Always => "always",
        /// The terms of the task.
        Terms => "terms",
        /// The command line.
        Flag => "flag",
    }
}

/// A gate and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateCheck {
    /// Which.
    pub gate: Gate,
    /// Nothing is in the way.
    pub ok: bool,
    /// What is in the way, each in words.
    pub reasons: Vec<String>,
    /// What to do about it, each a command line in words; nothing when it is met.
    pub next: Vec<String>,
    /// What whoever ends the task should know although it is not in the way.
    pub notes: Vec<String>,
    /// Who wants it; the first one that does.
    pub wanted_by: Wants,
}

impl GateCheck {
    /// A gate with what is in its way.
    #[must_use]
    pub fn new(gate: Gate, wanted_by: Wants, reasons: Vec<String>) -> Self {
        Self { gate, ok: reasons.is_empty(), reasons, next: Vec::new(), notes: Vec::new(), wanted_by }
    }

    /// The same with what to do about it; it is asked for only when the gate is not met.
    #[must_use]
    pub fn leading_to(mut self, next: impl FnOnce() -> Vec<String>) -> Self {
        if !self.ok {
            self.next = next();
        }
        self
    }

    /// The same with what should be known.
    #[must_use]
    pub fn noting(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }
}
