//! Runs a tool that an operator has named: without a shell, with an end, its output hashed and its last lines kept.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    io::{self, Read},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::env::{STEP_MARK, find_program, is_executable};
use crate::base::text;

/// The most that a tool may print on one of its streams, in bytes.
const MOST_OUTPUT: u64 = 256 << 20;
/// What is kept of the end of a stream, in bytes.
const KEPT: usize = 4_000;
/// What has ended may leave others behind that hold its output open.
const LEFT_BEHIND: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a tool gets of the environment of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// All that belongs to no session: a person has it run.
    Whole,
    /// Where things are, and nothing that tells a tool how to work: a session has it run.
    Plain,
}

/// What a plain environment holds, beside the locale.
const PLAIN: &[&str] = &[
    "CARGO_HOME",
    "DEVELOPER_DIR",
    "HOME",
    "LANG",
    "LOGNAME",
    "PATH",
    "RUSTUP_HOME",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
];

/// What belongs to the session that asks for a tool, and not to the tool.
const OF_SESSION: &[&str] = &["CODEX_THREAD_ID", "TMUX", "TMUX_PANE"];

impl Environment {
    fn has(self, name: &OsStr) -> bool {
        let is_plain = || PLAIN.iter().any(|plain| name == *plain) || name.as_encoded_bytes().starts_with(b"LC_");
        !OF_SESSION.iter().any(|one| name == *one) && (self == Self::Whole || is_plain())
    }

    /// The variables that a tool gets, by name.
    fn variables(self) -> BTreeMap<OsString, OsString> {
        let mark = (OsString::from(STEP_MARK), OsString::from("1"));
        env::vars_os().filter(|(name, _)| self.has(name)).chain([mark]).collect()
    }
}

/// What a stream held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stream {
    /// How much; none when it was not read to its end.
    pub byte_count: Option<u64>,
    /// The SHA-256 of all of it; none when it was not read to its end.
    pub sha256: Option<String>,
    /// The end of what was read, cleaned of control characters.
    pub tail: String,
}

/// How a tool ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolRun {
    /// How long it took.
    pub duration_ms: u64,
    /// The names of the variables that it got.
    pub env: Vec<String>,
    /// Its exit code; none when it was killed.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it printed.
    pub stderr: Stream,
    /// What it printed.
    pub stdout: Stream,
    /// It took too long, and was killed.
    pub timed_out: bool,
    /// It printed too much, and was killed.
    pub too_much_output: bool,
}

impl ToolRun {
    /// It ended by itself, and well.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.exit_code == Some(0) && !self.timed_out && !self.too_much_output
    }
}

/// The program of this name: a path is taken from the folder, a name is looked for on `path`.
#[must_use]
pub fn program(path: Option<&OsStr>, folder: &Path, name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        Some(folder.join(name)).filter(|program| is_executable(program))
    } else {
        find_program(path, name)
    }
}

/// Runs a tool in a folder, for at most `limit`; `path` is where it looks for other programs. It has ended when this returns, with everything in its process group.
///
/// # Errors
/// When it cannot be started.
pub fn run(
    program: &Path,
    words: &[String],
    folder: &Path,
    environment: Environment,
    path: Option<&OsStr>,
    limit: Duration,
) -> io::Result<ToolRun> {
    let begun = Instant::now();
    let mut variables = environment.variables();
    variables.remove(OsStr::new("PATH"));
    variables.extend(path.map(|path| ("PATH".into(), path.to_owned())));
    let mut child = Command::new(program)
        .args(words)
        .current_dir(folder)
        .env_clear()
        .envs(&variables)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let (tell, told) = mpsc::channel();
    let read = |which: usize, pipe: Option<Box<dyn Read + Send>>| {
        let tell = tell.clone();
        thread::spawn(move || {
            let stream = pipe.map(drain).unwrap_or_default();
            // Nobody waits any more for what was left behind.
            let _ = tell.send((which, stream));
        });
    };
    read(0, child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    read(1, child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let mut streams: [Option<Drained>; 2] = [None, None];
    let mut timed_out = false;
    let status = loop {
        while let Ok((which, stream)) = told.try_recv() {
            streams[which] = Some(stream);
        }
        // It is not reaped yet: its number still stands for its group, and for no other.
        if has_ended(&child)? {
            kill_group(&child);
            break child.wait()?;
        }
        let too_much = streams.iter().flatten().any(|stream| stream.too_much);
        timed_out = begun.elapsed() >= limit;
        if too_much || timed_out {
            kill_group(&child);
            break child.wait()?;
        }
        thread::sleep(LOOK_EVERY);
    };
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let deadline = Instant::now() + LEFT_BEHIND;
    while streams.iter().any(Option::is_none) {
        match told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((which, stream)) => streams[which] = Some(stream),
            Err(_) => break,
        }
    }
    let [stdout, stderr] = streams.map(Option::unwrap_or_default);
    Ok(ToolRun {
        duration_ms,
        env: variables.keys().map(|name| name.to_string_lossy().into_owned()).collect(),
        exit_code: status.code(),
        signal: status.signal(),
        too_much_output: stdout.too_much || stderr.too_much,
        timed_out,
        stderr: stderr.told(),
        stdout: stdout.told(),
    })
}

fn has_ended(child: &Child) -> io::Result<bool> {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return Ok(false) };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(pid), options)?.is_some())
}

