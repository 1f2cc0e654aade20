//! `conveyor keys`: the cockpit's key table, for people and for documentation.

use std::fmt;

use serde::Serialize;

use crate::{
    actions::Outcome,
    tui::keymap::{KeyRow, Keymap},
};

/// The table as printed.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct KeyTable(Vec<KeyRow>);

impl KeyTable {
    pub(super) fn new(keymap: &Keymap) -> Self {
        let mut table = keymap.table();
        table.sort_by_key(|row| row.place);
        Self(table)
    }
}

impl Outcome for KeyTable {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let mut place = None;
        for row in &self.0 {
            if place.replace(row.place) != Some(row.place) {
                writeln!(out, "{}:", row.place)?;
            }
            let command = row.command.map_or_else(String::new, |command| format!(" [{command}]"));
            writeln!(out, "  {:20} {}{command}", row.keys.join(", "), row.help)?;
        }
        Ok(())
    }
}
