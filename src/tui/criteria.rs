//! The criteria of a task in a box over the Task screen: what was asked for, how it stands and what shows it; and which
//! acts there are for the selected one. Each act is a form.

use super::{
    app::{App, Screen},
    finish,
    form::{self, Subject},
    keymap::Intent,
    layer::Layer,
    message::{Effect, Load},
    screen,
    theme::Part,
};
use crate::{
    actions::{Action as _, Argv, Command, Criteria, ShownCriterion},
    model::supervision::CriterionMove,
};

/// The box.
#[derive(Debug)]
pub struct Asked {
    /// The task.
    pub task: String,
    /// Its name.
    pub name: String,
    /// The number of the selected criterion; none before one was selected.
    pub selected: Option<i64>,
    /// First line shown.
    pub scroll: usize,
}

/// The criteria of the task that is meant, when they are known.
#[must_use]
pub fn known(app: &App) -> Option<&[ShownCriterion]> {
    let id = &form::selected_task(app)?.task.id;
    app.proofs.of(id)?.as_ref().ok().map(Vec::as_slice)
}

/// The one that an act is about: the selected one of the box, while it is open.
#[must_use]
pub fn meant(app: &App) -> Option<&ShownCriterion> {
    let selected = app.layers.iter().find_map(|layer| match layer {
        Layer::Criteria(asked) => Some(asked.selected),
        _ => None,
    })?;
    let known = known(app)?;
    match selected {
        Some(id) => known.iter().find(|one| one.id == id),
        None => known.first(),
    }
}

/// Whether the box can be opened.
#[must_use]
pub fn can_look(app: &App) -> bool {
    app.selected_task().is_some() && app.screen == Screen::Task
}

/// Whether this can be done to the one that is meant.
#[must_use]
pub fn can(app: &App, step: CriterionMove) -> bool {
    finish::can_finish(app) && meant(app).is_some_and(|one| one.status.allows(step))
}

/// The command line that adds one, to be shown.
#[must_use]
pub fn adding(task: &str) -> Argv {
    Argv {
        words: [Criteria::NAME, task, "--add", "--criterion", "TEXT", "--status", "accepted"].map(str::to_owned).into(),
        stdin: None,
    }
}

/// What is asked before a criterion is deferred or rejected; none for another command.
pub(super) fn question(command: &Command) -> Option<String> {
    let Command::Criteria(action) = command else { return None };
    let (id, what) = match (action.reject, action.defer) {
        (Some(id), _) => (id, "Reject"),
        (None, Some(id)) => (id, "Defer"),
        (None, None) => return None,
    };
    Some(format!("{what} criterion #{id} of {}? The task can be finished without it then.", action.task))
}

/// Opens the box.
pub(super) fn open(app: &mut App) {
    let Some(task) = form::selected_task(app).map(|row| row.task.clone()) else {
        app.say(Part::Warning, "no task is selected");
        return;
    };
    let selected = known(app).and_then(|known| known.first()).map(|one| one.id);
    app.layers.push(Layer::Criteria(Asked { task: task.id, name: task.name, selected, scroll: 0 }));
}

/// The form of an act; none for another key.
fn subject(intent: Intent) -> Option<(Subject, Option<CriterionMove>)> {
    Some(match intent {
        Intent::AddCriterion => (Subject::AddCriterion, None),
        Intent::AcceptCriterion => (Subject::AcceptCriterion, Some(CriterionMove::Accept)),
        Intent::SatisfyCriterion => (Subject::SatisfyCriterion, Some(CriterionMove::Satisfy)),
        Intent::DeferCriterion => (Subject::DeferCriterion, Some(CriterionMove::Defer)),
        Intent::RejectCriterion => (Subject::RejectCriterion, Some(CriterionMove::Reject)),
        _ => return None,
    })
}

/// Keys while the box is on top.
pub(super) fn key(app: &mut App, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let page = screen::layers::page(app);
    let limit = screen::layers::overflow(app);
    let at = meant(app).map(|one| one.id);
    if let Some((subject, step)) = intent.and_then(subject) {
        match (step, meant(app)) {
            (Some(step), Some(one)) if finish::can_finish(app) && !one.status.allows(step) => {
                let text = format!("#{} is {}, and cannot be {}", one.id, one.status, step.to());
                app.say(Part::Warning, text);
            }
            _ => form::keys::open(app, subject, effects),
        }
        return;
    }
    match intent {
        Some(Intent::Down) => select(app, at, 1),
        Some(Intent::Up) => select(app, at, -1),
        Some(Intent::PageDown) => scroll(app, |scroll| (scroll + page).min(limit)),
        Some(Intent::PageUp) => scroll(app, |scroll| scroll.saturating_sub(page)),
        Some(Intent::Reload) => {
            let task = app.layers.last().and_then(Layer::task).map(str::to_owned);
            effects.extend(task.map(|task| Effect::Load(Load::Criteria(task))));
        }
        Some(Intent::Back) => {
            app.layers.pop();
            // What was changed here may have met a gate below.
            finish::look_again(app, effects);
        }
        _ => {}
    }
}

fn scroll(app: &mut App, to: impl Fn(usize) -> usize) {
    if let Some(Layer::Criteria(asked)) = app.layers.last_mut() {
        asked.scroll = to(asked.scroll);
    }
}

/// Selects the next or previous one and shows it whole, from its beginning when it is longer than the box. At the end of
/// the list the text is scrolled.
fn select(app: &mut App, at: Option<i64>, by: isize) {
    let ids: Vec<i64> = known(app).unwrap_or_default().iter().map(|one| one.id).collect();
    let place = ids.iter().position(|id| Some(*id) == at).unwrap_or(0);
    let next = place.saturating_add_signed(by).min(ids.len().saturating_sub(1));
    let limit = screen::layers::overflow(app);
    if next == place {
        return scroll(app, |scroll| scroll.saturating_add_signed(by).min(limit));
    }
    if let Some(Layer::Criteria(asked)) = app.layers.last_mut() {
        asked.selected = Some(ids[next]);
    }
    let (first, last, room) = screen::criteria_list::selected_lines(app);
    let limit = screen::layers::overflow(app);
    scroll(app, |scroll| scroll.max((last + 1).saturating_sub(room)).min(first).min(limit));
}
