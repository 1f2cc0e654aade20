//! When the operator is called: a session newly needs somebody, failed or finished, and it lasted.
//!
//! Pure: it is told of boards and of the time, and says what is due. A state that is over before its time is up was
//! never worth a bell: many approvals are answered within a second by a rule of the session's own.

use std::collections::HashMap;

use crate::{
    actions::PutToOperator,
    base::{Timestamp, text},
    model::board::{Attention, Board, SessionRow},
    text_enum,
};

text_enum! {
    /// How the operator is called.
    pub enum Ringing {
        /// Not at all.
        Off => "off",
        /// The terminal's bell.
        Bell => "bell",
        /// A notification of the desktop, where the terminal makes one; else the bell.
        Desktop => "desktop",
    }
}

impl Ringing {
    /// The next one, for a key that goes round.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Off => Self::Bell,
            Self::Bell => Self::Desktop,
            Self::Desktop => Self::Off,
        }
    }
}

text_enum! {
    /// How a terminal is asked for a notification.
    pub enum Protocol {
        /// `OSC 9`: the text alone.
        Osc9 => "osc9",
        /// `OSC 777`: title and text.
        Osc777 => "osc777",
    }
}

impl Protocol {
    /// What the terminal of this environment is known to take.
    #[must_use]
    pub fn of(term: Option<&str>, term_program: Option<&str>, vte: bool) -> Self {
        let term = term.unwrap_or_default();
        let is_777 = vte
            || ["foot", "rxvt"].iter().any(|name| term.starts_with(name))
            || term_program.is_some_and(|program| matches!(program, "WezTerm" | "ghostty"));
        if is_777 { Self::Osc777 } else { Self::Osc9 }
    }
}

/// How the key of a question to the operator begins; that of a session does not.
const QUESTION: &str = "question ";

/// Longest text of a call, in characters.
const LONGEST: usize = 160;

/// A call to the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Who, and what it is.
    pub title: String,
    /// Why, in one line.
    pub body: String,
}

/// What one session asks for, as long as it stays the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ask {
    attention: Attention,
    /// Tells one question from the next, one end of a turn from the next.
    which: String,
}

#[derive(Debug)]
struct Standing {
    ask: Ask,
    since: Timestamp,
    told: bool,
    call: Call,
}

/// Remembers what was told.
#[derive(Debug, Default)]
pub struct Notifier {
    /// By session id, questions to the operator by number and time; none before the first board.
    standing: Option<HashMap<String, Standing>>,
    /// The questions were told before.
    knows_questions: bool,
}

impl Notifier {
    /// Takes a board. What stands on the first one is on the screen already and calls nobody.
    pub fn saw(&mut self, board: &Board, now: Timestamp) {
        let first = self.standing.is_none();
        let mut former = self.standing.take().unwrap_or_default();
        let mut standing = HashMap::new();
        for row in &board.sessions {
            let Some(ask) = ask(row, now) else { continue };
            let (since, told) = match former.remove(&row.id) {
                Some(before) if before.ask == ask => (before.since, before.told),
                _ => (now, first),
            };
            standing.insert(row.id.clone(), Standing { ask, since, told, call: call(row) });
        }
        standing.extend(former.into_iter().filter(|(key, _)| key.starts_with(QUESTION)));
        self.standing = Some(standing);
    }

    /// Takes what is put to the operator. As on a board, what is there at first calls nobody.
    pub fn asked(&mut self, questions: &[PutToOperator], now: Timestamp) {
        let Some(standing) = &mut self.standing else { return };
        let told = !std::mem::replace(&mut self.knows_questions, true);
        // One that is put again is another one.
        let key = |question: &PutToOperator| format!("{QUESTION}{} {}", question.id, question.asked_at);
        standing.retain(|known, _| !known.starts_with(QUESTION) || questions.iter().any(|one| key(one) == *known));
        for question in questions {
            standing.entry(key(question)).or_insert_with(|| Standing {
                ask: Ask { attention: Attention::NeedsYou, which: question.reason.clone() },
                since: now,
                told,
                call: Call {
                    title: plain(&format!("task {} needs you", question.task)),
                    body: text::bounded(&plain(&question.reason), LONGEST),
                },
            });
        }
    }

    /// What has lasted for `dwell` seconds and was not told yet; several things are one call.
    pub fn due(&mut self, now: Timestamp, dwell: i64) -> Option<Call> {
        let standing = self.standing.as_mut()?;
        let mut due: Vec<&mut Standing> =
            standing.values_mut().filter(|one| !one.told && one.since.age_seconds(now) >= dwell).collect();
        due.sort_by(|a, b| (a.ask.attention, &a.call.title).cmp(&(b.ask.attention, &b.call.title)));
        for one in &mut due {
            one.told = true;
        }
        match due.as_slice() {
            [] => None,
            [one] => Some(one.call.clone()),
            several => {
                let names: Vec<&str> = several.iter().map(|one| one.call.title.as_str()).collect();
                Some(Call {
                    title: format!("{} sessions want you", several.len()),
                    body: text::bounded(&names.join(", "), LONGEST),
                })
            }
        }
    }

