//! The queue and its dispatchers: what is accepted is delivered once, in order, or says why not.

mod background;
mod decide;
mod locked;
mod many;
mod nudge;
mod queue;
mod recovery;
mod refusals;
mod routing;
mod sender;
mod silent;
mod typed;
mod watch;

use std::{
    cell::Cell,
    fs::{self, OpenOptions},
    io::Write as _,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::TestEnv;

/// A bound pair, `w1` and `m1` on the task `parser`, whose worker's rollout the test writes.
struct Pair {
    env: TestEnv,
    rollout: PathBuf,
    ordinal: Cell<u64>,
}

impl Pair {
    fn new() -> Self {
        Self::of("parser", "w1", "m1", TestEnv::live())
    }

    fn of(task: &str, worker: &str, manager: &str, env: TestEnv) -> Self {
        let rollout = register(&env, "worker", worker);
        register(&env, "manager", manager);
        env.run(["tasks", "--create", task, "--goal", "g"]).ok();
        env.run(["bind", "--task", task, "--worker", worker, "--manager", manager]).ok();
        Self { env, rollout, ordinal: Cell::new(1) }
    }

    /// Appends an event to the worker's rollout, as Codex does.
    fn event(&self, payload: &Value) {
        append(&self.rollout, self.ordinal.replace(self.ordinal.get() + 1), "event_msg", payload);
    }

    fn turn(&self, id: &str, end: &Value) {
        self.event(&json!({"type": "task_started", "turn_id": id}));
        self.event(end);
    }

    /// A turn that ends with an answer.
    fn answer(&self, id: &str, text: &str) {
        self.turn(id, &json!({"type": "task_complete", "turn_id": id, "last_agent_message": text}));
    }

    fn sql(&self) -> Connection {
        Connection::open(self.env.ledger()).unwrap()
    }

    /// Messages in the manager's inbox: signal, payload.
    fn inbox(&self) -> Vec<(String, Value)> {
        let sql = self.sql();
        let mut statement =
            sql.prepare("select signal_type, payload_json from routed_notifications order by id").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).unwrap();
        rows.map(|row| row.map(|(signal, payload)| (signal, serde_json::from_str(&payload).unwrap())).unwrap())
            .collect()
    }

    fn nudge(&self, text: &str) -> String {
        let queued = self.env.run(["enqueue-nudge-worker", "parser", "--json", "--message", text]).ok().json();
        queued["command_id"].as_str().unwrap().to_owned()
    }

    /// `phase` and `reason` of a command.
    fn stands(&self, id: &str) -> (String, Option<String>) {
        self.sql()
            .query_row("select phase, reason from commands where id = ?1", [id], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    }
}

fn register(env: &TestEnv, role: &str, name: &str) -> PathBuf {
    let thread = format!(
        "01a1fbe2-0000-7000-8000-{:012x}",
        name.bytes().fold(7_u64, |n, b| n * 131 + u64::from(b)) & 0xffff_ffff_ffff
    );
    let path = env.cwd().join(format!("{name}.jsonl"));
    let head = json!({
        "id": thread, "timestamp": now(), "cwd": "/home/user/project", "originator": "codex-tui",
        "cli_version": "0.169.0", "source": "cli",
    });
    fs::write(&path, "").unwrap();
    append(&path, 0, "session_meta", &head);
    env.run([&format!("register-{role}"), "--name", name, "--codex-session", path.to_str().unwrap()]).ok();
    path
}

fn append(path: &PathBuf, ordinal: u64, kind: &str, payload: &Value) {
    let line = json!({"timestamp": now(), "ordinal": ordinal, "type": kind, "payload": payload});
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn now() -> String {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    conveyor::base::Timestamp::from_millis(i64::try_from(millis).unwrap()).to_string()
}
