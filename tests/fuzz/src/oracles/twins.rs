//! A task does the same natively, in a test of its author's, and as a guest in the sandbox.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use afresh::{Context, Enqueued, TaskError, TestContext, Verdict};
use afresh_protocol::enqueue::Request as Spec;
use afresh_sandbox::{Limits, Outcome, Report, TaskModule};
use fuzz_tasks::{bytes, echo, nothing, script, typed};

use super::attempt::{Request, attempt_of, sandbox};
use crate::counts::count;
use crate::generators::task_call::TaskCall;
use crate::generators::trial::{Grants, Trial};

/// The tasks as a guest, as `scripts/fuzz` builds them.
const GUEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/fuzz/tasks/wasm32-wasip1/guest/fuzz-tasks.wasm");

/// The longest wait a guest may ask for.
const MAX_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);

/// Bytes of a line that are kept; a longer one is cut in the sandbox, and not in a test.
const LONGEST_LINE: usize = 8 << 10;

/// Runs both, and compares.
///
/// # Panics
/// Where they differ.
pub fn compare(call: &TaskCall) {
    let ctx = Context::test().with_enqueue_limit(call.requests as usize);
    let native = natively(call, &ctx);
    let (report, requests) = as_guest(call);
    compare_ends(&native, &report);
    assert_eq!(report.progress, ctx.last_progress());
    compare_logs(&report, &ctx.logs());
    if matches!(native, Native::Replied(_)) {
        let asked: Vec<_> = requests.iter().map(Asked::by_guest).collect();
        assert_eq!(asked, ctx.enqueued().iter().map(Asked::natively).collect::<Vec<_>>());
    }
}

/// How a task ended natively.
#[derive(Debug)]
enum Native {
    Replied(Vec<u8>),
    Failed(TaskError),
    Panicked(String),
}

fn natively(call: &TaskCall, ctx: &TestContext) -> Native {
    let payload = call.payload.clone();
    let run = || match call.task {
        "script" => ctx.run::<script>(payload),
        "echo" => ctx.run::<echo>(payload),
        "typed" => ctx.run::<typed>(payload),
        "bytes" => ctx.run::<bytes>(payload),
        "nothing" => ctx.run::<nothing>(payload),
        other => panic!("there is no task {other}"),
    };
    match expecting_panics(run) {
        Ok(Ok(reply)) => Native::Replied(reply),
        Ok(Err(error)) => Native::Failed(error),
        Err(message) => Native::Panicked(message),
    }
}

fn as_guest(call: &TaskCall) -> (Report, Vec<Request>) {
    let limits = Limits {
        memory: 32 << 20,
        // Time is no part of the comparison, however slow the machine.
        timeout: Duration::from_secs(600),
        output: 4 << 20,
        error: 1 << 20,
        log: 4 << 20,
        requests: call.requests,
        ..Limits::default()
    };
    let grants = Grants { outbox: true, ..Grants::default() };
    let trial = Trial { payload: call.payload.clone(), limits, cancel: None, grants, watched: false };
    // What `Context::test` is.
    let env = [("AFRESH_TASK", call.task), ("AFRESH_JOB_ID", "test")];
    attempt_of(guest(), call.task, &env, &trial)
}

fn guest() -> &'static TaskModule {
    static GUEST_MODULE: LazyLock<TaskModule> = LazyLock::new(|| {
        let wasm = std::fs::read(Path::new(GUEST));
        let wasm = wasm.unwrap_or_else(|error| panic!("{GUEST}: {error}; scripts/fuzz builds it"));
        sandbox().load(&wasm).expect("a module of the SDK's is admitted")
    });
    &GUEST_MODULE
}

fn compare_ends(native: &Native, report: &Report) {
    let outcome = &report.outcome;
    match (native, outcome) {
        (Native::Replied(reply), Outcome::Succeeded(guests)) => assert_eq!(guests, reply),
        (Native::Failed(error), Outcome::Snoozed(delay)) => {
            assert_eq!(error.verdict(), Verdict::Snoozed);
            assert_eq!(Some(*delay), error.delay().map(as_told));
        }
        (Native::Failed(error), Outcome::Failed { error: record, retry_after }) => {
            assert_eq!(error.verdict(), Verdict::Failed);
            assert_eq!(*retry_after, error.delay().map(as_told));
            compare_texts(&error.to_string(), &record.message, "failed without saying why");
        }
        (Native::Failed(error), Outcome::Rejected(record)) => {
            assert!(error.is_rejected());
            assert_eq!(record.kind == "bad_payload", error.verdict() == Verdict::BadPayload);
            compare_texts(&error.to_string(), &record.message, "rejected the job without saying why");
        }
        (Native::Panicked(message), Outcome::Panicked(record)) => {
            assert!(record.message.starts_with(message.as_str()), "{message:?} is {:?} to a host", record.message);
        }
        _ => panic!("natively {native:?}, as a guest {report:?}"),
    }
}

/// The white space at an error's end is cut off in the sandbox.
fn compare_texts(native: &str, guests: &str, silent: &str) {
    let native = native.trim_ascii_end();
    assert!(
        guests == native || native.is_empty() && (guests == silent || guests.is_empty()),
        "{native:?} is {guests:?}"
    );
}

/// A wait is told in milliseconds, rounded up, and is at most a year.
fn as_told(delay: Duration) -> Duration {
    let millis = u64::try_from(delay.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    Duration::from_millis(millis).min(MAX_DELAY)
}

fn compare_logs(report: &Report, native: &[String]) {
    let guests: Vec<_> = report.log.iter().map(|line| format!("{}: {}", line.level, line.text)).collect();
    if native.iter().all(|line| line.len() < LONGEST_LINE) {
        assert_eq!(guests, native);
        count("logs compared");
    }
}

/// What of a further job is the same for both.
#[derive(Debug, PartialEq)]
struct Asked {
    id: String,
    task: String,
    queue: String,
    delay: Duration,
    priority: i32,
    key: Option<String>,
    payload: Vec<u8>,
}

impl Asked {
    fn by_guest(request: &Request) -> Self {
        let spec = Spec::parse(&request.spec).expect("the SDK checks what it hands over");
        Self {
            id: spec.id.unwrap_or_default(),
            task: spec.task,
            queue: spec.queue.unwrap_or_else(|| "default".to_owned()),
            delay: Duration::from_millis(spec.delay_ms.unwrap_or_default()),
            priority: spec.priority.unwrap_or_default(),
            key: spec.key,
            payload: request.payload.clone(),
        }
    }

    fn natively(job: &Enqueued) -> Self {
        let job = job.clone();
        Self {
            id: job.id,
            task: job.task,
            queue: job.queue,
            delay: job.delay,
            priority: job.priority,
            key: job.key,
            payload: job.bytes,
        }
    }
}

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs what may panic, and answers the message. Any other panic is a finding, which libFuzzer's hook ends the process
/// for; so that one must not hear of these.
fn expecting_panics<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: LazyLock<()> = LazyLock::new(|| {
        let finding = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !EXPECTED.get() {
                finding(panic);
            }
        }));
    });
    LazyLock::force(&HOOK);
    EXPECTED.set(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    EXPECTED.set(false);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
}
