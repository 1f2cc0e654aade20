//! A tmux server in memory for tests of the layers above: sessions and panes that a test sets up and changes, a
//! record of what was asked for, and failures on demand. It keeps the promises of [`Tmux`], guards included.

mod pane;

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use self::pane::Marks;
pub use self::pane::ScriptedPane;
use super::{
    AnswerKeys, Answering, BufferName, CaptureOptions, Guard, Install, Key, KeyOutcome, KillOutcome, NewSession,
    NewWindow, PaneId, PaneInfo, PaneOption, PaneRef, Program, Receipt, Refusal, Result, SendOutcome, ServerInfo,
    ServerSettings, SessionId, SessionInfo, Shot, Size, Split, SplitDirection, Staging, Submission, Target, Tmux,
    TmuxError, TmuxVersion, lane,
};
use crate::{base::Timestamp, model::typing::Sign, ports::process::ProcessId};

/// Something that was asked for and would have changed the server, or read a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A session was started.
    NewSession(NewSession),
    /// A window was opened.
    NewWindow(NewWindow),
    /// A pane was split.
    Split(Split),
    /// A screen was read.
    Capture(PaneId),
    /// A key was asked for, with what became of it.
    Key(PaneId, Key, KeyOutcome),
    /// A text was to be put into the composer, under this number, with what became of it.
    Stage(PaneId, u64, String, SendOutcome),
    /// What was staged under this number was to be submitted with this key.
    Submit(PaneId, u64, Key, SendOutcome),
    /// This number was to be taken over under this fence.
    Hold(PaneId, u64, u64, SendOutcome),
    /// This number was to be given up.
    Forgo(PaneId, u64, SendOutcome),
    /// A turn was to be interrupted.
    Interrupt(PaneId, SendOutcome),
    /// Keys were to be pressed into a dialog.
    Answer(PaneId, AnswerKeys, SendOutcome),
    /// A pane was to be closed.
    KillPane(PaneId, KillOutcome),
    /// A session was to be closed.
    KillSession(SessionId, KillOutcome),
    /// An option was set.
    SetOption(PaneId, PaneOption, String),
    /// A window was resized.
    Resize(PaneId, Size),
    /// The client was to show a pane.
    SwitchClient(PaneId),
}

/// How a step of typing ends for whoever asked, whatever has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// The client ends after the server has done it.
    After,
    /// The client ends before the server has heard of it.
    Before,
}

#[derive(Debug)]
struct State {
    version: TmuxVersion,
    panes: BTreeMap<PaneId, ScriptedPane>,
    next: u32,
    calls: Vec<Call>,
    failures: VecDeque<TmuxError>,
    losses: VecDeque<Loss>,
    buffers: Vec<String>,
}

/// A tmux server in memory. It "runs" until told otherwise, also without sessions.
#[derive(Debug)]
pub struct ScriptedTmux(Mutex<State>);

impl Default for ScriptedTmux {
    fn default() -> Self {
        Self(Mutex::new(State {
            version: TmuxVersion { major: 3, minor: 4, suffix: String::new() },
            panes: BTreeMap::new(),
            next: 1,
            calls: Vec::new(),
            failures: VecDeque::new(),
            losses: VecDeque::new(),
            buffers: Vec::new(),
        }))
    }
}

impl ScriptedTmux {
    /// Path that the server gives as its socket.
    pub const SOCKET: &'static str = "/scripted/tmux.sock";

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state for one call, or the failure that was ordered for it.
    fn answer(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        match state.failures.pop_front() {
            Some(failure) => Err(failure),
            None => Ok(state),
        }
    }

    /// Lets the next call fail; further orders are for the calls after it.
    pub fn fail_next(&self, failure: TmuxError) {
        self.state().failures.push_back(failure);
    }

    /// Kills the client of the next step of typing after the server has done it, so that nobody learns of it.
    pub fn lose_next_answer(&self) {
        self.state().losses.push_back(Loss::After);
    }

    /// Kills the client of the next step of typing before the server hears of it; its buffer stays behind.
    pub fn lose_next_step(&self) {
        self.state().losses.push_back(Loss::Before);
    }

    /// Names of the paste buffers.
    #[must_use]
    pub fn buffers(&self) -> Vec<String> {
        self.state().buffers.clone()
    }

