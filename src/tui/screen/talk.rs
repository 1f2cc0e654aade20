//! Entries of a conversation as lines: who, when, and what was said or done. Pure, and the same for every moment, but
//! for the heads, which tell ages.

use ratatui::{
    style::Style,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr as _;

use crate::{
    base::{
        Timestamp,
        text::{age, one_line},
    },
    model::{
        conversation::{ChangeKind, Entry, FileDiff, Outcome, Run, Said, Sender},
        rollout::CommandSource,
    },
    tui::{
        flow::{Break, Lead, Piece, flow},
        markdown::{self, Paint, diff_part},
        theme::{Glyphs, Part},
        wrap::cut,
    },
};

/// Of a long output so many lines are shown from each end.
const FOLDED_END: usize = 4;

/// Of a long message or change so many lines are shown from the beginning.
const FOLDED_LINES: usize = 60;

/// Of an opened entry so many lines are shown.
const OPEN_LINES: usize = 4_000;

/// A laid out entry.
#[derive(Debug, Clone)]
pub struct Block {
    /// The lines below its head.
    pub lines: Vec<Line<'static>>,
    /// Some of it is hidden, or would be if it were not open.
    pub folds: bool,
}

/// The lines of an entry below its head.
#[must_use]
pub fn block(entry: &Entry, is_open: bool, paint: Paint) -> Block {
    let inner = Paint { width: paint.width.saturating_sub(2).max(1), ..paint };
    let text = |part: Part, text: &str| plain(text, paint.style(part), inner);
    let (lines, fold) = match &entry.said {
        Said::User { text, .. } => (markdown::lines(text.trim(), paint.style(Part::User), inner), Fold::End),
        Said::Agent(text) | Said::Plan(text) => {
            (markdown::lines(text.trim(), paint.style(Part::Agent), inner), Fold::End)
        }
        Said::Note(text) | Said::Thought(text) => {
            (markdown::lines(text.trim(), paint.style(Part::Dim), inner), Fold::End)
        }
        Said::Command(run) => return command(run, is_open, inner),
        Said::Change { files, .. } => (changes(files, inner), Fold::End),
        Said::Tool { arguments, output, .. } => {
            let mut lines = if arguments.is_empty() || arguments == "{}" {
                Vec::new()
            } else {
                text(Part::Tool, arguments.trim_end())
            };
            let fold = lines.len();
            lines.extend(output_lines(output, inner));
            (lines, Fold::Middle(fold))
        }
        Said::Call { arguments, .. } => (text(Part::Tool, arguments), Fold::End),
        Said::Output { outcome, .. } => (output_lines(&outcome.output, inner), Fold::Middle(0)),
        Said::TurnEnded { error: Some(error), .. } | Said::Error(error) => (text(Part::Error, error), Fold::End),
        Said::Codex(said) => (text(Part::Codex, said), Fold::End),
        Said::TurnAborted { reason, .. } => (text(Part::Warning, reason), Fold::End),
        Said::Unknown { text: said, .. } if !said.is_empty() => {
            (text(Part::Warning, &format!("its members: {said}")), Fold::End)
        }
        Said::Unreadable(why) => (text(Part::Warning, why), Fold::End),
        Said::SubAgent { .. }
        | Said::TurnStarted { .. }
        | Said::TurnEnded { error: None, .. }
        | Said::Unknown { .. } => (Vec::new(), Fold::End),
    };
    folded(lines, fold, is_open, paint)
}

/// Where lines are left out of a long entry.
#[derive(Clone, Copy)]
enum Fold {
    /// At its end.
    End,
    /// In the middle of what follows its first so many lines.
    Middle(usize),
}

fn folded(lines: Vec<Line<'static>>, fold: Fold, is_open: bool, paint: Paint) -> Block {
    let count = lines.len();
    let (head, tail) = match fold {
        Fold::End => (FOLDED_LINES, 0),
        Fold::Middle(first) => (first.min(FOLDED_LINES) + FOLDED_END, FOLDED_END),
    };
    // Two lines are no gain: the one that tells of them takes one, too.
    let folds = count > head + tail + 2;
    let hidden = |hidden: usize, what: &str| {
        let text = format!("{} {hidden} lines {what}", paint.glyphs.cut());
        Line::styled(text, paint.style(Part::Dim))
    };
    let lines = if folds && !is_open {
        let mut kept = lines;
        let end = kept.split_off(count - tail);
        kept.truncate(head);
        let opens = paint.opens.map_or_else(|| "hidden".to_owned(), |key| format!("hidden, {} opens", key.name()));
        kept.push(hidden(count - head - tail, &opens));
        kept.extend(end);
        kept
    } else if count > OPEN_LINES {
        let mut kept = lines;
        kept.truncate(OPEN_LINES);
        kept.push(hidden(count - OPEN_LINES, "are too many to be shown"));
        kept
    } else {
        lines
    };
    let indent = |mut line: Line<'static>| {
        line.spans.insert(0, Span::raw("  "));
        line
    };
    Block { lines: lines.into_iter().map(indent).collect(), folds }
}

