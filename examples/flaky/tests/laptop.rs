//! The same program on a laptop, without a host: payload on standard input, reply on standard output, and exit codes
//! that a shell understands.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn flaky(arguments: &[&str], payload: &str) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_flaky"))
        .args(arguments)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that does not read its payload closes the pipe; that is no failure here.
    let _ = process.stdin.take().expect("it was piped").write_all(payload.as_bytes());
    process.wait_with_output().expect("the program ends")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_reply_goes_to_standard_output_and_nothing_else_does() {
    let output = flaky(&[], r#"{"how": "error", "fail_until": 1}"#);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), r#"{"attempt":1}"#));
    assert_eq!(stderr(&output), "info: attempt 1 of 1\n");
}

#[test]
fn an_error_goes_to_standard_error_with_a_code_of_its_kind() {
    for (payload, code, message) in [
        (r#"{"how": "error"}"#, 1, "failed: the line is down (attempt 1)\n"),
        (r#"{"how": "retry_after", "after_ms": 200}"#, 1, "failed (retry after 200ms): the server is busy\n"),
        (r#"{"how": "reject"}"#, 65, "rejected: the account is closed\n"),
        (r#"{"how": 7}"#, 65, "rejected: the payload is not what the task expects: "),
        (r#"{"how": "panic"}"#, 101, "attempt 1 hit a bug"),
    ] {
        let output = flaky(&["flaky"], payload);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(code), ""), "{payload}");
        assert!(stderr(&output).contains(message), "{payload}: {:?}", stderr(&output));
    }
}

#[test]
fn help_names_the_tasks_and_an_unknown_one_is_refused() {
    let help = flaky(&["--help"], "");
    assert_eq!(help.status.code(), Some(0));
    assert!(stdout(&help).contains("\n  flaky  max_attempts = 3, timeout = 5s, memory = 16777216 bytes, "), "{help:?}");
    let unknown = flaky(&["solid"], "");
    assert_eq!(unknown.status.code(), Some(65));
    assert_eq!(stderr(&unknown), "rejected: there is no task `solid` in this module; its tasks are flaky\n");
    assert_eq!(flaky(&["flaky", "twice"], "").status.code(), Some(2));
}
