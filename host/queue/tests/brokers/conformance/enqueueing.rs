//! What a producer may rely on.

use std::time::Duration;

use afresh_queue::{BrokerError, Counters, Extended, History, JobOptions, NewJob, Settled, State, Timestamp};

use crate::subject::{START, Subject, beat, complete, id, job, names, request, settle};

pub(super) async fn the_same_id_twice_is_one_job(s: &Subject) {
    let created = async |name| s.enqueue(vec![job(name)]).await[0].created;
    assert!(created("a").await);
    let other = NewJob::new("other", "other").id(id("a"));
    let enqueued = s.enqueue(vec![job("b"), other.clone(), job("b")]).await;
    assert_eq!(
        enqueued.iter().map(|e| (e.id.as_str(), e.created)).collect::<Vec<_>>(),
        [("b", true), ("a", false), ("b", false)]
    );

    let leases = s.lease(9).await;
    assert_eq!(names(&leases), ["a", "b"]);
    assert_eq!((leases[0].job.task.as_str(), leases[0].job.payload.as_slice()), ("t", b"payload of a".as_slice()));
    assert!(!created("a").await, "a running job is there");
    s.settle(&leases[0], complete("", Duration::from_secs(9))).await;
    assert!(!created("a").await, "an ended job that is kept is there");
    assert_eq!(s.lease(9).await, []);
    assert_eq!(s.state("a").await, Some(State::Succeeded));
}

pub(super) async fn the_same_id_in_two_queues_is_two_jobs(s: &Subject) {
    let enqueued = s.enqueue(vec![job("a"), job("a").queue("zoo")]).await;
    assert!(enqueued.iter().all(|e| e.created));
    assert_eq!(s.lease(9).await.len(), 1);
    assert_eq!(s.broker.lease(&request("zoo", 9)).await.unwrap().len(), 1);
    assert_eq!(s.job("a").await.unwrap().queue, "default", "the first queue by name is meant");
}

pub(super) async fn one_bad_job_and_none_is_accepted(s: &Subject) {
    let bad = [
        job("bad").options(JobOptions { priority: 1001, ..JobOptions::default() }),
        job("bad").options(JobOptions { max_attempts: Some(0), ..JobOptions::default() }),
        job("bad").queue("no such/name"),
        NewJob::new("", "").id(id("bad")),
    ];
    for bad in bad {
        let error = s.broker.enqueue(vec![job("good"), bad, job("better")]).await.unwrap_err();
        assert!(matches!(error, BrokerError::Invalid(_)), "{error:?}");
        assert!(error.to_string().contains("bad"), "{error} does not name the job");
    }
    assert_eq!(s.lease(9).await, []);
    assert_eq!(s.broker.queues().await.unwrap(), []);
    assert_eq!(s.enqueue(vec![]).await, []);
}

pub(super) async fn a_job_comes_to_its_worker_as_it_was_enqueued(s: &Subject) {
    let payload: Vec<u8> = (0..=255).collect();
    let options = JobOptions {
        priority: -7,
        max_attempts: Some(3),
        min_backoff_ms: Some(0),
        max_backoff_ms: Some(u64::from(u32::MAX)),
        timeout_ms: Some(1),
        memory: Some(1 << 40),
    };
    let sent = NewJob::new("resize.v2", payload.clone()).id(id("A.b:c-d_1")).options(options.clone());
    s.enqueue(vec![sent]).await;
    s.advance(Duration::from_micros(1));
    let got = s.lease_one().await.job;
    assert_eq!((got.id.as_str(), got.queue.as_str(), got.task.as_str()), ("A.b:c-d_1", "default", "resize.v2"));
    assert_eq!((got.payload, got.options), (payload, options));
    assert_eq!((got.enqueued_at, got.run_at), (START, START));
    assert_eq!((got.counters, got.history), (Counters { starts: 1, ..Default::default() }, History::default()));
    assert_eq!(Timestamp(START.0 + 1), s.clock.fixed().unwrap());
}

/// More than a Lua script may take as arguments of one command.
pub(super) async fn nine_thousand_jobs_pass_in_one_call_of_each_verb(s: &Subject) {
    let all: Vec<_> = (0..9_000).map(|n| format!("job-{n:05}")).collect();
    let later = START.after(Duration::from_secs(1));
    let enqueued = s.enqueue(all.iter().map(|name| job(name).run_at(later)).collect()).await;
    assert!(enqueued.iter().all(|e| e.created) && enqueued.len() == all.len());
    s.advance(Duration::from_secs(1));
    let mut moved = 0;
    while moved < all.len() {
        moved += s.promote().await;
    }
    let mut leases = s.lease(10_000).await;
    while leases.len() < all.len() {
        let more = s.lease(10_000).await;
        assert!(!more.is_empty(), "a lease may bring less than asked for, but not nothing");
        leases.extend(more);
    }
    assert_eq!(names(&leases), all);
    let beats: Vec<_> = leases.iter().map(beat).collect();
    assert_eq!(s.broker.extend(&beats, Duration::from_secs(60)).await.unwrap(), vec![Extended::Held; all.len()]);
    let settlements: Vec<_> = leases.iter().map(|lease| settle(lease, complete("", Duration::ZERO))).collect();
    assert_eq!(s.broker.settle(&settlements).await.unwrap(), vec![Settled::Done; all.len()]);
    let counts = s.counts().await;
    assert_eq!((counts.scheduled, counts.queued, counts.running, counts.succeeded), (0, 0, 0, 0));
}

pub(super) async fn a_payload_may_be_empty_or_large(s: &Subject) {
    let large = vec![0xff; 20 << 20];
    s.enqueue(vec![NewJob::new("t", vec![]).id(id("empty")), NewJob::new("t", large.clone()).id(id("large"))]).await;
    let leases = s.lease(9).await;
    assert_eq!(leases.len(), 2);
    assert!(leases[0].job.payload.is_empty() && leases[1].job.payload == large);
    s.settle(&leases[0], complete("", Duration::from_secs(1))).await;
    let reply = afresh_queue::Settlement::Complete { reply: large.clone(), keep: Duration::from_secs(1) };
    s.settle(&leases[1], reply).await;
    assert_eq!(s.broker.result(&id("empty")).await.unwrap(), Some(vec![]));
    assert_eq!(s.broker.result(&id("large")).await.unwrap(), Some(large));
    assert_eq!(s.job("empty").await.unwrap().result_bytes, Some(0));
}
