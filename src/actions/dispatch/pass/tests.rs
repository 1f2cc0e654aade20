//! What a look at a session is still worth when its transaction comes.

use super::*;
use crate::{
    actions::dispatch::panes,
    base::Timestamp,
    model::session::{Role, Session},
    store::commands::{Enqueued, NewCommand},
};

#[test]
fn a_look_at_a_session_that_was_brought_back_since_lays_nothing_into_its_inbox() {
    let store = Store::memory().expect("a ledger");
    let now = Moment { wall: Timestamp::from_millis(1_000_000), boot_id: "boot".to_owned(), uptime: 1_000 };
    let named = |text: &str| text.to_owned();
    let mut session = Session::new(named("session-1"), named("w1"), Role::Worker, named("token"), now.wall);
    session.tmux_pane_id = Some(named("%1"));
    session.codex_session_id = Some(named("thread"));
    let payload = json!({"message": "look again"});
    let new = NewCommand {
        id: "command-1",
        idempotency_key: "command-1",
        request_sha256: "",
        created_by: "operator",
        task_id: None,
        binding_id: None,
        source_session_id: None,
        target_session_id: "session-1",
        correlation_id: "command-1",
        kind: CommandKind::SessionNudge,
        required_permission: None,
        time_to_live: None,
        max_attempts: 3,
        payload: &payload,
    };
    let accepted = store.write(|w| {
        store::sessions::save(w, &session)?;
        store::commands::enqueue(w, &new, 10, &now)
    });
    assert!(matches!(accepted, Ok(Enqueued::Accepted(_))), "{accepted:?}");
    let orders = Orders {
        dispatcher_id: named("d"),
        task_id: None,
        target_session_id: None,
        kind: None,
        commands: true,
        signals: false,
        limit: 10,
    };
    let look = |session: &Session| {
        let mut ways = Ways::default();
        ways.note(session, CommandKind::SessionNudge, Way::Inbox(panes::CODEX_ENDED));
        ways
    };
    let deliver = |ways: &Ways| store.write(|w| deliver(w, &orders, ways, 10, false, &now)).expect("a pass").handled;

    let seen = look(&session);
    (session.tmux_pane_id, session.resumed_at) = (Some(named("%2")), Some(now.wall));
    store.write(|w| store::sessions::save(w, &session)).expect("it is brought back");
    let handled = deliver(&seen);
    assert!(handled.is_empty(), "its new pane was not looked at: {handled:?}");
    let handled = deliver(&look(&session));
    assert_eq!(handled.first().map(|one| (one.phase, one.lane)), Some((Phase::Delivered, Some(Lane::Inbox))));
}
