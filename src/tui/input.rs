//! What keys do on the screens.

use super::{
    acts::{self, Deed},
    answers,
    app::{App, Screen},
    calls::Ringing,
    criteria, diff, explaining, finish,
    form::{self, Subject},
    keymap::{Intent, Key, Place},
    layer::{Input, Layer, Purpose},
    look, marks,
    message::{Effect, Load},
    messages,
    moving::{FAR, back, next_pane, open, page, show, step},
    needing::{self, Step},
    operator, over, palette, policy, receipts, record, sheet,
    submitting::{command_line, copy, shown, submit},
    theme::Part,
};
use crate::{
    actions::{Cycle, TaskPolicy, TaskRecord},
    model::session::Registration,
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
            Some(Place::Finish) => finish::key(app, intent, effects),
            Some(Place::Policy) => policy::key(app, intent, effects),
            Some(Place::Record) => record::key(app, intent, effects),
            Some(Place::Criteria) => criteria::key(app, intent, effects),
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
        Some(match running {
            1 => "1 command still runs; leave without its result?".to_owned(),
            running => format!("{running} commands still run; leave without their results?"),
        })
    } else {
        left_waiting(app)
    };
    match question {
        None => effects.push(Effect::Quit),
        Some(_) if matches!(app.layers.last(), Some(Layer::Confirm { .. })) => {}
        Some(question) => {
            app.layers.push(Layer::Confirm { question, then: Effect::Quit, came_at: None, mends: None, scroll: 0 })
        }
    }
}

/// What would wait for ever if this cockpit, the only dispatcher, were left now.
fn left_waiting(app: &App) -> Option<String> {
    let deliveries = app.deliveries()?;
    let delivering = deliveries.delivering();
    let waiting = deliveries.health.waiting;
    (waiting > 0 && delivering.this && delivering.others.is_empty()).then(|| {
        let what = if waiting == 1 { "1 message waits".to_owned() } else { format!("{waiting} messages wait") };
        format!("{what}, and nobody but this cockpit delivers; leave that until somebody does?")
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
        Intent::NextNeed => needing::next(app, Step::Next, effects),
        Intent::PreviousNeed => needing::next(app, Step::Previous, effects),
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
        Intent::Explain => explaining::open(app, effects),
        Intent::Attach | Intent::RawPane if lost_pane(app).is_some() => {
            let why = lost_pane(app).unwrap_or_default();
            app.say(Part::Warning, why);
        }
        Intent::Attach => match app.session().map(|session| (session.id.clone(), session.name.clone())) {
            Some((id, name)) => attach(app, id, name, effects),
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
        Intent::Finish => finish::open(app, effects),
        Intent::Policy => sheet::open::<TaskPolicy>(app, effects),
        Intent::Record => sheet::open::<TaskRecord>(app, effects),
        Intent::Terms => form::keys::open(app, Subject::Terms, effects),
        Intent::Contract => form::keys::open(app, Subject::Contract, effects),
        Intent::Criteria => criteria::open(app),
        Intent::Snooze => marks::snooze(app),
        Intent::Pin => marks::pin(app, effects),
        Intent::Unread => marks::unread(app, effects),
        Intent::Gone => marks::toggle_gone(app),
        Intent::Nudge => messages::nudge(app),
        Intent::Interrupt => form::keys::open(app, Subject::Interrupt, effects),
        Intent::Answer if operator::is_answerable(app) => form::keys::open(app, Subject::Settle, effects),
        Intent::Answer => answers::open(app, effects),
        Intent::Settle if operator::selected(app).is_none() => {
            app.say(Part::Warning, "no question to you is selected");
        }
        Intent::Settle => form::keys::open(app, Subject::Settle, effects),
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
        | Intent::WithWorker
        | Intent::WithManager
        | Intent::AddCriterion
        | Intent::AcceptCriterion
        | Intent::SatisfyCriterion
        | Intent::DeferCriterion
        | Intent::RejectCriterion
        | Intent::StopTask
        | Intent::EndSaid
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
        | Intent::Judge
        | Intent::HaveJudged
        | Intent::Propose
        | Intent::WorkerAck
        | Intent::ManagerAck
        | Intent::Handoff
        | Intent::Decide
        | Intent::Quit => {}
    }
}

/// Goes to the session's pane.
pub(super) fn attach(app: &mut App, id: String, name: String, effects: &mut Vec<Effect>) {
    app.attending.attaches(name);
    effects.push(Effect::Load(Load::Attach(id)));
}

/// Why there is no pane of the selected session to be shown any more; none when there is one, or never was.
fn lost_pane(app: &App) -> Option<String> {
    let row = app.session().filter(|row| row.tmux_pane_id.is_some() && row.pane().is_none())?;
    Some(if row.registration == Registration::Gone {
        format!("{} is gone: there is no pane of it to show", row.name)
    } else {
        format!("the pane of {} is gone: there is nothing to show", row.name)
    })
}
