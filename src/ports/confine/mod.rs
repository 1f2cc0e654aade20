//! Runs a program that nobody trusts: it sees a system folder tree, its input and a scratch folder, and nothing else of
//! this machine.
//!
//! The way in is our own program, started a second time: it confines itself, and a probe that runs where the program
//! will run tries what must not work. Only when every try failed there that had worked outside, the program is begun.
//! What was tried is in the [`Receipt`]; nothing is said to be enforced that was not.

mod closed;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod inside;
mod outside;
mod probe;
#[cfg(target_os = "linux")]
mod relay;
pub mod seatbelt;
#[cfg(target_os = "linux")]
mod tree;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use closed::{Closed, closed};
pub use outside::{Ended, Failure, Printed, run};
pub use probe::Try;

use crate::text_enum;

/// The words by which our own program knows what it was started for.
const STAGE: &str = "__confine";
const INIT: &str = "__confine-init";
const PROBE: &str = "__confine-probe";

/// The only folder that can be written inside; on memory, and gone at the end.
pub const SCRATCH: &str = "/tmp";

/// One place of the network that can be reached from inside: by its own name and port, through this program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// What is to be run, and what it may have.
#[derive(Debug, Clone)]
pub struct Job {
    /// The program, an absolute path, and its arguments.
    pub command: (PathBuf, Vec<String>),
    /// Its standard input.
    pub input: String,
    /// Its environment beside what every program gets.
    pub env: Vec<(String, String)>,
    /// Files and folders beyond the system's that it may read.
    pub read: Vec<PathBuf>,
    /// What it may reach.
    pub relays: Vec<Relay>,
    /// Files and folders of which it must see nothing.
    pub hidden: Vec<PathBuf>,
    /// Sockets that it must not reach.
    pub sockets: Vec<PathBuf>,
    /// It is killed after this time.
    pub time: Duration,
    /// Each of its two streams may hold so many bytes.
    pub bytes: usize,
}

text_enum! {
    /// What confines a program.
    pub enum Engine {
        /// The kernel of Linux.
        Namespaces => "namespaces+seccomp",
        /// `sandbox-exec` of macOS.
        Seatbelt => "seatbelt",
        /// Nothing is known for this system: no program is begun.
        None => "none",
    }
}

impl Engine {
    /// That of the system that this program was built for.
    pub const HERE: Self = if cfg!(target_os = "linux") {
        Self::Namespaces
    } else if cfg!(target_os = "macos") {
        Self::Seatbelt
    } else {
        Self::None
    };
}

/// What the confined program may use up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Seconds of processor time.
    pub cpu_seconds: u64,
    /// Bytes of memory of each process.
    pub data_bytes: u64,
    /// Bytes of a file.
    pub file_bytes: u64,
    /// Open files of each process.
    pub open_files: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Bytes in the scratch folder.
    pub scratch_bytes: u64,
    /// Seconds until it is killed.
    pub wall_seconds: u64,
}

impl Limits {
    fn within(time: Duration) -> Self {
        let wall_seconds = time.as_secs().max(1);
        Self {
            cpu_seconds: wall_seconds.saturating_mul(4),
            data_bytes: 4 << 30,
            file_bytes: 256 << 20,
            open_files: 1024,
            processes: 512,
            scratch_bytes: 256 << 20,
            wall_seconds,
        }
    }

    /// Those that this engine sets, by name. A profile of macOS's knows no limits: there the program is killed when its
    /// time is over, and that is all.
    #[must_use]
    pub fn set_by(&self, engine: Engine) -> BTreeMap<&'static str, u64> {
        let Self { cpu_seconds, data_bytes, file_bytes, open_files, processes, scratch_bytes, wall_seconds } = *self;
        let time = ("wall_seconds", wall_seconds);
        match engine {
            Engine::Namespaces => BTreeMap::from([
                ("cpu_seconds", cpu_seconds),
                ("data_bytes", data_bytes),
                ("file_bytes", file_bytes),
                ("open_files", open_files),
                ("processes", processes),
                ("scratch_bytes", scratch_bytes),
                time,
            ]),
            Engine::Seatbelt => BTreeMap::from([time]),
            Engine::None => BTreeMap::new(),
        }
    }
}

/// What was enforced, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// How many tries failed inside that had worked outside.
    pub denied: usize,
    /// Whether every single try was turned away, so that the program was begun at all.
    pub enforced: bool,
    /// What confines it.
    pub engine: Engine,
    /// The names of its environment.
    pub env: Vec<String>,
    /// What it may use up, as far as the engine sees to it.
    pub limits: BTreeMap<&'static str, u64>,
    /// What it can reach of the network.
    pub network: Vec<String>,
    /// What was tried, in its place, before it was begun.
    pub probe: Vec<Try>,
    /// What it can read beyond the system's folders.
    pub read: Vec<String>,
    /// Why it was not begun.
    pub setup_error: Option<String>,
}

/// When this process is one of the stages of a confinement: does its part; the exit code.
#[must_use]
pub fn enter(arguments: &[OsString]) -> Option<u8> {
    match arguments.get(1)?.to_str()? {
        PROBE => Some(probe::main(arguments.get(2).map_or("", |one| one.to_str().unwrap_or_default()))),
        #[cfg(target_os = "linux")]
        STAGE => Some(inside::stage()),
        #[cfg(target_os = "linux")]
        INIT => Some(inside::init(Path::new(arguments.get(2)?))),
        _ => None,
    }
}

/// Whether reading `path` would show some of what must stay hidden.
#[must_use]
pub fn uncovers(path: &Path, hidden: &[PathBuf]) -> bool {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let path = whole(path);
    hidden.iter().any(|one| {
        let one = whole(one);
        one.starts_with(&path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_lists_the_limits_that_its_engine_sets() {
        let limits = Limits::within(Duration::from_secs(30));
        let names = |engine| limits.set_by(engine).into_keys().collect::<Vec<_>>();
        let all =
            ["cpu_seconds", "data_bytes", "file_bytes", "open_files", "processes", "scratch_bytes", "wall_seconds"];
        assert_eq!(names(Engine::Namespaces), all);
        assert_eq!(limits.set_by(Engine::Seatbelt), BTreeMap::from([("wall_seconds", 30)]));
        assert_eq!(names(Engine::None), [""; 0]);
        // What is on record is what the program gives itself there.
        assert_eq!(serde_json::json!(limits), serde_json::json!(limits.set_by(Engine::Namespaces)));
    }
}
