use super::{adopting::one_for_each_thread, *};
use crate::ports::process::ProcessId;

/// A session in the pane %1, whose shell is process 10.
fn in_pane(thread: Option<&str>, pid: u32) -> Running {
    let process = |pid| ProcessId { pid, start_ticks: 7 };
    let pane = running::PaneSeen {
        socket: "/tmp/tmux".to_owned(),
        session_name: "mywork".to_owned(),
        id: "%1".parse().unwrap(),
        process: process(10),
    };
    let mut running = Running::default();
    running.thread_id = thread.map(str::to_owned);
    (running.pane, running.process) = (Some(pane), Some(process(pid)));
    running
}

/// The record of it, given up.
fn given_up(name: &str, thread: Option<&str>, pid: i64) -> Session {
    let mut session =
        Session::new(name.to_owned(), name.to_owned(), Role::Manager, "t".to_owned(), Timestamp::from_millis(0));
    session.state = Registration::Gone;
    session.codex_session_id = thread.map(str::to_owned);
    (session.tmux_pane_id, session.tmux_socket) = (Some("%1".to_owned()), Some("/tmp/tmux".to_owned()));
    (session.pane_pid, session.pane_pid_start) = (Some(10), Some(7));
    (session.pid, session.pid_start) = (Some(pid), Some(7));
    session
}

#[test]
fn a_former_name_belongs_to_its_thread_and_to_a_pane_only_where_no_thread_tells() {
    let was = |running: &Running, sessions: &[Session]| {
        registration_of(running, sessions, &[]).map(|session| session.name.clone())
    };
    let (boss, other) = (given_up("boss", Some("a"), 20), given_up("other", Some("b"), 21));
    let both = [boss.clone(), other.clone()];
    assert_eq!(was(&in_pane(Some("a"), 20), &both).as_deref(), Some("boss"), "not the last one of its pane");
    assert_eq!(was(&in_pane(Some("c"), 22), &both), None, "another Codex in the same shell");
    assert_eq!(was(&in_pane(None, 20), std::slice::from_ref(&boss)).as_deref(), Some("boss"), "the same process");
    assert_eq!(was(&in_pane(None, 22), std::slice::from_ref(&boss)), None);
    let unknown = given_up("new", None, 23);
    assert_eq!(was(&in_pane(Some("c"), 23), &[unknown.clone(), other]).as_deref(), Some("new"));
    let mut rebooted = unknown;
    rebooted.pane_pid_start = Some(6);
    assert_eq!(was(&in_pane(Some("c"), 23), &[rebooted]), None, "the shell of another day");
    let mut active = boss;
    active.state = Registration::Active;
    assert_eq!(was(&in_pane(Some("c"), 22), &[active]).as_deref(), Some("boss"), "one in force may change its thread");
}

#[test]
fn what_was_stopped_is_not_called_deregistered() {
    let mut view = RunningView::of(&in_pane(Some("a"), 20), Some(&given_up("boss", Some("a"), 20)));
    view.parting = Some(crate::model::session::Parting::Stopped);
    assert!(view.line().contains("was boss (manager), stopped"), "{}", view.line());
    view.parting = Some(crate::model::session::Parting::GivenUp);
    assert!(view.line().contains("was boss (manager), deregistered"), "{}", view.line());
}

#[test]
fn two_sessions_stay_two_entries_and_a_thread_is_adopted_once() {
    let w1 = given_up("w1", Some("a"), 20);
    let view = |running: &Running| RunningView::of(running, Some(&w1));
    let mut served = Running::default();
    served.thread_id = Some("a".to_owned());
    let count = |found: [&Running; 2]| one_for_each(found.into_iter().map(view)).len();
    assert_eq!(count([&served, &in_pane(None, 20)]), 2, "which thread the terminal shows is not known");
    assert_eq!(count([&in_pane(None, 20), &in_pane(Some("a"), 20)]), 1, "the same pane, seen twice");
    assert_eq!(count([&served, &in_pane(Some("a"), 20)]), 1, "the server's and the terminal that shows it");
    assert_eq!(count([&served, &in_pane(Some("b"), 21)]), 2);
    let mut elsewhere = in_pane(Some("a"), 22);
    elsewhere.pane.as_mut().unwrap().id = "%2".parse().unwrap();
    assert_eq!(count([&elsewhere, &in_pane(None, 20)]), 2);
    let once = one_for_each_thread(vec![&served, &elsewhere]);
    assert_eq!((once.len(), once[0].pane.is_some()), (1, true));
}

