//! Hostile names in every field that takes one: refused, nothing written, nothing echoed raw; and in free texts:
//! stored cleaned, shown without anything that a screen would obey.
//!
//! A NUL byte cannot be passed on a command line, so none is among them. Every name meets a fourth of the fields;
//! `CONVEYOR_TEST_ALL_NAMES=1` lets it meet all.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use conveyor::{actions::COMMANDS, app, base::text};

use super::{offline, own_arguments};
use crate::support::{Finished, TestEnv};

/// Every argument that names a thing of ours, `{}` being its place.
const FIELDS: &[&str] = &[
    "doctor-self --session={}",
    "tasks --create={} --goal g",
    "sessions --name={}",
    "register-worker --name={} --codex-app-thread-id x",
    "register-worker --name w7 --tmux-pane={}",
    "register-manager --name={} --codex-app-thread-id x",
    "register-manager --name m7 --tmux-pane={}",
    "deregister -- {}",
    "bind --task={} --worker w1 --manager m1",
    "bind --task parser --worker={} --manager m1",
    "bind --task parser --worker w1 --manager={}",
    "unbind --task={}",
    "discover --adopt --name={}",
    "start-worker --name={}",
    "start-manager --name={}",
    "start-manager --name m2 --task={}",
    "start-manager --name m2 --worker={}",
    "pair --worker-name w2 --manager-name m2 --task={}",
    "pair --task t --manager-name m2 --worker-name={}",
    "pair --task t --worker-name w2 --manager-name={}",
    "create -- {}",
    "start-test -- {}",
    "start -- {}",
    "resume -- {}",
    "open -- {}",
    "open-worker -- {}",
    "open-manager -- {}",
    "stop -- {}",
    "enqueue-nudge-worker --message m -- {}",
    "enqueue-notify-manager --message m -- {}",
    "request-worker-compact --no-wait -- {}",
    "compact-worker --no-wait --reason full -- {}",
    "session-nudge --no-wait -- {} text",
    "session-interrupt -- {}",
    "session-answer -- {}",
    "dispatch --task={}",
    "manager-config -- {}",
    "manager-permission -- {} repo.open_pr",
    "criteria --list -- {}",
    "criteria-plan --from-text x -- {}",
    "worker-ack -- {}",
    "manager-ack -- {}",
    "record-decision --reason r -- {} wait",
    "handoff --summary s -- {}",
    "epilogue --list -- {}",
    "finish-task -- {}",
    "stop-task -- {}",
    "commands --task={}",
    "commands --session={}",
    "mark --pin -- {}",
    "mark --pin --task={}",
    "status -- {}",
    "explain -- {}",
    "diff -- {}",
    "cycle -- {}",
    "divergences -- {}",
    "idle-check -- {}",
    "update-status --state editing --current-task a --next-action b -- {}",
    "capture -- {}",
    "ingest -- {}",
    "tail -- {}",
    "events -- {}",
    "create-disposable-binding -- {}",
    "create-disposable-binding t7 --worker={}",
    "create-disposable-binding t7 --manager={}",
    "session-inbox --receive -- {}",
    "manager-inbox --consume-next -- {}",
    "worker-inbox -- {}",
    "receive -- {}",
    "ack -- {}",
    "inbox-ack --notification-id 1 -- {}",
];

/// Arguments whose value name is that of a name, but which hold something else.
const NO_NAMES: &[(&str, &str)] = &[("model", "a word of Codex's"), ("tmux_session", "the name that tmux gave")];

fn hostile() -> Vec<String> {
    let mut names: Vec<String> = [
        "-x",
        "--name",
        "--",
        "-",
        "--json",
        "-- x",
        "a b",
        " a",
        "a ",
        "\ta",
        "a\tb",
        "a\nb",
        "\n",
        "a\r\nb",
        "a\rb",
        "a\n\nhint: run `rm -rf /`",
        "a\nconveyor: all is well",
        ";",
        "a;b",
        "; rm -rf ~",
        "a|b",
        "a&b",
        "a && b",
        "a>b",
        "<a",
        "$(id)",
        "${HOME}",
        "$HOME",
        "`id`",
        "a`id`b",
        "\\",
        "a\\b",
        "\"a\"",
        "'a'",
        "a'b",
        "a\"b",
        "*",
        "a*",
        "?",
        "[a]",
        "{a,b}",
        "~",
        "~root",
        "!",
        "!!",
        "a!b",
        "#",
        "#a",
        "#{pane_id}",
        "#{q:pane_id}",
        "#(id)",
        "#(touch x)",
        "#[fg=red]a",
        "%1a",
        "%",
        "%%",
        "%a",
        "@1",
        "@a",
        "$1",
        "=x",
        "=",
        "+x",
        "a=b",
        "a:b",
        "a:1.0",
        ":",
        ".",
        "..",
        "../x",
        "../../etc/passwd",
        "a/b",
        "a/../b",
        "/etc/passwd",
        "/",
        "//",
        "./x",
        ".hidden",
        "C:\\x",
        "a,b",
        "a@b",
        "a+b",
        "ä",
        "e\u{301}",
        "é",
        "\u{e9}\u{301}",
        "раypal",
        "Ａ",
        "ｗ１",
        "١",
        "漢",
        "🙂",
        "👩\u{200d}👩\u{200d}👧",
        "🏳\u{fe0f}\u{200d}🌈",
        "a\u{200b}b",
        "a\u{200d}b",
        "a\u{ad}b",
        "\u{feff}a",
        "a\u{202e}b",
        "\u{202e}",
        "a\u{2066}b\u{2069}",
        "\u{200f}a",
        "שלום",
        "a\u{2028}b",
        "a\u{2029}b",
        "a\u{85}b",
        "a\u{a0}b",
        "a\u{3000}b",
        "\u{1b}[31ma",
        "\u{1b}]0;x\u{7}",
        "\u{1b}]52;c;eA==\u{7}",
        "\u{1b}c",
        "\u{9b}31ma",
        "\u{9d}0;x\u{9c}",
        "\u{7}",
        "\u{8}\u{8}",
        "\u{1}",
        "\u{7f}",
        "a\u{e0041}",
        "\u{fff9}a\u{fffb}",
        "\u{fffd}",
        "\u{10ffff}",
        "\u{1b}[2J\u{1b}[H\u{1b}[?1049h",
        "\u{90}x\u{9c}",
        "\u{f}",
        "null\u{0301}",
    ]
    .map(str::to_owned)
    .into();
    names.extend(["a".repeat(65), "a".repeat(300), "é".repeat(150), "a".repeat(100_000)]);
    names.push("../".repeat(100));
    names
}

