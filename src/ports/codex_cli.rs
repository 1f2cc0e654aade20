//! The `codex` program: where it is, which version it is, and whether it keeps sessions in a server.
//!
//! Each run has a time limit, gets no input and cannot leave a process behind: on a time-out the whole process
//! group is killed and the child is reaped. Sessions are never run from here.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Seek},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;

pub use crate::model::codex::{CodexVersion, NoVersion};
use crate::{
    base::text,
    ports::env::{find_program, is_executable},
    text_enum,
};

/// The limit of the small questions (`--version`, `features list`).
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// The first version that keeps sessions in a server unless told otherwise.
const SERVER_BY_DEFAULT: CodexVersion = CodexVersion { major: 0, minor: 162, patch: 0 };

/// The feature that makes a plain `codex` use the server.
const SERVER_FEATURE: &str = "daemon_auto_start";

/// The most output that is read, in bytes.
const MAX_OUTPUT: u64 = 256 * 1024;

/// Why `codex` did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CodexCliError {
    /// There is no such program.
    #[error("codex is not installed: {looked_for}")]
    Missing {
        /// What was looked for and not found.
        looked_for: String,
    },
    /// It did not finish in time and was killed.
    #[error("`{command}` did not finish within {} s", after.as_secs())]
    Timeout {
        /// The command line.
        command: String,
        /// The limit.
        after: Duration,
    },
    /// It said no.
    #[error("`{command}` failed ({status}): {message}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The first words of what it said about it.
        message: String,
    },
    /// It printed something else than expected.
    #[error("`{command}` {}", told(output))]
    UnexpectedOutput {
        /// The command line.
        command: String,
        /// The first words of what it printed.
        output: String,
    },
    /// The operating system refused.
    #[error("cannot run `{command}`")]
    Io {
        /// The command line.
        command: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

text_enum! {
    /// What Codex's background server is to a version.
    pub enum ServerUse {
        /// A plain `codex` keeps its sessions there.
        Default => "default",
        /// It is there, but a plain `codex` does without.
        Optional => "optional",
        /// No session of a terminal is ever kept there.
        None => "none",
    }
}

/// Whether the server had to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerStart {
    /// It was not running before.
    Started,
    /// It was running already.
    AlreadyRunning,
}

fn told(output: &str) -> String {
    match output.trim() {
        "" => "printed nothing, where an answer was expected".to_owned(),
        output => format!("printed something unexpected: {output}"),
    }
}

/// A `codex` program and the home it works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodexCli {
    /// The program, an absolute path (see [`find_codex`]).
    pub program: PathBuf,
    /// Its `CODEX_HOME`; none leaves the environment as it is.
    pub codex_home: Option<PathBuf>,
}

impl CodexCli {
    /// The version of the program.
    ///
    /// # Errors
    /// When it cannot be run, does not finish within ten seconds, or prints no version.
    pub fn version(&self) -> Result<CodexVersion, CodexCliError> {
        let (command, output) = self.run(&["--version"], ASK_LIMIT)?;
        output
            .split_whitespace()
            .find_map(|word| word.parse().ok())
            .ok_or_else(|| CodexCliError::UnexpectedOutput { command, output: excerpt(&output) })
    }

    /// Whether a plain `codex` keeps its sessions in the background server.
    ///
    /// # Errors
    /// As [`Self::server_use`].
    pub fn has_server(&self) -> Result<bool, CodexCliError> {
        Ok(self.server_use()? == ServerUse::Default)
    }

