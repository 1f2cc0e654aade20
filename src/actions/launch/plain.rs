//! `start`: Codex in tmux, and nothing else.

use std::fmt;

use serde::Serialize;

use super::{
    LaunchArgs,
    spawn::{self, ServerUse},
    started::{attach_line, switch_line},
};
use crate::{
    actions::{Action, Argv, Context, Format, Outcome},
    base::{Name, Result},
    model::pane::PaneState,
};

/// Start plain Codex in tmux, without registering it
///
/// Words behind `--` go to Codex.
///
/// Example: `conveyor start scratch --cwd . -- --model gpt-5.5`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Start {
    /// Name of the tmux session
    #[arg(value_name = "TMUX_SESSION")]
    pub session: Name,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub launch: LaunchArgs,
    /// Words for Codex
    #[arg(last = true, value_name = "WORDS")]
    pub words: Vec<String>,
}

/// A started, unregistered session.
#[derive(Debug, Serialize)]
pub struct PlainStarted {
    attach_command: Option<String>,
    cwd: String,
    dry_run: bool,
    register_worker_command_template: String,
    session: String,
    startup: Option<PaneState>,
    #[serde(skip)]
    switch_command: Option<String>,
    tmux_pane_id: Option<String>,
}

impl Action for Start {
    const NAME: &'static str = "start";
    const FORMAT: Format = Format::Json;
    const OPENS_SESSIONS: bool = true;
    type Output = PlainStarted;

    fn run(self, cx: &Context) -> Result<PlainStarted> {
        let mut plan = self.launch.plan(cx, self.session.as_str());
        plan.tmux_name = self.session.to_string();
        plan.server = ServerUse::Off;
        plan.extra = self.words;
        let prepared = spawn::prepare(cx, plan)?;
        spawn::check_name_free(cx, &prepared)?;
        let mut started = PlainStarted {
            attach_command: None,
            cwd: prepared.plan.cwd.display().to_string(),
            dry_run: cx.dry_run(),
            register_worker_command_template: "conveyor register-worker --name <name> --tmux-pane <pane>".to_owned(),
            session: prepared.tmux_name.to_string(),
            startup: None,
            switch_command: None,
            tmux_pane_id: None,
        };
        if !cx.dry_run() {
            let spawned = spawn::spawn(cx, &prepared)?;
            if cx.interrupted() {
                return Err(spawn::undo(cx, &prepared, &spawned, super::interrupted()));
            }
            let pane = spawned.pane.pane.to_string();
            started.attach_command = Some(attach_line(&spawned.pane.socket, &pane));
            started.switch_command = Some(switch_line(&spawned.pane.socket, &pane));
            started.startup = Some(spawned.screen.state);
            started.register_worker_command_template =
                format!("conveyor register-worker --name <name> --tmux-pane {pane}");
            started.tmux_pane_id = Some(pane);
        }
        Ok(started)
    }

    fn argv(&self) -> Argv {
        let Self { session, launch, words } = self;
        let argv = launch.argv(Argv::new(Self::NAME)).word(session);
        if words.is_empty() { argv } else { words.iter().fold(argv.end_of_options(), Argv::word) }
    }
}

impl Outcome for PlainStarted {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verb = if self.dry_run { "would start" } else { "started" };
        writeln!(out, "{verb} codex in tmux session {}; it is not registered", self.session)?;
        if let Some(attach) = &self.attach_command {
            writeln!(out, "attach, outside tmux: {attach}")?;
        }
        if let Some(switch) = &self.switch_command {
            writeln!(out, "attach, inside that tmux: {switch}")?;
        }
        writeln!(out, "register: {}", self.register_worker_command_template)
    }
}
