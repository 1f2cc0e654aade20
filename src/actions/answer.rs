//! `session-answer`: show what a session asks, and answer exactly one question.
//!
//! An answer names its question. What is open is looked at afresh, and once more at the last moment: by the server's
//! own number and every word of the question, or row for row on the screen in the command that presses the key.
//! Whatever is not recognised in every part is refused. Approving holds for this once; nothing here changes a policy.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Action, Argv, Context, Outcome, TextArg,
    caller::{self, Origin},
    fail, live, lookup,
    questions::{self, QuestionView},
    supervise::gate,
};
use crate::{
    base::{Error, Kind, Result, Timestamp},
    model::{
        pane::DialogText,
        progress::EndKind,
        question::{Question, Verdict},
        session::Session,
        state::{Condition, Source, past_predicate},
        supervision::Deed,
    },
    ports::{
        codex_server::{Decision, Outcome as Called, Refusal},
        process::ProcessId,
        tmux::{AnswerKeys, Answering, CaptureOptions, Install, PaneId, SendOutcome, Target, Tmux},
    },
    store::{self, Store, audit},
    text_enum,
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(60);
/// How long a dialog gets to show a key.
const DRAWN: Duration = Duration::from_millis(1_500);

/// Show what a session asks, or answer one of its questions
///
/// Without --decision it lists the open approvals and questions. An answer names its question, by the id from that
/// list or by the whole text of what is asked, and is given only while exactly that question is open. `approve` holds
/// for this once. `decline` says no; `cancel` says no and ends the turn (on a screen both are the same key). Exit code
/// 0 means that the question was answered, 1 that it was not, 4 that the proof is still out, 5 that nobody can tell.
///
/// Example: `conveyor session-answer w1`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct SessionAnswer {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// approve, decline or cancel
    #[arg(long, value_name = "DECISION")]
    pub decision: Option<Verdict>,
    /// The question that is answered, by its id
    #[arg(long, value_name = "ID", requires = "decision", conflicts_with = "expect")]
    pub question: Option<String>,
    /// The question that is answered, by the whole command line (or the one file) that it is about; `-` reads standard input
    #[arg(long, value_name = "TEXT", requires = "decision")]
    pub expect: Option<TextArg>,
    /// Wait so many seconds for the proof
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub wait: u64,
}

text_enum! {
    /// What became of an answer.
    pub enum AnswerOutcome {
        /// Nothing was to be answered: the open questions are listed.
        Listed => "listed",
        /// A rehearsal: this question would be answered.
        Planned => "planned",
        /// It was answered: the question is put away.
        Answered => "answered",
        /// It is not open (any more), or another one is; nothing was pressed or sent.
        NotOpen => "not_open",
        /// It cannot be answered so from here; nothing was pressed or sent.
        Refused => "refused",
        /// The answer was given, and the question still stands there.
        Unconfirmed => "unconfirmed",
        /// Whether the answer arrived cannot be told.
        Unknown => "unknown",
    }
}

/// What a session asks, and what became of the answer.
#[derive(Debug, Serialize)]
pub struct Answers {
    #[serde(skip)]
    actor: audit::Actor,
    /// The session that answers; none when the operator does.
    #[serde(skip)]
    caller: Option<String>,
    /// Who answers: the session that runs this command, or who else.
    answered_by: String,
    decision: Option<Verdict>,
    dry_run: bool,
    /// `server` or `screen`: the way the answer took.
    lane: Option<Source>,
    outcome: AnswerOutcome,
    /// What shows that the question was put away, and what the session does since.
    proof: Option<Value>,
    /// The question that was meant.
    question: Option<Question>,
    /// What is open; at the time of the answer when one was given.
    questions: Vec<QuestionView>,
    /// Why it ended so.
    reason: Option<String>,
    session: String,
    time: Timestamp,
}

