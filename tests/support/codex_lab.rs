//! A place where the real Codex CLI can be driven: a home of its own, a project, and a scripted model server in
//! place of the network.
//!
//! Everything a lab starts ends with it, Codex's background server and its updater included, each by its process
//! id and start time. Terminals are the test's own business and must be gone before the lab is dropped.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use conveyor::ports::codex_cli::{CodexCli, find_codex};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The longest that anything in the lab itself may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running lab.
pub struct CodexLab {
    root: PathBuf,
    codex: PathBuf,
    mock: Child,
    port: u16,
}

impl CodexLab {
    /// Starts a lab. None, with a word on stderr, when this machine lacks `codex`, `python3`, `git` or one of
    /// `also_needed`.
    ///
    /// # Panics
    /// When something is lacking and `CONVEYOR_REQUIRE_LIVE` is `1`, or when the lab cannot be set up.
    pub fn start(also_needed: &[&str]) -> Option<Self> {
        let chosen = env::var_os("CONVEYOR_TEST_CODEX").filter(|path| !path.is_empty()).map(PathBuf::from);
        let Ok(codex) = find_codex(env::var_os("PATH").as_deref(), chosen.as_deref()) else {
            skipped("codex");
            return None;
        };
        for tool in ["python3", "git"].iter().chain(also_needed) {
            if !on_path(tool) {
                skipped(tool);
                return None;
            }
        }

        // Not below the system's temporary directory: Codex warns about that on its first screen.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lab-{}-{number}", std::process::id()));
        // What a killed run with the same number left behind.
        let _ = fs::remove_dir_all(&root);
        for folder in ["home", "project"] {
            fs::create_dir_all(root.join(folder)).expect("a folder of the lab can be created");
        }
        let root = root.canonicalize().expect("the lab exists");

        let (mock, port) = start_mock(&root);
        let lab = Self { root, codex, mock, port };
        lab.write_config();
        lab.make_project();
        Some(lab)
    }

    /// The `CODEX_HOME`.
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// A git repository that Codex trusts.
    pub fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    /// The Codex program with this lab's home.
    pub fn cli(&self) -> CodexCli {
        CodexCli { program: self.codex.clone(), codex_home: Some(self.home()) }
    }

    /// A shell command line that runs Codex in this lab.
    pub fn command_line(&self, arguments: &[&str]) -> String {
        let home = format!("CODEX_HOME={}", self.home().display());
        let program = self.codex.display().to_string();
        let words = ["exec", "env", &home, &program].into_iter().chain(arguments.iter().copied());
        shell_words::join(words)
    }

    /// From now on messages that match the regular expression are answered by `script`, in the directives of
    /// `mock_responses.py`. The newest rule wins.
    pub fn rule(&self, pattern: &str, script: &str) {
        self.post("/_mock/rule", &json!({ "match": pattern, "text": script }).to_string());
    }

    /// Lets a `{{hold NAME}}` go on, after waiting for it to be reached: Codex reports a turn before it asks the model.
    pub fn release(&self, name: &str) {
        let path = format!("/_mock/release?name={name}");
        assert!(
            within(PATIENCE, || self.post(&path, "").contains(&json!(name).to_string())),
            "no hold {name} was reached"
        );
    }

    /// Forgets rules, counters and holds.
    pub fn reset(&self) {
        self.post("/_mock/reset", "");
    }

    /// Sends a signal to Codex's background server.
    pub fn signal_server(&self, signal: Signal) {
        let server = Recorded::read(&self.home().join("app-server-daemon/daemon.pid")).filter(Recorded::runs);
        let pid = server.and_then(|server| Pid::from_raw(server.pid)).expect("the server runs");
        kill_process(pid, signal).expect("the server is ours");
    }

