//! Drawing what lies on top: boxes in the middle, the input line at the bottom.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    symbols::border,
    text::{Line, Span},
    widgets::{Block, Clear},
};
use unicode_width::UnicodeWidthStr;

use super::{bars, put, span, styled};
use crate::{
    actions::{Action, QuestionView},
    base::text,
    tui::{
        answers,
        app::App,
        keymap::{Intent, Place},
        layer::{About, Asked, Input, Layer, Purpose, Reader, Snoozing},
        over,
        receipts::Outcome,
        submitting::command_line,
        theme::Part,
        works::works,
        wrap::{cut, wrap},
    },
};

/// What stands before the command line that shows the same.
const SAME: &str = "the same in a shell";

const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// The box of a layer and, inside its border, the place for its text. It ends above the banner and what a notice takes:
/// neither is ever hidden by it.
pub(super) fn boxes(app: &App, lines: usize) -> (Rect, Rect) {
    let size = app.size;
    let width = size.width.saturating_sub(4).min(100);
    let bottom = size.height.saturating_sub(bars::BELOW + bars::above_banner(app));
    let most = bottom.saturating_sub(1);
    let height = u16::try_from(lines + 2).unwrap_or(u16::MAX).clamp(3.min(most), most);
    let y = ((size.height - height) / 2).min(bottom - height);
    let outer = Rect::new((size.width - width) / 2, y, width, height);
    let inner = Rect::new(outer.x + 2, outer.y + 1, outer.width.saturating_sub(4), outer.height.saturating_sub(2));
    (outer, inner)
}

/// Draws the empty box of a layer with so many lines; the place for its text.
pub(super) fn boxed(app: &App, frame: &mut Frame<'_>, title: &str, lines: usize) -> Rect {
    let glyphs = app.settings.glyphs;
    let (outer, inner) = boxes(app, lines);
    let title = cut(title, usize::from(outer.width).saturating_sub(6), glyphs);
    let block = Block::bordered()
        .border_set(if glyphs.is_ascii() { ASCII_BORDER } else { border::PLAIN })
        .border_style(app.settings.theme.style(Part::BorderFocus))
        .title(span(app, Part::Title, format!(" {title} ")));
    frame.render_widget(Clear, outer);
    frame.render_widget(block, outer);
    inner
}

/// The text width of every box.
pub(super) fn text_width(app: &App) -> usize {
    usize::from(boxes(app, 0).1.width)
}

/// How far the top layer can be scrolled.
#[must_use]
pub fn overflow(app: &App) -> usize {
    let Some(layer) = app.layers.last() else { return 0 };
    hidden(app, lines(app, layer).len(), below(app, layer, 0).len())
}

/// How many lines of its text the top layer shows when there are more than fit.
pub(super) fn room(app: &App) -> usize {
    let below_count = app.layers.last().map_or(0, |layer| below(app, layer, 0).len());
    usize::from(boxes(app, usize::from(app.size.height)).1.height).saturating_sub(below_count)
}

/// How far a page goes in the top layer: nothing is passed over.
#[must_use]
pub fn page(app: &App) -> usize {
    room(app).max(1)
}

/// Keys with a word each, in as many lines as they take.
pub(super) fn key_lines(
    app: &App,
    place: Place,
    keys: impl IntoIterator<Item = (Intent, &'static str)>,
    width: usize,
) -> Vec<Line<'static>> {
    key_lines_behind(app, place, None, keys, width)
}

/// The same behind a word about all of them.
fn key_lines_behind(
    app: &App,
    place: Place,
    first: Option<Line<'static>>,
    keys: impl IntoIterator<Item = (Intent, &'static str)>,
    width: usize,
) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = first.into_iter().collect();
    for (intent, word) in keys {
        let spans = [span(app, Part::Key, app.key_in(place, intent)), span(app, Part::Text, format!(" {word}  "))];
        let columns: usize = spans.iter().map(Span::width).sum();
        match lines.last_mut() {
            Some(line) if line.width() + columns <= width + 2 => line.spans.extend(spans),
            _ => lines.push(Line::from(spans.to_vec())),
        }
    }
    lines
}

/// How many of so many lines do not fit above those that stay below them.
fn hidden(app: &App, lines: usize, below: usize) -> usize {
    let inner = boxes(app, lines + below).1;
    lines.saturating_sub(usize::from(inner.height).saturating_sub(below))
}

/// The first line of the question that is meant.
#[must_use]
pub fn first_line(app: &App, asked: &Asked) -> usize {
    let width = text_width(app);
    let before = asked.views().iter().enumerate().take(asked.meant_at().unwrap_or(0));
    before.map(|(index, view)| self::question(app, asked, index, view, width).len() + 1).sum()
}

