//! What rollout lines say, whatever dialect they say it in.
//!
//! Every text in here is cleaned and bounded; nothing in here knows JSON or a Codex version.

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::text_enum;

/// What one line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// Who the thread is: `session_meta`, or the header line of Codex 0.25.
    SessionHead(Box<Head>),
    /// A turn began.
    TurnStarted {
        /// The turn.
        turn_id: Option<String>,
        /// What made it begin (`user`, `queue`, `goal`, `exec`).
        trigger: Option<String>,
        /// Size of the model's window, in tokens.
        context_window: Option<u64>,
        /// When, in whole seconds as the payload says it; a copied record keeps it.
        started_at: Option<Timestamp>,
    },
    /// A turn is over, with or without an answer.
    TurnEnded {
        /// The turn.
        turn_id: Option<String>,
        /// The answer.
        last_message: Option<String>,
        /// Why it failed.
        error: Option<TurnError>,
    },
    /// A turn was cut off.
    TurnAborted {
        /// The turn; older dialects do not say which.
        turn_id: Option<String>,
        /// `interrupted`, ...
        reason: String,
    },
    /// A message to the agent. Each message is told once: the raw copy is a [`Fact::RawMessage`].
    UserMessage {
        /// The text.
        text: String,
        /// Id chosen by whoever sent it through Codex's server or queue.
        client_id: Option<String>,
        /// Codex put it there itself (environment, instructions); no person sent it.
        injected: bool,
    },
    /// A message of the agent. Each is told once, as above.
    AgentMessage {
        /// The text.
        text: String,
        /// Answer or note.
        phase: Phase,
    },
    /// The agent thought.
    Reasoning,
    /// The model called a tool.
    CallStarted {
        /// Pairs it with its end.
        call_id: Option<String>,
        /// The tool.
        name: String,
    },
    /// The output of a call is there.
    CallFinished {
        /// Pairs it with its start.
        call_id: Option<String>,
    },
    /// A command has run.
    Command {
        /// The command line, without the shell around it.
        command: String,
        /// How it ended; none when it did not run.
        exit_code: Option<i64>,
        /// Who wanted it.
        source: CommandSource,
    },
    /// Files were changed.
    FileChange {
        /// Their paths, at most sixteen.
        paths: Vec<String>,
        /// `completed`, `failed`, `declined`.
        status: Option<String>,
    },
    /// Another tool has run.
    ToolCall {
        /// `server.tool`, or the tool alone.
        name: String,
        /// `completed`, `failed`.
        status: Option<String>,
    },
    /// The agent proposed a plan and waits.
    Plan {
        /// The plan.
        text: String,
    },
    /// The context was compacted.
    Compacted,
    /// Turns were taken back; the message is a draft again.
    RolledBack {
        /// How many.
        turns: u64,
    },
    /// Token use and limits.
    Tokens(Box<Tokens>),
    /// News of a sub-agent.
    SubAgent {
        /// `started`, `completed`, ...
        kind: String,
        /// Its thread.
        child: Option<String>,
        /// Its path among the agents (`/root/counter`).
        path: Option<String>,
    },
    /// Codex reported an error that ends the turn.
    Error(TurnError),
    /// The goal was set or changed.
    Goal {
        /// What is to be reached.
        objective: String,
        /// `active`, `paused`, ...
        status: String,
    },
    /// The raw copy of a message as the model gets it; the message itself is told by another line.
    RawMessage {
        /// Who speaks.
        role: MessageRole,
    },
    /// A bookkeeping line of Codex 0.25.
    StateRecord,
    /// Anything else.
    Other {
        /// The type is one we have seen; the others count towards a format-drift warning.
        known: bool,
    },
}

/// The first line of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The thread.
    pub thread_id: String,
    /// The root thread, when this is a sub-agent's; else the same id or none.
    pub session_id: Option<String>,
    /// Working directory; Codex 0.25 does not say.
    pub cwd: Option<String>,
    /// Version of the Codex that wrote the line.
    pub version: Option<String>,
    /// `codex-tui`, `codex_exec`, `codex_cli_rs`, ...
    pub originator: Option<String>,
    /// Where the thread was started.
    pub source: SessionSource,
    /// The thread this one was forked from.
    pub forked_from: Option<String>,
    /// When the thread was created.
    pub started_at: Option<Timestamp>,
    /// `paginated`, `legacy`; absent in old versions.
    pub history_mode: Option<String>,
}

/// Where a thread was started. This is no filter: daemon sessions say `vscode` although a terminal shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionSource {
    /// A terminal without the background server.
    Cli,
    /// The background server, whoever its client is.
    Vscode,
    /// `codex exec`.
    Exec,
    /// Another agent.
    SubAgent {
        /// The thread that started it.
        parent: Option<String>,
        /// Its path among the agents (`/root/counter`).
        path: Option<String>,
    },
    /// Another text.
    Other(String),
    /// The head does not say.
    Unsaid,
}

/// Why a turn failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnError {
    /// `usage_limit_exceeded`, `http_connection_failed`, `other`, ...
    pub kind: Option<String>,
    /// The HTTP status behind it.
    pub http_status: Option<u64>,
    /// One sentence.
    pub message: String,
}

text_enum! {
    /// What an agent message is meant as.
    pub enum Phase {
        /// An answer.
        Final => "final",
        /// A note on the way.
        Commentary => "commentary",
    }
}

text_enum! {
    /// Who wanted a command to run.
    pub enum CommandSource {
        /// The agent.
        Agent => "agent",
        /// A person, with `!`.
        UserShell => "user_shell",
    }
}

text_enum! {
    /// Who speaks in a raw message.
    pub enum MessageRole {
        /// The instructions.
        Developer => "developer",
        /// A person, a supervisor, or Codex in the user's name.
        User => "user",
        /// The model.
        Assistant => "assistant",
        /// Another agent or an unknown role.
        Other => "other",
    }
}

/// Token use, as the newest line tells it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Tokens {
    /// Tokens of the last request: how full the window is.
    pub last_total: Option<u64>,
    /// Tokens of the whole thread.
    pub total: Option<u64>,
    /// Size of the model's window.
    pub window: Option<u64>,
    /// Account limits, when the line carries them.
    pub limits: Option<RateLimits>,
}

/// Account limits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RateLimits {
    /// The short window.
    pub primary: Option<LimitWindow>,
    /// The long window.
    pub secondary: Option<LimitWindow>,
    /// Which limit is used up, in Codex's word.
    pub reached: Option<String>,
}

/// One account limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitWindow {
    /// 0 to 100.
    pub used_percent: f64,
    /// Length of the window.
    pub window_minutes: Option<u64>,
    /// When it starts anew.
    pub resets_at: Option<Timestamp>,
}
