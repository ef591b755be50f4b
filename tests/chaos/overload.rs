//! Overload: a queue that has grown to a million jobs while nobody worked, and ten workers whose store goes away and comes
//! back. A worker takes no more memory for the one, in their order the jobs are run, and the other is no storm.

use std::path::Path;
use std::time::{Duration, Instant};

use afresh_harness::{Proxy, SOON, wait_until};
use afresh_queue::{Broker, NewJob};
use anyhow::{Context as _, ensure};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::runtime::Runtime;

use crate::fleet::Setting;
use crate::ledger;
use crate::load;
use crate::process;
use crate::site::Site;
use crate::store::StoreKind;

/// Jobs in one call.
const BATCH: u64 = 1_000;

/// Jobs whose order is looked at.
const IN_ORDER: u64 = 3_000;

/// By how much a worker before a full queue may be larger than one that idles.
const MORE: u64 = 64 << 20;

/// Workers that lose their store.
const FLEET: usize = 10;

/// How long it is away.
const OUTAGE: Duration = Duration::from_secs(20);

/// The most connections that one worker asks for in a second of it, in the mean.
const MOST_A_SECOND: f64 = 3.0;

/// When nobody is there for the first time all of them notice at once; after so long they must have come apart.
const APART: Duration = Duration::from_secs(3);

/// In step are workers that come within such a span of each other.
const STEP: Duration = Duration::from_millis(50);

/// Runs both.
///
/// # Errors
/// If a worker grows beyond its bound, jobs are run out of their order, or the fleet is a storm.
pub fn run(program: &Path, folder: &Path, seed: u64, jobs: u64) -> anyhow::Result<()> {
    let setting = |name: &str| {
        let folder = folder.join(name);
        let queues = "default".to_owned();
        let setting = Setting {
            program: program.to_owned(),
            folder,
            workers: 0,
            slots: 1,
            lease: "10s",
            queues,
            faketime: None,
            effects: true,
        };
        std::fs::create_dir_all(&setting.folder).map(|()| setting)
    };
    backlog(setting("backlog")?, seed, jobs)?;
    outage(Setting { workers: FLEET, effects: false, ..setting("outage")? }, seed)
}

fn backlog(setting: Setting, seed: u64, jobs: u64) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let mut site = Site::start(StoreKind::RedisEverysec, setting, StdRng::seed_from_u64(seed))?;
    let broker = runtime.block_on(load::open(&site.store.url(None)))?;

    // One that idles, for comparison.
    site.fleet.grow(1);
    site.keep_up()?;
    let idle = settled_memory(&site)?;
    site.fleet.shrink()?;

    let began = Instant::now();
    for first in (0..jobs).step_by(BATCH as usize) {
        let batch = (first..(first + BATCH).min(jobs)).map(|number| {
            let id = format!("j{number:07}").parse().expect("a job's id");
            NewJob::new("quick", vec![b'.'; 100]).id(id)
        });
        runtime.block_on(broker.enqueue(batch.collect()))?;
    }
    let took = began.elapsed().as_secs_f64();
    println!("{jobs} jobs enqueued without a worker in {took:.0} s, {:.0} a second", jobs as f64 / took);

    site.fleet.grow(1);
    site.keep_up()?;
    await_left(&mut site, &runtime, &*broker, jobs - IN_ORDER.min(jobs), |_| Ok(()))?;
    let effects = site.fleet.effects().pop().context("a worker has a file of effects")?;
    site.fleet.shrink()?;
    in_order(&effects)?;

    let mut most = 0;
    site.fleet.set_slots(8);
    site.fleet.grow(1);
    site.keep_up()?;
    let began = Instant::now();
    let left = runtime.block_on(load::waiting(&*broker)).unwrap_or(jobs);
    await_left(&mut site, &runtime, &*broker, 0, |site| {
        most = most.max(process::memory(site.fleet.workers[0].pid(), "VmRSS")?);
        Ok(())
    })?;
    let took = began.elapsed().as_secs_f64();
    println!("drained by one worker in {took:.0} s, {:.0} a second", left as f64 / took);
    println!("its memory: {} idle, {} at most, bound {}", mib(idle), mib(most), mib(idle + MORE));
    ensure!(most <= idle + MORE, "a worker before a full queue takes {}, and one that idles {}", mib(most), mib(idle));
    site.fleet.end()
}

