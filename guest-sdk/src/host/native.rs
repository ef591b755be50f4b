//! The laptop's stand-in for a host: the payload on standard input, the reply on standard output, everything else on
//! standard error, and the exit codes of a plain command.

use std::io::{self, IsTerminal, Read, Write};
use std::process;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use afresh_protocol::TaskPolicy;
use afresh_protocol::abi::{LogLevel, Refusal, Verdict, exit};

use crate::error::TaskError;
use crate::run::{Task, find};

/// What this process will exit with.
static EXIT_CODE: AtomicI32 = AtomicI32::new(exit::OK);

/// Exit code of a failure that may be retried, as of any program that fails.
const FAILED: i32 = 1;

/// Exit code of a command line that was not understood.
const WRONG_USAGE: i32 = 2;

/// Bytes of an enqueued job's payload that are shown as they are; of a longer one only the length is.
const SHOWN_PAYLOAD: usize = 200;

/// Rust's own report of a panic is what a person at a terminal wants.
pub(crate) fn start() {}

/// Ends the process where the code is not 0; otherwise `main` returns.
pub(crate) fn end() {
    match EXIT_CODE.load(Ordering::Relaxed) {
        exit::OK => {}
        code => {
            eprintln!();
            process::exit(code)
        }
    }
}

/// The task that the command line names; a program of one task needs no name.
pub(crate) fn chosen(tasks: &[Task]) -> Result<&Task, TaskError> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next(), tasks) {
        (None, _, [task]) => Ok(task),
        (Some(flag), None, _) if flag == "--help" || flag == "-h" => {
            println!("{}", usage(tasks));
            process::exit(exit::OK)
        }
        (Some(name), None, _) => find(tasks, &name),
        _ => {
            eprintln!("{}", usage(tasks));
            process::exit(WRONG_USAGE)
        }
    }
}

fn usage(tasks: &[Task]) -> String {
    let mut text = "Runs one task without a host: the payload on standard input, the reply on standard output.\n\n\
                    Usage: cargo run -- [TASK] < PAYLOAD\n\nTasks:"
        .to_owned();
    for task in tasks {
        let policies = TaskPolicy::parse_section(task.policy.as_bytes()).unwrap_or_default();
        let asks: Vec<_> = policies.iter().flat_map(asks).collect();
        text += format!("\n  {}  {}", task.name, asks.join(", ")).trim_end();
    }
    text
}

/// What a task asks for, in the words of the attribute.
fn asks(policy: &TaskPolicy) -> impl Iterator<Item = String> {
    let duration = |millis| format!("{:?}", Duration::from_millis(millis));
    [
        policy.max_attempts.map(|n| format!("max_attempts = {n}")),
        policy.timeout_ms.map(|ms| format!("timeout = {}", duration(ms))),
        policy.memory.map(|bytes| format!("memory = {bytes} bytes")),
        policy.fuel.map(|fuel| format!("fuel = {fuel}")),
        policy.min_backoff_ms.map(|ms| format!("min_backoff = {}", duration(ms))),
        policy.max_backoff_ms.map(|ms| format!("max_backoff = {}", duration(ms))),
    ]
    .into_iter()
    .flatten()
}

pub(crate) fn payload() -> Vec<u8> {
    if io::stdin().is_terminal() {
        eprintln!("reading the payload from standard input; end it with Ctrl-D");
    }
    let mut payload = Vec::new();
    if let Err(e) = io::stdin().read_to_end(&mut payload) {
        eprintln!("cannot read the payload from standard input: {e}");
        process::exit(FAILED);
    }
    payload
}

pub(crate) fn reply(bytes: &[u8]) {
    let mut out = io::stdout();
    let mut written = out.write_all(bytes);
    if out.is_terminal() {
        written = written.and_then(|()| out.write_all(b"\n"));
    }
    if let Err(e) = written.and_then(|()| out.flush()) {
        eprintln!("cannot write the reply to standard output: {e}");
        process::exit(FAILED);
    }
}

pub(crate) fn verdict(verdict: Verdict, delay: Option<Duration>) {
    let (word, code) = match verdict {
        Verdict::Failed => ("failed", FAILED),
        Verdict::Panicked => ("panicked", FAILED),
        Verdict::Rejected | Verdict::BadPayload => ("rejected", exit::REJECTED),
        Verdict::Snoozed => ("snoozed", exit::TEMPORARY),
    };
    EXIT_CODE.store(code, Ordering::Relaxed);
    match delay {
        Some(delay) if verdict == Verdict::Failed => eprint!("{word} (retry after {delay:?}): "),
        _ => eprint!("{word}: "),
    }
}

/// Standard error may be closed; then nobody wants to hear it.
pub(crate) fn error(bytes: &[u8]) {
    let _ = io::stderr().write_all(bytes);
}

pub(crate) fn log(level: LogLevel, line: &[u8]) {
    let _ = writeln!(io::stderr(), "{level}: {}", String::from_utf8_lossy(line));
}

pub(crate) fn progress(fraction: f64) {
    let _ = writeln!(io::stderr(), "progress: {:.0} %", fraction * 100.0);
}

pub(crate) fn deadline_left() -> Option<Duration> {
    None
}

/// There is no queue here, so it is only told.
pub(crate) fn enqueue(spec: &[u8], payload: &[u8]) -> Result<(), Refusal> {
    let _ = writeln!(io::stderr(), "{}", told(spec, payload));
    Ok(())
}

/// A job in words: its spec as it is, and its payload where a person can read it.
fn told(spec: &[u8], payload: &[u8]) -> String {
    let payload = match std::str::from_utf8(payload) {
        Ok(text) if text.len() <= SHOWN_PAYLOAD && !text.contains(char::is_control) => text.to_owned(),
        _ => format!("{} bytes", payload.len()),
    };
    format!("would enqueue {} with the payload {payload}", String::from_utf8_lossy(spec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_told_with_its_payload_or_with_its_length() {
        let spec = b"{\"task\":\"resize\",\"id\":\"local.1\"}";
        let said = "would enqueue {\"task\":\"resize\",\"id\":\"local.1\"} with the payload ";
        for (payload, shown) in [
            (&b"[\"caf\xc3\xa9\",1]"[..], "[\"caf\u{e9}\",1]"),
            (b"\x1b[0m", "4 bytes"),
            (b"\xff", "1 bytes"),
            (&[b'x'; SHOWN_PAYLOAD + 1], "201 bytes"),
        ] {
            assert_eq!(told(spec, payload), format!("{said}{shown}"));
        }
    }
}
