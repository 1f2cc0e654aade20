//! `epilogue`: the closing steps do their work, a failed one has failed, and one that was done holds for the work as it
//! was then.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
    thread,
    time::Duration,
};

use conveyor::{
    base::Timestamp,
    ports::{git, own::OwnFiles},
    store::{Access, Opening, Safety, Store},
};
use serde_json::{Value, json};

use super::{
    count, in_session, in_session_with, refusal, trail,
    world::{World, gate},
};
use crate::support::{Finished, TestEnv};

fn step(env: &TestEnv, step: &str, flags: &str) -> Finished {
    env.sh(&format!("epilogue parser --step {step} --json {flags}"))
}

fn epilogue_gate(env: &TestEnv) -> Value {
    gate(&env.sh("finish-task parser --dry-run --json").json(), "epilogue")
}

fn check_script(world: &World<'_>, script: &str) {
    let path = world.folder.join("check.sh");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn run_tools_runs_what_the_terms_name_in_the_workers_folder_and_keeps_how_it_ended() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    check_script(&world, "pwd; echo wrong >&2; exit \"$1\"");
    env.sh("manager-config parser --epilogue run-tools --tool './check.sh 0' --tool verification.run_tests").ok();
    let done = step(&env, "run-tools", "").ok().json();
    let tools = done["ran"]["result"]["tools"].clone();
    assert_eq!((&done["ran"]["state"], &done["ran"]["result"]["tool_count"]), (&json!("succeeded"), &json!(1)));
    assert_eq!(tools[0]["stdout"]["tail"].as_str().unwrap().trim(), "$TEST/project/repository");
    assert_eq!(tools[0]["stderr"]["sha256"].as_str().unwrap().len(), 64);
    assert!(tools[1]["skipped"].is_string());
    assert_eq!(done["status"]["ok"], true);
    // Whatever fails makes it fail.
    for (tool, why) in [
        ("./check.sh 3", "`./check.sh 3` ended with exit code 3"),
        ("no-such-tool x", "configured tool not found: no-such-tool"),
        ("'./check.sh 0", "is no command line"),
    ] {
        env.run(["manager-config", "parser", "--tool", "./check.sh 0", "--tool", tool]).ok();
        let run = step(&env, "run-tools", "");
        assert_eq!(run.code, 1, "{run}");
        if !run.out.is_empty() {
            let told = run.json();
            assert_eq!(told["ran"]["state"], "failed");
            assert!(told["ran"]["error"].as_str().unwrap().contains(why), "{told:#}");
            assert!(epilogue_gate(&env)["reasons"][0].as_str().unwrap().contains(why));
        }
    }
}

#[test]
fn a_tool_that_takes_too_long_is_killed_and_has_failed() {
    let env = TestEnv::pair();
    World::of(&env);
    env.sh("manager-config parser --epilogue run-tools --tool 'sleep 60'").ok();
    let run = step(&env, "run-tools", "--timeout-seconds 1");
    assert_eq!((run.code, &run.json()["ran"]["error"]), (1, &json!("`sleep 60` took too long and was killed")));
}

#[test]
fn a_step_holds_until_the_work_the_terms_or_the_binding_change() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    env.sh("manager-config parser --epilogue run-tools --tool 'git --version'").ok();
    let because = |why: &str| {
        let gate = epilogue_gate(&env);
        assert_eq!(gate["reasons"], json!([format!("run-tools: {why}")]));
    };
    because("it was never run");
    step(&env, "run-tools", "").ok();
    assert_eq!(epilogue_gate(&env)["ok"], true);
    for change in ["new", "changed", "ignored by nobody"] {
        world.file("work", change, 30, 0);
        because("the worker's folder has changed since");
        step(&env, "run-tools", "").ok();
    }
    world.commit("work", "2020-02-01T00:00:00Z");
    because("the worker's folder has changed since");
    step(&env, "run-tools", "").ok();
    env.sh("manager-config parser --objective other").ok();
    because("it was run under other terms");
    step(&env, "run-tools", "").ok();
    env.sh("unbind --task parser").ok();
    env.sh("bind --task parser --worker w1 --manager m1").ok();
    because("it was run under another binding");
    step(&env, "run-tools", "").ok();
    env.sh("finish-task parser").ok();
}

