//! `draft-pr`: the text of a pull request out of what was done, and its opening by the user's `gh`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Done, Work};
use crate::{
    actions::fail,
    base::{Error, Result, text},
    model::supervision::{CriterionStatus, Permission, evidence},
    ports::{
        git::{self, Branch, TreeDiff},
        tools::{self, Environment},
    },
    store::{self, criteria::Criterion},
};

/// The longest text of a pull request, in characters.
const MAX_BODY: usize = 60_000;
/// How long `gh` may take.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn check(work: &Work<'_>) -> Result<()> {
    if work.args.open {
        return work.permitted("open a pull request", &[Permission::OpenPr]);
    }
    work.permitted("draft a pull request", &[])
}

pub(super) fn run(work: &Work<'_>) -> Result<Done> {
    let program = work.programs.find("git").ok_or_else(|| work.programs.without("git"))?;
    let folder = work.folder();
    let tree =
        git::working_tree_diff(&program, &folder, Some(&work.cx.env().own_files()), None, 1).map_err(fail::git)?;
    let branch = git::branch(&program, &folder, work.args.base.as_deref()).map_err(fail::git)?;
    let Some(branch) = branch else {
        return Ok(Done::failed(json!({}), "nothing tells which branch it would be merged into; name it with --base"));
    };
    let criteria = work.store.read(|r| store::criteria::of_task(r, &work.task.id))?;
    let title = text::bounded(&text::one_line(&work.task.goal), 120);
    let body = body(work, &branch, &criteria);
    let result = json!({
        "acceptance_criteria_count": criteria.len(),
        "base": branch.base,
        "body": body,
        "branch": branch.name,
        "commit_count": branch.commits.len(),
        "head": branch.head,
        "title": title,
        "url": null,
    });
    if let Some(why) = why_not(&branch, &tree) {
        return Ok(Done::failed(result, why));
    }
    if !work.args.open {
        return Ok(Done::well(result));
    }
    open(work, &branch, &title, &body, result)
}

/// Why there is nothing that could be merged.
fn why_not(branch: &Branch, tree: &TreeDiff) -> Option<String> {
    if branch.name.is_none() {
        return Some("no branch is checked out in the worker's folder".to_owned());
    }
    if branch.commits.is_empty() {
        return Some(format!("the branch has no commit beyond {}", branch.base));
    }
    let changed = tree.files.len();
    (changed > 0).then(|| format!("{changed} changed files are in no commit"))
}

fn body(work: &Work<'_>, branch: &Branch, criteria: &[Criterion]) -> String {
    let mut lines = vec![text::clean(&work.task.goal), String::new(), "## Commits".to_owned()];
    lines.extend(branch.commits.iter().map(|commit| format!("- {commit}")));
    let settled = criteria.iter().filter(|one| one.status == CriterionStatus::Satisfied);
    let settled: Vec<String> = settled
        .map(|one| {
            let proof = one.proof.as_ref().map(|proof| format!(" ({})", text::one_line(proof))).unwrap_or_default();
            let links = evidence::links(&one.evidence).count();
            format!("- [x] {}{proof}, {links} links to evidence", text::one_line(&one.criterion))
        })
        .collect();
    if !settled.is_empty() {
        lines.extend([String::new(), "## What was asked for".to_owned()]);
        lines.extend(settled);
    }
    text::bounded(&lines.join("\n"), MAX_BODY)
}

fn open(work: &Work<'_>, branch: &Branch, title: &str, body: &str, mut result: Value) -> Result<Done> {
    let Some(program) = work.programs.find("gh") else {
        return Ok(Done::failed(
            result,
            "`gh` is not installed: nothing was opened; without --open the text is drafted",
        ));
    };
    let head = branch.name.clone().unwrap_or_default();
    let base = branch.base.strip_prefix("origin/").unwrap_or(&branch.base);
    let mut words =
        ["pr", "create", "--draft", "--title", title, "--body", body, "--head", &head].map(str::to_owned).to_vec();
    // What only tells the remote's own branch is left to `gh`.
    if base != "HEAD" {
        words.extend(["--base".to_owned(), base.to_owned()]);
    }
    let run = tools::run(&program, &words, &work.folder(), Environment::Whole, work.programs.path(), PATIENCE)
        .map_err(|error| Error::io("gh could not be run").caused_by(error))?;
    let url = run.stdout.tail.lines().rev().map(str::trim).find(|line| line.starts_with("https://")).map(str::to_owned);
    result["gh"] = json!(run);
    result["url"] = json!(url);
    Ok(match (run.is_good(), url) {
        (true, Some(_)) => Done::well(result),
        (true, None) => Done::failed(result, "gh ended well and named no pull request"),
        (false, _) => {
            let said = text::bounded(&text::one_line(&run.stderr.tail), 300);
            Done::failed(result, format!("gh opened no pull request: {said}"))
        }
    })
}
