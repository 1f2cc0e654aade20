//! Evidence of a criterion: what it names is looked up, and what cannot be found is no evidence.
//!
//! What a program has left as a receipt is verified; what somebody says is claimed, however it is worded.

use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::texts;
use crate::{
    actions::{Context, fail},
    base::{Error, Kind, Result, Timestamp},
    model::{
        delivery::Phase,
        session::Session,
        supervision::{
            CriterionStatus,
            evidence::{self, BACKED_BY, Backing, Grade, LINKS, links, says_something},
        },
        task::Task,
    },
    ports::{env::find_program, git, own::OwnFiles},
    store::{
        self, Read,
        audit::Actor,
        criteria::{Criterion, LineFound},
    },
};

/// The most links of a criterion.
const MAX_LINKS: usize = 200;
/// The largest file that is evidence, in bytes.
const MAX_FILE: u64 = 256 << 20;
/// Clocks of other programs may be ahead by so many seconds.
const MOST_AHEAD: i64 = 60;
/// The event that a closing step leaves.
pub(super) const STEP_EVENT: &str = "epilogue_step_finished";

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
    /// A file in the worker's folder that shows it, kept by its hash; may be given several times
    #[arg(long, value_name = "FILE")]
    pub artifact: Vec<PathBuf>,
}

/// Evidence that is well formed, its commits and files looked up.
pub(super) struct Evidence<'a> {
    args: &'a EvidenceArgs,
    details: Option<Value>,
    found: Vec<Found>,
}

/// Something outside of the ledger, looked up.
struct Found {
    link: Value,
    at: Option<Timestamp>,
    name: String,
}

/// What evidence is for.
pub(super) struct For<'a> {
    pub(super) task: &'a Task,
    pub(super) worker: Option<&'a Session>,
    /// What is older shows nothing by itself; none when that is not on record.
    pub(super) since: Option<Timestamp>,
    /// A person says what it shows, and may name what is older.
    pub(super) by_operator: bool,
    pub(super) now: Timestamp,
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
                .hint("name what shows it with --event, --byte, --command, --commit or --artifact"));
        }
        let folder = worker.map_or_else(|| cx.env().cwd.clone(), |worker| PathBuf::from(&worker.cwd));
        let commits = self.commit.iter().map(|name| commit(cx, &folder, name));
        let files = self.artifact.iter().map(|path| artifact(&cx.env().own_files(), &folder, path));
        Ok(Evidence { args: self, details, found: commits.chain(files).collect::<Result<_>>()? })
    }
}

fn commit(cx: &Context, folder: &Path, name: &str) -> Result<Found> {
    if !(7..=64).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::usage(format!("--commit takes a commit by its hash, at least 7 digits: {name}")));
    }
    let program = find_program(cx.env().path.as_deref(), "git")
        .ok_or_else(|| Error::new(Kind::MissingTool, "git is not installed").hint("install git"))?;
    let found = git::commit(&program, folder, name).map_err(fail::git)?;
    let found = found.ok_or_else(|| Error::not_found(format!("there is no commit {name} in {}", folder.display())))?;
    let at = git::committed_at(&program, folder, &found).map_err(fail::git)?.map(Timestamp::from_millis);
    let link =
        json!({"commit": found, "folder": folder.display().to_string(), "grade": Grade::Verified, "kind": "commit"});
    Ok(Found { link, at, name: format!("commit {}", &found[..found.len().min(12)]) })
}

/// A file by its hash. It lies in the worker's folder, links followed, and is none of this program's own.
fn artifact(own: &OwnFiles, folder: &Path, path: &Path) -> Result<Found> {
    let unreadable = |error: io::Error| {
        Error::io(format!("cannot read {}", path.display())).hint("--artifact takes a file").caused_by(error)
    };
    let root = folder.canonicalize().map_err(unreadable)?;
    let real = folder.join(path).canonicalize().map_err(unreadable)?;
    let Ok(inside) = real.strip_prefix(&root) else {
        return Err(Error::refused(format!(
            "{} lies outside of the worker's folder {}",
            path.display(),
            root.display()
        )));
    };
    // Opening one would cost this process its locks on the ledger.
    if own.hold(&root, &real) {
        return Err(Error::refused(format!("{} is one of Conveyor's own files, and shows nothing", path.display()))
            .hint(
                "name a file of the worker's work; what is in the ledger is named with --event, --byte or --command",
            ));
    }
    // A pipe that a worker puts there must keep nobody waiting.
    let at_once = (OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC).bits().cast_signed();
    let file = fs::OpenOptions::new().read(true).custom_flags(at_once).open(&real).map_err(unreadable)?;
    let data = file.metadata().map_err(unreadable)?;
    if !data.is_file() || data.len() > MAX_FILE {
        return Err(Error::refused(format!("{} is no regular file of at most 256 MiB", path.display())));
    }
    if data.len() == 0 {
        return Err(Error::refused(format!("{} is empty and shows nothing", path.display())));
    }
    let mut digest = Sha256::new();
    let mut reader = BufReader::with_capacity(64 << 10, file);
    loop {
        let bytes = reader.fill_buf().map_err(unreadable)?;
        if bytes.is_empty() {
            break;
        }
        digest.update(bytes);
        let read = bytes.len();
        reader.consume(read);
    }
    let sha256: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let millis = data.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let at = millis.and_then(|since| i64::try_from(since.as_millis()).ok()).map(Timestamp::from_millis);
    let link = json!({
        "byte_count": data.len(), "folder": root.display().to_string(), "grade": Grade::Verified, "kind": "artifact",
        "path": inside.display().to_string(), "sha256": sha256,
    });
    Ok(Found { link, at, name: format!("file {}", inside.display()) })
}

