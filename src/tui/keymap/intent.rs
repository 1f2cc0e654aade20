//! What keys mean, and where they do.

use crate::text_enum;

text_enum! {
    /// Where a key works. A layer on top hides the screens below it.
    pub enum Place {
        /// Everywhere.
        Always => "always",
        /// On every screen, while no layer is open.
        Screen => "screen",
        /// On the Fleet screen.
        Fleet => "fleet",
        /// On the Task screen.
        Task => "task",
        /// On the Events screen.
        Events => "events",
        /// On the Inbox screen.
        Inbox => "inbox",
        /// On the Dispatch screen.
        Dispatch => "dispatch",
        /// On the Doctor screen.
        Doctor => "doctor",
        /// In an input line.
        Input => "input",
        /// In a message that is written.
        Message => "message",
        /// In the help.
        Help => "help",
        /// In a text that is only read: messages, explanations.
        Reader => "reader",
        /// In a question.
        Confirm => "confirm",
        /// Over what a session asks.
        Answer => "answer",
        /// In a form.
        Form => "form",
        /// In the palette.
        Palette => "palette",
        /// In the list of receipts.
        Receipts => "receipts",
        /// Over the lengths of a snooze.
        Snooze => "snooze",
        /// Over the gates of a task.
        Finish => "finish",
        /// Over the terms of a task.
        Policy => "policy",
        /// Over what was said about a task.
        Record => "record",
        /// Over the criteria of a task.
        Criteria => "criteria",
    }
}

