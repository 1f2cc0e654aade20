//! The Dispatch screen: who delivers, the queue of each target, and the selected command from end to end.
//!
//! The Inbox screen is about messages and what a person has to decide; this one shows the machine behind them: tries,
//! leases, and the byte of the rollout that proves an arrival.

mod detail;

use std::collections::BTreeMap;

use ratatui::{layout::Rect, text::Line};
use unicode_width::UnicodeWidthStr;

use super::{
    ago,
    delivery::{self, MessageLine},
    frames, inbox,
    list::Rows,
    nothing, sides, span, styled,
};
use crate::{
    actions::{Deliveries, DispatcherHost, DispatcherView},
    base::{Timestamp, text::one_line},
    model::{
        deliveries::{CommandRow, ItemRow},
        delivery::{ItemState, Phase},
    },
    tui::{app::App, listing::Sides, theme::Part, wrap::cut},
};

/// Columns of what a message is, below the session it goes to.
const KIND_COLUMNS: usize = 7;

/// A row of the list.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// Nobody delivers.
    Nobody,
    /// Somebody who delivers, or did so lately.
    Dispatcher(&'a DispatcherView),
    /// A session that messages go to: its id and name.
    Target(&'a str, &'a str),
    /// A command.
    Command(&'a CommandRow),
    /// Something in an inbox that no command put there.
    Item(&'a ItemRow),
}

impl<'a> Row<'a> {
    /// The id that is selected.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Nobody => "nobody".to_owned(),
            Self::Dispatcher(row) => format!("dispatcher-{}", row.id),
            Self::Target(id, _) => format!("target-{id}"),
            Self::Command(row) => row.id.clone(),
            Self::Item(row) => format!("item-{}", row.id),
        }
    }

    /// The session it is about.
    #[must_use]
    pub fn target_id(self) -> Option<&'a str> {
        match self {
            Self::Nobody | Self::Dispatcher(_) => None,
            Self::Target(id, _) => Some(id),
            Self::Command(row) => Some(&row.target_id),
            Self::Item(row) => Some(&row.target_id),
        }
    }

    fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Command(row) => Some(row.updated_at),
            Self::Item(row) => Some(row.facts.said_at().unwrap_or(row.created_at)),
            Self::Nobody | Self::Dispatcher(_) | Self::Target(..) => None,
        }
    }

    /// What comes first below a target: in line, to be decided, given up, over.
    fn tier(&self) -> u8 {
        match self {
            Self::Command(row) if row.phase.holds_the_line() => 0,
            Self::Command(row) if row.phase == Phase::Ambiguous => 1,
            Self::Command(row) if row.phase.is_dead_letter() => 2,
            _ => 3,
        }
    }
}

/// Who delivers, and the queue of each target.
pub struct Queues;

impl Rows for Queues {
    type Row<'a> = Row<'a>;

    const NOTHING: &'static str = "nothing selected";

    fn view(app: &App) -> &Sides {
        &app.dispatch.view
    }

    fn view_mut(app: &mut App) -> &mut Sides {
        &mut app.dispatch.view
    }

    fn rows(app: &App) -> Vec<(String, Row<'_>)> {
        rows(app).into_iter().map(|row| (row.id(), row)).collect()
    }

    fn heading(_: &App) -> String {
        "who delivers, and the queues".to_owned()
    }

    fn empty(app: &App) -> (Part, String) {
        let text = match (&app.deliveries, app.filter_text.is_empty()) {
            (None, _) => "looking".to_owned(),
            (Some(Err(_)), _) => "what is under way is not known".to_owned(),
            (Some(Ok(_)), true) => nothing::no_messages(app, "nothing was ever queued"),
            (Some(Ok(_)), false) => nothing::passes(app),
        };
        (Part::Dim, text)
    }

