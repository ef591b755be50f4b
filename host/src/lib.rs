//! What an operator runs: the worker and the command line. The queue and the sandbox know nothing of each other; they
//! meet here.
//!
//! * [`build`], [`scaffold`]: task modules from sources
//! * [`cli`]: the command line, one file a verb
//! * [`config`]: `afresh.toml`, its defaults, and what wins over what
//! * [`worker`]: takes jobs, runs them in slots, settles them
//! * [`attempt`]: from a lease to what is to be settled; the one file where queue and sandbox meet
//! * [`outbox`]: what a task enqueues; [`grants`]: what it may besides
//! * [`terms`]: the limits and the retry policy one job runs under
//! * [`registry`]: the task modules of a folder, taken up again when a file changes
//! * [`compiler`]: compiles modules in a child process, and keeps the code
//! * [`examples`], [`sources`]: what `afresh dev` runs, and what it watches
//! * [`machine`]: what this machine has to give; [`doctor`]: whether it is fit for work
//! * [`setup`]: puts a worker together
//! * [`shutdown`]: the end as a value
//! * [`telemetry`]: logs for people and for machines

pub mod attempt;
pub mod build;
pub mod cli;
pub mod compiler;
pub mod config;
pub mod doctor;
#[doc(hidden)]
pub mod effects;
pub mod examples;
pub mod grants;
pub mod machine;
pub mod outbox;
pub mod registry;
pub mod scaffold;
pub mod setup;
pub mod shutdown;
pub mod sources;
pub mod telemetry;
pub mod terms;
pub mod worker;
