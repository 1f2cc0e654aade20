//! What people, operators and machines do meanwhile, by the dice.

use super::{
    stage::Stage,
    thread::Waiting,
    world::{COMPACT, Dialog, Lives, Pane, World},
};
use crate::{
    actions::{
        Ack, Action as _, Deregister, Receive, WaitArgs,
        caller::Origin,
        dispatch::{control::DispatchVerb, enqueue::Request, resolve::Decision},
    },
    base::{Error, Kind},
    model::{
        delivery::{CommandKind, Phase},
        session::Registration,
    },
    store,
};

/// What is done through the ledger, outside the world's own lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    Enqueue {
        seat: usize,
        text: String,
        key: Option<String>,
        expires: u64,
    },
    /// The worker of the task is to compact its context.
    Compact {
        seat: usize,
    },
    Cancel {
        command: String,
    },
    Pause {
        task: Option<String>,
    },
    Resume {
        task: Option<String>,
    },
    Deregister {
        seat: usize,
    },
    /// The session's record gets the pane in which it lives now.
    Register {
        seat: usize,
    },
    /// A reader takes a message from a session's inbox, and confirms it at once or keeps its token.
    Receive {
        seat: usize,
        confirms: bool,
    },
    /// A reader confirms what it has taken, or gives it back.
    Confirm {
        token: String,
        releases: bool,
    },
    Resolve {
        command: String,
        decision: Decision,
    },
    Retry {
        command: String,
    },
    Reboot,
}

impl Deed {
    /// What happens at this step: to the world at once, or to the ledger by the deed that is given.
    pub(super) fn choose(world: &mut World) -> Option<Self> {
        if world.is_healed {
            return Self::mend(world);
        }
        if world.commands_to_come > 0 && world.dice.once_in(8) {
            world.commands_to_come -= 1;
            return Some(Self::enqueue(world));
        }
        if !world.dice.once_in(9) {
            return None;
        }
        let seat = world.dice.below(world.seats.len());
        match world.dice.below(30) {
            0 => return Some(Self::pause(world)),
            1 => return world.paused.keys().next().cloned().map(|scope| Self::resume(world, &scope)),
            2 => {
                // What lies in Codex's queue can be taken back as well.
                let lying = world.queues.values().flatten().next().map(|queued| queued.client_id.clone());
                return lying.or_else(|| world.book.queued()).map(|command| Self::Cancel { command });
            }
            3 if world.dice.once_in(4) => return Some(Self::Deregister { seat }),
            3 if world.dice.once_in(4) => return Some(Self::Reboot),
            4 => {
                let ahead = world.dice.between(-7_200_000, 7_200_000);
                world.wall_ahead += ahead;
                world.count("wall clock jump");
                world.say(format!("the wall clock jumps by {ahead} ms"));
            }
            5 if world.dice.once_in(2) => {
                world.count("server killed");
                world.server_dies();
                world.server.starts_at = Some(world.uptime + world.dice.between(100, 30_000));
            }
            6 if world.server.is_up && world.server.hangs_until <= world.uptime => {
                world.count("server hangs");
                world.server.hangs_until = world.uptime + world.dice.between(500, 40_000);
            }
            7..=9 => person_begins_a_turn(world, seat),
            10 => {
                if let Some(turn) = &mut world.seats[seat].turn {
                    turn.asks = !turn.asks;
                    if turn.asks {
                        world.count("approval opened");
                        opens_dialog(world, seat);
                    } else {
                        closes_dialog(world, seat);
                    }
                }
            }
            11 => {
                if world.seats[seat].turn.is_some() {
                    closes_dialog(world, seat);
                    world.interrupt(seat);
                }
            }
            12..=18 => person_at_the_pane(world, seat),
            19 => return moves(world, seat),
            20 => {
                if let Some(pane) = &world.seats[seat].pane
                    && pane.holds_codex
                {
                    world.count("key to be lost");
                    world.lose_next_key(seat);
                }
            }
            21 => return Some(Self::Register { seat }),
            22 => opens_dialog(world, seat),
            23 | 24 => return Some(Self::Receive { seat, confirms: world.dice.once_in(2) }),
            25 => {
                let token = world.tokens.pop()?;
                return Some(Self::Confirm { token, releases: world.dice.once_in(3) });
            }
            26 | 27 => {
                let command = world.book.in_phase(&[Phase::Ambiguous])?;
                let decisions = [Decision::Delivered, Decision::NotDelivered, Decision::Rearm];
                return Some(Self::Resolve { command, decision: decisions[world.dice.below(3)] });
            }
            28 => {
                let command = world.book.in_phase(&[Phase::Failed, Phase::Expired, Phase::Blocked])?;
                return Some(Self::Retry { command });
            }
            _ => closes_dialog(world, seat),
        }
        None
    }

