//! The stage: threads that are dispatchers, of which exactly one runs at a time, and the clock that all of them see.
//!
//! Whoever comes by a call, a wait or a crash point hands the baton back; the dice say what happens in the world, who
//! is killed or held up, and who goes on.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use super::{
    Play,
    deeds::Deed,
    effects::{Late, LookedAt},
    world::World,
};
use crate::{
    actions::Context,
    base::{Clock, Timestamp, crash},
};

/// A dispatcher is dead from here on.
struct Killed;

/// One of the threads.
#[derive(Debug, Clone)]
pub(super) struct Player {
    pub(super) pid: u32,
    pub(super) is_alive: bool,
    /// It does nothing before.
    until: i64,
    has_left: bool,
    /// It is dead as soon as it is to go on.
    is_doomed: bool,
    /// It has made a pass since the world came to rest.
    pub(super) saw_rest: bool,
    /// When it last looked whether it may act.
    pub(super) looked_at: LookedAt,
}

pub(super) struct Stage {
    state: Mutex<State>,
    turns: Vec<Condvar>,
    /// Operators and people, and what reads the ledger between the steps.
    pub(super) operator: OnceLock<Context>,
}

pub(super) struct State {
    pub(super) world: World,
    pub(super) players: Vec<Player>,
    running: usize,
    pub(super) is_over: bool,
    /// How many rows had changed at the last look at the ledger.
    mark: Option<u64>,
    /// How often a look at the ledger found that a command has moved.
    pub(super) moves: u64,
}

