//! What a steady stream of small jobs feels of a hostile guest that runs, over and over, on the worker's other slot; what
//! the worker feels of it; and how soon a worker ends what runs for too long, or is cancelled by way of the broker.

use std::path::Path;
use std::time::Duration;

use afresh_bench_kit::median;
use afresh_harness::catalogue::{self, Case};
use afresh_queue::{JobView, State, Timestamp};
use anyhow::{Context as _, ensure};
use tokio::time::MissedTickBehavior;

use crate::Args;
use crate::figures::Times;
use crate::kills::Kill;
use crate::site::Site;

/// One guest for each kind of attack.
const GUESTS: [&str; 14] = [
    "time_loop",
    "time_loop_with_host_calls",
    "time_sleep_a_year",
    "time_memory_fill",
    "time_refused_growth",
    "random_huge",
    "error_without_end",
    "log_storm",
    "enqueue_without_end",
    "memory_touched_whole",
    "memory_page_by_page",
    "output_huge_at_once",
    "stack_recursion",
    "trap_division",
];

/// A small job is handed over this often.
const EVERY: Duration = Duration::from_millis(10);

/// The time limit of what would run for ever.
const TIMEOUT_MS: u64 = 100;

/// How many times its quiet 99th percentile the loud one may be.
const AT_MOST: f64 = 3.0;

/// What was felt of one guest.
pub(crate) struct Felt {
    pub(crate) guest: String,
    pub(crate) outcome: String,
    /// Attempts of it.
    pub(crate) attempts: usize,
    /// From handed over to finished, of the small jobs.
    pub(crate) quiet: Times,
    pub(crate) loud: Times,
    /// The loud 99th percentile over the quiet one before it; the median of the rounds.
    pub(crate) ratio: f64,
    /// The worker's memory before and after, in MiB.
    pub(crate) resident: (f64, f64),
    /// From the deadline to the end, where it ran into it.
    pub(crate) ends: Times,
}

impl Felt {
    pub(crate) fn is_kept(&self) -> bool {
        self.ratio <= AT_MOST
    }
}

/// All that was measured on workers.
pub(crate) struct Findings {
    pub(crate) felt: Vec<Felt>,
    pub(crate) kills: Vec<Kill>,
}

pub(crate) fn measure(program: &Path, args: &Args) -> anyhow::Result<Findings> {
    let mut cases = catalogue::hostile();
    cases.retain(|case| GUESTS.contains(&case.name.as_str()));
    ensure!(cases.len() == GUESTS.len(), "a guest was renamed");
    let runtime = tokio::runtime::Runtime::new().context("failed to start the runtime")?;
    runtime.block_on(async {
        let site = Site::start(program, &cases).await?;
        let chosen: Vec<_> = cases.iter().filter(|case| case.name.contains(&args.only)).collect();
        let mut felt = Vec::new();
        for case in &chosen {
            eprintln!("{} beside small jobs …", case.name);
            felt.push(beside(&site, case, args).await.with_context(|| format!("failed on {}", case.name))?);
        }
        let mut kills = Vec::new();
        for name in ["time_loop", "time_sleep_a_year", "log_storm", "time_memory_fill"] {
            if let Some(case) = chosen.iter().find(|case| case.name == name) {
                eprintln!("ending {name} in the worker …");
                kills.push(deadlines(&site, case, args.kills).await?);
                kills.push(cancels(&site, case, args.kills).await?);
            }
        }
        Ok(Findings { felt, kills })
    })
}

