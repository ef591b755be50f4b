//! What people see of workers: who is there, what each runs, and who is not there any more.

use std::time::{Duration, Instant};

use afresh_harness::{SOON, Worker, wait_until};
use afresh_queue::{NewJob, Timestamp, WorkerView};

use crate::guests;
use crate::site::{Site, on_each_broker};

on_each_broker!(a_worker_shows_what_it_runs_and_leaves_when_it_is_asked_to, a_worker_that_is_killed_is_shown_as_gone,);

/// Waits until the broker shows one worker, and it is as it should be.
#[track_caller]
fn shown(site: &Site, what: &str, is_so: impl Fn(&WorkerView) -> bool) -> WorkerView {
    let mut found = None;
    let _ = wait_until(SOON, || {
        found = site.workers().into_iter().next().filter(&is_so);
        found.is_some()
    });
    found.unwrap_or_else(|| panic!("no worker is shown {what}: {:#?}", site.workers()))
}

fn name_of(worker: &Worker) -> String {
    worker.says("worker started").field("worker")
}

fn a_worker_shows_what_it_runs_and_leaves_when_it_is_asked_to(site: &mut Site) {
    site.task("spin", &guests::spin());
    site.task("reply", &guests::reply("done"));
    let worker = site.worker().queues("mail=3,default").slots(2).lease("3s").memory_budget("512MiB");
    let mut worker = worker.shutdown_timeout("2s").start();
    let idle = shown(site, "idle", |worker| worker.info.running.is_empty());
    assert_eq!((idle.info.name.clone(), idle.info.pid), (name_of(&worker), worker.pid()));
    assert_eq!((idle.info.queues.join(","), idle.info.slots), ("mail=3,default".to_owned(), 2));
    assert_eq!((idle.info.memory_used_bytes, idle.info.memory_budget_bytes), (0, 512 << 20));
    assert_eq!(idle.info.version, env!("CARGO_PKG_VERSION"));
    assert!(!idle.gone && !idle.info.stopping, "{idle:?}");

    let before = Timestamp::now();
    let id = site.enqueue(NewJob::new("spin", "a secret").queue("mail"));
    worker.starts(&id);
    let busy = shown(site, "with its job", |worker| worker.info.running_total == 1);
    let job = &busy.info.running[0];
    assert_eq!((&job.job, job.task.as_str(), job.queue.as_str()), (&id, "spin", "mail"));
    assert!(job.since >= before && job.since <= Timestamp::now(), "{job:?}");
    // The limit of the one attempt, and the few MiB that the host may hold for it.
    assert!((128 << 20..140 << 20).contains(&busy.info.memory_used_bytes), "{:?}", busy.info);
    assert!(!serde_json::to_string(&busy).unwrap().contains("secret"), "a payload is nobody's business");

    let short = site.enqueue(NewJob::new("reply", ""));
    assert_eq!(site.succeeds(&short), "done");
    let later = Timestamp::now();
    let busy = shown(site, "after a short job", |worker| worker.last_seen > later && worker.info.running_total == 1);
    assert_eq!(busy.info.running[0].job, id, "the other one runs no more");

    worker.terminate();
    shown(site, "as stopping", |worker| worker.info.stopping && worker.info.running_total == 1);
    assert_eq!(worker.ends(), 0);
    assert_eq!(site.workers(), [], "it has said goodbye");
}

fn a_worker_that_is_killed_is_shown_as_gone(site: &mut Site) {
    site.task("spin", &guests::spin());
    let mut first = site.worker().slots(1).lease("1s").start();
    let id = site.enqueue(NewJob::new("spin", ""));
    first.starts(&id);
    shown(site, "with its job", |worker| worker.info.running_total == 1);
    first.kill();
    let gone = shown(site, "as gone", |worker| worker.gone);
    assert_eq!(gone.info.running[0].job, id, "what it ran last");
    let second = site.worker().slots(1).lease("1s").start();
    let both = [(name_of(&first), true), (name_of(&second), false)];
    let seen = || site.workers().into_iter().map(|worker| (worker.info.name, worker.gone)).collect::<Vec<_>>();
    assert!(wait_until(SOON, || seen() == both), "{:#?}", site.workers());
}

#[test]
fn a_worker_shows_up_again_after_an_outage_that_lost_everything() {
    let mut site = Site::redis(&[]);
    site.task("echo", &guests::echo());
    let worker = site.worker().slots(1).lease("1s").start();
    shown(&site, "at all", |_| true);
    site.server().kill();
    worker.says("this worker is not announced now");
    site.server().restart();
    let back = shown(&site, "again", |worker| !worker.gone);
    assert_eq!(back.info.name, name_of(&worker));
    let errors = worker.events().into_iter().filter(|event| event.field("level") == "ERROR");
    assert!(errors.into_iter().all(|error| !error.says("announce")), "others tell of it:\n{}", worker.log());
}

#[test]
fn a_worker_that_may_not_announce_itself_serves_all_the_same() {
    let mut site = Site::redis(&[]);
    site.task("echo", &guests::echo());
    // What any user may do who is not named, from here on: everything, but on the keys of queues only.
    site.server().command("ACL SETUSER default resetkeys ~afresh:{* ~afresh:queues ~afresh:check");
    let mut worker = site.worker().slots(1).lease("1s").start();
    worker.says("failed to announce this worker");
    let id = site.enqueue(NewJob::new("echo", "served"));
    assert_eq!(site.succeeds(&id), "served");
    let asked = Instant::now();
    worker.terminate();
    assert_eq!(worker.ends(), 0);
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?} to end", asked.elapsed());
}
