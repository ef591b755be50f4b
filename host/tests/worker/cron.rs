//! Periodic jobs, made by several workers: one for each time, and one more where a person wants it now.

use std::time::Duration;

use afresh_harness::{SOON, Worker, wait_until};
use afresh_queue::{JobId, State};
use jiff::civil::DateTime;

use crate::guests;
use crate::site::{Site, on_each_broker};

on_each_broker!(two_workers_make_one_job_for_each_second_and_one_more_now);

/// The seconds for which the periodic job `tick` has made jobs that have ended, one after the other.
fn seconds(site: &Site) -> Vec<DateTime> {
    let ended = site.jobs().into_iter().filter(|job| job.state == State::Succeeded);
    let second = |id: &JobId| DateTime::strptime("cron:tick:%Y%m%dT%H%M%S000000Z", id.as_str()).ok();
    let mut seconds: Vec<_> = ended.filter_map(|job| second(&job.id)).collect();
    seconds.sort();
    seconds
}

/// How many of these follow each other without a gap, at most.
fn longest_run(seconds: &[DateTime]) -> usize {
    let follows = |a: &DateTime, b: &DateTime| b.duration_since(*a).unsigned_abs() <= Duration::from_secs(1);
    seconds.chunk_by(follows).map(<[_]>::len).max().unwrap_or(0)
}

fn two_workers_make_one_job_for_each_second_and_one_more_now(site: &mut Site) {
    site.task("tick", &guests::echo());
    let workers = [site.worker().slots(2).start(), site.worker().slots(2).start()];
    workers.iter().for_each(|worker| drop(worker.says("worker started")));
    site.program(&["cron", "add", "tick", "* * * * * *", "tick", "tock"]);
    // A busy machine may miss a second; it does not miss one in every four.
    let four = wait_until(SOON, || longest_run(&seconds(site)) >= 4);
    assert!(four, "no four seconds in a row: {:?}", seconds(site));
    site.program(&["cron", "rm", "tick"]);

    site.program(&["cron", "add", "tick", "0 0 1 1 *", "tick", "now"]);
    let id: JobId = site.program(&["cron", "run", "tick"]).parse().unwrap();
    assert_eq!(site.succeeds(&id), "now");
    let all = || site.jobs().iter().all(|job| job.state == State::Succeeded);
    assert!(wait_until(SOON, all), "{:#?}", site.jobs());
    let made = seconds(site);
    assert!(made.windows(2).all(|pair| pair[0] < pair[1]), "a second came twice: {made:?}");
    assert_eq!(site.jobs().len(), made.len() + 1, "nothing else was made: {:#?}", site.jobs());
    for job in site.jobs() {
        let events = workers.iter().flat_map(Worker::events);
        let starts =
            events.filter(|event| event.message() == "attempt started" && event.field("job") == job.id.as_str());
        assert_eq!((job.attempts_started, starts.count()), (1, 1), "{job:#?}");
    }
}
