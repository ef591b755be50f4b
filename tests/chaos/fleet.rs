//! The workers of a run: processes that are started again whenever one is gone, each with a proxy before the store, a file
//! for its effects and one for its log.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use afresh_harness::{Proxy, SOON, wait_until};
use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::store::{self, Store};

/// How a fleet's workers are started.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The program `afresh`.
    pub program: PathBuf,
    /// Where everything of this run is.
    pub folder: PathBuf,
    /// Workers that are to be up.
    pub workers: usize,
    /// Slots of each.
    pub slots: usize,
    /// The lease, as on the command line.
    pub lease: &'static str,
    /// The queues, as on the command line.
    pub queues: String,
    /// The library that bends clocks, where some are to be bent.
    pub faketime: Option<PathBuf>,
    /// Whether they tell of every run of a guest.
    pub effects: bool,
}

/// How long attempts may go on after SIGTERM: less than what a sleeper sleeps.
const SHUTDOWN: &str = "1s";

/// What a worker says when it knows its broker, and hears signals.
const STARTED: &str = "worker started";

/// A clock that is off by so much less, or more, than it was to be was never bent. Between the moment when a line is made and
/// the one when it is written a machine may stand still.
const IN_DOUBT: i64 = 10_000_000;

/// The workers of a run.
pub struct Fleet {
    setting: Setting,
    pub workers: Vec<Worker>,
    /// How many were ever started.
    lives: usize,
    /// By how much the clock of each was to be off, in seconds.
    skews: Vec<i32>,
}

/// One worker process.
pub struct Worker {
    /// The number of this start among all of the fleet.
    pub life: usize,
    child: Child,
    log: PathBuf,
    pub proxy: Option<Proxy>,
}

impl Fleet {
    /// A fleet with nobody up yet.
    pub fn new(setting: Setting) -> Self {
        Self { setting, workers: Vec::new(), lives: 0, skews: Vec::new() }
    }

    /// Starts what is missing; each with the clock that `skew` says, in seconds. Answers how many.
    ///
    /// # Errors
    /// If a worker has ended that nobody had asked to; with what it said.
    pub fn keep_up(&mut self, store: &Store, mut skew: impl FnMut() -> i32) -> anyhow::Result<Vec<(usize, i32)>> {
        self.workers.iter_mut().try_for_each(Worker::lives)?;
        let mut started = Vec::new();
        while self.workers.len() < self.setting.workers {
            let skew = if self.setting.faketime.is_some() { skew() } else { 0 };
            started.push((self.lives, skew));
            let worker = self.start(store, skew)?;
            self.workers.push(worker);
        }
        Ok(started)
    }

