//! Messages to real Codex against turns that end at that very moment: each arrives once, or was refused and never does.

use std::{
    thread,
    time::{Duration, Instant},
};

use conveyor::{
    model::rollout::Fact,
    ports::codex_server::{CodexServer, Outcome, Refusal},
};

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
    let ended = |turn: &str| {
        let ends = |fact: &Fact| matches!(fact, Fact::TurnEnded { turn_id: Some(id), .. } if id == turn);
        within(PATIENCE, || session.facts().iter().any(ends))
    };
    let first = accepted(server.start_turn(&session.message("m-first", "turn"))).turn_id;
    let began = Instant::now();
    assert!(ended(&first));
    let mut wait = began.elapsed();

    let count = rounds(40, 400);
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for round in 0..count {
        let turn = accepted(server.start_turn(&session.message(&format!("t-{round}"), "turn"))).turn_id;
        // Around its end: later after one that was taken, sooner after one that was refused.
        thread::sleep(wait);
        let id = format!("s-{round}");
        match server.steer_turn(&session.message(&id, "turn and this"), &turn) {
            Outcome::Accepted(_) => {
                taken.push(id);
                wait = wait.mul_f64(1.3).min(Duration::from_secs(1));
            }
            Outcome::Refused(Refusal::NoOpenTurn | Refusal::OtherTurn { .. } | Refusal::NotSteerable) => {
                refused.push(id);
                wait = wait.mul_f64(0.8);
            }
            other => panic!("{round}: {other:?}"),
        }
        assert!(ended(&turn), "round {round}");
        session.wait_until_idle(&mut server);
    }
    say(&format!(
        "some {wait:?} after a turn's beginning: of {count} messages {} were taken, {} refused",
        taken.len(),
        refused.len()
    ));
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