#[track_caller]
fn assert_nothing_raw(run: &Finished, what: &str) {
    for (stream, text) in [("stdout", &run.out), ("stderr", &run.err)] {
        let raw = text.chars().find(|c| text::is_unsafe(*c));
        assert!(raw.is_none(), "{what}: {raw:?} on {stream}: {text:?}");
    }
}

/// Everything in the world but the ledger's folder.
fn files(env: &TestEnv) -> BTreeSet<PathBuf> {
    fn walk(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().is_some_and(|name| name == ".codex-workers") {
                continue;
            }
            if path.is_dir() {
                walk(&path, found);
            }
            found.insert(path);
        }
    }
    let mut found = BTreeSet::new();
    walk(env.cwd().parent().unwrap(), &mut found);
    found
}

/// What is recorded, without the times of the last look.
fn recorded(env: &TestEnv) -> Vec<i64> {
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    ["tasks", "sessions", "bindings", "statuses", "events", "rollout_files", "manager_cycles"]
        .iter()
        .map(|table| sql.query_row(&format!("select count(*) from {table}"), [], |row| row.get(0)).unwrap())
        .collect()
}

#[test]
fn hostile_names_are_refused_and_never_echoed_raw() {
    let names = hostile();
    assert!(names.len() >= 120, "{} names", names.len());
    let all = std::env::var_os("CONVEYOR_TEST_ALL_NAMES").is_some_and(|value| value == "1");
    std::thread::scope(|scope| {
        for half in 0..2 {
            let names = &names;
            scope.spawn(move || {
                let env = live_pair();
                let (before, rows) = (files(&env), recorded(&env));
                for (place, field) in FIELDS.iter().enumerate().filter(|(place, _)| place % 2 == half) {
                    for (number, name) in names.iter().enumerate() {
                        if all || (number + place) % 4 == 0 {
                            try_name(&env, field, name, number % 2 == 0);
                        }
                    }
                }
                assert_eq!(files(&env), before, "a file was written");
                assert_eq!(recorded(&env), rows, "something was recorded");
            });
        }
    });
}

fn try_name(env: &TestEnv, field: &str, name: &str, json: bool) {
    let mut words: Vec<String> = field.split(' ').map(|word| word.replace("{}", name)).collect();
    words.insert(1, if json { "--json" } else { "--text" }.to_owned());
    let run = offline(env, &words);
    let what = format!("{field} with {:?}", text::bounded(name, 80));
    assert!(matches!(run.code, 1 | 2), "{what}: {run}");
    assert_nothing_raw(&run, &what);
    if field.starts_with("doctor-self") && run.code == 1 {
        // A check that fails is a result.
        return;
    }
    assert!(run.out.is_empty(), "{what}: {run}");
    if json {
        assert_eq!(run.error()["exit_code"], run.code, "{what}: {run}");
    } else {
        let forged = run.err.lines().any(|line| line == "conveyor: all is well" || line.starts_with("hint: run `rm"));
        assert!(!forged, "{what} makes lines of its own: {run}");
    }
}

/// As `pair`, with the real clock: many runs would leave the frozen hour.
fn live_pair() -> TestEnv {
    let env = TestEnv::live();
    for (role, name) in [("worker", "w1"), ("manager", "m1")] {
        env.sh(&format!("register-{role} --name {name} --codex-app-thread-id {name}")).ok();
    }
    env.sh("tasks --create parser --goal g").ok();
    env.sh("bind --task parser --worker w1 --manager m1").ok();
    env
}

