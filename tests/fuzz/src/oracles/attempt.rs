//! An attempt ends in time, within its walls, as one outcome, and leaves nothing behind.

use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use afresh_sandbox::outbox::Refusal;
use afresh_sandbox::{
    Call, Cancel, InUse, Limits, LogLine, Outbox, Outcome, OutcomeKind, Reason, Report, Sandbox, SandboxConfig,
    SandboxError, TaskModule, Watch,
};

use super::grants::Granted;
use super::in_time;
use crate::counts::count;
use crate::generators::trial::Trial;

/// How long after its deadline an attempt may end.
const SLACK: Duration = Duration::from_secs(2);

/// Bytes of an error's message that are ours: what goes before or in place of what the guest said.
const OUR_WORDS: usize = 512;

/// The most memory an attempt can have here.
const MAX_MEMORY: u64 = 64 << 20;

/// The one sandbox of this process.
pub fn sandbox() -> &'static Sandbox {
    static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
        let config = SandboxConfig { slots: 2, max_memory: MAX_MEMORY, ..SandboxConfig::default() };
        Sandbox::new(&config).expect("this machine can run guests")
    });
    &SANDBOX
}

/// Runs one attempt, and answers with its report what the guest put into its outbox.
///
/// # Panics
/// Where something does not hold.
pub fn attempt(module: &TaskModule, trial: &Trial) -> (Report, Vec<Request>) {
    attempt_of(module, "guest", &[("AFRESH_TASK", "guest")], trial)
}

/// The same of a certain task, in a certain environment.
///
/// # Panics
/// Where something does not hold.
pub fn attempt_of(module: &TaskModule, task: &str, env: &[(&str, &str)], trial: &Trial) -> (Report, Vec<Request>) {
    let (report, outbox, watch, granted) = in_time(trial.limits.timeout + SLACK, || run(module, task, env, trial));
    count("ran");

    let report = report.unwrap_or_else(|error| panic!("our fault, whatever the guest did: failed to {error}"));
    count(report.outcome.kind().as_str());
    assert_eq!(sandbox().in_use(), InUse::default(), "something is left behind");
    assert_outcome(&report.outcome, trial);
    assert_walls(&report, &trial.limits);
    assert_lines(&report.log, trial.limits.log);
    granted.assert_secret_kept(&report.log, report.outcome.error());
    if let Some(glimpse) = watch.take() {
        assert!(trial.watched);
        granted.assert_secret_kept(&glimpse.lines, None);
        assert_lines(&glimpse.lines, trial.limits.log);
        assert_progress(glimpse.progress);
    }
    granted.assert_files_kept();
    let requests = outbox.0.lock().expect("nobody panicked").clone();
    assert_requests(&requests, trial);
    (report, requests)
}

fn run(
    module: &TaskModule,
    task: &str,
    env: &[(&str, &str)],
    trial: &Trial,
) -> (Result<Report, SandboxError>, Arc<Tray>, Watch, Granted) {
    let (cancel, outbox, watch) = (Cancel::new(), Arc::new(Tray::default()), Watch::new(trial.limits.log));
    let granted = Granted::new(trial.grants);
    let call = Call {
        task: task.to_owned(),
        payload: trial.payload.clone(),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        watch: trial.watched.then(|| watch.clone()),
        outbox: trial.grants.outbox.then(|| outbox.clone() as Arc<dyn Outbox>),
        ..granted.call()
    };
    let report = thread::scope(|scope| {
        match trial.cancel {
            Some((Duration::ZERO, reason)) => cancel.cancel(reason),
            Some((after, reason)) => {
                let cancel = cancel.clone();
                scope.spawn(move || {
                    thread::sleep(after);
                    cancel.cancel(reason);
                });
            }
            None => {}
        }
        sandbox().run(module, call, &trial.limits, &cancel)
    });
    (report, outbox, watch, granted)
}

/// The outcome has a cause.
fn assert_outcome(outcome: &Outcome, trial: &Trial) {
    let kind = outcome.kind();
    let ended_by_us = match kind {
        OutcomeKind::Cancelled => Some(Reason::Cancelled),
        OutcomeKind::Interrupted => Some(Reason::Shutdown),
        OutcomeKind::Lost => Some(Reason::LeaseLost),
        _ => None,
    };
    if ended_by_us.is_some() {
        assert_eq!(ended_by_us, trial.cancel.map(|(_, reason)| reason));
    }
    if let Some((Duration::ZERO, _)) = trial.cancel {
        assert!(ended_by_us.is_some(), "it was cancelled before it started, and ended as {kind}");
    }
    assert!(kind != OutcomeKind::OutOfFuel || trial.limits.fuel.is_some());
    assert_ne!(kind, OutcomeKind::BadModule, "the module was admitted");
    let longest = trial.limits.error + OUR_WORDS;
    if let Some(error) = outcome.error() {
        assert!(error.message.len() <= longest, "the error has {} bytes: {error:?}", error.message.len());
    }
}

fn assert_walls(report: &Report, limits: &Limits) {
    let usage = &report.usage;
    assert!(usage.peak_memory_bytes <= limits.memory, "it had {} bytes", usage.peak_memory_bytes);
    if let Outcome::Succeeded(reply) = &report.outcome {
        assert!(reply.len() <= limits.output, "the reply has {} bytes", reply.len());
        assert_eq!(reply.len() as u64, usage.output_bytes);
    }
    if let (Some(fuel), Some(limit)) = (usage.fuel, limits.fuel) {
        assert!(fuel <= limit, "it used {fuel}");
    }
    assert_progress(report.progress);
}

fn assert_progress(progress: Option<f64>) {
    assert!(progress.is_none_or(|fraction| (0.0..=1.0).contains(&fraction)), "{progress:?}");
}

fn assert_lines(lines: &[LogLine], room: usize) {
    let bytes: usize = lines.iter().map(|line| line.text.len()).sum();
    assert!(bytes <= room, "{bytes} bytes of log");
}

fn assert_requests(requests: &[Request], trial: &Trial) {
    let bytes: usize = requests.iter().map(|request| request.spec.len() + request.payload.len()).sum();
    assert!(trial.grants.outbox || requests.is_empty());
    assert!(requests.len() <= trial.limits.requests as usize && bytes <= trial.limits.outbox);
}

/// What a guest asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it says it is.
    pub spec: Vec<u8>,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// An outbox that keeps everything.
#[derive(Default)]
struct Tray(Mutex<Vec<Request>>);

impl Outbox for Tray {
    fn put(&self, spec: &[u8], payload: &[u8]) -> Result<(), Refusal> {
        let request = Request { spec: spec.to_vec(), payload: payload.to_vec() };
        self.0.lock().map_err(|_| Refusal::NotAllowed)?.push(request);
        Ok(())
    }
}
