//! A stand-in for Codex at its prompt: `conveyor sim codex`.
//!
//! It shows the screens of the real program, reacts to keys and pastes as it does, and writes the same rollout files.
//! The "model" is a script. Nothing is ever executed, sent or asked over a network. A leaf of the crate: it knows
//! nothing of sessions, ledgers or tmux.

mod args;
mod composer;
mod dialect;
mod dialogs;
mod headless;
mod lines;
mod replay;
mod rollout;
mod scenario;
mod screen;
mod session;
mod terminal;
mod transcript;
mod wrap;
mod zone;

pub use args::{SimArgs, run};
pub use composer::{Composer, Dialog, Effect, Input, Popup};
pub use dialect::{BusyEnter, Dialect, ScreenStyle, UnknownDialect};
pub use headless::{Ending, play};
pub use replay::replay;
pub use rollout::{Call, Command, Damage, Identity, Patch, RolloutError, RolloutWriter, Tokens};
pub use scenario::{Script, Step};
pub use screen::{Activity, Frame, Row, View, frame};
pub use session::{Asking, Decision, Entry, Faults, Happening, Session, Setup};
