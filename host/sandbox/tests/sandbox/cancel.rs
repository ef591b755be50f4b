//! Somebody outside ends an attempt: it ends wherever it is, alone, and as what it was ended for.

use std::thread;
use std::time::{Duration, Instant};

use afresh_sandbox::{Call, Cancel, Limits, OutcomeKind, Reason, TaskModule};

use crate::support::{load, run, sandbox};

const SPIN: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#;

const SLEEP: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
      (i64.store (i32.const 24) (i64.const 31536000000000000))
      (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))"#;

/// Runs a guest that would go on for ever, until it is cancelled; its outcome, and how long that took.
fn cancelled(module: &TaskModule, reason: Reason) -> (OutcomeKind, Duration) {
    let cancel = Cancel::new();
    let limits = Limits { timeout: Duration::from_secs(300), ..Limits::default() };
    thread::scope(|scope| {
        let attempt = scope.spawn(|| sandbox().run(module, Call::default(), &limits, &cancel));
        // Long enough for the guest to be at it; if it is not, the test is still right.
        thread::sleep(Duration::from_millis(30));
        let since = Instant::now();
        cancel.cancel(reason);
        let report = attempt.join().expect("no panic").expect("the sandbox works");
        (report.outcome.kind(), since.elapsed())
    })
}

#[test]
fn a_spinning_or_sleeping_guest_ends_as_what_it_was_ended_for() {
    for guest in [SPIN, SLEEP] {
        let module = load(guest);
        for (reason, kind) in [
            (Reason::Cancelled, OutcomeKind::Cancelled),
            (Reason::Shutdown, OutcomeKind::Interrupted),
            (Reason::LeaseLost, OutcomeKind::Lost),
        ] {
            let (outcome, took) = cancelled(&module, reason);
            assert_eq!(outcome, kind);
            assert!(took < Duration::from_secs(5), "took {took:?}");
        }
    }
}

#[test]
fn a_guest_that_was_cancelled_before_it_began_does_not_run() {
    let cancel = Cancel::new();
    cancel.cancel(Reason::Cancelled);
    let report = sandbox().run(&load(SPIN), Call::default(), &Limits::default(), &cancel).unwrap();
    assert_eq!((report.outcome.kind(), report.usage.peak_memory_bytes), (OutcomeKind::Cancelled, 0));
}

#[test]
fn a_cancel_does_not_hit_a_neighbour() {
    let (spin, quick) = (load(SPIN), load(include_str!("../../../../tests/guests/plain/echo_sdk.wat")));
    thread::scope(|scope| {
        let attempt = scope.spawn(|| cancelled(&spin, Reason::Cancelled));
        while !attempt.is_finished() {
            let call = Call { payload: b"hello".to_vec(), ..Call::default() };
            let report = sandbox().run(&quick, call, &Limits::default(), &Cancel::new()).unwrap();
            assert_eq!(report.outcome.kind(), OutcomeKind::Succeeded, "{report:?}");
        }
    });
}

#[test]
fn attempts_beyond_the_slots_wait_instead_of_failing() {
    let module = load(include_str!("../../../../tests/guests/plain/time_sleep_a_little.wat"));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(run(&module).outcome.kind(), OutcomeKind::Succeeded));
        }
    });
}

#[test]
fn an_attempt_that_waits_for_a_slot_can_be_cancelled() {
    let config = afresh_sandbox::SandboxConfig { slots: 1, ..Default::default() };
    let sandbox = afresh_sandbox::Sandbox::new(&config).unwrap();
    let module = sandbox.load(&wat::parse_str(SPIN).unwrap()).unwrap();
    let limits = Limits { timeout: Duration::from_secs(300), ..Limits::default() };
    let (first, second) = (Cancel::new(), Cancel::new());
    thread::scope(|scope| {
        let holder = scope.spawn(|| sandbox.run(&module, Call::default(), &limits, &first));
        while sandbox.in_use().slots == 0 {
            thread::yield_now();
        }
        let waiter = scope.spawn(|| sandbox.run(&module, Call::default(), &limits, &second));
        second.cancel(Reason::Shutdown);
        assert_eq!(waiter.join().unwrap().unwrap().outcome.kind(), OutcomeKind::Interrupted);
        first.cancel(Reason::Cancelled);
        assert_eq!(holder.join().unwrap().unwrap().outcome.kind(), OutcomeKind::Cancelled);
    });
    assert_eq!(sandbox.in_use(), afresh_sandbox::InUse::default());
}

#[test]
fn the_self_test_passes_here() {
    sandbox().self_test().unwrap();
}
