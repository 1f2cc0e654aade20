//! What must hold at each step and at the end, and what is remembered of each command for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use super::{
    effects::Last,
    world::{Seat, World},
};
use crate::{
    model::{
        delivery::{Attempt, AttemptState, Command, CommandKind, Lane, Phase},
        typing::Marker,
    },
    store::dispatchers::EVERYTHING,
};

/// What became of a message that a session was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waiting,
    Shown,
    Lost,
}

#[derive(Debug)]
struct Note {
    seq: i64,
    kind: CommandKind,
    target: String,
    task: Option<String>,
    marker: String,
    phase: Phase,
    /// The step at which it was seen to have moved there.
    moved_at: u64,
    fence: i64,
    submissions: Vec<Fate>,
    /// It ended once, without an echo: what is seen of it later has no place in the line.
    was_given_up: bool,
    /// Nobody could tell whether it had arrived.
    was_ambiguous: bool,
    /// An operator has just put it at the end of the line.
    is_requeued: bool,
    /// How often an operator let it be sent again although it may have arrived.
    again: usize,
    /// How often a reader of its inbox has confirmed it.
    confirmed: usize,
}

/// What is known of the commands.
#[derive(Debug, Default)]
pub(super) struct Book {
    notes: BTreeMap<String, Note>,
    number: u32,
    /// By session, the place in line of the last command that it has shown.
    last_shown: BTreeMap<String, i64>,
    /// Pauses in force when the ledger was compared last.
    paused: BTreeSet<String>,
}

