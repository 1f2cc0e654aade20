//! What stands at the right end of a row of the fleet; the operator chooses.

use crate::text_enum;

text_enum! {
    /// A column.
    pub enum Column {
        /// How many of the task's criteria are met, as soon as any task has some.
        Criteria => "criteria",
        /// Age of the last event.
        Age => "age",
        /// How full the model's context is.
        Context => "context",
        /// Messages that nobody has seen, as soon as any session has some.
        Unread => "unread",
    }
}

/// The columns unless the operator says otherwise.
pub const DEFAULT: [Column; 4] = [Column::Criteria, Column::Age, Column::Context, Column::Unread];
