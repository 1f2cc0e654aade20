//! A server of our own: `codex app-server` as a child that speaks JSON lines on its pipes.
//!
//! It holds no session; it is there for the calls that reach sessions of others, above all the queue. The child and
//! whatever it has started end with the connection, on every path.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};

use super::{
    connection::Limit,
    error::{CallFailure, ServerError},
};

/// How long the child may take to end by itself once its input is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// The pause between two looks whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The most that is read from the child's complaints, in bytes.
const MAX_COMPLAINT: u64 = 16 * 1024;

/// The pipes of a running child. Dropping it ends the child, within about a second.
pub(super) struct PipeConnection {
    child: Child,
    /// None once it has been closed.
    input: Option<ChildStdin>,
    output: ChildStdout,
    complaints: File,
    /// What has been read and not handed out.
    buffer: Vec<u8>,
    /// Bytes at the beginning of `buffer` that hold no line end.
    searched: usize,
    max_message: usize,
}

impl PipeConnection {
    /// Starts `command`. No message may be longer than `max_message` bytes.
    pub(super) fn start(mut command: Command, max_message: usize) -> Result<Self, ServerError> {
        let io = |source: io::Error| ServerError::Io { doing: "starting `codex app-server`", source };
        // A file instead of a pipe: it never fills up.
        let complaints = tempfile::tempfile().map_err(io)?;
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints.try_clone().map_err(io)?)
            // The npm package puts a node process in front of the real one; together they make one group.
            .process_group(0);
        let mut child = command.spawn().map_err(io)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked for");
        };
        let connection =
            Self { child, input: Some(input), output, complaints, buffer: Vec::new(), searched: 0, max_message };
        // From here on dropping the connection ends the child.
        for end in [connection.input.as_ref().map(AsFd::as_fd), Some(connection.output.as_fd())].into_iter().flatten() {
            let flags = fcntl_getfl(end).map_err(|errno| io(errno.into()))?;
            fcntl_setfl(end, flags | OFlags::NONBLOCK).map_err(|errno| io(errno.into()))?;
        }
        Ok(connection)
    }

    /// Sends one message as a line; `to` names it in errors.
    pub(super) fn send(&mut self, text: String, to: &'static str, limit: Limit) -> Result<(), CallFailure> {
        let length = text.len();
        let mut line = text.into_bytes();
        line.push(b'\n');
        let mut left = 0;
        while left < line.len() {
            let Some(input) = &mut self.input else {
                return Err(CallFailure::after(left, length, ServerError::Closed));
            };
            match input.write(&line[left..]) {
                Ok(taken) => left += taken,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Err(error) = wait_for(input, PollFlags::OUT, to, limit) {
                        return Err(CallFailure::after(left, length, error));
                    }
                }
                Err(error) => return Err(CallFailure::after(left, length, broken(error, to))),
            }
        }
        Ok(())
    }

    /// The next line that is not blank; `to` names in errors what is waited for.
    pub(super) fn receive(&mut self, to: &'static str, limit: Limit) -> Result<String, ServerError> {
        let mut piece = [0; 64 * 1024];
        loop {
            while let Some(line) = self.take_line() {
                let line = String::from_utf8(line).map_err(|error| ServerError::unexpected(to, error))?;
                if !line.trim().is_empty() {
                    return Ok(line);
                }
                // A child that prints nothing but line ends must not hold us.
                if limit.remaining().is_zero() {
                    return Err(ServerError::Timeout { to, after: limit.whole });
                }
            }
            if self.buffer.len() > self.max_message {
                return Err(ServerError::unexpected(to, "a line that is too long"));
            }
            wait_for(&self.output, PollFlags::IN, to, limit)?;
            match self.output.read(&mut piece) {
                Ok(0) => return Err(ServerError::Closed),
                Ok(length) => self.buffer.extend_from_slice(&piece[..length]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(broken(error, to)),
            }
        }
    }

    /// What the child has said on stderr, for when it ended instead of answering.
    pub(super) fn complaint(&mut self) -> String {
        let mut text = Vec::new();
        let _ = self.complaints.rewind();
        let _ = (&self.complaints).take(MAX_COMPLAINT).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let Some(end) = memchr::memchr(b'\n', &self.buffer[self.searched..]) else {
            self.searched = self.buffer.len();
            return None;
        };
        let rest = self.buffer.split_off(self.searched + end + 1);
        self.searched = 0;
        Some(std::mem::replace(&mut self.buffer, rest))
    }
}

impl Drop for PipeConnection {
    fn drop(&mut self) {
        // The end of its input is the child's cue to leave.
        self.input = None;
        let limit = Limit::starting_now(FAREWELL);
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Without taking its leave: as long as it is not reaped, its number is nobody else's.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), options), Ok(None)) && !limit.remaining().is_zero() {
                thread::sleep(LOOK_EVERY);
            }
            // An error means that nobody is left.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `end` is ready for what `event` says, or has been closed by the other side.
fn wait_for(end: &impl AsFd, event: PollFlags, to: &'static str, limit: Limit) -> Result<(), ServerError> {
    loop {
        let left = limit.remaining();
        if left.is_zero() {
            return Err(ServerError::Timeout { to, after: limit.whole });
        }
        let left = Timespec::try_from(left).map_err(|error| ServerError::unexpected(to, error))?;
        match poll(&mut [PollFd::new(end, event)], Some(&left)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(broken(errno.into(), to)),
        }
    }
}

/// The error for a pipe that cannot be used.
fn broken(error: io::Error, to: &'static str) -> ServerError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
            ServerError::Closed
        }
        _ => ServerError::Io { doing: to, source: error },
    }
}