/// How giving an answer ended.
enum Given {
    /// It was taken on; the text says by whom.
    Taken(&'static str),
    /// Nothing was pressed or sent.
    NotOpen(String),
    /// Nothing was pressed or sent.
    Refused(String),
    /// It may have arrived.
    Unknown(String),
}

impl Action for SessionAnswer {
    const NAME: &'static str = "session-answer";
    type Output = Answers;

    fn run(self, cx: &Context) -> Result<Answers> {
        if self.decision.is_some() && self.question.is_none() && self.expect.is_none() {
            return Err(Error::usage("an answer names its question")
                .hint(format!("`conveyor session-answer {}` lists what is open; add --question ID", self.session)));
        }
        let store = cx.ledger_to_change()?;
        let session = store.read(|r| lookup::session(r, &self.session))?;
        let origin = caller::origin(cx, &store)?;
        let answered_by = match &origin {
            Origin::Operator => cx.actor().to_string(),
            Origin::Session(_) | Origin::Hidden => origin.words(),
        };
        // Whoever approves is a person.
        if let Some(verdict) = self.decision {
            let deed = if verdict == Verdict::Approve { Deed::Approve } else { Deed::Decline };
            gate::hold(cx, &store, &origin, deed, &session)?;
        }
        let (session, questions) = questions::look(cx, &store, session)?;
        let mut answers = Answers {
            actor: origin.actor(cx),
            caller: origin.name(),
            answered_by,
            decision: self.decision,
            dry_run: cx.dry_run(),
            lane: None,
            outcome: AnswerOutcome::Listed,
            proof: None,
            question: None,
            questions,
            reason: None,
            session: session.name.clone(),
            time: cx.now(),
        };
        let Some(verdict) = self.decision else { return Ok(answers) };
        match self.pick(&answers.questions)? {
            Ok(question) => answers.question = Some(question),
            Err(why) => return Ok(answers.ended(AnswerOutcome::NotOpen, why)),
        }
        let Some(question) = answers.question.clone() else { return Ok(answers) };
        answers.lane = Some(question.source);
        if !question.answers.contains(&verdict) {
            let why = question.not_approvable.clone();
            return Ok(
                answers.ended(AnswerOutcome::Refused, why.unwrap_or_else(|| "it takes no such answer".to_owned()))
            );
        }
        if cx.dry_run() {
            return Ok(answers.ended(AnswerOutcome::Planned, "nothing was pressed or sent".to_owned()));
        }
        give(cx, &store, &session, &question, verdict, Duration::from_secs(self.wait), answers)
    }

