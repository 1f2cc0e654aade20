//! `/clear` typed into a worker's pane: believed only when the pane shows another thread, and the session's record, its
//! binding and its messages go on there.

use std::{fs, process::Stdio};

use serde_json::{Value, json};

use super::{
    adopted::{capture, foreign_session, register},
    bound::Bound,
    deliver::Live,
    typed::{Typed, counted_as_submitted},
    typed_compact::real,
    world::{World, wait_for},
};
use crate::support::codex_lab::CodexLab;

const CLEAR: [&str; 3] = ["request-worker-compact", "parser", "--clear"];

impl Typed {
    fn thread(&self) -> String {
        self.world.session("w1")["codex_session_id"].as_str().expect("a thread").to_owned()
    }

    /// The rollout of a thread; nothing when it has none.
    fn said_in(&self, thread: &str) -> String {
        let named = |path: &std::path::PathBuf| path.display().to_string().contains(thread);
        let found = self.world.rollouts().into_iter().find(named);
        found.map(|path| fs::read_to_string(path).expect("the rollout")).unwrap_or_default()
    }

    /// How often the session's record has moved to another thread.
    fn moves(&self) -> i64 {
        let sql = "select count(*) from events where type = 'session_thread_changed'";
        self.sql().query_row(sql, [], |row| row.get(0)).expect("the trail")
    }

    /// The first turn of an empty thread, so that there is something to clear.
    fn turn(&self) {
        self.world.say("w1", "go on {{say Went on.}}");
        self.world.wait_for_condition("w1", "done");
    }

    #[track_caller]
    fn assert_left(&self, told: &Value, left: &str) {
        let (receipt, now) = (&told["receipt"], self.thread());
        assert_eq!(
            (&receipt["left_thread_id"], &receipt["thread_id"]),
            (&left.into(), &now.as_str().into()),
            "{told:#}\n{}",
            self.world.screen("w1")
        );
        assert_ne!(left, now);
        assert!(!self.world.screen("w1").contains("› /clear"), "{}", self.world.screen("w1"));
    }
}

#[test]
fn a_worker_begins_an_empty_thread_and_its_messages_follow_it() {
    let Some(typed) = Typed::start() else { return };
    let (world, left) = (&typed.world, typed.thread());
    let rehearsed = world.run(&[&CLEAR[..], &["--dry-run"]].concat()).ok().json();
    assert_eq!(
        (&rehearsed["send_result"]["lane"], &rehearsed["slash_command"], &rehearsed["dry_run"]),
        (&"tmux".into(), &"/clear".into(), &true.into()),
        "{rehearsed:#}"
    );
    let marks = world.server().plain(&["show-options", "-p", "-t", &world.pane("w1").to_string()]);
    assert!(!marks.contains("@cvy") && typed.thread() == left, "{marks}");

    // What waits in front of it still goes to the thread that it is meant for.
    let before = typed.nudge("while you remember");
    let words = ["compact-worker", "parser", "--clear", "--reason", "the next step needs nothing of it"];
    let done = world.run(&words).ok().json();
    assert_eq!((&done["phase"], &done["state"]), (&"done".into(), &"succeeded".into()), "{done:#}");
    typed.assert_left(&done, &left);
    assert_eq!((typed.command(&before)["phase"].as_str(), typed.moves()), (Some("done"), 1));
    assert_eq!(world.status("w1")["awaiting_first_prompt"], true);
    // An empty thread holds nothing to clear, and is not left for another one.
    let again = world.run(&CLEAR);
    assert_eq!((again.code, again.json()["phase"].as_str()), (1, Some("failed")), "{again}");
    assert!(again.json()["reason"].as_str().is_some_and(|why| why.contains("nothing to clear")), "{again}");

    let after = typed.nudge("a new beginning");
    typed.until(&after, "done");
    let (old, new) = (typed.said_in(&left), typed.said_in(&typed.thread()));
    assert_eq!((old.contains("while you remember"), old.contains("a new beginning")), (true, false));
    assert_eq!((new.contains("while you remember"), new.contains("a new beginning")), (false, true));
    assert_eq!(typed.moves(), 1);
    world.wait_for_condition("w1", "done");
    let end = world.cycle("parser")["manager_context"]["worker_receipt"].clone();
    assert!(end.is_object(), "the binding sees the new thread's turns: {end:#}");
}

