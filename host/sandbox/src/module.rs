//! A task module, checked, compiled and pre-linked: everything that can be done once is done.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::{InstancePre, Module, ModuleExport};

use crate::bulk::interruptible;
use crate::check::{self, ModuleInfo};
use crate::engine::{Core, Metering};
use crate::error::{ModuleError, bounded};
use crate::state::State;

/// A module that is ready to run, any number of times and from any thread. Clones share the code.
#[derive(Clone)]
pub struct TaskModule(Arc<Ready>);

struct Ready {
    info: ModuleInfo,
    pre: InstancePre<State>,
    exports: Exports,
    metering: Metering,
}

/// Where in a module its exports are, so that no attempt has to look for their names.
pub(crate) struct Exports {
    pub(crate) start: ModuleExport,
    pub(crate) memory: ModuleExport,
}

impl TaskModule {
    /// What is known of the module.
    pub fn info(&self) -> &ModuleInfo {
        &self.0.info
    }

    /// Whether it was compiled to count its fuel.
    pub fn is_metered(&self) -> bool {
        self.0.metering == Metering::Fuel
    }

    pub(crate) fn pre(&self) -> &InstancePre<State> {
        &self.0.pre
    }

    pub(crate) fn exports(&self) -> &Exports {
        &self.0.exports
    }

    /// Compiles a checked module here and now.
    pub(crate) fn compile(core: &Core, metering: Metering, info: ModuleInfo, wasm: &[u8]) -> Result<Self, ModuleError> {
        let wasm = interruptible(wasm).map_err(|e| ModuleError::Compile(bounded(e)))?;
        let module = Module::from_binary(&core.engine, &wasm).map_err(compile_error)?;
        Self::link(core, metering, info, &module)
    }

    /// Takes what [`Artifact::compile`] made.
    ///
    /// # Safety
    /// `code` must be what [`Artifact::compile`] answered, unchanged: it is run as native code.
    #[expect(unsafe_code, reason = "loading native code that a child process compiled")]
    pub(crate) unsafe fn from_code(
        core: &Core,
        metering: Metering,
        info: ModuleInfo,
        code: &[u8],
    ) -> Result<Self, ModuleError> {
        // SAFETY: the caller vouches for the bytes; wasmtime checks by itself that its version and settings match.
        let module = unsafe { Module::deserialize(&core.engine, code) };
        Self::link(core, metering, info, &module.map_err(|e| ModuleError::Stale(bounded(e)))?)
    }

    fn link(core: &Core, metering: Metering, info: ModuleInfo, module: &Module) -> Result<Self, ModuleError> {
        let pre = core.linker.instantiate_pre(module).map_err(compile_error)?;
        let export = |name| {
            let export = module.get_export_index(name);
            export.ok_or_else(|| ModuleError::Compile(format!("it does not export `{name}`")))
        };
        let exports = Exports { start: export("_start")?, memory: export("memory")? };
        Ok(Self(Arc::new(Ready { info, pre, exports, metering })))
    }
}

/// Compiled code with a header that says which module it belongs to: `afresh`, a version, the metering, the module's
/// SHA-256, then wasmtime's code.
pub(crate) struct Artifact<'a> {
    pub(crate) metering: Metering,
    pub(crate) code: &'a [u8],
}

/// [`COMPILED`](crate::check::COMPILED) and the version of this header.
const MAGIC: &[u8; 7] = b"afresh\x02";
const HEADER: usize = MAGIC.len() + 1 + 32;

impl<'a> Artifact<'a> {
    /// Compiles a checked module.
    pub(crate) fn compile(core: &Core, metering: Metering, wasm: &[u8]) -> Result<Vec<u8>, ModuleError> {
        let rewritten = interruptible(wasm).map_err(|e| ModuleError::Compile(bounded(e)))?;
        let code = core.engine.precompile_module(&rewritten).map_err(compile_error)?;
        let mut bytes = Vec::with_capacity(HEADER + code.len());
        bytes.extend_from_slice(MAGIC);
        bytes.push(u8::from(metering == Metering::Fuel));
        bytes.extend_from_slice(&Sha256::digest(wasm));
        bytes.extend_from_slice(&code);
        Ok(bytes)
    }

    /// Reads the header, and sees that the code belongs to the module of this digest.
    pub(crate) fn parse(bytes: &'a [u8], digest: &str) -> Result<Self, ModuleError> {
        let stale = |text: &str| ModuleError::Stale(text.to_owned());
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| stale("it was not made by this version of afresh"))?;
        let (head, code) = rest.split_at_checked(33).ok_or_else(|| stale("it is cut off"))?;
        if check::sha256(&head[1..]) != digest {
            return Err(stale("it belongs to another module"));
        }
        let metering = if head[0] == 1 { Metering::Fuel } else { Metering::Off };
        Ok(Self { metering, code })
    }
}

fn compile_error(error: wasmtime::Error) -> ModuleError {
    ModuleError::Compile(bounded(format_args!("{error:#}")))
}
