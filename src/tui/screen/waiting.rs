//! A message that waits: that it does, why, what comes next by itself, and what the operator can do.

use super::delivery::{name, who};
use crate::{
    actions::Deliveries,
    base::{
        Timestamp,
        text::{age, one_line},
    },
    model::{
        deliveries::CommandRow,
        delivery::{CommandKind, Phase},
        state::Condition,
    },
    tui::{app::App, keymap::Intent, theme::Part},
};

/// Why it waits, what has to happen first, and what makes it happen when the program does not do it by itself; none
/// where that is not known.
struct Waits {
    why: String,
    next: String,
    remedy: Option<(Part, String)>,
}

/// It in lines, each with what it tells at its beginning.
pub(super) fn lines(app: &App, deliveries: &Deliveries, row: &CommandRow) -> Vec<(Part, String)> {
    let Waits { why, next, remedy } = of(app, deliveries, row);
    let end = row.expires_at.map(|at| match until(at, app.now) {
        Some(left) => format!("; given up if it has not gone out in {}", age(left)),
        None => "; its time has run out".to_owned(),
    });
    let mut lines = vec![
        (Part::Working, format!("waits      {why}")),
        (Part::Text, format!("next       {next}{}", end.unwrap_or_default())),
    ];
    lines.extend(remedy.map(|(part, text)| (part, format!("to go on   {text}"))));
    lines
}

fn of(app: &App, deliveries: &Deliveries, row: &CommandRow) -> Waits {
    let health = &deliveries.health;
    let is_paused = |task: &String| health.pauses.iter().any(|pause| pause.scope == *task);
    if health.paused {
        return Waits {
            why: "dispatch is paused: nothing goes out anywhere".to_owned(),
            next: "it goes out when dispatch goes on".to_owned(),
            remedy: Some((Part::Key, format!("{} lets it go on", app.key(Intent::Pause)))),
        };
    }
    if row.task_id.as_ref().is_some_and(is_paused) {
        let task = row.task.as_deref().unwrap_or("its task");
        return Waits {
            why: format!("deliveries of {task} are paused"),
            next: "it goes out when they go on".to_owned(),
            remedy: Some((Part::Key, format!("`conveyor dispatch resume --task {task}`"))),
        };
    }
    if who(deliveries).is_none() {
        return Waits {
            why: "nobody dispatches".to_owned(),
            next: "nothing until somebody does".to_owned(),
            remedy: Some((Part::Key, "`conveyor dispatch --watch --detach` delivers in the background".to_owned())),
        };
    }
    if let Some(first) = before(deliveries, row) {
        return Waits {
            why: format!("for its turn: {} goes out before it", name(first)),
            next: format!("it goes out when {} has that one", first.target),
            remedy: remedy(app, first),
        };
    }
    Waits {
        why: row
            .reason
            .as_deref()
            .map(one_line)
            .filter(|reason| !reason.is_empty())
            .unwrap_or_else(|| "for its turn".to_owned()),
        next: match row.next_try_at.map(|at| until(at, app.now)) {
            Some(Some(left)) => format!("tried again in {}", age(left)),
            Some(None) => "its next try is due now".to_owned(),
            None => format!("it goes out as soon as {} can take it", row.target),
        },
        remedy: remedy(app, row),
    }
}

/// What lets the message go on that is next in the line of its session. What stands in its way may be a matter of the
/// session's own screen, where only a person gets it out of the way.
fn remedy(app: &App, row: &CommandRow) -> Option<(Part, String)> {
    let session = app.board().and_then(|board| board.sessions.iter().find(|session| session.id == row.target_id));
    let on_screen = |intent, does: String| Some((Part::Key, app.key_that(intent, &does)?));
    let given = row.reason.as_deref().is_some_and(|reason| !reason.trim().is_empty());
    match session {
        Some(session) if session.judgement.condition == Condition::Blocked => {
            on_screen(Intent::Answer, format!("on {} answers it", session.name))
        }
        Some(session) if given && session.tmux_pane_id.is_some() => {
            on_screen(Intent::Attach, format!("on {} shows its pane", session.name))
        }
        _ if given => None,
        _ => Some((Part::Dim, "nothing has to be done".to_owned())),
    }
}

/// The seconds until a moment that is to come, begun ones counted whole.
fn until(at: Timestamp, now: Timestamp) -> Option<i64> {
    let millis = at.as_millis() - now.as_millis();
    (millis > 0).then(|| (millis + 999) / 1_000)
}

/// The message that stands first in the line of the same session, when that is another one.
fn before<'a>(deliveries: &'a Deliveries, row: &CommandRow) -> Option<&'a CommandRow> {
    // A word that something lies in an inbox goes past the others and holds nobody up.
    let holds = |other: &CommandRow| other.phase.holds_the_line() && other.kind != CommandKind::WorkerTaskComplete;
    let in_line = deliveries
        .commands
        .iter()
        .filter(|other| other.target_id == row.target_id && other.seq < row.seq && holds(other));
    in_line.min_by_key(|other| (other.phase == Phase::Queued, other.seq))
}
