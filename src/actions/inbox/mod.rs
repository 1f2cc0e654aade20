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

use super::Context;
use crate::{
    base::{Error, Result},
    model::session::{Role, Session},
    store::audit::Actor,
};

/// Refuses when `caller` is a registered session, and not the one whose inbox it is.
fn check_caller(caller: Option<&Session>, owner: &Session) -> Result<()> {
    match caller {
        Some(caller) if caller.id != owner.id => Err(Error::refused(format!(
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

/// Who acts, for the audit trail.
fn actor(cx: &Context, caller: Option<&Session>) -> Actor {
    match caller.map(|caller| caller.role) {
        Some(Role::Manager) => Actor::Manager,
        Some(Role::Worker) => Actor::Worker,
        None => cx.actor(),
    }
}
