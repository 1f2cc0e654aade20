//! Interrupting a turn and answering a question: with the simulator, with real Codex in its server and without one.
//! What counts is never what was pressed, but what the session's own record shows.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use serde_json::{Value, json};

use rustix::process::{Pid, Signal, kill_process};

use super::world::{PATIENCE, World, wait_for};
use crate::support::{codex_lab::CodexLab, rounds};

fn interrupt(world: &World, words: &[&str]) -> (i32, Value) {
    let done = world.run(&[&["session-interrupt", "w1"], words].concat());
    (done.code, done.json())
}

fn questions(world: &World) -> Vec<Value> {
    let listed = world.run(&["session-answer", "w1", "--json"]).ok().json();
    assert_eq!(listed["outcome"], "listed", "{listed:#}");
    listed["questions"].as_array().expect("questions").clone()
}

/// The one open question.
#[track_caller]
fn question(world: &World) -> Value {
    let mut open = questions(world);
    assert_eq!(open.len(), 1, "{open:#?}\n{}", world.screen("w1"));
    open.remove(0)
}

fn answer(world: &World, words: &[&str]) -> (i32, Value) {
    let done = world.run(&[&["session-answer", "w1", "--json"], words].concat());
    (done.code, done.json())
}

/// The rollout of the session, as it is now.
fn rollout(world: &World) -> String {
    let path = world.session("w1")["codex_session_path"].as_str().expect("a rollout").to_owned();
    fs::read_to_string(path).expect("the rollout")
}

/// The byte that a proof names begins the line of the aborted turn.
#[track_caller]
fn assert_aborted_at(proof: &Value) {
    let bytes = fs::read(proof["path"].as_str().expect("a path")).expect("the rollout");
    let at = usize::try_from(proof["byte_offset"].as_u64().expect("a byte")).expect("it fits");
    let line = bytes[at..].split(|byte| *byte == b'\n').next().expect("a line");
    assert!(String::from_utf8_lossy(line).contains("turn_aborted"), "{}", String::from_utf8_lossy(line));
}

fn trail(world: &World, kind: &str) -> Vec<Value> {
    world.run(&["events", "w1", "--type", kind, "--json"]).ok().json().as_array().expect("events").clone()
}

#[test]
fn a_running_turn_is_interrupted_once_and_with_proof() {
    let Some(world) = World::start() else { return };
    let go = world.hold();
    world.start_worker("w1", &format!("Begin {{{{hold {}}}}} {{{{say Never.}}}}", go.display()));
    world.wait_for_condition("w1", "busy");

    let (code, planned) = interrupt(&world, &["--dry-run"]);
    assert_eq!((code, &planned["outcome"], &planned["key"]), (0, &"planned".into(), &Value::Null), "{planned:#}");
    assert_eq!(world.status("w1")["condition"], "busy", "a rehearsal presses nothing");
    assert!(trail(&world, "session_interrupted").is_empty(), "and writes nothing");

    let (code, done) = interrupt(&world, &["--followup", "Go on {{say With this.}}"]);
    assert_eq!((code, &done["outcome"], &done["lane"]), (0, &"interrupted".into(), &"screen".into()), "{done:#}");
    assert_eq!(done["key"], "escape");
    assert_aborted_at(&done["proof"]);
    let followup = &done["followup"];
    assert_eq!(followup["queued"], true, "{done:#}");
    let commands = world.run(&["commands", "--session", "w1", "--json"]).ok().json();
    let messages: Vec<&Value> =
        commands.as_array().expect("commands").iter().map(|one| &one["payload"]["message"]).collect();
    assert_eq!(messages, ["Go on {{say With this.}}"], "accepted once");
    assert_eq!(trail(&world, "session_interrupt_begun").len(), 1);
    assert_eq!(trail(&world, "session_interrupted")[0]["payload"]["outcome"], "interrupted");

    // Who ended it is known, and it is no failure.
    let explained = world.run(&["explain", "w1", "--json"]).ok().out;
    assert!(explained.contains("interrupted_by_operator") || !explained.contains("turn_aborted"), "{explained}");

    // The follow-up may have begun a turn of its own where something types messages; wait for quiet.
    wait_for("no turn", || (world.status("w1")["work_state"] == "idle").then_some(()), || world.screen("w1"));
    let (screen, aborts) = (world.screen("w1"), rollout(&world).matches("turn_aborted").count());
    let (code, idle) = interrupt(&world, &[]);
    assert_eq!((code, &idle["outcome"]), (0, &"nothing_to_interrupt".into()), "{idle:#}");
    assert_eq!((&idle["key"], world.screen("w1")), (&Value::Null, screen), "nothing was pressed");
    assert_eq!(rollout(&world).matches("turn_aborted").count(), aborts);
}

