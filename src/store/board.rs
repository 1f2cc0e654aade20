//! The read model of screens and listings: one consistent snapshot, without a look at single events.

use std::collections::HashMap;

use super::{
    Read, Result, audit, bindings, criteria, cycles, deliveries, marks, questions, rollouts, sensors, sessions, tasks,
};
use crate::{
    base::Timestamp,
    model::{
        board::{Attention, BindingRow, Board, DecisionRow, EventBrief, SessionRow, TaskRow},
        family::Parent,
        interruption::{self, OnPurpose},
        judge::{Evidence, Sighting, judge},
        marks::{MarksView, Standing},
        progress::EndKind,
        rollout::{Head, SessionSource},
        session::{Communication, Parting, Registration, Session},
        state::{Condition, Judgement},
        supervision::CriteriaSummary,
        task::{Binding, Task},
        usage,
    },
};

/// Cycles shown with each open task.
const CYCLES_PER_TASK: u32 = 10;

/// Lines of the audit trail shown with each open task.
const DECISIONS_PER_TASK: u32 = 8;

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
    let mut marks = marks::all(r)?;
    let asking = questions::asking(r)?;
    let criteria = criteria::summaries(r)?;

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
            let marks = marks.sessions.remove(&session.id).unwrap_or_default();
            let on_purpose = on_purpose(r, session, rollout.as_ref())?;
            // Nobody can answer what one asks that is gone.
            let asking = asking.get(&session.id).filter(|_| session.state == Registration::Active);
            let asked_since = asking.map(|asking| asking.since);
            let beside = Beside { asked_since, on_purpose, left: left(r, session)? };
            let mut row = session_row(session, rollout.as_ref(), &seen, &beside, now);
            let rollout = rollout.as_ref().map(|cursor| (cursor.path.as_str(), cursor.generation));
            let asked_at = asking.map(|asking| asking.newest_at);
            row.asks = asking.and_then(|asking| asking.asks.clone());
            row.marks = marks.of_session(Standing { judgement: &row.judgement, rollout, asked_at }, now);
            row.attention = attention(session.state, &row.judgement, &row.marks);
            row.task_id = binding.map(|binding| binding.task_id.clone());
            row.task = binding.and_then(|binding| task_names.get(binding.task_id.as_str()).map(ToString::to_string));
            row.criteria = binding.map(|binding| criteria.get(&binding.task_id).copied().unwrap_or_default());
            row.partner = partner;
            row.ingest_error = errors.get(&session.id).cloned();
            if let Some(parent) = &mut row.parent {
                parent.session = session_of_thread(&sessions, &parent.thread_id);
            }
            row.unread = unread.get(&session.id).copied().unwrap_or(0);
            Ok(row)
        })
        .collect::<Result<_>>()?;
    rows.sort_by(|a, b| {
        a.urgency(now).cmp(&b.urgency(now)).then(a.role.cmp(&b.role)).then_with(|| a.name.cmp(&b.name))
    });

    let mut task_rows = Vec::with_capacity(tasks.len());
    for task in tasks {
        let limit = if task.state.is_open() { CYCLES_PER_TASK } else { CYCLES_PER_CLOSED_TASK };
        let cycles = cycles::brief(r, &task.id, limit)?;
        let marks = marks.tasks.remove(&task.id).unwrap_or_default();
        let decisions = if task.state.is_open() { decisions(r, &task.id)? } else { Vec::new() };
        let criteria = criteria.get(&task.id).copied().unwrap_or_default();
        let row = task_row(task, &bindings, &name_of, marks.of_task(now));
        task_rows.push(TaskRow { cycles, criteria, decisions, ..row });
    }
    task_rows.sort_by(|a, b| {
        b.task.state.is_open().cmp(&a.task.state.is_open()).then(b.task.created_at.cmp(&a.task.created_at))
    });
    Ok(Board { taken_at: now, ledger: ledger.to_owned(), sessions: rows, tasks: task_rows })
}

