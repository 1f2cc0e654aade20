//! Codex's background server, and the process table, as a dispatcher sees them.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    effects::{Effect, Given, Late, LookedAt},
    stage::{At, Stage},
    world::{Lives, Queued, Seat},
};
use crate::{
    base::Timestamp,
    model::codex::CodexVersion,
    ports::{
        codex_cli::CodexCli,
        codex_server::{
            CodexServers, Delivery, Outcome, QueuedMessage, Refusal, ServerError, ServerLink, TakenBy, ThreadInfo,
            ThreadStatus, Timeouts,
        },
        process::{
            CodexProcess, CodexScope, LockState, ProcessError, ProcessId, ProcessInfo, ProcessSignal, Processes,
            SessionFiles, SignalOutcome, WriterLock,
        },
    },
};

#[derive(Clone)]
pub(super) struct Servers {
    pub(super) stage: Arc<Stage>,
    /// None is the operator, who never waits.
    pub(super) player: Option<usize>,
}

/// A server of a dispatcher's own, which reaches the queues. It ends with its dispatcher.
struct Own(Servers);

struct Link {
    servers: Servers,
    /// To which of them, in the order of their starts.
    number: u32,
}

const CALL: Duration = Duration::from_secs(5);

impl CodexServers for Servers {
    fn connect(&self, codex_home: &Path, _limits: Timeouts) -> Result<Box<dyn ServerLink>, ServerError> {
        self.come_by("connect", None);
        let (is_up, number, hangs) = {
            let world = &self.stage.state().world;
            (world.server.is_up, world.server.number, world.server.hangs_until > world.uptime)
        };
        if !is_up {
            return Err(ServerError::NotRunning { socket: codex_home.to_owned() });
        }
        if hangs {
            self.sleep(1_000);
            return Err(ServerError::Timeout { to: "connect", after: Duration::from_secs(1) });
        }
        Ok(Box::new(Link { servers: self.clone(), number }))
    }

    fn start_own(&self, _cli: &CodexCli, _limits: Timeouts) -> Result<Box<dyn ServerLink>, ServerError> {
        self.come_by("start_own", None);
        if self.has_bad_luck(12) {
            self.stage.state().world.count("server of our own did not start");
            self.sleep(8_000);
            return Err(ServerError::Closed);
        }
        Ok(Box::new(Own(self.clone())))
    }
}

impl Servers {
    fn come_by(&self, name: &str, late: Option<&Late>) {
        if let Some(player) = self.player {
            self.stage.come_by(player, At::Call(name), late);
        }
    }

    fn sleep(&self, millis: i64) {
        if let Some(player) = self.player {
            self.stage.sleep(player, millis);
        }
    }

    fn has_bad_luck(&self, times: usize) -> bool {
        let world = &mut self.stage.state().world;
        self.player.is_some() && !world.is_healed && world.dice.once_in(times)
    }

    fn looked_at(&self) -> LookedAt {
        let state = self.stage.state();
        self.player.map_or_else(LookedAt::default, |player| state.players[player].looked_at)
    }
}

impl Own {
    /// A call that changes a queue: its answer may be lost, with its effect or without. Whoever has none ends the server.
    fn change(&self, name: &'static str, what: Effect) -> Outcome<Given> {
        let servers = &self.0;
        let late = Late { what, looked_at: servers.looked_at() };
        servers.come_by(name, Some(&late));
        let silent = || Outcome::Unknown(ServerError::Timeout { to: name, after: CALL });
        let luck = {
            let world = &mut servers.stage.state().world;
            if world.is_healed || servers.player.is_none() { 99 } else { world.dice.below(24) }
        };
        let given = match luck {
            0 => {
                servers.stage.state().world.count("call to a queue refused");
                return Outcome::Refused(Refusal::Said { code: -32_600, message: "not now".to_owned() });
            }
            1 => {
                servers.stage.state().world.count("call to a queue lost");
                None
            }
            2 => {
                let world = &mut servers.stage.state().world;
                world.count("answer about a queue lost");
                world.carry_out(&late);
                None
            }
            _ => servers.stage.state().world.carry_out(&late).1,
        };
        if given.is_none() {
            servers.sleep(5_000);
        }
        servers.come_by(name, None);
        given.map_or_else(silent, Outcome::Accepted)
    }
}

