//! A guest that makes the calls of a list, one after the other, and replies with what each answered:
//! `Script::new().open(3, "../up", 0, READ).run(call)`. An answer is the errno and the number that the call handed back.

use std::fmt::Write as _;
use std::time::Duration;

use afresh_sandbox::{Call, Cancel, Limits, Outcome, Report};

use crate::support::{load, sandbox};

/// WASI's numbers.
pub(crate) const READ: u64 = 1 << 1;
pub(crate) const WRITE: u64 = 1 << 6;
pub(crate) const CREATE: u32 = 1;
pub(crate) const FOLDER: u32 = 2;
pub(crate) const TRUNCATE: u32 = 8;
pub(crate) const OK: u32 = 0;
pub(crate) const BADF: u32 = 8;
pub(crate) const LOOP: u32 = 32;
pub(crate) const MFILE: u32 = 33;
pub(crate) const NAMETOOLONG: u32 = 37;
pub(crate) const NOENT: u32 = 44;
pub(crate) const NOSPC: u32 = 51;
pub(crate) const NOTSUP: u32 = 58;
pub(crate) const OVERFLOW: u32 = 61;
pub(crate) const PERM: u32 = 63;
pub(crate) const SPIPE: u32 = 70;

/// Where the guest keeps what: the number a call hands back at 0, then a buffer and other structures; texts from here on,
const TEXTS: usize = 1024;
/// the answers,
const ANSWERS: usize = 1 << 20;
/// and the bytes it reads and writes, which are this many.
const DATA: usize = 2 << 20;
pub(crate) const ROOM: u32 = 1 << 20;

/// The calls of a guest.
#[derive(Default)]
pub(crate) struct Script {
    body: String,
    data: String,
    texts: usize,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Opens a path, following links.
    pub(crate) fn open(self, dir: u32, path: &str, flags: u32, rights: u64) -> Self {
        self.on("path_open", &format!("{dir} 1 {{}} {flags} L{rights} L0 0 0"), &[path])
    }

    /// Opens a file to append to it.
    pub(crate) fn append(self, dir: u32, path: &str) -> Self {
        self.on("path_open", &format!("{dir} 1 {{}} {CREATE} L{WRITE} L0 1 0"), &[path])
    }

    /// Reads as much as there is room for.
    pub(crate) fn read(self, fd: u32) -> Self {
        self.buffer(ROOM).call("fd_read", &format!("{fd} 8 1 0"))
    }

    /// Reads from a place.
    pub(crate) fn read_at(self, fd: u32, offset: u64) -> Self {
        self.buffer(ROOM).call("fd_pread", &format!("{fd} 8 1 L{offset} 0"))
    }

    /// Says, in its log, what was read last.
    pub(crate) fn say(mut self, bytes: u32) -> Self {
        self = self.buffer(bytes);
        self.body += "(drop (call $fd_write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 0)))\n";
        self
    }

    /// Writes so many bytes.
    pub(crate) fn write(self, fd: u32, bytes: u32) -> Self {
        self.buffer(bytes).call("fd_write", &format!("{fd} 8 1 0"))
    }

    /// Writes so many bytes at a place.
    pub(crate) fn write_at(self, fd: u32, bytes: u32, offset: u64) -> Self {
        self.buffer(bytes).call("fd_pwrite", &format!("{fd} 8 1 L{offset} 0"))
    }

    /// Calls a function of WASI's with numbers and, for each `{}` among them, place and length of a path.
    pub(crate) fn on(mut self, function: &str, numbers: &str, paths: &[&str]) -> Self {
        let mut numbers = numbers.to_owned();
        for path in paths {
            let text = self.text(path);
            numbers = numbers.replacen("{}", &text, 1);
        }
        self.call(function, &numbers)
    }

    /// Calls a function of WASI's with these numbers, of which `L` marks a 64-bit one.
    pub(crate) fn call(mut self, function: &str, numbers: &str) -> Self {
        let number = |word: &str| match word.strip_prefix('L') {
            Some(long) => format!("(i64.const {long})"),
            None => format!("(i32.const {word})"),
        };
        let numbers: Vec<_> = numbers.split_whitespace().map(number).collect();
        let _ = writeln!(
            self.body,
            "(i32.store (i32.const 0) (i32.const 0)) (call $answer (call ${function} {}))",
            numbers.join(" ")
        );
        self
    }

    /// The calls of another list so many times over, of whose answers only the last are kept.
    pub(crate) fn times(mut self, count: u32, calls: impl FnOnce(Self) -> Self) -> Self {
        let before = std::mem::take(&mut self.body);
        self = calls(self);
        let calls = std::mem::replace(&mut self.body, before);
        let _ = writeln!(
            self.body,
            "(local.set $mark (global.get $at)) (local.set $left (i32.const {count}))
            (loop $more (global.set $at (local.get $mark)) {calls}
                (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))"
        );
        self
    }

    /// Runs it; the answers, and the report.
    pub(crate) fn run(self, call: Call) -> (Vec<(u32, u32)>, Report) {
        let limits = Limits { timeout: Duration::from_secs(120), ..Limits::default() };
        let report = self.run_within(call, &limits);
        let Outcome::Succeeded(reply) = &report.outcome else { panic!("{report:?}") };
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        (reply.chunks_exact(8).map(|pair| (word(&pair[..4]), word(&pair[4..]))).collect(), report)
    }

    /// Runs it within limits.
    pub(crate) fn run_within(self, call: Call, limits: &Limits) -> Report {
        sandbox().run(&load(&self.module()), call, limits, &Cancel::new()).expect("the sandbox works")
    }

    /// Runs it; the errno of each call.
    pub(crate) fn errnos(self, call: Call) -> Vec<u32> {
        self.run(call).0.into_iter().map(|(errno, _)| errno).collect()
    }

    fn buffer(mut self, bytes: u32) -> Self {
        let _ = writeln!(
            self.body,
            "(i32.store (i32.const 8) (i32.const {DATA})) (i32.store (i32.const 12) (i32.const {bytes}))"
        );
        self
    }

    /// A text's place and length.
    fn text(&mut self, text: &str) -> String {
        let at = TEXTS + self.texts;
        self.texts += text.len();
        let _ = writeln!(
            self.data,
            "(data (i32.const {at}) \"{}\")",
            text.bytes().map(|byte| format!("\\{byte:02x}")).collect::<String>()
        );
        format!("{at} {}", text.len())
    }

    fn module(&self) -> String {
        let mut imports = String::new();
        for (name, signature) in FUNCTIONS {
            let params: String = signature.chars().map(|c| if c == 'I' { "i64 " } else { "i32 " }).collect();
            let _ = writeln!(
                imports,
                "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param {params}) (result i32)))"
            );
        }
        let Self { body, data, .. } = self;
        format!(
            r#"(module {imports} (memory (export "memory") 64) {data}
            (global $at (mut i32) (i32.const {ANSWERS}))
            (func $answer (param i32)
                (i32.store (global.get $at) (local.get 0))
                (i32.store offset=4 (global.get $at) (i32.load (i32.const 0)))
                (global.set $at (i32.add (global.get $at) (i32.const 8))))
            (func (export "_start") (local $left i32) (local $mark i32)
                {body}
                (i32.store (i32.const 8) (i32.const {ANSWERS}))
                (i32.store (i32.const 12) (i32.sub (global.get $at) (i32.const {ANSWERS})))
                (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))))"#
        )
    }
}

const FUNCTIONS: &[(&str, &str)] = &[
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
];
