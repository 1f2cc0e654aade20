//! Details of the rules that the recorded screens do not show.

use super::*;
use crate::model::state::{Condition, Source};

fn screen(rows: &[&str]) -> String {
    rows.join("\n")
}

const FOOTER: [&str; 3] = ["", "  GPT-6.1-Sol default · ~/project · Hello", "  ← for agents · ? for shortcuts"];

fn with_footer(rows: &[&str]) -> String {
    let mut all = rows.to_vec();
    all.extend(FOOTER);
    all.join("\n")
}

fn rule(text: &str) -> (PaneState, &'static str, bool) {
    let pane = read_pane(text, None);
    (pane.state, pane.rule, pane.safe_to_paste)
}

#[test]
fn what_is_not_codex_is_not_safe() {
    let cases = [
        ("", PaneState::Unknown, "screen_empty"),
        ("\n \n\t\n", PaneState::Unknown, "screen_empty"),
        ("hello", PaneState::Unknown, "unrecognised"),
        ("me@host:~/project$", PaneState::Exited, "shell_prompt"),
        ("compiling\nme@host:~/project$ ", PaneState::Exited, "shell_prompt"),
        ("progress 50%", PaneState::Unknown, "unrecognised"),
        ("Pane is dead (status 1, Sat Nov 21 02:43:57 2026)", PaneState::Exited, "pane_dead"),
    ];
    for (text, state, expected) in cases {
        assert_eq!(rule(text), (state, expected, false), "{text:?}");
    }
}

#[test]
fn an_empty_composer_is_safe_and_nothing_near_it_is() {
    let placeholder = "› Ask Codex to do anything";
    let unsafe_cases: [(&str, Vec<&str>); 6] = [
        ("composer_blank", vec!["›"]),
        ("composer_draft", vec!["› hello"]),
        ("composer_draft", vec![placeholder, "  and more"]),
        ("composer_draft", vec![placeholder, "", "  and more"]),
        ("composer_draft", vec!["! ls"]),
        ("popup_open", vec!["  enter/tab insert · esc close", "", placeholder]),
    ];
    assert_eq!(rule(&with_footer(&[placeholder])), (PaneState::Idle, "composer_empty", true));
    for (expected, rows) in unsafe_cases {
        assert_eq!(rule(&with_footer(&rows)), (PaneState::Idle, expected, false), "{rows:?}");
    }
    let bare = rule(placeholder);
    assert_eq!(bare, (PaneState::Idle, "composer_footer", false), "no footer");
    let help = rule(&screen(&[placeholder, "", "  a", "  b", "  c", "  d"]));
    assert_eq!(help, (PaneState::Idle, "composer_footer", false), "a help overlay below");
    let hint = rule(&screen(&[placeholder, "", "  enter select · esc back"]));
    assert_eq!(hint, (PaneState::Waiting, "unrecognised", false), "a dialog's hint instead of the footer");
    let overlay = rule(&screen(&[placeholder, "", "  GPT · ~/project", "  ? / esc close"]));
    assert_eq!(overlay, (PaneState::Idle, "composer_footer", false), "the hint of an overlay below the status line");
}

#[test]
fn a_status_line_of_two_rows_is_still_one() {
    let placeholder = "› Ask Codex to do anything";
    let (items, more, hint) =
        ("  GPT-6.1-Sol default · /home/user/a/long/way · Conveyor", "  say hello", "  ? for shortcuts");
    assert_eq!(rule(&screen(&[placeholder, "", items, more, hint])), (PaneState::Idle, "composer_empty", true));
    for odd in [
        [items, more, "  ? / esc close"],
        [items, "  enter select · esc back", hint],
        ["  no items", more, hint],
        [items, hint, more],
    ] {
        let rows = [&[placeholder, ""][..], &odd].concat();
        assert!(!rule(&screen(&rows)).2, "{odd:?}");
    }
}

