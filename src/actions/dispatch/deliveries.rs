//! What screens show of Dispatch: who delivers, what waits, what has to be decided, and what lies in the inboxes.

use std::collections::BTreeMap;

use super::{DispatchHealth, health};
use crate::{
    actions::{Context, PutToOperator, supervise},
    base::{Result, Timestamp},
    model::deliveries::{Awaiting, CommandRow, InboxCount, ItemRow, LeftOver},
    ports::machine,
    store::{self, dispatchers::Host},
};

/// One snapshot of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Deliveries {
    /// When it was taken.
    pub taken_at: Timestamp,
    /// Who dispatches, what is paused, how much is open.
    pub health: DispatchHealth,
    /// The process that asked, which may dispatch itself.
    pub own_pid: i64,
    /// Commands, the newest first: all that an operator has to look at, all that wait, and the newest of the others.
    pub commands: Vec<CommandRow>,
    /// What lies in inboxes, the newest first.
    pub items: Vec<ItemRow>,
    /// How much waits in each inbox that is not empty.
    pub inboxes: Vec<InboxCount>,
    /// What waits for the operator's own decision, the oldest first.
    pub questions: Vec<PutToOperator>,
    /// What the end of each task would take back, of those of which there is something.
    pub left: Vec<LeftOver>,
    /// What has not reached each session, of those for which there is something.
    pub awaiting: BTreeMap<String, Awaiting>,
}

/// Takes it; the command with the id `watched` is in it, however old it is.
///
/// # Errors
/// When the ledger cannot be read.
pub fn deliveries(cx: &Context, watched: Option<&str>) -> Result<Deliveries> {
    cx.ledger()?.read(|r| {
        Ok(Deliveries {
            taken_at: cx.now(),
            health: health::of(cx, r)?,
            own_pid: i64::from(machine::own_pid()),
            commands: store::deliveries::commands(r, watched)?,
            items: store::deliveries::items(r)?,
            inboxes: store::deliveries::inboxes(r)?,
            questions: supervise::put_to_operator(r)?,
            left: store::deliveries::left_over(r)?,
            awaiting: store::deliveries::awaiting(r)?,
        })
    })
}

/// Who delivers, as seen from one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivering<'a> {
    /// This process does.
    pub this: bool,
    /// Others that do: what each runs in, its process, its last trouble.
    pub others: Vec<(Host, i64, Option<&'a str>)>,
}

impl Deliveries {
    /// Who delivers now. One pass is none that goes on.
    #[must_use]
    pub fn delivering(&self) -> Delivering<'_> {
        let alive = || self.health.dispatchers.iter().filter(|one| one.alive && one.host != Host::Once);
        Delivering {
            this: alive().any(|one| one.pid == self.own_pid),
            others: alive()
                .filter(|one| one.pid != self.own_pid)
                .map(|one| (one.host, one.pid, one.last_error.as_deref()))
                .collect(),
        }
    }

    /// The command with this id.
    #[must_use]
    pub fn command(&self, id: &str) -> Option<&CommandRow> {
        self.commands.iter().find(|row| row.id == id)
    }

    /// What the end of a task would take back.
    #[must_use]
    pub fn left_of(&self, task_id: &str) -> LeftOver {
        self.left.iter().find(|left| left.task_id == task_id).cloned().unwrap_or_default()
    }

    /// What has not reached a session.
    #[must_use]
    pub fn awaiting(&self, session_id: &str) -> Awaiting {
        self.awaiting.get(session_id).copied().unwrap_or_default()
    }

    /// How much waits in the inbox of a session.
    #[must_use]
    pub fn inbox(&self, session_id: &str) -> InboxCount {
        let found = self.inboxes.iter().find(|inbox| inbox.session_id == session_id);
        found.cloned().unwrap_or_else(|| InboxCount { session_id: session_id.to_owned(), ..InboxCount::default() })
    }
}
