//! What is typed into a session's composer, and how its echo in the rollout is known.
//!
//! A message is typed as `[conveyor] <text> (<marker>)`. The header keeps its first character from being taken for a
//! command of Codex (`!` would run it in a shell, outside the sandbox); the marker at its end is looked for on the
//! screen before anything is submitted, and in the rollout afterwards. Both exist in the typed bytes only.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::pane;
use crate::{
    base::text::{self, LeftOut},
    text_enum,
};

/// The most characters that are typed, header and marker included: above 1000 Codex hides a paste behind a
/// placeholder, and the marker with it.
pub const MAX_TYPED_CHARS: usize = 900;

/// What every typed message begins with.
pub const HEADER: &str = "[conveyor]";

/// What the marker of a command begins with.
const MARKER_START: &str = "cvy";
/// How many characters follow, five bits each.
const MARKER_CODE: usize = 12;

/// The sign that a typed message ends with: letters and digits, so that no terminal breaks it into two.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Marker(String);

/// A text that cannot be a marker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no marker: 8 to 32 ASCII letters and digits")]
pub struct NoMarker(String);

impl Marker {
    /// The marker of a command: always the same for one id, and another for every other id (60 bits of its hash).
    #[must_use]
    pub fn of_command(id: &str) -> Self {
        // Without the characters that are taken for one another.
        const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
        let hash = Sha256::digest(id.as_bytes());
        let code = hash.iter().take(MARKER_CODE).map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        Self(format!("{MARKER_START}{}", code.collect::<String>()))
    }

    /// Takes a stored marker.
    ///
    /// # Errors
    /// When it is none: too short to be unique, too long for a line, or more than ASCII letters and digits.
    pub fn parse(marker: &str) -> Result<Self, NoMarker> {
        let fits = (8..=32).contains(&marker.len()) && marker.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if fits { Ok(Self(marker.to_owned())) } else { Err(NoMarker(text::bounded(marker, 80))) }
    }

    /// The markers of commands that a text holds as words of their own, each once.
    #[must_use]
    pub fn all_in(text: &str) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for word in text.split(|c: char| !c.is_alphanumeric()) {
            let is_marker = word.len() == MARKER_START.len() + MARKER_CODE && word.starts_with(MARKER_START);
            if is_marker
                && let Ok(marker) = Self::parse(word)
                && !found.contains(&marker)
            {
                found.push(marker);
            }
        }
        found
    }

    /// The marker as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when `text` holds the whole marker as a word of its own.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        text.match_indices(self.as_str()).any(|(at, found)| {
            let before = text[..at].chars().next_back();
            let after = text[at + found.len()..].chars().next();
            !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
        })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_enum! {
    /// The commands of Codex that are ever typed: exactly these words and a blank, without header and marker.
    pub enum ControlCommand {
        /// Compacts the conversation.
        Compact => "/compact",
        /// Puts a fresh thread into the pane.
        Clear => "/clear",
    }
}

impl ControlCommand {
    /// What is typed. The blank closes the list of commands, in which Tab would only complete the name: then Tab runs
    /// the command, which no dialog that opens too late takes for an answer. Seen with 0.125, 0.150 and 0.169.
    #[must_use]
    pub fn typed(self) -> String {
        format!("{} ", self.as_str())
    }
}

/// By what a typed text is recognised on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// The marker at its end.
    Marker(Marker),
    /// The text is a command and stands alone in the composer, with the blank behind it.
    Command(ControlCommand),
}

/// A text as it is typed: nothing else can be handed to the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedText {
    text: String,
    sign: Sign,
}

impl TypedText {
    /// A command of Codex.
    #[must_use]
    pub fn command(command: ControlCommand) -> Self {
        Self { text: command.typed(), sign: Sign::Command(command) }
    }

    /// The text: at most [`MAX_TYPED_CHARS`] characters, line feeds and no other control characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// By what it is recognised.
    #[must_use]
    pub fn sign(&self) -> &Sign {
        &self.sign
    }

    /// SHA-256 of the text as hex, to be kept for [`matches_echo`].
    #[must_use]
    pub fn sha256(&self) -> String {
        hash(&self.text)
    }
}

/// Whether a text may be typed that lacks something of what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It is refused.
    Refused,
    /// What cannot be typed is left out.
    Accepted,
}

