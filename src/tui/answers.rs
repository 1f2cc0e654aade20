//! Answering what a session asks. Nothing here acts at one key: what will be done is quoted first,
//! with its command line, and asked about.

use super::{
    app::App,
    input::attach,
    keymap::{Intent, Place},
    layer::{Asked, Layer},
    message::{Effect, Failure, Load},
    screen,
    submitting::ask_first,
    theme::Part,
    works::works,
};
use crate::{
    actions::{QuestionView, SessionAnswer},
    base::Result,
    model::{
        board::SessionRow,
        pane::Prompt,
        question::{Question, Verdict},
        session::Registration,
        state::Condition,
    },
};

/// How long the commands wait for their proof, in seconds; their own default.
const WAIT: u64 = 10;

/// What a session asks is looked at anew after so many seconds at the earliest: a look is stored, and announced again.
const LOOK_SECONDS: i64 = 2;

/// Whether the selected session can be interrupted or answered from here.
pub(super) fn is_reachable(app: &App) -> bool {
    app.session().is_some_and(|session| session.registration == Registration::Active)
}

/// Whether the selected session is in this condition, as far as known; the keys work in any.
pub(super) fn is_in(app: &App, condition: Condition) -> bool {
    is_reachable(app) && app.session().is_some_and(|session| session.judgement.condition == condition)
}

/// What stands in the way of interrupting this session, as far as known: it asks something, in which Esc would be an
/// answer. With the keys that lead on.
#[must_use]
pub(super) fn asks_first(app: &App, name: &str) -> Option<String> {
    let is_meant = |row: &&SessionRow| row.name == name && row.registration == Registration::Active;
    let row = app.board()?.sessions.iter().find(is_meant)?;
    if row.judgement.condition != Condition::Blocked {
        return None;
    }
    let leaves = app.key_in(Place::Form, Intent::Back);
    let selects = if app.session().is_some_and(|selected| selected.id == row.id) { "" } else { "select it, " };
    let (answers, cancels) = (app.key(Intent::Answer), app.key_in(Place::Answer, Intent::CancelTurn));
    Some(format!(
        "{name} asks something, and is not interrupted while that is open: {leaves} leaves this; {selects}then {answers} \
         shows what it asks. {cancels} there says no and ends the turn."
    ))
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
    let looked_at = app.now;
    app.layers.push(Layer::Answer(Asked {
        session: id,
        name,
        questions: None,
        looked_at,
        is_asked: true,
        is_stale: false,
        selected: None,
        scroll: 0,
    }));
}

/// Something has changed, or may have: what is shown is looked at again.
pub(super) fn reload(app: &mut App, effects: &mut Vec<Effect>) {
    if let Some(Layer::Answer(asked)) = app.layers.last_mut() {
        asked.is_stale = true;
    }
    look_again(app, effects);
}

/// Looks again when that is due.
pub(super) fn look_again(app: &mut App, effects: &mut Vec<Effect>) {
    let now = app.now;
    if let Some(Layer::Answer(asked)) = app.layers.last_mut()
        && asked.is_stale
        && !asked.is_asked
        && asked.looked_at.age_seconds(now) >= LOOK_SECONDS
    {
        (asked.is_asked, asked.is_stale) = (true, false);
        effects.push(Effect::Load(Load::Questions(asked.session.clone())));
    }
}

/// The answer to [`Load::Questions`].
pub(super) fn arrived(app: &mut App, session: &str, result: Result<Vec<QuestionView>>) {
    let now = app.now;
    let asked = app.layers.iter_mut().find_map(|layer| match layer {
        Layer::Answer(asked) if asked.session == session => Some(asked),
        _ => None,
    });
    // Closed in the meantime: nobody waits for it.
    let Some(asked) = asked else { return };
    let before = asked.meant_at();
    asked.questions = Some(result.map_err(|error| Failure::from(&error)));
    (asked.looked_at, asked.is_asked) = (now, false);
    if asked.selected.is_none() {
        asked.selected = asked.views().first().map(|view| view.question.id.clone());
    }
    // Who reads is left where he reads.
    if asked.meant_at() != before {
        aim(app);
    }
}

/// Scrolls to the question that is meant.
fn aim(app: &mut App) {
    let first = match app.layers.last() {
        Some(Layer::Answer(asked)) => screen::layers::first_line(app, asked).min(screen::layers::overflow(app)),
        _ => return,
    };
    if let Some(Layer::Answer(asked)) = app.layers.last_mut() {
        asked.scroll = first;
    }
}

/// What a session wants, in plain words.
pub(super) fn wants(kind: Prompt) -> &'static str {
    match kind {
        Prompt::ApprovalCommand => "wants to run a command",
        Prompt::ApprovalPatch => "wants to change files",
        Prompt::ApprovalMcp => "wants to use a tool of a server",
        Prompt::ApprovalPermissions => "wants more permissions",
        Prompt::ApprovalNetwork => "wants to use the network",
        Prompt::ApprovalTerminalInput => "wants to type into a program that runs",
        Prompt::ApprovalFullAccess => "wants full access",
        Prompt::Approval => "wants an approval",
        Prompt::Question => "asks you a question",
        Prompt::PlanChoice => "asks what to do with its plan",
        Prompt::Trust => "asks whether its folder is trusted",
        Prompt::Login => "asks for a login",
        _ => "waits for a choice",
    }
}

