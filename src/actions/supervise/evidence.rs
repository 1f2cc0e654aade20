//! Evidence of a criterion: what it names is looked up, and what cannot be found is no evidence.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::texts;
use crate::{
    actions::{Context, fail},
    base::{Error, Kind, Result},
    model::{delivery::Phase, session::Session, task::Task},
    ports::{env::find_program, git},
    store::{self, Read},
};

/// Where what was looked up stands in the evidence.
pub(super) const LINKS: &str = "links";
/// The most links of a criterion.
const MAX_LINKS: usize = 200;

/// What shows that a criterion is fulfilled.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
pub struct EvidenceArgs {
    /// Details as a JSON object; on a criterion that is there it replaces the details, and keeps what was looked up
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub evidence_json: Option<String>,
    /// An event of the task's audit trail that shows it, by its number (`events TASK`); may be given several times
    #[arg(long, value_name = "EVENT")]
    pub event: Vec<i64>,
    /// A byte of the worker's rollout where a line begins that shows it (`tail`, `explain`); may be given several times
    #[arg(long, value_name = "OFFSET")]
    pub byte: Vec<i64>,
    /// A command of the task that was done and shows it; may be given several times
    #[arg(long, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// A commit in the worker's folder that shows it; may be given several times
    #[arg(long, value_name = "COMMIT")]
    pub commit: Vec<String>,
}

/// Evidence that is well formed, its commits looked up.
pub(super) struct Evidence<'a> {
    args: &'a EvidenceArgs,
    details: Option<Value>,
    commits: Vec<Value>,
}

impl EvidenceArgs {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks what can be checked outside of the ledger's transaction.
    pub(super) fn prepared(&self, cx: &Context, worker: Option<&Session>) -> Result<Evidence<'_>> {
        let details = match &self.evidence_json {
            None => None,
            Some(given) => Some(texts::object("--evidence-json", Some(given))?),
        };
        if details.as_ref().is_some_and(|details| details.get(LINKS).is_some()) {
            return Err(Error::usage(format!("\"{LINKS}\" in --evidence-json is the program's own"))
                .hint("name what shows it with --event, --byte, --command or --commit"));
        }
        let folder = worker.map_or_else(|| cx.env().cwd.clone(), |worker| PathBuf::from(&worker.cwd));
        let commits = self.commit.iter().map(|name| {
            if !(7..=64).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(Error::usage(format!("--commit takes a commit by its hash, at least 7 digits: {name}")));
            }
            let program = find_program(cx.env().path.as_deref(), "git")
                .ok_or_else(|| Error::new(Kind::MissingTool, "git is not installed").hint("install git"))?;
            let found = git::commit(&program, &folder, name).map_err(fail::git)?;
            let found =
                found.ok_or_else(|| Error::not_found(format!("there is no commit {name} in {}", folder.display())))?;
            Ok(json!({"commit": found, "folder": folder.display().to_string(), "kind": "commit"}))
        });
        Ok(Evidence { args: self, details, commits: commits.collect::<Result<_>>()? })
    }
}

impl Evidence<'_> {
    /// The evidence that comes of `before`.
    pub(super) fn after(&self, r: Read<'_>, task: &Task, worker: Option<&Session>, before: &Value) -> Result<Value> {
        let mut links: Vec<Value> = before[LINKS].as_array().cloned().unwrap_or_default();
        for id in &self.args.event {
            let kind = store::criteria::audit_event(r, *id, &task.id)?.ok_or_else(|| {
                Error::not_found(format!("the audit trail of \"{}\" has no event {id}", task.name))
                    .hint(format!("`conveyor events {} --json` lists them", task.name))
            })?;
            add(&mut links, json!({"event": id, "kind": "event", "type": kind}));
        }
        for offset in &self.args.byte {
            let worker =
                worker.ok_or_else(|| Error::refused(format!("task \"{}\" has no worker to look at", task.name)))?;
            let (line, path) = store::criteria::line_at(r, &worker.id, *offset)?.ok_or_else(|| {
                Error::not_found(format!("no line of the rollout of {} begins at byte {offset}", worker.name))
                    .hint(format!("`conveyor ingest {0}`, then `conveyor tail {0} --json` lists them", worker.name))
            })?;
            let link = json!({
                "byte_offset": offset, "codex_event": line, "kind": "bytes", "path": path, "session": worker.name,
            });
            add(&mut links, link);
        }
        for id in &self.args.command {
            let command = store::commands::by_id(r, id)?
                .filter(|command| command.task_id.as_deref() == Some(&task.id))
                .ok_or_else(|| Error::not_found(format!("task \"{}\" has no command {id}", task.name)))?;
            if command.phase != Phase::Done {
                return Err(Error::refused(format!("command {id} is {} and shows nothing", command.phase)));
            }
            add(&mut links, json!({"command": id, "kind": "command", "type": command.kind}));
        }
        self.commits.iter().for_each(|link| add(&mut links, link.clone()));
        if links.len() > MAX_LINKS {
            return Err(Error::refused(format!("a criterion takes {MAX_LINKS} links to its evidence")));
        }
        let mut after = self.details.clone().unwrap_or_else(|| before.clone());
        after[LINKS] = Value::from(links);
        Ok(after)
    }
}

fn add(links: &mut Vec<Value>, link: Value) {
    if !links.contains(&link) {
        links.push(link);
    }
}

/// What the program has looked up for a criterion.
pub(super) fn links(evidence: &Value) -> usize {
    evidence[LINKS].as_array().map_or(0, Vec::len)
}
