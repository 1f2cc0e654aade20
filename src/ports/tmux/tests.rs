use super::*;

fn failure(stderr: &str) -> TmuxError {
    parse::failure("has-session", stderr)
}

#[test]
fn what_tmux_says_becomes_a_typed_error() {
    let no_server = [
        "no server running on /tmp/tmux-0/x\n",
        "error connecting to /tmp/tmux-0/x (No such file or directory)",
        "error connecting to /tmp/x (Connection refused)",
        "server exited unexpectedly",
    ];
    for text in no_server {
        assert!(matches!(failure(text), TmuxError::NoServer(_)), "{text}");
    }
    let denied = [
        "error connecting to /tmp/tmux-0/default (Permission denied)",
        "error connecting to /private/tmp/tmux-501/default (Operation not permitted)",
        "Not authorized to send",
        "not authorised",
        "access not allowed",
    ];
    for text in denied {
        assert!(matches!(failure(text), TmuxError::PermissionDenied(_)), "{text}");
    }
    assert_eq!(failure("can't find pane: %7\n"), TmuxError::NotFound("pane: %7".into()));
    assert_eq!(failure("no such pane: %7\n"), TmuxError::NotFound("pane: %7".into()));
    assert!(matches!(failure("no such command"), TmuxError::Failed { .. }));
    assert_eq!(failure("duplicate session: w1\n"), TmuxError::Exists("w1".into()));
    let other = TmuxError::Failed { command: "has-session".into(), stderr: "command too long".into() };
    assert_eq!(failure("command too long\u{1b}[2J"), other);
}

#[test]
fn versions_are_read_and_judged() {
    use Support::{Fragile, Good, TooOld};
    let cases = [
        ("3.3a", "3.3a", Fragile),
        ("3.2", "3.2", Fragile),
        ("3.1c", "3.1c", TooOld),
        ("2.9", "2.9", TooOld),
        ("3.4-rc2", "3.4-rc2", Good),
        ("next-3.6", "next-3.6", Good),
        ("4.0", "4.0", Good),
        ("3.10", "3.10", Good),
    ];
    for (text, shown, support) in cases {
        let version = parse::version(text).unwrap();
        assert_eq!((version.to_string().as_str(), version.support()), (shown, support));
    }
    assert_eq!(["master", "openbsd-7.5", "", "3."].map(parse::version), [None, None, None, None]);
}

#[test]
fn free_texts_cannot_be_taken_for_fields_or_lines() {
    let output = "p %1 $1 77 0 x 0 80 24 x1 x1700000000 1 1 0 it's #{x} ; 9 9\n\
         p %2 $1 78 1 x3 1 60 15 x0 x 0 1 2 it's\n\
         p %1 $2 77 0 x 0 80 24 x1 x1700000000 1 1 0 linked\n\
         c %1 codex\nc %2 \n\
         t %1 ⠹ a | b \u{1b}[31m c\nt %2 p %1 $9 1\n\
         d %1 /tmp/a b\nd %2 /tmp/x\u{fffd}t %1 forged\n";
    let panes = parse::panes(output.as_bytes()).unwrap();
    let first = PaneInfo {
        id: PaneId::new(1),
        session: SessionId::new(1),
        session_name: "it's #{x} ; 9 9".into(),
        pid: 77,
        dead: false,
        dead_status: None,
        in_mode: false,
        size: Size { width: 80, height: 24 },
        alternate_on: true,
        output_at: Some(1_700_000_000),
        active: true,
        window_active: true,
        session_attached: 0,
        current_command: "codex".into(),
        title: "⠹ a | b c".into(),
        current_path: Some("/tmp/a b".into()),
    };
    let second = PaneInfo {
        id: PaneId::new(2),
        session_name: "it's".into(),
        pid: 78,
        dead: true,
        dead_status: Some(3),
        in_mode: true,
        size: Size { width: 60, height: 15 },
        alternate_on: false,
        output_at: None,
        active: false,
        session_attached: 2,
        current_command: String::new(),
        title: "p %1 $9 1".into(),
        current_path: None,
        ..first.clone()
    };
    assert_eq!(panes, [first, second]);
    assert!(matches!(parse::panes(b"no such line\n"), Err(TmuxError::Unreadable { .. })));
    assert!(matches!(parse::panes(b"p %1 $1 77\n"), Err(TmuxError::Unreadable { .. })));
    assert_eq!(parse::panes(b"").unwrap(), []);
}

