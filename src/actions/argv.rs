//! Actions as command lines: what the cockpit shows before it runs something, and what `Y` copies.

use std::{fmt, io::Read, str::FromStr};

use crate::base::{Error, Result};

/// Text above this many bytes is rendered as `-` and travels by standard input.
const INLINE_TEXT: usize = 4096;

/// The largest text taken from standard input, in bytes.
const MAX_STDIN: u64 = 8 << 20;

/// The words of a command line and, when one of them is `-`, the text that belongs on standard input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Argv {
    /// The command word and its arguments.
    pub words: Vec<String>,
    /// What standard input has to deliver.
    pub stdin: Option<String>,
}

impl Argv {
    /// Begins with the command word.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { words: vec![name.to_owned()], stdin: None }
    }

    /// A positional argument, after [`Argv::end_of_options`].
    #[must_use]
    pub fn word(mut self, word: impl fmt::Display) -> Self {
        self.words.push(word.to_string());
        self
    }

    /// `--`, so that the words after it are no flags even when they begin with `-`.
    #[must_use]
    pub fn end_of_options(mut self) -> Self {
        self.words.push("--".to_owned());
        self
    }

    /// `--flag=value` when there is a value. One word, so that a value may begin with `-`.
    #[must_use]
    pub fn option(mut self, flag: &str, value: Option<impl fmt::Display>) -> Self {
        if let Some(value) = value {
            self.words.push(format!("{flag}={value}"));
        }
        self
    }

    /// `--flag` when it is on.
    #[must_use]
    pub fn switch(mut self, flag: &str, on: bool) -> Self {
        if on {
            self.words.push(flag.to_owned());
        }
        self
    }

    /// `--flag=text`, or `--flag=-` for a long text. Standard input holds one text only: the first long one.
    #[must_use]
    pub fn text(mut self, flag: &str, text: Option<&TextArg>) -> Self {
        match text {
            None => {}
            Some(TextArg::Stdin) => self.words.push(format!("{flag}=-")),
            Some(TextArg::Inline(text)) if self.stdin.is_none() && (text.len() > INLINE_TEXT || text == "-") => {
                self.words.push(format!("{flag}=-"));
                self.stdin = Some(text.clone());
            }
            Some(TextArg::Inline(text)) => self.words.push(format!("{flag}={text}")),
        }
        self
    }

    /// A positional text, or `-` for a long one, as [`Argv::text`].
    #[must_use]
    pub fn text_word(mut self, text: &TextArg) -> Self {
        match text {
            TextArg::Stdin => self.words.push("-".to_owned()),
            TextArg::Inline(text) if self.stdin.is_none() && (text.len() > INLINE_TEXT || text == "-") => {
                self.words.push("-".to_owned());
                self.stdin = Some(text.clone());
            }
            TextArg::Inline(text) => self.words.push(text.clone()),
        }
        self
    }

    /// The line as a person would type it after `conveyor`.
    #[must_use]
    pub fn shell_line(&self) -> String {
        shell_words::join(&self.words)
    }
}

/// A text argument; `-` means that standard input holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextArg {
    /// Given on the command line.
    Inline(String),
    /// Still to be read.
    Stdin,
}

impl TextArg {
    /// The text.
    ///
    /// # Errors
    /// A fault of ours when standard input was never read.
    pub fn get(&self) -> Result<&str> {
        match self {
            Self::Inline(text) => Ok(text),
            Self::Stdin => Err(Error::usage("`-` can be used for one argument only")),
        }
    }

    /// Reads the text from `input` when it is still to come.
    ///
    /// # Errors
    /// When the input cannot be read, is not UTF-8 or is larger than 8 MiB.
    pub fn fill_from(&mut self, input: &mut dyn Read) -> Result<()> {
        if *self == Self::Stdin {
            let mut bytes = Vec::new();
            let read = input.take(MAX_STDIN + 1).read_to_end(&mut bytes);
            read.map_err(|error| Error::io("cannot read standard input").caused_by(error))?;
            if bytes.len() as u64 > MAX_STDIN {
                return Err(Error::usage("the text on standard input is larger than 8 MiB"));
            }
            let text = String::from_utf8(bytes)
                .map_err(|error| Error::usage("the text on standard input is not UTF-8").caused_by(error))?;
            *self = Self::Inline(text);
        }
        Ok(())
    }
}

impl FromStr for TextArg {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "-" { Self::Stdin } else { Self::Inline(text.to_owned()) })
    }
}
