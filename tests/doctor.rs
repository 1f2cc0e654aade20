//! `doctor`, `doctor-self` and `db-doctor` through the program: what they find, what they advise, how they exit.

use std::{
    fs::{self, OpenOptions},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use conveyor::ports::tmux::{PaneRef, Tmux};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Finished, MANAGER, TestEnv, WORKER, tmux::TmuxServer, wait_for};

/// A world whose `PATH` holds nothing but what a test puts there.
struct World {
    env: TestEnv,
    bin: PathBuf,
}

const TMUX: &str = "case $1 in -V) echo tmux 3.4;; *) echo 'no server running on /s' >&2; exit 1;; esac";
const CODEX: &str = "case $1 in --version) echo codex-cli 0.169.0;; \
                     features) echo 'daemon_auto_start stable true';; login) echo 'Logged in using ChatGPT';; \
                     *) exit 1;; esac";

impl World {
    /// Nothing is installed.
    fn bare() -> Self {
        Self::around(TestEnv::new())
    }

    /// Nothing is installed in a world that is there already.
    fn around(env: TestEnv) -> Self {
        let bin = env.cwd().parent().unwrap().join("bin");
        fs::create_dir_all(&bin).unwrap();
        Self { env, bin }
    }

    /// All that is needed is installed and recent, and there is a ledger.
    fn healthy() -> Self {
        let world = Self::bare();
        world.install("tmux", TMUX).install("codex", CODEX).install("conveyor", "").install("workerctl", "");
        fs::create_dir_all(world.env.codex_home()).unwrap();
        world.env.sh("tasks --create parser --goal g").ok();
        world
    }

    fn install(&self, name: &str, script: &str) -> &Self {
        let program = self.bin.join(name);
        // A file that is still open for writing elsewhere (a fork of another test) cannot be run: rename it in.
        let fresh = self.bin.join(format!("{name}.new"));
        fs::write(&fresh, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(fresh, program).unwrap();
        self
    }

    fn run(&self, line: &str) -> Finished {
        self.run_with(line, &[])
    }

    fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> Finished {
        let mut command = self.env.command();
        command.env("PATH", &self.bin).envs(variables.iter().copied());
        let output = command.args(shell_words::split(line).unwrap()).stdin(Stdio::null()).output().unwrap();
        let root = self.env.cwd().parent().unwrap().display().to_string();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&root, "$TEST");
        Finished { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// The finding of this name.
#[track_caller]
fn check<'r>(report: &'r Value, name: &str) -> &'r Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check {name} in {report:#}"))
}

fn message<'r>(report: &'r Value, name: &str) -> &'r str {
    check(report, name)["message"].as_str().unwrap()
}

/// Names of the findings that are required and not well.
fn wrong(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().unwrap();
    let wrong = checks.iter().filter(|check| check["ok"] == false && check["required"] == true);
    wrong.map(|check| check["name"].as_str().unwrap()).collect()
}

#[test]
fn a_complete_installation_is_healthy() {
    let world = World::healthy();
    let mut report = world.run_with("doctor", &[("TERM", "xterm-256color")]).ok().json();
    for check in report["checks"].as_array_mut().unwrap() {
        let check = check.as_object_mut().unwrap();
        // What differs between machines.
        if ["disk_space", "sqlite_version"].contains(&check["name"].as_str().unwrap()) {
            check.retain(|key, _| ["name", "ok", "required"].contains(&key.as_str()));
        }
    }
    report["checks"].as_array_mut().unwrap().retain(|check| check["name"] != "file_watches");
    report["package"]["root"] = "[folder of the program]".into();
    report["package"]["version"] = "[version]".into();
    report["platform"] = "[platform]".into();
    insta::assert_snapshot!("doctor_healthy", serde_json::to_string_pretty(&report).unwrap());
    assert_eq!(world.run("doctor --text").ok().out.lines().last().unwrap().split(',').next(), Some("healthy"));
}