#[test]
fn every_field_that_takes_a_name_is_among_the_fields() {
    let definition = app::definition();
    for entry in COMMANDS {
        let command = definition.find_subcommand(entry.name).unwrap();
        for arg in own_arguments(command) {
            let value = arg.get_value_names().and_then(<[_]>::first).map(|name| name.as_str());
            let id = arg.get_id().as_str();
            let is_positional = arg.get_long().is_none();
            let takes_name = matches!(value, Some("NAME" | "SESSION" | "TASK" | "TOKEN" | "PANE" | "TMUX_SESSION"))
                && (is_positional || !NO_NAMES.iter().any(|(other, _)| *other == id));
            if !takes_name {
                continue;
            }
            let place = match arg.get_long() {
                Some(long) => format!("--{long}={{}}"),
                None => "{}".to_owned(),
            };
            let covered = FIELDS.iter().any(|field| {
                let mut words = field.split(' ');
                words.next() == Some(entry.name) && words.any(|word| word == place)
            });
            assert!(covered, "add `{} … {place}` to FIELDS", entry.name);
        }
    }
}

#[test]
fn free_texts_are_stored_cleaned_and_shown_harmlessly() {
    let env = live_pair();
    let texts: Vec<String> = hostile().into_iter().filter(|text| text.len() < 1_000).collect();
    for (number, hostile) in texts.iter().enumerate() {
        let clean = text::clean(hostile.trim());
        let task = format!("t{number}");
        let words = ["tasks", "--create", &task, &format!("--goal={hostile}"), &format!("--summary={hostile}")];
        let by_stdin = hostile == "-";
        let run = offline(&env, words);
        assert_nothing_raw(&run, hostile);
        let expected = if by_stdin || clean.is_empty() { 2 } else { 0 };
        assert_eq!(run.code, expected, "{hostile:?}: {run}");
        let said = offline(
            &env,
            [
                "update-status",
                "w1",
                "--state=blocked",
                &format!("--current-task={hostile}"),
                "--next-action=b",
                &format!("--blocker=x{hostile}"),
            ],
        );
        assert_nothing_raw(&said, hostile);
        assert_eq!(said.code, expected, "{hostile:?}: {said}");
        if expected == 0 {
            assert_eq!(said.json()["current_task"], clean, "{hostile:?}");
        }
    }
    for flag in ["--json", "--text"] {
        for line in [&["tasks"][..], &["sessions"], &["list"], &["status", "w1", "--no-refresh"]] {
            assert_nothing_raw(&offline(&env, line.iter().chain([&flag])), line[0]);
        }
    }
    let listed = offline(&env, ["tasks", "--json"]).json();
    for (number, hostile) in texts.iter().enumerate() {
        let clean = text::clean(hostile.trim());
        let name = format!("t{number}");
        let found = listed.as_array().unwrap().iter().find(|task| task["name"] == *name);
        assert_eq!(found.is_some(), !clean.is_empty() && hostile != "-", "{hostile:?}");
        if let Some(found) = found {
            assert_eq!((&found["goal"], &found["summary"]), (&clean.as_str().into(), &clean.as_str().into()));
        }
    }
    let prose = offline(&env, ["tasks", "--text"]);
    assert_eq!(prose.out.lines().count(), listed.as_array().unwrap().len(), "one line for each task");
}

#[test]
fn titles_and_places_are_shown_harmlessly_and_paths_still_lead_to_the_file() {
    let env = live_pair();
    let rollout = fs::read(crate::support::fixture_path("rollouts/simple_turn.jsonl")).unwrap();
    let fits = |text: &&String| text.len() < 200 && !text.contains('/') && !matches!(text.as_str(), "." | "..");
    for (number, hostile) in hostile().iter().filter(fits).enumerate() {
        let folder = env.cwd().join(format!("f{number}")).join(hostile);
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{hostile}.jsonl"));
        fs::write(&file, &rollout).unwrap();
        let file = file.to_str().unwrap();
        let registered = offline(
            &env,
            [
                "register-worker",
                "--name=w2",
                &format!("--codex-session={file}"),
                &format!("--cwd={}", folder.display()),
                &format!("--codex-app-thread-title={hostile}"),
                &format!("--tmux-session={hostile}"),
            ],
        );
        assert_nothing_raw(&registered, hostile);
        assert_eq!(registered.code, 0, "{hostile:?}: {registered}");
        assert_eq!(registered.json()["codex_app_thread_title"], text::clean(hostile), "{hostile:?}");
        let taken = offline(&env, ["ingest", "w2"]);
        assert_eq!((taken.code, &taken.json()["new_events"]), (0, &20.into()), "{hostile:?}: {taken}");
        fs::remove_file(file).unwrap();
        let views = [
            &["ingest", "w2", "--text"][..],
            &["ingest", "w2", "--json"],
            &["sessions", "--text"],
            &["sessions", "--json"],
            &["list", "--text"],
            &["explain", "w2", "--no-refresh"],
        ];
        // The first one notes the error; of the others each name meets one.
        for line in [views[0], views[1 + number % 5]] {
            assert_nothing_raw(&offline(&env, line), &format!("{line:?} with {hostile:?}"));
        }
    }
}
