//! The composer and the dialogs above it as a state machine: keys and pastes in, effects out.
//!
//! It keeps what a person has typed, decides when a key submits, and when it answers a dialog. It does no I/O, reads
//! no clock (times come with the input) and does not draw.

use super::dialect::{BusyEnter, Dialect};
use super::turn::{Asking, Decision};

/// Enter within this time after a burst of keys becomes a line feed.
const BURST_ENTER_MS: i64 = 120;
/// Keys closer together than this belong to one burst.
const BURST_GAP_MS: i64 = 30;
/// So many keys make a burst.
const BURST_KEYS: u32 = 3;
/// A paste longer than this is shown as a placeholder.
const LONG_PASTE: usize = 1000;

/// The commands that are known, with what the popup says about them.
pub const COMMANDS: &[(&str, &str)] = &[
    ("clear", "clear the terminal and start a new thread"),
    ("compact", "summarize conversation to prevent hitting the context limit"),
    ("exit", "exit Codex"),
    ("new", "start a new thread during a conversation"),
    ("quit", "exit Codex"),
    ("status", "show current session configuration and token usage"),
];

/// What a terminal hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A character key.
    Char(char),
    /// Enter.
    Enter,
    /// Tab.
    Tab,
    /// Escape.
    Esc,
    /// Backspace.
    Backspace,
    /// Up.
    Up,
    /// Down.
    Down,
    /// Ctrl-C.
    CtrlC,
    /// Ctrl-U.
    CtrlU,
    /// Ctrl-J or Shift-Enter.
    LineFeed,
    /// A bracketed paste.
    Paste(String),
}

/// What a key led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A message is sent.
    Submit(String),
    /// A message waits for the end of the turn.
    Queue(String),
    /// `!command`.
    UserShell(String),
    /// A command, without its slash.
    Command(&'static str),
    /// A `/word` nobody knows, with its slash.
    Unknown(String),
    /// The running turn is interrupted.
    Interrupt,
    /// An approval is answered.
    Decide(Decision),
    /// A question is answered with an option.
    Answer(usize),
    /// Codex is left.
    Exit,
}

/// A dialog that has the keyboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialog {
    /// Trust this folder?
    Trust,
    /// A dialog of the turn.
    Turn(Asking),
    /// Ctrl-C while a turn runs in the server.
    TaskRunning,
}

impl Dialog {
    /// The number of its entries.
    #[must_use]
    pub fn entries(&self) -> usize {
        match self {
            Dialog::Trust => 2,
            Dialog::Turn(Asking::Approval { .. }) | Dialog::TaskRunning => 3,
            Dialog::Turn(Asking::Question { options, .. }) => options.len() + 1,
        }
    }
}

/// A popup above the composer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Popup {
    /// Commands that begin like the text.
    Commands(Vec<(&'static str, &'static str)>),
    /// Files for an `@word` at the end.
    Files(Vec<String>),
    /// Skills for a `$word` at the end.
    Skills(Vec<String>),
}

/// The composer.
#[derive(Debug, Clone)]
pub struct Composer {
    dialect: Dialect,
    server: bool,
    text: String,
    pastes: Vec<(String, String)>,
    pasted: bool,
    dialog: Option<Dialog>,
    selected: usize,
    burst: u32,
    last_key: i64,
    esc_hint: bool,
    popup_closed: bool,
    swallow_enter: bool,
}

impl Composer {
    /// An empty composer. `server` tells whether the session lives in the shared server.
    #[must_use]
    pub fn new(dialect: Dialect, server: bool) -> Self {
        Self {
            dialect,
            server,
            text: String::new(),
            pastes: Vec::new(),
            pasted: false,
            dialog: None,
            selected: 0,
            burst: 0,
            last_key: i64::MIN / 2,
            esc_hint: false,
            popup_closed: false,
            swallow_enter: false,
        }
    }

    /// Opens the trust dialog.
    #[must_use]
    pub fn asking_for_trust(mut self) -> Self {
        self.dialog = Some(Dialog::Trust);
        self
    }