/// Who is told that it failed presses once more, perhaps into the next turn.
#[test]
fn an_interruption_whose_end_cannot_be_written_down_is_told_all_the_same() {
    let Some(world) = World::start() else { return };
    let go = world.hold();
    world.start_worker("w1", &format!("Begin {{{{hold {}}}}} {{{{say Never.}}}}", go.display()));
    world.wait_for_condition("w1", "busy");
    let sql = Connection::open(world.ledger()).unwrap();
    sql.execute_batch(
        "create trigger full before insert on events when new.type = 'session_interrupted'
         begin select raise(abort, 'no room'); end",
    )
    .unwrap();
    let (code, done) = interrupt(&world, &["--followup", "Go on {{say With this.}}"]);
    assert_eq!((code, &done["outcome"]), (0, &"interrupted".into()), "{done:#}");
    assert!(done["reason"].as_str().unwrap().contains("its end is not in the audit trail: "), "{done:#}");
    assert_eq!(done["followup"]["queued"], true, "{done:#}");
    assert!(trail(&world, "session_interrupted").is_empty());
    assert_eq!(trail(&world, "session_interrupt_begun").len(), 1);
}

/// What keeps the key away for seconds is one interruption that came to nothing, and claims no end that comes later.
#[test]
fn an_interruption_that_is_refused_while_the_turn_runs_claims_no_later_end() {
    let Some(world) = World::start() else { return };
    let go = world.hold();
    world.start_worker("w1", &format!("Begin {{{{hold {}}}}} {{{{say Never.}}}}", go.display()));
    world.wait_for_condition("w1", "busy");
    let pane = world.pane("w1").to_string();
    world.server().plain(&["copy-mode", "-t", &pane]);
    let (code, done) = interrupt(&world, &[]);
    assert_eq!((code, &done["outcome"], &done["key"]), (1, &"refused".into(), &Value::Null), "{done:#}");
    assert_eq!(trail(&world, "session_interrupt_begun").len(), 1);
    assert_eq!(trail(&world, "session_interrupted")[0]["payload"]["outcome"], "refused");
    world.server().plain(&["send-keys", "-X", "-t", &pane, "cancel"]);
    world.press("w1", &["Escape"]);
    wait_for("the end", || rollout(&world).contains("turn_aborted").then_some(()), || world.screen("w1"));
    let explained = world.run(&["explain", "w1", "--json"]).ok().out;
    assert!(!explained.contains("interrupted_by_"), "{explained}");
}

#[test]
fn a_follow_up_that_cannot_be_sent_is_said_before_the_turn_is_ended() {
    let Some(world) = World::start() else { return };
    let go = world.hold();
    world.start_worker("w1", &format!("Begin {{{{hold {}}}}} {{{{say Never.}}}}", go.display()));
    world.wait_for_condition("w1", "busy");
    let long = world.cwd().join("long.txt");
    fs::write(&long, "a".repeat(2 << 20)).unwrap();
    let mut command = world.command();
    command.args(["session-interrupt", "w1", "--followup", "-"]).stdin(fs::File::open(&long).unwrap());
    let refused = command.output().expect("the program starts");
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.stdout.is_empty() && why.contains("more than 1048576"), "{refused:?}");
    assert_eq!(refused.status.code(), Some(2), "{why}");
    assert_eq!(world.status("w1")["condition"], "busy", "nothing is pressed");
    assert!(trail(&world, "session_interrupt_begun").is_empty(), "and nothing is written");
}

