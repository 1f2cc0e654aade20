//! A session's conversation: what its rollout lines tell, ready to be laid out, and how lines that belong together
//! become one thing.
//!
//! Every text in here is cleaned and bounded. Nothing is left out silently: a line of a type that nobody knows is an
//! entry of its own.

mod asked;

use std::{collections::HashMap, sync::Arc};

use super::{
    rollout::CommandSource,
    typing::{HEADER, Marker},
};
use crate::base::Timestamp;

/// One line's part in the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The number of its first line in the ledger.
    pub id: i64,
    /// The number of its last line: a call grows by its output.
    pub last_id: i64,
    /// When.
    pub at: Option<Timestamp>,
    /// First byte of the rollout line.
    pub byte_offset: u64,
    /// What.
    pub said: Said,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A message to the agent.
    User {
        /// The text, without what Conveyor types around it.
        text: String,
        /// Who sent it, as far as that is known.
        sender: Sender,
    },
    /// An answer of the agent.
    Agent(String),
    /// The agent's note on the way.
    Note(String),
    /// A plan that it proposes.
    Plan(String),
    /// The summary of a thought.
    Thought(String),
    /// A command has run.
    Command(Run),
    /// Files were changed.
    Change {
        /// What was changed in which.
        files: Vec<FileDiff>,
        /// `completed`, `failed`, `declined`.
        status: Option<String>,
        /// Pairs it with the call that made it.
        call_id: Option<String>,
    },
    /// Another tool has run.
    Tool {
        /// `server.tool`, or the tool alone.
        name: String,
        /// `completed`, `failed`.
        status: Option<String>,
        /// What it was given.
        arguments: String,
        /// What it returned.
        output: String,
        /// How long it took.
        millis: Option<u64>,
        /// Pairs it with the call that made it.
        call_id: Option<String>,
    },
    /// News of a sub-agent.
    SubAgent {
        /// Its path among the agents, or its thread.
        who: String,
        /// `started`, `completed`, ...
        kind: String,
    },
    /// The model called a tool.
    Call {
        /// Pairs it with its output.
        id: Option<String>,
        /// The tool.
        name: String,
        /// What it is given: a command line, a patch, JSON.
        arguments: String,
    },
    /// The output of a call.
    Output {
        /// Pairs it with its call.
        call_id: Option<String>,
        /// What came of it.
        outcome: Outcome,
    },
    /// A turn began.
    TurnStarted {
        /// What made it begin.
        trigger: Option<String>,
    },
    /// A turn is over.
    TurnEnded {
        /// How long it took.
        millis: Option<u64>,
        /// Why it failed.
        error: Option<String>,
    },
    /// A turn was cut off.
    TurnAborted {
        /// Why.
        reason: String,
        /// How long it took.
        millis: Option<u64>,
    },
    /// Codex itself reports: a compaction, turns taken back, a goal.
    Codex(String),
    /// Codex reported an error.
    Error(String),
    /// A line of a type that nobody knows.
    Unknown {
        /// Its type.
        label: String,
        /// What of it can be told in a line.
        text: String,
    },
    /// A line that cannot be shown.
    Unreadable(String),
}

/// Who sent a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// Whoever sat at the keyboard, or another program.
    Unsaid,
    /// Conveyor brought it; the name of who sent it (`manager m1`, `operator`), none when this ledger does not know.
    Conveyor(Option<String>),
}

/// A command that has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The command line.
    pub command: String,
    /// Who wanted it.
    pub source: CommandSource,
    /// Pairs it with the call that made it.
    pub call_id: Option<String>,
    /// Whether and how it ended.
    pub outcome: Outcome,
}

/// What came of a command or call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// It has ended.
    pub ended: bool,
    /// How; none when that is not told.
    pub exit_code: Option<i64>,
    /// A word for it, when it is not simply done (`declined`, `failed`).
    pub status: Option<String>,
    /// How long it took.
    pub millis: Option<u64>,
    /// What it printed, as far as it is kept.
    pub output: String,
}

/// What was changed in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// Its path.
    pub path: String,
    /// Where it was moved to.
    pub moved_to: Option<String>,
    /// Lines of a diff: each begins with `+`, `-`, a blank, or `@@`.
    pub lines: Vec<String>,
    /// More than the lines was changed.
    pub cut: bool,
    /// What was done.
    pub kind: ChangeKind,
}

impl FileDiff {
    /// How many lines are added and taken away, of those that are kept.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let count = |sign: char| self.lines.iter().filter(|line| line.starts_with(sign)).count();
        (count('+'), count('-'))
    }
}

/// What was done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is another.
    Updated,
    /// It is gone.
    Deleted,
    /// The line does not say.
    Unsaid,
}

