//! The signs and words of the screens, each with what it means. Screens take their words from here, and the help shows
//! all of them.

use super::{delivery, doctor};
use crate::{
    actions::Verdict,
    model::{board::Attention, delivery::Phase, task::TaskState},
    tui::theme::Glyphs,
};

/// A sign or word, and what it means.
pub struct Entry {
    /// The sign; empty for what is only a word.
    pub sign: &'static str,
    /// The word beside it.
    pub word: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// The word of a row of the fleet.
#[must_use]
pub fn word(attention: Attention) -> &'static str {
    match attention {
        Attention::NeedsYou => "needs you",
        Attention::Failed => "failed",
        Attention::DoneUnseen => "done",
        Attention::Working => "working",
        Attention::Idle => "idle",
        Attention::Unknown => "unknown",
        Attention::Gone => "gone",
    }
}

fn meaning(attention: Attention) -> &'static str {
    match attention {
        Attention::NeedsYou => "it waits for an answer: an approval, a question, a decision of yours",
        Attention::Failed => "its last turn failed or was cut off, or its process died",
        Attention::DoneUnseen => "its turn ended with an answer that you have not looked at",
        Attention::Working => "a turn runs",
        Attention::Idle => {
            "no turn runs; it takes a message. It says done or interrupted when you have seen how it ended"
        }
        Attention::Unknown => "nothing reliable is known of it; x says why",
        Attention::Gone => "it was stopped or deregistered",
    }
}

fn phase_meaning(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "it waits for its turn, or for a way to its session",
        Phase::Claimed | Phase::Started | Phase::Staged | Phase::Submitted => {
            "it is being delivered; its session's rollout does not show it yet"
        }
        Phase::Delivered => "it lies in the inbox of its session, which has not confirmed it",
        Phase::Done => "it has arrived, and that is proven",
        Phase::Ambiguous => "it may have arrived; nothing proves it, so you decide",
        Phase::Failed | Phase::Dead => "it was given up; its reason stands beside it",
        Phase::Expired => "its time ran out before it was delivered",
        Phase::Blocked => "the task's terms do not allow it",
        Phase::Cancelled => "it was taken back",
    }
}

fn verdict_meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Problem => "it has to be mended; the command stands beside it",
        Verdict::Remark => "worth knowing, nothing is broken",
        Verdict::Unchecked => "it could not be looked at",
        Verdict::Fine => "nothing to do",
    }
}

/// All of them under headings.
#[must_use]
pub fn all(glyphs: Glyphs) -> Vec<(&'static str, Vec<Entry>)> {
    let states = Attention::ALL.iter().map(|attention| Entry {
        sign: glyphs.attention(*attention),
        word: word(*attention),
        meaning: meaning(*attention),
    });
    let tasks = TaskState::ALL.iter().map(|state| Entry { sign: "", word: state.as_str(), meaning: state.meaning() });
    let marks = [
        (
            glyphs.unread(),
            "unread",
            "you have not looked since it ended, or you marked it; what is done has its own sign for that",
        ),
        (glyphs.pinned(), "pinned", "it stands first in its tier"),
        (glyphs.snoozed(), "snoozed", "you have put it aside; it wakes by itself"),
        (glyphs.disagree(), "disagree", "two sensors contradict each other; x shows what each says"),
        (glyphs.pair().trim(), "pair", "worker and manager of one task"),
    ];
    let columns = [
        ("met", "how many of the task's agreed criteria are met"),
        ("last", "how long ago its last event was"),
        ("ctx", "how much of the model's context is used; empty when that is not known"),
        ("new", "so many messages lie unread in its inbox"),
    ];
    let columns = columns.map(|(word, meaning)| Entry { sign: "", word, meaning });
    let phases = Phase::worded().map(|phase| Entry {
        sign: if delivery::is_to_decide(phase) { "!" } else { "" },
        word: phase.word(),
        meaning: phase_meaning(phase),
    });
    let findings = Verdict::ALL.iter().map(|verdict| {
        let (sign, word, _) = doctor::verdict(*verdict);
        Entry { sign: sign.trim(), word, meaning: verdict_meaning(*verdict) }
    });
    vec![
        ("signs and words: sessions", states.collect()),
        ("signs and words: tasks", tasks.collect()),
        ("signs and words: marks", marks.map(|(sign, word, meaning)| Entry { sign, word, meaning }).into()),
        ("signs and words: columns of the Fleet", columns.into()),
        ("signs and words: messages", phases.collect()),
        ("signs and words: Doctor", findings.collect()),
    ]
}
