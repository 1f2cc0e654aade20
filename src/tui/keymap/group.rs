//! What keys are for, so that the help can be read by purpose.

use super::Intent;
use crate::text_enum;

text_enum! {
    /// What a key is for.
    pub enum Group {
        /// It does something to what is selected.
        Act => "act",
        /// It shows more of what is selected.
        Look => "look",
        /// It begins something new.
        Begin => "begin",
        /// It leads elsewhere.
        Go => "go",
        /// It is about the cockpit.
        Cockpit => "cockpit",
        /// It moves in lists and texts, or types.
        Move => "move",
    }
}

impl Group {
    /// The purpose as a heading.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::Act => "act on it",
            Self::Look => "look closer",
            Self::Begin => "begin something",
            Self::Go => "go elsewhere",
            Self::Cockpit => "the cockpit",
            Self::Move => "move",
        }
    }
}

impl Intent {
    /// What it is for.
    #[must_use]
    pub fn group(self) -> Group {
        match self {
            Self::Nudge
            | Self::Interrupt
            | Self::Answer
            | Self::Approve
            | Self::Decline
            | Self::CancelTurn
            | Self::Settle
            | Self::Retry
            | Self::TakeBack
            | Self::Arrived
            | Self::Attach
            | Self::Snooze
            | Self::Pin
            | Self::Unread
            | Self::Cycle
            | Self::Finish
            | Self::Criteria
            | Self::Policy
            | Self::Record
            | Self::Judge
            | Self::Propose
            | Self::HaveJudged
            | Self::WorkerAck
            | Self::ManagerAck
            | Self::Handoff
            | Self::Decide
            | Self::Terms
            | Self::Contract
            | Self::AcceptCriterion
            | Self::SatisfyCriterion
            | Self::DeferCriterion
            | Self::RejectCriterion
            | Self::StopTask
            | Self::EndSaid
            | Self::Compact
            | Self::Budget
            | Self::Resume
            | Self::Stop
            | Self::Unbind
            | Self::Choose => Group::Act,
            Self::Open
            | Self::Explain
            | Self::RawPane
            | Self::Diff
            | Self::Unfold
            | Self::NextEntry
            | Self::PreviousEntry
            | Self::PanLeft
            | Self::PanRight
            | Self::Follow
            | Self::Kinds
            | Self::Jump
            | Self::Gone => Group::Look,
            Self::NewTask | Self::AddCriterion | Self::StartWorker | Self::Adopt | Self::Bind => Group::Begin,
            Self::Fleet
            | Self::Task
            | Self::Events
            | Self::Inbox
            | Self::Dispatch
            | Self::Doctor
            | Self::NextNeed
            | Self::PreviousNeed
            | Self::Palette
            | Self::Filter
            | Self::Receipts
            | Self::NextPane
            | Self::Back => Group::Go,
            Self::Pause
            | Self::Reload
            | Self::Copy
            | Self::Mouse
            | Self::Ringing
            | Self::Repaint
            | Self::Suspend
            | Self::Help
            | Self::Quit => Group::Cockpit,
            Self::Down
            | Self::Up
            | Self::Top
            | Self::Bottom
            | Self::PageDown
            | Self::PageUp
            | Self::Accept
            | Self::Erase
            | Self::EraseAll
            | Self::EraseNext
            | Self::EraseWord
            | Self::LineBreak
            | Self::Left
            | Self::Right
            | Self::WordLeft
            | Self::WordRight
            | Self::LineStart
            | Self::LineEnd
            | Self::Yes
            | Self::No
            | Self::WithWorker
            | Self::WithManager
            | Self::NextField
            | Self::PreviousField
            | Self::Submit
            | Self::Toggle
            | Self::StartOver => Group::Move,
        }
    }
}
