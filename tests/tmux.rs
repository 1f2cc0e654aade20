//! The tmux port against a real tmux.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use conveyor::model::cells::{Colour, Cursor, Picture};
use conveyor::ports::{
    process::{ProcessError, ProcessId, Processes, SystemProcesses},
    tmux::{
        CaptureOptions, Guard, Key, KeyOutcome, KillOutcome, NewSession, NewWindow, PaneId, PaneInfo, PaneOption,
        PaneRef, RealTmux, Refusal, ScreenText, SessionId, Size, Split, SplitDirection, Tmux, TmuxError,
        TmuxServer as Address, TmuxVersion,
    },
};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    require_tool,
    tmux::{TmuxServer, process_of},
    wait_for,
};

/// A shell that shows a question, takes one line and says so.
const PROMPT: &str = "printf 'Trust this folder?\\n1. Trust and continue\\n'; read x; echo ANSWERED; exec cat";

fn texts(texts: &[&str]) -> Vec<ScreenText> {
    texts.iter().map(|text| ScreenText::new(text).expect("a searchable text")).collect()
}

fn guard(pane: &PaneRef, required: &[&str]) -> Guard {
    Guard { required: texts(required), ..Guard::process_only(pane.pane, process_of(pane)) }
}

fn refused(refusal: Refusal) -> KeyOutcome {
    KeyOutcome::Refused(refusal)
}

#[test]
fn a_program_is_started_as_it_was_given() {
    let Some(server) = TmuxServer::start() else { return };
    // A directory that tmux would expand, and partly run, if it were handed over as a format.
    let cwd = server.folder().join("it's #(touch canary) #{pane_id} $HOME ;");
    fs::create_dir(&cwd).unwrap();
    let script = r#"printf '<%s>\n' "$EXTRA" "$@"; pwd; exec cat"#;
    let canary = server.folder().join("canary");
    let touch = format!("#(touch {})", canary.display());
    let words = ["a b", "semi;", ";", "-x", "#{pane_id}", touch.as_str(), "$(touch canary)", "'\"", "é⠹漢", ""];
    let mut program = server.program(&["sh", "-c", script, "sh"]);
    program.argv.extend(words.map(str::to_owned));
    program.cwd.clone_from(&cwd);
    program.env.push(("EXTRA".to_owned(), "x=1; #{pane_id} é".to_owned()));
    let new = NewSession {
        name: "codex-w1".parse().unwrap(),
        window_name: Some("win-1".parse().unwrap()),
        size: Size { width: 111, height: 33 },
        program,
    };
    let made = server.tmux().new_session(&new).unwrap();
    server.wait_for_text(made.pane, "<>");
    server.wait_until("the directory", made.pane, || server.screen(made.pane).lines().count() > words.len() + 1);

    let screen = server.screen(made.pane);
    let shown: Vec<_> = screen.lines().take(words.len() + 2).collect();
    let mut expected = vec!["<x=1; #{pane_id} é>".to_owned()];
    expected.extend(words.map(|word| format!("<{word}>")));
    expected.push(cwd.to_str().unwrap().to_owned());
    assert_eq!(shown, expected);
    assert!(!cwd.join("canary").exists() && !canary.exists() && !Path::new("canary").exists());

    let info = server.tmux().pane(made.pane).unwrap().unwrap();
    assert_eq!((made.socket.as_str(), made.session_name.as_str()), (server.socket(), "codex-w1"));
    assert_eq!((info.session, info.pid, info.dead, info.in_mode), (made.session, made.pid, false, false));
    assert_eq!((info.size, info.current_path), (new.size, Some(cwd)), "the program runs, as its output shows");
    assert_eq!(process_of(&made).pid, made.pid);
    assert_eq!(server.plain(&["display-message", "-p", "-t", "%1", "#{window_name}"]), "win-1");
    assert_eq!(server.tmux().new_session(&new), Err(TmuxError::Exists("codex-w1".to_owned())));
}