    /// What has to be done before everything can come to an end.
    fn mend(world: &mut World) -> Option<Self> {
        if let Some(scope) = world.paused.keys().next().cloned() {
            return Some(Self::resume(world, &scope));
        }
        // What was left in a composer is cleared away by a person.
        for seat in 0..world.seats.len() {
            let left = world.command_at(&world.seats[seat]);
            if let Some(pane) =
                world.seats[seat].pane.as_mut().filter(|_| left.is_some_and(|left| world.book.is_left_over(&left)))
            {
                pane.composer.clear();
            }
        }
        // Nothing is typed whose marker stands on the screen: what was let go again after it was seen waits for that.
        for seat in 0..world.seats.len() {
            let Some(pane) = &world.seats[seat].pane else { continue };
            let is_open = |text: &String| world.book.command_in(text).is_some_and(|id| world.book.is_left_over(&id));
            if pane.transcript.iter().any(is_open)
                && let Some(pane) = &mut world.seats[seat].pane
            {
                pane.transcript.clear();
            }
        }
        if !world.server.is_up && world.server.starts_at.is_none() {
            world.server.starts_at = Some(world.uptime + 100);
        }
        (world.commands_to_come > 0).then(|| {
            world.commands_to_come -= 1;
            Self::enqueue(world)
        })
    }

    fn enqueue(world: &mut World) -> Self {
        if !world.tasks.is_empty() && world.dice.once_in(4) {
            return Self::Compact { seat: 0 };
        }
        let seat = world.dice.below(world.seats.len());
        let number = world.book.next_number();
        let text = match world.dice.below(8) {
            0 => format!("!touch {number}"),
            1 => format!("/quit {number}"),
            2 => format!("{number} {}", "long ".repeat(220)),
            3 => format!("{number}\n\nüber mehrere Zeilen 漢字"),
            4 => format!("{number} Press enter to confirm or esc to cancel"),
            _ => format!("do the thing number {number}"),
        };
        let key = world.dice.once_in(3).then(|| format!("key-{number}"));
        let expires = if world.dice.once_in(6) { 1 + world.dice.below(20) as u64 } else { 3_600 * 24 };
        Self::Enqueue { seat, text, key, expires }
    }

    fn pause(world: &mut World) -> Self {
        let task = world.tasks.first().cloned().filter(|_| world.dice.once_in(2));
        world.count(if task.is_some() { "pause of a task" } else { "pause of everything" });
        Self::Pause { task }
    }

    fn resume(_: &World, scope: &str) -> Self {
        Self::Resume { task: (scope != store::dispatchers::EVERYTHING).then(|| scope.to_owned()) }
    }

