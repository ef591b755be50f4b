//! The soak: no faults, and a day's worth of attempts in half an hour. What workers and store take must stay what it is, and
//! in the end the store holds nothing but what it always holds.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use afresh_harness::wait_until;
use anyhow::ensure;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::runtime::Runtime;

use crate::fleet::Setting;
use crate::load::{self, Load, QUEUES};
use crate::process;
use crate::run::drain;
use crate::site::Site;
use crate::store::{StoreKind, figure};

/// What is left out at the beginning: caches fill, and the first records have not been removed yet.
const WARM_UP: f64 = 0.1;

/// Between two samples.
const EVERY: Duration = Duration::from_secs(1);

/// With less than so many samples nothing can be said of thirds.
const FEWEST_SAMPLES: usize = 10;

/// Results and dead jobs are kept for so long, so that what is removed keeps step with what comes.
const KEPT: Duration = Duration::from_secs(5);

const CONFIG: &str = "[defaults]\nkeep_result = \"5s\"\n[retention]\ndead_for = \"5s\"\n";

/// A figure that is watched, and by how much its mean may be larger in the last third than in the first: a share of it, and
/// something that no leak of an hour would stay below.
struct Watched {
    name: &'static str,
    share: f64,
    more: f64,
}

const WATCHED: [Watched; 5] = [
    Watched { name: "resident memory of the workers, MiB", share: 0.05, more: 6.0 },
    Watched { name: "descriptors of the workers", share: 0.05, more: 3.0 },
    Watched { name: "threads of the workers", share: 0.05, more: 3.0 },
    Watched { name: "keys in Redis", share: 0.25, more: 500.0 },
    Watched { name: "memory of Redis, MiB", share: 0.25, more: 4.0 },
];

/// Runs it for so long.
///
/// # Errors
/// If a figure grows, a worker ends, or a key is left that does not belong there.
pub fn run(program: PathBuf, folder: PathBuf, seed: u64, span: Duration) -> anyhow::Result<()> {
    std::fs::write(folder.join("afresh.toml"), CONFIG)?;
    let runtime = Runtime::new()?;
    let queues = QUEUES.join(",");
    let producer = folder.join("producer.jsonl");
    let setting =
        Setting { program, folder, workers: 3, slots: 8, lease: "2s", queues, faketime: None, effects: false };
    let mut site = Site::start(StoreKind::RedisEverysec, setting, StdRng::seed_from_u64(seed))?;
    let broker = runtime.block_on(load::open(&site.store.url(None)))?;
    let load = runtime.block_on(async { Load::start(broker.clone(), &producer, seed, u64::MAX, span) })?;

    let (began, mut samples) = (Instant::now(), Vec::new());
    while began.elapsed() < span {
        std::thread::sleep(EVERY);
        site.keep_up()?;
        samples.push(sample(&mut site)?);
    }
    let jobs = load.sent();
    runtime.block_on(load.stop())?;
    let stuck = drain(&mut site, &runtime, &*broker)?;
    ensure!(stuck == 0, "{stuck} jobs are stuck");

    println!("{jobs} jobs in {:.0} s, {:.0} a second\n", span.as_secs_f64(), jobs as f64 / span.as_secs_f64());
    ensure!(jobs > 0, "no job was handed over");
    ensure!(samples.len() >= FEWEST_SAMPLES, "{} samples say nothing: let it run longer", samples.len());
    let flat = compare(&samples);
    let left = left(&mut site)?;
    println!("\nKeys that are left: {}", left.iter().cloned().collect::<Vec<_>>().join(", "));
    let strange: Vec<_> = left.iter().filter(|key| !belongs(key)).collect();
    ensure!(strange.is_empty(), "Redis keeps what nobody needs any more: {strange:?}");
    site.fleet.end()?;
    ensure!(flat, "what workers or Redis take has grown: see the table");
    Ok(())
}

/// The figures that are watched, now.
fn sample(site: &mut Site) -> anyhow::Result<[f64; 5]> {
    let pids: Vec<_> = site.fleet.workers.iter().map(|worker| worker.pid()).collect();
    let sum = |figure: fn(u32) -> anyhow::Result<u64>| {
        pids.iter().try_fold(0.0, |sum, pid| anyhow::Ok(sum + figure(*pid)? as f64))
    };
    let (rss, descriptors, threads) =
        (sum(|pid| process::memory(pid, "VmRSS"))?, sum(process::descriptors)?, sum(process::threads)?);
    let servers = site.store.servers()?;
    let used = figure(&servers.tell("INFO memory")?, "used_memory:")? as f64;
    let keys = figure(&servers.tell("DBSIZE")?, ":")? as f64;
    const MIB: f64 = (1 << 20) as f64;
    Ok([rss / MIB, descriptors, threads, keys, used / MIB])
}

/// Prints the first third beside the last; answers whether all are flat.
fn compare(samples: &[[f64; 5]]) -> bool {
    let warm = &samples[(samples.len() as f64 * WARM_UP) as usize..];
    let (first, last) = (&warm[..warm.len() / 3], &warm[warm.len() - warm.len() / 3..]);
    println!("| figure | first third | last third | at most |\n|---|---:|---:|---:|");
    let mut flat = true;
    for (place, Watched { name, share, more }) in WATCHED.iter().enumerate() {
        let mean =
            |third: &[[f64; 5]]| third.iter().map(|sample| sample[place]).sum::<f64>() / third.len().max(1) as f64;
        let (before, after) = (mean(first), mean(last));
        let most = before * (1.0 + share) + more;
        println!("| {name} | {before:.1} | {after:.1} | {most:.1} |");
        flat &= after <= most;
    }
    flat
}

/// The keys that are left when nothing is to be kept any more.
fn left(site: &mut Site) -> anyhow::Result<BTreeSet<String>> {
    let servers = site.store.servers()?;
    let mut keys = BTreeSet::new();
    let _ = wait_until(KEPT * 6, || {
        keys = servers.tell("KEYS *").map_or(BTreeSet::new(), |answer| {
            answer.lines().filter(|line| line.starts_with("afresh:")).map(str::to_owned).collect()
        });
        !keys.is_empty() && keys.iter().all(|key| belongs(key))
    });
    Ok(keys)
}

/// What is there for as long as there are queues and workers.
fn belongs(key: &str) -> bool {
    key == "afresh:queues"
        || key == "afresh:check"
        || key.starts_with("afresh:workers:")
        || QUEUES.iter().any(|queue| ["seq", "dead-bytes"].iter().any(|own| key == format!("afresh:{{{queue}}}:{own}")))
}
