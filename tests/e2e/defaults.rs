//! T-DEFAULTS: what a session is started with when nobody says anything.

use std::{collections::BTreeSet, fs};

use super::world::World;

#[test]
fn a_session_starts_with_the_careful_settings_and_is_given_nothing_secret() {
    let Some(world) = World::start() else { return };
    let seen = world.cwd().parent().unwrap().join("seen");
    fs::create_dir_all(&seen).unwrap();
    let sim = shell_words::join([env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon"]);
    // Programs that are asked about themselves are no sessions.
    world.broken_codex(&format!(
        "case \"$*\" in *sandbox*) printf '%s\\n' \"$@\" >{0}/argv; env | sed 's/=.*//' >{0}/env;; esac\nexec {sim} \"$@\"",
        seen.display()
    ));
    let mut command = world.command();
    command.env("CONVEYOR_SECRET_TOKEN", "sk-canary-0123456789").env("AWS_SECRET_ACCESS_KEY", "sk-canary-0123456789");
    command.args(["start-worker", "--name", "w1", "--task", "look around", "--no-server", "--json"]);
    let started = super::world::finish(&mut command).ok().json();
    assert_eq!((&started["sandbox"], &started["approval"]), (&"workspace-write".into(), &"on-request".into()));
    let argv = fs::read_to_string(seen.join("argv")).unwrap();
    let words: Vec<&str> = argv.lines().collect();
    let after = |flag: &str| words.iter().position(|word| *word == flag).map(|at| words[at + 1]);
    assert_eq!(
        (after("--sandbox"), after("--ask-for-approval")),
        (Some("workspace-write"), Some("on-request")),
        "{argv}"
    );
    for wide in ["danger-full-access", "--yolo", "--full-auto", "never", "bypass", "canary"] {
        assert!(!argv.contains(wide), "{wide}: {argv}");
    }
    // Its environment is that of the tmux server, and what a shell and tmux add, and the folder of its Codex.
    let has: BTreeSet<String> = fs::read_to_string(seen.join("env")).unwrap().lines().map(str::to_owned).collect();
    let server = world.server().plain(&["show-environment", "-g"]);
    let mut allowed: BTreeSet<String> =
        server.lines().map(|line| line.split('=').next().unwrap_or_default().to_owned()).collect();
    allowed.extend(
        [
            "CODEX_HOME",
            "SHELL",
            "TMUX",
            "TMUX_PANE",
            "TERM",
            "TERM_PROGRAM",
            "TERM_PROGRAM_VERSION",
            "COLORTERM",
            "PWD",
            "OLDPWD",
            "SHLVL",
            "_",
        ]
        .map(str::to_owned),
    );
    let more: Vec<_> = has.difference(&allowed).collect();
    assert!(more.is_empty(), "{more:?}");
    assert!(!has.contains("CONVEYOR_SECRET_TOKEN") && !has.contains("AWS_SECRET_ACCESS_KEY"));
    world.run(&["stop", "w1"]).ok();
}
