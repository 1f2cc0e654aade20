//! Messages between sessions from the keyboard: write one, stop and resume deliveries, decide about one that stands.

use super::{
    app::App,
    field::Field,
    input::{ask_first, submit},
    keymap::{Intent, Key},
    layer::{Layer, Nudge},
    message::Effect,
    screen,
    theme::Part,
};
use crate::{
    actions::{Decision, Dispatch, DispatchVerb, EnqueueNudgeWorker, MessageArgs, TIME_TO_LIVE, TextArg},
    base::text::is_unsafe,
    model::{
        delivery::Phase,
        session::{Registration, Role},
        task::BindingState,
    },
};

/// The longest message that is written here, in bytes.
pub(super) const MAX_MESSAGE: usize = 32 * 1024;

/// Opens the message to the selected worker, or says why there is none to be written.
pub(super) fn nudge(app: &mut App) {
    match addressee(app) {
        Ok((task, worker)) => {
            app.layers.push(Layer::Nudge(Nudge { task, worker, field: Field::default(), error: None }));
        }
        Err(why) => app.say(Part::Warning, why),
    }
}

/// Task and worker that a nudge from here goes to, or why it goes nowhere.
pub(super) fn addressee(app: &App) -> Result<(String, String), String> {
    let Some(session) = app.session() else { return Err("no worker is selected".to_owned()) };
    let name = &session.name;
    match (session.role, &session.task, &session.partner) {
        (_, _, _) if session.registration == Registration::Gone => Err(format!("{name} is gone: nothing can reach it")),
        (Role::Manager, _, Some(worker)) => Err(format!("{name} is a manager; a nudge goes to its worker {worker}")),
        (Role::Manager, _, None) => Err(format!("{name} is a manager; a nudge goes to a worker")),
        (Role::Worker, Some(task), _) => Ok((task.clone(), name.clone())),
        (Role::Worker, None, _) => {
            Err(format!("{name} is bound to no task, and a nudge goes through a binding: `conveyor bind` makes one"))
        }
    }
}

/// The action that queues what is written.
pub(super) fn enqueue(nudge: &Nudge) -> EnqueueNudgeWorker {
    EnqueueNudgeWorker {
        task: Some(nudge.task.clone()),
        filter: None,
        message: MessageArgs {
            message: TextArg::Inline(nudge.field.text().to_owned()),
            correlation_id: None,
            idempotency_key: None,
            expires: TIME_TO_LIVE,
        },
    }
}

pub(super) fn message(app: &mut App, key: Key, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let Some(Layer::Nudge(nudge)) = app.layers.last_mut() else { return };
    let field = &mut nudge.field;
    let mut fits = true;
    match intent {
        Some(Intent::Accept) => return send(app, effects),
        Some(Intent::Back) => {
            app.layers.pop();
            return;
        }
        Some(Intent::LineBreak) => fits = field.insert("\n", MAX_MESSAGE),
        Some(Intent::Erase) => field.erase(),
        Some(Intent::EraseNext) => field.erase_next(),
        Some(Intent::EraseWord) => field.erase_word(),
        Some(Intent::EraseAll) => field.clear(),
        Some(Intent::Left) => field.left(),
        Some(Intent::Right) => field.right(),
        Some(Intent::WordLeft) => field.word_left(),
        Some(Intent::WordRight) => field.word_right(),
        Some(Intent::LineStart) => field.line_start(),
        Some(Intent::LineEnd) => field.line_end(),
        Some(Intent::Up) => field.up(),
        Some(Intent::Down) => field.down(),
        _ => {
            if let Some(c) = key.character().filter(|c| !is_unsafe(*c)) {
                fits = field.insert(c.encode_utf8(&mut [0; 4]), MAX_MESSAGE);
            }
        }
    }
    nudge.error = (!fits).then(too_long);
}

pub(super) fn too_long() -> String {
    format!("more than {MAX_MESSAGE} bytes do not fit here: put the long part into a file and name its path")
}

