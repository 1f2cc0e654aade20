//! `manager-config`: how a task's manager may supervise.
//!
//! A look writes nothing. What is set is checked as a whole before anything is written, and a session never loosens
//! the terms that it is held to.

use std::{fmt, str::FromStr};

use serde::Serialize;
use serde_json::json;

use super::{
    acceptance, continuation,
    programs::Programs,
    questions::{self, Questions},
    terms::{Setting, TermArgs},
};
use crate::{
    actions::{
        Action, Argv, Context, Format, Outcome,
        caller::{self, Origin},
        lookup,
    },
    base::{Error, Kind, Result, Timestamp},
    model::{
        supervision::{self, Recipe, Terms},
        task::Task,
    },
    store::{self, Read, Write, audit, budgets::Budget},
};

/// Show or change how a task's manager may supervise
///
/// Without a flag nothing is changed. A task that was never configured allows its manager nothing that needs a
/// permission. A recipe sets all terms at once: what it comes to is shown first, and stored with `--confirm`; without it
/// the exit code is 3. Nudges count from the moment the limit is set: when their delivery begins, and not when it is
/// proven that they did not arrive. A command that runs in a session may tighten the terms and not loosen them.
///
/// Example: `conveyor manager-config parser --mode strict --permit worker_session.compact --max-nudges 20`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct ManagerConfig {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub terms: Box<TermArgs>,
    /// Messages that the task's worker may be given in all; `none` lifts the limit
    #[arg(long, value_name = "COUNT")]
    pub max_nudges: Option<Limit>,
    /// Put back what this flag sets: mode, recipe, objective, guideline, acceptance, reference, permit, tool, epilogue,
    /// nudge-on-completion, require-acks or max-nudges; may be given several times, and comes before what is set
    #[arg(long, value_name = "FLAG")]
    pub unset: Vec<Setting>,
    /// Store what the recipe comes to: somebody has read it
    #[arg(long)]
    pub confirm: bool,
    /// Ask for the terms at this terminal, show what they come to, and store them after a yes
    #[arg(long, conflicts_with_all = ["confirm", "questions"])]
    pub interactive: bool,
    /// Print the questions that a configuration answers, and change nothing
    #[arg(long)]
    pub questions: bool,
}

/// A limit, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// At most so many.
    Most(u32),
    /// As many as are sent.
    None,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            number => number.parse().map(Self::Most).map_err(|_| "a number, or `none`".to_owned()),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Most(number) => number.fmt(f),
            Self::None => f.write_str("none"),
        }
    }
}

impl Limit {
    fn most(self) -> Option<u64> {
        match self {
            Self::Most(number) => Some(u64::from(number)),
            Self::None => None,
        }
    }
}

/// What `manager-config` prints.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Configured {
    /// The terms.
    Settings(Box<ManagerSettings>),
    /// What a configuration answers.
    Questions(Box<Questions>),
}

/// How the task's manager may supervise.
#[derive(Debug, Serialize)]
pub struct ManagerSettings {
    /// The limit of messages to the worker; none is no limit.
    budget: Option<Budget>,
    /// Something was changed.
    changed: bool,
    /// The terms that were changed.
    changes: Vec<&'static str>,
    /// Terms were set at some time; without any, nothing that needs a permission is allowed.
    configured: bool,
    /// What is to be confirmed before it is stored.
    confirmation: Option<Confirmation>,
    created_at: Option<Timestamp>,
    /// Nothing was stored.
    dry_run: bool,
    /// Grows with every change of the terms; 0 before the first.
    revision: u64,
    /// Name of the task.
    task: String,
    /// Its id.
    task_id: String,
    #[serde(flatten)]
    terms: Terms,
    updated_at: Option<Timestamp>,
}

/// Terms that wait for somebody's yes.
#[derive(Debug, Serialize)]
pub struct Confirmation {
    /// The terms that would be changed.
    changes: Vec<&'static str>,
    /// The command line that stores them.
    command: Vec<String>,
    /// What it comes to, in words.
    locked_summary: String,
    /// The limit of messages.
    max_nudges: Option<u64>,
    /// The terms.
    terms: Terms,
}