/// All tasks, the oldest first, without their cycles.
///
/// # Errors
/// SQLite's own error.
pub fn tasks(r: Read<'_>, now: Timestamp) -> Result<Vec<TaskRow>> {
    let bindings = bindings::list(r)?;
    let names: HashMap<String, String> =
        sessions::list(r)?.into_iter().map(|session| (session.id, session.name)).collect();
    let name_of = |id: &str| names.get(id).cloned().unwrap_or_else(|| id.to_owned());
    let mut marks = marks::all(r)?.tasks;
    let criteria = criteria::summaries(r)?;
    let mut row = |task: Task| {
        let marks = marks.remove(&task.id).unwrap_or_default().of_task(now);
        let criteria = criteria.get(&task.id).copied().unwrap_or_default();
        TaskRow { criteria, ..task_row(task, &bindings, &name_of, marks) }
    };
    Ok(tasks::list(r)?.into_iter().map(&mut row).collect())
}

fn decisions(r: Read<'_>, task_id: &str) -> Result<Vec<DecisionRow>> {
    let trail = audit::list(r, &audit::Subject::Task(task_id.to_owned()), None, DECISIONS_PER_TASK)?;
    let row = |row: audit::AuditRow| DecisionRow { at: row.created_at, actor: row.actor, kind: row.kind };
    Ok(trail.into_iter().rev().map(row).collect())
}

fn task_row(task: Task, bindings: &[Binding], name_of: &dyn Fn(&str) -> String, marks: MarksView) -> TaskRow {
    let bindings = bindings
        .iter()
        .filter(|binding| binding.task_id == task.id)
        .map(|binding| BindingRow {
            id: binding.id.clone(),
            state: binding.state,
            worker: name_of(&binding.worker_session_id),
            manager: name_of(&binding.manager_session_id),
            created_at: binding.created_at,
            ended_at: binding.ended_at,
        })
        .collect();
    TaskRow { task, marks, criteria: CriteriaSummary::default(), bindings, cycles: Vec::new(), decisions: Vec::new() }
}

/// What everything known about a session adds up to.
///
/// # Errors
/// SQLite's own error.
pub fn judgement(r: Read<'_>, session: &Session, now: Timestamp) -> Result<Judgement> {
    let rollout = rollouts::current(r, &session.id)?;
    let seen: Vec<Sighting> = sensors::list(r, Some(&session.id))?.iter().map(sensors::SensorRow::sighting).collect();
    let on_purpose = on_purpose(r, session, rollout.as_ref())?;
    let asked_since = questions::asking(r)?.get(&session.id).map(|asking| asking.since);
    let beside = Beside { asked_since, on_purpose, left: left(r, session)? };
    Ok(judged(session, rollout.as_ref(), &seen, &beside, now))
}

/// What the ledger knows of a session beside its rollout and its sensors.
struct Beside {
    /// Since when its oldest open question is open.
    asked_since: Option<Timestamp>,
    /// Who ended its last turn on purpose.
    on_purpose: Option<OnPurpose>,
    /// How and when it was left that is gone, when that is on record.
    left: Option<(Parting, Timestamp)>,
}

/// How and when a session was left; none while it is not gone.
fn left(r: Read<'_>, session: &Session) -> Result<Option<(Parting, Timestamp)>> {
    if session.state == Registration::Gone { audit::parting(r, &session.id) } else { Ok(None) }
}

/// Who ended the last turn on purpose, when it was cut off and this program has it on record.
fn on_purpose(r: Read<'_>, session: &Session, rollout: Option<&rollouts::Cursor>) -> Result<Option<OnPurpose>> {
    let progress = rollout.map(|cursor| &cursor.progress).filter(|progress| progress.open_turn.is_none());
    let end = progress.and_then(|progress| progress.last_end.as_ref()).filter(|end| end.kind == EndKind::Aborted);
    let Some(end) = end else { return Ok(None) };
    audit::on_purpose(r, &session.id, end.into())
}

