//! What is fuzzed: one task of one module, under its limits, on one payload after another.

use std::time::Duration;

use afresh_protocol::abi::env;
use afresh_sandbox::{Call, Cancel, Limits, ModuleError, Report, Sandbox, SandboxConfig, SandboxError, TaskModule};

use crate::dictionary::Dictionary;

/// A task that is run on payloads. It has what an attempt without any grant has: no files, no queue to enqueue into.
pub struct Subject {
    sandbox: Sandbox,
    module: TaskModule,
    task: String,
    limits: Limits,
    words: Dictionary,
}

/// Why a subject cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// There is no sandbox here.
    #[error("failed to {0}")]
    Sandbox(#[from] SandboxError),
    /// The module is refused.
    #[error("the module cannot be run: {0}")]
    Module(#[from] ModuleError),
}

impl Subject {
    /// Compiles a module, with its fuel counted, to be run by `jobs` threads at a time.
    ///
    /// # Errors
    /// When the module is refused, or the machine refuses the sandbox.
    pub fn new(wasm: &[u8], task: impl Into<String>, limits: Limits, jobs: usize) -> Result<Self, SubjectError> {
        let config = SandboxConfig::default();
        let sandbox =
            Sandbox::new(&SandboxConfig { slots: jobs, max_memory: config.max_memory.max(limits.memory), ..config })?;
        let module = sandbox.load_metered(wasm)?;
        // How much fuel it used tells what it did, so it is counted where nobody limits it too.
        let limits = Limits { fuel: limits.fuel.or(Some(u64::MAX)), ..limits };
        Ok(Self { sandbox, module, task: task.into(), limits, words: Dictionary::of(wasm) })
    }

    /// The task's name.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The time one attempt may take.
    pub fn timeout(&self) -> Duration {
        self.limits.timeout
    }

    /// The words of its module.
    pub(crate) fn words(&self) -> &Dictionary {
        &self.words
    }

    /// One attempt, in at most `timeout`.
    ///
    /// # Errors
    /// Only what is our fault, never what the guest did.
    pub fn run(&self, payload: &[u8], timeout: Duration, cancel: &Cancel) -> Result<Report, SubjectError> {
        let variables = [
            (env::TASK, self.task.as_str()),
            (env::JOB_ID, "fuzz"),
            (env::ATTEMPT, "1"),
            (env::MAX_ATTEMPTS, "1"),
            (env::QUEUE, "default"),
        ];
        let call =
            Call { task: self.task.clone(), payload: payload.to_vec(), env: variables.into(), ..Call::default() };
        let limits = Limits { timeout: timeout.min(self.limits.timeout), ..self.limits.clone() };
        Ok(self.sandbox.run(&self.module, call, &limits, cancel)?)
    }
}
