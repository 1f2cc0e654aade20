//! What stands around every screen: notices over whatever lies on top, and what a filter hides.

use super::{
    fake::{ago, app, app_with_messages, app_with_questions, events, finish, press, screen, write},
    frames,
};
use crate::{
    base::Error,
    tui::{
        app::{App, update},
        layer::Layer,
        message::Msg,
        theme::Part,
    },
};

const LONG: &str = "first: this is what became of it, and it takes more than one line of a screen of eighty columns, since \
    it says what to do next as well: the last word";

/// What was drawn, as words.
fn words(frame: &str) -> String {
    frame.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The line above the lower border of the box: its keys, where it has some.
fn last_line(frame: &str) -> Option<&str> {
    let lines: Vec<&str> = frame.lines().collect();
    let border = lines.iter().position(|line| line.contains('└'))?;
    let line = lines.get(border.checked_sub(1)?)?;
    line.split('│').nth(1)
}

#[test]
fn a_notice_is_read_whole_over_whatever_lies_on_top() {
    for (width, height) in [(80, 24), (50, 20)] {
        for (name, mut app) in frames::all(width, height).filter(|(_, app)| !app.layers.is_empty()) {
            let before = screen(&app);
            app.say(Part::Warning, LONG);
            let frame = screen(&app);
            assert!(words(&frame).contains(LONG), "{name} at {width}x{height}\n{frame}");
            let has_keys = matches!(
                app.layers.last(),
                Some(
                    Layer::Confirm { .. }
                        | Layer::Answer(_)
                        | Layer::Finish(_)
                        | Layer::Criteria(_)
                        | Layer::Policy(_)
                        | Layer::Record(_)
                )
            );
            if has_keys {
                assert_eq!(last_line(&frame), last_line(&before), "{name} at {width}x{height}\n{frame}");
            }
            if !matches!(app.layers.last(), Some(Layer::Input(_))) {
                let title = before.split('┌').nth(1).and_then(|rest| rest.split('─').next()).unwrap();
                assert!(frame.contains(&format!("┌{title}")), "{name} at {width}x{height}\n{frame}");
            }
        }
    }
}

#[test]
fn a_failed_command_is_named_below_every_box_with_the_way_to_its_receipt() {
    for (width, height) in [(80, 24), (50, 20)] {
        let mut app = app(width, height);
        // It fails while another row is looked at: its receipt does not come up by itself.
        press(&mut app, "c j");
        finish(&mut app, Err(Error::refused("the rollout is gone")));
        update(&mut app, Msg::Tick(ago(-60)));
        assert!(screen(&app).contains("a command failed: L shows it"), "{}", screen(&app));
        press(&mut app, "?");
        assert!(screen(&app).contains("a command failed: close this first, then L"), "{}", screen(&app));
        press(&mut app, "Esc /");
        assert!(screen(&app).contains("a command failed: close this first, then L"), "{}", screen(&app));
        press(&mut app, "Esc L");
        assert!(!screen(&app).contains("close this first"), "{}", screen(&app));
    }
}

#[test]
fn who_filters_sees_how_many_rows_are_hidden_and_what_brings_them_back() {
    for (width, height) in [(80, 24), (50, 20)] {
        for (key, hidden) in [("1", "6 rows hidden"), ("2", "2 rows hidden"), ("4", "rows hidden"), ("5", "hidden")] {
            let mut app = app_with_messages(width, height);
            press(&mut app, &format!("{key} /"));
            write(&mut app, "session:w1");
            press(&mut app, "Enter");
            let frame = screen(&app);
            let line = frame.lines().nth(1).unwrap();
            assert!(line.contains(hidden) && line.contains("Esc clears filter s"), "{key} at {width}\n{frame}");
            assert!(line.contains("session:w1"), "{key} at {width}\n{frame}");
            press(&mut app, "Tab");
            let line = screen(&app).lines().nth(1).unwrap().to_owned();
            assert!(line.contains("Esc backs out, then clears"), "{key}: {line}");
            press(&mut app, "Esc Esc Esc");
            assert!(!screen(&app).contains("hidden"), "{key}\n{}", screen(&app));
        }
    }
}

#[test]
fn a_question_to_the_operator_that_is_hidden_is_counted() {
    let mut app = app_with_questions(80, 24);
    press(&mut app, "4");
    let all = crate::tui::screen::list::of(app.screen).unwrap().ids(&app).len();
    press(&mut app, "/");
    write(&mut app, "nothing-has-this-name");
    assert!(screen(&app).contains(&format!(" {all} rows hidden")), "{}", screen(&app));
}

#[test]
fn a_choice_of_events_says_so_and_names_its_key() {
    for (width, height) in [(80, 24), (50, 20)] {
        let mut app = app(width, height);
        press(&mut app, "3 t");
        let query = app.events.query(None);
        update(&mut app, Msg::Events("session-w1".into(), query, Ok(events(12))));
        let line = |app: &App| screen(app).lines().nth(1).unwrap().to_owned();
        assert!(line(&app).contains(" shown, rest hidden · only messages, t changes"), "{}", screen(&app));
        press(&mut app, "t t t t / x y Enter");
        assert!(line(&app).contains("rest hidden · Esc clears text xy"), "{}", screen(&app));
        press(&mut app, "Esc");
        assert!(!screen(&app).contains("hidden"), "{}", screen(&app));
    }
}
