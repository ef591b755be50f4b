//! Secrets: the guest has them, and nobody reads of them, wherever it says them.

use std::time::Duration;

use afresh_sandbox::{Call, Cancel, Limits, Outcome, Report, Secret, Secrets, Watch};

use crate::support::{load, sandbox};

/// What must not be seen anywhere.
const VALUE: &str = "hunter22-correct-horse";

fn call() -> Call {
    let secrets = Secrets::new(vec![("API_KEY".to_owned(), Secret::new(VALUE).unwrap())]).unwrap();
    Call { secrets, env: [("LANG", "C")].into(), watch: Some(Watch::new(4096)), ..Call::default() }
}

/// Runs a guest whose `_start` is this; at 0 stand the secret's value and the words around it.
fn run(body: &str, limits: &Limits) -> Report {
    let module = load(&format!(
        r#"(module
        (import "afresh_v1" "log" (func $log (param i32 i32 i32)))
        (import "afresh_v1" "error_write" (func $error (param i32 i32)))
        (import "afresh_v1" "reply_write" (func $reply (param i32 i32)))
        (import "afresh_v1" "verdict" (func $verdict (param i32 i64)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 4)
        (data (i32.const 0) "{VALUE}")
        (data (i32.const 100) "the key is {VALUE}, so there")
        (data (i32.const 1000) "\00\00\00\00\0a\00\00\00\0a\00\00\00\0c\00\00\00")
        (func (export "_start") {body}))"#
    ));
    let call = call();
    let watch = call.watch.clone().unwrap();
    let report = sandbox().run(&module, call, limits, &Cancel::new()).unwrap();
    let seen = format!("{:?} {:?} {:?}", report.log, report.outcome.error(), watch.take());
    assert!(!seen.contains("hunter") && !seen.contains("horse"), "{seen}");
    assert!(seen.contains("[secret API_KEY]"), "{seen}");
    report
}

fn limits() -> Limits {
    Limits { timeout: Duration::from_secs(60), ..Limits::default() }
}

#[test]
fn a_secret_is_a_variable_beside_the_others() {
    let module = load(
        r#"(module
        (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
          (drop (call $sizes (i32.const 0) (i32.const 12)))
          (drop (call $get (i32.const 64) (i32.const 1024)))
          (i32.store (i32.const 8) (i32.const 1024))
          (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))))"#,
    );
    let report = sandbox().run(&module, call(), &limits(), &Cancel::new()).unwrap();
    let Outcome::Succeeded(reply) = report.outcome else { panic!("{report:?}") };
    // Everything there is, and the reply is the guest's own: it may hold a secret.
    assert_eq!(String::from_utf8(reply).unwrap(), format!("LANG=C\0API_KEY={VALUE}\0"));
}

#[test]
fn a_secret_is_in_no_line_of_the_log() {
    let report = run("(call $log (i32.const 1) (i32.const 100) (i32.const 43))", &limits());
    assert_eq!(report.log[0].text, "the key is [secret API_KEY], so there");
    // Written to stdout, then to stderr, each in two pieces.
    let twice = "(drop (call $write (i32.const FD) (i32.const 1000) (i32.const 2) (i32.const 2000)))";
    for fd in ["1", "2"] {
        let report = run(&twice.replace("FD", fd), &limits());
        assert_eq!(report.log[0].text, "[secret API_KEY]");
    }
    // At the place where a long line is cut.
    for before in 8_160..8_200 {
        let fill = format!("(memory.fill (i32.const 20000) (i32.const 120) (i32.const {before}))");
        let copy = format!("(memory.copy (i32.const {}) (i32.const 0) (i32.const 22))", 20_000 + before);
        let log = "(call $log (i32.const 1) (i32.const 20000) (i32.const 10000))";
        let also = "(call $log (i32.const 1) (i32.const 0) (i32.const 22))";
        run(&format!("{fill} {copy} {log} {also}"), &limits());
    }
}

#[test]
fn a_secret_is_in_no_error() {
    let said = [("1", "failed"), ("2", "rejected"), ("4", "panicked"), ("5", "bad_payload")];
    for (verdict, kind) in said {
        let body = format!(
            "(call $verdict (i32.const {verdict}) (i64.const -1))
            (call $error (i32.const 100) (i32.const 15)) (call $error (i32.const 115) (i32.const 28))"
        );
        let error = run(&body, &limits()).outcome.error().cloned().unwrap();
        assert_eq!((error.kind.as_str(), error.message.as_str()), (kind, "the key is [secret API_KEY], so there"));
        assert!(!error.truncated, "{error:?}");
    }
}

#[test]
fn a_secret_is_not_cut_into_parts_where_an_error_is() {
    let limits = Limits { error: 400, ..limits() };
    for before in 250..330 {
        let body = format!(
            "(call $verdict (i32.const 1) (i64.const -1))
            (memory.fill (i32.const 20000) (i32.const 120) (i32.const {before}))
            (memory.fill (i32.const 30000) (i32.const 121) (i32.const 1000))
            (call $error (i32.const 20000) (i32.const {before}))
            (call $error (i32.const 0) (i32.const 7)) (call $error (i32.const 7) (i32.const 15))
            (call $error (i32.const 30000) (i32.const {})) (call $error (i32.const 0) (i32.const 22))",
            1000 - before
        );
        run(&body, &limits);
    }
}

#[test]
fn a_reply_is_left_as_it_is() {
    let body = "(call $log (i32.const 1) (i32.const 0) (i32.const 22)) (call $reply (i32.const 0) (i32.const 22))";
    assert_eq!(run(body, &limits()).outcome, Outcome::Succeeded(VALUE.into()));
}
