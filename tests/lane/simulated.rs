//! Into simulated sessions of several versions: prefixes that would be commands, approvals that open at any moment,
//! and people who type at the same time.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use conveyor::{
    model::{
        codex::SubmitKey,
        pane::{DeferReason, Held, Prompt, Steering, read_pane},
        typing::Echo,
    },
    ports::tmux::{Refusal, SendOutcome, SignPlace, Tmux},
};

use serde_json::json;

use super::worker::{Message, Worker};
use crate::support::{say, tmux::TmuxServer};

fn refused(refusal: Refusal) -> SendOutcome {
    SendOutcome::Refused(refusal)
}

#[test]
fn nothing_that_a_message_begins_with_is_a_command() {
    let prefixes =
        ["!", "/", "@", "$", "#", "?", "！", "／", "＠", "-", "\u{feff}!", "\u{200b}/", " \n\t!", "\u{202e}!"];
    let Some(server) = TmuxServer::start() else { return };
    thread::scope(|scope| {
        for version in ["0.169.0", "0.150.1", "0.125.0", "0.98.0", "0.47.0"] {
            let server = &server;
            scope.spawn(move || {
                let canary = server.folder().join(format!("canary-{version}"));
                let path = canary.display().to_string();
                let name = format!("v{}", version.replace('.', "_"));
                let options = ["--speed", "100", "--shell-canary", &path];
                let worker = Worker::simulated(server, &name, version, &options);
                for prefix in prefixes {
                    let message = worker.deliver(&format!("{prefix}quit touch it"));
                    assert_eq!(worker.echoes(&message), [Echo::Ours], "{version} {prefix:?}");
                }
                assert!(!canary.exists(), "{version}");
                assert_eq!(worker.commands_run(), 0, "{version}");
                // The canary sings when it should: without the header the same text is a command.
                worker.wait_ready();
                worker.write("!");
                worker.write("touch it");
                worker.enter();
                worker.patiently("the canary", || canary.exists().then_some(()));
            });
        }
    });
}

/// Leaves the dialog that is open with no.
fn deny(worker: &Worker<'_>) {
    worker.wait_for("the dialog", asks);
    worker.press(&["Escape"]);
    worker.wait_for("its end", |screen| !asks(screen));
}

fn asks(screen: &str) -> bool {
    read_pane(screen, None).prompt == Some(Prompt::ApprovalCommand)
}

/// Lets an approval open while a message is queued behind the turn; true when the message was there before the dialog.
fn race(worker: &Worker<'_>, delay: Duration) -> bool {
    let turn = worker.deliver("begin {{sleep 0.3}} {{shell-esc touch proof}} {{say never}}");
    thread::sleep(delay);
    let message = worker.message("do not approve anything {{say ok}}");
    let steering = Steering::Allowed;
    let staged = match worker.look(steering) {
        Ok(composer) => worker.stage(&message, composer, steering) == SendOutcome::Done,
        Err(_) => false,
    };
    // At once, when the composer may not even have taken the paste, and again when it has.
    let mut submitted = false;
    for _ in 0..6 {
        submitted = submitted || (staged && worker.submit(&message, SubmitKey::Tab, steering) == SendOutcome::Done);
    }
    deny(worker);
    assert_eq!(worker.echo(&turn), Echo::Ours);
    if !staged {
        return false;
    }
    // The message stands in the composer (Codex puts queued ones back there), or it was swallowed by the dialog.
    let there = || match worker.holds(&message) {
        Held::Whole => Some(true),
        _ => worker.look(Steering::Waits).is_ok().then_some(false),
    };
    match (worker.patiently("the composer", there), submitted) {
        (true, true) => worker.finish_again(&message),
        (true, false) => worker.finish(&message),
        (false, _) => {
            assert_eq!(worker.receipt(&message).sign, SignPlace::Absent);
            worker.deliver("once more, under a number of its own {{say ok}}");
            assert_eq!(worker.echoes(&message), []);
            return submitted;
        }
    }
    assert_eq!(worker.echoes(&message), [Echo::Ours], "delivered after the dialog was gone");
    submitted
}

