//! What every command prints, as prose and as JSON, in a world that stands still: successes and refusals.

use std::{collections::BTreeSet, fmt::Write as _};

use conveyor::actions::COMMANDS;

use super::offline;
use crate::support::TestEnv;

/// Every line is run twice, with `--json` and with `--text`; what follows sees the effects of what came before.
const SCENES: &[(&str, &[&str])] = &[
    (
        "tasks",
        &[
            "tasks --create docs --goal 'every command is explained' --summary 'One line each.' --dry-run",
            "tasks --create parser --goal again",
            "tasks --create p2",
            "tasks --create 'a b' --goal g",
            "tasks",
            "tasks --active",
            "tasks --filter 'state:managed session:w1'",
            "tasks --path nowhere.db",
        ],
    ),
    (
        "sessions",
        &[
            "sessions",
            "sessions --role manager --state active",
            "sessions --state gone",
            "sessions --name w1 --show-identity-token",
            "sessions --name nobody",
            "sessions --role boss",
            "sessions --filter 'state:unknown role:worker'",
            "sessions --filter 'age>soon'",
        ],
    ),
    (
        "register-worker",
        &[
            "register-worker --name w2 --codex-app-thread-id thread-2 --codex-app-thread-title 'A title' --cwd /project",
            "register-worker --name w3 --tmux-pane %7 --tmux-session codex-w3 --pid 4711 --dry-run",
            "register-worker --name w9",
            "register-worker --name w9 --tmux-session nosuch",
            "register-worker --name w9 --pid 4194305",
            "register-worker --name m1 --codex-app-thread-id x",
            "register-worker --name w9 --codex-session missing.jsonl",
            "register-worker --name w9 --tmux-pane 7",
        ],
    ),
    (
        "register-manager",
        &[
            "register-manager --name m2 --codex-app-thread-id thread-3",
            "register-manager --name w1 --codex-app-thread-id x",
            "register-manager --name m9 --codex-session /dev/null",
        ],
    ),
    (
        "deregister",
        &[
            "deregister w1",
            "deregister nobody",
            "unbind --task parser --dry-run",
            "register-worker --name w2 --codex-app-thread-id thread-2",
            "deregister w2 --dry-run",
            "deregister w2",
            "register-worker --name w2 --codex-app-thread-title again",
        ],
    ),
    (
        "bind",
        &[
            "bind --task parser --worker w1 --manager m1",
            "bind --task parser --worker m1 --manager w1",
            "bind --task nothing --worker w1 --manager m1",
            "register-worker --name w2 --codex-app-thread-id thread-2",
            "register-manager --name m2 --codex-app-thread-id thread-3",
            "bind --task parser --worker w2 --manager m2",
            "tasks --create second --goal g",
            "bind --task second --worker w1 --manager m2",
            "bind --task second --worker w2 --manager m2 --dry-run",
            "bind --task second --worker w2 --manager m2",
        ],
    ),
    ("unbind", &["unbind --task parser --dry-run", "unbind --task parser", "unbind --task nothing"]),
    // What runs on this machine is not part of the world, so the query is one that only the ledger answers.
    (
        "discover",
        &[
            "discover 'accepts every recorded file'",
            "discover 'nothing is called like this' --all",
            "discover 'accepts every recorded file' --limit 0",
            "discover --name x",
        ],
    ),
    (
        "start-worker",
        &[
            "start-worker --name w1",
            "start-worker --name w5",
            "start-worker --name m1",
            "start-worker --name w6 --cwd .codex-workers/workerctl.db",
        ],
    ),
    ("start-manager", &["start-manager --name m1", "start-manager --name m5 --task parser", "start-manager --name w1"]),
    (
        "pair",
        &[
            "pair --task docs --worker-name w5 --manager-name m5",
            "pair --task docs --worker-name w1 --manager-name m5 --task-goal g",
            "pair --task docs --worker-name w5 --manager-name w5 --task-goal g",
            "pair --task docs --worker-name w5 --manager-name m5 --task-goal g",
            "pair --task docs --worker-name w5 --manager-name m5 --manager-mode strict",
            "pair --task docs --worker-name w5",
        ],
    ),
    ("create", &["create w5 --task 'do it'", "create w1"]),
    ("start-test", &["start-test", "start-test w1"]),
    ("start", &["start w5", "start 'a b'"]),
    ("resume", &["resume w1", "resume nobody"]),
    ("open", &["open w1", "open nobody", "open w1 --split --popup"]),
    ("open-worker", &["open-worker parser", "open-worker nothing"]),
    ("open-manager", &["open-manager parser", "open-manager nothing"]),
    (
        "stop",
        &[
            "stop w1 --dry-run",
            "stop nobody",
            "stop w1",
            "status w1",
            "idle-check w1",
            "bind --task parser --worker w1 --manager m1",
        ],
    ),
    (
        "session-nudge",
        &[
            "session-nudge w1 'run the tests again' --no-wait",
            "session-nudge w1 'run the tests again' --dry-run",
            "session-nudge nobody hello",
            "session-nudge w1 ''",
        ],
    ),
    (
        "request-worker-compact",
        &[
            "request-worker-compact parser --dry-run",
            "request-worker-compact parser --clear --dry-run",
            "request-worker-compact parser --prompt-only --dry-run",
            "request-worker-compact parser --strict-decisions --decision-id 7",
            "request-worker-compact parser",
            "request-worker-compact nothing",
            "commands",
        ],
    ),
    (
        "compact-worker",
        &[
            "compact-worker parser",
            "compact-worker parser --reason ' '",
            "compact-worker parser --reason full --cycle-id 999",
            "compact-worker parser --reason full",
        ],
    ),
    (
        "session-interrupt",
        &[
            "session-interrupt w1",
            "session-interrupt w1 --followup 'go on' --dry-run",
            "session-interrupt w1 --followup ' '",
            "session-interrupt w1 --followup x --no-wait",
            "session-interrupt w1 --key C-c",
            "session-interrupt nobody",
        ],
    ),
    (
        "session-answer",
        &[
            "session-answer w1",
            "session-answer w1 --decision approve",
            "session-answer w1 --decision approve --question q-0000000000000000",
            "session-answer w1 --decision always --question q-0000000000000000",
            "session-answer w1 --question q-0000000000000000",
            "session-answer nobody",
        ],
    ),
    (
        "enqueue-nudge-worker",
        &[
            "enqueue-nudge-worker parser --message 'run the tests again' --idempotency-key k1",
            "enqueue-nudge-worker parser --message 'run the tests again' --idempotency-key k1",
            "enqueue-nudge-worker parser --message 'something else' --idempotency-key k1",
            "enqueue-nudge-worker parser --message hello --dry-run",
            "enqueue-nudge-worker --filter role:worker --message hello",
            "enqueue-nudge-worker nothing --message hello",
        ],
    ),
    (
        "manager-config",
        &[
            "manager-config parser",
            "manager-config parser --max-nudges 3",
            "manager-config parser --max-nudges none --dry-run",
            "manager-config parser --max-nudges some",
            "manager-config parser --mode strict --permit worker_session.compact --require-acks --guideline 'ask first'",
            "manager-config parser --recipe nudge-whats-next --confirm --dry-run",
            "manager-config parser --unset permit --unset guideline --objective x",
            "manager-config parser --permit repo.open",
            "manager-config parser --questions",
            "manager-config nothing",
        ],
    ),
    (
        "manager-recipes",
        &[
            "manager-recipes --list",
            "manager-recipes --show 'ship it'",
            "manager-recipes --show nothing",
            "manager-recipes",
        ],
    ),
    (
        "manager-permission",
        &[
            "manager-permission parser repo.open_pr",
            "manager-config parser --allow-pr",
            "manager-permission parser create_pr --require",
            "manager-permission parser repo --list",
            "manager-permission parser repo",
            "manager-permission parser repo.open",
            "manager-permission nothing repo.open_pr",
        ],
    ),
    (
        "criteria",
        &[
            "criteria parser --add --criterion 'every file parses' --source user_requested --status accepted",
            "criteria parser --add --criterion speed --source worker_proposed --rationale 'later, perhaps'",
            "criteria parser --defer 2",
            "criteria parser --list --history",
            "criteria parser --satisfy 1",
            "criteria parser --satisfy 1 --event 1 --dry-run",
            "criteria parser --accept 9",
            "criteria parser",
            "criteria parser --add --criterion x",
            "criteria parser --add",
            "criteria nothing --list",
        ],
    ),
    (
        "criteria-plan",
        &[
            "criteria-plan parser --from-text 'Must-have:\n- every file parses\n\nFollow-ups:\n- speed'",
            "criteria-plan parser --from-text 'no list'",
            "criteria-plan parser",
            "criteria-plan nothing --from-text x",
        ],
    ),
    (
        "worker-ack",
        &[
            "worker-ack parser",
            "worker-ack parser '--from-stdin={\"ready_to_start\": true}' --correlation-id c1",
            "worker-ack parser",
            "manager-config parser --mode strict",
            "worker-ack parser",
            "worker-ack parser --from-stdin=[]",
            "worker-ack nothing",
        ],
    ),
    (
        "manager-ack",
        &[
            "manager-ack parser '--from-stdin={\"task\": \"parser\"}' --dry-run",
            "manager-ack parser",
            "manager-ack nothing",
        ],
    ),
    (
        "record-decision",
        &[
            "record-decision parser nudge --reason 'no tests were run'",
            "record-decision parser wait --reason r --payload-json '{\"a\": 1}' --dry-run",
            "record-decision parser perhaps --reason r",
            "record-decision parser wait --reason r --cycle-id 99",
            "record-decision nothing wait --reason r",
        ],
    ),
    (
        "handoff",
        &[
            "handoff parser --summary 'the lexer is done' --next-step 'nested quotes' --next-step 'the docs'",
            "handoff parser --summary s --dry-run",
            "handoff parser --summary ''",
            "handoff parser",
            "handoff nothing --summary s",
        ],
    ),
    (
        "epilogue",
        &[
            "epilogue parser --list",
            "epilogue parser --step record-handoff",
            "manager-config parser --epilogue record-handoff --epilogue subagent-review",
            "epilogue parser --step record-handoff",
            "handoff parser --summary 'the lexer is done'",
            "epilogue parser --step record-handoff --dry-run",
            "epilogue parser --step record-handoff",
            "epilogue parser --step run-tools",
            "epilogue parser --step dance",
            "epilogue nothing --list",
        ],
    ),
    (
        "finish-task",
        &[
            "manager-config parser --acceptance 'every file parses' --require-acks",
            "finish-task parser --strict-decisions",
            "criteria parser --reject 1 --rationale 'not now'",
            "manager-config parser --unset require-acks --unset acceptance",
            "enqueue-nudge-worker parser --message later --idempotency-key k1",
            "finish-task parser --dry-run",
            "finish-task parser --reason 'it is enough' --stop-worker",
            "finish-task parser",
            "stop-task parser",
            "tasks",
            "finish-task nothing",
            "finish-task parser --reason ''",
        ],
    ),
    (
        "stop-task",
        &[
            "stop-task parser --strict-decisions --decision-id 9",
            "stop-task parser --reason 'the format is dropped'",
            "stop-task parser",
            "stop-task nothing",
        ],
    ),
    (
        "continuation",
        &[
            "continuation parser --submit worker --correlation-id r1 --from-stdin='{\"next\": \"quotes\"}'",
            "continuation parser --submit worker --dry-run --from-stdin={}",
            "continuation parser --submit manager --correlation-id r1 --from-stdin='{\"next\": \"the docs\"}'",
            "continuation parser --submit manager --correlation-id r9 --from-stdin={}",
            "continuation parser --submit worker --correlation-id r1 --from-stdin={}",
            "continuation parser --review --correlation-id r1 --from-stdin='{\"agreement\": \"divergent\", \"verdict\": \"amend\", \"rationale\": \"one of them\", \"addendum\": \"quotes first\"}'",
            "continuation parser --review --correlation-id r1 --from-stdin='{\"agreement\": \"odd\", \"verdict\": \"amend\", \"rationale\": \"r\"}'",
            "continuation parser --review --correlation-id r1 --from-stdin={}",
            "continuation parser --list",
            "continuation parser --list --include-payload",
            "continuation parser --list --include-payload --as-role reviewer",
            "continuation parser",
            "continuation nothing --list",
        ],
    ),
    (
        "continuation-reviewer",
        &[
            "continuation-reviewer parser",
            "continuation-reviewer parser --unset",
            "continuation-reviewer parser --reviewer-command /nonexistent/reviewer",
            "continuation-reviewer parser --reviewer-command ''",
            "continuation-reviewer parser --relay localhost:1",
            "continuation-reviewer nothing",
        ],
    ),
    (
        "operator-inbox",
        &[
            "operator-inbox",
            "continuation parser --submit worker --correlation-id r1 --from-stdin={}",
            "continuation parser --submit manager --correlation-id r1 --from-stdin={}",
            "operator-inbox --task parser",
            "operator-inbox --settle 1 --answer proceed --dry-run",
            "operator-inbox --settle 1 --answer proceed --note 'quotes first'",
            "operator-inbox --settle 1 --answer stop",
            "operator-inbox --all",
            "operator-inbox --settle 1",
        ],
    ),
    (
        "enqueue-notify-manager",
        &[
            "enqueue-notify-manager parser --message 'blocked: no key' --correlation-id c1 --expires 60",
            "enqueue-notify-manager parser --message ''",
        ],
    ),
    (
        "dispatch",
        &[
            "enqueue-nudge-worker parser --message hello --idempotency-key k1",
            "dispatch --dispatcher-id d1 --dry-run",
            "dispatch --dispatcher-id d1",
            "dispatch status",
            "dispatch resolve command-1 --as maybe --reason x",
            "dispatch resolve command-1 --as rearm --reason 'it never got it'",
            "dispatch pause --task parser --reason lunch",
            "dispatch status",
            "dispatch resume --task parser",
            "dispatch pause",
            "dispatch pause",
            "dispatch resume",
            "dispatch stop --all",
            "dispatch stop nobody",
            "dispatch cancel nothing",
            "dispatch retry nothing",
            "dispatch --task nothing",
            "dispatch --limit 0",
        ],
    ),
    (
        "commands",
        &[
            "commands",
            "enqueue-nudge-worker parser --message hello",
            "dispatch --dispatcher-id d1",
            "commands --attempts",
            "commands --redact --state pending",
            "commands --state lost",
            "commands --filter 'session:w1 -state:failed'",
        ],
    ),
    (
        "list",
        &[
            "list",
            "ingest w1",
            "list",
            "list --all",
            "list --filter 'state:done role:worker is:unread'",
            "list --filter is:snoozed",
            "list --filter 'role:worker state:angry'",
        ],
    ),
    (
        "mark",
        &[
            "mark w1 --pin --snooze 30m --dry-run",
            "mark w1 --pin --snooze 30m",
            "ingest w1",
            "list --filter session:w1 --text",
            "mark w1 --unsnooze --seen",
            "list --filter session:w1 --text",
            "mark w1 --unread --unpin",
            "mark w1 --seen --upto 3",
            "mark --task parser --pin",
            "mark w1",
            "mark --pin",
            "mark w1 --pin --unpin",
            "mark w1 --snooze 0s",
            "mark w1 --snooze soon",
            "mark --task parser --seen",
            "mark nobody --pin",
        ],
    ),
    (
        "chain",
        &[
            "enqueue-nudge-worker parser --message hello --correlation-id c1",
            "chain c1",
            "dispatch --dispatcher-id d1",
            "chain c1",
            "worker-inbox parser --consume-next",
            "chain c1",
            "chain nothing",
        ],
    ),
    (
        "status-line",
        &["status-line", "status-line --tmux", "ingest w1", "status-line", "dispatch pause", "status-line --tmux"],
    ),
    ("status", &["status w1", "status w1 --no-refresh", "status nobody"]),
    ("explain", &["explain w1", "explain m1 --no-refresh", "explain nobody"]),
    ("cycle", &["cycle parser", "cycle nothing"]),
    ("divergences", &["cycle parser --text", "divergences parser", "divergences nothing"]),
    ("idle-check", &["idle-check w1", "idle-check w1 --no-refresh", "idle-check nobody"]),
    (
        "update-status",
        &[
            "update-status w1 --state editing --current-task 'the parser' --next-action 'run the tests'",
            "update-status w1 --state blocked --current-task a --next-action b --blocker 'no key'",
            "update-status w1 --state lost --current-task a --next-action b",
            "update-status w1 --state done --current-task '' --next-action b",
            "status w1 --no-refresh",
        ],
    ),
    ("capture", &["capture w1", "capture nobody", "capture w1 --lines -1"]),
    ("diff", &["diff w1", "diff nobody", "diff w1 --max-bytes 0"]),
    (
        "classify",
        &[
            "classify --text-input '• Working (3s • esc to interrupt)'",
            "classify --text-input 'just words' --title t",
            "classify --file missing.txt",
        ],
    ),
    ("ingest", &["ingest w1 --dry-run", "ingest w1", "ingest w1", "ingest nobody"]),
    ("events", &["events parser", "events w1 --limit 1", "events w1 --type session_registered", "events nobody"]),
    (
        "create-disposable-binding",
        &[
            "create-disposable-binding docs --goal 'every command is explained' --dry-run",
            "create-disposable-binding docs --goal 'every command is explained' --worker-codex-app-thread-id thread-2",
            "create-disposable-binding docs",
            "create-disposable-binding second --worker w1",
            "create-disposable-binding second --worker m1",
            "create-disposable-binding second --worker x --manager x",
            "sessions --name docs-worker",
        ],
    ),
    (
        "session-inbox",
        &[
            "session-inbox m1",
            "session-inbox m1 --consume-next",
            "session-inbox w1 --consumed",
            "session-inbox nobody",
            "session-inbox m1 --timeout -1",
            "session-inbox m1 --timeout=-1",
            "session-inbox m1 --interval 0",
            "session-inbox m1 --consume-next --receive",
        ],
    ),
    (
        "manager-inbox",
        &["manager-inbox parser", "unbind --task parser", "manager-inbox parser --receive", "manager-inbox nothing"],
    ),
    (
        "worker-inbox",
        &["worker-inbox parser", "tasks --create free --goal g", "worker-inbox free", "worker-inbox nothing"],
    ),
    ("receive", &["receive m1", "receive m1 --visibility 0", "receive nobody"]),
    ("ack", &["ack receipt-00000000-0000-4000-8000-000000000001-7", "ack nonsense --release"]),
    (
        "inbox-ack",
        &[
            "inbox-ack parser --notification-id 7",
            "inbox-ack parser --notification-id 7 --role manager --status received",
            "inbox-ack parser --notification-id 7 --role manager --status received --from-stdin=[1]",
            "inbox-ack parser --notification-id 7 --role manager",
            "inbox-ack parser --notification-id 0",
            "inbox-ack nothing --notification-id 7",
        ],
    ),
    (
        "tail",
        &[
            "tail w1",
            "ingest w1",
            "tail w1 --limit 3",
            "tail w1 --subtype task_complete --include-content",
            "tail nobody",
            "tail w1 --limit -1",
            "tail w1 --limit 0 --subtype task_started",
        ],
    ),
];

