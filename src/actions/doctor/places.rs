//! Folders and files: whether they are there, whose eyes they are open to, and how much room is left.

use std::{fs, path::Path, path::PathBuf};

use super::check::{
    Check,
    Weight::{self, Advice, Required},
};
use crate::{
    actions::Context,
    base::{Error, Kind},
    ports::{env::Env, machine, rollout},
    store::health,
};

/// How many rollouts are looked at, the newest ones.
const ROLLOUTS: usize = 500;

/// Less free space than this is worth a remark.
const ROOM: u64 = 1 << 30;

/// The folder in which sessions are to work.
pub(super) fn target(cwd: &Path) -> Check {
    const NAME: &str = "target_cwd_exists";
    let shown = cwd.display().to_string();
    if cwd.is_dir() {
        return Check::pass(Required, NAME, shown.clone()).fact("path", shown);
    }
    let what = if cwd.exists() { "is no folder" } else { "does not exist" };
    Check::fail(Required, NAME, format!("{shown} {what}"), "give a folder that exists with --cwd").fact("path", shown)
}

/// Codex's home, and whether others can read what was said in its sessions.
pub(super) fn codex_home(home: Option<&Path>) -> Vec<Check> {
    const NAME: &str = "codex_home";
    let Some(home) = home else {
        return vec![Check::fail(Advice, NAME, "neither CODEX_HOME nor HOME is set", "`export CODEX_HOME=~/.codex`")];
    };
    let shown = home.display().to_string();
    if !home.is_dir() {
        let message = format!("{shown} does not exist");
        let remedy = "run `codex` once and sign in, or name another home with --codex-home";
        return vec![Check::fail(Advice, NAME, message, remedy).fact("path", shown)];
    }
    vec![Check::pass(Advice, NAME, shown.clone()).fact("path", shown), rollouts(home)]
}

fn rollouts(home: &Path) -> Check {
    const NAME: &str = "rollout_permissions";
    let found = match rollout::find_rollouts(home, ROLLOUTS) {
        Ok(found) => found,
        Err(error) => return Check::fail(Advice, NAME, error.to_string(), "check its owner and permissions"),
    };
    let open = found.iter().filter(|path| machine::is_readable_by_others(path)).count();
    let looked = if found.len() == ROLLOUTS { format!("the newest {ROLLOUTS}") } else { found.len().to_string() };
    if open == 0 {
        return Check::pass(Advice, NAME, format!("nobody else can read rollouts ({looked} looked at)"))
            .fact("value", open);
    }
    let home = home.display().to_string();
    let message = format!("{open} rollouts of {looked} can be read by other users: whole conversations");
    let remedy = format!("`chmod go-rwx {}`", shell_words::quote(&home));
    Check::fail(Advice, NAME, message, remedy).fact("value", open)
}

/// The state root and the ledger in it.
pub(super) fn state(cx: &Context) -> Vec<Check> {
    let env = cx.env();
    let root = &env.state_root;
    let shown = root.display().to_string();
    let mut checks = vec![
        if root.is_dir() {
            Check::pass(Advice, "state_root_exists", shown.clone())
        } else {
            let message = format!("{shown} is not there yet; the first task or session makes it");
            Check::fail(Advice, "state_root_exists", message, "`conveyor tasks --create NAME --goal TEXT`")
        }
        .fact("path", shown),
    ];
    checks.push(match cx.ledger() {
        Ok(store) => Check::pass(Required, "ledger", store.path().display().to_string()),
        // One that was never made is no fault.
        Err(error) if error.kind() == Kind::NotFound => {
            Check::pass(Required, "ledger", "none yet; the first task or session makes it")
        }
        Err(error) => unusable("ledger", &error),
    });
    if env.ledger.exists() {
        checks.push(permissions(env, Advice));
    }
    checks.push(file_system(&env.ledger));
    checks.push(sqlite());
    checks.push(disk_space(&env.ledger));
    checks
}

/// A ledger that cannot be used.
pub(super) fn unusable(name: &'static str, error: &Error) -> Check {
    Check::failed(Required, name, error, "`conveyor db-doctor --text` tells more; do not delete the file")
}

