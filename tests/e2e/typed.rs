//! Messages that are typed into panes: simulated sessions, real tmux, the built program. Believed only when the
//! session's own rollout shows them, and each of them once.

use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use serde_json::Value;

use super::{
    bound::Bound,
    world::{World, wait_for},
};
use crate::support::say;

/// A worker `w1` of the simulator, bound to the task `parser`, after its first turn.
pub struct Typed {
    pub world: World,
}

impl Typed {
    pub fn start() -> Option<Self> {
        Self::with(&["--speed", "20"])
    }

    pub fn with(options: &[&str]) -> Option<Self> {
        let world = World::start()?;
        world.codex(options);
        world.start_worker("w1", "hello {{say Hello.}}");
        world.bind("parser", "w1");
        world.wait_for_condition("w1", "done");
        Some(Self { world })
    }

    /// Waits until a pass has put the message off for a reason that holds these words.
    #[track_caller]
    pub fn waits_for(&self, id: &str, words: &str) -> Value {
        wait_for(
            &format!("{id} to wait: {words}"),
            || {
                self.dispatch();
                Some(self.command(id)).filter(|one| one["reason"].as_str().is_some_and(|why| why.contains(words)))
            },
            || format!("{:#}\n{}", self.command(id), self.world.screen("w1")),
        )
    }

    /// The texts of all messages to the session, in the order of its rollout.
    pub fn heard(&self) -> Vec<String> {
        let mut heard = Vec::new();
        let session = self.world.session("w1");
        let path = session["codex_session_path"].as_str().expect("a rollout");
        for line in fs::read_to_string(path).expect("the rollout").lines() {
            let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
            let item = &record["payload"]["item"];
            if item["type"] == "UserMessage" {
                heard.push(item["content"][0]["text"].as_str().unwrap_or_default().to_owned());
            }
        }
        heard
    }

    /// How often the session has heard this.
    pub fn times(&self, text: &str) -> usize {
        self.heard().iter().filter(|heard| heard.contains(text)).count()
    }

    pub fn sql(&self) -> Connection {
        Connection::open(self.world.ledger()).expect("the ledger")
    }

    /// What was put off is due now, and every lease is over.
    pub fn time_passes(&self) {
        let sql = "update commands set available_uptime = 0, lease_uptime = 0";
        self.sql().execute(sql, []).expect("the ledger");
    }

    /// A pass that dies at this point, as soon as the session is ready for it.
    #[track_caller]
    pub fn dies_at(&self, point: &str) {
        wait_for(
            &format!("a pass to die at {point}"),
            || {
                let mut command = self.world.command();
                command.args(["dispatch", "--once", "--type", "nudge_worker"]).env("CONVEYOR_TEST_CRASH", point);
                let died = command.stdin(Stdio::null()).output().expect("it runs");
                died.status.code().is_none().then_some(())
            },
            || format!("{:#?}\n{}", self.world.run(&["commands", "--json"]), self.world.screen("w1")),
        );
    }

    /// Keys as of a person.
    pub fn press(&self, keys: &[&str]) {
        self.world.press("w1", keys);
    }

    #[track_caller]
    pub fn assert_received(&self, command: &Value, text: &str) {
        assert_eq!(self.times(text), 1, "{command:#}\n{:#?}", self.heard());
        let receipt = &command["result"]["receipt"];
        let bytes = fs::read(receipt["path"].as_str().expect("a path")).expect("the rollout");
        let at = usize::try_from(receipt["byte_offset"].as_u64().expect("a byte")).expect("it fits");
        let line = bytes[at..].split(|byte| *byte == b'\n').next().expect("a line");
        let line: Value = serde_json::from_slice(line).expect("a record");
        assert!(line.to_string().contains("[conveyor]"), "the receipt names the very line: {line:#}");
    }
}

impl Bound for Typed {
    fn world(&self) -> &World {
        &self.world
    }
}

#[test]
fn an_idle_session_gets_a_message_typed_once_with_its_proof() {
    let Some(typed) = Typed::start() else { return };
    let id = typed.nudge("status please");
    let item = typed.dispatch().remove(0);
    assert_eq!(
        (&item["lane"], &item["phase"], &item["state"], &item["delivery_mode"]),
        (&"tmux".into(), &"done".into(), &"delivered".into(), &"push".into()),
        "{item:#}"
    );
    typed.assert_received(&typed.command(&id), "status please");
    let heard = typed.heard().pop().expect("a message");
    assert!(heard.starts_with("[conveyor] From the operator on task parser:\n\nstatus please (cvy"), "{heard}");
}

