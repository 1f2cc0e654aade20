//! A box with a text about one task, which is looked up, and looked up again when something may have changed.

use super::{keymap::Intent, message::Failure};
use crate::base::Result;

/// What is shown of a task.
#[derive(Debug)]
pub struct Sheet<T> {
    /// The task.
    pub task: String,
    /// Its name.
    pub name: String,
    /// What was found; none while it is looked up for the first time.
    pub known: Option<Result<Box<T>, Failure>>,
    /// First line shown.
    pub scroll: usize,
    /// It is being looked up.
    is_asked: bool,
    /// Something may have changed since that was begun.
    is_stale: bool,
}

impl<T> Sheet<T> {
    /// One whose first answer is on its way.
    pub(super) fn asked(task: String, name: String) -> Self {
        Self { task, name, known: None, scroll: 0, is_asked: true, is_stale: false }
    }

    /// The answer; true when it has to be asked for once more.
    pub(super) fn arrived(&mut self, result: Result<Box<T>>) -> bool {
        self.known = Some(result.map_err(|error| Failure::from(&error)));
        self.is_asked = std::mem::take(&mut self.is_stale);
        self.is_asked
    }

    /// Something may have changed; true when it has to be asked for now. An answer that is on its way may be from before,
    /// and is asked for again when it has come.
    pub(super) fn is_to_be_asked(&mut self) -> bool {
        self.is_stale = self.is_asked;
        !std::mem::replace(&mut self.is_asked, true)
    }

    /// What was found, unless it was a failure.
    pub(super) fn found(&self) -> Option<&T> {
        self.known.as_ref()?.as_deref().ok()
    }
}

/// Moves the first line that is shown, by a line or a page, up to `limit`.
pub(super) fn scroll(first: &mut usize, intent: Option<Intent>, page: usize, limit: usize) {
    *first = match intent {
        Some(Intent::Down) => (*first + 1).min(limit),
        Some(Intent::Up) => first.saturating_sub(1),
        Some(Intent::PageDown) => (*first + page).min(limit),
        Some(Intent::PageUp) => first.saturating_sub(page),
        _ => *first,
    };
}
