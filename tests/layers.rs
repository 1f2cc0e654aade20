//! The architecture held to by reading the source: who may use whom, and where a package may appear.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the source folder can be read") {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The layer of a file: the first folder (or file stem) below `src`.
fn layer_of(path: &Path) -> String {
    let relative = path.strip_prefix(source_root()).expect("a file below src");
    let first = relative.components().next().expect("a non-empty path");
    Path::new(first.as_os_str()).file_stem().expect("a name").to_string_lossy().into_owned()
}

/// Source text without comments, so that a doc link is no dependency.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file can be read");
    text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect::<Vec<_>>().join("\n")
}

/// Layers of ours that a text mentions after `crate::`, also inside `use crate::{...}`.
fn layers_used(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (index, _) in code.match_indices("crate::") {
        let rest = &code[index + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 && (c.is_alphanumeric() || c == '_') {
                    word.push(c);
                } else {
                    if !word.is_empty() && (c == ':' || c == ',' || c.is_whitespace()) {
                        used.push(std::mem::take(&mut word));
                    }
                    word.clear();
                }
            }
            used.push(word);
        } else {
            used.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    used
}

const LAYERS: &[(&str, &[&str])] = &[
    ("base", &["base"]),
    ("model", &["base", "model"]),
    ("store", &["base", "model", "store"]),
    ("ports", &["base", "model", "ports"]),
    ("actions", &["base", "model", "store", "ports", "actions"]),
    ("engine", &["base", "model", "actions", "engine"]),
    ("cli", &["base", "model", "actions", "engine", "cli"]),
    ("tui", &["base", "model", "actions", "engine", "tui"]),
    ("sim", &["base", "sim"]),
];

#[test]
fn no_layer_looks_up() {
    let names: Vec<&str> = LAYERS.iter().map(|(name, _)| *name).chain(["app"]).collect();
    let mut wrong = Vec::new();
    for path in source_files(&source_root()) {
        let layer = layer_of(&path);
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            assert!(matches!(layer.as_str(), "app" | "lib" | "main" | "bin"), "{layer} is no known layer");
            continue;
        };
        for used in layers_used(&code_of(&path)) {
            if names.contains(&used.as_str()) && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{} uses crate::{used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn fixed_packages_stay_in_their_layer() {
    let homes: &[(&str, &[&str])] = &[
        ("rusqlite", &["store"]),
        ("tmux_interface", &["ports"]),
        ("notify", &["engine"]),
        ("tokio", &["engine", "tui"]),
        ("tokio_util", &["engine", "tui"]),
        ("tokio_stream", &["engine", "tui"]),
        ("ratatui", &["tui"]),
        ("nucleo_matcher", &["tui"]),
        ("crossterm", &["tui", "sim"]),
        ("clap", &["actions", "cli", "sim", "app"]),
        ("color_eyre", &["app", "main"]),
        ("tungstenite", &["ports"]),
        ("terminal_colorsaurus", &["tui"]),
        ("toml", &["app"]),
        ("vt100", &["model"]),
        ("pulldown_cmark", &["tui"]),
    ];
    let mut wrong = Vec::new();
    for path in source_files(&source_root()) {
        let layer = layer_of(&path);
        let code = code_of(&path);
        for (package, allowed) in homes {
            if code.contains(&format!("{package}::")) && !allowed.contains(&layer.as_str()) {
                wrong.push(format!("{} mentions {package}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_file_is_a_module_of_the_suite() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let main = fs::read_to_string(tests.join("main.rs")).expect("tests/main.rs can be read");
    for entry in fs::read_dir(&tests).expect("the tests folder can be read") {
        let path = entry.expect("a folder entry").path();
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let is_module = path.extension().is_some_and(|extension| extension == "rs") || path.join("mod.rs").exists();
        if is_module && stem != "main" && stem != "bench" {
            assert!(main.contains(&format!("mod {stem};")), "tests/{stem} is not listed in tests/main.rs");
        }
    }
}
