//! A thread of Codex: its rollout, written line by line, torn at times.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::base::Timestamp;

/// A message that Codex has in memory.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) text: String,
    pub(super) client_id: Option<String>,
    /// The command that it is, when it is one.
    pub(super) command: Option<String>,
    pub(super) due: i64,
}

#[derive(Debug)]
pub(super) struct Thread {
    pub(super) id: String,
    pub(super) path: PathBuf,
    pub(super) is_written: bool,
    created: i64,
    /// Ids of the messages that are among its items.
    pub(super) items: Vec<String>,
    ordinal: u64,
    /// A line that is not whole.
    torn: Option<Torn>,
    /// What comes behind it.
    behind: Vec<String>,
    /// The last line was never finished, and its writer is dead.
    is_broken: bool,
}

#[derive(Debug)]
struct Torn {
    rest: String,
    at: i64,
    command: Option<String>,
}

impl Thread {
    pub(super) fn new(home: &Path, number: u32) -> Self {
        let id = format!("01a1fbe2-0000-7000-8000-{number:012x}");
        let path = home.join(format!("sessions/2026/11/21/rollout-2026-11-21T02-14-36-{id}.jsonl"));
        Self {
            id,
            path,
            is_written: false,
            created: 0,
            items: Vec::new(),
            ordinal: 0,
            torn: None,
            behind: Vec::new(),
            is_broken: false,
        }
    }

    /// Writes the first line, if it is not there.
    pub(super) fn open(&mut self, wall: i64) {
        if !std::mem::replace(&mut self.is_written, true) {
            self.created = wall;
            fs::create_dir_all(self.path.parent().expect("a folder")).expect("a folder in memory");
            let head = json!({
                "id": self.id, "timestamp": Timestamp::from_millis(wall).to_string(), "cwd": "/home/user/project",
                "originator": "codex-tui", "cli_version": "0.169.0", "source": "cli",
            });
            self.line("session_meta", &head, wall);
        }
    }

    pub(super) fn turn_begins(&mut self, turn: &str, wall: i64) {
        self.open(wall);
        self.line("event_msg", &json!({"type": "task_started", "turn_id": turn}), wall);
    }

    /// The context was compacted.
    pub(super) fn compacted(&mut self, wall: i64) {
        self.line("compacted", &json!({"message": "what was said so far"}), wall);
    }

    /// Whether its rollout tells of a turn that was cut off, and of none since.
    pub(super) fn is_cut_off(&self) -> bool {
        self.last_turn_line_is("turn_aborted")
    }

    /// Whether its rollout tells of a turn that began, and not of its end.
    pub(super) fn leaves_turn_open(&self) -> bool {
        self.last_turn_line_is("task_started")
    }

    fn last_turn_line_is(&self, kind: &str) -> bool {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let told = |line: &str| {
            let record: Value = serde_json::from_str(line).ok()?;
            let told = record["payload"]["type"].as_str()?.to_owned();
            matches!(&*told, "task_started" | "task_complete" | "turn_aborted").then_some(told)
        };
        text.lines().rev().find_map(told).is_some_and(|told| told == kind)
    }

    /// How often its rollout tells of that.
    pub(super) fn compactions(&self) -> usize {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        text.lines().filter(|line| line.contains("\"type\":\"compacted\"")).count()
    }

    pub(super) fn turn_ends(&mut self, turn: &str, wall: i64) {
        let end = json!({"type": "task_complete", "turn_id": turn, "last_agent_message": "I see."});
        self.line("event_msg", &end, wall);
    }

    pub(super) fn turn_is_cut_off(&mut self, turn: &str, wall: i64) {
        self.line("event_msg", &json!({"type": "turn_aborted", "turn_id": turn, "reason": "interrupted"}), wall);
    }

