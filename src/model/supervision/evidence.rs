//! What shows that a criterion is fulfilled, and how far that can be believed.

use serde_json::Value;

use crate::text_enum;

/// Where what was looked up stands in the evidence of a criterion.
pub const LINKS: &str = "links";

text_enum! {
    /// How far a link to something can be believed.
    pub enum Grade {
        /// A receipt of a program: a command that ended well, a commit, a file by its hash, a tool that this program ran.
        Verified => "verified",
        /// Somebody says so.
        Claimed => "claimed",
    }
}

/// The links of an evidence.
pub fn links(evidence: &Value) -> impl Iterator<Item = &Value> {
    evidence[LINKS].as_array().into_iter().flatten()
}

/// Whether a program's receipt is among the links.
#[must_use]
pub fn is_verified(evidence: &Value) -> bool {
    links(evidence).any(|link| link["grade"] == Grade::Verified.as_str())
}

/// A name as evidence is compared by: `Manager Decision` is `manager_decision`.
#[must_use]
pub fn plain_name(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

/// Whether the evidence says that it is of this type, alone (`evidence_type`) or among others (`evidence_types`), and
/// does not say that it failed.
#[must_use]
pub fn is_of_type(evidence: &Value, wanted: &str) -> bool {
    let wanted = plain_name(wanted);
    let named =
        [&evidence["evidence_type"]].into_iter().chain(evidence["evidence_types"].as_array().into_iter().flatten());
    let is_named = named.filter_map(Value::as_str).any(|name| plain_name(name) == wanted);
    is_named && says_no_failure(evidence)
}

fn says_no_failure(evidence: &Value) -> bool {
    match &evidence["status"] {
        Value::Null => true,
        Value::String(status) => {
            let failed = ["error", "errored", "fail", "failed", "failure", "rejected"];
            !failed.contains(&&*status.trim().to_lowercase())
        }
        _ => false,
    }
}

/// Whether the evidence tells of a try to break the work: what could fail, how that was checked, what came of it.
#[must_use]
pub fn is_adversarial(evidence: &Value) -> bool {
    let says = |key: &str| evidence[key].as_str().is_some_and(|text| !text.trim().is_empty());
    is_of_type(evidence, ADVERSARIAL) && ["failure_mode", "check", "result"].into_iter().all(says)
}

/// The type of evidence that tells of a try to break the work.
pub const ADVERSARIAL: &str = "adversarial_check";

/// Programs that end well whatever the work is like.
const SAY_NOTHING: &[&str] = &[":", "[", "cat", "cd", "echo", "exit", "ls", "printf", "pwd", "sleep", "test", "true"];

/// Programs that run what they are given as text.
const SHELLS: &[&str] = &["bash", "dash", "env", "eval", "sh", "zsh"];

/// Whether a command line that ended well says something about the work. The exit code is that of what ran last: a
/// list hides how what stood before it ended, and only `&&` does not; behind a pipe or an alternative nothing is told.
#[must_use]
pub fn says_something(command_line: &str) -> bool {
    if command_line.contains('|') {
        return false;
    }
    let plain = command_line.replace(">&", ">").replace("&>", ">");
    let last = plain.trim().rsplit(['\n', ';']).find(|part| !part.trim().is_empty()).unwrap_or_default();
    let parts: Vec<&str> = last.split("&&").collect();
    if parts.iter().any(|part| part.contains('&')) {
        return false;
    }
    parts.iter().any(|part| {
        let mut words = part.split_whitespace().skip_while(|word| is_assignment(word));
        let Some(program) = words.next() else { return false };
        let program = program.trim_matches(['\'', '"', '(', ')']);
        let name = program.rsplit('/').next().unwrap_or(program);
        let is_text = SHELLS.contains(&name) && words.next().is_none_or(|word| word.starts_with('-'));
        !is_text && !SAY_NOTHING.contains(&name) && !name.starts_with('#')
    })
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=')
        .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_receipt_is_verified() {
        assert!(is_verified(&json!({"links": [{"grade": "claimed"}, {"grade": "verified"}]})));
        for forged in [
            json!({}),
            json!({"links": []}),
            json!({"links": [{"grade": "claimed"}, {}]}),
            json!({"grade": "verified"}),
        ] {
            assert!(!is_verified(&forged), "{forged}");
        }
    }

    #[test]
    fn a_type_is_compared_by_its_words_and_a_failure_shows_nothing() {
        let green = json!({"evidence_type": "CI green"});
        assert!(is_of_type(&green, "ci_green") && !is_of_type(&green, "merge"));
        assert!(is_of_type(
            &json!({"evidence_types": ["a", "Manager decision"], "status": "pass"}),
            "manager decision"
        ));
        for status in [json!("failed"), json!(" Error "), json!(false), json!(1)] {
            assert!(!is_of_type(&json!({"evidence_type": "ci_green", "status": status}), "ci_green"), "{status}");
        }
    }

    #[test]
    fn an_adversarial_check_tells_what_could_fail_how_it_was_checked_and_what_came_of_it() {
        let whole = json!({
            "evidence_type": "adversarial_check", "failure_mode": "a file of 4 GiB", "check": "ran it", "result": "passes",
        });
        assert!(is_adversarial(&whole));
        for key in ["evidence_type", "failure_mode", "check", "result"] {
            let mut less = whole.clone();
            less[key] = json!("  ");
            assert!(!is_adversarial(&less), "{key}");
        }
    }

    #[test]
    fn a_command_that_cannot_fail_says_nothing() {
        for line in [
            "cargo test",
            "cd sub && cargo test",
            "RUST_LOG=x cargo test",
            "echo begin; cargo test",
            "./check.sh",
            "sh check.sh",
            "cargo test 2>&1",
            "cargo test > log 2>&1 && echo ok",
        ] {
            assert!(says_something(line), "{line}");
        }
        for line in [
            "true",
            ":",
            "echo 'test result: ok'",
            "/bin/true",
            "cargo test; true",
            "cargo test || true",
            "cargo test | cat",
            "cargo test; echo done",
            "printf ok",
            "X=1 echo ok",
            "exit 0",
            "cargo test\ntrue",
            "# cargo test",
            "",
            "cargo test & true",
            "sh -c true",
            "bash -lc 'cargo test; true'",
            "eval",
            "cargo test 2>&1 | tail -5",
            "echo ok | grep ok",
        ] {
            assert!(!says_something(line), "{line}");
        }
    }
}
