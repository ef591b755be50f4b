//! The real Dramatiq, from its registry, in virtual environments of its own: stock and fixed, with its default poll interval
//! and with a short one. The actor and the fix are the few lines of Python beside this file.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use afresh_harness::{SOON, wait_until};
use anyhow::Context as _;
use serde::Deserialize;

use crate::child::{Group, output_of};
use crate::contender::{Attempt, Contender, Running};
use crate::python;
use crate::sample::Ms;
use crate::scenario::{self, Scenario};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/memory/dramatiq");

/// Releases and kinds to run, each with the client library that was newest for it.
const KINDS: [Kind; 3] = [
    Kind { name: "Dramatiq 2.2.1, stock", release: "2.2.1", redis: "8.1.0", asyncio: "stock" },
    Kind { name: "Dramatiq 2.0.0, fixed", release: "2.0.0", redis: "6.4.0", asyncio: "fixed" },
    Kind { name: "Dramatiq 2.0.0, stock", release: "2.0.0", redis: "6.4.0", asyncio: "stock" },
];

/// How long its worker sleeps between two looks at its queue: what it has by itself (1 s), and the short one.
const POLLING: [(&str, Option<&str>); 2] = [("default", None), ("10 ms", Some("10"))];

#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    release: &'static str,
    redis: &'static str,
    asyncio: &'static str,
}

struct Dramatiq {
    kind: Kind,
    polling: (&'static str, Option<&'static str>),
    python: PathBuf,
}

/// Every kind with every polling. One that cannot be installed is left out, with a line that says so.
pub fn contenders(python: &Path, cache: &Path) -> Vec<Box<dyn Contender>> {
    let mut contenders: Vec<Box<dyn Contender>> = Vec::new();
    for kind in KINDS {
        match environment(python, cache, kind) {
            Ok(python) => contenders.extend(
                POLLING
                    .map(|polling| Box::new(Dramatiq { kind, polling, python: python.clone() }) as Box<dyn Contender>),
            ),
            Err(error) => eprintln!("SKIPPED {}: it cannot be installed: {error:#}", kind.name),
        }
    }
    contenders
}

/// The Python of a virtual environment that has this release.
fn environment(python: &Path, cache: &Path, kind: Kind) -> anyhow::Result<PathBuf> {
    let packages = format!("dramatiq[redis]=={}\nredis=={}", kind.release, kind.redis);
    python::environment(python, &cache.join(format!("dramatiq-{}", kind.release)), &packages)
}

impl Dramatiq {
    fn command(&self, scenario: Scenario, redis: &str, journal: &Path) -> Command {
        let mut command = Command::new(&self.python);
        command
            .current_dir(SCRIPTS)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("BOMB_REDIS", redis)
            .env("BOMB_JOURNAL", journal)
            .env("BOMB_ASYNCIO", self.kind.asyncio)
            .env("BOMB_BYTES", scenario::BYTES.to_string())
            .env("BOMB_TEXT", if scenario == Scenario::Text { "1" } else { "0" })
            .env("BOMB_MAX_ATTEMPTS", scenario::MAX_ATTEMPTS.to_string())
            .env("BOMB_MIN_BACKOFF_MS", scenario::MIN_BACKOFF_MS.to_string())
            .env("BOMB_MAX_BACKOFF_MS", scenario::MAX_BACKOFF_MS.to_string());
        if let Some(milliseconds) = self.polling.1 {
            command.env("dramatiq_worker_timeout", milliseconds);
        }
        command
    }
}

impl Contender for Dramatiq {
    fn name(&self) -> &str {
        self.kind.name
    }

    fn polling(&self) -> Option<&'static str> {
        Some(self.polling.0)
    }

    fn start(&self, scenario: Scenario, redis: &str, log: &Path) -> anyhow::Result<Box<dyn Running>> {
        if log.exists() {
            std::fs::remove_file(log)?;
        }
        let mut worker = self.command(scenario, redis, log);
        // Its own log repeats each error's whole text: 128 MB a line. It goes nowhere, which is kind to it.
        worker.args(["-m", "dramatiq", "bomb", "--processes", "1", "--threads", "1"]);
        let group = Group::spawn(worker.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
        let mut pid = None;
        let ready = wait_until(SOON, || {
            pid = read(log).ok().and_then(|entries| Some(entries.first()?.pid));
            pid.is_some()
        });
        anyhow::ensure!(ready, "{} with {} did not get ready", self.kind.name, self.python.display());
        let mut producer = self.command(scenario, redis, log);
        producer.arg("bomb.py");
        Ok(Box::new(RunningDramatiq {
            _group: group,
            pid: pid.context("no process")?,
            producer,
            journal: log.to_owned(),
        }))
    }
}

struct RunningDramatiq {
    _group: Group,
    pid: u32,
    producer: Command,
    journal: PathBuf,
}

impl Running for RunningDramatiq {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn enqueue(&mut self) -> anyhow::Result<()> {
        output_of(&mut self.producer).map(|_| ())
    }

    fn stop(self: Box<Self>) -> anyhow::Result<Vec<Attempt>> {
        let journal = self.journal.clone();
        drop(self);
        Ok(attempts(&read(&journal)?))
    }
}

/// One line of the journal the Python side writes.
#[derive(Deserialize)]
struct Entry {
    at: Ms,
    event: String,
    pid: u32,
    rss: u64,
    ms: Option<f64>,
}

fn read(journal: &Path) -> anyhow::Result<Vec<Entry>> {
    let text = std::fs::read_to_string(journal).with_context(|| format!("failed to read {}", journal.display()))?;
    // Its last line may be half written, since its writer is killed.
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn attempts(entries: &[Entry]) -> Vec<Attempt> {
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut due = None;
    for entry in entries {
        if entry.event == "started" {
            let late = due.take().map(|due| entry.at - due);
            attempts.push(Attempt { started: entry.at, rss_before: Some(entry.rss), late, ..Attempt::default() });
        }
        let Some(attempt) = attempts.last_mut() else { continue };
        match entry.event.as_str() {
            "allocated" => attempt.rss_allocated = Some(entry.rss),
            "backoff" => due = entry.ms.map(|ms| entry.at + ms),
            "finished" => attempt.ended = Some(entry.at),
            _ => {}
        }
    }
    attempts
}
