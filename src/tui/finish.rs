//! Finishing a task: each gate is shown as it stands now before anything is asked, and what was shown for its criteria.

use super::{
    app::{App, Screen},
    criteria, ending,
    form::{self, Subject},
    keymap::Intent,
    layer::Layer,
    message::{Effect, Failure, Load},
    over, screen,
    sheet::{self, scroll},
    submitting::{begin, command_line},
    theme::Part,
};
use crate::{
    actions::{Command, EndArgs, FinishTask, Listed as _, ShownCriterion, TaskRecord, TaskReview},
    base::{Result, Timestamp, text::one_line},
    model::task::Task,
};

/// A task that is to be finished.
#[derive(Debug)]
pub struct Finishing {
    /// The task.
    pub task: String,
    /// Its name.
    pub name: String,
    /// How it stands; none while that is looked at.
    pub review: Option<Result<TaskReview, Failure>>,
    /// Why it is done, the decision behind it, and which of its sessions are stopped with it.
    pub end: EndArgs,
    /// The number of the newest question how it stands: the answer to an older one does not count.
    pub request: u64,
    /// What was told that a yes is about, so that a change of it is noticed.
    pub told: Option<String>,
    /// When that changed while it was shown.
    pub changed_at: Option<Timestamp>,
    /// First line shown.
    pub scroll: usize,
}

impl Finishing {
    /// What will be run, with what is known to go with it.
    #[must_use]
    pub fn command(&self, app: &App) -> Command {
        let action = FinishTask { end: self.end.clone(), ..FinishTask::plain(&self.name) };
        ending::expecting(app, action.into_command())
    }

    /// Every gate is met, as far as was seen.
    #[must_use]
    pub fn is_met(&self) -> bool {
        let Some(Ok(review)) = &self.review else { return false };
        review.gates.iter().all(|gate| gate.ok)
    }
}

/// How often it was asked how a task stands: each question has a number of its own, whichever box it was asked for.
#[derive(Debug, Default)]
pub struct Reviews(u64);

/// What was shown for the criteria of the selected task.
#[derive(Debug, Default)]
pub struct Proofs {
    /// The task that was asked about last, and the change of the board that it was asked after.
    asked: Option<(String, Option<Timestamp>)>,
    /// The answer, with its task.
    known: Option<(String, Result<Vec<ShownCriterion>, Failure>)>,
}

impl Proofs {
    /// What is known of this task.
    #[must_use]
    pub fn of(&self, task: &str) -> Option<&Result<Vec<ShownCriterion>, Failure>> {
        self.known.as_ref().filter(|(id, _)| id == task).map(|(_, known)| known)
    }
}

/// Whether the selected task can be finished.
#[must_use]
pub fn can_finish(app: &App) -> bool {
    form::selected_task(app).is_some_and(|row| row.task.state.is_open())
}

/// That the task has ended while its gates were shown, and how; none while it is open.
#[must_use]
pub fn ended_meanwhile(app: &App, finishing: &Finishing) -> Option<String> {
    let row = app.board()?.tasks.iter().find(|row| row.task.id == finishing.task)?;
    if row.task.state.is_open() {
        return None;
    }
    let how = match &row.task.end {
        Some(end) => format!(" by {}: {}", end.by, one_line(&end.reason)),
        None => String::new(),
    };
    Some(format!("{} has ended meanwhile ({}){how}. Nothing is left to be finished.", row.task.name, row.task.word()))
}

/// Whether a yes would do anything: to every other question it does.
#[must_use]
pub fn takes_yes(app: &App) -> bool {
    match app.layers.last() {
        Some(Layer::Finish(finishing)) => finishing.is_met() && ended_meanwhile(app, finishing).is_none(),
        _ => true,
    }
}

/// Whether the task whose gates are on top has ended since.
#[must_use]
pub fn has_ended(app: &App) -> bool {
    matches!(app.layers.last(), Some(Layer::Finish(finishing)) if ended_meanwhile(app, finishing).is_some())
}

/// Whether the gates are on top, and something is in their way.
#[must_use]
pub fn is_in_the_way(app: &App) -> bool {
    matches!(app.layers.last(), Some(Layer::Finish(finishing)) if finishing.review.is_some() && !finishing.is_met())
}

