//! The condition under which a key may be pressed, checked by the tmux server in the command that presses it.
//!
//! A check by the client would be stale by the time its key arrives: an approval prompt can open in between, and
//! Enter would approve it. The text of a screen is written by the program in it, so the guard keeps a key from
//! going astray; it proves nothing about who wrote the text.

use std::fmt;

use super::{PaneId, TmuxError};
use crate::ports::process::ProcessId;

/// Keys that can be pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Confirms whatever is selected.
    Enter,
    /// Completes, or submits what stands in a composer.
    Tab,
    /// Cancels; interrupts a turn.
    Escape,
    /// Interrupts; ends Codex when its composer is empty.
    CtrlC,
    /// End of input.
    CtrlD,
    /// Selection up.
    Up,
    /// Selection down.
    Down,
}

impl Key {
    /// The name tmux knows it by.
    #[must_use]
    pub fn tmux_name(self) -> &'static str {
        match self {
            Key::Enter => "Enter",
            Key::Tab => "Tab",
            Key::Escape => "Escape",
            Key::CtrlC => "C-c",
            Key::CtrlD => "C-d",
            Key::Up => "Up",
            Key::Down => "Down",
        }
    }

    /// True for keys that may say yes to something: these need a text that shows what they answer.
    #[must_use]
    pub fn confirms(self) -> bool {
        match self {
            Key::Enter | Key::Tab => true,
            Key::Escape | Key::CtrlC | Key::CtrlD | Key::Up | Key::Down => false,
        }
    }
}

/// A piece of one screen line, for searches inside tmux: 4 to 60 ASCII letters, digits, blanks and `.-_/'`.
///
/// The alphabet leaves out all that tmux formats, patterns and command strings treat in a special way. A longer
/// text would be broken by the edge of a narrow pane and never be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScreenText(String);

