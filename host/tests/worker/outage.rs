//! The broker goes away, comes back, or takes no writes: the worker says so once, loses nothing, and goes on.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use afresh_harness::{Event, SOON, wait_until};
use afresh_queue::{JobOptions, NewJob, Scope, State};

use crate::effects::Effects;
use crate::footprint::resident;
use crate::guests;
use crate::site::{Site, hasty, outcomes};

/// What survives a crash of the server's process.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

#[test]
fn a_redis_that_crashes_and_comes_back_costs_no_job_and_one_line() {
    let mut site = Site::redis(&DURABLE);
    site.task("nap", &guests::nap(1_000, "rested"));
    let worker = site.worker().slots(2).lease("60s").start();
    let under_way = site.enqueue(NewJob::new("nap", ""));
    worker.starts(&under_way);
    site.server().kill();
    let error = worker.says("failed to take jobs");
    assert!(error.says(&site.url) && error.says("cannot be reached"), "{error}");
    // Long enough for several tries.
    let begin = Instant::now();
    assert!(wait_until(SOON, || begin.elapsed() >= Duration::from_secs(1)));
    assert_eq!(worker.count("failed to take jobs"), 1, "{}", worker.log());
    site.server().restart();
    assert_eq!(site.succeeds(&under_way), "rested");
    assert_eq!(outcomes(&site.job(&under_way)), ["succeeded"]);
    worker.says("the broker answers again");

    // And while it has nothing to do.
    site.server().kill();
    assert!(wait_until(SOON, || worker.count("failed to take jobs") == 2), "{}", worker.log());
    site.server().restart();
    let next = site.enqueue(NewJob::new("nap", ""));
    assert_eq!(site.succeeds(&next), "rested");
    let errors = worker.events().iter().filter(|event| event.field("level") == "ERROR").count();
    assert!(errors <= 6, "an outage is told once by each who notices:\n{}", worker.log());
}

#[test]
fn an_outage_longer_than_a_lease_costs_no_running_attempt_of_any_worker() {
    let mut site = Site::redis(&DURABLE);
    site.task("nap", &guests::nap(8_000, "rested"));
    let workers = [0, 1, 2].map(|_| site.worker().slots(1).lease("2s").start());
    let ids: Vec<_> = (0..3).map(|_| site.enqueue(NewJob::new("nap", ""))).collect();
    ids.iter().for_each(|id| site.runs(id));
    site.server().kill();
    // Longer than their leases.
    let begin = Instant::now();
    assert!(wait_until(SOON, || begin.elapsed() >= Duration::from_secs(4)));
    site.server().restart();
    for id in &ids {
        assert_eq!(site.succeeds(id), "rested");
        assert_eq!(outcomes(&site.job(id)), ["succeeded"], "whoever was back first took it from another");
    }
    workers.iter().for_each(|worker| assert_eq!(worker.count("attempt lost"), 0, "{}", worker.log()));
}

#[test]
fn replies_that_a_stalled_broker_does_not_take_stay_within_the_memory_budget() {
    const BUDGET_MIB: usize = 16;
    let mut site = Site::redis(&[]);
    site.task("echo", &guests::echo());
    site.task("nap", &guests::nap(2_000, "rested"));
    site.task("pour", &guests::pour(1, 32, 0));
    let effects = Effects::at(site.path("effects"));
    let worker = site.worker().queues("default,warm").slots(2).lease("60s").memory_budget("16MiB");
    let worker = worker.env("AFRESH_EFFECTS", effects.path()).start();
    // Short attempts teach it to take jobs ahead of its slots, and show what it takes by itself.
    // Not the last attempt, which would have to be told to the broker before it may run.
    let small = || JobOptions { memory: Some(1 << 20), ..hasty(2) };
    let warm = |task: &str| NewJob::new(task, "").queue("warm").options(small());
    let warmed = site.enqueue_all((0..10).map(|_| warm("pour")).chain((0..90).map(|_| warm("echo"))).collect());
    warmed.iter().for_each(|id| drop(site.wait(id, "done", |job| job.state == State::Succeeded)));
    let usual = resident(&worker);

    // Two jobs keep the slots busy until the broker stands still; what is held behind them then runs, and cannot be settled.
    site.set_paused(&Scope::Queue, true);
    let naps = (0..2).map(|_| NewJob::new("nap", "").options(JobOptions { priority: 9, ..small() }));
    let mebibytes = (0..40).map(|_| NewJob::new("pour", "").options(small()));
    let ids = site.enqueue_all(naps.chain(mebibytes).collect());
    site.set_paused(&Scope::Queue, false);
    ids.iter().for_each(|id| site.runs(id));
    site.server().pause();
    worker.says("failed to settle attempts");
    let waiting = effects.ends() - warmed.len();
    let grown = resident(&worker).saturating_sub(usual) >> 20;
    site.server().resume();
    assert!((4..=BUDGET_MIB + 2).contains(&waiting), "{waiting} attempts ended, with a MiB each that waits");
    assert!(grown <= 2 * BUDGET_MIB as u64, "the worker has grown by {grown} MiB, from {} MiB", usual >> 20);
    for id in &ids {
        site.wait(id, "done", |job| job.state == State::Succeeded);
        assert_eq!(outcomes(&site.job(id)), ["succeeded"]);
    }
}

