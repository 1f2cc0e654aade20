//! `events`: the audit trail of a session or a task.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{Action, Argv, Context, Format, Outcome, lookup};
use crate::{
    base::{Error, Kind, Result, Timestamp},
    store::{self, audit},
};

/// Show the audit trail of a session or a task
///
/// What was done with it, by whom and when, the oldest first. `tail` shows what Codex wrote.
///
/// Example: `conveyor events w1 --limit 20`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Events {
    /// Session name, task name or task id
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Only the newest N; 0 means all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub limit: u32,
}

/// One audit event as printed.
#[derive(Debug, Serialize)]
pub struct AuditView {
    actor: String,
    id: i64,
    payload: Value,
    time: Timestamp,
    #[serde(rename = "type")]
    kind: String,
}

/// The events, oldest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct AuditTrail(Vec<AuditView>);

impl Action for Events {
    const NAME: &'static str = "events";
    const FORMAT: Format = Format::Json;
    type Output = AuditTrail;

    fn run(self, cx: &Context) -> Result<AuditTrail> {
        let rows = cx.ledger()?.read(|r| {
            let about = match lookup::session(r, &self.name) {
                Ok(session) => audit::Subject::Session(session.id),
                Err(error) if error.kind() == Kind::NotFound => {
                    let task = store::tasks::find(r, &self.name)?;
                    audit::Subject::Task(
                        task.ok_or_else(|| {
                            Error::not_found(format!("there is no session and no task named \"{}\"", self.name))
                                .hint("`conveyor discover --all` lists both")
                        })?
                        .id,
                    )
                }
                Err(error) => return Err(error),
            };
            Ok(audit::list(r, &about, self.kind.as_deref(), self.limit)?)
        })?;
        let view = |row: audit::AuditRow| AuditView {
            actor: row.actor,
            id: row.id,
            payload: serde_json::from_str(&row.payload_json).unwrap_or(Value::Null),
            time: row.created_at,
            kind: row.kind,
        };
        Ok(AuditTrail(rows.into_iter().map(view).collect()))
    }

    fn argv(&self) -> Argv {
        let Self { name, kind, limit } = self;
        Argv::new(Self::NAME).option("--type", kind.as_ref()).option("--limit", Some(limit)).end_of_options().word(name)
    }
}

impl Outcome for AuditTrail {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|event| writeln!(out, "{}  {}  {}  {}", event.time, event.actor, event.kind, event.payload))
    }
}
