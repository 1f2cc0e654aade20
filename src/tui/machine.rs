//! What the two screens about the program itself hold: Dispatch and Doctor.

use std::sync::Arc;

use super::{
    acts,
    app::App,
    ending,
    listing::Sides,
    loads::Slot,
    message::{Effect, Failure, Load},
    screen::{dispatch, doctor},
    submitting,
    theme::Part,
};
use crate::{
    actions::{Checkup, Command, Exchange},
    base::{
        Result,
        text::{age, one_line},
    },
};

/// For so long what doctor found is taken for what there is, when it is to be mended.
const FRESH_SECONDS: i64 = 30;

/// For so long a yes holds that was asked for.
const YES_SECONDS: i64 = 90;

/// The Dispatch screen's own state.
#[derive(Debug, Default)]
pub struct DispatchState {
    /// Who delivers, targets and their commands; beside them the selected one.
    pub view: Sides,
    /// What belongs to the selected command, by what it was asked for.
    pub exchange: Option<(String, Result<Arc<Exchange>, Failure>)>,
    slot: Slot<String>,
}

/// The Doctor screen's own state.
#[derive(Debug, Default)]
pub struct DoctorState {
    /// The findings, and the selected one in full.
    pub view: Sides,
    /// What was found last.
    pub checkup: Option<Result<Arc<Checkup>, Failure>>,
    /// It is being looked.
    pub is_looking: bool,
    slot: Slot<()>,
}

/// What a question of doctor's mends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mends {
    /// The finding's row.
    pub finding: String,
    /// What was found.
    pub about: String,
}

impl App {
    /// Asks for what belongs to the selected command.
    pub(super) fn ask_exchange(&mut self) -> Option<Effect> {
        let id = dispatch::exchange_of(self)?;
        self.dispatch.slot.ask(id).map(|id| Effect::Load(Load::Exchange(id)))
    }

    /// The answer to [`Load::Exchange`].
    pub(super) fn exchange_arrived(&mut self, id: String, result: Result<Exchange>, effects: &mut Vec<Effect>) {
        effects.extend(self.dispatch.slot.answered().map(|id| Effect::Load(Load::Exchange(id))));
        self.dispatch.exchange = Some((id, result.map(Arc::new).map_err(|error| Failure::from(&error))));
    }

    /// Looks what is wrong with installation and ledger. That takes tools and time, so it is done when somebody asks.
    pub(super) fn ask_checkup(&mut self) -> Option<Effect> {
        self.doctor.is_looking = true;
        self.doctor.slot.ask(()).map(|()| Effect::Load(Load::Checkup))
    }

    /// The same, unless it is under way.
    pub(super) fn ask_checkup_anew(&mut self) -> Option<Effect> {
        if self.doctor.is_looking { None } else { self.ask_checkup() }
    }

    /// The same, unless it was done or is under way.
    pub(super) fn ask_first_checkup(&mut self) -> Option<Effect> {
        if self.doctor.checkup.is_some() || self.doctor.is_looking { None } else { self.ask_checkup() }
    }

    /// The answer to [`Load::Checkup`].
    pub(super) fn checkup_arrived(&mut self, result: Result<Checkup>, effects: &mut Vec<Effect>) {
        let next = self.doctor.slot.answered();
        self.doctor.is_looking = next.is_some();
        effects.extend(next.map(|()| Effect::Load(Load::Checkup)));
        self.doctor.checkup = Some(result.map(Arc::new).map_err(|error| Failure::from(&error)));
    }
}

/// Asks whether what mends the selected finding is to be run; what was found too long ago is looked at anew instead.
pub(super) fn ask_repair(app: &mut App, command: Command, effects: &mut Vec<Effect>) {
    let Some(Ok(checkup)) = &app.doctor.checkup else { return };
    let Some(finding) = doctor::selected(app) else { return };
    let seconds = checkup.taken_at.age_seconds(app.now);
    let mends = Mends {
        finding: doctor::Row::Finding(finding).id(),
        about: format!("{}: {}", finding.about, one_line(&finding.message)),
    };
    if seconds > FRESH_SECONDS {
        effects.extend(app.ask_checkup_anew());
        let again = format!("that was found {} ago: it is looked at anew; press the key again then", age(seconds));
        app.say(Part::Warning, again);
        return;
    }
    let question = words(app, &mends, &command);
    submitting::ask_repair(app, &question, command, mends);
}

/// What is asked before a finding is mended, as of the newest look.
pub(super) fn words(app: &App, mends: &Mends, command: &Command) -> String {
    let words = acts::question_of(app, command).unwrap_or_else(|| "Run what mends it?".to_owned());
    let at = match &app.doctor.checkup {
        Some(Ok(checkup)) => format!("looked {} ago", ending::about(checkup.taken_at.age_seconds(app.now))),
        _ => "what it finds now is not known".to_owned(),
    };
    match still_asked_for(app, &mends.finding, command) {
        Some(false) => format!(
            "{words}\n\nDoctor does not ask for it any more, {at}: a yes runs nothing. It had found: {}",
            mends.about
        ),
        _ => format!("{words}\n\nDoctor's finding, {at}: {}", mends.about),
    }
}

/// Whether the newest look still finds this and would have it mended so; none when there is none.
fn still_asked_for(app: &App, finding: &str, command: &Command) -> Option<bool> {
    let Some(Ok(checkup)) = &app.doctor.checkup else { return None };
    let same = checkup.findings.iter().filter(|found| doctor::Row::Finding(found).id() == finding);
    let mut mended = same.filter_map(doctor::mending_of);
    Some(mended.any(|mending| matches!(mending, doctor::Mending::Run(now) if *now == ending::plain(command))))
}

/// Why a yes to mending this finding does not hold any more; none when it does.
pub(super) fn is_outdated(app: &mut App, id: &str, command: &Command, effects: &mut Vec<Effect>) -> Option<String> {
    let why = match &app.doctor.checkup {
        Some(Ok(checkup)) => {
            let seconds = checkup.taken_at.age_seconds(app.now);
            let holds = still_asked_for(app, id, command) == Some(true);
            match (holds, seconds > YES_SECONDS) {
                (true, false) => return None,
                (true, true) => format!("it was found {} ago, and is looked at anew", age(seconds)),
                (false, _) => "the newest look does not ask for it any more".to_owned(),
            }
        }
        _ => "what is wrong is not known now".to_owned(),
    };
    effects.extend(app.ask_checkup_anew());
    Some(format!("nothing was run: {why}"))
}
