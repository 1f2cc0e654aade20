//! The terminal: taken, given back, lent to another program. Every mode that is switched on here is switched off
//! here, on every way out.
//!
//! Nothing is ever asked of the terminal while events are read: an answer would be taken for input. That rules out
//! `Terminal::clear`, which asks for the cursor's place; a resize to the full size clears as well.

use std::{
    any::Any,
    io::{self, Stdout, Write},
    mem::ManuallyDrop,
    panic::{self, PanicHookInfo},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crossterm::{
    clipboard::CopyToClipboard,
    cursor, event, execute, queue,
    style::Print,
    terminal::{self as modes, BeginSynchronizedUpdate, EndSynchronizedUpdate},
};
use ratatui::{
    Frame, Terminal,
    backend::CrosstermBackend,
    layout::{Rect, Size},
};
use rustix::process::{Signal, kill_current_process_group};
use tokio::sync::mpsc;
use tokio_stream::Stream;

use super::calls::{self, Call, Protocol, Ringing};
use super::message::Msg;
use crate::base::{Error, Result};

/// What the loop needs of a terminal. The other implementation is the tests'.
pub trait Host {
    /// Keys, mouse, pastes, sizes.
    type Input: Stream<Item = io::Result<event::Event>> + Unpin;

    /// Starts reading events; reading ends when the stream is dropped.
    fn events(&mut self) -> Self::Input;

    /// Draws one frame.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    fn draw(&mut self, render: &mut dyn FnMut(&mut Frame<'_>)) -> Result<()>;

    /// The size now.
    ///
    /// # Errors
    /// When the terminal is gone.
    fn size(&mut self) -> Result<Size>;

    /// Forgets what is on the screen, so that the next frame draws all of it.
    ///
    /// # Errors
    /// As [`Host::draw`].
    fn repaint(&mut self) -> Result<()>;

    /// Gives the terminal back, for another program or the shell.
    ///
    /// # Errors
    /// As [`Host::draw`].
    fn leave(&mut self) -> Result<()>;

    /// Takes the terminal again.
    ///
    /// # Errors
    /// As [`Host::draw`].
    fn enter(&mut self, mouse: bool) -> Result<()>;

    /// Takes the mouse, or gives it back to the terminal's own selection.
    ///
    /// # Errors
    /// As [`Host::draw`].
    fn set_mouse(&mut self, on: bool) -> Result<()>;

    /// Puts text on the clipboard, when the terminal lets us.
    ///
    /// # Errors
    /// As [`Host::draw`].
    fn copy(&mut self, text: &str) -> Result<()>;

    /// Names the terminal's window.
    ///
    /// # Errors
    /// As [`Host::draw`].
    fn set_title(&mut self, title: &str) -> Result<()>;

    /// Calls the operator.
    ///
    /// # Errors
    /// As [`Host::draw`].
    fn ring(&mut self, how: Ringing, call: &Call) -> Result<()>;

    /// Stops the process until somebody continues it; the terminal is given back meanwhile.
    ///
    /// # Errors
    /// As [`Host::draw`].
    fn suspend(&mut self, mouse: bool) -> Result<()>;
}

/// Keeps the title that the terminal has, and gives it back; terminals that cannot do so take no notice.
const PUSH_TITLE: &str = "\u{1b}[22;2t";
const POP_TITLE: &str = "\u{1b}[23;2t";

/// How a notification of the desktop is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Desktop {
    /// What the terminal takes.
    pub protocol: Protocol,
    /// tmux stands between, and passes on what is wrapped for it.
    pub inside_tmux: bool,
}

/// True while our modes are on.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Switches off every mode of ours; harmless when none is on. Errors are of no use here: whoever calls is leaving.
pub fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = execute!(
            out,
            EndSynchronizedUpdate,
            Print(POP_TITLE),
            event::DisableMouseCapture,
            event::DisableBracketedPaste,
            modes::LeaveAlternateScreen,
            cursor::Show
        );
        let _ = modes::disable_raw_mode();
    }
}

fn failed(error: io::Error) -> Error {
    Error::io("cannot use the terminal").caused_by(error)
}

/// The real terminal; given back when dropped.
pub struct Tty {
    /// Never dropped itself: it would complain on stderr when the cursor cannot be shown, and complaining to a terminal
    /// that has been closed panics. What it would do, [`restore`] does.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    /// None when no notification gets through.
    desktop: Option<Desktop>,
}

