//! Runs a session on a terminal: reads keys, puts up frames, sets the title, and leaves everything as it was.
//!
//! The only file of the simulator that touches the terminal. Rows are repainted when they change, in place: an inline
//! session therefore leaves no scrollback of its own, unlike the real one.

use std::{
    io::{self, Write},
    time::Duration,
};

use crossterm::{
    cursor, event,
    event::{DisableBracketedPaste, EnableBracketedPaste, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    queue,
    style::{Attribute, Print, SetAttribute},
    terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, SetTitle},
};

use super::{
    composer::{Composer, Dialog, Effect, Input},
    dialect::Dialect,
    headless::Ending,
    screen::{self, Activity, Frame, Row, View},
    session::Session,
    turn::Happening,
};
use crate::base::{Clock, Error, Result, text};

const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME: Duration = Duration::from_millis(40);

/// How the terminal is used.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Draw in place instead of on the alternate screen.
    pub inline: bool,
    /// Items of `tui.status_line`.
    pub status_items: Option<Vec<String>>,
    /// Items of `tui.terminal_title`.
    pub title_items: Option<Vec<String>>,
    /// Sent as the first message, once the start dialogs are answered.
    pub prompt: Option<String>,
}

/// Plays `session` on the terminal until it is left.
///
/// # Errors
/// When the terminal or the rollout cannot be used.
pub fn run(session: &mut Session, composer: Composer, look: Look, clock: &dyn Clock) -> Result<Ending> {
    let mut terminal = Terminal::open(look.inline).map_err(broken)?;
    let mut front = Front { session, composer, look, title: String::new(), clock };
    let ending = front.play(&mut terminal);
    if matches!(ending, Ok(Ending::Died)) {
        // SIGKILL leaves screen, title and modes as they are.
        terminal.restored = true;
        return ending;
    }
    let titled = front.session.dialect().titles();
    terminal.close(titled).map_err(broken)?;
    if ending.is_ok() {
        goodbye(front.session).map_err(broken)?;
    }
    ending
}

fn broken(error: io::Error) -> Error {
    Error::io("cannot use the terminal").caused_by(error)
}

struct Front<'a> {
    session: &'a mut Session,
    composer: Composer,
    look: Look,
    title: String,
    clock: &'a dyn Clock,
}

