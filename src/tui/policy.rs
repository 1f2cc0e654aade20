//! The terms of a task: what its manager may do and what it is held to, as `manager-config` prints it.

use super::{
    app::App,
    form::{self, Subject},
    keymap::Intent,
    layer::Layer,
    message::{Effect, Load},
    screen,
    sheet::{Sheet, scroll},
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

/// Shows the terms of the selected task.
pub(super) fn open(app: &mut App, effects: &mut Vec<Effect>) {
    let Some((task, name)) = form::selected_task(app).map(|row| (row.task.id.clone(), row.task.name.clone())) else {
        app.say(Part::Warning, "no task is selected");
        return;
    };
    effects.push(Effect::Load(Load::Policy(task.clone())));
    app.layers.push(Layer::Policy(Box::new(Sheet::asked(task, name))));
}

/// The answer to [`Load::Policy`].
pub(super) fn arrived(app: &mut App, task: &str, result: Result<Box<TaskPolicy>>, effects: &mut Vec<Effect>) {
    if let Ok(policy) = &result {
        form::terms_arrived(app, task, policy);
    }
    let policy = app.layers.iter_mut().find_map(|layer| match layer {
        Layer::Policy(policy) if policy.task == task => Some(policy),
        _ => None,
    });
    // Closed in the meantime: nobody waits for it.
    if let Some(policy) = policy
        && policy.arrived(result)
    {
        effects.push(Effect::Load(Load::Policy(policy.task.clone())));
    }
}

/// Whether terms can be changed: those that are shown, or those of any open task.
#[must_use]
pub fn can_change(app: &App) -> bool {
    let is_shown = matches!(app.layers.last(), Some(Layer::Policy(_)));
    let is_open = || form::selected_task(app).is_some_and(|row| row.task.state.is_open());
    form::is_offered(app, Subject::Terms) && (!is_shown || is_open())
}

/// The terms of the task with this name, while they are shown.
pub(super) fn known<'a>(app: &'a App, task: &str) -> Option<&'a TaskPolicy> {
    app.layers.iter().find_map(|layer| match layer {
        Layer::Policy(policy) if policy.name == task => policy.found(),
        _ => None,
    })
}

/// Looks again: something has changed, or may have.
pub(super) fn reload(app: &mut App, effects: &mut Vec<Effect>) {
    for layer in &mut app.layers {
        if let Layer::Policy(policy) = layer
            && policy.is_to_be_asked()
        {
            effects.push(Effect::Load(Load::Policy(policy.task.clone())));
        }
    }
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
    let page = screen::layers::page(app);
    let limit = screen::layers::overflow(app);
    let is_over = !can_change(app);
    let Some(Layer::Policy(policy)) = app.layers.last_mut() else { return };
    match intent {
        Some(Intent::Back) => {
            app.layers.pop();
        }
        Some(Intent::Reload) => reload(app, effects),
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
