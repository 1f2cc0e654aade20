//! Reviews that the terms of tasks want: begun once, and given up when nothing comes of them.

use std::ffi::OsString;

use super::{ContinuationReviewer, Settings};
use crate::{
    actions::{Action as _, Context, lookup, supervise::review},
    base::{Moment, Result, text},
    model::supervision::OperatorQuestion,
    ports::{background, machine},
    store::{self, Safety, Store, continuations::Due},
};

/// Seconds beyond its own time after which a review that was begun is given up.
const GRACE: i64 = 120;

impl Settings {
    /// When a review that begins now is given up, in milliseconds since the boot.
    pub(super) fn give_up_uptime(&self, now: &Moment) -> i64 {
        let seconds = i64::try_from(self.timeout).unwrap_or(i64::MAX).saturating_add(GRACE);
        now.uptime.saturating_add(seconds.saturating_mul(1_000))
    }
}

/// Begins the reviews that the terms of tasks want, each in a process of its own, and gives up those that did not end.
/// A review is begun once; when it comes to nothing, a person is asked.
///
/// # Errors
/// When the ledger cannot be read or written.
pub(in crate::actions) fn begin_due(cx: &Context, store: &Store, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
    if cx.dry_run() {
        return Ok(());
    }
    let now = cx.moment();
    let due = store.read(|r| store::continuations::due(r, &now))?;
    for one in due.into_iter().filter(|one| wanted(&one.task_id)) {
        let ask = |kind, reason: &str| {
            store.write_durably(|w| {
                let task = lookup::task(w.read(), &one.task_id)?;
                review::ask(cx, w, &task, kind, &one.correlation_id, None, reason)
            })
        };
        match one.is_over {
            Some(false) => continue,
            Some(true) => {
                ask(OperatorQuestion::ReviewFailed, "the review that was begun did not end")?;
                continue;
            }
            None => {}
        }
        let Some(known) = store.read(|r| store::continuations::reviewer(r, &one.task_id))? else {
            ask(OperatorQuestion::ContinuationReady, "no review was begun: the reviewer that was set is gone")?;
            continue;
        };
        let settings: Settings = match serde_json::from_str(&known) {
            Ok(settings) => settings,
            // What is wrong with one task holds up no other.
            Err(error) => {
                let why = format!("no review was begun: the reviewer that was set cannot be read: {error}");
                ask(OperatorQuestion::ReviewFailed, &text::bounded(&why, 300))?;
                continue;
            }
        };
        let now = cx.moment();
        let (id, until) = (one.manager_continuation_id, settings.give_up_uptime(&now));
        let ours = store.write_durably(|w| store::continuations::begin_review(w, id, &now, until))?;
        if ours && let Err(error) = begin(cx, &one) {
            ask(OperatorQuestion::ReviewFailed, &format!("the review could not be begun: {error}"))?;
        }
    }
    Ok(())
}

fn begin(cx: &Context, due: &Due) -> std::io::Result<()> {
    let program = machine::own_program().ok_or_else(|| std::io::Error::other("this program cannot be found"))?;
    let mut words: Vec<OsString> = vec!["--path".into(), cx.env().ledger.clone().into(), "--json".into()];
    if cx.safety() == Safety::Forced {
        words.push("--allow-unsafe-file-system".into());
    }
    let reviewer = ContinuationReviewer::of(due.task_id.clone(), due.correlation_id.clone());
    words.extend(reviewer.argv().words.into_iter().map(OsString::from));
    background::start(&program, &words, &cx.env().state_root.join("reviews.log")).map(background::Started::let_go)
}