    /// What the background server is to this version.
    ///
    /// The program's own list of features decides; versions whose list lacks the feature use it from 0.162 on.
    ///
    /// # Errors
    /// When neither the list nor the version can be had.
    pub fn server_use(&self) -> Result<ServerUse, CodexCliError> {
        match self.run(&["features", "list"], ASK_LIMIT) {
            Ok((_, list)) => match feature(&list, SERVER_FEATURE) {
                Some(true) => return Ok(ServerUse::Default),
                Some(false) => return Ok(ServerUse::Optional),
                None => {}
            },
            // Versions before the list existed.
            Err(CodexCliError::Failed { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(if self.version()? >= SERVER_BY_DEFAULT { ServerUse::Default } else { ServerUse::None })
    }

    /// Whether somebody is signed in, as far as the program can tell without the network.
    ///
    /// # Errors
    /// When it cannot be run, does not finish within ten seconds, or says neither; versions before `login status`
    /// existed say neither.
    pub fn is_signed_in(&self) -> Result<bool, CodexCliError> {
        let (command, said) = match self.finish(&["login", "status"], ASK_LIMIT)? {
            (_, Ended { status, .. }) if status.success() => return Ok(true),
            (command, ended) => (command, ended),
        };
        // Warnings may stand before it.
        if said.complaint.lines().chain(said.output.lines()).any(|line| line.trim() == "Not logged in") {
            return Ok(false);
        }
        Err(said.into_failure(command))
    }

    /// Makes sure that the background server runs. It outlives us and takes our environment with it.
    ///
    /// The first start for a home copies the program there, which takes seconds.
    ///
    /// # Errors
    /// When it cannot be started; after a time-out it may still come up.
    pub fn ensure_server(&self, timeout: Duration) -> Result<ServerStart, CodexCliError> {
        #[derive(Deserialize)]
        struct Report {
            status: String,
        }

        let (command, output) = self.run(&["app-server", "daemon", "start"], timeout)?;
        let report = serde_json::from_str::<Report>(output.trim());
        match report.as_ref().map(|report| report.status.as_str()) {
            Ok("started") => Ok(ServerStart::Started),
            Ok("alreadyRunning") => Ok(ServerStart::AlreadyRunning),
            _ => Err(CodexCliError::UnexpectedOutput { command, output: excerpt(&output) }),
        }
    }

    /// Runs the program and returns the command line, for errors, and what it printed.
    fn run(&self, arguments: &[&str], limit: Duration) -> Result<(String, String), CodexCliError> {
        let (line, ended) = self.finish(arguments, limit)?;
        if ended.status.success() { Ok((line, ended.output)) } else { Err(ended.into_failure(line)) }
    }

    /// Runs the program to its end, whatever it says.
    fn finish(&self, arguments: &[&str], limit: Duration) -> Result<(String, Ended), CodexCliError> {
        let line = format!("{} {}", self.program.display(), arguments.join(" "));
        let io = |source: io::Error| CodexCliError::Io { command: line.clone(), source };
        // Files instead of pipes: they never fill up, and a grandchild that keeps one open cannot hold us.
        let mut stdout = tempfile::tempfile().map_err(io)?;
        let mut stderr = tempfile::tempfile().map_err(io)?;
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().map_err(io)?)
            .stderr(stderr.try_clone().map_err(io)?)
            // The npm package puts a node process in front of the real one; together they make one group.
            .process_group(0);
        if let Some(home) = &self.codex_home {
            command.env("CODEX_HOME", home);
        }
        let mut child = command.spawn().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => CodexCliError::Missing { looked_for: self.program.display().to_string() },
            _ => io(source),
        })?;
        let Some(status) = wait_within(&mut child, limit).map_err(io)? else {
            return Err(CodexCliError::Timeout { command: line, after: limit });
        };
        let output = printed(&mut stdout).map_err(io)?;
        let complaint = printed(&mut stderr).map_err(io)?;
        Ok((line, Ended { status, output, complaint }))
    }
}

/// How a run ended and what it printed.
struct Ended {
    status: ExitStatus,
    output: String,
    complaint: String,
}

impl Ended {
    fn into_failure(self, command: String) -> CodexCliError {
        let said = if self.complaint.trim().is_empty() { &self.output } else { &self.complaint };
        CodexCliError::Failed { command, status: self.status, message: excerpt(said) }
    }
}

/// Waits for `child`; after `limit` kills its process group, reaps it and returns none.
fn wait_within(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let Some(left) = limit.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) else { break };
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(50));
    }
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // An error means that the group is gone already.
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn printed(file: &mut File) -> io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(MAX_OUTPUT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The first words of an output, fit for an error.
fn excerpt(output: &str) -> String {
    text::bounded(&text::one_line(&text::clean(output)), 200)
}

/// Whether a feature is on, by a table of name, stage (one or more words) and `true` or `false`. A feature that was
/// removed says nothing: it may have become the rule or have been given up.
fn feature(list: &str, name: &str) -> Option<bool> {
    let mut rows = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    match rows.find(|words| words.first() == Some(&name))?.as_slice() {
        [_, "removed", ..] => None,
        [_, .., enabled] => enabled.parse().ok(),
        _ => None,
    }
}

/// The `codex` to use: `chosen` when given, else the first executable one of the folders in `path`.
///
/// Folders that are not absolute are passed over: what runs must not depend on where we stand.
///
/// # Errors
/// [`CodexCliError::Missing`] when there is none.
pub fn find_codex(path: Option<&OsStr>, chosen: Option<&Path>) -> Result<PathBuf, CodexCliError> {
    if let Some(chosen) = chosen {
        return std::path::absolute(chosen)
            .ok()
            .filter(|program| is_executable(program))
            .ok_or_else(|| CodexCliError::Missing { looked_for: format!("{} is no program", chosen.display()) });
    }
    find_program(path, "codex")
        .ok_or_else(|| CodexCliError::Missing { looked_for: "no `codex` on the PATH".to_owned() })
}

#[cfg(test)]
mod tests;
