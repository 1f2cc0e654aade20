//! T-SIM: Dispatch in a world that is played, with all faults that it has to stand, and the same for one seed each time.
//!
//! The code is the real one, over a real ledger and real rollouts in memory; only the ports are played: Codex's server,
//! tmux, the process table, the clock. Two or three dispatchers run in threads of which one goes on at a time; what
//! happens, who is killed or held up, and who goes on is decided by dice. `CONVEYOR_TEST_SEED=n` plays one schedule and
//! prints it, `CONVEYOR_TEST_NIGHTLY=1` plays many more.

mod deeds;
mod dice;
mod effects;
mod oracles;
mod panes;
mod screen;
mod servers;
mod stage;
mod thread;
mod turns;
mod world;

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread as threads,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use self::{
    panes::Panes,
    servers::{Servers, Table},
    stage::{Stage, StageClock},
    thread::Thread,
    world::{Lives, Seat, World},
};
use super::Dispatcher;
use crate::{
    actions::{
        context::{Actor, Context, Parts},
        live,
    },
    base::{Result, Timestamp, clock::CountedIds},
    model::{
        session::{Role, Session},
        task::{Binding, BindingState, Task, TaskState},
    },
    ports::env::{Env, Terminal},
    store::{self, Safety, Store},
};

/// Schedules for a change, and how long they may take.
const SCHEDULES: u64 = 10_000;
const PATIENCE: Duration = Duration::from_secs(400);
/// The seed of the first of them.
const FIRST: u64 = 0x5eed_0000_0000;
/// Schedules of a night.
const IN_A_NIGHT: u64 = 100_000;
/// Where Codex's program lies in a schedule's folder.
const PROGRAM: &str = "codex-program";
/// When a healed world must have come to rest, in its own milliseconds.
const REST: i64 = 900_000;

/// What a thread of the stage does as long as it lives.
trait Play: Sync {
    fn dispatcher(&self, stage: &Arc<Stage>, me: usize) -> Result<()>;
}

/// One schedule.
struct Schedule {
    folder: PathBuf,
    ids: Arc<CountedIds>,
    /// The ledger, in memory, which all share: one of them runs at a time.
    store: Arc<Store>,
}

impl Schedule {
    fn context(&self, stage: &Arc<Stage>, player: Option<usize>) -> Context {
        let home = self.folder.join("codex");
        let parts = Parts {
            clock: Arc::new(StageClock { stage: Arc::clone(stage), player }),
            ids: self.ids.clone(),
            env: Env {
                cwd: self.folder.clone(),
                home: None,
                state_root: self.folder.clone(),
                ledger: self.folder.join("ledger.db"),
                codex_home: Some(home),
                codex: Some(self.folder.join(PROGRAM)),
                codex_queue: true,
                codex_thread: None,
                in_step: false,
                path: None,
                tmux: None,
                tmux_pane: None,
                tmux_socket: None,
                terminal: Terminal::default(),
                config: None,
            },
            tmux: Arc::new(Panes { stage: Arc::clone(stage), player: player.unwrap_or_default() }),
            servers: Arc::new(Servers { stage: Arc::clone(stage), player }),
            processes: Arc::new(Table { stage: Arc::clone(stage), player }),
            actor: Actor::Operator,
            dry_run: false,
            safety: Safety::Forced,
        };
        Context::sharing(parts, &self.store)
    }
}

impl Play for Schedule {
    fn dispatcher(&self, stage: &Arc<Stage>, me: usize) -> Result<()> {
        let cx = self.context(stage, Some(me));
        let mut dispatcher = Dispatcher::hosted(&cx)?;
        let clock = cx.clock();
        loop {
            // It was over while this one slept, and nobody looks at what it would do.
            let moves_before = {
                let mut state = stage.state();
                // Nobody is in a pass when it is over.
                state.players[me].saw_rest = false;
                (!state.is_over).then_some(state.moves)
            };
            let Some(moves_before) = moves_before else { return dispatcher.end() };
            dispatcher.pass(&mut drop, &|| true)?;
            // What this pass did last is seen before it is said that nothing is to come.
            stage.look_at_ledger();
            let (is_over, pause) = {
                let mut state = stage.state();
                // What came up in this pass, or since it began, is for another one.
                state.players[me].saw_rest = self.is_at_rest(&mut state.world) && state.moves == moves_before;
                state.is_over |= state.players.iter().all(|player| player.saw_rest);
                let is_over = state.is_over;
                let world = &mut state.world;
                (
                    is_over,
                    if world.is_healed { world.dice.between(3_000, 15_000) } else { world.dice.between(20, 3_000) },
                )
            };
            if is_over {
                return dispatcher.end();
            }
            clock.sleep(Duration::from_millis(u64::try_from(pause).unwrap_or_default()));
        }
    }
}

