//! What can be said about the terms of a manager on a command line, and the terms that it comes to.

use serde_json::{Map, Value};

use crate::{
    actions::Argv,
    base::{Error, Result, text},
    model::supervision::{
        CUSTOM, Epilogue, Mode, NudgeOnCompletion, Permission, Permissions, PermissionsFault, Recipe, Terms,
    },
    text_enum,
};

/// The longest entry of a list, in characters.
const MAX_ENTRY: usize = 2_000;
/// The longest objective, in characters.
const MAX_OBJECTIVE: usize = 20_000;
/// Entries of a list.
const MAX_ENTRIES: usize = 100;

/// What is set.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
pub struct TermArgs {
    /// How closely it supervises: light, guided or strict
    #[arg(long, value_name = "MODE")]
    pub mode: Option<Mode>,
    /// Take the terms of a recipe (see `manager-recipes --list`); `custom` takes none. Other flags win over it
    #[arg(long, value_name = "RECIPE", allow_hyphen_values = true)]
    pub recipe: Option<String>,
    /// What the supervision is for
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub objective: Option<String>,
    /// How the manager is to work; may be given several times, and replaces the list
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub guideline: Vec<String>,
    /// What the worker has to deliver; may be given several times, and replaces the list
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub acceptance: Vec<String>,
    /// What the manager should have read; may be given several times, and replaces the list
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub reference: Vec<String>,
    /// Allow something: `category.action`, or an older name; may be given several times
    #[arg(long, value_name = "PERMISSION", allow_hyphen_values = true)]
    pub permit: Vec<String>,
    /// Allow repo.open_pr
    #[arg(long)]
    pub allow_pr: bool,
    /// Allow repo.merge_green_pr
    #[arg(long)]
    pub allow_merge_green: bool,
    /// Allow worker_session.compact and worker_session.clear
    #[arg(long)]
    pub allow_worker_compact_clear: bool,
    /// Permissions as an object: a category with the list of what is allowed of it, or a name with true or false
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub permissions_json: Option<String>,
    /// What the manager works with; may be given several times, and replaces the list
    #[arg(long, value_name = "TOOL", allow_hyphen_values = true)]
    pub tool: Vec<String>,
    /// A closing step: run-tools, draft-pr, subagent-review or record-handoff; replaces the list
    #[arg(long, value_name = "STEP")]
    pub epilogue: Vec<Epilogue>,
    /// What follows when the worker has finished: off, ask-operator, auto-review or auto-proceed
    #[arg(long, value_name = "POLICY")]
    pub nudge_on_completion: Option<NudgeOnCompletion>,
    /// Worker and manager have to acknowledge these terms before anything is observed
    #[arg(long)]
    pub require_acks: bool,
}

text_enum! {
    /// What can be put back to how it is without any config; the names are those of the flags.
    pub enum Setting {
        /// The list of acceptance texts.
        Acceptance => "acceptance",
        /// The closing steps.
        Epilogue => "epilogue",
        /// The guidelines.
        Guideline => "guideline",
        /// The limit of nudges.
        MaxNudges => "max-nudges",
        /// The mode.
        Mode => "mode",
        /// What follows when the worker has finished.
        NudgeOnCompletion => "nudge-on-completion",
        /// The objective.
        Objective => "objective",
        /// Every permission.
        Permit => "permit",
        /// The recipe, with its evidence gates.
        Recipe => "recipe",
        /// The references.
        Reference => "reference",
        /// Whether acknowledgements are required.
        RequireAcks => "require-acks",
        /// The tools.
        Tool => "tool",
    }
}

