//! What goes with an end, counted: as it was shown to whoever said yes to it, and as the end finds it.

use std::{collections::BTreeMap, fmt, num::ParseIntError, str::FromStr};

use serde::{Serialize, Serializer};

use crate::{base::text_enum::UnknownText, text_enum};

text_enum! {
    /// What is counted.
    pub enum Counted {
        /// Messages that are taken back with their task.
        TakenBack => "taken_back",
        /// Messages that are given up with their binding or their target.
        GivenUp => "given_up",
        /// Reports that nobody has read, put away with their task.
        Reports => "reports",
        /// Messages that may arrive all the same.
        UnderWay => "under_way",
        /// What lies unread in an inbox, and stays there.
        Unread => "unread",
        /// Questions to the operator, which stay open.
        Questions => "questions",
    }
}

impl Counted {
    /// The same for a reader.
    const fn words(self) -> &'static str {
        match self {
            Self::TakenBack => "messages taken back",
            Self::GivenUp => "messages given up",
            Self::Reports => "unread reports",
            Self::UnderWay => "messages under way",
            Self::Unread => "unread in inboxes",
            Self::Questions => "open questions",
        }
    }
}

/// How many there are of each; what is not there is not named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Counted, u64>);

/// The word for nothing at all.
const NONE: &str = "none";

impl Counts {
    /// So many of each.
    pub fn of(counts: impl IntoIterator<Item = (Counted, u64)>) -> Self {
        Self(counts.into_iter().filter(|(_, count)| *count > 0).collect())
    }

    /// What there is of this.
    fn get(&self, what: Counted) -> u64 {
        self.0.get(&what).copied().unwrap_or(0)
    }

    /// Which counts are others now than these, in words; none when all are the same.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Option<String> {
        let other = Counted::ALL.iter().filter(|what| self.get(**what) != now.get(**what));
        let words: Vec<String> =
            other.map(|what| format!("{} {}, not {}", what.words(), now.get(*what), self.get(*what))).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(NONE);
        }
        for (index, (what, count)) in self.0.iter().enumerate() {
            write!(f, "{}{what}={count}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Why a text counts nothing.
#[derive(Debug, thiserror::Error)]
pub enum CountsError {
    /// A part has no number.
    #[error("`{0}` is no NAME=NUMBER, as `taken_back=2`, and not `none`")]
    Part(String),
    /// The number is none.
    #[error("`{0}` has no whole number")]
    Number(String, #[source] ParseIntError),
    /// Nothing is counted under this name.
    #[error(transparent)]
    Name(#[from] UnknownText),
    /// The same twice.
    #[error("`{0}` is named twice")]
    Twice(Counted),
}

impl FromStr for Counts {
    type Err = CountsError;

    fn from_str(text: &str) -> Result<Self, CountsError> {
        let mut counts = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|_| text.trim() != NONE) {
            let (name, number) = part.split_once('=').ok_or_else(|| CountsError::Part(part.to_owned()))?;
            let what: Counted = name.parse()?;
            let number: u64 = number.parse().map_err(|error| CountsError::Number(part.to_owned(), error))?;
            if counts.insert(what, number).is_some() {
                return Err(CountsError::Twice(what));
            }
        }
        Ok(Self::of(counts))
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_back_as_they_are_written() {
        for counts in
            [Counts::default(), Counts::of([(Counted::UnderWay, 1), (Counted::TakenBack, 263), (Counted::Reports, 0)])]
        {
            assert_eq!(counts.to_string().parse::<Counts>().unwrap(), counts, "{counts}");
        }
        assert_eq!(Counts::default().to_string(), "none");
        assert_eq!("taken_back=0".parse::<Counts>().unwrap(), Counts::default());
        for bad in
            ["", "taken_back", "taken_back=-1", "taken_back=1,", "mails=1", "reports=1,reports=2", "none,reports=1"]
        {
            assert!(bad.parse::<Counts>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_has_changed_is_named_with_both_counts() {
        let shown = Counts::of([(Counted::TakenBack, 1), (Counted::Questions, 1)]);
        assert_eq!(shown.changes(&shown.clone()), None);
        let now = Counts::of([(Counted::TakenBack, 2), (Counted::Questions, 1), (Counted::UnderWay, 1)]);
        assert_eq!(shown.changes(&now).unwrap(), "messages taken back 2, not 1; messages under way 1, not 0");
    }
}