#[test]
fn an_open_approval_is_shown_and_not_touched_by_an_interruption() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Change it {{shell-esc rm -rf build}} {{say Changed.}}");
    world.wait_for_condition("w1", "blocked");
    let before = world.screen("w1");
    let (code, done) = interrupt(&world, &["--followup", "hurry"]);
    assert_eq!((code, &done["outcome"], &done["key"]), (1, &"question_open".into(), &Value::Null), "{done:#}");
    assert_eq!(done["questions"][0]["asks"], "rm -rf build");
    assert_eq!(done["followup"]["queued"], false);
    assert_eq!(world.screen("w1"), before);
    let asked = question(&world);
    assert_eq!(
        (&asked["asks"], &asked["kind"], &asked["source"]),
        (&"rm -rf build".into(), &"approval_command".into(), &"screen".into())
    );
    assert!(asked["reason"].as_str().expect("a reason").contains("sandbox"), "{asked:#}");
    for told in [world.status("w1"), world.run(&["explain", "w1", "--json"]).ok().json()] {
        assert_eq!(told["questions"][0]["id"], asked["id"], "{told:#}");
        assert!(told["questions"][0]["age_seconds"].as_i64().is_some());
    }
    let board = world.run(&["list", "--json"]).ok().json();
    let row = board["sessions"].as_array().expect("sessions").iter().find(|row| row["name"] == "w1").expect("w1");
    assert_eq!(row["asks"], "asks to run: rm -rf build");
}

#[test]
fn only_the_named_question_is_answered_and_only_while_it_is_open() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Change it {{shell-esc make install}} {{shell-esc rm -rf /}} {{say Over.}}");
    world.wait_for_condition("w1", "blocked");
    let first = question(&world);
    let id = first["id"].as_str().expect("an id");

    // Without a name, with another name, with a part of the command: nothing.
    let unnamed = world.run(&["session-answer", "w1", "--decision", "approve"]);
    assert_eq!(unnamed.code, 2, "{unnamed}");
    for words in [["--question", "q-0000000000000000"], ["--expect", "make"], ["--expect", "install"]] {
        let (code, done) = answer(&world, &[&["--decision", "approve"], &words[..]].concat());
        assert_eq!((code, &done["outcome"]), (1, &"not_open".into()), "{done:#}");
    }
    let (code, planned) = answer(&world, &["--dry-run", "--decision", "approve", "--question", id]);
    assert_eq!((code, &planned["outcome"]), (0, &"planned".into()), "{planned:#}");
    assert!(trail(&world, "session_answer_begun").is_empty());
    assert!(world.screen("w1").contains("› 1. Yes, proceed (y)"), "{}", world.screen("w1"));

    let (code, done) = answer(&world, &["--decision", "approve", "--question", id]);
    assert_eq!((code, &done["outcome"]), (0, &"answered".into()), "{done:#}\n{}", world.screen("w1"));
    world.wait_for_screen("w1", "$ rm -rf /");
    assert!(world.screen("w1").contains("You approved codex to run make install this time"), "{}", world.screen("w1"));
    let answered = &trail(&world, "session_answered")[0]["payload"];
    assert_eq!((&answered["decision"], &answered["question"]["asks"]), (&"approve".into(), &"make install".into()));
    assert_eq!(answered["answered_by"], "operator", "{answered:#}");

    // The other question has another id, and the old answer does not fit it.
    let second = question(&world);
    assert_ne!(second["id"], first["id"]);
    let (code, done) = answer(&world, &["--decision", "approve", "--question", id]);
    assert_eq!((code, &done["outcome"]), (1, &"not_open".into()), "{done:#}");
    assert_eq!(question(&world)["id"], second["id"], "it is still open");
    let (code, done) = answer(&world, &["--decision", "decline", "--expect", "rm -rf /"]);
    assert_eq!((code, &done["outcome"]), (0, &"answered".into()), "{done:#}");
    assert_aborted_at(&done["proof"]["turn_aborted"]);
    assert!(!rollout(&world).contains("\"Over.\""), "{}", rollout(&world));
    assert_eq!(questions(&world), [] as [Value; 0]);
}

