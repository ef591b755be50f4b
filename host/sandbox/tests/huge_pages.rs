//! A guest that grows large has huge pages, where the system gives any, and a small one has none. A test binary of its
//! own, because it looks at the whole process.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use afresh_sandbox::{Call, Cancel, Limits, Outbox, OutcomeKind, Refusal, Sandbox, SandboxConfig};

/// Grows by so many pages of 64 KiB, touches every one of them, and lets somebody look before it ends.
const GUEST: &str = r#"(module
    (import "afresh_v1" "enqueue" (func $look (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
      (if (i32.eq (memory.grow (i32.const PAGES)) (i32.const -1)) (then unreachable))
      (memory.fill (i32.const 65536) (i32.const 120) (i32.mul (i32.const PAGES) (i32.const 65536)))
      (drop (call $look (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))))"#;

/// What was there when the guest let look, in bytes.
#[derive(Default)]
struct Seen(AtomicUsize);

impl Outbox for Seen {
    fn put(&self, _: &[u8], _: &[u8]) -> Result<(), Refusal> {
        self.0.store(huge(), Ordering::Relaxed);
        Ok(())
    }
}

/// Bytes of this process that lie in huge pages.
fn huge() -> usize {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").expect("Linux");
    let line = rollup.lines().find_map(|line| line.strip_prefix("AnonHugePages:")).expect("there is such a line");
    line.trim().strip_suffix(" kB").and_then(|kib| kib.parse::<usize>().ok()).expect("a number of KiB") << 10
}

/// What a guest that grows by so many bytes has in huge pages at its end, and what is left of that afterwards.
fn run(sandbox: &Sandbox, bytes: usize) -> (usize, usize) {
    let guest = GUEST.replace("PAGES", &(bytes >> 16).to_string());
    let module = sandbox.load(&wat::parse_str(guest).unwrap()).unwrap();
    let seen = Arc::new(Seen::default());
    let before = huge();
    let call = Call { outbox: Some(seen.clone()), ..Call::default() };
    let report = sandbox.run(&module, call, &Limits::default(), &Cancel::new()).unwrap();
    assert_eq!(report.outcome.kind(), OutcomeKind::Succeeded, "{report:?}");
    (seen.0.load(Ordering::Relaxed).saturating_sub(before), huge().saturating_sub(before))
}

#[test]
fn a_large_guest_has_huge_pages_while_it_runs_and_a_small_one_in_its_slot_has_none() {
    let enabled = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let sandbox = Sandbox::new(&SandboxConfig { slots: 1, ..SandboxConfig::default() }).unwrap();
    if enabled.contains("[always]") {
        // Then small guests have them too, whoever asks.
        return;
    }
    let (during, after) = run(&sandbox, 64 << 20);
    assert_eq!(after, 0, "all of them went back");
    match enabled.contains("[madvise]") {
        // All but the beginning, and a remainder at its end; a system that is short of them may give fewer.
        true => assert!((16 << 20..=62 << 20).contains(&during), "{during}"),
        false => assert_eq!(during, 0),
    }
    for bytes in [1 << 20, 2 << 20] {
        assert_eq!(run(&sandbox, bytes), (0, 0), "{bytes}");
    }
}