/// Races of messages by Tab against approvals of 0.169; how many messages were faster.
fn race_by_tab(server: &TmuxServer, number: u32, rounds: u32) -> usize {
    let worker = Worker::simulated(server, &format!("tab{number}"), "0.169.0", &["--speed", "5"]);
    let delays = (0..rounds).map(|round| Duration::from_millis(u64::from((round * 37 + number * 11) % 130)));
    let faster = delays.filter(|delay| race(&worker, *delay)).count();
    assert_eq!(worker.commands_run(), 0, "something was approved\n{}", worker.screen());
    faster
}

/// Races of messages by Enter, the only key of 0.98, against turns that begin by themselves and ask for approval; how
/// many messages were submitted, and how many dialogs met.
fn race_by_enter(server: &TmuxServer, number: u32, rounds: usize) -> (usize, usize) {
    let opening = json!({
        "message": "go on by yourself", "after_ms": 150 + number * 20,
        "steps": [{"sleep": 100}, {"approve": {"command": "touch proof"}}],
    });
    let script = server.folder().join(format!("goal{number}.json"));
    fs::write(&script, json!({"autostart": vec![opening; rounds * 2]}).to_string()).expect("a script");
    let script = script.display().to_string();
    let worker = Worker::simulated(server, &format!("enter{number}"), "0.98.0", &["--script", &script]);
    let waits = Steering::Waits;
    assert_eq!(worker.key(waits), SubmitKey::Enter);
    let (mut sent, mut staged): (Vec<Message>, Option<Message>) = (Vec::new(), None);
    let mut dialogs = 0;
    // A message that a turn takes in puts other steps in place of its approval; so it is asked by the clock.
    let mut last = Instant::now();
    let (mut step, mut quiet) = (0, false);
    while dialogs < rounds && last.elapsed() < Duration::from_secs(10) {
        if !asks(&worker.screen()) {
            step += 1;
            thread::sleep(Duration::from_millis(step * 7 % 11));
            staged = match staged.take() {
                // One message for each dialog, or none would ever open.
                None if quiet => None,
                None => worker.look(waits).ok().and_then(|composer| {
                    let message = worker.message("a message {{say ok}}");
                    (worker.stage(&message, composer, waits) == SendOutcome::Done).then_some(message)
                }),
                Some(message) => match worker.submit(&message, SubmitKey::Enter, waits) {
                    SendOutcome::Done => {
                        sent.push(message);
                        quiet = true;
                        None
                    }
                    // A dialog has swallowed the paste: it will not be seen again.
                    _ => Some(message).filter(|_| worker.look(waits).is_err()),
                },
            };
            continue;
        }
        deny(&worker);
        dialogs += 1;
        quiet = false;
        last = Instant::now();
    }
    assert!(dialogs * 2 > rounds, "only {dialogs} dialogs\n{}", worker.screen());
    assert_eq!(worker.commands_run(), 0, "something was approved\n{}", worker.screen());
    for message in &sent {
        assert!(worker.echoes(message).len() <= 1, "sent twice\n{}", worker.screen());
    }
    (sent.len(), dialogs)
}

#[test]
fn no_approval_is_given_however_the_dialog_falls() {
    let Some(server) = TmuxServer::start() else { return };
    let server = &server;
    let (tab, enter) = thread::scope(|scope| {
        let tab = [0, 1].map(|number| scope.spawn(move || race_by_tab(server, number, 50)));
        let enter = [0, 1].map(|number| scope.spawn(move || race_by_enter(server, number, 50)));
        (tab.map(|thread| thread.join().expect("its races")), enter.map(|thread| thread.join().expect("its races")))
    });
    let queued: usize = tab.iter().sum();
    let sent: usize = enter.iter().map(|(sent, _)| sent).sum();
    let dialogs: usize = 100 + enter.iter().map(|(_, dialogs)| dialogs).sum::<usize>();
    say(&format!(
        "{dialogs} approvals: {queued} messages queued by Tab before theirs, {sent} sent by Enter between them, none approved"
    ));
    assert!(queued > 0 && sent > 0, "{queued} by Tab, {sent} by Enter");
}

