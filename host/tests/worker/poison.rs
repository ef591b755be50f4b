//! Jobs that take their workers down: after a few workers they are dead, whatever attempts they have left; and the jobs
//! that were only near them are not blamed.

use afresh_queue::{JobId, JobOptions, NewJob, Scope, State};

use crate::guests;
use crate::site::{Site, hasty, on_each_broker, outcomes};

on_each_broker!(
    a_job_that_takes_its_workers_down_is_dead_and_those_held_ahead_are_not,
    a_job_that_was_lost_is_told_of_before_it_runs_again,
);

fn a_job_that_takes_its_workers_down_is_dead_and_those_held_ahead_are_not(site: &mut Site) {
    site.task("poison", &guests::spin());
    site.task("echo", &guests::echo());
    site.config("[limits]\nlost = 2\n");
    // Without a wait, so that all are queued again together; and the poison goes first.
    let at_once = || JobOptions { min_backoff_ms: Some(0), max_backoff_ms: Some(0), ..hasty(25) };
    let mut jobs = vec![NewJob::new("poison", "").options(JobOptions { priority: 9, ..at_once() })];
    jobs.extend((0..3).map(|n| NewJob::new("echo", format!("{n}")).options(at_once())));
    site.set_paused(&Scope::Queue, true);
    let ids = site.enqueue_all(jobs);
    let (poison, others) = (&ids[0], &ids[1..]);

    for lost in 1..=2 {
        let mut worker = site.worker().queues("default,warm").slots(1).lease("1s").start();
        let queued_again = |id: &JobId| {
            site.wait(id, "queued", |job| job.state == State::Queued && job.attempts.len() == lost - 1);
        };
        ids.iter().for_each(queued_again);
        // Short attempts teach it to take jobs ahead of its slot.
        let warm = site.enqueue_all((0..50).map(|_| NewJob::new("echo", "").queue("warm")).collect());
        warm.iter().for_each(|id| drop(site.succeeds(id)));
        site.set_paused(&Scope::Queue, false);
        worker.starts(poison);
        others.iter().for_each(|id| site.runs(id));
        worker.kill();
        site.set_paused(&Scope::Queue, true);
    }
    let _third = site.worker().slots(1).lease("1s").start();
    let job = site.dies(poison);
    assert_eq!((job.attempts_started, outcomes(&job)), (2, vec!["lost", "lost"]));
    site.set_paused(&Scope::Queue, false);
    for (n, id) in others.iter().enumerate() {
        assert_eq!(site.succeeds(id), n.to_string());
        assert_eq!(outcomes(&site.job(id)), ["lost", "lost", "succeeded"], "it was lost as often, and did no harm");
    }
}

fn a_job_that_was_lost_is_told_of_before_it_runs_again(site: &mut Site) {
    site.task("echo", &guests::echo());
    let id = site.enqueue(NewJob::new("echo", "hello").options(hasty(25)));
    for step in ["begun", "told"] {
        let mut worker = site.worker().slots(1).lease("1s").env("FAILPOINTS", format!("{step}=return")).start();
        worker.dies();
    }
    let _third = site.worker().slots(1).lease("1s").start();
    assert_eq!(site.succeeds(&id), "hello");
    let job = site.job(&id);
    assert_eq!(outcomes(&job), ["lost", "lost", "succeeded"]);
    let error = |at: usize| &job.attempts[at].error.as_ref().unwrap().message;
    assert!(error(2).contains("before this attempt is known to have begun"), "it had attempts to spare: {job:#?}");
    assert!(error(1).contains("when this attempt had begun"), "the broker was told: {job:#?}");
}
