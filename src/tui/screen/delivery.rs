//! What is said of messages on their way: who delivers, and how far each has come.

use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::{ago, span, waiting};
use crate::{
    actions::{Deliveries, DispatcherHost},
    base::{Timestamp, text::one_line},
    model::{
        deliveries::{CommandRow, ItemFacts, Preview},
        delivery::{CommandKind, Phase},
    },
    tui::{
        app::App,
        keymap::{Intent, Place},
        theme::Part,
        wrap::pad,
    },
};

/// Dispatch in a few words.
pub(super) struct Summary {
    pub(super) part: Part,
    pub(super) text: String,
    /// What nothing else may hide, in short.
    pub(super) alarm: Option<String>,
}

/// Who delivers, what is stopped, what waits and what has to be decided; none while it is not known yet.
pub(super) fn summary(app: &App) -> Option<Summary> {
    let deliveries = match app.deliveries.as_ref()? {
        Ok(deliveries) => deliveries,
        Err(failure) => {
            let alarm = "who dispatches is not known".to_owned();
            let text = format!("{alarm}: {}", one_line(&failure.message));
            return Some(Summary { part: Part::Warning, text, alarm: Some(alarm) });
        }
    };
    let health = &deliveries.health;
    let (mut part, who, alarm) = if health.paused {
        (
            Part::NeedsYou,
            format!("DISPATCH PAUSED ({} resumes)", app.key(Intent::Pause)),
            Some("DISPATCH PAUSED".to_owned()),
        )
    } else {
        match who(deliveries) {
            Some(who) => (Part::Dim, format!("dispatch: {who}"), None),
            None => (Part::Warning, "nobody dispatches".to_owned(), Some("nobody dispatches".to_owned())),
        }
    };
    let mut words = vec![who];
    if health.waiting > 0 {
        words.push(format!("{} wait{}", health.waiting, if health.waiting == 1 { "s" } else { "" }));
    }
    let decide = [(health.ambiguous, "uncertain"), (health.dead_letters, "given up")];
    let decide = decide.into_iter().filter(|(count, _)| *count > 0);
    let decide = decide.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ");
    if !decide.is_empty() {
        words.push(format!("{decide} (see {})", app.key(Intent::Inbox)));
    }
    let tasks: Vec<&str> = health.pauses.iter().filter_map(|pause| pause.task.as_deref()).collect();
    match tasks.as_slice() {
        [] => {}
        [task] => words.push(format!("task {task} is paused")),
        tasks => words.push(format!("{} tasks are paused", tasks.len())),
    }
    let has_more = health.ambiguous > 0 || health.dead_letters > 0 || !tasks.is_empty();
    if has_more && part == Part::Dim {
        part = Part::Warning;
    }
    Some(Summary { part, text: words.join(", "), alarm })
}

/// Who delivers; none when nobody does.
pub(super) fn who(deliveries: &Deliveries) -> Option<String> {
    let delivering = deliveries.delivering();
    let mut words: Vec<String> = Vec::new();
    if delivering.this {
        words.push("this cockpit".to_owned());
    }
    match delivering.others.as_slice() {
        [] => {}
        [(host, pid, trouble)] => {
            let what = match host {
                DispatcherHost::Cockpit => "another cockpit",
                DispatcherHost::Watch => "dispatch --watch",
                DispatcherHost::Once => "one pass",
            };
            let trouble = trouble.map(|trouble| format!(", trouble: {}", one_line(trouble))).unwrap_or_default();
            words.push(format!("{what} (pid {pid}{trouble})"));
        }
        others => words.push(format!("{} others", others.len())),
    }
    (!words.is_empty()).then(|| words.join(" + "))
}

/// What a command is, in a word.
#[must_use]
pub fn kind(kind: CommandKind) -> &'static str {
    match kind {
        CommandKind::NudgeWorker | CommandKind::SessionNudge => "nudge",
        CommandKind::NotifyManager => "notice",
        CommandKind::WorkerTaskComplete => "wake",
        CommandKind::RequestWorkerCompact => "compact",
        CommandKind::RequestWorkerClear => "clear",
    }
}

/// A command by what it is and whom it is for.
#[must_use]
pub fn name(row: &CommandRow) -> String {
    format!("{} to {}", kind(row.kind), row.target)
}

/// How a message stands, in its word and what that leaves open.
pub(super) fn word(phase: Phase) -> String {
    let open = match phase {
        Phase::Claimed | Phase::Started | Phase::Staged | Phase::Submitted => ", not proven yet",
        Phase::Ambiguous => ", decide",
        Phase::Expired => ": its time ran out",
        _ => "",
    };
    format!("{}{open}", phase.word())
}

