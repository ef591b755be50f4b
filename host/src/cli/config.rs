//! `afresh config`: the defaults, as the documented file they are.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args as ClapArgs;

use super::Output;
use crate::config::DEFAULTS;

/// Prints the configuration's defaults with what each key means: the start of an afresh.toml of your own.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {}

/// Runs the verb.
///
/// # Errors
/// When standard output is gone.
pub(super) fn run(output: Output, Args {}: Args) -> anyhow::Result<ExitCode> {
    let defaults: toml::Table = DEFAULTS.parse().context("the built-in defaults are not TOML")?;
    output.value(&defaults, |_| DEFAULTS.trim_end().to_owned())?;
    Ok(ExitCode::SUCCESS)
}
