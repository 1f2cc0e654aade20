//! `create` and `start-test`: workers whose first message says how to work under supervision.

use super::{LaunchArgs, prompt, start::start, started::Started};
use crate::{
    actions::{Action, Argv, Context, TextArg},
    base::{Name, Result},
    model::session::Role,
};

/// Start a worker whose first message says how to work under supervision
///
/// As `start-worker`; the message tells it to report through `update-status`.
///
/// Example: `conveyor create w1 --task "Make the parser accept every recorded file"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Create {
    /// Name of the worker
    #[arg(value_name = "NAME")]
    pub name: Name,
    /// What is to be done; `-` reads standard input
    #[arg(long, value_name = "TEXT")]
    pub task: Option<TextArg>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub launch: LaunchArgs,
}

impl Action for Create {
    const NAME: &'static str = "create";
    const OPENS_SESSIONS: bool = true;
    type Output = Started;

    fn run(self, cx: &Context) -> Result<Started> {
        let task = match &self.task {
            Some(text) => prompt::first_message(text)?,
            None => "Wait for instructions.".to_owned(),
        };
        let mut plan = self.launch.plan(cx, self.name.as_str());
        plan.prompt = Some(prompt::contract(cx, self.name.as_str(), &task));
        start(cx, plan, Role::Worker, self.name.as_str(), Self::NAME)
    }

    fn argv(&self) -> Argv {
        let Self { name, task, launch } = self;
        launch.argv(Argv::new(Self::NAME).text("--task", task.as_ref())).end_of_options().word(name)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.task.iter_mut().collect()
    }
}

/// Start a worker that only proves that everything works
///
/// It reads the README, reports one status and changes nothing.
///
/// Example: `conveyor start-test --accept-trust`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct StartTest {
    /// Name of the worker
    #[arg(value_name = "NAME", default_value = "live-test")]
    pub name: Name,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub launch: LaunchArgs,
}

impl Action for StartTest {
    const NAME: &'static str = "start-test";
    const OPENS_SESSIONS: bool = true;
    type Output = Started;

    fn run(self, cx: &Context) -> Result<Started> {
        let mut plan = self.launch.plan(cx, self.name.as_str());
        plan.prompt =
            Some(prompt::contract(cx, self.name.as_str(), include_str!("../../../assets/start-test.md").trim()));
        start(cx, plan, Role::Worker, self.name.as_str(), Self::NAME)
    }

    fn argv(&self) -> Argv {
        let Self { name, launch } = self;
        launch.argv(Argv::new(Self::NAME)).end_of_options().word(name)
    }
}
