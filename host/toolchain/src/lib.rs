//! The compilers that a task's author has on the machine, called with the target and the flags that tasks need.
//!
//! * [`cargo`]: Rust, and rustup for the target
//! * [`clang`]: C, where there is a clang that knows WASI
//! * [`reporter`]: how what goes on is told meanwhile
//!
//! Knows neither Wasm nor the sandbox: what the compilers made is checked by who asked for it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

pub mod cargo;
pub mod clang;
pub mod reporter;

pub use reporter::Reporter;

/// The Rust target of tasks.
pub const TARGET: &str = "wasm32-wasip1";

/// Bytes of a task's own stack. The linker's default of 1 MiB lies below the data, and the host would wipe all of it
/// after each attempt; with a small one a small task touches so little that wiping it costs next to nothing.
pub const STACK_BYTES: u32 = 128 << 10;

/// Variables that cargo sets for the programs it runs (`cargo run`, `cargo test`). To a cargo that such a program calls
/// they are somebody else's, and so are flags meant for the host's machine. Everything else is the user's and stays:
/// `CARGO_HOME`, `CARGO_TARGET_DIR`, `CARGO_NET_*`, `RUSTUP_TOOLCHAIN`, `RUSTC_WRAPPER`, …
const OUTER: &[&str] = &[
    "CARGO",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_CRATE_NAME",
    "CARGO_ENCODED_RUSTDOCFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MAKEFLAGS",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_RUSTC_CURRENT_DIR",
    "CARGO_TARGET_TMPDIR",
    "MAKEFLAGS",
    "MFLAGS",
    "OUT_DIR",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "TARGET",
];

/// The same, by their beginnings.
const OUTER_PREFIXES: &[&str] =
    &["CARGO_BIN_", "CARGO_CFG_", "CARGO_FEATURE_", "CARGO_MANIFEST_", "CARGO_PKG_", "DEP_"];

/// A call of a tool in a folder, free of what an outer cargo left in the environment.
fn tool(program: impl AsRef<OsStr>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_outer) {
            command.env_remove(name);
        }
    }
    command
}

fn is_outer(variable: &str) -> bool {
    OUTER.contains(&variable) || OUTER_PREFIXES.iter().any(|prefix| variable.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_outer_cargo_sets_is_dropped_and_what_the_user_sets_stays() {
        for dropped in ["CARGO", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_PKG_NAME", "CARGO_MANIFEST_DIR"] {
            assert!(is_outer(dropped), "{dropped}");
        }
        for kept in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "RUSTUP_TOOLCHAIN", "RUSTUP_HOME", "PATH"] {
            assert!(!is_outer(kept), "{kept}");
        }
    }
}