#[test]
fn the_title_takes_safety_away() {
    let idle = with_footer(&["› Ask Codex to do anything"]);
    let read = |title| read_pane(&idle, Some(title));
    assert!(read("Hello | project").safe_to_paste);
    let busy = read("⠹ Hello | project");
    assert_eq!((busy.state, busy.source, busy.safe_to_paste), (PaneState::Busy, Source::Title, false));
    let called = read("[ ! ] Action Required | project");
    assert_eq!((called.state, called.prompt, called.safe_to_paste), (PaneState::Waiting, None, false));
    assert_eq!(called.reading().condition, Condition::Blocked);
}

#[test]
fn status_rows_are_known_by_their_clock() {
    let busy = [
        "• Working (3s • esc to interrupt)",
        "◦ Working (1m 05s • esc to interrupt) · 1 background terminal running",
        "• Thinking about names (1h 02m 03s • ctrl-g to interrupt)",
        "• Starting MCP servers (0/2): a, b (2s • esc to interrupt)",
        "• A very long heading of the model that leaves no room (12s • esc to inte…",
        " Working (1s • Esc to interrupt)",
    ];
    for row in busy {
        let text = with_footer(&[row, "", "", "› Ask Codex to do anything"]);
        assert_eq!(rule(&text), (PaneState::Busy, "status_row", false), "{row}");
    }
    let quiet = [
        "• I saw (esc to interrupt) there",
        "  Working (3s • esc to interrupt)",
        "• Working (3s • esc to interrupt) is what it said",
        "› Working (3s • esc to interrupt)",
        "■ Working (3s • esc to interrupt)",
    ];
    for row in quiet {
        let text = with_footer(&[row, "", "", "› Ask Codex to do anything"]);
        assert_eq!(rule(&text), (PaneState::Idle, "composer_empty", true), "{row}");
    }
}

#[test]
fn a_clock_far_above_the_composer_is_an_old_one() {
    let far = with_footer(&["• Working (3s • esc to interrupt)", "", "", "", "› Ask Codex to do anything"]);
    assert_eq!(rule(&far), (PaneState::Idle, "composer_empty", true));
}

#[test]
fn a_wrapped_queued_message_does_not_hide_the_status_row() {
    let text = with_footer(&[
        "• Working (3s • esc to interrupt)",
        "",
        "• Queued follow-up inputs",
        "  ↳ first line of a message that waits",
        "    second line of it",
        "    shift+← edit last queued message",
        "",
        "",
        "› Ask Codex to do anything",
    ]);
    assert_eq!(rule(&text), (PaneState::Busy, "status_row", false));
    let output = with_footer(&[
        "• Ran echo '(3s • esc to interrupt)'",
        "  └ • Working (3s • esc to interrupt)",
        "    • Working (3s • esc to interrupt)",
        "",
        "",
        "› Ask Codex to do anything",
    ]);
    assert_eq!(rule(&output), (PaneState::Idle, "composer_empty", true));
}

#[test]
fn a_killed_codex_is_not_busy() {
    let frozen = |over: &[&str]| {
        let mut rows = vec!["• Working (4s • esc to interrupt)", "", ""];
        rows.extend(over);
        rows.join("\n")
    };
    let margin = ["› Killeddex to do anything", "bash-5.2#", "  GPT-6.1-Sol default · ~/project", "  ← for agents"];
    assert_eq!(rule(&frozen(&margin)), (PaneState::Exited, "killed", false));
    let quiet = ["› Ask Codex to do anything", "bash-5.2#", "  GPT-6.1-Sol default · ~/project", "  ← for agents"];
    assert_eq!(rule(&frozen(&quiet)), (PaneState::Unknown, "screen_torn", false));
    for text in [frozen(&margin), frozen(&quiet)] {
        assert_eq!(busy_wait(&text, Some(1_000), 90, 0), None);
        assert_eq!(startup_state(&text).state, StartupState::Error);
    }
    let bash = frozen(&["› Killedex to do anything", "        me@host:~/project$"]);
    assert_eq!(rule(&bash), (PaneState::Exited, "killed", false));
    let zsh = frozen(&["› zsh: killed     codex", "  GPT · ~/project      host%"]);
    assert_eq!(rule(&zsh), (PaneState::Exited, "killed", false));
    let silent = frozen(&[
        "› Ask Codex to do anything",
        "",
        "  GPT-6.1-Sol default · ~/project        bash-5.2#",
        "  ← for agents",
    ]);
    assert_eq!(rule(&silent), (PaneState::Unknown, "screen_torn", false));
    let below = frozen(&["› Ask Codex to do anything", "", "  GPT · ~/project", "me@host:~/project$"]);
    assert_eq!(rule(&below), (PaneState::Exited, "shell_prompt", false));
}