#[test]
fn every_finding_that_is_not_well_has_a_remedy_and_fits_the_terminal() {
    let world = World::bare();
    let run = world.run("doctor");
    assert_eq!(run.code, 1, "{run}");
    let report = run.json();
    assert_eq!(wrong(&report), ["tmux", "codex"]);
    assert_eq!((&report["ok"], &report["operator_ready"]), (&json!(false), &json!(false)));
    for check in report["checks"].as_array().unwrap() {
        let has_remedy = check["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty());
        assert_eq!(check["ok"] == false, has_remedy, "{check}");
    }
    let prose = world.run("doctor --text");
    assert_eq!(prose.code, 1);
    assert!(prose.out.contains("!!  tmux "), "{prose}");
    assert!(prose.out.contains("-- ") && prose.out.contains("-> "), "{prose}");
    for line in prose.out.lines().filter(|line| !line.contains("$TEST") && !line.contains('`')) {
        assert!(line.chars().count() <= 80 && line.is_ascii(), "{line}");
    }
    assert_eq!(fs::read_dir(world.env.cwd()).unwrap().count(), 0, "nothing was created");
}

#[test]
fn the_versions_decide_what_is_advised() {
    let world = World::healthy();
    let tmux = |version: &str| {
        world.install("tmux", &TMUX.replace("3.4", version));
        let run = world.run("doctor");
        (run.code, run.json())
    };
    let (code, report) = tmux("3.1c");
    assert_eq!((code, wrong(&report)), (1, vec!["tmux_version"]));
    assert_eq!(check(&report, "tmux_version")["value"], "3.1c");
    for fragile in ["3.2", "3.3a"] {
        let (code, report) = tmux(fragile);
        assert_eq!((code, &check(&report, "tmux_paste")["ok"]), (0, &json!(false)), "{fragile}");
        let said = message(&report, "tmux_paste");
        assert!(said.contains("kills the server") && said.contains("Conveyor pastes only"), "{report}");
    }
    assert_eq!(check(&tmux("next-3.6").1, "tmux_paste")["ok"], true);
    let (code, report) = tmux("of another world");
    assert_eq!((code, wrong(&report)), (1, vec!["tmux_version"]));

    world.install("tmux", TMUX);
    let codex = |script: &str| {
        world.install("codex", script);
        let run = world.run("doctor");
        (run.code, run.json())
    };
    let (code, report) = codex("case $1 in --version) echo codex-cli 0.107.0;; *) exit 2;; esac");
    assert_eq!((code, &check(&report, "codex_push")["ok"]), (0, &json!(false)));
    assert_eq!(check(&report, "codex_supervision")["value"], "none");
    let (_, report) = codex(&CODEX.replace("0.169.0", "0.156.1").replace("true", "false"));
    assert_eq!(check(&report, "codex_supervision")["value"], "optional");
    assert_eq!(check(&report, "codex_push")["ok"], true);
    let (code, report) = codex("printf 'what\\033[31m now?\\n'");
    assert_eq!((code, wrong(&report)), (1, vec!["codex_version"]));
    assert!(message(&report, "codex_version").contains("what now?"), "cleaned: {report}");
}

#[test]
fn a_missing_sign_in_is_a_remark_and_nothing_of_a_key_is_shown() {
    let world = World::healthy();
    let login = |script: &str| {
        world.install("codex", &CODEX.replace("echo 'Logged in using ChatGPT'", script));
        let run = world.run("doctor").ok();
        assert!(!run.out.contains("sk-"), "{run}");
        check(&run.json(), "codex_login").clone()
    };
    assert_eq!(login("echo 'API key configured - sk-abc***xyz'")["ok"], true);
    let warning = "WARNING: ".repeat(100);
    let nobody = login(&format!("echo '{warning}' >&2; echo 'Not logged in' >&2; exit 1"));
    assert_eq!((&nobody["ok"], &nobody["remedy"]), (&json!(false), &json!("`codex login`")), "{nobody}");
    let older = login("echo 'unexpected argument' >&2; exit 2");
    assert_eq!(older["ok"], false, "what cannot be told is not passed: {older}");
    assert!(older["message"].as_str().unwrap().contains("unexpected argument"), "{older}");
}

#[test]
fn programs_that_hang_do_not_hang_us() {
    let world = World::healthy();
    world.install("tmux", "exec /bin/sleep 60").install("codex", "exec /bin/sleep 60");
    let started = Instant::now();
    let run = world.run("doctor");
    assert!(started.elapsed() < Duration::from_secs(30), "it took {:?}", started.elapsed());
    assert_eq!((run.code, wrong(&run.json())), (1, vec!["tmux_version", "codex_version"]));
    assert!(message(&run.json(), "codex_version").contains("did not finish"), "{run}");
}

#[test]
fn a_tmux_that_may_not_be_talked_to_is_said_to_be_so() {
    let world = World::healthy();
    world.install("tmux", &TMUX.replace("no server running on /s", "error connecting to /s (Operation not permitted)"));
    let run = world.run("doctor");
    assert_eq!((run.code, wrong(&run.json())), (1, vec!["tmux_server"]));
    assert!(check(&run.json(), "tmux_server")["remedy"].as_str().unwrap().contains("sandbox"), "{run}");
}

#[test]
fn rollouts_that_others_can_read_are_told_with_the_command_that_closes_them() {
    let world = World::healthy();
    let rollout = world.env.place_rollout("rollouts/simple_turn.jsonl", MANAGER);
    fs::set_permissions(&rollout, fs::Permissions::from_mode(0o644)).unwrap();
    let root = world.env.cwd().parent().unwrap().to_owned();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(check(&world.run("doctor").json(), "rollout_permissions")["ok"], true, "the folder above is closed");
    for folder in rollout.ancestors().skip(1).take_while(|folder| folder.starts_with(&root)) {
        open(folder);
    }
    let run = world.run("doctor").ok();
    let found = check(&run.json(), "rollout_permissions").clone();
    assert_eq!((&found["ok"], &found["value"]), (&json!(false), &json!(1)), "{found}");
    assert_eq!(found["remedy"], "`chmod go-rwx $TEST/home/.codex`");
}

#[test]
fn places_that_are_not_there_and_a_poor_terminal_are_told() {
    let world = World::healthy();
    let run = world
        .run_with("doctor --cwd nowhere --codex-home nothing", &[("TERM", "dumb"), ("LANG", "C"), ("NO_COLOR", "1")]);
    let report = run.json();
    assert_eq!((run.code, wrong(&report)), (1, vec!["target_cwd_exists"]));
    assert_eq!(report["codex_home"], "$TEST/project/nothing");
    assert_eq!(report["runtime"]["target_cwd"], "$TEST/project/nowhere");
    for name in ["codex_home", "terminal", "locale"] {
        assert_eq!(check(&report, name)["ok"], false, "{name}");
    }
    let coloured = world.run_with("doctor", &[("TERM", "xterm"), ("COLORTERM", "truecolor")]).ok().json();
    assert_eq!(check(&coloured, "terminal")["colours"], "16 million colours");
    assert_eq!(world.run("doctor --codex-home").code, 2);
}

#[test]
fn a_ledger_that_cannot_be_used_is_a_finding_of_doctor() {
    let cases = [
        ("pragma application_id = 1129732434; pragma user_version = 900; create table x (y);", "newer"),
        ("pragma user_version = 26; create table tasks (id text);", "older program"),
        ("create table x (y);", "is not a Conveyor ledger"),
    ];
    for (sql, words) in cases {
        let world = World::healthy();
        fs::remove_file(world.env.ledger()).unwrap();
        Connection::open(world.env.ledger()).unwrap().execute_batch(sql).unwrap();
        fs::set_permissions(world.env.ledger(), fs::Permissions::from_mode(0o600)).unwrap();
        let before = fs::read(world.env.ledger()).unwrap();
        let run = world.run("doctor");
        assert_eq!((run.code, wrong(&run.json())), (1, vec!["ledger"]), "{run}");
        assert!(message(&run.json(), "ledger").contains(words), "{run}");
        let db = world.run("db-doctor --live");
        assert_eq!((db.code, wrong(&db.json())), (1, vec!["opens"]), "{db}");
        assert_eq!(fs::read(world.env.ledger()).unwrap(), before, "it was left alone");
    }
}

/// A world with a bound pair on recorded rollouts, fully ingested.
fn pair() -> World {
    let world = World::around(TestEnv::pair());
    world.env.sh("ingest w1").ok();
    world.env.sh("ingest m1").ok();
    world
}

/// Changes the ledger behind the program's back.
fn meddle(world: &World, sql: &str) {
    let connection = Connection::open(world.env.ledger()).unwrap();
    connection.execute_batch(&format!("pragma foreign_keys = off; {sql}")).unwrap();
}

#[test]
fn a_sound_ledger_passes_every_check() {
    let world = pair();
    let mut report = world.run("db-doctor --live").ok().json();
    for check in report["checks"].as_array_mut().unwrap() {
        let check = check.as_object_mut().unwrap();
        if ["disk_space", "wal_size"].contains(&check["name"].as_str().unwrap()) {
            check.retain(|key, _| ["name", "ok", "required"].contains(&key.as_str()));
        }
    }
    insta::assert_snapshot!("db_doctor_healthy", serde_json::to_string_pretty(&report).unwrap());
    assert_eq!(world.run("db-doctor --text").ok().out.lines().last(), Some("healthy"));
}

#[test]
fn a_ledger_that_is_not_there_is_not_made() {
    let world = World::bare();
    let run = world.run("db-doctor --json");
    assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("not_found")), "{run}");
    assert!(!world.env.ledger().exists());
}

