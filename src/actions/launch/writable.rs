//! What a manager's commands may write to: it runs this program in its own sandbox, and that needs the ledger.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::spawn::Plan;
use crate::{actions::Context, ports::codex_server::Sandbox};

/// Lets the commands of this session write the ledger, or notes why they cannot.
pub(super) fn grant_ledger(cx: &Context, plan: &mut Plan) {
    match plan.sandbox {
        // Nothing holds it back, or the thread keeps a setting that is not ours.
        Some(Sandbox::DangerFullAccess) | None => {}
        Some(Sandbox::ReadOnly) => {
            plan.ledger_unwritable = Some("its sandbox is read-only, so its own commands cannot use it".to_owned());
        }
        Some(Sandbox::WorkspaceWrite) => {
            let env = cx.env();
            let folder = real(env.ledger.parent().unwrap_or(&env.cwd));
            if folder.starts_with(real(&plan.cwd)) {
                return;
            }
            let homes = [env.home.clone(), env.codex_home.clone(), env.home.as_ref().map(|home| home.join(".codex"))];
            if homes.iter().flatten().any(|home| real(home).starts_with(&folder)) {
                plan.ledger_unwritable = Some(format!(
                    "its folder {} holds more than the ledger; put the ledger into one of its own",
                    folder.display()
                ));
            } else {
                plan.writable.push(folder);
            }
        }
    }
}

/// The path that a sandbox compares with; as it is when it is not there yet.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
