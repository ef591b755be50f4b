//! Modules that cost little to write and much to compile, byte by byte: no text could say them in a reasonable time.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, CustomSection, DataSection, ElementSection, Elements, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, HeapType, InstructionSink, MemorySection, MemoryType, Module,
    RefType, TypeSection, ValType,
};

/// A plain command that does nothing, and what is added to it.
pub(crate) struct Bomb {
    types: TypeSection,
    functions: FunctionSection,
    memories: MemorySection,
    globals: GlobalSection,
    exports: ExportSection,
    elements: ElementSection,
    code: CodeSection,
    data: DataSection,
    custom: Vec<u8>,
}

/// Functions that do nothing.
pub(crate) fn tiny_functions(count: usize) -> Vec<u8> {
    let mut bomb = Bomb::new(1);
    (0..count).for_each(|_| bomb.function([], |code| _ = code.end()));
    bomb.wasm()
}

/// Functions of so many bytes each, that do arithmetic.
pub(crate) fn long_functions(count: usize, bytes: usize) -> Vec<u8> {
    let mut bomb = Bomb::new(1);
    for _ in 0..count {
        bomb.function([(1, ValType::I32)], |code| {
            for _ in 0..bytes / 7 {
                code.local_get(0).i32_const(7).i32_add().local_set(0);
            }
            code.end();
        });
    }
    bomb.wasm()
}

/// Functions with so many locals.
pub(crate) fn locals(functions: usize, each: u32) -> Vec<u8> {
    let mut bomb = Bomb::new(1);
    (0..functions).for_each(|_| bomb.function([(each, ValType::I64)], |code| _ = code.end()));
    bomb.wasm()
}

/// One segment of so many elements, each an expression of its own.
pub(crate) fn elements(count: usize) -> Vec<u8> {
    let mut bomb = Bomb::new(1);
    let nothing = vec![ConstExpr::ref_null(HeapType::FUNC); count];
    bomb.elements.passive(Elements::Expressions(RefType::FUNCREF, nothing.into()));
    bomb.wasm()
}

/// Exports of one function under so many names.
pub(crate) fn exports(count: usize) -> Vec<u8> {
    let mut bomb = Bomb::new(1);
    (0..count).for_each(|n| _ = bomb.exports.export(&format!("e{n}"), ExportKind::Func, 0));
    bomb.wasm()
}

/// Blocks in blocks.
pub(crate) fn nesting(depth: usize) -> Vec<u8> {
    let mut bomb = Bomb::new(1);
    bomb.function([], |code| {
        (0..depth).for_each(|_| _ = code.block(BlockType::Empty));
        (0..=depth).for_each(|_| _ = code.end());
    });
    bomb.wasm()
}

/// Types with so many parameters.
pub(crate) fn types(count: usize, parameters: usize) -> Vec<u8> {
    let mut bomb = Bomb::new(1);
    (0..count).for_each(|_| bomb.types.ty().function(vec![ValType::I32; parameters], []));
    bomb.wasm()
}

/// A section that nobody reads.
pub(crate) fn custom_section(bytes: usize) -> Vec<u8> {
    let mut bomb = Bomb::new(1);
    bomb.custom = vec![0; bytes];
    bomb.wasm()
}

/// Segments of one byte.
pub(crate) fn data_segments(count: usize) -> Vec<u8> {
    let mut bomb = Bomb::new(1);
    (0..count).for_each(|_| _ = bomb.data.active(0, &ConstExpr::i32_const(0), [7]));
    bomb.wasm()
}

/// Two bytes of data as far apart as a memory of so many pages allows.
pub(crate) fn sparse_image(pages: u16) -> Vec<u8> {
    let mut bomb = Bomb::new(pages.into());
    for at in [0, i32::from(pages) * 65_536 - 1] {
        bomb.data.active(0, &ConstExpr::i32_const(at), [7]);
    }
    bomb.wasm()
}

/// Globals.
pub(crate) fn globals(count: usize) -> Vec<u8> {
    let mut bomb = Bomb::new(1);
    let ty = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
    (0..count).for_each(|_| _ = bomb.globals.global(ty, &ConstExpr::i64_const(0)));
    bomb.wasm()
}

/// Functions that are valid, and take long to be found so: each target of each branch is looked at with all its values.
pub(crate) fn slow_to_validate(functions: usize, targets: usize) -> Vec<u8> {
    let mut bomb = Bomb::new(1);
    bomb.types.ty().function([], vec![ValType::I32; 1_000]);
    let targets = vec![0; targets];
    for _ in 0..functions {
        bomb.function([], |code| {
            code.block(BlockType::FunctionType(1)).unreachable().br_table(targets.iter().copied(), 0).end();
            (0..1_000).for_each(|_| _ = code.drop());
            code.end();
        });
    }
    bomb.wasm()
}

impl Bomb {
    fn new(pages: u64) -> Self {
        let mut bomb = Self {
            types: TypeSection::new(),
            functions: FunctionSection::new(),
            memories: MemorySection::new(),
            globals: GlobalSection::new(),
            exports: ExportSection::new(),
            elements: ElementSection::new(),
            code: CodeSection::new(),
            data: DataSection::new(),
            custom: Vec::new(),
        };
        bomb.types.ty().function([], []);
        bomb.memories.memory(MemoryType {
            minimum: pages,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        bomb.exports.export("memory", ExportKind::Memory, 0).export("_start", ExportKind::Func, 0);
        bomb.function([], |code| _ = code.end());
        bomb
    }

    fn function<const N: usize>(&mut self, locals: [(u32, ValType); N], write: impl FnOnce(&mut InstructionSink<'_>)) {
        let mut function = Function::new(locals);
        write(&mut function.instructions());
        self.functions.function(0);
        self.code.function(&function);
    }

    fn wasm(self) -> Vec<u8> {
        let mut module = Module::new();
        module.section(&self.types).section(&self.functions).section(&self.memories).section(&self.globals);
        module.section(&self.exports).section(&self.elements).section(&self.code).section(&self.data);
        module.section(&CustomSection { name: "ballast".into(), data: self.custom.into() });
        module.finish()
    }
}
