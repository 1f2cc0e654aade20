//! What `doctor` and `db-doctor --live` find, together, as screens show it; and what runs here unregistered.

use super::{
    DbDoctor, Doctor,
    check::Check,
    live::{self, Drifted},
};
use crate::{
    actions::{Action, Context, discover},
    base::{Kind, Result, Timestamp},
    text_enum,
};

text_enum! {
    /// What a finding is about.
    pub enum Area {
        /// Tools, places, the terminal.
        Installation => "installation",
        /// The ledger file.
        Ledger => "ledger",
        /// Records that do not agree with what runs.
        Drift => "drift",
    }
}

text_enum! {
    /// What a finding counts for, the gravest first.
    pub enum Verdict {
        /// Something required is wrong.
        Problem => "problem",
        /// Worth knowing.
        Remark => "remark",
        /// It could not be looked at.
        Unchecked => "unchecked",
        /// All is well.
        Fine => "fine",
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub area: Area,
    /// The check, or the session or task that has drifted.
    pub about: String,
    /// What it counts for.
    pub verdict: Verdict,
    /// What was found.
    pub message: String,
    /// What to do; a command where there is one.
    pub remedy: Option<String>,
}

impl Finding {
    /// Whether it tells nothing that this one does not tell.
    fn says_the_same_as(&self, other: &Self) -> bool {
        self.about == other.about && self.message == other.message && self.verdict >= other.verdict
    }
}

/// A Codex session that runs here and is not registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoptable {
    /// Its thread; none while nobody can tell, and then it cannot be adopted by itself.
    pub thread_id: Option<String>,
    /// Where it works.
    pub cwd: Option<String>,
    /// The tmux session that shows it.
    pub tmux_session: Option<String>,
    /// Its name, or what it was asked first.
    pub preview: Option<String>,
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkup {
    /// When.
    pub taken_at: Timestamp,
    /// The findings, the gravest first.
    pub findings: Vec<Finding>,
    /// What runs here unregistered.
    pub adoptable: Vec<Adoptable>,
}

/// What a finding is about when nobody can tell what is registered.
const UNREGISTERED: &str = "unregistered sessions";

impl Checkup {
    /// Whether it is known what runs here unregistered.
    #[must_use]
    pub fn knows_adoptable(&self) -> bool {
        !self.findings.iter().any(|finding| finding.about == UNREGISTERED)
    }

    /// How many findings are of this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }
}

/// Looks. It reads files, asks tools for their versions and looks at processes and panes; it changes nothing.
///
/// # Errors
/// When the machine does not let it look at all.
pub fn checkup(cx: &Context) -> Result<Checkup> {
    let installation = Doctor { cwd: None, codex_home: None }.run(cx)?;
    let mut findings: Vec<Finding> =
        installation.checks().iter().map(|check| of_check(Area::Installation, check)).collect();
    match (DbDoctor { live: true, manager_stale_seconds: 300 }).run(cx) {
        Ok(health) => {
            // What has drifted stands there one by one.
            let checks = health.checks().iter().filter(|check| check.name != live::NAME || health.drift().is_none());
            let checks: Vec<Finding> = checks.map(|check| of_check(Area::Ledger, check)).collect();
            // Both doctors look at some of it. What counts for more stays: it is about the ledger.
            findings.retain(|one| !checks.iter().any(|other| one.says_the_same_as(other)));
            findings.extend(checks);
            findings.extend(health.drift().into_iter().flat_map(live::Drift::drifted).map(of_drift));
        }
        // Before the first session there is none, and that is no fault.
        Err(error) if error.kind() == Kind::NotFound => findings.push(Finding {
            area: Area::Ledger,
            about: "ledger".to_owned(),
            verdict: Verdict::Remark,
            message: error.message().to_owned(),
            remedy: error.hint_text().map(str::to_owned),
        }),
        Err(error) => return Err(error),
    }
    let adoptable = match discover::unregistered(cx) {
        Ok(found) => adoptable(found),
        // What is wrong with the ledger stands above; here it is only said what cannot be told because of it.
        Err(error) => {
            findings.push(Finding {
                area: Area::Ledger,
                about: UNREGISTERED.to_owned(),
                verdict: Verdict::Unchecked,
                message: format!("what is registered cannot be told: {}", error.message()),
                remedy: error.hint_text().map(str::to_owned),
            });
            Vec::new()
        }
    };
    findings.sort_by_key(|finding| finding.verdict);
    Ok(Checkup { taken_at: cx.now(), findings, adoptable })
}

fn adoptable(found: discover::Unregistered) -> Vec<Adoptable> {
    let known = found.sessions.into_iter().map(|one| Adoptable {
        thread_id: Some(one.thread_id),
        cwd: one.cwd,
        tmux_session: one.tmux_session,
        preview: one.about,
    });
    let unknown = found.unknown.into_iter().map(|one| Adoptable {
        thread_id: None,
        cwd: one.cwd,
        tmux_session: one.tmux_session,
        preview: one.about,
    });
    known.chain(unknown).collect()
}

fn of_check(area: Area, check: &Check) -> Finding {
    Finding {
        area,
        about: check.name.replace('_', " "),
        verdict: match (check.ok, check.is_required()) {
            (true, _) => Verdict::Fine,
            (false, true) => Verdict::Problem,
            (false, false) => Verdict::Remark,
        },
        message: check.message.clone(),
        remedy: check.remedy.clone(),
    }
}

fn of_drift(drifted: Drifted<'_>) -> Finding {
    let Drifted { about, message, repair, verdict } = drifted;
    Finding {
        area: Area::Drift,
        about: about.to_owned(),
        verdict,
        message: message.to_owned(),
        remedy: repair.map(|repair| format!("`{repair}`")),
    }
}
