//! What a session has changed, as it is read in the cockpit.

use super::fake::{app, differing, lines, press, screen};
use crate::{
    base::Error,
    tui::{
        app::{App, update},
        layer::Layer,
        message::Msg,
        theme::Part,
    },
};

pub fn open(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    assert_eq!(lines(&press(&mut app, "d")), ["Diff(\"session-w1\")"]);
    assert!(width < 50 || screen(&app).contains("asking git"));
    update(&mut app, Msg::Diff("session-w1".into(), Ok(differing())));
    app
}

#[test]
fn only_lines_of_hunks_are_coloured_and_nothing_drives_the_terminal() {
    let app = open(80, 24);
    let Some(Layer::Reader(reader)) = app.layers.last() else { panic!("a reader") };
    let of = |part: Part| -> Vec<&str> {
        reader.text.iter().filter(|(found, _)| *found == part).map(|(_, line)| line.as_str()).collect()
    };
    assert_eq!(of(Part::Added), ["+    read_pieces(); // red", "+    keep(offsets);"]);
    assert_eq!(of(Part::Removed), ["-        read_all();"]);
    assert!(of(Part::Dim).contains(&"+++ b/src/parser.rs"), "{:?}", of(Part::Dim));
}

#[test]
fn a_long_patch_is_cut_and_says_so_and_a_late_answer_opens_nothing() {
    let mut app = app(80, 24);
    press(&mut app, "d");
    let mut long = differing();
    long.patch = format!("diff --git a/x b/x\n@@ -0,0 +1,9000 @@\n{}", "+line\n".repeat(9_000));
    update(&mut app, Msg::Diff("session-w1".into(), Ok(long)));
    press(&mut app, "G");
    assert!(screen(&app).contains("not all is shown"), "{}", screen(&app));
    press(&mut app, "Esc");
    update(&mut app, Msg::Diff("session-w1".into(), Ok(differing())));
    assert!(app.layers.is_empty());
    press(&mut app, "d");
    let refused = Error::refused("/x is in no git repository").hint("nothing to compare with");
    update(&mut app, Msg::Diff("session-w1".into(), Err(refused)));
    assert!(screen(&app).contains("/x is in no git repository") && screen(&app).contains("nothing to compare with"));
}