#[test]
fn a_changed_schema_is_told_by_name() {
    let world = pair();
    meddle(
        &world,
        "drop index tasks_name;
         drop trigger events_no_delete;
         drop index statuses_session_id;
         create index statuses_session_id on statuses (id);
         create table mine (x);",
    );
    let run = world.run("db-doctor");
    let report = run.json();
    assert_eq!((run.code, wrong(&report)), (1, vec!["required_indexes", "required_triggers"]), "{run}");
    let indexes = check(&report, "required_indexes");
    assert_eq!((&indexes["missing"], &indexes["changed"]), (&json!(["tasks_name"]), &json!(["statuses_session_id"])));
    assert_eq!(check(&report, "required_triggers")["missing"], json!(["events_no_delete"]));
    assert_eq!(check(&report, "unknown_parts")["unknown"], json!(["mine"]));
    meddle(&world, "drop table schema_migrations;");
    let report = world.run("db-doctor").json();
    assert_eq!(wrong(&report), ["schema_version", "required_tables", "required_indexes", "required_triggers"]);
    assert_eq!(report["schema_version"], Value::Null);
}

#[test]
fn a_reference_that_leads_nowhere_is_told() {
    let world = pair();
    meddle(&world, "update bindings set task_id = 'task-gone';");
    let run = world.run("db-doctor");
    assert_eq!((run.code, wrong(&run.json())), (1, vec!["foreign_key_check"]), "{run}");
    let found = check(&run.json(), "foreign_key_check")["violations"].clone();
    assert_eq!((&found[0]["table"], &found[0]["parent"]), (&json!("bindings"), &json!("tasks")));
}

