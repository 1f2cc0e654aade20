//! A session of Codex, simulated or real, that is typed into as a dispatcher would do it: look, stage, look, submit,
//! and the echo in the rollout.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use conveyor::{
    model::{
        codex::{CodexVersion, SubmitKey, steer_key, submit_key},
        pane::{DeferReason, Deferral, EmptyComposer, Held, Look, Steering, composer_holds, ready_for_text},
        rollout::{Fact, parse},
        typing::{Echo, Loss, TypedText, Typing, matches_echo, typed_message},
    },
    ports::tmux::{
        CaptureOptions, NewSession, PaneRef, Press, Program, Receipt, Refusal, SendOutcome, Size, Staging, Submission,
        Target, Tmux,
    },
};

use super::panes::{buffer, install, marker, receipt};
use crate::support::{
    tmux::{TmuxServer, process_of},
    wait_for,
};

/// The longest that anything may take; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Worker<'s> {
    pub server: &'s TmuxServer,
    pub made: PaneRef,
    home: PathBuf,
    version: CodexVersion,
    seq: Cell<u64>,
}

impl<'s> Worker<'s> {
    /// A session of the simulator, which plays this version.
    pub fn simulated(server: &'s TmuxServer, name: &str, version: &str, options: &[&str]) -> Self {
        let home = server.folder().join(format!("{name}.home"));
        fs::create_dir_all(&home).expect("a home");
        let shown = home.display().to_string();
        let mut argv = vec![env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon", "--dialect", version];
        argv.extend(["--codex-home", &shown]);
        argv.extend(options);
        Self::start(server, name, home.clone(), version.parse().expect("a version"), server.program(&argv))
    }

    /// A session of `program`, once it shows an empty composer.
    pub fn start(server: &'s TmuxServer, name: &str, home: PathBuf, version: CodexVersion, program: Program) -> Self {
        let size = Size { width: 100, height: 30 };
        let name = name.parse().expect("a name");
        let made =
            server.tmux().new_session(&NewSession { name, window_name: None, size, program }).expect("a session");
        let worker = Self { server, made, home, version, seq: Cell::new(0) };
        worker.wait_ready();
        worker
    }

    pub fn target(&self) -> Target {
        Target { pane: self.made.pane, process: process_of(&self.made), install: install() }
    }

    pub fn screen(&self) -> String {
        self.server.screen(self.made.pane)
    }

    /// Presses keys as a person does.
    pub fn press(&self, keys: &[&str]) {
        let pane = self.made.pane.to_string();
        self.server.plain(&[&["send-keys", "-t", &pane], keys].concat());
    }

    /// Types text as a person does.
    pub fn write(&self, text: &str) {
        let pane = self.made.pane.to_string();
        self.server.plain(&["send-keys", "-l", "-t", &pane, "--", text]);
        self.wait_for(text, |screen| screen.contains(text));
    }

    /// Presses Enter as a person does, and not so soon after other keys that Codex takes it for part of a paste.
    pub fn enter(&self) {
        std::thread::sleep(Duration::from_millis(300));
        self.press(&["Enter"]);
    }

    pub fn wait_for(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        self.patiently(what, || is_so(&self.screen()).then_some(()));
    }

    pub fn patiently<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = ask() {
                return value;
            }
            if Instant::now() > deadline {
                // Says what was waited for, with the screen.
                return wait_for(what, ask, || format!("{}\n{:?}", self.screen(), self.look(Steering::Waits)));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The look before a message.
    pub fn look(&self, steering: Steering) -> Result<EmptyComposer, Deferral> {
        let options = CaptureOptions { escapes: true, ..CaptureOptions::default() };
        let screen = self.server.tmux().capture(self.made.pane, options).expect("a screen");
        let info = self.server.tmux().pane(self.made.pane).expect("tmux answers").expect("the pane is there");
        ready_for_text(&Look {
            screen: &screen,
            title: Some(&info.title),
            width: info.size.width,
            height: info.size.height,
            in_mode: info.in_mode,
            dead: info.dead,
            steering,
        })
    }

    pub fn deferred(&self) -> Option<DeferReason> {
        self.look(Steering::Waits).err().map(|deferral| deferral.reason)
    }

    pub fn wait_ready(&self) -> EmptyComposer {
        self.patiently("an empty composer", || self.look(Steering::Waits).ok())
    }

    /// The next message, as it is typed.
    pub fn message(&self, message: &str) -> Message {
        self.seq.set(self.seq.get() + 1);
        let seq = self.seq.get();
        match typed_message(message.as_bytes(), &marker(seq), Loss::Accepted) {
            Ok(Typing::Typed { text, .. }) => Message { seq, text },
            other => panic!("{message:?}: {other:?}"),
        }
    }

    pub fn stage(&self, message: &Message, composer: EmptyComposer, steering: Steering) -> SendOutcome {
        // As of commands of their own: several sessions of a test share a server.
        let fence = u64::from(self.made.pid);
        let buffer = buffer(message.seq, fence);
        let staging = Staging { seq: message.seq, text: &message.text, composer, buffer, steering };
        self.server.tmux().stage(&self.target(), &staging).expect("tmux answers")
    }

    pub fn submit(&self, message: &Message, key: SubmitKey, steering: Steering) -> SendOutcome {
        let submission =
            Submission { seq: message.seq, fence: 1, sign: message.text.sign(), key, press: Press::First, steering };
        self.server.tmux().submit(&self.target(), &submission).expect("tmux answers")
    }

    /// Submits a message again that was submitted and has come back into the composer, and waits for its echo.
    pub fn finish_again(&self, message: &Message) {
        self.patiently("the key", || {
            let (key, steering) = (self.key(Steering::Waits), Steering::Waits);
            let submission = Submission {
                seq: message.seq,
                fence: 1,
                sign: message.text.sign(),
                key,
                press: Press::Again,
                steering,
            };
            let outcome = self.server.tmux().submit(&self.target(), &submission).expect("tmux answers");
            self.goes_on(&outcome).then_some(())
        });
        self.patiently("the echo", || (self.echo(message) == Echo::Ours).then_some(()));
    }

    /// The key for a message that starts a turn, or goes into one.
    pub fn key(&self, steering: Steering) -> SubmitKey {
        match steering {
            Steering::Waits => submit_key(Some(self.version)),
            Steering::Allowed => steer_key(),
        }
    }

    pub fn receipt(&self, message: &Message) -> Receipt {
        receipt(self.server, &self.made, message.text.sign())
    }

    pub fn holds(&self, message: &Message) -> Held {
        composer_holds(&self.screen(), &message.text)
    }

    /// Stages a message into an idle session and waits until the composer shows it.
    pub fn staged(&self, message: &str) -> Message {
        let message = self.message(message);
        self.patiently("the paste", || {
            let outcome = self.stage(&message, self.wait_ready(), Steering::Waits);
            self.goes_on(&outcome).then_some(())
        });
        self.patiently("the text in the composer", || (self.holds(&message) == Held::Whole).then_some(()));
        message
    }

    /// Submits a staged message and waits for its echo.
    pub fn finish(&self, message: &Message) {
        self.patiently("the key", || {
            let outcome = self.submit(message, self.key(Steering::Waits), Steering::Waits);
            self.goes_on(&outcome).then_some(())
        });
        self.patiently("the echo", || (self.echo(message) == Echo::Ours).then_some(()));
    }

    /// Delivers a message to an idle session, with its echo.
    pub fn deliver(&self, message: &str) -> Message {
        let message = self.staged(message);
        self.finish(&message);
        message
    }

    /// Whether a step was done; a refusal because the screen is being drawn, or a turn is not over yet, is no failure.
    fn goes_on(&self, outcome: &SendOutcome) -> bool {
        match outcome {
            SendOutcome::Done => true,
            SendOutcome::Refused(Refusal::Busy | Refusal::ComposerNotEmpty | Refusal::SignNotInComposer) => false,
            other => panic!("{other}\n{}", self.screen()),
        }
    }

    /// What all rollouts of the session tell, in order.
    pub fn facts(&self) -> Vec<Fact> {
        let mut files = rollouts(&self.home.join("sessions"));
        files.sort();
        let text: String = files.iter().map(|file| fs::read_to_string(file).expect("a rollout")).collect();
        // The last line may be half written.
        text.split_inclusive('\n').filter_map(|line| parse(line.trim_end().as_bytes()).ok()).map(|it| it.fact).collect()
    }

    /// The echoes of a message: its own, or altered.
    pub fn echoes(&self, message: &Message) -> Vec<Echo> {
        let marker = marker(message.seq);
        let hash = message.text.sha256();
        let echo = |fact: &Fact| match fact {
            Fact::UserMessage { text, injected: false, .. } => matches_echo(text, &marker, &hash),
            _ => Echo::None,
        };
        self.facts().iter().map(echo).filter(|echo| *echo != Echo::None).collect()
    }

    pub fn echo(&self, message: &Message) -> Echo {
        self.echoes(message).first().copied().unwrap_or(Echo::None)
    }

    /// How many commands have run to their good end; one that was denied has another.
    pub fn commands_run(&self) -> usize {
        self.facts().iter().filter(|fact| matches!(fact, Fact::Command { exit_code: Some(0), .. })).count()
    }
}

/// A message with its number.
pub struct Message {
    pub seq: u64,
    pub text: TypedText,
}

fn rollouts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(rollouts(&path));
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            found.push(path);
        }
    }
    found
}
