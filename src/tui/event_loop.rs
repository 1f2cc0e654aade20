//! The loop: waits for anything to happen, lets `update` decide, carries out the effects, draws when something
//! changed. It never blocks: what takes time runs elsewhere and comes back as a message.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use crossterm::event::{Event, KeyEventKind, MouseButton, MouseEventKind};
use ratatui::layout::Size;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_stream::{Stream, StreamExt};

use super::{
    app::{App, update},
    backend::Backend,
    jobs::Jobs,
    keymap::Key,
    message::{Effect, Msg},
    screen,
    submitting::command_line,
    terminal::Host,
};
use crate::{
    base::{Clock, Error, Result},
    engine::Notice,
};

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(33);

/// The same when somebody has pressed something: they wait for it.
const FRAME_AFTER_INPUT: Duration = Duration::from_millis(8);

/// How often ages, size and unannounced changes are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// When nobody has pressed anything for this long, ages alone are drawn again with every second look only.
const LEFT_ALONE: Duration = Duration::from_secs(15);

/// Messages that wait at most; senders wait for room.
pub(super) const INBOX: usize = 256;

/// What the loop is connected to.
pub(super) struct Wires {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) changes: Option<watch::Receiver<u64>>,
    pub(super) notices: Option<mpsc::Receiver<Notice>>,
    pub(super) inbox: mpsc::Receiver<Msg>,
    pub(super) sender: mpsc::Sender<Msg>,
    /// Exit codes, one for each signal that asks us to leave.
    pub(super) signals: mpsc::Receiver<u8>,
}

/// How the loop goes on.
enum Next {
    Stay,
    Leave(u8),
}

/// Runs until somebody leaves; the exit code.
///
/// # Errors
/// When the terminal is gone.
pub(super) async fn drive<H: Host>(host: &mut H, app: &mut App, wires: Wires) -> Result<u8> {
    let jobs = Jobs::new(Arc::clone(&wires.backend), wires.sender.clone());
    let input = Some(host.events());
    let mut driver = Driver {
        host,
        app,
        input,
        jobs,
        waiting: VecDeque::new(),
        dirty: true,
        title: String::new(),
        signals: wires.signals,
    };
    let (mut inbox, mut changes, mut notices, clock) = (wires.inbox, wires.changes, wires.notices, wires.clock);
    let mut tick = interval(HOUSEKEEPING);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut last_frame, mut next_frame, mut last_input) = (Instant::now(), Instant::now(), Instant::now());

    driver.app.now = clock.now();
    let first = driver.app.begin();
    if let Next::Leave(code) = driver.perform(first).await? {
        return Ok(code);
    }
    loop {
        let message = tokio::select! {
            event = next_event(&mut driver.input) => match event {
                Some(Ok(event)) => {
                    last_input = Instant::now();
                    next_frame = next_frame.min(last_frame + FRAME_AFTER_INPUT);
                    driver.translate(event)
                }
                Some(Err(error)) => return Err(Error::io("cannot read the terminal").caused_by(error)),
                None => return Err(Error::io("the terminal is gone")),
            },
            Some(message) = inbox.recv() => Some(message),
            () = changed(&mut changes) => Some(Msg::Changed),
            notice = noticed(&mut notices) => Some(Msg::Notice(notice)),
            Some(code) = driver.signals.recv() => return Ok(code),
            () = sleep_until(next_frame), if driver.dirty => {
                driver.app.now = clock.now();
                driver.draw()?;
                last_frame = Instant::now();
                next_frame = last_frame + FRAME;
                None
            }
            _ = tick.tick() => {
                driver.check_size()?;
                Some(Msg::Tick(clock.now()))
            }
        };
        driver.waiting.extend(message);
        // Everything that waits is taken before the next frame is drawn.
        while let Some(message) = driver.waiting.pop_front().or_else(|| inbox.try_recv().ok()) {
            driver.app.now = clock.now();
            let is_for_ages = matches!(message, Msg::Tick(_)) && last_input.elapsed() >= LEFT_ALONE;
            let effects = update(driver.app, message);
            driver.dirty |= !is_for_ages || last_frame.elapsed() >= HOUSEKEEPING * 3 / 2;
            if let Next::Leave(code) = driver.perform(effects).await? {
                return Ok(code);
            }
        }
    }
}

async fn next_event<S: Stream<Item = io::Result<Event>> + Unpin>(input: &mut Option<S>) -> Option<io::Result<Event>> {
    match input {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}

/// Waits for a change; for ever once nobody announces any.
async fn changed(changes: &mut Option<watch::Receiver<u64>>) {
    if let Some(receiver) = changes {
        if receiver.changed().await.is_ok() {
            return;
        }
        *changes = None;
    }
    std::future::pending().await
}

/// Waits for a notice; for ever once nobody sends any.
async fn noticed(notices: &mut Option<mpsc::Receiver<Notice>>) -> Notice {
    if let Some(receiver) = notices {
        if let Some(notice) = receiver.recv().await {
            return notice;
        }
        *notices = None;
    }
    std::future::pending().await
}

struct Driver<'a, H: Host> {
    host: &'a mut H,
    app: &'a mut App,
    /// Dropped before the terminal is lent, so that nobody else reads the keys.
    input: Option<H::Input>,
    jobs: Jobs,
    /// Messages of our own making.
    waiting: VecDeque<Msg>,
    dirty: bool,
    /// What the terminal's title says; empty when it is not ours.
    title: String,
    signals: mpsc::Receiver<u8>,
}

