//! Runs one short-lived program with an end: what it prints is collected, and it is killed at the limit.

use std::{
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

/// The most that is handed to a program as its input: a fresh pipe holds it whole.
const MAX_INPUT: usize = 4096;

/// Pause between looks at a program that has closed its output but not ended yet.
const EXIT_POLL: Duration = Duration::from_millis(1);

/// How long a program may take, and how much it may print.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// It is killed after this time.
    pub(super) time: Duration,
    /// Each of its two streams may hold so many bytes.
    pub(super) bytes: usize,
    /// What becomes of a program that prints more.
    pub(super) above: Above,
}

/// What becomes of a program that prints too much. It is killed in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Above {
    /// It has failed.
    Fail,
    /// What it has printed so far is the result.
    Cut,
}

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// It would have printed more, and was killed.
    pub(super) cut: bool,
}

/// Why there is no result.
#[derive(Debug)]
pub(super) enum RunError {
    /// It could not be started.
    Start(io::Error),
    /// It ran longer than the limit and was killed.
    Timeout,
    /// It printed too much and was killed, or its output could not be read.
    Output(io::Error),
}

/// Runs `command` with `input` (at most 4096 bytes) within `limits`. It has ended and is reaped when this returns.
pub(super) fn run(command: &mut Command, input: &[u8], limits: Limits) -> Result<Finished, RunError> {
    if input.len() > MAX_INPUT {
        return Err(RunError::Start(io::Error::other("too much input")));
    }
    let deadline = Instant::now() + limits.time;
    let mut child = command
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C at our terminal is for us; it must not cut off a command half way.
        .process_group(0)
        .spawn()
        .map_err(RunError::Start)?;
    if let Some(mut stdin) = child.stdin.take() {
        // This cannot block. A program that has ended already says by its status what came of it.
        drop(stdin.write_all(input));
    }
    let result = finish(&mut child, deadline, limits);
    if result.is_err() {
        // Killing fails only when it has ended by itself meanwhile, and then the wait returns at once.
        drop(child.kill());
        drop(child.wait());
    }
    result
}

pub(super) fn finish(child: &mut Child, deadline: Instant, limits: Limits) -> Result<Finished, RunError> {
    let mut out = child.stdout.take();
    let mut err = child.stderr.take();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while out.is_some() || err.is_some() {
        let (out_ready, err_ready) = wait_ready(out.as_ref(), err.as_ref(), deadline)?;
        if out_ready {
            read_some(&mut out, &mut stdout)?;
        }
        if err_ready {
            read_some(&mut err, &mut stderr)?;
        }
        let much = [&mut stdout, &mut stderr].into_iter().find(|text| text.len() > limits.bytes);
        match (much, limits.above) {
            (None, _) => {}
            (Some(_), Above::Fail) => return Err(RunError::Output(io::Error::other("too much output"))),
            (Some(text), Above::Cut) => {
                text.truncate(limits.bytes);
                drop(child.kill());
                let status = child.wait().map_err(RunError::Output)?;
                return Ok(Finished { status, stdout, stderr, cut: true });
            }
        }
    }
    loop {
        if let Some(status) = child.try_wait().map_err(RunError::Output)? {
            return Ok(Finished { status, stdout, stderr, cut: false });
        }
        if Instant::now() >= deadline {
            return Err(RunError::Timeout);
        }
        thread::sleep(EXIT_POLL);
    }
}

/// Waits until one of the open pipes can be read without blocking.
fn wait_ready(
    out: Option<&impl std::os::fd::AsFd>,
    err: Option<&impl std::os::fd::AsFd>,
    deadline: Instant,
) -> Result<(bool, bool), RunError> {
    let mut fds = Vec::with_capacity(2);
    fds.extend(out.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    fds.extend(err.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(&mut fds, Timespec::try_from(left).ok().as_ref()) {
            Ok(0) => return Err(RunError::Timeout),
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(RunError::Output(error.into())),
        }
    }
    let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
    let out_ready = out.is_some() && ready.next().unwrap_or(false);
    Ok((out_ready, err.is_some() && ready.next().unwrap_or(false)))
}

/// Takes what a pipe holds now; closes it at its end.
fn read_some(pipe: &mut Option<impl Read>, into: &mut Vec<u8>) -> Result<(), RunError> {
    let Some(reader) = pipe else { return Ok(()) };
    let mut buffer = [0; 16 * 1024];
    match reader.read(&mut buffer) {
        Ok(0) => *pipe = None,
        Ok(read) => into.extend_from_slice(&buffer[..read]),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(error) => return Err(RunError::Output(error)),
    }
    Ok(())
}
