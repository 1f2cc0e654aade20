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

text_enum! {
    /// Who or what stands behind what was shown.
    pub enum Backing {
        /// This program: it has seen a receipt of its own, or one that a session may rest on.
        Program => "program",
        /// An operator says that it shows this. The program has seen no more than that the thing is there.
        Operator => "operator",
        /// A session says so.
        Session => "session",
    }
}

/// Where a link says who or what stands behind it.
pub const BACKED_BY: &str = "backed_by";

/// Who or what stands behind a link of a criterion that an operator has settled, or somebody else.
///
/// Links that were made before it was on record say nothing: a command or a step that ended well was seen by the program
/// whoever named it, of a file or a commit only that it is there.
#[must_use]
pub fn link_backing(link: &Value, by_operator: bool) -> Backing {
    if let Some(told) = link[BACKED_BY].as_str().and_then(|word| word.parse().ok()) {
        return told;
    }
    let is_verified = link["grade"] == Grade::Verified.as_str();
    let ended_well = matches!(link["kind"].as_str(), Some("bytes" | "event"));
    match (is_verified, by_operator) {
        (true, false) => Backing::Program,
        (true, true) if ended_well => Backing::Program,
        (_, true) => Backing::Operator,
        (false, false) => Backing::Session,
    }
}

/// Who or what stands behind an evidence, the strongest first: the program, the operator that has settled it, a session.
#[must_use]
pub fn backing(evidence: &Value, by_operator: bool) -> Backing {
    if links(evidence).any(|link| link_backing(link, by_operator) == Backing::Program) {
        return Backing::Program;
    }
    if by_operator { Backing::Operator } else { Backing::Session }
}

/// The links of an evidence.
pub fn links(evidence: &Value) -> impl Iterator<Item = &Value> {
    evidence[LINKS].as_array().into_iter().flatten()
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
    fn only_a_receipt_is_seen_by_the_program() {
        let seen = json!({"links": [{"grade": "claimed"}, {"grade": "verified", "kind": "bytes"}]});
        assert_eq!((backing(&seen, false), backing(&seen, true)), (Backing::Program, Backing::Program));
        for forged in [
            json!({}),
            json!({"links": []}),
            json!({"links": [{"grade": "claimed"}, {}]}),
            json!({"grade": "verified"}),
            json!({"backed_by": "program"}),
        ] {
            assert_eq!(
                (backing(&forged, false), backing(&forged, true)),
                (Backing::Session, Backing::Operator),
                "{forged}"
            );
        }
    }

    #[test]
    fn what_an_operator_names_is_their_word_whoever_settles_it() {
        let link = |backed_by: &str| json!({"grade": "verified", "kind": "artifact", "backed_by": backed_by});
        let of = |links: &[Value], by_operator| backing(&json!({ "links": links }), by_operator);
        assert_eq!(of(&[link("operator")], true), Backing::Operator);
        assert_eq!(of(&[link("operator")], false), Backing::Session, "a session settles nothing with it");
        assert_eq!(of(&[link("operator"), link("program")], true), Backing::Program);
        // Nothing is on record of who named it.
        let old = [json!({"grade": "verified", "kind": "artifact"})];
        assert_eq!((of(&old, true), of(&old, false)), (Backing::Operator, Backing::Program));
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
