//! Interrupting a session and answering what it asks. Nothing here acts at one key: what will be done is quoted first,
//! with its command line, and asked about.

use super::{
    app::App,
    input::ask_first,
    keymap::Intent,
    layer::{Asked, Layer},
    message::{Effect, Failure, Load},
    theme::Part,
};
use crate::{
    actions::{QuestionView, SessionAnswer, SessionInterrupt},
    base::Result,
    model::{question::Verdict, session::Registration, state::Condition},
};

/// How long the commands wait for their proof, in seconds; their own default.
const WAIT: u64 = 10;

/// Whether the selected session can be interrupted or answered from here.
fn is_reachable(app: &App) -> bool {
    app.session().is_some_and(|session| session.registration == Registration::Active)
}

/// Whether the selected session is in this condition, as far as known; the keys work in any.
pub(super) fn is_in(app: &App, condition: Condition) -> bool {
    is_reachable(app) && app.session().is_some_and(|session| session.judgement.condition == condition)
}

pub(super) fn interrupt(app: &mut App) {
    let Some(name) = app.session().map(|session| session.name.clone()).filter(|_| is_reachable(app)) else {
        app.say(Part::Warning, "no session is selected that could be interrupted");
        return;
    };
    let question = format!("Interrupt the turn that runs in {name}? What it has not finished is lost.");
    ask_first(app, &question, interruption(&name));
}

/// The action that interrupts this session.
pub(super) fn interruption(session: &str) -> SessionInterrupt {
    SessionInterrupt { session: session.to_owned(), followup: None, wait: WAIT, no_wait: false }
}

/// Opens what the selected session asks.
pub(super) fn open(app: &mut App, effects: &mut Vec<Effect>) {
    let Some((id, name)) =
        app.session().map(|session| (session.id.clone(), session.name.clone())).filter(|_| is_reachable(app))
    else {
        app.say(Part::Warning, "no session is selected that could be answered");
        return;
    };
    effects.push(Effect::Load(Load::Questions(id.clone())));
    app.layers.push(Layer::Answer(Asked { session: id, name, questions: None, selected: 0 }));
}

/// The answer to [`Load::Questions`].
pub(super) fn arrived(app: &mut App, session: &str, result: Result<Vec<QuestionView>>) {
    let asked = app.layers.iter_mut().find_map(|layer| match layer {
        Layer::Answer(asked) if asked.session == session => Some(asked),
        _ => None,
    });
    // Closed in the meantime: nobody waits for it.
    let Some(asked) = asked else { return };
    let meant = asked.meant().map(|view| view.question.id.clone());
    asked.questions = Some(result.map_err(|error| Failure::from(&error)));
    if let Some(Ok(questions)) = &asked.questions {
        asked.selected = questions.iter().position(|view| Some(&view.question.id) == meant.as_ref()).unwrap_or(0);
    }
}

/// Keys while the layer is on top.
pub(super) fn key(app: &mut App, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let Some(Layer::Answer(asked)) = app.layers.last_mut() else { return };
    let count = asked.questions.as_ref().and_then(|questions| questions.as_ref().ok()).map_or(0, Vec::len);
    match intent {
        Some(Intent::Back) => {
            app.layers.pop();
        }
        Some(Intent::Down) => asked.selected = (asked.selected + 1).min(count.saturating_sub(1)),
        Some(Intent::Up) => asked.selected = asked.selected.saturating_sub(1),
        Some(Intent::Reload) => effects.push(Effect::Load(Load::Questions(asked.session.clone()))),
        Some(Intent::Approve) => decide(app, Verdict::Approve),
        Some(Intent::Decline) => decide(app, Verdict::Decline),
        Some(Intent::CancelTurn) => decide(app, Verdict::Cancel),
        _ => {}
    }
}

/// Quotes the question once more and asks whether it is to be answered so.
fn decide(app: &mut App, verdict: Verdict) {
    let Some(Layer::Answer(asked)) = app.layers.last() else { return };
    let Some(view) = asked.meant() else { return };
    let question = &view.question;
    if !question.answers.contains(&verdict) {
        let why = question.not_approvable.clone().unwrap_or_else(|| "it takes no such answer".to_owned());
        app.say(Part::Warning, why);
        return;
    }
    let does = match verdict {
        Verdict::Approve => "Approve exactly this, this once?",
        Verdict::Decline => "Decline this?",
        Verdict::Cancel => "Decline this and end the turn?",
    };
    let words = format!("{does}\n\n{} asks {}", asked.name, question.sentence());
    let action = SessionAnswer {
        session: asked.name.clone(),
        decision: Some(verdict),
        question: Some(question.id.clone()),
        expect: None,
        wait: WAIT,
    };
    // What was shown is over with the answer; a look comes with the next opening.
    app.layers.pop();
    ask_first(app, &words, action);
}
