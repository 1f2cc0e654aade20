//! The check and the effect are one: racers, killed clients, dying panes, and the bytes that arrive.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use conveyor::{
    model::{
        codex::SubmitKey,
        pane::Steering,
        typing::{Loss, Sign, Typing, UntypableText, typed_message},
    },
    ports::tmux::{NewSession, Press, Refusal, SendOutcome, SignPlace, Size, Staging, Submission, Tmux},
};

use super::panes::{
    COMPOSER, Pane, buffer, buffers, empty_composer, install, keeper, marker, receipt, split_pastes, text,
};
use crate::support::{rounds, say, tmux::TmuxServer};

const RACERS: u64 = 8;

/// A screen with a message in the composer and the cursor behind it.
const STAGED: &str = r"\033[2J\033[10;1H› [conveyor] hello (MARKER)\033[12;1H  GPT-6.1-Sol default\033[10;CURSORH";

fn staged_screen(seq: u64) -> String {
    let shown = format!("› [conveyor] hello ({})", marker(seq));
    STAGED.replace("MARKER", marker(seq).as_str()).replace("CURSOR", &(shown.chars().count() + 1).to_string())
}

fn sign(seq: u64) -> Sign {
    Sign::Marker(marker(seq))
}

/// Lets eight racers do the same step at once; how many did it, and how many were refused for this reason.
fn race(refusal: &Refusal, step: impl Fn(u64) -> SendOutcome + Sync) -> (usize, usize) {
    let gate = Barrier::new(usize::try_from(RACERS).expect("a small number"));
    let outcomes: Vec<SendOutcome> = thread::scope(|scope| {
        let run = |racer| {
            let (gate, step) = (&gate, &step);
            scope.spawn(move || {
                gate.wait();
                step(racer)
            })
        };
        let racers: Vec<_> = (0..RACERS).map(run).collect();
        racers.into_iter().map(|racer| racer.join().expect("a racer")).collect()
    });
    let done = outcomes.iter().filter(|outcome| **outcome == SendOutcome::Done).count();
    let refused = outcomes.iter().filter(|outcome| **outcome == SendOutcome::Refused(refusal.clone())).count();
    assert_eq!(done + refused, outcomes.len(), "{outcomes:?}");
    (done, refused)
}

#[test]
fn of_eight_racers_one_stages() {
    let Some(server) = TmuxServer::start() else { return };
    let pane = Pane::start(&server, "w");
    let (target, numbers) = (pane.target(), rounds(200, 2_000));
    let (mut done, mut refused) = (0, 0);
    for seq in 1..=numbers {
        let text = text(&format!("message {seq}"), seq);
        let (one, others) = race(&Refusal::AlreadyStaged, |racer| {
            let composer = empty_composer(Steering::Waits);
            let staging = Staging { seq, text: &text, composer, buffer: buffer(seq, racer), steering: Steering::Waits };
            server.tmux().stage(&target, &staging).expect("tmux answers")
        });
        (done, refused) = (done + one, refused + others);
    }
    assert_eq!(
        (done, refused),
        (usize::try_from(numbers).expect("small"), usize::try_from(numbers * 7).expect("small"))
    );
    let expected: Vec<String> =
        (1..=numbers).map(|seq| text(&format!("message {seq}"), seq).as_str().to_owned()).collect();
    assert_eq!(pane.wait_for_pastes(expected.len()), expected, "each once, in order");
    assert_eq!(pane.pastes().1, b"", "nothing outside of the brackets");
    assert_eq!(pane.receipt(&sign(1)).staged, numbers);
    assert_eq!(buffers(&server), [""; 0]);
}

