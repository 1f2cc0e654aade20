//! Forms that were left, or whose command failed: what was typed into them comes back when they are opened again.

use super::{Form, Subject};

/// The most forms that are kept.
const KEPT: usize = 20;

/// What was typed and has not been done yet.
#[derive(Debug, Default)]
pub struct Drafts {
    left: Vec<Form>,
    /// Submitted, with the command line that is awaited.
    sent: Vec<(String, Form)>,
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

    /// The command line has come to its end: what came to nothing can be opened and mended.
    pub fn ended(&mut self, line: &str, well: bool) {
        let Some(index) = self.sent.iter().position(|(sent, _)| sent == line) else { return };
        let (_, form) = self.sent.remove(index);
        // What was typed anew meanwhile is not written over.
        if !well && self.of(form.subject, form.about.as_deref()).is_none() {
            self.keep(form);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(subject: Subject, about: Option<&str>) -> Form {
        Form { subject, about: about.map(str::to_owned), fixed: &[], entries: Vec::new(), focus: 0, refused: None }
    }

    #[test]
    fn a_form_comes_back_for_what_it_was_about_and_when_it_failed() {
        let mut drafts = Drafts::default();
        drafts.keep(form(Subject::Budget, Some("parser")));
        assert!(drafts.of(Subject::Budget, Some("parser")).is_some());
        assert!(drafts.of(Subject::Budget, Some("lexer")).is_none() && drafts.of(Subject::Bind, None).is_none());
        drafts.sent("a line".into(), form(Subject::Budget, Some("parser")));
        assert!(drafts.of(Subject::Budget, Some("parser")).is_none(), "submitted");
        drafts.ended("another line", false);
        drafts.ended("a line", false);
        assert!(drafts.of(Subject::Budget, Some("parser")).is_some(), "it failed");
        drafts.sent("a line".into(), form(Subject::Budget, Some("parser")));
        drafts.ended("a line", true);
        assert!(drafts.of(Subject::Budget, Some("parser")).is_none(), "it is done");
    }
}
