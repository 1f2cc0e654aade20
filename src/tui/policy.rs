//! The terms of a task: what its manager may do and what it is held to, as `manager-config` prints it.

use super::{
    app::App,
    form::{self, Subject},
    keymap::Intent,
    layer::Layer,
    message::{Effect, Load},
    screen,
    sheet::{self, OfTask, Sheet, scroll},
    submitting::{command_line, copy},
    theme::Part,
};
use crate::{
    actions::{Action as _, Argv, Command, Listed as _, ManagerConfig, Report, TaskPolicy},
    base::Result,
};

/// The terms that are shown.
pub type Policy = Sheet<TaskPolicy>;

/// The command that shows the same.
#[must_use]
pub fn shown(task: &str) -> Argv {
    Argv::new(ManagerConfig::NAME).end_of_options().word(task)
}

impl OfTask for TaskPolicy {
    fn load(task: String) -> Load {
        Load::Policy(task)
    }

    fn layer(sheet: Box<Sheet<Self>>) -> Layer {
        Layer::Policy(sheet)
    }

    fn sheet(layer: &Layer) -> Option<&Sheet<Self>> {
        if let Layer::Policy(sheet) = layer { Some(sheet) } else { None }
    }

    fn sheet_mut(layer: &mut Layer) -> Option<&mut Sheet<Self>> {
        if let Layer::Policy(sheet) = layer { Some(sheet) } else { None }
    }
}

/// The answer to [`Load::Policy`].
pub(super) fn arrived(app: &mut App, task: &str, result: Result<Box<TaskPolicy>>, effects: &mut Vec<Effect>) {
    if let Ok(policy) = &result {
        form::terms_arrived(app, task, policy);
    }
    sheet::arrived(app, task, result, effects);
}

/// Whether terms can be changed: those that are shown, or those of any open task.
#[must_use]
pub fn can_change(app: &App) -> bool {
    let is_shown = matches!(app.layers.last(), Some(Layer::Policy(_)));
    let is_open = || form::selected_task(app).is_some_and(|row| row.task.state.is_open());
    form::is_offered(app, Subject::Terms) && (!is_shown || is_open())
}

/// What a command about a recipe came to that waits for a yes: the terms in words, and the command that stores them.
pub(super) fn confirmation(command: &Command, report: &Report) -> Option<(String, Command)> {
    let Command::ManagerConfig(action) = command else { return None };
    let summary = report.json["confirmation"]["locked_summary"].as_str()?;
    // Its last line is that nobody has said yes.
    let summary = summary.rsplit_once('\n').map_or(summary, |(summary, _)| summary);
    let question =
        format!("Store these terms for {}? They take the place of those in force.\n\n{summary}", action.task);
    let confirmed = ManagerConfig { confirm: true, ..action.clone() };
    Some((question, confirmed.into_command()))
}

/// Keys while the layer is on top.
pub(super) fn key(app: &mut App, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let page = usize::from(app.size.height).saturating_sub(6).max(1);
    let limit = screen::layers::overflow(app);
    let is_over = !can_change(app);
    let Some(Layer::Policy(policy)) = app.layers.last_mut() else { return };
    match intent {
        Some(Intent::Back) => {
            app.layers.pop();
        }
        Some(Intent::Reload) => sheet::reload::<TaskPolicy>(app, effects),
        Some(Intent::Copy) => {
            let argv = shown(&policy.name);
            let line = command_line(app, &argv);
            copy(app, line, effects);
        }
        Some(Intent::Terms | Intent::Contract) if is_over => {
            app.say(Part::Warning, "the task has ended: its terms stay")
        }
        Some(Intent::Terms) => form::keys::open(app, Subject::Terms, effects),
        Some(Intent::Contract) => form::keys::open(app, Subject::Contract, effects),
        _ => scroll(&mut policy.scroll, intent, page, limit),
    }
}
