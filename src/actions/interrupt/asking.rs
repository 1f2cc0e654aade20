//! An interruption on its way: Codex's server is asked for it, or one key is pressed in the pane.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{End, Interrupted, PAUSE, Run};
use crate::{
    actions::{answer, fail, live, questions, sense::Look},
    base::{Error, Result},
    model::{
        interruption::InterruptOutcome,
        pane::{self, PaneState},
        state::Source,
    },
    ports::{
        codex_server::{CodexServer, Outcome as Called, Refusal, ServerError, ThreadStatus},
        tmux::{self, SendOutcome},
    },
};

/// How long a turn that is told of gets to show on the screen, or in the server's list.
const SHOWN: Duration = Duration::from_secs(3);

/// What an interruption comes to, before the proof.
pub(super) enum Asked {
    /// It was done.
    Done,
    /// Nothing was pressed or sent.
    Not(InterruptOutcome, String),
    /// It may have been done.
    Unknown(String),
}

impl Run<'_> {
    /// Asks for the interruption by the way that there is.
    pub(super) fn ask(&self, look: &Look, done: &mut Interrupted) -> Result<Asked> {
        let thread = self.session.codex_session_id.clone();
        if let Some(thread) = thread {
            match questions::connect(self.cx, self.session) {
                Ok(mut link) => match self.status(&mut link, &thread) {
                    Ok(ThreadStatus::NotLoaded) => {}
                    Ok(status) => return self.through_server(&mut link, &thread, &status, done),
                    Err(error) => {
                        return Ok(Asked::Not(
                            InterruptOutcome::Refused,
                            format!("Codex's server does not say what it does: {error}"),
                        ));
                    }
                },
                Err(ServerError::NotRunning { .. }) => {}
                Err(error) => {
                    return Ok(Asked::Not(
                        InterruptOutcome::Refused,
                        format!("Codex's server cannot be asked: {error}"),
                    ));
                }
            }
        }
        self.through_pane(look, done)
    }

    fn status(&self, link: &mut CodexServer, thread: &str) -> Result<ThreadStatus, ServerError> {
        match link.read_thread(thread) {
            Ok(info) => Ok(info.status),
            // It does not know the thread.
            Err(ServerError::Rpc { code: -32600 | -32602, .. }) => Ok(ThreadStatus::NotLoaded),
            Err(error) => Err(error),
        }
    }

    fn through_server(
        &self,
        link: &mut CodexServer,
        thread: &str,
        status: &ThreadStatus,
        done: &mut Interrupted,
    ) -> Result<Asked> {
        done.lane = Some(Source::Server);
        done.target = Some(thread.to_owned());
        match status {
            ThreadStatus::Idle | ThreadStatus::SystemError => {
                return Ok(Asked::Not(
                    InterruptOutcome::NothingToInterrupt,
                    "Codex's server says that no turn is open".to_owned(),
                ));
            }
            ThreadStatus::Active { waiting_on_approval: true, .. } => {
                return Ok(is_asked(&self.session.name, "an approval"));
            }
            ThreadStatus::Active { waiting_on_user_input: true, .. } => {
                return Ok(is_asked(&self.session.name, "a question"));
            }
            ThreadStatus::Active { .. } => {}
            ThreadStatus::NotLoaded | ThreadStatus::Other(_) => {
                let reading = status.reading(None);
                return Ok(Asked::Not(InterruptOutcome::Refused, reading.reason));
            }
        }
        let deadline = Instant::now() + SHOWN;
        let turn = loop {
            // A thread can be active a moment before its turn is listed.
            match link.open_turn(thread) {
                Ok(Some(turn)) => break turn,
                Ok(None) if Instant::now() < deadline => match self.status(link, thread) {
                    Ok(ThreadStatus::Active { .. }) => thread::sleep(PAUSE),
                    _ => return Ok(Asked::Not(InterruptOutcome::EndedByItself, "the turn ended by itself".to_owned())),
                },
                Ok(None) => {
                    return Ok(Asked::Not(InterruptOutcome::Refused, "Codex's server names no open turn".to_owned()));
                }
                Err(error) => return Ok(Asked::Not(InterruptOutcome::Refused, error.to_string())),
            }
        };
        done.turn_id = Some(turn.clone());
        if self.cx.dry_run() {
            return Ok(Asked::Not(InterruptOutcome::Planned, "nothing was sent".to_owned()));
        }
        self.note_begun(done)?;
        Ok(match link.interrupt_expected_turn(thread, &turn) {
            Called::Accepted(()) => Asked::Done,
            Called::Refused(Refusal::NoOpenTurn | Refusal::OtherTurn { .. } | Refusal::NoThread) => {
                Asked::Not(InterruptOutcome::EndedByItself, "the turn ended by itself just then".to_owned())
            }
            Called::Refused(Refusal::NotSent(error)) => {
                Asked::Not(InterruptOutcome::Refused, format!("it was not sent: {error}"))
            }
            Called::Refused(refusal) => {
                Asked::Not(InterruptOutcome::Refused, format!("Codex's server refused it: {refusal:?}"))
            }
            Called::Unknown(error) => Asked::Unknown(format!("no usable answer: {error}")),
        })
    }

    fn through_pane(&self, look: &Look, done: &mut Interrupted) -> Result<Asked> {
        if self.session.tmux_pane_id.is_none() {
            let name = &self.session.name;
            return Err(Error::refused(format!("nothing can reach the turn of \"{name}\""))
                .hint("it has no pane, and no Codex server holds its thread"));
        }
        done.lane = Some(Source::Screen);
        done.target.clone_from(&self.session.tmux_pane_id);
        if look.screen.is_none() {
            let why = look.rows.iter().find(|row| row.source == Source::Screen);
            let why =
                why.and_then(|row| row.error.clone().or(row.reading.as_ref().map(|reading| reading.reason.clone())));
            return Ok(Asked::Not(
                InterruptOutcome::Refused,
                why.unwrap_or_else(|| "its screen cannot be seen".to_owned()),
            ));
        }
        let target = answer::target(self.session)?;
        let tmux = self.cx.tmux(self.session.tmux_socket.as_deref());
        let deadline = Instant::now() + SHOWN;
        done.turn_id = End::last(self.store, self.session)?.open.flatten();
        loop {
            let info = tmux.pane(target.pane).map_err(fail::tmux)?;
            let Some(info) = info.filter(|info| info.pid == target.process.pid && !info.dead) else {
                return Ok(Asked::Not(
                    InterruptOutcome::Refused,
                    "its pane is gone, or holds another process now".to_owned(),
                ));
            };
            let screen = tmux.capture(target.pane, tmux::CaptureOptions::default()).map_err(fail::tmux)?;
            let seen = pane::read_pane(&screen, Some(&info.title));
            let outcome = match seen.state {
                PaneState::Waiting => {
                    live::refresh(self.cx, self.store, self.session.clone())?;
                    let what =
                        seen.prompt.map_or_else(|| "a dialog".to_owned(), |prompt| format!("the dialog `{prompt}`"));
                    return Ok(is_asked(&self.session.name, &what));
                }
                PaneState::Exited => {
                    return Ok(Asked::Not(InterruptOutcome::Refused, "Codex has left its pane".to_owned()));
                }
                PaneState::Busy if self.cx.dry_run() => {
                    return Ok(Asked::Not(InterruptOutcome::Planned, "nothing was pressed".to_owned()));
                }
                PaneState::Busy => {
                    self.note_begun(done)?;
                    done.key = Some("escape");
                    tmux.interrupt(&target).map_err(fail::tmux)?
                }
                PaneState::Idle | PaneState::Unknown => SendOutcome::Refused(tmux::Refusal::NotBusy),
            };
            match outcome {
                SendOutcome::Done => return Ok(Asked::Done),
                SendOutcome::Unknown(why) => return Ok(Asked::Unknown(why)),
                SendOutcome::Refused(refusal) => {
                    done.key = None;
                    // What streams an answer shows no sign of it in some versions: the rollout knows of the turn.
                    live::take(self.cx, &self.session.id, &|| true).ok();
                    let has_turn = End::last(self.store, self.session)?.open.is_some();
                    if seen.state == PaneState::Idle && !has_turn {
                        return Ok(Asked::Not(
                            InterruptOutcome::NothingToInterrupt,
                            "its screen shows no turn, and its rollout none that is open".to_owned(),
                        ));
                    }
                    if Instant::now() >= deadline {
                        let why = match seen.state {
                            PaneState::Idle => {
                                "its rollout has an open turn, but its screen shows no sign of it".to_owned()
                            }
                            PaneState::Busy => refusal.to_string(),
                            _ => seen.reason,
                        };
                        return Ok(Asked::Not(InterruptOutcome::Refused, why));
                    }
                    thread::sleep(PAUSE);
                }
            }
        }
    }
}

fn is_asked(session: &str, what: &str) -> Asked {
    let why = format!(
        "{what} is open, in which Esc would be an answer: `conveyor session-answer {session}` shows it; with --question \
         and --decision=cancel it ends the turn"
    );
    Asked::Not(InterruptOutcome::QuestionOpen, why)
}
