//! The read model of screens and listings: one consistent snapshot, without a look at single events.

use std::collections::HashMap;

use super::{Read, Result, bindings, cycles, deliveries, rollouts, sensors, sessions, tasks};
use crate::{
    base::Timestamp,
    model::{
        board::{Attention, BindingRow, Board, ContextUse, EventBrief, SessionRow, TaskRow},
        judge::{Evidence, Sighting, judge},
        session::{Communication, Registration, Session},
        state::{Condition, Judgement},
        task::Binding,
    },
};

/// Cycles shown with each open task.
const CYCLES_PER_TASK: u32 = 10;

/// Of a closed task only the last cycle is loaded: closed tasks pile up, and nobody waits for them any more.
const CYCLES_PER_CLOSED_TASK: u32 = 1;

/// The whole board as of `now`.
///
/// # Errors
/// SQLite's own error.
pub fn load(r: Read<'_>, ledger: &str, now: Timestamp) -> Result<Board> {
    let sessions = sessions::list(r)?;
    let tasks = tasks::list(r)?;
    let bindings = bindings::list(r)?;
    let mut rollouts: HashMap<String, rollouts::Cursor> =
        rollouts::all_current(r)?.into_iter().map(|cursor| (cursor.session_id.clone(), cursor)).collect();
    let mut sightings: HashMap<String, Vec<Sighting>> = HashMap::new();
    for row in sensors::list(r, None)? {
        sightings.entry(row.session_id.clone()).or_default().push(row.sighting());
    }
    let errors = sessions::ingest_errors(r)?;
    let unread: HashMap<String, u64> =
        deliveries::inboxes(r)?.into_iter().map(|inbox| (inbox.session_id, inbox.unread)).collect();

    let names: HashMap<&str, &str> =
        sessions.iter().map(|session| (session.id.as_str(), session.name.as_str())).collect();
    let task_names: HashMap<&str, &str> = tasks.iter().map(|task| (task.id.as_str(), task.name.as_str())).collect();
    let name_of = |id: &str| names.get(id).map_or_else(|| id.to_owned(), ToString::to_string);
    let binding_of = |session: &Session| {
        bindings.iter().find(|binding| {
            binding.is_in_force()
                && (binding.worker_session_id == session.id || binding.manager_session_id == session.id)
        })
    };

    let mut rows: Vec<SessionRow> = sessions
        .iter()
        .map(|session| {
            let binding = binding_of(session);
            let partner = binding.map(|binding| name_of(binding.other_end(&session.id)));
            let rollout = rollouts.remove(&session.id);
            let seen = sightings.remove(&session.id).unwrap_or_default();
            let mut row = session_row(session, rollout.as_ref(), &seen, now);
            row.task_id = binding.map(|binding| binding.task_id.clone());
            row.task = binding.and_then(|binding| task_names.get(binding.task_id.as_str()).map(ToString::to_string));
            row.partner = partner;
            row.ingest_error = errors.get(&session.id).cloned();
            row.unread = unread.get(&session.id).copied().unwrap_or(0);
            row
        })
        .collect();
    rows.sort_by(|a, b| {
        let age = |row: &SessionRow| row.judgement.since.unwrap_or(Timestamp::from_millis(i64::MAX));
        a.attention.cmp(&b.attention).then(age(a).cmp(&age(b))).then(a.role.cmp(&b.role)).then(a.name.cmp(&b.name))
    });

    let mut task_rows = Vec::with_capacity(tasks.len());
    for task in &tasks {
        let of_task = |binding: &&Binding| binding.task_id == task.id;
        task_rows.push(TaskRow {
            task: task.clone(),
            bindings: bindings
                .iter()
                .filter(of_task)
                .map(|binding| BindingRow {
                    id: binding.id.clone(),
                    state: binding.state,
                    worker: name_of(&binding.worker_session_id),
                    manager: name_of(&binding.manager_session_id),
                    created_at: binding.created_at,
                    ended_at: binding.ended_at,
                })
                .collect(),
            cycles: cycles::brief(
                r,
                &task.id,
                if task.state.is_open() { CYCLES_PER_TASK } else { CYCLES_PER_CLOSED_TASK },
            )?,
        });
    }
    task_rows.sort_by(|a, b| {
        b.task.state.is_open().cmp(&a.task.state.is_open()).then(b.task.created_at.cmp(&a.task.created_at))
    });
    Ok(Board { taken_at: now, ledger: ledger.to_owned(), sessions: rows, tasks: task_rows })
}

