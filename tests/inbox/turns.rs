//! A worker's turn ends, and its manager, who only polls, is told: nobody dispatches.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use serde_json::json;

use super::{end, message, start, until_it_looks};
use crate::support::{TestEnv, wait_for};

/// A simulated Codex; it ends with the test.
struct Codex {
    child: Child,
}

impl Drop for Codex {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rollout(env: &TestEnv) -> Option<PathBuf> {
    fn walk(folder: &std::path::Path) -> Option<PathBuf> {
        fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).find_map(|path| {
            if path.is_dir() {
                return walk(&path);
            }
            (path.extension()? == "jsonl").then_some(path)
        })
    }
    let path = walk(&env.codex_home().join("sessions"))?;
    fs::read_to_string(&path).ok()?.contains('\n').then_some(path)
}

/// A pair whose worker is in a turn that ends when the file `go` comes.
fn working_pair(env: &TestEnv, message: &str) -> (Codex, PathBuf) {
    let go = env.cwd().join("go");
    let prompt = format!("Do it {{{{hold {}}}}} {message}", go.display());
    let home = env.codex_home();
    fs::create_dir_all(&home).unwrap();
    let child = env
        .command()
        .args(["sim", "codex", "--no-daemon", "--headless", "--hold", "--speed", "20", "--codex-home"])
        .arg(&home)
        .arg(prompt)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let codex = Codex { child };
    let path = wait_for("the worker's rollout", || rollout(env), String::new);
    env.sh(&format!("register-worker --name w1 --codex-session {}", path.display())).ok();
    env.sh("register-manager --name m1 --codex-app-thread-id m1").ok();
    env.sh("tasks --create parser --goal g").ok();
    env.sh("bind --task parser --worker w1 --manager m1").ok();
    (codex, go)
}

#[test]
fn a_manager_that_polls_gets_the_workers_final_message() {
    let env = TestEnv::live();
    let (_codex, go) = working_pair(&env, "{{say The parser accepts all 40 files.}}");
    let manager = start(&env, "manager-inbox parser --wait --timeout 30 --json");
    until_it_looks(&env, &manager);
    thread::sleep(Duration::from_millis(300));
    fs::write(&go, "").unwrap();
    let told = end(manager).ok().json();
    let item = &told["items"][0];
    assert_eq!((&item["signal_type"], &item["source_session_name"]), (&json!("worker_task_complete"), &json!("w1")));
    assert_eq!(item["payload"]["worker_receipt"]["last_agent_message"], "The parser accepts all 40 files.", "{item:#}");
    assert_eq!(item["delivery_mode"], "pull_required");
    let read = env.sh("manager-inbox parser --receive --text").ok();
    assert!(read.out.contains("  | The parser accepts all 40 files."), "{read}");
    let cycle = env.sh("cycle parser").ok().json();
    assert_eq!((&cycle["manager_inbox"]["counts"]["waiting"], &cycle["state"]), (&json!(1), &json!("idle")));
}

#[test]
fn a_cycle_tells_the_manager_of_the_turn_that_it_saw() {
    let env = TestEnv::live();
    let (_codex, go) = working_pair(&env, "{{fail server_error}}");
    let before = env.sh("cycle parser").ok().json();
    assert_eq!(before["manager_inbox"]["counts"]["waiting"], 0);
    fs::write(&go, "").unwrap();
    let cycle = wait_for(
        "a cycle with a message",
        || {
            let cycle = env.sh("cycle parser").ok().json();
            (cycle["manager_inbox"]["counts"]["waiting"] == 1).then_some(cycle)
        },
        || env.sh("status w1").to_string(),
    );
    let item = &cycle["manager_inbox"]["items"][0];
    assert_eq!(item["signal_type"], "worker_turn_failed", "{item:#}");
    assert!(message(item).contains("has ended its turn without an answer"), "{item:#}");
}
