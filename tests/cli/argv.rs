//! Every action as a command line: what `argv()` says parses back to an equal value, texts included.

use conveyor::{
    actions::{COMMANDS, Command, TextArg},
    app::{self, Word},
};

use super::own_arguments;

/// Command lines of every action; together they use every flag.
const SAMPLES: &[&str] = &[
    "doctor",
    "doctor --cwd '/a b' --codex-home=-x",
    "doctor-self",
    "doctor-self --session codex-w1",
    "db-doctor",
    "db-doctor --live --manager-stale-seconds 10",
    "tasks",
    "tasks --active",
    "tasks --filter is:pinned",
    "tasks --create t1 --goal 'do it'",
    "tasks --create _x.y-2 --goal g --summary s",
    "sessions",
    "sessions --role worker --state all --name w1 --name w2 --show-identity-token",
    "sessions --filter 'state:gone is:unread'",
    "sessions --state gone --redact-identity-token --include-legacy",
    "register-worker --name w1 --codex-session /a/b.jsonl --pid 7 --cwd /a --tmux-session s --tmux-pane %7",
    "register-worker --name w1 --codex-app-thread-id=-x --codex-app-thread-title='-- a \"title\"\nof two lines'",
    "register-worker --name w1 --tmux-socket '/tmp/with space' --cwd=-dash --codex-session '~/x'",
    "register-manager --name m1 --codex-session ./x --pid 9223372036854775807 --cwd . '--tmux-session=-s;$(x)'",
    "register-manager --name m1 --tmux-pane %0 --tmux-socket s --codex-app-thread-id id --codex-app-thread-title t",
    "deregister w1",
    "deregister -- -w1",
    "deregister --expect given_up=2,under_way=1,unread=3 w1",
    "bind --task t --worker w --manager m",
    "bind --task=-t --worker=--worker --manager='m m'",
    "unbind --task parser",
    "unbind --task='--task=x'",
    "unbind --task parser --expect none",
    "discover",
    "discover parser --all --limit 3",
    "discover --cwd=-x",
    "discover --adopt --thread a --thread=-b --cwd '/a b'",
    "discover --adopt --role manager --name m2 -- -query",
    "start-worker --name w1",
    "start-worker --name w1 --task 'do it' --cwd /x --sandbox read-only --ask-for-approval never --model gpt",
    "start-worker --name w1 --codex-profile yolo --accept-trust --no-server --timeout-seconds 3600 --codex /bin/codex",
    "start-manager --name m1",
    "start-manager --name m1 --task t --task-goal 'a goal' --worker w1 --cwd /x --sandbox read-only --model gpt",
    "start-manager --name m1 --ask-for-approval never --accept-trust --no-server --timeout-seconds 9 --codex /bin/codex",
    "start-manager --name m1 --codex-profile yolo",
    "pair --task t --worker-name w --manager-name m",
    "pair --task t --worker-name w --manager-name m --task-goal g --task-summary=-s '--task-prompt=- do it' --cwd /x",
    "pair --task t --worker-name w --manager-name m --sandbox read-only --ask-for-approval never --model m --no-dispatch",
    "pair --task t --worker-name w --manager-name m --codex-profile yolo --accept-trust --no-server --timeout-seconds 1",
    "pair --task t --worker-name w --manager-name m --codex c --dispatcher-id d1",
    "pair --task t --worker-name w --manager-name m --manager-mode strict --manager-recipe=-r --manager-objective=-o --manager-confirm",
    "pair --task t --worker-name w --manager-name m --manager-guideline=-g --manager-guideline h --manager-acceptance a --manager-reference r",
    "pair --task t --worker-name w --manager-name m --manager-permit=-p --manager-allow-pr --manager-allow-merge-green --manager-tool t",
    "pair --task t --worker-name w --manager-name m --manager-allow-worker-compact-clear --manager-permissions-json={} --manager-require-acks",
    "pair --task t --worker-name w --manager-name m --manager-epilogue draft-pr --manager-nudge-on-completion off",
    "create w1",
    "create w1 --task t --cwd /x --sandbox danger-full-access --ask-for-approval untrusted --model=-m",
    "create w1 --codex-profile yolo --accept-trust --no-server --timeout-seconds 1 --codex c",
    "start-test",
    "start-test other --cwd /x --sandbox workspace-write --ask-for-approval on-request --model m",
    "start-test --codex-profile yolo --accept-trust --no-server --timeout-seconds 1 --codex c",
    "start s",
    "start s --cwd /x --sandbox read-only --ask-for-approval never --model m -- --flag 'a b' -- x",
    "start s --codex-profile yolo --accept-trust --no-server --timeout-seconds 1 --codex c -- -s",
    "resume w1",
    "resume --cwd /x --sandbox read-only --ask-for-approval never --model m -- -w1",
    "resume w1 --codex-profile yolo --accept-trust --no-server --timeout-seconds 1 --codex c",
    "open w1",
    "open w1 --split",
    "open --popup -- -w1",
    "open-worker t --split",
    "open-worker --popup -- -t",
    "open-manager t --split",
    "open-manager t --popup",
    "stop w1",
    "stop -- --all",
    "enqueue-notify-manager t --message m",
    "enqueue-notify-manager --message=-x --correlation-id c --idempotency-key k --expires 5 -- -t",
    "enqueue-nudge-worker t --message='--json'",
    "enqueue-nudge-worker --filter 'state:idle role:worker' --message '- a list' --expires 31536000",
    "enqueue-nudge-worker t --message m --correlation-id=-c --idempotency-key=-k",
    "request-worker-compact parser",
    "request-worker-compact --wait 0 --expires 9 -- -parser",
    "request-worker-compact parser --no-wait",
    "request-worker-compact parser --clear --wait 5",
    "compact-worker parser --reason 'nearly full'",
    "compact-worker --reason=-r --cycle-id 3 --no-wait --expires 9 -- -parser",
    "compact-worker --reason r --wait 5 parser",
    "compact-worker --clear --reason r parser",
    "session-nudge w1 'a text'",
    "session-nudge --wait 0 --idempotency-key=-k --expires 9 -- -w1 --json",
    "session-nudge w1 --no-wait -- -text",
    "session-interrupt w1",
    "session-interrupt --followup=-text --wait 3 -- -w1",
    "session-interrupt w1 --no-wait",
    "session-answer w1",
    "session-answer w1 --decision approve --question q-1 --wait 0",
    "session-answer --decision decline --expect='-rf x' -- -w1",
    "session-answer w1 --decision cancel --question=-q",
    "dispatch",
    "dispatch --once --limit 3 --dispatcher-id d1 --type nudge_worker --task=-t",
    "dispatch --watch --watch-iterations 2 --interval 0.5 --type worker_task_complete",
    "dispatch --watch --detach",
    "dispatch --watch --background-log=-x",
    "dispatch status",
    "dispatch pause",
    "dispatch pause --all --reason=-r",
    "dispatch pause --task t",
    "dispatch resume --all",
    "dispatch resume --task=-t",
    "dispatch stop --all",
    "dispatch stop -- -d",
    "dispatch cancel command-1 --reason 'not any more'",
    "dispatch retry command-1 --reason=-r",
    "dispatch resolve --as rearm --reason=-r -- -c",
    "dispatch resolve command-1 --as not-delivered --reason 'it is not there'",
    "manager-config t",
    "manager-config --max-nudges 7 -- -t",
    "manager-config t --max-nudges none",
    "manager-config t --mode strict --recipe=-r --objective='-o x' --guideline=-g --guideline h --acceptance a --reference r",
    "manager-config t --permit=-p --permit repo.open_pr --allow-pr --allow-merge-green --allow-worker-compact-clear",
    "manager-config t --permissions-json '{\"repo\": []}' --tool=-t --epilogue draft-pr --epilogue run-tools --confirm",
    "manager-config t --nudge-on-completion auto-review --require-acks --unset mode --unset permit --interactive",
    "manager-config t --questions",
    "manager-permission t repo.open_pr --require --require-handoff",
    "manager-permission --list -- -t repo",
    "criteria t --list --status accepted --status deferred --history",
    "criteria t --add --criterion=-c --source final_audit --status deferred --rationale=-r --proof=-p",
    "criteria --accept 3 --expect-version 2 -- -t",
    "criteria t --satisfy 3 --event 4 --event 5 --byte 0 --command command-1 --commit 1f5bd2a --artifact ./-a --evidence-json={}",
    "criteria t --defer 3",
    "criteria t --reject 3 --history",
    "criteria-plan t --from-text=-x",
    "criteria-plan --from-worker-response=-f -- -t",
    "criteria-plan t --from-stdin=x",
    "worker-ack t",
    "manager-ack --expect-version 3 --from-stdin={} -- -t",
    "worker-ack --expect-version 3 --from-stdin={} --correlation-id=-c -- -t",
    "manager-ack t --from-stdin={}",
    "manager-ack t --from-stdin={} --correlation-id c",
    "record-decision t wait --reason=-r",
    "record-decision --reason r --cycle-id 3 --payload-json={} -- -t escalate",
    "continuation t --submit worker --from-stdin={}",
    "continuation --submit manager --correlation-id=-c --from-stdin=-x -- -t",
    "continuation t --review --correlation-id c --from-stdin='{\"a\": 1}'",
    "continuation t --list --as-role manager --include-payload --correlation-id c",
    "continuation-reviewer t",
    "continuation-reviewer t --correlation-id=-c --reviewer-command='-x y' --read /a --read /b --relay h:1 --env A --timeout 9",
    "continuation-reviewer t --set --reviewer-command true",
    "continuation-reviewer --unset -- -t",
    "operator-inbox",
    "operator-inbox --task=-t --all",
    "operator-inbox --settle 7 --answer amend --note=-n",
    "handoff t --summary=-s",
    "handoff --summary s --next-step=-n --next-step m --payload-json={} -- -t",
    "epilogue t --list",
    "epilogue --status -- -t",
    "epilogue t --step run-tools --correlation-id=c --timeout-seconds 5",
    "epilogue t --step draft-pr --base main --open",
    "finish-task t",
    "finish-task t --expect taken_back=2,questions=1",
    "finish-task --reason=-r --stop-worker --stop-manager --decision-id 3 --strict-decisions -- -t",
    "finish-task t --require-criteria-audit --require-acks --require-epilogue --require-adversarial-proof",
    "finish-task t --capture-transcript-before-stop --capture-transcript-lines 9 --require-transcript-segment --include-content",
    "stop-task t --reason=-r --stop-worker --stop-manager --decision-id 3 --strict-decisions",
    "stop-task -- -t",
    "stop-task t --expect none",
    "request-worker-compact t --decision-id 3 --strict-decisions --prompt-only --message=-m",
    "compact-worker t --reason r --prompt-only --message m",
    "manager-recipes --list",
    "manager-recipes --show='-x y'",
    "chain command-1",
    "chain -- -c",
    "commands",
    "commands --task t --session=-s --type notify_manager --state failed --attempts --redact --limit 0",
    "commands --phase queued --phase dead --before command-1",
    "commands --filter 'state:queued age>10m'",
    "list",
    "list --all",
    "status-line",
    "status-line --tmux",
    "list --filter='-state:idle \"a b\" age>10m'",
    "mark w1 --pin",
    "mark --unpin --unsnooze --unread -- -w1",
    "mark w1 --seen --upto 5 --snooze 36h",
    "mark --task=-t --pin --snooze 90s",
    "status w1",
    "status --no-refresh -- -w1",
    "explain w1",
    "explain w1 --no-refresh",
    "cycle parser",
    "cycle parser --busy-wait-seconds 0",
    "divergences parser",
    "divergences parser --limit 7",
    "idle-check w1",
    "idle-check w1 --busy-wait-seconds 1 --status-stale-seconds 2 --terminal-stale-seconds 3 --no-refresh",
    "update-status w1 --state editing --current-task a --next-action b",
    "update-status w1 --state blocked --current-task=-a --next-action=--b --blocker 'c\"'",
    "capture w1",
    "capture --lines 0 --include-content -- -w1",
    "diff w1",
    "diff --base=-x --max-bytes 1 -- -w1",
    "classify --text-input 'a screen' --title=-t",
    "classify --file=-x --title t --status-age-seconds 1 --busy-wait-seconds 2",
    "ingest w1",
    "ingest -- -w1",
    "tail w1",
    "tail w1 --limit 0 --subtype=-x --include-content",
    "create-disposable-binding parser",
    "create-disposable-binding --goal g --summary s --worker w --manager m --session-dir ./d --cwd=-x -- parser",
    "create-disposable-binding p --worker-codex-app-thread-id=-x --worker-codex-app-thread-title 'a b'",
    "create-disposable-binding p --manager-codex-app-thread-id i --manager-codex-app-thread-title t",
    "session-inbox m1",
    "session-inbox --wait --timeout 0 --interval 0.05 --limit 3 --consume-next -- -m1",
    "session-inbox m1 --receive --visibility 5 --revive",
    "session-inbox m1 --consumed",
    "manager-inbox parser",
    "manager-inbox parser --wait --timeout 0.5 --interval 2 --limit 1 --consume-next",
    "manager-inbox --receive --visibility 43200 --revive -- -t",
    "manager-inbox parser --consumed",
    "worker-inbox parser",
    "worker-inbox parser --wait --timeout 60 --interval 1 --limit 1 --consume-next",
    "worker-inbox --receive --visibility 1 --revive -- -t",
    "worker-inbox parser --consumed",
    "receive m1",
    "receive --visibility 1 --wait --timeout 1.5 --interval 0.1 -- -m1",
    "ack receipt-1",
    "ack --release -- -x",
    "inbox-ack parser --notification-id 7",
    "inbox-ack parser --notification-id 7 --role manager --status received --correlation-id=-c '--from-stdin={}'",
    "inbox-ack --notification-id 7 --role worker --status blocked '--from-stdin={\"a\": 1}' -- -t",
    "events w1",
    "events --type=-x --limit 3 -- -w1",
];

