//! What every start takes, and the plan that it makes.

use std::{path::PathBuf, time::Duration};

use super::spawn::{Plan, ServerUse, Trust};
use crate::{
    actions::{Argv, Context},
    ports::codex_server::{ApprovalPolicy, Sandbox},
};

/// How long a session gets to be ready, unless something else is said.
const PATIENCE_SECONDS: u64 = 30;

/// What every start takes.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
pub struct LaunchArgs {
    /// Working directory; without it the present one
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// What its commands may touch: read-only, workspace-write or danger-full-access [default: workspace-write]
    #[arg(long, value_name = "MODE")]
    pub sandbox: Option<Sandbox>,
    /// When it asks: on-request, never, or untrusted, which Codex 0.169 refuses [default: on-request]
    #[arg(long, value_name = "POLICY")]
    pub ask_for_approval: Option<ApprovalPolicy>,
    /// `yolo`: full access, never ask; says on the command line what it is
    #[arg(long, value_name = "PROFILE", value_parser = ["yolo"], conflicts_with_all = ["sandbox", "ask_for_approval"])]
    pub codex_profile: Option<String>,
    /// The model; without it the configured one
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Trust this folder: answer Codex's question on its screen, or let its server trust it
    #[arg(long)]
    pub accept_trust: bool,
    /// Do not use Codex's background server, also when this version has one
    #[arg(long)]
    pub no_server: bool,
    /// How long to wait until the session is ready
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE_SECONDS, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout_seconds: u64,
    /// The codex program, instead of the one on PATH
    #[arg(long, value_name = "FILE")]
    pub codex: Option<PathBuf>,
}

impl LaunchArgs {
    pub(super) fn argv(&self, argv: Argv) -> Argv {
        let Self {
            cwd,
            sandbox,
            ask_for_approval,
            codex_profile,
            model,
            accept_trust,
            no_server,
            timeout_seconds,
            codex,
        } = self;
        argv.option("--cwd", cwd.as_ref().map(|path| path.display()))
            .option("--sandbox", *sandbox)
            .option("--ask-for-approval", *ask_for_approval)
            .option("--codex-profile", codex_profile.as_ref())
            .option("--model", model.as_ref())
            .switch("--accept-trust", *accept_trust)
            .switch("--no-server", *no_server)
            .option("--timeout-seconds", (*timeout_seconds != PATIENCE_SECONDS).then_some(timeout_seconds))
            .option("--codex", codex.as_ref().map(|path| path.display()))
    }

    /// The rights that were asked for; nothing is assumed.
    pub(super) fn given_rights(&self) -> (Option<Sandbox>, Option<ApprovalPolicy>) {
        if self.codex_profile.is_some() {
            (Some(Sandbox::DangerFullAccess), Some(ApprovalPolicy::Never))
        } else {
            (self.sandbox, self.ask_for_approval)
        }
    }

    /// The plan for a session of this name, without a prompt.
    pub(super) fn plan(&self, cx: &Context, name: &str) -> Plan {
        let (sandbox, approval) = self.given_rights();
        Plan {
            name: name.to_owned(),
            tmux_name: format!("codex-{name}"),
            cwd: self.cwd.as_ref().map_or_else(|| cx.env().cwd.clone(), |path| cx.env().absolute(path)),
            prompt: None,
            sandbox: Some(sandbox.unwrap_or(Sandbox::WorkspaceWrite)),
            approval: Some(approval.unwrap_or(ApprovalPolicy::OnRequest)),
            model: self.model.clone(),
            extra: Vec::new(),
            server: if self.no_server { ServerUse::Off } else { ServerUse::Preferred },
            resume: None,
            loaded: false,
            trust: if self.accept_trust { Trust::Accept } else { Trust::Ask },
            patience: Duration::from_secs(self.timeout_seconds),
            program: self.codex.as_ref().map(|path| cx.env().absolute(path)),
            writable: Vec::new(),
            ledger_unwritable: None,
        }
    }
}
