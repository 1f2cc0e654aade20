//! Turns of sessions: how messages become part of them, and how they end.

use std::mem;

use super::{
    thread::Waiting,
    world::{COMPACT, Compaction, Dialog, Lives, Queued, Seat, Turn, World},
};

impl World {
    pub(super) fn live(&mut self, seat: usize) {
        let now = self.uptime;
        if let Some(pane) = &mut self.seats[seat].pane
            && let Dialog::Coming(at) = pane.dialog
            && at <= now
        {
            pane.dialog = Dialog::Open;
        }
        self.seats[seat].thread.go_on(now);
        self.compacted(seat);
        loop {
            let here = &self.seats[seat];
            let ends = here.turn.as_ref().is_some_and(|turn| turn.ends_at <= now && !turn.asks);
            let compacts = here.turn.as_ref().is_some_and(|turn| turn.compacts);
            let due = here.waiting.iter().position(|waiting| waiting.due <= now || ends).filter(|_| !compacts);
            let Some(due) = due else {
                if ends {
                    self.end_turn(seat);
                    // What came while the context was compacted begins a turn of its own.
                    if compacts {
                        continue;
                    }
                }
                self.look_into_queue(seat);
                return;
            };
            if here.turn.is_none() {
                self.begin_turn(seat, 12_000);
            }
            let waiting = self.seats[seat].waiting.remove(due);
            self.echo(seat, waiting);
        }
    }

    /// A turn that compacts the context begins; one that fails is told as cut off.
    pub(super) fn compacts(&mut self, seat: usize, command: Option<String>) {
        if let Some(command) = &command {
            let name = self.seats[seat].name.clone();
            self.say(format!("{name} begins to compact for {command}"));
            if let Some(wrong) = self.book.reaches(command, &name) {
                self.fail(wrong);
            }
        }
        let turn = self.begin_turn(seat, 2_000);
        let fails = !self.is_healed && self.dice.once_in(6);
        let due = self.uptime + self.dice.between(20, 3_000);
        let wall = self.uptime + self.wall_ahead;
        let here = &mut self.seats[seat];
        here.thread.turn_begins(&turn, wall);
        if let Some(turn) = &mut here.turn {
            (turn.is_written, turn.compacts) = (true, true);
            turn.ends_at = due + 5;
            turn.compaction = Some(Compaction { command, due: (!fails).then_some(due) });
        }
    }

    /// A compaction that is due is on record.
    fn compacted(&mut self, seat: usize) {
        let (now, wall) = (self.uptime, self.uptime + self.wall_ahead);
        let here = &mut self.seats[seat];
        let Some(turn) = &mut here.turn else { return };
        let is_due = |compaction: &mut Compaction| compaction.due.is_some_and(|due| due <= now);
        let Some(done) = turn.compaction.take_if(is_due) else { return };
        here.thread.compacted(wall);
        let (session, thread) = (here.session_id.clone(), here.thread.id.clone());
        self.count("context compacted");
        if let Some(command) = done.command {
            self.say(format!("the compaction of {command} is in the rollout"));
            if let Some(wrong) = self.book.echoed(&command, &session, &thread, COMPACT) {
                self.fail(wrong);
            }
        }
    }

    /// A compaction that came to nothing.
    fn compaction_is_lost(&mut self, turn: &Turn) {
        if let Some(Compaction { command: Some(command), .. }) = &turn.compaction {
            self.count("compaction came to nothing");
            self.book.lost(command);
        }
    }

    /// Whether a session takes messages from its thread's queue now, if it looks.
    pub(super) fn takes_from_queue(&self, seat: &Seat) -> bool {
        let holds = match (seat.lives, &seat.pane) {
            (Lives::InServer, _) => self.server.is_up && self.server.hangs_until <= self.uptime,
            (Lives::InPane, Some(pane)) => seat.has_queue && pane.holds_codex && pane.dialog == Dialog::None,
            _ => false,
        };
        let is_idle = seat.turn.is_none() && seat.waiting.is_empty() && !seat.was_cut_off;
        holds && is_idle && self.queues.get(&seat.thread.id).is_some_and(|queue| !queue.is_empty())
    }

