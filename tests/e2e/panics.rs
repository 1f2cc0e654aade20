//! The cockpit on a backend and a clock that panic, in a real terminal: a task that panics is said and the rest goes
//! on; when the cockpit itself panics, the terminal is given back before the message.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use conveyor::{
    actions::{
        Checkup, Command, Deliveries, Differing, EndArgs, Exchange, QuestionView, Report, ShownCriterion, TalkQuery,
        TaskPolicy, TaskRecord, TaskReview, Unregistered, Visit,
    },
    base::{Clock, Error, Result, Timestamp, clock::SystemClock},
    model::{
        board::{Board, EventRow},
        conversation::Entry,
        family::AgentView,
    },
    tui::{self, Backend, EventQuery, Explanation, Keymap, Options, PaneText, Ringing, columns},
};

use super::{terminal::Terminal, world::World};

/// Names the test below that plays the cockpit, when it is run by the other one.
const PLAYED: &str = "CONVEYOR_TEST_COCKPIT";

/// Knows nothing; a look at the machine panics, and from then on the clock does when it is told to.
struct Broken {
    looked: Arc<AtomicBool>,
}

fn nothing<T>() -> Result<T> {
    Err(Error::not_found("there is no ledger in this test"))
}

impl Backend for Broken {
    fn board(&self) -> Result<Board> {
        nothing()
    }

    fn deliveries(&self, _: Option<&str>) -> Result<Deliveries> {
        nothing()
    }

    fn events(&self, _: &str, _: EventQuery) -> Result<Vec<EventRow>> {
        nothing()
    }

    fn conversation(&self, _: &str, _: TalkQuery) -> Result<Vec<Entry>> {
        nothing()
    }

    fn agents(&self, _: &str) -> Result<Vec<AgentView>> {
        nothing()
    }

    fn pane(&self, _: &str) -> Result<Option<PaneText>> {
        nothing()
    }

    fn explain(&self, _: &str) -> Result<Explanation> {
        nothing()
    }

    fn diff(&self, _: &str) -> Result<Differing> {
        nothing()
    }

    fn questions(&self, _: &str) -> Result<Vec<QuestionView>> {
        nothing()
    }

    fn criteria(&self, _: &str) -> Result<Vec<ShownCriterion>> {
        nothing()
    }

    fn review(&self, _: &str, _: &EndArgs) -> Result<TaskReview> {
        nothing()
    }

    fn policy(&self, _: &str) -> Result<TaskPolicy> {
        nothing()
    }

    fn record(&self, _: &str) -> Result<TaskRecord> {
        nothing()
    }

    fn unregistered(&self) -> Result<Unregistered> {
        nothing()
    }

    fn exchange(&self, _: &str) -> Result<Exchange> {
        nothing()
    }

    fn checkup(&self) -> Result<Checkup> {
        self.looked.store(true, Ordering::SeqCst);
        panic!("the look fell over");
    }

    fn attach(&self, _: &str) -> Result<Visit> {
        nothing()
    }

    fn submit(&self, _: Command) -> Result<Report> {
        nothing()
    }
}

/// Panics as soon as this file is there.
struct Bomb(PathBuf);

impl Clock for Bomb {
    fn now(&self) -> Timestamp {
        assert!(!self.0.exists(), "the clock fell over");
        SystemClock.now()
    }

    fn uptime_millis(&self) -> i64 {
        SystemClock.uptime_millis()
    }
}

#[test]
#[ignore = "is run by `a_panic_gives_the_terminal_back` in a terminal of its own"]
fn played() {
    let Some(file) = std::env::var_os(PLAYED) else { return };
    let options = Options {
        theme: None,
        ascii: false,
        mouse: true,
        keymap: Keymap::default(),
        columns: columns::DEFAULT.to_vec(),
        ringing: Ringing::Off,
        dwell: 5,
        desktop: None,
        task: None,
        prefix: vec!["conveyor".to_owned()],
        clock: Arc::new(Bomb(file.into())),
        start: None,
    };
    let code = tui::run(Broken { looked: Arc::default() }, options).expect("a terminal");
    assert_eq!(code, 0);
}

#[test]
fn a_panic_gives_the_terminal_back() {
    let Some(world) = World::start() else { return };
    let bomb = world.cwd().join("bomb");
    let mut environment = world.shell_environment();
    environment.push(format!("{PLAYED}={}", bomb.display()));
    let terminal = Terminal::open(&world, &environment, 100, 30);
    let program = std::env::current_exe().expect("this program");
    let play = || {
        let name = "e2e::panics::played";
        terminal.type_line(&format!("{} --ignored --exact --nocapture {name}", program.display()));
        terminal.wait_for("1 Fleet");
    };
    // The first look at the machine panics in a thread of its own.
    play();
    // The rest goes on.
    terminal.wait_until("the fault and the screen", |screen| {
        screen.contains("the look fell over") && screen.contains("Nothing to watch yet")
    });
    assert!(terminal.modes().starts_with('1'), "{}", terminal.modes());
    terminal.press(&["?"]);
    terminal.wait_for("type to search");
    terminal.press(&["Escape"]);
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);

    // The cockpit itself panics.
    play();
    std::fs::write(&bomb, "").expect("a file");
    terminal.wait_for("the clock fell over");
    let left = terminal.wait_for_shell();
    assert_eq!(left, 101);
}
