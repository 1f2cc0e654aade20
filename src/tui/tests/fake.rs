//! A fleet that never was, and a backend that tells of it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use ratatui::{Terminal, backend::TestBackend, layout::Size};

use crate::{
    actions::{
        Adoptable, Area, ChainStep, Checkup, Command, Deliveries, Differing, DispatchHealth, DispatcherHost,
        DispatcherView, Exchange, FileStatus, FileView, Finding, Found, KnownBy, Lease, Link, PauseView, QuestionView,
        Report, StepKind, TalkQuery, UnknownPlace, Unregistered, Verdict,
    },
    base::{Error, Kind, Result, Timestamp},
    model::{
        board::{Attention, BindingRow, Board, CycleRow, DecisionRow, EventBrief, EventRow, SessionRow, TaskRow},
        cells::{Cursor, Picture},
        conversation::{Entry, Outcome, Run, Said, Sender},
        deliveries::{CommandRow, InboxCount, ItemFacts, ItemRow, Preview},
        delivery::{AckStatus, Attempt, AttemptState, CommandKind, ItemState, Lane, Phase},
        family::AgentView,
        marks::MarksView,
        rollout::CommandSource,
        session::{Registration, Role, SessionKind},
        state::{Agreement, CoarseState, Condition, Judgement, Readiness, Reading, Source},
        supervision::CriteriaSummary,
        task::{BindingState, Task, TaskState},
        usage::{ContextUse, Limit, TokenUse},
    },
    tui::{
        app::{App, Settings, update},
        backend::{Backend, EventQuery, Explanation, PaneText},
        columns,
        keymap::Key,
        message::{Effect, Msg},
        screen,
        talk::Talk,
        theme::{Glyphs, Theme, ThemeName},
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
    let m1 = bound(session("m1", Attention::Working, Condition::Busy, "a turn is open", 12), "parser", "w1");
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
    let mut parser = task("parser", TaskState::Managed, Some(("w1", "m1")));
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

pub fn entry(id: i64, seconds: i64, said: Said) -> Entry {
    Entry { id, last_id: id, at: Some(ago(seconds)), byte_offset: id.unsigned_abs() * 100, said }
}

/// A command that has ended.
pub fn run(command: &str, exit_code: i64, output: &str) -> Said {
    Said::Command(Run {
        command: command.into(),
        source: CommandSource::Agent,
        call_id: None,
        outcome: Outcome {
            ended: true,
            exit_code: Some(exit_code),
            status: None,
            millis: Some(5_922),
            output: output.into(),
        },
    })
}

pub fn conversation() -> Vec<Entry> {
    vec![
        entry(1, 262, Said::TurnStarted { trigger: Some("user".into()) }),
        entry(
            2,
            260,
            Said::User {
                text: "Make the parser accept every recorded file.".into(),
                sender: Sender::Conveyor(Some("manager m1".into())),
            },
        ),
        entry(3, 250, Said::Note("Reading the **recorded** files first.".into())),
        entry(4, 240, run("ls tests/fixtures", 0, "41 files\n")),
        entry(
            5,
            200,
            Said::Agent(
                "Two of the recorded files hold a line that is longer than the buffer; I will read them in pieces and \
                 keep the `offsets`."
                    .into(),
            ),
        ),
        entry(6, 190, Said::TurnAborted { reason: "interrupted 中断されました 🙂".into(), millis: Some(72_000) }),
    ]
}

pub fn events(count: i64) -> Vec<EventRow> {
    let kinds: &[(&str, Option<&str>, &str)] = &[
        ("task_started", None, ""),
        ("user_message", None, "Make the parser accept every recorded file."),
        ("item_completed", Some("CommandExecution"), "cargo test --lib parser\nexit 101"),
        ("agent_message", None, "Two files hold long lines."),
        ("token_count", None, "122400 of 272000"),
        ("task_complete", None, "Done."),
        ("error", None, "usage limit reached"),
    ];
    (1..=count)
        .map(|id| {
            let number = usize::try_from(id - 1).unwrap_or(0);
            let (subtype, item, text) = kinds[number % kinds.len()];
            EventRow {
                id,
                byte_offset: u64::try_from((id - 1) * 500).unwrap_or(0),
                byte_length: 499,
                timestamp: Some(ago((count - id) * 7)),
                kind: "event_msg".into(),
                subtype: Some(subtype.into()),
                item: item.map(Into::into),
                text: text.into(),
                flags: if id == 3 { vec!["lossy".into()] } else { Vec::new() },
            }
        })
        .collect()
}

pub fn explanation() -> Explanation {
    Explanation {
        judgement: board().sessions[1].judgement.clone(),
        lines: vec![
            "rollout.jsonl byte 40321: {\"type\":\"event_msg\",\"payload\":{\"type\":\"task_started\"}}".into(),
            "screen: Would you like to run the following command?".into(),
        ],
    }
}

/// What a session has changed, as `diff --json` prints it.
pub fn differing() -> Differing {
    let patch = "diff --git a/src/parser.rs b/src/parser.rs\nindex 7898192..422c2b7 100644\n--- a/src/parser.rs\n\
        +++ b/src/parser.rs\n@@ -1,3 +1,4 @@ fn main() {\n fn parse() {\n-    \tread_all();\n+\tread_pieces(); // \u{1b}[31mred\n\
        +    keep(offsets);\n }\ndiff --git a/tests/old.rs b/tests/old.rs\ndeleted file mode 100644\n";
    let file =
        |path: &str, status, added, removed| FileView { added, old_path: None, path: path.into(), removed, status };
    Differing {
        base: Some("1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d".into()),
        cwd: "/home/me/project".into(),
        files: vec![
            file("src/parser.rs", FileStatus::Modified, Some(2), Some(1)),
            file("tests/old.rs", FileStatus::Deleted, Some(0), Some(40)),
            file("notes.txt", FileStatus::Untracked, None, None),
        ],
        patch: patch.into(),
        root: "/home/me/project".into(),
        session: "w1".into(),
        truncated: false,
    }
}

pub fn pane() -> PaneText {
    let captured = "Would you like to run the following command?\n\n\u{1b}[1;36m$ cargo test\u{1b}[0m --workspace\n\
        \u{1b}[7m> 1. Yes, proceed (y)\u{1b}[0m\n  2. No (esc)\n\n";
    PaneText {
        picture: Picture::of(captured, 160, 50, Some(Cursor { column: 2, row: 3 })),
        captured_at: ago(1),
        note: Some("copy mode".into()),
    }
}

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
    }
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
        expires_at: Some(ago(seconds - 1_800)),
        attempts: 1,
        proof: (phase == Phase::Done).then_some(40_960),
        message: Preview::Text(text.into()),
        item: matches!(phase, Phase::Delivered | Phase::Done).then_some(ItemFacts {
            state: ItemState::Delivered,
            delivered_at: Some(ago(seconds)),
            read_at: None,
            consumed_at: None,
            acknowledged: None,
        }),
    }
}

