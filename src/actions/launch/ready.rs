//! Waits until a terminal that was opened shows what its session does, and answers the trust prompt if it may.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::spawn::{Plan, Trust};
use crate::{
    actions::fail,
    base::{Error, Kind, Result, text},
    model::{
        pane::{self, PaneReading, PaneState, Prompt},
        state::Source,
    },
    ports::{
        process::ProcessId,
        tmux::{CaptureOptions, Guard, Key, KeyOutcome, PaneInfo, PaneRef, ScreenText, Tmux, TmuxError},
    },
};

/// How long the thread's id may take to appear on a screen that is ready.
const ID_PATIENCE: Duration = Duration::from_secs(4);
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// An empty composer counts as ready when it has stood this long.
const SETTLED: Duration = Duration::from_millis(1_200);
/// How long the title of a terminal that was asked for nothing may spin before that is taken for a turn.
const SPIN_OF_A_START: Duration = Duration::from_secs(5);

/// How long what the screen shows has to stand before it is believed.
fn settles_after(plan: &Plan, reading: &PaneReading) -> Duration {
    match reading.state {
        // A terminal that starts spins as well. Behind it may be a turn that goes on in Codex's server.
        PaneState::Busy if reading.source == Source::Title && plan.prompt.is_none() => SPIN_OF_A_START,
        PaneState::Busy => Duration::ZERO,
        // Codex draws its composer before it knows that nobody is signed in, or that the thread is locked.
        PaneState::Idle | PaneState::Waiting | PaneState::Exited | PaneState::Unknown => SETTLED,
    }
}

