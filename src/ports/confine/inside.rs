//! The two stages that confine themselves: one gives up the machine, the next one is the first process of what is left.
//!
//! Both are our own program, started anew, and single-threaded. They talk with the process outside over standard input,
//! a socket; the confined program gets another one.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    mem::MaybeUninit,
    net::{Ipv4Addr, TcpListener},
    os::{
        fd::AsFd as _,
        unix::{
            fs::PermissionsExt as _,
            net::UnixStream,
            process::{CommandExt as _, ExitStatusExt as _},
        },
    },
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use nix::sched::CloneFlags;
use rustix::{
    io::IoSlice,
    net::{AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType, sendmsg},
    process::{DumpableBehavior, Gid, Resource, Rlimit, Signal, Uid, setrlimit},
    thread::{CapabilitySet, CapabilitySets},
};
use serde::{Deserialize, Serialize};

use super::{INIT, Limits, PROBE, Relay, SCRATCH, filter, tree};

/// What the stages are told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    /// The process outside.
    pub(super) parent: u32,
    /// An empty folder of ours, on which the tree is built.
    pub(super) root: PathBuf,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) read: Vec<PathBuf>,
    pub(super) relays: Vec<Relay>,
    pub(super) limits: Limits,
    pub(super) input: String,
    /// What the probe is to try.
    pub(super) probe: String,
}

/// The exit code of a stage that could not do its part. What went wrong was told to the process outside.
const FAILED: u8 = 71;
/// The word that begins the confined program.
pub(super) const GO: u8 = b'g';
/// Asks the process outside to map users, and is answered by the same.
pub(super) const MAP: u8 = b'u';
/// Who a program is that root has confined.
pub(super) const NOBODY: u32 = 65534;
/// The most that a probe may say.
const PROBE_BYTES: u64 = 64 * 1024;
/// Where the second stage finds what it is told.
const SPEC: &str = ".spec";

pub(super) fn stage() -> u8 {
    ended(begin())
}

pub(super) fn init(root: &Path) -> u8 {
    ended(confine(root))
}

fn ended(done: Result<u8, String>) -> u8 {
    done.unwrap_or_else(|error| {
        let line = serde_json::json!({ "error": error }).to_string();
        // Before the word to begin somebody listens there; after it, here.
        let told = control().and_then(|mut control| writeln!(control, "{line}"));
        if told.is_err() {
            drop(writeln!(io::stderr(), "{error}"));
        }
        FAILED
    })
}

/// Standard input, both ways.
fn control() -> io::Result<UnixStream> {
    Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}

fn said(what: &str) -> impl Fn(rustix::io::Errno) -> String {
    let what = what.to_owned();
    move |error| format!("{what}: {error}")
}

