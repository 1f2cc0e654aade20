//! The ledger file: who may open it, what is refused untouched, what many processes at once may do.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use rusqlite::Connection;

use crate::support::TestEnv;

fn make_database(path: &Path, sql: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn reads_never_create_a_ledger() {
    let env = TestEnv::new();
    for line in ["tasks", "tasks --active", "sessions", "--path typo.db tasks", "bind --task t --worker w --manager m"]
    {
        let run = env.sh(&format!("{line} --json"));
        assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("not_found")), "{line}: {run}");
        assert!(run.out.is_empty(), "a failure prints nothing on stdout");
    }
    assert_eq!(fs::read_dir(env.cwd()).unwrap().count(), 0, "nothing was left behind");
}

#[test]
fn a_dry_run_creates_no_ledger_and_leaves_an_existing_one_alone() {
    let env = TestEnv::new();
    let rehearsed = env.sh("tasks --create t1 --goal g --dry-run --json").ok();
    assert_eq!(rehearsed.json()["dry_run"], true);
    assert!(!env.ledger().exists());
    env.sh("tasks --create t1 --goal g").ok();
    assert_eq!(env.sh("tasks --create t1 --goal g --dry-run --json").error()["kind"], "conflict", "all checks run");
    env.sh("tasks --create t2 --goal g --dry-run").ok();
    assert_eq!(env.sh("tasks --json").json().as_array().unwrap().len(), 1);
}

