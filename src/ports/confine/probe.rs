//! Tries what a confined program must not be able to do, from the place where it will run.
//!
//! What a try needs is first shown to work outside, by the same code: a try that fails for another reason proves
//! nothing, and is not counted.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a probe tries.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// A file with a secret.
    pub(super) canary: PathBuf,
    /// Files and folders of which nothing must be seen.
    pub(super) hidden: Vec<PathBuf>,
    /// What it may see of them: the places of what it was given, and the folders above them.
    pub(super) given: Vec<PathBuf>,
    /// Sockets of the file system.
    pub(super) sockets: Vec<PathBuf>,
    /// A socket with an abstract name.
    pub(super) abstract_name: String,
    /// A TCP server outside, on the loopback.
    pub(super) tcp: Option<SocketAddr>,
    /// A process outside.
    pub(super) pid: u32,
    /// The names of the environment that it is to have.
    pub(super) env: BTreeSet<String>,
    /// Sockets of the network may be made, for a relay.
    pub(super) network: bool,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// What.
    pub what: String,
    /// It was seen to work outside; a fact about the process itself has no outside.
    pub outside: Option<bool>,
    /// It did not work inside.
    pub denied: bool,
    /// How it failed, or what was found.
    pub found: String,
}

/// The stage that tries. It prints what it found.
pub(super) fn main(wanted: &str) -> u8 {
    let Ok(wanted) = serde_json::from_str::<Wanted>(wanted) else { return 2 };
    let mut tries = reach(&wanted);
    tries.extend(itself(&wanted));
    let Ok(text) = serde_json::to_string(&tries) else { return 2 };
    u8::from(writeln!(io::stdout(), "{text}").is_err())
}

/// What can be reached from here.
pub(super) fn reach(wanted: &Wanted) -> Vec<Try> {
    let mut tries = vec![attempt("read a file of this user", fs::read(&wanted.canary).map(drop))];
    for path in &wanted.hidden {
        tries.push(attempt(&format!("see {}", path.display()), see(path, &wanted.given)));
    }
    for path in &wanted.sockets {
        tries.push(attempt(&format!("connect to {}", path.display()), UnixStream::connect(path).map(drop)));
    }
    tries.push(attempt("connect to an abstract socket", connect_abstract(&wanted.abstract_name)));
    if let Some(address) = &wanted.tcp {
        tries.push(attempt(
            "connect to a server on this machine",
            TcpStream::connect_timeout(address, PATIENCE).map(drop),
        ));
        tries.push(attempt("send a datagram to this machine", datagram(*address)));
    }
    tries.push(attempt("see the processes of this user", see_process(wanted.pid)));
    tries.push(attempt("read the environment of a process", fs::read(process(wanted.pid, "environ")).map(drop)));
    tries.push(attempt("signal a process", signal(wanted.pid)));
    let folder = wanted.canary.parent().unwrap_or(Path::new("/"));
    tries.push(attempt("write beside a file of this user", write_in(folder)));
    tries
}

fn attempt(what: &str, done: io::Result<()>) -> Try {
    let found = done.as_ref().err().map_or_else(|| "it worked".to_owned(), ToString::to_string);
    Try { what: what.to_owned(), outside: None, denied: done.is_err(), found }
}

/// Something of `path`: for a folder, something in it that was not given.
fn see(path: &Path, given: &[PathBuf]) -> io::Result<()> {
    if !path.is_dir() {
        return fs::File::open(path).map(drop);
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?.path();
        if !given.iter().any(|one| one.starts_with(&entry) || entry.starts_with(one)) {
            return Ok(());
        }
    }
    Err(io::Error::other("nothing of it is there"))
}

#[cfg(target_os = "linux")]
fn connect_abstract(name: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    UnixStream::connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_name: &str) -> io::Result<()> {
    Err(io::Error::other("there is no such thing here"))
}

fn datagram(address: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.send_to(b"x", address).map(drop)
}

fn process(pid: u32, file: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(file)
}

/// A process of this number can be another one inside; its parents tell it apart.
fn see_process(pid: u32) -> io::Result<()> {
    fs::metadata(process(pid, "stat")).map(drop)
}

fn signal(pid: u32) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::test_kill_process(pid)?)
}

