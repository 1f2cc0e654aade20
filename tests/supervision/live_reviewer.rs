//! Real Codex reviews, confined, and reaches its scripted model through the relay and nothing else.

#![cfg(target_os = "linux")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::reviewer::ready;
use crate::support::codex_lab::{CodexLab, skipped};

/// The program itself: what an installation by npm runs is a script that looks for it.
fn native(codex: &Path) -> Option<PathBuf> {
    let real = codex.canonicalize().ok()?;
    if real.extension().is_none() {
        return Some(real);
    }
    let packages = real.ancestors().find(|folder| folder.ends_with("@openai"))?;
    let folders = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut programs = folders(packages.to_owned())
        .flat_map(|package| folders(package.join("vendor")))
        .map(|platform| platform.join("bin/codex"));
    programs.find(|program| program.is_file())
}

#[test]
fn codex_reviews_inside_and_reaches_its_model_only() {
    let Some(lab) = CodexLab::start(&[]) else { return };
    let Some(codex) = native(&lab.cli().program) else {
        skipped("the program of codex itself");
        return;
    };
    lab.rule("worker_continuation", r#"{{say {"agreement":"match","verdict":"proceed","rationale":"read by codex"}}}"#);
    let env = ready();
    let config = fs::read_to_string(lab.home().join("config.toml")).unwrap();
    let port = config.split("http://127.0.0.1:").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let folder = env.cwd().join("reviewer");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("config.toml"), config).unwrap();
    let script = format!(
        "mkdir -p \"$HOME/.codex\" && cp {}/config.toml \"$HOME/.codex/\" && exec {} exec --sandbox danger-full-access --skip-git-repo-check -",
        folder.display(),
        codex.display()
    );
    let command = shell_words::join(["sh", "-c", &script]);
    let folder = folder.display().to_string();
    let program = codex.parent().and_then(Path::parent).unwrap().display().to_string();
    let relay = format!("127.0.0.1:{port}");
    let words = [
        "continuation-reviewer",
        "parser",
        "--reviewer-command",
        &command,
        "--read",
        &folder,
        "--read",
        &program,
        "--relay",
        &relay,
        "--timeout",
        "120",
        "--json",
    ];
    let review = env.run(words).ok().json();
    assert_eq!((&review["rationale"], &review["verdict"]), (&json!("read by codex"), &json!("proceed")), "{review:#}");
    assert_eq!(review["subagent_run"]["sandbox"]["enforced"], true, "{review:#}");
    // Without the relay there is no model, and no verdict but one.
    let without = words.map(|word| if word == "120" { "20" } else { word });
    let review = env.run(without.into_iter().filter(|word| *word != "--relay" && *word != relay)).ok().json();
    assert_eq!(
        (&review["verdict"], &review["subagent_run"]["status"]),
        (&json!("stop"), &json!("failed")),
        "{review:#}"
    );
}
