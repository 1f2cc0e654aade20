//! Inboxes: what lies there for a session to fetch, and what it says about it.
//!
//! Reading, confirming and the fate of the command behind a message are one transaction each: whoever gets a message
//! gets it whole, and what was confirmed is never handed out again.

mod ack;
mod listing;
mod news;
mod reader;
mod report;
mod say;
mod settle;
mod view;

pub use ack::Ack;
pub use listing::{InboxArgs, ManagerInbox, Receive, SessionInbox, WaitArgs, WorkerInbox};
pub use say::InboxAck;

pub(super) use news::tell_manager;
pub(super) use reader::{Mail, show};

use news::News;
use view::ItemView;

use super::caller::Origin;
use crate::{
    base::{Error, Result},
    model::session::Session,
};

/// Refuses when `caller` is a registered session, and not the one whose inbox it is.
fn check_caller(caller: &Origin, owner: &Session) -> Result<()> {
    match caller {
        Origin::Session(caller) if caller.id != owner.id => Err(Error::refused(format!(
            "this is the inbox of {}, and this command runs in the session {}",
            owner.name, caller.name
        ))
        .hint(format!(
            "{} reads its own messages; `conveyor session-inbox {}` only shows them",
            owner.name, owner.name
        ))),
        _ => Ok(()),
    }
}

/// Whether what `caller` is shown of an inbox counts as read: its session looks, or one of Codex's that hides which it
/// is. A person who looks, or another session, has not read it for its session.
fn reads(caller: &Origin, owner: &Session) -> bool {
    match caller {
        Origin::Operator => false,
        Origin::Session(caller) => caller.id == owner.id,
        Origin::Hidden => true,
    }
}
