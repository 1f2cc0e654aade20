//! What counts as the echo of a typed message: its text whole, in its thread, from the byte on that was noted before.

use std::{
    fs::OpenOptions,
    io::Write as _,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use conveyor::{
    base::Timestamp,
    model::typing::{Loss, Marker, Typing, typed_message},
};
use rusqlite::params;
use serde_json::{Value, json};

use super::Pair;

impl Pair {
    /// A message that was submitted by typing, noted with this thread (none: the worker's own) and this first byte.
    fn submitted(&self, text: &str, thread: Option<&str>, offset: u64) -> (String, String) {
        let id = self.nudge(text);
        let marker = Marker::of_command(&id);
        let Ok(Typing::Typed { text: typed, .. }) = typed_message(text.as_bytes(), &marker, Loss::Refused) else {
            panic!("{text} can be typed")
        };
        let sql = self.sql();
        let insert = "insert into typed_messages (command_id, session_id, number, marker, text_sha256, body, thread_id,
                rollout_path, echo_from_offset, pane_id, pane_pid, pane_pid_start, boot_id, created_at)
             select ?1, id, 1, ?2, ?3, ?4, coalesce(?5, codex_session_id), codex_session_path, ?6, '%1', 1, 1, 'boot', ''
             from sessions where name = 'w1'";
        let row = params![id, marker.as_str(), typed.sha256(), text, thread, offset.cast_signed()];
        assert_eq!(sql.execute(insert, row).unwrap(), 1);
        let submitted = "update commands set phase = 'submitted', state = 'attempted', lane = 'tmux', fence = 1,
                attempts = 1, available_uptime = 1 << 60 where id = ?1";
        assert_eq!(sql.execute(submitted, [&id]).unwrap(), 1);
        (id, typed.as_str().to_owned())
    }

    /// The worker's rollout shows a message of its user.
    fn hears(&self, text: &str) {
        let item = json!({"type": "UserMessage", "id": "i", "content": [{"type": "text", "text": text}]});
        self.event(&json!({"type": "item_completed", "turn_id": "t", "item": item}));
        self.env.sh("ingest w1").ok();
    }

    fn result(&self, id: &str) -> Value {
        let text: Option<String> =
            self.sql().query_row("select result_json from commands where id = ?1", [id], |row| row.get(0)).unwrap();
        text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    }
}

#[test]
fn the_whole_text_in_its_thread_ends_a_message_once() {
    let pair = Pair::new();
    let (id, text) = pair.submitted("look again", None, 0);
    let marker = Marker::of_command(&id);
    pair.hears(&format!("a person quotes {marker}x and cvyaaaaaaaaaaaa"));
    assert_eq!(pair.stands(&id).0, "submitted", "another marker is another message");
    pair.hears(&format!("  {text}\n"));
    assert_eq!(pair.stands(&id).0, "done");
    assert!(pair.result(&id)["receipt"]["byte_offset"].is_u64());
    pair.hears(&text);
    let twice = "select count(*) from events where type = 'message_arrived_twice'";
    assert_eq!(pair.sql().query_row(twice, [], |row| row.get::<_, i64>(0)).unwrap(), 1, "it is never hidden");
}

#[test]
fn a_copy_in_another_thread_or_from_before_does_not_count() {
    let pair = Pair::new();
    let (other, text) = pair.submitted("for another thread", Some("01a1fbe2-0000-7000-8000-000000000000"), 0);
    pair.hears(&text);
    assert_eq!(pair.stands(&other).0, "submitted");
    let (early, text) = pair.submitted("noted later", None, 1 << 40);
    pair.hears(&text);
    assert_eq!(pair.stands(&early).0, "submitted");
    // The same text in a session that it was not for.
    let (id, text) = pair.submitted("for w1 only", None, 0);
    let change =
        "update typed_messages set session_id = (select id from sessions where name = 'm1') where command_id = ?1";
    pair.sql().execute(change, [&id]).unwrap();
    pair.hears(&text);
    assert_eq!(pair.stands(&id).0, "submitted");
}