impl Book {
    pub(super) fn next_number(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    pub(super) fn accepted(&mut self, command: &Command) {
        self.notes.entry(command.id.clone()).or_insert_with(|| Note {
            seq: command.seq,
            kind: command.kind,
            target: command.target_session_id.clone(),
            task: command.task_id.clone(),
            marker: Marker::of_command(&command.id).to_string(),
            phase: command.phase,
            moved_at: 0,
            fence: command.fence,
            submissions: Vec::new(),
            was_given_up: false,
            was_ambiguous: false,
            is_requeued: false,
            again: 0,
            confirmed: 0,
        });
    }

    /// Whether nothing holds a line any more.
    pub(super) fn is_settled(&self) -> bool {
        !self.notes.values().any(|note| note.phase.holds_the_line() && !is_waiting_word(note.kind, note.phase))
    }

    /// A command that nobody has begun to deliver.
    pub(super) fn queued(&self) -> Option<String> {
        self.notes.iter().find(|(_, note)| note.phase == Phase::Queued).map(|(id, _)| id.clone())
    }

    /// A command in one of these phases.
    pub(super) fn in_phase(&self, phases: &[Phase]) -> Option<String> {
        self.notes.iter().find(|(_, note)| phases.contains(&note.phase)).map(|(id, _)| id.clone())
    }

    /// An operator is about to put a command back into the line, and it `may_come_twice`.
    pub(super) fn requeued(&mut self, command: &str, may_come_twice: bool) {
        if let Some(note) = self.notes.get_mut(command) {
            note.is_requeued = true;
            note.again += usize::from(may_come_twice);
        }
    }

    /// How often a session may have a command.
    fn allowed(&self, command: &str) -> usize {
        1 + self.notes.get(command).map_or(0, |note| note.again)
    }

    /// A reader has confirmed the message of a command. Says what is wrong with that.
    pub(super) fn confirmed(&mut self, command: &str) -> Option<String> {
        let note = self.notes.get_mut(command)?;
        note.confirmed += 1;
        (note.confirmed > 1 + note.again).then(|| format!("{command} was confirmed twice in its inbox"))
    }

    /// The command whose typed text this is or holds.
    pub(super) fn command_in(&self, text: &str) -> Option<String> {
        self.notes.iter().find(|(_, note)| text.contains(&note.marker)).map(|(id, _)| id.clone())
    }

    /// The request for a compaction that a session was sent last and that is not over.
    pub(super) fn compaction_for(&self, session: &str) -> Option<String> {
        let is_it = |note: &Note| note.kind == CommandKind::RequestWorkerCompact && note.target == session;
        let known: Vec<_> = self.notes.iter().filter(|(_, note)| is_it(note)).collect();
        let in_flight = known.iter().find(|(_, note)| note.phase.holds_the_line() && note.phase != Phase::Queued);
        in_flight.or(known.last()).map(|(id, _)| (*id).clone())
    }

    /// Why nothing may go out for a command now: its try was given back, or it is over without one, or an operator has
    /// decided about it before its dispatcher last looked. A pane is asked to refuse what comes after that look too.
    pub(super) fn is_withdrawn(&self, command: &str, looked_at: u64, last: Last) -> Option<String> {
        let note = self.notes.get(command)?;
        let phase = note.phase;
        let is_decided = note.again > 0 || matches!(phase, Phase::Failed | Phase::Dead);
        let is_so = match phase {
            Phase::Queued | Phase::Cancelled | Phase::Expired | Phase::Failed | Phase::Dead if is_decided => {
                last == Last::Guard || note.moved_at < looked_at
            }
            Phase::Queued | Phase::Cancelled | Phase::Expired => true,
            _ => false,
        };
        is_so.then(|| format!("{command} went out while it was {phase}"))
    }

    /// Why a session may not take a message from its queue any more: it is over, and nobody has let it be sent again.
    pub(super) fn is_over(&self, command: &str) -> Option<String> {
        let note = self.notes.get(command).filter(|note| note.again == 0)?;
        let over = [Phase::Queued, Phase::Cancelled, Phase::Expired, Phase::Failed, Phase::Dead];
        over.contains(&note.phase).then(|| format!("{command} was taken from a queue while it was {}", note.phase))
    }

    /// Whether the text of a command is left in a composer for good: no try that runs has put it there.
    pub(super) fn is_left_over(&self, command: &str) -> bool {
        self.notes.get(command).is_some_and(|note| !note.phase.holds_the_line() || note.phase == Phase::Queued)
    }

    /// Whether it is an operator's word only that a command did not arrive.
    pub(super) fn was_decided(&self, command: &str) -> bool {
        self.notes.get(command).is_some_and(|note| note.was_ambiguous)
    }

    pub(super) fn scopes_of(&self, command: &str) -> BTreeSet<String> {
        let task = self.notes.get(command).and_then(|note| note.task.clone());
        task.into_iter().chain([EVERYTHING.to_owned()]).collect()
    }

    /// A message gets to a session. Says what is wrong with that.
    pub(super) fn reaches(&mut self, command: &str, session: &str) -> Option<String> {
        let Some(note) = self.notes.get_mut(command) else {
            return Some(format!("{session} got {command}, which nobody has accepted"));
        };
        let mut before = note.submissions.iter().filter(|fate| **fate != Fate::Lost);
        let before = before.nth(note.again).copied();
        note.submissions.push(Fate::Waiting);
        before.map(|fate| format!("{session} got {command} twice: the first is {fate:?}"))
    }

    /// A message that a session had in memory is lost.
    pub(super) fn lost(&mut self, command: &str) {
        if let Some(note) = self.notes.get_mut(command) {
            for fate in note.submissions.iter_mut().filter(|fate| **fate != Fate::Lost) {
                *fate = Fate::Lost;
            }
        }
    }

    /// A rollout shows a message, or begins to. Says what is wrong with that.
    pub(super) fn echoed(&mut self, command: &str, session: &str, _thread: &str, _text: &str) -> Option<String> {
        let note = self.notes.get_mut(command)?;
        if let Some(fate) = note.submissions.iter_mut().find(|fate| **fate == Fate::Waiting) {
            *fate = Fate::Shown;
        }
        if note.target != session {
            return Some(format!("{command} went to another session than its target"));
        }
        if note.was_given_up || note.kind == CommandKind::WorkerTaskComplete {
            return None;
        }
        let last = self.last_shown.insert(session.to_owned(), note.seq).unwrap_or_default();
        (last > note.seq).then(|| format!("{command}, number {}, came after number {last}", note.seq))
    }
}

impl World {
    /// Whether any command stands elsewhere than at the last look.
    pub(super) fn have_moved(&mut self, standings: &[(String, Phase, i64)]) -> bool {
        let is_known = |(id, phase, fence): &(String, Phase, i64)| {
            self.book.notes.get(id).is_some_and(|note| note.phase == *phase && note.fence == *fence)
        };
        let have_moved = standings.len() != self.book.notes.len() || !standings.iter().all(is_known);
        if !have_moved {
            self.book.paused = self.paused.keys().cloned().collect();
        }
        have_moved
    }