#[test]
fn a_thread_that_nobody_asked_to_clear_is_not_cleared() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    // It waits for the end of a turn, and meanwhile a person begins another thread.
    let hold = world.hold();
    world.say("w1", &format!("work {{{{hold {}}}}} {{{{say Worked.}}}}", hold.display()));
    world.wait_for_condition("w1", "busy");
    let asked = world.run(&[&CLEAR[..], &["--no-wait"]].concat()).ok().json();
    let id = asked["command_id"].as_str().expect("an id");
    assert!(asked["reason"].as_str().is_some_and(|why| why.contains("a turn is running")), "{asked:#}");
    typed.sql().execute("update commands set available_uptime = 1 << 60", []).expect("the ledger");
    fs::write(hold, "").expect("a file");
    world.wait_for_condition("w1", "done");
    let left = typed.thread();
    world.say("w1", "/new");
    wait_for(
        "the new thread",
        || {
            world.status("w1");
            (typed.thread() != left).then_some(())
        },
        || world.screen("w1"),
    );
    typed.turn();
    let own = typed.thread();
    typed.time_passes();
    let failed = typed.until_it_is(id, "failed");
    assert!(failed["error"].as_str().is_some_and(|why| why.contains("another thread")), "{failed:#}");
    assert_eq!((typed.thread(), &failed["attempts"]), (own, &0.into()), "{failed:#}");
    assert!(!world.screen("w1").contains("/clear"), "{}", world.screen("w1"));

    // A message of which it was told and that it has not read would be forgotten.
    let long = "x".repeat(2_000);
    let pointed = typed.nudge(&long);
    typed.until(&pointed, "delivered");
    world.wait_for_condition("w1", "done");
    let asked = world.run(&[&CLEAR[..], &["--no-wait"]].concat()).ok().json();
    let id = asked["command_id"].as_str().expect("an id");
    typed.time_passes();
    typed.until_it_waits(id, "lies unread");
    let own = typed.thread();
    let taken = world.run(&["receive", "w1", "--json"]).ok().json();
    world.run(&["ack", taken["received"]["lease_token"].as_str().expect("a token")]).ok();
    typed.time_passes();
    let done = typed.until_it_is(id, "done");
    typed.assert_left(&done["result"], &own);
}

#[test]
fn it_is_one_thread_wherever_its_dispatcher_dies() {
    let Some(typed) = Typed::start() else { return };
    for (place, point) in ["started", "pasted", "staged", "pressed", "submitted"].into_iter().enumerate() {
        let left = typed.thread();
        let id = typed.asks_to_clear_and_dies_at(point);
        let done = typed.until_it_is(&id, "done");
        typed.assert_left(&done["result"], &left);
        assert_eq!(typed.moves(), i64::try_from(place).expect("small") + 1, "{point}: {done:#}");
        typed.turn();
    }
    // Somebody else has pressed the key, or begun a thread in another way: that is for a person to tell.
    let id = typed.asks_to_clear_and_dies_at("staged");
    typed.world.wait_for_screen("w1", "› /clear");
    typed.press(&["Enter"]);
    let open = typed.until_it_is(&id, "ambiguous");
    assert!(open["error"].as_str().is_some_and(|why| why.contains("another thread")), "{open:#}");
}

