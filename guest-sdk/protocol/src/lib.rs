//! The words a host and its guests share: no I/O, no runtime, nothing of queues and nothing of wasmtime.
//!
//! * [`abi`]: names and numbers of the guest ABI, version 1 (the page for people is `ABI.md` beside this crate)
//! * [`outcome`]: what became of one attempt
//! * [`error`]: the one bounded record that outlives a failed attempt
//! * [`usage`]: what an attempt took
//! * [`policy`]: what a task asks for, as it travels in the module's custom section
//! * [`grants`]: what a task may be granted, and how it is named
//! * [`enqueue`]: what a task says of a job that it enqueues
//! * [`text`]: what text from a guest must not do to the person who sees it

pub mod abi;
pub mod enqueue;
pub mod error;
pub mod grants;
pub mod outcome;
pub mod policy;
pub mod text;
pub mod usage;

pub use error::ErrorRecord;
pub use outcome::{Outcome, OutcomeKind};
pub use policy::TaskPolicy;
pub use usage::Usage;
