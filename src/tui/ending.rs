//! What goes with the end of a task, of a binding, of a registration or of a session: said before it, carried by its command, and
//! asked about again when it has changed before the yes arrived.
//!
//! The command says what was shown (`--expect`); whether that is still so is decided in the transaction of the end.
//! `stop` takes no such flag: a session can be resumed, and its question is only kept up to date.

use super::{
    acts,
    app::App,
    finish, form,
    layer::Layer,
    machine,
    message::Effect,
    operator, screen,
    submitting::{put_command, with_line},
    theme::Part,
};
use crate::{
    actions::{Command, EndArgs, Report, StopTask},
    base::{
        Kind, Result,
        text::{age, counted},
    },
    model::{
        board::SessionRow,
        counts::Counts,
        deliveries::{CommandRow, LeftOver},
        session::Registration,
        state::Condition,
        task::BindingState,
    },
};

/// What is said when an end takes no message back.
pub const NOTHING_LEFT: &str = "No message waits for it.";

/// The most ends whose outcome is awaited.
const KEPT: usize = 20;

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
    told.extend(under_way(left.under_way, "may still arrive"));
    if told.is_empty() { NOTHING_LEFT.to_owned() } else { told.join(" ") }
}

/// A count as the screen writes it.
fn number(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// What becomes of the questions to the operator about a task when it ends; nothing when none is open.
#[must_use]
pub fn questions_left(app: &App, task_id: &str) -> Option<String> {
    let count = open_questions(app, task_id);
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

fn open_questions(app: &App, task_id: &str) -> usize {
    operator::questions(app).iter().filter(|question| question.task_id == task_id).count()
}

/// A message by what it is, whom it is for, and that it is the operator's own.
fn named(row: &CommandRow) -> String {
    let own = if row.created_by == "operator" { " from you" } else { "" };
    format!("{}{own}", screen::delivery::name(row))
}

/// What is said of messages that may arrive all the same; nothing when none is under way.
fn under_way(count: u64, but: &str) -> Option<String> {
    let what = if count == 1 { "is" } else { "are" };
    (count > 0).then(|| format!("{} {what} on the way already and {but}.", counted(number(count), "message")))
}

/// What is said of what lies unread; nothing when nothing does.
fn unread(count: u64, words: &str) -> Option<String> {
    let what = if count == 1 { "stays" } else { "stay" };
    (count > 0).then(|| format!("{} unread {words} {what} there.", counted(number(count), "message")))
}

/// What becomes of the messages that wait so, counted as of the newest look.
fn given_up(count: Option<u64>, how: &str) -> String {
    match count.map(number) {
        None => format!("Messages that wait {how} are given up; how many that are is not known now."),
        Some(0) => format!("No message waits {how}."),
        Some(1) => format!("1 message that waits {how} is given up."),
        Some(count) => format!("{count} messages that wait {how} are given up."),
    }
}

/// An age to the minute, for a question: one whose words change takes no yes for a moment.
pub(super) fn about(seconds: i64) -> String {
    if seconds < 60 { "less than a minute".to_owned() } else { age(seconds) }
}

/// What a session of a task that ends is doing, when its turn runs; `stops` when it is stopped with the task.
fn turn(app: &App, role: &str, name: &str, stops: bool) -> Option<String> {
    let row = session(app, name).filter(|row| row.registration == Registration::Active)?;
    let judgement = &row.judgement;
    if judgement.runs() == Some(false) {
        return None;
    }
    let (does, then) = match (judgement.condition, stops) {
        (Condition::Busy, true) => ("is in the middle of a turn", "stopping it interrupts that turn"),
        (Condition::Busy, false) => ("is in the middle of a turn", "that goes on"),
        (Condition::Blocked, true) => ("asks something", "stopping it cancels that"),
        (Condition::Blocked, false) => ("asks something", "that stays open"),
        (Condition::Idle | Condition::Done | Condition::Aborted | Condition::Unknown, _) => return None,
    };
    let since = match judgement.since {
        None => "since when is not known".to_owned(),
        Some(since) => format!("for {}", about(since.age_seconds(app.now))),
    };
    let by = judgement.source.map(|source| format!(", by its {source}")).unwrap_or_default();
    Some(format!("{role} {name} {does} ({since}{by}): {then}."))
}

/// What the sessions of a task are in the middle of; nothing when no turn of theirs runs.
#[must_use]
pub fn turns(app: &App, task_id: &str, [worker, manager]: [bool; 2]) -> Option<String> {
    let row = app.board()?.tasks.iter().find(|row| row.task.id == task_id)?;
    let binding = row.bindings.iter().find(|binding| binding.state == BindingState::Active)?;
    let told: Vec<String> = turn(app, "Worker", &binding.worker, worker)
        .into_iter()
        .chain(turn(app, "Manager", &binding.manager, manager))
        .collect();
    (!told.is_empty()).then(|| told.join(" "))
}

fn session<'a>(app: &'a App, name: &str) -> Option<&'a SessionRow> {
    app.board()?.sessions.iter().find(|row| row.name == name)
}