/// Whether the gates of a task are on top and were looked at.
#[must_use]
pub fn was_looked_at(app: &App) -> bool {
    matches!(app.layers.last(), Some(Layer::Finish(finishing)) if finishing.review.is_some())
}

/// Looks at the gates anew that lie on top now, if they do.
pub(super) fn look_again(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(Layer::Finish(finishing)) = app.layers.last_mut() else { return };
    app.reviews.0 += 1;
    finishing.request = app.reviews.0;
    finishing.review = None;
    // What comes may be shorter, and is to be read from its beginning.
    finishing.scroll = 0;
    effects.push(Effect::Load(Load::Review(finishing.request, finishing.task.clone(), finishing.end.clone())));
}

/// Shows how the selected task stands.
pub(super) fn open(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(task) = form::selected_task(app).map(|row| row.task.clone()) else {
        app.say(Part::Warning, "no task is selected");
        return;
    };
    if !task.state.is_open() {
        app.say(Part::Warning, format!("{} has ended: it is {}", task.name, task.word()));
        return;
    }
    show(app, task, EndArgs::default(), effects);
}

fn show(app: &mut App, task: Task, end: EndArgs, effects: &mut Vec<Effect>) {
    let finishing = Finishing {
        task: task.id,
        name: task.name,
        review: None,
        end,
        request: 0,
        told: None,
        changed_at: None,
        scroll: 0,
    };
    app.layers.push(Layer::Finish(Box::new(finishing)));
    look_again(app, effects);
}

/// Shows the gates again of a task whose end was refused; false when it is not open any more.
pub(super) fn again(app: &mut App, action: &FinishTask, effects: &mut Vec<Effect>) -> bool {
    let task = named(app, &action.task).cloned();
    if let Some(task) = task {
        show(app, task, action.end.clone(), effects);
        return true;
    }
    false
}

/// The open task of this name.
fn named<'a>(app: &'a App, name: &str) -> Option<&'a Task> {
    let tasks = app.board().map_or(&[][..], |board| &board.tasks);
    tasks.iter().find(|row| row.task.name == name && row.task.state.is_open()).map(|row| &row.task)
}

/// How a task is to end was said in a form: its gates are shown with that, and asked about there. False when no open task
/// has this name.
pub(super) fn take(app: &mut App, action: &FinishTask, effects: &mut Vec<Effect>) -> bool {
    let Some(task) = named(app, &action.task).cloned() else { return false };
    let end = ends(app, &task.id, action);
    app.layers.retain(|layer| !matches!(layer, Layer::Finish(_)));
    show(app, task, end, effects);
    true
}

/// How an end that was said in a form goes on: which sessions are stopped is said at the gates, and those of another
/// task are others.
fn ends(app: &App, task: &str, action: &FinishTask) -> EndArgs {
    let before = app.layers.iter().find_map(|layer| match layer {
        Layer::Finish(before) if before.task == task => Some(&before.end),
        _ => None,
    });
    let mut end = action.end.clone();
    if let Some(before) = before {
        (end.stop_worker, end.stop_manager) = (before.stop_worker, before.stop_manager);
    }
    end
}

/// What a command of a form comes to when it is submitted: for an end, with what was said at its gates, and with what is
/// counted to go with it.
pub(super) fn as_submitted(app: &App, command: Command) -> Command {
    let command = match command {
        Command::FinishTask(action) => {
            let end = named(app, &action.task).map_or_else(|| action.end.clone(), |task| ends(app, &task.id, &action));
            Command::FinishTask(FinishTask { end, ..action })
        }
        command => command,
    };
    ending::expecting(app, command)
}

/// How the task whose gates are shown is to end, as far as that was said.
pub(super) fn said(app: &App) -> Option<&EndArgs> {
    app.layers.iter().find_map(|layer| match layer {
        Layer::Finish(finishing) => Some(&finishing.end),
        _ => None,
    })
}

/// The answer to [`Load::Review`]. What was closed in the meantime, or asked about anew, waits for another one.
pub(super) fn arrived(app: &mut App, request: u64, result: Result<TaskReview>) {
    let finishing = app.layers.iter_mut().find_map(|layer| match layer {
        Layer::Finish(finishing) if finishing.request == request => Some(finishing),
        _ => None,
    });
    if let Some(finishing) = finishing {
        finishing.review = Some(result.map_err(|error| Failure::from(&error)));
    }
}

