//! What waits to be delivered when its task, its binding or its target ends: it is closed in the transaction of that end.

use std::fmt;

use serde::Serialize;

use super::into_inbox::{IN_HAND, take_from_inbox};
use crate::{
    base::{Moment, Result, text::counted},
    model::delivery::{Command, CommandKind, Lane, Phase},
    store::{
        self, Write,
        commands::{self, Filter, Step},
        deliveries::Of,
    },
};

/// Why what was to go through a binding is given up when that ends.
pub(super) const BINDING_ENDED: &str = "the binding it was sent through has ended";
/// Why what was for a session is given up when that is gone.
pub(super) const TARGET_GONE: &str = "its target is gone";

/// The phases in which nothing has happened yet.
pub(in crate::actions) const WAITING: [Phase; 2] = [Phase::Queued, Phase::Claimed];

/// The phases in which something may have happened that is not proven.
pub(in crate::actions) const BEGUN: [Phase; 4] = [Phase::Started, Phase::Staged, Phase::Submitted, Phase::Ambiguous];

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

/// What an end has given up, and what it leaves.
#[derive(Debug, Default, Serialize)]
pub(in crate::actions) struct LeftBehind {
    /// Messages that waited: they will never arrive.
    given_up_commands: Vec<String>,
    /// Messages that may still arrive.
    in_flight_commands: Vec<String>,
    /// What lies unread in an inbox, by number: it stays there.
    unread_items: Vec<i64>,
}

/// Gives up what waits to go through a binding that has ended.
pub(in crate::actions) fn give_up_of_binding(
    w: &Write<'_>,
    task_id: &str,
    binding_id: &str,
    now: &Moment,
) -> Result<LeftBehind> {
    let filter = Filter { task_id: Some(task_id), ..Filter::default() };
    let is_its = |command: &Command| command.binding_id.as_deref() == Some(binding_id);
    give_up(w, &filter, is_its, BINDING_ENDED, Of::Binding(binding_id), now)
}

/// Gives up what waits for a session that is gone.
pub(in crate::actions) fn give_up_for(w: &Write<'_>, session_id: &str, now: &Moment) -> Result<LeftBehind> {
    let filter = Filter { session_id: Some(session_id), ..Filter::default() };
    let is_its = |command: &Command| command.target_session_id == session_id;
    give_up(w, &filter, is_its, TARGET_GONE, Of::Session(session_id), now)
}

fn give_up(
    w: &Write<'_>,
    filter: &Filter<'_>,
    is_its: impl Fn(&Command) -> bool,
    why: &str,
    of: Of<'_>,
    now: &Moment,
) -> Result<LeftBehind> {
    let mut waiting = commands::list(w.read(), &Filter { phases: &WAITING, ..filter.clone() }, 0)?;
    waiting.retain(&is_its);
    let closed = close_waiting(w, waiting, Phase::Failed, why, now)?;
    let in_flight = commands::list(w.read(), &Filter { phases: &BEGUN, ..filter.clone() }, 0)?;
    let in_flight = in_flight.into_iter().filter(&is_its).map(|command| command.id).chain(closed.in_hand).collect();
    Ok(LeftBehind {
        given_up_commands: closed.commands,
        in_flight_commands: in_flight,
        unread_items: store::deliveries::unread(w.read(), of)?,
    })
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

/// How what an end leaves is told, which differs with what has ended.
pub(in crate::actions) struct Words {
    /// Behind "messages that waited".
    pub(in crate::actions) waited: &'static str,
    /// What becomes of a message that is under way.
    pub(in crate::actions) in_flight: &'static str,
    /// Where something lies unread, and until when.
    pub(in crate::actions) unread: &'static str,
}

impl LeftBehind {
    /// Says what was given up and what is left; nothing when there is nothing.
    pub(in crate::actions) fn human(&self, out: &mut dyn fmt::Write, words: &Words, dry_run: bool) -> fmt::Result {
        let were = match (dry_run, self.given_up_commands.len()) {
            (true, _) => "would be",
            (false, 1) => "was",
            (false, _) => "were",
        };
        if !self.given_up_commands.is_empty() {
            let given_up = counted(self.given_up_commands.len(), "message");
            writeln!(out, "{given_up} that waited {} {were} given up", words.waited)?;
        }
        if !self.in_flight_commands.is_empty() {
            let in_flight = counted(self.in_flight_commands.len(), "message");
            writeln!(
                out,
                "{in_flight} on the way already: {}: {}",
                words.in_flight,
                self.in_flight_commands.join(", ")
            )?;
        }
        if !self.unread_items.is_empty() {
            writeln!(out, "{} unread {}", counted(self.unread_items.len(), "message"), words.unread)?;
        }
        Ok(())
    }
}