/// What everything known about a session adds up to.
///
/// # Errors
/// SQLite's own error.
pub fn judgement(r: Read<'_>, session: &Session, now: Timestamp) -> Result<Judgement> {
    let rollout = rollouts::current(r, &session.id)?;
    let seen: Vec<Sighting> = sensors::list(r, Some(&session.id))?.iter().map(sensors::SensorRow::sighting).collect();
    Ok(judged(session, rollout.as_ref(), &seen, now))
}

fn judged(session: &Session, rollout: Option<&rollouts::Cursor>, seen: &[Sighting], now: Timestamp) -> Judgement {
    let mut judgement = judge(&Evidence {
        registration: session.state,
        rollout: rollout.map(|cursor| cursor.progress.reading()),
        thread_known: session.codex_session_id.is_some() || session.codex_app_thread_id.is_some(),
        rollout_last_at: rollout.and_then(|cursor| cursor.progress.last_at),
        resumed_at: session.resumed_at,
        sightings: seen,
        now,
    });
    if let Some(command) = session.way_back() {
        judgement.reason = format!("{}; `{command}` brings it back", judgement.reason);
    }
    judgement
}

fn session_row(session: &Session, rollout: Option<&rollouts::Cursor>, seen: &[Sighting], now: Timestamp) -> SessionRow {
    let judgement = judged(session, rollout, seen, now);
    let progress = rollout.map(|cursor| &cursor.progress);
    SessionRow {
        id: session.id.clone(),
        name: session.name.clone(),
        role: session.role,
        registration: session.state,
        attention: attention(session.state, &judgement),
        judgement,
        task_id: None,
        task: None,
        partner: None,
        kind: Communication::of(session).session_kind,
        tmux_session: session.tmux_session.clone(),
        tmux_pane_id: session.tmux_pane_id.clone(),
        cwd: session.cwd.clone(),
        codex_session_id: session.codex_session_id.clone(),
        codex_version: session.codex_version.clone(),
        last_event: progress.and_then(|progress| progress.last_event.as_ref()).map(|event| EventBrief {
            label: event.label.clone(),
            text: event.text.clone(),
            at: event.at,
        }),
        context: progress.and_then(|progress| {
            Some(ContextUse { used_tokens: progress.used_tokens?, window_tokens: progress.window_tokens? })
        }),
        ingested_bytes: rollout.map_or(0, |cursor| cursor.next_offset),
        pending_bytes: rollout.map_or(0, |cursor| cursor.pending_bytes),
        ingest_error: None,
        last_heartbeat_at: seen
            .iter()
            .filter(|sighting| sighting.reading.is_some())
            .map(|sighting| sighting.observed_at)
            .chain(session.last_heartbeat_at)
            .max(),
        unread: 0,
    }
}

/// How much a session asks for the operator.
fn attention(registration: Registration, judgement: &Judgement) -> Attention {
    if registration == Registration::Gone {
        return Attention::Gone;
    }
    match judgement.condition {
        Condition::Blocked => Attention::NeedsYou,
        Condition::Aborted => Attention::Failed,
        Condition::Done => Attention::DoneUnseen,
        Condition::Busy => Attention::Working,
        Condition::Idle => Attention::Idle,
        Condition::Unknown => Attention::Unknown,
    }
}
