//! `resume`: a session whose process or pane has died, in a new pane.

use std::path::PathBuf;

use super::{
    LaunchArgs,
    registering::{Before, register},
    spawn::{self, DeadPane},
    started::Started,
    writable,
};
use crate::{
    actions::{Action, Argv, Context, Format, caller, dispatch, lookup, session::check_thread_free},
    base::{Error, Result},
    model::session::{Registration, Role, Session},
    ports::process::{Liveness, ProcessId},
    store,
};

/// Bring back a session whose process or pane has died
///
/// Opens its Codex thread in a new pane and keeps its name, task and history. One that was deregistered while its Codex
/// runs on is registered again instead; the error names the command.
///
/// Example: `conveyor resume w1`
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(mut_arg("cwd", |cwd| cwd.help("Working directory; without it the session's own")))]
#[command(mut_arg("sandbox", |sandbox| sandbox.help(
    "What its commands may touch: read-only, workspace-write or danger-full-access [default: what it had]",
)))]
#[command(mut_arg("ask_for_approval", |policy| policy.help(
    "When it asks: on-request, never, or untrusted, which Codex 0.169 refuses [default: as before]",
)))]
pub struct Resume {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub launch: LaunchArgs,
}

impl Action for Resume {
    const NAME: &'static str = "resume";
    const FORMAT: Format = Format::Json;
    const OPENS_SESSIONS: bool = true;
    type Output = Started;

    fn run(self, cx: &Context) -> Result<Started> {
        let ledger = cx.ledger_to_change()?;
        let (session, judgement) = ledger.read(|r| {
            let session = lookup::session(r, &self.session)?;
            check_thread_free(r, &session)?;
            let judgement = store::board::judgement(r, &session, cx.now())?;
            Ok::<_, Error>((session, judgement))
        })?;
        let Some(thread) = session.codex_session_id.clone() else {
            return Err(Error::refused(format!("session \"{}\" has no Codex thread to resume", session.name))
                .hint("it never got a first message; start it anew"));
        };
        if session.state == Registration::Active && still_there(cx, &session) {
            return Err(Error::refused(format!("session \"{}\" is still there: {}", session.name, judgement.reason))
                .hint(format!("`conveyor open {}` shows it", session.name)));
        }
        if session.state == Registration::Gone
            && let Some(command) = session.registration_again().filter(|_| runs_on(cx, &session))
        {
            // A second Codex on the same thread could not write to it.
            return Err(Error::refused(format!(
                "session \"{}\" was deregistered, but its Codex still runs",
                session.name
            ))
            .hint(format!("`{command}` takes it up again")));
        }
        let mut plan = self.launch.plan(cx, &session.name);
        if self.launch.cwd.is_none() && !session.cwd.is_empty() {
            plan.cwd = PathBuf::from(&session.cwd);
        }
        let (sandbox, approval) = self.launch.given_rights();
        // Never wider than it was: what is not asked for is as it was started, or as the thread itself has it.
        plan.sandbox = sandbox.or_else(|| session.sandbox.as_deref()?.parse().ok());
        plan.approval = approval.or_else(|| session.approval.as_deref()?.parse().ok());
        plan.model = plan.model.or_else(|| session.model.clone());
        plan.resume = Some(thread.clone());
        if session.role == Role::Manager {
            writable::grant_ledger(cx, &mut plan);
        }
        let mut prepared = spawn::prepare(cx, plan)?;
        if spawn::held_by_server(cx, &prepared, &session, &thread)? {
            if sandbox.is_some() || approval.is_some() || self.launch.model.is_some() {
                return Err(Error::refused(format!(
                    "Codex's server holds the thread {thread} with its own sandbox, approvals and model"
                ))
                .hint("leave these options out, or wait until the server has let go of the thread"));
            }
            prepared.plan.loaded = true;
            // It has the folders that it was started with as well.
            (prepared.plan.writable, prepared.plan.ledger_unwritable) = (Vec::new(), None);
        }
        let dead = DeadPane::of(cx, &session);
        if cx.dry_run() {
            if dead.is_none() {
                spawn::check_name_free(cx, &prepared)?;
            }
            let requeued = ledger.read(|r| dispatch::would_queue_again(r, &session))?;
            return Ok(Started::planned(&prepared, session.role).with_requeued(requeued));
        }
        let before = Before::Resumed { session: &session, by: caller::origin(cx, &ledger)?.actor(cx) };
        if let Some(dead) = dead {
            dead.close()?;
        }
        spawn::check_name_free(cx, &prepared)?;
        let mut spawned = spawn::spawn(cx, &prepared)?;
        spawned.rollout = session.codex_session_path.as_ref().map(PathBuf::from).filter(|path| path.exists());
        match register(cx, &prepared, &spawned, session.role, Self::NAME, &before) {
            Ok(now) => Ok(Started::of(&prepared, &spawned, now.session).with_requeued(now.requeued)),
            Err(error) => Err(spawn::undo(cx, &prepared, &spawned, error)),
        }
    }

    fn argv(&self) -> Argv {
        let Self { session, launch } = self;
        launch.argv(Argv::new(Self::NAME)).end_of_options().word(session)
    }
}

/// Whether the Codex that is on record lives; of a pane's first process nobody knows what it is.
fn runs_on(cx: &Context, session: &Session) -> bool {
    let process = session.pid.zip(session.pid_start).and_then(|(pid, start)| ProcessId::from_stored(pid, start));
    process.is_some_and(|process| cx.processes().liveness(process) == Liveness::Alive)
}

/// Whether the session's pane still holds its process, as a fresh look tells.
fn still_there(cx: &Context, session: &Session) -> bool {
    let look = crate::actions::sense::Observer::default().look(cx, session);
    !look.rows.is_empty()
        && !look.rows.iter().filter_map(|row| row.reading.as_ref()).any(crate::model::state::Reading::says_gone)
}