    /// Does it, in the name of an operator.
    pub(super) fn carry_out(self, stage: &Stage) {
        let cx = stage.operator();
        stage.state().world.say(format!("{self:?}").chars().take(120).collect::<String>());
        match self {
            Self::Reboot => {}
            Self::Enqueue { seat, text, key, expires } => enqueue(stage, seat, &text, key.as_deref(), expires),
            Self::Compact { seat } => compact(stage, seat),
            Self::Cancel { command } => {
                let verb = DispatchVerb::Cancel { command: command.clone(), reason: None };
                if verb.run(cx).is_ok() {
                    stage.state().world.count("command taken back");
                }
            }
            Self::Pause { task } => {
                let scope = task.clone().unwrap_or_else(|| store::dispatchers::EVERYTHING.to_owned());
                DispatchVerb::Pause { task, all: false, reason: None }.run(cx).expect("a pause");
                let mut state = stage.state();
                let step = state.world.step;
                state.world.paused.entry(scope).or_insert(step);
            }
            Self::Resume { task } => {
                let scope = task.clone().unwrap_or_else(|| store::dispatchers::EVERYTHING.to_owned());
                DispatchVerb::Resume { task, all: false }.run(cx).expect("the end of a pause");
                stage.state().world.paused.remove(&scope);
            }
            Self::Deregister { seat } => {
                let name = stage.state().world.seats[seat].name.clone();
                if (Deregister { session: name, expect: None }).run(cx).is_ok() {
                    let world = &mut stage.state().world;
                    world.count("session deregistered");
                    world.seats[seat].is_deregistered = true;
                    world.seats[seat].excuse = Some("deregistered");
                }
            }
            Self::Register { seat } => register(stage, seat),
            Self::Receive { seat, confirms } => receive(stage, seat, confirms),
            Self::Confirm { token, releases } => confirm(stage, token, releases),
            Self::Resolve { command, decision } => {
                if decision == Decision::Rearm {
                    stage.state().world.book.requeued(&command, /*may_come_twice*/ true);
                }
                let reason = "seen".to_owned();
                if (DispatchVerb::Resolve { command, decision, reason }).run(cx).is_ok() {
                    stage.state().world.count("command resolved");
                }
            }
            Self::Retry { command } => {
                {
                    let world = &mut stage.state().world;
                    // What a person may send from a composer, or an operator gave up, can come as well.
                    let may_come = world.is_in_a_composer(&command) || world.book.was_decided(&command);
                    world.book.requeued(&command, may_come);
                }
                if (DispatchVerb::Retry { command, reason: None }).run(cx).is_ok() {
                    stage.state().world.count("command retried");
                }
            }
        }
    }
}

/// Somebody reads a session's inbox.
fn receive(stage: &Stage, seat: usize, confirms: bool) {
    let session = stage.state().world.seats[seat].name.clone();
    let wait = WaitArgs { wait: false, timeout: 1.0, interval: 0.1 };
    let Ok(report) = (Receive { session, visibility: 20, wait }).run(stage.operator()) else { return };
    let report = serde_json::to_value(report).expect("a report");
    let Some(token) = report["received"]["lease_token"].as_str().map(str::to_owned) else { return };
    stage.state().world.count("message received from an inbox");
    if confirms {
        confirm(stage, token, /*releases*/ false);
    } else {
        stage.state().world.tokens.push(token);
    }
}

fn confirm(stage: &Stage, token: String, releases: bool) {
    let Ok(acked) = (Ack { token, release: releases }).run(stage.operator()) else { return };
    let acked = serde_json::to_value(acked).expect("an answer");
    let mut state = stage.state();
    let world = &mut state.world;
    world.count(if releases { "message given back to an inbox" } else { "message confirmed in an inbox" });
    let command = acked["notification"]["payload"]["command_id"].as_str();
    if let Some(command) = command.filter(|_| !releases && acked["already"] == false)
        && let Some(wrong) = world.book.confirmed(command)
    {
        world.fail(wrong);
    }
}

fn enqueue(stage: &Stage, seat: usize, text: &str, key: Option<&str>, expires: u64) {
    let cx = stage.operator();
    let id = stage.state().world.seats[seat].session_id.clone();
    let request =
        Request { kind: CommandKind::SessionNudge, message: text, correlation_id: None, idempotency_key: key, expires };
    let store = cx.ledger_to_change().expect("the ledger");
    let accept = || {
        store.write_durably(|w| {
            let session = store::sessions::by_id(w.read(), &id)?.ok_or_else(|| Error::refused("no session"))?;
            request.for_session(cx, w, &Origin::Operator, &session)
        })
    };
    match accept() {
        Ok((command, repeated)) => {
            let mut wrong = repeated.then(|| "a fresh key was taken for a repeated one".to_owned());
            if key.is_some() {
                match accept() {
                    Ok((same, true)) if same.id == command.id => {}
                    other => wrong = Some(format!("a repeated key gave {other:?}")),
                }
            }
            let mut state = stage.state();
            let world = &mut state.world;
            world.count("command enqueued");
            if key.is_some() {
                world.count("key repeated");
            }
            world.say(format!("{} is command {} for {}", command.id, command.seq, world.seats[seat].name));
            world.book.accepted(&command);
            if let Some(wrong) = wrong {
                world.fail(wrong);
            }
        }
        Err(error) if error.kind() == Kind::Refused && stage.state().world.seats[seat].is_deregistered => {}
        Err(error) => stage.state().world.fail(format!("nothing could be enqueued: {error:?}")),
    }
}