#[test]
fn open_permissions_are_told_with_the_command_that_closes_them() {
    let world = pair();
    fs::set_permissions(world.env.ledger(), fs::Permissions::from_mode(0o644)).unwrap();
    let backup = world.env.ledger().with_extension("db.v100.backup");
    fs::copy(world.env.ledger(), &backup).unwrap();
    let run = world.run("db-doctor");
    let report = run.json();
    assert_eq!((run.code, wrong(&report)), (1, vec!["permissions"]), "{run}");
    let remedy = check(&report, "permissions")["remedy"].as_str().unwrap().to_owned();
    assert!(message(&report, "permissions").contains("0644"), "{run}");
    assert_eq!(check(&report, "backups")["ok"], false);
    let command = remedy.trim_matches('`').replace("$TEST", &world.env.cwd().parent().unwrap().display().to_string());
    assert!(std::process::Command::new("sh").args(["-c", &command]).status().unwrap().success());
    world.run("db-doctor").ok();
    // What everybody may write to is not even opened.
    fs::set_permissions(world.env.ledger(), fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(wrong(&world.run("db-doctor").json()), ["opens", "permissions"]);
}

#[test]
fn a_damaged_ledger_is_reported_and_never_touched() {
    let world = pair();
    // Commands leave their changes in the log.
    let connection = Connection::open(world.env.ledger()).unwrap();
    connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).unwrap();
    drop(connection);
    let whole = fs::read(world.env.ledger()).unwrap();
    let pages = whole.len() / 4096;
    assert!(pages > 8, "{pages}");
    let mut told = 0;
    for page in 0..pages {
        let mut file = OpenOptions::new().write(true).open(world.env.ledger()).unwrap();
        // The header of the first page says what the file is; behind it the schema begins.
        let from = if page == 0 { 100 } else { 0 };
        file.seek(SeekFrom::Start((page * 4096 + from) as u64)).unwrap();
        file.write_all(&vec![0xa5; 4096 - from]).unwrap();
        drop(file);
        let damaged = fs::read(world.env.ledger()).unwrap();
        let run = world.run("db-doctor --live");
        assert!(run.code <= 1 && !run.err.contains("panicked"), "page {page}: {run}");
        if run.code == 1 {
            told += 1;
            let report = run.json();
            assert_eq!(report["ok"], false);
            let first = wrong(&report)[0];
            assert!(check(&report, first)["remedy"].as_str().unwrap().contains("never delete"), "page {page}: {run}");
        }
        assert_eq!(fs::read(world.env.ledger()).unwrap(), damaged, "page {page}: it was changed");
        fs::write(world.env.ledger(), &whole).unwrap();
    }
    assert!(told * 10 >= pages * 9, "{told} of {pages} damages were told");
    fs::write(world.env.ledger(), b"junk").unwrap();
    assert_eq!(wrong(&world.run("db-doctor").json()), ["opens"]);
}

