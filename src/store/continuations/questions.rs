//! Rows of `operator_questions`: what waits for a person.

use rusqlite::{OptionalExtension, Row, named_params};
use serde::Serialize;

use super::{Read, Result, Write, convert};
use crate::{
    base::Timestamp,
    model::{
        supervision::{OperatorQuestion, ReviewVerdict},
        task::TaskState,
    },
};

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
    /// When it was closed without an answer, because a later review made it pointless.
    pub superseded_at: Option<Timestamp>,
    /// That review.
    pub superseded_by: Option<i64>,
    /// The task's name.
    pub task: String,
    /// The task.
    pub task_id: String,
    /// Where the task stands: of one that has ended nobody is told the answer.
    pub task_state: TaskState,
}

const ASKED: &str = "q.id, q.task_id, t.name as task, q.kind, q.correlation_id, q.review_id, q.reason, q.created_at,
    q.answer, q.note, q.answered_at, q.superseded_at, q.superseded_by, t.state as task_state";

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
        superseded_at: row.get("superseded_at")?,
        superseded_by: row.get("superseded_by")?,
        task: row.get("task")?,
        task_id: row.get("task_id")?,
        task_state: row.get("task_state")?,
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
             on conflict (task_id, correlation_id, kind) where answered_at is null and superseded_at is null
             do update set
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

// Counted over the index of the open ones, for callers of every few seconds.
const OPEN_QUESTIONS: &str =
    "select count(*) as number from operator_questions where answered_at is null and superseded_at is null";

/// Questions to a person, the oldest first; the closed ones too when `all`.
///
/// # Errors
/// SQLite's own error.
pub fn questions(r: Read<'_>, task_id: Option<&str>, all: bool) -> Result<Vec<Question>> {
    let sql = format!(
        "select {ASKED} from operator_questions as q join tasks as t on t.id = q.task_id
         where (:task_id is null or q.task_id = :task_id) and (:all or (q.answered_at is null and q.superseded_at is null))
         order by q.id"
    );
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(named_params! { ":task_id": task_id, ":all": all }, question)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many questions to a person are open.
///
/// # Errors
/// SQLite's own error.
pub fn open_questions(r: Read<'_>) -> Result<u64> {
    let mut statement = r.connection.prepare_cached(OPEN_QUESTIONS)?;
    Ok(statement.query_row([], |row| convert::count(row, "number"))?)
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
             where answered_at is null and superseded_at is null and exists (
                select 1 from operator_questions as q
                where q.id = :id and q.answered_at is null and q.superseded_at is null and q.task_id = operator_questions.task_id
                  and q.correlation_id = operator_questions.correlation_id)",
        )?
        .execute(named_params! { ":id": id, ":answer": answer, ":note": note, ":now": now })?;
    if changed == 0 {
        return Ok(None);
    }
    question_of_id(w.read(), id)
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

/// The question of this number, open or closed.
///
/// # Errors
/// SQLite's own error.
pub fn question_of_id(r: Read<'_>, id: i64) -> Result<Option<Question>> {
    let sql =
        format!("select {ASKED} from operator_questions as q join tasks as t on t.id = q.task_id where q.id = :id");
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":id": id }, question).optional()?)
}

/// Closes the open question of a round why there was no review: there is one now. The number of that question, if one
/// was open.
///
/// # Errors
/// SQLite's own error.
pub fn supersede(
    w: &Write<'_>,
    task_id: &str,
    correlation_id: &str,
    review_id: i64,
    now: Timestamp,
) -> Result<Option<i64>> {
    let mut statement = w.connection.prepare_cached(
        "update operator_questions set superseded_by = :review_id, superseded_at = :now
         where answered_at is null and superseded_at is null
           and task_id = :task_id and correlation_id = :correlation_id and kind = :kind
         returning id",
    )?;
    let values = named_params! {
        ":task_id": task_id,
        ":correlation_id": correlation_id,
        ":kind": OperatorQuestion::ReviewFailed,
        ":review_id": review_id,
        ":now": now,
    };
    Ok(statement.query_row(values, |row| row.get(0)).optional()?)
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
