//! `explain`: which rule, which sensor and which bytes led to a session's state.

use std::{fmt, path::Path};

use serde::Serialize;

use super::{Action, Argv, Context, Outcome, live, lookup, questions::QuestionView, supervise::blind};
use crate::{
    base::{Result, Timestamp, text},
    model::{
        judge,
        session::Registration,
        state::{Agreement, Judgement, predicate},
    },
    ports::rollout::RolloutFile,
    store,
};

/// The longest piece of a rollout line that is shown.
const SHOWN_LINE: usize = 400;

/// Show why a session is in the state it is in
///
/// Every sensor with its reading, rule and age, and the rollout line behind the state.
///
/// Example: `conveyor explain w1`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Explain {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// Use what the ledger knows, without a fresh look
    #[arg(long)]
    pub no_refresh: bool,
}

/// Why a session is in its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The session.
    pub session: String,
    /// What it is doing, and how we know.
    pub judgement: Judgement,
    /// What each live sensor last said, also when it is too old to count.
    pub sensors: Vec<SensorView>,
    /// The rollout line behind the rollout's reading.
    pub rollout: Option<RolloutProof>,
    /// Why the rollout could not be read at the last try.
    pub ingest_error: Option<String>,
    /// What it asks of a person.
    pub questions: Vec<QuestionView>,
}

/// A live sensor's last word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SensorView {
    /// The sensor.
    pub source: String,
    /// Seconds since it was asked.
    pub age_seconds: i64,
    /// Too old to decide anything.
    pub stale: bool,
    /// The rule it followed.
    pub rule: Option<String>,
    /// What it said.
    pub reason: Option<String>,
    /// Why it could not be asked.
    pub error: Option<String>,
}

/// Where the rollout says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RolloutProof {
    /// The file.
    pub path: String,
    /// First byte of the line; none when no line has been read.
    pub byte_offset: Option<u64>,
    /// The rule the line led to.
    pub rule: String,
    /// The line itself, cleaned and cut, or why it is withheld; none when the file no longer holds it.
    pub line: Option<String>,
}

impl Action for Explain {
    const NAME: &'static str = "explain";
    type Output = Explanation;

    fn run(self, cx: &Context) -> Result<Explanation> {
        let store = if self.no_refresh { cx.ledger()? } else { cx.ledger_to_change()? };
        let session = store.read(|r| lookup::session(r, &self.session))?;
        if !self.no_refresh && session.state == Registration::Active {
            return explanation(cx, &live::refresh(cx, &store, session)?.0.id);
        }
        explanation(cx, &session.id)
    }

    fn argv(&self) -> Argv {
        let Self { session, no_refresh } = self;
        Argv::new(Self::NAME).switch("--no-refresh", *no_refresh).end_of_options().word(session)
    }
}

/// Explains a session from what the ledger knows.
///
/// # Errors
/// When the ledger cannot be read or has no such session.
pub fn explanation(cx: &Context, session_id: &str) -> Result<Explanation> {
    let now = cx.now();
    let store = cx.ledger()?;
    let blind = blind::holds(cx, &store, session_id)?;
    let (session, judgement, sensors, cursor, errors, asked) = store.read(|r| {
        let session = store::sessions::by_id(r, session_id)?
            .ok_or_else(|| crate::base::Error::not_found(format!("no session with id {session_id}")))?;
        let judgement = store::board::judgement(r, &session, now)?;
        let sensors = store::sensors::list(r, Some(session_id))?;
        let cursor = store::rollouts::current(r, session_id)?;
        let errors = store::sessions::ingest_errors(r)?;
        let asked = store::questions::open(r, session_id)?;
        Ok::<_, crate::base::Error>((session, judgement, sensors, cursor, errors, asked))
    })?;
    let rollout = cursor.map(|cursor| {
        let reading = cursor.progress.reading();
        RolloutProof {
            line: reading.byte_offset.and_then(|offset| match &blind {
                Some(round) => Some(round.words()),
                None => shown_line(&cursor.path, offset),
            }),
            path: cursor.path,
            byte_offset: reading.byte_offset,
            rule: reading.rule,
        }
    });
    let sensors = sensors
        .into_iter()
        .map(|row| SensorView {
            source: row.source.to_string(),
            age_seconds: row.observed_at.age_seconds(now),
            stale: is_stale(row.observed_at, now),
            rule: row.reading.as_ref().map(|reading| reading.rule.clone()),
            reason: row.reading.map(|reading| reading.reason),
            error: row.error,
        })
        .collect();
    Ok(Explanation {
        ingest_error: errors.get(&session.id).cloned(),
        questions: asked.into_iter().map(|asked| QuestionView::of(asked, now)).collect(),
        session: session.name,
        judgement,
        sensors,
        rollout,
    })
}

