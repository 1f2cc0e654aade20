//! `list`: the board in the terminal, and the same board for screens.

use std::fmt;

use serde::Serialize;

use super::{Action, Argv, Context, Outcome};
use crate::{
    base::{Result, text},
    model::{
        board::{Attention, Board, SessionRow},
        state::Agreement,
    },
    store,
};

/// Show every session, the ones that need you first
///
/// What the cockpit's first screen shows, once. It reads the ledger only; `conveyor` keeps it fresh.
///
/// Example: `conveyor list --json`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct List {
    /// Also sessions that are gone
    #[arg(long)]
    pub all: bool,
}

/// The board as printed.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Listing(Board);

impl Action for List {
    const NAME: &'static str = "list";
    type Output = Listing;

    fn run(self, cx: &Context) -> Result<Listing> {
        let mut board = board(cx)?;
        if !self.all {
            board.sessions.retain(|row| row.attention != Attention::Gone);
        }
        Ok(Listing(board))
    }

    fn argv(&self) -> Argv {
        let Self { all } = self;
        Argv::new(Self::NAME).switch("--all", *all)
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
        if self.0.sessions.is_empty() {
            return writeln!(
                out,
                "no sessions; `conveyor start-worker` starts one, `conveyor discover` finds running ones"
            );
        }
        let width = self.0.sessions.iter().map(|row| row.name.len()).max().unwrap_or(0);
        self.0.sessions.iter().try_for_each(|row| line(out, row, width))
    }
}

/// `w1  blocked  2m  an approval is open (screen)  task parser  ~ sensors disagree`
fn line(out: &mut dyn fmt::Write, row: &SessionRow, width: usize) -> fmt::Result {
    let judgement = &row.judgement;
    let age = judgement.age_seconds.map_or_else(|| "-".to_owned(), text::age);
    let source = judgement.source.map_or("no source", |source| source.as_str());
    write!(out, "{:width$}  {:7}  {age:>5}  {} ({source})", row.name, judgement.condition, judgement.reason)?;
    if let Some(task) = &row.task {
        write!(out, "  task {task}")?;
    }
    if judgement.agreement == Agreement::Disagree {
        write!(out, "  ~ sensors disagree")?;
    }
    if row.unread > 0 {
        write!(out, "  {} unread", row.unread)?;
    }
    if let Some(error) = &row.ingest_error {
        write!(out, "  ! {error}")?;
    }
    writeln!(out)
}
