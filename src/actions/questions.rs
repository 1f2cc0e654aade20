//! What a session asks of a person: seen through Codex's server or on its screen, and shown with source and age.

use std::{fmt, path::Path, time::Duration};

use serde::Serialize;

use super::{Context, live, lookup, sense};
use crate::{
    base::{Error, Result, Timestamp, text},
    model::{
        codex::{self, CodexVersion},
        pane::{self, DialogText, PaneState, Prompt},
        question::{Question, Verdict},
        session::Session,
        state::Source,
    },
    ports::codex_server::{
        Action, Approval, CodexServer, OtherQuestion, RequestId, ServerError, ThreadStatus, Timeouts,
    },
    store::{self, Store, questions::Asked},
};

/// How long a server that says that something is asked gets to say what.
const PATIENCE: Duration = Duration::from_millis(400);

/// A question of the server, and what an answer to it has to name.
pub(super) struct ServerQuestion {
    pub question: Question,
    pub approval: Option<Approval>,
}

/// What a thread asks that waits, over a connection of its own: one that stays subscribed would be told everything.
pub(super) fn connect(cx: &Context, session: &Session) -> Result<CodexServer, ServerError> {
    let home = sense::codex_home(cx, session).unwrap_or_default();
    let limits = Timeouts { connect: Duration::from_secs(1), call: Duration::from_secs(5) };
    CodexServer::connect(&home, limits)
}

/// What a thread asks. Only for one that the server says waits: others would be loaded by the question.
pub(super) fn of_server(link: &mut CodexServer, thread: &str) -> Result<Vec<ServerQuestion>, ServerError> {
    let open = link.open_questions(thread, PATIENCE)?;
    let mut found = Vec::new();
    for approval in open.approvals {
        // What cannot be read now is not known, and then it cannot be approved.
        let files = link.files_of(&approval).unwrap_or_default();
        found.push(ServerQuestion { question: of_approval(&approval, files), approval: Some(approval) });
    }
    found.extend(open.others.iter().map(|other| ServerQuestion { question: of_other(thread, other), approval: None }));
    Ok(found)
}

fn of_approval(approval: &Approval, files: Option<Vec<String>>) -> Question {
    let number = number(&approval.id);
    let id = Question::id_of(&[
        "server",
        &approval.thread_id,
        &approval.turn_id,
        &approval.item_id,
        approval.approval_id.as_deref().unwrap_or_default(),
        &number,
    ]);
    let (kind, asks, cwd) = match &approval.action {
        Action::Command { command, cwd } => (Prompt::ApprovalCommand, command.clone(), cwd.as_deref().map(shown_path)),
        Action::FileChange => (Prompt::ApprovalPatch, None, None),
    };
    let files = files.unwrap_or_default();
    let not_approvable = if let Some(beyond) = &approval.beyond {
        Some(format!("a yes would also give {beyond}: answer it in its pane"))
    } else if !approval.is_exact {
        Some("its text is too long, or holds characters that cannot be shown: answer it in its pane".to_owned())
    } else if asks.is_none() && files.is_empty() {
        Some("what it asks for cannot be seen: answer it in its pane".to_owned())
    } else {
        None
    };
    Question {
        id,
        source: Source::Server,
        kind,
        asks,
        cwd,
        files,
        reason: approval.reason.clone(),
        since: approval.asked_at,
        choices: Vec::new(),
        answers: answers(not_approvable.is_none()),
        not_approvable,
    }
}

fn of_other(thread: &str, other: &OtherQuestion) -> Question {
    let kind = match other.method.as_str() {
        "item/tool/requestUserInput" => Prompt::Question,
        "mcpServer/elicitation/request" => Prompt::ApprovalMcp,
        "item/permissions/requestApproval" => Prompt::ApprovalPermissions,
        _ => Prompt::Approval,
    };
    let item = other.item_id.as_deref().unwrap_or_default();
    Question {
        id: Question::id_of(&["server", thread, &other.method, item, &number(&other.id)]),
        source: Source::Server,
        kind,
        asks: other.text.clone(),
        cwd: None,
        files: Vec::new(),
        reason: None,
        since: None,
        choices: Vec::new(),
        answers: Vec::new(),
        not_approvable: Some(format!("a question of the kind {kind} is answered in its pane only")),
    }
}

