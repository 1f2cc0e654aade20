//! What the sensors say, added up.

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn reading_at() -> Option<Timestamp> {
    Some(Timestamp::from_millis(970_000))
}

fn reading(source: Source, condition: Condition, rule: &str) -> Reading {
    Reading {
        source,
        condition,
        rule: rule.to_owned(),
        reason: format!("{source} says {rule}"),
        at: reading_at(),
        byte_offset: None,
    }
}

fn sighting(reading: Reading) -> Sighting {
    let ready = match (reading.source, reading.condition) {
        (Source::Screen, Condition::Idle) => Readiness::Ready,
        (Source::Screen, _) => Readiness::NotReady,
        _ => Readiness::Unknown,
    };
    let prompt = (reading.condition == Condition::Blocked).then(|| reading.rule.clone());
    Sighting { observed_at: NOW, reading: Some(reading), ready, prompt }
}

fn evidence(rollout: Option<Reading>, sightings: &[Sighting]) -> Evidence<'_> {
    Evidence {
        registration: Registration::Active,
        rollout_last_at: rollout.as_ref().and_then(|reading| reading.at),
        rollout,
        thread_known: true,
        resumed_at: None,
        asked_since: None,
        sightings,
        now: NOW,
    }
}

#[test]
fn a_missing_rollout_of_an_unknown_thread_proves_nothing() {
    let sightings = [sighting(reading(Source::Screen, Condition::Idle, "composer_empty"))];
    let unknown = judge(&Evidence { thread_known: false, ..evidence(None, &sightings) });
    assert_eq!((unknown.rule.as_str(), unknown.awaiting_first_prompt), ("thread_unknown", false));
    let known = judge(&evidence(None, &sightings));
    assert_eq!((known.rule.as_str(), known.awaiting_first_prompt), ("awaiting_first_prompt", true));
}

#[test]
fn the_age_of_a_question_is_its_own_and_not_that_of_the_one_before() {
    let asked = Some(Timestamp::from_millis(999_000));
    for (condition, since, age) in [(Condition::Blocked, asked, 1), (Condition::Busy, reading_at(), 30)] {
        let sightings = [sighting(reading(Source::Screen, condition, "question"))];
        let judgement = judge(&Evidence { asked_since: asked, ..evidence(None, &sightings) });
        assert_eq!((judgement.since, judgement.age_seconds), (since, Some(age)), "{condition}");
    }
    let sightings = [sighting(reading(Source::Screen, Condition::Blocked, "plan_choice"))];
    assert_eq!(judge(&evidence(None, &sightings)).since, reading_at(), "the sensor's word when nothing is recorded");
}

#[test]
fn a_turn_does_not_outlive_its_process() {
    let open = || Some(reading(Source::Rollout, Condition::Busy, "turn_open"));
    let idle = sighting(reading(Source::Screen, Condition::Idle, "composer_empty"));
    let sightings = [idle];
    let resumed = Some(Timestamp::from_millis(980_000));
    let after = judge(&Evidence { resumed_at: resumed, ..evidence(open(), &sightings) });
    assert_eq!((after.condition, after.rule.as_str()), (Condition::Aborted, "died_before_resume"));
    assert_eq!((after.agreement, after.ready_for_text), (Agreement::Agree, Readiness::Ready));
    let goes_on = Some(Timestamp::from_millis(990_000));
    let alive = judge(&Evidence { resumed_at: resumed, rollout_last_at: goes_on, ..evidence(open(), &sightings) });
    assert_eq!(alive.condition, Condition::Busy, "lines written since show that somebody works");
}

#[test]
fn a_turn_that_began_or_ended_after_a_look_outdoes_it() {
    let seen = |condition, at: i64| Sighting {
        observed_at: Timestamp::from_millis(at),
        ..sighting(reading(Source::Server, condition, "thread"))
    };
    let rollout = |condition| {
        Some(Reading { at: Some(Timestamp::from_millis(992_000)), ..reading(Source::Rollout, condition, "turn") })
    };
    let cases = [
        ("it ended since", Condition::Done, Condition::Busy, 991_000, Condition::Done),
        ("its question was answered and it ended since", Condition::Done, Condition::Blocked, 991_000, Condition::Done),
        ("it ended before", Condition::Done, Condition::Busy, 993_000, Condition::Busy),
        ("it began since", Condition::Busy, Condition::Idle, 991_000, Condition::Busy),
        ("it began before", Condition::Busy, Condition::Idle, 993_000, Condition::Idle),
        ("an open question is not in the rollout", Condition::Busy, Condition::Blocked, 991_000, Condition::Blocked),
    ];
    for (what, recorded, live, at, expected) in cases {
        let sightings = [seen(live, at)];
        let judgement = judge(&evidence(rollout(recorded), &sightings));
        assert_eq!(judgement.condition, expected, "{what}: {judgement:?}");
        assert_eq!(judgement.readings.len(), 2, "{what}: all is shown");
        assert_eq!(judgement.runs(), Some(true), "{what}: somebody was there");
    }
    // A clock that was set back must not make a live sensor old for ever.
    let ahead = Some(Reading {
        at: Some(Timestamp::from_millis(1_900_000)),
        ..reading(Source::Rollout, Condition::Done, "turn")
    });
    let sightings = [seen(Condition::Busy, 999_000)];
    assert_eq!(judge(&evidence(ahead, &sightings)).condition, Condition::Busy);
}

