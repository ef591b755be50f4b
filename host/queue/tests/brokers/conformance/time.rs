//! Jobs for later, and waiting for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh_queue::{Promoted, Retention, Settlement, State};

use crate::subject::{LEASE, START, Subject, complete, job, jobs, names, retry_in};

const SECOND: Duration = Duration::from_secs(1);

/// Far longer than a wait takes that ends for a reason, so that one that runs out is seen.
const LONG: Duration = Duration::from_secs(60);

pub(super) async fn a_scheduled_job_waits_for_its_time(s: &Subject) {
    let due = START.after(SECOND);
    s.enqueue(vec![job("later").run_at(due), job("past").run_at(afresh_queue::Timestamp(7)), job("now")]).await;
    let shown = s.job("later").await.unwrap();
    assert_eq!((shown.state, shown.run_at, shown.enqueued_at), (State::Scheduled, due, START));
    assert_eq!(s.job("past").await.unwrap().run_at, START, "what is past is now");
    assert_eq!(names(&s.lease(9).await), ["past", "now"]);
    s.advance(SECOND - Duration::from_micros(1));
    assert_eq!((s.promote().await, s.lease(9).await), (0, vec![]));
    s.advance(Duration::from_micros(1));
    assert_eq!(s.lease(9).await, [], "promote moves it, and nothing else does");
    assert_eq!(s.promote().await, 1);
    assert_eq!(s.state("later").await, Some(State::Queued));
    assert_eq!(names(&s.lease(9).await), ["later"]);
}

pub(super) async fn jobs_that_fall_due_together_come_by_their_times(s: &Subject) {
    let at = |seconds| START.after(SECOND * seconds);
    s.enqueue(vec![job("c").run_at(at(3)), job("b").run_at(at(2)), job("a").run_at(at(2)), job("z").run_at(at(1))])
        .await;
    s.enqueue(jobs(["now"])).await;
    s.advance(SECOND * 3);
    assert_eq!(s.promote().await, 4);
    s.enqueue(jobs(["last"])).await;
    assert_eq!(names(&s.lease(9).await), ["now", "z", "a", "b", "c", "last"]);
}

pub(super) async fn promote_says_when_to_come_again(s: &Subject) {
    let both = ["default".to_owned(), "other".to_owned()];
    let promote = async || s.broker.promote(&both, &Retention::default()).await.unwrap();
    assert_eq!(promote().await, Promoted::default());
    s.enqueue(jobs(["running"])).await;
    assert_eq!(promote().await, Promoted::default(), "a queued job is no reason to come again");
    let lease = s.lease_one().await;
    assert_eq!(promote().await, Promoted { moved: 0, next: Some(LEASE) });
    s.enqueue(vec![job("soon").queue("other").run_at(START.after(SECOND))]).await;
    assert_eq!(promote().await.next, Some(SECOND));
    s.advance(SECOND);
    assert_eq!(promote().await, Promoted { moved: 1, next: Some(LEASE - SECOND) });
    s.advance(LEASE * 2);
    assert_eq!(promote().await.next, Some(Duration::ZERO), "the lease has expired");
    s.settle(&lease, complete("", SECOND)).await;
    assert_eq!(promote().await, Promoted::default());
}

pub(super) async fn a_wait_ends_when_a_job_is_enqueued(s: &Subject) {
    assert_eq!(s.lease(1).await, []);
    let broker = Arc::clone(&s.broker);
    let began = Instant::now();
    let waiting = tokio::spawn(async move { broker.wait(&["other".into(), "default".into()], LONG).await });
    // However the two race, the wait must end.
    tokio::task::yield_now().await;
    s.enqueue(jobs(["a"])).await;
    waiting.await.unwrap();
    assert!(began.elapsed() < LONG / 4, "the wait took {:?}", began.elapsed());
    assert_eq!(names(&s.lease(1).await), ["a"]);
}

pub(super) async fn a_wait_ends_when_a_job_came_just_before_it(s: &Subject) {
    // A first wait, so that whatever listens is listening: then the next job must not fall between lease and wait.
    s.broker.wait(&["default".into()], Duration::from_millis(50)).await;
    for name in ["a", "b", "c"] {
        assert_eq!(s.lease(1).await, []);
        s.enqueue(jobs([name])).await;
        let began = Instant::now();
        s.broker.wait(&["default".into()], LONG).await;
        assert!(began.elapsed() < LONG / 4, "the wait took {:?}", began.elapsed());
        assert_eq!(names(&s.lease(1).await), [name]);
    }
}

pub(super) async fn a_wait_ends_when_a_job_comes_back(s: &Subject) {
    s.broker.wait(&["default".into()], Duration::from_millis(50)).await;
    for back in [retry_in(Duration::ZERO), Settlement::Release, retry_in(Duration::from_micros(1))] {
        s.enqueue(jobs(["a"])).await;
        let lease = s.lease_one().await;
        assert_eq!(s.lease(1).await, []);
        s.settle(&lease, back).await;
        s.advance(Duration::from_micros(1));
        let began = Instant::now();
        s.broker.wait(&["default".into()], LONG).await;
        assert!(began.elapsed() < LONG / 4, "the wait took {:?}", began.elapsed());
        s.promote().await;
        let again = s.lease_one().await;
        s.settle(&again, complete("", Duration::ZERO)).await;
    }
}

pub(super) async fn a_wait_ends_for_what_is_due_soon_though_only_leases_came_before_it(s: &Subject) {
    s.broker.wait(&["default".into()], Duration::from_millis(50)).await;
    s.promote().await;
    s.enqueue(vec![job("a").run_at(START.after(SECOND))]).await;
    // By the second at the latest this broker has heard that something is due; but a lease is not told when.
    for _ in 0..2 {
        assert_eq!(s.lease(1).await, []);
    }
    s.advance(SECOND);
    let began = Instant::now();
    s.broker.wait(&["default".into()], LONG).await;
    assert!(began.elapsed() < LONG / 4, "the wait took {:?}", began.elapsed());
    s.promote().await;
    assert_eq!(names(&s.lease(1).await), ["a"]);
}

pub(super) async fn a_wait_for_nothing_ends_in_time(s: &Subject) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(200) {
        let (asked, at_most) = (Instant::now(), Duration::from_millis(100));
        s.broker.wait(&["default".into()], at_most).await;
        assert!(asked.elapsed() < at_most + Duration::from_secs(5));
    }
}
