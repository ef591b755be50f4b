//! What an attempt says while it runs, as others see it: how far it is, and what it logs.

use afresh_queue::log::MAX_LOG_BYTES;
use afresh_queue::{JobLog, NewJob, State};

use crate::sdk::Step::{Log, Nap, Progress, Reply, Spin, Storm};
use crate::sdk::module;
use crate::site::{Site, hasty, on_each_broker};

on_each_broker!(
    what_a_guest_says_is_seen_while_it_runs_and_stays_when_it_is_cancelled,
    the_last_words_are_kept_too,
    a_storm_of_log_lines_leaves_no_more_than_16_kib_and_the_newest_of_them,
);

fn texts(log: &JobLog) -> Vec<&str> {
    log.lines().map(|line| line.text.as_str()).collect()
}

fn what_a_guest_says_is_seen_while_it_runs_and_stays_when_it_is_cancelled(site: &mut Site) {
    site.task("talk", &module(&[Log("begun"), Progress(0.5), Log("half way"), Spin]));
    let id = site.enqueue(NewJob::new("talk", "").options(hasty(1)));
    let worker = site.worker().slots(1).start();
    worker.starts(&id);
    let job = site.wait(&id, "half way", |job| job.progress == Some(0.5));
    assert_eq!((job.state, job.attempts_started), (State::Running, 1));
    let log = site.log(&id);
    assert_eq!(texts(&log), ["begun", "half way"]);
    let lines: Vec<_> = log.lines().map(|line| (line.attempt, line.number, line.level.as_str())).collect();
    assert_eq!(lines, [(1, 1, "info"), (1, 2, "info")]);

    site.cancel(std::slice::from_ref(&id));
    let job = site.wait(&id, "cancelled", |job| job.state == State::Cancelled);
    assert_eq!((job.progress, site.log(&id)), (Some(0.5), log));
}

fn the_last_words_are_kept_too(site: &mut Site) {
    // Long enough for a look in between, so that not all is said at the end.
    site.task("talk", &module(&[Progress(0.25), Log("begun"), Nap(500), Log("done"), Progress(1.0), Reply("bye")]));
    let _worker = site.worker().slots(1).start();
    let id = site.enqueue(NewJob::new("talk", "").options(hasty(1)));
    assert_eq!(site.succeeds(&id), "bye");
    assert_eq!((texts(&site.log(&id)), site.job(&id).progress), (vec!["begun", "done"], Some(1.0)));
}

fn a_storm_of_log_lines_leaves_no_more_than_16_kib_and_the_newest_of_them(site: &mut Site) {
    let line = "z".repeat(100);
    // In between others look, so that it comes in several parts.
    let steps = [Storm(30_000, &line), Nap(300), Storm(30_000, &line), Log("the last"), Reply("done")];
    site.task("storm", &module(&steps));
    let _worker = site.worker().slots(1).start();
    let id = site.enqueue(NewJob::new("storm", "").options(hasty(1)));
    assert_eq!(site.succeeds(&id), "done");
    let log = site.log(&id);
    let bytes = log.encode().len();
    assert!(bytes <= MAX_LOG_BYTES && bytes > MAX_LOG_BYTES / 2, "{bytes} bytes of {} lines", log.lines().len());
    let last = log.lines().last().unwrap();
    assert_eq!((last.text.as_str(), last.number), ("the last", 60_001), "those that are gone have had their numbers");
    assert!(log.lines().map(|line| line.number).is_sorted());
}
