//! What the cockpit shows of what was said about a task: proposals and their judgements, acknowledgements, the newest
//! handoff, decisions.

use super::{acks, operator, review};
use crate::{
    actions::{Context, Judged, lookup},
    base::{Error, Result, Timestamp},
    model::{
        session::Role,
        supervision::{Deciding, MAX_DECISION_AGE, Proposer},
    },
    store::{self, Read, continuations::Continuation},
};

/// The most rounds, the newest.
const ROUNDS: usize = 5;
/// The most decisions, the newest.
const DECISIONS: u32 = 5;

/// What was said about a task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskRecord {
    /// Rounds of proposals, the newest first.
    pub rounds: Vec<RecordedRound>,
    /// How many rounds there are before those.
    pub older_rounds: usize,
    /// Why the newest round does not let the work end; none when it does.
    pub not_to_proceed: Option<String>,
    /// A program is set that judges.
    pub has_reviewer: bool,
    /// The revision of the terms; 0 when there are none.
    pub terms: u64,
    /// The terms want acknowledgements.
    pub acks_required: bool,
    /// The newest acknowledgement of each side.
    pub acks: Vec<RecordedAck>,
    /// The newest handoff.
    pub handoff: Option<RecordedHandoff>,
    /// Decisions, the newest first.
    pub decisions: Vec<RecordedDecision>,
}

/// A round of proposals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRound {
    /// Its id.
    pub round: String,
    /// When each side has proposed, the worker first.
    pub proposed: Vec<(Proposer, Timestamp)>,
    /// What is proposed, in the words of whoever proposes it: both sides, or nothing while one is missing.
    pub proposals: Vec<(Proposer, Vec<String>)>,
    /// Who proposed for a side that did not do so itself.
    pub spoken_for: Vec<(Proposer, String)>,
    /// The judgements, the oldest first.
    pub judged: Vec<(Timestamp, Judged)>,
    /// The number of the question that a person is asked about it, and why.
    pub asked: Option<(i64, String)>,
}

impl RecordedRound {
    /// Both sides have proposed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.proposals.is_empty()
    }
}

/// The newest acknowledgement of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAck {
    /// The side for which it is said.
    pub role: Role,
    /// What was said; none when nothing was.
    pub said: Option<AckWords>,
    /// Why it does not hold for what is in force; nothing when it holds.
    pub faults: Vec<&'static str>,
}

/// An acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckWords {
    /// When.
    pub at: Timestamp,
    /// Counts those of this role.
    pub revision: u64,
    /// The revision of the terms that it is about; none while there were none.
    pub terms: Option<u64>,
    /// Who said it for the side; none when the side has said it itself.
    pub by: Option<String>,
    /// What was said, a line for each field.
    pub words: Vec<String>,
}

/// The newest handoff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedHandoff {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who recorded it for the worker; none when the worker has done so itself.
    pub by: Option<String>,
    /// What was done.
    pub summary: String,
    /// What comes next.
    pub next_steps: Vec<String>,
    /// It holds for the binding in force, and nothing was compacted since.
    pub is_fresh: bool,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedDecision {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub decision: Deciding,
    /// Who: a session by its name, or the operator.
    pub who: String,
    /// Why.
    pub reason: String,
    /// Until when it carries what needs one.
    pub carries_until: Timestamp,
}

