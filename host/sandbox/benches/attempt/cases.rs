//! The cases, and how each is measured: ours and bare one right after the other, on one thread and on two.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;

use crate::Args;
use crate::guests;
use crate::site::Site;

/// Bytes of the payloads.
const PAYLOADS: [usize; 3] = [100, 10_000, 1_000_000];

/// Threads that make attempts beside each other.
pub(crate) const THREADS: usize = 2;

/// One attempt, of ours or of the limit.
pub(crate) type Attempt<'a> = &'a (dyn Fn() -> anyhow::Result<()> + Sync);

/// What was measured of one case; each figure is a median over the rounds.
#[derive(Serialize)]
pub(crate) struct Finding {
    /// `SDK` or `command`.
    pub(crate) kind: &'static str,
    pub(crate) payload_bytes: usize,
    /// Whether each attempt loaded its module first.
    pub(crate) cold: bool,
    /// Microseconds an attempt on one thread.
    pub(crate) ours_us: f64,
    /// The same of bare wasmtime.
    pub(crate) bare_us: f64,
    /// Ours over bare, on one thread.
    pub(crate) ratio: f64,
    /// Ours over bare, on two threads.
    pub(crate) ratio_of_two: f64,
    /// Attempts a second on two threads over those on one.
    pub(crate) scale: f64,
    /// The same of bare wasmtime.
    pub(crate) bare_scale: f64,
}

/// Measures every case.
pub(crate) fn measure(args: &Args) -> anyhow::Result<Vec<Finding>> {
    let site = Site::new()?;
    let mut findings = Vec::new();
    for guest in guests::build()? {
        for (payload_bytes, cold) in PAYLOADS.into_iter().flat_map(|bytes| [(bytes, false), (bytes, true)]) {
            let kb = payload_bytes as f64 / 1000.0;
            let name = format!("{}, {kb} KB, {}", guest.kind, if cold { "cold" } else { "warm" });
            if !name.contains(&args.only) {
                continue;
            }
            eprintln!("{name} …");
            let compare = if cold { Site::cold } else { Site::warm };
            let payload = guests::payload(payload_bytes);
            let measured = compare(&site, &guest, payload, &mut |ours, bare| rounds(args, ours, bare));
            let rounds = measured.with_context(|| format!("failed at {name}"))?;
            if !rounds.is_empty() {
                findings.push(finding(guest.kind, payload_bytes, cold, &rounds));
            }
        }
    }
    Ok(findings)
}

/// Seconds an attempt took in one round, of ours and of bare wasmtime.
pub(crate) struct Round {
    one: (f64, f64),
    two: (f64, f64),
}

fn rounds(args: &Args, ours: Attempt<'_>, bare: Attempt<'_>) -> anyhow::Result<Vec<Round>> {
    if let Some(count) = args.profile {
        time(1, count, if args.bare { bare } else { ours })?;
        return Ok(Vec::new());
    }
    // Warms both up, and says how many fill the time.
    let (first, _) = (time(1, 10, ours)?, time(1, 10, bare)?);
    let count = ((args.millis as f64 / 1000.0 / first) as usize).max(3);
    let round = |_| {
        let one = (time(1, count, ours)?, time(1, count, bare)?);
        let two = (time(THREADS, count, ours)?, time(THREADS, count, bare)?);
        Ok(Round { one, two })
    };
    (0..args.rounds).map(round).collect()
}

/// Makes `count` attempts on each of so many threads, and answers how long one of them all took.
fn time(threads: usize, count: usize, attempt: Attempt<'_>) -> anyhow::Result<f64> {
    let ready = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let run = || {
            ready.wait();
            (0..count).try_for_each(|_| attempt())
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        ready.wait();
        let began = Instant::now();
        for thread in running {
            thread.join().expect("an attempt does not panic")?;
        }
        Ok(began.elapsed().as_secs_f64() / (threads * count) as f64)
    })
}

fn finding(kind: &'static str, payload_bytes: usize, cold: bool, rounds: &[Round]) -> Finding {
    let median = |figure: fn(&Round) -> f64| {
        let mut values: Vec<_> = rounds.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Finding {
        kind,
        payload_bytes,
        cold,
        ours_us: median(|round| round.one.0 * 1e6),
        bare_us: median(|round| round.one.1 * 1e6),
        ratio: median(|round| round.one.0 / round.one.1),
        ratio_of_two: median(|round| round.two.0 / round.two.1),
        scale: median(|round| round.one.0 / round.two.0),
        bare_scale: median(|round| round.one.1 / round.two.1),
    }
}
