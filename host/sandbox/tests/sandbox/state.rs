//! Nothing crosses from one attempt to the next: not to the same module, not to the next module in that slot.

use afresh_sandbox::{Call, Cancel, InUse, Limits, OutcomeKind, Sandbox, SandboxConfig};

/// Traps if it finds a marker in memory (low, high, grown), in a global or in a table; then leaves one everywhere, and
/// fails. `TABLE` and `DATA` make it another module.
const MARKER: &str = r#"(module
    (memory (export "memory") 17)
    (global $global (mut i64) (i64.const 0))
    (table $table 8 funcref)
    (elem declare func $mark)
    DATA
    (func $clean (param i32) (if (i64.ne (i64.load (local.get 0)) (i64.const 0)) (then unreachable)))
    (func $mark (param i32) (i64.store (local.get 0) (i64.const 0x5ec2e75ec2e75ec2)))
    (func (export "_start")
      (if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable))
      (call $clean (i32.const 4096))
      (call $clean (i32.const 1000000))
      (call $clean (i32.const 7000000))
      (if (i64.ne (global.get $global) (i64.const 0)) (then unreachable))
      (if (i32.eqz (ref.is_null (table.get $table (i32.const 5)))) (then unreachable))
      (call $mark (i32.const 4096))
      (call $mark (i32.const 1000000))
      (call $mark (i32.const 7000000))
      (global.set $global (i64.const 1))
      (table.set $table (i32.const 5) (ref.func $mark))
      (drop (i32.div_u (i32.const 1) (i32.const 0)))))"#;

#[test]
fn neither_the_next_attempt_nor_the_next_module_sees_a_marker() {
    for keep_resident in [0, 256 << 10, 16 << 20] {
        // One slot, so that everybody gets the same memory.
        let sandbox = Sandbox::new(&SandboxConfig { slots: 1, keep_resident, ..SandboxConfig::default() }).unwrap();
        assert_eq!(sandbox.on_demand(), None, "this test needs the pool");
        let load = |data: &str| sandbox.load(&wat::parse_str(MARKER.replace("DATA", data)).unwrap()).unwrap();
        let modules =
            [load(""), load(r#"(data (i32.const 64) "image")"#), load(r#"(data (i32.const 900000) "image")"#)];
        for round in 0..30 {
            let report = sandbox
                .run(&modules[round % modules.len()], Call::default(), &Limits::default(), &Cancel::new())
                .unwrap();
            let error = report.outcome.error().expect("it fails");
            assert_eq!(report.outcome.kind(), OutcomeKind::Trapped);
            assert!(error.message.contains("divided"), "keeping {keep_resident}, round {round}: {}", error.message);
        }
        assert_eq!(sandbox.in_use(), InUse::default());
    }
}