/// What goes with the end of the open task of this name, and its id; none while that is not known.
fn left_of(app: &App, task: &str) -> Option<(String, LeftOver)> {
    let row = app.board()?.tasks.iter().find(|row| row.task.name == task && row.task.state.is_open())?;
    Some((row.task.id.clone(), app.deliveries()?.left_of(&row.task.id)))
}

/// What goes with the end that a command is, as far as it is known and shown.
fn counts(app: &App, command: &Command) -> Option<Counts> {
    let of_task = |task: &str| {
        let (id, left) = left_of(app, task)?;
        Some(left.with_the_task(open_questions(app, &id) as u64))
    };
    match command {
        Command::FinishTask(action) => of_task(&action.task),
        Command::StopTask(action) => of_task(&action.task),
        Command::Unbind(action) => Some(left_of(app, &action.task)?.1.with_the_binding()),
        Command::Deregister(action) => {
            Some(app.deliveries()?.awaiting(&session(app, &action.session)?.id).with_the_session())
        }
        _ => None,
    }
}

/// What an end expects to go with it; none for another command.
fn expected(command: &mut Command) -> Option<&mut Option<Counts>> {
    match command {
        Command::FinishTask(action) => Some(&mut action.end.expect),
        Command::StopTask(action) => Some(&mut action.end.expect),
        Command::Unbind(action) => Some(&mut action.expect),
        Command::Deregister(action) => Some(&mut action.expect),
        _ => None,
    }
}

/// The command with what is shown to go with it; the same when it ends nothing, or nothing is known.
#[must_use]
pub fn expecting(app: &App, mut command: Command) -> Command {
    let counts = counts(app, &command);
    if let Some(expect) = expected(&mut command) {
        *expect = counts;
    }
    command
}

/// The command without that.
#[must_use]
pub fn plain(command: &Command) -> Command {
    let mut command = command.clone();
    if let Some(expect) = expected(&mut command) {
        *expect = None;
    }
    command
}

/// What is asked before an end, with what goes with it; none for another command, and at the gates that is drawn.
pub(super) fn question(app: &App, command: &Command) -> Option<String> {
    match command {
        Command::Stop(action) => {
            let name = &action.session;
            let busy = match session(app, name).map(|row| row.judgement.condition) {
                Some(Condition::Busy) => " Its turn that runs is interrupted.",
                Some(Condition::Blocked) => " What it asks is cancelled.",
                Some(Condition::Idle | Condition::Done | Condition::Aborted | Condition::Unknown) | None => "",
            };
            let left = of_session(app, name);
            Some(format!("Stop {name}?{busy} {left} Its record, its history and a binding stay; it can be resumed."))
        }
        Command::StopTask(action) => Some(of_stop(app, action)),
        Command::Unbind(action) => {
            let tasks = app.board().map_or(&[][..], |board| &board.tasks);
            let row = tasks.iter().find(|row| row.task.name == action.task && form::active(row).is_some());
            let whose = row.and_then(form::active);
            let whose = whose.map(|(worker, manager)| format!(" of {worker} and {manager}")).unwrap_or_default();
            let left = row.and_then(|row| Some(app.deliveries()?.left_of(&row.task.id)));
            let mut told = vec![given_up(left.as_ref().map(|left| left.bound), "to go through it")];
            told.extend(left.iter().filter_map(|left| under_way(left.bound_under_way, "may still arrive")));
            told.extend(left.iter().filter_map(|left| unread(left.bound_unread, "in inboxes")));
            Some(format!("End the binding{whose} to {}? {}", action.task, told.join(" ")))
        }
        Command::Deregister(action) => {
            let name = &action.session;
            let left = of_session(app, name);
            Some(format!(
                "Deregister {name}? It runs on, but nobody watches it here any more, and no message reaches it. {left} \
                 Its history stays; it can be adopted again while it runs."
            ))
        }
        _ => None,
    }
}