/// What was said about a task.
///
/// # Errors
/// When there is no such task, or the ledger cannot be read.
pub fn task_record(cx: &Context, task_id: &str) -> Result<TaskRecord> {
    cx.ledger()?.read(|r| {
        let task = lookup::task(r, task_id)?;
        let (rounds, older_rounds) = rounds(r, &task.id)?;
        let standing = review::standing(r, &task)?;
        let config = store::manager_configs::of_task(r, &task.id)?;
        let ack = |role| {
            let (newest, faults) = acks::standing(r, &task, role)?;
            let said = newest.map(|ack| AckWords {
                at: ack.created_at,
                revision: ack.revision,
                terms: ack.manager_config_revision,
                by: on_behalf(ack.origin.as_deref(), role.as_str()),
                words: operator::words(&ack.payload),
            });
            Ok::<_, Error>(RecordedAck { role, said, faults })
        };
        let handoff = store::handoffs::newest(r, &task.id)?;
        let handoff = handoff.map(|handoff| {
            let is_fresh = store::handoffs::is_fresh(r, &handoff)?;
            let store::handoffs::Handoff { id, created_at, origin, summary, next_steps, .. } = handoff;
            let by = on_behalf(origin.as_deref(), Role::Worker.as_str());
            Ok::<_, Error>(RecordedHandoff { id, at: created_at, by, summary, next_steps, is_fresh })
        });
        Ok(TaskRecord {
            rounds,
            older_rounds,
            not_to_proceed: standing.reason,
            has_reviewer: store::continuations::reviewer(r, &task.id)?.is_some(),
            terms: config.as_ref().map_or(0, |config| config.revision),
            acks_required: config.is_some_and(|config| config.terms.require_acks),
            acks: vec![ack(Role::Worker)?, ack(Role::Manager)?],
            handoff: handoff.transpose()?,
            decisions: decisions(r, &task.id)?,
        })
    })
}

fn rounds(r: Read<'_>, task_id: &str) -> Result<(Vec<RecordedRound>, usize)> {
    let mut names: Vec<String> = Vec::new();
    let all = store::continuations::of_task(r, task_id, None)?;
    for one in all.iter().rev().filter(|one| one.proposer == Proposer::Worker) {
        if !names.contains(&one.correlation_id) {
            names.push(one.correlation_id.clone());
        }
    }
    let older = names.len().saturating_sub(ROUNDS);
    names.truncate(ROUNDS);
    let reviews = store::continuations::reviews(r, task_id, None)?;
    let asked = store::continuations::questions(r, Some(task_id), /*all*/ false)?;
    let round = |round: String| {
        let newest = |proposer| {
            let is_it = |one: &&Continuation| one.proposer == proposer && one.correlation_id == round;
            all.iter().rfind(is_it)
        };
        let proposed: Vec<&Continuation> = Proposer::ALL.iter().filter_map(|proposer| newest(*proposer)).collect();
        // As long as one is missing, the other is nobody's to read.
        let shown = if proposed.len() == Proposer::ALL.len() { &*proposed } else { &[] };
        let judged = reviews.iter().filter(|review| review.correlation_id == round);
        let question = asked.iter().find(|question| question.correlation_id == round);
        RecordedRound {
            proposed: proposed.iter().map(|one| (one.proposer, one.created_at)).collect(),
            proposals: shown.iter().map(|one| (one.proposer, operator::words(&one.payload))).collect(),
            spoken_for: proposed.iter().filter_map(|one| spoken_for(one)).collect(),
            judged: judged.map(|review| (review.created_at, Judged::from(review.clone()))).collect(),
            asked: question.map(|question| (question.id, question.reason.clone())),
            round,
        }
    };
    Ok((names.into_iter().map(round).collect(), older))
}

fn decisions(r: Read<'_>, task_id: &str) -> Result<Vec<RecordedDecision>> {
    let newest = store::decisions::newest(r, task_id, DECISIONS)?;
    let told = newest.into_iter().map(|decision| {
        let session = decision.manager_session_id.as_deref();
        let session = session.map(|id| store::sessions::by_id(r, id)).transpose()?.flatten();
        Ok(RecordedDecision {
            id: decision.id,
            at: decision.created_at,
            decision: decision.decision,
            who: session.map_or(decision.actor, |session| session.name),
            reason: decision.reason,
            carries_until: Timestamp::from_millis(decision.created_at.as_millis() + MAX_DECISION_AGE * 1_000),
        })
    });
    told.collect()
}

/// Who said something for a side; none when the side has said it itself, or when that is not on record.
pub(super) fn on_behalf(origin: Option<&str>, side: &str) -> Option<String> {
    // A session is told by its role and its name.
    origin.filter(|origin| origin.split(' ').next() != Some(side)).map(str::to_owned)
}

/// A side for which somebody else has proposed, and who.
pub(super) fn spoken_for(proposal: &Continuation) -> Option<(Proposer, String)> {
    let by = on_behalf(Some(&proposal.origin), proposal.proposer.as_str())?;
    Some((proposal.proposer, by))
}