/// Quiet and loud times in turn.
async fn beside(site: &Site, case: &Case, args: &Args) -> anyhow::Result<Felt> {
    let timeout_ms = if case.outcome == "timed_out" { TIMEOUT_MS } else { case.timeout_ms() };
    // Once, so that what is made at a module's first attempt is there.
    let first = site.ends(&site.hostile(case, timeout_ms).await?).await?;
    let mut felt = Felt {
        guest: case.name.clone(),
        outcome: first.attempts[0].outcome.to_string(),
        attempts: 0,
        quiet: Times::default(),
        loud: Times::default(),
        ratio: f64::NAN,
        resident: (site.resident()?, 0.0),
        ends: Times::default(),
    };
    let span = Duration::from_secs_f64(args.seconds);
    let mut ratios = Vec::new();
    for _ in 0..args.rounds {
        let quiet = stream(site, span).await?;
        let mut loud = Times::default();
        let storm = async {
            loop {
                let job = site.ends(&site.hostile(case, timeout_ms).await?).await?;
                felt.attempts += 1;
                let outcome = job.attempts[0].outcome.as_str();
                ensure!(outcome == case.outcome, "it ended as {outcome}, not as {}", case.outcome);
                if outcome == "timed_out" {
                    felt.ends.push(after_deadline(&job)?);
                }
            }
        };
        tokio::select! {
            failed = storm => { let () = failed?; },
            times = stream(site, span) => loud.extend(times?),
        }
        ratios.push(loud.p99() / quiet.p99());
        felt.quiet.extend(quiet);
        felt.loud.extend(loud);
        // The last hostile attempt is not for the quiet to come.
        tokio::time::sleep(Duration::from_millis(2 * TIMEOUT_MS)).await;
    }
    felt.ratio = median(ratios);
    felt.resident.1 = site.resident()?;
    Ok(felt)
}

/// Hands over a small job at every tick, whatever became of those before; how long each took until it had finished.
async fn stream(site: &Site, span: Duration) -> anyhow::Result<Times> {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let end = tokio::time::Instant::now() + span;
    let mut ids = Vec::new();
    while tokio::time::Instant::now() < end {
        ticks.tick().await;
        ids.push(site.small().await?);
    }
    let mut times = Times::default();
    for id in &ids {
        let job = site.ends(id).await?;
        ensure!(job.state == State::Succeeded, "a small job failed: {job:?}");
        times.push(finished(&job)?.until_from(job.enqueued_at));
    }
    Ok(times)
}

/// Attempts that run into their deadline.
async fn deadlines(site: &Site, case: &Case, count: usize) -> anyhow::Result<Kill> {
    let mut times = Times::default();
    for n in 0..count {
        let job = site.ends(&site.hostile(case, 20 + n as u64 % 10).await?).await?;
        times.push(after_deadline(&job)?);
    }
    Ok(Kill { guest: case.name.clone(), why: "deadline, in a worker", times })
}

/// Attempts that are cancelled through the broker: from the request to the end of the attempt.
async fn cancels(site: &Site, case: &Case, count: usize) -> anyhow::Result<Kill> {
    let mut times = Times::default();
    for _ in 0..count {
        let id = site.hostile(case, 600_000).await?;
        site.wait(&id, |job| job.state == State::Running).await?;
        let asked = Timestamp::now();
        site.broker.cancel(std::slice::from_ref(&id)).await?;
        let job = site.ends(&id).await?;
        ensure!(job.state == State::Cancelled, "it is {}", job.state);
        times.push(finished(&job)?.until_from(asked));
    }
    Ok(Kill { guest: case.name.clone(), why: "cancel, through the broker", times })
}

/// How long after its deadline the only attempt of a job ended, as its history tells.
fn after_deadline(job: &JobView) -> anyhow::Result<Duration> {
    let attempt = &job.attempts[0];
    ensure!(attempt.outcome.as_str() == "timed_out", "it ended as {}", attempt.outcome);
    let started = attempt.started_at.context("an attempt without a start")?;
    let message = attempt.error.as_ref().map_or("", |error| &error.message);
    let limit = message.split("time limit of ").nth(1).and_then(|rest| rest.split(',').next());
    let limit = limit.and_then(|limit| limit.strip_suffix("ms")?.parse().ok()).context("an end without a limit")?;
    Ok(attempt.finished_at.until_from(started).saturating_sub(Duration::from_millis(limit)))
}

fn finished(job: &JobView) -> anyhow::Result<Timestamp> {
    job.finished_at.context("a job that has ended has an end")
}
