//! What rollouts and panes of that fleet tell.

use super::fleet::{ago, board};
use crate::{
    actions::{Differing, FileStatus, FileView},
    model::{
        board::EventRow,
        cells::{Cursor, Picture},
        conversation::{Entry, Outcome, Run, Said, Sender},
        rollout::CommandSource,
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
