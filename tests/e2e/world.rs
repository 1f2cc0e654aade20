//! A private world with a tmux server of its own and a stand-in for `codex`, in which the built program runs.

use std::{
    cell::Cell,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use conveyor::ports::tmux::PaneId;
use serde_json::Value;

use crate::support::{Finished, TestEnv, codex_lab::CodexLab, tmux::TmuxServer};

/// How long anything may take; the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// The world of one test.
pub struct World {
    env: TestEnv,
    server: TmuxServer,
    holds: Cell<u32>,
    project: PathBuf,
    settings: Vec<(&'static str, PathBuf)>,
}

/// Waits until `condition` gives a value; on failure says what was waited for and shows `scene`.
#[track_caller]
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>, scene: impl FnOnce() -> String) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}\n{}", scene());
        thread::sleep(Duration::from_millis(40));
    }
}

impl World {
    /// A world with a simulated Codex 0.169; none when tmux is not installed and need not be.
    pub fn start() -> Option<Self> {
        let server = TmuxServer::start()?;
        let env = TestEnv::live();
        let project = env.cwd();
        let world = Self { env, server, holds: Cell::new(0), project, settings: Vec::new() };
        fs::create_dir(world.bin()).expect("a folder for programs");
        // Codex makes its own; the simulator is told of it only when it is there.
        fs::create_dir_all(world.codex_home()).expect("a CODEX_HOME");
        world.codex(&[]);
        Some(world)
    }

    /// A world with the Codex, the `CODEX_HOME` and the project of a lab. It must be dropped before the lab.
    pub fn in_lab(lab: &CodexLab) -> Option<Self> {
        let mut world = Self::start()?;
        let cli = lab.cli();
        world.project = lab.project();
        world.settings = vec![
            ("CODEX_HOME", lab.home()),
            ("CONVEYOR_CODEX", cli.program),
            ("WORKERCTL_STATE_ROOT", world.server.folder().join("state")),
        ];
        Some(world)
    }

    /// From now on messages may go through Codex's own queue.
    pub fn use_the_queue(&mut self) {
        self.settings.push(("CONVEYOR_CODEX_QUEUE", PathBuf::from("on")));
    }

    /// The private folder of programs, the first one in `PATH`.
    pub fn bin(&self) -> PathBuf {
        self.server.folder().join("bin")
    }

    /// From now on `codex` is the simulator with these further options.
    pub fn codex(&self, options: &[&str]) {
        let words = [env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon"];
        let words = shell_words::join(words.iter().chain(options));
        self.script("codex", &format!("exec {words} \"$@\""));
    }

    /// From now on `codex` knows its version and else does what the shell lines say.
    pub fn broken_codex(&self, lines: &str) {
        self.script("codex", &format!("case \"$1\" in --version) echo codex-cli 0.169.0; exit;; esac\n{lines}"));
    }

    /// Writes a shell script into the folder of programs.
    pub fn script(&self, name: &str, lines: &str) {
        let path = self.bin().join(name);
        // A running script is read on from its file, so a new one takes its place.
        let fresh = path.with_extension("new");
        fs::write(&fresh, format!("#!/bin/sh\n{lines}\n")).expect("a script");
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).expect("a program");
        fs::rename(&fresh, &path).expect("the script in its place");
    }

