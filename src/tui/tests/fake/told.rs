//! What rollouts and panes of that fleet tell.

use super::fleet::{ago, board};
use crate::{
    actions::{
        AckWords, Differing, FileStatus, FileView, Judged, PolicyAck, PolicyReviewer, RecordedAck, RecordedDecision,
        RecordedHandoff, RecordedRound, ShownCriterion, TaskPolicy, TaskRecord, TaskReview,
    },
    model::{
        board::EventRow,
        cells::{Cursor, Picture},
        conversation::{Entry, Outcome, Run, Said, Sender},
        rollout::CommandSource,
        session::Role,
        supervision::{
            Agreement, CriterionSource, CriterionStatus, Deciding, Epilogue, Gate, GateCheck, Mode, NudgeOnCompletion,
            Permission, Proposer, ReviewSource, ReviewVerdict, Terms, Wants, evidence::Backing,
        },
    },
    tui::backend::{Explanation, PaneText},
};

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

/// How the task stands, with every gate met or not.
pub fn review(is_met: bool) -> TaskReview {
    let gate = |gate: Gate, wanted_by: Wants, reasons: &[&str], next: &[&str]| {
        let reasons = if is_met { &[][..] } else { reasons };
        let worded = |reason: &&str| ((*reason).to_owned(), reason.replace("missing", "nothing was said"));
        GateCheck::worded(gate, wanted_by, reasons.iter().map(worded).collect())
            .leading_to(|| next.iter().map(|step| (*step).to_owned()).collect())
    };
    TaskReview {
        gates: vec![
            gate(Gate::Permission, Wants::Always, &[], &[]),
            gate(
                Gate::Criteria,
                Wants::Terms,
                &["#2 is open: the docs tell of every error that a file can cause"],
                &["show what is done: `conveyor criteria parser --satisfy 2 --artifact FILE`"],
            ),
            gate(
                Gate::Acknowledgements,
                Wants::Terms,
                &["manager: missing"],
                &[
                    "the manager says itself that it knows the terms: `conveyor manager-ack parser --from-stdin='{...}'`",
                ],
            ),
            gate(
                Gate::Epilogue,
                Wants::Terms,
                &["run-tools: the worker's folder has changed since"],
                &["`conveyor epilogue parser --step run-tools`"],
            ),
        ],
    }
}

/// No terms were ever set.
pub fn no_policy() -> Box<TaskPolicy> {
    let ack = |role| PolicyAck { role, said_at: None, faults: vec!["missing"] };
    Box::new(TaskPolicy {
        revision: 0,
        terms: Terms::default(),
        changed: None,
        nudges: None,
        reviewer: None,
        acks: vec![ack(Role::Worker), ack(Role::Manager)],
    })
}

/// Terms with something of everything.
pub fn policy() -> Box<TaskPolicy> {
    Box::new(TaskPolicy {
        revision: 4,
        terms: Terms {
            acceptance_criteria: vec!["every recorded file parses".into()],
            epilogues: vec![Epilogue::RunTools, Epilogue::RecordHandoff],
            evidence_gates: vec!["test_output".into()],
            guidelines: vec!["Ask before you change the format.\u{1b}[31m".into()],
            nudge_on_completion: NudgeOnCompletion::AutoReview,
            objective: Some("The parser is proven.".into()),
            permissions: [Permission::OpenPr, Permission::Compact, Permission::SpawnReviewer].into_iter().collect(),
            recipe_name: Some("ship-it-loop".into()),
            require_acks: true,
            supervision_mode: Mode::Strict,
            tools: vec!["cargo test".into()],
            ..Terms::default()
        },
        changed: Some((ago(7_000), "the operator's shell".into())),
        nudges: Some((3, 20)),
        reviewer: Some(Ok(PolicyReviewer {
            command: "/usr/bin/python3 /opt/review.py".into(),
            reads: vec!["/opt/review.py".into()],
            reaches: vec!["api.example.org:443".into()],
            variables: vec!["MODEL_KEY".into()],
            seconds: 300,
        })),
        acks: vec![
            PolicyAck { role: Role::Worker, said_at: Some(ago(6_000)), faults: vec!["other_config_revision"] },
            PolicyAck { role: Role::Manager, said_at: None, faults: vec!["missing"] },
        ],
    })
}

