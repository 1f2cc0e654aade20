//! What those need of Codex's background server who look at sessions and deliver to them, so that a world that is
//! played can take its place.

use std::path::Path;

use super::{CodexServer, Delivery, Outcome, ServerError, TakenBy, ThreadInfo, Timeouts};

/// A connection to a background server. The calls are those of [`CodexServer`].
pub trait ServerLink: Send {
    /// As [`CodexServer::read_thread`].
    ///
    /// # Errors
    /// The same.
    fn read_thread(&mut self, id: &str) -> Result<ThreadInfo, ServerError>;

    /// As [`CodexServer::open_turn`].
    ///
    /// # Errors
    /// The same.
    fn open_turn(&mut self, thread: &str) -> Result<Option<String>, ServerError>;

    /// As [`CodexServer::start_turn`].
    fn start_turn(&mut self, message: &Delivery<'_>) -> Outcome<TakenBy>;

    /// As [`CodexServer::steer_turn`].
    fn steer_turn(&mut self, message: &Delivery<'_>, expected_turn: &str) -> Outcome<TakenBy>;

    /// As [`CodexServer::find_message`].
    ///
    /// # Errors
    /// The same.
    fn find_message(&mut self, thread: &str, client_id: &str, newest: usize) -> Result<Option<TakenBy>, ServerError>;
}

/// Connects to background servers by their Codex home.
pub trait CodexServers: Send + Sync {
    /// As [`CodexServer::connect`].
    ///
    /// # Errors
    /// The same.
    fn connect(&self, codex_home: &Path, limits: Timeouts) -> Result<Box<dyn ServerLink>, ServerError>;
}

/// The background servers of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunningServers;

impl CodexServers for RunningServers {
    fn connect(&self, codex_home: &Path, limits: Timeouts) -> Result<Box<dyn ServerLink>, ServerError> {
        Ok(Box::new(CodexServer::connect(codex_home, limits)?))
    }
}

impl ServerLink for CodexServer {
    fn read_thread(&mut self, id: &str) -> Result<ThreadInfo, ServerError> {
        Self::read_thread(self, id)
    }

    fn open_turn(&mut self, thread: &str) -> Result<Option<String>, ServerError> {
        Self::open_turn(self, thread)
    }

    fn start_turn(&mut self, message: &Delivery<'_>) -> Outcome<TakenBy> {
        Self::start_turn(self, message)
    }

    fn steer_turn(&mut self, message: &Delivery<'_>, expected_turn: &str) -> Outcome<TakenBy> {
        Self::steer_turn(self, message, expected_turn)
    }

    fn find_message(&mut self, thread: &str, client_id: &str, newest: usize) -> Result<Option<TakenBy>, ServerError> {
        Self::find_message(self, thread, client_id, newest)
    }
}
