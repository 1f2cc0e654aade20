//! Starting, showing, resuming and stopping Codex sessions.
//!
//! What starts here ends here: a start that fails half-way closes what it opened. Keys are pressed only through
//! tmux's own guard, and never a key that could say yes to something that was not recognised.

mod open;
mod spawn;
mod start;
mod stop;
mod trust;

pub use open::{Open, OpenManager, OpenWorker, Way, attach_argv};
pub use start::{Create, LaunchArgs, Resume, Start, StartTest, StartWorker, launch_session};
pub use stop::{Ending, Stop};
