//! Panes that look like an empty composer, or like one with a message in it, and write down every byte they get.

use std::{cell::Cell, fs, path::PathBuf};

use conveyor::{
    model::{
        codex::SubmitKey,
        pane::{EmptyComposer, Look, Steering, ready_for_text},
        typing::{Loss, Marker, Sign, TypedText, Typing, typed_message},
    },
    ports::{
        process::ProcessId,
        tmux::{
            BufferName, Install, NewSession, PaneRef, Press, Receipt, SendOutcome, Size, Staging, Submission, Target,
            Tmux, TmuxError,
        },
    },
};

use crate::support::{
    tmux::{TmuxServer, process_of},
    wait_for,
};

pub fn install() -> Install {
    Install::new("test1").expect("the name of an installation")
}

pub fn marker(seq: u64) -> Marker {
    Marker::of_command(&format!("command-{seq}"))
}

/// A message that is short enough and shows nothing odd.
pub fn text(message: &str, seq: u64) -> TypedText {
    match typed_message(message.as_bytes(), &marker(seq), Loss::Refused) {
        Ok(Typing::Typed { text, .. }) => text,
        other => panic!("{message:?}: {other:?}"),
    }
}

pub fn buffer(seq: u64, fence: u64) -> BufferName {
    BufferName::new(&install(), &format!("c{seq}"), fence).expect("the name of a buffer")
}

/// What a pane shows, with its placeholder dim, as the look before the paste sees it.
pub fn empty_composer(steering: Steering) -> EmptyComposer {
    let screen = "› \u{1b}[2mAsk Codex to do anything\u{1b}[0m\n\n  GPT-6.1-Sol default · ~/project\n";
    let look = Look { screen, title: None, width: 80, height: 24, in_mode: false, dead: false, steering };
    ready_for_text(&look).expect("an empty composer")
}

/// The screen of an empty composer with the cursor where a person would type.
pub const COMPOSER: &str =
    r"\033[2J\033[10;1H› \033[2mAsk Codex to do anything\033[0m\033[12;1H  GPT-6.1-Sol default\033[10;3H";

/// A program that draws `screen` (in the words of printf), takes pastes as such, and keeps all that it gets.
pub fn keeper(server: &TmuxServer, name: &str, screen: &str) -> (Vec<String>, PathBuf) {
    let kept = server.folder().join(format!("{name}.kept"));
    let script = format!("stty raw -echo; printf '\\033[?2004h{screen}'; exec cat > '{}'", kept.display());
    (["sh", "-c", &script].map(str::to_owned).into(), kept)
}

/// A pane that keeps what it gets.
pub struct Pane<'s> {
    pub server: &'s TmuxServer,
    pub made: PaneRef,
    kept: PathBuf,
    fence: Cell<u64>,
}

impl<'s> Pane<'s> {
    /// A pane of 80 x 24 that shows an empty composer.
    pub fn start(server: &'s TmuxServer, name: &str) -> Self {
        Self::showing(server, name, COMPOSER, Size { width: 80, height: 24 })
    }

    /// A pane whose screen is given in the words of printf; the cursor stays where that leaves it.
    pub fn showing(server: &'s TmuxServer, name: &str, screen: &str, size: Size) -> Self {
        let (argv, kept) = keeper(server, name, screen);
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        let new = NewSession {
            name: name.parse().expect("a name"),
            window_name: None,
            size,
            program: server.program(&words),
        };
        let made = server.tmux().new_session(&new).expect("a session");
        Self::of(server, made, kept)
    }

    /// A pane that was started with the program of [`keeper`].
    pub fn of(server: &'s TmuxServer, made: PaneRef, kept: PathBuf) -> Self {
        let pane = Self { server, made, kept, fence: Cell::new(1) };
        // The program has replaced the shell when its file is there, and has drawn before that.
        pane.server.wait_until("the program", pane.made.pane, || pane.kept.exists() && !pane.screen().is_empty());
        pane
    }

