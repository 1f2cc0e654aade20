//! Interruptions that went through this program, and which end of a turn is one of them.
//!
//! Codex's rollout says that a turn was interrupted and not by whom: Esc in a pane looks as an interruption through the
//! server does. What this program began itself is on record, with who wanted it.

use super::{progress::TurnEnd, state::Reading};
use crate::base::Timestamp;
use crate::text_enum;

/// The rule of a turn that the operator ended.
pub const BY_OPERATOR: &str = "interrupted_by_operator";
/// The rule of a turn that another session ended.
pub const BY_SESSION: &str = "interrupted_by_session";

/// For so long after it was asked for, an end without a turn's id is taken for what was asked for, in milliseconds.
const SOON: i64 = 60_000;

text_enum! {
    /// What became of an interruption.
    pub enum InterruptOutcome {
        /// A rehearsal: this turn would be interrupted.
        Planned => "planned",
        /// The rollout shows that the turn was cut off.
        Interrupted => "interrupted",
        /// No turn runs; nothing was pressed or sent.
        NothingToInterrupt => "nothing_to_interrupt",
        /// The turn ended by itself before it was interrupted.
        EndedByItself => "ended_by_itself",
        /// An approval or a question is open; nothing was pressed or sent.
        QuestionOpen => "question_open",
        /// It cannot be done now; nothing was pressed or sent.
        Refused => "refused",
        /// It was asked for, and the rollout does not show it yet.
        Unconfirmed => "unconfirmed",
        /// Whether it was asked for cannot be told, and the rollout does not show it.
        Unknown => "unknown",
    }
}

impl InterruptOutcome {
    /// Whether the turn may have ended by it.
    #[must_use]
    pub fn may_end_a_turn(self) -> bool {
        match self {
            Self::Interrupted | Self::Unconfirmed | Self::Unknown => true,
            Self::Planned | Self::NothingToInterrupt | Self::EndedByItself | Self::QuestionOpen | Self::Refused => {
                false
            }
        }
    }
}

/// Who interrupted a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// The operator.
    Operator,
    /// A session, by its name or what is known of it.
    Session(String),
}

/// A line of the audit trail about an interruption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// When.
    pub at: Timestamp,
    /// Who wanted it.
    pub by: By,
    /// The turn that was meant; none where Codex gives turns no ids.
    pub turn_id: Option<String>,
    /// What became of it; none on the line that says that it begins.
    pub outcome: Option<InterruptOutcome>,
}

/// Who interrupted the turn that ended like this; none when this program has no record of it. `noted` has the newest
/// line first.
#[must_use]
pub fn by(end: &TurnEnd, noted: &[Noted]) -> Option<By> {
    // Lines about what became of one, whose beginning has not been met yet.
    let mut concluded: Vec<(&Noted, InterruptOutcome)> = Vec::new();
    for line in noted {
        let is_its = match line.outcome {
            Some(outcome) => {
                concluded.push((line, outcome));
                outcome.may_end_a_turn() && is_the_turn(line, end)
            }
            None => {
                let at = concluded.iter().rposition(|(later, _)| later.by == line.by);
                match at.map(|at| concluded.remove(at)) {
                    Some((_, outcome)) if !outcome.may_end_a_turn() => false,
                    // It names the turn that it ended.
                    Some((Noted { turn_id: Some(_), .. }, _)) if line.turn_id.is_none() && end.turn_id.is_some() => {
                        false
                    }
                    _ => is_the_turn(line, end) || is_soon_after(line, end),
                }
            }
        };
        if is_its {
            return Some(line.by.clone());
        }
    }
    None
}

fn is_the_turn(line: &Noted, end: &TurnEnd) -> bool {
    line.turn_id.is_some() && line.turn_id == end.turn_id
}

/// Whether only the time can tell, and the end came right after it was asked for.
fn is_soon_after(begun: &Noted, end: &TurnEnd) -> bool {
    let is_nameless = begun.turn_id.is_none() || end.turn_id.is_none();
    is_nameless && end.at.is_some_and(|at| (0..=SOON).contains(&(at.as_millis() - begun.at.as_millis())))
}

impl By {
    /// The reading of such an end, with who it was.
    #[must_use]
    pub fn tells(&self, reading: Reading) -> Reading {
        let (rule, who) = match self {
            Self::Operator => (BY_OPERATOR, "the operator"),
            Self::Session(name) => (BY_SESSION, name.as_str()),
        };
        Reading { rule: rule.to_owned(), reason: format!("interrupted by {who}"), ..reading }
    }
}