    fn argv(&self) -> Argv {
        let Self { session, decision, question, expect, wait } = self;
        Argv::new(Self::NAME)
            .option("--decision", *decision)
            .option("--question", question.as_ref())
            .text("--expect", expect.as_ref())
            .option("--wait", Some(wait))
            .end_of_options()
            .word(session)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.expect.iter_mut().collect()
    }
}

impl SessionAnswer {
    /// The question that is meant, or why there is none.
    fn pick(&self, open: &[QuestionView]) -> Result<std::result::Result<Question, String>> {
        if open.is_empty() {
            return Ok(Err("nothing is asked now".to_owned()));
        }
        if let Some(id) = &self.question {
            let found = open.iter().find(|view| view.question.id == *id).map(|view| view.question.clone());
            return Ok(found.ok_or_else(|| format!("{id} is not open; what is open now is another question")));
        }
        let expected = self.expect.as_ref().map(TextArg::get).transpose()?.unwrap_or_default();
        let fitting: Vec<&QuestionView> = open.iter().filter(|view| view.question.is_about(expected)).collect();
        Ok(match fitting.as_slice() {
            [only] => Ok(only.question.clone()),
            [] => Err("no open question is about exactly that".to_owned()),
            several => Err(format!("{} open questions are about that: name one with --question", several.len())),
        })
    }
}

/// Gives the answer, between two notes of it in the ledger, and waits for the proof.
fn give(
    cx: &Context,
    store: &Store,
    session: &Session,
    question: &Question,
    verdict: Verdict,
    patience: Duration,
    mut answers: Answers,
) -> Result<Answers> {
    let now = cx.moment();
    let (by, caller, actor) = (answers.answered_by.clone(), answers.caller.clone(), answers.actor);
    let about = audit::About { task_id: None, session_id: Some(&session.id) };
    let note = |outcome: Option<AnswerOutcome>, reason: Option<&str>, proof: Option<&Value>| {
        json!({
            "answered_by": by,
            "boot_id": now.boot_id,
            "caller": caller,
            "decision": verdict,
            "lane": question.source,
            "outcome": outcome,
            "proof": proof,
            "question": question,
            "reason": reason,
            "session": session.name,
            "uptime": now.uptime,
        })
    };
    let claimed = store.write_durably(|w| {
        let claimed = store::questions::claim(w, &session.id, &question.id, verdict, &by, &now)?;
        if claimed {
            audit::append(w, now.wall, actor, "session_answer_begun", about, &note(None, None, None))?;
        }
        Ok::<_, store::Error>(claimed)
    })?;
    if !claimed {
        let why = "it was answered just now, or somebody else is about to answer it";
        return Ok(answers.ended(AnswerOutcome::NotOpen, why.to_owned()));
    }
    let before = newest_end(store, session)?;
    let given = match question.source {
        Source::Server => through_server(cx, session, question, verdict),
        _ => through_screen(cx, session, question, verdict),
    };
    let given = given.unwrap_or_else(|error| Given::Refused(error.to_string()));
    let (outcome, reason) = match given {
        Given::NotOpen(why) => (AnswerOutcome::NotOpen, Some(why)),
        Given::Refused(why) => (AnswerOutcome::Refused, Some(why)),
        Given::Taken(by_whom) => {
            let ends = question.ends_turn(verdict);
            let put_away = PutAway { by_whom, ends_turn: ends, before: before.as_ref() };
            let (proof, aborted) = proof(cx, store, session, question, &put_away, patience)?;
            let is_there = proof.is_some();
            answers.proof = proof;
            match (is_there, verdict, aborted) {
                (false, _, _) => (AnswerOutcome::Unconfirmed, Some("the question still stands there".to_owned())),
                (true, Verdict::Approve, true) => {
                    let why = "the question is gone, but its turn was cut off: somebody said no at the same moment";
                    (AnswerOutcome::Unknown, Some(why.to_owned()))
                }
                (true, _, false) if ends => {
                    let why = "the question is gone, but its rollout does not show that the turn ended: somebody may have \
                               said yes at the same moment";
                    (AnswerOutcome::Unknown, Some(why.to_owned()))
                }
                (true, _, _) => (AnswerOutcome::Answered, None),
            }
        }
        Given::Unknown(why) => {
            let put_away = PutAway { by_whom: "nobody", ends_turn: false, before: before.as_ref() };
            answers.proof = proof(cx, store, session, question, &put_away, patience)?.0;
            let gone = answers.proof.is_some();
            let why = if gone {
                format!("the question is gone, but whether by this answer cannot be told: {why}")
            } else {
                why
            };
            (AnswerOutcome::Unknown, Some(why))
        }
    };
    store.write_durably(|w| {
        if matches!(outcome, AnswerOutcome::NotOpen | AnswerOutcome::Refused) {
            store::questions::give_back(w, &session.id, &question.id)?;
        }
        let payload = note(Some(outcome), reason.as_deref(), answers.proof.as_ref());
        audit::append(w, cx.now(), actor, "session_answered", about, &payload)?;
        Ok::<_, store::Error>(())
    })?;
    answers.outcome = outcome;
    answers.reason = reason;
    Ok(answers)
}

/// Answers the server's own question, if it still asks it in the same words.
fn through_server(cx: &Context, session: &Session, question: &Question, verdict: Verdict) -> Result<Given> {
    let thread = session.codex_session_id.as_deref().unwrap_or_default();
    let unreachable = |error: &dyn fmt::Display| Ok(Given::Refused(format!("Codex's server cannot be asked: {error}")));
    let mut link = match questions::connect(cx, session) {
        Ok(link) => link,
        Err(error) => return unreachable(&error),
    };
    let open = match questions::of_server(&mut link, thread) {
        Ok(open) => open,
        Err(error) => return unreachable(&error),
    };
    let Some(found) = open.into_iter().find(|found| found.question.id == question.id) else {
        return Ok(Given::NotOpen("it was answered or withdrawn meanwhile".to_owned()));
    };
    // Each word of it: what is answered is what was shown.
    let shown = Question { since: found.question.since, ..question.clone() };
    let Some(approval) = found.approval.filter(|_| found.question == shown) else {
        return Ok(Given::NotOpen("the question of this number reads otherwise now".to_owned()));
    };
    let decision = match verdict {
        Verdict::Approve => Decision::Accept,
        Verdict::Decline => Decision::Decline,
        Verdict::Cancel => Decision::Cancel,
    };
    Ok(match link.answer(&approval, decision) {
        Called::Accepted(()) => Given::Taken("Codex's server has put the question away"),
        Called::Refused(Refusal::NotOpen) => Given::NotOpen("it was answered or withdrawn meanwhile".to_owned()),
        Called::Refused(Refusal::NotSent(error)) => Given::Refused(format!("the answer was not sent: {error}")),
        Called::Refused(refusal) => Given::Refused(format!("Codex's server refused the answer: {refusal:?}")),
        Called::Unknown(error) => Given::Unknown(format!("no usable answer: {error}")),
    })
}

/// Presses the keys of the answer, if the dialog stands there as it was shown.
fn through_screen(cx: &Context, session: &Session, question: &Question, verdict: Verdict) -> Result<Given> {
    let target = target(session)?;
    let tmux = cx.tmux(session.tmux_socket.as_deref());
    let screen = Dialogs { tmux: &*tmux, session, target: &target, question };
    let Some((text, dialog)) = screen.look()? else { return Ok(not_there()) };
    if verdict != Verdict::Approve {
        return Ok(screen.press(&text, &dialog, AnswerKeys::Refuse)?.unwrap_or(Given::Taken("its dialog has closed")));
    }
    if dialog.doubt.is_some() || dialog.selected() != Some(1) {
        return Ok(Given::Refused("somebody has moved the selection in its dialog: answer it in its pane".to_owned()));
    }
    if let Some(ended) = screen.press(&text, &dialog, AnswerKeys::Mark)? {
        return Ok(ended);
    }
    let deadline = Instant::now() + DRAWN;
    let (text, marked) = loop {
        match screen.look()? {
            None => {
                screen.unmark()?;
                return Ok(not_there());
            }
            Some((text, dialog)) if dialog.doubt.is_none() && dialog.selected() == Some(2) => break (text, dialog),
            Some((text, dialog)) if Instant::now() >= deadline => {
                // What is read late would leave the mark. If it was never read, this goes from the first option round
                // to the last one, which is no.
                if dialog.selected() == Some(1) {
                    screen.press(&text, &dialog, AnswerKeys::Unmark)?;
                }
                let why = "its dialog does not follow the keys as it should; it was told neither yes nor no";
                return Ok(Given::Refused(why.to_owned()));
            }
            Some(_) => thread::sleep(Duration::from_millis(15)),
        }
    };
    match screen.press(&text, &marked, AnswerKeys::TakeFirst)? {
        None => Ok(Given::Taken("its dialog has closed")),
        Some(ended) => {
            screen.unmark()?;
            Ok(ended)
        }
    }
}

fn not_there() -> Given {
    Given::NotOpen("its dialog is not on the screen any more".to_owned())
}

/// The pane of a session and the process that was seen in it.
pub(super) fn target(session: &Session) -> Result<Target> {
    let pane = session.tmux_pane_id.as_deref().and_then(|pane| pane.parse::<PaneId>().ok());
    let process =
        session.pane_pid.zip(session.pane_pid_start).and_then(|(pid, start)| ProcessId::from_stored(pid, start));
    let (Some(pane), Some(process)) = (pane, process) else {
        return Err(Error::refused(format!("nothing proves which pane is that of \"{}\"", session.name))
            .hint("register it again with its pane"));
    };
    Ok(Target { pane, process, install: Install::new("conveyor").map_err(fail::tmux)? })
}

/// The dialog of one question on its screen.
struct Dialogs<'a> {
    tmux: &'a dyn Tmux,
    session: &'a Session,
    target: &'a Target,
    question: &'a Question,
}

