//! A job that was not started by its time expires, where people see it.

use std::time::Duration;

use afresh_queue::policy::KEEP_EXPIRED;
use afresh_queue::{Counters, Settle, Settlement, State};

use crate::subject::{LEASE, START, Subject, complete, id, job, names, retry_in, settle, starts};

const SECOND: Duration = Duration::from_secs(1);

pub(super) async fn a_job_that_was_not_started_in_time_expires(s: &Subject) {
    let by = START.after(SECOND);
    s.enqueue(vec![
        job("queued").expires_at(by),
        job("scheduled").expires_at(by).run_at(START.after(SECOND * 9)),
        job("due").expires_at(by).run_at(by),
        job("later").expires_at(START.after(SECOND * 5)),
    ])
    .await;
    assert_eq!(s.job("queued").await.unwrap().expires_at, Some(by));
    assert_eq!(s.due().await, Some(SECOND));
    s.advance(SECOND - Duration::from_micros(1));
    s.promote().await;
    assert_eq!(s.state("queued").await, Some(State::Queued));
    s.advance(Duration::from_micros(1));
    assert_eq!(s.promote().await, 0, "what is too late does not become available");
    let shown = s.job("queued").await.unwrap();
    assert_eq!((shown.state, shown.finished_at, shown.attempts_started), (State::Expired, Some(by), 0));
    assert_eq!((s.state("scheduled").await, s.state("due").await), (Some(State::Expired), Some(State::Expired)));
    assert_eq!(names(&s.lease(9).await), ["later"]);
    assert_eq!(s.counts().await.expired, 3);
    s.advance(KEEP_EXPIRED);
    s.promote().await;
    assert_eq!((s.counts().await.expired, s.state("queued").await), (0, None));
}

pub(super) async fn a_lease_gives_out_nothing_that_is_too_late(s: &Subject) {
    s.enqueue(vec![job("a").expires_at(START.after(SECOND)), job("b"), job("past").expires_at(START)]).await;
    s.advance(SECOND);
    assert_eq!(names(&s.lease(9).await), ["b"]);
    assert_eq!((s.state("a").await, s.state("past").await), (Some(State::Expired), Some(State::Expired)));
}

pub(super) async fn a_job_that_was_started_does_not_expire(s: &Subject) {
    s.enqueue(vec![job("a").expires_at(START.after(SECOND)), job("b").expires_at(START.after(SECOND))]).await;
    let leases = s.lease(2).await;
    s.advance(SECOND * 2);
    s.promote().await;
    assert_eq!(s.settle(&leases[0], retry_in(SECOND)).await, afresh_queue::Settled::Done);
    s.settle(&leases[1], complete("", LEASE)).await;
    s.advance(SECOND);
    s.promote().await;
    assert_eq!(names(&s.lease(9).await), ["a"]);
    assert_eq!(s.state("b").await, Some(State::Succeeded));
}

pub(super) async fn a_job_that_was_handed_back_unstarted_may_still_expire(s: &Subject) {
    s.enqueue(vec![job("a").expires_at(START.after(SECOND))]).await;
    let lease = s.lease_one().await;
    let release = Settle { counters: Counters::default(), ..settle(&lease, Settlement::Release) };
    s.broker.settle(&[release]).await.unwrap();
    assert_eq!(s.due().await, Some(SECOND));
    s.advance(SECOND);
    s.promote().await;
    assert_eq!(s.state("a").await, Some(State::Expired));
}

pub(super) async fn who_retries_an_expired_job_wants_it_run(s: &Subject) {
    s.enqueue(vec![job("a").expires_at(START)]).await;
    s.promote().await;
    assert_eq!(s.broker.retry(&[id("a")]).await.unwrap(), [true]);
    s.promote().await;
    assert_eq!(s.lease_one().await.job.counters, starts(1));
}
