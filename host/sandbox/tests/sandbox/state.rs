//! Nothing crosses from one attempt to the next: not to the same module, not to the next module in that slot, however the
//! attempt ended and however the slot is made ready for the next.
//!
//! Every attempt looks for a marker in all places, then leaves one in all of them, and looks again: then it must find
//! every one, so that each attempt proves that its own look was worth something. What it says (reply, error, log) and
//! what it was told (arguments, environment, payload) carry its number, so that another's would be seen.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use afresh_sandbox::{
    Call, Cancel, InUse, Limits, Outbox, Outcome, OutcomeKind, Reason, Refusal, Report, Sandbox, SandboxConfig,
    TaskModule,
};

/// Attempts for each way to reset a slot.
const ATTEMPTS: u32 = 100_000;

/// Where markers go: the bottom, where the linker puts the stack; beside and between the data segments; the end of what
/// modules start with; and what they grow by, to its last byte.
const PLACES: [u32; 14] = [
    8, 4_096, 32_760, 65_528, 66_000, 131_072, 199_992, 200_016, 262_136, 524_288, 899_992, 900_024, 1_048_576,
    1_114_104,
];

/// What it does at the end is the first letter of its payload, and follows the order of [`Way`].
const GUEST: &str = r#"(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "afresh_v1" "payload_read" (func $read (param i32 i32 i32) (result i32)))
  (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
  (import "afresh_v1" "error_write" (func $error (param i32 i32)))
  (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
  (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
  (import "afresh_v1" "enqueue" (func $enqueue (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") PAGES)
  (global $global (mut i64) (i64.const 0))
  (global $vector (mut v128) (v128.const i64x2 0 0))
  (table $table 8 funcref)
  (elem declare func $one)
  (data $passive "passive")
  DATA
  (func $one (param i32) (result i32)
    (i64.eq (i64.load (local.get 0)) (i64.const 0x5ec2e75ec2e75ec2)))

  ;; How many markers there are; anything that is neither a marker nor nothing counts as a hundred.
  (func $look (result i32) (local $n i32)
    LOOK
    (local.set $n (i32.add (local.get $n) (i64.ne (global.get $global) (i64.const 0))))
    (local.set $n (i32.add (local.get $n) (v128.any_true (global.get $vector))))
    (local.set $n (i32.add (local.get $n) (i32.eqz (ref.is_null (table.get $table (i32.const 5))))))
    (local.set $n (i32.add (local.get $n) (i32.eqz (ref.is_null (table.get $table (i32.const 900))))))
    (local.get $n))
  (func $at (param i32) (result i32)
    (if (i64.eqz (i64.load (local.get 0))) (then (return (i32.const 0))))
    (if (call $one (local.get 0)) (then (return (i32.const 1))))
    (i32.const 100))
  (func $mark
    MARK
    (global.set $global (i64.const 1))
    (global.set $vector (v128.const i64x2 1 1))
    (table.set $table (i32.const 5) (ref.func $one))
    (table.set $table (i32.const 900) (ref.func $one))
    (data.drop $passive))

  (func (export "_start") (local $len i32)
    (if (i32.eq (memory.grow (i32.sub (i32.const 17) (memory.size))) (i32.const -1)) (then unreachable))
    (if (i32.eq (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1)) (then unreachable))
    (if (call $look) (then (call $verdict (i32.const 2) (i64.const -1)) (return)))
    ;; It traps here where the segment was dropped before.
    (memory.init $passive (i32.const 2000) (i32.const 0) (i32.const 7))
    (call $mark)
    (if (i32.ne (call $look) (i32.const MARKERS)) (then (call $verdict (i32.const 2) (i64.const -1)) (return)))

    (local.set $len (call $read (i32.const 1024) (i32.const 32) (i32.const 0)))
    (drop (call $args (i32.const 1100) (i32.const 1056)))
    (drop (call $environ (i32.const 1100) (i32.const 1072)))
    (call $log (i32.const 1) (i32.const 1024) (local.get $len))
    (call $error (i32.const 1024) (local.get $len))
    (call $reply (i32.const 1024) (i32.const 64))
    (block $spin (block $memory (block $exit (block $trap (block $fail (block $return
      (br_table $return $fail $trap $exit $memory $spin
        (i32.sub (i32.load8_u (i32.const 1024)) (i32.const 97))))
      (return))
      (call $verdict (i32.const 1) (i64.const -1)) (return))
      (drop (i32.div_u (i32.const 1) (i32.const 0))))
      (call $exit (i32.const 3)))
      (drop (memory.grow (i32.const 60000))) unreachable)
    (drop (call $enqueue (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (loop (br 0))))"#;

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Return,
    Fail,
    Trap,
    Exit,
    OutOfMemory,
    TimeOut,
    Cancel,
}

impl Way {
    /// The two that take a tick of the clock come seldom.
    fn of(attempt: u32) -> Self {
        match attempt % 1_000 {
            0 => Self::TimeOut,
            500 => Self::Cancel,
            // Eleven is prime to three modules, so that every way comes before every module.
            other => [Self::Return, Self::Fail, Self::Trap, Self::Exit, Self::OutOfMemory][other as usize % 11 % 5],
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Return => 'a',
            Self::Fail => 'b',
            Self::Trap => 'c',
            Self::Exit => 'd',
            Self::OutOfMemory => 'e',
            Self::TimeOut | Self::Cancel => 'f',
        }
    }

    fn outcome(self) -> OutcomeKind {
        match self {
            Self::Return => OutcomeKind::Succeeded,
            Self::Fail | Self::Exit => OutcomeKind::Failed,
            Self::Trap => OutcomeKind::Trapped,
            Self::OutOfMemory => OutcomeKind::OutOfMemory,
            Self::TimeOut => OutcomeKind::TimedOut,
            Self::Cancel => OutcomeKind::Cancelled,
        }
    }
}

/// An outbox that cancels the attempt which puts something into it.
struct Ends(Cancel);

impl Outbox for Ends {
    fn put(&self, _: &[u8], _: &[u8]) -> Result<(), Refusal> {
        self.0.cancel(Reason::Cancelled);
        Ok(())
    }
}

#[test]
fn nothing_crosses_where_slots_are_wiped_as_they_are_by_default() {
    nothing_crosses(SandboxConfig::default().keep_resident);
}

#[test]
fn nothing_crosses_where_every_page_goes_back_to_the_system() {
    nothing_crosses(0);
}

#[test]
fn nothing_crosses_where_all_of_a_slot_is_wiped_in_place() {
    nothing_crosses(16 << 20);
}

#[test]
fn nothing_crosses_where_there_is_no_pool() {
    // More slots than there is room for in any address space.
    let sandbox = Sandbox::new(&SandboxConfig { slots: 1_000_000, ..SandboxConfig::default() }).unwrap();
    assert!(sandbox.on_demand().is_some(), "this test needs instances that are made on demand");
    run_all(&sandbox);
}

fn nothing_crosses(keep_resident: usize) {
    // One slot, so that everybody gets the same memory.
    let sandbox = Sandbox::new(&SandboxConfig { slots: 1, keep_resident, ..SandboxConfig::default() }).unwrap();
    assert_eq!(sandbox.on_demand(), None, "this test needs the pool");
    run_all(&sandbox);
}

fn run_all(sandbox: &Sandbox) {
    let modules = [
        module(sandbox, 1, ""),
        module(sandbox, 4, r#"(data (i32.const 64) "image") (data (i32.const 200000) "image")"#),
        module(sandbox, 16, r#"(data (i32.const 900000) "another image")"#),
    ];
    for attempt in 0..ATTEMPTS {
        let way = Way::of(attempt);
        let id = format!("{}{attempt:06}", way.letter());
        let report = run(sandbox, &modules[attempt as usize % modules.len()], &id, way);
        check(&report, &id, way).unwrap_or_else(|wrong| panic!("attempt {attempt}, {way:?}: {wrong}: {report:?}"));
    }
    assert_eq!(sandbox.in_use(), InUse::default());
}

fn module(sandbox: &Sandbox, pages: u32, data: &str) -> TaskModule {
    let (mut look, mut mark) = (String::new(), String::new());
    for place in PLACES {
        // Writing to a string cannot fail.
        let _ = writeln!(look, "(local.set $n (i32.add (local.get $n) (call $at (i32.const {place}))))");
        let _ = writeln!(mark, "(i64.store (i32.const {place}) (i64.const 0x5ec2e75ec2e75ec2))");
    }
    let text = GUEST
        .replace("PAGES", &pages.to_string())
        .replace("DATA", data)
        .replace("LOOK", &look)
        .replace("MARKERS", &(PLACES.len() + 4).to_string())
        .replace("MARK", &mark);
    sandbox.load(&wat::parse_str(text).expect("valid text")).expect("a task module")
}

fn run(sandbox: &Sandbox, module: &TaskModule, id: &str, way: Way) -> Report {
    let cancel = Cancel::new();
    let outbox = (way == Way::Cancel).then(|| Arc::new(Ends(cancel.clone())) as Arc<dyn Outbox>);
    let call = Call {
        task: format!("t{id}"),
        payload: id.as_bytes().to_vec(),
        env: [("E", id)].into(),
        outbox,
        ..Call::default()
    };
    // Long for a machine that is busy, where it is not to be reached.
    let timeout = if way == Way::TimeOut { Duration::from_millis(20) } else { Duration::from_secs(60) };
    sandbox.run(module, call, &Limits { timeout, ..Limits::default() }, &cancel).expect("the sandbox works")
}

/// What of a report is not this attempt's own.
fn check(report: &Report, id: &str, way: Way) -> Result<(), &'static str> {
    if report.outcome.kind() != way.outcome() {
        return Err("it ended otherwise: rejected means that it saw what it must not");
    }
    // On a busy machine its time may be over before it says anything.
    let silent = way == Way::TimeOut && report.log.is_empty();
    if !silent && (report.log.len() != 1 || report.log[0].text != id) {
        return Err("the log is not its own");
    }
    match &report.outcome {
        Outcome::Succeeded(reply) => {
            // Payload at 0, argument at 32, environment at 48, each as the host wrote it.
            let mut own = [0; 64];
            own[..7].copy_from_slice(id.as_bytes());
            own[32..40].copy_from_slice(format!("t{id}").as_bytes());
            own[48..57].copy_from_slice(format!("E={id}").as_bytes());
            if *reply == own { Ok(()) } else { Err("the reply is not its own") }
        }
        Outcome::Failed { error, .. } if way == Way::Fail && error.message != id => Err("the error is not its own"),
        _ => Ok(()),
    }
}
