//! Rows of `session_questions`: what sessions ask of a person, each row one time that a question was open.
//!
//! Written with the look that saw it. A question that a look no longer sees is closed; what it had put into an inbox
//! and nobody has seen is taken out of the way with it.

use std::collections::HashMap;

use rusqlite::{Row, named_params};

use super::{Error, Read, Result, Write, inbox};
use crate::{
    base::{Moment, Timestamp, json},
    model::question::{Question, Verdict},
};

/// An answer that is under way keeps others away this long, in milliseconds.
pub(super) const CLAIM_MILLIS: i64 = 15_000;

/// A question on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Number of the row.
    pub id: i64,
    /// The session that asks.
    pub session_id: String,
    /// What it asks.
    pub question: Question,
    /// When it was seen first.
    pub opened_at: Timestamp,
    /// When it was seen last, to some seconds.
    pub seen_at: Timestamp,
}

struct Raw {
    id: i64,
    session_id: String,
    question: String,
    opened_at: Timestamp,
    seen_at: Timestamp,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        id: row.get("id")?,
        session_id: row.get("session_id")?,
        question: row.get("question_json")?,
        opened_at: row.get("opened_at")?,
        seen_at: row.get("seen_at")?,
    })
}

fn parsed(raw: Raw) -> Result<Asked> {
    let Raw { id, session_id, question, opened_at, seen_at } = raw;
    let mut question: Question =
        serde_json::from_str(&question).map_err(|source| Error::Json { table: "session_questions", source })?;
    question.since = question.since.or(Some(opened_at));
    Ok(Asked { id, session_id, question, opened_at, seen_at })
}

const COLUMNS: &str = "id, session_id, question_json, opened_at, seen_at";

/// The questions of a session that were open at the last look, the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn open(r: Read<'_>, session_id: &str) -> Result<Vec<Asked>> {
    let sql = format!(
        "select {COLUMNS} from session_questions where session_id = :session_id and closed_at is null order by id"
    );
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(named_params! { ":session_id": session_id }, raw)?;
    rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().map(parsed).collect()
}

/// Asked in every second: without the index SQLite would read every question that ever was.
fn open_of_all_sql() -> String {
    format!(
        "select {COLUMNS} from session_questions indexed by session_questions_open where closed_at is null order by id"
    )
}

/// The questions of every session that were open at the last look, the oldest first.
///
/// # Errors
/// SQLite's own error; when one cannot be read.
pub fn open_of_all(r: Read<'_>) -> Result<Vec<Asked>> {
    let mut statement = r.connection.prepare_cached(&open_of_all_sql())?;
    let rows = statement.query_map([], raw)?;
    rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().map(parsed).collect()
}

/// What a session asks now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Since when its oldest open question is open, as far as known.
    pub since: Timestamp,
    /// When its newest open question was seen first.
    pub newest_at: Timestamp,
    /// The oldest open question in a few words; none when nobody has seen what it is about.
    pub asks: Option<String>,
}

/// What each session asks now, by session id. A question that another version has written, and that cannot be read here,
/// counts without its words.
///
/// # Errors
/// SQLite's own error.
pub fn asking(r: Read<'_>) -> Result<HashMap<String, Asking>> {
    let mut statement = r.connection.prepare_cached(&open_of_all_sql())?;
    let rows = statement.query_map([], raw)?;
    let mut open: HashMap<String, Asking> = HashMap::new();
    for row in rows {
        let Raw { session_id, question, opened_at, .. } = row?;
        open.entry(session_id).and_modify(|asking| asking.newest_at = asking.newest_at.max(opened_at)).or_insert_with(
            || {
                let question = serde_json::from_str::<Question>(&question).ok();
                Asking {
                    since: question.as_ref().and_then(|question| question.since).unwrap_or(opened_at),
                    newest_at: opened_at,
                    asks: question.and_then(|question| question.brief()),
                }
            },
        );
    }
    Ok(open)
}

