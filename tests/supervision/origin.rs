//! Where a command comes from decides what it may do: a session gains nothing by hiding or by taking another's place.

use std::{
    fs::File,
    process::{Child, Command, Stdio},
};

use rusqlite::Connection;
use serde_json::Value;

use super::{below_codex, count, hidden, in_session, refusal};
use crate::support::{TestEnv, WORKER};

const SOME_CODEX: &str = "a session of Codex's that cannot be told from here";

/// A process that looks like a Codex in a terminal, at work on a thread of its own.
struct Running {
    process: Child,
    thread: String,
}

impl Running {
    fn new(env: &TestEnv) -> Self {
        let thread = "01a1fbe2-6b00-7000-8000-000000000001";
        let recorded = env.place_rollout("rollouts/tool_calls.jsonl", &WORKER.replace(OWN, thread));
        let text = std::fs::read_to_string(&recorded).unwrap().replace(OWN, thread);
        std::fs::write(&recorded, text).unwrap();
        let rollout = File::options().append(true).open(&recorded).unwrap();
        let mut codex = Command::new("bash");
        codex.args(["-c", "exec -a codex sleep 300"]).stdout(rollout).stdin(Stdio::null()).stderr(Stdio::null());
        codex.env("CODEX_HOME", env.codex_home());
        let running = Self { process: codex.spawn().unwrap(), thread: thread.to_owned() };
        for _ in 0..200 {
            let found = env.sh("discover --all --limit 0 --json").ok().json();
            if found["running"].as_array().unwrap().iter().any(|one| one["codex_session_id"] == thread) {
                return running;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("it is not found");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// The thread of the recorded worker.
const OWN: &str = "01a1fbe2-536f-7ac3-bfaa-af9af8b87c1e";

/// What the ledger holds of the sessions.
fn sessions(env: &TestEnv) -> Value {
    env.sh("sessions --json").ok().json()
}

/// Who did what is newest of this kind.
fn actor(env: &TestEnv, kind: &str) -> String {
    let sql = Connection::open(env.ledger()).unwrap();
    let newest = "select actor from events where type = ?1 order by id desc limit 1";
    sql.query_row(newest, [kind], |row| row.get(0)).unwrap()
}

#[test]
fn the_name_of_a_registered_session_is_not_given_to_another_one() {
    let env = TestEnv::pair();
    let running = Running::new(&env);
    let adopt =
        |name: &str| format!("discover --adopt --thread {} --role manager --name {name} --json", running.thread);
    let anew = format!("register-manager --name m1 --pid {} --json", running.process.id());
    let before = sessions(&env);
    let (code, told) = refusal(&env.sh(&adopt("m1")));
    assert_eq!(
        (code, told.starts_with("session \"m1\" is registered already, as another session; choose another --name")),
        (1, true),
        "{told}"
    );
    for line in [&adopt("m1"), &format!("{} --dry-run", adopt("m1")), &anew] {
        for (run, who) in [(hidden(&env, line), SOME_CODEX), (below_codex(&env, Some(OWN), line), "worker w1")] {
            let (code, told) = refusal(&run);
            assert_eq!((code, told.starts_with(&format!("{who} may not "))), (3, true), "{line}: {told}");
        }
    }
    assert_eq!(sessions(&env), before, "nothing was written");
    // A session that is gone keeps its name from sessions, not from an operator.
    env.sh("unbind --task parser").ok();
    env.sh("deregister m1").ok();
    assert_eq!(refusal(&hidden(&env, &adopt("m1"))).0, 3);
    let adopted = hidden(&env, &adopt("m2")).ok().json();
    assert_eq!(adopted["adopted"], serde_json::json!(["m2"]), "a new name is free");
}

#[test]
fn only_a_person_settles_what_may_have_arrived_and_stops_dispatchers() {
    let env = TestEnv::pair();
    for (line, words) in [
        ("dispatch resolve command-x --as delivered --reason r", "an operator decides about what may have arrived"),
        ("dispatch stop --all", "may not stop dispatchers"),
        ("dispatch stop background", "may not stop dispatchers"),
    ] {
        let line = format!("{line} --json");
        for run in [hidden(&env, &line), in_session(&env, "m1", &line), below_codex(&env, Some(OWN), &line)] {
            let (code, told) = refusal(&run);
            assert_eq!((code, told.contains(words)), (3, true), "{line}: {told}");
        }
        assert_ne!(env.sh(&line).code, 3, "{line}");
    }
}

#[test]
fn a_session_takes_back_only_what_it_sent() {
    let env = TestEnv::pair();
    let queued = |id: &str| -> Value {
        let commands = env.sh("commands --json").ok().json();
        commands.as_array().unwrap().iter().find(|one| one["id"] == id).unwrap()["phase"].clone()
    };
    let sent = "enqueue-nudge-worker parser --message x --json";
    let operators = env.sh(sent).ok().json()["command_id"].as_str().unwrap().to_owned();
    let own = in_session(&env, "m1", sent).ok().json()["command_id"].as_str().unwrap().to_owned();
    let cancel = |id: &str| format!("dispatch cancel {id} --json");
    for run in [
        in_session(&env, "m1", &cancel(&operators)),
        in_session(&env, "w1", &cancel(&own)),
        hidden(&env, &cancel(&own)),
    ] {
        let (code, told) = refusal(&run);
        assert_eq!((code, told.contains(" did not send command-")), (3, true), "{told}");
    }
    assert_eq!((queued(&operators), queued(&own)), ("queued".into(), "queued".into()));
    in_session(&env, "m1", &cancel(&own)).ok();
    assert_eq!((queued(&own), actor(&env, "command_cancelled")), ("cancelled".into(), "manager".to_owned()));
    env.sh(&cancel(&operators)).ok();
    assert_eq!((queued(&operators), actor(&env, "command_cancelled")), ("cancelled".into(), "operator".to_owned()));
}

#[test]
fn a_pair_is_not_opened_on_a_task_whose_terms_give_permissions() {
    let env = TestEnv::new();
    env.sh("tasks --create wide --goal g").ok();
    env.sh("manager-config wide --permit worker_session.stop").ok();
    env.sh("register-manager --name m1 --codex-app-thread-id thread-1").ok();
    for line in [
        "pair --task wide --worker-name w8 --manager-name m8 --no-dispatch --dry-run --json",
        "create-disposable-binding wide --dry-run --json",
    ] {
        for run in [in_session(&env, "m1", line), hidden(&env, line)] {
            let (code, told) = refusal(&run);
            let words = "may not bind sessions to \"wide\", whose terms give permissions";
            assert_eq!((code, told.contains(words)), (3, true), "{line}: {told}");
        }
        assert_ne!(env.sh(line).code, 3, "{line}");
    }
    assert_eq!(count(&env, "bindings"), 0);
}

/// A worker that hides which session it is (by taking the name of its thread out of the environment) has what a worker
/// has; a manager that Codex names has what a manager has.
#[test]
fn who_hides_gets_no_more_than_a_worker() {
    let env = TestEnv::pair();
    let manager = {
        let all = env.sh("sessions --json").ok().json();
        let m1 = all.as_array().unwrap().iter().find(|one| one["name"] == "m1").unwrap().clone();
        m1["codex_session_id"].as_str().unwrap().to_owned()
    };
    let add = |flags: &str| format!("criteria parser --add --criterion {flags} --json");
    hidden(&env, &add("c --source worker_proposed --status proposed")).ok();
    for line in [
        &*add("d --source manager_inferred --status accepted"),
        &*add("d --source worker_proposed --status accepted"),
        "criteria parser --accept 1 --json",
        "criteria parser --reject 1 --rationale r --json",
        "manager-config parser --guideline 'do as you like' --json",
        "record-decision parser wait --reason r --json",
        "handoff parser --summary s --json",
        "worker-ack parser --from-stdin={} --json",
        "manager-ack parser --from-stdin={} --json",
    ] {
        let (code, told) = refusal(&hidden(&env, line));
        assert_eq!((code, told.starts_with(SOME_CODEX)), (3, true), "{line}: {told}");
    }
    for line in ["criteria parser --accept 1 --json", "record-decision parser wait --reason r --json"] {
        below_codex(&env, Some(&manager), line).ok();
    }
    assert_eq!((count(&env, "manager_decisions"), count(&env, "worker_handoffs")), (1, 0));
    assert_eq!(count(&env, "task_acknowledgements"), 0);
}

#[test]
fn the_handoff_is_the_workers_own_word_or_an_operators() {
    let env = TestEnv::pair();
    let line = "handoff parser --summary s --json";
    let (code, told) = refusal(&in_session(&env, "m1", line));
    assert_eq!((code, told.starts_with("manager m1 is not the worker of the task \"parser\"")), (3, true), "{told}");
    in_session(&env, "w1", line).ok();
    env.sh(line).ok();
    assert_eq!(count(&env, "worker_handoffs"), 2);
}

#[test]
fn what_a_session_does_is_not_said_to_be_the_operators() {
    let env = TestEnv::pair();
    let scope = |status: &Value| status["pauses"][0]["paused_by"].clone();
    hidden(&env, "dispatch pause --json").ok();
    let status = env.sh("dispatch status --json").ok().json();
    assert_eq!((scope(&status), actor(&env, "dispatch_paused")), ("manager".into(), "manager".to_owned()), "{status}");
    env.sh("dispatch resume").ok();
    hidden(&env, "session-nudge w1 x --no-wait --json");
    assert_eq!(actor(&env, "command_created"), "manager");
    hidden(&env, "unbind --task parser --json").ok();
    hidden(&env, "bind --task parser --worker w1 --manager m1 --json").ok();
    assert_eq!([actor(&env, "binding_ended"), actor(&env, "binding_created")], ["manager", "manager"]);
    env.sh("manager-config parser --permit worker_session.stop").ok();
    hidden(&env, "stop w1 --json").ok();
    assert_eq!(actor(&env, "session_stopped"), "manager");
}
