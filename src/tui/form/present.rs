//! What a task's terms are now, beside the fields that would change them.

use super::{Entry, Form, Subject};
use crate::{
    actions::TaskPolicy,
    model::supervision::Permission,
    tui::{app::App, layer::Layer},
};

/// The present values of one task, by the names of the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    task: String,
    words: Vec<(&'static str, String)>,
}

impl Present {
    fn of(task: &str, policy: &TaskPolicy) -> Self {
        let terms = &policy.terms;
        let held: Vec<String> =
            Permission::ALL.iter().filter(|one| terms.permissions.holds(**one)).map(ToString::to_string).collect();
        let held = if held.is_empty() { "speak with its worker only".to_owned() } else { held.join(", ") };
        let words = vec![
            ("recipe", terms.recipe_name.clone().unwrap_or_else(|| "none".to_owned())),
            ("mode", terms.supervision_mode.to_string()),
            ("permit", held.clone()),
            ("deny", held),
            ("nudges", policy.nudges.map_or_else(|| "no limit".to_owned(), |(_, most)| most.to_string())),
            ("then", terms.nudge_on_completion.to_string()),
            ("acks", if terms.require_acks { "required" } else { "not required" }.to_owned()),
        ];
        Self { task: task.to_owned(), words }
    }
}

impl Form {
    /// What stands there now in the ledger, while nothing is filled in for it; none when that is not known.
    #[must_use]
    pub fn present(&self, entry: &Entry) -> Option<&str> {
        let present = self.present.as_ref()?;
        let task = self.entries.iter().find(|entry| entry.label == "task")?;
        if task.control.value() != present.task || !entry.control.value().is_empty() {
            return None;
        }
        present.words.iter().find(|(label, _)| *label == entry.label).map(|(_, word)| word.as_str())
    }
}

impl Entry {
    /// What an empty field comes to, where this stands there now.
    #[must_use]
    pub fn left_empty(&self, now: &str) -> String {
        // These two change one list: what the list is now says nothing of what they do to it.
        match self.label {
            "permit" => format!("nothing more than now: {now}"),
            "deny" => format!("nothing is taken away of: {now}"),
            _ => format!("as it is: {now}"),
        }
    }
}

/// Terms that have become known go into the form that changes them.
pub(in crate::tui) fn arrived(app: &mut App, task: &str, policy: &TaskPolicy) {
    let row = app.board().and_then(|board| board.tasks.iter().find(|row| row.task.id == task));
    let Some(name) = row.map(|row| row.task.name.clone()) else { return };
    for layer in &mut app.layers {
        if let Layer::Form(form) = layer
            && form.subject == Subject::Terms
        {
            form.present = Some(Present::of(&name, policy));
        }
    }
}
