//! From `pair` to a task that is finished under its terms: with the simulator, and with real Codex as worker and manager.

use std::{
    fs,
    process::{Child, Stdio},
};

use conveyor::ports::process::{Processes as _, SystemProcesses};
use rusqlite::{Connection, named_params};
use serde_json::{Value, json};

use super::{
    terminal::Terminal,
    world::{World, wait_for},
};
use crate::support::{Finished, codex_lab::CodexLab};

/// A process that ends with its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = (self.0.kill(), self.0.wait());
    }
}

fn open_gates(told: &Value) -> Vec<String> {
    let gates = told["gates"].as_array().unwrap_or_else(|| panic!("{told:#}"));
    gates.iter().filter(|gate| gate["ok"] == false).map(|gate| gate["gate"].as_str().unwrap().to_owned()).collect()
}

/// Runs a line as if the session ran it: below its process, which is the test's own for so long.
fn as_session(world: &World, name: &str, words: &[&str]) -> Finished {
    let sql = Connection::open(world.ledger()).unwrap();
    let own = SystemProcesses.identify(std::process::id()).unwrap();
    let was: (Option<i64>, Option<i64>) = sql
        .query_row("select pid, pid_start from sessions where name = ?1", [name], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let set = |pid: Option<i64>, start: Option<i64>| {
        sql.execute(
            "update sessions set pid = :pid, pid_start = :start where name = :name",
            named_params! {":pid": pid, ":start": start, ":name": name},
        )
        .unwrap();
    };
    set(Some(i64::from(own.pid)), Some(i64::try_from(own.start_ticks).unwrap()));
    let done = world.run(words);
    set(was.0, was.1);
    done
}

/// Where the worker's newest line of this kind begins.
fn newest(world: &World, item: &str) -> Option<String> {
    world.run(&["ingest", "w1"]).ok();
    let events = world.run(&["tail", "w1", "--limit", "0", "--json"]).ok().json();
    events.as_array().unwrap().iter().find(|event| event["item"] == item).map(|event| event["byte_offset"].to_string())
}

#[test]
fn a_pair_is_held_to_its_terms_until_its_task_is_finished() {
    let Some(world) = World::start() else { return };
    let terms = [
        "--manager-mode",
        "strict",
        "--manager-acceptance",
        "the parser is mended",
        "--manager-require-acks",
        "--manager-epilogue",
        "run-tools",
        "--manager-epilogue",
        "record-handoff",
        "--manager-tool",
        "git --version",
    ];
    let pair = [
        "pair",
        "--task",
        "parser",
        "--worker-name",
        "w1",
        "--manager-name",
        "m1",
        "--no-server",
        "--no-dispatch",
        "--task-goal",
        "prove it",
        "--task-prompt",
        "Mend it {{say Done. All tests pass.}}",
        "--json",
    ];
    world.run(&[&pair[..], &terms].concat()).ok();
    world.wait_for_condition("w1", "done");
    let finish = |more: &[&str]| as_session(&world, "m1", &[&["finish-task", "parser", "--json"], more].concat());

    // The worker says that it is done; nothing shows it.
    let run = finish(&[]);
    assert_eq!(run.code, 3, "{run}");
    assert_eq!(open_gates(&run.json()), ["decision", "criteria", "acknowledgements", "epilogue"]);
    let byte = newest(&world, "AgentMessage").expect("the worker has answered");
    let run = as_session(&world, "m1", &["criteria", "parser", "--satisfy", "1", "--byte", &byte, "--json"]);
    assert_eq!(run.code, 3, "{run}");

    // It is asked to show it, and both sides say what they are held to.
    world.say("w1", "Show it {{shell cargo test}} {{say 12 passed.}}");
    let byte = wait_for("the worker's tests", || newest(&world, "CommandExecution"), || world.all_screens());
    as_session(&world, "m1", &["criteria", "parser", "--satisfy", "1", "--byte", &byte, "--json"]).ok();
    as_session(&world, "w1", &["worker-ack", "parser", "--from-stdin={\"ready_to_start\": true}"]).ok();
    as_session(&world, "m1", &["manager-ack", "parser", "--from-stdin={\"task\": \"parser\"}"]).ok();
    as_session(&world, "w1", &["handoff", "parser", "--summary", "mended"]).ok();
    for step in ["run-tools", "record-handoff"] {
        as_session(&world, "m1", &["epilogue", "parser", "--step", step]).ok();
    }
    assert_eq!(open_gates(&finish(&[]).json()), ["decision"]);
    let words = ["record-decision", "parser", "stop", "--reason", "it is shown", "--json"];
    let decision = as_session(&world, "m1", &words).ok().json()["id"].to_string();
    let run = finish(&["--decision-id", &decision, "--stop-worker"]);
    assert_eq!((run.code, open_gates(&run.json())), (3, vec!["permission".to_owned()]), "{run}");
    let done = finish(&["--decision-id", &decision, "--reason", "it is shown"]).ok().json();
    assert_eq!((&done["state"], &done["end"]["by"]), (&json!("done"), &json!("manager m1")));

    // The sessions go on until an operator cleans up, with what they showed kept by its hash.
    assert_eq!(world.tmux_sessions(), ["codex-m1", "codex-w1"]);
    let clean = [
        "finish-task",
        "parser",
        "--stop-worker",
        "--stop-manager",
        "--capture-transcript-before-stop",
        "--require-transcript-segment",
        "--json",
    ];
    let cleaned = world.run(&clean).ok().json();
    assert_eq!(
        (&cleaned["already_done_followup"], &cleaned["killed_worker"], &cleaned["killed_manager"]),
        (&json!(true), &json!(true), &json!(true))
    );
    let captures = cleaned["pre_stop_transcript_captures"].as_array().unwrap();
    assert_eq!((captures.len(), &captures[0]["content"]), (2, &Value::Null), "{cleaned:#}");
    assert_eq!((world.tmux_sessions(), &captures[0]["content_redacted"]), (Vec::new(), &json!(true)));
    let trail = world.run(&["events", "parser", "--json"]).ok().out;
    assert!(!trail.contains("12 passed"), "what a pane showed is not kept");
    let again = world.run(&clean).code;
    assert_eq!(again, 0, "gone already is stopped");
}

/// What the manager does each time that it is woken: what it saw goes to the ledger's folder, one file for each step.
const MANAGER: &str = r#"set -u
out="$1"; program="$2"; ledger="$3"
run() { name="$1"; shift; "$program" "$@" --path "$ledger" --json >"$out/$name.json" 2>"$out/$name.err"; echo $? >"$out/$name.code"; }
byte() { "$program" tail w1 --limit 0 --json --path "$ledger" | python3 -c '
import json, sys
for event in json.load(sys.stdin):
    payload = event["payload"]
    is_run = event["item"] == "CommandExecution" and payload.get("exit_code") == 0
    if (sys.argv[1] == "run" and is_run) or (sys.argv[1] == "said" and event["item"] == "AgentMessage"):
        print(event["byte_offset"]); break
' "$1"; }
"$program" ingest w1 --path "$ledger" >/dev/null 2>&1
"$program" manager-inbox parser --receive --path "$ledger" >/dev/null 2>&1
if [ ! -e "$out/finish-false.json" ]; then
  run finish-false finish-task parser
  run satisfy-false criteria parser --satisfy 1 --byte "$(byte said)"
  run loosen manager-config parser --mode light --unset epilogue
  run nudge enqueue-nudge-worker parser --idempotency-key once --message 'now the tests'
else
  run satisfy criteria parser --satisfy 1 --byte "$(byte run)"
  run epilogue epilogue parser --step run-tools
  run undecided finish-task parser
  run decide record-decision parser stop --reason 'the check passes'
  run finish finish-task parser --reason 'the check passes' --decision-id "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["id"])' "$out/decide.json")"
  echo over >"$out/over"
fi
"#;

#[test]
fn real_codex_finishes_a_task_only_on_what_the_program_has_seen() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    if !lab.cli().has_server().unwrap() {
        return;
    }
    let Some(world) = World::in_lab(&lab) else { return };
    // What the manager may write, and nothing of the worker's: its folder has to stay as it was checked.
    let folder = lab.home().parent().unwrap().join("ledger");
    fs::create_dir_all(&folder).unwrap();
    let ledger = folder.join("workerctl.db").display().to_string();
    let run = |words: &[&str]| world.run(&[words, &["--path", &ledger]].concat());
    let script = lab.home().parent().unwrap().join("manage.sh");
    fs::write(&script, MANAGER).unwrap();
    fs::write(lab.project().join("check.sh"), "grep -q mended work.txt\n").unwrap();
    let manage = shell_words::join([
        "sh",
        &script.display().to_string(),
        &folder.display().to_string(),
        env!("CARGO_BIN_EXE_conveyor"),
        &ledger,
    ]);
    lab.rule("has answered on task parser", &format!("{{{{shell {manage}}}}} {{{{say Answered.}}}}"));
    lab.rule("start-prompts/m1", "{{say I watch.}}");
    lab.rule("^mend it", "{{hold mend}} {{say Done. All tests pass.}}");
    lab.rule("now the tests", "{{shell echo mended >work.txt && sh check.sh}} {{say Checked.}}");

    let pair = ["pair", "--task", "parser", "--worker-name", "w1", "--manager-name", "m1", "--timeout-seconds", "120"];
    let terms = [
        "--task-goal",
        "prove it",
        "--task-prompt",
        "mend it",
        "--no-dispatch",
        "--manager-mode",
        "strict",
        "--manager-acceptance",
        "check.sh passes",
        "--manager-epilogue",
        "run-tools",
        "--manager-tool",
        "sh check.sh",
    ];
    run(&[&pair[..], &terms].concat()).ok();
    let dispatcher = world
        .command()
        .args(["dispatch", "--watch", "--path", &ledger])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut dispatcher = Ended(dispatcher);
    let rollout = |name: &str| {
        let sessions = run(&["sessions", "--state", "all", "--json"]).ok().json();
        let row = super::world::rows(&sessions).into_iter().find(|row| row["name"] == name).unwrap();
        fs::read_to_string(row["codex_session_path"].as_str().unwrap()).unwrap()
    };
    wait_for("the manager's first turn", || rollout("m1").contains("I watch.").then_some(()), || world.all_screens());
    lab.release("mend");
    let seen = || {
        let mut names: Vec<_> = fs::read_dir(&folder).unwrap().filter_map(|file| Some(file.ok()?.path())).collect();
        names.sort();
        let texts = names.iter().filter(|path| path.extension().is_some_and(|kind| kind != "db"));
        texts
            .map(|path| format!("{}: {}", path.display(), fs::read_to_string(path).unwrap_or_default()))
            .collect::<String>()
    };
    wait_for("the manager's work", || folder.join("over").exists().then_some(()), || world.all_screens() + &seen());
    run(&["dispatch", "stop", "--all"]).ok();
    assert!(dispatcher.0.wait().unwrap().success());

    let code = |name: &str| fs::read_to_string(folder.join(format!("{name}.code"))).unwrap().trim().to_owned();
    let told = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(folder.join(format!("{name}.json"))).unwrap()).unwrap()
    };
    // "Done" was a word.
    assert_eq!((code("finish-false").as_str(), code("satisfy-false").as_str()), ("3", "3"), "{}", seen());
    assert_eq!(open_gates(&told("finish-false")), ["decision", "criteria", "epilogue"]);
    assert_eq!(code("loosen"), "3", "{}", seen());
    // Then there was a receipt, and a step that this program ran itself.
    assert_eq!((code("satisfy").as_str(), code("epilogue").as_str()), ("0", "0"), "{}", seen());
    let link = told("satisfy")["affected_criterion"]["evidence"]["links"][0].clone();
    assert_eq!((&link["grade"], &link["exit_code"]), (&json!("verified"), &json!(0)), "{link:#}");
    assert_eq!(open_gates(&told("undecided")), ["decision"]);
    assert_eq!(code("finish"), "0", "{}", seen());
    let tasks = run(&["tasks", "--json"]).ok().json();
    assert_eq!(
        (&tasks[0]["state"], &tasks[0]["end"]["by"], &tasks[0]["end"]["reason"]),
        (&json!("done"), &json!("manager m1"), &json!("the check passes"))
    );
    let events = run(&["events", "parser", "--json"]).ok().json();
    let of = |kind: &str| events.as_array().unwrap().iter().filter(|event| event["type"] == kind).count();
    assert_eq!((of("finish_task_refused"), of("finish_task_succeeded")), (2, 1));
    for name in ["w1", "m1"] {
        run(&["stop", name]).ok();
    }
}

