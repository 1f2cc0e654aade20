//! Adds up what the sensors say to one judgement.
//!
//! The order of trust is that of [`Source`]: Codex's server, the pane's title, the rollout, the screen. A more
//! trusted sensor wins, with three corrections that real sessions taught: the rollout never says that an approval
//! is open, a dialog outside a turn is seen by the screen alone, and an answer that streams looks idle on screen.

use super::{
    session::Registration,
    state::{Agreement, Condition, DEREGISTERED, Judgement, Readiness, Reading, Source},
};
use crate::base::{Timestamp, text};

/// A live sensor's reading older than this no longer decides anything, in milliseconds.
pub const FRESH_MILLIS: i64 = 15_000;

/// After a turn's end the other sensors lag; contradictions within this time are none, in milliseconds.
pub const SETTLE_MILLIS: i64 = 2_000;

/// A reading so far ahead of the clock still counts as one of this moment, in milliseconds: clocks are stepped.
pub const AHEAD_MILLIS: i64 = 2_000;

/// A rollout line younger than this proves by itself that its writer lives, in milliseconds.
pub const WRITING_MILLIS: i64 = 60_000;

/// What one live sensor (server, title, screen, process) said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// When it was asked.
    pub observed_at: Timestamp,
    /// What it said; none when it could not tell.
    pub reading: Option<Reading>,
    /// Whether text could be submitted, as far as this sensor sees.
    pub ready: Readiness,
    /// Which dialog it saw.
    pub prompt: Option<String>,
}

/// Everything known about a session at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence<'a> {
    /// Whether the registration is in force.
    pub registration: Registration,
    /// What the rollout says; none when there is no rollout yet.
    pub rollout: Option<Reading>,
    /// It is known which Codex thread the session shows. Without that, a missing rollout proves nothing.
    pub thread_known: bool,
    /// Time of the rollout's newest line.
    pub rollout_last_at: Option<Timestamp>,
    /// When a new process took over the thread.
    pub resumed_at: Option<Timestamp>,
    /// Since when the oldest question that is open now is open; none when nothing is known to be asked.
    pub asked_since: Option<Timestamp>,
    /// What the live sensors said last, in any order.
    pub sightings: &'a [Sighting],
    /// The present moment.
    pub now: Timestamp,
}

/// The coarse meaning of a condition, in which sensors can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Working,
    Waiting,
    Resting,
}

fn class(reading: &Reading) -> Option<Class> {
    match reading.condition {
        Condition::Busy => Some(Class::Working),
        Condition::Blocked => Some(Class::Waiting),
        Condition::Idle | Condition::Done | Condition::Aborted => Some(Class::Resting),
        Condition::Unknown => None,
    }
}

/// Adds it up.
#[must_use]
pub fn judge(evidence: &Evidence<'_>) -> Judgement {
    if evidence.registration == Registration::Gone {
        return Judgement::unknown(DEREGISTERED, "it was stopped or deregistered");
    }
    let rollout = evidence.rollout.as_ref().map(|reading| outlived(evidence, reading));
    let evidence = &Evidence { rollout, ..evidence.clone() };
    let recent =
        evidence.sightings.iter().filter(|sighting| is_recent(evidence.now, sighting.observed_at, FRESH_MILLIS));
    // What the rollout has outrun decides nothing, but it shows that somebody was there.
    let (outrun, fresh): (Vec<&Sighting>, Vec<&Sighting>) = recent.partition(|sighting| is_outrun(evidence, sighting));
    let mut readings: Vec<&Reading> =
        fresh.iter().filter_map(|sighting| sighting.reading.as_ref()).chain(evidence.rollout.as_ref()).collect();
    readings.sort_by_key(|reading| reading.source);

    let gone = readings.iter().copied().find(|reading| reading.says_gone());
    // Behind Codex's server a turn goes on without its terminal, so only a silent server lets a death count.
    let server = readings.iter().copied().find(|reading| reading.source == Source::Server && class(reading).is_some());
    let mut judgement = match gone {
        Some(gone) if server.is_none() => after_death(evidence, gone),
        Some(gone) => with_terminal_gone(alive(evidence, &readings), gone),
        None => unseen_writer(evidence, &readings).unwrap_or_else(|| alive(evidence, &readings)),
    };
    judgement.awaiting_first_prompt = evidence.rollout.is_none() && evidence.thread_known;
    judgement.ready_for_text = readiness(&fresh, gone.is_some(), judgement.condition);
    if judgement.condition == Condition::Blocked {
        // A sensor cannot tell one question from the next; it says only since when something is asked.
        judgement.since = evidence.asked_since.or(judgement.since);
        judgement.prompt = fresh.iter().find_map(|sighting| sighting.prompt.clone());
        if let Some(prompt) = judgement.prompt.as_ref().filter(|prompt| !judgement.reason.contains(prompt.as_str())) {
            // Title and server know that somebody is waited for; the screen knows what for.
            judgement.reason = format!("{} ({prompt})", judgement.reason);
        }
    }
    judgement.age_seconds = judgement.since.map(|since| since.age_seconds(evidence.now));
    readings.extend(outrun.iter().filter_map(|sighting| sighting.reading.as_ref()));
    readings.sort_by_key(|reading| reading.source);
    judgement.readings = readings.into_iter().cloned().collect();
    judgement
}

