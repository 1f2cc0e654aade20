//! What an operator decides: commands whose fate nothing proves, and how many messages a worker may be given.

use serde_json::{Value, json};

use super::Pair;

impl Pair {
    /// A command that nothing can tell about any more.
    fn uncertain(&self, owner: &str) -> String {
        let id = self.left_by(owner, "stopped", Some("01a1fbe2-0000-7000-8000-000000000000"));
        self.env.sh("dispatch").ok();
        assert_eq!(self.stands(&id).0, "ambiguous");
        id
    }

    fn resolve(&self, id: &str, decision: &str) -> Value {
        let words = ["dispatch", "resolve", id, "--as", decision, "--reason", "looked into the session", "--json"];
        self.env.run(words).ok().json()
    }

    fn command(&self, id: &str) -> Value {
        let commands = self.env.sh("commands --json --attempts").ok().json();
        commands.as_array().unwrap().iter().find(|one| one["id"] == id).unwrap().clone()
    }

    fn audited(&self, kind: &str) -> Vec<Value> {
        let sql = self.sql();
        let mut statement = sql.prepare("select payload_json from events where type = ?1 order by id").unwrap();
        let rows = statement.query_map([kind], |row| row.get::<_, String>(0)).unwrap();
        rows.map(|row| serde_json::from_str(&row.unwrap()).unwrap()).collect()
    }

    /// `max_nudges`, `nudges_used` of the task.
    fn budget(&self) -> (i64, i64) {
        let budget = self.env.sh("manager-config parser").ok().json()["budget"].clone();
        (budget["max_nudges"].as_i64().unwrap(), budget["nudges_used"].as_i64().unwrap())
    }
}

#[test]
fn what_an_operator_says_arrived_is_done_by_that_word_until_the_session_shows_it() {
    let pair = Pair::new();
    let id = pair.uncertain("d1");
    let refused = pair.env.run(["dispatch", "retry", &id, "--json"]);
    assert_eq!((refused.code, refused.error()["kind"].as_str()), (1, Some("refused")), "{refused}");
    let resolved = pair.resolve(&id, "delivered");
    assert_eq!((&resolved["from"], &resolved["phase"]), (&"ambiguous".into(), &"done".into()), "{resolved}");
    let receipt = &pair.command(&id)["result"]["receipt"];
    assert_eq!((&receipt["kind"], &receipt["reason"]), (&"operator".into(), &"looked into the session".into()));
    assert!(receipt["byte_offset"].is_null(), "nobody claims that a rollout shows it: {receipt}");
    assert_eq!(pair.audited("command_resolved")[0]["decision"], "delivered");
    // The session's own record turns up after all: it is proof, and no second arrival.
    let record = json!({
        "type": "item_completed", "turn_id": "t",
        "item": {"type": "UserMessage", "id": "i", "client_id": id, "content": [{"type": "text", "text": "left"}]},
    });
    pair.event(&record);
    pair.env.sh("ingest w1").ok();
    let result = &pair.command(&id)["result"];
    assert_eq!((&result["receipt"]["kind"], &result["operator"]["kind"]), (&"rollout".into(), &"operator".into()));
    assert!(pair.audited("message_arrived_twice").is_empty());
    pair.event(&record);
    pair.env.sh("ingest w1").ok();
    assert_eq!(pair.audited("message_arrived_twice").len(), 1, "now it is there twice");
}

