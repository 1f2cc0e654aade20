//! Marks by keys: a look is recorded with its byte, pins and snoozes stand in the ledger, the gone are folded.

use std::fs;

use rusqlite::Connection;

use super::{
    terminal::Terminal,
    world::{World, wait_for},
};

/// The row of marks of a session, as one line.
fn marks(world: &World, name: &str) -> Option<String> {
    let ledger = Connection::open(world.ledger()).unwrap();
    let sql =
        "select pinned_at is not null, snoozed_until is not null, coalesce(seen_offset, -1), unread_at is not null
               from marks join sessions on sessions.id = session_id where name = ?";
    let row = |row: &rusqlite::Row<'_>| {
        let flags: (bool, bool, i64, bool) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(format!("pinned {} snoozed {} seen {} unread {}", flags.0, flags.1, flags.2, flags.3))
    };
    ledger.query_row(sql, [name], row).ok()
}

fn wait_for_marks(world: &World, terminal: &Terminal, expected: &str) {
    let found = || marks(world, "w1").filter(|found| found == expected).map(drop);
    wait_for(expected, found, || format!("{:?}\n{}", marks(world, "w1"), terminal.screen()));
}

#[test]
fn looking_is_recorded_and_marks_by_keys_stand_in_the_ledger() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Begin {{say All changed.}}");
    world.wait_for_condition("w1", "done");
    let terminal = Terminal::open(&world, &world.shell_environment(), 100, 30);
    terminal.conveyor("");
    terminal.wait_for("All changed.");
    terminal.wait_for("\u{2713}");
    let attention = || world.run(&["list", "--json"]).ok().json()["sessions"][0]["attention"].clone();
    assert_eq!(attention(), "done_unseen", "printing it and having it on the list is no look");
    assert_eq!(marks(&world, "w1"), None);

    terminal.press(&["Enter"]);
    let ledger = Connection::open(world.ledger()).unwrap();
    let path: String = ledger.query_row("select codex_session_path from sessions", [], |row| row.get(0)).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    wait_for_marks(&world, &terminal, &format!("pinned false snoozed false seen {size} unread false"));
    terminal.wait_gone("\u{2713}");
    assert_eq!(attention(), "idle");

    terminal.press(&["u"]);
    wait_for_marks(&world, &terminal, &format!("pinned false snoozed false seen {size} unread true"));
    terminal.wait_for("\u{2713}");
    assert_eq!(attention(), "done_unseen");
    terminal.press(&["P"]);
    wait_for_marks(&world, &terminal, &format!("pinned true snoozed false seen {size} unread true"));
    terminal.press(&["s"]);
    terminal.wait_for("mark '--snooze=15m' -- w1");
    terminal.press(&["j", "Enter"]);
    wait_for_marks(&world, &terminal, &format!("pinned true snoozed true seen {size} unread true"));
    terminal.wait_for("snoozed for 59m");
    terminal.press(&["w"]);
    terminal.wait_for("nobody needs you");
    let asleep = world.run(&["list", "--filter", "is:snoozed is:pinned", "--json"]).ok().json();
    assert_eq!(asleep["sessions"].as_array().map(Vec::len), Some(1), "{asleep:#}");
    terminal.press(&["s", "Enter"]);
    wait_for_marks(&world, &terminal, &format!("pinned true snoozed false seen {size} unread true"));

    world.run(&["stop", "w1"]).ok();
    // What is selected keeps its row when it goes; who folds those that are gone folds it too.
    terminal.wait_for("it was stopped; `conveyor resume w1`");
    terminal.press(&["H"]);
    terminal.wait_for("are shown");
    terminal.press(&["H"]);
    terminal.wait_for("1 gone (H shows)");
    terminal.wait_gone("All changed.");
    terminal.press(&["H"]);
    terminal.wait_for("it was stopped; `conveyor resume w1`");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_session_does_not_say_what_an_operator_has_seen() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Begin {{say Done.}}");
    world.wait_for_condition("w1", "done");
    // As a command that the worker runs: below the process of its pane.
    let (pid, start): (i64, i64) = {
        let me = std::process::id();
        let stat = fs::read_to_string(format!("/proc/{me}/stat")).unwrap_or_default();
        let start = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19)?.parse().ok());
        let Some(start) = start else { return };
        (i64::from(me), start)
    };
    let ledger = Connection::open(world.ledger()).unwrap();
    ledger.execute("update sessions set pid = ?, pid_start = ?", [pid, start]).unwrap();
    for flag in ["--seen", "--unread"] {
        let refused = world.run(&["mark", "w1", flag, "--json"]);
        assert_eq!((refused.code, refused.error()["kind"].as_str()), (1, Some("refused")), "{refused}");
    }
    world.run(&["mark", "w1", "--pin"]).ok();
    assert_eq!(marks(&world, "w1").as_deref(), Some("pinned true snoozed false seen -1 unread false"));
}
