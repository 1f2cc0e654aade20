use super::*;
use crate::model::{
    rollout::{Record, parse},
    state::{Condition, Reading, Source},
};

/// A thread created at 02:00:00; its own turn ids begin with `OWN`, older ones with `OLD`.
const HEAD: &str = r#"{"timestamp":"2026-11-21T02:00:00.100Z","type":"session_meta","payload":{"id":"thread-a","timestamp":"2026-11-21T02:00:00.000Z","cli_version":"0.144.6","forked_from_id":"thread-b"}}"#;
/// Version 7 ids of 2026-11-21T02:00:05Z and of five minutes before the thread.
const OWN: &str = "01a1fbd5-0888-7000-8000-000000000001";
const OLD: &str = "01a1fbd0-6120-7000-8000-000000000002";

struct Session {
    progress: Progress,
    next: u64,
}

impl Session {
    fn new() -> Self {
        Self { progress: Progress::default(), next: 0 }
    }

    fn line(&mut self, line: &str) -> &mut Self {
        let record: Record = parse(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.progress.apply(&record, self.next);
        self.next += line.len() as u64 + 1;
        self
    }

    /// An event at `seconds` after 02:00:00.
    fn event(&mut self, seconds: f64, payload: &str) -> &mut Self {
        let at = Timestamp::from_millis(1_795_226_400_000 + (seconds * 1_000.0) as i64);
        self.line(&format!(r#"{{"timestamp":"{at}","type":"event_msg","payload":{payload}}}"#))
    }

    fn says(&self, condition: Condition, rule: &str) -> Reading {
        let reading = self.progress.reading();
        assert_eq!((reading.condition, reading.rule.as_str()), (condition, rule), "{reading:?}");
        assert_eq!(reading.source, Source::Rollout);
        reading
    }
}

fn started(turn: &str) -> String {
    format!(r#"{{"type":"task_started","turn_id":"{turn}"}}"#)
}

fn ended(turn: &str, message: &str) -> String {
    format!(r#"{{"type":"task_complete","turn_id":"{turn}","last_agent_message":{message}}}"#)
}

const USER: &str = r#"{"type":"user_message","message":"go on"}"#;
const AGENT: &str = r#"{"type":"agent_message","message":"done"}"#;

#[test]
fn nothing_is_claimed_before_anything_is_known() {
    let mut session = Session::new();
    let nothing = session.says(Condition::Unknown, "nothing_read");
    assert_eq!((nothing.at, nothing.byte_offset), (None, None));
    session.line(HEAD).says(Condition::Idle, "no_turn_yet");
}

#[test]
fn turns_open_and_close_by_turn_lines_only() {
    let mut session = Session::new();
    session.line(HEAD).event(5.0, &started(OWN)).event(5.1, USER);
    let busy = session.says(Condition::Busy, "turn_open");
    assert_eq!(busy.byte_offset, Some(HEAD.len() as u64 + 1));
    session.event(6.0, AGENT).says(Condition::Busy, "turn_open");
    session.event(6.1, &ended(OWN, r#""done""#)).says(Condition::Done, "turn_complete");
    let late = r#"{"type":"item_completed","item":{"type":"CommandExecution","command":["sleep","9"],"exit_code":0}}"#;
    session.event(9.0, late).says(Condition::Done, "turn_complete");
    assert_eq!(session.progress.last_event.as_ref().map(|event| event.label.as_str()), Some("CommandExecution"));
}

#[test]
fn a_newer_turn_supersedes_and_the_late_end_of_the_older_closes_nothing() {
    let newer = OWN.replace("0001", "0009");
    let mut session = Session::new();
    session.line(HEAD).event(5.0, &started(OWN)).event(8.0, &started(&newer));
    session.event(8.1, &ended(OWN, r#""late""#)).says(Condition::Busy, "turn_open");
    session.event(8.2, &ended(&newer, r#""yes""#)).says(Condition::Done, "turn_complete");
    assert_eq!(session.progress.last_end.as_ref().and_then(|end| end.last_message.as_deref()), Some("yes"));
}

#[test]
fn ends_without_a_message_are_told_apart() {
    let compacted = r#"{"type":"context_compacted"}"#;
    let plan = r#"{"type":"item_completed","item":{"type":"Plan","text":"1. look"}}"#;
    let shell = r#"{"type":"item_completed","item":{"type":"CommandExecution","source":"user_shell","command":["ls"],"exit_code":0}}"#;
    let error = r#"{"type":"error","message":"no credits","codex_error_info":"usage_limit_exceeded"}"#;
    let cases: &[(&[&str], Condition, &str)] = &[
        (&[USER], Condition::Idle, "ended_without_answer"),
        (&[compacted], Condition::Idle, "compacted"),
        (&[compacted, USER], Condition::Idle, "ended_without_answer"),
        (&[USER, plan], Condition::Done, "plan_proposed"),
        (&[shell], Condition::Idle, "user_shell_command"),
        (&[shell, USER], Condition::Idle, "ended_without_answer"),
        (&[USER, error], Condition::Aborted, "turn_failed"),
    ];
    for (lines, condition, rule) in cases {
        let mut session = Session::new();
        session.line(HEAD).event(5.0, &started(OWN));
        for line in *lines {
            session.event(6.0, line);
        }
        session.event(7.0, &ended(OWN, "null"));
        let reading = session.says(*condition, rule);
        if *rule == "turn_failed" {
            assert!(reading.reason.contains("usage_limit_exceeded"), "{reading:?}");
        }
    }
}

#[test]
fn an_interrupted_turn_is_aborted_and_names_the_reason() {
    let mut session = Session::new();
    session.line(HEAD).event(5.0, &started(OWN)).event(5.5, USER);
    session.event(6.0, &format!(r#"{{"type":"turn_aborted","turn_id":"{OWN}","reason":"interrupted"}}"#));
    assert!(session.says(Condition::Aborted, "turn_aborted").reason.contains("interrupted"));
    assert_eq!(session.progress.counts.turns_aborted, 1);
}

#[test]
fn an_open_question_blocks_until_it_is_answered() {
    let call = |payload: &str| {
        format!(r#"{{"timestamp":"2026-11-21T02:00:06.000Z","type":"response_item","payload":{payload}}}"#)
    };
    let mut session = Session::new();
    session.line(HEAD).event(5.0, &started(OWN));
    session.line(&call(r#"{"type":"function_call","name":"request_user_input","arguments":"{}","call_id":"c1"}"#));
    session.line(&call(r#"{"type":"function_call","name":"exec_command","arguments":"{}","call_id":"c2"}"#));
    session.says(Condition::Blocked, "question_open");
    session.line(&call(r#"{"type":"function_call_output","call_id":"c1","output":"x"}"#));
    session.says(Condition::Busy, "turn_open");
}

#[test]
fn a_question_dies_with_its_turn() {
    let question = r#"{"timestamp":"2026-11-21T02:00:06.000Z","type":"response_item","payload":{"type":"function_call","name":"request_user_input","arguments":"{}","call_id":"c1"}}"#;
    let end = format!(r#"{{"type":"turn_aborted","turn_id":"{OWN}","reason":"interrupted"}}"#);
    // The newer turn supersedes a killed one, or comes after an aborted one.
    for end in [None, Some(end)] {
        let mut session = Session::new();
        session.line(HEAD).event(5.0, &started(OWN)).line(question).says(Condition::Blocked, "question_open");
        if let Some(end) = end {
            session.event(7.0, &end).says(Condition::Aborted, "turn_aborted");
            assert!(session.progress.open_calls.is_empty());
        }
        session.event(8.0, &started(&OWN.replace("0001", "0009"))).says(Condition::Busy, "turn_open");
    }
}

#[test]
fn without_turn_lines_it_is_a_guess_and_says_so() {
    let mut session = Session::new();
    session.line(HEAD).event(5.0, USER);
    assert!(session.says(Condition::Busy, "guessed_busy").reason.contains("guess"));
    session.event(6.0, AGENT).says(Condition::Done, "guessed_done");
    session.line(r#"{"type":"response_item","payload":{"type":"function_call","name":"shell","call_id":"c"}}"#);
    session.says(Condition::Busy, "guessed_busy");
    session.event(7.0, r#"{"type":"turn_aborted","reason":"interrupted"}"#).says(Condition::Aborted, "turn_aborted");
    session
        .line(r#"{"type":"response_item","payload":{"type":"function_call_output","call_id":"c","output":"aborted"}}"#);
    session.says(Condition::Aborted, "turn_aborted");
    session.event(8.0, USER).says(Condition::Busy, "guessed_busy");
    session.line(r#"{"timestamp":"2026-11-21T02:00:09.000Z","type":"compacted","payload":{"message":"m"}}"#);
    session.event(9.0, r#"{"type":"agent_message","message":"Compact task completed"}"#);
    session.says(Condition::Idle, "guessed_compacted");
}

#[test]
fn copies_from_another_thread_count_for_nothing() {
    let copied = |session: &mut Session| {
        // Codex stamps copies with the time of copying.
        session.line(HEAD).line(&HEAD.replace("thread-a", "thread-b").replace("02:00:00.000Z", "01:00:00.000Z"));
        session.event(0.101, &started(OLD)).event(0.102, USER).event(0.103, AGENT);
        session.event(0.104, &ended(OLD, r#""done""#));
        assert_eq!(session.progress.head.as_ref().map(|head| head.thread_id.as_str()), Some("thread-a"));
        session.says(Condition::Idle, "no_turn_yet");
        assert_eq!((session.progress.counts.inherited, session.progress.counts.user_messages), (5, 0));
        assert_eq!((session.progress.counts.lines, session.progress.last_end.clone()), (6, None));
    };
    // The thread's own first turn ends the block, however soon it begins.
    let mut session = Session::new();
    copied(&mut session);
    session.event(0.105, &started(OWN)).event(0.106, USER).says(Condition::Busy, "turn_open");
    assert_eq!(session.progress.counts.user_messages, 1);

    // Where no turns are told, a pause ends it.
    let mut session = Session::new();
    copied(&mut session);
    session.event(4.0, USER).says(Condition::Busy, "guessed_busy");
    assert_eq!(session.progress.counts.user_messages, 1);
}

#[test]
fn lines_older_than_the_thread_are_inherited_and_the_rest_is_not() {
    let mut session = Session::new();
    session.line(HEAD).event(-300.0, &started(OLD)).event(-300.0, USER).event(-299.0, &ended(OLD, r#""old""#));
    assert_eq!(session.progress.counts.inherited, 3);
    session.says(Condition::Idle, "no_turn_yet");
    let own = parse(br#"{"timestamp":"2026-11-21T02:00:07.000Z","type":"event_msg","payload":{"type":"user_message","message":"x"}}"#);
    assert!(!session.progress.is_inherited(&own.unwrap()));
    // A head that is repeated is no copy, and changes nothing.
    let before = session.progress.head.clone();
    session.line(HEAD);
    assert_eq!((session.progress.head.clone(), session.progress.counts.inherited), (before, 3));
}

#[test]
fn nothing_is_inherited_behind_the_first_own_turn_whatever_the_clock_says() {
    let mut session = Session::new();
    session.line(HEAD).event(-300.0, &started(OLD)).event(-299.0, &ended(OLD, r#""old""#));
    session.event(1.0, &started(OWN)).event(1.1, USER).says(Condition::Busy, "turn_open");
    // The wall clock is set back to before the thread.
    session.event(-7_000.0, r#"{"type":"turn_aborted","reason":"interrupted"}"#);
    session.says(Condition::Aborted, "turn_aborted");
    session.event(-6_999.0, &started(OLD)).event(-6_998.0, USER).says(Condition::Busy, "turn_open");
    assert_eq!((session.progress.counts.inherited, session.progress.counts.user_messages), (2, 2));
    // Another thread's head is a copy all the same.
    session.line(&HEAD.replace("thread-a", "thread-b"));
    assert_eq!(session.progress.counts.inherited, 3);
}

#[test]
fn a_turn_without_a_time_of_its_own_does_not_end_the_copies() {
    let mut session = Session::new();
    session.line(HEAD).event(1.0, r#"{"type":"task_started","turn_id":"t"}"#).says(Condition::Busy, "turn_open");
    session.event(-300.0, USER);
    assert_eq!((session.progress.counts.inherited, session.progress.counts.user_messages), (1, 0));
}

#[test]
fn a_turn_that_claims_to_begin_at_the_end_of_time_is_a_turn() {
    let mut session = Session::new();
    session.line(HEAD).event(5.0, r#"{"type":"task_started","started_at":9223372036854775}"#);
    session.says(Condition::Busy, "turn_open");
}

#[test]
fn it_stays_small_whatever_comes() {
    let mut session = Session::new();
    session.line(HEAD).event(5.0, &started(OWN));
    let long = "x".repeat(10_000);
    for number in 0..100 {
        session.event(6.0, &format!(r#"{{"type":"user_message","message":"{long}"}}"#));
        session.event(6.0, &format!(r#"{{"type":"agent_message","message":"{long}"}}"#));
        session.event(6.0, &format!(r#"{{"type":"error","message":"{long}","codex_error_info":"{long}"}}"#));
        session.event(6.0, &format!(r#"{{"type":"item_completed","item":{{"type":"SubAgentActivity","kind":"started","agent_thread_id":"{number}-{long}"}}}}"#));
        session.line(&format!(
            r#"{{"type":"response_item","payload":{{"type":"function_call","name":"{long}","call_id":"{number}"}}}}"#
        ));
    }
    assert_eq!((session.progress.open_calls.len(), session.progress.agents.len()), (OPEN_ITEMS, SUB_AGENTS));
    assert!(serde_json::to_string(&session.progress).unwrap().len() < 16 * 1024);
    session.event(7.0, &ended(OWN, &format!("\"{long}\"")));
    assert!(serde_json::to_string(&session.progress).unwrap().len() < 16 * 1024);
}

#[test]
fn sub_agents_run_until_they_end_and_an_older_state_still_loads() {
    let news = |kind: &str| {
        format!(
            r#"{{"type":"item_completed","item":{{"type":"SubAgentActivity","kind":"{kind}","agent_thread_id":"child"}}}}"#
        )
    };
    let mut session = Session::new();
    session.line(HEAD).event(5.0, &started(OWN)).event(6.0, &news("started"));
    let agent = session.progress.agents[0].clone();
    assert_eq!((agent.thread_id.as_str(), agent.is_running(), agent.started_at), ("child", true, agent.at));
    session.event(7.0, &news("completed"));
    let ended = &session.progress.agents[0];
    assert_eq!((session.progress.agents.len(), ended.is_running(), ended.state.as_str()), (1, false, "completed"));
    assert_eq!(ended.started_at, agent.started_at);
    assert!(ended.at > agent.at);
    let older = r#"{"sub_agents":["child"],"used_tokens":3}"#;
    assert_eq!(serde_json::from_str::<Progress>(older).unwrap().used_tokens, Some(3));
    assert_eq!(serde_json::from_str::<Progress>("{}").unwrap(), Progress::default());
}
