//! The world that is played: sessions with their threads, rollouts, panes and server, and what happens in it by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use super::{
    deeds::Deed,
    dice::Dice,
    oracles::Book,
    thread::{Thread, Waiting},
};
use crate::{
    base::text,
    model::{
        codex::SubmitKey,
        pane::{EmptyComposer, Steering},
        typing::{Sign, TypedText},
    },
    ports::{
        process::ProcessId,
        tmux::{BufferName, PaneId, Press, ScriptedTmux, SendOutcome, Staging, Submission, Target, Tmux as _},
    },
};

/// A step that a server was sent, and may read after its sender has gone.
#[derive(Debug, Clone)]
pub(super) struct Late {
    pub(super) what: Effect,
    /// The step at which its sender last looked whether it may act.
    pub(super) looked_at: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Effect {
    Stage {
        target: Target,
        seq: u64,
        text: TypedText,
        composer: EmptyComposer,
        buffer: BufferName,
    },
    Submit {
        target: Target,
        seq: u64,
        sign: Sign,
        key: SubmitKey,
        press: Press,
    },
    Forgo {
        target: Target,
        seq: u64,
    },
    /// With a turn: into this one only.
    Give {
        thread: String,
        text: String,
        client_id: String,
        turn: Option<String>,
        server: u32,
    },
}

/// What became of a message for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    Taken { turn: String },
    Closed,
    NoThread,
    NoOpenTurn,
    OtherTurn(String),
}

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
    transcript: Vec<String>,
    /// Codex loses the next key.
    loses_a_key: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) id: String,
    pub(super) ends_at: i64,
    pub(super) asks: bool,
    pub(super) is_written: bool,
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
    pub(super) is_deregistered: bool,
    /// Why nobody can tell what became of a message for it.
    pub(super) excuse: Option<&'static str>,
}

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
    next_turn: u32,
    next_thread: u32,
    pub(super) home: PathBuf,
    late: Vec<(i64, Late)>,
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