impl ServerLink for Own {
    fn version(&self) -> Option<CodexVersion> {
        "0.169.0".parse().ok()
    }

    fn queue_add(&mut self, message: &Delivery<'_>) -> Outcome<QueuedMessage> {
        let (text, client_id) = (message.text.to_owned(), message.client_id.to_owned());
        let what =
            Effect::Enqueue { thread: message.thread.to_owned(), text: text.clone(), client_id: client_id.clone() };
        self.change("thread/queue/add", what).map(|given| {
            let entry_id = if let Given::Lies(entry) = given { entry } else { String::new() };
            QueuedMessage { entry_id, client_id, text }
        })
    }

    fn queue_list(&mut self, thread: &str) -> Result<Vec<QueuedMessage>, ServerError> {
        self.0.come_by("thread/queue/list", None);
        if self.0.has_bad_luck(60) {
            self.0.sleep(5_000);
            return Err(ServerError::Timeout { to: "thread/queue/list", after: CALL });
        }
        let state = self.0.stage.state();
        let queue = state.world.queues.get(thread).map(Vec::as_slice).unwrap_or_default();
        let wire = |queued: &Queued| QueuedMessage {
            entry_id: queued.entry.clone(),
            client_id: queued.client_id.clone(),
            text: queued.text.clone(),
        };
        Ok(queue.iter().map(wire).collect())
    }

    fn queue_remove(&mut self, thread: &str, entry_id: &str) -> Outcome<bool> {
        let what = Effect::Unqueue { thread: thread.to_owned(), entry: entry_id.to_owned() };
        self.change("thread/queue/remove", what).map(|given| given == Given::TakenBack(true))
    }

    fn read_thread(&mut self, _id: &str) -> Result<ThreadInfo, ServerError> {
        Err(ServerError::Closed)
    }

    fn open_turn(&mut self, _thread: &str) -> Result<Option<String>, ServerError> {
        Err(ServerError::Closed)
    }

    fn start_turn(&mut self, _message: &Delivery<'_>) -> Outcome<TakenBy> {
        Outcome::Refused(Refusal::NoThread)
    }

    fn steer_turn(&mut self, _message: &Delivery<'_>, _expected_turn: &str) -> Outcome<TakenBy> {
        Outcome::Refused(Refusal::NoThread)
    }

    fn find_message(&mut self, _thread: &str, _client_id: &str, _: usize) -> Result<Option<TakenBy>, ServerError> {
        Err(ServerError::Closed)
    }

    fn compact_thread(&mut self, _thread: &str) -> Outcome<()> {
        Outcome::Refused(Refusal::NoThread)
    }
}

impl Link {
    /// A question. It fails when the server is another one or does not answer.
    fn ask<T>(
        &self,
        name: &'static str,
        answer: impl FnOnce(&mut super::world::World) -> Result<T, ServerError>,
    ) -> Result<T, ServerError> {
        let stage = &self.servers.stage;
        self.servers.come_by(name, None);
        if !self.is_open() {
            return Err(ServerError::Closed);
        }
        if self.waits() {
            return Err(ServerError::Timeout { to: name, after: CALL });
        }
        if !self.is_open() {
            return Err(ServerError::Closed);
        }
        answer(&mut stage.state().world)
    }

    fn is_open(&self) -> bool {
        let server = &self.servers.stage.state().world.server;
        server.is_up && server.number == self.number
    }

    /// True when a server that hangs is waited for in vain.
    fn waits(&self) -> bool {
        let stage = &self.servers.stage;
        let (now, hangs_until) = {
            let world = &stage.state().world;
            (world.uptime, world.server.hangs_until)
        };
        if hangs_until <= now {
            return false;
        }
        self.servers.sleep((hangs_until - now).min(5_000));
        hangs_until - now > 5_000
    }

    fn give(&self, name: &'static str, message: &Delivery<'_>, turn: Option<&str>) -> Outcome<TakenBy> {
        let what = Effect::Give {
            thread: message.thread.to_owned(),
            text: message.text.to_owned(),
            client_id: message.client_id.to_owned(),
            turn: turn.map(str::to_owned),
            server: self.number,
        };
        self.call(name, what)
    }

