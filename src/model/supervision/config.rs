//! How a task's manager is to supervise.

use serde::Serialize;

use super::{Permission, Permissions};
use crate::{base::Timestamp, text_enum};

text_enum! {
    /// How closely a manager supervises, the loosest first.
    pub enum Mode {
        /// It mostly watches.
        Light => "light",
        /// It guides where that helps.
        Guided => "guided",
        /// It holds the worker to every term.
        Strict => "strict",
    }
}

text_enum! {
    /// What happens when a worker has finished.
    pub enum NudgeOnCompletion {
        /// Nothing by itself.
        Off => "off",
        /// The operator is asked.
        AskOperator => "ask-operator",
        /// A reviewer compares the proposals.
        AutoReview => "auto-review",
        /// The work goes on.
        AutoProceed => "auto-proceed",
    }
}

text_enum! {
    /// A closing step.
    pub enum Epilogue {
        /// Run the configured tools.
        RunTools => "run-tools",
        /// Prepare a pull request.
        DraftPr => "draft-pr",
        /// Have somebody else review.
        SubagentReview => "subagent-review",
        /// Leave a handoff.
        RecordHandoff => "record-handoff",
    }
}

impl NudgeOnCompletion {
    /// Whether a person would see less of what comes next. With `off` nobody is asked, and nobody reviews.
    #[must_use]
    pub fn is_loosened_by(self, new: Self) -> bool {
        let is_tighter = matches!(
            (self, new),
            (Self::AutoProceed, Self::AutoReview | Self::AskOperator)
                | (Self::AutoReview | Self::Off, Self::AskOperator)
        );
        self != new && !is_tighter
    }
}

/// What a manager is held to. The default allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Terms {
    /// What the worker has to deliver, in the words the config was given.
    pub acceptance_criteria: Vec<String>,
    /// Closing steps, in their order.
    pub epilogues: Vec<Epilogue>,
    /// Evidence without which the work is not done.
    pub evidence_gates: Vec<String>,
    /// How the manager is to work.
    pub guidelines: Vec<String>,
    /// What follows when a worker has finished.
    pub nudge_on_completion: NudgeOnCompletion,
    /// What the supervision is for.
    pub objective: Option<String>,
    /// What the manager may do.
    pub permissions: Permissions,
    /// The recipe that was chosen; what was changed since is in the other fields.
    pub recipe_name: Option<String>,
    /// What the manager should have read.
    pub reference_paths: Vec<String>,
    /// Both sides have to say that they know these terms.
    pub require_acks: bool,
    /// How closely it supervises.
    pub supervision_mode: Mode,
    /// What the manager works with.
    pub tools: Vec<String>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            acceptance_criteria: Vec::new(),
            epilogues: Vec::new(),
            evidence_gates: Vec::new(),
            guidelines: Vec::new(),
            nudge_on_completion: NudgeOnCompletion::AskOperator,
            objective: None,
            permissions: Permissions::default(),
            recipe_name: None,
            reference_paths: Vec::new(),
            require_acks: false,
            supervision_mode: Mode::Guided,
            tools: Vec::new(),
        }
    }
}

impl Terms {
    /// The fields that differ, by their names in JSON.
    #[must_use]
    pub fn changes_to(&self, new: &Self) -> Vec<&'static str> {
        let fields = [
            ("acceptance_criteria", self.acceptance_criteria != new.acceptance_criteria),
            ("epilogues", self.epilogues != new.epilogues),
            ("evidence_gates", self.evidence_gates != new.evidence_gates),
            ("guidelines", self.guidelines != new.guidelines),
            ("nudge_on_completion", self.nudge_on_completion != new.nudge_on_completion),
            ("objective", self.objective != new.objective),
            ("permissions", self.permissions != new.permissions),
            ("recipe_name", self.recipe_name != new.recipe_name),
            ("reference_paths", self.reference_paths != new.reference_paths),
            ("require_acks", self.require_acks != new.require_acks),
            ("supervision_mode", self.supervision_mode != new.supervision_mode),
            ("tools", self.tools != new.tools),
        ];
        fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }

    /// The fields in which `new` would bind the manager less than these terms do: what only an operator may change.
    #[must_use]
    pub fn loosened_by(&self, new: &Self) -> Vec<&'static str> {
        fn lost<T: PartialEq>(old: &[T], new: &[T]) -> bool {
            old.iter().any(|one| !new.contains(one))
        }
        let fields = [
            ("acceptance_criteria", lost(&self.acceptance_criteria, &new.acceptance_criteria)),
            ("epilogues", lost(&self.epilogues, &new.epilogues)),
            ("evidence_gates", lost(&self.evidence_gates, &new.evidence_gates)),
            ("nudge_on_completion", self.nudge_on_completion.is_loosened_by(new.nudge_on_completion)),
            ("permissions", new.permissions.beyond(&self.permissions).next().is_some()),
            ("require_acks", self.require_acks && !new.require_acks),
            ("supervision_mode", self.supervision_mode > new.supervision_mode),
            // They are run as a closing step, perhaps by an operator: another one could be anything, or nothing.
            ("tools", self.tools != new.tools),
        ];
        fields.into_iter().filter(|(_, is_loose)| *is_loose).map(|(name, _)| name).collect()
    }
}

