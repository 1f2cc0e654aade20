//! Messages between sessions from the keyboard: write one, stop and resume deliveries, decide about one that stands.

use super::{
    app::{App, Screen},
    editing::{Lines, edit},
    field::Field,
    keymap::{Intent, Key},
    layer::{Layer, Nudge},
    message::Effect,
    receipts, screen,
    submitting::{ask_first, command_line, submit},
    theme::Part,
};
use crate::{
    actions::{Action as _, Decision, Dispatch, DispatchVerb, SessionNudge, TIME_TO_LIVE, TextArg},
    model::{board::SessionRow, delivery::Phase, session::Registration},
};

/// How long `session-nudge` waits by itself, in seconds.
const WAIT: u64 = 10;

/// The longest message that is written here, in bytes.
pub(super) const MAX_MESSAGE: usize = 32 * 1024;

/// Opens the message to the selected session or the chosen ones, or says why there is none to be written.
pub(super) fn nudge(app: &mut App) {
    match addressees(app) {
        Ok((to, left_out)) => {
            let field = app.drafts.message(&ids(&to)).cloned().unwrap_or_default();
            app.layers.push(Layer::Nudge(Nudge { to, left_out, field, error: None, came_back: false }));
        }
        Err(why) => app.say(Part::Warning, why),
    }
}

/// A message that was not accepted, as it was written, and why; none when one of those it is for is not there any more.
pub(super) fn again(app: &App, to: &[String], field: Field, error: Option<String>) -> Option<Layer> {
    let sessions = &app.board()?.sessions;
    let named = |id: &String| Some((id.clone(), sessions.iter().find(|row| row.id == *id)?.name.clone()));
    let to = to.iter().map(named).collect::<Option<_>>()?;
    Some(Layer::Nudge(Nudge { to, left_out: Vec::new(), field, error, came_back: true }))
}

fn ids(to: &[(String, String)]) -> Vec<String> {
    to.iter().map(|(id, _)| id.clone()).collect()
}

/// Whom a nudge from here goes to, by id and name, and by name who is left out and why; or why it goes nowhere.
#[expect(clippy::type_complexity, reason = "two lists of pairs, told apart by their names where they are taken")]
pub(super) fn addressees(app: &App) -> Result<(Vec<(String, String)>, Vec<(String, String)>), String> {
    // Sessions are chosen in the fleet, and only there one sees which.
    if app.fleet.chosen.is_empty() || app.screen != Screen::Fleet {
        let session = app.session().ok_or("no session is selected")?;
        return match out_of_reach(app, session) {
            None => Ok((vec![(session.id.clone(), session.name.clone())], Vec::new())),
            Some(why) => Err(format!("{} {why}", session.name)),
        };
    }
    let chosen =
        app.board().into_iter().flat_map(|board| &board.sessions).filter(|row| app.fleet.chosen.contains(&row.id));
    let (mut to, mut left_out) = (Vec::new(), Vec::new());
    for session in chosen {
        match out_of_reach(app, session) {
            None => to.push((session.id.clone(), session.name.clone())),
            Some(why) => left_out.push((session.name.clone(), why.to_owned())),
        }
    }
    if to.is_empty() { Err("none of the chosen sessions can be reached".to_owned()) } else { Ok((to, left_out)) }
}

/// Why a message from here does not go to this session.
fn out_of_reach(app: &App, session: &SessionRow) -> Option<&'static str> {
    if session.registration == Registration::Gone {
        Some("is gone: nothing can reach it")
    } else if !app.filter.matches_session(session, app.now) && app.screen == Screen::Fleet {
        // What one does not see one does not speak to.
        Some("is hidden by the filter")
    } else {
        None
    }
}

/// Chooses the selected session for what goes to several, or lets it go.
pub(super) fn choose(app: &mut App) {
    let Some(id) = app.session().map(|session| session.id.clone()) else {
        app.say(Part::Warning, "only sessions can be chosen");
        return;
    };
    if !app.fleet.chosen.remove(&id) {
        app.fleet.chosen.insert(id);
    }
}

/// The action that sends what is written to this session.
pub(super) fn send_to(session: &str, text: &str) -> SessionNudge {
    SessionNudge {
        session: session.to_owned(),
        message: TextArg::Inline(text.to_owned()),
        wait: WAIT,
        // The receipt follows it; the cockpit does not wait.
        no_wait: true,
        idempotency_key: None,
        expires: TIME_TO_LIVE,
    }
}

pub(super) fn message(app: &mut App, key: Key, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let Some(Layer::Nudge(nudge)) = app.layers.last_mut() else { return };
    let came_back = std::mem::take(&mut nudge.came_back);
    match intent {
        Some(Intent::Accept) if came_back => {}
        Some(Intent::Accept) => send(app, effects),
        Some(Intent::Back) => {
            if let Some(Layer::Nudge(nudge)) = app.layers.pop() {
                app.drafts.keep_message(ids(&nudge.to), nudge.field);
            }
        }
        intent => {
            let fits = edit(&mut nudge.field, Lines::Several, key, intent, MAX_MESSAGE);
            nudge.error = (!fits).then(too_long);
        }
    }
}

