//! What keys do on the screens.

use super::{
    acts::{self, Deed},
    answers,
    app::{App, Look, Screen},
    calls::Ringing,
    diff,
    form::{self, Subject},
    keymap::{Intent, Key, Place},
    layer::{About, Input, Layer, Purpose, Reader},
    look, marks,
    message::{Effect, Load},
    messages, over, pair, palette, receipts,
    screen::{self, fleet},
    theme::Part,
};
use crate::{
    actions::{
        Action, Argv, Chain, Command, Commands, Cycle, Dispatch, DispatchVerb, Doctor, Explain, List, Listed, Tail,
        Tasks,
    },
    model::{board::Attention, filter::Filter},
};

/// After how many seconds a cycle calls a busy screen notable; the command's own default.
pub(super) const BUSY_WAIT_SECONDS: i64 = 90;

/// Carries out a key.
pub fn key(app: &mut App, key: Key, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    match intent {
        Some(Intent::Repaint) => effects.push(Effect::Repaint),
        Some(Intent::Suspend) => effects.push(Effect::Suspend),
        Some(Intent::Quit) => quit(app, effects),
        Some(Intent::Pause) => messages::pause(app, effects),
        intent => match app.layers.last().map(Layer::place) {
            Some(Place::Help) => over::help(app, key, intent),
            Some(Place::Input) => over::input(app, key, intent, effects),
            Some(Place::Message) => messages::message(app, key, intent, effects),
            Some(Place::Reader) => over::reader(app, intent, effects),
            Some(Place::Confirm) => over::confirm(app, intent, effects),
            Some(Place::Answer) => answers::key(app, intent, effects),
            Some(Place::Form) => form::keys::key(app, key, intent, effects),
            Some(Place::Palette) => palette::key(app, key, intent, effects),
            Some(Place::Receipts) => receipts::keys::key(app, intent, effects),
            Some(Place::Snooze) => marks::snoozing(app, intent, effects),
            _ => {
                if let Some(intent) = intent {
                    on_screen(app, intent, effects);
                }
            }
        },
    }
}

/// Leaves, but asks first when something is still under way.
fn quit(app: &mut App, effects: &mut Vec<Effect>) {
    let running = app.receipts.running();
    let question = if running > 0 {
        Some(format!("{running} command(s) still running; leave without their results?"))
    } else {
        left_waiting(app)
    };
    match question {
        None => effects.push(Effect::Quit),
        Some(_) if matches!(app.layers.last(), Some(Layer::Confirm { .. })) => {}
        Some(question) => app.layers.push(Layer::Confirm { question, then: Effect::Quit, scroll: 0 }),
    }
}

/// What would wait for ever if this cockpit, the only dispatcher, were left now.
fn left_waiting(app: &App) -> Option<String> {
    let deliveries = app.deliveries()?;
    let delivering = deliveries.delivering();
    let waiting = deliveries.health.waiting;
    (waiting > 0 && delivering.this && delivering.others.is_empty()).then(|| {
        format!("{waiting} message(s) wait, and nobody but this cockpit delivers; leave them until somebody does?")
    })
}

/// Carries out what was chosen by name.
pub(super) fn on_screen_or_anywhere(app: &mut App, intent: Intent, effects: &mut Vec<Effect>) {
    match intent {
        Intent::Repaint => effects.push(Effect::Repaint),
        Intent::Quit => quit(app, effects),
        Intent::Pause => messages::pause(app, effects),
        intent => on_screen(app, intent, effects),
    }
}

