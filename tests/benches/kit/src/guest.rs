//! The tasks of the benches of speed, which do nothing: `kit/noop`.

use std::path::{Path, PathBuf};
use std::process::Command;

use afresh_queue::NewJob;
use anyhow::{Context as _, ensure};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");

/// The task that answers nothing, as the no-op tasks of other queues do.
pub const NOOP: &str = "noop";

/// The task that answers when it ran, in microseconds since 1970.
pub const CLOCK: &str = "clock";

/// The name of the task of one module, whose number others have written over.
const NUMBERED: &str = "noop_number_0000";

/// The modules.
pub struct Guests {
    /// With the tasks [`NOOP`] and [`CLOCK`].
    pub noop: Vec<u8>,
    numbered: Vec<u8>,
}

impl Guests {
    /// Builds them with this `afresh`.
    ///
    /// # Errors
    /// If they do not build; with what the program says of that.
    pub fn build(program: &Path) -> anyhow::Result<Self> {
        // A target folder of its own: cargo holds the other while it runs a bench.
        let target = PathBuf::from(ROOT).join("target/bench-guests");
        let mut command = Command::new(program);
        command.arg("build").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("noop")).arg("--out").arg(&target);
        let output = command.env("CARGO_TARGET_DIR", &target).output().context("failed to run afresh")?;
        ensure!(output.status.success(), "the guests do not build: {}", String::from_utf8_lossy(&output.stderr));
        let read = |name| std::fs::read(target.join(name)).with_context(|| format!("afresh built no {name}"));
        Ok(Self { noop: read("noop.wasm")?, numbered: read("numbered.wasm")? })
    }

    /// A module with one task, [`numbered`], that does what [`NOOP`] does; for each number another.
    pub fn numbered(&self, number: usize) -> Vec<u8> {
        let (from, to) = (NUMBERED.as_bytes(), numbered(number).into_bytes());
        let mut wasm = self.numbered.clone();
        let mut at = 0;
        while at + from.len() <= wasm.len() {
            if wasm[at..].starts_with(from) {
                wasm[at..at + from.len()].copy_from_slice(&to);
            }
            at += 1;
        }
        wasm
    }
}

/// The name of the task with this number, from 0 to 9,999.
pub fn numbered(number: usize) -> String {
    format!("noop_number_{number:04}")
}

/// A job of the no-op task.
pub fn noop(n: usize) -> NewJob {
    NewJob::new(NOOP, payload(n))
}

/// A payload of 100 bytes.
pub fn payload(n: usize) -> Vec<u8> {
    format!(r#"{{"n":{:06},"x":"{:x<81}"}}"#, 100_000 + n % 900_000, "").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_a_hundred_bytes() {
        assert_eq!([0, 7, 1_234_567].map(|n| payload(n).len()), [100; 3]);
    }

    #[test]
    fn a_number_is_written_wherever_the_name_stands() {
        let guests = Guests { noop: Vec::new(), numbered: b"a noop_number_0000b noop_number_0000".to_vec() };
        assert_eq!(guests.numbered(7), b"a noop_number_0007b noop_number_0007");
    }
}
