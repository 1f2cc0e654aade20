//! Inboxes: what is put there is read once by whoever holds it, whatever becomes of the readers and the clock.

mod disposable;
mod facts;
mod parallel;
mod polling;
mod turns;
mod waiting;

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use conveyor::{
    base::{Clock, Moment, Timestamp, clock::SystemClock},
    model::delivery::{CommandKind, Lane, Phase},
    ports::machine,
    store::{Access, Opening, Safety, Store, Write, commands, inbox},
};
use serde_json::{Value, json};

use crate::support::{Finished, TestEnv};

/// A world with a bound pair, `w1` and `m1` on the task `parser`, without rollouts.
fn pair() -> TestEnv {
    let env = TestEnv::live();
    for (role, name) in [("worker", "w1"), ("manager", "m1")] {
        env.sh(&format!("register-{role} --name {name} --codex-app-thread-id {name}")).ok();
    }
    env.sh("tasks --create parser --goal g").ok();
    env.sh("bind --task parser --worker w1 --manager m1").ok();
    env
}

/// The ledger, as a dispatcher uses it.
struct Post {
    store: Store,
    task_id: String,
    binding_id: String,
}

impl Post {
    fn open(env: &TestEnv) -> Self {
        let opening = Opening { access: Access::Write, safety: Safety::Forced, now: Timestamp::from_millis(0) };
        let store = Store::open(&env.ledger(), opening).unwrap();
        let (task, binding) = store
            .read(|r| {
                let task = conveyor::store::tasks::find(r, "parser")?;
                let task_id = task.map(|task| task.id).unwrap_or_default();
                let binding = conveyor::store::bindings::newest_of_task(r, &task_id)?;
                Ok::<_, conveyor::store::Error>((task_id, binding.map(|binding| binding.id).unwrap_or_default()))
            })
            .unwrap();
        Self { store, task_id: task, binding_id: binding }
    }

    fn session_id(&self, name: &str) -> String {
        self.store.read(|r| conveyor::store::sessions::find(r, name)).unwrap().unwrap().id
    }

    /// Puts a message without a command into an inbox.
    fn put(&self, target_session_id: &str, key: &str) -> i64 {
        let payload = json!({"message": format!("message {key}")});
        self.store.write(|w| inbox::deliver(w, &self.item(target_session_id, key, None, &payload), wall())).unwrap()
    }

    fn item<'a>(
        &'a self,
        target_session_id: &'a str,
        key: &'a str,
        command_id: Option<&'a str>,
        payload: &'a Value,
    ) -> inbox::NewItem<'a> {
        let of_task = !self.task_id.is_empty();
        inbox::NewItem {
            task_id: of_task.then_some(&self.task_id),
            binding_id: of_task.then_some(&self.binding_id),
            source_session_id: None,
            target_session_id,
            correlation_id: "dispatch-c",
            signal_type: "notify_manager",
            source_event_id: None,
            source_event_timestamp: None,
            dedupe_key: key,
            command_id,
            payload,
        }
    }

    /// Accepts a command for `m1` and delivers it to the inbox, as a dispatcher does.
    fn command(&self, id: &str, message: &str) -> i64 {
        let (target, payload) = (self.session_id("m1"), json!({"message": message}));
        let new = commands::NewCommand {
            id,
            idempotency_key: id,
            request_sha256: "x",
            created_by: "operator",
            task_id: Some(&self.task_id),
            binding_id: Some(&self.binding_id),
            source_session_id: None,
            target_session_id: &target,
            correlation_id: "dispatch-c",
            kind: CommandKind::NotifyManager,
            required_permission: None,
            time_to_live: None,
            max_attempts: 1,
            payload: &payload,
        };
        let deliver = |w: &Write<'_>| {
            commands::enqueue(w, &new, 100, &moment())?;
            let command = commands::by_id(w.read(), id)?.unwrap();
            let result = json!({"state": "pull_required"});
            let step = commands::Step {
                lane: Some((Lane::Inbox, "it polls")),
                result: Some(&result),
                ..commands::Step::default()
            };
            assert!(commands::advance(w, &command, Phase::Delivered, step, wall())?);
            inbox::deliver(w, &self.item(&target, id, Some(id), &payload), wall())
        };
        self.store.write(deliver).unwrap()
    }

    fn state_of(&self, command_id: &str) -> (Phase, Value) {
        let command = self.store.read(|r| commands::by_id(r, command_id)).unwrap().unwrap();
        (command.phase, command.result.unwrap_or_default())
    }
}

fn wall() -> Timestamp {
    SystemClock.now()
}

fn moment() -> Moment {
    Moment { wall: wall(), boot_id: machine::boot_id(), uptime: SystemClock.uptime_millis() }
}

/// The message of a printed item.
fn message(item: &Value) -> &str {
    item["payload"]["message"].as_str().unwrap_or_default()
}

/// Starts a command and goes on.
fn start(env: &TestEnv, line: &str) -> Child {
    spawn(env.command().args(shell_words::split(line).unwrap()))
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What a started command came to.
fn end(child: Child) -> Finished {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Waits until a started command holds the ledger open: it is about to wait, or waits.
fn until_it_looks(env: &TestEnv, child: &Child) {
    let ledger = env.ledger().canonicalize().unwrap();
    let fds = format!("/proc/{}/fd", child.id());
    crate::support::wait_for(
        "a reader that has opened the ledger",
        || {
            let open = fs::read_dir(&fds).ok()?;
            let mut links = open.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
            links.any(|path| path == ledger).then_some(())
        },
        String::new,
    );
}
