//! What an end takes back and leaves: counted exactly before it, and told by it.

use conveyor::{
    base::Timestamp,
    model::deliveries::LeftOver,
    store::{Access, Opening, Safety, Store, deliveries},
};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::refusal;
use crate::support::TestEnv;

/// As many as no window of a screen holds.
const MANY: i64 = 260;

fn count(list: &Value) -> usize {
    list.as_array().unwrap_or_else(|| panic!("no list: {list}")).len()
}

/// What is counted before the end of the only task.
fn left(env: &TestEnv) -> LeftOver {
    let opening = Opening { access: Access::Write, safety: Safety::Forced, now: Timestamp::from_millis(0) };
    let store = Store::open(&env.ledger(), opening).unwrap();
    store.read(deliveries::left_over).unwrap().pop().unwrap_or_default()
}

/// A copy of a command with this id and phase.
fn copy(sql: &Connection, of: &str, id: &str, phase: &str) {
    let columns = "idempotency_key, request_sha256, created_at, updated_at, created_by, task_id, binding_id,
        source_session_id, target_session_id, correlation_id, type, state, boot_id, max_attempts, payload_json";
    let changed = sql
        .execute(
            &format!(
                "insert into commands (id, phase, seq, {columns})
                 select ?2, ?3, (select max(seq) + 1 from commands), ?2, {rest} from commands where id = ?1",
                rest = columns.split_once(',').unwrap().1
            ),
            params![of, id, phase],
        )
        .unwrap();
    assert_eq!(changed, 1);
}

/// A pointer to this inbox item, which was to be typed for a command.
fn point(sql: &Connection, command: &str, item: i64, number: i64) {
    sql.execute(
        "insert into typed_messages (command_id, session_id, number, marker, text_sha256, body, echo_from_offset,
            pane_id, pane_pid, pane_pid_start, boot_id, notification_id, created_at)
         select id, target_session_id, ?3, 'marker ' || id, '', '', 0, '%1', 1, 1, boot_id, ?2, created_at
         from commands where id = ?1",
        params![command, item, number],
    )
    .unwrap();
}

/// A copy of an inbox item for this command; its number.
fn copy_item(sql: &Connection, of: i64, command: Option<&str>, read_at: Option<&str>) -> i64 {
    sql.execute(
        "insert into routed_notifications (task_id, binding_id, target_session_id, correlation_id, signal_type, dedupe_key,
            command_id, created_at, delivered_at, read_at, delivery_mode, state, payload_json)
         select task_id, binding_id, target_session_id, correlation_id, signal_type,
            'copy ' || (select count(*) from routed_notifications), ?2, created_at, delivered_at, ?3, delivery_mode,
            'delivered', payload_json
         from routed_notifications where id = ?1",
        params![of, command, read_at],
    )
    .unwrap();
    sql.last_insert_rowid()
}

