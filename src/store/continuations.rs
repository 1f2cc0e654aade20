//! Rows of `task_continuations`, `continuation_reviews` and what belongs to them: who proposes to do what next, how it is
//! judged, and what waits for a person.

mod questions;

use rusqlite::{OptionalExtension, Row, named_params};
use serde::Serialize;
use serde_json::Value;

use super::{Read, Result, Write, convert};
use crate::{
    base::{Moment, Timestamp},
    model::supervision::{Agreement, Judgement, NudgeOnCompletion, Proposer, ReviewSource, ReviewVerdict},
};

pub use self::questions::{Question, answer, answer_round, ask, open_questions, question_of_id, questions, supersede};

/// A proposal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Continuation {
    /// Ties it to the other one.
    pub correlation_id: String,
    /// When.
    pub created_at: Timestamp,
    /// Its number.
    pub id: i64,
    /// Who proposed it, in words: an operator may do that for a side.
    pub origin: String,
    /// What is proposed.
    pub payload: Value,
    /// Whose it is.
    pub proposer: Proposer,
    /// Counts the proposals of this one for the task.
    pub revision: u64,
    /// The task.
    pub task_id: String,
}

/// A judgement on two proposals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Review {
    /// What has to be added.
    pub addendum: Option<String>,
    /// How far they agree.
    pub agreement: Agreement,
    /// Ties it to the proposals.
    pub correlation_id: String,
    /// When.
    pub created_at: Timestamp,
    /// Its number.
    pub id: i64,
    /// The manager's proposal.
    pub manager_continuation_id: i64,
    /// A person was asked.
    pub operator_routing_required: bool,
    /// Why, in the reviewer's words.
    pub rationale: String,
    /// Who judged.
    pub source: ReviewSource,
    /// How it was judged, and what held the reviewer.
    pub subagent_run: Value,
    /// The task.
    pub task_id: String,
    /// What is to be done.
    pub verdict: ReviewVerdict,
    /// The worker's proposal.
    pub worker_continuation_id: i64,
}

const PROPOSED: &str = "id, task_id, proposer, origin, payload_json, revision, created_at, correlation_id";

fn continuation(row: &Row<'_>) -> rusqlite::Result<Continuation> {
    Ok(Continuation {
        correlation_id: row.get("correlation_id")?,
        created_at: row.get("created_at")?,
        id: row.get("id")?,
        origin: row.get("origin")?,
        payload: convert::json(row, "payload_json")?,
        proposer: row.get("proposer")?,
        revision: convert::count(row, "revision")?,
        task_id: row.get("task_id")?,
    })
}

/// Records a proposal, with the next revision.
///
/// # Errors
/// SQLite's own error.
pub fn propose(
    w: &Write<'_>,
    task_id: &str,
    proposer: Proposer,
    origin: &str,
    correlation_id: &str,
    payload: &Value,
    now: Timestamp,
) -> Result<Continuation> {
    let sql = format!(
        "insert into task_continuations (task_id, proposer, origin, payload_json, revision, created_at, correlation_id)
         select :task_id, :proposer, :origin, :payload, coalesce(max(revision), 0) + 1, :now, :correlation_id
         from task_continuations where task_id = :task_id and proposer = :proposer
         returning {PROPOSED}"
    );
    let row = w.connection.prepare_cached(&sql)?.query_row(
        named_params! {
            ":task_id": task_id,
            ":proposer": proposer,
            ":origin": origin,
            ":payload": convert::json_text(payload)?,
            ":now": now,
            ":correlation_id": correlation_id,
        },
        continuation,
    )?;
    Ok(row)
}

/// The newest proposal of a round.
///
/// # Errors
/// SQLite's own error.
pub fn newest(r: Read<'_>, task_id: &str, correlation_id: &str, proposer: Proposer) -> Result<Option<Continuation>> {
    let sql = format!(
        "select {PROPOSED} from task_continuations
         where task_id = :task_id and correlation_id = :correlation_id and proposer = :proposer
         order by id desc limit 1"
    );
    let mut statement = r.connection.prepare_cached(&sql)?;
    let params = named_params! { ":task_id": task_id, ":correlation_id": correlation_id, ":proposer": proposer };
    Ok(statement.query_row(params, continuation).optional()?)
}

/// The proposals of a task, the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn of_task(r: Read<'_>, task_id: &str, correlation_id: Option<&str>) -> Result<Vec<Continuation>> {
    let sql = format!(
        "select {PROPOSED} from task_continuations
         where task_id = :task_id and (:correlation_id is null or correlation_id = :correlation_id)
         order by id"
    );
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows =
        statement.query_map(named_params! { ":task_id": task_id, ":correlation_id": correlation_id }, continuation)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The round of a task in which the worker's proposal is in and the manager's is not: the oldest one.
///
/// # Errors
/// SQLite's own error.
pub fn open_round(r: Read<'_>, task_id: &str) -> Result<Option<String>> {
    let mut statement = r.connection.prepare_cached(
        "select w.correlation_id from task_continuations as w
         where w.task_id = :task_id and w.proposer = 'worker' and not exists (
            select 1 from task_continuations as m
            where m.task_id = w.task_id and m.correlation_id = w.correlation_id and m.proposer = 'manager')
         order by w.id limit 1",
    )?;
    Ok(statement.query_row(named_params! { ":task_id": task_id }, |row| row.get(0)).optional()?)
}