    /// Whether something waits for its time, so that the clock has to be looked at.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.standing.as_ref().is_some_and(|standing| standing.values().any(|one| !one.told))
    }
}

/// What a row calls for; none when nobody has to come, somebody has looked already, or it is put aside.
fn ask(row: &SessionRow, now: Timestamp) -> Option<Ask> {
    if !row.wants_look(now) {
        return None;
    }
    let judgement = &row.judgement;
    let which = match row.attention {
        // A question stays the same however often it is seen.
        Attention::NeedsYou => judgement.reason.clone(),
        // The same words end every turn; the time tells one from the next.
        Attention::Failed | Attention::DoneUnseen => {
            judgement.since.map_or_else(|| judgement.reason.clone(), |since| since.to_string())
        }
        Attention::Working | Attention::Idle | Attention::Unknown | Attention::Gone => return None,
    };
    Some(Ask { attention: row.attention, which })
}

fn call(row: &SessionRow) -> Call {
    let word = match row.attention {
        Attention::NeedsYou => "needs you",
        Attention::Failed => "failed",
        _ => "has finished",
    };
    let task = row.task.as_ref().map(|task| format!(" ({task})")).unwrap_or_default();
    // What it said last tells more of an answer than that it answered.
    let said = row.last_event.as_ref().filter(|_| row.attention == Attention::DoneUnseen).map(|event| &event.text);
    let why = said.filter(|text| !text.trim().is_empty()).unwrap_or(&row.judgement.reason);
    Call { title: plain(&format!("{} {word}{task}", row.name)), body: text::bounded(&plain(why), LONGEST) }
}

/// One line without anything that ends a sequence of the terminal.
fn plain(words: &str) -> String {
    text::one_line(&text::clean(words)).chars().filter(|c| !c.is_control()).collect()
}