#[test]
fn a_task_is_finished_by_keys_when_its_gates_are_met() {
    let Some(world) = World::start() else { return };
    // What the worker does while the manager takes its time to open is done for these terms too.
    let sim = shell_words::join([env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon"]);
    world.broken_codex(&format!("case \"$*\" in *start-prompts/m1*) sleep 2;; esac\nexec {sim} \"$@\""));
    let pair = [
        "pair",
        "--task",
        "parser",
        "--worker-name",
        "w1",
        "--manager-name",
        "m1",
        "--no-server",
        "--no-dispatch",
        "--task-goal",
        "prove it",
        "--task-prompt",
        "Mend it {{shell cargo test}} {{say Done.}}",
        "--manager-acceptance",
        "the parser is mended",
        "--json",
    ];
    world.run(&pair).ok();
    world.wait_for_condition("w1", "done");
    let terminal = Terminal::open(&world, &world.shell_environment(), 100, 34);
    terminal.conveyor("");
    terminal.wait_for("1 Fleet");
    terminal.press(&["2"]);
    terminal.wait_for("#1 accepted");
    terminal.press(&["F"]);
    let asked = terminal.wait_for("#1 is open: the parser is mended");
    assert!(asked.contains("criteria: not met") && asked.contains("next: press e"), "{asked}");
    terminal.press(&["y"]);
    terminal.wait_for("not every gate is met");
    terminal.press(&["Escape"]);
    terminal.wait_gone("#1 is open: the parser is mended");
    let byte = newest(&world, "CommandExecution").expect("the worker ran its tests");
    as_session(&world, "m1", &["criteria", "parser", "--satisfy", "1", "--byte", &byte, "--json"]).ok();
    terminal.wait_for("proof: `cargo test` ended with exit code 0");
    terminal.press(&["F"]);
    terminal.wait_for("criteria: ok");
    // The decision behind it is named in a form, and looked at with the other gates before anything is asked.
    world.run(&["record-decision", "parser", "stop", "--reason", "it is shown", "--json"]).ok();
    terminal.press(&["d"]);
    terminal.wait_for("finish a task: why, and by which decision");
    terminal.press(&["-l", "every file parses"]);
    terminal.wait_for("'--reason=every file parses'");
    terminal.press(&["Tab"]);
    terminal.press(&["-l", "9"]);
    terminal.wait_for("'--decision-id=9'");
    terminal.press(&["Tab", "Space"]);
    terminal.wait_for("--strict-decisions");
    terminal.press(&["C-s"]);
    terminal.wait_for("decision: not met");
    terminal.press(&["y"]);
    terminal.wait_for("not every gate is met");
    terminal.press(&["d"]);
    let again = terminal.wait_for("finish a task: why, and by which decision");
    assert!(again.contains("every file parses"), "{again}");
    // The form comes back as it was left, in its last field.
    terminal.press(&["BTab", "C-u"]);
    terminal.press(&["-l", "1"]);
    terminal.wait_for("'--decision-id=1'");
    terminal.press(&["C-s"]);
    terminal.wait_for("decision: ok");
    terminal.press(&["w"]);
    terminal.wait_for("--stop-worker");
    terminal.press(&["NPage", "NPage"]);
    // For a second after what is counted has changed a yes does nothing.
    terminal.wait_for("y finish  x");
    terminal.press(&["y"]);
    let receipt = terminal.wait_for("parser is finished");
    assert!(receipt.contains("worker w1 is stopped"), "{receipt}");
    terminal.press(&["Escape"]);
    terminal.wait_for("ended");
    let tasks = world.run(&["tasks", "--json"]).ok().json();
    assert_eq!((&tasks[0]["state"], &tasks[0]["end"]["by"]), (&json!("done"), &json!("the operator")));
    assert_eq!(tasks[0]["end"]["reason"], "every file parses", "{tasks:#}");
    let finished = world.run(&["events", "parser", "--type", "finish_task_succeeded", "--json"]).ok().json();
    assert_eq!(finished[0]["payload"]["decision_id"], 1, "{finished:#}");
    assert_eq!(world.tmux_sessions(), ["codex-m1"]);
}