impl Dialogs<'_> {
    /// The screen and the dialog on it, when it is the one of the question.
    fn look(&self) -> Result<Option<(String, DialogText)>> {
        let text = self.tmux.capture(self.target.pane, CaptureOptions::default()).map_err(fail::tmux)?;
        let found = questions::of_screen(self.session, &text);
        Ok(found.filter(|(now, _)| now.id == self.question.id).map(|(_, dialog)| (text, dialog)))
    }

    /// Presses keys; none when they were pressed.
    fn press(&self, text: &str, dialog: &DialogText, keys: AnswerKeys) -> Result<Option<Given>> {
        let answering = Answering { rows: &dialog.rows, screen: text, keys };
        Ok(match self.tmux.answer_dialog(self.target, &answering).map_err(fail::tmux)? {
            SendOutcome::Done => None,
            SendOutcome::Refused(refusal) => Some(Given::NotOpen(format!("its screen has changed: {refusal}"))),
            SendOutcome::Unknown(why) => Some(Given::Unknown(why)),
        })
    }

    /// Takes the mark back from whatever dialog has it: a person who presses Enter there means the first option.
    fn unmark(&self) -> Result<()> {
        let text = self.tmux.capture(self.target.pane, CaptureOptions::default()).map_err(fail::tmux)?;
        if let Some((_, dialog)) = questions::of_screen(self.session, &text)
            && dialog.selected() == Some(2)
        {
            self.press(&text, &dialog, AnswerKeys::Unmark)?;
        }
        Ok(())
    }
}

