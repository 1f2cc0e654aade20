//! Finishing a task: each gate is shown as it stands now before anything is asked, and what was shown for its criteria.

use super::{
    acts,
    app::{App, Screen},
    criteria,
    form::{self, Subject},
    keymap::Intent,
    layer::Layer,
    message::{Effect, Failure, Load},
    operator, screen,
    sheet::{self, scroll},
    submitting::{submit, with_line},
    theme::Part,
};
use crate::{
    actions::{Command, EndArgs, FinishTask, ShownCriterion, TaskRecord, TaskReview},
    base::{Result, Timestamp, text::counted},
    model::{deliveries::CommandRow, task::Task},
};

/// What is said when an end takes no message back.
pub const NOTHING_LEFT: &str = "No message waits for it.";

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
    pub fn is_met(&self) -> bool {
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
    !matches!(app.layers.last(), Some(Layer::Finish(finishing)) if !finishing.is_met())
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

/// What becomes of the messages of a task when it ends, counted as of the newest look. It reads on as they move.
#[must_use]
pub fn left_over(app: &App, task_id: &str) -> String {
    let Some(deliveries) = app.deliveries() else {
        return "Messages that still wait for it are taken back; how many that are is not known now.".to_owned();
    };
    let left = deliveries.left_of(task_id);
    let mut told = Vec::new();
    if left.taken_back > 0 {
        let named: Vec<String> = left.examples.iter().map(named).collect();
        let more = number(left.taken_back).saturating_sub(named.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let what = if left.taken_back == 1 { "waits and is" } else { "wait and are" };
        let count = counted(number(left.taken_back), "message");
        told.push(format!("{count} still {what} taken back, never to arrive: {}{more}.", named.join(", ")));
    }
    if left.reports > 0 {
        let what = if left.reports == 1 { "is" } else { "are" };
        told.push(format!("{} that nobody has read {what} put away.", counted(number(left.reports), "report")));
    }
    if left.under_way > 0 {
        let what = if left.under_way == 1 { "is" } else { "are" };
        let count = counted(number(left.under_way), "message");
        told.push(format!("{count} {what} on the way already and may still arrive."));
    }
    if told.is_empty() { NOTHING_LEFT.to_owned() } else { told.join(" ") }
}

/// A count as the screen writes it.
pub(super) fn number(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// What becomes of the questions to the operator about a task when it ends; nothing when none is open.
#[must_use]
pub fn questions_left(app: &App, task_id: &str) -> Option<String> {
    let count = operator::questions(app).iter().filter(|question| question.task_id == task_id).count();
    let (what, before, them) = match count {
        0 => return None,
        1 => ("stays", "it", "it stands in the Inbox"),
        _ => ("stay", "them", "they stand in the Inbox"),
    };
    let questions = counted(count, "question");
    Some(format!(
        "{questions} to you about it {what} open: {them} until answered. Answer {before} before the end if its manager \
         is to be told."
    ))
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
    let left = row.map_or_else(
        || "What waits for it is taken back.".to_owned(),
        |row| {
            let questions = questions_left(app, &row.task.id).map(|told| format!(" {told}")).unwrap_or_default();
            format!("{}{questions}", left_over(app, &row.task.id))
        },
    );
    Some(format!(
        "Stop {task}, which is not done? It is recorded as stopped, not as done, and its binding ends. {left} {sessions}"
    ))
}

/// Words a question anew when what it counts has changed while it is shown. A yes was meant for what stood
/// there before, so it works in a moment again.
pub(super) fn read_on(app: &mut App) {
    let Some(Layer::Confirm { question: asked, then: Effect::Submit(command), mends: None, .. }) = app.layers.last()
    else {
        return;
    };
    let words = question(app, command).or_else(|| acts::counted_question(app, command));
    let Some(words) = words.map(|words| with_line(app, &words, command)) else { return };
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

/// What a command of a form comes to when it is submitted: for an end, with what was said at its gates.
pub(super) fn as_submitted(app: &App, command: Command) -> Command {
    match command {
        Command::FinishTask(action) => {
            let tasks = app.board().map_or(&[][..], |board| &board.tasks);
            let named = tasks.iter().find(|row| row.task.name == action.task && row.task.state.is_open());
            let end = named.map_or_else(|| action.end.clone(), |row| ends(app, &row.task.id, &action));
            Command::FinishTask(FinishTask { end, ..action })
        }
        command => command,
    }
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
    let page = screen::layers::page(app);
    let limit = screen::layers::overflow(app);
    let is_drawn = !screen::is_too_small(app.size);
    let Some(Layer::Finish(finishing)) = app.layers.last_mut() else { return };
    match intent {
        Some(Intent::Back) => {
            app.layers.pop();
        }
        // Neither is offered, nor told, before the gates are met.
        Some(Intent::WithWorker | Intent::WithManager) if !finishing.is_met() => {
            app.say(Part::Warning, "not every gate is met: nothing ends yet");
        }
        Some(Intent::WithWorker) => finishing.end.stop_worker = !finishing.end.stop_worker,
        Some(Intent::WithManager) => finishing.end.stop_manager = !finishing.end.stop_manager,
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
        Some(Intent::Yes) => {
            let action = finishing.action();
            app.layers.pop();
            submit(app, action, effects);
        }
        _ => scroll(&mut finishing.scroll, intent, page, limit),
    }
}