impl Tty {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When there is none, or it cannot be switched.
    pub fn take(mouse: bool, desktop: Option<Desktop>) -> Result<Self> {
        switch_on(mouse).inspect_err(|_| restore()).map_err(failed)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).inspect_err(|_| restore()).map_err(failed)?;
        Ok(Self { terminal: ManuallyDrop::new(terminal), desktop })
    }
}

fn switch_on(mouse: bool) -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    modes::enable_raw_mode()?;
    let mut out = io::stdout();
    queue!(out, Print(PUSH_TITLE), modes::EnterAlternateScreen, event::EnableBracketedPaste, cursor::Hide)?;
    if mouse {
        queue!(out, event::EnableMouseCapture)?;
    }
    out.flush()
}

impl Drop for Tty {
    fn drop(&mut self) {
        restore();
    }
}

impl Host for Tty {
    type Input = event::EventStream;

    fn events(&mut self) -> Self::Input {
        event::EventStream::new()
    }

    fn draw(&mut self, render: &mut dyn FnMut(&mut Frame<'_>)) -> Result<()> {
        queue!(io::stdout(), BeginSynchronizedUpdate).map_err(failed)?;
        let drawn = self.terminal.draw(|frame| render(frame)).map(|_| ());
        let ended = execute!(io::stdout(), EndSynchronizedUpdate);
        drawn.and(ended).map_err(failed)
    }

    fn size(&mut self) -> Result<Size> {
        self.terminal.size().map_err(failed)
    }

    fn repaint(&mut self) -> Result<()> {
        let size = self.terminal.size().map_err(failed)?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height)).map_err(failed)
    }

    fn leave(&mut self) -> Result<()> {
        restore();
        Ok(())
    }

    fn enter(&mut self, mouse: bool) -> Result<()> {
        switch_on(mouse).map_err(failed)?;
        self.repaint()
    }

    fn set_mouse(&mut self, on: bool) -> Result<()> {
        let switched = if on {
            execute!(io::stdout(), event::EnableMouseCapture)
        } else {
            execute!(io::stdout(), event::DisableMouseCapture)
        };
        switched.map_err(failed)
    }

    fn copy(&mut self, text: &str) -> Result<()> {
        execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text)).map_err(failed)
    }

    fn set_title(&mut self, title: &str) -> Result<()> {
        execute!(io::stdout(), modes::SetTitle(title)).map_err(failed)
    }

    fn ring(&mut self, how: Ringing, call: &Call) -> Result<()> {
        let bytes = match (how, self.desktop) {
            (Ringing::Off, _) => return Ok(()),
            (Ringing::Desktop, Some(desktop)) => calls::sequence(call, desktop.protocol, desktop.inside_tmux),
            (Ringing::Bell, _) | (Ringing::Desktop, None) => "\u{7}".to_owned(),
        };
        execute!(io::stdout(), Print(bytes)).map_err(failed)
    }

    fn suspend(&mut self, mouse: bool) -> Result<()> {
        restore();
        // The whole group, as the terminal itself would do it: a wrapper around us has to stop as well.
        let stopped = kill_current_process_group(Signal::TSTP);
        self.enter(mouse)?;
        stopped.map_err(|error| failed(error.into()))
    }
}

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// Our panic hook; dropping it puts the former one back.
pub struct PanicGuard {
    former: Arc<Hook>,
}

impl PanicGuard {
    /// From now on a panic of this thread gives the terminal back before it is reported, and a panic of any other
    /// thread is sent to `inbox` and leaves the screen alone.
    #[must_use]
    pub fn install(inbox: mpsc::Sender<Msg>) -> Self {
        let former: Arc<Hook> = Arc::from(panic::take_hook());
        let (ours, drawing) = (Arc::clone(&former), thread::current().id());
        panic::set_hook(Box::new(move |info| {
            if thread::current().id() == drawing {
                restore();
                ours(info);
            } else {
                let name = thread::current().name().unwrap_or("a background task").to_owned();
                tracing::error!("{name}: {info}");
                // A full inbox loses the notice, not the record: the log has it.
                let _ = inbox.try_send(Msg::TaskPanicked(name, said(info)));
            }
        }));
        Self { former }
    }
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        // A panicking thread may not change the hook, and its process is about to end.
        if !thread::panicking() {
            let former = Arc::clone(&self.former);
            panic::set_hook(Box::new(move |info| former(info)));
        }
    }
}

/// What a panic says, and where.
fn said(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
    format!("{}{place}", payload_text(info.payload()))
}

/// What a panic says.
pub(super) fn payload_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message")
}