const SPINNER: &str = "⠋ project";
const ANSWERS: &str = "a server in memory answers";
const PLACEHOLDER: &str = "› Ask Codex to do anything";

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

    /// The process that had a thread in its memory is gone.
    pub(super) fn lose_memory(&mut self, seat: usize) {
        let here = &mut self.seats[seat];
        here.turn = None;
        let mut lost: Vec<String> = here.waiting.drain(..).filter_map(|waiting| waiting.command).collect();
        lost.extend(here.thread.writer_dies());
        for command in lost {
            self.say(format!("{command} is lost with its process"));
            self.count("message lost with its process");
            self.book.lost(&command);
        }
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
        self.tmux = Arc::default();
        let number = self.server.number + 1;
        self.server = Server { number, starts_at: Some(self.uptime + 5_000), ..Server::default() };
    }

    pub(super) fn arrives_late(&mut self, late: Late) {
        // What goes to a server of Codex is read soon after it answers others; a pane counts for itself.
        let most = if matches!(late.what, Effect::Give { .. }) { 4_000 } else { 60_000 };
        let at = self.uptime + self.dice.between(1, most);
        self.count("call read after its sender's end");
        self.late.push((at, late));
    }

    pub(super) fn arrives_at(&mut self, at: i64, late: Late) {
        self.late.push((at, late));
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
            waiting.into_iter().chain([pane, turn, seat.thread.ends_line_at()])
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

    fn live(&mut self, seat: usize) {
        let now = self.uptime;
        if let Some(pane) = &mut self.seats[seat].pane
            && let Dialog::Coming(at) = pane.dialog
            && at <= now
        {
            pane.dialog = Dialog::Open;
        }
        self.seats[seat].thread.go_on(now);
        loop {
            let here = &self.seats[seat];
            let ends = here.turn.as_ref().is_some_and(|turn| turn.ends_at <= now && !turn.asks);
            let due = here.waiting.iter().position(|waiting| waiting.due <= now || ends);
            let Some(due) = due else {
                if ends {
                    self.end_turn(seat);
                }
                return;
            };
            let waiting = self.seats[seat].waiting.remove(due);
            self.echo(seat, waiting);
        }
    }

    /// Codex takes a message: its rollout shows it.
    fn echo(&mut self, seat: usize, waiting: Waiting) {
        let (now, wall) = (self.uptime, self.uptime + self.wall_ahead);
        let torn = (!self.is_healed && self.dice.once_in(8)).then(|| now + self.dice.between(1, 2_500));
        if torn.is_some() {
            self.count("torn rollout line");
        }
        let here = &mut self.seats[seat];
        if let Some(turn) = &mut here.turn
            && !std::mem::replace(&mut turn.is_written, true)
        {
            here.thread.turn_begins(&turn.id, wall);
        }
        here.thread.user_message(&waiting, wall, torn);
        if here.thread.has_come_before(wall) {
            self.count("line older than its thread");
        }
        let here = &mut self.seats[seat];
        if let Some(pane) = &mut here.pane {
            pane.transcript.push(waiting.text.clone());
        }
        if let Some(command) = waiting.command {
            self.say(format!("{command} is in the rollout of {}", self.seats[seat].name));
            let here = &self.seats[seat];
            let (session, thread) = (here.session_id.clone(), here.thread.id.clone());
            if let Some(wrong) = self.book.echoed(&command, &session, &thread, &waiting.text) {
                self.fail(wrong);
            }
        }
    }

    fn end_turn(&mut self, seat: usize) {
        let wall = self.uptime + self.wall_ahead;
        let here = &mut self.seats[seat];
        if let Some(turn) = here.turn.take() {
            if turn.is_written {
                here.thread.turn_ends(&turn.id, wall);
            }
            let name = here.name.clone();
            self.say(format!("the turn of {name} ends"));
        }
    }

    /// A person cuts the turn off; what waited for the model may be dropped.
    pub(super) fn interrupt(&mut self, seat: usize) {
        let wall = self.uptime + self.wall_ahead;
        let Some(turn) = self.seats[seat].turn.take() else { return };
        self.count("turn interrupted");
        let here = &mut self.seats[seat];
        if turn.is_written {
            here.thread.turn_is_cut_off(&turn.id, wall);
        }
        let dropped: Vec<Waiting> = here.waiting.drain(..).collect();
        for waiting in dropped {
            let Some(command) = waiting.command else { continue };
            self.say(format!("{command} is dropped by the interruption"));
            self.count("message dropped by an interruption");
            self.book.lost(&command);
            // Typed ones are parked then: nobody can tell.
            self.seats[seat].excuse = Some("interrupted");
        }
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

    pub(super) fn begin_turn(&mut self, seat: usize, most: i64) -> String {
        self.next_turn += 1;
        let id = format!("turn-{}", self.next_turn);
        let ends_at = self.uptime + self.dice.between(most / 50, most);
        self.seats[seat].turn = Some(Turn { id: id.clone(), ends_at, asks: false, is_written: false });
        id
    }

    /// From now on nothing goes wrong, and people leave the sessions alone.
    fn heal(&mut self) {
        self.is_healed = true;
        self.say("the world heals");
        self.server.hangs_until = 0;
        self.server.ends_at = None;
        for (at, late) in &mut self.late {
            if matches!(late.what, Effect::Give { .. }) {
                *at = (*at).min(self.uptime);
            }
        }
        for seat in &mut self.seats {
            if let Some(turn) = &mut seat.turn {
                turn.asks = false;
                turn.ends_at = turn.ends_at.min(self.uptime + 1_000);
            }
            if let Some(pane) = &mut seat.pane {
                pane.dialog = Dialog::None;
                pane.loses_a_key = false;
                if self.book.command_in(&pane.composer).is_none() || pane.composer.ends_with("mine") {
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

    /// Draws what the panes show.
    pub(super) fn draw(&self) {
        for seat in &self.seats {
            let Some(pane) = &seat.pane else { continue };
            let screen = screen_of(seat, pane);
            let is_busy = seat.turn.is_some();
            self.tmux.change(pane.id, |drawn| {
                drawn.screen = screen;
                drawn.composer = if pane.dialog == Dialog::Open { String::new() } else { pane.composer.clone() };
                drawn.info.pid = pane.process.pid;
                drawn.start_ticks = pane.process.start_ticks;
                drawn.info.title = if is_busy { SPINNER.to_owned() } else { String::new() };
            });
        }
    }

    /// Does what a server was told, and says what came of it.
    pub(super) fn carry_out(&mut self, late: &Late) -> (Option<SendOutcome>, Option<Given>) {
        self.draw();
        let tmux = Arc::clone(&self.tmux);
        match &late.what {
            Effect::Stage { target, seq, text, composer, buffer } => {
                let (composer, buffer) = (*composer, buffer.clone());
                let staging = Staging { seq: *seq, text, composer, buffer, steering: Steering::Waits };
                let outcome = tmux.stage(target, &staging).expect(ANSWERS);
                self.say(format!("stage {seq}: {outcome:?}"));
                if outcome == SendOutcome::Done {
                    self.was_pasted(target, text, late.looked_at);
                }
                (Some(outcome), None)
            }
            Effect::Submit { target, seq, sign, key, press } => {
                let submission = Submission { seq: *seq, sign, key: *key, press: *press, steering: Steering::Waits };
                let outcome = tmux.submit(target, &submission).expect(ANSWERS);
                self.say(format!("submit {seq} {press:?}: {outcome:?}"));
                if outcome == SendOutcome::Done {
                    self.was_pressed(target, *key, late.looked_at);
                }
                (Some(outcome), None)
            }
            Effect::Forgo { target, seq } => {
                let outcome = tmux.forgo(target, *seq).expect(ANSWERS);
                self.say(format!("forgo {seq}: {outcome:?}"));
                (Some(outcome), None)
            }
            Effect::Give { thread, text, client_id, turn, server } => {
                let given = self.give(thread, text, client_id, turn.as_deref(), *server, late.looked_at);
                self.say(format!("give {client_id}: {given:?}"));
                (None, Some(given))
            }
        }
    }

    fn was_pasted(&mut self, target: &Target, text: &TypedText, looked_at: u64) {
        let Some(seat) = self.seat_of_pane(target.pane) else {
            return self.fail("a text was typed into a pane that is nobody's");
        };
        let pane = self.seats[seat].pane.as_mut().expect("the pane was found by its id");
        let (is_codex, dialog) = (pane.holds_codex && pane.process == target.process, pane.dialog);
        match dialog {
            Dialog::None => pane.composer = text.as_str().to_owned(),
            // The dialog swallows the paste.
            Dialog::Coming(_) => self.count("paste swallowed by a dialog that opens"),
            Dialog::Open => self.fail("a text was typed while a dialog was open"),
        }
        if !is_codex {
            self.fail("a text was typed into a process that is not the session's Codex");
        }
        if let Some(command) = self.book.command_in(text.as_str()) {
            self.may_go_out(&command, looked_at);
        }
    }

    fn was_pressed(&mut self, target: &Target, key: SubmitKey, looked_at: u64) {
        let Some(seat) = self.seat_of_pane(target.pane) else {
            return self.fail("a key was pressed in a pane that is nobody's");
        };
        let pane = self.seats[seat].pane.as_mut().expect("the pane was found by its id");
        if !pane.holds_codex || pane.process != target.process {
            return self.fail("a key was pressed in a process that is not the session's Codex");
        }
        match (pane.dialog, key) {
            (Dialog::None, _) if std::mem::take(&mut pane.loses_a_key) => {
                self.count("key lost");
                self.seats[seat].excuse = Some("key lost");
                return;
            }
            (Dialog::None, _) => {}
            (Dialog::Coming(_), SubmitKey::Tab) => {
                self.count("key swallowed by a dialog that opens");
                self.seats[seat].excuse = Some("key lost");
                return;
            }
            (Dialog::Coming(_) | Dialog::Open, _) => return self.fail("a key has answered a dialog"),
        }
        let text = std::mem::take(&mut pane.composer);
        let command = self.book.command_in(&text);
        if let Some(command) = &command {
            self.may_go_out(command, looked_at);
        }
        self.submitted_in_pane(seat, text, command, "conveyor");
    }

    /// A text goes from the composer to Codex.
    pub(super) fn submitted_in_pane(&mut self, seat: usize, text: String, command: Option<String>, by: &'static str) {
        if let Some(command) = &command {
            self.say(format!("{command} is submitted in the pane by {by}"));
            let name = self.seats[seat].name.clone();
            if let Some(wrong) = self.book.reaches(command, &name) {
                self.fail(wrong);
            }
        }
        let most = if self.dice.once_in(3) { 3_000 } else { 160 };
        let due = self.uptime + self.dice.between(10, most);
        if self.seats[seat].turn.is_none() {
            let turn = self.begin_turn(seat, 12_000);
            let ends_at = due + self.dice.between(1, 10_000);
            if let Some(open) = self.seats[seat].turn.as_mut().filter(|open| open.id == turn) {
                open.ends_at = ends_at;
            }
        }
        self.seats[seat].waiting.push(Waiting { text, client_id: None, command, due });
    }

    fn give(
        &mut self,
        thread: &str,
        text: &str,
        client_id: &str,
        turn: Option<&str>,
        server: u32,
        looked_at: u64,
    ) -> Given {
        if !self.server.is_up || self.server.number != server {
            return Given::Closed;
        }
        let Some(seat) = self.seat_of_thread(thread).filter(|seat| self.seats[*seat].lives == Lives::InServer) else {
            return Given::NoThread;
        };
        let open = self.seats[seat].turn.clone();
        if let Some(expected) = turn {
            match &open {
                None => return Given::NoOpenTurn,
                Some(open) if open.id != expected => return Given::OtherTurn(open.id.clone()),
                Some(_) => {}
            }
        }
        self.may_go_out(client_id, looked_at);
        let name = self.seats[seat].name.clone();
        if let Some(wrong) = self.book.reaches(client_id, &name) {
            self.fail(wrong);
        }
        let command = Some(client_id.to_owned());
        let (turn, due) = match open {
            // The model takes it when it likes.
            Some(open) => (open.id, self.uptime + self.dice.between(20, 20_000)),
            None => {
                let most = if self.dice.once_in(4) { 1_500 } else { 60 };
                let due = self.uptime + self.dice.between(1, most);
                let turn = self.begin_turn(seat, 15_000);
                if let Some(begun) = &mut self.seats[seat].turn {
                    begun.ends_at = begun.ends_at.max(due + 1);
                }
                (turn, due)
            }
        };
        let client_id = Some(client_id.to_owned());
        self.seats[seat].waiting.push(Waiting { text: text.to_owned(), client_id, command, due });
        Given::Taken { turn }
    }

    /// Nothing goes out for what was given back, nor where a pause was in force before it was looked for.
    fn may_go_out(&mut self, command: &str, looked_at: u64) {
        let scopes: BTreeSet<String> = self.book.scopes_of(command);
        if let Some(wrong) = self.book.is_withdrawn(command) {
            self.fail(wrong);
        }
        if let Some(scope) = scopes.into_iter().find(|scope| self.paused.get(scope).is_some_and(|at| *at < looked_at)) {
            self.fail(format!("{command} went out although `{scope}` was paused before"));
        }
    }
}

fn screen_of(seat: &Seat, pane: &Pane) -> String {
    let mut rows: Vec<String> = Vec::new();
    if !pane.holds_codex {
        return "user@host:~$ ".to_owned();
    }
    rows.push("  >_ OpenAI Codex (v0.169.0)".to_owned());
    for text in pane.transcript.iter().rev().take(2).rev() {
        rows.push(String::new());
        rows.push(format!("› {}", text.replace('\n', "\n  ")));
        rows.push(String::new());
        rows.push("• I see.".to_owned());
    }
    rows.extend([String::new(), String::new()]);
    if pane.dialog == Dialog::Open {
        rows.extend(
            [
                "  Would you like to run the following command?",
                "",
                "  $ touch proof",
                "",
                "› 1. Yes, proceed (y)",
                "  2. No, and tell Codex what to do differently (esc)",
                "",
                "  Press enter to confirm or esc to cancel",
            ]
            .map(str::to_owned),
        );
        return rows.join("\n");
    }
    let state = if seat.turn.is_some() { "Working" } else { "Ready" };
    if seat.turn.is_some() {
        rows.extend(["• Working (3s • esc to interrupt)".to_owned(), String::new(), String::new()]);
    }
    if pane.composer.is_empty() {
        rows.push(PLACEHOLDER.to_owned());
    } else {
        rows.push(format!("› {}", text::clean(&pane.composer).replace('\n', "\n  ")));
    }
    rows.extend([String::new(), format!("  {state} · {}", seat.thread.id), "  ? for shortcuts".to_owned()]);
    rows.join("\n")
}

/// The screen as a capture with escape sequences shows it: the placeholder is dim.
pub(super) fn with_escapes(screen: &str) -> String {
    let dim = "› \u{1b}[2mAsk Codex to do anything\u{1b}[0m";
    let rows = screen.split('\n').map(|row| if row == PLACEHOLDER { dim } else { row });
    rows.collect::<Vec<_>>().join("\n")
}