/// Writes down that exactly these questions of a session are open; true when that is news.
///
/// # Errors
/// SQLite's own error.
pub fn note(w: &Write<'_>, session_id: &str, seen: &[Question], now: Timestamp) -> Result<bool> {
    let known = open(w.read(), session_id)?;
    let mut news = false;
    for gone in known.iter().filter(|known| seen.iter().all(|question| question.id != known.question.id)) {
        close(w, gone.id, now)?;
        news = true;
    }
    for question in seen {
        let before = known.iter().find(|known| known.question.id == question.id);
        news |= before.is_none();
        // Known ones are stored as they are shown now: in a wider pane more of what they offer can be read.
        let since = question.since.or(before.and_then(|known| known.question.since));
        let text = json::compact(&Question { since, ..question.clone() })
            .map_err(|source| Error::Json { table: "session_questions", source })?;
        w.connection
            .prepare_cached(
                "insert into session_questions (session_id, question_id, question_json, opened_at, seen_at)
                 values (:session_id, :question_id, :question, :now, :now)
                 on conflict (session_id, question_id) where closed_at is null do update set
                    seen_at = excluded.seen_at,
                    question_json = excluded.question_json",
            )?
            .execute(named_params! {
                ":session_id": session_id,
                ":question_id": question.id,
                ":question": text,
                ":now": now,
            })?;
    }
    Ok(news)
}

fn close(w: &Write<'_>, id: i64, now: Timestamp) -> Result<()> {
    let notification: Option<i64> = w
        .connection
        .prepare_cached("update session_questions set closed_at = :now where id = :id returning notification_id")?
        .query_row(named_params! { ":id": id, ":now": now }, |row| row.get(0))?;
    if let Some(notification) = notification {
        inbox::settle_unseen(w, notification, "its question closed before anybody read it")?;
    }
    Ok(())
}

/// Takes the right to answer an open question; false when it is not open any more, or somebody else is about to
/// answer it.
///
/// # Errors
/// SQLite's own error.
pub fn claim(
    w: &Write<'_>,
    session_id: &str,
    question_id: &str,
    verdict: Verdict,
    by: &str,
    now: &Moment,
) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached(
            "update session_questions
             set answer = :answer, answered_by = :by, answer_uptime = :uptime, answer_boot_id = :boot_id
             where session_id = :session_id and question_id = :question_id and closed_at is null
               and (answer_uptime is null or answer_boot_id is not :boot_id or answer_uptime < :uptime - :patience)",
        )?
        .execute(named_params! {
            ":answer": verdict.as_str(),
            ":by": by,
            ":uptime": now.uptime,
            ":boot_id": now.boot_id,
            ":session_id": session_id,
            ":question_id": question_id,
            ":patience": CLAIM_MILLIS,
        })?;
    Ok(changed == 1)
}

/// Gives the right back: nothing was pressed or sent.
///
/// # Errors
/// SQLite's own error.
pub fn give_back(w: &Write<'_>, session_id: &str, question_id: &str) -> Result<()> {
    w.connection
        .prepare_cached(
            "update session_questions
             set answer = null, answered_by = null, answer_uptime = null, answer_boot_id = null
             where session_id = :session_id and question_id = :question_id and closed_at is null",
        )?
        .execute(named_params! { ":session_id": session_id, ":question_id": question_id })?;
    Ok(())
}