/// What is to be stored.
struct Wanted<'a> {
    terms: WantedTerms<'a>,
    /// The limit of nudges; none leaves it as it is.
    limit: Option<Option<u64>>,
}

enum WantedTerms<'a> {
    /// What these flags make of whatever is there.
    Flags(&'a TermArgs, &'a [Setting]),
    /// The second ones instead of the first ones, which somebody has read.
    Exactly(&'a Terms, &'a Terms),
}

impl WantedTerms<'_> {
    fn after(&self, before: &Terms) -> Result<Terms> {
        match self {
            Self::Flags(args, unset) => args.applied_to(before, unset),
            Self::Exactly(read, after) if *read == before => Ok((*after).clone()),
            Self::Exactly(..) => Err(Error::conflict("the terms were changed meanwhile: nothing was stored")),
        }
    }
}

/// How a task stands, and how it would.
struct Planned {
    task: Task,
    config: Option<supervision::ManagerConfig>,
    before: Terms,
    after: Terms,
    budget: Option<u64>,
    budget_after: Option<u64>,
}

impl Action for ManagerConfig {
    const NAME: &'static str = "manager-config";
    const FORMAT: Format = Format::Json;
    type Output = Configured;

    fn run(self, cx: &Context) -> Result<Configured> {
        if self.questions {
            if !self.is_look() {
                return Err(Error::usage("--questions changes nothing, and goes with no other flag"));
            }
            let (task, terms) = cx.ledger()?.read(|r| {
                let task = lookup::task(r, &self.task)?;
                let config = store::manager_configs::of_task(r, &task.id)?;
                Ok::<_, Error>((task, config.map(|config| config.terms).unwrap_or_default()))
            })?;
            return Ok(Configured::Questions(Box::new(Questions::of(&task, &terms))));
        }
        if self.interactive {
            return self.ask(cx);
        }
        let recipe = self.terms.recipe()?;
        let wanted = self.wanted(recipe);
        if self.is_look() {
            let shown = cx.ledger()?.read(|r| ManagerSettings::of(r, cx, &lookup::task(r, &self.task)?))?;
            return Ok(Configured::Settings(Box::new(shown)));
        }
        if let Some(recipe) = recipe
            && !self.confirm
        {
            let shown = cx.ledger()?.read(|r| {
                let planned = plan(r, &self.task, &wanted)?;
                let mut shown = ManagerSettings::of(r, cx, &planned.task)?;
                // What is so already needs nobody's word.
                if planned.is_change() {
                    shown.confirmation = Some(self.confirmation(recipe, &planned));
                }
                Ok::<_, Error>(shown)
            })?;
            return Ok(Configured::Settings(Box::new(shown)));
        }
        store_terms(cx, &self.task, &wanted).map(|settings| Configured::Settings(Box::new(settings)))
    }

    fn argv(&self) -> Argv {
        let Self { task, terms, max_nudges, unset, confirm, interactive, questions } = self;
        let argv = terms.words(Argv::new(Self::NAME), "--").option("--max-nudges", max_nudges.as_ref());
        unset
            .iter()
            .fold(argv, |argv, setting| argv.option("--unset", Some(setting)))
            .switch("--confirm", *confirm)
            .switch("--interactive", *interactive)
            .switch("--questions", *questions)
            .end_of_options()
            .word(task)
    }
}

impl ManagerConfig {
    fn is_look(&self) -> bool {
        self.terms.is_empty() && self.max_nudges.is_none() && self.unset.is_empty()
    }

