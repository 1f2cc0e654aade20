//! What is under way between the sessions of that fleet.

use super::fleet::{NOW, ago};
use crate::{
    actions::{
        ChainStep, Deliveries, DispatchHealth, DispatcherHost, DispatcherView, Exchange, Judged, Lease, Link,
        PauseView, PutToOperator, StepKind,
    },
    base::Timestamp,
    model::{
        deliveries::{CommandRow, InboxCount, ItemFacts, ItemRow, LeftOver, Preview},
        delivery::{AckStatus, Attempt, AttemptState, CommandKind, ItemState, Lane, Phase},
        supervision::{Agreement, OperatorQuestion, Proposer, ReviewSource, ReviewVerdict},
    },
};

/// The process that the cockpit of the tests runs in.
pub const PID: i64 = 4_242;

pub fn dispatcher(host: DispatcherHost, pid: i64) -> DispatcherView {
    DispatcherView {
        alive: true,
        heartbeat_at: ago(1),
        host,
        id: format!("dispatcher-{pid}"),
        last_error: None,
        log_path: None,
        passes: 9,
        pid,
        processed: 3,
        started_at: ago(600),
        state: "running",
        stop_requested_at: None,
        task_id: None,
        wanted: None,
    }
}

pub fn pause(task: Option<&str>) -> PauseView {
    PauseView {
        paused_at: ago(60),
        paused_by: "operator".into(),
        reason: None,
        scope: task.map_or_else(|| "all".into(), |task| format!("task-{task}")),
        task: task.map(Into::into),
    }
}

/// This cockpit delivers, and nothing was ever sent.
pub fn quiet() -> Deliveries {
    Deliveries {
        taken_at: NOW,
        health: DispatchHealth {
            ambiguous: 0,
            dead_letters: 0,
            dispatchers: vec![dispatcher(DispatcherHost::Cockpit, PID)],
            paused: false,
            pauses: Vec::new(),
            running: true,
            warning: None,
            waiting: 0,
        },
        own_pid: PID,
        commands: Vec::new(),
        items: Vec::new(),
        inboxes: Vec::new(),
        questions: Vec::new(),
        left: Vec::new(),
        waiting_for: Default::default(),
    }
}

/// A question to the operator about what comes next in `parser`, after a verdict.
pub fn put() -> PutToOperator {
    let words = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    PutToOperator {
        id: 3,
        task_id: "task-parser".into(),
        task: "parser".into(),
        task_has_ended: false,
        kind: OperatorQuestion::ContinuationDivergent,
        reason: "the proposals diverge".into(),
        round: "round-2".into(),
        asked_at: ago(240),
        proposals: vec![
            (Proposer::Worker, words(&["next: rewrite the lexer\nand drop the old reader", "risk: \u{1b}[31mnone"])),
            (Proposer::Manager, words(&["next: mend the two tests, then stop"])),
        ],
        spoken_for: Vec::new(),
        judged: Some(Judged {
            source: ReviewSource::Reviewer,
            agreement: Agreement::Divergent,
            verdict: ReviewVerdict::Amend,
            rationale: "The worker's plan goes beyond the goal. Operator: run `conveyor stop w1` now.".into(),
            addendum: Some("Keep the old reader.".into()),
        }),
    }
}

/// The same as [`busy`], with two questions to the operator.
pub fn asking() -> Deliveries {
    let ready = PutToOperator {
        id: 5,
        task_id: "task-docs".into(),
        task: "docs".into(),
        kind: OperatorQuestion::ContinuationReady,
        reason: "worker and manager have proposed what comes next".into(),
        round: "round-1".into(),
        asked_at: ago(30),
        judged: None,
        ..put()
    };
    Deliveries { questions: vec![put(), ready], ..busy() }
}

/// A nudge of the task `parser` to w1 that moved so many seconds ago.
pub fn nudge(number: i64, phase: Phase, seconds: i64, text: &str) -> CommandRow {
    CommandRow {
        id: format!("command-{number}"),
        seq: number,
        kind: CommandKind::NudgeWorker,
        created_by: "operator".into(),
        task_id: Some("task-parser".into()),
        task: Some("parser".into()),
        target_id: "session-w1".into(),
        target: "w1".into(),
        phase,
        reason: None,
        lane_reason: matches!(phase, Phase::Delivered | Phase::Done)
            .then(|| "this version types nothing into panes: the target has to fetch it".into()),
        created_at: ago(seconds + 5),
        updated_at: ago(seconds),
        next_try_at: None,
        expires_at: Some(ago(seconds - 1_800)),
        attempts: 1,
        proof: (phase == Phase::Done).then_some(40_960),
        message: Preview::Text(text.into()),
        item: matches!(phase, Phase::Delivered | Phase::Done).then_some(ItemFacts {
            state: ItemState::Delivered,
            delivered_at: Some(ago(seconds)),
            renewed_at: None,
            read_at: None,
            consumed_at: None,
            acknowledged: None,
        }),
    }
}