#[test]
fn an_approval_at_each_boundary_stops_the_message_there() {
    let Some(server) = TmuxServer::start() else { return };
    let worker = Worker::simulated(&server, "w", "0.169.0", &["--speed", "20"]);
    let hold = |number: u32| server.folder().join(format!("go-{number}"));
    let begin = |number: u32| {
        worker.wait_ready();
        worker.deliver(&format!("begin {{{{hold {}}}}} {{{{shell-esc touch x}}}}", hold(number).display()));
        worker.patiently("the turn", || (worker.deferred() == Some(DeferReason::Busy)).then_some(()));
    };
    let open = |number: u32| {
        fs::write(hold(number), "").expect("a file");
        worker.wait_for("the dialog", asks);
    };
    let (steering, key) = (Steering::Allowed, SubmitKey::Enter);
    let called = [refused(Refusal::TextPresent("Would you like to run the following command".to_owned()))];

    // Before the look.
    begin(1);
    open(1);
    let deferral = worker.look(steering).expect_err("a dialog");
    assert_eq!((deferral.reason, deferral.prompt), (DeferReason::Modal, Some(Prompt::ApprovalCommand)));
    deny(&worker);

    // Between look and paste.
    begin(2);
    let composer = worker.look(steering).expect("a turn that can be steered");
    open(2);
    let late = worker.message("a message");
    assert!(called.contains(&worker.stage(&late, composer, steering)));
    assert_eq!(worker.receipt(&late).staged, late.seq - 1, "nothing was counted");
    deny(&worker);

    // Between paste and key.
    begin(3);
    let staged = worker.message("do not approve it");
    assert_eq!(worker.stage(&staged, worker.look(steering).expect("a composer"), steering), SendOutcome::Done);
    worker.patiently("the text", || (worker.holds(&staged) == Held::Whole).then_some(()));
    open(3);
    assert_eq!(worker.holds(&staged), Held::Hidden);
    for key in [SubmitKey::Enter, SubmitKey::Tab] {
        assert!(called.contains(&worker.submit(&staged, key, steering)), "{key}");
    }
    let receipt = worker.receipt(&staged);
    assert_eq!((receipt.staged, receipt.sign), (staged.seq, SignPlace::Absent));
    deny(&worker);
    worker.finish(&staged);
    assert_eq!(worker.echoes(&staged), [Echo::Ours]);

    // After the key: the message waits behind the dialog, and nobody has answered that.
    begin(4);
    let steered = worker.message("look at the logs too");
    assert_eq!(worker.stage(&steered, worker.look(steering).expect("a composer"), steering), SendOutcome::Done);
    worker.patiently("the text", || (worker.holds(&steered) == Held::Whole).then_some(()));
    assert_eq!(worker.submit(&steered, key, steering), SendOutcome::Done);
    assert_eq!(worker.commands_run(), 0, "nothing was approved so far");

    // The count can rise: a person says yes.
    worker.patiently("the echo", || (worker.echo(&steered) == Echo::Ours).then_some(()));
    worker.wait_ready();
    begin(5);
    open(5);
    worker.press(&["y"]);
    worker.patiently("the command", || (worker.commands_run() == 1).then_some(()));
}

