//! Typing into panes of a real tmux: nothing twice, nothing in a wrong pane, nothing into a dialog, and after every
//! kill of a client the pane itself tells what had happened.

mod effects;
mod live;
mod panes;
mod simulated;
mod targets;
mod worker;
