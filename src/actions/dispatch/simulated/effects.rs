//! What dispatchers do to the world: texts put into composers, keys pressed, messages given to the server. A step may be
//! read after its sender has gone.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    thread::Waiting,
    world::{Dialog, Lives, Queued, World},
};
use crate::{
    model::{
        codex::SubmitKey,
        pane::{EmptyComposer, Steering},
        typing::{Sign, TypedText},
    },
    ports::tmux::{BufferName, Press, SendOutcome, Staging, Submission, Target, Tmux as _},
};

const ANSWERS: &str = "a server in memory answers";

/// A step that a server was sent, and may read after its sender has gone.
#[derive(Debug, Clone)]
pub(super) struct Late {
    pub(super) what: Effect,
    /// When its sender last looked whether it may act.
    pub(super) looked_at: LookedAt,
}

/// The steps at which a dispatcher last looked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LookedAt {
    /// For a pause.
    pub(super) pause: u64,
    /// Whether it still has the message in hand.
    pub(super) fence: u64,
}

/// What stands between the last look and an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// The pane, which knows who has the message in hand.
    Guard,
    /// Nothing.
    Look,
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
        fence: u64,
        sign: Sign,
        key: SubmitKey,
        press: Press,
    },
    Hold {
        target: Target,
        seq: u64,
        fence: u64,
    },
    Forgo {
        target: Target,
        seq: u64,
    },
    /// A thread's context is to be compacted.
    Compact {
        thread: String,
        command: String,
        server: u32,
    },
    /// Into a thread's queue.
    Enqueue {
        thread: String,
        text: String,
        client_id: String,
    },
    /// Out of it.
    Unqueue {
        thread: String,
        entry: String,
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
    Taken {
        turn: String,
    },
    Closed,
    NoThread,
    NoOpenTurn,
    OtherTurn(String),
    /// It lies in the queue under this name.
    Lies(String),
    /// Whether it lay in the queue and does not any more.
    TakenBack(bool),
}

impl World {
    pub(super) fn arrives_late(&mut self, late: Late) {
        // What goes to a server of Codex is read soon after it answers others; a pane counts for itself.
        let most = if matches!(
            late.what,
            Effect::Give { .. } | Effect::Compact { .. } | Effect::Enqueue { .. } | Effect::Unqueue { .. }
        ) {
            4_000
        } else {
            60_000
        };
        let at = self.uptime + self.dice.between(1, most);
        self.count("call read after its sender's end");
        self.late.push((at, late));
    }

    pub(super) fn arrives_at(&mut self, at: i64, late: Late) {
        self.late.push((at, late));
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
            Effect::Submit { target, seq, fence, sign, key, press } => {
                let steering = Steering::Waits;
                let submission = Submission { seq: *seq, fence: *fence, sign, key: *key, press: *press, steering };
                let outcome = tmux.submit(target, &submission).expect(ANSWERS);
                self.say(format!("submit {seq} {press:?}: {outcome:?}"));
                if outcome == SendOutcome::Done {
                    self.was_pressed(target, *key, late.looked_at);
                }
                (Some(outcome), None)
            }
            Effect::Hold { target, seq, fence } => {
                let outcome = tmux.hold(target, *seq, *fence).expect(ANSWERS);
                self.say(format!("hold {seq} under {fence}: {outcome:?}"));
                (Some(outcome), None)
            }
            Effect::Forgo { target, seq } => {
                let outcome = tmux.forgo(target, *seq).expect(ANSWERS);
                self.say(format!("forgo {seq}: {outcome:?}"));
                (Some(outcome), None)
            }
            Effect::Compact { thread, command, server } => {
                let given = self.has_compacted(thread, command, *server, late.looked_at);
                self.say(format!("compact for {command}: {given:?}"));
                (None, Some(given))
            }
            Effect::Enqueue { thread, text, client_id } => {
                self.may_go_out(client_id, late.looked_at, Last::Look);
                self.next_entry += 1;
                let entry = format!("entry-{}", self.next_entry);
                self.say(format!("{client_id} is put into the queue as {entry}"));
                self.count("message put into a queue");
                let queued = Queued { entry: entry.clone(), client_id: client_id.clone(), text: text.clone() };
                self.queues.entry(thread.clone()).or_default().push(queued);
                (None, Some(Given::Lies(entry)))
            }
            Effect::Unqueue { thread, entry } => {
                let queue = self.queues.entry(thread.clone()).or_default();
                let before = queue.len();
                queue.retain(|queued| queued.entry != *entry);
                let was_there = queue.len() < before;
                self.say(format!("{entry} is taken back: {was_there}"));
                if was_there {
                    self.count("message taken back from a queue");
                }
                (None, Some(Given::TakenBack(was_there)))
            }
            Effect::Give { thread, text, client_id, turn, server } => {
                let given = self.give(thread, text, client_id, turn.as_deref(), *server, late.looked_at);
                self.say(format!("give {client_id}: {given:?}"));
                (None, Some(given))
            }
        }
    }

    fn was_pasted(&mut self, target: &Target, text: &TypedText, looked_at: LookedAt) {
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
        if let Some(command) = self.book.command_in(text.as_str()).or_else(|| self.command_at(&self.seats[seat])) {
            self.may_go_out(&command, looked_at, Last::Look);
        }
    }

    fn was_pressed(&mut self, target: &Target, key: SubmitKey, looked_at: LookedAt) {
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
        let command = self.command_at(&self.seats[seat]);
        let text = self.seats[seat].pane.as_mut().map(|pane| std::mem::take(&mut pane.composer)).unwrap_or_default();
        if let Some(command) = &command {
            self.may_go_out(command, looked_at, Last::Guard);
        }
        self.submitted_in_pane(seat, text, command, "conveyor");
    }

    fn has_compacted(&mut self, thread: &str, command: &str, server: u32, looked_at: LookedAt) -> Given {
        if !self.server.is_up || self.server.number != server {
            return Given::Closed;
        }
        let Some(seat) = self.seat_of_thread(thread).filter(|seat| self.seats[*seat].lives == Lives::InServer) else {
            return Given::NoThread;
        };
        self.may_go_out(command, looked_at, Last::Look);
        // A turn that has begun since the look is cut off.
        self.interrupt(seat);
        self.compacts(seat, Some(command.to_owned()));
        Given::Taken { turn: String::new() }
    }

    fn give(
        &mut self,
        thread: &str,
        text: &str,
        client_id: &str,
        turn: Option<&str>,
        server: u32,
        looked_at: LookedAt,
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
        self.may_go_out(client_id, looked_at, Last::Look);
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
    fn may_go_out(&mut self, command: &str, looked_at: LookedAt, last: Last) {
        let scopes: BTreeSet<String> = self.book.scopes_of(command);
        if let Some(wrong) = self.book.is_withdrawn(command, looked_at.fence, last) {
            self.fail(wrong);
        }
        if let Some(scope) =
            scopes.into_iter().find(|scope| self.paused.get(scope).is_some_and(|at| *at < looked_at.pause))
        {
            self.fail(format!("{command} went out although `{scope}` was paused before"));
        }
    }
}
