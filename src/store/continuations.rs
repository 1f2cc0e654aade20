//! Rows of `task_continuations`, `continuation_reviews` and what belongs to them: who proposes to do what next, how it is
//! judged, and what waits for a person.

use rusqlite::{OptionalExtension, Row, named_params};
use serde::Serialize;
use serde_json::Value;

use super::{Read, Result, Write, convert};
use crate::{
    base::{Moment, Timestamp},
    model::supervision::{
        Agreement, Judgement, NudgeOnCompletion, OperatorQuestion, Proposer, ReviewSource, ReviewVerdict,
    },
};

/// A proposal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Continuation {
    /// Ties it to the other one.
    pub correlation_id: String,
    /// When.
    pub created_at: Timestamp,
    /// Its number.
    pub id: i64,
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

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// What was answered.
    pub answer: Option<ReviewVerdict>,
    /// When.
    pub answered_at: Option<Timestamp>,
    /// Ties it to the proposals.
    pub correlation_id: String,
    /// When it was put.
    pub created_at: Timestamp,
    /// Its number.
    pub id: i64,
    /// Why it is put.
    pub kind: OperatorQuestion,
    /// What came with the answer.
    pub note: Option<String>,
    /// The same in words.
    pub reason: String,
    /// The judgement that led to it.
    pub review_id: Option<i64>,
    /// The task's name.
    pub task: String,
    /// The task.
    pub task_id: String,
}

const PROPOSED: &str = "id, task_id, proposer, payload_json, revision, created_at, correlation_id";

