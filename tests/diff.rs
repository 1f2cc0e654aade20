//! `diff` over real repositories, those included that would like to run something.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Finished, TestEnv, require_tool};

/// A repository with one commit, in which a registered session w1 lives.
struct Tree {
    env: TestEnv,
    root: PathBuf,
}

impl Tree {
    fn new() -> Option<Self> {
        if !require_tool("git") {
            return None;
        }
        let env = TestEnv::new();
        let root = env.cwd().join("re po");
        fs::create_dir_all(root.join("sub")).unwrap();
        let tree = Self { env, root };
        tree.git(&["init", "--quiet", "--initial-branch=main"]);
        tree.write("a.txt", "one\ntwo\n");
        tree.write("gone.txt", "x\n");
        tree.write("sub/s.txt", "same\nsame\nsame\n");
        tree.write("stat.txt", "untouched\n");
        tree.write("sub/.gitignore", "ignored\n");
        tree.commit();
        tree.register(&tree.root.join("sub"));
        Some(tree)
    }

    fn git(&self, words: &[&str]) {
        let mut git = Command::new("git");
        git.current_dir(&self.root).args(["-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]);
        git.env("HOME", self.env.cwd()).env("GIT_CONFIG_NOSYSTEM", "1").env_remove("GIT_DIR");
        let done = git.args(words).output().unwrap();
        assert!(done.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=m"]);
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.root.join(path), text).unwrap();
    }

    fn register(&self, cwd: &Path) {
        let cwd = format!("--cwd={}", cwd.display());
        self.env.run(["register-worker", "--name=w1", "--codex-app-thread-id=t", &cwd]).ok();
    }

    fn diff(&self, more: &[&str]) -> Finished {
        self.env.run(["diff", "w1", "--json"].iter().chain(more))
    }
}

#[test]
fn the_whole_tree_is_compared_with_its_newest_commit_and_the_index_stays_as_it_is() {
    let Some(tree) = Tree::new() else { return };
    tree.write("a.txt", "one\nthree\n");
    tree.write("sub/new.txt", "told\n");
    tree.git(&["add", "sub/new.txt"]);
    tree.git(&["mv", "sub/s.txt", "sub/t.txt"]);
    fs::remove_file(tree.root.join("gone.txt")).unwrap();
    tree.write("not told", "u\n");
    tree.write("sub/ignored", "i\n");
    // What is no part of the tree hides nothing of it.
    tree.write("hidden", "h\n");
    tree.write(".git/info/exclude", "hidden\n");
    // Its time stamp is new and its content is not: git would refresh the index for it.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    tree.write("stat.txt", "untouched\n");
    let index = fs::read(tree.root.join(".git/index")).unwrap();
    let told = tree.diff(&[]).ok().json();
    assert_eq!(fs::read(tree.root.join(".git/index")).unwrap(), index, "git has refreshed its index");
    assert!(!tree.root.join(".git/index.lock").exists());
    let files: Vec<String> = told["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| format!("{} {} {} {}", file["status"], file["path"], file["added"], file["removed"]))
        .collect();
    assert_eq!(
        files,
        [
            r#""modified" "a.txt" 1 1"#,
            r#""deleted" "gone.txt" 0 1"#,
            r#""added" "sub/new.txt" 1 0"#,
            r#""renamed" "sub/t.txt" 0 0"#,
            r#""untracked" "hidden" null null"#,
            r#""untracked" "not told" null null"#,
        ]
    );
    assert_eq!(told["files"][3]["old_path"], "sub/s.txt");
    let patch = told["patch"].as_str().unwrap();
    assert!(patch.contains("\n-two\n+three\n") && patch.contains("rename to sub/t.txt"), "{patch}");
    assert!(!patch.contains("stat.txt") && !patch.contains("not told"), "{patch}");
    assert_eq!((told["truncated"].as_bool(), told["base"].as_str().map(str::len)), (Some(false), Some(40)));
    assert!(told["root"].as_str().unwrap().ends_with("re po") && told["cwd"].as_str().unwrap().ends_with("sub"));
    let prose = tree.env.run(["diff", "w1"]).ok();
    assert!(prose.out.contains("4 changed, 2 untracked, +2 -2 since commit "), "{prose}");
    assert!(prose.out.contains("renamed      +0 -0      sub/t.txt (was sub/s.txt)"), "{prose}");
}

#[test]
fn no_program_that_the_repository_names_is_run() {
    let Some(tree) = Tree::new() else { return };
    let proof = tree.env.cwd().join("it ran");
    let program = tree.env.cwd().join("evil");
    fs::write(&program, format!("#!/bin/sh\n: > '{}'\ncat\n", proof.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    tree.write(".gitattributes", "*.txt filter=evil diff=evil\n*.bin filter=Evil.Two diff=evil\n");
    tree.write("b.bin", "b\n");
    tree.commit();
    for hook in ["post-index-change", "pre-commit", "fsmonitor-watchman", "post-checkout"] {
        fs::copy(&program, tree.root.join(".git/hooks").join(hook)).unwrap();
    }
    let program = program.display().to_string();
    let settings = [
        ("core.fsmonitor", program.as_str()),
        ("core.pager", &program),
        ("core.editor", &program),
        ("pager.diff", &program),
        ("diff.external", &program),
        ("diff.evil.command", &program),
        ("diff.evil.textconv", &program),
        ("filter.evil.clean", &program),
        ("filter.evil.smudge", &program),
        ("filter.evil.required", "true"),
        ("filter.Evil.Two.process", &program),
        ("filter.Evil.Two.required", "true"),
        ("alias.diff", &format!("!{program}")),
        ("color.ui", "always"),
        ("diff.noprefix", "true"),
        ("diff.relative", "true"),
    ];
    for (key, value) in settings {
        tree.git(&["config", key, value]);
    }
    let _ = fs::remove_file(&proof);
    tree.write("a.txt", "one\nthree\n");
    tree.write("b.bin", "c\n");
    let told = tree.diff(&[]).ok().json();
    assert!(!proof.exists(), "a program of the repository was run");
    let patch = told["patch"].as_str().unwrap();
    assert!(patch.contains("--- a/a.txt\n+++ b/a.txt\n") && patch.contains("\n-b\n+c\n"), "{patch}");
    // The trap is a real one: plain git falls into it.
    let _ = Command::new("git").current_dir(&tree.root).args(["diff", "HEAD"]).output().unwrap();
    assert!(proof.exists(), "this test proves nothing");
}

#[test]
fn no_object_is_fetched_whatever_the_repository_allows() {
    let Some(tree) = Tree::new() else { return };
    let proof = tree.env.cwd().join("it ran");
    // A partial clone whose missing objects come through a program.
    let program = tree.env.cwd().join("evil");
    fs::write(&program, format!("#!/bin/sh\n: > '{}'\n", proof.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let helper = format!("ext::{}", program.display());
    let settings = [
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", &helper),
        ("protocol.ext.allow", "always"),
        ("protocol.allow", "always"),
    ];
    for (key, value) in settings {
        tree.git(&["config", key, value]);
    }
    let blob = Command::new("git").current_dir(&tree.root).args(["rev-parse", "HEAD:a.txt"]).output().unwrap();
    let blob = String::from_utf8_lossy(&blob.stdout).trim().to_owned();
    fs::remove_file(tree.root.join(".git/objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    tree.write("a.txt", "one\nthree\n");
    // A git that is too old to know GIT_NO_LAZY_FETCH, in front of the real one.
    let (bin, real) = (tree.env.cwd().join("bin"), which_git());
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("git"), format!("#!/bin/sh\nunset GIT_NO_LAZY_FETCH\nexec '{}' \"$@\"\n", real.display()))
        .unwrap();
    fs::set_permissions(bin.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let run = |git: &mut Command| drop(git.env("PATH", &path).output().unwrap());
    run(tree.env.command().args(["diff", "w1", "--json"]));
    assert!(!proof.exists(), "a program of the repository was run");
    // The trap is a real one, also where all protocols are forbidden by a setting.
    run(Command::new("git").current_dir(&tree.root).args(["-c", "protocol.allow=never", "diff", "HEAD"]));
    assert!(proof.exists(), "this test proves nothing");
}

fn which_git() -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("git")).find(|git| git.is_file()).expect("git")
}

#[test]
fn what_cannot_be_compared_is_said() {
    let Some(tree) = Tree::new() else { return };
    let refused = |run: Finished| (run.code, run.error()["kind"].as_str().unwrap_or_default().to_owned(), run);
    let (code, kind, run) = refused(tree.diff(&["--base=nothing"]));
    assert_eq!((code, kind.as_str()), (1, "not_found"), "{run}");
    let (code, kind, run) = refused(tree.diff(&["--base=--output=x"]));
    assert_eq!((code, kind.as_str()), (1, "not_found"), "a commit is no option: {run}");
    assert!(!tree.root.join("x").exists());
    tree.register(&tree.env.cwd());
    let (code, kind, run) = refused(tree.diff(&[]));
    assert_eq!((code, kind.as_str()), (1, "refused"), "{run}");
    assert!(run.err.contains("is in no git repository"), "{run}");
    tree.register(&tree.env.cwd().join("never"));
    let (code, kind, run) = refused(tree.diff(&[]));
    assert_eq!((code, kind.as_str()), (1, "not_found"), "{run}");
    let without = tree.env.command().env("PATH", "/nonexistent").args(["diff", "w1", "--json"]).output().unwrap();
    assert_eq!(without.status.code(), Some(69), "no git");
}

#[test]
fn a_new_repository_and_an_older_commit_can_be_compared_and_a_large_patch_is_cut() {
    let Some(tree) = Tree::new() else { return };
    tree.write("a.txt", "second\n");
    tree.commit();
    let told = tree.diff(&[]).ok().json();
    assert_eq!((told["files"].as_array().map(Vec::len), told["patch"].as_str()), (Some(0), Some("")));
    let told = tree.diff(&["--base=HEAD~1"]).ok().json();
    assert_eq!(told["files"][0]["path"], "a.txt");
    tree.write("a.txt", &"a line of some length\n".repeat(2_000));
    let told = tree.diff(&["--max-bytes=4096"]).ok().json();
    let patch = told["patch"].as_str().unwrap();
    assert!(told["truncated"] == true && patch.len() <= 4096 && patch.ends_with("length\n"), "{}", patch.len());
    assert!(tree.env.run(["diff", "w1", "--max-bytes=4096"]).ok().out.contains("not all is shown"));

    let young = tree.env.cwd().join("young");
    fs::create_dir(&young).unwrap();
    let young = Tree { env: tree.env, root: young };
    young.git(&["init", "--quiet"]);
    young.write("first.txt", "x\n");
    young.git(&["add", "first.txt"]);
    young.register(&young.root);
    let told = young.diff(&[]).ok().json();
    assert_eq!((told["base"].is_null(), &told["files"][0]["status"]), (true, &"added".into()));
    assert!(young.env.run(["diff", "w1"]).ok().out.contains("before its first commit"));
}

#[test]
fn a_tree_that_git_is_told_not_to_look_at_is_not_shown_as_unchanged() {
    for flag in ["skip-worktree", "assume-unchanged"] {
        let Some(tree) = Tree::new() else { return };
        tree.git(&["update-index", &format!("--{flag}"), "a.txt"]);
        tree.write("a.txt", "other\n");
        let error = tree.diff(&[]).error();
        assert!(error["message"].as_str().unwrap().contains("git is told not to look at a.txt"), "{flag}: {error}");
        tree.git(&["update-index", &format!("--no-{flag}"), "a.txt"]);
        assert!(tree.diff(&[]).ok().out.contains("a.txt"), "{flag}");
    }
}