    /// A call with an effect: it may be lost before it or after it.
    fn call(&self, name: &'static str, what: Effect) -> Outcome<TakenBy> {
        let stage = &self.servers.stage;
        let late = Late { what, looked_at: self.servers.looked_at() };
        self.servers.come_by(name, Some(&late));
        if !self.is_open() {
            return Outcome::Refused(Refusal::NotSent(ServerError::Closed));
        }
        let silent = || Outcome::Unknown(ServerError::Timeout { to: name, after: CALL });
        if self.hangs() {
            // What it was sent it does or does not when it wakes.
            {
                let world = &mut stage.state().world;
                let wakes = world.server.hangs_until;
                if world.dice.once_in(2) {
                    world.count("call done by a server that wakes");
                    world.arrives_at(wakes, late);
                }
            }
            self.servers.sleep(5_000);
            return silent();
        }
        let (given, is_silent) = {
            let world = &mut stage.state().world;
            let luck = if world.is_healed { 99 } else { world.dice.below(30) };
            match luck {
                0 => {
                    world.count("call refused");
                    let message = "not now".to_owned();
                    return Outcome::Refused(Refusal::Said { code: -32_600, message });
                }
                1 => {
                    world.count("call lost before the server read it");
                    (None, true)
                }
                2 => {
                    world.count("answer of the server lost");
                    (world.carry_out(&late).1, true)
                }
                3 => {
                    world.arrives_late(late);
                    (None, true)
                }
                4 | 5 => {
                    world.count("server dies after it has accepted");
                    let given = world.carry_out(&late).1;
                    let now = world.uptime;
                    world.server.ends_at = Some(now + world.dice.between(0, 400));
                    let pause = world.dice.between(500, 20_000);
                    world.server.starts_at = Some(now + pause);
                    (given, world.dice.once_in(2))
                }
                _ => (world.carry_out(&late).1, false),
            }
        };
        if is_silent {
            self.servers.sleep(5_000);
        }
        self.servers.come_by(name, None);
        match given.filter(|_| !is_silent) {
            None => silent(),
            Some(Given::Taken { turn }) => Outcome::Accepted(TakenBy { turn_id: turn }),
            Some(Given::Closed) => Outcome::Refused(Refusal::NotSent(ServerError::Closed)),
            Some(Given::NoThread) => Outcome::Refused(Refusal::NoThread),
            Some(Given::NoOpenTurn) => Outcome::Refused(Refusal::NoOpenTurn),
            Some(Given::Lies(_) | Given::TakenBack(_)) => silent(),
            Some(Given::OtherTurn(open)) => Outcome::Refused(Refusal::OtherTurn { open: Some(open) }),
        }
    }

    fn hangs(&self) -> bool {
        let world = &self.servers.stage.state().world;
        world.server.hangs_until > world.uptime
    }
}

impl ServerLink for Link {
    fn version(&self) -> Option<CodexVersion> {
        None
    }

    fn compact_thread(&mut self, thread: &str) -> Outcome<()> {
        let command = {
            let world = &self.servers.stage.state().world;
            let session = world.seat_of_thread(thread).map(|seat| world.seats[seat].session_id.clone());
            session.and_then(|session| world.book.compaction_for(&session)).unwrap_or_default()
        };
        let what = Effect::Compact { thread: thread.to_owned(), command, server: self.number };
        self.call("thread/compact/start", what).map(|_| ())
    }

    fn queue_add(&mut self, _message: &Delivery<'_>) -> Outcome<QueuedMessage> {
        Outcome::Refused(Refusal::NoThread)
    }

    fn queue_list(&mut self, _thread: &str) -> Result<Vec<QueuedMessage>, ServerError> {
        Err(ServerError::Closed)
    }

    fn queue_remove(&mut self, _thread: &str, _entry_id: &str) -> Outcome<bool> {
        Outcome::Refused(Refusal::NoThread)
    }

    fn read_thread(&mut self, id: &str) -> Result<ThreadInfo, ServerError> {
        self.ask("thread/read", |world| {
            let loaded = world.seat_of_thread(id).filter(|seat| world.seats[*seat].lives == Lives::InServer);
            let status = match loaded.map(|seat| &world.seats[seat].turn) {
                None => ThreadStatus::NotLoaded,
                Some(None) => ThreadStatus::Idle,
                Some(Some(turn)) => {
                    ThreadStatus::Active { waiting_on_approval: turn.asks, waiting_on_user_input: false }
                }
            };
            let rollout = world.seat_of_thread(id).map(|seat| world.seats[seat].thread.path.clone());
            Ok(ThreadInfo {
                id: id.to_owned(),
                status,
                cwd: None,
                rollout,
                name: None,
                preview: None,
                source: None,
                parent_id: None,
                ephemeral: false,
                model: None,
                codex_version: None,
                created_at: None,
                updated_at: None,
            })
        })
    }

