//! The palette: everything that works now, by name, with its target and its command line; and sessions, tasks and
//! screens to go to.

mod rank;

use self::rank::{Ranking, Words};
use super::{
    acts::{self, Deed},
    app::{App, Screen},
    editing::{self, Lines},
    field::Field,
    form::{self, Subject},
    input::{self, BUSY_WAIT_SECONDS},
    keymap::{Binding, Intent, Key, Place},
    layer::Layer,
    message::Effect,
    messages, moving, policy, record, screen, submitting,
    theme::Part,
    works::works,
};
use crate::actions::{Action as _, Argv, Cycle, Diff, Dispatch, DispatchVerb, Explain, FinishTask, Open};

/// The longest text that is looked for, in bytes.
const MAX_TEXT: usize = 500;

/// The open palette.
#[derive(Debug, Default)]
pub struct Palette {
    /// What was typed.
    pub field: Field,
    /// The selected row: what it does, and its title, which names the target. Kept by that and not by its place, since
    /// a board that arrives may move the rows.
    pub selected: Option<(Does, String)>,
}

impl Palette {
    /// Pastes into the line.
    pub fn paste(&mut self, text: &str) {
        editing::paste(&mut self.field, Lines::One, text, MAX_TEXT);
    }

    /// The place of the selected row; none when it is there no longer.
    #[must_use]
    pub fn place(&self, rows: &[Item]) -> Option<usize> {
        let (does, title) = self.selected.as_ref()?;
        rows.iter().position(|row| row.does == *does && row.title == *title)
    }
}

/// Opens the palette.
pub(super) fn open(app: &mut App) {
    app.layers.push(Layer::Palette(Palette::default()));
    select(app, 0);
}

/// Pastes into the open palette.
pub(super) fn paste(app: &mut App, text: &str) {
    if let Some(Layer::Palette(palette)) = app.layers.last_mut() {
        palette.paste(text);
    }
    select(app, 0);
}

/// Selects the row at this place of the open palette.
fn select(app: &mut App, at: usize) {
    let Some(Layer::Palette(palette)) = app.layers.last() else { return };
    let row = found(app, palette.field.text()).into_iter().nth(at).map(|row| (row.does, row.title));
    if let Some(Layer::Palette(palette)) = app.layers.last_mut() {
        palette.selected = row;
    }
}

/// What a row does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// What this key does.
    Key(Intent),
    /// Opens a form.
    Form(Subject),
    /// Asks, and does it.
    Ask(Deed),
    /// Shows a screen.
    Screen(Screen),
    /// Selects this session in the fleet.
    Session(String),
    /// Selects this task.
    Task(String),
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it does, with its target.
    pub title: String,
    /// What it is about, or what it does in a sentence.
    pub about: String,
    /// Other names under which it is looked for: its command, the word of its key.
    pub also: String,
    /// The key that does the same.
    pub key: Option<String>,
    /// The command line that it runs or begins with.
    pub line: Option<String>,
    /// What it does.
    pub does: Does,
}

/// The rows that fit what was typed, the best first.
#[must_use]
pub fn found(app: &App, typed: &str) -> Vec<Item> {
    let mut ranking = Ranking::new(typed);
    let fit = |item: Item| {
        let words = Words { name: &item.title, also: &item.also, about: &item.about };
        Some((ranking.fit(words)?, item))
    };
    let mut found: Vec<_> = items(app).into_iter().filter_map(fit).collect();
    if !typed.trim().is_empty() {
        // Stable: what fits equally well keeps its order.
        found.sort_by_key(|(fit, _)| *fit);
    }
    found.into_iter().map(|(_, item)| item).collect()
}