impl Schedule {
    /// Whether nothing is to come any more; or nothing ever will.
    fn is_at_rest(&self, world: &mut World) -> bool {
        if !world.is_healed {
            return false;
        }
        let since = *world.healed_at.get_or_insert(world.uptime);
        world.uptime - since > REST || world.is_at_rest()
    }

    /// Plays one schedule in a folder of its own, on a ledger that is cleared for it.
    fn play(store: &Arc<Store>, folder: &Path, seed: u64) -> World {
        store.clear().expect("a ledger");
        let schedule = Self { folder: folder.to_owned(), ids: Arc::default(), store: Arc::clone(store) };
        let mut world = World::new(seed, folder.join("codex"));
        let players = 2 + world.dice.below(2);
        let stage = Stage::new(world, players);
        let operator = schedule.context(&stage, None);
        schedule.set_up(&stage, &operator);
        assert!(stage.operator.set(operator).is_ok(), "there is one operator");
        threads::scope(|scope| {
            for me in 0..players {
                let (stage, schedule) = (&stage, &schedule);
                scope.spawn(move || stage.live(me, schedule));
            }
        });
        schedule.conclude(&stage);
        let is_broken = stage.state().world.failure.is_some();
        if is_broken {
            stage.state().world.tell_seats();
        }
        fs::remove_dir_all(folder.join("codex")).unwrap_or_default();
        stage.take_world()
    }

    /// The sessions of a schedule, and how they can be reached.
    fn set_up(&self, stage: &Arc<Stage>, operator: &Context) {
        let store = operator.ledger_to_change().expect("a ledger");
        let now = operator.now();
        let mut state = stage.state();
        let world = &mut state.world;
        let workers = 1 + world.dice.below(3);
        let is_supervised = world.dice.once_in(2);
        let mut sessions = Vec::new();
        for number in 0..workers + usize::from(is_supervised) {
            let role = if number == workers { Role::Manager } else { Role::Worker };
            let lives =
                [Lives::InServer, Lives::InServer, Lives::InPane, Lives::InPane, Lives::Nowhere][world.dice.below(5)];
            let mut thread = world.new_thread();
            let has_rollout = lives != Lives::InPane || !world.dice.once_in(4);
            if has_rollout {
                thread.open(now.as_millis());
            }
            let session = session(number, role, &thread, has_rollout, now);
            world.seats.push(Seat {
                session_id: session.id.clone(),
                name: session.name.clone(),
                lives,
                thread,
                former: Vec::new(),
                turn: None,
                waiting: Vec::new(),
                pane: None,
                has_queue: world.dice.once_in(2),
                was_cut_off: false,
                looks_at: 0,
                is_deregistered: false,
                excuse: None,
                compaction_was_cut_off: false,
            });
            if lives == Lives::InPane {
                world.open_pane(number);
            }
            let pane = world.seats[number].pane.as_ref();
            sessions.push(Session {
                tmux_pane_id: pane.map(|pane| pane.id.to_string()),
                pane_pid: pane.map(|pane| i64::from(pane.process.pid)),
                pane_pid_start: pane.and_then(|pane| i64::try_from(pane.process.start_ticks).ok()),
                ..session
            });
        }
        let task = Task {
            id: "task-1".to_owned(),
            name: "parser".to_owned(),
            goal: "g".to_owned(),
            summary: None,
            state: TaskState::Managed,
            created_at: now,
            updated_at: now,
            end: None,
        };
        if is_supervised {
            world.tasks.push(task.id.clone());
        }
        store
            .write(|w| {
                for session in &sessions {
                    store::sessions::save(w, session)?;
                    if let (Some(thread), Some(path)) = (&session.codex_session_id, &session.codex_session_path) {
                        store::rollouts::adopt(w, &session.id, thread, path, now)?;
                    }
                }
                if is_supervised {
                    store::tasks::insert(w, &task)?;
                    let binding = Binding {
                        id: "binding-1".to_owned(),
                        task_id: task.id.clone(),
                        state: BindingState::Active,
                        worker_session_id: sessions[0].id.clone(),
                        manager_session_id: sessions[workers].id.clone(),
                        created_at: now,
                        ended_at: None,
                    };
                    store::bindings::insert(w, &binding)?;
                }
                Ok::<_, store::Error>(())
            })
            .expect("the sessions are on record");
    }