/// Nothing was said about the task.
pub fn no_record() -> Box<TaskRecord> {
    let ack = |role| RecordedAck { role, said: None, faults: vec!["missing"] };
    Box::new(TaskRecord {
        not_to_proceed: Some("worker and manager have not proposed what comes next".into()),
        acks: vec![ack(Role::Worker), ack(Role::Manager)],
        ..TaskRecord::default()
    })
}

/// Something of everything.
pub fn record() -> Box<TaskRecord> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let ready = RecordedRound {
        round: "r1".into(),
        proposed: vec![(Proposer::Worker, ago(900)), (Proposer::Manager, ago(800))],
        proposals: vec![
            (Proposer::Worker, words(&["next: rewrite the lexer\u{1b}[31m", "why: it is slow"])),
            (Proposer::Manager, words(&["next: mend the two tests"])),
        ],
        spoken_for: vec![(Proposer::Manager, "the operator".into())],
        judged: vec![(
            ago(700),
            Judged {
                source: ReviewSource::Reviewer,
                agreement: Agreement::Divergent,
                verdict: ReviewVerdict::Amend,
                rationale: "They do not want the same.".into(),
                addendum: Some("Tests first.".into()),
            },
        )],
        asked: Some((3, "the proposals diverge".into())),
    };
    let begun = RecordedRound {
        round: "r2".into(),
        proposed: vec![(Proposer::Worker, ago(60))],
        proposals: Vec::new(),
        spoken_for: Vec::new(),
        judged: Vec::new(),
        asked: None,
    };
    let decision = |id, seconds, decision, who: &str, reason: &str| RecordedDecision {
        id,
        at: ago(seconds),
        decision,
        who: who.into(),
        reason: reason.into(),
        carries_until: ago(seconds - 900),
    };
    Box::new(TaskRecord {
        rounds: vec![begun, ready],
        older_rounds: 2,
        not_to_proceed: Some("the manager has not proposed in r2".into()),
        has_reviewer: true,
        terms: 4,
        acks_required: true,
        acks: vec![
            RecordedAck {
                role: Role::Worker,
                said: Some(AckWords {
                    at: ago(6_000),
                    revision: 2,
                    terms: Some(3),
                    by: Some("the operator".into()),
                    words: words(&["goal_restatement: every file parses", "ready_to_start: true"]),
                }),
                faults: vec!["other_config_revision"],
            },
            RecordedAck { role: Role::Manager, said: None, faults: vec!["missing"] },
        ],
        handoff: Some(RecordedHandoff {
            id: 4,
            at: ago(1_200),
            by: Some("the operator".into()),
            summary: "The lexer is done.\n14 of 20 files parse.".into(),
            next_steps: words(&["nested quotes", "the manual"]),
            is_fresh: true,
        }),
        decisions: vec![
            decision(12, 180, Deciding::Nudge, "operator", "the tests were not run"),
            decision(11, 7_200, Deciding::Inspect, "m1", "it was silent"),
        ],
    })
}

/// What was asked for, and what was shown for it.
pub fn shown_criteria() -> Vec<ShownCriterion> {
    let one =
        |id: i64, status: CriterionStatus, text: &str, proof: Option<&str>, links: &[(Backing, &str)]| ShownCriterion {
            id,
            text: text.to_owned(),
            status,
            source: CriterionSource::UserRequested,
            proof: proof.map(str::to_owned),
            why: None,
            backing: links.first().map(|(backing, _)| *backing),
            links: links.iter().map(|(backing, link)| (*backing, (*link).to_owned())).collect(),
        };
    vec![
        one(
            1,
            CriterionStatus::Satisfied,
            "every recorded file parses",
            Some("212 passed"),
            &[
                (Backing::Program, "`cargo test` ended with exit code 0, byte 20712 of w1"),
                (Backing::Session, "event 41 (worker_handoff_recorded)"),
            ],
        ),
        one(2, CriterionStatus::Accepted, "the docs tell of every error that a file can cause", None, &[]),
        one(3, CriterionStatus::Proposed, "a fuzz test", None, &[]),
        one(
            4,
            CriterionStatus::Satisfied,
            "the report is readable",
            None,
            &[(Backing::Operator, "file report.txt, sha256 2f0a51c3b7e9")],
        ),
        ShownCriterion {
            why: Some("the old format is not read any more".to_owned()),
            ..one(5, CriterionStatus::Rejected, "it reads the old format", None, &[])
        },
    ]
}
