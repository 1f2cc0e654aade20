//! Turns that this program ended, and which end of a turn is one of them.
//!
//! Codex's rollout says that a turn was interrupted and not by whom: Esc in a pane looks as an interruption through the
//! server does, and as a no to what was asked. What this program did itself is on record, with who wanted it.

use super::{progress::TurnEnd, question::Verdict, state::Reading};
use crate::base::Timestamp;
use crate::text_enum;

text_enum! {
    /// The rule of a turn that somebody ended on purpose.
    pub enum Rule {
        /// The operator interrupted it.
        InterruptedByOperator => "interrupted_by_operator",
        /// Another session interrupted it.
        InterruptedBySession => "interrupted_by_session",
        /// The operator said no to what it asked.
        DeclinedByOperator => "declined_by_operator",
        /// Another session said no to what it asked.
        DeclinedBySession => "declined_by_session",
        /// The operator cancelled what it asked.
        CancelledByOperator => "cancelled_by_operator",
        /// Another session cancelled what it asked.
        CancelledBySession => "cancelled_by_session",
    }
}

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

/// Who ended a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// The operator.
    Operator,
    /// A session, by its name or what is known of it.
    Session(String),
}

/// How a turn was ended on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was interrupted.
    Interrupted,
    /// What it asked was declined.
    Declined,
    /// What it asked was cancelled.
    Cancelled,
}

/// A turn that was ended on purpose: who did it, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnPurpose {
    /// Who.
    pub by: By,
    /// How.
    pub how: How,
}

/// A line of the audit trail about the end of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// When.
    pub at: Timestamp,
    /// Who wanted it.
    pub by: By,
    /// The turn that was meant, or that ended; none where Codex gives turns no ids.
    pub turn_id: Option<String>,
    /// What was done.
    pub deed: Deed,
}

/// What a line of the audit trail tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// An interruption; what became of it, or none on the line that says that it begins.
    Interrupt(Option<InterruptOutcome>),
    /// An answer by which the turn ended, as the rollout showed whoever gave it.
    Answer {
        /// The answer.
        verdict: Verdict,
        /// First byte of the line that ended the turn.
        byte_offset: u64,
    },
}

/// An end of a turn that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// The turn.
    pub turn_id: Option<&'a str>,
    /// When, as its line says.
    pub at: Option<Timestamp>,
    /// First byte of its line.
    pub byte_offset: u64,
}

impl<'a> From<&'a TurnEnd> for End<'a> {
    fn from(end: &'a TurnEnd) -> Self {
        Self { turn_id: end.turn_id.as_deref(), at: end.at, byte_offset: end.byte_offset }
    }
}

