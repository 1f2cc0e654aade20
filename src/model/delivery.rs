//! What is to be delivered to sessions: commands, their way, and the signals that workers' turns send.

use serde::Serialize;
use serde_json::Value;

use super::{progress::EndKind, typing::ControlCommand};
use crate::{base::Timestamp, text_enum};

text_enum! {
    /// What a command is for.
    pub enum CommandKind {
        /// A message of a task's worker to its manager.
        NotifyManager => "notify_manager",
        /// A message of a task's manager to its worker.
        NudgeWorker => "nudge_worker",
        /// A message to one session, whoever sends it.
        SessionNudge => "session_nudge",
        /// Tells a manager that something about its worker lies in its inbox.
        WorkerTaskComplete => "worker_task_complete",
        /// Has a worker's Codex compact its context.
        RequestWorkerCompact => "request_worker_compact",
        /// Has a worker's Codex begin an empty thread.
        RequestWorkerClear => "request_worker_clear",
    }
}

impl CommandKind {
    /// The command of Codex that it comes to; none is a message.
    #[must_use]
    pub fn control(self) -> Option<ControlCommand> {
        match self {
            Self::NotifyManager | Self::NudgeWorker | Self::SessionNudge | Self::WorkerTaskComplete => None,
            Self::RequestWorkerCompact => Some(ControlCommand::Compact),
            Self::RequestWorkerClear => Some(ControlCommand::Clear),
        }
    }
}

text_enum! {
    /// The contract's word for where a command stands; follows from its [`Phase`].
    pub enum CommandState {
        /// Nobody has begun to deliver it.
        Pending => "pending",
        /// Somebody has begun, and it is not proven how that ended.
        Attempted => "attempted",
        /// It was handed over.
        Succeeded => "succeeded",
        /// It will not be delivered.
        Failed => "failed",
        /// A gate, policy or permission said no.
        Blocked => "blocked",
    }
}

text_enum! {
    /// How far a command has come.
    pub enum Phase {
        /// Waits for its turn.
        Queued => "queued",
        /// A dispatcher holds a lease on it; nothing has been tried.
        Claimed => "claimed",
        /// From here on something may have happened outside the ledger.
        Started => "started",
        /// The text is in the target's composer, not submitted.
        Staged => "staged",
        /// The target was told to take it; its own record of it is awaited.
        Submitted => "submitted",
        /// It lies in the target's inbox.
        Delivered => "delivered",
        /// The target has it: its rollout shows it, or the reader of its inbox confirmed it.
        Done => "done",
        /// Proven not delivered.
        Failed => "failed",
        /// It may have been delivered; only an operator can tell.
        Ambiguous => "ambiguous",
        /// Taken back before anything was tried.
        Cancelled => "cancelled",
        /// Its time ran out before anything was tried.
        Expired => "expired",
        /// Given up.
        Dead => "dead",
        /// A gate, policy or permission said no.
        Blocked => "blocked",
    }
}

impl Phase {
    /// The contract's word for this phase.
    #[must_use]
    pub fn state(self) -> CommandState {
        match self {
            Self::Queued => CommandState::Pending,
            Self::Claimed | Self::Started | Self::Staged | Self::Submitted | Self::Ambiguous => CommandState::Attempted,
            Self::Delivered | Self::Done => CommandState::Succeeded,
            Self::Failed | Self::Cancelled | Self::Expired | Self::Dead => CommandState::Failed,
            Self::Blocked => CommandState::Blocked,
        }
    }

