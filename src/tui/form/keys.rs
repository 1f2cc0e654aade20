//! What the keys do in a form.

use super::{
    Fault, Flag, Form, MAX_TEXT, Subject,
    control::{Check, Control},
    fresh, present, recording, selected_task,
};
use crate::{
    actions::{Command, KnownBy, TaskPolicy, Unregistered},
    base::{Result, text::one_line},
    tui::{
        acts,
        app::App,
        editing::{self, Lines},
        ending, finish,
        keymap::{Intent, Key, Place},
        layer::Layer,
        message::{Effect, Failure, Load},
        sheet,
        submitting::{ask_command, begin, command_line},
        theme::Part,
    },
};

/// Opens a form, with what was typed into it before; or says why there is nothing to fill in.
pub fn open(app: &mut App, subject: Subject, effects: &mut Vec<Effect>) {
    match fresh(app, subject) {
        Ok(mut form) => {
            if let Some(draft) = app.drafts.of(subject, form.about.as_deref()) {
                form.refill(draft);
            }
            show(app, form, effects);
        }
        Err(why) => app.say(Part::Warning, why),
    }
}

fn show(app: &mut App, form: Form, effects: &mut Vec<Effect>) {
    if form.entries.iter().any(|entry| matches!(entry.flag, Flag::Each(_))) {
        effects.push(Effect::Load(Load::Unregistered));
    }
    let terms = form.subject == Subject::Terms;
    app.layers.push(Layer::Form(form));
    // What they are now stands beside each field: as it is shown already, or as soon as it is known.
    if terms && let Some((id, name)) = selected_task(app).map(|row| (row.task.id.clone(), row.task.name.clone())) {
        match sheet::known::<TaskPolicy>(app, &name).cloned() {
            Some(known) => present::arrived(app, &id, &known),
            None => effects.push(Effect::Load(Load::Policy(id))),
        }
    }
}

/// Carries out a key.
pub fn key(app: &mut App, key: Key, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let ways = [Intent::Left, Intent::Right].map(|way| app.key_in(Place::Form, way)).join(" and ");
    let Some(Layer::Form(form)) = app.layers.last_mut() else { return };
    let refused = form.refused.take();
    let came_back = std::mem::take(&mut form.came_back);
    if !matches!(intent, None | Some(Intent::Toggle)) {
        form.sought.clear();
    }
    match intent {
        Some(Intent::Back) => {
            if let Some(Layer::Form(form)) = app.layers.pop() {
                app.drafts.keep(form);
            }
        }
        Some(Intent::Submit) => submit(app, effects),
        Some(Intent::Accept) => {
            // The last field is completed there, where it is seen.
            let is_last = form.focus + 1 >= form.entries.len();
            if is_last && came_back {
                // An Enter that was meant for the receipt above it sends nothing.
                form.refused = refused;
            } else if is_last || !form.step(true) {
                submit(app, effects);
            }
        }
        Some(Intent::NextField) => drop(form.step(true)),
        Some(Intent::PreviousField) => drop(form.step(false)),
        Some(Intent::StartOver) => start_over(app, effects),
        intent => in_field(form, key, intent, &ways),
    }
}

