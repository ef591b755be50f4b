//! What a module says of itself, gathered section by section.

use afresh_protocol::TaskPolicy;
use afresh_protocol::abi;
use wasmparser::{ElementItems, ExternalKind, FuncType, MemoryType, Payload, TypeRef};

use crate::check::{MAX_TABLE_ELEMENTS, MAX_TABLES, ModuleInfo, ModuleKind, digest};
use crate::error::{ModuleError, bounded};
use crate::imports;

/// What stops a survey: the file cannot be read, or what it says is refused.
pub(crate) enum Flaw {
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
pub(crate) struct Survey {
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
    pub(crate) fn see(&mut self, payload: Payload<'_>) -> Result<(), Flaw> {
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

    pub(crate) fn finish(self, wasm: &[u8]) -> Result<ModuleInfo, ModuleError> {
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
