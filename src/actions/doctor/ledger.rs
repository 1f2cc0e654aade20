//! `db-doctor`: whether the ledger itself is sound, and with `--live` whether it agrees with the world.
//!
//! A damaged ledger makes single checks fail, never the report. Nothing is repaired and nothing is moved: a remedy
//! is a command for a person.

use std::{fmt, fs, path::Path};

use serde::Serialize;
use serde_json::Value;

use super::{
    check::{
        self, Check,
        Weight::{Advice, Required},
    },
    live::{self, Drift},
    places,
};
use crate::{
    actions::{Action, Argv, Context, Format, Outcome},
    base::{Error, Kind, Result},
    store::{
        self, Access, Opening, Store,
        health::{self, Differences, Part},
    },
};

/// The least patience with a lock, in milliseconds.
const PATIENCE: i64 = 5_000;

/// How many broken references and damaged pages are listed.
const LISTED: u32 = 20;

/// A write-ahead log above this size in bytes means that somebody keeps it from being taken over.
const LARGE_LOG: u64 = 64 << 20;

const KEEP: &str = "stop every conveyor, then copy the ledger with its -wal and -shm files to a safe place; never \
                    delete it. `sqlite3 LEDGER .recover | sqlite3 NEW` saves what can be read, and a backup beside \
                    it can be used with --path";

/// Check the ledger, and with --live whether its records agree with what runs
///
/// Nothing is repaired; each finding names the command that would. A ledger that does not exist is an error. The
/// exit code is 1 when something that is required is wrong.
///
/// Example: `conveyor db-doctor --live --text`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct DbDoctor {
    /// Also compare sessions, bindings and rollouts with what runs and lies on this machine
    #[arg(long)]
    pub live: bool,
    /// With --live: a manager that was not observed for this long is worth a warning
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub manager_stale_seconds: u32,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct LedgerHealth {
    checks: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live_reconcile: Option<Drift>,
    ok: bool,
    path: String,
    schema_version: Option<i64>,
    user_version: Option<i64>,
}

impl LedgerHealth {
    /// The findings.
    pub(super) fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// What has drifted, when that was looked at.
    pub(super) fn drift(&self) -> Option<&Drift> {
        self.live_reconcile.as_ref()
    }
}

impl Action for DbDoctor {
    const NAME: &'static str = "db-doctor";
    const FORMAT: Format = Format::Json;
    type Output = LedgerHealth;

    fn run(self, cx: &Context) -> Result<LedgerHealth> {
        let path = &cx.env().ledger;
        let mut report = LedgerHealth {
            checks: Vec::new(),
            live_reconcile: None,
            ok: false,
            path: path.display().to_string(),
            schema_version: None,
            user_version: None,
        };
        match open(cx) {
            Ok(store) => {
                inspect(&store, &mut report);
                if self.live {
                    match live::drift(cx, &store, i64::from(self.manager_stale_seconds)) {
                        Ok(drift) => {
                            report.checks.push(drift.check());
                            report.live_reconcile = Some(drift);
                        }
                        Err(error) => report.checks.push(Check::failed(Required, live::NAME, &error, KEEP)),
                    }
                }
            }
            Err(error) if error.kind() == Kind::NotFound => return Err(error),
            Err(error) => report.checks.push(unopened(&error)),
        }
        report.checks.extend(files(cx));
        report.ok = check::all_required(&report.checks);
        Ok(report)
    }

    fn argv(&self) -> Argv {
        let Self { live, manager_stale_seconds } = self;
        Argv::new(Self::NAME).switch("--live", *live).option("--manager-stale-seconds", Some(manager_stale_seconds))
    }
}

/// The ledger as writers see it. It is opened for reading first, which refuses everything that a writer would set
/// up or upgrade.
fn open(cx: &Context) -> Result<Store> {
    let path = cx.ledger()?.path().to_owned();
    Ok(Store::open(&path, Opening { access: Access::Write, safety: cx.safety(), now: cx.now() })?)
}

