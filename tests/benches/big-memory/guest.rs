//! The guest: grows by so much, writes every byte of it, and ends.

use afresh_sandbox::{Call, Cancel, Limits, OutcomeKind, Sandbox, SandboxConfig, TaskModule};
use anyhow::ensure;

/// What `vec![b'x'; bytes]` comes to in a task.
const TEXT: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "_start")
      (if (i32.eq (memory.grow (i32.const PAGES)) (i32.const -1)) (then unreachable))
      (memory.fill (i32.const 65536) (i32.const 120) (i32.mul (i32.const PAGES) (i32.const 65536)))))"#;

/// A guest in its sandbox.
pub(crate) struct Guest {
    sandbox: Sandbox,
    module: TaskModule,
    limits: Limits,
}

impl Guest {
    /// One that touches so many MiB.
    pub(crate) fn new(mib: usize) -> anyhow::Result<Self> {
        let sandbox = Sandbox::new(&SandboxConfig { slots: 1, ..SandboxConfig::default() })?;
        let text = TEXT.replace("PAGES", &(mib << 4).to_string());
        let module = sandbox.load(&wat::parse_str(text)?)?;
        // Beside what it touches it has the page it starts with.
        let limits = Limits { memory: (mib as u64 + 1) << 20, ..Limits::default() };
        Ok(Self { sandbox, module, limits })
    }

    /// One attempt.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let report = self.sandbox.run(&self.module, Call::default(), &self.limits, &Cancel::new())?;
        ensure!(report.outcome.kind() == OutcomeKind::Succeeded, "an attempt ended as {}", report.outcome.kind());
        Ok(())
    }
}
