//! The cockpit: one operator's full-screen view of all sessions, live.
//!
//! State and decisions are pure (`app`), drawing reads them (`screen`), the loop carries out effects. All it
//! knows of the world comes through [`Backend`]; all it does there is an action of the catalogue.

mod acts;
mod answers;
mod app;
mod backend;
mod background;
pub mod calls;
pub mod columns;
mod criteria;
mod diff;
mod editing;
mod ending;
mod event_loop;
mod explaining;
mod field;
mod finish;
mod flow;
mod form;
mod input;
mod jobs;
pub mod keymap;
mod layer;
mod listing;
mod loads;
mod look;
mod machine;
mod markdown;
mod marks;
mod message;
mod messages;
mod mouse;
mod moving;
mod needing;
mod operator;
mod over;
mod pair;
mod palette;
mod policy;
mod receipts;
mod record;
mod screen;
mod sheet;
mod submitting;
mod talk;
mod terminal;
pub mod theme;
mod views;
mod works;
mod wrap;

#[cfg(test)]
mod tests;

use std::{env, sync::Arc, time::Duration};

pub use backend::{Backend, EventQuery, Explanation, PaneText};
use tokio::{
    runtime::{self, Handle},
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::sleep,
};

use self::{
    app::{App, Settings},
    event_loop::{INBOX, Wires},
    terminal::{Host, PanicGuard, Tty},
    theme::{Glyphs, Theme, ThemeName},
};
pub use self::{calls::Ringing, keymap::Keymap, terminal::Desktop};
use crate::{
    base::{Clock, Error, Kind, Result},
    engine::Engine,
};

/// How long a job that still runs may keep the shell waiting.
const STOP: Duration = Duration::from_secs(5);

/// Signals within this time after the first one say the same.
const SETTLE: Duration = Duration::from_secs(1);

/// Starts the background tasks on the cockpit's runtime.
pub type Start = Box<dyn FnOnce(&Handle) -> Engine + Send>;

/// How the cockpit is to look and what runs beside it.
pub struct Options {
    /// The theme; none means that the environment decides (`NO_COLOR`, `COLORFGBG`).
    pub theme: Option<ThemeName>,
    /// Draw with ASCII only.
    pub ascii: bool,
    /// Take the mouse from the start; `M` switches.
    pub mouse: bool,
    /// The keys.
    pub keymap: Keymap,
    /// What stands at the right end of a row of the fleet.
    pub columns: Vec<columns::Column>,
    /// How the operator is called when a session newly needs somebody; `A` switches.
    pub ringing: Ringing,
    /// For how many seconds something has to last before it calls.
    pub dwell: i64,
    /// How a notification of the desktop is asked for; none when none gets through.
    pub desktop: Option<Desktop>,
    /// The task that is shown first.
    pub task: Option<String>,
    /// What comes before the command word in a copied command line: the program and its global flags.
    pub prefix: Vec<String>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Starts the background tasks, which end with the cockpit; without them the board is loaded every second.
    pub start: Option<Start>,
}

/// Runs the cockpit on this process's terminal until the operator leaves; the exit code.
///
/// # Errors
/// When the terminal cannot be used or is lost, or the background tasks cannot be started.
pub fn run(backend: impl Backend, options: Options) -> Result<u8> {
    let built = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = built.map_err(|error| Error::io("cannot start the background threads").caused_by(error))?;
    let result = runtime.block_on(open(Arc::new(backend), options));
    // A job may hang on a dead network mount.
    runtime.shutdown_timeout(STOP);
    result
}

async fn open(backend: Arc<dyn Backend>, options: Options) -> Result<u8> {
    let Options { theme, ascii, mouse, keymap, columns, ringing, dwell, desktop, task, prefix, clock, start } = options;
    let theme = theme.unwrap_or_else(|| {
        background::theme(env::var("NO_COLOR").ok().as_deref(), env::var("COLORFGBG").ok().as_deref())
    });
    let (sender, inbox) = mpsc::channel(INBOX);
    let mut engine = start.map(|start| start(&Handle::current()));
    let changes = engine.as_ref().map(Engine::changed);
    let notices = engine.as_mut().and_then(Engine::notices);
    let settings = Settings {
        theme: Theme::new(theme),
        glyphs: Glyphs::new(ascii),
        prefix,
        announced: changes.is_some(),
        keymap: Arc::new(keymap),
        columns,
        dwell,
    };
    let result = {
        let signals = listen()?;
        let _hook = PanicGuard::install(sender.clone());
        let mut tty = Tty::take(mouse, desktop)?;
        let size = tty.size()?;
        let wires = Wires { backend, clock: Arc::clone(&clock), changes, notices, inbox, sender, signals };
        let mut app = App::new(settings, clock.now(), size, mouse);
        app.ringing = ringing;
        app.open_on(task);
        event_loop::drive(&mut tty, &mut app, wires).await
        // The terminal is given back here, before anything is waited for.
    };
    if let Some(engine) = engine {
        let late = engine.stop().await;
        if !late.is_empty() {
            tracing::warn!("background tasks did not stop in time: {}", late.join(", "));
        }
    }
    result
}

/// The first signal asks the loop to leave; a later one leaves at once.
fn listen() -> Result<mpsc::Receiver<u8>> {
    let on = |kind| signal(kind).map_err(|error| Error::io("cannot listen for signals").caused_by(error));
    let (mut terminate, mut hang_up, mut interrupt) =
        (on(SignalKind::terminate())?, on(SignalKind::hangup())?, on(SignalKind::interrupt())?);
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let code = Kind::Interrupted.exit_code();
        any(&mut terminate, &mut hang_up, &mut interrupt).await;
        let _ = sender.send(code).await;
        // A terminal that closes hangs up more than once; that is still one request.
        let settled = sleep(SETTLE);
        tokio::pin!(settled);
        loop {
            tokio::select! {
                () = &mut settled => break,
                () = any(&mut terminate, &mut hang_up, &mut interrupt) => {}
            }
        }
        any(&mut terminate, &mut hang_up, &mut interrupt).await;
        terminal::restore();
        std::process::exit(i32::from(code));
    });
    Ok(receiver)
}

async fn any(first: &mut Signal, second: &mut Signal, third: &mut Signal) {
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
        _ = third.recv() => {}
    }
}
