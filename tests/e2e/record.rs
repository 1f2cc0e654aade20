//! What is said about a task is looked at and added to in the cockpit by keys, and the ledger holds the same.

use serde_json::{Value, json};

use super::{terminal::Terminal, world::World};

/// A bound task, its record on the screen.
fn opened(terms: &[&str]) -> Option<(World, Terminal)> {
    let world = World::start()?;
    world.start_worker("w1", "{{say Read.}}");
    world.wait_for_condition("w1", "done");
    world.bind("parser", "w1");
    world.run(&[&["manager-config", "parser"], terms].concat()).ok();
    let terminal = Terminal::open(&world, &world.shell_environment(), 110, 40);
    terminal.conveyor("--no-dispatch");
    terminal.wait_for("1 Fleet");
    terminal.press(&["2"]);
    terminal.wait_for("P terms");
    terminal.press(&["R"]);
    terminal.wait_for("on record: parser");
    terminal.wait_for("nobody has proposed anything");
    Some((world, terminal))
}

fn propose(world: &World, role: &str, words: &str) {
    let words = format!("--from-stdin={}", json!({ "next": words }));
    world.run(&["continuation", "parser", "--submit", role, "--correlation-id", "r1", &words]).ok();
}

fn type_in(terminal: &Terminal, words: &str) {
    terminal.press(&["-l", words]);
    terminal.wait_for(words);
}

fn listed(world: &World) -> Value {
    world.run(&["continuation", "parser", "--list", "--include-payload", "--json"]).ok().json()
}

#[test]
fn a_round_of_proposals_is_seen_and_judged_by_keys() {
    let Some((world, terminal)) = opened(&["--nudge-on-completion", "ask-operator"]) else { return };
    // What others say while one looks comes up by itself; the worker's words only with the manager's.
    propose(&world, "worker", "rewrite the lexer");
    let shown = terminal.wait_for("until then nobody is shown what is proposed");
    assert!(!shown.contains("rewrite the lexer") && !shown.contains("v judge"), "{shown}");
    propose(&world, "manager", "mend the two tests");
    terminal.wait_for("| next: rewrite the lexer");
    terminal.wait_for("| next: mend the two tests");
    terminal.wait_for("to you is open");

    terminal.press(&["v"]);
    terminal.wait_for("not yet: agree is missing");
    terminal.press(&["Space", "Space", "Tab", "Space", "Space", "Tab"]);
    type_in(&terminal, "both can be done");
    terminal.press(&["Tab"]);
    terminal.press(&["-l", "keep the old reader"]);
    let form = terminal.wait_for("\"addendum\":\"keep");
    assert!(form.contains("continuation --review") && form.contains("'--correlation-id=r1' -- parser"), "{form}");
    assert_eq!(listed(&world)["reviews"], json!([]), "nothing yet");
    // Esc leaves, and what was typed comes back.
    terminal.press(&["Escape"]);
    terminal.wait_gone("judge what worker and manager propose");
    terminal.press(&["v"]);
    terminal.wait_for("keep the old reader");
    terminal.press(&["C-s"]);
    let asked = terminal.wait_for("Judge round r1 of parser: amend?");
    assert!(asked.contains("conveyor") && asked.contains("--review"), "{asked}");
    assert_eq!(listed(&world)["reviews"], json!([]), "nothing before the yes");
    terminal.press(&["y"]);
    let receipt = terminal.wait_for("review 1 of r1 by the operator: compatible, amend");
    assert!(receipt.contains("to the operator answered with it: amend"), "{receipt}");
    terminal.press(&["Escape"]);
    terminal.wait_for("the operator judged");
    terminal.wait_for("not to proceed: the verdict on r1 is not to proceed");
    let reviews = listed(&world)["reviews"].clone();
    let told = (&reviews[0]["source"], &reviews[0]["verdict"], &reviews[0]["rationale"], &reviews[0]["addendum"]);
    let wanted = json!(["operator", "amend", "both can be done", "keep the old reader"]);
    assert_eq!(told, (&wanted[0], &wanted[1], &wanted[2], &wanted[3]), "{reviews:#}");
    let open = world.run(&["operator-inbox", "--json"]).ok().json();
    assert_eq!(open["questions"], json!([]), "{open:#}");
    let commands = world.run(&["commands", "--json"]).ok().out;
    assert!(commands.contains("about continuation r1: amend. both can be done keep the old reader"), "{commands}");
}

