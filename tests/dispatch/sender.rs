//! Who a message is from: whoever gave the command, never who could have.

use std::{os::unix::process::CommandExt as _, process::Command};

use super::Pair;

/// `created_by` and the sending session of the newest command.
fn sender(pair: &Pair) -> (String, Option<String>) {
    pair.sql()
        .query_row(
            "select c.created_by, s.name from commands as c left join sessions as s on s.id = c.source_session_id
             order by c.seq desc limit 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap()
}

fn from(who: &str, session: Option<&str>) -> (String, Option<String>) {
    (who.to_owned(), session.map(str::to_owned))
}

const THROUGH_THE_BINDING: &[&str] = &["enqueue-nudge-worker", "parser", "--message", "x"];
const TO_THE_MANAGER: &[&str] = &["enqueue-notify-manager", "parser", "--message", "x"];
const TO_THE_SESSION: &[&str] = &["session-nudge", "w1", "x", "--no-wait"];

/// Runs a command line below a process that looks like Codex's sandbox.
fn below_codex(pair: &Pair, words: &[&str], thread: Option<&str>) {
    let program = pair.env.command();
    let mut sandbox = Command::new("/bin/sh");
    sandbox.arg0("codex-linux-sandbox").args(["-c", "\"$0\" \"$@\"; exit $?"]).arg(program.get_program()).args(words);
    sandbox.env_clear().current_dir(pair.env.cwd());
    sandbox.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    sandbox.envs(thread.map(|thread| ("CODEX_THREAD_ID", thread)));
    let output = sandbox.output().expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_operators_message_is_the_operators_on_every_way() {
    let pair = Pair::new();
    for words in [THROUGH_THE_BINDING, TO_THE_MANAGER, TO_THE_SESSION] {
        pair.env.run(words).ok();
        assert_eq!(sender(&pair), from("operator", None), "{words:?}");
    }
    pair.env.run(["dispatch"]).ok();
    let shown = pair.env.run(["manager-inbox", "parser", "--text"]).ok();
    assert!(shown.out.contains("from the operator to m1"), "{shown}");
    // A variable that a shell inherited says nothing without a Codex above.
    let thread = pair.env.run(["sessions", "--json"]).ok().json()[0]["codex_session_id"].clone();
    let mut command = pair.env.command();
    let done = command.args(TO_THE_SESSION).env("CODEX_THREAD_ID", thread.as_str().unwrap()).output().unwrap();
    assert!(done.status.success());
    assert_eq!(sender(&pair), from("operator", None));
}

#[test]
fn a_managers_message_is_the_managers_on_every_way() {
    let pair = Pair::new();
    let pid = std::process::id().to_string();
    let thread = pair.env.cwd().join("m1.jsonl").display().to_string();
    pair.env.run(["register-manager", "--name", "m1", "--codex-session", &thread, "--pid", &pid]).ok();
    for words in [THROUGH_THE_BINDING, TO_THE_SESSION] {
        pair.env.run(words).ok();
        assert_eq!(sender(&pair), from("manager", Some("m1")), "{words:?}");
    }
    let audited: i64 = pair
        .sql()
        .query_row("select count(*) from events where type = 'command_created' and actor = 'manager'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(audited, 2);
}

#[test]
fn what_some_codex_sends_is_never_called_the_operators() {
    let pair = Pair::new();
    below_codex(&pair, THROUGH_THE_BINDING, None);
    assert_eq!(sender(&pair), from("manager", Some("m1")), "only managers send through the binding");
    below_codex(&pair, TO_THE_MANAGER, None);
    assert_eq!(sender(&pair), from("worker", Some("w1")));
    below_codex(&pair, TO_THE_SESSION, None);
    assert_eq!(sender(&pair), from("session", None));
    let shown = pair.env.run(["session-inbox", "w1", "--text"]).ok();
    assert!(shown.out.contains("session_nudge from some Codex session to w1"), "{shown}");
    below_codex(&pair, TO_THE_SESSION, Some("01a1fbe2-0000-7000-8000-00000000dead"));
    assert_eq!(sender(&pair), from("session", None), "nobody has registered that thread");
}

#[test]
fn codex_names_the_thread_where_its_processes_do_not() {
    let pair = Pair::new();
    let sessions = pair.env.run(["sessions", "--json"]).ok().json();
    let of = |name: &str| {
        let found = sessions.as_array().unwrap().iter().find(|session| session["name"] == name).unwrap();
        found["codex_session_id"].as_str().unwrap().to_owned()
    };
    below_codex(&pair, TO_THE_SESSION, Some(&of("m1")));
    assert_eq!(sender(&pair), from("manager", Some("m1")));
    below_codex(&pair, TO_THE_MANAGER, Some(&of("w1")));
    assert_eq!(sender(&pair), from("worker", Some("w1")));
    // Also when it is not the end of the binding that the command is made for; that it may not do.
    let refused = pair.env.run_below_codex(THROUGH_THE_BINDING, Some(&of("w1")));
    assert_eq!(refused.code, 3, "{refused}");
    assert_eq!(sender(&pair), from("worker", Some("w1")));
}