#[test]
fn reading_never_panics() {
    proptest::proptest!(|(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200))| {
        // The results are of no interest here, only that there is one.
        drop((parse::panes(&bytes), parse::sessions(&bytes), parse::made("x", &bytes), parse::server(&bytes)));
    });
}

#[test]
fn a_server_and_its_sessions_are_read() {
    let server = parse::server(b"123 1795000000 3.3a\n/tmp/tmux 0/x y\n").unwrap();
    assert_eq!((server.pid, server.socket.as_str()), (123, "/tmp/tmux 0/x y"));
    assert_eq!(server.started_at.as_millis(), 1_795_000_000_000);
    let sessions = parse::sessions("$1 0 it's a name\n$12 3 \u{202e}x\n".as_bytes()).unwrap();
    let expected = [
        SessionInfo { id: SessionId::new(1), name: "it's a name".into(), attached: 0 },
        SessionInfo { id: SessionId::new(12), name: "\u{202e}x".into(), attached: 3 },
    ];
    assert_eq!(sessions, expected);
}

#[test]
fn ids_and_names_are_parsed_at_the_edge() {
    assert_eq!("%7".parse::<PaneId>().unwrap().to_string(), "%7");
    assert_eq!("$0".parse::<SessionId>().unwrap().to_string(), "$0");
    for bad in ["7", "%", "%x", "%-1", "%+1", "%7 ", "w1", "$7", "w:%7", "%99999999999", ""] {
        assert!(bad.parse::<PaneId>().is_err(), "{bad}");
    }
    for bad in ["", "-x", "a.b", "a:b", "#(id)", "#{x}", "a b", "a;", "=x", "ä"] {
        assert!(bad.parse::<TmuxName>().is_err(), "{bad}");
    }
    assert!("codex-w_1".parse::<TmuxName>().is_ok());
    for bad in ["", "a b", "x;", "@x"] {
        assert!(PaneOption::user(bad).is_err(), "{bad}");
    }
}

#[test]
fn screen_texts_hold_nothing_that_tmux_would_interpret() {
    for good in ["Trust this folder", "1. Trust and continue", "Don't ask"] {
        assert!(ScreenText::new(good).is_ok(), "{good}");
    }
    let long = "x".repeat(61);
    for bad in
        ["", "abc", " lead", "trail ", "a*bcd", "folder?", "a#{x}", "a}bc", "a,bc", "a\"bcd", "a$bc", "ä ö ü", &long]
    {
        assert!(ScreenText::new(bad).is_err(), "{bad}");
    }
}

fn guard() -> Guard {
    let text = |text: &str| ScreenText::new(text).unwrap();
    Guard {
        pane: PaneId::new(7),
        process: ProcessId { pid: 42, start_ticks: 1 },
        required: vec![text("Trust this folder"), text("1. Trust and continue")],
        forbidden: vec![text("Would you like to run")],
    }
}

#[test]
fn every_reason_to_refuse_is_told() {
    let cases = [
        ("//", Refusal::PaneGone),
        ("43/0000/110", Refusal::ProcessChanged),
        ("42/1000/110", Refusal::Dead),
        ("42/0100/110", Refusal::InMode),
        ("42/01200/110", Refusal::InMode),
        ("42/0010/110", Refusal::Synchronized),
        ("42/0001/110", Refusal::InputOff),
        ("42/0000/010", Refusal::TextMissing("Trust this folder".into())),
        ("42/0000/100", Refusal::TextMissing("1. Trust and continue".into())),
        ("42/0000/111", Refusal::TextPresent("Would you like to run".into())),
    ];
    for (state, expected) in cases {
        assert_eq!(guard().refusal(state), Some(expected), "{state}");
    }
    for unreadable in [&guard().wanted_state(), "", "42", "42/0", "42/00/11"] {
        assert_eq!(guard().refusal(unreadable), None, "{unreadable}");
    }
}

