//! Samples taken from outside: the worker's resident memory from `/proc`, the broker's from Redis itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use afresh_harness::RedisServer;
use anyhow::Context as _;

pub use crate::process::memory;

/// Milliseconds since the Unix epoch: samples and the contenders' logs are laid side by side by it.
pub type Ms = f64;

/// Milliseconds since the Unix epoch, now.
pub fn now() -> Ms {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

const WORKER_EVERY: Duration = Duration::from_millis(50);
const BROKER_EVERY: Duration = Duration::from_millis(100);

/// The worker's memory at one instant.
#[derive(Clone, Copy, Debug)]
pub struct WorkerSample {
    /// When.
    pub at: Ms,
    /// Resident bytes.
    pub rss: u64,
}

/// The broker at one instant.
#[derive(Clone, Copy, Debug)]
pub struct BrokerSample {
    /// When.
    pub at: Ms,
    /// Bytes of everything Redis holds, buffers included.
    pub used: u64,
    /// Bytes of all keys: in these runs the one job, and what workers say of themselves.
    pub keys: u64,
    /// Bytes received since its start.
    pub received: u64,
    /// Bytes sent since its start.
    pub sent: u64,
}

/// Asked as one small script, so that sampling adds next to nothing to the traffic it measures. `SAMPLES 0` means that Redis
/// adds up every field instead of guessing from five.
const BROKER_SCRIPT: &str = concat!(
    "local info = redis.call('INFO', 'memory') .. redis.call('INFO', 'stats') ",
    "local function figure(name) return tonumber(string.match(info, name .. ':(%d+)')) end ",
    "local keys = 0 ",
    "for _, key in ipairs(redis.call('KEYS', '*')) do ",
    "keys = keys + (redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0') or 0) ",
    "end ",
    "return {figure('used_memory'), keys, figure('total_net_input_bytes'), figure('total_net_output_bytes')}",
);

/// Two threads that sample until `stop` is set.
pub struct Sampler<'scope> {
    worker: ScopedJoinHandle<'scope, Vec<WorkerSample>>,
    broker: ScopedJoinHandle<'scope, anyhow::Result<Vec<BrokerSample>>>,
}

impl<'scope> Sampler<'scope> {
    /// Starts both. The worker's ends early if the worker does.
    pub fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        pid: u32,
        redis: &'env RedisServer,
        stop: &'env AtomicBool,
    ) -> Self {
        Self {
            worker: scope.spawn(move || {
                every(WORKER_EVERY, stop, || Some(WorkerSample { at: now(), rss: memory(pid, "VmRSS").ok()? }))
            }),
            broker: scope.spawn(move || {
                let script = redis.command(&format!("SCRIPT LOAD \"{BROKER_SCRIPT}\""));
                let sha = script.lines().nth(1).context("failed to load the sampling script")?.to_owned();
                let samples = every(BROKER_EVERY, stop, || broker_sample(redis, &sha));
                anyhow::ensure!(
                    stop.load(Ordering::Relaxed),
                    "the sampling script failed: is this Redis 7.0 or newer?"
                );
                Ok(samples)
            }),
        }
    }

    /// What they saw.
    ///
    /// # Errors
    /// If Redis could not be asked.
    ///
    /// # Panics
    /// If a sampling thread panicked.
    pub fn finish(self) -> anyhow::Result<(Vec<WorkerSample>, Vec<BrokerSample>)> {
        let worker = self.worker.join().expect("sampling the worker does not panic");
        Ok((worker, self.broker.join().expect("Redis answers while it is sampled")?))
    }
}

/// One sample each `period`, on a grid that does not drift, until `stop` or the first `None`.
fn every<T>(period: Duration, stop: &AtomicBool, mut sample: impl FnMut() -> Option<T>) -> Vec<T> {
    let mut samples = Vec::new();
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let Some(one) = sample() else { break };
        samples.push(one);
        next += period;
        sleep(next.saturating_duration_since(Instant::now()));
    }
    samples
}

fn broker_sample(redis: &RedisServer, sha: &str) -> Option<BrokerSample> {
    let answer = redis.command(&format!("EVALSHA {sha} 0"));
    let figures: Vec<u64> = answer.lines().filter_map(|line| line.strip_prefix(':')?.parse().ok()).collect();
    let [used, keys, received, sent] = figures.try_into().ok()?;
    Some(BrokerSample { at: now(), used, keys, received, sent })
}

/// Starts the process's high-water mark anew, so that `VmHWM` speaks of the run and not of the start.
///
/// # Errors
/// If the process is gone or is not ours.
pub fn reset_high_water_mark(pid: u32) -> anyhow::Result<()> {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").context("failed to reset the worker’s high-water mark")
}
