//! The one table of keys: it feeds the dispatcher, the footer, the help and the documentation.
//!
//! A row says where a key works, what it means and in which words that is told. Keys of capabilities that have not
//! landed do not stand here.

use std::{borrow::Cow, str::FromStr};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde::Serialize;

use crate::text_enum;

text_enum! {
    /// Where a key works. A layer on top hides the screens below it.
    pub enum Place {
        /// Everywhere.
        Always => "always",
        /// On every screen, while no layer is open.
        Screen => "screen",
        /// On the Fleet screen.
        Fleet => "fleet",
        /// On the Task screen.
        Task => "task",
        /// On the Events screen.
        Events => "events",
        /// On the Inbox screen.
        Inbox => "inbox",
        /// On the Dispatch screen.
        Dispatch => "dispatch",
        /// On the Doctor screen.
        Doctor => "doctor",
        /// In an input line.
        Input => "input",
        /// In a message that is written.
        Message => "message",
        /// In the help.
        Help => "help",
        /// In a text that is only read: messages, explanations.
        Reader => "reader",
        /// In a question.
        Confirm => "confirm",
        /// Over what a session asks.
        Answer => "answer",
        /// In a form.
        Form => "form",
        /// In the palette.
        Palette => "palette",
        /// In the list of receipts.
        Receipts => "receipts",
        /// Over the lengths of a snooze.
        Snooze => "snooze",
    }
}

text_enum! {
    /// What a key means.
    pub enum Intent {
        /// Next row or line.
        Down => "down",
        /// Previous row or line.
        Up => "up",
        /// First row.
        Top => "top",
        /// Last row.
        Bottom => "bottom",
        /// One page on.
        PageDown => "page_down",
        /// One page back.
        PageUp => "page_up",
        /// Look closer.
        Open => "open",
        /// Show a long entry in full.
        Unfold => "unfold",
        /// Choose the next entry.
        NextEntry => "next_entry",
        /// Choose the previous entry.
        PreviousEntry => "previous_entry",
        /// See more of the left.
        PanLeft => "pan_left",
        /// See more of the right.
        PanRight => "pan_right",
        /// The next pane gets the keyboard.
        NextPane => "next_pane",
        /// Back out one level.
        Back => "back",
        /// Show the Fleet screen.
        Fleet => "show_fleet",
        /// Show the Task screen.
        Task => "show_task",
        /// Show the Events screen.
        Events => "show_events",
        /// Show the Inbox screen.
        Inbox => "show_inbox",
        /// Show the Dispatch screen.
        Dispatch => "show_dispatch",
        /// Show the Doctor screen.
        Doctor => "show_doctor",
        /// The next row that needs the operator.
        NextNeed => "next_need",
        /// The previous row that needs the operator.
        PreviousNeed => "previous_need",
        /// Edit the filter.
        Filter => "filter",
        /// Take what was typed.
        Accept => "accept",
        /// Delete the last character.
        Erase => "erase",
        /// Delete the character under the cursor.
        EraseNext => "erase_next",
        /// Delete back to the beginning of a word.
        EraseWord => "erase_word",
        /// Begin a new line.
        LineBreak => "line_break",
        /// One character back.
        Left => "left",
        /// One character on.
        Right => "right",
        /// One word back.
        WordLeft => "word_left",
        /// One word on.
        WordRight => "word_right",
        /// To the beginning of the line.
        LineStart => "line_start",
        /// To the end of the line.
        LineEnd => "line_end",
        /// Delete the whole input.
        EraseAll => "erase_all",
        /// Show the keys.
        Help => "help",
        /// Show why a session is in its state.
        Explain => "explain",
        /// Hand the terminal to the session's pane.
        Attach => "attach",
        /// Show the pane instead of the conversation.
        RawPane => "raw_pane",
        /// Observe the task's worker once.
        Cycle => "cycle",
        /// Write a message to the worker.
        Nudge => "nudge",
        /// End the running turn.
        Interrupt => "interrupt",
        /// Show what the session asks.
        Answer => "answer",
        /// Say yes to what it asks, this once.
        Approve => "approve",
        /// Say no to what it asks.
        Decline => "decline",
        /// Say no to what it asks, and end the turn.
        CancelTurn => "cancel_turn",
        /// Stop every delivery, or let deliveries go on.
        Pause => "pause",
        /// Queue what was given up again.
        Retry => "retry",
        /// Take back what waits.
        TakeBack => "take_back",
        /// Say that an uncertain message arrived.
        Arrived => "arrived",
        /// Show what a session has changed in its working tree.
        Diff => "diff",
        /// Put the row aside for a while.
        Snooze => "snooze",
        /// Pin the row, or let it go.
        Pin => "pin",
        /// Mark the session unread.
        Unread => "unread",
        /// Show the sessions that are gone, or fold them.
        Gone => "gone",
        /// Register the sessions that run unregistered.
        Adopt => "adopt",
        /// Choose a row for what goes to several, or let it go.
        Choose => "choose",
        /// Record a task.
        NewTask => "new_task",
        /// Start a worker.
        StartWorker => "start_worker",
        /// Bind worker and manager to a task.
        Bind => "bind",
        /// End a binding.
        Unbind => "unbind",
        /// Have a worker compact its context.
        Compact => "compact",
        /// Limit a task's nudges.
        Budget => "budget",
        /// End a session.
        Stop => "stop",
        /// Bring a session back.
        Resume => "resume",
        /// Everything that can be done now, by name.
        Palette => "palette",
        /// What was submitted from here.
        Receipts => "receipts",
        /// The next field of a form.
        NextField => "next_field",
        /// The previous field of a form.
        PreviousField => "previous_field",
        /// Do what the form says.
        Submit => "submit",
        /// The next value, or check and uncheck.
        Toggle => "toggle",
        /// Empty the form.
        StartOver => "start_over",
        /// Follow new events.
        Follow => "follow",
        /// Show only one kind of events.
        Kinds => "kinds",
        /// Go to a byte offset.
        Jump => "jump",
        /// Load everything again.
        Reload => "reload",
        /// Copy the command line.
        Copy => "copy",
        /// Give the mouse back to the terminal, or take it.
        Mouse => "mouse",
        /// Call the operator in another way, or not at all.
        Ringing => "ringing",
        /// Draw everything anew.
        Repaint => "repaint",
        /// Put the program into the background.
        Suspend => "suspend",
        /// Leave.
        Quit => "quit",
        /// Do it.
        Yes => "yes",
        /// Leave it.
        No => "no",
    }
}