/// The question that a screen shows; none when no dialog has the keyboard.
pub(super) fn of_screen(session: &Session, screen: &str) -> Option<(Question, DialogText)> {
    let dialog = pane::read_dialog(screen)?;
    let pane = session.tmux_pane_id.as_deref().unwrap_or_default();
    let process = session.pane_pid.unwrap_or_default().to_string();
    let identity = dialog.identity();
    let parts: Vec<&str> = ["screen", pane, &process].into_iter().chain(identity.iter().map(String::as_str)).collect();
    let is_known = dialog.prompt.is_approval() && dialog.prompt != Prompt::Approval;
    let version = session.codex_version.as_deref().and_then(|version| version.parse::<CodexVersion>().ok());
    let not_approvable = match (dialog.doubt, version) {
        (Some(doubt), _) => Some(format!("{doubt}: answer it in its pane")),
        (None, version) if !codex::answers_by_keys(version) => {
            let version = version.map_or_else(|| "an unknown version".to_owned(), |version| version.to_string());
            Some(format!("the keys of its dialog were not measured with {version}: answer it in its pane"))
        }
        (None, _) => None,
    };
    let offered = dialog.options.iter().filter(|_| !dialog.prompt.is_approval());
    let choices = offered.map(|option| option.label.clone()).collect();
    let question = Question {
        id: Question::id_of(&parts),
        source: Source::Screen,
        kind: dialog.prompt,
        asks: dialog.asks.clone(),
        cwd: None,
        files: dialog.files.clone(),
        reason: dialog.reason.clone(),
        since: None,
        choices,
        answers: if is_known { answers(not_approvable.is_none()) } else { Vec::new() },
        not_approvable,
    };
    Some((question, dialog))
}

fn answers(with_approval: bool) -> Vec<Verdict> {
    Verdict::ALL.iter().copied().filter(|verdict| with_approval || *verdict != Verdict::Approve).collect()
}

fn number(id: &RequestId) -> String {
    match id {
        RequestId::Number(number) => number.to_string(),
        RequestId::Text(text) => text.clone(),
    }
}

fn shown_path(path: &Path) -> String {
    text::one_line(&text::clean(&path.display().to_string()))
}

/// What a look adds up to; none when it could not tell, so that what was known stays.
pub(super) fn seen(
    cx: &Context,
    session: &Session,
    look: &sense::Look,
    status: Option<&ThreadStatus>,
) -> Option<Vec<Question>> {
    let gone = || look.rows.iter().filter_map(|row| row.reading.as_ref()).any(|reading| reading.says_gone());
    match (status, session.codex_session_id.as_deref()) {
        (Some(status @ ThreadStatus::Active { .. }), Some(thread)) if waits(status) => {
            let mut link = connect(cx, session).ok()?;
            let found = of_server(&mut link, thread).ok()?;
            if found.is_empty() {
                // It may just have been answered.
                let now = link.read_thread(thread).ok()?;
                return if waits(&now.status) { Some(vec![unread(thread)]) } else { None };
            }
            Some(found.into_iter().map(|found| found.question).collect())
        }
        // The server tells of everything that a turn asks; the terminal has menus of its own.
        (Some(ThreadStatus::Idle | ThreadStatus::SystemError | ThreadStatus::Active { .. }), _) => {
            let of_terminal = |question: &Question| !question.kind.is_approval() && question.kind != Prompt::Question;
            Some(on_screen(session, look).unwrap_or_default().into_iter().filter(of_terminal).collect())
        }
        _ if look.rows.iter().any(|row| row.source == Source::Server && row.reading.is_none()) => None,
        _ => on_screen(session, look).or_else(|| gone().then(Vec::new)),
    }
}

fn waits(status: &ThreadStatus) -> bool {
    matches!(
        status,
        ThreadStatus::Active { waiting_on_approval: true, .. }
            | ThreadStatus::Active { waiting_on_user_input: true, .. }
    )
}

/// A question that is open and that the server does not repeat.
fn unread(thread: &str) -> Question {
    Question {
        id: Question::id_of(&["server", thread, "unread"]),
        source: Source::Server,
        kind: Prompt::Approval,
        asks: None,
        cwd: None,
        files: Vec::new(),
        reason: None,
        since: None,
        choices: Vec::new(),
        answers: Vec::new(),
        not_approvable: Some("what it asks cannot be seen: answer it in its pane".to_owned()),
    }
}

/// What stops the session according to its screen; none when that shows nothing reliable.
fn on_screen(session: &Session, look: &sense::Look) -> Option<Vec<Question>> {
    let (pane, screen) = (look.pane.as_ref()?, look.screen.as_deref()?);
    match (pane.state, pane.prompt) {
        (PaneState::Idle | PaneState::Busy | PaneState::Exited, _) => Some(Vec::new()),
        (PaneState::Waiting, Some(prompt)) if prompt.stops_the_session() => {
            of_screen(session, screen).map(|(question, _)| vec![question])
        }
        (PaneState::Waiting, Some(_)) => Some(Vec::new()),
        (PaneState::Waiting, None) | (PaneState::Unknown, _) => None,
    }
}

/// What a session asks now, after a fresh look.
///
/// # Errors
/// When the session is unknown or gone, or nothing tells what it asks.
pub fn open_questions(cx: &Context, session_id: &str) -> Result<Vec<QuestionView>> {
    let store = cx.ledger_to_change()?;
    let session = store
        .read(|r| store::sessions::by_id(r, session_id))?
        .ok_or_else(|| Error::not_found(format!("no session with id {session_id}")))?;
    Ok(look(cx, &store, session)?.1)
}

