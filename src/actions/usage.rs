//! What is wrong with a value on a command line, in words that say what is wanted. Parsers of numbers say what they met.

/// What a parser says, what it is called here, in the order in which they are tried.
const WORDS: &[(&str, &str)] = &[
    ("invalid digit found in string", "a whole number is wanted, such as 30"),
    ("cannot parse integer from empty string", "a whole number is wanted, such as 30"),
    ("number too large to fit in target type", "that number is too large"),
    ("number too small to fit in target type", "that number is too small"),
    ("invalid float literal", "a number is wanted, such as 30 or 0.5"),
    ("cannot parse float from empty string", "a number is wanted, such as 30 or 0.5"),
];

/// The same message, with what is wanted in place of what the parser met.
#[must_use]
pub fn plain(message: &str) -> String {
    let message =
        if is_below_nothing(message) { &message.replace(NO_DIGIT, "a number from 0 on is wanted") } else { message };
    let message = WORDS.iter().fold(message.to_owned(), |message, (says, means)| message.replace(says, means));
    const OUTSIDE: &str = " is not in ";
    let Some((before, after)) = message.split_once(OUTSIDE) else { return message };
    let end = after.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '=' | '-')).unwrap_or(after.len());
    let (range, rest) = after.split_at(end);
    match wanted(range) {
        Some(wanted) => format!("{before} will not do; {wanted} is wanted{rest}"),
        None => message,
    }
}

/// What the parser of a number that cannot be negative says about a minus.
const NO_DIGIT: &str = "invalid digit found in string";

/// Whether the value that was not taken is a number, and too small for any number that is.
fn is_below_nothing(message: &str) -> bool {
    let value =
        message.split_once("invalid value '").and_then(|(_, after)| after.split_once('\'')).map(|(value, _)| value);
    value.and_then(|value| value.parse::<i128>().ok()).is_some_and(i128::is_negative)
}

/// A range as Rust writes it, in words.
fn wanted(range: &str) -> Option<String> {
    let (least, most) = range.split_once("..")?;
    let least: i128 = least.parse().ok()?;
    match most.trim_start_matches('=').parse::<i128>() {
        Ok(most) if most < i128::from(i64::MAX) => Some(format!("a number from {least} to {most}")),
        _ if range.ends_with("..") || range.contains("..=") => Some(format!("a number from {least} on")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_cannot_be_read_says_what_is_wanted() {
        let said = |message: &str| plain(&format!("invalid value 'x' for '--wait <SECONDS>': {message}"));
        for (message, wanted) in [
            ("invalid digit found in string", "a whole number is wanted, such as 30"),
            ("number too large to fit in target type", "that number is too large"),
            ("invalid float literal", "a number is wanted, such as 30 or 0.5"),
            ("7000 is not in 0..=3600", "7000 will not do; a number from 0 to 3600 is wanted"),
            ("0 is not in 1..", "0 will not do; a number from 1 on is wanted"),
            ("0 is not in 1..=9223372036854775807\n\nUsage", "0 will not do; a number from 1 on is wanted\n\nUsage"),
            ("it is not in a state for that", "it is not in a state for that"),
        ] {
            assert_eq!(said(message), format!("invalid value 'x' for '--wait <SECONDS>': {wanted}"));
        }
        let negative = plain("invalid value '-3' for '--limit <N>': invalid digit found in string");
        assert_eq!(negative, "invalid value '-3' for '--limit <N>': a number from 0 on is wanted");
    }
}