    fn line(app: &App, row: Row<'_>, width: usize) -> Line<'static> {
        line(app, row, width)
    }

    fn title(row: Row<'_>) -> String {
        match row {
            Row::Nobody => "nobody delivers".to_owned(),
            Row::Dispatcher(row) => format!("dispatcher {}", row.id),
            Row::Target(_, name) => format!("the queue of {name}"),
            Row::Command(row) => format!("{} to {}", delivery::kind(row.kind), row.target),
            Row::Item(row) => format!("message {} in the inbox of {}", row.id, row.target),
        }
    }

    fn detail(app: &App, row: Row<'_>, width: usize) -> Vec<(Part, String)> {
        detail::of(app, row, width)
    }

    fn areas(app: &App) -> (Rect, Rect) {
        let body = frames(app).body;
        if app.dispatch.view.whole { (Rect::default(), body) } else { sides(body, app.dispatch.view.detail) }
    }

    fn first(app: &App) -> Option<String> {
        first(app)
    }
}

/// Who delivers, then each target that passes the filter with its commands. The queue stands in its order, what is
/// over with the newest first; targets with something open come first.
fn rows(app: &App) -> Vec<Row<'_>> {
    let Some(deliveries) = app.deliveries() else { return Vec::new() };
    let mut rows = Vec::new();
    if !deliveries.health.running {
        rows.push(Row::Nobody);
    }
    rows.extend(deliveries.health.dispatchers.iter().map(Row::Dispatcher));
    let mut targets: BTreeMap<&str, (&str, Vec<Row<'_>>)> = BTreeMap::new();
    for (name, row) in messages(deliveries) {
        let Some(id) = row.target_id().filter(|id| inbox::passes(app, id)) else { continue };
        targets.entry(id).or_insert_with(|| (name, Vec::new())).1.push(row);
    }
    let mut targets: Vec<(&str, &str, Vec<Row<'_>>)> =
        targets.into_iter().map(|(id, (name, rows))| (id, name, rows)).collect();
    for (_, _, rows) in &mut targets {
        rows.sort_by(|a, b| match (a, b) {
            (Row::Command(a), Row::Command(b)) if a.phase.holds_the_line() && b.phase.holds_the_line() => {
                a.seq.cmp(&b.seq)
            }
            (a, b) => a.tier().cmp(&b.tier()).then(b.at().cmp(&a.at())),
        });
    }
    let newest = |rows: &[Row<'_>]| rows.iter().filter_map(Row::at).max();
    targets.sort_by(|(_, _, a), (_, _, b)| {
        let open = |rows: &[Row<'_>]| rows.first().map_or(3, Row::tier);
        open(a).min(2).cmp(&open(b).min(2)).then(newest(b).cmp(&newest(a)))
    });
    for (id, name, below) in targets {
        rows.push(Row::Target(id, name));
        rows.extend(below);
    }
    rows
}

/// The messages of all targets, each with the name of its own.
fn messages(deliveries: &Deliveries) -> impl Iterator<Item = (&str, Row<'_>)> {
    let commands = deliveries.commands.iter().map(|row| (row.target.as_str(), Row::Command(row)));
    let items = deliveries.items.iter().filter(|row| row.command_id.is_none());
    commands.chain(items.map(|row| (row.target.as_str(), Row::Item(row))))
}

/// How many messages the filter hides.
pub(super) fn hidden(app: &App) -> usize {
    let hidden = |row: &Row<'_>| row.target_id().is_some_and(|id| !inbox::passes(app, id));
    app.deliveries().map_or(0, |deliveries| messages(deliveries).filter(|(_, row)| hidden(row)).count())
}

/// The message that one comes for: the newest that has to be decided, else the newest.
fn first(app: &App) -> Option<String> {
    let messages = || rows(app).into_iter().filter(|row| row.at().is_some());
    let newest = |rows: Vec<Row<'_>>| rows.into_iter().max_by_key(Row::at).map(|row| row.id());
    let to_decide = |row: &Row<'_>| match row {
        Row::Command(row) => delivery::is_to_decide(row.phase),
        Row::Item(row) => row.facts.state == ItemState::Failed,
        Row::Nobody | Row::Dispatcher(_) | Row::Target(..) => false,
    };
    newest(messages().filter(to_decide).collect()).or_else(|| newest(messages().collect()))
}

/// The screen is opened: who has selected no message yet begins where one comes for.
pub fn start(app: &mut App) {
    if Queues::selected(app).is_none_or(|row| row.at().is_none())
        && let Some(id) = first(app)
    {
        app.dispatch.view.select(id);
    }
}

/// The selected row, if it is a command.
#[must_use]
pub fn selected_command(app: &App) -> Option<&CommandRow> {
    match Queues::selected(app)? {
        Row::Command(row) => Some(row),
        _ => None,
    }
}

/// What `conveyor chain` is asked for about the selected row.
#[must_use]
pub fn exchange_of(app: &App) -> Option<String> {
    match Queues::selected(app)? {
        Row::Command(row) => Some(row.id.clone()),
        Row::Item(row) => Some(row.id.to_string()),
        Row::Nobody | Row::Dispatcher(_) | Row::Target(..) => None,
    }
}

fn line(app: &App, row: Row<'_>, width: usize) -> Line<'static> {
    let glyphs = app.settings.glyphs;
    match row {
        Row::Nobody => {
            let text = "! nobody delivers: messages wait until somebody does";
            styled(app, Part::Warning, cut(text, width, glyphs))
        }
        Row::Dispatcher(row) => {
            let (sign, part, text) = dispatcher(app, row);
            styled(app, part, cut(&format!("{sign} {text}"), width, glyphs))
        }
        Row::Target(id, name) => target(app, id, name, width),
        Row::Command(row) => {
            let message = MessageLine {
                sign: if delivery::is_to_decide(row.phase) { "!  " } else { "   " },
                state: (delivery::phase_part(row.phase), row.phase.word()),
                who: (delivery::kind(row.kind), KIND_COLUMNS),
                message: &row.message,
                age: delivery::age_of(row, app.now),
            };
            message.draw(app, width)
        }
        Row::Item(row) => {
            let message = MessageLine {
                sign: if row.facts.state == ItemState::Failed { "!  " } else { "   " },
                state: (inbox::item_part(&row.facts), row.facts.word()),
                who: ("inbox", KIND_COLUMNS),
                message: &row.message,
                age: delivery::moved(row.facts.said_at().unwrap_or(row.created_at), app.now),
            };
            message.draw(app, width)
        }
    }
}

/// A dispatcher in one line.
fn dispatcher(app: &App, row: &DispatcherView) -> (&'static str, Part, String) {
    let own = app.deliveries().is_some_and(|deliveries| deliveries.own_pid == row.pid);
    let host = match row.host {
        DispatcherHost::Cockpit if own => "this cockpit",
        DispatcherHost::Cockpit => "another cockpit",
        DispatcherHost::Watch if row.log_path.is_some() => "background",
        DispatcherHost::Watch => "dispatch --watch",
        DispatcherHost::Once => "one pass",
    };
    let heard = ago(Some(row.heartbeat_at), app.now);
    let (sign, part, state) = match (row.alive, row.state) {
        (true, _) => ("*", Part::Working, "delivers".to_owned()),
        (false, "running") => ("!", Part::Warning, "SILENT".to_owned()),
        (false, state) => ("-", Part::Dim, state.to_owned()),
    };
    let part = if row.alive && row.last_error.is_some() { Part::Warning } else { part };
    let trouble = row.last_error.as_deref().map(|error| format!("  trouble: {}", one_line(error))).unwrap_or_default();
    let text = format!(
        "{host}, pid {}: {state}, heard {heard} ago, pass {}, {} moved{trouble}",
        row.pid, row.passes, row.processed
    );
    (sign, part, text)
}

/// How many commands of a target are in line, uncertain, given up.
fn counts(deliveries: &Deliveries, id: &str) -> [(usize, &'static str); 3] {
    let of =
        |is: fn(Phase) -> bool| deliveries.commands.iter().filter(|row| row.target_id == id && is(row.phase)).count();
    [
        (of(Phase::holds_the_line), "in line"),
        (of(|phase| phase == Phase::Ambiguous), "uncertain"),
        (of(Phase::is_dead_letter), "given up"),
    ]
}

fn target(app: &App, id: &str, name: &str, width: usize) -> Line<'static> {
    let glyphs = app.settings.glyphs;
    let Some(deliveries) = app.deliveries() else { return Line::default() };
    let mut words: Vec<String> = counts(deliveries, id)
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    let inbox = deliveries.inbox(id);
    if inbox.waiting > 0 {
        words.push(format!("{} in its inbox", inbox.waiting));
    }
    if words.is_empty() {
        words.push("nothing open".to_owned());
    }
    let name = cut(&format!("to {name}"), width / 2, glyphs);
    let room = width.saturating_sub(name.width() + glyphs.separator().width());
    Line::from(vec![
        span(app, Part::Title, name),
        span(app, Part::Dim, format!("{}{}", glyphs.separator(), cut(&words.join(", "), room, glyphs))),
    ])
}
