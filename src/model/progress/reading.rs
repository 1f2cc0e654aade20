//! What a [`Progress`] says about the session, in the words of [`Reading`].
//!
//! The rule names are stable; `explain` and tests use them. A dead process cannot be seen here: a turn that was
//! never ended reads as open.

use super::{EndKind, Guess, GuessKind, Mark, OpenTurn, Progress, TurnEnd};
use crate::{
    base::text,
    model::{
        rollout::TurnError,
        state::{Condition, Reading, Source},
    },
};

/// The tool with which the model asks a person; its open call is the only trace of an open question.
const QUESTION_TOOL: &str = "request_user_input";
/// Longest error message inside a reason, in characters.
const REASON_CHARS: usize = 200;

impl Progress {
    /// What the rollout says the session is doing.
    #[must_use]
    pub fn reading(&self) -> Reading {
        if let Some(turn) = &self.open_turn {
            return self.question().unwrap_or_else(|| open(turn));
        }
        if self.counts.turns_started > 0 {
            return match &self.last_end {
                Some(end) => ended(end),
                None => no_turn_yet(self),
            };
        }
        match self.guess {
            Some(guess) => self.guessed(guess),
            None => match &self.last_end {
                Some(end) => ended(end),
                None => no_turn_yet(self),
            },
        }
    }

    fn question(&self) -> Option<Reading> {
        let call = self.open_calls.iter().rfind(|call| call.name == QUESTION_TOOL)?;
        Some(reading(Condition::Blocked, "question_open", "the agent asked a question and waits".to_owned(), call.mark))
    }

    fn guessed(&self, Guess { kind, mark }: Guess) -> Reading {
        let guess = |condition, rule, what: &str| {
            reading(condition, rule, format!("{what}; a guess, this Codex version records no turns"), mark)
        };
        match kind {
            GuessKind::Working => self.question().unwrap_or_else(|| {
                guess(Condition::Busy, "guessed_busy", "the last message or call has no final answer yet")
            }),
            GuessKind::Answered => guess(Condition::Done, "guessed_done", "an answer stands last"),
            GuessKind::Compacted => guess(Condition::Idle, "guessed_compacted", "a compaction stands last"),
            GuessKind::Failed => guess(Condition::Aborted, "guessed_failed", "an error stands last"),
            GuessKind::Aborted => match &self.last_end {
                Some(end) => ended(end),
                None => guess(Condition::Aborted, "turn_aborted", "an abort stands last"),
            },
        }
    }
}

fn open(turn: &OpenTurn) -> Reading {
    let reason = match &turn.trigger {
        Some(trigger) => format!("a turn is open, started by {trigger}"),
        None => "a turn is open".to_owned(),
    };
    reading(Condition::Busy, "turn_open", reason, Mark { at: turn.at, byte_offset: turn.byte_offset })
}

fn ended(end: &TurnEnd) -> Reading {
    let (condition, rule, reason) = match end.kind {
        EndKind::Answered => (Condition::Done, "turn_complete", "the last turn ended with an answer".to_owned()),
        EndKind::Planned => (Condition::Done, "plan_proposed", "the last turn ended with a plan that waits".to_owned()),
        EndKind::Compacted => (Condition::Idle, "compacted", "the last turn compacted the context".to_owned()),
        EndKind::UserShell => {
            (Condition::Idle, "user_shell_command", "the last turn was a person's own shell command".to_owned())
        }
        EndKind::Failed => (Condition::Aborted, "turn_failed", failure(end.error.as_ref())),
        EndKind::Aborted => {
            let reason = end.reason.as_deref().unwrap_or("unsaid");
            (Condition::Aborted, "turn_aborted", format!("the last turn was aborted ({reason})"))
        }
        EndKind::NoAnswer => {
            (Condition::Idle, "ended_without_answer", "the last turn ended without an answer".to_owned())
        }
    };
    reading(condition, rule, reason, Mark { at: end.at, byte_offset: end.byte_offset })
}

fn failure(error: Option<&TurnError>) -> String {
    let Some(error) = error else { return "the last turn failed".to_owned() };
    let message = text::bounded(&text::one_line(&error.message), REASON_CHARS);
    match (&error.kind, error.http_status) {
        (Some(kind), Some(status)) => format!("the last turn failed ({kind}, HTTP {status}): {message}"),
        (Some(kind), None) => format!("the last turn failed ({kind}): {message}"),
        (None, _) => format!("the last turn failed: {message}"),
    }
}

fn no_turn_yet(progress: &Progress) -> Reading {
    let mark = |byte_offset| Mark { at: progress.last_at, byte_offset };
    if progress.counts.lines == 0 {
        let mut silent =
            reading(Condition::Unknown, "nothing_read", "no line of the rollout has been read".to_owned(), mark(0));
        silent.byte_offset = None;
        return silent;
    }
    let offset = progress.last_event.as_ref().map_or(0, |event| event.byte_offset);
    reading(Condition::Idle, "no_turn_yet", "no turn has begun yet".to_owned(), mark(offset))
}

fn reading(condition: Condition, rule: &str, reason: String, mark: Mark) -> Reading {
    Reading {
        source: Source::Rollout,
        condition,
        rule: rule.to_owned(),
        reason,
        at: mark.at,
        byte_offset: Some(mark.byte_offset),
    }
}
