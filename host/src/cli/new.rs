//! `afresh new`: a ready task crate.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::Output;
use crate::scaffold::{self, CrateName};

/// Make a ready task crate: it builds, tests natively, and runs
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The crate's name, and with `_` for `-` the task's
    name: CrateName,
    /// The folder to write it into [default: one of the crate's name in the current folder]
    #[arg(long, value_name = "DIR", env = "AFRESH_DIR")]
    dir: Option<PathBuf>,
    /// The folder of the SDK to depend on [default: that of the checkout this program was built from]
    #[arg(long, value_name = "PATH", env = "AFRESH_SDK")]
    sdk: Option<PathBuf>,
}

/// What was made.
#[derive(Serialize)]
struct Created {
    name: String,
    task: String,
    dir: PathBuf,
    sdk: PathBuf,
}

/// Makes the crate, and says what to do next.
///
/// # Errors
/// When the SDK is not there, the folder is not free, or it cannot be written.
pub(super) fn run(output: Output, args: Args) -> anyhow::Result<ExitCode> {
    let sdk = scaffold::sdk_folder(args.sdk.as_deref())?;
    let dir = args.dir.unwrap_or_else(|| args.name.as_str().into());
    scaffold::create(&args.name, &dir, &sdk)?;
    let created = Created { name: args.name.as_str().to_owned(), task: args.name.task(), dir, sdk };
    output.value(&created, next_steps)?;
    Ok(ExitCode::SUCCESS)
}

fn next_steps(created: &Created) -> String {
    let Created { name, task, dir, sdk } = created;
    let (dir, sdk) = (dir.display(), sdk.display());
    format!(
        "created the task `{task}` in {dir}\n\
         it depends on the SDK in {sdk}, since that is not on crates.io yet (--sdk takes another)\n\n  \
         cd {dir}\n  \
         cargo test\n  \
         afresh build\n  \
         afresh run target/afresh/{name}.wasm '{{\"name\": \"Ada\"}}'"
    )
}
