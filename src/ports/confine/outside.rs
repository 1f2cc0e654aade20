//! The side that stays outside: what works here is shown first, then the stages are begun, their probe is judged, and only
//! then the program gets the word to begin.

use std::{
    collections::BTreeSet,
    fs, io,
    net::TcpListener,
    os::unix::net::UnixListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use super::{
    Engine, Job, Limits, Receipt, SCRATCH, Try,
    probe::{Wanted, reach},
    uncovers,
};
use crate::ports::run::{Above, Limits as RunLimits, RunError, finish};

/// What every confined program gets.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How a confined program ended, and what held it.
#[derive(Debug)]
pub struct Ended {
    /// What was enforced.
    pub receipt: Receipt,
    /// What it printed.
    pub result: Result<Printed, Failure>,
}

/// What a confined program printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It was not begun: nothing shows that it would have been held.
    #[error("the reviewer was not begun, because it cannot be shown to be confined: {0}")]
    NotConfined(String),
    /// It ran longer than it may, and was killed.
    #[error("the reviewer did not finish within {0} s and was killed")]
    Timeout(u64),
    /// It printed more than it may, and was killed.
    #[error("the reviewer printed more than {0} bytes and was killed")]
    TooMuch(usize),
    /// What it printed could not be read.
    #[error("what the reviewer printed could not be read: {0}")]
    Output(io::Error),
}

/// Runs a program confined. It and everything that it began have ended when this returns.
#[must_use]
pub fn run(job: &Job) -> Ended {
    let env = environment(job);
    let mut receipt = Receipt {
        denied: 0,
        enforced: false,
        engine: Engine::HERE,
        env: env.iter().map(|(name, _)| name.clone()).collect(),
        limits: Limits::within(job.time).set_by(Engine::HERE),
        network: job.relays.iter().map(|relay| format!("{}:{}", relay.host, relay.port)).collect(),
        probe: Vec::new(),
        read: job.read.iter().map(|path| path.display().to_string()).collect(),
        setup_error: None,
    };
    let result = confined(job, env, &mut receipt);
    if let Err(Failure::NotConfined(error)) = &result {
        receipt.setup_error = Some(error.clone());
    }
    Ended { receipt, result }
}

fn environment(job: &Job) -> Vec<(String, String)> {
    let home = format!("{SCRATCH}/home");
    let fixed = [("HOME", home.as_str()), ("LANG", "C.UTF-8"), ("PATH", PATH), ("TMPDIR", SCRATCH)];
    let mut env: Vec<_> = fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    env.extend(job.env.iter().cloned());
    env.sort();
    env
}

fn not_confined(error: impl ToString) -> Failure {
    Failure::NotConfined(error.to_string())
}

/// What a probe tries, and what has to be there so that it could work.
struct Canaries {
    wanted: Wanted,
    _folder: tempfile::TempDir,
    _tcp: TcpListener,
    _socket: UnixListener,
    #[cfg(target_os = "linux")]
    _abstract: UnixListener,
}

impl Canaries {
    fn new(job: &Job, env: &[(String, String)]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("conveyor-canary-").tempdir()?;
        let canary = folder.path().join("secret");
        fs::write(&canary, "a secret of this user's\n")?;
        let path = folder.path().join("socket");
        let socket = UnixListener::bind(&path)?;
        let tcp = TcpListener::bind("127.0.0.1:0")?;
        let abstract_name = folder.path().display().to_string();
        #[cfg(target_os = "linux")]
        let named = {
            use std::os::linux::net::SocketAddrExt as _;
            UnixListener::bind_addr(&std::os::unix::net::SocketAddr::from_abstract_name(&abstract_name)?)?
        };
        let mut sockets = vec![path];
        sockets.extend(job.sockets.iter().cloned());
        let mut given = job.read.clone();
        given.push(job.command.0.clone());
        given.extend(["home", "work"].map(|name| Path::new(SCRATCH).join(name)));
        let wanted = Wanted {
            canary,
            hidden: job.hidden.clone(),
            given,
            sockets,
            abstract_name,
            tcp: Some(tcp.local_addr()?),
            pid: std::process::id(),
            env: env.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>(),
            network: !job.relays.is_empty(),
        };
        Ok(Self {
            wanted,
            _folder: folder,
            _tcp: tcp,
            _socket: socket,
            #[cfg(target_os = "linux")]
            _abstract: named,
        })
    }