fn on_screen(app: &mut App, intent: Intent, effects: &mut Vec<Effect>) {
    match intent {
        Intent::Down => step(app, 1, effects),
        Intent::Up => step(app, -1, effects),
        Intent::PageDown => step(app, page(app), effects),
        Intent::PageUp => step(app, -page(app), effects),
        Intent::Top => step(app, -FAR, effects),
        Intent::Bottom => step(app, FAR, effects),
        Intent::Open => open(app, effects),
        Intent::NextPane => next_pane(app),
        Intent::Back => back(app, effects),
        Intent::Fleet => show(app, Screen::Fleet, effects),
        Intent::Task => show(app, Screen::Task, effects),
        Intent::Events => show(app, Screen::Events, effects),
        Intent::Inbox => show(app, Screen::Inbox, effects),
        Intent::Dispatch => show(app, Screen::Dispatch, effects),
        Intent::Doctor => show(app, Screen::Doctor, effects),
        Intent::NextNeed => next_need(app, Step::Next, effects),
        Intent::PreviousNeed => next_need(app, Step::Previous, effects),
        Intent::Filter if app.screen == Screen::Doctor => app.say(Part::Warning, "findings are not filtered"),
        Intent::Filter => {
            let (purpose, text) = match app.screen {
                Screen::Fleet | Screen::Task | Screen::Inbox | Screen::Dispatch | Screen::Doctor => {
                    (Purpose::Filter, app.filter_text.clone())
                }
                Screen::Events => (Purpose::Search, app.events.search.clone()),
            };
            let selected = app.fleet.list.id.clone();
            app.layers.push(Layer::Input(Input { purpose, before: text.clone(), text, error: None, selected }));
        }
        Intent::Help => {
            let places = app.places();
            app.layers.push(Layer::Help { filter: String::new(), scroll: 0, places });
        }
        Intent::Explain => explain(app, effects),
        Intent::Attach => match app.session() {
            Some(session) => {
                let (id, name) = (session.id.clone(), session.name.clone());
                app.attending.attaches(name);
                effects.push(Effect::Load(Load::Attach(id)));
            }
            None => app.say(Part::Warning, "no session is selected"),
        },
        Intent::RawPane => {
            match app.screen {
                Screen::Task => app.pair.raw = !app.pair.raw,
                _ => app.fleet.raw = !app.fleet.raw,
            }
            effects.extend(app.ask_details());
        }
        Intent::Unfold => look::unfold(app),
        Intent::NextEntry => look::choose(app, 1, effects),
        Intent::PreviousEntry => look::choose(app, -1, effects),
        Intent::PanLeft => look::pan(app, -1),
        Intent::PanRight => look::pan(app, 1),
        Intent::Cycle => match app.task_name() {
            Some(task) => {
                let cycle = Cycle { task: task.to_owned(), busy_wait_seconds: BUSY_WAIT_SECONDS };
                submit(app, cycle, effects);
            }
            None => app.say(Part::Warning, "no task to observe: bind the session to a task first"),
        },
        Intent::Diff => diff::open(app, effects),
        Intent::Snooze => marks::snooze(app),
        Intent::Pin => marks::pin(app, effects),
        Intent::Unread => marks::unread(app, effects),
        Intent::Gone => marks::toggle_gone(app),
        Intent::Nudge => messages::nudge(app),
        Intent::Interrupt => answers::interrupt(app),
        Intent::Answer => answers::open(app, effects),
        Intent::Retry => messages::retry(app),
        Intent::TakeBack => messages::take_back(app),
        Intent::Arrived => messages::arrived(app),
        Intent::Adopt => form::keys::open(app, Subject::Adopt, effects),
        Intent::NewTask => form::keys::open(app, Subject::CreateTask, effects),
        Intent::StartWorker => form::keys::open(app, Subject::StartWorker, effects),
        Intent::Bind => form::keys::open(app, Subject::Bind, effects),
        Intent::Compact => form::keys::open(app, Subject::Compact, effects),
        Intent::Budget => form::keys::open(app, Subject::Budget, effects),
        Intent::Resume => form::keys::open(app, Subject::Resume, effects),
        Intent::Stop => acts::ask(app, Deed::Stop),
        Intent::Unbind => acts::ask(app, Deed::Unbind),
        Intent::Choose => messages::choose(app),
        Intent::Palette => palette::open(app),
        Intent::Receipts => receipts::keys::open(app),
        Intent::Follow => {
            app.events.toggle_follow();
            if app.events.follows() {
                effects.extend(app.ask_events(None));
            }
        }
        Intent::Kinds => {
            app.events.next_kinds();
            effects.extend(app.ask_events(None));
        }
        Intent::Jump => app.layers.push(Layer::Input(Input {
            purpose: Purpose::Jump,
            text: String::new(),
            before: String::new(),
            error: None,
            selected: None,
        })),
        Intent::Reload => {
            effects.extend(app.ask_board());
            effects.extend(if app.screen == Screen::Doctor {
                app.ask_checkup().into_iter().collect()
            } else {
                app.ask_details()
            });
            app.say(Part::Dim, "loading");
        }
        Intent::Copy => {
            let line = command_line(app, &shown(app));
            copy(app, line, effects);
        }
        Intent::Mouse => {
            app.mouse = !app.mouse;
            effects.push(Effect::Mouse(app.mouse));
            let text = if app.mouse { "mouse: clicks select" } else { "mouse: the terminal selects text" };
            app.say(Part::Dim, text);
        }
        Intent::Ringing => {
            app.ringing = app.ringing.next();
            let text = match app.ringing {
                Ringing::Off => "nobody is called",
                Ringing::Bell => "the bell calls you when a session needs you, failed or finished",
                Ringing::Desktop => "the desktop calls you when a session needs you, failed or finished",
            };
            app.say(Part::Dim, text);
        }
        // Keys of layers and those handled above.
        Intent::Accept
        | Intent::Erase
        | Intent::EraseAll
        | Intent::EraseNext
        | Intent::EraseWord
        | Intent::LineBreak
        | Intent::Left
        | Intent::Right
        | Intent::WordLeft
        | Intent::WordRight
        | Intent::LineStart
        | Intent::LineEnd
        | Intent::Yes
        | Intent::No
        | Intent::Approve
        | Intent::Decline
        | Intent::CancelTurn
        | Intent::NextField
        | Intent::PreviousField
        | Intent::Submit
        | Intent::Toggle
        | Intent::StartOver
        | Intent::Pause
        | Intent::Repaint
        | Intent::Suspend
        | Intent::Quit => {}
    }
}

