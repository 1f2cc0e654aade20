//! Drawing the gates of a task that is to be finished, and the proofs of its criteria.

use ratatui::text::Line;

use super::{
    layers::{key_lines, wrapped},
    span, styled,
};
use crate::{
    actions::ShownCriterion,
    base::text::one_line,
    model::{
        session::Registration,
        supervision::{CriterionStatus, Epilogue, Gate, GateCheck, Standing, evidence::Backing},
        task::BindingState,
    },
    tui::{
        app::App,
        ending::{NOTHING_LEFT, left_over, questions_left, turns},
        finish::{Finishing, ended_meanwhile},
        form::Subject,
        keymap::{Intent, Place},
        over::is_early,
        submitting::command_line,
        theme::Part,
        wrap::wrap,
    },
};

/// The lines of the box.
pub(super) fn lines(app: &App, finishing: &Finishing, width: usize) -> Vec<Line<'static>> {
    if let Some(ended) = ended_meanwhile(app, finishing) {
        return wrapped(app, Part::Warning, &ended, width);
    }
    let mut lines = match &finishing.review {
        None => wrapped(app, Part::Dim, "looking at every gate", width),
        Some(Err(failure)) => wrapped(app, Part::Error, &failure.message, width),
        Some(Ok(review)) => {
            let mut lines = Vec::new();
            for gate in &review.gates {
                let part = if gate.standing() == Standing::Met { Part::DoneUnseen } else { Part::Warning };
                lines.push(Line::from(vec![
                    span(app, part, gate.words()),
                    span(
                        app,
                        Part::Dim,
                        gate.asked_by().map(|who| format!("  asked for by {who}")).unwrap_or_default(),
                    ),
                ]));
                let reasons = gate.told.iter().map(|reason| (Part::Text, reason));
                let notes = gate.notes.iter().map(|note| (Part::Warning, note));
                for (part, told) in reasons.chain(notes) {
                    let texts = wrap(&one_line(told), width.saturating_sub(5), 200);
                    lines.extend(texts.into_iter().map(|text| styled(app, part, format!("     {text}"))));
                }
                let by_key = by_key(app, gate).filter(|_| !gate.ok);
                for step in by_key.iter().chain(&gate.next) {
                    let texts = wrap(&one_line(step), width.saturating_sub(11), 200);
                    lines.extend(texts.into_iter().enumerate().map(|(row, text)| {
                        let first = if row == 0 { "     next: " } else { "           " };
                        Line::from(vec![span(app, Part::Key, first), span(app, Part::Dim, text)])
                    }));
                }
            }
            lines
        }
    };
    lines.push(Line::default());
    if finishing.review.is_some() && !finishing.is_met() {
        let key = app.key_in(Place::Finish, Intent::StopTask);
        let text = format!("Or end the task without being done: press {key} (stop-task).");
        lines.extend(wrapped(app, Part::Text, &text, width));
        return lines;
    }
    let left = left_over(app, &finishing.task);
    let part = if left == NOTHING_LEFT { Part::Text } else { Part::Warning };
    lines.extend(wrapped(app, part, &left, width));
    if let Some(told) = questions_left(app, &finishing.task) {
        lines.extend(wrapped(app, Part::Warning, &told, width));
    }
    let row = app.board().and_then(|board| board.tasks.iter().find(|row| row.task.id == finishing.task));
    let binding = row.and_then(|row| row.bindings.iter().find(|binding| binding.state == BindingState::Active));
    let sessions = match binding {
        None => "Nobody is bound to it.".to_owned(),
        Some(binding) => format!(
            "Its binding ends. Worker {}, manager {}.",
            becomes(app, &binding.worker, finishing.end.stop_worker),
            becomes(app, &binding.manager, finishing.end.stop_manager)
        ),
    };
    lines.extend(wrapped(app, Part::Text, &sessions, width));
    if let Some(told) = turns(app, &finishing.task, [finishing.end.stop_worker, finishing.end.stop_manager]) {
        lines.extend(wrapped(app, Part::Warning, &told, width));
    }
    let line = command_line(app, &finishing.command(app).argv());
    lines.extend(wrapped(app, Part::Dim, &format!("runs: {line}"), width));
    lines
}

