//! Runs the built program in an empty, private world: own home, own state root, fixed clock and ids.

use std::{
    cell::Cell,
    ffi::OsStr,
    fs,
    io::Write,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The file name of the rollout that [`TestEnv::pair`] gives its worker.
pub const WORKER: &str = "rollout-2026-11-21T02-14-36-01a1fbe2-536f-7ac3-bfaa-af9af8b87c1e.jsonl";
/// The file name of the rollout that [`TestEnv::pair`] gives its manager.
pub const MANAGER: &str = "rollout-2026-11-21T02-14-16-01a1fbe2-04f0-7bb3-be68-85579e70f876.jsonl";

/// One private world. Everything in it is removed when it is dropped.
pub struct TestEnv {
    root: tempfile::TempDir,
    runs: Cell<u64>,
    frozen: bool,
}

/// A finished run of the program.
#[derive(Debug)]
pub struct Finished {
    /// Exit code.
    pub code: i32,
    /// Standard output, with private paths rewritten.
    pub out: String,
    /// Standard error, with private paths rewritten.
    pub err: String,
}

impl Finished {
    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The error object on standard error.
    pub fn error(&self) -> serde_json::Value {
        let value: serde_json::Value =
            serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error} in {self:?}"));
        value["error"].clone()
    }

    /// Itself, when it succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err)
    }
}

impl TestEnv {
    /// A world whose clock stands still and whose ids count.
    pub fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a temporary folder"), runs: Cell::new(0), frozen: true }
    }

    /// A world with the real clock and random ids.
    pub fn live() -> Self {
        Self { frozen: false, ..Self::new() }
    }

    /// A world with a bound pair, `w1` and `m1` on the task `parser`, on recorded rollouts that nobody has read yet.
    pub fn pair() -> Self {
        let env = Self::new();
        let worker = env.place_rollout("rollouts/tool_calls.jsonl", WORKER);
        let manager = env.place_rollout("rollouts/simple_turn.jsonl", MANAGER);
        let path = |rollout: &Path| rollout.to_str().expect("a plain path").to_owned();
        env.run(["register-worker", "--name", "w1", "--codex-session", &path(&worker)]).ok();
        env.run(["register-manager", "--name", "m1", "--codex-session", &path(&manager)]).ok();
        env.sh("tasks --create parser --goal 'the parser accepts every recorded file'").ok();
        env.sh("bind --task parser --worker w1 --manager m1").ok();
        env
    }

    /// The working directory of every run.
    pub fn cwd(&self) -> PathBuf {
        let cwd = self.root.path().join("project");
        fs::create_dir_all(&cwd).expect("the project folder");
        cwd
    }

    /// `CODEX_HOME` of every run.
    pub fn codex_home(&self) -> PathBuf {
        self.root.path().join("home/.codex")
    }

    /// The ledger file.
    pub fn ledger(&self) -> PathBuf {
        self.cwd().join(".codex-workers/workerctl.db")
    }

    /// The program with a cleared environment; `PATH` stays, so that tmux can be found.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conveyor"));
        command.env_clear().current_dir(self.cwd());
        let home = self.root.path().join("home");
        fs::create_dir_all(&home).expect("the home folder");
        command.env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LANG", "C.UTF-8");
        if self.frozen {
            let run = self.runs.get();
            self.runs.set(run + 1);
            // One second later and other ids with every run, the same in every test run.
            command
                .env("CONVEYOR_TEST_CLOCK", format!("2026-11-21T02:{:02}:{:02}Z", 30 + run / 60, run % 60))
                .env("CONVEYOR_TEST_IDS", (run * 100).to_string());
        }
        command
    }

    /// Runs the program to its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Finished {
        self.run_with_input(arguments, b"")
    }

    /// Runs the program to its end with this standard input.
    pub fn run_with_input<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>, input: &[u8]) -> Finished {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("its input");
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // A program that does not read its input closes it.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().expect("the program ends");
        writer.join().expect("the input writer");
        Finished {
            code: output.status.code().unwrap_or(-1),
            out: self.neutral(&output.stdout),
            err: self.neutral(&output.stderr),
        }
    }

    /// Runs a command line as it stands in documentation, without the program's name.
    pub fn sh(&self, line: &str) -> Finished {
        self.run(shell_words::split(line).expect("a command line"))
    }

    /// Runs the program below a process that looks like Codex's sandbox, which names this thread.
    pub fn run_below_codex(&self, words: &[&str], thread: Option<&str>) -> Finished {
        let program = self.command();
        let mut sandbox = Command::new("/bin/sh");
        sandbox.arg0("codex-linux-sandbox").args(["-c", "\"$0\" \"$@\"; exit $?"]).arg(program.get_program());
        sandbox.args(words).env_clear().current_dir(self.cwd());
        sandbox.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        sandbox.envs(thread.map(|thread| ("CODEX_THREAD_ID", thread)));
        let output = sandbox.output().expect("a shell");
        Finished {
            code: output.status.code().unwrap_or(-1),
            out: self.neutral(&output.stdout),
            err: self.neutral(&output.stderr),
        }
    }

    fn neutral(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        text.replace(&self.root.path().display().to_string(), "$TEST")
    }

    /// Copies a recorded rollout into the sessions folder under its real name; its path.
    pub fn place_rollout(&self, fixture: &str, name: &str) -> PathBuf {
        let folder = self.codex_home().join("sessions/2026/11/21");
        fs::create_dir_all(&folder).expect("the sessions folder");
        let path = folder.join(name);
        fs::copy(fixture_path(fixture), &path).expect("the recorded rollout");
        path
    }
}

/// A file under `tests/fixtures`.
pub fn fixture_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}
