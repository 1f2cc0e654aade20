//! What the screen and the title of a Codex pane say.
//!
//! Pane content is of low trust: everything above the live region (the composer or the dialog at the bottom of the
//! screen) is what a worker wrote, and may imitate prompts, composers and menus. So only the live region decides,
//! and nothing read here may grant anything by itself. All of it is pure: text in, reading out.

mod classify;
mod composer;
mod contract;
mod dialog;
mod menu;
mod question;
mod reading;
mod ready;
mod screen;
mod signs;
mod style;
mod title;
mod wording;

#[cfg(test)]
mod tests;

pub use classify::read_pane;
pub use contract::{BusyPattern, BusyWait, Startup, StartupState, busy_wait, startup_state};
pub use menu::MenuOption;
pub use question::{DialogText, read_dialog};
pub use reading::{Evidence, PaneReading, PaneState, Prompt};
pub use ready::{
    DeferReason, Deferral, EmptyComposer, Held, Look, MIN_HEIGHT, MIN_WIDTH, Steering, composer_holds, composer_text,
    ready_for_text,
};
pub use signs::{dialog_signs, looks_like_dialog, spinner_frames, status_hint};
pub use title::{TitleReading, TitleSign, read_title};