/// Whether `at` lies at most `within` milliseconds back. A moment in the future is not recent for ever: it comes from
/// a clock that was set back since.
fn is_recent(now: Timestamp, at: Timestamp, within: i64) -> bool {
    (-AHEAD_MILLIS..=within).contains(&(now.as_millis() - at.as_millis()))
}

/// Whether the rollout has recorded since that a turn began or ended of which the sensor could not know. An open dialog
/// is no such thing while the turn goes on: the rollout never tells of it.
fn is_outrun(evidence: &Evidence<'_>, sighting: &Sighting) -> bool {
    let Some((rollout, at)) = evidence.rollout.as_ref().and_then(|rollout| Some((rollout, rollout.at?))) else {
        return false;
    };
    let is_newer = sighting.observed_at < at && at.as_millis() <= evidence.now.as_millis() + AHEAD_MILLIS;
    match (sighting.reading.as_ref().and_then(class), class(rollout)) {
        (Some(Class::Working | Class::Waiting), Some(Class::Resting))
        | (Some(Class::Resting), Some(Class::Working)) => is_newer,
        _ => false,
    }
}

/// An open turn that nothing but an old rollout tells of: its writer may have died without closing it.
fn unseen_writer(evidence: &Evidence<'_>, readings: &[&Reading]) -> Option<Judgement> {
    let rollout = evidence.rollout.as_ref()?;
    let open = matches!(class(rollout), Some(Class::Working | Class::Waiting));
    if !open || readings.iter().any(|reading| reading.shows_life()) {
        return None;
    }
    let last = evidence.rollout_last_at.or(rollout.at);
    if last.is_some_and(|last| is_recent(evidence.now, last, WRITING_MILLIS)) {
        return None;
    }
    let when = last.map_or_else(
        || "at an unknown time".to_owned(),
        |last| format!("{} ago", text::age(last.age_seconds(evidence.now))),
    );
    Some(Judgement {
        source: Some(rollout.source),
        since: last,
        agreement: Agreement::Single,
        ..Judgement::unknown(
            "writer_unseen",
            format!("a turn was open {when}; whether its writer still lives cannot be seen"),
        )
    })
}

/// Codex's server speaks for the session, but nothing shows it to a person any more.
fn with_terminal_gone(judgement: Judgement, gone: &Reading) -> Judgement {
    Judgement { reason: format!("{}; its terminal is gone ({})", judgement.reason, gone.reason), ..judgement }
}

/// A turn that was open when its process died stays open in the rollout until the next one begins. When a new process
/// has taken over and nothing was written since, it is over.
fn outlived(evidence: &Evidence<'_>, reading: &Reading) -> Reading {
    let working = matches!(class(reading), Some(Class::Working | Class::Waiting));
    let Some(resumed) = evidence.resumed_at.filter(|_| working) else { return reading.clone() };
    if evidence.rollout_last_at.or(reading.at).is_none_or(|last| last >= resumed) {
        return reading.clone();
    }
    Reading {
        condition: Condition::Aborted,
        rule: "died_before_resume".to_owned(),
        reason: "the process that ran the last turn ended in the middle of it; a new one has taken over".to_owned(),
        ..reading.clone()
    }
}

/// The Codex process has ended: an open turn will never be closed.
fn after_death(evidence: &Evidence<'_>, gone: &Reading) -> Judgement {
    match &evidence.rollout {
        Some(rollout) if matches!(class(rollout), Some(Class::Working | Class::Waiting)) => Judgement {
            condition: Condition::Aborted,
            state: Condition::Aborted.coarse(),
            reason: format!("{}, in the middle of a turn", gone.reason),
            rule: "died_mid_turn".to_owned(),
            source: Some(gone.source),
            since: gone.at.or(rollout.at),
            // A record and a death are joined here; they do not say the same thing twice.
            agreement: Agreement::Single,
            ..Judgement::unknown("", "")
        },
        Some(rollout) => Judgement {
            reason: format!("{}; {}", rollout.reason, gone.reason),
            agreement: Agreement::Single,
            ..decided(rollout)
        },
        None => Judgement {
            source: Some(gone.source),
            since: gone.at,
            agreement: Agreement::Single,
            ..Judgement::unknown(&gone.rule, gone.reason.clone())
        },
    }
}

