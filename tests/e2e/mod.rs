//! The program as a person runs it, in real tmux: with the simulator in place of Codex, and with Codex itself.

mod adopted;
mod answers;
mod cockpit;
mod compact;
mod deliver;
mod demo;
mod hardened;
mod launch;
mod live;
mod live_pair;
mod messages;
mod open;
mod pair;
mod queued;
mod registering;
mod start;
mod stop;
mod terminal;
mod trust;
mod turns;
mod typed;
mod typed_compact;
mod typed_live;
mod typed_races;
mod unnamed;
mod world;