/// Some lines change what the next run of the same line finds, so each form has a world of its own.
fn play(lines: &[&str], flag: &str) -> Vec<String> {
    let env = TestEnv::pair();
    lines
        .iter()
        .map(|line| {
            let mut words = shell_words::split(line).unwrap();
            if !words.iter().any(|word| word == "--text") {
                words.push(flag.to_owned());
            }
            format!("$ conveyor {}\n{}", shell_words::join(&words), offline(&env, &words))
        })
        .collect()
}

#[test]
fn every_command_prints_what_it_printed_before() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // The one number that no setting fixes: the process that ran.
    settings.add_filter(r#"("pid": |  pid )\d+"#, "${1}PID");
    settings.bind(|| {
        for (command, lines) in SCENES {
            let (prose, json) = (play(lines, "--text"), play(lines, "--json"));
            let mut shown = String::new();
            for (prose, json) in prose.iter().zip(&json) {
                let _ = writeln!(shown, "{prose}\n{json}");
            }
            insta::assert_snapshot!(*command, shown);
        }
    });
}

/// What these print depends on the machine; `tests/doctor.rs` holds them to their form.
const ELSEWHERE: &[&str] = &["db-doctor", "doctor", "doctor-self"];

/// A turn that went wrong waits for somebody to look, whatever was or was not said before.
#[test]
fn a_worker_whose_turn_was_interrupted_or_failed_is_to_be_looked_at() {
    for (rollout, reason) in [("interrupted", "interrupted"), ("error_server", "failed")] {
        let env = TestEnv::new();
        let path = env.place_rollout(&format!("rollouts/{rollout}.jsonl"), crate::support::WORKER);
        env.run(["register-worker", "--name", "w1", "--codex-session", path.to_str().unwrap()]).ok();
        let verdict = env.sh("idle-check w1 --json").ok().json();
        assert_eq!((&verdict["health"], &verdict["recommended_action"]), (&"blocked".into(), &"inspect".into()));
        assert!(verdict["reason"].as_str().unwrap().contains(reason), "{verdict:#}");
        assert_eq!(verdict["condition"], "aborted");
    }
}