#[test]
fn a_held_ledger_is_reported() {
    let world = pair();
    let holder = Connection::open(world.env.ledger()).unwrap();
    holder.execute_batch("pragma locking_mode = exclusive; begin exclusive; create table z (y);").unwrap();
    let run = world.run("db-doctor");
    assert_eq!((run.code, wrong(&run.json())), (1, vec!["opens"]), "{run}");
    assert!(message(&run.json(), "opens").contains("in use"), "{run}");
    world.install("tmux", TMUX).install("codex", CODEX);
    assert_eq!(wrong(&world.run("doctor").json()), ["ledger"]);
}

/// The findings of `db-doctor --live` as `what: drift -> repair`, and the run.
fn drift(world: &World) -> (i32, Vec<String>) {
    let run = world.run("db-doctor --live");
    let live = run.json()["live_reconcile"].clone();
    let mut all = Vec::new();
    for (list, name) in [("sessions", "/name"), ("results", "/task/name")] {
        for row in live[list].as_array().unwrap() {
            for finding in row["findings"].as_array().unwrap() {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let name = text(row.pointer(name).unwrap());
                all.push(format!("{name}: {} -> {}", text(&finding["drift"]), text(&finding["repair"])));
            }
        }
    }
    (run.code, all)
}

#[test]
fn drift_between_records_and_the_world_comes_with_its_repair() {
    let world = pair();
    assert_eq!(drift(&world), (0, vec![]));

    let rollout = world.env.codex_home().join("sessions/2026/11/21").join(WORKER);
    let mut file = OpenOptions::new().append(true).open(&rollout).unwrap();
    file.write_all(b"{\"type\":").unwrap();
    assert_eq!(drift(&world), (0, vec!["w1: rollout_behind -> conveyor ingest w1".to_owned()]), "no fault");
    world.env.sh("ingest w1").ok();

    let archived = world.env.codex_home().join("archived_sessions");
    fs::create_dir(&archived).unwrap();
    fs::rename(&rollout, archived.join(WORKER)).unwrap();
    let (code, found) = drift(&world);
    let repair = "w1: rollout_missing -> conveyor register-worker --name w1 --codex-session $TEST/home/.codex/archived_sessions/";
    assert_eq!((code, found.len()), (1, 1), "{found:?}");
    assert!(found[0].starts_with(repair), "{found:?}");
    fs::rename(archived.join(WORKER), rollout.with_extension("jsonl.zst")).unwrap();
    assert_eq!(drift(&world), (1, vec!["w1: rollout_dormant -> conveyor resume w1".to_owned()]));
    fs::rename(rollout.with_extension("jsonl.zst"), &rollout).unwrap();

    // Our own pid with another start time: the pid is in use again.
    let pid = std::process::id();
    meddle(
        &world,
        &format!(
            "update sessions set pid = {pid}, pid_start = 1 where name = 'm1';
             update sessions set last_ingest_error = 'no permission' where name = 'w1';
             insert into tasks (id, name, goal, state, created_at, updated_at)
                select 'task-x', 'alone', goal, 'managed', created_at, updated_at from tasks;"
        ),
    );
    let expected = [
        "w1: ingest_failed -> conveyor ingest w1",
        "m1: manager_missing -> conveyor resume m1",
        "alone: task_without_binding -> conveyor bind --task alone --worker WORKER --manager MANAGER",
    ];
    assert_eq!(drift(&world), (1, expected.map(str::to_owned).to_vec()));
    let report = world.run("db-doctor --live").json();
    assert_eq!(check(&report, "live_reconcile")["drift_count"], 3);
    assert_eq!(report["live_reconcile"]["results"][0]["drift"], json!(["ingest_failed", "manager_missing"]));
    let prose = world.run("db-doctor --live --text").out;
    assert!(prose.contains("-> `conveyor resume m1`") && prose.ends_with("3 problems\n"), "{prose}");

    meddle(&world, "update sessions set state = 'gone', pid = null; delete from tasks where name = 'alone';");
    let gone = ["w1", "m1"].map(|name| format!("parser: binding_session_gone -> conveyor resume {name}"));
    assert_eq!(drift(&world), (1, gone.to_vec()));
    meddle(&world, "update sessions set codex_session_id = null;");
    let lost = "parser: binding_session_gone -> conveyor unbind --task parser".to_owned();
    assert_eq!(drift(&world), (1, vec![lost.clone(), lost]));
    world.env.sh("unbind --task parser").ok();
    assert_eq!(
        drift(&world).1,
        ["parser: task_without_binding -> conveyor bind --task parser --worker WORKER --manager MANAGER"]
    );
}