/// Texts that must survive a command line.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "plain",
        "two\nlines\n",
        "  spaces  ",
        "-",
        "--goal=x",
        "-x",
        "\"quoted\" 'twice' `ticks` $(sub) ${var} \\ ; | & > * ? ~ #",
        "=",
        "é漢🙂\u{200d}\u{202e}\u{1b}[31m",
        "a\tb\r\n",
        "%1 @1 #{x} #(x)",
    ]
    .map(str::to_owned)
    .into();
    texts.extend([4_096, 4_097, 200_000].map(|length| "x".repeat(length)));
    texts
}

#[track_caller]
fn parse(words: &[String]) -> Command {
    let line = ["conveyor".to_owned()].into_iter().chain(words.iter().cloned());
    match app::parse(line) {
        Ok(app::Root { word: Some(Word::Action(command)), .. }) => command,
        Ok(_) => panic!("{words:?} is no action"),
        Err(error) => panic!("{words:?}: {error}"),
    }
}

/// Parses what `argv()` says, with its standard input, and compares.
#[track_caller]
fn assert_round_trip(command: &Command) {
    let argv = command.argv();
    let mut again = parse(&argv.words);
    let stdin = argv.stdin.clone().unwrap_or_default();
    let mut waiting: Vec<&mut TextArg> = again.texts().into_iter().filter(|text| **text == TextArg::Stdin).collect();
    assert_eq!(waiting.len(), usize::from(argv.stdin.is_some()), "{:?}", argv.words);
    for text in &mut waiting {
        text.fill_from(&mut stdin.as_bytes()).unwrap();
    }
    assert_eq!(&again, command, "{:?}", argv.words);
    assert_eq!(shell_words::split(&argv.shell_line()).unwrap(), argv.words, "the line that is copied");
}

