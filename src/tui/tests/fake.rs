//! The cockpit on a fleet that never was: keys in, frames and effects out.

mod backend;
mod fleet;
mod machine;
mod sent;
mod told;

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend, layout::Size};

pub use self::{
    backend::{Fake, visit},
    fleet::*,
    machine::*,
    sent::*,
    told::*,
};
use crate::{
    actions::{Report, TaskReview},
    base::Result,
    model::conversation::Entry,
    tui::{
        app::{App, Settings, update},
        columns,
        keymap::Key,
        layer::Layer,
        message::{Effect, Load, Msg},
        screen,
        talk::Talk,
        theme::{Glyphs, Theme, ThemeName},
    },
};

pub fn settings(theme: ThemeName, ascii: bool) -> Settings {
    Settings {
        theme: Theme::new(theme),
        glyphs: Glyphs::new(ascii),
        prefix: vec!["conveyor".into()],
        announced: true,
        keymap: Arc::default(),
        columns: columns::DEFAULT.to_vec(),
        dwell: 5,
    }
}

/// A cockpit of this size before anything is known.
pub fn empty(width: u16, height: u16) -> App {
    let mut app = App::new(settings(ThemeName::Dark, false), NOW, Size::new(width, height), true);
    app.begin();
    app
}

/// A cockpit that shows [`board`].
pub fn app(width: u16, height: u16) -> App {
    let mut app = empty(width, height);
    update(&mut app, Msg::Board(Ok(board())));
    update(&mut app, Msg::Deliveries(Ok(quiet())));
    update(&mut app, said("session-w1", conversation()));
    app
}

/// The newest page of a conversation.
pub fn said(session: &str, entries: Vec<Entry>) -> Msg {
    Msg::Conversation(session.into(), Talk::query(None), Ok(entries))
}

/// The same with messages on their way.
pub fn app_with_messages(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    let mut board = board();
    board.sessions[1].unread = 1;
    update(&mut app, Msg::Board(Ok(board)));
    update(&mut app, Msg::Deliveries(Ok(busy())));
    app
}

/// The same with questions that are put to the operator.
pub fn app_with_questions(width: u16, height: u16) -> App {
    let mut app = app_with_messages(width, height);
    update(&mut app, Msg::Deliveries(Ok(asking())));
    app
}

/// Presses keys by the names that the help shows; the effects of all of them.
pub fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    keys.split_whitespace().flat_map(|name| update(app, Msg::Key(key(name)))).collect()
}

/// The newest command that was submitted comes to this end.
pub fn finish(app: &mut App, result: Result<Report>) -> Vec<Effect> {
    let line = app.receipts.list().first().expect("a submitted command").line.clone();
    update(app, Msg::Done(line, result))
}

/// The newest question how a task stands is answered.
pub fn reviewed(app: &mut App, result: Result<TaskReview>) -> Vec<Effect> {
    let newest = app.layers.iter().find_map(|layer| match layer {
        Layer::Finish(finishing) => Some(finishing.request),
        _ => None,
    });
    update(app, Msg::Review(newest.unwrap_or(1), result))
}

/// Types every character.
pub fn write(app: &mut App, text: &str) -> Vec<Effect> {
    text.chars().flat_map(|c| update(app, Msg::Key(Key::pressed(KeyCode::Char(c).into()).expect("a key")))).collect()
}

pub fn event(name: &str) -> KeyEvent {
    let (name, modifiers) = match name.strip_prefix("Ctrl-") {
        Some(rest) if rest.len() > 1 => (rest.to_owned(), KeyModifiers::CONTROL),
        Some(rest) => (rest.to_lowercase(), KeyModifiers::CONTROL),
        None => (name.to_owned(), KeyModifiers::NONE),
    };
    let code = match name.as_str() {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "Shift-Tab" => KeyCode::BackTab,
        "Space" => KeyCode::Char(' '),
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Delete" => KeyCode::Delete,
        "Down" => KeyCode::Down,
        "Up" => KeyCode::Up,
        "PgDn" => KeyCode::PageDown,
        "PgUp" => KeyCode::PageUp,
        "Backspace" => KeyCode::Backspace,
        name => KeyCode::Char(name.chars().next().expect("a key has a name")),
    };
    KeyEvent::new(code, modifiers)
}

fn key(name: &str) -> Key {
    Key::pressed(event(name)).expect("a key")
}

/// Effects as lines: commands as command lines, questions by name.
pub fn lines(effects: &[Effect]) -> Vec<String> {
    effects
        .iter()
        // What the Task screen asks of each task that it comes to has tests of its own.
        .filter(|effect| !matches!(effect, Effect::Load(Load::Criteria(_))))
        .map(|effect| match effect {
            Effect::Submit(command) => format!("conveyor {}", command.argv().shell_line()),
            Effect::Note { command, by_key } => {
                format!("{} {}", if *by_key { "note" } else { "look" }, command.argv().shell_line())
            }
            Effect::RunInTerminal(argv) => argv.join(" "),
            Effect::Copy(text) => format!("copy {text}"),
            Effect::Load(load) => format!("{load:?}"),
            Effect::Mouse(on) => format!("mouse {on}"),
            Effect::Ring(how, call) => format!("{how}: {}: {}", call.title, call.body),
            effect @ (Effect::Repaint | Effect::Suspend | Effect::Quit) => format!("{effect:?}"),
        })
        .collect()
}

/// The frame as text.
pub fn screen(app: &App) -> String {
    let mut terminal = Terminal::new(TestBackend::new(app.size.width, app.size.height)).expect("a test terminal");
    terminal.draw(|frame| screen::draw(app, frame)).expect("a frame");
    text(terminal.backend())
}

/// The characters of a test terminal, without the spaces at line ends.
pub fn text(backend: &TestBackend) -> String {
    let buffer = backend.buffer();
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut covered = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            // The second column of a wide character holds a space that is not shown.
            if covered == 0 {
                line.push_str(symbol);
                covered = unicode_width::UnicodeWidthStr::width(symbol).max(1);
            }
            covered -= 1;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
