//! A session does not say which programs tell the evidence: neither by its `PATH` nor by what its tools begin.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Stdio};

use serde_json::json;

use super::{in_session_with, refusal, world::World};
use crate::support::{Finished, TestEnv};

/// A folder with programs of somebody's own.
fn folder(env: &TestEnv, name: &str, programs: &[(&str, &str)]) -> PathBuf {
    let folder = env.cwd().join(name);
    fs::create_dir_all(&folder).unwrap();
    for (name, lines) in programs {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

/// Runs a line with this folder first on the `PATH`.
fn with_path(env: &TestEnv, first: &std::path::Path, line: &str) -> Finished {
    let path = format!("{}:{}", first.display(), std::env::var("PATH").unwrap());
    let mut command = env.command();
    let output = command.env("PATH", path).args(shell_words::split(line).unwrap()).stdin(Stdio::null()).output();
    let output = output.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Says of every commit that it is there, and newer than the criterion.
const BELIEVES_ALL: &str = "case \"$*\" in
*rev-parse*|*cat-file*) echo 1111111111111111111111111111111111111111;;
*) echo 1795228230;;
esac";

#[test]
fn a_session_does_not_say_which_git_looks_for_a_commit() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    let id = world.accepted("every file parses");
    let lying = folder(&env, "lying", &[("git", BELIEVES_ALL)]);
    let line = format!("criteria parser --json --satisfy {id} --commit 1111111111");
    for terms in ["", "manager-config parser --mode strict"] {
        if !terms.is_empty() {
            env.sh(terms).ok();
        }
        let run = in_session_with(&env, "m1", || with_path(&env, &lying, &line));
        let (_, told) = refusal(&run);
        assert!(told.contains("there is no commit 1111111111 in"), "{terms}: {told}");
    }
    // A commit that is there is found, whatever stands on the session's path.
    let real = world.commit("mend", "2035-01-01T00:00:00Z");
    env.sh("criteria parser --list").ok();
    let line = format!("criteria parser --json --satisfy {id} --commit {real}");
    let (_, told) = refusal(&in_session_with(&env, "m1", || with_path(&env, &lying, &line)));
    assert!(told.contains("a time that is still to come"), "git itself was asked: {told}");
}

#[test]
fn the_tools_of_a_session_are_those_of_the_operator_who_set_the_terms() {
    let env = TestEnv::pair();
    World::of(&env);
    // The operator's `check` begins another program of theirs, and fails.
    let own = folder(&env, "own", &[("check", "exec really-check"), ("really-check", "exit 4")]);
    let lying = folder(&env, "lying", &[("check", "exit 0"), ("really-check", "exit 0")]);
    with_path(&env, &own, "manager-config parser --epilogue run-tools --tool check").ok();
    let step = "epilogue parser --step run-tools --json";
    let run = in_session_with(&env, "m1", || with_path(&env, &lying, step));
    assert_eq!(run.code, 1, "{run}");
    let tool = run.json()["ran"]["result"]["tools"][0].clone();
    assert_eq!(
        (&tool["program"], &tool["exit_code"]),
        (&json!(own.join("check").display().to_string()), &json!(4)),
        "{tool:#}"
    );
    // What a session changes in the terms leaves it.
    in_session_with(&env, "m1", || with_path(&env, &lying, "manager-config parser --mode strict")).ok();
    let run = in_session_with(&env, "m1", || with_path(&env, &lying, step));
    assert_eq!(run.json()["ran"]["result"]["tools"][0]["exit_code"], 4, "{run}");
    // A person's own command goes by their own path.
    assert_eq!(with_path(&env, &lying, step).code, 0);
    // Terms that are set again as they are and a limit count as well, and are no new terms.
    let revision = || env.sh("manager-config parser --json").ok().json()["revision"].clone();
    let before = revision();
    let kept = || -> Option<String> {
        let sql = rusqlite::Connection::open(env.ledger()).unwrap();
        sql.query_row("select search_path from manager_configs", [], |row| row.get(0)).unwrap()
    };
    let is_first = |folder: &std::path::Path| kept().unwrap().starts_with(&format!("{}:", folder.display()));
    for (folder, line) in [
        (&lying, "manager-config parser --epilogue run-tools --tool check"),
        (&own, "manager-config parser --max-nudges 7"),
    ] {
        assert!(!is_first(folder), "{line}");
        let run = with_path(&env, folder, line);
        assert!(is_first(folder), "{line}: {run}");
        // A look keeps nothing.
        with_path(&env, &env.cwd(), "manager-config parser").ok();
        assert!(is_first(folder), "{line}");
    }
    assert_eq!(revision(), before);
    // Terms that no operator has set: what the system has.
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    assert_eq!(sql.execute("update manager_configs set search_path = null", []).unwrap(), 1);
    let run = in_session_with(&env, "m1", || with_path(&env, &lying, step));
    assert_eq!(run.json()["ran"]["result"]["tools"][0]["error"], "configured tool not found: check", "{run}");
}
