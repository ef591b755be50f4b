//! Batches that are more than one script call, and records that another program wrote.

use std::time::Duration;

use afresh_harness::RedisServer;
use afresh_protocol::OutcomeKind;
use afresh_queue::redis::RedisBroker;
use afresh_queue::{
    Beat, Broker, Clock, Control, Extended, Inspect, JobFilter, JobOptions, Lease, NewJob, Retention, Settle, Settled,
    Settlement, State, Timestamp,
};

use crate::{LEASE, broker, complete, records, request, settle};

#[tokio::test]
async fn thousands_of_jobs_go_through_every_verb_in_one_call_each() {
    let server = RedisServer::start();
    let broker = broker(&server);
    let jobs: Vec<_> = (0..5_000).map(|n| NewJob::new("t", n.to_string())).collect();
    let ids: Vec<_> = jobs.iter().map(|job| job.id.clone()).collect();
    assert!(broker.enqueue(jobs).await.unwrap().iter().all(|job| job.created));

    let leases = broker.lease(&request("default", 10_000)).await.unwrap();
    let leased: Vec<_> = leases.iter().map(|lease| lease.job.id.clone()).collect();
    assert_eq!(leased, ids, "first in, first out");
    let references: Vec<_> = leases.iter().map(|lease| lease.reference()).collect();
    let beats: Vec<_> = references.iter().map(|lease| Beat { lease: lease.clone(), begun: true }).collect();
    let extended = broker.extend(&beats, Duration::from_secs(60)).await.unwrap();
    assert_eq!(extended, vec![Extended::Held; 5_000]);

    let delay = Duration::from_millis(1);
    let retries: Vec<_> = leases.iter().map(|lease| settle(lease, Settlement::Retry { delay })).collect();
    assert_eq!(broker.settle(&retries).await.unwrap(), vec![Settled::Done; 5_000]);
    assert_eq!(broker.settle(&retries).await.unwrap(), vec![Settled::Stale; 5_000], "settling again is harmless");
    let mut moved = 0;
    while moved < 5_000 {
        moved += broker.promote(&["default".to_owned()], &Retention::default()).await.unwrap().moved;
    }
    let leases = broker.lease(&request("default", 10_000)).await.unwrap();
    let replies: Vec<_> = leases.iter().map(complete).collect();
    assert_eq!(broker.settle(&replies).await.unwrap(), vec![Settled::Done; 5_000]);
    assert_eq!(broker.queues().await.unwrap()[0].succeeded, 5_000);
    assert_eq!(broker.jobs(&JobFilter { limit: 3, ..JobFilter::default() }).await.unwrap().len(), 3);
    assert_eq!(broker.remove(&ids).await.unwrap(), vec![true; 5_000]);
    assert_eq!(records(&server), Vec::<String>::new());
}

#[tokio::test]
async fn large_jobs_for_other_queues_come_there_a_few_at_a_time_and_all_of_them() {
    let server = RedisServer::start();
    let broker = broker(&server);
    broker.enqueue(vec![NewJob::new("t", "")]).await.unwrap();
    let lease = broker.lease(&request("default", 1)).await.unwrap().remove(0);
    let jobs = (0..3).map(|_| NewJob::new("t", vec![b'x'; 3 << 20]).queue("other")).collect();
    broker.settle(&[Settle { jobs, ..complete(&lease) }]).await.unwrap();
    for (there, more) in [(1, true), (2, true), (3, false)] {
        let promoted = broker.promote(&["default".to_owned()], &Retention::default()).await.unwrap();
        let counts = broker.queues().await.unwrap();
        assert_eq!((counts[1].queued, promoted.next == Some(Duration::ZERO)), (there, more), "{promoted:?}");
    }
}

