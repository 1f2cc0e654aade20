//! The forms there are: what each is called and about, whether there is anything to fill in, and where its entries are.

use super::{Entry, Form, closing, recording, sessions, supervising};
use crate::{
    actions::{
        Action as _, Bind, CompactWorker, Continuation, ContinuationReviewer, Criteria, Deregister, Discover, Epilogue,
        FinishTask, Handoff, ManagerAck, ManagerConfig, OperatorInbox, Pair, RecordDecision, RegisterManager,
        RegisterWorker, RequestWorkerCompact, Resume, SessionInterrupt, StartManager, StartWorker, StopTask, Tasks,
        WorkerAck,
    },
    model::{
        board::{SessionRow, TaskRow},
        session::{Registration, Role},
        state::Condition,
        supervision::CriterionMove,
        task::BindingState,
    },
    text_enum,
    tui::{
        answers,
        app::{App, BoardState, Screen},
        criteria, finish,
        layer::Layer,
        operator,
    },
};

text_enum! {
    /// What a form does.
    pub enum Subject {
        /// Records a task.
        CreateTask => "create_task",
        /// Starts a worker.
        StartWorker => "start_worker",
        /// Starts a manager.
        StartManager => "start_manager",
        /// Starts a worker and a manager for a task.
        Pair => "pair",
        /// Registers a worker.
        RegisterWorker => "register_worker",
        /// Registers a manager.
        RegisterManager => "register_manager",
        /// Registers what runs unregistered.
        Adopt => "adopt",
        /// Binds a worker and a manager to a task.
        Bind => "bind",
        /// Has a worker compact its context.
        Compact => "compact",
        /// Has a worker begin an empty context.
        Clear => "clear",
        /// Ends the turn that runs, with a message for the session afterwards.
        Interrupt => "interrupt",
        /// Brings a session back.
        Resume => "resume",
        /// Takes a session out of supervision.
        Deregister => "deregister",
        /// Limits a task's nudges.
        Budget => "budget",
        /// Changes the terms of a task.
        Terms => "terms",
        /// Writes down what the work of a task is held to.
        Contract => "contract",
        /// Answers what is put to the operator.
        Settle => "settle",
        /// Runs a closing step of a task.
        Step => "step",
        /// Sets the program that judges proposals.
        Reviewer => "reviewer",
        /// Asks for something that a task has to deliver.
        AddCriterion => "add_criterion",
        /// Holds the work to a criterion.
        AcceptCriterion => "accept_criterion",
        /// Says that a criterion is fulfilled, and what shows it.
        SatisfyCriterion => "satisfy_criterion",
        /// Defers a criterion.
        DeferCriterion => "defer_criterion",
        /// Rejects a criterion.
        RejectCriterion => "reject_criterion",
        /// Says why a task is finished, and which decision is behind it; its gates are shown with that.
        FinishTask => "finish_task",
        /// Ends a task that is not done.
        StopTask => "stop_task",
        /// Judges two proposals.
        Judge => "judge",
        /// Has the program that is set judge two proposals.
        HaveJudged => "have_judged",
        /// Sets no program any more.
        ForgetReviewer => "forget_reviewer",
        /// Proposes what comes next.
        Propose => "propose",
        /// Acknowledges the terms for the worker.
        WorkerAck => "worker_ack",
        /// Acknowledges the terms for the manager.
        ManagerAck => "manager_ack",
        /// Records what whoever goes on has to know.
        Handoff => "handoff",
        /// Records a decision.
        Decide => "decide",
    }
}

