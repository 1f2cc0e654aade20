//! Messages by keys: a nudge climbs to its receipt, and the emergency stop holds what comes after it.

use std::fs;

use rusqlite::Connection;

use super::{
    terminal::Terminal,
    world::{World, wait_for},
};

/// A bound pair that needs no Codex: two rollouts on the disk.
pub fn pair(world: &World) {
    for (role, name, thread) in [
        ("worker", "w1", "01a1fbe2-0000-7000-8000-000000000001"),
        ("manager", "m1", "01a1fbe2-0000-7000-8000-000000000002"),
    ] {
        let path = world.cwd().join(format!("{name}.jsonl"));
        let head = serde_json::json!({
            "timestamp": "2026-11-21T09:00:00.000Z", "ordinal": 0, "type": "session_meta",
            "payload": {
                "id": thread, "timestamp": "2026-11-21T09:00:00.000Z", "cwd": "/home/user/project",
                "originator": "codex-tui", "cli_version": "0.169.0", "source": "cli",
            },
        });
        fs::write(&path, format!("{head}\n")).unwrap();
        let path = path.display().to_string();
        world.run(&[&format!("register-{role}"), "--name", name, "--codex-session", &path]).ok();
    }
    world.run(&["tasks", "--create", "parser", "--goal", "prove it"]).ok();
    world.run(&["bind", "--task", "parser", "--worker", "w1", "--manager", "m1"]).ok();
}

pub fn number(world: &World, sql: &str) -> i64 {
    Connection::open(world.ledger()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_nudge_by_keys_climbs_to_delivered_and_the_emergency_stop_holds_the_next() {
    let Some(world) = World::start() else { return };
    pair(&world);
    let terminal = Terminal::open(&world, &world.shell_environment(), 100, 30);
    terminal.conveyor("");
    terminal.wait_for("dispatch: this cockpit");
    terminal.press(&["/"]);
    terminal.press(&["role:worker", "Enter"]);
    terminal.wait_gone("m1 \u{2194}");

    terminal.press(&["n"]);
    terminal.wait_for(" nudge w1 ");
    terminal.press(&["run the tests", "C-j", "again"]);
    terminal.wait_for("session-nudge --no-wait '--expires=1800' -- w1 'run the tests");
    assert_eq!(number(&world, "select count(*) from commands"), 0, "nothing is sent before Enter");
    terminal.press(&["Enter"]);
    let screen = terminal.wait_for("w1 has not confirmed it");
    assert!(
        screen.contains("into w1's inbox")
            && screen.contains("no Codex server holds its thread: it has to fetch its messages"),
        "{screen}"
    );
    let once = "select count(*) from commands as c join routed_notifications as n on n.command_id = c.id
        where c.phase = 'delivered' and c.attempts = 1 and c.created_by = 'operator' and c.source_session_id is null
          and json_extract(n.payload_json, '$.message') = 'run the tests' || char(10) || 'again'";
    assert_eq!(number(&world, once), 1);
    assert_eq!(number(&world, "select count(*) from commands"), 1);
    terminal.press(&["Escape"]);
    terminal.wait_gone("w1 has not confirmed it");

    terminal.press(&["S"]);
    terminal.wait_for("dispatch pause --all");
    terminal.wait_for("DISPATCH PAUSED");
    terminal.press(&["Escape"]);
    terminal.wait_gone("dispatch pause --all");
    terminal.press(&["n"]);
    terminal.wait_for(" nudge w1 ");
    terminal.press(&["second", "Enter"]);
    terminal.wait_for("waits      dispatch is paused");
    terminal.wait_for("to go on   S lets it go on");
    // A dispatcher that looks twice more leaves it where it is.
    let passes = || number(&world, "select sum(passes) from dispatchers");
    let before = passes();
    wait_for("two more passes", || (passes() >= before + 2).then_some(()), || terminal.screen());
    assert_eq!(number(&world, "select count(*) from commands where phase = 'queued'"), 1);
    assert_eq!(number(&world, "select count(*) from routed_notifications"), 1, "nothing was delivered");
    terminal.press(&["Escape"]);
    terminal.wait_gone("waits      dispatch is paused");

    terminal.press(&["S"]);
    terminal.wait_for("Deliver again? 1 message waits");
    terminal.press(&["y"]);
    let delivered = || number(&world, "select count(*) from commands where phase = 'delivered'");
    wait_for("the second delivery", || (delivered() == 2).then_some(()), || terminal.screen());
    terminal.wait_for("dispatch goes on");
    terminal.press(&["Escape"]);
    terminal.wait_gone("DISPATCH PAUSED");
    terminal.press(&["4"]);
    let screen = terminal.wait_until("both in the inbox", |screen| screen.matches("unread ").count() >= 2);
    assert!(screen.contains("second") && screen.contains("run the tests a"), "{screen}");
    assert_eq!(number(&world, "select count(*) from routed_notifications"), 2);
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}
