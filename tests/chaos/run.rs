//! One run against one store: load and fire for a time, then calm until nothing is left to do, then the account.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh_harness::SOON;
use afresh_queue::{Broker, BrokerError, JobId};
use anyhow::{Context as _, ensure};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::account::{Account, account};
use crate::faults::{Fault, Kind};
use crate::fleet::Setting;
use crate::ledger::{Entry, Ledger, Record, Us};
use crate::load::{self, Load, PAUSE, QUEUES};
use crate::site::{Site, recoveries};
use crate::store::StoreKind;
use crate::watch::Watch;

/// Readers of the broker's records at the same time.
const READERS: usize = 64;

/// A run that comes to less than this many jobs a second has shown nothing.
const FEWEST_JOBS: f64 = 10.0;

/// As does one with less than a fault in so long: none of them takes longer.
const RAREST_FAULT: Duration = Duration::from_secs(30);

/// How long the broker may take to end one more job, when there are no faults any more.
const STUCK: Duration = Duration::from_secs(90);

/// What a run is to be.
pub struct Plan {
    pub store: StoreKind,
    pub seed: u64,
    /// How long there are faults.
    pub span: Duration,
    /// Jobs that are handed over at most.
    pub jobs: u64,
    pub program: PathBuf,
    pub folder: PathBuf,
    pub faketime: Option<PathBuf>,
}

/// What a run came to.
pub struct Report {
    pub store: StoreKind,
    pub account: Account,
    pub faults: Vec<Fault>,
    pub recoveries: Vec<(Kind, Us)>,
    /// Calls of producers that were repeated.
    pub repeats: u64,
    /// From the first job to the last.
    pub took: Duration,
}

/// Runs it.
///
/// # Errors
/// If a job cannot be accounted for, jobs are stuck, a worker ends by itself, a part does not start, or too little was done to
/// show anything.
pub fn run(plan: &Plan) -> anyhow::Result<Report> {
    let runtime = Runtime::new()?;
    let setting = Setting {
        program: plan.program.clone(),
        folder: plan.folder.clone(),
        workers: 3,
        slots: 8,
        lease: "3s",
        queues: format!("{}=3,{}=2,{}", QUEUES[0], QUEUES[1], QUEUES[2]),
        faketime: plan.faketime.clone(),
        effects: true,
    };
    let mut site = Site::start(plan.store, setting, StdRng::seed_from_u64(plan.seed))?;

    let url = site.store.url(site.proxy.as_ref().map(afresh_harness::Proxy::address));
    let broker = runtime.block_on(load::open(&url))?;
    let watch = Watch::start(runtime.handle(), broker.clone());
    let producer = plan.folder.join("producer.jsonl");

    let began = Instant::now();
    let load = runtime.block_on(async { Load::start(broker.clone(), &producer, plan.seed, plan.jobs, plan.span) })?;
    while began.elapsed() < plan.span && !load.is_done() {
        site.calm();
        let Fault { kind, from, until, life, .. } = site.strike()?;
        let hit = life.map(|life| format!(", worker {life}")).unwrap_or_default();
        let (at, span) = (began.elapsed().as_secs_f64(), (until - from) as f64 / 1e6);
        eprintln!("{at:>7.1} s  {kind}{hit}, for {span:.1} s; {} jobs so far", load.sent());
    }
    let fire = began.elapsed();
    all_work(&mut site, &load)?;
    let repeats = load.repeats();
    runtime.block_on(load.stop())?;
    let stuck = drain(&mut site, &runtime, &*broker)?;
    let took = began.elapsed();
    site.fleet.end()?;
    let bent = site.fleet.clocks()?;
    let asked = site.faults.iter().filter(|fault| fault.kind == Kind::ClockSkewed).count();
    ensure!(bent > 0 || asked == 0, "{asked} clocks were to be bent, and no worker has said what time it had");

    let mut ledger = Ledger::read(&producer, &site.fleet.effects())?;
    ledger.lives = site.fleet.names();
    ledger.faults = std::mem::take(&mut site.faults);
    let stalls = watch.stop().into_iter().filter(|stall| !ledger.faults.iter().any(|fault| fault.hides(stall)));
    let stalls: Vec<_> = stalls.collect();
    ledger.faults.extend(stalls);
    ledger.faults.sort_by_key(|fault| fault.from);
    std::fs::write(plan.folder.join("faults.json"), serde_json::to_string_pretty(&ledger.faults)?)?;
    ledger.jobs = runtime.block_on(read_records(&broker, ledger.jobs))?;

    let account = account(&ledger).map_err(|unaccounted| anyhow::anyhow!("{unaccounted}"))?;
    ensure!(stuck == 0, "{stuck} jobs are stuck that nobody handed over");
    let settled = ledger.jobs.iter().filter_map(|entry| entry.record.as_ref()?.finished).collect();
    let recoveries = recoveries(&ledger.faults, settled);
    enough(&account, &ledger.faults, plan.jobs, fire)?;
    Ok(Report { store: plan.store, account, faults: ledger.faults, recoveries, repeats, took })
}

