//! What waits to be delivered when its task, its binding or its target ends: it is closed in the transaction of that end.

use std::fmt;

use super::into_inbox::{IN_HAND, take_from_inbox};
use crate::{
    base::{Moment, Result, text::counted},
    model::delivery::{Command, CommandKind, Lane, Phase},
    store::{
        self, Write,
        commands::{self, Filter, Step},
    },
};

/// Why what was to go through a binding is given up when that ends.
pub(super) const BINDING_ENDED: &str = "the binding it was sent through has ended";
/// Why what was for a session is given up when that is gone.
pub(super) const TARGET_GONE: &str = "its target is gone";

/// The phases in which nothing has happened yet.
pub(in crate::actions) const WAITING: [Phase; 2] = [Phase::Queued, Phase::Claimed];

/// What became of commands that waited.
#[derive(Debug, Default)]
pub(in crate::actions) struct Closed {
    /// Those that are closed and will never arrive.
    pub(in crate::actions) commands: Vec<String>,
    /// Those that their reader has taken from the inbox already: a confirmation ends them.
    pub(in crate::actions) in_hand: Vec<String>,
}

/// Closes commands of which nothing has happened yet. What a reader has in hand was delivered.
pub(in crate::actions) fn close_waiting(
    w: &Write<'_>,
    waiting: Vec<Command>,
    phase: Phase,
    why: &str,
    now: &Moment,
) -> Result<Closed> {
    let mut closed = Closed::default();
    for command in waiting {
        if !take_from_inbox(w, &command, why)? {
            if leave_in_hand(w, &command, now)? {
                closed.in_hand.push(command.id);
            }
            continue;
        }
        // What a word tells of lies in the inbox: nothing is lost with it.
        let is_word = command.phase == Phase::Queued && command.kind == CommandKind::WorkerTaskComplete;
        let to = if is_word { Phase::Cancelled } else { phase };
        let error = (to != Phase::Cancelled).then_some(why);
        if commands::advance(w, &command, to, Step { reason: Some(why), error, ..Step::default() }, now.wall)?
            && to == phase
        {
            closed.commands.push(command.id);
        }
    }
    Ok(closed)
}

/// Gives up what waits to go through a binding that has ended; the commands that were.
pub(in crate::actions) fn give_up_of_binding(
    w: &Write<'_>,
    task_id: &str,
    binding_id: &str,
    now: &Moment,
) -> Result<Vec<String>> {
    let filter = Filter { task_id: Some(task_id), phases: &WAITING, ..Filter::default() };
    let mut waiting = commands::list(w.read(), &filter, 0)?;
    waiting.retain(|command| command.binding_id.as_deref() == Some(binding_id));
    Ok(close_waiting(w, waiting, Phase::Failed, BINDING_ENDED, now)?.commands)
}

/// Gives up what waits for a session that is gone; the commands that were.
pub(in crate::actions) fn give_up_for(w: &Write<'_>, session_id: &str, now: &Moment) -> Result<Vec<String>> {
    let filter = Filter { session_id: Some(session_id), phases: &WAITING, ..Filter::default() };
    let mut waiting = commands::list(w.read(), &filter, 0)?;
    waiting.retain(|command| command.target_session_id == session_id);
    Ok(close_waiting(w, waiting, Phase::Failed, TARGET_GONE, now)?.commands)
}

/// A command whose message its reader has taken from the inbox: its confirmation ends it. False when it has moved.
fn leave_in_hand(w: &Write<'_>, command: &Command, now: &Moment) -> Result<bool> {
    // Nobody is at it any more, and from there it is delivered.
    if command.phase == Phase::Claimed {
        commands::advance(w, command, Phase::Queued, Step::default(), now.wall)?;
    }
    let Some(command) = store::commands::by_id(w.read(), &command.id)?.filter(|one| one.phase == Phase::Queued) else {
        return Ok(false);
    };
    let step = Step { reason: Some(IN_HAND), lane: Some((Lane::Inbox, IN_HAND)), ..Step::default() };
    Ok(commands::advance(w, &command, Phase::Delivered, step, now.wall)?)
}

/// Says how many messages were given up that waited so; nothing when none did.
pub(in crate::actions) fn told_given_up(
    out: &mut dyn fmt::Write,
    how: &str,
    count: usize,
    dry_run: bool,
) -> fmt::Result {
    let were = match (dry_run, count) {
        (_, 0) => return Ok(()),
        (true, _) => "would be",
        (false, 1) => "was",
        (false, _) => "were",
    };
    writeln!(out, "{} that waited {how} {were} given up", counted(count, "message"))
}
