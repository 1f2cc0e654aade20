//! `deregister`: a session is supervised no longer.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use crate::{
    actions::{
        Action, Argv, Context, Format, Outcome,
        dispatch::{self, LeftBehind, Words},
        expected, lookup,
        supervise::gate,
    },
    base::{Error, Result},
    model::{counts::Counts, session::Registration},
    store::{self, audit},
};

/// Give up supervising a session; its Codex runs on
///
/// Nothing is stopped: `stop` does that. Its record and its history stay. While it runs, `register-worker` or
/// `register-manager` with its `--name` and `--pid` takes it up again, and so does `discover --adopt`. Messages that
/// wait for it are given up, and counted. Of those that are on the way already nobody sees any more whether they
/// arrive, and what lies unread in its inbox stays there until it is taken up again. A bound session must be unbound
/// first.
///
/// Example: `conveyor deregister w1`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Deregister {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// Do it only if exactly this goes with it: `counted` of its `--dry-run`, as `given_up=2,under_way=1`, or `none`
    #[arg(long, value_name = "COUNTS")]
    pub expect: Option<Counts>,
}

/// The deregistered session.
#[derive(Debug, Serialize)]
pub struct Deregistered {
    /// What goes with it, as `--expect` takes it.
    counted: Counts,
    dry_run: bool,
    #[serde(flatten)]
    left: LeftBehind,
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
        let (name, counted, left) = store.write_durably(|w| {
            let session = lookup::session(w.read(), &self.session)?;
            if let Some(binding) = store::bindings::active_of_session(w.read(), &session.id)? {
                let task = lookup::task_name(w.read(), &binding)?;
                return Err(Error::refused(format!(
                    "cannot deregister session \"{}\": it is still bound to task \"{task}\" (binding \"{}\")",
                    session.name, binding.id
                ))
                .hint(format!("`conveyor unbind --task {task}` first")));
            }
            let awaiting = store::deliveries::awaiting(w.read())?.remove(&session.id).unwrap_or_default();
            let counted = awaiting.with_the_session();
            expected::check(self.expect.as_ref(), &counted, &format!("session \"{}\"", session.name))?;
            store::sessions::set_state(w, &session.id, Registration::Gone, now.wall)?;
            let left = dispatch::give_up_for(w, &session.id, &now)?;
            let about = audit::About { task_id: None, session_id: Some(&session.id) };
            let mut payload = json!(left);
            payload["name"] = json!(session.name);
            audit::append(w, now.wall, cx.actor(), "session_deregistered", about, &payload)?;
            Ok((session.name, counted, left))
        })?;
        Ok(Deregistered { counted, dry_run: cx.dry_run(), left, name, state: Registration::Gone })
    }

    fn argv(&self) -> Argv {
        let Self { session, expect } = self;
        Argv::new(Self::NAME).option("--expect", expect.as_ref()).end_of_options().word(session)
    }
}

impl Outcome for Deregistered {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verb = if self.dry_run { "would give up" } else { "gave up" };
        writeln!(out, "{verb} {}: it is supervised no longer, and was not stopped", self.name)?;
        let words = Words {
            waited: "for it",
            in_flight: "nobody sees any more whether they arrive",
            unread: "in its inbox: they stay there until it is taken up again",
        };
        self.left.human(out, &words, self.dry_run)
    }
}
