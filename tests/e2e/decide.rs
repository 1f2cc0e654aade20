//! What is put to the operator is answered in the cockpit by keys.

use serde_json::json;

use super::{terminal::Terminal, world::World};

#[test]
fn a_question_put_to_the_operator_is_answered_by_keys() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "{{say Read.}}");
    world.wait_for_condition("w1", "done");
    world.bind("parser", "w1");
    world.run(&["manager-config", "parser", "--nudge-on-completion", "ask-operator"]).ok();
    let propose = |role: &str, words: &str| {
        let words = format!("--from-stdin={}", json!({ "next": words }));
        world.run(&["continuation", "parser", "--submit", role, "--correlation-id", "r1", &words]).ok();
    };
    propose("worker", "rewrite the lexer");
    let terminal = Terminal::open(&world, &world.shell_environment(), 110, 30);
    terminal.conveyor("--no-dispatch");
    let fleet = terminal.wait_for("1 Fleet");
    assert!(!fleet.contains("what comes next is yours"), "{fleet}");
    // The second one comes while the cockpit is open.
    propose("manager", "mend the two tests");
    terminal.wait_for("what comes next is yours");
    let fleet = terminal.wait_for("1 needs you");
    assert!(fleet.contains("! "), "{fleet}");

    terminal.press(&["4", "g"]);
    terminal.wait_for("1 question to you");
    terminal.wait_for("| next: rewrite the lexer");
    terminal.wait_for("| next: mend the two tests");
    terminal.press(&["Enter"]);
    terminal.wait_for("not yet: answer is missing");
    terminal.press(&["Space", "Space", "Tab"]);
    terminal.press(&["-l", "keep the old reader"]);
    terminal.wait_for("keep the old reader'");
    terminal.press(&["C-s"]);
    let asked = terminal.wait_for("Answer \"amend\"?");
    assert!(asked.contains("operator-inbox") && asked.contains("--answer=amend"), "{asked}");
    let open = world.run(&["operator-inbox", "--json"]).ok().json();
    assert_eq!(open["questions"].as_array().map(Vec::len), Some(1), "nothing is done before the yes");
    terminal.press(&["y"]);
    terminal.wait_for("r1 answered: amend");
    terminal.press(&["Escape"]);
    terminal.wait_for("nobody needs you");
    terminal.wait_gone("question to you");

    let all = world.run(&["operator-inbox", "--all", "--json"]).ok().json();
    let answered = &all["questions"][0];
    assert_eq!((&answered["answer"], &answered["note"]), (&json!("amend"), &json!("keep the old reader")), "{all:#}");
    let told = world.run(&["commands", "--json"]).ok().out;
    assert!(told.contains("The operator's answer about continuation r1: amend. keep the old reader"), "{told}");
}