fn write_in(folder: &Path) -> io::Result<()> {
    let file = folder.join(format!("probe-{}", std::process::id()));
    fs::write(&file, "x")?;
    fs::remove_file(file)
}

/// What this process has and may do; what does not depend on anything outside.
fn itself(wanted: &Wanted) -> Vec<Try> {
    let mut tries = Vec::new();
    let names: BTreeSet<String> = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    let more: Vec<&String> = names.difference(&wanted.env).collect();
    tries.push(fact("have more environment than was given", more.is_empty(), format!("{more:?}")));
    #[cfg(target_os = "linux")]
    tries.extend(linux::itself(wanted.network));
    tries
}

fn fact(what: &str, denied: bool, found: String) -> Try {
    Try { what: what.to_owned(), outside: None, denied, found }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fs, path::Path};

    use nix::sched::CloneFlags;
    use rustix::{mount::MountFlags, process::Resource};

    use super::{Try, attempt, fact};

    pub(super) fn itself(network: bool) -> Vec<Try> {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim).unwrap_or("unknown").to_owned()
        };
        let mut tries = Vec::new();
        let mut must = |what: &str, name: &str, good: &dyn Fn(&str) -> bool| {
            let value = field(name);
            tries.push(fact(what, good(&value), format!("{name}: {value}")));
        };
        must("gain rights by running a program", "NoNewPrivs", &|value| value == "1");
        must("make every system call", "Seccomp", &|value| value == "2");
        for set in ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"] {
            must("have rights of root", set, &|value| value.chars().all(|digit| digit == '0') && !value.is_empty());
        }
        must("be root", "Uid", &|value| value.split_whitespace().all(|id| id != "0") && value != "unknown");
        let open: Vec<String> = fs::read_dir("/proc/self/fd")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|fd| fd.parse::<u32>().is_ok_and(|fd| fd > 2) && is_not_own(fd))
            .collect();
        tries.push(fact("have open files of others", open.is_empty(), format!("{open:?}")));
        let pid = std::process::id();
        tries.push(fact("see many processes", visible() <= 3, format!("{} are visible, own number {pid}", visible())));
        let own = rustix::process::getpgrp().as_raw_nonzero().get().cast_unsigned();
        tries.push(fact("belong to a terminal's processes", own == pid, format!("process group {own}")));
        tries.push(attempt("open the terminal", fs::File::open("/dev/tty").map(drop)));
        tries.push(attempt("write to the system", fs::write("/usr/conveyor-probe", "x")));
        tries.push(attempt("write to the root", fs::write("/conveyor-probe", "x")));
        let quiet = MountFlags::NOSUID;
        let mounted = rustix::mount::mount("tmpfs", "/tmp/work", "tmpfs", quiet, None);
        tries.push(attempt("mount", mounted.map_err(Into::into)));
        tries.push(attempt("make namespaces", nix::sched::unshare(CloneFlags::CLONE_NEWUSER).map_err(Into::into)));
        let traced = nix::sys::ptrace::attach(nix::unistd::Pid::from_raw(1));
        tries.push(attempt("trace a process", traced.map_err(Into::into)));
        let socket = |family, kind| rustix::net::socket(family, kind, None).map(drop).map_err(Into::into);
        use rustix::net::{AddressFamily as Family, SocketType as Type};
        tries.push(attempt("make sockets of the file system", socket(Family::UNIX, Type::STREAM)));
        tries.push(attempt("make datagram sockets", socket(Family::INET, Type::DGRAM)));
        if !network {
            tries.push(attempt("make network sockets", socket(Family::INET, Type::STREAM)));
        }
        for (name, resource) in [
            ("processes", Resource::Nproc),
            ("files", Resource::Nofile),
            ("file sizes", Resource::Fsize),
            ("memory", Resource::Data),
            ("processor time", Resource::Cpu),
            ("core files", Resource::Core),
        ] {
            let most = rustix::process::getrlimit(resource).maximum;
            tries.push(fact(&format!("use {name} without end"), most.is_some(), format!("at most {most:?}")));
        }
        tries
    }

    /// The descriptor that lists them is none of others'.
    fn is_not_own(fd: &str) -> bool {
        let at = fs::read_link(Path::new("/proc/self/fd").join(fd));
        at.is_ok_and(|at| !at.starts_with("/proc"))
    }

    fn visible() -> usize {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok())).count()
    }
}