/// A worker is asked to compact its context, as `request-worker-compact` does it.
fn compact(stage: &Stage, seat: usize) {
    let cx = stage.operator();
    let (id, task) = {
        let world = &stage.state().world;
        (world.seats[seat].session_id.clone(), world.tasks[0].clone())
    };
    let kind = CommandKind::RequestWorkerCompact;
    let request = Request { kind, message: COMPACT, correlation_id: None, idempotency_key: None, expires: 3_600 * 24 };
    let store = cx.ledger_to_change().expect("the ledger");
    let accepted = store.write_durably(|w| {
        let session = store::sessions::by_id(w.read(), &id)?.ok_or_else(|| Error::refused("no session"))?;
        let task = store::tasks::find(w.read(), &task)?.ok_or_else(|| Error::refused("no task"))?;
        if store::commands::on_its_way(w.read(), &id, kind)?.is_some() {
            return Ok(None);
        }
        request.for_worker(cx, w, &Origin::Operator, &task, &session).map(Some)
    });
    let mut state = stage.state();
    let world = &mut state.world;
    match accepted {
        Ok(Some((command, _))) => {
            world.count("compaction asked for");
            world.say(format!("{} is command {}, a compaction of {}", command.id, command.seq, world.seats[seat].name));
            world.book.accepted(&command);
        }
        Ok(None) => {}
        Err(error) if error.kind() == Kind::Refused && world.seats[seat].is_deregistered => {}
        Err(error) => world.fail(format!("no compaction could be asked for: {error:?}")),
    }
}

/// What `resume` and the registering of a session come to: its record has the pane where it lives now.
fn register(stage: &Stage, seat: usize) {
    let (id, pane) = {
        let world = &stage.state().world;
        let here = &world.seats[seat];
        let pane = here.pane.as_ref().filter(|pane| pane.holds_codex);
        (here.session_id.clone(), pane.map(|pane| (pane.id.to_string(), pane.process)))
    };
    let store = stage.operator().ledger_to_change().expect("the ledger");
    let now = stage.operator().now();
    let changed = store.write(|w| {
        let Some(mut session) = store::sessions::by_id(w.read(), &id)? else { return Ok(false) };
        if session.state != Registration::Active {
            return Ok(false);
        }
        session.tmux_pane_id = pane.as_ref().map(|(pane, _)| pane.clone());
        session.pane_pid = pane.as_ref().map(|(_, process)| i64::from(process.pid));
        session.pane_pid_start = pane.as_ref().and_then(|(_, process)| i64::try_from(process.start_ticks).ok());
        session.resumed_at = Some(now);
        store::sessions::save(w, &session)?;
        Ok::<_, store::Error>(true)
    });
    if changed.expect("the ledger") {
        stage.state().world.count("session registered anew");
    }
}

fn person_begins_a_turn(world: &mut World, seat: usize) {
    let here = &world.seats[seat];
    let can = match (here.lives, &here.pane) {
        (Lives::InServer, _) => world.server.is_up,
        (Lives::InPane, Some(pane)) => pane.holds_codex && pane.dialog == Dialog::None && pane.composer.is_empty(),
        _ => false,
    };
    if !can || here.turn.is_some() {
        return;
    }
    world.count("turn of a person");
    let most = if world.dice.once_in(3) { 40_000 } else { 5_000 };
    world.begin_turn(seat, most);
    let due = world.uptime + world.dice.between(5, 100);
    let text = "what a person says".to_owned();
    world.seats[seat].waiting.push(Waiting { text, client_id: None, command: None, due });
}

fn opens_dialog(world: &mut World, seat: usize) {
    let at = world.uptime + world.dice.between(1, 60);
    if let Some(pane) = world.seats[seat].pane.as_mut().filter(|pane| pane.holds_codex && pane.dialog == Dialog::None) {
        pane.dialog = Dialog::Coming(at);
        world.count("dialog opened");
    }
}

fn closes_dialog(world: &mut World, seat: usize) {
    if let Some(pane) = &mut world.seats[seat].pane {
        pane.dialog = Dialog::None;
    }
}