impl Subject {
    /// The command word behind it.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::CreateTask => Tasks::NAME,
            Self::StartWorker => StartWorker::NAME,
            Self::StartManager => StartManager::NAME,
            Self::Pair => Pair::NAME,
            Self::RegisterWorker => RegisterWorker::NAME,
            Self::RegisterManager => RegisterManager::NAME,
            Self::Adopt => Discover::NAME,
            Self::Bind => Bind::NAME,
            Self::Compact => CompactWorker::NAME,
            Self::Clear => RequestWorkerCompact::NAME,
            Self::Interrupt => SessionInterrupt::NAME,
            Self::Resume => Resume::NAME,
            Self::Deregister => Deregister::NAME,
            Self::Budget | Self::Terms | Self::Contract => ManagerConfig::NAME,
            Self::Settle => OperatorInbox::NAME,
            Self::Step => Epilogue::NAME,
            Self::Reviewer | Self::HaveJudged | Self::ForgetReviewer => ContinuationReviewer::NAME,
            Self::Judge | Self::Propose => Continuation::NAME,
            Self::WorkerAck => WorkerAck::NAME,
            Self::ManagerAck => ManagerAck::NAME,
            Self::Handoff => Handoff::NAME,
            Self::Decide => RecordDecision::NAME,
            Self::AddCriterion
            | Self::AcceptCriterion
            | Self::SatisfyCriterion
            | Self::DeferCriterion
            | Self::RejectCriterion => Criteria::NAME,
            Self::FinishTask => FinishTask::NAME,
            Self::StopTask => StopTask::NAME,
        }
    }

    /// What it does, as a heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::CreateTask => "new task",
            Self::StartWorker => "start a worker",
            Self::StartManager => "start a manager",
            Self::Pair => "start a pair: worker, manager and task",
            Self::RegisterWorker => "register a running Codex as a worker",
            Self::RegisterManager => "register a running Codex as a manager",
            Self::Adopt => "adopt Codex sessions that run here",
            Self::Bind => "bind worker and manager to a task",
            Self::Compact => "compact a worker's context",
            Self::Clear => "clear a worker's context: it forgets all of it",
            Self::Interrupt => "interrupt: what the turn has not finished is lost",
            Self::Resume => "resume a session that has ended",
            Self::Deregister => "deregister a session: it runs on, unsupervised",
            Self::Budget => "limit a task's nudges",
            Self::Terms => "change the terms of a task",
            Self::Contract => "write down what the work is held to",
            Self::Settle => "answer a question that is put to you",
            Self::Step => "run a closing step of a task",
            Self::Reviewer => "set who reviews for a task",
            Self::AddCriterion => "add a criterion: what the task has to deliver",
            Self::AcceptCriterion => "accept a criterion: the work is held to it",
            Self::SatisfyCriterion => "satisfy a criterion: name what shows it",
            Self::DeferCriterion => "defer a criterion",
            Self::RejectCriterion => "reject a criterion",
            Self::FinishTask => "finish a task: why, and by which decision",
            Self::StopTask => "stop a task that is not done",
            Self::Judge => "judge what worker and manager propose",
            Self::HaveJudged => "have the set program judge the proposals",
            Self::ForgetReviewer => "forget the program that judges",
            Self::Propose => "propose what comes next, for a side",
            Self::WorkerAck => "acknowledge the terms for the worker",
            Self::ManagerAck => "acknowledge the terms for the manager",
            Self::Handoff => "record a handoff of the work",
            Self::Decide => "record a decision",
        }
    }

    /// What it does, as the word of a key.
    #[must_use]
    pub fn act(self) -> &'static str {
        match self {
            Self::CreateTask => "create",
            Self::StartWorker | Self::StartManager | Self::Pair => "start",
            Self::RegisterWorker | Self::RegisterManager => "register",
            Self::Adopt => "adopt",
            Self::Bind => "bind",
            Self::Compact => "compact",
            Self::Clear => "clear",
            Self::Interrupt => "interrupt",
            Self::Resume => "resume",
            Self::Deregister => "deregister",
            Self::Budget | Self::Reviewer => "set",
            Self::Terms | Self::Contract => "change",
            Self::Step => "run",
            Self::Settle => "answer",
            Self::AddCriterion => "add",
            Self::AcceptCriterion => "accept",
            Self::SatisfyCriterion => "satisfy",
            Self::DeferCriterion => "defer",
            Self::RejectCriterion => "reject",
            Self::FinishTask => "show the gates",
            Self::StopTask => "stop",
            Self::Judge => "judge",
            Self::HaveJudged => "run",
            Self::ForgetReviewer => "forget",
            Self::Propose => "propose",
            Self::WorkerAck | Self::ManagerAck | Self::Handoff | Self::Decide => "record",
        }
    }

    /// Whether its command is asked about before it runs.
    #[must_use]
    pub fn asks(self) -> bool {
        match self {
            Self::Clear
            | Self::Deregister
            | Self::Settle
            | Self::DeferCriterion
            | Self::RejectCriterion
            | Self::StopTask
            | Self::Judge
            | Self::Propose
            | Self::ForgetReviewer => true,
            Self::CreateTask
            | Self::StartWorker
            | Self::StartManager
            | Self::Pair
            | Self::RegisterWorker
            | Self::RegisterManager
            | Self::Adopt
            | Self::Bind
            | Self::Compact
            | Self::Interrupt
            | Self::Resume
            | Self::Budget
            | Self::Terms
            | Self::Step
            | Self::Reviewer
            | Self::AddCriterion
            | Self::AcceptCriterion
            | Self::Contract
            // The gates ask.
            | Self::FinishTask
            | Self::HaveJudged
            | Self::WorkerAck
            | Self::ManagerAck
            | Self::Handoff
            | Self::Decide
            | Self::SatisfyCriterion => false,
        }
    }

    /// The step of a criterion that it is.
    pub(super) fn step(self) -> Option<CriterionMove> {
        match self {
            Self::AcceptCriterion => Some(CriterionMove::Accept),
            Self::SatisfyCriterion => Some(CriterionMove::Satisfy),
            Self::DeferCriterion => Some(CriterionMove::Defer),
            Self::RejectCriterion => Some(CriterionMove::Reject),
            _ => None,
        }
    }

    /// The selected session or task that it is about; none when it makes something new.
    fn about(self, app: &App) -> Option<String> {
        match self {
            Self::Interrupt | Self::Resume | Self::Deregister => app.session().map(|session| session.name.clone()),
            // Both are filled in.
            Self::Bind => {
                let task = selected_task(app).map(|row| format!("task {}", row.task.name));
                let session = app.session().map(|session| session.name.clone());
                let about: Vec<String> = task.into_iter().chain(session).collect();
                (!about.is_empty()).then(|| about.join(" and "))
            }
            Self::AcceptCriterion | Self::SatisfyCriterion | Self::DeferCriterion | Self::RejectCriterion => {
                let task = &selected_task(app)?.task.name;
                Some(match criteria::meant(app) {
                    Some(one) => format!("criterion {} of {task}", one.id),
                    None => task.clone(),
                })
            }
            Self::Compact
            | Self::Clear
            | Self::Budget
            | Self::Terms
            | Self::Contract
            | Self::Step
            | Self::Reviewer
            | Self::Pair
            | Self::StartManager
            | Self::AddCriterion
            | Self::ForgetReviewer
            | Self::WorkerAck
            | Self::ManagerAck
            | Self::Handoff
            | Self::Decide
            | Self::FinishTask
            | Self::StopTask => selected_task(app).map(|row| row.task.name.clone()),
            Self::Judge | Self::HaveJudged | Self::Propose => {
                let task = &selected_task(app)?.task.name;
                let round = if self == Self::Propose { recording::begun(app) } else { recording::meant(app) };
                Some(round.map_or_else(|| task.clone(), |round| format!("round {round} of {task}")))
            }
            Self::Settle => operator::meant(app).map(|question| format!("question {}", question.id)),
            Self::CreateTask | Self::StartWorker | Self::RegisterWorker | Self::RegisterManager | Self::Adopt => None,
        }
    }
}

