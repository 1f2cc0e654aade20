//! A question that a session has put to a person: what it asks, where that was seen, and which answers can be given.
//!
//! Its texts are a worker's or a model's. They are shown and compared, never run and never believed.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{pane::Prompt, state::Source};
use crate::{
    base::{Timestamp, text},
    text_enum,
};

/// The longest piece of a question in a line of prose, in characters.
const IN_A_LINE: usize = 300;

text_enum! {
    /// An answer to a question. Each holds for this one question only.
    pub enum Verdict {
        /// Do it, this once.
        Approve => "approve",
        /// Do not do it.
        Decline => "decline",
        /// Do not do it, and end the turn.
        Cancel => "cancel",
    }
}

impl Verdict {
    /// Whether this answer ends the turn that asked through `source`. On a screen, Codex offers no other no than one that
    /// does.
    #[must_use]
    pub fn ends_turn(self, source: Source) -> bool {
        match self {
            Self::Approve => false,
            Self::Decline => source != Source::Server,
            Self::Cancel => true,
        }
    }
}

/// An open question of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Names exactly this question; another one, also a later one with other words, has another id.
    pub id: String,
    /// Who told of it: Codex's server or the screen.
    pub source: Source,
    /// What kind of question it is.
    pub kind: Prompt,
    /// What is asked for: the command line, or the words of the question. None when that cannot be seen.
    pub asks: Option<String>,
    /// Where the command would run.
    pub cwd: Option<String>,
    /// The files that would be changed.
    pub files: Vec<String>,
    /// Why, in the agent's words.
    pub reason: Option<String>,
    /// Since when it is open, as far as known.
    pub since: Option<Timestamp>,
    /// What it offers to choose from, as far as its screen shows that; empty for an approval.
    #[serde(default)]
    pub choices: Vec<String>,
    /// The answers that `session-answer` can give.
    pub answers: Vec<Verdict>,
    /// Why it cannot be approved from here.
    pub not_approvable: Option<String>,
}

impl Question {
    /// An id made of everything that makes up a question.
    #[must_use]
    pub fn id_of(parts: &[&str]) -> String {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        let hex: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("q-{hex}")
    }

    /// Whether an answer ends the turn.
    #[must_use]
    pub fn ends_turn(&self, verdict: Verdict) -> bool {
        verdict.ends_turn(self.source)
    }

    /// True when `expected` is what is asked for: the whole command line, or the whole script that a shell would run.
    #[must_use]
    pub fn is_about(&self, expected: &str) -> bool {
        let expected = expected.trim();
        let asks = self.asks.as_deref().map(str::trim);
        let is_file = || self.files.len() == 1 && self.files[0] == expected;
        !expected.is_empty()
            && (asks == Some(expected) || asks.and_then(script_of).as_deref() == Some(expected) || is_file())
    }

    /// What it asks, in a few words; none when that cannot be seen.
    #[must_use]
    pub fn brief(&self) -> Option<String> {
        let asks = match (&self.asks, self.files.as_slice()) {
            (Some(asks), _) => asks.clone(),
            (None, []) => return None,
            (None, files) => files.join(", "),
        };
        let words = text::bounded(&text::one_line(&asks), IN_A_LINE);
        Some(match self.kind {
            Prompt::ApprovalCommand => format!("asks to run: {words}"),
            Prompt::ApprovalPatch => format!("asks to change: {words}"),
            kind if kind.is_approval() => format!("asks: {words}"),
            // Its own words are a question already.
            _ => words,
        })
    }

    /// What it asks, in one line.
    #[must_use]
    pub fn sentence(&self) -> String {
        let cut = |words: &str| text::bounded(&text::one_line(words), IN_A_LINE);
        let what = match (&self.asks, self.files.as_slice()) {
            (Some(asks), _) => format!(": {}", cut(asks)),
            (None, []) => " (what it asks cannot be seen)".to_owned(),
            (None, files) => format!(": {}", cut(&files.join(", "))),
        };
        let place = self.cwd.as_deref().map(|cwd| format!(" in {}", cut(cwd))).unwrap_or_default();
        let reason = self.reason.as_deref().map(|reason| format!(" (reason: {})", cut(reason))).unwrap_or_default();
        format!("{}{what}{place}{reason}", self.kind)
    }
}

/// The script in `bash -lc 'SCRIPT'`.
fn script_of(command: &str) -> Option<String> {
    let words = shell_words::split(command).ok()?;
    match words.as_slice() {
        [shell, flag, script] if matches!(flag.as_str(), "-c" | "-lc") => {
            let name = shell.rsplit('/').next().unwrap_or_default();
            matches!(name, "sh" | "bash" | "zsh" | "dash").then(|| script.clone())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(asks: &str) -> Question {
        Question {
            id: Question::id_of(&[asks]),
            source: Source::Server,
            kind: Prompt::ApprovalCommand,
            asks: Some(asks.to_owned()),
            cwd: None,
            files: Vec::new(),
            reason: None,
            since: None,
            choices: Vec::new(),
            answers: Verdict::ALL.to_vec(),
            not_approvable: None,
        }
    }

    #[test]
    fn a_part_of_a_command_is_not_the_command() {
        let question = asks("/bin/bash -lc 'rm -rf / && make test'");
        assert!(
            question.is_about("rm -rf / && make test") && question.is_about(" /bin/bash -lc 'rm -rf / && make test'")
        );
        for other in ["make test", "rm", "", " ", "/bin/bash", "make test && rm -rf /"] {
            assert!(!question.is_about(other), "{other}");
        }
        assert!(!asks("/bin/evil -c 'make test'").is_about("make test"), "only a shell runs what stands behind -c");
        assert!(!asks("bash -lc 'make test' x").is_about("make test"));
    }

    #[test]
    fn only_a_server_takes_a_no_that_lets_the_turn_go_on() {
        let by_server = asks("make test");
        let on_screen = Question { source: Source::Screen, ..asks("make test") };
        let ends =
            |question: &Question| Verdict::ALL.iter().map(|verdict| question.ends_turn(*verdict)).collect::<Vec<_>>();
        assert_eq!((ends(&by_server), ends(&on_screen)), (vec![false, false, true], vec![false, true, true]));
    }

    #[test]
    fn an_id_depends_on_where_one_part_ends() {
        assert_ne!(Question::id_of(&["ab", "c"]), Question::id_of(&["a", "bc"]));
        assert_eq!(Question::id_of(&["ab"]).len(), 18);
    }
}
