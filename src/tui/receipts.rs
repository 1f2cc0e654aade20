//! What was submitted from here and what became of it: a short list that outlives the boxes in which it was shown.
//!
//! A receipt ends when its command returns; a message that the command queued moves on after that, and its receipt
//! follows it as the ledger tells.

pub mod keys;

use super::message::Failure;
use crate::{
    actions::{AnswerOutcome, Command, Deliveries, Report},
    base::{Error, Kind, Timestamp},
    model::delivery::Phase,
};

/// The most receipts that are kept.
const KEPT: usize = 50;

/// For so many seconds a failure that nobody has looked at is named on every screen.
const NAMED_SECONDS: i64 = 600;

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It runs.
    Running,
    /// It returned.
    Done {
        /// Its exit code.
        exit_code: u8,
        /// What it says.
        prose: String,
    },
    /// It could not be done.
    Failed(Failure),
}

/// A message that a command queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its command in the ledger.
    pub id: String,
    /// The phases it was seen in, oldest first.
    pub phases: Vec<Phase>,
    /// The byte of its target's rollout that proves it.
    pub proof: Option<u64>,
    /// Why it stands where it stands.
    pub reason: Option<String>,
}

/// What a command asks before it does what was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asking {
    /// The question.
    pub question: String,
    /// What yes does.
    pub then: Command,
    /// The operator has said yes.
    pub is_given: bool,
}

/// One submitted command.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// Counts the commands submitted from here.
    pub number: u64,
    /// The command line.
    pub line: String,
    /// What it does and to whom, in short; empty when that is not known.
    pub about: String,
    /// When it was submitted.
    pub begun_at: Timestamp,
    /// When it came to its end.
    pub ended_at: Option<Timestamp>,
    /// What it came to.
    pub outcome: Outcome,
    /// When it turned out that it came to nothing.
    pub failed_at: Option<Timestamp>,
    /// What it asks; nothing is done before the yes.
    pub asking: Option<Asking>,
    /// Messages that it queued.
    pub sent: Vec<Sent>,
    /// What it says is only how its message stood then; the ledger tells how it stands now.
    pub is_message: bool,
    /// The session whose question it has answered: what that session does goes on.
    pub answered: Option<String>,
    /// Whether the operator has been shown how it stands.
    pub seen: bool,
    /// Whether nothing was pressed since it was submitted.
    pub awaited: bool,
}

impl Receipt {
    /// Whether it came to something that the operator has to know.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        let is_bad = |phase: &Phase| phase.is_dead_letter() || *phase == Phase::Ambiguous;
        match &self.outcome {
            Outcome::Running => false,
            Outcome::Failed(_) => true,
            Outcome::Done { .. } if self.asking.is_some() => false,
            Outcome::Done { .. } if !self.sent.is_empty() => {
                self.sent.iter().any(|sent| sent.phases.last().is_some_and(is_bad))
            }
            // What is accepted and not confirmed yet is on its way.
            Outcome::Done { exit_code, .. } => ![0, Kind::Unconfirmed.exit_code()].contains(exit_code),
        }
    }

    /// How it stands, in a word or a few.
    #[must_use]
    pub fn word(&self) -> String {
        match (&self.outcome, self.sent.is_empty()) {
            (Outcome::Running, _) => "running".to_owned(),
            (Outcome::Failed(_), _) => "failed".to_owned(),
            _ if self.asking.is_some() => self.status(),
            (Outcome::Done { exit_code: 0, .. }, true) => "done".to_owned(),
            (Outcome::Done { exit_code, .. }, true) => format!("exit {exit_code}"),
            (Outcome::Done { .. }, false) => self.status(),
        }
    }

    /// How it stands, in a line.
    #[must_use]
    pub fn status(&self) -> String {
        match (&self.outcome, self.sent.as_slice()) {
            (Outcome::Running, _) => "running".to_owned(),
            (Outcome::Failed(failure), _) => format!("failed: {}", failure.message),
            _ if self.asking.as_ref().is_some_and(|asking| asking.is_given) => "you said yes".to_owned(),
            _ if self.asking.is_some() => "waits for your yes".to_owned(),
            (Outcome::Done { .. }, [sent]) => sent.way(),
            (Outcome::Done { .. }, [_, _, ..]) => {
                let is = |sent: &&Sent, word: &str| sent.phases.last().is_some_and(|phase| phase.word() == word);
                let words = Phase::worded().map(Phase::word);
                let counted = words.map(|word| (self.sent.iter().filter(|sent| is(sent, word)).count(), word));
                let known = counted.filter(|(count, _)| *count > 0);
                known.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
            }
            (Outcome::Done { exit_code: 0, .. }, []) => "done".to_owned(),
            (Outcome::Done { exit_code, prose }, []) => {
                format!("exit {exit_code}: {}", prose.lines().next().unwrap_or_default())
            }
        }
    }
}