/// A key with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    code: KeyCode,
    control: bool,
}

impl Key {
    /// What was pressed. Shift is part of a character already, and no other modifier is used.
    #[must_use]
    pub fn pressed(event: KeyEvent) -> Option<Self> {
        if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
            return None;
        }
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let code = match event.code {
            KeyCode::Char(c) if control => KeyCode::Char(c.to_ascii_lowercase()),
            code => code,
        };
        Some(Self { code, control })
    }

    /// The character it types, if it types one.
    #[must_use]
    pub fn character(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if !self.control => Some(c),
            _ => None,
        }
    }

    /// The key as people write it: `j`, `PgDn`, `Ctrl-L`.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) if self.control => c.to_ascii_uppercase().to_string(),
            KeyCode::Char(c) => c.to_string(),
            // The library's names differ from system to system.
            KeyCode::Enter => "Enter".to_owned(),
            KeyCode::Backspace => "Backspace".to_owned(),
            KeyCode::Delete => "Del".to_owned(),
            KeyCode::Insert => "Ins".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::BackTab => "Shift-Tab".to_owned(),
            code => code.to_string(),
        };
        if self.control { format!("Ctrl-{name}") } else { name }
    }
}

/// A text that names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no key; keys are a character, Ctrl- and a letter, F1 to F12, or Enter, Tab, Esc, Space, PgDn, PgUp, \
         Home, End, Up, Down, Left, Right, Ins, Del, Backspace"
)]
pub struct UnknownKey(String);

impl FromStr for Key {
    type Err = UnknownKey;

    /// Reads what [`Key::name`] writes.
    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        let unknown = || UnknownKey(crate::base::text::bounded(&crate::base::text::clean(text), 40));
        let (rest, control) = match text.strip_prefix("Ctrl-") {
            Some(rest) if !rest.is_empty() => (rest, true),
            _ => (text, false),
        };
        let mut characters = rest.chars();
        let code = match (characters.next(), characters.next()) {
            (Some(c), None) if control => KeyCode::Char(c.to_ascii_lowercase()),
            (Some(c), None) if !c.is_control() && c != ' ' => KeyCode::Char(c),
            _ => match rest {
                "Enter" => Enter,
                "Tab" => Tab,
                "Shift-Tab" => KeyCode::BackTab,
                "Esc" => Esc,
                "Space" => KeyCode::Char(' '),
                "PgDn" => PageDown,
                "PgUp" => PageUp,
                "Home" => Home,
                "End" => End,
                "Up" => Up,
                "Down" => Down,
                "Left" => Left,
                "Right" => Right,
                "Del" => Delete,
                "Ins" => KeyCode::Insert,
                "Backspace" => Backspace,
                _ => {
                    let number = rest.strip_prefix('F').and_then(|number| number.parse::<u8>().ok());
                    KeyCode::F(number.filter(|number| (1..=12).contains(number)).ok_or_else(unknown)?)
                }
            },
        };
        Ok(Self { code, control })
    }
}

const fn c(letter: char) -> Key {
    Key { code: KeyCode::Char(letter), control: false }
}

const fn ctrl(letter: char) -> Key {
    Key { code: KeyCode::Char(letter), control: true }
}

const fn ctrl_k(code: KeyCode) -> Key {
    Key { code, control: true }
}

const fn k(code: KeyCode) -> Key {
    Key { code, control: false }
}

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Binding {
    /// Where it works.
    pub place: Place,
    /// The keys that mean it.
    pub keys: Cow<'static, [Key]>,
    /// What they mean.
    pub intent: Intent,
    /// The footer's word.
    pub short: &'static str,
    /// The help's sentence.
    pub help: &'static str,
    /// The command word that does the same without the cockpit; none for moving about.
    pub verb: Option<&'static str>,
}

