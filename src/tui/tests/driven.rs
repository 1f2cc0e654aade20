//! The whole loop, with keys from a channel and a terminal in memory.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use crossterm::event::{Event, KeyEvent};
use ratatui::{Frame, Terminal, backend::TestBackend, layout::Size};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_stream::Stream;

use super::fake::{Fake, NOW, board, event, settings, text, visit};
use crate::{
    base::{Clock, Result, clock::FixedClock},
    model::board::Board,
    tui::{
        app::App,
        calls::{Call, Ringing},
        event_loop::{INBOX, Wires, drive},
        terminal::Host,
        theme::ThemeName,
    },
};

/// Events from a channel that outlives the stream, as a terminal outlives its reader.
struct Keys(Arc<Mutex<mpsc::UnboundedReceiver<Event>>>);

impl Stream for Keys {
    type Item = io::Result<Event>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.lock().expect("no test panics here").poll_recv(context).map(|event| event.map(Ok))
    }
}

struct TestHost {
    terminal: Terminal<TestBackend>,
    keys: Arc<Mutex<mpsc::UnboundedReceiver<Event>>>,
    shown: Arc<Mutex<String>>,
    size: Arc<Mutex<Size>>,
    frames: Arc<AtomicUsize>,
    log: Arc<Mutex<Vec<String>>>,
    titles: Arc<Mutex<Vec<String>>>,
}

impl TestHost {
    fn note(&self, what: &str) -> Result<()> {
        self.log.lock().expect("no test panics here").push(what.into());
        Ok(())
    }
}

impl Host for TestHost {
    type Input = Keys;

    fn events(&mut self) -> Keys {
        Keys(Arc::clone(&self.keys))
    }