/// The form of a subject, filled in with what is selected; or why there is nothing to fill in.
///
/// # Errors
/// What is missing, in words for the operator.
pub fn fresh(app: &App, subject: Subject) -> Result<Form, String> {
    if let BoardState::Failed(_) = app.board {
        return Err("the ledger cannot be used".to_owned());
    }
    let about = subject.about(app);
    let (fixed, entries): (&'static [&'static str], Vec<Entry>) = match subject {
        Subject::CreateTask => (&[], sessions::new_task()),
        Subject::StartWorker => (&[], sessions::start_worker()),
        Subject::StartManager => (&[], sessions::start_manager(app)),
        Subject::Pair => (&[], sessions::pair(app)),
        Subject::RegisterWorker | Subject::RegisterManager => (&[], sessions::register()),
        Subject::Adopt => (&["--adopt"], sessions::adopt()),
        Subject::Bind => (&[], sessions::bind(app)?),
        Subject::Compact => (&["--no-wait"], sessions::compact(app)?),
        Subject::Clear => (&["--clear", "--no-wait"], sessions::clear(app)?),
        Subject::Interrupt => (&[], sessions::interrupt(app)?),
        Subject::Resume => (&[], sessions::resume(app)?),
        Subject::Deregister => (&[], sessions::deregister(app)?),
        Subject::Budget => (&[], sessions::budget(app)?),
        Subject::Terms => (&[], supervising::terms(app)?),
        Subject::Contract => (&[], supervising::contract(app)?),
        Subject::Settle => (&[], supervising::settle(app)?),
        Subject::Step => (&[], supervising::step(app)?),
        Subject::Reviewer => (&["--set"], supervising::reviewer(app)?),
        Subject::AddCriterion => (&["--add"], closing::add(app)?),
        Subject::AcceptCriterion => (&[], closing::step(app, CriterionMove::Accept)?),
        Subject::SatisfyCriterion => (&[], closing::step(app, CriterionMove::Satisfy)?),
        Subject::DeferCriterion => (&[], closing::step(app, CriterionMove::Defer)?),
        Subject::RejectCriterion => (&[], closing::step(app, CriterionMove::Reject)?),
        Subject::FinishTask => (&[], closing::finish(app)?),
        Subject::StopTask => (&[], closing::stop(app)?),
        Subject::Judge => (&["--review"], recording::judge(app)?),
        Subject::HaveJudged => (&[], recording::have_judged(app)?),
        Subject::ForgetReviewer => (&["--unset"], recording::forget_reviewer(app)?),
        Subject::Propose => (&[], recording::propose(app)?),
        Subject::WorkerAck => (&[], recording::worker_ack(app)?),
        Subject::ManagerAck => (&[], recording::manager_ack(app)?),
        Subject::Handoff => (&[], recording::handoff(app)?),
        Subject::Decide => (&[], recording::decide(app)?),
    };
    let mut form = Form {
        subject,
        about,
        fixed,
        entries,
        focus: 0,
        refused: None,
        came_back: false,
        sought: String::new(),
        present: None,
    };
    // The keyboard begins where something is to be typed.
    let first = form.entries.iter().position(|entry| entry.required && entry.control.value().is_empty());
    // Whose turn is interrupted, which criterion is meant and which task ends is what was selected; what is left to be said
    // comes after.
    let said = match subject {
        Subject::Interrupt | Subject::FinishTask => 1,
        _ if subject.step().is_some() => 2,
        _ => 0,
    };
    form.focus = first.unwrap_or(said);
    Ok(form)
}

