//! The terms of a task are looked at and changed in the cockpit by keys, and the command line says the same.

use serde_json::{Value, json};

use super::{terminal::Terminal, world::World};

fn terms(world: &World) -> Value {
    world.run(&["manager-config", "parser", "--json"]).ok().json()
}

#[test]
fn the_terms_of_a_task_are_shown_and_changed_by_keys() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "{{say Read.}}");
    world.wait_for_condition("w1", "done");
    world.bind("parser", "w1");
    world.run(&["manager-config", "parser", "--permit", "repo.open_pr", "--require-acks"]).ok();
    let terminal = Terminal::open(&world, &world.shell_environment(), 110, 40);
    terminal.conveyor("--no-dispatch");
    terminal.wait_for("1 Fleet");
    terminal.press(&["2"]);
    terminal.wait_for("P terms");
    terminal.press(&["P"]);
    terminal.wait_for("terms of revision 1");
    let shown = terminal.wait_for("open a pull request (repo.open_pr)");
    for text in ["the terms of parser", "nudges: no limit", "acknowledgements: required", "manager-config -- parser"] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }

    // A budget, a permission more, one less, and no acknowledgements: one command line.
    terminal.press(&["e"]);
    terminal.wait_for("change the terms of a task");
    terminal.press(&["Tab", "Tab", "Tab"]);
    terminal.press(&["-l", "interrupt"]);
    terminal.wait_for("worker_session.interrupt");
    terminal.press(&["Tab"]);
    terminal.press(&["-l", "open_pr"]);
    terminal.wait_for("allowed now");
    terminal.press(&["Tab"]);
    terminal.press(&["-l", "12"]);
    terminal.press(&["Tab", "Tab", "Space", "Space"]);
    let form = terminal.wait_for("--unset=require-acks");
    for text in ["--permit=worker_session.interrupt", "repo.open_pr", "--max-nudges=12"] {
        assert!(form.contains(text), "{text}\n{form}");
    }
    assert_eq!((&terms(&world)["revision"], &terms(&world)["budget"]), (&json!(1), &Value::Null), "nothing yet");
    terminal.press(&["C-s"]);
    terminal.wait_for("terms of revision 2, guided");
    let receipt = terminal.wait_for("0 of 12 nudges used, 12 left");
    assert!(receipt.contains("permissions: worker_session.interrupt"), "{receipt}");
    // Below the receipt the terms are those in force.
    terminal.press(&["Escape"]);
    terminal.wait_for("nudges: 0 of 12 used, 12 left");
    let shown = terminal.wait_for("terms of revision 2, changed");
    for text in ["by the operator", "interrupt its worker's turn", "acknowledgements: not required"] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    let told = terms(&world);
    assert_eq!(
        (&told["revision"], &told["budget"]["max_nudges"], &told["require_acks"]),
        (&json!(2), &json!(12), &json!(false)),
        "{told:#}"
    );
    assert_eq!(told["permissions"]["worker_session"], json!(["interrupt"]), "{told:#}");
    assert_eq!(told["permissions"]["repo"], json!([]), "{told:#}");

    // What somebody else changes is seen where one looks.
    world.run(&["manager-config", "parser", "--max-nudges", "40"]).ok();
    terminal.wait_for("nudges: 0 of 40 used");

    // A recipe is shown in full, and stored after a yes.
    terminal.press(&["e", "Tab", "Space"]);
    terminal.wait_for("--recipe=");
    terminal.press(&["C-s"]);
    let asked = terminal.wait_for("Store these terms for parser?");
    assert!(asked.contains("Evidence gates:") && asked.contains("--confirm"), "{asked}");
    assert_eq!(terms(&world)["recipe_name"], Value::Null);
    // The box says when it takes a yes; the line of keys at the bottom has it always.
    terminal.wait_for("y yes   n no");
    terminal.press(&["y"]);
    terminal.wait_for("terms of revision 3");
    terminal.press(&["Escape"]);
    terminal.wait_for("terms of revision 3, changed");
    let told = terms(&world);
    let name = told["recipe_name"].as_str().unwrap_or_else(|| panic!("{told:#}"));
    terminal.wait_for(&format!("recipe: {name}"));
    terminal.press(&["Escape"]);
    terminal.wait_gone("the terms of parser");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_closing_step_and_the_reviewer_are_forms() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "{{say Read.}}");
    world.wait_for_condition("w1", "done");
    world.bind("parser", "w1");
    world.run(&["manager-config", "parser", "--epilogue", "run-tools", "--tool", "git --version"]).ok();
    let terminal = Terminal::open(&world, &world.shell_environment(), 110, 40);
    terminal.conveyor("--no-dispatch");
    terminal.wait_for("1 Fleet");
    terminal.press(&["2"]);
    terminal.wait_for("P terms");

    // A closing step runs, and says what came of it.
    let open = |words: &str, first: &str| {
        terminal.press(&[":"]);
        terminal.press(&["-l", words]);
        terminal.wait_for(words);
        terminal.press(&["Enter"]);
        terminal.wait_for(first);
    };
    open("run a closing step of a task", "not yet: step is missing");
    terminal.press(&["Space"]);
    terminal.wait_for("--step=run-tools");
    terminal.press(&["C-s"]);
    terminal.wait_for("run-tools succeeded");
    terminal.press(&["Escape"]);
    terminal.wait_gone("run-tools succeeded");
    let runs = world.run(&["epilogue", "parser", "--list", "--json"]).ok().json();
    assert_eq!(runs["runs"][0]["state"], "succeeded", "{runs:#}");

    // The reviewer is set, and stands among the terms.
    open("set who reviews for a task", "not yet: program is missing");
    terminal.press(&["-l", "/bin/true --all"]);
    terminal.press(&["C-s"]);
    terminal.wait_for("parser: reviewed by");
    terminal.press(&["Escape"]);
    terminal.wait_gone("it ran (");
    terminal.press(&["P"]);
    terminal.wait_for("true --all, confined, for at most 300 s");

    // What the work is held to is written down a line each; what is left empty stays.
    terminal.press(&["w"]);
    terminal.wait_for("write down what the work is held to");
    terminal.press(&["Tab"]);
    terminal.press(&["-l", "prove the parser"]);
    terminal.press(&["Tab", "Tab"]);
    terminal.press(&["-l", "every file parses"]);
    terminal.press(&["C-j"]);
    terminal.press(&["-l", "no warning is left"]);
    terminal.wait_for("--acceptance=no warning is left");
    assert_eq!(terms(&world)["objective"], Value::Null, "nothing yet");
    terminal.press(&["C-s"]);
    terminal.wait_for("terms of revision 2");
    terminal.press(&["Escape"]);
    terminal.wait_for("satisfied: no warning is left");
    let told = terms(&world);
    assert_eq!(told["objective"], "prove the parser", "{told:#}");
    assert_eq!(told["tools"], json!(["git --version"]), "what was left empty stays: {told:#}");
    let criteria = world.run(&["criteria", "parser", "--list", "--json"]).ok().out;
    assert!(criteria.contains("every file parses") && criteria.contains("no warning is left"), "{criteria}");
    terminal.press(&["Escape"]);
    terminal.wait_gone("the terms of parser");
}