/// What the rollout of a session tells beside its state.
#[derive(Debug, Default)]
pub struct Family {
    /// How full the model's context is.
    pub context: Option<usage::ContextUse>,
    /// Tokens and account limits.
    pub tokens: Option<usage::TokenUse>,
    /// The thread that started this one.
    pub parent: Option<Parent>,
}

/// What the rollout of a session tells of its use of tokens and of where it comes from.
///
/// # Errors
/// SQLite's own error.
pub fn family(r: Read<'_>, session: &Session) -> Result<Family> {
    let Some(rollout) = rollouts::current(r, &session.id)? else { return Ok(Family::default()) };
    let (context, tokens) = usage::of(&rollout.progress);
    let mut parent = rollout.progress.head.as_ref().and_then(parent);
    if let Some(parent) = &mut parent {
        parent.session = session_of_thread(&sessions::list(r)?, &parent.thread_id);
    }
    Ok(Family { context, tokens, parent })
}

/// What the operator has put on a session, as it stands at the moment `now`.
///
/// # Errors
/// SQLite's own error.
pub fn marks_of(r: Read<'_>, session: &Session, now: Timestamp) -> Result<MarksView> {
    let judgement = judgement(r, session, now)?;
    let rollout = rollouts::current(r, &session.id)?;
    let rollout = rollout.as_ref().map(|cursor| (cursor.path.as_str(), cursor.generation));
    let asked_at = questions::open(r, &session.id)?.into_iter().map(|asked| asked.opened_at).max();
    let standing = Standing { judgement: &judgement, rollout, asked_at };
    Ok(marks::of(r, marks::Subject::Session(&session.id))?.of_session(standing, now))
}

fn judged(
    session: &Session,
    rollout: Option<&rollouts::Cursor>,
    seen: &[Sighting],
    beside: &Beside,
    now: Timestamp,
) -> Judgement {
    let read = rollout.map(|cursor| cursor.progress.reading());
    let read = match (read, &beside.on_purpose) {
        (Some(reading), Some(known)) if reading.condition == Condition::Aborted => Some(known.tells(reading)),
        (reading, _) => reading,
    };
    let mut judgement = judge(&Evidence {
        registration: session.state,
        rollout: read,
        thread_known: session.codex_session_id.is_some() || session.codex_app_thread_id.is_some(),
        rollout_last_at: rollout.and_then(|cursor| cursor.progress.last_at),
        resumed_at: session.resumed_at,
        asked_since: beside.asked_since,
        sightings: seen,
        now,
    });
    if session.state == Registration::Gone {
        judgement = judgement.left(beside.left, now);
        let how = beside.left.map_or(Parting::Stopped, |(how, _)| how);
        if let Some(command) = session.way_back(how) {
            judgement.reason = format!("{}; `{command}` brings it back", judgement.reason);
        }
    }
    judgement
}

/// A session by itself; what lies beside it in the ledger comes later, and with it how much it asks for.
fn session_row(
    session: &Session,
    rollout: Option<&rollouts::Cursor>,
    seen: &[Sighting],
    beside: &Beside,
    now: Timestamp,
) -> SessionRow {
    let judgement = judged(session, rollout, seen, beside, now);
    let progress = rollout.map(|cursor| &cursor.progress);
    let (context, tokens) = progress.map(usage::of).unwrap_or_default();
    SessionRow {
        id: session.id.clone(),
        name: session.name.clone(),
        role: session.role,
        registration: session.state,
        attention: Attention::Unknown,
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
        context,
        tokens,
        parent: progress.and_then(|progress| progress.head.as_ref()).and_then(parent),
        agents: progress.map(|progress| progress.agents.clone()).unwrap_or_default(),
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
        marks: MarksView::default(),
        asks: None,
        criteria: None,
    }
}

/// The name of the session that has a thread now.
fn session_of_thread(sessions: &[Session], thread_id: &str) -> Option<String> {
    let active = sessions.iter().filter(|session| session.state == Registration::Active);
    let mut its = active.filter(|session| session.codex_session_id.as_deref() == Some(thread_id));
    its.next().map(|session| session.name.clone())
}