#[test]
fn of_eight_racers_one_submits() {
    let Some(server) = TmuxServer::start() else { return };
    let pane = Pane::showing(&server, "w", &staged_screen(7), Size { width: 80, height: 24 });
    let target = pane.target();
    own(&pane, 40);
    for seq in 1..=40 {
        let raced = race(&Refusal::AlreadySubmitted, |_| {
            let submission = Submission {
                seq,
                fence: 1,
                sign: &sign(7),
                key: SubmitKey::Tab,
                press: Press::First,
                steering: Steering::Waits,
            };
            server.tmux().submit(&target, &submission).expect("tmux answers")
        });
        assert_eq!(raced, (1, 7), "{seq}");
    }
    let all = || pane.bytes().len() >= 40;
    server.wait_until("the keys", pane.made.pane, all);
    assert_eq!(pane.bytes(), [b'\t'; 40]);
    assert_eq!(pane.receipt(&sign(7)).submitted, 40);
}

#[test]
fn what_was_taken_over_is_not_submitted_under_an_older_fence() {
    let Some(server) = TmuxServer::start() else { return };
    let pane = Pane::showing(&server, "w", &staged_screen(7), Size { width: 80, height: 24 });
    let target = pane.target();
    own(&pane, 40);
    let (key, press, steering) = (SubmitKey::Tab, Press::First, Steering::Waits);
    let submit = |seq, fence| {
        let submission = Submission { seq, fence, sign: &sign(7), key, press, steering };
        server.tmux().submit(&target, &submission).expect("tmux answers")
    };
    let hold = |seq, fence| server.tmux().hold(&target, seq, fence).expect("tmux answers");
    let taken_over = SendOutcome::Refused(Refusal::TakenOver);
    assert_eq!(submit(1, 1), SendOutcome::Done, "nobody has taken anything over yet");
    assert_eq!(hold(5, 10), SendOutcome::Done);
    assert_eq!(submit(5, 9), taken_over);
    assert_eq!(hold(5, 9), taken_over);
    assert_eq!(submit(4, 11), taken_over, "an older number under a later fence");
    assert_eq!(hold(5, 10), SendOutcome::Done, "said twice");
    assert_eq!(submit(5, 10), SendOutcome::Done);
    assert_eq!(submit(6, 1), SendOutcome::Done, "another number");
    server.wait_until("the keys", pane.made.pane, || pane.bytes().len() >= 3);
    assert_eq!(pane.bytes(), [b'\t'; 3]);

    // One takes it over while the other presses: whoever is first, the answers tell it as it was.
    let mut pressed = 0;
    for seq in 7..=40 {
        let outcomes: Vec<SendOutcome> = thread::scope(|scope| {
            let old = scope.spawn(move || submit(seq, 1));
            thread::sleep(Duration::from_millis(seq % 5));
            let new = hold(seq, 2);
            vec![old.join().expect("it ends"), new]
        });
        assert_eq!(outcomes[1], SendOutcome::Done, "{seq}");
        assert!(outcomes[0] == SendOutcome::Done || outcomes[0] == taken_over, "{seq}: {outcomes:?}");
        pressed += usize::from(outcomes[0] == SendOutcome::Done);
        assert_eq!(
            submit(seq, 1),
            if outcomes[0] == SendOutcome::Done {
                SendOutcome::Refused(Refusal::AlreadySubmitted)
            } else {
                taken_over.clone()
            }
        );
    }
    server.wait_until("the keys", pane.made.pane, || pane.bytes().len() >= 3 + pressed);
    assert_eq!(pane.bytes().len(), 3 + pressed);
    say(&format!("34 numbers taken over under a press: {pressed} pressed before"));
}

