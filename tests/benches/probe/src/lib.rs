//! What this machine can do at most: jobs are popped from a list in Redis, each is run in a fresh instance, and they are
//! acknowledged in bulk. No lease that anybody could lose or win, no retry, no history, no limits, no interruption: what is
//! left is what any queue with a sandbox must do. Benches set Afresh against it, in the same run.
//!
//! * [`Guest`]: a module in a pool of instances, with host functions that do the least a guest can live with
//! * [`Queue`]: jobs in Redis, and their drain
//! * [`wake_ups`], [`round_trips`]: how soon Redis alone tells a reader of a writer, and answers at all

mod guest;
mod queue;
mod waking;

pub use guest::Guest;
pub use queue::Queue;
pub use waking::{round_trips, wake_ups};