    fn draw(&mut self, render: &mut dyn FnMut(&mut Frame<'_>)) -> Result<()> {
        let size = *self.size.lock().expect("no test panics here");
        self.terminal.backend_mut().resize(size.width, size.height);
        self.terminal.draw(|frame| render(frame)).expect("a frame");
        *self.shown.lock().expect("no test panics here") = text(self.terminal.backend());
        self.frames.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn size(&mut self) -> Result<Size> {
        Ok(*self.size.lock().expect("no test panics here"))
    }

    fn repaint(&mut self) -> Result<()> {
        self.note("repaint")
    }

    fn leave(&mut self) -> Result<()> {
        self.note("leave")
    }

    fn enter(&mut self, mouse: bool) -> Result<()> {
        self.note(if mouse { "enter with mouse" } else { "enter" })
    }

    fn set_mouse(&mut self, on: bool) -> Result<()> {
        self.note(if on { "mouse on" } else { "mouse off" })
    }

    fn copy(&mut self, text: &str) -> Result<()> {
        self.note(&format!("copy {text}"))
    }

    fn set_title(&mut self, title: &str) -> Result<()> {
        self.titles.lock().expect("no test panics here").push(title.into());
        Ok(())
    }

    fn ring(&mut self, how: Ringing, call: &Call) -> Result<()> {
        self.note(&format!("{how} {}", call.title))
    }

    fn suspend(&mut self, _: bool) -> Result<()> {
        self.note("suspend")
    }
}

/// A running cockpit.
struct Runner {
    keys: mpsc::UnboundedSender<Event>,
    signals: mpsc::Sender<u8>,
    changes: watch::Sender<u64>,
    shown: Arc<Mutex<String>>,
    size: Arc<Mutex<Size>>,
    frames: Arc<AtomicUsize>,
    log: Arc<Mutex<Vec<String>>>,
    titles: Arc<Mutex<Vec<String>>>,
    backend: Arc<Fake>,
    task: JoinHandle<Result<u8>>,
}

impl Runner {
    fn start(backend: Fake) -> Self {
        let backend = Arc::new(backend);
        let (keys, key_receiver) = mpsc::unbounded_channel();
        let (signals, signal_receiver) = mpsc::channel(1);
        let (changes, change_receiver) = watch::channel(0);
        let (sender, inbox) = mpsc::channel(INBOX);
        let (shown, log, titles, frames) = (Arc::default(), Arc::default(), Arc::default(), Arc::default());
        let size = Arc::new(Mutex::new(Size::new(80, 24)));
        let mut host = TestHost {
            terminal: Terminal::new(TestBackend::new(80, 24)).expect("a test terminal"),
            keys: Arc::new(Mutex::new(key_receiver)),
            shown: Arc::clone(&shown),
            size: Arc::clone(&size),
            frames: Arc::clone(&frames),
            log: Arc::clone(&log),
            titles: Arc::clone(&titles),
        };
        let clock: Arc<dyn Clock> = Arc::new(FixedClock::at(NOW));
        let wires = Wires {
            backend: Arc::clone(&backend) as Arc<_>,
            clock,
            changes: Some(change_receiver),
            notices: None,
            inbox,
            sender,
            signals: signal_receiver,
        };
        let task = tokio::spawn(async move {
            let mut app = App::new(settings(ThemeName::Dark, false), NOW, Size::new(80, 24), true);
            drive(&mut host, &mut app, wires).await
        });
        Self { keys, signals, changes, shown, size, frames, log, titles, backend, task }
    }

    fn key(&self, name: &str) {
        let event: KeyEvent = event(name);
        self.keys.send(Event::Key(event)).expect("the loop runs");
    }

    async fn wait_for(&self, text: &str) {
        self.wait(&format!("{text:?} on the screen"), |runner| runner.screen().contains(text)).await;
    }

    async fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !holds(self) {
            assert!(Instant::now() < deadline, "{what}: not within 10 s\n{}\n{:?}", self.screen(), self.noted());
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn screen(&self) -> String {
        self.shown.lock().expect("no test panics here").clone()
    }

    fn noted(&self) -> Vec<String> {
        self.log.lock().expect("no test panics here").clone()
    }

    fn set_board(&self, board: Option<Board>) {
        *self.backend.board.lock().expect("no test panics here") = board;
        self.changes.send_modify(|mark| *mark += 1);
    }

    async fn leave(self) -> u8 {
        self.key("Ctrl-C");
        self.task.await.expect("the loop does not panic").expect("the loop does not fail")
    }
}

#[tokio::test]
async fn shows_the_board_and_leaves() {
    let runner = Runner::start(Fake::default());
    runner.wait_for("needs you 3m").await;
    runner.wait_for("Make the parser accept").await;
    assert_eq!(runner.leave().await, 0);
}

#[tokio::test]
async fn the_title_counts_who_needs_you_and_is_said_again_after_the_terminal_was_lent() {
    let titles = |runner: &Runner| runner.titles.lock().expect("no test panics here").clone();
    let runner = Runner::start(Fake::default());
    runner.wait("the count", |runner| titles(runner).last().is_some_and(|title| title == "!1 conveyor")).await;
    let mut calm = board();
    calm.sessions.truncate(1);
    runner.set_board(Some(calm));
    runner.wait("nobody", |runner| titles(runner).last().is_some_and(|title| title == "conveyor")).await;
    let before = titles(&runner).len();
    runner.key("Ctrl-Z");
    runner.wait("the title again", |runner| titles(runner).len() > before).await;
    assert_eq!(titles(&runner).last().map(String::as_str), Some("conveyor"), "another program may have changed it");
    runner.leave().await;
}

#[tokio::test]
async fn a_change_of_the_ledger_shows() {
    let runner = Runner::start(Fake::default());
    runner.wait_for("w3").await;
    let mut board = super::fake::board();
    board.sessions[4].name = "renamed".into();
    runner.set_board(Some(board));
    runner.wait_for("renamed").await;
    runner.set_board(None);
    runner.wait_for("the ledger is damaged").await;
    // Tried again without any announcement.
    *runner.backend.board.lock().unwrap() = Some(super::fake::board());
    assert_eq!(runner.leave().await, 0);
}

#[tokio::test]
async fn a_storm_of_changes_is_ten_loads_a_second() {
    let runner = Runner::start(Fake::default());
    runner.wait_for("w3").await;
    let (start, before) = (Instant::now(), runner.backend.boards.load(Ordering::SeqCst));
    while start.elapsed() < Duration::from_millis(1_000) {
        runner.changes.send_modify(|mark| *mark += 1);
        sleep(Duration::from_millis(2)).await;
    }
    let elapsed = usize::try_from(start.elapsed().as_millis()).unwrap_or(usize::MAX);
    let loads = runner.backend.boards.load(Ordering::SeqCst) - before;
    assert!(loads >= 2 && loads <= elapsed / 100 + 2, "{loads} loads in {elapsed} ms");
    runner.leave().await;
}

#[tokio::test]
async fn a_panic_in_a_job_leaves_the_cockpit_alive() {
    let runner = Runner::start(Fake { panics: true, ..Fake::default() });
    runner.wait_for("needs you").await;
    runner.key("x");
    runner.wait_for("the explainer broke").await;
    runner.key("Esc");
    runner.key("j");
    runner.wait_for("usage limit").await;
    assert_eq!(runner.leave().await, 0);
}

#[tokio::test]
async fn a_command_comes_back_as_a_receipt() {
    let runner = Runner::start(Fake::default());
    runner.wait_for("needs you").await;
    runner.key("c");
    runner.wait_for("ran cycle").await;
    runner.key("Esc");
    assert_eq!(runner.leave().await, 0);
}

#[tokio::test]
async fn the_terminal_is_lent_and_taken_back() {
    let attach = visit(&["sh", "-c", "echo no such pane >&2; exit 3"]);
    let runner = Runner::start(Fake { attach, ..Fake::default() });
    runner.wait_for("needs you").await;
    runner.key("a");
    runner.wait_for("sh did not attach: no such pane").await;
    assert_eq!(runner.noted(), ["leave", "enter with mouse"]);
    runner.key("Esc");
    runner.key("Ctrl-Z");
    runner.key("M");
    runner.key("Y");
    runner.wait("the copy", |runner| runner.noted().iter().any(|line| line.starts_with("copy"))).await;
    assert_eq!(runner.noted()[2..], ["suspend", "mouse off", "copy conveyor explain -- w1"]);
    assert_eq!(runner.leave().await, 0);
}

#[tokio::test]
async fn a_signal_ends_it_also_while_the_terminal_is_lent() {
    let attach = visit(&["sleep", "60"]);
    let runner = Runner::start(Fake { attach, ..Fake::default() });
    runner.wait_for("needs you").await;
    runner.key("a");
    runner.wait("the terminal to be lent", |runner| runner.noted() == ["leave"]).await;
    runner.signals.send(130).await.unwrap();
    let code = runner.task.await.unwrap().unwrap();
    assert_eq!(code, 130);
}

#[tokio::test]
async fn a_resize_that_nobody_announced_is_noticed() {
    let runner = Runner::start(Fake::default());
    runner.wait_for("needs you").await;
    *runner.size.lock().unwrap() = Size::new(160, 50);
    runner.wait_for("on record").await;
    runner.keys.send(Event::Resize(160, 50)).unwrap();
    assert_eq!(runner.leave().await, 0);
}

#[tokio::test]
async fn nothing_is_drawn_while_nothing_happens() {
    let runner = Runner::start(Fake::default());
    runner.wait_for("Make the parser accept").await;
    let before = runner.frames.load(Ordering::SeqCst);
    sleep(Duration::from_millis(1_500)).await;
    let drawn = runner.frames.load(Ordering::SeqCst) - before;
    assert!(drawn <= 3, "{drawn} frames in 1.5 s; ages move once a second");
    runner.leave().await;
}

#[tokio::test]
async fn a_key_does_not_wait_for_the_pause_between_frames() {
    let runner = Runner::start(Fake::default());
    runner.wait_for("Make the parser accept").await;
    let mut fastest = Duration::MAX;
    for _ in 0..10 {
        sleep(Duration::from_millis(50)).await;
        for begins_pause in [true, false] {
            let (before, pressed) = (runner.frames.load(Ordering::SeqCst), Instant::now());
            runner.key(if begins_pause { "j" } else { "k" });
            runner.wait("a frame", |runner| runner.frames.load(Ordering::SeqCst) > before).await;
            if !begins_pause {
                fastest = fastest.min(pressed.elapsed());
            }
        }
    }
    assert!(fastest < Duration::from_millis(25), "{fastest:?}");
    runner.leave().await;
}

#[tokio::test]
async fn a_terminal_that_is_gone_ends_the_cockpit() {
    let runner = Runner::start(Fake::default());
    runner.wait_for("needs you").await;
    drop(runner.keys);
    let error = runner.task.await.unwrap().unwrap_err();
    assert_eq!(error.message(), "the terminal is gone");
}