const APPROVAL: [&str; 5] = [
    "› 1. Yes, proceed (y)",
    "  2. Yes, and don't ask again for commands that start with `ls` (p)",
    "  3. No, and tell Codex what to do differently (esc)",
    "",
    "  Press enter to confirm or esc to cancel",
];

fn approval(above: &[&str]) -> String {
    let mut rows = above.to_vec();
    rows.push("");
    rows.extend(APPROVAL);
    rows.join("\n")
}

#[test]
fn a_command_cannot_pass_for_another_dialog() {
    let command = "  Would you like to run the following command?";
    let trust =
        approval(&[command, "", "  $ cat <<E", "  Folder access", "  Trust this folder?", "  › 1. Trust and continue"]);
    assert_eq!(read_pane(&trust, None).prompt, Some(Prompt::ApprovalCommand));
    let edits = approval(&[command, "", "  $ echo \"", "  Would you like to make the following edits?", "  \""]);
    assert_eq!(read_pane(&edits, None).prompt, Some(Prompt::Approval), "two headings: which one is real is not known");
    let cut = approval(&["  $ a command so long that the heading is cut off"]);
    assert_eq!(read_pane(&cut, None).prompt, Some(Prompt::Approval));
    let transcript =
        approval(&["  Would you like to make the following edits?", "• Running ls", "", command, "", "  $ ls"]);
    assert_eq!(read_pane(&transcript, None).prompt, Some(Prompt::ApprovalCommand), "the margin ends the dialog");
}

#[test]
fn a_question_cannot_pass_for_the_trust_dialog() {
    let text = screen(&[
        "  Question 1/1 (1 unanswered)",
        "  Trust this folder?",
        "",
        "  › 1. Trust and continue",
        "    2. Back to Agent Command Center",
        "",
        "  tab to add notes | enter to submit answer | esc to interrupt",
    ]);
    assert_eq!(read_pane(&text, None).prompt, Some(Prompt::Question));
}

#[test]
fn a_numbered_draft_is_no_menu() {
    let text = with_footer(&["› 1. Trust and continue", "  2. Back to Agent Command Center"]);
    assert_eq!(rule(&text), (PaneState::Idle, "composer_draft", false));
}

#[test]
fn an_unknown_menu_waits_and_is_said_to_be_unknown() {
    let text = screen(&["  Something new", "", "› 1. Do it", "  2. Leave it", "", "  enter select · esc back"]);
    let pane = read_pane(&text, None);
    assert_eq!((pane.state, pane.prompt), (PaneState::Waiting, Some(Prompt::Unrecognised)));
    assert_eq!(pane.options.len(), 2);
    let hint = read_pane("  Something without numbers\n\n  enter confirm · esc skip", None);
    assert_eq!((hint.state, hint.prompt), (PaneState::Waiting, Some(Prompt::Unrecognised)));
}

