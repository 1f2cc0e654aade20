//! Real Codex, with its background server and without, against a scripted model: the commands and the cockpit tell
//! the truth at each point of its turns, and `stop` leaves nothing running.

use std::{collections::BTreeSet, process::Command};

use conveyor::ports::codex_server::{CodexServer, ThreadStatus, Timeouts};
use serde_json::Value;

use super::{
    terminal::Terminal,
    world::{World, wait_for},
};
use crate::support::codex_lab::{CodexLab, skipped};

/// A worker of real Codex with a cockpit beside it.
struct Live<'l> {
    lab: &'l CodexLab,
    world: World,
    cockpit: Terminal,
}

impl Live<'_> {
    /// Starts `w1` with a turn that lasts until the hold `line` is released.
    fn start<'l>(lab: &'l CodexLab, options: &[&str]) -> Option<(Live<'l>, Value)> {
        let world = World::in_lab(lab)?;
        lab.rule("^hold the line", "{{hold line}} {{say Held.}}");
        let start = ["start-worker", "--name", "w1", "--timeout-seconds", "120", "--task", "hold the line"];
        let started = world.run(&[&start, options].concat()).ok().json();
        world.bind("parser", "w1");
        let cockpit = Terminal::open(&world, &world.shell_environment(), 120, 30);
        cockpit.conveyor("");
        Some((Live { lab, world, cockpit }, started))
    }

    /// Waits until `cycle` says so, and then the cockpit as well.
    #[track_caller]
    fn is(&self, condition: &str, on_screen: &str) -> Value {
        let mut last = Value::Null;
        wait_for(
            condition,
            || {
                last = self.world.cycle("parser");
                (last["condition"] == condition).then_some(())
            },
            || format!("{:#}\n{}", self.world.cycle("parser"), self.world.all_screens()),
        );
        assert!(last["judgement"]["source"].is_string(), "{last:#}");
        assert_eq!(last["worker_alive"], true, "{last:#}");
        assert_eq!(last["degraded"], Value::Array(Vec::new()), "{last:#}");
        self.cockpit.wait_until(&format!("{on_screen:?} on the cockpit's row of w1"), |screen| row(screen, on_screen));
        last
    }

    /// Lets every kind of turn pass and looks at each point.
    fn turns(&self) {
        let Self { lab, world, .. } = self;
        let busy = self.is("busy", "working");
        assert_eq!((&busy["state"], &busy["task_completed"]), (&"busy".into(), &false.into()));
        lab.release("line");
        let done = self.is("done", "done");
        assert_eq!(done["task_completed"], true, "{done:#}");
        let receipt = |cycle: &Value| cycle["manager_context"]["worker_receipt"].clone();
        assert_eq!(receipt(&done)["last_agent_message"], "Held.", "{done:#}");

        // An approval stays open while everybody looks, and a person gives it.
        let proof = lab.project().join("proof");
        lab.rule("^touch it", &format!("{{{{shell-esc touch {}}}}} {{{{say Touched.}}}}", proof.display()));
        world.say("w1", "touch it");
        let blocked = self.is("blocked", "needs you");
        assert_eq!(blocked["judgement"]["ready_for_text"], "not_ready");
        let named = || world.status("w1")["judgement"]["prompt"].clone();
        wait_for("the dialog", || (named() == "approval_command").then_some(()), || world.screen("w1"));
        assert_eq!(self.is("blocked", "needs you")["notable_pane_pattern"], "approval_command");
        self.cockpit.wait_for("1 needs you");
        world.run(&["explain", "w1"]).ok();
        world.run(&["capture", "w1"]).ok();
        assert!(!proof.exists(), "nobody has approved anything");
        world.press("w1", &["y"]);
        assert_eq!(receipt(&self.is("done", "done"))["last_agent_message"], "Touched.");
        assert!(proof.exists());

        // A person interrupts.
        lab.rule("^hold again", "{{hold again}} {{say Never.}}");
        world.say("w1", "hold again");
        self.is("busy", "working");
        world.wait_for_screen("w1", "esc to interrupt");
        world.press("w1", &["Escape"]);
        let aborted = self.is("aborted", "failed");
        assert_eq!(
            (&aborted["judgement"]["rule"], &aborted["task_completed"]),
            (&"turn_aborted".into(), &false.into())
        );
        assert_eq!(aborted["state"], "idle");
        lab.reset();

        // A turn that fails is not done.
        lab.rule("^fail now", "{{http 429 usage_limit}}");
        world.say("w1", "fail now");
        let failed = wait_for(
            "the failed turn",
            || Some(world.cycle("parser")).filter(|cycle| cycle["judgement"]["rule"] == "turn_failed"),
            || format!("{:#}\n{}", world.cycle("parser"), world.screen("w1")),
        );
        assert_eq!((&failed["condition"], &failed["task_completed"]), (&"aborted".into(), &false.into()), "{failed:#}");
        self.cockpit.wait_until("the failure on the cockpit", |screen| row(screen, "failed"));
    }

    /// Stops the worker in the middle of a turn.
    fn stop_in_a_turn(&self) {
        let Self { lab, world, .. } = self;
        lab.rule("^hold on", "{{hold on}} {{say Never.}}");
        world.say("w1", "hold on");
        self.is("busy", "working");
        let pane = world.pane("w1").to_string();
        let pid = world.server().plain(&["display-message", "-p", "-t", &pane, "#{pane_pid}"]);
        let family = family(pid.parse().expect("a pid"));
        let stopped = world.run(&["stop", "w1", "--json"]).ok().json();
        assert_eq!((&stopped["ending"], &stopped["state"]), (&"left".into(), &"gone".into()), "{stopped:#}");
        assert_ne!(stopped["still_running"], true, "{stopped:#}");
        wait_for(
            "its processes to end",
            || all_pids().is_disjoint(&family).then_some(()),
            || {
                let pids: Vec<String> = family.iter().map(ToString::to_string).collect();
                let left = Command::new("ps").args(["-o", "pid,ppid,stat,lstart,args", "-p", &pids.join(",")]).output();
                format!("{stopped:#}\n{}", String::from_utf8_lossy(&left.expect("ps runs").stdout))
            },
        );
        let closed = || !world.tmux_sessions().contains(&"codex-w1".to_owned());
        wait_for("its tmux session to end", || closed().then_some(()), || world.all_screens());
    }

    /// Finds the one unregistered session of the project, adopts it and looks at it.
    fn adopt(&self, way: &str) {
        let Self { lab, world, .. } = self;
        let project = lab.project().display().to_string();
        let unregistered = |found: &Value| {
            let running = found["running"].as_array().cloned().unwrap_or_default();
            let mut fresh = running.into_iter().filter(|one| {
                one["registered_as"].is_null() && one["codex_session_id"].is_string() && one["tmux_pane_id"].is_string()
            });
            fresh.next()
        };
        let discover = || world.run(&["discover", &project, "--json"]).ok().json();
        let found = wait_for(
            "the session to be found",
            || unregistered(&discover()),
            || format!("{:#}\n{}", discover(), world.all_screens()),
        );
        if way == "server" {
            // The thread that was stopped is still loaded there, and nobody's.
            let left = discover()["running"].as_array().cloned().unwrap_or_default();
            assert!(left.iter().any(|one| one["unattended"] == true && one["tmux_pane_id"].is_null()), "{left:#?}");
        }
        let known_by = found["known_by"].as_array().expect("ways");
        assert!(known_by.iter().any(|known| known == way), "{found:#}");
        let adopted = world.run(&["discover", &project, "--adopt", "--name", "found", "--json"]).ok().json();
        assert_eq!(adopted["adopted"], serde_json::json!(["found"]), "{adopted:#}");
        let status = world.wait_for_condition("found", "done");
        assert_eq!((&status["running"], &status["awaiting_first_prompt"]), (&true.into(), &false.into()), "{status:#}");
        assert_eq!(world.session("found")["codex_session_id"], found["codex_session_id"]);
        assert_eq!(world.session("found")["tmux_pane_id"], found["tmux_pane_id"]);
        self.cockpit.wait_for("found");
    }
}

