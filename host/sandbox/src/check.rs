//! Whether a file is a task module that can be run here: its [`survey`], and that every instruction in it is valid.
//! Nothing is compiled, and yet a module can be made to be validated for minutes: a worker leaves that to a child.

use std::path::Path;

use afresh_protocol::TaskPolicy;
use sha2::{Digest, Sha256};
use wasmparser::{Validator, WasmFeatures};

use crate::error::{ModuleError, bounded};
use crate::survey::survey;

/// The WebAssembly this host runs: version 2.0 of the standard and extended constants. What is missing (threads, GC,
/// exceptions, memory64, several memories, tail calls, …) is attack surface that no task needs.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::EXTENDED_CONST);

/// What code that this host compiled begins with, wherever it is kept.
pub const COMPILED: &[u8] = b"afresh";

/// The largest module in bytes. A whole CPython is 30 MiB.
pub const MAX_MODULE_BYTES: usize = 64 << 20;

/// Elements a table may have.
pub(crate) const MAX_TABLE_ELEMENTS: u64 = 100_000;

/// Tables a module may have.
pub(crate) const MAX_TABLES: u32 = 4;

/// How a module speaks to the host; told apart by its imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleKind {
    /// A plain WASI command: payload on stdin, reply on stdout, log lines on stderr, verdict by exit code.
    Command,
    /// Built with the guest SDK: it imports from [`afresh_protocol::abi::NAMESPACE`].
    Sdk,
}

/// What is known of a module without running it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleInfo {
    /// `sha256:` and the SHA-256 of the file in hexadecimal.
    pub digest: String,
    /// Size of the file in bytes.
    pub size: usize,
    /// How it speaks to the host.
    pub kind: ModuleKind,
    /// The tasks it declares; empty for a plain command, which is known by its file's name.
    pub tasks: Vec<TaskPolicy>,
    /// Its imports, as `namespace.name`.
    pub imports: Vec<String>,
    /// The first hundred of its exports' names, each cut at 80 characters.
    pub exports: Vec<String>,
    /// Bytes of linear memory it starts with.
    pub initial_memory: u64,
}

impl ModuleInfo {
    /// The tasks of the module in this file: those it declares. A plain command declares none; it is one, by its file's stem,
    /// and asks for nothing.
    pub fn tasks_in(&self, file: &Path) -> Vec<TaskPolicy> {
        match self.tasks.is_empty() {
            true => {
                let task = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                vec![TaskPolicy { task, ..TaskPolicy::default() }]
            }
            false => self.tasks.clone(),
        }
    }

    /// Whether one of its tasks asks for a fuel limit, so that it has to be compiled for that.
    pub fn asks_for_fuel(&self) -> bool {
        self.tasks.iter().any(|task| task.fuel.is_some())
    }
}

/// Checks that `wasm` is a task module, and says what it is.
///
/// # Errors
/// A sentence that says what is wrong with the file, and what to do.
pub fn check(wasm: &[u8]) -> Result<ModuleInfo, ModuleError> {
    let info = survey(wasm)?;
    Validator::new_with_features(FEATURES).validate_all(wasm).map_err(|e| broken(&e, wasm))?;
    Ok(info)
}

/// The mistakes that show in the first bytes.
pub(crate) fn sniff(wasm: &[u8]) -> Result<(), ModuleError> {
    const CORE: [u8; 8] = *b"\0asm\x01\0\0\0";
    const COMPONENT: [u8; 4] = [0x0d, 0, 1, 0];
    let text = wasm.trim_ascii_start();
    match wasm {
        [] => Err(ModuleError::Empty),
        _ if wasm.starts_with(b"\x7fELF") || wasm.starts_with(COMPILED) => Err(ModuleError::Native),
        _ if text.starts_with(b"(module") || text.starts_with(b"(component") || text.starts_with(b";;") => {
            Err(ModuleError::Text)
        }
        _ if wasm.len() < CORE.len() && CORE.starts_with(wasm) => Err(ModuleError::Truncated(wasm.len())),
        _ if !wasm.starts_with(b"\0asm") => Err(ModuleError::NotWasm),
        _ if wasm[4..].starts_with(&COMPONENT) => Err(ModuleError::Component),
        _ if wasm.len() > MAX_MODULE_BYTES => {
            Err(ModuleError::TooLarge(format!("{} bytes, the limit is {MAX_MODULE_BYTES}", wasm.len())))
        }
        _ => Ok(()),
    }
}

/// What the parser and the validator say, as one of our sentences.
pub(crate) fn broken(error: &wasmparser::Error, wasm: &[u8]) -> ModuleError {
    // The parser has no kind of its own for this, but it is by far the commonest accident: a copy that was interrupted.
    if error.message().starts_with("unexpected end") {
        ModuleError::Truncated(wasm.len())
    } else {
        ModuleError::Invalid(bounded(format_args!("{} (at offset {:#x})", error.message(), error.offset())))
    }
}

/// `sha256:` and the SHA-256 of `bytes` in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    sha256(&Sha256::digest(bytes))
}

/// A SHA-256 as it is written.
pub(crate) fn sha256(digest: &[u8]) -> String {
    format!("sha256:{}", hex(digest))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
