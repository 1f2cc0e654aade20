//! The Doctor screen: what is wrong with installation, ledger and records, with the repair beside each finding, and
//! what runs here unregistered.

use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::{ago, list::Rows, span};
use crate::{
    actions::{Action as _, Adoptable, Argv, Checkup, Command, Discover, Finding, Verdict},
    base::text::one_line,
    tui::{
        app::App,
        keymap::Intent,
        listing::Sides,
        submitting::command_line,
        theme::Part,
        wrap::{cut, pad, wrap},
    },
};

/// The program that remedies name when they mean this one.
const PROGRAM: &str = "conveyor";

/// The most lines of one finding.
const LINES: usize = 40;

/// A row of the list.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// A finding.
    Finding(&'a Finding),
    /// A session that runs unregistered: its place and itself.
    Adoptable(usize, &'a Adoptable),
}

impl Row<'_> {
    /// The id that is selected.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            // The same check keeps its id when it is looked again, whatever it finds.
            Self::Finding(finding) => format!("{} {}", finding.area, finding.about),
            Self::Adoptable(index, one) => one.thread_id.clone().unwrap_or_else(|| format!("adoptable {index}")),
        }
    }
}

/// The newest checkup, when there is one.
fn checkup(app: &App) -> Option<&Checkup> {
    app.doctor.checkup.as_ref()?.as_deref().ok()
}

/// What was found, and what runs here unregistered.
pub struct Findings;

impl Rows for Findings {
    type Row<'a> = Row<'a>;

    const NOTHING: &'static str = "no finding";

    fn view(app: &App) -> &Sides {
        &app.doctor.view
    }

    fn view_mut(app: &mut App) -> &mut Sides {
        &mut app.doctor.view
    }