#[test]
fn what_is_free_is_told_cleaned_and_with_those_whose_thread_nobody_tells() {
    let running = |thread: Option<&str>, preview: &str| {
        let mut running = Running::default();
        running.thread_id = thread.map(str::to_owned);
        running.cwd = Some("/tmp/a\u{1b}[31mb".into());
        running.preview = Some(preview.to_owned());
        running
    };
    let mut idle = running(Some("idle"), "x");
    idle.unattended = true;
    let found = vec![running(Some("t"), "two\nlines\u{7}"), running(None, &"x".repeat(500)), idle];
    let free = free(found, &[]);
    let one = &free.sessions[0];
    assert_eq!((free.sessions.len(), one.thread_id.as_str(), one.about.as_deref()), (1, "t", Some("two lines")));
    assert!(!one.cwd.as_ref().unwrap().contains('\u{1b}'));
    let unknown = &free.unknown[..];
    assert_eq!((unknown.len(), &unknown[0].cwd), (1, &one.cwd));
    assert!(unknown[0].about.as_ref().unwrap().chars().count() <= MAX_ABOUT);
}

#[test]
fn a_pane_s_record_is_not_of_another_process_there_while_its_own_thread_is_shown() {
    let mut w1 = given_up("w1", Some("a"), 20);
    w1.state = Registration::Active;
    let (first, second) = (in_pane(Some("a"), 20), in_pane(Some("b"), 21));
    let all = [first.clone(), second.clone()];
    let of = |running: &Running, found: &[Running]| registered_as(running, std::slice::from_ref(&w1), found);
    assert_eq!(of(&first, &all).as_deref(), Some("w1"));
    assert_eq!(of(&second, &all), None, "another one in the same pane");
    assert_eq!(of(&second, &all[1..]).as_deref(), Some("w1"), "its thread has changed");
    let mut old = in_pane(Some("a"), 21);
    old.pane = None;
    assert_eq!(
        of(&second, &[old, second.clone()]).as_deref(),
        Some("w1"),
        "the lock of its former thread is still held"
    );
    assert!(free(all.to_vec(), std::slice::from_ref(&w1)).sessions.is_empty(), "its pane is taken");
}

/// A terminal that npm's script began is on record by the script; its thread is the server's.
#[test]
fn a_given_up_session_of_the_server_is_found_with_its_terminal() {
    let former = given_up("w1", Some("a"), 20);
    let mut terminal = in_pane(None, 21);
    assert_eq!(registration_of(&terminal, std::slice::from_ref(&former), &[]), None, "another process");
    terminal.wrapper = Some(ProcessId { pid: 20, start_ticks: 7 });
    assert!(registration_of(&terminal, std::slice::from_ref(&former), &[]).is_some());
    let mut served = Running::default();
    served.thread_id = Some("a".to_owned());
    served.unattended = true;
    let together = joined(vec![served.clone(), terminal.clone()], std::slice::from_ref(&former));
    let one = &together[0];
    assert_eq!(
        (together.len(), &one.thread_id, &one.pane, one.unattended),
        (1, &served.thread_id, &terminal.pane, false)
    );
    let apart = joined(vec![served.clone(), terminal.clone()], &[]);
    assert_eq!((apart.len(), &apart[0].pane), (2, &None), "no record ties them");
    // The record alone tells nothing of what its pane shows now.
    let without_process = Session { pid: None, pid_start: None, ..former.clone() };
    let unproven = joined(vec![served.clone(), terminal.clone()], std::slice::from_ref(&without_process));
    assert_eq!((unproven.len(), &unproven[0].pane), (2, &None), "nobody knows which process it was");
    let in_force = Session { state: Registration::Active, ..former.clone() };
    let another = in_pane(None, 22);
    let passed_on = joined(vec![served.clone(), another], std::slice::from_ref(&in_force));
    assert_eq!((passed_on.len(), &passed_on[0].pane), (2, &None), "another Codex in the same shell");
    let still = joined(vec![served.clone(), terminal.clone()], std::slice::from_ref(&in_force));
    assert_eq!(still.len(), 1, "the same process");
    let folder = |running: &Running| {
        let mut running = running.clone();
        running.cwd = Some("/p".into());
        running
    };
    let mut fresh = folder(&Running::default());
    fresh.thread_id = Some("b".to_owned());
    let moved_on = joined(vec![folder(&served), fresh, folder(&terminal)], std::slice::from_ref(&former));
    assert_eq!((moved_on.len(), &moved_on[0].pane), (3, &None), "it may show the new thread, as after /new");
    let twice = joined(vec![served, terminal.clone(), terminal], std::slice::from_ref(&former));
    assert_eq!((twice.len(), &twice[0].pane), (3, &None), "either could be it");
}
