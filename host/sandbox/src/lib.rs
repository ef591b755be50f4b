//! Runs a task module once: a fresh instance, all limits armed before any guest code runs, one [`Outcome`] at the end,
//! and the instance's memory gone before anybody hears of it. Knows nothing of jobs, queues or retries.
//!
//! * [`limits`]: the walls of one attempt
//! * [`cancel`]: how somebody outside ends an attempt, and why
//! * [`report`]: what one attempt takes and what it answers

pub mod cancel;
pub mod limits;
pub mod report;

pub use afresh_protocol::{ErrorRecord, Outcome, OutcomeKind, TaskPolicy, Usage};
pub use cancel::{Cancel, Reason};
pub use limits::Limits;
pub use report::{Call, LogLine, Report};