    fn stop_server(&self) {
        let stop = Command::new(&self.codex)
            .args(["app-server", "daemon", "stop"])
            .env("CODEX_HOME", self.home())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if let Ok(mut child) = stop
            && !within(PATIENCE, || matches!(child.try_wait(), Ok(Some(_)) | Err(_)))
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn write_config(&self) {
        let config = format!(
            r#"model = "gpt-6.1-sol"
model_provider = "mock"
check_for_update_on_startup = false

[model_providers.mock]
name = "Mock Responses"
base_url = "http://127.0.0.1:{port}/v1"
wire_api = "responses"

[tui]
screen_reader_detection_done = true

[projects.{project}]
trust_level = "trusted"
"#,
            port = self.port,
            project = json!(self.project()),
        );
        fs::write(self.home().join("config.toml"), config).expect("the configuration can be written");
    }

    fn make_project(&self) {
        for arguments in [
            &["init", "--quiet"][..],
            &[
                "-c",
                "user.name=lab",
                "-c",
                "user.email=lab@localhost",
                "commit",
                "--quiet",
                "--allow-empty",
                "-m",
                "lab",
            ],
        ] {
            let done = Command::new("git").args(arguments).current_dir(self.project()).status();
            assert!(done.is_ok_and(|status| status.success()), "git {arguments:?} failed");
        }
    }

    /// Posts to the model server and returns its reply, head included.
    fn post(&self, path: &str, body: &str) -> String {
        let reply = self.http(&format!("POST {path}"), body).expect("the model server answers");
        assert!(reply.split(' ').nth(1) == Some("200"), "POST {path}: {reply}");
        reply
    }

    fn http(&self, request: &str, body: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let length = body.len();
        write!(stream, "{request} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n{body}")?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        Ok(reply)
    }
}

impl Drop for CodexLab {
    fn drop(&mut self) {
        let daemon = self.home().join("app-server-daemon");
        let server = Recorded::read(&daemon.join("daemon.pid"));
        let updater = Recorded::read(&daemon.join("daemon-updater.pid"));
        let sockets =
            [self.home().join("app-server-control/app-server-control.sock"), daemon.join("daemon-updater.sock")]
                .map(|link| fs::read_link(link).ok());
        if server.is_some() {
            self.stop_server();
        }
        // The updater survives its server; the server is listed for when it did not obey.
        for process in server.into_iter().chain(updater) {
            process.end();
        }
        // A process that had to be killed leaves its socket in the shared folder the links lead to.
        for socket in sockets.into_iter().flatten() {
            let _ = fs::remove_file(&socket);
            let _ = fs::remove_file(socket.with_extension("lock"));
        }
        let _ = self.mock.kill();
        let _ = self.mock.wait();
        // Whoever has just ended may have left the file system a moment of work.
        within(PATIENCE, || fs::remove_dir_all(&self.root).is_ok() || !self.root.exists());
    }
}

/// A process that Codex has written down, with what tells it from a later one of the same id.
struct Recorded {
    pid: i32,
    started: String,
    start_ticks: Option<u64>,
}

impl Recorded {
    fn read(file: &Path) -> Option<Self> {
        let record: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        Some(Self {
            pid: i32::try_from(record["pid"].as_i64()?).ok()?,
            started: record["processStartTime"].as_str()?.to_owned(),
            start_ticks: record["processIdentity"]["startTicks"].as_u64(),
        })
    }

    /// Whether the process still runs and is the recorded one.
    fn runs(&self) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(ticks) = self.start_ticks {
            return procfs::process::Process::new(self.pid)
                .and_then(|process| process.stat())
                .is_ok_and(|stat| stat.starttime == ticks && stat.state != 'Z');
        }
        let _ = self.start_ticks;
        Command::new("ps")
            .args(["-o", "lstart=", "-p", &self.pid.to_string()])
            .env("LC_ALL", "C")
            .output()
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == self.started)
    }

    fn end(&self) {
        for signal in [Signal::TERM, Signal::KILL] {
            if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.runs()) {
                let _ = kill_process(pid, signal);
                within(Duration::from_secs(5), || !self.runs());
            }
        }
    }
}

fn start_mock(root: &Path) -> (Child, u16) {
    let output = fs::File::create(root.join("mock.log")).expect("a file of the lab can be created");
    let port_file = root.join("port");
    let mut mock = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/mock_responses.py"))
        .args(["--port", "0", "--port-file"])
        .arg(&port_file)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a file handle can be shared"))
        .stderr(output)
        .spawn()
        .expect("python3 can be run");
    let mut port = None;
    if within(PATIENCE, || {
        port = fs::read_to_string(&port_file).ok().and_then(|text| text.trim().parse().ok());
        port.is_some()
    }) && let Some(port) = port
    {
        return (mock, port);
    }
    let _ = mock.kill();
    let _ = mock.wait();
    panic!("the model server did not start: {}", fs::read_to_string(root.join("mock.log")).unwrap_or_default());
}

/// Says that a test is skipped because `tool` is not installed, or fails where live tests are required.
pub fn skipped(tool: &str) {
    assert!(env::var_os("CONVEYOR_REQUIRE_LIVE").is_none_or(|value| value != "1"), "{tool} is not installed");
    let _ = writeln!(io::stderr(), "skipped: {tool} is not installed");
}

fn on_path(tool: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(OsStr::new(tool)).is_file())
}

/// Asks until the answer is yes, at most for `limit`.
pub fn within(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if is_so() {
            return true;
        }
        if started.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