#[test]
fn no_command_under_json_is_a_usage_error() {
    let run = TestEnv::new().sh("--json");
    assert_eq!((run.code, run.error()["kind"].as_str()), (2, Some("usage")), "{run}");
    assert!(run.out.is_empty(), "{run}");
}

#[test]
fn every_command_has_a_scene() {
    let scenes: BTreeSet<&str> = SCENES.iter().map(|(command, _)| *command).chain(ELSEWHERE.iter().copied()).collect();
    let commands: BTreeSet<&str> = COMMANDS.iter().map(|entry| entry.name).collect();
    assert_eq!(scenes, commands, "SCENES shows every command of the catalogue");
}

/// Commands whose refusal is their result: it is told on stdout, with the exit code of a refusal.
const TELL_REFUSALS: &[&str] = &["epilogue", "finish-task", "stop-task"];

#[test]
fn a_failure_prints_nothing_on_stdout_and_a_success_nothing_on_stderr() {
    for (command, lines) in SCENES {
        let env = TestEnv::pair();
        for line in *lines {
            for flag in ["--json", "--text"] {
                let mut words = shell_words::split(line).unwrap();
                if words.iter().any(|word| word == "--text") {
                    continue;
                }
                words.push(flag.to_owned());
                let run = offline(&env, &words);
                if run.err.is_empty() && words.first().is_some_and(|word| TELL_REFUSALS.contains(&&**word)) {
                    continue;
                }
                assert_eq!(run.err.is_empty(), run.code == 0, "{command}: {line} {flag}: {run}");
                // An empty list is no prose at all.
                let may_be_empty = run.code != 0 || flag == "--text";
                assert!(!run.out.is_empty() || may_be_empty, "{command}: {line} {flag}: {run}");
                assert!(run.out.is_empty() || run.code == 0, "{command}: {line} {flag}: {run}");
                if flag == "--json" && run.code != 0 {
                    assert_eq!(run.error()["exit_code"], run.code, "{command}: {line}: {run}");
                }
            }
        }
    }
}