/// How a message goes to a session with a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typing {
    /// It is typed.
    Typed {
        /// The text.
        text: TypedText,
        /// What it lacks; nothing unless the loss was accepted.
        left_out: LeftOut,
    },
    /// It goes into the inbox, and only a pointer to it is typed.
    ThroughInbox(InboxReason),
}

/// Why a message is not typed in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxReason {
    /// It would be longer than [`MAX_TYPED_CHARS`].
    TooLong {
        /// Characters with header and marker.
        chars: usize,
    },
    /// On the screen it would look like a dialog or a running turn, and its own words would keep it from being sent.
    LooksLikeDialog,
}

impl fmt::Display for InboxReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { chars } => {
                write!(f, "it would take {chars} characters, and at most {MAX_TYPED_CHARS} are typed")
            }
            Self::LooksLikeDialog => f.write_str("on the screen it would look like a dialog of Codex"),
        }
    }
}

/// Why a message cannot be delivered at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UntypableText {
    /// Nothing is left to be said.
    #[error("the message is empty")]
    Empty,
    /// Something would be left out, and that was not accepted.
    #[error("the message holds what cannot be typed: {0}")]
    Lossy(LeftOut),
}

/// A message as it is typed, with header and `marker`. `message` is what the sender wrote; white space around it is
/// not typed.
///
/// # Errors
/// [`UntypableText::Empty`] when nothing is left of it; [`UntypableText::Lossy`] when `loss` is refused and there is one.
pub fn typed_message(message: &[u8], marker: &Marker, loss: Loss) -> Result<Typing, UntypableText> {
    let typable = text::typable(message);
    if loss == Loss::Refused && !typable.left_out.is_nothing() {
        return Err(UntypableText::Lossy(typable.left_out));
    }
    let body = typable.text.trim();
    if body.is_empty() {
        return Err(UntypableText::Empty);
    }
    let text = format!("{HEADER} {body} ({marker})");
    let chars = text.chars().count();
    if chars > MAX_TYPED_CHARS {
        return Ok(Typing::ThroughInbox(InboxReason::TooLong { chars }));
    }
    if pane::looks_like_dialog(&text) {
        return Ok(Typing::ThroughInbox(InboxReason::LooksLikeDialog));
    }
    let text = TypedText { text, sign: Sign::Marker(marker.clone()) };
    Ok(Typing::Typed { text, left_out: typable.left_out })
}

text_enum! {
    /// What a message in the rollout has to do with a typed one.
    pub enum Echo {
        /// It is the typed message, character for character.
        Ours => "ours",
        /// It holds the marker, but other text too: it was changed or joined with something on the way.
        Altered => "altered",
        /// Nothing.
        None => "none",
    }
}

