//! Faults on purpose, replay and resume.

use std::{fs, path::Path, sync::Arc};

use conveyor::{
    base::{Timestamp, clock::SystemClock},
    sim::{Dialect, Ending, Faults, RolloutWriter, Script, Session, play, replay},
};

use super::dialects::{lines, session, setup};

fn with_fault(faults: Faults) -> (tempfile::TempDir, String, Ending) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut setup = setup(Dialect::NEWEST, home.path(), 500.0);
    setup.faults = faults;
    let mut session = Session::start(setup, Script::default(), Arc::new(SystemClock)).expect("a writable home");
    session.submit("Hello {{say Hi.}}").expect("a written rollout");
    let ending = play(&mut session, false).expect("a written rollout");
    let text = fs::read_to_string(session.rollout()).expect("a rollout");
    (home, text, ending)
}

#[test]
fn a_torn_line_holds_a_prefix_and_the_whole_record() {
    let (_home, text, ending) = with_fault(Faults { torn_line: true, ..Faults::default() });
    assert_eq!(ending, Ending::Played);
    let broken: Vec<&str> =
        text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_err()).collect();
    assert_eq!(broken.len(), 1);
    let second = broken[0].rfind(r#"{"timestamp""#).unwrap();
    assert!(second > 0 && broken[0][second..].starts_with(&broken[0][..second]));
    serde_json::from_str::<serde_json::Value>(&broken[0][second..]).unwrap();
    assert!(text.contains("task_complete"));
}

#[test]
fn a_huge_line_is_one_sound_record() {
    let (_home, text, _) = with_fault(Faults { huge_line: true, ..Faults::default() });
    let longest = text.lines().max_by_key(|line| line.len()).unwrap();
    assert!(longest.len() > 9 * 1024 * 1024);
    serde_json::from_str::<serde_json::Value>(longest).unwrap();
    assert_eq!(text.lines().filter(|line| line.len() > 1_000_000).count(), 1);
}

#[test]
fn a_silent_death_leaves_the_turn_open() {
    let (_home, text, ending) = with_fault(Faults { silent_death: true, ..Faults::default() });
    assert_eq!(ending, Ending::Died);
    assert!(text.contains("task_started") && !text.contains("task_complete") && text.ends_with('\n'));
}

#[test]
fn a_replay_has_the_same_bytes_even_when_the_last_line_is_cut() {
    let home = tempfile::tempdir().unwrap();
    for name in ["v0.25.0_one_turn", "half_written_last_line"] {
        let recording =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rollouts").join(format!("{name}.jsonl"));
        let now = Timestamp::from_millis(1_795_000_000_000);
        let written = replay(&recording, home.path(), now, 1e6).unwrap();
        assert_eq!(fs::read(&written.path).unwrap(), fs::read(&recording).unwrap(), "{name}");
        assert!(replay(&recording, home.path(), now, 1e6).is_err(), "a second replay must not append");
    }
}

#[test]
fn a_thread_has_one_writer_and_can_be_resumed_by_the_next() {
    let home = tempfile::tempdir().unwrap();
    let mut first = session("v0.169", home.path(), "{}");
    first.submit("Hello {{say Hi.}}").unwrap();
    play(&mut first, false).unwrap();
    let (thread, path) = (first.thread(), first.rollout().to_owned());
    let again = || {
        let setup = setup(Dialect::NEWEST, home.path(), 500.0);
        let writer = RolloutWriter::resume(
            Dialect::NEWEST,
            setup.identity.clone(),
            Arc::new(SystemClock),
            thread,
            path.clone(),
        )?;
        Ok::<_, conveyor::sim::RolloutError>(Session::with_writer(
            setup,
            Script::default(),
            Arc::new(SystemClock),
            writer,
        ))
    };
    assert!(again().err().unwrap().to_string().contains("already has an active writer"));
    drop(first);
    let mut second = again().unwrap();
    second.submit("More {{say Yes.}}").unwrap();
    play(&mut second, false).unwrap();
    let lines = lines(&fs::read_to_string(&path).unwrap());
    let ordinals: Vec<u64> = lines.iter().map(|line| line["ordinal"].as_u64().unwrap()).collect();
    assert_eq!(ordinals, (0..lines.len() as u64).collect::<Vec<_>>());
    assert_eq!(lines.iter().filter(|line| line["type"] == "session_meta").count(), 1);
}