/// Two sessions that run unregistered, and one of which nobody knows what it is.
pub fn unregistered() -> Unregistered {
    Unregistered {
        sessions: vec![
            Found {
                thread_id: "019a2b3c-0000-7000-8000-00000000000a".into(),
                cwd: Some("/home/me/lexer".into()),
                known_by: vec![KnownBy::OpenRollout, KnownBy::Screen],
                tmux_session: Some("work".into()),
                pid: Some(4_711),
                about: Some("Make the lexer faster".into()),
            },
            Found {
                thread_id: "019a2b3c-0000-7000-8000-00000000000b".into(),
                cwd: Some("/home/me/docs".into()),
                known_by: vec![KnownBy::Server],
                tmux_session: None,
                pid: None,
                about: None,
            },
        ],
        unknown: vec![UnknownPlace::default()],
    }
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

/// One finding of each verdict, and a session that can be adopted.
pub fn checkup() -> Checkup {
    let finding = |area, about: &str, verdict, message: &str, remedy: Option<&str>| Finding {
        area,
        about: about.into(),
        verdict,
        message: message.into(),
        remedy: remedy.map(Into::into),
    };
    Checkup {
        taken_at: ago(40),
        findings: vec![
            finding(
                Area::Drift,
                "w4",
                Verdict::Problem,
                "its pane %9 is gone; its process 812 has ended",
                Some("`conveyor resume w4`"),
            ),
            finding(
                Area::Installation,
                "tmux escape time",
                Verdict::Remark,
                "500 ms: Esc is passed on only after that time",
                Some("`tmux set -s escape-time 10`"),
            ),
            finding(Area::Drift, "m2", Verdict::Unchecked, "process 77 cannot be looked at", None),
            finding(Area::Installation, "tmux", Verdict::Fine, "/usr/bin/tmux, 3.4", None),
            finding(Area::Ledger, "integrity", Verdict::Fine, "every page is sound", None),
        ],
        adoptable: vec![Adoptable {
            thread_id: Some("019a2b3c-0000-7000-8000-000000000009".into()),
            cwd: Some("/home/me/other".into()),
            tmux_session: Some("main".into()),
            preview: Some("Write the changelog.".into()),
        }],
    }
}

/// Answers from memory; what it was asked is counted.
pub struct Fake {
    pub board: Mutex<Option<Board>>,
    pub deliveries: Mutex<Deliveries>,
    pub boards: AtomicUsize,
    pub panics: bool,
    pub attach: Vec<String>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            board: Mutex::new(Some(board())),
            deliveries: Mutex::new(quiet()),
            boards: AtomicUsize::new(0),
            panics: false,
            attach: vec!["true".into()],
        }
    }
}