const fn moves(place: Place, keys: &'static [Key], intent: Intent, short: &'static str, help: &'static str) -> Binding {
    Binding { place, keys: Cow::Borrowed(keys), intent, short, help, verb: None }
}

const fn does(
    place: Place,
    keys: &'static [Key],
    intent: Intent,
    verb: &'static str,
    short: &'static str,
    help: &'static str,
) -> Binding {
    Binding { place, keys: Cow::Borrowed(keys), intent, short, help, verb: Some(verb) }
}

use KeyCode::{BackTab, Backspace, Delete, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right, Tab, Up};

/// The table. The footer shows the rows of the place in this order, as many as fit.
pub const BINDINGS: &[Binding] = &[
    moves(Place::Fleet, &[k(Enter)], Intent::Open, "peek", "look at it, and it is seen; again for the full screen"),
    does(
        Place::Screen,
        &[c('x')],
        Intent::Explain,
        "explain",
        "explain",
        "show which rule and bytes led to this state",
    ),
    does(
        Place::Screen,
        &[c('n')],
        Intent::Nudge,
        "session-nudge",
        "nudge",
        "write a message to the session, or to all chosen ones",
    ),
    does(
        Place::Screen,
        &[c('!'), c('i')],
        Intent::Interrupt,
        "session-interrupt",
        "interrupt",
        "end the turn that runs, after a question",
    ),
    does(
        Place::Screen,
        &[c('y'), c('N')],
        Intent::Answer,
        "session-answer",
        "answer",
        "show what the session asks, and answer it there",
    ),
    does(Place::Inbox, &[c('R')], Intent::Retry, "dispatch", "retry", "queue again what was given up, or is uncertain"),
    does(
        Place::Inbox,
        &[c('X')],
        Intent::TakeBack,
        "dispatch",
        "cancel",
        "take back what waits, or is uncertain: not arrived",
    ),
    does(Place::Inbox, &[c('V')], Intent::Arrived, "dispatch", "arrived", "say that an uncertain message arrived"),
    does(Place::Screen, &[c('a')], Intent::Attach, "open", "attach", "hand the terminal to the session's pane"),
    does(
        Place::Fleet,
        &[c('p')],
        Intent::RawPane,
        "capture",
        "pane",
        "show the pane itself, or the conversation again",
    ),
    does(Place::Task, &[c('p')], Intent::RawPane, "capture", "pane", "show the pane itself, or the conversation again"),
    does(Place::Screen, &[c('d')], Intent::Diff, "diff", "diff", "show what it has changed in its working tree"),
    does(
        Place::Fleet,
        &[c('s')],
        Intent::Snooze,
        "mark",
        "snooze",
        "put it aside; it wakes by itself, or when it asks or fails",
    ),
    does(Place::Fleet, &[c('P')], Intent::Pin, "mark", "pin", "let it stand first in its tier, or let it go"),
    does(Place::Fleet, &[c('u')], Intent::Unread, "mark", "unread", "mark it unread, to come back to it"),
    moves(Place::Fleet, &[c('H')], Intent::Gone, "gone", "show the sessions that are gone, or fold them"),
    moves(Place::Task, &[k(Enter)], Intent::Open, "worker", "show the worker of the task in the fleet"),
    does(Place::Fleet, &[c('c')], Intent::Cycle, "cycle", "cycle", "observe the worker of this task once, now"),
    does(Place::Task, &[c('c')], Intent::Cycle, "cycle", "cycle", "observe the worker of this task once, now"),
    moves(Place::Events, &[k(Enter)], Intent::Open, "whole", "show the whole text of the event"),
    moves(Place::Events, &[c('F')], Intent::Follow, "follow", "stay at the newest event, or stop doing so"),
    moves(Place::Events, &[c('t')], Intent::Kinds, "kinds", "show all events, or only messages, tools, turns, errors"),
    moves(Place::Events, &[c('@')], Intent::Jump, "jump", "go to a byte offset of the rollout"),
    moves(Place::Dispatch, &[k(Enter)], Intent::Open, "whole", "read tries, proof and the whole exchange"),
    does(
        Place::Dispatch,
        &[c('R')],
        Intent::Retry,
        "dispatch",
        "retry",
        "queue again what was given up, or is uncertain",
    ),
    does(
        Place::Dispatch,
        &[c('X')],
        Intent::TakeBack,
        "dispatch",
        "cancel",
        "take back what waits, or is uncertain: not arrived",
    ),
    does(Place::Dispatch, &[c('V')], Intent::Arrived, "dispatch", "arrived", "say that an uncertain message arrived"),
    moves(Place::Doctor, &[k(Enter)], Intent::Open, "repair", "copy the command that mends the finding"),
    does(
        Place::Doctor,
        &[c('D')],
        Intent::Adopt,
        "discover",
        "adopt",
        "register the Codex sessions that run here unregistered",
    ),
    moves(
        Place::Screen,
        &[c('/')],
        Intent::Filter,
        "filter",
        "filter rows: state: task: role: age> text; events: text",
    ),
    moves(Place::Screen, &[c('?')], Intent::Help, "help", "show the keys"),
    moves(Place::Screen, &[c('q')], Intent::Quit, "quit", "leave the cockpit"),
    moves(Place::Screen, &[c('w')], Intent::NextNeed, "next", "the next one that needs you, or that you have not seen"),
    moves(Place::Screen, &[k(Esc)], Intent::Back, "back", "back out one level; at the top, clear the filter"),
    moves(Place::Screen, &[k(Tab)], Intent::NextPane, "pane", "give the keyboard to the next pane"),
    moves(Place::Screen, &[c('1')], Intent::Fleet, "fleet", "the fleet: who needs you"),
    moves(Place::Screen, &[c('2')], Intent::Task, "task", "tasks with their bindings and cycles"),
    moves(Place::Screen, &[c('3')], Intent::Events, "events", "rollout events of the session"),
    moves(Place::Screen, &[c('4')], Intent::Inbox, "inbox", "messages: given up, waiting, and in the inboxes"),
    moves(Place::Screen, &[c('5')], Intent::Dispatch, "dispatch", "who delivers, queues, tries and proofs"),
    moves(Place::Screen, &[c('8')], Intent::Doctor, "doctor", "what is wrong here, and what mends it"),
    does(
        Place::Screen,
        &[c('S')],
        Intent::Pause,
        "dispatch",
        "stop",
        "emergency stop: deliver nothing anywhere; again: go on",
    ),
    moves(Place::Screen, &[c('W')], Intent::PreviousNeed, "previous", "the previous session that needs you"),
    does(
        Place::Fleet,
        &[c('D')],
        Intent::Adopt,
        "discover",
        "adopt",
        "choose Codex sessions that run here and register them",
    ),
    moves(Place::Fleet, &[c('o')], Intent::Unfold, "unfold", "show the whole of a long entry, or fold it again"),
    moves(
        Place::Fleet,
        &[c('[')],
        Intent::PreviousEntry,
        "entry back",
        "choose the previous entry of the conversation",
    ),
    moves(Place::Fleet, &[c(']')], Intent::NextEntry, "entry", "choose the next entry of the conversation"),
    moves(Place::Fleet, &[c('h'), k(Left)], Intent::PanLeft, "pan left", "show more of a wide pane's left side"),
    moves(Place::Fleet, &[c('l'), k(Right)], Intent::PanRight, "pan right", "show more of a wide pane's right side"),
    moves(Place::Task, &[c('o')], Intent::Unfold, "unfold", "show the whole of a long entry, or fold it again"),
    moves(Place::Task, &[c('[')], Intent::PreviousEntry, "entry back", "choose the previous entry of the conversation"),
    moves(Place::Task, &[c(']')], Intent::NextEntry, "entry", "choose the next entry of the conversation"),
    moves(Place::Task, &[c('h'), k(Left)], Intent::PanLeft, "pan left", "show more of a wide pane's left side"),
    moves(Place::Task, &[c('l'), k(Right)], Intent::PanRight, "pan right", "show more of a wide pane's right side"),
    moves(
        Place::Screen,
        &[c(':'), ctrl('p')],
        Intent::Palette,
        "palette",
        "find anything that can be done now, and sessions and tasks",
    ),
    moves(Place::Screen, &[c('L')], Intent::Receipts, "receipts", "what was submitted from here, and what came of it"),
    moves(Place::Fleet, &[c(' ')], Intent::Choose, "choose", "choose the session: a nudge goes to all chosen ones"),
    does(Place::Screen, &[c('T')], Intent::NewTask, "tasks", "new task", "record a new task"),
    does(Place::Screen, &[c('+')], Intent::StartWorker, "start-worker", "start", "start a worker"),
    does(Place::Screen, &[c('b')], Intent::Bind, "bind", "bind", "bind a worker and a manager to a task"),
    does(Place::Screen, &[c('U')], Intent::Unbind, "unbind", "unbind", "end the task's binding, after a question"),
    does(
        Place::Screen,
        &[c('C')],
        Intent::Compact,
        "compact-worker",
        "compact",
        "have a task's worker compact its context",
    ),
    does(
        Place::Screen,
        &[c('B')],
        Intent::Budget,
        "manager-config",
        "budget",
        "limit how often a task's worker is nudged",
    ),
    does(Place::Screen, &[c('K')], Intent::Stop, "stop", "end", "end the session, after a question"),
    does(Place::Screen, &[c('Z')], Intent::Resume, "resume", "resume", "bring back a session that has ended"),
    moves(Place::Screen, &[c('j'), k(Down)], Intent::Down, "down", "next row or line"),
    moves(Place::Screen, &[c('k'), k(Up)], Intent::Up, "up", "previous row or line"),
    moves(Place::Screen, &[c('g'), k(Home)], Intent::Top, "top", "first row or line"),
    moves(Place::Screen, &[c('G'), k(End)], Intent::Bottom, "bottom", "last row or line"),
    moves(Place::Screen, &[k(PageDown), ctrl('d'), ctrl('f')], Intent::PageDown, "page", "one page on"),
    moves(Place::Screen, &[k(PageUp), ctrl('u'), ctrl('b')], Intent::PageUp, "page back", "one page back"),
    moves(Place::Screen, &[c('r')], Intent::Reload, "reload", "load everything again"),
    moves(Place::Screen, &[c('Y')], Intent::Copy, "copy", "copy the command line that shows the same"),
    moves(Place::Screen, &[c('M')], Intent::Mouse, "mouse", "give the mouse to the terminal for selecting, or take it"),
    moves(Place::Screen, &[c('A')], Intent::Ringing, "alarm", "call you by bell, by the desktop, or not at all"),
    moves(Place::Input, &[k(Enter)], Intent::Accept, "take", "take what is typed"),
    moves(Place::Input, &[k(Esc)], Intent::Back, "leave", "leave it as it was"),
    moves(Place::Input, &[k(Backspace), ctrl('h')], Intent::Erase, "erase", "delete the last character"),
    moves(Place::Input, &[ctrl('u')], Intent::EraseAll, "clear", "delete everything typed"),
    moves(Place::Message, &[k(Enter)], Intent::Accept, "queue", "queue the message"),
    moves(Place::Message, &[ctrl('j')], Intent::LineBreak, "new line", "begin a new line"),
    moves(Place::Message, &[k(Esc)], Intent::Back, "leave", "leave it; what was typed comes back"),
    moves(Place::Message, &[k(Backspace), ctrl('h')], Intent::Erase, "erase", "delete the character before the cursor"),
    moves(
        Place::Message,
        &[k(Delete), ctrl('d')],
        Intent::EraseNext,
        "delete",
        "delete the character under the cursor",
    ),
    moves(Place::Message, &[ctrl('w')], Intent::EraseWord, "word", "delete back to the beginning of a word"),
    moves(Place::Message, &[ctrl('u')], Intent::EraseAll, "clear", "delete everything typed"),
    moves(Place::Message, &[k(Left), ctrl('b')], Intent::Left, "left", "one character back"),
    moves(Place::Message, &[k(Right), ctrl('f')], Intent::Right, "right", "one character on"),
    moves(Place::Message, &[ctrl_k(Left)], Intent::WordLeft, "word back", "one word back"),
    moves(Place::Message, &[ctrl_k(Right)], Intent::WordRight, "word on", "one word on"),
    moves(Place::Message, &[k(Home), ctrl('a')], Intent::LineStart, "start", "to the beginning of the line"),
    moves(Place::Message, &[k(End), ctrl('e')], Intent::LineEnd, "end", "to the end of the line"),
    moves(Place::Message, &[k(Up), ctrl('p')], Intent::Up, "up", "one line up"),
    moves(Place::Message, &[k(Down), ctrl('n')], Intent::Down, "down", "one line down"),
    moves(Place::Help, &[k(Esc)], Intent::Back, "close", "close the help"),
    moves(Place::Help, &[k(Enter)], Intent::Accept, "close", "close the help"),
    moves(Place::Help, &[k(Down)], Intent::Down, "down", "scroll on"),
    moves(Place::Help, &[k(Up)], Intent::Up, "up", "scroll back"),
    moves(Place::Help, &[k(PageDown)], Intent::PageDown, "page", "one page on"),
    moves(Place::Help, &[k(PageUp)], Intent::PageUp, "page back", "one page back"),
    moves(Place::Help, &[k(Backspace), ctrl('h')], Intent::Erase, "erase", "delete the last character"),
    moves(Place::Help, &[ctrl('u')], Intent::EraseAll, "all", "show all keys again"),
    moves(Place::Reader, &[k(Esc), c('q'), k(Enter)], Intent::Back, "close", "close it"),
    moves(Place::Reader, &[c('j'), k(Down)], Intent::Down, "down", "scroll on"),
    moves(Place::Reader, &[c('k'), k(Up)], Intent::Up, "up", "scroll back"),
    moves(Place::Reader, &[c('g'), k(Home)], Intent::Top, "top", "first line"),
    moves(Place::Reader, &[c('G'), k(End)], Intent::Bottom, "bottom", "last line"),
    moves(Place::Reader, &[k(PageDown), c(' ')], Intent::PageDown, "page", "one page on"),
    moves(Place::Reader, &[k(PageUp)], Intent::PageUp, "page back", "one page back"),
    moves(Place::Reader, &[c('Y')], Intent::Copy, "copy", "copy the command line that shows the same"),
    moves(Place::Confirm, &[c('y')], Intent::Yes, "yes", "do it"),
    moves(Place::Confirm, &[c('n'), k(Esc)], Intent::No, "no", "leave it"),
    does(
        Place::Answer,
        &[c('a')],
        Intent::Approve,
        "session-answer",
        "approve",
        "say yes, this once; asks before it does",
    ),
    does(Place::Answer, &[c('d')], Intent::Decline, "session-answer", "decline", "say no; asks before it does"),
    does(
        Place::Answer,
        &[c('c')],
        Intent::CancelTurn,
        "session-answer",
        "cancel",
        "say no and end the turn; asks before it does",
    ),
    moves(Place::Answer, &[c('j'), k(Down)], Intent::Down, "down", "next question"),
    moves(Place::Answer, &[c('k'), k(Up)], Intent::Up, "up", "previous question"),
    moves(Place::Answer, &[c('r')], Intent::Reload, "look", "look again"),
    moves(Place::Answer, &[k(Esc), c('q')], Intent::Back, "close", "leave it unanswered"),
    does(Place::Reader, &[c('S')], Intent::Pause, "dispatch", "stop", "emergency stop: deliver nothing; again: go on"),
    does(Place::Confirm, &[c('S')], Intent::Pause, "dispatch", "stop", "emergency stop: deliver nothing anywhere"),
    does(Place::Answer, &[c('S')], Intent::Pause, "dispatch", "stop", "emergency stop: deliver nothing; again: go on"),
    moves(Place::Form, &[k(Tab)], Intent::NextField, "next", "the next field; completes a name"),
    moves(Place::Form, &[k(BackTab)], Intent::PreviousField, "previous", "the previous field"),
    moves(Place::Form, &[ctrl('s')], Intent::Submit, "do it", "do what the form says"),
    moves(Place::Form, &[k(Enter)], Intent::Accept, "next", "the next field; in the last one do what the form says"),
    moves(Place::Form, &[k(Esc)], Intent::Back, "leave", "leave it; what was typed comes back with the form"),
    moves(Place::Form, &[ctrl('j')], Intent::LineBreak, "new line", "begin a new line"),
    moves(Place::Form, &[c(' ')], Intent::Toggle, "choose", "the next value, or check and uncheck; a blank in a text"),
    moves(Place::Form, &[ctrl('r')], Intent::StartOver, "empty", "empty the form and begin again"),
    moves(Place::Form, &[k(Backspace), ctrl('h')], Intent::Erase, "erase", "delete the character before the cursor"),
    moves(Place::Form, &[k(Delete), ctrl('d')], Intent::EraseNext, "delete", "delete the character under the cursor"),
    moves(Place::Form, &[ctrl('w')], Intent::EraseWord, "word", "delete back to the beginning of a word"),
    moves(Place::Form, &[ctrl('u')], Intent::EraseAll, "clear", "delete everything typed in the field"),
    moves(Place::Form, &[k(Left), ctrl('b')], Intent::Left, "left", "one character back; the previous value"),
    moves(Place::Form, &[k(Right), ctrl('f')], Intent::Right, "right", "one character on; the next value"),
    moves(Place::Form, &[ctrl_k(Left)], Intent::WordLeft, "word back", "one word back"),
    moves(Place::Form, &[ctrl_k(Right)], Intent::WordRight, "word on", "one word on"),
    moves(Place::Form, &[k(Home), ctrl('a')], Intent::LineStart, "start", "to the beginning of the line; check all"),
    moves(Place::Form, &[k(End), ctrl('e')], Intent::LineEnd, "end", "to the end of the line"),
    moves(Place::Form, &[k(Up), ctrl('p')], Intent::Up, "up", "one line, name or field up"),
    moves(Place::Form, &[k(Down), ctrl('n')], Intent::Down, "down", "one line, name or field down"),
    moves(Place::Palette, &[k(Enter)], Intent::Accept, "do it", "do what is selected"),
    moves(Place::Palette, &[k(Esc)], Intent::Back, "close", "close the palette"),
    moves(Place::Palette, &[k(Down), ctrl('n')], Intent::Down, "down", "next row"),
    moves(Place::Palette, &[k(Up), ctrl('p')], Intent::Up, "up", "previous row"),
    moves(Place::Palette, &[k(PageDown)], Intent::PageDown, "page", "one page on"),
    moves(Place::Palette, &[k(PageUp)], Intent::PageUp, "page back", "one page back"),
    moves(Place::Palette, &[k(Backspace), ctrl('h')], Intent::Erase, "erase", "delete the character before the cursor"),
    moves(Place::Palette, &[ctrl('w')], Intent::EraseWord, "word", "delete back to the beginning of a word"),
    moves(Place::Palette, &[ctrl('u')], Intent::EraseAll, "clear", "delete everything typed"),
    moves(Place::Receipts, &[k(Enter)], Intent::Open, "whole", "show the whole receipt"),
    moves(
        Place::Receipts,
        &[k(Esc), c('q'), c('L')],
        Intent::Back,
        "close",
        "close the list; what failed counts as seen",
    ),
    moves(Place::Receipts, &[c('j'), k(Down)], Intent::Down, "down", "next receipt"),
    moves(Place::Receipts, &[c('k'), k(Up)], Intent::Up, "up", "previous receipt"),
    moves(Place::Receipts, &[c('g'), k(Home)], Intent::Top, "top", "the newest receipt"),
    moves(Place::Receipts, &[c('G'), k(End)], Intent::Bottom, "bottom", "the oldest receipt"),
    moves(Place::Receipts, &[c('Y')], Intent::Copy, "copy", "copy the command line"),
    does(
        Place::Receipts,
        &[c('S')],
        Intent::Pause,
        "dispatch",
        "stop",
        "emergency stop: deliver nothing; again: go on",
    ),
    does(Place::Always, &[ctrl('x')], Intent::Pause, "dispatch", "stop", "emergency stop, also while one types"),
    does(Place::Snooze, &[k(Enter)], Intent::Accept, "mark", "do it", "do what is chosen"),
    moves(Place::Snooze, &[c('j'), k(Down)], Intent::Down, "longer", "next choice"),
    moves(Place::Snooze, &[c('k'), k(Up)], Intent::Up, "shorter", "previous choice"),
    moves(Place::Snooze, &[k(Esc), c('q')], Intent::Back, "leave", "leave it as it is"),
    moves(Place::Always, &[ctrl('c')], Intent::Quit, "quit", "leave the cockpit"),
    moves(Place::Always, &[ctrl('l')], Intent::Repaint, "repaint", "draw the screen anew"),
    moves(Place::Always, &[ctrl('z')], Intent::Suspend, "suspend", "go to the background; `fg` comes back"),
];