#[test]
fn every_action_parses_back_from_its_own_argv() {
    for sample in SAMPLES {
        assert_round_trip(&parse(&shell_words::split(sample).unwrap()));
    }
}

#[test]
fn every_text_argument_survives_every_text() {
    let mut seen = 0;
    for sample in SAMPLES {
        let command = parse(&shell_words::split(sample).unwrap());
        for place in 0..command.clone().texts().len() {
            for text in texts() {
                let mut command = command.clone();
                *command.texts()[place] = TextArg::Inline(text);
                assert_round_trip(&command);
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen} texts were tried");
}

#[test]
fn of_several_long_texts_one_goes_by_standard_input_and_none_is_lost() {
    let mut command = parse(&["tasks", "--create", "t", "--goal", "g", "--summary", "s"].map(str::to_owned));
    for (place, text) in command.texts().into_iter().enumerate() {
        *text = TextArg::Inline(format!("{place}").repeat(5_000));
    }
    assert_round_trip(&command);
    let argv = command.argv();
    assert!(argv.words.contains(&"--goal=-".to_owned()) && argv.stdin.is_some_and(|text| text.starts_with('0')));
}

#[test]
fn long_texts_go_by_standard_input_and_short_ones_do_not() {
    let mut command = parse(&["tasks", "--create", "t", "--goal", "g"].map(str::to_owned));
    for (length, by_stdin) in [(4_096, false), (4_097, true)] {
        *command.texts()[0] = TextArg::Inline("x".repeat(length));
        let argv = command.argv();
        assert_eq!(argv.stdin.is_some(), by_stdin);
        assert!(argv.words.iter().all(|word| word.len() < 5_000));
    }
}

#[test]
fn every_command_and_every_flag_of_the_catalogue_has_a_sample() {
    let definition = app::definition();
    for entry in COMMANDS {
        let samples: Vec<Vec<String>> = SAMPLES
            .iter()
            .map(|sample| shell_words::split(sample).unwrap())
            .filter(|words| words[0] == entry.name)
            .collect();
        assert!(!samples.is_empty(), "add samples of `{}` to SAMPLES", entry.name);
        let command = definition.find_subcommand(entry.name).unwrap();
        for long in own_arguments(command).into_iter().filter_map(clap::Arg::get_long) {
            let used = samples.iter().flatten().any(|word| {
                word.strip_prefix("--").is_some_and(|rest| rest == long || rest.starts_with(&format!("{long}=")))
            });
            assert!(used, "add a sample of `{} --{long}` to SAMPLES", entry.name);
        }
    }
}

#[test]
fn names_that_look_like_flags_are_refused_where_a_name_is_made() {
    for line in ["tasks --create=-x --goal g", "register-worker --name=-x --pid 1", "create -- -x", "start-test -- -x"]
    {
        let words = shell_words::split(line).unwrap();
        assert!(app::parse(["conveyor".to_owned()].into_iter().chain(words)).is_err(), "{line}");
    }
}