/// A terminal that is slow to read keys must not stay on "and don't ask again".
#[test]
fn a_mark_that_is_drawn_too_late_is_taken_back() {
    let Some(world) = World::start() else { return };
    // A child of the pane's process, as the real one is: tmux wakes what it started itself.
    let file = world.cwd().join("pid");
    let words = shell_words::join([env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon"]);
    let at = shell_words::quote(file.to_str().expect("UTF-8")).into_owned();
    let version = "case \"$1\" in --version) echo codex-cli 0.169.0; exit;; esac";
    world.script("codex", &format!("{version}\nexec 3<&0\n{words} \"$@\" <&3 &\necho $! > {at}\nwait"));
    world.start_worker("w1", "Change it {{shell-esc make install}} {{say Over.}}");
    world.wait_for_condition("w1", "blocked");
    let id = question(&world)["id"].as_str().expect("an id").to_owned();
    let pid = fs::read_to_string(&file).expect("a pid").trim().parse().ok().and_then(Pid::from_raw);
    let pid = pid.expect("a process");
    kill_process(pid, Signal::STOP).expect("it is ours");
    let (code, done) = answer(&world, &["--decision", "approve", "--question", &id, "--wait", "0"]);
    kill_process(pid, Signal::CONT).expect("it is ours");
    assert_eq!((code, &done["outcome"]), (1, &"refused".into()), "{done:#}");
    thread::sleep(Duration::from_secs(1));
    assert_eq!(question(&world)["id"], id.as_str(), "{}", world.screen("w1"));
    assert!(world.screen("w1").contains("› 1. Yes"), "{}", world.screen("w1"));
    assert!(done["reason"].as_str().expect("a reason").contains("neither yes nor no"), "{done:#}");
}

/// The row of `w1` on the board.
fn row(world: &World) -> Value {
    let board = world.run(&["list", "--json"]).ok().json();
    board["sessions"].as_array().expect("sessions").iter().find(|row| row["name"] == "w1").expect("w1").clone()
}

/// What the operator did himself is not the worker's failure, and whoever hears of the end hears who it was.
#[test]
fn a_turn_that_ends_by_an_answer_is_told_as_the_doing_of_who_gave_it() {
    for (decision, rule, words) in [
        ("decline", "declined_by_operator", "the operator declined what it asked"),
        ("cancel", "cancelled_by_operator", "the operator cancelled what it asked"),
    ] {
        let Some(world) = World::start() else { return };
        world.start_worker("w1", "Change it {{shell-esc make install}} {{say Over.}}");
        world.bind("parser", "w1");
        world.wait_for_condition("w1", "blocked");
        let (code, done) = answer(&world, &["--decision", decision, "--expect", "make install"]);
        assert_eq!((code, &done["outcome"]), (0, &"answered".into()), "{done:#}");

        let told = world.run(&["explain", "w1", "--json"]).ok().json();
        let judgement = &told["judgement"];
        assert_eq!((&judgement["rule"], &judgement["reason"]), (&rule.into(), &words.into()), "{told:#}");
        assert_eq!((&judgement["source"], judgement["age_seconds"].is_i64()), (&"rollout".into(), true), "{told:#}");
        let row = row(&world);
        assert_eq!((&row["attention"], &row["marks"]["unread"]), (&"idle".into(), &false.into()), "{row:#}");

        world.run(&["dispatch", "--json"]).ok();
        let inbox = world.run(&["manager-inbox", "parser", "--text"]).ok().out;
        assert!(inbox.contains(&format!("Worker w1 was interrupted on task parser: {words}.")), "{inbox}");
        assert!(inbox.contains(&format!("why:\n  | {words}")), "{inbox}");
        let receipt = world.cycle("parser")["manager_context"]["worker_receipt"].clone();
        assert_eq!((&receipt["outcome"], &receipt["ended_on_purpose"]), (&"aborted".into(), &words.into()));
        let chain = world.run(&["chain", "1"]).ok().out;
        assert!(chain.contains(words), "{chain}");
    }
}

/// A no that a person gives in the pane may have been anybody's.
#[test]
fn a_no_that_this_program_did_not_give_stays_an_interruption() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Change it {{shell-esc make install}} {{say Over.}}");
    world.bind("parser", "w1");
    world.wait_for_condition("w1", "blocked");
    // An answer that was too late ended nothing.
    let (code, done) = answer(&world, &["--decision", "decline", "--expect", "make clean"]);
    assert_eq!((code, &done["outcome"]), (1, &"not_open".into()), "{done:#}");
    world.press("w1", &["Escape"]);
    world.wait_for_condition("w1", "aborted");
    let told = world.run(&["explain", "w1", "--json"]).ok().json();
    assert_eq!(told["judgement"]["rule"], "turn_aborted", "{told:#}");
    assert_eq!(row(&world)["attention"], "failed");
    world.run(&["dispatch", "--json"]).ok();
    let inbox = world.run(&["manager-inbox", "parser", "--text"]).ok().out;
    assert!(inbox.contains("Worker w1 was interrupted on task parser. ") && !inbox.contains("operator"), "{inbox}");
}

#[test]
fn a_blocked_worker_is_one_message_to_its_manager_for_each_question() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Change it {{shell-esc make install}} {{shell-esc make clean}} {{say Over.}}");
    world.bind("parser", "w1");
    world.wait_for_condition("w1", "blocked");
    let inbox = || world.run(&["manager-inbox", "parser", "--json"]).ok().json();
    let blocked = |kind: &str| -> Vec<Value> {
        let pass = world.run(&["dispatch", "--json"]).ok().json();
        pass["processed"].as_array().expect("items").iter().filter(|item| item["kind"] == kind).cloned().collect()
    };
    let told = blocked("blocked");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!((&told[0]["signal_type"], &told[0]["target_session"]), (&"worker_blocked".into(), &"m1".into()));
    for _ in 0..3 {
        assert_eq!(blocked("blocked"), [] as [Value; 0], "one question is one message");
        world.status("w1");
    }
    let text = inbox().to_string();
    assert_eq!(text.matches("\"signal_type\":\"worker_blocked\"").count(), 1, "{text}");
    assert!(text.contains("make install") && text.contains("session-answer w1"), "{text}");
    // Approvals are for a person, as its first message says.
    assert!(text.contains("tell the operator") && !text.contains("then decide"), "{text}");

    // Another question is another message, and what was not read goes when its question does.
    answer(&world, &["--decision", "approve", "--expect", "make install"]);
    world.wait_for_screen("w1", "$ make clean");
    assert_eq!(blocked("blocked").len(), 1);
    let (code, done) = answer(&world, &["--decision", "decline", "--expect", "make clean"]);
    assert_eq!(code, 0, "{done:#}");
    let text = inbox().to_string();
    assert!(!text.contains("make clean"), "nobody is told of what is over: {text}");
}