    /// Holds the ledger against what was so at the last look, and against the world.
    /// True when a command has moved.
    pub(super) fn compare(&mut self, commands: &[Command]) -> bool {
        let mut wrong = Vec::new();
        let mut seen = Vec::new();
        let mut in_flight: BTreeSet<&str> = BTreeSet::new();
        let known = self.book.notes.len();
        for command in commands {
            self.book.accepted(command);
            let Some(note) = self.book.notes.get_mut(&command.id) else { continue };
            let (id, from, to) = (&command.id, note.phase, command.phase);
            if note.is_requeued && command.seq > note.seq {
                (note.seq, note.is_requeued) = (command.seq, false);
            }
            if command.seq != note.seq || command.fence < note.fence {
                wrong.push(format!("{id}: place or fence went back"));
            }
            let is_flying = matches!(to, Phase::Claimed | Phase::Started | Phase::Staged | Phase::Submitted);
            if is_flying && !in_flight.insert(&command.target_session_id) {
                wrong.push(format!("{id} is in flight beside another one for its session"));
            }
            if from == to && command.fence == note.fence {
                continue;
            }
            (note.phase, note.fence) = (to, command.fence);
            note.moved_at = self.step;
            if from != to {
                let reason = command.reason.as_deref().unwrap_or_default();
                seen.push(format!("{id}: {from} -> {to} {reason}"));
            }
            note.was_ambiguous |= to == Phase::Ambiguous;
            note.was_given_up |= !is_flying && !matches!(to, Phase::Queued | Phase::Done);
            let covers = |scope: &String| scope == EVERYTHING || command.task_id.as_ref() == Some(scope);
            if from == Phase::Queued && to == Phase::Started && self.book.paused.iter().any(covers) {
                wrong.push(format!("a try of {id} began while it was paused"));
            }
            let seat = self.seats.iter().find(|seat| seat.session_id == command.target_session_id);
            let Some(seat) = seat else { continue };
            if to == Phase::Done && from != to && needs_echo(command) && seat.echoes(command) == 0 {
                wrong.push(format!("{id} is done, and no rollout shows it"));
            }
            let why = command.reason.as_deref().unwrap_or_default();
            // Nobody can tell whether the turn that the rollout leaves open is a dead one: its process was killed, or the
            // lines since look like copies and are not followed.
            let is_mute = why.starts_with("the queue does not have it any more, and the turn that is open")
                && ((seat.turn.is_none() && seat.thread.leaves_turn_open())
                    || seat.thread.has_come_before(self.uptime + self.wall_ahead));
            if to == Phase::Ambiguous && from != to && seat.excuse.is_none() && !has_run_out(command) && !is_mute {
                wrong.push(format!("{id} is ambiguous ({why}), and nothing has happened that would explain it"));
            }
        }
        let has_moved = !seen.is_empty() || self.book.notes.len() > known;
        seen.into_iter().for_each(|line| self.say(line));
        wrong.into_iter().for_each(|wrong| self.fail(wrong));
        self.book.paused = self.paused.keys().cloned().collect();
        has_moved
    }

    /// Nothing holds the line any more when everything has come to an end, before anybody looks once more.
    pub(super) fn nobody_waits(&mut self, commands: &[Command]) {
        for command in commands {
            let (id, phase) = (&command.id, command.phase);
            if phase.holds_the_line() && !is_waiting_word(command.kind, phase) {
                let why = command.reason.as_deref().unwrap_or("no reason");
                self.fail(format!("{id} is still {phase}: {why}"));
            }
        }
    }