text_enum! {
    /// What a key means.
    pub enum Intent {
        /// Next row or line.
        Down => "down",
        /// Previous row or line.
        Up => "up",
        /// First row.
        Top => "top",
        /// Last row.
        Bottom => "bottom",
        /// One page on.
        PageDown => "page_down",
        /// One page back.
        PageUp => "page_up",
        /// Look closer.
        Open => "open",
        /// Show a long entry in full.
        Unfold => "unfold",
        /// Choose the next entry.
        NextEntry => "next_entry",
        /// Choose the previous entry.
        PreviousEntry => "previous_entry",
        /// See more of the left.
        PanLeft => "pan_left",
        /// See more of the right.
        PanRight => "pan_right",
        /// The next pane gets the keyboard.
        NextPane => "next_pane",
        /// Back out one level.
        Back => "back",
        /// Show the Fleet screen.
        Fleet => "show_fleet",
        /// Show the Task screen.
        Task => "show_task",
        /// Show the Events screen.
        Events => "show_events",
        /// Show the Inbox screen.
        Inbox => "show_inbox",
        /// Show the Dispatch screen.
        Dispatch => "show_dispatch",
        /// Show the Doctor screen.
        Doctor => "show_doctor",
        /// The next row that needs the operator.
        NextNeed => "next_need",
        /// The previous row that needs the operator.
        PreviousNeed => "previous_need",
        /// Edit the filter.
        Filter => "filter",
        /// Take what was typed.
        Accept => "accept",
        /// Delete the last character.
        Erase => "erase",
        /// Delete the character under the cursor.
        EraseNext => "erase_next",
        /// Delete back to the beginning of a word.
        EraseWord => "erase_word",
        /// Begin a new line.
        LineBreak => "line_break",
        /// One character back.
        Left => "left",
        /// One character on.
        Right => "right",
        /// One word back.
        WordLeft => "word_left",
        /// One word on.
        WordRight => "word_right",
        /// To the beginning of the line.
        LineStart => "line_start",
        /// To the end of the line.
        LineEnd => "line_end",
        /// Delete the whole input.
        EraseAll => "erase_all",
        /// Show the keys.
        Help => "help",
        /// Show why a session is in its state.
        Explain => "explain",
        /// Hand the terminal to the session's pane.
        Attach => "attach",
        /// Show the pane instead of the conversation.
        RawPane => "raw_pane",
        /// Observe the task's worker once.
        Cycle => "cycle",
        /// Write a message to the worker.
        Nudge => "nudge",
        /// End the running turn.
        Interrupt => "interrupt",
        /// Show what the session asks.
        Answer => "answer",
        /// Say yes to what it asks, this once.
        Approve => "approve",
        /// Say no to what it asks.
        Decline => "decline",
        /// Say no to what it asks, and end the turn.
        CancelTurn => "cancel_turn",
        /// Stop every delivery, or let deliveries go on.
        Pause => "pause",
        /// Queue what was given up again.
        Retry => "retry",
        /// Take back what waits.
        TakeBack => "take_back",
        /// Say that an uncertain message arrived.
        Arrived => "arrived",
        /// Answer what is put to the operator.
        Settle => "settle",
        /// Show what a session has changed in its working tree.
        Diff => "diff",
        /// Put the row aside for a while.
        Snooze => "snooze",
        /// Pin the row, or let it go.
        Pin => "pin",
        /// Mark the session unread.
        Unread => "unread",
        /// Show the sessions that are gone, or fold them.
        Gone => "gone",
        /// Register the sessions that run unregistered.
        Adopt => "adopt",
        /// Choose a row for what goes to several, or let it go.
        Choose => "choose",
        /// Record a task.
        NewTask => "new_task",
        /// Start a worker.
        StartWorker => "start_worker",
        /// Bind worker and manager to a task.
        Bind => "bind",
        /// End a binding.
        Unbind => "unbind",
        /// Have a worker compact its context.
        Compact => "compact",
        /// Limit a task's nudges.
        Budget => "budget",
        /// End a session.
        Stop => "stop",
        /// Show the gates of a task, and finish it there.
        Finish => "finish",
        /// Show the terms of a task.
        Policy => "policy",
        /// Write down what the work of a task is held to.
        Contract => "contract",
        /// Show what was said about a task: proposals, acknowledgements, handoff, decisions.
        Record => "record",
        /// Judge two proposals.
        Judge => "judge",
        /// Propose what comes next.
        Propose => "propose",
        /// Have the program that is set judge two proposals.
        HaveJudged => "have_judged",
        /// Acknowledge the terms for the worker.
        WorkerAck => "worker_ack",
        /// Acknowledge the terms for the manager.
        ManagerAck => "manager_ack",
        /// Record what whoever goes on has to know.
        Handoff => "handoff",
        /// Record a decision.
        Decide => "decide",
        /// Change the terms of a task.
        Terms => "terms",
        /// Show the criteria of a task, and what can be done about them.
        Criteria => "criteria",
        /// Ask for something that a task has to deliver.
        AddCriterion => "add_criterion",
        /// Hold the work to the criterion.
        AcceptCriterion => "accept_criterion",
        /// Say that the criterion is fulfilled, and what shows it.
        SatisfyCriterion => "satisfy_criterion",
        /// Put the criterion off.
        DeferCriterion => "defer_criterion",
        /// Reject the criterion.
        RejectCriterion => "reject_criterion",
        /// End a task that is not done.
        StopTask => "stop_task",
        /// Say why a task is finished, and name the decision behind that.
        EndSaid => "end_said",
        /// Stop the worker too, or let it go on.
        WithWorker => "with_worker",
        /// Stop the manager too, or let it go on.
        WithManager => "with_manager",
        /// Bring a session back.
        Resume => "resume",
        /// Everything that can be done now, by name.
        Palette => "palette",
        /// What was submitted from here.
        Receipts => "receipts",
        /// The next field of a form.
        NextField => "next_field",
        /// The previous field of a form.
        PreviousField => "previous_field",
        /// Do what the form says.
        Submit => "submit",
        /// The next value, or check and uncheck.
        Toggle => "toggle",
        /// Empty the form.
        StartOver => "start_over",
        /// Follow new events.
        Follow => "follow",
        /// Show only one kind of events.
        Kinds => "kinds",
        /// Go to a byte offset.
        Jump => "jump",
        /// Load everything again.
        Reload => "reload",
        /// Copy the command line.
        Copy => "copy",
        /// Give the mouse back to the terminal, or take it.
        Mouse => "mouse",
        /// Call the operator in another way, or not at all.
        Ringing => "ringing",
        /// Draw everything anew.
        Repaint => "repaint",
        /// Put the program into the background.
        Suspend => "suspend",
        /// Leave.
        Quit => "quit",
        /// Do it.
        Yes => "yes",
        /// Leave it.
        No => "no",
    }
}

impl Place {
    /// Whether it is a screen, whose keys can be changed.
    #[must_use]
    pub fn is_on_screen(self) -> bool {
        match self {
            Self::Screen | Self::Fleet | Self::Task | Self::Events | Self::Inbox | Self::Dispatch | Self::Doctor => {
                true
            }
            Self::Form
            | Self::Palette
            | Self::Receipts
            | Self::Always
            | Self::Input
            | Self::Message
            | Self::Help
            | Self::Reader
            | Self::Confirm
            | Self::Answer
            | Self::Snooze
            | Self::Finish
            | Self::Criteria
            | Self::Policy
            | Self::Record => false,
        }
    }
}
