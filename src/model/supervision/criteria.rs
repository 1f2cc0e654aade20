//! What a worker has to deliver, and how each of it stands.

use serde::Serialize;

use crate::text_enum;

text_enum! {
    /// Where a criterion stands.
    pub enum CriterionStatus {
        /// Somebody has proposed it.
        Proposed => "proposed",
        /// The work is held to it.
        Accepted => "accepted",
        /// It is fulfilled, with evidence on record.
        Satisfied => "satisfied",
        /// It is put off.
        Deferred => "deferred",
        /// It does not count.
        Rejected => "rejected",
    }
}

text_enum! {
    /// Where a criterion comes from.
    pub enum CriterionSource {
        /// The operator wants it.
        UserRequested => "user_requested",
        /// The manager sees it as part of the goal.
        ManagerInferred => "manager_inferred",
        /// The worker has proposed it.
        WorkerProposed => "worker_proposed",
        /// It came up when the work was looked over at its end.
        FinalAudit => "final_audit",
    }
}

text_enum! {
    /// What is done to a criterion that is there.
    pub enum CriterionMove {
        /// The work is held to it from now on, or again.
        Accept => "accept",
        /// It is fulfilled.
        Satisfy => "satisfy",
        /// It is put off.
        Defer => "defer",
        /// It does not count.
        Reject => "reject",
    }
}

impl CriterionMove {
    /// Where it leads.
    #[must_use]
    pub fn to(self) -> CriterionStatus {
        match self {
            Self::Accept => CriterionStatus::Accepted,
            Self::Satisfy => CriterionStatus::Satisfied,
            Self::Defer => CriterionStatus::Deferred,
            Self::Reject => CriterionStatus::Rejected,
        }
    }
}

impl CriterionStatus {
    /// Whether the move is one of those that lead on from here.
    #[must_use]
    pub fn allows(self, step: CriterionMove) -> bool {
        match step {
            CriterionMove::Accept => self != Self::Accepted,
            CriterionMove::Satisfy => self == Self::Accepted,
            CriterionMove::Defer => matches!(self, Self::Proposed | Self::Accepted),
            CriterionMove::Reject => matches!(self, Self::Proposed | Self::Accepted | Self::Deferred),
        }
    }

    /// Whether the move takes back what was settled, so that it needs a reason.
    #[must_use]
    pub fn is_reopened_by(self, step: CriterionMove) -> bool {
        step == CriterionMove::Accept && matches!(self, Self::Satisfied | Self::Rejected)
    }
}

/// How the criteria of a task stand, all together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each counts the criteria of the status of its name")]
pub struct CriteriaSummary {
    pub accepted: u64,
    pub deferred: u64,
    pub proposed: u64,
    pub rejected: u64,
    pub satisfied: u64,
}

impl CriteriaSummary {
    /// Counts one more.
    pub fn count(&mut self, status: CriterionStatus, number: u64) {
        *match status {
            CriterionStatus::Proposed => &mut self.proposed,
            CriterionStatus::Accepted => &mut self.accepted,
            CriterionStatus::Satisfied => &mut self.satisfied,
            CriterionStatus::Deferred => &mut self.deferred,
            CriterionStatus::Rejected => &mut self.rejected,
        } += number;
    }

    /// What the work is held to, fulfilled or not.
    #[must_use]
    pub fn binding(&self) -> u64 {
        self.accepted + self.satisfied
    }

    /// Whether worker and manager still have to agree on criteria for what is done now, and why.
    #[must_use]
    pub fn negotiation(&self) -> Option<&'static str> {
        let Self { accepted, deferred, proposed, rejected, satisfied } = self;
        match (proposed + accepted + satisfied, deferred + rejected) {
            (0, 0) => Some("no_criteria"),
            (0, _) => Some("no_current_task_criteria"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_lead_where_they_may_and_nowhere_else() {
        use CriterionMove::{Accept, Defer, Reject, Satisfy};
        let allowed = |from: CriterionStatus| -> Vec<CriterionMove> {
            CriterionMove::ALL.iter().copied().filter(|step| from.allows(*step)).collect()
        };
        assert_eq!(allowed(CriterionStatus::Proposed), [Accept, Defer, Reject]);
        assert_eq!(allowed(CriterionStatus::Accepted), [Satisfy, Defer, Reject]);
        assert_eq!(allowed(CriterionStatus::Satisfied), [Accept]);
        assert_eq!(allowed(CriterionStatus::Deferred), [Accept, Reject]);
        assert_eq!(allowed(CriterionStatus::Rejected), [Accept]);
    }

    #[test]
    fn criteria_are_negotiated_until_some_count_for_what_is_done_now() {
        let mut summary = CriteriaSummary::default();
        assert_eq!(summary.negotiation(), Some("no_criteria"));
        summary.count(CriterionStatus::Deferred, 2);
        assert_eq!(summary.negotiation(), Some("no_current_task_criteria"));
        summary.count(CriterionStatus::Proposed, 1);
        assert_eq!((summary.negotiation(), summary.binding()), (None, 0));
    }
}