#[test]
fn a_message_is_typed_once_wherever_its_dispatcher_dies() {
    let Some(typed) = Typed::start() else { return };
    for (point, phase, tries) in [
        ("started", "started", 2),
        ("pasted", "started", 1),
        ("staged", "staged", 1),
        ("pressed", "staged", 1),
        ("submitted", "submitted", 1),
    ] {
        let text = format!("point {point}");
        let id = typed.nudge(&text);
        typed.dies_at(point);
        let left = typed.command(&id);
        assert_eq!(left["phase"], phase, "{point}: {left:#}");
        // Nobody waits for the lease of a dispatcher that is gone.
        let begun = Instant::now();
        let done = typed.until(&id, "done");
        typed.assert_received(&done, &text);
        assert_eq!(done["attempt_history"].as_array().expect("tries").len(), tries, "{point}: {done:#}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{point}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_message_is_typed_once_wherever_those_who_look_after_it_die() {
    let Some(typed) = Typed::start() else { return };
    // Whoever takes it over, before and after its number is given up.
    let id = typed.nudge("looked after");
    for point in ["started", "taken_over", "taken_over", "forgone"] {
        typed.dies_at(point);
        assert_eq!(typed.command(&id)["phase"], "started", "{point}");
    }
    // Its number is counted though nothing was typed: it is looked for twice, and then typed under another.
    typed.waits_for(&id, "cleared it");
    assert_eq!(typed.times("looked after"), 0);
    typed.time_passes();
    typed.dies_at("renumbered");
    assert_eq!(typed.command(&id)["phase"], "started");
    let done = typed.until(&id, "done");
    typed.assert_received(&done, "looked after");
}

#[test]
fn what_stands_in_the_way_is_said_and_costs_no_try() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    let pane = world.pane("w1").to_string();
    let tmux = |words: &[&str]| world.server().plain(words);
    let id = {
        // A person's draft.
        world.server().plain(&["send-keys", "-l", "-t", &pane, "--", "half a thought"]);
        world.wait_for_screen("w1", "› half a thought");
        let id = typed.nudge("when there is room");
        typed.waits_for(&id, "somebody has typed");
        id
    };
    typed.press(&["C-u"]);
    // Copy mode: a person reads.
    tmux(&["copy-mode", "-t", &pane]);
    typed.waits_for(&id, "copy mode");
    tmux(&["send-keys", "-t", &pane, "-X", "cancel"]);
    // A small pane.
    tmux(&["resize-window", "-t", &pane, "-x", "59", "-y", "40"]);
    typed.waits_for(&id, "59 x 40");
    tmux(&["resize-window", "-t", &pane, "-x", "120", "-y", "40"]);
    // Another installation.
    tmux(&["set-option", "-p", "-t", &pane, "@cvy_owner", "somebody"]);
    typed.waits_for(&id, "another installation");
    tmux(&["set-option", "-p", "-u", "-t", &pane, "@cvy_owner"]);
    // A turn.
    let hold = world.hold();
    typed.sql().execute("update commands set available_uptime = 1 << 60", []).expect("the ledger");
    world.say("w1", &format!("work {{{{hold {}}}}} {{{{say Worked.}}}}", hold.display()));
    world.wait_for_condition("w1", "busy");
    typed.time_passes();
    typed.waits_for(&id, "turn is running");
    let waiting = typed.command(&id);
    assert_eq!((&waiting["phase"], &waiting["attempts"]), (&"queued".into(), &0.into()), "{waiting:#}");
    let count = "select defer_count from commands where id = ?1";
    let count: i64 = typed.sql().query_row(count, [&id], |row| row.get(0)).expect("the ledger");
    assert!(count >= 5, "{count}");
    fs::write(&hold, "").expect("a file");
    let done = typed.until(&id, "done");
    typed.assert_received(&done, "when there is room");
    assert_eq!(done["attempts"], 1);
}

#[test]
fn an_open_approval_waits_and_nothing_is_approved() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    let run_commands = || -> i64 {
        let sql = "select count(*) from codex_events where item = 'CommandExecution' and payload_json like '%\"exit_code\":0%'";
        typed.sql().query_row(sql, [], |row| row.get(0)).expect("the ledger")
    };
    world.say("w1", "touch it {{shell-esc touch proof}} {{say Touched.}}");
    world.wait_for_screen("w1", "Would you like to run the following command?");
    let id = typed.nudge("yes, please do approve it");
    for _ in 0..10 {
        typed.time_passes();
        typed.dispatch();
    }
    let waiting = typed.waits_for(&id, "an approval waits for an answer");
    assert_eq!((&waiting["phase"], &waiting["attempts"]), (&"queued".into(), &0.into()), "{waiting:#}");
    assert!(world.screen("w1").contains("Would you like to run"), "{}", world.screen("w1"));
    assert_eq!((typed.times("please do approve"), run_commands()), (0, 0));
    // Between the paste and the key.
    typed.press(&["Escape"]);
    world.wait_for_condition("w1", "aborted");
    typed.time_passes();
    typed.dies_at("staged");
    let done = typed.until(&id, "done");
    typed.assert_received(&done, "yes, please do approve it");
    assert_eq!(run_commands(), 0);
}

