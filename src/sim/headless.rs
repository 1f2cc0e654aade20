//! Plays a session without a terminal: the rollout is written in real time, nothing is shown.

use std::{thread, time::Duration};

use super::{rollout::RolloutError, session::Session, turn::Happening};

/// How a headless session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything was played.
    Played,
    /// The script ended the session.
    Left,
    /// The process must die without a word.
    Died,
}

/// Plays `session` until nothing is left to play; with `hold`, until its script ends it.
///
/// # Errors
/// When the rollout cannot be written.
pub fn play(session: &mut Session, hold: bool) -> Result<Ending, RolloutError> {
    loop {
        session.advance()?;
        for happening in session.happenings() {
            match happening {
                Happening::Exit => return Ok(Ending::Left),
                Happening::Die => return Ok(Ending::Died),
                // There is no composer that could take the text.
                Happening::Restore(_) => {}
            }
        }
        if session.finished() && !hold {
            return Ok(Ending::Played);
        }
        thread::sleep(Duration::from_millis(5));
    }
}
