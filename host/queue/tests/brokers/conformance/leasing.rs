//! What a worker may rely on while it holds a lease, and when it does not any more.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use afresh_queue::{
    Beat, Begun, Counters, Extended, JobOptions, Lease, LeaseRef, LeaseRequest, Retention, RetryPolicy, Settled,
    Settlement, State, Vanished,
};

use crate::subject::{LEASE, Subject, beat, complete, id, job, jobs, names, request, retry_in, settle, starts};

pub(super) async fn jobs_come_first_in_first_out(s: &Subject) {
    s.enqueue(jobs(["z", "b"])).await;
    s.enqueue(jobs(["y", "a"])).await;
    assert_eq!(names(&s.lease(3).await), ["z", "b", "y"]);
    assert_eq!(names(&s.lease(3).await), ["a"]);
}

pub(super) async fn higher_priority_comes_first(s: &Subject) {
    let with = |name, priority| job(name).options(JobOptions { priority, ..JobOptions::default() });
    s.enqueue(vec![with("low", -1000), with("a", 0), with("high", 1000), with("b", 0), with("over", 1)]).await;
    s.enqueue(vec![with("high-too", 1000), with("under", -1)]).await;
    assert_eq!(names(&s.lease(9).await), ["high", "high-too", "over", "a", "b", "under", "low"]);
}

pub(super) async fn queues_are_taken_in_the_order_asked_for(s: &Subject) {
    s.enqueue(vec![job("a1").queue("a"), job("b1").queue("b"), job("a2").queue("a"), job("b2").queue("b")]).await;
    let ask = LeaseRequest { queues: vec!["b".into(), "none".into(), "a".into()], ..request("", 3) };
    assert_eq!(names(&s.broker.lease(&ask).await.unwrap()), ["b1", "b2", "a1"]);
    assert_eq!(names(&s.broker.lease(&ask).await.unwrap()), ["a2"]);
}

pub(super) async fn a_lease_is_bounded_in_jobs_and_in_bytes(s: &Subject) {
    let sized = |name, bytes| afresh_queue::NewJob::new("t", vec![0; bytes]).id(id(name));
    let ask = |max_bytes| LeaseRequest { max_bytes, ..request("default", 9) };
    s.enqueue(vec![sized("a", 5_000), sized("b", 4_000), sized("c", 100), sized("d", 9_000), sized("e", 1)]).await;
    assert_eq!(s.lease(0).await, []);
    assert_eq!(names(&s.broker.lease(&ask(10)).await.unwrap()), ["a"], "the first comes whatever its size");
    assert_eq!(names(&s.broker.lease(&ask(5_000)).await.unwrap()), ["b", "c"], "what does not fit ends the batch");
    assert_eq!(names(&s.broker.lease(&ask(10_000)).await.unwrap()), ["d", "e"]);
    s.enqueue(["f", "g", "h", "i"].map(|name| sized(name, 100)).to_vec()).await;
    assert_eq!(names(&s.broker.lease(&ask(299)).await.unwrap()), ["f", "g"]);
    assert_eq!(names(&s.broker.lease(&ask(200)).await.unwrap()), ["h", "i"], "nothing else is counted");
}

pub(super) async fn two_workers_never_share_a_job(s: &Subject) {
    s.enqueue((0..500).map(|n| job(&n.to_string())).collect()).await;
    let workers = (0..8).map(|worker| {
        let broker = Arc::clone(&s.broker);
        let ask = LeaseRequest { worker: format!("worker-{worker}"), ..request("default", 7) };
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let leases = broker.lease(&ask).await.unwrap();
                if leases.is_empty() {
                    return mine;
                }
                mine.extend(leases.into_iter().map(|lease| (lease.job.id, lease.token)));
            }
        })
    });
    let mut all = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        all.extend(worker.await.unwrap());
    }
    let (ids, tokens): (HashSet<_>, HashSet<_>) = all.iter().cloned().unzip();
    assert_eq!((all.len(), ids.len(), tokens.len()), (500, 500, 500));
}

pub(super) async fn each_lease_has_a_token_of_its_own_and_says_when_it_ends(s: &Subject) {
    s.enqueue(jobs(["a", "b", "c"])).await;
    let (mut first, now) = (s.lease(2).await, s.clock.fixed().unwrap());
    first.extend(s.lease(1).await);
    assert!(first.iter().all(|lease| lease.since == now && lease.until == now.after(LEASE)));
    assert!(first.iter().all(|lease| lease.previous_worker.is_none()));
    s.settle(&first[0], retry_in(Duration::ZERO)).await;
    let again = s.lease_one().await;
    assert_eq!(again.job.counters, starts(2));
    s.advance(LEASE);
    let tokens: HashSet<_> = first.iter().chain([&again]).chain(&s.reap(9).await).map(|lease| lease.token).collect();
    assert_eq!(tokens.len(), 3 + 1 + 3);
}

