//! `dispatch --watch --detach`: a dispatcher that outlives who started it, once for each scope, with a log of its own.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::PathBuf,
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use super::Pair;
use crate::support::wait_for;

/// A world whose background dispatchers are ended with it.
struct Background(Pair);

impl Drop for Background {
    fn drop(&mut self) {
        let Ok(sql) = rusqlite::Connection::open(self.0.env.ledger()) else { return };
        let Ok(mut statement) = sql.prepare("select pid from dispatchers where log_path is not null") else { return };
        let Ok(pids) = statement.query_map([], |row| row.get::<_, i32>(0)) else { return };
        for pid in pids.flatten().filter(|pid| runs_our_program(*pid)).filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Whether the process is one that a test started: its number may be another's by now.
fn runs_our_program(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("--background-log")
    })
}

/// The fields of `/proc/PID/stat` behind the name: state, parent, group, session, terminal.
fn stat(pid: i64) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

impl Background {
    fn new() -> Self {
        Self(Pair::new())
    }

    fn start(&self, more: &str) -> Value {
        self.0.env.sh(&format!("dispatch --watch --detach --json {more}")).ok().json()
    }

    fn status(&self) -> Vec<Value> {
        self.0.env.sh("dispatch status --json").ok().json()["dispatchers"].as_array().unwrap().clone()
    }

    fn log(&self, id: &str) -> PathBuf {
        self.0.env.cwd().join(format!(".codex-workers/dispatch-{id}.log"))
    }

