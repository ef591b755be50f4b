//! Workers of two versions on one queue: a record that only the newer version knows waits for a worker of it, as it is, and
//! is in nobody's way.

use std::time::Duration;

use afresh_harness::RedisServer;
use afresh_queue::redis::RedisBroker;
use afresh_queue::{
    Beat, Broker, Cancelled, Clock, Control, Extended, Inspect, JobId, Lease, NewJob, Promoted, Retention, Settled,
    State, Timestamp,
};

use crate::{LEASE, complete, request};

/// A broker of this version and one of the next, on one server with one clock.
struct Fleet {
    this: RedisBroker,
    next: RedisBroker,
    clock: Clock,
    _server: RedisServer,
}

fn fleet() -> Fleet {
    let (server, clock) = (RedisServer::start(), Clock::manual(Timestamp(1_000_000_000_000)));
    let broker = || RedisBroker::new(&server.url(), clock.clone()).unwrap();
    Fleet { this: broker(), next: broker().of_the_next_version(), clock: clock.clone(), _server: server }
}

fn id(name: &str) -> JobId {
    name.parse().unwrap()
}

async fn enqueue(broker: &RedisBroker, names: &[&str]) {
    let jobs = names.iter().map(|name| NewJob::new("t", "").id(id(name))).collect();
    assert!(broker.enqueue(jobs).await.unwrap().iter().all(|job| job.created));
}

fn names(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(|lease| lease.job.id.as_str()).collect()
}

async fn lease(broker: &RedisBroker, max: usize) -> Vec<Lease> {
    broker.lease(&request("default", max)).await.unwrap()
}

async fn reap(broker: &RedisBroker, max: usize) -> Vec<Lease> {
    broker.reap(&request("default", max)).await.unwrap()
}

async fn promote(broker: &RedisBroker) -> Promoted {
    broker.promote(&["default".to_owned()], &Retention::default()).await.unwrap()
}

async fn settle(broker: &RedisBroker, leases: &[Lease]) {
    let done: Vec<_> = leases.iter().map(complete).collect();
    assert_eq!(broker.settle(&done).await.unwrap(), vec![Settled::Done; leases.len()]);
}

#[tokio::test]
async fn a_newer_record_waits_for_a_newer_worker_and_keeps_its_place() {
    let fleet = fleet();
    let Fleet { this, next, .. } = &fleet;
    enqueue(next, &["a"]).await;
    enqueue(this, &["b"]).await;
    enqueue(next, &["c"]).await;
    let leases = lease(this, 9).await;
    assert_eq!(names(&leases), ["b"]);
    let job = this.job(&id("a")).await.unwrap().unwrap();
    assert_eq!((job.state, job.held_by.as_deref(), job.attempts_started), (State::Queued, Some("record:4"), 0));
    let counts = this.queues().await.unwrap().remove(0);
    assert_eq!((counts.queued, counts.held, this.rules().await.unwrap()[0].newer), (2, 2, 2));
    settle(this, &leases).await;
    assert_eq!(promote(this).await, Promoted::default(), "there is nothing to hurry for");
    assert_eq!(lease(this, 9).await, []);

    enqueue(this, &["d"]).await;
    promote(next).await;
    let leases = lease(next, 9).await;
    assert_eq!(names(&leases), ["a", "c", "d"]);
    settle(next, &leases).await;
    assert_eq!(this.rules().await.unwrap(), []);
}

#[tokio::test]
async fn thousands_of_newer_records_block_nobody_and_all_come_to_a_newer_worker() {
    let fleet = fleet();
    let Fleet { this, next, .. } = &fleet;
    let newer: Vec<_> = (0..2_500).map(|n| format!("n{n}")).collect();
    enqueue(next, &newer.iter().map(String::as_str).collect::<Vec<_>>()).await;
    enqueue(this, &["old"]).await;
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.extend(lease(this, 10).await);
    }
    assert_eq!(names(&leases), ["old"]);
    promote(next).await;
    assert_eq!(names(&lease(next, 5_000).await), newer);
}

#[tokio::test]
async fn an_expired_lease_of_a_newer_record_is_left_to_a_newer_worker() {
    let fleet = fleet();
    let Fleet { this, next, clock, .. } = &fleet;
    let newer: Vec<_> = (0..70).map(|n| format!("n{n}")).collect();
    enqueue(next, &newer.iter().map(String::as_str).collect::<Vec<_>>()).await;
    enqueue(this, &["old"]).await;
    let leases = lease(next, 100).await;
    assert_eq!(leases.len(), 71);
    // The older one expires last.
    next.extend(&[Beat { lease: leases[70].reference(), begun: true }], LEASE + Duration::from_micros(1))
        .await
        .unwrap();
    clock.advance(LEASE * 2);
    assert_eq!(names(&[reap(this, 70).await, reap(this, 70).await].concat()), ["old"]);
    assert_eq!(promote(this).await.next, Some(LEASE), "it is in nobody's way for another lease");
    assert_eq!(reap(this, 70).await, []);
    let extended = next.extend(&[Beat { lease: leases[0].reference(), begun: true }], LEASE * 2).await.unwrap();
    assert_eq!(extended, [Extended::Held], "it is left as it is");

    clock.advance(LEASE);
    let mut lost = reap(next, 100).await;
    lost.retain(|lease| lease.job.id != id("old"));
    assert_eq!(lost.len(), 69);
    settle(next, &lost).await;
    settle(next, &leases[..1]).await;
}

#[tokio::test]
async fn a_person_does_with_a_newer_record_what_may_be_done_with_any() {
    let fleet = fleet();
    let Fleet { this, next, clock, .. } = &fleet;
    enqueue(next, &["a", "b", "c", "d"]).await;
    let soon = clock.fixed().unwrap().after(LEASE);
    next.enqueue(vec![NewJob::new("t", "").id(id("late")).run_at(soon)]).await.unwrap();
    assert_eq!(lease(this, 9).await, []);
    assert_eq!(this.cancel(&[id("a")]).await.unwrap(), [Cancelled::Done]);
    assert_eq!(this.remove(&[id("b")]).await.unwrap(), [true]);
    assert_eq!(this.retry(&[id("a")]).await.unwrap(), [true]);
    clock.advance(LEASE);
    assert_eq!((promote(this).await.moved, lease(this, 9).await), (1, vec![]));
    assert_eq!(promote(this).await.next, None);
    assert_eq!(this.rules().await.unwrap()[0].newer, 4);
    promote(next).await;
    assert_eq!(names(&lease(next, 1).await), ["c"]);
    assert_eq!(lease(this, 9).await, []);
    assert_eq!(this.purge("default").await.unwrap(), 3);
    assert_eq!(this.rules().await.unwrap(), []);
}