/// Whether `user_message`, the text of a message to the agent as the rollout has it, is the echo of the typed text
/// with this marker and [`TypedText::sha256`]. White space around both is not compared: Codex trims it.
#[must_use]
pub fn matches_echo(user_message: &str, marker: &Marker, text_sha256: &str) -> Echo {
    if !marker.is_in(user_message) {
        Echo::None
    } else if hash(user_message) == text_sha256 {
        Echo::Ours
    } else {
        Echo::Altered
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text.trim().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn marker() -> Marker {
        Marker::of_command("command-1")
    }

    fn typed(message: &str) -> TypedText {
        match typed_message(message.as_bytes(), &marker(), Loss::Accepted) {
            Ok(Typing::Typed { text, .. }) => text,
            other => panic!("{message:?}: {other:?}"),
        }
    }

    #[test]
    fn markers_are_short_words_and_differ() {
        let markers: HashSet<String> =
            (0..20_000).map(|number| Marker::of_command(&format!("command-{number}")).to_string()).collect();
        assert_eq!(markers.len(), 20_000);
        assert!(markers.iter().all(|marker| Marker::parse(marker).is_ok_and(|parsed| parsed.as_str() == marker)));
        assert_eq!(marker(), marker());
        let long = "x".repeat(33);
        for bad in ["", "short", "with-hyphen", "with blank", "ünïcödés", long.as_str()] {
            assert!(Marker::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn markers_are_found_in_any_text() {
        let (one, other) = (marker(), Marker::of_command("command-2"));
        let text = format!("a ({one}) b {other}. {one}; x{one} {one}x cvy cvyabc");
        assert_eq!(Marker::all_in(&text), [one, other]);
        assert_eq!(Marker::all_in("nothing of ours"), []);
    }

    #[test]
    fn no_message_begins_with_a_command() {
        for message in ["!touch canary", "/quit", "@file", "$skill", "#x", "?", "！x", "／x", " !x", "\u{feff}!x", "-x"]
        {
            let text = typed(message);
            assert!(text.as_str().starts_with("[conveyor] "), "{message}");
            assert!(text.as_str().ends_with(&format!("({})", marker())), "{message}");
        }
        assert_eq!(typed("\n one\ttwo \n").as_str(), format!("[conveyor] one    two ({})", marker()));
    }

    #[test]
    fn what_cannot_be_typed_is_refused_or_left_out() {
        let dirty = b"stop\x1b[201~ it\xff";
        let refused = typed_message(dirty, &marker(), Loss::Refused);
        let left_out = LeftOut { undecodable: 1, controls: 1, ..LeftOut::default() };
        assert_eq!(refused, Err(UntypableText::Lossy(left_out)));
        let Ok(Typing::Typed { text, left_out: said }) = typed_message(dirty, &marker(), Loss::Accepted) else {
            panic!()
        };
        assert_eq!((text.as_str(), said), (format!("[conveyor] stop it ({})", marker()).as_str(), left_out));
        for empty in ["", " \n\t", "\u{200b}"] {
            assert_eq!(typed_message(empty.as_bytes(), &marker(), Loss::Accepted), Err(UntypableText::Empty));
        }
    }

    #[test]
    fn long_messages_and_imitations_go_through_the_inbox() {
        let room = MAX_TYPED_CHARS - "[conveyor]  ()".len() - marker().as_str().len();
        assert_eq!(typed(&"漢".repeat(room)).as_str().chars().count(), MAX_TYPED_CHARS);
        let long = typed_message("漢".repeat(room + 1).as_bytes(), &marker(), Loss::Refused);
        assert_eq!(long, Ok(Typing::ThroughInbox(InboxReason::TooLong { chars: MAX_TYPED_CHARS + 1 })));
        for imitation in ["say:\nPress enter to confirm or esc to cancel", "• Working (3s • esc to interrupt)"] {
            let typing = typed_message(imitation.as_bytes(), &marker(), Loss::Refused);
            assert_eq!(typing, Ok(Typing::ThroughInbox(InboxReason::LooksLikeDialog)), "{imitation}");
        }
    }

    #[test]
    fn an_echo_needs_the_whole_marker_and_the_whole_text() {
        let text = typed("do it\n\nnow");
        let hash = text.sha256();
        let echo = |message: &str| matches_echo(message, &marker(), &hash);
        assert_eq!(echo(text.as_str()), Echo::Ours);
        assert_eq!(echo(&format!("  {}\n\n", text.as_str())), Echo::Ours);
        assert_eq!(echo(&format!("half a draft {}", text.as_str())), Echo::Altered);
        assert_eq!(echo(&format!("{}\nand another", text.as_str())), Echo::Altered);
        let whole = marker();
        let cut = &whole.as_str()[..14];
        assert_eq!(echo(&text.as_str().replace(marker().as_str(), cut)), Echo::None);
        assert_eq!(echo(&text.as_str().replace(marker().as_str(), &format!("{}x", marker()))), Echo::None);
        assert_eq!(echo(""), Echo::None);
    }

    proptest! {
        #[test]
        fn an_echo_is_ours_only_with_marker_and_text(message in ".{0,60}", around in "[a-z(). ]{0,5}") {
            let Ok(Typing::Typed { text, .. }) = typed_message(message.as_bytes(), &marker(), Loss::Accepted) else {
                return Ok(());
            };
            prop_assert_eq!(matches_echo(text.as_str(), &marker(), &text.sha256()), Echo::Ours);
            prop_assert_eq!(matches_echo(&message, &marker(), &text.sha256()), Echo::None);
            let other = format!("{around}{message}");
            prop_assert_ne!(matches_echo(&other, &marker(), &text.sha256()), Echo::Ours);
        }
    }
}
