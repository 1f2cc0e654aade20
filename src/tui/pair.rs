//! The pair on the Task screen: the worker and the manager of the selected task, each with its conversation or pane.

use super::app::App;
use crate::model::{
    board::{BindingRow, SessionRow},
    task::BindingState,
};

/// An end of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The one that works.
    Worker,
    /// The one that steers.
    Manager,
}

/// Which of the two has the keyboard, and how they are shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct PairState {
    /// The end that has the keyboard; none while the list or the task has it.
    pub focus: Option<End>,
    /// Their panes are shown, not their conversations.
    pub raw: bool,
}

/// The sessions at both ends of the binding in force; none when nobody works on the task.
#[must_use]
pub fn sessions(app: &App) -> Option<(&SessionRow, &SessionRow)> {
    let binding = binding(app)?;
    let board = app.board()?;
    let named = |name: &str| board.sessions.iter().find(|session| session.name == name);
    Some((named(&binding.worker)?, named(&binding.manager)?))
}

fn binding(app: &App) -> Option<&BindingRow> {
    app.selected_task()?.bindings.iter().find(|binding| binding.state == BindingState::Active)
}

/// The end that has the keyboard, if there is one.
#[must_use]
pub fn focus(app: &App) -> Option<End> {
    app.pair.focus.filter(|_| sessions(app).is_some())
}

/// Gives the keyboard on: list, task, worker, manager, list.
pub(super) fn next(app: &mut App) {
    let has_pair = sessions(app).is_some();
    let (detail, focus) = match (app.task_view.detail, focus(app)) {
        (false, None) => (true, None),
        (true, None) if has_pair => (true, Some(End::Worker)),
        (_, Some(End::Worker)) => (true, Some(End::Manager)),
        (true, None) | (_, Some(End::Manager)) => (false, None),
    };
    app.task_view.detail = detail;
    app.pair.focus = focus;
}

/// Gives the keyboard back from worker or manager to the task; whether one had it.
pub(super) fn back(app: &mut App) -> bool {
    let had = focus(app).is_some();
    app.pair.focus = None;
    had
}
