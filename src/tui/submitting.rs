//! Command lines: submitted, asked about first, shown, copied.

use super::{
    app::{App, Screen},
    ending,
    layer::Layer,
    machine::Mends,
    message::Effect,
    screen::dispatch,
    theme::Part,
};
use crate::{
    actions::{
        Action as _, Argv, Chain, Command, Commands, Dispatch, DispatchVerb, Doctor, Explain, List, Listed, Tail, Tasks,
    },
    base::Timestamp,
};

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
    confirm(app, question, command, None, None);
}

/// The same for a command that mends what doctor found.
pub(super) fn ask_repair(app: &mut App, question: &str, command: Command, mends: Mends) {
    confirm(app, question, command, None, Some(mends));
}

/// The same when nobody has pressed a key for it: a key that was on its way to something else is no yes.
pub(super) fn put_command(app: &mut App, question: &str, command: Command) {
    confirm(app, question, command, Some(app.now), None);
}

fn confirm(app: &mut App, question: &str, command: Command, came_at: Option<Timestamp>, mends: Option<Mends>) {
    let command = ending::expecting(app, command);
    let question = with_line(app, question, &command);
    app.layers.push(Layer::Confirm { question, then: Effect::Submit(command), came_at, mends, scroll: 0 });
}

/// A question with the command line that a yes runs.
pub(super) fn with_line(app: &App, question: &str, command: &Command) -> String {
    format!("{question}\n\n{}", command_line(app, &command.argv()))
}

/// Submits it, with a receipt.
pub(super) fn begin(app: &mut App, command: Command, effects: &mut Vec<Effect>) {
    let argv = command.argv();
    let line = command_line(app, &argv);
    app.say(Part::Dim, format!("running: {line}"));
    app.ends.begun(&line, &command);
    app.receipts.begin(line, about(&argv), app.now);
    effects.push(Effect::Submit(command));
}

/// A command in short: what it does, and to whom or what.
fn about(argv: &Argv) -> String {
    let verb = argv.words.iter().take_while(|word| !word.starts_with('-')).map(String::as_str);
    let option = |word: &'_ String| {
        let named = ["--task=", "--session=", "--create="].into_iter().find_map(|name| word.strip_prefix(name));
        named.map(str::to_owned)
    };
    let first = argv.words.iter().skip_while(|word| *word != "--").nth(1).cloned();
    let target = first.or_else(|| argv.words.iter().find_map(option));
    verb.chain(target.as_deref()).collect::<Vec<_>>().join(" ")
}

/// The command that shows headless what the screen shows.
pub(super) fn shown(app: &App) -> Argv {
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
        (Screen::Dispatch, _) => match dispatch::exchange_of(app) {
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

/// Puts a command line on the clipboard.
pub(super) fn copy(app: &mut App, line: String, effects: &mut Vec<Effect>) {
    // Nobody answers an OSC 52: tmux, for one, drops it unless `set-clipboard` is on.
    app.say(Part::Dim, format!("sent to the clipboard, if the terminal takes it: {line}"));
    effects.push(Effect::Copy(line));
}