pub(super) fn too_long() -> String {
    format!("more than {MAX_MESSAGE} bytes do not fit here: put the long part into a file and name its path")
}

/// Sends the message, unless one of those it is for has become another while it was written.
fn send(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(Layer::Nudge(nudge)) = app.layers.last() else { return };
    let is_there = |(id, name): &&(String, String)| {
        app.board().is_some_and(|board| {
            board
                .sessions
                .iter()
                .any(|row| row.id == *id && row.name == *name && row.registration == Registration::Active)
        })
    };
    let error = if nudge.field.text().trim().is_empty() {
        Some("nothing is typed yet".to_owned())
    } else {
        nudge.to.iter().find(|to| !is_there(to)).map(|(_, name)| format!("{name} is gone, or another one meanwhile"))
    };
    if error.is_some() {
        if let Some(Layer::Nudge(nudge)) = app.layers.last_mut() {
            nudge.error = error;
        }
        return;
    }
    let Some(Layer::Nudge(nudge)) = app.layers.pop() else { return };
    for (_, name) in &nudge.to {
        submit(app, send_to(name, nudge.field.text()), effects);
    }
    if let [(id, name)] = nudge.to.as_slice() {
        let line = command_line(app, &send_to(name, nudge.field.text()).argv());
        app.drafts.sent_message(line, vec![id.clone()], nudge.field.clone());
    } else {
        app.drafts.keep_message(ids(&nudge.to), Field::default());
    }
    if nudge.to.len() > 1 {
        app.fleet.chosen.clear();
        receipts::keys::open(app);
    }
}

/// Whether the key of the emergency stop does anything now: what lies over a yes asks for no yes of its own, since a
/// second one would fall through. Stopping works everywhere.
pub(super) fn takes_pause(app: &App) -> bool {
    let over_a_yes = matches!(app.layers.last(), Some(Layer::Confirm { .. } | Layer::Finish(_)));
    app.board().is_some() && !(over_a_yes && is_paused(app))
}

/// Whether deliveries are stopped everywhere, as far as known.
pub(super) fn is_paused(app: &App) -> bool {
    app.deliveries().is_some_and(|deliveries| deliveries.health.paused)
}

/// The emergency stop works at once; going on is asked for. When it is not known whether deliveries are stopped, they
/// are stopped.
pub(super) fn pause(app: &mut App, effects: &mut Vec<Effect>) {
    match app.deliveries().map(|deliveries| (deliveries.health.paused, deliveries.health.waiting)) {
        Some((true, _)) if !takes_pause(app) => {
            app.say(Part::Warning, "deliveries are stopped; to go on close this first");
        }
        Some((true, waiting)) => {
            let what = match waiting {
                0 => "No message waits now.".to_owned(),
                1 => "1 message waits, and goes out at once when somebody dispatches.".to_owned(),
                more => format!("{more} messages wait, and go out at once when somebody dispatches."),
            };
            let question = format!("Deliver again? {what}");
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
            let why = match phase {
                Phase::Expired => "Its time ran out before it was delivered.",
                Phase::Blocked => "It was refused: the terms of its task did not allow it.",
                _ => "It was given up.",
            };
            let question = format!("Queue the {about} again? {why}");
            ask_first(app, &question, Dispatch::of(DispatchVerb::Retry { command, reason: None }));
        }
        Some((command, Phase::Ambiguous, about)) => {
            let question =
                format!("Send the {about} again? It may arrive twice: nothing proves that it did not arrive.");
            ask_first(app, &question, resolve(command, Decision::Rearm));
        }
        Some((_, phase, _)) => {
            app.say(Part::Warning, format!("it is {}; only what was given up is queued again", phase.word()))
        }
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
        Some((_, phase, _)) => {
            app.say(Part::Warning, format!("it is {}; only what is queued can be taken back", phase.word()))
        }
        None => app.say(Part::Warning, "select a message that waits"),
    }
}

pub(super) fn arrived(app: &mut App) {
    match selected_command(app) {
        Some((command, Phase::Ambiguous, about)) => {
            let question = format!("Is the {about} there? It is recorded as your word, not as the session's.");
            ask_first(app, &question, resolve(command, Decision::Delivered));
        }
        Some((_, phase, _)) => {
            app.say(Part::Warning, format!("it is {}; only what is uncertain is decided", phase.word()))
        }
        None => app.say(Part::Warning, "select an uncertain message"),
    }
}

fn resolve(command: String, decision: Decision) -> Dispatch {
    Dispatch::of(DispatchVerb::Resolve { command, decision, reason: "decided in the cockpit".to_owned() })
}