#[tokio::test]
async fn payload_and_options_come_back_as_they_were_handed_over() {
    let server = RedisServer::start();
    let broker = broker(&server);
    let options = JobOptions {
        priority: -7,
        max_attempts: Some(3),
        min_backoff_ms: Some(10),
        max_backoff_ms: Some(20),
        timeout_ms: Some(30),
        memory: Some(1 << 40),
    };
    let every_byte: Vec<u8> = (0..=255).collect();
    let job = NewJob::new("t", every_byte).options(options);
    broker.enqueue(vec![job.clone(), NewJob::new("empty", "")]).await.unwrap();
    let leases = broker.lease(&request("default", 10)).await.unwrap();
    assert_eq!((leases[0].job.task.as_str(), leases[0].job.payload.len()), ("empty", 0), "the higher priority first");
    assert_eq!((&leases[1].job.payload, &leases[1].job.options), (&job.payload, &job.options));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_buried_where_people_see_it_and_blocks_nobody() {
    let server = RedisServer::start();
    let broker = broker(&server);
    let (fine, broken) = (NewJob::new("t", "fine"), NewJob::new("t", "broken").key("ann"));
    let broken_id = broken.id.clone();
    broker.enqueue(vec![broken, fine.clone()]).await.unwrap();
    server.command(&format!("HSET afresh:{{default}}:job:{broken_id} options not-json"));
    // An id without a record, and one whose record is not even a hash.
    server.command("ZADD afresh:{default}:queued -5 gone -4 odd");
    server.command("SET afresh:{default}:job:odd text");

    let leases = broker.lease(&request("default", 10)).await.unwrap();
    assert_eq!(leases.len(), 1);
    assert_eq!(leases[0].job.id, fine.id);
    let view = broker.job(&broken_id).await.unwrap().expect("it is not lost");
    assert_eq!((view.state, view.attempts[0].outcome), (State::Dead, OutcomeKind::Rejected));
    let error = view.attempts[0].error.clone().expect("a reason is kept");
    assert!(error.message.contains("its options cannot be read"), "{error:?}");
    let counts = &broker.queues().await.unwrap()[0];
    assert_eq!((counts.queued, counts.running, counts.dead), (0, 1, 1));
}

/// Every field of a record but `state` and `token`, without which the job is no queued or running one.
const FIELDS: [&str; 26] = [
    "v", "task", "payload", "options", "priority", "at", "run_at", "key", "unique", "scope", "start_by", "held",
    "counted", "begun", "cancel", "starts", "failures", "waits", "lost", "worker", "score", "history", "outcome",
    "progress", "log", "flow",
];

#[tokio::test]
async fn whatever_another_program_writes_into_a_record_the_jobs_beside_it_go_on() {
    let server = RedisServer::start();
    let clock = Clock::manual(Timestamp(1_000_000_000_000));
    let broker = RedisBroker::new(&server.url(), clock.clone()).unwrap();
    for (n, field) in FIELDS.iter().enumerate() {
        for (m, garbage) in [r#""\xff\xfe""#, "x", "nan", "-1", "1e300", "1.5", r#""\n""#].iter().enumerate() {
            let queue = format!("q{n}-{m}");
            broker.set_fair(&queue, m % 2 == 0).await.unwrap();
            let job = |id: &str| NewJob::new("t", "").queue(&queue).id(id.parse().unwrap());
            // With a key its record is a hash.
            broker.enqueue(vec![job("a"), job("bad").key("ann"), job("z")]).await.unwrap();
            let spoil = || server.command(&format!("HSET afresh:{{{queue}}}:job:bad {field} {garbage}"));
            let fine = |leases: &[Lease]| leases.iter().filter(|lease| lease.job.id.as_str() != "bad").count();
            let at = format!("with {field} = {garbage}");

            spoil();
            let leases = broker.lease(&request(&queue, 10)).await.expect(&at);
            assert_eq!(fine(&leases), 2, "{at}: {leases:#?}");
            spoil();
            let again: Vec<_> = leases.iter().map(|lease| settle(lease, Settlement::Release)).collect();
            assert_eq!(broker.settle(&again).await.expect(&at), vec![Settled::Done; leases.len()]);
            let leases = broker.lease(&request(&queue, 10)).await.expect(&at);
            assert_eq!(fine(&leases), 2, "{at}: {leases:#?}");
            spoil();
            clock.advance(LEASE);
            let lost = broker.reap(&request(&queue, 10)).await.expect(&at);
            assert_eq!(fine(&lost), 2, "{at}: {lost:#?}");
            let done: Vec<_> = lost.iter().map(complete).collect();
            assert_eq!(broker.settle(&done).await.expect(&at), vec![Settled::Done; lost.len()]);
            broker.promote(std::slice::from_ref(&queue), &Retention::default()).await.expect(&at);
            let counts = broker.queues().await.unwrap().into_iter().find(|counts| counts.queue == queue).unwrap();
            let ended = counts.succeeded + counts.dead + counts.expired + counts.cancelled;
            assert_eq!((ended, counts.queued, counts.running), (3, 0, 0), "{at}");
        }
    }
}