fn begin() -> Result<u8, String> {
    let told = |error: io::Error| format!("talk with conveyor: {error}");
    let mut spec = String::new();
    {
        // One line, and nothing beyond it.
        let mut control = control().map_err(told)?;
        let mut length = [0; 8];
        control.read_exact(&mut length).map_err(told)?;
        control.take(u64::from_be_bytes(length)).read_to_string(&mut spec).map_err(told)?;
    }
    let spec: Spec = serde_json::from_str(&spec).map_err(|error| error.to_string())?;
    close_all()?;
    // What is built here is for somebody with fewer rights.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::process::setsid().map_err(said("begin a session"))?;
    fs::write("/proc/self/oom_score_adj", "1000").map_err(|error| format!("offer itself to be ended: {error}"))?;
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    nix::sched::unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWCGROUP,
    )
    .map_err(|error| format!("make namespaces: {error}"))?;
    let write = |file: &str, text: String| fs::write(file, text).map_err(|error| format!("write {file}: {error}"));
    if uid == 0 {
        // More than one's own user can be mapped from outside only.
        let mut control = control().map_err(told)?;
        let mut done = [0];
        control.write_all(&[MAP]).and_then(|()| control.read_exact(&mut done)).map_err(told)?;
    } else {
        write("/proc/self/setgroups", "deny".to_owned())?;
        write("/proc/self/uid_map", format!("{uid} {uid} 1\n"))?;
        write("/proc/self/gid_map", format!("{gid} {gid} 1\n"))?;
    }
    // New rights took the signal away that had been asked for before.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(said("end with conveyor"))?;
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned()) != Some(spec.parent) {
        return Err("conveyor has ended".to_owned());
    }
    listen(&spec.relays)?;
    tree::build(&spec.root, &spec, if uid == 0 { NOBODY } else { uid })?;
    let told = spec.root.join(SPEC);
    fs::write(&told, serde_json::to_string(&spec).map_err(|error| error.to_string())?)
        .and_then(|()| fs::set_permissions(&told, fs::Permissions::from_mode(0o600)))
        .map_err(|error| format!("hand the orders on: {error}"))?;
    keep_rights()?;
    let mut init = Command::new("/proc/self/exe");
    init.arg(INIT).arg(&spec.root).stdin(Stdio::inherit());
    let mut child = init.spawn().map_err(|error| format!("begin the first process: {error}"))?;
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok(code(status))
}

/// Closes what somebody else has left open.
fn close_all() -> Result<(), String> {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")
        .map_err(|error| format!("list open files: {error}"))?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // The one that listed them is closed already.
        let _ = nix::unistd::close(fd);
    }
    Ok(())
}

/// The rights over the new namespaces outlive the start of the next stage.
fn keep_rights() -> Result<(), String> {
    let mut sets = rustix::thread::capabilities(None).map_err(said("look at rights"))?;
    sets.inheritable = sets.permitted;
    rustix::thread::set_capabilities(None, sets).map_err(said("keep rights"))?;
    for right in sets.permitted.iter() {
        // One that the kernel does not know is not needed.
        let _ = rustix::thread::configure_capability_in_ambient_set(right, true);
    }
    Ok(())
}

/// Listens for each relay in the new network, and hands the sockets out.
fn listen(relays: &[Relay]) -> Result<(), String> {
    if relays.is_empty() {
        return Ok(());
    }
    loopback_up().map_err(said("bring the loopback up"))?;
    let control = control().map_err(|error| error.to_string())?;
    for relay in relays {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, relay.port))
            .map_err(|error| format!("listen for {}:{}: {error}", relay.host, relay.port))?;
        let fds = [listener.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        beside.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(&control, &[IoSlice::new(b"L")], &mut beside, SendFlags::empty()).map_err(said("hand a socket out"))?;
    }
    Ok(())
}

/// `ip link set lo up`: one request to the kernel, and its answer.
fn loopback_up() -> rustix::io::Result<()> {
    const SET_LINK: u16 = 19;
    const REQUEST_WITH_ANSWER: u16 = 5;
    const UP: u32 = 1;
    let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let mut request = Vec::with_capacity(32);
    request.extend(32_u32.to_ne_bytes());
    request.extend(SET_LINK.to_ne_bytes());
    request.extend(REQUEST_WITH_ANSWER.to_ne_bytes());
    request.extend([0; 8]);
    // Family and type; index 1 is the loopback of every network; its flags, and which of them are meant.
    request.extend([0; 4]);
    request.extend(1_i32.to_ne_bytes());
    request.extend(UP.to_ne_bytes());
    request.extend(UP.to_ne_bytes());
    rustix::net::send(&socket, &request, SendFlags::empty())?;
    let mut answer = [0_u8; 256];
    let (read, _) = rustix::net::recv(&socket, &mut answer[..], rustix::net::RecvFlags::empty())?;
    match answer.get(16..20).filter(|_| read >= 20).and_then(|error| error.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(error) => Err(rustix::io::Errno::from_raw_os_error(-error)),
        None => Err(rustix::io::Errno::PROTO),
    }
}

