//! Lists of which one row is selected, and the pane beside them.

/// A list with a selected row. The row is known by its id, so that it may move under the cursor.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The selected row.
    pub id: Option<String>,
    /// The first row shown.
    pub top: usize,
    position: usize,
}

impl Listing {
    /// Brings selection and scrolling in line with the rows that are there now, of which `visible` fit.
    ///
    /// A selected row that has vanished passes the selection to the one that took its place.
    pub fn settle(&mut self, ids: &[String], visible: usize) {
        let found = self.id.as_ref().and_then(|id| ids.iter().position(|other| other == id));
        if let Some(index) = found {
            self.position = index;
        } else if !ids.is_empty() {
            self.position = self.position.min(ids.len() - 1);
            self.id = Some(ids[self.position].clone());
        }
        self.top = follow(self.top, self.position, ids.len(), visible);
    }

    /// The id `by` rows further on, kept inside the list.
    #[must_use]
    pub fn moved(&self, ids: &[String], by: isize) -> Option<String> {
        let last = ids.len().checked_sub(1)?;
        let index = self.id.as_ref().and_then(|id| ids.iter().position(|other| other == id)).unwrap_or(0);
        Some(ids[index.saturating_add_signed(by).min(last)].clone())
    }
}

/// A list with the selected row in full beside it.
#[derive(Debug, Clone, Default)]
pub struct Sides {
    /// The list.
    pub list: Listing,
    /// Whether the pane beside it has the keyboard.
    pub detail: bool,
    /// Whether that pane has the whole screen, where a screen offers it.
    pub whole: bool,
    /// First line that the pane shows.
    pub scroll: usize,
}

impl Sides {
    /// Selects a row and shows it from its beginning.
    pub fn select(&mut self, id: String) {
        self.list.id = Some(id);
        self.scroll = 0;
    }

    /// Gives the keyboard back to the list; false when it has it already.
    pub fn back(&mut self) -> bool {
        self.whole = false;
        std::mem::take(&mut self.detail)
    }

    /// Moves the selection by so many rows, or scrolls the pane when it has the keyboard.
    pub fn step(&mut self, ids: &[String], by: isize) {
        if self.detail {
            self.scroll = self.scroll.saturating_add_signed(by);
        } else if let Some(id) = self.list.moved(ids, by) {
            self.select(id);
        }
    }
}

/// The first row to show so that `position` is visible.
pub fn follow(top: usize, position: usize, count: usize, visible: usize) -> usize {
    if visible == 0 {
        return 0;
    }
    let lowest = position.saturating_sub(visible - 1);
    top.clamp(lowest, position.max(lowest)).min(count.saturating_sub(visible))
}