    /// A folder of programs that holds only these of the installed ones.
    pub fn bin_with(&self, name: &str, tools: &[&str]) -> PathBuf {
        let folder = self.server.folder().join(name);
        fs::create_dir(&folder).expect("a folder for programs");
        for tool in tools {
            let path = std::env::var_os("PATH").expect("a search path");
            let found = std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|path| path.is_file());
            symlink(found.expect("an installed tool"), folder.join(tool)).expect("a link");
        }
        folder
    }

    /// The tmux server that sessions are started in.
    pub fn server(&self) -> &TmuxServer {
        &self.server
    }

    /// The working directory of every run.
    pub fn cwd(&self) -> PathBuf {
        self.project.clone()
    }

    /// The `CODEX_HOME` of every run.
    pub fn codex_home(&self) -> PathBuf {
        self.env.codex_home()
    }

    /// The state root of every run.
    pub fn state_root(&self) -> PathBuf {
        self.cwd().join(".codex-workers")
    }

    /// The ledger file.
    pub fn ledger(&self) -> PathBuf {
        let state_root = self.settings.iter().find(|(name, _)| *name == "WORKERCTL_STATE_ROOT");
        state_root.map_or_else(|| self.env.ledger(), |(_, root)| root.join("workerctl.db"))
    }

    /// A file whose coming lets a `{{hold FILE}}` go on.
    pub fn hold(&self) -> PathBuf {
        self.holds.set(self.holds.get() + 1);
        self.server.folder().join(format!("go-{}", self.holds.get()))
    }

    /// The program with this world's environment.
    pub fn command(&self) -> Command {
        let mut command = self.env.command();
        let rest = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{}:{rest}", self.bin().display()))
            .env("CONVEYOR_TMUX_SOCKET", self.server.socket())
            // Nobody else's server is the default one.
            .env("TMUX_TMPDIR", self.server.folder())
            // The played Codex has none; tests with the real one switch it on.
            .env("CONVEYOR_CODEX_QUEUE", "off")
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.project);
        command
    }

    /// What a shell needs to run the program as [`World::command`] does: `env -i NAME=VALUE...`.
    pub fn shell_environment(&self) -> Vec<String> {
        let command = self.command();
        let set = command.get_envs().filter_map(|(name, value)| {
            value.map(|value| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
        });
        ["env".to_owned(), "-i".to_owned(), "TERM=screen-256color".to_owned(), "PS1=$ ".to_owned()]
            .into_iter()
            .chain(set)
            .collect()
    }

    /// Runs the program to its end.
    pub fn run(&self, words: &[&str]) -> Finished {
        finish(self.command().args(words))
    }

    /// Starts a worker without Codex's server.
    pub fn start_worker(&self, name: &str, task: &str) -> Value {
        self.run(&["start-worker", "--name", name, "--no-server", "--task", task]).ok().json()
    }

    /// `status` of a session.
    pub fn status(&self, name: &str) -> Value {
        self.run(&["status", name]).ok().json()
    }

    /// `cycle` of a task.
    pub fn cycle(&self, task: &str) -> Value {
        self.run(&["cycle", task, "--json"]).ok().json()
    }

    /// Waits until `status` says this condition; the whole status.
    #[track_caller]
    pub fn wait_for_condition(&self, name: &str, condition: &str) -> Value {
        let mut last = Value::Null;
        wait_for(
            &format!("{name} to be {condition}"),
            || {
                last = self.status(name);
                (last["condition"] == condition).then(|| last.clone())
            },
            || format!("{:#}\n{}", self.status(name), self.all_screens()),
        )
    }

    /// A recorded rollout in the `CODEX_HOME`.
    pub fn recorded_rollout(&self) -> String {
        let path = self.env.place_rollout("rollouts/approval_accepted.jsonl", RECORDED);
        path.display().to_string()
    }

    /// Registers a manager without a pane, a task, and binds both to the worker.
    pub fn bind(&self, task: &str, worker: &str) {
        let rollout = self.recorded_rollout();
        self.run(&["register-manager", "--name", "m1", "--codex-session", &rollout]).ok();
        self.run(&["tasks", "--create", task, "--goal", "prove it"]).ok();
        self.run(&["bind", "--task", task, "--worker", worker, "--manager", "m1"]).ok();
    }

    /// The pane of a session, as the ledger has it.
    #[track_caller]
    pub fn pane(&self, name: &str) -> PaneId {
        let session = self.session(name);
        let pane = session["tmux_pane_id"].as_str().unwrap_or_else(|| panic!("{name} has no pane: {session:#}"));
        pane.parse().expect("a pane id")
    }

    /// The screen of a session's pane.
    pub fn screen(&self, name: &str) -> String {
        self.server.screen(self.pane(name))
    }

    /// Presses keys in a session's pane, as a person does.
    pub fn press(&self, name: &str, keys: &[&str]) {
        let pane = self.pane(name).to_string();
        self.server.plain(&[&["send-keys", "-t", &pane], keys].concat());
    }

    /// Types a line as a person does, and sends it.
    pub fn say(&self, name: &str, line: &str) {
        let pane = self.pane(name);
        self.server.plain(&["set-buffer", "--", line]);
        self.server.plain(&["paste-buffer", "-p", "-t", &pane.to_string()]);
        let beginning: String = line.chars().take(30).collect();
        wait_for(
            "the composer to take the text",
            || self.screen(name).contains(&beginning).then_some(()),
            || self.screen(name),
        );
        self.press(name, &["Enter"]);
    }

    /// Waits until a text stands in a session's pane.
    #[track_caller]
    pub fn wait_for_screen(&self, name: &str, text: &str) {
        wait_for(
            &format!("{text:?} on the screen"),
            || self.screen(name).contains(text).then_some(()),
            || self.screen(name),
        );
    }

    /// Names of the tmux sessions that were started by the program.
    pub fn tmux_sessions(&self) -> Vec<String> {
        let all = self.server.plain(&["list-sessions", "-F", "#{session_name}"]);
        all.lines().filter(|name| *name != "keep").map(str::to_owned).collect()
    }

    /// The record of a session.
    #[track_caller]
    pub fn session(&self, name: &str) -> Value {
        let sessions = self.run(&["sessions", "--state", "all", "--json"]).ok().json();
        let row = rows(&sessions).into_iter().find(|row| row["name"] == name);
        row.unwrap_or_else(|| panic!("no {name} in {sessions:#}"))
    }

    /// The rollouts of a session's thread.
    pub fn rollouts_of(&self, name: &str) -> Vec<PathBuf> {
        let session = self.session(name);
        let thread = session["codex_session_id"].as_str().unwrap_or("no thread");
        self.rollouts().into_iter().filter(|path| path.display().to_string().contains(thread)).collect()
    }

    /// Every rollout below the `CODEX_HOME`.
    pub fn rollouts(&self) -> Vec<PathBuf> {
        files(&self.codex_home().join("sessions"))
    }

    /// Every pane of the server, for the report of a failure.
    pub fn all_screens(&self) -> String {
        let panes = self.server.plain(&["list-panes", "-a", "-F", "#{pane_id} #{session_name} #{pane_title}"]);
        let screens = panes.lines().map(|line| {
            let id = line.split(' ').next().unwrap_or_default();
            let screen = id.parse().map_or_else(|_| String::new(), |id| self.server.screen(id));
            format!("--- {line}\n{screen}")
        });
        screens.collect()
    }
}

const RECORDED: &str = "rollout-2026-11-21T02-16-46-01a1fbe4-4f26-7c83-91b8-77f01863ce68.jsonl";

/// Runs a command to its end.
pub fn finish(command: &mut Command) -> Finished {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// The rows of a listing, which is an array or an object with one.
pub fn rows(listing: &Value) -> Vec<Value> {
    let array = listing.as_array().or_else(|| listing["sessions"].as_array());
    array.cloned().unwrap_or_default()
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Command lines of all processes that contain `part`, this one's excepted.
pub fn processes_with(part: &str) -> Vec<String> {
    let listing = Command::new("ps").args(["-A", "-ww", "-o", "pid=,args="]).output().expect("ps runs");
    let own = std::process::id().to_string();
    let all = String::from_utf8_lossy(&listing.stdout).into_owned();
    all.lines()
        .filter(|line| line.contains(part) && line.split_whitespace().next() != Some(own.as_str()))
        .map(str::to_owned)
        .collect()
}
