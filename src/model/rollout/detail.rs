//! What of a rollout line only its reader needs: whole texts, outputs, diffs, durations.
//!
//! Ingest takes millions of lines and keeps a little of each. These are read when somebody looks at the line.

use super::{
    dialect::{command_line, content_text, word},
    scan::Json,
    summary::FIELD_CHARS,
};
use crate::{
    base::text,
    model::conversation::{ChangeKind, FileDiff, Outcome, is_shell},
};

/// Longest message that is shown, in characters.
const WHOLE_CHARS: usize = 32_000;
/// Longest output, in characters: half of it from the beginning, half from the end.
const OUTPUT_CHARS: usize = 16_000;
/// Most lines of the changes in one file.
const DIFF_LINES: usize = 800;
/// Most files of one change.
const DIFF_FILES: usize = 100;
/// Longest line of a diff, in characters.
const DIFF_LINE_CHARS: usize = 400;
/// Longest arguments of a tool, in characters.
const ARGUMENT_CHARS: usize = 8_000;

/// The members of a line, or of the item in it.
pub(super) struct Body<'a> {
    /// The payload; the line itself in the flat dialect.
    payload: Json<'a>,
    /// The item of an `item_completed`; else the payload.
    item: Json<'a>,
}

impl<'a> Body<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        let line = Json::new(line.trim_start_matches('\u{feff}'));
        let payload = line.get("payload").filter(|payload| payload.is_object()).unwrap_or(line);
        let item = payload.get("item").filter(|item| item.is_object()).unwrap_or(payload);
        Self { payload, item }
    }

    /// The message in full, when `kept` is only its beginning.
    pub(super) fn whole(&self, kept: &str) -> String {
        if !kept.ends_with('…') {
            return kept.to_owned();
        }
        let [message, content, text] = self.item.pick(["message", "content", "text"]);
        let whole = content_text(message.or(content).or(text), WHOLE_CHARS);
        if whole.len() > kept.len() { whole } else { kept.to_owned() }
    }

    /// The command line in full, when `kept` is only its beginning.
    pub(super) fn whole_command(&self, kept: &str) -> String {
        if !kept.ends_with('…') {
            return kept.to_owned();
        }
        let whole = command_line(self.item.get("command"), WHOLE_CHARS);
        if whole.len() > kept.len() { whole } else { kept.to_owned() }
    }

    pub(super) fn thought(&self) -> Option<String> {
        let [text, summary_text, summary] = self.item.pick(["text", "summary_text", "summary"]);
        let whole = match (text, summary_text.or(summary)) {
            (Some(text), _) => text.excerpt(WHOLE_CHARS)?,
            (None, Some(parts)) => {
                let part = |part: Json<'a>| {
                    part.excerpt(WHOLE_CHARS).or_else(|| part.get("text").and_then(|text| text.excerpt(WHOLE_CHARS)))
                };
                let parts: Vec<String> = parts.elements().take(50).filter_map(part).collect();
                text::bounded(&parts.join("\n"), WHOLE_CHARS)
            }
            (None, None) => return None,
        };
        (!whole.trim().is_empty()).then_some(whole)
    }

    pub(super) fn call_id(&self) -> Option<String> {
        let [call_id, id] = self.item.pick(["call_id", "id"]);
        word(call_id.or(id))
    }

    pub(super) fn name(&self) -> Option<String> {
        word(self.item.get("name"))
    }

    /// How long it took.
    pub(super) fn millis(&self) -> Option<u64> {
        let [millis, duration] = self.item.pick(["duration_ms", "duration"]);
        let told = millis.and_then(Json::unsigned).or_else(|| {
            let [secs, nanos] = duration?.pick(["secs", "nanos"]);
            Some(secs?.unsigned()?.saturating_mul(1_000).saturating_add(nanos?.unsigned()? / 1_000_000))
        });
        told.or_else(|| {
            let [from, to] = self.payload.pick(["started_at_ms", "completed_at_ms"]);
            to?.unsigned()?.checked_sub(from?.unsigned()?)
        })
    }

    /// What came of a command.
    pub(super) fn outcome(&self) -> Outcome {
        let [status, output] = self.item.pick(["status", "aggregated_output"]);
        Outcome {
            ended: true,
            exit_code: None,
            status: word(status).filter(|status| status != "completed" && status != "failed"),
            millis: self.millis(),
            output: output.map(long_text).unwrap_or_default(),
        }
    }

    /// What was changed, file by file.
    pub(super) fn changes(&self) -> Vec<FileDiff> {
        let Some(changes) = self.item.get("changes") else { return Vec::new() };
        let members = changes.members().take(DIFF_FILES);
        members.map(|(path, change)| file_diff(&text::one_line(&text::clean(&path)), change)).collect()
    }

    /// What a tool was given and what it returned.
    pub(super) fn tool(&self) -> (String, String) {
        let [arguments, invocation, result] = self.item.pick(["arguments", "invocation", "result"]);
        let arguments = arguments.or_else(|| invocation.and_then(|call| call.get("arguments")));
        let inner = result.map(|result| result.get("Ok").or_else(|| result.get("Err")).unwrap_or(result));
        let output = match inner.and_then(|result| result.get("content")) {
            Some(content) => content_text(Some(content), OUTPUT_CHARS),
            None => inner.map(|result| source(result, OUTPUT_CHARS)).unwrap_or_default(),
        };
        (arguments.map(|arguments| source(arguments, ARGUMENT_CHARS)).unwrap_or_default(), output)
    }

    /// What the model gave a tool: the command line of a shell, a script or patch as it stands, else JSON.
    pub(super) fn arguments(&self, name: &str) -> String {
        let [arguments, input, action] = self.item.pick(["arguments", "input", "action"]);
        if let Some(action) = action
            && let Some(command) = action.get("command")
        {
            return command_line(Some(command), WHOLE_CHARS);
        }
        let Some(given) = arguments.or(input) else { return String::new() };
        let given = match given.excerpt(WHOLE_CHARS) {
            Some(given) => given,
            None => source(given, ARGUMENT_CHARS),
        };
        let [command, cmd, patch] = Json::new(&given).pick(["command", "cmd", "input"]);
        if is_shell(name) && (command.is_some() || cmd.is_some()) {
            return command_line(command.or(cmd), WHOLE_CHARS);
        }
        patch.and_then(|patch| patch.excerpt(WHOLE_CHARS)).unwrap_or(given)
    }

    /// What came of a call, out of the text that the model gets.
    pub(super) fn output(&self) -> Outcome {
        let output = self.item.get("output");
        let text = match output {
            // A few versions wrap it: `{content, success}`.
            Some(output) if output.is_object() => content_text(output.get("content"), usize::MAX),
            output => content_text(output, usize::MAX),
        };
        outcome_in(&text)
    }

    /// What a report says, after its name.
    pub(super) fn message(&self, name: &str) -> String {
        let [message, text, query, path, explanation] =
            self.item.pick(["message", "text", "query", "path", "explanation"]);
        let said = [message, text, query, path, explanation].into_iter().flatten();
        let said = said.filter_map(|value| value.excerpt(ARGUMENT_CHARS)).find(|text| !text.trim().is_empty());
        match said {
            Some(said) if name.is_empty() => said,
            Some(said) => format!("{}: {said}", name.replace('_', " ")),
            None => name.replace('_', " "),
        }
    }
}

