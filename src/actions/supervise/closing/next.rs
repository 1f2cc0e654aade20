//! What to do about a gate that is not met: the commands that lead on, in words.

use crate::{
    actions::caller::Origin,
    model::{
        session::Role,
        supervision::{CriterionStatus, Epilogue},
        task::Task,
    },
};

/// Whoever is told, and about which task.
#[derive(Clone, Copy)]
pub(super) struct Next<'a> {
    pub(super) origin: &'a Origin,
    pub(super) task: &'a Task,
}

/// What is open among the criteria, by number.
#[derive(Default)]
pub(super) struct OpenCriteria {
    /// The work is held to them.
    pub(super) accepted: Vec<i64>,
    /// Nobody has decided about them.
    pub(super) proposed: Vec<i64>,
    /// Those of the terms that were put off or dropped by somebody who may not.
    pub(super) asked_by_terms: Vec<(i64, CriterionStatus)>,
    /// Satisfied, with evidence that does not hold, or on a session's word.
    pub(super) unproven: Vec<i64>,
    /// None is satisfied, and one has to be.
    pub(super) needs_one: bool,
    /// They were changed while they were looked at.
    pub(super) moved: bool,
}

impl Next<'_> {
    fn is_operator(&self) -> bool {
        *self.origin == Origin::Operator
    }

    /// A command line of this program about the task.
    fn line(&self, verb: &str, more: &str) -> String {
        format!("`conveyor {verb} {} {more}`", self.task.name)
    }

    pub(super) fn again(&self) -> String {
        "run it again".to_owned()
    }

    /// What ends the task all the same.
    pub(super) fn instead(&self) -> String {
        format!("to end it without being done: {}", self.line("stop-task", "--reason TEXT"))
    }

    pub(super) fn criteria(&self, open: &OpenCriteria) -> Vec<String> {
        let criteria = |more: &str| self.line("criteria", more);
        let mut steps = Vec::new();
        if !open.accepted.is_empty() {
            let (of, id) = which(&open.accepted);
            let shows = criteria(&format!("--satisfy {id} --artifact FILE"));
            steps.push(format!("{of}show what is done: {shows}, or --commit, --byte, --event in place of --artifact"));
            steps.push(if self.is_operator() {
                let (defers, rejects) = (criteria(&format!("--defer {id}")), criteria(&format!("--reject {id}")));
                format!("{of}or defer it: {defers}; or reject it: {rejects}")
            } else {
                format!("{of}what the operator asked for only the operator defers or rejects")
            });
        }
        if !open.proposed.is_empty() {
            let (of, id) = which(&open.proposed);
            let (accepts, rejects) = (criteria(&format!("--accept {id}")), criteria(&format!("--reject {id}")));
            steps.push(format!("{of}hold the work to it: {accepts}; or reject it: {rejects}"));
        }
        steps.extend(open.asked_by_terms.iter().map(|(id, status)| match status {
            CriterionStatus::Proposed => format!("#{id}: {}", criteria(&format!("--accept {id}"))),
            _ => {
                let accepts = criteria(&format!("--accept {id} --rationale TEXT"));
                format!("#{id} is {status}: take it up again with {accepts}, or an operator drops it")
            }
        }));
        if !open.unproven.is_empty() {
            let (of, id) = which(&open.unproven);
            let accepts = criteria(&format!("--accept {id} --rationale TEXT"));
            steps.push(format!("{of}take it up again and show it anew: {accepts}, then --satisfy"));
        }
        if open.needs_one && open.accepted.is_empty() {
            let adds = criteria("--add --criterion TEXT --status accepted");
            steps.push(format!("ask for something that can be shown: {adds}, then --satisfy"));
        }
        if open.moved {
            steps.push(self.again());
        }
        steps
    }

    /// A satisfied criterion has to have evidence of these types.
    pub(super) fn evidence(&self, types: &[String]) -> Vec<String> {
        let one = |name: &String| {
            let details = format!("--satisfy ID --artifact FILE --evidence-json '{{\"evidence_type\": \"{name}\"}}'");
            format!("name it with what shows it: {}", self.line("criteria", &details))
        };
        types.iter().map(one).collect()
    }

    pub(super) fn adversarial_proof(&self) -> Vec<String> {
        let details = "--satisfy ID --artifact FILE --evidence-json '{\"evidence_type\": \"adversarial_check\", \
                       \"failure_mode\": \"...\", \"check\": \"...\", \"result\": \"...\"}'";
        vec![format!("try to break the work, then {}", self.line("criteria", details))]
    }

    pub(super) fn acknowledgements(&self, missing: &[Role]) -> Vec<String> {
        let one = |role: &Role| {
            let says = self.line(&format!("{role}-ack"), "--from-stdin='{...}'");
            format!("the {role} says itself that it knows the terms: {says}")
        };
        missing.iter().map(one).collect()
    }

    pub(super) fn epilogue(&self, open: &[Epilogue]) -> Vec<String> {
        let mut steps = Vec::new();
        for step in open {
            if *step == Epilogue::RecordHandoff {
                let says = self.line("handoff", "--summary TEXT");
                steps.push(format!("the worker hands over: {says}"));
            }
            steps.push(self.line("epilogue", &format!("--step {step}")));
        }
        if open.is_empty() {
            steps.push(self.line("manager-config", "--epilogue run-tools --tool COMMAND"));
        }
        steps
    }

    pub(super) fn decision(&self) -> Vec<String> {
        let decides = self.line("record-decision", "stop --reason TEXT");
        vec![format!("{decides}, then this again with --decision-id and the id that it prints")]
    }

    pub(super) fn permission(&self) -> Vec<String> {
        let permits = self.line("manager-config", "--permit worker_session.stop");
        vec![format!("an operator ends it, or allows its manager to stop the worker: {permits}")]
    }

    pub(super) fn transcript(&self) -> Vec<String> {
        vec![
            "name a session whose pane can be read with --stop-worker or --stop-manager, or leave \
              --require-transcript-segment out"
                .to_owned(),
        ]
    }
}

/// Which criteria a step is about, and how one of them is named in its command line.
fn which(ids: &[i64]) -> (String, String) {
    match ids {
        [id] => (String::new(), id.to_string()),
        _ => {
            let all: Vec<String> = ids.iter().map(|id| format!("#{id}")).collect();
            (format!("for each of {}: ", all.join(", ")), "ID".to_owned())
        }
    }
}