#[test]
fn panes_are_compared_with_their_records() {
    let Some(server) = TmuxServer::start() else { return };
    let world = pair();
    let pane = server.session("other", &["cat"]);
    let process = pane.process.unwrap();
    let set = |pane_id: &str, pid: u32, start: u64| {
        let socket = server.socket();
        let sql = format!(
            "update sessions set tmux_pane_id = '{pane_id}', tmux_socket = '{socket}', pane_pid = {pid},
                pane_pid_start = {start} where name = 'w1'"
        );
        meddle(&world, &sql);
        // tmux has to be found to be asked.
        let run = world.run_with("db-doctor --live", &[("PATH", &std::env::var("PATH").unwrap())]);
        let row = run.json()["live_reconcile"]["sessions"][0].clone();
        let finding = &row["findings"][0];
        (row["live"].clone(), finding["drift"].clone(), finding["repair"].clone())
    };
    let id = pane.pane.to_string();
    assert_eq!(set(&id, process.pid, process.start_ticks), (json!(true), Value::Null, Value::Null));
    let resume = json!("conveyor resume w1");
    let mismatch = (json!(false), json!("worker_pane_mismatch"), resume.clone());
    assert_eq!(set(&id, process.pid + 1, process.start_ticks), mismatch);
    assert_eq!(set(&id, process.pid, process.start_ticks + 1), mismatch);
    assert_eq!(set("%999", process.pid, process.start_ticks), (json!(false), json!("worker_missing"), resume));
    // Without tmux nothing is known, which is no drift.
    let unknown = world.run("db-doctor --live").ok().json()["live_reconcile"]["sessions"][0].clone();
    assert_eq!((&unknown["live"], unknown["findings"].as_array().unwrap().len()), (&Value::Null, 0), "{unknown}");
    assert!(unknown["unchecked"][0].as_str().unwrap().contains("tmux is not installed"), "{unknown}");
}