    /// What of it works here. What is ours must; else a failure inside would prove nothing.
    fn outside(&self) -> Result<Vec<Try>, Failure> {
        let mut wanted = self.wanted.clone();
        // What is given away is not hidden here, of course.
        wanted.given.clear();
        let tries = reach(&wanted);
        let theirs = |one: &Try| {
            wanted
                .hidden
                .iter()
                .chain(wanted.sockets.iter().skip(1))
                .any(|path| one.what.ends_with(&format!(" {}", path.display())))
        };
        match tries.iter().find(|one| one.denied && !theirs(one) && cfg!(target_os = "linux")) {
            Some(failed) => Err(not_confined(format!(
                "it cannot be shown here: {} fails outside, too ({})",
                failed.what, failed.found
            ))),
            None => Ok(tries),
        }
    }
}

/// What a probe found, beside what works outside. Every try has to have failed.
fn judge(outside: &[Try], said: &str, receipt: &mut Receipt) -> Result<(), Failure> {
    let mut tries: Vec<Try> =
        serde_json::from_str(said).map_err(|error| not_confined(format!("the probe cannot be read: {error}")))?;
    for one in &mut tries {
        one.outside = outside.iter().find(|other| other.what == one.what).map(|other| !other.denied);
    }
    let untried = outside.iter().find(|one| !tries.iter().any(|other| other.what == one.what));
    let failed: Vec<String> =
        tries.iter().filter(|one| !one.denied).map(|one| format!("{} ({})", one.what, one.found)).collect();
    receipt.denied = tries.iter().filter(|one| one.denied && one.outside == Some(true)).count();
    receipt.probe = tries;
    if let Some(one) = untried {
        return Err(not_confined(format!("the probe did not try to {}", one.what)));
    }
    if !failed.is_empty() {
        return Err(not_confined(format!("inside it can {}", failed.join(", "))));
    }
    receipt.enforced = true;
    Ok(())
}

fn check(job: &Job) -> Result<(), Failure> {
    if !job.command.0.is_absolute() {
        return Err(not_confined("its program has no absolute path"));
    }
    match job.read.iter().chain([&job.command.0]).find(|path| uncovers(path, &job.hidden)) {
        Some(path) => Err(not_confined(format!("{} holds what must stay hidden", path.display()))),
        None => Ok(()),
    }
}

/// Collects what it prints, and ends it when it goes on for too long.
fn collect(child: &mut Child, job: &Job, deadline: Instant) -> Result<Printed, Failure> {
    let limits = RunLimits { time: job.time, bytes: job.bytes, above: Above::Cut };
    match finish(child, deadline, limits) {
        Ok(finished) if finished.cut => Err(Failure::TooMuch(job.bytes)),
        Ok(finished) => Ok(Printed { code: finished.status.code(), stdout: finished.stdout, stderr: finished.stderr }),
        Err(RunError::Timeout) => Err(Failure::Timeout(job.time.as_secs())),
        Err(RunError::Output(error) | RunError::Start(error)) => Err(Failure::Output(error)),
    }
}