#[test]
fn a_single_word_is_a_program_not_a_shell_line() {
    let Some(server) = TmuxServer::start() else { return };
    let script = server.folder().join("odd name;$(touch canary)");
    fs::write(&script, "#!/bin/sh\necho STARTED; exec cat\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let made = server.session("one", &[script.to_str().unwrap()]);
    server.wait_for_text(made.pane, "STARTED");
    assert!(!server.folder().join("canary").exists());

    let mut program = server.program(&["cat"]);
    program.cwd = server.folder().join("none");
    let new = NewWindow { session: made.session, name: None, program };
    assert!(matches!(server.tmux().new_window(&new), Err(TmuxError::Invalid(_))));
}

#[test]
fn hostile_names_and_titles_are_read_as_they_are() {
    let Some(server) = TmuxServer::start() else { return };
    let names = ["it's", "a;b", "x ##{pane_id} y", "%0", "$0", "$0 %0 1 0 x 0", "ünï⠹漢", "=keep", "-dash", "'\"\\"];
    let canary = server.folder().join("canary");
    let touch = format!("#(touch {})", canary.display());
    let titles = ["p %0 $0 1", "⠹ it's | #{pane_pid}", touch.as_str(), "a;b 'c' \"d\"", "[ ! ] Action Required | é"];
    let mut expected = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let title = titles[index % titles.len()];
        let script = server.folder().join(format!("title-{index}"));
        fs::write(&script, format!("\u{1b}]2;{title}\u{7}SHOWN\n")).unwrap();
        let id = server.plain(&[
            "new-session",
            "-d",
            "-P",
            "-F",
            "#{pane_id}",
            "-s",
            name,
            "--",
            "sh",
            "-c",
            "cat \"$1\"; exec cat",
            "sh",
            script.to_str().unwrap(),
        ]);
        let pane: PaneId = id.parse().unwrap();
        server.wait_for_text(pane, "SHOWN");
        expected.push((pane, name.replace("##", "#").replace('\\', "\\\\"), title.to_owned()));
    }
    let panes = server.tmux().panes().unwrap();
    let seen: Vec<_> = panes.iter().map(|pane| (pane.id, pane.session_name.clone(), pane.title.clone())).collect();
    for pane in &expected {
        assert!(seen.contains(pane), "{pane:?} is not in {seen:#?}");
    }
    assert_eq!(panes.len(), names.len() + 1);
    assert!(panes.iter().all(|pane| pane.session_attached == 0 && pane.active));
    let sessions = server.tmux().sessions().unwrap();
    for (_, name, _) in &expected {
        assert!(sessions.iter().any(|session| session.name == *name), "{name}");
    }
    assert!(!canary.exists());
}

#[test]
fn a_directory_cannot_forge_a_line_of_the_listing() {
    let Some(server) = TmuxServer::start() else { return };
    let cwd = server.folder().join("x\nt %0 forged\nd %0 ");
    fs::create_dir_all(&cwd).unwrap();
    let mut program = server.program(&["cat"]);
    program.cwd = cwd;
    // A program has no directory to show before it has taken over its terminal.
    let settled = |count: usize| {
        let seen = || server.tmux().panes().unwrap();
        let ready = |panes: &Vec<PaneInfo>| panes.len() == count && panes[0].current_path.is_some();
        wait_for("the directory", || Some(seen()).filter(ready), String::new)
    };
    let keep = settled(1).remove(0);
    let new = NewWindow { session: keep.session, name: None, program };
    let made = server.tmux().new_window(&new).unwrap();
    let target = made.pane.to_string();
    let plain = || server.plain(&["display-message", "-p", "-t", &target, "#{pane_current_path}"]);
    server.wait_until("the hostile directory", made.pane, || plain().contains("forged"));
    let panes = settled(2);
    assert_eq!((&panes[0].title, &panes[0].current_path), (&keep.title, &keep.current_path));
    assert_eq!((panes[1].id, &panes[1].current_path), (made.pane, &None));
}