/// Draws a box with the layer's text.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, layer: &Layer) {
    let lines = lines(app, layer);
    let below_count = below(app, layer, 0).len();
    let (outer, inner) = boxes(app, lines.len() + below_count);
    let (title, scroll) = match layer {
        Layer::Help { filter, scroll, .. } if filter.is_empty() => {
            ("help: keys and signs (type to search)".to_owned(), *scroll)
        }
        Layer::Help { filter, scroll, .. } => (format!("help: {filter}"), *scroll),
        Layer::Reader(Reader { about: About::Receipt(number), scroll, .. }) => {
            (super::receipts::title(app, *number), *scroll)
        }
        Layer::Reader(reader) => (reader.title.clone(), reader.scroll),
        Layer::Confirm { scroll, .. } => ("are you sure".to_owned(), *scroll),
        Layer::Answer(asked) => (format!("what {} asks", asked.name), asked.scroll),
        Layer::Snooze(asked) => (format!("put {} aside", asked.name), 0),
        Layer::Finish(finishing) => (format!("finish {}", finishing.name), finishing.scroll),
        Layer::Policy(policy) => (format!("the terms of {}", policy.name), policy.scroll),
        Layer::Record(recorded) => (format!("on record: {}", recorded.name), recorded.scroll),
        Layer::Criteria(asked) => (format!("criteria of {}", asked.name), asked.scroll),
        Layer::Input(_) | Layer::Nudge(_) | Layer::Form(_) | Layer::Palette(_) | Layer::Receipts(_) => return,
    };
    let hidden = hidden(app, lines.len(), below_count);
    boxed(app, frame, &title, lines.len() + below_count);
    let scroll = scroll.min(hidden);
    let room = usize::from(inner.height).saturating_sub(below_count).min(lines.len());
    for (index, line) in lines.into_iter().skip(scroll).take(room).enumerate() {
        put(frame, inner, index, line);
    }
    for (index, line) in below(app, layer, hidden - scroll).into_iter().enumerate() {
        put(frame, inner, room + index, line);
    }
    if hidden > scroll && outer.height > 0 {
        let more = format!(" {} more ", hidden - scroll);
        let x = outer.right().saturating_sub(u16::try_from(more.width()).unwrap_or(0) + 2);
        frame.buffer_mut().set_stringn(x, outer.bottom() - 1, &more, more.width(), app.settings.theme.style(Part::Dim));
    }
}

fn lines(app: &App, layer: &Layer) -> Vec<Line<'static>> {
    let width = text_width(app);
    match layer {
        Layer::Help { filter, places, .. } => super::help::lines(app, filter, places, width),
        Layer::Reader(reader) => {
            let (mut lines, says) = match reader.about {
                About::Receipt(number) => {
                    let runs = app.receipts.get(number).is_some_and(|receipt| receipt.outcome == Outcome::Running);
                    (super::receipts::lines(app, number, width), if runs { "it runs" } else { "it ran" })
                }
                About::Explain(ref session) => {
                    let text = super::explain::paragraphs(app, session);
                    (text.iter().flat_map(|(part, text)| wrapped(app, *part, text, width)).collect(), SAME)
                }
                About::Diff(_) | About::Message => {
                    let text = reader.text.iter();
                    (text.flat_map(|(part, text)| wrapped(app, *part, text, width)).collect(), SAME)
                }
            };
            if let Some(command) = &reader.command {
                lines.push(Line::default());
                let copies = app.key_in(Place::Reader, Intent::Copy);
                lines.extend(wrapped(app, Part::Dim, &format!("{says} ({copies} copies it): {command}"), width));
            }
            lines
        }
        Layer::Confirm { question, .. } => whole(app, Part::Text, question, width),
        Layer::Answer(asked) => self::asked(app, asked, width),
        Layer::Snooze(asked) => snoozing(app, asked, width),
        Layer::Finish(finishing) => super::finish::lines(app, finishing, width),
        Layer::Policy(policy) => super::policy::lines(app, policy, width),
        Layer::Record(recorded) => super::record::lines(app, recorded, width),
        Layer::Criteria(asked) => super::criteria_list::lines(app, asked, width),
        Layer::Input(_) | Layer::Nudge(_) | Layer::Form(_) | Layer::Palette(_) | Layer::Receipts(_) => Vec::new(),
    }
}

