//! How the closing steps of a task stand, on the work as it is now.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    actions::{
        Context,
        supervise::{programs::Programs, review},
    },
    base::Result,
    model::{
        supervision::{Epilogue as Step, ManagerConfig},
        task::Task,
    },
    ports::git,
    store::{
        self, Read,
        epilogues::{EpilogueRun, StepState},
    },
};

/// What the worker's folder holds now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::actions::supervise) struct Folder {
    /// A few words that change when anything of it does; none when it is in no repository.
    pub(super) tree: Option<String>,
    /// Why nothing can be said.
    error: Option<String>,
}

impl Folder {
    /// The folder of a task's worker, bound now or last.
    pub(in crate::actions::supervise) fn worker_of(r: Read<'_>, task: &Task) -> Result<Option<PathBuf>> {
        let Some(binding) = store::bindings::newest_of_task(r, &task.id)? else { return Ok(None) };
        let worker = store::sessions::by_id(r, &binding.worker_session_id)?;
        Ok(worker.map(|worker| PathBuf::from(worker.cwd)))
    }

    /// Looks at it. This never fails: what cannot be told is said.
    pub(in crate::actions::supervise) fn look(cx: &Context, programs: &Programs, folder: Option<&Path>) -> Self {
        let Some(folder) = folder else { return Self::default() };
        // Without git a folder would look the same whatever became of it.
        let Some(program) = programs.find("git") else {
            return Self { tree: None, error: Some(programs.without("git").to_string()) };
        };
        match git::tree_mark(&program, folder, &cx.env().own_files()) {
            Ok(tree) => Self { tree, error: None },
            Err(error) => Self { tree: None, error: Some(error.to_string()) },
        }
    }

    /// What a record keeps of it, to tell later whether it has changed.
    pub(in crate::actions::supervise) fn mark(&self) -> Value {
        match &self.error {
            Some(error) => json!({ "error": error }),
            None => json!(self.tree),
        }
    }

    /// Whether it is as when this was kept. What could not be told is never the same.
    pub(super) fn is_as(&self, mark: &Value) -> bool {
        self.error.is_none() && self.mark() == *mark
    }

    /// Why it is not proven that it holds what it held before.
    pub(super) fn differs_from(&self, before: &Self) -> Option<String> {
        if let Some(error) = self.error.as_ref().or(before.error.as_ref()) {
            return Some(format!("whether the worker's folder changed meanwhile cannot be told: {error}"));
        }
        (self.tree != before.tree).then(|| "the worker's folder changed meanwhile: run it again".to_owned())
    }

    fn changed_since(&self, run: &EpilogueRun) -> Option<String> {
        match &self.error {
            Some(error) => Some(format!("whether the worker's folder has changed since cannot be told: {error}")),
            None => (self.tree != run.tree).then(|| "the worker's folder has changed since".to_owned()),
        }
    }
}

/// How all steps stand.
#[derive(Debug, Clone, Serialize)]
pub(in crate::actions::supervise) struct Status {
    pub(in crate::actions::supervise) missing_or_incomplete: Vec<Step>,
    pub(in crate::actions::supervise) ok: bool,
    pub(in crate::actions::supervise) required_steps: Vec<Step>,
    pub(in crate::actions::supervise) steps: Vec<StepStatus>,
}

/// How a step stands.
#[derive(Debug, Clone, Serialize)]
pub(in crate::actions::supervise) struct StepStatus {
    pub(in crate::actions::supervise) latest_run: Option<EpilogueRun>,
    /// It was done, on the work as it is now.
    pub(in crate::actions::supervise) ok: bool,
    /// Why it does not count.
    pub(in crate::actions::supervise) reasons: Vec<String>,
    /// The latest run's, or `pending`.
    pub(in crate::actions::supervise) state: &'static str,
    pub(in crate::actions::supervise) step_name: Step,
}

impl Status {
    pub(in crate::actions::supervise) fn of(
        r: Read<'_>,
        task: &Task,
        config: Option<&ManagerConfig>,
        folder: &Folder,
    ) -> Result<Self> {
        let required: Vec<Step> = config.map(|config| config.terms.epilogues.clone()).unwrap_or_default();
        let binding = store::bindings::active_of_task(r, &task.id)?.map(|binding| binding.id);
        let mut steps = Vec::new();
        for step in &required {
            let latest = store::epilogues::newest(r, &task.id, *step)?;
            let reasons = match &latest {
                None => vec!["it was never run".to_owned()],
                Some(run) => {
                    let mut reasons = reasons(run, binding.as_deref(), config, folder);
                    if *step == Step::RecordHandoff && run.state == StepState::Succeeded {
                        reasons.extend(super::gate::handoff(r, Some(&task.id))?.1.map(|reason| reason.to_string()));
                    }
                    // A person may have judged otherwise since, or another round may have begun.
                    if *step == Step::SubagentReview && run.state == StepState::Succeeded {
                        reasons.extend(review::standing(r, task)?.reason);
                    }
                    reasons
                }
            };
            steps.push(StepStatus {
                ok: reasons.is_empty(),
                reasons,
                state: latest.as_ref().map_or("pending", |run| run.state.as_str()),
                latest_run: latest,
                step_name: *step,
            });
        }
        let open: Vec<Step> = steps.iter().filter(|step| !step.ok).map(|step| step.step_name).collect();
        Ok(Self { ok: open.is_empty(), missing_or_incomplete: open, required_steps: required, steps })
    }
}

/// Why a run does not count.
fn reasons(run: &EpilogueRun, binding: Option<&str>, config: Option<&ManagerConfig>, folder: &Folder) -> Vec<String> {
    match run.state {
        StepState::Running => return vec!["it runs still, or what ran it has vanished".to_owned()],
        StepState::Failed => {
            return vec![format!("it failed: {}", run.error.as_deref().unwrap_or("nothing is known of why"))];
        }
        StepState::Succeeded => {}
    }
    let mut reasons = Vec::new();
    if run.binding_id.as_deref() != binding {
        reasons.push("it was run under another binding".to_owned());
    }
    if run.manager_config_revision != config.map(|config| config.revision) {
        reasons.push("it was run under other terms".to_owned());
    }
    // A handoff tells of the work, and says itself whether it holds.
    if run.step_name != Step::RecordHandoff {
        reasons.extend(folder.changed_since(run));
    }
    reasons
}