/// The newest round of a task in which both proposals are in.
///
/// # Errors
/// SQLite's own error.
pub fn newest_ready(r: Read<'_>, task_id: &str) -> Result<Option<String>> {
    let mut statement = r.connection.prepare_cached(
        "select correlation_id from task_continuations
         where task_id = :task_id and proposer = 'manager' order by id desc limit 1",
    )?;
    Ok(statement.query_row(named_params! { ":task_id": task_id }, |row| row.get(0)).optional()?)
}

/// The rounds of a task in which both proposals are in, that nobody has judged or is judging, and about which nobody was
/// asked: the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn waiting(r: Read<'_>, task_id: &str, now: &Moment) -> Result<Vec<String>> {
    let mut statement = r.connection.prepare_cached(
        "select m.correlation_id from task_continuations as m
         where m.task_id = :task_id and m.proposer = 'manager'
           and not exists (select 1 from continuation_reviews as v where v.manager_continuation_id = m.id)
           and not exists (
             select 1 from operator_questions as q where q.task_id = m.task_id and q.correlation_id = m.correlation_id)
           and not exists (
             select 1 from continuation_review_starts as s
             where s.manager_continuation_id = m.id and s.boot_id = :boot_id and s.give_up_uptime > :uptime)
         order by m.id",
    )?;
    let values = named_params! { ":task_id": task_id, ":boot_id": now.boot_id, ":uptime": now.uptime };
    let rows = statement.query_map(values, |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

const REVIEWED: &str =
    "id, task_id, worker_continuation_id, manager_continuation_id, source, agreement, verdict, addendum,
    rationale, subagent_run_json, operator_routing_required, created_at, correlation_id";

fn review(row: &Row<'_>) -> rusqlite::Result<Review> {
    Ok(Review {
        addendum: row.get("addendum")?,
        agreement: row.get("agreement")?,
        correlation_id: row.get("correlation_id")?,
        created_at: row.get("created_at")?,
        id: row.get("id")?,
        manager_continuation_id: row.get("manager_continuation_id")?,
        operator_routing_required: row.get("operator_routing_required")?,
        rationale: row.get("rationale")?,
        source: row.get("source")?,
        subagent_run: convert::json(row, "subagent_run_json")?,
        task_id: row.get("task_id")?,
        verdict: row.get("verdict")?,
        worker_continuation_id: row.get("worker_continuation_id")?,
    })
}

/// A judgement to be recorded.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of a review")]
pub struct NewReview<'a> {
    pub worker: &'a Continuation,
    pub manager: &'a Continuation,
    pub source: ReviewSource,
    pub judgement: &'a Judgement,
    pub subagent_run: &'a Value,
    pub operator_routing_required: bool,
}

/// Records a judgement.
///
/// # Errors
/// SQLite's own error.
pub fn record_review(w: &Write<'_>, new: &NewReview<'_>, now: Timestamp) -> Result<Review> {
    let sql = format!(
        "insert into continuation_reviews (task_id, worker_continuation_id, manager_continuation_id, source, agreement,
            verdict, addendum, rationale, subagent_run_json, operator_routing_required, created_at, correlation_id)
         values (:task_id, :worker, :manager, :source, :agreement, :verdict, :addendum, :rationale, :run, :routed, :now,
            :correlation_id)
         returning {REVIEWED}"
    );
    let row = w.connection.prepare_cached(&sql)?.query_row(
        named_params! {
            ":task_id": new.manager.task_id,
            ":worker": new.worker.id,
            ":manager": new.manager.id,
            ":source": new.source,
            ":agreement": new.judgement.agreement,
            ":verdict": new.judgement.verdict,
            ":addendum": new.judgement.addendum,
            ":rationale": new.judgement.rationale,
            ":run": convert::json_text(new.subagent_run)?,
            ":routed": new.operator_routing_required,
            ":now": now,
            ":correlation_id": new.manager.correlation_id,
        },
        review,
    )?;
    Ok(row)
}

/// The judgements of a task, the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn reviews(r: Read<'_>, task_id: &str, correlation_id: Option<&str>) -> Result<Vec<Review>> {
    let sql = format!(
        "select {REVIEWED} from continuation_reviews
         where task_id = :task_id and (:correlation_id is null or correlation_id = :correlation_id)
         order by id"
    );
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(named_params! { ":task_id": task_id, ":correlation_id": correlation_id }, review)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The program that reviews for a task, as it was set, as JSON.
///
/// # Errors
/// SQLite's own error.
pub fn reviewer(r: Read<'_>, task_id: &str) -> Result<Option<String>> {
    let mut statement =
        r.connection.prepare_cached("select settings_json from continuation_reviewers where task_id = :task_id")?;
    let found = statement.query_row(named_params! { ":task_id": task_id }, |row| row.get("settings_json"));
    Ok(found.optional()?)
}

