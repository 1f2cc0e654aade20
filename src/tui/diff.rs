//! What a session has changed in its working tree, as a text to read.

use super::{
    app::App,
    layer::{About, Layer, Reader},
    message::{Effect, Failure, Load},
    submitting::command_line,
    theme::Part,
};
use crate::{
    actions::{Action, Diff, Differing},
    base::{Result, text::clean},
};

/// The most lines of a patch that are shown here; more is read with a program for it.
const LINES: usize = 3_000;

/// Asks what the selected session has changed.
pub(super) fn open(app: &mut App, effects: &mut Vec<Effect>) {
    let Some(session) = app.session() else {
        app.say(Part::Warning, "no session is selected");
        return;
    };
    let (id, name) = (session.id.clone(), session.name.clone());
    let command = command_line(app, &Diff::of(name.clone()).argv());
    effects.push(Effect::Load(Load::Diff(id.clone())));
    app.layers.push(Layer::Reader(Reader {
        about: About::Diff(id),
        title: format!("what {name} has changed"),
        text: vec![(Part::Dim, "asking git".to_owned())],
        scroll: 0,
        command: Some(command),
    }));
}

/// Shows what came, if it is still waited for.
pub(super) fn arrived(app: &mut App, session: &str, result: Result<Differing>) {
    let reader = app.layers.iter_mut().find_map(|layer| match layer {
        Layer::Reader(reader) if reader.about == About::Diff(session.to_owned()) => Some(reader),
        _ => None,
    });
    let Some(reader) = reader else { return };
    reader.text = match result {
        Ok(differing) => text(&differing),
        Err(error) => Failure::from(&error).told(),
    };
}

/// The files, then the patch line by line.
fn text(differing: &Differing) -> Vec<(Part, String)> {
    let mut text = vec![(Part::Title, differing.summary())];
    text.extend(differing.file_lines().into_iter().map(|line| (Part::Text, line)));
    let mut lines = differing.patch.lines();
    let mut in_hunk = false;
    for line in lines.by_ref().take(LINES) {
        let part = part(line, &mut in_hunk);
        if line.starts_with("diff --git ") {
            text.push((Part::Text, " ".to_owned()));
        }
        // A tab has no width of its own in a box.
        let line = clean(line).replace('\t', "    ");
        text.push((part, if line.is_empty() { " ".to_owned() } else { line }));
    }
    if lines.next().is_some() || differing.truncated {
        text.push((
            Part::Warning,
            "not all is shown: the command below, or `git diff` in that folder, shows more".to_owned(),
        ));
    }
    text
}

/// What a line of a patch is. Only inside a hunk does its first character tell: a file's header has such lines, too.
fn part(line: &str, in_hunk: &mut bool) -> Part {
    if line.starts_with("diff --git ") {
        *in_hunk = false;
        return Part::Title;
    }
    if line.starts_with("@@") {
        *in_hunk = true;
        return Part::Tool;
    }
    match line.chars().next() {
        Some('+') if *in_hunk => Part::Added,
        Some('-') if *in_hunk => Part::Removed,
        _ if *in_hunk => Part::Text,
        _ => Part::Dim,
    }
}
