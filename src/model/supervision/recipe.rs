//! The terms that are ready to be chosen. Each is a file of `assets/recipes`, read into the program.

use std::sync::LazyLock;

use serde::Deserialize;

use super::{Epilogue, Mode, Permission, Permissions, Terms};

/// A set of terms with a name, and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of the files, and of the contract")]
pub struct Recipe {
    pub name: String,
    pub display_name: String,
    pub aliases: Vec<String>,
    pub description: String,
    pub mode: Mode,
    pub loop_template: Option<String>,
    pub objective: String,
    pub guidelines: Vec<String>,
    pub acceptance: Vec<String>,
    pub permissions: Vec<Permission>,
    pub tools: Vec<String>,
    pub epilogues: Vec<Epilogue>,
    pub cleanup: String,
    pub evidence_gates: Vec<String>,
    pub disallowed_actions: Vec<String>,
    pub final_report_requirements: Vec<String>,
    pub stop_conditions: Vec<String>,
    pub support_patterns: Vec<String>,
    /// Messages that the worker may be given, unless something else is said.
    pub max_nudges: u32,
}

const FILES: &[&str] = &[
    include_str!("../../../assets/recipes/campaign-duplicate-guard-dogfood.json"),
    include_str!("../../../assets/recipes/goalbuddy-conveyor.json"),
    include_str!("../../../assets/recipes/nudge-whats-next.json"),
    include_str!("../../../assets/recipes/pr-ci-merge-ralph-loop.json"),
    include_str!("../../../assets/recipes/ship-it-loop.json"),
    include_str!("../../../assets/recipes/test-coverage-loop.json"),
    include_str!("../../../assets/recipes/ux-polish-loop.json"),
];

static RECIPES: LazyLock<Vec<Recipe>> =
    LazyLock::new(|| FILES.iter().map(|file| serde_json::from_str(file).expect("a test reads every recipe")).collect());

/// What is chosen for no recipe.
pub const CUSTOM: &str = "custom";

/// Nothing has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown manager recipe: {name}; expected one of: {}", Recipe::all().iter().map(|one| &*one.name).collect::<Vec<_>>().join(", "))]
pub struct UnknownRecipe {
    /// The name that was given.
    pub name: String,
}

impl Recipe {
    /// Every recipe, by name.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &RECIPES
    }

    /// The same for whoever chooses: those first that allow the manager least.
    #[must_use]
    pub fn by_allowance() -> Vec<&'static Self> {
        let mut all: Vec<&'static Self> = Self::all().iter().collect();
        all.sort_by_key(|recipe| (recipe.permissions.len(), recipe.max_nudges));
        all
    }

    /// The recipe of this name or alias, however it is spaced and cased.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<&'static Self, UnknownRecipe> {
        let plain = name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
        let dashed = plain.replace(['_', ' '], "-");
        let is_it = |one: &&Self| one.name == dashed || one.aliases.contains(&plain);
        Self::all().iter().find(is_it).ok_or_else(|| UnknownRecipe { name: name.to_owned() })
    }

    /// The terms it sets. What it says nothing about stays as it is in `before`.
    #[must_use]
    pub fn terms(&self, before: &Terms) -> Terms {
        Terms {
            acceptance_criteria: self.acceptance.clone(),
            epilogues: self.epilogues.clone(),
            evidence_gates: self.evidence_gates.clone(),
            guidelines: self.guidelines.clone(),
            nudge_on_completion: before.nudge_on_completion,
            objective: Some(self.objective.clone()),
            permissions: self.permissions.iter().copied().collect(),
            recipe_name: Some(self.name.clone()),
            reference_paths: before.reference_paths.clone(),
            require_acks: before.require_acks,
            supervision_mode: self.mode,
            tools: self.tools.clone(),
        }
    }

    /// What somebody has to confirm: these terms, under this recipe.
    #[must_use]
    pub fn locked_summary(&self, terms: &Terms, max_nudges: Option<u64>, confirmed: &str) -> String {
        let list = |items: &[String]| if items.is_empty() { "none".to_owned() } else { items.join("; ") };
        let epilogues: Vec<String> = terms.epilogues.iter().map(Epilogue::to_string).collect();
        let most = max_nudges.map_or_else(|| "no limit".to_owned(), |most| most.to_string());
        [
            ("Selected recipe", format!("{} ({})", self.display_name, self.name)),
            ("Mode", terms.supervision_mode.to_string()),
            ("Permissions", terms.permissions.to_string()),
            ("Tools", list(&terms.tools)),
            ("Epilogues", list(&epilogues)),
            ("Nudges", most),
            ("Cleanup", self.cleanup.clone()),
            ("Evidence gates", list(&terms.evidence_gates)),
            ("Final report", list(&self.final_report_requirements)),
            ("Not allowed", list(&self.disallowed_actions)),
            ("User confirmed", confirmed.to_owned()),
        ]
        .map(|(name, value)| format!("{name}: {value}"))
        .join("\n")
    }

    /// The words of a command that sets the same terms one by one.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let mut permissions: Permissions = self.permissions.iter().copied().collect();
        let mut words = ["conveyor", "manager-config", "<task>"].map(str::to_owned).to_vec();
        let mut option = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
        option("--mode", self.mode.as_str());
        option("--objective", &self.objective);
        self.guidelines.iter().for_each(|text| option("--guideline", text));
        self.acceptance.iter().for_each(|text| option("--acceptance", text));
        for (flag, stands_for) in Permission::SHORTHANDS {
            if stands_for.iter().all(|one| permissions.holds(*one)) {
                permissions.revoke(stands_for);
                words.push((*flag).to_owned());
            }
        }
        let mut option = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
        permissions.iter().for_each(|one| option("--permit", one.as_str()));
        self.tools.iter().for_each(|tool| option("--tool", tool));
        self.epilogues.iter().for_each(|step| option("--epilogue", step.as_str()));
        words
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_recipe_is_read_and_found_by_each_of_its_names() {
        let names: Vec<_> = Recipe::all().iter().map(|one| &*one.name).collect();
        assert_eq!(names.len(), 7);
        assert!(names.is_sorted());
        let mut seen = BTreeSet::new();
        for recipe in Recipe::all() {
            let upper = recipe.name.to_uppercase().replace('-', "_");
            for name in recipe.aliases.iter().chain([&recipe.name]) {
                assert!(seen.insert(name.clone()), "{name} stands for two recipes");
                assert_eq!(Recipe::named(name), Ok(recipe), "{name}");
                assert_eq!(Recipe::named(&format!("  {} ", name.to_uppercase())), Ok(recipe), "{name}");
            }
            assert_eq!(Recipe::named(&upper), Ok(recipe), "{upper}");
        }
        assert!(
            Recipe::named("no such recipe").unwrap_err().to_string().ends_with("test-coverage-loop, ux-polish-loop")
        );
    }

    #[test]
    fn no_recipe_grants_what_would_end_a_turn_or_a_session() {
        for recipe in Recipe::all() {
            for one in [Permission::Interrupt, Permission::Stop] {
                assert!(!recipe.permissions.contains(&one), "{}", recipe.name);
            }
        }
    }
}