/// Everything that works now.
fn items(app: &App) -> Vec<Item> {
    let mut places = app.places_below();
    places.push(Place::Always);
    let mut items: Vec<Item> = Vec::new();
    for item in app.settings.keymap.rows(&places).filter_map(|row| act(app, row)) {
        // What has keys in two places is offered once, with the key of the screen.
        if !items.iter().any(|other| other.does == item.does) {
            items.push(item);
        }
    }
    for deed in Deed::ALL {
        if let Some((title, command)) = acts::title(app, *deed) {
            let key = key_of(
                app,
                match deed {
                    Deed::Stop => Some(Intent::Stop),
                    Deed::Unbind => Some(Intent::Unbind),
                    Deed::PauseTask | Deed::ResumeTask => None,
                },
            );
            let argv = command.argv();
            let also = verb(&argv);
            let line = Some(submitting::command_line(app, &argv));
            let about = "asks before it does".to_owned();
            items.push(Item { title, about, also, key, line, does: Does::Ask(*deed) });
        }
    }
    for subject in Subject::ALL {
        if intent_of(*subject).is_some_and(|intent| !works(app, intent)) {
            continue;
        }
        let Ok(form) = form::fresh(app, *subject) else { continue };
        let about = form.about.clone().map_or_else(|| "a form".to_owned(), |about| format!("a form, for {about}"));
        let about = if subject.asks() { format!("{about}; asks before it does") } else { about };
        let lines = form.lines();
        let also = lines.first().map(verb).unwrap_or_default();
        let line = lines.first().map(|line| submitting::command_line(app, line));
        let title = subject.title().to_owned();
        let key = key_of(app, intent_of(*subject));
        items.push(Item { title, about, also, key, line, does: Does::Form(*subject) });
    }
    for screen in Screen::ALL.iter().copied() {
        let intent = screen.intent();
        if screen != app.screen && works(app, intent) {
            let title = format!("go to {screen}");
            let about = "a screen".to_owned();
            let key = key_of(app, Some(intent));
            items.push(Item { title, about, also: String::new(), key, line: None, does: Does::Screen(screen) });
        }
    }
    let Some(board) = app.board() else { return items };
    items.extend(board.sessions.iter().map(|row| {
        let task = row.task.as_deref().map(|task| format!(", task {task}")).unwrap_or_default();
        Item {
            title: format!("go to session {}", row.name),
            about: format!("{}, {}{task}", row.role, row.judgement.word()),
            also: String::new(),
            key: None,
            line: None,
            does: Does::Session(row.id.clone()),
        }
    }));
    items.extend(board.tasks.iter().map(|row| Item {
        title: format!("go to task {}", row.task.name),
        about: row.task.word().to_owned(),
        also: String::new(),
        key: None,
        line: None,
        does: Does::Task(row.task.id.clone()),
    }));
    items
}

/// The row of a key that acts on what is selected; none for moving about, and for what has rows of its own.
fn act(app: &App, row: &Binding) -> Option<Item> {
    let session = || app.session().map(|session| session.name.clone());
    let task = || app.task_name().map(str::to_owned);
    let (title, argv): (String, Option<Argv>) = match row.intent {
        Intent::Explain => {
            let session = session()?;
            (format!("explain {session}"), Some(Explain { session, no_refresh: false }.argv()))
        }
        Intent::Nudge => {
            let (to, _) = messages::addressees(app).ok()?;
            let names: Vec<&str> = to.iter().map(|(_, name)| name.as_str()).collect();
            (format!("nudge {}", names.join(", ")), to.first().map(|(_, name)| messages::send_to(name, "...").argv()))
        }
        Intent::Answer => (format!("answer {}", session()?), None),
        Intent::Attach => {
            let session = session()?;
            (format!("attach to {session}"), Some(Argv::new(Open::NAME).end_of_options().word(session)))
        }
        Intent::RawPane if if app.screen == Screen::Task { app.pair.raw } else { app.fleet.raw } => {
            (format!("show the conversation of {}", session()?), None)
        }
        Intent::RawPane => (format!("show the pane of {}", session()?), None),
        Intent::Diff => {
            let session = session()?;
            (format!("show what {session} has changed"), Some(Diff::of(session).argv()))
        }
        Intent::Cycle => {
            let task = task()?;
            (format!("cycle {task}"), Some(Cycle { task, busy_wait_seconds: BUSY_WAIT_SECONDS }.argv()))
        }
        Intent::Finish => {
            let row = form::selected_task(app)?;
            (format!("finish {}", row.task.name), Some(FinishTask::plain(&row.task.name).argv()))
        }
        Intent::Policy => {
            let task = &form::selected_task(app)?.task.name;
            (format!("show the terms of {task}"), Some(policy::shown(task)))
        }
        Intent::Record => {
            let task = &form::selected_task(app)?.task.name;
            (format!("show the record of {task}"), Some(record::shown(task)))
        }
        Intent::Criteria => {
            let row = form::selected_task(app)?;
            let list = ["criteria", &row.task.name, "--list"].map(str::to_owned).into();
            (format!("criteria of {}", row.task.name), Some(Argv { words: list, stdin: None }))
        }
        Intent::Pause if row.place != Place::Screen => return None,
        Intent::Pause => {
            let verb = if app.deliveries().is_some_and(|deliveries| deliveries.health.paused) {
                DispatchVerb::Resume { task: None, all: true }
            } else {
                DispatchVerb::Pause { task: None, all: true, reason: None }
            };
            let title =
                if matches!(verb, DispatchVerb::Resume { .. }) { "deliver again" } else { "stop all deliveries" };
            (title.to_owned(), Some(Dispatch::of(verb).argv()))
        }
        Intent::Retry | Intent::TakeBack | Intent::Arrived => (format!("{} the selected message", row.short), None),
        Intent::Snooze | Intent::Pin => (format!("{} {}", row.short, screen::fleet::selected(app)?.name()), None),
        Intent::Unread => (format!("mark {} unread", session()?), None),
        Intent::Gone => ("show or fold what is gone".to_owned(), None),
        Intent::Choose => (format!("choose {}", session()?), None),
        Intent::NextNeed
        | Intent::PreviousNeed
        | Intent::Filter
        | Intent::Help
        | Intent::Receipts
        | Intent::Reload
        | Intent::Copy
        | Intent::Mouse
        | Intent::Ringing
        | Intent::Repaint
        | Intent::Quit
        | Intent::WithWorker
        | Intent::WithManager
        | Intent::Kinds
        | Intent::Jump
        | Intent::Follow => (row.short.to_owned(), None),
        _ => return None,
    };
    works(app, row.intent).then(|| Item {
        title,
        about: row.help.to_owned(),
        also: format!("{} {} {}", row.short, row.intent, row.verb.unwrap_or_default()),
        key: row.keys.first().map(|key| key.name()),
        line: argv.map(|argv| submitting::command_line(app, &argv)),
        does: Does::Key(row.intent),
    })
}