/// Whether this is the rule of a turn that was ended on purpose, and no failure.
#[must_use]
pub fn is_on_purpose(rule: &str) -> bool {
    matches!(rule, BY_OPERATOR | BY_SESSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::progress::EndKind;

    fn end(turn: Option<&str>, at: i64) -> TurnEnd {
        TurnEnd {
            kind: EndKind::Aborted,
            at: Some(Timestamp::from_millis(at)),
            byte_offset: 7,
            turn_id: turn.map(Into::into),
            last_message: None,
            error: None,
            reason: Some("interrupted".into()),
        }
    }

    fn noted(turn: Option<&str>, at: i64, by: By, outcome: Option<InterruptOutcome>) -> Noted {
        Noted { at: Timestamp::from_millis(at), by, turn_id: turn.map(Into::into), outcome }
    }

    #[test]
    fn an_end_is_told_by_its_turn() {
        let begun = noted(Some("t1"), 0, By::Operator, None);
        let done = noted(Some("t1"), 900, By::Operator, Some(InterruptOutcome::Interrupted));
        assert_eq!(by(&end(Some("t1"), 500), &[done, begun.clone()]), Some(By::Operator));
        assert_eq!(
            by(&end(Some("t1"), 500), std::slice::from_ref(&begun)),
            Some(By::Operator),
            "its end is not noted yet"
        );
        assert_eq!(by(&end(Some("t2"), 500), &[begun]), None, "another turn ended by somebody else");
        assert_eq!(by(&end(Some("t1"), 500), &[]), None);
    }

    #[test]
    fn what_came_to_nothing_ended_nothing() {
        let m1 = || By::Session("m1".into());
        let begun = noted(Some("t1"), 0, m1(), None);
        let refused = noted(Some("t1"), 900, m1(), Some(InterruptOutcome::Refused));
        assert_eq!(by(&end(Some("t1"), 5_000), &[refused, begun.clone()]), None);
        // A second one that found no turn any more takes nothing from the first.
        let found_none = noted(None, 2_000, By::Operator, Some(InterruptOutcome::NothingToInterrupt));
        let done = noted(Some("t1"), 900, m1(), Some(InterruptOutcome::Interrupted));
        assert_eq!(by(&end(Some("t1"), 500), &[found_none, done, begun]), Some(m1()));
    }

    #[test]
    fn an_interruption_without_an_id_takes_no_other_turn() {
        // The turn's own line was not in the rollout yet when it began.
        let begun = noted(None, 0, By::Operator, None);
        let done = noted(Some("t1"), 900, By::Operator, Some(InterruptOutcome::Interrupted));
        let lines = [done, begun];
        assert_eq!(by(&end(Some("t1"), 500), &lines), Some(By::Operator));
        assert_eq!(by(&end(Some("t2"), 20_000), &lines), None, "the next turn was ended in the pane");
    }

    /// The program was killed before it could say what became of it, or did not see the end in its time.
    #[test]
    fn what_became_of_one_without_an_id_is_told_by_the_time_as_long_as_nothing_else_tells_it() {
        let begun = noted(None, 1_000, By::Operator, None);
        let alone = std::slice::from_ref(&begun);
        assert_eq!(by(&end(Some("t1"), 1_400), alone), Some(By::Operator), "killed");
        assert_eq!(by(&end(Some("t1"), 900), alone), None, "it had ended before");
        assert_eq!(by(&end(Some("t1"), 90_000), alone), None, "long after it");
        for open in [InterruptOutcome::Unconfirmed, InterruptOutcome::Unknown] {
            let lines = [noted(None, 9_000, By::Operator, Some(open)), begun.clone()];
            assert_eq!(by(&end(Some("t1"), 9_400), &lines), Some(By::Operator), "{open}");
        }
        for nothing in [InterruptOutcome::Refused, InterruptOutcome::EndedByItself] {
            let lines = [noted(None, 9_000, By::Operator, Some(nothing)), begun.clone()];
            assert_eq!(by(&end(Some("t1"), 9_400), &lines), None, "{nothing}");
        }
    }

    #[test]
    fn of_two_at_the_same_time_each_has_its_own_outcome() {
        let m1 = || By::Session("m1".into());
        let lines = [
            noted(None, 1_200, By::Operator, Some(InterruptOutcome::EndedByItself)),
            noted(Some("t1"), 1_100, m1(), Some(InterruptOutcome::Interrupted)),
            noted(None, 1_001, By::Operator, None),
            noted(None, 1_000, m1(), None),
        ];
        assert_eq!(by(&end(Some("t1"), 1_050), &lines), Some(m1()));
        assert_eq!(by(&end(Some("t2"), 9_000), &lines), None, "the next turn was ended in the pane");
    }

    #[test]
    fn without_ids_the_end_right_after_it_counts() {
        let begun = noted(None, 1_000, By::Operator, None);
        assert_eq!(by(&end(None, 1_400), std::slice::from_ref(&begun)), Some(By::Operator));
        assert_eq!(by(&end(None, 900), std::slice::from_ref(&begun)), None, "it had ended before");
        assert_eq!(by(&end(None, 90_000), &[begun]), None, "long after it");
    }
}
