//! What becomes of a job when its attempt is settled.

use std::time::Duration;

use afresh_protocol::{ErrorRecord, OutcomeKind};
use afresh_queue::history::{MAX_ATTEMPTS_KEPT, MAX_HISTORY_BYTES};
use afresh_queue::policy::KEEP_CANCELLED;
use afresh_queue::{AttemptRecord, Counters, Settle, Settled, Settlement, State};

use crate::subject::{Subject, attempt, complete, history, id, job, jobs, names, request, retry_in, settle};

const SECOND: Duration = Duration::from_secs(1);
const MICRO: Duration = Duration::from_micros(1);

pub(super) async fn a_result_is_kept_for_its_time_and_no_longer(s: &Subject) {
    s.enqueue(jobs(["a"])).await;
    let lease = s.lease_one().await;
    s.advance(SECOND);
    assert_eq!(s.broker.result(&id("a")).await.unwrap(), None);
    assert_eq!(s.settle(&lease, complete("reply", SECOND)).await, Settled::Done);
    let shown = s.job("a").await.unwrap();
    assert_eq!((shown.state, shown.finished_at), (State::Succeeded, s.clock.fixed()));
    assert_eq!(shown.result_bytes, Some(5));
    s.advance(SECOND - MICRO);
    s.promote().await;
    assert_eq!(s.broker.result(&id("a")).await.unwrap(), Some(b"reply".to_vec()));
    s.advance(MICRO);
    s.promote().await;
    assert_eq!(s.broker.result(&id("a")).await.unwrap(), None);
    assert_eq!((s.job("a").await, s.counts().await.succeeded), (None, 0));
}

pub(super) async fn a_result_that_is_not_to_be_kept_leaves_nothing(s: &Subject) {
    s.enqueue(jobs(["a"])).await;
    let lease = s.lease_one().await;
    assert_eq!(s.settle(&lease, complete("reply", Duration::ZERO)).await, Settled::Done);
    assert_eq!((s.job("a").await, s.broker.payload(&id("a")).await.unwrap()), (None, None));
    assert_eq!((s.counts().await.succeeded, s.counts().await.running), (0, 0));
    assert!(s.enqueue(jobs(["a"])).await[0].created, "its id is free again");
}

pub(super) async fn a_retry_waits_for_its_delay(s: &Subject) {
    s.enqueue(jobs(["a"])).await;
    let lease = s.lease_one().await;
    assert_eq!(s.settle(&lease, retry_in(SECOND)).await, Settled::Done);
    let due = s.clock.fixed().unwrap().after(SECOND);
    let shown = s.job("a").await.unwrap();
    assert_eq!((shown.state, shown.run_at, shown.finished_at), (State::Scheduled, due, None));
    s.advance(SECOND - MICRO);
    assert_eq!((s.promote().await, s.lease(9).await), (0, vec![]));
    s.advance(MICRO);
    assert_eq!(s.promote().await, 1);
    let again = s.lease_one().await.job;
    assert_eq!((again.run_at, again.counters.starts, again.payload), (due, 2, lease.job.payload));
}

pub(super) async fn a_retry_without_delay_queues_behind_the_others(s: &Subject) {
    s.enqueue(jobs(["a", "b"])).await;
    let lease = s.lease_one().await;
    s.advance(SECOND);
    s.settle(&lease, retry_in(Duration::ZERO)).await;
    assert_eq!(s.job("a").await.unwrap().run_at, s.clock.fixed().unwrap());
    assert_eq!(names(&s.lease(9).await), ["b", "a"]);
}

pub(super) async fn a_dead_job_keeps_its_history_and_counters(s: &Subject) {
    s.enqueue(jobs(["a"])).await;
    let lease = s.lease_one().await;
    let counters = Counters { starts: 1, failures: 1, waits: 7, lost: 2 };
    let bury = Settle {
        counters,
        history: history(OutcomeKind::Trapped).into(),
        outcome: OutcomeKind::Trapped,
        ..settle(&lease, Settlement::Bury)
    };
    assert_eq!(s.broker.settle(&[bury]).await.unwrap(), [Settled::Done]);
    s.advance(KEEP_CANCELLED * 80);
    s.promote().await;
    let shown = s.job("a").await.unwrap();
    assert_eq!((shown.state, shown.attempts_started, shown.result_bytes), (State::Dead, 1, None));
    assert_eq!(shown.attempts, [attempt(1, OutcomeKind::Trapped)]);
    assert!(shown.finished_at.is_some());
    assert_eq!(s.broker.payload(&id("a")).await.unwrap(), Some(b"payload of a".to_vec()));
    assert_eq!(s.lease(9).await, []);
}

