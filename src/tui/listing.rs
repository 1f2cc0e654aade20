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
        self.settle_by(ids, |_| visible);
    }

    /// The same where rows differ in height: `fits` says how many of them fit from one on.
    pub fn settle_by(&mut self, ids: &[String], fits: impl Fn(usize) -> usize) {
        let found = self.id.as_ref().and_then(|id| ids.iter().position(|other| other == id));
        if let Some(index) = found {
            self.position = index;
        } else if !ids.is_empty() {
            self.position = self.position.min(ids.len() - 1);
            self.id = Some(ids[self.position].clone());
        }
        self.top = follow_by(self.top, self.position, ids.len(), fits);
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

/// The same where rows differ in height: `fits` says how many of them fit from one on.
fn follow_by(top: usize, position: usize, count: usize, fits: impl Fn(usize) -> usize) -> usize {
    let mut top = top.min(position);
    while top < position && top + fits(top).max(1) <= position {
        top += 1;
    }
    // No room is left empty at the end.
    while top > 0 && top - 1 + fits(top - 1) >= count {
        top -= 1;
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_height_scroll_as_others_do() {
        proptest::proptest!(|(top in 0usize..30, position in 0usize..30, more in 1usize..30, visible in 1usize..12)| {
            let count = position + more;
            assert_eq!(follow_by(top, position, count, |_| visible), follow(top, position, count, visible));
        });
    }

    #[test]
    fn the_selected_row_is_in_sight_whatever_the_heights() {
        proptest::proptest!(|(top in 0usize..40, position in 0usize..20, heights in proptest::collection::vec(2usize..4, 20), room in 3usize..20)| {
            let fits = |top: usize| {
                let mut left = room;
                heights[top..].iter().take_while(|height| { let fits = **height <= left; left -= (**height).min(left); fits }).count()
            };
            let top = follow_by(top, position, heights.len(), fits);
            assert!((top..top + fits(top).max(1)).contains(&position), "{top} {position}");
        });
    }
}