    /// The line that proves a message. When it is `torn`, its rest comes at that time.
    pub(super) fn user_message(&mut self, message: &Waiting, wall: i64, torn: Option<i64>) {
        self.open(wall);
        let mut item = json!({"type": "UserMessage", "content": [{"type": "text", "text": message.text}]});
        if let Some(id) = &message.client_id {
            item["client_id"] = id.as_str().into();
        }
        let payload = json!({"type": "item_completed", "item": item});
        match torn.filter(|_| self.torn.is_none()) {
            None => self.line("event_msg", &payload, wall),
            Some(at) => {
                let line = self.record("event_msg", &payload, wall);
                let middle = line.len() / 2;
                let cut = (middle..line.len()).find(|at| line.is_char_boundary(*at)).unwrap_or(0);
                self.write(&line[..cut]);
                self.torn = Some(Torn { rest: line[cut..].to_owned(), at, command: message.command.clone() });
            }
        }
        self.items.extend(message.client_id.clone());
    }

    /// The wall clock was set back to before its first line: what it writes now looks like a copy from another thread.
    pub(super) fn has_come_before(&self, wall: i64) -> bool {
        wall < self.created
    }

    /// The same for a line of a turn that may have begun before the clock was set forward again: its id tells when.
    pub(super) fn looks_copied(&self, turn: &str, wall: i64) -> bool {
        let begun = Uuid::try_parse(turn).ok().and_then(|id| id.get_timestamp());
        let begun = begun.and_then(|begun| i64::try_from(begun.to_unix().0).ok()).map(|seconds| seconds * 1_000);
        self.has_come_before(wall) || begun.is_some_and(|begun| self.has_come_before(begun))
    }

    fn record(&mut self, kind: &str, payload: &Value, wall: i64) -> String {
        let record = json!({
            "timestamp": Timestamp::from_millis(wall).to_string(), "ordinal": self.ordinal, "type": kind,
            "payload": payload,
        });
        self.ordinal += 1;
        format!("{record}\n")
    }

    fn line(&mut self, kind: &str, payload: &Value, wall: i64) {
        let line = self.record(kind, payload, wall);
        if self.torn.is_some() { self.behind.push(line) } else { self.write(&line) }
    }

    fn write(&mut self, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path).expect("a rollout in memory");
        if std::mem::take(&mut self.is_broken) {
            file.write_all(b"\n").expect("room in memory");
        }
        file.write_all(text.as_bytes()).expect("room in memory");
    }

    pub(super) fn ends_line_at(&self) -> Option<i64> {
        self.torn.as_ref().map(|torn| torn.at)
    }

    /// Finishes a line whose time has come.
    pub(super) fn go_on(&mut self, now: i64) {
        if self.torn.as_ref().is_none_or(|torn| torn.at > now) {
            return;
        }
        let rest = self.torn.take().map(|torn| torn.rest).unwrap_or_default();
        self.write(&rest);
        for line in std::mem::take(&mut self.behind) {
            self.write(&line);
        }
    }

    /// The process that writes it dies: what is not written never will be. Gives the commands that are lost with it.
    pub(super) fn writer_dies(&mut self) -> Vec<String> {
        let torn = self.torn.take();
        self.is_broken |= torn.is_some();
        let lost: Vec<String> = torn.into_iter().filter_map(|torn| torn.command).collect();
        let behind: Vec<Value> =
            std::mem::take(&mut self.behind).iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let behind = behind.iter().filter_map(|line| line["payload"]["item"]["client_id"].as_str().map(str::to_owned));
        let lost: Vec<String> = lost.into_iter().chain(behind).collect();
        self.items.retain(|item| !lost.contains(item));
        lost
    }

    /// The texts of all messages that its rollout shows, with their ids, in order.
    pub(super) fn messages(&self) -> Vec<(String, Option<String>)> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let records = whole.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let items = records.filter_map(|record| {
            let item = &record["payload"]["item"];
            let text = item["content"][0]["text"].as_str().filter(|_| item["type"] == "UserMessage")?;
            Some((text.to_owned(), item["client_id"].as_str().map(str::to_owned)))
        });
        items.collect()
    }
}