/// Whether the row of w1, or the line below it, holds the text.
fn row(screen: &str, text: &str) -> bool {
    let lines: Vec<&str> = screen.lines().collect();
    let here = lines.iter().position(|line| line.contains("w1 ↔"));
    here.is_some_and(|index| lines[index..lines.len().min(index + 3)].iter().any(|line| line.contains(text)))
}

/// Processes with their parents, without those that have ended: a busy tmux 3.3 can be late to take leave of a child.
fn process_table() -> Vec<(u32, u32)> {
    let listing = Command::new("ps").args(["-A", "-o", "pid=,ppid=,stat="]).output().expect("ps runs");
    let text = String::from_utf8_lossy(&listing.stdout).into_owned();
    let pair = |line: &str| {
        let mut words = line.split_whitespace();
        let (pid, parent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        words.next().filter(|state| !state.starts_with('Z')).map(|_| (pid, parent))
    };
    text.lines().filter_map(pair).collect()
}

fn all_pids() -> BTreeSet<u32> {
    process_table().into_iter().map(|(pid, _)| pid).collect()
}

/// A process and everything below it.
fn family(root: u32) -> BTreeSet<u32> {
    let table = process_table();
    let mut found = BTreeSet::from([root]);
    loop {
        let more: Vec<u32> = table
            .iter()
            .filter(|(pid, parent)| found.contains(parent) && !found.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

#[test]
fn real_codex_with_its_server_is_told_truthfully() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    if !lab.cli().has_server().expect("codex answers") {
        return skipped("codex 0.162 or later");
    }
    let Some((live, started)) = Live::start(&lab, &[]) else { return };
    assert_eq!(started["without_server"], Value::Null, "{started:#}");
    assert!(started["codex_session_path"].is_string(), "known before the terminal opens: {started:#}");
    let thread = started["codex_session_id"].as_str().expect("a thread").to_owned();
    live.turns();
    live.stop_in_a_turn();
    let mut server = CodexServer::connect(&lab.home(), Timeouts::default()).expect("the server runs");
    let status = server.read_thread(&thread).expect("a thread").status;
    assert!(!matches!(status, ThreadStatus::Active { .. }), "{status:?}");

    // Somebody starts Codex by hand.
    let home = format!("CODEX_HOME={}", lab.home().display());
    let program = lab.cli().program.display().to_string();
    let project = lab.project().display().to_string();
    let words = ["new-session", "-d", "-s", "hand", "-x", "120", "-y", "40", "-c", &project, "--"];
    live.world.server().plain(&[&words[..], &["env", &home, &program, "--", "say hello"]].concat());
    live.adopt("server");
    live.world.run(&["stop", "found"]).ok();
}

#[test]
fn real_codex_without_a_server_is_told_truthfully() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some((live, started)) = Live::start(&lab, &["--no-server"]) else { return };
    assert!(started["without_server"].is_string(), "{started:#}");
    assert!(started["codex_session_id"].is_string(), "the status line shows it: {started:#}");
    live.turns();

    // Another thread in the same pane.
    let known = live.world.session("w1")["codex_session_id"].clone();
    live.world.say("w1", "/clear");
    let fresh = wait_for(
        "/clear to be followed",
        || {
            live.world.status("w1");
            Some(live.world.session("w1")).filter(|session| session["codex_session_id"] != known)
        },
        || live.world.screen("w1"),
    );
    assert_eq!(fresh["codex_session_path"], Value::Null, "{fresh:#}");
    assert_eq!(live.world.status("w1")["awaiting_first_prompt"], true);
    live.world.say("w1", "say something");
    live.is("done", "done");
    assert_eq!(live.world.session("w1")["codex_session_id"], fresh["codex_session_id"]);

    live.stop_in_a_turn();
    let hand = ["start", "hand", "--no-server", "--timeout-seconds", "120", "--", "say hello"];
    live.world.run(&hand).ok();
    live.adopt("open_rollout");
    live.world.run(&["stop", "found"]).ok();
}

/// Deregistered sessions that run on are found with their panes, and taken up again under their names: each alone, and two
/// in one folder, where nothing but the record tells whose terminal is whose.
#[test]
fn real_codex_that_was_deregistered_is_found_with_its_pane() {
    for options in [&[][..], &["--no-server"]] {
        let Some(lab) = CodexLab::start(&["tmux"]) else { return };
        let Some(world) = World::in_lab(&lab) else { return };
        for name in ["w1", "w2"] {
            let start = ["start-worker", "--name", name, "--timeout-seconds", "120", "--task", "say hello"];
            world.run(&[&start, options].concat()).ok();
        }
        for name in ["w1", "w2"] {
            world.wait_for_condition(name, "done");
        }
        let before: Vec<Value> = ["w1", "w2"].iter().map(|name| world.session(name)).collect();
        for name in ["w1", "w2"] {
            world.run(&["deregister", name]).ok();
        }
        let found = world.run(&["discover", "--limit", "0", "--json"]).ok().json();
        let running = found["running"].as_array().expect("a list");
        for session in &before {
            let one = running.iter().find(|one| one["codex_session_id"] == session["codex_session_id"]);
            let one = one.unwrap_or_else(|| panic!("{session:#} is not in {found:#}"));
            assert_eq!(one["tmux_pane_id"], session["tmux_pane_id"], "{options:?}: {found:#}");
            assert_eq!(one["known_as"], session["name"], "{options:?}: {found:#}");
        }
        let adopted = world.run(&["discover", "--adopt", "--json"]).ok().json();
        let mut names: Vec<&str> =
            adopted["adopted"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["w1", "w2"], "{options:?}: {adopted:#}");
        for session in &before {
            let name = session["name"].as_str().expect("a name");
            assert_eq!(world.session(name)["tmux_pane_id"], session["tmux_pane_id"], "{options:?}");
            assert_eq!(world.session(name)["codex_session_id"], session["codex_session_id"], "{options:?}");
            world.run(&["stop", name]).ok();
        }
    }
}
