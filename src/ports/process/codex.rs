//! Which processes are Codex, told by their command line.
//!
//! The npm package starts as `node .../bin/codex`, which keeps the native program as its child or is replaced by
//! it; the native program is terminal client, background server, one-shot run or helper by its first words.

use super::ProcessId;

/// What a Codex process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CodexProcessKind {
    /// A session at a terminal: the client of a server, or the whole of it with `--no-daemon`.
    Terminal,
    /// `codex app-server`: the background server that runs sessions.
    Server,
    /// `codex exec`: one run without a terminal.
    Exec,
    /// The Node program around the native one.
    Wrapper,
    /// Everything else: updater, code-mode host, sandbox, small commands.
    Helper,
}

/// Which Codex processes a listing holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodexScope {
    /// Those that stand for a session: terminals, one-shot runs and wrappers.
    Sessions,
    /// All.
    All,
}

impl CodexScope {
    pub(super) fn includes(self, kind: CodexProcessKind) -> bool {
        match (self, kind) {
            (CodexScope::All, _)
            | (CodexScope::Sessions, CodexProcessKind::Terminal | CodexProcessKind::Exec | CodexProcessKind::Wrapper) => {
                true
            }
            (CodexScope::Sessions, CodexProcessKind::Server | CodexProcessKind::Helper) => false,
        }
    }
}

/// A Codex process that runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodexProcess {
    /// Pid and start time.
    pub id: ProcessId,
    /// Pid of the parent.
    pub parent: u32,
    /// What it does.
    pub kind: CodexProcessKind,
    /// Its command line.
    pub argv: Vec<String>,
}

/// Options of `codex` that take the next word as their value.
const WITH_VALUE: &[&str] = &[
    "-c",
    "--config",
    "-m",
    "--model",
    "-p",
    "--profile",
    "-s",
    "--sandbox",
    "-a",
    "--ask-for-approval",
    "-C",
    "--cd",
    "-i",
    "--image",
    "--add-dir",
    "--enable",
    "--disable",
    "--local-provider",
    "--remote",
    "--remote-auth-token-env",
];

/// Commands of `codex` that run no session of their own.
const HELPER_COMMANDS: &[&str] = &[
    "login",
    "logout",
    "mcp",
    "mcp-server",
    "plugin",
    "proto",
    "completion",
    "sandbox",
    "debug",
    "execpolicy",
    "apply",
    "a",
    "queue",
    "archive",
    "unarchive",
    "delete",
    "cloud",
    "cloud-tasks",
    "features",
    "doctor",
    "update",
    "migrate-rollouts",
    "remote-control",
    "exec-server",
    "responses-api-proxy",
    "stdio-to-uds",
    "help",
];

/// What the process with this command line does for Codex; none when it is not Codex.
pub(super) fn kind_of(argv: &[String]) -> Option<CodexProcessKind> {
    let program = base_name(argv.first()?);
    if matches!(program, "node" | "nodejs" | "bun" | "deno") {
        let script = argv.iter().skip(1).find(|word| !word.starts_with('-'))?;
        let is_wrapper = matches!(base_name(script), "codex" | "codex.js") && script.contains('/');
        return is_wrapper.then_some(CodexProcessKind::Wrapper);
    }
    if matches!(program, "codex-code-mode-host" | "codex-linux-sandbox" | "codex-execve-wrapper") {
        return Some(CodexProcessKind::Helper);
    }
    if program == "codex-exec" {
        return Some(CodexProcessKind::Exec);
    }
    if program == "codex-app-server" {
        return Some(CodexProcessKind::Server);
    }
    // Releases are also shipped under the name of their platform: codex-x86_64-unknown-linux-musl.
    let native = program == "codex" || program.starts_with("codex-x86_64-") || program.starts_with("codex-aarch64-");
    native.then(|| kind_of_native(&argv[1..]))
}

fn kind_of_native(words: &[String]) -> CodexProcessKind {
    let mut plain = plain_words(words);
    match plain.next() {
        Some("app-server") => match plain.next() {
            // `daemon pid-update-loop`, `daemon start`, `proxy`, `generate-json-schema` serve nobody.
            Some(_) => CodexProcessKind::Helper,
            None => CodexProcessKind::Server,
        },
        Some("exec" | "e" | "review") => CodexProcessKind::Exec,
        Some(command) if HELPER_COMMANDS.contains(&command) => CodexProcessKind::Helper,
        // No command, `resume`, `fork`, `agents` or a prompt: a terminal, unless it only prints and ends.
        _ if words.iter().any(|word| matches!(word.as_str(), "--version" | "-V" | "--help" | "-h")) => {
            CodexProcessKind::Helper
        }
        _ => CodexProcessKind::Terminal,
    }
}

/// The words that are neither options nor values of options; nothing behind `--`, which begins the prompt.
fn plain_words(words: &[String]) -> impl Iterator<Item = &str> {
    let mut words = words.iter().map(String::as_str).take_while(|word| *word != "--");
    std::iter::from_fn(move || {
        loop {
            let word = words.next()?;
            if WITH_VALUE.contains(&word) || word == "--listen" {
                words.next();
            } else if !word.starts_with('-') {
                return Some(word);
            }
        }
    })
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