fn alive(evidence: &Evidence<'_>, readings: &[&Reading]) -> Judgement {
    let of =
        |source: Source| readings.iter().copied().find(|reading| reading.source == source && class(reading).is_some());
    let (server, title, rollout, screen) =
        (of(Source::Server), of(Source::Title), of(Source::Rollout), of(Source::Screen));
    let is = |reading: Option<&Reading>, wanted: Class| reading.and_then(class) == Some(wanted);

    // A dialog that belongs to no turn shows on screen only; one of a turn is known to the server as well.
    let dialog = screen.filter(|reading| {
        class(reading) == Some(Class::Waiting) && !(is(server, Class::Working) || is(title, Class::Working))
    });
    let winner = [server, title, rollout]
        .into_iter()
        .flatten()
        .find(|reading| class(reading) == Some(Class::Waiting))
        .or(dialog)
        .or_else(|| finer(server, rollout))
        .or_else(|| finer(title, rollout))
        .or(rollout)
        .or(screen);
    let Some(winner) = winner else {
        return if let Some(rollout) = &evidence.rollout {
            Judgement::unknown(&rollout.rule, rollout.reason.clone())
        } else if !evidence.thread_known {
            Judgement::unknown("thread_unknown", "nothing tells which Codex thread the session shows")
        } else {
            Judgement::unknown(
                "awaiting_first_prompt",
                "Codex writes its rollout with the first prompt; nothing was said yet",
            )
        };
    };
    let mut judgement = decided(winner);
    if evidence.rollout.is_none() && class(winner) == Some(Class::Resting) {
        let (rule, why) = if evidence.thread_known {
            ("awaiting_first_prompt", "it awaits its first prompt")
        } else {
            // It may have worked for hours in a thread that nobody told us.
            ("thread_unknown", "which Codex thread it shows is not known")
        };
        judgement.rule = rule.to_owned();
        judgement.reason = format!("{}; {why}", winner.reason);
    }
    judgement.agreement = agreement(evidence, winner, readings);
    if judgement.agreement == Agreement::Disagree {
        let others: Vec<String> = readings
            .iter()
            .filter(|reading| contradicts(evidence, winner, reading))
            .map(|reading| format!("the {} says {}", reading.source, reading.condition))
            .collect();
        judgement.reason = format!("{}; but {}", judgement.reason, others.join(", "));
    }
    judgement
}

/// A resting live sensor knows less than the rollout, which tells how the last turn ended.
fn finer<'r>(live: Option<&'r Reading>, rollout: Option<&'r Reading>) -> Option<&'r Reading> {
    let live = live?;
    match rollout {
        Some(rollout) if class(live) == Some(Class::Resting) && class(rollout) == Some(Class::Resting) => Some(rollout),
        _ => Some(live),
    }
}

fn decided(reading: &Reading) -> Judgement {
    Judgement {
        condition: reading.condition,
        state: reading.condition.coarse(),
        reason: reading.reason.clone(),
        rule: reading.rule.clone(),
        source: Some(reading.source),
        since: reading.at,
        ..Judgement::unknown("", "")
    }
}

fn agreement(evidence: &Evidence<'_>, winner: &Reading, readings: &[&Reading]) -> Agreement {
    let speaking = readings.iter().filter(|reading| class(reading).is_some()).count();
    if readings.iter().any(|reading| contradicts(evidence, winner, reading)) {
        Agreement::Disagree
    } else if speaking > 1 {
        Agreement::Agree
    } else {
        Agreement::Single
    }
}

/// Whether `other` cannot be true together with `winner`.
fn contradicts(evidence: &Evidence<'_>, winner: &Reading, other: &Reading) -> bool {
    let (Some(winning), Some(said)) = (class(winner), class(other)) else {
        return false;
    };
    if winning == said {
        return false;
    }
    let settling = |reading: &Reading| {
        reading.source == Source::Rollout
            && reading.at.is_some_and(|at| (evidence.now.as_millis() - at.as_millis()).abs() <= SETTLE_MILLIS)
    };
    if settling(winner) || settling(other) {
        return false;
    }
    match (winning, other.source) {
        // The rollout and older titles do not know of open dialogs, and a dialog can stand outside a turn.
        (Class::Waiting, _) => false,
        // An answer that streams shows no sign of work on screen.
        (Class::Working, Source::Screen) if said == Class::Resting => winner.source == Source::Rollout,
        (Class::Working | Class::Resting, _) => true,
    }
}

fn readiness(fresh: &[&Sighting], gone: bool, condition: Condition) -> Readiness {
    if gone || matches!(condition, Condition::Busy | Condition::Blocked) {
        return Readiness::NotReady;
    }
    let screens = || fresh.iter().map(|sighting| sighting.ready);
    if screens().any(|ready| ready == Readiness::NotReady) {
        Readiness::NotReady
    } else if screens().any(|ready| ready == Readiness::Ready) {
        Readiness::Ready
    } else {
        Readiness::Unknown
    }
}

/// A one-line summary for lists: condition and reason.
#[must_use]
pub fn summary(judgement: &Judgement) -> String {
    text::one_line(&format!("{}: {}", judgement.condition, judgement.reason))
}

#[cfg(test)]
mod tests;
