//! The binary `afresh`: parse, dispatch, say what went wrong.

use std::process::ExitCode;

use afresh_host::cli;

fn main() -> ExitCode {
    cli::main()
}