#[test]
fn prefix_twins_are_never_mixed_up() {
    let Some(server) = TmuxServer::start() else { return };
    let twin = server.session("codex-work2", &["cat"]);
    assert_eq!(server.tmux().session_named(&"codex-work".parse().unwrap()).unwrap(), None);
    let made = server.session("codex-work", &["cat"]);
    let found = server.tmux().session_named(&"codex-work".parse().unwrap()).unwrap().unwrap();
    assert_eq!(found.id, made.session);

    let killed = server.tmux().kill_session(made.session, made.pane, process_of(&made)).unwrap();
    assert_eq!(killed, KillOutcome::Killed);
    assert_eq!(server.tmux().session_named(&"codex-work".parse().unwrap()).unwrap(), None);
    assert!(server.tmux().pane(twin.pane).unwrap().is_some());
    let again = server.tmux().kill_session(made.session, made.pane, process_of(&made)).unwrap();
    assert_eq!(again, KillOutcome::Gone);
}

#[test]
fn a_pane_of_another_session_is_no_licence_to_kill() {
    let Some(server) = TmuxServer::start() else { return };
    let one = server.session("one", &["cat"]);
    let two = server.session("two", &["cat"]);
    let tmux = server.tmux();
    assert_eq!(tmux.kill_session(one.session, two.pane, process_of(&two)).unwrap(), KillOutcome::Changed);
    assert_eq!(tmux.kill_session(one.session, one.pane, process_of(&two)).unwrap(), KillOutcome::Changed);
    assert_eq!(tmux.kill_pane(one.pane, process_of(&two)).unwrap(), KillOutcome::Changed);
    let earlier = ProcessId { start_ticks: 1, ..process_of(&one) };
    assert_eq!(tmux.kill_pane(one.pane, earlier).unwrap(), KillOutcome::Changed);
    assert_eq!(tmux.kill_pane(PaneId::new(999), process_of(&one)).unwrap(), KillOutcome::Gone);
    assert_eq!(tmux.kill_session(SessionId::new(999), one.pane, process_of(&one)).unwrap(), KillOutcome::Changed);
    assert_eq!(tmux.panes().unwrap().len(), 3);
    assert_eq!(tmux.kill_pane(one.pane, process_of(&one)).unwrap(), KillOutcome::Killed);
    assert_eq!(tmux.panes().unwrap().len(), 2);
}

#[test]
fn a_dead_pane_is_shown_as_dead_and_takes_no_key() {
    let Some(server) = TmuxServer::start() else { return };
    let made = server.session("w", &["sh", "-c", "read x; exit 3"]);
    let process = process_of(&made);
    server.tmux().set_pane_option(made.pane, &PaneOption::remain_on_exit(), "on").unwrap();
    server.plain(&["send-keys", "-t", &made.pane.to_string(), "Enter"]);
    let look = || server.tmux().pane(made.pane).unwrap().unwrap();
    server.wait_until("the end", made.pane, || look().dead);
    // tmux 3.3a now and then misses that a child ended, until it hears of another one.
    server.wait_until("the status", made.pane, || {
        server.plain(&["run-shell", "true"]);
        look().dead_status == Some(3)
    });
    assert_eq!(look().pid, made.pid);
    let key = server.tmux().guarded_key(&Guard::process_only(made.pane, process), Key::Escape).unwrap();
    assert_eq!(key, refused(Refusal::Dead));
    assert_eq!(server.tmux().kill_pane(made.pane, process).unwrap(), KillOutcome::Killed);
    assert_eq!(server.tmux().pane(made.pane).unwrap(), None);
}