/// The names of an unknown line's members, as the ledger keeps them.
pub(super) fn names(payload: &str) -> String {
    let names = Json::new(payload).get("keys").map(|keys| keys.elements().filter_map(|key| word(Some(key))).collect());
    names.map(|names: Vec<String>| names.join(", ")).unwrap_or_default()
}

/// The value as it stands in the line, cleaned.
fn source(value: Json<'_>, max: usize) -> String {
    match value.excerpt(max) {
        Some(text) => text,
        None => text::bounded(&text::clean(value.source()), max),
    }
}

fn long_text(value: Json<'_>) -> String {
    middle_out(value.excerpt(usize::MAX).unwrap_or_default())
}

/// A text without its middle, when it is too long.
fn middle_out(text: String) -> String {
    let count = if text.len() <= OUTPUT_CHARS { 0 } else { text.chars().count() };
    if count <= OUTPUT_CHARS {
        return text;
    }
    let head: String = text.chars().take(OUTPUT_CHARS / 2).collect();
    let tail: String = text.chars().skip(count - OUTPUT_CHARS / 2).collect();
    format!("{head}\n[{} characters are left out here]\n{tail}", count - OUTPUT_CHARS / 2 * 2)
}

/// Reads what Codex puts around an output for the model: JSON with metadata in old versions, a head of lines since.
fn outcome_in(text: &str) -> Outcome {
    let mut outcome = Outcome { ended: true, ..Outcome::default() };
    let json = Json::new(text);
    if let [Some(output), Some(metadata)] = json.pick(["output", "metadata"]) {
        let [exit_code, seconds] = metadata.pick(["exit_code", "duration_seconds"]);
        outcome.exit_code = exit_code.and_then(Json::signed);
        outcome.millis = seconds.and_then(Json::float).and_then(as_millis);
        outcome.output = long_text(output);
        return outcome;
    }
    let mut rest = text;
    let mut found = false;
    for line in text.split_inclusive('\n').take(12) {
        let bare = line.trim_end();
        rest = &rest[line.len()..];
        if bare == "Output:" {
            found = true;
            break;
        }
        let after = |prefix: &str| bare.strip_prefix(prefix).map(str::trim);
        if let Some(code) = after("Exit code:").or_else(|| after("Process exited with code")) {
            outcome.exit_code = code.parse().ok();
        } else if let Some(seconds) = after("Wall time:").or_else(|| after("Wall time")) {
            outcome.millis = seconds.trim_end_matches(" seconds").parse().ok().and_then(as_millis);
        } else if after("Process running with").is_some() || after("Script running with").is_some() {
            outcome.status = Some("still running".to_owned());
        }
    }
    if !found {
        // No head: all of it is output.
        outcome = Outcome { ended: true, ..Outcome::default() };
        rest = text;
    }
    outcome.output = middle_out(rest.to_owned());
    outcome
}