    fn open_turn(&mut self, thread: &str) -> Result<Option<String>, ServerError> {
        self.ask("thread/turns/list", |world| {
            let loaded = world.seat_of_thread(thread).filter(|seat| world.seats[*seat].lives == Lives::InServer);
            Ok(loaded.and_then(|seat| world.seats[seat].turn.as_ref()).map(|turn| turn.id.clone()))
        })
    }

    fn start_turn(&mut self, message: &Delivery<'_>) -> Outcome<TakenBy> {
        self.give("turn/start", message, None)
    }

    fn steer_turn(&mut self, message: &Delivery<'_>, expected_turn: &str) -> Outcome<TakenBy> {
        self.give("turn/steer", message, Some(expected_turn))
    }

    fn find_message(&mut self, thread: &str, client_id: &str, _: usize) -> Result<Option<TakenBy>, ServerError> {
        self.ask("thread/items/list", |world| {
            let has = |seat: usize| world.seats[seat].thread.items.iter().any(|item| item == client_id);
            let found = world.seat_of_thread(thread).is_some_and(has);
            Ok(found.then(|| TakenBy { turn_id: "turn".to_owned() }))
        })
    }
}

/// The process table of the world.
pub(super) struct Table {
    pub(super) stage: Arc<Stage>,
    pub(super) player: Option<usize>,
}

impl Processes for Table {
    fn own_pid(&self) -> u32 {
        self.player.map_or(1, |player| self.stage.state().players[player].pid)
    }

    fn boot_id(&self) -> String {
        format!("boot-{}", self.stage.state().world.boot)
    }

    fn identify(&self, pid: u32) -> Result<ProcessId, ProcessError> {
        let start = self.stage.state().world.processes.get(&pid).copied();
        start.map(|start_ticks| ProcessId { pid, start_ticks }).ok_or(ProcessError::Gone(pid))
    }

    fn info(&self, pid: u32) -> Result<ProcessInfo, ProcessError> {
        Ok(ProcessInfo { id: self.identify(pid)?, parent: 1, argv: vec!["codex".to_owned()] })
    }

    fn parents(&self) -> Result<Vec<(u32, u32)>, ProcessError> {
        Ok(Vec::new())
    }

    fn cwd(&self, pid: u32) -> Result<PathBuf, ProcessError> {
        Err(ProcessError::Denied(pid))
    }

    fn environment(&self, pid: u32, _name: &str) -> Result<Option<OsString>, ProcessError> {
        Err(ProcessError::Denied(pid))
    }

    fn session_files(&self, pid: u32) -> Result<SessionFiles, ProcessError> {
        Err(ProcessError::Denied(pid))
    }

    fn lock_state(&self, path: &Path) -> Result<LockState, ProcessError> {
        let world = &self.stage.state().world;
        let thread = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let has_had = |seat: &&Seat| seat.thread.id == thread || seat.former.iter().any(|former| former.id == thread);
        let holds = world.seats.iter().find(has_had).is_some_and(|seat| match (seat.lives, &seat.pane) {
            (Lives::InServer, _) => world.server.is_up && seat.thread.id == thread,
            (Lives::InPane, Some(pane)) => seat.has_queue && pane.holds_codex,
            _ => false,
        });
        Ok(if holds { LockState::Held(None) } else { LockState::Missing })
    }

    fn writer_locks(&self, _codex_home: &Path) -> Result<Vec<WriterLock>, ProcessError> {
        Ok(Vec::new())
    }

    fn codex_processes(&self, _scope: CodexScope) -> Result<Vec<CodexProcess>, ProcessError> {
        Ok(Vec::new())
    }

    fn signal(&self, _id: ProcessId, _signal: ProcessSignal) -> Result<SignalOutcome, ProcessError> {
        Ok(SignalOutcome::AlreadyGone)
    }

    fn wait_gone(&self, id: ProcessId, _limit: Duration) -> bool {
        self.identify(id.pid).is_err()
    }

    fn started_at(&self, _id: ProcessId) -> Option<Timestamp> {
        None
    }
}
