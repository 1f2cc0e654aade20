//! The composer reacts to keys and pastes as the real one was seen to.

use conveyor::sim::{Asking, Composer, Decision, Dialect, Effect, Input};

fn composer(version: &str) -> Composer {
    Composer::new(version.parse::<Dialect>().expect("a known version"), /*server*/ false)
}

/// Types with `gap` milliseconds between the keys, the first at `from`.
fn typed(composer: &mut Composer, text: &str, from: i64, gap: i64) -> i64 {
    let mut now = from;
    for c in text.chars() {
        let key = if c == '\n' { Input::Enter } else { Input::Char(c) };
        assert_eq!(composer.handle(key, now, false), []);
        now += gap;
    }
    now
}

fn approval() -> Asking {
    Asking::Approval { command: "touch x".into(), reason: "why".into() }
}

#[test]
fn a_bracketed_paste_and_enter_submit_at_once() {
    let mut composer = composer("0.169");
    composer.handle(Input::Paste("one\r\ntwo".into()), 0, false);
    assert_eq!(composer.text(), "one\ntwo");
    assert_eq!(composer.handle(Input::Enter, 0, false), [Effect::Submit("one\ntwo".into())]);
    assert_eq!(composer.text(), "");
}

#[test]
fn enter_right_behind_a_burst_is_a_line_feed_and_later_submits() {
    let mut composer = composer("0.169");
    let end = typed(&mut composer, "raw text", 0, 1);
    assert_eq!(composer.handle(Input::Enter, end + 60, false), []);
    assert_eq!(composer.text(), "raw text\n");
    assert_eq!(composer.handle(Input::Enter, end + 600, false), [Effect::Submit("raw text".into())]);
}

#[test]
fn slow_typing_is_no_burst() {
    let mut composer = composer("0.169");
    let end = typed(&mut composer, "slow", 0, 100);
    assert_eq!(composer.handle(Input::Enter, end, false), [Effect::Submit("slow".into())]);
}

#[test]
fn long_pastes_are_shown_by_their_length_and_sent_in_full() {
    let mut composer = composer("0.169");
    let (a, b) = ("a".repeat(1500), "b".repeat(1500));
    composer.handle(Input::Paste(a.clone()), 0, false);
    assert_eq!(composer.text(), "[Pasted Content 1500 chars]");
    composer.handle(Input::Paste(b.clone()), 0, false);
    assert_eq!(composer.text(), "[Pasted Content 1500 chars][Pasted Content 1500 chars] #2");
    assert_eq!(composer.handle(Input::Enter, 0, false), [Effect::Submit(format!("{a}{b}"))]);
}

#[test]
fn a_dialog_takes_enter_letters_and_digits_but_no_paste_and_no_tab() {
    let answers = [
        (Input::Enter, vec![Effect::Decide(Decision::Yes)]),
        (Input::Char('y'), vec![Effect::Decide(Decision::Yes)]),
        (Input::Char('p'), vec![Effect::Decide(Decision::Always)]),
        (Input::Char('n'), vec![Effect::Decide(Decision::No)]),
        (Input::Char('2'), vec![Effect::Decide(Decision::Always)]),
        (Input::Esc, vec![Effect::Decide(Decision::No)]),
        (Input::Tab, vec![]),
        (Input::Paste("yes please\n".into()), vec![]),
        (Input::Char('x'), vec![]),
    ];
    for (input, expected) in answers {
        let mut composer = composer("0.169");
        composer.follow(Some(approval()));
        let answered = !expected.is_empty();
        assert_eq!(composer.handle(input.clone(), 0, true), expected, "{input:?}");
        assert_eq!(composer.dialog().is_none(), answered, "{input:?}");
        assert_eq!(composer.text(), "", "{input:?}");
    }
}

#[test]
fn a_moved_selection_is_what_enter_takes() {
    let mut composer = composer("0.169");
    composer.follow(Some(approval()));
    for key in ['j', 'j', 'k'] {
        composer.handle(Input::Char(key), 0, true);
    }
    assert_eq!(composer.handle(Input::Enter, 0, true), [Effect::Decide(Decision::Always)]);
    composer.follow(Some(Asking::Question { question: "q".into(), options: vec!["a".into(), "b".into()] }));
    assert_eq!(composer.handle(Input::Char('2'), 0, true), [Effect::Answer(1)]);
}