fn is_stale(observed_at: Timestamp, now: Timestamp) -> bool {
    now.as_millis() - observed_at.as_millis() > judge::FRESH_MILLIS
}

fn shown_line(path: &str, byte_offset: u64) -> Option<String> {
    let file = RolloutFile::open(Path::new(path)).ok()?;
    let left = file.size().ok()?.checked_sub(byte_offset)?;
    let bytes = file.read_line_at(byte_offset, left.min(SHOWN_LINE as u64 * 4)).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.split('\n').next()?;
    Some(text::bounded(&text::one_line(&text::clean(line)), SHOWN_LINE))
}

impl Explanation {
    /// What it asks, one line each.
    #[must_use]
    pub fn question_lines(&self) -> Vec<String> {
        self.questions.iter().map(QuestionView::line).collect()
    }

    /// What each sensor and the rollout said, one line each.
    #[must_use]
    pub fn proof_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for sensor in &self.sensors {
            let stale = if sensor.stale { ", too old to count" } else { "" };
            let says = sensor.reason.as_deref().or(sensor.error.as_deref()).unwrap_or("nothing");
            let rule = sensor.rule.as_deref().unwrap_or("-");
            let asked = text::age(sensor.age_seconds);
            lines.push(format!("{:8} {rule}: {says} (asked {asked} ago{stale})", sensor.source));
        }
        match &self.rollout {
            Some(proof) => match proof.byte_offset {
                Some(offset) => {
                    lines.push(format!("rollout  {}: {} byte {offset}", proof.rule, proof.path));
                    let line = proof.line.as_deref().unwrap_or("the file no longer holds that line");
                    lines.push(format!("         {line}"));
                }
                None => lines.push(format!("rollout  {}: {}", proof.rule, proof.path)),
            },
            None => lines.push("rollout  none yet".to_owned()),
        }
        lines
    }
}

impl Outcome for Explanation {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let judgement = &self.judgement;
        writeln!(out, "{} {}: {}", self.session, predicate(judgement.word()), judgement.reason)?;
        let source = judgement.source.map_or("no sensor", |source| source.as_str());
        let age =
            judgement.age_seconds.map_or_else(|| "unknown age".to_owned(), |age| format!("for {}", text::age(age)));
        writeln!(out, "  rule {} from {source}, {age}", judgement.rule)?;
        writeln!(out, "  takes a text now: {}", judgement.ready_for_text.word())?;
        match judgement.agreement {
            Agreement::Agree => writeln!(out, "  the sensors agree")?,
            Agreement::Single => writeln!(out, "  only one sensor says something")?,
            Agreement::Disagree => writeln!(out, "  ~ the sensors disagree")?,
            Agreement::Silent => writeln!(out, "  no sensor says anything")?,
        }
        for line in self.question_lines() {
            writeln!(out, "  asks {line}")?;
        }
        writeln!(out, "sensors:")?;
        for line in self.proof_lines() {
            writeln!(out, "  {line}")?;
        }
        if let Some(error) = &self.ingest_error {
            writeln!(out, "the rollout could not be read at the last try: {error}")?;
        }
        Ok(())
    }
}