pub(super) async fn looking_into_a_queue_does_not_make_it(s: &Subject) {
    assert_eq!(s.broker.lease(&request("nowhere", 9)).await.unwrap(), []);
    assert_eq!(s.broker.reap(&request("nowhere", 9)).await.unwrap(), []);
    assert_eq!(s.broker.promote(&["nowhere".into()], &Retention::default()).await.unwrap(), Default::default());
    assert_eq!(s.broker.purge("nowhere").await.unwrap(), 0);
    assert_eq!(s.broker.queues().await.unwrap(), []);
}

pub(super) async fn an_extended_lease_does_not_expire(s: &Subject) {
    s.enqueue(jobs(["a", "b"])).await;
    let leases = s.lease(2).await;
    s.advance(LEASE - Duration::from_micros(1));
    assert_eq!(s.broker.extend(&[beat(&leases[0])], LEASE).await.unwrap(), [Extended::Held]);
    s.advance(Duration::from_micros(1));
    let lost = s.reap(9).await;
    assert_eq!(names(&lost), ["b"], "the end of a lease is when it ends");
    let stranger = LeaseRef { id: id("nobody"), ..leases[0].reference() };
    let all = [beat(&leases[0]), beat(&leases[1]), Beat { lease: stranger, begun: true }, beat(&lost[0])];
    let answers = [Extended::Held, Extended::Lost, Extended::Lost, Extended::Held];
    assert_eq!(s.broker.extend(&all, LEASE).await.unwrap(), answers);
    assert!(s.broker.extend(&[], LEASE).await.unwrap().is_empty());
}

pub(super) async fn an_expired_lease_is_taken_over_without_counting_a_start(s: &Subject) {
    s.enqueue(jobs(["a"])).await;
    let lost = s.lease_one().await;
    assert_eq!(s.reap(9).await, []);
    s.advance(LEASE);
    assert_eq!(s.lease(9).await, [], "an expired lease comes back through reap alone");
    let now = s.clock.fixed().unwrap();
    let taken = s.reap(9).await.remove(0);
    assert_eq!(taken.previous_worker, vanished("worker"));
    assert_eq!((taken.since, taken.until), (now, now.after(LEASE)));
    assert_eq!(taken.job, lost.job, "the same job, with the same counters");
    assert_ne!(taken.token, lost.token);
    assert_eq!(s.reap(9).await, [], "it is the reaper's now");
    assert_eq!(s.settle(&taken, Settlement::Bury).await, Settled::Done);
    assert_eq!(s.state("a").await, Some(State::Dead));

    s.enqueue(jobs(["b"])).await;
    s.lease_one().await;
    s.advance(LEASE);
    s.reap(9).await;
    s.advance(LEASE);
    assert_eq!(s.reap(9).await[0].previous_worker, vanished("worker"), "reapers vanish too, and had not the attempt");
}

pub(super) async fn reaping_is_bounded_and_takes_the_oldest_first(s: &Subject) {
    s.enqueue(jobs(["c", "b", "a"])).await;
    for _ in 0..3 {
        s.lease_one().await;
        s.advance(Duration::from_secs(1));
    }
    s.enqueue(vec![job("other").queue("other")]).await;
    s.broker.lease(&request("other", 1)).await.unwrap();
    s.advance(LEASE);
    assert_eq!(names(&s.reap(2).await), ["c", "b"]);
    assert_eq!(names(&s.reap(9).await), ["a"]);
}

pub(super) async fn a_stale_attempt_changes_nothing(s: &Subject) {
    s.enqueue(jobs(["a"])).await;
    let stale = s.lease_one().await;
    s.advance(LEASE);
    let ours = s.reap(1).await.remove(0);
    let before = s.job("a").await;
    let every = [
        complete("stale", Duration::from_secs(9)),
        complete("stale", Duration::ZERO),
        retry_in(Duration::ZERO),
        retry_in(LEASE),
        Settlement::Bury,
        Settlement::Release,
        Settlement::Cancel,
    ];
    for settlement in every.clone() {
        assert_eq!(s.settle(&stale, settlement).await, Settled::Stale);
    }
    assert_eq!(s.broker.extend(&[beat(&stale)], LEASE * 9).await.unwrap(), [Extended::Lost]);
    assert_eq!((s.job("a").await, s.lease(9).await), (before, vec![]));
    assert_eq!(s.settle(&ours, Settlement::Release).await, Settled::Done);

    // Nor can anybody who holds no lease at all: not while the job is queued, nor with a token that never was.
    for settlement in every {
        assert_eq!(s.settle(&ours, settlement.clone()).await, Settled::Stale);
        let mut invented = settle(&ours, settlement);
        invented.lease.token = u64::MAX / 4;
        assert_eq!(s.broker.settle(&[invented]).await.unwrap(), [Settled::Stale]);
    }
    assert_eq!(s.state("a").await, Some(State::Queued));
}