impl<H: Host> Driver<'_, H> {
    fn draw(&mut self) -> Result<()> {
        self.dirty = false;
        let title = self.app.title();
        if title != self.title {
            self.host.set_title(&title)?;
            self.title = title;
        }
        let app = &*self.app;
        self.host.draw(&mut |frame| screen::draw(app, frame))
    }

    /// Inside tmux a resize can go unannounced.
    fn check_size(&mut self) -> Result<()> {
        let size = self.host.size()?;
        if size != self.app.size {
            self.waiting.push_back(Msg::Resized(size));
            self.host.repaint()?;
        }
        Ok(())
    }

    fn translate(&mut self, event: Event) -> Option<Msg> {
        match event {
            Event::Key(key) if key.kind == KeyEventKind::Press => Key::pressed(key).map(Msg::Key),
            Event::Paste(text) => Some(Msg::Paste(text)),
            Event::Mouse(mouse) => match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => Some(Msg::Click(mouse.column, mouse.row)),
                MouseEventKind::ScrollDown => Some(Msg::Wheel(mouse.column, mouse.row, true)),
                MouseEventKind::ScrollUp => Some(Msg::Wheel(mouse.column, mouse.row, false)),
                _ => None,
            },
            Event::Resize(width, height) => Some(Msg::Resized(Size::new(width, height))),
            Event::Key(_) | Event::FocusGained | Event::FocusLost => None,
        }
    }

    async fn perform(&mut self, effects: Vec<Effect>) -> Result<Next> {
        for effect in effects {
            match effect {
                Effect::Load(load) => self.jobs.load(load),
                Effect::Submit(command) => {
                    let line = command_line(self.app, &command.argv());
                    self.jobs.submit(command, line);
                }
                Effect::Note { command, by_key } => {
                    let line = command_line(self.app, &command.argv());
                    self.jobs.note(command, line, by_key);
                }
                Effect::Copy(text) => self.host.copy(&text)?,
                Effect::Mouse(on) => self.host.set_mouse(on)?,
                Effect::Ring(how, call) => self.host.ring(how, &call)?,
                Effect::Repaint => self.host.repaint()?,
                Effect::Suspend => {
                    self.input = None;
                    self.host.suspend(self.app.mouse)?;
                    self.title.clear();
                    self.input = Some(self.host.events());
                    self.check_size()?;
                }
                Effect::RunInTerminal(argv) => {
                    self.input = None;
                    self.host.leave()?;
                    let ended = self.run(&argv).await;
                    if let Ended::Signal(code) = ended {
                        return Ok(Next::Leave(code));
                    }
                    self.host.enter(self.app.mouse)?;
                    self.title.clear();
                    self.input = Some(self.host.events());
                    self.check_size()?;
                    if let Ended::Program(result) = ended {
                        self.waiting.push_back(Msg::Returned(result));
                    }
                }
                Effect::Quit => return Ok(Next::Leave(0)),
            }
        }
        Ok(Next::Stay)
    }

    /// Runs a program that has the terminal, until it ends or a signal asks us to leave.
    async fn run(&mut self, argv: &[String]) -> Ended {
        let Some((program, arguments)) = argv.split_first() else {
            return Ended::Program(Err(Error::refused("there is nothing to attach to")));
        };
        // Its screen is gone when it ends, so what it complains about is kept.
        let child = match Command::new(program).args(arguments).stderr(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => return Ended::Program(Err(Error::io(format!("cannot run {program}")).caused_by(error))),
        };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let mut waiting: Pin<Box<_>> = Box::pin(spawn_blocking(move || child.wait_with_output()));
        tokio::select! {
            output = &mut waiting => Ended::Program(match output {
                Ok(Ok(output)) if output.status.success() => Ok(()),
                Ok(Ok(output)) => {
                    let complaint = crate::base::text::clean(&String::from_utf8_lossy(&output.stderr));
                    let complaint = crate::base::text::one_line(&complaint);
                    let reason = if complaint.is_empty() { output.status.to_string() } else { complaint };
                    Err(Error::io(format!("{program} did not attach: {reason}")))
                }
                Ok(Err(error)) => Err(Error::io(format!("cannot wait for {program}")).caused_by(error)),
                Err(error) => Err(Error::io(format!("cannot wait for {program}")).caused_by(error)),
            }),
            Some(code) = self.signals.recv() => {
                if let Some(pid) = pid {
                    // It may have ended this moment; then there is nothing to end.
                    let _ = kill_process(pid, Signal::TERM);
                    let _ = waiting.await;
                }
                Ended::Signal(code)
            }
        }
    }
}

enum Ended {
    Program(Result<()>),
    Signal(u8),
}
