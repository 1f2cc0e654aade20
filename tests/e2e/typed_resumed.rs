//! Messages to a session whose Codex has ended: they wait in its inbox, and are typed when it is back. Once, in order.

use std::process::Command;

use serde_json::{Value, json};

use super::{bound::Bound, typed::Typed, world::wait_for};

/// The Codex of `w1` crashes.
fn crash(typed: &Typed) {
    let world = &typed.world;
    world.say("w1", "now {{crash}}");
    world.wait_for_condition("w1", "aborted");
    is_gone(typed);
}

fn is_gone(typed: &Typed) {
    let world = &typed.world;
    wait_for(
        "its Codex to be gone",
        || world.status("w1")["judgement"]["readings"].to_string().contains("gone").then_some(()),
        || format!("{:#}", world.status("w1")),
    );
}

#[test]
fn what_came_while_its_codex_was_gone_is_typed_after_the_resume_in_order() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    crash(&typed);
    let fetched = typed.nudge("zero");
    typed.until(&fetched, "delivered");
    let taken = world.run(&["receive", "w1", "--json"]).ok().out;
    assert!(taken.contains("zero"), "{taken}");
    let (one, two) = (typed.nudge("one {{say One.}}"), typed.nudge("two {{say Two.}}"));
    for id in [&one, &two] {
        let laid = typed.until(id, "delivered");
        assert_eq!(laid["lane"], "inbox", "{laid:#}");
        let why = laid["lane_reason"].as_str().unwrap_or_default();
        assert!(why.contains("`conveyor resume w1` opens it again, and then this is sent to it"), "{why}");
    }

    // It came later, and waits: it comes later.
    let three = typed.nudge("three {{say Three.}}");
    let planned = world.run(&["resume", "w1", "--dry-run", "--json"]).ok().json();
    let resumed = world.run(&["resume", "w1", "--json"]).ok().json();
    for said in [planned, resumed] {
        assert_eq!(said["requeued_commands"], json!([one, two]), "{said:#}");
    }
    let stands = |id: &str| typed.command(id)["phase"].as_str().unwrap_or_default().to_owned();
    for id in [&one, &two] {
        let again = typed.command(id);
        assert_eq!((&again["phase"], &again["lane"]), (&json!("queued"), &Value::Null), "{again:#}");
        assert_eq!(again["lane_reason"], Value::Null, "no next step of what is over: {again:#}");
    }
    let done = typed.until_all_done(&[one, two, three]);
    for (command, text) in done.iter().zip(["one {{", "two {{", "three {{"]) {
        typed.assert_received(command, text);
    }
    let heard = typed.heard();
    let place = |text: &str| heard.iter().position(|heard| heard.contains(text));
    assert!(place("one {{") < place("two {{") && place("two {{") < place("three {{"), "{heard:#?}");
    // What somebody has in hand is not given twice.
    assert_eq!((stands(&fetched).as_str(), typed.times("zero")), ("delivered", 0), "{heard:#?}");
    let left = world.run(&["session-inbox", "w1", "--json"]).ok().json();
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1), "only what was fetched: {left:#}");
}

#[test]
fn what_is_not_sent_in_its_time_after_a_resume_lies_in_the_inbox_again() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    crash(&typed);
    let long = ["enqueue-nudge-worker", "parser", "--json", "--expires", "7200", "--message", "has long"];
    let patient = world.run(&long).ok().json()["command_id"].as_str().expect("an id").to_owned();
    let brief = typed.nudge("half an hour");
    typed.until(&brief, "delivered");
    let said = world.run(&["resume", "w1", "--text"]).ok().out;
    assert!(said.contains("2 messages that came while its Codex was gone are queued again"), "{said}");
    let left = |id: &str| {
        let sql = "select (julianday(expires_at) - julianday('now')) * 1440 from commands where id = ?1";
        typed.sql().query_row(sql, [id], |row| row.get::<_, f64>(0)).expect("its time")
    };
    assert!(left(&patient) > 100.0 && (25.0..35.0).contains(&left(&brief)), "{} {}", left(&patient), left(&brief));

    // A pause holds it, like everything.
    typed.sql().execute("update commands set expires_uptime = 0", []).expect("the ledger");
    world.run(&["dispatch", "pause"]).ok();
    typed.dispatch();
    assert_eq!(typed.command(&brief)["phase"], "queued");
    world.run(&["dispatch", "resume"]).ok();
    typed.dispatch();
    for id in [&patient, &brief] {
        let back = typed.command(id);
        assert_eq!((&back["phase"], &back["lane"]), (&json!("delivered"), &json!("inbox")), "{back:#}");
        assert!(back["lane_reason"].as_str().is_some_and(|why| why.contains("its time ran out")), "{back:#}");
    }
    let left = world.run(&["session-inbox", "w1", "--json"]).ok().json();
    assert_eq!(left["items"].as_array().map(Vec::len), Some(2), "{left:#}");
    assert_eq!((typed.times("half an hour"), typed.times("has long")), (0, 0));
}

#[test]
fn a_pointer_that_went_down_with_its_codex_is_typed_again_after_the_resume() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    let id = typed.nudge(&format!("begin {} end", "word ".repeat(300)));
    typed.dies_at("staged");
    // Its Codex dies with the key.
    let pid = world.session("w1")["pid"].as_i64().expect("its pid").to_string();
    assert!(Command::new("kill").args(["-KILL", &pid]).status().expect("kill runs").success());
    let pressed = "update commands set phase = 'submitted' where id = ?1";
    assert_eq!(typed.sql().execute(pressed, [&id]).expect("the ledger"), 1);
    is_gone(&typed);
    let laid = wait_for(
        "its end to be seen",
        || {
            typed.time_passes();
            typed.dispatch();
            Some(typed.command(&id)).filter(|one| one["phase"] == "delivered")
        },
        || format!("{:#}", typed.command(&id)),
    );
    assert_eq!((&laid["lane"], &laid["result"]["pointer"]), (&json!("tmux"), &Value::Null), "{laid:#}");
    let resumed = world.run(&["resume", "w1", "--json"]).ok().json();
    assert_eq!(resumed["requeued_commands"], json!([id]), "{resumed:#}");
    let told = typed.until(&id, "delivered");
    assert!(told["result"]["pointer"]["byte_offset"].is_u64(), "{told:#}");
    assert_eq!(typed.times("lies in your inbox"), 1, "{:#?}", typed.heard());
    let left = world.run(&["session-inbox", "w1", "--json"]).ok().json();
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1), "{left:#}");
}