/// A key that is about the field with the keyboard. `ways` are the keys that step through a choice.
fn in_field(form: &mut Form, key: Key, intent: Option<Intent>, ways: &str) {
    let forwards = matches!(intent, Some(Intent::Down | Intent::Right | Intent::Toggle));
    let steps = matches!(intent, Some(Intent::Up | Intent::Down));
    let sideways = matches!(intent, Some(Intent::Left | Intent::Right | Intent::Toggle));
    let sought = std::mem::take(&mut form.sought);
    let letter = key.character().filter(|_| intent.is_none());
    let at = form.focus;
    let Some(entry) = form.focused() else { return };
    let mut fits = true;
    match &mut entry.control {
        // A blank within a name that is being typed.
        Control::Choice(choice) if intent == Some(Intent::Toggle) && choice.goes_on(&sought, ' ') => {
            form.sought = format!("{sought} ");
        }
        Control::Choice(choice) if sideways => {
            choice.step(forwards);
            recording::side_chosen(form);
        }
        Control::Choice(choice) if letter.is_some() => match letter.and_then(|letter| choice.seek(&sought, letter)) {
            Some(letters) => {
                form.sought = letters;
                recording::side_chosen(form);
            }
            None => {
                let words = format!("no choice begins with what you typed; {ways} step through them");
                form.refused = Some(Fault { entry: Some(at), words });
            }
        },
        Control::Switch(on) if matches!(letter, Some('y' | 'Y' | 'n' | 'N')) => *on = matches!(letter, Some('y' | 'Y')),
        Control::Switch(_) if letter.is_some() => {
            let words = format!("y and n choose here, and {ways}");
            form.refused = Some(Fault { entry: Some(at), words });
        }
        Control::Switch(on) if sideways => *on = !*on,
        Control::Checks(checks) if intent == Some(Intent::Toggle) => checks.toggle(),
        Control::Checks(checks) if intent == Some(Intent::LineStart) => checks.toggle_all(),
        Control::Checks(checks) if steps => {
            let stepped = checks.step(forwards);
            if !stepped {
                form.step(forwards);
            }
        }
        Control::Pick(picker) if steps && !picker.offered().is_empty() => picker.step(forwards),
        Control::Pick(picker) if !steps => {
            picker.at = None;
            fits = editing::edit(&mut picker.field, Lines::One, key, intent, MAX_TEXT);
        }
        Control::Line(field) if !steps => fits = editing::edit(field, Lines::One, key, intent, MAX_TEXT),
        Control::Text(field) => {
            let before = field.clone();
            fits = editing::edit(field, Lines::Several, key, intent, MAX_TEXT);
            if steps && *field == before {
                form.step(forwards);
            }
        }
        _ if steps => drop(form.step(forwards)),
        _ => {}
    }
    if !fits {
        form.refused = Some(too_long(form.focus));
    }
}

fn too_long(entry: usize) -> Fault {
    let words = format!("more than {MAX_TEXT} bytes do not fit here: put the long part into a file and name its path");
    Fault { entry: Some(entry), words }
}

/// Pastes into the field with the keyboard.
pub fn paste(form: &mut Form, text: &str) {
    form.refused = None;
    form.came_back = false;
    let Some(entry) = form.focused() else { return };
    let lines = if matches!(entry.control, Control::Text(_)) { Lines::Several } else { Lines::One };
    if let Control::Pick(picker) = &mut entry.control {
        picker.at = None;
    }
    let fits = entry.control.field().is_none_or(|field| editing::paste(field, lines, text, MAX_TEXT));
    if !fits {
        form.refused = Some(too_long(form.focus));
    }
}

fn start_over(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(Layer::Form(form)) = app.layers.pop() else { return };
    app.drafts.forget(form.subject, form.about.as_deref());
    match fresh(app, form.subject) {
        Ok(form) => show(app, form, effects),
        Err(why) => app.say(Part::Warning, why),
    }
}

