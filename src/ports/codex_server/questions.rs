//! What a thread asks at present: approvals with the files they are about, and questions that only its screen can
//! answer.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::{
    approval::{Action, Approval},
    client::{CodexServer, Page},
    error::ServerError,
    notification::{Notification, RequestId},
};
use crate::base::text;

/// Items among which the files of a change are looked for: those of the open turn.
const NEWEST: usize = 50;

/// The most files of one change that are named.
const MAX_FILES: usize = 100;

/// The longest path or question that is kept, in characters.
const MAX_TEXT: usize = 1_000;

/// What a thread asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenQuestions {
    /// What may be answered here.
    pub approvals: Vec<Approval>,
    /// What only its own screen can answer.
    pub others: Vec<OtherQuestion>,
}

/// A question that is no approval of a command or of a change of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherQuestion {
    /// Its number on this server.
    pub id: RequestId,
    /// The call, `item/tool/requestUserInput` for example.
    pub method: String,
    /// The item that waits.
    pub item_id: Option<String>,
    /// What is asked, when that can be read; cleaned and cut.
    pub text: Option<String>,
}

impl CodexServer {
    /// What a thread asks now. Subscribes to it, so the same holds as for [`Self::subscribe`]: only for threads that
    /// the server has loaded. Waits at most `patience` for the first question.
    ///
    /// # Errors
    /// As [`Self::subscribe`].
    pub fn open_questions(&mut self, thread: &str, patience: Duration) -> Result<OpenQuestions, ServerError> {
        self.subscribe(thread)?;
        let deadline = Instant::now() + patience;
        let mut others: Vec<OtherQuestion> = Vec::new();
        loop {
            let has_some = !others.is_empty() || self.open_approvals().any(|approval| approval.thread_id == thread);
            // They follow each other at once, so the first quiet moment is the end.
            let wait = if has_some { Duration::ZERO } else { deadline.saturating_duration_since(Instant::now()) };
            let heard = self.poll_notifications(wait)?;
            for notification in &heard {
                match notification {
                    Notification::Request { id, method, params } => {
                        others.extend(read(id, method, params, thread));
                    }
                    Notification::Resolved { request, .. } => others.retain(|other| other.id != *request),
                    _ => {}
                }
            }
            if heard.is_empty() && (has_some || Instant::now() >= deadline) {
                break;
            }
        }
        let mine = |approval: &&Approval| approval.thread_id == thread;
        Ok(OpenQuestions { approvals: self.open_approvals().filter(mine).cloned().collect(), others })
    }

    /// The files that a change would touch, cleaned; none when the server does not tell.
    ///
    /// # Errors
    /// When the server does not answer as it should in time.
    pub fn files_of(&mut self, approval: &Approval) -> Result<Option<Vec<String>>, ServerError> {
        #[derive(Deserialize)]
        struct Entry {
            item: Item,
        }

        #[derive(Deserialize)]
        struct Item {
            id: Option<String>,
            #[serde(default)]
            changes: Vec<Change>,
        }

        #[derive(Deserialize)]
        struct Change {
            path: String,
        }

        if approval.action != Action::FileChange {
            return Ok(None);
        }
        let params = serde_json::json!({ "threadId": approval.thread_id, "sortDirection": "desc", "limit": NEWEST });
        let page: Page<Entry> = self.request("thread/items/list", &params)?;
        let found = page.data.into_iter().find(|entry| entry.item.id.as_deref() == Some(&*approval.item_id));
        let Some(changes) = found.map(|entry| entry.item.changes).filter(|changes| !changes.is_empty()) else {
            return Ok(None);
        };
        // A list that is cut would hide what is approved.
        Ok((changes.len() <= MAX_FILES).then(|| changes.iter().map(|change| shown(&change.path)).collect()))
    }
}

fn read(id: &RequestId, method: &str, params: &str, thread: &str) -> Option<OtherQuestion> {
    let params: Value = serde_json::from_str(params).unwrap_or(Value::Null);
    if params["threadId"].as_str().is_some_and(|other| other != thread) {
        return None;
    }
    let asked: Vec<&str> = params["questions"]
        .as_array()
        .map(|questions| questions.iter().filter_map(|question| question["question"].as_str()).collect())
        .unwrap_or_default();
    let text = if asked.is_empty() { params["message"].as_str().map(str::to_owned) } else { Some(asked.join("; ")) };
    Some(OtherQuestion {
        id: id.clone(),
        method: shown(method),
        item_id: params["itemId"].as_str().map(shown),
        text: text.map(|text| shown(&text)),
    })
}

fn shown(words: &str) -> String {
    text::bounded(&text::one_line(&text::clean(words)), MAX_TEXT)
}
