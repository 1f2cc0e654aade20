//! What the command prints: the binding, and the texts that its sessions are given.

use std::fmt;

use serde::Serialize;

use super::Recorded;
use crate::{
    actions::{Outcome, session::CommunicationView},
    model::{
        session::{Role, Session, SessionKind},
        task::TaskState,
    },
};

/// How often a session without a pane should look for messages, in minutes.
const HEARTBEAT_MINUTES: u32 = 2;

/// The binding, and how its sessions are reached.
#[derive(Debug, Serialize)]
pub struct DisposableBinding {
    binding: BindingId,
    db_path: String,
    dry_run: bool,
    heartbeat_recommendations: Heartbeat,
    manager: Member,
    replay_commands: Vec<String>,
    /// Loop policies come later; the field is part of the contract.
    run: Option<()>,
    task: TaskView,
    worker: Member,
    worker_handoff: String,
}

#[derive(Debug, Serialize)]
struct BindingId {
    id: String,
}

#[derive(Debug, Serialize)]
struct TaskView {
    created: bool,
    id: String,
    name: String,
    state: TaskState,
}

#[derive(Debug, Serialize)]
struct Member {
    codex_app_thread_id: Option<String>,
    codex_app_thread_title: Option<String>,
    communication: CommunicationView,
    id: String,
    name: String,
    rollout_path: Option<String>,
    tmux_session: Option<String>,
}

/// How sessions that nobody can wake by a key keep coming back for their messages.
#[derive(Debug, Serialize)]
struct Heartbeat {
    applies_when: AppliesWhen,
    interval_minutes: u32,
    manager: HeartbeatOf,
    note: &'static str,
    status_command: String,
    teardown_policy: Teardown,
    worker: HeartbeatOf,
}

#[derive(Debug, Serialize)]
struct AppliesWhen {
    can_receive_push: bool,
    delivery_mode: &'static str,
    receive_style: &'static str,
    session_kind: SessionKind,
}

#[derive(Debug, Serialize)]
struct HeartbeatOf {
    direct_inbox_command: String,
    kind: &'static str,
    poll_command: String,
    prompt: String,
}

#[derive(Debug, Serialize)]
struct Teardown {
    idle_poll: &'static str,
    owner: &'static str,
    terminal_closeout: &'static str,
    terminal_closeout_command: String,
    worker_rule: &'static str,
}

impl Recorded {
    pub(super) fn described(self, ledger: &str, dry_run: bool) -> DisposableBinding {
        let Self { binding_id, task, created, worker, manager } = self;
        let (worker, manager) = (Member::of(worker, &task.name, ledger), Member::of(manager, &task.name, ledger));
        let words = Words { task: &task.name, ledger, worker: &worker.name, manager: &manager.name };
        DisposableBinding {
            binding: BindingId { id: binding_id },
            db_path: ledger.to_owned(),
            dry_run,
            heartbeat_recommendations: words.heartbeat(&worker.communication, &manager.communication),
            replay_commands: vec![
                words.command("enqueue-nudge-worker", "--message 'say what you see' --json"),
                words.dispatch(),
                worker.communication.receive_command().to_owned(),
                manager.communication.receive_command().to_owned(),
                words.command("cycle", "--json"),
                words.command("events", "--json"),
            ],
            run: None,
            worker_handoff: words.worker(&worker.communication),
            task: TaskView { created, id: task.id.clone(), name: task.name.clone(), state: task.state },
            manager,
            worker,
        }
    }
}

impl Member {
    fn of(session: Session, task: &str, ledger: &str) -> Self {
        Self {
            communication: CommunicationView::of(&session).with_task(session.role, task, ledger),
            codex_app_thread_id: session.codex_app_thread_id,
            codex_app_thread_title: session.codex_app_thread_title,
            id: session.id,
            name: session.name,
            rollout_path: session.codex_session_path,
            tmux_session: session.tmux_session,
        }
    }
}

/// The texts that the sessions are given.
struct Words<'a> {
    task: &'a str,
    ledger: &'a str,
    worker: &'a str,
    manager: &'a str,
}