impl Sent {
    /// `queued -> submitted -> confirmed at byte 4711`
    #[must_use]
    pub fn way(&self) -> String {
        let last = self.phases.len().saturating_sub(1);
        let words = self.phases.iter().enumerate().map(|(index, phase)| match (phase, self.proof) {
            (Phase::Done, Some(byte)) => format!("confirmed at byte {byte}"),
            (Phase::Delivered, _) => "in the inbox".to_owned(),
            (phase, _) if index == last && (phase.is_dead_letter() || *phase == Phase::Ambiguous) => {
                format!("{}{}", phase.word(), self.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default())
            }
            (phase, _) => phase.to_string(),
        });
        words.collect::<Vec<_>>().join(" -> ")
    }

    fn learn(&mut self, phase: Phase, proof: Option<u64>, reason: Option<&str>) {
        if self.phases.last() != Some(&phase) {
            self.phases.push(phase);
        }
        self.proof = proof.or(self.proof);
        self.reason = reason.map(str::to_owned);
    }
}

/// The receipts, newest first.
#[derive(Debug, Default)]
pub struct Receipts {
    list: Vec<Receipt>,
    given: u64,
}

impl Receipts {
    /// All that are kept, newest first.
    #[must_use]
    pub fn list(&self) -> &[Receipt] {
        &self.list
    }

    /// The one of this number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Receipt> {
        self.list.iter().find(|receipt| receipt.number == number)
    }

    /// A command was submitted.
    pub fn begin(&mut self, line: String, about: String, now: Timestamp) {
        self.given += 1;
        self.list.insert(
            0,
            Receipt {
                number: self.given,
                line,
                about,
                begun_at: now,
                ended_at: None,
                outcome: Outcome::Running,
                failed_at: None,
                asking: None,
                sent: Vec::new(),
                is_message: false,
                answered: None,
                seen: false,
                awaited: true,
            },
        );
        // What runs or has failed unseen is kept longer than what is done.
        while self.list.len() > KEPT {
            let settled = |receipt: &Receipt| receipt.ended_at.is_some() && (receipt.seen || !receipt.is_failing());
            let at = self.list.iter().rposition(settled).unwrap_or(self.list.len() - 1);
            self.list.remove(at);
        }
    }

    /// A command line came to its end; its receipt. Of equal lines that run the oldest one has ended; a line that was
    /// pushed out meanwhile is taken down anew.
    pub fn end(&mut self, line: &str, result: Result<&Report, &Error>, now: Timestamp) -> &Receipt {
        let runs = |receipt: &Receipt| receipt.ended_at.is_none() && receipt.line == line;
        let at = self.list.iter().rposition(runs).unwrap_or_else(|| {
            self.begin(line.to_owned(), String::new(), now);
            0
        });
        let receipt = &mut self.list[at];
        receipt.ended_at = Some(now);
        receipt.outcome = match result {
            Ok(report) => {
                receipt.sent = sent(&report.json);
                receipt.is_message = one_sent(&report.json).is_some();
                receipt.answered = answered(&report.json);
                Outcome::Done { exit_code: report.exit_code, prose: report.prose.trim_end().to_owned() }
            }
            Err(error) => Outcome::Failed(Failure::from(error)),
        };
        receipt.failed_at = receipt.is_failing().then_some(now);
        receipt
    }

    /// The command of this receipt has done nothing yet: it asks.
    pub fn asks(&mut self, number: u64, question: String, then: Command) {
        if let Some(receipt) = self.list.iter_mut().find(|receipt| receipt.number == number) {
            receipt.asking = Some(Asking { question, then, is_given: false });
            receipt.failed_at = None;
        }
    }

    /// The operator has said yes to this.
    pub fn confirmed(&mut self, command: &Command) {
        let askings = self.list.iter_mut().filter_map(|receipt| receipt.asking.as_mut());
        askings.filter(|asking| asking.then == *command).for_each(|asking| asking.is_given = true);
    }

    /// A key was pressed: nobody waits any more for what still runs.
    pub fn key_pressed(&mut self) {
        self.list.iter_mut().for_each(|receipt| receipt.awaited = false);
    }

    /// What the ledger says of messages now.
    pub fn learn(&mut self, deliveries: &Deliveries) {
        for receipt in &mut self.list {
            let was_failing = receipt.is_failing();
            for sent in &mut receipt.sent {
                if let Some(row) = deliveries.command(&sent.id) {
                    sent.learn(row.phase, row.proof, row.reason.as_deref());
                }
            }
            if receipt.is_failing() && !was_failing {
                receipt.seen = false;
                receipt.failed_at = Some(deliveries.taken_at);
            }
        }
    }

    /// The operator has been shown these.
    pub fn see(&mut self, shown: impl Fn(&Receipt) -> bool) {
        self.list.iter_mut().filter(|receipt| shown(receipt)).for_each(|receipt| receipt.seen = true);
    }

    /// How many have failed of late and were not seen. In the list they stand as long as it holds them.
    #[must_use]
    pub fn unseen_failures(&self, now: Timestamp) -> usize {
        let is_late = |receipt: &Receipt| receipt.failed_at.is_some_and(|at| at.age_seconds(now) < NAMED_SECONDS);
        self.list.iter().filter(|receipt| receipt.is_failing() && !receipt.seen && is_late(receipt)).count()
    }

    /// How many run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.list.iter().filter(|receipt| receipt.outcome == Outcome::Running).count()
    }
}