/// Ends a stage; with it everything inside ends.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[cfg(target_os = "linux")]
fn confined(job: &Job, env: Vec<(String, String)>, receipt: &mut Receipt) -> Result<Printed, Failure> {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        os::{fd::OwnedFd, unix::net::UnixStream},
        time::Duration,
    };

    use super::{STAGE, inside, relay::Carrier};

    /// How long the set-up may take.
    const SET_UP: Duration = Duration::from_secs(20);

    check(job)?;
    let canaries = Canaries::new(job, &env).map_err(not_confined)?;
    let outside = canaries.outside()?;
    let root = tempfile::Builder::new().prefix("conveyor-reviewer-").tempdir().map_err(not_confined)?;
    let spec = inside::Spec {
        parent: std::process::id(),
        root: root.path().to_owned(),
        program: job.command.0.clone(),
        arguments: job.command.1.clone(),
        env,
        read: job.read.clone(),
        relays: job.relays.clone(),
        limits: Limits::within(job.time),
        input: job.input.clone(),
        probe: serde_json::to_string(&canaries.wanted).map_err(not_confined)?,
    };
    let spec = serde_json::to_vec(&spec).map_err(not_confined)?;
    let (ours, theirs) = UnixStream::pair().map_err(not_confined)?;
    ours.set_read_timeout(Some(SET_UP)).and_then(|()| ours.set_write_timeout(Some(SET_UP))).map_err(not_confined)?;
    let deadline = Instant::now() + job.time;
    let child = Command::new("/proc/self/exe")
        .arg(STAGE)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(not_confined)?;
    let mut child = Ending(child);
    let length = u64::try_from(spec.len()).unwrap_or(u64::MAX).to_be_bytes();
    (&ours).write_all(&length).and_then(|()| (&ours).write_all(&spec)).map_err(not_confined)?;

    let told = |begun: String| {
        let mut line = begun;
        // What it says instead is why it could not.
        drop(BufReader::new(&ours).read_line(&mut line));
        Err(not_confined(reason(&line)))
    };
    if rustix::process::geteuid().is_root() {
        let mut word = [0];
        (&ours).read_exact(&mut word).map_err(not_confined)?;
        if word != [inside::MAP] {
            return told(String::from_utf8_lossy(&word).into_owned());
        }
        for map in ["uid_map", "gid_map"] {
            let file = format!("/proc/{}/{map}", child.0.id());
            let users = format!("0 0 1\n{0} {0} 1\n", inside::NOBODY);
            fs::write(&file, users).map_err(|error| not_confined(format!("write {file}: {error}")))?;
        }
        (&ours).write_all(&[inside::MAP]).map_err(not_confined)?;
    }
    let mut carriers = Vec::new();
    for relay in &job.relays {
        match listener(&ours).map_err(not_confined)? {
            Ok(listener) => carriers.push(Carrier::start(listener, relay.clone())),
            Err(begun) => return told(begun),
        }
    }
    let mut said = String::new();
    match BufReader::new(&ours).read_line(&mut said) {
        Ok(0) => return Err(not_confined("its stages ended before they said how it is held")),
        Ok(_) => {}
        Err(error) => return Err(not_confined(format!("its stages did not say how it is held: {error}"))),
    }
    if said.starts_with('{') {
        return Err(not_confined(reason(&said)));
    }
    judge(&outside, &said, receipt)?;
    (&ours).write_all(&[inside::GO]).map_err(not_confined)?;
    collect(&mut child.0, job, deadline)
}

/// What a stage says went wrong.
#[cfg(target_os = "linux")]
fn reason(line: &str) -> String {
    let told: Option<String> =
        serde_json::from_str::<serde_json::Value>(line).ok().and_then(|told| Some(told["error"].as_str()?.to_owned()));
    told.unwrap_or_else(|| "its stages ended without a reason".to_owned())
}