/// The command word of a command line.
fn verb(argv: &Argv) -> String {
    argv.words.first().cloned().unwrap_or_default()
}

/// The key of a form.
fn intent_of(subject: Subject) -> Option<Intent> {
    match subject {
        Subject::CreateTask => Some(Intent::NewTask),
        Subject::StartWorker => Some(Intent::StartWorker),
        Subject::Adopt => Some(Intent::Adopt),
        Subject::Bind => Some(Intent::Bind),
        Subject::Compact => Some(Intent::Compact),
        Subject::Resume => Some(Intent::Resume),
        Subject::Budget => Some(Intent::Budget),
        Subject::Interrupt => Some(Intent::Interrupt),
        // Its key is about the selected one; by name it is found on every screen.
        Subject::Settle
        | Subject::StartManager
        | Subject::Pair
        | Subject::RegisterWorker
        | Subject::RegisterManager
        | Subject::Terms
        | Subject::Contract
        | Subject::Step
        | Subject::Reviewer
        | Subject::Deregister
        | Subject::Clear
        | Subject::AddCriterion
        | Subject::AcceptCriterion
        | Subject::SatisfyCriterion
        | Subject::DeferCriterion
        | Subject::RejectCriterion
        | Subject::FinishTask
        | Subject::StopTask
        | Subject::Judge
        | Subject::HaveJudged
        | Subject::ForgetReviewer
        | Subject::Propose
        | Subject::WorkerAck
        | Subject::ManagerAck
        | Subject::Handoff
        | Subject::Decide => None,
    }
}

fn key_of(app: &App, intent: Option<Intent>) -> Option<String> {
    app.settings.keymap.key_of(&[app.places_below(), vec![Place::Always]].concat(), intent?)
}

/// Carries out a key.
pub(super) fn key(app: &mut App, key: Key, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let Some(Layer::Palette(palette)) = app.layers.last() else { return };
    let rows = found(app, palette.field.text());
    let last = rows.len().saturating_sub(1);
    let page = screen::palette::visible_rows(app).max(1);
    let at = palette.place(&rows);
    let had = palette.selected.is_some();
    match (intent, at) {
        (Some(Intent::Back), _) => drop(app.layers.pop()),
        // What was selected is there no longer: one begins at the top.
        (Some(Intent::Down | Intent::Up | Intent::PageDown | Intent::PageUp), None) => select(app, 0),
        (Some(Intent::Down), Some(at)) => select(app, if at >= last { 0 } else { at + 1 }),
        (Some(Intent::Up), Some(at)) => select(app, if at == 0 { last } else { at - 1 }),
        (Some(Intent::PageDown), Some(at)) => select(app, (at + page).min(last)),
        (Some(Intent::PageUp), Some(at)) => select(app, at.saturating_sub(page)),
        (Some(Intent::Accept), Some(at)) => {
            if let Some(item) = rows.into_iter().nth(at) {
                app.layers.pop();
                perform(app, item.does, effects);
            }
        }
        (Some(Intent::Accept), None) if had => app.say(Part::Warning, "what was selected cannot be done any more"),
        (Some(Intent::Accept), None) => {}
        (intent, _) => {
            let Some(Layer::Palette(palette)) = app.layers.last_mut() else { return };
            let before = palette.field.text().to_owned();
            editing::edit(&mut palette.field, Lines::One, key, intent, MAX_TEXT);
            if palette.field.text() != before {
                select(app, 0);
            }
        }
    }
}

fn perform(app: &mut App, does: Does, effects: &mut Vec<Effect>) {
    match does {
        Does::Key(intent) => input::on_screen_or_anywhere(app, intent, effects),
        Does::Form(subject) => form::keys::open(app, subject, effects),
        Does::Ask(deed) => acts::ask(app, deed),
        Does::Screen(screen) => moving::show(app, screen, effects),
        Does::Session(id) => moving::go_to(app, id, effects),
        Does::Task(id) => {
            moving::show(app, Screen::Task, effects);
            let is_hidden = !app.tasks().iter().any(|row| row.task.id == id);
            let task = app.board().and_then(|board| board.tasks.iter().find(|row| row.task.id == id));
            let name = task.map_or_else(String::new, |row| row.task.name.clone());
            moving::unfilter(app, is_hidden, &name);
            app.task_view.select(id);
        }
    }
}
