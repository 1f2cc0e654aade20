//! A thread as the server describes it, and what its status says about a session's state.
//!
//! Reading is lenient: fields that are missing or new are no errors, and a status this program has never heard of
//! is carried as such instead of being guessed.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::base::{Timestamp, text};
use crate::model::state::{Condition, Reading, Source};

/// The longest name or preview that is kept, in characters.
const MAX_TITLE: usize = 200;

/// What the server says a thread is doing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WireStatus")]
pub enum ThreadStatus {
    /// The server has not loaded it; another process may have.
    NotLoaded,
    /// No turn is open.
    Idle,
    /// A turn is open.
    Active {
        /// It waits for somebody to allow or refuse something.
        waiting_on_approval: bool,
        /// It waits for somebody to answer a question.
        waiting_on_user_input: bool,
    },
    /// The last turn failed, and none has begun since.
    SystemError,
    /// A status, or a flag of an open turn, that this program does not know.
    Other(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireStatus {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    active_flags: Vec<String>,
}

impl From<WireStatus> for ThreadStatus {
    fn from(wire: WireStatus) -> Self {
        match wire.kind.as_str() {
            "notLoaded" => Self::NotLoaded,
            "idle" => Self::Idle,
            "systemError" => Self::SystemError,
            "active" => {
                let has = |flag: &str| wire.active_flags.iter().any(|known| known == flag);
                let (approval, input) = (has("waitingOnApproval"), has("waitingOnUserInput"));
                match wire
                    .active_flags
                    .iter()
                    .find(|f| !matches!(f.as_str(), "waitingOnApproval" | "waitingOnUserInput"))
                {
                    // A known flag says enough; with an unknown one alone "busy" could hide that somebody is waited for.
                    Some(flag) if !approval && !input => Self::Other(title(&format!("active, {flag}"))),
                    _ => Self::Active { waiting_on_approval: approval, waiting_on_user_input: input },
                }
            }
            _ => Self::Other(title(&wire.kind)),
        }
    }
}

impl ThreadStatus {
    /// What this status says about the session, `at` being the moment it became so, when that is known.
    ///
    /// A thread that is not loaded and a status of an unknown kind give `unknown`: another sensor may know better.
    #[must_use]
    pub fn reading(&self, at: Option<Timestamp>) -> Reading {
        let (condition, rule, reason) = match self {
            Self::NotLoaded => {
                (Condition::Unknown, "server_not_loaded", "Codex's server has not loaded the session".to_owned())
            }
            Self::Idle => (Condition::Idle, "server_idle", "Codex's server says that no turn is open".to_owned()),
            Self::Active { waiting_on_approval: true, .. } => {
                (Condition::Blocked, "server_approval", "Codex's server says that an approval is open".to_owned())
            }
            Self::Active { waiting_on_user_input: true, .. } => {
                (Condition::Blocked, "server_user_input", "Codex's server says that a question is open".to_owned())
            }
            Self::Active { .. } => {
                (Condition::Busy, "server_active", "Codex's server says that a turn is open".to_owned())
            }
            Self::SystemError => {
                (Condition::Aborted, "server_system_error", "Codex's server says that the last turn failed".to_owned())
            }
            Self::Other(status) => (
                Condition::Unknown,
                "server_unknown_status",
                format!("Codex's server reports the unknown status \"{status}\""),
            ),
        };
        Reading { source: Source::Server, condition, rule: rule.to_owned(), reason, at, byte_offset: None }
    }
}

/// A thread as the server describes it. Texts are cleaned and cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadInfo {
    /// The thread's id, which is also in its rollout's name.
    pub id: String,
    /// What it is doing.
    pub status: ThreadStatus,
    /// The directory it works in.
    pub cwd: Option<PathBuf>,
    /// Its rollout. The path is fixed from the beginning; the file comes with the first input or the first name.
    pub rollout: Option<PathBuf>,
    /// Its name, when it has one.
    pub name: Option<String>,
    /// The beginning of its first message, when there is one.
    pub preview: Option<String>,
    /// Who created it: `cli`, `vscode` (also terminals of the server), `exec`, `subAgent`, ... No ground to filter on.
    pub source: Option<String>,
    /// The thread that spawned it, when it is a sub-agent's.
    pub parent_id: Option<String>,
    /// It leaves no rollout; Codex's hidden helper threads are like that.
    pub ephemeral: bool,
    /// The model it uses.
    pub model: Option<String>,
    /// The version of Codex that created it.
    pub codex_version: Option<String>,
    /// When it was created; exact to the second.
    pub created_at: Option<Timestamp>,
    /// When it last changed; exact to the second.
    pub updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireThread {
    id: String,
    status: ThreadStatus,
    cwd: Option<PathBuf>,
    path: Option<PathBuf>,
    name: Option<String>,
    preview: Option<String>,
    source: Option<Value>,
    parent_thread_id: Option<String>,
    ephemeral: Option<bool>,
    model: Option<String>,
    cli_version: Option<String>,
    created_at: Option<i64>,
    updated_at: Option<i64>,
}

impl<'de> Deserialize<'de> for ThreadInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = WireThread::deserialize(deserializer)?;
        let seconds = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
        let shown = |text: Option<String>| text.map(|text| title(&text)).filter(|text| !text.is_empty());
        Ok(Self {
            id: wire.id,
            status: wire.status,
            cwd: wire.cwd,
            rollout: wire.path,
            name: shown(wire.name),
            preview: shown(wire.preview),
            source: shown(wire.source.as_ref().and_then(source_kind)),
            parent_id: wire.parent_thread_id,
            ephemeral: wire.ephemeral.unwrap_or(false),
            model: shown(wire.model),
            codex_version: shown(wire.cli_version),
            created_at: wire.created_at.map(seconds),
            updated_at: wire.updated_at.map(seconds),
        })
    }
}

/// A source is a word, or an object whose one key is the word.
fn source_kind(source: &Value) -> Option<String> {
    match source {
        Value::String(kind) => Some(kind.clone()),
        Value::Object(object) => object.keys().next().cloned(),
        _ => None,
    }
}

fn title(text: &str) -> String {
    text::bounded(&text::one_line(&text::clean(text)), MAX_TITLE)
}