    /// The first Enter in the composer is lost.
    #[must_use]
    pub fn losing_first_enter(mut self) -> Self {
        self.swallow_enter = true;
        self
    }

    /// What stands in the composer, with placeholders for long pastes.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The dialog that hides the composer.
    #[must_use]
    pub fn dialog(&self) -> Option<&Dialog> {
        self.dialog.as_ref()
    }

    /// The selected entry of dialog or popup, from 0.
    #[must_use]
    pub fn selected(&self) -> usize {
        self.selected
    }

    /// Esc was pressed once in an empty composer.
    #[must_use]
    pub fn esc_hint(&self) -> bool {
        self.esc_hint
    }

    /// A leading `!` makes the text a command for the shell.
    #[must_use]
    pub fn shell_mode(&self) -> bool {
        self.text.starts_with('!')
    }

    /// The popup above the text, if one is open.
    #[must_use]
    pub fn popup(&self) -> Option<Popup> {
        if self.dialog.is_some() || self.popup_closed {
            return None;
        }
        if let Some(word) = self.text.strip_prefix('/').filter(|word| !word.contains(char::is_whitespace)) {
            let fitting: Vec<_> = COMMANDS.iter().filter(|(name, _)| name.starts_with(word)).copied().collect();
            return (!fitting.is_empty()).then_some(Popup::Commands(fitting));
        }
        let word = self.text.rsplit(char::is_whitespace).next().unwrap_or("");
        if let Some(name) = word.strip_prefix('@').filter(|name| !name.is_empty()) {
            return Some(Popup::Files(vec![format!("{name}.md"), "README.md".to_owned()]));
        }
        if let Some(name) = word.strip_prefix('$').filter(|name| name.chars().next().is_some_and(char::is_alphabetic)) {
            return Some(Popup::Skills(vec![name.to_owned()]));
        }
        None
    }

    /// Puts text back (an interrupted or a queued message).
    pub fn restore(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }

    /// Follows the turn: its dialog opens and closes with it.
    pub fn follow(&mut self, asking: Option<Asking>) {
        let wanted = asking.map(Dialog::Turn);
        let ours = match &self.dialog {
            None | Some(Dialog::Turn(_)) => true,
            Some(Dialog::Trust | Dialog::TaskRunning) => false,
        };
        if ours && self.dialog != wanted {
            self.dialog = wanted;
            self.selected = 0;
        }
    }

    /// Takes an input at `now` (milliseconds); `busy` tells whether a turn runs.
    pub fn handle(&mut self, input: Input, now: i64, busy: bool) -> Vec<Effect> {
        if self.dialog.is_some() {
            return self.in_dialog(&input);
        }
        let hinted = std::mem::take(&mut self.esc_hint);
        match input {
            Input::Char(c) => {
                self.burst = if now - self.last_key <= BURST_GAP_MS { self.burst + 1 } else { 1 };
                self.last_key = now;
                self.typed(c);
            }
            Input::LineFeed => self.typed('\n'),
            Input::Paste(text) => self.paste(&text),
            Input::Backspace => {
                self.popup_closed = false;
                self.delete_last();
            }
            Input::CtrlU => {
                let keep = self.text.rfind('\n').map_or(0, |at| at + 1);
                self.text.truncate(keep);
            }
            Input::Enter => {
                let in_burst = self.burst >= BURST_KEYS && now - self.last_key <= BURST_ENTER_MS;
                if in_burst {
                    self.last_key = now;
                    self.typed('\n');
                    return Vec::new();
                }
                return self.enter(busy);
            }
            Input::Tab => return self.tab(busy),
            Input::Esc => return self.escape(busy, hinted),
            Input::CtrlC => return self.ctrl_c(busy),
            Input::Up | Input::Down => self.move_selection(&input, self.popup().map_or(0, popup_len)),
        }
        Vec::new()
    }

    fn typed(&mut self, c: char) {
        self.popup_closed = false;
        self.selected = 0;
        if self.text.is_empty() {
            self.pasted = false;
        }
        self.text.push(c);
    }