impl Backend for Fake {
    fn board(&self) -> Result<Board> {
        self.boards.fetch_add(1, Ordering::SeqCst);
        let board = self.board.lock().expect("no test panics while it holds the board");
        board.clone().ok_or_else(|| Error::new(Kind::Ledger, "the ledger is damaged").hint("run `conveyor db-doctor`"))
    }

    fn deliveries(&self, _: Option<&str>) -> Result<Deliveries> {
        Ok(self.deliveries.lock().expect("no test panics while it holds them").clone())
    }

    fn events(&self, _: &str, query: EventQuery) -> Result<Vec<EventRow>> {
        let mut rows = events(1_000);
        rows.retain(|row| query.before.is_none_or(|before| row.id < before));
        Ok(rows.split_off(rows.len().saturating_sub(query.limit)))
    }

    fn conversation(&self, _: &str, _: TalkQuery) -> Result<Vec<Entry>> {
        Ok(conversation())
    }

    fn agents(&self, _: &str) -> Result<Vec<AgentView>> {
        Ok(Vec::new())
    }

    fn pane(&self, _: &str) -> Result<Option<PaneText>> {
        Ok(Some(pane()))
    }

    fn explain(&self, _: &str) -> Result<Explanation> {
        assert!(!self.panics, "the explainer broke");
        Ok(explanation())
    }

    fn diff(&self, _: &str) -> Result<Differing> {
        Ok(differing())
    }

    fn questions(&self, _: &str) -> Result<Vec<QuestionView>> {
        Ok(Vec::new())
    }

    fn unregistered(&self) -> Result<Unregistered> {
        Ok(unregistered())
    }

    fn exchange(&self, _: &str) -> Result<Exchange> {
        Ok(exchange())
    }

    fn checkup(&self) -> Result<Checkup> {
        Ok(checkup())
    }

    fn attach(&self, _: &str) -> Result<Vec<String>> {
        Ok(self.attach.clone())
    }

    fn submit(&self, command: Command) -> Result<Report> {
        Ok(Report {
            json: serde_json::Value::Null,
            prose: format!("ran {}\n", command.argv().shell_line()),
            exit_code: 0,
            handover: None,
        })
    }
}

pub fn settings(theme: ThemeName, ascii: bool) -> Settings {
    Settings {
        theme: Theme::new(theme),
        glyphs: Glyphs::new(ascii),
        prefix: vec!["conveyor".into()],
        announced: true,
        keymap: Arc::default(),
        columns: columns::DEFAULT.to_vec(),
        dwell: 5,
    }
}

/// A cockpit of this size before anything is known.
pub fn empty(width: u16, height: u16) -> App {
    let mut app = App::new(settings(ThemeName::Dark, false), NOW, Size::new(width, height), true);
    app.begin();
    app
}

