//! Whether a text can be put into a session's composer now, and if not, why.
//!
//! This is the look before the guard: it reads the whole screen, which the guard inside the terminal cannot, and gives
//! people a reason. Between the look and the paste the screen can change, so it is never enough by itself.

use super::{
    Evidence, PaneReading, PaneState, Prompt, classify,
    composer::{self, Composer, Content},
    screen::{self, Screen},
    style, wording,
};
use crate::{base::text, model::typing::TypedText, text_enum};

/// Fewer columns than this break the texts that are looked for.
pub const MIN_WIDTH: u16 = 60;
/// In fewer rows dialogs lose the parts they are known by.
pub const MIN_HEIGHT: u16 = 15;

text_enum! {
    /// Whether a message may be put into a running turn.
    pub enum Steering {
        /// It waits for the end of the turn.
        Waits => "waits",
        /// It goes into the turn.
        Allowed => "allowed",
    }
}

/// A pane at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The visible screen with its escape sequences (`tmux capture-pane -p -e`): without them no placeholder can be
    /// told from a draft that reads like it.
    pub screen: &'a str,
    /// The title at the same moment.
    pub title: Option<&'a str>,
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// It is in copy mode or another mode that takes the keys.
    pub in_mode: bool,
    /// Its program has ended.
    pub dead: bool,
    /// Whether a running turn is no reason to wait.
    pub steering: Steering,
}

text_enum! {
    /// Why a text cannot be put into the composer now.
    pub enum DeferReason {
        /// A turn runs.
        Busy => "busy",
        /// A dialog has the keyboard.
        Modal => "modal",
        /// A person has typed something.
        Draft => "draft",
        /// A completion popup is open.
        Popup => "popup",
        /// The pane is in copy mode.
        CopyMode => "copy_mode",
        /// The pane is smaller than 60 x 15.
        TooSmall => "too_small",
        /// The program in the pane has ended.
        Dead => "dead",
        /// Codex has left; the pane is a shell.
        Exited => "exited",
        /// Codex is starting: it takes text already, but loses keys.
        Starting => "starting",
        /// The screen is not understood, or not settled yet.
        Unrecognised => "unrecognised",
    }
}

/// Why a text waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferral {
    /// The reason.
    pub reason: DeferReason,
    /// One sentence for people, without a full stop.
    pub sentence: String,
    /// The dialog that is open, when one is.
    pub prompt: Option<Prompt>,
    /// The row that decided.
    pub evidence: Option<Evidence>,
}

impl Deferral {
    fn new(reason: DeferReason, sentence: impl Into<String>) -> Self {
        Self { reason, sentence: sentence.into(), prompt: None, evidence: None }
    }
}

/// An empty composer, as it is recognised once more at the moment of the paste.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmptyComposer {
    glyph: &'static str,
    placeholder: &'static str,
}

impl EmptyComposer {
    /// The row of the composer: its glyph, a blank and the placeholder.
    #[must_use]
    pub fn row(&self) -> String {
        format!("{} {}", self.glyph, self.placeholder)
    }

    /// The character in front of what is typed.
    #[must_use]
    pub fn glyph(&self) -> &'static str {
        self.glyph
    }
}

/// Whether a text can be put into the composer now: the composer is empty, has the keyboard, and no turn runs unless
/// steering is allowed.
///
/// # Errors
/// The reason to wait.
pub fn ready_for_text(look: &Look<'_>) -> Result<EmptyComposer, Deferral> {
    if look.dead {
        return Err(Deferral::new(DeferReason::Dead, "the program in the pane has ended"));
    }
    if look.in_mode {
        return Err(Deferral::new(DeferReason::CopyMode, "somebody is reading in the pane's copy mode"));
    }
    if look.width < MIN_WIDTH || look.height < MIN_HEIGHT {
        let sentence = format!(
            "the pane has {} x {} cells, and below {MIN_WIDTH} x {MIN_HEIGHT} a dialog might not be recognised",
            look.width, look.height
        );
        return Err(Deferral::new(DeferReason::TooSmall, sentence));
    }
    let clean = screen::cleaned(look.screen);
    let screen = Screen::new(&clean);
    let reading = classify::read_screen(&screen, look.title);
    with_reading(look, &screen, &reading).map_err(|deferral| Deferral {
        prompt: reading.prompt,
        evidence: reading.evidence.clone(),
        ..deferral
    })
}