    fn paste(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        self.popup_closed = false;
        self.selected = 0;
        self.pasted |= self.text.is_empty();
        let length = text.chars().count();
        if length <= LONG_PASTE {
            self.text.push_str(&text);
            return;
        }
        let base = format!("[Pasted Content {length} chars]");
        let same = self.pastes.iter().filter(|(shown, _)| shown.starts_with(&base)).count();
        let shown = if same == 0 { base } else { format!("{base} #{}", same + 1) };
        self.text.push_str(&shown);
        self.pastes.push((shown, text));
    }

    fn delete_last(&mut self) {
        if let Some(at) = self.pastes.iter().rposition(|(shown, _)| self.text.ends_with(shown.as_str())) {
            let (shown, _) = self.pastes.remove(at);
            self.text.truncate(self.text.len() - shown.len());
        } else {
            self.text.pop();
        }
    }

    fn take(&mut self) -> String {
        let mut text = std::mem::take(&mut self.text);
        // The longest first: `[…]` is a prefix of `[…] #2`.
        self.pastes.sort_by_key(|(shown, _)| std::cmp::Reverse(shown.len()));
        for (shown, content) in self.pastes.drain(..) {
            text = text.replacen(&shown, &content, 1);
        }
        self.burst = 0;
        self.popup_closed = false;
        text
    }

    fn enter(&mut self, busy: bool) -> Vec<Effect> {
        if std::mem::take(&mut self.swallow_enter) {
            return Vec::new();
        }
        match self.popup() {
            Some(Popup::Commands(fitting)) => {
                let (name, _) = fitting[self.selected.min(fitting.len() - 1)];
                if !self.pasted || self.dialect.runs_pasted_commands() {
                    self.take();
                    return vec![Effect::Command(name)];
                }
            }
            Some(Popup::Files(names) | Popup::Skills(names)) => {
                self.insert_entry(&names);
                return Vec::new();
            }
            None => {}
        }
        self.send(busy, SendBy::Enter)
    }

    fn insert_entry(&mut self, names: &[String]) {
        let begin = self.text.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        self.text.truncate(begin);
        self.text.push_str(&names[self.selected.min(names.len() - 1)]);
        self.text.push(' ');
        self.selected = 0;
    }

    fn tab(&mut self, busy: bool) -> Vec<Effect> {
        match self.popup() {
            Some(Popup::Commands(fitting)) => {
                let (name, _) = fitting[self.selected.min(fitting.len() - 1)];
                self.text = format!("/{name} ");
                return Vec::new();
            }
            Some(Popup::Files(names) | Popup::Skills(names)) => {
                self.insert_entry(&names);
                return Vec::new();
            }
            None => {}
        }
        let allowed = if busy { self.dialect.tab_queues() } else { self.dialect.tab_submits() };
        if allowed { self.send(busy, SendBy::Tab) } else { Vec::new() }
    }

    fn send(&mut self, busy: bool, by: SendBy) -> Vec<Effect> {
        let text = self.text.trim();
        if text.is_empty() {
            return Vec::new();
        }
        // A leading space disarms both first characters, and is removed with the rest of the margin.
        if let Some(command) = self.text.strip_prefix('!') {
            let command = command.trim().to_owned();
            self.take();
            return if command.is_empty() { Vec::new() } else { vec![Effect::UserShell(command)] };
        }
        let as_command = !self.pasted || self.dialect.runs_pasted_commands();
        if let Some(rest) = self.text.strip_prefix('/').filter(|_| as_command) {
            let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            // A path is a message; only a plain word is taken for a command.
            let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            match COMMANDS.iter().find(|(name, _)| *name == word) {
                Some((name, _)) if argument.trim().is_empty() => {
                    self.take();
                    return vec![Effect::Command(name)];
                }
                Some(_) => {}
                None if plain => return vec![Effect::Unknown(format!("/{word}"))],
                None => {}
            }
        }
        let message = self.take().trim().to_owned();
        match by {
            SendBy::Tab if busy => vec![Effect::Queue(message)],
            SendBy::Enter if busy && self.dialect.busy_enter() == BusyEnter::AfterTurn => vec![Effect::Queue(message)],
            SendBy::Tab | SendBy::Enter => vec![Effect::Submit(message)],
        }
    }