    /// The oracles of the end.
    fn conclude(&self, stage: &Arc<Stage>) {
        let store = stage.operator().ledger_to_change().expect("the ledger");
        let before =
            store.read(|r| store::commands::list(r, &store::commands::Filter::default(), 0)).expect("the commands");
        stage.state().world.nobody_waits(&before);
        // Whoever watches the sessions takes what came after everything was settled.
        for session in store.read(store::sessions::list).expect("the sessions") {
            let _ = live::refresh(stage.operator(), &store, session);
        }
        let (commands, attempts, references, damage) = store
            .read(|r| {
                let commands = store::commands::list(r, &store::commands::Filter::default(), 0)?;
                let ids = commands.iter().map(|command| command.id.as_str()).collect();
                let attempts = store::attempts::of(r, &ids)?;
                Ok::<_, store::Error>((
                    commands.clone(),
                    attempts,
                    store::health::broken_references(r, 5)?,
                    store::health::damage(r, 5)?,
                ))
            })
            .expect("the ledger can be read");
        let world = &mut stage.state().world;
        if world.failure.is_some() {
            return;
        }
        if !references.is_empty() || !damage.is_empty() {
            world.fail(format!("the ledger is damaged: {references:?} {damage:?}"));
        }
        world.conclude(&commands, &attempts);
    }
}

fn session(number: usize, role: Role, thread: &Thread, has_rollout: bool, now: Timestamp) -> Session {
    let (id, name, token) = (format!("session-{number}"), format!("s{number}"), format!("token-{number}"));
    Session {
        codex_session_path: has_rollout.then(|| thread.path.display().to_string()),
        codex_session_id: Some(thread.id.clone()),
        codex_version: Some("0.169.0".to_owned()),
        cwd: "/home/user/project".to_owned(),
        ..Session::new(id, name, role, token, now)
    }
}

fn tell(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A folder in memory where there is one.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder");
    // It is looked for and never run.
    let program = made.path().join(PROGRAM);
    fs::write(&program, "").expect("a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("a program");
    made
}

fn ledger() -> Arc<Store> {
    Arc::new(Store::memory().expect("a ledger"))
}

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// Plays a schedule and says what is wrong with it.
fn broken(store: &Arc<Store>, folder: &Path, seed: u64) -> (World, Option<String>) {
    let world = Schedule::play(store, folder, seed);
    let said = world.failure.clone().map(|failure| {
        format!("seed {seed}: {failure}\n{}\nCONVEYOR_TEST_SEED={seed} plays it again", world.trace.join("\n"))
    });
    (world, said)
}

#[test]
fn nothing_is_lost_or_given_twice_in_any_schedule() {
    if let Some(seed) = setting("CONVEYOR_TEST_SEED") {
        let (world, said) = broken(&ledger(), folder().path(), seed);
        tell(&world.trace.join("\n"));
        assert!(said.is_none(), "{}", said.unwrap_or_default());
        return;
    }
    let is_night = env::var_os("CONVEYOR_TEST_NIGHTLY").is_some_and(|value| value == "1");
    let (wanted, patience) = if is_night { (IN_A_NIGHT, Duration::MAX) } else { (SCHEDULES, PATIENCE) };
    let wanted = setting("CONVEYOR_TEST_SCHEDULES").unwrap_or(wanted);
    // The same schedules each time, so that a change is what breaks them; other ones each night. What breaks is printed
    // with its seed.
    let night = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64) << 20;
    let first = setting("CONVEYOR_TEST_FIRST").unwrap_or_else(|| if is_night { night() } else { FIRST });
    let (next, failures) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let (counts, begun) = (Mutex::new(BTreeMap::<&str, u64>::new()), Instant::now());
    // Whoever hands over the baton leaves a core idle for a moment: more schedules than cores.
    let hands = 2 * threads::available_parallelism().map_or(2, usize::from).min(4);
    threads::scope(|scope| {
        for _ in 0..hands {
            scope.spawn(|| {
                let (folder, store) = (folder(), ledger());
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let is_enough = lock(&failures).len() >= 12 || begun.elapsed() > patience;
                    if number >= wanted || is_enough {
                        next.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                    let (world, said) = broken(&store, folder.path(), first + number);
                    lock(&failures).extend(said);
                    let mut counts = lock(&counts);
                    world.counts.iter().for_each(|(what, count)| *counts.entry(what).or_default() += count);
                    *counts.entry("steps").or_default() += world.step;
                }
            });
        }
    });
    let (counts, played) = (lock(&counts), next.load(Ordering::Relaxed));
    tell(&format!("{played} schedules from seed {first} in {:.1} s", begun.elapsed().as_secs_f64()));
    counts.iter().for_each(|(what, count)| tell(&format!("{count:>9}  {what}")));
    let failures = lock(&failures);
    let missing: Vec<&&str> = FAULTS.iter().filter(|fault| !counts.contains_key(**fault)).collect();
    let heads: Vec<&str> = failures.iter().filter_map(|failure| failure.lines().next()).collect();
    assert!(
        failures.is_empty(),
        "{} of {played} schedules are broken\n{}\n\n{}",
        failures.len(),
        heads.join("\n"),
        failures[0]
    );
    assert!(played < ENOUGH || missing.is_empty(), "never occurred: {missing:?}");
}