#[test]
fn a_side_is_proposed_for_and_the_set_program_judges_by_keys() {
    let Some((world, terminal)) = opened(&["--nudge-on-completion", "off"]) else { return };
    for (side, words) in [(1, "rewrite the lexer"), (2, "mend the two tests")] {
        terminal.press(&["p"]);
        terminal.wait_for("not yet: for is missing");
        terminal.press(&vec!["Space"; side]);
        terminal.press(&["Tab"]);
        if side == 1 {
            type_in(&terminal, "r1");
        }
        terminal.press(&["Tab"]);
        type_in(&terminal, words);
        terminal.press(&["C-s"]);
        terminal.wait_for("It is on record as yours");
        terminal.press(&["y"]);
        terminal.wait_for(&format!("proposal 1 of the {} in r1", ["worker", "manager"][side - 1]));
        terminal.press(&["Escape"]);
        terminal.wait_gone("the same in a shell");
        let of = ["worker", "manager"][side - 1];
        terminal.wait_for(&format!("ago by the operator for the {of}"));
    }
    terminal.wait_for("| next: mend the two tests");
    let rounds = listed(&world)["continuations"].clone();
    let told: Vec<&Value> = rounds.as_array().unwrap().iter().map(|one| &one["payload"]["next"]).collect();
    assert_eq!(told, ["rewrite the lexer", "mend the two tests"], "{rounds:#}");

    // Without a program nobody can be asked to judge; a bad one is a stop that asks the operator.
    terminal.press(&["b"]);
    terminal.wait_for("no program is set that judges");
    world.run(&["continuation-reviewer", "parser", "--set", "--reviewer-command", "/bin/false"]).ok();
    terminal.wait_for("b review");
    terminal.press(&["b"]);
    terminal.wait_for("--correlation-id=r1'");
    terminal.press(&["C-s"]);
    terminal.wait_for("review 1 of r1 by the reviewer: divergent, stop");
    terminal.press(&["Escape"]);
    terminal.wait_for("the reviewer judged");
    terminal.wait_for("to you is open: the review did not take place");
    assert_eq!(listed(&world)["reviews"][0]["subagent_run"]["status"], "failed");

    // The program is forgotten after a yes.
    terminal.press(&["Escape"]);
    terminal.wait_gone("on record: parser");
    terminal.press(&[":"]);
    type_in(&terminal, "forget the program");
    terminal.press(&["Enter"]);
    terminal.wait_for("continuation-reviewer --unset -- parser");
    terminal.press(&["C-s"]);
    terminal.wait_for("Forget the program that judges for parser?");
    terminal.press(&["y"]);
    terminal.wait_for("parser: reviewed by nobody");
    terminal.press(&["Escape"]);
    terminal.wait_gone("reviewed by nobody");
    terminal.press(&["P"]);
    terminal.wait_for("reviewer: none");
}

#[test]
fn both_acknowledge_the_terms_by_keys_and_what_held_is_told_when_it_does_not() {
    let Some((world, terminal)) = opened(&["--require-acks"]) else { return };
    terminal.wait_for("acknowledgements of the terms: required");
    terminal.press(&["w"]);
    terminal.wait_for("not yet: goal is missing");
    type_in(&terminal, "every file parses");
    terminal.press(&["Tab"]);
    type_in(&terminal, "the tests pass");
    terminal.press(&["C-j"]);
    type_in(&terminal, "no warning is left");
    let form = terminal.wait_for("\"must_have\":[\"the tests pass\",\"no warning");
    assert!(form.contains("worker-ack '--expect-version=1'"), "{form}");
    assert_eq!(world.run(&["worker-ack", "parser", "--json"]).ok().json(), Value::Null, "nothing yet");
    terminal.press(&["C-s"]);
    terminal.wait_for("acknowledgement 1 of the worker, said by the operator for it; it holds");
    terminal.press(&["Escape"]);
    terminal.wait_for("worker: revision 1, about terms 1, said");
    terminal.wait_for("| goal_restatement: every file parses");
    terminal.press(&["m"]);
    type_in(&terminal, "it speaks and does not edit");
    terminal.press(&["C-s"]);
    terminal.wait_for("acknowledgement 1 of the manager, said by the operator for it; it holds");
    terminal.press(&["Escape"]);
    terminal.wait_for("manager: revision 1, about terms 1, said");
    let said = world.run(&["worker-ack", "parser", "--json"]).ok().json();
    let wanted = json!({
        "goal_restatement": "every file parses",
        "proposed_criteria": { "must_have": ["the tests pass", "no warning is left"] },
    });
    assert_eq!((&said["payload"], &said["fresh"]), (&wanted, &json!(true)), "{said:#}");
    let said = world.run(&["manager-ack", "parser", "--json"]).ok().json();
    // Nobody has said whether it edits files.
    assert_eq!(said["payload"], json!({"supervision_contract": "it speaks and does not edit"}), "{said:#}");

    // Other terms are not what was acknowledged.
    world.run(&["manager-config", "parser", "--mode", "strict"]).ok();
    terminal.wait_for("by the operator for the worker, does not");
    terminal.wait_for("other terms");
}

