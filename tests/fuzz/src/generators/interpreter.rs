//! A guest that reads its payload as host calls: a byte says which function, the bytes behind it the arguments. So every
//! function can be called with any pointer and length, in any order, without compiling anything.
//!
//! Its memory: a page of work, three pages in all, and its payload at [`SCRIPT`]. [`crate::oracles::model`] reads the same
//! script.

use std::fmt::Write as _;
use std::sync::LazyLock;

use afresh_sandbox::TaskModule;

use super::imports::{ALL, Import};
use crate::oracles::admission::admit;

/// Where in its memory the guest has its payload.
pub const SCRIPT: u32 = 0x10000;

/// Bytes of the payload it reads; more is left.
pub const LONGEST: u32 = 0x10000;

/// Bytes of memory it starts with.
pub const MEMORY: u32 = 3 << 16;

/// What a byte of the script means, behind the imports in the order of [`ALL`].
pub mod op {
    use super::ALL;

    /// Stores a 32-bit number: pointer, value.
    pub const STORE: usize = 0;
    /// Fills memory: pointer, byte, length.
    pub const FILL: usize = 1;
    /// Copies memory: to, from, length.
    pub const COPY: usize = 2;
    /// Grows memory by up to 255 pages, and dies where it does not get them.
    pub const GROW: usize = 3;
    /// Goes on reading at another place of the script.
    pub const JUMP: usize = 4;
    /// Returns.
    pub const RETURN: usize = 5;
    /// Executes `unreachable`.
    pub const ABORT: usize = 6;

    /// How many things a byte can mean; it is taken modulo this.
    pub fn count() -> usize {
        ALL.len() + ABORT + 1
    }

    /// The byte that calls the import of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn call(name: &str) -> u8 {
        ALL.iter().position(|import| import.name == name).expect("an import of that name") as u8
    }
}

/// The two guests there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// An SDK module.
    Sdk,
    /// A plain command: it has none of our functions, and the bytes that call them do nothing.
    Command,
}

impl Guest {
    /// The guest, compiled once in this process.
    pub fn module(self, metered: bool) -> &'static TaskModule {
        static MODULES: LazyLock<[TaskModule; 4]> = LazyLock::new(|| {
            [(Guest::Sdk, false), (Guest::Sdk, true), (Guest::Command, false), (Guest::Command, true)]
                .map(|(guest, metered)| admit(&guest.wasm(), metered).expect("the interpreter is admitted"))
        });
        &MODULES[2 * usize::from(self == Self::Command) + usize::from(metered)]
    }

    fn wasm(self) -> Vec<u8> {
        let has = |import: &&Import| self == Self::Sdk || import.namespace.starts_with("wasi");
        let imports: Vec<_> = ALL.iter().filter(has).copied().collect();
        let load = if self == Self::Sdk { LOAD_SDK } else { LOAD_COMMAND };
        wat::parse_str(text(&imports, load)).expect("the interpreter is a module")
    }
}

fn text(imports: &[Import], load: &str) -> String {
    let mut text = "(module\n".to_owned();
    imports.iter().for_each(|import| text += &import.as_wat());
    text += HELPERS;
    text += "(func $step (param $op i32)\n";
    for import in imports {
        let op = op::call(import.name);
        let arguments: String = import.params.chars().map(read).collect();
        let drop = if import.result.is_some() { "(drop)" } else { "" };
        let call = format!("{arguments} (call ${}) {drop}", import.name);
        let _ = writeln!(text, "(if (i32.eq (local.get $op) (i32.const {op})) (then {call} (return)))");
    }
    for (op, code) in OWN.iter().enumerate() {
        let op = ALL.len() + op;
        let _ = writeln!(text, "(if (i32.eq (local.get $op) (i32.const {op})) (then {code} (return)))");
    }
    text += ")\n";
    let _ = writeln!(
        text,
        "(func (export \"_start\") {load}
            (loop $next
              (if (i32.ge_u (global.get $at) (global.get $end)) (then (return)))
              (call $step (i32.rem_u (call $byte) (i32.const {})))
              (br $next))))",
        op::count()
    );
    text
}

