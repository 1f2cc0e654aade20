//! What the server tells without being asked, and the bounded place where it waits to be looked at.
//!
//! Changes of status and approvals are understood here. Everything else is carried as it came, so that a newer
//! server's notifications are never an error.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{approval::Approval, thread::ThreadStatus};
use crate::base::Timestamp;

/// The most notifications that wait.
const MAX_WAITING: usize = 1024;

/// The most bytes of notifications that wait.
const MAX_WAITING_BYTES: usize = 8 * 1024 * 1024;

/// Something the server said on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// A thread's status changed.
    Status(StatusChange),
    /// The server asks for an approval. Another client may answer first.
    Approval(Box<Approval>),
    /// A question of the server is answered or withdrawn.
    Resolved {
        /// The thread that asked.
        thread_id: String,
        /// The question.
        request: RequestId,
    },
    /// The server asks this client something else, which is not ours to answer.
    Request {
        /// The id an answer must carry.
        id: RequestId,
        /// The call, `item/tool/requestUserInput` for example.
        method: String,
        /// Its parameters as JSON text; empty when there were none.
        params: String,
    },
    /// Anything else.
    Other {
        /// The name, `turn/started` for example.
        method: String,
        /// Its parameters as JSON text; empty when there were none.
        params: String,
    },
    /// This many were dropped before the ones that follow, because nobody collected them; read the threads again.
    Missed(u64),
}

/// The id of a question of the server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RequestId {
    /// A number; it has nothing to do with the numbers of our own calls.
    Number(i64),
    /// A text.
    Text(String),
}

/// A thread's new status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusChange {
    /// The thread's id.
    pub thread_id: String,
    /// What it is doing now.
    pub status: ThreadStatus,
    /// When the server said so.
    pub at: Option<Timestamp>,
}

/// Reads a notification from its parts.
pub(super) fn read(method: String, params: Option<&RawValue>, emitted_at_ms: Option<i64>) -> Notification {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct StatusChanged {
        thread_id: String,
        status: ThreadStatus,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Resolved {
        thread_id: String,
        request_id: RequestId,
    }

    let params = params.map_or("", RawValue::get);
    if method == "serverRequest/resolved"
        && let Ok(resolved) = serde_json::from_str::<Resolved>(params)
    {
        return Notification::Resolved { thread_id: resolved.thread_id, request: resolved.request_id };
    }
    if method == "thread/status/changed"
        && let Ok(changed) = serde_json::from_str::<StatusChanged>(params)
    {
        return Notification::Status(StatusChange {
            thread_id: changed.thread_id,
            status: changed.status,
            at: emitted_at_ms.map(Timestamp::from_millis),
        });
    }
    Notification::Other { method, params: params.to_owned() }
}

/// Notifications waiting to be collected: bounded in number and bytes, and honest about what did not fit.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    items: VecDeque<(Notification, usize)>,
    bytes: usize,
    missed: u64,
}

impl Waiting {
    /// Keeps `notification`, whose text had `size` bytes. When there is no room the oldest one that is no status
    /// change goes first: status changes are what callers live on, and they are small.
    pub(super) fn keep(&mut self, notification: Notification, size: usize) {
        if size > MAX_WAITING_BYTES {
            self.missed += 1;
            return;
        }
        while self.items.len() >= MAX_WAITING || self.bytes + size > MAX_WAITING_BYTES {
            let place = self.items.iter().position(|(item, _)| !matches!(item, Notification::Status(_))).unwrap_or(0);
            let Some((_, freed)) = self.items.remove(place) else { break };
            self.bytes -= freed;
            self.missed += 1;
        }
        self.bytes += size;
        self.items.push_back((notification, size));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.missed == 0
    }

    /// Everything that waits, in the order it came; what was missed is said first.
    pub(super) fn take(&mut self) -> Vec<Notification> {
        let missed = std::mem::take(&mut self.missed);
        self.bytes = 0;
        let first = (missed > 0).then_some(Notification::Missed(missed));
        first.into_iter().chain(self.items.drain(..).map(|(notification, _)| notification)).collect()
    }
}
