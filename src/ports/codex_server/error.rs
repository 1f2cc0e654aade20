//! What can go wrong between us and Codex's server, told apart by what a caller does next.

use std::{io, path::PathBuf, time::Duration};

use tungstenite::error::{Error as WsError, ProtocolError};

use super::connection::Reach;
use crate::base::text;

/// The longest message of the server that is repeated in an error, in characters.
const MAX_MESSAGE: usize = 300;

/// Why a conversation with Codex's server failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No socket, or nobody listens on it: sessions are not in a server, or it has to be started first.
    #[error("no codex server is listening on {}", socket.display())]
    NotRunning {
        /// Where it was looked for.
        socket: PathBuf,
    },
    /// The server does not know a call we need; a newer Codex does.
    #[error("this codex server does not know the call `{method}`")]
    TooOld {
        /// The call.
        method: &'static str,
    },
    /// Something answered, but not the way Codex's server does.
    #[error("codex server: unexpected reply to {to}: {what}")]
    UnexpectedReply {
        /// What it answered to.
        to: &'static str,
        /// What was wrong with it.
        what: String,
    },
    /// No answer within the limit. The server may still do what it was asked.
    #[error("codex server: no answer to {to} within {} ms", after.as_millis())]
    Timeout {
        /// What was waited for.
        to: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The server went away, or an earlier error made the connection unusable; connect again.
    #[error("codex server: the connection is closed")]
    Closed,
    /// The server refused the call.
    #[error("codex server refused `{method}`: {message} (code {code})")]
    Rpc {
        /// The call.
        method: &'static str,
        /// The JSON-RPC code; Codex 0.169 uses -32600 for nearly everything.
        code: i64,
        /// The server's own words, cleaned and cut.
        message: String,
    },
    /// The operating system refused.
    #[error("codex server: {doing} failed")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// A call that failed, and whether it can have arrived.
#[derive(Debug)]
pub(super) struct CallFailure {
    pub(super) error: ServerError,
    pub(super) reach: Reach,
}

impl CallFailure {
    /// A failure after `left` bytes have left, of a message whose text alone has `length` bytes.
    ///
    /// What goes out around the text (frame, line end, answers to pings) only makes `left` larger. So fewer bytes
    /// than the text has are proof that its end, a closing brace, is still here.
    pub(super) fn after(left: usize, length: usize, error: ServerError) -> Self {
        Self { error, reach: if left < length { Reach::NotSent } else { Reach::Sent } }
    }
}

impl ServerError {
    /// The error for a refusal in the server's words.
    pub(super) fn refusal(method: &'static str, code: i64, message: &str) -> Self {
        // Codex answers an unknown call with -32600 and a list of all calls it knows; JSON-RPC itself has -32601.
        let unknown = format!("Invalid request: unknown variant `{method}`");
        if code == -32601 || message.starts_with(&unknown) {
            return Self::TooOld { method };
        }
        Self::Rpc { method, code, message: quoted(message) }
    }

    /// The error for an answer that is not what Codex sends.
    pub(super) fn unexpected(to: &'static str, what: impl std::fmt::Display) -> Self {
        Self::UnexpectedReply { to, what: quoted(&what.to_string()) }
    }

    /// What a WebSocket failure means to a caller who waited `after` for an answer `to` something.
    pub(super) fn from_socket(error: WsError, to: &'static str, after: Duration) -> Self {
        match error {
            WsError::Io(source) => match source.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Timeout { to, after },
                io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::NotConnected
                | io::ErrorKind::UnexpectedEof => Self::Closed,
                _ => Self::Io { doing: to, source },
            },
            WsError::ConnectionClosed
            | WsError::AlreadyClosed
            | WsError::Protocol(
                ProtocolError::ResetWithoutClosingHandshake
                | ProtocolError::HandshakeIncomplete
                | ProtocolError::SendAfterClosing
                | ProtocolError::ReceivedAfterClosing,
            ) => Self::Closed,
            other => Self::unexpected(to, other),
        }
    }
}

/// Words from outside, fit for one line of an error.
fn quoted(message: &str) -> String {
    text::bounded(&text::one_line(&text::clean(message)), MAX_MESSAGE)
}