/// Where a dispatcher hands over the baton.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At<'a> {
    Call(&'a str),
    Point(&'a str),
    Wait,
}

impl Stage {
    pub(super) fn new(world: World, players: usize) -> Arc<Self> {
        let player = Player {
            pid: 0,
            is_alive: false,
            until: 0,
            has_left: false,
            is_doomed: false,
            saw_rest: false,
            looked_at: LookedAt::default(),
        };
        Arc::new(Self {
            state: Mutex::new(State {
                world,
                players: vec![player; players],
                running: 0,
                is_over: false,
                mark: None,
                moves: 0,
            }),
            turns: (0..players).map(|_| Condvar::new()).collect(),
            operator: OnceLock::new(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world as it was left; the stage is empty then.
    pub(super) fn take_world(&self) -> World {
        let mut state = self.state();
        let home = state.world.home.clone();
        std::mem::replace(&mut state.world, World::new(0, home))
    }

    pub(super) fn operator(&self) -> &Context {
        self.operator.get().expect("it was set before the players began")
    }

    /// The life of one thread: dispatchers that follow one another.
    pub(super) fn live(self: &Arc<Self>, me: usize, play: &dyn Play) {
        self.await_turn(me);
        let stage = Arc::clone(self);
        crash::set_hook(move |name| stage.come_by(me, At::Point(name), None));
        while !self.state().is_over {
            self.begin(me);
            let lived = catch_unwind(AssertUnwindSafe(|| play.dispatcher(self, me)));
            let failure = match lived {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("a pass failed: {error:?}")),
                Err(thrown) if thrown.is::<Killed>() => None,
                Err(thrown) => {
                    let words = thrown.downcast_ref::<String>().cloned();
                    Some(words.or_else(|| thrown.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default())
                }
            };
            self.end(me, failure);
            if catch_unwind(AssertUnwindSafe(|| self.come_by(me, At::Wait, None))).is_err() {
                self.end(me, None);
            }
        }
        self.leave(me);
    }

    /// A new process takes the place of the last one.
    fn begin(&self, me: usize) {
        let mut state = self.state();
        let pid = state.world.new_process().pid;
        let player = &mut state.players[me];
        (player.pid, player.is_alive, player.is_doomed) = (pid, true, false);
        state.world.say(format!("player {me} is process {pid}"));
    }

    fn end(&self, me: usize, failure: Option<String>) {
        let mut state = self.state();
        let State { world, players, .. } = &mut *state;
        world.processes.remove(&players[me].pid);
        players[me].is_alive = false;
        players[me].is_doomed = false;
        players[me].until = world.uptime + if world.is_healed { 500 } else { world.dice.between(0, 12_000) };
        if let Some(failure) = failure {
            world.fail(failure);
            state.is_over = true;
        }
    }

    fn leave(&self, me: usize) {
        let mut state = self.state();
        state.players[me].has_left = true;
        if let Some(next) = state.next() {
            state.running = next;
            self.turns[next].notify_one();
        }
    }

    fn await_turn(&self, me: usize) {
        let mut state = self.state();
        while state.running != me {
            state = self.turns[me].wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits in the time of the world.
    pub(super) fn sleep(&self, me: usize, millis: i64) {
        {
            let mut state = self.state();
            let until = state.world.uptime + millis;
            state.players[me].until = until;
        }
        self.come_by(me, At::Wait, None);
    }

    /// Hands over the baton and gets it back some time; or dies. `late` is what a server may still read of a call that
    /// is about to be made.
    pub(super) fn come_by(&self, me: usize, at: At<'_>, late: Option<&Late>) {
        let (deed, mut dies) = {
            let mut state = self.state();
            let State { world, players, is_over, .. } = &mut *state;
            world.step += 1;
            if at == At::Point("started") || at == At::Point("renumbered") {
                players[me].looked_at.pause = world.step;
            }
            if at == At::Point("looked") {
                players[me].looked_at.fence = world.step;
            }
            if *is_over {
                return;
            }
            world.uptime += world.dice.between(0, 4);
            world.go_on();
            let mut dies = false;
            if !world.is_healed && players[me].is_alive {
                // Most dangerous is the moment before an effect.
                let (kills, stops) = match at {
                    _ if late.is_some() => (25, 12),
                    At::Point(_) => (25, 40),
                    At::Call(_) | At::Wait => (150, 90),
                };
                if world.dice.once_in(kills) {
                    dies = true;
                    let pid = players[me].pid;
                    world.processes.remove(&pid);
                    world.count("dispatcher killed");
                    world.say(format!("player {me} is killed at {at:?}"));
                    if let Some(late) = late.filter(|_| world.dice.once_in(3)) {
                        world.arrives_late(late.clone());
                    }
                } else if world.dice.once_in(stops) {
                    let span = world.dice.between(3_000, 70_000);
                    players[me].until = world.uptime + span;
                    world.count("dispatcher stopped");
                    world.say(format!("player {me} is stopped for {span} ms at {at:?}"));
                }
            }
            (world.next_deed(), dies)
        };
        if let Some(deed) = deed {
            // First what was done before it: a pause or its end changes what may be.
            self.look_at_ledger();
            self.carry_out(deed);
            // The operator's own commits move no mark.
            self.state().mark = None;
        }
        self.look_at_ledger();
        if !dies {
            dies = self.hand_over(me);
        }
        if dies {
            resume_unwind(Box::new(Killed));
        }
        if at == At::Point("staged") {
            let mut state = self.state();
            state.players[me].looked_at.pause = state.world.step;
        }
    }

    fn carry_out(&self, deed: Deed) {
        if deed == Deed::Reboot {
            let mut state = self.state();
            let State { world, players, .. } = &mut *state;
            for player in players.iter_mut().filter(|player| player.is_alive) {
                player.is_doomed = true;
                player.until = 0;
            }
            world.reboot();
            return;
        }
        deed.carry_out(self);
    }

    /// What the ledger says is held against what the world knows.
    pub(super) fn look_at_ledger(&self) {
        let store = self.operator().ledger().expect("a ledger");
        let mark = store.changes();
        let mut state = self.state();
        if state.mark == Some(mark) {
            return;
        }
        state.mark = Some(mark);
        let standings = store.read(crate::store::commands::standings).expect("the commands");
        if !state.world.have_moved(&standings) {
            return;
        }
        let commands = store
            .read(|r| crate::store::commands::list(r, &crate::store::commands::Filter::default(), 0))
            .expect("the commands");
        let State { world, is_over, players, moves, .. } = &mut *state;
        if world.compare(&commands) {
            *moves += 1;
            players.iter_mut().for_each(|player| player.saw_rest = false);
        }
        *is_over |= world.failure.is_some();
    }

    /// The dice say who goes on. True when this one is dead by then.
    fn hand_over(&self, me: usize) -> bool {
        let mut state = self.state();
        let next = state.next().unwrap_or(me);
        if next != me {
            state.running = next;
            self.turns[next].notify_one();
            while state.running != me {
                state = self.turns[me].wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        state.players[me].is_doomed
    }
}

impl State {
    /// Who goes on: somebody who need not wait, or whoever waits no longer after some time.
    fn next(&mut self) -> Option<usize> {
        loop {
            let Self { world, players, running, is_over, .. } = self;
            let here: Vec<usize> = (0..players.len()).filter(|one| !players[*one].has_left).collect();
            if here.is_empty() {
                return None;
            }
            let ready: Vec<usize> =
                here.iter().copied().filter(|one| *is_over || players[*one].until <= world.uptime).collect();
            if !ready.is_empty() {
                if ready.contains(running) && !world.dice.once_in(4) {
                    return Some(*running);
                }
                return Some(ready[world.dice.below(ready.len())]);
            }
            let wakes = here.iter().map(|one| players[*one].until).min().unwrap_or(world.uptime);
            world.uptime = world.next_happening().map_or(wakes, |at| at.min(wakes)).max(world.uptime + 1);
            world.go_on();
        }
    }
}

/// The clock of the world, for one thread.
pub(super) struct StageClock {
    pub(super) stage: Arc<Stage>,
    /// None is the operator, who never waits.
    pub(super) player: Option<usize>,
}

impl Clock for StageClock {
    fn now(&self) -> Timestamp {
        let state = self.stage.state();
        Timestamp::from_millis(state.world.uptime + state.world.wall_ahead)
    }

    fn uptime_millis(&self) -> i64 {
        self.stage.state().world.uptime
    }

    fn sleep(&self, span: Duration) {
        if let Some(player) = self.player {
            self.stage.sleep(player, i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
        }
    }
}
