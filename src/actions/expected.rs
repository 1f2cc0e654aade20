//! `--expect`: an end is carried out only when what goes with it is still what was shown before.

use crate::{
    base::{Error, Result},
    model::counts::Counts,
};

/// Refuses an end with which something else goes than was expected. Called in the transaction of that end.
///
/// # Errors
/// A conflict that names what has changed.
pub(super) fn check(expected: Option<&Counts>, now: &Counts, what: &str) -> Result<()> {
    let Some(changes) = expected.and_then(|expected| expected.changes(now)) else { return Ok(()) };
    Err(Error::conflict(format!("nothing was done: what goes with {what} has changed meanwhile: {changes}"))
        .hint("look again: the same with `--dry-run` says what goes with it now"))
}