#[test]
fn a_number_is_staged_or_given_up_and_never_both() {
    let Some(server) = TmuxServer::start() else { return };
    let pane = Pane::start(&server, "w");
    let target = pane.target();
    let numbers = 60;
    let mut expected = Vec::new();
    for seq in 1..=numbers {
        let text = text(&format!("message {seq}"), seq);
        let was_staged = AtomicBool::new(false);
        // The stager and those who give the number up, in changing order.
        let step = |racer: u64| {
            if racer == seq % RACERS {
                let composer = empty_composer(Steering::Waits);
                let buffer = buffer(seq, racer);
                let staging = Staging { seq, text: &text, composer, buffer, steering: Steering::Waits };
                let outcome = server.tmux().stage(&target, &staging).expect("tmux answers");
                was_staged.store(outcome == SendOutcome::Done, Ordering::SeqCst);
                outcome
            } else {
                thread::sleep(Duration::from_millis(seq % 4 * 4));
                server.tmux().forgo(&target, seq).expect("tmux answers")
            }
        };
        assert_eq!(race(&Refusal::AlreadyStaged, step), (1, 7), "{seq}");
        if was_staged.load(Ordering::SeqCst) {
            expected.push(text.as_str().to_owned());
        }
        assert_eq!(pane.receipt(&sign(seq)).staged, seq);
        let again = Staging {
            seq,
            text: &text,
            composer: empty_composer(Steering::Waits),
            buffer: buffer(seq, 99),
            steering: Steering::Waits,
        };
        let late = server.tmux().stage(&target, &again).expect("tmux answers");
        assert_eq!(late, SendOutcome::Refused(Refusal::AlreadyStaged), "{seq}");
    }
    assert_eq!(pane.wait_for_pastes(expected.len()), expected);
    say(&format!("{numbers} numbers: {} staged, the others given up", expected.len()));
    assert!((1..60).contains(&expected.len()), "the test proves nothing");

    // Whatever stands on the screen; but not in a pane of others, and not for another process.
    server.plain(&["copy-mode", "-t", &pane.name()]);
    assert_eq!(server.tmux().forgo(&target, 100).expect("tmux answers"), SendOutcome::Done);
    let other = conveyor::ports::tmux::Target {
        install: conveyor::ports::tmux::Install::new("other").expect("a name"),
        ..target.clone()
    };
    let refused = |refusal| SendOutcome::Refused(refusal);
    assert_eq!(server.tmux().forgo(&other, 101).expect("tmux answers"), refused(Refusal::OwnedByOther));
    let mut stranger = target;
    stranger.process.start_ticks += 1;
    assert_eq!(server.tmux().forgo(&stranger, 101).expect("tmux answers"), refused(Refusal::ProcessChanged));
}

/// Marks a pane as ours, with messages up to `staged` in its composer.
fn own(pane: &Pane<'_>, staged: u64) {
    let staged = staged.to_string();
    for (option, value) in [("@cvy_owner", install().as_str()), ("@cvy_test1_paste", &staged)] {
        pane.server.plain(&["set-option", "-p", "-t", &pane.name(), option, value]);
    }
}

