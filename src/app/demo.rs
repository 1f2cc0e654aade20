//! `conveyor demo`: a living pair of simulated sessions, watched by the real program.
//!
//! Everything is private to the run: a temporary folder holds the ledger, `CODEX_HOME`, the tmux socket and the
//! stand-in for `codex`. The rollouts go through the ordinary ingest. When the demo ends, nothing of it is left.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::{self, IsTerminal as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::cockpit::CockpitArgs;
use crate::{
    actions::{
        Action as _, Bind, Context, LaunchArgs, List, Parts, RegisterArgs, RegisterManager, RegisterWorker, Tasks,
        TextArg, TmuxServers, board, launch_session,
    },
    base::{Error, Kind, Result},
    cli::{Printer, Style},
    engine::{self, Ended, Signals},
    model::{
        board::Board,
        session::{Role, Session},
        state::Condition,
    },
    ports::{
        env::{Env, LEDGER_FILE},
        process::{Liveness, ProcessId},
        rollout,
        tmux::{PaneId, RealTmux, Tmux, TmuxServer},
    },
    store,
};

/// Show a living pair of simulated sessions; needs no Codex, no network, no account
///
/// Opens the cockpit on a temporary ledger. A simulated worker and manager run in tmux panes of their own server when
/// tmux is installed, without panes otherwise. Without a terminal the scenario is played and the final board printed.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct DemoArgs {
    /// Do not use tmux, also when it is installed
    #[arg(long)]
    pub no_tmux: bool,
    /// Play this many times as fast [default: 1 on a terminal, 4 without]
    #[arg(long, value_name = "FACTOR", value_parser = speed)]
    pub speed: Option<f64>,
    #[command(flatten)]
    pub cockpit: CockpitArgs,
}

/// A script with the times that it tells in words as they are when it is played so many times as fast.
fn at_speed(script: &str, speed: f64) -> String {
    let Some(told) = script.find(ANSWERED_IN) else { return script.to_owned() };
    let (before, after) = script.split_at(told);
    let rest = &after[ANSWERED_IN.len()..];
    // The prompt's own time stands behind its words.
    let number = rest.split_once(ANSWER_AFTER).map_or("", |(_, number)| number).trim_start();
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    let seconds = number[..digits].parse::<f64>().unwrap_or_default() / 1_000.0 / speed;
    let seconds = if seconds < 10.0 { format!("{:.1}", seconds) } else { format!("{seconds:.0}") };
    let seconds = seconds.strip_suffix(".0").unwrap_or(&seconds);
    format!("{before}{seconds} s{}", at_speed(rest, speed))
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=100.0).contains(&speed) => Ok(speed),
        _ => Err("a number from 0.1 to 100".to_owned()),
    }
}

/// What the names of temporary folders begin with.
const FOLDER: &str = "conveyor-demo-";

/// What stands in a script for the time after which it answers a prompt itself.
const ANSWERED_IN: &str = "{answered in}";
/// What stands before that time, in milliseconds at speed 1.
const ANSWER_AFTER: &str = "\"answer_after_ms\":";

/// What the worker says when it has played its part.
const LAST_WORDS: &str = "1,203 of 1,204";

/// The longest a demo without a terminal takes, at speed 1.
const LIMIT: Duration = Duration::from_secs(120);
const START_PATIENCE: Duration = Duration::from_secs(20);
/// How long a session gets to end with its pane.
const END_PATIENCE: Duration = Duration::from_secs(5);

struct Part {
    name: &'static str,
    role: Role,
    prompt: &'static str,
    script: &'static str,
}

const PARTS: [Part; 2] = [
    Part {
        name: "w1",
        role: Role::Worker,
        prompt: "Make the parser accept empty input. Write the failing test first.",
        script: include_str!("../../assets/demo/worker.json"),
    },
    Part {
        name: "m1",
        role: Role::Manager,
        prompt: "Supervise w1 on the task parser.",
        script: include_str!("../../assets/demo/manager.json"),
    },
];