#[test]
fn a_long_message_lies_in_the_inbox_and_its_pointer_only_wakes() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    let long = format!("begin {} end", "word ".repeat(300));
    let id = typed.nudge(&long);
    let item = typed.dispatch().remove(0);
    assert_eq!((&item["lane"], &item["phase"]), (&"tmux".into(), &"delivered".into()), "{item:#}");
    let delivered = typed.command(&id);
    assert!(delivered["lane_reason"].as_str().expect("a reason").contains("at most 900 are typed"), "{delivered:#}");
    assert!(delivered["result"]["pointer"]["byte_offset"].is_u64(), "{delivered:#}");
    assert!(delivered["result"]["receipt"].is_null(), "told is not had: {delivered:#}");
    assert_eq!((typed.times("word word"), typed.times(&id)), (0, 1), "{:#?}", typed.heard());
    let taken = world.run(&["receive", "w1", "--json"]).ok().json();
    assert_eq!(taken["received"]["payload"]["command_id"], id.as_str(), "{taken:#}");
    assert_eq!(taken["received"]["payload"]["message"], long.as_str());
    assert_eq!(typed.command(&id)["phase"], "delivered", "handed out is not confirmed");
    world.run(&["ack", taken["received"]["lease_token"].as_str().expect("a token")]).ok();
    let done = typed.command(&id);
    assert_eq!((&done["phase"], &done["result"]["receipt"]["kind"]), (&"done".into(), &"inbox_ack".into()), "{done:#}");

    // Taken before its pointer is typed: one item, however often it is tried, and no pointer is needed any more.
    let id = typed.nudge(&long.replace("begin", "again"));
    typed.dies_at("started");
    let taken = world.run(&["receive", "w1", "--json"]).ok().json();
    assert_eq!(taken["received"]["payload"]["command_id"], id.as_str(), "{taken:#}");
    let settled = typed.until(&id, "delivered");
    let items = "select count(*) from routed_notifications where command_id = ?1";
    let items: i64 = typed.sql().query_row(items, [&id], |row| row.get(0)).expect("the ledger");
    assert_eq!((items, typed.times(&id)), (1, 1), "{settled:#}");
    world.run(&["ack", taken["received"]["lease_token"].as_str().expect("a token")]).ok();
    assert_eq!(typed.command(&id)["phase"], "done");

    // What cannot be typed as it is goes the same way, whole.
    let id = typed.nudge("colour \u{1b}[31mred\u{1b}[0m");
    typed.until(&id, "delivered");
    let taken = world.run(&["receive", "w1", "--json"]).ok().json();
    assert_eq!(taken["received"]["payload"]["message"], "colour \u{1b}[31mred\u{1b}[0m");
    world.run(&["ack", taken["received"]["lease_token"].as_str().expect("a token")]).ok();
    assert_eq!(typed.command(&id)["phase"], "done");

    // Confirmed while its pointer was on its way: the echo finds that it is had.
    let id = typed.nudge(&long.replace("begin", "third"));
    typed.dies_at("staged");
    let taken = world.run(&["receive", "w1", "--json"]).ok().json();
    world.run(&["ack", taken["received"]["lease_token"].as_str().expect("a token")]).ok();
    let done = typed.until(&id, "done");
    assert_eq!(done["result"]["receipt"]["kind"], "inbox_ack", "{done:#}");
    assert_eq!(typed.times(&id), 1);
}

