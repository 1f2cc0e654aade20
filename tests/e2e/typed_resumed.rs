//! Messages to a session whose Codex has ended: they wait in its inbox, and are typed when it is back. Once, in order.

use super::{bound::Bound, typed::Typed, world::wait_for};

#[test]
fn what_came_while_its_codex_was_gone_is_typed_after_the_resume_in_order() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    world.say("w1", "now {{crash}}");
    world.wait_for_condition("w1", "aborted");
    wait_for(
        "its Codex to be gone",
        || world.status("w1")["judgement"]["readings"].to_string().contains("gone").then_some(()),
        || format!("{:#}", world.status("w1")),
    );
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

    world.run(&["resume", "w1"]).ok();
    let stands = |id: &str| typed.command(id)["phase"].as_str().unwrap_or_default().to_owned();
    assert_eq!((stands(&one), stands(&two)), ("queued".to_owned(), "queued".to_owned()));
    let three = typed.nudge("three {{say Three.}}");
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
