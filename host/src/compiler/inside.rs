//! The process that compiles one module, as it sees itself: it gives up all it does not need, and lives no longer than its
//! parent.

use std::io::{Read as _, Write as _};

use afresh_sandbox::check::{self, MAX_MODULE_BYTES};
use afresh_sandbox::{ModuleError, Sandbox, SandboxConfig};
use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getppid, nice, setrlimit};

use super::bounds::MAX_CODE_BYTES;

/// The exit code that says that the module is refused, and nothing else: every other fault may be this machine's.
pub const REFUSED: u8 = 3;

/// How far the compiler stands back behind guests that want the same cores: it gets about a third of what one of them does.
const NICE: i32 = 5;

/// Binds this process to its parent and to its means. The first thing it does.
///
/// # Errors
/// When the parent is gone, or the system does not take a limit.
pub fn confine(parent: u32, processor_seconds: u64, memory: u64) -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .context("failed to bind the compiler's process to its parent's life")?;
    // Before the line above it may have ended unseen.
    let still_there = getppid().is_some_and(|pid| pid.as_raw_nonzero().get().cast_unsigned() == parent);
    anyhow::ensure!(still_there, "the process that wanted this module compiled is gone");
    limit(Resource::Core, 0, 0)?;
    // A second apart: the first ends it with a signal of its own, which tells that it was this.
    limit(Resource::Cpu, processor_seconds, processor_seconds.saturating_add(1))?;
    // Data and not address space: the engine reserves much of that without using it.
    limit(Resource::Data, memory, memory)?;
    limit(Resource::Fsize, MAX_CODE_BYTES, MAX_CODE_BYTES)?;
    // That it cannot stand back is no reason not to work.
    let _ = nice(NICE);
    Ok(())
}

fn limit(resource: Resource, soft: u64, hard: u64) -> anyhow::Result<()> {
    setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })
        .with_context(|| format!("failed to limit the compiler's process ({resource:?})"))
}

/// Reads a module of this digest from standard input, writes its code to standard output. Inside the answer is why the
/// module is refused, if it is.
///
/// # Errors
/// What went wrong here, whatever the module is.
pub fn compile_stdin(digest: &str) -> anyhow::Result<Result<(), ModuleError>> {
    // One in which hardly anything can run: what is reserved for guests would count as this process's memory, and nothing
    // an operator sets changes the code.
    let config = SandboxConfig { slots: 1, max_memory: 64 << 10, keep_resident: 0 };
    let sandbox = Sandbox::new(&config).map_err(|error| anyhow::anyhow!("failed to {error}"))?;
    let mut wasm = Vec::new();
    let most = MAX_MODULE_BYTES as u64 + 1;
    std::io::stdin().lock().take(most).read_to_end(&mut wasm).context("failed to read the module")?;
    // Else what is said of this one would be remembered of that one.
    anyhow::ensure!(check::digest(&wasm) == digest, "the file was changed before it could be compiled");
    let code = match sandbox.compile(&wasm) {
        Ok(code) => code,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut output = std::io::stdout().lock();
    // Flushed here, because an error at the end of the program would go unseen.
    output.write_all(&code).and_then(|()| output.flush()).context("failed to write the code")?;
    Ok(Ok(()))
}
