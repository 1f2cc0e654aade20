//! A stand-in for Codex at its prompt: `conveyor sim codex`.
//!
//! It shows the screens of the real program, reacts to keys and pastes as it does, and writes the same rollout files.
//! The "model" is a script. Nothing is ever executed, sent or asked over a network. A leaf of the crate: it knows
//! nothing of sessions, ledgers or tmux.

mod args;
mod composer;
mod dialect;
mod dialogs;
mod facts;
mod headless;
mod lines;
mod replay;
mod rollout;
mod scenario;
mod screen;
mod session;
mod terminal;
mod transcript;
mod turn;
mod wrap;
mod zone;

pub use args::{SimArgs, run};
pub use composer::{Composer, Dialog, Effect, Input, Popup};
pub use dialect::{BusyEnter, Dialect, ScreenStyle, UnknownDialect};
pub use facts::{CONTEXT_WINDOW, Call, Command, Damage, Identity, Patch, Tokens};
pub use headless::{Ending, play};
pub use replay::{Replayed, replay};
pub use rollout::{RolloutError, RolloutWriter};
pub use scenario::{Script, Step};
pub use screen::{Activity, Frame, Row, View, frame};
pub use session::Session;
pub use transcript::Entry;
pub use turn::{Asking, Decision, Faults, Happening, Setup};
