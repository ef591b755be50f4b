//! How long after its deadline, a cancel or a lost lease an attempt has ended: in the sandbox alone, on this process's
//! threads. It has ended when `Sandbox::run` answers, and its memory is gone by then.

use std::thread;
use std::time::{Duration, Instant};

use afresh_harness::catalogue::{self, Case};
use afresh_sandbox::{Call, Cancel, Limits, OutcomeKind, Reason, Sandbox, SandboxConfig, TaskModule};
use anyhow::{Context as _, ensure};

use crate::figures::Times;

/// What is meant to be hard to end: a loop, a sleep, storms of host calls of every kind, and instructions that take long.
const GUESTS: [&str; 9] = [
    "time_loop",
    "time_sleep_a_year",
    "time_loop_with_host_calls",
    "time_random_byte_by_byte",
    "random_huge",
    "error_without_end",
    "log_storm",
    "time_memory_fill",
    "time_memory_copy",
];

/// The most milliseconds that the median and 99 of 100 may take.
const AT_MOST: (f64, f64) = (20.0, 100.0);

/// How soon one guest was ended for one reason.
pub(crate) struct Kill {
    pub(crate) guest: String,
    pub(crate) why: &'static str,
    pub(crate) times: Times,
}

impl Kill {
    pub(crate) fn is_kept(&self) -> bool {
        self.times.median() <= AT_MOST.0 && self.times.p99() <= AT_MOST.1
    }
}

pub(crate) fn measure(count: usize, only: &str) -> anyhow::Result<Vec<Kill>> {
    let sandbox = Sandbox::new(&SandboxConfig { slots: 1, ..SandboxConfig::default() })?;
    let cases = catalogue::hostile();
    let mut kills = Vec::new();
    for guest in GUESTS.iter().filter(|guest| guest.contains(only)) {
        let case = cases.iter().find(|case| case.name == *guest).with_context(|| format!("no guest {guest}"))?;
        let module = sandbox.load(&case.wasm)?;
        for (why, reason) in
            [("deadline", None), ("cancel", Some(Reason::Cancelled)), ("lost lease", Some(Reason::LeaseLost))]
        {
            let mut times = Times::default();
            for n in 0..count {
                // Not always at the same place of the guest's, and of the clock's.
                let after = Duration::from_micros(5_000 + (n as u64 * 7_919) % 10_000);
                times.push(end(&sandbox, &module, case, after, reason)?);
            }
            kills.push(Kill { guest: case.name.clone(), why, times });
        }
    }
    Ok(kills)
}

/// Lets a guest run so long, ends it, and answers how long that took.
fn end(
    sandbox: &Sandbox,
    module: &TaskModule,
    case: &Case,
    after: Duration,
    reason: Option<Reason>,
) -> anyhow::Result<Duration> {
    let timeout = if reason.is_none() { after } else { Duration::from_secs(600) };
    let memory = case.number("memory").unwrap_or(Limits::default().memory);
    let (limits, cancel) = (Limits { timeout, memory, ..Limits::default() }, Cancel::new());
    let began = Instant::now();
    let (asked, report, ended) = thread::scope(|scope| {
        let attempt = scope.spawn(|| {
            let report = sandbox.run(module, Call::default(), &limits, &cancel);
            (report, Instant::now())
        });
        let asked = match reason {
            None => began + after,
            Some(reason) => {
                thread::sleep(after);
                let asked = Instant::now();
                cancel.cancel(reason);
                asked
            }
        };
        let (report, ended) = attempt.join().expect("the sandbox does not panic");
        (asked, report, ended)
    });
    let expected = match reason {
        None => OutcomeKind::TimedOut,
        Some(Reason::Cancelled) => OutcomeKind::Cancelled,
        Some(_) => OutcomeKind::Lost,
    };
    let kind = report?.outcome.kind();
    ensure!(kind == expected, "{} ended as {kind}, not as {expected}", case.name);
    Ok(ended.saturating_duration_since(asked))
}