/// A cockpit that shows [`board`].
pub fn app(width: u16, height: u16) -> App {
    let mut app = empty(width, height);
    update(&mut app, Msg::Board(Ok(board())));
    update(&mut app, Msg::Deliveries(Ok(quiet())));
    update(&mut app, said("session-w1", conversation()));
    app
}

/// The newest page of a conversation.
pub fn said(session: &str, entries: Vec<Entry>) -> Msg {
    Msg::Conversation(session.into(), Talk::query(None), Ok(entries))
}

/// The same with messages on their way.
pub fn app_with_messages(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    let mut board = board();
    board.sessions[1].unread = 1;
    update(&mut app, Msg::Board(Ok(board)));
    update(&mut app, Msg::Deliveries(Ok(busy())));
    app
}

/// Presses keys by the names that the help shows; the effects of all of them.
pub fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    keys.split_whitespace().flat_map(|name| update(app, Msg::Key(key(name)))).collect()
}

/// The newest command that was submitted comes to this end.
pub fn finish(app: &mut App, result: Result<Report>) -> Vec<Effect> {
    let line = app.receipts.list().first().expect("a submitted command").line.clone();
    update(app, Msg::Done(line, result))
}

/// Types every character.
pub fn write(app: &mut App, text: &str) -> Vec<Effect> {
    text.chars().flat_map(|c| update(app, Msg::Key(Key::pressed(KeyCode::Char(c).into()).expect("a key")))).collect()
}

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub fn event(name: &str) -> KeyEvent {
    let (name, modifiers) = match name.strip_prefix("Ctrl-") {
        Some(rest) if rest.len() > 1 => (rest.to_owned(), KeyModifiers::CONTROL),
        Some(rest) => (rest.to_lowercase(), KeyModifiers::CONTROL),
        None => (name.to_owned(), KeyModifiers::NONE),
    };
    let code = match name.as_str() {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "Shift-Tab" => KeyCode::BackTab,
        "Space" => KeyCode::Char(' '),
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Delete" => KeyCode::Delete,
        "Down" => KeyCode::Down,
        "Up" => KeyCode::Up,
        "PgDn" => KeyCode::PageDown,
        "PgUp" => KeyCode::PageUp,
        "Backspace" => KeyCode::Backspace,
        name => KeyCode::Char(name.chars().next().expect("a key has a name")),
    };
    KeyEvent::new(code, modifiers)
}

fn key(name: &str) -> Key {
    Key::pressed(event(name)).expect("a key")
}

/// Effects as lines: commands as command lines, questions by name.
pub fn lines(effects: &[Effect]) -> Vec<String> {
    effects
        .iter()
        .map(|effect| match effect {
            Effect::Submit(command) => format!("conveyor {}", command.argv().shell_line()),
            Effect::Note { command, by_key } => {
                format!("{} {}", if *by_key { "note" } else { "look" }, command.argv().shell_line())
            }
            Effect::RunInTerminal(argv) => argv.join(" "),
            Effect::Copy(text) => format!("copy {text}"),
            Effect::Load(load) => format!("{load:?}"),
            Effect::Mouse(on) => format!("mouse {on}"),
            Effect::Ring(how, call) => format!("{how}: {}: {}", call.title, call.body),
            effect @ (Effect::Repaint | Effect::Suspend | Effect::Quit) => format!("{effect:?}"),
        })
        .collect()
}

/// The frame as text.
pub fn screen(app: &App) -> String {
    let mut terminal = Terminal::new(TestBackend::new(app.size.width, app.size.height)).expect("a test terminal");
    terminal.draw(|frame| screen::draw(app, frame)).expect("a frame");
    text(terminal.backend())
}

/// The characters of a test terminal, without the spaces at line ends.
pub fn text(backend: &TestBackend) -> String {
    let buffer = backend.buffer();
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut covered = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            // The second column of a wide character holds a space that is not shown.
            if covered == 0 {
                line.push_str(symbol);
                covered = unicode_width::UnicodeWidthStr::width(symbol).max(1);
            }
            covered -= 1;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
