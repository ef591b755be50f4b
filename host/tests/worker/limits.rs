//! What limits and pauses hold back, on several workers together; and that they hold nobody else back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use afresh_harness::{SOON, Worker, wait_until};
use afresh_queue::{JobId, Limit, NewJob, Rate, Scope, State, Timestamp};

use crate::guests;
use crate::site::{Site, on_each_broker};

on_each_broker!(
    no_more_jobs_of_a_task_run_at_once_than_its_limit_and_the_others_go_past_them,
    jobs_start_no_faster_than_their_rate,
    a_paused_queue_starts_nothing_and_goes_on_at_once_when_it_is_resumed,
    a_paused_task_starts_nothing_and_its_neighbours_go_on,
);

fn two_workers(site: &Site) -> [Worker; 2] {
    let workers = [site.worker().slots(4).start(), site.worker().slots(4).start()];
    workers.iter().for_each(|worker| drop(worker.says("worker started")));
    workers
}

/// What these workers said of attempts of a task, in the order of time: the instant, the job, and whether it began.
fn moments(workers: &[Worker], task: &str) -> Vec<(Timestamp, String, bool)> {
    let mut moments: Vec<_> = workers
        .iter()
        .flat_map(Worker::events)
        .filter(|event| event.field("task") == task && event.message().starts_with("attempt "))
        .map(|event| (at(&event.field("timestamp")), event.field("job"), event.message() == "attempt started"))
        .collect();
    moments.sort();
    moments
}

fn at(text: &str) -> Timestamp {
    serde_json::from_value(text.into()).expect("a line of the log names its instant")
}

/// Waits until these workers have told the end of so many attempts of a task.
#[track_caller]
fn all_end(workers: &[Worker], task: &str, count: usize) {
    let ended = || moments(workers, task).iter().filter(|(_, _, began)| !began).count();
    assert!(wait_until(SOON, || ended() >= count), "{} of {count} ended", ended());
}

fn no_more_jobs_of_a_task_run_at_once_than_its_limit_and_the_others_go_past_them(site: &mut Site) {
    site.task("slow", &guests::nap(250, "slow"));
    site.task("quick", &guests::echo());
    site.set_limit(&Scope::Task("slow".into()), Limit { concurrency: Some(2), rate: None });
    let workers = two_workers(site);
    let slow = site.enqueue_all((0..8).map(|_| NewJob::new("slow", "")).collect());
    let quick = site.enqueue_all((0..20).map(|n| NewJob::new("quick", n.to_string())).collect());
    quick.iter().enumerate().for_each(|(n, id)| assert_eq!(site.succeeds(id), n.to_string()));
    let waiting = slow.iter().filter(|id| site.job(id).state == State::Queued).count();
    assert!(waiting > 0, "the others went past none of them");

    slow.iter().for_each(|id| assert_eq!(site.succeeds(id), "slow"));
    all_end(&workers, "slow", slow.len());
    // An end is told before the broker hears of it, and so before another may begin.
    let mut running = BTreeSet::new();
    let mut most = 0;
    for (_, job, began) in moments(&workers, "slow") {
        if began {
            running.insert(job)
        } else {
            running.remove(&job)
        };
        most = most.max(running.len());
    }
    assert_eq!(most, 2, "{:#?}", moments(&workers, "slow"));
}

fn jobs_start_no_faster_than_their_rate(site: &mut Site) {
    site.task("echo", &guests::echo());
    let every = Duration::from_millis(200);
    site.set_limit(&Scope::Queue, Limit { concurrency: None, rate: Some(Rate { every, burst: 1 }) });
    let workers = two_workers(site);
    let before = Timestamp::now();
    let ids = site.enqueue_all((0..10).map(|_| NewJob::new("echo", "")).collect());
    ids.iter().for_each(|id| drop(site.succeeds(id)));
    all_end(&workers, "echo", ids.len());
    let starts: Vec<_> = moments(&workers, "echo").into_iter().filter(|(_, _, began)| *began).collect();
    assert_eq!(starts.len(), ids.len());
    for (n, (start, ..)) in (0..).zip(&starts) {
        assert!(*start >= before.after(every * n), "the {n}th started too early, after {before}: {starts:#?}");
    }
}

/// Waits until each worker that can has looked for jobs: others of the same queues ran to their end.
fn others_run(site: &Site, queue: &str) {
    for _ in 0..3 {
        let id = site.enqueue(NewJob::new("echo", "passes").queue(queue));
        assert_eq!(site.succeeds(&id), "passes");
    }
}

fn never_started(site: &Site, id: &JobId) -> bool {
    let job = site.job(id);
    (job.state, job.attempts_started) == (State::Queued, 0)
}

fn a_paused_queue_starts_nothing_and_goes_on_at_once_when_it_is_resumed(site: &mut Site) {
    site.task("echo", &guests::echo());
    site.task("nap", &guests::nap(500, "slept"));
    let worker = site.worker().queues("default,other").slots(2).start();
    let running = site.enqueue(NewJob::new("nap", ""));
    worker.starts(&running);
    let mut times: Vec<_> = (0..5)
        .map(|_| {
            site.set_paused(&Scope::Queue, true);
            let id = site.enqueue(NewJob::new("echo", "at last"));
            others_run(site, "other");
            assert!(never_started(site, &id), "{:#?}", site.job(&id));
            let resumed = Instant::now();
            site.set_paused(&Scope::Queue, false);
            assert_eq!(site.succeeds(&id), "at last");
            resumed.elapsed()
        })
        .collect();
    assert_eq!(site.succeeds(&running), "slept", "what runs goes on");
    times.sort();
    // The regular look comes once a second; the machine may be busy.
    assert!(times[times.len() / 2] < Duration::from_millis(300), "{times:?}");
}

fn a_paused_task_starts_nothing_and_its_neighbours_go_on(site: &mut Site) {
    site.task("echo", &guests::echo());
    site.task("import", &guests::reply("imported"));
    let scope = Scope::Task("import".into());
    let _worker = site.worker().slots(2).start();
    site.set_paused(&scope, true);
    let id = site.enqueue(NewJob::new("import", ""));
    others_run(site, "default");
    assert!(never_started(site, &id), "{:#?}", site.job(&id));
    assert_eq!(site.job(&id).held_by.as_deref(), Some("task:import"));
    site.set_paused(&scope, false);
    assert_eq!(site.succeeds(&id), "imported");
}
