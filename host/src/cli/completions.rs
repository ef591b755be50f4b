//! `afresh completions`: what a shell needs to complete our verbs and flags.

use std::process::ExitCode;

use clap_complete::Shell;

use super::{command, output};

/// Prints a script that completes verbs and flags in your shell
#[derive(clap::Args, Debug)]
#[command(after_help = "Once and for all, in bash:\n  \
                        afresh completions bash > ~/.local/share/bash-completion/completions/afresh")]
pub(super) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the verb.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn run(Args { shell }: Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "afresh", &mut script);
    output::print_line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
