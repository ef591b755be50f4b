//! The real `afresh`: the release binary, a worker with one slot, and the example `memory-bomb` as its only task module.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use afresh_harness::SOON;
use anyhow::Context as _;
use serde::Deserialize;

use crate::child::{Group, output_of};
use crate::contender::{Attempt, Contender, Running};
use crate::program;
use crate::sample::Ms;
use crate::scenario::{self, Scenario};

/// Its name in tables and plots.
pub const NAME: &str = "Afresh";

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The program and a folder with the one task module.
pub struct Afresh {
    program: PathBuf,
    tasks: PathBuf,
}

impl Afresh {
    /// Builds the program in release, unless there is one, and with it the task module.
    ///
    /// # Errors
    /// If either does not build.
    pub fn build(program: Option<PathBuf>, cache: &Path) -> anyhow::Result<Self> {
        let program = program::given_or_built(program)?;
        let tasks = cache.join("memory-tasks");
        let bomb = Path::new(ROOT).join("examples/memory-bomb");
        output_of(Command::new(&program).arg("build").arg(bomb).arg("--out").arg(&tasks))?;
        Ok(Self { program, tasks })
    }
}

impl Contender for Afresh {
    fn name(&self) -> &str {
        NAME
    }

    fn polling(&self) -> Option<&'static str> {
        None
    }

    fn start(&self, scenario: Scenario, redis: &str, log: &Path) -> anyhow::Result<Box<dyn Running>> {
        let mut worker = Command::new(&self.program);
        worker.args(["worker", "--broker", redis, "--queues", "default", "--concurrency", "1"]);
        worker.arg("--tasks").arg(&self.tasks).args(["--log-format", "json"]);
        let mut group = Group::spawn(worker.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()))?;
        let pid = group.head().id();
        let stderr = group.head().stderr.take().context("the worker’s stderr is a pipe")?;
        let file = File::create(log).with_context(|| format!("failed to write {}", log.display()))?;
        let (ready, is_ready) = channel();
        let reader = std::thread::spawn(move || {
            let mut entries = Vec::new();
            follow(stderr, file, |entry| {
                if entry.message.starts_with(READY) {
                    let _ = ready.send(());
                }
                entries.push(entry);
            });
            entries
        });
        wait(&is_ready).with_context(|| format!("the worker did not get ready; see {}", log.display()))?;
        let mut producer = Command::new(&self.program);
        producer.args(["enqueue", "--broker", redis, "memory-bomb"]);
        producer.arg(serde_json::json!({ "bytes": scenario::BYTES, "text": scenario == Scenario::Text }).to_string());
        producer.args(["--max-attempts", &scenario::MAX_ATTEMPTS.to_string()]);
        producer.args(["--min-backoff", &format!("{}ms", scenario::MIN_BACKOFF_MS)]);
        producer.args(["--max-backoff", &format!("{}ms", scenario::MAX_BACKOFF_MS)]);
        Ok(Box::new(RunningAfresh { group, pid, producer, reader }))
    }
}

/// How the worker's line begins that says it takes jobs from now on.
const READY: &str = "worker started";

fn wait(ready: &Receiver<()>) -> anyhow::Result<()> {
    Ok(ready.recv_timeout(SOON)?)
}

struct RunningAfresh {
    group: Group,
    pid: u32,
    producer: Command,
    reader: JoinHandle<Vec<Entry>>,
}

impl Running for RunningAfresh {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn enqueue(&mut self) -> anyhow::Result<()> {
        output_of(&mut self.producer).map(|_| ())
    }

    fn stop(self: Box<Self>) -> anyhow::Result<Vec<Attempt>> {
        let Self { group, reader, .. } = *self;
        drop(group);
        let entries = reader.join().ok().context("the thread that reads the worker’s log panicked")?;
        attempts(&entries)
    }
}

/// One line of the worker's log, as far as it matters here.
#[derive(Deserialize)]
struct Entry {
    timestamp: jiff::Timestamp,
    message: String,
    attempt: Option<u64>,
    outcome: Option<String>,
    /// By the broker's clock, which is this machine's too.
    started_at: Option<jiff::Timestamp>,
    late_us: Option<f64>,
    peak_memory_bytes: Option<u64>,
}

/// Hands over each line of the log, and keeps a copy.
fn follow(stderr: ChildStderr, mut copy: File, mut found: impl FnMut(Entry)) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let _ = writeln!(copy, "{line}");
        if let Ok(entry) = serde_json::from_str(&line) {
            found(entry);
        }
    }
}

/// # Errors
/// If an attempt came to anything but *failed*: then it did not do what was asked of it.
fn attempts(entries: &[Entry]) -> anyhow::Result<Vec<Attempt>> {
    let ended = entries.iter().filter(|entry| entry.message.starts_with("attempt finished"));
    let attempt = |entry: &Entry| {
        let outcome = entry.outcome.as_deref().unwrap_or("nothing");
        anyhow::ensure!(outcome == "failed", "an attempt came to {outcome} and not to failed");
        let started = entry.started_at.context("an attempt came to its end without a start")?;
        Ok(Attempt {
            started: milliseconds(started),
            ended: Some(milliseconds(entry.timestamp)),
            late: entry.late_us.filter(|_| entry.attempt > Some(1)).map(|us| us / 1000.0),
            guest_peak: entry.peak_memory_bytes,
            ..Attempt::default()
        })
    };
    ended.map(attempt).collect()
}

fn milliseconds(at: jiff::Timestamp) -> Ms {
    at.as_nanosecond() as f64 / 1e6
}
