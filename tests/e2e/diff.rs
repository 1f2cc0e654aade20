//! `d` shows what the worker has changed, in colours.

use std::{fs, process::Command};

use super::{terminal::Terminal, world::World};
use crate::support::require_tool;

#[test]
fn d_shows_what_the_worker_has_changed() {
    if !require_tool("git") {
        return;
    }
    let Some(world) = World::start() else { return };
    let git = |words: &[&str]| {
        let settings = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"];
        let done = Command::new("git").current_dir(world.cwd()).args(settings).args(words).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    fs::write(world.cwd().join("a.txt"), "one\ntwo\n").unwrap();
    world.start_worker("w1", "Begin {{say Done.}}");
    let terminal = Terminal::open(&world, &world.shell_environment(), 80, 24);
    terminal.conveyor("");
    terminal.wait_for("w1");
    terminal.press(&["d"]);
    terminal.wait_for("is in no git repository");
    terminal.press(&["Escape"]);
    terminal.wait_gone("is in no git repository");

    git(&["init", "--quiet"]);
    git(&["add", "a.txt"]);
    git(&["commit", "--quiet", "--message=m"]);
    fs::write(world.cwd().join("a.txt"), "one\nthree\n").unwrap();
    terminal.press(&["d"]);
    terminal.wait_for("+three");
    let coloured = terminal.coloured();
    let style = |text: &str| {
        let line = coloured.lines().find(|line| line.contains(text)).unwrap_or_default();
        line[..line.find(text).unwrap_or(0)].rsplit('\u{1b}').next().unwrap_or_default().to_owned()
    };
    assert!(style("+three") != style("-two"), "{coloured}");
    terminal.press(&["Escape"]);
    terminal.wait_gone("+three");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}
