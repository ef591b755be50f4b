//! What an attempt took goes back to the system when it ends. A test binary of its own, because it looks at the whole
//! process.

use std::time::Duration;

use afresh_sandbox::{Call, Cancel, Limits, OutcomeKind, Sandbox, SandboxConfig, TaskModule};

/// Touches every page of 128 MiB, says all of it as its error, and fails.
const BOMB: &str = r#"(module
    (import "afresh_v1" "error_write" (func $error (param i32 i32)))
    (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
    (memory (export "memory") 1)
    (func (export "_start")
      (if (i32.eq (memory.grow (i32.const 2048)) (i32.const -1)) (then unreachable))
      (memory.fill (i32.const 65536) (i32.const 120) (i32.const 134217728))
      (call $error (i32.const 65536) (i32.const 134217728))
      (call $verdict (i32.const 1) (i64.const -1))))"#;

/// The process's resident memory in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}

fn run(sandbox: &Sandbox, module: &TaskModule) {
    let limits = Limits { memory: 256 << 20, timeout: Duration::from_secs(60), ..Limits::default() };
    let report = sandbox.run(module, Call::default(), &limits, &Cancel::new()).unwrap();
    assert_eq!(report.outcome.kind(), OutcomeKind::Failed, "{report:?}");
    let error = report.outcome.error().unwrap();
    assert_eq!(error.total_bytes, 128 << 20);
    assert!(error.message.len() <= limits.error && report.usage.peak_memory_bytes == (128 << 20) + 65536);
}

#[test]
fn after_128_mib_were_touched_the_process_is_back_where_it_was() {
    let sandbox = Sandbox::new(&SandboxConfig { slots: 1, ..SandboxConfig::default() }).unwrap();
    let module = sandbox.load(&wat::parse_str(BOMB).unwrap()).unwrap();
    sandbox.self_test().unwrap();
    run(&sandbox, &module);
    let before = resident();
    for round in 0..5 {
        run(&sandbox, &module);
        let after = resident();
        assert!(after <= before + (1 << 20), "round {round}: {before} before, {after} after");
    }
}