/// Files and commits in the evidence that are no longer what they were when they were shown.
pub(super) fn broken(cx: &Context, evidence: &Value) -> Vec<String> {
    let text = |link: &Value, key: &str| link[key].as_str().unwrap_or_default().to_owned();
    links(evidence)
        .filter_map(|link| {
            let folder = PathBuf::from(text(link, "folder"));
            match link["kind"].as_str() {
                Some("artifact") => {
                    let path = text(link, "path");
                    match artifact(&cx.env().own_files(), &folder, Path::new(&path)) {
                        Ok(now) if now.link["sha256"] == link["sha256"] => None,
                        Ok(_) => Some(format!("the file {path} has changed since")),
                        Err(error) => Some(error.to_string()),
                    }
                }
                Some("commit") => commit(cx, &folder, &text(link, "commit")).err().map(|error| error.to_string()),
                _ => None,
            }
        })
        .collect()
}

impl Evidence<'_> {
    /// The evidence that comes of `before`.
    pub(super) fn after(&self, r: Read<'_>, about: &For<'_>, before: &Value) -> Result<Value> {
        let For { task, worker, .. } = about;
        let mut links: Vec<Value> = before[LINKS].as_array().cloned().unwrap_or_default();
        for id in &self.args.event {
            let event = store::criteria::audit_event(r, *id, &task.id)?.ok_or_else(|| {
                Error::not_found(format!("the audit trail of \"{}\" has no event {id}", task.name))
                    .hint(format!("`conveyor events {} --json` lists them", task.name))
            })?;
            let name = format!("event {id}");
            // Of all that is on record only what this program ran itself is a receipt.
            let is_step = event.kind == STEP_EVENT;
            if is_step && event.payload["state"] != "succeeded" {
                return Err(Error::refused(format!("{name} tells of a step that failed, and shows nothing")));
            }
            let grade = if is_step && event.payload["step"] == "run-tools" { Grade::Verified } else { Grade::Claimed };
            let link = json!({"event": id, "grade": grade, "kind": "event", "type": event.kind});
            add(&mut links, about.backed(link, &name, Some(event.at))?);
        }
        for offset in &self.args.byte {
            let worker =
                worker.ok_or_else(|| Error::refused(format!("task \"{}\" has no worker to look at", task.name)))?;
            let line = store::criteria::line_at(r, &worker.id, *offset)?.ok_or_else(|| {
                Error::not_found(format!("no line of the rollout of {} begins at byte {offset}", worker.name))
                    .hint(format!("`conveyor ingest {0}`, then `conveyor tail {0} --json` lists them", worker.name))
            })?;
            let name = format!("byte {offset}");
            if line.is_inherited {
                return Err(Error::refused(format!(
                    "{name} is history that a fork or a resume copied in, and shows nothing"
                )));
            }
            add(&mut links, about.backed(of_line(&line, *offset, worker), &name, line.at)?);
        }
        for id in &self.args.command {
            let command = store::commands::by_id(r, id)?
                .filter(|command| command.task_id.as_deref() == Some(&task.id))
                .ok_or_else(|| Error::not_found(format!("task \"{}\" has no command {id}", task.name)))?;
            if command.phase != Phase::Done {
                return Err(Error::refused(format!("command {id} is {} and shows nothing", command.phase)));
            }
            // That something was said shows nothing of the work.
            let link = json!({"command": id, "grade": Grade::Claimed, "kind": "command", "type": command.kind});
            add(&mut links, about.backed(link, &format!("command {id}"), Some(command.updated_at))?);
        }
        for Found { link, at, name } in &self.found {
            add(&mut links, about.backed(link.clone(), name, *at)?);
        }
        if links.len() > MAX_LINKS {
            return Err(Error::refused(format!("a criterion takes {MAX_LINKS} links to its evidence")));
        }
        let mut after = self.details.clone().unwrap_or_else(|| before.clone());
        after[LINKS] = Value::from(links);
        Ok(after)
    }
}

