//! `run-tools`: the tools of the terms are run as command lines, without a shell, in the worker's folder.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Done, Work};
use crate::{
    actions::caller::Origin,
    base::{Error, Result},
    model::supervision::Permission,
    ports::tools::{self, Environment},
};

/// What begins like this names what a manager can do, and no program.
const CAPABILITIES: &[&str] = &["campaign.", "codex_app.", "communication.", "context.", "repo.", "verification."];

/// The words of a tool that is a command line; none of one that names a capability.
fn words_of(tool: &str) -> Result<Option<Vec<String>>> {
    let words = shell_words::split(tool)
        .map_err(|error| Error::refused(format!("the tool `{tool}` is no command line: {error}")))?;
    match words.as_slice() {
        [] => Err(Error::refused("a tool of the terms is empty")),
        [name] if CAPABILITIES.iter().any(|prefix| name.starts_with(prefix)) => Ok(None),
        _ => Ok(Some(words)),
    }
}

/// The permission that running it needs.
fn needs(words: &[String]) -> Option<Permission> {
    let name = |word: &String| word.rsplit('/').next().unwrap_or(word).to_owned();
    words.iter().take(4).map(name).find_map(|name| match &*name {
        "cargo" => Some(Permission::RunCargo),
        "pytest" => Some(Permission::RunPytest),
        "playwright" => Some(Permission::RunPlaywright),
        "xcodebuild" => Some(Permission::RunXcodebuild),
        _ => None,
    })
}

pub(super) fn check(work: &Work<'_>) -> Result<()> {
    let mut needed = Vec::new();
    for tool in &work.config.terms.tools {
        needed.extend(words_of(tool)?.as_deref().and_then(needs));
    }
    work.permitted("run the tools of the terms", &needed)
}

pub(super) fn run(work: &Work<'_>) -> Result<Done> {
    let folder = work.folder();
    let mut told: Vec<Value> = Vec::new();
    let mut failed: Vec<String> = Vec::new();
    let mut ran = 0;
    for tool in &work.config.terms.tools {
        let Some(words) = words_of(tool)? else {
            told.push(json!({"skipped": "it names a capability, and is no command", "tool": tool}));
            continue;
        };
        ran += 1;
        match one(work, &folder, &words) {
            Ok((program, run)) => {
                if let Some(why) = why_not(tool, &run) {
                    failed.push(why);
                }
                let mut entry = json!(run);
                entry["tool"] = json!(tool);
                // Which one it was: there may be several of that name.
                entry["program"] = json!(program.display().to_string());
                told.push(entry);
            }
            Err(why) => {
                told.push(json!({"error": why, "tool": tool}));
                failed.push(why);
            }
        }
    }
    let result = json!({"folder": folder.display().to_string(), "tool_count": ran, "tools": told});
    if ran == 0 {
        return Ok(Done::failed(result, "the terms name no tool that is a command line (`manager-config --tool`)"));
    }
    Ok(if failed.is_empty() { Done::well(result) } else { Done::failed(result, failed.join("; ")) })
}

fn one(work: &Work<'_>, folder: &Path, words: &[String]) -> Result<(PathBuf, tools::ToolRun), String> {
    let name = &words[0];
    let program = work.programs.of_tool(folder, name).ok_or_else(|| format!("configured tool not found: {name}"))?;
    // What a session has set does not tell a tool how to work.
    let environment = if *work.origin == Origin::Operator { Environment::Whole } else { Environment::Plain };
    let run = tools::run(&program, &words[1..], folder, environment, work.programs.path(), work.args.limit());
    run.map(|run| (program, run)).map_err(|error| format!("configured tool could not be run: {name}: {error}"))
}

fn why_not(tool: &str, run: &tools::ToolRun) -> Option<String> {
    if run.is_good() {
        return None;
    }
    let how = match (run.timed_out, run.too_much_output, run.exit_code) {
        (true, ..) => "took too long and was killed".to_owned(),
        (_, true, _) => "printed too much and was killed".to_owned(),
        (_, _, Some(code)) => format!("ended with exit code {code}"),
        (_, _, None) => "was killed".to_owned(),
    };
    Some(format!("`{tool}` {how}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_a_command_line_or_names_a_capability() {
        assert_eq!(words_of("verification.run_tests").unwrap(), None);
        assert_eq!(words_of("cargo test 'a b'").unwrap().unwrap(), ["cargo", "test", "a b"]);
        assert!(words_of("cargo 'test").is_err() && words_of(" ").is_err());
    }

    #[test]
    fn a_known_runner_needs_its_permission_however_it_is_called() {
        let needs = |line: &str| needs(&words_of(line).unwrap().unwrap());
        assert_eq!(needs("/usr/bin/cargo test"), Some(Permission::RunCargo));
        assert_eq!(needs("python3 -m pytest -q"), Some(Permission::RunPytest));
        assert_eq!(needs("npx playwright test"), Some(Permission::RunPlaywright));
        assert_eq!(needs("make check"), None);
    }
}
