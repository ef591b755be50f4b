//! What the benches of speed share.
//!
//! * [`stage`]: a broker of one's own, and real workers on it
//! * [`mod@drain`]: how long the workers take for what is queued
//! * [`guest`]: the tasks they run, which do nothing
//! * [`figures`]: medians and percentiles

pub mod drain;
pub mod figures;
pub mod guest;
pub mod stage;

pub use drain::{Drain, drain};
pub use figures::{median, percentile};
pub use stage::{Kind, QUEUE, Stage};
