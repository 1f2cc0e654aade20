//! `status-line`: one short line for the status bar of tmux, or for a prompt.

use std::fmt;

use serde::Serialize;

use super::{Action, Argv, Context, DispatchHealth, Outcome, dispatch::health_of};
use crate::{
    base::{Kind, Result, Timestamp},
    model::board::{Attention, SessionRow},
    store,
};

/// Print one short line: who needs you, what failed, what works, whether somebody delivers
///
/// Made to be called every few seconds by a status bar, so it never fails: when the ledger cannot be read, the line is
/// `conveyor ?` with the reason in a word, and the exit code is 0. `!` needs you (a session that waits for an answer, or a
/// question of `operator-inbox`), `x` failed, `v` finished, `*` works.
///
/// In ~/.tmux.conf: `set -g status-right '#(conveyor --path /project/.codex-workers/workerctl.db status-line --tmux)'`
///
/// Example: `conveyor status-line`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct StatusLine {
    /// With tmux's own colour marks (`#[fg=yellow]`)
    #[arg(long)]
    pub tmux: bool,
}

/// What the line says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Counts {
    /// Commands that may have been delivered; an operator has to decide.
    ambiguous: u64,
    /// Commands that were given up.
    dead_letters: u64,
    /// Somebody delivers, and nothing is paused.
    delivers: bool,
    failed: usize,
    finished: usize,
    /// Sessions that wait for a person, and the questions to the operator.
    needs_you: u64,
    /// Of these, the questions to the operator: `operator-inbox` shows them.
    operator_questions: u64,
    paused: bool,
    /// Why nothing is known; none when it is.
    unknown: Option<&'static str>,
    /// Messages that nobody has begun to deliver.
    waiting: u64,
    working: usize,
    #[serde(skip)]
    with_marks: bool,
}

impl Action for StatusLine {
    const NAME: &'static str = "status-line";
    type Output = Counts;

    fn run(self, cx: &Context) -> Result<Counts> {
        Ok(Counts { with_marks: self.tmux, ..counted(cx).unwrap_or_else(|error| Counts::unknown(error.kind())) })
    }

    fn argv(&self) -> Argv {
        let Self { tmux } = self;
        Argv::new(Self::NAME).switch("--tmux", *tmux)
    }
}

fn counted(cx: &Context) -> Result<Counts> {
    cx.ledger()?.read(|r| {
        let now = cx.now();
        let board = store::board::load(r, "", now)?;
        let questions = store::continuations::open_questions(r)?;
        Ok(Counts::of(&board.sessions, questions, &health_of(cx, r)?, now))
    })
}

impl Counts {
    /// What is put aside counts for nothing, and neither does what has finished and was looked at.
    fn of(sessions: &[SessionRow], questions: u64, health: &DispatchHealth, now: Timestamp) -> Self {
        let awake = || sessions.iter().filter(|row| !row.marks.is_snoozed(now));
        let count = |attention| awake().filter(|row| row.attention == attention).count();
        Self {
            ambiguous: health.ambiguous,
            dead_letters: health.dead_letters,
            delivers: health.running && !health.paused,
            failed: count(Attention::Failed),
            finished: awake().filter(|row| row.attention == Attention::DoneUnseen && row.marks.unread).count(),
            needs_you: number(count(Attention::NeedsYou)) + questions,
            operator_questions: questions,
            paused: health.paused,
            unknown: None,
            waiting: health.waiting,
            working: count(Attention::Working),
            with_marks: false,
        }
    }

    fn unknown(kind: Kind) -> Self {
        let why = match kind {
            Kind::NotFound => "no ledger",
            Kind::Busy => "ledger busy",
            _ => "ledger unreadable",
        };
        Self {
            ambiguous: 0,
            dead_letters: 0,
            delivers: false,
            failed: 0,
            finished: 0,
            needs_you: 0,
            operator_questions: 0,
            paused: false,
            unknown: Some(why),
            waiting: 0,
            working: 0,
            with_marks: false,
        }
    }

    /// The pieces of the line, each with its colour in tmux's words.
    fn pieces(&self) -> Vec<(&'static str, String)> {
        if let Some(why) = self.unknown {
            return vec![("dim", format!("conveyor ? {why}"))];
        }
        let mut pieces = Vec::new();
        let mut add = |count: u64, colour, text: String| {
            if count > 0 {
                pieces.push((colour, text));
            }
        };
        add(self.needs_you, "fg=yellow,bold", format!("!{}", self.needs_you));
        add(number(self.failed), "fg=red,bold", format!("x{}", self.failed));
        add(number(self.finished), "fg=green", format!("v{}", self.finished));
        add(number(self.working), "fg=cyan", format!("*{}", self.working));
        add(self.ambiguous, "fg=yellow,bold", format!("uncertain {}", self.ambiguous));
        add(self.dead_letters, "fg=red", format!("given-up {}", self.dead_letters));
        if pieces.is_empty() {
            pieces.push(("dim", "nobody needs you".to_owned()));
        }
        let waiting = if self.waiting > 0 { format!(", {} wait", self.waiting) } else { String::new() };
        match (self.paused, self.delivers) {
            (true, _) => pieces.push(("fg=yellow,bold", format!("| PAUSED{waiting}"))),
            (false, false) => pieces.push(("fg=yellow", format!("| nobody delivers{waiting}"))),
            (false, true) if self.waiting > 0 => pieces.push(("dim", format!("| {} wait", self.waiting))),
            (false, true) => {}
        }
        pieces
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl Outcome for Counts {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let pieces = self
            .pieces()
            .into_iter()
            .map(|(colour, text)| if self.with_marks { format!("#[{colour}]{text}#[default]") } else { text });
        writeln!(out, "{}", pieces.collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(counts: &Counts) -> String {
        let mut text = String::new();
        counts.human(&mut text).unwrap();
        text
    }

    fn quiet() -> Counts {
        Counts { unknown: None, delivers: true, ..Counts::unknown(Kind::NotFound) }
    }

    #[test]
    fn only_what_counts_is_in_the_line() {
        let busy = Counts { needs_you: 2, failed: 1, working: 3, finished: 1, ..quiet() };
        assert_eq!(line(&quiet()), "nobody needs you\n");
        assert_eq!(line(&busy), "!2 x1 v1 *3\n");
        assert_eq!(line(&Counts { waiting: 4, ..busy.clone() }), "!2 x1 v1 *3 | 4 wait\n");
        let stuck = Counts { delivers: false, waiting: 1, ambiguous: 1, dead_letters: 2, ..quiet() };
        assert_eq!(line(&stuck), "uncertain 1 given-up 2 | nobody delivers, 1 wait\n");
        assert_eq!(line(&Counts { paused: true, delivers: false, ..busy }), "!2 x1 v1 *3 | PAUSED\n");
    }

    #[test]
    fn what_is_not_known_is_said_to_be_unknown() {
        assert_eq!(line(&Counts::unknown(Kind::NotFound)), "conveyor ? no ledger\n");
        assert_eq!(line(&Counts::unknown(Kind::Busy)), "conveyor ? ledger busy\n");
        assert_eq!(line(&Counts::unknown(Kind::Ledger)), "conveyor ? ledger unreadable\n");
    }

    #[test]
    fn marks_of_tmux_are_closed_again() {
        let marked = Counts { with_marks: true, needs_you: 1, ..quiet() };
        assert_eq!(line(&marked), "#[fg=yellow,bold]!1#[default]\n");
    }
}
