//! `afresh man`: the manual, made of the same words as `--help`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap_mangen::Man;

use super::{command, output};

/// Prints the manual page, or writes one for every verb into a folder
#[derive(clap::Args, Debug)]
#[command(after_help = "To read it at once:\n  afresh man | man -l -")]
pub(super) struct Args {
    /// The folder for the pages, made where it is missing; such as ~/.local/share/man/man1
    dir: Option<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// When the pages cannot be written.
pub(super) fn run(Args { dir }: Args) -> anyhow::Result<ExitCode> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        Man::new(command()).render(&mut page).context("failed to make the page")?;
        output::print_line(String::from_utf8_lossy(&page).trim_end())?;
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(&dir).with_context(|| format!("failed to make the folder {}", dir.display()))?;
    clap_mangen::generate_to(command(), &dir)
        .with_context(|| format!("failed to write the pages into {}", dir.display()))?;
    eprintln!("the pages are in {}; read them with `man {}/afresh.1`", dir.display(), dir.display());
    Ok(ExitCode::SUCCESS)
}