#[test]
fn a_manager_runs_steps_as_far_as_its_terms_allow() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    check_script(&world, "exit 0");
    fs::rename(world.folder.join("check.sh"), world.folder.join("cargo")).unwrap();
    env.sh(
        "manager-config parser --epilogue run-tools --epilogue draft-pr --epilogue subagent-review --tool './cargo --version'",
    )
    .ok();
    for (line, permission) in [
        ("--step run-tools", "verification.run_cargo"),
        ("--step draft-pr --open", "repo.open_pr"),
        ("--step subagent-review", "context.spawn_reviewer"),
    ] {
        let (code, told) = refusal(&in_session(&env, "m1", &format!("epilogue parser --json {line}")));
        assert_eq!((code, told.contains("permission_not_enabled")), (3, true), "{line}: {told}");
        assert!(told.contains(&format!("--permit {permission}")), "{told}");
    }
    assert_eq!(trail(&env, "epilogue_step_refused").len(), 3);
    let (code, told) = refusal(&in_session(&env, "w1", "epilogue parser --step run-tools --json"));
    assert_eq!((code, told.contains("does not run its closing steps")), (3, true), "{told}");
    // Nor does it name other tools, which an operator might run.
    let (code, told) = refusal(&in_session(&env, "m1", "manager-config parser --tool true --json"));
    assert_eq!((code, told.contains("does not loosen its terms: tools")), (3, true), "{told}");
    env.sh("manager-config parser --permit verification.run_cargo").ok();
    in_session(&env, "m1", "epilogue parser --step run-tools --json").ok();
    let (code, told) = refusal(&step(&env, "record-handoff", ""));
    assert_eq!((code, told.starts_with("epilogue step \"record-handoff\" is not configured")), (1, true), "{told}");
}

