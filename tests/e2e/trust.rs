//! Whether real Codex trusts a folder is decided with `--accept-trust`, or by a person in its terminal.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::world::World;
use crate::support::codex_lab::{CodexLab, skipped};

/// A repository that Codex has never seen.
fn repository(lab: &CodexLab, name: &str) -> PathBuf {
    let folder = lab.home().with_file_name(name);
    fs::create_dir(&folder).expect("a folder");
    let made = Command::new("git").args(["init", "--quiet"]).current_dir(&folder).status();
    assert!(made.is_ok_and(|status| status.success()));
    folder
}

fn config(lab: &CodexLab) -> String {
    fs::read_to_string(lab.home().join("config.toml")).expect("the configuration")
}

fn trusts(lab: &CodexLab, folder: &Path) -> bool {
    config(lab).contains(&format!("[projects.{}]\ntrust_level = \"trusted\"", json!(folder)))
}

/// A lab whose Codex keeps a server.
fn lab() -> Option<CodexLab> {
    let lab = CodexLab::start(&["tmux"])?;
    if !lab.cli().has_server().expect("codex answers") {
        skipped("codex 0.162 or later");
        return None;
    }
    Some(lab)
}

fn start(world: &World, words: &[&str], folder: &Path) -> Value {
    let folder = folder.display().to_string();
    world.run(&[words, &["--timeout-seconds", "120", "--json", "--cwd", &folder]].concat()).ok().json()
}

#[test]
fn real_codex_is_not_made_to_trust_a_folder_that_nobody_trusts() {
    let Some(lab) = lab() else { return };
    let Some(world) = World::in_lab(&lab) else { return };
    lab.rule("^hello", "{{say Hello.}}");
    let fresh = repository(&lab, "fresh");
    let before = config(&lab);
    let starts: &[&[&str]] = &[
        &["start-worker", "--name", "w1", "--task", "hello"],
        &["start-worker", "--name", "w2", "--sandbox", "read-only"],
        &["start-worker", "--name", "w3", "--codex-profile", "yolo"],
        &["create", "w4"],
        &["start-test", "w5"],
    ];
    for words in starts {
        let started = start(&world, words, &fresh);
        assert_eq!((&started["startup"], &started["trust_accepted"]), (&"waiting".into(), &false.into()), "{words:?}");
        assert!(started["without_server"].as_str().unwrap().contains("whether this folder is trusted"), "{started:#}");
        assert_eq!(config(&lab), before, "{words:?}");
    }
    assert_eq!(start(&world, &["start", "plain"], &fresh)["startup"], "waiting");
    let dry = start(&world, &["start-worker", "--name", "w6", "--dry-run"], &fresh);
    assert!(dry["without_server"].as_str().unwrap().contains("whether this folder is trusted"), "{dry:#}");
    let dry = start(&world, &["start-worker", "--name", "w6", "--dry-run"], &lab.project());
    assert_eq!(dry["without_server"], Value::Null, "{dry:#}");
    assert_eq!(config(&lab), before);

    // The question stands there for a person, and their yes begins the turn.
    assert_eq!(world.status("w1")["judgement"]["prompt"], "trust");
    world.press("w1", &["Enter"]);
    world.wait_for_condition("w1", "done");
    assert!(trusts(&lab, &fresh), "{}", config(&lab));
    for name in ["w1", "w2", "w3", "w4", "w5"] {
        world.run(&["stop", name]).ok();
    }
}

#[test]
fn real_codex_trusts_a_folder_when_it_was_asked_for() {
    let Some(lab) = lab() else { return };
    let Some(world) = World::in_lab(&lab) else { return };
    lab.rule("^hello", "{{say Hello.}}");
    let fresh = repository(&lab, "fresh");
    let before = config(&lab);
    let started = start(&world, &["start-worker", "--name", "w1", "--accept-trust", "--task", "hello"], &fresh);
    assert_eq!((&started["trust_accepted"], &started["without_server"]), (&true.into(), &Value::Null), "{started:#}");
    assert!(trusts(&lab, &fresh), "{}", config(&lab));
    world.wait_for_condition("w1", "done");

    // It is given once; what lies below needs none.
    let below = fresh.join("below");
    fs::create_dir(&below).expect("a folder");
    for (name, words) in [("w2", &[][..]), ("w3", &["--accept-trust"])] {
        let started = start(&world, &[&["start-worker", "--name", name][..], words].concat(), &below);
        assert_eq!(
            (&started["trust_accepted"], &started["without_server"]),
            (&false.into(), &Value::Null),
            "{started:#}"
        );
        world.run(&["stop", name]).ok();
    }

    // A thread that is brought back does not bring back a trust that was taken away.
    world.run(&["stop", "w1"]).ok();
    fs::write(lab.home().join("config.toml"), &before).expect("the configuration");
    let resumed = world.run(&["resume", "w1", "--timeout-seconds", "120"]).ok().json();
    assert_eq!((&resumed["startup"], &resumed["trust_accepted"]), (&"waiting".into(), &false.into()), "{resumed:#}");
    assert_eq!(resumed["without_server"], Value::Null, "{resumed:#}");
    assert_eq!(config(&lab), before);
    world.run(&["stop", "w1"]).ok();
}

#[test]
fn real_codex_that_may_only_read_is_trusted_by_its_own_question() {
    let Some(lab) = lab() else { return };
    let Some(world) = World::in_lab(&lab) else { return };
    let fresh = repository(&lab, "fresh");
    let words = ["start-worker", "--name", "w1", "--sandbox", "read-only", "--accept-trust"];
    let started = start(&world, &words, &fresh);
    assert_eq!(started["trust_accepted"], trusts(&lab, &fresh), "{started:#}\n{}", world.screen("w1"));
    assert_eq!(started["startup"], "idle", "{started:#}\n{}", world.screen("w1"));
    assert_eq!(started["trust_accepted"], true);
    world.run(&["stop", "w1"]).ok();
}