    /// Sets the version that is reported.
    pub fn set_version(&self, version: TmuxVersion) {
        self.state().version = version;
    }

    /// Adds a session of one pane with a live process.
    pub fn add_session(&self, name: &str, process: ProcessId) -> PaneRef {
        self.state().add(name, None, Size { width: 80, height: 24 }, process)
    }

    /// Changes a pane.
    ///
    /// # Panics
    /// When there is no such pane: a mistake of the test.
    pub fn change(&self, pane: PaneId, change: impl FnOnce(&mut ScriptedPane)) {
        change(self.state().panes.get_mut(&pane).expect("a pane of this server"));
    }

    /// Sets the visible screen of a pane.
    ///
    /// # Panics
    /// As [`Self::change`].
    pub fn set_screen(&self, pane: PaneId, screen: &str) {
        self.change(pane, |pane| screen.clone_into(&mut pane.screen));
    }

    /// Removes a pane, as when its program ends.
    pub fn remove(&self, pane: PaneId) {
        self.state().panes.remove(&pane);
    }

    /// What was asked for so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }
}

impl State {
    fn add(&mut self, name: &str, session: Option<SessionId>, size: Size, process: ProcessId) -> PaneRef {
        let number = self.next;
        self.next += 1;
        let (pane, session) = (PaneId::new(number), session.unwrap_or(SessionId::new(number)));
        let info = PaneInfo {
            id: pane,
            session,
            session_name: name.to_owned(),
            pid: process.pid,
            dead: false,
            dead_status: None,
            in_mode: false,
            size,
            alternate_on: false,
            output_at: None,
            active: true,
            window_active: true,
            session_attached: 0,
            current_command: String::new(),
            title: String::new(),
            current_path: None,
        };
        let made = ScriptedPane {
            info,
            start_ticks: process.start_ticks,
            screen: String::new(),
            next_screens: VecDeque::new(),
            composer: String::new(),
            marks: Marks::default(),
            options: BTreeMap::new(),
        };
        self.panes.insert(pane, made);
        PaneRef {
            socket: ScriptedTmux::SOCKET.to_owned(),
            session_name: name.to_owned(),
            session,
            pane,
            pid: process.pid,
            process: Some(process),
        }
    }

    /// Adds a pane that "runs" a program: pids count up from a range of their own.
    fn run(&mut self, name: &str, session: Option<SessionId>, size: Size, program: &Program) -> Result<PaneRef> {
        let first = program.argv.first().ok_or_else(|| TmuxError::Invalid("no program to run".to_owned()))?;
        let process = ProcessId { pid: 4_000_000 + self.next, start_ticks: u64::from(self.next) };
        let made = self.add(name, session, size, process);
        let info = &mut self.pane_mut(made.pane)?.info;
        info.current_command = first.rsplit('/').next().unwrap_or(first).to_owned();
        info.current_path = Some(program.cwd.clone());
        Ok(made)
    }

    /// Ends a step of typing on a pane: `effect` when nothing refuses, and what the asker learns of it.
    fn type_step(
        &mut self,
        pane: PaneId,
        refusal: impl FnOnce(&ScriptedPane, &TmuxVersion) -> Option<Refusal>,
        effect: impl FnOnce(&mut ScriptedPane),
    ) -> SendOutcome {
        let loss = self.losses.pop_front();
        if loss == Some(Loss::Before) {
            return SendOutcome::Unknown("the client was killed".to_owned());
        }
        let version = self.version.clone();
        let outcome = match self.panes.get_mut(&pane) {
            None => SendOutcome::Refused(Refusal::PaneGone),
            Some(found) => match refusal(found, &version) {
                Some(refusal) => SendOutcome::Refused(refusal),
                None => {
                    effect(found);
                    SendOutcome::Done
                }
            },
        };
        if loss == Some(Loss::After) { SendOutcome::Unknown("the client was killed".to_owned()) } else { outcome }
    }

    fn pane_mut(&mut self, pane: PaneId) -> Result<&mut ScriptedPane> {
        self.panes.get_mut(&pane).ok_or_else(|| TmuxError::NotFound(format!("pane: {pane}")))
    }

