//! The programs of peers, with what they need of their registries: made once under `target/peers`, and kept for as long as
//! the files that pin their releases stay as they are.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::child::output_of;
use crate::python;

/// What peers run in is not there: they are skipped, and the machine left alone.
#[derive(Debug)]
pub(crate) struct Missing(&'static str);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Missing {}

/// What is made of this repository, and may be thrown away.
pub(crate) fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers")
}

/// The folder with a peer's programs.
pub(crate) fn programs(peer: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/programs").join(peer)
}

/// The release that a file of those folders pins: what stands there after `before`.
///
/// # Errors
/// If the file has no such words.
pub(crate) fn release(file: &str, before: &str) -> anyhow::Result<String> {
    let path = programs(file);
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let after = text.split_once(before).with_context(|| format!("{} pins no {before:?}", path.display()))?.1;
    Ok(after.chars().take_while(|&c| !c.is_whitespace() && c != '"').collect())
}

/// The Python of an environment with what a peer's `requirements.txt` pins.
///
/// # Errors
/// [`Missing`] if there is no Python, or if a package cannot be installed.
pub(crate) fn venv(python: &Path, peer: &str) -> anyhow::Result<PathBuf> {
    const SAYS: &str = "it needs Python 3 with its venv module: `apt-get install python3-venv`";
    needs(Command::new(python).args(["-c", "import venv, ensurepip"]), SAYS)?;
    let list = programs(peer).join("requirements.txt");
    let packages = fs::read_to_string(&list).with_context(|| format!("failed to read {}", list.display()))?;
    python::environment(python, &cache().join(peer), &packages)
}

/// A folder with a peer's programs and what its `package-lock.json` pins.
///
/// # Errors
/// [`Missing`] if there is no Node.js or no npm, or if a package cannot be installed.
pub(crate) fn node(peer: &str) -> anyhow::Result<PathBuf> {
    const SAYS: &str = "it needs Node.js 18 or newer with npm: `apt-get install nodejs npm`, or https://nodejs.org";
    needs(Command::new("node").arg("--version"), SAYS)?;
    needs(Command::new("npm").arg("--version"), SAYS)?;
    let (from, folder) = (programs(peer), cache().join(peer));
    fs::create_dir_all(&folder)?;
    let same = ["package.json", "package-lock.json", "peer.js"]
        .map(|file| copied(&from.join(file), &folder.join(file)))
        .into_iter()
        .collect::<anyhow::Result<Vec<bool>>>()?;
    // What npm writes at the end of a whole installation.
    if !same.iter().all(|&same| same) || !folder.join("node_modules/.package-lock.json").exists() {
        output_of(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    }
    Ok(folder)
}

/// A program of the workspace `rust`, in release.
///
/// # Errors
/// If it does not build; with what cargo says of that.
pub(crate) fn rust(program: &str) -> anyhow::Result<PathBuf> {
    let (manifest, target) = (programs("../rust/Cargo.toml"), cache().join("rust"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--locked", "--quiet", "--bin", program]);
    output_of(build.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(&target))?;
    Ok(target.join("release").join(program))
}

/// [`Missing`] if the program is not there, or does not do that.
fn needs(command: &mut Command, says: &'static str) -> anyhow::Result<()> {
    match command.output() {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to run {command:?}"))
        }
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(Missing(says).into()),
    }
}

/// Copies a file; whether the same was there already.
fn copied(from: &Path, to: &Path) -> anyhow::Result<bool> {
    let new = fs::read(from).with_context(|| format!("failed to read {}", from.display()))?;
    let same = fs::read(to).is_ok_and(|old| old == new);
    if !same {
        fs::write(to, new).with_context(|| format!("failed to write {}", to.display()))?;
    }
    Ok(same)
}