#[test]
fn a_pull_request_is_drafted_from_commits_and_opened_by_the_users_gh() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    env.sh("manager-config parser --epilogue draft-pr").ok();
    let fails = |flags: &str, why: &str| {
        let run = step(&env, "draft-pr", flags);
        assert_eq!(run.code, 1, "{run}");
        assert!(run.json()["ran"]["error"].as_str().unwrap().contains(why), "{run}");
    };
    fails("", "the branch has no commit beyond main");
    world.git(&["checkout", "-q", "-b", "work"]);
    fs::write(world.folder.join("parser"), "p").unwrap();
    fails("", "the branch has no commit beyond main");
    world.commit("parse nested quotes", "2020-02-01T00:00:00Z");
    fs::write(world.folder.join("late"), "p").unwrap();
    fails("", "1 changed files are in no commit");
    world.commit("late", "2020-02-01T00:00:00Z");
    let drafted = step(&env, "draft-pr", "").ok().json();
    let result = drafted["ran"]["result"].clone();
    assert_eq!((&result["branch"], &result["base"], &result["url"]), (&json!("work"), &json!("main"), &Value::Null));
    assert!(result["body"].as_str().unwrap().contains("parse nested quotes"), "{result:#}");
    // The user's gh, as it is found on PATH.
    let tools = env.cwd().join("tools");
    fs::create_dir_all(&tools).unwrap();
    let gh = |script: &str| {
        fs::write(tools.join("gh"), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(tools.join("gh"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = env.command();
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        let words = ["epilogue", "parser", "--step", "draft-pr", "--open", "--json"];
        command.env("PATH", path).args(words).output().unwrap()
    };
    let run = gh("echo no upstream >&2; exit 1");
    assert_eq!(run.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&run.stdout).contains("gh opened no pull request: no upstream"));
    let log = env.cwd().join("gh.log");
    let run = gh(&format!("printf '%s|' \"$@\" > {}; echo https://example.org/pr/7", log.display()));
    let told: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((run.status.code(), &told["ran"]["result"]["url"]), (Some(0), &json!("https://example.org/pr/7")));
    let words = fs::read_to_string(log).unwrap();
    assert!(words.starts_with("pr|create|--draft|--title|") && words.ends_with("--head|work|--base|main|"), "{words}");
}

#[test]
fn a_handoff_counts_while_it_holds() {
    let env = TestEnv::pair();
    env.sh("manager-config parser --epilogue record-handoff").ok();
    let run = step(&env, "record-handoff", "");
    assert_eq!(run.code, 1, "{run}");
    assert!(run.json()["ran"]["error"].as_str().unwrap().starts_with("missing_worker_handoff"));
    in_session(&env, "w1", "handoff parser --summary s").ok();
    step(&env, "record-handoff", "").ok();
    assert_eq!(epilogue_gate(&env)["ok"], true);
    env.sh("unbind --task parser").ok();
    env.sh("bind --task parser --worker w1 --manager m1").ok();
    let reasons = epilogue_gate(&env)["reasons"][0].as_str().unwrap().to_owned();
    assert!(reasons.contains("stale_worker_handoff") && reasons.contains("another binding"), "{reasons}");
    assert_eq!(step(&env, "record-handoff", "").code, 1);
}

/// What a person says about the round counts when the task ends, whatever the step has found before.
#[test]
fn a_review_counts_while_no_person_has_said_otherwise() {
    let env = TestEnv::pair();
    let _world = World::of(&env);
    env.sh("manager-config parser --epilogue subagent-review --permit context.spawn_reviewer").ok();
    // A reviewer that is begun would ask the operator.
    env.sh("continuation-reviewer parser --set --reviewer-command /bin/false").ok();
    super::reviewer::propose(&env, "r1");
    let id = env.sh("operator-inbox --json").ok().json()["questions"][0]["id"].clone();
    env.sh(&format!("operator-inbox --settle {id} --answer proceed")).ok();
    let done = in_session(&env, "m1", "epilogue parser --step subagent-review --json").ok().json();
    let result = done["ran"]["result"].clone();
    assert_eq!((&result["operator_decided"], &result["correlation_id"]), (&json!("proceed"), &json!("r1")));
    assert_eq!(count(&env, "continuation_reviews"), 0, "no program was asked what a person has decided");
    assert_eq!(epilogue_gate(&env)["ok"], true);
    let own = r#"{"agreement": "match", "verdict": "stop", "rationale": "r"}"#;
    env.sh(&format!("continuation parser --review --correlation-id r1 --from-stdin='{own}'")).ok();
    let closed = json!(["subagent-review: the verdict on r1 is not to proceed"]);
    assert_eq!(epilogue_gate(&env)["reasons"], closed);
    let run = in_session(&env, "m1", "finish-task parser --json");
    assert_eq!((run.code, &gate(&run.json(), "epilogue")["reasons"]), (3, &closed), "{run}");
    assert_eq!(in_session(&env, "m1", "epilogue parser --step subagent-review --json").code, 1);
    assert_eq!(count(&env, "operator_questions"), 1);
}

/// A verdict is good for the work that was reviewed.
#[test]
fn a_review_that_is_on_record_is_not_made_again_and_is_none_of_changed_work() {
    if !super::reviewer::has_python() {
        return;
    }
    let env = TestEnv::pair();
    let world = World::of(&env);
    env.sh("manager-config parser --epilogue subagent-review --permit context.spawn_reviewer").ok();
    env.sh("manager-config parser --nudge-on-completion off").ok();
    super::reviewer::propose(&env, "r1");
    let judgement = super::reviewer::judgement("match", "proceed");
    let flags = super::reviewer::reviewer(&env, "r", &super::reviewer::says(&judgement));
    env.sh(&format!("continuation-reviewer parser --set {flags}")).ok();
    in_session(&env, "m1", "continuation-reviewer parser --correlation-id r1").ok();
    let line = "epilogue parser --step subagent-review --json";
    in_session(&env, "m1", line).ok();
    assert_eq!(count(&env, "continuation_reviews"), 1);
    world.file("work", "changed", 30, 0);
    let run = in_session(&env, "m1", line);
    let error = run.json()["ran"]["error"].as_str().unwrap_or_default().to_owned();
    assert_eq!((run.code, error.contains("it was reviewed already")), (1, true), "{error}");
    super::reviewer::propose(&env, "r2");
    in_session(&env, "m1", line).ok();
    assert_eq!(count(&env, "continuation_reviews"), 2);
}

#[test]
fn the_ledger_in_the_workers_own_repository_is_no_part_of_its_work() {
    let env = TestEnv::pair();
    let world = World::around_the_ledger(&env);
    assert!(world.git(&["status", "--porcelain"]).contains(".codex-workers"), "git knows nothing of it");
    env.sh("manager-config parser --epilogue run-tools --epilogue draft-pr --tool 'git --version'").ok();
    world.git(&["checkout", "-q", "-b", "work"]);
    world.git(&["commit", "-q", "--allow-empty", "-m", "work"]);
    step(&env, "run-tools", "").ok();
    step(&env, "draft-pr", "").ok();
    // What is written all the time.
    env.sh("register-worker --name w2 --codex-app-thread-id x").ok();
    fs::write(env.ledger().with_file_name("dispatch.log"), "a line").unwrap();
    assert_eq!(epilogue_gate(&env)["ok"], true, "{:#}", epilogue_gate(&env));
    // Nor do whoever works elsewhere and names the ledger see another folder.
    let elsewhere = world.folder.join("repository");
    let mut command = env.command();
    command.current_dir(&elsewhere).arg("--path").arg(env.ledger()).args(["finish-task", "parser", "--dry-run"]);
    let output = command.arg("--json").output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(gate(&told, "epilogue")["ok"], true, "{told:#}");
    world.file("work", "new", 30, 0);
    assert!(epilogue_gate(&env)["reasons"][0].as_str().unwrap().ends_with("the worker's folder has changed since"));
    // Nor are they shown as what the worker made.
    let id = world.accepted("a");
    symlink(env.ledger(), world.folder.join("link")).unwrap();
    fs::hard_link(env.ledger(), world.folder.join("hard")).unwrap();
    for name in [".codex-workers/workerctl.db", ".codex-workers/dispatch.log", "link", "hard"] {
        let (code, told) = refusal(&world.manager(&format!("--satisfy {id} --artifact {name}")));
        assert_eq!((code, told.contains("is one of Conveyor's own files")), (1, true), "{told}");
    }
}

/// Whoever closes a ledger that nobody else has locked moves its log and removes it, and a process that closes a file
/// of its has no locks any more.
#[test]
#[cfg(target_os = "linux")]
fn a_look_at_the_folder_that_holds_the_ledger_leaves_it_locked() {
    let env = TestEnv::pair();
    let world = World::around_the_ledger(&env);
    let opening = Opening { access: Access::Write, safety: Safety::Forced, now: Timestamp::from_millis(0) };
    let store = Store::open(&env.ledger(), opening).unwrap();
    let about = fs::metadata(env.ledger()).unwrap();
    let is_locked = || {
        store.change_mark().unwrap();
        let locks = fs::read_to_string("/proc/locks").unwrap();
        let (own, place) = (format!(" READ {} ", std::process::id()), format!(":{} ", about.ino()));
        locks.lines().any(|lock| lock.contains("POSIX") && lock.contains(&own) && lock.contains(&place))
    };
    assert!(is_locked(), "as soon as it is open");
    let state = env.ledger().parent().unwrap().to_owned();
    fs::hard_link(env.ledger(), world.folder.join("hard")).unwrap();
    let own = OwnFiles::of([&*state], &env.ledger());
    let path = std::env::var_os("PATH");
    let program = conveyor::ports::env::find_program(path.as_deref(), "git").unwrap();
    let look = || git::tree_mark(&program, &world.folder, &own).unwrap().unwrap();
    let before = look();
    assert!(is_locked(), "when the folder was looked at");
    fs::write(world.folder.join("new"), "x").unwrap();
    assert_ne!(look(), before);
    // With another state root the ledger is known by itself.
    git::tree_mark(&program, &world.folder, &OwnFiles::of([Path::new("/nowhere")], &env.ledger())).unwrap();
    assert!(is_locked(), "when it was looked at from elsewhere");
}

/// What a tool gives is its worker's code, and neither the operator nor the manager that runs the step.
#[test]
fn a_tool_of_a_step_does_not_act_for_whoever_runs_the_step() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    let out = env.cwd().join("out");
    fs::create_dir_all(&out).unwrap();
    let conveyor = format!("'{}' --path '{}'", env!("CARGO_BIN_EXE_conveyor"), env.ledger().display());
    let out_name = out.display();
    let acts = [
        format!("{conveyor} manager-config parser --permit worker_session.interrupt --json"),
        format!("env -u CONVEYOR_STEP {conveyor} manager-config parser --permit worker_session.interrupt --json"),
        format!("sh -c \"exec env -i {conveyor} manager-config parser --permit worker_session.interrupt --json\""),
        format!("{conveyor} finish-task parser --json"),
    ];
    let lines: Vec<String> = (acts.iter().enumerate())
        .map(|(at, act)| format!("{act} >'{out_name}/{at}.out' 2>&1; echo $? >'{out_name}/{at}.code'"))
        .collect();
    // The last one takes the place of the tool itself.
    let last = format!("exec env -i {conveyor} manager-config parser --permit worker_session.interrupt --json");
    check_script(&world, &format!("{}\n{last} >'{out_name}/last' 2>&1", lines.join("\n")));
    env.sh("manager-config parser --epilogue run-tools --tool ./check.sh").ok();
    let line = "epilogue parser --step run-tools --json";
    for manager in [false, true] {
        let run = if manager { in_session(&env, "m1", line) } else { env.sh(line) };
        assert_eq!(run.code, 1, "{run}");
        for (at, act) in acts.iter().enumerate() {
            let told = fs::read_to_string(out.join(format!("{at}.out"))).unwrap();
            let code = fs::read_to_string(out.join(format!("{at}.code"))).unwrap();
            assert_eq!(code.trim(), "3", "{act}: {told}");
        }
        let last = fs::read_to_string(out.join("last")).unwrap_or_else(|error| panic!("{error}: {run}"));
        assert!(last.contains("cannot be told from here"), "{last}");
        fs::remove_dir_all(&out).unwrap();
        fs::create_dir_all(&out).unwrap();
    }
    let config = env.sh("manager-config parser --json").ok();
    assert!(!config.out.contains("worker_session.interrupt\""), "{config}");
    let refused = trail(&env, "finish_task_refused");
    let all = refused.iter().all(|event| event.to_string().contains("cannot be told from here"));
    assert!(refused.len() == 2 && all, "{refused:#?}");
}