/// A listening socket that was made inside, or what was said instead.
#[cfg(target_os = "linux")]
fn listener(control: &std::os::unix::net::UnixStream) -> io::Result<Result<TcpListener, String>> {
    use std::{io::IoSliceMut, mem::MaybeUninit};

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut word = [0];
    let got = recvmsg(control, &mut [IoSliceMut::new(&mut word)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message
            && let Some(fd) = fds.next()
        {
            return Ok(Ok(TcpListener::from(fd)));
        }
    }
    Ok(Err(String::from_utf8_lossy(&word[..got.bytes.min(1)]).into_owned()))
}

/// The probe and the program are held by the same profile, one after the other.
#[cfg(target_os = "macos")]
fn confined(job: &Job, env: Vec<(String, String)>, receipt: &mut Receipt) -> Result<Printed, Failure> {
    use std::io::{Seek as _, Write as _};

    use std::path::PathBuf;

    use super::{PROBE, seatbelt};

    check(job)?;
    let scratch = tempfile::Builder::new().prefix("conveyor-reviewer-").tempdir().map_err(not_confined)?;
    let place = scratch.path().canonicalize().map_err(not_confined)?;
    for name in ["home", "work"] {
        fs::create_dir(place.join(name)).map_err(not_confined)?;
    }
    let env: Vec<_> = env.into_iter().map(|(name, value)| (name, seatbelt::in_scratch(&place, &value))).collect();
    let canaries = Canaries::new(job, &env).map_err(not_confined)?;
    let outside = canaries.outside()?;
    let own = std::env::current_exe().and_then(|own| own.canonicalize()).map_err(not_confined)?;
    let mut read: Vec<PathBuf> = Vec::new();
    for path in job.read.iter().chain([&job.command.0, &own]) {
        read.push(path.canonicalize().map_err(not_confined)?);
    }
    // A name cannot be mapped there: what is reached is this machine's own port.
    if let Some(relay) = job.relays.iter().find(|relay| !matches!(relay.host.as_str(), "localhost" | "127.0.0.1")) {
        return Err(not_confined(format!("only a server on this machine can be reached here, not {}", relay.host)));
    }
    let ports: Vec<u16> = job.relays.iter().map(|relay| relay.port).collect();
    let profile = seatbelt::profile(&read, &place, &ports);
    let deadline = Instant::now() + job.time;
    let start = |program: &Path, arguments: &[String], input: &str| -> io::Result<Ending> {
        let mut file = tempfile::tempfile()?;
        file.write_all(input.as_bytes())?;
        file.rewind()?;
        let mut command = Command::new(seatbelt::TOOL);
        command.args(["-p", &profile]).arg(program).args(arguments).env_clear();
        command.envs(env.iter().map(|(name, value)| (name, value))).current_dir(place.join("work"));
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map(Ending)
    };
    let wanted = serde_json::to_string(&canaries.wanted).map_err(not_confined)?;
    let mut probe = start(&own, &[PROBE.to_owned(), wanted], "").map_err(not_confined)?;
    let said = collect(&mut probe.0, job, deadline)?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    judge(&outside, text.trim(), receipt)?;
    let mut child = start(&job.command.0, &job.command.1, &job.input).map_err(not_confined)?;
    collect(&mut child.0, job, deadline)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn confined(job: &Job, _env: Vec<(String, String)>, _receipt: &mut Receipt) -> Result<Printed, Failure> {
    check(job)?;
    Err(not_confined("there is no way to confine a program on this system"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn only_what_was_seen_to_work_outside_counts_as_denied() {
        let one = |what: &str, denied| Try { what: what.to_owned(), outside: None, denied, found: String::new() };
        let outside = [one("read a", false), one("read b", true)];
        let inside = [one("read a", true), one("read b", true), one("hold a capability", true)];
        let mut receipt = Receipt {
            denied: 0,
            enforced: false,
            engine: Engine::HERE,
            env: Vec::new(),
            limits: BTreeMap::new(),
            network: Vec::new(),
            probe: Vec::new(),
            read: Vec::new(),
            setup_error: None,
        };
        judge(&outside, &serde_json::to_string(&inside).unwrap(), &mut receipt).unwrap();
        assert_eq!((receipt.enforced, receipt.denied, receipt.probe.len()), (true, 1, 3));
    }
}
