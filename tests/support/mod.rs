//! What tests share: programs to drive and places to do it in.

pub mod codex_lab;
