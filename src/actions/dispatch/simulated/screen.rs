//! What the panes of the world show.

use super::world::{Dialog, Pane, Seat, World};
use crate::base::text;

const SPINNER: &str = "⠋ project";
const PLACEHOLDER: &str = "› Ask Codex to do anything";

impl World {
    /// Draws what the panes show.
    pub(super) fn draw(&self) {
        for seat in &self.seats {
            let Some(pane) = &seat.pane else { continue };
            let screen = screen_of(seat, pane);
            let is_busy = seat.turn.is_some();
            self.tmux.change(pane.id, |drawn| {
                drawn.screen = screen;
                drawn.composer = if pane.dialog == Dialog::Open { String::new() } else { pane.composer.clone() };
                drawn.info.pid = pane.process.pid;
                drawn.start_ticks = pane.process.start_ticks;
                drawn.info.title = if is_busy { SPINNER.to_owned() } else { String::new() };
            });
        }
    }
}

fn screen_of(seat: &Seat, pane: &Pane) -> String {
    let mut rows: Vec<String> = Vec::new();
    if !pane.holds_codex {
        return "user@host:~$ ".to_owned();
    }
    rows.push("  >_ OpenAI Codex (v0.169.0)".to_owned());
    for text in pane.transcript.iter().rev().take(2).rev() {
        rows.push(String::new());
        rows.push(format!("› {}", text.replace('\n', "\n  ")));
        rows.push(String::new());
        rows.push("• I see.".to_owned());
    }
    rows.extend([String::new(), String::new()]);
    if pane.dialog == Dialog::Open {
        rows.extend(
            [
                "  Would you like to run the following command?",
                "",
                "  $ touch proof",
                "",
                "› 1. Yes, proceed (y)",
                "  2. No, and tell Codex what to do differently (esc)",
                "",
                "  Press enter to confirm or esc to cancel",
            ]
            .map(str::to_owned),
        );
        return rows.join("\n");
    }
    let state = if seat.turn.is_some() { "Working" } else { "Ready" };
    if seat.turn.is_some() {
        rows.extend(["• Working (3s • esc to interrupt)".to_owned(), String::new(), String::new()]);
    }
    if pane.composer.is_empty() {
        rows.push(PLACEHOLDER.to_owned());
    } else {
        rows.push(format!("› {}", text::clean(&pane.composer).replace('\n', "\n  ")));
    }
    rows.extend([String::new(), format!("  {state} · {}", seat.thread.id), "  ? for shortcuts".to_owned()]);
    rows.join("\n")
}

/// The screen as a capture with escape sequences shows it: the placeholder is dim.
pub(super) fn with_escapes(screen: &str) -> String {
    let dim = "› \u{1b}[2mAsk Codex to do anything\u{1b}[0m";
    let rows = screen.split('\n').map(|row| if row == PLACEHOLDER { dim } else { row });
    rows.collect::<Vec<_>>().join("\n")
}