#[test]
fn a_pane_that_does_not_show_its_thread_is_not_cleared() {
    let Some(world) = World::start() else { return };
    // Its rollout stays open after `/clear`, and no lock tells of the new thread.
    world.codex(&["--speed", "20", "--dialect", "0.150"]);
    let pane = foreign_session(&world, "codex 'hello {{say Hello.}}'; exec sleep 1000");
    let seen = || capture(&world, &pane);
    wait_for("its turn", || seen().contains("Hello.").then_some(()), seen);
    register(&world, "w1", &pane).ok();
    world.bind("parser", "w1");
    world.wait_for_condition("w1", "done");
    let refused = world.run(&[&CLEAR[..], &["--json"]].concat());
    let message = refused.error()["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!((refused.code, message.contains("does not tell which thread it shows")), (1, true), "{refused}");
    assert_eq!(world.run(&["commands", "--json"]).ok().json(), json!([]));
    assert!(!seen().contains("/clear"), "{}", seen());
}

#[test]
fn a_thread_that_somebody_else_began_or_forked_is_not_taken_for_an_empty_one() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    let submitted = || {
        let id = typed.asks_to_clear_and_dies_at("staged");
        world.wait_for_screen("w1", "› /clear");
        counted_as_submitted(&typed);
        typed.press(&["C-c"]);
        wait_for(
            "an empty composer",
            || (!world.screen("w1").contains("› /clear")).then_some(()),
            || world.screen("w1"),
        );
        id
    };
    // Codex has refused the command, as a turn had just begun.
    let id = submitted();
    let hold = world.hold();
    world.say("w1", &format!("work {{{{hold {}}}}} {{{{say Worked.}}}}", hold.display()));
    world.wait_for_condition("w1", "busy");
    typed.until_it_waits(&id, "a turn is running");
    fs::write(&hold, "").expect("a file");
    world.wait_for_condition("w1", "done");
    let left = typed.thread();
    world.say("w1", "/new");
    let another = || {
        world.status("w1");
        (typed.thread() != left).then_some(())
    };
    wait_for("the new thread", another, || world.screen("w1"));
    typed.time_passes();
    let open = typed.until_it_is(&id, "ambiguous");
    assert!(open["error"].as_str().is_some_and(|why| why.contains("another thread")), "{open:#}");

    // A fork holds everything; its rollout says whose child it is.
    typed.turn();
    let (id, left) = (submitted(), typed.thread());
    world.say("w1", "/new");
    world.say("w1", "as before {{say Forked.}}");
    world.wait_for_screen("w1", "• Forked.");
    let fork =
        world.rollouts().into_iter().max_by_key(|path| path.file_name().map(ToOwned::to_owned)).expect("a rollout");
    assert!(!fork.display().to_string().contains(&left), "{}", fork.display());
    let text = fs::read_to_string(&fork).expect("the rollout");
    let (head, rest) = text.split_once('\n').expect("a head");
    let mut head: Value = serde_json::from_str(head).expect("a record");
    head["payload"]["forked_from_id"] = json!(left);
    fs::write(&fork, format!("{head}\n{rest}")).expect("the rollout");
    let open = typed.until_it_is(&id, "ambiguous");
    assert!(open["error"].as_str().is_some_and(|why| why.contains("another thread")), "{open:#}");
}

impl Typed {
    /// Asks for an empty thread, by a process that dies at this point; the id of the command.
    #[track_caller]
    fn asks_to_clear_and_dies_at(&self, point: &str) -> String {
        wait_for(
            &format!("a request to die at {point}"),
            || {
                let mut command = self.world.command();
                command.args(CLEAR).arg("--no-wait").env("CONVEYOR_TEST_CRASH", point);
                let died = command.stdin(Stdio::null()).output().expect("it runs");
                died.status.code().is_none().then_some(())
            },
            || format!("{:#?}\n{}", self.world.run(&["commands", "--json"]), self.world.screen("w1")),
        );
        let sql = "select id from commands order by seq desc limit 1";
        self.sql().query_row(sql, [], |row| row.get(0)).expect("the request")
    }
}

#[test]
fn real_codex_in_a_pane_begins_one_empty_thread_wherever_its_dispatcher_dies() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(typed) = real(&lab, false) else { return };
    lab.rule("^go on", "{{say Went on.}}");
    let left = typed.thread();
    let done = typed.world.run(&CLEAR).ok().json();
    assert_eq!((&done["phase"], &done["send_result"]["lane"]), (&"done".into(), &"tmux".into()), "{done:#}");
    typed.assert_left(&done, &left);
    for (place, point) in ["started", "pasted", "staged", "pressed", "submitted"].into_iter().enumerate() {
        typed.turn();
        let left = typed.thread();
        let id = typed.asks_to_clear_and_dies_at(point);
        let done = typed.until_it_is(&id, "done");
        typed.assert_left(&done["result"], &left);
        assert_eq!(typed.moves(), i64::try_from(place).expect("small") + 2, "{point}: {done:#}");
    }
    let after = typed.nudge("a new beginning");
    typed.until(&after, "done");
    assert_eq!(typed.times("a new beginning"), 1, "{:#?}", typed.heard());
}

#[test]
fn real_codex_in_its_server_is_not_cleared_without_proof() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(live) = Live::start_with(&lab, &[]) else { return };
    let refused = live.world.run(&[&CLEAR[..], &["--json"]].concat());
    let message = refused.error()["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!((refused.code, message.contains("does not tell which thread it shows")), (1, true), "{refused}");
    assert!(!live.world.screen("w1").contains("/clear"), "{}", live.world.screen("w1"));
}
