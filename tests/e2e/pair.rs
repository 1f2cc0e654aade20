//! `pair` and `start-manager` with the simulator: both sessions or none, and everything recorded or nothing.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
};

use conveyor::app;
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::world::{World, files, processes_with, wait_for};
use crate::support::Finished;

const NAMES: &[&str] = &["pair", "--task", "parser", "--worker-name", "w1", "--manager-name", "m1", "--no-server"];
const PAIR: &[&str] =
    &["pair", "--task", "parser", "--worker-name", "w1", "--manager-name", "m1", "--no-server", "--no-dispatch"];

fn pair(world: &World, more: &[&str]) -> Finished {
    world.run(&[PAIR, &["--json"], more].concat())
}

fn prompts(world: &World) -> Vec<PathBuf> {
    files(&world.state_root().join("artifacts/start-prompts"))
}

/// What the ledger has of tasks, sessions in force and bindings; nothing when there is no ledger.
fn recorded(world: &World) -> i64 {
    if !world.ledger().exists() {
        return 0;
    }
    let sql = "select (select count(*) from tasks) + (select count(*) from sessions where state = 'active')
        + (select count(*) from bindings)";
    Connection::open(world.ledger()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// What a pair that failed must not leave.
#[track_caller]
fn assert_nothing_left(world: &World) {
    assert_eq!(world.tmux_sessions(), Vec::<String>::new());
    assert_eq!((recorded(world), prompts(world)), (0, Vec::new()));
    let marker = world.bin().display().to_string();
    wait_for(
        "its processes to end",
        || processes_with(&marker).is_empty().then_some(()),
        || processes_with(&marker).join("\n"),
    );
}

/// From now on `codex` runs these shell lines before it becomes the simulator, when it is started for m1.
fn before_the_manager(world: &World, lines: &str) {
    let sim = shell_words::join([env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon"]);
    world.broken_codex(&format!("case \"$*\" in *start-prompts/m1-*) {lines};; esac\nexec {sim} \"$@\""));
}

#[test]
fn a_pair_works_and_its_manager_hears_of_the_worker() {
    let Some(world) = World::start() else { return };
    // The worker has answered before its manager is there.
    before_the_manager(&world, "sleep 4");
    let paired = pair(&world, &["--task-goal", "prove it", "--task-prompt", "Mend it {{say Mended.}}"]).ok().json();
    for (key, name, role) in [("worker", "w1", "worker"), ("manager", "m1", "manager")] {
        let started = &paired[key];
        assert_eq!((&started["name"], &started["role"]), (&name.into(), &role.into()), "{paired:#}");
        assert_eq!(started["session_id"], world.session(name)["id"], "{paired:#}");
        assert_eq!((&started["sandbox"], &started["approval"]), (&"workspace-write".into(), &"on-request".into()));
        assert_eq!(started["ledger_unwritable"], Value::Null);
        assert_eq!(started["writable_roots"], Value::Array(Vec::new()), "the ledger lies below its own folder");
    }
    assert_eq!((&paired["task"]["created"], &paired["task"]["name"]), (&true.into(), &"parser".into()));
    assert_eq!((&paired["run_id"], &paired["manager_config_seeded"]), (&Value::Null, &true.into()));
    assert_eq!(paired["manager_config_seeded_by_pair"], true);
    let terms = world.run(&["manager-config", "parser"]).ok().json();
    assert_eq!((&terms["revision"], &terms["permissions"]["worker_session"]), (&1.into(), &Value::Array(Vec::new())));
    assert_eq!((&paired["ensure_dispatch"], &paired["dispatch"]["pid"]), (&false.into(), &Value::Null));
    assert!(paired["warning"].as_str().unwrap().contains("no dispatcher runs"), "{paired:#}");

    // However quick the worker was, its turn belongs to the binding.
    world.wait_for_condition("w1", "done");
    let heard = || {
        let inbox = world.run(&["manager-inbox", "parser", "--json"]).ok().json();
        inbox["items"].as_array().unwrap().first().cloned()
    };
    let item = wait_for("the worker's turn", heard, || world.all_screens());
    assert_eq!(item["payload"]["worker_receipt"]["last_agent_message"], "Mended.", "{item:#}");
    assert_eq!(item["binding_id"], paired["binding_id"]);
    let cycle = world.cycle("parser");
    assert_eq!(cycle["manager_context"]["worker_receipt"]["last_agent_message"], "Mended.", "{cycle:#}");
    assert_eq!(cycle["manager_session"], "m1");
    let said = fs::read_to_string(&world.rollouts_of("w1")[0]).unwrap();
    assert!(said.contains("under the supervision of m1"), "{said}");

    // The same again, and half of the same.
    let before = recorded(&world);
    for (words, says) in [
        (&[PAIR, &["--json"]].concat(), "\"w1\" is already registered"),
        (&["pair", "--task", "t2", "--worker-name", "w2", "--manager-name", "m1", "--json"].to_vec(), "\"m1\""),
        (
            &["pair", "--task", "parser", "--worker-name", "w2", "--manager-name", "m2", "--json"].to_vec(),
            "active binding",
        ),
    ] {
        let again = world.run(words);
        assert_eq!((again.code, &again.error()["kind"]), (1, &"conflict".into()), "{again}");
        assert!(again.error()["message"].as_str().unwrap().contains(says), "{again}");
    }
    assert_eq!(recorded(&world), before);
    assert_eq!(world.tmux_sessions(), ["codex-m1", "codex-w1"]);

    // Stopped sessions keep their binding, which is said before anything is started.
    world.run(&["stop", "w1"]).ok();
    world.run(&["stop", "m1"]).ok();
    let bound = pair(&world, &[]);
    assert_eq!(bound.error()["kind"], "conflict", "{bound}");
    assert!(bound.error()["hint"].as_str().unwrap().contains("conveyor unbind --task parser"), "{bound}");
    world.run(&["unbind", "--task", "parser"]).ok();
    let again = pair(&world, &["--task-goal", "prove it"]).ok().json();
    assert_eq!((&again["task"]["created"], &again["task"]["id"]), (&false.into(), &paired["task"]["id"]));
    assert_eq!(again["worker"]["session_id"], paired["worker"]["session_id"], "a name keeps its record");
}

/// Asks a background dispatcher to end, also when its test fails.
struct EndedAtLast<'w>(&'w World, &'w str);

impl Drop for EndedAtLast<'_> {
    fn drop(&mut self) {
        self.0.run(&["dispatch", "stop", self.1]);
        let marker = self.0.ledger().display().to_string();
        crate::support::codex_lab::within(super::world::PATIENCE, || processes_with(&marker).is_empty());
    }
}

#[test]
fn a_pair_has_a_dispatcher_in_the_background() {
    let Some(world) = World::start() else { return };
    let rehearse = |more: &[&str]| {
        let words = [NAMES, &["--json", "--task-goal", "prove it", "--dry-run"], more].concat();
        world.run(&words).ok().json()
    };
    let named = rehearse(&["--dispatcher-id", "night"]);
    let command = named["dispatch_command"].as_array().expect("a command");
    assert!(command.contains(&"--dispatcher-id=night".into()), "{command:?}");
    let rehearsed = rehearse(&[]);
    assert_eq!((&rehearsed["ensure_dispatch"], &rehearsed["dispatch"]["pid"]), (&true.into(), &Value::Null));
    assert!(!world.ledger().exists());
    let begin = ["--json", "--task-goal", "prove it", "--task-prompt", "Mend it {{say Mended.}}"];
    let paired = world.run(&[NAMES, &begin].concat()).ok().json();
    let dispatch = &paired["dispatch"];
    assert_eq!((&dispatch["started"], &paired["warning"]), (&true.into(), &Value::Null), "{paired:#}");
    let id = dispatch["dispatcher_id"].as_str().unwrap();
    let _ended = EndedAtLast(&world, id);
    // It delivers without anybody looking, and serves the next pair too.
    let routed = || {
        let sql = "select count(*) from routed_notifications";
        let count: i64 = Connection::open(world.ledger()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap();
        (count > 0).then_some(())
    };
    wait_for("the worker's turn", routed, || world.all_screens());
    let second = ["pair", "--task", "t2", "--worker-name", "w2", "--manager-name", "m2", "--no-server", "--json"];
    let second = world.run(&[&second[..], &["--task-goal", "prove it"]].concat()).ok().json();
    assert_eq!((&second["dispatch"]["started"], &second["dispatch"]["pid"]), (&false.into(), &dispatch["pid"]));
    world.run(&["dispatch", "stop", id]).ok();
    let marker = world.ledger().display().to_string();
    let gone = || processes_with(&marker).is_empty().then_some(());
    wait_for("the dispatcher's end", gone, || processes_with(&marker).join("\n"));
}

#[test]
fn half_a_pair_is_none() {
    let Some(world) = World::start() else { return };
    let long = "word ".repeat(400);
    let goal = ["--task-goal", "prove it", "--task-prompt", &long];

    before_the_manager(&world, "echo 'error: no such thing' >&2; exit 3");
    let failed = pair(&world, &goal);
    assert_eq!((failed.code, &failed.error()["kind"]), (1, &"refused".into()), "{failed}");
    let message = failed.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("ended") && message.contains("worker \"w1\" has been closed again"), "{message}");
    assert_nothing_left(&world);

    before_the_manager(&world, "echo a riddle; exec cat");
    let silent = pair(&world, &[&goal[..], &["--timeout-seconds", "2"]].concat());
    assert_eq!((silent.code, &silent.error()["kind"]), (4, &"unconfirmed".into()), "{silent}");
    assert_nothing_left(&world);

    // Somebody else takes the task while both are started.
    let create = [env!("CARGO_BIN_EXE_conveyor"), "tasks", "--create", "parser", "--goal", "another", "--path"];
    before_the_manager(&world, &format!("{} {} >/dev/null", shell_words::join(create), world.ledger().display()));
    let robbed = pair(&world, &goal);
    assert_eq!((robbed.code, &robbed.error()["kind"]), (1, &"conflict".into()), "{robbed}");
    assert_eq!((world.tmux_sessions(), recorded(&world), prompts(&world)), (Vec::new(), 1, Vec::new()), "{robbed}");
}

#[test]
fn what_cannot_be_is_said_before_anything_is_started() {
    let Some(world) = World::start() else { return };
    let same = world.run(&["pair", "--task", "t", "--worker-name", "a", "--manager-name", "a", "--json"]);
    assert_eq!((same.code, &same.error()["kind"]), (2, &"usage".into()), "{same}");
    let no_goal = pair(&world, &[]);
    assert_eq!((no_goal.code, &no_goal.error()["kind"]), (1, &"not_found".into()), "{no_goal}");
    assert!(no_goal.error()["hint"].as_str().unwrap().contains("--task-goal"), "{no_goal}");
    let dry = pair(&world, &["--task-goal", "prove it", "--dry-run"]).ok().json();
    assert_eq!(
        (&dry["dry_run"], &dry["binding_id"], &dry["task"]["created"]),
        (&true.into(), &Value::Null, &true.into())
    );
    assert!(!world.ledger().exists(), "nothing is made");
    for (words, code, told) in [
        (&["--manager-mode", "loose"][..], 2, "invalid value 'loose'"),
        (&["--manager-permit", "repo.open_prs"], 2, "unknown permission \"repo.open_prs\""),
        (&["--manager-permissions-json", "[]"], 2, "--manager-permissions-json must be a JSON object"),
        (&["--manager-objective", " "], 2, "--manager-objective must not be empty"),
        (&["--manager-recipe", "nothing", "--manager-confirm"], 2, "unknown manager recipe"),
        (&["--manager-recipe", "ship it"], 3, "the recipe ship-it-loop is to be read before it is taken"),
    ] {
        let refused = pair(&world, &[&["--task-goal", "prove it"], words].concat());
        let message = refused.error()["message"].as_str().unwrap().to_owned();
        assert_eq!((refused.code, message.contains(told)), (code, true), "{message}");
    }
    assert_nothing_left(&world);
    world.run(&["tasks", "--create", "parser", "--goal", "one thing"]).ok();
    let other = pair(&world, &["--task-goal", "another thing"]);
    assert_eq!((other.code, &other.error()["kind"]), (1, &"conflict".into()), "{other}");
    assert_eq!(world.tmux_sessions(), Vec::<String>::new());
}

#[test]
fn a_pair_begins_with_the_terms_that_were_given_or_there_is_none() {
    let Some(world) = World::start() else { return };
    let terms =
        ["--task-goal", "prove it", "--manager-recipe", "ux polish", "--manager-confirm", "--manager-require-acks"];
    // So long that it goes through a file, which can be read here.
    let message = "x".repeat(1_200);
    let more = [
        "--task-prompt",
        &message,
        "--manager-permit",
        "worker_session.interrupt",
        "--manager-acceptance",
        "every file parses",
    ];
    // A manager that cannot be started leaves neither sessions nor terms.
    before_the_manager(&world, "exit 3");
    let failed = pair(&world, &[&terms[..], &more].concat());
    assert_ne!(failed.code, 0, "{failed}");
    assert_nothing_left(&world);
    let rows = |table: &str| -> i64 {
        let sql = Connection::open(world.ledger()).unwrap();
        sql.query_row(&format!("select count(*) from {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((rows("manager_configs"), rows("acceptance_criteria"), rows("budgets")), (0, 0, 0));
    before_the_manager(&world, ":");
    let paired = pair(&world, &[&terms[..], &more].concat()).ok().json();
    assert_eq!(
        (&paired["manager_config_seeded_by_pair"], &paired["manager_acceptance_criteria_seeded"]),
        (&true.into(), &1.into())
    );
    let stored = world.run(&["manager-config", "parser"]).ok().json();
    assert_eq!(
        (&stored["recipe_name"], &stored["supervision_mode"], &stored["revision"]),
        (&"ux-polish-loop".into(), &"guided".into(), &1.into())
    );
    assert_eq!(stored["permissions"]["worker_session"], serde_json::json!(["clear", "compact", "interrupt"]));
    assert_eq!(
        (&stored["budget"]["max_nudges"], &stored["acceptance_criteria"]),
        (&30.into(), &serde_json::json!(["every file parses"]))
    );
    let texts: Vec<String> = prompts(&world).iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert!(texts.iter().any(|text| text.contains("worker-ack parser --from-stdin")), "the worker is told: {texts:?}");
    let cycle = world.run(&["cycle", "parser", "--json"]);
    assert_eq!(cycle.code, 3, "{cycle}");
}

#[test]
fn a_manager_knows_commands_that_there_are() {
    let Some(world) = World::start() else { return };
    let goal = format!("a goal with {{{{task}}}} in it {}", "x".repeat(5_000));
    world.run(&["tasks", "--create", "parser", "--goal", &goal]).ok();
    let started =
        world.run(&["start-manager", "--name", "m1", "--task", "parser", "--worker", "w1", "--no-server"]).ok().json();
    assert_eq!((&started["role"], &started["tmux_session"]), (&"manager".into(), &"codex-m1".into()), "{started:#}");
    let [file] = prompts(&world).try_into().unwrap();
    let text = fs::read_to_string(file).unwrap();
    assert!(text.len() < 8_000 && text.contains("a goal with {{task}} in it"), "{text}");
    assert_eq!(text.matches("{{").count(), 1, "every place is filled: {text}");
    let mut known = Vec::new();
    // It is told by its own path, which has no links in it.
    let program = fs::canonicalize(env!("CARGO_BIN_EXE_conveyor")).unwrap();
    for command in text.split('`').filter(|part| part.contains(program.to_str().unwrap())) {
        let words = shell_words::split(command).unwrap();
        assert!(words.contains(&"--path".to_owned()), "{command}");
        app::parse(&words).unwrap_or_else(|error| panic!("{command}: {error}"));
        known.push(words[1].clone());
    }
    for command in [
        "cycle",
        "manager-inbox",
        "ack",
        "enqueue-nudge-worker",
        "commands",
        "manager-config",
        "manager-ack",
        "criteria",
    ] {
        assert!(known.iter().any(|word| word == command), "{command}: {known:?}");
    }

    // Without a task it is told to wait for one, and a name is taken once.
    world.run(&["start-manager", "--name", "m2", "--no-server"]).ok();
    let again = world.run(&["start-manager", "--name", "m2", "--no-server", "--json"]);
    assert_eq!((again.code, &again.error()["kind"]), (1, &"conflict".into()), "{again}");
    let as_worker = world.run(&["start-worker", "--name", "m2", "--no-server", "--json"]);
    assert_eq!((as_worker.code, &as_worker.error()["kind"]), (1, &"conflict".into()), "{as_worker}");
}

#[test]
fn a_managers_commands_may_write_the_ledger_and_no_more_than_that() {
    let Some(world) = World::start() else { return };
    let words = world.server().folder().join("words");
    let sim = shell_words::join([env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon"]);
    world.script("codex", &format!("echo \"$*\" >>{}\nexec {sim} \"$@\"", words.display()));
    let ledger = world.server().folder().join("led ger/l.db");
    fs::create_dir(ledger.parent().unwrap()).unwrap();
    let (ledger, folder) = (ledger.display().to_string(), ledger.parent().unwrap().canonicalize().unwrap());
    let start = |role: &str, name: &str, more: &[&str]| {
        let command = format!("start-{role}");
        let words = [&[command.as_str(), "--name", name, "--no-server", "--path", &ledger, "--dry-run"], more].concat();
        world.run(&words).ok().json()
    };
    assert_eq!(start("manager", "m1", &[])["writable_roots"][0], folder.display().to_string());
    assert_eq!(start("worker", "w1", &[])["writable_roots"], Value::Array(Vec::new()));
    assert_eq!(start("manager", "m1", &["--codex-profile", "yolo"])["writable_roots"], Value::Array(Vec::new()));
    let reading = start("manager", "m1", &["--sandbox", "read-only"]);
    assert_eq!(reading["writable_roots"], Value::Array(Vec::new()));
    assert!(reading["ledger_unwritable"].as_str().unwrap().contains("read-only"), "{reading:#}");
    // What lies beside the ledger in a home folder is none of a manager's business.
    let home = world.server().folder().join("person");
    fs::create_dir(&home).unwrap();
    let at_home = home.join("l.db").display().to_string();
    let mut command = world.command();
    command.env("HOME", &home).args(["start-manager", "--name", "m1", "--no-server", "--dry-run", "--path", &at_home]);
    let wide = super::world::finish(&mut command).ok().json();
    assert_eq!(wide["writable_roots"], Value::Array(Vec::new()), "{wide:#}");
    assert!(wide["ledger_unwritable"].as_str().unwrap().contains("more than the ledger"), "{wide:#}");

    // It reaches Codex, and stays when the manager is brought back.
    world.run(&["start-manager", "--name", "m1", "--no-server", "--path", &ledger]).ok();
    world.run(&["stop", "m1", "--path", &ledger]).ok();
    let resumed = world.run(&["resume", "m1", "--no-server", "--path", &ledger]).ok().json();
    assert_eq!(resumed["writable_roots"][0], folder.display().to_string(), "{resumed:#}");
    let words = fs::read_to_string(words).unwrap();
    let option = format!("--add-dir {}", folder.display());
    assert_eq!(words.lines().filter(|line| line.contains(&option)).count(), 2, "{words}");
}

/// Starts the program, to be ended by a signal.
fn begin(world: &World, words: &[&str]) -> Child {
    world.command().args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn end(child: Child, signal: Signal) -> Finished {
    kill_process(Pid::from_child(&child), signal).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

#[test]
fn a_signal_takes_a_start_back() {
    let Some(world) = World::start() else { return };
    let long = "word ".repeat(400);
    world.broken_codex("sleep 30");
    for (signal, start) in [
        (Signal::INT, &["start-worker", "--name", "w1", "--no-server", "--json", "--task", &long][..]),
        (Signal::TERM, &["start-manager", "--name", "m1", "--no-server", "--json"]),
        (Signal::HUP, &["create", "w1", "--no-server", "--json"]),
        (Signal::INT, &["start", "w1", "--json"]),
    ] {
        let child = begin(&world, start);
        wait_for("its tmux session", || (!world.tmux_sessions().is_empty()).then_some(()), String::new);
        let ended = end(child, signal);
        assert_eq!((ended.code, &ended.error()["kind"]), (130, &"interrupted".into()), "{start:?}: {ended}");
        assert_nothing_left(&world);
    }

    // The second session is being started.
    before_the_manager(&world, "sleep 30");
    let child = begin(&world, &[PAIR, &["--json", "--task-goal", "prove it", "--task-prompt", &long]].concat());
    wait_for("both tmux sessions", || (world.tmux_sessions().len() == 2).then_some(()), || world.all_screens());
    let ended = end(child, Signal::INT);
    assert_eq!((ended.code, &ended.error()["kind"]), (130, &"interrupted".into()), "{ended}");
    assert_nothing_left(&world);
    world.codex(&[]);
    pair(&world, &["--task-goal", "prove it"]).ok();
}