/// The newest end of a turn in the rollout: its file and byte.
fn newest_end(store: &Store, session: &Session) -> Result<Option<(String, u64)>> {
    let cursor = store.read(|r| store::rollouts::current(r, &session.id))?;
    Ok(cursor.and_then(|cursor| Some((cursor.path, cursor.progress.last_end?.byte_offset))))
}

/// How long a turn that was told to end gets to say so in the rollout.
const ENDED: Duration = Duration::from_millis(1_500);

/// What is expected of a question that was answered.
struct PutAway<'a> {
    /// Who says that it was answered.
    by_whom: &'a str,
    /// The answer ends the turn.
    ends_turn: bool,
    /// The newest end of a turn before the answer.
    before: Option<&'a (String, u64)>,
}

/// Waits until a look no longer sees the question; what the session does then, and whether its turn was cut off.
fn proof(
    cx: &Context,
    store: &Store,
    session: &Session,
    question: &Question,
    put_away: &PutAway<'_>,
    patience: Duration,
) -> Result<(Option<Value>, bool)> {
    let PutAway { by_whom, ends_turn, before } = *put_away;
    let begun = Instant::now();
    let mut gone_since = None;
    loop {
        let (now, look) = live::refresh(cx, store, session.clone())?;
        let open = look.questions;
        if open.as_ref().is_some_and(|seen| seen.iter().all(|other| other.id != question.id)) {
            let since = *gone_since.get_or_insert_with(Instant::now);
            let at = cx.now();
            let (judgement, cursor) = store.read(|r| {
                Ok::<_, store::Error>((store::board::judgement(r, &now, at)?, store::rollouts::current(r, &now.id)?))
            })?;
            let end = cursor.and_then(|cursor| cursor.progress.last_end.map(|end| (cursor.path, end)));
            let end =
                end.filter(|(path, end)| before.is_none_or(|(old, byte)| (old, *byte) != (path, end.byte_offset)));
            let aborted = end.filter(|(_, end)| end.kind == EndKind::Aborted);
            let asks_more = open.is_some_and(|open| !open.is_empty());
            let goes_on = match judgement.condition {
                Condition::Idle | Condition::Unknown => false,
                // A record that still tells of the question that is gone is about to be outdated.
                Condition::Blocked => asks_more,
                Condition::Busy | Condition::Done | Condition::Aborted => true,
            };
            let is_over = aborted.is_some() || (goes_on && !ends_turn);
            if is_over || since.elapsed() >= ENDED {
                let shown = aborted
                    .as_ref()
                    .map(|(path, end)| json!({"byte_offset": end.byte_offset, "path": path, "turn_id": end.turn_id}));
                let proof = json!({
                    "asks_more": asks_more,
                    "condition": judgement.condition,
                    "put_away": by_whom,
                    "reason": judgement.reason,
                    "seen_at": at,
                    "turn_aborted": shown,
                });
                return Ok((Some(proof), aborted.is_some()));
            }
        } else if begun.elapsed() >= patience {
            return Ok((None, false));
        }
        thread::sleep(PAUSE);
    }
}

