use std::fs;

use super::*;

/// A `codex` that is a shell script.
struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    fn new(body: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("text"), format!("#!/bin/sh\n{body}\n")).unwrap();
        // Another process writes the program: were it open for writing here, a child that another test starts at
        // this moment would inherit that, and running the program would fail with "text file busy".
        let copied = Command::new("install").args(["-m", "755", "text", "codex"]).current_dir(folder.path()).status();
        assert!(copied.unwrap().success());
        Self { folder }
    }

    fn cli(&self) -> CodexCli {
        CodexCli { program: self.folder.path().join("codex"), codex_home: Some(self.folder.path().join("home")) }
    }
}

#[test]
fn versions_are_read_and_compared() {
    let version = |text: &str| text.parse::<CodexVersion>();
    assert_eq!(version("0.169.0"), Ok(CodexVersion { major: 0, minor: 169, patch: 0 }));
    assert_eq!(version("1.2.3-alpha.4"), Ok(CodexVersion { major: 1, minor: 2, patch: 3 }));
    assert!(version("0.98.0").unwrap() < version("0.162.0").unwrap());
    for wrong in ["", "codex-cli", "0.169", "0.169.0.1", "a.b.c", "0..1", "-1.0.0"] {
        assert_eq!(version(wrong), Err(NoVersion), "{wrong:?}");
    }
}

#[test]
fn the_version_is_the_one_the_program_prints() {
    let script = Script::new(r#"[ "$*" = --version ] && echo "codex-cli 0.169.0""#);
    assert_eq!(script.cli().version().unwrap().to_string(), "0.169.0");
    let silent = Script::new("exit 0");
    assert!(matches!(silent.cli().version(), Err(CodexCliError::UnexpectedOutput { .. })));
}

#[test]
fn the_list_of_features_decides_about_the_server_and_else_the_version() {
    let with = |list: &str, version: &str| {
        let body = format!("case \"$1\" in features) {list};; --version) echo codex-cli {version};; esac");
        Script::new(&body).cli().has_server().unwrap()
    };
    assert!(with("echo 'daemon_auto_start    stable   true'", "0.169.0"));
    assert!(!with("echo 'daemon_auto_start    stable   false'", "0.169.0"));
    assert!(with("echo 'daemon_auto_start    under development   true'", "0.156.1"));
    assert!(!with("echo 'other  stable  true'", "0.156.1"));
    assert!(with("echo 'daemon_auto_start  removed  false'", "0.180.0"));
    assert!(!with("exit 2", "0.47.0"));
}

#[test]
fn starting_the_server_tells_whether_it_ran_already() {
    let start = |output: &str| Script::new(&format!("echo '{output}'")).cli().ensure_server(Duration::from_secs(5));
    assert_eq!(start(r#"{"status":"started","pid":1}"#).unwrap(), ServerStart::Started);
    assert_eq!(start(r#"{"status":"alreadyRunning"}"#).unwrap(), ServerStart::AlreadyRunning);
    assert!(matches!(start("hello"), Err(CodexCliError::UnexpectedOutput { .. })));
}

#[test]
fn a_refusal_carries_the_programs_words_without_escapes() {
    let script = Script::new(r"printf 'Error: \033[31mno\033[0m daemon\n  here\n' >&2; exit 3");
    let error = script.cli().ensure_server(Duration::from_secs(5)).unwrap_err();
    let CodexCliError::Failed { message, status, .. } = error else { panic!("{error}") };
    assert_eq!((message.as_str(), status.code()), ("Error: no daemon here", Some(3)));
}

#[test]
fn the_home_is_set_and_nothing_can_be_read_from_stdin() {
    let script = Script::new(r#"read line; echo "$line$CODEX_HOME 1.2.3""#);
    let (_, output) = script.cli().run(&[], Duration::from_secs(5)).unwrap();
    assert_eq!(output.trim(), format!("{} 1.2.3", script.folder.path().join("home").display()));
}

#[test]
fn a_hung_program_is_killed_together_with_its_children() {
    // The grandchild writes for as long as it lives.
    let script = Script::new("while sleep 0.02; do echo x >> \"$0.log\"; done & wait");
    let started = Instant::now();
    let error = script.cli().run(&[], Duration::from_millis(400)).unwrap_err();
    assert!(matches!(error, CodexCliError::Timeout { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));

    let written = || fs::metadata(script.folder.path().join("codex.log")).map_or(0, |data| data.len());
    let after = written();
    assert!(after > 0, "the grandchild never ran");
    thread::sleep(Duration::from_millis(200));
    assert_eq!(written(), after, "the grandchild still runs");
}

#[test]
fn a_program_is_found_on_the_path_or_where_it_was_chosen() {
    let script = Script::new("exit 0");
    let folder = script.folder.path();
    let empty = tempfile::tempdir().unwrap();
    let path = std::env::join_paths([Path::new("relative"), empty.path(), folder]).unwrap();

    assert_eq!(find_codex(Some(&path), None).unwrap(), folder.join("codex"));
    assert_eq!(find_codex(None, Some(&folder.join("codex"))).unwrap(), folder.join("codex"));

    // A folder, a file that is not executable, nothing at all.
    fs::create_dir(empty.path().join("codex")).unwrap();
    fs::write(folder.join("plain"), "").unwrap();
    for (path, chosen) in [
        (Some(empty.path().as_os_str()), None),
        (Some(path.as_os_str()), Some(folder.join("plain"))),
        (Some(path.as_os_str()), Some(folder.join("absent"))),
        (None, None),
    ] {
        let found = find_codex(path, chosen.as_deref());
        assert!(matches!(found, Err(CodexCliError::Missing { .. })), "{found:?}");
    }
}

#[test]
fn a_program_that_is_not_there_is_missing() {
    let cli = CodexCli { program: PathBuf::from("/nonexistent/codex"), codex_home: None };
    assert!(matches!(cli.version(), Err(CodexCliError::Missing { .. })));
}
