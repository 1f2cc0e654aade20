//! Threads that Codex's background server has loaded, and the terminals that can only be theirs.

use std::{collections::BTreeSet, path::Path, time::Duration};

use super::{KnownBy, Running, merge};
use crate::{
    base::Timestamp,
    ports::codex_server::{CodexServer, ThreadStatus, Timeouts},
};

const SERVER_LIMITS: Timeouts = Timeouts { connect: Duration::from_millis(500), call: Duration::from_secs(2) };

/// Threads that Codex's background server has loaded, with the terminals that can only be theirs.
pub(super) fn add_loaded_threads(home: &Path, found: &mut Vec<Running>) {
    let Ok(mut server) = CodexServer::connect(home, SERVER_LIMITS) else { return };
    let loaded = server.loaded_threads().unwrap_or_default();
    let mut fresh = Vec::new();
    for id in loaded {
        let Ok(info) = server.read_thread(&id) else { continue };
        if info.ephemeral || info.parent_id.is_some() || info.status == ThreadStatus::NotLoaded {
            continue;
        }
        let running = Running {
            thread_id: Some(info.id),
            rollout: info.rollout,
            cwd: info.cwd,
            codex_home: Some(home.to_owned()),
            name: info.name,
            preview: info.preview,
            version: info.codex_version,
            ways: BTreeSet::from([KnownBy::Server]),
            unattended: matches!(info.status, ThreadStatus::Idle | ThreadStatus::SystemError),
            ..Running::default()
        };
        match found.iter_mut().find(|known| known.thread_id == running.thread_id) {
            Some(known) => merge(known, running),
            None => fresh.push(running),
        }
    }
    attach_only_ones(home, found, &mut fresh);
    for thread in &mut fresh {
        thread.unattended &= !found.iter().any(|terminal| could_show(home, terminal, thread));
    }
    found.extend(fresh);
}

/// Whether this terminal, whose thread nobody tells, could show this thread of the server.
fn could_show(home: &Path, terminal: &Running, thread: &Running) -> bool {
    terminal.thread_id.is_none() && terminal.codex_home.as_deref() == Some(home) && terminal.fits(thread)
}

/// Gives a thread of the server to a terminal when neither has another candidate in that directory.
fn attach_only_ones(home: &Path, found: &mut [Running], fresh: &mut Vec<Running>) {
    let fits = |terminal: &Running, thread: &Running| could_show(home, terminal, thread);
    let only = |mut all: Box<dyn Iterator<Item = usize> + '_>| all.next().filter(|_| all.next().is_none());
    let mut pairs = Vec::new();
    for (place, terminal) in found.iter().enumerate() {
        let candidates = fresh.iter().enumerate().filter(|(_, thread)| fits(terminal, thread));
        let Some(index) = only(Box::new(candidates.map(|(index, _)| index))) else { continue };
        let rivals = found.iter().enumerate().filter(|(_, terminal)| fits(terminal, &fresh[index]));
        if only(Box::new(rivals.map(|(place, _)| place))) == Some(place) {
            pairs.push((place, index));
        }
    }
    for (place, index) in &pairs {
        let mut thread = fresh[*index].clone();
        thread.ways.insert(KnownBy::OnlyInDirectory);
        found[*place].thread_id.clone_from(&thread.thread_id);
        merge(&mut found[*place], thread);
    }
    let mut index = 0;
    fresh.retain(|_| {
        index += 1;
        pairs.iter().all(|(_, taken)| *taken != index - 1)
    });
}

/// When a thread was made, as its id tells.
pub(super) fn made_at(thread_id: &str) -> Option<Timestamp> {
    let (seconds, nanos) = uuid::Uuid::parse_str(thread_id).ok()?.get_timestamp()?.to_unix();
    Some(Timestamp::from_millis(i64::try_from(seconds).ok()? * 1_000 + i64::from(nanos / 1_000_000)))
}

#[cfg(test)]
mod tests {
    use super::super::TakesUp;
    use super::*;

    /// Made at 2026-11-21T02:16:46.118Z.
    const THREAD: &str = "01a1fbe4-4f26-7c83-91b8-77f01863ce68";
    /// Made an hour before.
    const OLDER: &str = "01a1fbad-60a6-7c83-91b8-77f01863ce68";

    fn terminal(started_at: i64, argv: &[&str]) -> Running {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        Running {
            cwd: Some("/p".into()),
            codex_home: Some("/h".into()),
            started_at: Some(Timestamp::from_millis(started_at)),
            takes_up: TakesUp::of(&argv),
            ..Running::default()
        }
    }

    fn thread(id: &str) -> Running {
        Running { thread_id: Some(id.into()), cwd: Some("/p".into()), ..Running::default() }
    }

    fn attached(mut terminals: Vec<Running>, threads: &[&str]) -> Vec<Option<String>> {
        let mut fresh: Vec<Running> = threads.iter().map(|id| thread(id)).collect();
        let before = fresh.len();
        attach_only_ones(Path::new("/h"), &mut terminals, &mut fresh);
        let known = terminals.iter().filter(|terminal| terminal.thread_id.is_some()).count();
        assert_eq!(fresh.len() + known, before.max(known), "no thread is lost or doubled");
        terminals.into_iter().map(|terminal| terminal.thread_id).collect()
    }

    #[test]
    fn a_terminal_gets_the_only_thread_that_can_be_its_own() {
        let started = made_at(THREAD).unwrap().as_millis() - 400;
        let plain = || terminal(started, &["codex"]);
        let resumed = || terminal(started, &["codex", "resume", OLDER]);
        let known = |id: &str| Some(id.to_owned());
        assert_eq!(attached(vec![plain()], &[THREAD]), [known(THREAD)]);
        assert_eq!(attached(vec![plain()], &[OLDER]), [None], "a thread whose terminal has left");
        assert_eq!(attached(vec![plain()], &[OLDER, THREAD]), [known(THREAD)]);
        assert_eq!(attached(vec![resumed()], &[OLDER]), [known(OLDER)]);
        assert_eq!(attached(vec![resumed()], &[OLDER, THREAD]), [None], "it may have gone on to a new one");
        assert_eq!(attached(vec![terminal(started, &["codex", "resume"])], &[OLDER]), [known(OLDER)]);
        assert_eq!(attached(vec![plain(), plain()], &[THREAD]), [None, None], "either could show it");
        assert_eq!(attached(vec![plain(), resumed()], &[THREAD, OLDER]), [None, None]);
        assert_eq!(attached(vec![Running { started_at: None, ..plain() }], &[OLDER]), [known(OLDER)]);
    }
}
