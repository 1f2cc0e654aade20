//! `criteria-plan`: criteria that a worker has proposed in prose, as commands that would add them.

use std::{fmt, fs, path::PathBuf};

use serde::Serialize;

use super::criteria::Criteria;
use crate::{
    actions::{Action, Argv, Context, Format, Outcome, TextArg, lookup},
    base::{Error, Result, text},
    model::supervision::{CriterionSource, CriterionStatus, Suggestion, proposal},
};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// Why an entry is not suggested for now.
const LATER: &str = "Proposed as a follow-up.";

/// Suggest criteria from what a worker has proposed
///
/// Reads headings (must-have, follow-up, accepted, deferred, in plural too) and the lists below them. Nothing is
/// written: the result holds the commands that would add them.
///
/// Example: `conveyor criteria-plan parser --from-worker-response answer.md --text`
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(group = clap::ArgGroup::new("from").required(true).multiple(false)
    .args(["from_text", "from_worker_response", "from_stdin"]))]
pub struct CriteriaPlan {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// The answer itself
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub from_text: Option<TextArg>,
    /// A file that holds it
    #[arg(long, value_name = "FILE")]
    pub from_worker_response: Option<PathBuf>,
    /// Read it from standard input
    #[arg(long, value_name = "TEXT", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub from_stdin: Option<TextArg>,
}

/// What a worker's answer suggests.
#[derive(Debug, Serialize)]
pub struct Planned {
    suggestions: Vec<SuggestionView>,
    task: String,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SuggestionView {
    classification: Option<Classification>,
    command: Vec<String>,
    criterion: String,
    rationale: Option<&'static str>,
    source: CriterionSource,
    status: CriterionStatus,
}

#[derive(Debug, Serialize)]
struct Classification {
    kind: &'static str,
    reason: &'static str,
    recommendation: &'static str,
}

impl Action for CriteriaPlan {
    const NAME: &'static str = "criteria-plan";
    const FORMAT: Format = Format::Json;
    type Output = Planned;

    fn run(self, cx: &Context) -> Result<Planned> {
        let task = cx.ledger()?.read(|r| lookup::task(r, &self.task))?;
        let answer = match (&self.from_text, &self.from_worker_response, &self.from_stdin) {
            (Some(text), ..) | (.., Some(text)) => text.get()?.to_owned(),
            (None, Some(path), None) => read(&cx.env().absolute(path))?,
            (None, None, None) => return Err(Error::usage("criteria-plan needs an answer to read")),
        };
        let found = proposal(&text::clean(&answer));
        let mut warnings = Vec::new();
        match (found.has_headings, found.suggestions.is_empty()) {
            (false, _) => {
                warnings.push("no headings were found: must-have, follow-up, accepted or deferred".to_owned())
            }
            (true, true) => warnings.push("headings were found, and no list below them".to_owned()),
            (true, false) => {}
        }
        let suggestions: Vec<_> = found.suggestions.into_iter().map(|one| view(&task.name, one)).collect();
        for one in suggestions.iter().filter(|one| one.classification.is_some()) {
            let what = text::bounded(&one.criterion, 80);
            warnings.push(format!("\"{what}\" tells how the manager ends the task; keep it out of the criteria"));
        }
        Ok(Planned { suggestions, task: task.name, warnings })
    }

    fn argv(&self) -> Argv {
        let Self { task, from_text, from_worker_response, from_stdin } = self;
        Argv::new(Self::NAME)
            .text("--from-text", from_text.as_ref())
            .option("--from-worker-response", from_worker_response.as_ref().map(|path| path.display()))
            .text("--from-stdin", from_stdin.as_ref())
            .end_of_options()
            .word(task)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.from_text.iter_mut().chain(self.from_stdin.iter_mut()).collect()
    }
}

fn read(path: &std::path::Path) -> Result<String> {
    let failed = |error: std::io::Error| Error::io(format!("cannot read {}", path.display())).caused_by(error);
    let is_file = fs::metadata(path).map_err(failed)?;
    if !is_file.is_file() || is_file.len() > MAX_ANSWER {
        return Err(Error::usage(format!("{} is no file of at most {MAX_ANSWER} bytes", path.display())));
    }
    let bytes = fs::read(path).map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| Error::usage(format!("{} is not UTF-8", path.display())).caused_by(error))
}

fn view(task: &str, one: Suggestion) -> SuggestionView {
    let rationale = (one.status == CriterionStatus::Deferred).then_some(LATER);
    let command = Criteria::adding(task, &one.criterion, one.status, rationale);
    SuggestionView {
        classification: one.is_closeout.then_some(Classification {
            kind: "manager_closeout_proof",
            reason: "it tells how the manager ends the task, and not what the worker delivers",
            recommendation: "keep_out_of_acceptance_criteria",
        }),
        command: [vec!["conveyor".to_owned()], command.argv().words].concat(),
        criterion: one.criterion,
        rationale,
        source: CriterionSource::WorkerProposed,
        status: one.status,
    }
}

impl Outcome for Planned {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "{}: {} suggestions", self.task, self.suggestions.len())?;
        self.suggestions.iter().try_for_each(|one| writeln!(out, "{}", shell_words::join(&one.command)))?;
        self.warnings.iter().try_for_each(|warning| writeln!(out, "! {warning}"))
    }
}
