//! What a manager can be allowed to do. A name that is not one of these allows nothing and is refused.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value};

use crate::text_enum;

text_enum! {
    /// The headings of permissions.
    pub enum Category {
        /// Speaking to people.
        Communication => "communication",
        /// Finding out more.
        Context => "context",
        /// Changing a repository or what surrounds it.
        Repo => "repo",
        /// Running checks.
        Verification => "verification",
        /// Changing the course of a worker's session.
        WorkerSession => "worker_session",
    }
}

text_enum! {
    /// One thing that a manager can be allowed to do.
    pub enum Permission {
        /// Write below a pull request.
        CommentOnPr => "communication.comment_on_pr",
        /// Tell the operator something.
        NotifyOperator => "communication.notify_operator",
        /// Read issues.
        FetchIssues => "context.fetch_issues",
        /// Read pull requests.
        FetchPrs => "context.fetch_prs",
        /// Have somebody else review.
        SpawnReviewer => "context.spawn_reviewer",
        /// Merge a pull request whose checks are green.
        MergeGreenPr => "repo.merge_green_pr",
        /// Watch the checks of a pull request.
        MonitorCi => "repo.monitor_ci",
        /// Open a pull request.
        OpenPr => "repo.open_pr",
        /// Push a branch.
        PushBranch => "repo.push_branch",
        /// Resolve merge conflicts.
        ResolveConflicts => "repo.resolve_conflicts",
        /// Run the tests of a Rust project.
        RunCargo => "verification.run_cargo",
        /// Run tests in a browser.
        RunPlaywright => "verification.run_playwright",
        /// Run the tests of a Python project.
        RunPytest => "verification.run_pytest",
        /// Build and test an Xcode project.
        RunXcodebuild => "verification.run_xcodebuild",
        /// Have the worker begin an empty context.
        Clear => "worker_session.clear",
        /// Have the worker compact its context.
        Compact => "worker_session.compact",
        /// End the worker's turn.
        Interrupt => "worker_session.interrupt",
        /// End the worker's session.
        Stop => "worker_session.stop",
    }
}

/// Older names, and what each stands for.
pub const LEGACY_NAMES: &[(&str, &[Permission])] = &[
    ("allow_merge_green", &[Permission::MergeGreenPr]),
    ("allow_pr", &[Permission::OpenPr]),
    ("allow_worker_compact_clear", &[Permission::Clear, Permission::Compact]),
    ("create_pr", &[Permission::OpenPr]),
    ("merge_green_pr", &[Permission::MergeGreenPr]),
    ("worker_compact_clear", &[Permission::Clear, Permission::Compact]),
];

impl Permission {
    /// Its heading.
    #[must_use]
    pub fn category(self) -> Category {
        match self {
            Self::CommentOnPr | Self::NotifyOperator => Category::Communication,
            Self::FetchIssues | Self::FetchPrs | Self::SpawnReviewer => Category::Context,
            Self::MergeGreenPr | Self::MonitorCi | Self::OpenPr | Self::PushBranch | Self::ResolveConflicts => {
                Category::Repo
            }
            Self::RunCargo | Self::RunPlaywright | Self::RunPytest | Self::RunXcodebuild => Category::Verification,
            Self::Clear | Self::Compact | Self::Interrupt | Self::Stop => Category::WorkerSession,
        }
    }

    /// It in words, behind "may".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::CommentOnPr => "write below a pull request",
            Self::NotifyOperator => "tell the operator something",
            Self::FetchIssues => "read issues",
            Self::FetchPrs => "read pull requests",
            Self::SpawnReviewer => "have somebody else review",
            Self::MergeGreenPr => "merge a pull request whose checks are green",
            Self::MonitorCi => "watch the checks of a pull request",
            Self::OpenPr => "open a pull request",
            Self::PushBranch => "push a branch",
            Self::ResolveConflicts => "resolve merge conflicts",
            Self::RunCargo => "run cargo",
            Self::RunPlaywright => "run playwright",
            Self::RunPytest => "run pytest",
            Self::RunXcodebuild => "run xcodebuild",
            Self::Clear => "have its worker begin an empty context",
            Self::Compact => "have its worker compact its context",
            Self::Interrupt => "interrupt its worker's turn",
            Self::Stop => "stop its worker's session",
        }
    }

    /// Its name below the heading.
    #[must_use]
    pub fn action(self) -> &'static str {
        let (_, action) = self.as_str().split_once('.').expect("every name has a heading");
        action
    }

    /// Flags that grant, and what each grants.
    pub const SHORTHANDS: &[(&'static str, &'static [Self])] = &[
        ("--allow-pr", &[Self::OpenPr]),
        ("--allow-merge-green", &[Self::MergeGreenPr]),
        ("--allow-worker-compact-clear", &[Self::Clear, Self::Compact]),
    ];

    /// What a name stands for: `category.action`, or an older name, which may stand for two.
    ///
    /// # Errors
    /// When nothing has this name.
    pub fn named(name: &str) -> Result<Vec<Self>, UnknownPermission> {
        if let Ok(one) = name.parse() {
            return Ok(vec![one]);
        }
        let legacy = LEGACY_NAMES.iter().find(|(legacy, _)| *legacy == name);
        legacy.map(|(_, stands_for)| stands_for.to_vec()).ok_or_else(|| UnknownPermission::of(name))
    }
}

/// Nothing has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown permission \"{name}\"")]
pub struct UnknownPermission {
    /// The name that was given.
    pub name: String,
    /// The permission whose name is most like it, when one is.
    pub nearest: Option<Permission>,
}

/// How alike two names have to be for one to be proposed for the other.
const ALIKE: f64 = 0.6;