/// Workers in a binding in force that ask something of which their managers have not been told.
///
/// # Errors
/// SQLite's own error.
pub fn bound_workers_that_ask(r: Read<'_>) -> Result<Vec<String>> {
    let mut statement = r.connection.prepare_cached(
        "select distinct worker_session_id from bindings
         where state in ('active', 'ending') and exists (
            select 1 from session_questions
            where session_id = worker_session_id and closed_at is null and routed_at is null)",
    )?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Open questions of a session of which nobody was told, the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn untold(r: Read<'_>, session_id: &str) -> Result<Vec<Asked>> {
    let sql = format!(
        "select {COLUMNS} from session_questions
         where session_id = :session_id and closed_at is null and routed_at is null
         order by id"
    );
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(named_params! { ":session_id": session_id }, raw)?;
    rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().map(parsed).collect()
}

/// Writes that a question was told in this inbox item.
///
/// # Errors
/// SQLite's own error.
pub fn told(w: &Write<'_>, id: i64, notification_id: i64, now: Timestamp) -> Result<()> {
    w.connection
        .prepare_cached("update session_questions set routed_at = :now, notification_id = :item where id = :id")?
        .execute(named_params! { ":id": id, ":item": notification_id, ":now": now })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{pane::Prompt, session::Registration, state::Source},
        store::Store,
    };

    fn question(asks: &str) -> Question {
        Question {
            id: Question::id_of(&[asks]),
            source: Source::Screen,
            kind: Prompt::ApprovalCommand,
            asks: Some(asks.to_owned()),
            cwd: None,
            files: Vec::new(),
            reason: None,
            since: None,
            choices: Vec::new(),
            answers: vec![Verdict::Approve],
            not_approvable: None,
        }
    }

    fn store() -> Store {
        Store::with_session(Registration::Active)
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn moment(boot: &str, uptime: i64) -> Moment {
        Moment { wall: at(uptime), boot_id: boot.to_owned(), uptime }
    }

    #[test]
    fn open_questions_are_found_without_reading_those_that_are_closed() {
        let plan = store().plan(&open_of_all_sql()).join("; ");
        assert!(plan.contains("USING INDEX session_questions_open"), "{plan}");
    }

    #[test]
    fn a_question_offers_what_it_was_seen_to_offer_last_and_is_as_old_as_it_was() {
        let store = store();
        let note = |seen: &[Question], millis| store.write(|w| note(w, "s", seen, at(millis))).unwrap();
        assert!(note(&[Question { since: Some(at(7)), ..question("which one?") }], 9));
        let wider = Question { choices: vec!["the first one, which is long".into()], ..question("which one?") };
        assert!(!note(&[wider], 12), "it is the same one");
        let [now] = store.read(|r| open(r, "s")).unwrap().try_into().unwrap();
        assert_eq!(now.question.choices, ["the first one, which is long"]);
        assert_eq!((now.opened_at, now.question.since), (at(9), Some(at(7))));
    }

    #[test]
    fn a_question_is_one_row_while_it_is_open_and_another_one_when_it_comes_back() {
        let store = store();
        let note = |seen: &[Question], millis| store.write(|w| note(w, "s", seen, at(millis))).unwrap();
        let rows = || store.read(|r| open(r, "s")).unwrap();
        assert!(note(&[question("a")], 1));
        assert!(!note(&[question("a")], 2), "no news");
        let [only] = rows().try_into().unwrap();
        assert_eq!((only.opened_at, only.seen_at, only.question.since), (at(1), at(2), Some(at(1))));
        assert!(note(&[question("b"), question("a")], 3));
        assert_eq!(rows().len(), 2);
        let asking = Asking { since: at(1), newest_at: at(3), asks: Some("asks to run: a".to_owned()) };
        assert_eq!(store.read(super::asking).unwrap(), [("s".to_owned(), asking)].into());
        let unreadable = "update session_questions set question_json = '{}'";
        store.write(|w| Ok::<_, Error>(w.connection.execute_batch(unreadable)?)).unwrap();
        let asking = Asking { since: at(1), newest_at: at(3), asks: None };
        assert_eq!(store.read(super::asking).unwrap(), [("s".to_owned(), asking)].into());
        store.write(|w| Ok::<_, Error>(w.connection.execute_batch("delete from session_questions")?)).unwrap();
        assert!(note(&[question("a"), question("b")], 3));
        assert!(note(&[], 4));
        assert_eq!(rows(), []);
        assert!(store.read(super::asking).unwrap().is_empty());
        assert!(note(&[question("a")], 5));
        let [again] = rows().try_into().unwrap();
        assert!(again.id > only.id && again.opened_at == at(5), "the same words asked again are another question");
    }

    #[test]
    fn only_one_answers_a_question_at_a_time() {
        let store = store();
        store.write(|w| note(w, "s", &[question("a")], at(1))).unwrap();
        let id = question("a").id;
        let claim = |boot: &str, uptime| {
            store.write(|w| claim(w, "s", &id, Verdict::Approve, "operator", &moment(boot, uptime))).unwrap()
        };
        assert!(claim("boot", 100));
        assert!(!claim("boot", 101) && !claim("boot", 100 + CLAIM_MILLIS));
        assert!(claim("boot", 101 + CLAIM_MILLIS), "whoever had it was killed");
        assert!(claim("next boot", 5));
        store.write(|w| give_back(w, "s", &id)).unwrap();
        assert!(claim("next boot", 6));
        store.write(|w| note(w, "s", &[], at(7))).unwrap();
        assert!(!claim("next boot", 7 + 2 * CLAIM_MILLIS), "it is not open any more");
    }
}