/// How long a step takes when nothing is in its way.
fn usual(mut step: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let start = Instant::now();
            step();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// Moments to kill a client at, from its start to some time after its usual end, in a fixed irregular order.
fn moments(count: u32, usual: Duration) -> impl Iterator<Item = Duration> {
    (0..count).map(move |round| usual * (round * 37 % 101) / 80)
}

#[test]
fn the_counter_tells_what_a_killed_client_has_pasted() {
    let kills: u32 = rounds(300, 5_000);
    let Some(server) = TmuxServer::start() else { return };
    let pane = Pane::start(&server, "w");
    let target = pane.target();
    let mut seq = 0;
    let usual = usual(|| {
        seq += 1;
        assert_eq!(pane.stage(seq), SendOutcome::Done);
    });
    let (mut unseen, mut before, mut finished) = (0, 0, 0);
    let mut pasted: Vec<u64> = (1..=seq).collect();
    for limit in moments(kills, usual) {
        seq += 1;
        // At its limit the client is killed with SIGKILL.
        let hasty = server.tmux().clone().with_limit(limit);
        let outcome = pane.stage_with(&hasty, &target, seq, Steering::Waits);
        let counted = pane.receipt(&sign(seq)).staged == seq;
        match outcome {
            SendOutcome::Done => finished += 1,
            SendOutcome::Unknown(_) if counted => unseen += 1,
            SendOutcome::Unknown(_) => before += 1,
            SendOutcome::Refused(refusal) => panic!("{refusal}"),
        }
        assert!(counted || outcome != SendOutcome::Done);
        if counted {
            pasted.push(seq);
        }
    }
    say(&format!(
        "{kills} limits of {usual:?}: {before} killed before the paste, {unseen} after it, {finished} too late"
    ));
    assert!(before > 0 && unseen > 0, "the kills must hit both sides of the paste");
    let expected: Vec<String> =
        pasted.iter().map(|seq| text(&format!("message {seq}"), *seq).as_str().to_owned()).collect();
    assert_eq!(pane.wait_for_pastes(expected.len()), expected, "what was counted arrived once, and nothing else");
    assert_eq!(pane.pastes().1, b"");

    // What the killed ones have left is swept, but for the buffer that somebody still works with.
    let left = buffers(&server);
    assert!(left.len() <= before, "{left:?}");
    server.plain(&["set-buffer", "-b", "cvy_test1_c9_1", "kept"]);
    server.plain(&["set-buffer", "-b", "cvy_test1_c9_2", "left"]);
    server.plain(&["set-buffer", "-b", "cvy_test2_c9_1", "of another installation"]);
    server.plain(&["set-buffer", "-b", "mine", "a person's"]);
    let swept = server.tmux().sweep_buffers(&install(), &[buffer(9, 1)]).expect("tmux answers");
    assert_eq!(swept.len(), left.len() + 1, "{swept:?}");
    let mut kept = buffers(&server);
    kept.sort();
    assert_eq!(kept, ["cvy_test1_c9_1", "cvy_test2_c9_1", "mine"]);
}

#[test]
fn the_counter_tells_what_a_killed_client_has_submitted() {
    const KILLS: u32 = 100;
    let Some(server) = TmuxServer::start() else { return };
    let pane = Pane::showing(&server, "w", &staged_screen(7), Size { width: 80, height: 24 });
    let target = pane.target();
    own(&pane, 1_000);
    let (mut seq, mut keys) = (0, 0);
    let usual = usual(|| {
        (seq, keys) = (seq + 1, keys + 1);
        let outcome = pane.submit_with(server.tmux(), &target, seq, &sign(7), SubmitKey::Enter);
        assert_eq!(outcome, SendOutcome::Done);
    });
    let (mut unseen, mut before) = (0, 0);
    for limit in moments(KILLS, usual) {
        seq += 1;
        let hasty = server.tmux().clone().with_limit(limit);
        let outcome = pane.submit_with(&hasty, &target, seq, &sign(7), SubmitKey::Enter);
        let counted = pane.receipt(&sign(7)).submitted == seq;
        keys += usize::from(counted);
        match outcome {
            SendOutcome::Done => assert!(counted),
            SendOutcome::Unknown(_) if counted => unseen += 1,
            SendOutcome::Unknown(_) => before += 1,
            SendOutcome::Refused(refusal) => panic!("{refusal}"),
        }
    }
    say(&format!("{KILLS} limits of {usual:?}: {before} killed before the key, {unseen} after it"));
    assert!(before > 0 && unseen > 0, "the kills must hit both sides of the key");
    server.wait_until("the keys", pane.made.pane, || pane.bytes().len() >= keys);
    assert_eq!(pane.bytes(), vec![b'\r'; keys]);
}

#[test]
fn panes_that_die_under_the_paste_do_not_take_the_server_along() {
    let Some(server) = TmuxServer::start() else { return };
    server.plain(&["set-option", "-g", "remain-on-exit", "on"]);
    let before = server.tmux().server_info().expect("a server");
    let (mut done, mut dead, mut early) = (0, 0, 0);
    let panes = rounds(100, 600_u64);
    for round in 0..panes {
        let name = format!("w{round}");
        let (argv, kept) = keeper(&server, &name, COMPOSER);
        // It dies by itself, some rounds long before and some long after the paste.
        let life = if round % 10 == 0 { "2".to_owned() } else { format!("0.0{:02}", round % 50) };
        let script = argv[2].replace("exec cat", &format!("exec timeout {life} cat"));
        let new = NewSession {
            name: name.parse().expect("a name"),
            window_name: None,
            size: Size { width: 80, height: 24 },
            program: server.program(&["sh", "-c", &script]),
        };
        let made = server.tmux().new_session(&new).expect("a session");
        let Some(process) = made.process else {
            early += 1;
            continue;
        };
        let drawn = Instant::now() + Duration::from_millis(if round % 10 == 0 { 1_500 } else { 200 });
        while !kept.exists() && Instant::now() < drawn {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(round * 7 % 31));
        let text = text("message 1", 1);
        let composer = empty_composer(Steering::Waits);
        let staging = Staging { seq: 1, text: &text, composer, buffer: buffer(1, round), steering: Steering::Waits };
        let target = conveyor::ports::tmux::Target { pane: made.pane, process, install: install() };
        let counted = || receipt(&server, &made, &sign(1)).staged;
        match server.tmux().stage(&target, &staging).expect("the server lives") {
            SendOutcome::Done => {
                done += 1;
                assert_eq!(counted(), 1);
            }
            SendOutcome::Refused(Refusal::Dead | Refusal::ComposerNotEmpty) => {
                dead += 1;
                assert_eq!(counted(), 0);
                let (pastes, _) = split_pastes(&std::fs::read(&kept).unwrap_or_default());
                assert_eq!(pastes, [""; 0], "refused, yet it arrived");
            }
            other => panic!("{other}"),
        }
        server.tmux().kill_pane(made.pane, process).expect("tmux answers");
    }
    say(&format!("{panes} dying panes: {done} pasted, {dead} refused, {early} dead at once"));
    assert!(done > 0 && dead > 0, "{done} pasted, {dead} refused");
    assert_eq!(server.tmux().server_info().expect("a server"), before);
    assert_eq!(buffers(&server), [""; 0]);
}

/// Things that would end a paste early, press keys, or hide something, alone and inside of each other.
fn hostile_payloads() -> Vec<Vec<u8>> {
    let ends: [&[u8]; 9] = [
        b"\x1b[201~",
        b"\xc2\x9b201~",
        b"\x9b201~",
        b"\x1b\x1b[201~",
        b"\x1b[20\x1b[201~1~",
        b"\x1b[2\x00 01~",
        b"\x1b[201~\x1b[200~",
        b"\x1b]52;c;eA==\x07",
        b"\x1bP1$r\x1b\\",
    ];
    let keys: [&[u8]; 8] = [b"\r", b"\ry\r", b"\x03", b"\x04", b"y", b"\x1b", b"\t", b"\x1bOA"];
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    for end in ends {
        for key in keys {
            payloads.push([b"a", end, key].concat());
            payloads.push([b"one\ntwo ", key, end, b"z"].concat());
            payloads.push([end, key, end, b"tail"].concat());
        }
    }
    for byte in (0..=0x20_u8).chain(0x7f..=0xff) {
        payloads.push(vec![b'x', byte, b'y']);
        payloads.push(vec![byte, b'm', byte, byte]);
    }
    for c in
        ["\u{202e}", "\u{2066}", "\u{e0041}", "\u{200b}", "\u{feff}", "\u{85}", "\u{2028}", "\u{fffd}", "❤\u{fe0f}"]
    {
        payloads.push(format!("it{c}em {c}").into_bytes());
    }
    for plain in ["-x", ";", "a;", "#{pane_id} #(touch canary) $HOME `id` $(id)", "'\"\\ {} ~", "漢字 🙂", "a\n\n\nb"]
    {
        payloads.push(plain.as_bytes().to_vec());
    }
    payloads
}

#[test]
fn what_arrives_is_the_sanitised_text_inside_of_the_brackets() {
    let Some(server) = TmuxServer::start() else { return };
    let pane = Pane::start(&server, "w");
    let target = pane.target();
    let payloads = hostile_payloads();
    assert!(payloads.len() >= 500, "{}", payloads.len());
    let mut expected = Vec::new();
    for (seq, payload) in (1..).zip(&payloads) {
        let text = match typed_message(payload, &marker(seq), Loss::Accepted) {
            Ok(Typing::Typed { text, .. }) => text,
            Err(UntypableText::Empty) => continue,
            other => panic!("{payload:?}: {other:?}"),
        };
        let composer = empty_composer(Steering::Waits);
        let staging = Staging { seq, text: &text, composer, buffer: buffer(seq, 1), steering: Steering::Waits };
        let outcome = server.tmux().stage(&target, &staging).expect("tmux answers");
        assert_eq!(outcome, SendOutcome::Done, "{payload:?}");
        expected.push(text.as_str().to_owned());
    }
    let seen = pane.wait_for_pastes(expected.len());
    for (seen, expected) in seen.iter().zip(&expected) {
        assert_eq!(seen, expected);
        assert!(!seen.chars().any(|c| c.is_control() && c != '\n'), "{seen:?}");
    }
    assert_eq!(seen.len(), expected.len());
    assert_eq!(pane.pastes().1, b"", "no key outside of the brackets");
    assert!(!server.folder().join("canary").exists());
    say(&format!("{} payloads, {} of them typed", payloads.len(), expected.len()));
}

#[test]
fn a_receipt_tells_where_the_message_stands() {
    let Some(server) = TmuxServer::start() else { return };
    let pane = Pane::showing(&server, "staged", &staged_screen(7), Size { width: 80, height: 24 });
    let other = Pane::start(&server, "empty");
    let fresh = other.receipt(&sign(7));
    assert_eq!((fresh.pid, fresh.dead, fresh.staged, fresh.submitted), (other.made.pid, false, 0, 0));
    assert_eq!((fresh.owner, fresh.sign), (None, SignPlace::Absent));
    assert_eq!(other.stage(7), SendOutcome::Done);
    let staged = other.receipt(&sign(7));
    assert_eq!((staged.staged, staged.submitted, staged.owner.as_deref()), (7, 0, Some("test1")));

    assert_eq!(pane.receipt(&sign(7)).sign, SignPlace::InComposer);
    // Text behind it, or the cursor elsewhere: no longer the end of what stands in the composer.
    server.plain(&[
        "respawn-pane",
        "-k",
        "-t",
        &pane.name(),
        "--",
        "sh",
        "-c",
        &format!("printf '{}'; exec cat", staged_screen(7).replace("\\033[10;", "\\033[4;")),
    ]);
    server.wait_for_text(pane.made.pane, marker(7).as_str());
    server.wait_until("the cursor", pane.made.pane, || pane.receipt(&sign(7)).sign == SignPlace::InComposer);
    server.plain(&[
        "respawn-pane",
        "-k",
        "-t",
        &pane.name(),
        "--",
        "sh",
        "-c",
        &format!("printf '{} and more'; exec cat", staged_screen(7)),
    ]);
    server.wait_for_text(pane.made.pane, "and more");
    assert_eq!(pane.receipt(&sign(7)).sign, SignPlace::OnScreen);
    let nowhere = conveyor::ports::tmux::PaneId::new(999);
    assert_eq!(server.tmux().receipt(nowhere, &install(), &sign(7)), Ok(None));
    server.plain(&["set-option", "-p", "-t", &pane.name(), "@cvy_test1_paste", "seven"]);
    let spoilt = server.tmux().receipt(pane.made.pane, &install(), &sign(7));
    assert!(spoilt.is_err(), "{spoilt:?}");
}
