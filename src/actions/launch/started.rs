//! What a start says about the session it started.

use std::fmt;

use serde::Serialize;

use super::{
    by_server,
    spawn::{Prepared, Spawned},
};
use crate::{
    actions::Outcome,
    base::text,
    model::{
        pane::PaneState,
        session::{Role, Session},
    },
    ports::codex_server::{ApprovalPolicy, Sandbox},
};

/// A started session.
#[derive(Debug, Serialize)]
pub struct Started {
    /// Null when the thread keeps its own setting.
    approval: Option<ApprovalPolicy>,
    attach_command: Option<String>,
    awaiting_first_prompt: bool,
    codex_session_id: Option<String>,
    codex_session_path: Option<String>,
    codex_version: String,
    cwd: String,
    dry_run: bool,
    /// Why its commands cannot write the ledger although it is a manager; null when they can.
    ledger_unwritable: Option<String>,
    name: String,
    pid: Option<i64>,
    /// The commands that came while its Codex was gone, and that a resume queues again; absent in a start.
    #[serde(skip_serializing_if = "Option::is_none")]
    requeued_commands: Option<Vec<String>>,
    role: Role,
    /// Null when the thread keeps its own setting.
    sandbox: Option<Sandbox>,
    session_id: Option<String>,
    /// What the screen showed last: idle, busy, waiting, unknown.
    startup: Option<PaneState>,
    startup_reason: Option<String>,
    #[serde(skip)]
    switch_command: Option<String>,
    tmux_pane_id: Option<String>,
    tmux_session: String,
    trust_accepted: bool,
    /// Why Codex's background server does not hold the session; null when it does.
    without_server: Option<String>,
    /// Folders that its commands may write to besides its working directory and those that the configuration names; null
    /// when the thread keeps its own setting.
    writable_roots: Option<Vec<String>>,
}

impl Started {
    /// The session's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The same of a resume, with the commands that it queues again.
    pub(super) fn with_requeued(self, commands: Vec<String>) -> Self {
        Self { requeued_commands: Some(commands), ..self }
    }

    pub(super) fn planned(prepared: &Prepared, role: Role) -> Self {
        let plan = &prepared.plan;
        Self {
            approval: plan.approval,
            attach_command: None,
            awaiting_first_prompt: plan.prompt.is_none(),
            codex_session_id: plan.resume.clone(),
            codex_session_path: None,
            codex_version: prepared.version.to_string(),
            cwd: plan.cwd.display().to_string(),
            dry_run: true,
            ledger_unwritable: plan.ledger_unwritable.clone(),
            name: plan.name.clone(),
            pid: None,
            requeued_commands: None,
            role,
            sandbox: plan.sandbox,
            session_id: None,
            startup: None,
            startup_reason: None,
            switch_command: None,
            tmux_pane_id: None,
            tmux_session: prepared.tmux_name.to_string(),
            trust_accepted: false,
            without_server: by_server::foreseen_without_server(prepared),
            writable_roots: roots(prepared),
        }
    }

    pub(super) fn of(prepared: &Prepared, spawned: &Spawned, session: Session) -> Self {
        let plan = &prepared.plan;
        Self {
            approval: plan.approval,
            attach_command: Some(attach_line(&spawned.pane.socket, spawned.pane.pane.to_string().as_str())),
            awaiting_first_prompt: session.codex_session_path.is_none() && plan.prompt.is_none(),
            codex_session_id: session.codex_session_id,
            codex_session_path: session.codex_session_path,
            codex_version: spawned.codex_version.to_string(),
            cwd: session.cwd,
            dry_run: false,
            ledger_unwritable: plan.ledger_unwritable.clone(),
            name: session.name,
            pid: session.pid,
            requeued_commands: None,
            role: session.role,
            sandbox: plan.sandbox,
            session_id: Some(session.id),
            startup: Some(spawned.screen.state),
            startup_reason: Some(spawned.screen.reason.clone()),
            switch_command: Some(switch_line(&spawned.pane.socket, spawned.pane.pane.to_string().as_str())),
            tmux_pane_id: session.tmux_pane_id,
            tmux_session: spawned.pane.session_name.clone(),
            trust_accepted: spawned.trust_accepted,
            without_server: spawned.without_server.clone(),
            writable_roots: roots(prepared),
        }
    }
}

fn roots(prepared: &Prepared) -> Option<Vec<String>> {
    let plan = &prepared.plan;
    (plan.sandbox.is_some() && !plan.loaded)
        .then(|| plan.writable.iter().map(|folder| folder.display().to_string()).collect())
}

/// The command that shows a pane in a terminal that is inside its tmux already.
pub(super) fn switch_line(socket: &str, pane: &str) -> String {
    shell_words::join(["tmux", "-S", socket, "switch-client", "-t", pane])
}

/// The command that shows a pane in a terminal outside tmux.
pub(super) fn attach_line(socket: &str, pane: &str) -> String {
    shell_words::join(["tmux", "-S", socket, "attach-session", "-t", pane])
}

impl Outcome for Started {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verb = if self.dry_run { "would start" } else { "started" };
        writeln!(out, "{verb} {} {} in tmux session {}", self.role, self.name, self.tmux_session)?;
        writeln!(out, "  {} in {}", self.codex_version, self.cwd)?;
        let own = |text: Option<String>| text.unwrap_or_else(|| "as the thread has it".to_owned());
        let (sandbox, approval) = (self.sandbox.map(|it| it.to_string()), self.approval.map(|it| it.to_string()));
        writeln!(out, "  sandbox {}, asks {}", own(sandbox), own(approval))?;
        if let (Some(state), Some(reason)) = (self.startup, &self.startup_reason) {
            writeln!(out, "  {state}: {reason}")?;
        }
        if let Some(reason) = &self.without_server {
            writeln!(out, "  without Codex's server ({reason}); messages reach it another way")?;
        }
        for folder in self.writable_roots.iter().flatten() {
            writeln!(out, "  its commands may also write below {folder}, where the ledger is")?;
        }
        if let Some(reason) = &self.ledger_unwritable {
            writeln!(out, "  ! its commands cannot write the ledger: {reason}")?;
        }
        if self.trust_accepted {
            writeln!(out, "  the folder is trusted now")?;
        }
        if let Some(commands) = self.requeued_commands.as_ref().filter(|commands| !commands.is_empty()) {
            let are = match (self.dry_run, commands.len()) {
                (true, _) => "would be",
                (false, 1) => "is",
                (false, _) => "are",
            };
            let messages = text::counted(commands.len(), "message");
            writeln!(out, "  {messages} that came while its Codex was gone {are} queued again, to be sent to it")?;
        }
        if let Some(id) = &self.codex_session_id {
            writeln!(out, "  Codex session {id}")?;
        }
        if let Some(attach) = &self.attach_command {
            // It knows whether it runs inside tmux, in which one does not attach.
            writeln!(out, "attach: conveyor open {}", self.name)?;
            writeln!(out, "  by tmux itself, outside tmux: {attach}")?;
        }
        if let (Some(switch), Some(_)) = (&self.switch_command, &self.attach_command) {
            writeln!(out, "  by tmux itself, inside that tmux: {switch}")?;
        }
        Ok(())
    }
}