    /// A turn begins with the first message of the queue: when another has ended, or by a look every ten seconds.
    fn look_into_queue(&mut self, seat: usize) {
        let now = self.uptime;
        if self.seats[seat].looks_at > now || !self.takes_from_queue(&self.seats[seat]) {
            return;
        }
        self.seats[seat].looks_at = now + 10_000;
        let Some(queue) = self.queues.get_mut(&self.seats[seat].thread.id) else { return };
        let Queued { client_id, text, entry } = queue.remove(0);
        let name = self.seats[seat].name.clone();
        self.say(format!("{name} takes {client_id} from its queue ({entry})"));
        self.count("message taken from a queue");
        let wrong = [self.book.is_over(&client_id), self.book.reaches(&client_id, &name)];
        wrong.into_iter().flatten().for_each(|wrong| self.fail(wrong));
        self.begin_turn(seat, 15_000);
        let due = now + self.dice.between(1, 60);
        if let Some(turn) = &mut self.seats[seat].turn {
            turn.ends_at = turn.ends_at.max(due + 1);
        }
        let (client_id, command) = (Some(client_id.clone()), Some(client_id));
        self.seats[seat].waiting.push(Waiting { text, client_id, command, due });
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
        if here.turn.as_ref().is_some_and(|turn| turn.compaction.is_some()) {
            // The model did not answer.
            return self.interrupt(seat);
        }
        if let Some(turn) = here.turn.take() {
            (here.was_cut_off, here.looks_at) = (false, self.uptime);
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
        self.compaction_is_lost(&turn);
        let here = &mut self.seats[seat];
        // One that Codex has not written down is none that its queue rests for.
        here.was_cut_off |= turn.is_written;
        here.compaction_was_cut_off = turn.compaction.is_some();
        if turn.is_written {
            here.thread.turn_is_cut_off(&turn.id, wall);
            if turn.compaction.is_some() && here.thread.looks_copied(&turn.id, wall) {
                // That it failed stands in a line that looks like a copy.
                here.excuse = Some("line older than its thread");
            }
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

    /// The process that had a thread in its memory is gone.
    pub(super) fn lose_memory(&mut self, seat: usize) {
        if let Some(turn) = self.seats[seat].turn.take() {
            self.compaction_is_lost(&turn);
        }
        let here = &mut self.seats[seat];
        let mut lost: Vec<String> = here.waiting.drain(..).filter_map(|waiting| waiting.command).collect();
        lost.extend(here.thread.writer_dies());
        // Whoever resumes the thread goes by the last turn that is written.
        here.was_cut_off = here.thread.is_cut_off();
        for command in lost {
            self.say(format!("{command} is lost with its process"));
            self.count("message lost with its process");
            self.book.lost(&command);
        }
    }

    pub(super) fn begin_turn(&mut self, seat: usize, most: i64) -> String {
        self.next_turn += 1;
        // As Codex makes them, with the time inside.
        let wall = self.uptime + self.wall_ahead;
        let id = format!("{:08x}-{:04x}-7000-8000-{:012x}", wall >> 16, wall & 0xffff, self.next_turn);
        let ends_at = self.uptime + self.dice.between(most / 50, most);
        if mem::take(&mut self.seats[seat].compaction_was_cut_off) {
            // The rollout tells how the last turn ended, and which one that was of two nobody can tell.
            self.seats[seat].excuse = Some("turn after a compaction that was cut off");
        }
        self.seats[seat].turn =
            Some(Turn { id: id.clone(), ends_at, asks: false, is_written: false, compacts: false, compaction: None });
        id
    }

    /// A text goes from the composer to Codex.
    pub(super) fn submitted_in_pane(&mut self, seat: usize, text: String, command: Option<String>, by: &'static str) {
        if text.trim() == COMPACT {
            self.say(format!("{COMPACT} is submitted in the pane by {by}"));
            if self.seats[seat].turn.is_none() {
                return self.compacts(seat, command);
            }
            // Codex says no while a turn runs.
            self.count("compaction refused by a turn");
            self.seats[seat].excuse = Some("busy");
            return;
        }
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
}