    /// What must hold when everything has come to an end.
    pub(super) fn conclude(&mut self, commands: &[Command], attempts: &BTreeMap<String, Vec<Attempt>>) {
        let mut wrong = Vec::new();
        let accepted = commands.iter().filter(|command| self.book.notes.contains_key(&command.id)).count();
        if accepted != self.book.notes.len() {
            wrong.push("an accepted command is not in the ledger".to_owned());
        }
        let left = self.queues.values().flatten().filter(|left| {
            let note = self.book.notes.get(&left.client_id);
            // What was uncertain may be there, also when a person has decided about it.
            note.is_none_or(|note| note.again == 0 && !note.was_ambiguous)
        });
        wrong.extend(left.map(|left| format!("{} is left in a queue", left.client_id)));
        for command in commands {
            let (id, phase) = (&command.id, command.phase);
            if !matches!(phase, Phase::Done | Phase::Delivered) && command.reason.is_none() {
                wrong.push(format!("{id} is {phase} without a reason"));
            }
            if let Some(seat) = self.seats.iter().find(|seat| seat.session_id == command.target_session_id) {
                wrong.extend(seat.is_consistent_with(command, self.book.allowed(id)));
            }
            let tries = attempts.get(id).map(Vec::as_slice).unwrap_or_default();
            wrong.extend(tries_agree(command, tries));
            let state = match (phase, command.lane) {
                (Phase::Done, Some(Lane::Server)) if command.kind == CommandKind::RequestWorkerCompact => {
                    "ended compacted, by the server"
                }
                (Phase::Done, Some(Lane::Tmux)) if command.kind == CommandKind::RequestWorkerCompact => {
                    "ended compacted, typed"
                }
                (Phase::Done, Some(Lane::Server)) => "ended done, by the server",
                (Phase::Done, Some(Lane::Queue)) => "ended done, through a queue",
                (Phase::Done, Some(Lane::Tmux)) => "ended done, typed",
                (Phase::Done, _) => "ended done, otherwise",
                (Phase::Delivered, Some(Lane::Inbox)) => "ended in the inbox",
                (Phase::Delivered, _) => "ended in the inbox with a pointer",
                (Phase::Failed, _) => "ended failed",
                (Phase::Ambiguous, _) => "ended ambiguous",
                (Phase::Expired, _) => "ended expired",
                (Phase::Cancelled, _) => "ended cancelled",
                _ => "ended otherwise",
            };
            self.count(state);
        }
        let again: usize = self.book.notes.values().filter(|note| note.submissions.len() > 1).count();
        for _ in 0..again {
            self.count("given again after a loss");
        }
        wrong.into_iter().for_each(|wrong| self.fail(wrong));
    }

    /// The seats as they are and the ends of their rollouts, for whoever looks for what broke.
    pub(super) fn tell_seats(&mut self) {
        for number in 0..self.seats.len() {
            let seat = &self.seats[number];
            let text = fs::read_to_string(&seat.thread.path).unwrap_or_default();
            let told = self.tell_seat(seat);
            self.say(told);
            let lines: Vec<&str> = text.lines().collect();
            lines.iter().skip(lines.len().saturating_sub(10)).for_each(|line| self.say(format!("  {line}")));
        }
    }