impl Front<'_> {
    fn play(&mut self, terminal: &mut Terminal) -> Result<Ending> {
        loop {
            if self.composer.dialog().is_none()
                && let Some(prompt) = self.look.prompt.take()
            {
                self.session.submit(&prompt)?;
            }
            self.session.advance()?;
            for happening in self.session.happenings() {
                match happening {
                    Happening::Exit => return Ok(Ending::Left),
                    Happening::Die => {
                        self.draw(terminal)?;
                        return Ok(Ending::Died);
                    }
                    Happening::Restore(text) => self.composer.restore(&text),
                }
            }
            self.composer.follow(self.session.asking());
            self.draw(terminal)?;
            if !event::poll(FRAME).map_err(broken)? {
                continue;
            }
            // A burst is handled in one go; but a key that ends a dialog must be seen by the next key.
            while event::poll(Duration::ZERO).map_err(broken)? {
                let Some(input) = input(event::read().map_err(broken)?) else { continue };
                let now = self.clock.now().as_millis();
                let busy = self.session.busy_since().is_some();
                for effect in self.composer.handle(input, now, busy) {
                    if effect == Effect::Exit {
                        return Ok(Ending::Left);
                    }
                    self.apply(effect)?;
                }
                self.composer.follow(self.session.asking());
            }
        }
    }

    fn apply(&mut self, effect: Effect) -> Result<()> {
        match effect {
            Effect::Submit(message) => self.session.submit(&message)?,
            Effect::Queue(message) => self.session.queue_message(&message)?,
            Effect::UserShell(command) => self.session.user_shell(&command)?,
            Effect::Interrupt => self.session.interrupt()?,
            Effect::Decide(decision) => self.session.decide(decision)?,
            Effect::Answer(option) => self.session.answer(option)?,
            Effect::Unknown(word) => self
                .session
                .remark(format!("Unrecognized command '{word}'. Type \"/\" for a list of supported commands.")),
            Effect::Command("compact") => self.session.compact()?,
            Effect::Command("status") => self.session.status_card(),
            Effect::Command("clear") => self.session.another_thread(/*clear_screen*/ true)?,
            Effect::Command("new") => self.session.another_thread(/*clear_screen*/ false)?,
            Effect::Command(_) | Effect::Exit => {}
        }
        Ok(())
    }

    fn draw(&mut self, terminal: &mut Terminal) -> Result<()> {
        let now = self.clock.now().as_millis();
        let session = &*self.session;
        let busy = session.busy_since();
        let activity = busy.filter(|_| session.asking().is_none()).map(|since| Activity {
            seconds: u64::try_from((now - since) / 1000).unwrap_or(0),
            command: session.running_command(),
            streaming: session.streaming(),
            blink: now / 600 % 2 == 1,
        });
        let identity = session.identity();
        let view = View {
            dialect: session.dialect(),
            composer: &self.composer,
            transcript: session.transcript(),
            activity,
            steers: session.pending_steers(),
            queued: session.queued(),
            cwd: &identity.cwd,
            model: &identity.model,
            name: session.name().filter(|_| session.dialect().titles_name()),
            thread: session.thread(),
            tokens: session.tokens().all(),
            status_items: self.look.status_items.as_deref().filter(|_| session.dialect().configurable_lines()),
            inline: self.look.inline,
        };
        let (width, height) = terminal::size().map_err(broken)?;
        terminal.show(screen::frame(&view, width, height), width, height).map_err(broken)?;
        // The title is first set behind the start dialogs.
        if session.dialect().titles() && self.composer.dialog() != Some(&Dialog::Trust) {
            let title = title(session, self.look.title_items.as_deref(), now);
            if title != self.title {
                terminal.title(&title).map_err(broken)?;
                self.title = title;
            }
        }
        Ok(())
    }
}

/// The pane title at a moment.
fn title(session: &Session, items: Option<&[String]>, now: i64) -> String {
    let dialect = session.dialect();
    let busy = session.busy_since().is_some();
    let asking = session.asking().is_some() && dialect.titles_action();
    let spinner = SPINNER[usize::try_from(now / 100 % 10).unwrap_or(0)];
    let project = session.identity().cwd.file_name().map_or("/".into(), |name| name.to_string_lossy().into_owned());
    let name = session.name().filter(|_| dialect.titles_name());
    let standard = ["activity".to_owned(), "thread-title".to_owned(), "project".to_owned()];
    let mut parts = Vec::new();
    let mut mark = String::new();
    for item in items.unwrap_or(&standard) {
        match item.as_str() {
            "activity" if asking => {
                parts.push(format!("[ {} ] Action Required", if now / 500 % 2 == 0 { '!' } else { '.' }));
            }
            "activity" | "spinner" if busy => mark = format!("{spinner} "),
            "run-state" if !asking => parts.push(screen::run_state(busy).to_owned()),
            "thread-id" | "session-id" => parts.push(shortened(&session.thread().to_string())),
            "thread-title" => parts.extend(name.map(str::to_owned)),
            "project" => parts.push(project.clone()),
            _ => {}
        }
    }
    format!("{mark}{}", parts.join(" | "))
}

/// Titles cut long items to 29 characters and dots.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(29) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

fn goodbye(session: &Session) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let tokens = session.tokens();
    let dialect: Dialect = session.dialect();
    if tokens.all() > 0 {
        let [all, input, output] = [tokens.all(), tokens.input, tokens.output];
        if dialect.goodbye_names_thread() {
            writeln!(out, "Token usage: total={} input={} output={}", grouped(all), grouped(input), grouped(output))?;
        } else {
            writeln!(out, "Token usage: total={all} input={input} output={output} (reasoning 0)")?;
        }
    }
    let thread = session.thread();
    if dialect.long_goodbye() {
        writeln!(out, "To continue this session, run:\n  codex resume {thread}")?;
        if let Some(name) = session.name() {
            writeln!(out, "Or run codex resume and select {name}.")?;
        }
    } else if dialect.goodbye_names_thread() {
        writeln!(out, "To continue this session, run codex resume {thread}")?;
    }
    out.flush()
}