/// Runs `doctor-self` in a pane of `server` and returns what it says, the pane and the exit code.
fn inside(
    server: &TmuxServer,
    env: &TestEnv,
    name: &str,
    argv: impl FnOnce(&str) -> Vec<String>,
) -> (PaneRef, Value, i32) {
    let out = server.folder().join(format!("{name}.json"));
    let home = env.codex_home();
    fs::create_dir_all(&home).unwrap();
    let script = format!(
        "cd '{}'; HOME='{}' CODEX_HOME='{}' '{}' doctor-self > '{out}.part'; echo $? > '{out}.code'; mv '{out}.part' '{out}'; sleep 60; :",
        env.cwd().display(),
        home.parent().unwrap().display(),
        home.display(),
        env!("CARGO_BIN_EXE_conveyor"),
        out = out.display()
    );
    let argv = argv(&script);
    let pane = server.session(name, &argv.iter().map(String::as_str).collect::<Vec<_>>());
    let text = wait_for("the report", || fs::read_to_string(&out).ok(), || server.screen(pane.pane));
    let code = fs::read_to_string(format!("{}.code", out.display())).unwrap().trim().parse().unwrap();
    (pane, serde_json::from_str(&text).unwrap(), code)
}

/// A shell that stands in for Codex by its name.
fn stand_in(server: &TmuxServer) -> String {
    let codex = server.folder().join("codex");
    symlink(fs::canonicalize("/bin/sh").unwrap(), &codex).unwrap();
    codex.display().to_string()
}

#[test]
fn a_codex_in_a_pane_is_told_how_to_register_itself() {
    let Some(server) = TmuxServer::start() else { return };
    let env = TestEnv::new();
    let codex = stand_in(&server);
    let (pane, report, code) =
        inside(&server, &env, "agent", |script| vec![codex.clone(), "-c".to_owned(), script.to_owned()]);
    assert_eq!((code, &report["supported"], &report["ok"]), (0, &json!(true), &json!(true)), "{report:#}");
    assert_eq!((&report["current_session"], &report["tmux_pane_id"]), (&json!("agent"), &json!(pane.pane.to_string())));
    assert_eq!(check(&report, "codex_in_pane")["pid"], pane.pid);
    assert_eq!(check(&report, "thread_known")["ok"], false, "it has had no prompt");
    // The command does what it promises.
    let command = report["command_template"].as_str().unwrap();
    let (_, arguments) = command.split_once(' ').unwrap();
    let registered = env.sh(&format!("{arguments} --json")).ok().json();
    assert_eq!((&registered["name"], &registered["pid"]), (&json!("w1"), &json!(pane.pid)), "{command}");
    let (_, report, _) = inside(&server, &env, "again", |script| vec![codex, "-c".to_owned(), script.to_owned()]);
    assert!(report["command_template"].as_str().unwrap().contains("--name=w2"), "the name is taken: {report:#}");
    server.tmux().pane(pane.pane).unwrap().expect("the pane was left alone");
}

