//! Tasks that enqueue jobs: what they enqueue is there only once they have succeeded, and only where they may.

use afresh_queue::{JobId, NewJob, State};

use crate::guests;
use crate::sdk::Step::{Enqueue, Fail, FailFirst, Progress, Reply, Spin};
use crate::sdk::module;
use crate::site::{Site, hasty, on_each_broker, outcomes};

on_each_broker!(
    jobs_appear_in_their_queues_once_the_task_has_succeeded,
    a_task_that_has_not_succeeded_has_enqueued_nothing,
    a_retry_that_succeeds_enqueues_once,
    a_task_enqueues_nowhere_but_where_it_was_allowed_to,
);

const FIRST: &str = r#"{"task":"echo","id":"parent.1"}"#;
const SECOND: &str = r#"{"task":"echo","id":"parent.2","queue":"other"}"#;

fn id(text: &str) -> JobId {
    text.parse().unwrap()
}

/// Enqueues a job of this task with the id `parent`.
fn parent(site: &Site, task: &str, max_attempts: u32) -> JobId {
    site.enqueue(NewJob::new(task, "").id(id("parent")).options(hasty(max_attempts)))
}

/// The ids of all jobs, in their order.
fn ids(site: &Site) -> Vec<String> {
    let mut ids: Vec<_> = site.jobs().into_iter().map(|job| job.id.to_string()).collect();
    ids.sort();
    ids
}

fn jobs_appear_in_their_queues_once_the_task_has_succeeded(site: &mut Site) {
    site.task("echo", &guests::echo());
    site.task("split", &module(&[Enqueue(FIRST, "one"), Enqueue(SECOND, "two"), Reply("split")]));
    site.config("[tasks.split]\nenqueue = [\"default\", \"other\"]\n");
    let _worker = site.worker().queues("default,other").slots(2).start();
    let parent = parent(site, "split", 1);
    assert_eq!(site.succeeds(&parent), "split");
    let ended = site.job(&parent).attempts[0].finished_at;
    for (child, queue, reply) in [("parent.1", "default", "one"), ("parent.2", "other", "two")] {
        // In another queue than its parent's it may appear a moment later.
        assert!(afresh_harness::wait_until(afresh_harness::SOON, || site.find(&id(child)).is_some()), "no {child}");
        assert_eq!(site.succeeds(&id(child)), reply);
        let job = site.job(&id(child));
        assert_eq!((job.queue.as_str(), job.attempts_started), (queue, 1));
        assert!(job.enqueued_at >= ended, "it was there before its parent had ended: {job:#?}");
    }
    assert_eq!(ids(site), ["parent", "parent.1", "parent.2"]);
}

fn a_task_that_has_not_succeeded_has_enqueued_nothing(site: &mut Site) {
    site.task("spin", &module(&[Enqueue(FIRST, ""), Enqueue(SECOND, ""), Progress(0.5), Spin]));
    site.task("fail", &module(&[Enqueue(FIRST, ""), Enqueue(SECOND, ""), Fail]));
    site.config("[tasks.spin]\nenqueue = [\"default\", \"other\"]\n[tasks.fail]\nenqueue = [\"default\", \"other\"]\n");
    let _worker = site.worker().slots(1).start();
    let parent = parent(site, "spin", 1);
    site.wait(&parent, "half way", |job| job.progress == Some(0.5));
    assert_eq!(ids(site), ["parent"], "it has handed them over, and still runs");
    site.cancel(std::slice::from_ref(&parent));
    site.wait(&parent, "cancelled", |job| job.state == State::Cancelled);
    let failed = site.enqueue(NewJob::new("fail", "").id(id("failed")).options(hasty(2)));
    assert_eq!(outcomes(&site.dies(&failed)), ["failed", "failed"]);
    assert_eq!(ids(site), ["failed", "parent"]);
}

fn a_retry_that_succeeds_enqueues_once(site: &mut Site) {
    site.task("echo", &guests::echo());
    site.task("flaky", &module(&[Enqueue(FIRST, "once"), FailFirst, Reply("at last")]));
    site.config("[tasks.flaky]\nenqueue = [\"default\"]\n");
    let _worker = site.worker().slots(1).start();
    let parent = parent(site, "flaky", 5);
    assert_eq!(site.succeeds(&parent), "at last");
    let job = site.job(&parent);
    assert_eq!(outcomes(&job), ["failed", "succeeded"]);
    assert_eq!(site.succeeds(&id("parent.1")), "once");
    let child = site.job(&id("parent.1"));
    assert!(child.enqueued_at >= job.attempts[0].finished_at, "the first attempt enqueued it: {child:#?}");
    assert_eq!(ids(site), ["parent", "parent.1"]);
}

fn a_task_enqueues_nowhere_but_where_it_was_allowed_to(site: &mut Site) {
    let steps = [Enqueue(FIRST, ""), Enqueue(SECOND, ""), Reply("done")];
    site.task("nowhere", &module(&steps));
    site.task("default", &module(&steps));
    site.config("[tasks.default]\nenqueue = [\"default\"]\n");
    let _worker = site.worker().slots(1).start();
    for task in ["nowhere", "default"] {
        let job = site.dies(&site.enqueue(NewJob::new(task, "").id(id(task)).options(hasty(5))));
        assert_eq!(outcomes(&job), ["rejected"]);
        assert_eq!(job.attempts[0].error.as_ref().unwrap().message, "refused: 1", "the ABI's number for not allowed");
    }
    assert_eq!(ids(site), ["default", "nowhere"]);
}