#[test]
fn what_a_person_does_to_a_staged_message_is_followed() {
    let Some(typed) = Typed::start() else { return };
    // Cleared: looked for once more, then typed again under a number of its own.
    let id = typed.nudge("cleared away");
    typed.dies_at("staged");
    typed.world.wait_for_screen("w1", "cleared away");
    typed.press(&["C-c"]);
    typed.waits_for(&id, "cleared it");
    typed.dispatch();
    assert_eq!((typed.command(&id)["phase"].as_str(), typed.times("cleared away")), (Some("staged"), 0));
    typed.time_passes();
    let done = typed.until(&id, "done");
    typed.assert_received(&done, "cleared away");

    // Sent by hand: the echo counts.
    let id = typed.nudge("sent by hand");
    typed.dies_at("staged");
    typed.world.wait_for_screen("w1", "sent by hand");
    typed.press(&["Enter"]);
    let done = typed.until(&id, "done");
    typed.assert_received(&done, "sent by hand");

    // With words of the person around it: the key is kept away, and what arrives so is not called received.
    let id = typed.nudge("joined");
    typed.dies_at("staged");
    typed.world.wait_for_screen("w1", "joined");
    let pane = typed.world.pane("w1").to_string();
    typed.world.server().plain(&["send-keys", "-l", "-t", &pane, "--", " and mine"]);
    typed.world.wait_for_screen("w1", " and mine");
    typed.waits_for(&id, "somebody");
    assert_eq!(typed.times("joined"), 0);
    thread::sleep(Duration::from_millis(300));
    typed.press(&["Enter"]);
    let open = typed.until(&id, "ambiguous");
    assert_eq!((&open["result"]["receipt"], typed.times("joined")), (&Value::Null, 1), "{open:#}");
    assert!(open["result"]["altered"]["byte_offset"].is_u64(), "{open:#}");
}

