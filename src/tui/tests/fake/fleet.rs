//! A fleet that never was: sessions and tasks.

use crate::{
    base::Timestamp,
    model::{
        board::{Attention, BindingRow, Board, CycleRow, DecisionRow, EventBrief, SessionRow, TaskRow},
        marks::MarksView,
        session::{Registration, Role, SessionKind},
        state::{Agreement, CoarseState, Condition, Judgement, Readiness, Reading, Source},
        supervision::CriteriaSummary,
        task::{BindingState, Task, TaskState},
        usage::{ContextUse, Limit, TokenUse},
    },
};

pub const NOW: Timestamp = Timestamp::from_millis(1_795_225_000_000);

pub fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() - seconds * 1000)
}

pub fn reading(source: Source, condition: Condition, rule: &str, seconds: i64) -> Reading {
    Reading {
        source,
        condition,
        rule: rule.into(),
        reason: format!("the {source} says {condition}"),
        at: Some(ago(seconds)),
        byte_offset: (source == Source::Rollout).then_some(40_321),
    }
}

pub fn session(name: &str, attention: Attention, condition: Condition, reason: &str, seconds: i64) -> SessionRow {
    SessionRow {
        id: format!("session-{name}"),
        name: name.into(),
        role: if name.starts_with('m') { Role::Manager } else { Role::Worker },
        registration: Registration::Active,
        attention,
        judgement: Judgement {
            condition,
            state: CoarseState::Unknown,
            reason: reason.into(),
            rule: "a_rule".into(),
            source: Some(Source::Rollout),
            since: Some(ago(seconds)),
            age_seconds: Some(seconds),
            agreement: Agreement::Single,
            ready_for_text: Readiness::Unknown,
            awaiting_first_prompt: false,
            prompt: None,
            readings: vec![reading(Source::Rollout, condition, "a_rule", seconds)],
        },
        task_id: None,
        task: None,
        partner: None,
        kind: SessionKind::Tmux,
        tmux_session: Some(format!("codex-{name}")),
        tmux_pane_id: Some("%3".into()),
        cwd: "/home/me/project".into(),
        codex_session_id: Some("019a2b3c-0000-7000-8000-000000000001".into()),
        codex_version: Some("0.160.0".into()),
        last_event: Some(EventBrief {
            label: "CommandExecution".into(),
            text: "cargo test --lib parser".into(),
            at: Some(ago(seconds)),
        }),
        context: Some(ContextUse { used_tokens: 122_400, window_tokens: 272_000 }),
        tokens: Some(TokenUse {
            at: Some(ago(seconds)),
            byte_offset: 39_000,
            total_tokens: Some(1_250_000),
            limits_at: Some(ago(seconds)),
            limits: vec![Limit {
                used_percent: 92,
                window_minutes: Some(300),
                resets_at: Some(Timestamp::from_millis(NOW.as_millis() + 3_600_000)),
            }],
            limit_reached: None,
        }),
        parent: None,
        agents: Vec::new(),
        ingested_bytes: 184_220,
        pending_bytes: 0,
        ingest_error: None,
        last_heartbeat_at: Some(ago(2)),
        unread: 0,
        marks: MarksView {
            unread: matches!(attention, Attention::Failed | Attention::DoneUnseen),
            ..MarksView::default()
        },
        asks: None,
        criteria: None,
    }
}

fn bound(mut row: SessionRow, task: &str, partner: &str) -> SessionRow {
    row.task_id = Some(format!("task-{task}"));
    row.task = Some(task.into());
    row.partner = Some(partner.into());
    row
}

