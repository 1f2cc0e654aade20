//! The world that is played: sessions with their threads, rollouts, panes and server, and what happens in it by itself.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    deeds::Deed,
    dice::Dice,
    effects::{Effect, Late},
    oracles::Book,
    thread::{Thread, Waiting},
};
use crate::ports::{
    process::ProcessId,
    tmux::{PaneId, ScriptedTmux},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lives {
    /// Codex's server holds it.
    InServer,
    /// In a pane.
    InPane,
    /// Nobody holds it.
    Nowhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialog {
    None,
    /// It has the keyboard and is on the screen at this time.
    Coming(i64),
    Open,
}

pub(super) struct Pane {
    pub(super) id: PaneId,
    pub(super) process: ProcessId,
    /// Else something that is not Codex runs in it.
    pub(super) holds_codex: bool,
    pub(super) composer: String,
    pub(super) dialog: Dialog,
    pub(super) transcript: Vec<String>,
    /// Codex loses the next key.
    pub(super) loses_a_key: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) id: String,
    pub(super) ends_at: i64,
    pub(super) asks: bool,
    pub(super) is_written: bool,
    /// It compacts the context: no message becomes part of it.
    pub(super) compacts: bool,
    pub(super) compaction: Option<Compaction>,
}

/// What a turn is about that compacts the context.
#[derive(Debug, Clone)]
pub(super) struct Compaction {
    /// The command that asked for it, when one did.
    pub(super) command: Option<String>,
    /// When it is done; none when it fails.
    pub(super) due: Option<i64>,
}

pub(super) struct Seat {
    pub(super) session_id: String,
    pub(super) name: String,
    pub(super) lives: Lives,
    pub(super) thread: Thread,
    /// Those that it has left.
    pub(super) former: Vec<Thread>,
    pub(super) turn: Option<Turn>,
    /// Messages that Codex has and no rollout shows yet.
    pub(super) waiting: Vec<Waiting>,
    pub(super) pane: Option<Pane>,
    /// Its Codex is one that takes messages from a queue when it runs in a pane.
    pub(super) has_queue: bool,
    /// Its last turn was cut off: the queue rests until another one has ended.
    pub(super) was_cut_off: bool,
    /// When it looks into its queue, if it is idle then.
    pub(super) looks_at: i64,
    pub(super) is_deregistered: bool,
    /// Why nobody can tell what became of a message for it.
    pub(super) excuse: Option<&'static str>,
    /// A compaction was cut off, and no other turn has begun since.
    pub(super) compaction_was_cut_off: bool,
}

/// A message in Codex's own queue, which outlives every process and the machine.
#[derive(Debug, Clone)]
pub(super) struct Queued {
    pub(super) entry: String,
    pub(super) client_id: String,
    pub(super) text: String,
}

/// What is typed to have the context compacted.
pub(super) const COMPACT: &str = "/compact";

/// Codex's background server.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) is_up: bool,
    /// Which of them, in the order of their starts.
    pub(super) number: u32,
    pub(super) hangs_until: i64,
    pub(super) starts_at: Option<i64>,
    pub(super) ends_at: Option<i64>,
}

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) uptime: i64,
    pub(super) wall_ahead: i64,
    pub(super) boot: u32,
    pub(super) step: u64,
    /// Nothing goes wrong any more.
    pub(super) is_healed: bool,
    pub(super) heals_at: u64,
    pub(super) healed_at: Option<i64>,
    pub(super) seats: Vec<Seat>,
    pub(super) server: Server,
    pub(super) tmux: Arc<ScriptedTmux>,
    pub(super) processes: BTreeMap<u32, u64>,
    next_pid: u32,
    pub(super) next_turn: u32,
    next_thread: u32,
    pub(super) home: PathBuf,
    pub(super) late: Vec<(i64, Late)>,
    /// By thread.
    pub(super) queues: BTreeMap<String, Vec<Queued>>,
    pub(super) next_entry: u32,
    pub(super) book: Book,
    pub(super) commands_to_come: usize,
    pub(super) paused: BTreeMap<String, u64>,
    pub(super) tasks: Vec<String>,
    /// Messages that readers of inboxes hold.
    pub(super) tokens: Vec<String>,
    pub(super) trace: Vec<String>,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) failure: Option<String>,
}

impl Pane {
    /// Another program draws its own screen.
    pub(super) fn forget(&mut self) {
        self.transcript.clear();
        self.loses_a_key = false;
    }
}