    /// Any pane of a session.
    fn member(&self, session: SessionId) -> Result<&ScriptedPane> {
        let mut panes = self.panes.values();
        panes
            .find(|pane| pane.info.session == session)
            .ok_or_else(|| TmuxError::NotFound(format!("session: {session}")))
    }

    fn kill(&mut self, pane: PaneId, process: ProcessId, session: Option<SessionId>) -> KillOutcome {
        match self.panes.get(&pane) {
            None => KillOutcome::Gone,
            Some(found) if found.process() != process => KillOutcome::Changed,
            Some(found) if session.is_some_and(|session| session != found.info.session) => KillOutcome::Changed,
            Some(_) => {
                self.panes.retain(|id, other| *id != pane && Some(other.info.session) != session);
                KillOutcome::Killed
            }
        }
    }
}

impl Tmux for ScriptedTmux {
    fn version(&self) -> Result<TmuxVersion> {
        Ok(self.answer()?.version.clone())
    }

    fn server_info(&self) -> Result<ServerInfo> {
        Ok(ServerInfo {
            pid: 1,
            started_at: Timestamp::from_millis(0),
            socket: Self::SOCKET.to_owned(),
            version: Some(self.answer()?.version.clone()),
        })
    }

    fn server_settings(&self) -> Result<ServerSettings> {
        self.answer().map(|_| ServerSettings::default())
    }

    fn sessions(&self) -> Result<Vec<SessionInfo>> {
        let state = self.answer()?;
        let by_id: BTreeMap<SessionId, SessionInfo> = state
            .panes
            .values()
            .map(|pane| {
                let info = &pane.info;
                let name = info.session_name.clone();
                (info.session, SessionInfo { id: info.session, name, attached: info.session_attached })
            })
            .collect();
        Ok(by_id.into_values().collect())
    }

    fn new_session(&self, new: &NewSession) -> Result<PaneRef> {
        let mut state = self.answer()?;
        state.calls.push(Call::NewSession(new.clone()));
        if state.panes.values().any(|pane| pane.info.session_name == new.name.as_str()) {
            return Err(TmuxError::Exists(new.name.to_string()));
        }
        state.run(new.name.as_str(), None, new.size, &new.program)
    }

    fn new_window(&self, new: &NewWindow) -> Result<PaneRef> {
        let mut state = self.answer()?;
        state.calls.push(Call::NewWindow(new.clone()));
        let PaneInfo { session_name, size, .. } = state.member(new.session)?.info.clone();
        state.run(&session_name, Some(new.session), size, &new.program)
    }

    fn split_window(&self, split: &Split) -> Result<PaneRef> {
        let mut state = self.answer()?;
        state.calls.push(Call::Split(split.clone()));
        let old = &mut state.pane_mut(split.pane)?.info;
        let mut size = old.size;
        // One cell goes to the border.
        let (old_side, new_side) = match split.direction {
            SplitDirection::Right => (&mut old.size.width, &mut size.width),
            SplitDirection::Below => (&mut old.size.height, &mut size.height),
        };
        *new_side = split.cells.unwrap_or(*old_side / 2).min(old_side.saturating_sub(2));
        *old_side = old_side.saturating_sub(*new_side + 1);
        let (name, session) = (old.session_name.clone(), old.session);
        state.run(&name, Some(session), size, &split.program)
    }

    fn panes(&self) -> Result<Vec<PaneInfo>> {
        Ok(self.answer()?.panes.values().map(|pane| pane.info.clone()).collect())
    }

    fn pane(&self, pane: PaneId) -> Result<Option<PaneInfo>> {
        Ok(self.answer()?.panes.get(&pane).map(|pane| pane.info.clone()))
    }

    fn capture(&self, pane: PaneId, _options: CaptureOptions) -> Result<String> {
        let mut state = self.answer()?;
        state.calls.push(Call::Capture(pane));
        Ok(state.pane_mut(pane)?.screen.clone())
    }

    fn shot(&self, pane: PaneId) -> Result<Shot> {
        let mut state = self.answer()?;
        state.calls.push(Call::Capture(pane));
        let pane = state.pane_mut(pane)?;
        let PaneInfo { size, pid, dead, in_mode, .. } = pane.info.clone();
        Ok(Shot { text: pane.screen.clone(), size, cursor: None, pid, dead, in_mode })
    }