/// The keys in force: the table, with what the operator has put in place of it.
#[derive(Debug, Clone)]
pub struct Keymap {
    rows: Vec<Binding>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self { rows: BINDINGS.to_vec() }
    }
}

/// Keys that take the place of those in the table, for one meaning in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebinding {
    /// Where.
    pub place: Place,
    /// What the keys are to mean.
    pub intent: Intent,
    /// The keys; none takes the meaning off the keyboard.
    pub keys: Vec<Key>,
}

/// Why keys cannot be as somebody wants them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// Questions, messages and texts keep their keys: an answer must never depend on a file.
    #[error("the keys {0} are fixed; only those of screens can be changed")]
    Fixed(Place),
    /// Nothing of this meaning is there.
    #[error("nothing in {0} means {1}; `conveyor keys` lists what can be changed")]
    Unknown(Place, Intent),
    /// One key would mean two things.
    #[error("{key} would mean both {first} and {second} in {place}")]
    Conflict {
        /// The key.
        key: String,
        /// Where.
        place: Place,
        /// What it means already.
        first: Intent,
        /// What it would mean too.
        second: Intent,
    },
    /// Without it there is no way out.
    #[error("{0} needs at least one key")]
    Needed(Intent),
}

impl Keymap {
    /// The table with other keys for some meanings.
    ///
    /// # Errors
    /// When a place or meaning cannot be changed, or a key would mean two things where both hold.
    pub fn with(rebindings: &[Rebinding]) -> Result<Self, KeymapError> {
        let mut rows = BINDINGS.to_vec();
        for Rebinding { place, intent, keys } in rebindings {
            if !place.is_on_screen() {
                return Err(KeymapError::Fixed(*place));
            }
            if keys.is_empty() && matches!(intent, Intent::Quit | Intent::Back | Intent::Help) {
                return Err(KeymapError::Needed(*intent));
            }
            let row = rows.iter_mut().find(|row| row.place == *place && row.intent == *intent);
            let row = row.ok_or(KeymapError::Unknown(*place, *intent))?;
            row.keys = Cow::Owned(keys.clone());
        }
        let keymap = Self { rows };
        match keymap.conflict() {
            None => Ok(keymap),
            Some(conflict) => Err(conflict),
        }
    }

