//! `doctor`: the programs, places and settings that Conveyor needs on this machine.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    check::{self, Check, Weight::Advice},
    places, terminal,
    tools::{self, Tools},
};
use crate::{
    actions::{Action, Argv, Context, Format, Outcome, supervise::reviewer::closed_to_reviewers},
    base::Result,
    ports::{confine::Closed, machine},
};

/// Check this installation: tmux, codex, folders, permissions, terminal
///
/// Each finding comes with its remedy. Nothing is changed or created, and a ledger is only looked at. The exit code
/// is 1 when something that is required is wrong; remarks do not count.
///
/// Example: `conveyor doctor --text`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Doctor {
    /// The folder in which sessions are to work; without it the present one
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Codex's home; without it $CODEX_HOME or ~/.codex
    #[arg(long, value_name = "DIR")]
    pub codex_home: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Installation {
    checks: Vec<Check>,
    codex_home: Option<PathBuf>,
    commands: Commands,
    ok: bool,
    /// All four programs are on the `PATH`.
    operator_ready: bool,
    package: Package,
    platform: &'static str,
    /// The repository around the target folder, else that folder.
    project_root: PathBuf,
    runtime: Runtime,
}

#[derive(Debug, Serialize)]
struct Commands {
    codex: Program,
    conveyor: Program,
    tmux: Program,
    workerctl: Program,
}

#[derive(Debug, Serialize)]
struct Program {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
}

impl Program {
    fn at(path: Option<PathBuf>) -> Self {
        Self { ok: path.is_some(), path }
    }
}

#[derive(Debug, Serialize)]
struct Package {
    name: &'static str,
    /// The folder of this program.
    root: Option<PathBuf>,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct Runtime {
    ledger: PathBuf,
    state_root: PathBuf,
    target_cwd: PathBuf,
}

impl Installation {
    /// The findings.
    pub(super) fn checks(&self) -> &[Check] {
        &self.checks
    }
}

impl Action for Doctor {
    const NAME: &'static str = "doctor";
    const FORMAT: Format = Format::Json;
    type Output = Installation;

    fn run(self, cx: &Context) -> Result<Installation> {
        let env = cx.env();
        let target_cwd = self.cwd.map_or_else(|| env.cwd.clone(), |path| env.absolute(&path));
        let codex_home = self.codex_home.map(|path| env.absolute(&path)).or_else(|| env.codex_home.clone());
        let tools = Tools::find(cx);

        let mut checks = tools.on_path();
        checks.extend(tools::tmux(cx, &tools));
        checks.extend(tools::codex(cx, &tools, codex_home.as_deref()));
        checks.extend(places::codex_home(codex_home.as_deref()));
        checks.push(places::target(&target_cwd));
        checks.extend(places::state(cx));
        checks.extend(terminal::checks(cx, &tools));
        checks.extend(places::file_watches());
        checks.extend(reviewers(cx));

        let project = target_cwd.ancestors().find(|folder| is_repository(folder));
        let project_root = project.unwrap_or(&target_cwd).to_owned();
        let program = machine::own_program();
        let commands = Commands {
            codex: Program::at(tools.codex.ok()),
            conveyor: Program::at(tools.conveyor),
            tmux: Program::at(tools.tmux),
            workerctl: Program::at(tools.workerctl),
        };
        let all = [&commands.codex, &commands.conveyor, &commands.tmux, &commands.workerctl];
        Ok(Installation {
            ok: check::all_required(&checks),
            operator_ready: all.iter().all(|program| program.ok),
            checks,
            codex_home,
            package: Package {
                name: env!("CARGO_PKG_NAME"),
                root: program.and_then(|program| program.parent().map(Path::to_owned)),
                version: env!("CARGO_PKG_VERSION"),
            },
            platform: machine::platform(),
            project_root,
            runtime: Runtime { ledger: env.ledger.clone(), state_root: env.state_root.clone(), target_cwd },
            commands,
        })
    }

    fn argv(&self) -> Argv {
        let Self { cwd, codex_home } = self;
        Argv::new(Self::NAME)
            .option("--cwd", cwd.as_ref().map(|path| path.display()))
            .option("--codex-home", codex_home.as_ref().map(|path| path.display()))
    }
}

impl Outcome for Installation {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        check::write(out, &self.checks)?;
        check::verdict(out, check::tally(&self.checks))
    }

    fn exit_code(&self) -> u8 {
        u8::from(!self.ok)
    }
}

/// A worktree's `.git` is a file. A folder of that name without a head is no repository: Codex's sandbox leaves empty
/// ones in folders that it lets commands write to.
/// Reviewers that are set and cannot read what they are given: their verdict would be to stop.
fn reviewers(cx: &Context) -> Vec<Check> {
    // What is wrong with the ledger is the other doctor's.
    let closed = cx.ledger().ok().and_then(|store| closed_to_reviewers(&store).ok()).unwrap_or_default();
    let check = |(task, closed): (String, Closed)| {
        Check::fail(Advice, "reviewer_reads", format!("task {task}: {}", closed.fault()), closed.remedy())
    };
    closed.into_iter().map(check).collect()
}

fn is_repository(folder: &Path) -> bool {
    let git = folder.join(".git");
    git.is_file() || git.join("HEAD").exists()
}