/// Takes the header and the marker off a message that Conveyor typed; none when it typed none.
#[must_use]
pub fn typed_body(text: &str) -> Option<(&str, Marker)> {
    let body = text.trim().strip_prefix(HEADER)?;
    let (body, marker) = body.trim_end().strip_suffix(')')?.rsplit_once('(')?;
    Some((body.trim(), Marker::parse(marker).ok()?))
}

/// Entries as a person wants to read them, in order: a call becomes one with its output, and a call that other entries
/// tell about in more words is left to them.
///
/// An entry keeps the number of the line it begins with, so it may grow while one looks, and never moves.
#[must_use]
pub fn joined(entries: &[Arc<Entry>]) -> Vec<Arc<Entry>> {
    let mut told = vec![false; entries.len()];
    let mut calls: HashMap<&str, usize> = HashMap::new();
    let mut outputs: HashMap<usize, usize> = HashMap::new();
    let mut by_item: HashMap<&str, usize> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        match &entry.said {
            Said::Call { id: Some(id), .. } => {
                calls.insert(id, index);
            }
            Said::Output { call_id: Some(id), .. } => {
                if let Some(call) = calls.get(id.as_str()) {
                    outputs.insert(*call, index);
                    told[index] = true;
                }
            }
            said => {
                if let Some(id) = item_call(said) {
                    by_item.insert(id, index);
                }
            }
        }
    }
    // How many entries before each one tell what a tool did: two of these numbers say whether one stands between.
    let mut items = Vec::with_capacity(entries.len() + 1);
    items.push(0_usize);
    for entry in entries {
        items.push(items[items.len() - 1] + usize::from(tells_of_a_tool(&entry.said)));
    }
    let mut joined = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let Said::Call { id, name, arguments } = &entry.said else {
            if !told[index] {
                joined.push(Arc::clone(entry));
            }
            continue;
        };
        if id.as_deref().is_some_and(|id| by_item.contains_key(id)) {
            continue;
        }
        let output = outputs.get(&index).copied();
        if let Some(output) = output
            && items[output] > items[index]
        {
            continue;
        }
        let outcome = output.and_then(|output| match &entries[output].said {
            Said::Output { outcome, .. } => Some(outcome.clone()),
            _ => None,
        });
        joined.push(Arc::new(Entry {
            id: entry.id,
            last_id: output.map_or(entry.id, |output| entries[output].last_id),
            at: entry.at,
            byte_offset: entry.byte_offset,
            said: whole_call(id.as_deref(), name, arguments, outcome.unwrap_or_default()),
        }));
    }
    joined
}

/// A call with what came of it, as the thing that it is.
fn whole_call(id: Option<&str>, name: &str, arguments: &str, outcome: Outcome) -> Said {
    if is_shell(name) {
        return Said::Command(Run {
            command: arguments.to_owned(),
            source: CommandSource::Agent,
            call_id: id.map(str::to_owned),
            outcome,
        });
    }
    let failed = outcome.exit_code.filter(|code| *code != 0).map(|code| format!("exit {code}"));
    if let Some(files) = patched(arguments) {
        return Said::Change { files, status: outcome.status.or(failed), call_id: id.map(str::to_owned) };
    }
    let status = outcome.status.or(failed).or_else(|| (!outcome.ended).then(|| "no result yet".to_owned()));
    if let Some((arguments, output)) = asked::in_words(name, arguments, &outcome.output) {
        let (millis, call_id) = (outcome.millis, id.map(str::to_owned));
        return Said::Tool { name: "question".to_owned(), status, arguments, output, millis, call_id };
    }
    Said::Tool {
        name: name.to_owned(),
        status,
        arguments: arguments.to_owned(),
        output: outcome.output,
        millis: outcome.millis,
        call_id: id.map(str::to_owned),
    }
}

/// Tools that run a command line.
#[must_use]
pub fn is_shell(name: &str) -> bool {
    matches!(name, "shell" | "exec_command" | "shell_command" | "local_shell" | "local_shell_call" | "container.exec")
}

fn tells_of_a_tool(said: &Said) -> bool {
    matches!(said, Said::Command(_) | Said::Change { .. } | Said::Tool { .. } | Said::SubAgent { .. })
}

fn item_call(said: &Said) -> Option<&str> {
    match said {
        Said::Command(Run { call_id, .. }) | Said::Change { call_id, .. } | Said::Tool { call_id, .. } => {
            call_id.as_deref()
        }
        _ => None,
    }
}