    fn start(&mut self, store: &Store, skew: i32) -> anyhow::Result<Worker> {
        let Setting { program, folder, slots, lease, queues, faketime, effects, .. } = &self.setting;
        let life = self.lives;
        let proxy = store.address().map(Proxy::start);
        let url = match store {
            Store::File(folder) => format!("sqlite:{}", store::file(folder).display()),
            Store::Server(_) => format!("redis://{}", proxy.as_ref().map(Proxy::address).context("no proxy")?),
        };
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AFRESH_")) {
            command.env_remove(name);
        }
        command.args(["worker", "--log-format", "json", "--tasks", "tasks", "--broker", &url, "--lease", lease]);
        command.args(["--concurrency", &slots.to_string(), "--queues", queues, "--shutdown-timeout", SHUTDOWN]);
        command.current_dir(folder);
        if *effects {
            command.env("AFRESH_EFFECTS", effects_file(folder, life));
        }
        if let (Some(library), true) = (faketime, skew != 0) {
            command.env("LD_PRELOAD", library).env("FAKETIME", format!("{skew:+}s"));
            // Only the clock that tells the time: the one that measures spans is right on any machine.
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let log = log_file(folder, life);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?).spawn();
        let child = child.with_context(|| format!("failed to run {}", program.display()))?;
        self.lives += 1;
        self.skews.push(skew);
        Ok(Worker { life, child, log, proxy })
    }

    /// From now on so many workers more are to be up.
    pub fn grow(&mut self, workers: usize) {
        self.setting.workers += workers;
    }

    /// Ends all of them; none is to be up.
    ///
    /// # Errors
    /// As for [`Fleet::end`].
    pub fn shrink(&mut self) -> anyhow::Result<()> {
        self.setting.workers = 0;
        self.end()
    }

    /// What is started from now on has so many slots.
    pub fn set_slots(&mut self, slots: usize) {
        self.setting.slots = slots;
    }

    pub fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.workers.iter().filter_map(|worker| worker.proxy.as_ref())
    }

    /// Takes one out, to end it.
    ///
    /// # Errors
    /// If it has ended by itself.
    pub fn take(&mut self, place: usize) -> anyhow::Result<Worker> {
        let mut worker = self.workers.remove(place);
        worker.lives().map(|()| worker)
    }

    /// Kills all of them.
    ///
    /// # Errors
    /// If one has ended by itself.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.workers.iter_mut().try_for_each(Worker::lives)?;
        self.workers.drain(..).for_each(Worker::kill);
        Ok(())
    }

    /// Ends all of them by SIGTERM.
    ///
    /// # Errors
    /// If one has ended by itself, or does not end soon.
    pub fn end(&mut self) -> anyhow::Result<()> {
        self.workers.iter_mut().try_for_each(Worker::lives)?;
        self.workers.iter().for_each(|worker| worker.signal(Signal::TERM));
        self.workers.drain(..).try_for_each(Worker::wait)
    }

    /// How much each of those that are up has told of its effects, in bytes.
    pub fn told(&self) -> Vec<u64> {
        let files = self.workers.iter().map(|worker| effects_file(&self.setting.folder, worker.life));
        files.map(|file| fs::metadata(file).map_or(0, |file| file.len())).collect()
    }

    /// The files of effects of all that were ever started.
    pub fn effects(&self) -> Vec<PathBuf> {
        (0..self.lives).map(|life| effects_file(&self.setting.folder, life)).collect()
    }

    /// Checks that each had the clock that it was to have: when it last wrote to its log is known, and what it believed then
    /// stands there. Answers how many of these were wrong on purpose.
    ///
    /// # Errors
    /// If one had another, or a log cannot be read.
    pub fn clocks(&self) -> anyhow::Result<usize> {
        let mut bent = 0;
        for (life, skew) in self.skews.iter().enumerate() {
            let path = log_file(&self.setting.folder, life);
            let (log, written) = (fs::read_to_string(&path)?, fs::metadata(&path)?.modified()?);
            // Killed before it said anything, or what it said last is no event.
            let Some(event) = log.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok()) else {
                continue;
            };
            let believed: jiff::Timestamp = event["timestamp"].as_str().context("an event has no time")?.parse()?;
            let off = believed.as_microsecond() - jiff::Timestamp::try_from(written)?.as_microsecond();
            let wanted = i64::from(*skew) * 1_000_000;
            ensure!(
                (off - wanted).abs() < IN_DOUBT,
                "worker {life}'s clock was to be off by {skew} s, and was off by {:.1} s",
                off as f64 / 1e6
            );
            bent += usize::from(*skew != 0);
        }
        Ok(bent)
    }

    /// Which start bore which name, as each says first of all.
    pub fn names(&self) -> HashMap<String, usize> {
        let name = |life| {
            let log = fs::read_to_string(log_file(&self.setting.folder, life)).ok()?;
            let started = log.lines().find(|line| line.contains(STARTED))?;
            let event: Value = serde_json::from_str(started).ok()?;
            Some((event["worker"].as_str()?.to_owned(), life))
        };
        (0..self.lives).filter_map(name).collect()
    }
}

impl Worker {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a child has a process id");
        // It may have ended by itself: keep_up tells of that.
        let _ = kill_process(pid, signal);
    }

    /// Checks that it has not ended.
    fn lives(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<_> = log.lines().rev().take(20).collect();
        bail!("worker {} ended by itself ({status}); it said last:\n{}", self.life, last.join("\n"))
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.end();
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// If it does not, soon, or not well.
    pub fn wait(mut self) -> anyhow::Result<()> {
        let mut status = None;
        let _ = wait_until(SOON + Duration::from_secs(30), || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        match status {
            Some(status) if status.success() => Ok(()),
            // It was not yet listening.
            Some(_) if !self.said(STARTED) => Ok(()),
            Some(status) => bail!("worker {} was asked to end, and did with {status}", self.life),
            None => bail!("worker {} was asked to end, and did not", self.life),
        }
    }

    fn said(&self, words: &str) -> bool {
        fs::read_to_string(&self.log).is_ok_and(|log| log.contains(words))
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What the library that bends clocks leaves behind of a process that is killed.
        for name in ["faketime_shm", "sem.faketime_sem"] {
            let _ = fs::remove_file(format!("/dev/shm/{name}_{}", self.child.id()));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

fn effects_file(folder: &Path, life: usize) -> PathBuf {
    folder.join(format!("effects-{life:04}.jsonl"))
}

fn log_file(folder: &Path, life: usize) -> PathBuf {
    folder.join(format!("worker-{life:04}.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_not_bent_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let says = |seconds: i64| {
            let believed = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
            fs::write(log_file(folder.path(), 0), format!("{{\"timestamp\":\"{believed}\"}}\n")).unwrap();
        };
        let setting = Setting {
            program: PathBuf::new(),
            folder: folder.path().to_owned(),
            workers: 1,
            slots: 1,
            lease: "3s",
            queues: String::new(),
            faketime: None,
            effects: false,
        };
        let mut fleet = Fleet { skews: vec![-30], lives: 1, ..Fleet::new(setting) };
        says(-30);
        assert_eq!(fleet.clocks().unwrap(), 1);
        says(0);
        let error = fleet.clocks().unwrap_err().to_string();
        assert!(error.starts_with("worker 0's clock was to be off by -30 s, and was off by "), "{error}");
        fleet.skews = vec![0];
        assert_eq!(fleet.clocks().unwrap(), 0);
    }
}