#[test]
fn the_first_help_lists_every_command_under_its_heading() {
    let env = TestEnv::new();
    let help = env.sh("--help").ok();
    for entry in COMMANDS {
        assert!(help.out.lines().any(|line| line.trim_start().starts_with(entry.name)), "{}", entry.name);
        assert!(help.out.contains(&format!("{}:\n", entry.group.as_str())), "{}", entry.group.as_str());
    }
    let bare = env.sh("tasks --help").ok();
    assert!(bare.out.contains("--create <NAME>"));
}

#[test]
fn a_value_that_begins_with_a_dash_gets_the_right_hint() {
    let env = TestEnv::pair();
    let run = env.run(["dispatch", "pause", "--reason", "-not now"]);
    assert_eq!(run.code, 2, "{run}");
    assert!(run.err.contains("'--reason=-not now'") && !run.err.contains("'-- -not"), "{run}");
    let json = env.run(["dispatch", "pause", "--reason", "-n", "--json"]).error();
    assert!(json["hint"].as_str().unwrap().contains("'--reason=-n'"), "{json}");
    env.run(["dispatch", "pause", "--reason=-not now"]).ok();
    let other = env.run(["dispatch", "--once", "--bogus"]);
    assert!(other.code == 2 && !other.err.contains("equals sign"), "{other}");
}
