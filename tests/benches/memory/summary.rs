//! The figures of one run, from what was seen of it.

use crate::recording::Recording;
use crate::scenario::Scenario;

/// The figures of one run. Memory is in bytes, time in milliseconds.
pub struct Summary {
    pub name: String,
    pub polling: Option<&'static str>,
    pub scenario: Scenario,
    pub attempts: usize,
    pub per_second: f64,
    /// Resident memory over all samples.
    pub rss: Spread,
    /// The most that ever was: the kernel's high-water mark, or a sample, where the mark is kept less exactly.
    pub peak: f64,
    /// Resident memory before the first attempt.
    pub before: f64,
    /// Resident memory between attempts: what the failed ones left behind.
    pub between: Spread,
    /// Mean of `between` in the last third of the run, minus that in the first third.
    pub growth: f64,
    /// From one attempt's start to the next one's.
    pub gap: Spread,
    /// From the end of a backoff to the start of the attempt.
    pub late: Spread,
    /// What Redis uses, all in all.
    pub broker: Spread,
    /// What the keys take: the job, and what workers say of themselves.
    pub keys: Spread,
    /// The most that the keys took in the last third, minus the most in the middle third.
    pub keys_growth: f64,
    /// What Redis received and sent.
    pub received: f64,
    pub sent: f64,
    /// What the guest itself had at most, where the contender can tell.
    pub guest_peak: Option<f64>,
}

impl Summary {
    pub fn of(run: &Recording) -> Self {
        let between = between(run);
        let third = |at: f64| ((at - run.begin) / (run.seconds as f64 * 1000.0) * 3.0) as u32;
        let between_in = |n| Spread::of(between.iter().filter(|(at, _)| third(*at) == n).map(|(_, rss)| *rss));
        let keys_in = |n| Spread::of(run.broker.iter().filter(|s| third(s.at) == n).map(|s| s.keys as f64));
        let traffic = |total: fn(&crate::sample::BrokerSample) -> u64| match run.broker.as_slice() {
            [first, .., last] => (total(last) - total(first)) as f64,
            _ => f64::NAN,
        };
        Self {
            name: run.name.clone(),
            polling: run.polling,
            scenario: run.scenario,
            attempts: run.attempts.len(),
            per_second: run.attempts.len() as f64 / run.seconds as f64,
            rss: Spread::of(run.worker.iter().map(|sample| sample.rss as f64)),
            peak: run.peak.max(run.worker.iter().map(|sample| sample.rss).max().unwrap_or(0)) as f64,
            before: run.before as f64,
            between: Spread::of(between.iter().map(|(_, rss)| *rss)),
            growth: between_in(2).mean - between_in(0).mean,
            gap: Spread::of(run.attempts.windows(2).map(|pair| pair[1].started - pair[0].started)),
            late: Spread::of(run.attempts.iter().filter_map(|attempt| attempt.late)),
            broker: Spread::of(run.broker.iter().map(|sample| sample.used as f64)),
            keys: Spread::of(run.broker.iter().map(|sample| sample.keys as f64)),
            keys_growth: keys_in(2).max - keys_in(1).max,
            received: traffic(|sample| sample.received),
            sent: traffic(|sample| sample.sent),
            guest_peak: run.attempts.iter().filter_map(|attempt| attempt.guest_peak).max().map(|bytes| bytes as f64),
        }
    }
}

/// The samples that lie in no attempt: when, and the worker's resident bytes.
fn between(run: &Recording) -> Vec<(f64, f64)> {
    run.worker.iter().filter(|s| !run.attempts.iter().any(|a| a.contains(s.at))).map(|s| (s.at, s.rss as f64)).collect()
}

/// How figures spread; every one is NaN where there were none.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p95: f64,
    pub max: f64,
}

impl Spread {
    pub fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.collect();
        sorted.sort_by(f64::total_cmp);
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        let at = |share: f64| {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
        };
        Self { min: at(0.0), mean, p50: at(0.5), p95: at(0.95), max: at(1.0) }
    }
}