/// What to press about a gate that is not met; none where only a command line helps.
fn by_key(app: &App, gate: &GateCheck) -> Option<String> {
    let key = |intent| app.key_in(Place::Finish, intent);
    let in_record = |intent| app.key_in(Place::Record, intent);
    match gate.gate {
        Gate::Criteria => Some(format!("press {}: satisfy, accept, defer or reject them there", key(Intent::Criteria))),
        Gate::Acknowledgements => {
            let (worker, manager) = (in_record(Intent::WorkerAck), in_record(Intent::ManagerAck));
            Some(format!(
                "press {}, and there {worker} for the worker or {manager} for the manager: it is on record as your word",
                key(Intent::Record)
            ))
        }
        Gate::Decision => Some(format!(
            "press {}, and there {} to decide that it stops; then name that decision's number here with {}",
            key(Intent::Record),
            in_record(Intent::Decide),
            key(Intent::EndSaid)
        )),
        Gate::Epilogue if gate.reasons.iter().any(|reason| reason.starts_with(Epilogue::RecordHandoff.as_str())) => {
            Some(format!(
                "press {}, and there {} to hand over for the worker: it is on record as your word; then run the step",
                key(Intent::Record),
                in_record(Intent::Handoff)
            ))
        }
        Gate::OpenTask | Gate::Permission => Some(format!("press {}: it is looked at again", key(Intent::Reload))),
        Gate::Epilogue => Some(format!(
            "press {} to leave this, then {} and choose: {}",
            key(Intent::Back),
            app.key(Intent::Palette),
            Subject::Step.title()
        )),
        Gate::Evidence | Gate::AdversarialProof | Gate::Transcript => None,
    }
}

/// What becomes of a session of the task.
fn becomes(app: &App, name: &str, stops: bool) -> String {
    let row = app.board().and_then(|board| board.sessions.iter().find(|row| row.name == name));
    let word = match row {
        Some(row) if row.registration == Registration::Gone => "is gone already",
        Some(row) if row.judgement.runs() == Some(false) => "has ended already",
        _ if stops => "is stopped",
        _ => "goes on",
    };
    format!("{name} {word}")
}

/// The keys below the box.
pub(super) fn keys(app: &App, finishing: &Finishing, width: usize) -> Vec<Line<'static>> {
    if ended_meanwhile(app, finishing).is_some() {
        return key_lines(app, Place::Finish, vec![(Intent::Back, "leave")], width);
    }
    let sessions = [(Intent::WithWorker, "stop worker"), (Intent::WithManager, "stop manager")];
    let mut keys = match &finishing.review {
        Some(_) if finishing.is_met() => {
            let yes = if is_early(app) { "finish, in a moment" } else { "finish" };
            vec![(Intent::Yes, yes), (Intent::StopTask, "stop the task instead")]
        }
        Some(_) => {
            vec![
                (Intent::Criteria, "criteria"),
                (Intent::Record, "record"),
                (Intent::StopTask, "stop the task instead"),
                (Intent::Reload, "look"),
            ]
        }
        None => Vec::new(),
    };
    if finishing.review.is_none() || finishing.is_met() {
        keys.extend(sessions);
    }
    keys.push((Intent::EndSaid, "reason, decision"));
    keys.push((Intent::Back, "leave"));
    key_lines(app, Place::Finish, keys, width)
}

/// What was asked for, and what shows it.
pub(super) fn proofs(criteria: &[ShownCriterion], width: usize) -> Vec<(Part, String)> {
    let mut lines = Vec::new();
    let mut text = |part: Part, first: &str, text: &str| {
        let lead = first.len() - first.trim_start().len();
        let text = format!("{}{}", first.trim_start(), one_line(text));
        for (row, line) in wrap(&text, width.saturating_sub(lead + 3), 20).into_iter().enumerate() {
            let indent = if row == 0 { lead } else { lead + 3 };
            lines.push((part, format!("{:indent$}{line}", "")));
        }
    };
    for one in criteria {
        let part = match one.status {
            CriterionStatus::Satisfied => Part::DoneUnseen,
            CriterionStatus::Accepted => Part::Text,
            CriterionStatus::Proposed => Part::Warning,
            CriterionStatus::Deferred | CriterionStatus::Rejected => Part::Dim,
        };
        let word = if one.backing == Some(Backing::Operator) { " on the operator's word" } else { "" };
        text(part, &format!("#{} {}{word}: ", one.id, one.status), &one.text);
        if let Some(why) = &one.why {
            text(Part::Dim, "   why: ", why);
        }
        if let Some(proof) = &one.proof {
            text(Part::Dim, "   said: ", proof);
        }
        for (backing, link) in &one.links {
            let (part, first) = match backing {
                Backing::Program => (Part::Text, "   proof: "),
                Backing::Operator => (Part::Dim, "   operator's word: "),
                Backing::Session => (Part::Dim, "   claim: "),
            };
            text(part, first, link);
        }
        if one.links.is_empty() && one.status == CriterionStatus::Satisfied {
            text(Part::Warning, "   ", "nothing was shown");
        }
    }
    lines
}