    fn tell_seat(&self, seat: &Seat) -> String {
        let pane = seat.pane.as_ref().map_or_else(
            || "no pane".to_owned(),
            |pane| {
                let held = if pane.holds_codex { "with Codex" } else { "without Codex" };
                format!("pane {} {held}, composer {:?}, dialog {:?}", pane.id, pane.composer, pane.dialog)
            },
        );
        let queued = self.queues.get(&seat.thread.id).map_or(0, Vec::len);
        format!(
            "{} lives {:?}, thread {}, turn {:?}, {} waiting, {queued} in its queue (reads it: {}, cut off: {}), {pane}, \
             deregistered: {}",
            seat.name,
            seat.lives,
            seat.thread.id,
            seat.turn,
            seat.waiting.len(),
            seat.has_queue,
            seat.was_cut_off,
            seat.is_deregistered
        )
    }
}

/// Whether only a rollout can have proven it: neither its reader nor an operator has said that it is there.
fn needs_echo(command: &Command) -> bool {
    let receipt = command.result.as_ref().map(|result| result["receipt"]["kind"].clone());
    !receipt.is_some_and(|kind| kind == "operator" || kind == "inbox_ack")
}

/// Whether it is said that a message's time ran out which had little.
fn has_run_out(command: &Command) -> bool {
    let life = command.expires_at.map(|expires| expires.as_millis() - command.created_at.as_millis());
    let reason = command.reason.as_deref().unwrap_or_default();
    life.is_some_and(|life| life <= 20_000) && reason.starts_with("its time ran out")
}

impl Seat {
    /// How often the session's rollouts show the message of a command, as it was sent.
    fn echoes(&self, command: &Command) -> usize {
        let marker = Marker::of_command(&command.id);
        let threads = self.former.iter().chain([&self.thread]);
        if command.kind == CommandKind::RequestWorkerCompact {
            return threads.map(|thread| thread.compactions()).sum();
        }
        let messages = threads.flat_map(|thread| thread.messages());
        let is_it = |(text, id): &(String, Option<String>)| {
            id.as_deref() == Some(&*command.id) || (text.contains(marker.as_str()) && !text.ends_with("mine"))
        };
        messages.filter(is_it).count()
    }

    fn is_consistent_with(&self, command: &Command, allowed: usize) -> Option<String> {
        let (id, phase, echoes) = (&command.id, command.phase, self.echoes(command));
        if command.kind == CommandKind::RequestWorkerCompact {
            let is_bare = phase == Phase::Done && echoes == 0 && needs_echo(command);
            return is_bare.then(|| format!("{id} is done, and no rollout tells of a compaction"));
        }
        let reads_on = !self.is_deregistered && self.former.is_empty();
        match (phase, echoes) {
            (_, echoes) if echoes > allowed => Some(format!("the rollout shows {id} {echoes} times")),
            (Phase::Done, 0) if needs_echo(command) => Some(format!("{id} is done, and no rollout shows it")),
            (Phase::Done | Phase::Delivered, _) => None,
            (_, 1) if reads_on => Some(format!("the rollout shows {id}, and it is {phase}")),
            _ => None,
        }
    }
}

/// A word that something waits holds nothing up, and waits itself until there is a way.
fn is_waiting_word(kind: CommandKind, phase: Phase) -> bool {
    phase == Phase::Queued && kind == CommandKind::WorkerTaskComplete
}

fn tries_agree(command: &Command, tries: &[Attempt]) -> Option<String> {
    let id = &command.id;
    if tries.iter().any(|one| one.state == AttemptState::Running) {
        return Some(format!("a try of {id} still runs, and it is {}", command.phase));
    }
    // What is put into an inbox needs no claim.
    let grows = |pair: &[Attempt]| match pair[1].lane {
        Some(Lane::Inbox) | None => pair[0].fence <= pair[1].fence,
        Some(_) => pair[0].fence < pair[1].fence,
    };
    if !tries.windows(2).all(grows) {
        return Some(format!("the fences of the tries of {id} do not grow"));
    }
    if tries.iter().any(|one| one.fence > command.fence) {
        return Some(format!("a try of {id} has a fence that the command never had"));
    }
    let has_succeeded = tries.iter().any(|one| one.state == AttemptState::Succeeded);
    if matches!(command.phase, Phase::Done | Phase::Delivered) && tries.is_empty() {
        return Some(format!("{id} is {} without a try", command.phase));
    }
    (command.phase == Phase::Failed && has_succeeded).then(|| format!("{id} failed with a try that succeeded"))
}