#[test]
fn approvals_that_were_not_recorded_are_known_by_their_words() {
    let cases = [
        (
            "Would you like to grant these permissions?",
            "Yes, grant these permissions for this turn (y)",
            Prompt::ApprovalPermissions,
        ),
        (
            "Do you want to approve network access to \"example.com\"?",
            "Yes, just this once (y)",
            Prompt::ApprovalNetwork,
        ),
        ("Would you like to send input to the existing terminal?", "Yes, proceed (y)", Prompt::ApprovalTerminalInput),
        ("Enable full access?", "Yes, continue anyway", Prompt::ApprovalFullAccess),
        ("sup needs your approval.", "Yes, provide the requested info (y)", Prompt::ApprovalMcp),
    ];
    for (heading, first, prompt) in cases {
        let text = format!("  {heading}\n\n› 1. {first}\n  2. No\n\n  Press enter to confirm or esc to cancel");
        assert_eq!(read_pane(&text, None).prompt, Some(prompt), "{heading}");
    }
}

#[test]
fn a_narrow_pane_wraps_its_dialogs() {
    // 60 columns.
    let trust = screen(&[
        "",
        "  Folder access",
        "  /home/user/a-project-with-a-name-that-is-long",
        "",
        "  Trust this folder? Codex can read, edit, and run files",
        "  here, subject to your permission settings. Your trust",
        "  decision will be saved.",
        "",
        "› 1. Trust and continue",
        "  2. Back to Agent Command Center",
        "",
        "  enter continue · esc back",
    ]);
    assert_eq!(read_pane(&trust, None).prompt, Some(Prompt::Trust));
    // 40 columns, with the heading, an option and the hint on two rows each.
    let narrow = screen(&[
        "  Would you like to run the following",
        "  command?",
        "",
        "  $ install -m 755 tool",
        "",
        "› 1. Yes, proceed (y)",
        "  2. Yes, and don't ask again for",
        "     commands that start with `install",
        "     -m 755` (p)",
        "  3. No, and tell Codex what to do",
        "     differently (esc)",
        "",
        "  Press enter to confirm or esc to",
        "  cancel",
    ]);
    let pane = read_pane(&narrow, None);
    assert_eq!(pane.prompt, Some(Prompt::ApprovalCommand));
    let labels: Vec<(&str, Option<&str>)> =
        pane.options.iter().map(|option| (option.label.as_str(), option.key.as_deref())).collect();
    assert_eq!(
        labels,
        [
            ("Yes, proceed", Some("y")),
            ("Yes, and don't ask again for commands that start with `install -m 755`", Some("p")),
            ("No, and tell Codex what to do differently", Some("esc")),
        ]
    );
    // The question's hint does not fit into 60 columns.
    let question = screen(&[
        "  Question 1/2 (2 unanswered)",
        "  Which folder first?",
        "",
        "  › 2. Second  The second way, with a description that is",
        "               wrapped",
        "    3. None of the above",
        "",
        "  tab to add notes | enter to submit answer |",
        "  esc to interrupt",
    ]);
    assert_eq!(read_pane(&question, None).prompt, Some(Prompt::Question));
}

#[test]
fn the_thread_id_is_taken_from_the_status_line_only() {
    let id = "01a1fc1f-e19b-7db2-bceb-a7cca2fb4939";
    let own = screen(&["› Ask Codex to do anything", "", &format!("  Ready · {id}"), "  ? for shortcuts"]);
    assert_eq!(read_pane(&own, None).thread_id.as_deref(), Some(id));
    let named = format!("  GPT-6.1-Sol default · ~/project · {id}");
    let forged = screen(&[&format!("  Ready · {id}"), "", "", "› Ask Codex to do anything", "", &named]);
    assert_eq!(read_pane(&forged, None).thread_id, None);
    let working = screen(&["› Ask Codex to do anything", "", &format!("  Working · {id}"), "  ? for shortcuts"]);
    assert_eq!(rule(&working), (PaneState::Busy, "status_line_running", false));
}

#[test]
fn only_what_a_screen_can_tell_becomes_a_reading() {
    let dialog = read_pane(&approval(&["  Would you like to run the following command?"]), None).reading();
    assert_eq!((dialog.condition, dialog.rule.as_str()), (Condition::Blocked, "approval_command"));
    let gone = read_pane("Disconnected from this task. Any running work continues.\nbash-5.2#", None).reading();
    assert_eq!((gone.condition, gone.rule.as_str()), (Condition::Unknown, "codex_exited"));
    assert_eq!(gone.source, Source::Screen);
}

