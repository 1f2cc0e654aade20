//! Texts and objects that somebody gives, checked.

use serde_json::{Value, json};

use crate::base::{Error, Result, text};

/// The longest text, in characters.
const MAX_TEXT: usize = 20_000;
/// The largest object, in bytes.
const MAX_OBJECT: usize = 1 << 20;

/// One text, cleaned, not empty, bounded.
pub(super) fn one(flag: &str, given: &str) -> Result<String> {
    let clean = text::clean(given.trim());
    if clean.is_empty() {
        return Err(Error::usage(format!("{flag} must not be empty")));
    }
    if clean.chars().count() > MAX_TEXT {
        return Err(Error::usage(format!("{flag} has more than {MAX_TEXT} characters")));
    }
    Ok(clean)
}

/// A JSON object; an empty one when none is given.
pub(super) fn object(flag: &str, given: Option<&str>) -> Result<Value> {
    let Some(given) = given else { return Ok(json!({})) };
    read_object(given, "a JSON object").map_err(|why| Error::usage(format!("{flag} {why}")))
}

/// The object that a text is; why it is not what is `wanted`.
fn read_object(given: &str, wanted: &str) -> Result<Value, String> {
    if given.len() > MAX_OBJECT {
        return Err(format!("has more than {MAX_OBJECT} bytes"));
    }
    match serde_json::from_str(given) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(format!("must be {wanted}")),
        Err(error) => Err(format!("must be {wanted}: {error}")),
    }
}

/// Why a text is no JSON object that can be kept, in words that follow its name; none when it is one.
#[must_use]
pub fn object_fault(given: &str) -> Option<String> {
    read_object(given, "a JSON object, such as {\"ticket\": 12}").err()
}

/// What ties things together, when it is given.
pub(super) fn correlation(given: Option<&str>) -> Result<Option<String>> {
    given
        .map(|given| {
            let clean = text::visible_line(given.trim()).into_owned();
            if clean.is_empty() || clean.chars().count() > 200 || clean != given.trim() {
                return Err(Error::usage("--correlation-id takes 1 to 200 visible characters"));
            }
            Ok(clean)
        })
        .transpose()
}