/// Whether the question that is meant takes this answer.
pub(super) fn takes(app: &App, verdict: Verdict) -> bool {
    match app.layers.last() {
        Some(Layer::Answer(asked)) => asked.meant().is_some_and(|view| view.question.answers.contains(&verdict)),
        _ => false,
    }
}

/// The session whose questions are shown, or else the selected one.
pub(super) fn session(app: &App) -> Option<&SessionRow> {
    match app.layers.last() {
        Some(Layer::Answer(asked)) => app.board()?.sessions.iter().find(|row| row.id == asked.session),
        _ => app.session(),
    }
}

/// Why a question is not answered from here, and where it is; none for one that takes every answer.
pub(super) fn elsewhere(app: &App, question: &Question) -> Option<String> {
    let why = question.not_approvable.as_deref().unwrap_or_default();
    let why = why.trim_end_matches(": answer it in its pane");
    let what = match question.kind {
        _ if question.answers.contains(&Verdict::Approve) => return None,
        _ if !question.answers.is_empty() => format!("It cannot be approved from here: {why}."),
        Prompt::Question => "It wants a choice or words of yours, not a yes or no.".to_owned(),
        kind if kind.is_approval() => format!("It cannot be answered from here: {why}."),
        _ => "It waits for a choice on its own screen, which cannot be made from here.".to_owned(),
    };
    let attach = app.key_in(Place::Answer, Intent::Attach);
    Some(if works(app, Intent::Attach) {
        format!("{what} Answer it in its own pane: press {attach}. How to come back is said there.")
    } else {
        format!("{what} Answer it where the session runs: no pane of it is known here.")
    })
}

/// Everything that is known of what is asked, line by line. Nothing of it is cut: who says yes says it to all of it.
pub(super) fn facts(question: &Question) -> Vec<String> {
    let facts = [("asks", &question.asks), ("in", &question.cwd), ("reason", &question.reason)];
    let mut lines: Vec<String> =
        facts.into_iter().filter_map(|(name, fact)| Some(format!("{name}: {}", fact.as_ref()?))).collect();
    lines.extend(question.files.iter().map(|file| format!("changes: {file}")));
    lines.extend(question.choices.iter().map(|choice| format!("offers: {choice}")));
    // The further lines of one fact cannot be taken for another fact.
    lines.into_iter().map(|line| line.replace('\n', "\n  ")).collect()
}

/// What an answer does, in the words beside its key.
pub(super) fn word(question: &Question, verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Decline if question.ends_turn(verdict) => "decline, ends the turn",
        verdict => verdict.as_str(),
    }
}

/// What the key of an answer means.
pub(super) fn intent_of(verdict: Verdict) -> Intent {
    match verdict {
        Verdict::Approve => Intent::Approve,
        Verdict::Decline => Intent::Decline,
        Verdict::Cancel => Intent::CancelTurn,
    }
}

/// Keys while the layer is on top.
pub(super) fn key(app: &mut App, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let page = screen::layers::page(app);
    let limit = screen::layers::overflow(app);
    let Some(Layer::Answer(asked)) = app.layers.last_mut() else { return };
    let count = asked.views().len();
    match intent {
        Some(Intent::Back) => {
            app.layers.pop();
        }
        Some(Intent::Down | Intent::Up) if count > 1 || asked.has_lost() => {
            let at = match asked.meant_at() {
                None => 0,
                Some(at) if intent == Some(Intent::Down) => (at + 1).min(count.saturating_sub(1)),
                Some(at) => at.saturating_sub(1),
            };
            if let Some(view) = asked.views().get(at) {
                asked.selected = Some(view.question.id.clone());
            }
            aim(app);
        }
        Some(Intent::Down) => asked.scroll = (asked.scroll + 1).min(limit),
        Some(Intent::Up) => asked.scroll = asked.scroll.saturating_sub(1),
        Some(Intent::PageDown) => asked.scroll = (asked.scroll + page).min(limit),
        Some(Intent::PageUp) => asked.scroll = asked.scroll.saturating_sub(page),
        Some(Intent::Reload) => {
            (asked.is_asked, asked.is_stale) = (true, false);
            effects.push(Effect::Load(Load::Questions(asked.session.clone())));
        }
        Some(Intent::Attach) => {
            let (id, name) = (asked.session.clone(), asked.name.clone());
            if works(app, Intent::Attach) {
                // What was shown may be answered there.
                app.layers.pop();
                attach(app, id, name, effects);
            } else {
                app.say(Part::Warning, format!("no pane of {name} is known here"));
            }
        }
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
        let why = elsewhere(app, question).unwrap_or_else(|| "it takes no such answer".to_owned());
        app.say(Part::Warning, why);
        return;
    }
    let does = match verdict {
        Verdict::Approve => "Approve exactly this, this once?",
        Verdict::Decline if question.ends_turn(verdict) => {
            "Decline this? That ends the turn as well: on its screen Codex offers no other no (\"No, and tell Codex what to \
             do differently\"). It then waits for your next message."
        }
        Verdict::Decline => "Decline this? The turn goes on without it.",
        Verdict::Cancel => "Decline this and end the turn?",
    };
    let mut facts = facts(question);
    if question.asks.is_none() && question.files.is_empty() {
        facts.insert(0, "what it asks cannot be seen".to_owned());
    }
    let words = format!("{does}\n\n{} {} ({})\n{}", asked.name, wants(question.kind), question.kind, facts.join("\n"));
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
