//! The only place that prints: results on stdout, failures on stderr.

use std::io::{self, Write};

use crate::{
    actions::{Outcome, Report, report},
    base::{Error, Kind, Result, json, text},
};

/// The form of a printed result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For people.
    Prose,
    /// One JSON document with sorted keys.
    Json,
}

/// Writes results and failures.
pub struct Printer<'w> {
    out: &'w mut dyn Write,
    err: &'w mut dyn Write,
}

impl<'w> Printer<'w> {
    /// A printer on these two streams.
    pub fn new(out: &'w mut dyn Write, err: &'w mut dyn Write) -> Self {
        Self { out, err }
    }

    /// Prints a result.
    ///
    /// # Errors
    /// When stdout cannot be written; a reader that has gone away is none.
    pub fn result(&mut self, report: &Report, style: Style) -> Result<()> {
        let text = match style {
            Style::Prose => report.prose.clone(),
            Style::Json => {
                let text = json::pretty(&report.json);
                text.map_err(|error| Error::new(Kind::Bug, "the result is no JSON").caused_by(error))? + "\n"
            }
        };
        self.out(&text)
    }

    /// Prints the outcome of an action that was run without the catalogue.
    ///
    /// # Errors
    /// As [`Printer::result`].
    pub fn outcome(&mut self, outcome: &impl Outcome, style: Style) -> Result<()> {
        self.result(&report(outcome)?, style)
    }

    /// Prints text to stdout. Names and paths may hold anything; what must not reach a screen is written out.
    ///
    /// # Errors
    /// As [`Printer::result`].
    pub fn out(&mut self, text: &str) -> Result<()> {
        match self.out.write_all(text::visible(text).as_bytes()).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::io("cannot write to standard output").caused_by(error))
            }
            _ => Ok(()),
        }
    }

    /// Says something to a person, on stderr: one line, as safe as [`Printer::err`].
    pub fn note(&mut self, line: &str) {
        let line = text::visible_line(line);
        self.err(&format!("{line}\n"));
    }

    /// Prints a failure. Nobody is left to tell when stderr cannot be written.
    pub fn failure(&mut self, error: &Error, style: Style) {
        let text = match style {
            Style::Prose => prose(error),
            Style::Json => json::pretty(&error.report()).unwrap_or_else(|_| prose(error)) + "\n",
        };
        self.err(&text);
    }

    /// Prints text to stderr, as safe as [`Printer::out`].
    pub fn err(&mut self, text: &str) {
        let _ = self.err.write_all(text::visible(text).as_bytes()).and_then(|()| self.err.flush());
    }
}

fn prose(error: &Error) -> String {
    let mut message = error.to_string();
    for cause in error.causes() {
        // Wrapping layers often repeat the message of what they wrap.
        if !message.contains(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
    }
    // A name with a line feed in it must not look like a second message.
    let mut text = format!("conveyor: {}\n", text::visible_line(&message));
    if let Some(hint) = error.hint_text() {
        text.push_str("hint: ");
        text.push_str(&text::visible_line(hint));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_one_line_that_cannot_drive_the_terminal() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        Printer::new(&mut out, &mut err).note("w1\u{1b}[2J\nconveyor: all is well");
        let said = String::from_utf8(err).unwrap();
        assert!(!said.contains('\u{1b}') && said.matches('\n').count() == 1 && said.ends_with('\n'), "{said:?}");
        assert!(out.is_empty());
    }
}
