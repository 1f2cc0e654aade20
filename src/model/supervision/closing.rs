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

impl Wants {
    /// The same for a reader, behind "asked for by".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Always => "every task",
            Self::Terms => "its terms",
            Self::Flag => "this command line",
        }
    }
}

/// How much a gate says about the work. Nothing in the way is not the same as something shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Something is in the way.
    NotMet,
    /// It is met.
    Met,
    /// Nothing is in the way, for nothing was asked for.
    NothingAsked,
    /// Nothing is in the way, and nothing was shown either.
    NothingShown,
}

impl Standing {
    /// The same for a reader.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotMet => "not met",
            Self::Met => "ok",
            Self::NothingAsked => "none asked for",
            Self::NothingShown => "nothing shown",
        }
    }
}

/// Why an acknowledgement does not hold, for a reader.
#[must_use]
pub fn acknowledgement_fault(code: &str) -> &str {
    match code {
        "missing" => "nothing was said",
        "other_binding" => "said under another binding",
        "other_config_revision" => "said about other terms",
        other => other,
    }
}

/// Whether an acknowledgement with these faults holds, for a reader.
#[must_use]
pub fn acknowledgement_stands(faults: &[&str]) -> String {
    let words: Vec<&str> = faults.iter().map(|code| acknowledgement_fault(code)).collect();
    if words.is_empty() { "holds".to_owned() } else { format!("does not hold: {}", words.join(", ")) }
}

/// A gate and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateCheck {
    /// Which.
    pub gate: Gate,
    /// Nothing is in the way.
    pub ok: bool,
    /// What is in the way, each as programs read it: with the code, where there is one.
    pub reasons: Vec<String>,
    /// The same for a reader.
    #[serde(skip)]
    pub told: Vec<String>,
    /// What to do about it, each a command line in words; nothing when it is met.
    pub next: Vec<String>,
    /// What whoever ends the task should know although it is not in the way.
    pub notes: Vec<String>,
    /// Who wants it; the first one that does.
    pub wanted_by: Wants,
    /// What it says when nothing is in the way.
    #[serde(skip)]
    unopposed: Standing,
}

impl GateCheck {
    /// A gate with what is in its way.
    #[must_use]
    pub fn new(gate: Gate, wanted_by: Wants, reasons: Vec<String>) -> Self {
        let ok = reasons.is_empty();
        let told = reasons.clone();
        Self { gate, ok, reasons, told, next: Vec::new(), notes: Vec::new(), wanted_by, unopposed: Standing::Met }
    }

    /// A gate with what is in its way: each as programs read it, and for a reader.
    #[must_use]
    pub fn worded(gate: Gate, wanted_by: Wants, reasons: Vec<(String, String)>) -> Self {
        let (reasons, told) = reasons.into_iter().unzip();
        Self { told, ..Self::new(gate, wanted_by, reasons) }
    }

    /// The same with what it says when nothing is in the way.
    #[must_use]
    pub fn unopposed(mut self, standing: Standing) -> Self {
        self.unopposed = standing;
        self
    }

    /// How much it says.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.ok { self.unopposed } else { Standing::NotMet }
    }

    /// Who asks for it; none when nobody has asked for anything.
    #[must_use]
    pub fn asked_by(&self) -> Option<&'static str> {
        (self.standing() != Standing::NothingAsked).then(|| self.wanted_by.words())
    }

    /// How it stands, in one line.
    #[must_use]
    pub fn words(&self) -> String {
        let name = self.gate.as_str().replace('_', " ");
        format!("{name}: {}", self.standing().words())
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