#[test]
fn a_staged_message_does_not_wait_for_ever_and_the_next_one_says_what_is_in_its_way() {
    let Some(typed) = Typed::start() else { return };
    // Its time runs out while a person has words of their own behind it.
    let id = typed.nudge("its time runs out");
    typed.dies_at("staged");
    typed.world.wait_for_screen("w1", "its time runs out");
    let pane = typed.world.pane("w1").to_string();
    typed.world.server().plain(&["send-keys", "-l", "-t", &pane, "--", " and mine"]);
    typed.world.wait_for_screen("w1", " and mine");
    typed.waits_for(&id, "composer holds");
    typed.sql().execute("update commands set expires_uptime = 0, available_uptime = 0", []).expect("the ledger");
    let open = typed.until(&id, "ambiguous");
    let reason = open["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("its time ran out after it was put into the composer"), "{reason}");
    assert!(reason.contains("composer holds") && reason.contains("`conveyor dispatch resolve`"), "{reason}");
    let next = typed.nudge("the next one");
    typed.waits_for(&next, &format!("the text of command {id} stands in its composer"));
    assert_eq!(typed.times("its time runs out"), 0);
    typed.press(&["C-c"]);
    let done = typed.until(&next, "done");
    typed.assert_received(&done, "the next one");
    assert_eq!(typed.times("its time runs out"), 0);

    // Its marker stands on the screen, and no rollout ever shows it.
    let id = typed.nudge("seen and never recorded");
    typed.dies_at("staged");
    typed.world.wait_for_screen("w1", "seen and never recorded");
    typed.press(&["C-c"]);
    let marker: String = typed
        .sql()
        .query_row("select marker from typed_messages where command_id = ?1", [&id], |row| row.get(0))
        .expect("the ledger");
    typed.world.say("w1", &format!("quote x{marker}x {{{{say Quoted.}}}}"));
    typed.world.wait_for_condition("w1", "done");
    typed.waits_for(&id, "somebody has submitted it");
    typed.time_passes();
    let open = typed.until(&id, "ambiguous");
    assert!(open["reason"].as_str().expect("a reason").contains("`conveyor dispatch resolve`"), "{open:#}");
    let next = typed.nudge("and the one after it");
    typed.until(&next, "done");
    assert_eq!((typed.times("seen and never"), typed.command(&id)["attempts"].as_i64()), (0, Some(1)));
}

/// Lets the pane count the message as submitted whose dispatcher died with the text in the composer.
pub fn counted_as_submitted(typed: &Typed) {
    let sql = "select i.name, t.number from installation as i, typed_messages as t order by t.number desc limit 1";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
    let (install, number) = typed.sql().query_row(sql, [], row).expect("the ledger");
    let (pane, option) = (typed.world.pane("w1").to_string(), format!("@cvy_{install}_submit"));
    typed.world.server().plain(&["set-option", "-p", "-t", &pane, &option, &number.to_string()]);
}

#[test]
fn a_submitted_message_without_an_echo_is_submitted_again_only_from_the_composer() {
    let Some(typed) = Typed::start() else { return };
    // The key was lost: it still stands in the composer.
    let id = typed.nudge("key was lost");
    typed.dies_at("staged");
    typed.world.wait_for_screen("w1", "key was lost");
    counted_as_submitted(&typed);
    typed.waits_for(&id, "stands in the composer again");
    assert_eq!((typed.command(&id)["phase"].as_str(), typed.times("key was lost")), (Some("submitted"), 0));
    typed.time_passes();
    let done = typed.until(&id, "done");
    typed.assert_received(&done, "key was lost");

    // It is nowhere: only an operator can tell, and nothing is typed again.
    let id = typed.nudge("nowhere to be seen");
    typed.dies_at("staged");
    typed.world.wait_for_screen("w1", "nowhere to be seen");
    counted_as_submitted(&typed);
    typed.press(&["C-c"]);
    typed.waits_for(&id, "without a record of it");
    typed.time_passes();
    let open = typed.until(&id, "ambiguous");
    assert_eq!((open["attempts"].as_i64(), typed.times("nowhere")), (Some(1), 0), "{open:#}");
    // It holds nobody up.
    let next = typed.nudge("the next one");
    typed.until(&next, "done");
    assert_eq!(typed.times("nowhere"), 0);
}

#[test]
fn a_message_whose_pane_or_machine_went_down_is_never_typed_twice() {
    for (point, phase, lane) in
        [("started", "delivered", "inbox"), ("pasted", "delivered", "inbox"), ("staged", "failed", "tmux")]
    {
        let Some(typed) = Typed::start() else { return };
        let id = typed.nudge("into a server that dies");
        typed.dies_at(point);
        typed.world.server().plain(&["kill-server"]);
        let settled = wait_for(
            "the message to be settled",
            || {
                typed.time_passes();
                typed.dispatch();
                Some(typed.command(&id)).filter(|one| one["phase"] == phase)
            },
            || format!("{point}: {:#}", typed.command(&id)),
        );
        assert_eq!((&settled["lane"], typed.times("into a server")), (&lane.into(), 0), "{point}: {settled:#}");
    }
    let Some(typed) = Typed::start() else { return };
    for (point, phase) in [("started", "done"), ("staged", "ambiguous")] {
        let id = typed.nudge(&format!("across a reboot: {point}"));
        typed.dies_at(point);
        let sql = typed.sql();
        sql.execute("update typed_messages set boot_id = 'another boot'", []).expect("the ledger");
        sql.execute("update commands set boot_id = 'another boot'", []).expect("the ledger");
        sql.execute("update dispatchers set boot_id = 'another boot'", []).expect("the ledger");
        typed.until(&id, phase);
        assert_eq!(typed.times(&format!("across a reboot: {point}")), usize::from(phase == "done"));
    }
}

#[test]
fn a_nudge_says_how_far_it_came_and_a_rehearsal_types_nothing() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    let planned = world.run(&["session-nudge", "w1", "planned", "--dry-run", "--json"]).ok().json();
    let pane = world.pane("w1").to_string();
    assert_eq!((&planned["lane"], &planned["target"]), (&"tmux".into(), &pane.as_str().into()), "{planned:#}");
    let id = typed.nudge("rehearsed");
    let pass = world.run(&["dispatch", "--dry-run", "--json", "--type", "nudge_worker"]).ok().json();
    let item = &pass["processed"][0];
    assert_eq!((&item["lane"], &item["state"]), (&"tmux".into(), &"planned".into()), "{pass:#}");
    world.run(&["dispatch", "cancel", &id]).ok();
    let marks = world.server().plain(&["show-options", "-p", "-t", &pane]);
    assert!(!marks.contains("@cvy"), "{marks}");

    let run = world.run(&["session-nudge", "w1", "run the tests again", "--json"]);
    let nudged = run.json();
    assert_eq!(
        (run.code, &nudged["lane"], &nudged["phase"], &nudged["side_effect_completed"]),
        (0, &"tmux".into(), &"done".into(), &true.into()),
        "{run}"
    );
    typed.assert_received(&typed.command(nudged["command_id"].as_str().expect("an id")), "run the tests again");
    assert_eq!(nudged["target"], pane.as_str());
    world.wait_for_condition("w1", "done");
    let prose = world.run(&["nudge", "w1", "and once more", "--text"]).ok();
    assert!(prose.out.starts_with("w1 has it: its rollout shows it at byte "), "{prose}");

    let hold = world.hold();
    world.wait_for_condition("w1", "done");
    world.say("w1", &format!("work {{{{hold {}}}}} {{{{say Worked.}}}}", hold.display()));
    world.wait_for_condition("w1", "busy");
    let run = world.run(&["session-nudge", "w1", "later", "--wait", "1", "--json"]);
    let waiting = run.json();
    assert_eq!((run.code, &waiting["phase"], &waiting["reason"]), (4, &"queued".into(), &"a turn is running".into()));
    assert_eq!(waiting["side_effect_started"], false);
    fs::write(hold, "").expect("a file");
    wait_for(
        "the message after the turn",
        || {
            world.run(&["dispatch"]).ok();
            (typed.command(waiting["command_id"].as_str()?)["phase"] == "done").then_some(())
        },
        || world.screen("w1"),
    );
}

