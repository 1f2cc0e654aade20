//! Takes new rollout lines as they are written.
//!
//! File events are only a hint: they say which session to look at at once. A sweep every two seconds, or every second
//! where there are no such events, compares sizes, so that nothing depends on a notification that a file system, a limit or a replaced file has swallowed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{Parts, Trouble, blocking};
use crate::actions::live::{self, Watched};

/// Appends within this time are taken together.
const COALESCE: Duration = Duration::from_millis(30);
/// How often sizes are compared, with and without events of the file system.
const SWEEP: Duration = Duration::from_secs(2);
const SWEEP_ALONE: Duration = Duration::from_secs(1);

pub(super) async fn run(parts: Parts) {
    let (hints, mut hinted) = mpsc::channel(256);
    let mut files = Files::new(hints);
    let mut trouble = Trouble::new("tail");
    let mut sweep = interval(if files.watcher.is_some() { SWEEP } else { SWEEP_ALONE });
    sweep.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut changed = parts.changed.subscribe();
    let mut dirty: BTreeSet<String> = BTreeSet::new();
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            () = parts.stop.cancelled() => return,
            Some(path) = hinted.recv() => {
                if let Some(session) = files.session_of(&path) {
                    dirty.insert(session);
                    due.get_or_insert_with(|| Instant::now() + COALESCE);
                }
            }
            // A registration by another process is seen at once, not with the next sweep.
            Ok(()) = changed.changed() => {
                refresh(&parts, &mut files, &mut dirty, &mut trouble).await;
                if !dirty.is_empty() {
                    due.get_or_insert_with(Instant::now);
                }
            }
            _ = sweep.tick() => {
                refresh(&parts, &mut files, &mut dirty, &mut trouble).await;
                if !dirty.is_empty() {
                    due.get_or_insert_with(Instant::now);
                }
            }
            () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {
                due = None;
                for session in std::mem::take(&mut dirty) {
                    if parts.stop.is_cancelled() {
                        return;
                    }
                    take(&parts, session).await;
                }
            }
        }
    }
}

/// Looks which rollouts there are and which have grown since they were taken.
async fn refresh(parts: &Parts, files: &mut Files, dirty: &mut BTreeSet<String>, trouble: &mut Trouble) {
    let cx = parts.cx.clone();
    match blocking(move || live::watched(&cx)).await {
        Ok(Ok(watched)) => {
            dirty.extend(watched.iter().filter(|one| one.has_news).map(|one| one.session_id.clone()));
            files.watch(&watched);
            trouble.update(parts, None);
        }
        Ok(Err(error)) => trouble.update(parts, Some(error.to_string())),
        Err(error) => trouble.update(parts, Some(error)),
    }
}

async fn take(parts: &Parts, session: String) {
    let (cx, stop) = (parts.cx.clone(), parts.stop.clone());
    // Failures stand on the session's own record, where the board shows them.
    if let Ok(Ok(true)) = blocking(move || live::take(&cx, &session, &|| !stop.is_cancelled())).await {
        parts.announce();
    }
}

/// The watched files and the sessions they belong to.
struct Files {
    watcher: Option<RecommendedWatcher>,
    sessions: BTreeMap<PathBuf, String>,
}

impl Files {
    fn new(hints: mpsc::Sender<PathBuf>) -> Self {
        let handler = move |event: notify::Result<Event>| {
            if let Ok(event) = event
                && !event.kind.is_access()
            {
                for path in event.paths {
                    // A full queue is no loss: the sweep finds the growth.
                    let _ = hints.try_send(path);
                }
            }
        };
        // Without a watcher (no inotify instance left) the sweep alone serves.
        Self { watcher: notify::recommended_watcher(handler).ok(), sessions: BTreeMap::new() }
    }

    fn session_of(&self, path: &Path) -> Option<String> {
        self.sessions.get(path).cloned()
    }

    fn watch(&mut self, watched: &[Watched]) {
        let wanted: BTreeMap<PathBuf, String> =
            watched.iter().filter_map(|one| one.path.clone().map(|path| (path, one.session_id.clone()))).collect();
        if let Some(watcher) = &mut self.watcher {
            for gone in self.sessions.keys().filter(|path| !wanted.contains_key(*path)) {
                let _ = watcher.unwatch(gone);
            }
            for new in wanted.keys().filter(|path| !self.sessions.contains_key(*path)) {
                let _ = watcher.watch(new, RecursiveMode::NonRecursive);
            }
        }
        self.sessions = wanted;
    }
}
