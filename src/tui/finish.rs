//! Finishing a task: each gate is shown as it stands now before anything is asked, and what was shown for its criteria.

use super::{
    app::{App, Screen},
    criteria,
    form::{self, Subject},
    keymap::Intent,
    layer::Layer,
    message::{Effect, Failure, Load},
    screen,
    sheet::scroll,
    submitting::{submit, with_line},
    theme::Part,
};
use crate::{
    actions::{Command, EndArgs, FinishTask, ShownCriterion, TaskReview},
    base::{Result, Timestamp, text::counted},
    model::{
        deliveries::{CommandRow, ItemRow},
        delivery::Phase,
        task::Task,
    },
};

/// What is said when an end takes no message back.
pub const NOTHING_LEFT: &str = "No message waits for it.";

/// How many of the messages that wait are named.
const NAMED: usize = 3;

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
    /// First line shown.
    pub scroll: usize,
}

impl Finishing {
    /// What will be run.
    #[must_use]
    pub fn action(&self) -> FinishTask {
        FinishTask { end: self.end.clone(), ..FinishTask::plain(&self.name) }
    }

    /// The question how it stands.
    fn look(&self) -> Effect {
        Effect::Load(Load::Review(self.task.clone(), self.end.clone()))
    }

    /// Every gate is met, as far as was seen.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let Some(Ok(review)) = &self.review else { return false };
        review.gates.iter().all(|gate| gate.ok)
    }
}

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

/// Whether a yes would do anything: to every other question it does.
#[must_use]
pub fn takes_yes(app: &App) -> bool {
    !matches!(app.layers.last(), Some(Layer::Finish(finishing)) if !finishing.is_open())
}

/// Whether the gates are on top, and something is in their way.
#[must_use]
pub fn is_in_the_way(app: &App) -> bool {
    matches!(app.layers.last(), Some(Layer::Finish(finishing)) if finishing.review.is_some() && !finishing.is_open())
}

/// What becomes of the messages of a task when it ends, as far as is known now. It reads on as they move.
#[must_use]
pub fn left_over(app: &App, task_id: &str) -> String {
    let Some(deliveries) = app.deliveries() else {
        return "Messages that still wait for it are taken back; how many that are is not known now.".to_owned();
    };
    let of_task = || deliveries.commands.iter().filter(|row| row.task_id.as_deref() == Some(task_id));
    let is_unread = |row: &CommandRow| row.item.is_some_and(|item| item.is_unread());
    let waiting: Vec<&CommandRow> = of_task()
        .filter(|row| match row.phase {
            Phase::Queued | Phase::Claimed => row.item.is_none() || is_unread(row),
            Phase::Delivered => is_unread(row),
            _ => false,
        })
        .collect();
    let is_under_way =
        |row: &&CommandRow| matches!(row.phase, Phase::Started | Phase::Staged | Phase::Submitted | Phase::Ambiguous);
    let under_way = of_task().filter(is_under_way).count();
    let is_report =
        |row: &&ItemRow| row.task_id.as_deref() == Some(task_id) && row.command_id.is_none() && row.facts.is_unread();
    let reports = deliveries.items.iter().filter(is_report).count();
    let mut told = Vec::new();
    if !waiting.is_empty() {
        let named: Vec<String> = waiting.iter().take(NAMED).map(|row| named(row)).collect();
        let more = waiting.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let what = if waiting.len() == 1 { "waits and is" } else { "wait and are" };
        let count = counted(waiting.len(), "message");
        told.push(format!("{count} still {what} taken back, never to arrive: {}{more}.", named.join(", ")));
    }
    if reports > 0 {
        let what = if reports == 1 { "is" } else { "are" };
        told.push(format!("{} that nobody has read {what} put away.", counted(reports, "report")));
    }
    if under_way > 0 {
        let what = if under_way == 1 { "is" } else { "are" };
        told.push(format!("{} {what} on the way already and may still arrive.", counted(under_way, "message")));
    }
    if told.is_empty() { NOTHING_LEFT.to_owned() } else { told.join(" ") }
}

/// A message by what it is, whom it is for, and that it is the operator's own.
fn named(row: &CommandRow) -> String {
    let own = if row.created_by == "operator" { " from you" } else { "" };
    format!("{}{own}", screen::delivery::name(row))
}

/// What is asked before a task is stopped; none for another command.
pub(super) fn question(app: &App, command: &Command) -> Option<String> {
    let Command::StopTask(action) = command else { return None };
    let sessions = match (action.end.stop_worker, action.end.stop_manager) {
        (false, false) => "Its sessions stay as they are.",
        (true, false) => "Its worker's session is stopped.",
        (false, true) => "Its manager's session is stopped.",
        (true, true) => "Its worker's and its manager's session are stopped.",
    };
    let task = &action.task;
    let tasks = app.board().map_or(&[][..], |board| &board.tasks);
    let row = tasks.iter().find(|row| row.task.name == *task && row.task.state.is_open());
    let left = row.map_or_else(|| "What waits for it is taken back.".to_owned(), |row| left_over(app, &row.task.id));
    Some(format!(
        "Stop {task}, which is not done? It is recorded as stopped, not as done, and its binding ends. {left} {sessions}"
    ))
}