    /// The first key that means two things where both hold.
    fn conflict(&self) -> Option<KeymapError> {
        // Layers hide the screens, but `Always` holds everywhere, and a screen's own keys meet the general ones.
        for place in Place::ALL {
            let with = if place.is_on_screen() && *place != Place::Screen {
                vec![*place, Place::Screen, Place::Always]
            } else {
                vec![*place, Place::Always]
            };
            let mut seen: Vec<(&Key, Intent)> = Vec::new();
            for row in self.rows(&with) {
                for key in row.keys.iter() {
                    if let Some((_, first)) = seen.iter().find(|(other, _)| *other == key) {
                        let (first, second) = (*first, row.intent);
                        return Some(KeymapError::Conflict { key: key.name(), place: *place, first, second });
                    }
                    seen.push((key, row.intent));
                }
            }
        }
        None
    }

    /// What a key means in the first of `places` that knows it.
    #[must_use]
    pub fn lookup(&self, places: &[Place], key: Key) -> Option<Intent> {
        let row = |place: &Place| self.rows.iter().find(|row| row.place == *place && row.keys.contains(&key));
        places.iter().find_map(row).map(|row| row.intent)
    }

    /// The rows of `places`, in the order of the table.
    pub fn rows(&self, places: &[Place]) -> impl Iterator<Item = &Binding> {
        self.rows.iter().filter(move |row| places.contains(&row.place))
    }