/// As [`open_questions`], with the session as it is afterwards.
pub(super) fn look(cx: &Context, store: &Store, session: Session) -> Result<(Session, Vec<QuestionView>)> {
    store.read(|r| lookup::check_active(r, &session))?;
    let (session, look) = live::refresh(cx, store, session)?;
    let now = cx.now();
    let Some(seen) = look.questions else {
        let errors: Vec<String> = look.rows.iter().filter_map(|row| row.error.clone()).collect();
        let why = if errors.is_empty() { "no sensor tells".to_owned() } else { errors.join("; ") };
        return Err(Error::refused(format!("what \"{}\" asks cannot be seen now: {why}", session.name))
            .hint("it needs a pane or a Codex server that holds its thread; `conveyor explain` shows what is seen"));
    };
    let views = if cx.dry_run() {
        // Nothing was stored, so what was just seen is shown.
        seen.into_iter().map(|question| QuestionView::seen_now(question, now)).collect()
    } else {
        let open = store.read(|r| store::questions::open(r, &session.id))?;
        open.into_iter().map(|asked| QuestionView::of(asked, now)).collect()
    };
    Ok((session, views))
}

/// An open question as it is printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuestionView {
    /// The question.
    #[serde(flatten)]
    pub question: Question,
    /// Seconds since it was opened, as far as known.
    pub age_seconds: i64,
    /// Seconds since it was seen last.
    pub seen_seconds_ago: i64,
}

impl QuestionView {
    pub(super) fn of(asked: Asked, now: Timestamp) -> Self {
        let since = asked.question.since.unwrap_or(asked.opened_at);
        Self {
            age_seconds: since.age_seconds(now),
            seen_seconds_ago: asked.seen_at.age_seconds(now),
            question: asked.question,
        }
    }

    /// A question that was seen just now and is not stored.
    pub(super) fn seen_now(question: Question, now: Timestamp) -> Self {
        let age_seconds = question.since.map_or(0, |since| since.age_seconds(now));
        Self { question, age_seconds, seen_seconds_ago: 0 }
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { question, age_seconds, seen_seconds_ago } = self;
        format!(
            "{}: {} ({}, open for {}, seen {} ago)",
            question.id,
            question.sentence(),
            question.source,
            text::age(*age_seconds),
            text::age(*seen_seconds_ago)
        )
    }

    pub(super) fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "{}", self.line())?;
        if let Some(why) = &self.question.not_approvable {
            writeln!(out, "  not to be approved from here: {why}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval(number: i64, item: &str, action: Action) -> Approval {
        Approval {
            id: RequestId::Number(number),
            thread_id: "t".into(),
            turn_id: "u".into(),
            item_id: item.into(),
            action,
            reason: None,
            asked_at: None,
            approval_id: None,
            beyond: None,
            is_exact: true,
        }
    }

    fn command(command: &str) -> Action {
        Action::Command { command: Some(command.into()), cwd: None }
    }

    #[test]
    fn each_question_of_a_server_has_an_id_of_its_own() {
        let id = |number, item: &str| of_approval(&approval(number, item, command("make")), None).id;
        assert_eq!(id(0, "i"), id(0, "i"));
        assert_ne!(id(0, "i"), id(1, "i"));
        assert_ne!(id(0, "i"), id(0, "j"), "a new server begins its numbers anew");
        let mut part = approval(0, "i", command("make"));
        part.approval_id = Some("a".into());
        assert_ne!(of_approval(&part, None).id, id(0, "i"));
    }

    #[test]
    fn only_what_is_seen_whole_can_be_approved() {
        let may = |approval: &Approval, files: Option<Vec<String>>| {
            let question = of_approval(approval, files);
            assert_eq!(question.not_approvable.is_none(), question.answers.contains(&Verdict::Approve));
            assert!(question.answers.contains(&Verdict::Decline) && question.answers.contains(&Verdict::Cancel));
            question.not_approvable.is_none()
        };
        let plain = approval(0, "i", command("make"));
        assert!(may(&plain, None));
        assert!(!may(&Approval { beyond: Some("network access".into()), ..plain.clone() }, None));
        assert!(!may(&Approval { is_exact: false, ..plain.clone() }, None));
        assert!(!may(&approval(0, "i", Action::Command { command: None, cwd: None }), None));
        let change = approval(0, "i", Action::FileChange);
        assert!(!may(&change, None) && !may(&change, Some(Vec::new())), "which files is not known");
        assert!(may(&change, Some(vec!["/srv/a".into()])));
        let other = OtherQuestion {
            id: RequestId::Number(0),
            method: "item/permissions/requestApproval".into(),
            item_id: None,
            text: Some("Full access?".into()),
        };
        assert_eq!(of_other("t", &other).answers, []);
    }
}