#[test]
fn enter_needs_a_text_that_shows_what_it_answers() {
    let bare = Guard::process_only(PaneId::new(7), ProcessId { pid: 42, start_ticks: 1 });
    assert_eq!(bare.refuses(Key::Enter), Some(Refusal::NothingToConfirm));
    assert_eq!(bare.refuses(Key::Escape), None);
    assert_eq!(guard().refuses(Key::Enter), None);
}

#[test]
fn the_scripted_server_keeps_the_promises_of_a_real_one() {
    let tmux = ScriptedTmux::default();
    let process = ProcessId { pid: 42, start_ticks: 1 };
    let made = tmux.add_session("w1", process);
    let guard = Guard { pane: made.pane, ..guard() };
    let press = || tmux.guarded_key(&guard, Key::Enter).unwrap();
    let missing = KeyOutcome::Refused(Refusal::TextMissing("Trust this folder".into()));
    assert_eq!(press(), missing);
    tmux.set_screen(made.pane, "  Trust this folder?\n> 1. Trust and continue");
    tmux.change(made.pane, |pane| pane.next_screens.push_back("ready".into()));
    assert_eq!(press(), KeyOutcome::Sent);
    assert_eq!(tmux.capture(made.pane, CaptureOptions::default()).unwrap(), "ready");
    assert_eq!(press(), missing);
    let sent: Vec<_> = tmux.calls().into_iter().filter(|call| matches!(call, Call::Key(..))).collect();
    let key = |outcome| Call::Key(made.pane, Key::Enter, outcome);
    assert_eq!(sent, [key(missing.clone()), key(KeyOutcome::Sent), key(missing)]);

    let stranger = ProcessId { start_ticks: 2, ..process };
    assert_eq!(tmux.kill_session(made.session, made.pane, stranger).unwrap(), KillOutcome::Changed);
    tmux.fail_next(TmuxError::Timeout("if-shell".into()));
    assert!(tmux.kill_session(made.session, made.pane, process).is_err());
    assert_eq!(tmux.kill_session(made.session, made.pane, process).unwrap(), KillOutcome::Killed);
    assert_eq!(tmux.session_named(&"w1".parse().unwrap()).unwrap(), None);
}