#[test]
fn escape_sequences_do_not_reach_the_evidence() {
    let text = with_footer(&["› \u{1b}[31mred\u{1b}[0m \u{202e}draft"]);
    let pane = read_pane(&text, Some("\u{1b}]0;x\u{7}"));
    assert_eq!(pane.evidence.map(|evidence| evidence.text).as_deref(), Some("› red draft"));
}

mod contract {
    use super::*;

    fn pattern(text: &str) -> Option<BusyPattern> {
        busy_wait(text, Some(1_000), 90, 0).map(|wait| wait.pattern)
    }

    #[test]
    fn bare_words_match_as_they_did() {
        let cases = [
            ("Starting MCP servers", BusyPattern::McpStartup, "inspect_or_interrupt"),
            ("Approaching rate limits", BusyPattern::RateLimitPrompt, "inspect_or_interrupt"),
            ("Press enter to confirm", BusyPattern::EnterToConfirm, "inspect_or_confirm"),
            ("Do you trust the contents of this directory", BusyPattern::TrustPrompt, "inspect_or_accept_trust"),
            ("Trust this folder?", BusyPattern::TrustPrompt, "inspect_or_accept_trust"),
            ("Create a plan?", BusyPattern::PlanPrompt, "inspect_or_confirm"),
            ("Approval needed: allow or deny", BusyPattern::ApprovalPrompt, "inspect_or_approve"),
            ("esc to interrupt", BusyPattern::LongRunningInterruptible, "inspect_or_interrupt"),
        ];
        for (text, expected, action) in cases {
            let wait = busy_wait(text, Some(90), 90, 0).unwrap_or_else(|| panic!("{text} matches nothing"));
            assert_eq!((wait.pattern, wait.recommended_action), (expected, action), "{text}");
        }
        assert_eq!(pattern("nothing of note"), None);
        assert_eq!(pattern("\"notable_pane_pattern\": \"approval_prompt\", allow approval: inspect_or_approve"), None);
    }

    #[test]
    fn suppressions_hold() {
        let busy = with_footer(&["• Working (3s • esc to interrupt)", "", "", "› Ask Codex to do anything"]);
        let long = Some(BusyPattern::LongRunningInterruptible);
        let found = |age, events| busy_wait(&busy, age, 90, events).map(|wait| wait.pattern);
        assert_eq!([found(Some(89), 0), found(Some(90), 0), found(None, 0)], [None, long, None]);
        assert_eq!([found(Some(90), 9), found(Some(90), 10)], [long, None]);
        assert_eq!(
            busy_wait("Approaching rate limits", Some(89), 90, 0),
            None,
            "the threshold holds for every pattern"
        );
        let unknown_age = busy_wait("Approaching rate limits", None, 90, 99).map(|wait| wait.pattern);
        assert_eq!(unknown_age, Some(BusyPattern::RateLimitPrompt));
    }

    #[test]
    fn answered_prompts_do_not_match() {
        let answered = [
            "  Do you trust the contents of this directory?",
            "  Approaching rate limits",
            "  Press enter to confirm or esc to cancel",
            "• Starting MCP servers failed with an error, needs approval: allow or deny",
            "",
            "",
            "› Ask Codex to do anything",
        ];
        let text = with_footer(&answered);
        assert_eq!(pattern(&text), None);
        assert_eq!(startup_state(&text).state, StartupState::Ready);
    }

