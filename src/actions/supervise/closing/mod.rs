//! `finish-task` and `stop-task`: how a task ends.
//!
//! The gates of a task come from its terms; the command line can only add some. They are looked at together, in the
//! transaction that ends the task, and all that is in the way is told at once. What has to be looked up outside of the
//! ledger is looked up before, and counts only if the ledger has not moved on meanwhile. Sessions are stopped after the
//! task has ended, and what is gone already is stopped.

mod audits;
mod end;
mod ending;
mod finish;
mod gates;
mod next;
mod report;
mod review;
mod sessions;
mod stop;

pub use ending::EndArgs;
pub use finish::FinishTask;
pub use review::{ShownCriterion, TaskReview, task_criteria, task_review};
pub use stop::StopTask;