#[test]
fn what_a_person_types_is_neither_sent_nor_lost() {
    let Some(server) = TmuxServer::start() else { return };
    let worker = Worker::simulated(&server, "w", "0.169.0", &["--speed", "50"]);
    let waits = Steering::Waits;
    let key = worker.key(waits);
    assert_eq!(key, SubmitKey::Tab);

    // Before the look, and between look and paste.
    let composer = worker.wait_ready();
    worker.write("half a thought");
    assert_eq!(worker.deferred(), Some(DeferReason::Draft));
    let message = worker.message("a message");
    assert_eq!(worker.stage(&message, composer, waits), refused(Refusal::ComposerNotEmpty));
    assert!(worker.screen().contains("› half a thought"), "{}", worker.screen());
    worker.press(&["C-u"]);
    worker.wait_ready();

    // Words that read like the placeholder are a draft as well.
    worker.write("Ask Codex to do anything");
    worker.patiently("the words", || (worker.deferred() == Some(DeferReason::Draft)).then_some(()));
    assert_eq!(worker.stage(&message, composer, waits), refused(Refusal::ComposerNotEmpty));
    worker.press(&["C-u"]);
    worker.wait_ready();

    // Between paste and key: what was added keeps the key away, and goes by the person's hand only.
    let message = worker.staged("a message");
    worker.write(" and mine");
    assert_eq!(worker.holds(&message), Held::Changed);
    for key in [SubmitKey::Tab, SubmitKey::Enter] {
        assert_eq!(worker.submit(&message, key, waits), refused(Refusal::SignNotInComposer));
    }
    assert!(worker.screen().contains(") and mine"), "{}", worker.screen());
    worker.press(&["BSpace"; 9]);
    worker.patiently("the text alone", || (worker.holds(&message) == Held::Whole).then_some(()));
    worker.finish(&message);
    assert_eq!(worker.echoes(&message), [Echo::Ours]);

    // The person clears the composer: the message may be staged anew, under a number of its own.
    let cleared = worker.staged("cleared away");
    worker.press(&["C-u"]);
    worker.wait_ready();
    assert_eq!(worker.submit(&cleared, key, waits), refused(Refusal::SignNotInComposer));
    let receipt = worker.receipt(&cleared);
    assert_eq!((receipt.staged, receipt.submitted, receipt.sign), (cleared.seq, message.seq, SignPlace::Absent));
    assert_eq!(worker.stage(&cleared, worker.wait_ready(), waits), refused(Refusal::AlreadyStaged));

    // The person sends it: the echo is there, and no key follows, not even when a draft stands in the composer.
    let sent = worker.staged("sent by hand");
    worker.press(&["Enter"]);
    worker.patiently("the echo", || (worker.echo(&sent) == Echo::Ours).then_some(()));
    worker.wait_ready();
    worker.write("my own draft");
    assert_eq!(worker.submit(&sent, key, waits), refused(Refusal::SignNotInComposer));
    assert_eq!(worker.receipt(&sent).sign, SignPlace::OnScreen);
    assert!(worker.screen().contains("› my own draft"));
    assert_eq!(worker.echoes(&sent), [Echo::Ours]);

    // With the person's words behind it, it is no longer ours.
    worker.press(&["C-u"]);
    let joined = worker.staged("joined");
    worker.write(" with mine");
    worker.enter();
    worker.patiently("the echo", || (worker.echo(&joined) == Echo::Altered).then_some(()));
}

#[test]
fn a_turn_is_interrupted_once_and_codex_stays() {
    let Some(server) = TmuxServer::start() else { return };
    let worker = Worker::simulated(&server, "w", "0.169.0", &["--speed", "20"]);
    let hold = server.folder().join("never").display().to_string();
    worker.deliver(&format!("begin {{{{hold {hold}}}}}"));
    worker.patiently("the turn", || (worker.deferred() == Some(DeferReason::Busy)).then_some(()));
    let interrupt = || server.tmux().interrupt(&worker.target()).expect("tmux answers");
    worker.patiently("the key", || (interrupt() == SendOutcome::Done).then_some(()));
    worker.wait_ready();
    for _ in 0..5 {
        assert_eq!(interrupt(), refused(Refusal::NotBusy), "what comes too late is not pressed");
    }
    let after: Message = worker.deliver("still there?");
    assert_eq!(worker.echoes(&after), [Echo::Ours]);
}