#[test]
fn the_scripted_server_types_like_a_real_one() {
    use crate::model::{
        codex::SubmitKey,
        pane::{Look, Steering, ready_for_text},
        typing::{Loss, Marker, Typing, typed_message},
    };
    let tmux = ScriptedTmux::default();
    let process = ProcessId { pid: 42, start_ticks: 1 };
    let made = tmux.add_session("w1", process);
    let install = Install::new("here").unwrap();
    let target = Target { pane: made.pane, process, install: install.clone() };
    let screen = "› Ask Codex to do anything\n\n  GPT-6.1-Sol default · ~/project";
    tmux.set_screen(made.pane, screen);
    let dim = screen.replace("› ", "› \u{1b}[2m");
    let steering = Steering::Waits;
    let look = Look { screen: &dim, title: None, width: 80, height: 24, in_mode: false, dead: false, steering };
    let composer = ready_for_text(&look).unwrap();
    let Ok(Typing::Typed { text, .. }) = typed_message(b"go on", &Marker::of_command("c1"), Loss::Refused) else {
        panic!()
    };
    let buffer = BufferName::new(&install, "c1", 1).unwrap();
    let staging = Staging { seq: 1, text: &text, composer, buffer: buffer.clone(), steering };
    let stage = || tmux.stage(&target, &staging).unwrap();
    let submission = |press, fence| {
        let (sign, key) = (text.sign(), SubmitKey::Tab);
        Submission { seq: 1, fence, sign, key, press, steering }
    };
    let submit = |press| tmux.submit(&target, &submission(press, 3)).unwrap();
    let hold = |seq, fence| tmux.hold(&target, seq, fence).unwrap();
    let receipt = || tmux.receipt(made.pane, &install, text.sign()).unwrap().unwrap();
    let refused = SendOutcome::Refused;

    assert_eq!(submit(Press::First), refused(Refusal::OwnedByOther));
    assert_eq!(hold(1, 1), refused(Refusal::OwnedByOther));
    tmux.lose_next_step();
    assert!(matches!(stage(), SendOutcome::Unknown(_)));
    assert_eq!((receipt().staged, tmux.buffers()), (0, vec![buffer.as_str().to_owned()]));
    assert_eq!(tmux.sweep_buffers(&install, std::slice::from_ref(&buffer)).unwrap(), [""; 0]);
    assert_eq!(tmux.sweep_buffers(&install, &[]).unwrap(), [buffer.as_str()]);
    tmux.change(made.pane, |pane| pane.info.title = "⠹ Hello | project".into());
    assert_eq!(stage(), refused(Refusal::Busy));
    tmux.change(made.pane, |pane| pane.info.title.clear());
    tmux.change(made.pane, |pane| "mine".clone_into(&mut pane.composer));
    assert_eq!(stage(), refused(Refusal::ComposerNotEmpty));
    tmux.change(made.pane, |pane| pane.composer.clear());

    tmux.lose_next_answer();
    assert!(matches!(stage(), SendOutcome::Unknown(_)));
    let staged = receipt();
    assert_eq!((staged.staged, staged.submitted, staged.sign), (1, 0, SignPlace::InComposer));
    assert_eq!(staged.owner.as_deref(), Some("here"));
    assert_eq!(stage(), refused(Refusal::AlreadyStaged));
    assert_eq!(submit(Press::Again), refused(Refusal::NotSubmitted));
    // Whoever has it under an older fence comes too late, also to take it over.
    assert_eq!(hold(1, 3), SendOutcome::Done);
    assert_eq!(tmux.submit(&target, &submission(Press::First, 2)).unwrap(), refused(Refusal::TakenOver));
    assert_eq!(hold(1, 2), refused(Refusal::TakenOver));
    assert_eq!(submit(Press::First), SendOutcome::Done);
    assert_eq!(submit(Press::First), refused(Refusal::AlreadySubmitted));
    assert_eq!(submit(Press::Again), refused(Refusal::SignNotInComposer));
    assert_eq!((receipt().submitted, receipt().sign), (1, SignPlace::OnScreen));

    assert_eq!(tmux.interrupt(&target).unwrap(), refused(Refusal::NotBusy));
    tmux.set_screen(made.pane, "• Working (3s • esc to interrupt)\n› Ask Codex to do anything");
    assert_eq!(tmux.interrupt(&target).unwrap(), SendOutcome::Done);
    let other = Target { install: Install::new("there").unwrap(), ..target.clone() };
    tmux.set_screen(made.pane, screen);
    let second = Staging { seq: 2, ..staging.clone() };
    assert_eq!(tmux.stage(&other, &second).unwrap(), refused(Refusal::OwnedByOther));
    tmux.set_version(parse::version("3.1c").unwrap());
    assert_eq!(tmux.stage(&target, &second).unwrap(), refused(Refusal::TmuxTooOld("3.1c".into())));
    tmux.remove(made.pane);
    assert_eq!(tmux.stage(&target, &second).unwrap(), refused(Refusal::PaneGone));
    assert_eq!(tmux.receipt(made.pane, &install, text.sign()).unwrap(), None);
    let asked = tmux.calls().into_iter().filter(|call| matches!(call, Call::Stage(..) | Call::Submit(..))).count();
    assert_eq!(asked, 14);
}
