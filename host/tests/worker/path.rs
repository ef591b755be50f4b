//! Jobs run, in order, at their time, once.

use std::collections::HashSet;
use std::time::Duration;

use afresh_queue::{JobId, NewJob, Timestamp};

use crate::guests;
use crate::site::{Site, hasty, on_each_broker, outcomes};

on_each_broker!(
    a_reply_is_the_jobs_result,
    strict_queues_are_served_in_the_order_they_are_named,
    full_queues_share_the_slots_by_their_weights,
    a_delayed_job_runs_at_its_time_and_not_before,
    a_burst_ends_when_all_is_done_retries_included,
    several_workers_share_the_jobs_and_run_each_once,
    jobs_held_behind_a_long_attempt_go_to_another_worker,
);

fn a_reply_is_the_jobs_result(site: &mut Site) {
    site.task("echo", &guests::echo());
    let worker = site.worker().slots(2).start();
    let started = worker.says("worker started");
    assert!(started.says(site.url.trim_start_matches("sqlite:")) && started.field("tasks") == "echo", "{started}");
    let id = site.enqueue(NewJob::new("echo", "good morning"));
    assert_eq!(site.succeeds(&id), "good morning");
    let job = site.job(&id);
    assert_eq!((job.attempts_started, outcomes(&job)), (1, vec!["succeeded"]));
    assert_eq!(job.attempts[0].worker, started.field("worker"));
    assert!(job.attempts[0].module.as_ref().is_some_and(|digest| digest.starts_with("sha256:")), "{job:?}");
}

fn strict_queues_are_served_in_the_order_they_are_named(site: &mut Site) {
    site.task("echo", &guests::echo());
    let put = |queue| -> Vec<_> { (0..3).map(|_| site.enqueue(NewJob::new("echo", "").queue(queue))).collect() };
    let (low, high, other) = (put("low"), put("high"), put("other"));
    let mut worker = site.worker().queues("high,low").switch("--strict").slots(1).burst().start();
    assert_eq!(worker.ends(), 0);
    let wanted: Vec<_> = high.iter().chain(&low).map(JobId::to_string).collect();
    assert_eq!(started(&worker), wanted);
    assert_eq!(site.job(&other[0]).attempts_started, 0, "nobody serves this queue");
}

fn full_queues_share_the_slots_by_their_weights(site: &mut Site) {
    // Longer than what the worker takes ahead of its slot, so that it takes one job at a time.
    site.task("nap", &guests::nap(25, ""));
    let put = |queue| site.enqueue_all((0..40).map(|_| NewJob::new("nap", "").queue(queue)).collect());
    let (light, heavy) = (put("light"), put("heavy"));
    let mut worker = site.worker().queues("light,heavy=3").slots(1).burst().start();
    assert_eq!(worker.says("worker started").field("queues"), "light,heavy=3");
    assert_eq!(worker.ends(), 0);
    let order = started(&worker);
    assert_eq!(order.len(), light.len() + heavy.len());
    let of_heavy = order[..40].iter().filter(|job| heavy.iter().any(|id| id.as_str() == *job)).count();
    assert!((27..=33).contains(&of_heavy), "{of_heavy} of the first 40 are of the heavy queue: {order:?}");
    let of_light = order[..8].iter().filter(|job| light.iter().any(|id| id.as_str() == *job)).count();
    assert!(of_light > 0, "the light queue starves: {order:?}");
}

/// The jobs whose attempts have started, in this order. Each queue settles for itself, so the order
/// in which attempts are told as finished says nothing across queues.
fn started(worker: &afresh_harness::Worker) -> Vec<String> {
    let started = worker.events().into_iter().filter(|event| event.message() == "attempt started");
    started.map(|event| event.field("job")).collect()
}