fn unopened(error: &Error) -> Check {
    match error.kind() {
        Kind::Busy => {
            let remedy = "try again; when it stays so, `fuser LEDGER` or `lsof LEDGER` tells which process holds it";
            Check::fail(Required, "opens", error.message(), remedy)
        }
        Kind::Ledger if error.hint_text().is_some_and(|hint| hint.contains("db-doctor")) => {
            Check::fail(Required, "opens", error.message(), KEEP)
        }
        _ => Check::failed(Required, "opens", error, KEEP),
    }
}

fn inspect(store: &Store, report: &mut LedgerHealth) {
    let checks = &mut report.checks;
    match store.read(health::settings) {
        Ok(settings) => {
            report.user_version = Some(settings.user_version);
            checks.push(equals("foreign_keys", settings.foreign_keys, 1));
            checks.push(equals("journal_mode_wal", settings.journal_mode, "wal".to_owned()));
            checks.push(
                if settings.busy_timeout >= PATIENCE {
                    Check::pass(Required, "busy_timeout", format!("writers wait {} ms", settings.busy_timeout))
                } else {
                    let message = format!("writers wait {} ms only", settings.busy_timeout);
                    Check::fail(Required, "busy_timeout", message, "this is a fault in conveyor; please report it")
                }
                .fact("value", settings.busy_timeout),
            );
            checks.push(schema_version(store, &mut report.schema_version));
            checks.push(equals("user_version", settings.user_version, health::SCHEMA_VERSION));
            checks.push(equals("application_id", settings.application_id, health::APPLICATION_ID));
        }
        Err(error) => checks.push(broken("settings", error)),
    }
    match store.read(health::schema_differences) {
        Ok(differences) => checks.extend(schema(&differences)),
        Err(error) => checks.push(broken("required_tables", error)),
    }
    checks.push(references(store));
    checks.push(pages(store));
}

/// A question that the ledger could not answer.
fn broken(name: &'static str, error: store::Error) -> Check {
    let error = Error::from(error);
    let mut check = Check::failed(Required, name, &error, KEEP);
    check.remedy = Some(KEEP.to_owned());
    check
}

fn equals<T: PartialEq + fmt::Display + Into<Value>>(name: &'static str, found: T, expected: T) -> Check {
    let check = if found == expected {
        Check::pass(Required, name, found.to_string())
    } else {
        Check::fail(Required, name, format!("{found} instead of {expected}"), KEEP)
    };
    check.fact("value", found)
}

fn schema_version(store: &Store, recorded: &mut Option<i64>) -> Check {
    const NAME: &str = "schema_version";
    match store.read(health::recorded_version) {
        Ok(Some(version)) => {
            *recorded = Some(version);
            equals(NAME, version, health::SCHEMA_VERSION)
        }
        Ok(None) => Check::fail(Required, NAME, "no version is on record", KEEP),
        Err(error) => broken(NAME, error),
    }
}

/// Tables, indexes and triggers against those of a fresh ledger.
fn schema(differences: &Differences) -> Vec<Check> {
    let parts =
        [("required_tables", Part::Table), ("required_indexes", Part::Index), ("required_triggers", Part::Trigger)];
    let mut checks: Vec<Check> = parts
        .into_iter()
        .map(|(name, part)| {
            let (missing, changed) = (differences.missing(part), differences.changed(part));
            let mut wrong = Vec::new();
            if !missing.is_empty() {
                wrong.push(format!("missing: {}", missing.join(", ")));
            }
            if !changed.is_empty() {
                wrong.push(format!("defined otherwise: {}", changed.join(", ")));
            }
            let check = if wrong.is_empty() {
                Check::pass(Required, name, "as they should be")
            } else {
                let remedy = "somebody changed the schema by hand: go back to a backup with --path, or restore the \
                              definitions from a fresh ledger";
                Check::fail(Required, name, wrong.join("; "), remedy)
            };
            check.fact("missing", missing).fact("changed", changed)
        })
        .collect();
    checks.push(if differences.unknown.is_empty() {
        Check::pass(Advice, "unknown_parts", "none")
    } else {
        let message = format!("not made by conveyor: {}", differences.unknown.join(", "));
        Check::fail(Advice, "unknown_parts", message, "drop them if nothing of yours needs them")
            .fact("unknown", differences.unknown.clone())
    });
    checks
}