/// The latest moment at which a question goes by itself, in milliseconds.
const LATEST: i64 = 1_500;

#[test]
fn a_question_that_takes_the_place_of_another_is_never_approved() {
    let Some(world) = World::start() else { return };
    let rule = |ms: i64| {
        json!({"match": format!("^race {ms}."), "steps": [
            {"approve": {"command": format!("make a{ms}"), "ms": 1, "answer_after_ms": ms}},
            {"approve": {"command": "rm -rf b"}},
            {"say": "Over."},
        ]})
    };
    let script = world.bin().join("script.json");
    fs::write(&script, json!({"rules": (1..=LATEST).map(rule).collect::<Vec<_>>()}).to_string()).unwrap();
    world.codex(&["--script", script.to_str().unwrap()]);
    world.start_worker("w1", "Begin {{say Ready.}}");
    world.wait_for_condition("w1", "done");
    let second = |screen: &str| screen.contains("  $ rm -rf b") && screen.contains("Press enter to confirm");
    let (mut given, mut late, mut got_no) = (0, 0, 0);
    let mut ms = 400;
    let races = rounds(6_u64, 200);
    for race in 0..races {
        let ready = || {
            if world.screen("w1").contains("› Ask Codex to do anything") {
                return Some(());
            }
            // Keys that came after the dialog leave a blank there.
            world.press("w1", &["C-u"]);
            None
        };
        wait_for("the composer", ready, || world.screen("w1"));
        world.say("w1", &format!("race {ms}. number {race}"));
        world.wait_for_screen("w1", &format!("$ make a{ms}"));
        let (_, done) = answer(&world, &["--wait", "2", "--decision", "approve", "--expect", &format!("make a{ms}")]);
        // Whoever was faster: the next race is decided closer to the keys.
        let step = 1 + i64::try_from(race % 5).unwrap_or(0) * 4;
        let taken = done["outcome"] == "answered";
        (given, late) = (given + u64::from(taken), late + u64::from(!taken));
        ms = (if taken { ms - step } else { ms + step }).clamp(1, LATEST);
        // The second question is open, or it got the no of the keys that were meant for the first.
        let over = || {
            let screen = world.screen("w1");
            let own = screen.rfind(&format!("number {race}")).map_or("", |at| &screen[at..]);
            own.contains("■ Conversation interrupted")
        };
        let settled = || (second(&world.screen("w1")) || over()).then_some(());
        wait_for("the race to end", settled, || world.screen("w1"));
        got_no += u64::from(over());
        let deadline = Instant::now() + PATIENCE;
        while !over() && Instant::now() < deadline {
            answer(&world, &["--decision", "decline", "--expect", "rm -rf b"]);
            thread::sleep(Duration::from_millis(20));
        }
        assert!(
            !world.screen("w1").contains("You approved codex to run rm"),
            "race {race} at {ms} ms: {done:#}\n{}",
            world.screen("w1")
        );
    }
    let record = rollout(&world);
    assert!(!record.contains("\"Over.\""), "no second question was approved");
    eprintln!("{races} races around {ms} ms: {given} answered, {late} too late, {got_no} got a no from the keys");
}

