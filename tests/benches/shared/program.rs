//! The program that a bench measures.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The program that is given, or else this checkout's `afresh`, built in release; as a path that holds in every folder.
///
/// # Errors
/// If there is no such program, or it does not build; with what cargo says of that.
pub(crate) fn given_or_built(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let program = given.map_or_else(build, Ok)?;
    program.canonicalize().with_context(|| format!("there is no {}", program.display()))
}

/// Cargo ends its own lock before it runs a bench, so it may be called from one.
fn build() -> anyhow::Result<PathBuf> {
    eprintln!("building afresh in release …");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(ROOT).args(["build", "--locked", "--release", "-p", "afresh-host", "--bin", "afresh"]);
    let output = command.arg("--message-format=json-render-diagnostics").output().context("failed to run cargo")?;
    ensure!(output.status.success(), "afresh does not build: {}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8_lossy(&output.stdout);
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    artifacts.filter_map(|artifact| artifact.executable).next_back().context("cargo built no program")
}

#[derive(Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
}
