use super::*;
use crate::{
    base::{Clock, clock::FixedClock},
    model::session::Session,
    store::{Error, Store, sessions},
};

const HOUR: i64 = 3_600_000;

/// A ledger with a session that has messages `1..=count`, and a clock.
fn inbox_of(count: i64) -> (Store, FixedClock) {
    let (store, clock) = (Store::memory().unwrap(), FixedClock::at(Timestamp::from_millis(50 * HOUR)));
    store
        .write(|w| {
            sessions::save(w, &session())?;
            for number in 1..=count {
                put(w, number, clock.now())?;
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    (store, clock)
}

fn session() -> Session {
    let at = Timestamp::from_millis(0);
    Session::new("s".to_owned(), "m1".to_owned(), Role::Manager, "t".to_owned(), at)
}

fn put(w: &Write<'_>, number: i64, now: Timestamp) -> Result<i64> {
    let new = NewItem {
        task_id: None,
        binding_id: None,
        source_session_id: None,
        target_session_id: "s",
        correlation_id: "c",
        signal_type: "notify_manager",
        source_event_id: None,
        source_event_timestamp: None,
        dedupe_key: &format!("key {number}"),
        command_id: None,
        payload: &serde_json::json!({"message": format!("message {number}")}),
    };
    deliver(w, &new, now)
}

const MINE_ALL: Inbox<'_> = Inbox { session_id: "s", task_id: None };

fn moment(clock: &FixedClock) -> Moment {
    Moment { wall: clock.now(), boot_id: "boot-1".to_owned(), uptime: clock.uptime_millis() }
}

fn lease(store: &Store, token: &str, seconds: i64, now: &Moment) -> Option<Item> {
    store.write(|w| lease_next(w, MINE_ALL, token, seconds * 1_000, now)).unwrap()
}

fn look(store: &Store, now: &Moment) -> Outlook {
    store.read(|r| outlook(r, MINE_ALL, now)).unwrap()
}

#[test]
fn a_hand_out_lasts_by_the_boot_clock_whatever_the_wall_clock_says() {
    let (store, clock) = inbox_of(1);
    let first = lease(&store, "a", 60, &moment(&clock)).unwrap();
    assert_eq!((first.lease_token.as_deref(), first.delivery_count, first.is_leased), (Some("a-1"), 1, true));
    let begun = clock.now();
    for wall in [begun.as_millis() + 24 * HOUR, 0, begun.as_millis() - HOUR] {
        clock.set_wall(Timestamp::from_millis(wall));
        assert_eq!(lease(&store, "b", 60, &moment(&clock)), None, "no time has passed, whatever the wall says");
        assert!(!look(&store, &moment(&clock)).free);
    }
    clock.advance_millis(59_999);
    clock.set_wall(begun);
    assert_eq!(lease(&store, "b", 60, &moment(&clock)), None);
    clock.advance_millis(1);
    clock.set_wall(Timestamp::from_millis(begun.as_millis() - 24 * HOUR));
    let again = lease(&store, "b", 60, &moment(&clock)).unwrap();
    assert_eq!((again.lease_token.as_deref(), again.delivery_count), (Some("b-1"), 2), "its minute is over");
    assert_eq!(again.read_at, Some(begun), "it was read the first time");
    assert_eq!(again.leased_at, Some(clock.now()));
}

#[test]
fn a_hand_out_of_another_boot_is_over() {
    let (store, clock) = inbox_of(1);
    lease(&store, "a", 60, &moment(&clock)).unwrap();
    let rebooted = Moment { boot_id: "boot-2".to_owned(), uptime: 5, ..moment(&clock) };
    assert_eq!(look(&store, &rebooted), Outlook { any: true, free: true, worn_out: false, next_expiry: None });
    assert_eq!(lease(&store, "b", 60, &rebooted).unwrap().delivery_count, 2);
}

#[test]
fn an_outlook_says_when_the_next_hand_out_runs_out() {
    let (store, clock) = inbox_of(2);
    let begun = clock.uptime_millis();
    lease(&store, "a", 60, &moment(&clock)).unwrap();
    assert!(look(&store, &moment(&clock)).free, "one is left");
    lease(&store, "b", 30, &moment(&clock)).unwrap();
    let held = Outlook { any: true, free: false, worn_out: false, next_expiry: Some(begun + 30_000) };
    assert_eq!(look(&store, &moment(&clock)), held);
    clock.advance_millis(30_000);
    let over = Outlook { any: true, free: true, worn_out: false, next_expiry: Some(begun + 60_000) };
    assert_eq!(look(&store, &moment(&clock)), over);
}

#[test]
fn what_is_given_back_is_handed_out_at_once_and_its_token_is_void() {
    let (store, clock) = inbox_of(1);
    let now = moment(&clock);
    let first = lease(&store, "a", 60, &now).unwrap();
    store.write(|w| give_back(w, &first)).unwrap();
    assert_eq!(store.read(|r| by_token(r, "a-1", &now)).unwrap(), None);
    assert_eq!(lease(&store, "b", 60, &now).unwrap().delivery_count, 2);
    assert!(store.read(|r| by_token(r, "b-1", &now)).unwrap().is_some());
}

#[test]
fn what_was_handed_out_ten_times_is_given_up_and_can_be_put_back() {
    let (store, clock) = inbox_of(2);
    for round in 1..=MOST_HANDOUTS {
        let item = lease(&store, &format!("t{round}"), 1, &moment(&clock)).unwrap();
        assert_eq!((item.id, item.delivery_count), (1, round));
        let given_up = store.write(|w| give_up(w, MINE_ALL, &moment(&clock))).unwrap();
        assert_eq!(given_up, [], "the reader may still confirm it");
        clock.advance_millis(1_000);
    }
    assert!(look(&store, &moment(&clock)).worn_out);
    assert_eq!(lease(&store, "x", 1, &moment(&clock)).unwrap().id, 2, "it is handed out no more");
    let given_up = store.write(|w| give_up(w, MINE_ALL, &moment(&clock))).unwrap();
    assert_eq!(given_up.iter().map(|item| (item.id, item.state)).collect::<Vec<_>>(), [(1, ItemState::Failed)]);
    assert_eq!(given_up[0].error.as_deref(), Some("handed out 10 times and never confirmed"));
    let counts = store.read(|r| count(r, MINE_ALL, &moment(&clock))).unwrap();
    assert_eq!(counts, Counts { dead_letters: 1, leased: 1, unread: 0, waiting: 1 });
    let refused = store.write(|w| consume(w, &given_up[0], clock.now())).unwrap();
    assert!(!refused, "what was given up is not confirmed any more");

    let revived = store.write(|w| revive(w, MINE_ALL, &moment(&clock))).unwrap();
    assert_eq!(revived.iter().map(|item| (item.id, item.delivery_count)).collect::<Vec<_>>(), [(1, 0)]);
    assert_eq!(lease(&store, "y", 1, &moment(&clock)).unwrap().id, 1);
}

#[test]
fn delivered_read_consumed_and_acknowledged_are_four_facts() {
    let (store, clock) = inbox_of(1);
    let facts = || {
        let item = store.read(|r| by_id(r, 1, &moment(&clock))).unwrap().unwrap();
        let said = item.acknowledgement.as_ref().map(|said| said.status);
        (item.delivered_at, item.read_at, item.consumed_at, said)
    };
    let delivered = clock.now();
    assert_eq!(facts(), (Some(delivered), None, None, None));
    clock.advance_millis(1_000);
    let read = clock.now();
    store.write(|w| mark_read(w, &[1], read)).unwrap();
    assert_eq!(facts(), (Some(delivered), Some(read), None, None));
    clock.advance_millis(1_000);
    store.write(|w| mark_read(w, &[1], clock.now())).unwrap();
    let consumed = clock.now();
    let item = store.read(|r| by_id(r, 1, &moment(&clock))).unwrap().unwrap();
    assert!(store.write(|w| consume(w, &item, consumed)).unwrap());
    assert_eq!(facts(), (Some(delivered), Some(read), Some(consumed), None));
    clock.advance_millis(1_000);
    assert!(!store.write(|w| consume(w, &item, clock.now())).unwrap(), "once");
    let payload = serde_json::json!({});
    store.write(|w| acknowledge(w, &item, AckStatus::Accepted, &payload, None, clock.now())).unwrap();
    assert_eq!(facts(), (Some(delivered), Some(read), Some(consumed), Some(AckStatus::Accepted)));
}

#[test]
fn history_lists_the_last_ones_in_their_order() {
    let (store, clock) = inbox_of(4);
    for id in [3, 1, 4] {
        let item = store.read(|r| by_id(r, id, &moment(&clock))).unwrap().unwrap();
        assert!(store.write(|w| consume(w, &item, clock.now())).unwrap());
    }
    let ids = |shelf, limit| {
        let items = store.read(|r| list(r, MINE_ALL, shelf, limit, &moment(&clock))).unwrap();
        items.into_iter().map(|item| item.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(Shelf::Consumed, 2), [3, 4]);
    assert_eq!(ids(Shelf::Waiting, 10), [2]);
}

#[test]
fn the_questions_of_a_reader_use_their_indexes() {
    let (store, _) = inbox_of(0);
    let plan = |sql: &str| store.plan(sql).join("; ");
    let waiting = plan(&format!("select count(*) from routed_notifications as n where {MINE} and {WAITING}"));
    assert!(waiting.contains("routed_notifications_waiting"), "{waiting}");
    let dead = Shelf::Dead.condition();
    let dead = plan(&format!("select count(*) from routed_notifications as n where {MINE} and {dead}"));
    assert!(dead.contains("routed_notifications_dead"), "{dead}");
}

#[test]
fn why_nobody_has_to_be_told_of_an_item_is_what_became_of_it() {
    let (store, clock) = inbox_of(3);
    let moot = |id| store.read(|r| moot(r, id)).unwrap();
    assert_eq!([1, 2, 3].map(moot), [None; 3], "they wait unseen");
    store
        .write(|w| {
            mark_read(w, &[1], clock.now())?;
            settle_unseen(w, 2, "its question closed before anybody read it")
        })
        .unwrap();
    let reasons = [
        Some("its reader has seen it already"),
        Some("its message was taken back before anybody read it"),
        None,
        Some("its message is in no inbox"),
    ];
    assert_eq!([1, 2, 3, 4].map(moot), reasons);
}
