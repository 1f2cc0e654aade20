//! A pane of a scripted tmux, and what keeps keys and texts away from it.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    model::{
        pane::{self, Steering},
        typing::Sign,
    },
    ports::{
        process::ProcessId,
        tmux::{
            Guard, Install, PaneInfo, PaneOption, Press, Refusal, SignPlace, Staging, Submission, Support, Target,
            TmuxVersion,
        },
    },
};

/// A pane of a [`ScriptedTmux`](super::ScriptedTmux).
#[derive(Debug, Clone)]
pub struct ScriptedPane {
    /// What a listing shows.
    pub info: PaneInfo,
    /// Start time of its process.
    pub start_ticks: u64,
    /// The visible screen.
    pub screen: String,
    /// Screens that follow, one per key that gets through.
    pub next_screens: VecDeque<String>,
    /// What stands in the composer besides its placeholder. The composer itself is a row of `screen`.
    pub composer: String,
    pub(super) marks: Marks,
    pub(super) options: BTreeMap<PaneOption, String>,
}

/// The marks of one installation.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    pub(super) owner: Option<Install>,
    pub(super) staged: u64,
    pub(super) submitted: u64,
    /// The number that was taken over last, and under which fence.
    pub(super) held: (u64, u64),
}

impl ScriptedPane {
    pub(super) fn process(&self) -> ProcessId {
        ProcessId { pid: self.info.pid, start_ticks: self.start_ticks }
    }

    /// What a guard says about this pane now.
    pub(super) fn refusal(&self, guard: &Guard) -> Option<Refusal> {
        let shows = |text: &str| self.screen.lines().any(|line| line.contains(text));
        let missing = guard.required.iter().find(|text| !shows(text.as_str()));
        let present = guard.forbidden.iter().find(|text| shows(text.as_str()));
        if self.process() != guard.process {
            Some(Refusal::ProcessChanged)
        } else if self.info.dead {
            Some(Refusal::Dead)
        } else if self.info.in_mode {
            Some(Refusal::InMode)
        } else {
            missing
                .map(|text| Refusal::TextMissing(text.as_str().to_owned()))
                .or_else(|| present.map(|text| Refusal::TextPresent(text.as_str().to_owned())))
        }
    }

    /// What keeps every kind of typing away from this pane now.
    pub(super) fn typing_refusal(&self, target: &Target, version: &TmuxVersion) -> Option<Refusal> {
        let bare = Guard::process_only(target.pane, target.process);
        let too_old = || (version.support() == Support::TooOld).then(|| Refusal::TmuxTooOld(version.to_string()));
        let starts = |sign: &str| {
            let sign = sign.to_lowercase();
            self.screen.lines().any(|row| row.trim_start_matches([' ', '>', '▌']).to_lowercase().starts_with(&sign))
        };
        let dialog = || pane::dialog_signs().iter().find(|sign| starts(sign));
        let called = || self.info.title.contains("] Action Required").then(|| "Action Required".to_owned());
        self.refusal(&bare)
            .or_else(too_old)
            .or_else(|| dialog().map(|sign| Refusal::TextPresent((*sign).to_owned())))
            .or_else(|| called().map(Refusal::TextPresent))
    }

    pub(super) fn is_small(&self) -> bool {
        self.info.size.width < pane::MIN_WIDTH || self.info.size.height < pane::MIN_HEIGHT
    }

    pub(super) fn is_busy(&self) -> bool {
        let hint = format!("s • {}", pane::status_hint());
        self.screen.lines().any(|row| row.contains(&hint)) || self.info.title.starts_with(pane::spinner_frames())
    }

    /// What keeps a message away that may wait for the end of the turn.
    pub(super) fn message_refusal(
        &self,
        target: &Target,
        steering: Steering,
        version: &TmuxVersion,
    ) -> Option<Refusal> {
        let busy = || (steering == Steering::Waits && self.is_busy()).then_some(Refusal::Busy);
        let small = || self.is_small().then_some(Refusal::TooSmall);
        self.typing_refusal(target, version).or_else(small).or_else(busy)
    }

    pub(super) fn sign_place(&self, sign: &Sign) -> SignPlace {
        let (ends, shows) = match sign {
            Sign::Marker(marker) => {
                (self.composer.ends_with(&format!("{marker})")), self.screen.contains(marker.as_str()))
            }
            Sign::Command(command) => (self.composer == command.typed(), false),
        };
        if ends {
            SignPlace::InComposer
        } else if shows {
            SignPlace::OnScreen
        } else {
            SignPlace::Absent
        }
    }

    pub(super) fn staging_refusal(
        &self,
        target: &Target,
        staging: &Staging<'_>,
        version: &TmuxVersion,
    ) -> Option<Refusal> {
        let sign = self.sign_place(staging.text.sign());
        let shows_composer = self.screen.lines().any(|row| row == staging.composer.row());
        let checks = [
            (self.marks.owner.as_ref().is_some_and(|owner| *owner != target.install), Refusal::OwnedByOther),
            (self.marks.staged >= staging.seq, Refusal::AlreadyStaged),
            (sign != SignPlace::Absent, Refusal::SignOnScreen),
            (!self.composer.is_empty() || !shows_composer, Refusal::ComposerNotEmpty),
        ];
        let failed = || checks.into_iter().find(|(failed, _)| *failed).map(|(_, refusal)| refusal);
        self.message_refusal(target, staging.steering, version).or_else(failed)
    }

    pub(super) fn submission_refusal(
        &self,
        target: &Target,
        asked: &Submission<'_>,
        version: &TmuxVersion,
    ) -> Option<Refusal> {
        let checks = [
            (self.marks.owner.as_ref() != Some(&target.install), Refusal::OwnedByOther),
            (self.marks.staged < asked.seq, Refusal::NotStaged),
            (asked.press == Press::First && self.marks.submitted >= asked.seq, Refusal::AlreadySubmitted),
            (asked.press == Press::Again && self.marks.submitted != asked.seq, Refusal::NotSubmitted),
            (self.sign_place(asked.sign) != SignPlace::InComposer, Refusal::SignNotInComposer),
            (self.marks.held > (asked.seq, asked.fence), Refusal::TakenOver),
        ];
        let failed = || checks.into_iter().find(|(failed, _)| *failed).map(|(_, refusal)| refusal);
        self.message_refusal(target, asked.steering, version).or_else(failed)
    }
}
