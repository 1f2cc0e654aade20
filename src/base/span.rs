//! Lengths of time as people write them: `90s`, `10m`, `2h`, `3d`.

use std::{fmt, str::FromStr};

/// The longest span: ten years.
const MAX_SECONDS: u64 = 10 * 365 * 86_400;

/// A length of time in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u32);

/// Why a text is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// No number, or no unit.
    #[error("`{text}` is no length of time; write 90s, 10m, 2h or 3d")]
    Form {
        /// What was given.
        text: String,
    },
    /// More than ten years.
    #[error("`{text}` is longer than ten years")]
    TooLong {
        /// What was given.
        text: String,
    },
}

impl Span {
    /// So many minutes.
    #[must_use]
    pub const fn minutes(minutes: u16) -> Self {
        Self(minutes as u32 * 60)
    }

    /// Its length in seconds.
    #[must_use]
    pub fn seconds(self) -> i64 {
        i64::from(self.0)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || SpanError::Form { text: text.to_owned() };
        let unit = text.chars().last().ok_or_else(form)?;
        let factor = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(form()),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(form());
        }
        let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        seconds
            .filter(|seconds| *seconds <= MAX_SECONDS)
            .and_then(|seconds| u32::try_from(seconds).ok())
            .map(Self)
            .ok_or_else(|| SpanError::TooLong { text: text.to_owned() })
    }
}

/// In the largest unit that says it whole.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400, 'd'), (3600, 'h'), (60, 'm')];
        match units.into_iter().find(|(factor, _)| self.0 > 0 && self.0.is_multiple_of(*factor)) {
            Some((factor, unit)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}s", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, seconds, again) in
            [("0s", 0, "0s"), ("90s", 90, "90s"), ("60m", 3600, "1h"), ("36h", 129_600, "36h"), ("3d", 259_200, "3d")]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.seconds(), span.to_string().as_str()), (seconds, again), "{text}");
            assert_eq!(again.parse(), Ok(span));
        }
        for text in ["", "m", "10", "1é", "-1m", "+1m", "1 m", "1.5h", "10M", "ten"] {
            assert!(matches!(text.parse::<Span>(), Err(SpanError::Form { .. })), "{text}");
        }
        for text in ["3651d", "99999999999999999999d", "18446744073709551615h"] {
            assert!(matches!(text.parse::<Span>(), Err(SpanError::TooLong { .. })), "{text}");
        }
    }
}