fn plain(text: &str, style: Style, paint: Paint) -> Vec<Line<'static>> {
    flow(&[(style, text.to_owned())], paint.width, &Lead::default(), Break::Words)
}

fn command(run: &Run, is_open: bool, paint: Paint) -> Block {
    let sign = match run.source {
        CommandSource::Agent => "$ ",
        CommandSource::UserShell => "! ",
    };
    let style = paint.style(Part::Tool);
    let lead = Lead { first: vec![(style, sign.to_owned())], rest: vec![(Style::new(), "  ".to_owned())] };
    let mut lines: Vec<Line<'static>> = Vec::new();
    match crate::model::conversation::patched(&run.command) {
        Some(files) => lines.extend(changes(&files, paint)),
        None => lines.extend(flow(&[(style, run.command.trim().to_owned())], paint.width, &lead, Break::Words)),
    }
    let first = lines.len();
    lines.extend(output_lines(&run.outcome.output, paint));
    let outer = Paint { width: paint.width + 2, ..paint };
    folded(lines, Fold::Middle(first), is_open, outer)
}

/// What a command printed, behind a bar.
fn output_lines(output: &str, paint: Paint) -> Vec<Line<'static>> {
    let output = output.trim_matches('\n').trim_end();
    if output.is_empty() {
        return Vec::new();
    }
    let dim = paint.style(Part::Dim);
    let bar = if paint.glyphs.is_ascii() { "| " } else { "│ " };
    let lead = Lead { first: vec![(dim, bar.to_owned())], rest: vec![(dim, bar.to_owned())] };
    flow(&[(dim, output.to_owned())], paint.width, &lead, Break::Columns)
}

fn changes(files: &[FileDiff], paint: Paint) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for file in files {
        lines.push(file_head(file, paint));
        for line in &file.lines {
            let style = paint.style(diff_part(line));
            lines.extend(flow(&[(style, line.clone())], paint.width, &Lead::default(), Break::Columns));
        }
        if file.cut {
            lines.push(Line::styled("and more that is not kept here", paint.style(Part::Dim)));
        }
    }
    lines
}

fn file_head(file: &FileDiff, paint: Paint) -> Line<'static> {
    let (added, removed) = file.counts();
    let what = match file.kind {
        ChangeKind::Added => "new",
        ChangeKind::Updated => "changed",
        ChangeKind::Deleted => "deleted",
        ChangeKind::Unsaid => "touched",
    };
    let counts = format!(" {what} +{added} -{removed}");
    let mut path = file.path.clone();
    if let Some(to) = &file.moved_to {
        path = format!("{path} to {to}");
    }
    let room = paint.width.saturating_sub(counts.width());
    Line::from(vec![
        Span::styled(cut_front(&path, room, paint.glyphs), paint.style(Part::Title)),
        Span::styled(counts, paint.style(Part::Dim)),
    ])
}

