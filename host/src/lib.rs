//! What an operator runs: the worker and the command line. The queue and the sandbox know nothing of each other; they
//! meet here.
//!
//! * [`cli`]: the command line, one file a verb
//! * [`config`]: `afresh.toml`, its defaults, and what wins over what
//! * [`telemetry`]: logs for people and for machines

pub mod cli;
pub mod config;
pub mod telemetry;
