//! The steps of the background tasks, each blocking and complete in itself.

use std::{collections::HashMap, fs, path::PathBuf};

use super::{Context, follow, ingest, sense};
use crate::{
    base::{Error, Result, Timestamp},
    model::{
        question::Question,
        session::{Registration, Session},
    },
    store::{
        self,
        questions::{self, Asked},
        sensors::{self, Detail, SensorRow},
    },
};

pub use super::sense::Observer;

/// A sensor's word is stored again after this long even without news, in milliseconds: readers judge by its age.
const REFRESH_MILLIS: i64 = 5_000;

/// A session whose rollout is to be tailed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The session.
    pub session_id: String,
    /// Its rollout, when there is one.
    pub path: Option<PathBuf>,
    /// The rollout has grown, shrunk or vanished since it was taken.
    pub has_news: bool,
}

/// The sessions in force and whether their rollouts have grown.
///
/// # Errors
/// When the ledger cannot be read.
pub fn watched(cx: &Context) -> Result<Vec<Watched>> {
    let (active, cursors) = cx
        .ledger()?
        .read(|r| Ok::<_, store::Error>((store::sessions::active_ids(r)?, store::rollouts::positions(r)?)))?;
    Ok(active
        .into_iter()
        .map(|session_id| {
            let position = cursors.iter().find(|position| position.session_id == session_id);
            let has_news = position.is_some_and(|position| {
                // A vanished file is news only until its error stands on the record.
                fs::metadata(&position.path).map_or(!position.failed, |metadata| metadata.len() != position.seen_bytes)
            });
            Watched { session_id, path: position.map(|position| PathBuf::from(&position.path)), has_news }
        })
        .collect())
}

/// Takes the new lines of one session, until done or `go_on` says no; true when there were any.
///
/// # Errors
/// As `ingest`.
pub fn take(cx: &Context, session_id: &str, go_on: &dyn Fn() -> bool) -> Result<bool> {
    let store = cx.ledger_to_change()?;
    let Some(session) = store.read(|r| store::sessions::by_id(r, session_id))? else {
        return Ok(false);
    };
    if session.state != Registration::Active {
        return Ok(false);
    }
    let taken = ingest::ingest_while(cx, &store, &session, go_on)?;
    Ok(taken.new_events > 0 || taken.file_replaced)
}

/// What one round of [`observe`] came to.
#[derive(Debug, Default)]
pub struct Round {
    /// Something was stored, if only a fresh age.
    pub news: bool,
    /// The sessions that could not be looked at, and why.
    pub troubles: Vec<(String, Error)>,
}

impl Round {
    /// All troubles in one line; none when there were none.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let told: Vec<String> = self.troubles.iter().map(|(name, error)| format!("{name}: {error}")).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// Looks at every session in force while `go_on` says yes, and stores what is new. Trouble with one session does not
/// keep the others from being seen.
///
/// # Errors
/// When the ledger cannot be used. What cannot be seen is a reading, not an error.
pub fn observe(cx: &Context, observer: &mut Observer, go_on: &dyn Fn() -> bool) -> Result<Round> {
    let store = cx.ledger_to_change()?;
    // One snapshot for all: fifty sessions would be a hundred transactions in a second.
    let (sessions, known) =
        store.read(|r| Ok::<_, store::Error>((store::sessions::list(r)?, Known::of_all(r).ok())))?;
    observer.begin_round();
    let mut round = Round::default();
    // What was only seen again is stored at the end, in one transaction.
    let mut unchanged = Vec::new();
    for session in sessions.iter().filter(|session| session.state == Registration::Active) {
        if !go_on() {
            break;
        }
        let look = observer.look(cx, session);
        let known = match &known {
            Some(all) => Ok(all.get(&session.id).cloned().unwrap_or_default()),
            // Something in there cannot be read: only the session that it belongs to is not seen.
            None => store.read(|r| Known::of(r, &session.id)).map_err(Error::from),
        };
        let due = known.map(|known| known.compare(&look, cx.now()));
        let is_seen_again = matches!(&due, Ok(Some(due)) if !due.is_news);
        let seen = due.and_then(|due| {
            if let Some(due) = due.as_ref().filter(|due| due.is_news) {
                due.save(&store, &session.id, &look, cx.now())?;
            }
            follow::follow(cx, &store, session, &look).map(|moved| moved || due.is_some())
        });
        match seen {
            Ok(news) => round.news |= news,
            Err(error) => round.troubles.push((session.name.clone(), error)),
        }
        if is_seen_again {
            unchanged.push((session, look));
        }
    }
    if let Err(error) = seen_again(cx, &store, &unchanged) {
        round.troubles.push(("what was seen again".to_owned(), error));
    }
    Ok(round)
}

/// Stores looks that say what is on record, for their age. The round has taken its time: where the record says something
/// else by now, somebody has looked since, and the next round compares anew.
fn seen_again(cx: &Context, store: &store::Store, looks: &[(&Session, sense::Look)]) -> Result<()> {
    if looks.is_empty() {
        return Ok(());
    }
    store.write(|w| {
        looks.iter().try_for_each(|(session, look)| match Known::of(w.read(), &session.id)?.compare(look, cx.now()) {
            Some(due) if !due.is_news => due.save_in(w, &session.id, look, cx.now()),
            _ => Ok::<_, store::Error>(()),
        })
    })?;
    Ok(())
}

/// One fresh look at a session in force: its new rollout lines, every live sensor, the thread that its pane shows.
/// Gives its record as it is afterwards.
///
/// A rollout that cannot be read is noted on the record, not an error.
pub(super) fn refresh(cx: &Context, store: &store::Store, session: Session) -> Result<(Session, sense::Look)> {
    let _ = ingest::ingest_while(cx, store, &session, &|| true);
    let look = Observer::default().look(cx, &session);
    record_of(cx, store, &session.id, &look)?;
    if !follow::follow(cx, store, &session, &look)? {
        return Ok((session, look));
    }
    // Its rollout was found just now, and nobody has read it yet.
    let session = store.read(|r| store::sessions::by_id(r, &session.id))?.unwrap_or(session);
    let _ = ingest::ingest_while(cx, store, &session, &|| true);
    Ok((session, look))
}

/// As [`record_of`], for a look that saw something: its rows name the session.
pub(super) fn record(cx: &Context, store: &store::Store, look: &sense::Look) -> Result<bool> {
    match look.rows.first() {
        Some(row) => record_of(cx, store, &row.session_id, look),
        None => Ok(false),
    }
}

/// Stores what a look at a session saw, when it is news or what is stored has grown old.
pub(super) fn record_of(cx: &Context, store: &store::Store, session_id: &str, look: &sense::Look) -> Result<bool> {
    let due = store.read(|r| Known::of(r, session_id))?.compare(look, cx.now());
    if let Some(due) = &due {
        due.save(store, session_id, look, cx.now())?;
    }
    // Also without news: screens show how old a word is.
    Ok(due.is_some())
}

/// What is on record of a session's sensors and its open questions.
#[derive(Debug, Clone, Default)]
struct Known {
    sensors: Vec<SensorRow>,
    asked: Vec<Asked>,
}

/// What is to be stored of a look, beside what it saw.
#[derive(Debug)]
struct Due {
    /// Sensors that fell silent, with their rows as they are to be.
    silent: Vec<SensorRow>,
    /// It says something else than the record, which is more than to say the same again later.
    is_news: bool,
}

impl Known {
    fn of(r: store::Read<'_>, session_id: &str) -> Result<Self, store::Error> {
        Ok(Self { sensors: sensors::list(r, Some(session_id))?, asked: questions::open(r, session_id)? })
    }

