//! What remains of acting by keys: an interruption with a message for afterwards, answers to what a worker asks, a
//! decision about an uncertain message, deliveries of one task, and a ledger that another process holds.

use rusqlite::Connection;

use super::{
    messages::{number, pair},
    terminal::Terminal,
    world::{World, wait_for},
};

fn cockpit(world: &World, words: &str) -> Terminal {
    let terminal = Terminal::open(world, &world.shell_environment(), 110, 34);
    terminal.conveyor(words);
    terminal.wait_for("1 Fleet");
    terminal
}

#[track_caller]
fn wait_for_number(world: &World, terminal: &Terminal, sql: &str, wanted: i64) {
    wait_for(sql, || (number(world, sql) == wanted).then_some(()), || terminal.screen());
}

/// Waits until all of it is on the screen: a frame may be seen while it is written.
#[track_caller]
fn wait_for_all(terminal: &Terminal, parts: &[&str]) {
    terminal.wait_until(&parts.join(" | "), |screen| parts.iter().all(|part| screen.contains(part)));
}

/// Closes the box with a command's result.
fn close(terminal: &Terminal) {
    terminal.press(&["Escape"]);
    terminal.wait_gone("it ran (");
}

#[test]
fn a_turn_is_interrupted_by_keys_with_a_message_for_afterwards() {
    let Some(world) = World::start() else { return };
    let go = world.hold();
    world.start_worker("w1", &format!("Begin {{{{hold {}}}}} {{{{say Never.}}}}", go.display()));
    world.wait_for_condition("w1", "busy");
    let terminal = cockpit(&world, "");
    terminal.wait_for("working");
    terminal.press(&["!"]);
    terminal.wait_for("what the turn has not finished is lost");
    terminal.press(&["Escape"]);
    terminal.wait_gone("what the turn has not finished is lost");
    assert_eq!(world.status("w1")["condition"], "busy", "nothing happens unasked");
    terminal.press(&["!"]);
    terminal.wait_for("runs: conveyor session-interrupt '--wait=10' -- w1");
    terminal.press(&["Report {{say Stopped here.}}"]);
    terminal.wait_for("'--followup=Report");
    terminal.press(&["Enter"]);
    // The receipt shows its proof.
    wait_for_all(&terminal, &["it ran (", "interrupted", "byte"]);
    close(&terminal);
    wait_for_number(&world, &terminal, "select count(*) from events where type = 'session_interrupted'", 1);
    let followed = "select count(*) from commands where phase = 'done' and created_by = 'operator'";
    wait_for_number(&world, &terminal, followed, 1);
    terminal.wait_for("Stopped here.");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn what_a_worker_asks_is_approved_and_declined_by_keys() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Change it {{shell-esc rm -rf build}} {{say All changed.}}");
    world.wait_for_condition("w1", "blocked");
    let terminal = cockpit(&world, "");
    terminal.wait_for("1 needs you");
    terminal.press(&["y"]);
    wait_for_all(&terminal, &["it wants to run a command", "asks: rm -rf build", "1 approve  2 decline"]);
    terminal.press(&["1"]);
    wait_for_all(&terminal, &["Approve exactly this, this once?", "asks: rm -rf build", "session-answer"]);
    terminal.press(&["n"]);
    terminal.wait_gone("Approve exactly this");
    assert!(world.screen("w1").contains("Would you like to run"), "no means that it is left open");
    terminal.press(&["y"]);
    terminal.wait_for("asks: rm -rf build");
    terminal.press(&["1"]);
    terminal.wait_for("Approve exactly this, this once?");
    terminal.press(&["y"]);
    terminal.wait_until("the receipt", |screen| screen.contains("it ran (") && screen.contains("session-answer"));
    close(&terminal);
    world.wait_for_condition("w1", "done");
    terminal.wait_for("All changed.");
    assert_eq!(number(&world, "select count(*) from events where type = 'session_answered'"), 1);

    world.say("w1", "Once more {{shell-esc rm -rf all}} {{say Not done.}}");
    terminal.wait_for("1 needs you");
    terminal.press(&["y"]);
    terminal.wait_for("asks: rm -rf all");
    terminal.press(&["2"]);
    // On its screen a no ends the turn, and that is said before.
    terminal.wait_for("Decline this? That ends the turn as well");
    terminal.press(&["y"]);
    terminal.wait_until("the receipt", |screen| screen.contains("it ran (") && screen.contains("decline"));
    close(&terminal);
    terminal.wait_for("nobody needs you");
    assert_eq!(number(&world, "select count(*) from events where type = 'session_answered'"), 2);
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn an_uncertain_message_is_decided_and_a_task_is_paused_by_keys() {
    let Some(world) = World::start() else { return };
    pair(&world);
    world.run(&["enqueue-nudge-worker", "parser", "--message", "did this arrive"]).ok();
    // As a dispatcher leaves it that vanished in the middle of a call to a thread that is not the worker's any more.
    let sql = Connection::open(world.ledger()).unwrap();
    let dispatcher = "insert into dispatchers (id, host, pid, pid_start, boot_id, started_at, heartbeat_at,
            heartbeat_uptime, state)
         select 'gone', 'watch', 1, 1, boot_id, created_at, created_at, 0, 'stopped' from commands";
    assert_eq!(sql.execute(dispatcher, []).unwrap(), 1);
    let left = "update commands set phase = 'started', state = 'attempted', claimed_by = 'gone', fence = 1, attempts = 1,
            available_uptime = 0, lane = 'server', result_json = '{\"thread_id\":\"01a1fbe2-0000-7000-8000-000000000000\"}'";
    assert_eq!(sql.execute(left, []).unwrap(), 1);
    drop(sql);
    world.run(&["dispatch", "--once"]).ok();
    assert_eq!(number(&world, "select count(*) from commands where phase = 'ambiguous'"), 1);

    let terminal = cockpit(&world, "--no-dispatch");
    terminal.wait_for("1 uncertain (see 4)");
    terminal.press(&["4"]);
    terminal.wait_for("V it arrived; X it did not; R send it again");
    terminal.press(&["V"]);
    wait_for_all(&terminal, &["It is recorded as your word", "dispatch resolve '--as=delivered'"]);
    terminal.press(&["y"]);
    terminal.wait_until("the receipt", |screen| screen.contains("it ran (") && screen.contains("resolve"));
    close(&terminal);
    let told = "select count(*) from commands where phase = 'done'
        and json_extract(result_json, '$.receipt.kind') = 'operator'";
    assert_eq!(number(&world, told), 1);
    terminal.wait_gone("1 uncertain");

    for (words, title, question, paused) in [
        ("pause deliv parser", "> pause deliveries of parser", "Hold back what is to be delivered for parser", 1),
        ("resume deliv parser", "> resume deliveries of parser", "Deliver for parser again?", 0),
    ] {
        terminal.press(&["1", ":"]);
        terminal.wait_for("do anything");
        terminal.press(&[words]);
        terminal.wait_for(title);
        terminal.press(&["Enter"]);
        wait_for_all(&terminal, &[question, "'--task=parser'"]);
        terminal.press(&["y"]);
        wait_for_number(&world, &terminal, "select count(*) from dispatch_pauses", paused);
        terminal.wait_for("it ran (");
        close(&terminal);
    }
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_ledger_that_another_process_holds_is_said_and_what_was_typed_comes_back() {
    let Some(world) = World::start() else { return };
    pair(&world);
    let terminal = cockpit(&world, "--no-dispatch");
    terminal.wait_for("w1");
    let lock = Connection::open(world.ledger()).unwrap();
    lock.execute_batch("begin immediate").unwrap();
    terminal.press(&["T"]);
    terminal.wait_for("not yet: name is missing");
    terminal.press(&["lexer", "Tab", "tokens", "C-s"]);
    // What is known stays on the screen.
    wait_for_all(&terminal, &["failed", "in use", "hint", "w1"]);
    close(&terminal);
    lock.execute_batch("rollback").unwrap();
    drop(lock);
    // Its form lies below the receipt, and says what was wrong.
    wait_for_all(&terminal, &["new task", "in use", "'--create=lexer'"]);
    terminal.press(&["C-s"]);
    wait_for_number(&world, &terminal, "select count(*) from tasks where name = 'lexer' and goal = 'tokens'", 1);
    terminal.wait_for("it ran (");
    close(&terminal);
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}
