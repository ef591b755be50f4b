//! What the tests share: one sandbox for the process, and a way to run a guest that reads like a sentence.

use std::sync::LazyLock;
use std::time::Duration;

use afresh_sandbox::{Call, Cancel, Limits, Report, Sandbox, SandboxConfig, TaskModule};

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    let config = SandboxConfig { slots: 4, max_memory: 256 << 20, ..SandboxConfig::default() };
    Sandbox::new(&config).expect("this machine can run guests")
});

/// The sandbox.
pub(crate) fn sandbox() -> &'static Sandbox {
    &SANDBOX
}

/// Loads a guest written as text.
pub(crate) fn load(wat: &str) -> TaskModule {
    sandbox().load(&wat::parse_str(wat).expect("the guest is valid text")).expect("the guest is a task module")
}

/// Runs a guest once with the usual limits and ten seconds.
pub(crate) fn run(module: &TaskModule) -> Report {
    let limits = Limits { timeout: Duration::from_secs(10), ..Limits::default() };
    sandbox().run(module, Call::default(), &limits, &Cancel::new()).expect("the sandbox works")
}