#[test]
fn a_clock_that_was_set_back_hides_no_echo_in_the_thread_that_was_noted() {
    let pair = Pair::new();
    // What Codex writes now looks older than its thread, as lines do that were copied from another one.
    let hears_in_the_past = |item: Value| {
        let payload = json!({"type": "item_completed", "turn_id": "t", "item": item});
        let ordinal = pair.ordinal.replace(pair.ordinal.get() + 1);
        let line = json!({
            "timestamp": "2020-01-01T00:00:00.000Z", "ordinal": ordinal, "type": "event_msg", "payload": payload,
        });
        let mut file = OpenOptions::new().append(true).open(&pair.rollout).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
        pair.env.sh("ingest w1").ok();
    };
    let (id, text) = pair.submitted("typed before the clock was set back", None, 0);
    let noted = "update commands set result_json = json_object('thread_id', (select thread_id from typed_messages))";
    assert_eq!(pair.sql().execute(noted, []).unwrap(), 1);
    hears_in_the_past(json!({"type": "UserMessage", "id": "i", "content": [{"type": "text", "text": text}]}));
    assert_eq!(pair.stands(&id).0, "done");

    let thread: String =
        pair.sql().query_row("select codex_session_id from sessions where name = 'w1'", [], |row| row.get(0)).unwrap();
    let given = |owner: &str, thread: Option<&str>| {
        let id = pair.left_by(owner, "stopped", thread);
        pair.sql().execute("update commands set phase = 'submitted' where id = ?1", [&id]).unwrap();
        hears_in_the_past(json!({"type": "UserMessage", "id": "i", "client_id": id, "content": []}));
        pair.stands(&id).0
    };
    assert_eq!(given("d1", Some(&thread)), "done", "it was given to this thread");
    assert_eq!(given("d2", Some("01a1fbe2-0000-7000-8000-000000000000")), "submitted", "to another one");
    assert_eq!(given("d3", None), "submitted", "nothing says that it is no copy");
}

#[test]
fn what_arrives_joined_with_other_text_is_left_to_a_person() {
    let pair = Pair::new();
    let (id, text) = pair.submitted("mine alone", None, 0);
    pair.hears(&format!("{text} and something else"));
    let (phase, reason) = pair.stands(&id);
    assert_eq!(
        (phase.as_str(), reason.as_deref()),
        ("ambiguous", Some("it arrived joined with other text, or changed"))
    );
    assert!(pair.result(&id)["altered"]["byte_offset"].is_u64() && pair.result(&id)["receipt"].is_null());
}

impl Pair {
    /// A message that lies in the inbox because a pointer to it was to be typed before the machine was booted anew.
    fn pointed_at(&self, text: &str, phase: &str, boot: &str) -> String {
        let id = self.nudge(text);
        self.env.sh("dispatch").ok();
        let sql = self.sql();
        let insert = "insert into typed_messages (command_id, session_id, number, marker, text_sha256, body, thread_id,
                rollout_path, echo_from_offset, pane_id, pane_pid, pane_pid_start, boot_id, notification_id, created_at)
             select ?1, s.id, 1, ?2, '', 'a pointer', codex_session_id, codex_session_path, 0, '%1', 1, 1, 'another',
                n.id, ''
             from sessions as s join routed_notifications as n on n.command_id = ?1 where s.name = 'w1'";
        assert_eq!(sql.execute(insert, params![id, Marker::of_command(&id).as_str()]).unwrap(), 1);
        let state = if phase == "queued" { "pending" } else { "attempted" };
        let moved =
            "update commands set phase = ?2, state = ?3, lane = 'tmux', fence = fence + 1, available_uptime = 0,
                boot_id = coalesce(nullif(?4, ''), boot_id)
             where id = ?1";
        assert_eq!(sql.execute(moved, [id.as_str(), phase, state, boot]).unwrap(), 1);
        id
    }

    fn items(&self, id: &str) -> i64 {
        let count = "select count(*) from routed_notifications where command_id = ?1";
        self.sql().query_row(count, [id], |row| row.get(0)).unwrap()
    }

    /// The message that the worker gets from its inbox, and its token.
    fn received(&self) -> (Value, String) {
        let received = self.env.sh("receive w1 --json").json()["received"].clone();
        let token = received["lease_token"].as_str().unwrap_or_default().to_owned();
        (received["payload"]["message"].clone(), token)
    }
}