impl TermArgs {
    /// Nothing is set.
    pub(in crate::actions) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The recipe that is chosen.
    pub(in crate::actions) fn recipe(&self) -> Result<Option<&'static Recipe>> {
        let Some(name) = self.recipe.as_deref().filter(|name| !name.trim().eq_ignore_ascii_case(CUSTOM)) else {
            return Ok(None);
        };
        let found = Recipe::named(name).map_err(|error| {
            Error::usage(error.to_string()).hint("`conveyor manager-recipes --list` tells what each is for")
        })?;
        Ok(Some(found))
    }

    /// The terms that come of `before`: what is unset first, then the recipe, then everything else that is set.
    pub(in crate::actions) fn applied_to(&self, before: &Terms, unset: &[Setting]) -> Result<Terms> {
        let Self {
            mode,
            recipe,
            objective,
            guideline,
            acceptance,
            reference,
            permit,
            allow_pr,
            allow_merge_green,
            allow_worker_compact_clear,
            permissions_json,
            tool,
            epilogue,
            nudge_on_completion,
            require_acks,
        } = self;
        let mut terms = before.clone();
        unset.iter().for_each(|setting| put_back(&mut terms, *setting));
        match self.recipe()? {
            Some(recipe) => terms = recipe.terms(&terms),
            None if recipe.is_some() => put_back(&mut terms, Setting::Recipe),
            None => {}
        }
        if let Some(mode) = mode {
            terms.supervision_mode = *mode;
        }
        if let Some(objective) = objective {
            terms.objective = Some(entry("--objective", objective, MAX_OBJECTIVE)?);
        }
        let lists = [
            ("--guideline", guideline, &mut terms.guidelines),
            ("--acceptance", acceptance, &mut terms.acceptance_criteria),
            ("--reference", reference, &mut terms.reference_paths),
            ("--tool", tool, &mut terms.tools),
        ];
        for (flag, given, list) in lists.into_iter().filter(|(_, given, _)| !given.is_empty()) {
            *list = entries(flag, given)?;
        }
        if !epilogue.is_empty() {
            terms.epilogues = once(epilogue);
        }
        if let Some(policy) = nudge_on_completion {
            terms.nudge_on_completion = *policy;
        }
        terms.require_acks |= require_acks;
        let shorthands = [allow_pr, allow_merge_green, allow_worker_compact_clear];
        for (_, (_, stands_for)) in shorthands.into_iter().zip(Permission::SHORTHANDS).filter(|(given, _)| **given) {
            terms.permissions.grant(stands_for.iter().copied());
        }
        for name in permit {
            let named = Permission::named(name.trim()).map_err(PermissionsFault::from);
            terms.permissions.grant(named.map_err(refused)?);
        }
        if let Some(json) = permissions_json {
            terms.permissions.apply(&object(json)?).map_err(refused)?;
        }
        Ok(terms)
    }

    /// The flags, each behind `prefix`.
    pub(in crate::actions) fn words(&self, argv: Argv, prefix: &str) -> Argv {
        let Self {
            mode,
            recipe,
            objective,
            guideline,
            acceptance,
            reference,
            permit,
            allow_pr,
            allow_merge_green,
            allow_worker_compact_clear,
            permissions_json,
            tool,
            epilogue,
            nudge_on_completion,
            require_acks,
        } = self;
        let flag = |name: &str| format!("{prefix}{name}");
        let mut argv = argv
            .option(&flag("mode"), *mode)
            .option(&flag("recipe"), recipe.as_ref())
            .option(&flag("objective"), objective.as_ref());
        let lists =
            [("guideline", guideline), ("acceptance", acceptance), ("reference", reference), ("permit", permit)];
        for (name, list) in lists {
            argv = list.iter().fold(argv, |argv, text| argv.option(&flag(name), Some(text)));
        }
        argv = argv
            .switch(&flag("allow-pr"), *allow_pr)
            .switch(&flag("allow-merge-green"), *allow_merge_green)
            .switch(&flag("allow-worker-compact-clear"), *allow_worker_compact_clear)
            .option(&flag("permissions-json"), permissions_json.as_ref());
        argv = tool.iter().fold(argv, |argv, tool| argv.option(&flag("tool"), Some(tool)));
        argv = epilogue.iter().fold(argv, |argv, step| argv.option(&flag("epilogue"), Some(step)));
        argv.option(&flag("nudge-on-completion"), *nudge_on_completion).switch(&flag("require-acks"), *require_acks)
    }
}

fn put_back(terms: &mut Terms, setting: Setting) {
    let plain = Terms::default();
    match setting {
        Setting::Acceptance => terms.acceptance_criteria = plain.acceptance_criteria,
        Setting::Epilogue => terms.epilogues = plain.epilogues,
        Setting::Guideline => terms.guidelines = plain.guidelines,
        // It is no term; its own table holds it.
        Setting::MaxNudges => {}
        Setting::Mode => terms.supervision_mode = plain.supervision_mode,
        Setting::NudgeOnCompletion => terms.nudge_on_completion = plain.nudge_on_completion,
        Setting::Objective => terms.objective = plain.objective,
        Setting::Permit => terms.permissions = plain.permissions,
        Setting::Recipe => {
            terms.recipe_name = plain.recipe_name;
            terms.evidence_gates = plain.evidence_gates;
        }
        Setting::Reference => terms.reference_paths = plain.reference_paths,
        Setting::RequireAcks => terms.require_acks = plain.require_acks,
        Setting::Tool => terms.tools = plain.tools,
    }
}

/// One text, cleaned.
fn entry(flag: &str, given: &str, most: usize) -> Result<String> {
    let clean = text::clean(given.trim());
    if clean.is_empty() {
        return Err(Error::usage(format!("{flag} must not be empty"))
            .hint(format!("`--unset {}` puts it back", flag.trim_start_matches('-'))));
    }
    if clean.chars().count() > most {
        return Err(Error::usage(format!("{flag} has more than {most} characters")));
    }
    Ok(clean)
}

/// A list, each entry once.
pub(super) fn entries(flag: &str, given: &[String]) -> Result<Vec<String>> {
    if given.len() > MAX_ENTRIES {
        return Err(Error::usage(format!("{flag} was given more than {MAX_ENTRIES} times")));
    }
    let clean = given.iter().map(|text| entry(flag, text, MAX_ENTRY)).collect::<Result<Vec<_>>>()?;
    Ok(once(&clean))
}

/// Each once, in the order in which they came first.
fn once<T: PartialEq + Clone>(given: &[T]) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for one in given {
        if !kept.contains(one) {
            kept.push(one.clone());
        }
    }
    kept
}

/// A JSON object that was given as a word.
fn object(json: &str) -> Result<Map<String, Value>> {
    let wrong = |why: String| Error::usage(format!("--permissions-json must be a JSON object{why}"));
    match serde_json::from_str(json).map_err(|error| wrong(format!(": {error}")))? {
        Value::Object(object) => Ok(object),
        _ => Err(wrong(String::new())),
    }
}

/// A permission that does not exist, with the one that was perhaps meant.
pub(in crate::actions) fn refused(fault: PermissionsFault) -> Error {
    let all = || Permission::ALL.iter().copied().collect::<Permissions>().to_string();
    let hint = match &fault {
        PermissionsFault::Unknown(unknown) => match unknown.nearest {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => format!("there are: {}", all()),
        },
        PermissionsFault::NoList(category) | PermissionsFault::NoName(category) => {
            format!("write it as {{\"{category}\": [\"ACTION\", ...]}}; there are: {}", all())
        }
    };
    Error::usage(fault.to_string()).hint(hint)
}