    /// How screens say it: what an operator has to tell apart, in a word or two.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Claimed | Self::Started | Self::Staged | Self::Submitted => "on its way",
            Self::Delivered => "in inbox",
            Self::Done => "arrived",
            Self::Ambiguous => "uncertain",
            Self::Failed | Self::Dead => "given up",
            Self::Expired => "expired",
            Self::Blocked => "refused",
            Self::Cancelled => "taken back",
        }
    }

    /// One phase for each word, in the order of a message's way.
    pub fn worded() -> impl Iterator<Item = Self> {
        let is_first =
            |(at, phase): &(usize, &Self)| !Self::ALL[..*at].iter().any(|other| other.word() == phase.word());
        Self::ALL.iter().enumerate().filter(is_first).map(|(_, phase)| *phase)
    }

    /// While this is the phase, later commands for the same target wait.
    #[must_use]
    pub fn holds_the_line(self) -> bool {
        matches!(self, Self::Queued | Self::Claimed | Self::Started | Self::Staged | Self::Submitted)
    }

    /// The command was given up without reaching its target, and nobody has decided about it since.
    #[must_use]
    pub fn is_dead_letter(self) -> bool {
        matches!(self, Self::Failed | Self::Expired | Self::Dead | Self::Blocked)
    }

    /// Whether a command may go from this phase to `next`.
    ///
    /// From [`Self::Started`] or [`Self::Submitted`] it goes back to [`Self::Queued`] only with proof that the target
    /// does not have it, and from [`Self::Delivered`] to [`Self::Cancelled`] only what nobody has seen in the inbox. To
    /// [`Self::Delivered`] goes what lies in the inbox while a pointer to it is typed. The target's
    /// own record of it ends every way, also one that was thought to have failed.
    #[must_use]
    pub fn leads_to(self, next: Self) -> bool {
        use Phase as P;
        match self {
            // The target's own record of it ends every way.
            P::Done => false,
            _ if next == P::Done => true,
            P::Queued => matches!(
                next,
                P::Claimed | P::Started | P::Delivered | P::Cancelled | P::Expired | P::Dead | P::Failed | P::Blocked
            ),
            P::Claimed => matches!(next, P::Queued | P::Started | P::Cancelled | P::Failed | P::Dead | P::Blocked),
            P::Started => {
                matches!(
                    next,
                    P::Claimed | P::Queued | P::Staged | P::Submitted | P::Delivered | P::Failed | P::Ambiguous
                )
            }
            P::Staged => matches!(next, P::Started | P::Submitted | P::Delivered | P::Failed | P::Ambiguous),
            P::Submitted => matches!(next, P::Staged | P::Queued | P::Delivered | P::Failed | P::Ambiguous),
            // Back into the queue only what its reader has not seen, when there is a way to it again.
            P::Delivered => matches!(next, P::Dead | P::Cancelled | P::Queued),
            P::Ambiguous => matches!(next, P::Failed | P::Queued | P::Dead),
            P::Failed | P::Expired | P::Dead | P::Blocked => next == P::Queued,
            P::Cancelled => false,
        }
    }
}

text_enum! {
    /// The way a command takes.
    pub enum Lane {
        /// Codex's background server gives it to the session.
        Server => "server",
        /// It is put into Codex's own queue, from which the session takes it.
        Queue => "queue",
        /// It is typed into the session's tmux pane.
        Tmux => "tmux",
        /// It is put into the target's inbox, and the target fetches it.
        Inbox => "inbox",
    }
}

/// A stored command.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// `command-<uuid>`.
    pub id: String,
    /// The sender's key; the same key with the same request is the same command.
    pub idempotency_key: String,
    /// SHA-256 of the request, as hex.
    pub request_sha256: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When anything of it changed last.
    pub updated_at: Timestamp,
    /// Who sent it, in the words of the audit trail.
    pub created_by: String,
    /// The task it belongs to.
    pub task_id: Option<String>,
    /// The binding that was in force when it was accepted.
    pub binding_id: Option<String>,
    /// The session that speaks; none is the operator.
    pub source_session_id: Option<String>,
    /// The session it is for.
    pub target_session_id: String,
    /// Its place in line, from 1. One line for all; each target gets its own in this order.
    pub seq: i64,
    /// Ties together what belongs to it.
    pub correlation_id: String,
    /// What it is for.
    pub kind: CommandKind,
    /// How far it has come.
    pub phase: Phase,
    /// Why it stands there.
    pub reason: Option<String>,
    /// The way it took or takes.
    pub lane: Option<Lane>,
    /// Why that way.
    pub lane_reason: Option<String>,
    /// The permission that it needs, as the sender wrote it.
    pub required_permission: Option<String>,
    /// Not before this time.
    pub available_at: Option<Timestamp>,
    /// Not after this time.
    pub expires_at: Option<Timestamp>,
    /// The dispatcher that holds it.
    pub claimed_by: Option<String>,
    /// Since when.
    pub claimed_at: Option<Timestamp>,
    /// Until when, unless renewed.
    pub claim_expires_at: Option<Timestamp>,
    /// How often it was claimed; what an older claim writes is refused.
    pub fence: i64,
    /// Tries so far.
    pub attempts: i64,
    /// Tries allowed.
    pub max_attempts: i64,
    /// How often its dispatcher vanished.
    pub crash_count: i64,
    /// How often it was put off.
    pub defer_count: i64,
    /// Its task's budget has paid for it.
    pub budget_spent: bool,
    /// What is to be delivered.
    pub payload: Value,
    /// What the last try came to.
    pub result: Option<Value>,
    /// Why the last try failed.
    pub error: Option<String>,
}

