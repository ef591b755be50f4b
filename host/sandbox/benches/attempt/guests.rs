//! The guests, and what they are given.

use std::path::{Path, PathBuf};

use afresh_protocol::abi::env;
use afresh_toolchain::{Reporter, cargo};
use anyhow::Context as _;

/// A program of `tests/guests/speed`.
pub(crate) struct Guest {
    /// What it is, for people.
    pub(crate) kind: &'static str,
    pub(crate) wasm: Vec<u8>,
}

/// The task of the SDK, and the plain command.
pub(crate) fn build() -> anyhow::Result<[Guest; 2]> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/speed");
    // Beside what the outer cargo compiles: that one may hold its own target folder.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("speed-guests");
    let built = cargo::build(&folder, Some(&target), &Reporter::new(true))?;
    let guest = |kind, name: &str| anyhow::Ok(Guest { kind, wasm: std::fs::read(find(&built, name)?)? });
    Ok([guest("SDK", "no_op")?, guest("command", "copy")?])
}

fn find<'a>(built: &'a [PathBuf], name: &str) -> anyhow::Result<&'a PathBuf> {
    let found = built.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name));
    found.with_context(|| format!("cargo built no {name}.wasm"))
}

/// What a worker tells a guest of its job.
pub(crate) const ENVIRONMENT: [(&str, &str); 5] = [
    (env::TASK, "no_op"),
    (env::JOB_ID, "01JDQ4Y7W0M9F3S5T6V8X2Z1AB"),
    (env::ATTEMPT, "1"),
    (env::MAX_ATTEMPTS, "10"),
    (env::QUEUE, "default"),
];

/// A payload of so many bytes that both guests answer as it is.
pub(crate) fn payload(bytes: usize) -> &'static [u8] {
    let frame = r#"{"text":""}"#;
    let text = "x".repeat(bytes - frame.len());
    format!(r#"{{"text":"{text}"}}"#).into_bytes().leak()
}
