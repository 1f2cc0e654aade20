//! What the lines below a row's name say: what is asked, in its own words first, or else the state and its reason.

use unicode_width::UnicodeWidthStr;

use super::{Row, ago, is_stale};
use crate::{
    base::{
        Timestamp,
        text::{age, one_line},
    },
    model::{
        board::{Attention, SessionRow, TaskRow},
        interruption,
        marks::MarksView,
        pane::Prompt,
    },
    tui::{
        answers,
        app::App,
        operator,
        theme::Glyphs,
        wrap::{cut, wrap},
    },
};

/// Words that may be cut, and what stands behind them and may not.
pub(super) struct Words {
    text: String,
    behind: String,
    /// The same with what is left out where there is no room for it.
    at_length: Option<String>,
}

impl Words {
    fn plain(text: String) -> Self {
        Self { text, behind: String::new(), at_length: None }
    }

    /// In at most so many lines of this width.
    pub(super) fn lines(&self, width: usize, most: usize, glyphs: Glyphs) -> Vec<String> {
        let fits = |behind: &&String| self.text.width() + behind.width() <= width;
        if let Some(behind) = self.at_length.iter().chain([&self.behind]).find(fits) {
            return vec![format!("{}{behind}", self.text)];
        }
        let mut lines = wrap(&self.text, width, most + 1);
        // What stands behind is not broken up: it goes to a line of its own, or the words are cut for it.
        if lines.len() < most {
            lines.push(self.behind.trim_start().to_owned());
        } else if lines.len() > most || lines.last().is_some_and(|line| line.width() + self.behind.width() > width) {
            lines.truncate(most);
            lines.pop();
            let rest = left_of(&self.text, &lines);
            let room = width.saturating_sub(self.behind.width()).max(width / 3);
            lines.push(cut(&rest, room, glyphs) + &self.behind);
        } else {
            lines.iter_mut().last().into_iter().for_each(|line| line.push_str(&self.behind));
        }
        lines.into_iter().map(|line| cut(&line, width, glyphs)).collect()
    }
}

