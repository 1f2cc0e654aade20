//! Into the real Codex, against a scripted model.

use std::{thread, time::Duration};

use conveyor::{
    model::{
        codex::SubmitKey,
        pane::{Held, Prompt, Steering, read_pane},
        typing::Echo,
    },
    ports::tmux::{Program, Refusal, SendOutcome, Tmux},
};

use super::worker::Worker;
use crate::support::{codex_lab::CodexLab, say, tmux::TmuxServer};

fn start<'s>(server: &'s TmuxServer, lab: &CodexLab) -> Worker<'s> {
    let cli = lab.cli();
    let version = cli.version().expect("codex says its version");
    let program = Program {
        cwd: lab.project(),
        env: vec![("CODEX_HOME".to_owned(), lab.home().display().to_string())],
        argv: vec![cli.program.display().to_string(), "--no-daemon".to_owned()],
    };
    Worker::start(server, "codex", lab.home(), version, program)
}

/// What a staged message has become of when its race is over.
enum Became {
    Answered,
    Draft,
    Nothing,
}

fn asks(screen: &str) -> bool {
    read_pane(screen, None).prompt == Some(Prompt::ApprovalCommand)
}

#[test]
fn real_codex_gets_messages_and_no_approval() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(server) = TmuxServer::start() else { return };
    let worker = start(&server, &lab);

    // To an idle session, by the key of its version, in every shape that is hard to type.
    let long = (0..105).map(|number| format!("word{number}")).collect::<Vec<_>>().join(" ");
    let shapes = [
        "say hello",
        "!touch canary",
        "/quit",
        "one\n\n  two \"quoted\" 'lines'\n漢字 👩\u{200d}💻 $HOME `id` #{pane_id};",
        long.as_str(),
        "look at @README",
    ];
    for shape in shapes {
        let message = worker.deliver(shape);
        assert_eq!(worker.echoes(&message), [Echo::Ours], "{shape}");
    }
    assert!(!lab.project().join("canary").exists());
    // In a low pane the beginning scrolls out of the composer.
    server.plain(&["resize-window", "-t", &worker.made.pane.to_string(), "-x", "80", "-y", "15"]);
    let message = worker.message(&long);
    worker.patiently("the paste", || {
        let composer = worker.wait_ready();
        (worker.stage(&message, composer, Steering::Waits) == SendOutcome::Done).then_some(())
    });
    worker.patiently("the end of the text", || (worker.holds(&message) == Held::End).then_some(()));
    worker.finish(&message);
    server.plain(&["resize-window", "-t", &worker.made.pane.to_string(), "-x", "100", "-y", "30"]);

    // An approval opens somewhere around the message.
    let proof = lab.project().join("proof");
    lab.rule(
        "begin the race",
        &format!("{{{{sleep 0.3}}}} {{{{shell-esc touch {}}}}} {{{{say Never.}}}}", proof.display()),
    );
    let (mut faster, mut dialogs) = (0, 0);
    for round in 0..10_u64 {
        worker.wait_ready();
        worker.deliver("begin the race");
        thread::sleep(Duration::from_millis(round * 90));
        let message = worker.message("do not approve anything");
        let steering = Steering::Allowed;
        let staged = match worker.look(steering) {
            Ok(composer) => worker.stage(&message, composer, steering) == SendOutcome::Done,
            Err(_) => false,
        };
        let mut submitted = false;
        for _ in 0..6 {
            submitted =
                submitted || (staged && worker.submit(&message, SubmitKey::Enter, steering) == SendOutcome::Done);
        }
        worker.patiently("the dialog, or an answer", || {
            (asks(&worker.screen()) || (submitted && worker.look(Steering::Waits).is_ok())).then_some(())
        });
        assert!(!proof.exists(), "approved\n{}", worker.screen());
        if asks(&worker.screen()) {
            dialogs += 1;
            if staged {
                // The dialog keeps the key away however often it is tried.
                for key in [SubmitKey::Enter, SubmitKey::Tab] {
                    assert_ne!(worker.submit(&message, key, steering), SendOutcome::Done);
                }
            }
            worker.press(&["Escape"]);
            worker.wait_for("the end of the dialog", |screen| !asks(screen));
        }
        faster += u32::from(submitted);
        if !staged {
            continue;
        }
        // It was answered, it stands in the composer (Codex puts steered messages back there), or the dialog was
        // there first and has swallowed the paste.
        let became =
            worker.patiently("the message to settle", || match (worker.echo(&message), worker.holds(&message)) {
                (Echo::Ours, _) => Some(Became::Answered),
                (_, Held::Whole) if !asks(&worker.screen()) => Some(Became::Draft),
                _ => worker.look(Steering::Waits).is_ok().then_some(Became::Nothing),
            });
        match became {
            Became::Answered | Became::Nothing => {}
            Became::Draft if submitted => worker.finish_again(&message),
            Became::Draft => worker.finish(&message),
        }
        assert!(worker.echoes(&message).len() <= 1, "sent twice\n{}", worker.screen());
    }
    assert!(!proof.exists() && worker.commands_run() == 0, "approved\n{}", worker.screen());
    say(&format!("10 races against a real approval: {faster} messages sent, {dialogs} dialogs met, none approved"));
    assert!(dialogs > 0, "no dialog was met");

    // Staged before the dialog, and tried while it is open: both keys and a second paste are refused because of it.
    let steering = Steering::Allowed;
    worker.wait_ready();
    worker.deliver("begin the race");
    let message = worker.message("sent after the dialog");
    let composer = worker.patiently("the paste", || {
        let composer = worker.look(steering).ok()?;
        (worker.stage(&message, composer, steering) == SendOutcome::Done).then_some(composer)
    });
    worker.wait_for("the dialog", asks);
    let by_dialog = |outcome: SendOutcome| {
        assert!(matches!(outcome, SendOutcome::Refused(Refusal::TextPresent(_))), "{outcome}\n{}", worker.screen());
    };
    by_dialog(worker.submit(&message, SubmitKey::Enter, steering));
    by_dialog(worker.submit(&message, SubmitKey::Tab, steering));
    by_dialog(worker.stage(&worker.message("too late"), composer, steering));
    assert!(!proof.exists(), "approved\n{}", worker.screen());
    worker.press(&["Escape"]);
    worker.patiently("the text in the composer", || (worker.holds(&message) == Held::Whole).then_some(()));
    worker.finish(&message);
    assert_eq!(worker.echoes(&message), [Echo::Ours], "delivered after the dialog was gone");

    // It can be told when one is given.
    worker.wait_ready();
    worker.deliver("begin the race");
    worker.wait_for("the dialog", asks);
    worker.press(&["y"]);
    worker.patiently("the proof", || proof.exists().then_some(()));

    let process = worker.target().process;
    server.tmux().kill_pane(worker.made.pane, process).expect("tmux answers");
    worker.patiently("its end", || (!alive(process)).then_some(()));
}

fn alive(process: conveyor::ports::process::ProcessId) -> bool {
    use conveyor::ports::process::{Liveness, Processes, SystemProcesses};
    SystemProcesses.liveness(process) == Liveness::Alive
}
