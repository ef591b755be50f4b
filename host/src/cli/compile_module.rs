//! The hidden verb by which a worker compiles one module in a child process of itself.

use std::process::ExitCode;

use crate::config::Config;
use crate::{compiler, setup};

/// Runs the verb: Wasm on standard input, native code on standard output.
///
/// # Errors
/// When the module is refused or does not compile.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    // The defaults: nothing in an operator's file changes the code, and a wrong one must not stop a module.
    compiler::compile_stdin(&setup::sandbox(&Config::parse("")?)?)?;
    Ok(ExitCode::SUCCESS)
}
