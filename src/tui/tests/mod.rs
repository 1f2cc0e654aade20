//! The cockpit tested at three levels: keys in and effects out, frames, the whole loop.

mod answers;
mod driven;
mod fake;
mod forms;
mod marks;
mod messages;
mod palette;
mod talk;
mod update;
mod view;