/// Checks that a run of so many jobs at most, under fire for so long, has shown something.
fn enough(account: &Account, faults: &[Fault], most: u64, fire: Duration) -> anyhow::Result<()> {
    let jobs = (most / 2).min((FEWEST_JOBS * fire.as_secs_f64()) as u64).max(1);
    ensure!(account.jobs >= jobs, "there were only {} jobs, and at least {jobs} are needed", account.jobs);
    ensure!(account.succeeded >= jobs / 2, "only {} of {} jobs succeeded", account.succeeded, account.jobs);
    let done = faults.iter().filter(|fault| fault.kind.is_done()).count() as u64;
    let least = fire.as_secs() / RAREST_FAULT.as_secs() + 1;
    ensure!(done >= least, "there were only {done} faults, and at least {least} are needed");
    Ok(())
}

/// Waits until each worker has run something after the last fault, unless there is no more to do.
///
/// # Errors
/// If one does nothing, or ends by itself.
fn all_work(site: &mut Site, load: &Load) -> anyhow::Result<()> {
    let before = site.fleet.told();
    let (mut idle, end) = (before.len(), Instant::now() + SOON);
    while idle > 0 && !load.is_done() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
        site.keep_up()?;
        idle = before.iter().zip(site.fleet.told()).filter(|(before, now)| now <= before).count();
    }
    ensure!(idle == 0 || load.is_done(), "{idle} workers do nothing, although there are no faults any more");
    Ok(())
}

/// Waits until nothing is left to do, or no job ends any more; answers how many are left. What is wrong with those the
/// account tells.
///
/// # Errors
/// If a worker ends by itself.
pub fn drain(site: &mut Site, runtime: &Runtime, broker: &dyn Broker) -> anyhow::Result<u64> {
    let (mut least, mut since) = (u64::MAX, Instant::now());
    while least > 0 && since.elapsed() < STUCK {
        std::thread::sleep(Duration::from_millis(100));
        site.keep_up()?;
        if let Some(left) = runtime.block_on(load::waiting(broker))
            && left < least
        {
            (least, since) = (left, Instant::now());
        }
    }
    Ok(least)
}

/// Asks the broker what became of each.
async fn read_records(broker: &Arc<dyn Broker>, jobs: Vec<Entry>) -> anyhow::Result<Vec<Entry>> {
    let share = jobs.len().div_ceil(READERS).max(1);
    let mut readers = JoinSet::new();
    let (mut rest, mut place) = (jobs, 0);
    while !rest.is_empty() {
        let mut own: Vec<_> = rest.drain(..share.min(rest.len())).collect();
        let broker = broker.clone();
        readers.spawn(async move {
            for entry in &mut own {
                let id = entry.asked.id.parse().map_err(anyhow::Error::msg)?;
                let end = Instant::now() + SOON;
                entry.record = loop {
                    match read_record(&*broker, &id).await {
                        Err(error) if error.is_transient() && Instant::now() < end => sleep(PAUSE).await,
                        read => break read?,
                    }
                };
            }
            anyhow::Ok((place, own))
        });
        place += 1;
    }
    let mut shares = Vec::new();
    while let Some(share) = readers.join_next().await {
        shares.push(share.context("a reader panicked")?.context("failed to read what became of the jobs")?);
    }
    shares.sort_by_key(|(place, _)| *place);
    Ok(shares.into_iter().flat_map(|(_, own)| own).collect())
}

async fn read_record(broker: &dyn Broker, id: &JobId) -> Result<Option<Record>, BrokerError> {
    let Some(view) = broker.job(id).await? else { return Ok(None) };
    let reply = if view.result_bytes.is_some() { broker.result(id).await? } else { None };
    Ok(Some(Record::new(view, reply)))
}

/// The program `afresh` of the build that this one is of.
///
/// # Errors
/// If it is not there.
pub fn program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("afresh");
    ensure!(program.is_file(), "{} is not there: start this by scripts/chaos, which builds both", program.display());
    Ok(program)
}

/// The library that bends clocks.
///
/// # Errors
/// If it is not there, with what to install.
pub fn faketime() -> anyhow::Result<PathBuf> {
    let places =
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"];
    let found =
        places.iter().map(|place| Path::new(place).join("faketime/libfaketime.so.1")).find(|path| path.is_file());
    found.context("workers with a wrong clock need libfaketime, and there is none: apt-get install libfaketime")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_has_done_next_to_nothing_is_none() {
        let of = |jobs, succeeded, faults| {
            let fault = Fault { kind: Kind::WorkerKilled, from: 0, until: 0, life: None, tail: 0 };
            let account = Account { jobs, succeeded, ..Account::default() };
            let nobody = [Kind::Stall, Kind::ClockSkewed].map(|kind| Fault { kind, ..fault.clone() });
            let faults = [vec![fault; faults], nobody.to_vec()].concat();
            enough(&account, &faults, 50_000, Duration::from_secs(60)).map_err(|error| error.to_string())
        };
        assert_eq!(of(600, 590, 3), Ok(()));
        assert_eq!(of(599, 590, 3).unwrap_err(), "there were only 599 jobs, and at least 600 are needed");
        assert_eq!(of(600, 299, 3).unwrap_err(), "only 299 of 600 jobs succeeded");
        assert_eq!(of(600, 590, 2).unwrap_err(), "there were only 2 faults, and at least 3 are needed");
    }
}