fn judged(rollout: Option<Reading>, live: Vec<Reading>) -> Judgement {
    let sightings: Vec<Sighting> = live.into_iter().map(sighting).collect();
    judge(&evidence(rollout, &sightings))
}

#[test]
fn each_case_has_its_condition_rule_and_agreement() {
    use Agreement::{Agree, Disagree, Silent, Single};
    use Condition::{Aborted, Blocked, Busy, Done, Idle, Unknown};
    use Source::{Process, Rollout, Screen, Server, Title};
    let cases = [
        ("rollout alone", Some((Busy, "turn_open")), vec![], Busy, "turn_open", Single),
        ("nothing at all", None, vec![], Unknown, "awaiting_first_prompt", Silent),
        ("fresh pane", None, vec![(Screen, Idle, "composer_empty")], Idle, "awaiting_first_prompt", Single),
        (
            "streaming looks idle on screen, the title knows",
            Some((Busy, "turn_open")),
            vec![(Title, Busy, "spinner"), (Screen, Idle, "composer_empty")],
            Busy,
            "spinner",
            Agree,
        ),
        (
            "approval is on screen only",
            Some((Busy, "turn_open")),
            vec![(Screen, Blocked, "approval_command")],
            Blocked,
            "approval_command",
            Agree,
        ),
        (
            "plan menu outside a turn",
            Some((Done, "plan_proposed")),
            vec![(Screen, Blocked, "plan_choice")],
            Blocked,
            "plan_choice",
            Agree,
        ),
        (
            "the server knows better than an old screen",
            Some((Busy, "turn_open")),
            vec![(Server, Busy, "active"), (Screen, Blocked, "approval_command")],
            Busy,
            "active",
            Disagree,
        ),
        (
            "server waits",
            Some((Busy, "turn_open")),
            vec![(Server, Blocked, "waiting_on_approval")],
            Blocked,
            "waiting_on_approval",
            Agree,
        ),
        (
            "how the turn ended comes from the rollout",
            Some((Done, "turn_complete")),
            vec![(Server, Idle, "idle"), (Screen, Idle, "composer_empty")],
            Done,
            "turn_complete",
            Agree,
        ),
        (
            "failed is not done",
            Some((Aborted, "turn_failed")),
            vec![(Server, Aborted, "system_error")],
            Aborted,
            "turn_failed",
            Agree,
        ),
        (
            "rollout busy, screen idle",
            Some((Busy, "turn_open")),
            vec![(Screen, Idle, "composer_empty")],
            Busy,
            "turn_open",
            Disagree,
        ),
        (
            "rollout idle, title spins",
            Some((Done, "turn_complete")),
            vec![(Title, Busy, "spinner")],
            Busy,
            "spinner",
            Disagree,
        ),
        ("server idle, rollout open", Some((Busy, "turn_open")), vec![(Server, Idle, "idle")], Idle, "idle", Disagree),
        (
            "process gone in a turn",
            Some((Busy, "turn_open")),
            vec![(Process, Unknown, "process_gone")],
            Aborted,
            "died_mid_turn",
            Single,
        ),
        (
            "frozen title of a dead process",
            Some((Busy, "turn_open")),
            vec![(Title, Busy, "spinner"), (Process, Unknown, "process_gone")],
            Aborted,
            "died_mid_turn",
            Single,
        ),
        (
            "exited after its answer",
            Some((Done, "turn_complete")),
            vec![(Screen, Unknown, "codex_exited")],
            Done,
            "turn_complete",
            Single,
        ),
        (
            "terminal gone, server goes on",
            Some((Busy, "turn_open")),
            vec![(Server, Busy, "active"), (Process, Unknown, "process_gone")],
            Busy,
            "active",
            Agree,
        ),
    ];
    for (name, rollout, live, condition, rule, agreement) in cases {
        let rollout = rollout.map(|(condition, rule)| reading(Rollout, condition, rule));
        let live = live.into_iter().map(|(source, condition, rule)| reading(source, condition, rule)).collect();
        let judgement = judged(rollout, live);
        assert_eq!(
            (judgement.condition, judgement.rule.as_str(), judgement.agreement),
            (condition, rule, agreement),
            "{name}: {judgement:?}"
        );
    }
}

#[test]
fn old_sightings_decide_nothing() {
    let mut old = sighting(reading(Source::Screen, Condition::Blocked, "approval_command"));
    old.observed_at = Timestamp::from_millis(NOW.as_millis() - FRESH_MILLIS - 1);
    let rollout = Some(reading(Source::Rollout, Condition::Busy, "turn_open"));
    let judgement = judge(&evidence(rollout, &[old]));
    assert_eq!((judgement.condition, judgement.agreement), (Condition::Busy, Agreement::Single));
}