/// Whatever the worker has set in its repository, a change of its folder is seen.
#[test]
fn a_worker_hides_no_change_of_its_folder() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    let set = |content: &str| {
        world.file("readme", content, 0, 0);
    };
    set("r\n");
    world.git(&["update-index", "--refresh"]);
    env.sh("manager-config parser --epilogue run-tools --tool 'git --version'").ok();
    let reason = || epilogue_gate(&env)["reasons"][0].as_str().unwrap_or_default().to_owned();
    let exclude = world.folder.join(".git/info/exclude");
    let no_stat = [["core.trustctime", "false"], ["core.checkStat", "minimal"], ["core.ignoreStat", "true"]];

    step(&env, "run-tools", "").ok();
    fs::write(&exclude, "hidden\n").unwrap();
    world.file("hidden", "h", 30, 0);
    assert!(reason().contains("has changed since"), "info/exclude: {}", reason());

    fs::write(&exclude, "").unwrap();
    step(&env, "run-tools", "").ok();
    let list = env.cwd().join("excludes");
    fs::write(&list, "other\n").unwrap();
    world.git(&["config", "core.excludesFile", list.to_str().unwrap()]);
    world.file("other", "o", 30, 0);
    assert!(reason().contains("has changed since"), "core.excludesFile: {}", reason());

    step(&env, "run-tools", "").ok();
    for [name, value] in no_stat {
        world.git(&["config", name, value]);
    }
    // Git knows the times of a file by the second.
    thread::sleep(Duration::from_millis(1_100));
    set("x\n");
    assert!(reason().contains("has changed since"), "core.checkStat: {}", reason());

    set("r\n");
    for [name, _] in no_stat {
        world.git(&["config", "--unset", name]);
    }
    step(&env, "run-tools", "").ok();
    for flag in ["assume-unchanged", "skip-worktree"] {
        world.git(&["update-index", &format!("--{flag}"), "readme"]);
        set("y\n");
        assert!(
            reason().contains("cannot be told: what the working tree holds cannot be told"),
            "{flag}: {}",
            reason()
        );
        assert_eq!(step(&env, "run-tools", "").code, 1, "{flag}");
        world.git(&["update-index", &format!("--no-{flag}"), "readme"]);
    }
}