    #[test]
    fn live_dialogs_match() {
        let dialog = |heading: &str, first: &str, hint: &str| {
            pattern(&format!("  {heading}\n\n› 1. {first}\n  2. Other\n\n  {hint}"))
        };
        let select = "enter select · esc back";
        assert_eq!(
            dialog("Approaching rate limits", "Switch to gpt-6-luna", select),
            Some(BusyPattern::RateLimitPrompt)
        );
        assert_eq!(dialog("Implement this plan?", "Yes, implement this plan", select), Some(BusyPattern::PlanPrompt));
        assert_eq!(
            dialog("Trust this folder?", "Trust and continue", "enter continue · esc back"),
            Some(BusyPattern::TrustPrompt)
        );
        assert_eq!(
            dialog("Allow the sup MCP server to run tool \"x\"?", "Allow", "enter to submit | esc to cancel"),
            Some(BusyPattern::ApprovalPrompt)
        );
        assert_eq!(
            dialog("Hooks need review", "Review hooks", "enter confirm · esc skip"),
            Some(BusyPattern::EnterToConfirm)
        );
        let command = approval(&["  Would you like to run the following command?"]);
        assert_eq!(pattern(&command), Some(BusyPattern::EnterToConfirm), "the contract asks for the footer first");
        let mcp = with_footer(&[
            "• Starting MCP servers (0/1): sup (9s • esc to interrupt)",
            "",
            "",
            "› Ask Codex to do anything",
        ]);
        assert_eq!(pattern(&mcp), Some(BusyPattern::McpStartup));
    }

    #[test]
    fn startup_states() {
        let busy = with_footer(&["• Working (3s • esc to interrupt)", "", "", "› Ask Codex to do anything"]);
        let cases = [
            ("", StartupState::Starting),
            ("some text", StartupState::Starting),
            ("Do you trust the contents of this directory?", StartupState::NeedsTrust),
            ("OpenAI Codex\n›", StartupState::Ready),
            ("Working, esc to interrupt", StartupState::Working),
            ("Failed to load", StartupState::Error),
            (busy.as_str(), StartupState::Working),
            ("Error: app server did not become ready on /x\nEXITED rc=1\nbash-5.2#", StartupState::Error),
        ];
        for (text, expected) in cases {
            let startup = startup_state(text);
            assert_eq!(startup.state, expected, "{text:?}: {}", startup.reason);
            assert!(!startup.reason.is_empty());
        }
        assert_ne!(startup_state("").reason, startup_state("some text").reason);
    }
}

fn look(screen: &str) -> Look<'_> {
    Look { screen, title: None, width: 80, height: 24, in_mode: false, dead: false, steering: Steering::Waits }
}

const DIM: &str = "› \u{1b}[2mAsk Codex to do anything\u{1b}[0m";

fn deferred(look: &Look<'_>) -> Option<DeferReason> {
    ready_for_text(look).err().map(|deferral| deferral.reason)
}

#[test]
fn only_a_dim_placeholder_is_an_empty_composer() {
    let ready = with_footer(&["• Hello.", "", DIM]);
    let empty = ready_for_text(&look(&ready)).expect("an empty composer");
    assert_eq!((empty.row().as_str(), empty.glyph()), ("› Ask Codex to do anything", "›"));
    let drafts = [
        "› Ask Codex to do anything",
        "› \u{1b}[2mAsk Codex to\u{1b}[0m do anything",
        "› half a thought",
        "› \u{1b}[2mhalf a thought\u{1b}[0m",
        "! ls",
    ];
    for draft in drafts {
        assert_eq!(deferred(&look(&with_footer(&[draft]))), Some(DeferReason::Draft), "{draft:?}");
    }
    let below = with_footer(&[DIM, "  and a second line"]);
    assert_eq!(deferred(&look(&below)), Some(DeferReason::Draft));
    assert_eq!(deferred(&look(&with_footer(&["›"]))), Some(DeferReason::Unrecognised));
    let popup = with_footer(&["  enter/tab insert · esc close", "", DIM]);
    assert_eq!(deferred(&look(&popup)), Some(DeferReason::Popup));
}