fn references(store: &Store) -> Check {
    const NAME: &str = "foreign_key_check";
    let found = match store.read(|r| health::broken_references(r, LISTED)) {
        Ok(found) => found,
        Err(error) => return broken(NAME, error),
    };
    let check = match found.first() {
        None => Check::pass(Required, NAME, "every reference leads somewhere"),
        Some(first) => {
            let rowid = first.rowid.map_or_else(|| "?".to_owned(), |rowid| rowid.to_string());
            let many = if found.len() == LISTED as usize { "at least " } else { "" };
            let message = format!(
                "{many}{} rows refer to rows that do not exist, first {} row {rowid} to {}",
                found.len(),
                first.table,
                first.parent
            );
            Check::fail(Required, NAME, message, "somebody changed rows by hand; go back to a backup with --path")
        }
    };
    check.fact("violations", found.iter().map(violation).collect::<Vec<Value>>())
}

fn violation(broken: &health::BrokenReference) -> Value {
    serde_json::json!({
        "fkid": broken.fkid, "parent": broken.parent, "rowid": broken.rowid, "table": broken.table,
    })
}

fn pages(store: &Store) -> Check {
    const NAME: &str = "integrity";
    match store.read(|r| health::damage(r, LISTED)) {
        Ok(damage) if damage.is_empty() => Check::pass(Required, NAME, "every page is sound"),
        Ok(damage) => {
            let message = format!("the file is damaged: {}", damage[0]);
            Check::fail(Required, NAME, message, KEEP).fact("damage", damage)
        }
        Err(error) => broken(NAME, error),
    }
}

/// What can be said without opening the ledger.
fn files(cx: &Context) -> Vec<Check> {
    let ledger = &cx.env().ledger;
    vec![
        places::permissions(cx.env(), Required),
        places::file_system(ledger),
        log_size(ledger),
        places::disk_space(ledger),
        backups(ledger),
    ]
}

fn log_size(ledger: &Path) -> Check {
    const NAME: &str = "wal_size";
    let mut log = ledger.as_os_str().to_owned();
    log.push("-wal");
    let size = fs::metadata(log).map_or(0, |about| about.len());
    if size > LARGE_LOG {
        let message = format!("{} MB are waiting in the write-ahead log", size >> 20);
        let remedy = "a reader keeps it from being taken over: close cockpits that have been open for long";
        Check::fail(Advice, NAME, message, remedy)
    } else {
        Check::pass(Advice, NAME, format!("{} KB", size >> 10))
    }
    .fact("bytes", size)
}

fn backups(ledger: &Path) -> Check {
    const NAME: &str = "backups";
    let is_backup = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "backup");
    let found: Vec<String> =
        places::ledger_files(ledger).into_iter().filter(is_backup).map(|path| path.display().to_string()).collect();
    if found.is_empty() {
        return Check::pass(Advice, NAME, "none");
    }
    let size: u64 = found.iter().filter_map(|path| fs::metadata(path).ok()).map(|about| about.len()).sum();
    let words: Vec<_> = found.iter().map(|path| shell_words::quote(path)).collect();
    let message = format!("{} lie beside the ledger, {} MB: {}", found.len(), size >> 20, found.join(", "));
    let remedy = format!("when they are no longer needed: `rm {}`", words.join(" "));
    Check::fail(Advice, NAME, message, remedy).fact("paths", found)
}

impl Outcome for LedgerHealth {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        check::write(out, &self.checks)?;
        let Some(drift) = &self.live_reconcile else {
            return check::verdict(out, check::tally(&self.checks));
        };
        drift.human(out)?;
        // What has drifted is counted one by one, not as the check that sums it up.
        let (wrong, remarks) = check::tally(self.checks.iter().filter(|check| check.name != live::NAME));
        let (drifted, noted) = drift.tally();
        check::verdict(out, (wrong + drifted, remarks + noted))
    }

    fn exit_code(&self) -> u8 {
        u8::from(!self.ok)
    }
}