/// The end of a path that is too long, which says more than its beginning.
fn cut_front(path: &str, width: usize, glyphs: Glyphs) -> String {
    if path.width() <= width {
        return path.to_owned();
    }
    let sign = glyphs.cut();
    let mut kept: Vec<char> = Vec::new();
    let mut used = sign.width();
    for c in path.chars().rev() {
        used += unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    sign.chars().chain(kept.into_iter().rev()).collect()
}

/// The head of an entry: who or what, how it ended, how long ago.
#[must_use]
pub fn head(entry: &Entry, now: Timestamp, is_chosen: bool, paint: Paint) -> Line<'static> {
    let mut pieces: Vec<Piece> = Vec::new();
    let dim = paint.style(Part::Dim);
    let mut word = |part: Part, text: String| pieces.push((paint.style(part), text));
    let rule = matches!(&entry.said, Said::TurnStarted { .. } | Said::TurnEnded { .. } | Said::TurnAborted { .. });
    match &entry.said {
        Said::User { sender: Sender::Unsaid, .. } => word(Part::User, "user".into()),
        Said::User { sender: Sender::Conveyor(Some(who)), .. } => word(Part::User, format!("from {}", one_line(who))),
        Said::User { sender: Sender::Conveyor(None), .. } => {
            word(Part::User, "by conveyor".into());
            word(Part::Dim, ", sender unknown".into());
        }
        Said::Agent(_) => word(Part::Title, "agent".into()),
        Said::Note(_) => word(Part::Dim, "note".into()),
        Said::Plan(_) => word(Part::Title, "plan".into()),
        Said::Thought(_) => word(Part::Dim, "reasoning".into()),
        Said::Command(run) => {
            word(Part::Tool, "command".into());
            for (part, text) in ending(&run.outcome) {
                word(part, format!(" {text}"));
            }
        }
        Said::Change { files, status, .. } => {
            let files = if files.len() == 1 { "1 file".to_owned() } else { format!("{} files", files.len()) };
            word(Part::Tool, format!("edit of {files}"));
            if let Some(status) = status {
                word(Part::Failed, format!(" {status}"));
            }
        }
        Said::Tool { name, status, millis, .. } => {
            word(Part::Tool, format!("tool {}", one_line(name)));
            if let Some(status) = status {
                word(Part::Failed, format!(" {status}"));
            }
            if let Some(millis) = millis {
                word(Part::Dim, format!(" in {}", took(*millis)));
            }
        }
        Said::Call { name, .. } => word(Part::Tool, format!("call of {}", one_line(name))),
        Said::Output { outcome, .. } => {
            word(Part::Tool, "output of an earlier call".into());
            for (part, text) in ending(outcome) {
                word(part, format!(" {text}"));
            }
        }
        Said::SubAgent { who, kind } => word(Part::Tool, format!("sub-agent {} {kind}", one_line(who))),
        Said::TurnStarted { .. } => word(Part::Dim, "turn began".into()),
        Said::TurnEnded { millis, error } => {
            let after = millis.map_or_else(String::new, |millis| format!(" after {}", took(millis)));
            match error {
                Some(_) => word(Part::Failed, format!("turn failed{after}")),
                None => word(Part::Dim, format!("turn ended{after}")),
            }
        }
        Said::TurnAborted { millis, .. } => {
            let after = millis.map_or_else(String::new, |millis| format!(" after {}", took(millis)));
            word(Part::Warning, format!("turn cut off{after}"));
        }
        Said::Codex(_) => word(Part::Codex, "codex".into()),
        Said::Error(_) => word(Part::Failed, "error".into()),
        Said::Unknown { label, .. } => word(Part::Warning, format!("unknown line {}", one_line(label))),
        Said::Unreadable(_) => word(Part::Warning, "not shown".into()),
    }
    let when = match entry.at {
        Some(at) if rule => format!(", {} ago, {}Z", age(at.age_seconds(now)), clock(at)),
        Some(at) => format!(", {} ago", age(at.age_seconds(now))),
        None => ", when unknown".to_owned(),
    };
    pieces.push((dim, when));
    if let Said::TurnStarted { trigger: Some(by) } = &entry.said {
        pieces.push((dim, format!(", by {}", one_line(by))));
    }
    let lead = match (is_chosen, rule, paint.glyphs.is_ascii()) {
        (true, _, true) => "> ",
        (true, _, false) => "▸ ",
        (false, true, true) => "- ",
        (false, true, false) => "─ ",
        (false, false, _) => "",
    };
    let mut spans = vec![Span::styled(lead, if is_chosen { paint.style(Part::Key) } else { dim })];
    let mut room = paint.width.saturating_sub(lead.width());
    for (style, text) in pieces {
        let text = cut(&text, room, paint.glyphs);
        room = room.saturating_sub(text.width());
        spans.push(Span::styled(text, style));
    }
    Line::from(spans)
}

/// How a command ended, in words.
fn ending(outcome: &Outcome) -> Vec<(Part, String)> {
    let mut words = Vec::new();
    match (outcome.ended, outcome.exit_code) {
        (false, _) => words.push((Part::Working, "no result yet".to_owned())),
        (true, Some(0)) => words.push((Part::Dim, "exit 0".to_owned())),
        (true, Some(code)) => words.push((Part::Failed, format!("exit {code}"))),
        (true, None) if outcome.status.is_none() => words.push((Part::Dim, "exit unknown".to_owned())),
        (true, None) => {}
    }
    words.extend(outcome.status.as_ref().map(|status| (Part::Warning, one_line(status))));
    words.extend(outcome.millis.map(|millis| (Part::Dim, format!("in {}", took(millis)))));
    words
}

/// A duration: `80ms`, `5.9s`, `3m`.
fn took(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{}.{}s", millis / 1_000, millis % 1_000 / 100),
        _ => age(i64::try_from(millis / 1_000).unwrap_or(i64::MAX)),
    }
}

/// The time of day.
fn clock(at: Timestamp) -> String {
    at.to_string().get(11..19).unwrap_or("?").to_owned()
}