/// Queues the message, unless the task has got another worker while it was written.
fn send(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(Layer::Nudge(nudge)) = app.layers.last() else { return };
    let worker = app.board().and_then(|board| {
        let task = board.tasks.iter().find(|row| row.task.name == nudge.task && row.task.state.is_open())?;
        let binding = task.bindings.iter().find(|binding| binding.state == BindingState::Active)?;
        Some(binding.worker.clone())
    });
    let error = match worker {
        _ if nudge.field.text().trim().is_empty() => Some("nothing is typed yet".to_owned()),
        None => Some(format!("nobody is bound to {} any more", nudge.task)),
        Some(worker) if worker != nudge.worker => {
            Some(format!("{} has got another worker meanwhile: {worker}", nudge.task))
        }
        Some(_) => None,
    };
    let action = enqueue(nudge);
    if error.is_none() {
        app.layers.pop();
        submit(app, action, effects);
    } else if let Some(Layer::Nudge(nudge)) = app.layers.last_mut() {
        nudge.error = error;
    }
}

/// The emergency stop works at once; going on is asked for. When it is not known whether deliveries are stopped, they
/// are stopped.
pub(super) fn pause(app: &mut App, effects: &mut Vec<Effect>) {
    match app.deliveries().map(|deliveries| (deliveries.health.paused, deliveries.health.waiting)) {
        Some((true, waiting)) => {
            let question =
                format!("Deliver again? {waiting} message(s) wait, and go out at once when somebody dispatches.");
            ask_first(app, &question, Dispatch::of(DispatchVerb::Resume { task: None, all: true }));
        }
        Some((false, _)) | None => {
            submit(app, Dispatch::of(DispatchVerb::Pause { task: None, all: true, reason: None }), effects);
        }
    }
}

/// The selected command, with what is said of it in a question.
fn selected_command(app: &App) -> Option<(String, Phase, String)> {
    let row = screen::selected_command(app)?;
    Some((row.id.clone(), row.phase, format!("{} to {}", screen::delivery::kind(row.kind), row.target)))
}

pub(super) fn retry(app: &mut App) {
    match selected_command(app) {
        Some((command, phase, about)) if phase.is_dead_letter() => {
            let question = format!("Queue the {about} again? It was given up: {phase}.");
            ask_first(app, &question, Dispatch::of(DispatchVerb::Retry { command, reason: None }));
        }
        Some((command, Phase::Ambiguous, about)) => {
            let question =
                format!("Send the {about} again? It may arrive twice: nothing proves that it did not arrive.");
            ask_first(app, &question, resolve(command, Decision::Rearm));
        }
        Some((_, phase, _)) => app.say(Part::Warning, format!("it is {phase}; only what was given up is queued again")),
        None => app.say(Part::Warning, "select a message that was given up"),
    }
}

pub(super) fn take_back(app: &mut App) {
    match selected_command(app) {
        Some((command, Phase::Queued, about)) => {
            let question = format!("Take the {about} back? Nobody has begun to deliver it.");
            ask_first(app, &question, Dispatch::of(DispatchVerb::Cancel { command, reason: None }));
        }
        Some((command, Phase::Ambiguous, about)) => {
            let question = format!("Give the {about} up? You say that it did not arrive.");
            ask_first(app, &question, resolve(command, Decision::NotDelivered));
        }
        Some((_, phase, _)) => app.say(Part::Warning, format!("it is {phase}; only what is queued can be taken back")),
        None => app.say(Part::Warning, "select a message that waits"),
    }
}

pub(super) fn arrived(app: &mut App) {
    match selected_command(app) {
        Some((command, Phase::Ambiguous, about)) => {
            let question = format!("Is the {about} there? It is recorded as your word, not as the session's.");
            ask_first(app, &question, resolve(command, Decision::Delivered));
        }
        Some((_, phase, _)) => app.say(Part::Warning, format!("it is {phase}; only what is uncertain is decided")),
        None => app.say(Part::Warning, "select an uncertain message"),
    }
}

fn resolve(command: String, decision: Decision) -> Dispatch {
    Dispatch::of(DispatchVerb::Resolve { command, decision, reason: "decided in the cockpit".to_owned() })
}
