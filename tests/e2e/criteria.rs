//! From a task that asks for nothing to its end, by keys: a criterion is added, satisfied, dropped, and the gates lead on.

use std::fs;

use serde_json::{Value, json};

use super::{terminal::Terminal, world::World};

/// The criterion of this number.
fn criterion(world: &World, id: i64) -> Value {
    let list = world.run(&["criteria", "parser", "--list", "--json"]).ok().json();
    list["criteria"].as_array().unwrap().iter().find(|one| one["id"] == id).cloned().unwrap_or_default()
}

/// Waits for the receipt of what was submitted, and closes it.
fn receipt(terminal: &Terminal, text: &str) {
    terminal.wait_until(text, |screen| screen.contains(text) && screen.contains("it ran ("));
    terminal.press(&["Escape"]);
    terminal.wait_gone("it ran (");
}

#[test]
fn criteria_are_added_settled_and_dropped_by_keys_and_the_gates_lead_to_them() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "{{say Read.}}");
    world.wait_for_condition("w1", "done");
    world.bind("parser", "w1");
    fs::write(world.cwd().join("report.txt"), "all is well\n").unwrap();
    let terminal = Terminal::open(&world, &world.shell_environment(), 100, 34);
    terminal.conveyor("--no-dispatch");
    terminal.wait_for("1 Fleet");
    terminal.press(&["2"]);
    terminal.wait_for("criteria: none");
    terminal.wait_for("e opens them");
    terminal.wait_for(" e criteria ");

    // Asked for.
    terminal.press(&["e"]);
    terminal.wait_for("+ adds the first one");
    terminal.press(&["+"]);
    terminal.wait_for("not yet: criterion is missing");
    terminal.press(&["-l", "every file parses"]);
    terminal.wait_for("runs: conveyor");
    assert_eq!(criterion(&world, 1), Value::Null, "nothing happens before the key that does it");
    terminal.press(&["C-s"]);
    receipt(&terminal, "#1 accepted (user_requested): every file parses");
    terminal.wait_for("> #1 accepted: every file parses");
    terminal.press(&["+"]);
    terminal.wait_for("not yet: criterion is missing");
    terminal.press(&["-l", "it is fast"]);
    terminal.press(&["C-s"]);
    receipt(&terminal, "#2 accepted (user_requested): it is fast");
    terminal.wait_for("  #2 accepted: it is fast");

    // The gates say what is open, and lead to it.
    terminal.press(&["Escape"]);
    terminal.wait_gone("criteria of parser");
    terminal.press(&["F"]);
    terminal.wait_for("next: press e");
    let gates = terminal.wait_for("x stop the task instead");
    assert!(gates.contains("#1 is open: every file parses"), "{gates}");
    terminal.press(&["e"]);
    terminal.wait_for("> #1 accepted: every file parses");
    terminal.press(&["s"]);
    terminal.wait_for("not yet: name what shows it");
    terminal.press(&["-l", "report.txt"]);
    terminal.wait_for("'--artifact=report.txt'");
    terminal.press(&["C-s"]);
    receipt(&terminal, "#1 satisfied on the operator's word");
    let box_now = terminal.wait_for("> #1 satisfied on the operator's word");
    assert!(box_now.contains("operator's word: file report.txt") && !box_now.contains("s satisfy"), "{box_now}");
    let one = criterion(&world, 1);
    assert_eq!((&one["status"], &one["backed_by"]), (&json!("satisfied"), &json!("operator")), "{one:#}");
    terminal.press(&["j"]);
    terminal.wait_for("> #2 accepted");
    terminal.press(&["x"]);
    terminal.wait_for("criterion 2  accepted: it is fast");
    terminal.press(&["-l", "not this time"]);
    terminal.press(&["C-s"]);
    terminal.wait_for("Reject criterion #2 of parser?");
    terminal.press(&["y"]);
    receipt(&terminal, "#2 rejected");
    terminal.wait_for("> #2 rejected");
    let two = criterion(&world, 2);
    assert_eq!((&two["status"], &two["rationale"]), (&json!("rejected"), &json!("not this time")), "{two:#}");

    // Back at the gates, which were looked at again.
    terminal.press(&["Escape"]);
    let met = terminal.wait_for("#1 rests on the operator's word alone");
    assert!(met.contains("criteria: ok") && met.contains("y finish"), "{met}");
    terminal.press(&["y"]);
    terminal.wait_for("parser is finished");
    let tasks = world.run(&["tasks", "--json"]).ok().json();
    assert_eq!(
        (&tasks[0]["state"], &tasks[0]["end"]["reason"]),
        (&json!("done"), &json!("its gates are met, on the operator's word"))
    );
}

#[test]
fn a_task_whose_gates_are_not_met_is_stopped_from_there_by_keys() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "{{say Read.}}");
    world.wait_for_condition("w1", "done");
    world.bind("parser", "w1");
    world.run(&["criteria", "parser", "--add", "--criterion", "it parses", "--status", "accepted"]).ok();
    let terminal = Terminal::open(&world, &world.shell_environment(), 100, 34);
    terminal.conveyor("--no-dispatch");
    terminal.wait_for("1 Fleet");
    terminal.press(&["2"]);
    terminal.wait_for("#1 accepted: it parses");
    terminal.press(&["F"]);
    terminal.wait_for("x stop the task instead");
    terminal.press(&["x"]);
    terminal.wait_for("not yet: why is missing");
    terminal.press(&["-l", "the format is dropped"]);
    terminal.press(&["C-s"]);
    let asked = terminal.wait_for("Stop parser, which is not done?");
    assert!(asked.contains("stop-task") && asked.contains("Its sessions stay as they are"), "{asked}");
    assert_eq!(world.run(&["tasks", "--json"]).ok().json()[0]["state"], "managed", "nothing is done before the yes");
    terminal.press(&["y"]);
    terminal.wait_for("parser is stopped");
    let tasks = world.run(&["tasks", "--json"]).ok().json();
    assert_eq!((&tasks[0]["state"], &tasks[0]["end"]["reason"]), (&json!("failed"), &json!("the format is dropped")));
    assert_eq!(world.tmux_sessions(), ["codex-w1"]);
}
