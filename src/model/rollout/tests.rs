use proptest::prelude::*;
use serde_json::Value;

use super::{
    scan::{Json, has_lone_surrogate},
    *,
};
use crate::{
    base::{json, text},
    model::conversation::{Said, Sender},
};

fn record(line: &str) -> Record {
    parse(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn event(payload: &str) -> Record {
    record(&format!(r#"{{"timestamp":"2026-11-21T02:17:07.890Z","type":"event_msg","payload":{payload}}}"#))
}

#[test]
fn one_message_is_told_once_in_every_dialect() {
    let cases = [
        (r#"{"type":"message","id":null,"role":"user","content":[{"type":"input_text","text":"hi"}]}"#, Some(false)),
        (
            r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"<environment_context>"}]}"#,
            Some(true),
        ),
        (r#"{"type":"event_msg","payload":{"type":"user_message","message":"hi","kind":"plain"}}"#, Some(false)),
        (r#"{"type":"event_msg","payload":{"type":"user_message","message":"hi"}}"#, Some(false)),
        (
            r#"{"type":"event_msg","payload":{"type":"user_message","message":"hi","kind":"environment_context"}}"#,
            Some(true),
        ),
        (
            r#"{"type":"event_msg","payload":{"type":"item_completed","item":{"type":"UserMessage","content":[{"type":"text","text":"hi"}]}}}"#,
            Some(false),
        ),
        (
            r#"{"type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}}"#,
            None,
        ),
    ];
    for (line, expected) in cases {
        let injected = match record(line).fact {
            Fact::UserMessage { injected, .. } => Some(injected),
            _ => None,
        };
        assert_eq!(injected, expected, "{line}");
    }
}

#[test]
fn errors_are_read_in_every_shape() {
    let cases = [
        (r#""usage_limit_exceeded""#, Some("usage_limit_exceeded"), None),
        (r#"{"http_connection_failed":{"http_status_code":401}}"#, Some("http_connection_failed"), Some(401)),
        (
            r#"{"response_too_many_failed_attempts":{"http_status_code":null}}"#,
            Some("response_too_many_failed_attempts"),
            None,
        ),
        ("null", None, None),
        ("17", None, None),
    ];
    for (info, kind, http_status) in cases {
        let line = format!(
            r#"{{"type":"task_complete","turn_id":"t","last_agent_message":null,"error":{{"message":"no","codex_error_info":{info}}}}}"#
        );
        let Fact::TurnEnded { error: Some(error), last_message: None, .. } = event(&line).fact else {
            panic!("{line}")
        };
        assert_eq!((error.kind.as_deref(), error.http_status), (kind, http_status), "{info}");
    }
}

#[test]
fn sources_are_told_apart() {
    let cases = [
        (r#""cli""#, SessionSource::Cli),
        (r#""vscode""#, SessionSource::Vscode),
        (r#""exec""#, SessionSource::Exec),
        (r#""mcp""#, SessionSource::Other("mcp".to_owned())),
        (
            r#"{"subagent":{"thread_spawn":{"parent_thread_id":"p","depth":1,"agent_path":"/root/x"}}}"#,
            SessionSource::SubAgent { parent: Some("p".to_owned()), path: Some("/root/x".to_owned()) },
        ),
        (r#"{"subagent":"review"}"#, SessionSource::SubAgent { parent: None, path: None }),
        (r#"{"custom":1}"#, SessionSource::Other("custom".to_owned())),
        ("null", SessionSource::Unsaid),
    ];
    for (source, expected) in cases {
        let line = format!(r#"{{"type":"session_meta","payload":{{"id":"i","source":{source}}}}}"#);
        let Fact::SessionHead(head) = record(&line).fact else { panic!("{line}") };
        assert_eq!(head.source, expected);
    }
}

#[test]
fn limits_and_tokens_are_read() {
    let record = event(
        r#"{"type":"token_count","info":{"total_token_usage":{"total_tokens":900},"last_token_usage":{"total_tokens":40},"model_context_window":258400},
           "rate_limits":{"primary":{"used_percent":92.5,"window_minutes":300,"resets_at":1795228000},"secondary":null}}"#,
    );
    let Fact::Tokens(tokens) = &record.fact else { panic!("{record:?}") };
    assert_eq!((tokens.last_total, tokens.total, tokens.window), (Some(40), Some(900), Some(258_400)));
    let primary = tokens.limits.as_ref().and_then(|limits| limits.primary.clone()).expect("a primary limit");
    assert!((primary.used_percent - 92.5).abs() < f64::EPSILON);
    assert_eq!(primary.resets_at.map(|at| at.as_millis()), Some(1_795_228_000_000));
}

#[test]
fn unknown_types_are_opaque_and_wrong_member_types_are_absent() {
    let unknown = event(r#"{"type":"brand_new","turn_id":"t","big":{"a":[1,2]}}"#);
    assert_eq!(unknown.fact, Fact::Other { known: false });
    assert_eq!(unknown.payload, r#"{"bytes":52,"keys":["type","turn_id","big"]}"#);
    assert_eq!(unknown.turn_id.as_deref(), Some("t"));
    assert_eq!(record(r#"{"type":"new_kind","payload":[1]}"#).fact, Fact::Other { known: false });
    assert_eq!(
        event(r#"{"type":"item_completed","item":{"type":"NewItem"}}"#).label(),
        "event_msg:item_completed/NewItem"
    );
    let odd = event(
        r#"{"type":"task_started","turn_id":7,"turn_attribution":[],"model_context_window":"x","started_at":1e999}"#,
    );
    assert_eq!(odd.fact, Fact::TurnStarted { turn_id: None, trigger: None, context_window: None, started_at: None });
}

#[test]
fn no_bytes_break_it() {
    let nested = |open: &str, close: &str| {
        format!(r#"{{"type":"new","payload":{}1{}}}"#, open.repeat(10_000), close.repeat(10_000))
    };
    let (arrays, objects) = (nested("[", "]"), nested(r#"{"a":"#, "}"));
    let good: &[(&[u8], bool)] = &[
        (b"\xef\xbb\xbf{\"type\":\"new\",\"payload\":{}}", false),
        (b"{\"type\":\"new\",\"payload\":{}}\r", false),
        (b"{\"type\":\"new\",\"payload\":{\"x\":\"\xff\xfe\"}}", true),
        (b"{\"type\":\"new\",\"payload\":{\"x\":\"a\0b\"}}", true),
        (br#"{"type":"new","payload":{"x":"\u0000\u001b[31m"}}"#, false),
        (br#"{"type":"new","payload":{"x":"\ud83d\ude00"}}"#, false),
        (br#"{"type":"new","payload":{"x":"\ud83d"}}"#, true),
        (br#"{"type":"new","payload":{"x":"\uDE00\ud83d"}}"#, true),
        (br#"{"type":"new","payload":{"x":"\\ud83d"}}"#, false),
        (br#"{"type":"new","payload":{"x":"\ufffd \ud83d\ude00"}}"#, false),
        (br#"{"type":"new","type":"other","payload":{"type":"a","type":"b"}}"#, false),
        (br#"{"type":"new","ordinal":1e999,"payload":1e999}"#, false),
        (br#"{"type":"new","ordinal":18446744073709551615,"payload":-9223372036854775808}"#, false),
        (br#"{"type":"new","ordinal":18446744073709551616,"payload":{}}"#, false),
        (arrays.as_bytes(), false),
        (objects.as_bytes(), false),
    ];
    for (line, lossy) in good {
        let record = parse(line).unwrap_or_else(|error| panic!("{error}: {}", line.escape_ascii()));
        assert_eq!(
            (record.kind.as_ref(), record.lossy),
            ("new", *lossy),
            "{}",
            line[..line.len().min(80)].escape_ascii()
        );
    }
    let first = record(r#"{"type":"new","type":"other","payload":{"type":"a","type":"b"}}"#);
    assert_eq!(first.label(), "new:a", "the first of two equal keys counts");
    for (number, ordinal) in [(i64::MAX as u64, Some(i64::MAX as u64)), (1 << 63, None), (u64::MAX, None)] {
        let line = format!(r#"{{"type":"x","ordinal":{number},"payload":{{}}}}"#);
        assert_eq!(record(&line).ordinal, ordinal, "what the ledger cannot hold is no ordinal");
    }
    assert_eq!(record(r#"{"ty\u0070e":"x","payload":{}}"#).kind, "x");

    let bad: &[(&[u8], BadLine)] = &[
        (b"", BadLine::Empty),
        (b" \r", BadLine::Empty),
        (b"[1]", BadLine::NotAnObject),
        (b"{}", BadLine::Untyped),
        (b"{\"type\":3}", BadLine::Untyped),
    ];
    for (line, expected) in bad {
        assert_eq!(parse(line).as_ref(), Err(expected), "{}", line.escape_ascii());
    }
    for line in ["\0\0\0", "{\"type\":\"new\",\"payload\":{", "{} {}", "junk"] {
        assert!(matches!(parse(line.as_bytes()), Err(BadLine::Syntax(_))), "{line:?}");
    }
}

#[test]
fn texts_come_out_clean_and_bounded() {
    let long = "é\\n\\u001b[31m".repeat(4_000);
    let line = format!(r#"{{"type":"event_msg","payload":{{"type":"user_message","message":"{long}"}}}}"#);
    let record = record(&line);
    let Fact::UserMessage { text: message, .. } = &record.fact else { panic!() };
    assert!(message.chars().count() <= 4_000 && message.ends_with('…'));
    assert!(!message.chars().any(text::is_unsafe));
    assert!(record.brief.chars().count() <= 200 && !record.brief.contains('\n'));
    assert!(record.payload.len() < 4_096, "{}", record.payload.len());
    let Some(Said::User { text: whole, sender: Sender::Unsaid }) = said(&record, line.as_bytes()) else { panic!() };
    assert_eq!(whole.chars().count(), 8_000, "who reads it gets all of it");
    assert!(!text::has_unsafe(&whole));
}

#[test]
fn a_record_behind_a_torn_one_is_found() {
    let whole = r#"{"timestamp":"2026-11-21T02:17:07.890Z","type":"event_msg","payload":{"type":"turn_aborted","reason":"interrupted"}}"#;
    for torn in
        ["{\"timestamp\":\"2026-11-21T02:1", "junk", "{\"timestamp\":\"x\",\"type\":\"a\",\"payload\":{\"q\":\""]
    {
        let line = format!("{torn}{whole}");
        assert!(parse(line.as_bytes()).is_err(), "{line}");
        let (offset, found) = recover_torn(line.as_bytes()).expect("the whole record");
        assert_eq!((offset, found), (torn.len(), record(whole)));
    }
    // A hole of NUL bytes, as a crash leaves it, hides nothing.
    let behind_hole = parse(format!("\0\0\0{whole}").as_bytes()).expect("a record");
    assert_eq!((behind_hole.lossy, behind_hole.fact), (true, record(whole).fact));
    assert_eq!(recover_torn(&whole.as_bytes()[..60]), None);
    // A hostile line must not cost a try for each of its many beginnings.
    assert_eq!(recover_torn("{\"timestamp\":[".repeat(20_000).as_bytes()), None);
}

#[test]
fn the_head_of_a_huge_line_tells_the_type_and_closes_a_turn() {
    let line = format!(
        r#"{{"timestamp":"2026-11-21T02:17:07.890Z","ordinal":9,"type":"event_msg","payload":{{"type":"task_complete","turn_id":"t1","last_agent_message":"{}"}}}}"#,
        "é".repeat(10_000)
    );
    for cut in [4_095, 4_096] {
        let record = parse_huge(&line.as_bytes()[..cut]).expect("a head");
        assert_eq!(record.label(), "event_msg:task_complete");
        assert_eq!(
            (record.ordinal, record.turn_id.as_deref(), record.huge, record.lossy),
            (Some(9), Some("t1"), true, false)
        );
        assert!(matches!(&record.fact, Fact::TurnEnded { last_message: Some(text), .. } if text.starts_with("éé")));
    }
    assert!(parse_huge(b"xxxx").is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "[\\\\\"\\n{}\\[\\],: ]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    })
}

/// What the walk sees, as a tree, to compare with what `serde_json` sees.
fn walked(json: Json<'_>, expected: &Value) -> Result<(), TestCaseError> {
    match expected {
        Value::Null => prop_assert!(json.is_null()),
        Value::Bool(_) => prop_assert_eq!(json.len(), expected.to_string().len()),
        Value::Number(number) => {
            prop_assert_eq!(json.unsigned(), number.as_u64());
            prop_assert_eq!(json.signed(), number.as_i64());
            prop_assert_eq!(json.float(), number.as_f64());
        }
        Value::String(string) => {
            prop_assert_eq!(json.excerpt(usize::MAX), Some(text::clean(string)));
        }
        Value::Array(elements) => {
            prop_assert_eq!(json.elements().count(), elements.len());
            for (element, expected) in json.elements().zip(elements) {
                walked(element, expected)?;
            }
        }
        Value::Object(members) => {
            prop_assert_eq!(json.members().count(), members.len());
            for ((key, value), (expected_key, expected)) in json.members().zip(members) {
                prop_assert_eq!(&*key, expected_key.as_str());
                walked(value, expected)?;
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_walk_sees_what_serde_json_sees(value in any_json(), pretty in any::<bool>()) {
        let text = if pretty { json::pretty(&value) } else { json::compact(&value) }.unwrap();
        walked(Json::new(&text), &value)?;
        prop_assert_eq!(Json::new(&text).len(), text.len());
        prop_assert!(!has_lone_surrogate(&text));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
        let _ = parse_huge(&bytes);
        let _ = recover_torn(&bytes);
    }

    #[test]
    fn anything_below_a_known_type_gives_a_bounded_record(
        kind in prop::sample::select(vec!["event_msg", "response_item", "session_meta", "compacted", "new"]),
        subtype in prop::sample::select(vec![
            "task_started", "task_complete", "turn_aborted", "token_count", "user_message", "agent_message", "error",
            "item_completed", "exec_command_end", "patch_apply_end", "message", "function_call", "reasoning", "x",
        ]),
        item in prop::sample::select(vec!["UserMessage", "CommandExecution", "FileChange", "Plan", "McpToolCall", "SubAgentActivity", "y"]),
        values in prop::collection::vec(any_json(), 8),
        cut in any::<prop::sample::Index>(),
    ) {
        let keys = ["id", "content", "message", "command", "changes", "info", "error", "turn_id"];
        let mut members: serde_json::Map<String, Value> =
            keys.iter().map(|key| (*key).to_owned()).zip(values).collect();
        let mut inner = members.clone();
        inner.insert("type".to_owned(), item.into());
        members.insert("item".to_owned(), inner.into());
        members.insert("type".to_owned(), subtype.into());
        let line = json::compact(&serde_json::json!({ "type": kind, "payload": members, "timestamp": "2026-11-21T02:17:07Z" })).unwrap();
        let record = parse(line.as_bytes()).unwrap();
        prop_assert_eq!(&*record.kind, kind);
        prop_assert!(record.brief.chars().count() <= 200);
        prop_assert!(!record.brief.chars().any(|c| text::is_unsafe(c) || c == '\n'));
        let payload: Value = serde_json::from_str(&record.payload).unwrap();
        prop_assert_eq!(json::compact(&payload).unwrap(), record.payload.as_str());
        if let Some(told) = said(&record, line.as_bytes()) {
            let told = format!("{told:?}");
            prop_assert!(!told.contains("\\u{1b}") && !told.contains("\\u{202e}"), "{}", told);
        }
        prop_assert!(is_spoken(&record) || said(&record, line.as_bytes()).is_none());
        let _ = parse_huge(&line.as_bytes()[..cut.index(line.len() + 1)]);
    }
}