/// What is left of a text behind the lines that show its beginning, which may have broken a word.
fn left_of(text: &str, shown: &[String]) -> String {
    let mut left = text.chars().skip_while(|c| c.is_whitespace());
    for c in shown.iter().flat_map(|line| line.chars()).filter(|c| !c.is_whitespace()) {
        // Blanks are where a line may have ended; what was too wide for a line is shown nowhere.
        left.by_ref().find(|next| *next == c);
    }
    left.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a row says.
pub(super) fn of(app: &App, row: &Row<'_>) -> Words {
    match row {
        Row::Session(row) => of_session(app, row),
        Row::Task(row) => of_task(app, row),
    }
}

/// What is asked and since when; else state, since when, and the reason.
fn of_session(app: &App, row: &SessionRow) -> Words {
    let now = app.now;
    let word = row.judgement.word();
    let aside = aside(&row.marks, now);
    let since = row.judgement.since.map_or_else(String::new, |at| format!(" {}", ago(Some(at), now)));
    let seen = match row.last_heartbeat_at {
        Some(at) if is_stale(row, now) => format!(", seen {} ago", ago(Some(at), now)),
        None if is_stale(row, now) => ", not seen".to_owned(),
        _ => String::new(),
    };
    match row.attention {
        // Which sensor tells of it is for whoever asks why.
        Attention::NeedsYou => {
            Words { text: format!("{aside}{}", asked(row)), behind: format!(" ({word}{since}{seen})"), at_length: None }
        }
        // What a session's task asks stands before what it does by itself: it waits for that.
        attention if attention != Attention::Gone && operator::of_session(app, row).is_some() => {
            let put = operator::of_session(app, row);
            let (text, behind) = put.map(|question| operator::brief(question, now)).unwrap_or_default();
            Words {
                text: format!("{aside}{text}"),
                behind: format!(" ({behind})"),
                at_length: Some(format!(" ({behind}; {word}{since}{seen})")),
            }
        }
        _ if interrupted(row).is_some() => {
            let by = interrupted(row).unwrap_or_default();
            Words::plain(format!("{aside}interrupted{since}{}{by}", in_brackets(&seen)))
        }
        _ => {
            let seen = in_brackets(&seen);
            Words::plain(format!("{aside}{word}{since}{seen}: {}", one_line(&row.judgement.reason)))
        }
    }
}

/// How long ago it was seen, where nothing stands in brackets yet.
fn in_brackets(seen: &str) -> String {
    if seen.is_empty() { String::new() } else { format!(" ({})", seen.trim_start_matches(", ")) }
}

/// Who ended its last turn on purpose, and how, as it is said to the operator; none when no one on record did, or when
/// more has to be said.
fn interrupted(row: &SessionRow) -> Option<String> {
    let judgement = &row.judgement;
    let is_told = row.attention == Attention::Idle;
    interruption::said_to_the_operator(&judgement.rule, &judgement.reason).filter(|_| is_told)
}

/// What a session asks by itself: its words, or of which kind it is while nobody has read them.
fn asked(row: &SessionRow) -> String {
    let kind = || row.judgement.prompt.as_deref()?.parse::<Prompt>().ok();
    match (&row.asks, kind()) {
        (Some(asks), _) => one_line(asks),
        (None, Some(kind)) => answers::wants(kind).to_owned(),
        (None, None) => "waits for you".to_owned(),
    }
}

/// A task that nobody works on.
fn of_task(app: &App, row: &TaskRow) -> Words {
    let aside = aside(&row.marks, app.now);
    let stands = format!("{}, nobody works on it", row.task.state);
    match operator::of_task(app, &row.task.id) {
        Some(question) => {
            let (text, behind) = operator::brief(question, app.now);
            Words {
                text: format!("{aside}{text}"),
                behind: format!(" ({behind})"),
                at_length: Some(format!(" ({behind}; {stands})")),
            }
        }
        None => Words::plain(format!("{aside}{stands}: {}", one_line(&row.task.goal))),
    }
}

/// For how long a row is still put aside.
fn aside(marks: &MarksView, now: Timestamp) -> String {
    match marks.snoozed_until.filter(|_| marks.is_snoozed(now)) {
        Some(until) => format!("snoozed for {}, ", age(now.age_seconds(until))),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_come_first_and_the_age_is_never_cut() {
        let words = Words {
            text: "Which folder shall I clean first, build or dist?".into(),
            behind: " (needs you 3m)".into(),
            at_length: None,
        };
        let lines = |width, most| words.lines(width, most, Glyphs::new(true));
        assert_eq!(lines(80, 1), ["Which folder shall I clean first, build or dist? (needs you 3m)"]);
        assert_eq!(lines(38, 2), ["Which folder shall I clean first,", "build or dist? (needs you 3m)"]);
        assert_eq!(lines(38, 1), ["Which folder shall I cl~ (needs you 3m)"[..].replace("cl~", "c~")]);
        assert_eq!(lines(26, 2), ["Which folder shall I clean", "first, bui~ (needs you 3m)"]);
        let short =
            Words { text: "Which folder shall I clean?".into(), behind: " (needs you 3m)".into(), at_length: None };
        let of = |most| short.lines(38, most, Glyphs::new(true));
        assert_eq!(of(2), ["Which folder shall I clean?", "(needs you 3m)"]);
        assert_eq!(of(1), ["Which folder shall I c~ (needs you 3m)"]);
        for (width, most) in [(1, 1), (5, 2), (16, 1), (16, 2), (30, 3)] {
            let lines = lines(width, most);
            assert!(lines.len() <= most && lines.iter().all(|line| line.width() <= width), "{width} {lines:?}");
        }
        let more = Words { at_length: Some(" (needs you 3m; busy)".into()), ..short };
        let of = |width| more.lines(width, 1, Glyphs::new(true));
        assert_eq!(of(60), ["Which folder shall I clean? (needs you 3m; busy)"]);
        assert_eq!(of(45), ["Which folder shall I clean? (needs you 3m)"]);
        let long =
            Words { text: "rm -rf ".to_owned() + &"x".repeat(60), behind: " (needs you 3m)".into(), at_length: None };
        assert!(long.lines(38, 2, Glyphs::new(true)).last().is_some_and(|line| line.ends_with("(needs you 3m)")));
    }

    #[test]
    fn no_character_is_left_out_where_a_word_is_broken() {
        let asked = |text: &str, most| {
            let words = Words { text: text.to_owned(), behind: " (needs you 3m)".into(), at_length: None };
            words.lines(38, most, Glyphs::new(true))
        };
        assert_eq!(
            asked("/home/me/work/customer-data-2026/production/exports/delete-all.sh", 2),
            ["/home/me/work/customer-data-2026/produ", "ction/exports/delete-a~ (needs you 3m)"]
        );
        assert_eq!(
            asked("target/debug/deps/parser-5f0c9a81d2e4b677-of-today --nocapture --ignored", 2),
            ["target/debug/deps/parser-5f0c9a81d2e4b", "677-of-today --nocaptu~ (needs you 3m)"]
        );
        assert_eq!(
            asked("/home/me/project/target/debug/deps/parser-5f0c --ignored", 3),
            ["/home/me/project/target/debug/deps/par", "ser-5f0c --ignored", "(needs you 3m)"]
        );
    }
}