fn continuation(row: &Row<'_>) -> rusqlite::Result<Continuation> {
    Ok(Continuation {
        correlation_id: row.get("correlation_id")?,
        created_at: row.get("created_at")?,
        id: row.get("id")?,
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

/// The rounds of a task in which both proposals are in, that nobody has judged, and about which nobody was asked: the
/// oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn waiting(r: Read<'_>, task_id: &str) -> Result<Vec<String>> {
    let mut statement = r.connection.prepare_cached(
        "select m.correlation_id from task_continuations as m
         where m.task_id = :task_id and m.proposer = 'manager'
           and not exists (select 1 from continuation_reviews as v where v.manager_continuation_id = m.id)
           and not exists (
             select 1 from operator_questions as q where q.task_id = m.task_id and q.correlation_id = m.correlation_id)
         order by m.id",
    )?;
    let rows = statement.query_map(named_params! { ":task_id": task_id }, |row| row.get(0))?;
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

/// What waits for a judgement under the terms of open tasks: begun or not, and nobody asked instead.
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
         where c.nudge_on_completion in ('auto-review', 'auto-proceed')
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

const ASKED: &str = "q.id, q.task_id, t.name as task, q.kind, q.correlation_id, q.review_id, q.reason, q.created_at,
    q.answer, q.note, q.answered_at";

fn question(row: &Row<'_>) -> rusqlite::Result<Question> {
    Ok(Question {
        answer: row.get("answer")?,
        answered_at: row.get("answered_at")?,
        correlation_id: row.get("correlation_id")?,
        created_at: row.get("created_at")?,
        id: row.get("id")?,
        kind: row.get("kind")?,
        note: row.get("note")?,
        reason: row.get("reason")?,
        review_id: row.get("review_id")?,
        task: row.get("task")?,
        task_id: row.get("task_id")?,
    })
}

/// Puts a question to a person: once for each round and kind as long as it is open. An answer is never taken away.
///
/// # Errors
/// SQLite's own error.
pub fn ask(
    w: &Write<'_>,
    task_id: &str,
    kind: OperatorQuestion,
    correlation_id: &str,
    review_id: Option<i64>,
    reason: &str,
    now: Timestamp,
) -> Result<()> {
    w.connection
        .prepare_cached(
            "insert into operator_questions (task_id, kind, correlation_id, review_id, reason, created_at)
             values (:task_id, :kind, :correlation_id, :review_id, :reason, :now)
             on conflict (task_id, correlation_id, kind) where answered_at is null do update set
                review_id = excluded.review_id,
                reason = excluded.reason,
                created_at = excluded.created_at",
        )?
        .execute(named_params! {
            ":task_id": task_id,
            ":kind": kind,
            ":correlation_id": correlation_id,
            ":review_id": review_id,
            ":reason": reason,
            ":now": now,
        })?;
    Ok(())
}

/// Questions to a person, the oldest first; the answered ones too when `all`.
///
/// # Errors
/// SQLite's own error.
pub fn questions(r: Read<'_>, task_id: Option<&str>, all: bool) -> Result<Vec<Question>> {
    let sql = format!(
        "select {ASKED} from operator_questions as q join tasks as t on t.id = q.task_id
         where (:task_id is null or q.task_id = :task_id) and (:all or q.answered_at is null)
         order by q.id"
    );
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(named_params! { ":task_id": task_id, ":all": all }, question)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Answers every open question of the round that this question belongs to; the answered one, none when it is not open.
///
/// # Errors
/// SQLite's own error.
pub fn answer(
    w: &Write<'_>,
    id: i64,
    answer: ReviewVerdict,
    note: Option<&str>,
    now: Timestamp,
) -> Result<Option<Question>> {
    let changed = w
        .connection
        .prepare_cached(
            "update operator_questions set answer = :answer, note = :note, answered_at = :now
             where answered_at is null and exists (
                select 1 from operator_questions as q
                where q.id = :id and q.answered_at is null and q.task_id = operator_questions.task_id
                  and q.correlation_id = operator_questions.correlation_id)",
        )?
        .execute(named_params! { ":id": id, ":answer": answer, ":note": note, ":now": now })?;
    if changed == 0 {
        return Ok(None);
    }
    let sql =
        format!("select {ASKED} from operator_questions as q join tasks as t on t.id = q.task_id where q.id = :id");
    Ok(w.connection.prepare_cached(&sql)?.query_row(named_params! { ":id": id }, question).optional()?)
}

/// Answers every open question of a round; those that were open, the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn answer_round(
    w: &Write<'_>,
    task_id: &str,
    correlation_id: &str,
    verdict: ReviewVerdict,
    note: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Question>> {
    let open = questions(w.read(), Some(task_id), /*all*/ false)?;
    let mut open: Vec<Question> = open.into_iter().filter(|one| one.correlation_id == correlation_id).collect();
    // One answer settles them all.
    if let Some(first) = open.first() {
        answer(w, first.id, verdict, note, now)?;
    }
    for one in &mut open {
        one.answer = Some(verdict);
        one.note = note.map(str::to_owned);
        one.answered_at = Some(now);
    }
    Ok(open)
}

/// What the terms of a task say about two proposals; asking a person when there are none.
///
/// # Errors
/// SQLite's own error.
pub fn mode(r: Read<'_>, task_id: &str) -> Result<NudgeOnCompletion> {
    let config = super::manager_configs::of_task(r, task_id)?;
    Ok(config.map_or(NudgeOnCompletion::AskOperator, |config| config.terms.nudge_on_completion))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Error, Store};

    #[test]
    fn a_question_that_is_put_again_leaves_the_answer_to_the_first_one() {
        let store = Store::memory().unwrap();
        let at = Timestamp::from_millis;
        store
            .write(|w| {
                w.connection.execute_batch(
                    "insert into tasks (id, name, goal, state, created_at, updated_at)
                     values ('t', 'parser', 'g', 'managed', '2026-11-21T02:00:00.000Z', '2026-11-21T02:00:00.000Z')",
                )?;
                let ask = |why: &str, now| ask(w, "t", OperatorQuestion::ReviewFailed, "r1", None, why, at(now));
                ask("first", 1)?;
                ask("again", 2)?;
                let open = questions(w.read(), Some("t"), /*all*/ true)?;
                assert_eq!((open.len(), &*open[0].reason), (1, "again"), "one as long as it is open");
                answer(w, open[0].id, ReviewVerdict::Stop, Some("no"), at(3))?.unwrap();
                ask("later", 4)?;
                let both = questions(w.read(), Some("t"), true)?;
                let told: Vec<_> = both.iter().map(|one| (&*one.reason, one.answer, one.note.as_deref())).collect();
                assert_eq!(told, [("again", Some(ReviewVerdict::Stop), Some("no")), ("later", None, None)]);
                Ok::<_, Error>(())
            })
            .unwrap();
    }
}
