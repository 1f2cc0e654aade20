//! Registered Codex sessions and how they can be reached.

use serde::Serialize;

use crate::base::Timestamp;
use crate::text_enum;

text_enum! {
    /// What a session is for.
    pub enum Role {
        /// Does the work.
        Worker => "worker",
        /// Supervises a worker.
        Manager => "manager",
    }
}

text_enum! {
    /// Whether a registration is in force.
    pub enum Registration {
        /// Watched and addressable.
        Active => "active",
        /// Deregistered, stopped or lost; its record stays.
        Gone => "gone",
    }
}

/// A registered Codex session, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// `session-<uuid>`.
    pub id: String,
    /// Unique.
    pub name: String,
    /// Worker or manager.
    pub role: Role,
    /// A secret that proves the session's identity in prompts; never shown unless asked for.
    pub identity_token: String,
    /// Name of the tmux session it was started in.
    pub tmux_session: Option<String>,
    /// Pane id (`%7`); the only form in which a pane is ever addressed.
    pub tmux_pane_id: Option<String>,
    /// Path of the tmux server socket; none means the user's default server.
    pub tmux_socket: Option<String>,
    /// The tmux session was made for this session alone, so it may be closed with it.
    pub tmux_owned: bool,
    /// Process id of the pane's first process when the pane was recorded.
    pub pane_pid: Option<i64>,
    /// Start time of that process, in clock ticks since boot, against reused pids.
    pub pane_pid_start: Option<i64>,
    /// Absolute path of the rollout; none until Codex has written it.
    pub codex_session_path: Option<String>,
    /// Codex's thread id.
    pub codex_session_id: Option<String>,
    /// Thread id in the Codex app, when it is an app session.
    pub codex_app_thread_id: Option<String>,
    /// Thread title in the Codex app.
    pub codex_app_thread_title: Option<String>,
    /// Version of the Codex that wrote the rollout's head.
    pub codex_version: Option<String>,
    /// `CODEX_HOME` of the session, when known.
    pub codex_home: Option<String>,
    /// What its commands may touch, as it was started; none when we did not start it.
    pub sandbox: Option<String>,
    /// When it asks, as it was started.
    pub approval: Option<String>,
    /// The model it was started with; none takes the configured one.
    pub model: Option<String>,
    /// Process id of the Codex process; none for app sessions.
    pub pid: Option<i64>,
    /// Start time of that process, in clock ticks since boot.
    pub pid_start: Option<i64>,
    /// Working directory; empty when unknown.
    pub cwd: String,
    /// When it was registered first.
    pub registered_at: Timestamp,
    /// When a new process took over its thread.
    pub resumed_at: Option<Timestamp>,
    /// When the session was last observed.
    pub last_heartbeat_at: Option<Timestamp>,
    /// Whether the registration is in force.
    pub state: Registration,
    /// First byte of the rollout that has not been ingested.
    pub last_ingest_offset: Option<i64>,
}

impl Session {
    /// A session of which nothing else is known.
    #[must_use]
    pub const fn new(id: String, name: String, role: Role, identity_token: String, registered_at: Timestamp) -> Self {
        Self {
            id,
            name,
            role,
            identity_token,
            tmux_session: None,
            tmux_pane_id: None,
            tmux_socket: None,
            tmux_owned: false,
            pane_pid: None,
            pane_pid_start: None,
            codex_session_path: None,
            codex_session_id: None,
            codex_app_thread_id: None,
            codex_app_thread_title: None,
            codex_version: None,
            codex_home: None,
            sandbox: None,
            approval: None,
            model: None,
            pid: None,
            pid_start: None,
            cwd: String::new(),
            registered_at,
            resumed_at: None,
            last_heartbeat_at: None,
            state: Registration::Active,
            last_ingest_offset: None,
        }
    }

    /// The command that brings back a session that is gone; none when it is not, or when nothing leads to it.
    #[must_use]
    pub fn way_back(&self, parting: Parting) -> Option<String> {
        if self.state != Registration::Gone {
            return None;
        }
        let again = self.registration_again().filter(|_| parting == Parting::GivenUp);
        again.or_else(|| self.codex_session_id.is_some().then(|| format!("conveyor resume {}", self.name)))
    }

    /// The command that registers it anew while its Codex runs; none when nothing says where that is. The pane does not:
    /// below its shell another Codex may run by now.
    #[must_use]
    pub fn registration_again(&self) -> Option<String> {
        let place = match (self.pid, &self.codex_session_path) {
            (Some(pid), _) => format!("--pid {pid}"),
            (None, Some(path)) => format!("--codex-session {}", shell_words::quote(path)),
            (None, None) => return None,
        };
        Some(format!("conveyor register-{} --name {} {place}", self.role, self.name))
    }
}

/// How a session that is gone was left, which decides how it is brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// Its Codex was ended.
    Stopped,
    /// Its registration was given up; its Codex was left alone.
    GivenUp,
}

text_enum! {
    /// Which kind of place a session lives in.
    pub enum SessionKind {
        /// A tmux pane.
        Tmux => "tmux",
        /// A Codex session without a pane of ours.
        CodexApp => "codex_app",
        /// Nothing is known but the registration.
        NoTmux => "no_tmux",
    }
}

/// How a session can be reached; derived from its record, never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Communication {
    /// The kind of place.
    pub session_kind: SessionKind,
    /// `push` or `pull`.
    pub receive_style: &'static str,
    /// `push` or `pull_required`.
    pub delivery_mode: &'static str,
    /// Text can be sent into it.
    pub can_receive_push: bool,
    /// It can poll its inbox.
    pub can_receive_pull: bool,
    /// It has to poll, nothing can be pushed.
    pub requires_polling: bool,
    /// The field that decided.
    pub detection_source: &'static str,
    /// The tmux session, when there is one.
    pub tmux_session: Option<String>,
}

impl Communication {
    /// Decides from the record: a pane can be pushed to, everything else polls.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        let tmux = session.tmux_session.clone().filter(|name| !name.is_empty());
        let codex = [&session.codex_session_path, &session.codex_session_id]
            .into_iter()
            .any(|field| field.as_deref().is_some_and(|text| !text.is_empty()));
        let push = tmux.is_some() || session.tmux_pane_id.is_some();
        let (session_kind, detection_source) = if tmux.is_some() {
            (SessionKind::Tmux, "tmux_session")
        } else if push {
            (SessionKind::Tmux, "tmux_pane")
        } else if codex {
            (SessionKind::CodexApp, "codex_session_without_tmux")
        } else {
            (SessionKind::NoTmux, "missing_tmux_session")
        };
        Self {
            session_kind,
            receive_style: if push { "push" } else { "pull" },
            delivery_mode: if push { "push" } else { "pull_required" },
            can_receive_push: push,
            can_receive_pull: true,
            requires_polling: !push,
            detection_source,
            tmux_session: tmux,
        }
    }
}
