//! Packages of Python's registry, each list in a virtual environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::child::output_of;

/// The Python of a virtual environment with these packages (one a line, as in a `requirements.txt`); made once, and kept for
/// as long as the list and the release of `python` are the same.
///
/// # Errors
/// If it cannot be made, or a package cannot be installed; with what pip says of that.
pub(crate) fn environment(python: &Path, folder: &Path, packages: &str) -> anyhow::Result<PathBuf> {
    let release = output_of(Command::new(python).arg("-V"))?;
    let wanted = format!("{release}{packages}");
    let (inside, note) = (folder.join("bin/python"), folder.join("installed.txt"));
    if fs::read_to_string(&note).is_ok_and(|installed| installed == wanted) {
        return Ok(inside);
    }
    output_of(Command::new(python).args(["-m", "venv", "--clear"]).arg(folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    output_of(Command::new(&inside).args(pip).args(packages.lines()))?;
    fs::write(&note, wanted).with_context(|| format!("failed to write {}", note.display()))?;
    Ok(inside)
}
