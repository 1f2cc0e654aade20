//! Keeps a session's record on the thread that its pane really shows.
//!
//! Codex writes no rollout before the first prompt, and `/new`, `/clear` and `/fork` put another thread into the
//! same pane without a word in the old file. So the pane's thread id is compared at every look, and a missing
//! rollout is searched for until it appears.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{
    Context,
    sense::{self, Look},
};
use crate::{
    base::{Error, Result},
    model::{rollout::SessionSource, session::Session},
    ports,
    store::{self, Store, audit},
};

/// Follows the session to the thread that was seen; true when its record changed.
pub(super) fn follow(cx: &Context, store: &Store, session: &Session, look: &Look) -> Result<bool> {
    let known = session.codex_session_id.as_deref();
    // The pane tells for certain; the open files of its process tell when it does not.
    let held = look.held.as_ref();
    let newer = held.map(|held| held.thread_id.as_str()).filter(|id| known.is_none_or(|known| *id > known));
    let seen = look.thread_id.as_deref().or(newer);
    let moved = seen.is_some() && seen != known;
    let Some(thread) = seen.or(known) else { return Ok(false) };
    if !moved && session.codex_session_path.is_some() {
        return Ok(false);
    }
    let by_process = held.filter(|held| held.thread_id == thread).and_then(|held| held.rollout.clone());
    let found = by_process.or_else(|| rollout_of(cx, session, look, thread, moved));
    match (found, moved) {
        (Some(path), _) => adopt(cx, store, session, thread, Some(&path)),
        (None, true) => adopt(cx, store, session, thread, None),
        (None, false) => Ok(false),
    }
}

/// The rollout of a thread: as Codex's server names it, else by its file name.
fn rollout_of(cx: &Context, session: &Session, look: &Look, thread: &str, moved: bool) -> Option<PathBuf> {
    if !moved && let Some(path) = look.rollout.as_ref().filter(|path| path.exists()) {
        return Some(path.clone());
    }
    let home = sense::codex_home(cx, session)?;
    ports::rollout::rollout_of_thread(&home, thread)
}

fn adopt(cx: &Context, store: &Store, session: &Session, thread: &str, path: Option<&Path>) -> Result<bool> {
    let head = path.and_then(|path| ports::rollout::read_head(path).ok());
    if let Some(path) = path {
        // A first line that is not there yet will be found by the next look.
        let Some(head) = &head else { return Ok(false) };
        if head.thread_id != thread || matches!(head.source, SessionSource::SubAgent { .. }) {
            tracing::debug!("{} is not the rollout of the thread {thread}", path.display());
            return Ok(false);
        }
    }
    let now = cx.now();
    store.write(|w| {
        let Some(mut current) = store::sessions::by_id(w.read(), &session.id)? else {
            return Ok(false);
        };
        // What was seen belongs to the record it was seen with; a resume or a new registration meanwhile wins.
        let unchanged = current.state == session.state
            && current.codex_session_id == session.codex_session_id
            && (current.tmux_pane_id.as_ref(), current.pane_pid) == (session.tmux_pane_id.as_ref(), session.pane_pid);
        if !unchanged {
            return Ok(false);
        }
        if let Some(other) = store::sessions::by_thread(w.read(), thread)?
            && other.id != current.id
        {
            return Ok(false);
        }
        let before = current.codex_session_id.clone();
        if before.as_deref() == Some(thread) && path.is_none() {
            return Ok(false);
        }
        current.codex_session_id = Some(thread.to_owned());
        current.codex_session_path = path.map(|path| path.display().to_string());
        current.last_ingest_offset = None;
        if let Some(head) = &head {
            current.codex_version.clone_from(&head.version);
        }
        store::sessions::save(w, &current)?;
        match path {
            Some(path) => {
                store::rollouts::adopt(w, &current.id, thread, &path.display().to_string(), now)?;
            }
            None => store::rollouts::leave(w, &current.id, now)?,
        }
        let kind = if before.as_deref().is_some_and(|before| before != thread) {
            "session_thread_changed"
        } else {
            "session_rollout_found"
        };
        let about = audit::About { task_id: None, session_id: Some(&current.id) };
        let payload = json!({
            "codex_session_id": thread,
            "codex_session_path": current.codex_session_path,
            "name": current.name,
            "previous_codex_session_id": before,
        });
        audit::append(w, now, audit::Actor::Conveyor, kind, about, &payload)?;
        Ok::<_, Error>(true)
    })
}
