//! Runs a task module once: a fresh instance, all limits armed before any guest code runs, one [`Outcome`] at the end,
//! and the instance's memory gone before anybody hears of it. Knows nothing of jobs, queues or retries.
//!
//! What an embedder uses:
//! * [`sandbox`]: load a module, run it
//! * [`check`](mod@check): whether a file is a task module; [`survey()`]: what it says of itself
//! * [`limits`]: the walls of one attempt
//! * [`cancel`]: how somebody outside ends an attempt, and why
//! * [`watch`]: a look at an attempt while it runs
//! * [`outbox`]: where a guest puts its requests for further work
//! * [`files`], [`secrets`], [`environment`]: what an attempt may be granted besides
//! * [`report`]: what one attempt takes and what it answers
//!
//! How it works, in the order of one attempt:
//! * `survey`: the first look at bytes from outside, and their bounds
//! * `engine`, `module`: how wasmtime is set up; a module, compiled and pre-linked once
//! * `bulk`: what is changed in a module before, so that its deadline holds everywhere
//! * `slots`, `ticker`: room for so many attempts; what makes time pass for them
//! * `attempt`, `state`: one attempt, and what the host knows of it while it runs
//! * `memory`, `excerpt`, `logbook`: the bounds on memory, error text and log; `huge`: huge pages
//! * `abi`, `wasi`: what a guest may call
//! * `classify`: from what happened to one outcome

mod abi;
mod attempt;
mod bulk;
pub mod cancel;
pub mod check;
mod classify;
mod engine;
pub mod environment;
mod error;
mod excerpt;
pub mod files;
#[doc(hidden)]
pub mod fuzzing;
mod huge;
mod imports;
pub mod limits;
mod logbook;
mod memory;
mod module;
pub mod outbox;
pub mod report;
pub mod sandbox;
pub mod secrets;
mod slots;
mod state;
mod survey;
mod ticker;
mod wasi;
pub mod watch;

pub use afresh_protocol::{ErrorRecord, Outcome, OutcomeKind, TaskPolicy, Usage};
pub use cancel::{Cancel, Reason};
pub use check::{ModuleInfo, ModuleKind, check};
pub use engine::{ENGINE, SandboxConfig};
pub use environment::Environment;
pub use error::{ModuleError, SandboxError};
pub use files::{Folder, Scratch};
pub use limits::Limits;
pub use module::TaskModule;
pub use outbox::{Outbox, Refusal};
pub use report::{Call, LogLine, Report};
pub use sandbox::{InUse, Sandbox};
pub use secrets::{Secret, Secrets};
pub use survey::survey;
pub use watch::{Glimpse, Watch};
