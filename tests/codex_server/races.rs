//! Messages to real Codex against turns that end at that very moment: each arrives once, or was refused and never does.

use std::{
    thread,
    time::{Duration, Instant},
};

use conveyor::ports::codex_server::{CodexServer, Outcome, Refusal};

use super::{
    deliver::{LIMITS, Session, accepted, lab_with_server},
    pane::PATIENCE,
};
use crate::support::{codex_lab::within, rounds, say};

#[test]
fn a_message_into_a_turn_that_just_ended_is_refused_or_arrives_once() {
    let Some(lab) = lab_with_server(&[]) else { return };
    let mut server = CodexServer::connect(&lab.home(), LIMITS).unwrap();
    let session = Session::start(&lab, &mut server);
    lab.rule("^turn", "{{say Over.}}");
    // How long a turn lasts here.
    accepted(server.start_turn(&session.message("m-first", "turn")));
    let began = Instant::now();
    session.wait_until_idle(&mut server);
    let lasts = began.elapsed();

    let count = rounds(40, 400);
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for round in 0..count {
        let turn = accepted(server.start_turn(&session.message(&format!("t-{round}"), "turn"))).turn_id;
        // Around its end, from well before to well after.
        thread::sleep(lasts * (round % 20) / 14);
        let id = format!("s-{round}");
        match server.steer_turn(&session.message(&id, "turn and this"), &turn) {
            Outcome::Accepted(_) => taken.push(id),
            Outcome::Refused(Refusal::NoOpenTurn | Refusal::OtherTurn { .. } | Refusal::NotSteerable) => {
                refused.push(id);
            }
            other => panic!("{round}: {other:?}"),
        }
        session.wait_until_idle(&mut server);
    }
    say(&format!("a turn lasts {lasts:?}; of {count} messages {} were taken, {} refused", taken.len(), refused.len()));
    assert!(!taken.is_empty() && !refused.is_empty(), "one of both is not tried: {taken:?} {refused:?}");
    for id in &taken {
        assert!(within(PATIENCE, || session.receipts(id).len() == 1), "{id}: {:?}", session.receipts(id));
    }
    thread::sleep(Duration::from_millis(500));
    for id in &refused {
        assert_eq!(session.receipts(id), [], "{id} was refused");
    }
    for id in &taken {
        assert_eq!(session.receipts(id).len(), 1, "{id}");
    }
}
