//! Whether a file is a task module that can be run here, and what it says of itself. Nothing is compiled: this is cheap,
//! and it is the first thing that happens to bytes from outside.

use afresh_protocol::TaskPolicy;
use afresh_protocol::abi;
use sha2::{Digest, Sha256};
use wasmparser::{ElementItems, ExternalKind, FuncType, MemoryType, Parser, Payload, TypeRef, Validator, WasmFeatures};

use crate::error::{ModuleError, bounded};
use crate::imports;

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
    /// Built with the guest SDK: it imports from [`abi::NAMESPACE`].
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
    sniff(wasm)?;
    let mut survey = Survey::default();
    for payload in Parser::new(0).parse_all(wasm) {
        survey.see(payload.map_err(|e| broken(&e, wasm))?).map_err(|e| match e {
            Flaw::Parse(e) => broken(&e, wasm),
            Flaw::Module(e) => e,
        })?;
    }
    Validator::new_with_features(FEATURES).validate_all(wasm).map_err(|e| broken(&e, wasm))?;
    survey.finish(wasm)
}

/// The mistakes that show in the first bytes.
fn sniff(wasm: &[u8]) -> Result<(), ModuleError> {
    const CORE: [u8; 8] = *b"\0asm\x01\0\0\0";
    const COMPONENT: [u8; 4] = [0x0d, 0, 1, 0];
    let text = wasm.trim_ascii_start();
    match wasm {
        [] => Err(ModuleError::Empty),
        _ if wasm.starts_with(b"\x7fELF") => Err(ModuleError::Native),
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
fn broken(error: &wasmparser::Error, wasm: &[u8]) -> ModuleError {
    // The parser has no kind of its own for this, but it is by far the commonest accident: a copy that was interrupted.
    if error.message().starts_with("unexpected end") {
        ModuleError::Truncated(wasm.len())
    } else {
        ModuleError::Invalid(bounded(format_args!("{} (at offset {:#x})", error.message(), error.offset())))
    }
}

/// What stops a survey: the file cannot be read, or what it says is refused.
enum Flaw {
    Parse(wasmparser::Error),
    Module(ModuleError),
}

impl From<wasmparser::Error> for Flaw {
    fn from(error: wasmparser::Error) -> Self {
        Self::Parse(error)
    }
}

impl From<ModuleError> for Flaw {
    fn from(error: ModuleError) -> Self {
        Self::Module(error)
    }
}

/// What is gathered while walking over the sections. The module has not been validated at that point, so nothing is
/// taken for granted: every index is looked up, every count is bounded before anything of that length is kept.
#[derive(Default)]
struct Survey {
    types: Vec<FuncType>,
    /// Type indices of all functions, imported ones first.
    functions: Vec<u32>,
    imports: Vec<String>,
    unknown: Vec<String>,
    unknown_count: usize,
    sdk: bool,
    memories: Vec<MemoryType>,
    exports: Vec<String>,
    start: Option<(ExternalKind, u32)>,
    memory: Option<ExternalKind>,
    tasks: Option<Vec<TaskPolicy>>,
}

impl Survey {
    fn see(&mut self, payload: Payload<'_>) -> Result<(), Flaw> {
        match payload {
            Payload::TypeSection(section) => {
                within("types", section.count(), 50_000)?;
                for ty in section.into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                within("imports", section.count(), 1_000)?;
                for import in section.into_imports() {
                    let import = import?;
                    self.import(import.module, import.name, import.ty)?;
                }
            }
            Payload::FunctionSection(section) => {
                within("functions", section.count(), 200_000)?;
                for ty in section {
                    self.functions.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                within("tables", section.count(), MAX_TABLES)?;
                for table in section {
                    let elements = table?.ty.initial;
                    if elements > MAX_TABLE_ELEMENTS {
                        return Err(too_large("elements in a table", elements, MAX_TABLE_ELEMENTS).into());
                    }
                }
            }
            Payload::MemorySection(section) => {
                within("memories", section.count(), 1)?;
                for memory in section {
                    self.memories.push(memory?);
                }
            }
            Payload::GlobalSection(section) => within("globals", section.count(), 10_000)?,
            Payload::ExportSection(section) => {
                within("exports", section.count(), 20_000)?;
                for export in section {
                    let export = export?;
                    self.export(export.name, export.kind, export.index);
                }
            }
            Payload::ElementSection(section) => {
                within("element segments", section.count(), 20_000)?;
                let mut items = 0_u64;
                for element in section {
                    items += u64::from(match element?.items {
                        ElementItems::Functions(section) => section.count(),
                        ElementItems::Expressions(_, section) => section.count(),
                    });
                }
                if items > 2 * MAX_TABLE_ELEMENTS {
                    return Err(too_large("elements in its segments", items, 2 * MAX_TABLE_ELEMENTS).into());
                }
            }
            Payload::DataSection(section) => within("data segments", section.count(), 20_000)?,
            Payload::CustomSection(section) if section.name() == abi::TASKS_SECTION => {
                if self.tasks.is_some() {
                    return Err(ModuleError::Tasks("the module has two tasks sections".to_owned()).into());
                }
                let tasks = TaskPolicy::parse_section(section.data());
                self.tasks =
                    Some(tasks.map_err(|e| ModuleError::Tasks(format!("the module is refused: {}", bounded(e))))?);
            }
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, module: &str, name: &str, ty: TypeRef) -> Result<(), ModuleError> {
        if module == "wasi_unstable" {
            return Err(ModuleError::Version(
                "the module was built for `wasi_unstable`, the WASI before preview 1; \
                 build it again with a current toolchain for `wasm32-wasip1`"
                    .to_owned(),
            ));
        }
        if module != abi::NAMESPACE && module.starts_with("afresh_v") {
            return Err(ModuleError::Version(format!(
                "the module was built for ABI `{}`, this host speaks `{}`; update the host, or build with its SDK",
                bounded(module),
                abi::NAMESPACE
            )));
        }
        let shown = || format!("`{}.{}`", short(module), short(name));
        match (imports::signature(module, name), ty) {
            (Some(expected), TypeRef::Func(index)) => {
                let ty = self.types.get(index as usize);
                if ty.map(imports::letters).as_deref() != Some(expected) {
                    return Err(ModuleError::Shape(format!(
                        "the module imports {} with another signature than the host's; build it again",
                        shown()
                    )));
                }
                self.functions.push(index);
                self.sdk |= module == abi::NAMESPACE;
                self.imports.push(format!("{module}.{name}"));
            }
            (_, TypeRef::Memory(_)) => {
                return Err(ModuleError::Shape(
                    "the module imports its memory; link it without `--import-memory`".to_owned(),
                ));
            }
            _ => {
                self.unknown_count += 1;
                if self.unknown.len() < 10 {
                    self.unknown.push(shown());
                }
            }
        }
        Ok(())
    }

    fn export(&mut self, name: &str, kind: ExternalKind, index: u32) {
        match name {
            "_start" => self.start = Some((kind, index)),
            "memory" => self.memory = Some(kind),
            _ => {}
        }
        if self.exports.len() < 100 {
            self.exports.push(short(name));
        }
    }

    fn finish(self, wasm: &[u8]) -> Result<ModuleInfo, ModuleError> {
        if self.unknown_count > 0 {
            let mut unknown = self.unknown.join(", ");
            if self.unknown_count > self.unknown.len() {
                unknown += &format!(" and {} more", self.unknown_count - self.unknown.len());
            }
            return Err(ModuleError::UnknownImports { unknown, allowed: imports::allowed() });
        }
        self.check_start()?;
        let shape = |text: &str| Err(ModuleError::Shape(text.to_owned()));
        let memory = match (self.memory, self.memories.first()) {
            (Some(ExternalKind::Memory), Some(memory)) => memory,
            (Some(_), _) => {
                return shape("the module's export `memory` is not a memory; export its memory by that name");
            }
            (None, _) => return shape("the module does not export its memory as `memory`; link it as a WASI command"),
        };
        Ok(ModuleInfo {
            digest: digest(wasm),
            size: wasm.len(),
            kind: if self.sdk { ModuleKind::Sdk } else { ModuleKind::Command },
            // Only the SDK can tell one task from another, so a plain command is known by its file's name.
            tasks: self.tasks.filter(|_| self.sdk).unwrap_or_default(),
            imports: self.imports,
            exports: self.exports,
            initial_memory: memory.initial.saturating_mul(64 << 10),
        })
    }

    fn check_start(&self) -> Result<(), ModuleError> {
        let advice = "build a program with a `main` for `wasm32-wasip1`, not a library";
        let Some((kind, index)) = self.start else {
            return Err(ModuleError::Shape(format!("the module has no `_start`; {advice}")));
        };
        let ty = self.functions.get(index as usize).and_then(|&ty| self.types.get(ty as usize));
        match ty {
            Some(ty) if kind == ExternalKind::Func && ty.params().is_empty() && ty.results().is_empty() => Ok(()),
            _ => Err(ModuleError::Shape(format!(
                "the module's `_start` is not a function without parameters and results; {advice}"
            ))),
        }
    }
}

/// `sha256:` and the SHA-256 of `bytes` in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first 80 characters of a name out of a module.
fn short(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn within(what: &str, count: u32, limit: u32) -> Result<(), ModuleError> {
    if count > limit { Err(too_large(what, count.into(), limit.into())) } else { Ok(()) }
}

fn too_large(what: &str, count: u64, limit: u64) -> ModuleError {
    ModuleError::TooLarge(format!("{count} {what}, the limit is {limit}"))
}