/// Who ended the turn that ended like this, and how; none when this program has no record of it. `noted` has the newest
/// line first.
#[must_use]
pub fn by(end: End<'_>, noted: &[Noted]) -> Option<OnPurpose> {
    // Lines about what became of one, whose beginning has not been met yet.
    let mut concluded: Vec<(&Noted, InterruptOutcome)> = Vec::new();
    for line in noted {
        let is_its = match line.deed {
            Deed::Answer { byte_offset, .. } => {
                line.turn_id.as_deref() == end.turn_id && (end.turn_id.is_some() || byte_offset == end.byte_offset)
            }
            Deed::Interrupt(Some(outcome)) => {
                concluded.push((line, outcome));
                outcome.may_end_a_turn() && is_the_turn(line, end)
            }
            Deed::Interrupt(None) => {
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
            return Some(OnPurpose { by: line.by.clone(), how: line.deed.how() });
        }
    }
    None
}

fn is_the_turn(line: &Noted, end: End<'_>) -> bool {
    line.turn_id.is_some() && line.turn_id.as_deref() == end.turn_id
}

/// Whether only the time can tell, and the end came right after it was asked for.
fn is_soon_after(begun: &Noted, end: End<'_>) -> bool {
    let is_nameless = begun.turn_id.is_none() || end.turn_id.is_none();
    is_nameless && end.at.is_some_and(|at| (0..=SOON).contains(&(at.as_millis() - begun.at.as_millis())))
}

impl Deed {
    fn how(self) -> How {
        match self {
            Self::Interrupt(_) => How::Interrupted,
            Self::Answer { verdict: Verdict::Cancel, .. } => How::Cancelled,
            Self::Answer { verdict: Verdict::Decline | Verdict::Approve, .. } => How::Declined,
        }
    }
}

/// Between the two words that [`OnPurpose::words`] puts around whoever it was.
const INTERRUPTED_BY: &str = "interrupted by ";
const DECLINED: &str = " declined what it asked";
const CANCELLED: &str = " cancelled what it asked";

impl OnPurpose {
    /// The reading of such an end, with who it was.
    #[must_use]
    pub fn tells(&self, reading: Reading) -> Reading {
        Reading { rule: self.rule().as_str().to_owned(), reason: self.words(), ..reading }
    }

    /// Its rule.
    #[must_use]
    pub fn rule(&self) -> Rule {
        match (self.how, &self.by) {
            (How::Interrupted, By::Operator) => Rule::InterruptedByOperator,
            (How::Interrupted, By::Session(_)) => Rule::InterruptedBySession,
            (How::Declined, By::Operator) => Rule::DeclinedByOperator,
            (How::Declined, By::Session(_)) => Rule::DeclinedBySession,
            (How::Cancelled, By::Operator) => Rule::CancelledByOperator,
            (How::Cancelled, By::Session(_)) => Rule::CancelledBySession,
        }
    }

    /// The same for a reader, such as `interrupted by the operator` or `the operator declined what it asked`.
    #[must_use]
    pub fn words(&self) -> String {
        let who = match &self.by {
            By::Operator => "the operator",
            By::Session(name) => name.as_str(),
        };
        match self.how {
            How::Interrupted => format!("{INTERRUPTED_BY}{who}"),
            How::Declined => format!("{who}{DECLINED}"),
            How::Cancelled => format!("{who}{CANCELLED}"),
        }
    }
}

/// How the words of such an end go on behind `interrupted` and an age, said to the operator; none when the words are not
/// those of a turn that was ended on purpose.
#[must_use]
pub fn said_to_the_operator(rule: &str, words: &str) -> Option<String> {
    let you =
        |who: &str| if is_the_operators(rule) && who == "the operator" { "you".to_owned() } else { who.to_owned() };
    Some(match rule.parse().ok()? {
        Rule::InterruptedByOperator | Rule::InterruptedBySession => {
            format!(" by {}", you(words.strip_prefix(INTERRUPTED_BY)?))
        }
        Rule::DeclinedByOperator | Rule::DeclinedBySession => {
            format!(": {}{DECLINED}", you(words.strip_suffix(DECLINED)?))
        }
        Rule::CancelledByOperator | Rule::CancelledBySession => {
            format!(": {}{CANCELLED}", you(words.strip_suffix(CANCELLED)?))
        }
    })
}

/// Whether this is the rule of a turn that was ended on purpose, and no failure.
#[must_use]
pub fn is_on_purpose(rule: &str) -> bool {
    rule.parse::<Rule>().is_ok()
}

/// Whether this is the rule of a turn that the operator ended: no news to him.
#[must_use]
pub fn is_the_operators(rule: &str) -> bool {
    match rule.parse() {
        Ok(Rule::InterruptedByOperator | Rule::DeclinedByOperator | Rule::CancelledByOperator) => true,
        Ok(Rule::InterruptedBySession | Rule::DeclinedBySession | Rule::CancelledBySession) | Err(_) => false,
    }
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

    /// Who interrupted it.
    fn by(end: &TurnEnd, noted: &[Noted]) -> Option<By> {
        super::by(end.into(), noted).map(|found| {
            assert_eq!(found.how, How::Interrupted);
            found.by
        })
    }

    fn noted(turn: Option<&str>, at: i64, by: By, outcome: Option<InterruptOutcome>) -> Noted {
        Noted { at: Timestamp::from_millis(at), by, turn_id: turn.map(Into::into), deed: Deed::Interrupt(outcome) }
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

    #[test]
    fn an_answer_ends_exactly_the_turn_that_was_seen_to_end_by_it() {
        let no = |turn: Option<&str>, verdict, by| Noted {
            at: Timestamp::from_millis(900),
            by,
            turn_id: turn.map(Into::into),
            deed: Deed::Answer { verdict, byte_offset: 7 },
        };
        let m1 = || By::Session("manager m1".into());
        let told =
            |end: &TurnEnd, line: Noted| super::by(end.into(), &[line]).map(|found| (found.rule(), found.words()));
        let declined = no(Some("t1"), Verdict::Decline, By::Operator);
        assert_eq!(
            told(&end(Some("t1"), 500), declined.clone()),
            Some((Rule::DeclinedByOperator, "the operator declined what it asked".to_owned()))
        );
        assert_eq!(told(&end(Some("t2"), 500), declined.clone()), None, "the next turn was ended in the pane");
        assert_eq!(told(&end(None, 500), declined), None, "nobody saw which turn this was");
        assert_eq!(
            told(&end(Some("t1"), 500), no(Some("t1"), Verdict::Cancel, m1())),
            Some((Rule::CancelledBySession, "manager m1 cancelled what it asked".to_owned()))
        );
        // Where turns have no ids, the line itself is the one that was seen.
        assert!(told(&end(None, 500), no(None, Verdict::Decline, By::Operator)).is_some());
        let later = TurnEnd { byte_offset: 99, ..end(None, 950) };
        assert_eq!(told(&later, no(None, Verdict::Decline, By::Operator)), None, "a later one");
    }

    #[test]
    fn what_the_operator_did_is_said_to_him() {
        let said = |how, by| {
            let found = OnPurpose { how, by };
            assert!(is_on_purpose(found.rule().as_str()));
            said_to_the_operator(found.rule().as_str(), &found.words()).unwrap()
        };
        let w2 = || By::Session("worker w2".into());
        assert_eq!(said(How::Interrupted, By::Operator), " by you");
        assert_eq!(said(How::Declined, By::Operator), ": you declined what it asked");
        assert_eq!(said(How::Cancelled, w2()), ": worker w2 cancelled what it asked");
        // A session of that name is not the operator.
        assert_eq!(said(How::Interrupted, By::Session("the operator".into())), " by the operator");
        assert_eq!(said_to_the_operator("turn_aborted", "interrupted by the operator"), None);
    }
}
