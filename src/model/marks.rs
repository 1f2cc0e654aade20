//! What the operator has put on sessions and tasks: pins, snoozes, and how far a session was looked at.
//!
//! Marks say something about the operator's attention and nothing about the session. Times are those of the wall
//! clock: "in half an hour" is meant for people, and it holds over a restart of the machine.

use serde::Serialize;

use super::{
    interruption,
    state::{Condition, Judgement, Source},
};
use crate::base::Timestamp;

/// The marks of a session or a task, as stored. A task is never looked at like a session, so it has no `seen`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// It floats in its tier since then.
    pub pinned_at: Option<Timestamp>,
    /// It is put aside for a while.
    pub snooze: Option<Snooze>,
    /// How far it was looked at.
    pub seen: Option<Seen>,
    /// The operator wants to come back to it, however far it was looked at.
    pub unread_at: Option<Timestamp>,
}

/// Put aside for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snooze {
    /// When it was put aside. What happens later may wake it.
    pub at: Timestamp,
    /// When it comes back by itself.
    pub until: Timestamp,
}

/// How far the operator has looked at a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// What of its rollout; none when it had none.
    pub rollout: Option<SeenTo>,
}

/// The part of a rollout file that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTo {
    /// The file.
    pub path: String,
    /// Which file of this name: it grows when the file turns out to be another one.
    pub generation: i64,
    /// The first byte that was not seen.
    pub offset: u64,
}

/// Where a session stands, as far as marks ask for it.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// What it is doing.
    pub judgement: &'a Judgement,
    /// Path and generation of the rollout that it writes now.
    pub rollout: Option<(&'a str, i64)>,
    /// When the newest of its open questions was asked.
    pub asked_at: Option<Timestamp>,
}

/// The marks as screens and listings show them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MarksView {
    /// It floats in its tier.
    pub pinned: bool,
    /// It is put aside until then; none when it is awake.
    pub snoozed_until: Option<Timestamp>,
    /// There is something that the operator has not looked at, or wants to come back to.
    pub unread: bool,
    /// The operator has marked it unread, whatever was looked at.
    #[serde(skip)]
    pub unread_by_hand: bool,
    /// When the operator looked at it last.
    pub seen_at: Option<Timestamp>,
    /// The first byte of the rollout that was not looked at.
    pub seen_offset: Option<u64>,
}

impl MarksView {
    /// Whether it is put aside at the moment `now`.
    #[must_use]
    pub fn is_snoozed(&self, now: Timestamp) -> bool {
        self.snoozed_until.is_some_and(|until| until > now)
    }
}

impl Marks {
    /// What the marks of a session come to at the moment `now`.
    #[must_use]
    pub fn of_session(&self, standing: Standing<'_>, now: Timestamp) -> MarksView {
        let snooze = self.snooze.filter(|snooze| !wakes(snooze.at, standing));
        MarksView {
            unread: self.unread_at.is_some() || self.has_unseen_end(standing),
            unread_by_hand: self.unread_at.is_some(),
            seen_at: self.seen.as_ref().map(|seen| seen.at),
            seen_offset: self.seen.as_ref().and_then(|seen| seen.rollout.as_ref()).map(|to| to.offset),
            ..Self { snooze, ..self.clone() }.of_task(now)
        }
    }

    /// What the marks of a task come to at the moment `now`.
    #[must_use]
    pub fn of_task(&self, now: Timestamp) -> MarksView {
        MarksView {
            pinned: self.pinned_at.is_some(),
            snoozed_until: self.snooze.map(|snooze| snooze.until).filter(|until| *until > now),
            ..MarksView::default()
        }
    }

    /// Whether its last turn ended, well or badly, and nobody has looked since.
    fn has_unseen_end(&self, standing: Standing<'_>) -> bool {
        let condition = standing.judgement.condition;
        let is_own = interruption::is_the_operators(&standing.judgement.rule);
        if is_own || !matches!(condition, Condition::Done | Condition::Aborted) {
            return false;
        }
        let Some(seen) = &self.seen else { return true };
        let in_rollout = standing
            .judgement
            .readings
            .iter()
            .find(|reading| reading.source == Source::Rollout && reading.condition == condition)
            .and_then(|reading| reading.byte_offset);
        match (in_rollout, standing.rollout) {
            // The byte where it stands decides, whatever the clocks say.
            (Some(offset), Some((path, generation))) => !seen
                .rollout
                .as_ref()
                .is_some_and(|to| to.path == path && to.generation == generation && offset < to.offset),
            // A process that died leaves nothing in the rollout.
            _ => standing.judgement.since.is_some_and(|since| since > seen.at),
        }
    }

    /// The same, looked at up to `offset` of the rollout, or without one. What was seen before stays seen.
    #[must_use]
    pub fn looked_at(self, now: Timestamp, rollout: Option<SeenTo>) -> Self {
        let before = self.seen.and_then(|seen| seen.rollout);
        let rollout = match (before, rollout) {
            (Some(before), Some(to)) if before.path == to.path && before.generation == to.generation => {
                Some(SeenTo { offset: to.offset.max(before.offset), ..to })
            }
            (before, to) => to.or(before),
        };
        Self { seen: Some(Seen { at: now, rollout }), unread_at: None, ..self }
    }
}