impl Answers {
    fn ended(mut self, outcome: AnswerOutcome, reason: String) -> Self {
        self.outcome = outcome;
        self.reason = Some(reason);
        self
    }
}

impl Outcome for Answers {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let Self { session, outcome, questions, .. } = self;
        let Some(decision) = self.decision else {
            if questions.is_empty() {
                return writeln!(out, "{session} asks nothing");
            }
            return questions.iter().try_for_each(|view| view.human(out));
        };
        if let Some(question) = &self.question {
            writeln!(out, "{}: {}", question.id, question.sentence())?;
        }
        let why = self.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        match outcome {
            AnswerOutcome::Listed => Ok(()),
            AnswerOutcome::Planned => writeln!(out, "would answer {decision}{why}"),
            AnswerOutcome::Answered => {
                let proof = self.proof.as_ref();
                let word = |key: &str| proof.and_then(|proof| proof[key].as_str()).unwrap_or_default().to_owned();
                let is = |key: &str| proof.is_some_and(|proof| proof[key] == true);
                let ended = proof.is_some_and(|proof| !proof["turn_aborted"].is_null());
                let condition = word("condition").parse().unwrap_or(Condition::Unknown);
                let after = match condition {
                    // That is what this answer does there, and no failure.
                    _ if ended => format!("that has ended the turn of {session}, which waits for a message now"),
                    // What still tells of the question that is gone, a title for one, says nothing of what came after it.
                    Condition::Blocked if !is("asks_more") => format!("what {session} does since was not seen yet"),
                    _ => format!("right after that {session} {}: {}", past_predicate(condition.word()), word("reason")),
                };
                writeln!(out, "answered {decision}: {}; {after}", word("put_away"))
            }
            AnswerOutcome::NotOpen | AnswerOutcome::Refused => {
                writeln!(out, "not answered{why}")?;
                questions.iter().try_for_each(|view| writeln!(out, "open: {}", view.line()))
            }
            AnswerOutcome::Unconfirmed | AnswerOutcome::Unknown => writeln!(out, "{outcome}{why}"),
        }
    }

    fn exit_code(&self) -> u8 {
        match self.outcome {
            AnswerOutcome::Listed | AnswerOutcome::Planned | AnswerOutcome::Answered => 0,
            AnswerOutcome::NotOpen | AnswerOutcome::Refused => Kind::Refused.exit_code(),
            AnswerOutcome::Unconfirmed => Kind::Unconfirmed.exit_code(),
            AnswerOutcome::Unknown => Kind::Ambiguous.exit_code(),
        }
    }
}