/// Ends it with all that it has started.
fn kill_group(child: &Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended this moment.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[derive(Debug, Default)]
struct Drained {
    bytes: u64,
    digest: Sha256,
    tail: Vec<u8>,
    too_much: bool,
    /// It was read to its end.
    is_whole: bool,
}

impl Drained {
    fn told(self) -> Stream {
        let sha256 = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Stream {
            byte_count: self.is_whole.then_some(self.bytes),
            sha256: self.is_whole.then_some(sha256),
            tail: text::clean(&String::from_utf8_lossy(&self.tail)),
        }
    }
}

fn drain(mut pipe: Box<dyn Read + Send>) -> Drained {
    let mut drained = Drained::default();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => {
                drained.is_whole = true;
                return drained;
            }
            Ok(read) => {
                drained.bytes += read as u64;
                drained.digest.update(&buffer[..read]);
                drained.tail.extend_from_slice(&buffer[..read]);
                let above = drained.tail.len().saturating_sub(KEPT);
                drained.tail.drain(..above);
                if drained.bytes > MOST_OUTPUT {
                    drained.too_much = true;
                    return drained;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return drained,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> ToolRun {
        let words = ["-c".to_owned(), script.to_owned()];
        run(Path::new("/bin/sh"), &words, Path::new("/"), Environment::Whole, env::var_os("PATH").as_deref(), limit)
            .unwrap()
    }

    #[test]
    fn what_a_tool_prints_is_hashed_whole_and_its_end_is_kept() {
        let run = sh("yes line | head -n 2000; printf '\\033[31mred' >&2; exit 3", Duration::from_secs(20));
        assert_eq!((run.exit_code, run.is_good(), run.stdout.byte_count), (Some(3), false, Some(10_000)));
        let whole: String = Sha256::digest("line\n".repeat(2_000)).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((run.stdout.sha256, run.stdout.tail.len()), (Some(whole), KEPT));
        assert!(!run.stderr.tail.contains('\u{1b}'));
    }

    #[test]
    fn a_tool_that_takes_too_long_ends_with_all_that_it_started() {
        let mark = format!("3917.{}", std::process::id());
        let run = sh(&format!("sleep {mark} & sleep {mark}"), Duration::from_millis(300));
        assert!(run.timed_out && !run.is_good() && run.signal == Some(9), "{run:?}");
        let left = Command::new("pgrep").args(["-f", &format!("^sleep {mark}")]).output().unwrap();
        assert!(left.stdout.is_empty(), "{left:?}");
    }

    #[test]
    fn what_a_tool_leaves_behind_does_not_keep_us_waiting() {
        let begun = Instant::now();
        let run = sh("sleep 60 & echo done", Duration::from_secs(30));
        assert!(run.is_good() && run.stdout.tail == "done\n", "{run:?}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn of_what_was_not_read_to_its_end_no_size_and_no_hash_is_told() {
        let run = sh("setsid sleep 15 2>/dev/null & sleep 1; echo done; echo bad >&2", Duration::from_secs(30));
        assert!(run.is_good(), "{run:?}");
        assert_eq!((run.stdout.byte_count, run.stdout.sha256), (None, None));
        assert_eq!((run.stderr.byte_count, run.stderr.tail.as_str()), (Some(4), "bad\n"));
    }

    #[test]
    fn a_plain_environment_holds_nothing_that_steers_a_tool() {
        let has = |name: &str| Environment::Plain.has(OsStr::new(name));
        assert!(["PATH", "HOME", "LC_ALL", "CARGO_HOME"].into_iter().all(has));
        let steers =
            ["MAKEFLAGS", "PYTEST_ADDOPTS", "CARGO_TARGET_DIR", "RUSTC_WRAPPER", "LD_PRELOAD", "CODEX_THREAD_ID"];
        assert!(!steers.into_iter().any(has));
        assert!(Environment::Whole.has(OsStr::new("MAKEFLAGS")) && !Environment::Whole.has(OsStr::new("TMUX_PANE")));
    }
}
