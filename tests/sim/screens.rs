//! The screens carry the texts by which the recorded ones are recognised, at any size.

use std::path::Path;

use conveyor::sim::{Activity, Asking, Composer, Dialect, Entry, Frame, Input, View, frame};
use proptest::prelude::*;
use regex::Regex;
use uuid::Uuid;

struct Scene {
    composer: Composer,
    transcript: Vec<Entry>,
    busy: bool,
    steers: Vec<&'static str>,
}

impl Scene {
    fn new(version: &str) -> Self {
        let dialect: Dialect = version.parse().expect("a known version");
        Self { composer: Composer::new(dialect, false), transcript: Vec::new(), busy: false, steers: Vec::new() }
    }

    fn with(mut self, entry: Entry) -> Self {
        self.transcript.push(entry);
        self
    }

    fn frame(&self, version: &str, width: u16, height: u16) -> Frame {
        let dialect: Dialect = version.parse().expect("a known version");
        let view = View {
            dialect,
            composer: &self.composer,
            transcript: &self.transcript,
            activity: self.busy.then(Activity::default),
            steers: self.steers.clone(),
            queued: Vec::new(),
            cwd: Path::new("/home/user/project"),
            model: dialect.model(),
            name: None,
            thread: Uuid::nil(),
            tokens: 0,
            status_items: None,
            inline: !dialect.alternate_screen(),
        };
        frame(&view, width, height)
    }
}

fn text(frame: &Frame) -> String {
    frame.rows.iter().map(|row| row.text.trim_end()).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn assert_shows(screen: &str, patterns: &[&str]) {
    for pattern in patterns {
        assert!(Regex::new(&format!("(?m){pattern}")).expect("a pattern").is_match(screen), "{pattern} in\n{screen}");
    }
}

fn approval() -> Option<Asking> {
    Some(Asking::Approval { command: "touch x".into(), reason: "why".into() })
}

#[test]
fn idle_busy_and_approval_of_every_version() {
    let cases = [
        ("0.25", r"^▌ Improve documentation", r" Working \(0s • Esc to interrupt\)", r"^▌Allow command\?"),
        ("0.47", r"^› Improve documentation", r"• Working \(0s • esc to interrupt\)", r"^› 1\. Yes, proceed$"),
        ("0.98", r"^› Write tests", r"• Working \(0s • esc to interrupt\)", r"^› 1\. Yes, proceed \(y\)$"),
        ("0.125", r"^› Use /skills to list", r"• Working \(0s • esc to interrupt\)", r"^› 1\. Yes, proceed \(y\)$"),
        ("0.150", r"^› Ask Codex to do", r"• Working \(0s • esc to interrupt\)", r"^  Environment: local$"),
        ("0.169", r"^› Ask Codex to do", r"• Working \(0s • esc to interrupt\)", r"^› 1\. Yes, proceed \(y\)$"),
    ];
    for (version, idle, busy, asks) in cases {
        for (width, height) in [(80, 24), (120, 40)] {
            let mut scene = Scene::new(version).with(Entry::User("Hello".into()));
            let screen = text(&scene.frame(version, width, height));
            assert_shows(&screen, &[idle]);
            assert!(!screen.contains("to interrupt"));
            scene.busy = true;
            assert_shows(&text(&scene.frame(version, width, height)), &[idle, busy]);
            scene.composer.follow(approval());
            let screen = text(&scene.frame(version, width, height));
            assert_shows(&screen, &[asks]);
            assert!(!Regex::new(idle).expect("a pattern").is_match(&screen), "the composer is hidden:\n{screen}");
        }
    }
}

#[test]
fn other_states_of_the_newest_version() {
    let version = "0.169";
    let mut question = Scene::new(version);
    question.composer.follow(Some(Asking::Question { question: "Which?".into(), options: vec!["A".into()] }));
    assert_shows(&text(&question.frame(version, 120, 40)), &[r"^  Question 1/1 \(1 unanswered\)", r"^  › 1\. A"]);

    let mut trust = Scene::new(version);
    trust.composer = trust.composer.asking_for_trust();
    let screen = text(&trust.frame(version, 80, 24));
    assert_shows(&screen, &[r"^  Folder access", r"^  Trust this folder\?", r"^› 1\. Trust and continue"]);

    let stopped = Scene::new(version).with(Entry::Interrupted);
    assert_shows(&text(&stopped.frame(version, 120, 40)), &[r"^■ Conversation interrupted"]);

    let mut steered = Scene::new(version);
    (steered.busy, steered.steers) = (true, vec!["Also the logs"]);
    let screen = text(&steered.frame(version, 120, 40));
    assert_shows(&screen, &["^• Messages to be submitted after next tool call", "^  ↳ Also the logs$"]);

    let mut shell = Scene::new(version);
    shell.composer.handle(Input::Paste("!ls -l".into()), 0, false);
    assert_shows(&text(&shell.frame(version, 120, 40)), &["^! ls -l$", " Shell mode$"]);
}

#[test]
fn the_composer_of_the_alternate_screen_stands_where_the_recorded_one_does() {
    let frame = Scene::new("0.169").frame("0.169", 120, 40);
    assert_eq!(frame.rows.len(), 40);
    assert_eq!(frame.cursor, Some((2, 36)));
    assert_eq!(frame.rows[36].dim_from, Some("› ".len()), "the placeholder is dim");
}

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        any::<char>().prop_map(Input::Char),
        "[/!@$a-z ]{1,3}".prop_map(Input::Paste),
        ".{0,40}".prop_map(Input::Paste),
        (1001..1010usize).prop_map(|length| Input::Paste("漢".repeat(length))),
        Just(Input::Enter),
        Just(Input::Tab),
        Just(Input::Esc),
        Just(Input::Backspace),
        Just(Input::Up),
        Just(Input::Down),
        Just(Input::CtrlC),
        Just(Input::CtrlU),
        Just(Input::LineFeed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_input_and_no_size_breaks_it(
        inputs in proptest::collection::vec((any_input(), 0..200i64, any::<bool>()), 0..40),
        (width, height) in (1..130u16, 1..50u16),
        version in prop_oneof![Just("0.25"), Just("0.47"), Just("0.98"), Just("0.125"), Just("0.169")],
        asking in any::<bool>(),
    ) {
        let mut scene = Scene::new(version);
        let mut now = 0;
        for (input, gap, busy) in inputs {
            now += gap;
            scene.composer.follow(if asking { approval() } else { None });
            scene.composer.handle(input, now, busy);
            let frame = scene.frame(version, width, height);
            prop_assert!(frame.rows.len() <= usize::from(height.max(4)));
        }
    }

    #[test]
    fn pastes_and_tabs_never_answer_a_dialog(pastes in proptest::collection::vec(".{0,30}", 0..10)) {
        let mut composer = Composer::new(Dialect::NEWEST, false);
        composer.follow(approval());
        for paste in pastes {
            prop_assert!(composer.handle(Input::Paste(paste), 0, true).is_empty());
            prop_assert!(composer.handle(Input::Tab, 0, true).is_empty());
        }
        prop_assert!(composer.dialog().is_some());
    }
}
