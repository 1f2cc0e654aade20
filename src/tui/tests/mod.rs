//! The cockpit tested at three levels: keys in and effects out, frames, the whole loop.

mod answers;
mod bars;
mod choices;
mod criteria;
mod diff;
mod driven;
mod events;
pub(super) mod fake;
mod finish;
mod forms;
mod frames;
mod machine;
mod marks;
mod messages;
mod named;
mod operator;
mod palette;
mod policy;
mod record;
mod runs;
mod talk;
mod update;
mod view;
