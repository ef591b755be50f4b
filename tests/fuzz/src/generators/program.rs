//! A module with a program in it: random code, behind a script of host calls.
//!
//! Random code alone would trap at its first host call, for want of a pointer that lies within its memory; a script alone
//! would never show the compiler anything new.

use std::convert::Infallible;

use arbitrary::{Result, Unstructured};
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{AbstractHeapType, CodeSection, ExportKind, ExportSection, Function, FunctionSection};
use wasm_smith::Config;
use wasmparser::{CodeSectionReader, Export, FunctionSectionReader, Parser, Payload};

use super::imports::{self, Import};
use super::script::{Functions, Script};

/// A module that is admitted, unless it starts with more memory than there is.
///
/// # Errors
/// When the bytes are used up.
pub fn program(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let imports = imports::some(u)?;
    let script = Script::arbitrary(u, &imports)?;
    let bounded = u.ratio(3, 4)?;
    let mut module = wasm_smith::Module::new(config(u, &imports)?, u)?;
    if bounded {
        module.ensure_termination(10_000).expect("all functions are valid");
    }
    Ok(wrap(&module.to_bytes(), &imports, &script))
}

/// WebAssembly as the sandbox admits it, in sizes that compile in a few milliseconds.
fn config(u: &mut Unstructured<'_>, imports: &[Import]) -> Result<Config> {
    Ok(Config {
        module_shape: Some(shape(u, imports)?),
        max_funcs: imports.len() + 12,
        max_instructions: 150,
        max_types: 80,
        max_tables: 3,
        max_table_elements: 1_000,
        max_globals: 10,
        max_data_segments: 8,
        max_element_segments: 8,
        disallow_traps: u.ratio(2, 3)?,
        allow_start_export: u.ratio(1, 8)?,
        simd_enabled: u.ratio(1, 2)?,
        custom_descriptors_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        ..Config::default()
    })
}

/// The imports and exports the module shall have. The type of `_start` comes first, and so has the index 0.
fn shape(u: &mut Unstructured<'_>, imports: &[Import]) -> Result<Vec<u8>> {
    // Now and then more than the sandbox has.
    let pages = if u.ratio(1, 32)? { 1025 } else { *u.choose(&[1, 1, 1, 2, 17])? };
    let most = *u.choose(&["", "", "2000"])?;
    let imports: String = imports.iter().map(Import::as_wat).collect();
    let text = format!(
        "(module (type (func)) {imports}
            (func (export \"_start\") (type 0)) (memory (export \"memory\") {pages} {most}))"
    );
    Ok(wat::parse_str(text).expect("the shape is a module"))
}

/// Puts the script in front: a function more, which is `_start` in place of the random one.
fn wrap(wasm: &[u8], imports: &[Import], script: &Script) -> Vec<u8> {
    let mut functions = Functions { script: imports.len() as u32, random: 0 };
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.expect("wasm-smith makes modules") {
            Payload::FunctionSection(section) => functions.script += section.count(),
            Payload::ExportSection(section) => {
                let start = section.into_iter().flatten().find(|export| export.name == "_start");
                functions.random = start.expect("the shape has a `_start`").index;
            }
            _ => {}
        }
    }
    let mut module = wasm_encoder::Module::new();
    Wrap { body: script.encode(imports, functions), index: functions.script }
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .expect("wasm-smith makes modules");
    module.finish()
}

/// What it changes on the way.
struct Wrap {
    body: Function,
    index: u32,
}

type Done<T = ()> = std::result::Result<T, reencode::Error>;

impl Reencode for Wrap {
    type Error = Infallible;

    /// References to the host's things are not admitted, and wasm-smith cannot be told so: they become functions.
    fn abstract_heap_type(&mut self, ty: wasmparser::AbstractHeapType) -> Done<AbstractHeapType> {
        let ty = if ty == wasmparser::AbstractHeapType::Extern { wasmparser::AbstractHeapType::Func } else { ty };
        Ok(utils::abstract_heap_type(self, ty))
    }

    fn parse_function_section(&mut self, functions: &mut FunctionSection, section: FunctionSectionReader<'_>) -> Done {
        utils::parse_function_section(self, functions, section)?;
        functions.function(0);
        Ok(())
    }

    fn parse_export(&mut self, exports: &mut ExportSection, export: Export<'_>) -> Done {
        if export.name == "_start" {
            exports.export("_start", ExportKind::Func, self.index);
            return Ok(());
        }
        utils::parse_export(self, exports, export)
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Done {
        utils::parse_code_section(self, code, section)?;
        code.function(&self.body);
        Ok(())
    }
}
