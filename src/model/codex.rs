//! What differs between versions of Codex at its prompt: which key submits, which interrupts, what a key does when.
//!
//! Measured with 0.25, 0.47, 0.98, 0.125, 0.150 and 0.169; a version between two of them is taken for the older one.
//! Only data and choices; nothing here presses a key.

use std::{fmt, str::FromStr};

use crate::text_enum;

/// A version of Codex; what follows the three numbers (`-alpha.1`) is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodexVersion {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

impl fmt::Display for CodexVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A text that is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a codex version has the form 1.2.3")]
pub struct NoVersion;

impl FromStr for CodexVersion {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let mut parts = numbers.split('.').map(|part| part.parse::<u32>().map_err(|_| NoVersion));
        let mut next = || parts.next().unwrap_or(Err(NoVersion));
        let version = Self { major: next()?, minor: next()?, patch: next()? };
        if parts.next().is_some() { Err(NoVersion) } else { Ok(version) }
    }
}

impl CodexVersion {
    /// The oldest version into whose terminal messages are typed without being told to.
    pub const PUSH_FLOOR: Self = Self { major: 0, minor: 125, patch: 0 };

    /// Whether sessions of this version take messages from a queue that others can put them into.
    #[must_use]
    pub fn has_queue(self) -> bool {
        self.since(150)
    }

    /// Whether its command line knows the approval policy `untrusted`. 0.169 refuses to start with it.
    #[must_use]
    pub fn takes_untrusted(self) -> bool {
        !self.since(169)
    }

    fn since(self, minor: u32) -> bool {
        (self.major, self.minor) >= (0, minor)
    }
}

text_enum! {
    /// A key that submits what stands in the composer.
    pub enum SubmitKey {
        /// Does nothing where a dialog is open, whatever it asks.
        Tab => "tab",
        /// Takes the selected entry of any dialog, which is usually yes.
        Enter => "enter",
    }
}

text_enum! {
    /// A key that ends something.
    pub enum StopKey {
        /// Esc.
        Escape => "escape",
        /// Ctrl-C.
        CtrlC => "ctrl_c",
    }
}

text_enum! {
    /// What the composer and the turn are doing when a key arrives.
    pub enum Moment {
        /// No turn runs and nothing stands in the composer.
        IdleEmpty => "idle_empty",
        /// No turn runs; the composer holds text.
        IdleDraft => "idle_draft",
        /// A turn runs.
        Busy => "busy",
        /// A dialog has the keyboard.
        Dialog => "dialog",
    }
}

text_enum! {
    /// What a [`StopKey`] does.
    pub enum StopEffect {
        /// The running turn is interrupted.
        Interrupts => "interrupts",
        /// Codex is left.
        LeavesCodex => "leaves_codex",
        /// The text in the composer is lost.
        ClearsDraft => "clears_draft",
        /// A hint is shown; the same key once more opens the transcript browser, in which Enter rewinds.
        Hints => "hints",
        /// A menu asks what shall become of the task.
        Asks => "asks",
        /// The dialog is answered with no, which aborts the turn of an approval.
        Cancels => "cancels",
        /// Nobody has measured it.
        Unmeasured => "unmeasured",
        /// Nothing.
        Nothing => "nothing",
    }
}

/// The key to submit a message or a command that ends with a blank, while no turn runs. None: the version is not known,
/// so Enter is taken, which all of them understand.
#[must_use]
pub fn submit_key(version: Option<CodexVersion>) -> SubmitKey {
    match version {
        Some(version) if version.since(125) => SubmitKey::Tab,
        Some(_) | None => SubmitKey::Enter,
    }
}

/// The key that queues a message for the end of the running turn; none where a version has no such key.
#[must_use]
pub fn queue_key(version: Option<CodexVersion>) -> Option<SubmitKey> {
    version.filter(|version| version.since(169)).map(|_| SubmitKey::Tab)
}

