//! The tmux server of the world, as a dispatcher sees it: the guards are those of [`ScriptedTmux`], the screens are drawn
//! from the world, and calls time out before or after their effect.

use std::{path::Path, sync::Arc};

use super::{
    effects::{Effect, Late},
    screen::with_escapes,
    stage::{At, Stage},
};
use crate::{
    actions::context::TmuxServers,
    model::typing::Sign,
    ports::{
        process::ProcessId,
        tmux::{
            Answering, BufferName, CaptureOptions, Guard, Install, Key, KeyOutcome, KillOutcome, NewSession, NewWindow,
            PaneId, PaneInfo, PaneOption, PaneRef, Receipt, ScriptedTmux, SendOutcome, ServerInfo, ServerSettings,
            SessionId, SessionInfo, Shot, Size, Split, Staging, Submission, Target, Tmux, TmuxError, TmuxVersion,
        },
    },
};

type Result<T> = std::result::Result<T, TmuxError>;

#[derive(Clone)]
pub(super) struct Panes {
    pub(super) stage: Arc<Stage>,
    pub(super) player: usize,
}

impl TmuxServers for Panes {
    fn at(&self, _socket: Option<&str>) -> Arc<dyn Tmux> {
        Arc::new(self.clone())
    }
}

impl Panes {
    /// A look: it may time out.
    fn look<T>(&self, name: &str, ask: impl FnOnce(&ScriptedTmux) -> Result<T>) -> Result<T> {
        self.stage.come_by(self.player, At::Call(name), None);
        let tmux = {
            let world = &mut self.stage.state().world;
            world.draw();
            if world.is_healed || !world.dice.once_in(150) { Some(Arc::clone(&world.tmux)) } else { None }
        };
        match tmux {
            Some(tmux) => ask(&tmux),
            None => {
                self.stage.state().world.count("tmux look timed out");
                self.stage.sleep(self.player, 2_000);
                Err(TmuxError::Timeout(name.to_owned()))
            }
        }
    }

    /// A step of typing: its client may end before or after the server has done it.
    fn step(&self, name: &str, what: Effect) -> Result<SendOutcome> {
        let looked_at = self.stage.state().players[self.player].looked_at;
        let late = Late { what, looked_at };
        self.stage.come_by(self.player, At::Call(name), Some(&late));
        let (outcome, is_slow) = {
            let world = &mut self.stage.state().world;
            let luck = if world.is_healed { 99 } else { world.dice.below(24) };
            let cut_off = || SendOutcome::Unknown("the client was killed".to_owned());
            match luck {
                0 => {
                    world.count("tmux step lost before its effect");
                    (cut_off(), true)
                }
                1 => {
                    world.count("tmux step lost after its effect");
                    world.carry_out(&late);
                    (cut_off(), true)
                }
                2 => {
                    world.arrives_late(late);
                    (cut_off(), true)
                }
                _ => (world.carry_out(&late).0.unwrap_or_else(cut_off), false),
            }
        };
        if is_slow {
            self.stage.sleep(self.player, 2_000);
        }
        self.stage.come_by(self.player, At::Call(name), None);
        Ok(outcome)
    }

    fn direct(&self) -> Arc<ScriptedTmux> {
        Arc::clone(&self.stage.state().world.tmux)
    }
}

impl Tmux for Panes {
    fn version(&self) -> Result<TmuxVersion> {
        self.direct().version()
    }

    fn server_info(&self) -> Result<ServerInfo> {
        self.look("server_info", ScriptedTmux::server_info)
    }

    fn server_settings(&self) -> Result<ServerSettings> {
        self.direct().server_settings()
    }

    fn sessions(&self) -> Result<Vec<SessionInfo>> {
        self.direct().sessions()
    }

    fn new_session(&self, new: &NewSession) -> Result<PaneRef> {
        self.direct().new_session(new)
    }