#[test]
fn what_was_taken_back_or_ran_out_does_not_lie_in_the_inbox_for_a_pointer() {
    let pair = Pair::new();
    let id = pair.pointed_at("not any more", "queued", "");
    pair.env.run(["dispatch", "cancel", &id]).ok();
    assert_eq!((pair.stands(&id).0.as_str(), pair.received().0), ("cancelled", Value::Null));
    let id = pair.pointed_at("too late", "queued", "");
    pair.sql().execute("update commands set expires_uptime = 0 where id = ?1", [&id]).unwrap();
    pair.env.sh("dispatch").ok();
    assert_eq!((pair.stands(&id).0.as_str(), pair.received().0), ("expired", Value::Null));
    // In its reader's hands it was delivered.
    let id = pair.pointed_at("in hand", "queued", "");
    assert_eq!(pair.received().0, "in hand");
    let refused = pair.env.run(["dispatch", "cancel", &id, "--json"]);
    assert_eq!((refused.code, refused.error()["kind"].as_str()), (1, Some("refused")), "{refused}");
    pair.sql().execute("update commands set expires_uptime = 0 where id = ?1", [&id]).unwrap();
    pair.env.sh("dispatch").ok();
    assert_eq!((pair.stands(&id).0.as_str(), pair.items(&id)), ("delivered", 1));
}

