//! A backend that tells of that fleet.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    board, checkup, conversation, differing, events, exchange, explanation, pane, policy, quiet, record, review,
    shown_criteria, unregistered,
};
use crate::{
    actions::{
        Checkup, Command, Deliveries, Differing, EndArgs, Exchange, QuestionView, Report, ShownCriterion, TalkQuery,
        TaskPolicy, TaskRecord, TaskReview, Unregistered, Visit, Way,
    },
    base::{Error, Kind, Result},
    model::{
        board::{Board, EventRow},
        conversation::Entry,
        family::AgentView,
    },
    tui::backend::{Backend, EventQuery, Explanation, PaneText},
};

/// A visit by which this terminal attaches.
pub fn visit(argv: &[&str]) -> Visit {
    Visit {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        way: Way::Attach,
        back: Some("Ctrl-b d".into()),
    }
}

/// Answers from memory; what it was asked is counted.
pub struct Fake {
    pub board: Mutex<Option<Board>>,
    pub deliveries: Mutex<Deliveries>,
    pub boards: AtomicUsize,
    pub panics: bool,
    pub attach: Visit,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            board: Mutex::new(Some(board())),
            deliveries: Mutex::new(quiet()),
            boards: AtomicUsize::new(0),
            panics: false,
            attach: visit(&["true"]),
        }
    }
}

impl Backend for Fake {
    fn board(&self) -> Result<Board> {
        self.boards.fetch_add(1, Ordering::SeqCst);
        let board = self.board.lock().expect("no test panics while it holds the board");
        board.clone().ok_or_else(|| Error::new(Kind::Ledger, "the ledger is damaged").hint("run `conveyor db-doctor`"))
    }

    fn deliveries(&self, _: Option<&str>) -> Result<Deliveries> {
        Ok(self.deliveries.lock().expect("no test panics while it holds them").clone())
    }

    fn events(&self, _: &str, query: EventQuery) -> Result<Vec<EventRow>> {
        let mut rows = events(1_000);
        rows.retain(|row| query.before.is_none_or(|before| row.id < before));
        Ok(rows.split_off(rows.len().saturating_sub(query.limit)))
    }

    fn conversation(&self, _: &str, _: TalkQuery) -> Result<Vec<Entry>> {
        Ok(conversation())
    }

    fn agents(&self, _: &str) -> Result<Vec<AgentView>> {
        Ok(Vec::new())
    }

    fn pane(&self, _: &str) -> Result<Option<PaneText>> {
        Ok(Some(pane()))
    }

    fn explain(&self, _: &str) -> Result<Explanation> {
        assert!(!self.panics, "the explainer broke");
        Ok(explanation())
    }

    fn diff(&self, _: &str) -> Result<Differing> {
        Ok(differing())
    }

    fn questions(&self, _: &str) -> Result<Vec<QuestionView>> {
        Ok(Vec::new())
    }

    fn criteria(&self, _: &str) -> Result<Vec<ShownCriterion>> {
        Ok(shown_criteria())
    }

    fn review(&self, _: &str, _: &EndArgs) -> Result<TaskReview> {
        Ok(review(false))
    }

    fn policy(&self, _: &str) -> Result<TaskPolicy> {
        Ok(*policy())
    }

    fn record(&self, _: &str) -> Result<TaskRecord> {
        Ok(*record())
    }

    fn unregistered(&self) -> Result<Unregistered> {
        Ok(unregistered())
    }

    fn exchange(&self, _: &str) -> Result<Exchange> {
        Ok(exchange())
    }

    fn checkup(&self) -> Result<Checkup> {
        Ok(checkup())
    }

    fn attach(&self, _: &str) -> Result<Visit> {
        Ok(self.attach.clone())
    }

    fn submit(&self, command: Command) -> Result<Report> {
        Ok(Report {
            json: serde_json::Value::Null,
            prose: format!("ran {}\n", command.argv().shell_line()),
            exit_code: 0,
            handover: None,
        })
    }
}
