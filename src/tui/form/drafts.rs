//! Forms and messages that were left, or whose command failed: what was typed comes back when they are opened again.

use super::{Form, Subject};
use crate::{actions::Command, tui::field::Field};

/// The most forms that are kept.
const KEPT: usize = 20;

/// How the command line of a form came to its end.
#[derive(Debug, Clone, Copy)]
pub enum Ending<'a> {
    /// It is done, or on its way.
    Accepted,
    /// It has done nothing yet, and asks.
    Asks,
    /// It came to nothing, and why.
    Failed(&'a str),
}

/// What was typed and has not been done yet.
#[derive(Debug, Default)]
pub struct Drafts {
    left: Vec<Form>,
    /// Submitted, with the command line that is awaited.
    sent: Vec<(String, Form)>,
    /// Messages that were left, with the ids of those they are for.
    messages: Vec<(Vec<String>, Field)>,
    /// Messages that were sent, with the command line that is awaited.
    sent_messages: Vec<(String, Vec<String>, Field)>,
}

impl Drafts {
    /// Keeps a form that was left.
    pub fn keep(&mut self, form: Form) {
        self.forget(form.subject, form.about.as_deref());
        self.left.push(form);
        if self.left.len() > KEPT {
            self.left.remove(0);
        }
    }

    /// Lets what was typed into this form go.
    pub fn forget(&mut self, subject: Subject, about: Option<&str>) {
        self.left.retain(|form| form.subject != subject || form.about.as_deref() != about);
    }

    /// Hands out what was typed into this form.
    pub fn take(&mut self, subject: Subject, about: Option<&str>) -> Option<Form> {
        let at = self.left.iter().position(|form| form.subject == subject && form.about.as_deref() == about)?;
        Some(self.left.remove(at))
    }

    /// What was typed into a form of this subject, about the same session or task.
    #[must_use]
    pub fn of(&self, subject: Subject, about: Option<&str>) -> Option<&Form> {
        self.left.iter().find(|form| form.subject == subject && form.about.as_deref() == about)
    }

    /// Keeps a form until the outcome of its command line is known.
    pub fn sent(&mut self, line: String, form: Form) {
        self.forget(form.subject, form.about.as_deref());
        self.sent.push((line, form));
        if self.sent.len() > KEPT {
            self.sent.remove(0);
        }
    }

    /// What the form stands for whose command line is awaited.
    #[must_use]
    pub fn sent_command(&self, line: &str) -> Option<Command> {
        let (_, form) = self.sent.iter().find(|(sent, _)| sent == line)?;
        form.commands().ok()?.into_iter().next()
    }

    /// Keeps a message that was left; an empty one lets the former go.
    pub fn keep_message(&mut self, to: Vec<String>, field: Field) {
        self.messages.retain(|(others, _)| *others != to);
        if !field.text().is_empty() {
            self.messages.push((to, field));
        }
        if self.messages.len() > KEPT {
            self.messages.remove(0);
        }
    }

    /// What was written to these and not sent.
    #[must_use]
    pub fn message(&self, to: &[String]) -> Option<&Field> {
        self.messages.iter().find(|(others, _)| others == to).map(|(_, field)| field)
    }

    /// Keeps a message until it is known whether it was accepted.
    pub fn sent_message(&mut self, line: String, to: Vec<String>, field: Field) {
        self.messages.retain(|(others, _)| *others != to);
        self.sent_messages.push((line, to, field));
        if self.sent_messages.len() > KEPT {
            self.sent_messages.remove(0);
        }
    }

    /// The command line of a message has come to its end. One that was accepted is on record, whatever becomes of it;
    /// one that was not is given back, and kept.
    pub fn message_ended(&mut self, line: &str, accepted: bool) -> Option<(Vec<String>, Field)> {
        let index = self.sent_messages.iter().position(|(sent, ..)| sent == line)?;
        let (_, to, field) = self.sent_messages.remove(index);
        if accepted || self.message(&to).is_some() {
            return None;
        }
        self.keep_message(to.clone(), field.clone());
        Some((to, field))
    }

    /// The command line has come to its end. What came to nothing can be opened and mended, and says what was wrong; the
    /// form, when it is its only command line.
    pub fn ended(&mut self, line: &str, ending: Ending<'_>) -> Option<&Form> {
        let index = self.sent.iter().position(|(sent, _)| sent == line)?;
        let (_, mut form) = self.sent.remove(index);
        // What was typed anew meanwhile is not written over.
        if self.of(form.subject, form.about.as_deref()).is_some() {
            return None;
        }
        let failed = match ending {
            Ending::Accepted => return None,
            Ending::Asks => None,
            Ending::Failed(why) => Some(why),
        };
        if let Some(why) = failed {
            form.refuse(why);
        }
        let is_whole = form.lines().len() == 1;
        self.keep(form);
        self.left.last().filter(|_| is_whole && failed.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(subject: Subject, about: Option<&str>) -> Form {
        Form {
            subject,
            about: about.map(str::to_owned),
            fixed: &[],
            entries: Vec::new(),
            focus: 0,
            refused: None,
            came_back: false,
            sought: String::new(),
            present: None,
        }
    }

    #[test]
    fn a_form_comes_back_for_what_it_was_about_and_when_it_failed() {
        let mut drafts = Drafts::default();
        drafts.keep(form(Subject::Budget, Some("parser")));
        assert!(drafts.of(Subject::Budget, Some("parser")).is_some());
        assert!(drafts.of(Subject::Budget, Some("lexer")).is_none() && drafts.of(Subject::Bind, None).is_none());
        drafts.sent("a line".into(), form(Subject::Budget, Some("parser")));
        assert!(drafts.of(Subject::Budget, Some("parser")).is_none(), "submitted");
        assert!(drafts.ended("another line", Ending::Failed("no")).is_none());
        let failed = drafts.ended("a line", Ending::Failed("no such task")).expect("the form that failed");
        assert_eq!(failed.refused.as_ref().map(|fault| fault.words.as_str()), Some("no such task"));
        assert!(drafts.of(Subject::Budget, Some("parser")).is_some(), "it failed");
        drafts.sent("a line".into(), form(Subject::Budget, Some("parser")));
        assert!(drafts.ended("a line", Ending::Asks).is_none());
        let asked = drafts.of(Subject::Budget, Some("parser")).expect("it comes back after a no");
        assert!(asked.refused.is_none(), "to be asked is no fault");
        drafts.sent("a line".into(), form(Subject::Budget, Some("parser")));
        assert!(drafts.ended("a line", Ending::Accepted).is_none());
        assert!(drafts.of(Subject::Budget, Some("parser")).is_none(), "it is done");
    }
}