#[test]
fn the_end_of_a_task_takes_back_what_nobody_has_and_leaves_what_a_reader_has_in_hand() {
    let pair = Pair::new();
    let pointed_at = |text| pair.pointed_at(text, "delivered", "");
    let [id, claimed, ended, unbound] = ["in hand", "in hand, too", "of before", "of nobody"].map(pointed_at);
    let sql = pair.sql();
    let (message, token) = pair.received();
    assert_eq!(message, "in hand");
    let had = "update routed_notifications set read_at = 'x' where command_id = ?1";
    assert_eq!(sql.execute(had, [&claimed]).unwrap(), 1);
    // One under a binding that has ended, and one under none.
    for (table, name) in [("commands", "id"), ("routed_notifications", "command_id")] {
        let loosen = format!("update {table} set binding_id = null where {name} = ?1");
        assert_eq!(sql.execute(&loosen, [&unbound]).unwrap(), 1);
    }
    let another = "update routed_notifications set binding_id = (select id from bindings where state = 'ended')
        where command_id = ?1";
    pair.env.sh("unbind --task parser").ok();
    pair.env.sh("bind --task parser --worker w1 --manager m1").ok();
    for (id, phase) in [(&id, "queued"), (&claimed, "claimed"), (&ended, "queued"), (&unbound, "queued")] {
        let moved = "update commands set phase = ?2, state = 'pending' where id = ?1";
        assert_eq!(sql.execute(moved, [id, phase]).unwrap(), 1);
    }
    assert_eq!(sql.execute(another, [&ended]).unwrap(), 1);
    let done = pair.env.sh("finish-task parser --json").ok().json();
    let stands = |id: &str| pair.stands(id).0;
    assert_eq!((stands(&id).as_str(), stands(&claimed).as_str()), ("delivered", "delivered"), "{done:#}");
    assert_eq!((stands(&ended).as_str(), stands(&unbound).as_str()), ("cancelled", "cancelled"));
    for listed in [&id, &claimed] {
        assert!(done["in_flight_commands"].as_array().unwrap().contains(&json!(listed)), "{done:#}");
    }
    let unread = "select count(*) from routed_notifications where state = 'delivered' and read_at is null";
    assert_eq!(sql.query_row(unread, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    pair.env.run(["ack", &token]).ok();
    assert_eq!(stands(&id), "done");
}

#[test]
fn the_end_of_a_task_leaves_the_text_that_a_pointer_is_under_way_to() {
    for phase in ["started", "staged", "submitted"] {
        let pair = Pair::new();
        let id = pair.pointed_at("pointed at", phase, "");
        let done = pair.env.sh("finish-task parser --json").ok().json();
        assert_eq!(done["in_flight_commands"], json!([id]), "{done:#}");
        assert_eq!(pair.stands(&id).0, phase);
        let (message, token) = pair.received();
        assert_eq!(message, "pointed at", "{phase}: whoever is told of it finds it");
        pair.env.run(["ack", &token]).ok();
    }
}

#[test]
fn what_was_confirmed_while_its_pointer_was_on_its_way_is_not_laid_there_again() {
    let pair = Pair::new();
    let id = pair.pointed_at("had", "started", "another");
    let (message, token) = pair.received();
    assert_eq!(message, "had");
    pair.env.run(["ack", &token]).ok();
    pair.env.sh("dispatch").ok();
    pair.sql().execute("update commands set available_uptime = 0", []).unwrap();
    pair.env.sh("dispatch").ok();
    assert_eq!((pair.stands(&id).0.as_str(), pair.items(&id)), ("done", 1));
}

#[test]
fn a_text_that_cannot_be_typed_any_more_concerns_its_own_message_only() {
    let pair = Pair::new();
    let (id, _) = pair.submitted("written down by another program", None, 0);
    let sql = pair.sql();
    sql.execute("update typed_messages set body = 'a bell: ' || char(7)", []).unwrap();
    sql.execute("update commands set available_uptime = 0, phase = 'staged'", []).unwrap();
    let queued = ["enqueue-notify-manager", "parser", "--message", "not held up", "--json"];
    let other = pair.env.run(queued).ok().json()["command_id"].as_str().unwrap().to_owned();
    let pass = pair.env.sh("dispatch --json");
    assert_eq!(pass.code, 0, "{pass}");
    let (phase, reason) = pair.stands(&id);
    let reason = reason.unwrap();
    assert_eq!((phase.as_str(), pair.stands(&other).0.as_str()), ("ambiguous", "delivered"), "{reason}");
    assert!(reason.starts_with("what was typed for it cannot be looked for any more"), "{reason}");
}

#[test]
fn a_pointer_to_a_session_that_was_deregistered_leaves_its_message_in_the_inbox() {
    let pair = Pair::new();
    let id = pair.pointed_at("still there", "submitted", "");
    pair.env.sh("unbind --task parser").ok();
    pair.env.sh("deregister w1").ok();
    pair.env.sh("dispatch").ok();
    assert_eq!(pair.stands(&id).0, "delivered");
}

#[test]
fn a_time_to_live_that_was_counted_from_an_earlier_boot_is_counted_anew_for_what_was_in_flight() {
    let pair = Pair::new();
    let id = pair.submitted("run it today", None, 0).0;
    let soon = Timestamp::from_millis(i64::try_from(millis()).unwrap() + 1_500).to_string();
    let change = "update commands set phase = 'started', boot_id = 'another', expires_uptime = 1 << 50, expires_at = ?2
         where id = ?1";
    assert_eq!(pair.sql().execute(change, [&id, &soon]).unwrap(), 1);
    pair.env.sh("dispatch").ok();
    assert_eq!(pair.stands(&id).0, "queued", "it was never submitted");
    thread::sleep(Duration::from_millis(1_600));
    pair.env.sh("dispatch").ok();
    assert_eq!(pair.stands(&id).0, "expired");
}

fn millis() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}
