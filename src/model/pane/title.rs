//! What the pane's title says: a spinner, a call for a person, or nothing of use.
//!
//! Codex sets the title since 0.125 (the call for a person since 0.137). The name inside it comes from a
//! conversation and is not trusted; only the sign in front is Codex's own.

use serde::Serialize;

use super::{screen, wording};
use crate::{
    model::state::{Condition, Reading, Source},
    text_enum,
};

text_enum! {
    /// The sign in front of the title.
    pub enum TitleSign {
        /// A spinner: a turn runs (or the process was killed and the title is frozen).
        Busy => "busy",
        /// An approval or a question waits.
        ActionRequired => "action_required",
        /// Codex's title without a sign: no turn runs, or a menu that belongs to no turn is open.
        Quiet => "quiet",
    }
}

/// What a title says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TitleReading {
    /// The sign in front.
    pub sign: TitleSign,
    /// A thread id, shortened as Codex shows it (a prefix of the whole id), when the title is set up to hold one.
    pub thread_id: Option<String>,
}

/// Reads a pane title; none when it says nothing (a host name, a bare folder name, empty).
#[must_use]
pub fn read_title(title: &str) -> Option<TitleReading> {
    let clean = screen::cleaned(title);
    let title = clean.trim();
    let items: Vec<&str> = title.split(" | ").map(str::trim).collect();
    let thread_id = items.iter().find_map(|item| shortened_id(without_spinner(item).unwrap_or(item)));
    let sign = if without_spinner(title).is_some() {
        TitleSign::Busy
    } else if calls_for_a_person(title) {
        TitleSign::ActionRequired
    } else if items.len() > 1 || thread_id.is_some() {
        TitleSign::Quiet
    } else {
        return None;
    };
    Some(TitleReading { sign, thread_id })
}

impl TitleReading {
    /// The reading for the judgement of a session's state.
    ///
    /// A quiet title is `unknown`, not `idle`: a menu may be open, and a person can remove the spinner from the
    /// title altogether.
    #[must_use]
    pub fn reading(&self) -> Reading {
        let (condition, rule, reason) = match self.sign {
            TitleSign::Busy => (Condition::Busy, "title_spinner", "the pane's title shows a spinner"),
            TitleSign::ActionRequired => {
                (Condition::Blocked, "title_action_required", "the pane's title says that an action is required")
            }
            TitleSign::Quiet => (
                Condition::Unknown,
                "title_quiet",
                "the pane's title has no sign: no turn runs, or a menu outside a turn is open",
            ),
        };
        Reading {
            source: Source::Title,
            condition,
            rule: rule.to_owned(),
            reason: reason.to_owned(),
            at: None,
            byte_offset: None,
        }
    }
}

/// What follows a braille spinner; none without one.
fn without_spinner(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    // U+2800 is the blank pattern, which no spinner shows.
    if !chars.next().is_some_and(|c| ('\u{2801}'..='\u{28ff}').contains(&c)) {
        return None;
    }
    let rest = chars.as_str();
    (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim_start())
}

/// True for `[ ! ] Action Required` with any blinking character inside the brackets.
fn calls_for_a_person(title: &str) -> bool {
    let Some((blink, rest)) = title.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return false;
    };
    blink.chars().count() <= 3 && rest.trim_start().starts_with(wording::ACTION_REQUIRED)
}

/// The id in `text` without its ellipsis, when it has at least the first two groups.
fn shortened_id(text: &str) -> Option<String> {
    let id = text.trim_end_matches(['.', '…']);
    (id.len() >= 13 && is_id_prefix(id)).then(|| id.to_owned())
}

/// True when `text` is the beginning of a lower-case UUID, or one.
pub(super) fn is_id_prefix(text: &str) -> bool {
    text.len() <= 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// True when `text` is a whole lower-case UUID.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 36 && is_id_prefix(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(title: &str) -> Option<TitleSign> {
        read_title(title).map(|reading| reading.sign)
    }

    #[test]
    fn signs_are_told_apart() {
        let cases = [
            ("⠹ Hello | project", Some(TitleSign::Busy)),
            ("⠦ project", Some(TitleSign::Busy)),
            ("⠋", Some(TitleSign::Busy)),
            ("[ ! ] Action Required | project", Some(TitleSign::ActionRequired)),
            ("[ . ] Action Required | Hello | project", Some(TitleSign::ActionRequired)),
            ("Hello | project", Some(TitleSign::Quiet)),
            ("Action Required | project", Some(TitleSign::Quiet)),
            ("Talk about [ ! ] Action Required | project", Some(TitleSign::Quiet)),
            ("⠹name | project", Some(TitleSign::Quiet)),
            ("project", None),
            ("vm", None),
            ("", None),
            ("[", None),
        ];
        for (title, expected) in cases {
            assert_eq!(sign(title), expected, "{title:?}");
        }
    }

    #[test]
    fn a_shortened_id_is_found() {
        let reading = read_title("⠙ Working | 01a1fc1f-e19b-7db2-bceb-a7cca...").expect("a title of Codex");
        assert_eq!(reading.thread_id.as_deref(), Some("01a1fc1f-e19b-7db2-bceb-a7cca"));
        assert_eq!(read_title("Hello | project").and_then(|reading| reading.thread_id), None);
        assert_eq!(read_title("01a1fc1f | deadbeef").and_then(|reading| reading.thread_id), None);
    }

    #[test]
    fn a_quiet_title_does_not_claim_idle() {
        let reading = read_title("Hello | project").expect("a title of Codex").reading();
        assert_eq!((reading.condition, reading.rule.as_str()), (Condition::Unknown, "title_quiet"));
    }
}
