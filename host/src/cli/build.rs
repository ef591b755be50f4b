//! `afresh build`: sources in, checked task modules out.

use std::path::PathBuf;
use std::process::ExitCode;

use afresh_toolchain::Reporter;
use bytesize::ByteSize;
use serde::Serialize;

use super::Output;
use crate::build::{self, Built};

/// Build a crate, a workspace or C programs into checked task modules
///
/// Cargo builds what has a Cargo.toml, in release mode, for wasm32-wasip1. A folder of C files is built as one program,
/// named after the folder. The linker gets a stack of 128 KiB, unless the project's own cargo configuration says
/// otherwise.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The folder to build
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The folder to put modules into [default: PATH/target/afresh]
    #[arg(long, value_name = "DIR", env = "AFRESH_OUT")]
    out: Option<PathBuf>,
}

/// One module, as it is printed.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    tasks: Vec<String>,
    size: usize,
    digest: &'a str,
    path: &'a std::path::Path,
}

/// Builds, and prints what was built.
///
/// # Errors
/// When there is nothing to build, something does not compile, or a module cannot be run here.
pub(super) fn run(output: Output, quiet: bool, args: Args) -> anyhow::Result<ExitCode> {
    let reporter = Reporter::new(quiet);
    let built = build::build(&args.path, args.out.as_deref(), &reporter)?;
    anyhow::ensure!(!built.is_empty(), "nothing was built: everything was skipped");
    let rows: Vec<_> = built.iter().map(row).collect();
    output.listing(&rows, &["MODULE", "TASKS", "SIZE", "DIGEST"], |row| {
        let size = ByteSize(row.size as u64).to_string();
        vec![row.path.display().to_string(), row.tasks.join(", "), size, row.digest.to_owned()]
    })?;
    Ok(ExitCode::SUCCESS)
}

fn row(built: &Built) -> Row<'_> {
    Row {
        name: &built.name,
        tasks: built.tasks(),
        size: built.info.size,
        digest: &built.info.digest,
        path: &built.path,
    }
}