    pub fn screen(&self) -> String {
        self.server.screen(self.made.pane).trim().to_owned()
    }

    pub fn process(&self) -> ProcessId {
        process_of(&self.made)
    }

    pub fn target(&self) -> Target {
        Target { pane: self.made.pane, process: self.process(), install: install() }
    }

    pub fn name(&self) -> String {
        self.made.pane.to_string()
    }

    /// All that the pane got.
    pub fn bytes(&self) -> Vec<u8> {
        fs::read(&self.kept).unwrap_or_default()
    }

    /// The pastes that the pane got, and what came outside of them.
    pub fn pastes(&self) -> (Vec<String>, Vec<u8>) {
        split_pastes(&self.bytes())
    }

    /// Waits until the pane got this many pastes.
    pub fn wait_for_pastes(&self, count: usize) -> Vec<String> {
        let all = || Some(self.pastes().0).filter(|pastes| pastes.len() >= count);
        wait_for("the paste", all, || format!("{:?}", self.pastes()))
    }

    pub fn stage_with(&self, tmux: &impl Tmux, target: &Target, seq: u64, steering: Steering) -> SendOutcome {
        let fence = self.fence.replace(self.fence.get() + 1);
        let text = text(&format!("message {seq}"), seq);
        let composer = empty_composer(Steering::Waits);
        let staging = Staging { seq, text: &text, composer, buffer: buffer(seq, fence), steering };
        tmux.stage(target, &staging).expect("tmux answers")
    }

    /// Stages a first message, whatever comes of it.
    pub fn stage_result(&self, target: &Target) -> Result<SendOutcome, TmuxError> {
        let text = text("message 1", 1);
        let (composer, steering) = (empty_composer(Steering::Waits), Steering::Waits);
        let staging = Staging { seq: 1, text: &text, composer, buffer: buffer(1, 1), steering };
        self.server.tmux().stage(target, &staging)
    }

    pub fn stage(&self, seq: u64) -> SendOutcome {
        self.stage_with(self.server.tmux(), &self.target(), seq, Steering::Waits)
    }

    pub fn submit_with(&self, tmux: &impl Tmux, target: &Target, seq: u64, sign: &Sign, key: SubmitKey) -> SendOutcome {
        let submission = Submission { seq, fence: 1, sign, key, press: Press::First, steering: Steering::Waits };
        tmux.submit(target, &submission).expect("tmux answers")
    }

    pub fn receipt(&self, sign: &Sign) -> Receipt {
        receipt(self.server, &self.made, sign)
    }
}

pub fn receipt(server: &TmuxServer, pane: &PaneRef, sign: &Sign) -> Receipt {
    server.tmux().receipt(pane.pane, &install(), sign).expect("tmux answers").expect("the pane is there")
}

/// What stands between the brackets of pastes, and what stands outside.
pub fn split_pastes(bytes: &[u8]) -> (Vec<String>, Vec<u8>) {
    const BEGIN: &[u8] = b"\x1b[200~";
    const END: &[u8] = b"\x1b[201~";
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|part| part == what);
    let (mut pastes, mut outside, mut rest) = (Vec::new(), Vec::new(), bytes);
    while let Some(begin) = find(rest, BEGIN) {
        outside.extend_from_slice(&rest[..begin]);
        let inside = &rest[begin + BEGIN.len()..];
        let Some(end) = find(inside, END) else { return (pastes, outside) };
        pastes.push(String::from_utf8(inside[..end].to_vec()).expect("UTF-8"));
        rest = &inside[end + END.len()..];
    }
    outside.extend_from_slice(rest);
    (pastes, outside)
}

/// The names of all paste buffers.
pub fn buffers(server: &TmuxServer) -> Vec<String> {
    server.plain(&["list-buffers", "-F", "#{buffer_name}"]).lines().map(str::to_owned).collect()
}