/// How far a message is that is on its way.
fn step(phase: Phase) -> &'static str {
    match phase {
        Phase::Claimed => "a dispatcher has it in hand",
        Phase::Staged => "typed, not sent yet",
        Phase::Submitted => "handed over",
        _ => "begun",
    }
}

/// Whether somebody has to decide about a command in this phase.
pub fn is_to_decide(phase: Phase) -> bool {
    phase == Phase::Ambiguous || phase.is_dead_letter()
}

/// What can be decided about a command in this phase, with the keys of the Dispatch screen.
pub(super) fn keys_there(app: &App, phase: Phase) -> Option<String> {
    let key = |intent| app.key_in(Place::Dispatch, intent);
    let screen = app.key(Intent::Dispatch);
    keys_of(phase, key).map(|keys| format!("on the Dispatch screen ({screen}) {keys}"))
}

/// What can be decided about a command in this phase, with the keys.
pub(super) fn keys(app: &App, phase: Phase) -> Option<String> {
    keys_of(phase, |intent| app.key(intent))
}

fn keys_of(phase: Phase, key: impl Fn(Intent) -> String) -> Option<String> {
    match phase {
        Phase::Ambiguous => Some(format!(
            "{} it arrived; {} it did not; {} send it again, it may arrive twice",
            key(Intent::Arrived),
            key(Intent::TakeBack),
            key(Intent::Retry)
        )),
        Phase::Queued => Some(format!("{} takes it back", key(Intent::TakeBack))),
        phase if phase.is_dead_letter() => Some(format!("{} queues it again", key(Intent::Retry))),
        _ => None,
    }
}

/// The style of a phase.
pub(super) fn phase_part(phase: Phase) -> Part {
    match phase {
        Phase::Failed | Phase::Expired | Phase::Dead | Phase::Blocked => Part::Failed,
        Phase::Ambiguous => Part::NeedsYou,
        Phase::Queued | Phase::Claimed | Phase::Started | Phase::Staged | Phase::Submitted => Part::Working,
        Phase::Delivered => Part::DoneUnseen,
        Phase::Done | Phase::Cancelled => Part::Dim,
    }
}

/// The beginning of a message, in one line.
pub(super) fn first_line(message: &Preview) -> String {
    match message {
        Preview::Text(text) => one_line(text),
        Preview::Long(bytes) => format!("({bytes} bytes)"),
    }
}

/// Columns of how a message stands: the longest word.
const STATE_COLUMNS: usize = 10;

/// A message in one line of a list.
pub(super) struct MessageLine<'a> {
    /// Whether it has to be decided, and how far it stands in.
    pub(super) sign: &'static str,
    /// How it stands: the style, the word.
    pub(super) state: (Part, &'a str),
    /// What it is or who sends it to whom, in so many columns.
    pub(super) who: (&'a str, usize),
    /// Its text.
    pub(super) message: &'a Preview,
    /// How old that is, as [`age_of`] has it.
    pub(super) age: String,
}

/// How long ago something moved last.
pub(super) fn moved(at: Timestamp, now: Timestamp) -> String {
    ago(Some(at), now)
}

/// How old a command is: as long as it is in line, since it was queued, whatever was tried since; else since it moved
/// last.
pub(super) fn age_of(row: &CommandRow, now: Timestamp) -> String {
    if row.phase.holds_the_line() {
        format!("queued {}", ago(Some(row.created_at), now))
    } else {
        moved(row.updated_at, now)
    }
}

impl MessageLine<'_> {
    /// The line in this width; the text gets what the rest leaves.
    pub(super) fn draw(self, app: &App, width: usize) -> Line<'static> {
        let glyphs = app.settings.glyphs;
        let ((part, word), (who, columns)) = (self.state, self.who);
        let age = format!("{:>5} ", self.age);
        let state = pad(word, STATE_COLUMNS, glyphs);
        let room = width.saturating_sub(self.sign.width() + state.width() + age.width() + 2);
        let who = pad(who, columns.min(room), glyphs);
        let text = pad(&first_line(self.message), room.saturating_sub(who.width() + 1), glyphs);
        let style = app.settings.theme.style(part);
        Line::from(vec![
            Span::styled(self.sign, style),
            Span::styled(format!("{state} "), style),
            span(app, Part::Title, who),
            span(app, Part::Text, format!(" {text} ")),
            span(app, Part::Dim, age),
        ])
    }
}

/// How far the command with this id has come, live.
pub(super) fn way_of(app: &App, id: &str) -> Vec<(Part, String)> {
    match app.deliveries.as_ref() {
        None => vec![(Part::Dim, "looking how far it has come".to_owned())],
        Some(Err(failure)) => vec![(Part::Error, format!("how far it has come is not known: {}", failure.message))],
        Some(Ok(deliveries)) => match deliveries.command(id) {
            Some(row) => {
                let mut lines = way(app, deliveries, row);
                lines.extend(keys_there(app, row.phase).map(|keys| (Part::Key, format!("you can    {keys}"))));
                lines
            }
            None => vec![(Part::Dim, "looking how far it has come".to_owned())],
        },
    }
}

