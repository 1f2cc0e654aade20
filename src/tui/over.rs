//! Keys and pastes in what lies over a screen: questions, texts to read, the help, input lines.

use super::{
    app::App,
    editing::{self, Lines},
    form,
    keymap::{Intent, Key},
    layer::{Layer, Purpose},
    machine,
    message::Effect,
    messages, palette, screen,
    sheet::scroll,
    submitting::{begin, copy},
    theme::Part,
};
use crate::model::filter::Filter;

/// The longest text an input line takes, in characters.
const MAX_INPUT: usize = 500;

/// A question that came up by itself, or whose words have changed, takes no yes for so long: a key that is pressed then was meant for what was there
/// before it.
const EARLY_MILLIS: i64 = 1_000;

/// What is said to a yes that comes too early.
pub(super) const TOO_EARLY: &str = "nothing is done: what is asked has only just come up; read it, then say yes";

/// Whether the question on top has only just come up by itself, or says something else than before.
#[must_use]
pub(super) fn is_early(app: &App) -> bool {
    match app.layers.last() {
        Some(Layer::Confirm { came_at: Some(at), .. }) => app.now.as_millis() - at.as_millis() < EARLY_MILLIS,
        Some(Layer::Finish(finishing)) => {
            finishing.changed_at.is_some_and(|at| app.now.as_millis() - at.as_millis() < EARLY_MILLIS)
        }
        _ => false,
    }
}

pub(super) fn confirm(app: &mut App, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let page = screen::layers::page(app);
    let limit = screen::layers::overflow(app);
    let is_drawn = !screen::is_too_small(app.size);
    let is_early = is_early(app);
    let Some(Layer::Confirm { scroll: first, .. }) = app.layers.last_mut() else { return };
    match intent {
        // Nobody says yes to an end that was never shown.
        Some(Intent::Yes) if *first < limit || !is_drawn => {
            app.say(Part::Warning, "nothing is done yet: read it to its end, then say yes");
        }
        Some(Intent::Yes) if is_early => {
            app.say(Part::Warning, TOO_EARLY);
        }
        Some(Intent::Yes) => match app.layers.pop() {
            Some(Layer::Confirm { then: Effect::Submit(command), mends, .. }) => {
                if let Some(why) = mends.and_then(|mends| machine::is_outdated(app, &mends.finding, &command, effects))
                {
                    app.say(Part::Warning, why);
                    return;
                }
                form::keys::confirmed(app, &command);
                app.receipts.confirmed(&command);
                begin(app, command, effects);
            }
            Some(Layer::Confirm { then, .. }) => effects.push(then),
            _ => {}
        },
        Some(Intent::No) => {
            app.layers.pop();
        }
        _ => scroll(first, intent, page, limit),
    }
}

pub(super) fn reader(app: &mut App, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let page = screen::layers::page(app);
    let limit = screen::layers::overflow(app);
    let Some(Layer::Reader(reader)) = app.layers.last_mut() else { return };
    match intent {
        Some(Intent::Back) => {
            app.layers.pop();
        }
        Some(Intent::Top) => reader.scroll = 0,
        Some(Intent::Bottom) => reader.scroll = limit,
        Some(Intent::Copy) => {
            if let Some(line) = reader.command.clone() {
                copy(app, line, effects);
            }
        }
        _ => scroll(&mut reader.scroll, intent, page, limit),
    }
}

pub(super) fn help(app: &mut App, key: Key, intent: Option<Intent>) {
    let page = screen::layers::page(app);
    let limit = screen::layers::overflow(app);
    let Some(Layer::Help { filter, scroll: first, .. }) = app.layers.last_mut() else { return };
    match intent {
        Some(Intent::Back | Intent::Accept) => {
            app.layers.pop();
        }
        Some(Intent::Down | Intent::Up | Intent::PageDown | Intent::PageUp) => scroll(first, intent, page, limit),
        Some(Intent::Erase) => {
            filter.pop();
            *first = 0;
        }
        Some(Intent::EraseAll) => {
            filter.clear();
            *first = 0;
        }
        _ => {
            if let Some(c) = key.character().filter(|_| filter.chars().count() < MAX_INPUT) {
                filter.push(c);
                *first = 0;
            }
        }
    }
}