    /// Problems, then what runs unregistered, then the other findings. Two findings about the same thing are told apart
    /// by their number.
    fn rows(app: &App) -> Vec<(String, Row<'_>)> {
        let Some(checkup) = checkup(app) else { return Vec::new() };
        let is_problem = |finding: &&Finding| finding.verdict == Verdict::Problem;
        let findings = || checkup.findings.iter();
        let first = findings().filter(is_problem).map(Row::Finding);
        let rest = findings().filter(|finding| !is_problem(finding)).map(Row::Finding);
        let adoptable = checkup.adoptable.iter().enumerate().map(|(index, one)| Row::Adoptable(index, one));
        let mut rows: Vec<(String, Row<'_>)> = Vec::new();
        for row in first.chain(adoptable).chain(rest) {
            let id = row.id();
            let same = rows.iter().filter(|(other, _)| other.split('\u{0}').next() == Some(&id)).count();
            rows.push((if same == 0 { id } else { format!("{id}\u{0}{same}") }, row));
        }
        rows
    }

    fn heading(app: &App) -> String {
        format!("doctor: {}", summary(app).1)
    }

    fn empty(app: &App) -> (Part, String) {
        summary(app)
    }

    fn line(app: &App, row: Row<'_>, width: usize) -> Line<'static> {
        line(app, row, width)
    }

    fn title(row: Row<'_>) -> String {
        match row {
            Row::Finding(finding) => format!("{}: {}", finding.area, finding.about),
            Row::Adoptable(..) => "runs here unregistered".to_owned(),
        }
    }

    fn detail(app: &App, row: Row<'_>, width: usize) -> Vec<(Part, String)> {
        detail(app, row, width)
    }
}

/// What mends a finding.
#[derive(Debug, Clone, PartialEq)]
pub enum Mending {
    /// A command that can be run from here.
    Run(Box<Command>),
    /// One of another program, or one in which something has to be filled in.
    Copy(String),
}

/// The selected finding.
#[must_use]
pub fn selected(app: &App) -> Option<&Finding> {
    match Findings::selected(app)? {
        Row::Finding(finding) => Some(finding),
        Row::Adoptable(..) => None,
    }
}

/// What mends the selected finding.
#[must_use]
pub fn mending(app: &App) -> Option<Mending> {
    selected(app).and_then(mending_of)
}

/// What mends a finding.
#[must_use]
pub fn mending_of(finding: &Finding) -> Option<Mending> {
    let line = repair_of(finding)?;
    let words = shell_words::split(&line).unwrap_or_default();
    // `WORKER` stands for a name that a person has to put there.
    let is_blank = |word: &String| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
    match words.split_first() {
        Some((program, words)) if program == PROGRAM && !words.iter().any(is_blank) => {
            let command = Command::parse(words).ok().filter(changes_something);
            Some(command.map_or(Mending::Copy(line), |command| Mending::Run(Box::new(command))))
        }
        _ => Some(Mending::Copy(line)),
    }
}

/// Whether it mends: a command that only shows more does not.
fn changes_something(command: &Command) -> bool {
    matches!(
        command,
        Command::Resume(_)
            | Command::Deregister(_)
            | Command::Unbind(_)
            | Command::Ingest(_)
            | Command::RegisterWorker(_)
            | Command::RegisterManager(_)
    )
}

/// What the key of the selected finding does, in a word.
pub(super) fn mending_word(app: &App) -> Option<&'static str> {
    Some(match mending(app)? {
        Mending::Run(_) => "repair",
        Mending::Copy(_) => "copy",
    })
}

/// The command that mends the selected finding; none when its remedy is no single command.
#[must_use]
pub fn repair(app: &App) -> Option<String> {
    selected(app).and_then(repair_of)
}

fn repair_of(finding: &Finding) -> Option<String> {
    let mut pieces = finding.remedy.as_deref()?.split('`');
    // Commands stand in backquotes; with several of them a person has to choose.
    let command = pieces.nth(1)?.to_owned();
    (pieces.count() <= 1).then_some(command)
}

/// What was found, in a few words.
pub(super) fn summary(app: &App) -> (Part, String) {
    let (looking, first) = if app.doctor.is_looking { (", looking again", "looking again; ") } else { ("", "") };
    match &app.doctor.checkup {
        None => (Part::Dim, "looking at tools, ledger and records".to_owned()),
        Some(Err(failure)) => (Part::Error, format!("cannot look: {}{looking}", one_line(&failure.message))),
        Some(Ok(checkup)) => {
            let count = |verdict, one: &str| match checkup.count(verdict) {
                0 => None,
                1 => Some(format!("1 {one}")),
                more => Some(format!("{more} {one}s")),
            };
            let problems = count(Verdict::Problem, "problem");
            let part = if problems.is_some() { Part::Failed } else { Part::DoneUnseen };
            let health = problems.unwrap_or_else(|| "healthy".to_owned());
            let unchecked = match checkup.count(Verdict::Unchecked) {
                0 => None,
                more => Some(format!("{more} unseen")),
            };
            let words: Vec<String> =
                [Some(health), count(Verdict::Remark, "remark"), unchecked].into_iter().flatten().collect();
            let ago = ago(Some(checkup.taken_at), app.now);
            (part, format!("{first}{}, looked {ago} ago", words.join(", ")))
        }
    }
}

/// How a verdict is drawn: its sign, its word, its style.
pub(super) fn verdict(verdict: Verdict) -> (&'static str, &'static str, Part) {
    match verdict {
        Verdict::Problem => ("!", "problem", Part::Failed),
        Verdict::Remark => ("-", "remark", Part::Warning),
        Verdict::Unchecked => ("?", "unseen", Part::Unknown),
        Verdict::Fine => (" ", "ok", Part::Dim),
    }
}

fn line(app: &App, row: Row<'_>, width: usize) -> Line<'static> {
    let glyphs = app.settings.glyphs;
    let (sign, word, part, about, text) = match row {
        Row::Finding(finding) => {
            let (sign, word, part) = verdict(finding.verdict);
            let remedy = finding.remedy.as_deref().map(|remedy| format!("  -> {}", one_line(remedy)));
            (sign, word, part, finding.about.clone(), one_line(&finding.message) + &remedy.unwrap_or_default())
        }
        Row::Adoptable(_, one) => {
            let place = one.cwd.clone().unwrap_or_else(|| "?".to_owned());
            let what = one.preview.clone().unwrap_or_default();
            (
                "+",
                "runs",
                Part::Key,
                one.tmux_session.clone().unwrap_or_else(|| "codex".to_owned()),
                format!("{place}  {what}"),
            )
        }
    };
    let head = format!("{sign} {} ", pad(word, 7, glyphs));
    let about = pad(&about, 20.min(width / 3), glyphs);
    let room = width.saturating_sub(head.width() + about.width() + 1);
    let style = app.settings.theme.style(part);
    let text_part = if part == Part::Dim { Part::Dim } else { Part::Text };
    Line::from(vec![
        Span::styled(head, style),
        span(app, Part::Title, about),
        span(app, text_part, format!(" {}", cut(&text, room, glyphs))),
    ])
}

fn detail(app: &App, row: Row<'_>, width: usize) -> Vec<(Part, String)> {
    let width = width.saturating_sub(2);
    let lines = match row {
        Row::Finding(finding) => {
            let (_, word, part) = verdict(finding.verdict);
            let mut lines = vec![(part, format!("{word}: {}", finding.message))];
            if let Some(remedy) = &finding.remedy {
                lines.extend([(Part::Text, String::new()), (Part::Title, "to mend it".to_owned())]);
                lines.push((Part::Key, remedy.clone()));
                let does = match mending_of(finding) {
                    Some(Mending::Run(_)) => Some("runs it, after a question"),
                    Some(Mending::Copy(_)) => Some("copies it, to be run in a shell"),
                    None => None,
                };
                lines.extend(does.map(|does| (Part::Dim, format!("{} {does}", app.key(Intent::Open)))));
            }
            let twin = match finding.area {
                crate::actions::Area::Installation => "conveyor doctor --text",
                _ => "conveyor db-doctor --live --text",
            };
            lines.extend([(Part::Text, String::new()), (Part::Dim, format!("the same in a shell: {twin}"))]);
            lines
        }
        Row::Adoptable(_, one) => {
            let facts = [
                ("thread", &one.thread_id),
                ("folder", &one.cwd),
                ("tmux", &one.tmux_session),
                ("asked", &one.preview),
            ];
            let mut lines: Vec<(Part, String)> = facts
                .into_iter()
                .map(|(name, fact)| {
                    let fact = fact.as_deref().unwrap_or("not known");
                    (Part::Text, format!("{name:8} {fact}"))
                })
                .collect();
            lines.push((Part::Text, String::new()));
            let adopt = app.key(Intent::Adopt);
            let text = if one.thread_id.is_some() {
                format!("{adopt} lists what runs unregistered, in every folder; what you check there is registered")
            } else {
                format!("its thread is not known until its first prompt; then {adopt} lists it, to be registered")
            };
            lines.push((Part::Key, text));
            if let Some(thread) = &one.thread_id {
                let argv = Argv::new(Discover::NAME).switch("--adopt", true).option("--thread", Some(thread));
                lines.push((Part::Dim, format!("it alone, in a shell: {}", command_line(app, &argv))));
            }
            lines
        }
    };
    lines
        .into_iter()
        .flat_map(|(part, text)| wrap(&text, width, LINES).into_iter().map(move |line| (part, line)))
        .collect()
}

/// How many problems the first screen shows.
const IN_BRIEF: usize = 3;

/// What doctor found, as the first screen shows it: what is wrong, and what runs here already.
pub(super) fn in_brief(app: &App) -> Vec<(Part, String)> {
    let (part, text) = summary(app);
    let mut lines = vec![(part, format!("Doctor ({}): {text}", app.key(Intent::Doctor)))];
    let Some(checkup) = checkup(app) else { return lines };
    for finding in checkup.findings.iter().filter(|finding| finding.verdict == Verdict::Problem).take(IN_BRIEF) {
        lines.push((Part::Failed, format!("  ! {}: {}", finding.about, one_line(&finding.message))));
        lines.extend(finding.remedy.as_ref().map(|remedy| (Part::Key, format!("    -> {}", one_line(remedy)))));
    }
    let more = checkup.count(Verdict::Problem).saturating_sub(IN_BRIEF);
    if more > 0 {
        let doctor = app.key(Intent::Doctor);
        lines.push((Part::Failed, format!("  ! and {more} more: {doctor} shows all")));
    }
    match checkup.adoptable.as_slice() {
        [] if !checkup.knows_adoptable() => {
            lines.push((Part::Dim, "Which Codex sessions run here unregistered cannot be told.".to_owned()));
        }
        [] => lines.push((Part::Dim, "No Codex session runs here in a terminal.".to_owned())),
        found => {
            let (many, them) = if found.len() == 1 { ("session runs", "it") } else { ("sessions run", "them") };
            lines.push((
                Part::Title,
                format!(
                    "{} Codex {many} here already; {} lists {them}, to be adopted:",
                    found.len(),
                    app.key(Intent::Adopt)
                ),
            ));
            for one in found.iter().take(3) {
                let place = one.cwd.as_deref().unwrap_or("?");
                let asked = one.preview.as_deref().map(|asked| format!(": {asked}")).unwrap_or_default();
                lines.push((
                    Part::Text,
                    format!("  {} in {place}{asked}", one.tmux_session.as_deref().unwrap_or("codex")),
                ));
            }
        }
    }
    lines
}
