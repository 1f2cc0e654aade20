//! `mark`: what the operator keeps in mind about sessions and tasks: pins, snoozes, what was looked at.

use std::fmt;

use serde::Serialize;

use super::{
    Action, Argv, Context, Format, Outcome,
    caller::{self, Origin},
    lookup,
};
use crate::{
    base::{Error, Result, Span, Timestamp, text},
    model::marks::{Marks, SeenTo, Snooze},
    store::{self, Read, Write, marks::Subject},
};

/// The shortest and the longest snooze: less is over before it is seen, more is a mistake.
const SNOOZE_SECONDS: std::ops::RangeInclusive<i64> = 1..=365 * 86_400;

/// Pin a session, put it aside for a while, or say what you have looked at
///
/// Pinned rows stand first in their tier. A snoozed one is dim, stands last in its tier and is skipped by `w`; it wakes
/// when its time is over, and before that when it asks you something new or fails. What it asked already sleeps with
/// it, and an answer that it gives meanwhile waits. A session whose turn ended is unread until you have looked at it
/// in the cockpit (Enter, or attached) or say `--seen`; printing it does not count. Tasks can be pinned and snoozed.
///
/// Example: `conveyor mark w1 --snooze 30m`
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true)
    .args(["pin", "unpin", "snooze", "unsnooze", "unread", "seen"]))]
pub struct Mark {
    /// Session name
    #[arg(value_name = "SESSION", required_unless_present = "task")]
    pub session: Option<String>,
    /// Instead of a session: this task, by name or id
    #[arg(long, value_name = "TASK", conflicts_with_all = ["session", "unread", "seen"])]
    pub task: Option<String>,
    /// Let it stand first in its tier
    #[arg(long, conflicts_with = "unpin")]
    pub pin: bool,
    /// Let it go
    #[arg(long)]
    pub unpin: bool,
    /// Put it aside for so long: 90s, 30m, 2h, 1d
    #[arg(long, value_name = "SPAN", conflicts_with = "unsnooze", value_parser = snooze_span)]
    pub snooze: Option<Span>,
    /// Take it up again
    #[arg(long)]
    pub unsnooze: bool,
    /// Come back to it: unread until the next look
    #[arg(long, conflicts_with = "seen")]
    pub unread: bool,
    /// You have looked at it
    #[arg(long)]
    pub seen: bool,
    /// Of its rollout only what lies before this byte was seen; without it, all that the ledger holds
    #[arg(long, value_name = "BYTE", requires = "seen")]
    pub upto: Option<u64>,
}

fn snooze_span(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: crate::base::SpanError| error.to_string())?;
    if SNOOZE_SECONDS.contains(&span.seconds()) {
        Ok(span)
    } else {
        Err("a snooze lasts from one second to a year".to_owned())
    }
}

/// The marks as they stand now.
#[derive(Debug, Serialize)]
pub struct Marked {
    dry_run: bool,
    pinned: bool,
    /// The first byte of the rollout that was not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    snoozed_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    /// It is not looked at, or to be come back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<bool>,
    #[serde(skip)]
    now: Timestamp,
}

impl Action for Mark {
    const NAME: &'static str = "mark";
    const FORMAT: Format = Format::Json;
    type Output = Marked;

    fn run(self, cx: &Context) -> Result<Marked> {
        let now = cx.now();
        let store = cx.ledger_to_change()?;
        if self.seen || self.unread {
            let caller = caller::origin(cx, &store)?;
            if caller != Origin::Operator {
                return Err(Error::refused(format!(
                    "{} is no operator: what an operator has looked at, none else can say",
                    caller.words()
                ))
                .hint("--pin and --snooze are open to every session"));
            }
        }
        store.write(|w| match (&self.session, &self.task) {
            (Some(name), _) => self.mark_session(cx, w, name, now),
            (None, Some(task)) => self.mark_task(cx, w, task, now),
            (None, None) => Err(Error::usage("name a session, or a task with --task")),
        })
    }