/// The steps of a command's way, each with its time, and what is to come.
pub(super) fn way(app: &App, deliveries: &Deliveries, row: &CommandRow) -> Vec<(Part, String)> {
    let when = |at| format!("{} ago", ago(Some(at), app.now));
    let reason = because(row);
    let mut steps = vec![(Part::Text, format!("queued     {} by {}", when(row.created_at), row.created_by))];
    match row.phase {
        Phase::Queued => steps.extend(waiting::lines(app, deliveries, row)),
        Phase::Claimed | Phase::Started | Phase::Staged | Phase::Submitted => {
            let (word, step) = (row.phase.word(), step(row.phase));
            steps.push((Part::Working, format!("{word:10} {}, {step}{reason}", when(row.updated_at))));
            let next =
                format!("next       the rollout of {} shows it, which proves it; until then it is watched", row.target);
            steps.push((Part::Dim, next));
        }
        Phase::Delivered | Phase::Done => steps.extend(handed_over(app, row)),
        Phase::Ambiguous => {
            let text = format!(
                "uncertain  {}: it may have been delivered, look into {}{reason}",
                when(row.updated_at),
                row.target
            );
            steps.push((Part::NeedsYou, text));
        }
        Phase::Failed | Phase::Expired | Phase::Dead | Phase::Blocked => {
            let why = match (&row.reason, row.phase) {
                (None, Phase::Expired) => ": its time ran out before it was delivered".to_owned(),
                _ => reason,
            };
            steps.push((Part::Failed, format!("{:10} {}{why}", row.phase.word(), when(row.updated_at))));
        }
        Phase::Cancelled => steps.push((Part::Dim, format!("taken back {}{reason}", when(row.updated_at)))),
    }
    steps
}

/// Its reason behind a colon; nothing when it has none, or an empty one.
fn because(row: &CommandRow) -> String {
    let reason = row.reason.as_deref().map(one_line).filter(|reason| !reason.is_empty());
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

/// What became of a command that was handed over: how, as the ledger says, and what its inbox item says since.
fn handed_over(app: &App, row: &CommandRow) -> Vec<(Part, String)> {
    let when = |at| format!("{} ago", ago(Some(at), app.now));
    let mut steps = Vec::new();
    match &row.item {
        Some(item) => {
            let at = item.delivered_at.unwrap_or(row.updated_at);
            steps.push((Part::DoneUnseen, format!("delivered  {} into {}'s inbox", when(at), row.target)));
        }
        None if row.phase == Phase::Delivered => {
            steps.push((Part::DoneUnseen, format!("delivered  {}", when(row.updated_at))));
        }
        None => {}
    }
    steps.extend(row.lane_reason.as_deref().map(|why| (Part::Dim, format!("           {}", one_line(why)))));
    if let Some(item) = &row.item {
        steps.extend(facts(app, item).into_iter().skip(1));
    }
    let is_confirmed = row.item.is_some_and(|item| item.consumed_at.is_some());
    match row.phase {
        _ if is_confirmed => {}
        Phase::Done => {
            let reason = because(row);
            // Only the rollout of the session itself proves it; without it the reason says whose word it is.
            let proof = row.proof.map(|byte| format!(": its rollout shows it at byte {byte}")).unwrap_or_default();
            steps.push((Part::DoneUnseen, format!("done       {}{proof}{reason}", when(row.updated_at))));
        }
        _ => steps.push((Part::Dim, format!("done       not yet: {} has not confirmed it", row.target))),
    }
    steps
}

/// What became of something in an inbox, each fact with its time.
pub(super) fn facts(app: &App, item: &ItemFacts) -> Vec<(Part, String)> {
    let when = |at| format!("{} ago", ago(Some(at), app.now));
    let mut facts = vec![match item.delivered_at {
        Some(at) => (Part::Text, format!("delivered  {}", when(at))),
        None => (Part::Dim, "delivered  not yet".to_owned()),
    }];
    facts.extend(
        item.renewed_at.map(|at| (Part::Text, format!("renewed    {}: more came before it was read", when(at)))),
    );
    facts.extend(item.read_at.map(|at| (Part::Text, format!("read       {}", when(at)))));
    facts.extend(
        item.consumed_at.map(|at| (Part::DoneUnseen, format!("done       {}: its reader has confirmed it", when(at)))),
    );
    facts.extend(item.acknowledged.map(|status| (Part::Text, format!("it says    {status}"))));
    facts
}
