//! The task of the benches of speed: it reads its JSON and does nothing (`noop`), or answers it (`echo`).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// The task that answers nothing, as the no-op tasks of other queues do.
pub const NOOP: &str = "noop";

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");

/// Builds it with this `afresh`; answers the module.
///
/// # Errors
/// If it does not build; with what the program says of that.
pub fn build(program: &Path) -> anyhow::Result<Vec<u8>> {
    // A target folder of its own: cargo holds the other while it runs a bench.
    let target = PathBuf::from(ROOT).join("target/bench-guests");
    let mut command = Command::new(program);
    command.arg("build").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("noop")).arg("--out").arg(&target);
    let output = command.env("CARGO_TARGET_DIR", &target).output().context("failed to run afresh")?;
    ensure!(output.status.success(), "the guest does not build: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(target.join("noop.wasm")).context("afresh built no module")
}

/// A payload of 100 bytes.
pub fn payload(n: usize) -> Vec<u8> {
    format!(r#"{{"n":{:06},"x":"{:x<81}"}}"#, 100_000 + n % 900_000, "").into_bytes()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_payload_has_a_hundred_bytes() {
        assert_eq!([0, 7, 1_234_567].map(|n| super::payload(n).len()), [100; 3]);
    }
}
