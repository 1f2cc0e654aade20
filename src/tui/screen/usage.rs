//! Gauges of tokens and limits, and the tree of sub-agents: small lines above what a session shows.

use ratatui::text::Line;
use unicode_width::UnicodeWidthStr as _;

use super::{ago, styled};
use crate::{
    base::text::{age, one_line},
    model::{
        board::SessionRow,
        family::{AgentView, SubAgent},
        usage::{Limit, tokens},
    },
    tui::{app::App, theme::Part, wrap::cut},
};

/// A limit that is used up to here is shown as a warning, in percent.
const NEARLY: u8 = 90;

/// How full context and limits are, in at most `width` columns: what matters most comes first, and what does not fit is
/// left out.
#[must_use]
pub fn gauge(app: &App, row: &SessionRow, width: usize) -> (Part, String) {
    let glyphs = app.settings.glyphs;
    let mut pieces = Vec::new();
    let mut part = Part::Dim;
    match row.context {
        Some(context) => {
            let percent = context.percent();
            if percent >= NEARLY {
                part = Part::Warning;
            }
            pieces.push(format!(
                "context {} {percent}% of {}",
                glyphs.gauge(percent, 8),
                tokens(context.window_tokens)
            ));
        }
        None => pieces.push("context unknown".to_owned()),
    }
    if let Some(told) = &row.tokens {
        pieces.push(format!("told {} ago", ago(told.at, app.now)));
        if told.limits.iter().any(|limit| limit.used_percent >= NEARLY) {
            part = Part::Warning;
        }
        pieces.extend(told.limit_reached.iter().map(|limit| format!("limit reached: {}", one_line(limit))));
        pieces.extend(told.limits.iter().map(|limit| limit_word(app, limit)));
        pieces.extend(told.total_tokens.map(|total| format!("{} tokens in all", tokens(total))));
    }
    let separator = glyphs.separator();
    let mut line = String::new();
    for piece in pieces {
        let longer = if line.is_empty() { piece } else { format!("{line}{separator}{piece}") };
        if longer.width() > width && !line.is_empty() {
            break;
        }
        line = longer;
    }
    (part, cut(&line, width, glyphs))
}

/// A limit: how much of it is used, and when it starts anew. One that has started anew since is not known any more.
fn limit_word(app: &App, limit: &Limit) -> String {
    let window = limit.window();
    match limit.resets_at {
        Some(at) if at <= app.now => format!("{window} limit: new since {} ago", age(at.age_seconds(app.now))),
        Some(at) => {
            let left = age(app.now.age_seconds(at));
            format!("{window} limit {}%, anew in {left}", limit.used_percent)
        }
        None => format!("{window} limit {}%", limit.used_percent),
    }
}

/// All of it in lines of their own, for the column of what is on record.
#[must_use]
pub fn facts(app: &App, row: &SessionRow) -> Vec<(Part, String)> {
    let mut lines = Vec::new();
    if let Some(told) = &row.tokens {
        let total = told.total_tokens.map_or_else(|| "unknown".to_owned(), |total| format!("{total} in all"));
        lines.push((Part::Text, format!("tokens    {total} ({} ago)", ago(told.at, app.now))));
        for limit in &told.limits {
            let part = if limit.used_percent >= NEARLY { Part::Warning } else { Part::Text };
            lines.push((part, format!("limit     {} ({} ago)", limit_word(app, limit), ago(told.limits_at, app.now))));
        }
    }
    if let Some(parent) = &row.parent {
        let who = parent.session.as_deref().unwrap_or(&parent.thread_id);
        lines.push((Part::Text, format!("parent    {}", one_line(who))));
    }
    lines
}

/// The tree of a session's sub-agents, those that run first when not all fit into `limit` lines.
#[must_use]
pub fn tree(app: &App, row: &SessionRow, width: usize, limit: usize) -> Vec<Line<'static>> {
    let glyphs = app.settings.glyphs;
    let mut lines: Vec<(Part, String)> = Vec::new();
    if let Some(parent) = &row.parent {
        let who = parent.session.as_deref().unwrap_or(&parent.thread_id);
        let path = parent.path.as_ref().map_or_else(String::new, |path| format!(" as {}", one_line(path)));
        lines.push((Part::Dim, format!("sub-agent of {}{path}", one_line(who))));
    }
    let known = app.views.of(&row.id).map_or(&[][..], |view| view.agents.as_slice());
    let mut agents: Vec<&SubAgent> = row.agents.iter().collect();
    let hidden = agents.len().saturating_sub(limit);
    if hidden > 0 {
        // Those that run stay, in their order.
        let mut surplus = hidden + 1;
        agents.retain(|agent| {
            let goes = surplus > 0 && !agent.is_running();
            surplus -= usize::from(goes);
            !goes
        });
        agents.truncate(limit.saturating_sub(1));
    }
    let left_out = row.agents.len() - agents.len();
    let ascii = glyphs.is_ascii();
    for (index, agent) in agents.iter().enumerate() {
        let is_last = index + 1 == agents.len() && left_out == 0;
        let branch = match (is_last, ascii) {
            (true, true) => "`- ",
            (true, false) => "└ ",
            (false, true) => "|- ",
            (false, false) => "├ ",
        };
        let depth = agent.path.as_deref().map_or(0, |path| path.matches('/').count().saturating_sub(2));
        let view = known.iter().find(|view| view.agent.thread_id == agent.thread_id);
        let part = if agent.is_running() { Part::Working } else { Part::Dim };
        lines.push((part, format!("{}{branch}{}", "  ".repeat(depth.min(6)), agent_words(app, agent, view))));
    }
    if left_out > 0 {
        let branch = if ascii { "`- " } else { "└ " };
        lines.push((Part::Dim, format!("{branch}{left_out} more sub-agents")));
    }
    lines.into_iter().map(|(part, text)| styled(app, part, format!(" {}", cut(&text, width, glyphs)))).collect()
}

fn agent_words(app: &App, agent: &SubAgent, view: Option<&AgentView>) -> String {
    let name = match view.and_then(|view| view.session.as_deref()) {
        Some(session) => format!("{session} ({})", agent.name()),
        None => agent.name().to_owned(),
    };
    let mut words = vec![format!("{} {} {} ago", one_line(&name), one_line(&agent.state), ago(agent.at, app.now))];
    match view {
        Some(AgentView { used_tokens, last_event_at, .. }) => {
            words.push(used_tokens.map_or_else(|| "tokens unknown".to_owned(), |used| tokens(used) + " tokens"));
            if agent.is_running() {
                words.extend(last_event_at.map(|at| format!("last event {} ago", age(at.age_seconds(app.now)))));
            }
        }
        None => words.push("tokens unknown".to_owned()),
    }
    words.join(app.settings.glyphs.separator())
}