#[test]
fn nothing_is_typed_where_it_could_not_be_proven() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    let sent = |what: &str| {
        let run = world.run(&["session-nudge", "w1", what, "--no-wait", "--json"]).ok().json();
        (run["lane"].as_str().unwrap_or("none").to_owned(), run["lane_reason"].as_str().unwrap_or_default().to_owned())
    };
    let set = |change: &str| assert_eq!(typed.sql().execute(change, []).expect("the ledger"), 1, "{change}");
    let cases = [
        ("update sessions set codex_version = '0.124.9' where name = 'w1'", "older than 0.125"),
        ("update sessions set codex_version = null where name = 'w1'", "which Codex runs"),
        ("update sessions set codex_version = '0.169.0', pane_pid_start = null where name = 'w1'", "not on record"),
        ("update sessions set pane_pid_start = 7 where name = 'w1'", "another process now"),
    ];
    for (change, reason) in cases {
        set(change);
        let (lane, why) = sent(reason);
        assert_eq!((lane.as_str(), why.contains(reason)), ("inbox", true), "{why}");
    }
    // A ledger that was put back from an old copy: the pane knows more of it than it does.
    let process = world.pane("w1");
    let pid: i64 = world
        .server()
        .plain(&["display-message", "-p", "-t", &process.to_string(), "#{pane_pid}"])
        .parse()
        .expect("a pid");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let start = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(19)).expect("a start time");
    set(&format!("update sessions set pane_pid_start = {start} where name = 'w1'"));
    let (lane, _) = sent("typed again");
    assert_eq!(lane, "tmux");
    world.wait_for_condition("w1", "done");
    set("update installation set last_number = 0");
    let (lane, why) = sent("from an old copy");
    assert_eq!((lane.as_str(), why.contains("counted further")), ("inbox", true), "{why}");
    assert_eq!(typed.heard().len(), 2, "{:#?}", typed.heard());
}

