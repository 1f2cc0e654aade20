//! Codex sessions that share a pane: what is typed there reaches one of them, and only that one is adopted.

use std::fmt;

use serde::Serialize;

use super::running::Running;
use crate::{
    actions::Context,
    model::{
        pane::read_pane,
        session::{Registration, Session},
    },
    ports::tmux::CaptureOptions,
};

/// A session that was meant to be adopted, and was left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct NotAdopted {
    codex_session_id: Option<String>,
    pid: Option<u32>,
    reason: String,
    tmux_pane_id: Option<String>,
    tmux_session: Option<String>,
}

impl NotAdopted {
    fn of(running: &Running, reason: String) -> Self {
        Self {
            codex_session_id: running.thread_id.clone(),
            pid: running.process.map(|process| process.pid),
            reason,
            tmux_pane_id: running.pane.as_ref().map(|pane| pane.id.to_string()),
            tmux_session: running.pane.as_ref().map(|pane| pane.session_name.clone()),
        }
    }
}

impl fmt::Display for NotAdopted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thread = self.codex_session_id.as_deref().unwrap_or("thread not known");
        let pid = self.pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        write!(f, "not adopted: {thread}{pid}: {}", self.reason)
    }
}

/// Whether both are processes in the same pane, and not the same one.
pub(super) fn share_a_pane(one: &Running, other: &Running) -> bool {
    one.pane.is_some() && one.pane == other.pane && one.process != other.process
}

/// The session in force that has the pane of a running one.
pub(super) fn holder_of_pane<'s>(running: &Running, sessions: &'s [Session]) -> Option<&'s Session> {
    sessions.iter().find(|session| session.state == Registration::Active && running.is_in_pane_of(session))
}

/// Parts those that can be adopted from those whose pane belongs to another session: one that is registered, or the one
/// that has the pane's keyboard. `found` is everything that runs.
pub(super) fn one_for_each_pane<'r>(
    cx: &Context,
    meant: Vec<&'r Running>,
    found: &[Running],
    sessions: &[Session],
) -> (Vec<&'r Running>, Vec<NotAdopted>) {
    let mut left = Vec::new();
    let mut taken = Vec::new();
    for running in meant {
        match in_the_way(cx, running, found, sessions) {
            Some(reason) => left.push(NotAdopted::of(running, reason)),
            None => taken.push(running),
        }
    }
    (taken, left)
}

/// Why a session is not the one that its pane shows; none when it is, or when nobody else is there.
fn in_the_way(cx: &Context, running: &Running, found: &[Running], sessions: &[Session]) -> Option<String> {
    let pane = running.pane.as_ref()?;
    if let Some(holder) = holder_of_pane(running, sessions) {
        let name = &holder.name;
        return Some(format!(
            "its pane {} is registered as \"{name}\", and one pane stands for one session; stop one of the two, or run \
             `conveyor deregister {name}` first",
            pane.id
        ));
    }
    let others: Vec<&Running> = found.iter().filter(|other| share_a_pane(running, other)).collect();
    if others.is_empty() {
        return None;
    }
    let shown = shown(cx, running, &others);
    if shown.is_some_and(|shown| shown.process == running.process) {
        return None;
    }
    let way_out = "bring it to the foreground there, or resume it in a pane of its own";
    Some(match shown {
        Some(shown) => {
            let pid = shown.process.map_or_else(|| "?".to_owned(), |process| process.pid.to_string());
            format!("another Codex (process {pid}) is in the foreground of its pane {}; {way_out}", pane.id)
        }
        None => format!(
            "{} Codex processes share its pane {}, and nobody tells which of them is shown there; end one of them, or \
             resume it in a pane of its own",
            others.len() + 1,
            pane.id
        ),
    })
}

/// Which of those in a pane it shows: the only one in the foreground, else the one whose thread stands on the screen.
pub(super) fn shown<'r>(cx: &Context, one: &'r Running, others: &[&'r Running]) -> Option<&'r Running> {
    let all = || std::iter::once(one).chain(others.iter().copied());
    let is_in_front = |running: &&Running| {
        running.process.and_then(|process| cx.processes().is_in_foreground(process)).unwrap_or(false)
    };
    let mut in_front = all().filter(is_in_front);
    if let (Some(only), None) = (in_front.next(), in_front.next()) {
        return Some(only);
    }
    let pane = one.pane.as_ref()?;
    let screen = cx.tmux(Some(&pane.socket)).capture(pane.id, CaptureOptions::default()).ok()?;
    let thread = read_pane(&screen, /*title*/ None).thread_id?;
    all().find(|running| running.thread_id.as_ref() == Some(&thread))
}
