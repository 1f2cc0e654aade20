//! JSON text as the contract wants it: keys sorted; two spaces when printed, compact when stored.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::text;

/// A value with its keys sorted (the map of `serde_json` sorts as long as `preserve_order` stays off).
///
/// # Errors
/// When a map key is not a string or a custom `Serialize` fails; neither happens for our own types.
pub fn value(data: &impl Serialize) -> serde_json::Result<Value> {
    serde_json::to_value(data)
}

/// Pretty text with sorted keys, without a final newline.
///
/// # Errors
/// As [`value`].
pub fn pretty(data: &impl Serialize) -> serde_json::Result<String> {
    Ok(escaped(serde_json::to_string_pretty(&value(data)?)?))
}

/// Compact text with sorted keys on one line that a screen may get, with its line feed: what streams print.
///
/// # Errors
/// As [`value`].
pub fn line(data: &impl Serialize) -> serde_json::Result<String> {
    Ok(escaped(compact(data)?) + "\n")
}

/// JSON text in which every character that must not reach a screen is a `\u` escape. `serde_json` escapes only
/// what JSON demands; the others can stand nowhere but inside of strings.
fn escaped(json: String) -> String {
    if !text::has_unsafe(&json) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 64);
    let mut units = [0; 2];
    for c in json.chars() {
        if text::is_unsafe(c) {
            for unit in c.encode_utf16(&mut units) {
                // Writing into a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Compact text with sorted keys, as stored in the ledger. Not for screens: unsafe characters stay as they are.
///
/// # Errors
/// As [`value`].
pub fn compact(data: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(&value(data)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn printed_json_holds_no_character_that_a_screen_must_not_get() {
        let hostile = "a\u{1b}\u{7f}\u{9b}\u{202e}\u{e0041}ü";
        let text = super::pretty(&serde_json::json!({ hostile: hostile })).unwrap();
        assert!(
            text.ends_with(
                r#""a\u001b\u007f\u009b\u202e\udb40\udc41ü"
}"#
            ),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()[hostile], hostile);
    }

    #[test]
    fn keys_are_sorted() {
        // Guards against a dependency switching on `preserve_order` for the whole build.
        let value: serde_json::Value = serde_json::from_str(r#"{"b":1,"a":{"z":1,"y":2}}"#).unwrap();
        assert_eq!(super::compact(&value).unwrap(), r#"{"a":{"y":2,"z":1},"b":1}"#);
    }
}
