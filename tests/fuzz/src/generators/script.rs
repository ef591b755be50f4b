//! A script of host calls that make sense often enough to get somewhere: random code hardly ever passes a pointer that
//! lies within its memory.

use afresh_protocol::abi;
use arbitrary::{Result, Unstructured};
use wasm_encoder::{BlockType, Function, InstructionSink, MemArg};

use super::imports::Import;

/// The most steps of a script.
const MOST: usize = 24;

/// How many functions are of our own namespace; they stand before the others.
const OURS: usize = abi::FUNCTIONS.len();

/// What may be opened, in at most eight bytes: what is in the folder to read, what leads out, and what is new.
const NAMES: [&str; 8] = ["a", "d", "d/b", "out", "up/o", "new", "../o", "../../o"];

/// The rights of WASI to read and to write a file.
const READ_AND_WRITE: i64 = 1 << 1 | 1 << 6;

/// A script: steps one after another, as a function's body.
#[derive(Clone, Debug)]
pub struct Script(Vec<Step>);

#[derive(Clone, Debug)]
enum Step {
    /// Calls the import of that index, and drops what it answers.
    Call(u32, Vec<Value>),
    /// Writes text of that length, which is in the memory at 0, to a descriptor.
    Write {
        fd_write: u32,
        fd: i32,
        len: i32,
    },
    /// Opens a file of a folder, the first or the second.
    Open {
        path_open: u32,
        fd: i32,
        name: &'static str,
        flags: i32,
    },
    /// Reads the environment to 0, where [`Step::Write`] finds it.
    Environment {
        environ_get: u32,
    },
    Store {
        at: i32,
        value: i64,
    },
    Fill {
        at: i32,
        byte: i32,
        len: i32,
    },
    /// Asks for so many pages, and dies where it does not get them.
    GrowOrDie(i32),
    Grow(i32),
    /// Runs the random code.
    RandomCode,
    Spin,
    Recurse,
    Unreachable,
    Return,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    I32(i32),
    I64(i64),
    F64(f64),
}

/// What a script can call besides imports: function indices.
#[derive(Clone, Copy, Debug)]
pub struct Functions {
    /// The script itself.
    pub script: u32,
    /// The `_start` of the random code.
    pub random: u32,
}

impl Script {
    /// A script over these imports, which are the module's first functions.
    ///
    /// # Errors
    /// When the bytes are used up.
    pub fn arbitrary(u: &mut Unstructured<'_>, imports: &[Import]) -> Result<Self> {
        let count = u.int_in_range(0..=MOST)?;
        let mut steps = (0..count).map(|_| Step::arbitrary(u, imports)).collect::<Result<Vec<_>>>()?;
        if u.ratio(1, 3)? {
            steps.push(Step::RandomCode);
        }
        Ok(Self(steps))
    }

    /// The body of the function that does it.
    pub fn encode(&self, imports: &[Import], functions: Functions) -> Function {
        let mut body = Function::new([]);
        let mut code = body.instructions();
        for step in &self.0 {
            step.encode(&mut code, imports, functions);
        }
        code.end();
        body
    }
}

impl Step {
    fn arbitrary(u: &mut Unstructured<'_>, imports: &[Import]) -> Result<Self> {
        let index = |name| imports.iter().position(|import| import.name == name).map(|index| index as u32);
        let known = ["fd_write", "path_open", "environ_get"].map(index);
        Ok(match (u.int_in_range(0..=63)?, known) {
            (0..=5, [Some(fd_write), ..]) => Self::Write { fd_write, fd: u.int_in_range(0..=7)?, len: length(u)? },
            (18 | 19, [_, Some(path_open), _]) => Self::Open {
                path_open,
                fd: u.int_in_range(3..=4)?,
                name: u.choose(&NAMES)?,
                // Create, only a folder, only a new one, empty.
                flags: *u.choose(&[0, 0, 1, 1, 2, 5, 8, 9])?,
            },
            (20, [.., Some(environ_get)]) => Self::Environment { environ_get },
            (6..=10, _) => Self::Store { at: pointer(u)?, value: u.arbitrary()? },
            (11, _) => Self::Fill { at: pointer(u)?, byte: u.int_in_range(0..=255)?, len: length(u)? },
            (12, _) => Self::GrowOrDie(*u.choose(&[0, 1, 1, 4, 16, 70_000])?),
            (13 | 14, _) => Self::Grow(*u.choose(&[0, 1, 16, 256, -1])?),
            (15, _) => Self::RandomCode,
            (16 | 17, _) => u.choose(&[Self::Spin, Self::Recurse, Self::Unreachable, Self::Return])?.clone(),
            _ if imports.is_empty() => Self::Return,
            // Ours come first, and are few.
            (choice, _) => {
                let among = if choice % 2 == 0 { imports.len().min(OURS) } else { imports.len() };
                let index = u.choose_index(among)?;
                Self::Call(index as u32, arguments(u, &imports[index])?)
            }
        })
    }

