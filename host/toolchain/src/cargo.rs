//! `cargo build` for tasks, and the target it needs.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use crate::{Reporter, STACK_BYTES, TARGET, tool};

/// Builds the programs of the crate or workspace in `dir`, as `cargo build --release` there would, for [`TARGET`].
/// Cargo's own progress and diagnostics go to stderr. The target folder is `target`, or the one cargo would take.
///
/// # Errors
/// When there is no cargo, the target cannot be added, or the crate does not compile.
pub fn build(dir: &Path, target: Option<&Path>, reporter: &Reporter) -> anyhow::Result<Vec<PathBuf>> {
    ensure_target(dir, reporter)?;
    let mut command = tool("cargo", dir);
    command.args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"]);
    if let Some(target) = target {
        command.arg("--target-dir").arg(target);
    }
    if !stack_is_set(dir) {
        // Cargo joins arrays of its configuration, and `--config` comes last: the project's own flags stay. (In the
        // environment our flags would take the place of all others.)
        let flags = format!("target.{TARGET}.rustflags=[\"-C\", \"link-arg=-zstack-size={STACK_BYTES}\"]");
        command.args(["--config", &flags]);
    }
    if reporter.is_quiet() {
        command.arg("--quiet");
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(explain("cargo"))?;
    let stdout = child.stdout.take().context("failed to read what cargo says")?;
    let lines: Result<Vec<_>, _> = BufReader::new(stdout).lines().collect();
    let status = child.wait().context("failed to wait for cargo")?;
    ensure!(status.success(), "cargo could not build {}; what it says is above", dir.display());
    let lines = lines.context("failed to read what cargo says")?;
    Ok(lines.iter().filter_map(|line| program(line)).collect())
}

/// What cargo says of one thing it built; of its other messages none has an `executable`.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

/// The program that a line of cargo's output tells of. Procedural macros may print there too: such lines are skipped.
fn program(line: &str) -> Option<PathBuf> {
    let path = serde_json::from_str::<Message>(line).ok()?.executable?;
    path.extension().is_some_and(|extension| extension == "wasm").then_some(path)
}

/// Sees to it that the toolchain which builds `dir` knows [`TARGET`].
fn ensure_target(dir: &Path, reporter: &Reporter) -> anyhow::Result<()> {
    if has_target(dir)? {
        return Ok(());
    }
    reporter.say(format_args!("this Rust toolchain has no {TARGET} yet; calling `rustup target add {TARGET}`"));
    let added = tool("rustup", dir).args(["target", "add", TARGET]).stdout(std::io::stderr()).status();
    match added {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "this Rust toolchain cannot compile for {TARGET}, and rustup is not there to add it; install Rust from \
             https://rustup.rs, or your system's package of the standard library for {TARGET}"
        ),
        Err(error) => Err(error).context("failed to start rustup"),
        Ok(status) if status.success() && has_target(dir)? => Ok(()),
        Ok(_) => bail!(
            "`rustup target add {TARGET}` did not add the target for {}; what rustup says is above. Is `rustc` \
             rustup's own (`which rustc`), and is the network there?",
            dir.display()
        ),
    }
}

fn has_target(dir: &Path) -> anyhow::Result<bool> {
    let output =
        tool("rustc", dir).args(["--print", "target-libdir", "--target", TARGET]).output().map_err(explain("rustc"))?;
    ensure!(
        output.status.success(),
        "rustc does not work in {}: {}",
        dir.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// Says what to do when a tool does not start.
fn explain(program: &str) -> impl Fn(std::io::Error) -> anyhow::Error {
    move |error| match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!("{program} is not on the PATH; install Rust from https://rustup.rs"),
        _ => anyhow::Error::new(error).context(format!("failed to start {program}")),
    }
}

/// Whether the project chooses its stack itself, in any of the places from which cargo takes flags for [`TARGET`].
/// (`build.rustflags` is none of them: with a target named, those are for the host's machine only by accident.)
fn stack_is_set(dir: &Path) -> bool {
    let in_environment = std::env::var("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS").ok();
    let in_files = configurations(dir).filter_map(|file| {
        let config: toml::Table = std::fs::read_to_string(file).ok()?.parse().ok()?;
        Some(config.get("target")?.get(TARGET)?.get("rustflags")?.to_string())
    });
    in_files.chain(in_environment).any(|flags| flags.contains("stack-size"))
}

/// Where cargo looks for its configuration when it runs in `dir`.
fn configurations(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let mut folders: Vec<_> = absolute.ancestors().map(|folder| folder.join(".cargo")).collect();
    folders.extend(home);
    folders.into_iter().flat_map(|folder| [folder.join("config.toml"), folder.join("config")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_own_stack_size_is_seen_from_a_folder_below_and_other_flags_are_none() {
        let project = tempfile::tempdir().unwrap();
        let (cargo, below) = (project.path().join(".cargo"), project.path().join("tasks/one"));
        std::fs::create_dir_all(&cargo).unwrap();
        std::fs::create_dir_all(&below).unwrap();
        for (flags, is_set) in [
            (r#"["-C", "link-arg=-zstack-size=65536"]"#, true),
            (r#""-C link-arg=-zstack-size=65536""#, true),
            (r#"["-C", "target-feature=+simd128"]"#, false),
        ] {
            let config = format!("[target.{TARGET}]\nrustflags = {flags}\n");
            std::fs::write(cargo.join("config.toml"), config).unwrap();
            assert_eq!(stack_is_set(&below), is_set, "{flags}");
        }
    }

    #[test]
    fn a_program_is_told_from_everything_else_cargo_prints() {
        let built = r#"{"reason":"compiler-artifact","filenames":["/t/a.wasm"],"executable":"/t/a.wasm","fresh":true}"#;
        assert_eq!(program(built), Some(PathBuf::from("/t/a.wasm")));
        for line in ["a macro's own line", r#"{"reason":"build-finished","success":true}"#, r#"{"executable":null}"#] {
            assert_eq!(program(line), None, "{line}");
        }
    }
}