/// The answer to [`Load::Criteria`].
pub(super) fn criteria_arrived(app: &mut App, task: String, result: Result<Vec<ShownCriterion>>) {
    app.proofs.known = Some((task, result.map_err(|error| Failure::from(&error))));
}

/// Asks for the criteria of the task that is shown, when another one is shown or something has changed.
pub(super) fn settle(app: &mut App, effects: &mut Vec<Effect>) {
    if app.screen != Screen::Task {
        return;
    }
    // A box may be about another task than the one that is selected now.
    let boxed = app.layers.iter().rev().find_map(Layer::task).map(str::to_owned);
    let Some(task) = boxed.or_else(|| app.selected_task().map(|row| row.task.id.clone())) else { return };
    let wanted = (task, app.changed_at);
    if app.proofs.asked.as_ref() != Some(&wanted) {
        effects.insert(0, Effect::Load(Load::Criteria(wanted.0.clone())));
        app.proofs.asked = Some(wanted);
    }
}

/// Keys while the layer is on top.
pub(super) fn key(app: &mut App, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let page = screen::layers::page(app);
    let limit = screen::layers::overflow(app);
    let is_drawn = !screen::is_too_small(app.size);
    let is_early = over::is_early(app);
    let ended = match app.layers.last() {
        Some(Layer::Finish(finishing)) => ended_meanwhile(app, finishing),
        _ => None,
    };
    let Some(Layer::Finish(finishing)) = app.layers.last_mut() else { return };
    match intent {
        Some(Intent::Back) => {
            app.layers.pop();
        }
        Some(Intent::Yes | Intent::StopTask | Intent::EndSaid | Intent::WithWorker | Intent::WithManager)
            if let Some(ended) = ended =>
        {
            app.say(Part::Warning, ended);
        }
        // Neither is offered, nor told, before the gates are met.
        Some(Intent::WithWorker | Intent::WithManager) if !finishing.is_met() => {
            app.say(Part::Warning, "not every gate is met: nothing ends yet");
        }
        Some(intent @ (Intent::WithWorker | Intent::WithManager)) => {
            let stops = if intent == Intent::WithWorker {
                &mut finishing.end.stop_worker
            } else {
                &mut finishing.end.stop_manager
            };
            *stops = !*stops;
            // The operator has changed it, and knows.
            finishing.told = None;
        }
        Some(Intent::Reload) => look_again(app, effects),
        Some(Intent::EndSaid) => form::keys::open(app, Subject::FinishTask, effects),
        Some(Intent::Criteria) => criteria::open(app),
        Some(Intent::Record) => sheet::open::<TaskRecord>(app, effects),
        // A task without criteria has every gate met and nothing done: what ends it undone is never withheld.
        Some(Intent::StopTask) if finishing.review.is_some() => {
            form::keys::open(app, Subject::StopTask, effects);
            // What is in the way does not matter any more.
            if matches!(app.layers.last(), Some(Layer::Form(_))) {
                app.layers.retain(|layer| !matches!(layer, Layer::Finish(_)));
            }
        }
        Some(Intent::Yes) if !finishing.is_met() => {
            app.say(Part::Warning, "nothing is done: not every gate is met");
        }
        // Nobody says yes to an end that was never shown.
        Some(Intent::Yes) if finishing.scroll < limit || !is_drawn => {
            app.say(Part::Warning, "nothing is done yet: read it to its end, then say yes");
        }
        Some(Intent::Yes) if is_early => app.say(Part::Warning, over::TOO_EARLY),
        Some(Intent::Yes) => {
            if let Some(Layer::Finish(finishing)) = app.layers.pop() {
                let command = finishing.command(app);
                // What was said in its form comes back unless it is accepted.
                if let Some(form) = app.drafts.take(Subject::FinishTask, Some(&finishing.name)) {
                    let line = command_line(app, &command.argv());
                    app.drafts.sent(line, form);
                }
                begin(app, command, effects);
            }
        }
        _ => scroll(&mut finishing.scroll, intent, page, limit),
    }
}