/// Sets it; none takes it away.
///
/// # Errors
/// SQLite's own error.
pub fn set_reviewer(w: &Write<'_>, task_id: &str, settings: Option<&Value>, now: Timestamp) -> Result<()> {
    match settings {
        Some(settings) => w
            .connection
            .prepare_cached(
                "insert into continuation_reviewers (task_id, settings_json, updated_at)
                 values (:task_id, :settings, :now)
                 on conflict (task_id) do update set
                    settings_json = excluded.settings_json,
                    updated_at = excluded.updated_at",
            )?
            .execute(named_params! {
                ":task_id": task_id,
                ":settings": convert::json_text(settings)?,
                ":now": now,
            })?,
        None => w
            .connection
            .prepare_cached("delete from continuation_reviewers where task_id = :task_id")?
            .execute(named_params! { ":task_id": task_id })?,
    };
    Ok(())
}

/// Two proposals that wait for a judgement which comes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The task.
    pub task_id: String,
    /// Its name.
    pub task: String,
    /// Ties them together.
    pub correlation_id: String,
    /// The manager's proposal.
    pub manager_continuation_id: i64,
    /// A dispatcher has begun it; whether its time is over, which it is after another boot.
    pub is_over: Option<bool>,
}

/// What waits for a judgement under the terms of open tasks: begun or not, and nobody asked instead. What was begun
/// before the terms gave it to the operator is among it.
///
/// # Errors
/// SQLite's own error.
pub fn due(r: Read<'_>, now: &Moment) -> Result<Vec<Due>> {
    let mut statement = r.connection.prepare_cached(
        "select t.id as task_id, t.name, m.correlation_id, m.id,
            s.boot_id <> :boot_id or s.give_up_uptime <= :uptime as is_over
         from manager_configs as c
         join tasks as t on t.id = c.task_id and t.state in ('candidate', 'managed', 'paused')
         join task_continuations as m on m.task_id = t.id and m.proposer = 'manager'
         left join continuation_review_starts as s on s.manager_continuation_id = m.id
         where (c.nudge_on_completion in ('auto-review', 'auto-proceed')
             or (c.nudge_on_completion = 'ask-operator' and s.manager_continuation_id is not null))
           and not exists (select 1 from continuation_reviews as v where v.manager_continuation_id = m.id)
           and not exists (
             select 1 from operator_questions as q where q.task_id = t.id and q.correlation_id = m.correlation_id)
         order by m.id",
    )?;
    let values = named_params! { ":boot_id": now.boot_id, ":uptime": now.uptime };
    let rows = statement.query_map(values, |row| {
        Ok(Due {
            task_id: row.get("task_id")?,
            task: row.get("name")?,
            correlation_id: row.get("correlation_id")?,
            manager_continuation_id: row.get("id")?,
            is_over: row.get("is_over")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Takes the right to begin a judgement; false when somebody has it.
///
/// # Errors
/// SQLite's own error.
pub fn begin_review(w: &Write<'_>, manager_continuation_id: i64, now: &Moment, give_up_uptime: i64) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached(
            "insert into continuation_review_starts (manager_continuation_id, started_at, boot_id, give_up_uptime)
             values (:id, :now, :boot_id, :give_up_uptime)
             on conflict (manager_continuation_id) do nothing",
        )?
        .execute(named_params! {
            ":id": manager_continuation_id,
            ":now": now.wall,
            ":boot_id": now.boot_id,
            ":give_up_uptime": give_up_uptime,
        })?;
    Ok(changed == 1)
}

/// Takes up the review of two proposals: one that a dispatcher has begun and nobody has taken up, or a new one. False
/// when it is under way somewhere else, unless `anyway`.
///
/// # Errors
/// SQLite's own error.
pub fn take_review(
    w: &Write<'_>,
    manager_continuation_id: i64,
    now: &Moment,
    give_up_uptime: i64,
    anyway: bool,
) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached(
            "insert into continuation_review_starts (
                manager_continuation_id, started_at, boot_id, give_up_uptime, taken_at)
             values (:id, :now, :boot_id, :give_up_uptime, :now)
             on conflict (manager_continuation_id) do update set
                boot_id = excluded.boot_id,
                give_up_uptime = excluded.give_up_uptime,
                taken_at = excluded.taken_at
             where continuation_review_starts.taken_at is null
                or continuation_review_starts.boot_id <> :boot_id
                or continuation_review_starts.give_up_uptime <= :uptime
                or :anyway",
        )?
        .execute(named_params! {
            ":id": manager_continuation_id,
            ":now": now.wall,
            ":boot_id": now.boot_id,
            ":uptime": now.uptime,
            ":give_up_uptime": give_up_uptime,
            ":anyway": anyway,
        })?;
    Ok(changed == 1)
}

/// What the terms of a task say about two proposals; asking a person when there are none.
///
/// # Errors
/// SQLite's own error.
pub fn mode(r: Read<'_>, task_id: &str) -> Result<NudgeOnCompletion> {
    let config = super::manager_configs::of_task(r, task_id)?;
    Ok(config.map_or(NudgeOnCompletion::AskOperator, |config| config.terms.nudge_on_completion))
}