/// The lines that stay below a text that scrolls: whether there is more of it, and the keys. Always as many.
fn below(app: &App, layer: &Layer, more: usize) -> Vec<Line<'static>> {
    let mut keys = match layer {
        Layer::Confirm { .. } => vec![Line::from(vec![
            span(app, Part::Key, app.key_in(Place::Confirm, Intent::Yes)),
            span(app, Part::Text, if over::is_early(app) { " works in a moment   " } else { " yes   " }),
            span(app, Part::Key, app.key_in(Place::Confirm, Intent::No)),
            span(app, Part::Text, " no"),
        ])],
        Layer::Answer(asked) => match asked.meant() {
            Some(view) => {
                let answers = view.question.answers.iter();
                let word = |verdict| answers::word(&view.question, verdict);
                let keys = answers.map(|verdict| (answers::intent_of(*verdict), word(*verdict)));
                let attach = works(app, Intent::Attach).then_some((Intent::Attach, "attach"));
                let keys = keys.chain(attach).chain([(Intent::Back, "leave it open")]);
                // What it is about may have been scrolled away from.
                let first = asked
                    .meant_at()
                    .filter(|_| asked.views().len() > 1)
                    .map(|at| styled(app, Part::Title, format!("question {} of {}: ", at + 1, asked.views().len())));
                key_lines_behind(app, Place::Answer, first, keys, text_width(app))
            }
            None if asked.has_lost() && !asked.views().is_empty() => {
                let keys = [(Intent::Down, "choose"), (Intent::Back, "leave it open")];
                key_lines(app, Place::Answer, keys, text_width(app))
            }
            None => return Vec::new(),
        },
        Layer::Policy(_) => vec![super::policy::keys(app)],
        Layer::Finish(finishing) => super::finish::keys(app, finishing, text_width(app)),
        Layer::Record(_) => super::record::keys(app, text_width(app)),
        Layer::Criteria(_) => super::criteria_list::keys(app, text_width(app)),
        _ => return Vec::new(),
    };
    if more == 0 {
        keys.insert(0, Line::default());
        return keys;
    }
    let key = app.settings.keymap.key_of(&[layer.place()], Intent::PageDown);
    let way = key.map(|key| format!("{key} reads on")).unwrap_or_else(|| "there is more".to_owned());
    let words = match layer {
        Layer::Finish(finishing) if !finishing.is_met() => way,
        Layer::Confirm { .. } | Layer::Finish(_) => {
            format!("{way}; {} works at the end", app.key_in(layer.place(), Intent::Yes))
        }
        _ => way,
    };
    keys.insert(0, styled(app, Part::Warning, words));
    keys
}

/// The lengths of a snooze, and what the chosen one runs.
fn snoozing(app: &App, asked: &Snoozing, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (index, choice) in asked.choices.iter().enumerate() {
        let text = choice.snooze.map_or_else(|| "wake it now".to_owned(), |span| format!("for {span}"));
        let (mark, part) = if index == asked.selected { ("> ", Part::Title) } else { ("  ", Part::Text) };
        lines.push(styled(app, part, format!("{mark}{text}")));
    }
    lines.push(Line::default());
    let passes = app.key_that(Intent::NextNeed, "passes it by").map(|key| format!(", and {key}")).unwrap_or_default();
    let what = format!(
        "It stands last in its tier{passes}. Before its time is over it wakes when it asks something new or fails."
    );
    lines.extend(wrapped(app, Part::Dim, &what, width));
    if let Some(choice) = asked.choices.get(asked.selected) {
        lines.extend(wrapped(app, Part::Dim, &format!("runs: {}", command_line(app, &choice.argv())), width));
    }
    lines
}

/// The open questions, the meant one in full.
fn asked(app: &App, asked: &Asked, width: usize) -> Vec<Line<'static>> {
    let views = match &asked.questions {
        None => return wrapped(app, Part::Dim, "looking", width),
        Some(Err(failure)) => return wrapped(app, Part::Error, &failure.message, width),
        Some(Ok(views)) if views.is_empty() && asked.has_lost() => {
            return wrapped(app, Part::Text, "nothing is asked now: what was asked is answered or gone", width);
        }
        Some(Ok(views)) if views.is_empty() => return wrapped(app, Part::Text, "nothing is asked now", width),
        Some(Ok(views)) => views,
    };
    let mut lines = Vec::new();
    if asked.has_lost() {
        let what = "What you looked at is answered or gone. This is asked now:";
        lines.extend(wrapped(app, Part::Warning, what, width));
        lines.push(Line::default());
    }
    for (index, view) in views.iter().enumerate() {
        if index > 0 {
            lines.push(Line::default());
        }
        lines.extend(self::question(app, asked, index, view, width));
    }
    lines
}

