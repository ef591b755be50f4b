//! Last attempts, held ahead of the slots of a worker that is killed: one that had not begun runs after all, and one that
//! had does not run again.

use afresh_harness::{Event, Worker};
use afresh_queue::{JobId, JobOptions, NewJob, Scope};

use crate::guests;
use crate::site::{Site, hasty, on_each_broker, outcomes};

on_each_broker!(
    a_last_attempt_that_was_held_ahead_when_its_worker_was_killed_runs_after_all_and_once,
    a_last_attempt_that_was_held_ahead_and_had_begun_does_not_run_again,
);

fn a_last_attempt_that_was_held_ahead_when_its_worker_was_killed_runs_after_all_and_once(site: &mut Site) {
    site.task("spin", &guests::spin());
    let echoes = (0..3).map(|n| NewJob::new("echo", n.to_string()).options(hasty(1)));
    let (mut first, ids) = leased_together(site, NewJob::new("spin", ""), echoes.collect(), "1s");
    let (spin, held) = (&ids[0], &ids[1..]);
    first.kill();

    let second = site.worker().slots(1).lease("1s").start();
    assert_eq!(outcomes(&site.dies(spin)), ["lost"], "it had begun");
    for (n, id) in held.iter().enumerate() {
        assert_eq!(site.succeeds(id), n.to_string());
        let job = site.job(id);
        assert_eq!((job.attempts_started, outcomes(&job)), (1, vec!["lost", "succeeded"]));
        assert!(job.attempts[1].error.as_ref().unwrap().message.contains("before this attempt"), "{job:#?}");
        assert_eq!((runs(&first, id), runs(&second, id)), (0, 1));
    }
}

fn a_last_attempt_that_was_held_ahead_and_had_begun_does_not_run_again(site: &mut Site) {
    site.task("nap", &guests::nap(300, "rested"));
    site.task("spin", &guests::spin());
    let spin = NewJob::new("spin", "").options(hasty(1));
    // So long that no heartbeat tells of it.
    let (mut first, ids) = leased_together(site, NewJob::new("nap", ""), vec![spin], "6s");
    first.starts(&ids[1]);
    first.kill();

    let second = site.worker().slots(1).lease("6s").start();
    let job = site.dies(&ids[1]);
    assert_eq!((job.attempts_started, outcomes(&job)), (1, vec!["lost"]));
    assert_eq!((runs(&first, &ids[1]), runs(&second, &ids[1])), (1, 0));
}

/// A worker with one slot that runs the first of these jobs, whose last attempt it is, and holds the others ahead.
fn leased_together(site: &Site, first: NewJob, others: Vec<NewJob>, lease: &str) -> (Worker, Vec<JobId>) {
    site.task("echo", &guests::echo());
    site.set_paused(&Scope::Queue, true);
    let first = first.options(JobOptions { priority: 9, ..hasty(1) });
    let ids = site.enqueue_all([vec![first], others].concat());
    let worker = site.worker().queues("default,warm").slots(1).lease(lease).start();
    // Short attempts teach it to take jobs ahead of its slot; most of these are held ahead themselves.
    let short = |_| NewJob::new("echo", "").queue("warm").options(hasty(1));
    for id in site.enqueue_all((0..50).map(short).collect()) {
        site.succeeds(&id);
        assert_eq!(outcomes(&site.job(&id)), ["succeeded"]);
    }
    site.set_paused(&Scope::Queue, false);
    worker.starts(&ids[0]);
    ids[1..].iter().for_each(|id| site.runs(id));
    (worker, ids)
}

/// How often a guest ran for this job.
fn runs(worker: &Worker, job: &JobId) -> usize {
    let job = job.to_string();
    let started = |event: &&Event| event.message() == "attempt started" && event.field("job") == job;
    worker.events().iter().filter(started).count()
}
