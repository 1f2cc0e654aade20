//! What every layer may use: errors with a meaning, time, ids, text and JSON.
//!
//! Nothing in here knows about sessions, SQLite or tmux.

pub mod clock;
pub mod crash;
pub mod error;
pub mod json;
pub mod name;
pub mod span;
pub mod text;
pub mod text_enum;

pub use clock::{Clock, Ids, Moment, Timestamp};
pub use error::{Error, Kind, Result};
pub use name::Name;
pub use span::{Span, SpanError};
