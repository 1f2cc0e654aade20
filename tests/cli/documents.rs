//! The help of every command, `docs/cli.md`, which is made from it, and the table of keys in `docs/cockpit.md`.
//!
//! `CONVEYOR_UPDATE_DOCS=1` writes the documents anew.

use std::{fmt::Write as _, fs, path::Path};

use conveyor::{
    actions::{COMMANDS, Group},
    app,
};

const INTRODUCTION: &str = include_str!("introduction.md");

/// The long help of a command as `conveyor COMMAND --help` prints it, without the options that all have.
fn help(name: &str, with_globals: bool) -> String {
    let definition = app::definition();
    let mut command = definition.find_subcommand(name).unwrap().clone().bin_name(format!("conveyor {name}"));
    if with_globals {
        for arg in definition.get_arguments().filter(|arg| arg.is_global_set()) {
            command = command.arg(arg.clone());
        }
    }
    let rendered = command.term_width(100).disable_help_flag(true).render_long_help().to_string();
    rendered.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn document() -> String {
    let mut text = INTRODUCTION.trim_end().to_owned();
    text.push_str("\n\n");
    for group in Group::ALL {
        let entries: Vec<_> = COMMANDS.iter().filter(|entry| entry.group == *group).collect();
        if entries.is_empty() {
            continue;
        }
        let _ = writeln!(text, "## {}\n", group.as_str());
        for entry in entries {
            let _ = writeln!(text, "### {}\n\n```text\n{}\n```\n", entry.name, help(entry.name, false));
        }
    }
    text.trim_end().to_owned() + "\n"
}

#[test]
fn the_command_reference_is_what_the_program_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let document = document();
    if std::env::var_os("CONVEYOR_UPDATE_DOCS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &document).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let changed = written.lines().zip(document.lines()).find(|(old, new)| old != new);
    assert!(
        written == document,
        "docs/cli.md is out of date (first change: {changed:?}); CONVEYOR_UPDATE_DOCS=1 writes it anew"
    );
}

/// The table of keys as `conveyor keys --json` prints it, a section for each place.
fn key_table(rows: &serde_json::Value) -> String {
    let mut text = String::new();
    let mut place = "";
    for row in rows.as_array().expect("rows") {
        let word = |name: &str| row[name].as_str().unwrap_or_default();
        if word("place") != place {
            place = word("place");
            let _ = writeln!(text, "\n### {place}\n\n| Key | What it does | Command |\n|---|---|---|");
        }
        let keys: Vec<String> =
            row["keys"].as_array().expect("keys").iter().map(|key| key_cell(key.as_str().unwrap())).collect();
        let command = if word("command").is_empty() { String::new() } else { format!("`{}`", word("command")) };
        let _ = writeln!(text, "| {} | {} | {command} |", keys.join(" "), word("help").replace('|', "\\|"));
    }
    text
}

fn key_cell(key: &str) -> String {
    if key == "|" { "`\\|`".to_owned() } else { format!("`{key}`") }
}

#[test]
fn the_table_of_keys_is_what_the_program_says() {
    const BEGIN: &str = "CONVEYOR_UPDATE_DOCS=1 writes it anew -->\n";
    const END: &str = "<!-- end of keys -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cockpit.md");
    let written = fs::read_to_string(&path).unwrap();
    let (head, rest) = written.split_once(BEGIN).expect("where the table begins");
    let (_, tail) = rest.split_once(END).expect("where the table ends");
    let rows = crate::support::TestEnv::new().run(["keys", "--json"]).ok().json();
    let document = format!("{head}{BEGIN}{}\n{END}{tail}", key_table(&rows));
    if std::env::var_os("CONVEYOR_UPDATE_DOCS").is_some_and(|value| value == "1") {
        fs::write(&path, &document).unwrap();
        return;
    }
    let changed = written.lines().zip(document.lines()).find(|(old, new)| old != new);
    assert!(
        written == document,
        "docs/cockpit.md is out of date (first change: {changed:?}); CONVEYOR_UPDATE_DOCS=1 writes it anew"
    );
}

#[test]
fn the_exit_codes_of_the_reference_are_those_of_the_program() {
    use conveyor::base::Kind;
    let row = |code: u8| INTRODUCTION.lines().find(|line| line.starts_with(&format!("| {code} |")));
    assert!(row(0).is_some());
    let kinds = [
        Kind::NotFound,
        Kind::Conflict,
        Kind::Refused,
        Kind::Io,
        Kind::Ledger,
        Kind::Usage,
        Kind::Blocked,
        Kind::Unconfirmed,
        Kind::Ambiguous,
        Kind::MissingTool,
        Kind::Bug,
        Kind::Busy,
        Kind::Interrupted,
    ];
    for kind in kinds {
        let word = serde_json::to_value(kind).unwrap();
        let word = word.as_str().unwrap();
        let line = row(kind.exit_code()).unwrap_or_else(|| panic!("no row for {}", kind.exit_code()));
        assert!(line.contains(&format!("`{word}`")), "`{word}` stands in the row of {}", kind.exit_code());
    }
}

#[test]
fn every_command_explains_itself_with_an_example() {
    for entry in COMMANDS {
        let help = help(entry.name, true);
        let example = help.lines().find_map(|line| line.strip_prefix("Example: `")).unwrap_or_default();
        assert!(example.contains(&format!("conveyor {}", entry.name)), "{}: no example\n{help}", entry.name);
        assert!(help.contains("--json"), "{}: the options of all commands", entry.name);
    }
}

/// The documents that show command lines.
fn documents() -> Vec<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![root.join("README.md")];
    found.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    found.retain(|path| path.extension().is_some_and(|end| end == "md"));
    found
}

#[test]
fn every_command_line_of_the_documents_parses() {
    let mut seen = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        let mut is_shell = false;
        for (number, line) in text.lines().enumerate() {
            if let Some(fence) = line.strip_prefix("```") {
                is_shell = !is_shell && fence.starts_with("sh");
                continue;
            }
            let Some(at) = line.find("conveyor ").filter(|at| is_shell && (*at == 0 || line[..*at].ends_with("| ")))
            else {
                continue;
            };
            let line = line[at..].split(" | ").next().unwrap().split(" > ").next().unwrap();
            let words = shell_words::split(line).unwrap();
            let words = words.iter().take_while(|word| !word.starts_with('#'));
            let parsed = app::parse(words);
            let place = format!("{}:{}: {line}", path.display(), number + 1);
            assert!(parsed.is_ok(), "{place}: {}", parsed.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen} lines were found");
}