#[test]
fn a_shot_shows_colours_and_the_cursor_of_one_moment() {
    let Some(server) = TmuxServer::start() else { return };
    let script = r"printf '\033[1;31mred\033[0m \033[38;5;208mx\033[48;2;1;2;3m  \033[0m\n漢字\033]8;;http://e.org\033\\link\033]8;;\033\\ end'; exec cat";
    let made = server.session("w", &["sh", "-c", script]);
    server.wait_for_text(made.pane, "end");
    let shot = server.tmux().shot(made.pane).unwrap();
    assert_eq!((shot.pid, shot.dead, shot.in_mode), (made.pid, false, false));
    assert_eq!(shot.cursor, Some((12, 1)));
    let cursor = shot.cursor.map(|(column, row)| Cursor { column, row });
    let picture = Picture::of(&shot.text, shot.size.width, shot.size.height, cursor);
    assert_eq!((picture.text(0).as_str(), picture.text(1).as_str()), ("red x  ", "漢字link end"));
    let looks: Vec<_> = picture.rows[0].iter().map(|cell| (cell.look.foreground, cell.look.background)).collect();
    assert_eq!(looks[0], (Colour::Indexed(1), Colour::Default));
    assert!(picture.rows[0][0].look.bold);
    assert_eq!(looks[4].0, Colour::Indexed(208));
    assert_eq!(looks[6].1, Colour::Rgb(1, 2, 3), "coloured blanks at the end of a line stay");
    server.plain(&["copy-mode", "-t", &made.pane.to_string()]);
    assert!(server.tmux().shot(made.pane).unwrap().in_mode);
    assert!(matches!(server.tmux().shot(PaneId::new(99)), Err(TmuxError::NotFound(_))));
}

#[test]
fn a_respawned_pane_is_somebody_else() {
    let Some(server) = TmuxServer::start() else { return };
    let made = server.session("w", &["sh", "-c", PROMPT]);
    server.wait_for_text(made.pane, "1. Trust");
    let old = guard(&made, &["Trust this folder"]);
    server.plain(&["respawn-pane", "-k", "-t", &made.pane.to_string(), "--", "sh", "-c", PROMPT]);
    server.wait_for_text(made.pane, "1. Trust");
    let pid = server.tmux().pane(made.pane).unwrap().unwrap().pid;
    assert_ne!(pid, made.pid);
    // The recorded process is dead, which is known before tmux is asked.
    assert_eq!(server.tmux().guarded_key(&old, Key::Enter).unwrap(), refused(Refusal::Dead));
    // A live process that is not the pane's is found out by the server itself.
    let other = Guard { process: SystemProcesses.identify(std::process::id()).unwrap(), ..old.clone() };
    assert_eq!(server.tmux().guarded_key(&other, Key::Enter).unwrap(), refused(Refusal::ProcessChanged));
    let reused = Guard { process: ProcessId { pid, start_ticks: 1 }, ..old.clone() };
    assert_eq!(server.tmux().guarded_key(&reused, Key::Enter).unwrap(), refused(Refusal::ProcessChanged));
    assert!(!server.screen(made.pane).contains("ANSWERED"));

    let now = Guard { process: SystemProcesses.identify(pid).unwrap(), ..old };
    assert_eq!(server.tmux().guarded_key(&now, Key::Enter).unwrap(), KeyOutcome::Sent);
    server.wait_for_text(made.pane, "ANSWERED");
}

