//! `manager-recipes`: the terms that are ready to be chosen.

use std::fmt;

use serde::Serialize;

use crate::{
    actions::{Action, Argv, Context, Outcome},
    base::{Error, Result},
    model::supervision::{Epilogue, Mode, Permission, Recipe},
};

/// List the recipes for managers, or show one
///
/// A recipe is a set of terms that fit together; `manager-config TASK --recipe NAME` takes them.
///
/// Example: `conveyor manager-recipes --show "ship it"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[group(required = true, multiple = false)]
pub struct ManagerRecipes {
    /// List them
    #[arg(long)]
    pub list: bool,
    /// Show the one of this name or alias
    #[arg(long, value_name = "RECIPE", allow_hyphen_values = true)]
    pub show: Option<String>,
}

/// The recipes.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Recipes {
    /// All.
    All {
        /// Each.
        recipes: Vec<RecipeView>,
    },
    /// One.
    One {
        /// It.
        recipe: Box<RecipeView>,
    },
}

/// A recipe as printed.
#[derive(Debug, Serialize)]
pub struct RecipeView {
    acceptance: &'static [String],
    aliases: &'static [String],
    cleanup: &'static str,
    description: &'static str,
    disallowed_actions: &'static [String],
    display_name: &'static str,
    epilogues: &'static [Epilogue],
    evidence_gates: &'static [String],
    final_report_requirements: &'static [String],
    guidelines: &'static [String],
    locked_summary_template: String,
    loop_template: Option<&'static str>,
    manager_config_command: Vec<String>,
    max_nudges: u32,
    mode: Mode,
    name: &'static str,
    objective: &'static str,
    permissions: &'static [Permission],
    stop_conditions: &'static [String],
    support_patterns: &'static [String],
    tools: &'static [String],
}

impl Action for ManagerRecipes {
    const NAME: &'static str = "manager-recipes";
    type Output = Recipes;

    fn run(self, _: &Context) -> Result<Recipes> {
        let Some(name) = self.show else {
            return Ok(Recipes::All { recipes: Recipe::all().iter().map(view).collect() });
        };
        let recipe = Recipe::named(&name).map_err(|error| {
            Error::usage(error.to_string()).hint("`conveyor manager-recipes --list` tells what each allows")
        })?;
        Ok(Recipes::One { recipe: Box::new(view(recipe)) })
    }

    fn argv(&self) -> Argv {
        let Self { list, show } = self;
        Argv::new(Self::NAME).switch("--list", *list).option("--show", show.as_ref())
    }
}

fn view(recipe: &'static Recipe) -> RecipeView {
    let terms = recipe.terms(&Default::default());
    let most = Some(u64::from(recipe.max_nudges));
    RecipeView {
        acceptance: &recipe.acceptance,
        aliases: &recipe.aliases,
        cleanup: &recipe.cleanup,
        description: &recipe.description,
        disallowed_actions: &recipe.disallowed_actions,
        display_name: &recipe.display_name,
        epilogues: &recipe.epilogues,
        evidence_gates: &recipe.evidence_gates,
        final_report_requirements: &recipe.final_report_requirements,
        guidelines: &recipe.guidelines,
        locked_summary_template: recipe.locked_summary(&terms, most, "<yes|no>"),
        loop_template: recipe.loop_template.as_deref(),
        manager_config_command: recipe.command(),
        max_nudges: recipe.max_nudges,
        mode: recipe.mode,
        name: &recipe.name,
        objective: &recipe.objective,
        permissions: &recipe.permissions,
        stop_conditions: &recipe.stop_conditions,
        support_patterns: &recipe.support_patterns,
        tools: &recipe.tools,
    }
}

impl Outcome for Recipes {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::All { recipes } => {
                // Those first that allow least, as the form offers them.
                let place = |name: &str| Recipe::by_allowance().iter().position(|one| one.name == name);
                let mut recipes: Vec<_> = recipes.iter().collect();
                recipes.sort_by_key(|recipe| place(recipe.name));
                for recipe in recipes {
                    let template = recipe.loop_template.map(|name| format!(" loop={name}")).unwrap_or_default();
                    writeln!(out, "{}\tmode={}{template}\t{}", recipe.name, recipe.mode, recipe.description)?;
                }
                Ok(())
            }
            Self::One { recipe } => {
                writeln!(out, "{}", recipe.locked_summary_template)?;
                writeln!(out, "{}", shell_words::join(&recipe.manager_config_command))?;
                recipe.loop_template.iter().try_for_each(|name| writeln!(out, "loop template: {name}"))
            }
        }
    }
}
