//! `dispatch resolve`: an operator decides about a command whose fate nothing can prove.
//!
//! What is decided here is written down as what it is: somebody's word. It never claims that a rollout showed the
//! message, and the session's own record of it, should it turn up later, still ends the command.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::control::{self, RETRY_TIME_TO_LIVE};
use crate::{
    actions::{
        Context,
        caller::{self, Origin},
    },
    base::{Error, Kind, Result},
    model::delivery::{Command, Phase},
    store::{self, Write, audit, commands::Step},
    text_enum,
};

/// The longest reason, in characters.
pub(super) const MAX_REASON: usize = 1_000;

text_enum! {
    /// What an operator says about a command.
    pub enum Decision {
        /// The session has it.
        Delivered => "delivered",
        /// The session does not have it, and it is given up.
        NotDelivered => "not-delivered",
        /// It is to be sent again, whether the session has it or not.
        Rearm => "rearm",
    }
}

/// What was decided.
#[derive(Debug, Serialize)]
pub struct Resolved {
    /// The command.
    command_id: String,
    /// What the operator says.
    decision: Decision,
    /// Nothing was changed.
    dry_run: bool,
    /// How far it had come.
    from: Phase,
    /// Where it stands now.
    phase: Phase,
    /// Why, in the operator's words.
    reason: String,
    /// With `delivered`: whose word it is. No record of the session.
    receipt: Option<Value>,
    /// What this may lead to.
    warning: Option<&'static str>,
}

/// What sending again may lead to.
const TWICE: &str = "it may arrive twice: nothing proves that the session did not get it before";

impl Decision {
    fn phase(self) -> Phase {
        match self {
            Self::Delivered => Phase::Done,
            Self::NotDelivered => Phase::Failed,
            Self::Rearm => Phase::Queued,
        }
    }
}

/// Decides about the command `id`.
pub(super) fn resolve(cx: &Context, id: &str, decision: Decision, reason: &str) -> Result<Resolved> {
    let reason = crate::base::text::clean(reason.trim());
    if reason.is_empty() || reason.chars().count() > MAX_REASON {
        return Err(Error::usage(format!("--reason takes 1 to {MAX_REASON} characters"))
            .hint("say what you saw: who reads this later has nothing else"));
    }
    let now = cx.moment();
    let store = cx.ledger_to_change()?;
    let origin = caller::origin(cx, &store)?;
    if origin != Origin::Operator {
        let who = origin.words();
        return Err(Error::new(
            Kind::Blocked,
            format!("an operator decides about what may have arrived, and this command runs in {who}"),
        )
        .hint("tell the operator what you saw"));
    }
    let (from, receipt) = store.write_durably(|w| {
        let command = control::command(w, id)?;
        check(w, &command, decision)?;
        let receipt = (decision == Decision::Delivered)
            .then(|| json!({"actor": cx.actor().as_str(), "at": now.wall, "kind": "operator", "reason": reason}));
        match &receipt {
            Some(receipt) => {
                let mut result = command.result.clone().filter(Value::is_object).unwrap_or_else(|| json!({}));
                result["receipt"] = receipt.clone();
                let words = format!("an operator says that it arrived: {reason}");
                let step = Step { reason: Some(&words), result: Some(&result), ..Step::default() };
                store::commands::advance(w, &command, Phase::Done, step, now.wall)?;
            }
            None if decision == Decision::NotDelivered => {
                let words = format!("an operator says that it did not arrive: {reason}");
                let step = Step { reason: Some(&words), error: Some(&words), ..Step::default() };
                store::commands::advance(w, &command, Phase::Failed, step, now.wall)?;
            }
            None => {
                let words = format!("an operator lets it be sent again: {reason}");
                store::commands::requeue(w, &command, Some(RETRY_TIME_TO_LIVE), &words, &now)?;
            }
        }
        let about = audit::About { task_id: command.task_id.as_deref(), session_id: Some(&command.target_session_id) };
        let payload = json!({
            "command_id": command.id,
            "decision": decision,
            "fence": command.fence,
            "from": command.phase,
            "reason": reason,
            "to": decision.phase(),
        });
        audit::append(w, now.wall, cx.actor(), "command_resolved", about, &payload)?;
        Ok::<_, Error>((command.phase, receipt))
    })?;
    Ok(Resolved {
        command_id: id.to_owned(),
        decision,
        dry_run: cx.dry_run(),
        from,
        phase: decision.phase(),
        reason,
        receipt,
        warning: (decision == Decision::Rearm).then_some(TWICE),
    })
}

/// Only what nothing can prove is decided by somebody's word; and that something arrived that was given up.
fn check(w: &Write<'_>, command: &Command, decision: Decision) -> Result<()> {
    let (id, phase) = (&command.id, command.phase);
    let refused = |message: String, hint: &str| Err(Error::refused(message).hint(hint));
    match (phase, decision) {
        (Phase::Ambiguous, Decision::Rearm) => control::check_target(w, command),
        (Phase::Ambiguous, Decision::Delivered | Decision::NotDelivered) => Ok(()),
        // It was tried; whoever looked may know better.
        (Phase::Failed | Phase::Dead, Decision::Delivered) if command.attempts > 0 => Ok(()),
        (Phase::Failed | Phase::Dead | Phase::Expired | Phase::Blocked, _) => refused(
            format!("command {id} is {phase} and not ambiguous"),
            "`conveyor dispatch retry` queues again what was given up",
        ),
        (Phase::Started | Phase::Staged | Phase::Submitted, _) => refused(
            format!("command {id} is {phase}: its fate is still being looked for"),
            "it becomes done or ambiguous by itself; keep a dispatcher running",
        ),
        (Phase::Queued | Phase::Claimed, _) => refused(
            format!("command {id} is {phase}: nothing of it has happened yet"),
            "`conveyor dispatch cancel` takes it back",
        ),
        (Phase::Delivered, _) => refused(
            format!("command {id} lies in its target's inbox"),
            "its reader confirms it; `conveyor session-inbox` shows it",
        ),
        (Phase::Done | Phase::Cancelled, _) => refused(
            format!("command {id} is {phase} already"),
            &format!("nothing is left to decide; `conveyor chain {id}` shows what became of it"),
        ),
    }
}

impl Resolved {
    pub(super) fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let Self { command_id, from, phase, reason, .. } = self;
        let is = if self.dry_run { "would be" } else { "is" };
        writeln!(out, "{command_id} was {from}, {is} {phase} by an operator's word: {reason}")?;
        self.warning.iter().try_for_each(|warning| writeln!(out, "! {warning}"))
    }
}