    fn argv(&self) -> Argv {
        let Self { session, task, pin, unpin, snooze, unsnooze, unread, seen, upto } = self;
        let argv = Argv::new(Self::NAME)
            .option("--task", task.as_ref())
            .switch("--pin", *pin)
            .switch("--unpin", *unpin)
            .option("--snooze", *snooze)
            .switch("--unsnooze", *unsnooze)
            .switch("--unread", *unread)
            .switch("--seen", *seen)
            .option("--upto", *upto);
        match session {
            Some(session) => argv.end_of_options().word(session),
            None => argv,
        }
    }
}

impl Mark {
    /// Marks nothing yet.
    #[must_use]
    pub fn of(session: String) -> Self {
        Self {
            session: Some(session),
            task: None,
            pin: false,
            unpin: false,
            snooze: None,
            unsnooze: false,
            unread: false,
            seen: false,
            upto: None,
        }
    }

    /// The same for a task.
    #[must_use]
    pub fn of_task(task: String) -> Self {
        Self { task: Some(task), session: None, ..Self::of(String::new()) }
    }

    fn mark_session(&self, cx: &Context, w: &Write<'_>, name: &str, now: Timestamp) -> Result<Marked> {
        let session = lookup::session(w.read(), name)?;
        let subject = Subject::Session(&session.id);
        let mut marks = self.pinned_and_snoozed(store::marks::of(w.read(), subject)?, now);
        if self.unread {
            marks.unread_at = Some(now);
        }
        if self.seen {
            marks = marks.looked_at(now, self.seen_to(w.read(), &session.id)?);
        }
        store::marks::save(w, subject, &marks)?;
        let view = store::board::marks_of(w.read(), &session, now)?;
        Ok(Marked {
            dry_run: cx.dry_run(),
            pinned: view.pinned,
            seen_offset: view.seen_offset,
            seen_at: view.seen_at,
            session: Some(session.name),
            snoozed_until: view.snoozed_until,
            task: None,
            unread: Some(view.unread),
            now,
        })
    }

    fn mark_task(&self, cx: &Context, w: &Write<'_>, reference: &str, now: Timestamp) -> Result<Marked> {
        let task = lookup::task(w.read(), reference)?;
        let subject = Subject::Task(&task.id);
        let marks = self.pinned_and_snoozed(store::marks::of(w.read(), subject)?, now);
        store::marks::save(w, subject, &marks)?;
        let view = marks.of_task(now);
        Ok(Marked {
            dry_run: cx.dry_run(),
            pinned: view.pinned,
            seen_offset: None,
            seen_at: None,
            session: None,
            snoozed_until: view.snoozed_until,
            task: Some(task.name),
            unread: None,
            now,
        })
    }

    fn pinned_and_snoozed(&self, mut marks: Marks, now: Timestamp) -> Marks {
        if self.pin {
            marks.pinned_at = marks.pinned_at.or(Some(now));
        } else if self.unpin {
            marks.pinned_at = None;
        }
        if let Some(span) = self.snooze {
            let until = Timestamp::from_millis(now.as_millis() + span.seconds() * 1000);
            marks.snooze = Some(Snooze { at: now, until });
        } else if self.unsnooze {
            marks.snooze = None;
        }
        marks
    }

    /// The part of the rollout that was seen: never more than the ledger holds, which is all that could be shown.
    fn seen_to(&self, r: Read<'_>, session_id: &str) -> Result<Option<SeenTo>> {
        Ok(store::rollouts::current(r, session_id)?.map(|cursor| SeenTo {
            offset: self.upto.map_or(cursor.next_offset, |upto| upto.min(cursor.next_offset)),
            path: cursor.path,
            generation: cursor.generation,
        }))
    }
}

impl Outcome for Marked {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let name = self.session.as_deref().or(self.task.as_deref()).unwrap_or_default();
        let mut said = vec![if self.pinned { "pinned".to_owned() } else { "not pinned".to_owned() }];
        said.push(match self.snoozed_until {
            Some(until) => format!("snoozed for {}, until {until}", text::age(self.now.age_seconds(until))),
            None => "not snoozed".to_owned(),
        });
        match self.unread {
            // What there is to do comes first.
            Some(true) => said.insert(0, "unread until you look at it".to_owned()),
            Some(false) => said.push("nothing unread".to_owned()),
            None => {}
        }
        let would = if self.dry_run { "would be " } else { "" };
        writeln!(out, "{name}: {would}{}", said.join(", "))
    }
}