/// The same with real Codex; `server` tells whether its server has the session.
fn real(lab: &CodexLab, in_server: bool) {
    let Some(world) = World::in_lab(lab) else { return };
    lab.rule("^hello", "{{say Hello.}}");
    let way: &[&str] = if in_server { &[] } else { &["--no-server"] };
    let start = ["start-worker", "--name", "w1", "--timeout-seconds", "120", "--task", "hello"];
    let started = world.run(&[&start[..], way].concat()).ok().json();
    assert_eq!(started["without_server"].is_null(), in_server, "{started:#}");
    world.bind("parser", "w1");
    world.wait_for_condition("w1", "done");
    let lane = if in_server { "server" } else { "screen" };

    // Idle: nothing is pressed.
    let screen = world.screen("w1");
    let (code, idle) = interrupt(&world, &[]);
    assert_eq!((code, &idle["outcome"]), (0, &"nothing_to_interrupt".into()), "{idle:#}");
    assert_eq!(world.screen("w1"), screen);

    // A running turn.
    lab.rule("^hold the line", "{{hold line}} {{say Held.}}");
    world.say("w1", "hold the line");
    world.wait_for_condition("w1", "busy");
    let (code, done) = interrupt(&world, &["--wait", "20"]);
    assert_eq!((code, &done["outcome"], &done["lane"]), (0, &"interrupted".into(), &lane.into()), "{done:#}");
    assert_aborted_at(&done["proof"]);
    world.wait_for_condition("w1", "aborted");

    // An open approval is not interrupted.
    let proof = |name: &str| lab.project().join(name);
    for name in ["yes", "no", "cancel", "fresh"] {
        let script = format!("{{{{shell-esc touch {}}}}} {{{{say Over {name}.}}}}", proof(name).display());
        lab.rule(&format!("^touch {name}"), &script);
    }
    world.say("w1", "touch yes");
    world.wait_for_screen("w1", "Would you like to run the following command?");
    let (code, done) = interrupt(&world, &[]);
    assert_eq!((code, &done["outcome"]), (1, &"question_open".into()), "{done:#}");
    let asked = question(&world);
    assert_eq!((&asked["source"], &asked["kind"]), (&lane.into(), &"approval_command".into()), "{asked:#}");
    for _ in 0..5 {
        assert_eq!(question(&world)["id"], asked["id"], "looking changes nothing");
    }
    let pass = world.run(&["dispatch", "--json"]).ok().json().to_string();
    assert!(pass.contains("worker_blocked"), "{pass}");
    assert!(world.screen("w1").contains("Would you like to run the following command?"));
    let id = asked["id"].as_str().expect("an id").to_owned();

    // Approved: it is run, and the turn goes on.
    let (code, done) = answer(&world, &["--decision", "approve", "--question", &id]);
    assert_eq!((code, &done["outcome"], &done["lane"]), (0, &"answered".into(), &lane.into()), "{done:#}");
    world.wait_for_condition("w1", "done");
    assert!(proof("yes").exists(), "{}", world.screen("w1"));
    let (code, again) = answer(&world, &["--decision", "approve", "--question", &id]);
    assert_eq!((code, &again["outcome"]), (1, &"not_open".into()), "{again:#}");

    // Declined and cancelled: nothing is run.
    for (name, decision) in [("no", "decline"), ("cancel", "cancel")] {
        world.say("w1", &format!("touch {name}"));
        world.wait_for_screen("w1", &format!("touch {}", proof(name).display()));
        world.wait_for_condition("w1", "blocked");
        let expect = format!("touch {}", proof(name).display());
        let (code, done) = answer(&world, &["--decision", decision, "--expect", &expect]);
        assert_eq!((code, &done["outcome"]), (0, &"answered".into()), "{done:#}\n{}", world.screen("w1"));
        let goes_on = in_server && decision == "decline";
        let said = || rollout(&world).contains(&format!("\"Over {name}.\""));
        if goes_on {
            wait_for("the turn to go on", || said().then_some(()), || rollout(&world));
        }
        world.wait_for_condition("w1", if goes_on { "done" } else { "aborted" });
        assert_eq!((said(), proof(name).exists()), (goes_on, false), "{}", world.screen("w1"));
    }

    // The second step of an approval by keys says no to a dialog that has only just taken the place of the other one.
    world.say("w1", "touch fresh");
    world.wait_for_screen("w1", &format!("touch {}", proof("fresh").display()));
    world.wait_for_screen("w1", "Press enter to confirm");
    world.press("w1", &["Space", "Up", "Enter"]);
    let closed = || (world.status("w1")["condition"] != "blocked").then_some(());
    wait_for("the answer", closed, || world.screen("w1"));
    world.wait_for_screen("w1", "› Ask Codex to do anything");
    assert!(!proof("fresh").exists(), "{}", world.screen("w1"));
}

#[test]
fn real_codex_in_its_server_is_interrupted_and_answered() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    real(&lab, true);
}

#[test]
fn real_codex_without_a_server_is_interrupted_and_answered() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    real(&lab, false);
}