#[test]
fn a_key_is_pressed_only_while_everything_holds() {
    let Some(server) = TmuxServer::start() else { return };
    let made = server.session("w", &["sh", "-c", PROMPT]);
    server.wait_for_text(made.pane, "1. Trust");
    let (tmux, target) = (server.tmux(), made.pane.to_string());
    let good = guard(&made, &["Trust this folder", "1. Trust and continue"]);
    let press = |guard: &Guard| tmux.guarded_key(guard, Key::Enter).unwrap();

    assert_eq!(press(&guard(&made, &[])), refused(Refusal::NothingToConfirm));
    let missing = guard(&made, &["Trust this folder", "Would you like to run"]);
    assert_eq!(press(&missing), refused(Refusal::TextMissing("Would you like to run".into())));
    assert_eq!(press(&guard(&made, &["trust this folder"])), refused(Refusal::TextMissing("trust this folder".into())));
    let forbidden = Guard { forbidden: texts(&["and continue"]), ..good.clone() };
    assert_eq!(press(&forbidden), refused(Refusal::TextPresent("and continue".into())));
    let nowhere = Guard { pane: PaneId::new(999), ..good.clone() };
    assert_eq!(press(&nowhere), refused(Refusal::PaneGone));

    server.plain(&["copy-mode", "-t", &target]);
    assert_eq!(press(&good), refused(Refusal::InMode));
    assert!(tmux.pane(made.pane).unwrap().unwrap().in_mode, "a person's copy mode is left alone");
    server.plain(&["send-keys", "-t", &target, "-X", "cancel"]);
    server.plain(&["set-option", "-w", "-t", &target, "synchronize-panes", "on"]);
    assert_eq!(press(&good), refused(Refusal::Synchronized));
    server.plain(&["set-option", "-w", "-t", &target, "synchronize-panes", "off"]);
    server.plain(&["select-pane", "-d", "-t", &target]);
    assert_eq!(press(&good), refused(Refusal::InputOff));
    server.plain(&["select-pane", "-e", "-t", &target]);
    assert!(!server.screen(made.pane).contains("ANSWERED"));

    assert_eq!(press(&good), KeyOutcome::Sent);
    server.wait_for_text(made.pane, "ANSWERED");
}

#[test]
fn text_that_scrolled_away_does_not_count() {
    let Some(server) = TmuxServer::start() else { return };
    let script = "echo 'Trust this folder'; i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); done; exec cat";
    let made = server.session("w", &["sh", "-c", script]);
    server.wait_for_text(made.pane, "line 39");
    let outcome = server.tmux().guarded_key(&guard(&made, &["Trust this folder"]), Key::Enter).unwrap();
    assert_eq!(outcome, refused(Refusal::TextMissing("Trust this folder".into())));
    let history = CaptureOptions { history_lines: 100, ..CaptureOptions::default() };
    assert!(server.tmux().capture(made.pane, history).unwrap().contains("Trust this folder"));
    assert!(!server.screen(made.pane).contains("Trust this folder"));
}

#[test]
fn many_screens_are_read_by_one_client() {
    let Some(server) = TmuxServer::start() else { return };
    let scripts =
        ["exec cat", "echo one; echo; echo '  three '; exec cat", "seq 1 60; printf 'no end of line'; exec cat"];
    let panes: Vec<_> = (0..)
        .zip(scripts)
        .map(|(number, script)| server.session(&format!("w{number}"), &["sh", "-c", script]).pane)
        .collect();
    server.wait_for_text(panes[1], "three");
    server.wait_for_text(panes[2], "no end of line");
    // More than one client is asked for.
    let all: Vec<_> = panes.iter().copied().cycle().take(241).collect();
    let alone: Vec<_> =
        panes.iter().map(|pane| server.tmux().capture(*pane, CaptureOptions::default()).unwrap()).collect();
    let screens = server.tmux().captures(&all).unwrap();
    assert_eq!(screens.len(), all.len());
    for (screen, wanted) in screens.iter().zip(alone.iter().cycle()) {
        assert_eq!(screen, wanted);
    }
    assert_eq!(server.tmux().captures(&[]).unwrap(), Vec::<String>::new());
    let with_a_stranger = [panes[0], PaneId::new(999), panes[1]];
    assert_eq!(server.tmux().captures(&with_a_stranger), Err(TmuxError::NotFound("pane: %999".to_owned())));
}

#[test]
fn control_keys_need_no_text() {
    let Some(server) = TmuxServer::start() else { return };
    let made =
        server.session("w", &["sh", "-c", "trap 'echo INTERRUPTED' INT; echo READY; while :; do sleep 0.1; done"]);
    server.wait_for_text(made.pane, "READY");
    let guard = Guard::process_only(made.pane, process_of(&made));
    assert_eq!(server.tmux().guarded_key(&guard, Key::CtrlC).unwrap(), KeyOutcome::Sent);
    server.wait_for_text(made.pane, "INTERRUPTED");
}

