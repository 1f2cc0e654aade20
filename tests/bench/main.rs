//! `cargo bench`: what the program costs on real files, measured from outside.
//!
//! Each line runs the built program and takes CPU time and peak memory of the process from the kernel, so that other
//! load on the machine disturbs little. The figures and their command stand in `docs/benchmarks.md`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and stops when it cannot go on")]

mod cockpit;
mod waiting;

use std::{
    env, fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::sys::resource::{UsageWho, getrusage};
use rusqlite::Connection;

const PROGRAM: &str = env!("CARGO_BIN_EXE_conveyor");
const LINES: usize = 109_000;
const BYTES: u64 = 100_000_000;
const SHORT_RUNS: usize = 40;

struct Bench {
    root: tempfile::TempDir,
}

/// What one run cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    cpu: Duration,
    wall: Duration,
    peak_kib: u64,
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "--measure") {
        return measure(&words[1..]);
    }
    let only = env::args().skip(1).find(|word| !word.starts_with('-'));
    println!("release build: {}", !cfg!(debug_assertions));
    let wanted = |name: &str| only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    if wanted("ingest") {
        Bench::new().ingest();
    }
    if wanted("small") {
        Bench::new().small_commands();
    }
    if wanted("board") {
        Bench::new().board();
    }
    if wanted("dispatch") {
        Bench::new().dispatch();
    }
    if wanted("waiting") {
        waiting::run(&Bench::new());
    }
    if wanted("cockpit") {
        cockpit::run(&Bench::new());
    }
}

impl Bench {
    /// An empty world with its own ledger.
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Runs the program once; an empty line is a process that does nothing.
    fn run(&self, line: &str) -> Cost {
        let home = self.path("home");
        fs::create_dir_all(&home).unwrap();
        let program = if line.is_empty() { "/bin/true" } else { PROGRAM };
        let output = Command::new(env::current_exe().unwrap())
            .args(["--measure", program])
            .args(shell_words::split(line).unwrap())
            .env_clear()
            .env("HOME", home)
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.root.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [success, cpu, wall, peak] = fields[..] else { panic!("no figures: {text}") };
        assert_eq!(success, "true", "`conveyor {line}` failed: {}", String::from_utf8_lossy(&output.stderr));
        let micros = |text: &str| Duration::from_micros(text.parse().unwrap());
        Cost { cpu: micros(cpu), wall: micros(wall), peak_kib: peak.parse().unwrap() }
    }

    /// Many runs: the median CPU time, the lower quartile of the wall time (other load only ever adds to it), and the
    /// highest peak of memory.
    fn typical(&self, line: &str) -> Cost {
        typical((0..SHORT_RUNS).map(|_| self.run(line)).collect())
    }

    fn register(&self, name: &str, rollout: &Path) {
        self.run(&format!("register-worker --name {name} --codex-session {}", rollout.display()));
    }

    fn ingest(&self) {
        let rollout = self.path("big.jsonl");
        make_rollout(&rollout, "01a1fbea-2da9-7992-8902-3f0b07260b51", LINES, BYTES);
        self.register("big", &rollout);
        let first = self.run("ingest big");
        let ledger = self.path(".codex-workers/workerctl.db");
        let size_of = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let size = size_of(&ledger) + size_of(&ledger.with_extension("db-wal"));
        println!("first ingest of {} MB, {LINES} lines", fs::metadata(&rollout).unwrap().len() / 1_000_000);
        row("CPU", first.cpu, 1000.0);
        println!("  wall: {:.1} ms", millis(first.wall));
        size_row("peak memory", first.peak_kib * 1024, 30.0);
        size_row("ledger with its log", size, 60.0);

        let empty = self.typical("");
        let nothing_new = self.typical("ingest big");
        row("nothing new, above an empty process (CPU)", less(nothing_new.cpu, empty.cpu), 8.0);
        row("nothing new, above an empty process (wall)", less(nothing_new.wall, empty.wall), 8.0);
        let mut costs = Vec::new();
        for number in 0..SHORT_RUNS {
            append(&rollout, number);
            costs.push(self.run("ingest big"));
        }
        let one_line = typical(costs);
        row("one new line, above an empty process (CPU)", less(one_line.cpu, empty.cpu), 8.0);
        row("one new line, above an empty process (wall)", less(one_line.wall, empty.wall), 8.0);
    }

    fn small_commands(&self) {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rollouts");
        for (role, name, file) in [("worker", "w", "long_session"), ("manager", "m", "simple_turn")] {
            let rollout = fixture.join(format!("{file}.jsonl"));
            self.run(&format!("register-{role} --name {name} --codex-session {}", rollout.display()));
        }
        self.run("tasks --create small --goal g");
        self.run("bind --task small --worker w --manager m");
        self.run("cycle small");
        let empty = self.typical("");
        println!("small commands, above an empty process ({:.1} ms wall)", millis(empty.wall));
        for line in ["--version", "tasks", "sessions", "list", "tail w --limit 20", "status w --no-refresh"] {
            let cost = self.typical(line);
            row(&format!("{line} (wall)"), less(cost.wall, empty.wall), 4.0);
            size_row(&format!("{line}, peak memory"), cost.peak_kib * 1024, 12.0);
        }
        let cycle = self.typical("cycle small");
        row("cycle without tmux, above an empty process (wall)", less(cycle.wall, empty.wall), 6.0);
    }

