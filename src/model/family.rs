//! Sub-agents: which threads a session has started, and which one started it, as their rollouts tell.

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;

/// A sub-agent, as the rollout of its parent tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SubAgent {
    /// Its thread.
    pub thread_id: String,
    /// Its path among the agents (`/root/counter`).
    pub path: Option<String>,
    /// The last news of it, in Codex's word: `started`, `completed`, ...
    pub state: String,
    /// When it was started, if the parent's rollout tells.
    pub started_at: Option<Timestamp>,
    /// When the last news came.
    pub at: Option<Timestamp>,
}

impl SubAgent {
    /// Whether it was started and did not end, as far as its parent knows.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !ends(&self.state)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.as_deref().unwrap_or(&self.thread_id)
    }
}

/// Whether this news says that a sub-agent has ended.
#[must_use]
pub fn ends(kind: &str) -> bool {
    matches!(kind, "completed" | "failed" | "interrupted" | "aborted" | "closed" | "shutdown")
}

/// A sub-agent with what its own rollout tells, when that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentView {
    /// What its parent tells.
    #[serde(flatten)]
    pub agent: SubAgent,
    /// The session that it is registered as.
    pub session: Option<String>,
    /// Tokens of its last request; none when its rollout was not found or tells nothing.
    pub used_tokens: Option<u64>,
    /// Tokens of its whole thread.
    pub total_tokens: Option<u64>,
    /// When its own rollout was written last.
    pub last_event_at: Option<Timestamp>,
}

/// The thread that started this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parent {
    /// Its thread.
    pub thread_id: String,
    /// The session that it is registered as.
    pub session: Option<String>,
    /// The path of the child among the agents.
    pub path: Option<String>,
}