impl For<'_> {
    /// The link with who or what stands behind it. Of a file or a commit the program sees that it is there; that it shows
    /// what was asked for is the word of whoever names it, and only a session is held to rules there.
    fn backed(&self, mut link: Value, name: &str, at: Option<Timestamp>) -> Result<Value> {
        let is_receipt = link["grade"] == Grade::Verified.as_str();
        let backing = if self.by_operator {
            let ended_well = is_receipt && matches!(link["kind"].as_str(), Some("bytes" | "event"));
            if ended_well && self.is_new_enough(name, at).is_ok() { Backing::Program } else { Backing::Operator }
        } else {
            self.is_new_enough(name, at)?;
            if is_receipt { Backing::Program } else { Backing::Session }
        };
        link[BACKED_BY] = json!(backing);
        Ok(link)
    }

    /// Refuses what is older than what it is to show.
    fn is_new_enough(&self, name: &str, at: Option<Timestamp>) -> Result<()> {
        let Some(since) = self.since else { return Ok(()) };
        // Commits and files know whole seconds.
        let seconds = |at: Timestamp| at.as_millis() / 1_000;
        if at.is_some_and(|at| seconds(at) > seconds(self.now) + MOST_AHEAD) {
            return Err(Error::new(
                Kind::Blocked,
                format!("{name} is from a time that is still to come, and shows nothing"),
            ));
        }
        if at.is_some_and(|at| seconds(at) >= seconds(since)) {
            return Ok(());
        }
        let words = format!("{name} is older than the criterion, and shows nothing of it");
        Err(Error::new(Kind::Blocked, words)
            .hint("show what was done since; an operator may say that the older one will do"))
    }
}

/// What a rollout line shows: a command that could have failed and did not, or what somebody says.
fn of_line(line: &LineFound, offset: i64, worker: &Session) -> Value {
    let mut link = json!({
        "byte_offset": offset, "codex_event": line.id, "grade": Grade::Claimed, "kind": "bytes", "path": line.path,
        "session": worker.name,
    });
    if let Some(exit_code) = line.payload["exit_code"].as_i64().filter(|_| is_of_command(line)) {
        let ran = line.payload["command"].as_str().unwrap_or_default();
        link["exit_code"] = json!(exit_code);
        link["ran"] = json!(ran);
        if exit_code == 0 && says_something(ran) {
            link["grade"] = json!(Grade::Verified);
        }
    }
    link
}

fn is_of_command(line: &LineFound) -> bool {
    matches!(line.what.as_deref(), Some("CommandExecution" | "exec_command_end"))
}

/// Adds a link. What was named before stays one link, with the stronger backing.
fn add(links: &mut Vec<Value>, link: Value) {
    let plain = |link: &Value| {
        let mut link = link.clone();
        link.as_object_mut().map(|fields| fields.remove(BACKED_BY));
        link
    };
    match links.iter_mut().find(|known| plain(known) == plain(&link)) {
        None => links.push(link),
        Some(known) if link[BACKED_BY] == Backing::Program.as_str() => *known = link,
        Some(_) => {}
    }
}

/// Who or what stands behind a criterion that is satisfied; none for one that is not.
pub(super) fn backing(r: Read<'_>, one: &Criterion) -> Result<Option<Backing>> {
    if one.status != CriterionStatus::Satisfied {
        return Ok(None);
    }
    Ok(Some(evidence::backing(&one.evidence, is_settled_by_operator(r, one)?)))
}

/// Whether an operator has said the last word about a criterion.
pub(super) fn is_settled_by_operator(r: Read<'_>, one: &Criterion) -> Result<bool> {
    Ok(store::criteria::settled_by(r, one.id)?.as_deref() == Some(Actor::Operator.as_str()))
}

#[cfg(test)]
mod tests {
    use std::{process::Command, sync::mpsc, thread, time::Duration};

    use super::*;

    #[test]
    fn a_pipe_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("mkfifo").arg(folder.path().join("shot.png")).status().unwrap();
        assert!(made.success());
        let (tell, told) = mpsc::channel();
        let root = folder.path().to_owned();
        let own = OwnFiles::of([Path::new("/nowhere")], Path::new("/nowhere/ledger.db"));
        thread::spawn(move || {
            tell.send(artifact(&own, &root, Path::new("shot.png")).err().map(|error| error.to_string()))
        });
        let error = told.recv_timeout(Duration::from_secs(20)).expect("it waits for a writer").unwrap();
        assert_eq!(error, "shot.png is no regular file of at most 256 MiB");
    }
}
