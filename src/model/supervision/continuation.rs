//! What comes next: what a worker and its manager propose, how somebody else judges the pair, and who decides.

use serde::{Deserialize, Serialize};

use super::NudgeOnCompletion;
use crate::text_enum;

text_enum! {
    /// Who proposes.
    pub enum Proposer {
        /// The worker, first.
        Worker => "worker",
        /// The manager, without sight of the worker's.
        Manager => "manager",
    }
}

text_enum! {
    /// How far two proposals agree.
    pub enum Agreement {
        /// They say the same.
        Match => "match",
        /// Both can be done.
        Compatible => "compatible",
        /// They cannot both be right.
        Divergent => "divergent",
    }
}

text_enum! {
    /// What is to be done about two proposals.
    pub enum ReviewVerdict {
        /// Go on.
        Proceed => "proceed",
        /// Go on with a change.
        Amend => "amend",
        /// Do not go on.
        Stop => "stop",
    }
}

text_enum! {
    /// Who judged.
    pub enum ReviewSource {
        /// The confined program.
        Reviewer => "reviewer",
        /// A person.
        Operator => "operator",
    }
}

text_enum! {
    /// Why a person is asked.
    pub enum OperatorQuestion {
        /// Both proposals are in, and nobody else is to judge them.
        ContinuationReady => "continuation_ready",
        /// They do not agree.
        ContinuationDivergent => "continuation_divergent",
        /// The verdict is not to go on.
        ContinuationStopped => "continuation_stopped",
        /// There is no judgement that counts.
        ReviewFailed => "review_failed",
    }
}

/// What a reviewer says. Other keys of its object mean nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// What has to be added to the proposals.
    pub addendum: Option<String>,
    /// How far they agree.
    pub agreement: Agreement,
    /// Why.
    pub rationale: String,
    /// What is to be done.
    pub verdict: ReviewVerdict,
}

impl Judgement {
    /// The judgement that stands where none could be had.
    #[must_use]
    pub fn failed(why: String) -> Self {
        Self {
            addendum: Some("The review did not take place; a person has to decide.".to_owned()),
            agreement: Agreement::Divergent,
            rationale: why,
            verdict: ReviewVerdict::Stop,
        }
    }
}

/// Why a person has to decide about a judgement; none when nobody has to.
#[must_use]
pub fn asks_operator(mode: NudgeOnCompletion, judgement: &Judgement, failed: bool) -> Option<OperatorQuestion> {
    if failed {
        Some(OperatorQuestion::ReviewFailed)
    } else if judgement.verdict == ReviewVerdict::Stop {
        Some(OperatorQuestion::ContinuationStopped)
    } else if judgement.agreement == Agreement::Divergent && mode != NudgeOnCompletion::AutoProceed {
        Some(OperatorQuestion::ContinuationDivergent)
    } else if mode == NudgeOnCompletion::AskOperator {
        // The terms leave it to a person, whatever a reviewer says.
        Some(OperatorQuestion::ContinuationReady)
    } else {
        None
    }
}

/// What follows by itself when both proposals are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenReady {
    /// Nothing.
    Nothing,
    /// A person is asked.
    Ask,
    /// A reviewer is begun.
    Review,
}

/// What the terms say about two proposals that are in.
#[must_use]
pub fn when_ready(mode: NudgeOnCompletion) -> WhenReady {
    match mode {
        NudgeOnCompletion::Off => WhenReady::Nothing,
        NudgeOnCompletion::AskOperator => WhenReady::Ask,
        NudgeOnCompletion::AutoReview | NudgeOnCompletion::AutoProceed => WhenReady::Review,
    }
}

/// Whether the worker is told to go on because of this judgement, without anybody else's word.
#[must_use]
pub fn goes_on(mode: NudgeOnCompletion, judgement: &Judgement, failed: bool) -> bool {
    mode == NudgeOnCompletion::AutoProceed && !failed && judgement.verdict == ReviewVerdict::Proceed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(agreement: Agreement, verdict: ReviewVerdict) -> Judgement {
        Judgement { addendum: None, agreement, rationale: "r".to_owned(), verdict }
    }

    #[test]
    fn each_mode_does_something_else() {
        use NudgeOnCompletion as Mode;
        let of = |mode| {
            let divergent = judged(Agreement::Divergent, ReviewVerdict::Proceed);
            let good = judged(Agreement::Match, ReviewVerdict::Proceed);
            (when_ready(mode), asks_operator(mode, &divergent, false).is_some(), goes_on(mode, &good, false))
        };
        assert_eq!(of(Mode::Off), (WhenReady::Nothing, true, false));
        assert_eq!(of(Mode::AskOperator), (WhenReady::Ask, true, false));
        assert_eq!(of(Mode::AutoReview), (WhenReady::Review, true, false));
        assert_eq!(of(Mode::AutoProceed), (WhenReady::Review, false, true));
    }

    #[test]
    fn a_good_judgement_asks_a_person_only_where_the_terms_leave_it_to_them() {
        let good = judged(Agreement::Match, ReviewVerdict::Proceed);
        for mode in NudgeOnCompletion::ALL {
            let asks = (*mode == NudgeOnCompletion::AskOperator).then_some(OperatorQuestion::ContinuationReady);
            assert_eq!(asks_operator(*mode, &good, false), asks, "{mode}");
        }
    }

    #[test]
    fn a_stop_and_a_failure_ask_a_person_in_every_mode_and_never_go_on() {
        for mode in NudgeOnCompletion::ALL {
            for agreement in Agreement::ALL {
                let stop = judged(*agreement, ReviewVerdict::Stop);
                assert_eq!(asks_operator(*mode, &stop, false), Some(OperatorQuestion::ContinuationStopped));
                assert!(!goes_on(*mode, &stop, false));
                let amend = judged(*agreement, ReviewVerdict::Amend);
                assert!(!goes_on(*mode, &amend, false), "what is to be changed is not begun by itself");
            }
            let failed = Judgement::failed("x".to_owned());
            assert_eq!(asks_operator(*mode, &failed, true), Some(OperatorQuestion::ReviewFailed));
            assert!(!goes_on(*mode, &judged(Agreement::Match, ReviewVerdict::Proceed), true));
        }
    }
}