    fn encode(&self, code: &mut InstructionSink<'_>, imports: &[Import], functions: Functions) {
        let word = MemArg { offset: 0, align: 0, memory_index: 0 };
        match self {
            Self::Call(index, args) => {
                for value in args {
                    value.encode(code);
                }
                code.call(*index);
                if imports[*index as usize].result.is_some() {
                    code.drop();
                }
            }
            Self::Write { fd_write, fd, len } => {
                // One buffer, named at 64: the memory from 0 on.
                code.i32_const(64).i64_const(i64::from(*len) << 32).i64_store(word);
                code.i32_const(*fd).i32_const(64).i32_const(1).i32_const(80).call(*fd_write).drop();
            }
            Self::Open { path_open, fd, name, flags } => {
                let mut bytes = [0; 8];
                bytes[..name.len()].copy_from_slice(name.as_bytes());
                code.i32_const(96).i64_const(i64::from_le_bytes(bytes)).i64_store(word);
                code.i32_const(*fd).i32_const(1).i32_const(96).i32_const(name.len() as i32).i32_const(*flags);
                code.i64_const(READ_AND_WRITE).i64_const(READ_AND_WRITE).i32_const(0).i32_const(88);
                code.call(*path_open).drop();
            }
            Self::Environment { environ_get } => {
                code.i32_const(4096).i32_const(0).call(*environ_get).drop();
            }
            Self::Store { at, value } => {
                code.i32_const(*at).i64_const(*value).i64_store(word);
            }
            Self::Fill { at, byte, len } => {
                code.i32_const(*at).i32_const(*byte).i32_const(*len).memory_fill(0);
            }
            Self::GrowOrDie(pages) => {
                code.i32_const(*pages).memory_grow(0).i32_const(-1).i32_eq();
                code.if_(BlockType::Empty).unreachable().end();
            }
            Self::Grow(pages) => {
                code.i32_const(*pages).memory_grow(0).drop();
            }
            Self::RandomCode => {
                code.call(functions.random);
            }
            Self::Spin => {
                code.loop_(BlockType::Empty).br(0).end();
            }
            Self::Recurse => {
                code.call(functions.script);
            }
            Self::Unreachable => {
                code.unreachable();
            }
            Self::Return => {
                code.return_();
            }
        }
    }
}

impl Value {
    fn encode(self, code: &mut InstructionSink<'_>) {
        match self {
            Self::I32(value) => code.i32_const(value),
            Self::I64(value) => code.i64_const(value),
            Self::F64(value) => code.f64_const(value.into()),
        };
    }
}

fn arguments(u: &mut Unstructured<'_>, import: &Import) -> Result<Vec<Value>> {
    let value = |(index, letter)| {
        Ok(match (letter, import.name) {
            ('i', "verdict") => Value::I32(if u.ratio(15, 16)? { u.int_in_range(1..=5)? } else { u.arbitrary()? }),
            ('i', "proc_exit") => Value::I32(*u.choose(&[0, 1, 65, 75, -1])?),
            // Most functions take a pointer or a descriptor first, and a length later.
            ('i', _) if index > 0 && u.ratio(1, 3)? => Value::I32(length(u)?),
            ('i', _) => Value::I32(pointer(u)?),
            ('I', _) => Value::I64(if u.ratio(1, 2)? { u.int_in_range(-1..=3_000_000)? } else { u.arbitrary()? }),
            _ => Value::F64(if u.ratio(1, 2)? { *u.choose(&[0.0, 0.5, 1.0, -1.0, f64::NAN])? } else { u.arbitrary()? }),
        })
    };
    import.params.chars().enumerate().map(value).collect()
}

/// A pointer, or a descriptor: mostly within a page and aligned, now and then at an edge or anywhere.
fn pointer(u: &mut Unstructured<'_>) -> Result<i32> {
    Ok(match u.int_in_range(0..=63)? {
        0..=15 => u.int_in_range(0..=7)?,
        16..=60 => 8 * u.int_in_range(0..=4096)?,
        61 => (64 << 10) - u.int_in_range(0..=64)?,
        62 => *u.choose(&[-1, i32::MIN, i32::MAX, 64 << 10])?,
        _ => u.arbitrary()?,
    })
}

fn length(u: &mut Unstructured<'_>) -> Result<i32> {
    Ok(match u.int_in_range(0..=63)? {
        0..=45 => u.int_in_range(0..=64)?,
        46..=61 => u.int_in_range(0..=32 << 10)?,
        62 => *u.choose(&[-1, i32::MIN, i32::MAX, 64 << 10])?,
        _ => u.arbitrary()?,
    })
}
