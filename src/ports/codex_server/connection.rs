//! The way to a server, whichever it is: text in and out against a deadline, and an exact word on what may have left.
//!
//! It knows nothing of calls or threads. A deadline covers the whole exchange, so that a server which trickles bytes
//! cannot hold us longer than one that says nothing.

use std::time::{Duration, Instant};

use super::{
    error::{CallFailure, ServerError},
    pipes::PipeConnection,
    socket::SocketConnection,
};

/// When a wait ends, and how long it was meant to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// The whole wait, for error messages.
    pub(super) whole: Duration,
    end: Instant,
}

impl Limit {
    /// A wait of `whole` that begins now.
    pub(super) fn starting_now(whole: Duration) -> Self {
        let now = Instant::now();
        // An absurd limit means "long", not "panic".
        let end = now.checked_add(whole).unwrap_or(now + Duration::from_secs(3600));
        Self { whole, end }
    }

    pub(super) fn remaining(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}

/// How far a message got that could not be sent, or was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// At least its last byte never left us, so nobody can have understood it.
    NotSent,
    /// All of it may have left us.
    Sent,
}

/// What carries the messages.
pub(super) enum Transport {
    /// The background server's socket.
    Socket(Box<SocketConnection>),
    /// A server of our own behind pipes.
    Pipes(PipeConnection),
}

/// An open connection. After any error but a time-out while reading it is closed for good.
pub(super) struct Connection {
    transport: Transport,
    usable: bool,
}

impl Connection {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, usable: true }
    }

    /// Sends one message; `to` names it in errors.
    pub(super) fn send(&mut self, text: String, to: &'static str, limit: Limit) -> Result<(), CallFailure> {
        if !self.usable {
            return Err(CallFailure { error: ServerError::Closed, reach: Reach::NotSent });
        }
        let sent = match &mut self.transport {
            Transport::Socket(socket) => socket.send(text, to, limit),
            Transport::Pipes(pipes) => pipes.send(text, to, limit),
        };
        // Part of a message may be out: nothing sensible can follow it, and its rest must never do.
        self.usable = sent.is_ok();
        sent
    }

    /// The next message; `to` names in errors what is waited for. After [`ServerError::Timeout`] the connection can
    /// be read again, and nothing that had arrived is lost.
    pub(super) fn receive(&mut self, to: &'static str, limit: Limit) -> Result<String, ServerError> {
        if !self.usable {
            return Err(ServerError::Closed);
        }
        let received = match &mut self.transport {
            Transport::Socket(socket) => socket.receive(to, limit),
            Transport::Pipes(pipes) => pipes.receive(to, limit),
        };
        self.usable = matches!(received, Ok(_) | Err(ServerError::Timeout { .. }));
        received
    }

    /// `error`, which came instead of the first answer, with what a server of our own has said about it.
    pub(super) fn explained(&mut self, error: ServerError) -> ServerError {
        match (&mut self.transport, error) {
            (Transport::Pipes(pipes), ServerError::Closed) => {
                ServerError::unexpected("its start", format_args!("it ended: {}", pipes.complaint()))
            }
            (_, error) => error,
        }
    }

    /// Gives the connection up, after a message that shows the other side is not what we think it is.
    pub(super) fn give_up(&mut self) {
        self.usable = false;
    }
}