/// The terms of a task as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagerConfig {
    /// The task.
    pub task_id: String,
    /// The terms.
    pub terms: Terms,
    /// Grows by one with every change.
    pub revision: u64,
    /// When they were first set.
    pub created_at: Timestamp,
    /// When they were changed last.
    pub updated_at: Timestamp,
}

impl ManagerConfig {
    /// Of these permissions the ones that are not given; without a config none is.
    #[must_use]
    pub fn missing(config: Option<&Self>, needed: &[Permission]) -> Vec<Permission> {
        let holds = |one: &Permission| config.is_some_and(|config| config.terms.permissions.holds(*one));
        needed.iter().copied().filter(|one| !holds(one)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_binds_less_is_looser_and_what_binds_more_is_not() {
        let base = Terms {
            acceptance_criteria: vec!["a".to_owned()],
            epilogues: vec![Epilogue::RecordHandoff],
            evidence_gates: vec!["merge".to_owned()],
            permissions: [Permission::OpenPr].into_iter().collect(),
            require_acks: true,
            ..Terms::default()
        };
        let loosened = |change: fn(&mut Terms)| {
            let mut new = base.clone();
            change(&mut new);
            assert_ne!(base.changes_to(&new), [""; 0], "it changes something");
            base.loosened_by(&new)
        };
        assert_eq!(loosened(|new| new.permissions.grant([Permission::Stop])), ["permissions"]);
        assert_eq!(loosened(|new| new.permissions = Permissions::default()), [""; 0]);
        assert_eq!(loosened(|new| new.require_acks = false), ["require_acks"]);
        assert_eq!(loosened(|new| new.epilogues.clear()), ["epilogues"]);
        assert_eq!(loosened(|new| new.epilogues.push(Epilogue::DraftPr)), [""; 0]);
        assert_eq!(loosened(|new| new.evidence_gates = vec!["other".to_owned()]), ["evidence_gates"]);
        assert_eq!(loosened(|new| new.acceptance_criteria.clear()), ["acceptance_criteria"]);
        assert_eq!(loosened(|new| new.supervision_mode = Mode::Light), ["supervision_mode"]);
        assert_eq!(loosened(|new| new.supervision_mode = Mode::Strict), [""; 0]);
        assert_eq!(loosened(|new| new.nudge_on_completion = NudgeOnCompletion::AutoProceed), ["nudge_on_completion"]);
        assert_eq!(loosened(|new| new.nudge_on_completion = NudgeOnCompletion::Off), ["nudge_on_completion"]);
        assert_eq!(loosened(|new| new.tools = vec!["true".to_owned()]), ["tools"]);
        assert_eq!(loosened(|new| new.objective = Some("x".to_owned())), [""; 0]);
    }

    #[test]
    fn a_question_to_the_operator_is_never_taken_away_by_what_counts_as_tighter() {
        use NudgeOnCompletion::{AskOperator, AutoProceed, AutoReview, Off};
        let tighter: Vec<_> = NudgeOnCompletion::ALL
            .iter()
            .flat_map(|old| NudgeOnCompletion::ALL.iter().map(|new| (*old, *new)))
            .filter(|(old, new)| old != new && !old.is_loosened_by(*new))
            .collect();
        let wanted =
            [(Off, AskOperator), (AutoReview, AskOperator), (AutoProceed, AskOperator), (AutoProceed, AutoReview)];
        assert_eq!(tighter, wanted);
    }
}
