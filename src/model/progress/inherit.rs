//! Which lines of a rollout are copies from another thread.
//!
//! Forks and some resumed threads begin with the history of the thread they came from. Such a line must never
//! count as an echo or as work of this thread. Codex stamps copied lines with the time of copying, so the time
//! stamp alone does not give them away: the ids of turns (which carry their time) and a foreign head do.
//!
//! Copies stand in front of the thread's own first turn. Behind it no time tells anything any more: the wall clock may
//! have been set back to before the thread began.

use super::Progress;
use crate::{
    base::Timestamp,
    model::rollout::{Fact, Record},
};

/// Lines of a copied block are written at once; a longer pause ends the block.
const COPY_PAUSE_MS: i64 = 250;
/// Turn ids are made a moment before or after the head's own time stamp, and some times are whole seconds.
const SLACK_MS: i64 = 1_000;

impl Progress {
    /// True when `record`, coming next, is a copy from another thread.
    #[must_use]
    pub fn is_inherited(&self, record: &Record) -> bool {
        let Some(head) = &self.head else { return false };
        if let Fact::SessionHead(other) = &record.fact {
            return other.thread_id != head.thread_id;
        }
        if self.has_own_turn {
            return false;
        }
        let Some(created) = head.started_at else { return false };
        if record.timestamp.is_some_and(|at| at < created) {
            return true;
        }
        match begun(record) {
            Some(begun) => is_before(begun, created),
            None => self.is_in_copied_block(record),
        }
    }

    /// Keeps track of the block of copies that `record` belongs to or ends.
    pub(super) fn follow_copied_block(&mut self, record: &Record, is_inherited: bool) {
        self.copying = if is_inherited { record.timestamp.or(self.copying) } else { None };
        // Only a turn that tells when it began is known to be none of another thread's.
        let created = self.head.as_ref().and_then(|head| head.started_at);
        let is_own = |created| begun(record).is_some_and(|begun| !is_before(begun, created));
        let begins_own = matches!(record.fact, Fact::TurnStarted { .. }) && created.is_some_and(is_own);
        self.has_own_turn |= begins_own && !is_inherited;
    }

    fn is_in_copied_block(&self, record: &Record) -> bool {
        let (Some(newest), Some(at)) = (self.copying, record.timestamp) else { return false };
        at.as_millis() - newest.as_millis() <= COPY_PAUSE_MS
    }
}

/// Whether a turn that began then is older than a thread that was created then.
fn is_before(begun: Timestamp, created: Timestamp) -> bool {
    begun.as_millis().saturating_add(SLACK_MS) < created.as_millis()
}

/// When the turn of `record` began, as far as the line itself tells.
fn begun(record: &Record) -> Option<Timestamp> {
    let by_id = record.turn_id.as_deref().and_then(time_of_id);
    match &record.fact {
        Fact::TurnStarted { started_at, .. } => by_id.or(*started_at),
        _ => by_id,
    }
}

/// The time inside a version 7 UUID.
fn time_of_id(id: &str) -> Option<Timestamp> {
    let (seconds, nanos) = uuid::Uuid::try_parse(id).ok()?.get_timestamp()?.to_unix();
    let millis = i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000_000))?;
    Some(Timestamp::from_millis(millis))
}
