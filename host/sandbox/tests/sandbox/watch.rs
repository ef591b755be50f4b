//! Somebody looks at an attempt while it runs: he sees what the guest said so far, and the guest does not wait for him.

use std::thread;
use std::time::Duration;

use afresh_sandbox::{Call, Cancel, Limits, OutcomeKind, Reason, Report, Watch};

use crate::support::{load, sandbox};

/// Says something in every way there is, then spins until it is ended.
const TALKER: &str = r#"(module
    (import "afresh_v1" "progress" (func $progress (param f64)))
    (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "loggedprinted\nunfinished")
    (func (export "_start")
      (call $log (i32.const 2) (i32.const 0) (i32.const 6))
      (i32.store (i32.const 64) (i32.const 6))
      (i32.store (i32.const 68) (i32.const 18))
      (drop (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 128)))
      (call $progress (f64.const nan))
      (call $progress (f64.const 7))
      (loop (br 0))))"#;

/// Logs 100 000 lines of 40 bytes, as fast as it can.
const STORM: &str = r#"(module
    (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
    (memory (export "memory") 1)
    (func (export "_start") (local $left i32)
      (local.set $left (i32.const 100000))
      (loop
        (call $log (i32.const 1) (i32.const 0) (i32.const 40))
        (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#;

/// Runs a guest while somebody looks on.
fn watched(guest: &str, watch: &Watch, cancel: &Cancel, look: impl FnOnce(&dyn Fn() -> bool)) -> Report {
    let module = load(guest);
    let call = Call { watch: Some(watch.clone()), ..Call::default() };
    let limits = Limits { timeout: Duration::from_secs(20), ..Limits::default() };
    thread::scope(|scope| {
        let attempt = scope.spawn(|| sandbox().run(&module, call, &limits, cancel));
        look(&|| attempt.is_finished());
        attempt.join().expect("no panic").expect("the sandbox works")
    })
}

#[test]
fn progress_and_lines_are_seen_while_the_guest_runs_and_the_report_has_them_too() {
    let (watch, cancel) = (Watch::new(64 << 10), Cancel::new());
    let report = watched(TALKER, &watch, &cancel, |finished| {
        let (mut lines, mut progress) = (Vec::new(), None);
        while progress.is_none() && !finished() {
            let Some(glimpse) = watch.take() else {
                thread::yield_now();
                continue;
            };
            lines.extend(glimpse.lines.iter().map(|line| format!("{}: {}", line.level, line.text)));
            progress = glimpse.progress;
        }
        assert_eq!((lines, progress), (vec!["warn: logged".into(), "info: printed".into()], Some(1.0)));
        assert_eq!(watch.take(), None);
        cancel.cancel(Reason::Cancelled);
    });
    assert_eq!((report.outcome.kind(), report.progress, report.log.len()), (OutcomeKind::Cancelled, Some(1.0), 3));
    // The line without an end was one only when the guest had ended.
    assert_eq!(watch.take().expect("a last line").lines[0].text, "unfinished");
}

#[test]
fn a_storm_is_bounded_and_counted_whether_or_not_somebody_looks() {
    for looks in [false, true] {
        let watch = Watch::new(4096);
        let (mut seen, mut missed) = (0, 0);
        let mut look = || {
            let glimpse = watch.take().unwrap_or_default();
            assert!(glimpse.lines.len() <= 4096 / 40, "{} lines at once", glimpse.lines.len());
            seen += glimpse.lines.len() as u64;
            missed += glimpse.missed;
        };
        let report = watched(STORM, &watch, &Cancel::new(), |finished| {
            while looks && !finished() {
                look();
            }
        });
        look();
        assert_eq!(report.outcome.kind(), OutcomeKind::Succeeded, "{report:?}");
        assert_eq!(seen + missed, 100_000, "a line is seen, or counted as missed");
        assert!(looks || seen < 100, "{seen} lines were kept for nobody");
    }
}
