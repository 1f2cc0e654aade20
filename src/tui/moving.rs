//! Moving about: in lists, between panes, between screens.

use super::{
    app::{App, Look, Screen},
    layer::Layer,
    look, machine,
    message::Effect,
    operator, pair,
    screen::{dispatch, doctor, events, fleet, inbox, list},
    submitting::copy,
    theme::Part,
};
use crate::model::{board::Attention, filter::Filter};

/// Further than any list is long.
pub(super) const FAR: isize = isize::MAX / 4;

/// How far one page goes.
pub(super) fn page(app: &App) -> isize {
    let rows = match (app.screen, list::of(app.screen)) {
        (Screen::Fleet, _) if app.fleet.look == Look::List => fleet::visible_rows(app),
        (Screen::Events, _) => events::visible_rows(app),
        (Screen::Inbox | Screen::Dispatch | Screen::Doctor, Some(list)) if !list.view(app).detail => {
            list.visible_rows(app)
        }
        _ => usize::from(app.size.height).saturating_sub(6),
    };
    isize::try_from(rows.saturating_sub(1).max(1)).unwrap_or(1)
}

/// Moves the selection, or scrolls the pane that has the keyboard.
pub(super) fn step(app: &mut App, by: isize, effects: &mut Vec<Effect>) {
    match (app.screen, list::of(app.screen)) {
        (Screen::Fleet, _) if app.fleet.look == Look::List => {
            let next = app.fleet.list.moved(&fleet::ids(app), by);
            app.select(next, effects);
        }
        (Screen::Fleet, _) => look::scroll(app, by, effects),
        (Screen::Task, _) if pair::focus(app).is_some() => look::scroll(app, by, effects),
        (_, Some(list)) => {
            let ids = list.ids(app);
            let before = list.view(app).list.id.clone();
            list.view_mut(app).step(&ids, by);
            if list.view(app).list.id != before {
                app.selection_changed(effects);
            }
        }
        (_, None) => {
            let followed = app.events.follows();
            if let Some(before) = app.events.step(by) {
                effects.extend(app.ask_events(Some(before)));
            } else if app.events.follows() && !followed {
                // What is held may have lost its newest end.
                effects.extend(app.ask_events(None));
            }
        }
    }
}

/// Looks closer at what is selected.
pub(super) fn open(app: &mut App, effects: &mut Vec<Effect>) {
    match app.screen {
        Screen::Fleet => {
            app.fleet.look = match app.fleet.look {
                Look::List => Look::Peek,
                Look::Peek | Look::Full => Look::Full,
            };
        }
        Screen::Task => match app.session().map(|session| session.id.clone()) {
            Some(id) => go_to(app, id, effects),
            None => app.say(Part::Warning, "the task has no worker now"),
        },
        Screen::Inbox => match app.session().map(|session| session.id.clone()) {
            Some(id) => go_to(app, id, effects),
            None => app.say(Part::Warning, "nothing is selected"),
        },
        Screen::Dispatch => {
            let view = &mut app.dispatch.view;
            (view.detail, view.whole) = (true, true);
        }
        Screen::Doctor => match doctor::mending(app) {
            Some(doctor::Mending::Run(command)) => machine::ask_repair(app, *command, effects),
            Some(doctor::Mending::Copy(line)) => copy(app, line, effects),
            None => app.say(Part::Warning, "no single command mends it"),
        },
        Screen::Events => {
            if let Some(row) = app.events.selected_row() {
                let reader = events::whole(row);
                app.layers.push(Layer::Reader(reader));
            }
        }
    }
}

/// Gives the keyboard to the next pane.
pub(super) fn next_pane(app: &mut App) {
    match app.screen {
        Screen::Fleet => {
            app.fleet.look = match app.fleet.look {
                Look::List => Look::Peek,
                Look::Peek | Look::Full => Look::List,
            };
        }
        Screen::Task => pair::next(app),
        screen => {
            if let Some(list) = list::of(screen) {
                let view = list.view_mut(app);
                if !view.back() {
                    view.detail = true;
                }
            }
        }
    }
}