    /// The first key of a meaning in the first of `places` that has one, as people write it.
    #[must_use]
    pub fn key_of(&self, places: &[Place], intent: Intent) -> Option<String> {
        let row = |place: &Place| self.rows.iter().find(|row| row.place == *place && row.intent == intent);
        places.iter().find_map(row)?.keys.first().map(|key| key.name())
    }

    /// The whole table, ready to be printed.
    #[must_use]
    pub fn table(&self) -> Vec<KeyRow> {
        let row = |row: &Binding| KeyRow {
            place: row.place,
            keys: row.keys.iter().map(|key| key.name()).collect(),
            intent: row.intent,
            short: row.short,
            help: row.help,
            command: row.verb,
        };
        self.rows.iter().map(row).collect()
    }
}

impl Place {
    /// Whether it is a screen, whose keys can be changed.
    #[must_use]
    pub fn is_on_screen(self) -> bool {
        match self {
            Self::Screen | Self::Fleet | Self::Task | Self::Events | Self::Inbox | Self::Dispatch | Self::Doctor => {
                true
            }
            Self::Form
            | Self::Palette
            | Self::Receipts
            | Self::Always
            | Self::Input
            | Self::Message
            | Self::Help
            | Self::Reader
            | Self::Confirm
            | Self::Answer
            | Self::Snooze => false,
        }
    }
}