/// A task with something of each sort: 260 waiting messages, one unread in an inbox, one that was read, two whose
/// pointers were not typed (one of them in its reader's hands), one under way, one uncertain, two reports.
fn full() -> (TestEnv, Connection) {
    let env = TestEnv::pair();
    env.sh("enqueue-notify-manager parser --message unread").ok();
    env.sh("enqueue-notify-manager parser --message seen").ok();
    env.sh("dispatch").ok();
    env.sh("dispatch pause --task parser").ok();
    let first = env.sh("enqueue-nudge-worker parser --message first --json").ok().json()["command_id"].clone();
    let first = first.as_str().unwrap();
    let sql = Connection::open(env.ledger()).unwrap();
    for number in 1..MANY {
        copy(&sql, first, &format!("waiting-{number}"), "queued");
    }
    for (id, phase) in [("claimed", "claimed"), ("laid", "queued"), ("held", "queued"), ("sent", "submitted")] {
        copy(&sql, first, id, phase);
    }
    copy(&sql, first, "lost", "ambiguous");
    let items: Vec<i64> = sql
        .prepare("select id from routed_notifications where state = 'delivered' order by id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    let [unread, seen] = items[..] else { panic!("two messages lie in inboxes: {items:?}") };
    sql.execute("update routed_notifications set read_at = created_at where id = ?1", [seen]).unwrap();
    point(&sql, "laid", copy_item(&sql, unread, Some("laid"), None), 1);
    point(&sql, "held", copy_item(&sql, unread, Some("held"), Some("2026-11-21T02:00:00.000Z")), 2);
    // What a pointer that may be typed tells of stays where it is.
    copy_item(&sql, unread, Some("sent"), None);
    copy_item(&sql, unread, None, None);
    copy_item(&sql, unread, None, None);
    (env, sql)
}

#[test]
fn what_is_counted_before_an_end_is_what_the_end_takes_back_however_much_it_is() {
    let (env, _) = full();
    let before = left(&env);
    let waiting = u64::try_from(MANY).unwrap() + 2;
    // All that wait, with the claimed one and the one whose pointer lies unread; and the unread message.
    assert_eq!((before.taken_back, before.reports, before.under_way), (waiting + 1, 2, 3));
    assert_eq!(before.examples.len(), 3, "no more are named");
    for end in ["finish-task parser", "stop-task parser --reason no"] {
        let told = env.sh(&format!("{end} --dry-run --json")).ok().json();
        let settled = usize::try_from(told["settled_messages"].as_u64().unwrap()).unwrap();
        assert_eq!(count(&told["cancelled_commands"]) as u64, before.taken_back, "{end}");
        assert_eq!((settled - 1) as u64, before.reports, "{end}: one of them is a command's");
        assert_eq!(count(&told["in_flight_commands"]) as u64, before.under_way, "{end}");
        let said = env.sh(&format!("{end} --dry-run --text")).ok().out;
        for words in ["263 messages would be taken back", "2 reports that nobody has read would be put away"] {
            assert!(said.contains(words), "{words}\n{said}");
        }
    }
    env.sh("stop-task parser --reason no").ok();
    let after = left(&env);
    assert_eq!((after.taken_back, after.reports), (0, 0), "what was taken back waits no more");
}

#[test]
fn an_unbind_gives_up_what_waits_to_go_through_it_and_counts_it() {
    let (env, sql) = full();
    let before = left(&env);
    assert_eq!(before.bound, u64::try_from(MANY).unwrap() + 2);
    let planned = env.sh("unbind --task parser --dry-run --json").ok().json();
    assert_eq!(count(&planned["given_up_commands"]) as u64, before.bound);
    assert_eq!(left(&env), before, "a rehearsal changes nothing");
    let said = env.sh("unbind --task parser --text").ok().out;
    assert!(said.contains("262 messages that waited to go through it were given up"), "{said}");
    let one = |query: &str| -> i64 { sql.query_row(query, [], |row| row.get(0)).unwrap() };
    let given_up = "select count(*) from commands where phase = 'failed'
        and reason = 'the binding it was sent through has ended'";
    assert_eq!(one(given_up), MANY + 2);
    assert_eq!(one("select count(*) from commands where phase in ('queued', 'claimed')"), 0);
    assert_eq!(one("select count(*) from commands where id = 'held' and phase = 'delivered'"), 1, "its reader has it");
    let trail = super::trail(&env, "binding_ended").pop().unwrap();
    assert_eq!(count(&trail["payload"]["given_up_commands"]) as u64, before.bound);
    env.sh("bind --task parser --worker w1 --manager m1").ok();
    let again = env.sh("unbind --task parser --json").ok().json();
    assert_eq!(again["given_up_commands"], json!([]), "nothing waited");
    assert!(!env.sh("bind --task parser --worker w1 --manager m1").ok().out.contains("given up"));
}

#[test]
fn what_waits_for_a_session_is_given_up_with_it_and_counted() {
    let env = TestEnv::pair();
    env.sh("unbind --task parser").ok();
    env.sh("dispatch pause --all").ok();
    for text in ["one", "two"] {
        env.sh(&format!("session-nudge w1 {text} --no-wait"));
    }
    let opening = Opening { access: Access::Write, safety: Safety::Forced, now: Timestamp::from_millis(0) };
    let store = Store::open(&env.ledger(), opening).unwrap();
    let waiting = || store.read(deliveries::awaiting).unwrap().into_values().map(|one| one.waiting).sum::<u64>();
    assert_eq!(waiting(), 2);
    let said = env.sh("deregister w1 --dry-run --text").ok().out;
    assert!(said.contains("2 messages that waited for it would be given up"), "{said}");
    let told = env.sh("deregister w1 --json").ok().json();
    assert_eq!((count(&told["given_up_commands"]), waiting()), (2, 0));
}

/// Each end, with what goes with it in [`full`].
const ENDS: [(&str, &str); 3] = [
    ("finish-task parser", "taken_back=263,reports=2,under_way=3"),
    ("stop-task parser --reason no", "taken_back=263,reports=2,under_way=3"),
    ("unbind --task parser", "given_up=262,under_way=3,unread=3"),
];

#[test]
fn an_end_with_which_something_else_goes_than_was_shown_does_nothing() {
    for (end, counted) in ENDS {
        let (env, sql) = full();
        let rows = || -> (i64, String) {
            let one = |query: &str| sql.query_row(query, [], |row| row.get(0)).unwrap();
            (
                one("select count(*) from events"),
                sql.query_row("select state from tasks", [], |row| row.get(0)).unwrap(),
            )
        };
        let before = (left(&env), rows());
        let planned = env.sh(&format!("{end} --dry-run --json")).ok().json();
        assert_eq!(planned["counted"], json!(counted), "{end}");
        // One message has come since.
        let (first, rest) = counted.split_once('=').unwrap();
        let (number, rest) = rest.split_once(',').unwrap();
        let fewer = format!("{first}={},{rest}", number.parse::<u64>().unwrap() - 1);
        let refused = env.sh(&format!("{end} --expect {fewer} --json"));
        let (code, told) = refusal(&refused);
        assert_eq!(code, 1, "{told}");
        assert!(told.contains("nothing was done: what goes with"), "{told}");
        assert!(told.contains(&format!(" {number}, not ")), "{told}");
        assert_eq!((left(&env), rows()), before, "{end}");
        assert_eq!(refusal(&env.sh(&format!("{end} --expect none --json"))).0, 1);
        for bad in ["many", "taken_back=x", "mails=1"] {
            assert_eq!(env.sh(&format!("{end} --expect {bad}")).code, 2, "{bad}");
        }
        let done = env.sh(&format!("{end} --expect {counted} --json")).ok().json();
        assert_eq!(done["counted"], json!(counted));
    }
}

#[test]
fn what_an_end_leaves_under_way_and_unread_is_counted_before_and_told_by_it() {
    let (env, sql) = full();
    let counted = left(&env);
    let told = env.sh("unbind --task parser --json").ok().json();
    assert_eq!(count(&told["in_flight_commands"]) as u64, counted.bound_under_way, "{}", told["in_flight_commands"]);
    assert_eq!(count(&told["unread_items"]) as u64, counted.bound_unread);
    // Nothing of it is given up, and the worker takes it along when it goes.
    let opening = Opening { access: Access::Write, safety: Safety::Forced, now: Timestamp::from_millis(0) };
    let store = Store::open(&env.ledger(), opening).unwrap();
    let worker: String = sql.query_row("select id from sessions where name = 'w1'", [], |row| row.get(0)).unwrap();
    let awaiting = store.read(deliveries::awaiting).unwrap()[&worker];
    assert!(awaiting.under_way > 0, "{awaiting:?}");
    let said = env.sh("deregister w1 --dry-run --text").ok().out;
    assert!(said.contains("on the way already: nobody sees any more whether they arrive"), "{said}");
    let told = env.sh("deregister w1 --json").ok().json();
    let counts = [&told["given_up_commands"], &told["in_flight_commands"], &told["unread_items"]].map(count);
    let expected = [awaiting.waiting, awaiting.under_way, awaiting.unread].map(|count| usize::try_from(count).unwrap());
    assert_eq!(counts, expected, "{told:#}");
    assert_eq!(refusal(&env.sh("deregister m1 --expect given_up=7 --json")).0, 1);
}

#[test]
fn what_lies_unread_for_a_session_that_goes_is_told() {
    let env = TestEnv::pair();
    env.sh("enqueue-notify-manager parser --message unread").ok();
    env.sh("dispatch").ok();
    let said = env.sh("unbind --task parser --text").ok().out;
    assert!(said.contains("1 message unread in inboxes: they stay there"), "{said}");
    let told = env.sh("deregister m1 --json").ok().json();
    assert_eq!((&told["unread_items"], &told["counted"]), (&json!([1]), &json!("unread=1")));
    let items = env.sh("manager-inbox parser --json").ok().json();
    assert_eq!(count(&items["items"]), 1, "{items:#}");
}

#[test]
fn the_end_of_a_task_leaves_its_questions_open_and_says_so() {
    let env = TestEnv::pair();
    let sql = Connection::open(env.ledger()).unwrap();
    let asked = sql.execute(
        "insert into operator_questions (task_id, kind, correlation_id, reason, created_at)
         select id, 'continuation_ready', 'r1', 'both have proposed', created_at from tasks",
        [],
    );
    assert_eq!(asked.unwrap(), 1);
    let said = env.sh("stop-task parser --reason no --dry-run --text").ok().out;
    assert!(said.contains("1 question to the operator stays open"), "{said}");
    let told = env.sh("stop-task parser --reason no --json").ok().json();
    assert_eq!(told["open_questions"], json!([1]));
    let listed = env.sh("operator-inbox --text").ok().out;
    assert!(listed.contains("its task has ended"), "{listed}");
    let answered = env.sh("operator-inbox --settle 1 --answer stop --json").ok().json();
    assert_eq!((&answered["answer"], &answered["told_manager"]), (&json!("stop"), &json!(false)));
    assert!(answered["warning"].as_str().unwrap().contains("the manager was not told"), "{answered}");
}

#[test]
fn whoever_binds_a_task_that_has_ended_is_told_what_to_do() {
    let env = TestEnv::pair();
    env.sh("stop-task parser --reason no").ok();
    let (code, told) = refusal(&env.sh("bind --task parser --worker w1 --manager m1 --json"));
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("task \"parser\" has ended: it is stopped, and is not opened again"), "{told}");
    assert!(told.contains("`conveyor tasks --create parser --goal TEXT`"), "{told}");
    // The way that it names leads on.
    env.sh("tasks --create parser --goal again").ok();
    env.sh("bind --task parser --worker w1 --manager m1").ok();
}

#[test]
fn a_message_that_an_end_has_taken_back_says_which_end_it_was_and_whose() {
    for (end, words) in [
        ("finish-task parser", "its task was finished by the operator"),
        ("stop-task parser --reason no", "its task was stopped by the operator"),
    ] {
        let env = TestEnv::pair();
        env.sh("enqueue-notify-manager parser --message unread").ok();
        env.sh("dispatch").ok();
        env.sh("dispatch pause --task parser").ok();
        env.sh("enqueue-nudge-worker parser --message waits").ok();
        env.sh(end).ok();
        let sql = Connection::open(env.ledger()).unwrap();
        let one = |query: &str| -> i64 { sql.query_row(query, [words], |row| row.get(0)).unwrap() };
        assert_eq!(one("select count(*) from commands where phase = 'cancelled' and reason = ?1"), 2, "{end}");
        let items = "select count(*) from routed_notifications where state = 'suppressed' and error = ?1";
        assert_eq!(one(items), 1, "{end}");
    }
}
