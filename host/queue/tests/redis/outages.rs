//! Servers that go away and come back: no error is final, and what was acknowledged is there.

use std::time::Duration;

use afresh_harness::{Behaviour, Proxy, RedisServer, SOON};
use afresh_queue::redis::RedisBroker;
use afresh_queue::{Beat, Broker, BrokerError, Clock, Extended, Inspect, NewJob, Settled, State};
use tokio::time::{Instant, sleep};

use crate::{LEASE, broker, complete, request};

/// Calls again until the call does not fail in passing.
pub(crate) async fn persist<T>(mut call: impl AsyncFnMut() -> Result<T, BrokerError>) -> T {
    let end = Instant::now() + SOON;
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) if error.is_transient() && Instant::now() < end => sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("no recovery: {error}"),
        }
    }
}

#[tokio::test]
async fn a_broker_can_be_made_before_its_server_is_up() {
    let mut server = RedisServer::start();
    server.kill();
    let broker = broker(&server);
    let error = broker.check().await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unavailable(text) if text.contains("cannot be reached")), "{error:?}");
    server.restart();
    persist(async || broker.check().await).await;
}

#[tokio::test]
async fn a_server_that_crashes_and_restarts_loses_nothing_that_was_acknowledged() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let broker = broker(&server);
    let before = NewJob::new("t", "before");
    broker.enqueue(vec![before.clone()]).await.unwrap();
    let lease = broker.lease(&request("default", 1)).await.unwrap().remove(0);

    server.kill();
    let error = broker.settle(&[complete(&lease)]).await.unwrap_err();
    assert!(matches!(error, BrokerError::Unavailable(_)), "{error:?}");
    server.restart();

    assert_eq!(persist(async || broker.settle(&[complete(&lease)]).await).await, [Settled::Done]);
    assert_eq!(broker.job(&before.id).await.unwrap().unwrap().state, State::Succeeded);
    assert_eq!(broker.result(&before.id).await.unwrap().as_deref(), Some(b"done".as_slice()));
}

#[tokio::test]
async fn a_lease_that_the_server_lost_in_a_crash_settles_nothing_for_whoever_had_it() {
    let mut server = RedisServer::start();
    let (first, second) = (broker(&server), broker(&server));
    let job = NewJob::new("t", "");
    first.enqueue(vec![job.clone()]).await.unwrap();
    assert!(server.command("SAVE").starts_with("+OK"));
    let lost = first.lease(&request("default", 1)).await.unwrap().remove(0);
    server.restart();

    let lease = persist(async || second.lease(&request("default", 1)).await).await.remove(0);
    assert_eq!((&lease.job, lease.job.counters.starts), (&lost.job, 1), "the server knows of no lease before this one");
    assert_eq!(persist(async || first.settle(&[complete(&lost)]).await).await, [Settled::Stale]);
    let beat = Beat { lease: lost.reference(), begun: true };
    assert_eq!(first.extend(&[beat], LEASE).await.unwrap(), [Extended::Lost]);
    assert_eq!(second.job(&job.id).await.unwrap().unwrap().state, State::Running);
    assert_eq!(second.settle(&[complete(&lease)]).await.unwrap(), [Settled::Done]);
}

#[tokio::test]
async fn a_connection_that_breaks_off_in_the_middle_of_an_answer_is_made_again() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address());
    let broker = RedisBroker::new(&format!("redis://{}", proxy.address()), Clock::Broker).unwrap();
    for established in [true, false] {
        if established {
            broker.check().await.unwrap();
        }
        proxy.behave(Behaviour::Truncate);
        for _ in 0..3 {
            let error = broker.check().await.unwrap_err();
            assert!(matches!(error, BrokerError::Unavailable(_)), "{error:?}");
        }
        proxy.behave(Behaviour::Pass);
        if established {
            persist(async || broker.check().await).await;
            proxy.cut();
        }
    }
    persist(async || broker.check().await).await;
}

#[tokio::test]
async fn calls_that_go_on_through_a_restart_lose_and_double_nothing() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (producer, worker) = (broker(&server), broker(&server));
    let producing = async {
        for n in 0..300 {
            let job = NewJob::new("t", n.to_string());
            persist(async || producer.enqueue(vec![job.clone()]).await).await;
        }
    };
    let working = async {
        let (mut done, mut restarts) = (Vec::new(), 0);
        while done.len() < 300 {
            let leases = persist(async || worker.lease(&request("default", 16)).await).await;
            for lease in leases {
                persist(async || worker.settle(&[complete(&lease)]).await).await;
                done.push(lease.job.payload);
            }
            if done.len() / 100 > restarts {
                restarts += 1;
                server.restart();
            }
        }
        assert_eq!(restarts, 3);
        done
    };
    let ((), mut done) = tokio::join!(producing, working);
    done.sort();
    done.dedup();
    assert_eq!(done.len(), 300);
    assert_eq!(broker(&server).queues().await.unwrap()[0].succeeded, 300);
}

#[tokio::test]
async fn killed_connections_cost_at_most_one_failed_call() {
    let server = RedisServer::start();
    let broker = broker(&server);
    for _ in 0..5 {
        broker.enqueue(vec![NewJob::new("t", "")]).await.unwrap();
        server.command("CLIENT KILL TYPE normal SKIPME yes");
        // The first call may find the connection broken, or that it broke.
        let _ = broker.check().await;
        broker.check().await.unwrap();
    }
    assert_eq!(broker.queues().await.unwrap()[0].queued, 5);
}

#[tokio::test]
async fn a_server_that_hangs_is_unavailable_until_it_goes_on() {
    let server = RedisServer::start();
    let broker = broker(&server);
    broker.check().await.unwrap();
    server.pause();
    let error = broker.check().await.unwrap_err();
    assert!(
        matches!(&error, BrokerError::Unavailable(text) if text.contains("did not answer within 5 s")),
        "{error:?}"
    );
    server.resume();
    persist(async || broker.check().await).await;
}

#[tokio::test]
async fn scripts_that_the_server_has_forgotten_are_loaded_again() {
    let server = RedisServer::start();
    let broker = broker(&server);
    for _ in 0..2 {
        broker.enqueue(vec![NewJob::new("t", "")]).await.unwrap();
        server.command("SCRIPT FLUSH");
        assert_eq!(broker.lease(&request("default", 1)).await.unwrap().len(), 1);
        server.command("SCRIPT FLUSH");
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_tried_again_with_pauses_and_not_in_a_storm() {
    let mut server = RedisServer::start();
    server.kill();
    let broker = RedisBroker::new(&server.url(), Clock::Broker).unwrap();
    let (start, mut tries) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(1) {
        assert!(broker.check().await.is_err());
        tries += 1;
    }
    assert!((2..200).contains(&tries), "{tries} tries in a second");
}