fn a_delayed_job_runs_at_its_time_and_not_before(site: &mut Site) {
    site.task("echo", &guests::echo());
    let worker = site.worker().slots(1).start();
    worker.says("worker started");
    let due = Timestamp::now().after(Duration::from_millis(700));
    let id = site.enqueue(NewJob::new("echo", "later").run_at(due));
    assert_eq!(site.succeeds(&id), "later");
    let started = site.job(&id).attempts[0].started_at.unwrap();
    assert!(started >= due, "it started at {started}, due was {due}");
    // It would be a second where only the regular look finds it; the machine may be busy.
    assert!(started < due.after(Duration::from_millis(700)), "it started at {started}, due was {due}");
}

fn a_burst_ends_when_all_is_done_retries_included(site: &mut Site) {
    site.task("echo", &guests::echo());
    site.task("fail", &guests::leave(75, "not today"));
    let later = Timestamp::now().after(Duration::from_millis(500));
    let delayed = site.enqueue(NewJob::new("echo", "b").run_at(later));
    let slow = afresh_queue::JobOptions { min_backoff_ms: Some(300), max_backoff_ms: Some(300), ..hasty(2) };
    let failing = site.enqueue(NewJob::new("fail", "").options(slow));
    let mut worker = site.worker().slots(2).burst().start();
    assert_eq!(worker.ends(), 0);
    assert_eq!(site.succeeds(&delayed), "b");
    let job = site.dies(&failing);
    assert_eq!(outcomes(&job), ["failed", "failed"]);
    assert_eq!(job.attempts[0].error.as_ref().unwrap().message, "exited with code 75: not today");
    assert_eq!(worker.count("the job is dead"), 1);
}

fn several_workers_share_the_jobs_and_run_each_once(site: &mut Site) {
    site.task("nap", &guests::nap(10, "done"));
    // Ready before there is work, so that no worker takes all of it while the others start.
    let workers: Vec<_> = (0..3).map(|_| site.worker().slots(2).start()).collect();
    workers.iter().for_each(|worker| drop(worker.says("worker started")));
    let ids = site.enqueue_all((0..200).map(|_| NewJob::new("nap", "")).collect());
    let mut names = HashSet::new();
    for id in &ids {
        assert_eq!(site.succeeds(id), "done");
        let job = site.job(id);
        assert_eq!((job.attempts_started, outcomes(&job)), (1, vec!["succeeded"]), "{job:#?}");
        names.insert(job.attempts[0].worker.clone());
    }
    assert!(names.len() > 1, "one worker ran them all: {names:?}");
    let told = |worker: &afresh_harness::Worker| worker.count("attempt finished");
    let all = || workers.iter().map(told).sum::<usize>();
    assert!(afresh_harness::wait_until(afresh_harness::SOON, || all() >= 200));
    assert_eq!(all(), 200, "each job was run once, by what the workers say too");
}

fn jobs_held_behind_a_long_attempt_go_to_another_worker(site: &mut Site) {
    site.task("echo", &guests::echo());
    site.task("nap", &guests::nap(2500, "slept"));
    let first = site.worker().slots(1).start();
    // Short attempts teach it to take jobs ahead of its slot.
    let short = site.enqueue_all((0..100).map(|_| NewJob::new("echo", "")).collect());
    short.iter().for_each(|id| drop(site.succeeds(id)));
    let long = site.enqueue_all((0..5).map(|_| NewJob::new("nap", "")).collect());
    long.iter().for_each(|id| site.runs(id));

    let second = site.worker().slots(4).start();
    let name = second.says("worker started").field("worker");
    let ran_by = |id: &JobId| {
        assert_eq!(site.succeeds(id), "slept");
        let job = site.job(id);
        assert_eq!(job.attempts_started, 1, "what was handed back unstarted costs nothing: {job:#?}");
        job.attempts[0].worker.clone()
    };
    let workers: Vec<_> = long.iter().map(ran_by).collect();
    assert!(workers.contains(&name), "the second worker had none: {workers:?}");
    drop(first);
}