fn read(letter: char) -> &'static str {
    match letter {
        'i' => "(call $i32) ",
        'I' => "(call $i64) ",
        _ => "(call $f64) ",
    }
}

/// How arguments are read. Behind the script's end all bytes are 0.
const HELPERS: &str = "
(memory (export \"memory\") 3)
(global $at (mut i32) (i32.const 0x10000))
(global $end (mut i32) (i32.const 0x10000))

(func $byte (result i32)
  (if (i32.ge_u (global.get $at) (global.get $end)) (then (return (i32.const 0))))
  (i32.load8_u (global.get $at))
  (global.set $at (i32.add (global.get $at) (i32.const 1))))

(func $word (result i32)
  (i32.or
    (i32.or (call $byte) (i32.shl (call $byte) (i32.const 8)))
    (i32.or (i32.shl (call $byte) (i32.const 16)) (i32.shl (call $byte) (i32.const 24)))))

;; Small numbers; pointers into the page of work; pointers into the script; the end of the memory; anything.
(func $i32 (result i32) (local $tag i32)
  (local.set $tag (call $byte))
  (if (i32.lt_u (local.get $tag) (i32.const 0x80)) (then (return (local.get $tag))))
  (if (i32.lt_u (local.get $tag) (i32.const 0xc0)) (then (return
    (i32.or (i32.shl (i32.sub (local.get $tag) (i32.const 0x80)) (i32.const 8)) (call $byte)))))
  (if (i32.lt_u (local.get $tag) (i32.const 0xf0)) (then (return
    (i32.or (i32.const 0x10000)
      (i32.or (i32.shl (i32.sub (local.get $tag) (i32.const 0xc0)) (i32.const 8)) (call $byte))))))
  (if (i32.lt_u (local.get $tag) (i32.const 0xf8)) (then (return
    (i32.sub (i32.shl (memory.size) (i32.const 16)) (call $byte)))))
  (call $word))

(func $i64 (result i64) (local $tag i32)
  (local.set $tag (call $byte))
  (if (i32.lt_u (local.get $tag) (i32.const 0x80)) (then (return (i64.extend_i32_u (local.get $tag)))))
  (if (i32.lt_u (local.get $tag) (i32.const 0xf0)) (then (return (i64.extend_i32_s (call $word)))))
  (i64.or (i64.extend_i32_u (call $word)) (i64.shl (i64.extend_i32_u (call $word)) (i64.const 32))))

;; Hundredths, or anything.
(func $f64 (result f64) (local $tag i32)
  (local.set $tag (call $byte))
  (if (i32.lt_u (local.get $tag) (i32.const 0xf0)) (then (return
    (f64.div (f64.convert_i32_u (local.get $tag)) (f64.const 100)))))
  (f64.reinterpret_i64
    (i64.or (i64.extend_i32_u (call $word)) (i64.shl (i64.extend_i32_u (call $word)) (i64.const 32)))))
";

/// What the operations of [`op`] do, in their order.
const OWN: [&str; op::ABORT + 1] = [
    "(i32.store (call $i32) (call $i32))",
    "(memory.fill (call $i32) (call $byte) (call $i32))",
    "(memory.copy (call $i32) (call $i32) (call $i32))",
    "(if (i32.eq (memory.grow (call $byte)) (i32.const -1)) (then (unreachable)))",
    "(global.set $at (i32.or (i32.const 0x10000) (i32.or (call $byte) (i32.shl (call $byte) (i32.const 8)))))",
    "(global.set $at (global.get $end))",
    "(unreachable)",
];

const LOAD_SDK: &str = "
    (global.set $end (i32.add (i32.const 0x10000)
      (call $payload_read (i32.const 0x10000) (i32.const 0x10000) (i32.const 0))))";

const LOAD_COMMAND: &str = "
    (i32.store (i32.const 0) (i32.const 0x10000))
    (i32.store (i32.const 4) (i32.const 0x10000))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (global.set $end (i32.add (i32.const 0x10000) (i32.load (i32.const 8))))
    (i64.store (i32.const 0) (i64.const 0))
    (i32.store (i32.const 8) (i32.const 0))";