/// With the real policy, as a host does it: every start ends with the worker gone. Answers how often the job was started.
async fn kill_workers_until_it_is_dead(s: &Subject, policy: &RetryPolicy, begun: Begun) -> u32 {
    s.enqueue(jobs(["killer"])).await;
    let mut started = 0;
    while s.state("killer").await != Some(State::Dead) {
        s.promote().await;
        let ask = LeaseRequest { begin: usize::from(begun == Begun::Presumed), ..request("default", 1) };
        let leases = s.broker.lease(&ask).await.unwrap();
        started += leases.len() as u32;
        if begun == Begun::Known {
            s.broker.extend(&leases.iter().map(beat).collect::<Vec<_>>(), LEASE).await.unwrap();
        }
        s.advance(LEASE + policy.max_backoff);
        for lost in s.reap(9).await {
            let (settlement, counters) = policy.decide_lost(begun_under(&lost), lost.job.counters, &mut rand::rng());
            let settlement = afresh_queue::Settle { counters, ..settle(&lost, settlement) };
            assert_eq!(s.broker.settle(&[settlement]).await.unwrap(), [Settled::Done]);
        }
        s.advance(policy.max_backoff);
        assert!(started < 50, "it goes round for ever");
    }
    started
}

pub(super) async fn a_job_that_kills_its_workers_starts_no_more_often_than_it_may(s: &Subject) {
    let policy = RetryPolicy { max_attempts: 2, max_lost: 9, ..RetryPolicy::default() };
    assert_eq!(kill_workers_until_it_is_dead(s, &policy, Begun::Known).await, 2);
    assert_eq!(s.broker.retry(&[id("killer")]).await.unwrap(), [true]);
    assert_eq!(s.lease_one().await.job.counters, Counters { starts: 1, ..Counters::default() });
}

pub(super) async fn a_job_that_kills_its_workers_is_dead_after_a_few_whatever_it_may(s: &Subject) {
    let policy = RetryPolicy { max_attempts: 25, max_lost: 3, ..RetryPolicy::default() };
    assert_eq!(kill_workers_until_it_is_dead(s, &policy, Begun::Known).await, 3);
}

pub(super) async fn a_job_that_was_only_held_ahead_took_no_worker_down(s: &Subject) {
    let policy = RetryPolicy { max_attempts: 7, max_lost: 3, max_waits: 4, ..RetryPolicy::default() };
    // The seventh start is given back each time, until there were too many waits.
    assert_eq!(kill_workers_until_it_is_dead(s, &policy, Begun::No).await, 7 + 4);
    assert_eq!(s.job("killer").await.unwrap().attempts_started, 6, "nobody saw the last one");
}

pub(super) async fn a_job_whose_leases_never_arrive_is_not_dead_before_it_waited_too_often(s: &Subject) {
    let policy = RetryPolicy { max_attempts: 7, max_lost: 3, max_waits: 4, ..RetryPolicy::default() };
    // Two are presumed to have taken a worker down; the third would be the last.
    assert_eq!(kill_workers_until_it_is_dead(s, &policy, Begun::Presumed).await, 3 + 4);
    assert_eq!(s.job("killer").await.unwrap().attempts_started, 2);
}

pub(super) async fn it_is_known_which_attempts_had_begun_when_their_worker_vanished(s: &Subject) {
    s.enqueue(jobs(["a", "b", "c"])).await;
    let leases = s.broker.lease(&LeaseRequest { begin: 1, ..request("default", 3) }).await.unwrap();
    let beats = [beat(&leases[1]), Beat { begun: false, ..beat(&leases[2]) }];
    assert_eq!(s.broker.extend(&beats, LEASE).await.unwrap(), [Extended::Held; 2]);
    s.advance(LEASE);
    let mut lost = s.reap(9).await;
    lost.sort_by(|a, b| a.job.id.cmp(&b.job.id));
    assert_eq!(
        lost.iter().map(begun_under).collect::<Vec<_>>(),
        [Begun::Presumed, Begun::Known, Begun::No],
        "the first was leased for an idle slot, the second was said to have begun"
    );
    s.settle(&lost[0], Settlement::Release).await;
    s.broker.lease(&LeaseRequest { begin: 0, ..request("default", 1) }).await.unwrap();
    s.advance(LEASE);
    assert_eq!(begun_under(&s.reap(1).await[0]), Begun::No, "each lease begins anew");
}

fn begun_under(lost: &Lease) -> Begun {
    lost.previous_worker.as_ref().unwrap().begun
}

fn vanished(worker: &str) -> Option<Vanished> {
    Some(Vanished { worker: worker.to_owned(), begun: Begun::Presumed })
}
