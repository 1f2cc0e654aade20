//! The terms of a task: what its manager may do and what it is held to, as `manager-config` prints it.

use super::{
    app::App,
    form::{self, Subject},
    keymap::Intent,
    layer::Layer,
    message::{Effect, Failure, Load},
    screen,
    submitting::{command_line, copy},
    theme::Part,
};
use crate::{
    actions::{Action as _, Argv, ManagerConfig, TaskPolicy},
    base::Result,
};

/// The terms that are shown.
#[derive(Debug)]
pub struct Policy {
    /// The task.
    pub task: String,
    /// Its name.
    pub name: String,
    /// Its terms; none while they are looked up.
    pub known: Option<Result<TaskPolicy, Failure>>,
    /// First line shown.
    pub scroll: usize,
}

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
    app.layers.push(Layer::Policy(Box::new(Policy { task, name, known: None, scroll: 0 })));
}

/// The answer to [`Load::Policy`].
pub(super) fn arrived(app: &mut App, task: &str, result: Result<TaskPolicy>) {
    let policy = app.layers.iter_mut().find_map(|layer| match layer {
        Layer::Policy(policy) if policy.task == task => Some(policy),
        _ => None,
    });
    // Closed in the meantime: nobody waits for it.
    if let Some(policy) = policy {
        policy.known = Some(result.map_err(|error| Failure::from(&error)));
    }
}

/// Keys while the layer is on top.
pub(super) fn key(app: &mut App, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let page = usize::from(app.size.height).saturating_sub(6).max(1);
    let limit = screen::layers::overflow(app);
    let Some(Layer::Policy(policy)) = app.layers.last_mut() else { return };
    match intent {
        Some(Intent::Back) => {
            app.layers.pop();
        }
        Some(Intent::Down) => policy.scroll = (policy.scroll + 1).min(limit),
        Some(Intent::Up) => policy.scroll = policy.scroll.saturating_sub(1),
        Some(Intent::PageDown) => policy.scroll = (policy.scroll + page).min(limit),
        Some(Intent::PageUp) => policy.scroll = policy.scroll.saturating_sub(page),
        Some(Intent::Reload) => effects.push(Effect::Load(Load::Policy(policy.task.clone()))),
        Some(Intent::Copy) => {
            let argv = shown(&policy.name);
            let line = command_line(app, &argv);
            copy(app, line, effects);
        }
        // What is changed is shown by its receipt.
        Some(Intent::Terms) => {
            app.layers.pop();
            form::keys::open(app, Subject::Terms, effects);
        }
        _ => {}
    }
}