/// Whether [`fresh`] gives a form, told without making one: the footer asks with each frame.
pub fn is_offered(app: &App, subject: Subject) -> bool {
    if let BoardState::Failed(_) = app.board {
        return false;
    }
    let task = |fits: fn(&TaskRow) -> bool| {
        app.board().is_some_and(|board| board.tasks.iter().any(|row| row.task.state.is_open() && fits(row)))
    };
    let session = |fits: &dyn Fn(&SessionRow) -> bool| app.board().is_some_and(|board| board.sessions.iter().any(fits));
    match subject {
        Subject::CreateTask
        | Subject::StartWorker
        | Subject::StartManager
        | Subject::Pair
        | Subject::RegisterWorker
        | Subject::RegisterManager
        | Subject::Adopt => true,
        Subject::Bind => {
            let free = |role| session(&|row: &SessionRow| is_free(row, role));
            task(|row| active(row).is_none()) && free(Role::Worker) && free(Role::Manager)
        }
        Subject::Compact
        | Subject::Clear
        | Subject::Step
        | Subject::Propose
        | Subject::WorkerAck
        | Subject::ManagerAck
        | Subject::Handoff => task(|row| active(row).is_some()),
        Subject::Budget
        | Subject::FinishTask
        | Subject::StopTask
        | Subject::Terms
        | Subject::Contract
        | Subject::Reviewer
        | Subject::Judge
        | Subject::HaveJudged
        | Subject::ForgetReviewer
        | Subject::Decide => task(|_| true),
        Subject::AddCriterion => finish::can_finish(app),
        Subject::AcceptCriterion => closing::any(app, CriterionMove::Accept),
        Subject::SatisfyCriterion => closing::any(app, CriterionMove::Satisfy),
        Subject::DeferCriterion => closing::any(app, CriterionMove::Defer),
        Subject::RejectCriterion => closing::any(app, CriterionMove::Reject),
        Subject::Settle => !operator::questions(app).is_empty(),
        Subject::Interrupt => answers::is_reachable(app),
        Subject::Resume => session(&may_be_resumed),
        Subject::Deregister => session(&|row| row.registration == Registration::Active),
    }
}

/// The task that a box over the screen names; else the one that is selected, or the one of the selected session. What is
/// selected may pass to another task while a box is open.
pub fn selected_task(app: &App) -> Option<&TaskRow> {
    let board = app.board()?;
    if let Some(id) = app.layers.iter().rev().find_map(Layer::task) {
        return board.tasks.iter().find(|row| row.task.id == id);
    }
    let by_name = app.task_name().and_then(|name| board.tasks.iter().find(|row| row.task.name == name));
    by_name.or_else(|| {
        // A row of the fleet that is no session is a task.
        let id = app.fleet.list.id.as_deref().filter(|_| app.screen == Screen::Fleet)?;
        board.tasks.iter().find(|row| row.task.id == id)
    })
}

/// Whether a session of this role can be bound.
pub(super) fn is_free(row: &SessionRow, role: Role) -> bool {
    row.role == role && row.registration == Registration::Active && row.task.is_none()
}

/// Worker and manager of a task.
pub fn active(row: &TaskRow) -> Option<(&str, &str)> {
    let binding = row.bindings.iter().find(|binding| binding.state == BindingState::Active)?;
    Some((&binding.worker, &binding.manager))
}

/// Whether a session can be chosen to be resumed.
pub fn may_be_resumed(row: &SessionRow) -> bool {
    row.codex_session_id.is_some() && may_have_ended(row)
}

/// Whether a session may have come to its end, as far as known; `resume` looks for itself.
pub fn may_have_ended(row: &SessionRow) -> bool {
    let judgement = &row.judgement;
    let shows_no_life =
        matches!(judgement.condition, Condition::Aborted | Condition::Unknown) && !judgement.is_still_there();
    row.registration == Registration::Gone || shows_no_life
}
