//! Jobs that a worker holds ahead of its slot.

use afresh_harness::{SOON, Worker, wait_until};
use afresh_queue::{JobId, JobOptions, NewJob, Scope, State};

use crate::site::{Site, hasty};

/// Hands over a job that keeps the one slot of this worker busy, and these behind it; then stops the worker, which holds
/// all of them. It serves `default` and `warm`, and has the task `echo`.
#[track_caller]
pub(crate) fn asleep_with(site: &Site, worker: &Worker, busy: &NewJob, held: &[NewJob]) -> Vec<JobId> {
    let mut ids = Vec::new();
    // On a busy machine it may give back what it holds for long before it is asleep.
    let asleep = wait_until(SOON, || {
        ids = held_ahead(site, worker, busy, held);
        site.pause(worker);
        let asleep = ids.iter().all(|id| site.job(id).state == State::Running);
        if !asleep {
            worker.resume();
            ids.iter().for_each(|id| drop(site.succeeds(id)));
        }
        asleep
    });
    assert!(asleep, "it holds no job ahead");
    ids
}

fn held_ahead(site: &Site, worker: &Worker, busy: &NewJob, held: &[NewJob]) -> Vec<JobId> {
    // Short attempts teach it to take jobs ahead of its slot.
    let short = site.enqueue_all((0..50).map(|_| NewJob::new("echo", "").queue("warm").options(hasty(5))).collect());
    short.iter().for_each(|id| drop(site.succeeds(id)));
    site.set_paused(&Scope::Queue, true);
    let first = JobOptions { priority: 9, ..busy.options.clone() };
    let ids = site.enqueue_all([&[busy.clone().options(first)], held].concat());
    site.set_paused(&Scope::Queue, false);
    worker.starts(&ids[0]);
    ids
}
