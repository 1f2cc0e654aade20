//! The screens of panes, read again only when something was printed.
//!
//! A look at fifty panes in a second would be fifty clients of tmux. The list of panes tells in which second each window
//! printed last, so a screen that was read after that second is still the same.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::sense::hash;
use crate::{
    model::{
        pane::{self, PaneReading},
        state::{Readiness, Reading},
    },
    ports::tmux::{CaptureOptions, PaneInfo, Tmux, TmuxError},
};

/// tmux tells the time of the last output in whole seconds: more may have come within that second.
const SETTLED: Duration = Duration::from_millis(1_100);

/// A screen is read again after this long in any case: a person can have tmux reset it without any output.
const KEPT: Duration = Duration::from_secs(30);

/// Screens that are kept for longer than this are read again together, when one of them is due.
const NEARLY: Duration = Duration::from_secs(20);

/// What title and screen of a pane say.
#[derive(Debug, Clone)]
pub(super) struct PaneSeen {
    pub(super) title: Option<Reading>,
    pub(super) title_sha256: String,
    pub(super) ready: Readiness,
    pub(super) screen: String,
    pub(super) screen_sha256: String,
    pub(super) pane: PaneReading,
}

impl PaneSeen {
    fn of(info: &PaneInfo, screen: String) -> Self {
        // The screen is read by itself, or one spinner would count as two sensors that agree; only whether text could be
        // sent needs both.
        let pane = pane::read_pane(&screen, None);
        let safe = pane::read_pane(&screen, Some(&info.title)).safe_to_paste;
        Self {
            title: pane::read_title(&info.title).map(|title| title.reading()),
            title_sha256: hash(&info.title),
            ready: if safe && !info.in_mode { Readiness::Ready } else { Readiness::NotReady },
            screen_sha256: hash(&screen),
            screen,
            pane,
        }
    }
}

/// The screens of all sessions, by session id.
#[derive(Default)]
pub(super) struct Screens(BTreeMap<String, Screen>);

struct Screen {
    info: PaneInfo,
    /// Since when tmux has listed the pane like this.
    since: Instant,
    /// The screen, read when it had settled, and when that was.
    seen: Option<(Instant, PaneSeen)>,
    is_in_use: bool,
}

impl Screens {
    /// Forgets what nobody looked at in the last round.
    pub(super) fn begin_round(&mut self) {
        self.0.retain(|_, screen| std::mem::take(&mut screen.is_in_use));
    }

    /// Reads what was kept too long again, in one go: fifty screens one by one are fifty clients of tmux. `listed` is what
    /// tmux has just told of its panes.
    pub(super) fn renew(&mut self, tmux: &dyn Tmux, listed: &[PaneInfo]) {
        let now = Instant::now();
        let age = |read_at: Instant| now.duration_since(read_at);
        let old = self.0.values_mut().filter_map(|screen| {
            let seen = screen.seen.as_mut().filter(|(read_at, _)| age(*read_at) >= NEARLY)?;
            listed.contains(&screen.info).then_some((&screen.info, seen))
        });
        let old: Vec<_> = old.collect();
        if !old.iter().any(|(_, (read_at, _))| age(*read_at) >= KEPT) {
            return;
        }
        let panes: Vec<_> = old.iter().map(|(info, _)| info.id).collect();
        // One that went meanwhile hides the others; then each is read by itself.
        let Ok(screens) = tmux.captures(&panes) else { return };
        for ((info, seen), screen) in old.into_iter().zip(screens) {
            *seen = (now, PaneSeen::of(info, screen));
        }
    }