/// Waits until no more than so many jobs are left, and looks meanwhile.
fn await_left(
    site: &mut Site,
    runtime: &Runtime,
    broker: &dyn Broker,
    most: u64,
    mut look: impl FnMut(&Site) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (mut last, mut since) = (u64::MAX, Instant::now());
    loop {
        site.keep_up()?;
        look(site)?;
        let left = runtime.block_on(load::waiting(broker)).unwrap_or(u64::MAX);
        if left <= most {
            return Ok(());
        }
        if left < last {
            (last, since) = (left, Instant::now());
        }
        ensure!(since.elapsed() < SOON, "{left} jobs are left, and none is run");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Checks that one slot has run its jobs in the order in which they came.
fn in_order(effects: &Path) -> anyhow::Result<()> {
    let ran = ledger::began(effects)?;
    let wrong = ran.windows(2).find(|pair| pair[0] >= pair[1]);
    ensure!(wrong.is_none(), "one slot has run {wrong:?} in this order");
    ensure!(ran.len() as u64 >= IN_ORDER / 2, "one slot has run no more than {} jobs", ran.len());
    println!("{} jobs were run by one slot, in their order", ran.len());
    Ok(())
}

/// The memory of the one worker, when it has stopped growing.
fn settled_memory(site: &Site) -> anyhow::Result<u64> {
    let pid = site.fleet.workers[0].pid();
    all_connect(site)?;
    let mut last = 0;
    let settled = wait_until(SOON, || {
        let before = std::mem::replace(&mut last, process::memory(pid, "VmRSS").unwrap_or(0));
        std::thread::sleep(Duration::from_millis(500));
        last > 0 && last == before
    });
    ensure!(settled, "a worker that idles does not stop growing");
    Ok(last)
}

/// Waits until each worker has asked for a connection.
fn all_connect(site: &Site) -> anyhow::Result<()> {
    let connected = || site.fleet.proxies().all(|proxy| !proxy.arrivals().is_empty());
    ensure!(wait_until(SOON, connected), "a worker does not connect");
    Ok(())
}

fn outage(setting: Setting, seed: u64) -> anyhow::Result<()> {
    let mut site = Site::start(StoreKind::RedisEverysec, setting, StdRng::seed_from_u64(seed))?;
    all_connect(&site)?;

    let from = Instant::now();
    site.store.servers()?.crash(OUTAGE);
    let until = Instant::now();
    let span = (until - from).as_secs_f64();
    let during =
        |proxy: &Proxy| proxy.arrivals().into_iter().filter(|at| (from..until).contains(at)).collect::<Vec<_>>();
    let tries: Vec<_> = site.fleet.proxies().map(during).collect();
    let most = tries.iter().map(Vec::len).max().unwrap_or(0) as f64 / span;
    let together = most_together(&tries, from + APART);
    println!(
        "{FLEET} workers, no Redis for {span:.0} s: {most:.2} connections a second asked for by the busiest (bound \
         {MOST_A_SECOND}), {together} workers within {} ms at most (bound {})",
        STEP.as_millis(),
        FLEET - 3
    );
    ensure!(tries.iter().all(|tries| !tries.is_empty()), "a worker did not even try");
    ensure!(most <= MOST_A_SECOND, "that is a storm");
    ensure!(together < FLEET - 2, "they come in step");

    let back =
        |site: &Site| site.fleet.proxies().all(|proxy| proxy.arrivals().last().is_some_and(|last| *last >= until));
    ensure!(wait_until(SOON, || back(&site)), "a worker does not come back");
    println!("all are back {:.1} s after Redis", until.elapsed().as_secs_f64());
    site.keep_up()?;
    site.fleet.end()
}

/// The most workers that came within one step of each other, from an instant on.
fn most_together(tries: &[Vec<Instant>], from: Instant) -> usize {
    let all = tries.iter().flatten().filter(|at| **at >= from);
    let near =
        |at: &Instant| tries.iter().filter(|own| own.iter().any(|other| *other >= *at && *other - *at < STEP)).count();
    all.map(near).max().unwrap_or(0)
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