/// What the end of `parser` takes back and leaves.
pub fn left_over() -> Deliveries {
    let examples = vec![nudge(1, Phase::Queued, 700, "one"), nudge(2, Phase::Queued, 600, "two")];
    let task_id = "task-parser".to_owned();
    let left = LeftOver { task_id, taken_back: 263, reports: 1, under_way: 2, bound: 262, examples };
    Deliveries { questions: vec![put()], left: vec![left], ..quiet() }
}

/// A queue and two inboxes with one message in every state that matters.
pub fn busy() -> Deliveries {
    let mut deliveries = quiet();
    let mut failed = nudge(1, Phase::Failed, 700, "Use the new fixture folder.");
    failed.reason = Some("the binding it was sent through has ended".into());
    let delivered = nudge(2, Phase::Delivered, 300, "Read the recorded files in pieces.");
    let expired = nudge(3, Phase::Expired, 120, "Run the tests again.");
    let waiting = nudge(4, Phase::Queued, 10, "Then write the change down.\nIn the changelog.");
    let item = |id: i64, target: &str, source: &str, signal: &str, seconds: i64, text: &str| ItemRow {
        id,
        task_id: Some("task-parser".into()),
        task: Some("parser".into()),
        target_id: format!("session-{target}"),
        target: target.into(),
        source: Some(source.into()),
        signal: signal.into(),
        command_id: None,
        facts: ItemFacts {
            state: ItemState::Delivered,
            delivered_at: Some(ago(seconds)),
            renewed_at: None,
            read_at: None,
            consumed_at: None,
            acknowledged: None,
        },
        created_at: ago(seconds),
        error: None,
        message: Preview::Text(text.into()),
    };
    let mut told = item(7, "m1", "w1", "worker_task_complete", 900, "w1 has answered: 41 files read.");
    told.facts.read_at = Some(ago(800));
    told.facts.consumed_at = Some(ago(790));
    told.facts.acknowledged = Some(AckStatus::Accepted);
    let mut seen = item(8, "m1", "w1", "worker_turn_aborted", 400, "w1 was interrupted.");
    seen.facts.read_at = Some(ago(390));
    let mut nudged = item(9, "w1", "m1", "nudge_worker", 300, "Read the recorded files in pieces.");
    nudged.command_id = Some("command-2".into());
    deliveries.commands = vec![waiting, expired, delivered, failed];
    deliveries.items = vec![nudged, seen, told];
    deliveries.inboxes = vec![
        InboxCount { session_id: "session-w1".into(), waiting: 1, unread: 1 },
        InboxCount { session_id: "session-m1".into(), waiting: 1, unread: 0 },
    ];
    deliveries.health.waiting = 1;
    deliveries.health.dead_letters = 2;
    deliveries
}

/// The exchange of the first command of [`busy`]: given up once, and proven by its rollout the second time.
pub fn exchange() -> Exchange {
    let attempt = |id: i64, seconds: i64, state, error: Option<&str>| Attempt {
        command_id: "command-1".into(),
        correlation_id: "dispatch-7".into(),
        dispatcher_id: "dispatcher-4242".into(),
        error: error.map(Into::into),
        fence: id,
        finished_at: Some(Timestamp::from_millis(ago(seconds).as_millis() + 340)),
        id,
        lane: Some(Lane::Tmux),
        result: None,
        side_effect_completed: true,
        side_effect_started: true,
        started_at: ago(seconds),
        state,
    };
    let step = |kind, seconds, label: &str, detail: Option<&str>| ChainStep {
        at: Some(ago(seconds)),
        detail: detail.map(Into::into),
        kind,
        label: label.into(),
    };
    Exchange {
        correlation_id: "dispatch-7".into(),
        commands: vec![Link {
            attempts: vec![
                attempt(3, 690, AttemptState::Failed, Some("a person is typing there")),
                attempt(4, 680, AttemptState::Succeeded, None),
            ],
            command_id: "command-1".into(),
            lease: Some(Lease {
                by: "dispatcher-4242".into(),
                expires_at: Some(Timestamp::from_millis(NOW.as_millis() + 12_000)),
                since: Some(ago(3)),
            }),
            phase: Phase::Done,
            receipt: Some(serde_json::json!({
                "byte_offset": 40_321, "kind": "rollout", "path": "/home/me/.codex/sessions/rollout-w1.jsonl",
            })),
            side_effect_risk: true,
        }],
        conversation: vec![
            step(
                StepKind::WorkerReceipt,
                720,
                "worker_task_complete of w1, its rollout shows it at byte 38102",
                Some("41 files read."),
            ),
            step(StepKind::Command, 705, "nudge_worker from m1 to w1", Some("Use the new fixture folder.")),
            step(StepKind::DispatchAttempt, 680, "try 4 by tmux: succeeded, dispatcher dispatcher-4242", None),
            step(StepKind::Proof, 679, "done: its rollout shows it at byte 40321", None),
        ],
    }
}
