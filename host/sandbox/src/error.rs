//! What goes wrong on our side of the wall. What goes wrong on the guest's side is an [`crate::Outcome`], never this.

use std::fmt;
use std::path::PathBuf;

use afresh_protocol::text::acts_on_a_terminal;

/// The sandbox itself failed; the guest is not to blame, and the attempt may be tried again elsewhere.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine cannot be built on this machine.
    #[error("build the Wasm engine: {0}; check the process's address space limit (`ulimit -v`)")]
    Engine(String),
    /// A fresh instance could not be had, before any guest code ran.
    #[error("make a fresh instance: {0}")]
    Instantiate(String),
    /// A folder that was granted to the task, or its scratch folder, is not there, or may not be read.
    #[error("open the folder {}, which the task was granted: {reason}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Limits ask for fuel, but the module was compiled without it.
    #[error("run with a fuel limit: the module was loaded without fuel; load it with `load_metered`")]
    NotMetered,
    /// A looping module was not stopped at its deadline: time limits cannot be relied on here.
    #[error(
        "stop a looping module at its deadline ({0}); time limits do not work on this machine, so do not run tasks"
    )]
    SelfTest(String),
    /// A bug of ours: a host function panicked. The attempt is over, its instance is gone.
    #[error("finish the attempt: a host function panicked ({0}); this is a bug in afresh, please report it")]
    Panicked(String),
}

/// Why a file is not a task module that can be run here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// No bytes.
    #[error("the file is empty; build the task again")]
    Empty,
    /// The bytes stop in the middle.
    #[error("the file is cut off after {0} bytes; copy it again (under another name, then rename it)")]
    Truncated(usize),
    /// WebAssembly as text.
    #[error("the file is WebAssembly text; compile it first, for example with `wat2wasm`")]
    Text,
    /// A WebAssembly component.
    #[error("the file is a WebAssembly component; build a core module: `--target wasm32-wasip1`, or `afresh build`")]
    Component,
    /// Native code.
    #[error("the file is native code, which is never accepted; hand in the `.wasm` it was compiled from")]
    Native,
    /// Something else.
    #[error("the file is not WebAssembly (it does not start with `\\0asm`); build the task with `afresh build`")]
    NotWasm,
    /// It is larger than the host takes.
    #[error("the module is too large: {0}")]
    TooLarge(String),
    /// It imports what the host does not have.
    #[error("the module imports what this host does not have: {unknown}; allowed are {allowed}")]
    UnknownImports {
        /// The unknown imports, `namespace.name`, bounded in number and length.
        unknown: String,
        /// What is allowed.
        allowed: String,
    },
    /// It was built for another version of the ABI, or of WASI.
    #[error("{0}")]
    Version(String),
    /// What a command must export is not there, or is something else.
    #[error("{0}")]
    Shape(String),
    /// Its tasks section is wrong.
    #[error("{0}; build the module again with this version's `afresh build`")]
    Tasks(String),
    /// The validator refuses it.
    #[error(
        "the module is not valid here: {0}; this host runs WebAssembly 2.0 without external references, threads, exceptions and GC"
    )]
    Invalid(String),
    /// The compiler refuses it.
    #[error("the module does not compile: {0}")]
    Compile(String),
    /// Compiled code that belongs to another module or another build of the host.
    #[error("the compiled code cannot be used: {0}; compile the module again")]
    Stale(String),
}

/// Bytes that a message of a dependency may have: some quote names out of the module, which can be megabytes long.
const MAX_TEXT: usize = 300;

/// The text of `value`, cut while it is being written, so that a huge one never exists.
pub(crate) fn bounded(value: impl fmt::Display) -> String {
    struct Short(String);
    impl fmt::Write for Short {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for c in text.chars() {
                if self.0.len() + c.len_utf8() > MAX_TEXT {
                    return Err(fmt::Error);
                }
                self.0.push(if acts_on_a_terminal(c) { ' ' } else { c });
            }
            Ok(())
        }
    }
    let mut short = Short(String::new());
    if fmt::write(&mut short, format_args!("{value}")).is_err() {
        short.0.push('…');
    }
    short.0
}
