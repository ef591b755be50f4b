//! Makes task modules ready to run. What comes from outside is compiled by a child process of limited means; a worker
//! itself only surveys it, runs what the child made, and keeps that in a private folder.
//!
//! * [`child`]: the process that compiles, as its parent sees it; [`inside`]: as it sees itself
//! * [`bounds`]: what it may take, and the sentences for what took more
//! * [`cache`]: what was compiled, and what was refused
//! * [`private`]: files and folders that are this user's alone

use std::fs::File;
use std::path::{Path, PathBuf};

use afresh_sandbox::{ModuleInfo, Sandbox, TaskModule};
use anyhow::Context as _;

pub mod bounds;
pub mod cache;
pub mod child;
pub mod inside;
pub mod private;

use bounds::Bounds;
use cache::Cache;
use child::End;

/// The hidden verb by which this binary compiles one module: Wasm on standard input, native code on standard output.
pub const COMPILE_VERB: &str = "compile-module";

/// Makes task modules ready to run.
pub struct Compiler {
    sandbox: Sandbox,
    cache: Cache,
    bounds: Bounds,
    program: PathBuf,
}

/// What is known of a module without compiling it.
pub enum Known {
    /// It was compiled before.
    Ready(TaskModule),
    /// It has to be compiled first.
    New(ModuleInfo),
}

/// What came of compiling a module.
pub enum Made {
    /// It can be run.
    Ready(TaskModule),
    /// It is refused, and the sentence that says why.
    Refused(String),
    /// It takes longer than it was given; nothing else is known of it.
    Slow,
}

impl Compiler {
    /// A compiler that runs this very binary as a child, gives it no more than `bounds`, and keeps what it makes in the
    /// folder `cache` (created with access for this user only).
    ///
    /// # Errors
    /// When this binary cannot be found, or the folder cannot be made private.
    pub fn new(sandbox: Sandbox, cache: &Path, bounds: Bounds) -> anyhow::Result<Self> {
        let program = own_program().context("failed to find this program's own file")?;
        let cache = Cache::open(cache, sandbox.compatibility())?;
        Ok(Self { sandbox, cache, bounds, program })
    }

    /// What can be said of a module at once, in a time that only its size bounds.
    ///
    /// # Errors
    /// A sentence that says why it is refused.
    pub fn look(&self, wasm: &[u8]) -> Result<Known, String> {
        let info = self.sandbox.survey(wasm).map_err(|error| error.to_string())?;
        if let Some(module) = self.cached(&info) {
            return Ok(Known::Ready(module));
        }
        match self.cache.refusal(&info.digest, self.bounds) {
            Some(why) => Err(why),
            None => Ok(Known::New(info)),
        }
    }

    /// Compiles and links the module in `file`, of which [`Compiler::look`] answered `info`. Blocks for as long as that
    /// takes; in `haste` no longer than a moment, and then it may be [`Made::Slow`].
    pub fn compile(&self, file: &Path, info: &ModuleInfo, haste: bool) -> Made {
        // Another worker that shares the folder, or another file with the same module, may have been faster.
        if let Some(module) = self.cached(info) {
            return Made::Ready(module);
        }
        let bounds = if haste { self.bounds.hasty() } else { self.bounds };
        match self.try_compile(file, info, bounds) {
            Ok(Ok(module)) => Made::Ready(module),
            Ok(Err(End::Over(limit))) if bounds.is_tighter(limit, self.bounds) => Made::Slow,
            Ok(Err(end)) => {
                let why = end.sentence(&self.bounds);
                if end.is_for_good() {
                    self.cache.refuse(&info.digest, self.bounds, &why);
                }
                Made::Refused(why)
            }
            Err(error) => Made::Refused(format!("{error:#}")),
        }
    }

    fn try_compile(&self, file: &Path, info: &ModuleInfo, bounds: Bounds) -> anyhow::Result<Result<TaskModule, End>> {
        let wasm = File::open(file).context("failed to read it")?;
        let draft = self.cache.draft().context("failed to make a file for the compiled code")?;
        let end = child::compile(&self.program, wasm, &info.digest, draft.output()?, bounds)?;
        if !matches!(end, End::Compiled) {
            return Ok(Err(end));
        }
        let code = draft.keep_as(&self.cache, &info.digest).context("failed to read the compiled code")?;
        let module = self.link(info, code.bytes()).context("the compiled module cannot be used by this host")?;
        Ok(Ok(module))
    }

    fn cached(&self, info: &ModuleInfo) -> Option<TaskModule> {
        let code = self.cache.code(&info.digest)?;
        self.link(info, code.bytes()).ok()
    }

    #[expect(unsafe_code, reason = "links native code that this program's own compiler made")]
    fn link(&self, info: &ModuleInfo, code: &[u8]) -> Result<TaskModule, afresh_sandbox::ModuleError> {
        // SAFETY: the code comes from a child process running this very binary, or from the cache, which proves that it
        // came from one; the sandbox checks that it belongs to this module and this build.
        unsafe { self.sandbox.load_compiled(info.clone(), code) }
    }
}

/// What starts this very program again. On Linux that is the file it was started from even after an upgrade has put
/// another in its place, whose code this one could not use.
fn own_program() -> std::io::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe() }
}