/// Waits until the screen shows a composer, a running turn or a dialog, and for a moment more until it shows the
/// thread's id; answers the trust prompt if it may.
pub(super) fn wait(
    tmux: &dyn Tmux,
    plan: &Plan,
    pane: &PaneRef,
    process: ProcessId,
    shows_id: bool,
    interrupted: &dyn Fn() -> bool,
) -> Result<(PaneReading, bool)> {
    let mut stands: Option<(PaneState, Instant)> = None;
    let deadline = Instant::now() + plan.patience;
    let mut trust_accepted = false;
    loop {
        if interrupted() {
            return Err(super::interrupted());
        }
        let Some((info, screen)) = look(tmux, pane)? else {
            return Err(Error::refused(format!("codex ended while it started; its pane is gone (`{}`)", plan.name))
                .hint("run the same command by hand in this folder to see why"));
        };
        if info.dead {
            return Err(Error::refused(format!("codex ended while it started: {}", last_words(&screen))));
        }
        let reading = pane::read_pane(&screen, Some(&info.title));
        match (reading.state, reading.prompt) {
            (state @ (PaneState::Idle | PaneState::Busy), _) => {
                let now = Instant::now();
                let since = stands.filter(|(before, _)| *before == state).map_or(now, |(_, since)| since);
                stands = Some((state, since));
                let stood = now - since;
                // What came in time gets the time to settle.
                let settled = stood >= settles_after(plan, &reading) || now >= deadline + SETTLED;
                let id_is_late = stood >= ID_PATIENCE || now >= deadline;
                if settled && (!shows_id || reading.thread_id.is_some() || id_is_late) {
                    return Ok((reading, trust_accepted));
                }
            }
            (PaneState::Waiting, Some(Prompt::Trust)) if plan.trust == Trust::Accept => {
                if !trust_accepted {
                    trust_accepted = accept_trust(tmux, pane, process, &reading)?;
                }
            }
            (PaneState::Waiting, Some(Prompt::Locked)) => {
                return Err(Error::conflict("another program has this Codex thread open")
                    .hint("end it there first; the pane that was started has been closed again"));
            }
            (PaneState::Waiting, _) => return Ok((reading, trust_accepted)),
            (PaneState::Exited, _) => {
                return Err(Error::refused(format!("codex ended while it started: {}", last_words(&screen))));
            }
            (PaneState::Unknown, _) => stands = None,
        }
        if Instant::now() >= deadline && !matches!(reading.state, PaneState::Idle | PaneState::Busy) {
            return Err(Error::new(
                Kind::Unconfirmed,
                format!("codex showed no composer within {} s: {}", plan.patience.as_secs(), last_words(&screen)),
            )
            .hint("give it more time with --timeout-seconds; what was started has been closed again"));
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// The pane and its screen; none when it is gone, and its server perhaps with it.
fn look(tmux: &dyn Tmux, pane: &PaneRef) -> Result<Option<(PaneInfo, String)>> {
    let seen = tmux.pane(pane.pane).and_then(|info| match info {
        Some(info) => Ok(Some((info, tmux.capture(pane.pane, CaptureOptions::default())?))),
        None => Ok(None),
    });
    match seen {
        Err(TmuxError::NoServer(_) | TmuxError::NotFound(_)) => Ok(None),
        other => other.map_err(fail::tmux),
    }
}

/// The wordings of the trust prompt, each with the option that says yes and is selected from the start.
const TRUST_WORDS: &[(&str, &str)] = &[
    ("Trust this folder", "1. Trust and continue"),
    ("Do you trust the contents of this directory", "1. Yes"),
    ("You are running Codex in", "1. Yes"),
];

/// What approvals say, in every version known. No key is pressed while one of these is on the screen.
const APPROVAL_WORDS: &[&str] =
    &["Would you like to run", "Would you like to make", "Would you like to grant", "Allow command", "Apply changes"];

/// Presses Enter on a recognised trust prompt whose yes is selected; the server checks both texts once more.
fn accept_trust(tmux: &dyn Tmux, pane: &PaneRef, process: ProcessId, reading: &PaneReading) -> Result<bool> {
    let yes_selected = reading.options.iter().any(|option| {
        option.selected && (option.label.starts_with("Trust and continue") || option.label.starts_with("Yes"))
    });
    if !yes_selected {
        return Ok(false);
    }
    for (question, yes) in TRUST_WORDS {
        let text = |text: &str| ScreenText::new(text).map_err(fail::tmux);
        let forbidden = APPROVAL_WORDS.iter().map(|words| text(words)).collect::<Result<_>>()?;
        let guard = Guard { pane: pane.pane, process, required: vec![text(question)?, text(yes)?], forbidden };
        if tmux.guarded_key(&guard, Key::Enter).map_err(fail::tmux)? == KeyOutcome::Sent {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The end of a screen in one line, for an error.
fn last_words(screen: &str) -> String {
    let cleaned = text::clean(screen);
    let lines: Vec<&str> = cleaned.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(4)..].join(" / ");
    if tail.is_empty() { "the screen is empty".to_owned() } else { text::bounded(&tail, 300) }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{actions::launch::spawn::ServerUse, ports::tmux::ScriptedTmux};

    const PROCESS: ProcessId = ProcessId { pid: 7, start_ticks: 1 };

    #[test]
    fn trust_is_given_only_while_no_approval_is_on_the_screen() {
        let process = PROCESS;
        let trust = "Trust this folder?\n\n› 1. Trust and continue\n  2. Quit\n\n  Press enter to continue\n";
        for approval in APPROVAL_WORDS {
            let tmux = ScriptedTmux::default();
            let pane = tmux.add_session("codex-w1", process);
            let reading = pane::read_pane(trust, None);
            tmux.set_screen(pane.pane, &format!("{trust}\n{approval} the following?\n"));
            assert!(!accept_trust(&tmux, &pane, process, &reading).unwrap(), "{approval}");
            tmux.set_screen(pane.pane, trust);
            assert!(accept_trust(&tmux, &pane, process, &reading).unwrap(), "{:?}", tmux.calls());
        }
    }

    /// A terminal that has just been opened without a message, and what its screen shows.
    fn opened(seconds: u64, title: &str) -> (ScriptedTmux, PaneRef, Plan) {
        let tmux = ScriptedTmux::default();
        let pane = tmux.add_session("codex-w1", PROCESS);
        tmux.set_screen(pane.pane, "› Ask Codex to do anything\n\n  gpt-5.5 · ~/project\n");
        tmux.change(pane.pane, |pane| title.clone_into(&mut pane.info.title));
        let plan = Plan {
            name: "w1".to_owned(),
            tmux_name: "codex-w1".to_owned(),
            cwd: PathBuf::from("/"),
            prompt: None,
            sandbox: None,
            approval: None,
            model: None,
            extra: Vec::new(),
            server: ServerUse::Off,
            resume: Some("t".to_owned()),
            loaded: true,
            trust: Trust::Ask,
            patience: Duration::from_secs(seconds),
            program: None,
            writable: Vec::new(),
            ledger_unwritable: None,
        };
        (tmux, pane, plan)
    }

    #[test]
    fn the_spinner_of_a_start_is_waited_out() {
        let (tmux, pane, plan) = opened(30, "⠋ w1 | project");
        let reading = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(600));
                tmux.change(pane.pane, |pane| "w1 | project".clone_into(&mut pane.info.title));
            });
            wait(&tmux, &plan, &pane, PROCESS, /*shows_id*/ false, &|| false).unwrap().0
        });
        assert_eq!((reading.state, reading.rule), (PaneState::Idle, "composer_empty"));
        // A turn that goes on in the server shows the same for as long as it runs.
        let (tmux, pane, plan) = opened(1, "⠋ w1 | project");
        let reading = wait(&tmux, &plan, &pane, PROCESS, /*shows_id*/ false, &|| false).unwrap().0;
        assert_eq!((reading.state, reading.rule), (PaneState::Busy, "title_spinner"));
    }

    #[test]
    fn an_interrupted_start_waits_no_longer() {
        let (tmux, pane, plan) = opened(30, "vm");
        let error = wait(&tmux, &plan, &pane, PROCESS, /*shows_id*/ false, &|| true).unwrap_err();
        assert_eq!(error.kind(), Kind::Interrupted);
    }

    #[test]
    fn a_composer_that_stands_at_the_end_of_the_patience_is_one() {
        let (tmux, pane, plan) = opened(1, "vm");
        let reading = wait(&tmux, &plan, &pane, PROCESS, /*shows_id*/ false, &|| false).unwrap().0;
        assert_eq!(reading.rule, "composer_empty");
    }
}