#[test]
fn what_an_operator_lets_be_sent_again_goes_out_under_a_new_fence_and_only_then() {
    let pair = Pair::new();
    let id = pair.uncertain("d1");
    for _ in 0..3 {
        pair.env.sh("dispatch").ok();
    }
    assert_eq!((pair.stands(&id).0.as_str(), pair.inbox().len()), ("ambiguous", 0), "nothing goes out by itself");
    let planned = pair.env.run(["dispatch", "resolve", &id, "--as", "rearm", "--reason", "r", "--dry-run"]).ok();
    assert!(planned.out.contains("would be queued") && planned.out.contains("! it may arrive twice"), "{planned}");
    assert_eq!(pair.stands(&id).0, "ambiguous");
    let fence = |id: &str| -> i64 {
        pair.sql().query_row("select fence from commands where id = ?1", [id], |row| row.get(0)).unwrap()
    };
    let before = fence(&id);
    let resolved = pair.resolve(&id, "rearm");
    assert!(resolved["warning"].as_str().unwrap().contains("twice"), "{resolved}");
    assert_eq!((pair.stands(&id).0.as_str(), fence(&id)), ("queued", before + 1));
    pair.env.sh("dispatch").ok();
    assert_eq!((pair.stands(&id).0.as_str(), pair.inbox().len()), ("delivered", 1));
}

#[test]
fn what_an_operator_says_did_not_arrive_is_given_up_and_other_phases_are_refused() {
    let pair = Pair::new();
    let id = pair.uncertain("d1");
    assert_eq!(pair.resolve(&id, "not-delivered")["phase"], "failed");
    let reason = pair.stands(&id).1.unwrap();
    assert_eq!(reason, "an operator says that it did not arrive: looked into the session");
    assert_eq!(pair.env.sh("dispatch status --json").ok().json()["ambiguous"], 0);
    let queued = pair.nudge("queued");
    let delivered = {
        pair.env.sh("dispatch").ok();
        pair.nudge("later");
        queued
    };
    let waiting = pair.nudge("waits");
    let cases = [(&id, "not-delivered"), (&id, "rearm"), (&delivered, "delivered"), (&waiting, "rearm")];
    for (id, decision) in cases {
        let run = pair.env.run(["dispatch", "resolve", id, "--as", decision, "--reason", "r", "--json"]);
        assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("refused")), "{decision}: {run}");
        assert!(run.error()["hint"].is_string(), "{run}");
    }
    for (words, code) in [("command-x --as rearm --reason r", 1), ("command-x --as maybe --reason r", 2)] {
        assert_eq!(pair.env.sh(&format!("dispatch resolve {words} --json")).code, code, "{words}");
    }
    let empty = pair.env.run(["dispatch", "resolve", &id, "--as", "rearm", "--reason", " ", "--json"]);
    assert_eq!(empty.code, 2, "{empty}");
    assert_eq!(pair.audited("command_resolved").len(), 1, "what was refused is no decision");
}

#[test]
fn a_budget_bounds_what_a_worker_is_given_and_says_so() {
    let pair = Pair::new();
    let unlimited = pair.env.sh("manager-config parser").ok().json();
    assert_eq!((&unlimited["budget"], &unlimited["changed"]), (&Value::Null, &false.into()));
    pair.env.sh("manager-config parser --max-nudges 2").ok();
    let ids: Vec<_> = (0..3).map(|number| pair.nudge(&format!("number {number}"))).collect();
    let pass = pair.env.sh("dispatch --json").ok().json();
    let states: Vec<_> = pass["processed"].as_array().unwrap().iter().map(|item| item["state"].clone()).collect();
    assert_eq!(states, ["pull_required", "pull_required", "blocked"], "{pass}");
    assert_eq!(pair.stands(&ids[2]), ("blocked".to_owned(), Some("its task's budget of nudges is spent".to_owned())));
    assert_eq!((pair.budget(), pair.inbox().len()), ((2, 2), 2));
    let spent: Vec<_> = ids.iter().map(|id| pair.command(id)["budget_spent"].clone()).collect();
    assert_eq!(spent, [true, true, false]);
    let run = pair.env.sh("enqueue-nudge-worker parser --message more --json");
    assert_eq!((run.code, run.error()["kind"].as_str()), (3, Some("blocked")), "{run}");
    assert_eq!(pair.env.sh("session-nudge w1 more --no-wait").code, 3);
    // The other way there is no limit, nor for a message to the manager itself.
    pair.env.sh("enqueue-notify-manager parser --message 'a question'").ok();
    pair.env.sh("session-nudge m1 'an answer' --no-wait").ok();
    assert_eq!(pair.budget(), (2, 2));
    assert_eq!(pair.env.sh("status w1 --no-refresh").ok().json()["budget"]["nudges_remaining"], 0);
    assert_eq!(pair.env.sh("tasks --json").ok().json()[0]["budget"]["nudges_used"], 2);
    // Raised, what was refused can be queued again; lifted, nothing is counted.
    pair.env.sh("manager-config parser --max-nudges 3").ok();
    pair.env.run(["dispatch", "retry", &ids[2]]).ok();
    pair.env.sh("dispatch").ok();
    assert_eq!((pair.stands(&ids[2]).0.as_str(), pair.budget()), ("delivered", (3, 3)));
    assert_eq!(pair.env.sh("manager-config parser --max-nudges none").ok().json()["budget"], Value::Null);
    pair.env.sh("enqueue-nudge-worker parser --message more").ok();
    for wrong in ["-1", "x", "4294967296", ""] {
        assert_eq!(pair.env.run(["manager-config", "parser", &format!("--max-nudges={wrong}")]).code, 2, "{wrong}");
    }
    assert_eq!(pair.env.sh("manager-config nowhere").code, 1);
    assert_eq!(pair.audited("manager_config_recorded").len(), 3);
}