    fn wanted(&self, recipe: Option<&Recipe>) -> Wanted<'_> {
        let unset = self.unset.contains(&Setting::MaxNudges).then_some(None);
        let of_recipe = recipe.map(|recipe| Some(u64::from(recipe.max_nudges)));
        let limit = self.max_nudges.map(Limit::most).or(of_recipe).or(unset);
        Wanted { terms: WantedTerms::Flags(&self.terms, &self.unset), limit }
    }

    fn confirmation(&self, recipe: &Recipe, planned: &Planned) -> Confirmation {
        let confirmed = Self { confirm: true, ..self.clone() };
        Confirmation {
            changes: planned.changes(),
            command: [vec!["conveyor".to_owned()], confirmed.argv().words].concat(),
            locked_summary: recipe.locked_summary(&planned.after, planned.budget_after, "no"),
            max_nudges: planned.budget_after,
            terms: planned.after.clone(),
        }
    }

    /// Asks a person for the terms.
    fn ask(self, cx: &Context) -> Result<Configured> {
        let recipe = self.terms.recipe()?;
        let wanted = self.wanted(recipe);
        let planned = cx.ledger()?.read(|r| plan(r, &self.task, &wanted))?;
        let mut terminal = questions::terminal()?;
        let after = questions::ask(&mut terminal, &planned.task, &planned.after)?;
        let summary = questions::summary(&after, planned.budget_after, recipe);
        let wanted = Wanted { terms: WantedTerms::Exactly(&planned.before, &after), ..wanted };
        if !questions::confirmed(&mut terminal, &summary)? {
            return Err(Error::new(Kind::Blocked, "nothing was stored: it was not confirmed"));
        }
        store_terms(cx, &self.task, &wanted).map(|settings| Configured::Settings(Box::new(settings)))
    }
}

impl Planned {
    fn changes(&self) -> Vec<&'static str> {
        self.before.changes_to(&self.after)
    }

    fn is_change(&self) -> bool {
        self.before != self.after || self.budget != self.budget_after
    }

    /// Refuses what the origin of the command may not change.
    fn check(&self, origin: &Origin) -> Result<()> {
        let who = origin.words();
        match origin {
            Origin::Operator => return Ok(()),
            // A pair with the plain terms is opened below a Codex too.
            Origin::Hidden if !self.is_change() => {}
            _ if origin.may_be_worker() => {
                let what = origin.as_worker();
                return Err(Error::new(Kind::Blocked, format!("{who} {what}, and changes no terms")));
            }
            Origin::Session(_) | Origin::Hidden => {}
        }
        let mut loosened = self.before.loosened_by(&self.after);
        let is_more = match (self.budget, self.budget_after) {
            (Some(before), after) => after.is_none_or(|after| after > before),
            (None, _) => false,
        };
        loosened.extend(is_more.then_some("max_nudges"));
        if loosened.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            Kind::Blocked,
            format!("this command runs in {who}, and a session does not loosen its terms: {}", loosened.join(", ")),
        )
        .hint("ask the operator to run it, in a shell outside of every session"))
    }
}

/// What would come of it; nothing is written.
fn plan(r: Read<'_>, reference: &str, wanted: &Wanted<'_>) -> Result<Planned> {
    let task = lookup::task(r, reference)?;
    lookup::check_open(&task)?;
    let config = store::manager_configs::of_task(r, &task.id)?;
    let before = config.as_ref().map(|config| config.terms.clone()).unwrap_or_default();
    let after = wanted.terms.after(&before)?;
    let budget = store::budgets::of_task(r, &task.id)?.map(|budget| budget.max_nudges);
    Ok(Planned { task, config, before, after, budget, budget_after: wanted.limit.unwrap_or(budget) })
}

fn store_terms(cx: &Context, reference: &str, wanted: &Wanted<'_>) -> Result<ManagerSettings> {
    let store = cx.ledger_to_change()?;
    let origin = caller::origin(cx, &store)?;
    store.write_durably(|w| {
        let planned = plan(w.read(), reference, wanted)?;
        planned.check(&origin)?;
        let (changes, changed) = (planned.changes(), planned.is_change());
        if changed {
            write_down(cx, w, &origin, &planned, planned.before != planned.after, cx.now())?;
        }
        Programs::keep(cx, w, &origin, &planned.task.id)?;
        let settings = ManagerSettings::of(w.read(), cx, &planned.task)?;
        Ok(ManagerSettings { changed, changes, ..settings })
    })
}

