//! One WebSocket over the socket of Codex's background server, in which every wait ends.

use std::{
    cell::Cell,
    fs, io,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::Duration,
};

use rustix::{
    io::{Errno, FdFlags, fcntl_setfd},
    net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket},
};
use tungstenite::{
    HandshakeError, Message, WebSocket,
    client::{IntoClientRequest, client_with_config},
    protocol::WebSocketConfig,
};

use super::{
    connection::Limit,
    error::{CallFailure, ServerError},
};

/// The pause between two tries while the server's queue of waiting clients is full.
const CONNECT_PAUSE: Duration = Duration::from_millis(20);

/// A socket whose reads and writes fail with `TimedOut` at a set moment.
struct BoundedStream {
    stream: UnixStream,
    limit: Cell<Limit>,
    /// Bytes handed to the system so far.
    written: usize,
}

impl BoundedStream {
    fn remaining(&self) -> io::Result<Duration> {
        let left = self.limit.get().remaining();
        // The system counts in microseconds and takes zero for "for ever".
        if left < Duration::from_micros(1) { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

/// The system reports an elapsed socket timeout as "would block".
fn as_timeout(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

impl Read for BoundedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.remaining()?))?;
        self.stream.read(buffer).map_err(as_timeout)
    }
}

impl Write for BoundedStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.remaining()?))?;
        let taken = self.stream.write(buffer).map_err(as_timeout)?;
        self.written += taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// An open WebSocket.
pub(super) struct SocketConnection {
    socket: WebSocket<BoundedStream>,
}

impl SocketConnection {
    /// Connects to the server's socket and upgrades to WebSocket. No message may be longer than `max_message` bytes.
    pub(super) fn open(path: &Path, max_message: usize, limit: Limit) -> Result<Self, ServerError> {
        const TO: &str = "the connection request";
        let stream = BoundedStream { stream: connect_within(path, limit)?, limit: Cell::new(limit), written: 0 };
        let config = WebSocketConfig::default().max_message_size(Some(max_message)).max_frame_size(Some(max_message));
        let request =
            "ws://localhost/".into_client_request().map_err(|e| ServerError::from_socket(e, TO, limit.whole))?;
        match client_with_config(request, stream, Some(config)) {
            Ok((socket, _response)) => Ok(Self { socket }),
            Err(HandshakeError::Failure(error)) => Err(ServerError::from_socket(error, TO, limit.whole)),
            Err(HandshakeError::Interrupted(_)) => Err(ServerError::Timeout { to: TO, after: limit.whole }),
        }
    }

    /// Sends one text message; `to` names it in errors.
    pub(super) fn send(&mut self, text: String, to: &'static str, limit: Limit) -> Result<(), CallFailure> {
        let stream = self.socket.get_mut();
        stream.limit.set(limit);
        let (before, length) = (stream.written, text.len());
        self.socket.send(Message::text(text)).map_err(|error| {
            let left = self.socket.get_ref().written - before;
            CallFailure::after(left, length, ServerError::from_socket(error, to, limit.whole))
        })
    }

    /// The next text message; `to` names in errors what is waited for.
    pub(super) fn receive(&mut self, to: &'static str, limit: Limit) -> Result<String, ServerError> {
        self.socket.get_mut().limit.set(limit);
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(text.as_str().to_owned()),
                // These cannot prolong the wait: past the limit nothing more is taken from the socket.
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Ok(Message::Close(_)) => return Err(ServerError::Closed),
                Ok(Message::Binary(_)) => return Err(ServerError::unexpected(to, "a binary message")),
                Err(error) => return Err(ServerError::from_socket(error, to, limit.whole)),
            }
        }
    }
}

/// Connects without ever blocking: a hung server with a full queue of clients would hold a plain `connect` for ever.
fn connect_within(path: &Path, limit: Limit) -> Result<UnixStream, ServerError> {
    const DOING: &str = "connecting";
    let io = |source: io::Error| ServerError::Io { doing: DOING, source };
    let address = match SocketAddrUnix::new(path) {
        // Socket addresses are short; behind Codex's link lies a short path, made for just this case.
        Err(Errno::NAMETOOLONG) => match fs::canonicalize(path) {
            Ok(target) => SocketAddrUnix::new(target),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ServerError::NotRunning { socket: path.to_owned() });
            }
            Err(error) => return Err(io(error)),
        },
        other => other,
    }
    .map_err(|errno| io(errno.into()))?;

    loop {
        let fd = socket(AddressFamily::UNIX, SocketType::STREAM, None).map_err(|errno| io(errno.into()))?;
        fcntl_setfd(&fd, FdFlags::CLOEXEC).map_err(|errno| io(errno.into()))?;
        let stream = UnixStream::from(fd);
        stream.set_nonblocking(true).map_err(io)?;
        match connect(&stream, &address) {
            Ok(()) => {
                stream.set_nonblocking(false).map_err(io)?;
                return Ok(stream);
            }
            Err(Errno::NOENT | Errno::CONNREFUSED | Errno::NOTDIR) => {
                return Err(ServerError::NotRunning { socket: path.to_owned() });
            }
            Err(Errno::AGAIN | Errno::INPROGRESS | Errno::INTR) => {
                let left = limit.remaining();
                if left.is_zero() {
                    return Err(ServerError::Timeout { to: "the connection request", after: limit.whole });
                }
                thread::sleep(left.min(CONNECT_PAUSE));
            }
            Err(errno) => return Err(io(errno.into())),
        }
    }
}