/// A person with a keyboard.
fn person_at_the_pane(world: &mut World, seat: usize) {
    let holds_ours = world.command_at(&world.seats[seat]);
    let Some(pane) = world.seats[seat].pane.as_mut().filter(|pane| pane.holds_codex && pane.dialog == Dialog::None)
    else {
        return;
    };
    match (pane.composer.is_empty(), world.dice.below(4)) {
        (true, 0 | 1) => {
            pane.composer = "half a thought".to_owned();
            world.count("draft typed");
        }
        (true, _) => {}
        (false, 0) if holds_ours.is_some() && !pane.composer.ends_with("mine") => {
            pane.composer.push_str(" and mine");
            world.count("words added to a staged text");
        }
        (false, 0 | 1) => {
            pane.composer.clear();
            world.count(if holds_ours.is_some() { "staged text cleared" } else { "draft cleared" });
        }
        (false, _) => {
            let text = std::mem::take(&mut pane.composer);
            let is_altered = text.ends_with("mine");
            world.count(match (&holds_ours, is_altered) {
                (None, _) => "draft sent by a person",
                (Some(_), false) => "staged text sent by a person",
                (Some(_), true) => "altered text sent by a person",
            });
            if is_altered {
                world.seats[seat].excuse = Some("altered");
            }
            // What was altered proves nothing and counts as no submission of ours.
            let command = holds_ours.filter(|_| !is_altered);
            world.submitted_in_pane(seat, text, command, "a person");
        }
    }
}

/// The session goes somewhere else.
fn moves(world: &mut World, seat: usize) -> Option<Deed> {
    let lives = world.seats[seat].lives;
    match (lives, world.dice.below(5)) {
        (Lives::InServer, 0..=2) => {
            world.count("session leaves its server for a pane");
            world.lose_memory(seat);
            world.open_pane(seat);
            return Some(Deed::Register { seat });
        }
        (Lives::InServer, _) => {
            world.count("session let go by its server");
            world.lose_memory(seat);
            world.seats[seat].lives = Lives::Nowhere;
        }
        (Lives::InPane, 0) => {
            world.count("pane died");
            world.close_pane(seat);
        }
        (Lives::InPane, 1) => {
            world.count("shell in the pane");
            world.lose_memory(seat);
            respawn(world, seat, /*codex*/ false);
            world.seats[seat].lives = Lives::Nowhere;
        }
        (Lives::InPane, 2) => {
            world.count("codex anew in the pane");
            world.lose_memory(seat);
            respawn(world, seat, true);
            return world.dice.once_in(2).then_some(Deed::Register { seat });
        }
        (Lives::InPane, 3) => {
            let clears = world.seats[seat].pane.as_ref().is_some_and(|pane| pane.dialog == Dialog::None);
            if clears && world.seats[seat].turn.is_none() {
                world.count("another thread in the pane");
                world.lose_memory(seat);
                let thread = world.new_thread();
                let left = std::mem::replace(&mut world.seats[seat].thread, thread);
                world.seats[seat].former.push(left);
                world.seats[seat].excuse = Some("another thread");
                if let Some(pane) = &mut world.seats[seat].pane {
                    pane.composer.clear();
                    pane.forget();
                }
            }
        }
        (Lives::InPane, _) => {
            world.count("session leaves its pane for the server");
            world.close_pane(seat);
            world.seats[seat].lives = Lives::InServer;
        }
        (Lives::Nowhere, 0..=1) => {
            world.count("session brought back in a pane");
            world.close_pane(seat);
            world.open_pane(seat);
            return Some(Deed::Register { seat });
        }
        (Lives::Nowhere, _) => {
            world.count("session brought back in the server");
            world.close_pane(seat);
            world.seats[seat].lives = Lives::InServer;
        }
    }
    None
}

fn respawn(world: &mut World, seat: usize, holds_codex: bool) {
    let process = world.new_process();
    if let Some(pane) = &mut world.seats[seat].pane {
        let Pane { process: old, .. } = pane;
        world.processes.remove(&old.pid);
        pane.process = process;
        pane.holds_codex = holds_codex;
        pane.dialog = Dialog::None;
        pane.composer.clear();
        pane.forget();
    }
}
