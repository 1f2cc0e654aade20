//! The terminal that controls this process, whatever its standard streams are: to ask a person something.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
};

/// A terminal with a person at it.
#[derive(Debug)]
pub struct Terminal {
    out: File,
    answers: BufReader<File>,
}

impl Terminal {
    /// The controlling terminal.
    ///
    /// # Errors
    /// When there is none.
    pub fn open() -> io::Result<Self> {
        let out = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let answers = BufReader::new(out.try_clone()?);
        Ok(Self { out, answers })
    }

    /// Shows a text.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn show(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// The next line, without its end; none when the input has ended.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line)?;
        Ok((read > 0).then(|| line.trim_end_matches(['\n', '\r']).to_owned()))
    }
}