/// Runs the demo; the exit code.
pub(super) fn run(args: &DemoArgs, parts: Parts, style: Style, printer: &mut Printer<'_>) -> Result<u8> {
    let at_terminal = io::stdin().is_terminal() && io::stdout().is_terminal() && style == Style::Prose;
    if args.cockpit.popup || args.cockpit.split {
        return Err(Error::usage("the demo plays in this terminal").hint("run it without --popup and --split"));
    }
    let speed = args.speed.unwrap_or(if at_terminal { 1.0 } else { 4.0 });
    let failed = |error| Error::io("cannot listen for signals").caused_by(error);
    // Before anything is begun that would have to be ended.
    let signals = Signals::listen().map_err(failed)?;
    let stage = Stage::set(parts, speed)?;
    let mut cast = stage.play(args.no_tmux, &signals, printer)?;
    if at_terminal {
        let code = super::cockpit::run(&stage.cx, &args.cockpit, stage.prefix(), super::cockpit::Showing::default());
        cast.end();
        return code;
    }
    let limit = LIMIT.div_f64(speed).max(Duration::from_secs(10));
    let told = RefCell::new((Told::default(), &mut *printer));
    let look = || {
        let Ok(board) = board(&stage.cx) else { return false };
        let (told, printer) = &mut *told.borrow_mut();
        told.tell(&board, printer);
        Cast::is_done(&board)
    };
    let ended = engine::run_until(&stage.cx, limit, &signals, look)
        .map_err(|error| Error::io("cannot start the background tasks").caused_by(error))?;
    if ended == Ended::Signal {
        return Err(interrupted());
    }
    let listing = List { all: true, filter: None }.run(&stage.cx)?;
    cast.end();
    printer.outcome(&listing, style)?;
    match ended {
        Ended::Over | Ended::Signal | Ended::Died => Ok(0),
        Ended::Late => Err(Error::new(
            Kind::Unconfirmed,
            format!("the demo's sessions have not played their parts within {} s", limit.as_secs()),
        )),
    }
}

fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "the demo was interrupted; nothing of it is left")
}

/// What was said of each session last.
#[derive(Default)]
struct Told(BTreeMap<String, (Condition, String)>);

impl Told {
    /// Says on stderr what has changed.
    fn tell(&mut self, board: &Board, printer: &mut Printer<'_>) {
        for row in &board.sessions {
            let now = (row.judgement.condition, row.judgement.reason.clone());
            if self.0.get(&row.name) != Some(&now) {
                printer.note(&format!("{}  {}: {}: {}", board.taken_at, row.name, now.0, now.1));
                self.0.insert(row.name.clone(), now);
            }
        }
    }
}

/// Paths of sockets must be shorter than this on every system.
const SOCKET_PATH: usize = 100;

/// tmux without the user's configuration, which could keep the demo's server or fill it with other sessions.
struct PlainTmux;

impl TmuxServers for PlainTmux {
    fn at(&self, socket: Option<&str>) -> Arc<dyn Tmux> {
        let server = socket.map_or(TmuxServer::Default, |path| TmuxServer::Socket(path.to_owned()));
        Arc::new(RealTmux::new(server).with_config("/dev/null"))
    }
}

/// The temporary folder and the context that works on it.
struct Stage {
    folder: tempfile::TempDir,
    /// Holds the tmux socket where the path of the other folder is too long for one.
    _socket_folder: Option<tempfile::TempDir>,
    cx: Context,
}

