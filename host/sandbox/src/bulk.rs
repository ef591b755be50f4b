//! Makes `memory.fill` and `memory.copy` interruptible. wasmtime runs each as one call of the host's `memset` and
//! `memmove`, and looks at no deadline meanwhile: to fill a fresh gibibyte takes over half a second. So before a module is
//! compiled, these instructions become calls of two functions that are added at its end, which do the same in pieces; and
//! wasmtime looks at the deadline in every loop.

use std::borrow::Cow;

use wasm_encoder::{BlockType, CodeSection, Encode, Function, InstructionSink, Module, RawSection, SectionId};
use wasmparser::{BinaryReader, CodeSectionReader, FunctionBody, Operator, Parser, Payload, Result};

/// Bytes of one piece: a millisecond where every page of it is touched for the first time.
const PIECE: i32 = 1 << 20;

/// The same module with interruptible bulk instructions, and without its custom sections, which nothing reads any more.
/// All else is copied as it is. The module has been checked: it imports functions only. Who changes what this does changes
/// `MAGIC` in `module.rs` too, so that nothing is run that was compiled before.
///
/// # Errors
/// Where it is not valid.
pub(crate) fn interruptible(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut module = Module::new();
    // How many there are before ours.
    let (mut types, mut functions) = (0, 0);
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section().filter(|(id, _)| *id != u8::from(SectionId::Custom)) else {
            continue;
        };
        let content = match payload {
            Payload::TypeSection(section) => {
                types = section.count();
                // A function type: three numbers in, nothing out.
                let ours = [&[0x60, 3][..], &[0x7f; 3], &[0]].concat();
                longer(types, 1, &wasm[section.original_position()..range.end], &ours).into()
            }
            Payload::ImportSection(section) => {
                functions = section.into_imports().count() as u32;
                Cow::Borrowed(&wasm[range])
            }
            Payload::FunctionSection(section) => {
                functions += section.count();
                let mut ours = Vec::new();
                types.encode(&mut ours);
                types.encode(&mut ours);
                longer(section.count(), 2, &wasm[section.original_position()..range.end], &ours).into()
            }
            Payload::CodeSectionStart { .. } => {
                let mut code = CodeSection::new();
                for body in CodeSectionReader::new(BinaryReader::new(&wasm[range.clone()], range.start))? {
                    code.raw(&calling(wasm, &body?, functions)?);
                }
                code.function(&fill_in_pieces()).function(&copy_in_pieces());
                module.section(&code);
                continue;
            }
            _ => Cow::Borrowed(&wasm[range]),
        };
        module.section(&RawSection { id, data: &content });
    }
    Ok(module.finish())
}

/// A section's content with `more` items, which are in `ours`, behind its own.
fn longer(count: u32, more: u32, items: &[u8], ours: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(items.len() + ours.len() + 5);
    (count + more).encode(&mut content);
    content.extend_from_slice(items);
    content.extend_from_slice(ours);
    content
}

/// The body with calls of the functions `fill` and the next one in the place of bulk instructions.
fn calling(wasm: &[u8], body: &FunctionBody<'_>, fill: u32) -> Result<Vec<u8>> {
    let mut new = Vec::with_capacity(body.range().len());
    let mut copied = body.range().start;
    let mut operators = body.get_operators_reader()?;
    // A constant length that fits a piece needs no call. What an instruction before left on the stack is the length.
    let mut small = false;
    while !operators.eof() {
        let start = operators.original_position();
        let function = match operators.read()? {
            Operator::MemoryFill { .. } if !small => Some(fill),
            Operator::MemoryCopy { .. } if !small => Some(fill + 1),
            Operator::I32Const { value } => {
                small = (0..=PIECE).contains(&value);
                continue;
            }
            _ => None,
        };
        small = false;
        if let Some(function) = function {
            new.extend_from_slice(&wasm[copied..start]);
            InstructionSink::new(&mut new).call(function);
            copied = operators.original_position();
        }
    }
    new.extend_from_slice(&wasm[copied..body.range().end]);
    Ok(new)
}

/// The parameters of both functions: where to, what (a value, or where from), how many bytes.
const TO: u32 = 0;
const WHAT: u32 = 1;
const LENGTH: u32 = 2;

/// `memory.fill` in pieces.
fn fill_in_pieces() -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    whole_if_small(&mut code, fill);
    trap_if_outside(&mut code, TO);
    forward(&mut code, &[TO], fill);
    code.end();
    function
}

/// `memory.copy` in pieces, from the side on which no piece overwrites what a later one has yet to read.
fn copy_in_pieces() -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    whole_if_small(&mut code, copy);
    trap_if_outside(&mut code, TO);
    trap_if_outside(&mut code, WHAT);
    code.local_get(TO).local_get(WHAT).i32_le_u().if_(BlockType::Empty);
    forward(&mut code, &[TO, WHAT], copy);
    code.else_();
    backward(&mut code);
    code.end().end();
    function
}

fn fill(code: &mut InstructionSink<'_>) {
    code.memory_fill(0);
}

fn copy(code: &mut InstructionSink<'_>) {
    code.memory_copy(0, 0);
}

/// What does not fill a piece is done at once, by the instruction itself.
fn whole_if_small(code: &mut InstructionSink<'_>, bulk: fn(&mut InstructionSink<'_>)) {
    code.local_get(LENGTH).i32_const(PIECE).i32_le_u().if_(BlockType::Empty);
    code.local_get(TO).local_get(WHAT).local_get(LENGTH);
    bulk(code);
    code.return_().end();
}

/// The instruction traps before it has written anything where its range leaves the memory, and so must the pieces.
fn trap_if_outside(code: &mut InstructionSink<'_>, from: u32) {
    code.local_get(from).i64_extend_i32_u().local_get(LENGTH).i64_extend_i32_u().i64_add();
    code.memory_size(0).i64_extend_i32_u().i64_const(16).i64_shl();
    code.i64_gt_u().if_(BlockType::Empty);
    // Outside of every memory there can be: the trap is the one the guest would have had.
    code.i32_const(-1).i32_const(0).i32_const(-1).memory_fill(0).end();
}

/// Piece by piece from the start on, moving these pointers.
fn forward(code: &mut InstructionSink<'_>, pointers: &[u32], bulk: fn(&mut InstructionSink<'_>)) {
    code.loop_(BlockType::Empty);
    code.local_get(TO).local_get(WHAT).i32_const(PIECE);
    bulk(code);
    for &pointer in pointers {
        code.local_get(pointer).i32_const(PIECE).i32_add().local_set(pointer);
    }
    code.local_get(LENGTH).i32_const(PIECE).i32_sub().local_tee(LENGTH);
    code.i32_const(PIECE).i32_gt_u().br_if(0).end();
    code.local_get(TO).local_get(WHAT).local_get(LENGTH);
    bulk(code);
}

/// Copies piece by piece from the end on.
fn backward(code: &mut InstructionSink<'_>) {
    code.loop_(BlockType::Empty);
    code.local_get(LENGTH).i32_const(PIECE).i32_sub().local_set(LENGTH);
    for pointer in [TO, WHAT] {
        code.local_get(pointer).local_get(LENGTH).i32_add();
    }
    code.i32_const(PIECE).memory_copy(0, 0);
    code.local_get(LENGTH).i32_const(PIECE).i32_gt_u().br_if(0).end();
    code.local_get(TO).local_get(WHAT).local_get(LENGTH).memory_copy(0, 0);
}
