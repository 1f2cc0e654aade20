//! Messages that are typed into panes: simulated sessions, real tmux, the built program. Believed only when the
//! session's own rollout shows them, and each of them once.

use std::{
    fs,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use serde_json::Value;

use super::world::{World, wait_for};
use crate::support::{Finished, say};

/// A worker `w1` of the simulator, bound to the task `parser`, after its first turn.
pub struct Typed {
    pub world: World,
}

impl Typed {
    pub fn start() -> Option<Self> {
        Self::with(&["--speed", "20"])
    }

    pub fn with(options: &[&str]) -> Option<Self> {
        let world = World::start()?;
        world.codex(options);
        world.start_worker("w1", "hello {{say Hello.}}");
        world.bind("parser", "w1");
        world.wait_for_condition("w1", "done");
        Some(Self { world })
    }

    pub fn nudge(&self, text: &str) -> String {
        let queued = self.world.run(&["enqueue-nudge-worker", "parser", "--json", "--message", text]).ok().json();
        queued["command_id"].as_str().expect("an id").to_owned()
    }

    pub fn dispatch(&self) -> Vec<Value> {
        let pass = self.world.run(&["dispatch", "--json", "--type", "nudge_worker"]).ok().json();
        pass["processed"].as_array().expect("items").clone()
    }

    pub fn command(&self, id: &str) -> Value {
        let commands = self.world.run(&["commands", "--attempts", "--json"]).ok().json();
        commands.as_array().expect("commands").iter().find(|one| one["id"] == id).expect("the command").clone()
    }

    /// Passes until the command has reached the phase.
    #[track_caller]
    pub fn until(&self, id: &str, phase: &str) -> Value {
        wait_for(
            &format!("{id} to be {phase}"),
            || {
                self.dispatch();
                Some(self.command(id)).filter(|command| command["phase"] == phase)
            },
            || format!("{:#}\n{}", self.command(id), self.world.screen("w1")),
        )
    }

    /// Waits until a pass has put the message off for a reason that holds these words.
    #[track_caller]
    pub fn waits_for(&self, id: &str, words: &str) -> Value {
        wait_for(
            &format!("{id} to wait: {words}"),
            || {
                self.dispatch();
                Some(self.command(id)).filter(|one| one["reason"].as_str().is_some_and(|why| why.contains(words)))
            },
            || format!("{:#}\n{}", self.command(id), self.world.screen("w1")),
        )
    }

    /// The texts of all messages to the session, in the order of its rollouts.
    pub fn heard(&self) -> Vec<String> {
        let mut heard = Vec::new();
        for path in self.world.rollouts_of("w1") {
            let text = fs::read_to_string(path).expect("a rollout");
            for line in text.lines() {
                let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
                let item = &record["payload"]["item"];
                if item["type"] == "UserMessage" {
                    heard.push(item["content"][0]["text"].as_str().unwrap_or_default().to_owned());
                }
            }
        }
        heard
    }

    /// How often the session has heard this.
    pub fn times(&self, text: &str) -> usize {
        self.heard().iter().filter(|heard| heard.contains(text)).count()
    }

    pub fn sql(&self) -> Connection {
        Connection::open(self.world.ledger()).expect("the ledger")
    }

    /// What was put off is due now, and every lease is over.
    pub fn time_passes(&self) {
        let sql = "update commands set available_uptime = 0, lease_uptime = 0";
        self.sql().execute(sql, []).expect("the ledger");
    }

    /// A pass that dies at this point.
    #[track_caller]
    pub fn dies_at(&self, point: &str) {
        let mut command = self.world.command();
        command.args(["dispatch", "--once", "--type", "nudge_worker"]).env("CONVEYOR_TEST_CRASH", point);
        let died = command.stdin(Stdio::null()).output().expect("it runs");
        assert_eq!(died.status.code(), None, "it did not die at {point}: {died:?}");
    }

    /// Keys as of a person.
    pub fn press(&self, keys: &[&str]) {
        self.world.press("w1", keys);
    }

    #[track_caller]
    pub fn assert_received(&self, command: &Value, text: &str) {
        assert_eq!(self.times(text), 1, "{command:#}\n{:#?}", self.heard());
        let receipt = &command["result"]["receipt"];
        let bytes = fs::read(receipt["path"].as_str().expect("a path")).expect("the rollout");
        let at = usize::try_from(receipt["byte_offset"].as_u64().expect("a byte")).expect("it fits");
        let line = bytes[at..].split(|byte| *byte == b'\n').next().expect("a line");
        let line: Value = serde_json::from_slice(line).expect("a record");
        assert!(line.to_string().contains("[conveyor]"), "the receipt names the very line: {line:#}");
    }
}

#[test]
fn an_idle_session_gets_a_message_typed_once_with_its_proof() {
    let Some(typed) = Typed::start() else { return };
    let id = typed.nudge("status please");
    let item = typed.dispatch().remove(0);
    assert_eq!(
        (&item["lane"], &item["phase"], &item["state"], &item["delivery_mode"]),
        (&"tmux".into(), &"done".into(), &"delivered".into(), &"push".into()),
        "{item:#}"
    );
    typed.assert_received(&typed.command(&id), "status please");
    let heard = typed.heard().pop().expect("a message");
    assert!(heard.starts_with("[conveyor] From manager m1 on task parser:\n\nstatus please (cvy"), "{heard}");
}