fn as_millis(seconds: f64) -> Option<u64> {
    let millis = seconds * 1_000.0;
    // Too large for anybody to have waited, or no number.
    if !(0.0..1e15).contains(&millis) {
        return None;
    }
    format!("{millis:.0}").parse().ok()
}

fn file_diff(path: &str, change: Json<'_>) -> FileDiff {
    let [kind, content, diff, moved] = change.pick(["type", "content", "unified_diff", "move_path"]);
    let kind = match kind.and_then(Json::plain) {
        Some("add") => ChangeKind::Added,
        Some("update") => ChangeKind::Updated,
        Some("delete") => ChangeKind::Deleted,
        _ => ChangeKind::Unsaid,
    };
    let sign = if kind == ChangeKind::Deleted { "-" } else { "+" };
    let text = diff.or(content).and_then(|text| text.excerpt(usize::MAX)).unwrap_or_default();
    let mut lines = text.lines().map(|line| match diff {
        Some(_) => text::bounded(line, DIFF_LINE_CHARS),
        None => text::bounded(&format!("{sign}{line}"), DIFF_LINE_CHARS),
    });
    let shown: Vec<String> = lines.by_ref().take(DIFF_LINES).collect();
    let cut = lines.next().is_some();
    let moved_to = moved.and_then(|path| path.excerpt(FIELD_CHARS)).map(|path| text::one_line(&path));
    FileDiff { path: path.to_owned(), moved_to, lines: shown, cut, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_an_output_is_read_in_every_form() {
        let seen = |text: &str| {
            let outcome = outcome_in(text);
            (outcome.exit_code, outcome.millis, outcome.output)
        };
        let json = r#"{"output":"slow\n","metadata":{"exit_code":3,"duration_seconds":6.0}}"#;
        assert_eq!(seen(json), (Some(3), Some(6_000), "slow\n".into()));
        let exit = "Exit code: 0\nWall time: 0.1 seconds\nOutput:\nSuccess\nA x\n";
        assert_eq!(seen(exit), (Some(0), Some(100), "Success\nA x\n".into()));
        let chunk = "Chunk ID: 1\nWall time: 5.9224 seconds\nProcess exited with code 127\nOriginal token count: 4\n\
            Output:\njob\n";
        assert_eq!(seen(chunk), (Some(127), Some(5_922), "job\n".into()));
        assert_eq!(seen("Script completed\nWall time 0.2 seconds\nOutput:\n\nhi"), (None, Some(200), "\nhi".into()));
        assert_eq!(seen("aborted by user after 1.5s"), (None, None, "aborted by user after 1.5s".into()));
        assert_eq!(seen(""), (None, None, String::new()));
        assert_eq!(seen("Exit code: 9\nno head"), (None, None, "Exit code: 9\nno head".into()));
        let running = outcome_in("Script running with cell ID g8:1\nWall time 2.2 seconds\nOutput:\n");
        assert_eq!(running.status.as_deref(), Some("still running"));
    }

    #[test]
    fn a_long_output_loses_its_middle() {
        let long = middle_out("ä".repeat(OUTPUT_CHARS + 10));
        assert!(long.contains("[10 characters are left out here]"), "{}", long.len());
        assert_eq!(middle_out("ä".repeat(OUTPUT_CHARS)).chars().count(), OUTPUT_CHARS);
    }

    #[test]
    fn changes_have_their_lines_and_signs() {
        let line = r#"{"payload":{"type":"item_completed","item":{"type":"FileChange","id":"call_1","changes":{
            "/a":{"type":"add","content":"x\ny\n"},
            "/b":{"type":"update","unified_diff":"@@ -1 +1 @@\n-x\n+y\n","move_path":"/c"},
            "/d":{"type":"delete","content":"gone\n"},
            "/e":{"type":"rewritten"}}}}}"#;
        let body = Body::of(line);
        let seen: Vec<_> = body.changes().into_iter().map(|file| (file.kind, file.lines.join("|"))).collect();
        assert_eq!(
            seen,
            [
                (ChangeKind::Added, "+x|+y".to_owned()),
                (ChangeKind::Updated, "@@ -1 +1 @@|-x|+y".to_owned()),
                (ChangeKind::Deleted, "-gone".to_owned()),
                (ChangeKind::Unsaid, String::new()),
            ]
        );
        assert_eq!(body.changes()[1].moved_to.as_deref(), Some("/c"));
        assert_eq!(body.call_id().as_deref(), Some("call_1"));
    }
}