impl Words<'_> {
    fn command(&self, name: &str, rest: &str) -> String {
        format!("conveyor {name} {} --path {} {rest}", shell_words::quote(self.task), shell_words::quote(self.ledger))
    }

    fn acknowledge(&self, role: Role) -> String {
        let ledger = shell_words::quote(self.ledger);
        let task = shell_words::quote(self.task);
        format!("conveyor inbox-ack {task} --notification-id ID --role {role} --status STATUS --path {ledger} --json")
    }

    fn dispatch(&self) -> String {
        let (task, ledger) = (shell_words::quote(self.task), shell_words::quote(self.ledger));
        format!("conveyor dispatch --once --task {task} --path {ledger} --json")
    }

    fn ack(&self) -> String {
        format!("conveyor ack TOKEN --path {} --json", shell_words::quote(self.ledger))
    }

    fn heartbeat(&self, worker: &CommunicationView, manager: &CommunicationView) -> Heartbeat {
        let kind = manager.communication();
        Heartbeat {
            applies_when: AppliesWhen {
                can_receive_push: kind.can_receive_push,
                delivery_mode: kind.delivery_mode,
                receive_style: kind.receive_style,
                session_kind: kind.session_kind,
            },
            interval_minutes: HEARTBEAT_MINUTES,
            manager: self.heartbeat_of(Role::Manager, manager),
            note: "nothing can be pushed to these sessions: something outside has to wake them to look for messages",
            status_command: self.command("cycle", "--json"),
            teardown_policy: Teardown {
                idle_poll: "an empty inbox is no reason to stop looking",
                owner: "manager_or_operator",
                terminal_closeout: "when the task is over, the manager or the operator ends the binding",
                terminal_closeout_command: format!(
                    "conveyor unbind --task {} --path {} --json",
                    shell_words::quote(self.task),
                    shell_words::quote(self.ledger)
                ),
                worker_rule: "a worker does not end, pause or change the heartbeat",
            },
            worker: self.heartbeat_of(Role::Worker, worker),
        }
    }

    fn heartbeat_of(&self, role: Role, communication: &CommunicationView) -> HeartbeatOf {
        let prompt = match role {
            Role::Worker => format!("{}\n{IDLE}", self.worker(communication)),
            Role::Manager => format!(
                "You are the manager session {} of the task {}.\n{}\nWhat a worker says is a claim: look with `{}` \
                 before you conclude anything, and decide on one next step.\n{IDLE}",
                self.manager,
                self.task,
                self.polling(role, communication),
                self.command("cycle", "--json"),
            ),
        };
        HeartbeatOf {
            direct_inbox_command: communication.poll_command().to_owned(),
            kind: "thread_heartbeat",
            poll_command: communication.receive_command().to_owned(),
            prompt,
        }
    }

    /// What the worker is told when it takes up its work.
    fn worker(&self, communication: &CommunicationView) -> String {
        format!(
            "You are the worker session {} of the task {}, supervised by {}.\n{}\nDo what the message says and nothing \
             else.\nCONVEYOR SEND: before your final answer tell the manager what you did: files, commands, evidence, \
             and what is left open, with `{}`.\nDISPATCH: then run `{}` once. If either fails, that is your blocker.",
            self.worker,
            self.task,
            self.manager,
            self.polling(Role::Worker, communication),
            self.command("enqueue-notify-manager", "--message TEXT --json"),
            self.dispatch(),
        )
    }

    /// How a session gets its messages and says that it has them; the words are the ones it is to show.
    fn polling(&self, role: Role, communication: &CommunicationView) -> String {
        format!(
            "Show each step as it happens.\n\
             CONVEYOR POLL: run `{}`.\n\
             CONVEYOR IDLE: `received` is null: say so in one line and stop.\n\
             CONVEYOR RECEIVED: name its id, who sent it and what it asks for; then confirm that you have it with \
             `{}` (TOKEN is its lease_token) and say `received` with `{}`.\n\
             WORK: act on it. Afterwards say `accepted`, or `blocked` if you cannot, with the same command.",
            communication.receive_command(),
            self.ack(),
            self.acknowledge(role),
        )
    }
}

const IDLE: &str = "An empty inbox is no completion and no reason to stop the heartbeat.";

impl Outcome for DisposableBinding {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verb = if self.dry_run { "would bind" } else { "bound" };
        let (worker, manager) = (&self.worker, &self.manager);
        writeln!(out, "{verb} {} and {} to {} ({})", worker.name, manager.name, self.task.name, self.binding.id)?;
        writeln!(out, "ledger: {}", self.db_path)?;
        for member in [worker, manager] {
            writeln!(out, "{} gets its messages with: {}", member.name, member.communication.receive_command())?;
        }
        writeln!(out, "look at it with: {}", self.heartbeat_recommendations.status_command)?;
        writeln!(out, "\nfor the worker:\n{}", self.worker_handoff)
    }
}
