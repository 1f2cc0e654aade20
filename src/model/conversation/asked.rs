//! The questions that an agent puts with Codex's own tool, and what was answered, as a person reads them.

use std::collections::HashMap;

use serde::Deserialize;

/// The tool's name in rollouts.
const TOOL: &str = "request_user_input";

#[derive(Deserialize)]
struct Asked {
    questions: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    id: String,
    question: String,
    #[serde(default)]
    options: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
struct Choice {
    label: String,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct Answers {
    answers: HashMap<String, Answer>,
}

#[derive(Deserialize)]
struct Answer {
    answers: Vec<String>,
}

/// What the tool was given and what it returned, in words. None for other tools, and for what is not of the form that
/// is known: it is shown as it stands in the rollout.
pub(super) fn in_words(name: &str, arguments: &str, output: &str) -> Option<(String, String)> {
    if name != TOOL {
        return None;
    }
    let Asked { questions } = serde_json::from_str(arguments).ok()?;
    let mut asked = String::new();
    for Question { question, options, .. } in &questions {
        asked.push_str(question);
        asked.push('\n');
        for (number, Choice { label, description }) in options.iter().flatten().enumerate() {
            let more = if description.is_empty() { "" } else { ": " };
            asked.push_str(&format!("  {}. {label}{more}{description}\n", number + 1));
        }
    }
    let Ok(Answers { mut answers }) = serde_json::from_str(output) else { return Some((asked, output.to_owned())) };
    let mut answered = String::new();
    for Question { id, question, .. } in &questions {
        let Some(Answer { answers }) = answers.remove(id) else { continue };
        let about = if questions.len() > 1 { format!("{question} ") } else { String::new() };
        answered.push_str(&format!("{about}answered: {}\n", answers.join(", ")));
    }
    // An answer to what was not asked is told as it stands.
    let is_whole = answers.is_empty();
    Some((asked, if is_whole { answered } else { output.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Codex 0.169.0 wrote them.
    const ARGUMENTS: &str = r#"{"questions": [{"id": "q1", "header": "Choice", "question": "Which folder first?",
        "options": [{"label": "First (Recommended)", "description": "The first way"}, {"label": "Second",
        "description": ""}]}]}"#;
    const OUTPUT: &str = r#"{"answers":{"q1":{"answers":["First (Recommended)"]}}}"#;

    #[test]
    fn a_question_and_its_answer_are_told_in_words() {
        let (asked, answered) = in_words(TOOL, ARGUMENTS, OUTPUT).unwrap();
        assert_eq!(asked, "Which folder first?\n  1. First (Recommended): The first way\n  2. Second\n");
        assert_eq!(answered, "answered: First (Recommended)\n");
        assert_eq!(in_words(TOOL, ARGUMENTS, "").unwrap().1, "", "not answered yet");
    }

    #[test]
    fn what_has_another_form_is_left_as_it_stands() {
        assert_eq!(in_words("exec", ARGUMENTS, OUTPUT), None);
        assert_eq!(in_words(TOOL, "{}", OUTPUT), None);
        let other = r#"{"answers":{"q2":{"answers":["x"]}}}"#;
        assert_eq!(in_words(TOOL, ARGUMENTS, other).unwrap().1, other);
        assert_eq!(in_words(TOOL, ARGUMENTS, "aborted").unwrap().1, "aborted");
    }
}