#[test]
fn panes_that_die_under_the_key_do_not_take_the_server_along() {
    let Some(server) = TmuxServer::start() else { return };
    server.plain(&["set-option", "-g", "remain-on-exit", "on"]);
    let before = server.tmux().server_info().unwrap();
    for round in 0..40_u64 {
        let made = server.session(&format!("w{round}"), &["sh", "-c", "echo 'Trust this folder'; sleep 0.02"]);
        let Some(process) = made.process else { continue };
        thread::sleep(Duration::from_millis(round % 30));
        let guard = Guard { required: texts(&["Trust this folder"]), ..Guard::process_only(made.pane, process) };
        match server.tmux().guarded_key(&guard, Key::Enter).unwrap() {
            KeyOutcome::Sent | KeyOutcome::Refused(Refusal::Dead | Refusal::TextMissing(_)) => {}
            KeyOutcome::Refused(other) => panic!("{other}"),
        }
        assert_eq!(server.tmux().kill_pane(made.pane, process).unwrap(), KillOutcome::Killed);
    }
    assert_eq!(server.tmux().server_info().unwrap(), before);
}

#[test]
fn options_hold_any_text() {
    let Some(server) = TmuxServer::start() else { return };
    let made = server.session("w", &["cat"]);
    let option = PaneOption::user("cvy_owner").unwrap();
    assert_eq!(server.tmux().pane_option(made.pane, &option).unwrap(), None);
    for value in ["7", "-x", "a;", ";", "#{pane_id}", "$HOME 'x' \"y\" \\", "é 漢"] {
        server.tmux().set_pane_option(made.pane, &option, value).unwrap();
        assert_eq!(server.tmux().pane_option(made.pane, &option).unwrap().as_deref(), Some(value));
    }
    let nowhere = PaneId::new(999);
    let missing = Err(TmuxError::NotFound("pane: %999".to_owned()));
    assert_eq!(server.tmux().set_pane_option(nowhere, &option, "1"), missing);
    assert_eq!(server.tmux().pane_option(nowhere, &option), missing.clone().map(|()| None));
    assert_eq!(server.tmux().capture(nowhere, CaptureOptions::default()), missing.map(|()| String::new()));
    assert_eq!(server.tmux().pane(nowhere).unwrap(), None);
}

#[test]
fn windows_splits_and_sizes() {
    let Some(server) = TmuxServer::start() else { return };
    let (tmux, one) = (server.tmux(), server.session("w", &["cat"]));
    let name = Some("side".parse().unwrap());
    let window = tmux.new_window(&NewWindow { session: one.session, name, program: server.program(&["cat"]) }).unwrap();
    assert_eq!((window.session, window.session_name.as_str()), (one.session, "w"));
    assert!(!tmux.pane(window.pane).unwrap().unwrap().window_active, "a new window is not pushed to the front");
    let split =
        Split { pane: one.pane, direction: SplitDirection::Right, cells: Some(19), program: server.program(&["cat"]) };
    let right = tmux.split_window(&split).unwrap();
    assert_eq!(tmux.pane(right.pane).unwrap().unwrap().size, Size { width: 19, height: 24 });
    assert_eq!(tmux.pane(one.pane).unwrap().unwrap().size, Size { width: 60, height: 24 });
    let below = Split { direction: SplitDirection::Below, cells: Some(8), pane: right.pane, ..split.clone() };
    let below = tmux.split_window(&below).unwrap();
    assert_eq!(tmux.pane(below.pane).unwrap().unwrap().size, Size { width: 19, height: 8 });
    tmux.resize(window.pane, Size { width: 100, height: 40 }).unwrap();
    assert_eq!(tmux.pane(window.pane).unwrap().unwrap().size, Size { width: 100, height: 40 });
    let gone = Split { pane: PaneId::new(999), ..split };
    assert_eq!(tmux.split_window(&gone), Err(TmuxError::NotFound("pane: %999".to_owned())));
    let gone = NewWindow { session: SessionId::new(999), name: None, program: server.program(&["cat"]) };
    assert!(matches!(tmux.new_window(&gone), Err(TmuxError::NotFound(_))));
}