    /// 2,000 queued messages, delivered into an inbox by one pass.
    fn dispatch(&self) {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rollouts");
        for (role, name, file) in [("worker", "w", "long_session"), ("manager", "m", "simple_turn")] {
            let rollout = fixture.join(format!("{file}.jsonl"));
            self.run(&format!("register-{role} --name {name} --codex-session {}", rollout.display()));
        }
        self.run("tasks --create parser --goal g");
        self.run("bind --task parser --worker w --manager m");
        let sent = self.typical("enqueue-nudge-worker parser --message hello");
        let sql = Connection::open(self.path(".codex-workers/workerctl.db")).unwrap();
        sql.execute_batch(
            "with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 2000)
             insert into commands (id, idempotency_key, request_sha256, created_at, updated_at, created_by, task_id,
                binding_id, source_session_id, target_session_id, seq, correlation_id, type, state, phase, boot_id,
                max_attempts, payload_json)
             select 'many-' || n, 'many-' || n, '', created_at, created_at, created_by, task_id, binding_id,
                source_session_id, target_session_id, 1000000 + n, correlation_id, type, 'pending', 'queued', boot_id,
                5, payload_json
             from numbers join (select * from commands where seq = 1)",
        )
        .unwrap();
        let queued: i64 =
            sql.query_row("select count(*) from commands where phase = 'queued'", [], |row| row.get(0)).unwrap();
        let pass = self.run("dispatch --once --limit 100000");
        println!("dispatch of {queued} queued messages");
        row("one pass (wall)", pass.wall, 1_200.0);
        row("one pass (CPU)", pass.cpu, 1_200.0);
        size_row("peak memory", pass.peak_kib * 1024, 64.0);
        println!("  one message accepted, on disk: {:.1} ms wall", millis(sent.wall));
    }

    /// A ledger with 50 sessions and 1,000,000 events; how many events those are.
    fn fleet(&self) -> i64 {
        let folder = self.path("fleet");
        fs::create_dir_all(&folder).unwrap();
        for number in 0..50 {
            let id = format!("01a1fbea-2da9-7992-8902-{number:012}");
            let rollout = folder.join(format!("{number}.jsonl"));
            make_rollout(&rollout, &id, 20_000, 4_000_000);
            self.register(&format!("s{number}"), &rollout);
            self.run(&format!("ingest s{number}"));
        }
        self.events()
    }

    fn events(&self) -> i64 {
        let ledger = Connection::open(self.path(".codex-workers/workerctl.db")).unwrap();
        ledger.busy_timeout(Duration::from_secs(10)).unwrap();
        ledger.query_row("select count(*) from codex_events", [], |row| row.get(0)).unwrap()
    }

    fn rollout(&self, number: usize) -> PathBuf {
        self.path("fleet").join(format!("{number}.jsonl"))
    }

    /// Adds so many lines to every rollout of the fleet; `from` counts those that were added before.
    fn append_everywhere(&self, from: usize, count: usize) {
        for session in 0..50 {
            let mut file = BufWriter::new(fs::OpenOptions::new().append(true).open(self.rollout(session)).unwrap());
            for number in from..from + count {
                let ordinal = 20_000 + number;
                writeln!(
                    file,
                    r#"{{"timestamp":"2026-11-21T03:00:00.000Z","ordinal":{ordinal},"type":"event_msg","payload":{{"type":"agent_message","message":"step {number} of a long day, with some words to read"}}}}"#
                )
                .unwrap();
            }
            file.flush().unwrap();
        }
    }

    /// Waits until somebody has read every rollout of the fleet to its end.
    fn wait_until_read(&self, meanwhile: &dyn Fn()) {
        let ledger = Connection::open(self.path(".codex-workers/workerctl.db")).unwrap();
        ledger.busy_timeout(Duration::from_secs(10)).unwrap();
        let written: u64 = (0..50).map(|number| fs::metadata(self.rollout(number)).unwrap().len()).sum();
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let read: i64 =
                ledger.query_row("select sum(next_offset) from rollout_files", [], |row| row.get(0)).unwrap();
            if u64::try_from(read).unwrap() >= written {
                return;
            }
            assert!(Instant::now() < deadline, "{read} of {written} bytes were read");
            meanwhile();
        }
    }

    /// Gives every session of the fleet a pane of a tmux server, which ends when it is dropped.
    fn panes(&self) -> Panes {
        let panes = Panes { socket: self.path("tmux") };
        for number in 0..50 {
            let name = format!("pane-{number}");
            let pane = panes.tmux(&[
                "new-session",
                "-d",
                "-P",
                "-F",
                "#{pane_id}",
                "-x",
                "100",
                "-y",
                "30",
                "-s",
                &name,
                "cat",
            ]);
            self.run(&format!(
                "register-worker --name s{number} --codex-session {} --tmux-pane {pane} --tmux-session {name} \
                 --tmux-socket {}",
                self.rollout(number).display(),
                panes.socket.display()
            ));
        }
        panes
    }

    /// The load of the board of [`Self::fleet`].
    fn board(&self) {
        let events = self.fleet();
        let empty = self.typical("");
        let list = self.typical("list --json");
        println!("board of 50 sessions, {events} events");
        row("whole `list --json`, above an empty process (wall)", less(list.wall, empty.wall), 5.0);
        row("whole `list --json`, above an empty process (CPU)", less(list.cpu, empty.cpu), 5.0);
        let line = self.typical("status-line --tmux");
        row("`status-line`, above an empty process (wall)", less(line.wall, empty.wall), 5.0);
    }
}

