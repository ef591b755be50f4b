//! Workers that are asked to end: no job loses an attempt by it.

use std::time::Duration;

use afresh_queue::{NewJob, State};

use crate::guests;
use crate::site::{Site, on_each_broker, outcomes};

on_each_broker!(
    an_attempt_that_ends_in_time_is_waited_for,
    an_attempt_that_does_not_end_in_time_goes_back_unspent,
    a_second_signal_ends_the_worker_at_once,
);

fn an_attempt_that_ends_in_time_is_waited_for(site: &mut Site) {
    site.task("nap", &guests::nap(800, "rested"));
    let id = site.enqueue(NewJob::new("nap", ""));
    let mut worker = site.worker().slots(1).start();
    worker.starts(&id);
    worker.terminate();
    worker.says("SIGTERM: no new jobs");
    let late = site.enqueue(NewJob::new("nap", ""));
    assert_eq!(worker.ends(), 0);
    assert_eq!(site.job(&id).state, State::Succeeded, "it ended before the worker did");
    assert_eq!(outcomes(&site.job(&id)), ["succeeded"]);
    assert_eq!(site.job(&late).state, State::Queued, "nothing new is taken");
}

fn an_attempt_that_does_not_end_in_time_goes_back_unspent(site: &mut Site) {
    site.task("spin", &guests::spin());
    site.task("reply", &guests::reply("done"));
    let mut worker = site.worker().slots(1).shutdown_timeout("2s").start();
    // After short attempts the worker leases ahead of its slot.
    let short: Vec<_> = (0..20).map(|_| site.enqueue(NewJob::new("reply", ""))).collect();
    short.iter().for_each(|id| drop(site.succeeds(id)));
    let long = site.enqueue(NewJob::new("spin", ""));
    worker.starts(&long);
    let behind = site.enqueue(NewJob::new("reply", ""));
    site.runs(&behind);

    worker.terminate();
    let job = site.wait(&behind, "given back", |job| job.state == State::Queued);
    assert_eq!((job.attempts_started, outcomes(&job)), (0, vec![]), "it never started, so there is nothing to tell");
    assert_eq!(site.job(&long).state, State::Running, "what had not started goes back before what runs is interrupted");
    assert_eq!(worker.ends(), 0);
    let job = site.job(&long);
    assert_eq!((job.state, job.attempts_started, outcomes(&job)), (State::Queued, 0, vec!["interrupted"]));
    worker.says("interrupted 1 attempts");
}

fn a_second_signal_ends_the_worker_at_once(site: &mut Site) {
    site.task("spin", &guests::spin());
    let id = site.enqueue(NewJob::new("spin", ""));
    let mut worker = site.worker().slots(1).shutdown_timeout("60s").start();
    worker.starts(&id);
    worker.terminate();
    worker.says("SIGTERM: no new jobs");
    let before = std::time::Instant::now();
    worker.terminate();
    assert_eq!(worker.ends(), 130);
    assert!(before.elapsed() < Duration::from_secs(10));
    assert_eq!(site.job(&id).state, State::Running, "its lease will expire");
}