/// The thread that started a sub-agent's.
fn parent(head: &Head) -> Option<Parent> {
    match &head.source {
        SessionSource::SubAgent { parent: Some(thread_id), path } => {
            Some(Parent { thread_id: thread_id.clone(), session: None, path: path.clone() })
        }
        _ => None,
    }
}

/// How much a session asks for the operator.
fn attention(registration: Registration, judgement: &Judgement, marks: &MarksView) -> Attention {
    if registration == Registration::Gone {
        return Attention::Gone;
    }
    match judgement.condition {
        Condition::Blocked => Attention::NeedsYou,
        Condition::Aborted if interruption::is_on_purpose(&judgement.rule) => Attention::Idle,
        Condition::Aborted => Attention::Failed,
        Condition::Done if marks.unread => Attention::DoneUnseen,
        Condition::Busy => Attention::Working,
        Condition::Done | Condition::Idle => Attention::Idle,
        Condition::Unknown => Attention::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            pane::Prompt,
            question::{Question, Verdict},
            state::{Reading, Source},
        },
        store::{Error, Store},
    };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// A screen says the same of two questions in a row, so that its word keeps the time of the first.
    #[test]
    fn a_session_needs_somebody_since_its_present_question_was_put() {
        let store = Store::with_session(Registration::Active);
        let reading = Reading {
            source: Source::Screen,
            condition: Condition::Blocked,
            rule: "question".to_owned(),
            reason: "the screen shows a question".to_owned(),
            at: Some(at(1_000)),
            byte_offset: None,
        };
        let question = Question {
            id: "q-2".to_owned(),
            source: Source::Screen,
            kind: Prompt::Question,
            asks: Some("Which one?".to_owned()),
            cwd: None,
            files: Vec::new(),
            reason: None,
            since: None,
            choices: Vec::new(),
            answers: Vec::<Verdict>::new(),
            not_approvable: None,
        };
        store
            .write(|w| {
                let row = sensors::SensorRow {
                    session_id: "s".to_owned(),
                    source: Source::Screen,
                    observed_at: at(69_000),
                    changed_at: at(69_000),
                    reading: Some(reading),
                    detail: sensors::Detail::default(),
                    error: None,
                };
                sensors::save(w, &row)?;
                questions::note(w, "s", &[question], at(61_000))?;
                Ok::<_, Error>(())
            })
            .unwrap();
        let now = at(70_000);
        let board = store.read(|r| load(r, "", now)).unwrap();
        let row = &board.sessions[0];
        assert_eq!((row.attention, row.asks.as_deref()), (Attention::NeedsYou, Some("Which one?")));
        assert_eq!((row.judgement.since, row.judgement.age_seconds), (Some(at(61_000)), Some(9)));
        let session = store.read(|r| sessions::by_id(r, "s")).unwrap().unwrap();
        let told = store.read(|r| judgement(r, &session, now)).unwrap();
        assert_eq!(told.since, Some(at(61_000)), "every command tells the same age");
    }

    #[test]
    fn a_session_that_is_gone_says_how_and_since_when() {
        let told = |kind: &str| {
            let store = Store::with_session(Registration::Gone);
            store
                .write(|w| {
                    let about = audit::About { task_id: None, session_id: Some("s") };
                    if !kind.is_empty() {
                        audit::append(w, at(61_000), audit::Actor::Operator, kind, about, &serde_json::json!({}))?;
                    }
                    Ok::<_, Error>(())
                })
                .unwrap();
            let board = store.read(|r| load(r, "", at(70_000))).unwrap();
            let judgement = board.sessions[0].judgement.clone();
            (judgement.reason, judgement.since, judgement.age_seconds)
        };
        let (reason, since, age) = told("session_stopped");
        assert!(reason.starts_with("it was stopped") && !reason.contains("deregistered"), "{reason}");
        assert_eq!((since, age), (Some(at(61_000)), Some(9)));
        assert!(told("session_deregistered").0.starts_with("it was deregistered"));
        let (reason, since, _) = told("");
        assert!(reason.starts_with("it was stopped or deregistered") && since.is_none(), "{reason}");
    }
}