#[test]
fn a_terminal_attaches_switches_and_pops_up() {
    let Some(server) = TmuxServer::start() else { return };
    let tmux = server.tmux();
    let one = server.session("one", &["sh", "-c", "echo FIRST; exec cat"]);
    let two = server.session("two", &["sh", "-c", "echo SECOND; exec cat"]);
    // The terminal is a pane of another server.
    let Some(outer) = TmuxServer::start() else { return };
    let attach = tmux.attach_argv(one.pane);
    let mut words = vec!["env", "-u", "TMUX", "-u", "TMUX_PANE"];
    words.extend(attach.iter().map(String::as_str));
    let terminal = outer.session("terminal", &words);
    outer.wait_for_text(terminal.pane, "FIRST");
    assert_eq!(tmux.pane(one.pane).unwrap().unwrap().session_attached, 1);

    // As it is inside a pane of that server.
    let inside = tmux.clone().with_env("TMUX", Some(OsString::from(format!("{},1,0", server.socket()))));
    let inside = inside.with_env("TMUX_PANE", Some(OsString::from(one.pane.to_string())));
    inside.switch_client(two.pane).unwrap();
    outer.wait_for_text(terminal.pane, "SECOND");
    assert_eq!(tmux.pane(one.pane).unwrap().unwrap().session_attached, 0);

    let popup = tmux
        .popup_argv(std::path::Path::new("/"), &["sh", "-c", "echo POP$((1+1))UP; exec cat"].map(str::to_owned))
        .unwrap();
    let mut program = server.program(&[]);
    program.argv = popup;
    tmux.new_window(&NewWindow { session: two.session, name: None, program }).unwrap();
    outer.wait_for_text(terminal.pane, "POP2UP");
    assert!(matches!(tmux.switch_client(PaneId::new(999)), Err(TmuxError::NotFound(_))));
}

#[test]
fn linked_windows_are_listed_once() {
    let Some(server) = TmuxServer::start() else { return };
    let one = server.session("one", &["cat"]);
    let two = server.session("two", &["cat"]);
    server.plain(&["link-window", "-d", "-s", &one.pane.to_string(), "-t", &format!("{}:", two.session)]);
    let panes = server.tmux().panes().unwrap();
    assert_eq!(panes.iter().filter(|pane| pane.id == one.pane).count(), 1);
    assert_eq!(panes.len(), 3);
}

#[test]
fn a_server_that_stands_still_costs_no_more_than_the_limit() {
    let Some(server) = TmuxServer::start() else { return };
    let info = server.tmux().server_info().unwrap();
    assert_eq!(info.socket, server.socket());
    let pid = Pid::from_raw(i32::try_from(info.pid).unwrap()).unwrap();
    let quick = server.tmux().clone().with_limit(Duration::from_millis(300));
    kill_process(pid, Signal::STOP).unwrap();
    let start = Instant::now();
    let result = quick.panes();
    let took = start.elapsed();
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(result, Err(TmuxError::Timeout("list-panes".to_owned())));
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(server.tmux().panes().unwrap().len(), 1);
}

