//! What was said about a task, in a box over the Task screen: proposals and judgements, acknowledgements, the handoff,
//! decisions; and the forms that add to it.

use super::{
    app::App,
    form::{self, Subject},
    keymap::{Intent, Place},
    layer::Layer,
    message::{Effect, Load},
    screen,
    sheet::{self, OfTask, Sheet, known, scroll},
    submitting::{command_line, copy},
    theme::Part,
};
use crate::{
    actions::{Action as _, Argv, Command, Continuation, ContinuationReviewer, RecordedRound, TaskRecord},
    model::{
        board::TaskRow,
        supervision::{Proposer, ReviewVerdict},
    },
};

/// The record that is shown.
pub type Recorded = Sheet<TaskRecord>;

/// The command that lists the proposals.
#[must_use]
pub fn shown(task: &str) -> Argv {
    Argv::new(Continuation::NAME).switch("--list", true).switch("--include-payload", true).end_of_options().word(task)
}

impl OfTask for TaskRecord {
    fn load(task: String) -> Load {
        Load::Record(task)
    }

    fn layer(sheet: Box<Sheet<Self>>) -> Layer {
        Layer::Record(sheet)
    }

    fn sheet(layer: &Layer) -> Option<&Sheet<Self>> {
        if let Layer::Record(sheet) = layer { Some(sheet) } else { None }
    }

    fn sheet_mut(layer: &mut Layer) -> Option<&mut Sheet<Self>> {
        if let Layer::Record(sheet) = layer { Some(sheet) } else { None }
    }
}

/// The form of a key.
fn subject(intent: Intent) -> Option<Subject> {
    Some(match intent {
        Intent::Judge => Subject::Judge,
        Intent::HaveJudged => Subject::HaveJudged,
        Intent::Propose => Subject::Propose,
        Intent::WorkerAck => Subject::WorkerAck,
        Intent::ManagerAck => Subject::ManagerAck,
        Intent::Handoff => Subject::Handoff,
        Intent::Decide => Subject::Decide,
        _ => return None,
    })
}

/// The task whose record is shown.
pub(super) fn task(app: &App) -> Option<&TaskRow> {
    app.layers.iter().any(|layer| matches!(layer, Layer::Record(_))).then(|| form::selected_task(app)).flatten()
}

/// Why nothing can be said about it any more, or not for its worker and manager.
pub(super) fn why_not(row: &TaskRow) -> String {
    let name = &row.task.name;
    if row.task.state.is_open() {
        format!("{name} has no worker and no manager bound to it")
    } else {
        format!("{name} has ended: it is {}", row.task.state)
    }
}

/// Whether the key of a form opens one over the record that is shown.
#[must_use]
pub fn can(app: &App, intent: Intent) -> bool {
    let Some(row) = task(app).filter(|row| row.task.state.is_open()) else { return false };
    let known = known::<TaskRecord>(app, &row.task.name);
    let is_ready = known.is_some_and(|known| known.rounds.iter().any(RecordedRound::is_ready));
    match intent {
        Intent::Judge => is_ready,
        Intent::HaveJudged => is_ready && known.is_some_and(|known| known.has_reviewer),
        Intent::Decide => true,
        _ => form::active(row).is_some(),
    }
}

/// Why it does not.
fn missing(app: &App, intent: Intent) -> String {
    let Some(row) = task(app) else { return "no task is selected".to_owned() };
    match known::<TaskRecord>(app, &row.task.name) {
        _ if !row.task.state.is_open() => why_not(row),
        Some(known) if intent == Intent::HaveJudged && !known.has_reviewer => {
            let key = app.key_in(Place::Screen, Intent::Palette);
            format!("no program is set that judges; {key} finds: set who reviews")
        }
        _ if matches!(intent, Intent::Judge | Intent::HaveJudged) => {
            "there is no round in which both have proposed".to_owned()
        }
        _ => why_not(row),
    }
}

/// What is asked before a verdict is given, a proposal is made or the reviewer is forgotten; none for another command.
pub(super) fn question(app: &App, command: &Command) -> Option<String> {
    match command {
        Command::Continuation(Continuation { task, review: true, correlation_id, from_stdin, .. }) => {
            let round = correlation_id.as_deref().unwrap_or_default();
            let given = from_stdin.as_ref().and_then(|given| given.get().ok());
            let given: Option<serde_json::Value> = given.and_then(|given| serde_json::from_str(given).ok());
            let verdict: Option<ReviewVerdict> = given.and_then(|given| given["verdict"].as_str()?.parse().ok());
            let verdict = verdict.map_or("", ReviewVerdict::as_str);
            Some(format!(
                "Judge round {round} of {task}: {verdict}? Your word stands above every reviewer's and stays on record. \
                 What you are asked about the round is answered with it, and the task's manager is told that."
            ))
        }
        Command::Continuation(Continuation { task, submit: Some(proposer), correlation_id, .. }) => {
            let of = correlation_id.as_ref().map(|round| format!(" in round {round}")).unwrap_or_default();
            let instead = correlation_id.as_ref().filter(|_| *proposer == Proposer::Worker).map(|round| {
                let is_known = known::<TaskRecord>(app, task)
                    .is_some_and(|known| known.rounds.iter().any(|one| one.round == *round));
                let if_any = if is_known { "" } else { ", if there is one" };
                format!(" It takes the place of the worker's proposal in {round}{if_any}.")
            });
            Some(format!(
                "Propose for the {proposer} of {task}{of}?{} It is on record as yours. With the manager's proposal a \
                 round is final, and what the terms say follows.",
                instead.unwrap_or_default()
            ))
        }
        Command::ContinuationReviewer(ContinuationReviewer { task, unset: true, .. }) => Some(format!(
            "Forget the program that judges for {task}? Where the terms want a review, you are asked then."
        )),
        _ => None,
    }
}

/// Keys while the layer is on top.
pub(super) fn key(app: &mut App, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    if let Some((intent, subject)) = intent.and_then(|intent| Some((intent, subject(intent)?))) {
        if can(app, intent) {
            form::keys::open(app, subject, effects);
        } else {
            app.say(Part::Warning, missing(app, intent));
        }
        return;
    }
    let page = usize::from(app.size.height).saturating_sub(6).max(1);
    let limit = screen::layers::overflow(app);
    let Some(Layer::Record(recorded)) = app.layers.last_mut() else { return };
    match intent {
        Some(Intent::Back) => {
            app.layers.pop();
        }
        Some(Intent::Reload) => sheet::reload::<TaskRecord>(app, effects),
        Some(Intent::Copy) => {
            let argv = shown(&recorded.name);
            let line = command_line(app, &argv);
            copy(app, line, effects);
        }
        _ => scroll(&mut recorded.scroll, intent, page, limit),
    }
}