    /// The screen of the session's pane, which tmux has just listed.
    pub(super) fn look(&mut self, tmux: &dyn Tmux, session_id: &str, info: PaneInfo) -> Result<PaneSeen, TmuxError> {
        let now = Instant::now();
        let known = self.0.remove(session_id).filter(|known| known.info == info);
        let mut screen = known.unwrap_or(Screen { info, since: now, seen: None, is_in_use: true });
        screen.is_in_use = true;
        let kept = screen.seen.take().filter(|(read_at, _)| now.duration_since(*read_at) < KEPT);
        let (read_at, seen) = match kept {
            Some(kept) => kept,
            None => (now, PaneSeen::of(&screen.info, tmux.capture(screen.info.id, CaptureOptions::default())?)),
        };
        let has_settled = screen.info.output_at.is_some() && now.duration_since(screen.since) >= SETTLED;
        screen.seen = has_settled.then(|| (read_at, seen.clone()));
        self.0.insert(session_id.to_owned(), screen);
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{
        process::ProcessId,
        tmux::{PaneId, ScriptedTmux},
    };

    #[test]
    fn a_screen_is_read_again_when_something_may_have_been_printed() {
        let tmux = ScriptedTmux::default();
        let pane = tmux.add_session("s", ProcessId { pid: 7, start_ticks: 1 }).pane;
        let printed_at = |second| tmux.change(pane, |pane| pane.info.output_at = second);
        let mut screens = Screens::default();
        let mut look = |screen: &str, passed: Duration| {
            tmux.set_screen(pane, screen);
            screens.begin_round();
            if let Some(known) = screens.0.get_mut("a") {
                known.since -= passed;
                known.seen = known.seen.take().map(|(at, seen)| (at - passed, seen));
            }
            let info = tmux.pane(pane).unwrap().unwrap();
            screens.look(&tmux, "a", info).unwrap().screen.trim().to_owned()
        };
        printed_at(Some(100));
        assert_eq!(look("first", Duration::ZERO), "first");
        assert_eq!(look("later in the same second", Duration::ZERO), "later in the same second");
        assert_eq!(look("settled", SETTLED), "settled");
        assert_eq!(look("reset by a person", SETTLED), "settled");
        assert_eq!(look("reset by a person", KEPT), "reset by a person");
        printed_at(Some(101));
        assert_eq!(look("new output", Duration::ZERO), "new output");
        printed_at(None);
        assert_eq!(look("no word of tmux", SETTLED), "no word of tmux");
        assert_eq!(look("none again", SETTLED), "none again");
    }

    #[test]
    fn old_screens_are_read_again_together() {
        let tmux = ScriptedTmux::default();
        let mut screens = Screens::default();
        let panes: Vec<_> = (0..3)
            .map(|number| {
                let pane = tmux.add_session(&format!("s{number}"), ProcessId { pid: 7 + number, start_ticks: 1 }).pane;
                tmux.change(pane, |pane| pane.info.output_at = Some(100));
                tmux.set_screen(pane, "before");
                pane
            })
            .collect();
        let mut round = |passed: [Duration; 3]| {
            screens.begin_round();
            for ((_, screen), passed) in screens.0.iter_mut().zip(passed) {
                screen.since -= passed;
                screen.seen = screen.seen.take().map(|(at, seen)| (at - passed, seen));
            }
            let listed = tmux.panes().unwrap();
            screens.renew(&tmux, &listed);
            let shown = |(number, pane): (usize, &PaneId)| {
                let info = listed.iter().find(|info| info.id == *pane).unwrap().clone();
                screens.look(&tmux, &format!("s{number}"), info).unwrap().screen.trim().to_owned()
            };
            panes.iter().enumerate().map(shown).collect::<Vec<_>>()
        };
        round([Duration::ZERO; 3]);
        assert_eq!(round([SETTLED; 3]), ["before", "before", "before"]);
        for pane in &panes {
            tmux.set_screen(*pane, "reset");
        }
        assert_eq!(round([NEARLY; 3]), ["before", "before", "before"], "none is due");
        assert_eq!(round([KEPT - NEARLY, Duration::ZERO, Duration::ZERO]), ["reset", "reset", "reset"], "one is");
        tmux.set_screen(panes[1], "again");
        tmux.change(panes[1], |pane| pane.info.output_at = Some(101));
        assert_eq!(round([KEPT, Duration::ZERO, Duration::ZERO]), ["reset", "again", "reset"], "the listed one");
    }

    #[test]
    fn what_nobody_looks_at_is_forgotten() {
        let tmux = ScriptedTmux::default();
        let pane = tmux.add_session("s", ProcessId { pid: 7, start_ticks: 1 }).pane;
        let mut screens = Screens::default();
        screens.look(&tmux, "a", tmux.pane(pane).unwrap().unwrap()).unwrap();
        screens.begin_round();
        assert_eq!(screens.0.len(), 1);
        screens.begin_round();
        assert_eq!(screens.0.len(), 0);
    }
}
