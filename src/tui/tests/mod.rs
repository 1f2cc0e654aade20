//! The cockpit tested at three levels: keys in and effects out, frames, the whole loop.

mod answers;
mod driven;
pub(super) mod fake;
mod machine;
mod marks;
mod messages;
mod update;
mod view;