    fn guarded_key(&self, guard: &Guard, key: Key) -> Result<KeyOutcome> {
        let mut state = self.answer()?;
        let refusal = guard.refuses(key).or_else(|| match state.panes.get(&guard.pane) {
            None => Some(Refusal::PaneGone),
            Some(pane) => pane.refusal(guard),
        });
        let outcome = refusal.map_or(KeyOutcome::Sent, KeyOutcome::Refused);
        if outcome == KeyOutcome::Sent {
            let pane = state.pane_mut(guard.pane)?;
            if let Some(screen) = pane.next_screens.pop_front() {
                pane.screen = screen;
            }
        }
        state.calls.push(Call::Key(guard.pane, key, outcome.clone()));
        Ok(outcome)
    }

    fn stage(&self, target: &Target, staging: &Staging<'_>) -> Result<SendOutcome> {
        let mut state = self.answer()?;
        if state.losses.front() == Some(&Loss::Before) {
            state.buffers.push(staging.buffer.as_str().to_owned());
        }
        let outcome = state.type_step(
            target.pane,
            |pane, version| pane.staging_refusal(target, staging, version),
            |pane| {
                staging.text.as_str().clone_into(&mut pane.composer);
                pane.marks.staged = staging.seq;
                pane.marks.owner = Some(target.install.clone());
            },
        );
        let text = staging.text.as_str().to_owned();
        state.calls.push(Call::Stage(target.pane, staging.seq, text, outcome.clone()));
        Ok(outcome)
    }

    fn submit(&self, target: &Target, submission: &Submission<'_>) -> Result<SendOutcome> {
        let mut state = self.answer()?;
        let outcome = state.type_step(
            target.pane,
            |pane, version| pane.submission_refusal(target, submission, version),
            |pane| {
                // The message goes into the transcript, above the composer.
                pane.screen = format!("› {}\n\n{}", pane.composer, pane.screen);
                pane.composer.clear();
                pane.marks.submitted = submission.seq;
                if let Some(screen) = pane.next_screens.pop_front() {
                    pane.screen = screen;
                }
            },
        );
        let key = lane::key_of(submission.key);
        state.calls.push(Call::Submit(target.pane, submission.seq, key, outcome.clone()));
        Ok(outcome)
    }

    fn hold(&self, target: &Target, seq: u64, fence: u64) -> Result<SendOutcome> {
        let mut state = self.answer()?;
        let outcome = state.type_step(
            target.pane,
            |pane, _| {
                if pane.process() != target.process {
                    Some(Refusal::ProcessChanged)
                } else if pane.marks.owner.as_ref() != Some(&target.install) {
                    Some(Refusal::OwnedByOther)
                } else {
                    (pane.marks.held > (seq, fence)).then_some(Refusal::TakenOver)
                }
            },
            |pane| pane.marks.held = (seq, fence),
        );
        state.calls.push(Call::Hold(target.pane, seq, fence, outcome.clone()));
        Ok(outcome)
    }

    fn forgo(&self, target: &Target, seq: u64) -> Result<SendOutcome> {
        let mut state = self.answer()?;
        let outcome = state.type_step(
            target.pane,
            |pane, _| {
                let is_other = pane.marks.owner.as_ref().is_some_and(|owner| *owner != target.install);
                if pane.process() != target.process {
                    Some(Refusal::ProcessChanged)
                } else if is_other {
                    Some(Refusal::OwnedByOther)
                } else {
                    (pane.marks.staged >= seq).then_some(Refusal::AlreadyStaged)
                }
            },
            |pane| {
                pane.marks.staged = seq;
                pane.marks.owner = Some(target.install.clone());
            },
        );
        state.calls.push(Call::Forgo(target.pane, seq, outcome.clone()));
        Ok(outcome)
    }

    fn interrupt(&self, target: &Target) -> Result<SendOutcome> {
        let mut state = self.answer()?;
        let outcome = state.type_step(
            target.pane,
            |pane, version| {
                let idle = || (!pane.is_busy()).then_some(Refusal::NotBusy);
                pane.typing_refusal(target, version).or_else(idle)
            },
            |pane| {
                if let Some(screen) = pane.next_screens.pop_front() {
                    pane.screen = screen;
                }
            },
        );
        state.calls.push(Call::Interrupt(target.pane, outcome.clone()));
        Ok(outcome)
    }