/// What pairing a task comes to.
pub(in crate::actions) struct Seed {
    /// Terms are written: there were none, or something differs.
    pub(in crate::actions) is_written: bool,
    /// Both sides have to acknowledge them.
    pub(in crate::actions) requires_acks: bool,
}

fn seed_wanted(args: &TermArgs) -> Result<Wanted<'_>> {
    let limit = args.recipe()?.map(|recipe| Some(u64::from(recipe.max_nudges)));
    Ok(Wanted { terms: WantedTerms::Flags(args, &[]), limit })
}

/// What [`seed`] will do for a task that may not be on record yet; refuses what it would refuse.
pub(in crate::actions) fn seed_planned(cx: &Context, task: &Task, args: &TermArgs) -> Result<Seed> {
    let wanted = seed_wanted(args)?;
    let mut planned = Planned {
        task: task.clone(),
        config: None,
        before: Terms::default(),
        after: wanted.terms.after(&Terms::default())?,
        budget: None,
        budget_after: wanted.limit.flatten(),
    };
    if cx.env().ledger.exists() {
        let store = cx.ledger_or_create()?;
        if store.read(|r| store::tasks::find(r, &task.id))?.is_some() {
            planned = store.read(|r| plan(r, &task.id, &wanted))?;
        }
        planned.check(&caller::origin(cx, &store)?)?;
    }
    let is_written = planned.config.is_none() || planned.is_change();
    Ok(Seed { is_written, requires_acks: planned.after.require_acks })
}

/// Gives a task that is paired its terms: those on record, else the plain ones, with what the flags say, as they were
/// asked for at this time. Whether something was written, and how many criteria were added.
pub(in crate::actions) fn seed(
    cx: &Context,
    w: &Write<'_>,
    origin: &Origin,
    task: &Task,
    args: &TermArgs,
    asked_at: Timestamp,
) -> Result<(bool, usize)> {
    let planned = plan(w.read(), &task.id, &seed_wanted(args)?)?;
    planned.check(origin)?;
    let sets_terms = planned.config.is_none() || planned.before != planned.after;
    let is_written = sets_terms || planned.is_change();
    let criteria = if is_written { write_down(cx, w, origin, &planned, sets_terms, asked_at)? } else { 0 };
    Programs::keep(cx, w, origin, &task.id)?;
    Ok((is_written, criteria))
}

/// Stores what differs, and says so in the audit trail.
fn write_down(
    cx: &Context,
    w: &Write<'_>,
    origin: &Origin,
    planned: &Planned,
    sets_terms: bool,
    asked_at: Timestamp,
) -> Result<usize> {
    let Planned { task, config, before, after, budget, budget_after } = planned;
    let now = cx.now();
    if sets_terms {
        store::manager_configs::set(w, &task.id, after, Programs::kept(cx, origin), now)?;
    }
    if budget != budget_after {
        store::budgets::limit(w, &task.id, *budget_after)?;
    }
    if sets_terms {
        continuation::when_terms_change(cx, w, task, before, after)?;
    }
    // What the terms ask for are criteria like all others.
    let (was, is) = (&before.acceptance_criteria, &after.acceptance_criteria);
    let seeded = acceptance::seed(cx, w, origin, task, was, is, asked_at)?;
    let names =
        |list: &mut dyn Iterator<Item = supervision::Permission>| list.map(|one| one.as_str()).collect::<Vec<_>>();
    let old_revision = config.as_ref().map_or(0, |config| config.revision);
    let payload = json!({
        "acceptance_count": after.acceptance_criteria.len(),
        "criteria_seeded": seeded,
        "changes": planned.changes(),
        "epilogue_count": after.epilogues.len(),
        "granted": names(&mut after.permissions.beyond(&before.permissions)),
        "guideline_count": after.guidelines.len(),
        "max_nudges": budget_after,
        "nudge_on_completion": after.nudge_on_completion,
        "origin": origin.words(),
        "previous_max_nudges": budget,
        "previous_revision": old_revision,
        "recipe_name": after.recipe_name,
        "reference_count": after.reference_paths.len(),
        "require_acks": after.require_acks,
        "revision": old_revision + u64::from(sets_terms),
        "revoked": names(&mut before.permissions.beyond(&after.permissions)),
        "supervision_mode": after.supervision_mode,
        "tool_count": after.tools.len(),
    });
    let about = audit::About { task_id: Some(&task.id), session_id: None };
    audit::append(w, now, origin.actor(cx), "manager_config_recorded", about, &payload)?;
    Ok(seeded)
}