fn with_reading(look: &Look<'_>, screen: &Screen<'_>, reading: &PaneReading) -> Result<EmptyComposer, Deferral> {
    let defer = |reason, sentence: &str| Err(Deferral::new(reason, sentence));
    match reading.state {
        PaneState::Waiting => {
            let sentence = match reading.prompt {
                Some(prompt) if prompt.is_approval() => "an approval waits for an answer".to_owned(),
                Some(prompt) => format!("the dialog `{prompt}` waits for an answer"),
                None => "Codex waits for an answer".to_owned(),
            };
            return Err(Deferral::new(DeferReason::Modal, sentence));
        }
        PaneState::Exited => return defer(DeferReason::Exited, "Codex is not running in the pane any more"),
        PaneState::Unknown => return defer(DeferReason::Unrecognised, &reading.reason),
        PaneState::Busy if look.steering == Steering::Waits => return defer(DeferReason::Busy, "a turn is running"),
        PaneState::Busy | PaneState::Idle => {}
    }
    let Some(composer) = composer::find(screen) else {
        return defer(DeferReason::Unrecognised, "no composer is seen");
    };
    if composer.popup_row().is_some() {
        return defer(DeferReason::Popup, "a list of completions is open above the composer");
    }
    match composer.content {
        Content::Text => return defer(DeferReason::Draft, "the composer holds text that somebody has typed"),
        Content::Blank => return defer(DeferReason::Unrecognised, "the composer is not drawn yet"),
        Content::Placeholder => {}
    }
    if !style::is_dim(look.screen, screen.index_in_text(composer.row), 2) {
        return defer(DeferReason::Draft, "the composer holds text that reads like its placeholder");
    }
    if composer.is_starting() {
        return defer(DeferReason::Starting, "Codex is still starting, and would lose the key that submits");
    }
    if let Some(odd) = composer.odd_footer() {
        return defer(DeferReason::Unrecognised, odd);
    }
    match empty_composer(screen, &composer) {
        Some(empty) => Ok(empty),
        None => defer(DeferReason::Unrecognised, "the composer's placeholder is not known"),
    }
}

fn empty_composer(screen: &Screen<'_>, composer: &Composer<'_>) -> Option<EmptyComposer> {
    let row = screen.row(composer.row);
    let glyph = [wording::COMPOSER, wording::BAR].into_iter().find(|glyph| row.starts_with(glyph))?;
    let shown = row.strip_prefix(glyph)?.strip_prefix(' ')?;
    let placeholder = wording::PLACEHOLDERS.iter().find(|placeholder| **placeholder == shown)?;
    Some(EmptyComposer { glyph, placeholder })
}

text_enum! {
    /// What the composer shows of a text that was put into it.
    pub enum Held {
        /// The text and nothing else.
        Whole => "whole",
        /// Its end and nothing else; the beginning has scrolled out of the composer.
        End => "end",
        /// Something else, or more than the text: somebody has typed.
        Changed => "changed",
        /// No composer is seen, as under a dialog.
        Hidden => "hidden",
    }
}

/// Whether the composer still holds what was put into it, before it is submitted. White space is not compared, since
/// the terminal breaks lines. `screen` is a capture with or without escape sequences.
#[must_use]
pub fn composer_holds(screen: &str, text: &TypedText) -> Held {
    let clean = screen::cleaned(screen);
    let screen = Screen::new(&clean);
    if super::dialog::find(&screen).is_some() {
        return Held::Hidden;
    }
    let Some((mut rows, above_footer)) = composer::rows_down(&screen) else { return Held::Hidden };
    if let Some(first) = rows.first_mut() {
        // At the right end, when the beginning has scrolled away.
        *first = first.strip_suffix(" ↑").unwrap_or(first);
    }
    let wanted = without_white_space(text.as_str());
    let held = |rows: &[&str]| {
        let shown = without_white_space(&rows.join(" "));
        if shown == wanted {
            Held::Whole
        } else if !shown.is_empty() && wanted.ends_with(&shown) && shown.len() * 4 > wanted.len() {
            Held::End
        } else {
            Held::Changed
        }
    };
    // A low pane has no footer while text stands in the composer; then its last paragraph looks like one.
    match held(&rows[..above_footer]) {
        Held::Changed => held(&rows),
        holds => holds,
    }
}

/// What stands in the composer and below it, the rows joined; none when no composer is seen.
#[must_use]
pub fn composer_text(screen: &str) -> Option<String> {
    let clean = screen::cleaned(screen);
    let screen = Screen::new(&clean);
    let (rows, _) = composer::rows_down(&screen)?;
    Some(rows.join(" "))
}

fn without_white_space(text: &str) -> String {
    text::one_line(text).replace(' ', "")
}