    /// By session id; a session of which nothing is known has none.
    fn of_all(r: store::Read<'_>) -> Result<HashMap<String, Self>, store::Error> {
        let mut all: HashMap<String, Self> = HashMap::new();
        for row in sensors::list(r, None)? {
            all.entry(row.session_id.clone()).or_default().sensors.push(row);
        }
        for asked in questions::open_of_all(r)? {
            all.entry(asked.session_id.clone()).or_default().asked.push(asked);
        }
        Ok(all)
    }

    /// None when the look says the same as the record, and the record is not old. A sensor that fell silent loses its
    /// last word at once: it was asked and did not repeat it.
    fn compare(&self, look: &sense::Look, now: Timestamp) -> Option<Due> {
        let silent: Vec<SensorRow> = self
            .sensors
            .iter()
            .filter(|known| known.source.is_live() && known.reading.is_some())
            .filter(|known| look.rows.iter().all(|row| row.source != known.source))
            .map(|known| SensorRow {
                observed_at: now,
                reading: None,
                detail: Detail::default(),
                error: None,
                ..known.clone()
            })
            .collect();
        let known_as = |row: &SensorRow| self.sensors.iter().find(|known| known.source == row.source);
        let says_anew = |row: &SensorRow| known_as(row).is_none_or(|known| sensors::is_news(known, row));
        let is_old = |row: &SensorRow| known_as(row).is_some_and(|known| is_due(now, known.observed_at));
        let asks_anew = look.questions.as_ref().is_some_and(|seen| {
            let is_known = |question: &Question| self.asked.iter().any(|known| known.question.id == question.id);
            seen.len() != self.asked.len() || !seen.iter().all(is_known)
        });
        let is_news = !silent.is_empty() || asks_anew || look.rows.iter().any(says_anew);
        (is_news || look.rows.iter().any(is_old)).then_some(Due { silent, is_news })
    }
}

impl Due {
    fn save(&self, store: &store::Store, session_id: &str, look: &sense::Look, now: Timestamp) -> Result<()> {
        Ok(store.write(|w| self.save_in(w, session_id, look, now))?)
    }

    fn save_in(
        &self,
        w: &store::Write<'_>,
        session_id: &str,
        look: &sense::Look,
        now: Timestamp,
    ) -> Result<(), store::Error> {
        look.rows.iter().chain(&self.silent).try_for_each(|row| sensors::save(w, row).map(drop))?;
        match &look.questions {
            Some(seen) => questions::note(w, session_id, seen, now).map(drop),
            None => Ok(()),
        }
    }
}

/// Whether what was stored at `at` is to be stored again. A time to come was written before the clock was set back.
fn is_due(now: Timestamp, at: Timestamp) -> bool {
    !(0..REFRESH_MILLIS).contains(&(now.as_millis() - at.as_millis()))
}

/// A mark that moves with every commit of any process, and when another file takes the ledger's place.
///
/// # Errors
/// When the ledger cannot be read.
pub fn change_mark(cx: &Context) -> Result<store::ChangeMark> {
    Ok(cx.ledger()?.change_mark()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_stored_again_when_it_is_old_or_of_the_future() {
        let now = Timestamp::from_millis(1_000_000);
        let due = |age: i64| is_due(now, Timestamp::from_millis(1_000_000 - age));
        assert_eq!([0, REFRESH_MILLIS - 1, REFRESH_MILLIS, -1, -3_600_000].map(due), [false, false, true, true, true]);
    }
}
