//! What has to be known before a form is submitted: what stands in its way, or what becomes of it, as far as the cockpit
//! knows. The command looks for itself; what is said here is drawn from the judgement that every screen shows.

use super::{
    Form, Subject,
    control::Control,
    subjects::{active, may_have_ended},
};
use crate::{
    model::{
        board::{SessionRow, TaskRow},
        session::Registration,
        state::Condition,
    },
    tui::{
        answers,
        app::App,
        keymap::{Intent, Place},
    },
};

impl Form {
    /// The same in words; none when nothing is to be said.
    #[must_use]
    pub fn warning(&self, app: &App) -> Option<String> {
        let first = || Some(self.entries.first()?.control.value());
        match self.subject {
            Subject::Interrupt => answers::asks_first(app, first()?).or_else(|| no_turn(app, first()?)),
            Subject::Resume => still_there(app, self, first()?),
            Subject::Compact | Subject::Clear => waits(app, self, first()?),
            Subject::CreateTask | Subject::Pair => taken(app, first()?),
            _ => None,
        }
    }
}

fn session<'a>(app: &'a App, name: &str) -> Option<&'a SessionRow> {
    // A name may have been given again.
    let named = || app.board().into_iter().flat_map(|board| &board.sessions).filter(|row| row.name == name);
    named().find(|row| row.registration == Registration::Active).or_else(|| named().next())
}

/// That no turn runs which could be interrupted, or that nobody knows.
fn no_turn(app: &App, name: &str) -> Option<String> {
    let row = session(app, name).filter(|row| row.registration == Registration::Active)?;
    let word = row.judgement.word();
    match row.judgement.condition {
        Condition::Busy | Condition::Blocked => None,
        _ if row.judgement.runs() == Some(false) => {
            Some(format!("{name} has ended ({}): there is nothing to interrupt.", row.judgement.reason))
        }
        Condition::Unknown => Some(format!(
            "Whether a turn runs in {name} is not known ({}): that is looked at first, and nothing is pressed unless one \
             does.",
            row.judgement.reason
        )),
        Condition::Idle | Condition::Done | Condition::Aborted => Some(format!(
            "As far as is known no turn runs in {name} ({word}): nothing will be interrupted. A message written here goes \
             to it all the same."
        )),
    }
}

/// That what is to be resumed still runs: only what has ended is.
fn still_there(app: &App, form: &Form, name: &str) -> Option<String> {
    let shows = |row: &SessionRow| match (&row.tmux_pane_id, app.key_that(Intent::Attach, "shows its pane")) {
        (Some(_), Some(key)) => format!(" {} leaves this; then {key}.", app.key_in(Place::Form, Intent::Back)),
        _ => String::new(),
    };
    let is_there = |row: &&SessionRow| row.registration == Registration::Active && row.judgement.is_still_there();
    let refused = |row: &SessionRow| {
        let (name, reason) = (&row.name, &row.judgement.reason);
        format!("{name} is still there ({reason}): only what has ended is resumed, and this is refused.{}", shows(row))
    };
    if !name.is_empty() {
        return session(app, name).filter(is_there).map(refused);
    }
    // It was meant, and is not among those to choose from.
    let Some(Control::Pick(picker)) = form.entries.first().map(|entry| &entry.control) else { return None };
    let meant = session(app, form.about.as_deref()?)?;
    let is_offered = picker.candidates.iter().any(|one| one.name == meant.name);
    (!is_offered && !may_have_ended(meant)).then(|| {
        let word = meant.judgement.word();
        format!("{} has not ended ({word}), and is not resumed.{}", meant.name, shows(meant))
    })
}

/// What a request about a worker's context waits for.
fn waits(app: &App, form: &Form, task: &str) -> Option<String> {
    let is_message = form.entries.iter().any(|entry| match &entry.control {
        Control::Switch(on) => *on,
        Control::Choice(choice) => choice.value() == "--prompt-only",
        _ => false,
    });
    let is_meant = |row: &&TaskRow| row.task.name == task && row.task.state.is_open();
    let (worker, _) = active(app.board()?.tasks.iter().find(is_meant)?)?;
    let row = session(app, worker)?;
    if row.judgement.runs() == Some(false) {
        return Some(format!("{worker} has ended ({}): nothing reaches it until it is resumed.", row.judgement.reason));
    }
    match row.judgement.condition {
        _ if is_message => None,
        Condition::Busy => Some(format!("{worker} is working: this waits until its turn has ended.")),
        Condition::Blocked => {
            Some(format!("{worker} asks something: this waits until that is answered, and until its turn has ended."))
        }
        Condition::Idle | Condition::Done | Condition::Aborted | Condition::Unknown => None,
    }
}

/// That a task of this name has ended, and what a new one of the name does to it; none while one is open, too.
fn taken(app: &App, name: &str) -> Option<String> {
    let named = || app.board().into_iter().flat_map(|board| &board.tasks).filter(|row| row.task.name == name);
    if named().any(|row| row.task.state.is_open()) {
        return None;
    }
    let task = &named().max_by_key(|row| row.task.created_at)?.task;
    Some(format!(
        "there is a task {name} that is {} already. It stays on record as {}; the name means the new one from then on.",
        task.word(),
        task.id
    ))
}
