//! `list`: the board in the terminal, and the same board for screens.

use std::fmt;

use serde::Serialize;

use super::{Action, Argv, Context, Outcome};
use crate::{
    base::{Result, text},
    model::{
        board::{Attention, Board, SessionRow},
        filter::Filter,
        state::Agreement,
    },
    store,
};

/// Show every session, the ones that need you first
///
/// What the cockpit's first screen shows, once. It reads the ledger only; `conveyor` keeps it fresh.
///
/// Example: `conveyor list --filter "state:blocked age>10m" --json`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct List {
    /// Also sessions that are gone
    #[arg(long)]
    pub all: bool,
    /// Only what matches, in the filter language: "state:blocked age>10m is:unread"
    #[arg(long, value_name = "FILTER", value_parser = Filter::of_board)]
    pub filter: Option<Filter>,
}

/// The board as printed.
#[derive(Debug, Serialize)]
pub struct Listing {
    #[serde(flatten)]
    board: Board,
    /// Questions that are put to the operator and open, whatever the filter says.
    operator_questions: u64,
    #[serde(skip)]
    is_filtered: bool,
    /// Sessions that are gone and not shown for that.
    #[serde(skip)]
    gone: usize,
}

impl Action for List {
    const NAME: &'static str = "list";
    type Output = Listing;

    fn run(self, cx: &Context) -> Result<Listing> {
        let mut board = board(cx)?;
        let operator_questions = cx.ledger()?.read(store::continuations::open_questions)?;
        let filter = self.filter.unwrap_or_default();
        let now = board.taken_at;
        let all = board.sessions.len();
        if !self.all && !filter.asks_for_gone() {
            board.sessions.retain(|row| row.attention != Attention::Gone);
        }
        let gone = all - board.sessions.len();
        board.sessions.retain(|row| filter.matches_session(row, now));
        board.tasks.retain(|row| filter.matches_task(row, now));
        Ok(Listing { board, operator_questions, is_filtered: !filter.is_empty(), gone })
    }

    fn argv(&self) -> Argv {
        let Self { all, filter } = self;
        Argv::new(Self::NAME).switch("--all", *all).option("--filter", filter.as_ref())
    }
}

/// The board as it stands in the ledger now.
///
/// # Errors
/// When the ledger cannot be read.
pub fn board(cx: &Context) -> Result<Board> {
    let ledger = cx.ledger()?;
    let place = ledger.path().display().to_string();
    Ok(ledger.read(|r| store::board::load(r, &place, cx.now()))?)
}

impl Outcome for Listing {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let sessions = &self.board.sessions;
        match self.operator_questions {
            0 => {}
            1 => writeln!(out, "! 1 question to you: `conveyor operator-inbox` shows it")?,
            more => writeln!(out, "! {more} questions to you: `conveyor operator-inbox` shows them")?,
        }
        if sessions.is_empty() && self.is_filtered {
            return writeln!(out, "nothing passes the filter; `conveyor list` shows every session");
        }
        if sessions.is_empty() && self.gone > 0 {
            let (count, word) = (self.gone, if self.gone == 1 { "session has" } else { "sessions have" });
            return writeln!(
                out,
                "no session runs: {count} {word} ended; `conveyor list --all` shows how to bring one back, \
                 `conveyor start-worker` starts a new one"
            );
        }
        if sessions.is_empty() {
            return writeln!(
                out,
                "no sessions; `conveyor start-worker` starts one, `conveyor discover` finds running ones"
            );
        }
        let width = sessions.iter().map(|row| row.name.len()).max().unwrap_or(0);
        sessions.iter().try_for_each(|row| line(out, row, width))
    }
}

/// `w1  needs you  2m  an approval is open (screen)  asks to run: touch x  task parser  ~ sensors disagree`
fn line(out: &mut dyn fmt::Write, row: &SessionRow, width: usize) -> fmt::Result {
    let judgement = &row.judgement;
    let age = judgement.age_seconds.map_or_else(|| "-".to_owned(), text::age);
    let source = judgement.source.map_or("no source", |source| source.as_str());
    write!(out, "{:width$}  {:11}  {age:>5}  {} ({source})", row.name, judgement.word(), judgement.reason)?;
    if let Some(asks) = &row.asks {
        write!(out, "  {asks}")?;
    }
    if let Some(task) = &row.task {
        write!(out, "  task {task}")?;
    }
    if judgement.agreement == Agreement::Disagree {
        write!(out, "  ~ sensors disagree")?;
    }
    if row.unread > 0 {
        write!(out, "  {} unread", row.unread)?;
    }
    let marks = &row.marks;
    if marks.unread {
        write!(out, "  not looked at")?;
    }
    if marks.pinned {
        write!(out, "  pinned")?;
    }
    if let Some(until) = marks.snoozed_until {
        write!(out, "  snoozed until {until}")?;
    }
    if let Some(error) = &row.ingest_error {
        write!(out, "  ! {error}")?;
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    fn said(gone: usize, operator_questions: u64, is_filtered: bool) -> String {
        let board = Board {
            taken_at: Timestamp::from_millis(0),
            ledger: String::new(),
            sessions: Vec::new(),
            tasks: Vec::new(),
        };
        let mut text = String::new();
        Listing { board, operator_questions, is_filtered, gone }.human(&mut text).unwrap();
        text
    }

    #[test]
    fn without_a_session_the_next_command_is_named() {
        assert!(said(0, 0, false).starts_with("no sessions; `conveyor start-worker` starts one"));
        let all_gone = said(2, 0, false);
        assert!(
            all_gone.starts_with("no session runs: 2 sessions have ended; `conveyor list --all` shows how to bring")
        );
        assert!(said(1, 0, false).starts_with("no session runs: 1 session has ended"));
        assert!(said(2, 0, true).starts_with("nothing passes the filter"));
        assert_eq!(
            said(0, 2, false).lines().next(),
            Some("! 2 questions to you: `conveyor operator-inbox` shows them")
        );
    }
}