/// Backs out one level.
pub(super) fn back(app: &mut App, effects: &mut Vec<Effect>) {
    match app.screen {
        Screen::Fleet if app.fleet.look != Look::List => {
            if !look::choose_none(app) {
                app.fleet.look = if app.fleet.look == Look::Full { Look::Peek } else { Look::List };
            }
        }
        Screen::Task if pair::focus(app).is_some() => {
            if !look::choose_none(app) {
                pair::back(app);
            }
        }
        screen if list::of(screen).is_some_and(|list| list.view(app).detail) => {
            if let Some(list) = list::of(screen) {
                list.view_mut(app).back();
            }
        }
        Screen::Events if app.events.stop_looking() => {}
        Screen::Events if !app.events.search.is_empty() => {
            app.events.set_search("");
            effects.extend(app.ask_events(None));
        }
        Screen::Fleet if !app.fleet.chosen.is_empty() => app.fleet.chosen.clear(),
        Screen::Fleet | Screen::Task | Screen::Inbox | Screen::Dispatch if !app.filter_text.is_empty() => {
            app.filter_text.clear();
            app.filter = Filter::default();
        }
        Screen::Task | Screen::Events | Screen::Inbox | Screen::Dispatch | Screen::Doctor => {
            show(app, Screen::Fleet, effects)
        }
        Screen::Fleet => {}
    }
}

/// Switches screens and takes the selection along.
pub(super) fn show(app: &mut App, screen: Screen, effects: &mut Vec<Effect>) {
    if app.screen == screen {
        return;
    }
    // A message that lies there selected, and that nobody went to, is nobody's choice of a session.
    let is_chosen = row(app).is_none_or(|row| app.came_upon.as_deref() != Some(row));
    let session = app.session().filter(|_| is_chosen).map(|row| (row.id.clone(), row.task_id.clone()));
    let left = std::mem::replace(&mut app.screen, screen);
    match (left, session) {
        (Screen::Inbox | Screen::Dispatch, Some((_, Some(task)))) if screen == Screen::Task => {
            app.task_view.list.id = Some(task)
        }
        (Screen::Task | Screen::Inbox | Screen::Dispatch, Some((id, _)))
            if matches!(screen, Screen::Fleet | Screen::Events) =>
        {
            reveal(app, id);
        }
        (Screen::Task | Screen::Inbox | Screen::Dispatch, Some((id, _))) if fleet::ids(app).contains(&id) => {
            app.fleet.list.id = Some(id);
        }
        (Screen::Fleet | Screen::Events, Some((_, Some(task)))) if screen == Screen::Task => {
            app.task_view.list.id = Some(task)
        }
        // A row of the fleet that is no session is a task.
        (Screen::Fleet, None) if app.board().is_some() && app.fleet.list.id.is_some() => {
            app.task_view.list.id.clone_from(&app.fleet.list.id)
        }
        _ => {}
    }
    match screen {
        Screen::Dispatch => dispatch::start(app),
        // What was found is as old as the last look.
        Screen::Doctor => effects.extend(app.ask_checkup_anew()),
        // What is put to the operator comes first.
        Screen::Inbox if operator::selected(app).is_none() => {
            if let Some(question) = operator::questions(app).first() {
                app.inbox_view.list.id = Some(inbox::question_id(question.id));
            }
        }
        Screen::Fleet | Screen::Task | Screen::Events | Screen::Inbox => {}
    }
    app.selection_changed(effects);
    app.came_upon = row(app).map(str::to_owned);
}

/// The selected row of a screen whose rows are messages.
fn row(app: &App) -> Option<&str> {
    match app.screen {
        Screen::Inbox | Screen::Dispatch => list::of(app.screen)?.view(app).list.id.as_deref(),
        Screen::Fleet | Screen::Task | Screen::Events | Screen::Doctor => None,
    }
}

/// Shows a session in the fleet.
pub(super) fn go_to(app: &mut App, id: String, effects: &mut Vec<Effect>) {
    app.screen = Screen::Fleet;
    reveal(app, id);
    app.selection_changed(effects);
}

/// Selects a session in the fleet and lets it have a row there: else the selection would pass to another one.
fn reveal(app: &mut App, id: String) {
    let row = app.board().and_then(|board| board.sessions.iter().find(|row| row.id == id));
    if let Some(row) = row {
        let name = row.name.clone();
        let is_hidden = !app.filter.matches_session(row, app.now);
        let is_gone = row.attention == Attention::Gone;
        unfilter(app, is_hidden, &name);
        if is_gone && !app.filter.asks_for_gone() {
            app.attending.shows_gone = true;
        }
    }
    app.fleet.list.id = Some(id);
}

/// Clears the filter when it hides what is gone to, and says so.
pub(super) fn unfilter(app: &mut App, is_hidden: bool, name: &str) {
    if is_hidden {
        app.filter_text.clear();
        app.filter = Filter::default();
        app.say(Part::Warning, format!("the filter is cleared: it hid {name}"));
    }
}