pub(super) fn input(app: &mut App, key: Key, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let Some(Layer::Input(input)) = app.layers.last_mut() else { return };
    match intent {
        Some(Intent::Accept) => {
            let (purpose, text) = (input.purpose, input.text.clone());
            take(app, purpose, &text, effects);
            return;
        }
        Some(Intent::Back) => {
            let (purpose, before, selected) = (input.purpose, input.before.clone(), input.selected.clone());
            app.layers.pop();
            if purpose == Purpose::Filter {
                apply_filter(app, &before);
                app.select(selected, effects);
            }
            return;
        }
        Some(Intent::Erase) => {
            input.text.pop();
        }
        Some(Intent::EraseAll) => input.text.clear(),
        _ => {
            if let Some(c) = key.character().filter(|_| input.text.chars().count() < MAX_INPUT) {
                input.text.push(c);
            }
        }
    }
    typed(app, effects);
}

/// A filter works while it is typed; while it cannot be understood the former one is in force.
fn typed(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(Layer::Input(input)) = app.layers.last_mut() else { return };
    if input.purpose != Purpose::Filter {
        input.error = None;
        return;
    }
    input.error = Filter::of_board(&input.text).err().map(|error| error.to_string());
    let text = if input.error.is_none() { input.text.clone() } else { input.before.clone() };
    let selected = input.selected.clone();
    apply_filter(app, &text);
    app.select(selected, effects);
}

fn apply_filter(app: &mut App, text: &str) {
    if let Ok(filter) = Filter::of_board(text) {
        app.filter = filter;
        app.filter_text = text.trim().to_owned();
    }
}

fn take(app: &mut App, purpose: Purpose, text: &str, effects: &mut Vec<Effect>) {
    match purpose {
        Purpose::Filter => {
            // A filter with a fault stays open, so that the fault can be read.
            if Filter::of_board(text).is_ok() {
                app.layers.pop();
            }
        }
        Purpose::Search => {
            app.layers.pop();
            app.events.set_search(text.trim());
            effects.extend(app.ask_events(None));
        }
        Purpose::Jump => match text.trim().replace('_', "").parse::<u64>() {
            Ok(offset) => {
                app.layers.pop();
                if let Some(before) = app.events.jump_to(offset) {
                    effects.extend(app.ask_events(Some(before)));
                }
            }
            Err(_) => {
                if let Some(Layer::Input(input)) = app.layers.last_mut() {
                    input.error = Some(format!("`{}` is no byte offset", text.trim()));
                }
            }
        },
    }
}

/// Takes pasted text into the line that is edited; elsewhere a paste means nothing, so that it runs no keys.
pub fn paste(app: &mut App, text: &str, effects: &mut Vec<Effect>) {
    let text = crate::base::text::clean(text);
    match app.layers.last_mut() {
        Some(Layer::Nudge(nudge)) => {
            let fits = editing::paste(&mut nudge.field, Lines::Several, &text, messages::MAX_MESSAGE);
            nudge.error = (!fits).then(messages::too_long);
            return;
        }
        Some(Layer::Form(form)) => return form::keys::paste(form, &text),
        Some(Layer::Palette(_)) => return palette::paste(app, &text),
        _ => {}
    }
    let text = crate::base::text::one_line(&text);
    match app.layers.last_mut() {
        Some(Layer::Input(input)) => {
            extend(&mut input.text, &text);
            typed(app, effects);
        }
        Some(Layer::Help { filter, scroll, .. }) => {
            extend(filter, &text);
            *scroll = 0;
        }
        Some(
            Layer::Nudge(_)
            | Layer::Form(_)
            | Layer::Palette(_)
            | Layer::Receipts(_)
            | Layer::Reader(_)
            | Layer::Confirm { .. }
            | Layer::Answer(_)
            | Layer::Snooze(_)
            | Layer::Finish(_)
            | Layer::Criteria(_)
            | Layer::Policy(_)
            | Layer::Record(_),
        )
        | None => {}
    }
}

/// Appends as much of a paste as the line still takes.
fn extend(line: &mut String, pasted: &str) {
    let room = MAX_INPUT.saturating_sub(line.chars().count());
    line.extend(pasted.chars().take(room));
}
