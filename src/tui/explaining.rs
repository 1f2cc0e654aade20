//! Why a session is in its state, in a box that stays live: it is asked anew with each board, and ages go on in between.

use super::{
    app::App,
    backend::Explanation,
    layer::{About, Layer, Reader},
    loads::Slot,
    message::{Effect, Failure, Load},
    screen,
    submitting::command_line,
    theme::Part,
};
use crate::{
    actions::{Action as _, Explain},
    base::Result,
};

/// What is known of the state that is explained.
#[derive(Debug, Default)]
pub struct Explaining {
    /// The newest answer, with the session that it is about.
    answer: Option<(String, Result<Explanation, Failure>)>,
    slot: Slot<String>,
}

impl Explaining {
    /// The newest answer about this session.
    #[must_use]
    pub fn of(&self, session: &str) -> Option<&Result<Explanation, Failure>> {
        self.answer.as_ref().filter(|(id, _)| id == session).map(|(_, answer)| answer)
    }
}

/// Opens it for the selected session.
pub(super) fn open(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(session) = app.session() else {
        app.say(Part::Warning, "no session is selected");
        return;
    };
    let (id, name) = (session.id.clone(), session.name.clone());
    let command = command_line(app, &Explain { session: name.clone(), no_refresh: false }.argv());
    // What was told at another time is not shown for a moment.
    app.explaining.answer = None;
    ask(app, id.clone(), effects);
    app.layers.push(Layer::Reader(Reader {
        about: About::Explain(id),
        title: format!("why is {name} in this state"),
        text: Vec::new(),
        scroll: 0,
        command: Some(command),
    }));
}

/// The session that is explained on the screen.
fn shown(app: &App) -> Option<String> {
    app.layers.iter().find_map(|layer| match layer {
        Layer::Reader(Reader { about: About::Explain(id), .. }) => Some(id.clone()),
        _ => None,
    })
}

fn ask(app: &mut App, session: String, effects: &mut Vec<Effect>) {
    effects.extend(app.explaining.slot.ask(session).map(|id| Effect::Load(Load::Explain(id))));
}

/// A board has come: what is explained may read otherwise now.
pub(super) fn reload(app: &mut App, effects: &mut Vec<Effect>) {
    if let Some(id) = shown(app) {
        ask(app, id, effects);
    }
}

/// The answer to [`Load::Explain`]. Who reads is left where he reads.
pub(super) fn arrived(app: &mut App, session: String, result: Result<Explanation>, effects: &mut Vec<Effect>) {
    effects.extend(app.explaining.slot.answered().map(|id| Effect::Load(Load::Explain(id))));
    if shown(app).as_ref() != Some(&session) {
        return;
    }
    app.explaining.answer = Some((session, result.map_err(|error| Failure::from(&error))));
    // It may have become shorter.
    let limit = screen::layers::overflow(app);
    if let Some(Layer::Reader(reader @ Reader { about: About::Explain(_), .. })) = app.layers.last_mut() {
        reader.scroll = reader.scroll.min(limit);
    }
}