impl Stage {
    fn set(parts: Parts, speed: f64) -> Result<Self> {
        let failed = |error| Error::io("cannot make a temporary folder for the demo").caused_by(error);
        let folder = tempfile::Builder::new().prefix(FOLDER).tempdir().map_err(failed)?;
        let mut socket = folder.path().join("tmux");
        let mut socket_folder = None;
        if socket.as_os_str().len() >= SOCKET_PATH {
            let short = tempfile::Builder::new().prefix(FOLDER).tempdir_in("/tmp").map_err(failed)?;
            socket = short.path().join("tmux");
            socket_folder = Some(short);
        }
        let place = |name: &str| folder.path().join(name);
        for name in ["project", "state", "codex"] {
            fs::create_dir(place(name)).map_err(failed)?;
        }
        fs::set_permissions(place("state"), fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let program = std::env::current_exe().map_err(failed)?;
        for part in &PARTS {
            let script = place(&format!("{}.json", part.name));
            fs::write(&script, at_speed(part.script, speed)).map_err(failed)?;
            let words = shell_words::join([
                &program.display().to_string(),
                "sim",
                "codex",
                "--no-daemon",
                "--script",
                &script.display().to_string(),
                "--speed",
                &speed.to_string(),
            ]);
            let stand_in = place(&format!("codex-{}", part.name));
            fs::write(&stand_in, format!("#!/bin/sh\nexec {words} \"$@\"\n")).map_err(failed)?;
            fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        }
        let env = Env {
            cwd: place("project"),
            state_root: place("state"),
            ledger: place("state").join(LEDGER_FILE),
            codex_home: Some(place("codex")),
            tmux_socket: Some(socket),
            codex: None,
            // The played Codex has none, and a real one is not to be started for it.
            codex_queue: false,
            codex_thread: None,
            in_step: false,
            ..parts.env
        };
        let parts = Parts { env, tmux: Arc::new(PlainTmux), dry_run: false, ..parts };
        Ok(Self { cx: Context::new(parts), _socket_folder: socket_folder, folder })
    }

    /// What a copied command line begins with, so that it finds the demo's sessions and not the user's own.
    fn prefix(&self) -> Vec<String> {
        vec!["conveyor".to_owned(), "--path".to_owned(), self.cx.env().ledger.display().to_string()]
    }

    fn stand_in(&self, part: &Part) -> PathBuf {
        self.folder.path().join(format!("codex-{}", part.name))
    }

    /// Records task and binding and lets the two sessions begin. What has begun when this fails is ended.
    fn play(&self, no_tmux: bool, signals: &Signals, printer: &mut Printer<'_>) -> Result<Cast> {
        let cx = &self.cx;
        Tasks {
            create: Some("parser".parse().map_err(|_| Error::usage("the demo's task has no name"))?),
            goal: Some(TextArg::Inline("The parser accepts empty input, and a test proves it".to_owned())),
            summary: None,
            active: false,
            filter: None,
        }
        .run(cx)?;
        let mut with_tmux = !no_tmux && cx.tmux(self.socket().as_deref()).version().is_ok();
        let mut cast = Cast { children: Vec::new(), panes: None };
        for part in &PARTS {
            if with_tmux {
                // A part that could not be registered leaves nothing; the others are in the ledger.
                cast.panes = Some(cx.clone());
                let launch = LaunchArgs {
                    codex: Some(self.stand_in(part)),
                    no_server: true,
                    timeout_seconds: START_PATIENCE.as_secs(),
                    ..LaunchArgs::default()
                };
                if let Err(error) = launch_session(cx, &launch, part.role, part.name, part.prompt) {
                    with_tmux = false;
                    printer.note(&format!("tmux cannot be used ({error}), so there are no panes"));
                }
            }
            if !with_tmux {
                self.start_headless(part, &mut cast)?;
            }
            if signals.raised() {
                return Err(interrupted());
            }
        }
        let (worker, manager) = (PARTS[0].name.to_owned(), PARTS[1].name.to_owned());
        Bind { task: "parser".to_owned(), worker, manager }.run(cx)?;
        Ok(cast)
    }

    fn socket(&self) -> Option<String> {
        self.cx.env().tmux_socket.as_ref().map(|path| path.display().to_string())
    }

    /// Without tmux: a process of its own that writes the rollout, registered as soon as that is there.
    fn start_headless(&self, part: &Part, cast: &mut Cast) -> Result<()> {
        let home = self.folder.path().join("codex").join(part.name);
        let child = Command::new(self.stand_in(part))
            .args(["--headless", "--hold", "--", part.prompt])
            .env("CODEX_HOME", &home)
            .current_dir(self.folder.path().join("project"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Error::io("cannot start a simulated session").caused_by(error))?;
        cast.children.push(child);
        let deadline = Instant::now() + START_PATIENCE;
        let path = loop {
            if let Some(path) = first_rollout(&home) {
                break path;
            }
            if Instant::now() > deadline {
                return Err(Error::io("a simulated session wrote no rollout"));
            }
            thread::sleep(Duration::from_millis(50));
        };
        let args = RegisterArgs {
            name: part.name.parse().map_err(|_| Error::usage("the demo's session has no name"))?,
            codex_session: Some(path),
            pid: None,
            cwd: None,
            tmux_session: None,
            tmux_pane: None,
            tmux_socket: None,
            codex_app_thread_id: None,
            codex_app_thread_title: None,
        };
        match part.role {
            Role::Worker => RegisterWorker { args }.run(&self.cx)?,
            Role::Manager => RegisterManager { args }.run(&self.cx)?,
        };
        Ok(())
    }
}

fn first_rollout(home: &Path) -> Option<PathBuf> {
    let found = rollout::find_rollouts(home, 1).ok()?.pop()?;
    rollout::read_head(&found).is_ok().then_some(found)
}

/// The running sessions.
struct Cast {
    children: Vec<Child>,
    /// The ledger of sessions in tmux, to be ended with the demo.
    panes: Option<Context>,
}

impl Cast {
    /// Both have played their parts: nobody works or waits any more, and the worker has had its second turn.
    fn is_done(board: &Board) -> bool {
        let resting = |condition| matches!(condition, Condition::Done | Condition::Aborted);
        board.sessions.iter().all(|row| resting(row.judgement.condition))
            && board.sessions.iter().any(|row| {
                row.name == PARTS[0].name
                    && row.last_event.as_ref().is_some_and(|event| event.text.contains(LAST_WORDS))
            })
    }

    /// Ends them at once: nobody needs what they would still say.
    fn end(&mut self) {
        for child in &mut self.children {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.children.clear();
        if let Some(cx) = self.panes.take() {
            close_panes(&cx);
        }
    }
}

/// Closes the panes of the sessions that the demo started and waits for their processes, which write into its folder.
/// The last pane takes the demo's tmux server with it. A session that was adopted meanwhile is somebody's own.
fn close_panes(cx: &Context) {
    let sessions = cx.ledger().and_then(|ledger| Ok(ledger.read(store::sessions::list)?)).unwrap_or_default();
    let of_session = |session: &Session| {
        let pane: PaneId = session.tmux_pane_id.as_deref()?.parse().ok()?;
        let process = ProcessId::from_stored(session.pane_pid?, session.pane_pid_start?)?;
        // It may be gone already.
        let _ = cx.tmux(session.tmux_socket.as_deref()).kill_pane(pane, process);
        Some(process)
    };
    let ours = sessions.iter().filter(|session| session.tmux_owned);
    let processes: Vec<ProcessId> = ours.filter_map(of_session).collect();
    let deadline = Instant::now() + END_PATIENCE;
    while processes.iter().any(|process| cx.processes().liveness(*process) == Liveness::Alive)
        && Instant::now() < deadline
    {
        thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Every step of every turn of a script.
    fn steps(script: &str) -> Vec<Value> {
        let script: Value = serde_json::from_str(script).unwrap();
        let turns = ["rules", "autostart"].into_iter().filter_map(|list| script[list].as_array().cloned()).flatten();
        turns.filter_map(|turn| turn["steps"].as_array().cloned()).flatten().collect()
    }

    #[test]
    fn whatever_a_script_answers_by_itself_it_says_that_it_did() {
        let mut answered = 0;
        for step in PARTS.iter().flat_map(|part| steps(part.script)) {
            let Some(asked) = [&step["approve"], &step["ask"]].into_iter().find(|asked| asked.is_object()) else {
                continue;
            };
            if asked["answer_after_ms"].is_u64() {
                let note = asked["answer_note"].as_str().unwrap_or_default();
                assert!(note.starts_with("Demo: the script of this simulation") && note.contains("Conveyor did not"));
                answered += 1;
            }
        }
        assert_eq!(answered, 2);
    }

    #[test]
    fn a_prompt_tells_the_time_of_its_answer_at_the_speed_that_is_played() {
        let told = |speed: f64| {
            let told = at_speed(PARTS[0].script, speed);
            let steps = steps(&told);
            let asked = steps.iter().find(|step| step["approve"].is_object()).unwrap();
            asked["approve"]["reason"].as_str().unwrap().to_owned()
        };
        for (speed, seconds) in [(1.0, "7 s"), (0.1, "70 s"), (4.0, "1.8 s"), (8.0, "0.9 s")] {
            let reason = told(speed);
            assert!(reason.contains(&format!("by its script in {seconds}, unless")), "{speed}: {reason}");
        }
        assert_eq!(at_speed(PARTS[1].script, 2.0), PARTS[1].script, "nothing else is changed");
    }
}