    fn new_window(&self, new: &NewWindow) -> Result<PaneRef> {
        self.direct().new_window(new)
    }

    fn split_window(&self, split: &Split) -> Result<PaneRef> {
        self.direct().split_window(split)
    }

    fn panes(&self) -> Result<Vec<PaneInfo>> {
        self.look("panes", ScriptedTmux::panes)
    }

    fn pane(&self, pane: PaneId) -> Result<Option<PaneInfo>> {
        self.look("pane", |tmux| tmux.pane(pane))
    }

    fn capture(&self, pane: PaneId, options: CaptureOptions) -> Result<String> {
        let screen = self.look("capture", |tmux| tmux.capture(pane, options))?;
        Ok(if options.escapes { with_escapes(&screen) } else { screen })
    }

    fn shot(&self, pane: PaneId) -> Result<Shot> {
        self.direct().shot(pane)
    }

    fn guarded_key(&self, guard: &Guard, key: Key) -> Result<KeyOutcome> {
        self.direct().guarded_key(guard, key)
    }

    fn stage(&self, target: &Target, staging: &Staging<'_>) -> Result<SendOutcome> {
        let Staging { seq, text, composer, buffer, .. } = staging.clone();
        self.step("stage", Effect::Stage { target: target.clone(), seq, text: text.clone(), composer, buffer })
    }

    fn submit(&self, target: &Target, submission: &Submission<'_>) -> Result<SendOutcome> {
        let Submission { seq, fence, sign, key, press, .. } = submission.clone();
        self.step("submit", Effect::Submit { target: target.clone(), seq, fence, sign: sign.clone(), key, press })
    }

    fn hold(&self, target: &Target, seq: u64, fence: u64) -> Result<SendOutcome> {
        self.step("hold", Effect::Hold { target: target.clone(), seq, fence })
    }

    fn forgo(&self, target: &Target, seq: u64) -> Result<SendOutcome> {
        self.step("forgo", Effect::Forgo { target: target.clone(), seq })
    }

    fn interrupt(&self, target: &Target) -> Result<SendOutcome> {
        self.direct().interrupt(target)
    }

    fn answer_dialog(&self, target: &Target, answering: &Answering<'_>) -> Result<SendOutcome> {
        self.direct().answer_dialog(target, answering)
    }

    fn receipt(&self, pane: PaneId, install: &Install, sign: &Sign) -> Result<Option<Receipt>> {
        self.look("receipt", |tmux| tmux.receipt(pane, install, sign))
    }

    fn sweep_buffers(&self, install: &Install, keep: &[BufferName]) -> Result<Vec<String>> {
        self.look("sweep_buffers", |tmux| tmux.sweep_buffers(install, keep))
    }

    fn kill_pane(&self, pane: PaneId, process: ProcessId) -> Result<KillOutcome> {
        self.direct().kill_pane(pane, process)
    }

    fn kill_session(&self, session: SessionId, pane: PaneId, process: ProcessId) -> Result<KillOutcome> {
        self.direct().kill_session(session, pane, process)
    }

    fn set_pane_option(&self, pane: PaneId, option: &PaneOption, value: &str) -> Result<()> {
        self.direct().set_pane_option(pane, option, value)
    }

    fn pane_option(&self, pane: PaneId, option: &PaneOption) -> Result<Option<String>> {
        self.direct().pane_option(pane, option)
    }

    fn resize(&self, pane: PaneId, size: Size) -> Result<()> {
        self.direct().resize(pane, size)
    }

    fn switch_client(&self, pane: PaneId) -> Result<()> {
        self.direct().switch_client(pane)
    }

    fn attach_argv(&self, pane: PaneId) -> Vec<String> {
        self.direct().attach_argv(pane)
    }

    fn popup_argv(&self, cwd: &Path, argv: &[String]) -> Result<Vec<String>> {
        self.direct().popup_argv(cwd, argv)
    }
}
