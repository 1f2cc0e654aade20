//! `tasks`: record and list units of work.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::{Action, Argv, Context, Outcome, TextArg};
use crate::{
    base::{Error, Name, Result, text},
    model::{
        board::TaskRow,
        filter::Filter,
        marks::MarksView,
        task::{Task, TaskState},
    },
    store::{self, Write, audit, budgets::Budget},
};

/// The longest goal, in characters.
const MAX_GOAL: usize = 20_000;

/// List tasks, or record a new one
///
/// Without `--create` the tasks are listed, the oldest first.
///
/// Example: `conveyor tasks --create parser --goal "The parser accepts every recorded file"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Tasks {
    /// Record a task with this name
    #[arg(long, value_name = "NAME", requires = "goal")]
    pub create: Option<Name>,
    /// What is to be achieved; `-` reads standard input
    #[arg(long, value_name = "TEXT", requires = "create")]
    pub goal: Option<TextArg>,
    /// A longer description; `-` reads standard input
    #[arg(long, value_name = "TEXT", requires = "create")]
    pub summary: Option<TextArg>,
    /// List only tasks that have not ended
    #[arg(long, conflicts_with = "create")]
    pub active: bool,
    /// List only what matches, in the filter language: "state:managed age>2h is:pinned"
    #[arg(long, value_name = "FILTER", value_parser = Filter::of_tasks, conflicts_with = "create")]
    pub filter: Option<Filter>,
}

/// What `tasks` did.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum TasksOutput {
    /// A task was recorded.
    Created {
        /// Always true.
        created: bool,
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// True when nothing was written.
        dry_run: bool,
        /// The newest task of this name that has ended; none when there is none. Its name means the new one from now on.
        earlier: Option<Earlier>,
    },
    /// The tasks.
    List(Vec<TaskView>),
}

/// An ended task whose name a new one takes.
#[derive(Debug, Serialize)]
pub struct Earlier {
    /// Its id, which still names it.
    id: String,
    /// Where it stands.
    state: TaskState,
    #[serde(skip)]
    word: &'static str,
}

/// A task as printed.
#[derive(Debug, Serialize)]
pub struct TaskView {
    #[serde(flatten)]
    task: Task,
    /// The limit of messages to its worker; none is no limit.
    budget: Option<Budget>,
    /// What the operator has put on it.
    marks: MarksView,
}

impl Action for Tasks {
    const NAME: &'static str = "tasks";
    type Output = TasksOutput;

    fn run(self, cx: &Context) -> Result<TasksOutput> {
        match self.create {
            Some(name) => {
                let goal = self.goal.ok_or_else(|| Error::usage("--goal is required with tasks --create"))?;
                create(cx, &name, goal.get()?, self.summary.as_ref().map(TextArg::get).transpose()?)
            }
            None => {
                let now = cx.now();
                let filter = self.filter.unwrap_or_default();
                let tasks = cx.ledger()?.read(|r| {
                    let tasks = store::board::tasks(r, now)?.into_iter();
                    let wanted =
                        tasks.filter(|row| (!self.active || row.task.state.is_open()) && filter.matches_task(row, now));
                    let view = |row: TaskRow| {
                        let TaskRow { task, marks, .. } = row;
                        Ok(TaskView { budget: store::budgets::of_task(r, &task.id)?, task, marks })
                    };
                    wanted.map(view).collect::<Result<_, store::Error>>()
                })?;
                Ok(TasksOutput::List(tasks))
            }
        }
    }

    fn argv(&self) -> Argv {
        let Self { create, goal, summary, active, filter } = self;
        Argv::new(Self::NAME)
            .option("--create", create.as_ref())
            .text("--goal", goal.as_ref())
            .text("--summary", summary.as_ref())
            .switch("--active", *active)
            .option("--filter", filter.as_ref())
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.goal.iter_mut().chain(self.summary.iter_mut()).collect()
    }
}

fn create(cx: &Context, name: &Name, goal: &str, summary: Option<&str>) -> Result<TasksOutput> {
    let task = new(cx, name, goal, summary)?;
    let earlier = cx.ledger_or_create()?.write(|w| {
        let earlier = store::tasks::find(w.read(), &task.name)?.filter(|earlier| !earlier.state.is_open());
        record(cx, w, &task)?;
        Ok::<_, Error>(earlier)
    })?;
    let earlier = earlier.map(|task| Earlier { word: task.word(), id: task.id, state: task.state });
    Ok(TasksOutput::Created { created: true, id: task.id, name: task.name, dry_run: cx.dry_run(), earlier })
}

/// A task to be recorded, its texts checked.
pub(super) fn new(cx: &Context, name: &Name, goal: &str, summary: Option<&str>) -> Result<Task> {
    let goal = text::clean(goal.trim());
    if goal.is_empty() {
        return Err(Error::usage("the goal must not be empty"));
    }
    if goal.chars().count() > MAX_GOAL {
        return Err(Error::usage(format!("the goal has more than {MAX_GOAL} characters"))
            .hint("keep the goal short and put details into the worker's prompt"));
    }
    let now = cx.now();
    Ok(Task {
        id: cx.fresh_id("task"),
        name: name.to_string(),
        goal,
        summary: summary.map(|summary| text::clean(summary.trim())).filter(|summary| !summary.is_empty()),
        state: TaskState::Candidate,
        created_at: now,
        updated_at: now,
        end: None,
    })
}

/// Records a new task.
pub(super) fn record(cx: &Context, w: &Write<'_>, task: &Task) -> Result<()> {
    store::tasks::insert(w, task).map_err(|error| match error {
        store::Error::Unique(_) => Error::conflict(format!("an open task is already named \"{}\"", task.name))
            .hint("choose another name, or end that task first"),
        other => other.into(),
    })?;
    let about = audit::About { task_id: Some(&task.id), session_id: None };
    let payload = json!({"goal": task.goal, "name": task.name, "summary": task.summary});
    audit::append(w, task.created_at, cx.actor(), "task_created", about, &payload)?;
    Ok(())
}

impl Outcome for TasksOutput {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Created { id, name, dry_run, earlier, .. } => {
                let verb = if *dry_run { "would record" } else { "recorded" };
                writeln!(out, "{verb} task {name} ({id})")?;
                let Some(Earlier { id, word, .. }) = earlier else { return Ok(()) };
                writeln!(out, "an earlier task of this name is {word}; {name} means the new one now, {id} the earlier")
            }
            Self::List(tasks) => {
                for TaskView { task, .. } in tasks {
                    writeln!(out, "{}\t{}\t{}", task.name, task.word(), text::one_line(&task.goal))?;
                }
                Ok(())
            }
        }
    }
}