/// The messages that a result says were queued: several, one, or the one behind an interruption.
fn sent(json: &serde_json::Value) -> Vec<Sent> {
    match json.get("commands").and_then(serde_json::Value::as_array) {
        Some(commands) => commands.iter().filter_map(one_sent).collect(),
        None => one_sent(json).or_else(|| one_sent(json.pointer("/followup/command")?)).into_iter().collect(),
    }
}

/// The session one of whose questions this result has answered.
fn answered(json: &serde_json::Value) -> Option<String> {
    let is_answer = json.get("outcome")?.as_str()? == AnswerOutcome::Answered.as_str();
    json.get("decision").filter(|decision| is_answer && !decision.is_null())?;
    // With the turn everything has ended that was going on.
    let has_ended = json.pointer("/proof/turn_aborted").is_some_and(|end| !end.is_null());
    if has_ended {
        return None;
    }
    Some(json.get("session")?.as_str()?.to_owned())
}

fn one_sent(value: &serde_json::Value) -> Option<Sent> {
    let id = value.get("command_id")?.as_str()?.to_owned();
    let phase: Phase = value.get("phase")?.as_str()?.parse().ok()?;
    let mut phases = vec![Phase::Queued];
    phases.extend((phase != Phase::Queued).then_some(phase));
    let proof = value.pointer("/receipt/byte_offset").and_then(serde_json::Value::as_u64);
    let reason = value.get("reason").and_then(|reason| reason.as_str()).map(str::to_owned);
    Some(Sent { id, phases, proof, reason })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn report(exit_code: u8, json: serde_json::Value) -> Report {
        Report { json, prose: "said\nmore".into(), exit_code, handover: None }
    }

    #[test]
    fn a_receipt_follows_its_message_after_its_command_has_returned() {
        let mut receipts = Receipts::default();
        receipts.begin("nudge".into(), String::new(), NOW);
        assert_eq!((receipts.running(), receipts.list()[0].status().as_str()), (1, "running"));
        receipts.end("nudge", Ok(&report(0, json!({"command_id": "c", "phase": "submitted"}))), NOW);
        let receipt = &mut receipts.list[0];
        assert_eq!(receipt.status(), "queued -> submitted");
        receipt.sent[0].learn(Phase::Submitted, None, None);
        receipt.sent[0].learn(Phase::Done, Some(4_711), None);
        assert_eq!(receipt.status(), "queued -> submitted -> confirmed at byte 4711");
        assert!(!receipt.is_failing());
    }

    #[test]
    fn a_message_without_a_receipt_from_the_rollout_is_not_called_confirmed() {
        let done = Sent { id: "c".into(), phases: vec![Phase::Queued, Phase::Done], proof: None, reason: None };
        assert_eq!(done.way(), "queued -> done");
        let lost = Sent { phases: vec![Phase::Queued, Phase::Ambiguous], reason: Some("no answer".into()), ..done };
        assert_eq!(lost.way(), "queued -> uncertain: no answer");
    }

    #[test]
    fn what_failed_stays_until_it_was_seen() {
        let mut receipts = Receipts::default();
        for _ in 0..2 {
            receipts.begin("same".into(), String::new(), NOW);
        }
        let error = Error::refused("it is gone");
        assert_eq!(receipts.end("same", Err(&error), NOW).number, 1, "the oldest ended");
        assert_eq!((receipts.unseen_failures(NOW), receipts.running()), (1, 1));
        assert_eq!(receipts.end("other", Ok(&report(0, json!({}))), NOW).number, 3, "nothing that comes is lost");
        receipts.end("same", Ok(&report(Kind::Unconfirmed.exit_code(), json!({}))), NOW);
        assert_eq!((receipts.unseen_failures(NOW), receipts.running()), (1, 0), "on its way is no failure");
        for _ in 0..60 {
            receipts.begin("fine".into(), String::new(), NOW);
            receipts.end("fine", Ok(&report(0, json!({}))), NOW);
        }
        assert_eq!((receipts.list().len(), receipts.unseen_failures(NOW)), (KEPT, 1), "it is not pushed out");
        let later = Timestamp::from_millis(NOW.as_millis() + 600_000);
        assert_eq!(receipts.unseen_failures(later), 0, "it is not named for ever");
        receipts.see(|_| true);
        assert_eq!(receipts.unseen_failures(NOW), 0);
        receipts.begin("last".into(), String::new(), NOW);
        receipts.end("last", Ok(&report(3, json!({}))), NOW);
        assert_eq!((receipts.list()[0].status().as_str(), receipts.unseen_failures(NOW)), ("exit 3: said", 1));
    }
}
