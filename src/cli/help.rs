//! The command list of `conveyor --help`, under headings (clap cannot group subcommands).

use std::fmt::Write as _;

use crate::actions::{COMMANDS, Group};

/// The commands by group, one line each. `extra` are headings with words that are no actions.
#[must_use]
pub fn command_list(root: &clap::Command, extra: &[(&str, &[&str])]) -> String {
    let about = |name: &str| {
        root.find_subcommand(name).and_then(clap::Command::get_about).map(ToString::to_string).unwrap_or_default()
    };
    let width = COMMANDS.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut section = |heading: &str, names: &[&str]| {
        if names.is_empty() {
            return;
        }
        let _ = writeln!(text, "{heading}:");
        for name in names {
            let _ = writeln!(text, "  {name:width$}  {}", about(name));
        }
        text.push('\n');
    };
    for (heading, names) in extra {
        section(heading, names);
    }
    for group in Group::ALL {
        let names: Vec<&str> = COMMANDS.iter().filter(|entry| entry.group == *group).map(|entry| entry.name).collect();
        section(group.as_str(), &names);
    }
    text.trim_end().to_owned()
}
