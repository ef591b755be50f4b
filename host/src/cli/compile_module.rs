//! The hidden verb by which a worker compiles one module in a child process of itself.

use std::process::ExitCode;

use crate::compiler::inside;

/// Compile a module for the worker that asks for it
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The process that asks
    #[arg(long)]
    parent: u32,
    /// The digest of the module
    #[arg(long)]
    digest: String,
    /// Seconds of processor time that may be taken
    #[arg(long)]
    seconds: u64,
    /// Bytes of memory that may be taken
    #[arg(long)]
    memory: u64,
}

/// Runs the verb: Wasm on standard input, native code on standard output.
///
/// # Errors
/// When something went wrong that the module cannot help.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    inside::confine(args.parent, args.seconds, args.memory)?;
    match inside::compile_stdin(&args.digest)? {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(refused) => {
            eprintln!("{refused}");
            Ok(ExitCode::from(inside::REFUSED))
        }
    }
}