fn task(name: &str, state: TaskState, pair: Option<(&str, &str)>) -> TaskRow {
    TaskRow {
        task: Task {
            id: format!("task-{name}"),
            name: name.into(),
            goal: format!("The {name} does what its tests say, on every recorded file, and nothing else changes."),
            summary: None,
            state,
            created_at: ago(7_300),
            updated_at: ago(320),
            end: None,
        },
        criteria: CriteriaSummary::default(),
        bindings: pair
            .map(|(worker, manager)| BindingRow {
                id: format!("binding-{name}"),
                state: BindingState::Active,
                worker: worker.into(),
                manager: manager.into(),
                created_at: ago(7_200),
                ended_at: None,
            })
            .into_iter()
            .collect(),
        cycles: Vec::new(),
        decisions: vec![
            DecisionRow { at: ago(320), actor: "manager".into(), kind: "command_created".into() },
            DecisionRow { at: ago(7_200), actor: "operator".into(), kind: "binding_created".into() },
        ],
        marks: MarksView::default(),
    }
}

/// Six sessions, one of each kind of need, and three tasks.
pub fn board() -> Board {
    let mut w1 = bound(
        session("w1", Attention::NeedsYou, Condition::Blocked, "asks whether it may run `cargo test --workspace`", 190),
        "parser",
        "m1",
    );
    w1.judgement.source = Some(Source::Screen);
    w1.judgement.rule = "approval_command".into();
    w1.judgement.agreement = Agreement::Disagree;
    w1.judgement.prompt = Some("approval_command".into());
    w1.judgement.readings = vec![
        reading(Source::Screen, Condition::Blocked, "approval_command", 190),
        reading(Source::Rollout, Condition::Busy, "turn_open", 200),
    ];
    let mut m1 = bound(session("m1", Attention::Working, Condition::Busy, "a turn is open", 12), "parser", "w1");
    let mut w2 =
        bound(session("w2", Attention::Failed, Condition::Aborted, "the turn failed: usage limit", 4_000), "cli", "m2");
    w2.last_event = None;
    w2.context = None;
    let mut m2 = bound(session("m2", Attention::Idle, Condition::Idle, "no turn is open", 900), "cli", "w2");
    m2.judgement.source = Some(Source::Title);
    m2.last_heartbeat_at = Some(ago(95));
    let w3 = session("w3", Attention::DoneUnseen, Condition::Done, "the turn ended with an answer", 61);
    let mut w4 = session("w4", Attention::Unknown, Condition::Unknown, "no rollout and no pane", 0);
    w4.judgement = Judgement::unknown("nothing_known", "no rollout and no pane");
    w4.tmux_pane_id = None;
    let criteria = CriteriaSummary { accepted: 2, satisfied: 3, proposed: 1, ..CriteriaSummary::default() };
    (w1.criteria, m1.criteria) = (Some(criteria), Some(criteria));
    (w2.criteria, m2.criteria) = (Some(CriteriaSummary::default()), Some(CriteriaSummary::default()));
    let mut parser = task("parser", TaskState::Managed, Some(("w1", "m1")));
    parser.criteria = criteria;
    parser.cycles = vec![
        CycleRow {
            id: 12,
            started_at: ago(30),
            outcome: "succeeded".into(),
            condition: Some("blocked".into()),
            notable: Some("approval_prompt".into()),
            error: None,
        },
        CycleRow {
            id: 11,
            started_at: ago(330),
            outcome: "failed".into(),
            condition: None,
            notable: None,
            error: Some("the rollout is gone".into()),
        },
    ];
    Board {
        taken_at: NOW,
        ledger: "/home/me/project/.codex-workers/workerctl.db".into(),
        sessions: vec![m1, w1, w2, m2, w3, w4],
        tasks: vec![
            parser,
            task("cli", TaskState::Managed, Some(("w2", "m2"))),
            task("docs", TaskState::Candidate, None),
        ],
    }
}

/// A board of `count` sessions.
pub fn crowd(count: usize) -> Board {
    let mut board = board();
    board.sessions = (0..count)
        .map(|number| {
            let attention = Attention::ALL[number % Attention::ALL.len()];
            let seconds = i64::try_from(number).unwrap_or(0);
            let mut row = session(&format!("w{number:03}"), attention, Condition::Busy, "a turn is open", seconds);
            row.task = Some(format!("task number {number}"));
            row
        })
        .collect();
    board
}