/// The ledger and everything that lies beside it under its name: log, lock, backups.
pub(super) fn ledger_files(ledger: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (ledger.parent(), ledger.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let is_ours = |path: &PathBuf| {
        let rest = path.file_name().and_then(|file| file.to_str()).and_then(|file| file.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_ours).collect();
    files.sort_unstable();
    files
}

/// Whether only the owner can look into the ledger.
pub(super) fn permissions(env: &Env, weight: Weight) -> Check {
    const NAME: &str = "permissions";
    let ledger = &env.ledger;
    let folder = ledger.parent().unwrap_or(Path::new("/"));
    let closed = machine::mode(folder).is_some_and(|mode| mode & 0o077 == 0);
    let open: Vec<String> = ledger_files(ledger)
        .iter()
        .filter(|file| machine::mode(file).is_some_and(|mode| mode & 0o077 != 0))
        .map(|file| file.display().to_string())
        .collect();
    let (mut wrong, mut commands) = (Vec::new(), Vec::new());
    if !open.is_empty() {
        let mode = machine::mode(Path::new(&open[0])).unwrap_or(0);
        let more = if open.len() > 1 { format!(" and {} more files", open.len() - 1) } else { String::new() };
        wrong.push(format!("{} has mode {mode:04o}{more}, not 0600", open[0]));
        // The log comes and goes with every command, so the files are named by what they have in common.
        commands.push(format!("chmod 600 {}*", shell_words::quote(&ledger.display().to_string())));
    }
    // A ledger that was put into a folder of another purpose with --path does not make that folder ours.
    if !closed && folder == env.state_root {
        let mode = machine::mode(folder).unwrap_or(0);
        wrong.push(format!("{} has mode {mode:04o}, not 0700", folder.display()));
        commands.push(format!("chmod 700 {}", shell_words::quote(&folder.display().to_string())));
    }
    if wrong.is_empty() {
        return Check::pass(weight, NAME, "only you can read the ledger");
    }
    Check::fail(weight, NAME, wrong.join("; "), format!("`{}`", commands.join(" && "))).fact("open", open)
}

/// Whether SQLite's log works on the file system.
pub(super) fn file_system(ledger: &Path) -> Check {
    const NAME: &str = "file_system";
    let Some(place) = machine::nearest_existing(ledger) else {
        return Check::fail(Advice, NAME, "it cannot be looked at", "choose a local folder with WORKERCTL_STATE_ROOT");
    };
    match health::check_file_system(place) {
        Ok(()) => Check::pass(Required, NAME, "suits a ledger"),
        Err(error) => {
            Check::fail(Required, NAME, error.to_string(), "choose a local folder with --path or WORKERCTL_STATE_ROOT")
        }
    }
}

fn sqlite() -> Check {
    let library = health::library();
    let check = if library.is_safe {
        Check::pass(Required, "sqlite_version", format!("{} (built in)", library.version))
    } else {
        let message = format!("{} can lose writes; 3.51.3 or newer is needed", library.version);
        Check::fail(Required, "sqlite_version", message, "build conveyor with its bundled SQLite")
    };
    check.fact("value", library.version)
}

/// Room on the disk of the ledger.
pub(super) fn disk_space(ledger: &Path) -> Check {
    const NAME: &str = "disk_space";
    let Some(free) = machine::free_space(ledger) else {
        return Check::fail(Advice, NAME, "free space is unknown", "see what `df` prints");
    };
    let megabytes = free >> 20;
    if free < ROOM {
        Check::fail(Advice, NAME, format!("only {megabytes} MB are free"), "free some space on the ledger's disk")
    } else {
        Check::pass(Advice, NAME, format!("{megabytes} MB free"))
    }
    .fact("free_bytes", free)
}

/// Whether file watches are left, without which new lines are only seen once a second.
pub(super) fn file_watches() -> Option<Check> {
    const NAME: &str = "file_watches";
    let used = machine::watch_use()?;
    let message = format!(
        "{} of {} watchers and {} of {} watches are taken",
        used.instances, used.max_instances, used.watches, used.max_watches
    );
    if !used.is_nearly_used_up() {
        return Some(Check::pass(Advice, NAME, message));
    }
    let message = format!("{message}; without them rollouts are looked at once a second only");
    Some(Check::fail(
        Advice,
        NAME,
        message,
        "`sudo sysctl fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=524288`",
    ))
}