    fn answer_dialog(&self, target: &Target, answering: &Answering<'_>) -> Result<SendOutcome> {
        let mut state = self.answer()?;
        let outcome = state.type_step(
            target.pane,
            |pane, _| {
                let stands = |(index, row): &&(usize, String)| {
                    pane.screen.lines().nth(*index).is_some_and(|now| now.trim_end() == row.trim_end())
                };
                let missing = || answering.rows.iter().find(|row| !stands(row)).map(|(_, row)| row.trim().to_owned());
                pane.refusal(&Guard::process_only(target.pane, target.process))
                    .or_else(|| missing().map(Refusal::TextMissing))
            },
            |pane| {
                if let Some(screen) = pane.next_screens.pop_front() {
                    pane.screen = screen;
                }
            },
        );
        state.calls.push(Call::Answer(target.pane, answering.keys, outcome.clone()));
        Ok(outcome)
    }

    fn receipt(&self, pane: PaneId, install: &Install, sign: &Sign) -> Result<Option<Receipt>> {
        let state = self.answer()?;
        Ok(state.panes.get(&pane).map(|pane| {
            // The counters of another installation have other names.
            let ours = pane.marks.owner.as_ref() == Some(install);
            Receipt {
                pid: pane.info.pid,
                dead: pane.info.dead,
                staged: if ours { pane.marks.staged } else { 0 },
                submitted: if ours { pane.marks.submitted } else { 0 },
                owner: pane.marks.owner.as_ref().map(|owner| owner.as_str().to_owned()),
                sign: pane.sign_place(sign),
            }
        }))
    }

    fn sweep_buffers(&self, install: &Install, keep: &[BufferName]) -> Result<Vec<String>> {
        let mut state = self.answer()?;
        let left = |name: &String| {
            name.starts_with(&install.buffer_prefix()) && !keep.iter().any(|kept| kept.as_str() == name)
        };
        let (removed, kept) = std::mem::take(&mut state.buffers).into_iter().partition(left);
        state.buffers = kept;
        Ok(removed)
    }

    fn kill_pane(&self, pane: PaneId, process: ProcessId) -> Result<KillOutcome> {
        let mut state = self.answer()?;
        let outcome = state.kill(pane, process, None);
        state.calls.push(Call::KillPane(pane, outcome.clone()));
        Ok(outcome)
    }

    fn kill_session(&self, session: SessionId, pane: PaneId, process: ProcessId) -> Result<KillOutcome> {
        let mut state = self.answer()?;
        let outcome = state.kill(pane, process, Some(session));
        state.calls.push(Call::KillSession(session, outcome.clone()));
        Ok(outcome)
    }

    fn set_pane_option(&self, pane: PaneId, option: &PaneOption, value: &str) -> Result<()> {
        let mut state = self.answer()?;
        state.calls.push(Call::SetOption(pane, option.clone(), value.to_owned()));
        state.pane_mut(pane)?.options.insert(option.clone(), value.to_owned());
        Ok(())
    }

    fn pane_option(&self, pane: PaneId, option: &PaneOption) -> Result<Option<String>> {
        let value = self.answer()?.pane_mut(pane)?.options.get(option).cloned();
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn resize(&self, pane: PaneId, size: Size) -> Result<()> {
        let mut state = self.answer()?;
        state.calls.push(Call::Resize(pane, size));
        state.pane_mut(pane)?.info.size = size;
        Ok(())
    }

    fn switch_client(&self, pane: PaneId) -> Result<()> {
        let mut state = self.answer()?;
        state.calls.push(Call::SwitchClient(pane));
        state.pane_mut(pane).map(drop)
    }

    fn attach_argv(&self, pane: PaneId) -> Vec<String> {
        ["tmux", "-S", Self::SOCKET, "attach-session", "-t", &pane.to_string()].map(str::to_owned).into()
    }

    fn popup_argv(&self, _: &Path, argv: &[String]) -> Result<Vec<String>> {
        let head = ["tmux", "-S", Self::SOCKET, "display-popup", "-E", "--"].map(str::to_owned);
        Ok(head.into_iter().chain(argv.iter().cloned()).collect())
    }
}
