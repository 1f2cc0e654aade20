//! How the criteria of a task stand: in a word for a row, in a line for the task.

use unicode_width::UnicodeWidthStr as _;

use crate::{
    model::supervision::CriteriaSummary,
    tui::{app::App, theme::Part},
};

/// `3/5`: so many of those that the work is held to are met. `+2` behind it: so many are proposed and not agreed on.
/// `-`: there is nothing that the work is held to, and nothing is proposed.
#[must_use]
pub fn word(summary: &CriteriaSummary) -> String {
    let met = match summary.binding() {
        0 => String::new(),
        binding => format!("{}/{binding}", summary.satisfied),
    };
    match summary.proposed {
        0 if met.is_empty() => "-".to_owned(),
        0 => met,
        proposed => format!("{met}+{proposed}"),
    }
}

/// The same in words, with what is open.
#[must_use]
pub fn line(summary: &CriteriaSummary) -> (Part, String) {
    let CriteriaSummary { accepted, deferred, proposed, rejected, satisfied } = *summary;
    let (part, first) = match (summary.binding(), accepted) {
        (0, _) if proposed > 0 => (Part::Warning, "none agreed on yet".to_owned()),
        (0, _) => (Part::Warning, "none; nothing says when the work is done".to_owned()),
        (binding, 0) => (Part::DoneUnseen, format!("all {binding} met")),
        (binding, open) => (Part::Text, format!("{satisfied} of {binding} met, {open} open")),
    };
    let others = [(proposed, "proposed"), (deferred, "deferred"), (rejected, "rejected")];
    let others = others.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    (part, std::iter::once(first).chain(others).collect::<Vec<_>>().join(", "))
}

/// The same for a line that says more than that.
#[must_use]
pub fn brief(summary: &CriteriaSummary) -> String {
    match (summary.binding(), summary.accepted, summary.proposed) {
        (0, _, 0) => "no criteria".to_owned(),
        (0, _, proposed) => format!("{proposed} criteria proposed"),
        (binding, 0, _) => format!("all {binding} criteria met"),
        (_, open, _) => format!("criteria {}, {open} open", word(summary)),
    }
}

/// The word of a row in a column as wide as the widest of them; nothing while no task has any criterion.
#[must_use]
pub fn cell(app: &App, summary: Option<&CriteriaSummary>) -> String {
    let Some(board) = app.board() else { return String::new() };
    let has_some = |summary: &&CriteriaSummary| **summary != CriteriaSummary::default();
    let words = board.tasks.iter().map(|row| &row.criteria).filter(has_some).map(|summary| word(summary).width());
    match words.max() {
        None => String::new(),
        Some(width) => format!("{:>width$}", summary.map(word).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accepted: u64, satisfied: u64, proposed: u64, deferred: u64) -> CriteriaSummary {
        CriteriaSummary { accepted, satisfied, proposed, deferred, rejected: 0 }
    }

    #[test]
    fn only_what_is_agreed_on_is_counted_as_owed() {
        let cases = [
            (of(2, 3, 0, 0), "3/5", "3 of 5 met, 2 open"),
            (of(0, 5, 1, 1), "5/5+1", "all 5 met, 1 proposed, 1 deferred"),
            (of(0, 0, 2, 0), "+2", "none agreed on yet, 2 proposed"),
            (of(0, 0, 0, 1), "-", "none; nothing says when the work is done, 1 deferred"),
            (of(0, 0, 0, 0), "-", "none; nothing says when the work is done"),
        ];
        for (summary, short, long) in cases {
            assert_eq!((word(&summary).as_str(), line(&summary).1.as_str()), (short, long));
        }
        let brief = |accepted, satisfied, proposed| brief(&of(accepted, satisfied, proposed, 1));
        assert_eq!(brief(2, 3, 1), "criteria 3/5+1, 2 open");
        assert_eq!((brief(0, 5, 1), brief(0, 0, 2)), ("all 5 criteria met".into(), "2 criteria proposed".into()));
        assert_eq!(brief(0, 0, 0), "no criteria");
    }
}