/// Schedules that have found faults, which are mended. Each was seen to break in the world as it is played now; a change of
/// the world makes other schedules of them.
const FOUND: [(u64, &str); 5] = [
    (
        1_882_525_841_473_143_534,
        "a queue that rested after an interruption was waited for, the clock having been set back before the interruption",
    ),
    (1_882_525_841_473_143_829, "the same, for a message that the server had lost before"),
    (
        1_882_525_841_473_148_383,
        "a message that died with the process that had taken it was awaited for ever behind the turn it had begun",
    ),
    (1_882_525_841_473_150_402, "the same in another schedule"),
    (
        1_882_540_982_360_081_406,
        "a message was called uncertain at a look during which it arrived, its dispatcher having slept before it was handed over",
    ),
];

#[test]
fn what_schedules_have_found_stays_mended() {
    let (store, folder) = (ledger(), folder());
    for (seed, what) in FOUND {
        let (_, said) = broken(&store, folder.path(), seed);
        assert!(said.is_none(), "{what}: {}", said.unwrap_or_default());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What has to occur among so many schedules, or the world is not what it is said to be.
const ENOUGH: u64 = 1_000;
const FAULTS: [&str; 57] = [
    "altered text sent by a person",
    "another thread in the pane",
    "answer about a queue lost",
    "answer of the server lost",
    "approval opened",
    "call done by a server that wakes",
    "call lost before the server read it",
    "call read after its sender's end",
    "call refused",
    "call to a queue lost",
    "call to a queue refused",
    "codex anew in the pane",
    "compaction came to nothing",
    "compaction asked for",
    "command resolved",
    "command retried",
    "command taken back",
    "dialog opened",
    "dispatcher killed",
    "dispatcher stopped",
    "draft sent by a person",
    "draft typed",
    "context compacted",
    "ended compacted, by the server",
    "ended compacted, typed",
    "ended done, through a queue",
    "given again after a loss",
    "key lost",
    "key repeated",
    "key swallowed by a dialog that opens",
    "line older than its thread",
    "message confirmed in an inbox",
    "message dropped by an interruption",
    "message lost with its process",
    "message put into a queue",
    "message received from an inbox",
    "message taken back from a queue",
    "message taken from a queue",
    "pane died",
    "paste swallowed by a dialog that opens",
    "pause of a task",
    "pause of everything",
    "reboot",
    "server dies after it has accepted",
    "server hangs",
    "server killed",
    "server of our own did not start",
    "session deregistered",
    "session leaves its pane for the server",
    "session leaves its server for a pane",
    "shell in the pane",
    "staged text cleared",
    "staged text sent by a person",
    "tmux look timed out",
    "tmux step lost after its effect",
    "tmux step lost before its effect",
    "torn rollout line",
];
