//! What a module says of itself, gathered section by section: the first thing that happens to bytes from outside, and
//! all that a worker does with them itself. So it looks at each section once, keeps no more than it has bounded, and
//! leaves what takes longer than reading (validating, compiling) to a process that can be killed.
//!
//! The bounds are about ten times what the largest known real modules have (a whole CPython, a Rust program with debug
//! information), and the compiler copes with a module that keeps them.

use afresh_protocol::TaskPolicy;
use afresh_protocol::abi;
use afresh_protocol::text::acts_on_a_terminal;
use wasmparser::{ElementItems, ExternalKind, FuncType, FunctionBody, MemoryType, Parser, Payload, TypeRef};

use crate::check::{FEATURES, MAX_TABLE_ELEMENTS, MAX_TABLES, ModuleInfo, ModuleKind, broken, digest, sniff};
use crate::error::{ModuleError, bounded};
use crate::imports;

/// Types a module may have.
const MAX_TYPES: u32 = 50_000;

/// Parameters and results of all its types together.
const MAX_TYPE_VALUES: u64 = 500_000;

/// Imports; there are fewer than a hundred that are allowed, and each may stand there more than once.
const MAX_IMPORTS: u32 = 1_000;

/// Functions.
const MAX_FUNCTIONS: u32 = 200_000;

/// Bytes of one function. The time to compile grows faster than a function does.
const MAX_FUNCTION_BYTES: u64 = 2 << 20;

/// Locals of one function. A few bytes declare any number, and each costs the compiler.
const MAX_LOCALS: u64 = 20_000;

/// Locals of all functions together.
const MAX_ALL_LOCALS: u64 = 5_000_000;

/// Globals.
const MAX_GLOBALS: u32 = 10_000;

/// Exports.
const MAX_EXPORTS: u32 = 20_000;

/// Segments of data, and of elements.
const MAX_SEGMENTS: u32 = 20_000;

/// Elements in all segments together.
const MAX_ELEMENTS: u64 = 2 * MAX_TABLE_ELEMENTS;

/// Sections that are not the standard's: names, debug information, whatever a tool likes.
const MAX_CUSTOM_SECTIONS: u64 = 1_000;

/// Says what a module is, without validating what is in its sections. In time and memory linear in its size.
///
/// # Errors
/// A sentence that says what is wrong with the file, and what to do.
pub fn survey(wasm: &[u8]) -> Result<ModuleInfo, ModuleError> {
    sniff(wasm)?;
    let mut survey = Survey::default();
    let mut parser = Parser::new(0);
    // It would read more than this host runs, such as imports in groups of any size.
    parser.set_features(FEATURES);
    for payload in parser.parse_all(wasm) {
        survey.see(payload.map_err(|e| broken(&e, wasm))?).map_err(|e| match e {
            Flaw::Parse(e) => broken(&e, wasm),
            Flaw::Module(e) => e,
        })?;
    }
    survey.finish(wasm)
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
    type_values: u64,
    /// Type indices of all functions, imported ones first.
    functions: Vec<u32>,
    locals: u64,
    custom_sections: u64,
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
                within("types", section.count(), MAX_TYPES)?;
                for ty in section.into_iter_err_on_gc_types() {
                    let ty = ty?;
                    self.type_values += (ty.params().len() + ty.results().len()) as u64;
                    within("parameters and results in its types", self.type_values, MAX_TYPE_VALUES)?;
                    self.types.push(ty);
                }
            }
            Payload::ImportSection(section) => {
                for (count, import) in (1_u64..).zip(section.into_imports()) {
                    within("imports", count, MAX_IMPORTS)?;
                    let import = import?;
                    self.import(import.module, import.name, import.ty)?;
                }
            }
            Payload::FunctionSection(section) => {
                within("functions", section.count(), MAX_FUNCTIONS)?;
                for ty in section {
                    self.functions.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                within("tables", section.count(), MAX_TABLES)?;
                for table in section {
                    within("elements in a table", table?.ty.initial, MAX_TABLE_ELEMENTS)?;
                }
            }
            Payload::MemorySection(section) => {
                within("memories", section.count(), 1_u32)?;
                for memory in section {
                    self.memories.push(memory?);
                }
            }
            Payload::GlobalSection(section) => within("globals", section.count(), MAX_GLOBALS)?,
            Payload::ExportSection(section) => {
                within("exports", section.count(), MAX_EXPORTS)?;
                for export in section {
                    let export = export?;
                    self.export(export.name, export.kind, export.index);
                }
            }
            Payload::ElementSection(section) => {
                within("element segments", section.count(), MAX_SEGMENTS)?;
                let mut items = 0;
                for element in section {
                    items += u64::from(match element?.items {
                        ElementItems::Functions(section) => section.count(),
                        ElementItems::Expressions(_, section) => section.count(),
                    });
                    within("elements in its segments", items, MAX_ELEMENTS)?;
                }
            }
            Payload::CodeSectionEntry(body) => self.function(&body)?,
            Payload::DataSection(section) => within("data segments", section.count(), MAX_SEGMENTS)?,
            Payload::CustomSection(section) => {
                self.custom_sections += 1;
                within("custom sections", self.custom_sections, MAX_CUSTOM_SECTIONS)?;
                if section.name() == abi::TASKS_SECTION {
                    self.tasks(section.data())?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What is declared is cheap to write down and dear to compile, so it is bounded without looking at the instructions.
    fn function(&mut self, body: &FunctionBody<'_>) -> Result<(), Flaw> {
        within("bytes in a function", body.as_bytes().len() as u64, MAX_FUNCTION_BYTES)?;
        let mut locals = 0;
        for group in body.get_locals_reader()? {
            let (count, _) = group?;
            locals += u64::from(count);
            within("locals in a function", locals, MAX_LOCALS)?;
        }
        self.locals += locals;
        Ok(within("locals in all functions", self.locals, MAX_ALL_LOCALS)?)
    }

    fn tasks(&mut self, section: &[u8]) -> Result<(), ModuleError> {
        if self.tasks.is_some() {
            return Err(ModuleError::Tasks("the module has two tasks sections".to_owned()));
        }
        let tasks = TaskPolicy::parse_section(section);
        self.tasks = Some(tasks.map_err(|e| ModuleError::Tasks(format!("the module is refused: {}", bounded(e))))?);
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

/// The first 80 characters of a name out of a module.
fn short(name: &str) -> String {
    name.chars().take(80).map(|c| if acts_on_a_terminal(c) { '\u{fffd}' } else { c }).collect()
}

fn within(what: &str, count: impl Into<u64>, limit: impl Into<u64>) -> Result<(), ModuleError> {
    let (count, limit) = (count.into(), limit.into());
    if count > limit {
        return Err(ModuleError::TooLarge(format!("{count} {what}, the limit is {limit}")));
    }
    Ok(())
}