fn question(app: &App, asked: &Asked, index: usize, view: &QuestionView, width: usize) -> Vec<Line<'static>> {
    let question = &view.question;
    let mark = if asked.meant_at() == Some(index) { "> " } else { "  " };
    let mut lines = wrapped(app, Part::Title, &format!("{mark}it {}", answers::wants(question.kind)), width);
    let seen = format!(
        "{} {}, seen by {}, open for {}",
        question.kind,
        question.id,
        question.source,
        text::age(view.age_seconds + asked.looked_at.age_seconds(app.now))
    );
    lines.extend(wrapped(app, Part::Dim, &seen, width));
    for fact in answers::facts(question) {
        lines.extend(whole(app, Part::Text, &fact, width));
    }
    if let Some(why) = answers::elsewhere(app, question) {
        lines.extend(wrapped(app, Part::Warning, &why, width));
    }
    lines
}

/// All lines of a text, however many.
fn whole(app: &App, part: Part, text: &str, width: usize) -> Vec<Line<'static>> {
    wrap(text, width, usize::MAX).into_iter().map(|line| styled(app, part, line)).collect()
}

pub(super) fn wrapped(app: &App, part: Part, text: &str, width: usize) -> Vec<Line<'static>> {
    wrap(text, width, 2_000).into_iter().map(|line| styled(app, part, line)).collect()
}

/// The most lines of a hint above the input line.
const MOST_HINTS: usize = 6;

/// What belongs into the input line or what is wrong with it, in lines of this width: it is never cut.
pub(super) fn hints(app: &App, input: &Input, width: usize) -> (Part, Vec<String>) {
    let take = app.key_in(Place::Input, Intent::Accept);
    let (part, hint) = match (&input.error, input.purpose) {
        (Some(error), _) => (Part::Error, error.clone()),
        (None, Purpose::Filter) => {
            (Part::Dim, "state:needs-you is:unread task:name session:w1 age>10m -state:idle \"text\"".to_owned())
        }
        (None, Purpose::Search) => (Part::Dim, format!("events that hold this text; {take} searches")),
        (None, Purpose::Jump) => (Part::Dim, format!("the line that holds this byte; {take} goes there")),
    };
    (part, wrap(&hint, width.saturating_sub(1), MOST_HINTS))
}

/// What takes the line, and what leaves it.
fn input_keys(app: &App, purpose: Purpose) -> String {
    let key = |intent| app.key_in(Place::Input, intent);
    let (takes, leaves) = match purpose {
        Purpose::Filter => ("keeps it", "undoes it"),
        Purpose::Search => ("searches", "leaves"),
        Purpose::Jump => ("goes there", "leaves"),
    };
    format!("{} {takes}  {} {leaves}", key(Intent::Accept), key(Intent::Back))
}

/// Draws the input line over the footer, and what is wrong with it over the banner.
pub(super) fn input(app: &App, frame: &mut Frame<'_>, line: Rect, above: Rect, input: &Input) {
    let glyphs = app.settings.glyphs;
    let label = match input.purpose {
        Purpose::Filter => " filter: ",
        Purpose::Search => " text: ",
        Purpose::Jump => " byte offset: ",
    };
    let room = usize::from(line.width).saturating_sub(label.width() + 1);
    // The end of a long text is what is being typed.
    let hidden = input.text.chars().count().saturating_sub(room);
    let text: String = input.text.chars().skip(hidden).collect();
    frame.render_widget(Clear, line);
    let mut spans = vec![span(app, Part::Key, label), span(app, Part::Text, cut(&text, room, glyphs))];
    // It lies where the keys are told otherwise.
    let keys = input_keys(app, input.purpose);
    let used = label.width() + text.width() + 1;
    if let Some(room) = usize::from(line.width).checked_sub(used + keys.width() + 2) {
        spans.extend([Span::raw(" ".repeat(room + 2)), span(app, Part::Dim, keys)]);
    }
    put(frame, line, 0, Line::from(spans));
    let column = line.x + u16::try_from(label.width() + text.width()).unwrap_or(0);
    frame.set_cursor_position(Position::new(column.min(line.right().saturating_sub(1)), line.y));
    // It takes as many lines as it needs, from the banner upwards.
    let (part, mut lines) = hints(app, input, above.width.into());
    lines.truncate(above.bottom().into());
    let rows = u16::try_from(lines.len()).unwrap_or(1);
    let above = Rect { y: above.bottom().saturating_sub(rows), height: rows, ..above };
    frame.render_widget(Clear, above);
    for (index, text) in lines.into_iter().enumerate() {
        put(frame, above, index, styled(app, part, format!(" {text}")));
    }
}