impl ManagerSettings {
    /// Whether terms were set at some time.
    pub(in crate::actions) fn is_configured(&self) -> bool {
        self.configured
    }

    /// How a task stands.
    pub(in crate::actions) fn of(r: Read<'_>, cx: &Context, task: &Task) -> Result<Self> {
        let config = store::manager_configs::of_task(r, &task.id)?;
        Ok(Self {
            budget: store::budgets::of_task(r, &task.id)?,
            changed: false,
            changes: Vec::new(),
            configured: config.is_some(),
            confirmation: None,
            created_at: config.as_ref().map(|config| config.created_at),
            dry_run: cx.dry_run(),
            revision: config.as_ref().map_or(0, |config| config.revision),
            task: task.name.clone(),
            task_id: task.id.clone(),
            updated_at: config.as_ref().map(|config| config.updated_at),
            terms: config.map(|config| config.terms).unwrap_or_default(),
        })
    }
}

impl Outcome for Configured {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Settings(settings) => settings.human(out),
            Self::Questions(questions) => questions.human(out),
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(settings) if settings.confirmation.is_some() => Kind::Blocked.exit_code(),
            Self::Settings(_) | Self::Questions(_) => 0,
        }
    }
}

impl ManagerSettings {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        if let Some(confirmation) = &self.confirmation {
            writeln!(out, "{}", confirmation.locked_summary)?;
            writeln!(out, "nothing was stored; to store it:")?;
            return writeln!(out, "{}", shell_words::join(&confirmation.command));
        }
        let would = if self.dry_run && self.changed { "would have " } else { "" };
        let Self { task, terms, revision, .. } = self;
        if *revision == 0 {
            writeln!(out, "{task}: {would}no terms yet: its manager may do nothing that needs a permission")?;
        } else {
            let recipe = terms.recipe_name.as_ref().map(|name| format!(", recipe {name}")).unwrap_or_default();
            let mode = terms.supervision_mode;
            writeln!(out, "{task}: {would}terms of revision {revision}, {mode}{recipe}")?;
            writeln!(out, "permissions: {}", terms.permissions)?;
            lines(out, "objective", terms.objective.as_slice())?;
            lines(out, "guideline", &terms.guidelines)?;
            lines(out, "acceptance", &terms.acceptance_criteria)?;
            lines(out, "reference", &terms.reference_paths)?;
            lines(out, "tool", &terms.tools)?;
            lines(out, "epilogue", &terms.epilogues)?;
            lines(out, "evidence gate", &terms.evidence_gates)?;
            let acks = if terms.require_acks { "required" } else { "not required" };
            writeln!(out, "when the worker has finished: {}; acknowledgements: {acks}", terms.nudge_on_completion)?;
        }
        match &self.budget {
            Some(budget) => writeln!(
                out,
                "{task}: {would}{} of {} nudges used, {} left",
                budget.nudges_used,
                budget.max_nudges,
                budget.nudges_remaining()
            ),
            None => writeln!(out, "{task}: {would}no limit of nudges"),
        }
    }
}

fn lines<T: fmt::Display>(out: &mut dyn fmt::Write, name: &str, items: &[T]) -> fmt::Result {
    items.iter().try_for_each(|item| writeln!(out, "{name}: {item}"))
}
