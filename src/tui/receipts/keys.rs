//! The keys of the list of receipts, and one receipt in full.

use super::Receipt;
use crate::tui::{
    app::App,
    keymap::Intent,
    layer::{About, Layer, Reader},
    message::Effect,
    submitting::{ask_command, copy},
    theme::Part,
};

/// Shows the list, the newest receipt selected.
pub fn open(app: &mut App) {
    match app.receipts.list().first().map(|receipt| receipt.number) {
        Some(newest) => app.layers.push(Layer::Receipts(newest)),
        None => app.say(Part::Dim, "nothing was submitted from here yet"),
    }
}

pub fn key(app: &mut App, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let Some(Layer::Receipts(selected)) = app.layers.last_mut() else { return };
    let list = app.receipts.list();
    let at = list.iter().position(|receipt| receipt.number == *selected).unwrap_or(0);
    let last = list.len().saturating_sub(1);
    let go = |at: usize| list.get(at).map_or(*selected, |receipt| receipt.number);
    match intent {
        Some(Intent::Down) => *selected = go((at + 1).min(last)),
        Some(Intent::Up) => *selected = go(at.saturating_sub(1)),
        Some(Intent::Top) => *selected = go(0),
        Some(Intent::Bottom) => *selected = go(last),
        Some(Intent::Back) => {
            app.layers.pop();
            app.receipts.see(|_| true);
        }
        Some(Intent::Copy) => {
            if let Some(line) = list.get(at).map(|receipt| receipt.line.clone()) {
                copy(app, line, effects);
            }
        }
        Some(Intent::Open) => {
            if let Some(receipt) = list.get(at)
                && let Some(asking) = receipt.asking.clone().filter(|asking| !asking.is_given)
            {
                ask_command(app, &asking.question, asking.then);
            } else if let Some(receipt) = list.get(at) {
                let (number, reader) = (receipt.number, reader(receipt));
                app.layers.push(Layer::Reader(reader));
                app.receipts.see(|receipt| receipt.number == number);
                effects.extend(app.ask_board());
            }
        }
        _ => {}
    }
}

/// One receipt in full. What it says is told when it is drawn: it goes on while one looks.
pub fn reader(receipt: &Receipt) -> Reader {
    Reader {
        about: About::Receipt(receipt.number),
        title: String::new(),
        text: Vec::new(),
        scroll: 0,
        command: Some(receipt.line.clone()),
    }
}
