//! Registers running sessions: first they are named, then it is asked, and only those that were named are taken.

use super::{
    app::App,
    input::ask_first,
    message::{Effect, Failure, Load},
    theme::Part,
    wrap::cut,
};
use crate::{
    actions::{Adoptable, Discover},
    base::Result,
    model::session::Role,
};

/// The most sessions in one question, and on a narrow screen: they are all named there, with the command line.
const AT_ONCE: usize = 8;
const AT_ONCE_NARROW: usize = 3;

/// Looks for sessions that could be registered.
pub(super) fn look(app: &mut App, effects: &mut Vec<Effect>) {
    app.say(Part::Dim, "looking for Codex sessions that run here");
    effects.push(Effect::Load(Load::Adoptable));
}

/// Asks about the sessions that were found.
pub(super) fn arrived(app: &mut App, result: Result<Vec<Adoptable>>) {
    app.notice = None;
    let found = match result {
        Ok(found) => found,
        Err(error) => return app.show_failure("discover", &Failure::from(&error)),
    };
    if found.is_empty() {
        return app.say(Part::Dim, "no Codex session runs here unregistered");
    }
    let at_once = if app.size.width < 80 { AT_ONCE_NARROW } else { AT_ONCE };
    let width = usize::from(app.size.width).saturating_sub(10);
    let named = &found[..found.len().min(at_once)];
    let mut question = "Register these Codex sessions as workers?".to_owned();
    for one in named {
        let folder = one.folder.as_deref().unwrap_or("folder not known");
        let pane = one.tmux_session.as_ref().map(|name| format!(" (tmux {name})")).unwrap_or_default();
        let line = format!("{}  {folder}{pane}", one.name);
        question.push('\n');
        question.push_str(&cut(&crate::base::text::clean(&line), width, app.settings.glyphs));
    }
    if found.len() > named.len() {
        question.push_str(&format!("\n{} more run here; ask again for them", found.len() - named.len()));
    }
    let adopt = Discover {
        query: None,
        all: false,
        cwd: None,
        limit: named.len(),
        adopt: true,
        role: Role::Worker,
        thread: named.iter().map(|one| one.thread.clone()).collect(),
        name: None,
    };
    ask_first(app, &question, adopt);
}