/// Sends what stands in the form, when it can be sent. A name that is only now completed is shown first; the next key
/// sends it.
fn submit(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(Layer::Form(form)) = app.layers.last_mut() else { return };
    if let Some(super::Entry { control: Control::Pick(picker), .. }) = form.focused()
        && picker.complete()
    {
        return;
    }
    match form.commands() {
        Ok(commands) => {
            // Nothing runs yet: the gates are shown first, and asked about.
            if let [Command::FinishTask(action)] = commands.as_slice() {
                let (draft, action) = (form.clone(), action.clone());
                if finish::take(app, &action, effects) {
                    app.layers.retain(|layer| !matches!(layer, Layer::Form(_)));
                    // Who leaves the gates, or is refused there, finds it again.
                    app.drafts.keep(draft);
                } else {
                    app.say(Part::Warning, format!("no task {} is open any more", action.task));
                }
                return;
            }
            // Its form stays below the question, and comes back with a no.
            if let [command] = commands.as_slice()
                && let Some(words) = acts::question_of(app, command)
            {
                return ask_command(app, &words, command.clone());
            }
            let Some(Layer::Form(form)) = app.layers.pop() else { return };
            if let Some(first) = commands.first() {
                let line = command_line(app, &first.argv());
                app.drafts.sent(line, form);
            }
            for command in commands {
                begin(app, command, effects);
            }
        }
        Err(fault) => {
            form.focus = fault.entry.unwrap_or(form.focus);
            form.refused = Some(fault);
        }
    }
}

/// What the form below a question leads to was said yes to: it is done with.
pub fn confirmed(app: &mut App, command: &Command) {
    if let Command::ManagerConfig(action) = command {
        app.drafts.forget(Subject::Terms, Some(&action.task));
    }
    let is_its = match app.layers.last() {
        Some(Layer::Form(form)) => {
            form.commands().is_ok_and(|commands| commands.first() == Some(&ending::plain(command)))
        }
        _ => false,
    };
    if is_its && let Some(Layer::Form(form)) = app.layers.pop() {
        let line = command_line(app, &command.argv());
        app.drafts.sent(line, form);
    }
}

/// The answer to [`Load::Unregistered`]: what the open form of adoption lists.
pub fn unregistered_arrived(app: &mut App, result: Result<Unregistered>) {
    let draft = app.drafts.of(Subject::Adopt, None).cloned();
    let form = app.layers.iter_mut().find_map(|layer| match layer {
        Layer::Form(form) if form.subject == Subject::Adopt => Some(form),
        _ => None,
    });
    // Closed in the meantime: nobody waits for it.
    let Some(form) = form else { return };
    let found = match result {
        Ok(found) => found,
        Err(error) => {
            form.refused = Some(Fault { entry: None, words: Failure::from(&error).message });
            Unregistered::default()
        }
    };
    if found.sessions.is_empty() && form.refused.is_none() {
        let unknown = match found.unknown.len() {
            0 => String::new(),
            1 => "; one runs whose thread nobody tells".to_owned(),
            count => format!("; {count} run whose thread nobody tells"),
        };
        form.refused = Some(Fault { entry: None, words: format!("nothing runs here unregistered{unknown}") });
    }
    let rows = found.sessions.into_iter().map(|session| {
        let place = match (&session.tmux_session, session.pid) {
            (Some(tmux), _) => format!("tmux {tmux}"),
            (None, Some(pid)) => format!("no pane, process {pid}"),
            (None, None) => "no pane".to_owned(),
        };
        let ways: Vec<&str> = session.known_by.iter().map(|way| found_by(*way)).collect();
        let folder = session.cwd.as_deref().unwrap_or("folder not known");
        let what = session.about.as_deref().map(one_line).unwrap_or_default();
        Check {
            lines: vec![
                format!("{folder}  {what}").trim_end().to_owned(),
                format!("{place}; found by {}; thread {}", ways.join(", "), session.thread_id),
            ],
            value: session.thread_id,
            on: false,
        }
    });
    let rows: Vec<Check> = rows.collect();
    for entry in &mut form.entries {
        if let Control::Checks(checks) = &mut entry.control {
            checks.rows = Some(rows.clone());
        }
    }
    if let Some(draft) = draft {
        form.refill(&draft);
    }
}

/// What told which thread a session shows.
fn found_by(way: KnownBy) -> &'static str {
    match way {
        KnownBy::OpenRollout => "its open rollout",
        KnownBy::WriterLock => "its writer lock",
        KnownBy::Screen => "its screen",
        KnownBy::Server => "Codex's server",
        KnownBy::OnlyInDirectory => "being the only one in its folder",
    }
}
