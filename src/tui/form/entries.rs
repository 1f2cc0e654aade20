//! The entries that forms are made of, and the names that can be chosen in them.

use super::{
    Entry, Flag,
    control::{Candidate, Choice, Control, Picker},
    subjects::{active, selected_task},
};
use crate::{
    model::board::{SessionRow, TaskRow},
    tui::{app::App, field::Field, keymap::Intent},
};

pub(super) fn entry(label: &'static str, flag: Flag, hint: &'static str, control: Control) -> Entry {
    Entry { label, hint, flag, required: false, control }
}

pub(super) fn required(entry: Entry) -> Entry {
    Entry { required: true, ..entry }
}

pub(super) fn line(label: &'static str, flag: &'static str, hint: &'static str) -> Entry {
    entry(label, Flag::Option(flag), hint, Control::Line(Field::default()))
}

pub(super) fn text(label: &'static str, flag: &'static str, hint: &'static str) -> Entry {
    entry(label, Flag::Option(flag), hint, Control::Text(Field::default()))
}

/// The same flag for each line of a text.
pub(super) fn lines(label: &'static str, flag: &'static str, hint: &'static str) -> Entry {
    entry(label, Flag::Lines(flag), hint, Control::Text(Field::default()))
}

pub(super) fn switch(label: &'static str, flag: &'static str, hint: &'static str) -> Entry {
    entry(label, Flag::Switch(flag), hint, Control::Switch(false))
}

pub(super) fn choice(
    label: &'static str,
    flag: &'static str,
    hint: &'static str,
    options: &[(&'static str, &'static str)],
) -> Entry {
    entry(label, Flag::Option(flag), hint, Control::Choice(Choice { options: options.to_vec(), at: 0 }))
}

/// A name: the chosen one, if it fits; the only one there is, where nothing was chosen. In the place of a chosen one
/// that does not fit no other is filled in.
pub(super) fn pick(
    label: &'static str,
    flag: Flag,
    hint: &'static str,
    candidates: Vec<Candidate>,
    chosen: Option<&str>,
) -> Entry {
    let mut picker = Picker { candidates, ..Picker::default() };
    let name = match (chosen, picker.candidates.as_slice()) {
        (Some(name), known) => known.iter().any(|candidate| candidate.name == name).then(|| name.to_owned()),
        (None, [only]) => Some(only.name.clone()),
        (None, _) => None,
    };
    if let Some(name) = name {
        picker.set(&name);
    }
    required(entry(label, flag, hint, Control::Pick(picker)))
}

/// The field for an open task that fits, the selected one filled in.
///
/// # Errors
/// `missing`, when none fits.
pub(super) fn task(
    app: &App,
    hint: &'static str,
    missing: String,
    fits: impl Fn(&TaskRow) -> bool,
) -> Result<Entry, String> {
    let tasks = open_tasks(app, fits);
    if tasks.is_empty() {
        return Err(missing);
    }
    let selected = selected_task(app).map(|row| row.task.name.clone());
    Ok(pick("task", Flag::Word, hint, tasks, selected.as_deref()))
}

/// What is missing, and the key that makes it.
pub(super) fn with_new_task(app: &App, missing: &str) -> String {
    let makes = app.key_that(Intent::NewTask, "makes one").map(|key| format!("; {key}"));
    format!("{missing}{}", makes.unwrap_or_default())
}

pub(super) fn open_tasks(app: &App, fits: impl Fn(&TaskRow) -> bool) -> Vec<Candidate> {
    let tasks = app.board().map_or(&[][..], |board| &board.tasks);
    let open = tasks.iter().filter(|row| row.task.state.is_open() && fits(row));
    let candidate = |row: &TaskRow| {
        let pair = active(row).map(|(worker, manager)| format!(", {worker} and {manager}")).unwrap_or_default();
        Candidate { name: row.task.name.clone(), about: format!("{}{pair}", row.task.state) }
    };
    open.map(candidate).collect()
}

/// Those that fit, with what tells them apart.
pub(super) fn sessions(app: &App, fits: impl Fn(&SessionRow) -> bool) -> Vec<Candidate> {
    let sessions = app.board().map_or(&[][..], |board| &board.sessions);
    let candidate = |row: &SessionRow| Candidate {
        name: row.name.clone(),
        about: format!("{}, {}, {}", row.role, row.judgement.word(), row.cwd),
    };
    sessions.iter().filter(|row| fits(row)).map(candidate).collect()
}