#[test]
fn what_was_paid_for_is_paid_back_only_when_it_did_not_arrive() {
    let pair = Pair::new();
    let (lost, kept, again) = (pair.uncertain("d1"), pair.uncertain("d2"), pair.uncertain("d3"));
    pair.env.sh("manager-config parser --max-nudges 3").ok();
    let sql = pair.sql();
    sql.execute("update commands set budget_spent = 1", []).unwrap();
    sql.execute("update budgets set nudges_used = 3", []).unwrap();
    pair.resolve(&kept, "delivered");
    assert_eq!(pair.budget(), (3, 3));
    pair.resolve(&lost, "not-delivered");
    assert_eq!(pair.budget(), (3, 2), "it never arrived");
    pair.resolve(&again, "rearm");
    assert_eq!(pair.budget(), (3, 2), "it may have arrived");
    pair.env.sh("dispatch").ok();
    assert_eq!((pair.stands(&again).0.as_str(), pair.budget()), ("delivered", (3, 3)));
    // What was thought lost is in the rollout after all: it was given.
    let item = json!({"type": "UserMessage", "id": "i", "client_id": lost, "content": []});
    pair.event(&json!({"type": "item_completed", "turn_id": "t", "item": item}));
    pair.env.sh("ingest w1").ok();
    assert_eq!((pair.stands(&lost).0.as_str(), pair.budget()), ("done", (3, 4)));
    assert_eq!(pair.env.sh("manager-config parser").ok().json()["budget"]["nudges_remaining"], 0);
}

#[test]
fn who_looks_is_told_that_nobody_delivers() {
    let pair = Pair::new();
    let said = "no dispatcher runs";
    let cycle = pair.env.sh("cycle parser").ok().json();
    assert!(cycle["warnings"][0].as_str().unwrap().starts_with(said), "{cycle}");
    pair.nudge("x");
    let status = pair.env.sh("status w1 --no-refresh").ok().json();
    assert!(status["warnings"][0].as_str().unwrap().starts_with("no dispatcher runs; 1 command waits"), "{status}");
    for words in ["status w1 --no-refresh --text", "cycle parser --text"] {
        assert!(pair.env.sh(words).ok().out.contains("! no dispatcher runs"), "{words}");
    }
    pair.env.sh("dispatch pause --reason fire").ok();
    let status = pair.env.sh("status w1 --no-refresh").ok().json();
    assert!(status["warnings"][0].as_str().unwrap().starts_with("dispatch is paused"), "{status}");
}
