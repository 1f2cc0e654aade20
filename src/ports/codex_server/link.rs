//! What those need of Codex's background server who look at sessions and deliver to them, so that a world that is
//! played can take its place.

use std::path::Path;

use super::{CodexServer, Delivery, Outcome, QueuedMessage, ServerError, TakenBy, ThreadInfo, Timeouts};
use crate::{model::codex::CodexVersion, ports::codex_cli::CodexCli};

/// A connection to a background server. The calls are those of [`CodexServer`].
pub trait ServerLink: Send {
    /// As [`CodexServer::version`].
    fn version(&self) -> Option<CodexVersion>;

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

    /// As [`CodexServer::compact_thread`].
    fn compact_thread(&mut self, thread: &str) -> Outcome<()>;

    /// As [`CodexServer::queue_add`].
    fn queue_add(&mut self, message: &Delivery<'_>) -> Outcome<QueuedMessage>;

    /// As [`CodexServer::queue_list`].
    ///
    /// # Errors
    /// The same.
    fn queue_list(&mut self, thread: &str) -> Result<Vec<QueuedMessage>, ServerError>;

    /// As [`CodexServer::queue_remove`].
    fn queue_remove(&mut self, thread: &str, entry_id: &str) -> Outcome<bool>;
}

/// Connects to background servers by their Codex home, and starts servers of our own.
pub trait CodexServers: Send + Sync {
    /// As [`CodexServer::connect`].
    ///
    /// # Errors
    /// The same.
    fn connect(&self, codex_home: &Path, limits: Timeouts) -> Result<Box<dyn ServerLink>, ServerError>;

    /// As [`CodexServer::start_own`].
    ///
    /// # Errors
    /// The same.
    fn start_own(&self, cli: &CodexCli, limits: Timeouts) -> Result<Box<dyn ServerLink>, ServerError>;
}

/// The servers of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunningServers;

impl CodexServers for RunningServers {
    fn connect(&self, codex_home: &Path, limits: Timeouts) -> Result<Box<dyn ServerLink>, ServerError> {
        Ok(Box::new(CodexServer::connect(codex_home, limits)?))
    }

    fn start_own(&self, cli: &CodexCli, limits: Timeouts) -> Result<Box<dyn ServerLink>, ServerError> {
        Ok(Box::new(CodexServer::start_own(cli, limits)?))
    }
}

impl ServerLink for CodexServer {
    fn version(&self) -> Option<CodexVersion> {
        Self::version(self)
    }

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

    fn compact_thread(&mut self, thread: &str) -> Outcome<()> {
        Self::compact_thread(self, thread)
    }

    fn queue_add(&mut self, message: &Delivery<'_>) -> Outcome<QueuedMessage> {
        Self::queue_add(self, message)
    }

    fn queue_list(&mut self, thread: &str) -> Result<Vec<QueuedMessage>, ServerError> {
        Self::queue_list(self, thread)
    }

    fn queue_remove(&mut self, thread: &str, entry_id: &str) -> Outcome<bool> {
        Self::queue_remove(self, thread, entry_id)
    }
}
