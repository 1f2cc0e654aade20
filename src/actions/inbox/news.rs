//! What a bound worker has done since: its new rollout lines are taken and its turns are told to its manager, so that a
//! manager that looks or waits learns of them also when nobody dispatches.

use std::{fs, path::Path};

use super::super::{Context, blocked, ingest, routing};
use crate::{
    base::Result,
    model::session::{Registration, Role, Session},
    store::{self, Read, Store, rollouts::SeenTo},
};

/// A manager's worker, watched.
pub struct News {
    manager: Option<String>,
    seen: Option<SeenTo>,
    /// The length of the rollout at the last try to take it; none when it was not there.
    tried: Option<Option<u64>>,
    error: Option<String>,
}

impl News {
    /// Watches the worker of `session`, when it manages one.
    pub fn of(session: &Session) -> Self {
        let manager = (session.role == Role::Manager).then(|| session.id.clone());
        Self { manager, seen: None, tried: None, error: None }
    }

    /// Why the worker's rollout could not be read the last time.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Whether the rollout is not what was seen of it. Costs one look at the file's length.
    pub fn are_there(&self) -> bool {
        let Some(seen) = &self.seen else { return false };
        let length = length(&seen.path);
        let is_new = length.map_or(!seen.failed, |length| length != seen.seen_bytes);
        is_new && self.tried != Some(length)
    }

    /// Takes what is new and tells the manager. Trouble with it is noted and keeps nobody from the inbox.
    pub fn take(&mut self, cx: &Context, store: &Store) {
        if let Some(manager) = self.manager.clone() {
            self.error = self.try_take(cx, store, &manager).err().map(|error| error.to_string());
        }
    }

    fn try_take(&mut self, cx: &Context, store: &Store, manager_id: &str) -> Result<()> {
        let (worker, seen) = store.read(|r| worker_of(r, manager_id))?;
        self.seen = seen;
        let Some(worker) = worker else { return Ok(()) };
        if self.are_there() {
            self.tried = self.seen.as_ref().map(|seen| length(&seen.path));
            let taken = ingest::ingest_while(cx, store, &worker, &|| true);
            self.seen = store.read(|r| store::rollouts::position(r, &worker.id))?;
            taken?;
        }
        tell_manager(cx, store, &worker.id)
    }
}

/// Tells a worker's manager what its turns came to and what it asks, when nobody has yet.
pub fn tell_manager(cx: &Context, store: &Store, worker_id: &str) -> Result<()> {
    if store.read(|r| store::signals::has_unrouted(r, worker_id))? {
        // Whoever looks into an inbox needs no waking.
        routing::route(cx, store, worker_id, &cx.fresh_id("inbox"), routing::Word::Spared, &|_| true)?;
    }
    blocked::route(cx, store, worker_id, &cx.fresh_id("inbox"), routing::Word::Spared, &|_| true)?;
    Ok(())
}

/// The worker that this session manages, and how far its rollout was seen.
fn worker_of(r: Read<'_>, manager_id: &str) -> Result<(Option<Session>, Option<SeenTo>)> {
    let Some(binding) = store::bindings::active_of_session(r, manager_id)? else { return Ok((None, None)) };
    let worker = store::sessions::by_id(r, &binding.worker_session_id)?;
    let worker = worker.filter(|worker| worker.state == Registration::Active);
    let seen = match &worker {
        Some(worker) => store::rollouts::position(r, &worker.id)?,
        None => None,
    };
    Ok((worker, seen))
}

fn length(path: &str) -> Option<u64> {
    fs::metadata(Path::new(path)).ok().map(|metadata| metadata.len())
}
