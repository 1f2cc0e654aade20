//! What counts as the echo of a typed message: its text whole, in its thread, from the byte on that was noted before.

use conveyor::model::typing::{Loss, Marker, Typing, typed_message};
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