/// The bytes that ask the terminal for a notification. Inside tmux they are wrapped, so that it passes them on.
#[must_use]
pub fn sequence(call: &Call, protocol: Protocol, inside_tmux: bool) -> String {
    let Call { title, body } = call;
    let inner = match protocol {
        Protocol::Osc9 => format!("\u{1b}]9;{title}: {body}\u{7}"),
        Protocol::Osc777 => format!("\u{1b}]777;notify;{};{body}\u{7}", title.replace(';', ",")),
    };
    if inside_tmux { format!("\u{1b}Ptmux;{}\u{1b}\\", inner.replace('\u{1b}', "\u{1b}\u{1b}")) } else { inner }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::tests::fake::{NOW, board, put};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(NOW.as_millis() + seconds * 1000)
    }

    /// The board of the tests with w3 working and everything else as it is.
    fn calm() -> Board {
        let mut board = board();
        board.sessions[4].attention = Attention::Working;
        board
    }

    fn with(attention: Attention, reason: &str) -> Board {
        let mut board = calm();
        board.sessions[4].attention = attention;
        board.sessions[4].marks.unread = true;
        board.sessions[4].judgement.reason = reason.into();
        board
    }

    #[test]
    fn what_lasts_calls_once_and_what_was_there_at_the_start_does_not() {
        let mut notifier = Notifier::default();
        notifier.saw(&calm(), at(0));
        assert_eq!(notifier.due(at(100), 5), None, "w1 needs somebody since before");
        notifier.saw(&with(Attention::NeedsYou, "asks whether it may run `make`"), at(101));
        assert_eq!(notifier.due(at(105), 5), None, "not yet");
        notifier.saw(&with(Attention::NeedsYou, "asks whether it may run `make`"), at(105));
        let call = notifier.due(at(106), 5).unwrap();
        assert_eq!((call.title.as_str(), call.body.as_str()), ("w3 needs you", "asks whether it may run `make`"));
        notifier.saw(&with(Attention::NeedsYou, "asks whether it may run `make`"), at(200));
        assert_eq!(notifier.due(at(300), 5), None, "told once");
        notifier.saw(&with(Attention::NeedsYou, "asks whether it may run `rm`"), at(301));
        assert!(notifier.due(at(306), 5).is_some(), "another question");
    }

    #[test]
    fn what_resolves_itself_in_time_calls_nobody() {
        let mut notifier = Notifier::default();
        notifier.saw(&calm(), at(0));
        notifier.saw(&with(Attention::NeedsYou, "asks"), at(1));
        assert!(notifier.waits());
        notifier.saw(&calm(), at(4));
        assert!(!notifier.waits());
        assert_eq!(notifier.due(at(60), 5), None);
        // And the time counts anew when it asks the same again.
        notifier.saw(&with(Attention::NeedsYou, "asks"), at(61));
        assert_eq!(notifier.due(at(65), 5), None);
        assert!(notifier.due(at(66), 5).is_some());
    }

    #[test]
    fn each_end_of_a_turn_calls_and_several_are_one_call() {
        let mut notifier = Notifier::default();
        notifier.saw(&calm(), at(0));
        let mut done = with(Attention::DoneUnseen, "the turn ended with an answer");
        done.sessions[4].judgement.since = Some(at(10));
        done.sessions[4].last_event.as_mut().unwrap().text = "All 41 files are read.\nNothing is left.".into();
        notifier.saw(&done, at(10));
        let call = notifier.due(at(15), 5).unwrap();
        assert_eq!(call.title, "w3 has finished");
        assert_eq!(call.body, "All 41 files are read. Nothing is left.");
        done.sessions[4].judgement.since = Some(at(50));
        done.sessions[0].attention = Attention::Failed;
        done.sessions[0].marks.unread = true;
        notifier.saw(&done, at(51));
        let call = notifier.due(at(56), 5).unwrap();
        assert_eq!(call.title, "2 sessions want you");
        assert_eq!(call.body, "m1 failed (parser), w3 has finished");
        assert_eq!(notifier.due(at(99), 5), None);
    }

    #[test]
    fn what_was_looked_at_or_is_put_aside_calls_nobody() {
        let mut notifier = Notifier::default();
        notifier.saw(&calm(), at(0));
        let mut done = with(Attention::DoneUnseen, "the turn ended with an answer");
        done.sessions[4].marks.unread = false;
        notifier.saw(&done, at(1));
        assert_eq!(notifier.due(at(60), 5), None);
        let mut snoozed = with(Attention::NeedsYou, "asks");
        snoozed.sessions[4].marks.snoozed_until = Some(at(1_000));
        notifier.saw(&snoozed, at(61));
        assert_eq!(notifier.due(at(100), 5), None);
        notifier.saw(&snoozed, at(1_001));
        assert!(notifier.due(at(1_006), 5).is_some(), "it has woken");
    }

    #[test]
    fn a_question_to_the_operator_calls_once_and_not_when_it_stood_there_at_first() {
        let mut notifier = Notifier::default();
        let (old, new) = (put(), PutToOperator { id: 4, task: "cli\u{7}".into(), ..put() });
        notifier.saw(&calm(), at(0));
        notifier.asked(std::slice::from_ref(&old), at(0));
        assert_eq!(notifier.due(at(60), 5), None);
        notifier.asked(&[old.clone(), new.clone()], at(61));
        notifier.saw(&calm(), at(63));
        notifier.asked(&[old.clone(), new.clone()], at(63));
        assert_eq!(notifier.due(at(65), 5), None, "not yet");
        let call = notifier.due(at(66), 5).unwrap();
        assert_eq!((call.title.as_str(), call.body.as_str()), ("task cli needs you", "the proposals diverge"));
        notifier.asked(&[old, new.clone()], at(70));
        assert_eq!(notifier.due(at(90), 5), None, "told once");
        notifier.asked(&[], at(91));
        notifier.asked(&[PutToOperator { asked_at: at(92), ..new }], at(92));
        assert!(notifier.due(at(97), 5).is_some(), "put again");
    }

    #[test]
    fn text_of_a_worker_cannot_end_the_sequence() {
        let mut board = with(Attention::NeedsYou, "a\u{7}b\u{1b}\\c\u{9c}d\ne;f");
        board.sessions[4].task = Some("x;y".into());
        let call = call(&board.sessions[4]);
        for protocol in Protocol::ALL {
            let plain = sequence(&call, *protocol, false);
            assert_eq!(plain.matches('\u{7}').count(), 1, "{plain:?}");
            assert_eq!(plain.matches('\u{1b}').count(), 1, "{plain:?}");
            let wrapped = sequence(&call, *protocol, true);
            assert!(
                wrapped.starts_with("\u{1b}Ptmux;\u{1b}\u{1b}]") && wrapped.ends_with("\u{7}\u{1b}\\"),
                "{wrapped:?}"
            );
        }
        assert!(sequence(&call, Protocol::Osc777, false).starts_with("\u{1b}]777;notify;w3 needs you (x,y);"));
    }

    #[test]
    fn the_protocol_follows_the_terminal() {
        assert_eq!(Protocol::of(Some("foot"), None, false), Protocol::Osc777);
        assert_eq!(Protocol::of(Some("xterm-256color"), Some("iTerm.app"), false), Protocol::Osc9);
        assert_eq!(Protocol::of(Some("xterm-256color"), None, true), Protocol::Osc777);
        assert_eq!(Protocol::of(None, None, false), Protocol::Osc9);
    }
}
