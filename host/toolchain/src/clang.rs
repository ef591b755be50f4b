//! C for WASI: a plain command needs no SDK of ours, only a clang that finds a C library for WebAssembly.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::{STACK_BYTES, tool};

/// What a person without such a clang has to install.
pub const NEEDS: &str = "a clang that compiles for WASI: on Debian and Ubuntu `apt install clang lld wasi-libc \
                         libclang-rt-dev-wasm32`, elsewhere the WASI SDK with WASI_SDK_PATH set to its folder";

/// The names of the one target; which of them a clang finds a C library for depends on who packed it.
const TARGETS: [&str; 2] = ["wasm32-wasip1", "wasm32-wasi"];

/// A clang that was seen to compile for WASI.
#[derive(Clone, Debug)]
pub struct Clang {
    program: PathBuf,
    target: &'static str,
}

impl Clang {
    /// The first clang that compiles a program of one line: the WASI SDK's, then the one on the PATH.
    pub fn find() -> Option<Self> {
        let sdk = std::env::var_os("WASI_SDK_PATH").map(|folder| Path::new(&folder).join("bin/clang"));
        let programs = sdk.into_iter().chain([PathBuf::from("/opt/wasi-sdk/bin/clang"), PathBuf::from("clang")]);
        programs.flat_map(|program| TARGETS.map(|target| Self { program: program.clone(), target })).find(Self::works)
    }

    fn works(&self) -> bool {
        let Ok(scratch) = tempfile::tempdir() else { return false };
        let probe = || -> std::io::Result<bool> {
            let mut command = self.command(scratch.path());
            command.args(["-x", "c", "-", "-o", "probe.wasm"]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                stdin.write_all(b"#include <stdio.h>\nint main(void) { return puts(\"\"); }\n")?;
            }
            Ok(child.wait()?.success())
        };
        probe().unwrap_or(false)
    }

    /// Compiles and links C files into one program. Clang's diagnostics go to stderr.
    ///
    /// # Errors
    /// When they do not compile.
    pub fn compile(&self, dir: &Path, sources: &[PathBuf], program: &Path) -> anyhow::Result<()> {
        let mut command = self.command(dir);
        command.args(sources).arg("-o").arg(program);
        let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
        let status = status.with_context(|| format!("failed to start {}", self.program.display()))?;
        ensure!(status.success(), "clang could not build {}; what it says is above", dir.display());
        Ok(())
    }

    fn command(&self, dir: &Path) -> Command {
        let mut command = tool(&self.program, dir);
        command.arg(format!("--target={}", self.target)).arg("-O2");
        command.arg(format!("-Wl,-z,stack-size={STACK_BYTES},--stack-first,--strip-all"));
        command
    }
}
