//! A box with a text about one task, which is looked up, and looked up again when something may have changed.

use super::{
    app::App,
    form,
    keymap::Intent,
    layer::Layer,
    message::{Effect, Failure, Load},
    theme::Part,
};
use crate::{
    actions::{TaskPolicy, TaskRecord},
    base::Result,
};

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

/// What can be looked up of a task.
pub(super) trait OfTask: Sized {
    /// Looks it up, by the task's id.
    fn load(task: String) -> Load;
    /// Its box.
    fn layer(sheet: Box<Sheet<Self>>) -> Layer;
    /// What is in its box.
    fn sheet(layer: &Layer) -> Option<&Sheet<Self>>;
    /// The same, to be changed.
    fn sheet_mut(layer: &mut Layer) -> Option<&mut Sheet<Self>>;
}

/// Shows this of the selected task.
pub(super) fn open<T: OfTask>(app: &mut App, effects: &mut Vec<Effect>) {
    let Some((task, name)) = form::selected_task(app).map(|row| (row.task.id.clone(), row.task.name.clone())) else {
        app.say(Part::Warning, "no task is selected");
        return;
    };
    effects.push(Effect::Load(T::load(task.clone())));
    app.layers.push(T::layer(Box::new(Sheet::asked(task, name))));
}

/// The answer to [`OfTask::load`].
pub(super) fn arrived<T: OfTask>(app: &mut App, task: &str, result: Result<Box<T>>, effects: &mut Vec<Effect>) {
    let sheet = app.layers.iter_mut().filter_map(T::sheet_mut).find(|sheet| sheet.task == task);
    // Closed in the meantime: nobody waits for it.
    if let Some(sheet) = sheet
        && sheet.arrived(result)
    {
        effects.push(Effect::Load(T::load(sheet.task.clone())));
    }
}

/// Looks again: something has changed, or may have.
pub(super) fn reload<T: OfTask>(app: &mut App, effects: &mut Vec<Effect>) {
    let sheets = app
        .layers
        .iter_mut()
        .filter_map(T::sheet_mut)
        .filter_map(|sheet| sheet.is_to_be_asked().then(|| Effect::Load(T::load(sheet.task.clone()))));
    effects.extend(sheets);
}

/// The same for every box.
pub(super) fn reload_all(app: &mut App, effects: &mut Vec<Effect>) {
    reload::<TaskPolicy>(app, effects);
    reload::<TaskRecord>(app, effects);
}

/// What is known of the task with this name, while it is shown.
pub(super) fn known<'a, T: OfTask + 'a>(app: &'a App, task: &str) -> Option<&'a T> {
    app.layers.iter().filter_map(T::sheet).find(|sheet| sheet.name == task).and_then(Sheet::found)
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