impl UnknownPermission {
    fn of(name: &str) -> Self {
        let likeness = |one: Permission| {
            let with = [one.as_str(), one.action()].map(|known| strsim::normalized_damerau_levenshtein(known, name));
            with.into_iter().fold(0.0, f64::max)
        };
        let best =
            Permission::ALL.iter().map(|one| (likeness(*one), *one)).max_by(|one, other| one.0.total_cmp(&other.0));
        let nearest = best.filter(|(alike, _)| *alike >= ALIKE).map(|(_, one)| one);
        Self { name: name.to_owned(), nearest }
    }
}

/// What a manager is allowed. As JSON: each heading with the names below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions(BTreeSet<Permission>);

impl Permissions {
    /// Allows these.
    pub fn grant(&mut self, permissions: impl IntoIterator<Item = Permission>) {
        self.0.extend(permissions);
    }

    /// Allows these no more.
    pub fn revoke(&mut self, permissions: &[Permission]) {
        self.0.retain(|one| !permissions.contains(one));
    }

    /// Of a heading only these.
    pub fn replace(&mut self, category: Category, permissions: impl IntoIterator<Item = Permission>) {
        self.0.retain(|one| one.category() != category);
        self.grant(permissions);
    }

    /// Whether this is allowed.
    #[must_use]
    pub fn holds(&self, permission: Permission) -> bool {
        self.0.contains(&permission)
    }

    /// Those that are allowed, by their names.
    pub fn iter(&self) -> impl Iterator<Item = Permission> {
        self.0.iter().copied()
    }

    /// Those below a heading.
    pub fn of(&self, category: Category) -> impl Iterator<Item = Permission> {
        self.iter().filter(move |one| one.category() == category)
    }

    /// Those that are allowed here and not there.
    pub fn beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Permission> + 'a {
        self.0.difference(&other.0).copied()
    }

    /// Applies an object: a heading with a list has just what the list says; any other name with a value that is
    /// true, not zero and not empty is allowed, else it is allowed no more.
    ///
    /// # Errors
    /// What is unknown or no list, in words.
    pub fn apply(&mut self, object: &Map<String, Value>) -> Result<(), PermissionsFault> {
        let mut after = self.clone();
        for (key, value) in object {
            let Ok(category) = key.parse::<Category>() else {
                let named = Permission::named(key)?;
                if is_yes(value) {
                    after.grant(named)
                } else {
                    after.revoke(&named)
                }
                continue;
            };
            let Value::Array(names) = value else { return Err(PermissionsFault::NoList(category)) };
            let mut wanted = Vec::new();
            for name in names {
                let word = name.as_str().ok_or(PermissionsFault::NoName(category))?;
                let full = format!("{category}.{word}");
                wanted.push(full.parse::<Permission>().map_err(|_| UnknownPermission::of(&full))?);
            }
            after.replace(category, wanted);
        }
        *self = after;
        Ok(())
    }
}

/// What is wrong with an object of permissions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermissionsFault {
    /// A name that nothing has.
    #[error(transparent)]
    Unknown(#[from] UnknownPermission),
    /// A heading without a list.
    #[error("permission category \"{0}\" must be a list")]
    NoList(Category),
    /// Something in a list that is no text.
    #[error("permission category \"{0}\" lists something that is no name")]
    NoName(Category),
}

fn is_yes(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Category::ALL.len()))?;
        for category in Category::ALL {
            map.serialize_entry(category, &self.of(*category).map(Permission::action).collect::<Vec<_>>())?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Map::deserialize(deserializer)?;
        let mut permissions = Self::default();
        permissions.apply(&object).map_err(serde::de::Error::custom)?;
        Ok(permissions)
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().collect())
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Permission::as_str).collect();
        if names.is_empty() { f.write_str("none") } else { f.write_str(&names.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_taxonomy_has_its_eighteen_names_in_order() {
        assert_eq!(Permission::ALL.len(), 18);
        assert!(Permission::ALL.windows(2).all(|two| two[0].as_str() < two[1].as_str()));
        for one in Permission::ALL {
            assert_eq!(one.as_str(), format!("{}.{}", one.category(), one.action()));
        }
    }

    #[test]
    fn a_name_that_is_unknown_proposes_the_nearest() {
        let nearest = |name| Permission::named(name).unwrap_err().nearest;
        assert_eq!(nearest("repo.open_prs"), Some(Permission::OpenPr));
        assert_eq!(nearest("open-pr"), Some(Permission::OpenPr));
        assert_eq!(nearest("worker_session.interupt"), Some(Permission::Interrupt));
        assert_eq!(nearest("everything"), None);
        assert_eq!(nearest(""), None);
        assert_eq!(Permission::named("worker_compact_clear").unwrap(), [Permission::Clear, Permission::Compact]);
    }

    #[test]
    fn an_object_replaces_grants_and_revokes_or_changes_nothing() {
        let mut permissions: Permissions = [Permission::OpenPr, Permission::Stop].into_iter().collect();
        let object = |value: Value| value.as_object().unwrap().clone();
        permissions.apply(&object(json!({"repo": ["monitor_ci"], "worker_session.stop": false}))).unwrap();
        assert_eq!(permissions.to_string(), "repo.monitor_ci");
        for wrong in [json!({"create_pr": 1, "repo": "open_pr"}), json!({"create_pr": 1, "repo": ["opn_pr"]})] {
            assert!(permissions.apply(&object(wrong)).is_err());
            assert_eq!(permissions.to_string(), "repo.monitor_ci", "all of it or nothing");
        }
        let stored = serde_json::to_value(&permissions).unwrap();
        assert_eq!(stored["communication"], json!([]));
        assert_eq!(serde_json::from_value::<Permissions>(stored).unwrap(), permissions);
    }
}
