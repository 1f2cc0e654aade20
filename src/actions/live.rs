//! The steps of the background tasks, each blocking and complete in itself.

use std::{fs, path::PathBuf};

use super::{Context, follow, ingest, sense};
use crate::{
    base::Result,
    model::session::{Registration, Session},
    store::{self, sensors},
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
    let (sessions, cursors) =
        cx.ledger()?.read(|r| Ok::<_, store::Error>((store::sessions::list(r)?, store::rollouts::positions(r)?)))?;
    let active = sessions.into_iter().filter(|session| session.state == Registration::Active);
    Ok(active
        .map(|session| {
            let position = cursors.iter().find(|position| position.session_id == session.id);
            let has_news = position.is_some_and(|position| {
                // A vanished file is news only until its error stands on the record.
                fs::metadata(&position.path).map_or(!position.failed, |metadata| metadata.len() != position.seen_bytes)
            });
            Watched { session_id: session.id, path: position.map(|position| PathBuf::from(&position.path)), has_news }
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
    let taken = ingest::ingest_while(cx, store, &session, go_on)?;
    Ok(taken.new_events > 0 || taken.file_replaced)
}

/// Looks at every session in force and stores what is new or was last stored a while ago; true when something was
/// stored, since screens show how old it is.
///
/// # Errors
/// When the ledger cannot be used. What cannot be seen is a reading, not an error.
pub fn observe(cx: &Context, observer: &mut Observer) -> Result<bool> {
    let store = cx.ledger_to_change()?;
    let sessions = store.read(store::sessions::list)?;
    observer.begin_round();
    let mut news = false;
    for session in sessions.iter().filter(|session| session.state == Registration::Active) {
        let look = observer.look(cx, session);
        news |= record(cx, store, &look)?;
        news |= follow::follow(cx, store, session, &look)?;
    }
    Ok(news)
}

/// One fresh look at a session in force: its new rollout lines, every live sensor, the thread that its pane shows.
/// Gives its record as it is afterwards.
///
/// A rollout that cannot be read is noted on the record, not an error.
pub(super) fn refresh(cx: &Context, store: &store::Store, session: Session) -> Result<(Session, sense::Look)> {
    let _ = ingest::ingest_while(cx, store, &session, &|| true);
    let look = Observer::default().look(cx, &session);
    record(cx, store, &look)?;
    if !follow::follow(cx, store, &session, &look)? {
        return Ok((session, look));
    }
    // Its rollout was found just now, and nobody has read it yet.
    let session = store.read(|r| store::sessions::by_id(r, &session.id))?.unwrap_or(session);
    let _ = ingest::ingest_while(cx, store, &session, &|| true);
    Ok((session, look))
}

/// Stores what a look saw, when it is news or what is stored has grown old; whether it did.
pub(super) fn record(cx: &Context, store: &store::Store, look: &sense::Look) -> Result<bool> {
    let Some(session_id) = look.rows.first().map(|row| row.session_id.clone()) else {
        return Ok(false);
    };
    let known = store.read(|r| sensors::list(r, Some(&session_id)))?;
    let now = cx.now().as_millis();
    let due = look.rows.iter().any(|row| {
        known
            .iter()
            .find(|known| known.source == row.source)
            .is_none_or(|known| now - known.observed_at.as_millis() >= REFRESH_MILLIS || sensors::is_news(known, row))
    });
    if !due {
        return Ok(false);
    }
    store.write(|w| look.rows.iter().try_for_each(|row| sensors::save(w, row).map(drop)))?;
    Ok(true)
}

/// A number that moves with every commit of any process.
///
/// # Errors
/// When the ledger cannot be read.
pub fn change_mark(cx: &Context) -> Result<i64> {
    Ok(cx.ledger()?.change_mark()?)
}
