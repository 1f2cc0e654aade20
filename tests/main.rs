//! The one integration binary: every file under `tests/` is a module of it, so that it links once.

mod layers;
mod sim;