/// Further than any list is long.
const FAR: isize = isize::MAX / 4;

fn page(app: &App) -> isize {
    let rows = match (app.screen, app.fleet.look) {
        (Screen::Fleet, Look::List) => fleet::visible_rows(app),
        (Screen::Events, _) => screen::events::visible_rows(app),
        (Screen::Inbox, _) if !app.inbox_view.detail => screen::inbox::visible_rows(app),
        (Screen::Dispatch, _) if !app.dispatch.view.detail => screen::dispatch::visible_rows(app),
        (Screen::Doctor, _) if !app.doctor.view.detail => screen::doctor::visible_rows(app),
        _ => usize::from(app.size.height).saturating_sub(6),
    };
    isize::try_from(rows.saturating_sub(1).max(1)).unwrap_or(1)
}

/// Moves the selection, or scrolls the pane that has the keyboard.
pub(super) fn step(app: &mut App, by: isize, effects: &mut Vec<Effect>) {
    match app.screen {
        Screen::Fleet if app.fleet.look == Look::List => {
            let next = app.fleet.list.moved(&fleet::ids(app), by);
            app.select(next, effects);
        }
        Screen::Fleet => look::scroll(app, by, effects),
        Screen::Task if pair::focus(app).is_some() => look::scroll(app, by, effects),
        Screen::Task => {
            let ids = screen::task::ids(app);
            app.task_view.step(&ids, by);
        }
        Screen::Inbox => {
            let ids = screen::inbox::ids(app);
            app.inbox_view.step(&ids, by);
        }
        Screen::Dispatch => {
            let ids = screen::dispatch::ids(app);
            let before = app.dispatch.view.list.id.clone();
            app.dispatch.view.step(&ids, by);
            if app.dispatch.view.list.id != before {
                effects.extend(app.ask_exchange());
            }
        }
        Screen::Doctor => {
            let ids = screen::doctor::ids(app);
            app.doctor.view.step(&ids, by);
        }
        Screen::Events => {
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

fn open(app: &mut App, effects: &mut Vec<Effect>) {
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
        Screen::Dispatch => app.dispatch.view.detail = true,
        Screen::Doctor => match screen::doctor::repair(app) {
            Some(line) => copy(app, line, effects),
            None => app.say(Part::Warning, "no single command mends it"),
        },
        Screen::Events => {
            if let Some(row) = app.events.selected_row() {
                let reader = screen::events::whole(row);
                app.layers.push(Layer::Reader(reader));
            }
        }
    }
}

fn next_pane(app: &mut App) {
    match app.screen {
        Screen::Fleet => {
            app.fleet.look = match app.fleet.look {
                Look::List => Look::Peek,
                Look::Peek | Look::Full => Look::List,
            };
        }
        Screen::Task => pair::next(app),
        Screen::Inbox => app.inbox_view.detail = !app.inbox_view.detail,
        Screen::Dispatch => app.dispatch.view.detail = !app.dispatch.view.detail,
        Screen::Doctor => app.doctor.view.detail = !app.doctor.view.detail,
        Screen::Events => {}
    }
}

fn back(app: &mut App, effects: &mut Vec<Effect>) {
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
        Screen::Task if app.task_view.detail => app.task_view.detail = false,
        Screen::Inbox if app.inbox_view.detail => app.inbox_view.detail = false,
        Screen::Dispatch if app.dispatch.view.detail => app.dispatch.view.detail = false,
        Screen::Doctor if app.doctor.view.detail => app.doctor.view.detail = false,
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
    let session = app.session().map(|row| (row.id.clone(), row.task_id.clone()));
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
    app.selection_changed(effects);
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

#[derive(Clone, Copy)]
enum Step {
    Next,
    Previous,
}

fn next_need(app: &mut App, step: Step, effects: &mut Vec<Effect>) {
    let rows = fleet::rows(app);
    let ids: Vec<(String, bool)> = rows.iter().map(|row| (row.id().to_owned(), row.wants_look(app.now))).collect();
    let hidden = app.board().is_some_and(|board| board.sessions.iter().any(|row| row.wants_look(app.now)));
    if !ids.iter().any(|(_, needs)| *needs) {
        let text = if hidden { "who needs you is hidden by the filter" } else { "nobody needs you" };
        app.say(Part::Dim, text);
        return;
    }
    let from = ids.iter().position(|(id, _)| Some(id) == app.fleet.list.id.as_ref()).unwrap_or(0);
    let next = (1..=ids.len()).map(|distance| match step {
        Step::Next => (from + distance) % ids.len(),
        Step::Previous => (from + ids.len() - distance) % ids.len(),
    });
    let found = next.map(|index| &ids[index]).find(|(_, needs)| *needs).map(|(id, _)| id.clone());
    if matches!(app.screen, Screen::Task | Screen::Inbox | Screen::Dispatch | Screen::Doctor) {
        // Also when the row is selected already: what it shows was loaded before the Task screen was opened.
        app.screen = Screen::Fleet;
        app.fleet.list.id = found;
        app.selection_changed(effects);
        return;
    }
    app.select(found, effects);
}

fn explain(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(session) = app.session() else {
        app.say(Part::Warning, "no session is selected");
        return;
    };
    let (id, name) = (session.id.clone(), session.name.clone());
    let command = command_line(app, &Explain { session: name.clone(), no_refresh: false }.argv());
    effects.push(Effect::Load(Load::Explain(id.clone())));
    app.layers.push(Layer::Reader(Reader {
        about: About::Explain(id),
        title: format!("why is {name} in this state"),
        text: vec![(Part::Dim, "looking".to_owned())],
        scroll: 0,
        command: Some(command),
    }));
}

/// Sends an action of the catalogue; nothing else can be sent.
pub(super) fn submit(app: &mut App, action: impl Listed, effects: &mut Vec<Effect>) {
    begin(app, action.into_command(), effects);
}

/// Asks before an action is submitted; the question shows its command line.
pub(super) fn ask_first(app: &mut App, question: &str, action: impl Listed) {
    ask_command(app, question, action.into_command());
}

/// The same for a command that is put together already.
pub(super) fn ask_command(app: &mut App, question: &str, command: Command) {
    let line = command_line(app, &command.argv());
    let question = format!("{question}\n\n{line}");
    app.layers.push(Layer::Confirm { question, then: Effect::Submit(command), scroll: 0 });
}

pub(super) fn begin(app: &mut App, command: Command, effects: &mut Vec<Effect>) {
    let line = command_line(app, &command.argv());
    app.say(Part::Dim, format!("running: {line}"));
    app.receipts.begin(line, app.now);
    effects.push(Effect::Submit(command));
}

/// The command that shows headless what the screen shows.
fn shown(app: &App) -> Argv {
    match (app.screen, app.session()) {
        (Screen::Fleet, Some(session)) => Explain { session: session.name.clone(), no_refresh: false }.argv(),
        (Screen::Fleet, None) => List { all: false, filter: None }.argv(),
        (Screen::Events, Some(session)) => {
            Tail { session: session.name.clone(), limit: 50, subtype: None, include_content: false }.argv()
        }
        (Screen::Inbox, _) => Commands {
            task: None,
            session: None,
            kind: None,
            state: None,
            phase: Vec::new(),
            attempts: true,
            redact: false,
            limit: 200,
            before: None,
            filter: None,
        }
        .argv(),
        (Screen::Dispatch, _) => match screen::dispatch::exchange_of(app) {
            Some(id) => Chain { id }.argv(),
            None => Dispatch::of(DispatchVerb::Status).argv(),
        },
        (Screen::Doctor, _) => Doctor { cwd: None, codex_home: None }.argv(),
        (Screen::Task, _) | (Screen::Events, None) => {
            Tasks { create: None, goal: None, summary: None, active: false, filter: None }.argv()
        }
    }
}

/// A command line as it is typed into a shell.
pub(super) fn command_line(app: &App, argv: &Argv) -> String {
    let mut words = app.settings.prefix.clone();
    words.extend(argv.words.iter().cloned());
    Argv { words, stdin: None }.shell_line()
}

pub(super) fn copy(app: &mut App, line: String, effects: &mut Vec<Effect>) {
    // Nobody answers an OSC 52: tmux, for one, drops it unless `set-clipboard` is on.
    app.say(Part::Dim, format!("sent to the clipboard, if the terminal takes it: {line}"));
    effects.push(Effect::Copy(line));
}