/// One row as documentation and `keys --json` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    /// Where it works.
    pub place: Place,
    /// The keys.
    pub keys: Vec<String>,
    /// What they mean, a stable id.
    pub intent: Intent,
    /// The footer's word.
    pub short: &'static str,
    /// The help's sentence.
    pub help: &'static str,
    /// The command word that does the same.
    pub command: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::COMMANDS;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        assert_eq!(Keymap::default().conflict(), None);
    }

    #[test]
    fn every_key_is_read_back_from_its_name() {
        for key in BINDINGS.iter().flat_map(|row| row.keys.iter()) {
            assert_eq!(key.name().parse(), Ok(*key));
        }
        assert_eq!("F5".parse::<Key>().map(Key::name), Ok("F5".to_owned()));
        for wrong in ["", "Ctrl-", "jj", "F0", "F13", "Alt-x", " ", "\u{1b}"] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn keys_of_screens_can_be_changed_and_conflicts_are_refused() {
        let change = |place, intent, keys: &[Key]| Keymap::with(&[Rebinding { place, intent, keys: keys.to_vec() }]);
        let keymap = change(Place::Screen, Intent::Nudge, &[c('z'), k(KeyCode::F(2))]).unwrap();
        let places = [Place::Fleet, Place::Screen, Place::Always];
        assert_eq!(keymap.lookup(&places, c('z')), Some(Intent::Nudge));
        assert_eq!(keymap.lookup(&places, c('n')), None);
        assert_eq!(keymap.key_of(&places, Intent::Nudge).as_deref(), Some("z"));
        let conflict = change(Place::Fleet, Intent::RawPane, &[c('n')]).unwrap_err();
        assert_eq!(conflict.to_string(), "n would mean both nudge and raw_pane in fleet");
        assert_eq!(
            change(Place::Screen, Intent::Nudge, &[ctrl('c')]).unwrap_err().to_string(),
            "Ctrl-C would mean both nudge and quit in screen"
        );
        assert_eq!(change(Place::Confirm, Intent::Yes, &[c('q')]).unwrap_err(), KeymapError::Fixed(Place::Confirm));
        assert_eq!(change(Place::Answer, Intent::Approve, &[]).unwrap_err(), KeymapError::Fixed(Place::Answer));
        assert_eq!(
            change(Place::Fleet, Intent::Nudge, &[c('z')]).unwrap_err(),
            KeymapError::Unknown(Place::Fleet, Intent::Nudge)
        );
        assert_eq!(change(Place::Screen, Intent::Quit, &[]).unwrap_err(), KeymapError::Needed(Intent::Quit));
        // Two that change places are no conflict.
        let swapped = Keymap::with(&[
            Rebinding { place: Place::Screen, intent: Intent::Nudge, keys: vec![c('x')] },
            Rebinding { place: Place::Screen, intent: Intent::Explain, keys: vec![c('n')] },
        ]);
        assert_eq!(swapped.unwrap().lookup(&places, c('x')), Some(Intent::Nudge));
    }

    #[test]
    fn every_act_is_a_command_of_the_catalogue() {
        for row in BINDINGS {
            let Some(verb) = row.verb else { continue };
            let landed = COMMANDS.iter().any(|entry| entry.name == verb);
            assert!(landed, "`{verb}` is no command");
        }
    }

    #[test]
    fn words_are_short_and_help_is_a_phrase() {
        for row in BINDINGS {
            assert!(row.short.len() <= 10 && !row.short.is_empty(), "{}", row.short);
            assert!(!row.help.ends_with('.') && row.help.len() <= 60, "{}", row.help);
        }
    }

    #[test]
    fn shift_is_in_the_letter_and_alt_is_nothing() {
        let event = |code, modifiers| Key::pressed(KeyEvent::new(code, modifiers));
        assert_eq!(event(KeyCode::Char('G'), KeyModifiers::SHIFT), Some(c('G')));
        assert_eq!(event(KeyCode::Char('L'), KeyModifiers::CONTROL), Some(ctrl('l')));
        assert_eq!(event(KeyCode::Char('x'), KeyModifiers::ALT), None);
        assert_eq!(ctrl('l').name(), "Ctrl-L");
        assert_eq!(k(PageDown).name(), "PgDn");
    }
}