/// Whether a session wakes before its time: it asks the operator something, or has failed, since it was put aside. What
/// it asked before stays aside with it, and an answer can wait.
fn wakes(snoozed_at: Timestamp, standing: Standing<'_>) -> bool {
    let judgement = standing.judgement;
    let since = match judgement.condition {
        // Another sensor that tells of the same question begins anew; the question itself has one beginning.
        Condition::Blocked => standing.asked_at.or(judgement.since),
        Condition::Aborted if !interruption::is_the_operators(&judgement.rule) => judgement.since,
        Condition::Aborted => None,
        Condition::Busy | Condition::Idle | Condition::Done | Condition::Unknown => None,
    };
    since.is_some_and(|since| since > snoozed_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::state::Reading;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn judgement(condition: Condition, since: i64, offset: Option<u64>) -> Judgement {
        let mut judgement = Judgement::unknown("a_rule", "a reason");
        judgement.condition = condition;
        judgement.since = Some(at(since));
        judgement.readings.extend(offset.map(|offset| Reading {
            source: Source::Rollout,
            condition,
            rule: "a_rule".into(),
            reason: "a reason".into(),
            at: Some(at(since)),
            byte_offset: Some(offset),
        }));
        judgement
    }

    fn view(marks: &Marks, judgement: &Judgement, asked_at: Option<i64>, now: i64) -> MarksView {
        let standing = Standing { judgement, rollout: Some(("/r", 1)), asked_at: asked_at.map(at) };
        marks.of_session(standing, at(now))
    }

    fn seen(path: &str, generation: i64, offset: u64) -> Option<SeenTo> {
        Some(SeenTo { path: path.into(), generation, offset })
    }

    #[test]
    fn an_end_is_unread_until_its_byte_was_seen() {
        let done = judgement(Condition::Done, 100, Some(500));
        let unread = |marks: &Marks| view(marks, &done, None, 200).unread;
        assert!(unread(&Marks::default()), "nobody has looked");
        let looked = |to: Option<SeenTo>| Marks::default().looked_at(at(150), to);
        assert!(unread(&looked(seen("/r", 1, 500))), "it was looked at before the line was there");
        assert!(!unread(&looked(seen("/r", 1, 501))));
        assert!(unread(&looked(seen("/other", 1, 900))), "another file");
        assert!(unread(&looked(seen("/r", 2, 900))), "another file of this name");
        let failed = judgement(Condition::Aborted, 100, Some(500));
        assert!(view(&looked(seen("/r", 1, 400)), &failed, None, 200).unread);
        let busy = judgement(Condition::Busy, 100, Some(500));
        assert!(!view(&Marks::default(), &busy, None, 200).unread, "nothing has ended");
    }

    #[test]
    fn what_left_no_line_is_unread_by_its_time() {
        let died = judgement(Condition::Aborted, 100, None);
        let looked = |when: i64| Marks::default().looked_at(at(when), seen("/r", 1, 900));
        assert!(view(&looked(99), &died, None, 200).unread);
        assert!(!view(&looked(100), &died, None, 200).unread);
    }

    #[test]
    fn unread_by_hand_stays_until_the_next_look_and_a_look_never_unsees() {
        let idle = judgement(Condition::Idle, 100, Some(500));
        let marks = Marks { unread_at: Some(at(150)), ..Marks::default() };
        assert!(view(&marks, &idle, None, 200).unread);
        let looked = marks.looked_at(at(160), seen("/r", 1, 600));
        assert!(!view(&looked, &idle, None, 200).unread);
        let again = looked.clone().looked_at(at(170), seen("/r", 1, 300));
        assert_eq!(again.seen.as_ref().unwrap().rollout, seen("/r", 1, 600));
        assert_eq!(looked.clone().looked_at(at(170), None).seen.unwrap().rollout, seen("/r", 1, 600));
        assert_eq!(looked.looked_at(at(170), seen("/r", 2, 3)).seen.unwrap().rollout, seen("/r", 2, 3));
    }

    #[test]
    fn a_snooze_ends_by_itself_or_with_something_new_to_do() {
        let marks = Marks { snooze: Some(Snooze { at: at(100), until: at(400) }), ..Marks::default() };
        let asleep = |condition, since, asked_at, now| {
            view(&marks, &judgement(condition, since, None), asked_at, now).is_snoozed(at(now))
        };
        assert!(asleep(Condition::Blocked, 90, Some(90), 399), "what it asked before");
        assert!(!asleep(Condition::Blocked, 90, Some(90), 400), "its time is over");
        assert!(!asleep(Condition::Blocked, 101, None, 200), "it asks since then");
        assert!(asleep(Condition::Blocked, 101, Some(90), 200), "the same question, seen by another sensor");
        assert!(!asleep(Condition::Blocked, 90, Some(101), 200), "it asks something else since then");
        assert!(!asleep(Condition::Aborted, 101, None, 200), "it has failed since then");
        assert!(asleep(Condition::Aborted, 90, None, 200), "it had failed before");
        assert!(asleep(Condition::Done, 101, None, 200), "an answer can wait");
        assert!(asleep(Condition::Busy, 101, Some(101), 200), "no question is open");
        assert!(marks.of_task(at(399)).is_snoozed(at(399)) && !marks.of_task(at(400)).is_snoozed(at(400)));
    }
}
