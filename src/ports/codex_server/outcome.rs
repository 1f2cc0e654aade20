//! What became of a call that changes something, told apart by the one question a deliverer has: may it try another
//! way, or could that deliver twice?

use super::{
    connection::Reach,
    error::{CallFailure, ServerError},
    thread::ThreadStatus,
};

/// JSON-RPC codes that Codex gives before it has begun to do what it was asked: a bad request, an unknown method, bad
/// parameters, too many requests waiting. An internal error (-32603) can come after the deed.
const BEFORE_ANY_EFFECT: &[i64] = &[-32600, -32601, -32602, -32001];

/// What became of a call that changes something.
#[derive(Debug)]
#[must_use]
pub enum Outcome<T> {
    /// The server has taken it on. That is not yet the receipt: a message has arrived when the rollout says so.
    Accepted(T),
    /// Proven to have had no effect, and to have none later.
    Refused(Refusal),
    /// It was sent, and no usable answer came: it may have had its effect, and may still have it.
    Unknown(ServerError),
}

/// Why a call is proven to have had no effect.
///
/// That it is proven rests on bytes and codes alone. Which of the reasons it is rests on the server's words; those of
/// an unknown Codex become [`Refusal::Said`].
#[derive(Debug)]
pub enum Refusal {
    /// It never left us as a whole: nobody listens, the connection was closed, the server does not read.
    NotSent(ServerError),
    /// The server does not know the call; a newer Codex does.
    TooOld {
        /// The call.
        method: &'static str,
    },
    /// The server has not loaded the thread, or there is none.
    NoThread,
    /// No turn is open.
    NoOpenTurn,
    /// Another turn is open than the expected one.
    OtherTurn {
        /// The open one, when the server names it.
        open: Option<String>,
    },
    /// The thread is not idle, and the call would cut off what it does.
    Busy {
        /// What it does.
        status: ThreadStatus,
    },
    /// The open turn takes no messages: it compacts or reviews.
    NotSteerable,
    /// The question is not open on this connection: it was answered, withdrawn, or asked by another server.
    NotOpen,
    /// Another reason, in the server's words, cleaned and cut.
    Said {
        /// The JSON-RPC code.
        code: i64,
        /// The words.
        message: String,
    },
}

impl<T> Outcome<T> {
    /// The outcome of a call.
    pub(super) fn of(called: Result<T, CallFailure>) -> Self {
        match called {
            Ok(taken) => Self::Accepted(taken),
            Err(CallFailure { error, reach: Reach::NotSent }) => Self::Refused(Refusal::NotSent(error)),
            Err(CallFailure { error, reach: Reach::Sent }) => match error {
                ServerError::TooOld { method } => Self::Refused(Refusal::TooOld { method }),
                ServerError::Rpc { code, message, .. } if BEFORE_ANY_EFFECT.contains(&code) => {
                    Self::Refused(Refusal::said(code, message))
                }
                other => Self::Unknown(other),
            },
        }
    }

    /// What was accepted, with something made of it.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Accepted(taken) => Outcome::Accepted(make(taken)),
            Self::Refused(refusal) => Outcome::Refused(refusal),
            Self::Unknown(error) => Outcome::Unknown(error),
        }
    }
}

impl Refusal {
    /// The reason behind the server's words.
    fn said(code: i64, message: String) -> Self {
        // `thread not found: ID`, `no active turn to steer`, `no active turn to interrupt`,
        // `expected active turn id A but found B` (with backticks when steering), `cannot steer a compact turn`.
        if message.starts_with("thread not found") || message.starts_with("thread not loaded") {
            Self::NoThread
        } else if message.starts_with("no active turn") {
            Self::NoOpenTurn
        } else if message.starts_with("expected active turn id") {
            let open = message.rsplit_once(" but found ").map(|(_, open)| open.trim_matches('`').to_owned());
            Self::OtherTurn { open: open.filter(|open| !open.is_empty()) }
        } else if message.starts_with("cannot steer a") {
            Self::NotSteerable
        } else {
            Self::Said { code, message }
        }
    }
}
