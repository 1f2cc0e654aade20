//! What the two screens about the program itself hold: Dispatch and Doctor.

use std::sync::Arc;

use super::{
    app::App,
    listing::Sides,
    loads::Slot,
    message::{Effect, Failure, Load},
    screen::dispatch,
};
use crate::{
    actions::{Checkup, Exchange},
    base::Result,
};

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