#[test]
fn files_are_private_whatever_the_umask() {
    let env = TestEnv::new();
    env.sh("tasks --create t1 --goal g").ok();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(env.ledger().parent().unwrap()), 0o700);
    for entry in fs::read_dir(env.ledger().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_ledger_that_others_may_read_is_made_private_and_one_they_may_write_is_refused() {
    let env = TestEnv::new();
    env.sh("tasks --create t1 --goal g").ok();
    let set = |mode| fs::set_permissions(env.ledger(), fs::Permissions::from_mode(mode)).unwrap();
    let holder = Connection::open(env.ledger()).unwrap();
    holder.query_row("select count(*) from tasks", [], |row| row.get::<_, i64>(0)).unwrap();
    for entry in fs::read_dir(env.ledger().parent().unwrap()).unwrap() {
        fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o644)).unwrap();
    }
    env.sh("tasks").ok();
    for suffix in ["", "-wal", "-shm"] {
        let mut file = env.ledger().into_os_string();
        file.push(suffix);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    for mode in [0o620, 0o602] {
        set(mode);
        assert_eq!(env.sh("tasks --json").error()["kind"], "ledger", "{mode:o}");
        assert_eq!(fs::metadata(env.ledger()).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[test]
fn the_modes_of_a_foreign_file_are_left_alone() {
    let env = TestEnv::new();
    make_database(&env.ledger(), "create table x (y);");
    fs::set_permissions(env.ledger(), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(env.sh("tasks --json").error()["kind"], "ledger");
    assert_eq!(fs::metadata(env.ledger()).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn foreign_newer_and_older_files_are_refused_untouched() {
    let cases: &[(&str, &str, &str)] = &[
        ("newer", "pragma application_id = 1129732434; pragma user_version = 900; create table x (y);", "ledger"),
        ("predecessor", "pragma user_version = 26; create table tasks (id text);", "ledger"),
        ("another program's tables", "create table x (y);", "ledger"),
        ("another program's version", "pragma user_version = 400; create table x (y);", "ledger"),
    ];
    for (name, sql, kind) in cases {
        let env = TestEnv::new();
        make_database(&env.ledger(), sql);
        let before = fs::read(env.ledger()).unwrap();
        for line in ["tasks", "tasks --create t --goal g"] {
            let run = env.sh(&format!("{line} --json"));
            assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some(*kind)), "{name}: {run}");
            assert!(run.error()["hint"].is_string(), "{name}: {run}");
        }
        assert_eq!(fs::read(env.ledger()).unwrap(), before, "{name}: the file was touched");
        assert_eq!(
            fs::read_dir(env.ledger().parent().unwrap()).unwrap().count(),
            1,
            "{name}: files were left beside it"
        );
    }
}

#[test]
fn things_that_are_no_ledger_give_a_clear_error() {
    let env = TestEnv::new();
    let cwd = env.cwd();
    fs::write(cwd.join("junk"), b"this is not a database, however long it may be, and it never was one".repeat(10))
        .unwrap();
    fs::write(cwd.join("short"), b"x").unwrap();
    fs::create_dir(cwd.join("folder")).unwrap();
    for file in ["junk", "short", "folder", "/dev/null"] {
        if file.starts_with('/') || cwd.join(file).exists() {
            let _ = fs::set_permissions(cwd.join(file), fs::Permissions::from_mode(0o600));
        }
        let run = env.sh(&format!("tasks --path {file} --json"));
        assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("ledger")), "{file}: {run}");
    }
    fs::write(cwd.join("empty"), b"").unwrap();
    fs::set_permissions(cwd.join("empty"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(env.sh("tasks --path empty --json").error()["kind"], "ledger");
    assert_eq!(fs::metadata(cwd.join("empty")).unwrap().len(), 0, "a read does not set it up");
}

#[test]
fn a_folder_that_everybody_may_write_to_is_refused() {
    let env = TestEnv::new();
    let open = env.cwd().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let run = env.sh("tasks --path open/l.db --create t --goal g --json");
    assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("ledger")), "{run}");
    assert!(!open.join("l.db").exists());
}

#[test]
fn many_processes_may_create_it_at_once() {
    for _ in 0..4 {
        create_at_once(&TestEnv::live());
    }
}

fn create_at_once(env: &TestEnv) {
    let children: Vec<_> = (0..24)
        .map(|number| {
            env.command()
                .args(["tasks", "--create", &format!("t{number}"), "--goal", "g"])
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(env.sh("tasks --json").ok().json().as_array().unwrap().len(), 24);
}

#[test]
fn a_held_ledger_is_busy_not_broken() {
    let env = TestEnv::new();
    env.sh("tasks --create t1 --goal g").ok();
    let holder = Connection::open(env.ledger()).unwrap();
    holder.execute_batch("pragma locking_mode = exclusive; begin exclusive; create table z (y);").unwrap();
    let run = env.sh("tasks --json");
    assert_eq!((run.code, run.error()["kind"].as_str()), (75, Some("busy")), "{run}");
    holder.execute_batch("rollback").unwrap();
    drop(holder);
    env.sh("tasks --json").ok();
}

#[test]
fn the_stored_words_are_the_ones_the_program_knows() {
    use conveyor::model::{
        delivery::{AckStatus, AttemptState, CommandState, Disposition, ItemState, Phase, SignalKind},
        session::{Registration, Role},
        supervision::{CriterionSource, CriterionStatus, Deciding, Mode, NudgeOnCompletion},
        task::{BindingState, TaskState},
    };
    let env = TestEnv::new();
    env.sh("tasks --create t1 --goal g").ok();
    let connection = Connection::open(env.ledger()).unwrap();
    let table = |name: &str| -> String {
        connection.query_row("select sql from sqlite_master where name = ?1", [name], |row| row.get(0)).unwrap()
    };
    let check = |name: &str, words: &[&str]| {
        let list = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
        let table = |name: &str| table(name).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(table(name).contains(&format!("in ({list})")), "{name} does not list {list}");
    };
    let words = |all: Vec<&'static str>| all;
    check("tasks", &words(TaskState::ALL.iter().map(|one| one.as_str()).collect()));
    check("sessions", &words(Role::ALL.iter().map(|one| one.as_str()).collect()));
    check("sessions", &words(Registration::ALL.iter().map(|one| one.as_str()).collect()));
    check("commands", &words(CommandState::ALL.iter().map(|one| one.as_str()).collect()));
    check("commands", &words(Phase::ALL.iter().map(|one| one.as_str()).collect()));
    check("command_attempts", &words(AttemptState::ALL.iter().map(|one| one.as_str()).collect()));
    check("session_signals", &words(SignalKind::ALL.iter().map(|one| one.as_str()).collect()));
    check("session_signals", &words(Disposition::ALL.iter().map(|one| one.as_str()).collect()));
    check("routed_notifications", &words(ItemState::ALL.iter().map(|one| one.as_str()).collect()));
    check("notification_acknowledgements", &words(AckStatus::ALL.iter().map(|one| one.as_str()).collect()));
    check("acceptance_criteria", &words(CriterionStatus::ALL.iter().map(|one| one.as_str()).collect()));
    check("acceptance_criteria", &words(CriterionSource::ALL.iter().map(|one| one.as_str()).collect()));
    check("acceptance_criteria_history", &words(CriterionStatus::ALL.iter().map(|one| one.as_str()).collect()));
    check("manager_decisions", &words(Deciding::ALL.iter().map(|one| one.as_str()).collect()));
    check("manager_configs", &words(Mode::ALL.iter().map(|one| one.as_str()).collect()));
    check("manager_configs", &words(NudgeOnCompletion::ALL.iter().map(|one| one.as_str()).collect()));
    check("bindings", &words(BindingState::ALL.iter().map(|one| one.as_str()).collect()));
}

/// A ledger as version 100 made it, with a task in it.
fn old_ledger(env: &TestEnv) {
    let schema = include_str!("../src/store/sql/100.sql");
    let rows = "
        insert into tasks values ('task-1', 'old', 'kept', null, 'candidate', '2026-11-21T02:00:00.000Z',
            '2026-11-21T02:00:00.000Z');
        insert into schema_migrations values (100, '2026-11-21T02:00:00.000Z');
        pragma journal_mode = wal;
        pragma application_id = 0x43565952;
        pragma user_version = 100;";
    make_database(&env.ledger(), &format!("{schema}{rows}"));
}

/// What makes up the schema, without white space and comments.
fn parts(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement =
        connection.prepare("select sql from sqlite_master where sql is not null order by type, name").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|sql| sql.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn an_older_ledger_of_ours_is_brought_up_to_date_and_a_backup_stays() {
    let (env, fresh) = (TestEnv::new(), TestEnv::new());
    old_ledger(&env);
    let before = parts(&env.ledger());
    let rehearsed = env.sh("--dry-run tasks --json");
    assert_eq!((rehearsed.code, rehearsed.error()["kind"].as_str()), (1, Some("ledger")), "{rehearsed}");
    assert!(rehearsed.err.contains("older than this program's"), "{rehearsed}");
    assert_eq!(parts(&env.ledger()), before, "a rehearsal leaves it alone");

    let listed = env.sh("tasks --json").ok().json();
    assert_eq!((&listed[0]["name"], &listed[0]["goal"]), (&"old".into(), &"kept".into()));
    fresh.sh("tasks --create t --goal g").ok();
    assert_eq!(parts(&env.ledger()), parts(&fresh.ledger()), "the steps lead to the schema of a fresh ledger");
    let backups: Vec<_> = fs::read_dir(env.ledger().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("100"))
        .collect();
    assert_eq!(backups.len(), 1, "{backups:?}");
    assert_eq!(parts(&backups[0]), before);
    assert_eq!(fs::metadata(&backups[0]).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn many_processes_may_bring_an_older_ledger_up_to_date_at_once() {
    for _ in 0..5 {
        let env = TestEnv::new();
        old_ledger(&env);
        let children: Vec<_> = (0..20)
            .map(|_| {
                let mut command = env.command();
                command.arg("tasks").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let steps: i64 = Connection::open(env.ledger())
            .unwrap()
            .query_row("select count(*) from schema_migrations where version = 101", [], |row| row.get(0))
            .unwrap();
        assert_eq!(steps, 1);
    }
}