    fn escape(&mut self, busy: bool, hinted: bool) -> Vec<Effect> {
        if self.popup().is_some() {
            self.popup_closed = true;
        } else if busy {
            return vec![Effect::Interrupt];
        } else if self.text.is_empty() {
            self.esc_hint = !hinted;
        }
        Vec::new()
    }

    fn ctrl_c(&mut self, busy: bool) -> Vec<Effect> {
        if !self.text.is_empty() {
            self.take();
            return Vec::new();
        }
        match (busy, self.server) {
            (false, _) => vec![Effect::Exit],
            (true, false) => vec![Effect::Interrupt],
            (true, true) => {
                self.dialog = Some(Dialog::TaskRunning);
                self.selected = 0;
                Vec::new()
            }
        }
    }

    fn move_selection(&mut self, input: &Input, entries: usize) {
        if entries > 0 {
            let step = if *input == Input::Up { entries - 1 } else { 1 };
            self.selected = (self.selected + step) % entries;
        }
    }

    fn in_dialog(&mut self, input: &Input) -> Vec<Effect> {
        let Some(dialog) = self.dialog.clone() else { return Vec::new() };
        let entries = dialog.entries();
        match input {
            Input::Up | Input::Char('k') => self.move_selection(&Input::Up, entries),
            Input::Down | Input::Char('j') => self.move_selection(&Input::Down, entries),
            Input::Enter => return self.choose(&dialog, self.selected),
            Input::Esc | Input::CtrlC => return self.cancel(&dialog),
            Input::Char(c) => {
                if let Some(index) = c.to_digit(10).and_then(|digit| (digit as usize).checked_sub(1))
                    && index < entries
                {
                    return self.choose(&dialog, index);
                }
                if let Dialog::Turn(Asking::Approval { .. }) = dialog {
                    return match c {
                        'y' => self.choose(&dialog, 0),
                        'p' | 'a' => self.choose(&dialog, 1),
                        'n' => self.choose(&dialog, 2),
                        _ => Vec::new(),
                    };
                }
            }
            // A dialog takes neither pastes nor Tab.
            Input::Paste(_) | Input::Tab | Input::Backspace | Input::CtrlU | Input::LineFeed => {}
        }
        Vec::new()
    }

    fn choose(&mut self, dialog: &Dialog, index: usize) -> Vec<Effect> {
        self.dialog = None;
        self.selected = 0;
        match dialog {
            Dialog::Trust if index == 0 || !self.dialect.distrust_leaves() => Vec::new(),
            Dialog::Trust => vec![Effect::Exit],
            Dialog::TaskRunning if index == 0 => vec![Effect::Interrupt],
            Dialog::TaskRunning => vec![Effect::Exit],
            Dialog::Turn(Asking::Approval { .. }) => {
                vec![Effect::Decide([Decision::Yes, Decision::Always, Decision::No][index.min(2)])]
            }
            Dialog::Turn(Asking::Question { .. }) => vec![Effect::Answer(index)],
        }
    }

    fn cancel(&mut self, dialog: &Dialog) -> Vec<Effect> {
        self.dialog = None;
        self.selected = 0;
        match dialog {
            Dialog::Trust => vec![Effect::Exit],
            Dialog::TaskRunning => Vec::new(),
            Dialog::Turn(Asking::Approval { .. }) => vec![Effect::Decide(Decision::No)],
            Dialog::Turn(Asking::Question { .. }) => vec![Effect::Interrupt],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SendBy {
    Enter,
    Tab,
}

fn popup_len(popup: Popup) -> usize {
    match popup {
        Popup::Commands(entries) => entries.len(),
        Popup::Files(entries) | Popup::Skills(entries) => entries.len(),
    }
}
