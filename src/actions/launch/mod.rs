//! Starting, showing, resuming and stopping Codex sessions.
//!
//! What starts here ends here: a start that fails half-way closes what it opened. Keys are pressed only through
//! tmux's own guard, and never a key that could say yes to something that was not recognised.

mod args;
mod by_server;
mod instructed;
mod open;
mod pair;
mod plain;
mod prompt;
mod ready;
mod registering;
mod resume;
mod spawn;
mod start;
mod started;
mod stop;
mod terms;
mod trust;
mod writable;

pub use args::LaunchArgs;
pub use instructed::{Create, StartTest};
pub use open::{Open, OpenManager, OpenWorker, Visit, Way, beside, visit};
pub use pair::Pair;
pub use plain::Start;
pub use resume::Resume;
pub use start::{StartManager, StartWorker, launch_session};
pub(super) use stop::stop as stop_session;
pub use stop::{Ending, Stop};
pub use terms::ManagerTermArgs;

use crate::base::{Error, Kind};

/// What a start says that a signal has ended.
fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "interrupted by a signal; what was started has been closed again")
}