impl World {
    pub(super) fn new(seed: u64, home: PathBuf) -> Self {
        let mut dice = Dice::of(seed);
        let heals_at = u64::try_from(dice.between(40, 160)).unwrap_or_default();
        Self {
            uptime: dice.between(5_000, 5_000_000),
            wall_ahead: 1_795_000_000_000,
            boot: 1,
            step: 0,
            is_healed: false,
            heals_at,
            healed_at: None,
            seats: Vec::new(),
            server: Server { is_up: true, number: 1, ..Server::default() },
            tmux: Arc::default(),
            processes: BTreeMap::new(),
            next_pid: 100,
            next_turn: 1,
            next_thread: 1,
            home,
            late: Vec::new(),
            queues: BTreeMap::new(),
            next_entry: 0,
            book: Book::default(),
            commands_to_come: 1 + dice.below(4),
            paused: BTreeMap::new(),
            tasks: Vec::new(),
            tokens: Vec::new(),
            trace: Vec::new(),
            counts: BTreeMap::new(),
            failure: None,
            dice,
        }
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(super) fn say(&mut self, what: impl Into<String>) {
        let line = format!("{:>5} {:>9} ms  {}", self.step, self.uptime, what.into());
        self.trace.push(line);
    }

    /// An oracle has spoken.
    pub(super) fn fail(&mut self, why: impl Into<String>) {
        let why = why.into();
        self.say(format!("BROKEN: {why}"));
        self.failure.get_or_insert(why);
    }

    pub(super) fn new_process(&mut self) -> ProcessId {
        self.next_pid += 1;
        let ticks = u64::try_from(self.uptime).unwrap_or_default() + 1;
        self.processes.insert(self.next_pid, ticks);
        ProcessId { pid: self.next_pid, start_ticks: ticks }
    }

    pub(super) fn new_thread(&mut self) -> Thread {
        self.next_thread += 1;
        Thread::new(&self.home, self.next_thread)
    }

    pub(super) fn seat_of_pane(&self, pane: PaneId) -> Option<usize> {
        self.seats.iter().position(|seat| seat.pane.as_ref().is_some_and(|known| known.id == pane))
    }

    /// Whether a composer holds the text of a command.
    pub(super) fn is_in_a_composer(&self, command: &str) -> bool {
        let panes = self.seats.iter().filter_map(|seat| seat.pane.as_ref());
        panes.into_iter().any(|pane| self.book.command_in(&pane.composer).as_deref() == Some(command))
            || self.seats.iter().any(|seat| self.command_at(seat).as_deref() == Some(command))
    }

    /// The command whose text stands in a session's composer.
    pub(super) fn command_at(&self, seat: &Seat) -> Option<String> {
        let text = &seat.pane.as_ref()?.composer;
        let compaction = || text.starts_with(COMPACT).then(|| self.book.compaction_for(&seat.session_id)).flatten();
        self.book.command_in(text).or_else(compaction)
    }

    pub(super) fn seat_of_thread(&self, thread: &str) -> Option<usize> {
        self.seats.iter().position(|seat| seat.thread.id == thread)
    }

    /// A pane in which Codex shows the session's thread.
    pub(super) fn open_pane(&mut self, seat: usize) {
        let process = self.new_process();
        let made = self.tmux.add_session(&self.seats[seat].name, process);
        self.seats[seat].pane = Some(Pane {
            id: made.pane,
            process,
            holds_codex: true,
            composer: String::new(),
            dialog: Dialog::None,
            transcript: Vec::new(),
            loses_a_key: false,
        });
        self.seats[seat].lives = Lives::InPane;
    }

    pub(super) fn close_pane(&mut self, seat: usize) {
        let Some(pane) = self.seats[seat].pane.take() else { return };
        self.tmux.remove(pane.id);
        self.processes.remove(&pane.process.pid);
        self.lose_memory(seat);
        self.seats[seat].lives = Lives::Nowhere;
    }

    pub(super) fn reboot(&mut self) {
        self.say("the machine goes down and comes up again");
        self.count("reboot");
        self.late.clear();
        self.processes.clear();
        for seat in 0..self.seats.len() {
            let was = self.seats[seat].lives;
            self.lose_memory(seat);
            let here = &mut self.seats[seat];
            (here.pane, here.excuse) = (None, Some("reboot"));
            here.lives = if was == Lives::InServer { Lives::InServer } else { Lives::Nowhere };
        }
        self.boot += 1;
        self.uptime = self.dice.between(3_000, 60_000);
        for seat in &mut self.seats {
            seat.looks_at = self.uptime;
        }
        self.tmux = Arc::default();
        let number = self.server.number + 1;
        self.server = Server { number, starts_at: Some(self.uptime + 5_000), ..Server::default() };
    }

    /// When the world does something by itself.
    pub(super) fn next_happening(&self) -> Option<i64> {
        let server = [self.server.starts_at, self.server.ends_at, Some(self.server.hangs_until)];
        let seats = self.seats.iter().flat_map(|seat| {
            let waiting = seat.waiting.iter().map(|waiting| Some(waiting.due)).collect::<Vec<_>>();
            let pane = seat.pane.as_ref().and_then(|pane| match pane.dialog {
                Dialog::Coming(at) => Some(at),
                Dialog::None | Dialog::Open => None,
            });
            let turn = seat.turn.as_ref().filter(|turn| !turn.asks).map(|turn| turn.ends_at);
            let compacts = seat.turn.as_ref().and_then(|turn| turn.compaction.as_ref()?.due);
            let look = self.takes_from_queue(seat).then_some(seat.looks_at);
            waiting.into_iter().chain([pane, turn, compacts, look, seat.thread.ends_line_at()])
        });
        let late = self.late.iter().map(|(at, _)| Some(*at));
        server.into_iter().chain(seats).chain(late).flatten().filter(|at| *at > self.uptime).min()
    }

    /// What is due happens.
    pub(super) fn go_on(&mut self) {
        let now = self.uptime;
        if self.server.starts_at.is_some_and(|at| at <= now) {
            self.server.starts_at = None;
            self.server.is_up = true;
            self.say("the server is up");
        }
        if self.server.ends_at.is_some_and(|at| at <= now) {
            self.server_dies();
        }
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = later;
        for (_, late) in due {
            self.say("a call is read whose sender is gone");
            self.carry_out(&late);
        }
        for seat in 0..self.seats.len() {
            self.live(seat);
        }
        if !self.is_healed && self.step >= self.heals_at {
            self.heal();
        }
    }

    /// Whether nothing is to come any more.
    pub(super) fn is_at_rest(&self) -> bool {
        let is_quiet =
            |seat: &Seat| seat.waiting.is_empty() && seat.turn.is_none() && seat.thread.ends_line_at().is_none();
        self.commands_to_come == 0 && self.late.is_empty() && self.book.is_settled() && self.seats.iter().all(is_quiet)
    }

    pub(super) fn server_dies(&mut self) {
        self.say("the server dies");
        self.server.is_up = false;
        self.server.ends_at = None;
        self.server.hangs_until = 0;
        self.server.number += 1;
        for seat in 0..self.seats.len() {
            if self.seats[seat].lives == Lives::InServer {
                self.lose_memory(seat);
            }
        }
    }

    /// From now on nothing goes wrong, and people leave the sessions alone.
    fn heal(&mut self) {
        self.is_healed = true;
        self.say("the world heals");
        self.server.hangs_until = 0;
        self.server.ends_at = None;
        for (at, late) in &mut self.late {
            if matches!(
                late.what,
                Effect::Give { .. } | Effect::Compact { .. } | Effect::Enqueue { .. } | Effect::Unqueue { .. }
            ) {
                *at = (*at).min(self.uptime);
            }
        }
        let ours: Vec<bool> = self.seats.iter().map(|seat| self.command_at(seat).is_some()).collect();
        for (seat, is_ours) in self.seats.iter_mut().zip(ours) {
            if let Some(turn) = &mut seat.turn {
                turn.asks = false;
                let compacted = turn.compaction.as_ref().and_then(|compaction| compaction.due);
                turn.ends_at = turn.ends_at.min(self.uptime + 1_000).max(compacted.unwrap_or_default());
            }
            if let Some(pane) = &mut seat.pane {
                pane.dialog = Dialog::None;
                pane.loses_a_key = false;
                if !is_ours || pane.composer.ends_with("mine") {
                    pane.composer.clear();
                }
            }
        }
    }

    pub(super) fn next_deed(&mut self) -> Option<Deed> {
        Deed::choose(self)
    }

    pub(super) fn lose_next_key(&mut self, seat: usize) {
        if let Some(pane) = &mut self.seats[seat].pane {
            pane.loses_a_key = true;
        }
    }
}