/// A number with commas between the thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn input(event: Event) -> Option<Input> {
    match event {
        Event::Paste(text) => Some(Input::Paste(text)),
        Event::Key(KeyEvent { code, modifiers, kind, .. }) if kind != KeyEventKind::Release => {
            let control = modifiers.contains(KeyModifiers::CONTROL);
            Some(match code {
                KeyCode::Char('c') if control => Input::CtrlC,
                KeyCode::Char('u') if control => Input::CtrlU,
                KeyCode::Char('j') if control => Input::LineFeed,
                KeyCode::Char(_) if control => return None,
                KeyCode::Char(c) => Input::Char(c),
                KeyCode::Enter if modifiers.contains(KeyModifiers::SHIFT) => Input::LineFeed,
                KeyCode::Enter => Input::Enter,
                KeyCode::Tab => Input::Tab,
                KeyCode::Esc => Input::Esc,
                KeyCode::Backspace => Input::Backspace,
                KeyCode::Up => Input::Up,
                KeyCode::Down => Input::Down,
                _ => return None,
            })
        }
        _ => None,
    }
}

/// The terminal in raw mode, with what it shows.
struct Terminal {
    inline: bool,
    shown: Frame,
    size: (u16, u16),
    restored: bool,
    last_row: u16,
}

impl Terminal {
    fn open(inline: bool) -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let terminal = Self { inline, shown: Frame::default(), size: (0, 0), restored: false, last_row: 0 };
        let mut out = io::stdout();
        if !inline {
            queue!(out, EnterAlternateScreen)?;
        }
        queue!(out, EnableBracketedPaste)?;
        out.flush()?;
        Ok(terminal)
    }

    fn title(&mut self, title: &str) -> io::Result<()> {
        let mut out = io::stdout();
        queue!(out, SetTitle(text::clean(title)))?;
        out.flush()
    }

    fn show(&mut self, frame: Frame, width: u16, height: u16) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let fresh = self.size != (width, height);
        if !fresh && self.shown == frame {
            return Ok(());
        }
        if fresh {
            queue!(out, Clear(ClearType::All))?;
            self.shown = Frame::default();
            self.size = (width, height);
        }
        queue!(out, terminal::BeginSynchronizedUpdate, cursor::Hide)?;
        let blank = Row::default();
        for index in 0..height {
            let row = frame.rows.get(usize::from(index)).cloned().unwrap_or_default();
            if !fresh && self.shown.rows.get(usize::from(index)).unwrap_or(&blank) == &row {
                continue;
            }
            let line = text::fit(&row.text, usize::from(width));
            queue!(out, cursor::MoveTo(0, index), SetAttribute(Attribute::Reset))?;
            let dim_from = row.dim_from.filter(|at| line.is_char_boundary(*at)).unwrap_or(line.len());
            let (plain, dim) = line.split_at(dim_from);
            queue!(out, Print(plain))?;
            if !dim.is_empty() {
                queue!(out, SetAttribute(Attribute::Dim), Print(dim), SetAttribute(Attribute::Reset))?;
            }
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        if let Some((column, row)) = frame.cursor {
            queue!(out, cursor::MoveTo(column, row), cursor::Show)?;
        }
        queue!(out, terminal::EndSynchronizedUpdate)?;
        out.flush()?;
        self.last_row = u16::try_from(frame.rows.len()).unwrap_or(height).min(height).saturating_sub(1);
        self.shown = frame;
        Ok(())
    }

    fn close(&mut self, titled: bool) -> io::Result<()> {
        if std::mem::replace(&mut self.restored, true) {
            return Ok(());
        }
        let mut out = io::stdout();
        if titled {
            queue!(out, SetTitle(""))?;
        }
        queue!(out, DisableBracketedPaste, SetAttribute(Attribute::Reset), cursor::Show)?;
        if self.inline {
            queue!(out, cursor::MoveTo(0, self.last_row), Print("\r\n"))?;
        } else {
            queue!(out, LeaveAlternateScreen)?;
        }
        out.flush()?;
        terminal::disable_raw_mode()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = self.close(/*titled*/ false);
    }
}