/// A tmux server of our own.
struct Panes {
    socket: PathBuf,
}

impl Panes {
    fn tmux(&self, words: &[&str]) -> String {
        let output =
            Command::new("tmux").args(["-f", "/dev/null", "-S"]).arg(&self.socket).args(words).output().unwrap();
        assert!(output.status.success(), "tmux: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Panes {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// A rollout made of a recorded one, repeated, with this thread id; about so many lines and bytes.
fn make_rollout(path: &Path, thread: &str, lines: usize, bytes: u64) {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rollouts/long_session.jsonl");
    let recorded = fs::read_to_string(recorded).unwrap();
    let mut parts = recorded.lines();
    let head = parts.next().unwrap().replace("01a1fbea-2da9-7992-8902-3f0b07260b51", thread);
    let turn: Vec<&str> = parts.collect();
    let average = turn.iter().map(|line| line.len() + 1).sum::<usize>() / turn.len();
    let wanted = usize::try_from(bytes).unwrap() / lines;
    let filler = "x".repeat(wanted.saturating_sub(average));
    let mut file = BufWriter::new(fs::File::create(path).unwrap());
    writeln!(file, "{head}").unwrap();
    for number in 1..lines {
        let line = turn[(number - 1) % turn.len()];
        // Each line gets its own ordinal, and filler that brings the average to that of long real sessions.
        let rest = line.split_once("\"ordinal\":").and_then(|(start, rest)| {
            let (_, rest) = rest.split_once(',')?;
            Some(format!("{start}\"ordinal\":{number},{rest}"))
        });
        let line = rest.unwrap_or_else(|| line.to_owned());
        match line.strip_suffix('}') {
            Some(open) if !filler.is_empty() => writeln!(file, "{open},\"filler\":\"{filler}\"}}").unwrap(),
            _ => writeln!(file, "{line}").unwrap(),
        }
    }
    file.flush().unwrap();
}

fn append(rollout: &Path, number: usize) {
    let mut file = fs::OpenOptions::new().append(true).open(rollout).unwrap();
    let ordinal = LINES + number;
    writeln!(
        file,
        r#"{{"timestamp":"2026-11-21T03:00:00.000Z","ordinal":{ordinal},"type":"event_msg","payload":{{"type":"token_count","info":null}}}}"#
    )
    .unwrap();
}

/// Runs a command line in a process of its own, so that the kernel's figures are those of this one run.
fn measure(words: &[String]) {
    let Some((program, arguments)) = words.split_first() else { return };
    let started = Instant::now();
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).status().unwrap();
    let wall = started.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    let cpu = micros(usage.user_time()) + micros(usage.system_time());
    println!("{} {cpu} {} {}", status.success(), wall.as_micros(), usage.max_rss());
}

fn typical(mut costs: Vec<Cost>) -> Cost {
    let count = costs.len();
    let peak_kib = costs.iter().map(|cost| cost.peak_kib).max().unwrap();
    costs.sort_by_key(|cost| cost.wall);
    let wall = costs[count / 4].wall;
    costs.sort_by_key(|cost| cost.cpu);
    Cost { cpu: costs[count / 2].cpu, wall, peak_kib }
}

fn less(cost: Duration, empty: Duration) -> Duration {
    cost.saturating_sub(empty)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn mb(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let bytes = bytes as f64;
    bytes / 1_000_000.0
}

/// A line of `/proc/PID/FILE` that is told in kB, in bytes.
fn proc_bytes(pid: u32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// Prints a share of one core beside its bar, both in percent.
fn share(what: &str, percent: f64, bar: f64) {
    println!("  {what}: {percent:.2} % of a core (bar {bar} %)");
    assert!(percent <= 3.0 * bar, "{what} is far over its bar");
}

/// Prints a figure beside its bar in milliseconds; three times the bar is a failure, whatever else the machine does.
fn row(what: &str, time: Duration, bar: f64) {
    println!("  {what}: {:.1} ms (bar {bar} ms)", millis(time));
    assert!(millis(time) <= 3.0 * bar, "{what} is far over its bar");
}

/// The same for sizes, in MB.
fn size_row(what: &str, bytes: u64, bar: f64) {
    println!("  {what}: {:.1} MB (bar {bar} MB)", mb(bytes));
    assert!(mb(bytes) <= 3.0 * bar, "{what} is far over its bar");
}