pub(super) async fn a_released_job_has_its_place_and_its_attempt_back(s: &Subject) {
    s.enqueue(jobs(["a", "b", "c"])).await;
    let since = s.clock.fixed();
    let leases = s.lease(2).await;
    s.advance(SECOND);
    for lease in leases.iter().rev() {
        let release = Settle { counters: Counters::default(), ..settle(lease, Settlement::Release) };
        assert_eq!(s.broker.settle(&[release]).await.unwrap(), [Settled::Done]);
    }
    assert_eq!(s.job("a").await.unwrap().attempts_started, 0);
    assert_eq!(s.counts().await.oldest_queued_at, since);
    let again = s.lease(9).await;
    assert_eq!(names(&again), ["a", "b", "c"]);
    assert!(again.iter().all(|lease| lease.job.counters.starts == 1));
}

pub(super) async fn a_cancelled_attempt_ends_its_job(s: &Subject) {
    s.enqueue(jobs(["a"])).await;
    let lease = s.lease_one().await;
    assert_eq!(s.settle(&lease, Settlement::Cancel).await, Settled::Done);
    assert_eq!((s.state("a").await, s.counts().await.cancelled), (Some(State::Cancelled), 1));
    s.advance(KEEP_CANCELLED - MICRO);
    s.promote().await;
    assert_eq!(s.state("a").await, Some(State::Cancelled));
    s.advance(MICRO);
    s.promote().await;
    assert_eq!((s.state("a").await, s.counts().await.cancelled), (None, 0));
}

pub(super) async fn settling_again_is_harmless(s: &Subject) {
    s.enqueue(jobs(["a", "b", "c"])).await;
    let leases = s.lease(9).await;
    let first: Vec<_> = [complete("x", SECOND), retry_in(Duration::ZERO), Settlement::Bury]
        .into_iter()
        .zip(&leases)
        .map(|(settlement, lease)| settle(lease, settlement))
        .collect();
    assert_eq!(s.broker.settle(&first[..2]).await.unwrap(), [Settled::Done, Settled::Done]);
    let again = [first[0].clone(), first[2].clone(), first[2].clone(), first[1].clone()];
    let expected = [Settled::Stale, Settled::Done, Settled::Stale, Settled::Stale];
    assert_eq!(s.broker.settle(&again).await.unwrap(), expected);
    assert_eq!(s.broker.result(&id("a")).await.unwrap(), Some(b"x".to_vec()));
    assert_eq!(names(&s.lease(9).await), ["b"]);
    assert_eq!(s.broker.settle(&[]).await.unwrap(), []);
}

pub(super) async fn a_history_stays_bounded_however_often_a_job_fails(s: &Subject) {
    s.enqueue(vec![job("a")]).await;
    for number in 1..=30 {
        let lease = s.lease_one().await;
        let mut history = lease.job.history.clone();
        assert_eq!(history.attempts().first().map_or(0, |attempt| attempt.number), number - 1);
        let error = Some(ErrorRecord::new("failed", "\u{1}x".repeat(1 << 19)));
        history.push(AttemptRecord { error, ..attempt(number, OutcomeKind::Failed) });
        let retry = Settle { history: history.into(), ..settle(&lease, retry_in(Duration::ZERO)) };
        assert_eq!(s.broker.settle(&[retry]).await.unwrap(), [Settled::Done]);
    }
    let shown = s.job("a").await.unwrap();
    assert_eq!((shown.attempts_started, shown.attempts[0].number), (30, 30));
    assert!(shown.attempts.len() <= MAX_ATTEMPTS_KEPT);
    assert!(serde_json::to_vec(&shown.attempts).unwrap().len() <= 2 * MAX_HISTORY_BYTES);
}

pub(super) async fn jobs_that_an_attempt_enqueued_come_with_its_settlement_or_not_at_all(s: &Subject) {
    s.enqueue(jobs(["parent"])).await;
    let stale = s.lease_one().await;
    s.settle(&stale, Settlement::Release).await;
    let lease = s.lease_one().await;
    let children = vec![
        job("here").key("k"),
        job("later").run_at(s.clock.fixed().unwrap().after(SECOND)),
        job("elsewhere").queue("other"),
        job("parent"),
    ];
    let with = |lease, settlement| Settle { jobs: children.clone(), ..settle(lease, settlement) };
    assert_eq!(s.broker.settle(&[with(&stale, complete("", SECOND))]).await.unwrap(), [Settled::Stale]);
    assert_eq!((s.state("here").await, s.state("elsewhere").await), (None, None));
    let both = [with(&lease, complete("reply", SECOND)), with(&lease, complete("reply", SECOND))];
    assert_eq!(s.broker.settle(&both).await.unwrap(), [Settled::Done, Settled::Stale]);
    assert_eq!(s.state("parent").await, Some(State::Succeeded), "one with an id that is there changes nothing");
    assert_eq!((s.state("here").await, s.state("later").await), (Some(State::Queued), Some(State::Scheduled)));
    // One for another queue may take a moment, and a promotion of the queue that it came from.
    s.promote().await;
    assert_eq!(s.state("elsewhere").await, Some(State::Queued));
    assert_eq!(names(&s.lease(9).await), ["here"]);
    assert_eq!(names(&s.broker.lease(&request("other", 9)).await.unwrap()), ["elsewhere"]);
    assert_eq!(s.due().await, Some(SECOND), "nothing is left to be sent");
}