#[test]
fn first_characters_decide() {
    let enter = |text: &str| {
        let mut composer = composer("0.169");
        composer.handle(Input::Paste(text.into()), 0, false);
        let effects = composer.handle(Input::Enter, 500, false);
        (effects, composer.text().to_owned())
    };
    assert_eq!(enter("!rm -rf x"), (vec![Effect::UserShell("rm -rf x".into())], String::new()));
    assert_eq!(enter(" !rm -rf x"), (vec![Effect::Submit("!rm -rf x".into())], String::new()));
    assert_eq!(enter("/compact"), (vec![Effect::Command("compact")], String::new()));
    assert_eq!(enter("/compact now please"), (vec![Effect::Submit("/compact now please".into())], String::new()));
    assert_eq!(enter("/nonsense"), (vec![Effect::Unknown("/nonsense".into())], "/nonsense".into()));
    assert_eq!(enter(" /nonsense"), (vec![Effect::Submit("/nonsense".into())], String::new()));
    assert_eq!(enter("look at @READ"), (vec![], "look at READ.md ".into()));
    assert_eq!(enter("look at @READ "), (vec![Effect::Submit("look at @READ".into())], String::new()));
}

#[test]
fn pasted_commands_are_text_for_the_oldest_version() {
    let mut composer = composer("0.25");
    composer.handle(Input::Paste("/compact".into()), 0, false);
    assert_eq!(composer.handle(Input::Enter, 500, false), [Effect::Submit("/compact".into())]);
}

#[test]
fn ctrl_c_clears_a_draft_and_leaves_when_there_is_none() {
    let mut composer = composer("0.169");
    composer.handle(Input::Paste("draft".into()), 0, false);
    assert_eq!(composer.handle(Input::CtrlC, 0, false), []);
    assert_eq!(composer.text(), "");
    assert_eq!(composer.handle(Input::CtrlC, 0, false), [Effect::Exit]);
    assert_eq!(composer.handle(Input::CtrlC, 0, true), [Effect::Interrupt]);

    let mut client = Composer::new(Dialect::NEWEST, /*server*/ true);
    assert_eq!(client.handle(Input::CtrlC, 0, true), []);
    assert_eq!(client.handle(Input::Enter, 0, true), [Effect::Interrupt], "`Task is still running` was open");
}

#[test]
fn a_draft_is_joined_with_a_paste() {
    let mut composer = composer("0.169");
    typed(&mut composer, "half ", 0, 100);
    composer.handle(Input::Paste("a nudge".into()), 900, false);
    assert_eq!(composer.handle(Input::Enter, 900, false), [Effect::Submit("half a nudge".into())]);
}

#[test]
fn enter_and_tab_while_busy_depend_on_the_version() {
    let pressed = |version: &str, key: Input, busy: bool| {
        let mut composer = composer(version);
        composer.handle(Input::Paste("text".into()), 0, busy);
        composer.handle(key, 0, busy)
    };
    let submit = || vec![Effect::Submit("text".into())];
    let queue = || vec![Effect::Queue("text".into())];
    assert_eq!(pressed("0.169", Input::Enter, true), submit());
    assert_eq!(pressed("0.47", Input::Enter, true), queue());
    assert_eq!(pressed("0.169", Input::Tab, true), queue());
    assert_eq!(pressed("0.125", Input::Tab, true), []);
    assert_eq!(pressed("0.125", Input::Tab, false), submit());
    assert_eq!(pressed("0.47", Input::Tab, false), []);
}

#[test]
fn esc_interrupts_once_and_only_hints_when_idle() {
    let mut composer = composer("0.169");
    assert_eq!(composer.handle(Input::Esc, 0, true), [Effect::Interrupt]);
    assert_eq!(composer.handle(Input::Esc, 0, false), []);
    assert!(composer.esc_hint());
}

#[test]
fn a_lost_enter_is_lost_once() {
    let mut composer = composer("0.169").losing_first_enter();
    composer.handle(Input::Paste("text".into()), 0, false);
    assert_eq!(composer.handle(Input::Enter, 0, false), []);
    assert_eq!(composer.text(), "text");
    assert_eq!(composer.handle(Input::Enter, 500, false), [Effect::Submit("text".into())]);
}

#[test]
fn refusing_trust_leaves() {
    let mut composer = composer("0.169").asking_for_trust();
    composer.handle(Input::Paste("text".into()), 0, false);
    assert_eq!(composer.text(), "");
    assert_eq!(composer.handle(Input::Char('2'), 0, false), [Effect::Exit]);
}