impl Command {
    /// The text to be delivered.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.payload.get("message")?.as_str()
    }
}

text_enum! {
    /// How a try at delivering a command stands.
    pub enum AttemptState {
        /// Under way.
        Running => "running",
        /// It was handed over.
        Succeeded => "succeeded",
        /// It was not.
        Failed => "failed",
        /// Its dispatcher vanished before anything had happened.
        Abandoned => "abandoned",
        /// A gate, policy or permission said no.
        Blocked => "blocked",
    }
}

/// A try at delivering a command.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attempt {
    /// The command.
    pub command_id: String,
    /// As the command's.
    pub correlation_id: String,
    /// Who tried.
    pub dispatcher_id: String,
    /// Why it failed.
    pub error: Option<String>,
    /// The claim it was made under.
    pub fence: i64,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Its number.
    pub id: i64,
    /// The way it took.
    pub lane: Option<Lane>,
    /// What it came to.
    pub result: Option<Value>,
    /// Everything that it does outside the ledger has happened.
    pub side_effect_completed: bool,
    /// Something may have happened outside the ledger.
    pub side_effect_started: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// How it stands.
    pub state: AttemptState,
}

text_enum! {
    /// What the end of a worker's turn tells its manager.
    pub enum SignalKind {
        /// It has answered.
        TaskComplete => "worker_task_complete",
        /// It proposed a plan and waits.
        PlanWaits => "worker_plan_waits",
        /// The turn failed, or ended with nothing.
        TurnFailed => "worker_turn_failed",
        /// The turn was cut off.
        TurnAborted => "worker_turn_aborted",
    }
}

impl SignalKind {
    /// The signal of a turn that ended so; none when nobody waits for such an end.
    #[must_use]
    pub fn of(end: EndKind) -> Option<Self> {
        match end {
            EndKind::Answered => Some(Self::TaskComplete),
            EndKind::Planned => Some(Self::PlanWaits),
            EndKind::Failed | EndKind::NoAnswer => Some(Self::TurnFailed),
            EndKind::Aborted => Some(Self::TurnAborted),
            EndKind::Compacted | EndKind::UserShell => None,
        }
    }
}

text_enum! {
    /// What became of a signal.
    pub enum Disposition {
        /// A message of its own.
        Routed => "routed",
        /// Added to a message that the manager had not read yet.
        Merged => "merged",
        /// The turn ended before the worker was bound.
        OutsideBinding => "outside_binding",
    }
}

text_enum! {
    /// Where an inbox item stands.
    pub enum ItemState {
        /// Recorded, not yet to be seen.
        Pending => "pending",
        /// To be fetched, or fetched.
        Delivered => "delivered",
        /// Given up: it was handed out again and again, and nobody confirmed it.
        Failed => "failed",
        /// Not delivered on purpose.
        Suppressed => "suppressed",
    }
}

text_enum! {
    /// What a session says about something it got.
    pub enum AckStatus {
        /// It has it.
        Received => "received",
        /// It will act on it.
        Accepted => "accepted",
        /// It cannot.
        Blocked => "blocked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_leads_nowhere_but_back_into_the_queue() {
        for phase in Phase::ALL.iter().filter(|phase| phase.is_dead_letter()) {
            let next: Vec<_> = Phase::ALL.iter().filter(|next| phase.leads_to(**next)).collect();
            assert_eq!(next, [&Phase::Queued, &Phase::Done], "{phase}: an operator's hand, or the target's record");
        }
        assert!(Phase::ALL.iter().all(|next| !Phase::Done.leads_to(*next)));
    }

    #[test]
    fn what_may_have_happened_is_never_taken_back_and_never_given_up_as_cancelled() {
        for phase in [Phase::Started, Phase::Staged, Phase::Submitted, Phase::Ambiguous] {
            assert!(!phase.leads_to(Phase::Cancelled) && !phase.leads_to(Phase::Expired), "{phase}");
            assert!(phase.leads_to(Phase::Done), "{phase}: the target's record ends every way");
        }
        assert!(!Phase::Started.leads_to(Phase::Cancelled) && !Phase::Submitted.leads_to(Phase::Cancelled));
    }

    #[test]
    fn every_phase_that_holds_the_line_is_unfinished_in_the_contracts_words() {
        for phase in Phase::ALL {
            let unfinished = matches!(phase.state(), CommandState::Pending | CommandState::Attempted);
            assert_eq!(phase.holds_the_line() || *phase == Phase::Ambiguous, unfinished, "{phase}");
        }
    }
}