#[test]
fn a_shell_without_codex_or_below_another_process_is_not_supported() {
    let Some(server) = TmuxServer::start() else { return };
    let env = TestEnv::new();
    let (pane, report, code) =
        inside(&server, &env, "plain", |script| vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()]);
    assert_eq!((code, wrong(&report)), (1, vec!["codex_in_pane"]), "{report:#}");
    assert_eq!(report["why_or_why_not"], message(&report, "codex_in_pane"));

    // Codex's background server hands the pane of the terminal that started it to every session's shell.
    let codex = stand_in(&server);
    let (_, report, code) = inside(&server, &env, "daemon", |script| {
        fs::write(server.folder().join("app-server"), script).unwrap();
        vec![codex, "app-server".to_owned()]
    });
    assert_eq!((code, wrong(&report)), (1, vec!["inside_tmux"]), "{report:#}");
    assert!(message(&report, "inside_tmux").contains("background server"), "{report:#}");

    // A server that runs is not a server that we are in.
    let outside = env.sh("doctor-self");
    assert_eq!((outside.code, wrong(&outside.json())), (1, vec!["inside_tmux"]), "{outside}");
    let pretended = |pane: &str| {
        let tmux = format!("{},1,0", server.socket());
        let output = env.command().args(["doctor-self"]).env("TMUX", tmux).env("TMUX_PANE", pane).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert!(wrong(&pretended(&pane.pane.to_string())).contains(&"inside_tmux"));
    assert_eq!(wrong(&pretended("%999")), ["current_tmux_session_live"]);
    let mut named = env.command();
    named.args(["doctor-self", "--session", "nobody"]).env("TMUX", format!("{},1,0", server.socket()));
    assert_eq!(named.output().unwrap().status.code(), Some(1));
}

#[test]
fn without_a_ledger_that_can_be_read_nothing_is_called_unregistered() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("junk.db");
    fs::write(&ledger, "this is no database and never was one ".repeat(20)).unwrap();
    let global = conveyor::cli::Global { path: Some(ledger), ..conveyor::cli::Global::default() };
    let context = conveyor::app::context(&global).unwrap();
    conveyor::actions::unregistered(&context).unwrap_err();
    // Doctor says so, or nothing at all.
    if let Ok(checkup) = conveyor::actions::checkup(&context) {
        assert!(!checkup.knows_adoptable() && checkup.adoptable.is_empty(), "{checkup:?}");
    }
}

/// Both doctors look at some of it; together they say it once, and as grave as it is.
#[test]
fn what_both_doctors_find_is_one_finding() {
    let world = pair();
    let beside = world.env.ledger().with_extension("db.old");
    fs::write(&beside, "").unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o644)).unwrap();
    let global = conveyor::cli::Global { path: Some(world.env.ledger()), ..conveyor::cli::Global::default() };
    let context = conveyor::app::context(&global).unwrap();
    let checkup = conveyor::actions::checkup(&context).unwrap();
    let about: Vec<_> = checkup.findings.iter().filter(|one| one.message.contains("0644")).collect();
    let [permissions] = about.as_slice() else { panic!("{about:?}") };
    assert_eq!(permissions.verdict.as_str(), "problem", "as grave as the doctor of the ledger has it: {permissions:?}");
    let mut said: Vec<_> = checkup.findings.iter().map(|one| (&one.about, &one.message)).collect();
    let all = said.len();
    said.sort_unstable();
    said.dedup();
    assert_eq!(said.len(), all, "nothing is said twice: {:?}", checkup.findings);
}