impl ScreenText {
    /// Takes a text that can be searched for.
    ///
    /// # Errors
    /// [`TmuxError::Invalid`] when it is outside the bounds.
    pub fn new(text: &str) -> Result<Self, TmuxError> {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b" .-_/'".contains(&byte);
        if !(4..=60).contains(&text.len()) || text.trim() != text || !text.bytes().all(inner) {
            return Err(TmuxError::Invalid(format!("`{text}` cannot be searched for on a screen")));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What must hold for a key to be pressed.
///
/// Beside what is listed here, the pane must be alive, in no mode (copy mode would take the key), take input, and
/// not be synchronised with others (they would get the key too).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The pane.
    pub pane: PaneId,
    /// The process that was seen in it.
    pub process: ProcessId,
    /// Texts that must all stand on the visible screen.
    pub required: Vec<ScreenText>,
    /// Texts none of which may stand there.
    pub forbidden: Vec<ScreenText>,
}

impl Guard {
    /// A guard that checks the process only: enough to cancel or interrupt, never to confirm.
    #[must_use]
    pub fn process_only(pane: PaneId, process: ProcessId) -> Self {
        Self { pane, process, required: Vec::new(), forbidden: Vec::new() }
    }

    /// Why `key` may not be pressed whatever tmux would say.
    pub(super) fn refuses(&self, key: Key) -> Option<Refusal> {
        (key.confirms() && self.required.is_empty()).then_some(Refusal::NothingToConfirm)
    }

    /// A tmux format that shows the state of the pane: pid, four flags, one digit per text.
    pub(super) fn state_format(&self) -> String {
        let mut format = String::from("#{pane_pid}/#{pane_dead}#{pane_in_mode}#{pane_synchronized}#{pane_input_off}/");
        for text in self.texts() {
            format.push_str(&format!("#{{!=:#{{C:{}}},0}}", text.as_str()));
        }
        format
    }

    /// What [`Self::state_format`] must show.
    pub(super) fn wanted_state(&self) -> String {
        let mut state = format!("{}/0000/", self.process.pid);
        state.extend(self.required.iter().map(|_| '1'));
        state.extend(self.forbidden.iter().map(|_| '0'));
        state
    }

    fn texts(&self) -> impl Iterator<Item = &ScreenText> {
        self.required.iter().chain(&self.forbidden)
    }

    /// Why a state is not the wanted one; none when it cannot be read.
    pub(super) fn refusal(&self, state: &str) -> Option<Refusal> {
        let mut parts = state.split('/');
        let (pid, flags, texts) = (parts.next()?, parts.next()?, parts.next()?);
        if pid.is_empty() {
            return Some(Refusal::PaneGone);
        }
        if pid != self.process.pid.to_string() {
            return Some(Refusal::ProcessChanged);
        }
        // The count of modes can have several digits; the other three flags have one.
        let (dead, rest) = flags.split_at_checked(1)?;
        let (modes, rest) = rest.split_at_checked(rest.len().checked_sub(2)?)?;
        let checks = [
            (dead, Refusal::Dead),
            (modes, Refusal::InMode),
            (rest.get(..1)?, Refusal::Synchronized),
            (rest.get(1..)?, Refusal::InputOff),
        ];
        if let Some((_, refusal)) = checks.into_iter().find(|(flag, _)| *flag != "0") {
            return Some(refusal);
        }
        let expected = self.required.iter().map(|_| '1').chain(self.forbidden.iter().map(|_| '0'));
        let wrong = self.texts().zip(expected).zip(texts.chars()).find(|((_, wanted), seen)| wanted != seen);
        wrong.map(|((text, wanted), _)| match wanted {
            '1' => Refusal::TextMissing(text.as_str().to_owned()),
            _ => Refusal::TextPresent(text.as_str().to_owned()),
        })
    }
}

/// What became of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOutcome {
    /// tmux passed it to the program.
    Sent,
    /// Nothing was pressed.
    Refused(Refusal),
}

/// Why a key was not pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such pane.
    PaneGone,
    /// The pane runs another process than the recorded one.
    ProcessChanged,
    /// The process has ended.
    Dead,
    /// The pane is in copy mode or the like.
    InMode,
    /// The pane passes its keys on to others.
    Synchronized,
    /// Input to the pane is switched off.
    InputOff,
    /// A required text is not on the screen.
    TextMissing(String),
    /// A forbidden text is on the screen.
    TextPresent(String),
    /// The key would confirm, and no text says what.
    NothingToConfirm,
    /// The pane is smaller than 60 x 15.
    TooSmall,
    /// The server is older than 3.2, or says no version that we know.
    TmuxTooOld(String),
    /// The program in the pane does not take pastes as such.
    NoBracketedPaste,
    /// A turn is running.
    Busy,
    /// No turn is running that could be interrupted.
    NotBusy,
    /// Another installation types into the pane.
    OwnedByOther,
    /// A message of this number, or a later one, was staged already.
    AlreadyStaged,
    /// No message of this number was staged.
    NotStaged,
    /// A message of this number, or a later one, was submitted already.
    AlreadySubmitted,
    /// No message of this number was submitted last.
    NotSubmitted,
    /// The sign of the message is on the screen already.
    SignOnScreen,
    /// The sign of the message is not at the end of the composer's text.
    SignNotInComposer,
    /// The composer is not empty, or has not the keyboard.
    ComposerNotEmpty,
    /// A later dispatcher has the message in hand.
    TakenOver,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::PaneGone => f.write_str("the pane is gone"),
            Refusal::ProcessChanged => f.write_str("the pane runs another process"),
            Refusal::Dead => f.write_str("the process in the pane has ended"),
            Refusal::InMode => f.write_str("the pane is in copy mode"),
            Refusal::Synchronized => f.write_str("the pane is synchronised with others"),
            Refusal::InputOff => f.write_str("input to the pane is switched off"),
            Refusal::TextMissing(text) => write!(f, "`{text}` is not on the screen"),
            Refusal::TextPresent(text) => write!(f, "`{text}` is on the screen"),
            Refusal::NothingToConfirm => f.write_str("nothing says what the key would confirm"),
            Refusal::TooSmall => f.write_str("the pane is smaller than 60 x 15"),
            Refusal::TmuxTooOld(version) => write!(f, "tmux {version} is too old to type through, 3.2 is needed"),
            Refusal::NoBracketedPaste => f.write_str("the program in the pane takes no pastes"),
            Refusal::Busy => f.write_str("a turn is running"),
            Refusal::NotBusy => f.write_str("no turn is running"),
            Refusal::OwnedByOther => f.write_str("another installation of conveyor types into the pane"),
            Refusal::AlreadyStaged => f.write_str("the message was put into the composer before"),
            Refusal::NotStaged => f.write_str("the message was not put into the composer"),
            Refusal::AlreadySubmitted => f.write_str("the message was submitted before"),
            Refusal::NotSubmitted => f.write_str("the message was not the last to be submitted"),
            Refusal::SignOnScreen => f.write_str("the message is on the screen already"),
            Refusal::SignNotInComposer => f.write_str("the composer does not end with the message"),
            Refusal::TakenOver => f.write_str("another dispatcher has the message in hand now"),
            Refusal::ComposerNotEmpty => f.write_str("the composer is not empty or has not the keyboard"),
        }
    }
}