#[test]
fn every_reason_to_wait_has_a_sentence() {
    let ready = with_footer(&[DIM]);
    let busy = with_footer(&["• Working (3s • esc to interrupt)", "", "", DIM]);
    let modal = approval(&["  Would you like to run the following command?"]);
    let starting = screen(&[DIM, "", "  ? for shortcuts"]);
    let good = look(&ready);
    let cases = [
        (Look { dead: true, ..good }, DeferReason::Dead, "the program in the pane has ended"),
        (Look { in_mode: true, ..good }, DeferReason::CopyMode, "somebody is reading in the pane's copy mode"),
        (
            Look { width: 59, ..good },
            DeferReason::TooSmall,
            "the pane has 59 x 24 cells, and below 60 x 15 a dialog might not be recognised",
        ),
        (
            Look { height: 14, ..good },
            DeferReason::TooSmall,
            "the pane has 80 x 14 cells, and below 60 x 15 a dialog might not be recognised",
        ),
        (look(&modal), DeferReason::Modal, "an approval waits for an answer"),
        (look(&busy), DeferReason::Busy, "a turn is running"),
        (Look { title: Some("⠹ Hello | project"), ..good }, DeferReason::Busy, "a turn is running"),
        (
            Look { title: Some("[ ! ] Action Required | project"), ..good },
            DeferReason::Modal,
            "Codex waits for an answer",
        ),
        (look(&starting), DeferReason::Starting, "Codex is still starting, and would lose the key that submits"),
        (look("me@host:~$ "), DeferReason::Exited, "Codex is not running in the pane any more"),
        (look(""), DeferReason::Unrecognised, "the screen is empty"),
    ];
    for (look, reason, sentence) in cases {
        let deferral = ready_for_text(&look).expect_err(sentence);
        assert_eq!((deferral.reason, deferral.sentence.as_str()), (reason, sentence));
    }
    let deferral = ready_for_text(&look(&modal)).expect_err("a dialog");
    assert_eq!(deferral.prompt, Some(Prompt::ApprovalCommand));
    assert!(deferral.evidence.is_some_and(|row| row.text.contains("Would you like to run")));
    let steer = |screen| Look { steering: Steering::Allowed, ..look(screen) };
    assert_eq!(deferred(&steer(&busy)), None);
    let draft = with_footer(&["• Working (3s • esc to interrupt)", "", "", "› mine"]);
    assert_eq!(deferred(&steer(&draft)), Some(DeferReason::Draft));
}

#[test]
fn what_stands_in_the_composer_is_compared_without_line_breaks() {
    use crate::model::typing::{ControlCommand, Loss, Marker, TypedText, Typing, typed_message};
    let marker = Marker::of_command("c");
    let message = "look at the parser and at its tests\n\nthen say what you found";
    let Ok(Typing::Typed { text, .. }) = typed_message(message.as_bytes(), &marker, Loss::Refused) else { panic!() };
    let last = format!("  found ({marker})");
    let whole = ["› [conveyor] look at the parser and at", "  its tests", "", "  then say what you", last.as_str()];
    assert_eq!(composer_holds(&with_footer(&whole), &text), Held::Whole);
    let scrolled = ["› its tests                    ↑", "", "  then say what you", &last].join("\n");
    assert_eq!(composer_holds(&scrolled, &text), Held::End, "and without a footer, as in a low pane");
    assert_eq!(composer_holds(&with_footer(&["› its tests", "", "  then say what you", &last]), &text), Held::End);
    let more = format!("{last} and more");
    for changed in [&["› mine [conveyor] look at the parser"][..], &[&whole[..4], &[&more]].concat(), &[DIM], &["! x"]]
    {
        assert_eq!(composer_holds(&with_footer(changed), &text), Held::Changed, "{changed:?}");
    }
    let under = approval(&["  Would you like to run the following command?"]);
    assert_eq!(composer_holds(&under, &text), Held::Hidden);
    let compact = TypedText::command(ControlCommand::Compact);
    assert_eq!(composer_holds(&with_footer(&["› /compact"]), &compact), Held::Whole);
    assert_eq!(composer_holds(&with_footer(&["› /compact now"]), &compact), Held::Changed);
}