/// The changes that a patch in Codex's own form makes; none when the text is no such patch.
#[must_use]
pub fn patched(text: &str) -> Option<Vec<FileDiff>> {
    let mut lines = text.lines().skip_while(|line| line.trim() != "*** Begin Patch");
    lines.next()?;
    let mut files: Vec<FileDiff> = Vec::new();
    for line in lines.take_while(|line| line.trim() != "*** End Patch") {
        let file = |prefix: &str| line.strip_prefix(prefix).map(|path| path.trim().to_owned());
        let begun = [
            ("*** Add File: ", ChangeKind::Added),
            ("*** Update File: ", ChangeKind::Updated),
            ("*** Delete File: ", ChangeKind::Deleted),
        ]
        .into_iter()
        .find_map(|(prefix, kind)| Some((file(prefix)?, kind)));
        match (begun, files.last_mut()) {
            (Some((path, kind)), _) => {
                files.push(FileDiff { path, moved_to: None, lines: Vec::new(), cut: false, kind });
            }
            (None, Some(last)) => match file("*** Move to: ") {
                Some(path) => last.moved_to = Some(path),
                None => last.lines.push(line.to_owned()),
            },
            (None, None) => {}
        }
    }
    (!files.is_empty()).then_some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: i64, said: Said) -> Arc<Entry> {
        Arc::new(Entry { id, last_id: id, at: None, byte_offset: 0, said })
    }

    fn call(id: i64, call_id: &str, name: &str) -> Arc<Entry> {
        entry(id, Said::Call { id: Some(call_id.into()), name: name.into(), arguments: "ls".into() })
    }

    fn output(id: i64, call_id: &str) -> Arc<Entry> {
        let outcome = Outcome { ended: true, exit_code: Some(2), output: "no".into(), ..Outcome::default() };
        entry(id, Said::Output { call_id: Some(call_id.into()), outcome })
    }

    fn run(id: i64, call_id: Option<&str>) -> Arc<Entry> {
        let run = Run {
            command: "ls".into(),
            source: CommandSource::Agent,
            call_id: call_id.map(Into::into),
            outcome: Outcome { ended: true, ..Outcome::default() },
        };
        entry(id, Said::Command(run))
    }

    fn ids(entries: &[Arc<Entry>]) -> Vec<i64> {
        joined(entries).iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn a_call_and_its_output_are_one_command() {
        let both = joined(&[call(1, "a", "shell"), output(2, "a")]);
        let Said::Command(run) = &both[0].said else { panic!("{both:?}") };
        assert_eq!((both.len(), run.outcome.exit_code, run.outcome.output.as_str()), (1, Some(2), "no"));
        let open = joined(&[call(1, "a", "shell")]);
        let Said::Command(run) = &open[0].said else { panic!("{open:?}") };
        assert!(!run.outcome.ended);
    }

    #[test]
    fn what_an_item_tells_is_told_once() {
        assert_eq!(ids(&[call(1, "a", "exec_command"), run(2, Some("a")), output(3, "a")]), [2]);
        assert_eq!(ids(&[call(1, "a", "exec"), run(2, None), run(3, None), output(4, "a")]), [2, 3]);
        assert_eq!(ids(&[call(1, "a", "exec"), output(2, "a"), run(3, None)]), [1, 3], "the script told of nothing");
        assert_eq!(ids(&[output(7, "gone")]), [7], "its call was not loaded");
        assert_eq!(ids(&[call(1, "a", "shell"), call(2, "b", "shell"), output(3, "a"), output(4, "b")]), [1, 2]);
    }

    #[test]
    fn a_tool_without_a_result_says_so() {
        let Said::Tool { status, .. } = &joined(&[call(1, "a", "update_plan")])[0].said else { panic!("no tool") };
        assert_eq!(status.as_deref(), Some("no result yet"));
    }

    #[test]
    fn a_typed_message_loses_its_wrapping() {
        let marker = Marker::of_command("command-1");
        let text = format!("[conveyor] run the (slow) tests ({marker})");
        assert_eq!(typed_body(&text), Some(("run the (slow) tests", marker)));
        assert_eq!(typed_body("[conveyor] hello"), None);
        assert_eq!(typed_body("hello (cvyaaaaaaaaaaaa)"), None);
    }

    #[test]
    fn a_patch_names_its_files() {
        let patch = "*** Begin Patch\n*** Add File: a.txt\n+one\n*** Update File: b.rs\n*** Move to: c.rs\n@@\n-x\n+y\n \
            z\n*** Delete File: d\n*** End Patch";
        let files = patched(patch).unwrap();
        let seen: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.kind, file.lines.len())).collect();
        assert_eq!(
            seen,
            [("a.txt", ChangeKind::Added, 1), ("b.rs", ChangeKind::Updated, 4), ("d", ChangeKind::Deleted, 0)]
        );
        assert_eq!(files[1].moved_to.as_deref(), Some("c.rs"));
        assert!(patched("*** not a patch").is_none());
        assert!(patched("*** Begin Patch\nnothing").is_none());
    }
}