#[test]
fn a_handoff_and_a_decision_are_recorded_by_keys() {
    let Some((world, terminal)) = opened(&["--mode", "guided"]) else { return };
    terminal.press(&["h"]);
    terminal.wait_for("not yet: done is missing");
    type_in(&terminal, "the lexer is done");
    terminal.press(&["Tab"]);
    type_in(&terminal, "nested quotes");
    terminal.press(&["C-j"]);
    terminal.press(&["-l", "the manual"]);
    terminal.wait_for("'--next-step=nested quotes'");
    terminal.wait_for("'--next-step=the manual' -- parser");
    // What is no object is refused, and all stays as it was typed.
    terminal.press(&["Tab"]);
    terminal.press(&["-l", "{\"ticket\": 12"]);
    terminal.wait_for("ticket");
    terminal.press(&["C-s"]);
    let refused = terminal.wait_for("more must be a JSON object");
    assert!(refused.contains("the lexer is done") && refused.contains("the manual"), "{refused}");
    terminal.press(&["-l", "}"]);
    terminal.wait_gone("more must be a JSON object");
    terminal.press(&["C-s"]);
    terminal.wait_for("recorded handoff 1 of parser");
    terminal.press(&["Escape"]);
    terminal.wait_for("number 1");
    terminal.wait_for("| next: the manual");
    terminal.wait_for("ago by the operator for the worker, holds");

    terminal.press(&["d"]);
    terminal.wait_for("not yet: decision is missing");
    terminal.press(&["-l", "     "]);
    terminal.wait_for("record-decision -- parser stop");
    terminal.press(&["Tab"]);
    type_in(&terminal, "the format is dropped");
    terminal.press(&["Tab", "Tab"]);
    terminal.press(&["-l", "[12]"]);
    terminal.wait_for("[12]");
    terminal.press(&["C-s"]);
    terminal.wait_for("more must be a JSON object");
    terminal.press(&["C-u"]);
    type_in(&terminal, "{\"ticket\": 13}");
    terminal.press(&["C-s"]);
    terminal.wait_for("recorded decision 1 on parser: stop");
    terminal.press(&["Escape"]);
    terminal.wait_for("1 stop, by operator");
    terminal.wait_for("can be named for");
    let ledger = rusqlite::Connection::open(world.ledger()).unwrap();
    let one = |sql: &str| ledger.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(
        one("select actor || ' ' || decision || ': ' || reason from manager_decisions"),
        "operator stop: the format is dropped"
    );
    assert_eq!(one("select payload_json from worker_handoffs"), "{\"ticket\":12}");
    assert_eq!(one("select payload_json from manager_decisions"), "{\"ticket\":13}");
    assert_eq!(
        one("select summary || next_steps_json from worker_handoffs"),
        "the lexer is done[\"nested quotes\",\"the manual\"]"
    );

    // The end of the task names it; another number is refused, and nothing ends.
    terminal.press(&["Escape"]);
    terminal.wait_gone("on record: parser");
    terminal.press(&[":"]);
    type_in(&terminal, "stop a task that");
    terminal.press(&["Enter"]);
    terminal.wait_for("not yet: why is missing");
    type_in(&terminal, "the format is dropped");
    terminal.press(&["Tab", "Tab", "Tab"]);
    terminal.press(&["-l", "9"]);
    terminal.press(&["Tab", "Space"]);
    terminal.wait_for("--decision-id=9");
    terminal.wait_for("--strict-decisions");
    terminal.press(&["C-s"]);
    terminal.wait_for("Stop parser, which is not done?");
    terminal.press(&["y"]);
    terminal.wait_for("there is no decision of this number");
    let state = || one("select state from tasks where name = 'parser'");
    assert_eq!(state(), "managed");
    // Its form lies below, and is mended.
    terminal.press(&["Escape"]);
    terminal.wait_gone("there is no decision of this number");
    terminal.wait_for("--decision-id=9");
    terminal.press(&["BTab", "C-u"]);
    terminal.press(&["-l", "1"]);
    terminal.wait_for("--decision-id=1");
    terminal.press(&["C-s"]);
    terminal.wait_for("Stop parser, which is not done?");
    terminal.press(&["y"]);
    terminal.wait_for("parser is stopped");
    assert_eq!(state(), "failed");
}
