//! A worker `w1` that is bound to the task `parser`: messages to it, passes that deliver them, and what became of them.

use serde_json::Value;

use super::world::{World, wait_for};

/// Whoever has such a worker.
pub trait Bound {
    /// The world it lives in.
    fn world(&self) -> &World;

    /// Queues a message to the worker; the command.
    fn nudge(&self, text: &str) -> String {
        let queued = self.world().run(&["enqueue-nudge-worker", "parser", "--json", "--message", text]).ok().json();
        queued["command_id"].as_str().expect("an id").to_owned()
    }

    /// One pass over the messages to workers; what it moved.
    fn dispatch(&self) -> Vec<Value> {
        let pass = self.world().run(&["dispatch", "--json", "--type", "nudge_worker"]).ok().json();
        pass["processed"].as_array().expect("items").clone()
    }

    /// All commands, with their tries.
    fn commands(&self) -> Vec<Value> {
        let commands = self.world().run(&["commands", "--attempts", "--json", "--limit", "0"]).ok().json();
        commands.as_array().expect("commands").clone()
    }

    fn command(&self, id: &str) -> Value {
        self.commands().into_iter().find(|one| one["id"] == id).expect("the command")
    }

    /// Passes until the command has reached the phase.
    #[track_caller]
    fn until(&self, id: &str, phase: &str) -> Value {
        wait_for(
            &format!("{id} to be {phase}"),
            || {
                self.dispatch();
                Some(self.command(id)).filter(|command| command["phase"] == phase)
            },
            || format!("{:#}\n{}", self.command(id), self.world().screen("w1")),
        )
    }

    /// Passes until all of these commands are done; they, in this order. One listing tells of hundreds.
    #[track_caller]
    fn until_all_done(&self, ids: &[String]) -> Vec<Value> {
        wait_for(
            "all messages to be done",
            || {
                self.dispatch();
                let commands = self.commands();
                let found = ids.iter().map(|id| commands.iter().find(|one| one["id"] == id.as_str()).cloned());
                let found: Option<Vec<Value>> = found.collect();
                found.filter(|found| found.iter().all(|one| one["phase"] == "done"))
            },
            || {
                let open: Vec<Value> = self.commands().into_iter().filter(|one| one["phase"] != "done").collect();
                format!("{open:#?}\n{}", self.world().screen("w1"))
            },
        )
    }
}
