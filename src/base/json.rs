//! JSON text as the contract wants it: keys sorted; two spaces when printed, compact when stored.

use serde::Serialize;
use serde_json::Value;

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
    serde_json::to_string_pretty(&value(data)?)
}

/// Compact text with sorted keys, as stored in the ledger and printed in streams.
///
/// # Errors
/// As [`value`].
pub fn compact(data: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(&value(data)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_sorted() {
        // Guards against a dependency switching on `preserve_order` for the whole build.
        let value: serde_json::Value = serde_json::from_str(r#"{"b":1,"a":{"z":1,"y":2}}"#).unwrap();
        assert_eq!(super::compact(&value).unwrap(), r#"{"a":{"y":2,"z":1},"b":1}"#);
    }
}