/// What becomes of what has not reached a session when it is gone.
fn of_session(app: &App, name: &str) -> String {
    let left = session(app, name).and_then(|row| Some(app.deliveries()?.awaiting(&row.id)));
    let mut told = vec![given_up(left.map(|left| left.waiting), "for it")];
    let unseen = "nobody sees any more whether that arrives";
    told.extend(left.and_then(|left| under_way(left.under_way, unseen)));
    told.extend(left.and_then(|left| unread(left.unread, "in its inbox")));
    told.join(" ")
}

fn of_stop(app: &App, action: &StopTask) -> String {
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
        |row| told(app, &row.task.id, &action.end).join(" "),
    );
    format!(
        "Stop {task}, which is not done? It is recorded as stopped, not as done, and its binding ends. {left} {sessions}"
    )
}

/// What goes with the end of a task and what its sessions are in the middle of: what a yes is about.
fn told(app: &App, task_id: &str, end: &EndArgs) -> Vec<String> {
    let stops = [end.stop_worker, end.stop_manager];
    let mut told = vec![left_over(app, task_id)];
    told.extend(questions_left(app, task_id));
    told.extend(turns(app, task_id, stops));
    told
}

/// Words a question anew when what it tells has changed while it is shown, and has its command expect that. A yes was
/// meant for what stood there before, so it works in a moment again.
pub(super) fn read_on(app: &mut App) {
    let now = app.now;
    let words = match app.layers.last() {
        Some(Layer::Finish(finishing)) if finishing.is_met() => {
            Some((told(app, &finishing.task, &finishing.end).join(" "), None))
        }
        Some(Layer::Confirm { then: Effect::Submit(command), mends, .. }) => {
            let command = expecting(app, plain(command));
            let words = match mends {
                Some(mends) => Some(machine::words(app, mends, &command)),
                None => question(app, &command),
            };
            words.map(|words| (with_line(app, &words, &command), Some(command)))
        }
        _ => None,
    };
    match (words, app.layers.last_mut()) {
        (Some((words, _)), Some(Layer::Finish(finishing))) => {
            if finishing.told.as_ref().is_some_and(|before| *before != words) {
                finishing.changed_at = Some(now);
            }
            finishing.told = Some(words);
        }
        (Some((words, Some(command))), Some(Layer::Confirm { question, then, came_at, .. })) if words != *question => {
            (*question, *then, *came_at) = (words, Effect::Submit(command), Some(now));
        }
        _ => {}
    }
}

/// Ends that were submitted and whose outcome is awaited, with their command lines.
#[derive(Debug, Default)]
pub struct Ends(Vec<(String, Command)>);

impl Ends {
    /// A command was submitted.
    pub fn begun(&mut self, line: &str, command: &Command) {
        if expected(&mut command.clone()).is_some() {
            self.0.push((line.to_owned(), plain(command)));
            if self.0.len() > KEPT {
                self.0.remove(0);
            }
        }
    }

    /// A command line has come to its end; the command, when it is an end that was refused because something has changed
    /// since it was shown.
    pub fn changed(&mut self, line: &str, result: &Result<Report>) -> Option<Command> {
        let at = self.0.iter().position(|(begun, _)| begun == line)?;
        let (_, command) = self.0.remove(at);
        result.as_ref().is_err_and(|error| error.kind() == Kind::Conflict).then_some(command)
    }
}

/// Asks again about an end that was refused because something has changed: false when there is nothing to ask about.
pub(super) fn ask_again(app: &mut App, command: Command, effects: &mut Vec<Effect>) -> bool {
    let asks = match &command {
        Command::FinishTask(action) => finish::again(app, action, effects),
        command => match acts::question_of(app, command) {
            Some(words) => {
                put_command(app, &words, command.clone());
                true
            }
            None => false,
        },
    };
    if asks {
        app.say(Part::Warning, "nothing was done: what goes with it has changed meanwhile; look again");
    }
    asks
}
