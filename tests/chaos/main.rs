//! Chaos: real workers on a real store, under load and under fire, and then the account of every job. Started by
//! `scripts/chaos`, which builds both; `docs/chaos.md` says what it shows.
//!
//! * [`run`]: one run against one store
//! * [`load`], [`guests`]: the jobs, and what they do
//! * [`fleet`], [`store`], [`site`]: workers and store, and what is done to them; [`faults`] names it
//! * [`soak`]: what is taken in the long run; [`overload`]: a million jobs at once, and an outage
//! * [`watch`]: when the machine itself stood still
//! * [`ledger`], [`account`]: what is known of every job, and what must be true of it
//! * [`report`]: the same for people

#![expect(unreachable_pub, reason = "in a program `pub` says that another module uses it")]

mod account;
mod faults;
mod fleet;
mod guests;
mod ledger;
mod load;
mod overload;
mod process;
mod report;
mod run;
mod site;
mod soak;
mod store;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum as _};

use run::{Plan, Report};
use store::StoreKind;

/// The longest run against one store before another has its turn, in seconds: what is known of all its jobs is in memory.
const TURN: f64 = 240.0;

/// The most jobs of one run, for the same reason; and so few that a short check has time for their account.
const MOST_JOBS: (u64, u64) = (500_000, 50_000);

/// Sets a fleet of workers on fire, and accounts for every job.
#[derive(Parser)]
struct Args {
    /// Minutes under fire, of all stores together
    #[arg(long, default_value = "25", value_parser = minutes)]
    minutes: f64,
    /// End when so many jobs were handed over, of all stores together
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    jobs: Option<u64>,
    /// What the load and the faults are drawn from; random if it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// The store: redis-always, redis-everysec, sqlite, or one after the other
    #[arg(long, default_value = "all", value_parser = Stores::parse)]
    store: Stores,
    /// What continuous integration runs: each store for a short time
    #[arg(long)]
    check: bool,
    /// No faults: look whether memory, descriptors, threads and keys stay what they are
    #[arg(long, conflicts_with_all = ["store", "jobs", "check"])]
    soak: bool,
    /// A million jobs at once (a tenth of that with --check), and an outage for ten workers
    #[arg(long, conflicts_with_all = ["store", "minutes", "soak"])]
    overload: bool,
}

/// The stores of a run, in turn.
#[derive(Clone)]
struct Stores(Vec<StoreKind>);

impl Stores {
    fn parse(word: &str) -> Result<Self, String> {
        match word {
            "all" => Ok(Self(StoreKind::value_variants().to_vec())),
            one => StoreKind::from_str(one, false).map(|one| Self(vec![one])),
        }
    }
}

fn minutes(word: &str) -> Result<f64, String> {
    let minutes: f64 = word.parse().map_err(|_| "it is no number")?;
    if minutes > 0.0 && minutes.is_finite() { Ok(minutes) } else { Err("it is to be more than nothing".into()) }
}

fn main() -> ExitCode {
    match start(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args) -> anyhow::Result<()> {
    let seed = args.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    if args.soak {
        let span = Duration::from_secs_f64(args.minutes * 60.0);
        return in_folder(|folder| soak::run(run::program()?, folder.to_owned(), seed, span));
    }
    if args.overload {
        let jobs = if args.check { 100_000 } else { 1_000_000 };
        return in_folder(|folder| overload::run(&run::program()?, folder, seed, jobs));
    }
    under_fire(args, seed)
}

/// One store after the other, until the time is over or the jobs are enough.
fn under_fire(args: &Args, seed: u64) -> anyhow::Result<()> {
    let (minutes, most) = if args.check { (3.0, MOST_JOBS.1) } else { (args.minutes, MOST_JOBS.0) };
    let Stores(stores) = &args.store;
    let share = args.jobs.map_or(u64::MAX, |all| all.div_ceil(stores.len() as u64));
    let end = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let turn = Duration::from_secs_f64((minutes * 60.0 / stores.len() as f64).min(TURN));
    let mut reports: Vec<Report> = Vec::new();
    for (number, store) in (0..).zip(stores.iter().cycle()) {
        let done =
            |store| reports.iter().filter(|report| report.store == store).map(|report| report.account.jobs).sum();
        let every_one = reports.len() >= stores.len();
        if every_one && (Instant::now() + turn / 2 > end || stores.iter().all(|store| done(*store) >= share)) {
            break;
        }
        let jobs = most.min(share.saturating_sub(done(*store)));
        if jobs == 0 {
            continue;
        }
        let seed = seed.wrapping_add(number * 1_000);
        println!("\n## {store}, seed {seed}, {:.0} s\n", turn.as_secs_f64());
        let report = in_folder(|folder| {
            let (program, faketime) = (run::program()?, Some(run::faketime()?));
            let plan = Plan { store: *store, seed, span: turn, jobs, program, folder: folder.to_owned(), faketime };
            run::run(&plan).with_context(|| format!("{store}, seed {seed}"))
        })?;
        println!("\n{}", report::page(std::slice::from_ref(&report)));
        reports.push(report);
    }
    let missed = stores.iter().find(|store| !reports.iter().any(|report| report.store == **store));
    ensure!(missed.is_none(), "nothing was done to {missed:?}");
    println!("\n# Altogether\n\nseed {seed}\n\n{}", report::page(&reports));
    Ok(())
}

/// Where ledgers are kept while they are written. In memory, where that can be had: what dies in these runs are processes,
/// whose memory files outlive, and workers that wait for a disk at each line would be slow ones.
fn ledgers() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// Does something in a folder of its own, which is there until that has gone well: what panics leaves it behind, too.
fn in_folder<T>(run: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let folder = tempfile::Builder::new().prefix("afresh-chaos-").tempdir_in(ledgers())?.keep();
    eprintln!("everything there is of it is in {} until it has gone well", folder.display());
    let done = run(&folder).with_context(|| format!("everything there is of it is in {}", folder.display()))?;
    std::fs::remove_dir_all(&folder)?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_leaves_everything_behind_and_what_goes_well_nothing() {
        let mut seen = PathBuf::new();
        let run = |folder: &Path| {
            folder.clone_into(&mut seen);
            Ok(())
        };
        in_folder(run).unwrap();
        assert!(!seen.exists());
        let mut fails = |run: fn()| {
            let fail = || {
                in_folder(|folder| {
                    folder.clone_into(&mut seen);
                    run();
                    anyhow::bail!("it fails")
                })
            };
            let failed: Result<anyhow::Result<()>, _> = std::panic::catch_unwind(std::panic::AssertUnwindSafe(fail));
            assert!(!matches!(failed, Ok(Ok(()))));
            assert!(seen.is_dir());
            std::fs::remove_dir(&seen).unwrap();
        };
        fails(|| ());
        fails(|| panic!("it panics"));
    }
}