/// A stand-in for the tmux program.
fn fake_tmux(folder: &Path, script: &str) -> RealTmux {
    let path = folder.join("fake-tmux");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("the script is written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("the script can be run");
    // Another test's fork may hold the fresh script open for writing for a moment.
    wait_for("the script", || std::process::Command::new(&path).arg("probe").output().ok(), String::new);
    RealTmux::new(Address::Default).with_program(path).with_limit(Duration::from_millis(300))
}

#[test]
fn at_the_limit_the_client_is_killed() {
    for stuck in ["exec sleep 1000", "exec sleep 1000 >&- 2>&-", "trap '' TERM INT; while :; do sleep 0.05; done"] {
        let folder = tempfile::tempdir().unwrap();
        let note: PathBuf = folder.path().join("pid");
        let script = format!("[ \"$1\" = probe ] && exit; echo $$ > '{}'; {stuck}", note.display());
        let tmux = fake_tmux(folder.path(), &script);
        assert_eq!(tmux.sessions(), Err(TmuxError::Timeout("list-sessions".to_owned())), "{stuck}");
        let pid: u32 = fs::read_to_string(&note).unwrap().trim().parse().unwrap();
        assert!(matches!(SystemProcesses.identify(pid), Err(ProcessError::Gone(_))), "{stuck}");
    }
}

#[test]
fn much_output_arrives_whole_and_endless_output_ends() {
    let folder = tempfile::tempdir().unwrap();
    let line = "x".repeat(99);
    let tmux = fake_tmux(folder.path(), &format!("[ \"$1\" = probe ] && exit; yes {line} | head -n 20000"));
    let text = tmux.with_limit(Duration::from_secs(10)).capture(PaneId::new(1), CaptureOptions::default()).unwrap();
    assert_eq!(text.len(), 2_000_000);
    let tmux = fake_tmux(folder.path(), "[ \"$1\" = probe ] && exit; exec yes");
    let endless = tmux.with_limit(Duration::from_secs(60)).capture(PaneId::new(1), CaptureOptions::default());
    assert!(matches!(endless, Err(TmuxError::Failed { .. })), "{endless:?}");
}

#[test]
fn what_goes_wrong_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = RealTmux::new(Address::Default).with_env("PATH", Some(folder.path().as_os_str().to_owned()));
    assert_eq!(nowhere.version(), Err(TmuxError::Missing));
    assert_eq!(nowhere.panes(), Err(TmuxError::Missing));
    let denied = fake_tmux(folder.path(), "echo 'error connecting to /tmp/s (Operation not permitted)' >&2; exit 1");
    assert!(matches!(denied.panes(), Err(TmuxError::PermissionDenied(_))));
    // Not readable as "no such session": it may well run.
    assert!(matches!(denied.session_named(&"w".parse().unwrap()), Err(TmuxError::PermissionDenied(_))));
    let odd = fake_tmux(folder.path(), "echo 'tmux master'");
    assert!(matches!(odd.version(), Err(TmuxError::Unreadable { .. })));
    let silent = fake_tmux(folder.path(), "exit 3");
    let failed = TmuxError::Failed { command: "list-sessions".into(), stderr: "exit status: 3".into() };
    assert_eq!(silent.sessions(), Err(failed));

    if !require_tool("tmux") {
        return;
    }
    let socket = folder.path().join("none").to_str().unwrap().to_owned();
    let tmux = RealTmux::new(Address::Socket(socket)).with_config("/dev/null");
    assert!(matches!(tmux.panes(), Err(TmuxError::NoServer(_))));
    assert!(matches!(tmux.server_info(), Err(TmuxError::NoServer(_))));
    assert_eq!(tmux.session_named(&"w".parse().unwrap()).unwrap(), None);
    let process = SystemProcesses.identify(std::process::id()).unwrap();
    assert_eq!(tmux.kill_pane(PaneId::new(0), process).unwrap(), KillOutcome::Gone);
    let floor = TmuxVersion { major: 3, minor: 2, suffix: String::new() };
    assert!(tmux.version().unwrap() >= floor);
}

#[test]
fn closing_the_last_pane_is_told_although_the_server_ends() {
    let Some(server) = TmuxServer::start() else { return };
    let keep = server.tmux().panes().unwrap().remove(0);
    let process = SystemProcesses.identify(keep.pid).unwrap();
    let info = server.tmux().server_info().unwrap();
    assert_eq!(server.tmux().kill_session(keep.session, keep.id, process).unwrap(), KillOutcome::Killed);
    wait_for("the end of the server", || SystemProcesses.identify(info.pid).is_err().then_some(()), String::new);
    assert!(matches!(server.tmux().panes(), Err(TmuxError::NoServer(_))));
}