#[test]
fn an_old_open_turn_needs_a_writer_that_lives() {
    let open = || Some(reading(Source::Rollout, Condition::Busy, "turn_open"));
    let last = |ago: i64| Some(Timestamp::from_millis(NOW.as_millis() - ago));
    let with = |ago, seen: &[Sighting]| judge(&Evidence { rollout_last_at: last(ago), ..evidence(open(), seen) });
    let unseen = with(3 * 3_600_000, &[]);
    assert_eq!((unseen.condition, unseen.rule.as_str()), (Condition::Unknown, "writer_unseen"));
    assert_eq!(unseen.reason, "a turn was open 3h00 ago; whether its writer still lives cannot be seen");
    assert_eq!((unseen.agreement, unseen.source), (Agreement::Single, Some(Source::Rollout)));
    assert_eq!((unseen.readings.len(), unseen.runs()), (1, None));
    assert_eq!(with(WRITING_MILLIS, &[]).condition, Condition::Busy, "somebody wrote just now");
    assert_eq!(with(WRITING_MILLIS + 1, &[]).condition, Condition::Unknown);
    assert_eq!(with(-3_600_000, &[]).condition, Condition::Unknown, "a line of the future proves no life");
    let silent = Sighting { reading: None, ..sighting(reading(Source::Title, Condition::Busy, "spinner")) };
    assert_eq!(with(3_600_000, &[silent]).condition, Condition::Unknown, "who was not heard does not speak");
    let alive = sighting(reading(Source::Process, Condition::Unknown, "process_alive"));
    let busy = with(3_600_000, &[alive]);
    assert_eq!((busy.condition, busy.rule.as_str(), busy.runs()), (Condition::Busy, "turn_open", Some(true)));
}

#[test]
fn a_server_that_has_not_loaded_the_thread_proves_no_life() {
    let open = Some(reading(Source::Rollout, Condition::Busy, "turn_open"));
    let seen = [sighting(reading(Source::Server, Condition::Unknown, "server_not_loaded"))];
    let hour_ago = Some(Timestamp::from_millis(NOW.as_millis() - 3_600_000));
    let judgement = judge(&Evidence { rollout_last_at: hour_ago, ..evidence(open, &seen) });
    assert_eq!((judgement.condition, judgement.rule.as_str()), (Condition::Unknown, "writer_unseen"));
    assert_eq!(judgement.runs(), None);
}

#[test]
fn a_sighting_of_the_future_is_not_fresh_for_ever() {
    let mut ahead = sighting(reading(Source::Screen, Condition::Blocked, "approval_command"));
    let rollout = || Some(reading(Source::Rollout, Condition::Busy, "turn_open"));
    ahead.observed_at = Timestamp::from_millis(NOW.as_millis() + AHEAD_MILLIS);
    assert_eq!(judge(&evidence(rollout(), std::slice::from_ref(&ahead))).condition, Condition::Blocked);
    ahead.observed_at = Timestamp::from_millis(NOW.as_millis() + AHEAD_MILLIS + 1);
    assert_eq!(judge(&evidence(rollout(), &[ahead])).condition, Condition::Busy);
}

#[test]
fn a_session_behind_the_server_runs_without_its_terminal_and_says_so() {
    let open = Some(reading(Source::Rollout, Condition::Busy, "turn_open"));
    let gone = || reading(Source::Process, Condition::Unknown, "process_gone");
    let served = judged(open.clone(), vec![reading(Source::Server, Condition::Busy, "active"), gone()]);
    assert_eq!(served.runs(), Some(true));
    assert!(served.reason.ends_with("; its terminal is gone (process says process_gone)"), "{}", served.reason);
    let unloaded = judged(open, vec![reading(Source::Server, Condition::Unknown, "server_not_loaded"), gone()]);
    assert_eq!((unloaded.condition, unloaded.runs()), (Condition::Aborted, Some(false)));
}

#[test]
fn a_turn_that_just_ended_is_no_contradiction() {
    let mut ended = reading(Source::Rollout, Condition::Done, "turn_complete");
    ended.at = Some(Timestamp::from_millis(NOW.as_millis() - 300));
    let judgement = judged(Some(ended), vec![reading(Source::Title, Condition::Busy, "spinner")]);
    assert_eq!(judgement.agreement, Agreement::Agree);
}

#[test]
fn only_an_empty_composer_is_ready() {
    let done = || Some(reading(Source::Rollout, Condition::Done, "turn_complete"));
    let ready = judged(done(), vec![reading(Source::Screen, Condition::Idle, "composer_empty")]);
    assert_eq!(ready.ready_for_text, Readiness::Ready);
    assert_eq!(judged(done(), vec![]).ready_for_text, Readiness::Unknown, "the screen was not seen");
    let dialog = judged(done(), vec![reading(Source::Screen, Condition::Blocked, "plan_choice")]);
    assert_eq!((dialog.ready_for_text, dialog.prompt.as_deref()), (Readiness::NotReady, Some("plan_choice")));
}
