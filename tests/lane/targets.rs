//! Not one byte goes into a wrong pane, or into one that is not ready for it.

use std::{fs, process::Command};

use conveyor::{
    model::{
        codex::SubmitKey,
        pane::Steering,
        typing::{ControlCommand, Sign, TypedText},
    },
    ports::{
        process::{ProcessId, Processes, SystemProcesses},
        tmux::{
            Install, NewWindow, PaneId, Press, RealTmux, Refusal, SendOutcome, SignPlace, Size, Split, SplitDirection,
            Staging, Submission, Target, Tmux, TmuxError, TmuxServer as Address,
        },
    },
};

use super::panes::{COMPOSER, Pane, buffer, buffers, empty_composer, keeper, marker, text};
use crate::support::tmux::TmuxServer;

const SIZE: Size = Size { width: 80, height: 24 };

fn refused(refusal: Refusal) -> SendOutcome {
    SendOutcome::Refused(refusal)
}

fn myself() -> ProcessId {
    SystemProcesses.identify(std::process::id()).expect("this process")
}

fn nothing_arrived(panes: &[&Pane<'_>]) {
    for pane in panes {
        assert_eq!(pane.bytes(), b"", "{} got something\n{}", pane.name(), pane.screen());
    }
}

#[test]
fn another_process_or_pane_is_never_typed_into() {
    let Some(server) = TmuxServer::start() else { return };
    let twin = Pane::start(&server, "codex-work2");
    let other = Pane::start(&server, "other");
    let right = twin.target();
    let stage = |target: &Target| twin.stage_with(server.tmux(), target, 1, Steering::Waits);

    // The session `codex-work` has gone: tmux would take its name for the beginning of the twin's.
    let gone = Pane::start(&server, "codex-work");
    let target = gone.target();
    server.tmux().kill_pane(target.pane, target.process).expect("tmux answers");
    server.wait_until("its end", twin.made.pane, || SystemProcesses.identify(target.process.pid).is_err());
    assert_eq!(stage(&target), refused(Refusal::Dead));
    assert_eq!(stage(&Target { process: myself(), ..target }), refused(Refusal::PaneGone));

    let crossed = Target { process: other.process(), ..right.clone() };
    assert_eq!(stage(&crossed), refused(Refusal::ProcessChanged));
    let crossed = Target { pane: other.made.pane, ..right.clone() };
    assert_eq!(stage(&crossed), refused(Refusal::ProcessChanged));
    let earlier = ProcessId { start_ticks: 1, ..right.process };
    assert_eq!(stage(&Target { process: earlier, ..right.clone() }), refused(Refusal::ProcessChanged));
    assert_eq!(stage(&Target { pane: PaneId::new(999), ..right }), refused(Refusal::PaneGone));
    nothing_arrived(&[&twin, &other]);

    // What runs in the pane now is somebody else.
    let before = other.target();
    let (argv, _) = keeper(&server, "second", COMPOSER);
    let name = other.name();
    let program: Vec<&str> = argv.iter().map(String::as_str).collect();
    server.plain(&[&["respawn-pane", "-k", "-t", &name, "--"][..], &program].concat());
    let second = server.folder().join("second.kept");
    server.wait_until("the second program", other.made.pane, || second.exists());
    assert_eq!(stage(&before), refused(Refusal::Dead));
    assert_eq!(stage(&Target { process: myself(), ..before }), refused(Refusal::ProcessChanged));
    assert_eq!(fs::read(&second).expect("the file"), b"");
    nothing_arrived(&[&twin, &other]);
    assert_eq!(buffers(&server), [""; 0], "what was refused leaves no buffer");
}

#[test]
fn a_restarted_server_has_other_panes_under_the_same_ids() {
    let Some(server) = TmuxServer::start() else { return };
    let first = Pane::start(&server, "w");
    let target = first.target();
    let info = server.tmux().server_info().expect("a server");
    server.plain(&["kill-server"]);
    server.wait_until("its end", first.made.pane, || SystemProcesses.identify(info.pid).is_err());
    let before = first.stage_result(&target);
    assert!(matches!(before, Ok(SendOutcome::Refused(Refusal::Dead))), "{before:?}");
    let nobody = first.stage_result(&Target { process: myself(), ..target.clone() });
    assert!(matches!(nobody, Err(TmuxError::NoServer(_))), "{nobody:?}");

    server.session("keep", &["cat"]);
    let again = Pane::start(&server, "again");
    assert_eq!(again.made.pane, target.pane, "the ids begin anew");
    assert_eq!(first.stage_with(server.tmux(), &target, 1, Steering::Waits), refused(Refusal::Dead));
    let stranger = Target { process: myself(), ..target };
    assert_eq!(first.stage_with(server.tmux(), &stranger, 1, Steering::Waits), refused(Refusal::ProcessChanged));
    nothing_arrived(&[&first, &again]);
}

#[test]
fn modes_neighbours_and_sizes_are_respected() {
    let Some(server) = TmuxServer::start() else { return };
    let big = Size { width: 200, height: 50 };
    let pane = Pane::showing(&server, "w", COMPOSER, big);
    let (argv, kept) = keeper(&server, "neighbour", COMPOSER);
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let split = Split {
        pane: pane.made.pane,
        direction: SplitDirection::Right,
        cells: Some(90),
        program: server.program(&words),
    };
    let neighbour = Pane::of(&server, server.tmux().split_window(&split).expect("a split"), kept);
    let name = pane.name();

    server.plain(&["copy-mode", "-t", &name]);
    assert_eq!(pane.stage(1), refused(Refusal::InMode));
    assert!(server.tmux().pane(pane.made.pane).unwrap().unwrap().in_mode, "a person's copy mode is left alone");
    server.plain(&["send-keys", "-t", &name, "-X", "cancel"]);
    server.plain(&["set-option", "-w", "-t", &name, "synchronize-panes", "on"]);
    assert_eq!(pane.stage(1), refused(Refusal::Synchronized));
    server.plain(&["set-option", "-w", "-t", &name, "synchronize-panes", "off"]);
    server.plain(&["select-pane", "-d", "-t", &name]);
    assert_eq!(pane.stage(1), refused(Refusal::InputOff));
    server.plain(&["select-pane", "-e", "-t", &name]);
    for (axis, cells) in [("-x", "59"), ("-y", "14")] {
        let before = server.tmux().pane(pane.made.pane).unwrap().unwrap().size;
        if axis == "-y" {
            server.plain(&["resize-window", "-t", &name, "-y", "14"]);
        } else {
            server.plain(&["resize-pane", "-t", &name, axis, cells]);
        }
        assert_eq!(pane.stage(1), refused(Refusal::TooSmall), "{axis} {cells}");
        server.plain(&["resize-window", "-t", &name, "-x", "200", "-y", "50"]);
        server.plain(&["resize-pane", "-t", &name, "-x", &before.width.to_string()]);
    }
    nothing_arrived(&[&pane, &neighbour]);

    // Behind a zoomed neighbour, and with its window linked into another session, it is still the same pane.
    server.plain(&["resize-pane", "-Z", "-t", &neighbour.name()]);
    assert_eq!(pane.stage(1), SendOutcome::Done);
    let second = server.session("second", &["cat"]);
    server.plain(&["link-window", "-d", "-s", &name, "-t", &format!("{}:", second.session)]);
    assert_eq!(pane.stage(2), SendOutcome::Done);
    let expected = [1, 2].map(|seq| text(&format!("message {seq}"), seq).as_str().to_owned());
    assert_eq!(pane.wait_for_pastes(2), expected);
    assert_eq!(pane.pastes().1, b"");
    nothing_arrived(&[&neighbour]);
    let all = server.tmux().panes().expect("tmux answers").len();
    assert_eq!(all, 4, "nothing was opened or closed");
}

#[test]
fn every_screen_but_an_empty_composer_is_left_alone() {
    let Some(server) = TmuxServer::start() else { return };
    let cursor = r"\033[10;3H";
    let above = |row: &str| format!(r"{COMPOSER}\033[3;1H{row}{cursor}");
    let titled = |title: &str| format!(r"{COMPOSER}\033]2;{title}\007");
    let composer =
        |rows: &str, cursor: &str| format!(r"\033[2J\033[10;1H{rows}\033[12;1H  GPT-6.1-Sol default{cursor}");
    let sign = |sign: &str| Refusal::TextPresent(sign.to_owned());
    let cases = [
        ("draft", composer("› half a thought", r"\033[10;17H"), Refusal::ComposerNotEmpty),
        ("like", composer("› Ask Codex to do anything", r"\033[10;29H"), Refusal::ComposerNotEmpty),
        ("elsewhere", format!(r"{COMPOSER}\033[20;3H"), Refusal::ComposerNotEmpty),
        ("hidden", format!(r"{COMPOSER}\033[?25l"), Refusal::ComposerNotEmpty),
        ("shell", r"\033[2J\033[10;1H$ ".to_owned(), Refusal::ComposerNotEmpty),
        ("other", composer("› Something else", cursor), Refusal::ComposerNotEmpty),
        ("busy", above("• Working (3s • esc to interrupt)"), Refusal::Busy),
        ("long", above("◦ Thinking about it (1h 02m 03s • Esc to interrupt) · 1 x"), Refusal::Busy),
        ("spinner", titled("⠹ Hello | project"), Refusal::Busy),
        (
            "run",
            above("  Would you like to run the following command?"),
            sign("Would you like to run the following command"),
        ),
        ("hint", above("  Press enter to confirm or esc to cancel"), sign("press enter to")),
        ("bar", above("▌Allow command?"), sign("Allow command?")),
        ("trust", above("  Trust this folder? Codex can"), sign("Trust this folder?")),
        ("rewind", above("  Browsing transcript · ↑↓/jk scroll"), sign("Browsing transcript")),
        ("called", titled("[ ! ] Action Required | project"), sign("Action Required")),
        ("blinking", titled("[ . ] Action Required | Hello | project"), sign("Action Required")),
    ];
    for (name, screen, refusal) in cases {
        let pane = Pane::showing(&server, name, &screen, SIZE);
        assert_eq!(pane.stage(1), refused(refusal), "{name}\n{}", pane.screen());
        nothing_arrived(&[&pane]);
    }
    // Talk is no sign.
    let talk = [
        ("talk", above("• I saw (esc to interrupt) and then: press enter to confirm")),
        ("title", titled("Talk about Action Required | project")),
        ("fine", COMPOSER.to_owned()),
    ];
    for (name, screen) in talk {
        let pane = Pane::showing(&server, name, &screen, SIZE);
        assert_eq!(pane.stage(1), SendOutcome::Done, "{name}\n{}", pane.screen());
    }
    let busy = Pane::showing(&server, "steered", &above("• Working (3s • esc to interrupt)"), SIZE);
    assert_eq!(busy.stage_with(server.tmux(), &busy.target(), 1, Steering::Allowed), SendOutcome::Done);
    assert_eq!(buffers(&server), [""; 0]);
}

#[test]
fn marks_of_others_and_spoilt_marks_keep_text_away() {
    let Some(server) = TmuxServer::start() else { return };
    let pane = Pane::start(&server, "w");
    let second = Target { install: Install::new("second2").expect("a name"), ..pane.target() };
    assert_eq!(pane.stage(5), SendOutcome::Done);
    for seq in [5, 4, 1] {
        assert_eq!(pane.stage(seq), refused(Refusal::AlreadyStaged), "{seq}");
    }
    assert_eq!(pane.stage_with(server.tmux(), &second, 6, Steering::Waits), refused(Refusal::OwnedByOther));
    let set = |option: &str, value: &str| server.plain(&["set-option", "-p", "-t", &pane.name(), option, value]);
    for spoilt in ["x", "9007199254740993", "-", "6 "] {
        set("@cvy_test1_paste", spoilt);
        assert_eq!(pane.stage(6), refused(Refusal::AlreadyStaged), "{spoilt}");
    }
    assert_eq!(pane.pastes().0.len(), 1);
    for seq in [0, (1 << 53) + 1] {
        let text = text("x", 1);
        let (composer, steering) = (empty_composer(Steering::Waits), Steering::Waits);
        let staging = Staging { seq, text: &text, composer, buffer: buffer(1, 1), steering };
        assert!(matches!(server.tmux().stage(&pane.target(), &staging), Err(TmuxError::Invalid(_))), "{seq}");
    }
    for bad in ["", "Test", "a-b", "a b", "#{x}", "ä", &"x".repeat(33)] {
        assert!(Install::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_submission_needs_its_message_at_the_cursor() {
    let Some(server) = TmuxServer::start() else { return };
    let marker = marker(3);
    let sign = Sign::Marker(marker.clone());
    let key = SubmitKey::Enter;
    let row = format!("› [conveyor] x ({marker})");
    let end = format!(r"\033[10;{}H", row.chars().count() + 1);
    let screen = |rows: &str, cursor: &str| format!(r"\033[2J\033[10;1H{rows}\033[13;1H  GPT{cursor}");
    let fills = format!("› {}({marker})", "y".repeat(80 - 2 - marker.as_str().len() - 2));
    let cases = [
        ("right", screen(&row, &end), true),
        ("full-row", screen(&fills, r"\033[11;3H"), true),
        ("behind", screen(&format!("{row} and mine"), &format!(r"\033[10;{}H", row.chars().count() + 10)), false),
        ("next-row", screen(&fills, r"\033[11;4H"), false),
        ("transcript", format!(r"\033[5;1H{row}{COMPOSER}").replace(r"\033[2J", ""), false),
        ("twice", format!(r"\033[2J\033[4;1H{row}\033[10;1H{row}{end}"), false),
        ("longer", screen(&row.replace(')', "x)"), &end), false),
        ("nowhere", COMPOSER.to_owned(), false),
        ("dialog", format!(r"{}\033[3;1H  Press enter to confirm{end}", screen(&row, &end)), false),
    ];
    for (name, shown, fits) in cases {
        let pane = Pane::showing(&server, name, &shown, SIZE);
        let submit = || pane.submit_with(server.tmux(), &pane.target(), 3, &sign, key);
        if fits {
            assert_eq!(submit(), refused(Refusal::OwnedByOther), "{name}: nobody has staged anything");
        }
        server.plain(&["set-option", "-p", "-t", &pane.name(), "@cvy_owner", "test1"]);
        if fits {
            assert_eq!(submit(), refused(Refusal::NotStaged), "{name}");
        }
        server.plain(&["set-option", "-p", "-t", &pane.name(), "@cvy_test1_paste", "3"]);
        let outcome = submit();
        if fits {
            assert_eq!(outcome, SendOutcome::Done, "{name}\n{}", pane.screen());
            assert_eq!(submit(), refused(Refusal::AlreadySubmitted), "{name}");
            server.wait_until("the key", pane.made.pane, || pane.bytes() == b"\r");
        } else {
            let known = [refused(Refusal::SignNotInComposer), refused(Refusal::TextPresent("press enter to".into()))];
            assert!(known.contains(&outcome), "{name}: {outcome}\n{}", pane.screen());
            nothing_arrived(&[&pane]);
        }
    }
}

#[test]
fn a_command_is_submitted_only_when_it_stands_alone() {
    let Some(server) = TmuxServer::start() else { return };
    let compact = TypedText::command(ControlCommand::Compact);
    let screen = |row: &str| {
        format!(r"\033[2J\033[8;1H› /compact  summarize conversation\033[10;1H› {row}\033[10;{}H", row.len() + 3)
    };
    let cases = [
        ("alone", "/compact ", true),
        // Tab would only complete its name.
        ("without-blank", "/compact", false),
        ("longer", "/compact now", false),
        ("other", "/clear", false),
        ("empty", "", false),
    ];
    for (name, row, fits) in cases {
        let pane = Pane::showing(&server, name, &screen(row), SIZE);
        server.plain(&["set-option", "-p", "-t", &pane.name(), "@cvy_owner", "test1"]);
        server.plain(&["set-option", "-p", "-t", &pane.name(), "@cvy_test1_paste", "1"]);
        let outcome = pane.submit_with(server.tmux(), &pane.target(), 1, compact.sign(), SubmitKey::Tab);
        let expected = if fits { SendOutcome::Done } else { refused(Refusal::SignNotInComposer) };
        assert_eq!(outcome, expected, "{name}\n{}", pane.screen());
        let place = match name {
            "alone" => SignPlace::InComposer,
            "without-blank" => SignPlace::OnScreen,
            _ => SignPlace::Absent,
        };
        assert_eq!(pane.receipt(compact.sign()).sign, place, "{name}");
    }
    let pane = Pane::start(&server, "fresh");
    let staging = Staging {
        seq: 1,
        text: &compact,
        composer: empty_composer(Steering::Waits),
        buffer: buffer(1, 1),
        steering: Steering::Waits,
    };
    assert_eq!(server.tmux().stage(&pane.target(), &staging), Ok(SendOutcome::Done));
    assert_eq!(pane.wait_for_pastes(1), ["/compact "]);
}

#[test]
fn a_turn_is_interrupted_only_while_it_runs() {
    let Some(server) = TmuxServer::start() else { return };
    let busy = r"\033[3;1H• Working (3s • esc to interrupt)\033[10;3H";
    let cases = [
        ("idle", COMPOSER.to_owned(), Some(Refusal::NotBusy)),
        ("row", format!("{COMPOSER}{busy}"), None),
        ("title", format!(r"{COMPOSER}\033]2;⠙ Hello | project\007"), None),
        (
            "dialog",
            format!(r"{COMPOSER}{busy}\033[5;1H  Press enter to confirm"),
            Some(Refusal::TextPresent("press enter to".to_owned())),
        ),
    ];
    for (name, screen, refusal) in cases {
        let pane = Pane::showing(&server, name, &screen, SIZE);
        let outcome = server.tmux().interrupt(&pane.target()).expect("tmux answers");
        let expected = refusal.map_or(SendOutcome::Done, SendOutcome::Refused);
        assert_eq!(outcome, expected, "{name}\n{}", pane.screen());
        match expected {
            SendOutcome::Done => server.wait_until("the key", pane.made.pane, || pane.bytes() == b"\x1b"),
            _ => nothing_arrived(&[&pane]),
        }
    }
}

#[test]
fn old_and_silent_servers_are_told_apart() {
    let Some(server) = TmuxServer::start() else { return };
    let pane = Pane::start(&server, "w");
    // A tmux that reports what an old server would show.
    let says = |lines: &str| {
        let program = server.folder().join("stand-in");
        fs::write(&program, format!("#!/bin/sh\ncat > /dev/null\n{lines}\n")).expect("a script");
        let allowed = Command::new("chmod").arg("700").arg(&program).status();
        assert!(allowed.is_ok_and(|status| status.success()));
        let probed = || Command::new(&program).stdin(std::process::Stdio::null()).output().ok();
        // Another test's fork may hold the fresh script open for writing for a moment.
        crate::support::wait_for("the script", probed, String::new);
        RealTmux::new(Address::Default).with_program(program)
    };
    let stage = |tmux: &RealTmux| {
        let text = text("x", 1);
        let (composer, steering) = (empty_composer(Steering::Waits), Steering::Waits);
        let staging = Staging { seq: 1, text: &text, composer, buffer: buffer(1, 1), steering };
        tmux.stage(&pane.target(), &staging)
    };
    for old in ["3.1c", "2.9", "master"] {
        let outcome = stage(&says(&format!("echo 'state {old} 1111'")));
        assert_eq!(outcome, Ok(refused(Refusal::TmuxTooOld(old.to_owned()))));
    }
    for odd in
        ["echo", "echo 'state 3.4 12'", "echo conveyor-done x", "exit 1", "kill -9 $$", "echo 'lost server'; exit 1"]
    {
        let outcome = stage(&says(odd));
        assert!(matches!(outcome, Ok(SendOutcome::Unknown(_))), "{odd}: {outcome:?}");
    }
    for unreached in ["no server running on /x", "error connecting to /x (Connection refused)"] {
        let outcome = stage(&says(&format!("echo '{unreached}' >&2; exit 1")));
        assert!(matches!(outcome, Err(TmuxError::NoServer(_))), "{unreached}: {outcome:?}");
    }
    let submission = Submission {
        seq: 1,
        fence: 1,
        sign: &Sign::Marker(marker(1)),
        key: SubmitKey::Tab,
        press: Press::First,
        steering: Steering::Waits,
    };
    let lost = says("kill -9 $$").submit(&pane.target(), &submission);
    assert!(matches!(lost, Ok(SendOutcome::Unknown(_))), "{lost:?}");
    assert_eq!(says("echo conveyor-done").submit(&pane.target(), &submission), Ok(SendOutcome::Done));
    let window = NewWindow { session: pane.made.session, name: None, program: server.program(&["cat"]) };
    server.tmux().new_window(&window).expect("the server still works");
    nothing_arrived(&[&pane]);
}