/// The key that sends a message into the running turn.
///
/// A turn can open an approval at any moment, and between that and its first appearance on the screen lies a moment in
/// which no guard can know of it: this Enter would answer it. Where [`queue_key`] gives a key, that one is safe.
#[must_use]
pub fn steer_key() -> SubmitKey {
    SubmitKey::Enter
}

/// The key that interrupts a turn; none when no turn is there to be interrupted.
///
/// It is Esc in every version, once for each look at the screen: a Ctrl-C that comes too late, or a second one, leaves
/// Codex, and a second Esc opens the transcript browser.
#[must_use]
pub fn interrupt_key(moment: Moment) -> Option<StopKey> {
    match moment {
        Moment::Busy => Some(StopKey::Escape),
        Moment::IdleEmpty | Moment::IdleDraft | Moment::Dialog => None,
    }
}

/// Whether an approval can be given by keys: only where it is measured what the arrows do in its dialog.
#[must_use]
pub fn answers_by_keys(version: Option<CodexVersion>) -> bool {
    version.is_some_and(|version| (version.major, version.minor) == (0, 169))
}

/// What `key` does at `moment`; `in_server` tells whether the session lives in Codex's background server.
///
/// 0.25 asks before Ctrl-C leaves it; that counts as leaving here, since the answer would be ours.
#[must_use]
pub fn effect(key: StopKey, moment: Moment, in_server: bool) -> StopEffect {
    match (key, moment) {
        (StopKey::Escape, Moment::IdleEmpty) => StopEffect::Hints,
        (StopKey::Escape, Moment::IdleDraft) => StopEffect::Nothing,
        (StopKey::Escape, Moment::Busy) => StopEffect::Interrupts,
        (StopKey::Escape, Moment::Dialog) => StopEffect::Cancels,
        (StopKey::CtrlC, Moment::IdleEmpty) => StopEffect::LeavesCodex,
        (StopKey::CtrlC, Moment::IdleDraft) => StopEffect::ClearsDraft,
        (StopKey::CtrlC, Moment::Busy) if in_server => StopEffect::Asks,
        (StopKey::CtrlC, Moment::Busy) => StopEffect::Interrupts,
        (StopKey::CtrlC, Moment::Dialog) => StopEffect::Unmeasured,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(minor: u32) -> Option<CodexVersion> {
        Some(CodexVersion { major: 0, minor, patch: 0 })
    }

    #[test]
    fn tab_submits_from_0_125_on() {
        let keys = [25, 47, 98, 124, 125, 150, 169].map(|minor| submit_key(version(minor)));
        use SubmitKey::{Enter, Tab};
        assert_eq!(keys, [Enter, Enter, Enter, Enter, Tab, Tab, Tab]);
        assert_eq!(submit_key(None), Enter);
        assert_eq!([150, 169].map(|minor| queue_key(version(minor))), [None, Some(Tab)]);
        assert_eq!((queue_key(None), steer_key()), (None, Enter));
        assert_eq!(submit_key(Some(CodexVersion { major: 1, minor: 0, patch: 0 })), Tab);
    }

    #[test]
    fn approvals_by_keys_are_for_measured_versions() {
        let may = |text: &str| answers_by_keys(text.parse().ok());
        assert_eq!(
            ["0.169.0", "0.169.3", "0.168.0", "0.170.0", "1.169.0", "x"].map(may),
            [true, true, false, false, false, false]
        );
    }

    #[test]
    fn what_interrupts_never_leaves_codex_however_late_it_comes() {
        for moment in Moment::ALL {
            let Some(key) = interrupt_key(*moment) else { continue };
            for in_server in [false, true] {
                assert_eq!(effect(key, *moment, in_server), StopEffect::Interrupts);
                for later in Moment::ALL {
                    assert_ne!(effect(key, *later, in_server), StopEffect::LeavesCodex, "{key} at {later}");
                }
            }
        }
        assert_eq!(interrupt_key(Moment::IdleEmpty), None);
        assert_eq!(effect(StopKey::CtrlC, Moment::IdleEmpty, false), StopEffect::LeavesCodex, "so it is never the key");
    }
}
