//! `deregister`: a session is supervised no longer.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use crate::{
    actions::{Action, Argv, Context, Format, Outcome, dispatch, lookup, supervise::gate},
    base::{Error, Result},
    model::session::Registration,
    store::{self, audit},
};

/// Give up supervising a session; its Codex runs on
///
/// Nothing is stopped: `stop` does that. Its record and its history stay. While it runs, `register-worker` or
/// `register-manager` with its `--name` and `--pid` takes it up again, and so does `discover --adopt`. Messages that
/// wait for it are given up, and counted. A bound session must be unbound first.
///
/// Example: `conveyor deregister w1`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Deregister {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
}

/// The deregistered session.
#[derive(Debug, Serialize)]
pub struct Deregistered {
    dry_run: bool,
    /// Messages that waited for it: they will never arrive.
    given_up_commands: Vec<String>,
    name: String,
    state: Registration,
}

impl Action for Deregister {
    const NAME: &'static str = "deregister";
    const FORMAT: Format = Format::Json;
    type Output = Deregistered;

    fn run(self, cx: &Context) -> Result<Deregistered> {
        let now = cx.moment();
        let store = cx.ledger_to_change()?;
        gate::no_session(cx, &store, "deregister a session")?;
        let (name, given_up_commands) = store.write_durably(|w| {
            let session = lookup::session(w.read(), &self.session)?;
            if let Some(binding) = store::bindings::active_of_session(w.read(), &session.id)? {
                let task = lookup::task_name(w.read(), &binding)?;
                return Err(Error::refused(format!(
                    "cannot deregister session \"{}\": it is still bound to task \"{task}\" (binding \"{}\")",
                    session.name, binding.id
                ))
                .hint(format!("`conveyor unbind --task {task}` first")));
            }
            store::sessions::set_state(w, &session.id, Registration::Gone, now.wall)?;
            let given_up = dispatch::give_up_for(w, &session.id, &now)?;
            let about = audit::About { task_id: None, session_id: Some(&session.id) };
            let payload = json!({"given_up_commands": given_up, "name": session.name});
            audit::append(w, now.wall, cx.actor(), "session_deregistered", about, &payload)?;
            Ok((session.name, given_up))
        })?;
        Ok(Deregistered { dry_run: cx.dry_run(), given_up_commands, name, state: Registration::Gone })
    }

    fn argv(&self) -> Argv {
        let Self { session } = self;
        Argv::new(Self::NAME).end_of_options().word(session)
    }
}

impl Outcome for Deregistered {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verb = if self.dry_run { "would give up" } else { "gave up" };
        writeln!(out, "{verb} {}: it is supervised no longer, and was not stopped", self.name)?;
        dispatch::told_given_up(out, "for it", self.given_up_commands.len(), self.dry_run)
    }
}