#[test]
fn a_redis_that_is_not_there_yet_is_waited_for() {
    let mut site = Site::redis(&[]);
    site.task("echo", &guests::echo());
    site.server().kill();
    let worker = site.worker().start();
    let error = worker.says("failed to reach the broker");
    assert!(error.says(&site.url) && error.says("trying again"), "{error}");
    site.server().restart();
    worker.says("the broker answers");
    let id = site.enqueue(NewJob::new("echo", "hello"));
    assert_eq!(site.succeeds(&id), "hello");
}

#[test]
fn a_worker_that_requires_its_broker_ends_where_there_is_none() {
    let mut site = Site::redis(&[]);
    site.server().kill();
    let mut worker = site.worker().switch("--require-broker").start();
    assert_eq!(worker.ends(), 1);
    let error = worker.tells("why it ends", |event: &Event| event.message().starts_with("error: "));
    assert!(error.says("failed to use the broker") && error.says(&site.url), "{error}");
}

#[test]
fn a_worker_waiting_for_its_broker_ends_when_it_is_asked_to() {
    let mut site = Site::redis(&[]);
    site.server().kill();
    let mut worker = site.worker().start();
    worker.says("failed to reach the broker");
    worker.terminate();
    assert_eq!(worker.ends(), 0);
}

#[test]
fn a_read_only_replica_is_named_and_waited_for() {
    let mut site = Site::redis(&[]);
    site.task("echo", &guests::echo());
    let id = site.enqueue(NewJob::new("echo", "promoted"));
    site.server().command("REPLICAOF 127.0.0.1 1");
    let worker = site.worker().start();
    let error = worker.says("is a read-only replica");
    assert!(error.says("point the broker's URL at the primary"), "{error}");
    site.server().command("REPLICAOF NO ONE");
    assert_eq!(site.succeeds(&id), "promoted");
}

#[test]
fn a_redis_turned_replica_under_a_worker_is_named_and_its_job_is_settled_later() {
    let mut site = Site::redis(&[]);
    site.task("nap", &guests::nap(500, "rested"));
    let worker = site.worker().slots(1).lease("60s").start();
    let id = site.enqueue(NewJob::new("nap", ""));
    worker.starts(&id);
    site.server().command("REPLICAOF 127.0.0.1 1");
    let error = worker.says("failed to settle attempts");
    assert!(error.says("is a read-only replica"), "{error}");
    site.server().command("REPLICAOF NO ONE");
    assert_eq!(site.succeeds(&id), "rested");
    assert_eq!(outcomes(&site.job(&id)), ["succeeded"]);
}

#[test]
fn a_full_redis_is_named_and_drained_by_a_worker_that_starts_then() {
    let mut site = Site::redis(&[]);
    site.task("echo", &guests::echo());
    let ids: Vec<_> = (0..3).map(|n| site.enqueue(NewJob::new("echo", n.to_string()))).collect();
    site.server().command("CONFIG SET maxmemory 1");
    let worker = site.worker().slots(1).start();
    let error = worker.says("has reached its memory limit");
    assert!(error.says("raise `maxmemory`"), "{error}");
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(site.succeeds(id), n.to_string());
    }
}

#[test]
fn a_sqlite_file_that_another_program_keeps_locked_is_waited_for() {
    const LOCK: &str = "import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('begin exclusive')
print('locked', flush=True); sys.stdin.read()";
    let site = Site::sqlite();
    site.task("echo", &guests::echo());
    let id = site.enqueue(NewJob::new("echo", "at last"));
    let mut other = Command::new("python3")
        .args(["-c", LOCK])
        .arg(site.path("jobs.db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs python3 (`apt-get install python3`)");
    other.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).expect("it locks the file");
    let worker = site.worker().start();
    let error = worker.says("is kept locked by another process");
    assert!(error.says("jobs.db") && error.says("trying again"), "{error}");
    // Its standard input ends, and with it the program.
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    assert_eq!(site.succeeds(&id), "at last");
}
