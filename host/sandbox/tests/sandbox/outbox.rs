//! What a guest puts into its outbox: it arrives as it is, within the walls, and what is refused arrives nowhere.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use afresh_sandbox::{Call, Cancel, Limits, ModuleKind, Outbox, Outcome, OutcomeKind, Refusal, Report, check};

use crate::support::{load, sandbox};

/// An outbox that remembers what was put, and refuses the spec `refused`.
#[derive(Default)]
struct Kept(Mutex<Vec<(Vec<u8>, Vec<u8>)>>);

impl Outbox for Kept {
    fn put(&self, spec: &[u8], payload: &[u8]) -> Result<(), Refusal> {
        if spec == b"refused" {
            return Err(Refusal::NotAJob);
        }
        self.0.lock().unwrap().push((spec.to_vec(), payload.to_vec()));
        Ok(())
    }
}

impl Kept {
    /// The lengths of what was put, spec and payload.
    fn lengths(&self) -> Vec<(usize, usize)> {
        self.0.lock().unwrap().iter().map(|(spec, payload)| (spec.len(), payload.len())).collect()
    }
}

/// Runs a guest with `body` as `_start`, which may call `$put` (spec from 0 on, payload from 65536 on: their lengths) and
/// `$answer` (adds a digit to the reply).
fn run(body: &str, limits: &Limits) -> (Report, Arc<Kept>) {
    let guest = format!(
        r#"(module
        (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
        (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
        (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
        (memory (export "memory") 128)
        (data (i32.const 0) "refused and more")
        (data (i32.const 65536) "\00\ff payload")
        (func $put (param i32 i32) (result i32)
          (call $enqueue (i32.const 0) (local.get 0) (i32.const 65536) (local.get 1)))
        (func $answer (param i32)
          (i32.store8 (i32.const 8388600) (i32.add (i32.const 48) (local.get 0)))
          (call $reply (i32.const 8388600) (i32.const 1)))
        (func (export "_start") (local $n i32) {body}))"#
    );
    let kept = Arc::new(Kept::default());
    let call = Call { outbox: Some(kept.clone()), ..Call::default() };
    let report = sandbox().run(&load(&guest), call, limits, &Cancel::new()).expect("the sandbox works");
    (report, kept)
}

/// What a guest was answered that puts, one after the other, specs and payloads of these lengths; and what arrived.
fn answers(puts: &[(usize, usize)], limits: &Limits) -> (String, Vec<(usize, usize)>) {
    let put = |(spec, payload): &(usize, usize)| {
        format!("(call $answer (call $put (i32.const {spec}) (i32.const {payload})))")
    };
    let (report, kept) = run(&puts.iter().map(put).collect::<String>(), limits);
    let Outcome::Succeeded(reply) = report.outcome else { panic!("ended as {report:?}") };
    (String::from_utf8(reply).unwrap(), kept.lengths())
}

fn limits() -> Limits {
    Limits { timeout: Duration::from_secs(10), ..Limits::default() }
}

#[test]
fn what_is_put_arrives_as_it_is() {
    let (report, kept) = run("(call $answer (call $put (i32.const 16) (i32.const 10)))", &limits());
    assert!(matches!(&report.outcome, Outcome::Succeeded(reply) if reply == b"0"), "{report:?}");
    let expected = (b"refused and more".to_vec(), b"\0\xff payload".to_vec());
    assert_eq!(*kept.0.lock().unwrap(), [expected]);
}

#[test]
fn what_the_outbox_refuses_is_told_to_the_guest_and_counts_against_no_limit() {
    let one = Limits { requests: 1, ..limits() };
    assert_eq!(answers(&[(7, 3), (7, 3), (8, 3), (8, 3)], &one), ("3302".into(), vec![(8, 3)]));
    let ten = Limits { outbox: 10, ..limits() };
    assert_eq!(answers(&[(7, 3), (7, 3), (6, 4)], &ten), ("330".into(), vec![(6, 4)]));
}

#[test]
fn a_request_over_the_count_is_refused() {
    let limits = limits();
    assert_eq!(limits.requests, 1000, "the guest below puts so many");
    let body = "(loop
        (if (call $put (i32.const 2) (i32.const 0)) (then unreachable))
        (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000))))
        (call $answer (call $put (i32.const 2) (i32.const 0)))";
    let (report, kept) = run(body, &limits);
    assert!(matches!(&report.outcome, Outcome::Succeeded(reply) if reply == b"2"), "{report:?}");
    assert_eq!(kept.lengths(), [(2, 0); 1000]);
}

#[test]
fn a_request_over_the_bytes_is_refused_and_a_smaller_one_still_fits() {
    let limits = Limits { outbox: 100, ..limits() };
    let puts = [(8, 52), (8, 33), (8, 32), (0, 1), (0, 0)];
    assert_eq!(answers(&puts, &limits), ("02020".into(), vec![(8, 52), (8, 32), (0, 0)]));
}

#[test]
fn a_spec_of_exactly_its_cap_is_taken_and_of_one_byte_more_is_not() {
    assert_eq!(answers(&[(65536, 0), (65537, 0)], &limits()), ("02".into(), vec![(65536, 0)]));
}

#[test]
fn a_huge_payload_is_refused_before_anybody_copies_it() {
    // All of the memory there is, which is more than an attempt may put by default.
    assert_eq!(answers(&[(2, 8_323_072), (2, 1 << 20)], &limits()), ("20".into(), vec![(2, 1 << 20)]));
}

#[test]
fn a_pointer_outside_the_memory_traps_with_an_outbox_too() {
    let (report, kept) = run("(drop (call $put (i32.const 2) (i32.const -1)))", &limits());
    assert_eq!((report.outcome.kind(), kept.lengths()), (OutcomeKind::Trapped, vec![]), "{report:?}");
}

// Whether anything comes of it is for the host to say, who knows how the attempt ended.
#[test]
fn after_a_verdict_requests_are_taken_and_the_verdict_stands() {
    let (report, kept) = run(
        "(call $verdict (i32.const 2) (i64.const -1))
        (if (call $put (i32.const 2) (i32.const 3)) (then unreachable))",
        &limits(),
    );
    assert_eq!((report.outcome.kind(), kept.lengths()), (OutcomeKind::Rejected, vec![(2, 3)]));
}

#[test]
fn a_module_that_only_enqueues_is_an_sdk_module() {
    let wasm = wat::parse_str(
        r#"(module
        (import "afresh_v1" "enqueue" (func (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")))"#,
    );
    assert_eq!(check(&wasm.unwrap()).unwrap().kind, ModuleKind::Sdk);
}
