//! Opens the cockpit over the real ledger, with the background tasks beside it.

use crate::{
    actions::{self, Command, Context, Deliveries, Report, TalkQuery},
    base::Result,
    engine::{Dispatching, Engine},
    model::{
        board::{Board, EventRow},
        conversation::Entry,
        family::AgentView,
    },
    tui::{self, Backend, EventQuery, Explanation, Options, PaneText, theme::ThemeName},
};

/// How the cockpit looks.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
pub struct CockpitArgs {
    /// Theme: dark, light, high-contrast, colour-blind or mono; without it the terminal decides
    #[arg(long, value_name = "NAME", help_heading = "Cockpit")]
    pub theme: Option<ThemeName>,
    /// Draw with ASCII only
    #[arg(long, help_heading = "Cockpit")]
    pub ascii: bool,
    /// Leave the mouse to the terminal; `M` switches
    #[arg(long, help_heading = "Cockpit")]
    pub no_mouse: bool,
    /// Only watch: leave delivery to other dispatchers
    #[arg(long, help_heading = "Cockpit")]
    pub no_dispatch: bool,
}

/// Runs the cockpit until the operator leaves.
pub(super) fn run(cx: &Context, args: &CockpitArgs, prefix: Vec<String>) -> Result<u8> {
    // The engine writes while the screens read.
    let cx = cx.clone().with_reader();
    let engine_context = cx.clone();
    let dispatching = (!args.no_dispatch).then(Dispatching::hosted);
    let options = Options {
        theme: args.theme,
        ascii: args.ascii,
        mouse: !args.no_mouse,
        prefix,
        clock: cx.clock(),
        start: Some(Box::new(move |runtime| Engine::start(&engine_context, runtime, dispatching))),
    };
    tui::run(Live(cx), options)
}

/// The screens' questions, answered by the actions.
struct Live(Context);

impl Backend for Live {
    fn board(&self) -> Result<Board> {
        actions::board(&self.0)
    }

    fn deliveries(&self, watched: Option<&str>) -> Result<Deliveries> {
        actions::deliveries(&self.0, watched)
    }

    fn events(&self, session_id: &str, query: EventQuery) -> Result<Vec<EventRow>> {
        let EventQuery { before, text, kinds, limit } = query;
        actions::event_page(&self.0, session_id, &actions::EventQuery { before, text, kinds, limit })
    }

    fn conversation(&self, session_id: &str, query: TalkQuery) -> Result<Vec<Entry>> {
        actions::conversation(&self.0, session_id, query)
    }

    fn agents(&self, session_id: &str) -> Result<Vec<AgentView>> {
        actions::sub_agents(&self.0, session_id)
    }

    fn pane(&self, session_id: &str) -> Result<Option<PaneText>> {
        let seen = actions::pane_text(&self.0, session_id)?;
        Ok(seen.map(|actions::PaneText { picture, captured_at, note }| PaneText {
            picture,
            captured_at,
            note: note.map(str::to_owned),
        }))
    }

    fn explain(&self, session_id: &str) -> Result<Explanation> {
        let explained = actions::explanation(&self.0, session_id)?;
        let asks = explained.question_lines().into_iter().map(|line| format!("asks     {line}"));
        let lines = asks.chain(explained.proof_lines()).collect();
        Ok(Explanation { lines, judgement: explained.judgement })
    }

    fn questions(&self, session_id: &str) -> Result<Vec<actions::QuestionView>> {
        actions::open_questions(&self.0, session_id)
    }

    fn unregistered(&self) -> Result<actions::Unregistered> {
        actions::unregistered(&self.0)
    }

    fn attach(&self, session_id: &str) -> Result<Vec<String>> {
        actions::attach_argv(&self.0, session_id)
    }

    fn submit(&self, command: Command) -> Result<Report> {
        command.run(&self.0)
    }
}
