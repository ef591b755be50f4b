//! `memory.fill` and `memory.copy` do what they always do, and end with their attempt however long they are.

use std::time::Duration;

use afresh_sandbox::{Call, Cancel, Limits, Outcome, OutcomeKind, Report};

use crate::support::{load, sandbox};

/// Bytes of the guest's memory.
const MEMORY: usize = 8 << 20;

/// Makes every byte of its memory another, does what `OPERATION` says, and replies with all of its memory.
const GUEST: &str = r#"(module
    (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
    (memory (export "memory") 128)
    (func $pattern (local $at i32)
      (loop
        (i32.store (local.get $at) (i32.mul (local.get $at) (i32.const 0x9e3779b1)))
        (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 8388608)))))
    (func (export "_start")
      (call $pattern)
      OPERATION
      (call $reply (i32.const 0) (i32.const 8388608))))"#;

fn run(operation: &str) -> Report {
    let limits = Limits { output: MEMORY, ..Limits::default() };
    let module = load(&GUEST.replace("OPERATION", operation));
    sandbox().run(&module, Call::default(), &limits, &Cancel::new()).expect("the sandbox works")
}

/// The memory as the guest leaves it.
fn memory_after(operation: &str) -> Vec<u8> {
    match run(operation).outcome {
        Outcome::Succeeded(memory) => memory,
        other => panic!("{operation} ended as {other:?}"),
    }
}

fn pattern() -> Vec<u8> {
    (0..MEMORY as u32).step_by(4).flat_map(|at| at.wrapping_mul(0x9e37_79b1).to_le_bytes()).collect()
}

/// An instruction with its length as a constant, and as a number that nobody knows before.
fn ways(instruction: &str, to: usize, what: usize, length: usize) -> [String; 2] {
    [
        format!("({instruction} (i32.const {to}) (i32.const {what}) (i32.const {length}))"),
        format!("({instruction} (i32.const {to}) (i32.const {what}) (i32.add (i32.const {length}) (i32.const 0)))"),
    ]
}

const LENGTHS: [usize; 7] = [0, 1, 100, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 17];

#[test]
fn a_fill_of_any_length_fills_exactly_that() {
    for length in LENGTHS {
        let mut expected = pattern();
        expected[777..777 + length].fill(0x5a);
        for way in ways("memory.fill", 777, 0x5a, length) {
            assert!(memory_after(&way) == expected, "{way}");
        }
    }
}

#[test]
fn a_copy_of_any_length_onto_itself_copies_as_if_by_way_of_elsewhere() {
    for length in LENGTHS {
        for (to, from) in [(5, 9), (9, 5), (0, 1 << 20), (1 << 20, 0), (12_345, 2_000_000), (4 << 20, 4 << 20)] {
            let mut expected = pattern();
            expected.copy_within(from..from + length, to);
            for way in ways("memory.copy", to, from, length) {
                assert!(memory_after(&way) == expected, "{way}");
            }
        }
    }
}

#[test]
fn up_to_the_end_is_fine_and_one_byte_more_traps() {
    let length = 2 << 20;
    let last = MEMORY - length;
    for (instruction, to, what, is_fine) in [
        ("memory.fill", last, 1, true),
        ("memory.fill", last + 1, 1, false),
        ("memory.fill", u32::MAX as usize, 1, false),
        ("memory.copy", last, 0, true),
        ("memory.copy", 0, last, true),
        ("memory.copy", last + 1, 0, false),
        ("memory.copy", 0, last + 1, false),
        ("memory.copy", u32::MAX as usize, 0, false),
    ] {
        for way in ways(instruction, to, what, length) {
            let report = run(&way);
            let kind = if is_fine { OutcomeKind::Succeeded } else { OutcomeKind::Trapped };
            assert_eq!(report.outcome.kind(), kind, "{way}");
            if let Some(error) = report.outcome.error() {
                assert!(error.message.contains("outside its bounds"), "{error:?}");
            }
        }
    }
}

/// As a ratio, since machines differ: with a deadline at its very beginning it takes a small part of the time it takes
/// without. A machine that stalls gets other tries.
#[test]
fn a_long_one_is_interrupted_in_the_middle() {
    for instruction in ["memory.fill", "memory.copy"] {
        for way in ways(instruction, 0, 100 << 20, 100 << 20) {
            let wasm = format!(r#"(module (memory (export "memory") 3200) (func (export "_start") {way}))"#);
            let module = load(&wasm);
            let took = |timeout: Duration, kind: OutcomeKind| {
                let limits = Limits { timeout, memory: 256 << 20, ..Limits::default() };
                let report = sandbox().run(&module, Call::default(), &limits, &Cancel::new()).unwrap();
                assert_eq!(report.outcome.kind(), kind, "{way}");
                report.usage.wall_us
            };
            let is_cut = |_| {
                let whole = took(Duration::from_secs(60), OutcomeKind::Succeeded);
                took(Duration::from_millis(1), OutcomeKind::TimedOut) < whole / 3
            };
            assert!((0..10).any(is_cut), "{way}");
        }
    }
}
