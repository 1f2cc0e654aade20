//! The outside world: environment, files, processes, tmux, Codex. Each port answers questions and carries out
//! single acts; what they mean is decided above.

pub mod env;