fn confine(root: &Path) -> Result<u8, String> {
    let orders = root.join(SPEC);
    let spec = fs::read_to_string(&orders).map_err(|error| format!("read the orders: {error}"))?;
    fs::remove_file(&orders).map_err(|error| format!("remove the orders: {error}"))?;
    let spec: Spec = serde_json::from_str(&spec).map_err(|error| error.to_string())?;
    tree::enter(root)?;
    rustix::process::setsid().map_err(said("begin a session"))?;
    limit(&spec.limits)?;
    give_up_rights()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(said("end with conveyor"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(said("close to others"))?;
    rustix::thread::set_no_new_privs(true).map_err(said("refuse new rights"))?;
    filter::apply(!spec.relays.is_empty()).map_err(|error| format!("filter system calls: {error}"))?;

    let mut probe = confined(Path::new(tree::OWN), &spec)?;
    probe.args([PROBE, &spec.probe]).stdout(Stdio::piped());
    let mut child = probe.spawn().map_err(|error| format!("begin the probe: {error}"))?;
    let mut found = String::new();
    if let Some(out) = child.stdout.take() {
        out.take(PROBE_BYTES).read_to_string(&mut found).map_err(|error| format!("read the probe: {error}"))?;
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("the probe failed: {status}"));
    }
    let mut control = control().map_err(|error| error.to_string())?;
    writeln!(control, "{}", found.trim()).map_err(|error| error.to_string())?;
    let mut word = [0];
    // Whoever says nothing more has ended, or does not want it to begin.
    if control.read(&mut word).map_err(|error| error.to_string())? == 0 || word != [GO] {
        return Ok(FAILED);
    }
    drop(control);
    let nothing = File::open(tree::INPUT).map_err(|error| error.to_string())?;
    rustix::stdio::dup2_stdin(&nothing).map_err(said("let go of conveyor"))?;
    drop(nothing);
    let mut reviewer = confined(&spec.program, &spec)?;
    reviewer.args(&spec.arguments);
    let status = reviewer.status();
    match status {
        Ok(status) => Ok(code(status)),
        Err(error) => {
            // Standard error is the confined program's, and it has none yet.
            drop(writeln!(io::stderr(), "cannot run {}: {error}", spec.program.display()));
            Ok(127)
        }
    }
}

/// A command that runs confined: the probe and the program are begun in the same way.
fn confined(program: &Path, spec: &Spec) -> Result<Command, String> {
    let input = File::open(tree::INPUT).map_err(|error| format!("open the input: {error}"))?;
    let mut command = Command::new(program);
    command.env_clear().envs(spec.env.iter().map(|(name, value)| (name, value)));
    command.current_dir(Path::new(SCRATCH).join("work")).stdin(input).process_group(0);
    Ok(command)
}

fn limit(limits: &Limits) -> Result<(), String> {
    let set = |resource, most: u64| {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).map_err(said("limit resources"))
    };
    set(Resource::Core, 0)?;
    set(Resource::Cpu, limits.cpu_seconds)?;
    set(Resource::Data, limits.data_bytes)?;
    set(Resource::Fsize, limits.file_bytes)?;
    set(Resource::Nofile, limits.open_files)?;
    set(Resource::Nproc, limits.processes)
}

/// From here on this process may do nothing that any other program of a plain user may not.
fn give_up_rights() -> Result<(), String> {
    for right in CapabilitySet::all().iter() {
        match rustix::thread::remove_capability_from_bounding_set(right) {
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(format!("give up rights: {error}")),
        }
    }
    rustix::thread::clear_ambient_capability_set().map_err(said("give up rights"))?;
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        rustix::thread::set_thread_groups(&[]).map_err(said("leave groups"))?;
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(said("become nobody"))?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(said("become nobody"))?;
    }
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(said("give up rights"))
}

fn code(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED)
}
