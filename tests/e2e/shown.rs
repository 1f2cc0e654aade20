//! What a session shows in a real terminal: its conversation with senders and outcomes, and its pane.

use super::{terminal::Terminal, world::World};

fn cockpit(world: &World) -> Terminal {
    let terminal = Terminal::open(world, &world.shell_environment(), 160, 50);
    terminal.conveyor("");
    terminal.wait_until("the cockpit", |screen| screen.contains("1 Fleet"));
    terminal
}

#[test]
fn a_conversation_names_senders_and_outcomes_and_the_pane_is_one_key_away() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Look {{shell echo seen; false}} {{say **All** `seen`.}}");
    world.bind("parser", "w1");
    world.wait_for_condition("w1", "done");
    let terminal = cockpit(&world);
    let screen = terminal.wait_for("All `seen`.");
    assert!(screen.contains("$ echo seen; false") && screen.contains("command exit"), "{screen}");
    assert!(screen.contains("turn began") && screen.contains("turn ended"), "{screen}");
    assert!(!screen.contains("  **All**"), "Markdown is set, not shown: {screen}");

    world.run(&["enqueue-nudge-worker", "parser", "--message", "count them {{say Counted.}}"]).ok();
    let screen = terminal.wait_for("Counted.");
    assert!(screen.contains("from operator on task parser, "), "{screen}");
    assert!(!screen.contains("  [conveyor] From"), "what is typed around a message is not shown: {screen}");

    terminal.press(&["p"]);
    let screen = terminal.wait_for("as of ");
    assert!(screen.contains("worker w1: pane"), "{screen}");
    assert!(screen.contains("[conveyor] From the operator"), "the pane shows what was typed: {screen}");
    terminal.press(&["p"]);
    terminal.wait_gone("as of ");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_pair_stands_side_by_side_on_the_task_screen() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Begin {{say Begun.}}");
    world.bind("parser", "w1");
    world.wait_for_condition("w1", "done");
    let terminal = cockpit(&world);
    // Which of the two stands first depends on whose rollout was read first.
    terminal.wait_for("parser");
    terminal.press(&["2"]);
    let screen = terminal.wait_until("both ends", |screen| {
        let both = screen.contains("worker w1: conversation") && screen.contains("manager m1: conversation");
        // A frame is on its way to the terminal in pieces.
        both && screen.contains("Begun.") && screen.contains("binding created")
    });
    assert!(screen.contains("decisions and acts on record"), "{screen}");
    terminal.press(&["Tab", "Tab", "p"]);
    terminal.wait_for("as of ");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}