    fn lines(&self, id: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.log(id)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    fn gone(&self, pid: i64) {
        let gone = || stat(pid).is_none_or(|stat| stat[0] == "Z").then_some(());
        wait_for("its end", gone, || format!("{:?}", self.status()));
    }
}

#[test]
fn it_delivers_apart_from_its_terminal_and_ends_when_it_is_asked_to() {
    let background = Background::new();
    let pair = &background.0;
    // Started by a shell of its own group, whose end hangs everything up.
    let mut shell = std::process::Command::new("sh");
    let program = pair.env.command();
    shell.args(["-c", "\"$0\" dispatch --watch --detach --json; sleep 60", program.get_program().to_str().unwrap()]);
    shell.env_clear().current_dir(pair.env.cwd()).process_group(0);
    for (name, value) in program.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let mut shell = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let on_record = || background.status().into_iter().find(|one| one["log_path"].is_string());
    let record = wait_for("the dispatcher on record", on_record, String::new);
    let pid = record["pid"].as_i64().unwrap();
    let fields = stat(pid).unwrap();
    assert_eq!((&fields[3], &fields[4]), (&pid.to_string(), &"0".to_owned()), "a session of its own, no terminal");
    let group = Pid::from_child(&shell);
    for signal in [Signal::HUP, Signal::INT, Signal::KILL] {
        let _ = kill_process_group(group, signal);
    }
    shell.wait().unwrap();
    let id = pair.nudge("after the terminal is gone");
    wait_for(
        "the delivery",
        || (pair.stands(&id).0 == "delivered").then_some(()),
        || format!("{:?}", pair.stands(&id)),
    );
    assert_eq!(pair.env.sh("enqueue-nudge-worker parser --message y --json").ok().json()["warning"], Value::Null);
    assert_eq!(fs::metadata(background.log("background")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_link(format!("/proc/{pid}/fd/0")).unwrap(), PathBuf::from("/dev/null"));
    let prose = pair.env.sh("dispatch status").ok();
    assert!(
        prose.out.contains("in the background, log: $TEST/project/.codex-workers/dispatch-background.log"),
        "{prose}"
    );
    assert_eq!(pair.env.sh("dispatch stop background --json").ok().json()["stopping"], json!(["background"]));
    background.gone(pid);
    let lines = background.lines("background");
    assert_eq!(lines[0]["kind"], "begun");
    assert!(lines.iter().any(|line| line["command_id"] == *id && line["phase"] == "delivered"), "{lines:?}");
    let last = lines.last().unwrap();
    assert_eq!((&last["kind"], &last["dispatcher_id"]), (&"summary".into(), &"background".into()));
    assert_eq!(background.status()[0]["state"], "stopped");
}

#[test]
fn one_for_each_scope_and_who_asks_again_hears_of_it() {
    let background = Background::new();
    let planned = background.0.env.sh("dispatch --watch --detach --dry-run --json").ok().json();
    assert_eq!((&planned["started"], &planned["pid"]), (&false.into(), &Value::Null));
    assert_eq!(background.status(), Vec::<Value>::new());
    // Many at once: one gets through, and all name it.
    let all: Vec<Value> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|number| {
                let mut command = background.0.env.command();
                command.args(["dispatch", "--watch", "--detach", "--json", "--type", "nudge_worker"]);
                command.args(["--dispatcher-id", &format!("racer-{number}")]).stdin(Stdio::null());
                scope.spawn(move || command.output().unwrap())
            })
            .collect();
        runs.into_iter()
            .map(|run| {
                let output = run.join().unwrap();
                assert!(output.status.success(), "{output:?}");
                serde_json::from_slice(&output.stdout).unwrap()
            })
            .collect()
    });
    let started = all.iter().filter(|one| one["started"] == true).count();
    let pids: std::collections::BTreeSet<_> = all.iter().map(|one| one["pid"].as_i64().unwrap()).collect();
    assert_eq!((started, pids.len()), (1, 1), "{all:?}");
    background.0.env.run(["dispatch", "stop", all[0]["dispatcher_id"].as_str().unwrap()]).ok();
    background.gone(all[0]["pid"].as_i64().unwrap());
    let first = background.start("");
    assert_eq!((&first["started"], &first["dispatcher_id"]), (&true.into(), &"background".into()));
    let prose = background.0.env.sh("dispatch --watch --detach --text --dispatcher-id other").ok();
    assert!(prose.out.starts_with("background runs already, as process "), "{prose}");
    // Another scope is another dispatcher; the task may be named either way.
    let task = background.start("--task parser");
    assert_eq!((&task["started"], &task["dispatcher_id"]), (&true.into(), &"background-parser".into()), "{task}");
    let task_id = background.0.env.sh("tasks --json").ok().json()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(background.start(&format!("--task {task_id}"))["pid"], task["pid"]);
    // One that was killed is replaced, and its log goes on.
    let pid = first["pid"].as_i64().unwrap();
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
    background.gone(pid);
    let next = background.start("");
    assert_eq!(next["started"], true, "{next}");
    let begun = background.lines("background").iter().filter(|line| line["kind"] == "begun").count();
    assert!(begun >= 2, "{:?}", background.lines("background"));
    let stopped = background.0.env.sh("dispatch stop --all --json").ok().json();
    assert_eq!(stopped["stopping"].as_array().unwrap().len(), 2, "{stopped}");
    background.gone(next["pid"].as_i64().unwrap());
    background.gone(task["pid"].as_i64().unwrap());
}

#[test]
fn a_signal_ends_it_cleanly_and_what_cannot_begin_is_told() {
    let background = Background::new();
    let started = background.start("--interval 0.2");
    let pid = started["pid"].as_i64().unwrap();
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::TERM).unwrap();
    background.gone(pid);
    assert_eq!(background.lines("background").last().unwrap()["kind"], "summary");
    assert_eq!(background.status()[0]["state"], "stopped");
    // The log's place is taken by something that is not ours.
    let log = background.log("night");
    fs::create_dir(&log).unwrap();
    let run = background.0.env.sh("dispatch --watch --detach --dispatcher-id night --json");
    assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("io")), "{run}");
    assert!(run.error()["message"].as_str().unwrap().contains("dispatch-night.log"), "{run}");
    for wrong in [
        "dispatch --detach",
        "dispatch --watch --detach --task nowhere",
        "dispatch --once --detach",
        "dispatch --once --watch-iterations 3",
        "dispatch --once --background-log x",
    ] {
        assert_ne!(background.0.env.sh(wrong).code, 0, "{wrong}");
    }
}