#[test]
fn a_tmux_server_that_hangs_holds_nobody_else_up() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    let first = typed.nudge("into a server that hangs");
    let rollout = world.recorded_rollout();
    let sent = world.run(&["session-nudge", "m1", "to a session without a pane", "--no-wait", "--json"]).ok().json();
    assert_eq!(sent["lane"], "inbox", "{rollout}");
    let server: i32 = world.server().plain(&["display-message", "-p", "#{pid}"]).parse().expect("a pid");
    let server = rustix::process::Pid::from_raw(server).expect("a pid");
    rustix::process::kill_process(server, rustix::process::Signal::STOP).expect("it is ours");
    let begun = Instant::now();
    let queued = ["enqueue-notify-manager", "parser", "--json", "--message", "past the one that hangs"];
    let other = world.run(&queued).ok().json()["command_id"].as_str().expect("an id").to_owned();
    let pass = world.run(&["dispatch", "--json"]);
    let taken = begun.elapsed();
    rustix::process::kill_process(server, rustix::process::Signal::CONT).expect("it is ours");
    pass.ok();
    assert_eq!(typed.command(&other)["phase"], "delivered");
    let waiting = typed.command(&first);
    assert_eq!((&waiting["phase"], &waiting["attempts"]), (&"queued".into(), &0.into()), "{waiting:#}");
    assert!(taken < Duration::from_secs(8), "{taken:?}");
    say(&format!("a pass beside a tmux server that hangs: {taken:?}"));
    typed.until(&first, "done");
    assert_eq!(typed.times("into a server that hangs"), 1);
}

#[test]
fn a_pane_that_got_another_process_gets_nothing_of_the_old_one() {
    let Some(typed) = Typed::start() else { return };
    let pane = typed.world.pane("w1").to_string();
    let id = typed.nudge("for the old process");
    typed.dies_at("staged");
    typed.world.server().plain(&["respawn-pane", "-k", "-t", &pane, "cat"]);
    let settled = wait_for(
        "the message to be settled",
        || {
            typed.time_passes();
            typed.dispatch();
            Some(typed.command(&id)).filter(|one| one["phase"] == "failed")
        },
        || format!("{:#}", typed.command(&id)),
    );
    assert!(settled["error"].as_str().is_some_and(|why| why.contains("process")), "{settled:#}");
    let next = typed.nudge("for nobody");
    typed.until(&next, "delivered");
    assert_eq!(typed.world.screen("w1").trim(), "", "nothing was typed into the other program");
}

#[test]
fn a_manager_in_a_pane_is_told_that_something_lies_in_its_inbox() {
    let Some(world) = World::start() else { return };
    world.codex(&["--speed", "20"]);
    world.start_worker("w1", "hello {{say Hello.}}");
    let manager = ["start-manager", "--name", "m1", "--no-server", "--task", "watch {{say Watching.}}"];
    if world.run(&manager).code != 0 {
        // Until there is a word for it, a manager is started by hand and registered.
        world.server().plain(&[
            "new-session",
            "-d",
            "-s",
            "boss",
            "-x",
            "120",
            "-y",
            "40",
            &format!(
                "{} sim codex --no-daemon --speed 20 --status-line --codex-home {} -C {} 'watch {{{{say Watching.}}}}'",
                env!("CARGO_BIN_EXE_conveyor"),
                world.codex_home().display(),
                world.cwd().display()
            ),
        ]);
        let pane = world.server().plain(&["list-panes", "-t", "boss", "-F", "#{pane_id}"]);
        wait_for(
            "the manager",
            || {
                let run = world.run(&[
                    "register-manager",
                    "--name",
                    "m1",
                    "--tmux-pane",
                    &pane,
                    "--tmux-socket",
                    world.server().socket(),
                ]);
                (run.code == 0).then_some(())
            },
            || world.all_screens(),
        );
    }
    world.run(&["tasks", "--create", "parser", "--goal", "g"]).ok();
    world.run(&["bind", "--task", "parser", "--worker", "w1", "--manager", "m1"]).ok();
    world.wait_for_condition("m1", "done");
    world.wait_for_condition("w1", "done");
    world.say("w1", "go on {{say Answered.}}");
    let done = wait_for(
        "the manager to be told",
        || {
            world.run(&["dispatch", "--json"]).ok();
            let commands = world.run(&["commands", "--json"]).ok().json();
            let word = commands.as_array()?.iter().find(|one| one["type"] == "worker_task_complete")?.clone();
            (word["phase"] == "done").then_some(word)
        },
        || format!("{:#?}\n{}", world.run(&["commands", "--json"]), world.all_screens()),
    );
    assert_eq!(done["lane"], "tmux", "{done:#}");
    assert!(world.screen("m1").contains("has answered on task parser"), "{}", world.screen("m1"));
}
