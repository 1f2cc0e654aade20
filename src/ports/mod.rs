//! The world outside: programs, sockets, files and processes, each behind a type with time limits and typed errors.

pub mod codex_cli;
pub mod codex_server;