/// Words the question of a stop anew when what it counts has changed while it is shown. A yes was meant for what stood
/// there before, so it works in a moment again.
pub(super) fn read_on(app: &mut App) {
    let Some(Layer::Confirm { question: asked, then: Effect::Submit(command), .. }) = app.layers.last() else { return };
    let Some(words) = question(app, command).map(|words| with_line(app, &words, command)) else { return };
    if words == *asked {
        return;
    }
    let now = app.now;
    if let Some(Layer::Confirm { question, came_at, .. }) = app.layers.last_mut() {
        (*question, *came_at) = (words, Some(now));
    }
}

/// Looks at the gates anew that lie on top now, if they do.
pub(super) fn look_again(app: &mut App, effects: &mut Vec<Effect>) {
    if let Some(Layer::Finish(finishing)) = app.layers.last_mut() {
        finishing.review = None;
        // What comes may be shorter, and is to be read from its beginning.
        finishing.scroll = 0;
        effects.push(finishing.look());
    }
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
    let finishing = Finishing { task: task.id, name: task.name, review: None, end, scroll: 0 };
    effects.push(finishing.look());
    app.layers.push(Layer::Finish(Box::new(finishing)));
}

/// How a task is to end was said in a form: its gates are shown with that, and asked about there. False when no open task
/// has this name.
pub(super) fn take(app: &mut App, action: &FinishTask, effects: &mut Vec<Effect>) -> bool {
    let tasks = app.board().map_or(&[][..], |board| &board.tasks);
    let named = tasks.iter().find(|row| row.task.name == action.task && row.task.state.is_open());
    let Some(task) = named.map(|row| row.task.clone()) else { return false };
    let mut end = action.end.clone();
    // Which sessions are stopped is said at the gates.
    if let Some(Layer::Finish(before)) = app.layers.iter().find(|layer| matches!(layer, Layer::Finish(_))) {
        (end.stop_worker, end.stop_manager) = (before.end.stop_worker, before.end.stop_manager);
    }
    app.layers.retain(|layer| !matches!(layer, Layer::Finish(_)));
    show(app, task, end, effects);
    true
}

/// How the task whose gates are shown is to end, as far as that was said.
pub(super) fn said(app: &App) -> Option<&EndArgs> {
    app.layers.iter().find_map(|layer| match layer {
        Layer::Finish(finishing) => Some(&finishing.end),
        _ => None,
    })
}

/// The answer to [`Load::Review`].
pub(super) fn arrived(app: &mut App, task: &str, result: Result<TaskReview>) {
    let finishing = app.layers.iter_mut().find_map(|layer| match layer {
        Layer::Finish(finishing) if finishing.task == task => Some(finishing),
        _ => None,
    });
    // Closed in the meantime: nobody waits for it.
    if let Some(finishing) = finishing {
        // Another decision was named meanwhile: that answer is on its way.
        let decision = |end: &EndArgs| (end.decision_id, end.strict_decisions);
        if result.as_ref().is_ok_and(|review| decision(&review.end) != decision(&finishing.end)) {
            return;
        }
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
    let page = usize::from(app.size.height).saturating_sub(6).max(1);
    let limit = screen::layers::overflow(app);
    let is_drawn = !screen::is_too_small(app.size);
    let in_the_way = is_in_the_way(app);
    let Some(Layer::Finish(finishing)) = app.layers.last_mut() else { return };
    match intent {
        Some(Intent::Back) => {
            app.layers.pop();
        }
        // Neither is offered, nor told, before the gates are met.
        Some(Intent::WithWorker | Intent::WithManager) if !finishing.is_open() => {
            app.say(Part::Warning, "not every gate is met: nothing ends yet");
        }
        Some(Intent::WithWorker) => finishing.end.stop_worker = !finishing.end.stop_worker,
        Some(Intent::WithManager) => finishing.end.stop_manager = !finishing.end.stop_manager,
        Some(Intent::Reload) => look_again(app, effects),
        Some(Intent::EndSaid) => form::keys::open(app, Subject::FinishTask, effects),
        Some(Intent::Criteria) => criteria::open(app),
        Some(Intent::StopTask) if in_the_way => {
            form::keys::open(app, Subject::StopTask, effects);
            // What is in the way does not matter any more.
            if matches!(app.layers.last(), Some(Layer::Form(_))) {
                app.layers.retain(|layer| !matches!(layer, Layer::Finish(_)));
            }
        }
        Some(Intent::StopTask) if finishing.is_open() => {
            app.say(Part::Warning, "every gate is met: there is no need to stop it undone");
        }
        Some(Intent::Yes) if !finishing.is_open() => {
            app.say(Part::Warning, "nothing is done: not every gate is met");
        }
        // Nobody says yes to an end that was never shown.
        Some(Intent::Yes) if finishing.scroll < limit || !is_drawn => {
            app.say(Part::Warning, "nothing is done yet: read it to its end, then say yes");
        }
        Some(Intent::Yes) => {
            let action = finishing.action();
            app.layers.pop();
            submit(app, action, effects);
        }
        _ => scroll(&mut finishing.scroll, intent, page, limit),
    }
}