/// A session that runs a step has set its environment.
#[test]
fn what_a_session_has_set_does_not_tell_a_tool_how_to_work() {
    let env = TestEnv::pair();
    let world = World::of(&env);
    check_script(&world, "test -z \"$MAKEFLAGS$PYTEST_ADDOPTS\"");
    env.sh("manager-config parser --epilogue run-tools --tool ./check.sh").ok();
    let run = |path: Option<&str>| {
        let mut command = env.command();
        command.env("MAKEFLAGS", "-n").env("PYTEST_ADDOPTS", "--collect-only");
        command.envs(path.map(|path| ("PATH", path)));
        let run = command.args(["epilogue", "parser", "--step", "run-tools", "--json"]).output().unwrap();
        (run.status.code(), serde_json::from_slice::<Value>(&run.stdout).unwrap()["ran"].clone())
    };
    let (code, told) = in_session_with(&env, "m1", || run(None));
    assert_eq!(code, Some(0), "{told:#}");
    assert_eq!(told["result"]["tools"][0]["env"], json!(["CONVEYOR_STEP", "HOME", "LANG", "PATH"]));
    let (code, told) = run(None);
    assert_eq!(code, Some(1), "an operator's own settings hold: {told:#}");
    assert!(told["result"]["tools"][0]["env"].as_array().unwrap().contains(&json!("MAKEFLAGS")), "{told:#}");
    // Where programs are looked for it does not say either.
    let (code, told) = in_session_with(&env, "m1", || run(Some("/nonexistent")));
    assert_eq!(code, Some(0), "{told:#}");
    // Without git nothing shows that the folder is what it was.
    let mut terms = env.command();
    let terms = terms.env("PATH", "/nonexistent").args(["manager-config", "parser", "--mode", "strict"]).status();
    assert!(terms.unwrap().success());
    let (code, told) = in_session_with(&env, "m1", || run(None));
    let error = told["error"].as_str().unwrap();
    assert!(code == Some(1) && error.contains("cannot be told: git is not where the operator"), "{told:#}");
}
