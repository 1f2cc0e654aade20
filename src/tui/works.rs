//! Which keys would do anything now.

use super::{
    acts::{self, Deed},
    answers,
    app::{App, Look, Screen},
    criteria, finish,
    form::{self, Subject, is_offered, selected_task},
    keymap::Intent,
    look, messages, operator, policy, record,
    screen::{doctor, fleet, selected_command},
};
use crate::model::{board::Board, delivery::Phase, question::Verdict, state::Condition, supervision::CriterionMove};

/// Whether a key would do anything on the screen now, whatever lies over it.
#[must_use]
pub fn works(app: &App, intent: Intent) -> bool {
    match intent {
        Intent::Explain | Intent::Diff | Intent::Events | Intent::Kinds | Intent::Follow | Intent::Jump => {
            app.session().is_some()
        }
        Intent::Unfold => look::can_unfold(app),
        Intent::NextEntry | Intent::PreviousEntry => look::can_choose(app),
        Intent::PanLeft | Intent::PanRight => look::can_pan(app),
        Intent::Attach => answers::session(app).is_some_and(|session| session.pane().is_some()),
        Intent::RawPane => app.session().is_some_and(|session| session.pane().is_some()),
        // Nobody works on a task that has ended, or that nobody is bound to.
        Intent::Cycle => selected_task(app).map_or(app.task_name().is_some(), |row| form::active(row).is_some()),
        Intent::Finish => finish::can_finish(app),
        Intent::Policy | Intent::Record => selected_task(app).is_some(),
        Intent::Judge
        | Intent::Propose
        | Intent::HaveJudged
        | Intent::WorkerAck
        | Intent::ManagerAck
        | Intent::Handoff
        | Intent::Decide => record::can(app, intent),
        Intent::Terms | Intent::Contract => policy::can_change(app),
        Intent::Yes => finish::takes_yes(app),
        Intent::Criteria => criteria::can_look(app),
        Intent::AddCriterion => finish::can_finish(app),
        Intent::AcceptCriterion => criteria::can(app, CriterionMove::Accept),
        Intent::SatisfyCriterion => criteria::can(app, CriterionMove::Satisfy),
        Intent::DeferCriterion => criteria::can(app, CriterionMove::Defer),
        Intent::RejectCriterion => criteria::can(app, CriterionMove::Reject),
        Intent::EndSaid => is_offered(app, Subject::FinishTask) && !finish::has_ended(app),
        Intent::StopTask => finish::was_looked_at(app) && !finish::has_ended(app),
        Intent::WithWorker | Intent::WithManager => !finish::is_in_the_way(app) && !finish::has_ended(app),
        Intent::Nudge => messages::addressees(app).is_ok(),
        Intent::Choose => app.session().is_some(),
        Intent::NewTask => is_offered(app, Subject::CreateTask),
        Intent::StartWorker => is_offered(app, Subject::StartWorker),
        Intent::Bind => is_offered(app, Subject::Bind),
        Intent::Compact => is_offered(app, Subject::Compact),
        Intent::Budget => is_offered(app, Subject::Budget),
        Intent::Resume => is_offered(app, Subject::Resume),
        Intent::Stop => acts::question(app, Deed::Stop).is_ok(),
        Intent::Unbind => acts::question(app, Deed::Unbind).is_ok(),
        Intent::Receipts => !app.receipts.list().is_empty(),
        Intent::Snooze | Intent::Pin => fleet::selected(app).is_some(),
        Intent::Unread => app.session().is_some_and(|row| !row.marks.unread),
        Intent::Gone => fleet::gone(app) > 0,
        Intent::Interrupt => answers::is_in(app, Condition::Busy),
        Intent::Approve => answers::takes(app, Verdict::Approve),
        Intent::Decline => answers::takes(app, Verdict::Decline),
        Intent::CancelTurn => answers::takes(app, Verdict::Cancel),
        Intent::Answer => answers::is_in(app, Condition::Blocked) || operator::is_answerable(app),
        Intent::Settle => operator::selected(app).is_some(),
        Intent::Retry => {
            selected_command(app).is_some_and(|row| row.phase.is_dead_letter() || row.phase == Phase::Ambiguous)
        }
        Intent::TakeBack => {
            selected_command(app).is_some_and(|row| matches!(row.phase, Phase::Queued | Phase::Ambiguous))
        }
        Intent::Arrived => selected_command(app).is_some_and(|row| row.phase == Phase::Ambiguous),
        Intent::Pause => messages::takes_pause(app),
        Intent::Inbox | Intent::Dispatch => app.board().is_some(),
        Intent::Doctor => true,
        Intent::Adopt => is_offered(app, Subject::Adopt),
        Intent::Open => match app.screen {
            Screen::Fleet => app.fleet.list.id.is_some() && app.fleet.look != Look::Full,
            Screen::Task | Screen::Inbox => app.session().is_some(),
            Screen::Dispatch => app.dispatch.view.list.id.is_some() && !app.dispatch.view.whole,
            Screen::Doctor => doctor::repair(app).is_some(),
            Screen::Events => app.events.selected_row().is_some(),
        },
        Intent::NextNeed | Intent::PreviousNeed => {
            let wants = |board: &Board| board.sessions.iter().any(|row| row.wants_look(app.now));
            app.board().is_some_and(wants) || !operator::questions(app).is_empty()
        }
        Intent::Task => app.board().is_some_and(|board| !board.tasks.is_empty()),
        Intent::Back => match app.screen {
            Screen::Fleet => {
                app.fleet.look != Look::List || !app.filter_text.is_empty() || !app.fleet.chosen.is_empty()
            }
            Screen::Task | Screen::Events | Screen::Inbox | Screen::Dispatch | Screen::Doctor => true,
        },
        Intent::Filter => app.board().is_some() && app.screen != Screen::Doctor,
        Intent::Copy | Intent::Mouse | Intent::NextPane | Intent::Fleet => app.board().is_some(),
        Intent::Down
        | Intent::Up
        | Intent::Top
        | Intent::Bottom
        | Intent::PageDown
        | Intent::PageUp
        | Intent::Accept
        | Intent::Erase
        | Intent::EraseAll
        | Intent::EraseNext
        | Intent::EraseWord
        | Intent::LineBreak
        | Intent::Left
        | Intent::Right
        | Intent::WordLeft
        | Intent::WordRight
        | Intent::LineStart
        | Intent::LineEnd
        | Intent::NextField
        | Intent::PreviousField
        | Intent::Submit
        | Intent::Toggle
        | Intent::StartOver
        | Intent::Palette
        | Intent::Help
        | Intent::Reload
        | Intent::Ringing
        | Intent::Repaint
        | Intent::Suspend
        | Intent::Quit
        | Intent::No => true,
    }
}
