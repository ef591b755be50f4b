//! Jobs that a person ends: those that wait at once, those that run within moments; and nobody beside them is harmed.

use std::time::{Duration, Instant};

use afresh_harness::{SOON, wait_until};
use afresh_queue::{Cancelled, JobId, JobOptions, NewJob, State};

use crate::guests;
use crate::site::{Site, hasty, on_each_broker, outcomes};

on_each_broker!(
    jobs_that_run_sleep_or_wait_are_cancelled_and_their_neighbour_ends_by_itself,
    a_worker_of_several_queues_ends_the_job_that_is_meant_and_no_other,
    a_job_that_waits_for_memory_is_cancelled_before_it_starts,
    a_guest_that_never_ends_is_cancelled_within_moments,
);

/// Waits until the job is cancelled; answers its outcomes.
#[track_caller]
fn is_cancelled(site: &Site, id: &JobId) -> Vec<&'static str> {
    let job = site.wait(id, "cancelled", |job| job.state == State::Cancelled);
    assert!(job.finished_at.is_some() && !job.cancelling, "{job:#?}");
    outcomes(&job)
}

fn jobs_that_run_sleep_or_wait_are_cancelled_and_their_neighbour_ends_by_itself(site: &mut Site) {
    site.task("spin", &guests::spin());
    site.task("sleep", &guests::nap(600_000, ""));
    site.task("nap", &guests::nap(4_000, "unharmed"));
    let worker = site.worker().slots(3).start();
    let enqueue = |task| site.enqueue(NewJob::new(task, "").options(hasty(9)));
    let neighbour = enqueue("nap");
    let running = [enqueue("spin"), enqueue("sleep")];
    for id in [&neighbour, &running[0], &running[1]] {
        worker.starts(id);
    }
    let queued = enqueue("spin");
    let ids = [&running[..], std::slice::from_ref(&queued)].concat();
    assert_eq!(site.cancel(&ids), [Cancelled::Asked, Cancelled::Asked, Cancelled::Done]);
    for id in &running {
        assert_eq!(is_cancelled(site, id), ["cancelled"], "and is not tried again");
    }
    assert_eq!(is_cancelled(site, &queued), [""; 0]);

    // Both slots take the next jobs, while the third has the neighbour.
    let next = [enqueue("spin"), enqueue("sleep")];
    next.iter().for_each(|id| drop(worker.starts(id)));
    assert_eq!(site.job(&neighbour).state, State::Running);
    assert_eq!(site.succeeds(&neighbour), "unharmed");
    assert_eq!(outcomes(&site.job(&neighbour)), ["succeeded"]);
    site.cancel(&next);
    next.iter().for_each(|id| assert_eq!(is_cancelled(site, id), ["cancelled"]));
    assert_eq!(site.cancel(&ids), [Cancelled::Refused; 3], "they have ended");
}

fn a_worker_of_several_queues_ends_the_job_that_is_meant_and_no_other(site: &mut Site) {
    site.task("spin", &guests::spin());
    let worker = site.worker().queues("a,b,c").slots(3).start();
    let ids = ["a", "b", "c"].map(|queue| site.enqueue(NewJob::new("spin", "").queue(queue)));
    ids.iter().for_each(|id| drop(worker.starts(id)));
    assert_eq!(site.cancel(&ids[1..2]), [Cancelled::Asked]);
    assert_eq!(is_cancelled(site, &ids[1]), ["cancelled"]);
    for id in [&ids[0], &ids[2]] {
        let job = site.job(id);
        assert!(job.state == State::Running && !job.cancelling, "{job:#?}");
    }
    assert_eq!(site.cancel(&[ids[2].clone(), ids[0].clone()]), [Cancelled::Asked; 2]);
    for id in [&ids[0], &ids[2]] {
        assert_eq!(is_cancelled(site, id), ["cancelled"]);
    }
}

fn a_job_that_waits_for_memory_is_cancelled_before_it_starts(site: &mut Site) {
    site.task("spin", &guests::spin());
    let large = JobOptions { memory: Some(64 << 20), ..hasty(9) };
    let worker = site.worker().slots(2).memory_budget("64MiB").start();
    let first = site.enqueue(NewJob::new("spin", "").options(large.clone()));
    worker.starts(&first);
    let second = site.enqueue(NewJob::new("spin", "").options(large));
    site.runs(&second);
    assert_eq!(site.cancel(std::slice::from_ref(&second)), [Cancelled::Asked]);
    assert_eq!(is_cancelled(site, &second), ["cancelled"]);
    assert_eq!(site.job(&second).attempts[0].started_at, None);
    assert_eq!(site.job(&first).state, State::Running);
}

fn a_guest_that_never_ends_is_cancelled_within_moments(site: &mut Site) {
    site.task("spin", &guests::spin());
    // A lease so long that no heartbeat brings the news.
    let worker = site.worker().slots(1).lease("10m").start();
    let mut times: Vec<_> = (0..11)
        .map(|_| {
            let id = site.enqueue(NewJob::new("spin", ""));
            worker.starts(&id);
            let asked = Instant::now();
            assert_eq!(site.cancel(std::slice::from_ref(&id)), [Cancelled::Asked]);
            assert!(wait_until(SOON, || site.job(&id).state == State::Cancelled), "{:#?}", site.job(&id));
            asked.elapsed()
        })
        .collect();
    times.sort();
    let median = times[times.len() / 2];
    println!("from the request to a cancelled job on {}: {median:?}, at most {:?}", site.url, times[times.len() - 1]);
    assert!(median < Duration::from_millis(500), "{times:?}");
}
