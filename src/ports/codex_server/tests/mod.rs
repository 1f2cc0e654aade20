//! The client against servers inside the tests, which misbehave in every way a real one could.

mod approvals;
mod client;
mod fake;
mod outcomes;
mod pipes;
mod questions;
